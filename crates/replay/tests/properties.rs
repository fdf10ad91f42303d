//! What holds for any bytes: what is written is read back, nothing panics or runs on for ever, and how the bytes arrive
//! makes no difference.

mod common;

use std::io::{Cursor, Read};

use common::{Outcome, read_all};
use proptest::prelude::*;
use replay::cell::{Rgb, Size};
use replay::format::asciicast::{Version, Writer};
use replay::format::{Event, Format, Header, Part, Reader, TIME_US_MAX, Theme, What, detect, tar, tlog};

fn size() -> impl Strategy<Value = Size> {
    (1u64..=2000, 1u64..=1000).prop_map(|(columns, rows)| Size::new(columns, rows).expect("inside the limits"))
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        any::<String>().prop_map(|text| What::Output(text.into_bytes())),
        any::<String>().prop_map(|text| What::Input(text.into_bytes())),
        size().prop_map(What::Resize),
        any::<String>().prop_map(What::Marker),
        any::<i64>().prop_map(What::Exit),
        ("[a-z]{2,9}", any::<String>()).prop_map(|(code, data)| What::Other { code, data }),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0u64..TIME_US_MAX / 100, what()), 0..40).prop_map(|steps| {
        let mut at_us = 0;
        let event = |(pause_us, what)| {
            at_us += pause_us;
            Event { at_us, what }
        };
        steps.into_iter().map(event).collect()
    })
}

fn header(format: Format) -> impl Strategy<Value = Header> {
    let colour = || any::<[u8; 3]>().prop_map(|[red, green, blue]| Rgb(red, green, blue));
    let theme =
        (colour(), colour(), prop_oneof![prop::collection::vec(colour(), 8), prop::collection::vec(colour(), 16)]);
    let theme = theme.prop_map(|(foreground, background, palette)| Theme { foreground, background, palette });
    let name = || prop::option::of("[ -~]{1,20}");
    let environment = prop::collection::btree_map("[A-Z]{1,5}", any::<String>(), 0..4);
    (size(), prop::option::of(0u64..1 << 32), name(), name(), environment, prop::option::of(theme)).prop_map(
        move |(size, seconds, command, title, environment, theme)| Header {
            size: Some(size),
            started_at_us: seconds.map(|seconds| seconds * 1_000_000),
            command,
            title,
            terminal_type: environment.get("TERM").cloned(),
            environment,
            theme,
            ..Header::new(format)
        },
    )
}

fn write(version: Version, header: &Header, events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), version, header).expect("memory takes it");
    for event in events {
        writer.event(event).expect("memory takes it");
    }
    writer.finish().expect("memory takes it")
}

fn read(format: Format, bytes: &[u8]) -> Outcome {
    read_all(Reader::open(format, vec![Part::new("a", bytes)]))
}

/// Gives its bytes in pieces of changing length, interrupted now and then.
struct Pieces<'b> {
    bytes: &'b [u8],
    lengths: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.lengths.next().expect("a cycle has no end").min(buffer.len()).min(self.bytes.len());
        if length == 0 && !self.bytes.is_empty() {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        buffer[..length].copy_from_slice(&self.bytes[..length]);
        self.bytes = &self.bytes[length..];
        Ok(length)
    }
}

