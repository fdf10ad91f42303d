//! util-linux `script`: a typescript, and a timing file that says when how many of its bytes came.
//!
//! The timing file is classic (`pause count`) or multi-stream (`O pause count`, `I` likewise, `S pause SIGNAL …`,
//! `H pause NAME value`). Output and input may share one file. The typescript begins and ends with a line of `script` itself.
//! A typescript without timing is read as one moment. Source: `man script`, and what version 2.38.1 writes.

use jiff::Timestamp;

use super::damage::{Damage, Reason};
use super::event::{Event, Format, Header, What};
use super::reader::{Events, Notices, Opened};
use super::source::Source;
use super::streams::Streams;
use super::{RECORD_BYTES_MAX, seconds};
use crate::cell::Size;

/// Longest line of a timing file, and of the lines that `script` puts around the recording.
const LINE_BYTES_MAX: usize = 64 << 10;
const STARTED: &[u8] = b"Script started on ";
const DONE: &[u8] = b"\nScript done on ";

pub(super) fn open<'a>(parts: Vec<Source<'a>>, notices: &mut Notices) -> Result<Opened<'a>, Damage> {
    let mut timing = None;
    let mut typescripts = Vec::new();
    for mut part in parts {
        if timing.is_none() && looks_like_timing(part.peek(LINE_BYTES_MAX)?) {
            timing = Some(part);
        } else {
            typescripts.push(part);
        }
    }
    let mut header = Header::new(Format::Script);
    let Some(mut timing) = timing else {
        return without_timing(typescripts, header, notices);
    };
    let mut names = Names::default();
    let waiting = read_header_lines(&mut timing, &mut header, &mut names)?;
    let [output, input] = names.place(&mut typescripts);
    if let Some(extra) = typescripts.get(2) {
        notices.add(extra.damage(Reason::LeftOver, "a third typescript, not read"));
    }
    for typescript in &mut typescripts {
        read_start_line(typescript, &mut header)?;
    }
    let streams = Streams::new(typescripts);
    Ok((
        header,
        Box::new(Timed { timing, waiting, streams, output, input, names, at_us: 0, duration_us: 0, ended: false }),
    ))
}

/// The names that a multi-stream timing file gives its streams.
#[derive(Default)]
struct Names {
    output: Option<String>,
    input: Option<String>,
}

impl Names {
    /// Which part is the output, which the input. By name if the names match; else the first and the second part.
    fn place(&self, parts: &mut [Source<'_>]) -> [Option<usize>; 2] {
        let base = |name: &str| name.rsplit('/').next().unwrap_or_default().trim_end_matches(".gz").to_owned();
        let find = |name: &Option<String>| {
            let name = base(name.as_deref()?);
            parts.iter().position(|part| base(part.name()) == name)
        };
        let (output, input) = (find(&self.output), find(&self.input));
        let other = |taken: Option<usize>| (0..parts.len()).find(|at| Some(*at) != taken);
        if self.output.is_some() && self.output == self.input {
            let shared = output.or_else(|| other(None));
            return [shared, shared];
        }
        // A classic timing file names nothing and knows only output.
        let output =
            if self.output.is_none() && self.input.is_some() { output } else { output.or_else(|| other(input)) };
        let input = input.or_else(|| self.input.as_ref().and_then(|_| other(output)));
        [output, input]
    }
}

/// Reads the `H` lines at the begin. Returns the first line that is none, to be read as the first event.
fn read_header_lines(
    timing: &mut Source<'_>,
    header: &mut Header,
    names: &mut Names,
) -> Result<Option<Vec<u8>>, Damage> {
    let (mut columns, mut rows) = (None, None);
    let waiting = loop {
        let Some(line) = timing.line(LINE_BYTES_MAX)? else {
            break None;
        };
        let text = String::from_utf8_lossy(line).into_owned();
        let mut words = text.splitn(4, ' ');
        let (Some("H"), Some(_), Some(name), value) = (words.next(), words.next(), words.next(), words.next()) else {
            break Some(line.to_vec());
        };
        let value = value.unwrap_or_default().to_owned();
        match name {
            "START_TIME" => header.started_at_us = instant(&value),
            "TERM" => header.terminal_type = Some(value),
            "TTY" => header.tty = Some(value),
            "COLUMNS" => columns = value.parse().ok(),
            "LINES" => rows = value.parse().ok(),
            "COMMAND" => header.command = Some(value),
            "SHELL" => drop(header.environment.insert("SHELL".into(), value)),
            "OUTPUT_LOG" => names.output = Some(value),
            "INPUT_LOG" => names.input = Some(value),
            "TIMING_LOG" => {}
            // Duration and exit code stand at the end; in an empty session nothing stands before them.
            _ => break Some(line.to_vec()),
        }
    };
    header.size = columns.zip(rows).and_then(|(columns, rows)| Size::new(columns, rows));
    Ok(waiting)
}

/// `Script started on 2026-11-21 15:04:50+00:00 [TERM="xterm" TTY="/dev/pts/0" COLUMNS="100" LINES="40"]`
fn read_start_line(typescript: &mut Source<'_>, header: &mut Header) -> Result<(), Damage> {
    if !typescript.peek(STARTED.len())?.starts_with(STARTED) {
        return Ok(());
    }
    let line = typescript.line(LINE_BYTES_MAX)?.unwrap_or_default();
    let line = String::from_utf8_lossy(&line[STARTED.len()..]).into_owned();
    let (time, rest) = line.split_once(" [").unwrap_or((&line, ""));
    header.started_at_us = header.started_at_us.or_else(|| instant(time));
    let quoted = |name: &str| {
        let begin = rest.find(&format!("{name}=\""))? + name.len() + 2;
        let value = &rest[begin..];
        // The command may hold quotes itself, unescaped, so it ends where the last word of `script` begins.
        let end = if name == "COMMAND" { value.rfind("\" <").or_else(|| value.rfind('"')) } else { value.find('"') };
        Some(value[..end?].to_owned())
    };
    header.command = header.command.take().or_else(|| quoted("COMMAND"));
    header.terminal_type = header.terminal_type.take().or_else(|| quoted("TERM"));
    header.tty = header.tty.take().or_else(|| quoted("TTY"));
    let number = |name: &str| quoted(name).and_then(|value| value.parse().ok());
    header.size = header.size.or_else(|| Size::new(number("COLUMNS")?, number("LINES")?));
    Ok(())
}

fn instant(text: &str) -> Option<u64> {
    let at: Timestamp = text.trim().parse().ok()?;
    u64::try_from(at.as_microsecond()).ok()
}

/// What `[COMMAND_EXIT_CODE="5"]` in the last line says.
fn exit_code(last_line: &[u8]) -> Option<i64> {
    let line = String::from_utf8_lossy(last_line);
    let (_, rest) = line.split_once("COMMAND_EXIT_CODE=\"")?;
    rest.split('"').next()?.parse().ok()
}

struct Timed<'a> {
    timing: Source<'a>,
    /// The first line behind the header lines.
    waiting: Option<Vec<u8>>,
    streams: Streams<'a>,
    output: Option<usize>,
    input: Option<usize>,
    names: Names,
    at_us: u64,
    duration_us: u64,
    /// The exit status was given.
    ended: bool,
}

