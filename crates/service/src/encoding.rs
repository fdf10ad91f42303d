//! What an entry's body holds: the event exactly as it was accepted, and who handed it in.
//!
//! ```text
//! version 1:  01 | envelope length, u16 big-endian | envelope JSON | event JSON
//!             envelope: {"by":"acc_…","via":"native","from":"203.0.113.9"}, members in this order, absent ones left out
//! version 2:  02 | envelope length, u16 big-endian | envelope JSON | what is encrypted
//!             envelope: {"by":"acc_…","via":"silo","from":"203.0.113.9","at":1700000000000000,"key":"2026","scheme":"standard"}
//!             at: when it happened, microseconds since 1970, absent if the sender did not say
//! ```
//!
//! A version once written stays readable. Of our own events version 2 says neither by whom nor from where: that is what
//! they are about.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use tlog::entry::{Entry, Kind, Payload};

use crate::model::{AccountId, Event, EventState, RecordedBy};

/// First byte of a body in clear.
const CLEAR: u8 = 1;

/// First byte of a body that is encrypted to a key of the organisation.
const SEALED: u8 = 2;

/// The envelope of a body in clear.
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
        Prefix(prefix(CLEAR, &envelope))
    }

    /// The body for one event.
    pub fn body(&self, event_json: &[u8]) -> Vec<u8> {
        [&self.0, event_json].concat()
    }
}

fn prefix(version: u8, envelope: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(envelope).expect("strings serialize, and writing to memory cannot fail");
    let length = u16::try_from(json.len()).expect("ids, addresses and names of keys are far below 64 KiB");
    [&[version], &length.to_be_bytes()[..], &json].concat()
}

/// The envelope of an encrypted body.
#[derive(Serialize, Deserialize)]
pub struct SealedEnvelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    by: Option<AccountId>,
    #[serde(borrow)]
    via: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    from: Option<String>,
    /// When it happened, in microseconds, if the sender said so.
    #[serde(rename = "at", skip_serializing_if = "Option::is_none", default)]
    pub occurred_at_us: Option<i64>,
    /// The name of the key.
    #[serde(rename = "key", borrow)]
    pub key_name: std::borrow::Cow<'a, str>,
    /// How it is encrypted.
    #[serde(with = "scheme_name")]
    pub scheme: seal::Scheme,
}

mod scheme_name {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(scheme: &seal::Scheme, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(scheme.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<seal::Scheme, D::Error> {
        let name = String::deserialize(from)?;
        seal::Scheme::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("no scheme is called {name}")))
    }
}

impl<'a> SealedEnvelope<'a> {
    /// The envelope of an event that is about to be encrypted.
    pub fn new(by: &'a RecordedBy, occurred_at_us: Option<i64>, key_name: &'a str, scheme: seal::Scheme) -> Self {
        // Who did something to the trail, and from where, is what our own events are about, so it is not said in clear.
        let ours = by.via == crate::access::Caller::INTERNAL;
        SealedEnvelope {
            by: by.account.filter(|_| !ours),
            via: by.via.as_str().into(),
            from: by.from.clone().filter(|_| !ours),
            occurred_at_us,
            key_name: key_name.into(),
            scheme,
        }
    }

    /// The body around what is encrypted.
    pub fn body(&self, ciphertext: &[u8]) -> Vec<u8> {
        let mut body = prefix(SEALED, self);
        body.extend_from_slice(ciphertext);
        body
    }

