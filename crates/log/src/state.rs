//! What is known of each log: where its entries are, and the head that was published.
//!
//! A log's entries lie in *pieces*, in order of indexes: first the runs of segments, then parts of commit files that were
//! not sealed yet. The writer adds to the last part when it publishes; sealing replaces the parts of one commit file by
//! runs of its segment. Both hold the log's lock only to change lists, never during I/O.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::RwLock;
use tlog::Hash;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::id::LogId;
use crate::keys::LogKeys;
use crate::model::{Head, LogState, ReadOnlyReason};
use crate::retention::Retention;
use crate::segment::{self, Block, BlockIndex, Part, TILE_BITS};
use crate::sequencer::CLOSED_DETAIL;
use crate::store::{File, Store};

/// Open files kept for reading segments.
const OPEN_FILES_MAX: usize = 256;

/// One log.
pub(crate) struct LogSlot {
    pub id: LogId,
    /// A small number for keys in memory; not stored.
    pub ordinal: u32,
    pub origin: String,
    /// As far as published heads go; replaced as a whole.
    keys: RwLock<Arc<LogKeys>>,
    pub pieces: RwLock<Pieces>,
    /// Size of the signer's record when the folder was opened.
    pub signed_at_opening: AtomicU64,
}

/// Where a log's entries are.
pub(crate) struct Pieces {
    pub state: LogState,
    /// None before the first head was signed.
    pub head: Option<Head>,
    pub sealed: Vec<SealedRun>,
    pub tail: VecDeque<TailPart>,
}

/// A run of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealedRun {
    pub segment: u64,
    pub first: u64,
    pub count: u32,
    pub ordinal: u32,
    pub leaves_at: u64,
}

/// A commit file that is, or was, open.
pub(crate) struct CommitFile {
    pub number: u64,
    pub file: Arc<dyn File>,
}

/// A log's entries in one commit file.
#[derive(Clone)]
pub(crate) struct TailPart {
    pub file: Arc<CommitFile>,
    pub first: u64,
    pub places: Vec<Place>,
    pub leaves: Vec<Hash>,
    /// Tile roots completed by these leaves, from tile level 1 up.
    pub tiles: Vec<Vec<Hash>>,
    pub last_us: u64,
}

/// Where a record is in its commit file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub at: u32,
    pub body_bytes: u32,
}

impl SealedRun {
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}

impl TailPart {
    pub(crate) fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// Adds what directly follows.
    pub(crate) fn extend(&mut self, more: TailPart) {
        debug_assert_eq!(self.end(), more.first, "parts follow each other");
        self.places.extend(more.places);
        self.leaves.extend(more.leaves);
        if self.tiles.len() < more.tiles.len() {
            self.tiles.resize(more.tiles.len(), Vec::new());
        }
        for (mine, theirs) in self.tiles.iter_mut().zip(more.tiles) {
            mine.extend(theirs);
        }
        self.last_us = more.last_us;
    }
}

/// Where one entry is.
#[derive(Clone)]
pub(crate) enum Location {
    Sealed { segment: u64, ordinal: u32 },
    Tail { file: Arc<CommitFile>, place: Place },
}

impl Pieces {
    pub(crate) fn new() -> Pieces {
        Pieces { state: LogState::Open, head: None, sealed: Vec::new(), tail: VecDeque::new() }
    }

    /// One past the last index stored.
    pub(crate) fn end(&self) -> u64 {
        let sealed = self.sealed.last().map_or(0, SealedRun::end);
        self.tail.back().map_or(sealed, TailPart::end)
    }

    /// Adds a part after the last one, joining them if they are in the same commit file.
    pub(crate) fn push(&mut self, part: TailPart) {
        match self.tail.back_mut() {
            Some(last) if last.file.number == part.file.number && last.end() == part.first => last.extend(part),
            _ => self.tail.push_back(part),
        }
    }

    /// Where the entry is; none if it is not there.
    pub(crate) fn locate(&self, index: u64) -> Option<Location> {
        if let Some(run) = self.sealed_run(index) {
            let ordinal = run.ordinal + (index - run.first) as u32;
            return Some(Location::Sealed { segment: run.segment, ordinal });
        }
        let part = self.tail_part(index)?;
        let place = part.places[(index - part.first) as usize];
        Some(Location::Tail { file: Arc::clone(&part.file), place })
    }

