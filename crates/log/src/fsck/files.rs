//! Reading one file: what it holds, and what of it does not check.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use tlog::Hash;
use tlog::entry::Kind;

use crate::commit::COMMIT_MAGIC;
use crate::frame::{self, FileHeader, Frame, FrameHeader, HEADER_BYTES, Tail, u32_at};
use crate::group::{self, Batch, Fields, GROUP_MAGIC};
use crate::id::LogId;
use crate::model::BodyState;
use crate::read::commit_path;
use crate::segment::{self, BLOCK_MAGIC, Block, BlockIndex, BlockRow, CHUNK_BYTES, Directory, Part, Run, TILE_BITS};
use crate::store::{File, Store};

/// Bytes of groups whose leaves are recomputed at once.
const AT_ONCE_BYTES: usize = 16 << 20;

/// Blocks that one core reads and recomputes at a time …
const PIECE_BLOCKS: usize = 16;

/// … and how many such pieces are under way at once.
const PIECES_AT_ONCE: usize = 32;

/// A file, or pair of files, to be read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job {
    Commit { number: u64, is_last: bool },
    Segment { number: u64 },
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct FileFindings {
    pub path: String,
    /// In order of each log's indexes.
    pub runs: Vec<RunFindings>,
    /// What a last group holds that does not check: dropped at the next opening, unless something of it was signed.
    pub unchecked: Vec<RunFindings>,
    /// The file ends with a group that does not check, or with bytes that are none.
    pub bad_tail: Option<String>,
    /// What does not check and is no record.
    pub damage: Vec<String>,
    pub undecided: Vec<String>,
    pub notes: Vec<String>,
}

/// Consecutive entries of one log, as found.
#[derive(Debug)]
pub(super) struct RunFindings {
    pub log: LogId,
    pub first: u64,
    /// Leaf hashes as stored.
    pub stored: Vec<Hash>,
    /// Records whose recomputed leaf differs, by place in the run; none if the record cannot be read.
    pub differing: BTreeMap<usize, Option<Hash>>,
    /// Stored tile roots from tile level 1 up, with the index of the first; empty for commit files.
    pub tiles: Vec<(u64, Vec<Hash>)>,
    /// Stored peaks after the run.
    pub frontier: Option<Vec<Hash>>,
    pub first_us: u64,
    pub last_us: u64,
    /// Places in the run where time falls.
    pub falls: Vec<usize>,
    /// Ids that are not zero, with their places.
    pub ids: Vec<(usize, [u8; 16])>,
    /// So many places at the start are pruned: of them only tile roots count.
    pub pruned: usize,
    /// Places of erased bodies, each with the index of the note that is said to order it.
    pub erased: Vec<(usize, u64)>,
    /// What the log says about itself: notes, with their places and inline bodies.
    pub notes: Vec<(usize, Kind, Vec<u8>)>,
}

/// What is remarkable about a record: most are not.
#[derive(Debug)]
enum Remark {
    /// It is a note, inline.
    Note(Kind, Vec<u8>),
    /// Its body is gone, and this index is said to order it.
    Erased(u64),
}

impl Remark {
    fn on(record: &Fields<'_>) -> Option<Box<Remark>> {
        let remark = match record.state {
            BodyState::Erased { note_index, .. } => Remark::Erased(note_index),
            BodyState::Present if record.kind.is_committed(record.body.len()) => return None,
            BodyState::Present => Remark::Note(record.kind, record.body.to_vec()),
        };
        Some(Box::new(remark))
    }
}

