//! Learning the keys that followed a trusted one, from the log's own key notes (`specs/proofs.md` §4.2).
//!
//! A key signs for ninety days beside the one that follows it, and then no more: who knows only the old key cannot open the
//! log's checkpoint. But the note that names the new key is an entry of the log, under a checkpoint that the old key signed, and
//! the log keeps that for ever. Its proof stands in the published file `key-notes/<index>` (C2SP tlog-proof; its extra data is
//! the whole entry).

use serde_json::Value;
use tlog::checkpoint::SignedCheckpoint;
use tlog::entry::{Entry, Kind, Payload};
use tlog::note::{Algorithm, VerifierKey};
use tlog::tlog_proof::TlogProof;

use super::files::Files;

/// Most keys that are followed: one a week for twenty years.
const KEYS_MAX: usize = 1_000;

/// The reason of a note that says the old key may be in other hands.
const COMPROMISED: &str = "compromised";

/// A key that was learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learnt {
    /// The key.
    pub key: VerifierKey,
    /// Index of the note that names it.
    pub note_index: u64,
}

/// Where the proof of the key note at an index is published.
pub fn path(note_index: u64) -> String {
    format!("key-notes/{note_index}")
}

/// The keys that followed those in `known`, as far as the log's key notes prove them, oldest first; each proven under the one
/// before.
///
/// # Errors
/// Why the newest key of the log cannot be learnt, in words for the user.
pub fn follow(files: &dyn Files, known: &[VerifierKey]) -> Result<Vec<Learnt>, String> {
    let text = files.need("keys")?;
    let list: Value = serde_json::from_slice(&text).map_err(|error| format!("the log's keys are not JSON: {error}"))?;
    let list = list.get("keys").and_then(Value::as_array).ok_or("the source's list of keys holds none")?;
    if list.len() > KEYS_MAX {
        return Err(format!("the source lists more than {KEYS_MAX} keys"));
    }
    let mut keys = Vec::with_capacity(list.len());
    for listed in list {
        let key = listed.get("vkey").and_then(Value::as_str).ok_or("a key of the source's list has no vkey")?;
        let key: VerifierKey = key.parse().map_err(|error| format!("the source's key {key:?}: {error}"))?;
        let first_size = listed.get("first_size").and_then(Value::as_u64);
        keys.push((key, first_size.ok_or("a key of the source's list has no first_size")?));
    }
    // What the source lists is only where to look: every step is proven.
    let newest_known = keys.iter().rposition(|(key, _)| known.contains(key));
    let start = newest_known.ok_or("none of the keys that the log ever had is the one that is trusted")?;
    let mut learnt = Vec::new();
    for pair in keys[start..].windows(2) {
        let ((old, _), (new, first_size)) = (&pair[0], &pair[1]);
        let note_index =
            first_size.checked_sub(1).ok_or("a key that replaced another one cannot be the log's first")?;
        step(files, old, new, note_index)?;
        learnt.push(Learnt { key: new.clone(), note_index });
    }
    Ok(learnt)
}

