//! Finds tlog's messages in what carries them: JSON lines, a journal export (text or JSON), syslog.

use serde_json::Value;

use super::message::Message;
use crate::format::RECORD_BYTES_MAX;
use crate::format::damage::{Damage, Fault, Reason};
use crate::format::source::Source;

/// How every message of tlog begins: `ver` is its first field.
const BEGIN: &str = "{\"ver\":";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Each line is a JSON object: a message, or a journal entry with one in its `MESSAGE`.
    JsonLines,
    /// `NAME=value` lines (or, for binary values, `NAME`, a length and bytes), entries parted by empty lines.
    JournalExport,
    /// Lines of text; a message is what follows [`BEGIN`].
    Syslog,
}

pub(super) struct Carrier<'a> {
    source: Source<'a>,
    kind: Kind,
    /// `__REALTIME_TIMESTAMP` of the journal entry that is being read.
    logged_at_us: Option<u64>,
}

impl<'a> Carrier<'a> {
    pub(super) fn open(mut source: Source<'a>) -> Result<Carrier<'a>, Damage> {
        let begin = source.peek(4096)?.trim_ascii_start();
        let kind = if begin.starts_with(b"{") {
            Kind::JsonLines
        } else if looks_like_journal(begin) {
            Kind::JournalExport
        } else {
            Kind::Syslog
        };
        Ok(Carrier { source, kind, logged_at_us: None })
    }

    pub(super) fn damage(&self, reason: Reason, detail: impl Into<String>) -> Damage {
        self.source.damage(reason, detail)
    }

    /// The next message of any recording; what is no message of tlog is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Damage> {
        loop {
            let Some(line) = self.source.line(RECORD_BYTES_MAX)? else {
                return Ok(None);
            };
            let outcome = match self.kind {
                _ if line.iter().all(u8::is_ascii_whitespace) => {
                    self.logged_at_us = None;
                    continue;
                }
                Kind::JsonLines => json_line(&String::from_utf8_lossy(line)),
                Kind::Syslog => carried(&String::from_utf8_lossy(line)).map(Message::parse).transpose(),
                Kind::JournalExport => match Field::parse(line) {
                    Field::Message(text) => carried(&String::from_utf8_lossy(text)).map(Message::parse).transpose(),
                    Field::LoggedAt(at_us) => {
                        self.logged_at_us = at_us;
                        continue;
                    }
                    Field::Other => continue,
                    Field::Binary { message } => match self.binary(message)? {
                        Some(text) => carried(&String::from_utf8_lossy(&text)).map(Message::parse).transpose(),
                        None => continue,
                    },
                },
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(mut message)) => {
                    message.offset = self.source.taken_at();
                    message.logged_at_us = message.logged_at_us.or(self.logged_at_us);
                    return Ok(Some(message));
                }
                Err((reason, detail)) => return Err(self.source.damage(reason, detail)),
            }
        }
    }

    /// A field's value with its length before it: 64 bits, little-endian, and a newline behind.
    fn binary(&mut self, wanted: bool) -> Result<Option<Vec<u8>>, Damage> {
        let (length, cut) = self.source.take(8)?;
        if let Some(cut) = cut {
            return Err(cut);
        }
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes were taken"));
        if !wanted {
            self.source.skip(length)?;
            self.source.skip(1)?;
            return Ok(None);
        }
        let Some(count) = usize::try_from(length).ok().filter(|count| *count <= RECORD_BYTES_MAX) else {
            return Err(self.source.damage(Reason::TooLarge, format!("a field announces {length} bytes")));
        };
        match self.source.take(count)? {
            (_, Some(cut)) => Err(cut),
            (text, None) => {
                self.source.skip(1)?;
                Ok(Some(text))
            }
        }
    }
}

enum Field<'l> {
    Message(&'l [u8]),
    LoggedAt(Option<u64>),
    Other,
    /// The value follows with its length before it.
    Binary {
        message: bool,
    },
}

impl Field<'_> {
    fn parse(line: &[u8]) -> Field<'_> {
        let Some(equals) = memchr::memchr(b'=', line) else {
            return if is_name(line) { Field::Binary { message: line == b"MESSAGE" } } else { Field::Other };
        };
        match (&line[..equals], &line[equals + 1..]) {
            (b"MESSAGE", text) => Field::Message(text),
            (b"__REALTIME_TIMESTAMP", at) => {
                Field::LoggedAt(std::str::from_utf8(at).ok().and_then(|at| at.parse().ok()))
            }
            _ => Field::Other,
        }
    }
}

/// What a text carries: the message of tlog in it, if there is one.
fn carried(text: &str) -> Option<&str> {
    let at = text.find(BEGIN)?;
    // Other programs log JSON with a version, too.
    text[at..].contains("\"rec\":").then(|| text[at..].trim_end())
}

/// A message, a journal entry (`journalctl -o json`) that may hold one, or another program's object.
fn json_line(line: &str) -> Result<Option<Message>, Fault> {
    let not_json = |error: serde_json::Error| (Reason::BadRecord, format!("the line is no JSON object: {error}"));
    let fields: serde_json::Map<String, Value> = serde_json::from_str(line).map_err(not_json)?;
    if fields.contains_key("ver") && fields.contains_key("rec") {
        return Message::parse(line).map(Some);
    }
    let text = match fields.get("MESSAGE") {
        Some(Value::String(text)) => text.clone(),
        // What is not printable comes as an array of bytes.
        Some(Value::Array(bytes)) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
        }
        _ => return Ok(None),
    };
    let logged_at_us = fields.get("__REALTIME_TIMESTAMP").and_then(Value::as_str).and_then(|at| at.parse().ok());
    let mut message = carried(&text).map(Message::parse).transpose()?;
    if let Some(message) = &mut message {
        message.logged_at_us = logged_at_us;
    }
    Ok(message)
}

fn is_name(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    (1..=64).contains(&text.len()) && !text[0].is_ascii_digit() && text.iter().all(allowed)
}

/// Whether these first bytes are entries of a journal export: the first line is a field, and a field that every entry has
/// stands somewhere.
pub(in crate::format) fn looks_like_journal(begin: &[u8]) -> bool {
    let first = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = first.split(|byte| *byte == b'=').next().unwrap_or_default();
    let fields: [&[u8]; 3] = [b"__CURSOR=", b"_BOOT_ID=", b"__REALTIME_TIMESTAMP="];
    is_name(name) && fields.iter().any(|field| memchr::memmem::find(begin, field).is_some())
}

/// Whether a text begins with messages, or with syslog lines that carry them.
pub(in crate::format) fn looks_like_messages(begin: &[u8]) -> bool {
    carried(&String::from_utf8_lossy(begin)).is_some_and(|message| message.contains("\"timing\":"))
}
