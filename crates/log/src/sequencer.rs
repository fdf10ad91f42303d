//! The single writer: takes what was submitted, orders it into one group, commits the group, seals it, answers.
//!
//! ```text
//! submit ─▶ order ─▶ apply ─▶ write, fdatasync ─▶ check ─▶ guarded signer ─▶ checkpoint, fdatasync ─▶ publish, answer
//!           Group    Staged      commit file       plain     its own store      checkpoint/newest
//! ```
//!
//! Nothing is answered before the last step, so that acknowledged means durable and signed. Dying between two steps leaves
//! a group that recovery finishes (after the write was durable) or drops (before); see `recovery.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::{Frontier, Hash};
use tokio::sync::oneshot;

use crate::check::{CheckJob, Checker};
use crate::checkpoints::NewCheckpoint;
use crate::commit::{ActiveFile, COMMIT_FILE_BYTES_MAX};
use crate::error::{Error, Result};
use crate::frame::{FrameHeader, HEADER_BYTES};
use crate::group::{self, Fields, GROUP_MAGIC, Group, Hashing, NewRecord, Run};
use crate::growth::Growth;
use crate::id::LogId;
use crate::ids::Ids;
use crate::model::{Head, LogState, NewEntry, ReadOnlyReason};
use crate::seal::SealJob;
use crate::shared::Shared;
use crate::signer::{Refusal, Request, Signed, Signer};
use crate::state::{LogSlot, Place, TailPart};
use crate::tiles::StoredTree;

/// How long a log may wait for its seal when there are more signatures to make than allowed a second.
const SEAL_INTERVAL: Duration = Duration::from_secs(1);

/// Body of a log's entry 0.
pub(crate) const OPENED_NOTE: &[u8] = b"{\"log\":\"opened\"}";

/// What is counted for an entry in a queue besides its body.
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Something for the writer to do.
pub(crate) enum Message {
    Append(Submission),
    /// A person vouches for a log of which the signer has no record.
    Adopt {
        log: LogId,
        checkpoint: String,
        answer: oneshot::Sender<Result<()>>,
    },
    /// Finish what waits, then end.
    Shutdown,
}

/// A batch for one log, waiting for its place in the order.
pub(crate) struct Submission {
    pub log: LogId,
    pub entries: Vec<NewEntry>,
    /// The log is to be made; `entries` holds its first one.
    pub opens: bool,
    /// May use the reserve of a full disk.
    pub alarm: bool,
    /// Counted against the pool until answered.
    pub bytes: usize,
    pub answer: oneshot::Sender<Result<Answer>>,
}

/// Where the entries of a submission are.
#[derive(Debug)]
pub(crate) struct Answer {
    pub places: Vec<Placed>,
    /// Size of the published head.
    pub tree_size: u64,
}

/// Where one entry is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Placed {
    New {
        index: u64,
        received_at_us: u64,
        leaf: Hash,
    },
    /// It was there already.
    Duplicate {
        index: u64,
    },
}

/// A log as the writer sees it: with everything durable, signed or not.
pub(crate) struct WriterLog {
    pub slot: Arc<LogSlot>,
    /// After the last durable entry.
    pub frontier: Frontier,
    pub last_us: u64,
    /// What was appended since the last signed head.
    pub growth: Growth,
    /// Durable, not yet published.
    pub unpublished: Option<TailPart>,
    /// Nothing was signed yet.
    pub first: bool,
}

/// A run that was applied to a copy of its log's tree.
struct StagedRun {
    log: LogId,
    frontier: Frontier,
    nodes: Growth,
    part: TailPart,
}

/// A submission that got its place and waits for its seal.
struct Waiting {
    log: LogId,
    bytes: usize,
    places: Vec<Planned>,
    answer: oneshot::Sender<Result<Answer>>,
}

/// Where an entry of a submission goes.
#[derive(Clone, Copy)]
enum Planned {
    New { index: u64, received_at_us: u64 },
    Duplicate { index: u64 },
}

/// A group and who waits for it.
struct Ordered {
    group: Group,
    waiting: Vec<Waiting>,
    /// Some entry may use the reserve.
    alarm: bool,
}

