//! Round trips and refusals for any input: whatever is written reads back, and whatever reads is written again the same.

mod common;

use proptest::prelude::*;
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::entry::{self, Entry, Kind, Payload};
use tlog::extends::Extends;
use tlog::note::{self, Note, SignerKey, VerifierKey};
use tlog::tile::{self, BundleId, Resource, TileId};
use tlog::tlog_proof::TlogProof;
use tlog::{Error, Frontier, Hash, TREE_SIZE_MAX, proof};

use common::{Tree, turn_bit};

const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn kind() -> impl Strategy<Value = Kind> {
    (1..=5u8).prop_map(|byte| Kind::from_byte(byte).unwrap())
}

/// Entries as a log may write them, with the body that an inline one holds.
fn entry() -> impl Strategy<Value = (Entry<'static>, Vec<u8>)> {
    let body = prop::collection::vec(any::<u8>(), 0..300);
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>());
    (kind(), numbers, any::<[u8; 16]>(), body, hash()).prop_map(|(kind, numbers, id, body, commitment)| {
        let (index, number, received_at_us, length) = numbers;
        let is_committed = kind.is_committed(body.len());
        let body_bytes = if is_committed { length } else { body.len() as u32 };
        // Inline bodies are put in by the test, which can lend them.
        let payload = if is_committed { Payload::Committed { commitment } } else { Payload::Inline(&[]) };
        (Entry { kind, body_bytes, index, number, received_at_us, id, payload }, body)
    })
}

fn lend<'a>(entry: &Entry<'a>, body: &'a [u8]) -> Entry<'a> {
    match entry.payload {
        Payload::Inline(_) => Entry { payload: Payload::Inline(body), ..*entry },
        Payload::Committed { .. } => *entry,
    }
}

fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

