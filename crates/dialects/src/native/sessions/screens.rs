//! A moment of a session: as text, as a picture; and everything from a moment on, for a player.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use service::recordings::{Moment, SessionReplay};
use service::replay::format::asciicast::{Version, Writer};
use service::replay::format::{Event, Format, Header, What};
use service::{ErrorKind, Verb};

use super::super::call::{blocking, reply};
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Problem, Result};
use super::super::wire::time;
use super::InSession;
use super::content::at;
use super::content_schema::ScreenDocument;
use crate::Context;

const KNOWN: Known = Known { once: &["number", "at_us"], repeated: &[] };
const KNOWN_OF_REPLAY: Known = Known { once: &["from_us", "until_us"], repeated: &[] };

/// Says of a picture which screen it shows.
const SCREEN: HeaderName = HeaderName::from_static("counterfoil-screen");
/// Says of a picture when that was, in microseconds after the start of the recording.
const AT_US: HeaderName = HeaderName::from_static("counterfoil-at-us");

/// Bytes of a replay that are sent at once.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const PIECES_MAX: usize = 4;

/// The text of a screen: of the screen with this number, or of this moment. That somebody looked is an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/screen", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("number" = Option<u64>, Query, description = "the number of a screen, from 1; this or `at_us`"),
        ("at_us" = Option<u64>, Query, description = "microseconds after the start of the recording; later than the end is the end"),
    ),
    responses(
        (status = 200, body = ScreenDocument),
        (status = 404, description = "no such session, or no screen of this number", body = Document),
        (status = 409, description = "the session is still being recorded", body = Document),
    ))]
pub async fn screen(State(context): State<Context>, asking: InSession, RawQuery(query): RawQuery) -> Result<Response> {
    asking.call.must(&context, Verb::ViewSessions)?;
    let moment = moment(&Parameters::read(query.as_deref(), &KNOWN)?)?;
    let (who, org, id) = (asking.call.who, asking.call.org, asking.session);
    let shown = context.service.session_screen(&who, org, id, moment).await?;
    let shown = shown.ok_or_else(|| no_screen(moment))?;
    let session = blocking(move || context.service.session(&who, org, id)).await?;
    let when = time(at(session.started_at, shown.at_us));
    Ok(reply(StatusCode::OK, &ScreenDocument::new(shown.number, shown.at_us, when, &shown.screen)))
}

/// The picture of a screen: of the screen with this number, or of this moment. The same bytes each time. That it was made is
/// an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/picture", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("number" = Option<u64>, Query, description = "the number of a screen, from 1; this or `at_us`"),
        ("at_us" = Option<u64>, Query, description = "microseconds after the start of the recording; later than the end is the end"),
    ),
    responses(
        (status = 200, description = "9 pixels for each column and 18 for each row", content_type = "image/png", body = Vec<u8>,
            headers(
                ("Counterfoil-Screen" = u64, description = "the last screen that was numbered up to then; 0 before the first"),
                ("Counterfoil-At-Us" = u64, description = "when the last event up to then happened"),
            )),
        (status = 404, description = "no such session, or no screen of this number", body = Document),
        (status = 409, description = "the session is still being recorded", body = Document),
        (status = 413, description = "the screen is larger than is drawn", body = Document),
    ))]
pub async fn picture(State(context): State<Context>, asking: InSession, RawQuery(query): RawQuery) -> Result<Response> {
    asking.call.must(&context, Verb::ViewSessions)?;
    let moment = moment(&Parameters::read(query.as_deref(), &KNOWN)?)?;
    let picture = context.service.session_picture(&asking.call.who, asking.call.org, asking.session, moment).await?;
    let picture = picture.ok_or_else(|| no_screen(moment))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/png")),
        // Whoever may see it now may not for ever.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (SCREEN, HeaderValue::from(picture.screen)),
        (AT_US, HeaderValue::from(picture.at_us)),
    ];
    Ok((headers, picture.png).into_response())
}

/// A session from a moment on, whatever it was recorded by, as asciicast v2: the screen as it was then as the first event,
/// then what came after it. Times are seconds since the start of the recording. A reader that has enough hangs up. That it
/// was read is an event.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/replay", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("from_us" = Option<u64>, Query, description = "microseconds after the start of the recording; default 0"),
        ("until_us" = Option<u64>, Query, description = "nothing later than this; default: to the end"),
    ),
    responses(
        (status = 200, description = "one JSON value on each line", content_type = "application/x-asciicast", body = String),
        (status = 404, body = Document),
        (status = 409, description = "the session is still being recorded", body = Document),
    ))]
pub async fn replay(State(context): State<Context>, asking: InSession, RawQuery(query): RawQuery) -> Result<Response> {
    asking.call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN_OF_REPLAY)?;
    let (from_us, until_us) = (parameters.number("from_us")?.unwrap_or(0), parameters.number("until_us")?);
    if until_us.is_some_and(|until_us| until_us < from_us) {
        return Err(Problem::invalid("parameter until_us is less than from_us"));
    }
    let (who, org, id) = (asking.call.who, asking.call.org, asking.session);
    let replay = context.service.session_replay(&who, org, id, from_us, until_us).await?;
    let (sender, receiver) = tokio::sync::mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || send(&replay, sender));
    let pieces = futures::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-asciicast")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

fn moment(parameters: &Parameters) -> Result<Moment> {
    match (parameters.number("number")?, parameters.number("at_us")?) {
        (Some(number), None) => Ok(Moment::Screen(number)),
        (None, Some(at_us)) => Ok(Moment::At(at_us)),
        _ => Err(Problem::invalid("say which screen: either number, from 1, or at_us, microseconds after the start")),
    }
}

fn no_screen(moment: Moment) -> Problem {
    let detail = format!("there is no {moment}; they count from 1, and the session says how many there are");
    Problem::new(ErrorKind::NotFound, detail)
}

type Piece = std::result::Result<Bytes, service::Error>;

/// Writes a replay piece by piece for as long as somebody takes them. Blocks.
fn send(replay: &SessionReplay, sender: tokio::sync::mpsc::Sender<Piece>) {
    let pieces = Pieces { waiting: Vec::new(), sender: sender.clone() };
    // The connection breaks off, so that nobody takes what came before for the whole.
    if let Err(error) = write(replay, pieces) {
        tracing::error!(?error, session = %replay.session.id, "a replay could not be read to its end");
        // Nobody listens any more: then nobody is misled either.
        let _ = sender.blocking_send(Err(error));
    }
}

fn write(replay: &SessionReplay, pieces: Pieces) -> service::Result<()> {
    let screen = replay.screen();
    let mut header = Header::new(Format::AsciicastV2);
    header.size = Some(screen.size());
    header.started_at_us = u64::try_from(replay.session.started_at.as_microsecond()).ok();
    let mut first = screen.title().map(|title| format!("\x1b]2;{title}\x07")).unwrap_or_default();
    first.push_str(&screen.dump());
    // That nobody takes it any more is no error.
    let Ok(mut writer) = Writer::new(pieces, Version::V2, &header) else { return Ok(()) };
    if writer.event(&Event { at_us: replay.from_us(), what: What::Output(first.into_bytes()) }).is_err() {
        return Ok(());
    }
    replay.each(&mut |event| writer.event(event).is_ok())?;
    let _ = writer.finish();
    Ok(())
}

/// Bytes on their way to a reader, some at a time. Fails when the reader is gone.
struct Pieces {
    waiting: Vec<u8>,
    sender: tokio::sync::mpsc::Sender<Piece>,
}

impl std::io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let piece = std::mem::take(&mut self.waiting);
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}
