//! For those who check without us: whom to believe about a log, time stamps, evidence, and whether a search left something out.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use serde::Serialize;
use service::evidence::EVIDENCE_EVENTS_MAX;
use service::{Completeness, Error, Verb};
use utoipa::ToSchema;

use super::call::{InOrg, blocking, reply};
use super::events::filter::{self, FIELDS};
use super::log_files::InLog;
use super::parameters::{Known, Parameters};
use super::problem::{Document, Problem, Result};
use crate::Context;

const NONE: Known = Known { once: &[], repeated: &[] };
const SIZE: Known = Known { once: &["size"], repeated: &[] };
const SEQS: Known = Known { once: &[], repeated: &["seq"] };
const RANGE: Known = Known { once: &["q", "from", "to", "after"], repeated: FIELDS };

/// The trust policy of the log: its key, its witnesses, and how many of them must have cosigned (C2SP tlog-policy).
#[utoipa::path(get, path = "/l/{log}/policy", tag = "proofs", params(("log" = String, Path)),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn policy(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    Parameters::read(query.as_deref(), &NONE)?;
    let policy = blocking(move || context.service.policy(&call.who, call.log)).await?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "private, max-age=60")];
    Ok((headers, policy.to_string()).into_response())
}

/// Time stamps kept for a log.
#[derive(Serialize, ToSchema)]
pub struct Stamps {
    /// By size of the head.
    pub timestamps: Vec<Stamp>,
}

/// A time stamp over one checkpoint.
#[derive(Serialize, ToSchema)]
pub struct Stamp {
    /// Size of the head that was stamped.
    pub size: u64,
    /// The authority's reply (RFC 3161 TimeStampResp, DER), base64: `openssl ts -verify -in` reads it.
    pub reply: String,
}

/// The time stamp over the checkpoint of a size, if there is one.
#[utoipa::path(get, path = "/l/{log}/timestamps", tag = "proofs",
    params(("log" = String, Path), ("size" = u64, Query, description = "size of the head")),
    responses((status = 200, body = Stamps)))]
pub async fn timestamps(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    let size = Parameters::read(query.as_deref(), &SIZE)?.number("size")?;
    let size =
        size.ok_or_else(|| Problem::invalid("parameter size is missing; it is the size of the head that was stamped"))?;
    let kept = blocking(move || context.service.timestamp_at(&call.who, call.log, size)).await?;
    let timestamps = kept.into_iter().map(|reply| Stamp { size, reply: STANDARD.encode(reply) }).collect();
    Ok(reply(StatusCode::OK, &Stamps { timestamps }))
}

/// A time stamp just made.
#[derive(Serialize, ToSchema)]
pub struct NewStamp {
    /// Size of the head that was stamped: the newest.
    pub size: u64,
    /// The text whose SHA-256 was stamped: the checkpoint's lines before its signatures.
    pub stamped: String,
    /// The authority's time.
    pub at: String,
}

/// Have the newest checkpoint stamped by the configured authority (RFC 3161).
#[utoipa::path(post, path = "/v1/orgs/{org}/log/timestamps", tag = "proofs",
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 201, body = NewStamp), (status = 400, body = Document), (status = 503, body = Document)))]
pub async fn stamp(State(context): State<Context>, call: InOrg) -> Result<Response> {
    call.must(&context, Verb::ManageKeys)?;
    let made = blocking(move || context.service.timestamp(&call.who, call.org)).await?;
    Ok(reply(StatusCode::CREATED, &NewStamp { size: made.size, stamped: made.text, at: made.at }))
}

/// What is handed out of some events.
#[derive(Serialize, ToSchema)]
pub struct EvidenceList {
    /// In the order asked for.
    pub evidence: Vec<OneEvidence>,
}

/// What is handed out of one event, beside its entry in `/l/{log}/tile/entries/…`.
#[derive(Serialize, ToSchema)]
pub struct OneEvidence {
    /// Number of the event.
    pub seq: u64,
    /// Origin of the log that holds it.
    pub origin: String,
    /// Position of its leaf in that log.
    pub index: u64,
    /// `disclosed`; `inline` where the entry holds its body itself; `erased` where the body is gone by order.
    pub state: &'static str,
    /// The body byte for byte, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The salt, 32 hexadecimal digits: the entry ends in SHA-256(02 ‖ salt ‖ body).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
}

