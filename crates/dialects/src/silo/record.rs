//! Records: an event as the client reads it, written straight into the reply.
//!
//! ```text
//! {"type":"URL","seq_id":7,"create_ts":1404245973.396193,"org_id":"…32 hex…", then the members of the type in order}
//! ```
//!
//! What came in as a Silo record keeps every other member as it was sent, text for text: known ones in the type's order,
//! `null` for those it does not have, unknown ones behind them in the order they came. What came in otherwise gets its
//! members from `translate.rs`. Source: `specs/silo.md` §6.

use std::io::Write as _;

use service::{Event, OrgId, Surface, Timestamp};

use super::scan::{self, Name};
use super::time;
use super::translate::Foreign;
use super::types::{self, ENC, LogType, MEMBERS_MAX, Member, SEALED, Wanted};

const MEMORY: &str = "writing to memory cannot fail";

/// Members that are ours, whatever was sent under their names.
const OWN: [&str; 4] = ["type", "seq_id", "create_ts", "org_id"];

/// Writes the records of one organisation.
pub struct Writer {
    wanted: Wanted,
    /// `,"org_id":"…"`: the sixteen bytes of the organisation's id in hex.
    org: String,
}

impl Writer {
    /// For a page of `wanted` of `org`.
    pub fn new(wanted: Wanted, org: OrgId) -> Writer {
        Writer { wanted, org: format!(",\"org_id\":\"{}\"", hex::encode(org.as_bytes())) }
    }

    /// Writes one record. Every event makes one, so that no number that was found is left out in silence: one whose
    /// content does not read any more has its members `null`.
    pub fn write(&self, event: &Event, out: &mut Vec<u8>) {
        if let Some(came) = event.json().and_then(Came::find) {
            let occurred_at_us = came.occurred_at_us.unwrap_or_else(|| micros(event.recorded_at()));
            return self.passed_through(event.number(), occurred_at_us, &came, out);
        }
        match event.fields() {
            Ok(fields) => {
                let log_type = Surface::Extraction.type_of(&fields).and_then(|name| types::find(&name));
                let log_type = self.shown(log_type);
                let at = fields.occurred_at_time().unwrap_or_else(|| event.recorded_at());
                self.head(log_type, event.number(), micros(at), out);
                let foreign = Foreign::new(&fields);
                for member in log_type.members {
                    out.extend_from_slice(member.lead.as_bytes());
                    foreign.write(log_type, member.name, out);
                }
            }
            Err(_) => {
                let log_type = self.shown(None);
                self.head(log_type, event.number(), micros(event.recorded_at()), out);
                for member in log_type.members {
                    out.extend_from_slice(member.lead.as_bytes());
                    out.extend_from_slice(b"null");
                }
            }
        }
        out.push(b'}');
    }

    /// The type that was asked for; among all types together, the event's own, or `EVENT` for one that is not known.
    fn shown(&self, found: Option<&'static LogType>) -> &'static LogType {
        match self.wanted {
            Wanted::One(log_type) => log_type,
            Wanted::Sealed => &SEALED,
            Wanted::AllClear => {
                found.or_else(|| types::find("EVENT")).expect("EVENT stands in the table of types, a test says so")
            }
        }
    }

    fn head(&self, log_type: &LogType, number: u64, at_us: i64, out: &mut Vec<u8>) {
        write!(out, "{{\"type\":\"{}\",\"seq_id\":{number},\"create_ts\":", log_type.name).expect(MEMORY);
        time::write(at_us, out);
        if log_type.name != ENC {
            out.extend_from_slice(self.org.as_bytes());
        }
    }

    fn passed_through(&self, number: u64, at_us: i64, came: &Came<'_>, out: &mut Vec<u8>) {
        let log_type = self.shown(came.log_type);
        self.head(log_type, number, at_us, out);
        let known = log_type.members;
        let mut values: [&[u8]; MEMBERS_MAX] = [b"null"; MEMBERS_MAX];
        let mut unknown: Vec<(Name<'_>, &[u8])> = Vec::new();
        // Members that were pulled from here once come in our order: the next one is looked for first.
        let mut expected = 0;
        for (name, value) in came.members.clone() {
            match place(known, expected, name) {
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
        for (Name(name), value) in unknown {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        }
        out.push(b'}');
    }
}

fn place(known: &[Member], expected: usize, name: Name<'_>) -> Option<usize> {
    if known.get(expected).is_some_and(|member| name.is(member.name)) {
        return Some(expected);
    }
    known.iter().position(|member| name.is(member.name))
}

/// A record that came in as a Silo record.
struct Came<'a> {
    /// `None`: of a type that is not known.
    log_type: Option<&'static LogType>,
    occurred_at_us: Option<i64>,
    members: scan::Members<'a>,
}

impl<'a> Came<'a> {
    /// Finds the record inside the event's text without parsing the rest of it.
    fn find(json: &'a [u8]) -> Option<Came<'a>> {
        let mut occurred_at_us = None;
        let mut origin = None;
        for (name, value) in scan::members(json)? {
            if name.is("occurred_at") {
                let at = scan::string(value).and_then(|text| text.parse::<Timestamp>().ok());
                occurred_at_us = at.map(micros);
            } else if name.is("origin") {
                origin = Some(value);
            }
        }
        let (mut dialect, mut log_type, mut raw) = (false, None, None);
        for (name, value) in scan::members(origin?)? {
            if name.is("dialect") {
                dialect = scan::string(value).is_some_and(|name| name == Surface::Extraction.dialect());
            } else if name.is("type") {
                log_type = scan::string(value);
            } else if name.is("raw") {
                raw = Some(value);
            }
        }
        if !dialect {
            return None;
        }
        let log_type = match log_type?.as_ref() {
            text if types::is_name(text, ENC) => Some(&SEALED),
            text => types::find(text),
        };
        Some(Came { log_type, occurred_at_us, members: scan::members(raw?)? })
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000) as i64
}