impl RunFindings {
    fn new(log: LogId, first: u64) -> RunFindings {
        RunFindings {
            log,
            first,
            stored: Vec::new(),
            differing: BTreeMap::new(),
            tiles: Vec::new(),
            frontier: None,
            first_us: u64::MAX,
            last_us: 0,
            falls: Vec::new(),
            ids: Vec::new(),
            pruned: 0,
            erased: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.first + self.stored.len() as u64
    }

    fn note_record(&mut self, place: usize, received_at_us: u64, id: [u8; 16], remark: Option<Box<Remark>>) {
        match remark.map(|remark| *remark) {
            None => {}
            Some(Remark::Note(kind, body)) => self.notes.push((place, kind, body)),
            Some(Remark::Erased(note_index)) => self.erased.push((place, note_index)),
        }
        if received_at_us < self.last_us {
            self.falls.push(place);
        }
        self.first_us = self.first_us.min(received_at_us);
        self.last_us = self.last_us.max(received_at_us);
        if id != [0; 16] {
            self.ids.push((place, id));
        }
    }
}

/// Bytes a job will read.
pub(super) fn file_bytes(store: &dyn Store, job: &Job) -> u64 {
    let bytes = |path: String| store.open_read(&path).and_then(|file| file.len()).unwrap_or(0);
    match job {
        Job::Commit { number, .. } => bytes(commit_path(*number)),
        Job::Segment { number } => bytes(Part::Bodies.path(*number)) + bytes(Part::Leaves.path(*number)),
    }
}

/// Reads a file and recomputes the leaves of its records.
pub(super) fn read_file(
    store: &dyn Store,
    job: &Job,
    minimums: &HashMap<LogId, u64>,
    bytes_read: &AtomicU64,
) -> FileFindings {
    match *job {
        Job::Segment { number } => read_segment(store, number, minimums, bytes_read),
        Job::Commit { number, is_last } => {
            let path = commit_path(number);
            let mut findings = FileFindings { path: path.clone(), ..FileFindings::default() };
            match store.open_read(&path) {
                Ok(file) => {
                    if let Err(err) = read_commit_file(&*file, number, is_last, &mut findings) {
                        findings.undecided.push(format!("read {path}: {err}"));
                    }
                    bytes_read.fetch_add(file.len().unwrap_or(0), Ordering::Relaxed);
                    findings
                }
                // Sealed since the files were listed.
                Err(err) if err.kind() == io::ErrorKind::NotFound => read_segment(store, number, minimums, bytes_read),
                Err(err) => {
                    findings.undecided.push(format!("open {path}: {err}"));
                    findings
                }
            }
        }
    }
}

fn read_commit_file(file: &dyn File, number: u64, is_last: bool, findings: &mut FileFindings) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    if file.len()? < HEADER_BYTES as u64 {
        if is_last {
            findings.notes.push(format!("{}: its creation was cut short", findings.path));
        } else {
            findings.damage.push("the file is too short".into());
        }
        return Ok(());
    }
    file.read_exact_at(&mut header, 0)?;
    let header = match FileHeader::decode(&header, &COMMIT_MAGIC) {
        Ok(header) if header.number == number => Some(header),
        Ok(_) => {
            findings.damage.push("the file belongs elsewhere".into());
            None
        }
        Err(what) => {
            findings.damage.push(what.into());
            None
        }
    };
    let mut groups = Groups::default();
    // The last group is held back while it may be one that a crash left.
    let mut held: Option<(Frame, Vec<u8>)> = None;
    let first_group = header.map_or(0, |header| header.extra);
    let scan = frame::scan(file, HEADER_BYTES as u64, GROUP_MAGIC, first_group, |frame, payload| {
        if let Some((frame, payload)) = held.take() {
            groups.take(frame, payload);
        }
        if frame.checks {
            groups.take(*frame, payload);
        } else {
            held = Some((*frame, payload));
        }
    })?;
    let bad_tail = match scan.tail {
        Tail::Clean => None,
        Tail::Torn(at) | Tail::Damaged(at) => Some(at).filter(|_| is_last),
    };
    for damage in scan.damage {
        // Without a file header nobody knows the first group's number, and the header was reported.
        let unknown_number = header.is_none() && damage.offset == HEADER_BYTES as u64;
        if !unknown_number && bad_tail.is_none_or(|at| damage.offset < at) {
            findings.damage.push(format!("at byte {}: {}", damage.offset, damage.what));
        }
    }
    match (scan.tail, bad_tail) {
        (_, Some(at)) => findings.bad_tail = Some(format!("at byte {at}: the last group does not check")),
        (Tail::Torn(at), None) => findings.damage.push(format!("at byte {at}: a group that is cut short")),
        _ => {}
    }
    if let Some((frame, payload)) = held {
        if bad_tail.is_some() {
            let mut last = Groups::default();
            last.take(frame, payload);
            last.settle();
            findings.unchecked = last.runs;
        } else {
            groups.take(frame, payload);
        }
    }
    groups.settle();
    findings.damage.extend(groups.malformed);
    findings.runs = groups.runs;
    Ok(())
}

