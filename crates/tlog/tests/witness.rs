//! What a witness answers: every row of the specification, and nothing that could make it sign two histories.

mod common;

use proptest::prelude::*;
use tlog::checkpoint::Checkpoint;
use tlog::extends::Extends;
use tlog::note::{Note, SignerKey, VerifierKey};
use tlog::witness::{self, Known, Refusal};
use tlog::{Hash, proof};

use common::Tree;

const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

fn log() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

fn head(tree: &Tree, size: u64) -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size, root: tree.root(size) }
}

fn body(tree: &Tree, old: u64, new: u64) -> Extends {
    let hashes = proof::consistency(tree, old, new).unwrap();
    Extends { old_size: old, hashes, checkpoint: head(tree, new).sign(&[&log()]).unwrap().note }
}

fn judge(body: &str, keys: &[VerifierKey], last: Option<&Checkpoint>) -> Result<Checkpoint, Refusal> {
    let known = |origin: &str| (origin == ORIGIN).then(|| Known { keys, last: last.cloned() });
    witness::judge(body, known).map(|signed| signed.checkpoint)
}

#[test]
fn each_refusal_has_the_status_of_the_specification() {
    let tree = Tree::new(12);
    let keys = [log().verifier().clone()];
    let last = head(&tree, 5);
    let status = |body: &str| judge(body, &keys, Some(&last)).map_err(|refusal| (refusal.status(), refusal.size()));

    assert_eq!(status(&body(&tree, 5, 9).to_string()), Ok(head(&tree, 9)));
    assert_eq!(status(&body(&tree, 5, 5).to_string()), Ok(last.clone()), "the same again is cosigned again");
    assert_eq!(status("nonsense"), Err((400, None)));
    let above = Extends { old_size: 10, ..body(&tree, 5, 9) };
    assert_eq!(status(&above.to_string()), Err((400, None)));
    let stranger = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let unsigned = Extends { checkpoint: head(&tree, 9).sign(&[&stranger]).unwrap().note, ..body(&tree, 5, 9) };
    assert_eq!(status(&unsigned.to_string()), Err((403, None)));
    let mut other = head(&tree, 9);
    other.origin = "elsewhere.example".to_owned();
    let unknown = Extends { checkpoint: other.sign(&[&log()]).unwrap().note, ..body(&tree, 5, 9) };
    assert_eq!(status(&unknown.to_string()), Err((404, None)));
    assert_eq!(status(&body(&tree, 4, 9).to_string()), Err((409, Some(5))));
    assert_eq!(status(&body(&tree, 0, 9).to_string()), Err((409, Some(5))));
    assert_eq!(status(&body(&tree, 6, 9).to_string()), Err((409, Some(5))));
    let mut wrong = body(&tree, 5, 9);
    wrong.hashes.pop();
    assert_eq!(status(&wrong.to_string()), Err((422, None)));

    let fork = |size, root| Checkpoint { origin: ORIGIN.to_owned(), size, root };
    let same_size = Extends { checkpoint: fork(5, Hash([1; 32])).sign(&[&log()]).unwrap().note, ..body(&tree, 5, 5) };
    assert_eq!(status(&same_size.to_string()), Err((409, Some(5))));
    assert!(judge(&same_size.to_string(), &keys, Some(&last)).unwrap_err().is_evidence());
    let forked = Extends { checkpoint: fork(9, Hash([1; 32])).sign(&[&log()]).unwrap().note, ..body(&tree, 5, 9) };
    assert!(judge(&forked.to_string(), &keys, Some(&last)).unwrap_err().is_evidence());
}

#[test]
fn the_first_checkpoint_starts_from_nothing_and_needs_no_proof() {
    let tree = Tree::new(9);
    let keys = [log().verifier().clone()];
    assert_eq!(judge(&body(&tree, 0, 9).to_string(), &keys, None), Ok(head(&tree, 9)));
    assert_eq!(judge(&body(&tree, 4, 9).to_string(), &keys, None), Err(Refusal::OtherSize { size: 0 }));
    let mut padded = body(&tree, 0, 9);
    padded.hashes.push(Hash([0; 32]));
    assert!(judge(&padded.to_string(), &keys, None).is_err());
}

