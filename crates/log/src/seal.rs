//! Sealing: a closed commit file becomes a segment, on a thread of its own, while readers and the writer go on.
//!
//! ```text
//! write .leaves.tmp, .bodies.tmp, sync both ─▶ rename both ─▶ sync the folder ─▶ readers use the segment ─▶ remove the commit file
//! ```
//!
//! Dying before the folder is synced leaves the commit file, and perhaps files that opening removes; dying after it leaves a
//! whole segment, and perhaps a commit file that opening removes. Memory: one commit file and its leaf hashes.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::erase::{self, EraseJob};
use crate::error::{Error, Result};
use crate::group::{self, Batch, Fields, RecordView};
use crate::id::LogId;
use crate::ids::Ids;
use crate::model::{BodyState, ReadOnlyReason};
use crate::prune::{self, PruneJob};
use crate::read::commit_path;
use crate::segment::{self, BodiesWriter, LeavesOfRun, NewRow, Part, Run};
use crate::shared::Shared;
use crate::state::{CommitFile, LogSlot, SealedRun, TailPart};
use crate::store::{File, Store};
use crate::tiles::StoredTree;

/// How long to wait before a failed sealing is tried again (a full disk may have room then).
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Records whose leaves are recomputed at once.
const CHECK_BATCH: usize = 4096;

/// Something for the sealing thread to do.
pub(crate) enum SealJob {
    /// Seal this closed file, of which everything is published.
    File(Arc<CommitFile>),
    /// Erase bodies; those of this file and later ones once they are sealed.
    Erase(EraseJob),
    /// Prune a log once what goes is sealed.
    Prune(PruneJob),
    /// End; what is not sealed yet is sealed after the next opening.
    Stop,
}

/// Starts the sealing thread.
pub(crate) fn spawn(shared: Arc<Shared>, ids: Arc<Ids>) -> Result<(Sender<SealJob>, thread::JoinHandle<()>)> {
    let (jobs, taken) = unbounded();
    let thread = thread::Builder::new()
        .name("log-seal".into())
        .spawn(move || run(&shared, &ids, &taken))
        .map_err(|err| Error::unavailable(format!("start sealing: {err}")))?;
    Ok((jobs, thread))
}

