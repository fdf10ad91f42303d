//! What an entry's body holds: the event exactly as it was accepted, and who handed it in.
//!
//! ```text
//! version 1:  01 | envelope length, u16 big-endian | envelope JSON | event JSON
//!             envelope: {"by":"acc_…","via":"native","from":"203.0.113.9"}, members in this order, absent ones left out
//! ```
//!
//! `02` is reserved for events that are encrypted to an organisation's key. A version once written stays readable.

use serde::{Deserialize, Serialize};
use tlog::entry::{Entry, Kind, Payload};

use crate::model::{AccountId, Event, EventState, RecordedBy};

/// First byte of a body in clear.
const CLEAR: u8 = 1;

/// First byte of a body that is encrypted to a key of the organisation.
const SEALED: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    by: Option<AccountId>,
    #[serde(borrow)]
    via: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    from: Option<String>,
}

/// The envelope of one request, encoded once and put before each of its events.
pub struct Prefix(Vec<u8>);

impl Prefix {
    /// Encodes who hands in. `via` and `from` are short by construction (dialect names and addresses).
    pub fn new(by: &RecordedBy) -> Prefix {
        let envelope = Envelope { by: by.account, via: by.via.as_str().into(), from: by.from.clone() };
        let json = serde_json::to_vec(&envelope).expect("strings serialize, and writing to memory cannot fail");
        let length = u16::try_from(json.len()).expect("an id, a dialect name and an address are far below 64 KiB");
        let mut bytes = vec![CLEAR];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&json);
        Prefix(bytes)
    }

    /// The body for one event.
    pub fn body(&self, event_json: &[u8]) -> Vec<u8> {
        [&self.0, event_json].concat()
    }
}

/// What a body in clear holds: who handed in, and where the event's JSON starts.
fn decode(body: &[u8]) -> Result<(RecordedBy, usize), String> {
    let [CLEAR, high, low, rest @ ..] = body else {
        return Err("the body has no version byte and envelope length".into());
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let envelope = rest.get(..length).ok_or("the envelope is longer than the body")?;
    let envelope: Envelope<'_> =
        serde_json::from_slice(envelope).map_err(|e| format!("the envelope does not read: {e}"))?;
    let by = RecordedBy { account: envelope.by, via: envelope.via.into_owned(), from: envelope.from };
    Ok((by, 3 + length))
}

/// Makes the readable event of a stored record. Never fails: what does not read says so in its state.
pub fn event(record: log::Record) -> Event {
    let nobody = || RecordedBy { account: None, via: crate::access::Caller::INTERNAL.to_owned(), from: None };
    let mut event = Event {
        content: record.body.clone(),
        json_at: 0,
        by: nobody(),
        state: EventState::Present,
        verdict: None,
        record,
    };
    if event.record.state == log::BodyState::Erased {
        event.state = EventState::Erased;
        return event;
    }
    match event.record.kind {
        Kind::Event => match event.content.first() {
            Some(&CLEAR) => match decode(&event.content) {
                Ok((by, json_at)) => {
                    event.by = by;
                    event.json_at = json_at;
                }
                Err(why) => event.state = EventState::Unreadable(why),
            },
            Some(&SEALED) => event.state = EventState::Sealed,
            Some(version) => {
                event.state = EventState::Unreadable(format!("body version {version} is newer than this program"))
            }
            None => event.state = EventState::Unreadable("the body is empty or could not be read".into()),
        },
        Kind::LogNote => event.content = note("log", &event.record.body).into(),
        Kind::KeyNote => event.content = note("key", &event.record.body).into(),
        Kind::ErasureNote => event.content = note("erasure", &event.record.body).into(),
        Kind::RecordingChunk => event.content = note("recording", &event.record.body).into(),
    }
    event
}

/// The canonical event JSON for a note of the log about itself: kind `system`, action such as `log.opened`, the note as
/// attributes. `about` is the member that says what happened, and the first part of the action.
fn note(about: &str, body: &[u8]) -> Vec<u8> {
    let note: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).unwrap_or_default();
    let what = note.get(about).and_then(|v| v.as_str()).filter(|what| what.len() <= 100).unwrap_or("note");
    let event = serde_json::json!({
        "kind": "system",
        "action": format!("{about}.{what}"),
        "outcome": "success",
        "attributes": note,
    });
    serde_json::to_vec(&event).expect("a value serializes, and writing to memory cannot fail")
}

