//! One log put together from runs: its tree, compared with stored tile roots and with every head that is known.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tlog::checkpoint::SignedCheckpoint;
use tlog::entry::Kind;
use tlog::note::VerifierKey;
use tlog::tile::WIDTH;
use tlog::{Frontier, Hash};

use super::files::RunFindings;
use super::{DIVERGENCES_MAX, Divergence, KeySource, LogReport, Source};
use crate::id::LogId;
use crate::model::Reason;
use crate::notes::{ErasureNote, KeyNote, LogNote};
use crate::retention::{Nodes, nodes_around};
use crate::segment::TILE_BITS;

/// Ids remembered for finding one that is there twice: at least this many of the last, at most twice as many.
const IDS_WINDOW: usize = 2_000_000;

/// A larger gap between two runs is no gap but a wrong place.
const GAP_MAX: u64 = 1 << 24;

/// A log while it is verified.
pub(super) struct LogTree {
    pub id: LogId,
    /// Its name in checkpoints.
    pub origin: String,
    pub key: KeySource,
    /// The keys to begin with.
    pub keys: Vec<VerifierKey>,
    pub entries_read: u64,
    /// Heads within pruned tiles of which nothing was kept.
    unproven: Vec<(u64, Expected)>,
    expected: BTreeMap<u64, Vec<Expected>>,
    /// Heads that the tree reached, and whether it has their roots.
    compared: Vec<(u64, Expected, bool)>,
    /// Key notes, with their indexes, whose records hash to their leaves.
    key_notes: Vec<(u64, KeyNote)>,
    /// Erasure notes by their indexes, likewise.
    erasure_notes: BTreeMap<u64, ErasureNote>,
    /// Log notes by their indexes, likewise.
    log_notes: Vec<(u64, LogNote)>,
    /// What is below was pruned.
    minimum: u64,
    /// What is kept of the tiles that went.
    kept: Nodes,
    /// Roots of tiles below the minimum, as the leaves of a tree of their own; only until the minimum is reached.
    pruned_tiles: Frontier,
    /// Pruned leaves after the last of these tiles.
    pruned_rest: u64,
    /// Indexes of erased bodies, each with the index of the note that is said to order it.
    erased: BTreeMap<u64, u64>,
    /// Up to the last whole tile.
    frontier: Frontier,
    /// Leaves after it, fewer than a tile.
    pending: Vec<Leaf>,
    last_us: u64,
    ids: [HashSet<[u8; 16]>; 2],
    divergences: Vec<Divergence>,
    divergence_count: u64,
}

/// The root of a tile from the nodes that make it up, in order.
fn fold_tile(nodes: &[(u8, u64)], hashes: &[Hash]) -> Option<Hash> {
    let mut stack: Vec<(u8, Hash)> = Vec::new();
    for ((level, _), hash) in nodes.iter().zip(hashes) {
        let (mut level, mut hash) = (*level, *hash);
        while let Some((_, left)) = stack.pop_if(|(below, _)| *below == level) {
            hash = tlog::node_hash(&left, &hash);
            level += 1;
        }
        stack.push((level, hash));
    }
    match stack[..] {
        [(level, root)] if u32::from(level) == TILE_BITS => Some(root),
        _ => None,
    }
}

/// A head that the stored tree must have.
#[derive(Debug, Clone)]
struct Expected {
    root: Hash,
    source: Source,
    /// The signed checkpoint that says so; none for the signer's record.
    text: Option<Arc<str>>,
}

impl Expected {
    /// Whether it may be believed under these keys.
    fn check(&self, origin: &str, keys: &[VerifierKey]) -> Result<(), tlog::Error> {
        match &self.text {
            Some(text) => SignedCheckpoint::open(text, origin, keys).map(drop),
            None => Ok(()),
        }
    }

    fn is_signed(&self, origin: &str, keys: &[VerifierKey]) -> bool {
        self.text.is_some() && self.check(origin, keys).is_ok()
    }
}

/// A leaf as stored, and as recomputed if that differs.
#[derive(Clone, Copy)]
struct Leaf {
    stored: Hash,
    /// `Some(None)`: the record cannot be read.
    recomputed: Option<Option<Hash>>,
}

impl Leaf {
    fn other(&self) -> Hash {
        self.recomputed.flatten().unwrap_or(self.stored)
    }
}