/// Bytes that look like recordings for a while: pieces of real ones, shuffled, with noise between.
fn nearly_recordings() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"{\"version\": 2, \"width\": 80, \"height\": 24}\n", b"{\"version\":3,\"term\":{\"cols\":80,\"rows\":24}}\n",
        b"{\"version\":1,\"width\":80,\"height\":24,\"stdout\":[", b"[0.5,\"a\"]", b",", b"]}", b"[1.5, \"o\", \"\\u001b[1m\"]\n",
        b"[0, \"r\", \"9x9\"]\n", b"# x\n", b"\n", b"\x01\0\0\0\x02\0\0\0\x03\0\0\0abc", b"Script started on x [COLUMNS=\"9\"]\n", b"0.5 3\n", b"O 0.1 2\n",
        b"I 0.1 2\n", b"H 0.0 INPUT_LOG a\n", b"S 0.1 SIGWINCH ROWS=3 COLS=4\n", b"\nScript done on x\n", b"4 0.5 2\n", b"5 0.1 3 4\n", b"7 0.1 TSTP\n",
        b"1:a:b:c:d:1:2\n/x\n/y\n", b"{\"ver\":\"2.2\",\"rec\":\"r\",\"id\":1,\"pos\":0,\"timing\":\"=8x8>1+5]1/1\",\"out_txt\":\"ab\",\"out_bin\":[7]}\n",
        b"{\"ver\":\"2.2\",\"rec\":\"r\",\"id\":2,\"pos\":9,\"timing\":\">1\",\"out_txt\":\"ab\"}\n", b"__CURSOR=x\n", b"MESSAGE=", b"MESSAGE\n\x02\0\0\0\0\0\0\0hi\n", b"\x1f\x8b\x08\0",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_writer_writes_the_reader_reads_back(header in header(Format::AsciicastV3), events in events()) {
        for (version, format) in [(Version::V2, Format::AsciicastV2), (Version::V3, Format::AsciicastV3)] {
            let bytes = write(version, &header, &events);
            let read = read(format, &bytes);
            prop_assert_eq!(read.damage, None);
            prop_assert_eq!(read.header, Some(Header { format, ..header.clone() }));
            prop_assert_eq!(&read.events, &events);
            prop_assert_eq!(detect(&[("a", &bytes)]), Some(format));
        }
    }

    #[test]
    fn splitting_output_anywhere_changes_no_text(text in any::<String>(), cuts in prop::collection::vec(0usize..40, 0..8)) {
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let events: Vec<Event> =
            cuts.windows(2).map(|pair| Event { at_us: 7, what: What::Output(bytes[pair[0]..pair[1]].to_vec()) }).collect();
        let read = read(Format::AsciicastV3, &write(Version::V3, &Header::new(Format::AsciicastV3), &events));
        let joined: Vec<u8> = read.events.iter().flat_map(|event| match &event.what {
            What::Output(bytes) => bytes.clone(),
            other => panic!("no {other:?} was written"),
        }).collect();
        prop_assert_eq!(joined, bytes);
    }

    #[test]
    fn any_bytes_end_in_bounded_steps_and_how_they_arrive_makes_no_difference(
        first in nearly_recordings(),
        second in nearly_recordings(),
        lengths in prop::collection::vec(0usize..9, 1..5),
    ) {
        let lengths: Vec<usize> = lengths.into_iter().chain([1]).collect();
        let _ = detect(&[("a", &first)]);
        let _ = detect(&[("a", &first), ("b", &second)]);
        for format in Format::ALL {
            let several = matches!(format, Format::Script | Format::SudoIolog);
            let parts: Vec<(&str, &[u8])> =
                if several { vec![("timing", &first), ("ttyout", &second)] } else { vec![("a", &first)] };
            let whole = read_all(Reader::open(format, parts.iter().map(|(name, bytes)| Part::new(*name, *bytes)).collect()));
            prop_assert!(whole.events.len() <= first.len() + second.len() + 1, "more events than bytes");
            let pieces = |bytes| Pieces { bytes, lengths: lengths.clone().into_iter().cycle() };
            let again = read_all(Reader::open(format, parts.iter().map(|(name, bytes)| Part::new(*name, pieces(bytes))).collect()));
            prop_assert_eq!(whole, again);
        }
        let (_, _) = tlog::recordings(Part::new("a", &first[..]));
        let _ = tar::parts_of_tar(Cursor::new(&first));
    }
}

#[test]
fn the_writer_keeps_bytes_that_are_no_text_as_replacement_characters() {
    let event = |bytes: &[u8]| Event { at_us: 0, what: What::Output(bytes.to_vec()) };
    let header = Header::new(Format::AsciicastV3);
    let bytes = write(Version::V3, &header, &[event(b"a\xff\xc5"), event(b"\xbc\xe2\x82"), event(b"")]);
    let texts: Vec<What> = read(Format::AsciicastV3, &bytes).events.into_iter().map(|event| event.what).collect();
    let output = |text: &str| What::Output(text.as_bytes().to_vec());
    // The event without bytes stays one; the half character is given up at the end.
    assert_eq!(texts, [output("a\u{fffd}"), output("ż"), output(""), output("\u{fffd}")]);
}

