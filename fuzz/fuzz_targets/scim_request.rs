//! Arbitrary filters, tokens and bodies to the SCIM surface.
//!
//! A filter that reads is written and read again to the same filter; a token that reads is kept so that it can be written
//! character for character; a request is answered below 500, in SCIM's form; a token that is taken is found by its type, and
//! says then what it said before.
#![no_main]

mod served;

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dialects::activid::filter::Filter;
use dialects::activid::token::Token;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use served::Served;
use service::{Scope, TokenForm};

static SERVED: LazyLock<Served> =
    LazyLock::new(|| Served::new(vec![Scope::Ingest, Scope::Read], TokenForm::Native, Vec::new()));

fn ask(path: &str, body: Vec<u8>) -> (u16, Value) {
    let request = Request::builder().method("POST").uri(path).header("authorization", SERVED.bearer());
    let (status, body) = SERVED.ask(request.body(Body::from(body)).expect("a request"));
    (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") })
}

fn search(filter: &str) -> (u16, Value) {
    let body =
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter, "count": 3});
    ask("/scim/acme/v2/Event/.search", body.to_string().into_bytes())
}

fn create(token: &str) -> (u16, Value) {
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:notify:2.0:Feed"], "eventToken": token});
    ask("/scim/acme/v2/Event", body.to_string().into_bytes())
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (what, bytes) = input;
    let text = String::from_utf8_lossy(&bytes);
    match what % 4 {
        0 => {
            let read = Filter::read(&text);
            if let Ok(filter) = &read {
                assert_eq!(Filter::read(&filter.to_string()).as_ref(), Ok(filter));
            }
            let (status, reply) = search(&text);
            let is_bounded = reply["scimType"] == "tooMany";
            assert_eq!(status == 200, read.is_ok() && !is_bounded, "{text}: {reply}");
        }
        1 => {
            if let Ok(token) = Token::read(&text) {
                assert_eq!(token.as_sent(), text);
            }
            create(&text);
        }
        2 => {
            let token = format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(&bytes));
            let (status, _) = create(&token);
            assert_eq!(status == 204, Token::read(&token).is_ok());
            if status != 204 {
                return;
            }
            let sent: Value = serde_json::from_slice(&bytes).expect("it was taken, so it is JSON");
            let found = search("").1;
            let newest = found["eventTokens"][0].as_str().expect("there is one at least").to_owned();
            let claims = newest.split('.').nth(1).expect("three parts");
            let claims: Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON");
            // Own notes may have come after it; then there is nothing to compare.
            if claims["publisherUri"] == "https://audit.example.org" {
                return;
            }
            for (name, value) in claims["values"].as_object().expect("an object") {
                assert_eq!(value, &sent["values"][name]);
            }
        }
        _ => {
            for path in ["/scim/acme/v2/Event", "/scim/acme/v2/Event/.search", "/idp/acme/authn/token"] {
                ask(path, bytes.clone());
            }
        }
    }
});