#[test]
fn every_changed_bit_of_a_request_is_refused() {
    let tree = Tree::new(12);
    let keys = [log().verifier().clone()];
    let last = head(&tree, 5);
    let good = body(&tree, 5, 11).to_string();
    judge(&good, &keys, Some(&last)).unwrap();
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(judge(&changed, &keys, Some(&last)).is_err(), "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn an_answer_is_taken_for_what_it_proves_and_no_more() {
    let tree = Tree::new(5);
    let (first, second) = (witness(1), witness(2));
    let checkpoint = head(&tree, 5);
    let note = checkpoint.sign(&[&log()]).unwrap().note;
    let (one, two) = (first.cosign(&checkpoint.to_string(), 100), second.cosign(&checkpoint.to_string(), 200));
    let take = |answer: &str| witness::cosignatures(&note, answer, first.verifier());
    assert_eq!(take(&one), Ok((one.clone(), 100)));
    assert_eq!(take(&format!("{two}{one}")), Ok((one.clone(), 100)), "others' lines are left out");
    assert!(take(&two).is_err());
    assert!(take("").is_err());
    assert!(take("nonsense\n").is_err());
    assert!(take(&first.cosign("another text\n", 100)).is_err());
    assert!(take(&format!("{one}\n\n{one}")).is_err());
    // What comes of it is a note again.
    let whole = format!("{note}{one}");
    let keys = [log().verifier().clone(), first.verifier().clone()];
    assert_eq!(Note::parse(&whole).unwrap().verify(&keys).unwrap().len(), 2);
}

fn witness(seed: u8) -> SignerKey {
    SignerKey::cosigner_from_seed("witness.example/w", &[seed; 32]).unwrap()
}

#[test]
fn a_size_is_read_in_its_one_writing() {
    assert_eq!(witness::parse_size("0\n"), Ok(0));
    assert_eq!(witness::parse_size("20852163\n"), Ok(20_852_163));
    for bad in ["", "\n", "7", "07\n", "7\n\n", " 7\n", "7\r\n", "-7\n", "99999999999999999999\n"] {
        assert!(witness::parse_size(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    /// Whatever is sent in whatever order, what was cosigned is one history: each accepted head extends the one before.
    #[test]
    fn no_order_of_requests_makes_a_witness_sign_two_histories(
        requests in prop::collection::vec((0..3u8, 0..24u64, 0..24u64), 1..40),
    ) {
        // Three histories that part after four entries: entries are their numbers, from 4 on shifted.
        let histories: Vec<Tree> = (0..3u64).map(|history| forked(24, 4, history)).collect();
        let keys = [log().verifier().clone()];
        let mut last: Option<Checkpoint> = None;
        for (history, old, new) in requests {
            if old > new {
                continue;
            }
            let tree = &histories[usize::from(history)];
            if let Ok(accepted) = judge(&body(tree, old, new).to_string(), &keys, last.as_ref()) {
                if let Some(last) = &last {
                    prop_assert!(accepted.size >= last.size);
                    let holds_both = histories.iter().any(|t| t.root(last.size) == last.root && t.root(accepted.size) == accepted.root);
                    prop_assert!(holds_both);
                }
                last = Some(accepted);
            }
        }
    }
}

/// A tree whose entries from `fork` on depend on `history`.
fn forked(size: u64, fork: u64, history: u64) -> Tree {
    let mut levels: Vec<Vec<Hash>> = vec![Vec::new(); 64];
    let mut frontier = tlog::Frontier::new();
    let mut roots = vec![frontier.root()];
    for index in 0..size {
        let entry = if index < fork { index } else { index + 1_000 * history };
        frontier.push_with(tlog::leaf_hash(&entry.to_be_bytes()), &mut |level, _, hash| {
            levels[usize::from(level)].push(hash)
        });
        roots.push(frontier.root());
    }
    Tree { levels, roots }
}
