//! The catalogue: which sessions and chunks there are, and under which numbers of the log they are told of.
//!
//! A projection: a search index of its own, of documents of sessions and of chunks (`filter.rs`), whose numbers are those
//! of the log's entries. It holds nothing that readers get: what it finds is read from the log. Of a session that is over
//! the entry that ended it takes the place of the one that began it.
//!
//! It does not read the log while the service runs. Whoever appends an entry of a session tells it here ([`Catalogue::apply`]),
//! and what was told since the last commit is looked through beside the index, so that a read sees the writes before it.
//! The log is read once, from the watermark on, when the service opens.
//!
//! **Watermark.** A commit covers a log up to its head, unless somebody is between appending and telling: each of them
//! holds a [`Turn`], which keeps the watermark at the head that the log had when it began. So every entry below the
//! watermark was told, whatever crashes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{ErasureNote, LogId, LogNote, Logs};
use parking_lot::Mutex;
use search::{Document, Index, Query};
use tlog::entry::Kind;

use super::entry::Entry;
use super::filter;
use crate::control::Control;
use crate::encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::numbers::Part;
use crate::projection::Watermarks;
use crate::query::Order;
use crate::risk::Risk;

/// The last byte is raised with any change to what a document holds (`filter.rs`): the catalogue is then made anew.
const MAGIC: &[u8] = b"CFSC\x02";

/// Memory of the index writer: the least there is, for these are few and small documents.
const WRITER_MEMORY_BYTES: usize = 15 << 20;

/// Documents that wait for a commit; then one is due at once.
pub const WAITING_DOCUMENTS: usize = 4_000;

/// A commit for the sake of the watermark alone is made when the logs are this many entries ahead of it, so that a start
/// never has more to read.
pub const WATERMARK_ENTRIES: u64 = 200_000;

/// Bytes of records read at once.
const READ_BYTES: usize = 4 << 20;

/// The folder of the catalogue.
pub fn path(data: &Path) -> PathBuf {
    data.join("state").join("sessions")
}

/// See the module page.
pub struct Catalogue {
    index: Index,
    logs: Logs,
    control: Arc<Control>,
    /// What was told since the last commit.
    fresh: Mutex<Fresh>,
    turns: Arc<Mutex<Turns>>,
    /// How far the last commit reaches. Held while one is made.
    committed: Mutex<Watermarks>,
    ready: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Is told the same.
    risk: Arc<Risk>,
}

/// What the index does not know yet, by the ordinal of the log.
#[derive(Default)]
struct Fresh {
    logs: HashMap<u32, FreshOf>,
    documents: usize,
}

#[derive(Default)]
struct FreshOf {
    documents: BTreeMap<u64, Document>,
    /// Numbers whose documents are to leave the index.
    removed: BTreeSet<u64>,
    /// Every document up to this number is to leave it.
    removed_up_to: u64,
}

impl FreshOf {
    fn is_removed(&self, number: u64) -> bool {
        number <= self.removed_up_to || self.removed.contains(&number)
    }
}

#[derive(Default)]
struct Turns {
    next: u64,
    /// The log, and its size when the turn began.
    open: BTreeMap<u64, (LogId, u64)>,
}

/// Somebody is about to append entries of a session and to tell the catalogue. Keeps the watermark behind them.
pub struct Turn {
    turns: Arc<Mutex<Turns>>,
    number: u64,
    /// Nobody knows whether the log has what was appended: never let the watermark pass.
    pub abandoned: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.abandoned {
            self.turns.lock().open.remove(&self.number);
        }
    }
}

impl Catalogue {
    /// Opens the catalogue, or makes an empty one where there is none that can be used. [`Catalogue::catch_up`] comes next.
    pub fn open(data: &Path, logs: Logs, control: Arc<Control>, risk: Arc<Risk>) -> Result<Catalogue> {
        let folder = path(data);
        let (index, committed) = match open_index(&folder, &logs, &control) {
            Ok(opened) => opened,
            Err(Unusable::Make(why)) => {
                tracing::info!(%why, folder = %folder.display(), "the catalogue of sessions is made anew");
                remove(data)?;
                (Index::open(&folder, options())?.0, Watermarks::default())
            }
            Err(Unusable::Failed(error)) => return Err(error),
        };
        Ok(Catalogue {
            index,
            logs,
            control,
            fresh: Mutex::default(),
            turns: Arc::default(),
            committed: Mutex::new(committed),
            ready: AtomicBool::new(false),
            trouble: Mutex::new(None),
            risk,
        })
    }

