//! Every route × every credential that must not work.
//!
//! Goal: no route can be added that nobody asked about access. Method: the table of routes itself says what is tried; for
//! each row a request is made that works with the right credential (checked first, as control), and then it is tried with
//! none, a wrong, an expired, a revoked, another organisation's and a too weak one. Routes for which no request can be
//! made stand in `routes_without_access_case.txt`, which may only shrink.

mod support;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use dialects::http::route::{Needs, RouteSpec};
use serde_json::Value;
use service::recordings::{Finish, NewSession, SessionInfo, SessionUser};
use service::{NewToken, Principal, Role, Scope, TokenForm, Verb};
use support::{PASSWORD, World, scoped_token, token};

/// How a credential fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    None,
    Wrong,
    Expired,
    Revoked,
    OtherOrganisation,
    /// The scope is there, the role is not.
    WeakRole,
    /// The role is there, the scope is not.
    WeakScope,
}

const BAD: [Bad; 7] =
    [Bad::None, Bad::Wrong, Bad::Expired, Bad::Revoked, Bad::OtherOrganisation, Bad::WeakRole, Bad::WeakScope];

#[tokio::test]
async fn no_route_lets_a_bad_credential_in() {
    let mut failures = Vec::new();
    for dialect in dialects::DIALECTS {
        for spec in dialect.routes {
            if spec.needs == Needs::Nothing || without_case().contains(&name(spec)) {
                continue;
            }
            // A world for each row: some requests end the token they use or change what they look at.
            let world = World::new().await;
            let ann = world.principal("ann@example.com").await;
            let right = right_credential(&world, dialect.name, &ann).await;
            if dialect.name == "native" && spec.path != "/v1/logout" {
                // The first use of a token is an event; let it be over before a request names the size of the log.
                world.send(world.request("GET", "/v1/me", Some(&right), "")).await;
                world.settled().await;
            }
            // The head only: one of the routes streams for ever.
            let status = world.send(request(&world, &ann, spec, Some(&right), false).await).await.status().as_u16();
            if [401, 403, 404, 405].contains(&status) || status >= 500 {
                failures.push(format!("{}: the right credential is answered with {status}", name(spec)));
            }
            for bad in BAD {
                let Some((credential, expected)) = bad_credential(&world, dialect.name, &ann, spec, bad).await else {
                    continue;
                };
                let elsewhere = bad == Bad::OtherOrganisation;
                let request = request(&world, &ann, spec, credential.as_deref(), elsewhere).await;
                let status = world.send(request).await.status().as_u16();
                if status != expected {
                    failures.push(format!("{}: {bad:?} is answered with {status}, not {expected}", name(spec)));
                }
            }
            world.service.shutdown().await;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn what_is_within_reach_of_another_organisation_names_none_of_ours() {
    let world = World::new().await;
    let org = world.org.to_string();
    for path in ["/v1/me", "/v1/orgs"] {
        let (status, body) = world.ask(world.request("GET", path, Some(&world.names["gil"]), Body::empty())).await;
        assert_eq!(status, 200, "{path}");
        let ours = [format!("\"id\":\"{org}\""), world.names["eu"].clone(), "ann@example.com".to_owned()];
        assert!(ours.iter().all(|name| !body.contains(name)), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_token_that_only_refreshes_is_let_in_nowhere() {
    let world = World::new().await;
    let ann = world.principal("ann@example.com").await;
    let refresh = NewToken {
        account: ann.account,
        scopes: vec![Scope::Refresh],
        org: None,
        name: String::new(),
        ttl: None,
        form: TokenForm::Refresh,
    };
    let (_, secret) = world.service.issue_token(&ann, refresh).await.unwrap();
    for spec in dialects::native::ROUTES.iter().filter(|spec| matches!(spec.needs, Needs::Verb(_))) {
        let status = world.ask(request(&world, &ann, spec, Some(&secret), false).await).await.0;
        assert_eq!(status, 403, "{}", name(spec));
    }
}

#[test]
fn the_list_of_routes_without_an_access_case_only_shrinks() {
    // Write a smaller number here when a line goes from the file; never a larger one.
    const LINES: usize = 0;
    let lines = without_case();
    assert_eq!(lines.len(), LINES, "{lines:?}");
    let routes: Vec<String> = dialects::DIALECTS.iter().flat_map(|dialect| dialect.routes).map(name).collect();
    for line in &lines {
        assert!(routes.contains(line), "{line} is no route any more; take it out of the file");
    }
}

fn without_case() -> Vec<String> {
    include_str!("routes_without_access_case.txt").lines().map(str::to_owned).collect()
}

fn name(spec: &RouteSpec) -> String {
    format!("{} {}", spec.method, spec.path)
}

/// A credential of the administrator of the top organisation, in the form the dialect takes; fresh each time.
async fn right_credential(world: &World, dialect: &str, ann: &Principal) -> String {
    match dialect {
        "octopai" => octopai_login(world, "ann@example.com").await,
        _ => token(&world.service, ann, ann.account, None).await,
    }
}

async fn bad_credential(
    world: &World,
    dialect: &str,
    ann: &Principal,
    spec: &RouteSpec,
    bad: Bad,
) -> Option<(Option<String>, u16)> {
    let names_an_organisation = spec.path.contains('{') || dialect == "octopai";
    match bad {
        Bad::None => Some((None, 401)),
        Bad::Wrong => Some((Some("cf_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()), 401)),
        Bad::Expired => {
            let secret = match dialect {
                "octopai" => octopai_login(world, "ann@example.com").await,
                _ => token(&world.service, ann, ann.account, Some(Duration::from_secs(7_200))).await,
            };
            world.clock.advance(7_201 * 1_000_000);
            Some((Some(secret), 401))
        }
        Bad::Revoked => {
            let secret = right_credential(world, dialect, ann).await;
            let tokens = world.service.list_tokens(ann, Some(ann.account)).unwrap();
            let newest = tokens.last().expect("it was just issued").id;
            world.service.revoke_token(ann, newest).await.unwrap();
            Some((Some(secret), 401))
        }
        // Which organisation is meant comes from the request where it names one; the others show one's own only,
        // which is a test of its own above.
        Bad::OtherOrganisation if !names_an_organisation => None,
        Bad::OtherOrganisation => match dialect {
            // At another customer's host name a token is no token.
            "octopai" => Some((Some(octopai_login(world, "gil@example.com").await), 401)),
            _ => Some((Some(world.names["gil"].clone()), 404)),
        },
        Bad::WeakRole => match dialect {
            "octopai" => Some((Some(octopai_login(world, "bob@example.com").await), 403)),
            _ => {
                let Needs::Verb(verb) = spec.needs else { return None };
                let role = Role::ALL.into_iter().find(|role| !verb.rule().roles.contains(role))?;
                let person = match role {
                    Role::Admin => "ann",
                    Role::Auditor => "bob",
                    Role::Sender => "sam",
                    Role::Extractor => "eve",
                };
                Some((Some(world.names[person].clone()), 403))
            }
        },
        Bad::WeakScope => {
            let Needs::Verb(verb) = spec.needs else { return None };
            let needed = verb.rule().scope?;
            if dialect == "octopai" {
                return None;
            }
            let scopes = Scope::ALL.into_iter().filter(|scope| *scope != needed && *scope != Scope::Refresh).collect();
            Some((Some(scoped_token(&world.service, ann, ann.account, None, scopes).await), 403))
        }
    }
}

/// A request of this route that the administrator of the top organisation may make. `elsewhere`: as somebody of another
/// organisation would make it, about what is not theirs.
async fn request(
    world: &World,
    ann: &Principal,
    spec: &RouteSpec,
    credential: Option<&str>,
    elsewhere: bool,
) -> Request<Body> {
    let id = if spec.path.starts_with("/v1/tokens") {
        let _ = token(&world.service, ann, ann.account, None).await;
        world.service.list_tokens(ann, Some(ann.account)).unwrap().last().expect("just issued").id.to_string()
    } else {
        ann.account.to_string()
    };
    if spec.path.contains("/keys/") {
        // The second time it is there already.
        let _ = world.service.add_key(ann, world.org, KEY_NAME, KEY).await;
    }
    // Only what is over can be looked into.
    const LOOKS: [&str; 6] = ["/content", "/commands", "/screen", "/picture", "/replay", "/playback"];
    let looks = LOOKS.iter().any(|end| spec.path.ends_with(end));
    let session = match spec.path.contains("{session}") {
        false => String::new(),
        true if looks => recorded(world, ann).await,
        true => {
            // The same one each time.
            let new = NewSession { client_id: Some("case".to_owned()), ..NewSession::default() };
            world.service.start_session(ann, world.org, new).await.unwrap().0.id.to_string()
        }
    };
    let is_sps = dialects::sps::ROUTES.contains(spec);
    let id = if is_sps && spec.path.contains("{id}") { recorded(world, ann).await } else { id };
    if spec.path.contains("{user}") {
        recorded(world, ann).await;
        world.settled().await;
    }
    let session = match spec.path.ends_with("/score") {
        false => session,
        true => {
            let session = recorded(world, ann).await;
            // It has its score a moment later.
            world.settled().await;
            session
        }
    };
    if spec.path.ends_with("/screenshots/{record}") {
        // Only what was drawn can be fetched.
        let cookie = format!("session_id={}", token(&world.service, ann, ann.account, None).await);
        let mut draw = world.request("POST", &format!("/api/audit/sessions/{id}/_generate?record_ids=1"), None, "");
        draw.headers_mut().insert("cookie", cookie.parse().unwrap());
        let (status, reply) = world.ask(draw).await;
        assert_eq!(status, 200, "{reply}");
    }
    let note = match spec.path.contains("/key-notes/") {
        false => String::new(),
        true => {
            let rotated = world.service.rotate_log_key(ann, world.org, "a case", None).await.unwrap();
            (rotated.number - 1).to_string()
        }
    };
    let rest = match spec.path {
        path if path.contains("/key-notes/") => &note,
        path if path.contains("/tile/") => "0/000.p/1",
        path if path.contains("/checkpoint/") => &world.service.head(ann, world.org).unwrap().size.to_string(),
        _ => "0",
    };
    let path = spec
        .path
        .replace("{org}", &world.names["org"])
        .replace("{tenant}", "acme")
        .replace("{log}", &world.names["log"])
        .replace("{id}", &id)
        .replace("{seq}", "1")
        .replace("{name}", KEY_NAME)
        .replace("{session}", &session)
        .replace("{record}", "1")
        .replace("{user}", "carl")
        .replace("{*rest}", rest)
        .replace("{rest}", rest);
    let path = match path.rsplit('/').next() {
        Some("_generate") => path + "?record_ids=1",
        Some("content") if !is_sps => path + "?q=hello",
        Some("screen" | "picture") => path + "?number=1",
        Some("stats") => path + "?field=protocol",
        Some("histogram") => path + "?field=start_time",
        Some("extends") => path + "?from=1",
        Some("evidence") => path + "?seq=1",
        Some("chunks") if spec.method == "POST" => path + "?offset=0",
        Some("timestamps") if spec.method == "GET" => path + "?size=1",
        _ => path,
    };
    // Bodies that do no harm: what is asked about is who may ask.
    let body = match (spec.method, spec.path) {
        ("POST", "/v1/orgs") => r#"{"name":"made"}"#,
        ("PATCH", "/v1/orgs/{org}") => r#"{"name":"Acme"}"#,
        ("POST", "/v1/orgs/{org}/events") => r#"{"action":"tried"}"#,
        ("GET", _) => "",
        _ => "{}",
    };
    if is_sps {
        let mut request = world.request(spec.method, &path, None, body);
        if let Some(secret) = credential {
            request.headers_mut().insert("cookie", format!("session_id={secret}").parse().unwrap());
        }
        return request;
    }
    let mut request = world.request(spec.method, &path, credential, body);
    if elsewhere && spec.path.starts_with("/api/UserAccount") {
        let slug = world.service.get_org(ann, world.org).unwrap().slug;
        request.headers_mut().insert("host", format!("{slug}.example.com").parse().unwrap());
    }
    request
}

/// A recorded session, the same one each time.
async fn recorded(world: &World, ann: &Principal) -> String {
    let user = SessionUser { name: Some("carl".to_owned()), ..SessionUser::default() };
    let info = SessionInfo { user, ..SessionInfo::default() };
    let new = NewSession { client_id: Some("recorded".to_owned()), info };
    let (session, is_there) = world.service.start_session(ann, world.org, new).await.unwrap();
    if !is_there {
        let bytes = "{\"version\":2,\"width\":80,\"height\":24}\n[0.5,\"o\",\"hello\"]\n";
        world.service.append_chunk(ann, world.org, session.id, 0, bytes.into()).await.unwrap();
        world.service.finish_session(ann, world.org, session.id, Finish::default()).await.unwrap();
    }
    session.id.to_string()
}

const KEY_NAME: &str = "collector";
/// Of `specs/vectors/seccure.json`, `url-record`.
const KEY: &str = "+_H}sR>M>P;S15aqNpzx?Qv>H9D*%,/-{Fb}euo4";

async fn octopai_login(world: &World, login: &str) -> String {
    let body = format!(r#"{{"Username":"{login}","Password":"{PASSWORD}"}}"#);
    let (status, reply) = world.ask(world.request("POST", "/api/UserAccount/Login", None, body)).await;
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!((status, &reply["error"]), (200, &Value::Null), "{reply}");
    reply["accessToken"].as_str().unwrap().to_owned()
}

#[test]
fn the_verbs_that_routes_need_are_in_the_access_table() {
    let verbs = dialects::DIALECTS.iter().flat_map(|dialect| dialect.routes).filter_map(|spec| match spec.needs {
        Needs::Verb(verb) => Some(verb),
        Needs::Nothing | Needs::Credential => None,
    });
    for verb in verbs {
        assert!(Verb::ALL.contains(&verb) && !verb.rule().roles.is_empty(), "{verb:?}");
    }
}
