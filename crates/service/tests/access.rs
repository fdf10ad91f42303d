//! Who may do what: roles, scopes, reach, tokens.

mod support;

use std::time::Duration;

use service::recordings::{NewSession, SessionQuery};
use service::{
    AccountChange, AuthenticateError, ErrorKind, EventQuery, IngestOptions, NewAccount, NewToken, OrgId, Principal,
    Role, Scope, Service, TokenForm, Verb,
};
use support::*;

fn kind<T>(result: service::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

/// Asks for each verb through a public verb of the service. Gives what was refused.
async fn ask(service: &Service, who: &Principal, org: OrgId, verb: Verb) -> Option<ErrorKind> {
    match verb {
        Verb::IngestEvents => kind(service.ingest(who, org, vec![], IngestOptions::default()).await),
        Verb::RecordSessions => kind(service.start_session(who, org, NewSession::default()).await),
        Verb::ViewSessions => {
            let all = SessionQuery { filter: service::search::Query::All, after: None, limit: 1 };
            kind(service.sessions(who, org, &all, &|_| true))
        }
        Verb::ReadEvents => kind(service.query(who, org, &EventQuery::default())),
        Verb::ExtractEvents => {
            let query = EventQuery { purpose: service::Purpose::Extract, ..EventQuery::default() };
            kind(service.query(who, org, &query))
        }
        Verb::ReadProofs => kind(service.log_standing(who, org)),
        Verb::BuildBaselines => kind(service.build_baselines(who, org).await),
        Verb::ReadOrganisations => kind(service.get_org(who, org)),
        Verb::ManageOrganisations => kind(service.rename_org(who, org, "Left").await),
        Verb::ManageAccounts => kind(service.list_accounts(who, Some(org))),
        Verb::ManageTokens => kind(service.list_tokens(who, None)),
        Verb::OwnProfile => kind(service.profile(who)),
        Verb::ManageKeys | Verb::ManageLogs | Verb::ReadServerSettings | Verb::RefreshTokens => {
            kind(service.check(who, verb, org))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_asks_the_table() {
    let world = World::new();
    for role in Role::ALL {
        let (_, _, who) = world.account(world.org(), &format!("the-{role}@example.com"), &[role]).await;
        let without = Principal { scopes: vec![], ..who.clone() };
        for verb in Verb::ALL {
            let expected = (!who.may(verb)).then_some(ErrorKind::Forbidden);
            assert_eq!(ask(&world.service, &who, world.org(), verb).await, expected, "{role} {verb:?}");
            let expected = (!without.may(verb)).then_some(ErrorKind::Forbidden);
            assert_eq!(
                ask(&world.service, &without, world.org(), verb).await,
                expected,
                "{role} without scopes {verb:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organisation_and_one_that_is_not_there_are_the_same() {
    let world = World::new();
    let admin = world.admin().await;
    let left = world.service.create_org(&admin, world.org(), "Left").await.unwrap();
    let right = world.service.create_org(&admin, world.org(), "Right").await.unwrap();
    let (_, _, who) = world.account(left.id, "left@example.com", &[Role::Admin]).await;
    let nowhere = OrgId::from_bytes([0; 16]);
    // These concern the caller's own reach, whatever organisation is meant; and the token is no refresh token.
    let own = [Verb::ManageTokens, Verb::OwnProfile, Verb::RefreshTokens];
    for org in [right.id, world.org(), nowhere] {
        for verb in Verb::ALL.into_iter().filter(|verb| !own.contains(verb)) {
            assert_eq!(ask(&world.service, &who, org, verb).await, Some(ErrorKind::NotFound), "{verb:?}");
        }
        assert_eq!(kind(world.service.resolve_org(&who, &org.to_string())), Some(ErrorKind::NotFound));
    }
    for verb in Verb::ALL {
        let expected = (verb == Verb::RefreshTokens).then_some(ErrorKind::Forbidden);
        assert_eq!(ask(&world.service, &who, left.id, verb).await, expected, "{verb:?}");
    }
    assert_eq!(kind(world.service.resolve_org(&who, "Right")), Some(ErrorKind::NotFound));
    assert_eq!(world.service.resolve_org(&who, "Left").unwrap(), left.id);
    let seen = world.service.list_orgs(&who).unwrap();
    assert_eq!(seen.iter().map(|org| (org.path.as_str(), org.parent)).collect::<Vec<_>>(), [("Left", None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_reaches_what_lies_below() {
    let world = World::new();
    let admin = world.admin().await;
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    let grandchild = world.service.create_org(&admin, child.id, "A/B").await.unwrap();
    assert_eq!(grandchild.path, "Acme/Child/A\\/B");
    assert_eq!(world.service.resolve_org(&admin, "Acme/Child/A\\/B").unwrap(), grandchild.id);
    assert_eq!(world.service.find_org_by_slug("a-b"), Some(grandchild.id));
    assert_eq!(world.service.find_org_by_log(grandchild.log), Some(grandchild.id));
    let receipts = world.send(&admin, grandchild.id, &[r#"{"action":"a"}"#]).await;
    assert_eq!((receipts[0].org, receipts[0].origin.as_str()), (grandchild.id, grandchild.origin.as_str()));
    assert_eq!(kind(world.service.create_org(&admin, child.id, "A/B").await), Some(ErrorKind::Conflict));
    assert_eq!(kind(world.service.create_org(&admin, child.id, "\u{7}").await), Some(ErrorKind::Invalid));
    let renamed = world.service.rename_org(&admin, grandchild.id, "Zu\u{308}rich").await.unwrap();
    assert_eq!((renamed.path.as_str(), renamed.slug.as_str()), ("Acme/Child/Zürich", "a-b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_as_a_whole_is_for_administrators_of_the_first_organisation_with_all_of_their_reach() {
    let world = World::new();
    let admin = world.admin().await;
    let left = world.service.create_org(&admin, world.org(), "Left").await.unwrap();
    let ask = |who: &Principal| kind(world.service.check_server(who, Verb::ReadServerSettings));
    assert_eq!(ask(&admin), None);
    let (_, _, below) = world.account(left.id, "left@example.com", &[Role::Admin]).await;
    assert_eq!(ask(&below), Some(ErrorKind::Forbidden));
    let narrowed = Principal { org: left.id, ..admin.clone() };
    assert_eq!(ask(&narrowed), Some(ErrorKind::Forbidden));
    let (_, _, auditor) = world.account(world.org(), "auditor@example.com", &[Role::Auditor]).await;
    assert_eq!(ask(&auditor), Some(ErrorKind::Forbidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_taken_away_is_gone_for_tokens_already_issued() {
    let world = World::new();
    let (account, secret, who) = world.account(world.org(), "who@example.com", &[Role::Admin]).await;
    assert!(who.is_admin());
    let change = AccountChange { roles: Some(vec![Role::Sender]), ..AccountChange::default() };
    world.service.update_account(&world.admin().await, account.id, change).await.unwrap();
    let who = world.service.authenticate(&secret, &caller(2)).unwrap();
    assert_eq!(ask(&world.service, &who, world.org(), Verb::ReadEvents).await, Some(ErrorKind::Forbidden));
    assert_eq!(ask(&world.service, &who, world.org(), Verb::IngestEvents).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_by_time_by_revocation_and_with_their_account() {
    let world = World::new();
    let admin = world.admin().await;
    let (account, secret, who) = world.account(world.org(), "who@example.com", &[Role::Auditor]).await;
    let short = NewToken { ttl: Some(Duration::from_secs(60)), ..token(&account) };
    let (info, short) = world.service.issue_token(&admin, short).await.unwrap();
    assert!(world.service.authenticate(&short, &caller(2)).is_ok());
    world.clock.advance(59_999_999);
    assert!(world.service.authenticate(&short, &caller(2)).is_ok());
    world.clock.advance(1);
    match world.service.authenticate(&short, &caller(2)) {
        Err(AuthenticateError::Expired { at }) => assert_eq!(Some(at), info.expires_at),
        other => panic!("{other:?}"),
    }
    assert!(matches!(world.service.authenticate("cf_nonsense", &caller(2)), Err(AuthenticateError::Unknown)));
    assert!(matches!(world.service.authenticate("", &caller(2)), Err(AuthenticateError::Unknown)));

    // An auditor may revoke its own token, and no other one's.
    assert_eq!(
        kind(world.service.revoke_token(&who, service::TokenId::from_bytes([0; 16])).await),
        Some(ErrorKind::Forbidden)
    );
    world.service.revoke_token(&who, who.token.unwrap()).await.unwrap();
    world.service.revoke_token(&who, who.token.unwrap()).await.unwrap();
    assert!(matches!(world.service.authenticate(&secret, &caller(2)), Err(AuthenticateError::Revoked)));

    let (_, third) = world.service.issue_token(&admin, token(&account)).await.unwrap();
    world.disable(&account, true).await;
    assert!(matches!(world.service.authenticate(&third, &caller(2)), Err(AuthenticateError::Revoked)));
    world.disable(&account, false).await;
    assert!(matches!(world.service.authenticate(&third, &caller(2)), Err(AuthenticateError::Revoked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_can_be_narrowed_but_not_widened() {
    let world = World::new();
    let admin = world.admin().await;
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    let (top, _, _) = world.account(world.org(), "top@example.com", &[Role::Admin]).await;
    let (below, _, below_who) = world.account(child.id, "below@example.com", &[Role::Admin]).await;

    let narrow = NewToken { org: Some(child.id), scopes: vec![Scope::Read], ..token(&top) };
    let (info, secret) = world.service.issue_token(&admin, narrow).await.unwrap();
    assert_eq!((info.org, &info.scopes[..]), (child.id, &[Scope::Read][..]));
    let who = world.service.authenticate(&secret, &caller(2)).unwrap();
    assert_eq!(ask(&world.service, &who, child.id, Verb::ReadEvents).await, None);
    assert_eq!(ask(&world.service, &who, world.org(), Verb::ReadEvents).await, Some(ErrorKind::NotFound));
    assert_eq!(ask(&world.service, &who, child.id, Verb::IngestEvents).await, Some(ErrorKind::Forbidden));

    let wide = NewToken { org: Some(world.org()), ..token(&below) };
    assert_eq!(kind(world.service.issue_token(&admin, wide).await), Some(ErrorKind::NotFound));
    // An administrator below cannot make tokens for one above.
    assert_eq!(kind(world.service.issue_token(&below_who, token(&top)).await), Some(ErrorKind::NotFound));
    for wrong in [
        NewToken { scopes: vec![], ..token(&below) },
        NewToken { ttl: Some(Duration::ZERO), ..token(&below) },
        NewToken { form: TokenForm::Supplied("short".into()), ..token(&below) },
    ] {
        assert_eq!(kind(world.service.issue_token(&admin, wrong).await), Some(ErrorKind::Invalid));
    }
    let supplied = NewToken { form: TokenForm::Supplied("x".repeat(100)), ..token(&below) };
    world.service.issue_token(&admin, supplied.clone()).await.unwrap();
    assert_eq!(kind(world.service.issue_token(&admin, supplied).await), Some(ErrorKind::Conflict));
    assert!(world.service.authenticate(&"x".repeat(100), &caller(2)).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_beget_tokens_and_a_refresh_token_works_once() {
    let world = World::new();
    let admin = world.admin().await;
    let new = NewAccount {
        name: "ann@example.com".into(),
        roles: vec![Role::Auditor],
        password: Some("ann's password".into()),
        ..NewAccount::default()
    };
    let ann = world.service.create_account(&admin, world.org(), new).await.unwrap();
    let login = world.service.login(None, " Ann@Example.COM ", "ann's password", &caller(3)).await.unwrap();
    assert_eq!((login.account, login.token), (ann.id, None));
    let refresh = NewToken { scopes: vec![Scope::Refresh], form: TokenForm::Refresh, ..token(&ann) };
    let (_, secret) = world.service.issue_token(&login, refresh.clone()).await.unwrap();
    let (_, access) =
        world.service.issue_token(&login, NewToken { scopes: vec![Scope::Read], ..token(&ann) }).await.unwrap();

    let by_token = world.service.authenticate(&access, &caller(3)).unwrap();
    assert_eq!(kind(world.service.issue_token(&by_token, token(&ann)).await), Some(ErrorKind::Forbidden));
    let by_refresh = world.service.authenticate(&secret, &caller(3)).unwrap();
    assert_eq!(kind(world.service.profile(&by_refresh)), Some(ErrorKind::Forbidden));
    assert!(matches!(world.service.redeem_refresh(&access, &caller(3)).await, Err(AuthenticateError::Failed(_))));

    let fresh = world.service.redeem_refresh(&secret, &caller(3)).await.unwrap();
    world.service.issue_token(&fresh, refresh).await.unwrap();
    assert!(matches!(world.service.redeem_refresh(&secret, &caller(3)).await, Err(AuthenticateError::Revoked)));

    // A new password ends what came from logging in.
    assert_eq!(kind(world.service.change_password(&fresh, "wrong", "another one").await), Some(ErrorKind::Forbidden));
    world.service.change_password(&fresh, "ann's password", "another one").await.unwrap();
    assert!(matches!(world.service.authenticate(&access, &caller(3)), Err(AuthenticateError::Revoked)));
    assert!(world.service.login(None, "ann@example.com", "another one", &caller(3)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_redeem_a_refresh_token_at_once_one_succeeds() {
    let world = World::new();
    let admin = world.admin().await;
    let account = world.service.profile(&admin).unwrap();
    for _ in 0..10 {
        let refresh = NewToken { scopes: vec![Scope::Refresh], form: TokenForm::Refresh, ..token(&account) };
        let (_, secret) = world.service.issue_token(&admin, refresh).await.unwrap();
        let (here, there) = (caller(1), caller(1));
        let (a, b) =
            tokio::join!(world.service.redeem_refresh(&secret, &here), world.service.redeem_refresh(&secret, &there));
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_tokens_of_one_account_are_bounded() {
    let world = World::new();
    let admin = world.admin().await;
    let account = world.service.profile(&admin).unwrap();
    let mut first = None;
    for _ in 0..201 {
        let (_, secret) = world.service.issue_token(&admin, token(&account)).await.unwrap();
        first.get_or_insert(secret);
    }
    assert!(matches!(world.service.authenticate(&first.unwrap(), &caller(1)), Err(AuthenticateError::Revoked)));
    let live = world.service.list_tokens(&admin, Some(account.id)).unwrap();
    assert_eq!(live.iter().filter(|token| token.revoked_at.is_none()).count(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_names_are_unique_and_the_last_administrator_stays() {
    let world = World::new();
    let admin = world.admin().await;
    let child = world.service.create_org(&admin, world.org(), "Child").await.unwrap();
    let new = |name: &str| NewAccount { name: name.into(), roles: vec![Role::Admin], ..NewAccount::default() };
    assert_eq!(
        kind(world.service.create_account(&admin, child.id, new(" ADMIN@example.com")).await),
        Some(ErrorKind::Conflict)
    );
    assert_eq!(kind(world.service.create_account(&admin, child.id, new("two words")).await), Some(ErrorKind::Invalid));
    let roleless = NewAccount { roles: vec![], ..new("x@example.com") };
    assert_eq!(kind(world.service.create_account(&admin, child.id, roleless).await), Some(ErrorKind::Invalid));

    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    assert_eq!(
        kind(world.service.update_account(&admin, admin.account, disable.clone()).await),
        Some(ErrorKind::Conflict)
    );
    // One below does not count: it cannot reach the top.
    world.service.create_account(&admin, child.id, new("below@example.com")).await.unwrap();
    assert_eq!(
        kind(world.service.update_account(&admin, admin.account, disable.clone()).await),
        Some(ErrorKind::Conflict)
    );
    let second = world.service.create_account(&admin, world.org(), new("second@example.com")).await.unwrap();
    world.service.update_account(&admin, admin.account, disable).await.unwrap();
    assert_eq!(second.display_name, "second@example.com");
    assert!(matches!(world.service.login(None, ADMIN, PASSWORD, &caller(1)).await, Err(service::LoginError::Disabled)));
}
