//! Pruning: forgetting the oldest entries for good, with every archived checkpoint provable still (`specs/proofs.md` §11).
//!
//! ```text
//! log note, durable and signed ─▶ commit file closed and sealed ─▶ retention journal ─▶ segments written anew: .leaves, .bodies
//! ```
//!
//! The journal is the point of no return: from then on nobody reads below the minimum index, and opening finishes what is not
//! written anew yet. Files keep their directories, so nothing else moves: what is gone are blocks of `.bodies`, and the leaf
//! hashes, which read as zeros (holes, where the file system has them). Tile roots stay.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use tlog::entry::Kind;
use tlog::proof::NodeReader;
use tlog::tile::WIDTH;
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::id::LogId;
use crate::logs::Logs;
use crate::model::{Appended, NewEntry};
use crate::notes::LogNote;
use crate::retention::{Nodes, Pruned, nodes_around};
use crate::seal::{SealJob, create_tmp, tmp_path};
use crate::segment::{self, BlockIndex, BodiesWriter, CHUNK_BYTES, Directory, Part, Run};
use crate::sequencer::Message;
use crate::shared::Shared;
use crate::state::LogSlot;
use crate::store::File;
use crate::tiles::StoredTree;

/// A pruning to be carried out on the sealing thread.
pub(crate) struct PruneJob {
    pub slot: Arc<LogSlot>,
    pub minimum: u64,
    /// Whoever waits; told once, of the end or of the first failure.
    pub answer: Option<oneshot::Sender<Result<()>>>,
}

impl Logs {
    /// Takes up prunings that a crash interrupted. Called once, after opening.
    pub(crate) fn resume_prunings(&self) -> Result<()> {
        for (log, minimum) in self.shared.reading.retention.minimums() {
            if let Ok(slot) = self.shared.slot(&log) {
                let job = PruneJob { slot, minimum, answer: None };
                self.threads.seal.send(SealJob::Prune(job)).map_err(|_| Error::unavailable("sealing has ended"))?;
            }
        }
        Ok(())
    }

    /// Entries below this index were pruned; 0 if none were.
    pub fn minimum_index(&self, id: &LogId) -> Result<u64> {
        Ok(self.shared.reading.retention.minimum(&self.shared.slot(id)?.id))
    }

    /// Prunes: everything below `minimum`, rounded down to a multiple of 256, goes from every file: bodies, salts, fields, leaf
    /// hashes. Tile roots stay, and what keeps each archived checkpoint provable. A log note (`pruned`) says so first. Waits
    /// while the files are written anew.
    ///
    /// Erasures of what is below are moot; ids below may be sent again.
    ///
    /// # Errors
    /// - `Invalid`: beyond the log's newest head, or a text is missing. `Conflict`: nothing below it is left.
    /// - `Unavailable`, `Corrupt`: as for [`Logs::erase`].
    pub fn prune(&self, id: &LogId, minimum: u64, reason: &str, by: &str) -> Result<Appended> {
        let slot = self.shared.slot(id)?;
        slot.check_open()?;
        let noting = self.threads.noting.lock();
        let size = slot.head()?.size;
        let minimum = minimum / WIDTH * WIDTH;
        if minimum > size {
            return Err(Error::invalid(format!("the log has {size} entries, and cannot be pruned to {minimum}")));
        }
        let before = self.shared.reading.retention.minimum(id);
        if minimum <= before {
            return Err(Error::conflict(format!("nothing is left below index {minimum}; the minimum is {before}")));
        }
        let note = LogNote::pruned(minimum, reason, by)?;
        let note = self.append_note(id, NewEntry { kind: Kind::LogNote, id: [0; 16], body: note.encode() })?;
        drop(noting);
        let (answer, answered) = oneshot::channel();
        let ended = || Error::unavailable("the log is shut down");
        self.threads.messages.send(Message::Roll).map_err(|_| ended())?;
        let job = PruneJob { slot, minimum, answer: Some(answer) };
        self.threads.seal.send(SealJob::Prune(job)).map_err(|_| ended())?;
        answered.blocking_recv().map_err(|_| Error::unavailable("sealing has ended"))?.map_err(|err| {
            let text = format!("the pruning is on record as number {}, and not carried out yet: {err}", note.number);
            if matches!(err, Error::Corrupt(_)) { Error::corrupt(text) } else { Error::unavailable(text) }
        })?;
        Ok(note)
    }
}

/// Carries a pruning out: on the sealing thread. False if some of it is not sealed yet.
pub(crate) fn prune_sealed(shared: &Shared, job: &PruneJob) -> Result<bool> {
    let sealed_end = job.slot.pieces.read().sealed.last().map_or(0, |run| run.end());
    if sealed_end < job.minimum {
        return Ok(false);
    }
    if shared.reading.retention.minimum(&job.slot.id) < job.minimum {
        let nodes = nodes_to_keep(shared, job)?;
        shared.reading.retention.record(&Pruned { log: job.slot.id, minimum: job.minimum, nodes })?;
    }
    let minimums = HashMap::from([(job.slot.id, job.minimum)]);
    let segments: Vec<u64> =
        job.slot.pieces.read().sealed.iter().take_while(|run| run.first < job.minimum).map(|run| run.segment).collect();
    for segment in segments {
        prune_segment(shared, segment, &minimums)?;
    }
    tracing::info!(log = %job.slot.id, minimum = job.minimum, "a log was pruned");
    Ok(true)
}

