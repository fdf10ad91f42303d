//! Starting and finishing.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use service::Verb;
use service::recordings::{self, Finish};

use super::super::call::{InOrg, json, reply};
use super::super::problem::{Document, Result};
use super::InSession;
use super::schema::{FinishDocument, NewSession, SessionDocument};
use crate::Context;
use crate::http::body::ADMINISTRATION_BYTES_MAX;

/// Starts a session. The same `client_id` again answers with the session that it started first (200), and with how many
/// bytes of it are there: so a recorder that lost the connection goes on where it was.
#[utoipa::path(post, path = "/v1/orgs/{org}/sessions", tag = "sessions", request_body = NewSession,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses(
        (status = 200, description = "it was started before", body = SessionDocument),
        (status = 201, description = "it is started", body = SessionDocument),
        (status = 409, description = "the id started another session, or the organisation has its events encrypted", body = Document),
    ))]
pub async fn start(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::RecordSessions)?;
    let new: NewSession = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let new = recordings::NewSession { client_id: new.client_id, info: new.recording };
    let (session, duplicate) = context.service.start_session(&call.who, call.org, new).await?;
    let status = if duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok(reply(status, &SessionDocument::from(session)))
}

/// Finishes a session. What is finished already answers as before.
#[utoipa::path(post, path = "/v1/orgs/{org}/sessions/{session}/finish", tag = "sessions", request_body = FinishDocument,
    params(
        ("org" = String, Path, description = "id, name or escaped path"),
        ("session" = String, Path, description = "its id"),
    ),
    responses(
        (status = 200, body = SessionDocument),
        (status = 409, description = "bytes are missing, or it ended in another way", body = Document),
    ))]
pub async fn finish(State(context): State<Context>, at: InSession, request: Request) -> Result<Response> {
    at.call.must(&context, Verb::RecordSessions)?;
    let FinishDocument { aborted, exit, ended_at, bytes } = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let finish = Finish { aborted, exit, ended_at, bytes };
    let session = context.service.finish_session(&at.call.who, at.call.org, at.session, finish).await?;
    Ok(reply(StatusCode::OK, &SessionDocument::from(session)))
}
