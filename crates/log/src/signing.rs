//! The second half of the writer: has durable groups signed, stores the checkpoints, publishes, answers.
//!
//! It runs beside the first half (`sequencer.rs`): while the signer's store and the checkpoints are synced, the next groups
//! are committed, and whatever was committed meanwhile is signed together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tlog::Frontier;
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};

use crate::checkpoints::NewCheckpoint;
use crate::error::{Error, Result};
use crate::growth::Growth;
use crate::id::LogId;
use crate::journal::Failure;
use crate::keys::LogKeys;
use crate::model::{Head, LogState, ReadOnlyReason};
use crate::seal::SealJob;
use crate::sequencer::{Answer, Placed, Planned, StagedRun, Waiting, WriterLog};
use crate::shared::Shared;
use crate::signer::{Refusal, Request, Signed, Signer};
use crate::state::{CommitFile, LogSlot, TailPart};
use crate::tiles::StoredTree;

/// How long a log may wait for its seal when there are more signatures to make than allowed a second; also how long after
/// a failure it is tried again.
const SEAL_INTERVAL: Duration = Duration::from_secs(1);

/// At most so many groups are taken before they are signed.
const GROUPS_MAX: usize = 256;

/// What the sequencer hands on.
pub(crate) enum Durable {
    /// A group that is on disk and checked, and who waits for it.
    Group { runs: Vec<StagedRun>, waiting: Vec<Waiting> },
    /// A commit file that no group is added to any more; it is sealed once all of it is published.
    Closed(Arc<CommitFile>),
    /// A person vouches for a log of which the signer has no record.
    Adopt { log: LogId, checkpoint: String, answer: Sender<Result<WriterLog>> },
}

/// A log with entries that are durable and not published.
struct Unsigned {
    slot: Arc<LogSlot>,
    frontier: Frontier,
    last_us: u64,
    /// Since the last signed head.
    growth: Growth,
    parts: Vec<TailPart>,
    /// With the key notes among its entries.
    keys: Arc<LogKeys>,
    /// Its last entry closes it.
    closes: bool,
    /// Nothing of the log was signed yet.
    first: bool,
}

impl Unsigned {
    /// Size of the head that readers have now.
    fn published_size(&self) -> u64 {
        self.slot.pieces.read().head.as_ref().map_or(0, |head| head.size)
    }
}

/// Signs, stores, publishes, answers.
pub(crate) struct Signing {
    shared: Arc<Shared>,
    signer: Signer,
    seal: Sender<SealJob>,
    unsigned: BTreeMap<LogId, Unsigned>,
    waiting: Vec<Waiting>,
    closed: Vec<Arc<CommitFile>>,
    /// When the first log that waits for its seal began to wait.
    waits_since: Option<Instant>,
    allowance: Allowance,
}

/// Signatures that may be made now: refills by the second.
struct Allowance {
    per_second: f64,
    left: f64,
    refilled: Instant,
}

impl Allowance {
    fn take(&mut self, signatures: usize) -> bool {
        let now = Instant::now();
        let refill = now.duration_since(self.refilled).as_secs_f64() * self.per_second;
        self.left = (self.left + refill).min(self.per_second);
        self.refilled = now;
        let enough = self.left >= signatures as f64;
        if enough {
            self.left -= signatures as f64;
        }
        enough
    }
}

/// Starts the signing thread.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    signer: Signer,
    seal: Sender<SealJob>,
) -> Result<(Sender<Durable>, thread::JoinHandle<()>)> {
    let (durable, taken) = unbounded();
    let per_second = f64::from(shared.options.signatures_per_second_max.max(1));
    let signing = Signing {
        shared,
        signer,
        seal,
        unsigned: BTreeMap::new(),
        waiting: Vec::new(),
        closed: Vec::new(),
        waits_since: None,
        allowance: Allowance { per_second, left: per_second, refilled: Instant::now() },
    };
    let thread = thread::Builder::new()
        .name("log-sign".into())
        .spawn(move || signing.run(&taken))
        .map_err(|err| Error::unavailable(format!("start signing: {err}")))?;
    Ok((durable, thread))
}

impl Signing {
    /// Runs until the sequencer is gone.
    fn run(mut self, durable: &Receiver<Durable>) {
        let mut ending = false;
        while !ending {
            ending = self.collect(durable);
            self.seal_if_due(ending);
        }
    }