    fn sealed_run(&self, index: u64) -> Option<&SealedRun> {
        let position = self.sealed.partition_point(|run| run.end() <= index);
        self.sealed.get(position).filter(|run| run.first <= index)
    }

    fn tail_part(&self, index: u64) -> Option<&TailPart> {
        let position = self.tail.partition_point(|part| part.end() <= index);
        self.tail.get(position).filter(|part| part.first <= index)
    }

    /// The leaf hash of an entry that is not sealed.
    pub(crate) fn tail_leaf(&self, index: u64) -> Option<Hash> {
        let part = self.tail_part(index)?;
        Some(part.leaves[(index - part.first) as usize])
    }

    /// Where the stored hashes `from..to` of a tile level are, piece by piece; an error names the first one missing.
    fn hashes(&self, tile_level: u32, from: u64, to: u64) -> Result<Vec<HashSpan>, u64> {
        let mut spans = Vec::new();
        let mut at = from;
        while at < to {
            // A node is stored with the leaf that completed it.
            let last_leaf = ((at + 1) << (TILE_BITS * tile_level)) - 1;
            if let Some(run) = self.sealed_run(last_leaf) {
                let (offset, first, end) = segment::hashes_at(run.leaves_at, run.first, run.end(), tile_level);
                let end = end.min(to);
                spans.push(HashSpan::Stored {
                    segment: run.segment,
                    offset: offset + 32 * (at - first),
                    count: (end - at) as usize,
                });
                at = end;
            } else if let Some(part) = self.tail_part(last_leaf) {
                let first = part.first >> (TILE_BITS * tile_level);
                let hashes = match tile_level {
                    0 => &part.leaves[..],
                    _ => part.tiles.get(tile_level as usize - 1).map_or(&[][..], |hashes| hashes),
                };
                let end = (first + hashes.len() as u64).min(to);
                if end <= at {
                    return Err(last_leaf);
                }
                spans.push(HashSpan::Here(hashes[(at - first) as usize..(end - first) as usize].to_vec()));
                at = end;
            } else {
                return Err(last_leaf);
            }
        }
        Ok(spans)
    }
}

enum HashSpan {
    Stored { segment: u64, offset: u64, count: usize },
    Here(Vec<Hash>),
}

impl LogSlot {
    pub(crate) fn new(id: LogId, ordinal: u32, origin: String, keys: LogKeys) -> LogSlot {
        LogSlot {
            id,
            ordinal,
            origin,
            keys: RwLock::new(Arc::new(keys)),
            pieces: RwLock::new(Pieces::new()),
            signed_at_opening: AtomicU64::new(0),
        }
    }

    /// The keys of the log, as far as published heads go.
    pub(crate) fn keys(&self) -> Arc<LogKeys> {
        Arc::clone(&self.keys.read())
    }

    pub(crate) fn set_keys(&self, keys: Arc<LogKeys>) {
        *self.keys.write() = keys;
    }

    /// Makes the log read-only, unless it is for an earlier reason.
    pub(crate) fn close(&self, reason: ReadOnlyReason, detail: String) {
        let mut pieces = self.pieces.write();
        if pieces.state == LogState::Open {
            tracing::error!(log = %self.id, %reason, detail, "the log is read-only now");
            pieces.state = LogState::ReadOnly { reason, detail: detail.into() };
        }
    }

    /// The log's last entry closes it, and is published.
    pub(crate) fn close_by_order(&self) {
        let detail = CLOSED_DETAIL.into();
        self.pieces.write().state = LogState::ReadOnly { reason: ReadOnlyReason::Closed, detail };
    }

    /// The error that a read-only log answers with.
    pub(crate) fn check_open(&self) -> Result<()> {
        match &self.pieces.read().state {
            LogState::Open => Ok(()),
            LogState::ReadOnly { reason, detail } => {
                Err(Error::ReadOnly { reason: *reason, detail: Arc::clone(detail) })
            }
        }
    }

    /// The published head.
    pub(crate) fn head(&self) -> Result<Head> {
        let head = self.pieces.read().head.clone();
        head.ok_or_else(|| Error::not_found(format!("log {} has no signed head", self.id)))
    }
}

