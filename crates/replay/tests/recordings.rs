//! Every recording in `shared/data/sessions` goes in. Those that are broken on purpose give everything up to the damage
//! and a named reason.

mod common;

use std::path::{Path, PathBuf};

use common::{Outcome, read, read_all, read_parts, sessions};
use replay::format::{Format, Part, Reader, What, detect, tlog};

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sessions().join(folder)).expect("the folder can be listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file has a name").to_string_lossy().into_owned()
}

fn read_file(path: &Path, expected: Format) -> (Vec<u8>, Outcome) {
    let (name, bytes) = (name(path), read(path));
    assert_eq!(detect(&[(&name, &bytes[..bytes.len().min(4096)])]), Some(expected), "{name}");
    let outcome = read_parts(expected, &[(&name, &bytes)]);
    (bytes, outcome)
}

fn text_of(outcome: &Outcome, output: bool) -> Vec<u8> {
    let bytes = outcome.events.iter().filter_map(|event| match &event.what {
        What::Output(bytes) if output => Some(bytes.as_slice()),
        What::Input(bytes) if !output => Some(bytes.as_slice()),
        _ => None,
    });
    bytes.collect::<Vec<_>>().concat()
}

/// The oracle: JSON read whole, and the format's definition of time.
fn expected_asciicast(format: Format, text: &str) -> (Vec<(f64, String)>, u64) {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("the file is JSON");
    let mut now = 0.0;
    let (mut outputs, mut count) = (Vec::new(), 0);
    if format == Format::AsciicastV1 {
        for frame in value(text)["stdout"].as_array().expect("frames") {
            now += frame[0].as_f64().expect("a pause");
            outputs.push((now, frame[1].as_str().expect("text").to_owned()));
            count += 1;
        }
        return (outputs, count);
    }
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let event = value(line);
        let time = event[0].as_f64().expect("a time");
        now = if format == Format::AsciicastV3 { now + time } else { time };
        count += 1;
        if event[1] == "o" {
            outputs.push((now, event[2].as_str().expect("text").to_owned()));
        }
    }
    (outputs, count)
}

fn check_whole_asciicast(path: &Path, format: Format) {
    let (bytes, outcome) = read_file(path, format);
    assert_eq!(outcome.reason(), "whole", "{}: {:?}", path.display(), outcome.damage);
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).expect("gzip of text");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    let (expected, count) = expected_asciicast(format, &text);
    assert_eq!(outcome.events.len() as u64, count, "{}", path.display());
    let given = outcome.events.iter().filter_map(|event| match &event.what {
        What::Output(bytes) => Some((event.at_us, bytes.as_slice())),
        _ => None,
    });
    for ((at_us, bytes), (seconds, text)) in given.zip(&expected) {
        assert_eq!(bytes, text.as_bytes(), "{}", path.display());
        // Sums of rounded pauses and rounded sums of pauses differ by a few microseconds.
        assert!((at_us as f64 - seconds * 1e6).abs() < 1000.0, "{}: {at_us} µs, not {seconds} s", path.display());
    }
    let size = outcome.header.and_then(|header| header.size);
    assert!(size.is_some(), "{}", path.display());
}

#[test]
fn every_real_asciicast_is_read_to_its_end() {
    for path in files("asciicast") {
        let format = match name(&path).as_str() {
            "player-21195-v1.json" | "welcome-v1.json" => Format::AsciicastV1,
            "zellij-leap-v3.cast" => Format::AsciicastV3,
            _ => Format::AsciicastV2,
        };
        check_whole_asciicast(&path, format);
    }
}

