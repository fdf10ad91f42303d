//! Erasing bodies by order (`specs/proofs.md` §11): the note first, then the body and its salt from every file.
//!
//! ```text
//! intent file, synced ─▶ erasure note, durable and signed ─▶ commit file closed and sealed ─▶ segments written anew
//!                        ─▶ intent file removed
//! ```
//!
//! What remains of a record is its entry: number, time, id, kind, length, and the commitment that the salt made unguessable.
//! So leaf, tree, proofs and checkpoints are as they were. Dying before the note is durable leaves an intent that opening
//! drops; dying later leaves one that opening carries out. An erased record names its note, so that a reader can tell an
//! erasure from damage without looking further.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use tlog::Hash;
use tlog::entry::{INLINE_BODY_BYTES_MAX, Kind};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::frame::{FileHeader, FrameHeader, HEADER_BYTES, u64_at};
use crate::group::{self, Batch, Fields};
use crate::id::LogId;
use crate::logs::Logs;
use crate::model::{Appended, BodyState, NewEntry};
use crate::notes::ErasureNote;
use crate::read::commit_path;
use crate::seal::{SealJob, create_tmp, tmp_path};
use crate::segment::{self, Block, BlockIndex, BodiesWriter, Directory, NewRow, Part, Run};
use crate::sequencer::Message;
use crate::shared::Shared;
use crate::state::{Location, LogSlot};
use crate::store::{File, Store};

/// Most numbers of one erasure; a whole subject may take several.
pub const ERASURE_NUMBERS_MAX: usize = 2_000;

/// Folder of the intent files.
const INTENT_DIR: &str = "erasure";
const INTENT_MAGIC: [u8; 8] = *b"cferasur";
const INTENT_FRAME_MAGIC: [u8; 4] = *b"cfER";

/// Records whose leaves are compared at once.
const CHECK_BATCH: usize = 4096;

/// An order to erase bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Numbers of the records, in any order; at most [`ERASURE_NUMBERS_MAX`].
    pub numbers: Vec<u64>,
    /// On what legal ground.
    pub ground: String,
    /// Who ordered it.
    pub ordered_by: String,
    /// Who carries it out.
    pub carried_out_by: String,
}

/// An erasure that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Where the erasure note is.
    pub note: Appended,
    /// Numbers whose bodies are gone by it, ascending: those asked for that were not erased before.
    pub numbers: Vec<u64>,
}

/// An erasure to be carried out on the sealing thread.
pub(crate) struct EraseJob {
    pub slot: Arc<LogSlot>,
    /// Ascending.
    pub indexes: Vec<u64>,
    pub note_index: u64,
    /// The file to be removed when it is done.
    pub intent: String,
    /// Whoever waits; told once, of the end or of the first failure.
    pub answer: Option<oneshot::Sender<Result<()>>>,
}

impl Logs {
    /// Erases bodies and their salts for good, leaving their commitments: appends an erasure note, and when that is durable
    /// and signed writes the files anew that hold the bodies. Waits, for seconds perhaps: the whole of each such file (64 MiB
    /// of commit log) is read and written. On return no file below the log's folder holds the bodies any more; what outside
    /// remembers them (an index, a cache, a backup) is the caller's to see to.
    ///
    /// # Errors
    /// - `NotFound`: a number is not in the log. `Invalid`: a note cannot be erased; a text is missing; too many numbers.
    /// - `Conflict`: all of them are erased already.
    /// - `Unavailable`, `Corrupt`: if the message says that the erasure is on record, the bodies may still be there; it is
    ///   tried again every second, and after the next opening. Else nothing was done.
    pub fn erase(&self, id: &LogId, order: &Erasure) -> Result<Erased> {
        let slot = self.shared.slot(id)?;
        slot.check_open()?;
        let noting = self.threads.noting.lock();
        let indexes = self.erasable(id, order)?;
        let numbers: Vec<u64> = indexes.iter().map(|index| index + 1).collect();
        let note = ErasureNote::new(numbers.clone(), order);
        let body = note.encode();
        if body.len() > INLINE_BODY_BYTES_MAX {
            return Err(Error::invalid("the texts of the order are too long"));
        }
        let mut note_id = [0; 16];
        self.shared.entropy.fill(&mut note_id);
        let intent = Intent { log: *id, note_id, indexes: indexes.clone() };
        let store = &*self.shared.reading.store;
        intent.write(store)?;
        let note = match self.append_note(id, NewEntry { kind: Kind::ErasureNote, id: note_id, body }) {
            Ok(note) => note,
            // It may be in: opening finds out.
            Err(err @ Error::Unavailable(_)) => return Err(err),
            Err(err) => {
                remove_intent(store, &intent.path())?;
                return Err(err);
            }
        };
        drop(noting);
        let (answer, answered) = oneshot::channel();
        let job = EraseJob { slot, indexes, note_index: note.index, intent: intent.path(), answer: Some(answer) };
        self.carry_out(job)?;
        let done = answered.blocking_recv().map_err(|_| Error::unavailable("sealing has ended"))?;
        match done {
            Ok(()) => Ok(Erased { note, numbers }),
            Err(err) => {
                let text =
                    format!("the erasure is on record as number {}, and is not carried out yet: {err}", note.number);
                Err(if matches!(err, Error::Corrupt(_)) { Error::corrupt(text) } else { Error::unavailable(text) })
            }
        }
    }

