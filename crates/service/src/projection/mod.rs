//! Projections: what is made from the logs, and made again when it is gone. Today there is one, the search index.
//!
//! One thread follows all logs, turns entries into documents and commits now and then; appends never wait for it. How far
//! it came, the watermark of each log, is written into the index by the same commit as the documents, so that the two
//! cannot disagree: after a crash it goes on exactly there.

pub mod document;
mod watermarks;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log::{ErasureNote, LogId, LogNote, Logs};
use parking_lot::Mutex;
use search::{Index, Reader};
use tlog::entry::Kind;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::config::IndexOptions;
use crate::control::Control;
use crate::encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::service::Rebuilt;
use document::document;
pub(crate) use watermarks::Watermarks;

/// Bytes of records read at once.
const READ_BYTES: usize = 4 << 20;

/// The runner looks at the logs at most this often while there is nothing urgent, so that a busy writer does not make it
/// look at thousands of logs for each group.
const PASS_EVERY: Duration = Duration::from_millis(20);

/// Pause before a log that could not be read is tried again.
const STUCK_PAUSE: Duration = Duration::from_secs(10);

/// The index and the thread that feeds it.
pub struct Projections {
    shared: Arc<Shared>,
    runner: Mutex<Option<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

struct Shared {
    index: Index,
    options: IndexOptions,
    logs: Logs,
    control: Arc<Control>,
    /// Says that somebody waits for a commit.
    hurry: Notify,
    /// Changes with each commit.
    commits: watch::Sender<u64>,
    /// Why the index or a log could not go on.
    trouble: Mutex<Option<String>>,
}

/// One committed state of the index, with how far it reaches.
pub struct Indexed {
    /// Answers queries.
    pub reader: Reader,
    watermarks: Watermarks,
}

impl Indexed {
    /// Entries of the log of this ordinal that are in the index; numbers up to this one are found there.
    pub fn entries(&self, ordinal: u32) -> u64 {
        self.watermarks.get(ordinal)
    }
}

impl Projections {
    /// Opens the index, or makes an empty one where there is none that can be used. Nothing is fed before `start`.
    pub fn open(folder: &Path, options: IndexOptions, logs: Logs, control: Arc<Control>) -> Result<Projections> {
        let index = open_index(folder, &options, &logs, &control)?;
        let shared = Shared {
            index,
            options,
            logs,
            control,
            hurry: Notify::new(),
            commits: watch::channel(0).0,
            trouble: Mutex::new(None),
        };
        Ok(Projections { shared: Arc::new(shared), runner: Mutex::new(None), stop: watch::channel(false).0 })
    }

    /// Starts the runner.
    pub fn start(&self, runtime: Handle) -> Result<()> {
        let (shared, mut stop) = (Arc::clone(&self.shared), self.stop.subscribe());
        let runner = std::thread::Builder::new()
            .name("projections".into())
            .spawn(move || {
                // Making documents is half of the work of indexing them; appends come first.
                search::lower_priority();
                Runner::new(&shared).run(&runtime, &mut stop);
            })
            .map_err(|e| Error::new(ErrorKind::Unavailable, "cannot start the projections").with_source(e))?;
        *self.runner.lock() = Some(runner);
        Ok(())
    }

    /// Commits what was read and stops the runner. Blocks. Twice is the same as once.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(runner) = self.runner.lock().take()
            && runner.join().is_err()
        {
            tracing::error!("the projections stopped badly");
        }
    }

    /// The committed index as it is now.
    pub fn indexed(&self) -> Indexed {
        let reader = self.shared.index.reader();
        let watermarks = Watermarks::read(reader.payload(), self.shared.control.log())
            .expect("the payload was checked when the index was opened, and since then it is what we wrote");
        Indexed { reader, watermarks }
    }