    /// Entries that [`Catalogue::catch_up`] has to read.
    pub fn behind(&self) -> u64 {
        let committed = self.committed.lock();
        self.heads().iter().map(|(ordinal, _, size)| size.saturating_sub(committed.get(*ordinal))).sum()
    }

    /// Reads the logs from the watermarks to where they end now, and commits. Blocks. What is appended meanwhile must be
    /// told as always. `stop` ends it early.
    pub fn catch_up(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        // From here on whoever appends tells us; up to here we read.
        for (ordinal, log, size) in self.heads() {
            let mut next = self.committed.lock().get(ordinal);
            while next < size {
                if stop() {
                    return Ok(());
                }
                let records = match self.logs.read(&log, next..size, READ_BYTES) {
                    Ok(records) if !records.is_empty() => records,
                    // Damage in one log must not hold up the others: its sessions are known as far as it can be read.
                    problem => {
                        tracing::error!(?problem, %log, entry = next, "a log cannot be read for the catalogue of sessions");
                        *self.trouble.lock() = Some(format!("log {log} cannot be read from entry {next} on"));
                        self.hold_back(log, next);
                        break;
                    }
                };
                let mut decoder = encoding::Decoder::default();
                for record in records {
                    next = record.index + 1;
                    self.apply_record(ordinal, log, record, &mut decoder);
                }
                if self.waiting() >= WAITING_DOCUMENTS {
                    let mut marks = self.committed.lock().clone();
                    marks.set(ordinal, next);
                    self.commit_to(marks)?;
                }
            }
        }
        self.ready.store(true, Ordering::SeqCst);
        self.commit()
    }

