//! The documents of recorded sessions.

use serde::{Deserialize, Deserializer, Serialize};
use service::recordings::{Chunk, ChunkReceipt, EndReason, Ended, Session, SessionInfo};
use service::{AccountId, SessionId, Timestamp};
use utoipa::ToSchema;

use super::super::wire::time;
use super::content_schema::ContentDocument;

/// A session to be started.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSession)]
pub struct NewSession {
    /// The recorder's own id, 1 to 200 bytes: starting the same one again answers with the session it started first.
    #[serde(default)]
    pub client_id: Option<String>,
    /// What the recorder says of it.
    #[serde(default)]
    #[schema(value_type = Recording)]
    pub recording: SessionInfo,
}

/// What a recorder says of a session. Every member may be absent. For the document only: `service` reads it.
#[derive(ToSchema)]
#[schema(as = Recording)]
#[allow(dead_code, reason = "read by the maker of the OpenAPI document")]
pub struct Recording {
    /// `name`, `domain`, `gateway_name`, `gateway_domain`, `server_names` (a list), `server_domain`.
    #[schema(value_type = Option<Object>)]
    user: (),
    /// Where the user sat: `address`, `name`, `port`, `id`.
    #[schema(value_type = Option<Object>)]
    client: (),
    /// What the user worked on: `address`, `name`, `port`, `id`.
    #[schema(value_type = Option<Object>)]
    server: (),
    /// What the user asked for: `address`, `name`, `port`, `id`.
    #[schema(value_type = Option<Object>)]
    target: (),
    /// The gateway's end towards the server: `address`, `name`, `port`, `id`.
    #[schema(value_type = Option<Object>)]
    server_local: (),
    /// Such as `ssh`.
    protocol: Option<String>,
    /// When it started, RFC 3339.
    started_at: Option<String>,
    /// `asciicast-v1`, `asciicast-v2`, `asciicast-v3`, `ttyrec`, `script`, `sudo-iolog`, `tlog`; absent: found out.
    format: Option<String>,
    /// The terminal's size: `columns`, `rows`.
    #[schema(value_type = Option<Object>)]
    size: (),
    /// What was run.
    command: Option<String>,
    /// For people.
    title: Option<String>,
    /// The terminal device.
    tty: Option<String>,
    /// How the user proved who they are.
    auth_method: Option<String>,
    /// What a gateway decided.
    verdict: Option<String>,
    /// Why it was denied.
    deny_reason: Option<String>,
    /// A gateway's rule for channels.
    channel_policy: Option<String>,
    /// A gateway's rule for connections.
    connection_policy: Option<String>,
    /// Its id.
    connection_policy_id: Option<String>,
    /// The network of the connection.
    network_id: Option<String>,
    /// The node that recorded it.
    node_id: Option<String>,
    /// What a password vault says of the request behind it.
    #[schema(value_type = Option<Object>)]
    vault: (),
    /// Anything else.
    #[schema(value_type = Option<Object>)]
    attributes: (),
}

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionDocument {
    /// 22 digits and lower-case letters.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// The recorder's own id.
    pub client_id: Option<String>,
    /// The account that started it.
    #[schema(value_type = Option<String>)]
    pub account: Option<AccountId>,
    /// More may come.
    pub active: bool,
    /// When it started: what the recorder said, else when we were told.
    pub started_at: String,
    /// When we were told.
    pub recorded_at: String,
    /// The number of the event that says that it started.
    pub seq: u64,
    /// Bytes of the recording so far; the next chunk goes here.
    pub bytes: u64,
    /// Chunks so far.
    pub chunks: u64,
    /// How it ended; null while it is open.
    pub ended: Option<EndDocument>,
    /// What the recorder said of it.
    #[schema(value_type = Recording)]
    pub recording: SessionInfo,
    /// What there is to say of what was on its screens; only where one session is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentDocument>,
}

