//! Searches give exactly what was asked for: whatever the index holds, however a collector pages, whatever is damaged.

#[path = "../../log/tests/common/folder.rs"]
mod folder;
mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use folder::flip;
use log::SeededEntropy;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use service::{PasswordCost, Service};
use support::World;

const EVENT: &str = "urn:ietf:params:scim:schemas:notify:2.0:Event";

fn token(claims: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(claims))
}

/// What an event token says.
fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn create(world: &World, claims: &str) {
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:notify:2.0:Feed"], "eventToken": token(claims)});
    let request = world.request("POST", "/scim/eu/v2/Event", Some(&world.names["uma"]), body.to_string());
    assert_eq!(world.ask(request).await, (204, String::new()));
}

/// The events of a search, and whether they are tainted.
async fn search(world: &World, filter: &str, count: usize) -> (Vec<Value>, Option<bool>) {
    let schema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
    let body = json!({"schemas": [schema], "filter": filter, "count": count});
    let request = world.request("POST", "/scim/eu/v2/Event/.search", Some(&world.names["uma"]), body.to_string());
    let (status, reply) = world.ask(request).await;
    assert_eq!(status, 200, "{filter}: {reply}");
    let reply: Value = serde_json::from_str(&reply).unwrap();
    (reply["eventTokens"].as_array().unwrap().iter().map(claims).collect(), reply["tainted"].as_bool())
}

/// One condition, as text and as what it means; written a second time on purpose, and simply.
#[derive(Clone, Debug)]
struct Asked {
    attribute: &'static str,
    operator: &'static str,
    value: String,
}

impl Asked {
    fn text(&self, quoted: bool) -> String {
        let value = if quoted { Value::from(self.value.as_str()).to_string() } else { self.value.clone() };
        format!("{} {} {value}", self.attribute, self.operator)
    }

    /// `caller`: whom the absence of a direct user means.
    fn holds(&self, event: &Value, all_types: &[String], caller: &[String]) -> bool {
        let values = |name: &str| event["values"][name].as_str().map(str::to_owned).into_iter().collect::<Vec<_>>();
        let users = || {
            let uris = event["resourceUris"].as_array().unwrap().iter();
            uris.filter_map(|uri| uri.as_str().unwrap().split_once("/Users/").map(|(_, id)| id.to_owned()))
                .collect::<Vec<_>>()
        };
        let (found, wildcards) = match self.attribute {
            "type" => (all_types.to_vec(), true),
            "directUserExtId" => {
                let named = values("directUser");
                (if named.is_empty() { caller.to_vec() } else { named }, true)
            }
            "indirectUserExtId" => ([users(), values("indirectUser")].concat(), true),
            "resourceUris" => {
                let uris = event["resourceUris"].as_array().unwrap().iter().map(|uri| uri.as_str().unwrap().to_owned());
                (uris.filter(|uri| uri.contains("/Users/")).collect(), false)
            }
            "status" => (values("status"), false),
            other => (values(other), true),
        };
        found.iter().any(|found| match self.operator {
            "co" => found.contains(&self.value),
            "sw" => found.starts_with(&self.value),
            "ew" => found.ends_with(&self.value),
            _ if wildcards => glob(found, &self.value),
            _ => *found == self.value,
        })
    }
}

/// By trying every way, which is simple and slow.
fn glob(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| glob(&rest[at..], after))
        }),
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let value = || {
        prop::sample::select(vec![
            "a",
            "A",
            "ab",
            "a_b",
            "a b",
            "b",
            "B*",
            "*",
            "a*",
            "*b",
            "a*b",
            "é",
            "e",
            "a_*",
            "RESPONSE_SUCCESS",
            "RESPONSE_FAILURE",
        ])
    };
    let of = |attribute, operator| move |value: &str| Asked { attribute, operator, value: value.to_owned() };
    prop_oneof![
        value().prop_map(of("type", "eq")),
        value().prop_map(of("type", "co")),
        value().prop_map(of("type", "sw")),
        value().prop_map(of("type", "ew")),
        value().prop_map(of("directUserExtId", "eq")),
        value().prop_map(of("indirectUserExtId", "eq")),
        value().prop_map(of("authenticationType", "eq")),
        value().prop_map(of("eventId", "eq")),
        value().prop_map(of("correlationId", "eq")),
        value().prop_map(of("status", "eq")),
        value().prop_map(|id| Asked {
            attribute: "resourceUris",
            operator: "eq",
            value: format!("https://x/Users/{id}")
        }),
    ]
}

