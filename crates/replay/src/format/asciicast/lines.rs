//! Versions 2 and 3: a header line, then one `[time, code, data]` on each line.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::{self, Bytes};
use super::theme;
use crate::cell::Size;
use crate::format::damage::{Damage, Fault, Reason};
use crate::format::event::{Event, Format, Header, What};
use crate::format::reader::{Events, Notices, Opened};
use crate::format::source::Source;
use crate::format::{RECORD_BYTES_MAX, seconds};

struct Lines<'a> {
    source: Source<'a>,
    /// Version 3: times are pauses and `#` begins a comment.
    pauses: bool,
    at_us: u64,
}

/// What an event line is, when all is well; anything else goes through [`blame`].
#[derive(Deserialize)]
struct Line(f64, Bytes, Bytes);

pub(super) fn open<'a>(format: Format, mut source: Source<'a>, notices: &mut Notices) -> Result<Opened<'a>, Damage> {
    let parsed: Result<Value, String> = match source.line(RECORD_BYTES_MAX)? {
        None => Err("the part is empty".into()),
        Some(line) => {
            serde_json::from_str(&json::lossy(line)).map_err(|error| format!("the header is no JSON: {error}"))
        }
    };
    let bad_header = |detail: String| source.damage(Reason::BadHeader, detail);
    let parsed = parsed.map_err(bad_header)?;
    let fields = parsed.as_object().ok_or_else(|| bad_header(format!("the header is {}", json::kind(&parsed))))?;
    let version = if format == Format::AsciicastV3 { 3 } else { 2 };
    if fields.get("version").and_then(Value::as_u64) != Some(version) {
        return Err(bad_header(format!("the header's version is not {version}")));
    }
    let (header, theme_fault) =
        read_header(format, fields).map_err(|(reason, detail)| source.damage(reason, detail))?;
    if let Some(fault) = theme_fault {
        notices.add(source.damage(Reason::BadHeader, fault));
    }
    Ok((header, Box::new(Lines { source, pauses: version == 3, at_us: 0 })))
}

/// The header, and what is wrong with its theme: a recording is worth reading without its colours.
fn read_header(format: Format, fields: &Map<String, Value>) -> Result<(Header, Option<String>), Fault> {
    let none = Map::new();
    let term = if format == Format::AsciicastV3 {
        fields.get("term").and_then(Value::as_object).ok_or((Reason::BadHeader, "the header has no term".to_owned()))?
    } else {
        &none
    };
    let (columns, rows, theme) = match format {
        Format::AsciicastV3 => (term.get("cols"), term.get("rows"), term.get("theme")),
        _ => (fields.get("width"), fields.get("height"), fields.get("theme")),
    };
    let size = size(columns, rows)?;
    let (theme, theme_fault) = match theme::parse(theme) {
        Ok(theme) => (theme, None),
        Err(fault) => (None, Some(fault)),
    };
    let environment = json::environment(fields.get("env"));
    let header = Header {
        size: Some(size),
        started_at_us: fields
            .get("timestamp")
            .and_then(Value::as_f64)
            .filter(|at| *at >= 0.0)
            .map(|at| (at * 1e6) as u64),
        claimed_duration_us: json::micros(fields.get("duration")),
        idle_limit_us: json::micros(fields.get("idle_time_limit")),
        command: json::text(fields.get("command")),
        title: json::text(fields.get("title")),
        terminal_type: json::text(term.get("type")).or_else(|| environment.get("TERM").cloned()),
        environment,
        theme,
        ..Header::new(format)
    };
    Ok((header, theme_fault))
}

/// Columns and rows as a header gives them.
pub(super) fn size(columns: Option<&Value>, rows: Option<&Value>) -> Result<Size, Fault> {
    let (Some(columns), Some(rows)) = (columns.and_then(Value::as_u64), rows.and_then(Value::as_u64)) else {
        return Err((Reason::BadHeader, "the header does not give the terminal's columns and rows as numbers".into()));
    };
    Size::new(columns, rows).ok_or_else(|| (Reason::BadSize, format!("{columns}x{rows} is outside the limits")))
}

impl Events for Lines<'_> {
    fn next(&mut self, _: &mut Notices) -> Result<Option<Event>, Damage> {
        loop {
            let Some(line) = self.source.line(RECORD_BYTES_MAX)? else {
                return Ok(None);
            };
            if line.iter().all(u8::is_ascii_whitespace) || (self.pauses && line.starts_with(b"#")) {
                continue;
            }
            let outcome = event(line, self.pauses.then_some(self.at_us));
            let event = outcome.map_err(|(reason, detail)| self.source.damage(reason, detail))?;
            self.at_us = event.at_us;
            return Ok(Some(event));
        }
    }
}

/// `after_us`: the time that the line's time is a pause after; `None` where it counts from the start.
fn event(line: &[u8], after_us: Option<u64>) -> Result<Event, Fault> {
    let (time, code, data) = match serde_json::from_slice(line) {
        Ok(Line(time, code, data)) => (time, code.0, data.0),
        Err(_) => blame(line)?,
    };
    let at_us = seconds::from_f64(time).and_then(|time_us| seconds::add(after_us.unwrap_or(0), time_us));
    let at_us = at_us.ok_or_else(|| (Reason::BadTime, format!("{time} is no time")))?;
    let what =
        match code.as_slice() {
            b"o" => What::Output(data),
            b"i" => What::Input(data),
            b"m" => What::Marker(json::lossy(&data).into_owned()),
            b"r" => What::Resize(resize(&data).ok_or_else(|| {
                (Reason::BadSize, format!("{:?} is no size", json::lossy(&data[..data.len().min(20)])))
            })?),
            b"x" if status(&data).is_some() => What::Exit(status(&data).unwrap_or_default()),
            _ => What::Other { code: json::lossy(&code).into_owned(), data: json::lossy(&data).into_owned() },
        };
    Ok(Event { at_us, what })
}

/// Says what is wrong with a line, or finds that nothing is: data of unknown codes need not be a string.
fn blame(line: &[u8]) -> Result<(f64, Vec<u8>, Vec<u8>), Fault> {
    let line: Value = serde_json::from_str(&json::lossy(line))
        .map_err(|error| (Reason::BadRecord, format!("the line is no JSON: {error}")))?;
    let fields = line.as_array().ok_or_else(|| (Reason::BadRecord, format!("the line is {}", json::kind(&line))))?;
    let [time, code, data] = fields.as_slice() else {
        return Err((Reason::BadRecord, format!("the line has {} fields, not 3", fields.len())));
    };
    let time = time.as_f64().ok_or_else(|| (Reason::BadTime, format!("the time is {}", json::kind(time))))?;
    let code = code.as_str().ok_or_else(|| (Reason::BadCode, format!("the code is {}", json::kind(code))))?;
    let data = match data {
        Value::String(text) => text.clone(),
        other if matches!(code, "o" | "i" | "m" | "r") => {
            return Err((Reason::BadData, format!("the data is {}", json::kind(other))));
        }
        other => other.to_string(),
    };
    Ok((time, code.to_owned().into_bytes(), data.into_bytes()))
}

/// `80x24`, columns first.
fn resize(data: &[u8]) -> Option<Size> {
    let (columns, rows) = std::str::from_utf8(data).ok()?.split_once('x')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    Size::new(number(columns)?, number(rows)?)
}

fn status(data: &[u8]) -> Option<i64> {
    std::str::from_utf8(data).ok()?.parse().ok()
}
