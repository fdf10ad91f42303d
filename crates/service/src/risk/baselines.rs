//! Baselines of a user as of a build: read from the log, kept ready, and how they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use behaviour::{Algorithm, Baselines, LOOK_BACK_S, Observation, Parameters, SESSIONS_MIN, is_usable};
use jiff::Timestamp;
use log::LogId;
use sha2::{Digest as _, Sha256};

use super::entry::SessionScore;
use super::table::timestamp;
use super::{CACHED_MAX, Risk};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::OrgId;
use crate::query::Order;
use crate::recordings::{Entry, filter};
use crate::service::Service;

/// Most sessions of one baseline: the newest ones. Explanations say when there were more.
pub const HISTORY_MAX: usize = 10_000;

/// Entries read at once.
const PAGE: usize = 1_000;

/// A day in microseconds.
pub const DAY_US: i64 = 86_400_000_000;

/// Baselines that were built, with their ids.
pub struct Built {
    /// Of the sessions recorded before this time.
    pub as_of_us: i64,
    pub baselines: Baselines,
    /// A hash over all that a baseline consists of; the first 16 bytes of a SHA-256, in hex.
    pub ids: BTreeMap<Algorithm, String>,
    /// When the sessions began, for script detection.
    pub starts: Vec<Observation>,
}

/// How one baseline of a user stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaselineStanding {
    /// The last build that came about, and the id of what was built.
    pub last_success: Option<(Timestamp, String)>,
    /// The last build that did not, and why.
    pub last_failure: Option<(Timestamp, String)>,
}

/// Which sessions a history is made of.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Recorded before this time.
    pub as_of_us: i64,
    /// Scored by an entry below this number.
    pub below: Option<u64>,
}

/// Which scores are read.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of this user, exact; `None`: of everybody.
    pub user: Option<&'a str>,
    /// Of sessions that began at this time or later.
    pub since_us: i64,
    /// Of sessions whose end was recorded until this time.
    pub until_us: Option<i64>,
    /// Entries below this number.
    pub below: Option<u64>,
}

impl Built {
    /// Builds from a history.
    pub fn new(history: &[Observation], as_of_us: i64, parameters: &Parameters) -> Built {
        let baselines = Baselines::build(history, parameters);
        let id = |algorithm: &Algorithm| {
            let model = baselines.models.get(algorithm)?.as_ref().ok()?;
            let json = serde_json::to_vec(&(algorithm, parameters, model)).expect("maps have text keys");
            Some((*algorithm, hex::encode(&Sha256::digest(json)[..16])))
        };
        let ids = Algorithm::ALL.iter().filter_map(id).collect();
        let starts = history
            .iter()
            .map(|session| Observation { started_s: session.started_s, ..Observation::default() })
            .collect();
        Built { as_of_us, baselines, ids, starts }
    }
}

impl Risk {
    /// The last build at a time: midnight UTC before it, or a later one by order.
    pub(super) fn built_us(&self, ordinal: u32, now_us: i64, number: Option<u64>) -> i64 {
        let midnight = now_us.div_euclid(DAY_US) * DAY_US;
        let tables = self.tables.lock();
        let ordered = tables.get(&ordinal).and_then(|slot| slot.table.as_ref()).and_then(|table| table.built);
        let ordered = ordered.filter(|(build, at_us)| *at_us <= now_us && number.is_none_or(|number| *build < number));
        ordered.map_or(midnight, |(_, at_us)| at_us.max(midnight))
    }

    fn cached(&self, ordinal: u32, user: &str, as_of_us: i64) -> Option<Arc<Built>> {
        let cache = self.cache.lock();
        cache.get(&(ordinal, user.into())).filter(|built| built.as_of_us == as_of_us).cloned()
    }

    fn keep(&self, ordinal: u32, user: &str, built: Arc<Built>) {
        let mut cache = self.cache.lock();
        if cache.len() >= CACHED_MAX {
            // Those of yesterday first; if they are all of today, all of them: they are read again when they are needed.
            cache.retain(|_, other| other.as_of_us == built.as_of_us);
            if cache.len() >= CACHED_MAX {
                cache.clear();
            }
        }
        cache.insert((ordinal, user.into()), built);
    }

    /// Forgets what was built for an organisation: entries behind it are gone.
    pub(super) fn forget_built(&self, ordinal: u32) {
        self.cache.lock().retain(|(of, _), _| *of != ordinal);
    }
}

impl Service {
    /// The baselines of a user as of a build. `keep` them ready only if every session that was recorded before has its score.
    /// Blocks.
    pub(super) fn built(&self, org: OrgId, user: &str, as_of_us: i64, keep: bool) -> Result<Arc<Built>> {
        let (_, ordinal) = self.log_and_ordinal(org)?;
        if let Some(built) = self.risk().cached(ordinal, user, as_of_us) {
            return Ok(built);
        }
        let (history, _) = self.history(org, user, Span { as_of_us, below: None })?;
        let built = Arc::new(Built::new(&history, as_of_us, &self.risk().parameters));
        if keep {
            self.risk().keep(ordinal, user, Arc::clone(&built));
        }
        Ok(built)
    }

