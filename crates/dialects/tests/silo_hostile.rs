//! Requests that nobody means well with are refused, or answered within bounds.

mod support;

use std::time::Duration;

use axum::body::Body;
use serde_json::{Value, json};
use support::World;

/// No request may take longer than this, however it is made: far above what any of them needs, far below a hang.
const PATIENCE: Duration = Duration::from_secs(30);

async fn ask(world: &World, body: impl Into<Body>) -> (u16, String) {
    let request = world.request("POST", "/api/", None, body);
    tokio::time::timeout(PATIENCE, world.ask(request)).await.expect("an answer within bounds")
}

async fn check(world: &World, body: String, status: u16) -> String {
    let shown: String = body.chars().take(80).collect();
    let (came, reply) = ask(world, body).await;
    assert_eq!(came, status, "{shown}: {reply}");
    let reply_json: Value = serde_json::from_str(&reply).unwrap_or_else(|_| panic!("{shown}: not JSON: {reply}"));
    assert!(status == 200 || reply_json["error"].is_string(), "{shown}: {reply}");
    reply
}

#[tokio::test]
async fn what_is_too_much_is_refused_as_a_whole() {
    let world = World::new().await;
    check(&world, format!("[{}]", vec!["{}"; 100_000].join(",")), 400).await;
    check(&world, "[".repeat(1_000_000), 400).await;
    check(&world, format!("[{{\"command\":{}1{}}}]", "[".repeat(500_000), "]".repeat(500_000)), 400).await;
    check(&world, format!("[{}]", "{\"a\":".repeat(100_000)), 400).await;
    check(&world, format!("[\"{}\"]", "a".repeat(1 << 20)), 413).await;
    let zeros = zstd_of(&vec![b'['; 64 << 20]);
    let mut request = world.request("POST", "/api/", None, zeros);
    request.headers_mut().insert("content-encoding", "zstd".parse().unwrap());
    assert_eq!(world.ask(request).await.0, 413, "a small body that unpacks to a large one");
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[tokio::test]
async fn what_is_odd_is_answered_command_by_command() {
    let world = World::new().await;
    let eve = &world.names["eve"];
    let auth = format!("{{\"command\":\"setauth\",\"data\":\"{eve}\"}}");
    let in_org = |rest: &str| format!("[{auth},{{\"command\":\"extractlog\",\"org\":\"EU\",\"type\":\"URL\",{rest}}}]");
    for rest in [
        "\"start_seq\":999999999999999999999999999999999999999999",
        "\"start_seq\":1e400",
        "\"limit\":-1e400",
        "\"end_seq\":0.1e1",
        "\"start_seq\":\"99999999999999999999\"",
        "\"start_time\":\"9999-12-31 23:59:59\"",
        "\"end_time\":\"0001-01-01 00:00:00\"",
        "\"start_time\":\"\\ud800\"",
        "\"a\":1,\"a\":2,\"a\":3,\"limit\":5,\"limit\":\"x\"",
        "\"org\":\"\\u0000\"",
    ] {
        let reply: Value = serde_json::from_str(&check(&world, in_org(rest), 200).await).unwrap();
        assert_eq!(reply.as_array().unwrap().len(), 2, "{rest}");
        let answers = ["result", "error"].iter().filter(|name| !reply[1][name].is_null()).count();
        assert_eq!(answers, 1, "{rest}: {reply}");
    }
    // The longest name that fits, a hundred times, comes back a hundred times and no more.
    let long = "n".repeat(10_000);
    let command = json!({"command": "extractlog", "org": long, "type": "URL"}).to_string();
    let body = format!("[{auth},{}]", vec![command; 99].join(","));
    let reply = check(&world, body.clone(), 200).await;
    assert!(reply.len() < 2 * body.len());
    // A name of a thousand levels among a thousand that exist nowhere is looked for once and not found.
    let path = vec!["EU"; 1_000].join("/");
    let body = json!([{"command": "setauth", "data": eve}, {"command": "extractlog", "org": path, "type": "URL"}]);
    let reply = check(&world, body.to_string(), 200).await;
    assert!(reply.contains("No org matching"));
}

#[tokio::test]
async fn the_word_that_means_a_bad_token_stands_in_no_other_text() {
    let world = World::new().await;
    let eve = &world.names["eve"];
    let commands = json!([
        {"command": "setauth"}, {"command": "extractlog"}, {"command": "setauth", "data": eve}, {"command": "x"}, {},
        {"command": "extractlog"}, {"command": "extractlog", "org": "EU"}, {"command": "extractlog", "org": "no", "type": "URL"},
        {"command": "extractlog", "org": "EU", "type": "no"}, {"command": "extractlog", "org": "EU", "type": "URL", "limit": 0},
    ]);
    let reply = check(&world, commands.to_string(), 200).await;
    assert!(!reply.contains("KeyError"), "{reply}");
    let reply =
        check(&world, json!([{"command": "setauth", "data": "x"}, {"command": "get_log_types"}]).to_string(), 200);
    assert!(reply.await.contains("KeyError"));
}
