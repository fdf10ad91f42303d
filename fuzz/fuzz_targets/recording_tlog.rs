//! tlog in each of its carriers.
#![no_main]

mod recordings;

use libfuzzer_sys::fuzz_target;
use replay::format::{Format, Part, Reader, tlog};

fuzz_target!(|bytes: &[u8]| {
    recordings::check(Format::Tlog, &[("a", bytes)]);
    let (found, _) = tlog::recordings(Part::new("a", bytes));
    for recording in found.into_iter().take(3) {
        let choice = tlog::Choice { recording: Some(recording.recording), over_gaps: true };
        let _ = recordings::read_all(Reader::open_tlog(Part::new("a", bytes), &choice), bytes.len());
    }
});
