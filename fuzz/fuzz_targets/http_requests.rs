//! Arbitrary bodies and paths to every surface of a real service: no panic, and never an answer of 500 or above.
#![no_main]

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use libfuzzer_sys::fuzz_target;
use service::{Caller, Config, Init, NewToken, Scope, Service, TokenForm};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const ADMIN: &str = "ann@acme.example";
const PASSWORD: &str = "correct horse battery";

struct Served {
    runtime: Runtime,
    router: axum::Router,
    bearer: String,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder").keep();
    let mut config = Config::new(folder.join("data"));
    config.passwords = service::PasswordCost::weakest();
    // A fuzzer guesses wrong passwords all day.
    config.lockout.failures_max = u32::MAX;
    config.lockout.address_failures_max = u32::MAX;
    let init =
        Init { org: "Acme".into(), admin: ADMIN.into(), password: PASSWORD.into(), audit_host: "audit.example.org".into() };
    Service::init(&config, init).expect("made");
    let runtime = Runtime::new().expect("a runtime");
    let (router, bearer) = runtime.block_on(async {
        let service = Service::open(config).expect("opened");
        let admin = service.login(None, ADMIN, PASSWORD, &Caller::internal()).await.expect("logged in");
        let token = NewToken {
            account: admin.account,
            scopes: vec![Scope::Ingest, Scope::Read, Scope::Extract, Scope::Proofs, Scope::Admin],
            org: None,
            name: "fuzz".into(),
            ttl: None,
            form: TokenForm::Native,
        };
        let (_, secret) = service.issue_token(&admin, token).await.expect("a token");
        (dialects::router(service, dialects::Settings::default()), format!("Bearer {secret}"))
    });
    Served { runtime, router, bearer }
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
        request = request.header("authorization", &served.bearer);
    }
    let Ok(request) = request.body(if in_path { Body::empty() } else { Body::from(bytes) }) else { return };
    let response = served.runtime.block_on(served.router.clone().oneshot(request)).expect("a router answers");
    assert!(response.status().as_u16() < 500, "{} {path}", response.status());
});
