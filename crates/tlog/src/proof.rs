//! Inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2): build them from stored nodes, verify them from nothing.
//!
//! A verifier never believes the proof about anything: leaf, index, sizes and roots come from the caller, who has them from
//! verified checkpoints, and the number of hashes must be the one number that fits.

use crate::{Error, Hash, TREE_SIZE_MAX, empty_root, node_hash};

/// No proof in a tree of at most [`TREE_SIZE_MAX`] leaves has more hashes: 62 levels below the root, and one more where a
/// consistency proof has to start with the old edge.
pub const HASHES_MAX: usize = 64;

/// Where proofs get their hashes from.
pub trait NodeReader {
    /// Why a node could not be read.
    type Error;

    /// Root of the perfect subtree over the leaves `[index << level, (index + 1) << level)`; level 0 is the leaf hash.
    ///
    /// Only asked for subtrees that lie inside the tree of the size the proof is for.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why a proof could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError<E> {
    /// No such leaf or no such pair of sizes.
    #[error("no such proof: {0}")]
    OutOfRange(&'static str),
    /// The reader failed.
    #[error("reading a node of the tree failed")]
    Read(#[source] E),
}

/// Root of the tree over the first `size` leaves.
///
/// # Errors
/// `Read` if the reader fails, `OutOfRange` above [`TREE_SIZE_MAX`].
pub fn root<R: NodeReader + ?Sized>(nodes: &R, size: u64) -> Result<Hash, BuildError<R::Error>> {
    check_size(size)?;
    if size == 0 {
        return Ok(empty_root());
    }
    range_root(nodes, 0, size)
}

/// The siblings on the way from leaf `index` to the root at `size`, lowest first.
///
/// # Errors
/// `OutOfRange` unless `index < size`; `Read` if the reader fails.
pub fn inclusion<R: NodeReader + ?Sized>(nodes: &R, index: u64, size: u64) -> Result<Vec<Hash>, BuildError<R::Error>> {
    check_size(size)?;
    if index >= size {
        return Err(BuildError::OutOfRange("the leaf is not in the tree"));
    }
    // Walk down from the root; what lies on the other side of each fork is the sibling.
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let fork = start + split(end - start);
        if index < fork {
            proof.push(range_root(nodes, fork, end)?);
            end = fork;
        } else {
            proof.push(range_root(nodes, start, fork)?);
            start = fork;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that lead from the root at `old_size` to both roots, at `old_size` and `new_size` (RFC 6962 §2.1.2).
///
/// Empty if the sizes are equal or the old one is 0.
///
/// # Errors
/// `OutOfRange` unless `old_size <= new_size`; `Read` if the reader fails.
pub fn consistency<R: NodeReader + ?Sized>(
    nodes: &R,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Hash>, BuildError<R::Error>> {
    check_size(new_size)?;
    if old_size > new_size {
        return Err(BuildError::OutOfRange("the old tree is larger than the new one"));
    }
    if old_size == 0 || old_size == new_size {
        return Ok(Vec::new());
    }
    // Walk down along the old tree's right edge until a subtree ends exactly there.
    let (mut start, mut end) = (0, new_size);
    let mut proof = Vec::new();
    while end != old_size {
        let fork = start + split(end - start);
        if old_size <= fork {
            proof.push(range_root(nodes, fork, end)?);
            end = fork;
        } else {
            proof.push(range_root(nodes, start, fork)?);
            start = fork;
        }
    }
    // If that subtree is the whole old tree, the verifier has its root already.
    if start != 0 {
        proof.push(range_root(nodes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Accepts if `proof` leads from `leaf` at position `index` to `root`, the root of a tree of `size` leaves.
///
/// # Errors
/// `ProofRefused` if the leaf cannot be in a tree of that size, the number of hashes is not exactly the right one, or the
/// path ends elsewhere.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), Error> {
    if size > TREE_SIZE_MAX {
        return Err(Error::ProofRefused("tree size too large"));
    }
    let Some(expected) = inclusion_length(index, size) else {
        return Err(Error::ProofRefused("the leaf is not in the tree"));
    };
    if proof.len() != expected {
        return Err(Error::ProofRefused("wrong number of hashes"));
    }
    // `last` is the last node of each level on the way up, `at` ours. The last node of an odd row has no sibling and rises
    // as it is; whatever it meets later lies to its left. So it need not be followed level by level.
    let (mut at, mut last) = (index, size - 1);
    let mut node = *leaf;
    for sibling in proof {
        let is_right = at & 1 == 1 || at == last;
        node = if is_right { node_hash(sibling, &node) } else { node_hash(&node, sibling) };
        at >>= 1;
        last >>= 1;
    }
    if node == *root { Ok(()) } else { Err(Error::ProofRefused("the path does not lead to the root")) }
}

/// Accepts if the tree of `new_size` leaves under `new_root` begins with the tree of `old_size` leaves under `old_root`.
///
/// An old tree without leaves is extended by every tree; its root must still be the empty one.
///
/// # Errors
/// `ProofRefused` if the sizes shrink, the number of hashes is not exactly the right one, or either root is not reached.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if new_size > TREE_SIZE_MAX {
        return Err(Error::ProofRefused("tree size too large"));
    }
    let Some(expected) = consistency_length(old_size, new_size) else {
        return Err(Error::ProofRefused("the tree has shrunk"));
    };
    if proof.len() != expected {
        return Err(Error::ProofRefused("wrong number of hashes"));
    }
    if old_size == 0 && *old_root != empty_root() {
        return Err(Error::ProofRefused("the root of no leaves is fixed"));
    }
    if old_size == new_size && old_root != new_root {
        return Err(Error::ProofRefused("two roots for one size"));
    }
    if old_size == 0 || old_size == new_size {
        return Ok(());
    }

    // Start at the last subtree of the old tree: its root is the old root itself if the size is a power of two, and the
    // first hash of the proof otherwise. Then climb; left siblings belong to both trees, right ones only to the new.
    let start_level = old_size.trailing_zeros();
    let (mut at, mut last) = ((old_size - 1) >> start_level, (new_size - 1) >> start_level);
    let (seed, path) = match proof.split_first() {
        Some((first, rest)) if !old_size.is_power_of_two() => (*first, rest),
        _ => (*old_root, proof),
    };
    let (mut old_node, mut new_node) = (seed, seed);
    for sibling in path {
        if at & 1 == 1 || at == last {
            old_node = node_hash(sibling, &old_node);
            new_node = node_hash(sibling, &new_node);
        } else {
            new_node = node_hash(&new_node, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if old_node != *old_root {
        return Err(Error::ProofRefused("the path does not lead to the old root"));
    }
    if new_node != *new_root {
        return Err(Error::ProofRefused("the path does not lead to the new root"));
    }
    Ok(())
}

/// Exact number of hashes in the inclusion proof of leaf `index` at `size`; none if there is no such leaf.
pub fn inclusion_length(index: u64, size: u64) -> Option<usize> {
    (index < size).then(|| siblings(index, size - 1))
}

/// Exact number of hashes in the consistency proof between two sizes; none if the tree shrinks.
pub fn consistency_length(old_size: u64, new_size: u64) -> Option<usize> {
    if old_size > new_size {
        return None;
    }
    if old_size == 0 || old_size == new_size {
        return Some(0);
    }
    let start_level = old_size.trailing_zeros();
    let path = siblings((old_size - 1) >> start_level, (new_size - 1) >> start_level);
    Some(path + usize::from(!old_size.is_power_of_two()))
}

/// Siblings met while climbing from node `at` of a row that ends with node `last`.
///
/// Up to where the ways of `at` and `last` meet there is one per level; above, only where both are right children.
fn siblings(at: u64, last: u64) -> usize {
    let below = u64::BITS - (at ^ last).leading_zeros();
    let above = at.checked_shr(below).unwrap_or(0).count_ones();
    (below + above) as usize
}

/// Root over the leaves `[start, end)`, where `start` is a multiple of the largest power of two below or at the length.
fn range_root<R: NodeReader + ?Sized>(nodes: &R, start: u64, end: u64) -> Result<Hash, BuildError<R::Error>> {
    let perfect = |start: u64, leaves: u64| {
        let level = leaves.trailing_zeros();
        nodes.node(level as u8, start >> level).map_err(BuildError::Read)
    };
    // The perfect subtrees from left to right, one per one-bit of the length; joined from right to left.
    let mut subtrees = Vec::new();
    let mut at = start;
    while at < end {
        let leaves = 1 << (end - at).ilog2();
        subtrees.push(perfect(at, leaves)?);
        at += leaves;
    }
    let root = subtrees.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    Ok(root.expect("ranges are not empty"))
}

/// Largest power of two below `leaves` (at least 2): where a tree forks.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

fn check_size<E>(size: u64) -> Result<(), BuildError<E>> {
    if size > TREE_SIZE_MAX { Err(BuildError::OutOfRange("tree size too large")) } else { Ok(()) }
}
