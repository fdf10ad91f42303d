//! Recordings: what was acknowledged is there and in the log, once, whatever happens; what is damaged is named.

#[path = "../../log/tests/common/folder.rs"]
mod folder;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use service::recordings::{
    ContentSearch, EndReason, Endpoint, Finish, IndexState, Moment, NewSession, Playback, PlaybackWhat, Session,
    SessionInfo, SessionPage, SessionQuery, SessionUser, filter,
};
use service::search::Query;
use service::search::content::ContentQuery;
use service::{ErrorKind, OrgId, Principal, PruneTo, Role, Service, SessionId};
use support::{World, actions, attribute, config};

fn info(user: &str, server: &str) -> SessionInfo {
    SessionInfo {
        user: SessionUser { name: Some(user.into()), ..SessionUser::default() },
        client: Endpoint { address: Some("198.51.100.7".into()), ..Endpoint::default() },
        server: Endpoint { name: Some(server.into()), port: Some(22), ..Endpoint::default() },
        protocol: Some("ssh".into()),
        ..SessionInfo::default()
    }
}

fn new(client_id: &str, info: SessionInfo) -> NewSession {
    NewSession { client_id: Some(client_id.into()), info }
}

async fn start(world: &World, who: &Principal, client_id: &str) -> SessionId {
    world.service.start_session(who, world.org(), new(client_id, info("bob", "web1"))).await.unwrap().0.id
}

async fn append(world: &World, who: &Principal, session: SessionId, offset: u64, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    world.service.append_chunk(who, world.org(), session, offset, bytes).await.unwrap();
}

