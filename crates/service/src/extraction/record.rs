//! Records: an event as the client reads it, written straight into the reply or into what is encrypted.
//!
//! ```text
//! extracted  {"type":"URL","seq_id":7,"create_ts":1404245973.396193,"org_id":"…32 hex…", the type's members in order}
//! encrypted  {"type":"URL","org_id":"…32 hex…", the type's members in order, "counterfoil":{the event}}
//! ```
//!
//! What came in as a record of this surface keeps every other member as it was sent, text for text: known ones in the
//! type's order, `null` for those it does not have, unknown ones behind them in the order they came. What came in otherwise
//! gets its members from `translate.rs`.
//!
//! The encrypted form carries the event itself too, because most events have more to say than the members of their type:
//! without it encryption would lose what a clear trail keeps. What the record repeats of it (the `raw` of its origin) is
//! left out. Number and time are not in it: they stand in clear beside it, and clients lay the inner members over those.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::scan::{self, Name};
use super::translate::Foreign;
use super::types::{self, ENC, LogType, MEMBERS_MAX, Member, SEALED, Wanted};
use crate::model::{Event, Fields, OrgId, SealedContent, Surface};

const MEMORY: &str = "writing to memory cannot fail";

/// Members that are ours, whatever was sent under their names.
const OWN: [&str; 4] = ["type", "seq_id", "create_ts", "org_id"];

/// The member of an encrypted record that holds the event.
pub const CANONICAL: &str = "counterfoil";

/// Writes the records of one organisation.
pub struct Writer {
    wanted: Wanted,
    org: String,
}

/// Where a record stands: only what is handed out has a number and a time inside.
#[derive(Clone, Copy)]
struct Place {
    number: u64,
    at_us: i64,
}

impl Writer {
    /// For a page of `wanted` of `org`.
    pub fn new(wanted: Wanted, org: OrgId) -> Writer {
        Writer { wanted, org: org_member(org) }
    }

    /// Writes one record. Every event makes one, so that no number that was found is left out in silence: one whose
    /// content does not read any more has its members `null`.
    pub fn write(&self, event: &Event, out: &mut Vec<u8>) {
        let place = |at_us| Some(Place { number: event.number(), at_us });
        if let Some(content) = event.sealed() {
            return sealed(&content, Place { number: event.number(), at_us: micros(event.occurred_at()) }, out);
        }
        if let Some(came) = event.json().and_then(Came::find) {
            let log_type = self.shown(Some(came.log_type));
            let at_us = came.occurred_at_us.unwrap_or_else(|| micros(event.recorded_at()));
            head(log_type, place(at_us), &self.org, out);
            passed_through(log_type, &came, out);
        } else if let Ok(fields) = event.fields() {
            let log_type = self.shown(type_of(&fields));
            let at = fields.occurred_at_time().unwrap_or_else(|| event.recorded_at());
            head(log_type, place(micros(at)), &self.org, out);
            translated(log_type, &fields, out);
        } else {
            let log_type = self.shown(None);
            head(log_type, place(micros(event.recorded_at())), &self.org, out);
            for member in log_type.members {
                out.extend_from_slice(member.lead.as_bytes());
                out.extend_from_slice(b"null");
            }
        }
        out.push(b'}');
    }

