//! Append-only, signed logs of opaque bodies: one writer, group commit over all organisations.
//!
//! **Promise.** What [`Logs::append`] acknowledged is in the log once, in order, on disk (after an fdatasync), hashed
//! into the log's Merkle tree, and covered by a checkpoint that the guarded signer signed and that is itself on disk.
//! Opening after a crash at any instruction keeps every acknowledged entry and no half batch. What cannot be kept
//! that way (a damaged file, a cut tail, an older copy of the folder) makes that one log read-only with a
//! [`ReadOnlyReason`]; the other logs go on.
//!
//! **Out of scope.** What a body means: nothing here parses one. Who may read or write: see the crate `service`.
//! Search. More than one machine (the seam for it is [`group::Group`]).
//!
//! **Limits.** A body is at most [`Options::body_bytes_max`] (1 MiB), an inline body at most
//! `tlog::entry::INLINE_BODY_BYTES_MAX`; what waits to be written is at most [`Options::pool_bytes_max`]; beyond, the
//! answer is [`Error::Full`] at once. Memory does not grow with what is stored, apart from about 40 bytes for each
//! pair of (log, 64 MiB of commit log that it was active in).
//!
//! The folder is described in `docs/format.md`, the rules it follows in `specs/proofs.md` sections 2 to 5 and 9.
//!
//! ```
//! use std::sync::Arc;
//! use log::store::{Store, memory::MemoryStore};
//! use log::{InstanceSeed, LogId, Logs, ManualClock, NewEntry, Options, SeededEntropy};
//!
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! let signer: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! Logs::create_folder(&store, &signer, "audit.example.org")?;
//! let clock = Arc::new(ManualClock::new(1_790_000_000_000_000));
//! let entropy = Arc::new(SeededEntropy::new(1));
//! let logs = Logs::open(store, signer, InstanceSeed::new([7; 32]), "audit.example.org", Options::default(), clock, entropy)?;
//! let id: LogId = "aaaaaaaaaaaaaaaaaaaaaaaaaa".parse()?;
//! logs.create(id)?;
//! let appended = logs.append_blocking(id, vec![NewEntry::event([0; 16], b"{}".to_vec())])?;
//! assert_eq!((appended[0].index, appended[0].number, appended[0].tree_size), (1, 2, 2));
//! let records = logs.read(&id, 1..2, 1 << 20)?;
//! assert_eq!(&*records[0].body, b"{}");
//! # logs.shutdown();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod check;
mod checkpoints;
mod clock;
mod commit;
mod erase;
mod error;
mod frame;
pub mod fsck;
pub mod group;
mod growth;
mod id;
mod ids;
mod journal;
mod keys;
mod logs;
mod model;
mod notes;
mod options;
mod prune;
mod read;
mod recovery;
mod retention;
mod rotation;
mod seal;
mod segment;
mod sequencer;
mod shared;
mod signer;
mod signing;
mod state;
pub mod store;
mod tiles;
mod verify;

pub use clock::{Clock, Entropy, ManualClock, SeededEntropy, SystemClock, SystemEntropy};
pub use erase::{ERASURE_NUMBERS_MAX, Erased, Erasure};
pub use error::{Error, Result};
pub use id::LogId;
pub use keys::{KEY_OVERLAP_US, LogKey, Replaced, Rotation};
pub use logs::Logs;
pub use model::{
    Appended, Body, BodyState, Head, LogState, NewEntry, ReadOnlyReason, Reason, Record, RecordState, Stats,
};
pub use notes::{COMPROMISED, ErasureNote, KeyNote, LogNote, Predecessor};
pub use options::{InstanceSeed, Options};
pub use rotation::PublishedKey;
