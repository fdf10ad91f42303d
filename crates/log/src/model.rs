//! What goes in and what comes out.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tlog::Hash;
use tlog::entry::Kind;

/// One entry to be appended.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Events and recording chunks are committed to with a salt (mode 1); the other kinds go into the entry as they
    /// are (mode 0), so that outsiders can read them.
    pub kind: Kind,
    /// The client's id of the event, under which it enters this log once; zeros if there is none.
    pub id: [u8; 16],
    /// Opaque bytes, at most `Options::body_bytes_max`; for inline kinds at most `tlog::entry::INLINE_BODY_BYTES_MAX`.
    pub body: Vec<u8>,
}

impl BodyState {
    /// Whether the body is gone by order.
    pub fn is_erased(self) -> bool {
        matches!(self, BodyState::Erased { .. })
    }
}

impl NewEntry {
    /// An event: kind 1, committed.
    pub fn event(id: [u8; 16], body: Vec<u8>) -> NewEntry {
        NewEntry { kind: Kind::Event, id, body }
    }
}

/// Where an entry is, after it became durable and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position in the log, from 0.
    pub index: u64,
    /// What clients see: index + 1.
    pub number: u64,
    /// Microseconds since 1970-01-01 UTC, never less than the entry before.
    pub received_at_us: u64,
    /// SHA-256 over `0x00 || entry`.
    pub leaf: Hash,
    /// The id was in the log already: this is the first one's place, nothing was appended.
    pub duplicate: bool,
    /// Size of a signed, stored head that covers the entry.
    pub tree_size: u64,
}

/// One stored record, as read from the primary store.
#[derive(Debug, Clone)]
pub struct Record {
    /// Position in the log, from 0.
    pub index: u64,
    /// Index + 1.
    pub number: u64,
    /// Microseconds since 1970-01-01 UTC.
    pub received_at_us: u64,
    /// What the entry is.
    pub kind: Kind,
    /// The client's id; zeros if none.
    pub id: [u8; 16],
    /// Salt of the commitment; zeros for inline kinds, and where the body was erased.
    pub salt: [u8; 16],
    /// The body, exactly as appended; of an erased one its commitment.
    pub body: Body,
    /// Whether the body is there.
    pub state: BodyState,
}

/// Whether a record's body is still in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// The body is there.
    Present,
    /// The body and salt were erased by order; the record's `body` holds the 32-byte commitment that remains.
    Erased {
        /// How long the body was.
        body_bytes: u32,
        /// Index of the erasure note that says on whose order.
        note_index: u64,
    },
}

/// A slice of a block that many records share; cloning it copies nothing. Holding one keeps its block in memory.
#[derive(Clone)]
pub struct Body {
    block: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Body {
    /// `start..end` must lie within the block.
    pub(crate) fn new(block: Arc<Vec<u8>>, start: usize, end: usize) -> Body {
        assert!(start <= end && end <= block.len(), "a body lies within its block");
        Body { block, start, end }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        let end = bytes.len();
        Body { block: Arc::new(bytes), start: 0, end }
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        **self == **other
    }
}

impl Eq for Body {}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

/// The newest signed and stored head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of entries it covers.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Time of receipt of the last entry; 0 for an empty log.
    pub last_received_at_us: u64,
    /// The signed note (C2SP tlog-checkpoint).
    pub checkpoint: Arc<str>,
}

/// Whether a log takes entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogState {
    /// Yes.
    Open,
    /// No; reads go on. See `specs/proofs.md` §5.2.
    ReadOnly {
        /// Why.
        reason: ReadOnlyReason,
        /// What was found, for the operator.
        detail: Arc<str>,
    },
}

impl LogState {
    /// Whether the log is what was signed: it takes entries, or was closed by order.
    pub fn is_sound(&self) -> bool {
        matches!(self, LogState::Open | LogState::ReadOnly { reason: ReadOnlyReason::Closed, .. })
    }
}

