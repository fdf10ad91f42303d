//! Stored bytes that somebody changed: found, named, and in nobody's way.

#[path = "../../log/tests/common/folder.rs"]
mod folder;
mod support;

use folder::flip;
use service::{ErrorKind, EventQuery, EventState, Verdict};
use support::*;

const NEEDLE: &[u8] = b"a-needle-in-the-body";

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_taints_what_holds_it_and_nothing_else() {
    let world = World::new();
    let admin = world.admin().await;
    let needle = format!(r#"{{"action":"x","message":"{}"}}"#, String::from_utf8_lossy(NEEDLE));
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    let receipts = world.send(&admin, child.id, &[r#"{"action":"before"}"#, &needle, r#"{"action":"after"}"#]).await;
    world.send(&admin, world.org(), &[r#"{"action":"elsewhere"}"#]).await;
    let world = world.reopen(|data| assert!(flip(&data.join("log"), NEEDLE) >= 1)).await;

    let admin = world.admin().await;
    let page = |org, filter: &str| {
        let filter = service::search::parse::parse(filter).unwrap();
        world.service.query(&admin, org, &EventQuery { filter, verify: true, ..EventQuery::default() }).unwrap()
    };
    let all = page(child.id, "");
    assert_eq!(all.tainted, Some(true));
    let damaged = &all.events[receipts[1].index as usize];
    assert_eq!(damaged.number(), receipts[1].number);
    assert!(matches!(&damaged.verdict, Some(Verdict::Tainted(_))), "{damaged:?}");
    assert_eq!(page(world.org(), "").tainted, Some(false), "the other log is not concerned");
    assert_eq!(page(world.org(), "action:elsewhere").events.len(), 1);

    let alone = world.service.get(&admin, child.id, receipts[1].number, true).unwrap();
    assert!(matches!(&alone.verdict, Some(Verdict::Tainted(_))), "{alone:?}");
    // Without verification a record that is known to be damaged is refused, not shown.
    match world.service.get(&admin, child.id, receipts[1].number, false) {
        Err(error) => assert_eq!(error.kind, ErrorKind::Corrupt),
        Ok(event) => assert!(matches!(event.state(), EventState::Present), "{event:?}"),
    }
    assert!(page(child.id, "action:x").tainted == Some(true) || page(child.id, "").tainted == Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_log_in_although_their_own_log_is_damaged() {
    let world = World::new();
    let admin = world.admin().await;
    let needle = format!(r#"{{"action":"x","message":"{}"}}"#, String::from_utf8_lossy(NEEDLE));
    world.send(&admin, world.org(), &[&needle]).await;
    let world = world.reopen(|data| assert!(flip(&data.join("log"), NEEDLE) >= 1)).await;
    let admin = world.admin().await;
    let query = EventQuery { verify: true, ..EventQuery::default() };
    let page = world.service.query(&admin, world.org(), &query).unwrap();
    assert_eq!(page.tainted, Some(true));
    // And once more, with what the first time left behind.
    let world = world.reopen(|_| {}).await;
    world.admin().await;
}
