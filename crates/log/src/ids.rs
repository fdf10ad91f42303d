//! Which ids are in a log already: exact, not a window.
//!
//! Ids of commit files that are not sealed are in memory. For sealed ones there are *id runs*: files of sorted rows, each
//! for a range of segments, merged as they become many. A row is 8 bytes of SHA-256 over log and id, and the index; whether
//! it is a hit is decided by the id in the record itself. Id runs are a projection: they may be deleted, and are made again
//! from the segments at the next opening.
//!
//! ```text
//! id run    file header: number = first segment, extra = last segment
//!           pages of 4,096 bytes: 4 rows in it · 292 × (8 key, 6 index), unused ones zero · 4 CRC-32C of the page before
//!           filter: 32 bytes a block, 8 words of 32 bits each
//!           first key of each page, 8 bytes
//!           footer: 8 magic · 8 rows · 4 pages · 4 filter blocks · 4 CRC-32C of filter and first keys · 4 of the footer
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::error::{Error, Result};
use crate::frame::{FileHeader, HEADER_BYTES, u32_at, u64_at};
use crate::id::LogId;
use crate::segment::{self, BlockIndex, FileWriter, Part};
use crate::shared::Shared;
use crate::state::LogSlot;
use crate::store::{File, Store};

const MAGIC: [u8; 8] = *b"cfidsrun";
const FOOTER_MAGIC: [u8; 8] = *b"cfidsEnd";
const FOOTER_BYTES: usize = 40;

const PAGE_BYTES: usize = 4096;
const ROW_BYTES: usize = 14;
const PAGE_ROWS: usize = (PAGE_BYTES - 8) / ROW_BYTES;

/// Filter bits for each row; with eight probes about one miss in 200 reads a page for nothing.
const FILTER_BITS_PER_ROW: usize = 12;
const FILTER_BLOCK_BYTES: usize = 32;

/// So many runs of one size class are merged into one of the next.
const MERGE_FAN_IN: usize = 8;

/// A row's key: the first 8 bytes of SHA-256(`02` ‖ log id ‖ id). Not guessable into collisions cheaply, and uniform.
type Key = u64;

/// Indexes by log ordinal and id.
type IdMap = HashMap<(u32, [u8; 16]), u64>;

/// An entry's log and id, and its index.
type IdPlace = ((LogId, [u8; 16]), u64);

/// The ids of all logs.
pub(crate) struct Ids {
    store: Arc<dyn Store>,
    filter_bytes_max: usize,
    filter_bytes: AtomicUsize,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Of the group that is being committed.
    staged: IdMap,
    /// Of the commit file in use.
    active: IdMap,
    /// Of closed commit files that are not sealed, by file number.
    closed: BTreeMap<u64, Arc<IdMap>>,
    /// Of sealed ones, in order of segments.
    runs: Vec<Arc<IdRun>>,
}

/// One file of sorted rows.
struct IdRun {
    first_segment: u64,
    last_segment: u64,
    rows: u64,
    file: Arc<dyn File>,
    path: String,
    first_keys: Vec<Key>,
    /// None if there was no memory left for it.
    filter: Option<Filter>,
}

impl Ids {
    pub(crate) fn new(store: Arc<dyn Store>, filter_bytes_max: usize) -> Ids {
        Ids { store, filter_bytes_max, filter_bytes: AtomicUsize::new(0), known: RwLock::default() }
    }

