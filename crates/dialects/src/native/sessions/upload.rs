//! Bytes in: one chunk, or as many as come in one request.

use axum::body::{Body, BodyDataStream};
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, Method, StatusCode, header};
use service::Verb;
use service::recordings::{CHUNK_BYTES_MAX, Finish};

use super::super::call::{bytes, reply};
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Problem, Result};
use super::InSession;
use super::schema::{ChunkDocument, SessionDocument, Uploaded};
use crate::Context;
use crate::http::body;

const KNOWN_OF_ONE: Known = Known { once: &["offset"], repeated: &[] };
const KNOWN: Known = Known { once: &["offset", "finish"], repeated: &[] };

/// Whether a request may take as long as bytes keep coming: an upload of gigabytes has no time in which it must be over.
pub fn is_unhurried(method: &Method, path: &str) -> bool {
    *method == Method::PUT && path.ends_with("/recording")
}

/// Appends one chunk, at most 8 MiB. It is durable, and its hash in the log, when this answers.
#[utoipa::path(post, path = "/v1/orgs/{org}/sessions/{session}/chunks", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("offset" = u64, Query, description = "place of its first byte in the recording: where the recording ends"),
    ),
    request_body(description = "bytes of the recording", content_type = "application/octet-stream", content = Vec<u8>),
    responses(
        (status = 200, description = "it was there", body = ChunkDocument),
        (status = 201, body = ChunkDocument),
        (status = 409, description = "other bytes are there, or it would leave a gap, or the session is over", body = Document),
        (status = 413, body = Document),
    ))]
pub async fn chunk(
    State(context): State<Context>,
    at: InSession,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response> {
    at.call.must(&context, Verb::RecordSessions)?;
    let offset = Parameters::read(query.as_deref(), &KNOWN_OF_ONE)?.number("offset")?;
    let offset = offset.ok_or_else(|| Problem::invalid("parameter offset is missing: where the chunk begins"))?;
    let bytes = bytes(&context, request, CHUNK_BYTES_MAX).await?;
    let receipt = context.service.append_chunk(&at.call.who, at.call.org, at.session, offset, bytes).await?;
    let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok(reply(status, &ChunkDocument::from(receipt)))
}

/// Appends as many bytes as come, in chunks of 8 MiB; each is durable, and its hash in the log, before the next is taken.
/// Of a request that breaks off whole chunks stay: start the session again to learn where to go on.
#[utoipa::path(put, path = "/v1/orgs/{org}/sessions/{session}/recording", tag = "sessions",
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
        ("offset" = Option<u64>, Query, description = "place of the first byte in the recording; default 0"),
        ("finish" = Option<bool>, Query, description = "finish the session afterwards; default false"),
    ),
    request_body(description = "bytes of the recording, not compressed", content_type = "application/octet-stream", content = Vec<u8>),
    responses((status = 200, body = Uploaded), (status = 409, body = Document), (status = 413, body = Document)))]
pub async fn recording(
    State(context): State<Context>,
    at: InSession,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response> {
    at.call.must(&context, Verb::RecordSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN)?;
    let (mut offset, finish) = (parameters.number("offset")?.unwrap_or(0), parameters.flag("finish")?);
    let (parts, body) = request.into_parts();
    check_plain(&parts.headers)?;
    let mut pieces = Pieces::new(&context, body);
    let (mut chunks, mut duplicates) = (0, 0);
    while let Some(piece) = pieces.next().await? {
        let receipt = context.service.append_chunk(&at.call.who, at.call.org, at.session, offset, piece).await?;
        offset = receipt.end();
        if receipt.duplicate {
            duplicates += 1;
        } else {
            chunks += 1;
        }
    }
    let session = match finish {
        false => None,
        true => {
            let finish = Finish { bytes: Some(offset), ..Finish::default() };
            Some(context.service.finish_session(&at.call.who, at.call.org, at.session, finish).await?)
        }
    };
    let session = session.map(SessionDocument::from);
    Ok(reply(StatusCode::OK, &Uploaded { bytes: offset, chunks, duplicates, session }))
}

fn check_plain(headers: &HeaderMap) -> Result<()> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(value) if value != "identity" => {
            let name = String::from_utf8_lossy(value.as_bytes()).into_owned();
            Err(body::Error::UnknownEncoding(name).into())
        }
        _ => Ok(()),
    }
}

/// A body in pieces of one chunk each. Holds one piece, and what the connection gives at once.
struct Pieces<'a> {
    context: &'a Context,
    body: BodyDataStream,
    waiting: Bytes,
}

impl Pieces<'_> {
    fn new(context: &Context, body: Body) -> Pieces<'_> {
        Pieces { context, body: body.into_data_stream(), waiting: Bytes::new() }
    }

    /// The next piece, a whole chunk except for the last; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let patience = self.context.settings.body_patience;
        let mut piece = BytesMut::new();
        loop {
            let room = CHUNK_BYTES_MAX - piece.len();
            piece.extend_from_slice(&self.waiting.split_to(room.min(self.waiting.len())));
            if piece.len() == CHUNK_BYTES_MAX {
                return Ok(Some(piece.freeze()));
            }
            match tokio::time::timeout(patience, self.body.next()).await {
                Ok(Some(Ok(bytes))) => self.waiting = bytes,
                Ok(Some(Err(error))) => return Err(body::Error::Broken(error.to_string()).into()),
                Ok(None) => return Ok((!piece.is_empty()).then(|| piece.freeze())),
                Err(_) => return Err(body::Error::TooSlow(patience.as_secs()).into()),
            }
        }
    }
}