/// Claims of a token out of a small world of words, so that filters find something.
fn sent() -> impl Strategy<Value = Value> {
    let word = || {
        prop::sample::select(vec![
            "a",
            "A",
            "ab",
            "aB",
            "a_b",
            "a b",
            "b",
            "Bb",
            "é",
            "e\u{301}",
            "RESPONSE_SUCCESS",
            "RESPONSE_FAILURE",
        ])
    };
    let value = prop::sample::select(vec![
        "directUser",
        "indirectUser",
        "authenticationType",
        "eventId",
        "correlationId",
        "status",
        "texts",
    ]);
    (
        prop::collection::vec(word(), 1..3),
        prop::collection::vec(word(), 0..3),
        prop::collection::btree_map(value, word(), 0..6),
    )
        .prop_map(|(types, users, values)| {
            let users: Vec<String> = users.iter().map(|user| format!("https://x/Users/{user}")).collect();
            json!({"schemas": [EVENT], "eventTypes": types, "resourceUris": users, "values": values})
        })
}

/// Goal: a search returns the events that its filter means, no more and no fewer, whether the index or the log answers.
/// Method: random tokens; each is known by the order in which it was sent; filters are applied to what was sent.
#[test]
fn a_search_finds_exactly_what_its_filter_means() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let uma = runtime.block_on(world.principal("uma@example.com"));
    let caller = [uma.name, uma.account.to_string()];
    let mut sent_so_far: Vec<Value> = Vec::new();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let filters = prop::collection::vec((prop::collection::vec(asked(), 1..4), any::<bool>()), 24);
    let seen = std::cell::RefCell::new(&mut sent_so_far);
    let checked = runner.run(&(prop::collection::vec(sent(), 1..6), filters), |(tokens, filters)| {
        let mut seen = seen.borrow_mut();
        for mut token in tokens {
            // A mark that every event of this test has, and nothing else in the trail.
            token["values"]["serialNumber"] = seen.len().to_string().into();
            runtime.block_on(create(&world, &token.to_string()));
            seen.push(token);
        }
        for (conditions, quoted) in filters {
            let quoted = quoted || conditions.iter().any(|asked| asked.value.contains(' '));
            let filter = conditions.iter().map(|asked| asked.text(quoted)).collect::<Vec<_>>().join(" and ");
            let (found, _) = runtime.block_on(search(&world, &filter, 1000));
            let found: Vec<&str> = found.iter().filter_map(|event| event["values"]["serialNumber"].as_str()).collect();
            let holds = |event: &Value| {
                let normal = |text: &str| text.replace("e\u{301}", "é");
                let event: Value = serde_json::from_str(&normal(&event.to_string())).unwrap();
                let types: Vec<String> = serde_json::from_value(event["eventTypes"].clone()).unwrap();
                conditions.iter().all(|asked| asked.holds(&event, &types, &caller))
            };
            let expected: Vec<&str> = seen
                .iter()
                .rev()
                .filter(|event| holds(event))
                .map(|event| event["values"]["serialNumber"].as_str().unwrap())
                .collect();
            prop_assert_eq!(found, expected, "{}", filter);
        }
        // From here on the index answers for these too.
        runtime.block_on(world.settled());
        Ok(())
    });
    checked.unwrap();
}

/// A collector that repeats its search from the last time it saw gets every event once, although dozens of them were
/// received within one millisecond and it takes seven at a time.
#[tokio::test]
async fn a_collector_that_goes_on_from_the_last_time_seen_loses_nothing() {
    let world = World::new().await;
    for batch in 0..3 {
        let events: Vec<Value> =
            (0..25).map(|n| json!({"action": "collected", "message": format!("{batch}-{n}")})).collect();
        let path = format!("/v1/orgs/{}/events", world.names["eu"]);
        let request = world.request("POST", &path, Some(&world.names["uma"]), Value::from(events).to_string());
        assert_eq!(world.ask(request).await.0, 200);
        world.clock.advance(if batch == 0 { 0 } else { 2_000 });
    }
    let mut last = "2020-01-01T00:00:00Z".to_owned();
    let mut messages = Vec::new();
    for _ in 0..20 {
        let (found, _) = search(&world, &format!("type eq collected and meta.created gt {last}"), 7).await;
        assert!(found.len() <= 7);
        let Some(event) = found.last() else { break };
        last = event["meta"]["created"].as_str().unwrap().to_owned();
        messages.extend(found.iter().map(|event| event["values"]["message"].as_str().unwrap().to_owned()));
    }
    let expected: Vec<String> = (0..3).flat_map(|batch| (0..25).map(move |n| format!("{batch}-{n}"))).collect();
    assert_eq!(messages, expected);
    // Whoever gets a whole millisecond sees it as it is.
    let (found, _) = search(&world, "type eq collected", 1000).await;
    assert!(
        found.iter().all(|event| event["meta"]["created"].as_str().unwrap().len() == "2026-01-02T03:04:05.678Z".len())
    );
}

