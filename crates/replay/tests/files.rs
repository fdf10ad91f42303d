//! Replay files and span files: damage is found and named, wherever it is, and a moment costs one read.

#[path = "common/checked.rs"]
mod checked;

use std::cell::RefCell;
use std::io;

use checked::{Indexed, header, index, lines_of, out};
use replay::file::{Replay, ReplayWriter};
use replay::format::Event;
use replay::index::{Indexer, Options};
use replay::ranged::{FileError, Ranged};
use replay::span::Span;
use replay::span::file::{SpanWriter, Spans};

/// Some seconds of output that scrolls and changes; `count` events.
fn recording(count: u64) -> Vec<Event> {
    (0..count)
        .map(|step| out(step * 50, format!("\x1b[3{}mline {step} of the recording e\u{301}\r\n", step % 8)))
        .collect()
}

fn indexed(count: u64, block_bytes: usize) -> Indexed {
    index(&header(40, 6), &recording(count), block_bytes)
}

fn span_file(spans: &[Span]) -> (Vec<u8>, Vec<u64>) {
    let mut writer = SpanWriter::new(Vec::new()).expect("memory takes it");
    let positions = spans.iter().map(|span| writer.append(span).expect("memory takes it")).collect();
    (writer.finish().expect("memory takes it").0, positions)
}

/// Counts reads.
struct Counting<'a> {
    bytes: &'a [u8],
    reads: RefCell<Vec<(u64, usize)>>,
}

impl Ranged for Counting<'_> {
    fn length(&self) -> io::Result<u64> {
        self.bytes.length()
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.reads.borrow_mut().push((offset, length));
        self.bytes.read_at(offset, length)
    }
}

#[test]
fn a_moment_costs_one_read_however_long_the_recording() {
    for count in [100, 2000] {
        let indexed = indexed(count, 4000);
        let counting = Counting { bytes: &indexed.replay, reads: RefCell::default() };
        let replay = Replay::open(&counting).expect("a file");
        counting.reads.borrow_mut().clear();
        for number in [1, count / 3, count / 2, count] {
            let shown = replay.at_screen(number).expect("it can be read").expect("it is there");
            assert_eq!(lines_of(&shown.screen), indexed.screens[(number - 1) as usize]);
            let reads = counting.reads.take();
            assert_eq!(reads.len(), 1, "{reads:?}");
            assert!(reads[0].1 < 4000, "{reads:?}");
        }
        replay.at_time(count / 2 * 50_000).expect("it can be read");
        assert_eq!(counting.reads.take().len(), 1);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let indexed = indexed(60, 600);
    let whole = Replay::open(&indexed.replay).expect("a file");
    let all_of = |bytes: &Vec<u8>| -> Result<(), FileError> {
        let replay = Replay::open(bytes)?;
        for number in (1..=replay.screens().min(100)).step_by(7) {
            replay.at_screen(number)?;
        }
        replay.events(0)?.collect::<Result<Vec<Event>, FileError>>().map(|_| ())
    };
    assert_eq!(whole.screens(), 60);
    assert!(all_of(&indexed.replay).is_ok());
    for at in 0..indexed.replay.len() {
        let mut changed = indexed.replay.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(all_of(&changed).is_err(), "a bit changed at {at}");
        assert!(Replay::open(&indexed.replay[..at]).is_err(), "cut at {at}");
    }

    let (bytes, positions) = span_file(&indexed.spans);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let read = Spans::open(&changed).and_then(|spans| spans.iter().collect::<Result<Vec<_>, _>>());
        assert!(read.is_err(), "a bit changed at {at}");
        assert!(Spans::open(&bytes[..at]).is_err(), "cut at {at}");
    }
    let spans = Spans::open(&bytes).expect("a file");
    for wrong in [0, 1, positions[0] + 0xffff, positions[0] + (1 << 16), u64::MAX] {
        assert!(matches!(spans.get(wrong), Err(FileError::Damaged { .. })), "{wrong}");
    }
}

#[test]
fn damage_says_where_it_is() {
    let indexed = indexed(60, 600);
    let mut changed = indexed.replay.clone();
    // Inside the first block, which begins after the head.
    changed[100] ^= 1;
    let replay = Replay::open(&changed).expect("head, foot and directory are whole");
    assert!(matches!(replay.at_screen(1), Err(FileError::Damaged { offset: 32, .. })));
    assert!(replay.at_screen(60).is_ok(), "other blocks can still be read");
}

#[test]
fn another_version_is_named() {
    let mut other = indexed(3, 600).replay;
    other[8] = 9;
    assert!(matches!(Replay::open(&other), Err(FileError::Version(9))));
}

/// Bytes that their writer and others share.
#[derive(Clone, Default)]
struct Shared(std::rc::Rc<RefCell<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_so_far_opens_at_each_event_and_shows_the_terminal_as_it_is() {
    let shared = Shared::default();
    let writer = ReplayWriter::new(shared.clone()).expect("memory takes it").with_block_event_bytes(1000);
    let mut indexer = Indexer::new(&header(40, 6), Options::default(), writer, ());
    let so_far = |indexer: &Indexer<ReplayWriter<Shared>, ()>| {
        let (written, end) = indexer.replay().so_far().expect("it can be packed")?;
        let mut file = shared.0.borrow().clone();
        assert_eq!(file.len() as u64, written, "what was given to the writer is there");
        file.extend(end);
        Some(Replay::open(file).expect("a file"))
    };
    assert!(so_far(&indexer).is_none(), "of nothing there is no file");
    for event in recording(300) {
        indexer.event(&event).expect("memory takes it");
        let replay = so_far(&indexer).expect("something was taken");
        assert_eq!(replay.duration_us(), event.at_us);
        let shown = replay.at_time(u64::MAX).expect("it can be read");
        assert_eq!(lines_of(&shown.screen), lines_of(indexer.screen()));
        // A moment in the middle stays what it was.
        let middle = replay.at_time(event.at_us / 2).expect("it can be read");
        assert!(middle.at_us <= event.at_us / 2);
    }
    let so_far = so_far(&indexer).expect("something was taken");
    let whole = indexed(300, 1000);
    let whole = Replay::open(whole.replay).expect("a file");
    for at_us in (0..whole.duration_us()).step_by(333_333) {
        let (one, other) = (so_far.stretch(at_us).expect("readable"), whole.stretch(at_us).expect("readable"));
        assert_eq!((one.start_us, one.next_us, one.events), (other.start_us, other.next_us, other.events));
    }
}
