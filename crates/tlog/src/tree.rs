//! The growing edge of a tree: everything needed to append leaves and know the root, in at most 63 hashes.
//!
//! A tree of `size` leaves is a row of perfect subtrees, one per one-bit of `size`, largest first (RFC 6962 §2.1):
//!
//! ```text
//! size 7 = 4 + 2 + 1          level 2      A          peaks: A, B, C
//!                             level 1    / \    B     root:  node(A, node(B, C))
//!                             level 0   o o o o o o C
//! ```

use crate::batch::Backend;
use crate::error::malformed;
use crate::{Error, Hash, empty_root, node_hash, plain};

/// Largest number of leaves accepted anywhere: what a signed 64-bit number holds, as other implementations use one.
pub const TREE_SIZE_MAX: u64 = i64::MAX as u64;

/// Compact range of `[0, size)`: the roots of the perfect subtrees that make up a tree.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// By level; `peaks[level]` means something only while bit `level` of `size` is set, and is stale otherwise.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Frontier {
        Frontier::default()
    }

    /// Takes up a tree of `size` leaves from its peaks, largest subtree first, as [`hashes`](Frontier::hashes) gives them.
    ///
    /// # Errors
    /// `Malformed` unless there is exactly one hash per one-bit of `size`, and `size` is at most [`TREE_SIZE_MAX`].
    pub fn from_parts(size: u64, hashes: &[Hash]) -> Result<Frontier, Error> {
        if size > TREE_SIZE_MAX {
            return malformed("frontier", "size too large");
        }
        if hashes.len() != size.count_ones() as usize {
            return malformed("frontier", "number of hashes does not fit the size");
        }
        let mut peaks = vec![Hash::default(); levels(size)];
        let occupied = (0..peaks.len()).rev().filter(|level| has_peak(size, *level));
        for (level, hash) in occupied.zip(hashes) {
            peaks[level] = *hash;
        }
        Ok(Frontier { size, peaks })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The peaks, largest subtree first: one per one-bit of the size.
    pub fn hashes(&self) -> Vec<Hash> {
        self.occupied().rev().map(|level| self.peaks[level]).collect()
    }

    /// Root at this size; the empty root for no leaves.
    pub fn root(&self) -> Hash {
        self.root_by(node_hash)
    }

    /// The same root by the second SHA-256 implementation ([`plain`]).
    pub fn root_plain(&self) -> Hash {
        self.root_by(plain::node_hash)
    }

    /// Appends one leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, &mut |_, _, _| {});
    }

    /// Appends one leaf hash and reports each perfect node it completes: the leaf itself as level 0, then upwards.
    ///
    /// `completed(level, index, hash)`: the node covers the leaves `[index << level, (index + 1) << level)`.
    pub fn push_with(&mut self, leaf: Hash, completed: &mut impl FnMut(u8, u64, Hash)) {
        assert!(self.size < TREE_SIZE_MAX, "a tree this large cannot be filled");
        let mut node = leaf;
        completed(0, self.size, node);
        let mut level = 0;
        while has_peak(self.size, level) {
            node = node_hash(&self.peaks[level], &node);
            level += 1;
            completed(level as u8, self.size >> level, node);
        }
        self.set_peak(level, node);
        self.size += 1;
    }

    /// Appends leaf hashes in order; the same as pushing each, hashed in batches.
    pub fn extend(&mut self, leaves: &[Hash]) {
        self.extend_with(leaves, &mut |_, _, _| {});
    }

    /// Appends leaf hashes in order, in batches, and reports each perfect node completed.
    ///
    /// The same nodes as by [`push_with`](Frontier::push_with), in another order: all of level 0 by rising index, then all
    /// of level 1, and so on.
    pub fn extend_with(&mut self, leaves: &[Hash], completed: &mut impl FnMut(u8, u64, Hash)) {
        let backend = Backend::chosen();
        self.extend_by(leaves, completed, |children, parents| backend.node_hashes_into(children, parents));
    }

    /// As [`extend`](Frontier::extend), by the second SHA-256 implementation ([`plain`]): for the check before signing.
    pub fn extend_plain(&mut self, leaves: &[Hash]) {
        self.extend_by(leaves, &mut |_, _, _| {}, |children, parents| {
            parents.copy_from_slice(&plain::node_hashes(children));
        });
    }

    fn extend_by(
        &mut self,
        leaves: &[Hash],
        completed: &mut impl FnMut(u8, u64, Hash),
        hash_nodes: impl Fn(&[Hash], &mut [Hash]),
    ) {
        let room = TREE_SIZE_MAX - self.size;
        assert!(leaves.len() as u64 <= room, "a tree this large cannot be filled");

        // `nodes` are those of one level completed by this call; the first has index `size >> level`.
        let mut nodes = leaves.to_vec();
        let mut level = 0;
        while !nodes.is_empty() {
            let first = self.size >> level;
            for (index, node) in (first..).zip(&nodes) {
                completed(level as u8, index, *node);
            }
            // A left sibling from before this call stands in the peak of its level.
            if has_peak(self.size, level) {
                nodes.insert(0, self.peaks[level]);
            }
            if nodes.len() % 2 == 1 {
                let unpaired = nodes.pop().expect("an odd number is not zero");
                self.set_peak(level, unpaired);
            }
            let mut parents = vec![Hash::default(); nodes.len() / 2];
            hash_nodes(&nodes, &mut parents);
            nodes = parents;
            level += 1;
        }
        self.size += leaves.len() as u64;
    }

    fn root_by(&self, node_hash: impl Fn(&Hash, &Hash) -> Hash) -> Hash {
        let smallest_first = self.occupied().map(|level| self.peaks[level]);
        smallest_first.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Levels that hold a peak, lowest first.
    fn occupied(&self) -> impl DoubleEndedIterator<Item = usize> {
        let size = self.size;
        (0..levels(size)).filter(move |level| has_peak(size, *level))
    }

    fn set_peak(&mut self, level: usize, node: Hash) {
        if self.peaks.len() <= level {
            self.peaks.resize(level + 1, Hash::default());
        }
        self.peaks[level] = node;
    }
}