/// What the groups of a commit file hold.
#[derive(Default)]
struct Groups {
    runs: Vec<RunFindings>,
    /// Where each log's last run is.
    last_of: BTreeMap<LogId, usize>,
    malformed: Vec<String>,
    /// Groups whose leaves are not recomputed yet.
    waiting: Vec<(Frame, Vec<u8>)>,
    waiting_bytes: usize,
}

/// Consecutive records of one log in one group.
struct Found {
    log: LogId,
    first: u64,
    records: Vec<FoundRecord>,
}

/// A record with its stored and its recomputed leaf.
struct FoundRecord {
    received_at_us: u64,
    id: [u8; 16],
    remark: Option<Box<Remark>>,
    stored: Hash,
    leaf: Hash,
}

/// The records of a group, with their leaves recomputed.
fn recompute(payload: &[u8], entries: u32) -> Result<Vec<Found>, &'static str> {
    let views = group::parse(payload, entries)?;
    let mut fields = Vec::new();
    for view in &views {
        for (index, record) in (view.first..).zip(&view.records) {
            fields.push(Fields {
                kind: record.kind,
                index,
                received_at_us: record.received_at_us,
                id: record.id,
                salt: &record.salt,
                body: record.body(payload),
                state: BodyState::Present,
            });
        }
    }
    let mut recomputed = group::leaves_of(&fields, &Batch).into_iter().zip(&fields);
    let found_of = |view: &group::RunView| {
        let records = view.records.iter().zip(view.leaves(payload));
        let records = records.map(|(record, stored)| {
            let (leaf, fields) = recomputed.next().expect("a leaf for each record");
            let (received_at_us, id) = (record.received_at_us, record.id);
            FoundRecord { received_at_us, id, remark: Remark::on(fields), stored, leaf }
        });
        Found { log: view.log, first: view.first, records: records.collect() }
    };
    Ok(views.iter().map(found_of).collect())
}

impl Groups {
    fn take(&mut self, frame: Frame, payload: Vec<u8>) {
        self.waiting_bytes += payload.len();
        self.waiting.push((frame, payload));
        if self.waiting_bytes >= AT_ONCE_BYTES {
            self.settle();
        }
    }

    /// Recomputes the leaves of what waits, on all cores, and takes them in order.
    fn settle(&mut self) {
        self.waiting_bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let recomputed: Vec<_> =
            waiting.into_par_iter().map(|(frame, payload)| (frame, recompute(&payload, frame.header.count))).collect();
        for (frame, found) in recomputed {
            match found {
                Ok(found) => found.into_iter().for_each(|found| self.take_found(found)),
                Err(what) => self.malformed.push(format!("at byte {}: {what}", frame.offset)),
            }
        }
    }

    fn take_found(&mut self, found: Found) {
        let run = self.run_at(found.log, found.first);
        for record in found.records {
            let place = run.stored.len();
            if record.leaf != record.stored {
                run.differing.insert(place, Some(record.leaf));
            }
            run.note_record(place, record.received_at_us, record.id, record.remark);
            run.stored.push(record.stored);
        }
    }

    /// The run that ends where the next one begins, or a new one.
    fn run_at(&mut self, log: LogId, first: u64) -> &mut RunFindings {
        let position = match self.last_of.get(&log) {
            Some(&position) if self.runs[position].end() == first => position,
            _ => {
                self.runs.push(RunFindings::new(log, first));
                self.runs.len() - 1
            }
        };
        self.last_of.insert(log, position);
        &mut self.runs[position]
    }
}