/// What keeps the checkpoints provable whose sizes lie within tiles that go.
fn nodes_to_keep(shared: &Shared, job: &PruneJob) -> Result<Nodes> {
    let before = shared.reading.retention.minimum(&job.slot.id);
    let sizes = shared.checkpoints.lock().sizes(&job.slot.id);
    let tree = StoredTree::new(&shared.reading, &job.slot, job.slot.pieces.read().end());
    let mut nodes = Nodes::new();
    for size in sizes.into_iter().filter(|size| *size > before && *size < job.minimum) {
        for (level, index) in nodes_around(size) {
            nodes.insert((level, index), tree.node(level, index)?);
        }
    }
    Ok(nodes)
}

/// Whether a `.bodies` file still holds records below these minimum indexes.
fn is_to_prune(file: &dyn File, directory: &Directory, minimums: &HashMap<LogId, u64>) -> io::Result<bool> {
    let index = BlockIndex::decode(&directory.parts);
    for gone in gone_ordinals(&directory.runs, minimums) {
        if index.rows().iter().any(|row| gone.contains(&row.first_ordinal)) {
            return Ok(true);
        }
        // A block that begins before may reach into it.
        if let Some(position) = index.find(gone.start) {
            let row = index.rows()[position];
            if row.first_ordinal + segment::block_entries(file, &row)? > gone.start {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Ordinals below the minimum index of their log.
fn gone_ordinals(runs: &[Run], minimums: &HashMap<LogId, u64>) -> Vec<std::ops::Range<u32>> {
    let gone = |run: &Run| {
        let minimum = *minimums.get(&run.log)?;
        let count = minimum.min(run.end()).checked_sub(run.first).filter(|count| *count > 0)?;
        Some(run.ordinal..run.ordinal + count as u32)
    };
    runs.iter().filter_map(gone).collect()
}

/// Writes both files of a segment anew without what is below the minimum indexes, unless that is done.
fn prune_segment(shared: &Shared, number: u64, minimums: &HashMap<LogId, u64>) -> Result<()> {
    let store = &*shared.reading.store;
    let attempt = |what: &'static str, part: Part| move |err: io::Error| Error::io(what, &part.path(number), &err);
    let bodies = store.open_read(&Part::Bodies.path(number)).map_err(attempt("open", Part::Bodies))?;
    let of_bodies = segment::read_directory(&*bodies, Part::Bodies, number).map_err(attempt("read", Part::Bodies))?;
    if !is_to_prune(&*bodies, &of_bodies, minimums).map_err(attempt("read", Part::Bodies))? {
        return Ok(());
    }
    let leaves = store.open_read(&Part::Leaves.path(number)).map_err(attempt("open", Part::Leaves))?;
    let of_leaves = segment::read_directory(&*leaves, Part::Leaves, number).map_err(attempt("read", Part::Leaves))?;
    let tmp = create_tmp(store, number, Part::Leaves)?;
    write_leaves(&*leaves, &*tmp, &of_leaves, minimums).map_err(attempt("write anew", Part::Leaves))?;
    let tmp = create_tmp(store, number, Part::Bodies)?;
    write_bodies(shared, &*bodies, tmp, number, &of_bodies, minimums).map_err(attempt("write anew", Part::Bodies))?;
    shared.reading.replace_segment(number, || {
        // The leaves first: what is gone from the bodies tells the next opening that this is done.
        for part in [Part::Leaves, Part::Bodies] {
            store.rename(&tmp_path(number, part), &part.path(number)).map_err(attempt("rename", part))?;
            store.sync_dir("segment").map_err(attempt("sync the folder of", part))?;
        }
        Ok(())
    })
}

/// The same file with zeros for the leaf hashes that go. Chunks of zeros are not written, so that they take no space.
fn write_leaves(
    old: &dyn File,
    new: &dyn File,
    directory: &Directory,
    minimums: &HashMap<LogId, u64>,
) -> io::Result<()> {
    let data_bytes = directory.footer.directory_at;
    let mut bytes = crate::store::read_whole(old, u64::MAX)?;
    for run in &directory.runs {
        let Some(minimum) = minimums.get(&run.log) else { continue };
        let count = (*minimum).min(run.end()).saturating_sub(run.first) as usize;
        let from = run.leaves_at as usize;
        let gone = bytes.get_mut(from..from + 32 * count);
        gone.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "hashes do not fit the file"))?.fill(0);
    }
    let data = &bytes[..data_bytes as usize];
    new.set_len(bytes.len() as u64)?;
    for (position, chunk) in data.chunks(CHUNK_BYTES).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            new.write_all_at(chunk, (position * CHUNK_BYTES) as u64)?;
        }
    }
    new.write_all_at(&segment::leaves_tail(data, directory), data_bytes)?;
    new.sync_data()
}

fn write_bodies(
    shared: &Shared,
    old: &dyn File,
    new: Arc<dyn File>,
    number: u64,
    directory: &Directory,
    minimums: &HashMap<LogId, u64>,
) -> io::Result<()> {
    let gone = gone_ordinals(&directory.runs, minimums);
    let is_gone = |ordinal: u32| gone.iter().any(|gone| gone.contains(&ordinal));
    let (options, entries) = (&shared.options, directory.footer.entries);
    let mut writer = BodiesWriter::new(new, number, entries, options.block_bytes, options.zstd_level)?;
    let mut next = 0;
    for row in BlockIndex::decode(&directory.parts).rows() {
        let block = segment::read_block(old, row)?;
        for (ordinal, record) in (block.first_ordinal..).zip(&block.rows) {
            if is_gone(ordinal) {
                continue;
            }
            if ordinal != next {
                writer.skip_to(ordinal)?;
            }
            writer.push(block.record(record))?;
            next = ordinal + 1;
        }
    }
    writer.finish(&directory.runs)
}