/// Files and caches for reading, shared by all logs.
pub(crate) struct Reading {
    pub store: Arc<dyn Store>,
    files: Cache<(u64, Part), dyn File>,
    blocks: Cache<(u64, u32), Block>,
    indexes: Cache<u64, BlockIndex>,
    /// What was pruned.
    pub retention: Retention,
    /// Read: a block is being read and put into the caches. Write: its file is being replaced.
    replacing: RwLock<()>,
}

impl Reading {
    pub(crate) fn new(store: Arc<dyn Store>, block_cache_bytes: usize) -> Reading {
        Reading {
            retention: Retention::new(Arc::clone(&store)),
            store,
            files: Cache::new(OPEN_FILES_MAX),
            blocks: Cache::new(block_cache_bytes),
            indexes: Cache::new(block_cache_bytes / 8),
            replacing: RwLock::new(()),
        }
    }

    /// An open file of a segment.
    pub(crate) fn segment_file(&self, segment: u64, part: Part) -> Result<Arc<dyn File>> {
        self.files.get_or_make((segment, part), || {
            let path = part.path(segment);
            let file = self.store.open_read(&path).map_err(|err| match err.kind() {
                // A file that was there at the start must be there.
                std::io::ErrorKind::NotFound => Error::corrupt(format!("{path} is gone")),
                _ => Error::io("open", &path, &err),
            })?;
            Ok((file, 1))
        })
    }

    /// The block of a segment that holds an ordinal.
    pub(crate) fn block(&self, segment: u64, ordinal: u32) -> Result<Arc<Block>> {
        let attempt = |err: std::io::Error| Error::io("read", &Part::Bodies.path(segment), &err);
        let _reading = self.replacing.read();
        let index = self.indexes.get_or_make(segment, || {
            let file = self.segment_file(segment, Part::Bodies)?;
            let directory = segment::read_directory(&*file, Part::Bodies, segment).map_err(attempt)?;
            let index = BlockIndex::decode(&directory.parts);
            let weight = index.memory_bytes();
            Ok::<_, Error>((Arc::new(index), weight))
        })?;
        let position = index.find(ordinal).ok_or_else(|| Error::corrupt(format!("segment {segment} has no blocks")))?;
        self.blocks.get_or_make((segment, position as u32), || {
            let file = self.segment_file(segment, Part::Bodies)?;
            let block = segment::read_block(&*file, &index.rows()[position]).map_err(attempt)?;
            let weight = block.memory_bytes();
            Ok((Arc::new(block), weight))
        })
    }

    /// Puts other files in the place of a segment's, and forgets all that was read from the old ones.
    pub(crate) fn replace_segment(&self, segment: u64, replace: impl FnOnce() -> Result<()>) -> Result<()> {
        let _alone = self.replacing.write();
        let replaced = replace();
        // Also after an error: the new file may be in place.
        self.files.remove_if(|(of, _)| *of == segment);
        self.blocks.remove_if(|(of, _)| *of == segment);
        self.indexes.remove_if(|of| *of == segment);
        replaced
    }

    /// The stored hashes `from..to` of a tile level; level 0 is the leaves.
    pub(crate) fn hashes(&self, slot: &LogSlot, tile_level: u32, from: u64, to: u64) -> Result<Vec<Hash>> {
        if tile_level == 0 && from < self.retention.minimum(&slot.id) {
            return Err(Error::not_found(format!(
                "log {}: the leaves from number {} on are pruned",
                slot.id,
                from + 1
            )));
        }
        let spans = slot.pieces.read().hashes(tile_level, from, to);
        let spans = spans.map_err(|leaf| {
            Error::corrupt(format!("log {}: no stored hash of tile level {tile_level} at number {}", slot.id, leaf + 1))
        })?;
        let mut hashes = Vec::with_capacity((to - from) as usize);
        for span in spans {
            match span {
                HashSpan::Here(mut here) => hashes.append(&mut here),
                HashSpan::Stored { segment, offset, count } => {
                    let file = self.segment_file(segment, Part::Leaves)?;
                    let stored = segment::read_hashes(&*file, offset, count)
                        .map_err(|err| Error::io("read", &Part::Leaves.path(segment), &err))?;
                    hashes.extend(stored);
                }
            }
        }
        Ok(hashes)
    }
}

/// All logs by id.
pub(crate) type Slots = RwLock<HashMap<LogId, Arc<LogSlot>>>;