fn read_segment(
    store: &dyn Store,
    number: u64,
    minimums: &HashMap<LogId, u64>,
    bytes_read: &AtomicU64,
) -> FileFindings {
    let mut findings = FileFindings { path: Part::Bodies.path(number), ..FileFindings::default() };
    let leaves = open_part(store, number, Part::Leaves, &mut findings);
    let bodies = open_part(store, number, Part::Bodies, &mut findings);
    let directory_of = |part: &Option<(std::sync::Arc<dyn File>, Option<Directory>)>| {
        part.as_ref().and_then(|(_, directory)| directory.as_ref()).map(|directory| directory.runs.clone())
    };
    let runs = match (directory_of(&leaves), directory_of(&bodies)) {
        (Some(of_leaves), Some(of_bodies)) => {
            if of_leaves != of_bodies {
                findings.damage.push(format!("its directory is not that of {}", Part::Leaves.path(number)));
            }
            of_leaves
        }
        (Some(runs), None) | (None, Some(runs)) => runs,
        (None, None) => return findings,
    };
    let mut found: Vec<RunFindings> = Vec::new();
    for run in &runs {
        found.push(read_run_hashes(leaves.as_ref().map(|(file, _)| &**file), run, number, &mut findings));
    }
    if let Some((file, directory)) = &leaves {
        check_chunks(&**file, directory.as_ref(), &runs, number, &mut findings);
        bytes_read.fetch_add(file.len().unwrap_or(0), Ordering::Relaxed);
    }
    let mut seen = vec![false; runs.last().map_or(0, |run| (run.ordinal + run.count) as usize)];
    if let Some((file, directory)) = &bodies {
        if let Err(err) = read_bodies(&**file, directory.as_ref(), &runs, &mut found, &mut seen, &mut findings) {
            findings.undecided.push(format!("read {}: {err}", Part::Bodies.path(number)));
        }
        bytes_read.fetch_add(file.len().unwrap_or(0), Ordering::Relaxed);
    }
    for (run, found) in runs.iter().zip(&mut found) {
        let of_run = &seen[run.ordinal as usize..(run.ordinal + run.count) as usize];
        let minimum = minimums.get(&run.log).copied().unwrap_or(0);
        found.pruned = minimum.min(run.end()).saturating_sub(run.first) as usize;
        for (place, _) in of_run.iter().enumerate().skip(found.pruned).filter(|(_, seen)| !**seen) {
            found.differing.insert(place, None);
        }
        found.differing.retain(|place, _| *place >= found.pruned);
    }
    findings.runs = found;
    findings
}

type OpenPart = Option<(std::sync::Arc<dyn File>, Option<Directory>)>;

fn open_part(store: &dyn Store, number: u64, part: Part, findings: &mut FileFindings) -> OpenPart {
    let path = part.path(number);
    match store.open_read(&path) {
        Ok(file) => match segment::read_directory(&*file, part, number) {
            Ok(directory) => Some((file, Some(directory))),
            Err(err) if err.kind() == io::ErrorKind::InvalidData => {
                findings.damage.push(format!("{path}: {err}"));
                Some((file, None))
            }
            Err(err) => {
                findings.undecided.push(format!("read {path}: {err}"));
                None
            }
        },
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            findings.damage.push(format!("{path} is missing"));
            None
        }
        Err(err) => {
            findings.undecided.push(format!("open {path}: {err}"));
            None
        }
    }
}