/// Bodies and salts of events: what others need, beside proofs, to check contents without this server.
#[utoipa::path(get, path = "/v1/orgs/{org}/evidence", tag = "proofs", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("seq" = Vec<u64>, Query, description = "numbers of events, at most 256"),
), responses((status = 200, body = EvidenceList), (status = 404, body = Document)))]
pub async fn evidence(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ReadProofs)?;
    let parameters = Parameters::read(query.as_deref(), &SEQS)?;
    let number = |text: &str| {
        let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits_only);
        number.ok_or_else(|| Problem::invalid("parameter seq is not a whole number"))
    };
    let numbers = parameters.all("seq").map(number).collect::<Result<Vec<u64>>>()?;
    if numbers.is_empty() || numbers.len() > EVIDENCE_EVENTS_MAX {
        return Err(Problem::invalid(format!("give seq 1 to {EVIDENCE_EVENTS_MAX} times")));
    }
    let found = blocking(move || context.service.evidence(&call.who, call.org, &numbers)).await?;
    let one = |event: &service::Evidence| {
        let state = match (&event.disclosed, event.erased) {
            (Some(_), _) => "disclosed",
            (None, true) => "erased",
            (None, false) => "inline",
        };
        let (body, salt) =
            event.disclosed.as_ref().map(|(body, salt)| (STANDARD.encode(body), hex::encode(salt))).unzip();
        OneEvidence { seq: event.number, origin: event.origin.clone(), index: event.index, state, body, salt }
    };
    Ok(reply(StatusCode::OK, &EvidenceList { evidence: found.iter().map(one).collect() }))
}

/// Whether a query finds everything, over one range.
#[derive(Serialize, ToSchema)]
pub struct CompleteRange {
    /// First number covered.
    pub from: u64,
    /// Last number covered; pass it as `after` for the next range.
    pub to: u64,
    /// The head: the last range ends there.
    pub size: u64,
    /// Entries read, verified and evaluated.
    pub evaluated: u64,
    /// How many of them match.
    pub matching: u64,
    /// Numbers that match and are not found.
    pub left_out: Vec<u64>,
    /// Numbers that are found and do not match.
    pub surplus: Vec<u64>,
    /// Records that are not what was committed.
    pub tainted: Vec<TaintedEvent>,
}

/// A record that is not what was committed.
#[derive(Serialize, ToSchema)]
pub struct TaintedEvent {
    /// Its number.
    pub seq: u64,
    /// Why.
    pub reason: String,
}

impl From<Completeness> for CompleteRange {
    fn from(range: Completeness) -> CompleteRange {
        let Completeness { from, to, size, evaluated, matching, left_out, surplus, tainted } = range;
        let tainted = tainted.into_iter().map(|(seq, reason)| TaintedEvent { seq, reason }).collect();
        CompleteRange { from, to, size, evaluated, matching, left_out, surplus, tainted }
    }
}

/// Evaluate a query over every stored event of a range and compare with what the index finds.
#[utoipa::path(get, path = "/v1/orgs/{org}/completeness", tag = "proofs", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("q" = Option<String>, Query, description = "as for events, and so are the other filters"),
    ("from" = Option<String>, Query, description = "occurred at this time (RFC 3339) or later"),
    ("to" = Option<String>, Query, description = "occurred before this time (RFC 3339)"),
    ("after" = Option<u64>, Query, description = "evaluate what comes after this `seq`; default 0"),
), responses((status = 200, body = CompleteRange), (status = 400, body = Document)))]
pub async fn completeness(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ReadProofs)?;
    let parameters = Parameters::read(query.as_deref(), &RANGE)?;
    let (filter, after) = (filter::query(&parameters)?, parameters.number("after")?.unwrap_or(0));
    let range = blocking(move || {
        if after > i64::MAX as u64 {
            return Err(Error::invalid("parameter after is larger than any number of an event"));
        }
        context.service.completeness(&call.who, call.org, &filter, after)
    });
    Ok(reply(StatusCode::OK, &CompleteRange::from(range.await?)))
}