    /// The type that was asked for; among all types together, the event's own, or `EVENT` for one that is not known.
    fn shown(&self, found: Option<&'static LogType>) -> &'static LogType {
        match self.wanted {
            Wanted::One(log_type) => log_type,
            Wanted::Sealed => &SEALED,
            Wanted::AllClear => found.unwrap_or_else(unknown_type),
        }
    }
}

/// What of an event is encrypted: its record, and the event itself as [`CANONICAL`]. `json` is an event that was accepted.
pub fn sealed_form(org: OrgId, json: &[u8]) -> Vec<u8> {
    let org = org_member(org);
    let mut out = Vec::with_capacity(2 * json.len() + 512);
    let came = Came::find(json);
    match &came {
        Some(came) => {
            head(came.log_type, None, &org, &mut out);
            passed_through(came.log_type, came, &mut out);
        }
        None => {
            let fields = Fields::parse(json).expect("an event that was accepted reads");
            let log_type = type_of(&fields).unwrap_or_else(unknown_type);
            head(log_type, None, &org, &mut out);
            translated(log_type, &fields, &mut out);
        }
    }
    write!(out, ",\"{CANONICAL}\":").expect(MEMORY);
    if came.is_some() {
        without_raw(json, &mut out)
    } else {
        out.extend_from_slice(json)
    }
    out.push(b'}');
    out
}

fn type_of(fields: &Fields<'_>) -> Option<&'static LogType> {
    Surface::Extraction.type_of(fields).and_then(|name| types::find_any(&name))
}

fn unknown_type() -> &'static LogType {
    types::find("EVENT").expect("EVENT stands in the table of types, a test says so")
}

/// `,"org_id":"…"`: the sixteen bytes of the organisation's id in hex.
fn org_member(org: OrgId) -> String {
    format!(",\"org_id\":\"{}\"", hex::encode(org.as_bytes()))
}

fn head(log_type: &LogType, place: Option<Place>, org: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(log_type.name.as_bytes());
    out.push(b'"');
    if let Some(Place { number, at_us }) = place {
        write!(out, ",\"seq_id\":{number},\"create_ts\":").expect(MEMORY);
        super::time::write(at_us, out);
    }
    if log_type.name != ENC {
        out.extend_from_slice(org.as_bytes());
    }
}

fn sealed(content: &SealedContent<'_>, place: Place, out: &mut Vec<u8>) {
    head(&SEALED, Some(place), "", out);
    out.extend_from_slice(b",\"key_name\":");
    serde_json::to_writer(&mut *out, &content.key_name).expect(MEMORY);
    out.extend_from_slice(b",\"enc\":\"");
    let start = out.len();
    let room = base64::encoded_len(content.ciphertext.len(), true).expect("a body of a log is far below usize::MAX");
    out.resize(start + room, 0);
    STANDARD.encode_slice(content.ciphertext, &mut out[start..]).expect("the room was measured");
    let encryption_type = match content.scheme {
        seal::Scheme::Legacy => "Legacy",
        seal::Scheme::Standard => "Standard",
    };
    write!(out, "\",\"encryption_type\":\"{encryption_type}\"}}").expect(MEMORY);
}

fn translated(log_type: &LogType, fields: &Fields<'_>, out: &mut Vec<u8>) {
    let foreign = Foreign::new(fields);
    for member in log_type.members {
        out.extend_from_slice(member.lead.as_bytes());
        foreign.write(log_type, member.name, out);
    }
}

fn passed_through(log_type: &LogType, came: &Came<'_>, out: &mut Vec<u8>) {
    let known = log_type.members;
    let mut values: [&[u8]; MEMBERS_MAX] = [b"null"; MEMBERS_MAX];
    let mut unknown: Vec<(Name<'_>, &[u8])> = Vec::new();
    // Members that were pulled from here once come in our order: the next one is looked for first.
    let mut expected = 0;
    for (name, value) in came.members.clone() {
        match place_of(known, expected, name) {
            Some(at) => {
                values[at] = value;
                expected = at + 1;
            }
            None if OWN.iter().any(|own| name.is(own)) => {}
            None => unknown.push((name, value)),
        }
    }
    // A record without this member is a legacy one; said or not, it reads the same. Source: `specs/silo.md` §6.3.
    if log_type.name == ENC && values[2] == b"null" {
        values[2] = b"\"Legacy\"";
    }
    for (member, value) in known.iter().zip(values) {
        out.extend_from_slice(member.lead.as_bytes());
        out.extend_from_slice(value);
    }
    for (name, value) in unknown {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.text());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
}

fn place_of(known: &[Member], expected: usize, name: Name<'_>) -> Option<usize> {
    if known.get(expected).is_some_and(|member| name.is(member.name)) {
        return Some(expected);
    }
    known.iter().position(|member| name.is(member.name))
}

/// The event without the `raw` of its origin.
fn without_raw(json: &[u8], out: &mut Vec<u8>) {
    object(json, out, |name, value, out| {
        if name.is("origin") {
            object(value, out, |name, value, out| kept(!name.is("raw"), value, out))
        } else {
            kept(true, value, out)
        }
    });
}

/// Writes the members of `json` that `member` writes a value for.
fn object(json: &[u8], out: &mut Vec<u8>, member: impl Fn(Name<'_>, &[u8], &mut Vec<u8>) -> bool) -> bool {
    out.push(b'{');
    let first = out.len();
    for (name, value) in scan::members(json).into_iter().flatten() {
        let before = out.len();
        if before > first {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.text());
        out.extend_from_slice(b"\":");
        if !member(name, value, out) {
            out.truncate(before);
        }
    }
    out.push(b'}');
    true
}

fn kept(keep: bool, value: &[u8], out: &mut Vec<u8>) -> bool {
    if keep {
        out.extend_from_slice(value);
    }
    keep
}

/// A record that came in as a record of this surface.
struct Came<'a> {
    log_type: &'static LogType,
    occurred_at_us: Option<i64>,
    members: scan::Members<'a>,
}

impl<'a> Came<'a> {
    /// Finds the record inside the event's text without parsing the rest of it.
    fn find(json: &'a [u8]) -> Option<Came<'a>> {
        let (mut occurred_at_us, mut origin) = (None, None);
        let mut top = scan::members(json)?;
        // Stops at the last of the two, so that what is in the record is walked through once, when it is written.
        while occurred_at_us.is_none() || origin.is_none() {
            let Some((name, open)) = top.next_open() else { break };
            if name.is("occurred_at") {
                let at = scan::string(scan::value(open)?).and_then(|text| text.parse::<Timestamp>().ok());
                occurred_at_us = Some(micros(at?));
            } else if name.is("origin") {
                origin = Some(Came::record(open)?);
            }
        }
        let (log_type, members) = origin?;
        Some(Came { log_type, occurred_at_us, members })
    }

    /// The record inside an origin, if it is one of this surface.
    fn record(origin: &'a [u8]) -> Option<(&'static LogType, scan::Members<'a>)> {
        let (mut log_type, mut raw, mut is_ours) = (None, None, false);
        let mut members = scan::members(origin)?;
        while log_type.is_none() || raw.is_none() || !is_ours {
            let (name, open) = members.next_open()?;
            if name.is("dialect") {
                is_ours = scan::string(scan::value(open)?)? == Surface::Extraction.dialect();
                if !is_ours {
                    return None;
                }
            } else if name.is("type") {
                // Without a type that is known the event's kind decides, and that is in the rest of it.
                log_type = Some(types::find_any(&scan::string(scan::value(open)?)?)?);
            } else if name.is("raw") {
                raw = Some(scan::members(open)?);
            }
        }
        Some((log_type?, raw?))
    }
}

fn micros(at: Timestamp) -> i64 {
    crate::model::time::micros(at)
}