impl LogTree {
    pub(super) fn new(id: LogId) -> LogTree {
        LogTree {
            id,
            origin: String::new(),
            key: KeySource::None,
            keys: Vec::new(),
            entries_read: 0,
            unproven: Vec::new(),
            expected: BTreeMap::new(),
            compared: Vec::new(),
            key_notes: Vec::new(),
            erasure_notes: BTreeMap::new(),
            log_notes: Vec::new(),
            minimum: 0,
            kept: Nodes::new(),
            pruned_tiles: Frontier::new(),
            pruned_rest: 0,
            erased: BTreeMap::new(),
            frontier: Frontier::new(),
            pending: Vec::new(),
            last_us: 0,
            ids: [HashSet::new(), HashSet::new()],
            divergences: Vec::new(),
            divergence_count: 0,
        }
    }

    /// The tree must have the root that this checkpoint claims, if its signature holds.
    pub(super) fn expect_checkpoint(&mut self, size: u64, root: Hash, source: Source, text: Arc<str>) {
        self.expected.entry(size).or_default().push(Expected { root, source, text: Some(text) });
    }

    /// The tree must have this root: the guarded signer remembers it.
    pub(super) fn expect_signed(&mut self, size: u64, root: Hash) {
        self.expected.entry(size).or_default().push(Expected { root, source: Source::Signer, text: None });
    }

    pub(super) fn diverge(&mut self, number: Option<u64>, reason: Reason, detail: String) {
        self.divergence_count += 1;
        if self.divergences.len() < DIVERGENCES_MAX {
            self.divergences.push(Divergence { number, reason, detail });
        }
    }

    /// The number that should come next.
    pub(super) fn next_number(&self) -> u64 {
        self.size() + 1
    }

    /// Whether a head promises more than was read.
    pub(super) fn is_short(&self) -> bool {
        self.expected.last_key_value().is_some_and(|(size, _)| *size > self.size())
    }

    fn size(&self) -> u64 {
        self.frontier.size() + self.pruned_rest + self.pending.len() as u64
    }

    /// Takes the next run.
    pub(super) fn take_run(&mut self, run: RunFindings) {
        if run.first < self.size() {
            // What is there twice is looked at once.
            let detail = format!("numbers {} to {} are there twice", run.first + 1, run.end());
            return self.diverge(Some(run.first + 1), Reason::OrderChanged, detail);
        }
        if run.first - self.size() > GAP_MAX {
            let detail = format!("numbers {} to {} claim a place far beyond what is there", run.first + 1, run.end());
            return self.diverge(Some(run.first + 1), Reason::IndexMismatch, detail);
        }
        self.take_gap(run.first);
        self.check_order(&run);
        self.take_notes(&run);
        let unreadable = run.differing.values().filter(|leaf| leaf.is_none()).count();
        self.entries_read += (run.stored.len() - run.pruned - unreadable) as u64;
        if run.pruned > 0 {
            self.take_pruned(&run);
        }

        let mut at = run.pruned;
        while at < run.stored.len() {
            // Whole tiles without a difference go into the tree together; all others one by one.
            let next_differing = run.differing.range(at..).next().map_or(run.stored.len(), |(place, _)| *place);
            if self.pending.is_empty() {
                let clean = (next_differing - at) / WIDTH as usize * WIDTH as usize;
                if clean > 0 {
                    self.extend(&run.stored[at..at + clean], Some(&run));
                    at += clean;
                    continue;
                }
            }
            let room = WIDTH as usize - self.pending.len();
            let end = (at + room).min(run.stored.len());
            for place in at..end {
                let recomputed = run.differing.get(&place).copied();
                self.pending.push(Leaf { stored: run.stored[place], recomputed });
            }
            at = end;
            if self.pending.len() == WIDTH as usize {
                self.take_pending_tile(&run);
            }
        }
        self.check_frontier(&run);
    }

    /// Takes what the log says about itself, as far as its records are what was committed.
    fn take_notes(&mut self, run: &RunFindings) {
        for (place, kind, body) in run.notes.iter().filter(|(place, ..)| !run.differing.contains_key(place)) {
            let index = run.first + *place as u64;
            match kind {
                Kind::KeyNote => self.key_notes.extend(KeyNote::decode(body).map(|note| (index, note))),
                Kind::LogNote => self.log_notes.extend(LogNote::decode(body).map(|note| (index, note))),
                Kind::ErasureNote => self.erasure_notes.extend(ErasureNote::decode(body).map(|note| (index, note))),
                _ => {}
            }
        }
        self.erased.extend(run.erased.iter().map(|(place, note)| (run.first + *place as u64, *note)));
    }