    /// The sessions of a user that a baseline looks at, newest first; and whether there were more than fit.
    pub(super) fn history(&self, org: OrgId, user: &str, span: Span) -> Result<(Vec<Observation>, bool)> {
        let since_us = span.as_of_us - LOOK_BACK_S * 1_000_000;
        let mut found = Vec::new();
        let wanted = Wanted { user: Some(user), since_us, until_us: Some(span.as_of_us - 1), below: span.below };
        let is_whole = self.each_score(org, &wanted, &mut |score| {
            found.push(score.said.observation);
            found.len() < HISTORY_MAX
        })?;
        Ok((found, !is_whole))
    }

    /// Reads scores, newest entry first, until `each` wants no more. True: it wanted all of them.
    pub(super) fn each_score(
        &self,
        org: OrgId,
        wanted: &Wanted,
        each: &mut dyn FnMut(SessionScore) -> bool,
    ) -> Result<bool> {
        let (log, ordinal) = self.log_and_ordinal(org)?;
        let query = filter::scores(wanted.user, Some(wanted.since_us), wanted.until_us);
        let mut after = wanted.below;
        loop {
            let numbers = self.recordings().catalogue.search(ordinal, &query, Order::Descending, after, PAGE)?;
            let Some(last) = numbers.last() else { return Ok(true) };
            after = Some(*last);
            for score in self.scores_at(org, log, &numbers)? {
                // The catalogue does not tell upper from lower case.
                if wanted.user.is_none_or(|user| score.said.user.as_deref() == Some(user)) && !each(score) {
                    return Ok(false);
                }
            }
        }
    }

    /// The scores that the entries of these numbers tell of, in their order.
    pub(super) fn scores_at(&self, org: OrgId, log: LogId, numbers: &[u64]) -> Result<Vec<SessionScore>> {
        let indexes: Vec<u64> = numbers.iter().map(|number| number - 1).collect();
        let records = self.logs().read_many(&log, &indexes)?;
        let mut decoder = encoding::Decoder::default();
        let mut scores = Vec::with_capacity(records.len());
        let part = self.newest_part(org)?;
        for record in records {
            let (number, is_erased) = (record.number, record.state.is_erased());
            match Entry::read(org, part, &decoder.event(record)) {
                Some(Entry::Scored(score)) => scores.push(*score),
                _ if is_erased => {}
                _ => {
                    return Err(Error::corrupt(
                        "the catalogue of sessions does not agree with the log; ask for it to be rebuilt",
                        format!("entry {number} of log {log} is no score"),
                    ));
                }
            }
        }
        Ok(scores)
    }

    /// How the baselines of a user stand at a time: by each build since the user was first seen, as far back as the last build
    /// looks twice. Blocks.
    pub(super) fn standings(
        &self,
        org: OrgId,
        user: &str,
        now_us: i64,
    ) -> Result<BTreeMap<Algorithm, BaselineStanding>> {
        let (_, ordinal) = self.log_and_ordinal(org)?;
        let built_us = self.risk().built_us(ordinal, now_us, None);
        let look_back_us = LOOK_BACK_S * 1_000_000;
        let mut sessions: Vec<(i64, Observation)> = Vec::new();
        let since_us = built_us - 2 * look_back_us;
        let wanted = Wanted { user: Some(user), since_us, until_us: Some(built_us - 1), below: None };
        self.each_score(org, &wanted, &mut |score| {
            sessions.push((score.ended_us(), score.said.observation));
            sessions.len() < HISTORY_MAX
        })?;
        let mut standings: BTreeMap<Algorithm, BaselineStanding> = BTreeMap::new();
        let Some(first_us) = sessions.iter().map(|(ended_us, _)| *ended_us).min() else { return Ok(standings) };
        let now = self.built(org, user, built_us, false)?;
        for (algorithm, model) in &now.baselines.models {
            let standing = standings.entry(*algorithm).or_default();
            match model {
                Ok(_) => standing.last_success = Some((timestamp(built_us), now.ids[algorithm].clone())),
                Err(failure) => standing.last_failure = Some((timestamp(built_us), failure.to_string())),
            }
            // The last build that ended otherwise, day by day back to the first on which there was a session to learn from.
            // Whether one comes about follows from the number of sessions it can learn from.
            let usable: Vec<(i64, i64)> = sessions
                .iter()
                .filter(|(_, session)| is_usable(*algorithm, session))
                .map(|(ended_us, session)| (*ended_us, session.started_s.saturating_mul(1_000_000)))
                .collect();
            let is_in =
                |day_us: i64, ended_us: i64, started_us: i64| ended_us < day_us && started_us >= day_us - look_back_us;
            let mut day_us = (built_us - 1).div_euclid(DAY_US) * DAY_US;
            while day_us > first_us && day_us > built_us - look_back_us {
                let count = usable.iter().filter(|(ended, started)| is_in(day_us, *ended, *started)).count();
                if (count >= SESSIONS_MIN as usize) != model.is_ok() {
                    let seen = |(ended, session): &&(i64, Observation)| {
                        is_in(day_us, *ended, session.started_s.saturating_mul(1_000_000))
                    };
                    let of_day: Vec<Observation> = sessions.iter().filter(seen).map(|(_, s)| s.clone()).collect();
                    let then = Built::new(&of_day, day_us, &self.risk().parameters);
                    match then.baselines.models.get(algorithm) {
                        Some(Ok(_)) => {
                            standing.last_success = Some((timestamp(day_us), then.ids[algorithm].clone()));
                        }
                        Some(Err(failure)) => {
                            standing.last_failure = Some((timestamp(day_us), failure.to_string()));
                        }
                        None => {}
                    }
                    break;
                }
                day_us -= DAY_US;
            }
        }
        Ok(standings)
    }
}