/// Why a log does not take entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnlyReason {
    /// The stored log ends before what was signed: acknowledged records are gone.
    Truncated,
    /// The stored log has another root at a size that was signed: changed or forked.
    Forked,
    /// The guarded signer has no record of a log that has signed heads.
    SignerMissing,
    /// Stored bytes do not check; which ones is in the detail.
    Damaged,
    /// No instance seed gives the key that the log is signed with.
    KeyMissing,
    /// It was closed by order; its last entry says so. Nothing is wrong with it.
    Closed,
    /// Somebody outside remembers more of this log than is stored: an older copy was restored.
    RolledBack,
}

impl fmt::Display for ReadOnlyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadOnlyReason::Truncated => "truncated",
            ReadOnlyReason::Forked => "forked",
            ReadOnlyReason::SignerMissing => "signer_missing",
            ReadOnlyReason::Damaged => "damaged",
            ReadOnlyReason::KeyMissing => "key_missing",
            ReadOnlyReason::Closed => "closed",
            ReadOnlyReason::RolledBack => "rolled_back",
        })
    }
}

/// What verification says of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// The record's leaf was recomputed from its stored bytes and hashes up to a signed root.
    Verified,
    /// Younger than the newest checkpoint.
    Unsealed,
    /// The body is gone by order, the commitment is intact.
    Erased,
    /// Not what was committed.
    Tainted(Reason),
    /// Could not be decided; never to be shown as verified. Holds what stood in the way.
    Unchecked(Arc<str>),
}

/// Why a record or a log is tainted (`specs/proofs.md` §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A field or the body differs from what the leaf commits to.
    RecordChanged,
    /// No record at an index that is signed.
    RecordMissing,
    /// A body is gone and no erasure note says why.
    ErasureUnexplained,
    /// The record claims another index than its place.
    IndexMismatch,
    /// Records are not in the order of their indexes.
    OrderChanged,
    /// Numbers do not rise.
    NumberNotRising,
    /// Time falls.
    TimeBackwards,
    /// An id is there twice.
    DuplicateId,
    /// A stored hash is not the hash of what is below it.
    TileChanged,
    /// A stored hash is not there.
    TileMissing,
    /// The root of the stored leaves is not the signed one.
    RootMismatch,
    /// A signature does not verify.
    SignatureInvalid,
    /// The log ends before what was signed.
    Truncated,
    /// The log is older than what somebody remembers.
    RolledBack,
    /// Another root at a size that was signed.
    Forked,
    /// Bytes that belong to no record (a header, directory, index or check value) are damaged.
    FileDamaged,
}

impl Reason {
    /// The name used on the wire and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::RecordChanged => "record_changed",
            Reason::RecordMissing => "record_missing",
            Reason::ErasureUnexplained => "erasure_unexplained",
            Reason::IndexMismatch => "index_mismatch",
            Reason::OrderChanged => "order_changed",
            Reason::NumberNotRising => "number_not_rising",
            Reason::TimeBackwards => "time_backwards",
            Reason::DuplicateId => "duplicate_id",
            Reason::TileChanged => "tile_changed",
            Reason::TileMissing => "tile_missing",
            Reason::RootMismatch => "root_mismatch",
            Reason::SignatureInvalid => "signature_invalid",
            Reason::Truncated => "truncated",
            Reason::RolledBack => "rolled_back",
            Reason::Forked => "forked",
            Reason::FileDamaged => "file_damaged",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counters since opening, and what is there now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Logs known.
    pub logs: u64,
    /// Of these, read-only ones that nobody closed.
    pub logs_read_only: u64,
    /// Entries appended and acknowledged.
    pub entries_appended: u64,
    /// Entries that were in already.
    pub duplicates: u64,
    /// Groups committed.
    pub groups: u64,
    /// Bytes written to commit files.
    pub commit_bytes: u64,
    /// Checkpoints signed.
    pub signatures: u64,
    /// Groups dropped because the second opinion on their hashes differed.
    pub check_mismatches: u64,
    /// Times the clock stood before the last entry's time.
    pub clock_steps_back: u64,
    /// Appends refused because too much waited.
    pub refused_full: u64,
    /// Bytes waiting for the writer.
    pub pool_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Commit files not yet sealed.
    pub commit_files: u64,
    /// The last write found the disk full; the next that succeeds ends it.
    pub disk_full: bool,
    /// Why the writer stopped for good, if it did.
    pub stopped: Option<Arc<str>>,
}