    /// Looks up the ids of a batch, in order, and enters those that are new with the indexes they get, from `next` up.
    /// What is entered counts once [`Ids::accept`] is called, and never if [`Ids::take_back`] is.
    pub(crate) fn find_or_enter(
        &self,
        shared: &Shared,
        slot: &LogSlot,
        ids: &[[u8; 16]],
        mut next: u64,
    ) -> Result<Vec<Option<u64>>> {
        let mut found = Vec::with_capacity(ids.len());
        if ids.iter().all(|id| *id == [0; 16]) {
            found.resize(ids.len(), None);
            return Ok(found);
        }
        // Sealing moves ids from a closed file to a run. What is asked is one state of both, taken together: a look at the
        // runs now and at the closed files later would miss an id that was moved in between. Only the writer, which is who
        // calls, changes the others.
        let (closed, runs) = {
            let known = self.known.read();
            (known.closed.values().cloned().collect::<Vec<_>>(), known.runs.clone())
        };
        let stored = find_in(&runs, shared, slot, ids)?;
        let mut known = self.known.write();
        for (id, stored) in ids.iter().zip(stored) {
            let key = (slot.ordinal, *id);
            let in_memory = || {
                let of_closed = || closed.iter().rev().find_map(|ids| ids.get(&key));
                known.staged.get(&key).or_else(|| known.active.get(&key)).or_else(of_closed).copied()
            };
            let hit = stored.or_else(|| if *id == [0; 16] { None } else { in_memory() });
            if hit.is_none() {
                if *id != [0; 16] {
                    known.staged.insert((slot.ordinal, *id), next);
                }
                next += 1;
            }
            found.push(hit);
        }
        Ok(found)
    }

    /// The index of the entry with this id, if it is committed.
    pub(crate) fn find(&self, shared: &Shared, slot: &LogSlot, id: &[u8; 16]) -> Result<Option<u64>> {
        let runs = {
            let known = self.known.read();
            if let Some(index) = known.committed(slot.ordinal, id) {
                return Ok(Some(index));
            }
            known.runs.clone()
        };
        Ok(find_in(&runs, shared, slot, std::slice::from_ref(id))?[0])
    }

    /// The group whose ids were entered is durable.
    pub(crate) fn accept(&self) {
        let mut known = self.known.write();
        let staged = std::mem::take(&mut known.staged);
        known.active.extend(staged);
    }

    /// The group whose ids were entered is not.
    pub(crate) fn take_back(&self) {
        self.known.write().staged.clear();
    }

    /// Enters an id found in a commit file at opening.
    pub(crate) fn enter(&self, slot: &LogSlot, id: [u8; 16], index: u64) {
        if id != [0; 16] {
            self.known.write().active.insert((slot.ordinal, id), index);
        }
    }

    /// The commit file in use is closed.
    pub(crate) fn close_file(&self, number: u64) {
        let mut known = self.known.write();
        let closed = std::mem::take(&mut known.active);
        known.closed.insert(number, Arc::new(closed));
    }

    /// Replaces what is in memory of a sealed commit file by an id run, and merges runs.
    ///
    /// On an error everything stays in memory; lookups go on.
    pub(crate) fn seal_file(&self, number: u64, log_of: &HashMap<u32, LogId>) -> Result<()> {
        // Absent if a sealing that failed later is tried again.
        let Some(closed) = self.known.read().closed.get(&number).cloned() else { return self.merge() };
        let pairs: Vec<IdPlace> =
            closed.iter().filter_map(|((ordinal, id), index)| Some(((*log_of.get(ordinal)?, *id), *index))).collect();
        let run = self.write_run(number, number, pairs.len(), sorted_rows(&pairs).into_iter().map(Ok))?;
        {
            let mut known = self.known.write();
            known.add_run(Arc::new(run));
            known.closed.remove(&number);
        }
        self.merge()
    }

    /// Opens the id runs there are, and makes those that are missing from the segments.
    pub(crate) fn open_runs(&self, shared: &Shared, segments: &[u64]) -> Result<()> {
        for run in self.usable_runs(segments)? {
            self.known.write().add_run(run);
        }
        for &segment in segments {
            if !self.known.read().covers(segment) {
                match rows_of_segment(shared, segment) {
                    Ok(pairs) => {
                        let rows = sorted_rows(&pairs).into_iter().map(Ok);
                        let run = self.write_run(segment, segment, pairs.len(), rows)?;
                        self.known.write().add_run(Arc::new(run));
                    }
                    // The logs in it are read-only; their ids are not asked for.
                    Err(err) => tracing::error!(%err, segment, "no ids from a damaged segment"),
                }
            }
        }
        self.merge()
    }

