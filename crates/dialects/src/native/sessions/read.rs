//! Lists, single sessions, chunks, and the bytes of a recording.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use service::recordings::{RecordingReader, SESSIONS_PAGE_MAX, SessionCursor, SessionQuery, filter};
use service::search::{self, Query};
use service::{SessionId, Timestamp, Verb};

use super::super::call::{InOrg, blocking, reply};
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Problem, Result};
use super::InSession;
use super::schema::{ChunkDocument, Chunks, SessionDocument, Sessions};
use crate::Context;

/// Parameters that stand for one member of a session each.
const MEMBERS: &[(&str, &[&str])] = &[
    ("user", &["user", "user.name", "user.gateway_name", "user.server_names"]),
    ("client", &["client.address", "client.name"]),
    ("server", &["server.address", "server.name", "server.id"]),
    ("protocol", &["protocol"]),
    ("client_id", &["client_id"]),
];
const KNOWN: Known = Known {
    once: &["q", "user", "client", "server", "protocol", "client_id", "active", "from", "to", "after", "limit"],
    repeated: &[],
};
const KNOWN_OF_CHUNKS: Known = Known { once: &["after", "limit"], repeated: &[] };

/// Items of a page when nothing is said.
const LIMIT_DEFAULT: u64 = 100;

/// A page of sessions, the one that started last first. Filters narrow each other; upper and lower case do not count.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions", tag = "sessions", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("q" = Option<String>, Query, description = "a query: `actor:` finds users, `source:` clients, `target:` servers, `tag:\"path:value\"` any member of `recording` by its dotted path; bare words look into names, command and title"),
    ("user" = Option<String>, Query, description = "a name the user has, at the gateway or on the server"),
    ("client" = Option<String>, Query, description = "the client's address or name"),
    ("server" = Option<String>, Query, description = "the server's address, name or id"),
    ("protocol" = Option<String>, Query, description = "such as `ssh`"),
    ("client_id" = Option<String>, Query, description = "the recorder's own id"),
    ("active" = Option<bool>, Query, description = "those that are open, or those that are over"),
    ("from" = Option<String>, Query, description = "started at this time (RFC 3339) or later"),
    ("to" = Option<String>, Query, description = "started before this time (RFC 3339)"),
    ("after" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u64>, Query, description = "1 to 1,000; default 100"),
), responses((status = 200, body = Sessions), (status = 400, body = Document)))]
pub async fn list(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN)?;
    let (mut parts, after) = (vec![wanted(&parameters, "q")?], after(&parameters)?);
    if parameters.text("active").is_some() {
        parts.push(filter::active(parameters.flag("active")?));
    }
    let query = SessionQuery { filter: Query::And(parts), after, limit: limit(&parameters)? };
    let page = blocking(move || context.service.sessions(&call.who, call.org, &query, &|_| true)).await?;
    let sessions = page.sessions.into_iter().map(SessionDocument::from).collect();
    Ok(reply(StatusCode::OK, &Sessions { sessions, next: page.next.map(|next| next.to_string()) }))
}

fn limit(parameters: &Parameters) -> Result<usize> {
    limit_of(parameters, "limit", LIMIT_DEFAULT, SESSIONS_PAGE_MAX as u64)
}

/// How many a parameter asks for: 1 to `most`.
pub fn limit_of(parameters: &Parameters, name: &str, default: u64, most: u64) -> Result<usize> {
    match parameters.number(name)?.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit as usize),
        limit => Err(Problem::invalid(format!("parameter {name} is {limit}; it takes 1 to {most}"))),
    }
}

/// Where a page of sessions begins.
pub fn after(parameters: &Parameters) -> Result<Option<SessionCursor>> {
    let read = |text: &str| {
        text.parse().map_err(|_| Problem::invalid("parameter after is not the `next` of an earlier page of this list"))
    };
    parameters.text("after").map(read).transpose()
}

/// Which sessions the parameters of a list ask for; `query` names the one that holds a query.
pub fn wanted(parameters: &Parameters, query: &str) -> Result<Query> {
    let mut parts = Vec::new();
    if let Some(text) = parameters.text(query) {
        let read = search::parse::parse(text);
        parts.push(read.map_err(|error| Problem::invalid(format!("parameter {query}: {error}")))?);
    }
    for (name, paths) in MEMBERS {
        if let Some(value) = parameters.text(name) {
            parts.push(Query::Or(paths.iter().map(|path| filter::is(path, value)).collect()));
        }
    }
    let micros = |at: Timestamp| i64::try_from((at.as_nanosecond() + 999).div_euclid(1_000)).unwrap_or(i64::MAX);
    if let Some(from) = parameters.time("from")? {
        parts.push(filter::started_from(micros(from)));
    }
    if let Some(to) = parameters.time("to")? {
        parts.push(filter::started_until(micros(to).saturating_sub(1)));
    }
    Ok(Query::And(parts))
}

/// One session, and what is known of its content.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
    ),
    responses((status = 200, body = SessionDocument), (status = 404, body = Document)))]
pub async fn show(State(context): State<Context>, at: InSession) -> Result<Response> {
    at.call.must(&context, Verb::ViewSessions)?;
    let work = move || {
        let session = context.service.session(&at.call.who, at.call.org, at.session)?;
        let content = context.service.session_index(&session)?;
        Ok((session, content))
    };
    let (session, content) = blocking(work).await?;
    let mut document = SessionDocument::from(session);
    document.content = Some(content.into());
    Ok(reply(StatusCode::OK, &document))
}