    /// Says whether the catalogue knows everything; until then sessions cannot be asked for.
    ///
    /// # Errors
    /// `Overloaded`: it is being made.
    pub fn check_ready(&self) -> Result<()> {
        /// A new catalogue over millions of entries takes seconds.
        const RETRY_AFTER_S: u64 = 5;
        if self.ready.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::overloaded("the catalogue of sessions is being made", RETRY_AFTER_S))
    }

    /// The size of a log up to which nobody is between appending and telling: every entry below it was told.
    pub fn told(&self, log: LogId) -> u64 {
        let turns = self.turns.lock();
        let size = self.logs.head(&log).map_or(0, |head| head.size);
        turns.open.values().filter(|(of, _)| *of == log).map(|(_, began)| *began).fold(size, u64::min)
    }

    fn heads(&self) -> Vec<(u32, LogId, u64)> {
        let logs = self.control.state().indexed_logs();
        logs.into_iter().filter_map(|(ordinal, log)| Some((ordinal, log, self.logs.head(&log).ok()?.size))).collect()
    }

    /// Keeps the watermark of a log at `size` until the next start, which reads on from there.
    fn hold_back(&self, log: LogId, size: u64) {
        let mut turns = self.turns.lock();
        let number = turns.next;
        turns.next += 1;
        turns.open.insert(number, (log, size));
    }

    /// Begins a turn, before anything is appended.
    pub fn turn(&self, log: LogId) -> Turn {
        let mut turns = self.turns.lock();
        // The head is read under the lock: a commit that does not see this turn reads its heads before.
        let size = self.logs.head(&log).map_or(0, |head| head.size);
        let number = turns.next;
        turns.next += 1;
        turns.open.insert(number, (log, size));
        Turn { turns: Arc::clone(&self.turns), number, abandoned: false }
    }

    /// Takes in one entry of a session.
    pub fn apply(&self, ordinal: u32, entry: &Entry) {
        let (document, replaced) = match entry {
            Entry::Chunk(chunk) => (filter::chunk_document(chunk), None),
            Entry::Session(session) => (filter::document(session), session.ended.as_ref().map(|_| session.number)),
            Entry::Scored(score) => (filter::score_document(score), None),
            Entry::Built { number, at_us } => (filter::build_document(*number, *at_us), None),
        };
        self.risk.apply(ordinal, entry);
        let mut fresh = self.fresh.lock();
        if let Some(number) = replaced {
            fresh.remove(ordinal, number);
        }
        let of = fresh.logs.entry(ordinal).or_default();
        if document.number > of.removed_up_to && of.documents.insert(document.number, document).is_none() {
            fresh.documents += 1;
        }
    }

    /// Takes in one record, whatever it is.
    pub fn apply_record(&self, ordinal: u32, log: LogId, record: log::Record, decoder: &mut encoding::Decoder) {
        match record.kind {
            Kind::Event | Kind::RecordingChunk => {
                // The organisation is not part of a document; whoever reads a session asks for it by organisation.
                let org = self.control.state().org_by_log(log).map(|org| org.id);
                let event = decoder.event(record);
                let org = org.unwrap_or(crate::model::OrgId::from_bytes([0; 16]));
                if let Some(entry) = Entry::read(org, Part::alone(log, ordinal), &event) {
                    self.apply(ordinal, &entry);
                }
            }
            Kind::ErasureNote => {
                let numbers = ErasureNote::decode(&record.body).into_iter().flat_map(|note| note.numbers);
                let mut fresh = self.fresh.lock();
                numbers.for_each(|number| fresh.remove(ordinal, number));
                drop(fresh);
                self.risk.forget(ordinal);
            }
            Kind::LogNote => {
                let minimum = LogNote::decode(&record.body).and_then(|note| note.minimum_index);
                if let Some(minimum) = minimum {
                    self.fresh.lock().remove_up_to(ordinal, minimum);
                    self.risk.forget(ordinal);
                }
            }
            Kind::KeyNote => {}
        }
    }

    /// Documents that wait for a commit, and removals.
    pub fn waiting(&self) -> usize {
        self.fresh.lock().documents
    }

    /// Why it could not go on, if so.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Makes everything told so far part of the index. Blocks.
    pub fn commit(&self) -> Result<()> {
        if !self.ready.load(Ordering::SeqCst) {
            return Ok(());
        }
        let marks = {
            let turns = self.turns.lock();
            let mut marks = Watermarks::default();
            for (ordinal, log, size) in self.heads() {
                let of_log = turns.open.values().filter(|(of, _)| *of == log);
                marks.set(ordinal, of_log.map(|(_, began)| *began).fold(size, u64::min));
            }
            marks
        };
        self.commit_to(marks)
    }

    /// Commits what was told of entries below `marks`.
    fn commit_to(&self, marks: Watermarks) -> Result<()> {
        let mut committed = self.committed.lock();
        let mut taken: Vec<(u32, Vec<u64>, BTreeSet<u64>, u64)> = Vec::new();
        let adds: Vec<(u32, Vec<Document>)> = {
            let fresh = self.fresh.lock();
            fresh
                .logs
                .iter()
                .map(|(ordinal, of)| {
                    // Numbers are indexes + 1: up to the watermark, inclusive.
                    let documents: Vec<Document> =
                        of.documents.range(..=marks.get(*ordinal)).map(|(_, document)| document.clone()).collect();
                    let numbers = documents.iter().map(|document| document.number).collect();
                    taken.push((*ordinal, numbers, of.removed.clone(), of.removed_up_to));
                    (*ordinal, documents)
                })
                .collect()
        };
        let done = (|| -> Result<(), search::Error> {
            for (ordinal, _, removed, removed_up_to) in &taken {
                if *removed_up_to > 0 {
                    self.index.delete_documents(*ordinal, 1..=*removed_up_to)?;
                }
                for number in removed {
                    self.index.delete_document(*ordinal, *number)?;
                }
            }
            for (ordinal, documents) in &adds {
                for document in documents {
                    self.index.add(*ordinal, document)?;
                }
            }
            self.index.commit(&payload(&marks, self.control.log()))
        })();
        if let Err(error) = done {
            // The index takes nothing more until it is opened again; what is told is kept beside it as long as it fits.
            *self.trouble.lock() = Some(format!("{error}"));
            return Err(error.into());
        }
        *committed = marks;
        // Only now: whoever looked at what is fresh before looks at the index after.
        let mut fresh = self.fresh.lock();
        for (ordinal, numbers, removed, removed_up_to) in taken {
            let Some(of) = fresh.logs.get_mut(&ordinal) else { continue };
            let before = of.documents.len() + of.removed.len();
            for number in &numbers {
                of.documents.remove(number);
            }
            of.removed.retain(|number| !removed.contains(number));
            if of.removed_up_to == removed_up_to {
                of.removed_up_to = 0;
            }
            let gone = before - of.documents.len() - of.removed.len();
            fresh.documents -= gone;
        }
        Ok(())
    }

    /// Waits until what was removed has left the disk. Blocks.
    pub fn settle(&self) {
        self.index.settle();
    }

    /// Numbers of the documents that match, in the order asked for, beginning after `after`; at most `limit`.
    pub fn search(
        &self,
        ordinal: u32,
        query: &Query,
        order: Order,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>> {
        let prepared = query.prepare();
        let is_after = |number: u64| match order {
            Order::Ascending => after.is_none_or(|after| number > after),
            Order::Descending => after.is_none_or(|after| number < after),
        };
        // What is fresh first, the index after: what moves from one to the other between the two is seen twice, not never.
        let (mut found, removed) = self.fresh(ordinal, |of| {
            let numbers =
                of.documents.values().filter(|document| is_after(document.number) && prepared.matches(document));
            let removed: BTreeSet<u64> = of.removed.clone();
            (numbers.map(|document| document.number).collect::<BTreeSet<u64>>(), (removed, of.removed_up_to))
        });
        let (removed, removed_up_to) = removed;
        let until = (order == Order::Descending).then_some(removed_up_to + 1);
        let after = match order {
            Order::Ascending => Some(after.unwrap_or(0).max(removed_up_to)),
            Order::Descending => after,
        };
        let asked = limit + removed.len();
        let indexed = self.index.reader().search(ordinal, query, order, after, until, asked)?;
        found.extend(indexed.into_iter().filter(|number| !removed.contains(number)));
        let numbers = found.into_iter();
        Ok(match order {
            Order::Ascending => numbers.take(limit).collect(),
            Order::Descending => numbers.rev().take(limit).collect(),
        })
    }

    /// The documents that match with the latest times of occurrence, latest first, ties by number: (microseconds, number).
    /// `before`: only those that come after this one in that order.
    pub fn newest(
        &self,
        ordinal: u32,
        query: &Query,
        before: Option<(i64, u64)>,
        most: usize,
    ) -> Result<Vec<(i64, u64)>> {
        let query = match before {
            None => query.clone(),
            Some((us, _)) => Query::And(vec![query.clone(), filter::started_until(us)]),
        };
        let prepared = query.prepare();
        let comes_after = |found: &(i64, u64)| before.is_none_or(|before| *found < before);
        let (mut found, (removed, removed_up_to)) = self.fresh(ordinal, |of| {
            let matching = of.documents.values().filter(|document| prepared.matches(document));
            let found: BTreeSet<(i64, u64)> = matching.map(|d| (d.occurred_at_us, d.number)).collect();
            (found, (of.removed.clone(), of.removed_up_to))
        });
        // Of one moment there may be more than fit a page that begins in the middle of it: ask for more until it moves on.
        let reader = self.index.reader();
        let mut asked = most + removed.len() + usize::from(before.is_some());
        loop {
            let indexed = reader.newest(ordinal, &query, removed_up_to + 1..=u64::MAX, asked)?;
            let complete = indexed.len() < asked;
            let fits: Vec<_> = indexed.into_iter().filter(|at| comes_after(at) && !removed.contains(&at.1)).collect();
            if complete || fits.len() >= most {
                found.extend(fits);
                break;
            }
            asked *= 4;
        }
        Ok(found.into_iter().rev().filter(comes_after).take(most).collect())
    }

    /// How many match; stops counting at `cap`.
    pub fn count(&self, ordinal: u32, query: &Query, cap: u64) -> Result<u64> {
        let prepared = query.prepare();
        let (fresh, (removed, removed_up_to)) = self.fresh(ordinal, |of| {
            let matching = of.documents.values().filter(|document| prepared.matches(document));
            (matching.map(|document| document.number).collect::<Vec<u64>>(), (of.removed.clone(), of.removed_up_to))
        });
        let numbers = |min: u64, max: u64| Query::Range {
            field: search::NumberField::Number,
            min: Some(i64::try_from(min).unwrap_or(i64::MAX)),
            max: Some(i64::try_from(max).unwrap_or(i64::MAX)),
        };
        let reader = self.index.reader();
        let of = |min, max, cap| reader.count(ordinal, &Query::And(vec![query.clone(), numbers(min, max)]), cap);
        let mut count = of(removed_up_to + 1, u64::MAX, cap.saturating_add(removed.len() as u64))?;
        for number in removed.iter().filter(|number| **number > removed_up_to) {
            count -= of(*number, *number, 1)?.min(count);
        }
        // What was committed since we looked is in both.
        for number in fresh {
            count += 1 - of(number, number, 1)?.min(1);
        }
        Ok(count.min(cap))
    }

    fn fresh<T: Default>(&self, ordinal: u32, look: impl FnOnce(&FreshOf) -> T) -> T {
        self.fresh.lock().logs.get(&ordinal).map(look).unwrap_or_default()
    }
}

