//! Arbitrary bytes opened as replay file, span file and key frame; also ones whose checksums fit, because they were made by
//! changing what is inside a file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use replay::file::Replay;
use replay::format::{Event, What};
use replay::screen::Screen;
use replay::span::file::Spans;

#[path = "../../crates/replay/tests/common/checked.rs"]
mod checked;

fn read_all(bytes: &Vec<u8>) {
    if let Ok(replay) = Replay::open(bytes) {
        for moment in [0, 1, replay.duration_us() / 2, u64::MAX] {
            let _ = replay.at_time(moment);
            let _ = replay.at_screen(moment);
        }
        if let Ok(events) = replay.events(0) {
            assert!(events.filter(Result::is_err).count() <= 1, "an error is the end");
        }
    }
    if let Ok(spans) = Spans::open(bytes) {
        assert!(spans.iter().filter(Result::is_err).count() <= 1, "an error is the end");
        for position in [0, 16 << 16, (16 << 16) + 1, u64::MAX] {
            let _ = spans.get(position);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    read_all(&bytes.to_vec());
    if let Ok(mut screen) = Screen::from_frame(bytes) {
        screen.output(b"\x1b[?1049hx\r\n\x1b[?1049l\xcc\x81");
        let again = Screen::from_frame(&screen.frame()).expect("a screen's own frame");
        assert_eq!(again, screen);
    }
    // A whole file with some bytes changed: three bytes for each change.
    let events: Vec<Event> =
        (0..20).map(|step| Event { at_us: step * 50_000, what: What::Output(format!("line {step}\r\n").into_bytes()) }).collect();
    let mut file = checked::index(&checked::header(20, 4), &events, 200).replay;
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[at] ^= change[2];
    }
    read_all(&file);
});
