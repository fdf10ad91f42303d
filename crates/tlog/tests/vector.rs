//! The published vector of `specs/proofs.md` §17, whole: every byte that a second implementation would have to produce.

use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::entry::{Entry, Kind, Payload};
use tlog::note::{SignerKey, VerifierKey};
use tlog::tlog_proof::TlogProof;
use tlog::{Frontier, Hash, batch, commitment, plain, proof};

const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";
const VKEY: &str =
    "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa+cf780f16+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
const ENTRIES: [&str; 3] = [
    "01040000000000100000000000000000000000000000000100065bfeda25e00000000000000000000000000000000000\
     7b226c6f67223a226f70656e6564227d",
    "01010100000000250000000000000001000000000000000200065bfeda2d8120000102030405060708090a0b0c0d0e0f\
     c7796bf74f0c64da228a26ee7fd9c6f44bc2eef8465aa9caed3650cb26cb170c",
    "01010100000000000000000000000002000000000000000300065bfeda352240101112131415161718191a1b1c1d1e1f\
     04927642dd90f183fc1e56a452f1c1628e84764920169fb3bc3ea1db9c0c626d",
];
const LEAVES: [&str; 3] = [
    "6e54254299090a09b95a311b929381e8d7994d75bfe5dabb481bf0472cc96d4a",
    "7a6bf8476861e9b8ebdd7e9a4819aa49b70d93445aa9036938cb7daf61872724",
    "5c094e99f66ec678a605e621b8dcfa48732fd8bc6ecd4673f53f15c258ad98e4",
];
const ROOTS: [&str; 4] = [
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "blQlQpkJCgm5WjEbkpOB6NeZTXW/5dq7SBvwRyzJbUo=",
    "se6c55Xz2hL3AbLG3pBL67nnw7yryrlpbny9ffndI+4=",
    "6IHuDE1uter/E8sSIt58E9ifVZEVeSBw0vqV9qB79uQ=",
];
const SIGNED: &str = "\
audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa
3
6IHuDE1uter/E8sSIt58E9ifVZEVeSBw0vqV9qB79uQ=

— audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa z3gPFpZxLymzSImCulWC7vVME8S0RBwEe/flchDOCMDG9uvJ3UvFfbPySJps4u/3BZzPuWt/bxRqpAKYPxvBDd9KCQU=
";

/// The three entries, built from their meaning.
fn entries() -> [Entry<'static>; 3] {
    let ids = |first: u8| std::array::from_fn(|i| first + i as u8);
    let event = br#"{"actor":"alice","action":"doc.read"}"#;
    let first = Entry {
        kind: Kind::LogNote,
        body_bytes: 16,
        index: 0,
        number: 1,
        received_at_us: 1_790_000_000_000_000,
        id: [0; 16],
        payload: Payload::Inline(br#"{"log":"opened"}"#),
    };
    let second = Entry {
        kind: Kind::Event,
        body_bytes: event.len() as u32,
        index: 1,
        number: 2,
        received_at_us: 0x0006_5bfe_da2d_8120,
        id: ids(0x00),
        payload: Payload::Committed { commitment: commitment(&[0xa5; 16], event) },
    };
    let third = Entry {
        kind: Kind::Event,
        body_bytes: 0,
        index: 2,
        number: 3,
        received_at_us: 0x0006_5bfe_da35_2240,
        id: ids(0x10),
        payload: Payload::Committed { commitment: commitment(&[0x5a; 16], b"") },
    };
    [first, second, third]
}

fn leaves() -> Vec<Hash> {
    LEAVES.iter().map(|hex| Hash::from_hex(hex).unwrap()).collect()
}

#[test]
fn entries_encode_to_the_published_bytes_and_back() {
    for (entry, hex) in entries().iter().zip(ENTRIES) {
        let bytes = hex::decode(hex).unwrap();
        assert_eq!(hex::encode(entry.encode()), hex);
        assert_eq!(Entry::decode(&bytes), Ok(*entry));
    }
}

#[test]
fn every_way_to_hash_a_leaf_gives_the_published_hash() {
    let entries = entries();
    let bytes: Vec<Vec<u8>> = entries.iter().map(Entry::encode).collect();
    let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    assert_eq!(entries.map(|entry| entry.leaf_hash()).to_vec(), leaves());
    assert_eq!(batch::leaf_hashes(&slices), leaves());
    assert_eq!(plain::leaf_hashes(&slices), leaves());
}

#[test]
fn roots_are_the_published_ones() {
    let mut frontier = Frontier::new();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(frontier.root().to_string(), *root);
        assert_eq!(frontier.root_plain().to_string(), *root);
        if let Some(leaf) = leaves().get(size) {
            frontier.push(*leaf);
        }
    }
}

#[test]
fn the_published_proofs_verify_and_are_what_we_build() {
    let leaves = leaves();
    let root = |size: usize| ROOTS[size].parse::<Hash>().unwrap();
    let path = [root(1), "XAlOmfZuxnimBeYhuNz6SHMv2LxuzUZz9T8VwlitmOQ=".parse().unwrap()];
    proof::verify_inclusion(&leaves[1], 1, 3, &path, &root(3)).unwrap();
    proof::verify_consistency(2, &root(2), 3, &root(3), &path[1..]).unwrap();

    struct Nodes(Vec<Hash>);
    impl proof::NodeReader for Nodes {
        type Error = std::convert::Infallible;
        fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
            let width = 1 << level;
            let first = index as usize * width;
            Ok(batch::reduce(&self.0[first..first + width]))
        }
    }
    let nodes = Nodes(leaves);
    assert_eq!(proof::inclusion(&nodes, 1, 3).unwrap(), path);
    assert_eq!(proof::consistency(&nodes, 2, 3).unwrap(), path[1..]);
    assert_eq!(proof::root(&nodes, 3).unwrap(), root(3));
}

#[test]
fn the_signed_checkpoint_is_the_published_text_byte_for_byte() {
    let key = SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap();
    assert_eq!(key.verifier().to_string(), VKEY);
    let known: VerifierKey = VKEY.parse().unwrap();
    assert_eq!(known.key_id(), 0xcf78_0f16);

    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: ROOTS[3].parse().unwrap() };
    assert_eq!(checkpoint.sign(&[&key]).unwrap().note, SIGNED);
    let opened = SignedCheckpoint::open(SIGNED, ORIGIN, &[known]).unwrap();
    assert_eq!(opened.checkpoint, checkpoint);
    assert_eq!(opened.note, SIGNED);
}

#[test]
fn a_proof_of_the_vector_stands_alone() {
    let text = format!(
        "c2sp.org/tlog-proof@v1\nindex 1\n{}\nXAlOmfZuxnimBeYhuNz6SHMv2LxuzUZz9T8VwlitmOQ=\n\n{SIGNED}",
        ROOTS[1]
    );
    let proof: TlogProof = text.parse().unwrap();
    assert_eq!(proof.to_string(), text);
    let known = [VKEY.parse().unwrap()];
    let signed = proof.verify(&leaves()[1], ORIGIN, &known).unwrap();
    assert_eq!(signed.checkpoint.size, 3);
    assert!(proof.verify(&leaves()[0], ORIGIN, &known).is_err());
}