/// Equal trees: the same size and the same peaks, whatever was in the places that hold none.
impl PartialEq for Frontier {
    fn eq(&self, other: &Frontier) -> bool {
        self.size == other.size && self.occupied().all(|level| self.peaks[level] == other.peaks[level])
    }
}

impl Eq for Frontier {}

fn levels(size: u64) -> usize {
    (u64::BITS - size.leading_zeros()) as usize
}

fn has_peak(size: u64, level: usize) -> bool {
    (size >> level) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(i: u64) -> Hash {
        crate::leaf_hash(&i.to_be_bytes())
    }

    /// RFC 6962 §2.1, word for word.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn roots_follow_the_definition() {
        let leaves: Vec<Hash> = (0..130).map(leaf).collect();
        let mut frontier = Frontier::new();
        for size in 0..=leaves.len() {
            assert_eq!(frontier.root(), root_by_definition(&leaves[..size]));
            assert_eq!(frontier.root_plain(), frontier.root());
            if let Some(leaf) = leaves.get(size) {
                frontier.push(*leaf);
            }
        }
    }

    #[test]
    fn extending_reports_the_same_nodes_as_pushing() {
        let leaves: Vec<Hash> = (0..70).map(leaf).collect();
        for start in 0..leaves.len() {
            for end in start..=leaves.len() {
                let mut pushed = Frontier::new();
                pushed.extend(&leaves[..start]);
                let (mut extended, mut checked) = (pushed.clone(), pushed.clone());
                let (mut by_push, mut by_extend) = (Vec::new(), Vec::new());
                for leaf in &leaves[start..end] {
                    pushed.push_with(*leaf, &mut |level, index, hash| by_push.push((level, index, hash)));
                }
                extended.extend_with(&leaves[start..end], &mut |l, i, h| by_extend.push((l, i, h)));
                checked.extend_plain(&leaves[start..end]);
                by_push.sort_unstable();
                assert!(by_extend.is_sorted());
                assert_eq!(by_push, by_extend);
                assert_eq!(pushed, extended);
                assert_eq!(pushed, checked);
            }
        }
    }

    #[test]
    fn a_frontier_survives_being_taken_apart() {
        let mut frontier = Frontier::new();
        for i in 0..100 {
            let again = Frontier::from_parts(frontier.size(), &frontier.hashes());
            assert_eq!(again.as_ref(), Ok(&frontier));
            assert!(Frontier::from_parts(i, &[frontier.hashes(), vec![leaf(0)]].concat()).is_err());
            frontier.push(leaf(i));
        }
        assert!(Frontier::from_parts(1, &[]).is_err());
        assert!(Frontier::from_parts(u64::MAX, &[leaf(0); 64]).is_err());
    }
}
