//! sudo's I/O log: a folder with `log.json` (or the older `log`), `timing`, and a file for each stream.
//!
//! Each line of `timing` is `TYPE PAUSE …`: types 0 to 4 are stdin, stdout, stderr, ttyin, ttyout with a count of bytes, 5 a
//! new size (`rows columns`), 6 what sudo 1.8.7 wrote for ttyout, 7 a suspension (`TSTP`, later `CONT`).
//! Source: sudo's `sudo_iolog.h` (the numbers), `man sudoers` (the folder), and sudo's own sample files.

use serde_json::{Map, Value};

use super::damage::{Damage, Fault, Reason};
use super::event::{Event, Format, Header, What};
use super::reader::{Events, Notices, Opened};
use super::source::Source;
use super::streams::Streams;
use super::{RECORD_BYTES_MAX, seconds};
use crate::cell::Size;

/// Largest `log.json`; a command line and an environment are far smaller.
const LOG_BYTES_MAX: usize = 4 << 20;
const LINE_BYTES_MAX: usize = 4 << 10;
/// By the number that the timing file uses.
const STREAMS: [&str; 5] = ["stdin", "stdout", "stderr", "ttyin", "ttyout"];

/// What a file of the folder is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Log,
    LogJson,
    Timing,
    Stream(usize),
    /// Known, and of no use here.
    Passed,
    Unknown,
}

pub(super) fn open<'a>(parts: Vec<Source<'a>>, notices: &mut Notices) -> Result<Opened<'a>, Damage> {
    let mut header = Header::new(Format::SudoIolog);
    let (mut timing, mut named, mut streams) = (None, [None; STREAMS.len()], Vec::new());
    for mut part in parts {
        match role(&mut part)? {
            Role::Log => read_log(&mut part, &mut header)?,
            Role::LogJson => read_log_json(&mut part, &mut header)?,
            Role::Timing => timing = Some(part),
            Role::Stream(number) => {
                named[number] = Some(streams.len());
                streams.push(part);
            }
            Role::Passed => {}
            Role::Unknown => notices.add(part.damage(Reason::LeftOver, "no file of a sudo I/O log; not read")),
        }
    }
    Ok((header, Box::new(Timed { timing, streams: Streams::new(streams), named, at_us: 0 })))
}

fn role(part: &mut Source<'_>) -> Result<Role, Damage> {
    let base = part.name().rsplit('/').next().unwrap_or_default();
    let base = base.strip_suffix(".gz").unwrap_or(base).to_owned();
    if let Some(number) = STREAMS.iter().position(|name| *name == base) {
        return Ok(Role::Stream(number));
    }
    let begin = part.peek(LINE_BYTES_MAX)?;
    Ok(match base.as_str() {
        "timing" => Role::Timing,
        "log.json" => Role::LogJson,
        "log" if begin.first() == Some(&b'{') => Role::LogJson,
        "log" => Role::Log,
        "uuid" => Role::Passed,
        _ if looks_like_timing(begin) => Role::Timing,
        _ if looks_like_log_json(begin) => Role::LogJson,
        _ if looks_like_log(begin) => Role::Log,
        _ => Role::Unknown,
    })
}

/// Three lines: `time:user:runas user:runas group:tty:rows:columns`, the folder, the command line.
fn read_log(part: &mut Source<'_>, header: &mut Header) -> Result<(), Damage> {
    let mut lines = [const { String::new() }; 3];
    for line in &mut lines {
        let Some(text) = part.line(LOG_BYTES_MAX)? else {
            return Err(part.damage(Reason::BadHeader, "log has fewer than three lines"));
        };
        *line = String::from_utf8_lossy(text).into_owned();
    }
    let [facts, folder, command] = lines;
    let fields: Vec<&str> = facts.split(':').collect();
    let [time, user, run_as, _group, tty, size @ ..] = fields.as_slice() else {
        return Err(part.damage(Reason::BadHeader, "the first line of log has fewer than five fields"));
    };
    header.started_at_us = header.started_at_us.or_else(|| unix_micros(time));
    if header.started_at_us.is_none() {
        return Err(part.damage(Reason::BadHeader, "the first field of log is no time"));
    }
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    header.user = header.user.take().or_else(|| text(user));
    header.run_as = header.run_as.take().or_else(|| text(run_as));
    header.tty = header.tty.take().or_else(|| text(tty));
    header.working_directory = header.working_directory.take().or_else(|| text(&folder));
    header.command = header.command.take().or_else(|| text(&command));
    if let [rows, columns] = size {
        let size = Size::new(columns.parse().unwrap_or(0), rows.trim_end().parse().unwrap_or(0));
        header.size = header.size.or(size);
    }
    Ok(())
}

