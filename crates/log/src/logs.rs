//! The handle: every public verb.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, unbounded};
use parking_lot::Mutex;
use tlog::Hash;
use tlog::entry::{INLINE_BODY_BYTES_MAX, Kind};
use tlog::proof::{verify_consistency, verify_inclusion};
use tlog::tile::{self, TileId};
use tokio::sync::oneshot;

use crate::clock::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::group::{self, Batch, Fields, Hashing};
use crate::id::LogId;
use crate::ids::Ids;
use crate::keys::Keys;
use crate::model::{Appended, Head, LogState, NewEntry, ReadOnlyReason, Record, RecordState, Stats};
use crate::notes::{LogNote, Predecessor};
use crate::options::{InstanceSeed, Options};
use crate::recovery::{self, Setup};
use crate::seal::{self, SealJob};
use crate::sequencer::{self, Answer, ENTRY_OVERHEAD_BYTES, Message, Placed, Sequencer, Start, Submission};
use crate::shared::Shared;
use crate::signer::origin;
use crate::signing;
use crate::state::LogSlot;
use crate::store::Store;
use crate::tiles::StoredTree;

/// Records read at once for a bundle of entries.
const ENTRIES_BYTES_MAX: usize = 64 << 20;

/// All logs of one data folder. Clones are the same logs.
///
/// When the last clone goes without [`Logs::shutdown`], what was submitted is still finished, in the background.
#[derive(Clone)]
pub struct Logs {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) threads: Arc<Threads>,
}

/// The threads behind the handle.
pub(crate) struct Threads {
    pub(crate) messages: Sender<Message>,
    pub(crate) seal: Sender<SealJob>,
    /// Held by who writes a note about the log itself, from looking at how things are until the note is in.
    pub(crate) noting: Mutex<()>,
    running: Mutex<Option<Running>>,
}

struct Running {
    writer: JoinHandle<()>,
    /// Ends when the writer has.
    signing: JoinHandle<()>,
    sealer: JoinHandle<()>,
    /// Keep other processes out as long as threads may write.
    _locks: [Box<dyn Send + Sync>; 2],
}

/// What a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Append,
    /// It may use the reserve of a full disk.
    Alarm,
    /// It is the first of its log.
    Open,
    /// It is the last of its log.
    Close,
}

