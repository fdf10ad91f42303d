//! The scorer: takes sessions that are over, in the order in which they ended, and appends a score entry for each.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::sync::atomic::Ordering as Memory;
use std::time::Duration;

use behaviour::{Observation, script};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::entry::{self, EndedRef, Said, SessionScore};
use super::table::timestamp;
use super::{Built, Risk};
use crate::access::Caller;
use crate::error::{ErrorKind, Result};
use crate::model::{Kind, OrgId, Outcome, time};
use crate::own_events;
use crate::recordings::{Entry, Session, SessionId, read::blocking};
use crate::service::{Inner, Service};

/// Action when the method or its parameters became others.
const SCORING_CHANGED: &str = "scoring.changed";

/// The scorer looks by itself this often, for what it had to leave.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Looks after which a recording whose store does not answer is scored without its content. Until then the sessions that
/// ended after it wait, for a history must not depend on luck.
const TRIES_MAX: u32 = 6;

/// Sessions of one organisation scored in a row, before the others have their turn.
const IN_A_ROW: usize = 100;

/// What the next session of an organisation came to.
enum Done {
    /// It has its score.
    Scored,
    /// It never gets one; why is in the operator's log.
    GivenUp,
}

impl Service {
    /// Starts the task that scores sessions.
    pub(crate) fn keep_scoring(&self, mut stopped: watch::Receiver<bool>) -> JoinHandle<()> {
        self.risk().is_running.store(true, Memory::SeqCst);
        // The task must not keep the service alive: a service that is dropped without a shutdown ends it.
        let (weak, risk) = (self.downgrade(), std::sync::Arc::clone(self.risk()));
        tokio::spawn(async move {
            let mut tries = BTreeMap::new();
            loop {
                if !pass(&weak, &stopped, &mut tries).await {
                    break;
                }
                risk.passes.send_modify(|passes| *passes += 1);
                tokio::select! {
                    biased;
                    _ = stopped.changed() => break,
                    _ = risk.work.notified() => {}
                    _ = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
            risk.is_running.store(false, Memory::SeqCst);
            risk.passes.send_modify(|passes| *passes += 1);
        })
    }

    /// Waits until the sessions that are over have their scores, as far as they get any now.
    pub(crate) async fn settle_scores(&self) {
        let risk = self.risk();
        let mut passes = risk.passes.subscribe();
        // A pass under way may have missed what is there now; the one after it does not.
        let goal = *passes.borrow_and_update() + 2;
        while *passes.borrow_and_update() < goal && risk.is_running.load(Memory::SeqCst) {
            risk.work.notify_one();
            if passes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Scores the next session of an organisation.
    async fn score_next(&self, org: OrgId, ended: u64, id: SessionId, with_content: bool) -> Result<Done> {
        let service = self.clone();
        let found = blocking(move || service.find_session(org, id)).await;
        let session = match found {
            Ok(session) if session.ended.as_ref().is_some_and(|over| over.number == ended) => session,
            // What was erased or pruned meanwhile has no score.
            Ok(_) => return Ok(Done::GivenUp),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Done::GivenUp),
            Err(error) => return Err(error),
        };
        if self.control().state().active_key(org).is_some() {
            tracing::info!(session = %id, "a session is not scored: the organisation has its events encrypted");
            return Ok(Done::GivenUp);
        }
        let (measures, content) = if session.bytes == 0 {
            (behaviour::Measures::default(), "none".to_owned())
        } else if with_content {
            match self.ensure_indexed(&session).await {
                Ok(summary) => (summary.measures, "indexed".to_owned()),
                Err(error) if matches!(error.kind, ErrorKind::Corrupt | ErrorKind::NotFound) => {
                    (behaviour::Measures::default(), format!("not indexed: {error}"))
                }
                Err(error) => return Err(error),
            }
        } else {
            (behaviour::Measures::default(), "not indexed: the recording could not be reached".to_owned())
        };
        let service = self.clone();
        let of = session.clone();
        let said = blocking(move || service.assess(&of, ended, measures, content)).await?;
        self.note_method(org, &said).await?;
        self.append_score(session, said).await
    }

    /// Computes what the entry says. Blocks.
    fn assess(&self, session: &Session, ended: u64, measures: behaviour::Measures, content: String) -> Result<Said> {
        let (log, ordinal) = self.log_and_ordinal(session.org)?;
        let info = &session.info;
        let endpoint = |endpoint: &crate::recordings::Endpoint| {
            endpoint.name.clone().or_else(|| endpoint.address.clone()).or_else(|| endpoint.id.clone())
        };
        let observation = Observation {
            entry: 0,
            started_s: time::micros(session.started_at).div_euclid(1_000_000),
            // A name may be shared by many addresses; where a user sits is known by the address.
            client: info.client.address.clone().or_else(|| endpoint(&info.client)),
            server: endpoint(&info.server).or_else(|| endpoint(&info.target)),
            protocol: info.protocol.as_ref().map(|name| name.to_ascii_lowercase()),
            login: info.user.server_names.first().cloned(),
            measures,
        };
        let recorded_us = match self.logs().read_many(&log, &[ended - 1])?.first() {
            Some(record) => i64::try_from(record.received_at_us).unwrap_or(i64::MAX),
            None => time::micros(session.recorded_at),
        };
        let as_of_us = self.risk().built_us(ordinal, recorded_us, Some(ended));
        let ended = EndedRef { number: ended, recorded_at: timestamp(recorded_us) };
        let user = info.user_name().map(ToOwned::to_owned);
        let built = match &user {
            // Sessions are scored in the order in which they ended: those before the build have their scores.
            Some(user) => self.built(session.org, user, as_of_us, true)?,
            // Of somebody without a name nothing is usual.
            None => std::sync::Arc::new(Built::new(&[], as_of_us, &self.risk().parameters)),
        };
        Ok(said(user, ended, &built, observation, content, &self.risk().parameters))
    }

    /// Says so in the trail when sessions are scored otherwise than the one before.
    async fn note_method(&self, org: OrgId, said: &Said) -> Result<()> {
        let (log, ordinal) = self.log_and_ordinal(org)?;
        let before = self.risk().with_table(ordinal, |table| table.last_method().cloned()).flatten();
        let Some(before) = before.filter(|before| *before != said.method) else { return Ok(()) };
        let mut draft = own_events::draft(SCORING_CHANGED, Kind::System, Outcome::Success, None, &Caller::internal());
        let json = |parameters| serde_json::to_value(parameters).expect("sets of names are JSON");
        draft.attributes.insert("before".into(), json(&before));
        draft.attributes.insert("after".into(), json(&said.method));
        self.own().now(log, None, None, &draft).await
    }

    async fn append_score(&self, session: Session, said: Said) -> Result<Done> {
        let (log, ordinal) = self.log_and_ordinal(session.org)?;
        let draft = entry::scored(&session, &said);
        let appended = self.append_entry(log, tlog::entry::Kind::Event, None, &Caller::internal(), &draft).await;
        let (turn, place) = match appended {
            Ok(appended) => appended,
            // The log was closed, or its events are encrypted from now on; or the entry is more than the log takes.
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::TooLarge) => {
                tracing::warn!(?error, session = %session.id, "a session is not scored");
                return Ok(Done::GivenUp);
            }
            Err(error) => return Err(error),
        };
        let mut score = SessionScore {
            session: session.id,
            org: session.org,
            number: place.number,
            scored_at: time::from_micros(place.received_at_us),
            said,
        };
        score.said.observation.entry = place.number;
        self.recordings().catalogue.apply(ordinal, &Entry::Scored(Box::new(score)));
        drop(turn);
        Ok(Done::Scored)
    }
}

/// What the entry of a session says: a function of what is handed over, and of nothing else.
pub(super) fn said(
    user: Option<String>,
    ended: EndedRef,
    built: &Built,
    observation: Observation,
    content: String,
    method: &behaviour::Parameters,
) -> Said {
    let scored = built.baselines.score(&observation);
    let scripted = script::detect(&observation, &built.starts);
    Said {
        user,
        ended,
        method: method.clone(),
        as_of: timestamp(built.as_of_us),
        history: built.baselines.sessions,
        baselines: built.ids.clone(),
        scores: scored.scores.iter().map(|(name, found)| (*name, found.score)).collect(),
        failures: scored.failures.iter().map(|(name, failure)| (*name, failure.to_string())).collect(),
        aggregated: scored.aggregate.map(|aggregate| aggregate.score),
        scripted,
        observation,
        content,
    }
}

/// One round over all organisations. False: the service is gone, or stops.
async fn pass(weak: &Weak<Inner>, stopped: &watch::Receiver<bool>, tries: &mut BTreeMap<SessionId, u32>) -> bool {
    loop {
        let Some(service) = Service::upgrade(weak) else { return false };
        if service.recordings().catalogue.check_ready().is_err() {
            return !*stopped.borrow();
        }
        let orgs: Vec<OrgId> = service.control().state().orgs().iter().map(|org| org.id).collect();
        let mut is_more = false;
        for org in orgs {
            for _ in 0..IN_A_ROW {
                if *stopped.borrow() {
                    return false;
                }
                let Some((ordinal, ended, id)) = service.next_unscored(org).await else { break };
                let with_content = tries.get(&id).is_none_or(|tries| *tries < TRIES_MAX);
                let done = service.score_next(org, ended, id, with_content).await;
                match done {
                    Ok(Done::Scored) => is_more = true,
                    Ok(Done::GivenUp) => {
                        is_more = true;
                        service.risk().change(ordinal, |table| table.give_up(ended));
                    }
                    Err(error) => {
                        let tries = tries.entry(id).or_default();
                        *tries += 1;
                        tracing::warn!(?error, session = %id, tries, "a session could not be scored; it is tried again");
                        break;
                    }
                }
                tries.remove(&id);
            }
        }
        if !is_more {
            return true;
        }
    }
}

impl Service {
    /// The session of an organisation that is to be scored next: the one that ended first, if everybody who ended one before
    /// it has told so.
    async fn next_unscored(&self, org: OrgId) -> Option<(u32, u64, SessionId)> {
        let (log, ordinal) = self.log_and_ordinal(org).ok()?;
        let service = self.clone();
        if let Err(error) = blocking(move || service.read_users(ordinal, org)).await {
            tracing::warn!(?error, %org, "the users of an organisation cannot be read; it is tried again");
            return None;
        }
        let told = self.recordings().catalogue.told(log);
        let first = self.risk().with_table(ordinal, |table| {
            table.unscored().first_key_value().map(|(number, session)| (*number, *session))
        });
        let (ended, session) = first.flatten()?;
        (ended <= told).then_some((ordinal, ended, session))
    }
}

impl Risk {
    /// Looks at the table of an organisation, if it was read.
    pub(super) fn with_table<T>(&self, ordinal: u32, look: impl FnOnce(&super::table::Table) -> T) -> Option<T> {
        self.tables.lock().get(&ordinal)?.table.as_ref().map(look)
    }
}
