//! A record never becomes visible below a number that was already handed out.
//!
//! Goal: a collector that resumes after the highest number it saw misses nothing and gets nothing twice, for any type and
//! whoever writes meanwhile. Method: random plans of writers (batches of records of several types) and collectors (one per
//! type, and one for all), all at once on several threads; each collector follows `next_seq` only, until the writers are
//! done and it was told that there is no more. What it got must be, number for number, what a fresh read gives.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use support::World;

const TYPES: [&str; 3] = ["URL", "PRINT", "AUTH"];

/// What one writer sends: for each batch the types of its records.
type Plan = Vec<Vec<usize>>;

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let batch = prop::collection::vec(0..TYPES.len(), 1..12);
    prop::collection::vec(prop::collection::vec(batch, 1..12), 1..5)
}

#[test]
fn a_collector_that_resumes_misses_nothing_and_gets_nothing_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    // One world for all cases: each case's writers go on where the last one's stopped, and so do the numbers.
    let world = Arc::new(runtime.block_on(World::new()));
    let checked = runner.run(&(plans(), 1u64..20), |(plans, limit)| {
        runtime.block_on(check(&world, plans, limit));
        Ok(())
    });
    checked.unwrap();
}

async fn check(world: &Arc<World>, plans: Vec<Plan>, limit: u64) {
    let written: usize = plans.iter().flatten().map(Vec::len).sum();
    let start = next_number(world).await;
    let done = Arc::new(AtomicBool::new(false));

    let collectors: Vec<_> = TYPES
        .iter()
        .chain([&"LOG"])
        .map(|log_type| {
            let (world, done, log_type) = (Arc::clone(world), Arc::clone(&done), *log_type);
            tokio::spawn(async move { collect(&world, log_type, start, limit, &done).await })
        })
        .collect();
    let writers: Vec<_> = plans
        .into_iter()
        .map(|plan| {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                for batch in plan {
                    let events: Vec<Value> = batch
                        .into_iter()
                        .map(|of| json!({"action": "x", "origin": {"dialect": "silo", "type": TYPES[of], "raw": {}}}))
                        .collect();
                    let body = Value::from(events).to_string();
                    let path = format!("/v1/orgs/{}/events", world.names["eu"]);
                    let request = world.request("POST", &path, Some(&world.names["uma"]), body);
                    let (status, reply) = world.ask(request).await;
                    assert_eq!(status, 200, "{reply}");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let mut collected = Vec::new();
    for collector in collectors {
        collected.push(collector.await.unwrap());
    }

    let mut of_types = 0;
    for (log_type, got) in TYPES.iter().chain([&"LOG"]).zip(&collected) {
        let fresh = collect(world, log_type, start, 1000, &done).await;
        // Our own notes may come meanwhile under a type of their own; those three are the writers' alone.
        if *log_type != "LOG" {
            assert_eq!(got, &fresh, "{log_type}");
            of_types += got.len();
        } else {
            assert_eq!(got[..], fresh[..got.len()], "{log_type}");
        }
    }
    assert_eq!(of_types, written);
}

/// Follows one type from `start` until nothing is left and the writers are done; gives the numbers in the order they came.
async fn collect(world: &World, log_type: &str, start: u64, limit: u64, done: &AtomicBool) -> Vec<u64> {
    let mut next = start;
    let mut numbers = Vec::new();
    loop {
        let finished = done.load(Ordering::SeqCst);
        let page = extract(world, log_type, next, limit).await;
        let logs = page["logs"].as_array().unwrap();
        numbers.extend(logs.iter().map(|record| record["seq_id"].as_u64().unwrap()));
        let (after, is_more) = (page["next_seq"].as_u64().unwrap(), page["is_more"].as_bool().unwrap());
        match logs.last() {
            Some(last) => assert_eq!(after, last["seq_id"].as_u64().unwrap() + 1),
            None => assert_eq!((after, is_more), (next, false), "an empty page neither moves nor promises"),
        }
        next = after;
        if finished && !is_more {
            return numbers;
        }
        tokio::task::yield_now().await;
    }
}

async fn next_number(world: &World) -> u64 {
    let mut next = 1;
    loop {
        let page = extract(world, "LOG", next, 1000).await;
        next = page["next_seq"].as_u64().unwrap();
        if page["is_more"] == false {
            return next;
        }
    }
}

async fn extract(world: &World, log_type: &str, start: u64, limit: u64) -> Value {
    let body = json!([
        {"command": "setauth", "data": world.names["uma"]},
        {"command": "extractlog", "org": "EU", "type": log_type, "start_seq": start, "limit": limit},
    ]);
    let (status, reply) = world.ask(world.request("POST", "/api/", None, Body::from(body.to_string()))).await;
    assert_eq!(status, 200, "{reply}");
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert!(reply[1]["error"].is_null(), "{reply}");
    reply[1]["result"].clone()
}