    fn usable_runs(&self, segments: &[u64]) -> Result<Vec<Arc<IdRun>>> {
        let mut runs = Vec::new();
        let names = self.store.list("ids").map_err(|err| Error::io("list", "ids", &err))?;
        for name in names {
            let path = format!("ids/{name}");
            let run = range_of_name(&name).and_then(|range| self.open_run(&path, range).ok());
            match run {
                // Made for segments that are there, all of them.
                Some(run) if (run.first_segment..=run.last_segment).all(|n| segments.binary_search(&n).is_ok()) => {
                    runs.push(Arc::new(run));
                }
                _ => self.remove(&path)?,
            }
        }
        // After a merge that was not finished a larger run covers smaller ones.
        runs.sort_by_key(|run| (run.first_segment, std::cmp::Reverse(run.last_segment)));
        let mut kept: Vec<Arc<IdRun>> = Vec::new();
        for run in runs {
            if kept.last().is_some_and(|last| last.last_segment >= run.first_segment) {
                self.remove(&run.path)?;
            } else {
                kept.push(run);
            }
        }
        Ok(kept)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.store.remove(path).map_err(|err| Error::io("remove", path, &err))
    }

    fn open_run(&self, path: &str, range: (u64, u64)) -> io::Result<IdRun> {
        let file = self.store.open_read(path)?;
        let mut run = IdRun::read(file, path)?;
        if (run.first_segment, run.last_segment) != range {
            return Err(damaged("the file has another name"));
        }
        self.account_filter(&mut run);
        Ok(run)
    }

    /// Drops a run's filter if there is no memory for it.
    fn account_filter(&self, run: &mut IdRun) {
        let bytes = run.filter.as_ref().map_or(0, |filter| filter.words.len() * 4);
        if self.filter_bytes.load(Ordering::Relaxed) + bytes > self.filter_bytes_max {
            run.filter = None;
        } else {
            self.filter_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn write_run(
        &self,
        first_segment: u64,
        last_segment: u64,
        rows_max: usize,
        rows: impl Iterator<Item = Result<(Key, u64)>>,
    ) -> Result<IdRun> {
        let path = format!("ids/{first_segment:010}-{last_segment:010}.ids");
        let tmp = format!("{path}.tmp");
        let attempt = |what: &'static str| {
            let path = path.clone();
            move |err: io::Error| Error::io(what, &path, &err)
        };
        match self.store.remove(&tmp) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(attempt("remove")(err)),
            _ => {}
        }
        let file = self.store.create(&tmp).map_err(attempt("create"))?;
        write_rows(file, (first_segment, last_segment), rows_max, rows).map_err(|err| match err {
            WriteRows::Io(err) => attempt("write")(err),
            WriteRows::Source(err) => err,
        })?;
        self.store.rename(&tmp, &path).map_err(attempt("rename"))?;
        self.store.sync_dir("ids").map_err(attempt("sync the folder of"))?;
        let file = self.store.open_read(&path).map_err(attempt("open"))?;
        let mut run = IdRun::read(file, &path).map_err(attempt("read"))?;
        self.account_filter(&mut run);
        Ok(run)
    }

    /// Merges neighbours of one size class while there are enough.
    fn merge(&self) -> Result<()> {
        loop {
            let runs = self.known.read().runs.clone();
            let Some(start) = mergeable(&runs) else { return Ok(()) };
            let inputs = &runs[start..start + MERGE_FAN_IN];
            let (first, last) = (inputs[0].first_segment, inputs[MERGE_FAN_IN - 1].last_segment);
            let rows: u64 = inputs.iter().map(|run| run.rows).sum();
            let merged = self.write_run(first, last, rows as usize, MergedRows::new(inputs)?)?;
            {
                let mut known = self.known.write();
                known.runs.retain(|run| run.first_segment < first || run.last_segment > last);
                known.add_run(Arc::new(merged));
            }
            for run in inputs {
                let bytes = run.filter.as_ref().map_or(0, |filter| filter.words.len() * 4);
                self.filter_bytes.fetch_sub(bytes, Ordering::Relaxed);
                self.remove(&run.path)?;
            }
        }
    }
}

