//! Acts of an administrator on an organisation's log: replace its key, erase, prune, hold, close, open, adopt, acknowledge.
//! Each leaves a note or an event in the log that says who and why.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service::{ErasureOrder, PruneTo, Verb};
use utoipa::ToSchema;

use super::call::{InOrg, json, reply};
use super::problem::{Document, Problem, Result};
use super::wire::Head;
use crate::Context;
use crate::http::body::ADMINISTRATION_BYTES_MAX;

/// Why a key is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Why; `compromised` ends the old key at once instead of after 90 days.
    pub reason: String,
    /// With `compromised`: heads up to this size are still to be believed under the old key; default: the size now.
    pub believed_size: Option<u64>,
}

/// A key that was replaced.
#[derive(Serialize, ToSchema)]
pub struct Rotated {
    /// `seq` of the key note.
    pub note: u64,
    /// Size of the checkpoint that introduces the new key: signed by both, and kept for ever.
    pub tree_size: u64,
    /// The key that signs from now on (C2SP signed-note).
    pub vkey: String,
}

/// An order to erase events.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// `seq` of the events, 1 to 2,000 of them.
    pub seqs: Vec<u64>,
    /// On what legal ground. Stays in the log for ever.
    pub ground: String,
    /// Who ordered it: an authority, or the person concerned. Stays in the log for ever.
    pub ordered_by: String,
}

/// An erasure that was carried out.
#[derive(Serialize, ToSchema)]
pub struct Erasure {
    /// `seq` of the erasure note.
    pub note: u64,
    /// `seq` of the events whose content is gone by it: those named that were not erased before.
    pub erased: Vec<u64>,
}

/// Up to where events are forgotten: give one of `below` and `before`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPruning {
    /// Events below this `seq`.
    pub below: Option<u64>,
    /// Events received before this time (RFC 3339).
    pub before: Option<String>,
    /// Why.
    pub reason: String,
}

/// What was forgotten.
#[derive(Serialize, ToSchema)]
pub struct Pruning {
    /// `seq` of the note that says so.
    pub note: u64,
    /// Entries below this index (from 0) are gone; a multiple of 256.
    pub minimum_index: u64,
}

/// A legal hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Nothing from this `seq` on is pruned; null lifts the hold.
    pub from: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Why something is done to a log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why.
    pub reason: String,
}

/// What a log is taken up again by.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// A signed checkpoint of the log that somebody outside remembers.
    pub checkpoint: String,
}

/// Done.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
}

const DONE: Done = Done { done: true };

/// Replaces the key that signs the log. Both keys sign for 90 days, unless the reason is `compromised`.
#[utoipa::path(post, path = "/v1/orgs/{org}/log/rotate-key", tag = "logs", request_body = Rotation,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Rotated), (status = 400, body = Document)))]
pub async fn rotate_key(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let why: Rotation = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let rotated = context.service.rotate_log_key(&call.who, call.org, &why.reason, why.believed_size).await?;
    let service::RotatedKey { number, tree_size, vkey } = rotated;
    Ok(reply(StatusCode::OK, &Rotated { note: number, tree_size, vkey }))
}

/// Erases the content of events by legal order. When this answers, no file of the server holds it any more.
#[utoipa::path(post, path = "/v1/orgs/{org}/erasures", tag = "logs", request_body = NewErasure,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Erasure), (status = 400, body = Document), (status = 404, body = Document),
        (status = 409, description = "all of them are erased already", body = Document)))]
pub async fn erase(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let NewErasure { seqs, ground, ordered_by } = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let order = ErasureOrder { numbers: seqs, ground, ordered_by };
    let done = context.service.erase_events(&call.who, call.org, order).await?;
    Ok(reply(StatusCode::OK, &Erasure { note: done.note, erased: done.numbers }))
}

/// Forgets the oldest events for good. Every archived checkpoint stays provable.
#[utoipa::path(post, path = "/v1/orgs/{org}/log/prune", tag = "logs", request_body = NewPruning,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Pruning), (status = 400, body = Document),
        (status = 409, description = "a legal hold stands in the way, or nothing is left to prune", body = Document)))]
pub async fn prune(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let new: NewPruning = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let to = match (new.below, new.before) {
        (Some(below), None) => PruneTo::Number(below),
        (None, Some(before)) => PruneTo::Time(
            before.parse().map_err(|error| Problem::invalid(format!("before is no time (RFC 3339): {error}")))?,
        ),
        _ => return Err(Problem::invalid("give one of below (a seq) and before (a time)")),
    };
    let done = context.service.prune_events(&call.who, call.org, to, &new.reason).await?;
    Ok(reply(StatusCode::OK, &Pruning { note: done.note, minimum_index: done.minimum_index }))
}

/// Holds events from a `seq` on: nothing of them is pruned until the hold is lifted.
#[utoipa::path(post, path = "/v1/orgs/{org}/log/hold", tag = "logs", request_body = Hold,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Done), (status = 400, body = Document)))]
pub async fn hold(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let Hold { from, reason } = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    context.service.set_legal_hold(&call.who, call.org, from, &reason).await?;
    Ok(reply(StatusCode::OK, &DONE))
}

/// Closes the log for ever. Answers with its last head; what is handed in afterwards is refused.
#[utoipa::path(post, path = "/v1/orgs/{org}/log/close", tag = "logs", request_body = Because,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Head), (status = 400, body = Document)))]
pub async fn close(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let Because { reason } = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let head = context.service.close_log(&call.who, call.org, &reason).await?;
    Ok(reply(StatusCode::OK, &Head::from(&head)))
}

/// Opens a new log in the place of one that was closed, or that takes no entries because it is not what was signed. Its
/// first entry names the old one. Numbers go on where those of the old one end.
#[utoipa::path(post, path = "/v1/orgs/{org}/log/open", tag = "logs", request_body = Because,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Head), (status = 400, body = Document),
        (status = 409, description = "the log takes entries; close it first", body = Document)))]
pub async fn open(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let Because { reason } = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let head = context.service.open_successor(&call.who, call.org, &reason).await?;
    Ok(reply(StatusCode::OK, &Head::from(&head)))
}

/// Takes a log up again of which the guarded signer has no record, by a checkpoint that somebody remembers.
#[utoipa::path(post, path = "/v1/orgs/{org}/log/adopt", tag = "logs", request_body = Adoption,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Head), (status = 400, body = Document),
        (status = 409, description = "the log is not in that state", body = Document)))]
pub async fn adopt(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let Adoption { checkpoint } = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let head = context.service.adopt_log(&call.who, call.org, &checkpoint).await?;
    Ok(reply(StatusCode::OK, &Head::from(&head)))
}

/// Acknowledges what is wrong with the log as a whole, so that its answers are judged record by record again.
#[utoipa::path(post, path = "/v1/orgs/{org}/log/acknowledge", tag = "logs", request_body = Because,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Done), (status = 400, body = Document),
        (status = 409, description = "nothing is wrong with it", body = Document)))]
pub async fn acknowledge(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageLogs)?;
    let Because { reason } = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    context.service.acknowledge_taint(&call.who, call.org, &reason).await?;
    Ok(reply(StatusCode::OK, &DONE))
}
