//! Indexes a recording and checks everything that must hold of what comes out, against an oracle that looks at whole
//! screens.

// Each test file uses only a part of it.
#![allow(dead_code)]

use std::collections::{HashMap, HashSet};
use std::io;

use replay::file::{Replay, ReplaySink, ReplayWriter};
use replay::format::{Event, Format, Header, Size, What};
use replay::index::{Indexer, Options, PIECE_BYTES_MAX, Summary};
use replay::screen::Screen;
use replay::span::file::{SpanWriter, Spans};
use replay::span::{Kind, ScreenNumber, Span};

/// What a numbered screen showed: its lines that are not blank.
type Lines = Vec<String>;

/// Remembers each numbered screen, and hands on to a replay file.
struct Witness {
    writer: ReplayWriter<Vec<u8>>,
    screens: Vec<Lines>,
}

impl ReplaySink for Witness {
    fn event(&mut self, screen: &Screen, event: &Event) -> io::Result<()> {
        self.writer.event(screen, event)
    }

    fn screen(&mut self, screen: &Screen, number: ScreenNumber) -> io::Result<()> {
        assert_eq!(number, self.screens.len() as u64 + 1, "numbers follow one another");
        self.screens.push(lines_of(screen));
        self.writer.screen(screen, number)
    }
}

pub fn lines_of(screen: &Screen) -> Lines {
    screen.lines().into_iter().map(|line| line.text).filter(|text| !text.trim().is_empty()).collect()
}

/// A recording that went through.
pub struct Indexed {
    pub summary: Summary,
    pub spans: Vec<Span>,
    pub screens: Vec<Lines>,
    pub replay: Vec<u8>,
}

impl Indexed {
    /// The texts of one kind of span, in order.
    pub fn texts(&self, kind: Kind) -> Vec<&str> {
        self.spans.iter().filter(|span| span.kind == kind).map(|span| span.text.as_str()).collect()
    }

    /// The only span of this text.
    #[track_caller]
    pub fn one(&self, text: &str) -> &Span {
        let found: Vec<&Span> = self.spans.iter().filter(|span| span.kind == Kind::Text && span.text == text).collect();
        assert_eq!(found.len(), 1, "{text:?} in {:#?}", self.spans);
        found[0]
    }
}

pub fn header(columns: u16, rows: u16) -> Header {
    let mut header = Header::new(Format::Ttyrec);
    header.size = Size::new(columns.into(), rows.into());
    header
}

pub fn out(at_ms: u64, output: impl AsRef<[u8]>) -> Event {
    Event { at_us: at_ms * 1000, what: What::Output(output.as_ref().to_vec()) }
}

pub fn typed(at_ms: u64, input: &str) -> Event {
    Event { at_us: at_ms * 1000, what: What::Input(input.as_bytes().to_vec()) }
}

/// Indexes without checking.
pub fn index(header: &Header, events: &[Event], block_bytes: usize) -> Indexed {
    let writer = ReplayWriter::new(Vec::new()).expect("memory takes it").with_block_event_bytes(block_bytes);
    let witness = Witness { writer, screens: Vec::new() };
    let mut indexer = Indexer::new(header, Options::default(), witness, Vec::new());
    for event in events {
        indexer.event(event).expect("memory takes it");
    }
    let (summary, witness, spans) = indexer.finish(None).expect("memory takes it");
    let (replay, length) = witness.writer.finish().expect("memory takes it");
    assert_eq!(length, replay.len() as u64);
    Indexed { summary, spans, screens: witness.screens, replay }
}

/// Indexes and checks.
pub fn checked(header: &Header, events: &[Event]) -> Indexed {
    let indexed = index(header, events, 2000);
    check_spans(&indexed);
    check_replay(header, events, &indexed);
    check_span_file(&indexed);
    indexed
}