/// Looks ids up in id runs, in order.
fn find_in(runs: &[Arc<IdRun>], shared: &Shared, slot: &LogSlot, ids: &[[u8; 16]]) -> Result<Vec<Option<u64>>> {
    let mut found = vec![None; ids.len()];
    if runs.is_empty() {
        return Ok(found);
    }
    let keys = keys_of(ids.iter().map(|id| (&slot.id, id)));
    for (place, (id, key)) in ids.iter().zip(keys).enumerate() {
        if *id == [0; 16] {
            continue;
        }
        // The newest first: what is sent twice is mostly sent twice soon.
        for run in runs.iter().rev() {
            found[place] = run.find(key, |index| holds_id(shared, slot, index, id))?;
            if found[place].is_some() {
                break;
            }
        }
    }
    Ok(found)
}

impl Known {
    fn committed(&self, ordinal: u32, id: &[u8; 16]) -> Option<u64> {
        let key = (ordinal, *id);
        let closed = || self.closed.values().rev().find_map(|ids| ids.get(&key));
        self.active.get(&key).or_else(closed).copied()
    }

    fn add_run(&mut self, run: Arc<IdRun>) {
        let at = self.runs.partition_point(|other| other.first_segment < run.first_segment);
        self.runs.insert(at, run);
    }

    fn covers(&self, segment: u64) -> bool {
        self.runs.iter().any(|run| (run.first_segment..=run.last_segment).contains(&segment))
    }
}

/// Where enough neighbours of one size class begin.
fn mergeable(runs: &[Arc<IdRun>]) -> Option<usize> {
    let class = |run: &IdRun| (run.last_segment - run.first_segment + 1).ilog(MERGE_FAN_IN as u64);
    let same = |window: &&[Arc<IdRun>]| window.iter().all(|run| class(run) == class(&window[0]));
    runs.windows(MERGE_FAN_IN).position(|window| same(&window))
}

fn holds_id(shared: &Shared, slot: &LogSlot, index: u64, id: &[u8; 16]) -> Result<bool> {
    match shared.reading.records(slot, std::iter::once(index), 1) {
        Ok(records) => Ok(records.first().is_some_and(|record| record.id == *id)),
        // The row is another log's.
        Err(Error::NotFound(_)) => Ok(false),
        Err(err) => Err(err),
    }
}

fn keys_of<'a>(ids: impl Iterator<Item = (&'a LogId, &'a [u8; 16])>) -> Vec<Key> {
    let items: Vec<(&[u8; 16], &[u8])> = ids.map(|(log, id)| (&log.0, &id[..])).collect();
    tlog::batch::commitments(&items).iter().map(|hash| u64_at(&hash.0, 0)).collect()
}

fn sorted_rows(pairs: &[IdPlace]) -> Vec<(Key, u64)> {
    let keys = keys_of(pairs.iter().map(|((log, id), _)| (log, id)));
    let mut rows: Vec<(Key, u64)> = keys.into_iter().zip(pairs.iter().map(|(_, index)| *index)).collect();
    rows.sort_unstable();
    rows
}

fn rows_of_segment(shared: &Shared, segment: u64) -> Result<Vec<IdPlace>> {
    let attempt = |err: io::Error| Error::io("read", &Part::Bodies.path(segment), &err);
    let file = shared.reading.segment_file(segment, Part::Bodies)?;
    let directory = segment::read_directory(&*file, Part::Bodies, segment).map_err(attempt)?;
    let mut pairs = Vec::new();
    let mut runs = directory.runs.iter().peekable();
    for row in BlockIndex::decode(&directory.parts).rows() {
        let block = segment::read_block(&*file, row).map_err(attempt)?;
        for (ordinal, record) in (block.first_ordinal..).zip(&block.rows) {
            while runs.next_if(|run| ordinal >= run.ordinal + run.count).is_some() {}
            if let Some(run) = runs.peek().filter(|_| record.id != [0; 16]) {
                pairs.push(((run.log, record.id), run.first + u64::from(ordinal - run.ordinal)));
            }
        }
    }
    Ok(pairs)
}