#[tokio::test]
async fn the_largest_body_is_taken_and_comes_back_and_one_byte_more_is_not() {
    let world = World::new().await;
    let empty = json!({"schemas": ["urn:ietf:params:scim:schemas:notify:2.0:Feed"], "eventToken": ""}).to_string();
    let frame = json!({"type": "LARGEST", "values": {"texts": ""}}).to_string();
    let claims_len = ((1 << 20) - empty.len() - token("").len()) / 4 * 3;
    let large = json!({"type": "LARGEST", "values": {"texts": "x".repeat(claims_len - frame.len())}}).to_string();
    create(&world, &large).await;
    let (found, _) = search(&world, "type eq LARGEST", 1).await;
    assert_eq!(found[0]["values"], serde_json::from_str::<Value>(&large).unwrap()["values"]);

    for path in ["/scim/eu/v2/Event", "/scim/eu/v2/Event/.search"] {
        let body = format!("{empty}{}", " ".repeat((1 << 20) + 1 - empty.len()));
        let (status, reply) = world.ask(world.request("POST", path, Some(&world.names["uma"]), body)).await;
        assert_eq!(status, 413, "{reply}");
        assert_eq!(serde_json::from_str::<Value>(&reply).unwrap()["status"], "413");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_taints_the_search_that_returns_it_and_no_other() {
    let world = World::new().await;
    let of = |kind: &str, user: &str| json!({"type": kind, "values": {"directUser": user}}).to_string();
    create(&world, &of("UNTOUCHED", "before")).await;
    create(&world, &of("TAMPERED", "needle-in-the-body")).await;
    create(&world, &of("UNTOUCHED", "after")).await;
    world.settled().await;
    let (found, tainted) = search(&world, "type eq TAMPERED and verify eq true", 10).await;
    assert_eq!((found.len(), tainted), (1, Some(false)));

    let World { service, router, clock, names, org, eu, us, closing, peer, folder } = world;
    let data = folder.path().join("data");
    service.shutdown().await;
    drop(router);
    assert!(flip(&data.join("log"), b"needle-in-the-body") >= 1);
    let config = service::Config {
        clock: clock.clone(),
        entropy: Arc::new(SeededEntropy::new(8)),
        passwords: PasswordCost::weakest(),
        ..service::Config::new(&data)
    };
    let service = reopened(config).await;
    let router = dialects::router(service.clone(), dialects::Settings::default());
    let world = World { service, router, clock, names, org, eu, us, closing, peer, folder };

    let (found, tainted) = search(&world, "type eq TAMPERED and verify eq true", 10).await;
    assert_eq!((found.len(), tainted), (1, Some(true)), "{found:?}");
    // Asked for by the very text that was changed, which its bytes do not hold any more.
    let (found, tainted) = search(&world, "directUserExtId eq needle-in-the-body and verify eq true", 10).await;
    assert_eq!((found.len(), tainted), (1, Some(true)), "{found:?}");
    let (found, tainted) = search(&world, "type eq UNTOUCHED and verify eq true", 10).await;
    assert_eq!((found.len(), tainted), (2, Some(false)), "{found:?}");
    let (_, tainted) = search(&world, "type eq UNTOUCHED", 10).await;
    assert_eq!(tainted, None);

    let path = format!("/v1/orgs/{}/events?verify=true&q=tag:feed:TAMPERED", world.names["eu"]);
    let (status, reply) = world.ask(world.request("GET", &path, Some(&world.names["uma"]), "")).await;
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!((status, &reply["tainted"]), (200, &json!(true)), "{reply}");
    let events = reply["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{reply}");
    assert!(events[0]["seq"].is_u64() && events[0]["state"] == "tainted", "{reply}");
    assert!(!events[0]["reason"].as_str().unwrap().is_empty(), "{reply}");
    world.service.clone().shutdown().await;
}

/// Opens the folder once the service before has let go of it, which its last clone does in its own time.
async fn reopened(config: service::Config) -> Service {
    for _ in 0..10_000 {
        match Service::open(config.clone()) {
            Ok(service) => return service,
            Err(error) if error.kind == service::ErrorKind::Conflict => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the folder is still held");
}
