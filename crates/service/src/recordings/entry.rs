//! The log entries that a session is made of, and how they read back.
//!
//! Three actions of kind `session`, recorded by the service itself (`via` is ours, so that nobody can hand them in):
//!
//! | action | entry kind | attributes |
//! |---|---|---|
//! | `session.started` | event | `recording` (what the recorder says), `client_id` |
//! | `session.chunk` | recording chunk | `sequence` (from 0), `offset`, `length`, `sha256` |
//! | `session.finished` | event | `reason`, `exit`, `ended_at`, `bytes`, `chunks`, `chunks_sha256`; `started` (number, time, account) and `recording` again |
//!
//! Beside them, of what becomes of sessions (`risk`): `session.scored`, see `risk/entry.rs`, and `baselines.built`, of kind
//! `admin`, when somebody ordered a build.
//!
//! The last of the three repeats what the first one says, so that it is the session: a list reads one entry for each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tlog::entry::Kind as EntryKind;

use super::SessionId;
use super::info::{EndReason, Ended, Session, SessionInfo};
use crate::access::{Caller, Principal};
use crate::model::event::{SourceDraft, TargetDraft};
use crate::model::{AccountId, Event, EventDraft, Kind, OrgId, Outcome, PartyDraft, time};
use crate::numbers::Part;
use crate::own_events;
use crate::risk::SessionScore;
use crate::risk::entry::SCORED;

/// Action when a recording began.
pub const STARTED: &str = "session.started";
/// Action of a piece of a recording.
pub const CHUNK: &str = "session.chunk";
/// Action when a recording was over.
pub const FINISHED: &str = "session.finished";
/// Action when somebody ordered a build of the baselines.
pub const BASELINES_BUILT: &str = "baselines.built";

/// One entry of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// It began; or it ended, and this is all of it.
    Session(Box<Session>),
    /// A piece of it.
    Chunk(Chunk),
    /// How far it is from what is usual for its user.
    Scored(Box<SessionScore>),
    /// Baselines were built by order.
    Built {
        /// The number of the entry.
        number: u64,
        /// When, in microseconds since 1970.
        at_us: i64,
    },
}

/// One piece of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The session.
    pub session: SessionId,
    /// Place among the chunks, from 0.
    pub sequence: u64,
    /// Place of its first byte in the recording.
    pub offset: u64,
    /// Its length in bytes; never 0.
    pub length: u32,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The number of its entry.
    pub number: u64,
    /// When it came.
    pub recorded_at: Timestamp,
}

impl Chunk {
    /// Place of the first byte after it.
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }
}

#[derive(Serialize, Deserialize)]
struct StartedAttributes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    recording: SessionInfo,
}

#[derive(Serialize, Deserialize)]
struct ChunkAttributes {
    sequence: u64,
    offset: u64,
    length: u32,
    #[serde(with = "hex::serde")]
    sha256: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct FinishedAttributes {
    reason: EndReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit: Option<i64>,
    ended_at: String,
    bytes: u64,
    chunks: u64,
    #[serde(with = "hex::serde")]
    chunks_sha256: [u8; 32],
    started: StartedRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    recording: SessionInfo,
}

/// Where it began.
#[derive(Serialize, Deserialize)]
struct StartedRef {
    number: u64,
    recorded_at: String,
    started_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
}

/// The event that begins a session. Its number and time are not known yet.
pub fn started(session: &Session, who: &Principal) -> EventDraft {
    let attributes = StartedAttributes { client_id: session.client_id.clone(), recording: session.info.clone() };
    let draft = own_events::draft(STARTED, Kind::Session, Outcome::Success, None, &who.caller);
    about(draft, session, session.started_at, &attributes)
}

/// The event that ends a session: `session.ended` says how.
pub fn finished(session: &Session, ended: &Ended, caller: &Caller) -> EventDraft {
    let attributes = FinishedAttributes {
        reason: ended.reason,
        exit: ended.exit,
        ended_at: ended.at.to_string(),
        bytes: session.bytes,
        chunks: session.chunks,
        chunks_sha256: ended.chunks_sha256,
        started: StartedRef {
            number: session.number,
            recorded_at: session.recorded_at.to_string(),
            started_at: session.started_at.to_string(),
            account: session.account,
        },
        client_id: session.client_id.clone(),
        recording: session.info.clone(),
    };
    let outcome = match ended.reason {
        EndReason::Finished => Outcome::Success,
        EndReason::Aborted | EndReason::Timeout | EndReason::Closed => Outcome::Failure,
    };
    let draft = own_events::draft(FINISHED, Kind::Session, outcome, None, caller);
    about(draft, session, ended.at, &attributes)
}

/// The event of a chunk.
pub fn chunk(chunk: &Chunk) -> EventDraft {
    let attributes =
        ChunkAttributes { sequence: chunk.sequence, offset: chunk.offset, length: chunk.length, sha256: chunk.sha256 };
    // Nothing of who and from where but the envelope: there may be tens of thousands of them.
    let mut draft = own_events::draft(CHUNK, Kind::Session, Outcome::Success, None, &Caller::internal());
    draft.session = Some(chunk.session.to_string());
    draft.attributes = object(&attributes);
    draft
}

fn object(attributes: &impl Serialize) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(attributes) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => unreachable!("a struct of texts and numbers is a JSON object"),
    }
}