/// The writer's own state; nothing else writes.
pub(crate) struct Sequencer {
    pub shared: Arc<Shared>,
    pub signer: Signer,
    pub ids: Arc<Ids>,
    pub logs: HashMap<LogId, WriterLog>,
    pub active: ActiveFile,
    pub next_group: u64,
    pub checker: Checker,
    pub seal: crossbeam_channel::Sender<SealJob>,
    pub hashing: Box<dyn Hashing + Send>,
    waiting: Vec<Waiting>,
    /// When the first log that waits for its seal began to wait.
    waits_since: Option<Instant>,
    allowance: Allowance,
    /// The writer stopped for good.
    stopped: Option<Error>,
    buffer: Vec<u8>,
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

/// What the sequencer starts from.
pub(crate) struct Start {
    pub shared: Arc<Shared>,
    pub signer: Signer,
    pub ids: Arc<Ids>,
    pub logs: HashMap<LogId, WriterLog>,
    pub active: ActiveFile,
    pub next_group: u64,
    pub seal: crossbeam_channel::Sender<SealJob>,
    pub hashing: Box<dyn Hashing + Send>,
}

impl Sequencer {
    pub(crate) fn new(start: Start) -> Sequencer {
        let per_second = f64::from(start.shared.options.signatures_per_second_max.max(1));
        Sequencer {
            shared: start.shared,
            signer: start.signer,
            ids: start.ids,
            logs: start.logs,
            active: start.active,
            next_group: start.next_group,
            checker: Checker::new(),
            seal: start.seal,
            hashing: start.hashing,
            waiting: Vec::new(),
            waits_since: None,
            allowance: Allowance { per_second, left: per_second, refilled: Instant::now() },
            stopped: None,
            buffer: Vec::new(),
        }
    }

    /// Runs until told to shut down or nobody can submit any more.
    pub(crate) fn run(mut self, messages: Receiver<Message>) {
        let mut ending = false;
        while !ending {
            let mut submissions = Vec::new();
            ending = self.collect(&messages, &mut submissions);
            if !submissions.is_empty() {
                self.commit(submissions);
            }
            self.seal_if_due(ending);
        }
        // Whoever submitted after the shutdown hears that nothing was done.
        let ended = || Error::unavailable("the log is shut down");
        for message in messages.try_iter() {
            match message {
                Message::Append(submission) => self.answer(submission.bytes, submission.answer, Err(ended())),
                Message::Adopt { answer, .. } => drop(answer.send(Err(ended()))),
                Message::Shutdown => {}
            }
        }
    }

    /// Waits for work and takes what is there, up to a group. True when it is time to end.
    fn collect(&mut self, messages: &Receiver<Message>, submissions: &mut Vec<Submission>) -> bool {
        let first = match self.waits_since {
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => messages.recv_timeout(SEAL_INTERVAL.saturating_sub(since.elapsed())),
        };
        let mut bytes = 0;
        let mut next = match first {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        };
        while let Some(message) = next {
            match message {
                Message::Shutdown => return true,
                Message::Adopt { log, checkpoint, answer } => {
                    let adopted = match &self.stopped {
                        Some(stopped) => Err(stopped.clone()),
                        None => self.adopt(log, &checkpoint),
                    };
                    // Whoever asked may have gone.
                    let _ = answer.send(adopted);
                }
                Message::Append(submission) => {
                    bytes += submission.bytes;
                    submissions.push(submission);
                }
            }
            next = if bytes < self.shared.options.group_bytes_max { messages.try_recv().ok() } else { None };
        }
        false
    }

    /// Orders and commits submissions; each is answered, or waits for its seal.
    fn commit(&mut self, submissions: Vec<Submission>) {
        let Ordered { group, waiting, alarm } = self.order(submissions);
        if group.runs.is_empty() {
            // Only duplicates: they are answered when what they are duplicates of is published.
            self.wait(waiting);
            return;
        }
        match self.write(&group, alarm) {
            Ok(staged) => {
                self.accept(staged);
                self.wait(waiting);
            }
            Err(err) => {
                for waiting in waiting {
                    self.answer(waiting.bytes, waiting.answer, Err(err.clone()));
                }
            }
        }
    }

    fn wait(&mut self, waiting: Vec<Waiting>) {
        self.waiting.extend(waiting);
        self.waits_since.get_or_insert_with(Instant::now);
    }

