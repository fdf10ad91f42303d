//! The files of a log (`specs/proofs.md` §7): checkpoint, tiles, entry bundles, proofs, keys, state.
//!
//! Names and bytes are those of C2SP tlog-tiles, so that any client of that format reads them; our own additions are
//! `proof`, `extends`, `checkpoint/<size>`, `keys` and `state`.

use axum::extract::{FromRequestParts, RawPathParams, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use service::LogId;
use service::tlog::entry::HEADER_BYTES;
use service::tlog::extends::Extends;
use service::tlog::tile::Resource;
use service::tlog::tlog_proof::TlogProof;
use service::witnesses::NOBODY_OUTSIDE;
use service::{Error, LogState, Principal, Service, Verb};

use super::call::{Bearer, InOrg, blocking, reply};
use super::parameters::{Known, Parameters};
use super::problem::{Document, Problem, Result};
use super::wire::{Head, Key, Keys, Log, State as StateFile, WitnessAlarm, time};
use crate::Context;

const NONE: Known = Known { once: &[], repeated: &[] };
const SIZE: Known = Known { once: &["size"], repeated: &[] };
const SEQ: Known = Known { once: &["seq"], repeated: &[] };
const FROM: Known = Known { once: &["from"], repeated: &[] };

/// Never changes once it is there.
const IMMUTABLE: &str = "private, max-age=31536000, immutable";
/// Changes with every append.
const FRESH: &str = "private, max-age=1";

/// A reader of a log's files: the caller, the organisation that owns the log, the rest of the path.
pub struct InLog {
    /// The caller.
    pub who: Principal,
    /// The log: of an organisation within the caller's reach, or one that its log took the place of.
    pub log: LogId,
    rest: String,
}

impl FromRequestParts<Context> for InLog {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<InLog> {
        let Bearer(who) = Bearer::from_request_parts(parts, context).await?;
        let parameters = RawPathParams::from_request_parts(parts, &()).await;
        let parameters =
            parameters.map_err(|_| Problem::invalid("the path is not UTF-8 after decoding its escapes"))?;
        let get =
            |name| parameters.iter().find(|(other, _)| *other == name).map(|(_, value)| value).unwrap_or_default();
        let not_found = || Error::not_found("no such log within reach");
        let log: LogId = get("log").parse().map_err(|_| not_found())?;
        let org = context.service.find_org_by_log(log).ok_or_else(not_found)?;
        // The owner being out of reach and the log not being there are the same answer.
        context.service.check(&who, Verb::ReadProofs, org).map_err(|error| match error.kind {
            service::ErrorKind::NotFound => not_found(),
            _ => error,
        })?;
        Ok(InLog { who, log, rest: get("rest").to_owned() })
    }
}

/// The organisation's log: where it is, its key, its head.
#[utoipa::path(get, path = "/v1/orgs/{org}/log", tag = "proofs",
    params(("org" = String, Path, description = "id, name or escaped path"),
        ("seq" = Option<u64>, Query, description = "the log that holds this event, which may be an older one")),
    responses((status = 200, body = Log), (status = 403, body = Document)))]
pub async fn log(
    State(context): State<Context>,
    InOrg { who, org }: InOrg,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let seq = Parameters::read(query.as_deref(), &SEQ)?.number("seq")?;
    let log = blocking(move || {
        let service = &context.service;
        let (log, head) = match seq {
            Some(seq) => service.head_of_number(&who, org, seq)?,
            None => (service.get_org(&who, org)?.log, service.head(&who, org)?),
        };
        Ok(Log {
            origin: head.origin.clone(),
            path: format!("/l/{log}"),
            vkey: service.vkey(&who, log)?,
            state: state_name(&service.standing_of_log(&who, log)?.state),
            head: Head::from(&head),
            checkpoint: head.checkpoint.to_string(),
        })
    });
    Ok(reply(StatusCode::OK, &log.await?))
}

/// The newest checkpoint: the newest that the witnesses cosigned as the policy asks, or the newest signed one.
#[utoipa::path(get, path = "/l/{log}/checkpoint", tag = "proofs", params(("log" = String, Path)),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn checkpoint(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    Parameters::read(query.as_deref(), &NONE)?;
    let shown = blocking(move || context.service.shown(&call.who, call.log)).await?;
    Ok(text(shown.checkpoint.to_string(), FRESH))
}

/// The checkpoint kept for exactly this size.
#[utoipa::path(get, path = "/l/{log}/checkpoint/{size}", tag = "proofs",
    params(("log" = String, Path), ("size" = u64, Path)),
    responses((status = 200, content_type = "text/plain", body = String), (status = 404, body = Document)))]
