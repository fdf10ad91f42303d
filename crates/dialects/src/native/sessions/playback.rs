//! A stretch of a recording for a player: where to begin, and what happened from there on.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use service::Verb;
use service::recordings::{Playback, PlaybackEvent, PlaybackWhat};
use utoipa::ToSchema;

use super::super::call::reply;
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Result};
use super::InSession;
use crate::Context;

const KNOWN: Known = Known { once: &["at"], repeated: &[] };

/// A stretch of a recording. Times are microseconds since its start.
#[derive(Serialize, ToSchema)]
#[schema(as = Playback)]
pub struct PlaybackDocument {
    /// When the stretch begins.
    pub start_us: u64,
    /// The terminal's width then.
    pub columns: u16,
    /// Its height.
    pub rows: u16,
    /// Its window title then.
    pub title: Option<String>,
    /// Text and control sequences that bring a blank terminal of that size to where it was.
    pub terminal: String,
    /// The last numbered screen up to there; 0 before the first.
    pub screen: u64,
    /// What happened, in order, each a list of time, code and data, as asciicast has it: `[1500000, "o", "text"]` for output,
    /// `"i"` for input, `"r"` with `"80x24"` for a resize, `"m"` with the text of a mark, `"x"` with an exit status. Characters that
    /// the recorder split are joined in the later of two events.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Value>,
    /// Where the next stretch begins; null at the end.
    pub next_us: Option<u64>,
    /// When the last event of the recording happened.
    pub duration_us: u64,
    /// Numbered screens of the recording.
    pub screens: u64,
    /// The session is still being recorded: the end that is told is how far it came, and may be asked for again.
    pub active: bool,
    /// Bytes of the recording that this was made of. If the session has more, the rest comes when one asks again.
    pub bytes: u64,
}

impl From<Playback> for PlaybackDocument {
    fn from(playback: Playback) -> PlaybackDocument {
        PlaybackDocument {
            start_us: playback.start_us,
            columns: playback.columns,
            rows: playback.rows,
            title: playback.title,
            terminal: playback.terminal,
            screen: playback.screen,
            events: playback.events.into_iter().map(event).collect(),
            next_us: playback.next_us,
            duration_us: playback.duration_us,
            screens: playback.screens,
            active: playback.is_active,
            bytes: playback.bytes,
        }
    }
}

fn event(event: PlaybackEvent) -> Value {
    let at = event.at_us;
    match event.what {
        PlaybackWhat::Output(text) => json!([at, "o", text]),
        PlaybackWhat::Input(text) => json!([at, "i", text]),
        PlaybackWhat::Resize(columns, rows) => json!([at, "r", format!("{columns}x{rows}")]),
        PlaybackWhat::Marker(text) => json!([at, "m", text]),
        PlaybackWhat::Exit(status) => json!([at, "x", status]),
    }
}

/// The stretch of a recording in which a time lies: some hundred kilobytes, found with one read however long the recording is.
/// Of a session that is still being recorded it is what came so far. That it was looked at is an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/playback", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("at" = Option<u64>, Query, description = "a time, in microseconds since the start; default 0; past the end: the last stretch"),
    ),
    responses(
        (status = 200, body = PlaybackDocument),
        (status = 404, body = Document),
        (status = 409, description = "it is still being recorded, in several files", body = Document),
    ))]
pub async fn playback(State(context): State<Context>, at: InSession, RawQuery(query): RawQuery) -> Result<Response> {
    at.call.must(&context, Verb::ViewSessions)?;
    let moment = Parameters::read(query.as_deref(), &KNOWN)?.number("at")?.unwrap_or(0);
    let playback = context.service.session_playback(&at.call.who, at.call.org, at.session, moment).await?;
    Ok(reply(StatusCode::OK, &PlaybackDocument::from(playback)))
}
