//! Acts on an organisation's log: its key is replaced, events are erased and pruned, it is closed and followed, verified as
//! a whole.

#[path = "../../log/tests/common/folder.rs"]
mod folder;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use folder::{copy_folder, files_with, flip, holds};
use service::search::{NumberField, Query};
use service::{
    ErasureOrder, ErrorKind, Event, EventQuery, EventState, LogState, NewEvent, Order, PruneTo, ReadOnlyReason, Role,
    Verdict,
};
use support::*;

const MARKER: &str = "zweiundvierzigerlei";

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_has_a_seed_of_its_own_and_survives_a_restart() {
    let world = World::new();
    let admin = world.admin().await;
    let (_, _, auditor) = world.account(world.org(), "aud@example.com", &[Role::Auditor]).await;
    let refused = world.service.rotate_log_key(&auditor, world.org(), "yearly", None).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Forbidden);
    let log = world.service.get_org(&admin, world.org()).unwrap().log;
    let old = world.service.vkey(&admin, log).unwrap();
    assert_eq!(old, world.made.vkey);
    let refused = world.service.rotate_log_key(&admin, world.org(), " ", None).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    let size_before = world.service.head(&admin, world.org()).unwrap().size;
    let rotated = world.service.rotate_log_key(&admin, world.org(), "compromised", None).await.unwrap();
    assert_ne!(rotated.vkey, old);
    let seed = world.folder.path().join("data/keys/instance.2.seed");
    assert_eq!(fs::metadata(&seed).unwrap().permissions().mode() & 0o777, 0o600);
    let world = world.reopen(|_| ()).await;
    let admin = world.admin().await;
    let keys = world.service.log_keys(&admin, log).unwrap();
    assert_eq!(keys.iter().map(|key| key.vkey.as_str()).collect::<Vec<_>>(), [old.as_str(), rotated.vkey.as_str()]);
    assert_eq!(keys[0].reason.as_deref(), Some("compromised"));
    // The server's own events may still be entered between the look at the log's size and the note.
    assert!(keys[0].believed_size.is_some_and(|size| (size_before..rotated.number).contains(&size)), "{:?}", keys[0]);
    assert_eq!(keys[0].last_size, Some(rotated.tree_size));
    let note = world.service.get(&admin, world.org(), rotated.number, true).unwrap();
    assert_eq!(note.fields().unwrap().action.as_str(), "key.rotated");
    assert_eq!(attribute(&note, "by").as_deref(), Some(ADMIN));
    // A second organisation begins under the new seed; its first replacement makes a third one.
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    assert_eq!(world.service.log_keys(&admin, child.log).unwrap()[0].epoch, 2);
    world.service.rotate_log_key(&admin, child.id, "yearly", None).await.unwrap();
    assert_eq!(world.service.log_keys(&admin, child.log).unwrap()[1].epoch, 3);
    // The first organisation's log takes up the seed that is there.
    world.service.rotate_log_key(&admin, world.org(), "yearly", None).await.unwrap();
    assert_eq!(world.service.log_keys(&admin, log).unwrap()[2].epoch, 3);
    assert!(!world.folder.path().join("data/keys/instance.4.seed").exists());
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_event_is_in_no_file_and_no_search_and_its_note_says_why() {
    let world = World::new();
    let admin = world.admin().await;
    let event = format!(r#"{{"action":"opened","actor":{{"name":"{MARKER}"}},"message":"about {MARKER} and others"}}"#);
    let receipts = world.send(&admin, world.org(), &[r#"{"action":"before"}"#, &event, r#"{"action":"after"}"#]).await;
    world.service.settle().await;
    let data = world.folder.path().join("data");
    assert_eq!(world.all(&admin, world.org(), MARKER).len(), 1);
    assert!(!files_with(&data.join("log"), MARKER).is_empty(), "the test can find it");
    // The index keeps words in parts; that they leave its files is tested in `search`, that nothing is found by them below.
    let indexed = world.service.status().index_documents;
    let number = receipts[1].number;
    let proof = world.service.prove_event(&admin, world.org(), number).unwrap();

    let (_, _, sender) = world.account(world.org(), "sender@example.com", &[Role::Sender]).await;
    let order = |numbers: &[u64]| ErasureOrder {
        numbers: numbers.to_vec(),
        ground: "GDPR article 17".into(),
        ordered_by: "the person concerned".into(),
    };
    let refused = world.service.erase_events(&sender, world.org(), order(&[number])).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Forbidden);
    let refused = world.service.erase_events(&admin, world.org(), ErasureOrder::default()).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    let done = world.service.erase_events(&admin, world.org(), order(&[number])).await.unwrap();
    assert_eq!(done.numbers, [number]);
    assert_eq!(files_with(&data, MARKER), Vec::<PathBuf>::new());
    world.service.settle().await;
    let entered = world.service.head(&admin, world.org()).unwrap().size - receipts[2].number;
    assert!(world.service.status().index_documents < indexed + entered, "one document is gone");

    let world = world.reopen(|_| ()).await;
    let admin = world.admin().await;
    for round in 0..2 {
        let erased = world.service.get(&admin, world.org(), number, true).unwrap();
        assert_eq!((erased.state(), &erased.verdict), (&EventState::Erased, &Some(Verdict::Sound)), "round {round}");
        assert_eq!(erased.leaf_hash(), Some(proof.leaf_hash));
        let again = world.service.prove_event(&admin, world.org(), number).unwrap();
        assert_eq!(again.entry, proof.entry, "the entry is as it was");
        assert_eq!(world.all(&admin, world.org(), MARKER).len(), 0);
        assert_eq!(world.all(&admin, world.org(), "action:opened").len(), 0);
        let page = world.service.query(&admin, world.org(), &EventQuery { verify: true, ..EventQuery::default() });
        assert_eq!(page.unwrap().tainted, Some(false));
        let note = world.service.get(&admin, world.org(), done.note, false).unwrap();
        assert_eq!(note.fields().unwrap().action.as_str(), "erasure.erased");
        assert_eq!(attribute(&note, "ordered_by").as_deref(), Some("the person concerned"));
        assert_eq!(attribute(&note, "carried_out_by").as_deref(), Some(ADMIN));
        world.service.settle().await;
    }
    let refused = world.service.erase_events(&admin, world.org(), order(&[number])).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Conflict);
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_stops_at_what_is_held_and_takes_the_words_out_of_the_index() {
    let world = World::new();
    let admin = world.admin().await;
    let old = format!(r#"{{"action":"old","message":"{MARKER}"}}"#);
    let batch: Vec<&str> = vec![&old; 300];
    let items = batch
        .iter()
        .enumerate()
        .map(|(n, json)| NewEvent::from_json(json.replace("\"old\"", &format!("\"old{n}\"")).as_bytes()));
    let sent = world.service.ingest(&admin, world.org(), items.collect(), service::IngestOptions::default()).await;
    assert!(sent.unwrap().iter().all(Result::is_ok));
    world.clock.advance(3_600_000_000);
    world.send(&admin, world.org(), &[r#"{"action":"new"}"#]).await;
    world.service.settle().await;
    assert_eq!(
        world.service.count(&admin, world.org(), &service::search::parse::parse(MARKER).unwrap(), 999).unwrap(),
        300
    );

    world.service.set_legal_hold(&admin, world.org(), Some(200), "case 7").await.unwrap();
    let held = world.service.prune_events(&admin, world.org(), PruneTo::Number(280), "kept for a year").await;
    assert_eq!(held.unwrap_err().kind, ErrorKind::Conflict);
    world.service.set_legal_hold(&admin, world.org(), None, "case 7 is closed").await.unwrap();
    let before = service::Timestamp::from_microsecond(START_US as i64 + 1_000_000).unwrap();
    let pruned =
        world.service.prune_events(&admin, world.org(), PruneTo::Time(before), "kept for an hour").await.unwrap();
    assert_eq!(pruned.minimum_index, 256);

    for world in [world] {
        let gone = world.service.get(&admin, world.org(), 256, false).unwrap_err();
        assert!(gone.kind == ErrorKind::NotFound && gone.message.contains("pruned"), "{gone:?}");
        let left = world.all(&admin, world.org(), "");
        assert_eq!(left[0].number(), 257);
        let found = world.all(&admin, world.org(), MARKER);
        assert!(!found.is_empty() && found.len() < 60 && found.iter().all(|event| event.number() > 256));
        let standing = world.service.log_standing(&admin, world.org()).unwrap();
        assert_eq!((standing.minimum_index, standing.legal_hold), (256, None));
        let found = world.service.verify_all_logs().await.unwrap();
        assert!(found.iter().all(|(_, last)| last.is_good()), "{found:?}");
        let world = world.reopen(|data| fs::remove_dir_all(data.join("index")).unwrap()).await;
        let admin = world.admin().await;
        world.service.settle().await;
        assert_eq!(world.all(&admin, world.org(), MARKER).len(), found_again(&world, &admin));
        world.service.shutdown().await;
    }
}

fn found_again(world: &World, admin: &service::Principal) -> usize {
    world
        .all(admin, world.org(), "")
        .iter()
        .filter(|event| event.json().is_some_and(|json| holds(json, MARKER.as_bytes())))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_log_refuses_events_and_a_new_one_names_it() {
    let world = World::new();
    let admin = world.admin().await;
    world.send(&admin, world.org(), &[r#"{"action":"first"}"#]).await;
    let refused = world.service.open_successor(&admin, world.org(), "no reason").await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Conflict);
    let last = world.service.close_log(&admin, world.org(), "the tenant leaves").await.unwrap();
    let standing = world.service.log_standing(&admin, world.org()).unwrap();
    assert!(matches!(standing.state, LogState::ReadOnly { reason: ReadOnlyReason::Closed, .. }));
    assert!(standing.reasons.is_empty() && world.service.status().is_ready(), "nothing is wrong");
    let event = || vec![NewEvent::from_json(br#"{"action":"late"}"#)];
    let refused = world.service.ingest(&admin, world.org(), event(), service::IngestOptions::default()).await;
    assert!(refused.unwrap_err().message.contains("closed"));
    assert_eq!(world.all(&admin, world.org(), "action:first").len(), 1, "reads go on");

    let new = world.service.open_successor(&admin, world.org(), "the tenant comes back").await.unwrap();
    assert_ne!(new.origin, last.origin);
    let receipts = world.send(&admin, world.org(), &[r#"{"action":"second"}"#]).await;
    let before = last.last_number();
    assert_eq!((new.before, receipts[0].number, receipts[0].index), (before, before + 2, 1), "numbers go on");
    let world = world.reopen(|_| ()).await;
    let admin = world.admin().await;
    assert_eq!(world.all(&admin, world.org(), "action:second").len(), 1);
    assert_eq!(world.all(&admin, world.org(), "action:first").len(), 1, "and what came before is found");
    let erased = ErasureOrder { numbers: vec![2], ground: "an order".into(), ordered_by: "a court".into() };
    let refused = world.service.erase_events(&admin, world.org(), erased).await.unwrap_err();
    assert!(refused.kind == ErrorKind::Conflict && refused.message.contains("closed for ever"), "{refused:?}");
    assert_eq!(world.service.log_standing(&admin, world.org()).unwrap().former, [last.origin.as_str()]);
    let opened = world.service.get(&admin, world.org(), before + 1, true).unwrap();
    let after: serde_json::Value = serde_json::from_str(&attribute(&opened, "after").unwrap()).unwrap();
    assert_eq!(after["last_number"], before);
    assert_eq!(
        (after["origin"].as_str(), after["checkpoint"].as_str()),
        (Some(&*last.origin), Some(&*last.checkpoint))
    );
    assert_eq!((after["missing"].as_array().unwrap().len(), after["by"].as_str()), (0, Some(ADMIN)));
    let found = world.service.verify_all_logs().await.unwrap();
    assert!(found.len() == 3 && found.iter().all(|(_, last)| last.is_good()), "{found:?}");
    world.service.settle().await;
    assert_eq!(world.all(&admin, world.org(), "action:\"log.verified\"").len(), 2, "of the old log and of the new");
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_fails_is_an_event_and_shows_until_somebody_acknowledges_it() {
    let world = World::new();
    let admin = world.admin().await;
    world.send(&admin, world.org(), &[r#"{"action":"a","message":"needle-one"}"#]).await;
    let found = world.service.verify_all_logs().await.unwrap();
    assert!(found.iter().all(|(_, last)| last.is_good()), "{found:?}");
    assert!(world.service.status().is_ready());
    let last = world.service.log_standing(&admin, world.org()).unwrap().last_verification.unwrap();
    assert_eq!((last.entries_read, last.verdict.as_str()), (last.entries_expected, "verified"));
    let world = world
        .reopen(|data| {
            flip(&data.join("log"), b"needle-one");
        })
        .await;
    let admin = world.admin().await;
    assert_eq!(world.service.log_standing(&admin, world.org()).unwrap().last_verification, Some(last), "kept");
    let found = world.service.verify_all_logs().await.unwrap();
    let org_log = world.service.get_org(&admin, world.org()).unwrap().log;
    let bad = &found.iter().find(|(log, _)| *log == org_log).unwrap().1;
    assert_eq!(bad.verdict, "tainted");
    assert!(bad.reasons.iter().any(|reason| reason == "record_changed"), "{bad:?}");
    assert!(bad.log_reasons.is_empty(), "one record does not taint all");
    let status = world.service.status();
    assert!(!status.is_ready() && !status.unverified.is_empty());
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_log_taints_every_answer_until_a_person_acknowledges_it_and_is_followed_by_another() {
    let world = World::new();
    let admin = world.admin().await;
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    world.send(&admin, child.id, &[r#"{"action":"first"}"#]).await;
    world.service.settle().await;
    let copy = tempfile::tempdir().unwrap();
    let world = world.reopen(|data| copy_folder(&data.join("log"), copy.path())).await;
    let admin = world.admin().await;
    world.send(&admin, child.id, &[r#"{"action":"lost"}"#, r#"{"action":"lost too"}"#]).await;
    let size = world.service.head(&admin, child.id).unwrap().size;
    // Yesterday's log comes back, the signer's memory does not go.
    let world = world
        .reopen(|data| {
            fs::remove_dir_all(data.join("log")).unwrap();
            copy_folder(copy.path(), &data.join("log"));
        })
        .await;
    let admin = world.admin().await;
    let verify = || EventQuery { verify: true, ..EventQuery::default() };
    let page = world.service.query(&admin, child.id, &verify()).unwrap();
    assert_eq!(page.tainted, Some(true), "each record is right, the log is not");
    assert!(page.events.iter().all(|event| event.verdict == Some(Verdict::Sound)), "{page:?}");
    assert_eq!(world.service.log_standing(&admin, child.id).unwrap().reasons, ["truncated"]);
    world.service.acknowledge_taint(&admin, child.id, "restored after a fire").await.unwrap();
    assert_eq!(world.service.query(&admin, child.id, &verify()).unwrap().tainted, Some(false));
    assert!(world.service.log_standing(&admin, child.id).unwrap().acknowledged);

    let new = world.service.open_successor(&admin, child.id, "restored after a fire").await.unwrap();
    let opened = world.service.get(&admin, child.id, size + 1, true).unwrap();
    let after: serde_json::Value = serde_json::from_str(&attribute(&opened, "after").unwrap()).unwrap();
    assert_eq!(after["missing"], serde_json::json!([[size - 1, size]]), "{after}");
    assert_eq!(world.send(&admin, child.id, &[r#"{"action":"again"}"#]).await[0].number, size + new.size + 1);
    let lost = world.service.get(&admin, child.id, size, true).unwrap_err();
    assert!(lost.kind == ErrorKind::NotFound && lost.message.contains("lost"), "{lost:?}");

    // One sequence with a gap, from either end, in pages of any size, by number, by time, followed, counted and verified.
    let all: Vec<u64> = world.all(&admin, child.id, "").iter().map(Event::number).collect();
    let mut expected: Vec<u64> = (1..=size - 2).chain(size + 1..=*all.last().unwrap()).collect();
    assert_eq!(all, expected);
    for limit in 1..=expected.len() {
        for order in [Order::Ascending, Order::Descending] {
            let mut query = EventQuery { order, limit, verify: true, ..EventQuery::default() };
            let mut numbers = Vec::new();
            loop {
                let page = world.service.query(&admin, child.id, &query).unwrap();
                assert_eq!(page.tainted, Some(false), "whoever opened the successor knew");
                numbers.extend(page.events.iter().map(Event::number));
                query.after = page.next;
                if page.next.is_none() {
                    break;
                }
            }
            assert_eq!(numbers, expected, "{order:?} in pages of {limit}");
            expected.reverse();
        }
    }
    let count = |query: &Query| world.service.count(&admin, child.id, query, u64::MAX).unwrap();
    assert_eq!(count(&Query::All), expected.len() as u64);
    let lower = Query::Range { field: NumberField::Number, min: Some(2), max: Some(size as i64 + 1) };
    assert_eq!(count(&lower), size - 2);
    assert_eq!(count(&Query::Not(Box::new(lower))), expected.len() as u64 - (size - 2));
    let newest = world.service.query_by_time(&admin, child.id, &Query::All, 1, 100).unwrap();
    assert_eq!(newest.len(), expected.len() - 1);
    assert_eq!(newest.last().unwrap().number(), 1);
    let mut follow = world.service.follow(&admin, child.id, Query::All, 1).unwrap();
    let followed: Vec<u64> = follow.next().await.unwrap().iter().map(Event::number).collect();
    assert_eq!(followed, expected[1..]);
    let mut after = 0;
    while after < *expected.last().unwrap() {
        let range = world.service.completeness(&admin, child.id, &Query::All, after).unwrap();
        assert!(range.left_out.is_empty() && range.surplus.is_empty() && range.tainted.is_empty(), "{range:?}");
        assert!(range.to > after && range.size == *expected.last().unwrap(), "{range:?}");
        after = range.to;
    }
    for number in &expected {
        let proof = world.service.prove_event(&admin, child.id, *number).unwrap();
        let (log, head) = world.service.head_of_number(&admin, child.id, *number).unwrap();
        assert_eq!((proof.head.origin, proof.index + 1), (head.origin, number - head.before));
        let evidence = world.service.evidence(&admin, child.id, &[*number]).unwrap().remove(0);
        assert_eq!((evidence.number, evidence.index), (*number, proof.index));
        assert!(
            world.service.tile(&admin, log, service::tlog::tile::TileId::at_size(0, 0, head.size).unwrap()).is_ok()
        );
    }
    world.service.shutdown().await;
}
