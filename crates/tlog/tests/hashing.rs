//! Batched hashing against the plain one (`specs/proofs.md` §16.6): all lengths 0..=600, all batch sizes 1..=40, every backend.

use tlog::batch::{self, Backend};
use tlog::{Hash, commitment, leaf_hash, node_hash, plain};

/// Bytes without a pattern that a transposition could hide in.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Every function of every backend on these messages, all of which must agree with `plain`.
fn check(messages: &[Vec<u8>]) {
    let entries: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let salts: Vec<[u8; 16]> = (0..messages.len()).map(|i| noise(i as u64, 16).try_into().unwrap()).collect();
    let items: Vec<(&[u8; 16], &[u8])> = salts.iter().zip(entries.iter().copied()).collect();
    let leaves = plain::leaf_hashes(&entries);
    let commitments = plain::commitments(&items);
    let parents = plain::node_hashes(&[&leaves[..], &commitments].concat());

    let children = [&leaves[..], &commitments].concat();
    let mut out = vec![Hash::default(); messages.len()];
    for backend in Backend::ALL {
        let name = backend.name();
        backend.leaf_hashes_into(&entries, &mut out);
        assert_eq!(out, leaves, "leaves by {name}");
        backend.commitments_into(&items, &mut out);
        assert_eq!(out, commitments, "commitments by {name}");
        backend.node_hashes_into(&children, &mut out);
        assert_eq!(out, parents, "nodes by {name}");
        let length = entries[0].len();
        if length > 0 && entries.iter().all(|entry| entry.len() == length) {
            backend.fixed_leaf_hashes_into(&entries.concat(), length, &mut out);
            assert_eq!(out, leaves, "fixed leaves by {name}");
        }
    }
    assert_eq!(batch::leaf_hashes(&entries), leaves);
    assert_eq!(batch::commitments(&items), commitments);
    assert_eq!(batch::node_hashes(&children), parents);
}

#[test]
fn all_lengths_in_equal_batches() {
    for length in 0..=600 {
        // The batch size runs through 1..=40 as the length grows, so that all meet.
        let batch = 1 + length % 40;
        check(&(0..batch).map(|i| noise((length * 64 + i) as u64, length)).collect::<Vec<_>>());
    }
}

#[test]
fn all_batch_sizes_at_the_lengths_where_blocks_begin_and_end() {
    for batch in 1..=40 {
        for length in [0, 1, 38, 39, 46, 47, 54, 55, 62, 63, 64, 80, 102, 103, 110, 111, 118, 119, 127, 128, 450, 600] {
            check(&(0..batch).map(|i| noise((batch * 1000 + i) as u64, length)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn all_batch_sizes_of_mixed_lengths() {
    for batch in 1..=40 {
        for round in 0..15 {
            check(&(0..batch).map(|i| noise(i as u64, (round * 41 + i * 197) % 601)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn batches_larger_than_a_group_keep_their_order() {
    for batch in [63, 64, 65, 127, 128, 129, 200, 1000] {
        check(&(0..batch).map(|i| noise(i as u64, i * 31 % 601)).collect::<Vec<_>>());
        check(&(0..batch).map(|i| noise(i as u64, 80)).collect::<Vec<_>>());
    }
}

#[test]
fn an_empty_batch_hashes_nothing() {
    assert_eq!(batch::leaf_hashes(&[]), []);
    assert_eq!(batch::commitments(&[]), []);
    assert_eq!(batch::node_hashes(&[]), []);
}

#[test]
fn single_hashes_agree_with_the_plain_ones() {
    for length in 0..=600 {
        let bytes = noise(length as u64, length);
        let salt = [length as u8; 16];
        assert_eq!(leaf_hash(&bytes), plain::leaf_hash(&bytes));
        assert_eq!(commitment(&salt, &bytes), plain::commitments(&[(&salt, &bytes)])[0]);
        let (left, right) = (leaf_hash(&bytes), leaf_hash(&salt));
        assert_eq!(node_hash(&left, &right), plain::node_hash(&left, &right));
    }
}
