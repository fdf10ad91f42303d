//! Users and scores: what was served is what the log says, today and on any later day, however it is read again.

mod support;

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use service::behaviour::Algorithm;
use service::recordings::{Endpoint, Finish, NewSession, SessionInfo, SessionUser};
use service::risk::{User, UserField, UserOrder};
use service::{ErasureOrder, ErrorKind, Principal, RiskOptions, Role, Service, SessionId};
use support::{World, actions, attribute, config};

const DAY_US: u64 = 86_400_000_000;

/// A session of somebody, recorded as a whole at the time that the clock shows.
async fn session(world: &World, who: &Principal, user: &str, server: &str, cast: Option<String>) -> SessionId {
    let info = SessionInfo {
        user: SessionUser { name: Some(user.into()), ..SessionUser::default() },
        client: Endpoint { address: Some("198.51.100.7".into()), ..Endpoint::default() },
        server: Endpoint { name: Some(server.into()), ..Endpoint::default() },
        protocol: Some("ssh".into()),
        ..SessionInfo::default()
    };
    let new = NewSession { client_id: None, info };
    let (service, org) = (&world.service, world.org());
    let id = service.start_session(who, org, new).await.unwrap().0.id;
    if let Some(cast) = cast {
        service.append_chunk(who, org, id, 0, Bytes::from(cast)).await.unwrap();
    }
    service.finish_session(who, org, id, Finish::default()).await.unwrap();
    id
}

/// A recording in which these commands are typed, one key each so many milliseconds.
fn cast(commands: &[&str], key_ms: u64) -> String {
    let mut text = String::from("{\"version\":2,\"width\":80,\"height\":24}\n[0.01,\"o\",\"$ \"]\n");
    let mut at_ms = 100;
    for (number, command) in commands.iter().enumerate() {
        for key in command.chars() {
            at_ms += key_ms + (number as u64 * 7 + u64::from(u32::from(key))) % 23;
            let key = serde_json::to_string(&key).unwrap();
            let at = at_ms as f64 / 1_000.0;
            text += &format!("[{at},\"i\",{key}]\n[{at},\"o\",{key}]\n");
        }
        at_ms += 150 + number as u64 * 211;
        let at = at_ms as f64 / 1_000.0;
        text += &format!("[{at},\"i\",\"\\r\"]\n[{at},\"o\",\"\\r\\n$ \"]\n");
    }
    text
}

fn users(service: &Service, who: &Principal, world: &World) -> Vec<User> {
    let by_id = [UserOrder { field: UserField::Id, descending: false }];
    service.users(who, world.org(), &by_id, 10_000).unwrap()
}