impl Events for Timed<'_> {
    fn next(&mut self, notices: &mut Notices) -> Result<Option<Event>, Damage> {
        self.streams.cut()?;
        loop {
            let line = match self.waiting.take() {
                Some(line) => line,
                None => match self.timing.line(LINE_BYTES_MAX)? {
                    Some(line) => line.to_vec(),
                    None => return self.end(),
                },
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if let Some(what) = self.record(&line, notices)? {
                return Ok(Some(Event { at_us: self.at_us, what }));
            }
        }
    }
}

impl Timed<'_> {
    /// `None` for what is no event: a part that is missing, a header line without a meaning for events.
    fn record(&mut self, line: &[u8], notices: &mut Notices) -> Result<Option<What>, Damage> {
        let text = String::from_utf8_lossy(line);
        let classic = text.starts_with(|first: char| first.is_ascii_digit());
        let (kind, rest) = if classic { ("O", &*text) } else { text.split_once(' ').unwrap_or((&text, "")) };
        let (pause, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let at_us = seconds::from_text(pause.as_bytes()).and_then(|pause_us| seconds::add(self.at_us, pause_us));
        self.at_us =
            at_us.ok_or_else(|| self.timing.damage(Reason::BadTime, format!("{:?} is no pause", short(pause))))?;
        match kind {
            "O" | "I" => {
                let count = rest.trim_end().parse().ok().filter(|count| *count <= RECORD_BYTES_MAX);
                let count = count.ok_or_else(|| {
                    self.timing
                        .damage(Reason::BadRecord, format!("{:?} is no count of bytes within the limit", short(rest)))
                })?;
                let (stream, name) =
                    if kind == "O" { (self.output, &self.names.output) } else { (self.input, &self.names.input) };
                let Some(stream) = stream else {
                    let usual = if kind == "O" { "typescript" } else { "the input log" };
                    Streams::missing(name.as_deref().unwrap_or(usual), notices);
                    return Ok(None);
                };
                let bytes = self.streams.take(stream, count)?;
                Ok(Some(if kind == "O" { What::Output(bytes) } else { What::Input(bytes) }))
            }
            "S" => Ok(Some(signal(rest))),
            "H" => Ok(self.late_header(rest)),
            _ if kind.len() == 1 => Ok(Some(What::Other { code: kind.to_owned(), data: rest.to_owned() })),
            _ => {
                Err(self.timing.damage(Reason::BadRecord, format!("{:?} is no record of a timing file", short(&text))))
            }
        }
    }

    fn late_header(&mut self, rest: &str) -> Option<What> {
        let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
        match name {
            "DURATION" => {
                self.duration_us = seconds::from_text(value.trim().as_bytes()).unwrap_or(0);
                None
            }
            "EXIT_CODE" => {
                self.ended = true;
                self.at_us = self.at_us.max(self.duration_us);
                Some(
                    value
                        .trim()
                        .parse()
                        .map_or_else(|_| What::Other { code: "exit_code".into(), data: value.to_owned() }, What::Exit),
                )
            }
            _ => Some(What::Other { code: "header".into(), data: rest.to_owned() }),
        }
    }

    /// Behind the last record: the last line of `script`, or bytes that nothing accounts for.
    fn end(&mut self) -> Result<Option<Event>, Damage> {
        for stream in 0..self.streams.count().min(2) {
            let source = self.streams.source(stream);
            // The input log's last line follows without an empty one.
            let rest = source.peek(DONE.len())?;
            if rest.starts_with(DONE) || rest.starts_with(&DONE[1..]) {
                if rest.starts_with(DONE) {
                    source.skip_byte();
                }
                let status = exit_code(source.line(LINE_BYTES_MAX)?.unwrap_or_default());
                if let Some(status) = status.filter(|_| !self.ended && self.output == Some(stream)) {
                    self.ended = true;
                    return Ok(Some(Event { at_us: self.at_us, what: What::Exit(status) }));
                }
            }
            if let Some(bytes) = self.streams.left_over(stream)? {
                let what = if self.output == Some(stream) { What::Output(bytes) } else { What::Input(bytes) };
                return Ok(Some(Event { at_us: self.at_us, what }));
            }
        }
        Ok(None)
    }
}