    /// Takes up what a crash interrupted. Called once, after opening.
    pub(crate) fn resume_erasures(&self) -> Result<()> {
        let store = &*self.shared.reading.store;
        let list = store.list(INTENT_DIR).map_err(|err| Error::io("list", INTENT_DIR, &err))?;
        for name in list {
            let path = format!("{INTENT_DIR}/{name}");
            let intent = Intent::read(store, &path)?;
            let slot = intent.as_ref().and_then(|intent| self.shared.slot(&intent.log).ok());
            let note_index = match (&intent, &slot) {
                (Some(intent), Some(slot)) => self.ids.find(&self.shared, slot, &intent.note_id)?,
                _ => None,
            };
            match (intent, slot, note_index) {
                (Some(intent), Some(slot), Some(note_index)) => {
                    tracing::warn!(log = %slot.id, number = note_index + 1, "an erasure that was interrupted goes on");
                    let indexes = intent.indexes;
                    self.carry_out(EraseJob { slot, indexes, note_index, intent: path, answer: None })?;
                }
                // Its note was never committed, or the file itself never whole: nothing was promised.
                _ => remove_intent(store, &path)?,
            }
        }
        Ok(())
    }

    fn carry_out(&self, job: EraseJob) -> Result<()> {
        let ended = || Error::unavailable("the log is shut down; the erasure is carried out after the next opening");
        // What is in a commit file is sealed first, so that there is one kind of file to write anew.
        self.threads.messages.send(Message::Roll).map_err(|_| ended())?;
        self.threads.seal.send(SealJob::Erase(job)).map_err(|_| ended())
    }

    /// The indexes that an order means, ascending, without those erased before.
    fn erasable(&self, id: &LogId, order: &Erasure) -> Result<Vec<u64>> {
        let texts = [("ground", &order.ground), ("person who ordered it", &order.ordered_by)];
        for (name, text) in texts.into_iter().chain([("person who carries it out", &order.carried_out_by)]) {
            if text.trim().is_empty() {
                return Err(Error::invalid(format!("the {name} is missing")));
            }
        }
        let numbers: BTreeSet<u64> = order.numbers.iter().copied().collect();
        if numbers.is_empty() || numbers.len() > ERASURE_NUMBERS_MAX || numbers.contains(&0) {
            return Err(Error::invalid(format!("an erasure names 1 to {ERASURE_NUMBERS_MAX} numbers, each from 1 up")));
        }
        let indexes: Vec<u64> = numbers.into_iter().map(|number| number - 1).collect();
        let mut present = Vec::new();
        for index in indexes {
            let records = self.read_many(id, &[index])?;
            let record = records.first().expect("one record for one index");
            if !record.kind.is_committed(record.body.len()) && !record.state.is_erased() {
                let what = "is a note of the log about itself, which stays";
                return Err(Error::invalid(format!("number {} {what}", index + 1)));
            }
            if record.state == BodyState::Present {
                present.push(index);
            }
        }
        if present.is_empty() {
            return Err(Error::conflict("all of these are erased already"));
        }
        Ok(present)
    }
}

/// What is about to be erased, on disk before its note is.
struct Intent {
    log: LogId,
    note_id: [u8; 16],
    indexes: Vec<u64>,
}