/// The stored hashes of a run; where they cannot be read, zeros, which no leaf has.
fn read_run_hashes(file: Option<&dyn File>, run: &Run, number: u64, findings: &mut FileFindings) -> RunFindings {
    let mut found = RunFindings::new(run.log, run.first);
    let none = vec![Hash([0; 32]); run.count as usize];
    let Some(file) = file else {
        found.stored = none;
        return found;
    };
    let read = |tile_level: u32| {
        let (offset, first, end) = run.hashes_at(tile_level);
        let fits = offset.checked_add(32 * (end - first)).is_some_and(|end| file.len().is_ok_and(|len| end <= len));
        if !fits {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "hashes do not fit the file"));
        }
        Ok((first, segment::read_hashes(file, offset, (end - first) as usize)?))
    };
    let mut problem = None;
    match read(0) {
        Ok((_, stored)) => found.stored = stored,
        Err(err) => {
            problem = Some(err);
            found.stored = none;
        }
    }
    let levels = (1..8).take_while(|level| run.end() >> (TILE_BITS * level) > 0);
    for level in levels {
        match read(level) {
            Ok(tiles) => found.tiles.push(tiles),
            Err(err) => {
                problem = Some(err);
                break;
            }
        }
    }
    let peaks = run.end().count_ones() as usize;
    match segment::read_hashes(file, run.frontier_at, peaks) {
        Ok(frontier) => found.frontier = Some(frontier),
        Err(err) => problem = Some(err),
    }
    if let Some(err) = problem {
        findings.damage.push(format!("{}: {err}", Part::Leaves.path(number)));
    }
    found
}

/// Compares the check values of a `.leaves` file, and that every byte of it is accounted for.
fn check_chunks(
    file: &dyn File,
    directory: Option<&Directory>,
    runs: &[Run],
    number: u64,
    findings: &mut FileFindings,
) {
    let Some(directory) = directory else { return };
    let path = Part::Leaves.path(number);
    let mut at = HEADER_BYTES as u64;
    for run in runs {
        let levels = (0..8).map(|level| run.hashes_at(level)).map(|(_, first, end)| end - first);
        if run.leaves_at != at {
            findings.damage.push(format!("{path}: hashes are not where they belong"));
        }
        at += 32 * levels.sum::<u64>();
    }
    for run in runs {
        if run.frontier_at != at {
            findings.damage.push(format!("{path}: peaks are not where they belong"));
        }
        at += 32 * u64::from(run.end().count_ones());
    }
    let data = directory.footer.directory_at;
    if at != data || u64::from(directory.footer.parts) != data.div_ceil(CHUNK_BYTES as u64) {
        findings.damage.push(format!("{path}: its parts do not add up"));
        return;
    }
    for (position, crc) in directory.parts.chunks_exact(4).enumerate() {
        let start = (position * CHUNK_BYTES) as u64;
        let mut bytes = vec![0; CHUNK_BYTES.min((data - start) as usize)];
        match file.read_exact_at(&mut bytes, start) {
            Ok(()) if crc32c::crc32c(&bytes) == u32_at(crc, 0) => {}
            Ok(()) => findings.damage.push(format!("{path}: the 64 KiB from byte {start} on do not check")),
            Err(err) => findings.undecided.push(format!("read {path}: {err}")),
        }
    }
}

/// Recomputes the leaves of all blocks.
fn read_bodies(
    file: &dyn File,
    directory: Option<&Directory>,
    runs: &[Run],
    found: &mut [RunFindings],
    seen: &mut [bool],
    findings: &mut FileFindings,
) -> io::Result<()> {
    let path = findings.path.clone();
    let rows = match directory {
        Some(directory) => {
            let rows = BlockIndex::decode(&directory.parts).rows().to_vec();
            let mut at = HEADER_BYTES as u64;
            for row in &rows {
                if row.offset != at {
                    findings.damage.push(format!("{path}: a block is not where it belongs"));
                }
                at = row.offset.saturating_add(u64::from(row.bytes));
            }
            if at != directory.footer.directory_at {
                findings.damage.push(format!("{path}: its parts do not add up"));
            }
            rows
        }
        // Blocks are frames, so they can be found without the directory. What follows the last is the directory.
        None => find_blocks(file)?,
    };
    let len = file.len()?;
    let pieces: Vec<&[BlockRow]> = rows.chunks(PIECE_BLOCKS).collect();
    for at_once in pieces.chunks(PIECES_AT_ONCE) {
        let read: Vec<io::Result<Piece>> =
            at_once.par_iter().map(|rows| read_piece(file, len, rows, runs, seen.len() as u32, &path)).collect();
        for piece in read {
            let piece = piece?;
            findings.damage.extend(piece.damage);
            for record in piece.records {
                if !std::mem::replace(&mut seen[record.ordinal as usize], true) {
                    let run = &mut found[record.run];
                    if run.stored[record.place] != record.leaf {
                        run.differing.insert(record.place, Some(record.leaf));
                    }
                    run.note_record(record.place, record.received_at_us, record.id, record.remark);
                }
            }
        }
    }
    Ok(())
}

