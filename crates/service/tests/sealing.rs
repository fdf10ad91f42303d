//! Encryption to keys of organisations: what is kept while a key is active, where the switch lies, and that no clear text
//! is left anywhere.

#[path = "../../log/tests/common/folder.rs"]
mod folder;
mod support;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use folder::files_with;
use seal::PrivateKey;
use serde_json::{Value, json};
use service::{
    Config, ErrorKind, Event, EventState, IngestOptions, ItemError, KeyState, NewEvent, Principal, Service, Surface,
};
use support::{World, caller, config, pages};

const PASSPHRASE: &[u8] = b"test passphrase";

fn legacy() -> PrivateKey {
    PrivateKey::from_passphrase(PASSPHRASE)
}

fn standard() -> PrivateKey {
    PrivateKey::from_scalar(seal::Scheme::Standard, &[7; 32]).unwrap()
}

/// Adds a key and makes it the active one.
async fn switch_on(world: &World, admin: &Principal, name: &str, key: &PrivateKey) {
    world.service.add_key(admin, world.org(), name, &key.public_key().to_text()).await.unwrap();
    let key = world.service.activate_key(admin, world.org(), name).await.unwrap();
    assert_eq!(key.state, KeyState::Active);
}

fn all(world: &World, who: &Principal) -> Vec<Event> {
    world.all(who, world.org(), "")
}

