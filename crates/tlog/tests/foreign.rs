//! Our trees and proofs against three implementations we did not write (`specs/proofs.md` §16.1).
//!
//! Every root, inclusion and consistency proof must be accepted by `tlog_tiles`, `sigstore-merkle` and `ct-merkle`, and be
//! the one that those able to build proofs build; every changed bit, missing or repeated hash must be refused by all of
//! them and by us. All cases up to 600 leaves; sampled around 2^k and 256^k up to 2^17 and at random sizes. Changed bits
//! are complete for small trees and sampled for others.

mod common;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use tlog::{Hash, leaf_hash, proof};

use common::{Random, Tree, entry, sizes_around_powers, turn_bit};

/// Sizes up to which every bit of every proof is turned; above, a sample.
const EVERY_BIT_UP_TO: u64 = 12;

/// Accepted by: us, tlog_tiles, sigstore-merkle, ct-merkle.
type Verdicts = [bool; 4];
const ALL: Verdicts = [true; 4];
const NONE: Verdicts = [false; 4];

#[derive(Clone)]
struct Inclusion {
    entry: Vec<u8>,
    index: u64,
    size: u64,
    proof: Vec<Hash>,
    root: Hash,
}

impl Inclusion {
    fn of(tree: &Tree, index: u64, size: u64) -> Inclusion {
        let proof = proof::inclusion(tree, index, size).expect("in the tree");
        Inclusion { entry: entry(index).to_vec(), index, size, proof, root: tree.root(size) }
    }

    fn verdicts(&self) -> Verdicts {
        let leaf = leaf_hash(&self.entry);
        let tiles = tlog_tiles::check_record(
            &self.proof.iter().map(|h| tlog_tiles::Hash(h.0)).collect(),
            self.size,
            tlog_tiles::Hash(self.root.0),
            self.index,
            tlog_tiles::Hash(leaf.0),
        );
        let sigstore = sigstore_merkle::verify_inclusion_proof(
            &leaf.0.into(),
            self.index,
            self.size,
            &self.proof.iter().map(|h| h.0.into()).collect::<Vec<_>>(),
            &self.root.0.into(),
        );
        let ct = RootHash::<Sha256>::new(self.root.0.into(), self.size).verify_inclusion(
            &self.entry,
            self.index,
            &InclusionProof::from_digests(&self.proof.iter().map(|h| h.0.into()).collect::<Vec<_>>()),
        );
        let ours = proof::verify_inclusion(&leaf, self.index, self.size, &self.proof, &self.root);
        [ours.is_ok(), tiles.is_ok(), sigstore.is_ok(), ct.is_ok()]
    }

    /// Every way to change one bit, leave out or repeat one hash. The size is not among them: several sizes share their
    /// proofs, which is why size and root are only ever taken together, from a checkpoint.
    fn changed(&self, random: &mut Random) -> Vec<Inclusion> {
        let mut changed = Vec::new();
        let mut add = |change: &dyn Fn(&mut Inclusion)| {
            let mut one = self.clone();
            change(&mut one);
            changed.push(one);
        };
        for proof in changed_lists(&self.proof, self.size, random) {
            add(&|i| i.proof.clone_from(&proof));
        }
        for bit in bits(256, self.size, random) {
            add(&|i| i.root = turn_bit(&i.root, bit));
        }
        for bit in bits(self.entry.len() as u64 * 8, self.size, random) {
            add(&|i| i.entry[(bit / 8) as usize] ^= 1 << (bit % 8));
        }
        for bit in bits(63, self.size, random) {
            add(&|i| i.index ^= 1 << bit);
        }
        changed
    }
}

#[derive(Clone)]
struct Consistency {
    old_size: u64,
    old_root: Hash,
    new_size: u64,
    new_root: Hash,
    proof: Vec<Hash>,
}

impl Consistency {
    fn of(tree: &Tree, old_size: u64, new_size: u64) -> Consistency {
        let proof = proof::consistency(tree, old_size, new_size).expect("in the tree");
        let (old_root, new_root) = (tree.root(old_size), tree.root(new_size));
        Consistency { old_size, old_root, new_size, new_root, proof }
    }

    fn verdicts(&self) -> Verdicts {
        let tiles = tlog_tiles::check_tree(
            &self.proof.iter().map(|h| tlog_tiles::Hash(h.0)).collect(),
            self.new_size,
            tlog_tiles::Hash(self.new_root.0),
            self.old_size,
            tlog_tiles::Hash(self.old_root.0),
        );
        let sigstore = sigstore_merkle::verify_consistency_proof(
            self.old_size,
            self.new_size,
            &self.proof.iter().map(|h| h.0.into()).collect::<Vec<_>>(),
            &self.old_root.0.into(),
            &self.new_root.0.into(),
        );
        let digests: Vec<_> = self.proof.iter().map(|h| h.0.into()).collect();
        let ct = RootHash::<Sha256>::new(self.new_root.0.into(), self.new_size).verify_consistency(
            &RootHash::new(self.old_root.0.into(), self.old_size),
            &ConsistencyProof::from_digests(&digests),
        );
        let ours = proof::verify_consistency(self.old_size, &self.old_root, self.new_size, &self.new_root, &self.proof);
        [ours.is_ok(), tiles.is_ok(), sigstore.is_ok(), ct.is_ok()]
    }

    fn changed(&self, random: &mut Random) -> Vec<Consistency> {
        let mut changed = Vec::new();
        let mut add = |change: &dyn Fn(&mut Consistency)| {
            let mut one = self.clone();
            change(&mut one);
            changed.push(one);
        };
        for proof in changed_lists(&self.proof, self.new_size, random) {
            add(&|c| c.proof.clone_from(&proof));
        }
        for bit in bits(256, self.new_size, random) {
            add(&|c| c.old_root = turn_bit(&c.old_root, bit));
            add(&|c| c.new_root = turn_bit(&c.new_root, bit));
        }
        changed
    }
}

