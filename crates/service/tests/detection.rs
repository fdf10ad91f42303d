//! Detection: what rules find is an event, with the events that caused it, once; a rule that cannot run says so.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use serde_json::Value;
use service::detection::{DetectionOptions, RuleStatus};
use service::{Event, Outbound, Post, Posted, Principal, Role, Service};
use support::{World, attribute, config};

const HOUR_US: u64 = 3_600_000_000;

/// A world whose service detects, with these rules beside our own.
async fn detecting(rules: &[(&str, &str)], webhook: Option<Arc<dyn Post>>) -> World {
    let World { folder, clock, made, service } = World::new();
    service.shutdown().await;
    let mut config = config(&folder, &clock, 4);
    config.detection = DetectionOptions {
        enabled: true,
        rules: rules.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        webhook_url: webhook.as_ref().map(|_| "https://hook.example/findings".to_owned()),
    };
    config.outbound = Outbound(webhook);
    World { service: Service::open(config).unwrap(), folder, clock, made }
}

fn login(actor: &str, source: &str, outcome: &str, minute: u32) -> String {
    format!(
        r#"{{"kind":"authentication","action":"login","outcome":"{outcome}","actor":"{actor}","source":"{source}","occurred_at":"2026-03-01T{:02}:{:02}:00Z"}}"#,
        minute / 60,
        minute % 60
    )
}

async fn send(world: &World, who: &Principal, events: &[String]) {
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    world.send(who, world.org(), &events).await;
    world.service.settle().await;
}

fn findings(world: &World, who: &Principal) -> Vec<Event> {
    world.all(who, world.org(), "action:detection.finding")
}

fn titles(found: &[Event]) -> Vec<String> {
    let mut titles: Vec<String> =
        found.iter().map(|event| event.fields().unwrap().message.unwrap().to_string()).collect();
    titles.sort();
    titles
}

