//! What is kept of entries that were pruned: how far each log is, and the few hashes that keep old checkpoints provable.
//!
//! ```text
//! record    16 log id · 8 minimum index · 4 count · count × (1 level · 8 index · 32 hash of the node)
//! ```
//!
//! Entries below a log's *minimum index*, a multiple of 256, have no body, salt, fields or leaf hash any more; tile roots
//! stay. Of a checkpoint whose size lies within a tile that is gone the nodes to its left and right within the tile are kept
//! (at most 16), so that growth from it to today, and its own root, can be shown for ever.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tlog::Hash;
use tlog::tile::WIDTH;

use crate::error::{Error, Result};
use crate::frame::{u32_at, u64_at};
use crate::id::LogId;
use crate::journal::{Failure, Journal, JournalKind};
use crate::segment::TILE_BITS;
use crate::store::{File, Store};

/// The file; there is none before anything was pruned.
pub(crate) const RETENTION_JOURNAL: JournalKind = JournalKind {
    dir: "retention",
    path: "retention/journal",
    tmp: "retention/journal.tmp",
    file_magic: *b"cfretain",
    frame_magic: *b"cfRT",
};

const RECORD_HEADER_BYTES: usize = 16 + 8 + 4;
const NODE_BYTES: usize = 1 + 8 + 32;

/// A node of the tree by level and index.
pub(crate) type Nodes = BTreeMap<(u8, u64), Hash>;

/// One pruning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pruned {
    pub log: LogId,
    pub minimum: u64,
    /// What is kept of the tiles that went.
    pub nodes: Nodes,
}

impl Pruned {
    fn encode(&self) -> Vec<u8> {
        let mut payload = self.log.0.to_vec();
        payload.extend(self.minimum.to_be_bytes());
        payload.extend((self.nodes.len() as u32).to_be_bytes());
        for ((level, index), hash) in &self.nodes {
            payload.push(*level);
            payload.extend(index.to_be_bytes());
            payload.extend(hash.0);
        }
        payload
    }

    /// None if it is malformed.
    pub(crate) fn decode(payload: &[u8]) -> Option<Pruned> {
        let header = payload.get(..RECORD_HEADER_BYTES)?;
        let nodes = &payload[RECORD_HEADER_BYTES..];
        let minimum = u64_at(header, 16);
        if nodes.len() != NODE_BYTES * u32_at(header, 24) as usize || !minimum.is_multiple_of(WIDTH) {
            return None;
        }
        let node =
            |bytes: &[u8]| ((bytes[0], u64_at(bytes, 1)), Hash(bytes[9..].try_into().expect("thirty-two bytes")));
        Some(Pruned {
            log: LogId(header[..16].try_into().expect("sixteen bytes")),
            minimum,
            nodes: nodes.chunks_exact(NODE_BYTES).map(node).collect(),
        })
    }
}

/// The nodes within the tile of a head's last entries that make up the head's edge, and those that complete the tile; none
/// for a head at the end of a tile.
pub(crate) fn nodes_around(size: u64) -> Vec<(u8, u64)> {
    let within = size % WIDTH;
    let first = size - within;
    let mut nodes = Vec::new();
    if within == 0 {
        return nodes;
    }
    let mut at = first;
    for level in (0..TILE_BITS as u8).rev().filter(|level| within >> level & 1 == 1) {
        nodes.push((level, at >> level));
        at += 1 << level;
    }
    while at < first + WIDTH {
        let level = at.trailing_zeros() as u8;
        nodes.push((level, at >> level));
        at += 1 << level;
    }
    nodes
}

/// What was pruned of all logs.
pub(crate) struct Retention {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    journal: Option<Journal>,
    minimums: HashMap<LogId, u64>,
    /// Where the records of each log are in the journal: offset and length of the payload.
    records: HashMap<LogId, Vec<(u64, u32)>>,
}

impl State {
    fn enter(&mut self, pruned: &Pruned, at: u64, bytes: u32) {
        self.minimums.insert(pruned.log, pruned.minimum);
        self.records.entry(pruned.log).or_default().push((at, bytes));
    }
}

impl Retention {
    /// Nothing pruned, before [`Retention::open`].
    pub(crate) fn new(store: Arc<dyn Store>) -> Retention {
        Retention { store, state: Mutex::default() }
    }

    /// Reads the journal, if there is one.
    pub(crate) fn open(&self) -> Result<()> {
        if self.store.open_read(RETENTION_JOURNAL.path).is_err_and(|err| err.kind() == std::io::ErrorKind::NotFound) {
            return Ok(());
        }
        let mut state = State::default();
        let mut malformed = false;
        let journal = Journal::open(&self.store, RETENTION_JOURNAL, |frame, payload| match Pruned::decode(&payload) {
            Some(pruned) => state.enter(&pruned, frame.payload_offset(), payload.len() as u32),
            None => malformed = true,
        })?;
        if malformed {
            return Err(Error::corrupt(format!("{} holds a record of another shape", RETENTION_JOURNAL.path)));
        }
        state.journal = Some(journal);
        *self.state.lock() = state;
        Ok(())
    }