    /// Gives every entry its place, time and salt: all that is not a function of what came before is chosen here.
    fn order(&mut self, submissions: Vec<Submission>) -> Ordered {
        let now_us = self.shared.clock.now_us();
        let mut ordered =
            Ordered { group: Group { number: self.next_group, runs: Vec::new() }, waiting: Vec::new(), alarm: false };
        let mut run_of: HashMap<LogId, usize> = HashMap::new();
        for mut submission in submissions {
            if let Err(err) = self.admit(&submission) {
                self.answer(submission.bytes, submission.answer, Err(err));
                continue;
            }
            // Ids of this group are found in `ids` too: they are entered here and taken out again if the group fails.
            let places = match self.place(&mut submission, now_us, &mut ordered.group, &mut run_of) {
                Ok(places) => places,
                Err(err) => {
                    self.answer(submission.bytes, submission.answer, Err(err));
                    continue;
                }
            };
            ordered.alarm |= submission.alarm;
            let Submission { log, bytes, answer, .. } = submission;
            ordered.waiting.push(Waiting { log, bytes, places, answer });
        }
        self.draw_salts(&mut ordered.group);
        ordered
    }

    /// Whether the log can take the submission.
    fn admit(&self, submission: &Submission) -> Result<()> {
        if let Some(stopped) = &self.stopped {
            return Err(stopped.clone());
        }
        match self.logs.get(&submission.log) {
            Some(_) if submission.opens => Err(Error::conflict(format!("log {} exists", submission.log))),
            Some(log) => log.slot.check_open(),
            None if self.shared.slot(&submission.log).is_ok() => {
                self.shared.slot(&submission.log)?.check_open()?;
                Err(Error::conflict(format!("log {} exists", submission.log)))
            }
            None if submission.opens => match self.signer.record(&submission.log) {
                None => Ok(()),
                Some(_) => Err(Error::conflict(format!("the signer knows log {} already", submission.log))),
            },
            None => Err(Error::not_found(format!("no log {}", submission.log))),
        }
    }

    /// Finds or gives the place of each entry of a submission.
    fn place(
        &mut self,
        submission: &mut Submission,
        now_us: u64,
        group: &mut Group,
        run_of: &mut HashMap<LogId, usize>,
    ) -> Result<Vec<Planned>> {
        let log = submission.log;
        if submission.opens && !self.logs.contains_key(&log) {
            let slot = self.shared.new_slot(log, self.signer.vkey(&log));
            self.logs.insert(log, WriterLog::new(slot));
        }
        let known = &self.logs[&log];
        let pending = run_of.get(&log).map(|&run| &group.runs[run]);
        let mut next = pending.map_or(known.frontier.size(), |run| run.first + run.records.len() as u64);
        let last_us = pending.and_then(|run| run.records.last()).map_or(known.last_us, |record| record.received_at_us);
        if now_us < last_us {
            self.shared.counters.clock_steps_back.fetch_add(1, Ordering::Relaxed);
        }
        let received_at_us = now_us.max(last_us);

        let ids: Vec<[u8; 16]> = submission.entries.iter().map(|entry| entry.id).collect();
        let found = self.ids.find_or_enter(&self.shared, &known.slot, &ids, next)?;
        let mut places = Vec::with_capacity(ids.len());
        let mut records = Vec::with_capacity(ids.len());
        for (entry, found) in submission.entries.iter_mut().zip(found) {
            match found {
                Some(index) => {
                    self.shared.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                    places.push(Planned::Duplicate { index });
                }
                None => {
                    places.push(Planned::New { index: next, received_at_us });
                    next += 1;
                    records.push(NewRecord {
                        kind: entry.kind,
                        id: entry.id,
                        received_at_us,
                        salt: [0; 16],
                        body: std::mem::take(&mut entry.body),
                    });
                }
            }
        }
        if !records.is_empty() {
            let first = next - records.len() as u64;
            match run_of.get(&log) {
                Some(&run) => group.runs[run].records.append(&mut records),
                None => {
                    run_of.insert(log, group.runs.len());
                    group.runs.push(Run { log, first, records });
                }
            }
        }
        Ok(places)
    }