pub async fn checkpoint_at(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    Parameters::read(query.as_deref(), &NONE)?;
    let size = decimal(&call.rest)?;
    let checkpoint = blocking(move || Ok(kept(&context.service, &call, Some(size))?.1));
    // Not immutable: cosignatures may be added.
    Ok(text(checkpoint.await?, FRESH))
}

/// A tile of hashes (`tile/<L>/<N>[.p/<W>]`) or a bundle of entries (`tile/entries/<N>[.p/<W>]`).
#[utoipa::path(get, path = "/l/{log}/tile/{rest}", tag = "proofs",
    params(("log" = String, Path), ("rest" = String, Path, description = "as in C2SP tlog-tiles; contains slashes")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 404, body = Document)))]
pub async fn tile(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    Parameters::read(query.as_deref(), &NONE)?;
    let resource: Resource = format!("tile/{}", call.rest)
        .parse()
        .map_err(|error: service::tlog::Error| Error::not_found(format!("no such tile: {error}")))?;
    let bytes = blocking(move || match resource {
        Resource::Tile(tile) => context.service.tile(&call.who, call.log, tile),
        Resource::Bundle(bundle) => context.service.bundle(&call.who, call.log, bundle),
    });
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, IMMUTABLE)];
    Ok((headers, bytes.await?).into_response())
}

/// The proof that the entry at an index is in the log (C2SP tlog-proof), under the newest checkpoint or a kept one.
#[utoipa::path(get, path = "/l/{log}/proof/{index}", tag = "proofs", params(
    ("log" = String, Path), ("index" = u64, Path, description = "from 0: `seq` - 1"),
    ("size" = Option<u64>, Query, description = "size of a kept checkpoint; default: the newest"),
), responses((status = 200, content_type = "text/plain", body = String), (status = 404, body = Document)))]
pub async fn proof(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    let size = Parameters::read(query.as_deref(), &SIZE)?.number("size")?;
    let index = decimal(&call.rest)?;
    let proof = blocking(move || {
        let (size, checkpoint) = kept(&context.service, &call, size)?;
        if index >= size {
            return Err(Error::not_found(format!("no entry at index {index} in the log of size {size}")));
        }
        let hashes = context.service.prove_inclusion(&call.who, call.log, index, size)?;
        // With the entry's header, body and salt are enough to verify. It is a convenience: where the entry cannot be read any more,
        // the proof still is one.
        let entry = context.service.entry(&call.who, call.log, index).ok();
        let extra = entry.and_then(|entry| entry.get(..HEADER_BYTES).map(<[u8]>::to_vec));
        Ok(TlogProof { extra, index, hashes, checkpoint })
    });
    Ok(text(proof.await?.to_string(), FRESH))
}

/// The proof that the newest checkpoint extends an older size (body of C2SP tlog-witness add-checkpoint).
#[utoipa::path(get, path = "/l/{log}/extends", tag = "proofs", params(
    ("log" = String, Path), ("from" = u64, Query, description = "the older size"),
), responses((status = 200, content_type = "text/plain", body = String), (status = 400, body = Document)))]
pub async fn extends(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    let from = Parameters::read(query.as_deref(), &FROM)?.number("from")?;
    let old_size = from.ok_or_else(|| Problem::invalid("parameter from is missing; it is the size you remember"))?;
    let body = blocking(move || {
        let head = context.service.head_of_log(&call.who, call.log)?;
        if old_size > head.size {
            return Err(Error::invalid(format!("the log has {} entries, fewer than {old_size}", head.size)));
        }
        // To the checkpoint that is shown, with its cosignatures, unless the caller remembers a newer one.
        let shown = context.service.shown(&call.who, call.log)?;
        let (size, checkpoint) = match shown.size >= old_size {
            true => (shown.size, shown.checkpoint),
            false => (head.size, head.checkpoint),
        };
        let hashes = context.service.prove_consistency(&call.who, call.log, old_size, size)?;
        Ok(Extends { old_size, hashes, checkpoint: checkpoint.to_string() })
    });
    Ok(text(body.await?.to_string(), FRESH))
}

/// The keys that sign this log's checkpoints.
#[utoipa::path(get, path = "/l/{log}/keys", tag = "proofs", params(("log" = String, Path)),
    responses((status = 200, body = Keys)))]
pub async fn keys(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    Parameters::read(query.as_deref(), &NONE)?;
    let shown = |key: service::LogKeyInfo| Key {
        vkey: key.vkey,
        first_size: key.first_size,
        last_size: key.last_size,
        reason: key.reason,
        believed_size: key.believed_size,
    };
    let keys = blocking(move || {
        let keys = context.service.log_keys(&call.who, call.log)?;
        let policy = context.service.policy(&call.who, call.log)?;
        let witnesses = policy.witnesses.iter().map(|witness| witness.key.to_string()).collect();
        Ok(Keys { keys: keys.into_iter().map(shown).collect(), witnesses })
    });
    Ok(reply(StatusCode::OK, &keys.await?))
}