    /// Compares what is pruned, and what comes last, with what the log says about itself.
    fn judge_life(&mut self) {
        let minimum = self.minimum;
        let ordered =
            self.log_notes.iter().any(|(_, note)| note.log == "pruned" && note.minimum_index >= Some(minimum));
        if minimum > 0 && !ordered {
            let detail = format!("numbers 1 to {minimum} are pruned, and no note of the log says so");
            self.diverge(Some(1), Reason::RecordMissing, detail);
        }
        let last = self.size().saturating_sub(1);
        let closed =
            self.log_notes.iter().find(|(index, note)| note.closes() && *index < last).map(|(index, _)| *index);
        if let Some(index) = closed {
            self.diverge(Some(index + 2), Reason::OrderChanged, "it follows the entry that closes the log".into());
        }
    }

    /// Compares what is erased with what was ordered.
    fn judge_erasures(&mut self, notes: &mut Vec<String>) {
        for (index, note_index) in std::mem::take(&mut self.erased) {
            let note = self.erasure_notes.get_mut(&note_index).filter(|note| note.names(index + 1));
            match note {
                // What is left in a note at the end was ordered and is not done.
                Some(note) => note.numbers.retain(|number| *number != index + 1),
                None => {
                    let detail = format!("the body is gone, and number {} does not order it", note_index + 1);
                    self.diverge(Some(index + 1), Reason::ErasureUnexplained, detail);
                }
            }
        }
        for (index, note) in &self.erasure_notes {
            if let Some(number) = note.numbers.first() {
                let (count, by, id) = (note.numbers.len(), index + 1, self.id);
                notes.push(format!(
                    "log {id}: number {by} orders the erasure of {count} bodies that are still there, the first of number {number}"
                ));
            }
        }
    }

    /// Numbers that are in no file: their leaves are unknown, so the tree ends to be comparable.
    fn take_gap(&mut self, first: u64) {
        let size = self.size();
        if first == size {
            return;
        }
        let listed = (DIVERGENCES_MAX.saturating_sub(self.divergences.len()) as u64).min(first - size);
        let detail = format!("numbers {} to {first} are in no file", size + 1);
        for index in size..size + listed {
            self.diverge(Some(index + 1), Reason::RecordMissing, detail.clone());
        }
        self.divergence_count += first - size - listed;
        // Positions must stay right for what follows, so zeros stand in; nothing compared after this can agree.
        let pending = std::mem::take(&mut self.pending);
        let missing = std::iter::repeat_n(Hash([0; 32]), (first - size) as usize);
        let leaves: Vec<Hash> = pending.iter().map(|leaf| leaf.stored).chain(missing).collect();
        let whole = leaves.len() / WIDTH as usize * WIDTH as usize;
        self.extend(&leaves[..whole], None);
        self.pending = leaves[whole..].iter().map(|leaf| Leaf { stored: *leaf, recomputed: None }).collect();
    }

    fn check_order(&mut self, run: &RunFindings) {
        if run.first_us < self.last_us {
            let detail = "received before the record before it".into();
            self.diverge(Some(run.first + 1), Reason::TimeBackwards, detail);
        }
        for place in &run.falls {
            let number = run.first + *place as u64 + 1;
            self.diverge(Some(number), Reason::TimeBackwards, "received before the record before it".into());
        }
        self.last_us = self.last_us.max(run.last_us);
        for (place, id) in &run.ids {
            let known = self.ids[1].contains(id) || !self.ids[0].insert(*id);
            if known {
                let number = run.first + *place as u64 + 1;
                self.diverge(Some(number), Reason::DuplicateId, "the id is in the log already".into());
            }
            if self.ids[0].len() >= IDS_WINDOW {
                self.ids[1] = std::mem::take(&mut self.ids[0]);
            }
        }
    }