impl Fresh {
    fn remove(&mut self, ordinal: u32, number: u64) {
        let of = self.logs.entry(ordinal).or_default();
        self.documents -= usize::from(of.documents.remove(&number).is_some());
        // Also what was fresh until now: a commit may be under way that has taken it along.
        let is_removed = of.is_removed(number);
        self.documents += usize::from(!is_removed && of.removed.insert(number));
    }

    fn remove_up_to(&mut self, ordinal: u32, number: u64) {
        let of = self.logs.entry(ordinal).or_default();
        of.removed_up_to = of.removed_up_to.max(number);
        let kept = of.documents.split_off(&(number + 1));
        self.documents -= of.documents.len();
        of.documents = kept;
    }
}

enum Unusable {
    Make(String),
    Failed(Error),
}

fn open_index(folder: &Path, logs: &Logs, control: &Control) -> Result<(Index, Watermarks), Unusable> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(|e| {
            let message = format!("cannot make {}", parent.display());
            Unusable::Failed(Error::new(ErrorKind::Unavailable, message).with_source(e))
        })?;
    }
    let (index, payload) = match Index::open(folder, options()) {
        Ok(opened) => opened,
        Err(search::Error::Unusable { detail }) => return Err(Unusable::Make(detail)),
        Err(error) => return Err(Unusable::Failed(error.into())),
    };
    let marks = match payload {
        None => Ok(Watermarks::default()),
        Some(payload) => match payload.strip_prefix(MAGIC) {
            Some(rest) => Watermarks::read(Some(rest), control.log()),
            None => Err("it is of another version".to_owned()),
        },
    };
    let agrees = marks.and_then(|marks| {
        for (ordinal, log) in control.state().indexed_logs() {
            let (known, size) = (marks.get(ordinal), logs.head(&log).map_or(0, |head| head.size));
            if known > size {
                return Err(format!("it knows {known} entries of log {log} which has {size}"));
            }
        }
        Ok(marks)
    });
    match agrees {
        Ok(marks) => Ok((index, marks)),
        Err(why) => {
            index.close();
            Err(Unusable::Make(why))
        }
    }
}

fn options() -> search::Options {
    search::Options { writer_memory_bytes: WRITER_MEMORY_BYTES, ..search::Options::default() }
}

fn payload(marks: &Watermarks, control_log: LogId) -> Vec<u8> {
    [MAGIC, &marks.write(control_log)].concat()
}

/// Removes the catalogue's folder; what is not there is no error.
pub fn remove(data: &Path) -> Result<()> {
    let folder = path(data);
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            let message = format!("cannot remove {}", folder.display());
            Err(Error::new(ErrorKind::Unavailable, message).with_source(e))
        }
        _ => Ok(()),
    }
}
