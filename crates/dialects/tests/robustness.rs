//! Whatever is sent, no route answers with a status of 500 or above.
//!
//! Goal: a parser that faces the outside neither panics nor blames the server for what a caller did. Method: for every
//! route of every table, bodies, queries and path parts at random, with a credential that is let in.

mod support;

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::World;

/// Bytes as an attacker would choose them: noise, JSON of the wrong shape, and nearly right documents.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let member = prop::sample::select(vec![
        "id",
        "action",
        "kind",
        "outcome",
        "actor",
        "source",
        "targets",
        "attributes",
        "origin",
        "occurred_at",
        "login",
        "password",
        "name",
        "parent",
        "roles",
        "scopes",
        "ttl_seconds",
        "form",
        "account",
        "old",
        "new",
        "disabled",
        "Username",
        "Password",
        "refreshToken",
        "PageNumber",
        "RowsInPage",
        "schemas",
        "eventToken",
        "filter",
        "count",
        "startIndex",
    ]);
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        ".{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
        Just("[[[[{}]]]]".to_owned()),
        Just("{\"a\":{\"b\":[1,2,{\"c\":null}]}}".to_owned()),
        Just("[".repeat(2_000)),
        Just("\"\\ud800\"".to_owned()),
        Just("18446744073709551616".to_owned()),
    ];
    let object = prop::collection::vec((member, value), 0..6).prop_map(|members| {
        let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        object.clone().prop_map(String::into_bytes),
        prop::collection::vec(object, 0..4).prop_map(|objects| format!("[{}]", objects.join(",")).into_bytes()),
        ".{0,100}".prop_map(String::into_bytes),
    ]
}

fn headers() -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>)> {
    let media = prop::sample::select(vec![None, Some("application/json"), Some("application/x-ndjson"), Some("ü/x")]);
    let encoding = prop::sample::select(vec![None, None, None, Some("gzip"), Some("zstd"), Some("br")]);
    (media, encoding)
}

/// A part of a path or a query, escaped at random.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9_./%]{0,12}",
        prop::collection::vec(any::<u8>(), 0..12)
            .prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>()),
        Just("18446744073709551616".to_owned()),
        Just("Acme%2FEU".to_owned()),
    ]
}

#[test]
fn no_request_makes_the_server_blame_itself() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let secret = runtime.block_on(octopai_token(&world));
    for dialect in dialects::DIALECTS {
        for spec in dialect.routes {
            // Logging out would end the credential that the rest needs; it reads nothing.
            if spec.path == "/v1/logout" || spec.path == "/v1/me/password" {
                continue;
            }
            let credential = if dialect.name == "octopai" { &secret } else { &world.names["ann"] };
            let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
            let input = (bodies(), headers(), text(), text(), any::<bool>());
            let tried = runner.run(&input, |(body, (media, encoding), part, query, known)| {
                let path = spec
                    .path
                    .replace("{org}", if known { &world.names["org"] } else { &part })
                    .replace("{tenant}", if known { "acme" } else { &part })
                    .replace("{log}", if known { &world.names["log"] } else { &part })
                    .replace("{id}", &part)
                    .replace("{seq}", &part)
                    .replace("{*rest}", &part)
                    .replace("{rest}", &part);
                let target = if query.is_empty() { path } else { format!("{path}?{query}={part}") };
                let mut request = Request::builder().method(spec.method).uri(&target);
                request = request.header("authorization", format!("Bearer {credential}"));
                if let Some(media) = media {
                    request = request.header("content-type", media);
                }
                if let Some(encoding) = encoding {
                    request = request.header("content-encoding", encoding);
                }
                let Ok(request) = request.body(Body::from(body)) else { return Ok(()) };
                let status = runtime.block_on(world.send(request)).status().as_u16();
                prop_assert!(status < 500, "{} {target} answers {status}", spec.method);
                Ok(())
            });
            if let Err(failure) = tried {
                panic!("{} {}: {failure}", spec.method, spec.path);
            }
        }
    }
}

async fn octopai_token(world: &World) -> String {
    let body = format!(r#"{{"Username":"ann@example.com","Password":"{}"}}"#, support::PASSWORD);
    let (_, reply) = world.ask(world.request("POST", "/api/UserAccount/Login", None, body)).await;
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    reply["accessToken"].as_str().unwrap().to_owned()
}