    fn draw_salts(&self, group: &mut Group) {
        let mut salts = vec![0; 16 * group.entries()];
        self.shared.entropy.fill(&mut salts);
        let records = group.runs.iter_mut().flat_map(|run| run.records.iter_mut());
        for (record, salt) in records.zip(salts.chunks_exact(16)) {
            if record.kind.is_committed(record.body.len()) {
                record.salt.copy_from_slice(salt);
            }
        }
    }

    /// Applies a group to copies, writes it, makes it durable, and has it checked. On an error nothing is kept of it.
    fn write(&mut self, group: &Group, alarm: bool) -> Result<Vec<StagedRun>> {
        let written = self.write_checked(group, alarm);
        if let Err(err) = &written {
            self.ids.take_back();
            // A log that was to be opened is not.
            let unopened = |log: &WriterLog| log.first && log.frontier.size() == 0;
            for run in &group.runs {
                if self.logs.get(&run.log).is_some_and(unopened) {
                    self.logs.remove(&run.log);
                }
            }
            tracing::warn!(%err, group = group.number, "a group was not committed");
        }
        written
    }

    fn write_checked(&mut self, group: &Group, alarm: bool) -> Result<Vec<StagedRun>> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        bytes.resize(HEADER_BYTES, 0);
        group.encode(&mut bytes);
        self.make_room(bytes.len() as u64)?;
        let staged = self.apply(group, &mut bytes)?;
        let header = FrameHeader::of(GROUP_MAGIC, group.number, group.entries() as u32, &bytes[HEADER_BYTES..]);
        bytes[..HEADER_BYTES].copy_from_slice(&header.encode());

        if let Err(failed) = self.active.write(&bytes) {
            self.retry_with_reserve(failed, alarm, &bytes)?;
        }
        // The check runs while the disk works. What is checked are the bytes that were handed to it.
        let trees = staged.iter().map(|run| (self.logs[&run.log].frontier.clone(), run.frontier.root())).collect();
        let check = self.checker.start(CheckJob { frame: bytes, entries: group.entries() as u32, trees });
        let synced = self.active.sync();
        let (bytes, agreed) = check.wait();
        let length = bytes.len() as u64;
        self.buffer = bytes;
        if let Err(err) = synced {
            return Err(self.stop(err));
        }
        if !agreed {
            self.shared.counters.check_mismatches.fetch_add(1, Ordering::Relaxed);
            tracing::error!(group = group.number, "two SHA-256 implementations disagree on a group: it is dropped");
            if let Err(err) = self.active.undo() {
                return Err(self.stop(err));
            }
            return Err(Error::unavailable("the check of new hashes before signing failed; nothing was appended"));
        }
        self.active.accept(length);
        self.next_group += 1;
        let counters = &self.shared.counters;
        counters.groups.fetch_add(1, Ordering::Relaxed);
        counters.commit_bytes.fetch_add(length, Ordering::Relaxed);
        self.shared.refill_reserve();
        Ok(staged)
    }

    /// A full disk took none of the write: an alarm may use the reserve, everybody else is refused.
    fn retry_with_reserve(&mut self, failed: crate::commit::WriteError, alarm: bool, bytes: &[u8]) -> Result<()> {
        if !failed.undone {
            return Err(self.stop(failed.error));
        }
        let refused = Error::unavailable(format!("the disk is full, nothing was appended ({})", failed.error));
        if !alarm || !self.shared.release_reserve() {
            return Err(refused);
        }
        match self.active.write(bytes) {
            Ok(()) => Ok(()),
            Err(again) if again.undone => Err(refused),
            Err(again) => Err(self.stop(again.error)),
        }
    }