fn range_of_name(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_suffix(".ids")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

enum WriteRows {
    Io(io::Error),
    Source(Error),
}

impl From<io::Error> for WriteRows {
    fn from(err: io::Error) -> WriteRows {
        WriteRows::Io(err)
    }
}

fn write_rows(
    file: Arc<dyn File>,
    (first_segment, last_segment): (u64, u64),
    rows_max: usize,
    rows: impl Iterator<Item = Result<(Key, u64)>>,
) -> Result<(), WriteRows> {
    let mut out = FileWriter::new(file);
    out.write(&FileHeader { magic: MAGIC, number: first_segment, extra: last_segment }.encode())?;
    let mut first_keys: Vec<Key> = Vec::new();
    let mut filter = Filter::sized(rows_max);
    let mut count: u64 = 0;
    let mut page: Vec<(Key, u64)> = Vec::with_capacity(PAGE_ROWS);
    for row in rows {
        let row = row.map_err(WriteRows::Source)?;
        filter.add(row.0);
        count += 1;
        page.push(row);
        if page.len() == PAGE_ROWS {
            first_keys.push(page[0].0);
            out.write(&encode_page(&page))?;
            page.clear();
        }
    }
    if let Some((key, _)) = page.first() {
        first_keys.push(*key);
        out.write(&encode_page(&page))?;
    }
    let mut tables = Vec::with_capacity(filter.words.len() * 4 + first_keys.len() * 8);
    filter.words.iter().for_each(|word| tables.extend(word.to_be_bytes()));
    first_keys.iter().for_each(|key| tables.extend(key.to_be_bytes()));
    out.write(&tables)?;
    let mut footer = FOOTER_MAGIC.to_vec();
    footer.extend(count.to_be_bytes());
    footer.extend((first_keys.len() as u64).to_be_bytes());
    footer.extend(((filter.words.len() / 8) as u64).to_be_bytes());
    footer.extend(crc32c::crc32c(&tables).to_be_bytes());
    footer.extend(crc32c::crc32c(&footer).to_be_bytes());
    out.write(&footer)?;
    out.finish()?;
    Ok(())
}

fn encode_page(rows: &[(Key, u64)]) -> Vec<u8> {
    let mut page = (rows.len() as u32).to_be_bytes().to_vec();
    for (key, index) in rows {
        page.extend(key.to_be_bytes());
        page.extend(&index.to_be_bytes()[2..]);
    }
    page.resize(PAGE_BYTES - 4, 0);
    let crc = crc32c::crc32c(&page);
    page.extend(crc.to_be_bytes());
    page
}

impl IdRun {
    fn read(file: Arc<dyn File>, path: &str) -> io::Result<IdRun> {
        let len = file.len()?;
        if len < (HEADER_BYTES + FOOTER_BYTES) as u64 {
            return Err(damaged("the file is too short"));
        }
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0)?;
        let header = FileHeader::decode(&header, &MAGIC).map_err(damaged)?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, len - FOOTER_BYTES as u64)?;
        if footer[0..8] != FOOTER_MAGIC || u32_at(&footer, 36) != crc32c::crc32c(&footer[..36]) {
            return Err(damaged("the footer does not check"));
        }
        let (rows, pages, blocks) = (u64_at(&footer, 8), u64_at(&footer, 16), u64_at(&footer, 24));
        let filter_bytes = blocks as usize * FILTER_BLOCK_BYTES;
        let tables_bytes = filter_bytes + pages as usize * 8;
        let pages_bytes = pages * PAGE_BYTES as u64;
        if len != HEADER_BYTES as u64 + pages_bytes + tables_bytes as u64 + FOOTER_BYTES as u64 {
            return Err(damaged("the file has another length than its footer says"));
        }
        let mut tables = vec![0; tables_bytes];
        file.read_exact_at(&mut tables, HEADER_BYTES as u64 + pages_bytes)?;
        if u32_at(&footer, 32) != crc32c::crc32c(&tables) {
            return Err(damaged("the tables do not check"));
        }
        let (filter, first_keys) = tables.split_at(filter_bytes);
        Ok(IdRun {
            first_segment: header.number,
            last_segment: header.extra,
            rows,
            file,
            path: path.to_owned(),
            first_keys: first_keys.chunks_exact(8).map(|key| u64_at(key, 0)).collect(),
            filter: Some(Filter { words: filter.chunks_exact(4).map(|word| u32_at(word, 0)).collect() }),
        })
    }

    /// The index of the first row with this key for which `is_hit` holds.
    fn find(&self, key: Key, is_hit: impl Fn(u64) -> Result<bool>) -> Result<Option<u64>> {
        if self.rows == 0 || self.filter.as_ref().is_some_and(|filter| !filter.may_hold(key)) {
            return Ok(None);
        }
        // Rows of one key may begin at the end of the page before the one that starts with it.
        let after = self.first_keys.partition_point(|first| *first < key);
        for page in after.saturating_sub(1)..self.first_keys.len() {
            if self.first_keys[page] > key {
                break;
            }
            for (_, index) in self.page(page)?.into_iter().filter(|(found, _)| *found == key) {
                if is_hit(index)? {
                    return Ok(Some(index));
                }
            }
        }
        Ok(None)
    }

    fn page(&self, page: usize) -> Result<Vec<(Key, u64)>> {
        let mut bytes = [0; PAGE_BYTES];
        let attempt = |err: io::Error| Error::io("read", &self.path, &err);
        self.file.read_exact_at(&mut bytes, (HEADER_BYTES + page * PAGE_BYTES) as u64).map_err(attempt)?;
        let rows = u32_at(&bytes, 0) as usize;
        if u32_at(&bytes, PAGE_BYTES - 4) != crc32c::crc32c(&bytes[..PAGE_BYTES - 4]) || rows > PAGE_ROWS {
            let what = "a page does not check; delete the file and restart, it is made again";
            return Err(attempt(damaged(what)));
        }
        let row = |bytes: &[u8]| {
            let mut index = [0; 8];
            index[2..].copy_from_slice(&bytes[8..14]);
            (u64_at(bytes, 0), u64::from_be_bytes(index))
        };
        Ok(bytes[4..4 + rows * ROW_BYTES].chunks_exact(ROW_BYTES).map(row).collect())
    }
}