#[test]
fn the_conformance_files_are_read_or_refused_by_name() {
    // Events given before, reason, offset of the damage.
    let table: &[(&str, usize, &str, u64)] = &[
        ("v1/invalid-data.json", 1, "bad_data", 118),
        ("v1/invalid-time-1.json", 1, "bad_time", 118),
        ("v1/invalid-time-2.json", 1, "bad_time", 115),
        ("v1/invalid.json", 0, "bad_header", 199),
        ("v1/wrong-event-length.json", 1, "bad_record", 118),
        ("v2/broken.cast", 1, "bad_record", 69),
        ("v2/invalid-code.cast", 1, "bad_code", 66),
        ("v2/invalid-data.cast", 1, "bad_data", 66),
        ("v2/invalid-resize.cast", 1, "bad_size", 66),
        ("v2/invalid-theme.cast", 3, "whole", 0),
        ("v2/invalid-time-1.cast", 1, "bad_time", 66),
        ("v2/invalid-time-2.cast", 1, "bad_time", 66),
        ("v2/wrong-event-length.cast", 1, "bad_record", 66),
        ("v3/broken.cast", 1, "bad_record", 76),
        ("v3/invalid-code.cast", 1, "bad_code", 73),
        ("v3/invalid-data.cast", 1, "bad_data", 73),
        ("v3/invalid-resize.cast", 1, "bad_size", 73),
        ("v3/invalid-time-1.cast", 1, "bad_time", 73),
        ("v3/invalid-time-2.cast", 1, "bad_time", 73),
        ("v3/wrong-event-length.cast", 1, "bad_record", 73),
    ];
    let mut broken = 0;
    for (version, format) in [("v1", Format::AsciicastV1), ("v2", Format::AsciicastV2), ("v3", Format::AsciicastV3)] {
        for path in files(&format!("asciicast-conformance/{version}")) {
            let file = format!("{version}/{}", name(&path));
            let Some((_, events, reason, offset)) = table.iter().find(|(listed, ..)| *listed == file) else {
                assert!(!["invalid", "broken", "wrong"].iter().any(|word| file.contains(word)), "{file} is not listed");
                check_whole_asciicast(&path, format);
                continue;
            };
            let (_, outcome) = read_file(&path, format);
            let damage_offset = outcome.damage.as_ref().map_or(0, |damage| damage.offset);
            assert_eq!((outcome.events.len(), outcome.reason(), damage_offset), (*events, *reason, *offset), "{file}");
            let last_us = outcome.events.last().map_or(0, |event| event.at_us);
            assert_eq!(outcome.damage.map_or(last_us, |damage| damage.at_us), last_us, "{file}");
            if file == "v2/invalid-theme.cast" {
                assert_eq!(outcome.notices[0].reason.name(), "bad_header", "{file}");
            }
            broken += 1;
        }
    }
    assert_eq!(broken, table.len(), "a file of the table is gone");
}

#[test]
fn the_fullest_headers_are_read_whole() {
    let (_, outcome) = read_file(&sessions().join("asciicast-conformance/v3/full.cast"), Format::AsciicastV3);
    let header = outcome.header.expect("a header");
    assert_eq!(header.size.map(|size| size.to_string()).as_deref(), Some("96x26"));
    assert_eq!(header.started_at_us, Some(1_744_302_022_000_000));
    assert_eq!(header.command.as_deref(), Some("/bin/bash -l"));
    assert_eq!(header.title.as_deref(), Some("bashing :)"));
    assert_eq!(header.idle_limit_us, Some(2_500_000));
    assert_eq!(header.terminal_type.as_deref(), Some("xterm-ghostty"));
    assert_eq!(header.environment.get("SHELL").map(String::as_str), Some("/usr/bin/fish"));
    assert_eq!(header.theme.map(|theme| theme.palette.len()), Some(16));
    let kinds: Vec<String> = outcome.events.iter().map(|event| format!("{} {:?}", event.at_us, event.what)).collect();
    assert_eq!(kinds[1], "2234567 Input([13])");
    assert_eq!(kinds[3], "7913554 Resize(Size { columns: 80, rows: 24 })");
}

