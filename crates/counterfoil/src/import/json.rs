//! What the importers of JSON records share: the loop over a file, wrappers made of text, and careful access to members.

use std::io::BufRead;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::clock::{self, Stamp};
use super::draft::{Draft, Meaning, Origin, Raw};
use super::ids::{Ids, RecordId};
use super::records::{Piece, Records};
use super::{Options, Output};

/// Gives records of one format a meaning.
pub(super) trait Understand {
    /// Goes into ids and `origin.dialect`.
    const DIALECT: &'static str;
    /// Members of wrapper objects whose array holds the records.
    const WRAPPERS: &'static [&'static str];

    /// Finds the event inside a wrapper of one record; nothing when the record is no wrapper.
    ///
    /// # Errors
    /// A sentence for the user: it is a wrapper of something else.
    fn unwrap(&self, record: &Map<String, Value>) -> Result<Option<Inner>, String>;

    /// # Errors
    /// A sentence for the user: why this is no event of the format.
    fn read(&self, record: &Map<String, Value>) -> Result<Understood, String>;
}

/// An event that was wrapped: JSON in a string, or a member.
pub(super) enum Inner {
    Text(String),
    Object(Map<String, Value>),
}

/// A record understood.
pub(super) struct Understood {
    pub own_id: OwnId,
    pub at: Option<Timestamp>,
    pub meaning: Meaning,
    /// `origin.type`.
    pub kind: Option<String>,
}

/// The id a record brings along.
pub(super) enum OwnId {
    None,
    /// Made by the system that wrote the log, unique in the world.
    Trusted(String),
    /// Taken over from a client by the system that wrote the log, so anybody can give theirs to another event: it does not
    /// count without the hash of the content, or a forged id would keep an event out of the trail.
    Claimed(String),
}

pub(super) fn import<F: Understand>(
    reader: impl BufRead,
    options: &Options,
    format: &mut F,
    output: &mut Output<'_>,
) -> anyhow::Result<()> {
    let mut records = Records::new(reader, F::WRAPPERS);
    let mut ids = Ids::new();
    let mut timeless_noted = false;
    loop {
        let at_line = records.line();
        let next = records.next().map_err(|error| {
            anyhow::Error::new(error).context(format!("reading line {at_line} of {}", options.file_name))
        })?;
        (output.summary.lines, output.summary.blank) = records.counted();
        let Some(piece) = next else { return Ok(()) };
        output.summary.records += 1;
        let (line, bytes) = match piece {
            Piece::Broken { line, reason, bytes } => {
                output.not_understood(line, reason, &bytes)?;
                continue;
            }
            Piece::Record { line, bytes } => (line, bytes),
        };
        let (understood, raw) = match understand(format, &bytes) {
            Ok(understood) => understood,
            Err(reason) => {
                output.not_understood(line, reason, &bytes)?;
                continue;
            }
        };
        let content = raw.get().as_bytes();
        let id = match &understood.own_id {
            OwnId::None => RecordId::New(ids.of_content(F::DIALECT, content)),
            OwnId::Trusted(own_id) => ids.of_record(F::DIALECT, own_id, content),
            OwnId::Claimed(own_id) => ids.of_record_and_content(F::DIALECT, own_id, content),
        };
        let RecordId::New(id) = id else {
            output.summary.repeated += 1;
            output.note(line, "a record of this file once more, with the same id and content; it is one event")?;
            continue;
        };
        if understood.at.is_none() && !timeless_noted {
            timeless_noted = true;
            output.note(
                line,
                "no readable time in the record: it occurred, as far as the trail knows, when it was received",
            )?;
        }
        output.summary.understood += 1;
        let mut meaning = understood.meaning;
        if understood.at.is_none() {
            meaning = meaning.attribute("assumed", vec!["time"]);
        }
        let origin = Origin { dialect: F::DIALECT, kind: understood.kind, raw: Raw::Json(raw) };
        let draft = Draft { id, occurred_at: understood.at.map(|at| at.to_string()), meaning, origin };
        output.event(line, draft.into_json())?;
    }
}

/// Parses a record, looks through wrappers, and gives the event with the JSON it came from.
fn understand<F: Understand>(format: &F, bytes: &[u8]) -> Result<(Understood, Box<RawValue>), String> {
    const WRAPPED_MAX: usize = 4;
    let mut raw = raw_value(&compact(bytes))?;
    for _ in 0..WRAPPED_MAX {
        let record: Map<String, Value> = serde_json::from_str(raw.get()).map_err(|error| not_json(&error))?;
        match format.unwrap(&record)? {
            None => return Ok((format.read(&record)?, raw)),
            Some(Inner::Text(text)) => raw = raw_value(&compact(text.as_bytes()))?,
            Some(Inner::Object(object)) => {
                raw = serde_json::value::to_raw_value(&object).map_err(|error| not_json(&error))?
            }
        }
    }
    Err(format!("wrapped more than {WRAPPED_MAX} times"))
}

pub(super) fn not_json(error: &serde_json::Error) -> String {
    format!("not a JSON object: {error}")
}

fn raw_value(bytes: &[u8]) -> Result<Box<RawValue>, String> {
    serde_json::from_slice(bytes).map_err(|error| not_json(&error))
}

/// JSON without white space between its tokens, otherwise byte for byte.
pub(super) fn compact(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for byte in json {
        if !in_string && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        }
        in_string ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped && in_string;
        out.push(*byte);
    }
    out
}

/// A member by its name, in any case when there is none in this case: some pipelines write all names in lower case.
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let exact = object.get(name);
    let found = exact.or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
    found.filter(|value| !value.is_null())
}

/// A member that is an object.
pub(super) fn object<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    member(object, name)?.as_object()
}

/// A member that is a text and not empty.
pub(super) fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    member(object, name)?.as_str().filter(|text| !text.is_empty())
}

/// A member that is a time; without an offset it is UTC, which is how both formats define theirs.
pub(super) fn time(object: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let at = match clock::parse_iso(text(object, name)?)? {
        Stamp::Instant(at) => at,
        Stamp::Local(local) => TimeZone::UTC.to_timestamp(local).ok()?,
        Stamp::WithoutYear(_) => return None,
    };
    clock::is_in_range(at).then_some(at)
}

/// Copies members that are there into the attributes, each under its new name.
pub(super) fn copy_attributes(mut meaning: Meaning, from: &Map<String, Value>, names: &[(&str, &str)]) -> Meaning {
    for (name, attribute) in names {
        match member(from, name) {
            Some(Value::String(text)) if text.is_empty() => {}
            Some(value) => meaning = meaning.attribute(attribute, value.clone()),
            None => {}
        }
    }
    meaning
}
