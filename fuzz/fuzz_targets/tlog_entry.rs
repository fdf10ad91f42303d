//! Entries and entry bundles: what decodes encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::entry::Entry;
use tlog::tile;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode(), bytes);
    }
    let Some((width, rest)) = bytes.split_first() else { return };
    let width = u16::from(*width) + 1;
    if let Ok(entries) = tile::decode_bundle(rest, width) {
        assert_eq!(tile::encode_bundle(entries).expect("they were in a bundle"), rest);
    }
    if let Ok(hashes) = tile::decode_hashes(rest, width) {
        assert_eq!(tile::encode_hashes(&hashes), rest);
    }
});
