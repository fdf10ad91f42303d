//! A whole service behind its router, for targets that fuzz a surface: one organisation `Acme`, one administrator, one token.

use axum::body::Body;
use axum::http::Request;
use service::{Caller, Config, IngestOptions, Init, Invalid, NewEvent, NewToken, Scope, Service, TokenForm};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const ADMIN: &str = "ann@acme.example";
const PASSWORD: &str = "correct horse battery";

/// Most bytes of a reply that are read.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// The service, its runtime, and the secret of a token with the scopes asked for.
pub struct Served {
    runtime: Runtime,
    router: axum::Router,
    pub token: String,
}

impl Served {
    /// Makes a service in a folder of its own, which stays, and hands in `events`.
    pub fn new(scopes: Vec<Scope>, form: TokenForm, events: Vec<Result<NewEvent, Invalid>>) -> Served {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let mut config = Config::new(folder.join("data"));
        config.passwords = service::PasswordCost::weakest();
        // A fuzzer guesses wrong passwords all day.
        config.lockout.failures_max = u32::MAX;
        config.lockout.address_failures_max = u32::MAX;
        let (admin, password) = (ADMIN.to_owned(), PASSWORD.to_owned());
        let init = Init { org: "Acme".into(), admin, password, audit_host: "audit.example.org".into() };
        Service::init(&config, init).expect("made");
        let runtime = Runtime::new().expect("a runtime");
        let (router, token) = runtime.block_on(async {
            let service = Service::open(config).expect("opened");
            let admin = service.login(None, ADMIN, PASSWORD, &Caller::internal()).await.expect("logged in");
            service.ingest(&admin, admin.org, events, IngestOptions::default()).await.expect("taken");
            let token = NewToken { account: admin.account, scopes, org: None, name: "fuzz".into(), ttl: None, form };
            let (_, secret) = service.issue_token(&admin, token).await.expect("a token");
            (dialects::router(service, dialects::Settings::default()), secret)
        });
        Served { runtime, router, token }
    }

    /// What `Authorization` says of the token.
    #[allow(dead_code, reason = "log extraction has its token in the body")]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The status of the answer, which must not be 500 or above, and its body, not read yet: that of a stream never ends.
    pub fn begin(&self, request: Request<Body>) -> (u16, Body) {
        let asked = format!("{} {}", request.method(), request.uri());
        let response = self.runtime.block_on(self.router.clone().oneshot(request)).expect("a router answers");
        let status = response.status().as_u16();
        assert!(status < 500, "{asked}: {status}");
        (status, response.into_body())
    }

    /// The status and the whole body of the answer.
    #[allow(dead_code, reason = "a target of all surfaces meets streams")]
    pub fn ask(&self, request: Request<Body>) -> (u16, Vec<u8>) {
        let (status, body) = self.begin(request);
        let body = self.runtime.block_on(axum::body::to_bytes(body, REPLY_BYTES_MAX)).expect("a whole reply");
        (status, body.to_vec())
    }
}
