//! `sessions`: recorded sessions through the native API.

mod search;

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli::{self, WhichSessions};
use crate::client::{Client, escaped};
use crate::output::{self, text_at};

/// `counterfoil sessions`
pub fn run(command: &cli::Sessions) -> anyhow::Result<()> {
    match command {
        cli::Sessions::List { remote, which } => list(&Client::new(remote)?, which, remote.json),
        cli::Sessions::Show { remote, org, session } => {
            show(&Client::new(remote)?, org.as_deref(), session, remote.json)
        }
        cli::Sessions::Search { remote, search } => search::run(&Client::new(remote)?, search, remote.json),
        cli::Sessions::Download { remote, org, session, output } => {
            download(&Client::new(remote)?, org.as_deref(), session, output.as_deref(), remote.json)
        }
    }
}

fn list(client: &Client, which: &WhichSessions, as_json: bool) -> anyhow::Result<()> {
    let org = client.org(which.org.as_deref())?;
    let mut path = format!("/v1/orgs/{org}/sessions?limit={}", which.limit);
    let given = [
        ("q", Some(&which.query).filter(|query| !query.trim().is_empty())),
        ("user", which.user.as_ref()),
        ("client", which.client.as_ref()),
        ("server", which.host.as_ref()),
        ("protocol", which.protocol.as_ref()),
        ("from", which.from.as_ref()),
        ("to", which.to.as_ref()),
        ("after", which.after.as_ref()),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            path += &format!("&{name}={}", escaped(value));
        }
    }
    if which.active {
        path += "&active=true";
    }
    let page = client.get(&path)?;
    if as_json {
        return output::json(&page);
    }
    let sessions = page.get("sessions").and_then(Value::as_array).context("the server's reply holds no sessions")?;
    let rows: Vec<Vec<String>> = sessions.iter().map(row).collect();
    output::table(&["SESSION", "STARTED", "USER", "HOST", "BYTES", "STATE", "COMMAND"], &rows)?;
    if let Some(next) = page.get("next").and_then(Value::as_str) {
        eprintln!("more: --after {next}");
    }
    Ok(())
}

fn row(session: &Value) -> Vec<String> {
    vec![
        text_at(session, "/id"),
        text_at(session, "/started_at"),
        first_of(session, &USER),
        first_of(session, &HOST),
        text_at(session, "/bytes"),
        state(session),
        first_of(session, &["/recording/command", "/recording/title"]),
    ]
}

/// Members that may name the user, the best first.
const USER: [&str; 3] = ["/recording/user/gateway_name", "/recording/user/name", "/recording/user/server_names/0"];
/// Members that may name the server worked on, likewise.
const HOST: [&str; 2] = ["/recording/server/name", "/recording/server/address"];

/// The first of some members that is there, or a dash.
fn first_of(session: &Value, pointers: &[&str]) -> String {
    let texts = pointers.iter().map(|pointer| text_at(session, pointer));
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}

fn state(session: &Value) -> String {
    match text_at(session, "/ended/reason") {
        reason if reason.is_empty() => "open".to_owned(),
        reason => reason,
    }
}

fn show(client: &Client, org: Option<&str>, session: &str, as_json: bool) -> anyhow::Result<()> {
    let path = format!("/v1/orgs/{}/sessions/{}", client.org(org)?, escaped(session));
    let session = client.get(&path)?;
    if as_json {
        return output::json(&session);
    }
    let mut rows = vec![
        vec!["session".to_owned(), text_at(&session, "/id")],
        vec!["state".to_owned(), state(&session)],
        vec!["started".to_owned(), text_at(&session, "/started_at")],
        vec!["ended".to_owned(), text_at(&session, "/ended/at")],
        vec!["exit".to_owned(), text_at(&session, "/ended/exit")],
        vec!["bytes".to_owned(), text_at(&session, "/bytes")],
        vec!["chunks".to_owned(), text_at(&session, "/chunks")],
        vec!["content".to_owned(), text_at(&session, "/content/state")],
        vec!["damage".to_owned(), text_at(&session, "/content/damage/reason")],
        vec!["screens".to_owned(), text_at(&session, "/content/screens")],
        vec!["recorded by".to_owned(), text_at(&session, "/account")],
        vec!["its own id".to_owned(), text_at(&session, "/client_id")],
        vec!["first event".to_owned(), text_at(&session, "/seq")],
    ];
    members("", session.get("recording").unwrap_or(&Value::Null), &mut rows);
    rows.retain(|row| !row[1].is_empty());
    output::table(&["", ""], &rows)
}

/// What the recorder said, one row a member, by dotted path.
fn members(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(members_of) => {
            for (name, value) in members_of {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                members(&path, value, rows);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(path, item, rows)),
        Value::Null => {}
        Value::String(text) => rows.push(vec![path.to_owned(), output::printable(text)]),
        other => rows.push(vec![path.to_owned(), other.to_string()]),
    }
}

fn download(
    client: &Client,
    org: Option<&str>,
    session: &str,
    file: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<()> {
    let path = format!("/v1/orgs/{}/sessions/{}/recording", client.org(org)?, escaped(session));
    let mut body = client.open(&path)?.into_reader();
    let Some(file) = file else {
        io::copy(&mut body, &mut io::stdout().lock()).context("reading the recording")?;
        return Ok(());
    };
    // Under its own name a file is never half a recording.
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let mut out = fs::File::create(&part).with_context(|| format!("creating {}", part.display()))?;
    let bytes = io::copy(&mut body, &mut out).context("reading the recording")?;
    out.sync_all().context("writing the recording")?;
    fs::rename(&part, file).with_context(|| format!("naming the finished file {}", file.display()))?;
    if as_json {
        return output::json(&json!({ "bytes": bytes, "file": file }));
    }
    eprintln!("{bytes} bytes in {}", file.display());
    Ok(())
}