/// Spans never claim text that was not on that screen, and no line of any screen is without its span.
pub fn check_spans(indexed: &Indexed) {
    let Indexed { summary, spans, screens, .. } = indexed;
    assert_eq!(summary.screens, screens.len() as u64);
    assert_eq!(summary.spans, spans.len() as u64);
    assert!(summary.screens <= summary.events + summary.output_bytes / PIECE_BYTES_MAX as u64 + 1);
    let sets: Vec<HashSet<&str>> = screens.iter().map(|lines| lines.iter().map(String::as_str).collect()).collect();
    let at = |number: ScreenNumber| (number - 1) as usize;
    let mut active: Vec<Vec<&Span>> = screens.iter().map(|_| Vec::new()).collect();
    for span in spans {
        assert!(1 <= span.first && span.first <= span.clearest && span.clearest <= span.last, "{span:?}");
        assert!(span.last <= summary.screens, "{span:?}");
        assert!(span.appeared_us <= span.disappeared_us && span.disappeared_us <= summary.duration_us, "{span:?}");
        assert!(!span.text.trim().is_empty(), "{span:?}");
        match span.kind {
            Kind::Title => {}
            Kind::Command if span.passed_by => {}
            Kind::Command => {
                let first = span.text.lines().next().expect("a line");
                assert!(screens[at(span.clearest)].iter().any(|line| line.contains(first)), "{span:?}");
            }
            Kind::Text => {
                if !span.passed_by {
                    assert!(sets[at(span.clearest)].contains(span.text.as_str()), "not on its screen: {span:?}");
                }
                for number in span.first..=span.last {
                    let shown = sets[at(number)].contains(span.text.as_str());
                    let part = |line: &String| match (span.passed_by, number < span.clearest) {
                        (true, _) => span.text.contains(line.as_str()),
                        (false, true) => span.text.starts_with(line.as_str()),
                        (false, false) => span.text.ends_with(line.as_str()),
                    };
                    let came_and_went = span.passed_by && span.first == span.last;
                    assert!(
                        shown || came_and_went || screens[at(number)].iter().any(part),
                        "nothing of it on screen {number}: {span:?}\n{:#?}",
                        screens[at(number)]
                    );
                    active[at(number)].push(span);
                }
            }
        }
    }
    for ((lines, active), number) in screens.iter().zip(&active).zip(1u64..) {
        // Each span covers one line, so that two equal lines need two spans.
        let mut exact: HashMap<&str, usize> = HashMap::new();
        for span in active {
            *exact.entry(span.text.as_str()).or_default() += 1;
        }
        for line in lines {
            match exact.get_mut(line.as_str()) {
                Some(left) if *left > 0 => *left -= 1,
                _ => assert!(
                    active.iter().any(|span| span.text != *line && span.text.contains(line.as_str())),
                    "no span covers {line:?} of screen {number}: {active:#?}"
                ),
            }
        }
    }
}

/// Any moment of the replay file is the moment that playing from the start gives.
pub fn check_replay(header: &Header, events: &[Event], indexed: &Indexed) {
    let replay = Replay::open(&indexed.replay).expect("it was just written");
    assert_eq!(replay.screens(), indexed.summary.screens);
    assert_eq!(replay.duration_us(), indexed.summary.duration_us);
    let step = |count: usize, wanted: usize| (count / wanted).max(1);

    for number in (1..=replay.screens()).step_by(step(replay.screens() as usize, 40)).chain([replay.screens()]) {
        let shown = replay.at_screen(number).expect("it can be read").expect("it is there");
        assert_eq!(shown.number, number);
        assert_eq!(lines_of(&shown.screen), indexed.screens[(number - 1) as usize], "screen {number}");
    }
    assert!(replay.at_screen(replay.screens() + 1).expect("it can be read").is_none());

    let mut straight = Screen::new(header.size.unwrap_or(Size::USUAL));
    for (index, event) in events.iter().enumerate() {
        straight.play(&event.what);
        let last_of_its_time = events.get(index + 1).is_none_or(|next| next.at_us > event.at_us);
        if last_of_its_time && index % step(events.len(), 60) == 0 {
            let shown = replay.at_time(event.at_us).expect("it can be read");
            assert_eq!(shown.at_us, event.at_us);
            assert_eq!(shown.screen, straight, "after event {index}");
            assert_eq!(shown.screen.dump(), straight.dump(), "after event {index}");
        }
    }
    assert_eq!(replay.at_time(u64::MAX).expect("it can be read").screen, straight);

    let middle_us = events.get(events.len() / 2).map_or(0, |event| event.at_us);
    for from_us in [0, middle_us, middle_us + 1] {
        let told: Vec<Event> =
            replay.events(from_us).expect("it can be read").map(|event| event.expect("an event")).collect();
        let expected: Vec<Event> = events.iter().filter(|event| event.at_us >= from_us).flat_map(pieces).collect();
        assert!(told == expected, "events from {from_us}");
    }
}

fn pieces(event: &Event) -> Vec<Event> {
    match &event.what {
        What::Output(bytes) if !bytes.is_empty() => bytes
            .chunks(PIECE_BYTES_MAX)
            .map(|piece| Event { at_us: event.at_us, what: What::Output(piece.to_vec()) })
            .collect(),
        _ => vec![event.clone()],
    }
}

/// Every span is found again at its position.
pub fn check_span_file(indexed: &Indexed) {
    let mut writer = SpanWriter::new(Vec::new()).expect("memory takes it");
    let positions: Vec<u64> = indexed.spans.iter().map(|span| writer.append(span).expect("memory takes it")).collect();
    let (bytes, length) = writer.finish().expect("memory takes it");
    assert_eq!(length, bytes.len() as u64);
    let spans = Spans::open(&bytes).expect("it was just written");
    assert_eq!(spans.count(), indexed.spans.len() as u64);
    let all: Vec<(u64, Span)> = spans.iter().map(|span| span.expect("a span")).collect();
    assert!(all.iter().map(|(position, _)| *position).eq(positions.iter().copied()));
    assert!(all.iter().map(|(_, span)| span).eq(&indexed.spans));
    for index in (0..positions.len()).step_by((positions.len() / 20).max(1)) {
        assert_eq!(spans.get(positions[index]).expect("a span"), indexed.spans[index]);
    }
}