    /// Computes leaves and trees of a group, and writes the leaf hashes into its encoded frame.
    fn apply(&self, group: &Group, frame: &mut [u8]) -> Result<Vec<StagedRun>> {
        let payload = &frame[HEADER_BYTES..];
        let views = group::parse(payload, group.entries() as u32)
            .map_err(|what| Error::corrupt(format!("a group that was just made does not read back: {what}")))?;
        let records = views.iter().flat_map(|run| (run.first..).zip(&run.records));
        let fields: Vec<Fields<'_>> = records
            .map(|(index, record)| Fields {
                kind: record.kind,
                index,
                received_at_us: record.received_at_us,
                id: record.id,
                salt: &record.salt,
                body: record.body(payload),
            })
            .collect();
        let mut leaves = group::leaves_of(&fields, &*self.hashing);

        let mut staged = Vec::with_capacity(views.len());
        for view in &views {
            let later = leaves.split_off(view.records.len());
            let of_run = std::mem::replace(&mut leaves, later);
            group::fill_leaves(&mut frame[HEADER_BYTES..], view.leaves_at, &of_run);
            let log = &self.logs[&view.log];
            let mut frontier = log.frontier.clone();
            let nodes = Growth::of(&mut frontier, &of_run);
            let payload_at = self.active.end + HEADER_BYTES as u64;
            let place = |record: &group::RecordView| Place {
                at: (payload_at + record.at as u64) as u32,
                body_bytes: record.body_bytes as u32,
            };
            let part = TailPart {
                file: Arc::clone(&self.active.file),
                first: view.first,
                places: view.records.iter().map(place).collect(),
                tiles: nodes.tiles(),
                leaves: of_run,
                last_us: view.records.last().map_or(log.last_us, |record| record.received_at_us),
            };
            staged.push(StagedRun { log: view.log, frontier, nodes, part });
        }
        Ok(staged)
    }

    /// The group is durable and checked: from here on it is part of its logs.
    fn accept(&mut self, staged: Vec<StagedRun>) {
        self.ids.accept();
        for run in staged {
            let log = self.logs.get_mut(&run.log).expect("the log was there when the run was staged");
            log.frontier = run.frontier;
            log.last_us = run.part.last_us;
            log.growth.extend(run.nodes);
            match &mut log.unpublished {
                Some(part) if part.file.number == run.part.file.number => part.extend(run.part),
                Some(_) => unreachable!("everything is published before a commit file is closed"),
                None => log.unpublished = Some(run.part),
            }
        }
    }

