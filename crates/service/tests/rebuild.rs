//! The projections can be thrown away: made again, they give the same answers.

mod support;

use service::{Order, Principal, Service, Surface};
use support::*;

const FILTERS: [&str; 8] = [
    "",
    "kind:file",
    "actor:u1 OR actor:u2",
    "\"some words\"",
    "NOT outcome:failure",
    "target:*",
    "tag:\"extraction:download\"",
    "action:login*",
];

type Answers = (Vec<Vec<u64>>, Vec<Vec<u64>>, Vec<u64>, Vec<u64>);

fn answers(world: &World, who: &Principal, last: u64) -> Answers {
    let read = |order| {
        let of = |filter: &&str| {
            let filter = format!("({}) number:<={last}", if filter.is_empty() { "*" } else { filter });
            numbers(&pages(&world.service, who, world.org(), &filter, order, 37))
        };
        FILTERS.iter().map(of).collect::<Vec<_>>()
    };
    let query = |filter: &str| service::search::parse::parse(filter).unwrap();
    let counts = FILTERS.iter().map(|f| {
        world.service.count(
            who,
            world.org(),
            &query(&format!("({}) number:<={last}", if f.is_empty() { "*" } else { f })),
            u64::MAX,
        )
    });
    let counts = counts.map(|count| count.unwrap()).collect();
    let by_time = world.service.query_by_time(who, world.org(), &Surface::UserEvents.query_all(), 0, 10_000).unwrap();
    let by_time = by_time.iter().map(service::Event::number).filter(|number| *number <= last).collect();
    (read(Order::Ascending), read(Order::Descending), counts, by_time)
}

async fn history(world: &World) -> u64 {
    let admin = world.admin().await;
    for n in 0..40 {
        let json: Vec<String> = (0..n % 7)
            .map(|m| {
                let kind = ["file", "page", "web", "authentication"][(n + m) % 4];
                let outcome = ["success", "failure"][m % 2];
                format!(
                    r#"{{"action":"a{m}","kind":"{kind}","outcome":"{outcome}","actor":{{"id":"u{m}"}},"message":"some words {n}","targets":["t{m}"]}}"#
                )
            })
            .collect();
        world.send(&admin, world.org(), &json.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    world.service.head(&admin, world.org()).unwrap().size
}

/// Row 16 of the attack table: somebody takes hits out of the index, and puts others in.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_from_the_index_is_named_by_a_complete_search_and_back_after_a_rebuild() {
    let world = World::new();
    history(&world).await;
    world.service.settle().await;
    let admin = world.admin().await;
    let filter = service::search::parse::parse("kind:file").unwrap();
    let found = numbers(&pages(&world.service, &admin, world.org(), "kind:file", Order::Ascending, 100));
    let hidden = found[found.len() / 2];
    let whole = world.service.completeness(&admin, world.org(), &filter, 0).unwrap();
    assert_eq!((whole.left_out.len(), whole.surplus.len(), whole.matching), (0, 0, found.len() as u64));
    let world = world
        .reopen(|data| {
            let (index, payload) = search::Index::open(&data.join("index"), search::Options::default()).unwrap();
            for log in 0..16 {
                index.delete_document(log, hidden).unwrap();
            }
            index.commit(&payload.unwrap()).unwrap();
            index.close();
        })
        .await;
    let admin = world.admin().await;
    let page = numbers(&pages(&world.service, &admin, world.org(), "kind:file", Order::Ascending, 100));
    assert!(!page.contains(&hidden) && page.len() + 1 == found.len(), "the hit is gone, and the page cannot tell");
    let whole = world.service.completeness(&admin, world.org(), &filter, 0).unwrap();
    assert_eq!((whole.left_out, whole.surplus, whole.tainted), (vec![hidden], vec![], vec![]));
    let World { folder, clock, made, service } = world;
    service.shutdown().await;
    let config_again = config(&folder, &clock, 9);
    tokio::task::spawn_blocking(move || Service::rebuild(config_again, &mut |_, _| ()).unwrap()).await.unwrap();
    let service = Service::open(config(&folder, &clock, 10)).unwrap();
    let world = World { folder, clock, made, service };
    let admin = world.admin().await;
    let again = numbers(&pages(&world.service, &admin, world.org(), "kind:file", Order::Ascending, 100));
    assert_eq!(again, found);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_made_again_gives_the_same_answers() {
    let world = World::new();
    let last = history(&world).await;
    let before = answers(&world, &world.admin().await, last);
    assert!(before.0.iter().all(|numbers| !numbers.is_empty()), "each filter finds something: {before:?}");
    world.service.settle().await;
    assert_eq!(answers(&world, &world.admin().await, last), before, "the same from the index as from a scan");

    let World { folder, clock, made, service } = world;
    service.shutdown().await;
    let mut steps = Vec::new();
    let config_again = config(&folder, &clock, 7);
    let rebuilt = tokio::task::spawn_blocking(move || {
        let rebuilt = Service::rebuild(config_again, &mut |done, total| steps.push((done, total))).unwrap();
        assert!(steps.is_sorted() && steps.last().is_some_and(|(done, total)| done == total), "{steps:?}");
        rebuilt
    });
    let rebuilt = rebuilt.await.unwrap();
    assert_eq!(rebuilt.entries, rebuilt.documents);
    assert!(rebuilt.entries >= last);
    let service = Service::open(config(&folder, &clock, 8)).unwrap();
    let world = World { folder, clock, made, service };
    assert_eq!(answers(&world, &world.admin().await, last), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_folder_or_of_no_use_is_made_again() {
    let stranger = World::new();
    history(&stranger).await;
    let World { folder: strange_folder, service: strange_service, .. } = stranger;
    strange_service.shutdown().await;

    let world = World::new();
    let last = history(&world).await;
    let before = answers(&world, &world.admin().await, last);
    // Another folder's index, with the same schema, put in the place of ours.
    let world = world
        .reopen(|data| {
            std::fs::remove_dir_all(data.join("index")).unwrap();
            std::fs::rename(strange_folder.path().join("data/index"), data.join("index")).unwrap();
        })
        .await;
    world.service.settle().await;
    assert_eq!(answers(&world, &world.admin().await, last), before);
    // Something that is no index at all.
    let world = world
        .reopen(|data| {
            std::fs::remove_dir_all(data.join("index")).unwrap();
            std::fs::create_dir(data.join("index")).unwrap();
            std::fs::write(data.join("index/meta.json"), "no").unwrap();
        })
        .await;
    world.service.settle().await;
    assert_eq!(answers(&world, &world.admin().await, last), before);
    assert!(world.service.status().is_ready());
}