/// All bits below `end` for a small tree, one at random for a larger one.
fn bits(end: u64, size: u64, random: &mut Random) -> Vec<u64> {
    if size <= EVERY_BIT_UP_TO { (0..end).collect() } else { vec![random.below(end)] }
}

/// Lists that differ from `hashes` by one bit, one hash less, or one hash twice.
fn changed_lists(hashes: &[Hash], size: u64, random: &mut Random) -> Vec<Vec<Hash>> {
    let mut changed = Vec::new();
    let places: Vec<usize> = match hashes.len() {
        0 => Vec::new(),
        _ if size <= 64 => (0..hashes.len()).collect(),
        length => vec![random.below(length as u64) as usize],
    };
    for place in places {
        for bit in bits(256, size, random) {
            let mut turned = hashes.to_vec();
            turned[place] = turn_bit(&turned[place], bit);
            changed.push(turned);
        }
        let mut shorter = hashes.to_vec();
        let hash = shorter.remove(place);
        changed.push(shorter);
        let mut longer = hashes.to_vec();
        longer.insert(place, hash);
        changed.push(longer);
    }
    changed
}

/// Lets `tlog_tiles` read our nodes.
struct Stored<'a>(&'a Tree);

impl tlog_tiles::HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let read = |index: &u64| {
            let (level, n) = tlog_tiles::split_stored_hash_index(*index);
            tlog_tiles::Hash(self.0.levels[usize::from(level)][n as usize].0)
        };
        Ok(indexes.iter().map(read).collect())
    }
}

fn check_inclusion(tree: &Tree, index: u64, size: u64, random: &mut Random, with_changes: bool) {
    let inclusion = Inclusion::of(tree, index, size);
    let foreign = tlog_tiles::prove_record(size, index, &Stored(tree)).expect("in the tree");
    assert!(foreign.iter().map(|h| h.0).eq(inclusion.proof.iter().map(|h| h.0)), "leaf {index} of {size}");
    assert_eq!(inclusion.verdicts(), ALL, "leaf {index} of {size}");
    if with_changes {
        for changed in inclusion.changed(random) {
            assert_eq!(changed.verdicts(), NONE, "leaf {index} of {size}, changed");
        }
    }
}

fn check_consistency(tree: &Tree, old: u64, new: u64, random: &mut Random, with_changes: bool) {
    let consistency = Consistency::of(tree, old, new);
    if old == 0 {
        // Two of them have no proof from nothing; the root of nothing is fixed for us only, so changes are ours to refuse.
        assert_eq!(consistency.verdicts(), [true, false, true, false], "from 0 to {new}");
        return;
    }
    let foreign = tlog_tiles::prove_tree(new, old, &Stored(tree)).expect("in the tree");
    assert!(foreign.iter().map(|h| h.0).eq(consistency.proof.iter().map(|h| h.0)), "from {old} to {new}");
    assert_eq!(consistency.verdicts(), ALL, "from {old} to {new}");
    if with_changes {
        for changed in consistency.changed(random) {
            assert_eq!(changed.verdicts(), NONE, "from {old} to {new}, changed");
        }
    }
}

#[test]
fn all_roots_up_to_600_are_theirs() {
    let tree = Tree::new(600);
    let mut ct = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for size in 0..=tree.size() {
        assert_eq!(tlog_tiles::tree_hash(size, &Stored(&tree)).unwrap().0, tree.root(size).0);
        assert_eq!(ct.root().as_bytes()[..], tree.root(size).0);
        ct.push(entry(size));
    }
}

#[test]
fn all_inclusion_proofs_up_to_600_are_accepted_and_their_changes_refused() {
    let tree = Tree::new(600);
    let mut random = Random(1);
    for size in 1..=tree.size() {
        for index in 0..size {
            let with_changes = size <= 64 || random.below(8) == 0;
            check_inclusion(&tree, index, size, &mut random, with_changes);
        }
    }
}

#[test]
fn all_consistency_proofs_up_to_600_are_accepted_and_their_changes_refused() {
    let tree = Tree::new(600);
    let mut random = Random(2);
    for new in 0..=tree.size() {
        for old in 0..=new {
            let with_changes = new <= 64 || random.below(8) == 0;
            check_consistency(&tree, old, new, &mut random, with_changes);
        }
    }
}

#[test]
fn roots_and_proofs_around_powers_and_at_random_sizes_are_accepted_and_their_changes_refused() {
    let tree = Tree::new((1 << 17) + 2);
    let mut random = Random(3);
    let mut sizes = sizes_around_powers();
    sizes.extend((0..60).map(|_| 601 + random.below(tree.size() - 600)));
    for size in sizes {
        assert_eq!(tlog_tiles::tree_hash(size, &Stored(&tree)).unwrap().0, tree.root(size).0, "size {size}");
        let middle = size.next_power_of_two() / 2;
        let mut places = vec![0, 1, 255, 256, 257, size / 2, middle - 1, size - 2, size - 1];
        places.extend((0..12).map(|_| random.below(size)));
        for place in places {
            check_inclusion(&tree, place, size, &mut random, true);
            check_consistency(&tree, place, size, &mut random, true);
            check_consistency(&tree, place + 1, size, &mut random, true);
        }
    }
}

#[test]
fn only_we_hold_an_empty_old_tree_to_its_root() {
    let tree = Tree::new(3);
    let mut consistency = Consistency::of(&tree, 0, 3);
    assert!(consistency.verdicts()[0]);
    consistency.old_root = tree.root(1);
    assert!(!consistency.verdicts()[0]);
}
