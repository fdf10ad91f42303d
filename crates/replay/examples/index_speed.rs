//! How fast a recording is indexed, against the emulation alone: `cargo run --release -p counterfoil-replay --example
//! index_speed [FILE…]`. Without files: a generated stream of log lines, in large and in small pieces.
//!
//! Both are measured in turns within one run, and the best of several rounds of each is told: the machine's noise only adds.

use std::time::Instant;

use replay::file::ReplayWriter;
use replay::format::{Event, Format, Header, Part, Reader, Size, What, detect};
use replay::index::{Indexer, Options};
use replay::span::file::SpanWriter;

const ROUNDS: usize = 25;
/// Short recordings are played several times in a round.
const ROUND_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:<44} {:>9} {:>8} {:>9} {:>9} {:>7} {:>7} {:>7}",
        "recording", "bytes", "events", "avt MB/s", "ours MB/s", "ratio", "screens", "spans"
    );
    let paths: Vec<String> = std::env::args().skip(1).collect();
    for path in &paths {
        let bytes = std::fs::read(path)?;
        let (header, events) = if path.ends_with(".recording") {
            let size = Size::new(80, 24);
            let events = bytes.chunks(512).zip(0..).map(|(piece, step)| out(step * 10_000, piece));
            (Header { size, ..Header::new(Format::Ttyrec) }, events.collect())
        } else {
            let format =
                detect(&[(path.as_str(), &bytes[..bytes.len().min(4096)])]).ok_or("the format is not known")?;
            let mut reader = Reader::open(format, vec![Part::new(path.as_str(), bytes.as_slice())])?;
            let mut events = Vec::new();
            while let Some(event) = reader.next()? {
                events.push(event);
            }
            (reader.header().clone(), events)
        };
        measure(path.rsplit('/').next().unwrap_or(path), &header, &events)?;
    }
    if paths.is_empty() {
        let header = Header { size: Size::new(120, 40), ..Header::new(Format::Ttyrec) };
        let log = log_lines(10_000);
        for (name, piece, pause_us) in [
            ("log lines, 4 KB each 1 ms", 4096, 1_000),
            ("log lines, 100 bytes each 1 ms", 100, 1_000),
            ("log lines, 100 bytes each 50 ms", 100, 50_000),
        ] {
            let events: Vec<Event> =
                log.chunks(piece).zip(0..).map(|(piece, step)| out(step * pause_us, piece)).collect();
            measure(name, &header, &events)?;
        }
    }
    Ok(())
}

fn out(at_us: u64, bytes: &[u8]) -> Event {
    Event { at_us, what: What::Output(bytes.to_vec()) }
}

fn log_lines(count: usize) -> Vec<u8> {
    let words = ["started", "request", "connection", "from", "user", "closed", "timeout", "retry", "session", "unit"];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut log = String::new();
    for line in 0..count {
        let (level, colour) = [("INFO", 32), ("WARN", 33), ("ERROR", 31)][next(3)];
        log.push_str(&format!(
            "2026-11-21T15:{:02}:{:02}Z \x1b[{colour}m{level:<5}\x1b[0m worker[{}]:",
            line / 60 % 60,
            line % 60,
            next(5000)
        ));
        for _ in 0..3 + next(9) {
            log.push(' ');
            log.push_str(words[next(words.len())]);
        }
        log.push_str("\r\n");
    }
    log.into_bytes()
}

fn measure(name: &str, header: &Header, events: &[Event]) -> Result<(), Box<dyn std::error::Error>> {
    let bytes: usize =
        events.iter().map(|event| if let What::Output(bytes) = &event.what { bytes.len() } else { 0 }).sum();
    let times = (ROUND_BYTES / bytes.max(1)).clamp(1, 2000);
    let (mut bare, mut ours) = (f64::MAX, f64::MAX);
    let mut counts = (0, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..times {
            emulate(header, events)?;
        }
        bare = bare.min(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        for _ in 0..times {
            counts = index(header, events)?;
        }
        ours = ours.min(begun.elapsed().as_secs_f64());
    }
    let speed = |seconds: f64| (bytes * times) as f64 / seconds / 1e6;
    let (screens, spans) = counts;
    println!(
        "{name:<44} {bytes:>9} {:>8} {:>9.1} {:>9.1} {:>6.0}% {screens:>7} {spans:>7}",
        events.len(),
        speed(bare),
        speed(ours),
        100.0 * bare / ours
    );
    Ok(())
}

/// avt and nothing else: what no index of it can beat.
fn emulate(header: &Header, events: &[Event]) -> Result<(), avt::InvalidSize> {
    let size = header.size.unwrap_or(Size::USUAL);
    let mut terminal = avt::Terminal::new(size.columns().into(), size.rows().into())?;
    for event in events {
        match &event.what {
            What::Output(bytes) => terminal.feed(&*String::from_utf8_lossy(bytes)),
            What::Resize(size) => terminal.resize(size.columns().into(), size.rows().into()),
            _ => {}
        }
    }
    std::hint::black_box(terminal.cursor());
    Ok(())
}

/// All that the service does with it: screens, spans, a replay file and a span file.
fn index(header: &Header, events: &[Event]) -> std::io::Result<(u64, u64)> {
    let replay = ReplayWriter::new(std::io::sink())?;
    let mut indexer = Indexer::new(header, Options::default(), replay, SpanWriter::new(std::io::sink())?);
    for event in events {
        indexer.event(event)?;
    }
    let (summary, replay, spans) = indexer.finish(None)?;
    replay.finish()?;
    spans.finish()?;
    Ok((summary.screens, summary.spans))
}