/// Text near the formats: lines that might be parts of one.
fn almost() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just(String::new()),
        Just("c2sp.org/tlog-proof@v1".to_owned()),
        "(index|old|extra) [0-9A-Za-z+/=]{0,24}",
        hash().prop_map(|hash| hash.to_string()),
        "[0-9]{0,20}",
        "— [a-z]{1,3} [0-9A-Za-z+/]{8}",
        ".{0,20}",
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn entries_read_back((entry, body) in entry()) {
        let entry = lend(&entry, &body);
        let bytes = entry.encode();
        prop_assert_eq!(bytes.len(), entry.encoded_bytes());
        prop_assert_eq!(Entry::decode(&bytes), Ok(entry));
        prop_assert_eq!(entry.leaf_hash(), tlog::leaf_hash(&bytes));
        let mut appended = b"before".to_vec();
        entry.encode_into(&mut appended);
        prop_assert_eq!(&appended[6..], &bytes[..]);
    }

    #[test]
    fn what_reads_as_an_entry_is_written_the_same((entry, body) in entry(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut bytes = lend(&entry, &body).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = Entry::decode(&bytes) {
            prop_assert_eq!(changed.encode(), &bytes[..]);
            prop_assert_ne!(changed, lend(&entry, &body));
        }
    }

    #[test]
    fn entries_cut_or_lengthened_are_refused((entry, body) in entry(), cut in any::<prop::sample::Index>()) {
        let bytes = lend(&entry, &body).encode();
        prop_assert!(Entry::decode(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(Entry::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), width in 0..=256u16) {
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode(), &bytes[..]);
        }
        if let Ok(entries) = tile::decode_bundle(&bytes, width) {
            prop_assert_eq!(tile::encode_bundle(entries), Ok(bytes.clone()));
        }
        if let Ok(hashes) = tile::decode_hashes(&bytes, width) {
            prop_assert_eq!(tile::encode_hashes(&hashes), bytes);
        }
    }

    #[test]
    fn any_text_near_a_format_is_read_or_refused_and_what_reads_is_written_the_same(text in almost()) {
        if let Ok(proof) = text.parse::<TlogProof>() {
            prop_assert_eq!(proof.to_string(), &text[..]);
        }
        if let Ok(extends) = text.parse::<Extends>() {
            prop_assert_eq!(extends.to_string(), &text[..]);
        }
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            prop_assert!(text.starts_with(&checkpoint.to_string()));
        }
        if let Ok(note) = Note::parse(&text) {
            let lines: String = note.signatures.iter().map(|s| format!("{}\n", s.line)).collect();
            prop_assert_eq!(format!("{}\n{lines}", note.text), &text[..]);
        }
        prop_assert!(note::open(&text, &[key(7).verifier().clone()]).is_err());
    }

    #[test]
    fn tile_paths_read_back(level in 0..tile::LEVELS, index in 0..=tile::INDEX_MAX, shift in 0..55u32, width in 1..=256u16) {
        let index = index >> shift;
        let tile = TileId { level, index, width };
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        let bundle = BundleId { index, width };
        prop_assert_eq!(bundle.to_string().parse(), Ok(bundle));
    }

    #[test]
    fn what_reads_as_a_tile_path_is_written_the_same(path in "tile/([0-9]|entries|[0-9]{2})(/x?[0-9]{3}){1,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(resource) = path.parse::<Resource>() {
            prop_assert_eq!(resource.to_string(), path);
        }
    }

    #[test]
    fn frontiers_read_back(size in 0..=TREE_SIZE_MAX, hashes in prop::collection::vec(hash(), 64)) {
        let hashes = &hashes[..size.count_ones() as usize];
        let frontier = Frontier::from_parts(size, hashes).unwrap();
        prop_assert_eq!(frontier.size(), size);
        prop_assert_eq!(frontier.hashes(), hashes);
        prop_assert_eq!(frontier.root(), frontier.root_plain());
    }

    #[test]
    fn checkpoints_of_any_origin_read_back_or_are_not_signed(origin in "\\PC{0,30}", size in 1..=TREE_SIZE_MAX, root in hash()) {
        let key = key(7);
        let checkpoint = Checkpoint { origin: origin.clone(), size, root };
        match checkpoint.sign(&[&key]) {
            Ok(signed) => prop_assert_eq!(Note::parse(&signed.note).unwrap().text.parse(), Ok(checkpoint)),
            Err(error) => prop_assert!(origin.is_empty(), "{:?}: {}", origin, error),
        }
    }

    #[test]
    fn keys_read_back(seed in any::<[u8; 32]>(), name in "[^\\s+\\pC]{1,40}") {
        let key = SignerKey::from_seed(&name, &seed).unwrap();
        prop_assert_eq!(&key.verifier().to_string().parse::<VerifierKey>().unwrap(), key.verifier());
        let signed = note::sign("text\n", &[&key]).unwrap();
        prop_assert_eq!(note::open(&signed, &[key.verifier().clone()]).unwrap().signatures.len(), 1);
    }

    #[test]
    fn proofs_in_trees_of_any_size_have_the_stated_length(index in 0..TREE_SIZE_MAX, size in 1..=TREE_SIZE_MAX) {
        let index = index % size;
        let length = proof::inclusion_length(index, size).unwrap();
        prop_assert!(length < proof::HASHES_MAX);
        prop_assert!(proof::consistency_length(index + 1, size).unwrap() <= proof::HASHES_MAX);
        // The builder walks down where the formula counts bits: a reader that makes up nodes shows they agree.
        struct Anything;
        impl proof::NodeReader for Anything {
            type Error = std::convert::Infallible;
            fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
                Ok(tlog::leaf_hash(&[&[level][..], &index.to_be_bytes()].concat()))
            }
        }
        prop_assert_eq!(proof::inclusion(&Anything, index, size).unwrap().len(), length);
        let consistency = proof::consistency(&Anything, index + 1, size).unwrap();
        prop_assert_eq!(consistency.len(), proof::consistency_length(index + 1, size).unwrap());
    }
}

/// A log of 300 leaves, its key, and its signed head.
fn log() -> (Tree, SignerKey, SignedCheckpoint) {
    let (tree, key) = (Tree::new(300), key(7));
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: 300, root: tree.root(300) };
    let signed = head.sign(&[&key]).unwrap();
    (tree, key, signed)
}

