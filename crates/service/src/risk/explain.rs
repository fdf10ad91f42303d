//! Why a score is what it is, and the same number again from the log.

use std::collections::HashMap;

use behaviour::{Algorithm, LOOK_BACK_S, Observation, Parameters, Steps, aggregate};
use jiff::Timestamp;

use super::baselines::{Built, DAY_US, Span, Wanted};
use super::entry::SessionScore;
use super::scoring::said;
use super::table::timestamp;
use super::users::no_user;
use crate::access::{Principal, Verb};
use crate::error::{Error, Result};
use crate::model::{OrgId, time};
use crate::query::Order;
use crate::recordings::{SessionId, filter};
use crate::service::Service;

/// Past sessions that are named as like the one that is explained; there may be more, and their number says so.
const LIKE_MAX: usize = 20;

/// Sessions of one user that are computed again at once.
const RECOMPUTED_MAX: usize = 10_000;

/// Why a session has its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// What the log says.
    pub score: SessionScore,
    /// By algorithm.
    pub algorithms: Vec<ExplainedScore>,
    /// The numbers of the entries that the baselines were built from, newest first.
    pub history: Vec<u64>,
    /// There were more sessions than a baseline takes.
    pub is_cut: bool,
    /// Computed again from the log it is the same, bit for bit.
    pub is_same: bool,
}

/// Why an algorithm gave its score.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedScore {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// 0 to 100.
    pub score: u8,
    /// The probability that it comes from.
    pub probability: f64,
    /// Its part of the aggregate, 0 to 1; 0 for one that was dropped.
    pub weight: f64,
    /// What is usual.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// How many past sessions were like this one.
    pub like_count: u64,
    /// The numbers of the entries of the newest of them.
    pub like: Vec<u64>,
}

/// A user's score at a past time, computed again from the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Recomputed {
    /// The user.
    pub user: String,
    /// The time.
    pub as_of: Timestamp,
    /// What was served at that time.
    pub score: Option<u8>,
    /// The time of that score, as it was served.
    pub scored_at: Option<Timestamp>,
    /// The sessions of the window, each computed again, newest first.
    pub sessions: Vec<RecomputedSession>,
    /// Every one of them came out the same.
    pub is_same: bool,
}

/// A session that was computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecomputedSession {
    /// The session.
    pub session: SessionId,
    /// The entry of its score.
    pub number: u64,
    /// What the entry says.
    pub aggregated: Option<u8>,
    /// What came out now.
    pub recomputed: Option<u8>,
    /// All of it is the same: every score, every reason, every baseline's id.
    pub is_same: bool,
}

