//! What was on the screens: searched in Lucene's syntax, in one session or over all of them; commands and titles.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use service::recordings::{
    ContentSearch, ContentsQuery, FOUND_SESSIONS_MAX, HITS_MAX, HITS_OF_SESSION_MAX, SessionQuery,
};
use service::search::content::ContentQuery;
use service::{Timestamp, Verb};

use super::super::call::{InOrg, reply};
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Problem, Result};
use super::content_schema::{Commands, FoundDocument, FoundSessions, HitDocument, Hits, UnsearchedDocument};
use super::schema::SessionDocument;
use super::{InSession, read};
use crate::Context;
use crate::lucene;

/// The field of words without a field: the text of the screen.
const FIELD: &str = "text";

const KNOWN: Known = Known { once: &["q", "after", "limit"], repeated: &[] };
const KNOWN_OF_COMMANDS: Known = Known { once: &["after", "limit"], repeated: &[] };
const KNOWN_OF_ALL: Known = Known {
    once: &["q", "sessions", "user", "client", "server", "protocol", "from", "to", "after", "limit", "hits"],
    repeated: &[],
};

/// Hits, or commands, of a page when nothing is said.
const LIMIT_DEFAULT: u64 = 100;
/// Most of them.
const LIMIT_MAX: u64 = 1_000;
/// Sessions with hits on a page when nothing is said.
const SESSIONS_DEFAULT: u64 = 20;
/// Hits of each of them when nothing is said.
const HITS_DEFAULT: u64 = 3;

/// Searches what was on the screen of one session: lines of text, commands (`command:`) and window titles (`title:`), in
/// Lucene's classic syntax, the best first. A hit says from which screen to which its text was there, and from when to when.
/// That somebody looked is an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/content", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("q" = String, Query, description = "such as `\"permission denied\" -root`, `err?r`, `nginx~1`, `command:sudo`"),
        ("after" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u64>, Query, description = "1 to 1,000; default 100"),
    ),
    responses(
        (status = 200, body = Hits),
        (status = 400, description = "the query does not read; it says where", body = Document),
        (status = 404, body = Document),
        (status = 409, description = "the session is still being recorded", body = Document),
    ))]
pub async fn search(State(context): State<Context>, at: InSession, RawQuery(query): RawQuery) -> Result<Response> {
    at.call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN)?;
    let (text, query) = asked(&parameters)?;
    let limit = read::limit_of(&parameters, "limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let after = parameters.number("after")?.unwrap_or(0);
    if after >= HITS_MAX as u64 {
        let detail = format!(
            "parameter after is {after}; of the hits of one session the best {HITS_MAX} can be had: ask for less"
        );
        return Err(Problem::invalid(detail));
    }
    let first = after as usize;
    let places = first..(first + limit).min(HITS_MAX);
    let end = places.end;
    let search = ContentSearch { query: query.clone(), places, what: text.to_owned() };
    let found = context.service.search_content(&at.call.who, at.call.org, at.session, search).await?;
    let next = (found.total > end as u64).then_some(end as u64);
    let hits = found.hits.into_iter().map(|hit| HitDocument::new(hit, Some(&query))).collect();
    Ok(reply(StatusCode::OK, &Hits { total: found.total, hits, next }))
}

/// Searches what was on the screens of all sessions, the one that started last first; filters narrow down which. A page may
/// be short, even empty, and still have a next one: it ends after 1,000 sessions or 10 seconds. That texts of a session were
/// shown is an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/content", tag = "sessions", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("q" = String, Query, description = "what is looked for, as in one session"),
    ("sessions" = Option<String>, Query, description = "in which sessions: a query as `q` of their list"),
    ("user" = Option<String>, Query, description = "a name the user has, at the gateway or on the server"),
    ("client" = Option<String>, Query, description = "the client's address or name"),
    ("server" = Option<String>, Query, description = "the server's address, name or id"),
    ("protocol" = Option<String>, Query, description = "such as `ssh`"),
    ("from" = Option<String>, Query, description = "started at this time (RFC 3339) or later"),
    ("to" = Option<String>, Query, description = "started before this time (RFC 3339)"),
    ("after" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u64>, Query, description = "sessions with hits, 1 to 100; default 20"),
    ("hits" = Option<u64>, Query, description = "hits of each, 1 to 100; default 3"),
), responses((status = 200, body = FoundSessions), (status = 400, body = Document)))]
pub async fn search_all(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN_OF_ALL)?;
    let (text, content) = asked(&parameters)?;
    let limit = read::limit_of(&parameters, "limit", SESSIONS_DEFAULT, FOUND_SESSIONS_MAX as u64)?;
    let hits_each = read::limit_of(&parameters, "hits", HITS_DEFAULT, HITS_OF_SESSION_MAX as u64)?;
    let (filter, after) = (read::wanted(&parameters, "sessions")?, read::after(&parameters)?);
    let sessions = SessionQuery { filter, after, limit };
    let asked = ContentsQuery { sessions, content: content.clone(), what: text.to_owned(), hits_each };
    let page = context.service.search_contents(&call.who, call.org, asked).await?;
    let found = page.found.into_iter().map(|one| FoundDocument {
        session: SessionDocument::from(one.session),
        total: one.hits.total,
        hits: one.hits.hits.into_iter().map(|hit| HitDocument::new(hit, Some(&content))).collect(),
    });
    let document = FoundSessions {
        sessions: found.collect(),
        unsearched: page.unsearched.into_iter().map(UnsearchedDocument::from).collect(),
        looked_into: page.looked_into,
        next: page.next.map(|next| next.to_string()),
    };
    Ok(reply(StatusCode::OK, &document))
}

/// The commands and window titles of a session, in the order in which they came. That somebody looked is an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/commands", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("after" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u64>, Query, description = "1 to 1,000; default 100"),
    ),
    responses(
        (status = 200, body = Commands),
        (status = 404, body = Document),
        (status = 409, description = "the session is still being recorded", body = Document),
    ))]
pub async fn commands(State(context): State<Context>, at: InSession, RawQuery(query): RawQuery) -> Result<Response> {
    at.call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN_OF_COMMANDS)?;
    let limit = read::limit_of(&parameters, "limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let after = usize::try_from(parameters.number("after")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let found = context.service.session_commands(&at.call.who, at.call.org, at.session).await?;
    let total = found.len() as u64;
    let commands: Vec<_> = found.into_iter().skip(after).take(limit).map(|hit| HitDocument::new(hit, None)).collect();
    let end = after.saturating_add(commands.len()) as u64;
    Ok(reply(StatusCode::OK, &Commands { total, commands, next: (end < total).then_some(end) }))
}

/// The query of a request, as it was written and as it is meant.
fn asked(parameters: &Parameters) -> Result<(&str, ContentQuery)> {
    let text = parameters.text("q").filter(|text| !text.trim().is_empty());
    let text = text
        .ok_or_else(|| Problem::invalid("parameter q is missing: what to look for, such as \"permission denied\""))?;
    let query = lucene::parse(text, FIELD).map_err(|error| Problem::invalid(format!("parameter q: {error}")))?;
    Ok((text, query))
}

/// Microseconds since 1970, for documents that tell places in a recording.
pub fn at(start: Timestamp, since_us: u64) -> Timestamp {
    let since = i64::try_from(since_us).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(start.as_microsecond().saturating_add(since)).unwrap_or(Timestamp::MAX)
}