/// Sessions of three people over some days; gives what was served at the end of each day.
async fn some_weeks(world: &World, who: &Principal, days: u64, turned: bool) -> Vec<(Timestamp, Vec<User>)> {
    let mut served = Vec::new();
    for day in 0..days {
        let mut of_day: Vec<(&str, String)> = vec![("ann", "web1".into()), ("bob", "db1".into())];
        if day % 3 == 0 {
            of_day.push(("cyd", format!("host{}", day % 2)));
        }
        if day + 1 == days {
            of_day.push(("ann", "vault".into()));
        }
        if turned {
            of_day.reverse();
        }
        for (user, server) in &of_day {
            session(world, who, user, server, None).await;
        }
        world.service.settle().await;
        served.push((world.service.now(), users(&world.service, who, world)));
        world.clock.advance(DAY_US + day % 2 * 600_000_000);
    }
    served
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_comes_out_of_the_log_again_on_any_later_day() {
    let world = World::new();
    let who = world.account(world.org(), "recorder@example.com", &[Role::Admin]).await.2;
    let served = some_weeks(&world, &who, 12, false).await;
    let last = &served[served.len() - 1].1;
    assert_eq!(last.iter().map(|user| &*user.id).collect::<Vec<_>>(), ["ann", "bob", "cyd"]);
    assert!(last[0].score > last[1].score, "a new server is less usual than the old one: {last:?}");
    assert!(served[2].1.iter().all(|user| user.score.is_none()), "nobody has five sessions before the third day");

    let mut scores = BTreeSet::new();
    for (at, then) in &served {
        for user in then {
            let again = world.service.recompute_user(&who, world.org(), &user.id, *at).unwrap();
            assert!(again.is_same, "{again:?}");
            assert_eq!((again.score, again.scored_at), (user.score, user.scored_at), "{} at {at}", user.id);
            scores.insert(again.score);
        }
    }
    assert!(scores.len() > 3, "there was something to compare: {scores:?}");

    // Made again from nothing but the log, the list is the same.
    let before = users(&world.service, &who, &world);
    let world = world
        .reopen(|data| {
            for projection in ["state", "index", "sessions"] {
                let _ = std::fs::remove_dir_all(data.join(projection));
            }
        })
        .await;
    let who = world.admin().await;
    assert_eq!(users(&world.service, &who, &world), before);
    let detail = world.service.user(&who, world.org(), "ann").unwrap();
    assert_eq!(detail.user, before[0]);
    assert!(detail.baselines[&Algorithm::LoginTime].last_success.is_some(), "{detail:?}");
    assert!(detail.baselines[&Algorithm::LoginTime].last_failure.is_some(), "it failed before there were five");
    assert!(detail.baselines[&Algorithm::Command].last_failure.is_some(), "no commands were seen");
    let unknown = world.service.user(&who, world.org(), "ANN");
    assert_eq!(unknown.unwrap_err().kind, ErrorKind::NotFound, "ids are exact");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_sessions_within_a_day_does_not_matter() {
    let mut found = Vec::new();
    for turned in [false, true] {
        let world = World::new();
        let who = world.account(world.org(), "recorder@example.com", &[Role::Admin]).await.2;
        found.push(some_weeks(&world, &who, 8, turned).await);
        world.service.shutdown().await;
    }
    assert_eq!(found[0], found[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_keys_of_a_recording_are_compared_and_explained() {
    let world = World::new();
    let who = world.account(world.org(), "recorder@example.com", &[Role::Admin]).await.2;
    let usual =
        ["git status", "make test", "git commit --amend", "vim src/main.rs", "make test", "git push origin main"];
    let usual: Vec<&str> = usual.iter().cycle().take(18).copied().collect();
    for _ in 0..8 {
        session(&world, &who, "ann", "web1", Some(cast(&usual, 120))).await;
    }
    world.service.settle().await;
    world.clock.advance(DAY_US);
    let same = session(&world, &who, "ann", "web1", Some(cast(&usual, 121))).await;
    let odd: Vec<&str> = ["nmap -sS 10.0.0.0/24", "sudo tcpdump -i eth0", "nc -l 4444", "history -c"]
        .iter()
        .cycle()
        .take(16)
        .copied()
        .collect();
    let odd = session(&world, &who, "ann", "web1", Some(cast(&odd, 290))).await;
    world.service.settle().await;
    let explain = |id| world.service.explain_session(&who, world.org(), id).unwrap();
    let (same, odd) = (explain(same), explain(odd));
    let score = |found: &service::risk::Explained, name| {
        found.algorithms.iter().find(|one| one.algorithm == name).map(|one| one.score)
    };
    assert_eq!((same.history.len(), same.is_same, odd.is_same), (8, true, true));
    assert!(score(&odd, Algorithm::Command) > Some(30), "{odd:?}");
    assert!(score(&odd, Algorithm::Command) > score(&same, Algorithm::Command), "{same:?}");
    assert!(score(&odd, Algorithm::Keystroke) > score(&same, Algorithm::Keystroke), "{odd:?}");
    let weights: f64 = odd.algorithms.iter().map(|one| one.weight).sum();
    assert!((weights - 1.0).abs() < 1e-9, "{odd:?}");
    let command = odd.algorithms.iter().find(|one| one.algorithm == Algorithm::Command).unwrap();
    assert!(command.observed.contains("nmap (0)") && command.expected.contains("git"), "{command:?}");
    let text = format!("{odd:?}");
    assert!(!text.contains("10.0.0.0/24") && !text.contains("eth0"), "arguments are not kept: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_an_event_and_old_scores_keep_theirs() {
    let world = World::new();
    let who = world.account(world.org(), "recorder@example.com", &[Role::Admin]).await.2;
    some_weeks(&world, &who, 7, false).await;
    let before = world.service.recompute_user(&who, world.org(), "bob", world.service.now()).unwrap();
    let World { folder, clock, made, service } = world;
    service.shutdown().await;
    let mut other = config(&folder, &clock, 5);
    other.risk = RiskOptions { disabled: [Algorithm::Fis].into(), trusted: [Algorithm::LoginTime].into() };
    let world = World { service: Service::open(other).unwrap(), folder, clock, made };
    let who = world.admin().await;
    session(&world, &who, "bob", "db1", None).await;
    session(&world, &who, "bob", "db1", None).await;
    world.service.settle().await;
    let changes = world.all(&who, world.org(), "action:scoring.changed");
    assert_eq!(changes.len(), 1, "{:?}", actions(&changes));
    assert!(attribute(&changes[0], "after").unwrap().contains("\"trusted\":[\"logintime\"]"));
    let after = world.service.recompute_user(&who, world.org(), "bob", world.service.now()).unwrap();
    assert!(after.is_same && after.sessions.len() == before.sessions.len() + 2, "{after:?}");
    let old: Vec<_> = after.sessions.iter().filter(|s| before.sessions.iter().any(|b| b.number == s.number)).collect();
    assert_eq!(old, before.sessions.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_leaves_the_list() {
    let world = World::new();
    let who = world.account(world.org(), "recorder@example.com", &[Role::Admin]).await.2;
    session(&world, &who, "ann", "web1", None).await;
    session(&world, &who, "bob", "web1", None).await;
    world.service.settle().await;
    assert_eq!(world.service.count_users(&who, world.org()).unwrap(), 2);
    let of_bob = world.all(&who, world.org(), "actor:bob kind:session");
    assert_eq!(actions(&of_bob), ["session.started", "session.finished", "session.scored"]);
    let order = ErasureOrder {
        numbers: of_bob.iter().map(service::Event::number).collect(),
        ground: "court order".into(),
        ordered_by: "bob".into(),
    };
    world.service.erase_events(&who, world.org(), order).await.unwrap();
    let left: Vec<String> = users(&world.service, &who, &world).iter().map(|user| user.id.to_string()).collect();
    assert_eq!(left, ["ann"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_by_order_counts_what_ended_before_it() {
    let world = World::new();
    let who = world.account(world.org(), "recorder@example.com", &[Role::Admin]).await.2;
    for _ in 0..5 {
        session(&world, &who, "ann", "web1", None).await;
    }
    world.clock.advance(60_000_000);
    let first = session(&world, &who, "ann", "web1", None).await;
    world.service.settle().await;
    let score = |id| world.service.session_score(&who, world.org(), id).unwrap().unwrap().said;
    assert_eq!((score(first).aggregated, score(first).history), (None, 0), "the build of midnight knows nothing");
    world.clock.advance(60_000_000);
    let at = world.service.build_baselines(&who, world.org()).await.unwrap();
    world.clock.advance(60_000_000);
    let second = session(&world, &who, "ann", "web1", None).await;
    world.service.settle().await;
    assert_eq!((score(second).as_of, score(second).history), (at, 6));
    assert!(score(second).aggregated.is_some());
    let again = world.service.recompute_user(&who, world.org(), "ann", world.service.now()).unwrap();
    let user = world.service.user(&who, world.org(), "ann").unwrap().user;
    assert_eq!((again.is_same, again.score, again.scored_at), (true, user.score, user.scored_at));
}
