//! Exact requests and exact replies: `tests/golden/<dialect>/*.http`, nothing masked.
//!
//! Goal: a change of any byte that a client sees is a change of a file that people review. Method: each file starts from
//! the same small world (`support`), with a clock that stands still and seeded randomness, and plays its requests in
//! order. `BLESS=1` writes the replies that came into the files; read that diff like code.
//!
//! Steps besides `Request` and `Reply`: `Clock +90s` moves the clock, `From 198.51.100.4` changes the caller's address,
//! `Let token /accessToken` keeps a part of the last reply (a JSON pointer) for `{{token}}` in later requests,
//! `Role search-minion` makes the node one of that role,
//! `Token name {…}` makes an unsigned event token of these claims for `{{name}}`, and `Claims` shows what the event tokens of
//! the last reply say, one line each: written like a reply, for the eyes of whoever reviews.

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use support::World;
use support::script::{self, Script};

#[tokio::test]
async fn native_replies_are_those_of_the_golden_files() {
    play_all("native").await;
}

#[tokio::test]
async fn octopai_replies_are_those_of_the_golden_files() {
    play_all("octopai").await;
}

#[tokio::test]
async fn silo_replies_are_those_of_the_golden_files() {
    play_all("silo").await;
}

#[tokio::test]
async fn activid_replies_are_those_of_the_golden_files() {
    play_all("activid").await;
}

#[tokio::test]
async fn sps_replies_are_those_of_the_golden_files() {
    play_all("sps").await;
}

#[test]
fn every_dialect_has_golden_files() {
    for dialect in dialects::DIALECTS {
        let files = files(dialect.name);
        assert!(!files.is_empty(), "tests/golden/{} holds no .http file", dialect.name);
    }
}

fn files(dialect: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(dialect);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "http"));
    files.sort();
    files
}

async fn play_all(dialect: &str) {
    let bless = std::env::var_os("BLESS").is_some();
    let mut differing = Vec::new();
    for path in files(dialect) {
        let before = std::fs::read_to_string(&path).unwrap();
        let after = play(Script::read(&before)).await;
        if after == before {
            continue;
        }
        if bless {
            std::fs::write(&path, &after).unwrap();
        } else {
            let first = before.lines().zip(after.lines()).find(|(old, new)| old != new);
            let (old, new) = first.unwrap_or(("(the end)", "(more or fewer lines)"));
            differing.push(format!("{}\n  expected: {old}\n  came:     {new}", path.display()));
        }
    }
    assert!(differing.is_empty(), "golden files differ (BLESS=1 rewrites them):\n{}", differing.join("\n"));
}

/// Plays a script and returns its text with the replies that came.
async fn play(mut script: Script) -> String {
    let mut world = World::new().await;
    let mut reply: Option<(String, String)> = None;
    let mut sections = std::mem::take(&mut script.sections).into_iter().peekable();
    while let Some(section) = sections.next() {
        match section.word.as_str() {
            "Request" => {
                let text = filled(&section.text, &world);
                let came = shown(world.send(request(&script::Request::read(&text))).await).await;
                world.settled().await;
                script.sections.push(section);
                let text = came.0.clone();
                reply = Some(came);
                // What the file says is replaced by what came; a request without a reply gets one.
                sections.next_if(|next| next.word == "Reply");
                script.sections.push(script::Section { word: "Reply".to_owned(), rest: String::new(), text });
                continue;
            }
            "Clock" => {
                let seconds = section.rest.strip_prefix('+').and_then(|rest| rest.strip_suffix('s')).unwrap();
                world.clock.advance(seconds.parse::<u64>().unwrap() * 1_000_000);
                // What is due now is written now, not with whichever request the next tick falls between.
                world.settled().await;
            }
            "From" => world.peer = section.rest.parse().unwrap(),
            "Let" => {
                let (name, pointer) = section.rest.split_once(' ').unwrap();
                let (_, body) = reply.as_ref().expect("Let comes after a reply");
                let json: serde_json::Value = serde_json::from_str(body).expect("Let needs a reply of JSON");
                let value = json.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {body}"));
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                world.names.insert(name.to_owned(), value);
            }
            "Token" => {
                let (name, claims) = section.rest.split_once(' ').unwrap();
                let token = format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(claims));
                world.names.insert(name.to_owned(), token);
            }
            "Role" => world.take_role(section.rest.parse().unwrap()),
            "Claims" => {
                let (_, body) = reply.as_ref().expect("Claims come after a reply");
                script.sections.push(script::Section { text: claims(body), ..section });
                continue;
            }
            other => panic!("unknown step {other}"),
        }
        script.sections.push(section);
    }
    world.service.shutdown().await;
    script.write()
}

fn filled(text: &str, world: &World) -> String {
    world.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

/// What the event tokens of a reply say.
fn claims(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).expect("Claims need a reply of JSON");
    let tokens = body["eventTokens"].as_array().expect("Claims need event tokens");
    let claims = tokens.iter().map(|token| {
        let parts: Vec<&str> = token.as_str().unwrap().split('.').collect();
        let ["eyJhbGciOiJub25lIn0", claims, ""] = parts[..] else { panic!("no unsigned token: {token}") };
        String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    });
    claims.collect::<Vec<_>>().join("\n")
}

fn request(request: &script::Request) -> Request<Body> {
    let mut builder = Request::builder().method(request.method.as_str()).uri(&request.target);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(request.body.clone())).unwrap()
}

/// The reply as the file shows it, and its body alone.
async fn shown(response: Response<Body>) -> (String, String) {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut text = format!("{}\n", parts.status);
    let mut headers: Vec<String> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.sort();
    for header in headers {
        writeln!(text, "{header}").unwrap();
    }
    let body = match String::from_utf8(body.to_vec()) {
        Ok(text) => text,
        Err(bytes) => hex::encode(bytes.into_bytes()),
    };
    if !body.is_empty() {
        write!(text, "\n{body}").unwrap();
    }
    (text.trim_end_matches('\n').to_owned(), body)
}