    /// The log's minimum index; 0 if nothing of it was pruned.
    pub(crate) fn minimum(&self, log: &LogId) -> u64 {
        self.state.lock().minimums.get(log).copied().unwrap_or(0)
    }

    /// Every log of which something was pruned, with its minimum index.
    pub(crate) fn minimums(&self) -> HashMap<LogId, u64> {
        self.state.lock().minimums.clone()
    }

    /// Makes a pruning durable.
    pub(crate) fn record(&self, pruned: &Pruned) -> Result<()> {
        let mut state = self.state.lock();
        if state.journal.is_none() {
            let attempt = |err: std::io::Error| Error::io("make the folder of", RETENTION_JOURNAL.path, &err);
            self.store.create_dir(RETENTION_JOURNAL.dir).map_err(attempt)?;
            self.store.sync_dir("").map_err(attempt)?;
            state.journal = Some(Journal::create(&self.store, RETENTION_JOURNAL)?);
        }
        let payload = pruned.encode();
        let journal = state.journal.as_mut().expect("it was just made");
        match journal.append(1, &payload) {
            Ok(at) => {
                state.enter(pruned, at, payload.len() as u32);
                Ok(())
            }
            Err(Failure { error, final_ }) => {
                if final_ {
                    // Nobody knows what is in it: it is read again before anything is added.
                    state.journal = None;
                }
                Err(error)
            }
        }
    }

    /// A node within a tile of leaves that is gone.
    ///
    /// # Errors
    /// `NotFound` if it is not one of those that were kept.
    pub(crate) fn node(&self, log: &LogId, level: u8, index: u64) -> Result<Hash> {
        let state = self.state.lock();
        let attempt = |err: std::io::Error| Error::io("read", RETENTION_JOURNAL.path, &err);
        let records = state.records.get(log).map_or(&[][..], Vec::as_slice);
        if let (false, Some(journal)) = (records.is_empty(), &state.journal) {
            for (at, bytes) in records {
                let mut payload = vec![0; *bytes as usize];
                journal.file().read_exact_at(&mut payload, *at).map_err(attempt)?;
                let pruned = Pruned::decode(&payload).filter(|pruned| pruned.log == *log);
                let pruned =
                    pruned.ok_or_else(|| Error::corrupt(format!("{} does not read back", RETENTION_JOURNAL.path)))?;
                if let Some(hash) = pruned.nodes.get(&(level, index)) {
                    return Ok(*hash);
                }
            }
        }
        let first = (index << level) + 1;
        Err(Error::not_found(format!("log {log}: the leaves from number {first} on are pruned")))
    }
}

/// Reads a retention journal without changing it: the minimum index of each log, and the nodes that are kept of it.
pub(crate) fn read(file: &dyn File, damaged: &mut dyn FnMut(String)) -> std::io::Result<HashMap<LogId, (u64, Nodes)>> {
    let mut found: HashMap<LogId, (u64, Nodes)> = HashMap::new();
    let mut malformed = false;
    let scan = crate::journal::read(&RETENTION_JOURNAL, file, |_, payload| match Pruned::decode(&payload) {
        Some(pruned) => {
            let (minimum, nodes) = found.entry(pruned.log).or_default();
            *minimum = pruned.minimum.max(*minimum);
            nodes.extend(pruned.nodes);
        }
        None => malformed = true,
    })?;
    if malformed {
        damaged("a record is of another shape".into());
    }
    for damage in scan.damage {
        damaged(format!("at byte {}: {}", damage.offset, damage.what));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::Frontier;

    #[test]
    fn the_nodes_around_a_head_are_its_edge_and_what_completes_its_tile() {
        let leaves: Vec<Hash> = (0..512_u32).map(|i| tlog::leaf_hash(&i.to_be_bytes())).collect();
        for size in 257..512_u64 {
            let nodes = nodes_around(size);
            assert!(nodes.len() <= 16, "{size}");
            let hash_of = |(level, index): (u8, u64)| {
                let first = (index << level) as usize;
                tlog::batch::reduce(&leaves[first..first + (1 << level)])
            };
            let covered: u64 = nodes.iter().map(|(level, _)| 1 << level).sum();
            assert_eq!(covered, 256, "{size}");
            let mut frontier = Frontier::new();
            frontier.extend(&leaves[..size as usize]);
            let edge: Vec<Hash> =
                nodes.iter().filter(|(level, index)| (index + 1) << level <= size).copied().map(hash_of).collect();
            assert_eq!(frontier.hashes()[1..], edge, "{size}");
        }
        assert!(nodes_around(512).is_empty());
    }

    #[test]
    fn a_record_reads_back_and_another_shape_does_not() {
        let nodes = Nodes::from([((3, 9), Hash([1; 32])), ((0, 300), Hash([2; 32]))]);
        let pruned = Pruned { log: LogId([4; 16]), minimum: 512, nodes };
        let payload = pruned.encode();
        assert_eq!(Pruned::decode(&payload), Some(pruned));
        for len in 0..payload.len() {
            assert_eq!(Pruned::decode(&payload[..len]), None, "{len}");
        }
    }
}