    /// Waits until everything in the logs now is in the committed index, or the runner has stopped.
    pub async fn settle(&self) {
        let heads = self.shared.heads();
        let mut commits = self.shared.commits.subscribe();
        let mut stopped = self.stop.subscribe();
        loop {
            let indexed = self.indexed();
            let behind = heads.iter().any(|(n, _, size)| indexed.entries(*n) < *size);
            if !behind || *stopped.borrow() || self.trouble().is_some() {
                return;
            }
            self.shared.hurry.notify_one();
            tokio::select! {
                _ = commits.changed() => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// Waits until everything in the logs now is in the committed index, and what they say is gone has left the disk.
    pub async fn settle_on_disk(&self) -> Result<()> {
        self.settle().await;
        if let Some(trouble) = self.trouble() {
            let message = "the search index stands still; what was removed may still be in it";
            return Err(Error::new(ErrorKind::Unavailable, message).with_detail(trouble));
        }
        let shared = Arc::clone(&self.shared);
        let settled = tokio::task::spawn_blocking(move || shared.index.settle()).await;
        settled.map_err(|e| Error::internal("the index did not settle").with_source(e))
    }

    /// Feeds the index until it holds everything, on this thread; for a rebuild, instead of `start`.
    pub fn catch_up_blocking(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Rebuilt> {
        let mut runner = Runner::new(&self.shared);
        let total: u64 = self.shared.heads().iter().map(|(_, _, size)| size).sum();
        while runner.round()? > 0 {
            progress(runner.next.sum().min(total), total);
            runner.commit_if_due(false)?;
        }
        runner.commit()?;
        self.shared.index.settle();
        progress(total, total);
        Ok(Rebuilt { entries: runner.next.sum(), documents: self.shared.index.reader().documents() })
    }

    /// Entries that are in the logs and not in the committed index.
    pub fn lag(&self) -> u64 {
        let indexed = self.indexed();
        self.shared.heads().iter().map(|(n, _, size)| size.saturating_sub(indexed.entries(*n))).sum()
    }

    /// Documents in the committed index.
    pub fn documents(&self) -> u64 {
        self.shared.index.reader().documents()
    }

    /// Why the index, or the reading of a log, could not go on.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().clone()
    }
}

impl Shared {
    /// Ordinal, log and size of every organisation's log. Logs without a head (not yet opened) are left out.
    fn heads(&self) -> Vec<(u32, LogId, u64)> {
        let logs = self.control.state().indexed_logs();
        logs.into_iter().filter_map(|(ordinal, log)| Some((ordinal, log, self.logs.head(&log).ok()?.size))).collect()
    }
}

/// Opens the index; one that cannot be used, or that knows more than the logs, is thrown away and made again.
fn open_index(folder: &Path, options: &IndexOptions, logs: &Logs, control: &Control) -> Result<Index> {
    let search_options =
        || search::Options { writer_memory_bytes: options.writer_memory_bytes, ..search::Options::default() };
    let why = match Index::open(folder, search_options()) {
        Ok((index, payload)) => match agrees(payload.as_deref(), logs, control) {
            Ok(()) => return Ok(index),
            Err(why) => {
                index.close();
                why
            }
        },
        Err(search::Error::Unusable { detail }) => detail,
        Err(error) => return Err(error.into()),
    };
    tracing::warn!(%why, folder = %folder.display(), "the search index is made anew");
    if let Err(e) = fs::remove_dir_all(folder)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        let message = format!("cannot remove {}", folder.display());
        return Err(Error::new(ErrorKind::Unavailable, message).with_source(e));
    }
    Ok(Index::open(folder, search_options())?.0)
}

/// Says whether the index was made from these logs.
fn agrees(payload: Option<&[u8]>, logs: &Logs, control: &Control) -> Result<(), String> {
    let watermarks = Watermarks::read(payload, control.log())?;
    for (ordinal, log) in control.state().indexed_logs() {
        let indexed = watermarks.get(ordinal);
        let size = logs.head(&log).map_or(0, |head| head.size);
        if indexed > size {
            return Err(format!("it holds {indexed} entries of log {log} which has {size}"));
        }
    }
    Ok(())
}

/// What the runner knows. Lives on one thread.
struct Runner<'a> {
    shared: &'a Shared,
    /// Entries given to the index, per log; ahead of the committed watermarks by what is pending.
    next: Watermarks,
    pending: usize,
    /// When the first pending document was added.
    since: Instant,
    /// Log that could not be read, and when to try it again.
    stuck: Option<(LogId, Instant)>,
}

impl<'a> Runner<'a> {
    fn new(shared: &'a Shared) -> Runner<'a> {
        let reader = shared.index.reader();
        let next = Watermarks::read(reader.payload(), shared.control.log())
            .expect("the payload was checked when the index was opened");
        Runner { shared, next, pending: 0, since: Instant::now(), stuck: None }
    }

    fn run(&mut self, runtime: &Handle, stop: &mut watch::Receiver<bool>) {
        let mut published = self.shared.logs.subscribe();
        let mut hurry = false;
        loop {
            let stopping = *stop.borrow_and_update();
            published.mark_unchanged();
            if let Err(error) = self.catch_up(stopping || hurry, stop) {
                // The index takes nothing more until it is opened again; reads of what it has go on.
                tracing::error!(?error, "the search index stopped");
                *self.shared.trouble.lock() = Some(format!("{error:?}"));
                self.shared.commits.send_modify(|n| *n += 1);
                return;
            }
            if stopping {
                return;
            }
            let deadline = match self.pending {
                0 => None,
                _ => Some(self.shared.options.commit_after.saturating_sub(self.since.elapsed())),
            };
            hurry = runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = stop.changed() => false,
                    _ = self.shared.hurry.notified() => true,
                    _ = async { tokio::time::sleep(PASS_EVERY).await; published.changed().await } => false,
                    _ = tokio::time::sleep(deadline.unwrap_or(STUCK_PAUSE)) => false,
                }
            });
        }
    }

    /// Adds what the logs have, round by round so that no log waits for another one's millions, and commits when due.
    fn catch_up(&mut self, commit: bool, stop: &watch::Receiver<bool>) -> Result<()> {
        while self.round()? > 0 {
            self.commit_if_due(false)?;
            if *stop.borrow() {
                break;
            }
        }
        self.commit_if_due(commit)
    }

    /// Adds up to [`READ_BYTES`] of each log. Gives the entries added; 0: nothing is left.
    fn round(&mut self) -> Result<u64> {
        let mut added = 0;
        for (ordinal, log, size) in self.shared.heads() {
            let next = self.next.get(ordinal);
            if next >= size || self.stuck.is_some_and(|(stuck, until)| stuck == log && Instant::now() < until) {
                continue;
            }
            let records = match self.shared.logs.read(&log, next..size, READ_BYTES) {
                Ok(records) => records,
                Err(error) => {
                    // Damage in one log must not hold up the others. Reads past the watermark will say so too.
                    tracing::error!(%error, %log, entry = next, "a log cannot be read for the index");
                    *self.shared.trouble.lock() =
                        Some(format!("log {log} cannot be read from entry {next} on: {error}"));
                    self.stuck = Some((log, Instant::now() + STUCK_PAUSE));
                    continue;
                }
            };
            if self.stuck.is_some_and(|(stuck, _)| stuck == log) {
                self.stuck = None;
                *self.shared.trouble.lock() = None;
            }
            if self.pending == 0 {
                self.since = Instant::now();
            }
            let mut decoder = encoding::Decoder::default();
            for record in records {
                let index = record.index;
                self.forget(ordinal, &record)?;
                // What was erased is in no index: it has nothing left to be found by.
                if !record.state.is_erased() {
                    self.shared.index.add(ordinal, &document(&decoder.event(record)))?;
                }
                self.next.set(ordinal, index + 1);
                self.pending += 1;
                added += 1;
            }
        }
        Ok(added)
    }

    /// Takes out of the index what a note of the log says is gone. The note is an entry like any other, so the watermark
    /// that passes it and the deletions it orders are committed together.
    fn forget(&self, ordinal: u32, note: &log::Record) -> Result<()> {
        match note.kind {
            Kind::ErasureNote => {
                for number in ErasureNote::decode(&note.body).into_iter().flat_map(|note| note.numbers) {
                    self.shared.index.delete_document(ordinal, number)?;
                }
            }
            Kind::LogNote => {
                let minimum = LogNote::decode(&note.body).and_then(|note| note.minimum_index);
                if let Some(minimum) = minimum.filter(|minimum| *minimum > 0) {
                    self.shared.index.delete_documents(ordinal, 1..=minimum)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn commit_if_due(&mut self, now: bool) -> Result<()> {
        let due = now
            || self.pending >= self.shared.options.commit_docs
            || self.since.elapsed() >= self.shared.options.commit_after;
        if due && self.pending > 0 {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.shared.index.commit(&self.next.write(self.shared.control.log()))?;
        self.pending = 0;
        self.shared.commits.send_modify(|n| *n += 1);
        Ok(())
    }
}
