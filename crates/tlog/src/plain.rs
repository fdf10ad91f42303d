//! The second opinion: the same hashes by another SHA-256 implementation (crate `sha2`), one message after the other.
//!
//! Used to check a group before it is signed (`specs/proofs.md` §5.1 step 3) and to test [`batch`](crate::batch) against.
//! It shares no code with the batched backends, so that a fault in one of them cannot agree with itself.

use sha2::{Digest, Sha256};

use crate::Hash;
use crate::hash::{COMMITMENT_PREFIX, LEAF_PREFIX, NODE_PREFIX};

/// SHA-256(`02` ‖ salt ‖ body) of each pair, in order.
pub fn commitments(items: &[(&[u8; 16], &[u8])]) -> Vec<Hash> {
    items.iter().map(|(salt, body)| sha256(&[&[COMMITMENT_PREFIX], *salt, body])).collect()
}

/// SHA-256(`00` ‖ entry) of each entry, in order.
pub fn leaf_hashes(entries: &[&[u8]]) -> Vec<Hash> {
    entries.iter().map(|entry| leaf_hash(entry)).collect()
}

/// Parents of `children` taken two by two: half as many, in order.
///
/// # Panics
/// If the number of children is odd.
pub fn node_hashes(children: &[Hash]) -> Vec<Hash> {
    let (pairs, rest) = children.as_chunks::<2>();
    assert!(rest.is_empty(), "nodes have two children");
    pairs.iter().map(|[left, right]| node_hash(left, right)).collect()
}

/// SHA-256(`00` ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[LEAF_PREFIX], entry])
}

/// SHA-256(`01` ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[NODE_PREFIX], &left.0, &right.0])
}

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}