/// Seconds since the epoch, in newer versions with a fraction.
fn unix_micros(unix_seconds: &str) -> Option<u64> {
    let (whole, fraction) = unix_seconds.split_once('.').unwrap_or((unix_seconds, "0"));
    let fraction_us = seconds::from_text(format!("0.{fraction}").as_bytes())?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction_us)
}

fn read_log_json(part: &mut Source<'_>, header: &mut Header) -> Result<(), Damage> {
    let length = part.peek(LOG_BYTES_MAX + 1)?.len();
    if length > LOG_BYTES_MAX {
        return Err(part.damage(Reason::TooLarge, format!("log.json is larger than {LOG_BYTES_MAX} bytes")));
    }
    part.readable()?;
    let (bytes, _) = part.take(length)?;
    let fields: Map<String, Value> = serde_json::from_str(&String::from_utf8_lossy(&bytes))
        .map_err(|error| part.damage(Reason::BadHeader, format!("log.json is no JSON object: {error}")))?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let started = fields.get("timestamp").and_then(|time| {
        let nanos = number(time.get("nanoseconds")).unwrap_or(0);
        number(time.get("seconds"))?.checked_mul(1_000_000)?.checked_add(nanos / 1000)
    });
    let words = fields.get("runargv").and_then(Value::as_array);
    let words = words.map(|words| words.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    // The first word is the name it was called by; `command` is the program's path.
    let arguments = words.as_deref().and_then(|words| words.get(1..)).unwrap_or_default();
    header.started_at_us = started.or(header.started_at_us);
    header.command =
        text("command").map(|command| [&[command.as_str()], arguments].concat().join(" ")).or(header.command.take());
    header.user = text("submituser").or(header.user.take());
    header.run_as = text("runuser").or(header.run_as.take());
    header.host = text("submithost").or(header.host.take());
    header.tty = text("ttyname").or(header.tty.take());
    header.working_directory = text("submitcwd").or(header.working_directory.take());
    let size = Size::new(number(fields.get("columns")).unwrap_or(0), number(fields.get("lines")).unwrap_or(0));
    header.size = size.or(header.size);
    let variables = fields.get("runenv").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for (name, value) in variables.filter_map(|variable| variable.split_once('=')) {
        header.environment.insert(name.to_owned(), value.to_owned());
    }
    header.terminal_type = header.environment.get("TERM").cloned();
    Ok(())
}

struct Timed<'a> {
    timing: Option<Source<'a>>,
    streams: Streams<'a>,
    /// Place in `streams` of each of [`STREAMS`].
    named: [Option<usize>; STREAMS.len()],
    at_us: u64,
}