/// `SIGWINCH ROWS=30 COLS=90` is a resize; other signals are passed on.
fn signal(rest: &str) -> What {
    let number = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name)?.trim().parse().ok());
    let size = number("COLS=").zip(number("ROWS=")).and_then(|(columns, rows)| Size::new(columns, rows));
    match size.filter(|_| rest.starts_with("SIGWINCH")) {
        Some(size) => What::Resize(size),
        None => What::Other { code: "signal".into(), data: rest.to_owned() },
    }
}

fn short(text: &str) -> String {
    text.chars().take(20).collect()
}

/// A typescript alone: all of it at time 0, but for its first and last line.
struct Untimed<'a> {
    typescript: Source<'a>,
    /// Read and held back, because the last line of `script` may stand in it.
    tail: Vec<u8>,
    ended: bool,
}

fn without_timing<'a>(
    mut typescripts: Vec<Source<'a>>,
    mut header: Header,
    notices: &mut Notices,
) -> Result<Opened<'a>, Damage> {
    let missing = |detail: &str| {
        let reason = Reason::MissingPart;
        Damage { part: "timing".into(), offset: 0, at_us: 0, reason, detail: detail.into() }
    };
    if typescripts.len() != 1 {
        return Err(missing("no part is a timing file, so nobody knows how the parts belong together"));
    }
    let mut typescript = typescripts.remove(0);
    notices.add(missing("no timing file was given; everything is read as one moment"));
    read_start_line(&mut typescript, &mut header)?;
    Ok((header, Box::new(Untimed { typescript, tail: Vec::new(), ended: false })))
}

impl Events for Untimed<'_> {
    fn next(&mut self, _: &mut Notices) -> Result<Option<Event>, Damage> {
        const PIECE_BYTES: usize = 64 << 10;
        if self.ended {
            return Ok(None);
        }
        loop {
            let more = self.typescript.take_some(PIECE_BYTES)?;
            self.tail.extend_from_slice(&more);
            if !more.is_empty() && self.tail.len() <= 2 * LINE_BYTES_MAX {
                continue;
            }
            let mut piece = std::mem::take(&mut self.tail);
            if !more.is_empty() {
                self.tail = piece.split_off(piece.len() - LINE_BYTES_MAX);
                return Ok(Some(Event { at_us: 0, what: What::Output(piece) }));
            }
            // The end. What stands before the last line goes out first, its exit status with the next call.
            let is_last =
                |at: &usize| memchr::memchr(b'\n', &piece[at + 1..]).is_none_or(|end| at + 2 + end == piece.len());
            let last_line = memchr::memmem::rfind(&piece, DONE).filter(|at| *at > 0).filter(is_last);
            if let Some(at) = last_line {
                self.tail = piece.split_off(at);
            } else if let Some(status) = exit_code(&piece).filter(|_| piece.starts_with(DONE)) {
                self.ended = true;
                return Ok(Some(Event { at_us: 0, what: What::Exit(status) }));
            } else {
                self.ended = true;
            }
            if piece.is_empty() || piece.starts_with(DONE) {
                return Ok(None);
            }
            return Ok(Some(Event { at_us: 0, what: What::Output(piece) }));
        }
    }
}

/// Whether a file begins like a typescript.
pub(super) fn looks_like_typescript(begin: &[u8]) -> bool {
    begin.starts_with(STARTED)
}

/// Whether a file begins like a timing file of either form.
pub(super) fn looks_like_timing(begin: &[u8]) -> bool {
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let time = |word: &[u8]| word.contains(&b'.') && seconds::from_text(word).is_some();
    match words.as_slice() {
        [pause, count] => time(pause) && !count.is_empty() && count.iter().all(u8::is_ascii_digit),
        [b"H" | b"O" | b"I" | b"S", pause, _, ..] => time(pause),
        _ => false,
    }
}