/// The chunks of a recording, in order: which bytes have which hash, and which event says so.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/chunks", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("after" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u64>, Query, description = "1 to 1,000; default 100"),
    ),
    responses((status = 200, body = Chunks), (status = 404, body = Document)))]
pub async fn chunks(State(context): State<Context>, at: InSession, RawQuery(query): RawQuery) -> Result<Response> {
    at.call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN_OF_CHUNKS)?;
    let (after, limit) = (parameters.number("after")?, limit(&parameters)?);
    let work = move || context.service.session_chunks(&at.call.who, at.call.org, at.session, after, limit);
    let chunks = blocking(work).await?;
    let next = chunks.last().filter(|_| chunks.len() == limit).map(|chunk| chunk.number);
    Ok(reply(StatusCode::OK, &Chunks { chunks: chunks.into_iter().map(ChunkDocument::from).collect(), next }))
}

/// The bytes of a recording, all of them or a range, each chunk checked against the log before it is sent. That it was read
/// is an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/recording", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("Range" = Option<String>, Header, description = "one range of bytes, as in `bytes=1000-1999`; several are answered with all"),
    ),
    responses(
        (status = 200, description = "all of it", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "the range", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 404, body = Document),
        (status = 416, description = "the range begins after the end", body = Document),
    ))]
pub async fn recording(State(context): State<Context>, at: InSession, headers: HeaderMap) -> Result<Response> {
    at.call.must(&context, Verb::ViewSessions)?;
    let (who, org, id) = (at.call.who, at.call.org, at.session);
    let looked = {
        let (service, who) = (context.service.clone(), who.clone());
        blocking(move || service.session(&who, org, id)).await?
    };
    let range = match headers.get(header::RANGE).and_then(|value| range(value, looked.bytes)) {
        None => None,
        Some(Asked::Bytes(range)) => Some(range),
        Some(Asked::Beyond) => {
            let refused = Problem::range_not_satisfiable(looked.bytes);
            let length = HeaderValue::from_str(&format!("bytes */{}", looked.bytes)).expect("digits are ASCII");
            return Ok(([(header::CONTENT_RANGE, length)], refused).into_response());
        }
    };
    let reader = context.service.read_recording(&who, org, id, range.clone()).await?;
    let (given, total) = (reader.range(), reader.session().bytes);
    let tag = reader.session().ended.as_ref().map(|ended| format!("\"{}\"", hex::encode(ended.chunks_sha256)));
    let mut response = Body::from_stream(stream(reader, id)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(given.end - given.start));
    if let Some(tag) = tag {
        headers.insert(header::ETAG, HeaderValue::from_str(&tag).expect("hexadecimal is ASCII"));
    }
    if range.is_some() {
        let text = format!("bytes {}-{}/{total}", given.start, given.end - 1);
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&text).expect("digits are ASCII"));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

// Ends with an error where a chunk is not what was committed: the connection breaks off, so that nobody takes what came
// before it for the whole.
fn stream(
    reader: RecordingReader,
    id: SessionId,
) -> impl futures::Stream<Item = std::result::Result<bytes::Bytes, service::Error>> {
    futures::stream::unfold(Some(reader), move |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(reader))),
            Ok(None) => None,
            Err(error) => {
                tracing::error!(?error, session = %id, "a recording could not be read to its end");
                Some((Err(error), None))
            }
        }
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// These.
    Bytes(Range<u64>),
    /// Some that begin after the end.
    Beyond,
}

/// One range of bytes (RFC 9110 §14.1.2); `None` for what is no such thing, which is answered with all.
fn range(value: &HeaderValue, length: u64) -> Option<Asked> {
    let (first, last) = value.to_str().ok()?.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits_only.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (from, to) = match (first.trim(), last.trim()) {
        ("", suffix) => (length.saturating_sub(number(suffix).filter(|n| *n > 0)?), length),
        (first, "") => (number(first)?, length),
        (first, last) => (number(first)?, number(last)?.saturating_add(1)),
    };
    if to <= from && from < length {
        return None;
    }
    if from >= length { Some(Asked::Beyond) } else { Some(Asked::Bytes(from..to.min(length))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_anything_else_is_not_a_range() {
        let check = |text: &str, expected: Option<Asked>| {
            assert_eq!(range(&HeaderValue::from_str(text).unwrap(), 10), expected, "{text}");
        };
        check("bytes=0-0", Some(Asked::Bytes(0..1)));
        check("bytes=3-", Some(Asked::Bytes(3..10)));
        check("bytes=3-99", Some(Asked::Bytes(3..10)));
        check("bytes=-4", Some(Asked::Bytes(6..10)));
        check("bytes=-40", Some(Asked::Bytes(0..10)));
        check("bytes=10-", Some(Asked::Beyond));
        check("bytes=10-12", Some(Asked::Beyond));
        for other in
            ["bytes=5-3", "bytes=-0", "bytes=a-b", "bytes=-", "bytes=0-1,4-5", "lines=0-1", "bytes=+1-2", "0-1"]
        {
            check(other, None);
        }
    }
}
