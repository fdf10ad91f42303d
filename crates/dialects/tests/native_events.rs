//! What goldens do not show well: packed bodies, limits, and receipts that prove something.

mod support;

use std::io::Write as _;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use service::tlog::note::VerifierKey;
use service::tlog::tlog_proof::TlogProof;
use service::tlog::{Hash, leaf_hash, tile};
use support::World;

fn post(world: &World, person: &str, query: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let path = format!("/v1/orgs/{}/events{query}", world.names["org"]);
    let mut request = world.request("POST", &path, Some(&world.names[person]), body);
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    request
}

async fn json(world: &World, request: Request<Body>) -> (u16, Value) {
    let (status, body) = world.ask(request).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

fn lines(count: usize) -> String {
    (0..count).map(|at| format!("{{\"action\":\"load\",\"id\":\"load-{at}\"}}\n")).collect()
}

#[tokio::test]
async fn packed_bodies_hold_the_same_events() {
    let world = World::new().await;
    let text = lines(1_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let packed = [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(text.as_bytes(), 3).unwrap())];
    let (status, plain) =
        json(&world, post(&world, "sam", "", &[("content-type", "application/x-ndjson")], text)).await;
    assert_eq!((status, &plain["accepted"]), (200, &Value::from(1_000)));
    for (encoding, body) in packed {
        let headers = [("content-type", "application/jsonl; charset=utf-8"), ("content-encoding", encoding)];
        let (status, reply) = json(&world, post(&world, "sam", "", &headers, body)).await;
        assert_eq!((status, &reply["duplicates"]), (200, &Value::from(1_000)), "{encoding}");
        for (first, again) in plain["receipts"].as_array().unwrap().iter().zip(reply["receipts"].as_array().unwrap()) {
            assert_eq!(first["leaf_hash"], again["leaf_hash"], "{encoding}: the first receipt again");
        }
    }
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_with_the_limit_and_nothing_is_taken() {
    let world = World::new().await;
    let events_max = service::ingest::BATCH_EVENTS_MAX;
    let ndjson = [("content-type", "application/x-ndjson")];
    let (status, reply) = json(&world, post(&world, "sam", "", &ndjson, lines(events_max + 1))).await;
    assert_eq!(status, 413);
    assert!(reply["detail"].as_str().unwrap().contains("10000"), "{reply}");

    // Unpacks to more than the limit for bodies.
    let bomb = zstd::encode_all(&vec![b' '; dialects::http::body::EVENTS_BYTES_MAX + 1][..], 1).unwrap();
    assert!(bomb.len() < 10_000);
    let headers = [("content-type", "application/x-ndjson"), ("content-encoding", "zstd")];
    let (status, _) = json(&world, post(&world, "sam", "", &headers, bomb)).await;
    assert_eq!(status, 413);

    let message = "x".repeat(service::model::event::TEXT_BYTES_MAX + 1);
    let body = format!("{{\"action\":\"a\",\"message\":\"{message}\"}}");
    let (status, reply) = json(&world, post(&world, "sam", "", &[], body)).await;
    assert_eq!((status, reply["pointer"].as_str()), (413, Some("/message")));

    let before = world.names["org"].clone();
    let path = format!("/v1/orgs/{before}/events?action=load&action=a");
    let (_, page) = json(&world, world.request("GET", &path, Some(&world.names["bob"]), "")).await;
    assert_eq!(page["events"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_sealed_receipt_proves_its_event_without_the_server() {
    let world = World::new().await;
    let body = r#"[{"action":"one"},{"action":"two"},{"action":"three"}]"#;
    let (status, reply) = json(&world, post(&world, "ann", "?receipt=sealed", &[], body)).await;
    assert_eq!(status, 200, "{reply}");
    let path = format!("/v1/orgs/{}/log", world.names["org"]);
    let (_, log) = json(&world, world.request("GET", &path, Some(&world.names["bob"]), "")).await;
    let key: VerifierKey = log["vkey"].as_str().unwrap().parse().unwrap();
    let origin = log["origin"].as_str().unwrap();
    for receipt in reply["receipts"].as_array().unwrap() {
        let leaf = Hash::from_hex(receipt["leaf_hash"].as_str().unwrap()).unwrap();
        let proof: TlogProof = receipt["proof"].as_str().unwrap().parse().unwrap();
        assert_eq!(Some(proof.index), receipt["index"].as_u64());
        let checkpoint = proof.verify(&leaf, origin, std::slice::from_ref(&key)).unwrap();
        assert!(checkpoint.checkpoint.size > proof.index);
        let other = Hash([7; 32]);
        assert!(proof.verify(&other, origin, std::slice::from_ref(&key)).is_err());
    }
}

#[tokio::test]
async fn the_entries_that_are_served_hash_to_the_tile_that_is_served() {
    let world = World::new().await;
    let (_, reply) = json(&world, post(&world, "ann", "", &[], r#"[{"action":"one"},{"action":"two"}]"#)).await;
    let size = reply["tree_size"].as_u64().unwrap();
    let fetch = async |path: String| {
        let response = world.send(world.request("GET", &path, Some(&world.names["bob"]), "")).await;
        assert_eq!(response.status(), 200, "{path}");
        axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()
    };
    let log = &world.names["log"];
    let hashes = fetch(format!("/l/{log}/tile/0/000.p/{size}")).await;
    let bundle = fetch(format!("/l/{log}/tile/entries/000.p/{size}")).await;
    let width = u16::try_from(size).unwrap();
    let hashes = tile::decode_hashes(&hashes, width).unwrap();
    let entries = tile::decode_bundle(&bundle, width).unwrap();
    let from_entries: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    assert_eq!(from_entries, hashes);
}

#[tokio::test]
async fn what_was_handed_in_is_read_back_byte_for_byte() {
    let world = World::new().await;
    let event =
        "{ \"action\" : \"odd\",\t\"attributes\":{\"b\":1.50,\"a\":\"\\u0041\",\"n\":1e300,\"e\":\"\u{1f600}\"} }";
    let (status, receipt) = json(&world, post(&world, "sam", "", &[], event)).await;
    assert_eq!(status, 201, "{receipt}");
    let path = format!("/v1/orgs/{}/events/{}", world.names["org"], receipt["seq"]);
    let (_, body) = world.ask(world.request("GET", &path, Some(&world.names["bob"]), "")).await;
    assert!(body.contains(event), "{body}");
}

#[tokio::test]
async fn answers_are_packed_for_those_who_take_it() {
    let world = World::new().await;
    let mut request = world.request("GET", "/v1/openapi.json", None, "");
    request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let response = world.send(request).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
}