    /// Starts another commit file if this much does not fit the one in use.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let limit = self.shared.options.commit_file_bytes.min(COMMIT_FILE_BYTES_MAX);
        if self.active.is_empty() || self.active.end + bytes <= limit {
            return Ok(());
        }
        self.await_sealing()?;
        // A closed file is sealed, and only what is signed may be.
        self.seal_all();
        if let Some(stopped) = &self.stopped {
            return Err(stopped.clone());
        }
        if !self.waiting.is_empty() || self.logs.values().any(|log| log.unpublished.is_some()) {
            return Err(Error::unavailable("the entries before could not be signed yet"));
        }
        let number = self.active.file.number + 1;
        let next =
            ActiveFile::create(&*self.shared.reading.store, number, self.next_group).map_err(|err| self.stop(err))?;
        let closed = std::mem::replace(&mut self.active, next).file;
        self.shared.sealing.lock().files += 1;
        self.ids.close_file(closed.number);
        // Sealing that ended (because it failed) leaves commit files as they are; they stay readable.
        let _ = self.seal.send(SealJob::File(closed));
        Ok(())
    }

    /// Waits while too many closed files wait for sealing, so that the debt is bounded.
    fn await_sealing(&self) -> Result<()> {
        let mut sealing = self.shared.sealing.lock();
        while sealing.files > self.shared.options.unsealed_files_max {
            if let Some(failed) = &sealing.failed {
                return Err(Error::unavailable(format!("sealing is behind and fails: {failed}")));
            }
            self.shared.sealed.wait(&mut sealing);
        }
        Ok(())
    }

    /// Seals what waits if there are signatures left, or if it waited long enough.
    fn seal_if_due(&mut self, ending: bool) {
        let Some(since) = self.waits_since else { return };
        let logs = self.logs_to_seal().count();
        if ending || since.elapsed() >= SEAL_INTERVAL || self.allowance.take(logs) {
            self.seal_all();
        }
    }

    fn logs_to_seal(&self) -> impl Iterator<Item = &LogId> {
        self.logs.iter().filter(|(_, log)| log.unpublished.is_some()).map(|(id, _)| id)
    }

    /// Signs, stores and publishes the heads of all logs that grew, and answers everybody who waits for them.
    fn seal_all(&mut self) {
        self.waits_since = None;
        let mut logs: Vec<LogId> = self.logs_to_seal().copied().collect();
        logs.sort_unstable();
        let sealed = match &self.stopped {
            // After a failed fsync nothing is signed any more.
            Some(stopped) => Err(stopped.clone()),
            None if logs.is_empty() => Ok(()),
            None => self.seal_logs(&logs),
        };
        for waiting in std::mem::take(&mut self.waiting) {
            let answer = match &sealed {
                Ok(()) => self.shared.slot(&waiting.log).and_then(|slot| answer_of(&slot, &waiting.places)),
                Err(err) => Err(err.clone()),
            };
            self.answer(waiting.bytes, waiting.answer, answer);
        }
    }

    fn seal_logs(&mut self, logs: &[LogId]) -> Result<()> {
        let mut requests = Vec::with_capacity(logs.len());
        for id in logs {
            let log = &self.logs[id];
            let proof = log.growth.consistency(&log.frontier)?;
            requests.push(Request {
                log: *id,
                size: log.frontier.size(),
                root: log.frontier.root(),
                proof,
                first: log.first,
            });
        }
        let notes = match self.signer.sign(&requests) {
            Ok(notes) => notes,
            Err(Refusal::NotExtending { log, detail }) => {
                // What we hold and what was signed differ: this log is over; the others are signed next time.
                if let Some(closed) = self.logs.remove(&log) {
                    closed.slot.close(ReadOnlyReason::Forked, detail.clone());
                }
                self.waits_since = Some(Instant::now());
                return Err(Error::unavailable(format!("log {log} cannot be signed: {detail}")));
            }
            Err(Refusal::Store(failure)) => return Err(self.failed(failure)),
        };
        self.shared.counters.signatures.fetch_add(notes.len() as u64, Ordering::Relaxed);
        let checkpoints: Vec<NewCheckpoint> = requests
            .iter()
            .zip(&notes)
            .map(|(request, note)| NewCheckpoint {
                log: request.log,
                size: request.size,
                text: Arc::clone(note),
                last_us: self.logs[&request.log].last_us,
                vkey: Arc::clone(&self.logs[&request.log].slot.vkey),
            })
            .collect();
        let stored = self.shared.checkpoints.lock().store(&checkpoints);
        if let Err(failure) = stored {
            // The signer moved on; a later try signs from there.
            for request in &requests {
                self.logs.get_mut(&request.log).expect("requests are of our logs").signed();
            }
            return Err(self.failed(failure));
        }
        self.publish(&requests, notes);
        Ok(())
    }

    /// Lets readers see what was signed.
    fn publish(&mut self, requests: &[Request], notes: Vec<Arc<str>>) {
        let mut entries = 0;
        for (request, checkpoint) in requests.iter().zip(notes) {
            let log = self.logs.get_mut(&request.log).expect("requests are of our logs");
            log.signed();
            let head = Head { size: request.size, root: request.root, last_received_at_us: log.last_us, checkpoint };
            let mut pieces = log.slot.pieces.write();
            if let Some(part) = log.unpublished.take() {
                entries += part.places.len() as u64;
                pieces.push(part);
            }
            pieces.head = Some(head);
            drop(pieces);
            if request.first {
                self.shared.slots.write().insert(request.log, Arc::clone(&log.slot));
            }
        }
        self.shared.counters.entries_appended.fetch_add(entries, Ordering::Relaxed);
        self.shared.published.send_modify(|count| *count += 1);
    }

    /// Takes a log up again whose signer's record is lost: it must extend the checkpoint that the person brought.
    fn adopt(&mut self, id: LogId, checkpoint: &str) -> Result<()> {
        let slot = self.shared.slot(&id)?;
        let missing =
            |state: &LogState| matches!(state, LogState::ReadOnly { reason: ReadOnlyReason::SignerMissing, .. });
        if self.signer.record(&id).is_some() || !missing(&slot.pieces.read().state) {
            return Err(Error::conflict(format!("log {id} is not one whose signer's record is missing")));
        }
        let key = slot.vkey.parse().expect("our own key is well-formed");
        let opened = SignedCheckpoint::open(checkpoint, &slot.origin, &[key])
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
        let request = Request { log: id, size: end, root: frontier.root(), proof, first: false };
        self.signer.adopt(id, Signed { size, root }).map_err(|failure| self.failed(failure))?;
        let notes = self.signer.sign(std::slice::from_ref(&request)).map_err(|refusal| match refusal {
            Refusal::NotExtending { detail, .. } => Error::corrupt(detail),
            Refusal::Store(failure) => self.failed(failure),
        })?;
        let stored =
            NewCheckpoint { log: id, size: end, text: Arc::clone(&notes[0]), last_us, vkey: Arc::clone(&slot.vkey) };
        let stored = self.shared.checkpoints.lock().store(&[stored]);
        stored.map_err(|failure| self.failed(failure))?;
        tracing::warn!(log = %id, size, "a log was adopted by a remembered checkpoint");
        {
            let mut pieces = slot.pieces.write();
            let checkpoint = Arc::clone(&notes[0]);
            pieces.head = Some(Head { size: end, root: request.root, last_received_at_us: last_us, checkpoint });
            pieces.state = LogState::Open;
        }
        self.logs.insert(id, WriterLog::reopened(slot, frontier, last_us));
        Ok(())
    }

    fn answer(&self, bytes: usize, answer: oneshot::Sender<Result<Answer>>, result: Result<Answer>) {
        self.shared.counters.pool_bytes.fetch_sub(bytes, Ordering::SeqCst);
        // Whoever asked may have gone; what was appended stays.
        let _ = answer.send(result);
    }

    /// A write that can be tried again leaves everything waiting; one that cannot stops the writer.
    fn failed(&mut self, failure: crate::journal::Failure) -> Error {
        if failure.final_ {
            return self.stop(failure.error);
        }
        self.waits_since.get_or_insert_with(Instant::now);
        Error::unavailable(format!("written, but not signed yet: {}", failure.error))
    }

    /// Stops writing for good: after a failed fsync nobody knows what is on disk.
    fn stop(&mut self, err: Error) -> Error {
        let text = format!("writing has stopped ({err}); restart, and run `counterfoil fsck`");
        tracing::error!("{text}");
        let stopped = Error::unavailable(text.clone());
        self.stopped.get_or_insert_with(|| stopped.clone());
        self.shared.stop(text);
        stopped
    }
}

