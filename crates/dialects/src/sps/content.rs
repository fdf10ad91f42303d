//! What was on the screen: searched in Lucene syntax, listed as commands, and the state of the index behind both.

use axum::response::Response;
use serde_json::{Value, json};
use service::ErrorKind;
use service::Service;
use service::recordings::{ContentHit, ContentSearch, HITS_MAX, IndexState, Session};
use service::search::content::ContentQuery;

use super::body::Known;
use super::call::Call;
use super::error::Failure;
use super::message::{list, time_of_event, time_of_hit};
use super::parts;
use super::sessions::find;
use crate::lucene;

/// The field of words without a field: the text of the screen.
const FIELD: &str = "text";

/// Reads a query; a bad one is refused with its place.
pub fn read(text: &str, parameter: &str) -> Result<ContentQuery, Failure> {
    lucene::parse(text, FIELD).map_err(|error| Failure::unparsable(parameter, text, error.at, error.message))
}

/// As [`read`], for those who only want to know.
pub fn check(text: &str, parameter: &str) -> Result<(), Failure> {
    read(text, parameter).map(drop)
}

/// `GET .../content?q=`.
pub async fn search(service: &Service, call: &Call) -> Result<Response, Failure> {
    let parameters = call.parameters()?;
    let id = call.session_id()?;
    let Some(text) = parameters.filled("q") else {
        // Nothing asked for is nothing found, but only of a session that there is.
        let (service, asking) = (service.clone(), call.clone());
        super::blocking(move || find(&service, &asking).map(drop)).await?;
        return Ok(list(Vec::new(), call.meta()));
    };
    let query = read(text, "q")?;
    let search = ContentSearch { query, places: 0..HITS_MAX, what: text.to_owned() };
    let found = service.search_content(&call.who, call.org, id, search).await;
    let found = match found {
        // Nothing is indexed yet: there are no hits, as the vendor says.
        Err(error) if error.kind == ErrorKind::Conflict => return Ok(list(Vec::new(), call.meta())),
        other => other.map_err(|error| call.refused(&error))?,
    };
    Ok(list(found.hits.iter().map(|hit| item(hit, &id.to_string())).collect(), call.meta()))
}

fn item(hit: &ContentHit, trail: &str) -> Value {
    let span = &hit.span;
    json!({
        "channel.id": 0,
        "start_time": time_of_hit(hit.appeared_at),
        "end_time": time_of_hit(hit.disappeared_at),
        "rank": rank(hit.score),
        "record_id": {"begin": span.first, "end": span.last, "for_screenshot": span.clearest},
        "trail_id": trail,
    })
}

/// The score with the digits that it has, not those that its next larger type would make up.
fn rank(score: f32) -> f64 {
    score.to_string().parse().unwrap_or_else(|_| f64::from(score))
}

/// `GET .../events`: the commands that were run, and the titles of windows.
pub fn events(service: &Service, call: &Call) -> Result<Response, Failure> {
    let id = call.session_id()?;
    let runtime = tokio::runtime::Handle::current();
    let found = match runtime.block_on(service.session_commands(&call.who, call.org, id)) {
        Err(error) if error.kind == ErrorKind::Conflict => Vec::new(),
        other => other.map_err(|error| call.refused(&error))?,
    };
    let item = |hit: &ContentHit| {
        let is_title = hit.span.kind == service::replay::span::Kind::Title;
        json!({
            "action": hit.span.text,
            "channels_id": "0",
            "content": hit.span.text,
            "record_id": hit.span.clearest,
            "time": time_of_event(hit.appeared_at),
            "type": if is_title { "title" } else { "command" },
        })
    };
    parts::page(call, found.iter().map(item).collect())
}

/// `GET .../indexing`.
pub fn indexing(service: &Service, call: &Call) -> Result<Response, Failure> {
    let session = find(service, call)?;
    let state = service.session_index(&session).map_err(|error| call.refused(&error))?;
    let mut item = json!({
        "config": {
            "command": {"enabled": true},
            "keyboard": {"enabled": false, "buffer_interval": null},
            "mouse": {"enabled": false},
            "near_realtime": false,
            "ocr_languages": [],
            "screen": {"enabled": true},
            "title": {"enabled": true},
        },
        "status": status(&state),
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let IndexState::Indexed(summary) = &state {
        let made_ms = summary.made_at_us / 1_000;
        item["statistics"] = json!({
            "cpu_time": summary.took_us / 1_000,
            "duration": summary.took_us / 1_000,
            "start_time": made_ms,
        });
        if let Some(damage) = &summary.damage {
            item["error"] = json!(damage);
        }
    }
    parts::page(call, vec![item])
}

/// The vendor's words for the state of an index.
fn status(state: &IndexState) -> &'static str {
    match state {
        IndexState::Recording => "RECORDING",
        IndexState::Pending => "PENDING",
        IndexState::Indexed(summary) if summary.damage.is_some() => "COMPLETED_WITH_ERRORS",
        IndexState::Indexed(_) => "COMPLETED",
    }
}

/// What a session's body says of its content.
pub fn known(service: &Service, call: &Call, session: &Session) -> Known {
    let score = service.session_score(&call.who, session.org, session.id).unwrap_or_else(|error| {
        tracing::warn!(?error, session = %session.id, "the score of a session is not known");
        None
    });
    let indexed = match service.session_index(session) {
        Ok(IndexState::Indexed(summary)) => Known {
            index_status: Some("INDEXED"),
            has_commands: summary.has_commands,
            has_titles: summary.has_titles,
            interesting: summary.interesting,
            score: None,
        },
        Ok(IndexState::Recording) => Known { index_status: Some("INDEXING_NOT_REQUIRED"), ..Known::default() },
        Ok(IndexState::Pending) => Known { index_status: Some("INDEXING_IN_PROGRESS"), ..Known::default() },
        Err(error) => {
            tracing::warn!(?error, session = %session.id, "the state of an index is not known");
            Known::default()
        }
    };
    Known { score, ..indexed }
}

/// Whether what was on a session's screen matches, for the filter of a list.
pub fn has(service: &Service, call: &Call, session: &Session, text: &str) -> Result<bool, Failure> {
    let query = read(text, "q")?;
    match service.content_matches(session, &query) {
        Ok(matches) => Ok(matches),
        // One recording that does not read must not hide all others.
        Err(error) if error.kind == ErrorKind::Corrupt => {
            tracing::warn!(?error, session = %session.id, "a recording is left out of a search of contents");
            Ok(false)
        }
        Err(error) => Err(call.refused(&error)),
    }
}
