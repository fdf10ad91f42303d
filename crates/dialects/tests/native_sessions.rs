//! Recorded sessions over HTTP: chunks and streams in, bytes and ranges out, in bounded memory.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use serde_json::{Value, json};
use support::World;

/// Most bytes of one chunk.
const CHUNK: usize = service::recordings::CHUNK_BYTES_MAX;

async fn call(world: &World, method: &str, path: &str, body: impl Into<Body>) -> (u16, Value) {
    let path = format!("/v1/orgs/{}/sessions{path}", world.names["org"]);
    let (status, reply) = world.ask(world.request(method, &path, Some(&world.names["ann"]), body)).await;
    (status, serde_json::from_str(&reply).unwrap_or(Value::String(reply)))
}

async fn start(world: &World, client_id: &str, user: &str) -> String {
    let new = json!({ "client_id": client_id, "recording": { "user": { "name": user }, "protocol": "ssh" } });
    let (status, session) = call(world, "POST", "", new.to_string()).await;
    assert_eq!(status, 201, "{session}");
    session["id"].as_str().unwrap().to_owned()
}

async fn read(world: &World, id: &str, range: Option<&str>) -> (StatusCode, HeaderMap, Bytes) {
    let path = format!("/v1/orgs/{}/sessions/{id}/recording", world.names["org"]);
    let mut request: Request<Body> = world.request("GET", &path, Some(&world.names["ann"]), "");
    if let Some(range) = range {
        request.headers_mut().insert(header::RANGE, range.parse().unwrap());
    }
    let (parts, body) = world.send(request).await.into_parts();
    (parts.status, parts.headers, axum::body::to_bytes(body, 256 << 20).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_started_sent_finished_listed_and_read() {
    let world = World::new().await;
    let id = start(&world, "one", "bob").await;
    let (status, chunk) = call(&world, "POST", &format!("/{id}/chunks?offset=0"), "first ").await;
    assert_eq!((status, &chunk["duplicate"], &chunk["length"]), (201, &json!(false), &json!(6)), "{chunk}");
    let (status, again) = call(&world, "POST", &format!("/{id}/chunks?offset=0"), "first ").await;
    assert_eq!((status, &again["duplicate"], &again["seq"]), (200, &json!(true), &chunk["seq"]), "{again}");
    let (status, problem) = call(&world, "POST", &format!("/{id}/chunks?offset=9"), "gap").await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("ends at 6"), "{problem}");
    let (status, _) = call(&world, "POST", &format!("/{id}/chunks?offset=6"), vec![7; CHUNK + 1]).await;
    assert_eq!(status, 413);
    let (status, done) = call(&world, "PUT", &format!("/{id}/recording?offset=6&finish=true"), "and last").await;
    assert_eq!((status, &done["bytes"], &done["chunks"]), (200, &json!(14), &json!(1)), "{done}");
    assert_eq!(done["session"]["ended"]["reason"], "finished", "{done}");
    let (status, again) = call(&world, "POST", &format!("/{id}/finish"), r#"{"bytes":14}"#).await;
    assert_eq!((status, &again), (200, &done["session"]));

    let (status, list) = call(&world, "GET", "?user=BOB&active=false&protocol=ssh&q=-actor:eve", "").await;
    assert_eq!((status, &list["sessions"], &list["next"]), (200, &json!([again]), &Value::Null), "{list}");
    for nobody in ["?user=eve", "?active=true", "?server=web1", "?from=2030-01-01T00:00:00Z"] {
        assert_eq!(call(&world, "GET", nobody, "").await.1["sessions"], json!([]), "{nobody}");
    }
    for wrong in ["?limit=0", "?limit=1001", "?after=x", "?q=(", "?active=yes", "?colour=red"] {
        assert_eq!(call(&world, "GET", wrong, "").await.0, 400, "{wrong}");
    }
    let (status, mut shown) = call(&world, "GET", &format!("/{id}"), "").await;
    let content = shown.as_object_mut().unwrap().remove("content").unwrap();
    assert_eq!((status, shown), (200, again));
    assert!(["pending", "indexed"].contains(&content["state"].as_str().unwrap()), "{content}");
    let (_, first) = call(&world, "GET", &format!("/{id}/chunks?limit=1"), "").await;
    let (_, second) = call(&world, "GET", &format!("/{id}/chunks?after={}", first["next"]), "").await;
    let offsets = [&first, &second].map(|page| page["chunks"][0]["offset"].clone());
    assert_eq!((offsets, &second["next"]), ([json!(0), json!(6)], &Value::Null));

    let (status, headers, bytes) = read(&world, &id, None).await;
    assert_eq!((status, &bytes[..]), (StatusCode::OK, &b"first and last"[..]));
    assert_eq!(
        (&headers["content-length"], &headers["accept-ranges"]),
        (&"14".parse().unwrap(), &"bytes".parse().unwrap())
    );
    for (range, expected, place) in [
        ("bytes=0-4", &b"first"[..], "bytes 0-4/14"),
        ("bytes=4-7", b"t an", "bytes 4-7/14"),
        ("bytes=-4", b"last", "bytes 10-13/14"),
        ("bytes=10-", b"last", "bytes 10-13/14"),
        ("bytes=10-99", b"last", "bytes 10-13/14"),
    ] {
        let (status, headers, bytes) = read(&world, &id, Some(range)).await;
        assert_eq!((status, &bytes[..]), (StatusCode::PARTIAL_CONTENT, expected), "{range}");
        assert_eq!(headers["content-range"], place, "{range}");
    }
    let (status, headers, _) = read(&world, &id, Some("bytes=14-")).await;
    assert_eq!(
        (status, &headers["content-range"]),
        (StatusCode::RANGE_NOT_SATISFIABLE, &"bytes */14".parse().unwrap())
    );
    assert_eq!(read(&world, &id, Some("bytes=1-2,4-5")).await.0, StatusCode::OK);
    assert_eq!(call(&world, "GET", "/0000000000000000000000", "").await.0, 404);
    assert_eq!(call(&world, "GET", "/no%20id", "").await.0, 404);
    world.service.shutdown().await;
}

/// What a client's bytes hold of the server's memory: counted when they are made and when they are dropped.
#[derive(Default)]
struct Held {
    now: AtomicU64,
    most: AtomicU64,
}

struct Piece {
    bytes: Vec<u8>,
    held: Arc<Held>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.held.now.fetch_sub(self.bytes.len() as u64, Ordering::SeqCst);
    }
}

/// Goal: an upload of any length holds a chunk or so. Method: the body makes its pieces when they are asked for and counts
/// those that are alive; the answer of a read is dropped piece by piece.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_upload_and_its_download_hold_no_more_than_a_few_chunks() {
    const PIECE: usize = 1 << 20;
    const PIECES: u64 = 100;
    let world = World::new().await;
    let id = start(&world, "long", "bob").await;
    let held = Arc::new(Held::default());
    let pieces = {
        let held = Arc::clone(&held);
        futures::stream::iter((0..PIECES).map(move |n| {
            let now = held.now.fetch_add(PIECE as u64, Ordering::SeqCst) + PIECE as u64;
            held.most.fetch_max(now, Ordering::SeqCst);
            let bytes = (0..PIECE).map(|at| (at as u64 * 31 + n) as u8).collect();
            Ok::<_, Infallible>(Bytes::from_owner(Piece { bytes, held: Arc::clone(&held) }))
        }))
    };
    let (status, done) = call(&world, "PUT", &format!("/{id}/recording?finish=true"), Body::from_stream(pieces)).await;
    assert_eq!((status, &done["bytes"]), (200, &json!(PIECES * PIECE as u64)), "{done}");
    assert_eq!(done["chunks"], json!((PIECES * PIECE as u64).div_ceil(CHUNK as u64)));
    let most = held.most.load(Ordering::SeqCst);
    assert!(most <= 2 * PIECE as u64, "{most} bytes of the body were alive at once");
    assert_eq!(held.now.load(Ordering::SeqCst), 0);
    // One byte out of the middle costs one chunk.
    let (status, _, byte) = read(&world, &id, Some("bytes=52428801-52428801")).await;
    assert_eq!((status, &byte[..]), (StatusCode::PARTIAL_CONTENT, &[(31 + 50) as u8][..]));
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_taken_up_where_it_ended() {
    let world = World::new().await;
    let id = start(&world, "broken", "bob").await;
    let all: Vec<u8> = (0..CHUNK * 2 + 1000).map(|at| (at * 7) as u8).collect();
    let broken = {
        let first = Bytes::copy_from_slice(&all[..CHUNK + 500]);
        let pieces = [Ok(first), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
        Body::from_stream(futures::stream::iter(pieces))
    };
    let (status, problem) = call(&world, "PUT", &format!("/{id}/recording?finish=true"), broken).await;
    assert_eq!(status, 400, "{problem}");
    let new = json!({ "client_id": "broken", "recording": { "user": { "name": "bob" }, "protocol": "ssh" } });
    let (status, session) = call(&world, "POST", "", new.to_string()).await;
    assert_eq!((status, &session["bytes"], &session["active"]), (200, &json!(CHUNK), &json!(true)), "{session}");
    // From the beginning again: what is there is not taken twice.
    let (status, done) = call(&world, "PUT", &format!("/{id}/recording?finish=true"), all.clone()).await;
    assert_eq!((status, &done["chunks"], &done["duplicates"]), (200, &json!(2), &json!(1)), "{done}");
    assert_eq!(read(&world, &id, None).await.2, all);
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_recording_breaks_off_instead_of_ending() {
    let world = World::new().await;
    let id = start(&world, "one", "bob").await;
    for at in 0..2 {
        let path = format!("/{id}/chunks?offset={}", at * 4);
        assert_eq!(call(&world, "POST", &path, format!("{at}xyz")).await.0, 201);
    }
    let (_, chunks) = call(&world, "GET", &format!("/{id}/chunks"), "").await;
    let name = chunks["chunks"][1]["sha256"].as_str().unwrap();
    let file = find(&world.folder.path().join("data/blobs"), name).unwrap();
    std::fs::write(file, "1xyZ").unwrap();
    let path = format!("/v1/orgs/{}/sessions/{id}/recording", world.names["org"]);
    let response = world.send(world.request("GET", &path, Some(&world.names["ann"]), "")).await;
    assert_eq!(response.status(), 200);
    assert!(axum::body::to_bytes(response.into_body(), 100).await.is_err(), "it must not look whole");
    assert_eq!(read(&world, &id, Some("bytes=0-3")).await.2, &b"0xyz"[..]);
    world.service.shutdown().await;
}

fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) }
    })
}
