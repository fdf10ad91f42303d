//! The single writer: takes what was submitted, orders it into one group, commits the group, and hands it on to be signed.
//!
//! ```text
//! submit ─▶ order ─▶ apply ─▶ write, fdatasync ─▶ check ─▶ guarded signer ─▶ checkpoint, fdatasync ─▶ publish, answer
//!           Group    Staged      commit file       plain     its own store      checkpoint/newest
//! └─────────────────── this file, one thread ───────────┘ └──────────── signing.rs, another thread ───────────────┘
//! ```
//!
//! Nothing is answered before the last step, so that acknowledged means durable and signed. While heads are signed the next
//! group is committed. Dying between two steps leaves a group that recovery finishes (after the write was durable) or drops
//! (before); see `recovery.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tlog::entry::Kind;
use tlog::{Frontier, Hash};
use tokio::sync::oneshot;

use crate::check::{CheckJob, Checker};
use crate::commit::{ActiveFile, COMMIT_FILE_BYTES_MAX, WriteError};
use crate::error::{Error, Result};
use crate::frame::{FrameHeader, HEADER_BYTES};
use crate::group::{self, Fields, GROUP_MAGIC, Group, Hashing, NewRecord, Run};
use crate::growth::Growth;
use crate::id::LogId;
use crate::ids::Ids;
use crate::keys::Keys;
use crate::model::{BodyState, NewEntry, ReadOnlyReason};
use crate::notes::{FIRST_EPOCH, KeyNote, LogNote};
use crate::shared::Shared;
use crate::signing::Durable;
use crate::state::{LogSlot, Place, TailPart};

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
    /// Close the commit file in use, so that what is in it is sealed.
    Roll,
    /// Finish what waits, then end.
    Shutdown,
}

/// A batch for one log, waiting for its place in the order.
pub(crate) struct Submission {
    pub log: LogId,
    pub entries: Vec<NewEntry>,
    /// The log is to be made; `entries` holds its first one.
    pub opens: bool,
    /// The log is to be closed; `entries` holds its last one.
    pub closes: bool,
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
    /// After the last durable entry; empty for a log that is being made.
    pub frontier: Frontier,
    pub last_us: u64,
    /// Its last entry closes it, or is about to.
    pub closed: bool,
}

/// A run that was applied to a copy of its log's tree.
pub(crate) struct StagedRun {
    pub slot: Arc<LogSlot>,
    /// After the run.
    pub frontier: Frontier,
    /// What the run added.
    pub growth: Growth,
    pub part: TailPart,
    /// Key notes among its entries: index, time of receipt, and what they say.
    pub key_notes: Vec<(u64, u64, KeyNote)>,
    /// Its last entry closes the log.
    pub closes: bool,
}

/// A submission that got its place and waits for its seal.
pub(crate) struct Waiting {
    pub log: LogId,
    pub bytes: usize,
    pub places: Vec<Planned>,
    pub answer: oneshot::Sender<Result<Answer>>,
}

/// Where an entry of a submission goes.
#[derive(Clone, Copy)]
pub(crate) enum Planned {
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
    shared: Arc<Shared>,
    keys: Arc<Keys>,
    ids: Arc<Ids>,
    logs: HashMap<LogId, WriterLog>,
    active: ActiveFile,
    next_group: u64,
    checker: Checker,
    durable: Sender<Durable>,
    hashing: Box<dyn Hashing + Send>,
    /// Kept for its memory.
    buffer: Vec<u8>,
}

/// What the sequencer starts from.
pub(crate) struct Start {
    pub shared: Arc<Shared>,
    pub keys: Arc<Keys>,
    pub ids: Arc<Ids>,
    pub logs: HashMap<LogId, WriterLog>,
    pub active: ActiveFile,
    pub next_group: u64,
    /// Where committed groups go.
    pub durable: Sender<Durable>,
    pub hashing: Box<dyn Hashing + Send>,
}

