//! A tar of parts, and the detection of formats: whatever is detected can be read to an end.
#![no_main]

mod recordings;

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use replay::format::{Reader, detect, detect_in, tar};

fuzz_target!(|bytes: &[u8]| {
    if let Some(format) = detect(&[("a", bytes)]) {
        recordings::check(format, &[("a", bytes)]);
    }
    let mut bytes = bytes.to_vec();
    // The checksum of the first header is made right, or few inputs would pass it.
    if bytes.len() >= 512 {
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    if let Ok(mut parts) = tar::parts_of_tar(Cursor::new(&bytes))
        && let Ok(Some(format)) = detect_in(&mut parts)
    {
        let _ = recordings::read_all(Reader::open(format, parts), bytes.len());
    }
});