impl Intent {
    fn path(&self) -> String {
        use std::fmt::Write as _;
        let hex = self.note_id.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to memory cannot fail");
            hex
        });
        format!("{INTENT_DIR}/{hex}.intent")
    }

    fn write(&self, store: &dyn Store) -> Result<()> {
        let path = self.path();
        let attempt = |what: &'static str| {
            let path = path.clone();
            move |err: io::Error| Error::io(what, &path, &err)
        };
        store.create_dir(INTENT_DIR).map_err(attempt("make the folder of"))?;
        store.sync_dir("").map_err(attempt("sync the folder above"))?;
        let mut payload = [self.log.0, self.note_id].concat();
        self.indexes.iter().for_each(|index| payload.extend(index.to_be_bytes()));
        let mut bytes = FileHeader { magic: INTENT_MAGIC, number: 1, extra: 0 }.encode().to_vec();
        bytes.extend(FrameHeader::of(INTENT_FRAME_MAGIC, 1, self.indexes.len() as u32, &payload).encode());
        bytes.extend(payload);
        let file = store.create(&path).map_err(attempt("create"))?;
        file.write_all_at(&bytes, 0).map_err(attempt("write"))?;
        file.sync_data().map_err(attempt("sync"))?;
        store.sync_dir(INTENT_DIR).map_err(attempt("sync the folder of"))
    }

    /// None if the file is not whole: its writing was cut short.
    fn read(store: &dyn Store, path: &str) -> Result<Option<Intent>> {
        const BYTES_MAX: u64 = (2 * HEADER_BYTES + 32 + 8 * ERASURE_NUMBERS_MAX) as u64;
        let attempt = |err: io::Error| Error::io("read", path, &err);
        let file = store.open_read(path).map_err(attempt)?;
        if file.len().map_err(attempt)? > BYTES_MAX {
            return Ok(None);
        }
        let bytes = crate::store::read_whole(&*file, BYTES_MAX).map_err(attempt)?;
        Ok(Intent::decode(&bytes))
    }

    fn decode(bytes: &[u8]) -> Option<Intent> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        FileHeader::decode(header, &INTENT_MAGIC).ok()?;
        let (header, payload) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let header = FrameHeader::decode(header, INTENT_FRAME_MAGIC)?;
        let whole = payload.len() == 32 + 8 * header.count as usize && crc32c::crc32c(payload) == header.payload_crc;
        whole.then(|| Intent {
            log: LogId(payload[..16].try_into().expect("sixteen bytes")),
            note_id: payload[16..32].try_into().expect("sixteen bytes"),
            indexes: payload[32..].chunks_exact(8).map(|index| u64_at(index, 0)).collect(),
        })
    }
}

fn remove_intent(store: &dyn Store, path: &str) -> Result<()> {
    let attempt = |what: &'static str| move |err: io::Error| Error::io(what, path, &err);
    match store.remove(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(attempt("remove")(err)),
        _ => store.sync_dir(INTENT_DIR).map_err(attempt("sync the folder of")),
    }
}

/// Carries out what can be: on the sealing thread. False if some of it is not sealed yet.
pub(crate) fn erase_sealed(shared: &Shared, job: &EraseJob) -> Result<bool> {
    let mut by_segment: BTreeMap<u64, BTreeMap<u32, u64>> = BTreeMap::new();
    {
        let pieces = job.slot.pieces.read();
        for index in &job.indexes {
            match pieces.locate(*index) {
                Some(Location::Sealed { segment, ordinal }) => {
                    by_segment.entry(segment).or_default().insert(ordinal, *index);
                }
                Some(Location::Tail { .. }) => return Ok(false),
                None => return Err(Error::corrupt(format!("log {} has no number {}", job.slot.id, index + 1))),
            }
        }
    }
    for (segment, victims) in by_segment {
        erase_in_segment(shared, job, segment, &victims)?;
    }
    remove_intent(&*shared.reading.store, &job.intent)?;
    tracing::info!(log = %job.slot.id, note = job.note_index + 1, numbers = job.indexes.len(), "bodies were erased");
    Ok(true)
}

/// Writes the bodies of a segment anew, without those of `victims` (ordinal → index).
fn erase_in_segment(shared: &Shared, job: &EraseJob, number: u64, victims: &BTreeMap<u32, u64>) -> Result<()> {
    let store = &*shared.reading.store;
    let attempt = |what: &'static str| move |err: io::Error| Error::io(what, &Part::Bodies.path(number), &err);
    // A commit file that sealing could not remove yet holds the bodies too.
    let commit = commit_path(number);
    match store.remove(&commit) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &commit, &err)),
        _ => store.sync_dir("commit").map_err(|err| Error::io("sync the folder of", &commit, &err))?,
    }
    let old = store.open_read(&Part::Bodies.path(number)).map_err(attempt("open"))?;
    let directory = segment::read_directory(&*old, Part::Bodies, number).map_err(attempt("read"))?;
    let (options, entries) = (&shared.options, directory.footer.entries);
    let tmp = create_tmp(store, number, Part::Bodies)?;
    let writer = BodiesWriter::new(tmp, number, entries, options.block_bytes, options.zstd_level);
    let mut writer = writer.map_err(attempt("write"))?;
    let mut next = 0;
    for row in BlockIndex::decode(&directory.parts).rows() {
        let block = segment::read_block(&*old, row).map_err(attempt("read"))?;
        for (ordinal, record) in (block.first_ordinal..).zip(&block.rows) {
            if ordinal != next {
                // What is between was pruned.
                writer.skip_to(ordinal).map_err(attempt("write"))?;
            }
            next = ordinal + 1;
            let kept = block.record(record);
            let Some(index) = victims.get(&ordinal).filter(|_| record.state == BodyState::Present) else {
                writer.push(kept).map_err(attempt("write"))?;
                continue;
            };
            check_victim(shared, job, &block.fields(record, *index))?;
            let commitment = tlog::commitment(&record.salt, kept.body);
            let state = BodyState::Erased { body_bytes: record.body_bytes, note_index: job.note_index };
            let erased = NewRow { salt: &[0; 16], body: &commitment.0, state, ..kept };
            writer.push(erased).map_err(attempt("write"))?;
        }
    }
    writer.finish(&directory.runs).map_err(attempt("write"))?;
    let tmp = store.open_read(&tmp_path(number, Part::Bodies)).map_err(attempt("open"))?;
    check_rewritten(&*old, &*tmp, &directory, number)?;
    shared.reading.replace_segment(number, || {
        store.rename(&tmp_path(number, Part::Bodies), &Part::Bodies.path(number)).map_err(attempt("rename"))?;
        store.sync_dir("segment").map_err(attempt("sync the folder of"))
    })
}

