//! Policies and what witnesses are sent: no panic, what is read is written again, nothing unsigned is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::checkpoint::Checkpoint;
use tlog::note::VerifierKey;
use tlog::policy::Policy;
use tlog::witness::{self, Known};
use tlog::{Hash, TREE_SIZE_MAX};

const KEY: &str =
    "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa+cf780f16+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

fuzz_target!(|text: &str| {
    let key: VerifierKey = KEY.parse().expect("the key of the published vector");
    let keys = [key.clone()];
    if let Ok(policy) = text.parse::<Policy>() {
        assert_eq!(policy.to_string().parse::<Policy>().as_ref(), Ok(&policy));
        let _ = policy.open(text, key.name(), &keys);
    }
    for last in [None, Some(Checkpoint { origin: key.name().to_owned(), size: 2, root: Hash([0; 32]) })] {
        let remembered = last.clone();
        let known = |origin: &str| (origin == key.name()).then(|| Known { keys: &keys, last: remembered });
        if let Ok(signed) = witness::judge(text, known) {
            assert!(signed.checkpoint.size >= last.map_or(0, |last| last.size) && signed.checkpoint.size <= TREE_SIZE_MAX);
        }
    }
    let _ = witness::cosignatures(text, text, &key);
    if let Ok(size) = witness::parse_size(text) {
        assert_eq!(format!("{size}\n"), text);
    }
});
