//! Logins, locks, and what we do to the trail being in the trail.

mod support;

use service::{LoginError, NewAccount, Role};
use support::*;

const S: u64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_visible_to_the_very_next_query() {
    let world = World::new();
    let admin = world.admin().await;
    for n in 2..30u8 {
        let right = n % 3 != 0;
        let password = if right { PASSWORD } else { "wrong password" };
        // Slow-downs are another test's business.
        world.clock.advance(3600 * S);
        let result = world.service.login(None, ADMIN, password, &caller(n)).await;
        assert_eq!(result.is_ok(), right);
        let filter = format!("kind:authentication source:203.0.113.{n}");
        let seen = world.all(&admin, world.org(), &filter);
        assert_eq!(seen.len(), 1, "login {n}");
        let fields = seen[0].fields().unwrap();
        assert_eq!(fields.outcome, if right { service::Outcome::Success } else { service::Outcome::Failure });
        assert_eq!(fields.actor.as_ref().unwrap().label(), Some(ADMIN));
        assert_eq!(attribute(&seen[0], "reason").as_deref(), if right { None } else { Some("wrong_password") });
        let newest =
            world.service.query_by_time(&admin, world.org(), &service::Surface::UserEvents.query_all(), 0, 1).unwrap();
        assert_eq!(numbers(&newest), numbers(&seen));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_passwords_lock_and_the_right_one_is_refused_too() {
    let world = World::new();
    let admin = world.admin().await;
    for n in 0..5 {
        world.clock.advance(10 * S);
        let error = world.service.login(None, ADMIN, "wrong password", &caller(9)).await.unwrap_err();
        assert!(matches!(error, LoginError::WrongPassword), "{n}: {error:?}");
    }
    world.clock.advance(10 * S);
    let LoginError::Locked { until } = world.service.login(None, ADMIN, PASSWORD, &caller(9)).await.unwrap_err() else {
        panic!("the account must be locked")
    };
    assert_eq!(until.as_microsecond() as u64, START_US + (50 + 15 * 60) * S);
    world.service.settle().await;
    let locked = world.all(&admin, world.org(), "action:login.locked");
    assert_eq!(locked.len(), 1);
    assert_eq!(locked[0].fields().unwrap().targets[0].name.as_deref(), Some(ADMIN));
    let failures = world.all(&admin, world.org(), "action:login outcome:failure");
    let reasons: Vec<_> = failures.iter().map(|event| attribute(event, "reason").unwrap()).collect();
    assert_eq!(
        reasons,
        ["wrong_password", "wrong_password", "wrong_password", "wrong_password", "wrong_password", "locked"]
    );

    world.clock.set(until.as_microsecond() as u64);
    let admin = world.service.login(None, ADMIN, PASSWORD, &caller(9)).await.unwrap();
    let mut follow = world
        .service
        .follow(&admin, world.org(), service::search::parse::parse("action:login.unlocked").unwrap(), 0)
        .unwrap();
    let unlocked = follow.next().await.unwrap();
    assert_eq!(unlocked.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_guess_are_slowed_down_and_locked_at_once() {
    let world = World::new();
    let mut results = Vec::new();
    for _ in 0..6 {
        results.push(world.service.login(None, ADMIN, "wrong password", &caller(9)).await.unwrap_err());
    }
    let wrong = results.iter().filter(|error| matches!(error, LoginError::WrongPassword)).count();
    assert_eq!(wrong, 2, "{results:?}");
    let LoginError::Locked { until } = &results[5] else { panic!("{results:?}") };
    assert_eq!(until.as_microsecond() as u64, START_US + 15 * 60 * S);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_has_lock_like_others_and_are_not_written_down() {
    let world = World::new();
    let admin = world.admin().await;
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    for n in 0..6 {
        world.clock.advance(10 * S);
        let error = world.service.login(Some(child.id), "hunter2", "wrong password", &caller(9)).await.unwrap_err();
        assert_eq!(matches!(error, LoginError::UnknownUser), n < 5, "{error:?}");
        assert_eq!(matches!(error, LoginError::Locked { .. }), n == 5, "{error:?}");
    }
    world.service.login(Some(child.id), "mal@example.com", "wrong password", &caller(9)).await.unwrap_err();
    world.service.login_unread(Some(child.id), &caller(9)).await.unwrap();
    let tries = world.all(&admin, child.id, "action:login");
    let names: Vec<_> =
        tries.iter().map(|e| e.fields().unwrap().actor.map(|a| a.label().unwrap().to_owned())).collect();
    assert_eq!(names[..7], vec![Some("UNKNOWN USER".to_owned()); 7]);
    assert_eq!(names[7], None);
    assert_eq!(attribute(&tries[6], "tried").as_deref(), Some("mal@example.com"));
    world.service.settle().await;
    for event in world.all(&admin, child.id, "") {
        assert!(!String::from_utf8_lossy(event.json().unwrap()).contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_cannot_flood_the_log() {
    let world = World::new();
    let admin = world.admin().await;
    for n in 0..500 {
        assert!(world.service.authenticate(&format!("cf_{n}"), &caller(66)).is_err());
        world.service.record_refusal(None, &caller(66), "no_credential");
    }
    world.service.settle().await;
    let refused = world.all(&admin, world.org(), "action:access.refused source:203.0.113.66");
    let mut seen: Vec<_> =
        refused.iter().map(|e| (attribute(e, "reason").unwrap(), attribute(e, "count").unwrap())).collect();
    seen.sort();
    assert_eq!(seen, [("no_credential".into(), "1".into()), ("token_unknown".to_owned(), "1".to_owned())]);
    // The rest is counted, and written by the time the service stops.
    let world = world.reopen(|_| {}).await;
    let admin = world.admin().await;
    let refused = world.all(&admin, world.org(), "action:access.refused source:203.0.113.66");
    let count: u64 = refused.iter().map(|e| attribute(e, "count").unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!((refused.len(), count), (4, 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_reason() {
    let world = World::new();
    let (_, secret, sender) = world.account(world.org(), "sender@example.com", &[Role::Sender]).await;
    world.service.query(&sender, world.org(), &Default::default()).unwrap_err();
    world.service.get_org(&sender, service::OrgId::from_bytes([1; 16])).unwrap_err();
    world.service.revoke_token(&sender, sender.token.unwrap()).await.unwrap();
    world.service.authenticate(&secret, &caller(2)).unwrap_err();
    world.service.settle().await;
    let admin = world.admin().await;
    let refused = world.all(&admin, world.org(), "action:access.refused");
    let reasons: Vec<_> = refused.iter().map(|event| attribute(event, "reason").unwrap()).collect();
    assert_eq!(reasons, ["may_not_read_events", "out_of_reach", "token_revoked"]);
    assert_eq!(refused[0].fields().unwrap().actor.unwrap().id.as_deref(), Some(sender.account.to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_is_in_the_trail_with_before_and_after_and_no_secret() {
    let world = World::new();
    let admin = world.admin().await;
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    let new = NewAccount {
        name: "ann@example.com".into(),
        roles: vec![Role::Auditor],
        password: Some("s3cret-password".into()),
        ..NewAccount::default()
    };
    let ann = world.service.create_account(&admin, child.id, new).await.unwrap();
    let (info, secret) = world.service.issue_token(&admin, token(&ann)).await.unwrap();
    world.service.revoke_token(&admin, info.id).await.unwrap();
    let change = service::AccountChange {
        roles: Some(vec![Role::Admin]),
        password: Some("an0ther-password".into()),
        ..Default::default()
    };
    world.service.update_account(&admin, ann.id, change).await.unwrap();
    world.service.rename_org(&admin, child.id, "Kid").await.unwrap();
    let events = world.all(&admin, child.id, "kind:admin");
    assert_eq!(
        actions(&events),
        [
            "organisation.created",
            "account.created",
            "token.issued",
            "token.revoked",
            "account.changed",
            "organisation.renamed"
        ]
    );
    let changed: serde_json::Value = serde_json::from_slice(events[4].json().unwrap()).unwrap();
    assert_eq!(changed["attributes"]["before"], serde_json::json!({"roles": ["auditor"]}));
    assert_eq!(changed["attributes"]["after"], serde_json::json!({"roles": ["admin"]}));
    assert_eq!(changed["actor"]["name"], ADMIN);
    for event in world.all(&admin, child.id, "") {
        let text = String::from_utf8_lossy(event.json().unwrap()).into_owned();
        for word in [secret.as_str(), "s3cret-password", "an0ther-password", "$argon2"] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extraction_is_counted_and_reading_about_it_is_not() {
    let world = World::new();
    let (_, _, auditor) = world.account(world.org(), "aud@example.com", &[Role::Auditor]).await;
    let admin = world.admin().await;
    let numbers = world.send(&admin, world.org(), &[r#"{"action":"x"}"#; 10]).await;
    for _ in 0..7 {
        assert_eq!(world.all(&auditor, world.org(), "action:x").len(), 10);
    }
    let world = world.reopen(|_| {}).await;
    let admin = world.admin().await;
    let noted = world.all(&admin, world.org(), "action:events.extracted actor:aud@example.com");
    assert_eq!(noted.len(), 1);
    let counts = ["requests", "events", "lowest", "highest"].map(|name| attribute(&noted[0], name).unwrap());
    let (first, last) = (numbers[0].number.to_string(), numbers[9].number.to_string());
    assert_eq!(counts, ["7".to_owned(), "70".to_owned(), first, last]);
    // The administrator has read nothing but notes of extractions, so nothing more is noted.
    let world = world.reopen(|_| {}).await;
    let admin = world.admin().await;
    assert_eq!(world.all(&admin, world.org(), &format!("action:events.extracted actor:{ADMIN}")).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_use_of_a_token_from_an_address_is_noted_once() {
    let world = World::new();
    let (_, secret, _) = world.account(world.org(), "who@example.com", &[Role::Sender]).await;
    for last in [50, 51, 50, 51, 50] {
        world.service.authenticate(&secret, &caller(last)).unwrap();
    }
    world.service.settle().await;
    let admin = world.admin().await;
    let used = world.all(&admin, world.org(), "action:token.used actor:who@example.com");
    let from: Vec<_> = used.iter().map(|e| e.fields().unwrap().source.unwrap().label().unwrap().to_owned()).collect();
    assert_eq!(from, ["203.0.113.2", "203.0.113.50", "203.0.113.51"]);
}
