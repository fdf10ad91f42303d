//! Server-sent events: complete from a number on, live, alive while nothing happens, over when the server closes.

mod support;

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use support::World;

/// Reads frames until `enough` of the text so far; the number of frames is bounded, so a silent stream fails the test.
async fn read_until(body: &mut Body, text: &mut String, enough: impl Fn(&str) -> bool) {
    for _ in 0..200 {
        if enough(text) {
            return;
        }
        let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("a frame comes");
        let frame = frame.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    panic!("not enough after 200 frames: {text}");
}

fn ids(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect()
}

async fn hand_in(world: &World, body: &str) {
    let path = format!("/v1/orgs/{}/events", world.names["us"]);
    let (status, reply) = world.ask(world.request("POST", &path, Some(&world.names["gil"]), body.to_owned())).await;
    assert!(status < 300, "{reply}");
}

#[tokio::test]
async fn a_follower_gets_what_was_there_and_what_comes_once_each_and_in_order() {
    let world = World::new().await;
    hand_in(&world, "[{\"action\":\"one\"},\n{\"action\":\n\"two\"}]").await;
    let path = format!("/v1/orgs/{}/events/follow?after=0", world.names["us"]);
    let response = world.send(world.request("GET", &path, Some(&world.names["gil"]), "")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut text = String::new();
    read_until(&mut body, &mut text, |text| text.contains("\"two\"")).await;
    hand_in(&world, r#"{"action":"three"}"#).await;
    read_until(&mut body, &mut text, |text| text.contains("\"three\"")).await;

    let ids = ids(&text);
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "from the beginning, without gap or repeat");
    // Every event is one line of data, whatever white space it was sent with.
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["seq"].is_u64() && event["event"]["action"].is_string(), "{line}");
    }
    world.closing.send_replace(true);
    for _ in 0..10 {
        if body.frame().await.is_none() {
            return;
        }
    }
    panic!("the stream goes on after the server wants to close");
}

#[tokio::test]
async fn a_follower_that_comes_back_goes_on_after_the_last_event_it_saw() {
    let world = World::new().await;
    hand_in(&world, r#"[{"action":"one"},{"action":"two"},{"action":"three"}]"#).await;
    let path = format!("/v1/orgs/{}/events/follow?after=0&action=three&action=two", world.names["us"]);
    let mut request = world.request("GET", &path, Some(&world.names["gil"]), "");
    let (_, one) = world
        .ask(world.request(
            "GET",
            &format!("/v1/orgs/{}/events?action=two", world.names["us"]),
            Some(&world.names["gil"]),
            "",
        ))
        .await;
    let two: serde_json::Value = serde_json::from_str(&one).unwrap();
    let two = two["events"][0]["seq"].as_u64().unwrap();
    request.headers_mut().insert("last-event-id", two.to_string().parse().unwrap());
    let mut body = world.send(request).await.into_body();
    let mut text = String::new();
    read_until(&mut body, &mut text, |text| text.contains("\"three\"")).await;
    assert_eq!(ids(&text), [two + 1]);
}

#[tokio::test]
async fn an_idle_stream_says_that_it_is_still_there() {
    let world = World::with(|settings| settings.heartbeat = Duration::from_millis(1)).await;
    let path = format!("/v1/orgs/{}/events/follow?after=1000000", world.names["us"]);
    let mut body = world.send(world.request("GET", &path, Some(&world.names["gil"]), "")).await.into_body();
    let mut text = String::new();
    read_until(&mut body, &mut text, |text| text.matches(": still here\n\n").count() >= 2).await;
    assert_eq!(ids(&text), Vec::<u64>::new());
}

#[tokio::test]
async fn a_last_event_id_that_is_none_is_refused() {
    let world = World::new().await;
    let path = format!("/v1/orgs/{}/events/follow", world.names["us"]);
    let mut request = world.request("GET", &path, Some(&world.names["gil"]), "");
    request.headers_mut().insert("last-event-id", "the last one".parse().unwrap());
    assert_eq!(world.send(request).await.status(), 400);
}