#[test]
fn a_tlog_proof_reads_back_verifies_and_refuses_every_change_of_meaning() {
    let (tree, key, signed) = log();
    let known = [key.verifier().clone()];
    for index in [0, 1, 255, 256, 298, 299] {
        for extra in [None, Some(Vec::new()), Some(b"anything".to_vec())] {
            let hashes = proof::inclusion(&tree, index, 300).unwrap();
            let proof = TlogProof { extra, index, hashes, checkpoint: signed.note.clone() };
            assert_eq!(proof.to_string().parse(), Ok(proof.clone()));
            let leaf = tree.leaf(index);
            assert_eq!(proof.verify(&leaf, ORIGIN, &known).unwrap().checkpoint, signed.checkpoint);

            let refused = |proof: &TlogProof, leaf: &Hash, origin: &str, known: &[VerifierKey]| {
                proof.verify(leaf, origin, known).expect_err("a change of meaning")
            };
            assert!(matches!(refused(&proof, &turn_bit(&leaf, 9), ORIGIN, &known), Error::ProofRefused(_)));
            assert!(matches!(refused(&proof, &leaf, "other", &known), Error::WrongOrigin { .. }));
            assert_eq!(refused(&proof, &leaf, ORIGIN, &[]), Error::Unverified);
            let moved = TlogProof { index: index ^ 1, ..proof.clone() };
            assert!(matches!(refused(&moved, &leaf, ORIGIN, &known), Error::ProofRefused(_)));
            let beyond = TlogProof { index: 300, ..proof.clone() };
            assert!(matches!(refused(&beyond, &leaf, ORIGIN, &known), Error::ProofRefused(_)));
            let empty = TlogProof { hashes: Vec::new(), ..proof.clone() };
            assert!(matches!(refused(&empty, &leaf, ORIGIN, &known), Error::ProofRefused(_)));
        }
    }
}

#[test]
fn malformed_tlog_proofs_are_refused() {
    let (tree, _, signed) = log();
    let note = &signed.note;
    let hash = tree.leaf(0).to_string();
    let head = "c2sp.org/tlog-proof@v1";
    let many = format!("{hash}\n").repeat(proof::HASHES_MAX + 1);
    for good in [format!("{head}\nindex 0\n\n{note}"), format!("{head}\nextra \nindex 0\n{hash}\n\n{note}")] {
        assert_eq!(good.parse::<TlogProof>().unwrap().to_string(), good);
    }
    for bad in [
        String::new(),
        format!("{head}\n"),
        format!("{head}\nindex 0\n"),
        format!("{head}\nindex 0\n{note}"),
        format!("{head}\n\n{note}"),
        format!("index 0\n\n{note}"),
        format!("c2sp.org/tlog-proof@v2\nindex 0\n\n{note}"),
        format!(" {head}\nindex 0\n\n{note}"),
        format!("{head}\r\nindex 0\r\n\r\n{note}"),
        format!("{head}\nindex 00\n\n{note}"),
        format!("{head}\nindex +1\n\n{note}"),
        format!("{head}\nindex  1\n\n{note}"),
        format!("{head}\nindex 1 \n\n{note}"),
        format!("{head}\nindex\n\n{note}"),
        format!("{head}\nindex 18446744073709551616\n\n{note}"),
        format!("{head}\nIndex 1\n\n{note}"),
        format!("{head}\nindex 1\nindex 1\n\n{note}"),
        format!("{head}\nindex 0\nextra AAAA\n\n{note}"),
        format!("{head}\nextra AAAA\nextra AAAA\nindex 0\n\n{note}"),
        format!("{head}\nextra\nindex 0\n\n{note}"),
        format!("{head}\nextra AAA\nindex 0\n\n{note}"),
        format!("{head}\nextra {}\nindex 0\n\n{note}", "AAAA".repeat(tlog::tlog_proof::EXTRA_BYTES_MAX)),
        format!("{head}\nindex 0\n{}\n\n{note}", hash.trim_end_matches('=')),
        format!("{head}\nindex 0\n{hash} \n\n{note}"),
        format!("{head}\nindex 0\nAAAA\n\n{note}"),
        format!("{head}\nindex 0\n{many}\n{note}"),
    ] {
        assert!(matches!(bad.parse::<TlogProof>(), Err(Error::Malformed { .. })), "{:?}", &bad[..bad.len().min(120)]);
    }
}