async fn read(
    service: &Service,
    who: &Principal,
    org: OrgId,
    id: SessionId,
    range: Option<(u64, u64)>,
) -> service::Result<Vec<u8>> {
    let mut reader = service.read_recording(who, org, id, range.map(|(from, to)| from..to)).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn page(world: &World, who: &Principal, filter: &str, limit: usize, after: Option<SessionPage>) -> SessionPage {
    let filter = service::search::parse::parse(filter).unwrap();
    let query = SessionQuery { filter, after: after.and_then(|page| page.next), limit };
    world.service.sessions(who, world.org(), &query, &|_| true).unwrap()
}

fn list(world: &World, who: &Principal, filter: &str) -> Vec<Session> {
    page(world, who, filter, 1_000, None).sessions
}

fn kind<T>(result: service::Result<T>) -> ErrorKind {
    result.err().expect("it is refused").kind
}

/// The files of chunks below the data folder.
fn blobs(world: &World) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&world.folder.path().join("data/blobs"), &mut found);
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_reads_back_and_is_in_the_log() {
    let (world, admin) = world().await;
    let id = start(&world, &admin, "one").await;
    append(&world, &admin, id, 0, b"first ").await;
    append(&world, &admin, id, 6, b"second ").await;
    assert_eq!(
        read(&world.service, &admin, world.org(), id, None).await.unwrap(),
        b"first second ",
        "while it is open"
    );

    // Closed and opened again in the middle: it goes on where it was.
    let world = world.reopen(|_| {}).await;
    append(&world, &admin, id, 13, b"third").await;
    let finish = Finish { exit: Some(3), bytes: Some(18), ..Finish::default() };
    let ended = world.service.finish_session(&admin, world.org(), id, finish).await.unwrap();
    assert_eq!((ended.bytes, ended.chunks), (18, 3));
    let how = ended.ended.clone().unwrap();
    assert_eq!((how.reason, how.exit), (EndReason::Finished, Some(3)));
    let hashes: Vec<[u8; 32]> = [&b"first "[..], b"second ", b"third"].iter().map(|bytes| sha256(bytes)).collect();
    assert_eq!(how.chunks_sha256, sha256(&hashes.concat()));

    let world = world.reopen(|_| {}).await;
    assert_eq!(read(&world.service, &admin, world.org(), id, None).await.unwrap(), b"first second third");
    assert_eq!(world.service.session(&admin, world.org(), id).unwrap(), ended);
    world.service.settle().await;
    let events = world.all(&admin, world.org(), &format!("session:{id} -action:session.downloaded"));
    let chunk = "session.chunk";
    assert_eq!(actions(&events), ["session.started", chunk, chunk, chunk, "session.finished", "session.scored"]);
    assert_eq!(attribute(&events[2], "sha256").unwrap(), hex::encode(hashes[1]));
    let chunks = world.service.session_chunks(&admin, world.org(), id, None, 10).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.sha256).collect::<Vec<_>>(), hashes);
    assert_eq!(chunks.iter().map(|chunk| chunk.number).collect::<Vec<_>>(), support::numbers(&events[1..4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_answers_the_same_and_something_else_does_not() {
    let (world, admin) = world().await;
    let service = &world.service;
    let id = start(&world, &admin, "one").await;
    let (again, duplicate) = service.start_session(&admin, world.org(), new("one", info("bob", "web1"))).await.unwrap();
    assert_eq!((again.id, duplicate), (id, true));
    let other = service.start_session(&admin, world.org(), new("one", info("eve", "web1"))).await;
    assert_eq!(kind(other), ErrorKind::Conflict);
    assert_ne!(start(&world, &admin, "ONE").await, id, "case counts in ids");

    let put =
        |offset, bytes: &'static [u8]| service.append_chunk(&admin, world.org(), id, offset, Bytes::from_static(bytes));
    let first = put(0, b"abc").await.unwrap();
    assert!(!first.duplicate);
    let again = put(0, b"abc").await.unwrap();
    assert!(again.duplicate);
    assert_eq!((again.number, again.sha256, again.end()), (first.number, first.sha256, 3));
    for (offset, bytes) in [(0, &b"abd"[..]), (0, b"ab"), (1, b"bc"), (4, b"gap")] {
        assert_eq!(kind(put(offset, bytes).await), ErrorKind::Conflict, "{offset}");
    }
    assert_eq!(kind(put(3, b"").await), ErrorKind::Invalid);
    let long = Bytes::from(vec![0; service::recordings::CHUNK_BYTES_MAX + 1]);
    assert_eq!(kind(service.append_chunk(&admin, world.org(), id, 3, long).await), ErrorKind::TooLarge);

    let finish = |bytes| service.finish_session(&admin, world.org(), id, Finish { bytes, ..Finish::default() });
    assert_eq!(kind(finish(Some(4)).await), ErrorKind::Conflict);
    let ended = finish(Some(3)).await.unwrap();
    assert_eq!(finish(None).await.unwrap(), ended);
    assert_eq!(finish(Some(3)).await.unwrap(), ended);
    let aborted = Finish { aborted: true, ..Finish::default() };
    assert_eq!(kind(service.finish_session(&admin, world.org(), id, aborted).await), ErrorKind::Conflict);
    assert!(put(0, b"abc").await.unwrap().duplicate, "its recorder may have missed the answer");
    assert_eq!(kind(put(3, b"more").await), ErrorKind::Conflict);
    let (again, duplicate) = service.start_session(&admin, world.org(), new("one", info("bob", "web1"))).await.unwrap();
    assert_eq!((again, duplicate), (ended, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_a_chunk_is_named_and_the_others_are_given() {
    let (world, admin) = world().await;
    let id = start(&world, &admin, "one").await;
    for at in 0..3 {
        append(&world, &admin, id, at * 4, format!("{at}xyz").as_bytes()).await;
    }
    let chunks = world.service.session_chunks(&admin, world.org(), id, None, 10).unwrap();
    let file = |at: usize| {
        let name = hex::encode(chunks[at].sha256);
        blobs(&world).into_iter().find(|path| path.ends_with(&name)).unwrap()
    };
    let (path, whole) = (file(1), std::fs::read(file(1)).unwrap());
    let mut flipped = whole.clone();
    flipped[2] ^= 1;
    let longer = [&whole[..], b"!"].concat();
    for damage in [&flipped[..], &longer, &whole[..2], b""] {
        std::fs::write(&path, damage).unwrap();
        let error = read(&world.service, &admin, world.org(), id, None).await.unwrap_err();
        assert_eq!((error.kind, error.message.contains("chunk_changed")), (ErrorKind::Corrupt, true), "{error:?}");
        assert_eq!(read(&world.service, &admin, world.org(), id, Some((0, 4))).await.unwrap(), b"0xyz");
        assert_eq!(read(&world.service, &admin, world.org(), id, Some((9, 12))).await.unwrap(), b"xyz");
    }
    std::fs::remove_file(&path).unwrap();
    let error = read(&world.service, &admin, world.org(), id, Some((5, 6))).await.unwrap_err();
    assert_eq!((error.kind, error.message.contains("chunk_missing")), (ErrorKind::Corrupt, true), "{error:?}");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(read(&world.service, &admin, world.org(), id, Some((3, 9))).await.unwrap(), b"z1xyz2");
    assert_eq!(
        read(&world.service, &admin, world.org(), id, Some((11, 99))).await.unwrap(),
        b"z",
        "cut to what is there"
    );
    assert_eq!(kind(read(&world.service, &admin, world.org(), id, Some((12, 13))).await), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_finishes_ends_by_itself_also_after_a_restart() {
    let (world, admin) = world().await;
    let (quiet, busy) = (start(&world, &admin, "quiet").await, start(&world, &admin, "busy").await);
    let hour = Duration::from_secs(3_600).as_micros() as u64;
    world.clock.advance(20 * hour);
    append(&world, &admin, busy, 0, b"still here").await;
    world.clock.advance(4 * hour);
    let world = world.reopen(|_| {}).await;
    world.service.settle().await;
    let ended = world.service.session(&admin, world.org(), quiet).unwrap();
    let how = ended.ended.clone().unwrap();
    assert_eq!((how.reason, how.at), (EndReason::Timeout, ended.started_at), "it ended when something came last");
    assert!(world.service.session(&admin, world.org(), busy).unwrap().is_active());
    assert_eq!(
        kind(world.service.finish_session(&admin, world.org(), quiet, Finish::default()).await),
        ErrorKind::Conflict
    );
    world.clock.advance(20 * hour);
    world.service.settle().await;
    let ended = world.service.session(&admin, world.org(), busy).unwrap();
    assert_eq!((ended.bytes, ended.ended.unwrap().reason), (10, EndReason::Timeout));
    let events = world.all(&admin, world.org(), &format!("session:{busy} action:session.finished"));
    assert_eq!(attribute(&events[0], "reason").as_deref(), Some("timeout"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_records_does_not_view_and_who_views_does_not_record() {
    let (world, admin) = world().await;
    let org = world.org();
    let (_, _, sender) = world.account(org, "rec@example.com", &[Role::Sender]).await;
    let (_, _, other) = world.account(org, "rec2@example.com", &[Role::Sender]).await;
    let (_, _, auditor) = world.account(org, "aud@example.com", &[Role::Auditor]).await;
    let below = world.service.create_org(&admin, org, "EU").await.unwrap().id;
    let (_, _, foreign) = world.account(below, "eu@example.com", &[Role::Admin]).await;
    let service = &world.service;

    let id = start(&world, &sender, "one").await;
    append(&world, &sender, id, 0, b"secret").await;
    assert_eq!(kind(service.session(&sender, org, id)), ErrorKind::Forbidden);
    assert_eq!(kind(read(service, &sender, org, id, None).await), ErrorKind::Forbidden);
    assert_eq!(read(service, &auditor, org, id, None).await.unwrap(), b"secret");
    assert_eq!(kind(service.start_session(&auditor, org, NewSession::default()).await), ErrorKind::Forbidden);
    // Another sender of the same organisation can neither add to it nor end it.
    let bytes = Bytes::from_static(b"forged");
    assert_eq!(kind(service.append_chunk(&other, org, id, 6, bytes.clone()).await), ErrorKind::Forbidden);
    assert_eq!(kind(service.finish_session(&other, org, id, Finish::default()).await), ErrorKind::Forbidden);
    // In another organisation it does not exist, whoever asks, and whichever organisation is named.
    for who in [&foreign, &admin] {
        assert_eq!(kind(service.session(who, below, id)), ErrorKind::NotFound);
        assert_eq!(kind(read(service, who, below, id, None).await), ErrorKind::NotFound);
        assert_eq!(kind(service.append_chunk(who, below, id, 6, bytes.clone()).await), ErrorKind::NotFound);
    }
    assert_eq!(kind(service.session(&foreign, org, id)), ErrorKind::NotFound);
    let all = SessionQuery { filter: Query::All, after: None, limit: 10 };
    assert!(service.sessions(&foreign, below, &all, &|_| true).unwrap().sessions.is_empty());
    service.finish_session(&admin, org, id, Finish::default()).await.unwrap();
    // Nobody can hand in an event that makes a session.
    let forged = format!(
        r#"{{"kind":"session","action":"session.finished","session":"{}","attributes":{{"reason":"finished"}}}}"#,
        SessionId::new(1, [7; 8])
    );
    world.send(&sender, org, &[&forged]).await;
    let world = world.reopen(|data| std::fs::remove_dir_all(data.join("state")).unwrap()).await;
    assert_eq!(list(&world, &auditor, "").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_with_an_active_key_takes_no_recordings() {
    /// Of `specs/vectors/seccure.json`, `url-record`.
    const KEY: &str = "+_H}sR>M>P;S15aqNpzx?Qv>H9D*%,/-{Fb}euo4";
    let (world, admin) = world().await;
    let id = start(&world, &admin, "one").await;
    append(&world, &admin, id, 0, b"in clear").await;
    world.service.add_key(&admin, world.org(), "k", KEY).await.unwrap();
    world.service.activate_key(&admin, world.org(), "k").await.unwrap();
    let ended = world.service.session(&admin, world.org(), id).unwrap();
    assert_eq!(ended.ended.unwrap().reason, EndReason::Closed, "it ended before the switch");
    let refused = world.service.start_session(&admin, world.org(), new("two", info("bob", "web1"))).await;
    let error = refused.unwrap_err();
    assert_eq!((error.kind, error.message.contains("encrypted")), (ErrorKind::Conflict, true), "{error:?}");
    world.service.retire_key(&admin, world.org(), "k", true).await.unwrap();
    start(&world, &admin, "two").await;
    let world = world.reopen(|data| std::fs::remove_dir_all(data.join("state")).unwrap()).await;
    assert_eq!(list(&world, &admin, "").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_look_at_a_recording_is_in_the_trail() {
    let (world, admin) = world().await;
    let (_, _, auditor) = world.account(world.org(), "aud@example.com", &[Role::Auditor]).await;
    let id = start(&world, &admin, "one").await;
    append(&world, &admin, id, 0, b"0123456789").await;
    for _ in 0..2 {
        read(&world.service, &auditor, world.org(), id, None).await.unwrap();
    }
    for from in 0..5 {
        read(&world.service, &auditor, world.org(), id, Some((from, 10))).await.unwrap();
    }
    let accesses =
        |world: &World| world.service.session_accesses(&auditor, world.org(), id, "session.downloaded", 100).unwrap();
    let seen = accesses(&world);
    assert_eq!(seen.len(), 3, "two of the whole, and the first of the ranges at once");
    for access in &seen {
        assert_eq!(access.name.as_deref(), Some("aud@example.com"));
        assert_eq!(access.address.as_deref(), Some("203.0.113.2"));
        assert_eq!(access.account, Some(auditor.account));
    }
    world.clock.advance(61_000_000);
    world.service.settle().await;
    assert_eq!(accesses(&world).iter().map(|access| access.count).sum::<u64>(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_found_by_what_is_known_of_them() {
    let (world, admin) = world().await;
    let rich = SessionInfo {
        user: SessionUser {
            gateway_name: Some("Alice".into()),
            server_names: vec!["root".into(), "oracle".into()],
            ..SessionUser::default()
        },
        started_at: Some("2026-01-02T03:04:05Z".into()),
        command: Some("sudo systemctl restart nginx".into()),
        vault: serde_json::from_str(r#"{"request":{"id":"R-77"}}"#).unwrap(),
        ..info("alice.real", "db1")
    };
    let (one, _) = world.service.start_session(&admin, world.org(), new("rich", rich.clone())).await.unwrap();
    let two = start(&world, &admin, "plain").await;
    world.service.finish_session(&admin, world.org(), two, Finish::default()).await.unwrap();
    let check = |world: &World, filter: &str, expected: &[SessionId]| {
        let found: Vec<SessionId> = list(world, &admin, filter).into_iter().map(|session| session.id).collect();
        assert_eq!(found, expected, "{filter}");
        let query = service::search::parse::parse(filter).unwrap();
        let count = world.service.count_sessions(&admin, world.org(), &query, 100).unwrap();
        assert_eq!(count, expected.len() as u64, "{filter}");
    };
    // What is not in the index yet, what is, and an index made anew give the same answers.
    let mut world = world;
    for round in 0..3 {
        check(&world, "", &[two, one.id]);
        check(&world, "actor:alice", &[one.id]);
        check(&world, "actor:ORACLE", &[one.id]);
        check(&world, "tag:\"user:alice\"", &[one.id]);
        check(&world, "tag:\"user.name:bob\"", &[two]);
        check(&world, "tag:\"server.port:22\" source:198.51.100.7", &[two, one.id]);
        check(&world, "target:db1", &[one.id]);
        check(&world, "systemctl", &[one.id]);
        check(&world, "tag:\"vault.request.id:r-77\"", &[one.id]);
        check(&world, "tag:\"active:true\"", &[one.id]);
        check(&world, "tag:\"active:false\"", &[two]);
        check(&world, "tag:\"reason:finished\"", &[two]);
        check(&world, "-tag:\"protocol:ssh\"", &[]);
        let ends = world.service.count_sessions(&admin, world.org(), &filter::ended_until(1_767_999_999_000_000), 9);
        assert_eq!(ends.unwrap(), 1, "an open session fails only if it started later");
        world = world
            .reopen(|data| {
                if round == 1 {
                    std::fs::remove_dir_all(data.join("state/sessions")).unwrap();
                }
            })
            .await;
    }
    assert_eq!(world.service.session(&admin, world.org(), one.id).unwrap().info, rich);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let (world, admin) = world().await;
    // Many of them start at one moment: pages must not stick to it.
    let mut expected = Vec::new();
    for n in 0..60 {
        if n % 20 == 0 {
            world.clock.advance(1_000_000);
        }
        expected.push(start(&world, &admin, &format!("s{n}")).await);
    }
    expected.reverse();
    let world = world.reopen(|_| {}).await;
    for limit in [1, 7, 60, 1_000] {
        let (mut found, mut last) = (Vec::new(), None);
        // Bounded: a page that does not move on would otherwise be read for ever.
        for _ in 0..=60 {
            let page = page(&world, &admin, "", limit, last.take());
            assert!(page.sessions.len() <= limit);
            found.extend(page.sessions.iter().map(|session| session.id));
            if page.next.is_none() {
                break;
            }
            last = Some(page);
        }
        assert_eq!(found, expected, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_entry_names_is_swept_and_nothing_else_is() {
    let (world, admin) = world().await;
    let (id, open) = (start(&world, &admin, "one").await, start(&world, &admin, "two").await);
    append(&world, &admin, id, 0, b"kept").await;
    append(&world, &admin, open, 0, b"kept too").await;
    world.service.finish_session(&admin, world.org(), id, Finish::default()).await.unwrap();
    let kept = blobs(&world);
    assert_eq!(kept.len(), 2);
    // As a crash leaves them: a chunk whose entry never came, a half-written one, a session that nobody knows.
    let folder = kept.iter().find(|path| path.to_string_lossy().contains(&id.to_string())).unwrap().parent().unwrap();
    std::fs::write(folder.join("00".repeat(32)), b"never logged").unwrap();
    std::fs::write(folder.join(format!("{}#1", "11".repeat(32))), b"half").unwrap();
    let unknown = folder.parent().unwrap().join(SessionId::new(1, [7; 8]).to_string());
    std::fs::create_dir(&unknown).unwrap();
    std::fs::write(unknown.join("22".repeat(32)), b"of nobody").unwrap();
    let swept = world.service.sweep_recordings().await.unwrap();
    assert_eq!((swept.sessions, swept.removed), (3, 2));
    assert_eq!(blobs(&world), kept);
    assert_eq!(read(&world.service, &admin, world.org(), open, None).await.unwrap(), b"kept too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_leaves_store_and_catalogue() {
    let (world, admin) = world().await;
    let id = start(&world, &admin, "one").await;
    append(&world, &admin, id, 0, b"harmless").await;
    append(&world, &admin, id, 8, b"personal").await;
    let chunk = world.service.session_chunks(&admin, world.org(), id, None, 10).unwrap().pop().unwrap();
    let order = service::ErasureOrder { numbers: vec![chunk.number], ground: "g".into(), ordered_by: "o".into() };
    let refused = world.service.erase_events(&admin, world.org(), order.clone()).await;
    assert_eq!(kind(refused), ErrorKind::Conflict, "it is open");
    world.service.finish_session(&admin, world.org(), id, Finish::default()).await.unwrap();
    world.service.erase_events(&admin, world.org(), order).await.unwrap();
    assert_eq!(blobs(&world).len(), 1);
    let mut world = world;
    for _ in 0..2 {
        assert_eq!(read(&world.service, &admin, world.org(), id, Some((0, 8))).await.unwrap(), b"harmless");
        let error = read(&world.service, &admin, world.org(), id, None).await.unwrap_err();
        assert_eq!((error.kind, error.message.contains("erased")), (ErrorKind::NotFound, true), "{error:?}");
        world = world.reopen(|data| std::fs::remove_dir_all(data.join("state")).unwrap()).await;
    }
}

/// A recording of two chunks, each with a word of its own, that is over and indexed.
async fn shown(world: &World, admin: &Principal, client_id: &str) -> SessionId {
    let id = start(world, admin, client_id).await;
    let parts = [
        "{\"version\":2,\"width\":40,\"height\":4}\n[0.5,\"o\",\"harmless\\r\\n\"]\n",
        "[1.5,\"o\",\"personal\\r\\n\"]\n",
    ];
    append(world, admin, id, 0, parts[0].as_bytes()).await;
    append(world, admin, id, parts[0].len() as u64, parts[1].as_bytes()).await;
    let session = world.service.finish_session(admin, world.org(), id, Finish::default()).await.unwrap();
    world.service.ensure_indexed(&session).await.unwrap();
    id
}

/// How many texts of a session hold a word.
async fn hits(world: &World, who: &Principal, id: SessionId, word: &str) -> service::Result<u64> {
    let query = ContentQuery::Term { field: "text".into(), term: word.into() };
    let search = ContentSearch { query, places: 0..10, what: word.into() };
    let found = world.service.search_content(who, world.org(), id, search).await?;
    assert_eq!(found.total as usize, found.hits.len());
    Ok(found.total)
}

/// The projections of sessions below the data folder.
fn projections(world: &World) -> Vec<PathBuf> {
    let logs = std::fs::read_dir(world.folder.path().join("data/sessions")).into_iter().flatten();
    logs.flat_map(|log| std::fs::read_dir(log.unwrap().path()).unwrap()).map(|entry| entry.unwrap().path()).collect()
}

/// Goal: what was erased is found and shown no more, also when the machine dies between the erasure and what follows from
/// it. Method: the projection as it was before is put back afterwards, as such a crash would leave it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_is_not_found_and_not_shown_any_more() {
    let (world, admin) = world().await;
    let id = shown(&world, &admin, "one").await;
    let text = async |world: &World| {
        let end = world.service.session_screen(&admin, world.org(), id, Moment::At(u64::MAX)).await.unwrap().unwrap();
        end.screen.rows_text().join("|")
    };
    assert_eq!(hits(&world, &admin, id, "personal").await.unwrap(), 1);
    assert_eq!(text(&world).await, "harmless|personal||");
    let before = world.service.session_picture(&admin, world.org(), id, Moment::At(u64::MAX)).await.unwrap().unwrap();
    let [projection] = &projections(&world)[..] else { panic!("one session, one projection") };
    let aside = world.folder.path().join("aside");
    let copy = |from: &Path, to: &Path| {
        assert!(std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
    };
    copy(projection, &aside);

    let chunk = world.service.session_chunks(&admin, world.org(), id, None, 10).unwrap().pop().unwrap();
    let order = service::ErasureOrder { numbers: vec![chunk.number], ground: "g".into(), ordered_by: "o".into() };
    world.service.erase_events(&admin, world.org(), order).await.unwrap();
    assert_eq!(projections(&world), Vec::<PathBuf>::new(), "it leaves the disk at once");
    let mut world = world;
    for put_back in [false, true] {
        assert_eq!(hits(&world, &admin, id, "personal").await.unwrap(), 0, "{put_back}");
        assert_eq!(hits(&world, &admin, id, "harmless").await.unwrap(), 1, "{put_back}");
        assert_eq!(text(&world).await, "harmless|||", "{put_back}");
        let now = world.service.session_picture(&admin, world.org(), id, Moment::At(u64::MAX)).await.unwrap().unwrap();
        assert_ne!(now.png, before.png, "{put_back}");
        let session = world.service.session(&admin, world.org(), id).unwrap();
        let state = world.service.session_index(&session).unwrap();
        let IndexState::Indexed(summary) = state else { panic!("{state:?}") };
        let damage = summary.damage.unwrap();
        assert!(damage.contains("unreadable") && damage.contains("erased"), "{damage}");
        let projection = projection.clone();
        world = world
            .reopen(|_| {
                std::fs::remove_dir_all(&projection).unwrap();
                copy(&aside, &projection);
            })
            .await;
    }
    // What is put back is swept even if nobody asks for it.
    let session = world.service.session(&admin, world.org(), id).unwrap();
    assert_eq!(world.service.session_index(&session).unwrap(), IndexState::Pending);
    world.service.sweep_recordings().await.unwrap();
    assert_eq!(projections(&world), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pruned_takes_recordings_and_all_that_was_made_of_them_with_it() {
    let (world, admin) = world().await;
    let old = shown(&world, &admin, "old").await;
    for _ in 0..6 {
        let events: Vec<&str> = vec![r#"{"action":"ordinary"}"#; 50];
        world.send(&admin, world.org(), &events).await;
    }
    let young = shown(&world, &admin, "young").await;
    assert_eq!((projections(&world).len(), blobs(&world).len()), (2, 4));
    let done = world.service.prune_events(&admin, world.org(), PruneTo::Number(300), "kept for a year").await.unwrap();
    assert_eq!(done.minimum_index, 256);
    assert_eq!((projections(&world).len(), blobs(&world).len()), (1, 2));
    let mut world = world;
    for _ in 0..2 {
        assert_eq!(kind(world.service.session(&admin, world.org(), old)), ErrorKind::NotFound);
        assert_eq!(kind(hits(&world, &admin, old, "personal").await), ErrorKind::NotFound);
        assert_eq!(kind(read(&world.service, &admin, world.org(), old, None).await), ErrorKind::NotFound);
        assert_eq!(list(&world, &admin, "").iter().map(|session| session.id).collect::<Vec<_>>(), [young]);
        assert_eq!(hits(&world, &admin, young, "personal").await.unwrap(), 1);
        world = world.reopen(|data| std::fs::remove_dir_all(data.join("state")).unwrap()).await;
    }
}

/// What the local folder has of its own (syncing, sweeping of half-written files) must not be needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_objects_that_is_no_folder_does_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(log::ManualClock::new(support::START_US));
    let made = Service::init(&config(&folder, &clock, 1), support::init()).unwrap();
    let store = std::sync::Arc::new(service::object_store::memory::InMemory::new());
    let open = |seed: u64| {
        let mut config = config(&folder, &clock, seed);
        config.recordings.store = service::BlobStore::Objects(std::sync::Arc::clone(&store) as _);
        Service::open(config).unwrap()
    };
    let world = World { service: open(2), folder, clock: std::sync::Arc::clone(&clock), made };
    let admin = world.admin().await;
    let id = shown(&world, &admin, "one").await;
    assert_eq!(hits(&world, &admin, id, "personal").await.unwrap(), 1);
    let chunk = world.service.session_chunks(&admin, world.org(), id, None, 10).unwrap().pop().unwrap();
    let order = service::ErasureOrder { numbers: vec![chunk.number], ground: "g".into(), ordered_by: "o".into() };
    world.service.erase_events(&admin, world.org(), order).await.unwrap();
    assert_eq!(hits(&world, &admin, id, "personal").await.unwrap(), 0);
    assert!(blobs(&world).is_empty(), "nothing lies in the data folder");
    let swept = world.service.sweep_recordings().await.unwrap();
    assert_eq!((swept.sessions, swept.removed), (1, 0), "the erasure removed the chunk");
    assert!(read(&world.service, &admin, world.org(), id, Some((0, 8))).await.is_ok(), "and nothing else");
}

/// A store that takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_in_the_log_only_after_its_chunk_is_in_the_store() {
    let (world, admin) = world().await;
    let id = start(&world, &admin, "one").await;
    append(&world, &admin, id, 0, b"there").await;
    // Where the folder of the session should be is a file that nothing can be written under.
    let folder = blobs(&world)[0].parent().unwrap().to_owned();
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, b"in the way").unwrap();
    let before = world.service.head(&admin, world.org()).unwrap().size;
    let put = || world.service.append_chunk(&admin, world.org(), id, 5, Bytes::from_static(b" more"));
    assert_eq!(kind(put().await), ErrorKind::Unavailable);
    assert_eq!(world.service.head(&admin, world.org()).unwrap().size, before);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    put().await.unwrap();
    assert_eq!(read(&world.service, &admin, world.org(), id, None).await.unwrap(), b"there more");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(log::ManualClock::new(support::START_US));
    let made = Service::init(&config(&folder, &clock, 1), support::init()).unwrap();
    let mut config = config(&folder, &clock, 2);
    config.recordings.recording_bytes_max = 10;
    config.recordings.open_sessions_max = 1;
    let world = World { service: Service::open(config).unwrap(), folder, clock, made };
    let admin = world.admin().await;
    let id = start(&world, &admin, "one").await;
    let second = world.service.start_session(&admin, world.org(), NewSession::default()).await;
    assert_eq!(kind(second), ErrorKind::Overloaded);
    append(&world, &admin, id, 0, b"0123456789").await;
    let more = world.service.append_chunk(&admin, world.org(), id, 10, Bytes::from_static(b"x")).await;
    assert_eq!(kind(more), ErrorKind::TooLarge);
    world.service.finish_session(&admin, world.org(), id, Finish::default()).await.unwrap();
    start(&world, &admin, "two").await;
}

#[derive(Clone, Debug)]
enum Step {
    Start(u8),
    Append(u8, Vec<u8>),
    Finish(u8),
    Reopen,
    /// Without a goodbye: the catalogue is as its last commit left it.
    Crash,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u8..5).prop_map(Step::Start),
        6 => (0u8..5, prop::collection::vec(any::<u8>(), 1..200)).prop_map(|(of, bytes)| Step::Append(of, bytes)),
        1 => (0u8..5).prop_map(Step::Finish),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        1 => Just(Step::Forget),
    ]
}

/// Goal: after any history everything acknowledged is there, once, in order, and the catalogue says so. Method: a model
/// (client's id → bytes, over or not) beside the service; a crash is a copy of the folder taken while the service runs.
#[test]
fn any_history_of_recordings_reads_back_after_crashes() {
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runner
        .run(&prop::collection::vec(step(), 1..25), |steps| {
            runtime.block_on(async {
                let (mut world, admin) = world().await;
                let mut model: BTreeMap<u8, (SessionId, Vec<u8>, bool)> = BTreeMap::new();
                for step in steps {
                    // Each service that is opened draws the same numbers: only the time tells its ids from those before.
                    world.clock.advance(1_000);
                    match step {
                        Step::Start(of) => {
                            let id = start(&world, &admin, &of.to_string()).await;
                            let there = model.entry(of).or_insert((id, Vec::new(), false));
                            assert_eq!(there.0, id);
                        }
                        Step::Append(of, bytes) => {
                            let Some((id, sent, over)) = model.get_mut(&of) else { continue };
                            let put = world.service.append_chunk(
                                &admin,
                                world.org(),
                                *id,
                                sent.len() as u64,
                                Bytes::from(bytes.clone()),
                            );
                            assert_eq!(put.await.is_ok(), !*over);
                            if !*over {
                                sent.extend(bytes);
                            }
                        }
                        Step::Finish(of) => {
                            let Some((id, _, over)) = model.get_mut(&of) else { continue };
                            world.service.finish_session(&admin, world.org(), *id, Finish::default()).await.unwrap();
                            *over = true;
                        }
                        Step::Reopen => world = world.reopen(|_| {}).await,
                        Step::Forget => {
                            world = world.reopen(|data| std::fs::remove_dir_all(data.join("state")).unwrap()).await;
                        }
                        Step::Crash => world = crashed(world).await,
                    }
                }
                for (id, sent, over) in model.values() {
                    assert_eq!(&read(&world.service, &admin, world.org(), *id, None).await.unwrap(), sent);
                    let session = world.service.session(&admin, world.org(), *id).unwrap();
                    assert_eq!((session.bytes, session.is_active()), (sent.len() as u64, !*over));
                    let (from, to) = (sent.len() as u64 / 3, sent.len() as u64 * 2 / 3);
                    if from < to {
                        let part = read(&world.service, &admin, world.org(), *id, Some((from, to))).await.unwrap();
                        assert_eq!(part, sent[from as usize..to as usize]);
                    }
                }
                let mut known: Vec<SessionId> = list(&world, &admin, "").iter().map(|session| session.id).collect();
                known.sort();
                let mut expected: Vec<SessionId> = model.values().map(|(id, ..)| *id).collect();
                expected.sort();
                assert_eq!(known, expected);
                world.service.shutdown().await;
            });
            Ok(())
        })
        .unwrap();
}

/// The world as a power cut leaves it: what is on the disk at this moment, opened by another process.
async fn crashed(world: World) -> World {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &to),
                // The index may remove a file of its own while we look.
                false => drop(std::fs::copy(entry.path(), to)),
            }
        }
    }
    let World { folder, clock, made, service } = world;
    let after = tempfile::tempdir().unwrap();
    copy(folder.path(), after.path());
    service.shutdown().await;
    drop(folder);
    let service = Service::open(config(&after, &clock, 4)).unwrap();
    World { folder: after, clock, made, service }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

async fn world() -> (World, Principal) {
    let world = World::new();
    let admin = world.admin().await;
    (world, admin)
}

/// What was written to the terminal in a stretch, joined.
fn output(playback: &Playback) -> String {
    let texts = playback.events.iter().filter_map(|event| match &event.what {
        PlaybackWhat::Output(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_session_plays_as_far_as_it_came_and_then_just_the_same_when_it_is_over() {
    let (world, admin) = world().await;
    let id = start(&world, &admin, "live").await;
    let at = |at_us: u64| world.service.session_playback(&admin, world.org(), id, at_us);
    let nothing = at(0).await.unwrap();
    assert!(nothing.is_active && nothing.bytes == 0 && nothing.events.is_empty());
    let header = b"{\"version\":2,\"width\":60,\"height\":10}\n";
    // The format shows in the second chunk only, and chunks end in the midst of lines.
    append(&world, &admin, id, 0, &header[..9]).await;
    let unknown = at(0).await.unwrap();
    assert!(unknown.is_active && unknown.events.is_empty());
    let mut sent = 9;
    append(&world, &admin, id, sent, &header[9..]).await;
    sent = header.len() as u64;
    let mut all = header.to_vec();
    for step in 0..40 {
        let line = format!("[{}.5,\"o\",\"line {step}\\r\\n\"]\n", step);
        let (front, back) = line.as_bytes().split_at(line.len() / 2);
        append(&world, &admin, id, sent, front).await;
        let half = at(u64::MAX).await.unwrap();
        assert!(!output(&half).contains(&format!("line {step}\r")), "half a line is no event");
        append(&world, &admin, id, sent + front.len() as u64, back).await;
        sent += line.len() as u64;
        all.extend(line.as_bytes());
        let playback = at(u64::MAX).await.unwrap();
        assert_eq!((playback.is_active, playback.bytes, playback.columns), (true, sent, 60));
        assert_eq!(playback.duration_us, step * 1_000_000 + 500_000);
        assert!(output(&playback).ends_with(&format!("line {step}\r\n")), "{playback:?}");
    }
    let running = at(0).await.unwrap();
    world.service.finish_session(&admin, world.org(), id, Finish::default()).await.unwrap();
    let over = at(0).await.unwrap();
    assert!(!over.is_active);
    // The last screen has its number only now.
    assert_eq!(over.screens, running.screens + 1);
    assert_eq!(Playback { is_active: false, screens: over.screens, ..running }, over);
    let viewed = world.all(&admin, world.org(), "action:session.viewed");
    assert!(!viewed.is_empty(), "following is looking");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_session_of_several_files_or_of_none_says_so() {
    let (world, admin) = world().await;
    let tar = start(&world, &admin, "tar").await;
    let mut bytes = replay_tar("timing", b"0 0.1 5\n");
    bytes.extend([0; 1024]);
    append(&world, &admin, tar, 0, &bytes).await;
    let error = world.service.session_playback(&admin, world.org(), tar, 0).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("several files"), "{}", error.message);
    let noise = start(&world, &admin, "noise").await;
    append(&world, &admin, noise, 0, &vec![b'x'; 70_000]).await;
    let playback = world.service.session_playback(&admin, world.org(), noise, 0).await.unwrap();
    assert_eq!((playback.is_active, playback.bytes, playback.events.len()), (true, 70_000, 0));
    let (_, _, sender) = world.account(world.org(), "sender@example.com", &[Role::Sender]).await;
    let refused = world.service.session_playback(&sender, world.org(), noise, 0).await;
    assert_eq!(kind(refused), ErrorKind::Forbidden);
}

/// A file in a tar, without the tar's end.
fn replay_tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().div_ceil(512) * 512, 0);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_a_log_that_was_replaced_stay_in_the_list_and_are_read() {
    let (world, admin) = world().await;
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap().id;
    let record = async |service: &Service, who: &Principal, client_id: &str, text: &'static str| {
        let started = service.start_session(who, child, new(client_id, info("bob", "web1"))).await.unwrap().0;
        service.append_chunk(who, child, started.id, 0, Bytes::from_static(text.as_bytes())).await.unwrap();
        started.id
    };
    let one = record(&world.service, &admin, "one", "first").await;
    world.service.finish_session(&admin, child, one, Finish::default()).await.unwrap();
    let cut_off = record(&world.service, &admin, "two", "second").await;
    world.service.settle().await;
    let copy = tempfile::tempdir().unwrap();
    let world = world.reopen(|data| folder::copy_folder(&data.join("log"), copy.path())).await;
    let admin = world.admin().await;
    world.send(&admin, child, &[r#"{"action":"lost"}"#]).await;
    let world = world
        .reopen(|data| {
            std::fs::remove_dir_all(data.join("log")).unwrap();
            folder::copy_folder(copy.path(), &data.join("log"));
        })
        .await;
    let admin = world.admin().await;
    let service = &world.service;
    service.acknowledge_taint(&admin, child, "restored after a fire").await.unwrap();
    service.open_successor(&admin, child, "restored after a fire").await.unwrap();
    let three = record(service, &admin, "three", "third").await;

    let sessions = |limit: usize| {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let query = SessionQuery { filter: Query::All, after, limit };
            let page = service.sessions(&admin, child, &query, &|_| true).unwrap();
            found.extend(page.sessions);
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    for limit in 1..=4 {
        let found = sessions(limit);
        assert_eq!(found.iter().map(|session| session.id).collect::<Vec<_>>(), [three, cut_off, one], "{limit} a page");
    }
    let found = sessions(10);
    assert_eq!(found.iter().map(Session::is_active).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(found.iter().map(|session| session.bytes).collect::<Vec<_>>(), [5, 6, 5]);
    assert_eq!(service.count_sessions(&admin, child, &Query::All, 100).unwrap(), 3);
    assert_eq!(service.count_sessions(&admin, child, &Query::All, 2).unwrap(), 2);
    for (active, wanted) in [(true, vec![three]), (false, vec![cut_off, one])] {
        let query = SessionQuery { filter: filter::active(active), after: None, limit: 10 };
        let page = service.sessions(&admin, child, &query, &|_| true).unwrap();
        assert_eq!(page.sessions.iter().map(|session| session.id).collect::<Vec<_>>(), wanted, "active: {active}");
        assert_eq!(service.count_sessions(&admin, child, &query.filter, 10).unwrap(), wanted.len() as u64);
    }
    // The numbers are those of the one sequence that readers see.
    for session in &found {
        let event = service.get(&admin, child, session.seq(), false).unwrap();
        assert_eq!(event.fields().unwrap().session.as_deref(), Some(session.id.to_string().as_str()));
    }
    for (id, text) in [(one, "first"), (cut_off, "second"), (three, "third")] {
        assert_eq!(read(service, &admin, child, id, None).await.unwrap(), text.as_bytes());
        assert_eq!(service.session_chunks(&admin, child, id, None, 10).unwrap().len(), 1);
    }
    let (again, is_known) = service.start_session(&admin, child, new("one", info("bob", "web1"))).await.unwrap();
    assert_eq!((again.id, is_known), (one, true));
    assert!(service.append_chunk(&admin, child, cut_off, 6, Bytes::from_static(b"more")).await.is_err());
    world.service.shutdown().await;
}
