//! Arbitrary bodies and paths to every surface of a real service: no panic, and never an answer of 500 or above.
#![no_main]

mod served;

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use libfuzzer_sys::fuzz_target;
use served::Served;
use service::{Scope, TokenForm};

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let scopes = vec![Scope::Ingest, Scope::Read, Scope::Extract, Scope::Proofs, Scope::Admin];
    Served::new(scopes, TokenForm::Native, Vec::new())
});

/// What is called: method, path, and whether the fuzzed text goes on in the path instead of the body.
const CALLS: &[(&str, &str, bool)] = &[
    ("POST", "/v1/orgs/Acme/events", false),
    ("POST", "/v1/orgs/Acme/events?atomic=true", false),
    ("GET", "/v1/orgs/Acme/events?q=", true),
    ("GET", "/v1/orgs/Acme/events?", true),
    ("GET", "/v1/orgs/", true),
    ("POST", "/v1/orgs", false),
    ("POST", "/v1/orgs/Acme/accounts", false),
    ("POST", "/v1/orgs/Acme/tokens", false),
    ("POST", "/v1/login", false),
    ("POST", "/api/UserAccount/Login", false),
    ("POST", "/api/UserAccount/RefreshToken", false),
    ("POST", "/api/UserAccount/UserEvents", false),
    ("GET", "/l/", true),
    ("POST", "/api/", false),
    ("GET", "/", true),
];

fuzz_target!(|input: (u8, bool, Vec<u8>)| {
    let (which, authorised, bytes) = input;
    let (method, path, in_path) = CALLS[usize::from(which) % CALLS.len()];
    let served = &*SERVED;
    let mut uri = path.to_owned();
    if in_path {
        uri.push_str(&String::from_utf8_lossy(&bytes));
    }
    let mut request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
    if authorised {
        request = request.header("authorization", served.bearer());
    }
    let Ok(request) = request.body(if in_path { Body::empty() } else { Body::from(bytes) }) else { return };
    served.begin(request);
});