fn run(shared: &Shared, ids: &Ids, jobs: &Receiver<SealJob>) {
    let mut files: VecDeque<Arc<CommitFile>> = VecDeque::new();
    // Erasures and prunings that wait: for files to be sealed, or for another try.
    let mut removals: Vec<Removal> = Vec::new();
    let mut retrying = false;
    loop {
        let job = match (files.is_empty(), removals.is_empty()) {
            (true, true) => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            (false, _) if !retrying => jobs.try_recv().map_err(|err| match err {
                crossbeam_channel::TryRecvError::Empty => RecvTimeoutError::Timeout,
                crossbeam_channel::TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            }),
            _ => jobs.recv_timeout(RETRY_INTERVAL),
        };
        match job {
            Ok(SealJob::File(file)) => files.push_back(file),
            Ok(SealJob::Erase(job)) => removals.push(Removal::Erase(job)),
            Ok(SealJob::Prune(job)) => removals.push(Removal::Prune(job)),
            Ok(SealJob::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(file) = files.front() {
            let settled = settle_file(shared, file, seal_file(shared, ids, file));
            if settled {
                files.pop_front();
            }
            retrying = !settled;
        }
        removals.retain_mut(|removal| !removal.settle(shared));
    }
}

/// Tells the others what became of a sealing. False if it is to be tried again.
fn settle_file(shared: &Shared, file: &CommitFile, sealed: Result<()>) -> bool {
    let mut sealing = shared.sealing.lock();
    let settled = match sealed {
        Ok(()) => {
            sealing.failed = None;
            true
        }
        Err(Error::Corrupt(what)) => {
            // The commit file stays as it is, readable, as evidence.
            tracing::error!(file = file.number, %what, "a commit file is damaged and is not sealed");
            true
        }
        Err(err) => {
            tracing::warn!(file = file.number, %err, "sealing failed, it is tried again");
            sealing.failed = Some(err.to_string().into());
            false
        }
    };
    sealing.files -= usize::from(settled);
    shared.sealed.notify_all();
    settled
}

/// Something to be taken out of segments.
enum Removal {
    Erase(EraseJob),
    Prune(PruneJob),
}

impl Removal {
    /// Carries it out if that is possible; true if it is done. Whoever waits hears of the first failure.
    fn settle(&mut self, shared: &Shared) -> bool {
        let (done, answer) = match self {
            Removal::Erase(job) => (erase::erase_sealed(shared, job), &mut job.answer),
            Removal::Prune(job) => (prune::prune_sealed(shared, job), &mut job.answer),
        };
        let told = match &done {
            Ok(true) => Some(Ok(())),
            Ok(false) => {
                let failed = shared.sealing.lock().failed.clone();
                failed.map(|why| Err(Error::unavailable(format!("sealing fails: {why}"))))
            }
            Err(err) => Some(Err(err.clone())),
        };
        if let Some(told) = told
            && let Some(answer) = answer.take()
        {
            if let Err(err) = &told {
                tracing::error!(%err, "an erasure or pruning is not carried out yet; it is tried again");
            }
            // Whoever asked may have gone.
            let _ = answer.send(told);
        }
        matches!(done, Ok(true))
    }
}

/// Seals one file.
///
/// # Errors
/// `Corrupt` if the file does not hold what was committed; anything else may be tried again.
pub(crate) fn seal_file(shared: &Shared, ids: &Ids, file: &Arc<CommitFile>) -> Result<()> {
    let mut parts: Vec<(Arc<LogSlot>, TailPart)> = Vec::new();
    let mut log_of: HashMap<u32, LogId> = HashMap::new();
    for slot in shared.slots.read().values() {
        log_of.insert(slot.ordinal, slot.id);
        let pieces = slot.pieces.read();
        let part = pieces.tail.iter().find(|part| part.file.number == file.number);
        parts.extend(part.map(|part| (Arc::clone(slot), part.clone())));
    }
    // A try that failed after the swap has nothing left to swap, only to remove.
    if !parts.is_empty() {
        parts.sort_by_key(|(slot, _)| slot.id);
        let runs = write_segment(shared, file, &parts)?;
        for ((slot, _), run) in parts.iter().zip(&runs) {
            swap(slot, file.number, run);
        }
        shared.counters.segments.fetch_add(1, Ordering::Relaxed);
    }
    if let Err(err) = ids.seal_file(file.number, &log_of) {
        // Ids stay in memory until the next opening; nothing is wrong but that.
        tracing::warn!(%err, "an id run was not written");
    }
    let path = commit_path(file.number);
    let store = &shared.reading.store;
    match store.remove(&path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, &err)),
        _ => store.sync_dir("commit").map_err(|err| Error::io("sync the folder of", &path, &err)),
    }
}

fn write_segment(shared: &Shared, file: &CommitFile, parts: &[(Arc<LogSlot>, TailPart)]) -> Result<Vec<Run>> {
    let number = file.number;
    let commit = commit_path(number);
    let bytes = crate::store::read_whole(&*file.file, crate::commit::COMMIT_FILE_BYTES_MAX)
        .map_err(|err| Error::io("read", &commit, &err))?;
    let mut of_runs = Vec::with_capacity(parts.len());
    for (slot, part) in parts {
        check_part(slot, part, &bytes).inspect_err(|err| slot.close(ReadOnlyReason::Damaged, err.to_string()))?;
        let frontier = StoredTree::new(&shared.reading, slot, part.end()).frontier(part.end())?;
        of_runs.push(LeavesOfRun {
            log: slot.id,
            first: part.first,
            last_us: part.last_us,
            leaves: part.leaves.clone(),
            tiles: part.tiles.clone(),
            frontier: frontier.hashes(),
        });
    }
    let store = &*shared.reading.store;
    let attempt = |what: &'static str, part: Part| move |err: io::Error| Error::io(what, &part.path(number), &err);
    let leaves = create_tmp(store, number, Part::Leaves)?;
    let runs = segment::write_leaves(leaves, number, &of_runs).map_err(attempt("write", Part::Leaves))?;
    let bodies = create_tmp(store, number, Part::Bodies)?;
    write_bodies(shared, bodies, number, parts, &runs, &bytes).map_err(attempt("write", Part::Bodies))?;
    for part in [Part::Leaves, Part::Bodies] {
        store.rename(&tmp_path(number, part), &part.path(number)).map_err(attempt("rename", part))?;
    }
    store.sync_dir("segment").map_err(attempt("sync the folder of", Part::Bodies))?;
    Ok(runs)
}

