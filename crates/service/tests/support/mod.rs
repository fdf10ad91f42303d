//! A service over a folder that goes away: a clock that stands still, entropy from a seed, cheap passwords.
#![allow(dead_code)] // Each test file uses its part.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use service::{
    AccountChange, AccountInfo, Caller, Config, Event, EventQuery, IngestOptions, Init, Initialised, NewAccount,
    NewEvent, NewToken, Order, OrgId, PasswordCost, Principal, Receipt, Role, Scope, Service, TokenForm,
};

pub const START_US: u64 = 1_790_000_000_000_000;
pub const ADMIN: &str = "admin@example.com";
pub const PASSWORD: &str = "correct horse";

pub struct World {
    pub folder: tempfile::TempDir,
    pub clock: Arc<log::ManualClock>,
    pub made: Initialised,
    pub service: Service,
}

pub fn config(folder: &tempfile::TempDir, clock: &Arc<log::ManualClock>, seed: u64) -> Config {
    let mut config = Config::new(folder.path().join("data"));
    config.clock = Arc::clone(clock) as _;
    config.entropy = Arc::new(log::SeededEntropy::new(seed));
    config.passwords = PasswordCost::weakest();
    config.index.writer_memory_bytes = 15 << 20;
    config.index.commit_after = Duration::from_millis(50);
    config
}

pub fn init() -> Init {
    Init { org: "Acme".into(), admin: ADMIN.into(), password: PASSWORD.into(), audit_host: "audit.example.com".into() }
}

pub fn caller(last: u8) -> Caller {
    Caller { address: Some(IpAddr::from([203, 0, 113, last])), dialect: "native", user_agent: None }
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(log::ManualClock::new(START_US));
        let made = Service::init(&config(&folder, &clock, 1), init()).unwrap();
        let service = Service::open(config(&folder, &clock, 2)).unwrap();
        World { folder, clock, made, service }
    }

    /// Closes the service, lets the caller change files, and opens it again.
    pub async fn reopen(self, between: impl FnOnce(&std::path::Path)) -> World {
        let World { folder, clock, made, service } = self;
        service.shutdown().await;
        between(&folder.path().join("data"));
        let service = Service::open(config(&folder, &clock, 3)).unwrap();
        World { folder, clock, made, service }
    }

    pub fn org(&self) -> OrgId {
        self.made.org
    }

    pub async fn admin(&self) -> Principal {
        self.service.login(None, ADMIN, PASSWORD, &caller(1)).await.unwrap()
    }

    /// An account with a token of every scope.
    pub async fn account(&self, org: OrgId, name: &str, roles: &[Role]) -> (AccountInfo, String, Principal) {
        let admin = self.admin().await;
        let new = NewAccount { name: name.into(), roles: roles.to_vec(), ..NewAccount::default() };
        let account = self.service.create_account(&admin, org, new).await.unwrap();
        let (_, secret) = self.service.issue_token(&admin, token(&account)).await.unwrap();
        let principal = self.service.authenticate(&secret, &caller(2)).unwrap();
        (account, secret, principal)
    }

    pub async fn send(&self, who: &Principal, org: OrgId, json: &[&str]) -> Vec<Receipt> {
        let items = json.iter().map(|json| NewEvent::from_json(json.as_bytes())).collect();
        let results = self.service.ingest(who, org, items, IngestOptions::default()).await.unwrap();
        results.into_iter().map(|result| result.unwrap()).collect()
    }

    pub fn all(&self, who: &Principal, org: OrgId, filter: &str) -> Vec<Event> {
        pages(&self.service, who, org, filter, Order::Ascending, 1_000)
    }

    pub async fn disable(&self, account: &AccountInfo, disabled: bool) {
        let change = AccountChange { disabled: Some(disabled), ..AccountChange::default() };
        self.service.update_account(&self.admin().await, account.id, change).await.unwrap();
    }
}

pub fn token(account: &AccountInfo) -> NewToken {
    NewToken {
        account: account.id,
        scopes: vec![Scope::Ingest, Scope::Read, Scope::Extract, Scope::Proofs, Scope::Admin],
        org: None,
        name: "test".into(),
        ttl: None,
        form: TokenForm::Native,
    }
}

/// Every page of a query, put together.
pub fn pages(service: &Service, who: &Principal, org: OrgId, filter: &str, order: Order, limit: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let mut query =
        EventQuery { filter: service::search::parse::parse(filter).unwrap(), order, limit, ..EventQuery::default() };
    // A page that does not move on would otherwise be read for ever.
    for _ in 0..100_000 {
        let page = service.query(who, org, &query).unwrap();
        assert!(page.events.len() <= limit);
        events.extend(page.events);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return events,
        }
    }
    panic!("the pages of {filter} do not end");
}

pub fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(Event::number).collect()
}

pub fn actions(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.fields().unwrap().action.to_string()).collect()
}

/// Attribute of an event as text.
pub fn attribute(event: &Event, name: &str) -> Option<String> {
    let fields = event.fields().unwrap();
    let attributes: serde_json::Value = serde_json::from_str(fields.attributes?.get()).unwrap();
    let value = attributes.get(name)?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
