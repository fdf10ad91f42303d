//! Recorded sessions: chunks of bytes in a store, their hashes in the log, a catalogue to find them by.
//!
//! **Promise.** A chunk that was acknowledged is durable in the store *before* its hash is appended to the organisation's
//! log, and can be read only *after* that entry was acknowledged; whoever reads gets bytes whose hash is the one in the
//! log, whose entry hashes up to the signed head, or an error that names the damage. Crash at any point: what no entry
//! names is garbage, which a sweep removes; what an entry names is there. Every view, download and screenshot is an event,
//! and the first of a kind is durable before anything is shown.
//!
//! ```text
//! start ──▶ session.started ──▶ chunk: store ─▶ session.chunk ─▶ … ──▶ finish: session.finished
//!                                                  └──── nothing for too long: session.finished, reason timeout
//! ```
//!
//! **What is in a recording** is made ready by `indexing` when it is over, and looked into by `looking`; before that it is followed
//! by `live`. A chunk is bytes to all the rest.
//!
//! **Limits.** [`LIVE_MAX`], [`CHUNK_BYTES_MAX`], [`INFO_BYTES_MAX`], [`CLIENT_ID_BYTES_MAX`]; [`RecordingOptions`] for the rest.
//! An organisation with an active encryption key keeps no clear text, so recordings of it are refused: a recording that
//! cannot be searched or shown would be of no use here, and one kept in clear would break the promise made about the key.
//!
//! **Idempotency.** A start with a `client_id` that is there answers with that session; a chunk that is there (same place,
//! same bytes) with its receipt; a finish of what is finished with how it ended. Other bytes at the same place are a
//! `Conflict`.

mod access;
mod blobs;
pub(crate) mod catalogue;
mod contents;
mod entry;
pub mod filter;
mod forget;
mod id;
pub(crate) mod indexing;
mod info;
mod keeper;
mod life;
mod live;
mod looking;
mod playback;
pub(crate) mod read;
mod sweep;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log::{LogId, Logs};
use parking_lot::Mutex;
use replay::picture::Fonts;
use sha2::Sha256;

pub use access::{Access, AccessInfo};
pub use blobs::BlobStore;
pub use contents::{
    ContentsPage, ContentsQuery, FOUND_SESSIONS_MAX, FoundSession, HITS_OF_SESSION_MAX, Unsearched, Why,
};
pub use entry::Chunk;
pub(crate) use entry::{BASELINES_BUILT, Entry};
pub use id::{InvalidSessionId, SessionId};
pub use indexing::Summary;
pub use info::{
    CLIENT_ID_BYTES_MAX, EndReason, Ended, Endpoint, Finish, INFO_BYTES_MAX, NewSession, Session, SessionInfo,
    SessionUser, TerminalSize,
};
pub use life::ChunkReceipt;
pub use live::LIVE_MAX;
pub use looking::{ContentHit, ContentHits, ContentSearch, HITS_MAX, IndexState, Moment, Picture, SessionReplay};
pub use playback::{Playback, PlaybackEvent, PlaybackWhat};
pub use read::{RecordingReader, SESSIONS_PAGE_MAX, SessionCursor, SessionPage, SessionQuery};
pub use sweep::Swept;

use crate::control::Control;
use crate::error::Result;
use crate::model::OrgId;
use crate::risk::Risk;
use blobs::Blobs;
use catalogue::Catalogue;

/// Most bytes of one chunk.
pub const CHUNK_BYTES_MAX: usize = 8 << 20;

/// How recordings are kept.
#[derive(Clone, Debug)]
pub struct RecordingOptions {
    /// Where their bytes lie.
    pub store: BlobStore,
    /// What pictures of screens are drawn with; `None`: the built-in fonts, so that they are the same everywhere.
    pub fonts: Option<Arc<Fonts>>,
    /// Most bytes of one recording.
    pub recording_bytes_max: u64,
    /// Most sessions that are open at once, of all organisations.
    pub open_sessions_max: usize,
    /// A session to which nothing came for this long is over.
    pub idle_timeout: Duration,
    /// How often chunks that no entry names are looked for; `None`: never by itself.
    pub sweep_every: Option<Duration>,
}

impl Default for RecordingOptions {
    /// `DATA/blobs`, 64 GiB, 100,000 sessions, a day, a day.
    fn default() -> RecordingOptions {
        RecordingOptions {
            store: BlobStore::InData,
            fonts: None,
            recording_bytes_max: 64 << 30,
            open_sessions_max: 100_000,
            idle_timeout: Duration::from_secs(24 * 3600),
            sweep_every: Some(Duration::from_secs(24 * 3600)),
        }
    }
}

/// What the service knows of recordings.
pub struct Recordings {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) looking: looking::Looking,
    pub(crate) lives: live::Lives,
    blobs: Blobs,
    options: RecordingOptions,
    /// Sessions that are not over, by id. Filled from the catalogue at the start.
    open: Mutex<HashMap<SessionId, Arc<Open>>>,
    /// One start at a time for one client's id: which of these is taken follows from the id.
    starts: Vec<tokio::sync::Mutex<()>>,
    /// Organisations in which nothing may start now.
    held: Mutex<HashMap<OrgId, usize>>,
    /// Read: somebody starts a session. Write: whoever put an organisation on hold waits for those who did not see it.
    starting: tokio::sync::RwLock<()>,
}

/// How many starts with different ids can go on at once.
const STARTS: u64 = 64;

/// A session that is not over.
struct Open {
    /// As it started: no bytes, no end.
    session: Session,
    log: LogId,
    /// What names the log in indexes.
    ordinal: u32,
    shown: Mutex<Shown>,
    /// Held by whoever adds to the session or ends it.
    turn: tokio::sync::Mutex<Progress>,
}

/// How far a session came, for readers.
#[derive(Clone, Copy, Debug)]
struct Shown {
    bytes: u64,
    chunks: u64,
    /// When something came last.
    last_at_us: u64,
}

/// How far a session came, for writers.
#[derive(Default)]
struct Progress {
    /// Over the hashes of its chunks; `None` after a start: it is made again from the log when it is needed.
    digest: Option<Sha256>,
    /// How it ended.
    over: Option<Session>,
    /// Not before this time is another try made to end it.
    retry_at_us: u64,
}

impl Open {
    /// The session as it is now.
    fn now(&self) -> Session {
        let shown = *self.shown.lock();
        Session { bytes: shown.bytes, chunks: shown.chunks, ..self.session.clone() }
    }
}

impl Recordings {
    /// Opens store and catalogue; `keep_recordings` of the service comes next. Blocks.
    pub fn open(
        data: &Path,
        options: RecordingOptions,
        logs: Logs,
        control: Arc<Control>,
        risk: Arc<Risk>,
    ) -> Result<Recordings> {
        Ok(Recordings {
            blobs: Blobs::open(data, &options.store)?,
            catalogue: Arc::new(Catalogue::open(data, logs, control, risk)?),
            looking: looking::Looking::new(options.fonts.clone()),
            lives: live::Lives::default(),
            options,
            open: Mutex::default(),
            starts: (0..STARTS).map(|_| tokio::sync::Mutex::default()).collect(),
            held: Mutex::default(),
            starting: tokio::sync::RwLock::default(),
        })
    }

    /// Sessions that are not over.
    pub fn open_count(&self) -> u64 {
        self.open.lock().len() as u64
    }

    fn find_open(&self, org: OrgId, id: SessionId) -> Option<Arc<Open>> {
        self.open.lock().get(&id).filter(|open| open.session.org == org).cloned()
    }
}