impl Sequencer {
    pub(crate) fn new(start: Start) -> Sequencer {
        let Start { shared, keys, ids, logs, active, next_group, durable, hashing } = start;
        let checker = Checker::new();
        Sequencer { shared, keys, ids, logs, active, next_group, checker, durable, hashing, buffer: Vec::new() }
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
        }
        // Whoever submitted after the shutdown hears that nothing was done.
        let ended = || Error::unavailable("the log is shut down");
        for message in messages.try_iter() {
            match message {
                Message::Append(submission) => {
                    self.shared.answer(submission.bytes, submission.answer, Err(ended()));
                }
                Message::Adopt { answer, .. } => drop(answer.send(Err(ended()))),
                Message::Roll | Message::Shutdown => {}
            }
        }
    }

    /// Waits for work and takes what is there, up to a group. True when it is time to end.
    fn collect(&mut self, messages: &Receiver<Message>, submissions: &mut Vec<Submission>) -> bool {
        let mut bytes = 0;
        let Ok(first) = messages.recv() else { return true };
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Shutdown => return true,
                Message::Adopt { log, checkpoint, answer } => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.adopt(log, checkpoint));
                }
                Message::Append(submission) => {
                    bytes += submission.bytes;
                    submissions.push(submission);
                }
                Message::Roll => self.roll_when_asked(),
            }
            next = if bytes < self.shared.options.group_bytes_max { messages.try_recv().ok() } else { None };
        }
        false
    }

    /// Orders and commits submissions; each is answered with why not, or handed on to wait for its seal.
    fn commit(&mut self, submissions: Vec<Submission>) {
        let Ordered { group, waiting, alarm } = self.order(submissions);
        // Without runs there are only duplicates: they are answered when what they are duplicates of is published.
        let committed = if group.runs.is_empty() { Ok(Vec::new()) } else { self.write(&group, alarm) };
        match committed {
            Ok(runs) => {
                self.accept(&runs);
                self.hand_on(Durable::Group { runs, waiting });
            }
            Err(err) => {
                for waiting in waiting {
                    self.shared.answer(waiting.bytes, waiting.answer, Err(err.clone()));
                }
            }
        }
    }

    fn hand_on(&self, durable: Durable) {
        if self.durable.send(durable).is_err() {
            self.shared.stop(&Error::unavailable("signing has ended"));
        }
    }

    /// Has a log adopted, and takes it up.
    fn adopt(&mut self, log: LogId, checkpoint: String) -> Result<()> {
        self.shared.check_running()?;
        let (answer, answered) = crossbeam_channel::bounded(1);
        self.hand_on(Durable::Adopt { log, checkpoint, answer });
        let adopted = answered.recv().map_err(|_| Error::unavailable("signing has ended"))??;
        self.logs.insert(log, adopted);
        Ok(())
    }

    /// Gives every entry its place, time and salt: all that is not a function of what came before is chosen here.
    fn order(&mut self, submissions: Vec<Submission>) -> Ordered {
        let now_us = self.shared.clock.now_us();
        let mut ordered =
            Ordered { group: Group { number: self.next_group, runs: Vec::new() }, waiting: Vec::new(), alarm: false };
        let mut run_of: HashMap<LogId, usize> = HashMap::new();
        for mut submission in submissions {
            if let Err(err) = self.admit(&submission) {
                self.shared.answer(submission.bytes, submission.answer, Err(err));
                continue;
            }
            // Ids of this group are found in `ids` too: they are entered here and taken out again if the group fails.
            let places = match self.place(&mut submission, now_us, &mut ordered.group, &mut run_of) {
                Ok(places) => places,
                Err(err) => {
                    self.shared.answer(submission.bytes, submission.answer, Err(err));
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
        self.shared.check_running()?;
        match self.logs.get(&submission.log) {
            Some(_) if submission.opens => Err(Error::conflict(format!("log {} exists", submission.log))),
            Some(log) if log.closed => Err(closed_error()),
            Some(log) => log.slot.check_open(),
            None if self.shared.slot(&submission.log).is_ok() => {
                self.shared.slot(&submission.log)?.check_open()?;
                Err(Error::conflict(format!("log {} exists", submission.log)))
            }
            // Every log that the signer knows is among the slots, so this one is new to it too.
            None if submission.opens => Ok(()),
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
            let epoch = submission.entries.first().map_or(FIRST_EPOCH, |entry| LogNote::epoch(&entry.body));
            let keys = self.keys.log_keys(&log, epoch);
            let keys = keys.ok_or_else(|| Error::invalid(format!("there is no seed of key epoch {epoch}")))?;
            self.logs.insert(log, WriterLog::new(self.shared.new_slot(log, keys)));
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
        if submission.closes {
            self.logs.get_mut(&log).expect("it was admitted").closed = true;
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
            let unopened = |log: &WriterLog| log.frontier.size() == 0;
            for run in &group.runs {
                if let Some(log) = self.logs.get_mut(&run.log) {
                    log.closed = false;
                }
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
        let trees = staged.iter().map(|run| (self.logs[&run.slot.id].frontier.clone(), run.frontier.root())).collect();
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
        if !alarm {
            self.shared.disk_full.store(false, Ordering::Relaxed);
            self.shared.refill_reserve();
        }
        Ok(staged)
    }

    /// A full disk took none of the write: an alarm may use the reserve, everybody else is refused.
    fn retry_with_reserve(&mut self, failed: WriteError, alarm: bool, bytes: &[u8]) -> Result<()> {
        if !failed.undone {
            return Err(self.stop(failed.error));
        }
        self.shared.disk_full.store(true, Ordering::Relaxed);
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
                state: BodyState::Present,
            })
            .collect();
        let mut leaves = group::leaves_of(&fields, &*self.hashing);

        let mut staged = Vec::with_capacity(views.len());
        for view in &views {
            let later = leaves.split_off(view.records.len());
            let of_run = std::mem::replace(&mut leaves, later);
            let payload = &mut frame[HEADER_BYTES..];
            group::fill_leaves(payload, view.leaves_at, &of_run);
            let log = &self.logs[&view.log];
            let mut frontier = log.frontier.clone();
            let growth = Growth::of(&mut frontier, &of_run);
            let payload_at = self.active.end + HEADER_BYTES as u64;
            let place = |record: &group::RecordView| Place {
                at: (payload_at + record.at as u64) as u32,
                body_bytes: record.body_bytes as u32,
            };
            let part = TailPart {
                file: Arc::clone(&self.active.file),
                first: view.first,
                places: view.records.iter().map(place).collect(),
                tiles: growth.tiles(),
                leaves: of_run,
                last_us: view.records.last().map_or(log.last_us, |record| record.received_at_us),
            };
            let key_notes = (view.first..).zip(&view.records).filter(|(_, record)| record.kind == Kind::KeyNote);
            let key_notes = key_notes
                .filter_map(|(index, record)| {
                    Some((index, record.received_at_us, KeyNote::decode(record.body(payload))?))
                })
                .collect();
            let (slot, closes) = (Arc::clone(&log.slot), log.closed);
            staged.push(StagedRun { slot, frontier, growth, part, key_notes, closes });
        }
        Ok(staged)
    }

    /// The group is durable and checked: from here on it is part of its logs.
    fn accept(&mut self, staged: &[StagedRun]) {
        self.ids.accept();
        for run in staged {
            let log = self.logs.get_mut(&run.slot.id).expect("the log was there when the run was staged");
            log.frontier.clone_from(&run.frontier);
            log.last_us = run.part.last_us;
        }
    }

    /// Starts another commit file if this much does not fit the one in use.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let limit = self.shared.options.commit_file_bytes.min(COMMIT_FILE_BYTES_MAX);
        if self.active.is_empty() || self.active.end + bytes <= limit {
            return Ok(());
        }
        self.roll()
    }

    /// Whoever asks waits for the sealing, and asks again after the next opening if this fails.
    fn roll_when_asked(&mut self) {
        if !self.active.is_empty()
            && let Err(err) = self.shared.check_running().and_then(|()| self.roll())
        {
            tracing::warn!(%err, "the commit file in use was not closed");
        }
    }

    /// Starts another commit file; the one in use is sealed.
    fn roll(&mut self) -> Result<()> {
        self.await_sealing()?;
        let number = self.active.file.number + 1;
        let next =
            ActiveFile::create(&*self.shared.reading.store, number, self.next_group).map_err(|err| self.stop(err))?;
        let closed = std::mem::replace(&mut self.active, next).file;
        self.shared.sealing.lock().files += 1;
        self.ids.close_file(closed.number);
        self.hand_on(Durable::Closed(closed));
        Ok(())
    }

    /// Waits while too many closed files wait for sealing, so that the debt is bounded.
    fn await_sealing(&self) -> Result<()> {
        let mut sealing = self.shared.sealing.lock();
        while sealing.files > self.shared.options.unsealed_files_max {
            if let Some(failed) = sealing.failed.as_ref().or(sealing.signing_failed.as_ref()) {
                return Err(Error::unavailable(format!("sealing is behind and fails: {failed}")));
            }
            self.shared.check_running()?;
            self.shared.sealed.wait_for(&mut sealing, Duration::from_secs(1));
        }
        Ok(())
    }

    /// Stops writing for good: after a failed fsync nobody knows what is on disk.
    fn stop(&self, err: Error) -> Error {
        self.shared.stop(&err)
    }
}

impl WriterLog {
    /// A log without entries.
    fn new(slot: Arc<LogSlot>) -> WriterLog {
        WriterLog { slot, frontier: Frontier::new(), last_us: 0, closed: false }
    }
}

/// What a log answers after its last entry.
fn closed_error() -> Error {
    Error::ReadOnly { reason: ReadOnlyReason::Closed, detail: CLOSED_DETAIL.into() }
}

/// What is said of a closed log.
pub(crate) const CLOSED_DETAIL: &str = "the log was closed; its last entry says why and by whom";

/// Starts the writer's thread.
pub(crate) fn spawn(sequencer: Sequencer, messages: Receiver<Message>) -> Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name("log-writer".into())
        .spawn(move || sequencer.run(messages))
        .map_err(|err| Error::unavailable(format!("start the writer: {err}")))
}