/// The rows of several runs in one order.
struct MergedRows<'a> {
    inputs: Vec<RunRows<'a>>,
}

struct RunRows<'a> {
    run: &'a IdRun,
    next_page: usize,
    /// Rows of the page in hand, last first.
    rows: Vec<(Key, u64)>,
}

impl<'a> MergedRows<'a> {
    fn new(runs: &'a [Arc<IdRun>]) -> Result<MergedRows<'a>> {
        let mut inputs: Vec<RunRows<'a>> =
            runs.iter().map(|run| RunRows { run, next_page: 0, rows: Vec::new() }).collect();
        for input in &mut inputs {
            input.refill()?;
        }
        Ok(MergedRows { inputs })
    }
}

impl RunRows<'_> {
    fn refill(&mut self) -> Result<()> {
        if self.rows.is_empty() && self.next_page < self.run.first_keys.len() {
            self.rows = self.run.page(self.next_page)?;
            self.rows.reverse();
            self.next_page += 1;
        }
        Ok(())
    }
}

impl Iterator for MergedRows<'_> {
    type Item = Result<(Key, u64)>;

    fn next(&mut self) -> Option<Result<(Key, u64)>> {
        let smallest = self.inputs.iter_mut().filter(|input| !input.rows.is_empty());
        let input = smallest.min_by_key(|input| *input.rows.last().expect("only inputs with rows are left"))?;
        let row = input.rows.pop()?;
        Some(input.refill().map(|()| row))
    }
}

/// A blocked Bloom filter: a key sets one bit in each of the eight words of one block.
struct Filter {
    words: Vec<u32>,
}

impl Filter {
    /// An empty filter for so many rows.
    fn sized(rows: usize) -> Filter {
        let blocks = (rows * FILTER_BITS_PER_ROW).div_ceil(8 * FILTER_BLOCK_BYTES).max(1);
        Filter { words: vec![0; blocks * 8] }
    }

