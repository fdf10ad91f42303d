//! Signed notes, checkpoints, proofs, growth proofs, keys and tile paths: what is read back is what was written, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::extends::Extends;
use tlog::note::{Note, VerifierKey};
use tlog::tile::Resource;
use tlog::tlog_proof::TlogProof;

const KEY: &str =
    "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa+cf780f16+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

fuzz_target!(|text: &str| {
    let key: VerifierKey = KEY.parse().expect("the key of the published vector");
    let _ = Note::parse(text);
    if let Ok(signed) = SignedCheckpoint::open(text, key.name(), std::slice::from_ref(&key)) {
        assert_eq!(signed.checkpoint.origin, key.name());
    }
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string().parse::<Checkpoint>().as_ref(), Ok(&checkpoint));
    }
    if let Ok(proof) = text.parse::<TlogProof>() {
        assert_eq!(proof.to_string().parse::<TlogProof>().as_ref(), Ok(&proof));
    }
    if let Ok(extends) = text.parse::<Extends>() {
        assert_eq!(extends.to_string().parse::<Extends>().as_ref(), Ok(&extends));
    }
    if let Ok(vkey) = text.parse::<VerifierKey>() {
        assert_eq!(vkey.to_string(), text);
    }
    if let Ok(resource) = text.parse::<Resource>() {
        let written = match &resource {
            Resource::Tile(tile) => tile.to_string(),
            Resource::Bundle(bundle) => bundle.to_string(),
        };
        assert_eq!(written, text);
    }
});