fn opened(event: &Event, key: &PrivateKey) -> Value {
    let sealed = event.sealed().unwrap();
    serde_json::from_slice(&key.decrypt(sealed.ciphertext).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_encrypted_opens_to_the_record_and_the_whole_event() {
    let world = World::new();
    let admin = world.admin().await;
    let foreign = r#"{"id":"e-1","occurred_at":"2026-01-01T10:00:00.1234567Z","kind":"authentication","action":"login","actor":"root","attributes":{"deep":[1.50]}}"#;
    let came =
        r#"{"action":"x","origin":{"dialect":"silo","type":"post_data","raw":{"data":"d","url":"u","extra":1}}}"#;
    for (name, key, scheme) in [("old", legacy(), seal::Scheme::Legacy), ("new", standard(), seal::Scheme::Standard)] {
        switch_on(&world, &admin, name, &key).await;
        let before = all(&world, &admin).len();
        world.send(&admin, world.org(), &[foreign, came]).await;
        let events = all(&world, &admin);
        // The second round finds the id of the first one there.
        let fresh: Vec<&Event> = events[before..].iter().collect();
        for event in &fresh {
            assert_eq!(event.state(), &EventState::Sealed);
            assert!(event.json().is_none() && event.fields().is_err());
            let sealed = event.sealed().unwrap();
            assert_eq!((sealed.key_name.as_ref(), sealed.scheme), (name, scheme));
            let record = opened(event, &key);
            assert!(record.get("seq_id").is_none() && record.get("create_ts").is_none());
            assert_eq!(record["org_id"], hex::encode(world.org().as_bytes()));
        }
        let last = opened(fresh[fresh.len() - 1], &key);
        assert_eq!(last["type"], "POST DATA");
        assert_eq!((&last["data"], &last["url"], &last["extra"]), (&json!("d"), &json!("u"), &json!(1)));
        let members: Vec<&String> = last.as_object().unwrap().keys().collect();
        let expected =
            ["type", "org_id", "user_id", "username", "session_id", "client_ip", "url", "data", "extra", "counterfoil"];
        assert_eq!(members, expected);
        assert_eq!(last["counterfoil"], json!({"action": "x", "origin": {"dialect": "silo", "type": "post_data"}}));
        if name == "old" {
            let first = opened(fresh[0], &key);
            assert_eq!((&first["type"], &first["username"]), (&json!("AUTH"), &json!("root")));
            assert_eq!(first["counterfoil"], serde_json::from_str::<Value>(foreign).unwrap());
            assert_eq!(fresh[0].occurred_at().to_string(), "2026-01-01T10:00:00.123456Z", "kept in clear");
        }
    }
    assert!(world.service.find(&admin, world.org(), "e-1").unwrap().unwrap().sealed().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_each_encrypted_for_themselves_and_in_their_order() {
    let world = World::new();
    let admin = world.admin().await;
    let key = standard();
    switch_on(&world, &admin, "k", &key).await;
    let texts: Vec<String> = (0..300).map(|n| format!(r#"{{"action":"a{n}"}}"#)).collect();
    let before = all(&world, &admin).len();
    world.send(&admin, world.org(), &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let events = all(&world, &admin);
    let mut ephemeral = HashSet::new();
    for (n, event) in events[before..].iter().enumerate() {
        assert_eq!(opened(event, &key)["counterfoil"]["action"], format!("a{n}"));
        let ciphertext = event.sealed().unwrap().ciphertext.to_vec();
        assert!(ephemeral.insert(ciphertext[12..103].to_vec()), "the same ephemeral key twice");
    }
    assert_eq!(ephemeral.len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_are_kept_only_encrypted_need_a_key() {
    let world = World::new();
    let admin = world.admin().await;
    let event = |of: &str| {
        let json = json!({"action": "x", "origin": {"dialect": "silo", "type": of, "raw": {}}}).to_string();
        vec![NewEvent::from_json(json.as_bytes())]
    };
    for of in ["POST DATA", "cookies", "CLIPBOARD", "SMS"] {
        let results = world.service.ingest(&admin, world.org(), event(of), IngestOptions::default()).await.unwrap();
        let Err(ItemError::Invalid(why)) = &results[0] else { panic!("{of} was taken in clear") };
        assert_eq!(why.pointer, "/origin/type");
        assert!(why.message.contains("only encrypted") && why.message.contains("key"), "{why}");
    }
    switch_on(&world, &admin, "k", &legacy()).await;
    for of in ["POST DATA", "cookies", "CLIPBOARD", "SMS"] {
        let results = world.service.ingest(&admin, world.org(), event(of), IngestOptions::default()).await.unwrap();
        assert!(results[0].is_ok(), "{of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_live_as_their_picture_says() {
    let world = World::new();
    let admin = world.admin().await;
    let org = world.org();
    let text = legacy().public_key().to_text();
    let service = &world.service;
    let kind = |error: service::Error| error.kind;
    assert_eq!(service.add_key(&admin, org, "k", "nonsense").await.map_err(kind), Err(ErrorKind::Invalid));
    assert_eq!(service.activate_key(&admin, org, "k").await.map_err(kind), Err(ErrorKind::NotFound));
    assert_eq!(service.add_key(&admin, org, " k ", &text).await.unwrap().state, KeyState::Inactive);
    assert_eq!(service.add_key(&admin, org, "k", &text).await.map_err(kind), Err(ErrorKind::Conflict));
    service.activate_key(&admin, org, "k").await.unwrap();
    service.add_key(&admin, org, "l", &text).await.unwrap();
    service.activate_key(&admin, org, "l").await.unwrap();
    let states = |world: &World| -> Vec<KeyState> {
        world.service.list_keys(&admin, org).unwrap().iter().map(|key| key.state).collect()
    };
    assert_eq!(states(&world), [KeyState::Inactive, KeyState::Active]);
    assert_eq!(service.retire_key(&admin, org, "l", false).await.map_err(kind), Err(ErrorKind::Conflict));
    service.retire_key(&admin, org, "k", false).await.unwrap();
    assert_eq!(service.activate_key(&admin, org, "k").await.map_err(kind), Err(ErrorKind::Conflict));
    let world = world.reopen(|_| ()).await;
    let states = |world: &World| -> Vec<KeyState> {
        world.service.list_keys(&admin, org).unwrap().iter().map(|key| key.state).collect()
    };
    assert_eq!(states(&world), [KeyState::Retired, KeyState::Active]);
    world.send(&admin, org, &[r#"{"action":"sealed"}"#]).await;
    world.service.retire_key(&admin, org, "l", true).await.unwrap();
    world.send(&admin, org, &[r#"{"action":"clear again"}"#]).await;
    let events = all(&world, &admin);
    assert!(events[events.len() - 1].fields().is_ok_and(|fields| fields.action.as_str() == "clear again"));
    let sealed = events.iter().filter(|event| event.sealed().is_some()).count();
    assert!(sealed >= 2, "the event, and what was done to keys while one was active");
}

/// Goal: when `activate_key` has returned, nothing is appended in clear any more, whoever was just appending. Method:
/// several writers and our own events all the time; in the order of the log, clear ones come first, then encrypted ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_clear_comes_after_the_switch() {
    let world = Arc::new(World::new());
    let admin = world.admin().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let (world, admin, stop) = (Arc::clone(&world), admin.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut sent = 0;
                while !stop.load(Ordering::SeqCst) || sent < 20 {
                    let event = format!(r#"{{"action":"writer {n}"}}"#);
                    // A caller that goes away in the middle must not leave anything behind the switch either.
                    let events = [event.as_str()];
                    let sending = world.send(&admin, world.org(), &events);
                    let _ = tokio::time::timeout(std::time::Duration::from_micros(200 * (sent % 10)), sending).await;
                    world.service.record_refusal(Some(world.org()), &caller((sent % 200) as u8), "test");
                    sent += 1;
                }
            })
        })
        .collect();
    while all(&world, &admin).len() < 50 {
        tokio::task::yield_now().await;
    }
    switch_on(&world, &admin, "k", &legacy()).await;
    let head = world.service.head(&admin, world.org()).unwrap().size;
    while all(&world, &admin).len() < 50 + head as usize {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    world.service.settle().await;
    let events = all(&world, &admin);
    let first_sealed = events.iter().position(|event| event.sealed().is_some()).unwrap();
    assert!(first_sealed >= 50 && first_sealed <= head as usize);
    for event in &events[first_sealed..] {
        assert_eq!(event.state(), &EventState::Sealed, "number {}", event.number());
    }
}

/// Goal: with a key active, a marker that is handed in everywhere is found nowhere: in no file of the data folder, no
/// index, no error. Method: hand it in, write everything out, and search all files, compressed blocks unpacked; the same
/// search must find another marker that was handed in before the switch.
#[tokio::test(flavor = "multi_thread")]
async fn no_clear_text_is_left_anywhere() {
    const CLEAR: &str = "cleartextmarkerqzx";
    const MARKER: &str = "secretmarkervjk";
    let event = |marker: &str| {
        json!({
            "id": marker, "kind": "authentication", "action": format!("login {marker}"), "actor": marker,
            "indirect_actor": {"id": marker, "name": marker, "type": marker}, "source": {"address": marker, "host": marker},
            "targets": [marker, {"type": marker, "id": marker}], "session": marker, "correlation": marker,
            "message": format!("text {marker} text"), "attributes": {marker: marker},
            "origin": {"dialect": "silo", "type": "URL", "raw": {"url": marker, marker: marker}},
        })
        .to_string()
    };
    let world = World::new();
    let admin = world.admin().await;
    world.send(&admin, world.org(), &[&event(CLEAR)]).await;
    switch_on(&world, &admin, "k", &standard()).await;
    let texts: Vec<String> = (0..100).map(|n| event(MARKER).replacen(MARKER, &format!("{n}{MARKER}"), 1)).collect();
    world.send(&admin, world.org(), &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;

    // Refusals and failed logins that name it.
    let mut agent = caller(9);
    agent.user_agent = Some(MARKER.to_owned());
    world.service.login(None, MARKER, MARKER, &agent).await.unwrap_err();
    world.service.login(None, support::ADMIN, MARKER, &agent).await.unwrap_err();
    world.service.record_refusal(Some(world.org()), &agent, MARKER);
    let bad = event(MARKER).replace("authentication", MARKER);
    let items = vec![NewEvent::from_json(bad.as_bytes())];
    let _ = world.service.ingest(&admin, world.org(), items, IngestOptions::default()).await.unwrap();
    for query in
        [MARKER.to_owned(), format!("actor:{MARKER}"), format!("id:{MARKER}"), format!("tag:\"extraction:{MARKER}\"")]
    {
        assert!(world.all(&admin, world.org(), &query).is_empty(), "{query}");
    }
    world.service.settle().await;
    assert!(world.all(&admin, world.org(), MARKER).is_empty());

    let World { folder, clock, service, .. } = world;
    service.shutdown().await;
    let data = folder.path().join("data");
    assert!(!files_with(&data, CLEAR).is_empty(), "the search finds what is there in clear");
    assert_eq!(files_with(&data, MARKER), Vec::<PathBuf>::new());
    // And nothing comes to light when everything is made anew.
    rebuild(config(&folder, &clock, 5)).await;
    assert!(!files_with(&data, CLEAR).is_empty());
    assert_eq!(files_with(&data, MARKER), Vec::<PathBuf>::new());
}

async fn rebuild(config: Config) {
    tokio::task::spawn_blocking(move || Service::rebuild(config, &mut |_, _| ()).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_surface_shows_that_there_is_something_encrypted() {
    let world = World::new();
    let admin = world.admin().await;
    let page = |world: &World| world.service.query(&admin, world.org(), &Default::default()).unwrap();
    assert!(!page(&world).sealed);
    switch_on(&world, &admin, "k", &legacy()).await;
    world
        .send(&admin, world.org(), &[r#"{"action":"x"}"#, r#"{"action":"y","occurred_at":"2030-01-01T00:00:00Z"}"#])
        .await;
    for settled in [false, true] {
        if settled {
            world.service.settle().await;
        }
        assert!(page(&world).sealed);
        let sealed = all(&world, &admin).iter().filter(|event| event.sealed().is_some()).count();
        for surface in Surface::ALL {
            let query =
                service::EventQuery { filter: surface.query(surface.sealed_type()), limit: 100, ..Default::default() };
            let found = world.service.query(&admin, world.org(), &query).unwrap().events;
            assert_eq!(found.len(), sealed, "{surface:?}");
        }
        let newest = world.service.query_by_time(&admin, world.org(), &Surface::UserEvents.query_all(), 0, 1).unwrap();
        assert!(newest[0].sealed().is_some(), "by the time that its sender said");
        assert!(pages(&world.service, &admin, world.org(), "action:x", service::Order::Ascending, 9).is_empty());
    }
}