#[test]
fn an_extension_reads_back_verifies_and_refuses_another_past() {
    let (tree, key, signed) = log();
    let known = [key.verifier().clone()];
    for old_size in [0, 1, 2, 255, 256, 257, 299, 300] {
        let hashes = proof::consistency(&tree, old_size, 300).unwrap();
        let extends = Extends { old_size, hashes, checkpoint: signed.note.clone() };
        assert_eq!(extends.to_string().parse(), Ok(extends.clone()));
        let old = Checkpoint { origin: ORIGIN.to_owned(), size: old_size, root: tree.root(old_size) };
        assert_eq!(extends.verify(Some(&old), ORIGIN, &known).unwrap().checkpoint, signed.checkpoint);
        assert_eq!(extends.verify(None, ORIGIN, &known).is_ok(), old_size == 0);

        let forked = Checkpoint { root: turn_bit(&old.root, 1), ..old.clone() };
        assert!(matches!(extends.verify(Some(&forked), ORIGIN, &known), Err(Error::ProofRefused(_))));
        let other_size = Checkpoint { size: old_size ^ 1, ..old.clone() };
        assert!(matches!(extends.verify(Some(&other_size), ORIGIN, &known), Err(Error::ProofRefused(_))));
        let other_log = Checkpoint { origin: "other".to_owned(), ..old };
        assert!(matches!(extends.verify(Some(&other_log), ORIGIN, &known), Err(Error::WrongOrigin { .. })));
    }
    // A remembered head larger than the one shown: rolled back.
    let larger = Checkpoint { origin: ORIGIN.to_owned(), size: 301, root: tree.root(300) };
    let extends = Extends { old_size: 301, hashes: Vec::new(), checkpoint: signed.note.clone() };
    assert!(matches!(extends.verify(Some(&larger), ORIGIN, &known), Err(Error::ProofRefused(_))));
    for bad in ["old 00", "old", "old -1", "Old 1", "old 1\nAAAA", "old 1 ", ""] {
        let text = format!("{bad}\n\n{}", signed.note);
        assert!(matches!(text.parse::<Extends>(), Err(Error::Malformed { .. })), "{bad:?}");
    }
}

#[test]
fn entries_that_contradict_themselves_are_refused() {
    let note = Entry {
        kind: Kind::KeyNote,
        body_bytes: 3,
        index: 5,
        number: 6,
        received_at_us: 7,
        id: [0; 16],
        payload: Payload::Inline(b"abc"),
    };
    let event = Entry { kind: Kind::Event, payload: Payload::Committed { commitment: Hash([1; 32]) }, ..note };
    for (place, value) in [(0, 0), (0, 2), (1, 0), (1, 6), (1, 255), (2, 2), (3, 1)] {
        for entry in [note, event] {
            let mut bytes = entry.encode();
            bytes[place] = value;
            assert!(Entry::decode(&bytes).is_err(), "byte {place} = {value}");
        }
    }
    let long = vec![0; entry::INLINE_BODY_BYTES_MAX + 1];
    let long_bytes = long.len() as u32;
    for (entry, good) in [
        (note, true),
        (event, true),
        (Entry { body_bytes: 4, ..note }, false),
        (Entry { kind: Kind::Event, ..note }, false),
        (Entry { kind: Kind::RecordingChunk, ..note }, false),
        (Entry { kind: Kind::RecordingChunk, ..event }, true),
        (Entry { kind: Kind::LogNote, ..event }, false),
        (Entry { kind: Kind::LogNote, body_bytes: long_bytes, ..event }, true),
        (Entry { kind: Kind::LogNote, body_bytes: long_bytes - 1, ..event }, false),
        (Entry { body_bytes: long_bytes, payload: Payload::Inline(&long), ..note }, false),
        (Entry { body_bytes: long_bytes - 1, payload: Payload::Inline(&long[1..]), ..note }, true),
        (Entry { body_bytes: u32::MAX, ..event }, true),
    ] {
        assert_eq!(entry.check().is_ok(), good, "{:?}, {} bytes", entry.kind, entry.body_bytes);
        if good {
            assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }
    }
}