    /// The envelope of an encrypted body.
    pub fn read(body: &'a [u8]) -> Result<SealedEnvelope<'a>, String> {
        Ok(envelope(SEALED, body)?.0)
    }
}

/// The envelope of a body of `version`, as it lies there.
fn envelope_bytes(version: u8, body: &[u8]) -> Result<&[u8], String> {
    let [first, high, low, rest @ ..] = body else {
        return Err("the body has no version byte and envelope length".into());
    };
    if *first != version {
        return Err(format!("the body has version {first}, not {version}"));
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    rest.get(..length).ok_or_else(|| "the envelope is longer than the body".into())
}

/// The envelope of a body of `version`, and where its content starts.
fn envelope<'a, E: Deserialize<'a>>(version: u8, body: &'a [u8]) -> Result<(E, usize), String> {
    let bytes = envelope_bytes(version, body)?;
    let envelope = serde_json::from_slice(bytes).map_err(|e| format!("the envelope does not read: {e}"))?;
    Ok((envelope, 3 + bytes.len()))
}

/// What an encrypted body holds: who handed in, and where what is encrypted starts.
fn decode_sealed(body: &[u8]) -> Result<(RecordedBy, usize), String> {
    let (envelope, at): (SealedEnvelope<'_>, usize) = envelope(SEALED, body)?;
    Ok((RecordedBy { account: envelope.by, via: envelope.via.into_owned(), from: envelope.from }, at))
}

/// Who wrote what nobody handed in.
static NOBODY: LazyLock<Arc<RecordedBy>> = LazyLock::new(|| {
    Arc::new(RecordedBy { account: None, via: crate::access::Caller::INTERNAL.to_owned(), from: None })
});

/// Makes readable events of stored records. Use one for many records: events of one sender carry the same envelope,
/// byte for byte, and it is parsed once for a run of them.
#[derive(Default)]
pub struct Decoder {
    /// The last envelope in clear, and what it says.
    last: Option<(Vec<u8>, Arc<RecordedBy>)>,
}

impl Decoder {
    /// Makes the readable event of a stored record. Never fails: what does not read says so in its state.
    pub fn event(&mut self, record: log::Record) -> Event {
        let mut event = Event {
            before: 0,
            content: record.body.clone(),
            json_at: 0,
            by: Arc::clone(&NOBODY),
            state: EventState::Present,
            verdict: None,
            record,
        };
        if event.record.state.is_erased() {
            event.state = EventState::Erased;
            return event;
        }
        match event.record.kind {
            Kind::Event | Kind::RecordingChunk => match event.content.first() {
                Some(&CLEAR) => match self.decode(&event.content) {
                    Ok((by, json_at)) => {
                        event.by = by;
                        event.json_at = json_at;
                    }
                    Err(why) => event.state = EventState::Unreadable(why),
                },
                Some(&SEALED) => match decode_sealed(&event.content) {
                    Ok((by, json_at)) => {
                        event.by = Arc::new(by);
                        event.json_at = json_at;
                        event.state = EventState::Sealed;
                    }
                    Err(why) => event.state = EventState::Unreadable(why),
                },
                Some(version) => {
                    event.state = EventState::Unreadable(format!("body version {version} is newer than this program"))
                }
                None => event.state = EventState::Unreadable("the body is empty or could not be read".into()),
            },
            Kind::LogNote => event.content = note("log", &event.record.body).into(),
            Kind::KeyNote => event.content = note("key", &event.record.body).into(),
            Kind::ErasureNote => event.content = note("erasure", &event.record.body).into(),
        }
        event
    }

    /// What a body in clear holds: who handed in, and where the event's JSON starts.
    fn decode(&mut self, body: &[u8]) -> Result<(Arc<RecordedBy>, usize), String> {
        let bytes = envelope_bytes(CLEAR, body)?;
        let json_at = 3 + bytes.len();
        if let Some((last, by)) = &self.last
            && last == bytes
        {
            return Ok((Arc::clone(by), json_at));
        }
        let (envelope, json_at): (Envelope<'_>, usize) = envelope(CLEAR, body)?;
        let by = RecordedBy { account: envelope.by, via: envelope.via.into_owned(), from: envelope.from };
        let by = Arc::new(by);
        self.last = Some((bytes.to_vec(), Arc::clone(&by)));
        Ok((by, json_at))
    }
}

/// Makes the readable event of one stored record; see [`Decoder`].
pub fn event(record: log::Record) -> Event {
    Decoder::default().event(record)
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

/// The leaf hash that the record's stored bytes give, an erased one's commitment included; `None` if they give none.
pub fn leaf_hash(record: &log::Record) -> Option<tlog::Hash> {
    entry_bytes(record).map(|entry| tlog::leaf_hash(&entry))
}

/// The log entry that the record's stored bytes give, an erased one's commitment included; `None` if they give none.
pub fn entry_bytes(record: &log::Record) -> Option<Vec<u8>> {
    let (payload, body_bytes) = match record.state {
        log::BodyState::Erased { body_bytes, .. } => {
            (Payload::Committed { commitment: tlog::Hash((*record.body).try_into().ok()?) }, body_bytes)
        }
        log::BodyState::Present => {
            let payload = match record.kind.is_committed(record.body.len()) {
                true => Payload::Committed { commitment: tlog::commitment(&record.salt, &record.body) },
                false => Payload::Inline(&record.body),
            };
            (payload, u32::try_from(record.body.len()).ok()?)
        }
    };
    let entry = Entry {
        kind: record.kind,
        body_bytes,
        index: record.index,
        number: record.number,
        received_at_us: record.received_at_us,
        id: record.id,
        payload,
    };
    entry.check().is_ok().then(|| entry.encode())
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
            prop_assert_eq!(&**event.recorded_by(), &by);
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
    fn a_run_of_records_reads_as_each_alone() {
        let by = |via: &str| RecordedBy { account: None, via: via.into(), from: None };
        let bodies =
            ["native", "native", "silo", "native"].map(|via| Prefix::new(&by(via)).body(b"{\"action\":\"a\"}"));
        let mut decoder = Decoder::default();
        for body in bodies.into_iter().chain([vec![1, 0, 2, b'{', b'}'], vec![1, 0]]) {
            let (run, alone) = (decoder.event(record(Kind::Event, body.clone())), event(record(Kind::Event, body)));
            assert_eq!(
                (run.recorded_by(), run.state(), run.json()),
                (alone.recorded_by(), alone.state(), alone.json())
            );
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
        let by = RecordedBy { account: None, via: "native".into(), from: Some("203.0.113.9".into()) };
        let sealed = SealedEnvelope::new(&by, Some(-5), "a key", seal::Scheme::Standard).body(b"ciphertext");
        let sealed = event(record(Kind::Event, sealed));
        assert_eq!((sealed.state(), &**sealed.recorded_by()), (&EventState::Sealed, &by));
        let content = sealed.sealed().unwrap();
        assert_eq!((content.key_name.as_ref(), content.scheme), ("a key", seal::Scheme::Standard));
        assert_eq!(content.ciphertext, b"ciphertext");
        assert_eq!(sealed.occurred_at().as_microsecond(), -5);
        assert!(sealed.json().is_none());

        assert!(matches!(event(record(Kind::Event, vec![2, 1])).state(), EventState::Unreadable(_)));
        assert!(matches!(event(record(Kind::Event, vec![9])).state(), EventState::Unreadable(_)));
        assert!(matches!(event(record(Kind::Event, vec![])).state(), EventState::Unreadable(_)));
        assert!(matches!(event(record(Kind::Event, vec![1, 255, 255, b'{'])).state(), EventState::Unreadable(_)));
    }

    #[test]
    fn encrypted_own_events_do_not_say_in_clear_by_whom_and_from_where() {
        let account = Some(crate::model::AccountId::from_bytes([1; 16]));
        let by = RecordedBy { account, via: crate::access::Caller::INTERNAL.into(), from: Some("203.0.113.9".into()) };
        let sealed = event(record(Kind::Event, SealedEnvelope::new(&by, None, "k", seal::Scheme::Legacy).body(b"x")));
        assert_eq!(&**sealed.recorded_by(), &RecordedBy { account: None, from: None, ..by });
    }

    #[test]
    fn notes_of_the_log_read_as_events() {
        let event = event(record(Kind::LogNote, br#"{"log":"opened"}"#.to_vec()));
        let fields = event.fields().unwrap();
        assert_eq!((fields.action.as_str(), fields.kind), ("log.opened", crate::model::Kind::System));
    }
}