#[test]
fn records_over_the_limit_are_damage_not_memory() {
    let line =
        [b"{\"version\": 2, \"width\": 80, \"height\": 24}\n[0, \"o\", \"".as_slice(), &vec![b'a'; 17 << 20], b"\"]\n"]
            .concat();
    let outcome = read(Format::AsciicastV2, &line);
    assert_eq!((outcome.events.len(), outcome.reason()), (0, "too_large"));
    let frame = [&0u32.to_le_bytes()[..], &0u32.to_le_bytes(), &u32::MAX.to_le_bytes(), b"x"].concat();
    assert_eq!(read(Format::Ttyrec, &frame).reason(), "too_large");
    let many = (0..65).map(|_| Part::new("a", std::io::empty())).collect();
    assert_eq!(Reader::open(Format::Script, many).err().map(|damage| damage.reason.name()), Some("too_large"));
}

/// Messages of two recordings, shuffled within the window.
#[test]
fn interleaved_and_disordered_messages_of_tlog_are_put_in_order() {
    let message = |rec: &str, id: u64| {
        format!(
            "{{\"ver\":\"2.3\",\"host\":\"h\",\"user\":\"u-{rec}\",\"rec\":\"{rec}\",\"id\":{id},\"pos\":{},\"time\":1600000000.5,\"timing\":\"=80x24>1\",\"out_txt\":\"{}\"}}\n",
            id * 10,
            (b'a' + id as u8) as char
        )
    };
    let ids = [3, 1, 2, 6, 5, 4, 4];
    let text: String =
        ids.iter().flat_map(|id| [message("one", *id), message("two", 7 - id), "{\"other\":1}\n".into()]).collect();
    let (found, outcome) = tlog::recordings(Part::new("a", text.as_bytes()));
    assert_eq!(outcome, Ok(()));
    let named: Vec<(&str, u64)> = found.iter().map(|found| (found.recording.as_str(), found.messages)).collect();
    assert_eq!(named, [("one", 7), ("two", 7)]);
    for recording in ["one", "two"] {
        let choice = tlog::Choice { recording: Some(recording.to_owned()), over_gaps: false };
        let outcome = read_all(Reader::open_tlog(Part::new("a", text.as_bytes()), &choice));
        let text: Vec<(u64, What)> = outcome.events.iter().map(|event| (event.at_us, event.what.clone())).collect();
        let expected: Vec<(u64, What)> =
            (1u8..=6).map(|id| (u64::from(id) * 10_000, What::Output(vec![b'a' + id]))).collect();
        assert_eq!(text, expected, "{recording}: {:?}", outcome.damage);
        assert_eq!(
            outcome.notices().len(),
            2,
            "another recording, and a message that came again: {:?}",
            outcome.notices()
        );
        let header = outcome.header.expect("a header");
        assert_eq!(header.user, Some(format!("u-{recording}")));
        assert_eq!(header.started_at_us, Some(1_600_000_000_490_000));
    }
    let journal =
        serde_json::json!({"__CURSOR": "c", "__REALTIME_TIMESTAMP": "5", "MESSAGE": message("one", 1).trim_end()})
            .to_string();
    assert_eq!(detect(&[("a", journal.as_bytes())]), Some(Format::Tlog));
    assert_eq!(read(Format::Tlog, journal.as_bytes()).events.len(), 1);
    let syslog = format!("Nov 21 15:00:00 h sshd: hello\nNov 21 15:00:01 h tlog-rec-session: {}", message("one", 1));
    assert_eq!(detect(&[("a", syslog.as_bytes())]), Some(Format::Tlog));
    assert_eq!(read(Format::Tlog, syslog.as_bytes()).events.len(), 1);
    let late = message("one", 2) + &message("one", 3);
    assert_eq!(
        read(Format::Tlog, late.as_bytes()).damage.map(|damage| damage.detail).as_deref(),
        Some("message 1 is missing")
    );
}
