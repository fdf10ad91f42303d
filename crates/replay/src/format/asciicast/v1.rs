//! Version 1: one JSON object whose `stdout` is an array of `[pause, data]`.
//!
//! The object may be large, so it is walked, not loaded: each value but `stdout` is captured whole, each frame on its own.
//! What the header needs must stand before `stdout`, as it does in everything that recorders wrote.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::{self, Bytes};
use super::lines::size;
use crate::format::damage::{Damage, Reason};
use crate::format::event::{Event, Format, Header, What};
use crate::format::reader::{Events, Notices, Opened};
use crate::format::source::Source;
use crate::format::{RECORD_BYTES_MAX, seconds};

#[derive(Deserialize)]
struct Frame(f64, Bytes);

struct Frames<'a> {
    source: Source<'a>,
    at_us: u64,
    first: bool,
}

pub(super) fn open<'a>(mut source: Source<'a>) -> Result<Opened<'a>, Damage> {
    let fields = fields_before_stdout(&mut source)?;
    let bad_header = |reason, detail: String| source.damage(reason, detail);
    if fields.get("version").and_then(Value::as_u64) != Some(1) {
        return Err(bad_header(Reason::BadHeader, "no version 1 before the frames".into()));
    }
    let size =
        size(fields.get("width"), fields.get("height")).map_err(|(reason, detail)| bad_header(reason, detail))?;
    let environment = json::environment(fields.get("env"));
    let header = Header {
        size: Some(size),
        claimed_duration_us: json::micros(fields.get("duration")),
        command: json::text(fields.get("command")),
        title: json::text(fields.get("title")),
        terminal_type: environment.get("TERM").cloned(),
        environment,
        ..Header::new(Format::AsciicastV1)
    };
    Ok((header, Box::new(Frames { source, at_us: 0, first: true })))
}

/// Stops behind the `[` of `stdout`.
fn fields_before_stdout(source: &mut Source<'_>) -> Result<Map<String, Value>, Damage> {
    let mut fields = Map::new();
    let bad = |source: &Source<'_>, detail: &str| Err(source.damage(Reason::BadHeader, detail));
    if next_token(source)? != Some(b'{') {
        return bad(source, "the part is no JSON object");
    }
    source.skip_byte();
    loop {
        match next_token(source)? {
            Some(b'"') => {}
            Some(b',') if !fields.is_empty() => {
                source.skip_byte();
                continue;
            }
            _ => return bad(source, "the object has no stdout"),
        }
        let name = value(source, Reason::BadHeader)?;
        if next_token(source)? != Some(b':') {
            return bad(source, "a name without a value");
        }
        source.skip_byte();
        let token = next_token(source)?;
        if name == "stdout" {
            if token != Some(b'[') {
                return bad(source, "stdout is no array");
            }
            source.skip_byte();
            return Ok(fields);
        }
        let Value::String(name) = name else {
            return bad(source, "a name is no string");
        };
        let value = value(source, Reason::BadHeader)?;
        fields.insert(name, value);
    }
}

impl Events for Frames<'_> {
    fn next(&mut self, _: &mut Notices) -> Result<Option<Event>, Damage> {
        let mut token = next_token(&mut self.source)?;
        if token == Some(b',') && !self.first {
            self.source.skip_byte();
            token = next_token(&mut self.source)?;
        } else if !self.first && token != Some(b']') && token.is_some() {
            return Err(self.source.damage(Reason::BadRecord, "a frame is not followed by a comma or the end"));
        }
        self.first = false;
        match token {
            Some(b']') => return Ok(None),
            Some(_) => {}
            None => return Err(self.source.damage(Reason::CutShort, "the part ends inside stdout")),
        }
        let text = capture(&mut self.source)?;
        let (pause, data) = match serde_json::from_slice(&text) {
            Ok(Frame(pause, data)) => (pause, data.0),
            Err(_) => return Err(blame(&text, &self.source)),
        };
        let at_us = seconds::from_f64(pause).and_then(|pause_us| seconds::add(self.at_us, pause_us));
        self.at_us = at_us.ok_or_else(|| self.source.damage(Reason::BadTime, format!("{pause} is no pause")))?;
        Ok(Some(Event { at_us: self.at_us, what: What::Output(data) }))
    }
}

fn blame(text: &[u8], source: &Source<'_>) -> Damage {
    let frame: Value = match serde_json::from_str(&json::lossy(text)) {
        Ok(frame) => frame,
        Err(error) => return source.damage(Reason::BadRecord, format!("a frame is no JSON: {error}")),
    };
    match frame.as_array().map(Vec::as_slice) {
        Some([pause, _]) if !pause.is_number() => {
            source.damage(Reason::BadTime, format!("the pause is {}", json::kind(pause)))
        }
        Some([_, data]) => source.damage(Reason::BadData, format!("the data is {}", json::kind(data))),
        Some(fields) => source.damage(Reason::BadRecord, format!("a frame has {} fields, not 2", fields.len())),
        None => source.damage(Reason::BadRecord, format!("a frame is {}", json::kind(&frame))),
    }
}

/// The byte of the next token, which stays; white space before it is passed over.
fn next_token(source: &mut Source<'_>) -> Result<Option<u8>, Damage> {
    loop {
        match source.peek(1)?.first() {
            Some(byte) if byte.is_ascii_whitespace() => source.skip_byte(),
            other => return Ok(other.copied()),
        }
    }
}

fn value(source: &mut Source<'_>, reason: Reason) -> Result<Value, Damage> {
    let text = capture(source)?;
    serde_json::from_str(&json::lossy(&text)).map_err(|error| source.damage(reason, format!("no JSON: {error}")))
}

/// Takes the bytes of one value. Only quotes and brackets are looked at; whether it is JSON is for the parser to say.
fn capture(source: &mut Source<'_>) -> Result<Vec<u8>, Damage> {
    let (mut looked_at, mut depth, mut in_string, mut escaped) = (0, 0_usize, false, false);
    let length = 'found: loop {
        let waiting = source.peek(looked_at + 1)?;
        if waiting.len() == looked_at {
            source.readable()?;
            break looked_at;
        }
        for (at, &byte) in waiting.iter().enumerate().skip(looked_at) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => {
                    in_string = !in_string;
                    if !in_string && depth == 0 {
                        break 'found at + 1;
                    }
                }
                _ if in_string => {}
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth > 1 => depth -= 1,
                b']' | b'}' => break 'found at + depth,
                b',' | b':' if depth == 0 => break 'found at,
                _ => {}
            }
        }
        looked_at = waiting.len();
        if looked_at > RECORD_BYTES_MAX {
            let (_, _) = source.take(0)?;
            return Err(source.damage(Reason::TooLarge, format!("a value is longer than {RECORD_BYTES_MAX} bytes")));
        }
    };
    Ok(source.take(length)?.0)
}