/// The leaf hash that the record's stored bytes give; `None` when the body is gone.
pub fn leaf_hash(record: &log::Record) -> Option<tlog::Hash> {
    entry_bytes(record).map(|entry| tlog::leaf_hash(&entry))
}

/// The log entry that the record's stored bytes give; `None` when the body is gone.
pub fn entry_bytes(record: &log::Record) -> Option<Vec<u8>> {
    if record.state == log::BodyState::Erased {
        return None;
    }
    let payload = match record.kind.is_committed(record.body.len()) {
        true => Payload::Committed { commitment: tlog::commitment(&record.salt, &record.body) },
        false => Payload::Inline(&record.body),
    };
    let entry = Entry {
        kind: record.kind,
        body_bytes: u32::try_from(record.body.len()).ok()?,
        index: record.index,
        number: record.number,
        received_at_us: record.received_at_us,
        id: record.id,
        payload,
    };
    Some(entry.encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: Kind, body: Vec<u8>) -> log::Record {
        log::Record {
            index: 0,
            number: 1,
            received_at_us: 7,
            kind,
            id: [0; 16],
            salt: [3; 16],
            body: body.into(),
            state: log::BodyState::Present,
        }
    }

    proptest! {
        #[test]
        fn what_was_handed_in_reads_back_byte_for_byte(
            account in prop::option::of(any::<[u8; 16]>()), via in "[a-z]{1,20}", from in prop::option::of("[0-9.:]{1,40}"), action in "\\PC{1,40}",
        ) {
            let json = serde_json::to_vec(&serde_json::json!({ "action": action })).unwrap();
            let by = RecordedBy { account: account.map(AccountId::from_bytes), via, from };
            let event = event(record(Kind::Event, Prefix::new(&by).body(&json)));
            prop_assert_eq!(event.state(), &EventState::Present);
            prop_assert_eq!(event.recorded_by(), &by);
            prop_assert_eq!(event.json(), Some(&json[..]));
            let fields = event.fields().unwrap();
            prop_assert_eq!(fields.action.as_str(), action.as_str());
        }

        #[test]
        fn no_body_whatever_stops_a_reader(body in prop::collection::vec(any::<u8>(), 0..60), tag in 0u8..4) {
            for kind in [Kind::Event, Kind::LogNote, Kind::KeyNote, Kind::ErasureNote, Kind::RecordingChunk] {
                let event = event(record(kind, [&[tag][..], &body].concat()));
                let _ = (event.fields().is_ok(), event.json(), event.occurred_at(), event.leaf_hash());
            }
        }
    }

    #[test]
    fn a_version_1_body_is_these_bytes() {
        // Written out: a body once written stays readable.
        let body = b"\x01\x00\x1d{\"via\":\"native\",\"from\":\"::1\"}{\"action\":\"a\"}";
        let by = RecordedBy { account: None, via: "native".into(), from: Some("::1".into()) };
        assert_eq!(Prefix::new(&by).body(b"{\"action\":\"a\"}"), body);
        assert_eq!(event(record(Kind::Event, body.to_vec())).json(), Some(&b"{\"action\":\"a\"}"[..]));
    }

    #[test]
    fn sealed_newer_and_empty_bodies_say_what_they_are() {
        assert_eq!(event(record(Kind::Event, vec![2, 1])).state(), &EventState::Sealed);
        assert!(matches!(event(record(Kind::Event, vec![9])).state(), EventState::Unreadable(_)));
        assert!(matches!(event(record(Kind::Event, vec![])).state(), EventState::Unreadable(_)));
        assert!(matches!(event(record(Kind::Event, vec![1, 255, 255, b'{'])).state(), EventState::Unreadable(_)));
    }

    #[test]
    fn notes_of_the_log_read_as_events() {
        let event = event(record(Kind::LogNote, br#"{"log":"opened"}"#.to_vec()));
        let fields = event.fields().unwrap();
        assert_eq!((fields.action.as_str(), fields.kind), ("log.opened", crate::model::Kind::System));
    }
}