/// What every event about a session says: whose, from where, on what.
fn about(mut draft: EventDraft, session: &Session, at: Timestamp, attributes: &impl Serialize) -> EventDraft {
    let info = &session.info;
    draft.occurred_at = Some(at.to_string());
    draft.session = Some(session.id.to_string());
    draft.actor = info.user_name().map(|name| PartyDraft {
        name: Some(name.to_owned()),
        kind: Some("user".into()),
        ..PartyDraft::default()
    });
    let (address, host, port) = (info.client.address.clone(), info.client.name.clone(), info.client.port);
    draft.source = (address.is_some() || host.is_some() || port.is_some()).then_some(SourceDraft {
        address,
        host,
        port,
        application: None,
    });
    let name = info.server.name.clone().or_else(|| info.server.address.clone());
    if name.is_some() || info.server.id.is_some() {
        draft.targets.push(TargetDraft { kind: Some("host".into()), id: info.server.id.clone(), name });
    }
    draft.attributes.extend(object(attributes));
    draft
}

impl Entry {
    /// What an event of a log says of a session; `None` for every other event, and for one that somebody handed in.
    pub fn read(org: OrgId, part: Part, event: &Event) -> Option<Entry> {
        if event.recorded_by().via != Caller::INTERNAL
            || !matches!(event.entry_kind(), EntryKind::Event | EntryKind::RecordingChunk)
        {
            return None;
        }
        let fields = event.fields().ok()?;
        if fields.kind == Kind::Admin && fields.action.as_str() == BASELINES_BUILT {
            return Some(Entry::Built { number: event.number(), at_us: time::micros(event.recorded_at()) });
        }
        if fields.kind != Kind::Session {
            return None;
        }
        let session: SessionId = fields.session.as_deref()?.parse().ok()?;
        let attributes = fields.attributes?.get();
        match fields.action.as_str() {
            STARTED => {
                let said: StartedAttributes = serde_json::from_str(attributes).ok()?;
                Some(Entry::Session(Box::new(Session {
                    id: session,
                    org,
                    client_id: said.client_id,
                    account: event.recorded_by().account,
                    info: said.recording,
                    started_at: event.occurred_at(),
                    recorded_at: event.recorded_at(),
                    number: event.number(),
                    ended: None,
                    bytes: 0,
                    chunks: 0,
                    part,
                })))
            }
            SCORED => Some(Entry::Scored(Box::new(crate::risk::entry::read(org, session, event, attributes)?))),
            CHUNK => {
                let said: ChunkAttributes = serde_json::from_str(attributes).ok()?;
                Some(Entry::Chunk(Chunk {
                    session,
                    sequence: said.sequence,
                    offset: said.offset,
                    length: said.length,
                    sha256: said.sha256,
                    number: event.number(),
                    recorded_at: event.recorded_at(),
                }))
            }
            FINISHED => {
                let said: FinishedAttributes = serde_json::from_str(attributes).ok()?;
                Some(Entry::Session(Box::new(Session {
                    id: session,
                    org,
                    client_id: said.client_id,
                    account: said.started.account,
                    info: said.recording,
                    started_at: time::parse(&said.started.started_at)?,
                    recorded_at: time::parse(&said.started.recorded_at)?,
                    number: said.started.number,
                    ended: Some(Ended {
                        at: time::parse(&said.ended_at)?,
                        reason: said.reason,
                        exit: said.exit,
                        chunks_sha256: said.chunks_sha256,
                        number: event.number(),
                    }),
                    bytes: said.bytes,
                    chunks: said.chunks,
                    part,
                })))
            }
            _ => None,
        }
    }
}
