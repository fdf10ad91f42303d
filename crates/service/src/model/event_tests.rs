//! What is taken as an event, what is refused, and what the refusal says.

use proptest::prelude::*;

use super::event::*;

fn refused(json: &str) -> Invalid {
    match NewEvent::from_json(json.as_bytes()) {
        Err(invalid) => invalid,
        Ok(_) => panic!("{json} must be refused"),
    }
}

/// Refused at `pointer`, with `words` in the message.
fn check(json: &str, pointer: &str, words: &str) {
    let invalid = refused(json);
    assert_eq!(invalid.pointer, pointer, "{json}: {invalid}");
    assert!(invalid.message.contains(words), "{json}: {invalid}");
}

const FULL: &str = r#"{
  "id": "a-1", "occurred_at": "2023-07-23T10:36:37.0355877Z", "kind": "file", "action": "upl\u00f6ad", "outcome": "success",
  "actor": {"id": "u1", "name": "Ann", "type": "user"}, "indirect_actor": "proxy",
  "source": {"address": "10.0.0.1", "host": "h", "port": 22, "application": "scp"},
  "targets": ["t", {"type": "file", "id": "f1", "name": "report"}], "session": "s", "correlation": "c", "message": "m",
  "attributes": {"any": [1, 2.50, {"thing": null}]}, "origin": {"dialect": "silo", "type": "UPLOAD", "raw": {"b": 1, "a": 2}}
}"#;