fn write_bodies(
    shared: &Shared,
    file: Arc<dyn File>,
    number: u64,
    parts: &[(Arc<LogSlot>, TailPart)],
    runs: &[Run],
    bytes: &[u8],
) -> io::Result<()> {
    let entries = runs.iter().map(|run| run.count).sum();
    let options = &shared.options;
    let mut writer = BodiesWriter::new(file, number, entries, options.block_bytes, options.zstd_level)?;
    for (_, part) in parts {
        for place in &part.places {
            let record = RecordView::decode(bytes, place.at as usize)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a record does not read back"))?;
            writer.push(NewRow {
                kind: record.kind,
                received_at_us: record.received_at_us,
                id: &record.id,
                salt: &record.salt,
                body: record.body(bytes),
                state: BodyState::Present,
            })?;
        }
    }
    writer.finish(runs)
}

/// Damage must not get into a segment with fresh check values: the bytes must still hash to the leaves.
fn check_part(slot: &LogSlot, part: &TailPart, bytes: &[u8]) -> Result<()> {
    let mut index = part.first;
    for (places, leaves) in part.places.chunks(CHECK_BATCH).zip(part.leaves.chunks(CHECK_BATCH)) {
        let views: Vec<RecordView> =
            places.iter().map_while(|place| RecordView::decode(bytes, place.at as usize)).collect();
        let fields: Vec<Fields<'_>> = (index..)
            .zip(&views)
            .map(|(index, record)| Fields {
                kind: record.kind,
                index,
                received_at_us: record.received_at_us,
                id: record.id,
                salt: &record.salt,
                body: record.body(bytes),
                state: BodyState::Present,
            })
            .collect();
        let recomputed = group::leaves_of(&fields, &Batch);
        let agreeing = recomputed.iter().zip(leaves).take_while(|(a, b)| a == b).count();
        if agreeing < places.len() {
            let number = index + agreeing as u64 + 1;
            let file = commit_path(part.file.number);
            return Err(Error::corrupt(format!("log {} number {number} in {file} is not what was committed", slot.id)));
        }
        index += places.len() as u64;
    }
    Ok(())
}

pub(crate) fn tmp_path(number: u64, part: Part) -> String {
    format!("{}.tmp", part.path(number))
}

pub(crate) fn create_tmp(store: &dyn Store, number: u64, part: Part) -> Result<Arc<dyn File>> {
    let path = tmp_path(number, part);
    match store.remove(&path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, &err)),
        _ => store.create(&path).map_err(|err| Error::io("create", &path, &err)),
    }
}

/// Readers that come after this read from the segment; those that looked before hold the commit file open.
fn swap(slot: &LogSlot, number: u64, run: &Run) {
    let mut pieces = slot.pieces.write();
    let sealed = SealedRun {
        segment: number,
        first: run.first,
        count: run.count,
        ordinal: run.ordinal,
        leaves_at: run.leaves_at,
    };
    let at = pieces.sealed.partition_point(|other| other.first < sealed.first);
    pieces.sealed.insert(at, sealed);
    pieces.tail.retain(|part| part.file.number != number);
}
