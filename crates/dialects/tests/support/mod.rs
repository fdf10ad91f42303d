//! A whole service in a folder of its own, with a clock that stands still and seeded randomness, behind the router.

// Each test program uses its own part of this.
#![allow(dead_code)]

pub mod script;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use axum::response::IntoResponse as _;
use log::{ManualClock, SeededEntropy};
use service::{
    AccountId, Caller, Config, IndexOptions, Init, NewAccount, NewToken, OrgId, PasswordCost, Principal, Role, Scope,
    Service, TokenForm,
};
use tower::ServiceExt as _;

/// Where the clock stands at first: 2026-01-02T03:04:05.678901Z.
pub const START_US: u64 = 1_767_323_045_678_901;
/// The password of every account.
pub const PASSWORD: &str = "correct horse battery";

/// A service with a few people in it.
///
/// | name | account | role | organisation |
/// |---|---|---|---|
/// | `ann` | ann@example.com | admin | Acme, the top one |
/// | `bob` | bob@example.com | auditor | Acme |
/// | `sam` | sam@example.com | sender | Acme |
/// | `eve` | eve@example.com | extractor | Acme |
/// | `uma` | uma@example.com | admin | Acme/EU |
/// | `gil` | gil@example.com | admin | Acme/US |
pub struct World {
    pub service: Service,
    pub router: Router,
    pub clock: Arc<ManualClock>,
    /// What `{{name}}` stands for: each person's token by the person's name, `org`, `eu`, `us`, `log` (of Acme).
    pub names: BTreeMap<String, String>,
    pub org: OrgId,
    pub eu: OrgId,
    pub us: OrgId,
    pub closing: tokio::sync::watch::Sender<bool>,
    /// Where requests come from.
    pub peer: IpAddr,
    /// Holds the data folder, `data`, for as long as this lives.
    pub folder: tempfile::TempDir,
}

/// Some of what the program would tell of its settings: one from each place, and a secret.
fn server_settings() -> Vec<dialects::native::server::Setting> {
    use dialects::native::server::{Origin, Setting};
    let setting = |name: &str, value: serde_json::Value, kind: &'static str, of: Option<&str>| Setting {
        name: name.to_owned(),
        value,
        is_secret: false,
        unit: None,
        origin: Origin { kind, name: of.map(str::to_owned) },
        about: "What it does.".to_owned(),
    };
    vec![
        setting("data", "/srv/trail".into(), "environment", Some("COUNTERFOIL_DATA")),
        setting("listen", "127.0.0.1:8080".into(), "flag", Some("--listen")),
        Setting { unit: Some("connections".into()), ..setting("connections_max", 4_096.into(), "default", None) },
        Setting {
            is_secret: true,
            ..setting("detection.webhook", "set".into(), "file", Some("/etc/counterfoil.toml"))
        },
        setting("timestamps.url", serde_json::Value::Null, "default", None),
    ]
}

impl World {
    pub async fn new() -> World {
        World::with(|_| ()).await
    }