impl Service {
    /// The score of a session, as the log has it; none yet while it is open or waits. Blocks.
    pub fn session_score(&self, who: &Principal, org: OrgId, id: SessionId) -> Result<Option<SessionScore>> {
        self.allow(who, Verb::ViewSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        self.find_score(org, id)
    }

    fn find_score(&self, org: OrgId, id: SessionId) -> Result<Option<SessionScore>> {
        let (log, ordinal) = self.log_and_ordinal(org)?;
        let numbers = self.recordings().catalogue.search(ordinal, &filter::score(id), Order::Descending, None, 1)?;
        Ok(self.scores_at(org, log, &numbers)?.pop())
    }

    /// Why a session has its score: computed again from the history, and compared with what the log says. Blocks.
    ///
    /// # Errors
    /// `NotFound`: no such session, or it has no score yet.
    pub fn explain_session(&self, who: &Principal, org: OrgId, id: SessionId) -> Result<Explained> {
        self.session(who, org, id)?;
        let score = self.find_score(org, id)?;
        let score =
            score.ok_or_else(|| Error::not_found("the session has no score yet: it is open, or waits for one"))?;
        let entry = &score.said;
        let as_of_us = time::micros(entry.as_of);
        let (history, is_cut) = match &entry.user {
            Some(user) => self.history(org, user, Span { as_of_us, below: Some(score.number) })?,
            None => (Vec::new(), false),
        };
        let built = Built::new(&history, as_of_us, &entry.method);
        let scored = built.baselines.score(&entry.observation);
        let plain = scored.scores.iter().map(|(name, found)| (*name, found.score)).collect();
        let kept = aggregate(&plain, &entry.method).map(|aggregate| aggregate.kept).unwrap_or_default();
        let explain = |(algorithm, found): (&Algorithm, &behaviour::Assessment)| {
            let is_like = |past: &&Observation| built.baselines.is_like(*algorithm, &entry.observation, past);
            let like: Vec<u64> = history.iter().filter(is_like).map(|past| past.entry).collect();
            ExplainedScore {
                algorithm: *algorithm,
                score: found.score,
                probability: found.probability,
                weight: if kept.contains(algorithm) { 1.0 / kept.len() as f64 } else { 0.0 },
                expected: built.baselines.expected(*algorithm).unwrap_or_default(),
                observed: built.baselines.observed(*algorithm, &entry.observation).unwrap_or_default(),
                like_count: like.len() as u64,
                like: like.into_iter().take(LIKE_MAX).collect(),
            }
        };
        Ok(Explained {
            algorithms: scored.scores.iter().map(explain).collect(),
            history: history.iter().map(|past| past.entry).collect(),
            is_cut,
            is_same: again(&score, &built) == score.said,
            score,
        })
    }

    /// The score of a user as it was served at a past time, computed again from what the log held then. Blocks, for as long as
    /// the user's sessions take.
    ///
    /// # Errors
    /// `NotFound`: no such user at that time. `Invalid`: a time to come. `TooLarge`: more than ten thousand sessions.
    pub fn recompute_user(&self, who: &Principal, org: OrgId, id: &str, as_of: Timestamp) -> Result<Recomputed> {
        self.allow(who, Verb::ViewSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        if as_of > self.now() {
            return Err(Error::invalid("this time is still to come; give a past one, or none for now"));
        }
        let as_of_us = time::micros(as_of);
        let built_us = self.built_at(org, as_of_us)?;
        // When something of this user was scored last, whether or not the session still counts.
        let (mut last_us, mut is_known) = (None, false);
        let of_user = Wanted { user: Some(id), since_us: i64::MIN, until_us: None, below: None };
        self.each_score(org, &of_user, &mut |score| {
            let is_then = score.scored_at <= as_of;
            is_known |= is_then;
            if is_then && score.said.aggregated.is_some() {
                last_us = Some(time::micros(score.scored_at));
            }
            last_us.is_none()
        })?;
        if !is_known {
            return Err(no_user(id));
        }
        let since_us = built_us - LOOK_BACK_S * 1_000_000;
        let mut scores = Vec::new();
        let is_whole = self.each_score(org, &Wanted { since_us, ..of_user }, &mut |score| {
            if score.scored_at <= as_of {
                scores.push(score);
            }
            scores.len() <= RECOMPUTED_MAX
        })?;
        if !is_whole {
            let message = format!("more than {RECOMPUTED_MAX} sessions of this user count at that time");
            return Err(Error::too_large(message));
        }
        let (mut steps, mut sessions) = (Steps::default(), Vec::new());
        // Sessions that were scored after one build have one history: they ended after it, in the order of their scores.
        let mut ready: HashMap<(i64, Parameters), Built> = HashMap::new();
        for score in &scores {
            let key = (time::micros(score.said.as_of), score.said.method.clone());
            if !ready.contains_key(&key) {
                let span = Span { as_of_us: key.0, below: Some(score.number) };
                let history = self.history(org, id, span)?.0;
                ready.insert(key.clone(), Built::new(&history, key.0, &key.1));
            }
            let now = again(score, &ready[&key]);
            if let Some(aggregated) = now.aggregated {
                steps.add(now.observation.started_s, aggregated);
            }
            sessions.push(RecomputedSession {
                session: score.session,
                number: score.number,
                aggregated: score.said.aggregated,
                recomputed: now.aggregated,
                is_same: now == score.said,
            });
        }
        let score = steps.highest_since(since_us.div_euclid(1_000_000));
        Ok(Recomputed {
            user: id.to_owned(),
            as_of,
            score,
            scored_at: score.map(|_| timestamp(last_us.unwrap_or(i64::MIN).max(built_us))),
            is_same: sessions.iter().all(|session| session.is_same),
            sessions,
        })
    }

    /// The last build at a past time.
    fn built_at(&self, org: OrgId, at_us: i64) -> Result<i64> {
        let (_, ordinal) = self.log_and_ordinal(org)?;
        let midnight = at_us.div_euclid(DAY_US) * DAY_US;
        let builds = filter::builds(midnight, at_us);
        let found = self.recordings().catalogue.newest(ordinal, &builds, None, 1)?;
        Ok(found.first().map_or(midnight, |(us, _)| (*us).max(midnight)))
    }
}

/// What the entry of a score would say if it were made now, of the same history.
fn again(score: &SessionScore, built: &Built) -> super::Said {
    let entry = &score.said;
    said(entry.user.clone(), entry.ended, built, entry.observation.clone(), entry.content.clone(), &entry.method)
}