impl WriterLog {
    /// A log without entries.
    pub(crate) fn new(slot: Arc<LogSlot>) -> WriterLog {
        WriterLog {
            slot,
            frontier: Frontier::new(),
            last_us: 0,
            growth: Growth::at(&Frontier::new()),
            unpublished: None,
            first: true,
        }
    }

    /// A log as it was found, everything in it signed.
    pub(crate) fn reopened(slot: Arc<LogSlot>, frontier: Frontier, last_us: u64) -> WriterLog {
        let growth = Growth::at(&frontier);
        WriterLog { slot, frontier, last_us, growth, unpublished: None, first: false }
    }

    /// The head at the present frontier was signed.
    fn signed(&mut self) {
        self.growth = Growth::at(&self.frontier);
        self.first = false;
    }
}

/// The answer to a submission whose log was just published.
fn answer_of(slot: &LogSlot, places: &[Planned]) -> Result<Answer> {
    let pieces = slot.pieces.read();
    if let LogState::ReadOnly { reason, detail } = &pieces.state {
        return Err(Error::ReadOnly { reason: *reason, detail: Arc::clone(detail) });
    }
    let tree_size = pieces.head.as_ref().map_or(0, |head| head.size);
    let placed = |planned: &Planned| match *planned {
        Planned::Duplicate { index } => Ok(Placed::Duplicate { index }),
        Planned::New { index, received_at_us } => {
            // What was just published is in the last part.
            let part = pieces.tail.back().filter(|part| part.first <= index && index < part.end());
            let part = part.ok_or_else(|| Error::unavailable("the entry is not published yet"))?;
            Ok(Placed::New { index, received_at_us, leaf: part.leaves[(index - part.first) as usize] })
        }
    };
    Ok(Answer { places: places.iter().map(placed).collect::<Result<_>>()?, tree_size })
}

/// Starts the writer's thread.
pub(crate) fn spawn(sequencer: Sequencer, messages: Receiver<Message>) -> Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name("log-writer".into())
        .spawn(move || sequencer.run(messages))
        .map_err(|err| Error::unavailable(format!("start the writer: {err}")))
}