/// How a session ended.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionEnd)]
pub struct EndDocument {
    /// When.
    pub at: String,
    /// `finished`, `aborted`, `timeout` or `closed`.
    #[schema(value_type = String)]
    pub reason: EndReason,
    /// The exit status of what was run.
    pub exit: Option<i64>,
    /// SHA-256 over the SHA-256 of each chunk, in order.
    pub chunks_sha256: String,
    /// The number of the event that says so.
    pub seq: u64,
}

impl EndDocument {
    /// `seq`: the number that readers see of the entry that says so.
    fn new(ended: Ended, seq: u64) -> EndDocument {
        let Ended { at, reason, exit, chunks_sha256, .. } = ended;
        EndDocument { at: time(at), reason, exit, chunks_sha256: hex::encode(chunks_sha256), seq }
    }
}

impl From<Session> for SessionDocument {
    fn from(session: Session) -> SessionDocument {
        let ended_seq = session.ended_seq();
        SessionDocument {
            id: session.id,
            active: session.is_active(),
            seq: session.seq(),
            client_id: session.client_id,
            account: session.account,
            started_at: time(session.started_at),
            recorded_at: time(session.recorded_at),
            bytes: session.bytes,
            chunks: session.chunks,
            ended: session.ended.zip(ended_seq).map(|(ended, seq)| EndDocument::new(ended, seq)),
            recording: session.info,
            content: None,
        }
    }
}

/// One page of sessions, the one that started last first.
#[derive(Serialize, ToSchema)]
pub struct Sessions {
    /// The page.
    pub sessions: Vec<SessionDocument>,
    /// Pass it as `after` for the next page; null at the end.
    pub next: Option<String>,
}

/// One chunk of a recording.
#[derive(Serialize, ToSchema)]
#[schema(as = Chunk)]
pub struct ChunkDocument {
    /// Place among the chunks, from 0.
    pub sequence: u64,
    /// Place of its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// The number of its event.
    pub seq: u64,
    /// When it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<String>,
    /// It was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
}

impl From<Chunk> for ChunkDocument {
    fn from(chunk: Chunk) -> ChunkDocument {
        let Chunk { sequence, offset, length, sha256, number, recorded_at, .. } = chunk;
        let recorded_at = Some(time(recorded_at));
        ChunkDocument {
            sequence,
            offset,
            length,
            sha256: hex::encode(sha256),
            seq: number,
            recorded_at,
            duplicate: None,
        }
    }
}

impl From<ChunkReceipt> for ChunkDocument {
    fn from(receipt: ChunkReceipt) -> ChunkDocument {
        let ChunkReceipt { sequence, offset, length, sha256, number, duplicate } = receipt;
        let (recorded_at, duplicate) = (None, Some(duplicate));
        ChunkDocument { sequence, offset, length, sha256: hex::encode(sha256), seq: number, recorded_at, duplicate }
    }
}

/// One page of the chunks of a recording, in order.
#[derive(Serialize, ToSchema)]
pub struct Chunks {
    /// The page.
    pub chunks: Vec<ChunkDocument>,
    /// Pass it as `after` for the next page; null at the end.
    pub next: Option<u64>,
}

/// What became of an upload.
#[derive(Serialize, ToSchema)]
pub struct Uploaded {
    /// Bytes of the recording now.
    pub bytes: u64,
    /// Chunks that are new.
    pub chunks: u64,
    /// Chunks that were there.
    pub duplicates: u64,
    /// The session, with `finish=true`.
    pub session: Option<SessionDocument>,
}

/// How a recorder ends a recording.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FinishSession)]
pub struct FinishDocument {
    /// It gave up: there is less than there was to record.
    #[serde(default)]
    pub aborted: bool,
    /// The exit status of what was run.
    #[serde(default)]
    pub exit: Option<i64>,
    /// When the session ended, RFC 3339; absent: now.
    #[serde(default, deserialize_with = "instant")]
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<Timestamp>,
    /// How many bytes were sent; another number is refused.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// An RFC 3339 time with its offset, or null.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    let read = |text: String| {
        text.parse()
            .map_err(|_| serde::de::Error::custom(format!("{text:?} is not a time such as 2026-01-31T00:00:00Z")))
    };
    text.map(read).transpose()
}
