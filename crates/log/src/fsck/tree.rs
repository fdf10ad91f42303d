//! One log put together from runs: its tree, compared with stored tile roots and with every head that is known.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tlog::tile::WIDTH;
use tlog::{Frontier, Hash};

use super::files::RunFindings;
use super::{DIVERGENCES_MAX, Divergence, Expected, KeySource, LogReport, Source};
use crate::id::LogId;
use crate::model::Reason;
use crate::segment::TILE_BITS;

/// Ids remembered for finding one that is there twice: at least this many of the last, at most twice as many.
const IDS_WINDOW: usize = 2_000_000;

/// A larger gap between two runs is no gap but a wrong place.
const GAP_MAX: u64 = 1 << 24;

/// A log while it is verified.
pub(super) struct LogTree {
    pub id: LogId,
    pub head: Option<(u64, Hash)>,
    pub checkpoint: Option<Arc<str>>,
    pub key: KeySource,
    pub entries_read: u64,
    expected: BTreeMap<u64, Vec<Expected>>,
    /// Up to the last whole tile.
    frontier: Frontier,
    /// Leaves after it, fewer than a tile.
    pending: Vec<Leaf>,
    last_us: u64,
    heads_checked: u64,
    ids: [HashSet<[u8; 16]>; 2],
    divergences: Vec<Divergence>,
    divergence_count: u64,
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
            head: None,
            checkpoint: None,
            key: KeySource::None,
            entries_read: 0,
            expected: BTreeMap::new(),
            frontier: Frontier::new(),
            pending: Vec::new(),
            last_us: 0,
            heads_checked: 0,
            ids: [HashSet::new(), HashSet::new()],
            divergences: Vec::new(),
            divergence_count: 0,
        }
    }

    pub(super) fn expect_head(&mut self, size: u64, expected: Expected) {
        self.expected.entry(size).or_default().push(expected);
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
        self.frontier.size() + self.pending.len() as u64
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
        let unreadable = run.differing.values().filter(|leaf| leaf.is_none()).count();
        self.entries_read += (run.stored.len() - unreadable) as u64;

        let mut at = 0;
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

    fn check_frontier(&mut self, run: &RunFindings) {
        let Some(stored) = &run.frontier else { return };
        let mut frontier = self.frontier.clone();
        frontier.extend(&self.pending.iter().map(|leaf| leaf.stored).collect::<Vec<_>>());
        if frontier.hashes() != *stored && self.divergence_count == 0 {
            let detail = "the stored peaks after this number are not those of the tree".into();
            self.diverge(Some(run.end()), Reason::TileChanged, detail);
        }
    }

    fn compare_heads(&mut self, size: u64, root: Hash) {
        let Some(heads) = self.expected.get(&size).cloned() else { return };
        for head in heads {
            self.heads_checked += 1;
            if head.root == root {
                continue;
            }
            let (reason, whose) = match head.source {
                Source::Newest => (Reason::RootMismatch, "the newest checkpoint"),
                Source::Kept => (Reason::RootMismatch, "a kept checkpoint"),
                Source::Remembered => (Reason::Forked, "the remembered checkpoint"),
                Source::Signer => (Reason::Forked, "the signer's record"),
            };
            let detail = format!("the tree has another root than {whose} at size {size}");
            self.diverge(None, reason, detail);
        }
    }

    /// Compares what is left and gives the report.
    pub(super) fn finish(mut self, origin: String) -> LogReport {
        let pending = std::mem::take(&mut self.pending);
        let first = self.frontier.size();
        let stored: Vec<Hash> = pending.iter().map(|leaf| leaf.stored).collect();
        let other: Vec<Hash> = pending.iter().map(Leaf::other).collect();
        let hashes_are_wrong = stored != other && self.heads_prefer_other(&stored, &other);
        self.report_differing(first, &pending, hashes_are_wrong);
        self.extend(if hashes_are_wrong { &other } else { &stored }, None);

        let end = self.frontier.size();
        if let Some(empty) = self.expected.get(&0).cloned() {
            self.heads_checked += empty.len() as u64;
        }
        let beyond: Vec<(u64, Expected)> = self
            .expected
            .range(end + 1..)
            .flat_map(|(size, heads)| heads.iter().map(|head| (*size, head.clone())))
            .collect();
        for (size, head) in beyond {
            let (reason, whose) = match head.source {
                Source::Newest | Source::Kept => (Reason::Truncated, "a stored checkpoint"),
                Source::Remembered => (Reason::RolledBack, "the remembered checkpoint"),
                Source::Signer => (Reason::Truncated, "the signer's record"),
            };
            let detail = format!("the log ends at size {end}, {whose} is of size {size}");
            self.diverge(Some(end + 1), reason, detail);
        }
        self.divergences.sort_by_key(|divergence| divergence.number.unwrap_or(u64::MAX));
        let entries_expected = self.head.map_or(0, |(size, _)| size);
        LogReport {
            log: self.id,
            origin,
            head: self.head,
            checkpoint: self.checkpoint,
            key: self.key,
            entries_read: self.entries_read.min(entries_expected),
            entries_expected,
            entries_unsealed: end.saturating_sub(entries_expected),
            heads_checked: self.heads_checked,
            divergences: self.divergences,
            divergence_count: self.divergence_count,
        }
    }
}