    /// Adds leaves, compares completed tile roots with the stored ones, and roots with the heads that are known.
    fn extend(&mut self, leaves: &[Hash], run: Option<&RunFindings>) {
        let mut at = 0;
        let mut changed = Vec::new();
        while at < leaves.len() {
            let size = self.frontier.size();
            let next_head = self.expected.range(size + 1..).next().map_or(u64::MAX, |(head, _)| *head);
            let step = (leaves.len() - at).min(usize::try_from(next_head - size).unwrap_or(usize::MAX));
            self.frontier.extend_with(&leaves[at..at + step], &mut |level, index, node| {
                let (tile_level, rest) = (u32::from(level) / TILE_BITS, u32::from(level) % TILE_BITS);
                if rest != 0 || tile_level == 0 {
                    return;
                }
                let stored = run.and_then(|run| run.tiles.get(tile_level as usize - 1));
                let stored = stored.and_then(|(first, hashes)| hashes.get(index.checked_sub(*first)? as usize));
                if stored.is_some_and(|stored| *stored != node) {
                    changed.push((tile_level, index));
                }
            });
            at += step;
            if self.frontier.size() == next_head {
                self.compare_heads(next_head, self.frontier.root());
            }
        }
        for (tile_level, index) in changed {
            let number = (index << (TILE_BITS * tile_level)) + 1;
            let detail =
                format!("the stored root of tile {index} of level {} is not that of its hashes", tile_level - 1);
            self.diverge(Some(number), Reason::TileChanged, detail);
        }
    }

    /// Decides, for a whole tile with differences, which is wrong: the records or the stored hashes.
    fn take_pending_tile(&mut self, run: &RunFindings) {
        let pending = std::mem::take(&mut self.pending);
        let stored: Vec<Hash> = pending.iter().map(|leaf| leaf.stored).collect();
        let first = self.frontier.size();
        if pending.iter().all(|leaf| leaf.recomputed.is_none()) {
            return self.extend(&stored, Some(run));
        }
        let other: Vec<Hash> = pending.iter().map(Leaf::other).collect();
        let index = first / WIDTH;
        let root = run.tiles.first().and_then(|(first, roots)| roots.get(index.checked_sub(*first)? as usize));
        let hashes_are_wrong = match root {
            Some(root) => tlog::batch::reduce(&stored) != *root && tlog::batch::reduce(&other) == *root,
            // A commit file has no tile roots: a head within or at the end of the tile decides.
            None => self.heads_prefer_other(&stored, &other),
        };
        self.report_differing(first, &pending, hashes_are_wrong);
        let chosen = if hashes_are_wrong { &other } else { &stored };
        self.extend(chosen, Some(run));
    }

    /// Whether a known head is reached with the recomputed leaves, and not with the stored ones.
    fn heads_prefer_other(&self, stored: &[Hash], other: &[Hash]) -> bool {
        let start = self.frontier.size();
        let heads = self.expected.range(start + 1..=start + stored.len() as u64);
        let root_of = |leaves: &[Hash]| {
            let mut frontier = self.frontier.clone();
            frontier.extend(leaves);
            frontier.root()
        };
        heads.rev().take(1).any(|(size, expected)| {
            let count = (size - start) as usize;
            let reaches = |leaves: &[Hash]| {
                let root = root_of(&leaves[..count]);
                expected.iter().all(|head| head.root == root)
            };
            reaches(other) && !reaches(stored)
        })
    }

    fn report_differing(&mut self, first: u64, leaves: &[Leaf], hashes_are_wrong: bool) {
        for (index, leaf) in (first..).zip(leaves) {
            let (reason, detail) = match leaf.recomputed {
                None => continue,
                Some(None) => (Reason::RecordChanged, "the record cannot be read"),
                Some(Some(_)) if hashes_are_wrong => {
                    (Reason::TileChanged, "the stored leaf hash is not the signed one")
                }
                Some(Some(_)) => (Reason::RecordChanged, "the record does not hash to its leaf"),
            };
            self.diverge(Some(index + 1), reason, detail.into());
        }
    }

    /// Says that what is below an index was pruned.
    pub(super) fn prune_to(&mut self, minimum: u64, kept: Nodes) {
        (self.minimum, self.kept) = (minimum, kept);
    }

