//! Everything that must hold of screens, spans and replay files, on every real recording; and the screens of another
//! terminal where they were recorded.

#[path = "common/checked.rs"]
mod checked;
mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use checked::{Indexed, checked};
use common::{read, read_parts, sessions};
use replay::format::{Event, Format, Header, Size, What, detect};
use replay::screen::Screen;
use replay::span::Kind;

/// The checks look at whole screens; of a recording that goes on longer, they take only so many events.
const EVENTS_MAX: usize = 12_000;

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sessions().join(folder)).expect("the folder can be listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn check_file(path: &Path) -> Indexed {
    let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
    let bytes = read(path);
    let start = &bytes[..bytes.len().min(4096)];
    let format = detect(&[(&name, start)]).unwrap_or_else(|| panic!("{name} is of a known format"));
    let outcome = read_parts(format, &[(&name, &bytes)]);
    let header = outcome.header.unwrap_or_else(|| Header::new(format));
    let events = &outcome.events[..outcome.events.len().min(EVENTS_MAX)];
    let indexed = checked(&header, events);
    assert_eq!(indexed.summary.overwritten, 0, "{name}");
    indexed
}

fn check_folder(folder: &str) {
    for file in files(folder) {
        check_file(&file);
    }
}

#[test]
fn asciicasts() {
    for file in files("asciicast") {
        if !file.ends_with("wget-long.cast.gz") {
            check_file(&file);
        }
    }
}

#[test]
fn a_long_asciicast() {
    check_file(&sessions().join("asciicast/wget-long.cast.gz"));
}

#[test]
fn ttyrecs() {
    check_folder("ttyrec");
}

#[test]
fn tlogs() {
    check_folder("tlog");
}

#[test]
fn conformance_files_as_far_as_they_go() {
    for version in ["v1", "v2", "v3"] {
        for file in files(&format!("asciicast-conformance/{version}")) {
            let (name, bytes) = (file.to_string_lossy().into_owned(), read(&file));
            let format: Format = format!("asciicast-{version}").parse().expect("a format");
            let outcome = read_parts(format, &[(&name, &bytes)]);
            if let Some(header) = outcome.header {
                checked(&header, &outcome.events);
            }
        }
    }
}

/// A capture of raw bytes, made into events of 100 bytes each, 10 ms apart.
fn capture(name: &str) -> (Header, Vec<Event>) {
    let folder = sessions().join("raw-pty").join(name);
    let size: serde_json::Value = serde_json::from_slice(&read(&folder.join("size.json"))).expect("the size is JSON");
    let number = |key: &str| size[key].as_u64().expect("a number");
    let mut header = Header::new(Format::Ttyrec);
    header.size = Size::new(number("columns"), number("screen_lines"));
    let bytes = read(&folder.join("alacritty.recording"));
    let event = |(piece, step): (&[u8], u64)| Event { at_us: step * 10_000, what: What::Output(piece.to_vec()) };
    (header, bytes.chunks(100).zip(0..).map(event).collect())
}

#[test]
fn raw_captures() {
    for folder in files("raw-pty") {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let (header, events) = capture(&name);
        checked(&header, &events);
    }
}

#[test]
fn text_typed_inside_vim_is_found() {
    let (header, events) = capture("vim_simple_edit");
    let indexed = checked(&header, &events);
    let texts = indexed.texts(Kind::Text);
    assert!(texts.contains(&"  4 Ok."), "{texts:#?}");
}

/// The grid that alacritty had at the end: the text of each row, as far as its cells are not blank.
fn expected_rows(grid: &Path) -> Vec<String> {
    let grid: serde_json::Value = serde_json::from_slice(&read(grid)).expect("the grid is JSON");
    let lines = grid["lines"].as_u64().expect("a number") as usize;
    let zero = grid["raw"]["zero"].as_u64().expect("a number") as usize;
    let stored = grid["raw"]["inner"].as_array().expect("rows");
    // alacritty keeps the lowest row first, from `zero` on, around the end.
    let row = |line: usize| &stored[(zero + lines - 1 - line) % stored.len()]["inner"];
    (0..lines)
        .map(|line| {
            let mut text = String::new();
            for cell in row(line).as_array().expect("cells") {
                if cell["flags"].as_str().is_some_and(|flags| flags.contains("SPACER")) {
                    continue;
                }
                text.push_str(cell["c"].as_str().expect("a character"));
                for mark in cell["extra"]["zerowidth"].as_array().into_iter().flatten() {
                    text.push_str(mark.as_str().expect("a mark"));
                }
            }
            text.trim_end_matches([' ', '\t']).to_owned()
        })
        .collect()
}

/// Rows that differ: capture, row, alacritty's, ours; each with its cause.
const KNOWN_DIFFERENCES: [(&str, usize, &str, &str); 0] = [];

#[test]
fn final_screens_are_those_of_another_terminal() {
    let known: BTreeMap<(String, usize), (&str, &str)> =
        KNOWN_DIFFERENCES.iter().map(|&(name, row, theirs, ours)| ((name.to_owned(), row), (theirs, ours))).collect();
    let mut found = BTreeMap::new();
    let mut compared = 0;
    for folder in files("raw-pty") {
        if !folder.join("grid.json").exists() {
            continue;
        }
        compared += 1;
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let (header, events) = capture(&name);
        let mut screen = Screen::new(header.size.expect("a size"));
        events.iter().for_each(|event| screen.play(&event.what));
        let expected = expected_rows(&folder.join("grid.json"));
        for (row, (theirs, ours)) in expected.into_iter().zip(screen.rows_text()).enumerate() {
            if theirs != ours {
                found.insert((name.clone(), row), (theirs, ours));
            }
        }
    }
    assert_eq!(compared, 5);
    let found: BTreeMap<_, _> =
        found.iter().map(|(at, (theirs, ours))| (at.clone(), (theirs.as_str(), ours.as_str()))).collect();
    assert_eq!(found, known);
}