#[test]
fn every_ttyrec_is_accounted_for_to_the_byte() {
    for path in files("ttyrec") {
        let (bytes, outcome) = read_file(&path, Format::Ttyrec);
        assert_eq!(outcome.reason(), "whole", "{}", path.display());
        assert_eq!(outcome.events.len() * 12 + text_of(&outcome, true).len(), bytes.len(), "{}", path.display());
        let started = i64::from(u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")));
        assert_eq!(
            outcome.header.and_then(|header| header.started_at_us).map(|at_us| at_us as i64 / 1_000_000),
            Some(started)
        );
    }
}

#[test]
fn a_cut_ttyrec_gives_all_frames_before_and_the_half_one() {
    let path = files("ttyrec").remove(0);
    let bytes = read(&path);
    let whole = read_parts(Format::Ttyrec, &[("a", &bytes)]);
    let cut = read_parts(Format::Ttyrec, &[("a", &bytes[..bytes.len() - 1])]);
    assert_eq!(cut.reason(), "cut_short");
    assert_eq!(cut.events.len(), whole.events.len());
    assert_eq!(text_of(&cut, true).len() + 1, text_of(&whole, true).len());
}

#[test]
fn tlog_messages_are_found_in_a_journal_and_a_missing_one_is_named() {
    let (bytes, good) = read_file(&sessions().join("tlog/journal-good.txt"), Format::Tlog);
    assert_eq!(good.reason(), "whole", "{:?}", good.damage);
    let header = good.header.as_ref().expect("a header");
    assert_eq!(header.size.map(|size| size.to_string()).as_deref(), Some("103x27"));
    assert_eq!(header.user.as_deref(), Some("localuser1"));
    assert_eq!(header.recording.as_deref(), Some("6211b985bd1e49908726bd24cd514099-600-b0b9"));
    assert_eq!(header.started_at_us.map(|at_us| at_us / 1_000_000 / 3600), Some(1_543_433_164 / 3600));
    // The oracle: the texts of all messages in a row, as JSON reads them.
    let texts = |bytes: &[u8], ids: std::ops::RangeInclusive<u64>| -> String {
        let lines =
            std::str::from_utf8(bytes).expect("text").lines().filter_map(|line| line.strip_prefix("MESSAGE={\"ver\""));
        let messages =
            lines.map(|rest| serde_json::from_str::<serde_json::Value>(&format!("{{\"ver\"{rest}")).expect("JSON"));
        let wanted = messages.filter(|message| ids.contains(&message["id"].as_u64().expect("an id")));
        wanted.map(|message| message["out_txt"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(String::from_utf8_lossy(&text_of(&good, true)), texts(&bytes, 1..=7));
    assert!(good.events.iter().all(|event| matches!(event.what, What::Output(_))), "the size never changed");
    assert_eq!(good.events.last().map(|event| event.at_us), Some(27_868_000), "pos and delays of the last message");

    let (bytes, missing) = read_file(&sessions().join("tlog/journal-missing-entry.txt"), Format::Tlog);
    assert_eq!(missing.reason(), "missing_message");
    assert_eq!(missing.damage.as_ref().map(|damage| damage.detail.as_str()), Some("message 4 is missing"));
    assert_eq!(String::from_utf8_lossy(&text_of(&missing, true)), texts(&bytes, 1..=3));
    let choice = tlog::Choice { over_gaps: true, ..tlog::Choice::default() };
    let over = read_all(Reader::open_tlog(Part::new("journal", &bytes[..]), &choice));
    assert_eq!((over.reason(), over.notices()), ("whole", vec!["journal missing_message".to_owned()]));
    assert_eq!(String::from_utf8_lossy(&text_of(&over, true)), texts(&bytes, 1..=16));
}

#[test]
fn sudo_logs_give_header_and_timing_and_name_the_streams_they_lack() {
    let folder = sessions().join("sudo-iolog");
    let log = |name: &str| std::fs::read(folder.join(name)).expect("the file is there");
    // Events that need no stream (resizes and suspensions: `grep -c '^[57] '`), and the streams that are missing.
    let table: &[(&str, usize, &[&str])] = &[
        ("timing.1", 7, &["ttyout", "ttyin"]),
        ("timing.2", 0, &["ttyout"]),
        ("timing.3", 0, &["ttyout", "stdout"]),
        ("timing.4", 0, &["stderr", "stdin", "stdout"]),
        ("timing.5", 6, &["ttyout", "ttyin"]),
        ("timing.6", 114, &["ttyout", "ttyin"]),
    ];
    for (timing, events, missing) in table {
        let (log, log_json, timing_bytes) = (log("make.log"), log("make.json"), log(timing));
        let parts: &[(&str, &[u8])] =
            &[("00/00/01/log", &log), ("00/00/01/log.json", &log_json), ("00/00/01/timing", &timing_bytes)];
        assert_eq!(detect(parts), Some(Format::SudoIolog));
        let outcome = read_parts(Format::SudoIolog, parts);
        assert_eq!((outcome.reason(), outcome.events.len()), ("whole", *events), "{timing}: {:?}", outcome.damage);
        let named: Vec<&str> = outcome.notices.iter().map(|notice| notice.part.as_str()).collect();
        assert_eq!(named, *missing, "{timing}");
        assert!(outcome.notices.iter().all(|notice| notice.reason.name() == "missing_part"), "{timing}");
        let header = outcome.header.expect("a header");
        assert_eq!(header.command.as_deref(), Some("/usr/bin/make -C /usr/src/usr.bin/sort install"));
        assert_eq!(header.started_at_us, Some(1_584_977_889_510_217));
    }
    for file in
        ["id.log", "ls.json", "ls.log", "make.json", "make.log", "pkg_delete.json", "pkg_delete.log", "smtpctl.log"]
    {
        let (_, outcome) = read_file(&folder.join(file), Format::SudoIolog);
        assert_eq!(outcome.reason(), "missing_part", "{file}");
        let header = outcome.header.expect("a header");
        assert!(header.command.is_some() && header.user.is_some() && header.size.is_some(), "{file}: {header:?}");
    }
    for (timing, ..) in table {
        read_file(&folder.join(timing), Format::SudoIolog);
    }
}

#[test]
fn raw_terminal_output_is_taken_for_no_recording() {
    for folder in files("raw-pty") {
        let bytes = std::fs::read(folder.join("alacritty.recording")).expect("the capture is there");
        assert_eq!(detect(&[("alacritty.recording", &bytes)]), None, "{}", folder.display());
    }
}
