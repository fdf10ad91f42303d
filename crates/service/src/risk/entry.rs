//! The log entry that holds what was seen of a session, and how far that is from what was usual.
//!
//! One event of kind `session`, action `session.scored`, recorded by the service itself when a recording is over. Attributes:
//!
//! | attribute | what |
//! |---|---|
//! | `user` | whose session it is |
//! | `ended` | number and time of the entry that ended it: sessions are in order by it |
//! | `method` | version and parameters of the algorithms |
//! | `as_of` | the baselines are those of the sessions recorded before this time |
//! | `history` | how many sessions that were |
//! | `baselines` | by algorithm: the id of the baseline, a hash over all it consists of |
//! | `observation` | what the algorithms see of the session |
//! | `content` | `indexed`, `none` (no recording), or why the recording could not be looked into |
//! | `scores`, `failures` | by algorithm |
//! | `aggregated` | all scores as one; absent without a score |
//! | `scripted` | whether a machine sat there, and by which test |

use std::collections::BTreeMap;

use behaviour::{Algorithm, Observation, Parameters, Scripted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::Caller;
use crate::model::{Event, EventDraft, Kind, OrgId, Outcome, PartyDraft, time};
use crate::own_events;
use crate::recordings::{Session, SessionId};

/// Action when a session was scored.
pub const SCORED: &str = "session.scored";

/// What is known of a session's score.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionScore {
    /// The session.
    pub session: SessionId,
    /// Its organisation.
    pub org: OrgId,
    /// The number of the entry that says all this.
    pub number: u64,
    /// When it was computed.
    pub scored_at: Timestamp,
    /// What was computed.
    pub said: Said,
}

/// What the entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Whose session it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The entry that ended the session.
    pub ended: EndedRef,
    /// Version and parameters of the algorithms.
    pub method: Parameters,
    /// The baselines are those of the sessions recorded before this time, RFC 3339.
    pub as_of: Timestamp,
    /// Sessions that they were built from.
    pub history: u32,
    /// Hashes of the baselines.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub baselines: BTreeMap<Algorithm, String>,
    /// What the algorithms see of the session.
    pub observation: Observation,
    /// `indexed`, `none`, or why there is nothing of the recording.
    pub content: String,
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<Algorithm, u8>,
    /// Why an algorithm has no score.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<Algorithm, String>,
    /// All scores as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregated: Option<u8>,
    /// Whether a machine sat there.
    pub scripted: Scripted,
}

/// The entry that ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRef {
    /// Its number.
    pub number: u64,
    /// When it came.
    pub recorded_at: Timestamp,
}

/// The event of a score.
pub fn scored(session: &Session, said: &Said) -> EventDraft {
    let mut draft = own_events::draft(SCORED, Kind::Session, Outcome::Success, None, &Caller::internal());
    draft.session = Some(session.id.to_string());
    draft.actor = said.user.clone().map(|name| PartyDraft {
        name: Some(name),
        kind: Some("user".into()),
        ..PartyDraft::default()
    });
    match serde_json::to_value(said) {
        Ok(serde_json::Value::Object(members)) => draft.attributes = members,
        _ => unreachable!("a struct of texts, numbers and maps with text keys is a JSON object"),
    }
    draft
}

/// Reads the attributes of an event with action [`SCORED`] back; `None`: they are not ours.
pub fn read(org: OrgId, session: SessionId, event: &Event, attributes: &str) -> Option<SessionScore> {
    let mut said: Said = serde_json::from_str(attributes).ok()?;
    said.observation.entry = event.number();
    Some(SessionScore { session, org, number: event.number(), scored_at: event.recorded_at(), said })
}

impl SessionScore {
    /// When the session began, in microseconds, as the catalogue has it.
    pub(crate) fn started_us(&self) -> i64 {
        self.said.observation.started_s.saturating_mul(1_000_000)
    }

    /// When the session's end was recorded, in microseconds.
    pub(crate) fn ended_us(&self) -> i64 {
        time::micros(self.said.ended.recorded_at)
    }
}
