//! Ten thousand users in one reply, in a total order; and every way of sorting them.

mod support;

use axum::body::Body;
use axum::http::Request;
use futures::StreamExt as _;
use serde_json::Value;
use service::recordings::{Finish, NewSession, SessionInfo, SessionUser};
use support::World;

async fn get(world: &World, path: &str) -> Value {
    let request = Request::get(path).header("cookie", format!("session_id={}", world.names["bob"]));
    let (status, body) = world.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn ids(reply: &Value) -> Vec<&str> {
    reply["items"].as_array().unwrap().iter().map(|item| item["user_id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_users_come_in_one_reply_and_in_one_order() {
    const USERS: usize = 10_050;
    let world = World::new().await;
    let sam = world.principal("sam@example.com").await;
    // Many share a time, so that the order has ties to break.
    let record = |number: usize| {
        let (service, sam, org) = (world.service.clone(), sam.clone(), world.org);
        async move {
            let user = SessionUser { name: Some(format!("user {number:05} ü/%")), ..SessionUser::default() };
            let at = format!("2026-01-01T{:02}:{:02}:00Z", number % 7, number % 11);
            let info = SessionInfo { user, started_at: Some(at.clone()), ..SessionInfo::default() };
            let (session, _) = service.start_session(&sam, org, NewSession { client_id: None, info }).await.unwrap();
            let finish = Finish { ended_at: Some(at.parse().unwrap()), ..Finish::default() };
            service.finish_session(&sam, org, session.id, finish).await.unwrap();
        }
    };
    futures::stream::iter(0..USERS).map(record).buffer_unordered(256).collect::<Vec<()>>().await;

    let count = get(&world, "/api/audit/users/_count").await;
    assert_eq!(count["count"], USERS);
    let first = get(&world, "/api/audit/users?limit=10000&sort=-last_seen").await;
    let names = ids(&first);
    assert_eq!((names.len(), first["meta"]["limit"].as_u64()), (10_000, Some(10_000)));
    let mut keys: Vec<(&str, &str)> = first["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["last_seen"].as_str().unwrap(), item["user_id"].as_str().unwrap()))
        .collect();
    let came = keys.clone();
    keys.sort_by(|a, b| b.0.cmp(a.0).then(a.1.cmp(b.1)));
    assert_eq!(came, keys, "latest first, ties by id");
    keys.dedup();
    assert_eq!(keys.len(), 10_000, "nobody twice");
    assert_eq!(first["items"], get(&world, "/api/audit/users?limit=10000&sort=-last_seen").await["items"], "stable");
    // Nobody has a score: the other fields decide, and a missing value is no value.
    let by_score = get(&world, "/api/audit/users?limit=10000&sort=-score,-last_seen").await;
    assert_eq!(ids(&by_score), names);
    let few = get(&world, "/api/audit/users?limit=7&sort=-last_seen").await;
    assert_eq!(ids(&few), names[..7], "a part is the beginning of the whole");
    let one = get(&world, "/api/audit/users/user%2000007%20%C3%BC%2F%25").await;
    assert_eq!(
        (&one["key"], &one["body"]["user_id"], &one["user_id"]),
        (&"user 00007 ü/%".into(), &"user 00007 ü/%".into(), &"user 00007 ü/%".into())
    );
    assert_eq!(one["meta"]["href"], "/api/audit/users/user%2000007%20%C3%BC%2F%25");
    world.service.shutdown().await;
}