/// Accepts if the note at this index says, under a checkpoint signed by `old`, that `new` follows it.
fn step(files: &dyn Files, old: &VerifierKey, new: &VerifierKey, note_index: u64) -> Result<(), String> {
    let path = path(note_index);
    let wrong = |what: &dyn std::fmt::Display| format!("{path}: {what}");
    if old.name() != new.name() || new.algorithm() != Algorithm::Ed25519 {
        return Err(wrong(&"the key that is to follow is not one of this log"));
    }
    let text = String::from_utf8(files.need(&path)?).map_err(|_| wrong(&"not UTF-8 text"))?;
    let proof: TlogProof = text.parse().map_err(|error: tlog::Error| wrong(&error))?;
    let entry = proof.extra.as_deref().ok_or_else(|| wrong(&"it holds no entry"))?;
    let leaf = tlog::leaf_hash(entry);
    let signed: Result<SignedCheckpoint, _> = proof.verify(&leaf, old.name(), std::slice::from_ref(old));
    signed.map_err(|error| wrong(&error))?;
    let entry = Entry::decode(entry).map_err(|error| wrong(&error))?;
    let (Kind::KeyNote, Payload::Inline(note)) = (entry.kind, entry.payload) else {
        return Err(wrong(&"the entry is no key note"));
    };
    if proof.index != note_index || entry.index != note_index {
        return Err(wrong(&"the entry is another one"));
    }
    let note: Value = serde_json::from_slice(note).map_err(|error| wrong(&error))?;
    let said = |name: &str| note.get(name).and_then(Value::as_str).unwrap_or_default();
    if said("key") != "rotated" || said("old") != old.to_string() || said("new") != new.to_string() {
        return Err(wrong(&"the note names other keys"));
    }
    if said("reason") == COMPROMISED {
        return Err(format!(
            "the key was declared compromised by the note at index {note_index}: whoever has it could have written that note, \
             so it proves no new key; get the new key where you got the old one"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use tlog::checkpoint::Checkpoint;
    use tlog::note::SignerKey;
    use tlog::{Frontier, Hash};

    use super::super::files::Held;
    use super::*;

    const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn key(seed: u8) -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[seed; 32]).expect("a key")
    }

    fn entry(index: u64, kind: Kind, body: &[u8]) -> Vec<u8> {
        let payload = Payload::Inline(body);
        let body_bytes = body.len() as u32;
        Entry { kind, body_bytes, index, number: index + 1, received_at_us: 1, id: [0; 16], payload }.encode()
    }

    /// A log of two entries: the second one says that the key of seed 8 follows the one of seed 7; signed by `signer`.
    fn published(reason: &str, signer: u8, kind: Kind) -> Held {
        let (old, new) = (key(7), key(8));
        let note = json!({
            "key": "rotated", "epoch": 2, "old": old.verifier().to_string(), "new": new.verifier().to_string(),
            "reason": reason, "by": "ann",
        });
        let first = entry(0, Kind::LogNote, b"{}");
        let second = entry(1, kind, note.to_string().as_bytes());
        let leaves: Vec<Hash> = [&first, &second].map(|entry| tlog::leaf_hash(entry)).to_vec();
        let mut frontier = Frontier::new();
        frontier.extend(&leaves);
        let head = Checkpoint { origin: ORIGIN.to_owned(), size: 2, root: frontier.root() };
        let checkpoint = head.sign(&[&key(signer)]).expect("signed").note;
        let proof = TlogProof { extra: Some(second), index: 1, hashes: vec![leaves[0]], checkpoint };
        let keys = json!({"keys": [
            {"vkey": old.verifier().to_string(), "first_size": 0}, {"vkey": new.verifier().to_string(), "first_size": 2},
        ]});
        Held(BTreeMap::from([
            ("keys".to_owned(), keys.to_string().into_bytes()),
            ("key-notes/1".to_owned(), proof.to_string().into_bytes()),
        ]))
    }

    #[test]
    fn who_knows_the_old_key_learns_the_new_one_from_the_note_and_nothing_from_a_changed_one() {
        let known = [key(7).verifier().clone()];
        let files = published("yearly", 7, Kind::KeyNote);
        let learnt = vec![Learnt { key: key(8).verifier().clone(), note_index: 1 }];
        assert_eq!(follow(&files, &known), Ok(learnt));
        assert_eq!(follow(&files, &[key(8).verifier().clone()]), Ok(Vec::new()), "nothing newer");
        for path in ["keys", "key-notes/1"] {
            for at in 0..files.0[path].len() {
                let mut changed = Held(files.0.clone());
                changed.0.get_mut(path).expect("it is there")[at] ^= 1;
                let found = follow(&changed, &known).unwrap_or_default();
                let stranger = found.iter().any(|learnt| learnt.key != *key(8).verifier());
                assert!(!stranger, "{path} at {at}: {found:?}");
            }
        }
    }

    #[test]
    fn a_note_of_a_compromised_key_of_another_signer_or_kind_teaches_nothing() {
        let known = [key(7).verifier().clone()];
        let refused = |files: Held| follow(&files, &known).expect_err("refused");
        assert!(refused(published(COMPROMISED, 7, Kind::KeyNote)).contains("where you got the old one"));
        assert!(refused(published("yearly", 8, Kind::KeyNote)).contains("key-notes/1"), "signed by the new key alone");
        assert!(refused(published("yearly", 7, Kind::LogNote)).contains("no key note"));
        let stranger = [key(9).verifier().clone()];
        assert!(follow(&published("yearly", 7, Kind::KeyNote), &stranger).expect_err("refused").contains("trusted"));
        let mut without = published("yearly", 7, Kind::KeyNote);
        without.0.remove("key-notes/1");
        assert!(follow(&without, &known).expect_err("refused").contains("not there"));
    }
}
