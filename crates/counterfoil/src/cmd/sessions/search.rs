//! `sessions search`: what was on the screens, found; and a picture of it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{HOST, USER, first_of};
use crate::cli::SearchSessions;
use crate::client::{Client, escaped};
use crate::output::{self, text_at};

/// `counterfoil sessions search`
pub fn run(client: &Client, search: &SearchSessions, as_json: bool) -> anyhow::Result<()> {
    let org = client.org(search.org.as_deref())?;
    let first = match &search.session {
        Some(session) => in_one(client, &org, session, search, as_json)?,
        None => in_all(client, &org, search, as_json)?,
    };
    let Some(file) = &search.screenshot else { return Ok(()) };
    let Some((session, screen)) = first else { bail!("nothing was found, so there is no picture to write") };
    picture(client, &org, &session, screen, file)
}

/// The session and the screen of the first hit.
type First = Option<(String, u64)>;

fn in_one(client: &Client, org: &str, session: &str, search: &SearchSessions, as_json: bool) -> anyhow::Result<First> {
    let mut path = format!("/v1/orgs/{org}/sessions/{}/content?q={}", escaped(session), escaped(&search.query));
    path += &format!("&limit={}", search.limit);
    if let Some(after) = &search.after {
        path += &format!("&after={}", escaped(after));
    }
    let page = client.get(&path)?;
    let hits = items(&page, "hits")?;
    let first = hits.first().and_then(|hit| Some((session.to_owned(), screen_of(hit)?)));
    if as_json {
        output::json(&page)?;
        return Ok(first);
    }
    let rows: Vec<Vec<String>> = hits.iter().map(row).collect();
    output::table(&["SCORE", "SCREENS", "APPEARED", "GONE", "KIND", "TEXT"], &rows)?;
    eprintln!("{} found", text_at(&page, "/total"));
    if let Some(next) = page.get("next").and_then(Value::as_u64) {
        eprintln!("more: --after {next}");
    }
    Ok(first)
}

fn in_all(client: &Client, org: &str, search: &SearchSessions, as_json: bool) -> anyhow::Result<First> {
    if search.limit > SESSIONS_MAX {
        return Err(output::usage(format!("-n takes 1 to {SESSIONS_MAX} without --session")));
    }
    let mut base = format!("/v1/orgs/{org}/content?q={}&hits={}", escaped(&search.query), search.hits);
    let given = [
        ("sessions", &search.sessions),
        ("user", &search.user),
        ("client", &search.client),
        ("server", &search.host),
        ("protocol", &search.protocol),
        ("from", &search.from),
        ("to", &search.to),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            base += &format!("&{name}={}", escaped(value));
        }
    }
    // The server gives what it has after some seconds; go on until the page is full or nothing is left to look into.
    let (mut found, mut unsearched, mut looked_into) = (Vec::new(), Vec::new(), 0);
    let mut next = search.after.clone();
    loop {
        let mut path = format!("{base}&limit={}", search.limit - found.len() as u64);
        if let Some(after) = &next {
            path += &format!("&after={}", escaped(after));
        }
        let page = client.get(&path)?;
        found.extend(items(&page, "sessions")?.iter().cloned());
        unsearched.extend(items(&page, "unsearched")?.iter().cloned());
        looked_into += page.get("looked_into").and_then(Value::as_u64).unwrap_or(0);
        let before = next;
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if next.is_none() || found.len() as u64 >= search.limit {
            break;
        }
        if next == before {
            bail!("the server gives the same page again and again; it ends at {}", next.unwrap_or_default());
        }
    }
    let first = found.first().and_then(|one| {
        let screen = screen_of(one.pointer("/hits/0")?)?;
        Some((one.pointer("/session/id")?.as_str()?.to_owned(), screen))
    });
    if as_json {
        let all = json!({ "sessions": found, "unsearched": unsearched, "looked_into": looked_into, "next": next });
        output::json(&all)?;
        return Ok(first);
    }
    print(&found)?;
    for one in &unsearched {
        let why = match text_at(one, "/reason").as_str() {
            "recording" => "is still being recorded".to_owned(),
            "pending" => "is being indexed; search again".to_owned(),
            reason => format!("is {reason}: {}", text_at(one, "/detail")),
        };
        eprintln!("not searched: session {} {why}", text_at(one, "/session"));
    }
    eprintln!("{} of {looked_into} sessions", found.len());
    if let Some(next) = next {
        eprintln!("more: --after {next}");
    }
    Ok(first)
}

/// Most sessions with hits of one search.
const SESSIONS_MAX: u64 = 100;

fn print(found: &[Value]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut more = Vec::new();
    for one in found {
        let session = one.get("session").unwrap_or(&Value::Null);
        let hits = items(one, "hits")?;
        for hit in hits {
            let mut cells = vec![text_at(session, "/id"), first_of(session, &USER), first_of(session, &HOST)];
            cells.extend(row(hit));
            rows.push(cells);
        }
        let total = one.get("total").and_then(Value::as_u64).unwrap_or(0);
        if total > hits.len() as u64 {
            more.push(format!("{} hits in session {}: --session", total, text_at(session, "/id")));
        }
    }
    output::table(&["SESSION", "USER", "HOST", "SCORE", "SCREENS", "APPEARED", "GONE", "KIND", "TEXT"], &rows)?;
    more.iter().for_each(|line| eprintln!("{line}"));
    Ok(())
}

/// Score, screens, times, kind, text.
fn row(hit: &Value) -> Vec<String> {
    let screens = match (text_at(hit, "/first_screen"), text_at(hit, "/last_screen")) {
        (first, last) if first == last => first,
        (first, last) => format!("{first}-{last}"),
    };
    let score = hit.get("score").and_then(Value::as_f64).map(|score| format!("{score:.2}"));
    vec![
        score.unwrap_or_default(),
        screens,
        text_at(hit, "/appeared_at"),
        text_at(hit, "/disappeared_at"),
        text_at(hit, "/kind"),
        text_at(hit, "/text"),
    ]
}

fn screen_of(hit: &Value) -> Option<u64> {
    hit.get("clearest_screen").and_then(Value::as_u64)
}

fn items<'a>(page: &'a Value, name: &str) -> anyhow::Result<&'a [Value]> {
    let items = page.get(name).and_then(Value::as_array).map(Vec::as_slice);
    items.with_context(|| format!("the server's reply holds no {name}"))
}

fn picture(client: &Client, org: &str, session: &str, screen: u64, file: &Path) -> anyhow::Result<()> {
    let path = format!("/v1/orgs/{org}/sessions/{}/picture?number={screen}", escaped(session));
    let mut png = Vec::new();
    std::io::copy(&mut client.open(&path)?.into_reader(), &mut png).context("reading the picture")?;
    fs::write(file, png).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("screen {screen} of session {session} in {}", file.display());
    Ok(())
}
