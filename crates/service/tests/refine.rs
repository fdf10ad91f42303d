//! A second look at what a filter finds: exact, in order, page after page, and only what is handed out is noted.

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use service::search::{Field, Query};
use service::{Event, EventQuery, Order};
use support::*;

/// Goal: pages put together are the filter's events that pass, each once, in order, whatever the limit. Method: against
/// everything read at once and filtered here.
#[test]
fn pages_of_a_refined_read_are_what_passes_each_once_and_in_order() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = runtime.block_on(async { World::new() });
    let admin = runtime.block_on(world.admin());
    let child = runtime.block_on(world.service.create_org(&admin, world.org(), "Child")).unwrap().id;
    let events: Vec<String> =
        (0..900).map(|n| format!(r#"{{"action":"{}","message":"{n}"}}"#, ["Ab", "ab", "AB"][n % 3])).collect();
    let (indexed, scanned) = events.split_at(700);
    runtime.block_on(world.send(&admin, child, &indexed.iter().map(String::as_str).collect::<Vec<_>>()));
    runtime.block_on(world.service.settle());
    runtime.block_on(world.send(&admin, child, &scanned.iter().map(String::as_str).collect::<Vec<_>>()));

    let mut runner = TestRunner::new(Config { cases: 32, failure_persistence: None, ..Config::default() });
    let input = (1usize..400, any::<bool>(), any::<bool>(), 1u64..40);
    let checked = runner.run(&input, |(limit, backwards, all, every)| {
        let order = if backwards { Order::Descending } else { Order::Ascending };
        let filter = match all {
            true => Query::All,
            false => Query::Keyword { field: Field::Action, value: "ab".into() },
        };
        let keep = |event: &Event| {
            event.number().is_multiple_of(every) && event.fields().is_ok_and(|fields| fields.action.as_str() == "Ab")
        };
        let mut expected = pages(&world.service, &admin, child, "action:ab", order, 1_000);
        expected.retain(|event| keep(event));

        let mut query = EventQuery { filter, order, limit, ..EventQuery::default() };
        let mut found = Vec::new();
        for _ in 0..1_000 {
            let page = world.service.query_refined(&admin, child, &query, &keep).unwrap();
            prop_assert!(page.events.len() <= limit);
            found.extend(page.events);
            if page.next.is_none() {
                break;
            }
            query.after = page.next;
        }
        prop_assert_eq!(numbers(&found), numbers(&expected));
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_handed_out_is_noted_as_handed_out() {
    let world = World::new();
    let admin = world.admin().await;
    let (_, _, who) = world.account(world.org(), "aud@example.com", &[service::Role::Auditor]).await;
    world.send(&admin, world.org(), &[r#"{"action":"a"}"#, r#"{"action":"A"}"#, r#"{"action":"a"}"#]).await;
    let query =
        EventQuery { filter: Query::Keyword { field: Field::Action, value: "a".into() }, ..EventQuery::default() };
    let keep = |event: &Event| event.fields().is_ok_and(|fields| fields.action.as_str() == "A");
    let page = world.service.query_refined(&who, world.org(), &query, &keep).unwrap();
    assert_eq!((page.events.len(), page.next, page.tainted), (1, None, None));
    let number = page.events[0].number();

    // The note is written some seconds after; closing the service writes what waits.
    let world = world.reopen(|_| {}).await;
    let admin = world.admin().await;
    let noted = world.all(&admin, world.org(), "action:events.extracted actor:aud@example.com");
    assert_eq!(noted.len(), 1);
    assert_eq!(attribute(&noted[0], "events").as_deref(), Some("1"));
    assert_eq!(attribute(&noted[0], "lowest"), Some(number.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_may_not_look_twice_either() {
    let world = World::new();
    let (_, _, who) = world.account(world.org(), "snd@example.com", &[service::Role::Sender]).await;
    let refused = world.service.query_refined(&who, world.org(), &EventQuery::default(), &|_| true).unwrap_err();
    assert_eq!(refused.kind, service::ErrorKind::Forbidden);
}