impl Threads {
    fn stop(&self) {
        let Some(running) = self.running.lock().take() else { return };
        // A thread that ended by itself takes no messages; joining it is all that is left.
        let _ = self.messages.send(Message::Shutdown);
        if running.writer.join().is_err() {
            tracing::error!("the writer panicked");
        }
        if running.signing.join().is_err() {
            tracing::error!("signing panicked");
        }
        let _ = self.seal.send(SealJob::Stop);
        if running.sealer.join().is_err() {
            tracing::error!("sealing panicked");
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Logs {
    /// Makes an empty data folder in two empty stores: the log's own, and the guarded signer's (better on another
    /// volume). `audit_host` becomes part of every log's origin and never changes.
    ///
    /// # Errors
    /// - `Conflict`: there is one already.
    /// - `Unavailable`: the store failed.
    pub fn create_folder(store: &Arc<dyn Store>, signer_store: &Arc<dyn Store>, audit_host: &str) -> Result<()> {
        recovery::create_folder(store, signer_store, audit_host)
    }

    /// Opens a data folder, finishing or dropping what a crash left (`specs/proofs.md` §5.2). Logs that are not what
    /// was signed open read-only, each with its reason in [`Logs::state`]; the others go on.
    ///
    /// # Errors
    /// - `NotFound`: no data folder there, or of an unknown format version.
    /// - `Conflict`: another process has it open, or `audit_host` is not the one it was created with.
    /// - `Unavailable`: the store failed.
    #[expect(clippy::too_many_arguments, reason = "called once, by one who has all of these at hand")]
    pub fn open(
        store: Arc<dyn Store>,
        signer_store: Arc<dyn Store>,
        seed: InstanceSeed,
        audit_host: &str,
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Logs> {
        let setup = Setup { store, signer_store, seed, audit_host, options, clock, entropy };
        Logs::open_hashing_by(setup, Box::new(Batch))
    }

    /// Starts a log: its entry 0 is the log note `{"log":"opened"}`, with `key_epoch` if that is not 1: the log signs with
    /// the keys of the newest epoch. Waits like [`Logs::append_blocking`].
    ///
    /// # Errors
    /// `Conflict` if the log exists; else as [`Logs::append`].
    pub fn create(&self, id: LogId) -> Result<Appended> {
        let note = NewEntry {
            kind: Kind::LogNote,
            id: [0; 16],
            body: LogNote::opened(self.keys.newest_epoch(), None).encode(),
        };
        let answer = self.submit(id, vec![note], Purpose::Open)?.blocking_recv();
        let appended = self.appended(&id, answer)?;
        Ok(appended[0])
    }

    /// Starts a log that takes the place of another one: its entry 0 says which, what of it is missing, why and by whom
    /// (`specs/proofs.md` §5.4). As [`Logs::create`].
    pub fn create_after(&self, id: LogId, after: Predecessor) -> Result<Appended> {
        let body = LogNote::opened(self.keys.newest_epoch(), Some(after)).encode();
        let answer = self.submit(id, vec![NewEntry { kind: Kind::LogNote, id: [0; 16], body }], Purpose::Open)?;
        Ok(self.appended(&id, answer.blocking_recv())?[0])
    }

    /// Closes a log for ever: its last entry is a log note that says why and by whom, and the checkpoint that covers it is
    /// kept as the last one. Waits. From then on appends are refused as read-only (`closed`); reads and proofs go on.
    ///
    /// # Errors
    /// `Invalid`: the reason or the person is empty or too long; else as [`Logs::append`].
    pub fn close(&self, id: &LogId, reason: &str, by: &str) -> Result<Appended> {
        let note = LogNote::closed(reason, by)?;
        let _noting = self.threads.noting.lock();
        let note = NewEntry { kind: Kind::LogNote, id: [0; 16], body: note.encode() };
        let answer = self.submit(*id, vec![note], Purpose::Close)?.blocking_recv();
        Ok(self.appended(id, answer)?[0])
    }

    /// Takes up a log whose signer's record is lost (`ReadOnlyReason::SignerMissing`): a person names a signed checkpoint
    /// that somebody outside remembers, and the stored log must extend it. Waits.
    ///
    /// # Errors
    /// - `Conflict`: the log is not in that state.
    /// - `Invalid`: the checkpoint's signature or origin is not this log's.
    /// - `Corrupt`: the stored log does not extend it; it stays read-only.
    pub fn adopt(&self, id: &LogId, checkpoint: &str) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let message = Message::Adopt { log: *id, checkpoint: checkpoint.to_owned(), answer };
        let sent = self.threads.messages.send(message);
        sent.map_err(|_| Error::unavailable("the log is shut down"))?;
        answered.blocking_recv().map_err(|_| Error::unavailable("the writer has ended"))?
    }

    /// Takes no more entries of this log, because somebody outside remembers another history; reads go on. A log that is
    /// read-only already keeps its first reason. Lasts until the folder is opened again: whoever knows it says so again.
    pub fn distrust(&self, id: &LogId, reason: ReadOnlyReason, detail: String) -> Result<()> {
        self.shared.slot(id)?.close(reason, detail);
        Ok(())
    }

    /// Every log, in order of ids.
    pub fn ids(&self) -> Vec<LogId> {
        let mut ids: Vec<LogId> = self.shared.slots.read().keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// How many entries are stored; at most what was signed, unless entries were lost.
    pub fn stored_size(&self, id: &LogId) -> Result<u64> {
        Ok(self.shared.slot(id)?.pieces.read().end())
    }

    /// Size of the last head that the guarded signer remembered when the folder was opened; 0 if it knew none.
    pub fn signed_size(&self, id: &LogId) -> Result<u64> {
        Ok(self.shared.slot(id)?.signed_at_opening.load(Ordering::Relaxed))
    }

    /// Whether the log takes entries.
    pub fn state(&self, id: &LogId) -> Result<LogState> {
        Ok(self.shared.slot(id)?.pieces.read().state.clone())
    }

    /// The newest signed and stored head. Cheap.
    pub fn head(&self, id: &LogId) -> Result<Head> {
        self.shared.slot(id)?.head()
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
        let answer = self.submit_events(log, entries, false)?.await;
        self.appended(&log, answer)
    }

    /// [`Logs::append`] for callers outside of an async runtime.
    pub fn append_blocking(&self, log: LogId, entries: Vec<NewEntry>) -> Result<Vec<Appended>> {
        let answer = self.submit_events(log, entries, false)?.blocking_recv();
        self.appended(&log, answer)
    }

    /// [`Logs::append`] for recording that something is wrong: on a full disk it may use space kept for that.
    pub async fn append_alarm(&self, log: LogId, entries: Vec<NewEntry>) -> Result<Vec<Appended>> {
        let answer = self.submit_events(log, entries, true)?.await;
        self.appended(&log, answer)
    }

    /// Reads records of a range of indexes in ascending order. Indexes at or above the head's size are left out, and those
    /// below the minimum index, which were pruned. Stops
    /// early when the bodies read reach `bytes_max`, but returns at least one record if there is one.
    ///
    /// # Errors
    /// `Corrupt` names the first index that cannot be read.
    pub fn read(&self, id: &LogId, range: Range<u64>, bytes_max: usize) -> Result<Vec<Record>> {
        let slot = self.shared.slot(id)?;
        let end = range.end.min(slot.pieces.read().end());
        let start = range.start.max(self.shared.reading.retention.minimum(id));
        self.shared.reading.records(&slot, start..end, bytes_max)
    }

    /// Reads the records of these indexes, in the order given; each block is read once however many hits it holds.
    ///
    /// # Errors
    /// `NotFound` if an index is not in the log or was pruned; `Corrupt` names an index that cannot be read.
    pub fn read_many(&self, id: &LogId, indexes: &[u64]) -> Result<Vec<Record>> {
        let slot = self.shared.slot(id)?;
        let mut ascending: Vec<u64> = indexes.to_vec();
        ascending.sort_unstable();
        ascending.dedup();
        let records = self.shared.reading.records(&slot, ascending.iter().copied(), usize::MAX)?;
        let record_of = |index: &u64| {
            let position = ascending.binary_search(index).expect("every index asked for is in the sorted list");
            records[position].clone()
        };
        Ok(indexes.iter().map(record_of).collect())
    }

    /// The stored leaf hashes of a range of indexes, which must lie below the head's size.
    pub fn leaf_hashes(&self, id: &LogId, range: Range<u64>) -> Result<Vec<Hash>> {
        let slot = self.shared.slot(id)?;
        check_within(&slot, range.end)?;
        self.shared.reading.hashes(&slot, 0, range.start, range.end.max(range.start))
    }

    /// The bytes of a tlog-tiles hash tile: level, number, and width (1..=256). Only for tiles within the head.
    pub fn tile(&self, id: &LogId, level: u8, index: u64, width: u16) -> Result<Vec<u8>> {
        let slot = self.shared.slot(id)?;
        if !(TileId { level, index, width }).is_within(slot.head()?.size) {
            return Err(Error::not_found(format!("log {id} has no tile {level}/{index} of width {width}")));
        }
        let from = index * tile::WIDTH;
        let hashes = self.shared.reading.hashes(&slot, u32::from(level), from, from + u64::from(width))?;
        Ok(tile::encode_hashes(&hashes))
    }

    /// The entries of a range of indexes below the head's size, rebuilt from their records: what a tlog-tiles bundle holds.
    pub fn entries(&self, id: &LogId, range: Range<u64>) -> Result<Vec<Vec<u8>>> {
        let slot = self.shared.slot(id)?;
        check_within(&slot, range.end)?;
        let mut entries = Vec::new();
        let mut next = range.start;
        while next < range.end {
            let records = self.shared.reading.records(&slot, next..range.end, ENTRIES_BYTES_MAX)?;
            next += records.len() as u64;
            entries.extend(records.iter().map(encode_entry));
        }
        Ok(entries)
    }

    /// The hash of the perfect subtree of 2^`level` leaves that starts at leaf `index` · 2^`level`, from stored tiles.
    pub fn node(&self, id: &LogId, level: u8, index: u64) -> Result<Hash> {
        let slot = self.shared.slot(id)?;
        let size = slot.head()?.size;
        let end = index.checked_add(1).filter(|end| level < 63 && *end <= size >> level);
        end.ok_or_else(|| Error::not_found(format!("log {id} has no node of level {level} at {index}")))?;
        tlog::proof::NodeReader::node(&StoredTree::new(&self.shared.reading, &slot, size), level, index)
    }

    /// The inclusion proof of an index in the tree of `size`; checked against the head before it is handed out.
    pub fn prove_inclusion(&self, id: &LogId, index: u64, size: u64) -> Result<Vec<Hash>> {
        let slot = self.shared.slot(id)?;
        check_within(&slot, size)?;
        let head = slot.head()?;
        let tree = StoredTree::new(&self.shared.reading, &slot, head.size);
        let proof = tree.inclusion(index, size)?;
        let leaf = self.shared.reading.hashes(&slot, 0, index, index + 1)?[0];
        let root = self.checked_root(&head, &tree, size)?;
        verify_inclusion(&leaf, index, size, &proof, &root).map_err(|err| {
            Error::corrupt(format!("log {id}: stored hashes prove nothing of number {}: {err}", index + 1))
        })?;
        Ok(proof)
    }

    /// The consistency proof between two sizes, both at most the head's; checked before it is handed out.
    pub fn prove_consistency(&self, id: &LogId, old: u64, new: u64) -> Result<Vec<Hash>> {
        let slot = self.shared.slot(id)?;
        check_within(&slot, new)?;
        let head = slot.head()?;
        let tree = StoredTree::new(&self.shared.reading, &slot, head.size);
        let proof = tree.consistency(old, new)?;
        let (old_root, new_root) = (tree.root(old)?, self.checked_root(&head, &tree, new)?);
        verify_consistency(old, &old_root, new, &new_root, &proof)
            .map_err(|err| Error::corrupt(format!("log {id}: stored hashes do not join size {old} to {new}: {err}")))?;
        Ok(proof)
    }

    /// The root of the first `size` entries, from stored tiles.
    pub fn root_at(&self, id: &LogId, size: u64) -> Result<Hash> {
        let slot = self.shared.slot(id)?;
        check_within(&slot, size)?;
        StoredTree::new(&self.shared.reading, &slot, size).root(size)
    }

    /// The kept checkpoint of exactly this size, if there is one: the newest, or the last one of a past day.
    pub fn checkpoint_at(&self, id: &LogId, size: u64) -> Result<Option<Arc<str>>> {
        self.shared.slot(id)?;
        self.shared.checkpoints.lock().at_size(id, size)
    }

    /// The index of the entry with this non-zero id.
    pub fn find_id(&self, id: &LogId, entry_id: &[u8; 16]) -> Result<Option<u64>> {
        let slot = self.shared.slot(id)?;
        if *entry_id == [0; 16] {
            return Ok(None);
        }
        let found = self.ids.find(&self.shared, &slot, entry_id)?;
        // What is committed but not signed yet does not exist for readers.
        let size = slot.pieces.read().end();
        Ok(found.filter(|index| *index < size))
    }

    /// A counter that rises after each published group, of any log.
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.published.subscribe()
    }

    /// Judges records as returned by a read: recomputes their leaves from the bytes given and compares them with
    /// stored leaf hashes that hash up to the signed head. One state per record, in order. Never fails as a whole.
    pub fn verify_records(&self, id: &LogId, records: &[Record]) -> Vec<RecordState> {
        match self.shared.slot(id) {
            Ok(slot) => self.shared.verify_records(&slot, records),
            Err(err) => records.iter().map(|_| RecordState::Unchecked(err.to_string().into())).collect(),
        }
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let slots = self.shared.slots.read();
        let read_only = slots.values().filter(|slot| !slot.pieces.read().state.is_sound()).count();
        Stats {
            logs: slots.len() as u64,
            logs_read_only: read_only as u64,
            entries_appended: get(&counters.entries_appended),
            duplicates: get(&counters.duplicates),
            groups: get(&counters.groups),
            commit_bytes: get(&counters.commit_bytes),
            signatures: get(&counters.signatures),
            check_mismatches: get(&counters.check_mismatches),
            clock_steps_back: get(&counters.clock_steps_back),
            refused_full: get(&counters.refused_full),
            pool_bytes: counters.pool_bytes.load(Ordering::Relaxed) as u64,
            segments: get(&counters.segments),
            commit_files: self.shared.sealing.lock().files as u64 + 1,
            disk_full: self.shared.disk_full.load(Ordering::Relaxed),
            stopped: self.shared.stopped.read().clone(),
        }
    }

    /// The verifier key that signs the log's heads now, as text (signed-note form).
    pub fn vkey(&self, id: &LogId) -> Result<String> {
        Ok(self.shared.slot(id)?.keys().current().vkey.to_string())
    }

    /// The log's origin: `<audit host>/l/<log id>`.
    pub fn origin(&self, id: &LogId) -> String {
        origin(&self.shared.audit_host, id)
    }

    /// Takes no more appends, finishes those waiting, and closes the files. Other clones then answer `Unavailable`
    /// to appends and go on reading.
    pub fn shutdown(self) {
        self.threads.stop();
    }

    /// Opens with this SHA-256 implementation for staging; the check before signing has its own.
    fn open_hashing_by(setup: Setup<'_>, hashing: Box<dyn Hashing + Send>) -> Result<Logs> {
        let locks = [(&setup.store, "log"), (&setup.signer_store, "signer")].map(|(store, what)| {
            store.lock().map_err(|err| match err.kind() {
                std::io::ErrorKind::WouldBlock => Error::conflict(format!("the {what} folder is in use: {err}")),
                std::io::ErrorKind::NotFound => Error::not_found(format!("there is no {what} folder")),
                _ => Error::io("lock", what, &err),
            })
        });
        let [log_lock, signer_lock] = locks;
        let locks = [log_lock?, signer_lock?];
        let opened = recovery::open(setup)?;
        let (seal, sealer) = seal::spawn(Arc::clone(&opened.shared), Arc::clone(&opened.ids))?;
        for file in opened.to_seal {
            // The thread was just started and takes jobs until it is told to stop.
            let _ = seal.send(SealJob::File(file));
        }
        let (durable, signing) = signing::spawn(Arc::clone(&opened.shared), opened.signer, seal.clone())?;
        let (messages, taken) = unbounded();
        let sequencer = Sequencer::new(Start {
            shared: Arc::clone(&opened.shared),
            keys: Arc::clone(&opened.keys),
            ids: Arc::clone(&opened.ids),
            logs: opened.logs,
            active: opened.active,
            next_group: opened.next_group,
            durable,
            hashing,
        });
        let writer = sequencer::spawn(sequencer, taken)?;
        let running = Mutex::new(Some(Running { writer, signing, sealer, _locks: locks }));
        let threads = Arc::new(Threads { messages, seal, noting: Mutex::new(()), running });
        let logs = Logs { shared: opened.shared, ids: opened.ids, keys: opened.keys, threads };
        logs.resume_erasures()?;
        logs.resume_prunings()?;
        Ok(logs)
    }

    /// Queues a batch that a caller composed. Notes that this crate acts on are written by their own verbs.
    fn submit_events(
        &self,
        log: LogId,
        entries: Vec<NewEntry>,
        alarm: bool,
    ) -> Result<oneshot::Receiver<Result<Answer>>> {
        if entries.iter().any(|entry| matches!(entry.kind, Kind::KeyNote | Kind::ErasureNote)) {
            return Err(Error::invalid("key notes and erasure notes are not appended but made by their verbs"));
        }
        self.submit(log, entries, if alarm { Purpose::Alarm } else { Purpose::Append })
    }

    /// Appends a note about the log itself and waits for it.
    pub(crate) fn append_note(&self, log: &LogId, note: NewEntry) -> Result<Appended> {
        let answer = self.submit(*log, vec![note], Purpose::Append)?.blocking_recv();
        Ok(self.appended(log, answer)?[0])
    }

    /// Queues a batch for the writer.
    fn submit(
        &self,
        log: LogId,
        entries: Vec<NewEntry>,
        purpose: Purpose,
    ) -> Result<oneshot::Receiver<Result<Answer>>> {
        let bytes = self.check_limits(&entries)?;
        let (opens, closes, alarm) = (purpose == Purpose::Open, purpose == Purpose::Close, purpose == Purpose::Alarm);
        if !opens {
            self.shared.slot(&log)?.check_open()?;
        }
        self.shared.check_running()?;
        let pool = &self.shared.counters.pool_bytes;
        let waiting = pool.fetch_add(bytes, Ordering::SeqCst);
        if waiting > 0 && waiting + bytes > self.shared.options.pool_bytes_max {
            pool.fetch_sub(bytes, Ordering::SeqCst);
            self.shared.counters.refused_full.fetch_add(1, Ordering::Relaxed);
            return Err(Error::Full(format!("{waiting} bytes wait to be written; retry in a moment").into()));
        }
        let (answer, answered) = oneshot::channel();
        let submission = Submission { log, entries, opens, closes, alarm, bytes, answer };
        if self.threads.messages.send(Message::Append(submission)).is_err() {
            pool.fetch_sub(bytes, Ordering::SeqCst);
            return Err(Error::unavailable("the log is shut down"));
        }
        Ok(answered)
    }

    /// What the batch counts in the pool.
    fn check_limits(&self, entries: &[NewEntry]) -> Result<usize> {
        let options = &self.shared.options;
        if entries.is_empty() {
            return Err(Error::invalid("a batch has at least one entry"));
        }
        let mut bytes = 0;
        for entry in entries {
            let inline = !matches!(entry.kind, Kind::Event | Kind::RecordingChunk);
            let (what, bytes_max) =
                if inline { ("inline body", INLINE_BODY_BYTES_MAX) } else { ("body", options.body_bytes_max) };
            if entry.body.len() > bytes_max {
                return Err(Error::TooLarge { what, bytes: entry.body.len() as u64, bytes_max: bytes_max as u64 });
            }
            bytes += entry.body.len() + ENTRY_OVERHEAD_BYTES;
        }
        if bytes > options.batch_bytes_max {
            return Err(Error::TooLarge {
                what: "batch",
                bytes: bytes as u64,
                bytes_max: options.batch_bytes_max as u64,
            });
        }
        Ok(bytes)
    }

    /// The writer's answer, with the places of duplicates looked up.
    fn appended(
        &self,
        log: &LogId,
        answer: Result<Result<Answer>, oneshot::error::RecvError>,
    ) -> Result<Vec<Appended>> {
        let Answer { places, tree_size } = answer.map_err(|_| Error::unavailable("the writer has ended"))??;
        let mut duplicates: Vec<u64> = places
            .iter()
            .filter_map(|place| match place {
                Placed::Duplicate { index } => Some(*index),
                Placed::New { .. } => None,
            })
            .collect();
        duplicates.sort_unstable();
        duplicates.dedup();
        let first = self.read_many(log, &duplicates)?;
        let slot = self.shared.slot(log)?;
        let appended = |place: &Placed| match *place {
            Placed::New { index, received_at_us, leaf } => {
                Ok(Appended { index, number: index + 1, received_at_us, leaf, duplicate: false, tree_size })
            }
            Placed::Duplicate { index } => {
                let position = duplicates.binary_search(&index).expect("every duplicate is in the sorted list");
                let leaf = self.shared.reading.hashes(&slot, 0, index, index + 1)?[0];
                let received_at_us = first[position].received_at_us;
                Ok(Appended { index, number: index + 1, received_at_us, leaf, duplicate: true, tree_size })
            }
        };
        places.iter().map(appended).collect()
    }

    /// The root at a size of which the stored tree has shown that the signed head extends it.
    fn checked_root(&self, head: &Head, tree: &StoredTree<'_>, size: u64) -> Result<Hash> {
        if size == head.size {
            return Ok(head.root);
        }
        let root = tree.root(size)?;
        let proof = tree.consistency(size, head.size)?;
        verify_consistency(size, &root, head.size, &head.root, &proof)
            .map_err(|err| Error::corrupt(format!("stored hashes do not join size {size} to the head: {err}")))?;
        Ok(root)
    }
}

/// Only what is signed is proven.
fn check_within(slot: &LogSlot, size: u64) -> Result<()> {
    let head = slot.head()?;
    if size > head.size {
        return Err(Error::not_found(format!("log {} is signed up to size {}, not {size}", slot.id, head.size)));
    }
    Ok(())
}

fn encode_entry(record: &Record) -> Vec<u8> {
    group::encode_entry(&Fields {
        kind: record.kind,
        index: record.index,
        received_at_us: record.received_at_us,
        id: record.id,
        salt: &record.salt,
        body: &record.body,
        state: record.state,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::clock::{ManualClock, SeededEntropy};
    use crate::fsck;
    use crate::store::memory::MemoryStore;

    const LOG: LogId = LogId([7; 16]);

    fn setup<'a>(store: &MemoryStore, signer: &MemoryStore, options: Options) -> Setup<'a> {
        Setup {
            store: Arc::new(store.clone()),
            signer_store: Arc::new(signer.clone()),
            seed: InstanceSeed::new([7; 32]),
            audit_host: "audit.example.org",
            options,
            clock: Arc::new(ManualClock::new(1)),
            entropy: Arc::new(SeededEntropy::new(1)),
        }
    }

    fn folder() -> (MemoryStore, MemoryStore) {
        let (store, signer) = (MemoryStore::new(), MemoryStore::new());
        let stores: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(store.clone()), Arc::new(signer.clone()));
        Logs::create_folder(&stores.0, &stores.1, "audit.example.org").unwrap();
        (store, signer)
    }

    /// A processor that gets one bit wrong, in call number `at`.
    struct FlipsOneBit {
        calls: Arc<AtomicU64>,
        at: u64,
    }

    impl FlipsOneBit {
        fn flip(&self, mut hashes: Vec<Hash>) -> Vec<Hash> {
            if self.calls.fetch_add(1, Ordering::SeqCst) == self.at
                && let Some(hash) = hashes.last_mut()
            {
                hash.0[17] ^= 4;
            }
            hashes
        }
    }

    impl Hashing for FlipsOneBit {
        fn commitments(&self, items: &[(&[u8; 16], &[u8])]) -> Vec<Hash> {
            self.flip(Batch.commitments(items))
        }

        fn leaf_hashes(&self, entries: &[&[u8]]) -> Vec<Hash> {
            self.flip(Batch.leaf_hashes(entries))
        }
    }

    /// Row 20 of the attack table: a flipped bit on the way never gets signed, small groups and large ones alike.
    #[test]
    fn a_bit_flipped_while_hashing_drops_the_group_before_it_is_signed() {
        for body_bytes in [10, 40_000] {
            let (store, signer) = folder();
            // Creating the log takes two calls, each append two more.
            let hashing = Box::new(FlipsOneBit { calls: Arc::default(), at: 5 });
            let logs = Logs::open_hashing_by(setup(&store, &signer, Options::default()), hashing).unwrap();
            logs.create(LOG).unwrap();
            let entry = |id: u8| vec![NewEntry::event([id; 16], vec![id; body_bytes])];
            logs.append_blocking(LOG, entry(1)).unwrap();
            let before = logs.head(&LOG).unwrap();
            let dropped = logs.append_blocking(LOG, entry(2));
            assert!(matches!(&dropped, Err(Error::Unavailable(why)) if why.contains("check")), "{dropped:?}");
            assert_eq!(logs.head(&LOG).unwrap(), before);
            assert_eq!(logs.stats().check_mismatches, 1);
            let place = logs.append_blocking(LOG, entry(2)).unwrap()[0];
            assert_eq!((place.index, place.duplicate), (2, false), "the writer goes on, and the id was not taken");
            logs.shutdown();
            let stores: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(store), Arc::new(signer));
            let report = fsck::verify_folder(&stores.0, Some(&stores.1), &fsck::Request::default(), &|_| ());
            assert_eq!(report.verdict(), fsck::Verdict::Verified, "{report:?}");
        }
    }

    #[test]
    fn logs_that_wait_for_their_signatures_are_signed_together_and_answered_then() {
        let (store, signer) = folder();
        let options = Options { signatures_per_second_max: 2, ..Options::default() };
        let logs = Logs::open_hashing_by(setup(&store, &signer, options), Box::new(Batch)).unwrap();
        let ids: Vec<LogId> = (0..40).map(|i| LogId([i; 16])).collect();
        std::thread::scope(|scope| {
            for id in &ids {
                let logs = &logs;
                scope.spawn(move || {
                    let opened = logs.create(*id).unwrap();
                    assert!(logs.head(id).unwrap().size >= opened.tree_size, "answered means signed");
                });
            }
        });
        assert_eq!(logs.ids(), ids);
        assert_eq!(logs.stats().signatures, 40, "one for each log, however many groups there were");
        logs.shutdown();
    }

    #[test]
    fn more_than_the_pool_holds_is_refused_at_once() {
        let (store, signer) = folder();
        let options = Options { pool_bytes_max: 1_000, ..Options::default() };
        let logs = Logs::open_hashing_by(setup(&store, &signer, options), Box::new(Batch)).unwrap();
        logs.create(LOG).unwrap();
        logs.shared.counters.pool_bytes.store(900, Ordering::SeqCst);
        let refused = logs.append_blocking(LOG, vec![NewEntry::event([0; 16], b"x".to_vec())]);
        assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
        assert_eq!((logs.stats().refused_full, logs.stats().pool_bytes), (1, 900));
        logs.shared.counters.pool_bytes.store(0, Ordering::SeqCst);
        let large = NewEntry::event([0; 16], vec![0; 5_000]);
        logs.append_blocking(LOG, vec![large]).expect("one batch alone may be larger than the pool");
        logs.shutdown();
    }

    #[test]
    fn after_a_shutdown_other_handles_read_on_and_append_nothing() {
        let (store, signer) = folder();
        let logs = Logs::open_hashing_by(setup(&store, &signer, Options::default()), Box::new(Batch)).unwrap();
        logs.create(LOG).unwrap();
        logs.clone().shutdown();
        assert_eq!(logs.read(&LOG, 0..9, 1000).unwrap().len(), 1);
        let refused = logs.append_blocking(LOG, vec![NewEntry::event([0; 16], b"x".to_vec())]);
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    }
}