impl Events for Timed<'_> {
    fn next(&mut self, notices: &mut Notices) -> Result<Option<Event>, Damage> {
        self.streams.cut()?;
        let Some(timing) = &mut self.timing else {
            let detail = "without timing nobody knows what came when; only the header was read".to_owned();
            return Err(Damage { part: "timing".into(), offset: 0, at_us: 0, reason: Reason::MissingPart, detail });
        };
        while let Some(line) = timing.line(LINE_BYTES_MAX)? {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let record = Record::parse(line).map_err(|(reason, detail)| timing.damage(reason, detail))?;
            let at_us = seconds::add(self.at_us, record.pause_us);
            self.at_us = at_us.ok_or_else(|| timing.damage(Reason::BadTime, "the pauses add up to too much"))?;
            let what = match record.kind {
                Kind::Bytes { stream, count } => {
                    let Some(place) = self.named[stream] else {
                        Streams::missing(STREAMS[stream], notices);
                        continue;
                    };
                    let bytes = self.streams.take(place, count)?;
                    if is_input(stream) { What::Input(bytes) } else { What::Output(bytes) }
                }
                Kind::Resize(size) => What::Resize(size),
                Kind::Suspend(signal) => What::Other { code: "suspend".into(), data: signal },
            };
            return Ok(Some(Event { at_us: self.at_us, what }));
        }
        for (stream, place) in self.named.iter().enumerate() {
            if let Some(bytes) = place.map_or(Ok(None), |place| self.streams.left_over(place))? {
                let what = if is_input(stream) { What::Input(bytes) } else { What::Output(bytes) };
                return Ok(Some(Event { at_us: self.at_us, what }));
            }
        }
        Ok(None)
    }
}

/// Of [`STREAMS`]: stdin and ttyin.
fn is_input(stream: usize) -> bool {
    stream == 0 || stream == 3
}

struct Record {
    pause_us: u64,
    kind: Kind,
}

enum Kind {
    Bytes { stream: usize, count: usize },
    Resize(Size),
    Suspend(String),
}

impl Record {
    fn parse(line: &[u8]) -> Result<Record, Fault> {
        let text = String::from_utf8_lossy(line);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let shown = || text.chars().take(30).collect::<String>();
        let [kind, pause, rest @ ..] = words.as_slice() else {
            return Err((Reason::BadRecord, format!("{:?} is no record of a timing file", shown())));
        };
        let pause_us = seconds::from_text(pause.as_bytes())
            .ok_or_else(|| (Reason::BadTime, format!("{:?} has no pause", shown())))?;
        let kind = match (*kind, rest) {
            ("0" | "1" | "2" | "3" | "4" | "6", [count]) => {
                let count = count.parse().ok().filter(|count| *count <= RECORD_BYTES_MAX);
                let count =
                    count.ok_or_else(|| (Reason::BadRecord, format!("{:?} has no count within the limit", shown())))?;
                let stream = if *kind == "6" { 4 } else { usize::from(kind.as_bytes()[0] - b'0') };
                Kind::Bytes { stream, count }
            }
            ("5", [rows, columns]) => {
                let size = Size::new(columns.parse().unwrap_or(0), rows.parse().unwrap_or(0));
                Kind::Resize(
                    size.ok_or_else(|| (Reason::BadSize, format!("{:?} is no size within the limits", shown())))?,
                )
            }
            ("7", [signal]) => Kind::Suspend((*signal).to_owned()),
            ("0" | "1" | "2" | "3" | "4" | "5" | "6" | "7", _) => {
                return Err((Reason::BadRecord, format!("{:?} has the wrong number of fields", shown())));
            }
            _ => return Err((Reason::BadCode, format!("{:?} is of no known type", shown()))),
        };
        Ok(Record { pause_us, kind })
    }
}

/// Whether a file begins like sudo's `timing`.
pub(super) fn looks_like_timing(begin: &[u8]) -> bool {
    begin
        .split(|byte| *byte == b'\n')
        .next()
        .is_some_and(|line| line.len() < LINE_BYTES_MAX && Record::parse(line).is_ok())
}

/// Whether a file begins like sudo's older `log`.
pub(super) fn looks_like_log(begin: &[u8]) -> bool {
    let mut lines = begin.split(|byte| *byte == b'\n');
    let fields: Vec<&[u8]> = lines.next().unwrap_or_default().split(|byte| *byte == b':').collect();
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    matches!(fields.len(), 5 | 7) && digits(fields[0]) && lines.next().is_some_and(|folder| folder.starts_with(b"/"))
}

/// Whether a file begins like `log.json`.
pub(super) fn looks_like_log_json(begin: &[u8]) -> bool {
    let has = |name: &str| memchr::memmem::find(begin, name.as_bytes()).is_some();
    begin.trim_ascii_start().starts_with(b"{") && has("\"timestamp\"") && (has("\"submituser\"") || has("\"runargv\""))
}