#[test]
fn a_full_event_keeps_its_bytes_and_reads_back() {
    let padded = format!("\n {FULL} \n");
    let event = NewEvent::from_json(padded.as_bytes()).unwrap();
    assert_eq!(event.json(), FULL.as_bytes());
    assert_eq!(event.id(), Some("a-1"));
    let fields = Fields::parse(event.json()).unwrap();
    assert_eq!((fields.kind, fields.outcome, fields.action.as_str()), (Kind::File, Outcome::Success, "uplöad"));
    assert_eq!(fields.occurred_at_time().unwrap().to_string(), "2023-07-23T10:36:37.0355877Z");
    assert_eq!(fields.actor.unwrap().label(), Some("Ann"));
    assert_eq!(fields.indirect_actor.unwrap().name.unwrap().as_str(), "proxy");
    let source = fields.source.unwrap();
    assert_eq!((source.label(), source.port), (Some("10.0.0.1"), Some(22)));
    assert_eq!(fields.targets[0].name.as_deref(), Some("t"));
    assert_eq!(fields.targets[1].kind.as_deref(), Some("file"));
    assert_eq!(fields.attributes.unwrap().get(), r#"{"any": [1, 2.50, {"thing": null}]}"#);
    assert_eq!(fields.origin.unwrap().raw.unwrap().get(), r#"{"b": 1, "a": 2}"#);
}

#[test]
fn null_is_absent_and_what_is_absent_has_its_default() {
    let json = br#"{"action":"a","id":null,"occurred_at":null,"kind":null,"outcome":null,"actor":null,"source":null,"targets":null,"attributes":null,"origin":null}"#;
    let event = NewEvent::from_json(json).unwrap();
    let fields = Fields::parse(event.json()).unwrap();
    assert_eq!((fields.kind, fields.outcome), (Kind::Other, Outcome::Unknown));
    assert!(fields.actor.is_none() && fields.targets.is_empty() && fields.attributes.is_none());
    assert_eq!(event.id_bytes(), [0; 16]);
}

#[test]
fn a_refusal_names_the_member_and_what_would_be_right() {
    check("", "", "not JSON");
    check("{", "", "not JSON");
    check("[]", "", "not a JSON object");
    check("3", "", "not a JSON object");
    check("{}", "/action", "required");
    check(r#"{"action":null}"#, "/action", "required");
    check(r#"{"action":""}"#, "/action", "empty");
    check(r#"{"action":7}"#, "/action", "not a string");
    check(r#"{"action":"a","when":"now"}"#, "/when", "attributes");
    check(r#"{"action":"a","a/b~c":1}"#, "/a~1b~0c", "unknown");
    check(r#"{"action":"a","kind":"login"}"#, "/kind", "authentication, page");
    check(r#"{"action":"a","outcome":"SUCCESS"}"#, "/outcome", "success, failure, unknown");
    check(r#"{"action":"a","occurred_at":"yesterday"}"#, "/occurred_at", "RFC 3339");
    check(r#"{"action":"a","occurred_at":"2023-07-23T10:36:37"}"#, "/occurred_at", "offset");
    check(r#"{"action":"a","actor":{}}"#, "/actor", "empty");
    check(r#"{"action":"a","actor":""}"#, "/actor/name", "empty");
    check(r#"{"action":"a","actor":["x"]}"#, "/actor", "neither");
    check(r#"{"action":"a","actor":{"mail":"x"}}"#, "/actor/mail", "id, name, type");
    check(r#"{"action":"a","source":{"port":65536}}"#, "/source/port", "65535");
    check(r#"{"action":"a","targets":"x"}"#, "/targets", "not an array");
    check(r#"{"action":"a","targets":["x",{}]}"#, "/targets/1", "empty");
    check(r#"{"action":"a","targets":["x",{"id":7}]}"#, "/targets/1/id", "not a string");
    check(r#"{"action":"a","attributes":[]}"#, "/attributes", "not an object");
    check(r#"{"action":"a","origin":{"raw":1}}"#, "/origin/dialect", "required");
    check(r#"{"action":"a","origin":{"dialect":"x","kind":1}}"#, "/origin/kind", "dialect, type, raw");
}

#[test]
fn duplicate_members_are_refused_at_every_level() {
    check(r#"{"action":"a","action":"b"}"#, "", "duplicate");
    check(r#"{"action":"a","\u0061ction":"b"}"#, "", "duplicate");
    check(r#"{"action":"a","actor":{"id":"x","id":"y"}}"#, "", "duplicate");
    check(r#"{"action":"a","attributes":{"x":{"y":1,"y":2}}}"#, "/attributes", "duplicate member `y`");
    check(r#"{"action":"a","origin":{"dialect":"d","raw":[{"y":1,"y":2}]}}"#, "/origin/raw", "duplicate member `y`");
}

#[test]
fn lengths_are_bounded_and_the_bound_itself_is_taken() {
    let with = |member: &str, bytes: usize| format!(r#"{{"action":"a","{member}":"{}"}}"#, "x".repeat(bytes));
    for (member, max) in [
        ("id", ID_BYTES_MAX),
        ("session", NAME_BYTES_MAX),
        ("correlation", NAME_BYTES_MAX),
        ("message", TEXT_BYTES_MAX),
        ("source", NAME_BYTES_MAX),
        ("actor", NAME_BYTES_MAX),
    ] {
        assert!(NewEvent::from_json(with(member, max).as_bytes()).is_ok(), "{member}");
        let invalid = refused(&with(member, max + 1));
        assert!(invalid.too_large && invalid.message.contains(&max.to_string()), "{member}: {invalid}");
    }
    let action = |bytes: usize| format!(r#"{{"action":"{}"}}"#, "x".repeat(bytes));
    assert!(NewEvent::from_json(action(ACTION_BYTES_MAX).as_bytes()).is_ok());
    assert!(refused(&action(ACTION_BYTES_MAX + 1)).too_large);
    let targets = |count: usize| format!(r#"{{"action":"a","targets":[{}]}}"#, vec![r#""t""#; count].join(","));
    assert!(NewEvent::from_json(targets(TARGETS_MAX).as_bytes()).is_ok());
    assert!(refused(&targets(TARGETS_MAX + 1)).too_large);
    let whole = |bytes: usize| format!(r#"{{"action":"a","attributes":{{"x":"{}"}}}}"#, "y".repeat(bytes - 36));
    assert_eq!(whole(EVENT_BYTES_MAX).len(), EVENT_BYTES_MAX);
    assert!(NewEvent::from_json(whole(EVENT_BYTES_MAX).as_bytes()).is_ok());
    assert!(refused(&whole(EVENT_BYTES_MAX + 1)).too_large);
    let deep =
        |depth: usize| format!(r#"{{"action":"a","attributes":{{"x":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(NewEvent::from_json(deep(63).as_bytes()).is_ok());
    check(&deep(64), "/attributes", "deep");
    check(&deep(100_000), "/attributes", "deep");
}

#[test]
fn an_id_becomes_sixteen_bytes() {
    let uuid = "0192f8a1-7c3e-7b9a-8f3d-112233445566";
    assert_eq!(hex::encode(id_bytes(uuid)), "0192f8a17c3e7b9a8f3d112233445566");
    assert_eq!(id_bytes(&uuid.to_uppercase()), id_bytes(uuid));
    // SHA-256 of "a-1", first half.
    assert_eq!(hex::encode(id_bytes("a-1")).len(), 32);
    assert_ne!(id_bytes("a-1"), id_bytes("a-2"));
    // Other spellings of a UUID are ordinary texts, and the nil UUID is not "no id".
    assert_ne!(id_bytes("0192f8a17c3e7b9a8f3d112233445566"), id_bytes(uuid));
    assert_ne!(id_bytes("00000000-0000-0000-0000-000000000000"), [0; 16]);
}

proptest! {
    #[test]
    fn no_bytes_whatever_stop_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = NewEvent::from_json(&bytes);
    }

    // Goal: wherever one valid event is damaged, the answer is an event or a refusal with words in it.
    #[test]
    fn a_damaged_event_is_taken_or_refused_with_a_reason(at in 0usize..FULL.len(), byte: u8) {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes[at] = byte;
        if let Err(invalid) = NewEvent::from_json(&bytes) {
            prop_assert!(!invalid.message.is_empty());
        }
    }

    #[test]
    fn a_draft_reads_back(action in "\\PC{1,30}", name in prop::option::of("\\PC{1,30}"), port: Option<u16>) {
        let draft = EventDraft {
            action: action.clone(),
            actor: name.clone().map(PartyDraft::named),
            source: port.map(|port| SourceDraft { port: Some(port), ..SourceDraft::default() }),
            ..EventDraft::default()
        };
        let event = NewEvent::build(&draft).unwrap();
        let fields = Fields::parse(event.json()).unwrap();
        prop_assert_eq!(fields.action.as_str(), action.as_str());
        prop_assert_eq!(fields.actor.and_then(|actor| actor.name).map(|name| name.to_string()), name);
        prop_assert_eq!(fields.source.and_then(|source| source.port), port);
    }
}
