//! The handle: every public verb.

use std::ops::Range;
use std::sync::Arc;

use tlog::Hash;

use crate::clock::{Clock, Entropy};
use crate::error::Result;
use crate::id::LogId;
use crate::model::{Appended, Head, LogState, NewEntry, Record, RecordState, Stats};
use crate::options::{InstanceSeed, Options};
use crate::store::Store;

/// All logs of one data folder. Clones are the same logs.
#[derive(Clone)]
pub struct Logs {}

#[allow(unused_variables, clippy::unimplemented)]
impl Logs {
    /// Makes an empty data folder in two empty stores: the log's own, and the guarded signer's (better on another
    /// volume). `audit_host` becomes part of every log's origin and never changes.
    ///
    /// # Errors
    /// - `Conflict`: there is one already.
    /// - `Unavailable`: the store failed.
    pub fn create_folder(store: &dyn Store, signer_store: &dyn Store, audit_host: &str) -> Result<()> {
        unimplemented!("in progress")
    }

    /// Opens a data folder, finishing or dropping what a crash left (`specs/proofs.md` §5.2). Logs that are not what
    /// was signed open read-only, each with its reason in [`Logs::state`]; the others go on.
    ///
    /// # Errors
    /// - `NotFound`: no data folder there, or of an unknown format version.
    /// - `Conflict`: another process has it open, or `audit_host` is not the one it was created with.
    /// - `Unavailable`: the store failed.
    pub fn open(
        store: Arc<dyn Store>,
        signer_store: Arc<dyn Store>,
        seed: InstanceSeed,
        audit_host: &str,
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Logs> {
        unimplemented!("in progress")
    }

    /// Starts a log: its entry 0 is the log note `{"log":"opened"}`. Waits like [`Logs::append_blocking`].
    ///
    /// # Errors
    /// `Conflict` if the log exists; else as [`Logs::append`].
    pub fn create(&self, id: LogId) -> Result<Appended> {
        unimplemented!("in progress")
    }

    /// Every log, in order of ids.
    pub fn ids(&self) -> Vec<LogId> {
        unimplemented!("in progress")
    }

    /// Whether the log takes entries.
    pub fn state(&self, id: &LogId) -> Result<LogState> {
        unimplemented!("in progress")
    }

    /// The newest signed and stored head. Cheap.
    pub fn head(&self, id: &LogId) -> Result<Head> {
        unimplemented!("in progress")
    }

    /// Appends a batch to one log, all of it or nothing, and waits until it is durable and covered by a signed,
    /// stored checkpoint. Answers in the order of `entries`.
    ///
    /// An entry whose non-zero id is in the log already, or earlier in the batch, is not appended again: its answer is
    /// the first one's with `duplicate` set. Calls awaited one after another keep their order; concurrent calls land
    /// in any order. If the future is dropped the batch may still be appended.
    ///
    /// # Errors
    /// - `NotFound`, `Invalid`, `TooLarge`, `Full`, `ReadOnly`: nothing was appended.
    /// - `Unavailable`: it may or may not be in; retry with the same ids.
    pub async fn append(&self, log: LogId, entries: Vec<NewEntry>) -> Result<Vec<Appended>> {
        unimplemented!("in progress")
    }

    /// [`Logs::append`] for callers outside of an async runtime.
    pub fn append_blocking(&self, log: LogId, entries: Vec<NewEntry>) -> Result<Vec<Appended>> {
        unimplemented!("in progress")
    }

    /// Reads records of a range of indexes in ascending order. Indexes at or above the head's size are left out. Stops
    /// early when the bodies read reach `bytes_max`, but returns at least one record if there is one.
    ///
    /// # Errors
    /// `Corrupt` names the first index that cannot be read.
    pub fn read(&self, id: &LogId, range: Range<u64>, bytes_max: usize) -> Result<Vec<Record>> {
        unimplemented!("in progress")
    }

    /// Reads the records of these indexes, in the order given; each block is read once however many hits it holds.
    ///
    /// # Errors
    /// `NotFound` if an index is not in the log; `Corrupt` names an index that cannot be read.
    pub fn read_many(&self, id: &LogId, indexes: &[u64]) -> Result<Vec<Record>> {
        unimplemented!("in progress")
    }

    /// The stored leaf hashes of a range of indexes, which must lie below the head's size.
    pub fn leaf_hashes(&self, id: &LogId, range: Range<u64>) -> Result<Vec<Hash>> {
        unimplemented!("in progress")
    }

    /// The bytes of a tlog-tiles hash tile: level, number, and width (1..=256). Only for tiles within the head.
    pub fn tile(&self, id: &LogId, level: u8, index: u64, width: u16) -> Result<Vec<u8>> {
        unimplemented!("in progress")
    }

    /// The hash of the perfect subtree of 2^`level` leaves that starts at leaf `index` · 2^`level`, from stored tiles.
    pub fn node(&self, id: &LogId, level: u8, index: u64) -> Result<Hash> {
        unimplemented!("in progress")
    }

    /// The inclusion proof of an index in the tree of `size`; checked against the head before it is handed out.
    pub fn prove_inclusion(&self, id: &LogId, index: u64, size: u64) -> Result<Vec<Hash>> {
        unimplemented!("in progress")
    }

    /// The consistency proof between two sizes, both at most the head's; checked before it is handed out.
    pub fn prove_consistency(&self, id: &LogId, old: u64, new: u64) -> Result<Vec<Hash>> {
        unimplemented!("in progress")
    }

    /// The root of the first `size` entries, from stored tiles.
    pub fn root_at(&self, id: &LogId, size: u64) -> Result<Hash> {
        unimplemented!("in progress")
    }

    /// The kept checkpoint of exactly this size, if there is one: the newest, or the last one of a past day.
    pub fn checkpoint_at(&self, id: &LogId, size: u64) -> Result<Option<Arc<str>>> {
        unimplemented!("in progress")
    }

    /// The index of the entry with this non-zero id.
    pub fn find_id(&self, id: &LogId, entry_id: &[u8; 16]) -> Result<Option<u64>> {
        unimplemented!("in progress")
    }

    /// A counter that rises after each published group, of any log.
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        unimplemented!("in progress")
    }

    /// Judges records as returned by a read: recomputes their leaves from the bytes given and compares them with
    /// stored leaf hashes that hash up to the signed head. One state per record, in order. Never fails as a whole.
    pub fn verify_records(&self, id: &LogId, records: &[Record]) -> Vec<RecordState> {
        unimplemented!("in progress")
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        unimplemented!("in progress")
    }

    /// The log's verifier key as text (signed-note form).
    pub fn vkey(&self, id: &LogId) -> Result<String> {
        unimplemented!("in progress")
    }

    /// The log's origin: `<audit host>/l/<log id>`.
    pub fn origin(&self, id: &LogId) -> String {
        unimplemented!("in progress")
    }

    /// Takes no more appends, finishes those waiting, and closes the files. Other clones then answer `Unavailable`
    /// to appends and go on reading.
    pub fn shutdown(self) {
        unimplemented!("in progress")
    }
}