/// What some consecutive blocks hold.
#[derive(Default)]
struct Piece {
    records: Vec<PieceRecord>,
    damage: Vec<String>,
}

/// A record of a block, with where it belongs and its recomputed leaf.
struct PieceRecord {
    ordinal: u32,
    /// Which run, and which record of it.
    run: usize,
    place: usize,
    received_at_us: u64,
    id: [u8; 16],
    remark: Option<Box<Remark>>,
    leaf: Hash,
}

/// Reads and decompresses some blocks and recomputes the leaves of their records. `entries`: how many the segment has.
fn read_piece(
    file: &dyn File,
    len: u64,
    rows: &[BlockRow],
    runs: &[Run],
    entries: u32,
    path: &str,
) -> io::Result<Piece> {
    let mut piece = Piece::default();
    let mut blocks: Vec<Block> = Vec::new();
    for row in rows {
        if row.offset.checked_add(u64::from(row.bytes)).is_none_or(|end| end > len) || row.bytes < HEADER_BYTES as u32 {
            piece.damage.push(format!("{path}: the block at byte {} does not fit the file", row.offset));
            continue;
        }
        let mut bytes = vec![0; row.bytes as usize];
        file.read_exact_at(&mut bytes, row.offset)?;
        let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>().expect("the length was checked");
        let decoded = FrameHeader::decode(header, BLOCK_MAGIC)
            .filter(|header| header.number == u64::from(row.first_ordinal))
            .filter(|header| header.payload_bytes as usize == payload.len());
        if decoded.is_none() {
            piece.damage.push(format!("{path}: the header of the block at byte {} does not check", row.offset));
        }
        // A damaged header still has its count in place; if not, the block does not decode.
        let count = decoded.map_or_else(|| u32_at(header, 16), |header| header.count);
        if decoded.is_some_and(|header| crc32c::crc32c(payload) != header.payload_crc) {
            piece.damage.push(format!("{path}: the block at byte {} does not check", row.offset));
        }
        match segment::decode_block(payload, count.min(entries), row.first_ordinal) {
            Ok(block) => blocks.push(block),
            Err(what) => piece.damage.push(format!("{path}: the block at byte {}: {what}", row.offset)),
        }
    }
    let mut fields = Vec::new();
    for block in &blocks {
        for (ordinal, row) in (block.first_ordinal..).zip(&block.rows) {
            let position = runs.partition_point(|run| run.ordinal + run.count <= ordinal);
            let Some(run) = runs.get(position).filter(|run| run.ordinal <= ordinal) else { continue };
            let place = (ordinal - run.ordinal) as usize;
            let index = run.first + place as u64;
            let (received_at_us, id, leaf) = (row.received_at_us, row.id, Hash([0; 32]));
            let of_row = block.fields(row, index);
            let remark = Remark::on(&of_row);
            fields.push(of_row);
            piece.records.push(PieceRecord { ordinal, run: position, place, received_at_us, id, remark, leaf });
        }
    }
    for (record, leaf) in piece.records.iter_mut().zip(group::leaves_of(&fields, &Batch)) {
        record.leaf = leaf;
    }
    Ok(piece)
}

fn find_blocks(file: &dyn File) -> io::Result<Vec<BlockRow>> {
    let mut rows = Vec::new();
    frame::scan(file, HEADER_BYTES as u64, BLOCK_MAGIC, 0, |frame, _| {
        rows.push(BlockRow {
            offset: frame.offset,
            first_ordinal: frame.header.number as u32,
            bytes: HEADER_BYTES as u32 + frame.header.payload_bytes,
        });
    })?;
    Ok(rows)
}