/// The proof that a key note is in the log (C2SP tlog-proof), under a checkpoint that the key before signed. Its extra data is the
/// whole entry. So whoever trusts an older key learns the one that followed it.
#[utoipa::path(get, path = "/l/{log}/key-notes/{index}", tag = "proofs", params(
    ("log" = String, Path), ("index" = u64, Path, description = "of the key note: `first_size` of the new key, less 1"),
), responses((status = 200, content_type = "text/plain", body = String), (status = 404, body = Document)))]
pub async fn key_note(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    Parameters::read(query.as_deref(), &NONE)?;
    let index = decimal(&call.rest)?;
    let proof = blocking(move || {
        let (service, who, log) = (&context.service, &call.who, call.log);
        let mut keys = service.log_keys(who, log)?.into_iter();
        let size = keys.find(|key| key.first_size == index.saturating_add(1)).and_then(|key| key.introduced_size);
        let size = size.ok_or_else(|| Error::not_found(format!("no key note is at index {index}")))?;
        let checkpoint = service.checkpoint_at(who, log, size)?;
        let checkpoint =
            checkpoint.ok_or_else(|| Error::not_found(format!("no checkpoint of size {size} was kept")))?;
        let hashes = service.prove_inclusion(who, log, index, size)?;
        let extra = Some(service.entry(who, log, index)?);
        Ok(TlogProof { extra, index, hashes, checkpoint: checkpoint.to_string() })
    });
    Ok(text(proof.await?.to_string(), FRESH))
}

/// How the log is.
#[utoipa::path(get, path = "/l/{log}/state", tag = "proofs", params(("log" = String, Path)),
    responses((status = 200, body = StateFile)))]
pub async fn state(State(context): State<Context>, call: InLog, RawQuery(query): RawQuery) -> Result<Response> {
    Parameters::read(query.as_deref(), &NONE)?;
    let state = blocking(move || {
        let head = context.service.head_of_log(&call.who, call.log)?;
        let standing = context.service.standing_of_log(&call.who, call.log)?;
        let witnesses = context.service.witness_standing(&call.who, call.log)?;
        let witnessed = witnesses.as_ref().and_then(|standing| standing.witnessed.as_ref());
        Ok(StateFile {
            state: state_name(&standing.state),
            reasons: standing.reasons,
            acknowledged: standing.acknowledged,
            signed_size: head.size,
            root: head.root.to_hex(),
            last_recorded_at: head.last_recorded_at.map(time),
            minimum_index: standing.minimum_index,
            legal_hold: standing.legal_hold,
            last_verification: standing.last_verification.map(Into::into),
            former: standing.former,
            witnessed_size: witnessed.map(|witnessed| witnessed.size),
            witnessed_at: witnessed.map(|witnessed| time(witnessed.at())),
            witness_troubles: witnesses.as_ref().map(|standing| standing.troubles.clone()).unwrap_or_default(),
            alarm: witnesses.as_ref().and_then(|standing| standing.alarm.as_ref()).map(|alarm| WitnessAlarm {
                reason: alarm.reason.clone(),
                witness: alarm.witness.clone(),
                detail: alarm.detail.clone(),
            }),
            outside: witnessed.is_none().then_some(NOBODY_OUTSIDE),
        })
    });
    Ok(reply(StatusCode::OK, &state.await?))
}

/// The checkpoint that a proof is made under: the one that is shown, or the one kept for `size`.
fn kept(service: &Service, call: &InLog, size: Option<u64>) -> service::Result<(u64, String)> {
    let shown = service.shown(&call.who, call.log)?;
    let Some(size) = size.filter(|size| *size != shown.size) else {
        return Ok((shown.size, shown.checkpoint.to_string()));
    };
    match service.checkpoint_at(&call.who, call.log, size)? {
        Some(checkpoint) => Ok((size, checkpoint.to_string())),
        None => Err(Error::not_found(format!("no checkpoint of size {size} was kept"))),
    }
}

fn state_name(state: &LogState) -> &'static str {
    match state {
        LogState::Open => "open",
        state if state.is_sound() => "closed",
        LogState::ReadOnly { .. } => "read_only",
    }
}

// One spelling for each number, or caches would hold the same thing twice.
fn decimal(text: &str) -> Result<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    let number = text.parse().ok().filter(|_| canonical && !text.is_empty());
    number.ok_or_else(|| Problem::from(Error::not_found("the last part of the path is not a number in plain digits")))
}

fn text(body: String, cache: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, cache)], body).into_response()
}