    pub async fn with(settle: impl FnOnce(&mut dialects::Settings)) -> World {
        let data = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START_US));
        let config = Config {
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
            passwords: PasswordCost::weakest(),
            index: IndexOptions { writer_memory_bytes: 16 << 20, ..IndexOptions::default() },
            ..Config::new(data.path().join("data"))
        };
        let init = Init {
            org: "Acme".to_owned(),
            admin: "ann@example.com".to_owned(),
            password: PASSWORD.to_owned(),
            audit_host: "audit.example.com".to_owned(),
        };
        let made = Service::init(&config, init).unwrap();
        let service = Service::open(config).unwrap();
        let ann = log_in(&service, "ann@example.com").await;
        let eu = service.create_org(&ann, made.org, "EU").await.unwrap().id;
        let us = service.create_org(&ann, made.org, "US").await.unwrap().id;

        let mut names = BTreeMap::new();
        let people = [
            ("bob", Role::Auditor, made.org),
            ("sam", Role::Sender, made.org),
            ("eve", Role::Extractor, made.org),
            ("uma", Role::Admin, eu),
            ("gil", Role::Admin, us),
        ];
        names.insert("ann".to_owned(), token(&service, &ann, made.admin, None).await);
        for (name, role, org) in people {
            let new = NewAccount {
                name: format!("{name}@example.com"),
                display_name: format!("{} Example", name.to_uppercase()),
                roles: vec![role],
                password: Some(PASSWORD.to_owned()),
            };
            let account = service.create_account(&ann, org, new).await.unwrap().id;
            names.insert(name.to_owned(), token(&service, &ann, account, None).await);
        }
        names.insert("org".to_owned(), made.org.to_string());
        names.insert("eu".to_owned(), eu.to_string());
        names.insert("us".to_owned(), us.to_string());
        names.insert("log".to_owned(), service.get_org(&ann, made.org).unwrap().log.to_string());

        let (closing, receiver) = tokio::sync::watch::channel(false);
        let mut settings =
            dialects::Settings { request_id_prefix: "test-".to_owned(), closing: receiver, ..Default::default() };
        settings.server.settings = server_settings();
        settle(&mut settings);
        let router = dialects::router(service.clone(), settings);
        let peer = "203.0.113.7".parse().unwrap();
        let world = World { service, router, clock, names, org: made.org, eu, us, closing, peer, folder: data };
        // The first use of a token from an address is an event of its own; none of them falls into a test.
        for person in ["ann", "bob", "sam", "eve", "uma", "gil"] {
            let mut request = world.request("GET", "/v1/me", Some(&world.names[person]), "");
            request.headers_mut().insert("x-request-id", "warm-up".parse().unwrap());
            assert_eq!(world.send(request).await.status(), 200, "{person}");
            world.settled().await;
        }
        world
    }

    /// Makes the node one of another role.
    pub fn take_role(&mut self, role: dialects::sps::SearchRole) {
        let sps = dialects::sps::Settings { role, ..dialects::sps::Settings::default() };
        let closing = self.closing.subscribe();
        let request_id_prefix = "test-".to_owned();
        let settings = dialects::Settings { request_id_prefix, closing, sps, ..Default::default() };
        self.router = dialects::router(self.service.clone(), settings);
    }

    /// The principal of a fresh login.
    pub async fn principal(&self, login: &str) -> Principal {
        log_in(&self.service, login).await
    }

    /// Sends one request through the router, as a connection from `peer` would.
    pub async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.peer, 50_000)));
        self.router.clone().oneshot(request).await.into_response()
    }

    /// Sends, and reads the whole answer.
    pub async fn ask(&self, request: Request<Body>) -> (u16, String) {
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// A request with a bearer token.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>, body: impl Into<Body>) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(body.into()).unwrap()
    }

    /// Waits until our own events that were recorded in passing are in the log, so that what follows has one order.
    pub async fn settled(&self) {
        self.service.settle().await;
    }
}

async fn log_in(service: &Service, login: &str) -> Principal {
    service.login(None, login, PASSWORD, &Caller::internal()).await.unwrap_or_else(|why| panic!("{login}: {why:?}"))
}

/// A native token with every scope but `refresh`.
pub async fn token(service: &Service, admin: &Principal, account: AccountId, ttl: Option<Duration>) -> String {
    let scopes = Scope::ALL.into_iter().filter(|scope| *scope != Scope::Refresh).collect();
    scoped_token(service, admin, account, ttl, scopes).await
}

/// A native token with these scopes.
pub async fn scoped_token(
    service: &Service,
    admin: &Principal,
    account: AccountId,
    ttl: Option<Duration>,
    scopes: Vec<Scope>,
) -> String {
    let new = NewToken { account, scopes, org: None, name: "test".to_owned(), ttl, form: TokenForm::Native };
    service.issue_token(admin, new).await.unwrap().1
}
