//! Arbitrary bodies to log extraction: an answer below 500 always; where the request is an array of commands, one answer for
//! each, a result or an error, and never more to come without a number that grows.
#![no_main]

mod served;

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use served::Served;
use service::{NewEvent, Scope, TokenForm};

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let event = |n: usize| {
        let of = ["URL", "PRINT", "ENC", "HOLOGRAM", "AUTH"][n % 5];
        let event = format!(
            r#"{{"action":"a","occurred_at":"2026-01-01T00:00:{n:02}Z","origin":{{"dialect":"silo","type":"{of}","raw":{{"url":"{n}","x":[{n}]}}}}}}"#
        );
        NewEvent::from_json(event.as_bytes())
    };
    Served::new(vec![Scope::Extract], TokenForm::Extraction, (0..50).map(event).collect())
});

// A body that holds the word TOKEN gets the real one in its place; a fuzzer would not find it.
fuzz_target!(|bytes: &[u8]| {
    let served = &*SERVED;
    let body = match std::str::from_utf8(bytes) {
        Ok(text) => text.replace("TOKEN", &served.token).into_bytes(),
        Err(_) => bytes.to_vec(),
    };
    let request = Request::builder().method("POST").uri("/api/").body(Body::from(body.clone())).expect("a request");
    let (status, reply) = served.ask(request);
    let reply: Value = match serde_json::from_slice(&reply) {
        Ok(reply) => reply,
        // The echo of an id may be a number that no double holds: JSON all the same.
        Err(_) if memmem(&body, b"command_id") => return,
        Err(error) => panic!("the reply is not JSON: {error}"),
    };
    if status != 200 {
        assert!(reply["error"].is_string());
        return;
    }
    let reply = reply.as_array().expect("an array");
    let commands: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(&body).expect("it was answered, so it is an array");
    assert_eq!(reply.len(), commands.len());
    for element in reply {
        assert!(element.get("result").is_some() != element.get("error").is_some());
        let result = &element["result"];
        if result["is_more"] == true {
            let last = result["logs"].as_array().and_then(|logs| logs.last()).expect("more after something");
            assert_eq!(result["next_seq"].as_u64(), last["seq_id"].as_u64().map(|number| number + 1));
        }
    }
});

fn memmem(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
