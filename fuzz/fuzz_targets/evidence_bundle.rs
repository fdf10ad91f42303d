//! Evidence bundles and packs of bodies over arbitrary files: no panic, and nothing is verified that the key did not sign.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/counterfoil/src/verify/mod.rs"]
mod verify;

use verify::files::Held;
use verify::trust::Trust;
use verify::{Verdict, bundle, disclosed, whole};

const KEY: &str =
    "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa+cf780f16+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
/// The signed checkpoint of the published vector, so that what lies behind it is reached.
const CHECKPOINT: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa\n3\n6IHuDE1uter/E8sSIt58E9ifVZEVeSBw0vqV9qB79uQ=\n\n\
    \u{2014} audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa z3gPFpZxLymzSImCulWC7vVME8S0RBwEe/flchDOCMDG9uvJ3UvFfbPySJps4u/3BZzPuWt/bxRqpAKYPxvBDd9KCQU=\n";

fuzz_target!(|input: (bool, Vec<(String, Vec<u8>)>)| {
    let (honest, files) = input;
    let mut files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
    if honest {
        files.insert("checkpoint".to_owned(), CHECKPOINT.as_bytes().to_vec());
    }
    for bytes in files.values() {
        for width in [1, 3, 256] {
            if let Some(events) = disclosed::unpack(bytes, width) {
                assert_eq!(&disclosed::pack(&events), bytes);
            }
        }
    }
    let trust = Trust { keys: vec![KEY.parse().expect("the key of the published vector")], policy: None, is_pinned: true };
    let paths: Vec<String> = files.keys().cloned().collect();
    let held = Held(files);
    let report = bundle::verify(&held, &paths, &trust, &[]);
    if report.verdict() == Verdict::Verified {
        assert_eq!((report.size, report.origin.as_str()), (3, "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa"));
    }
    let _ = whole::verify(&held, &trust, &[], true, &mut |_, _| {});
});