fn numbers(event: &Event) -> Vec<u64> {
    serde_json::from_str(&attribute(event, "events").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_by_account_and_by_source_and_success_after_them_is_told() {
    let world = detecting(&[], None).await;
    let who = world.account(world.org(), "sender@example.com", &[Role::Admin]).await.2;
    let failures: Vec<String> = (0..10).map(|n| login("root", "192.0.2.1", "failure", n)).collect();
    send(&world, &who, &failures[..9]).await;
    assert_eq!(findings(&world, &who).len(), 0, "nine are not ten");
    send(&world, &who, &failures[9..]).await;
    let found = findings(&world, &who);
    assert_eq!(titles(&found), ["Brute force against one account", "Brute force from one source"]);
    for finding in &found {
        assert_eq!(numbers(finding).len(), 10, "every event that caused it is named");
        assert_eq!(attribute(finding, "count").as_deref(), Some("10"));
        assert_eq!(attribute(finding, "first_at").as_deref(), Some("2026-03-01T00:00:00Z"));
        assert_eq!(attribute(finding, "last_at").as_deref(), Some("2026-03-01T00:09:00Z"));
    }
    send(&world, &who, &[login("root", "192.0.2.1", "success", 10)]).await;
    let found = findings(&world, &who);
    assert!(titles(&found).contains(&"Success after failures".to_owned()), "{:?}", titles(&found));
    let spray: Vec<String> = (0..5).map(|n| login(&format!("user{n}"), "192.0.2.9", "failure", 30 + n)).collect();
    send(&world, &who, &spray).await;
    assert!(titles(&findings(&world, &who)).contains(&"Password spraying".to_owned()));
    let pace: Vec<String> = (0..3).map(|n| login("eve", &format!("198.51.100.{n}"), "success", 60 + n)).collect();
    send(&world, &who, &pace).await;
    let before = findings(&world, &who);
    assert!(titles(&before).contains(&"One account from many addresses".to_owned()), "{:?}", titles(&before));

    // Looked at again from the beginning, nothing is told twice.
    let World { folder, clock, made, service } = world;
    service.shutdown().await;
    std::fs::remove_file(folder.path().join("data/state/detection.json")).unwrap();
    let mut again = config(&folder, &clock, 5);
    again.detection.enabled = true;
    let world = World { service: Service::open(again).unwrap(), folder, clock, made };
    let who = world.admin().await;
    world.service.settle().await;
    assert_eq!(titles(&findings(&world, &who)), titles(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn organisations_are_not_counted_together_and_a_restart_forgets_nothing() {
    let world = detecting(&[], None).await;
    let admin = world.admin().await;
    let other = world.service.create_org(&admin, world.org(), "Other").await.unwrap().id;
    let failures: Vec<String> = (0..10).map(|n| login("root", "192.0.2.1", "failure", n)).collect();
    for (number, failure) in failures.iter().enumerate() {
        let org = if number % 2 == 0 { world.org() } else { other };
        world.send(&admin, org, &[failure]).await;
    }
    world.service.settle().await;
    assert_eq!(findings(&world, &admin).len(), 0);

    let World { folder, clock, made, service } = world;
    service.shutdown().await;
    let mut again = config(&folder, &clock, 5);
    again.detection.enabled = true;
    let world = World { service: Service::open(again).unwrap(), folder, clock, made };
    let admin = world.admin().await;
    let rest: Vec<String> = (0..5).map(|n| login("root", "192.0.2.1", "failure", n)).collect();
    send(&world, &admin, &rest).await;
    assert_eq!(findings(&world, &admin).len(), 2, "five before the restart and five after it");
}

const TEN_PLUS: &str = "title: Rule NUMBER\nid: 00000000-0000-4000-8000-0000000000NUMBER\nlogsource:\n    product: counterfoil\ndetection:\n    it:\n        action: act.NUMBER\n    condition: it\nlevel: low\n";
const UNKNOWN_FIELD: &str = "title: Windows\nid: 00000000-0000-4000-8000-00000000aa01\nlogsource:\n    product: windows\ndetection:\n    it:\n        CommandLine|contains: whoami\n    condition: it\n";
const NO_SUCH_RULE: &str = "title: Counts nothing\nid: 00000000-0000-4000-8000-00000000aa02\ncorrelation:\n    type: event_count\n    rules:\n        - not_there\n    group-by:\n        - actor\n    timespan: 5m\n    condition:\n        gte: 3\n";
const NO_CONDITION: &str = "title: Half\nid: 00000000-0000-4000-8000-00000000aa03\nlogsource:\n    product: counterfoil\ndetection:\n    it:\n        action: x\n";
const CORRELATION: &str = "title: Denied\nid: 00000000-0000-4000-8000-00000000aa04\nname: denied\nlogsource:\n    product: counterfoil\ndetection:\n    it:\n        attributes.verdict: denied\n    condition: it\nlevel: informational\n---\ntitle: Three denials\nid: 00000000-0000-4000-8000-00000000aa05\ncorrelation:\n    type: event_count\n    rules:\n        - denied\n    group-by:\n        - actor\n    timespan: 5m\n    condition:\n        gte: 3\nlevel: high\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_run_is_refused_by_name_and_the_others_run() {
    let many: Vec<(String, String)> =
        (10..25).map(|n| (format!("rule{n}.yml"), TEN_PLUS.replace("NUMBER", &n.to_string()))).collect();
    let mut rules: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    rules.extend([
        ("windows.yml", UNKNOWN_FIELD),
        ("nothing.yml", NO_SUCH_RULE),
        ("half.yml", NO_CONDITION),
        ("text.yml", ": no yaml ["),
        ("denials.yml", CORRELATION),
        ("again.yml", CORRELATION),
    ]);
    let world = detecting(&rules, None).await;
    let who = world.account(world.org(), "sender@example.com", &[Role::Admin]).await.2;
    let status = |world: &World| world.service.rules(&who, world.org()).unwrap();
    let problem = |all: &[RuleStatus], file: &str| {
        let found = all.iter().find(|one| one.rule.file == file).unwrap_or_else(|| panic!("{file}"));
        found.rule.problem.clone()
    };
    let before = status(&world);
    let unknown = problem(&before, "windows.yml").unwrap();
    assert!(unknown.contains("CommandLine") && unknown.contains("there are: action, actor"), "{unknown}");
    assert!(problem(&before, "nothing.yml").unwrap().contains("not_there"));
    assert!(problem(&before, "half.yml").is_some() && problem(&before, "text.yml").is_some());
    assert!(problem(&before, "again.yml").unwrap().contains("another rule"));
    assert_eq!(problem(&before, "denials.yml"), None);
    assert_eq!(problem(&before, "authentication.yml"), None);

    let denials = || r#"{"action":"open","actor":"eve","attributes":{"verdict":"denied"}}"#.to_owned();
    send(&world, &who, &[r#"{"action":"act.24","actor":"eve"}"#.to_owned(), denials(), denials(), denials()]).await;
    let found = findings(&world, &who);
    assert_eq!(titles(&found), ["Rule 24", "Three denials"], "the fifteenth rule, and a correlation");
    let after = status(&world);
    let of = |file: &str, title: &str| {
        after.iter().find(|one| one.rule.file == file && one.rule.title == title).unwrap().clone()
    };
    let (hit, idle) = (of("rule24.yml", "Rule 24"), of("rule11.yml", "Rule 11"));
    assert_eq!((hit.hits, idle.hits, idle.last_hit), (1, 0, None));
    assert!(hit.last_hit.is_some() && hit.last_evaluated.is_some() && idle.last_evaluated.is_some());
    let denied = of("denials.yml", "Denied");
    assert!(denied.never_seen.is_empty(), "{denied:?}");
    assert!(before.iter().any(|one| one.never_seen.contains("attributes.verdict")), "before there was one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_months_of_memory_is_remembered() {
    let world = detecting(&[], None).await;
    let who = world.account(world.org(), "sender@example.com", &[Role::Admin]).await.2;
    let known: Vec<String> = (0..6).map(|n| login("ann", "192.0.2.1", "success", n * 60)).collect();
    send(&world, &who, &known).await;
    assert_eq!(findings(&world, &who).len(), 0);
    send(&world, &who, &[login("ann", "203.0.113.9", "success", 600)]).await;
    let later = login("ann", "192.0.2.1", "success", 0).replace("2026-03-01", "2026-06-01");
    send(&world, &who, &[later]).await;
    assert_eq!(
        titles(&findings(&world, &who)),
        ["A dormant account returns", "Login from a never-seen address"],
        "{:?}",
        findings(&world, &who).iter().map(|event| attribute(event, "why")).collect::<Vec<_>>()
    );

    // Somebody who sent on four days, and then nothing more.
    for _ in 0..4 {
        let batch: Vec<String> = (0..30).map(|n| format!(r#"{{"action":"beat {n}"}}"#)).collect();
        send(&world, &who, &batch).await;
        world.clock.advance(24 * HOUR_US);
    }
    world.clock.advance(40 * HOUR_US);
    world.service.settle().await;
    assert!(!titles(&findings(&world, &who)).contains(&"A source fell silent".to_owned()), "three pauses are not over");
    world.clock.advance(24 * HOUR_US);
    world.service.settle().await;
    let found = findings(&world, &who);
    let silent: Vec<&Event> = found
        .iter()
        .filter(|event| event.fields().unwrap().message.unwrap().as_str() == "A source fell silent")
        .collect();
    assert_eq!(silent.len(), 1, "{:?}", titles(&found));
    world.service.settle().await;
    assert_eq!(findings(&world, &who).len(), found.len(), "told once");
}

/// Refuses twice, then takes what comes.
#[derive(Default)]
struct Hook {
    calls: AtomicU32,
    taken: Mutex<Vec<Value>>,
}

impl Post for Hook {
    fn post(&self, url: &str, media_type: &str, body: &[u8]) -> Result<Posted, String> {
        assert_eq!((url, media_type), ("https://hook.example/findings", "application/json"));
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 => return Err("no route to host".to_owned()),
            1 => return Ok(Posted { status: 503, media_type: String::new(), body: Vec::new() }),
            _ => {}
        }
        self.taken.lock().push(serde_json::from_slice(body).unwrap());
        Ok(Posted { status: 204, media_type: String::new(), body: Vec::new() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_each_finding_in_the_end() {
    let hook = Arc::new(Hook::default());
    let world = detecting(&[], Some(hook.clone() as Arc<dyn Post>)).await;
    let who = world.account(world.org(), "sender@example.com", &[Role::Admin]).await.2;
    send(&world, &who, &[r#"{"action":"StopLogging","actor":"eve","outcome":"success","kind":"admin"}"#.to_owned()])
        .await;
    assert_eq!(hook.taken.lock().len(), 0);
    // The pauses grow: two seconds, then four.
    for _ in 0..3 {
        world.clock.advance(5_000_000);
        world.service.settle().await;
    }
    world.service.settle().await;
    let taken = hook.taken.lock().clone();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0]["message"], "Logging was disabled");
    assert_eq!(taken[0]["finding"]["group"]["actor"], "eve");
    assert_eq!(taken[0]["organisation"], world.org().to_string());
}