    fn add(&mut self, key: Key) {
        let (block, bits) = self.probes(key);
        for (word, bit) in bits.iter().enumerate() {
            self.words[block + word] |= bit;
        }
    }

    fn may_hold(&self, key: Key) -> bool {
        let (block, bits) = self.probes(key);
        bits.iter().enumerate().all(|(word, bit)| self.words[block + word] & bit != 0)
    }

    /// The first word of the key's block, and its bit in each word.
    fn probes(&self, key: Key) -> (usize, [u32; 8]) {
        let blocks = self.words.len() as u64 / 8;
        let block = ((u128::from(key) * u128::from(blocks)) >> 64) as usize * 8;
        // The key is uniform, but its high bits chose the block: the low ones, mixed, choose the bits.
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (block, std::array::from_fn(|word| 1 << (mixed >> (8 * word) & 31)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    fn run_of(rows: &[(Key, u64)]) -> (Ids, IdRun) {
        let store = MemoryStore::new();
        store.create_dir("ids").unwrap();
        let ids = Ids::new(Arc::new(store), 1 << 20);
        let run = ids.write_run(1, 1, rows.len(), rows.iter().copied().map(Ok)).unwrap();
        (ids, run)
    }

    fn spread(i: u64) -> Key {
        i.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn every_row_is_found_and_nothing_else() {
        for count in [0, 1, 291, 292, 293, 5000] {
            let mut rows: Vec<(Key, u64)> = (0..count).map(|i| (spread(i), i)).collect();
            rows.sort_unstable();
            let (_, run) = run_of(&rows);
            for (key, index) in &rows {
                assert_eq!(run.find(*key, |_| Ok(true)).unwrap(), Some(*index));
            }
            for i in count..count + 5000 {
                assert_eq!(run.find(spread(i), |_| Ok(true)).unwrap(), None);
            }
        }
    }

    #[test]
    fn rows_of_one_key_are_all_tried_across_pages() {
        let mut rows: Vec<(Key, u64)> = (0..290).map(|i| (i, i)).collect();
        rows.extend((0..900).map(|i| (500, 1000 + i)));
        rows.push((501, 1));
        let (_, run) = run_of(&rows);
        assert_eq!(run.find(500, |index| Ok(index == 1899)).unwrap(), Some(1899));
        assert_eq!(run.find(500, |_| Ok(false)).unwrap(), None);
        assert_eq!(run.find(501, |_| Ok(true)).unwrap(), Some(1));
    }

    #[test]
    fn merged_runs_hold_all_rows() {
        let store = MemoryStore::new();
        store.create_dir("ids").unwrap();
        let ids = Ids::new(Arc::new(store.clone()), 1 << 20);
        for segment in 1..=20_u64 {
            let mut rows: Vec<(Key, u64)> =
                (0..700).map(|i| (spread(segment * 1000 + i), segment * 1000 + i)).collect();
            rows.sort_unstable();
            let run = ids.write_run(segment, segment, rows.len(), rows.into_iter().map(Ok)).unwrap();
            ids.known.write().add_run(Arc::new(run));
            ids.merge().unwrap();
        }
        let runs = ids.known.read().runs.clone();
        assert_eq!(runs.len(), 2 + 4, "two of eight segments, four of one");
        assert_eq!(store.list("ids").unwrap().len(), runs.len());
        for segment in 1..=20 {
            for i in (0..700).step_by(13) {
                let index = segment * 1000 + i;
                let found = runs.iter().find_map(|run| run.find(spread(index), |_| Ok(true)).unwrap());
                assert_eq!(found, Some(index));
            }
        }
    }

    #[test]
    fn a_changed_page_is_refused() {
        let (ids, run) = run_of(&[(5, 1), (6, 2)]);
        let file = ids.store.open(&run.path).unwrap();
        file.write_all_at(&[9], 40).unwrap();
        assert!(matches!(run.find(5, |_| Ok(true)), Err(Error::Corrupt(_))));
    }
}
