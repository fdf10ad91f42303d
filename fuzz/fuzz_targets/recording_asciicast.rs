//! asciicast of each version; and what is read of 2 and 3 is written and read back the same.
#![no_main]

mod recordings;

use libfuzzer_sys::fuzz_target;
use replay::format::asciicast::{Version, Writer};
use replay::format::{Format, Part, Reader, What};

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::AsciicastV1, Format::AsciicastV2, Format::AsciicastV3] {
        recordings::check(format, &[("a", bytes)]);
    }
    let Ok(reader) = Reader::open(Format::AsciicastV3, vec![Part::new("a", bytes)]) else { return };
    let header = reader.header().clone();
    let (events, _) = recordings::read_all(Ok(reader), bytes.len());
    // A name of another event, or bytes that are no text, are not written as they were.
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    let faithful = events.iter().all(|event| match &event.what {
        What::Output(bytes) | What::Input(bytes) => text(bytes),
        What::Other { code, .. } => code != "x",
        _ => true,
    });
    for (version, format) in [(Version::V2, Format::AsciicastV2), (Version::V3, Format::AsciicastV3)] {
        let mut writer = Writer::new(Vec::new(), version, &header).expect("memory takes it");
        for event in &events {
            writer.event(event).expect("memory takes it");
        }
        let written = writer.finish().expect("memory takes it");
        let again = Reader::open(format, vec![Part::new("a", &written[..])]);
        let (read, damage) = recordings::read_all(again, written.len());
        assert_eq!(damage, None);
        assert!(!faithful || read == events);
    }
});