    /// Takes the tile roots of pruned entries, and compares with the heads that lie among them.
    fn take_pruned(&mut self, run: &RunFindings) {
        let (first, roots) = run.tiles.first().map_or((0, &[][..]), |(first, roots)| (*first, roots));
        let minimum = self.minimum;
        for (tile, root) in (first..).zip(roots).take_while(|(tile, _)| (tile + 1) * WIDTH <= minimum) {
            if tile != self.pruned_tiles.size() {
                // A gap, which was reported.
                continue;
            }
            self.compare_within_pruned(tile, *root);
            self.pruned_tiles.push(*root);
            let size = self.pruned_tiles.size() * WIDTH;
            // The peaks of a tree of tiles are those of the tree.
            self.frontier =
                Frontier::from_parts(size, &self.pruned_tiles.hashes()).expect("one peak for each bit of the size");
            self.compare_heads(size, self.frontier.root());
        }
        self.pruned_rest = (run.first + run.pruned as u64).saturating_sub(self.frontier.size());
    }

    /// Compares the heads within a tile that is gone, from the nodes that were kept of it.
    fn compare_within_pruned(&mut self, tile: u64, root: Hash) {
        let start = tile * WIDTH;
        let sizes: Vec<u64> = self.expected.range(start + 1..start + WIDTH).map(|(size, _)| *size).collect();
        for size in sizes {
            let nodes = nodes_around(size);
            let hashes: Option<Vec<Hash>> = nodes.iter().map(|node| self.kept.get(node).copied()).collect();
            let Some(hashes) = hashes else {
                let heads = self.expected.get(&size).cloned().unwrap_or_default();
                self.unproven.extend(heads.into_iter().map(|head| (size, head)));
                continue;
            };
            let within = |(level, index): &(u8, u64)| (index + 1) << level <= size;
            let edge = nodes.iter().zip(&hashes).filter(|(node, _)| within(node)).map(|(_, hash)| *hash);
            let peaks: Vec<Hash> = self.pruned_tiles.hashes().into_iter().chain(edge).collect();
            let head = Frontier::from_parts(size, &peaks).expect("one peak for each bit of the size");
            // With what completes the tile they must lead to its root, or they show nothing of the tree.
            let completed = fold_tile(&nodes, &hashes);
            if completed != Some(root) {
                let detail = format!("the hashes kept for size {size} are not those of its tile");
                self.diverge(Some(start + 1), Reason::TileChanged, detail);
            }
            self.compare_heads(size, head.root());
        }
    }

    fn check_frontier(&mut self, run: &RunFindings) {
        let Some(stored) = run.frontier.as_ref().filter(|_| self.pruned_rest == 0) else { return };
        let mut frontier = self.frontier.clone();
        frontier.extend(&self.pending.iter().map(|leaf| leaf.stored).collect::<Vec<_>>());
        if frontier.hashes() != *stored && self.divergence_count == 0 {
            let detail = "the stored peaks after this number are not those of the tree".into();
            self.diverge(Some(run.end()), Reason::TileChanged, detail);
        }
    }

    fn compare_heads(&mut self, size: u64, root: Hash) {
        let heads = self.expected.get(&size).cloned().unwrap_or_default();
        self.compared.extend(heads.into_iter().map(|head| (size, head.clone(), head.root == root)));
    }

    /// The keys that heads are accepted under: those begun with, and those that key notes join to them. A note counts if a
    /// checkpoint that covers it is signed by the key that is known already. The other way round too: whoever begins with a
    /// new key learns from the log which one came before.
    fn accepted_keys(&self) -> Vec<VerifierKey> {
        let mut keys = self.keys.clone();
        loop {
            let known = keys.len();
            let covers = |index: u64| {
                let mut checkpoints = self.expected.range(index + 1..).flat_map(|(_, heads)| heads);
                checkpoints.any(|head| head.is_signed(&self.origin, &keys))
            };
            let new = self.key_notes.iter().find_map(|(index, note)| {
                let [old, new] = [&note.old, &note.new].map(|key| key.parse::<VerifierKey>().ok());
                let (old, new) = (old?, new?);
                let joined = match (keys.contains(&old), keys.contains(&new)) {
                    (true, false) => new,
                    (false, true) => old,
                    _ => return None,
                };
                (joined.name() == self.origin && covers(*index)).then_some(joined)
            });
            keys.extend(new);
            if keys.len() == known {
                return keys;
            }
        }
    }