    /// Waits for what is durable and takes what is there. True when nothing comes any more.
    fn collect(&mut self, durable: &Receiver<Durable>) -> bool {
        let first = match self.waits_since {
            None => durable.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => durable.recv_timeout(SEAL_INTERVAL.saturating_sub(since.elapsed())),
        };
        match first {
            Ok(first) => self.take(first),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
        for more in durable.try_iter().take(GROUPS_MAX) {
            self.take(more);
        }
        false
    }

    fn take(&mut self, durable: Durable) {
        match durable {
            Durable::Group { runs, waiting } => {
                for run in runs {
                    self.take_run(run);
                }
                self.waiting.extend(waiting);
                self.waits_since.get_or_insert_with(Instant::now);
            }
            Durable::Closed(file) => {
                self.closed.push(file);
                self.waits_since.get_or_insert_with(Instant::now);
            }
            // Whoever asked may have gone.
            Durable::Adopt { log, checkpoint, answer } => drop(answer.send(self.adopt(log, &checkpoint))),
        }
    }

    fn take_run(&mut self, run: StagedRun) {
        let StagedRun { slot, frontier, growth, part, key_notes, closes } = run;
        let id = slot.id;
        match self.unsigned.get_mut(&id) {
            Some(log) => {
                log.frontier = frontier;
                log.last_us = part.last_us;
                log.growth.extend(growth);
                log.closes |= closes;
                match log.parts.last_mut() {
                    Some(last) if last.file.number == part.file.number => last.extend(part),
                    _ => log.parts.push(part),
                }
            }
            None => {
                let (last_us, first) = (part.last_us, part.first == 0);
                let keys = slot.keys();
                let parts = vec![part];
                self.unsigned.insert(id, Unsigned { slot, frontier, last_us, growth, parts, keys, closes, first });
            }
        }
        for (index, received_at_us, note) in key_notes {
            let log = self.unsigned.get_mut(&id).expect("it was entered above");
            Arc::make_mut(&mut log.keys).enter(&note, index, received_at_us);
        }
    }

    /// Seals what waits if there are signatures left, or if it waited long enough.
    fn seal_if_due(&mut self, ending: bool) {
        let Some(since) = self.waits_since else { return };
        if ending || since.elapsed() >= SEAL_INTERVAL || self.allowance.take(self.unsigned.len()) {
            self.seal_all();
        }
    }

    /// Signs, stores and publishes the heads of all logs that grew, and answers everybody who waits for them.
    fn seal_all(&mut self) {
        self.waits_since = None;
        // After a failed fsync nothing is signed any more.
        let sealed = self.shared.check_running().and_then(|()| self.seal_unsigned());
        for waiting in std::mem::take(&mut self.waiting) {
            let answer = match &sealed {
                Ok(()) => self.shared.slot(&waiting.log).and_then(|slot| answer_of(&slot, &waiting.places)),
                Err(err) => Err(err.clone()),
            };
            self.shared.answer(waiting.bytes, waiting.answer, answer);
        }
        if self.unsigned.is_empty() {
            for file in self.closed.drain(..) {
                // Sealing that ended leaves commit files as they are; they stay readable.
                let _ = self.seal.send(SealJob::File(file));
            }
        }
        let failed = sealed.err().map(|err| err.to_string().into());
        let mut sealing = self.shared.sealing.lock();
        if sealing.signing_failed != failed {
            sealing.signing_failed = failed;
            self.shared.sealed.notify_all();
        }
    }

    fn seal_unsigned(&mut self) -> Result<()> {
        if self.unsigned.is_empty() {
            return Ok(());
        }
        let mut requests = Vec::with_capacity(self.unsigned.len());
        for (id, log) in &self.unsigned {
            let proof = log.growth.consistency(&log.frontier)?;
            let (size, root) = (log.frontier.size(), log.frontier.root());
            let epochs = log.keys.signing(log.last_us, log.published_size());
            requests.push(Request { log: *id, size, root, proof, first: log.first, epochs });
        }
        let notes = match self.signer.sign(&requests) {
            Ok(notes) => notes,
            Err(Refusal::NotExtending { log, detail }) => {
                // What we hold and what was signed differ: this log is over; the others are signed next time.
                if let Some(closed) = self.unsigned.remove(&log) {
                    closed.slot.close(ReadOnlyReason::Forked, detail.clone());
                }
                self.waits_since = Some(Instant::now());
                return Err(Error::unavailable(format!("log {log} cannot be signed: {detail}")));
            }
            Err(Refusal::Store(failure)) => return Err(self.failed(failure)),
        };
        self.shared.counters.signatures.fetch_add(notes.len() as u64, Ordering::Relaxed);
        let checkpoints: Vec<NewCheckpoint> = self
            .unsigned
            .values()
            .zip(&notes)
            .map(|(log, note)| NewCheckpoint {
                log: log.slot.id,
                size: log.frontier.size(),
                text: Arc::clone(note),
                last_us: log.last_us,
                keys: Arc::clone(&log.keys),
                kept: log.closes || log.keys.introduces_after(log.published_size()),
                closes: log.closes,
            })
            .collect();
        let stored = self.shared.checkpoints.lock().store(&checkpoints);
        if let Err(failure) = stored {
            // The signer moved on; a later try signs from there.
            for log in self.unsigned.values_mut() {
                log.growth = Growth::at(&log.frontier);
                log.first = false;
            }
            return Err(self.failed(failure));
        }
        self.publish(notes);
        Ok(())
    }

    /// Lets readers see what was signed.
    fn publish(&mut self, notes: Vec<Arc<str>>) {
        let mut entries = 0;
        for (log, checkpoint) in std::mem::take(&mut self.unsigned).into_values().zip(notes) {
            let (size, root) = (log.frontier.size(), log.frontier.root());
            let mut pieces = log.slot.pieces.write();
            for part in log.parts {
                entries += part.places.len() as u64;
                pieces.push(part);
            }
            pieces.head = Some(Head { size, root, last_received_at_us: log.last_us, checkpoint });
            drop(pieces);
            log.slot.set_keys(log.keys);
            if log.closes {
                log.slot.close_by_order();
            }
            if !self.shared.slots.read().contains_key(&log.slot.id) {
                self.shared.slots.write().insert(log.slot.id, log.slot);
            }
        }
        self.shared.counters.entries_appended.fetch_add(entries, Ordering::Relaxed);
        self.shared.published.send_modify(|count| *count += 1);
    }

    /// Takes a log up again whose signer's record is lost: it must extend the checkpoint that the person brought.
    fn adopt(&mut self, id: LogId, checkpoint: &str) -> Result<WriterLog> {
        let slot = self.shared.slot(&id)?;
        let missing =
            |state: &LogState| matches!(state, LogState::ReadOnly { reason: ReadOnlyReason::SignerMissing, .. });
        if self.signer.record(&id).is_some() || !missing(&slot.pieces.read().state) {
            return Err(Error::conflict(format!("log {id} is not one whose signer's record is missing")));
        }
        let keys = slot.keys();
        let opened = SignedCheckpoint::open(checkpoint, &slot.origin, &keys.verifiers())
            .map_err(|err| Error::invalid(format!("the checkpoint to adopt log {id} by: {err}")))?;
        let Checkpoint { size, root, .. } = opened.checkpoint;
        let end = slot.pieces.read().end();
        let tree = StoredTree::new(&self.shared.reading, &slot, end);
        if size > end || size == 0 || tree.root(size)? != root {
            let detail = format!("log {id} of size {end} does not extend the checkpoint of size {size}");
            return Err(Error::corrupt(detail));
        }
        let frontier = tree.frontier(end)?;
        let last_us = self.shared.reading.records(&slot, std::iter::once(end - 1), 1)?[0].received_at_us;
        let proof = tree.consistency(size, end)?;
        let epochs = keys.signing(last_us, end);
        let request = Request { log: id, size: end, root: frontier.root(), proof, first: false, epochs };
        self.signer.adopt(id, Signed { size, root }).map_err(|failure| self.failed(failure))?;
        let notes = self.signer.sign(std::slice::from_ref(&request)).map_err(|refusal| match refusal {
            Refusal::NotExtending { detail, .. } => Error::corrupt(detail),
            Refusal::Store(failure) => self.failed(failure),
        })?;
        let text = Arc::clone(&notes[0]);
        let stored =
            NewCheckpoint { log: id, size: end, text: Arc::clone(&text), last_us, keys, kept: false, closes: false };
        let stored = self.shared.checkpoints.lock().store(&[stored]);
        stored.map_err(|failure| self.failed(failure))?;
        tracing::warn!(log = %id, size, "a log was adopted by a remembered checkpoint");
        let mut pieces = slot.pieces.write();
        pieces.head = Some(Head { size: end, root: request.root, last_received_at_us: last_us, checkpoint: text });
        pieces.state = LogState::Open;
        drop(pieces);
        Ok(WriterLog { slot, frontier, last_us, closed: false })
    }

    /// A write that can be tried again leaves everything waiting; one that cannot stops the writer.
    fn failed(&mut self, failure: Failure) -> Error {
        if failure.final_ {
            return self.shared.stop(&failure.error);
        }
        self.waits_since = Some(Instant::now());
        Error::unavailable(format!("written, but not signed yet: {}", failure.error))
    }
}

/// The answer to a submission whose log was just published.
fn answer_of(slot: &LogSlot, places: &[Planned]) -> Result<Answer> {
    let pieces = slot.pieces.read();
    let tree_size = pieces.head.as_ref().map_or(0, |head| head.size);
    let placed = |planned: &Planned| match *planned {
        Planned::Duplicate { index } => Ok(Placed::Duplicate { index }),
        Planned::New { index, received_at_us } => {
            // What was just published is not sealed yet: its file is handed to sealing after the answers.
            let leaf = pieces.tail_leaf(index).ok_or_else(|| Error::unavailable("the entry is not published yet"))?;
            Ok(Placed::New { index, received_at_us, leaf })
        }
    };
    Ok(Answer { places: places.iter().map(placed).collect::<Result<_>>()?, tree_size })
}