/// A commitment must not be made of a record that is not what was committed: nobody could ever tell any more.
fn check_victim(shared: &Shared, job: &EraseJob, fields: &Fields<'_>) -> Result<()> {
    let stored = shared.reading.hashes(&job.slot, 0, fields.index, fields.index + 1)?[0];
    if group::leaves_of(std::slice::from_ref(fields), &Batch)[0] == stored {
        return Ok(());
    }
    let what = "is not what was committed, so that its commitment cannot be kept; it is not erased";
    Err(Error::corrupt(format!("log {} number {} {what}", job.slot.id, fields.index + 1)))
}

/// The files hold the same records in the same order, as far as leaves tell.
fn check_rewritten(old: &dyn File, new: &dyn File, directory: &Directory, number: u64) -> Result<()> {
    let attempt = |err: io::Error| Error::io("read again", &Part::Bodies.path(number), &err);
    let of_new = segment::read_directory(new, Part::Bodies, number).map_err(attempt)?;
    let differs = || Error::corrupt(format!("segment {number} does not read back as it was; it is left as it is"));
    if of_new.runs != directory.runs {
        return Err(differs());
    }
    let mut old = Leaves::new(old, directory);
    let mut new = Leaves::new(new, &of_new);
    loop {
        match (old.next_batch().map_err(attempt)?, new.next_batch().map_err(attempt)?) {
            (old, new) if old != new => return Err(differs()),
            (old, _) if old.is_empty() => return Ok(()),
            _ => {}
        }
    }
}

/// The leaf hashes of a `.bodies` file's records, in order of ordinals.
struct Leaves<'a> {
    file: &'a dyn File,
    runs: &'a [Run],
    rows: Vec<segment::BlockRow>,
    next_row: usize,
    ready: Vec<Hash>,
}

impl<'a> Leaves<'a> {
    fn new(file: &'a dyn File, directory: &'a Directory) -> Leaves<'a> {
        let rows = BlockIndex::decode(&directory.parts).rows().to_vec();
        Leaves { file, runs: &directory.runs, rows, next_row: 0, ready: Vec::new() }
    }

    /// The next [`CHECK_BATCH`] ones; fewer at the end, and then none.
    fn next_batch(&mut self) -> io::Result<Vec<Hash>> {
        while self.ready.len() < CHECK_BATCH {
            let Some(row) = self.rows.get(self.next_row) else { break };
            self.next_row += 1;
            let block = segment::read_block(self.file, row)?;
            self.ready.extend(self.leaves_of(&block));
        }
        let rest = self.ready.split_off(self.ready.len().min(CHECK_BATCH));
        Ok(std::mem::replace(&mut self.ready, rest))
    }

    fn leaves_of(&self, block: &Block) -> Vec<Hash> {
        let index_of = |ordinal: u32| {
            let run = &self.runs[self.runs.partition_point(|run| run.ordinal + run.count <= ordinal)];
            run.first + u64::from(ordinal - run.ordinal)
        };
        let within = (block.first_ordinal..)
            .zip(&block.rows)
            .filter(|(ordinal, _)| self.runs.last().is_some_and(|run| *ordinal < run.ordinal + run.count));
        let fields: Vec<Fields<'_>> = within.map(|(ordinal, row)| block.fields(row, index_of(ordinal))).collect();
        group::leaves_of(&fields, &Batch)
    }
}