    /// `agrees`: none if the tree ends before the head's size.
    fn judge_head(&mut self, size: u64, source: Source, agrees: Option<bool>, end: u64) {
        let whose = match source {
            Source::Newest => "the newest checkpoint",
            Source::Kept | Source::Passed => "a kept checkpoint",
            Source::Remembered => "the remembered checkpoint",
            Source::Signer => "the signer's record",
        };
        let (number, reason) = match (agrees, source) {
            (Some(true), _) => return,
            (Some(false), Source::Newest | Source::Kept | Source::Passed) => (None, Reason::RootMismatch),
            (Some(false), Source::Remembered | Source::Signer) => (None, Reason::Forked),
            (None, Source::Remembered) => (Some(end + 1), Reason::RolledBack),
            (None, _) => (Some(end + 1), Reason::Truncated),
        };
        let detail = match agrees {
            Some(_) => format!("the tree has another root than {whose} at size {size}"),
            None => format!("the log ends at size {end}, {whose} is of size {size}"),
        };
        self.diverge(number, reason, detail);
    }

    /// Compares what is left and gives the report. What cannot be decided is added to `undecided`, what is worth saying to
    /// `notes`.
    pub(super) fn finish(mut self, undecided: &mut Vec<String>, notes: &mut Vec<String>) -> LogReport {
        self.judge_erasures(notes);
        self.judge_life();
        for (size, head) in std::mem::take(&mut self.unproven) {
            let why = format!("log {}: nothing is kept to compare the head of size {size} with: pruned", self.id);
            match head.source {
                Source::Remembered | Source::Signer | Source::Newest => undecided.push(why),
                Source::Kept => notes.push(why),
                // Nobody was promised that it would be kept.
                Source::Passed => {}
            }
        }
        let pending = std::mem::take(&mut self.pending);
        let first = self.frontier.size();
        let stored: Vec<Hash> = pending.iter().map(|leaf| leaf.stored).collect();
        let other: Vec<Hash> = pending.iter().map(Leaf::other).collect();
        let hashes_are_wrong = stored != other && self.heads_prefer_other(&stored, &other);
        self.report_differing(first, &pending, hashes_are_wrong);
        self.extend(if hashes_are_wrong { &other } else { &stored }, None);

        let end = self.frontier.size();
        if self.expected.contains_key(&0) {
            self.compare_heads(0, Frontier::new().root());
        }
        let keys = self.accepted_keys();
        let mut head: Option<(u64, Hash, Arc<str>)> = None;
        let mut heads_checked = 0;
        let reached =
            std::mem::take(&mut self.compared).into_iter().map(|(size, head, agrees)| (size, head, Some(agrees)));
        let expected = std::mem::take(&mut self.expected);
        let beyond =
            expected.range(end + 1..).flat_map(|(size, heads)| heads.iter().map(|head| (*size, head.clone(), None)));
        for (size, expected, agrees) in reached.chain(beyond).collect::<Vec<_>>() {
            if let Err(why) = expected.check(&self.origin, &keys) {
                match expected.source {
                    // What the caller brought does not verify: that says nothing of the folder.
                    Source::Remembered => {
                        undecided.push(format!("the remembered checkpoint of {}: {why}", self.origin));
                    }
                    _ => {
                        let detail = format!("the stored checkpoint of size {size}: {why}");
                        self.diverge(None, Reason::SignatureInvalid, detail);
                    }
                }
                continue;
            }
            if let (Source::Newest, Some(text)) = (expected.source, &expected.text) {
                head = Some((size, expected.root, Arc::clone(text)));
            }
            heads_checked += u64::from(agrees.is_some());
            self.judge_head(size, expected.source, agrees, end);
        }
        self.divergences.sort_by_key(|divergence| divergence.number.unwrap_or(u64::MAX));
        let signed_size = head.as_ref().map_or(0, |(size, ..)| *size);
        let entries_expected = signed_size.saturating_sub(self.minimum);
        LogReport {
            log: self.id,
            origin: self.origin,
            head: head.as_ref().map(|(size, root, _)| (*size, *root)),
            checkpoint: head.map(|(.., text)| text),
            key: self.key,
            vkeys: keys,
            entries_read: self.entries_read.min(entries_expected),
            entries_expected,
            minimum_index: self.minimum,
            entries_unsealed: end.saturating_sub(signed_size),
            heads_checked,
            divergences: self.divergences,
            divergence_count: self.divergence_count,
        }
    }
}
