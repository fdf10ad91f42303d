//! Events in: a body of one or many, and a receipt for each.

use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use service::tlog::tlog_proof::TlogProof;
use service::witnesses::Witnessed;
use service::{ErrorKind, IngestOptions, Invalid, ItemError, ItemResult, Principal, Receipt, Verb};
use utoipa::ToSchema;

use super::super::call::{InOrg, blocking, bytes, reply};
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, ItemProblem, Problem, Result};
use super::super::wire::time;
use super::batch::{Batch, Form};
use crate::Context;
use crate::http::body::EVENTS_BYTES_MAX;

const KNOWN: Known = Known { once: &["atomic", "receipt", "receipts", "wait"], repeated: &[] };

/// Bodies larger than this are taken apart on a thread that may block; smaller ones take a few milliseconds at most.
const PARSE_INLINE_BYTES_MAX: usize = 2 << 20;

/// Most events of one request with sealed receipts: each one's proof is made by itself.
const SEALED_EVENTS_MAX: usize = 1_000;

/// What a sender keeps: where its event is, for ever.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptDocument<'a> {
    /// The origin of the log; in a batch it stands once, beside the receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    /// The number in every API.
    seq: u64,
    /// Position of the leaf, from 0.
    index: u64,
    /// SHA-256 over `0x00 || entry`, hexadecimal.
    leaf_hash: String,
    /// When it was received.
    recorded_at: String,
    /// The sender's id, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// The id was there already: this is the receipt of the first one.
    duplicate: bool,
    /// Size of a signed head that covers it; in a batch it stands once, beside the receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    tree_size: Option<u64>,
    /// With `receipt=sealed`: the proof to keep (C2SP tlog-proof), checkpoint included; with `wait=witnessed` its cosignatures too.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
    /// With `wait=witnessed`; in a batch it stands once, beside the receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessed: Option<WitnessedDocument>,
}

/// What came of waiting for the witnesses. The events are in, and signed, whatever it was.
#[derive(Serialize, ToSchema, Clone)]
#[schema(as = WitnessedReceipt)]
pub struct WitnessedDocument {
    /// Enough witnesses have cosigned a checkpoint that covers the events.
    covered: bool,
    /// Size of the newest checkpoint that they have cosigned.
    size: Option<u64>,
    /// When its last cosignature came in.
    at: Option<String>,
    /// Why the events are not covered: a witness's trouble, or that it was not done in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl WitnessedDocument {
    fn new(standing: &service::Standing, wanted: u64) -> WitnessedDocument {
        let witnessed = standing.witnessed.as_ref();
        let covered = witnessed.is_some_and(|witnessed| witnessed.size >= wanted);
        let troubles =
            || standing.troubles.iter().map(|(witness, why)| format!("{witness}: {why}")).collect::<Vec<_>>();
        let reason = match (&standing.alarm, covered) {
            (_, true) => None,
            (Some(alarm), false) => Some(format!("{}: {}", alarm.reason, alarm.detail)),
            (None, false) if !standing.troubles.is_empty() => Some(troubles().join("; ")),
            (None, false) => Some("they were not done in time; ask /l/LOG/state later".to_owned()),
        };
        let (size, at) = (witnessed.map(|w| w.size), witnessed.map(|w| time(w.at())));
        WitnessedDocument { covered, size, at, reason }
    }
}

/// A receipt, or why there is none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ReceiptOrError)]
pub enum Answer<'a> {
    /// It is in.
    Taken(ReceiptDocument<'a>),
    /// It is not.
    Refused {
        /// Why.
        error: ItemProblem,
    },
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchReply)]
pub struct BatchReply<'a> {
    /// Events that are in and were not before.
    accepted: u64,
    /// Events whose id was there already.
    duplicates: u64,
    /// Events that are not in; their errors say why.
    refused: u64,
    /// The origin of the log; null when nothing is in.
    origin: Option<&'a str>,
    /// Size of a signed head that covers all that is in.
    tree_size: Option<u64>,
    /// Least and greatest `seq` of what was accepted.
    first_seq: Option<u64>,
    /// See `first_seq`; other senders' events may lie between.
    last_seq: Option<u64>,
    /// One for each event, in order; with `receipts=summary` only those that were refused.
    receipts: Vec<Answer<'a>>,
    /// With `wait=witnessed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessed: Option<WitnessedDocument>,
}

/// Takes events: one object, an array, or one object a line (`application/x-ndjson`), plain, gzip or zstd.
///
/// What is acknowledged is durable and covered by a signed checkpoint. The same `id` again is not taken again and answers
/// with the first receipt, so a request whose answer was lost can be sent again.
#[utoipa::path(post, path = "/v1/orgs/{org}/events", tag = "events", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("atomic" = Option<bool>, Query, description = "refuse all when one is refused; default false"),
    ("receipt" = Option<String>, Query, description = "`plain` (default) or `sealed`, with a proof to keep; sealed takes the right to read proofs"),
    ("wait" = Option<String>, Query, description = "`durable` (default) and `sealed` are the same here: an answer is on disk and signed; `witnessed` also waits for the cosignatures that the log's policy asks for"),
    ("receipts" = Option<String>, Query, description = "`each` (default) or `summary`: counts, range, and only the refused"),
), request_body(description = "an event, an array of events, or one event a line", content(
    (super::schema::NewEvent = "application/json"), (String = "application/x-ndjson"))), responses(
    (status = 200, description = "a batch, all in; or one event that was there already", body = BatchReply),
    (status = 201, description = "one event, in", body = ReceiptDocument),
    (status = 207, description = "a batch, some refused", body = BatchReply),
    (status = 400, description = "one event or an atomic batch, refused", body = Document),
    (status = 413, body = Document),
    (status = 503, description = "too much at once; nothing was taken unless the answer says otherwise", body = Document),
))]
pub async fn ingest(
    State(context): State<Context>,
    call: InOrg,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response> {
    call.must(&context, Verb::IngestEvents)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN)?;
    let atomic = parameters.flag("atomic")?;
    let sealed = parameters.choice("receipt", &[("plain", false), ("sealed", true)])?;
    let summary = parameters.choice("receipts", &[("each", false), ("summary", true)])?;
    let witnessed = parameters.choice("wait", &[("durable", false), ("sealed", false), ("witnessed", true)])?;
    if sealed {
        call.must(&context, Verb::ReadProofs)?;
    }
    if witnessed {
        context.service.expects_witnesses(&call.who, call.org)?;
    }

    let lines = says_lines(request.headers());
    let body = bytes(&context, request, EVENTS_BYTES_MAX).await?;
    let events_max = if sealed { SEALED_EVENTS_MAX } else { service::ingest::BATCH_EVENTS_MAX };
    let mut batch = if body.len() <= PARSE_INLINE_BYTES_MAX {
        Batch::read(&body, lines, events_max)?
    } else {
        blocking(move || Ok(Batch::read(&body, lines, events_max))).await??
    };
    let items = std::mem::take(&mut batch.items);
    let results = context.service.ingest(&call.who, call.org, items, IngestOptions { atomic }).await?;
    let last = results.iter().flatten().map(|receipt| receipt.index + 1).max();
    let standing = match last.filter(|_| witnessed) {
        Some(last) => Some((last, context.service.wait_witnessed(&call.who, call.org, last).await?)),
        None => None,
    };
    let waited = standing.as_ref().map(|(last, standing)| WitnessedDocument::new(standing, *last));
    let cosigned = standing.and_then(|(_, standing)| standing.witnessed);
    let (results, proofs) =
        if sealed { prove(&context, &call, results, cosigned).await? } else { (results, Vec::new()) };

    match (batch.form, results.as_slice()) {
        (Form::One, [Ok(receipt)]) => {
            let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::CREATED };
            let mut document = document(receipt, proofs.first().cloned().flatten());
            document.origin = Some(&receipt.origin);
            document.tree_size = Some(receipt.tree_size);
            document.witnessed = waited;
            Ok(reply(status, &document))
        }
        (Form::One, [Err(error)]) => Err(refusal(error)),
        (Form::One | Form::Array | Form::Lines, _) => whole(&batch, &results, proofs, waited, (atomic, summary)),
    }
}

fn says_lines(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(media_type))
}

fn whole(
    batch: &Batch,
    results: &[ItemResult],
    proofs: Vec<Option<String>>,
    witnessed: Option<WitnessedDocument>,
    (atomic, summary): (bool, bool),
) -> Result<Response> {
    let taken = || results.iter().filter_map(|result| result.as_ref().ok());
    let fresh = || taken().filter(|receipt| !receipt.duplicate);
    let refused = results.iter().filter(|result| result.is_err()).count();
    if atomic && refused > 0 {
        let errors = results.iter().enumerate().filter_map(|(at, result)| match result {
            Err(ItemError::Invalid(invalid)) => Some(item_problem(batch, at, invalid)),
            Err(ItemError::NotTaken) | Ok(_) => None,
        });
        return Err(
            Problem::invalid("nothing was taken, because these events are refused").with_errors(errors.collect())
        );
    }
    let mut proofs = proofs.into_iter();
    let receipts = results.iter().enumerate().filter_map(|(at, result)| {
        let proof = proofs.next().flatten();
        match result {
            Ok(_) if summary => None,
            Ok(receipt) => Some(Answer::Taken(document(receipt, proof))),
            Err(ItemError::Invalid(invalid)) => Some(Answer::Refused { error: item_problem(batch, at, invalid) }),
            Err(ItemError::NotTaken) => Some(Answer::Refused {
                error: item_problem(
                    batch,
                    at,
                    &Invalid::new("", "not taken, because another event of the batch is refused"),
                ),
            }),
        }
    });
    let reply_document = BatchReply {
        accepted: fresh().count() as u64,
        duplicates: taken().filter(|receipt| receipt.duplicate).count() as u64,
        refused: refused as u64,
        origin: taken().next().map(|receipt| receipt.origin.as_str()),
        tree_size: taken().map(|receipt| receipt.tree_size).max(),
        first_seq: fresh().map(|receipt| receipt.number).min(),
        last_seq: fresh().map(|receipt| receipt.number).max(),
        receipts: receipts.collect(),
        witnessed,
    };
    Ok(reply(if refused > 0 { StatusCode::MULTI_STATUS } else { StatusCode::OK }, &reply_document))
}

fn document(receipt: &Receipt, proof: Option<String>) -> ReceiptDocument<'_> {
    ReceiptDocument {
        origin: None,
        seq: receipt.number,
        index: receipt.index,
        leaf_hash: receipt.leaf_hash.to_hex(),
        recorded_at: time(receipt.received_at),
        id: receipt.id.as_deref(),
        duplicate: receipt.duplicate,
        tree_size: None,
        proof,
        witnessed: None,
    }
}

fn item_problem(batch: &Batch, at: usize, invalid: &Invalid) -> ItemProblem {
    ItemProblem::new(batch.place(at), invalid)
}

fn refusal(error: &ItemError) -> Problem {
    match error {
        ItemError::Invalid(invalid) => {
            let kind = if invalid.too_large { ErrorKind::TooLarge } else { ErrorKind::Invalid };
            Problem::new(kind, invalid.message.clone()).at(&invalid.pointer)
        }
        ItemError::NotTaken => Problem::invalid("not taken"),
    }
}

/// A proof for each event that is in: against the cosigned checkpoint if that covers it, else against the head at this moment.
async fn prove(
    context: &Context,
    call: &InOrg,
    results: Vec<ItemResult>,
    cosigned: Option<Witnessed>,
) -> Result<(Vec<ItemResult>, Vec<Option<String>>)> {
    let (service, who, org): (_, Principal, _) = (context.service.clone(), call.who.clone(), call.org);
    blocking(move || {
        let mut proofs = Vec::with_capacity(results.len());
        for result in &results {
            proofs.push(match result {
                Ok(receipt) => {
                    let (index, hashes, checkpoint) =
                        match cosigned.as_ref().filter(|cosigned| receipt.index < cosigned.size) {
                            Some(cosigned) => {
                                let (log, _) = service.head_of_number(&who, org, receipt.number)?;
                                let hashes = service.prove_inclusion(&who, log, receipt.index, cosigned.size)?;
                                (receipt.index, hashes, cosigned.note.to_string())
                            }
                            None => {
                                let sealed = service.prove_event(&who, org, receipt.number)?;
                                (sealed.index, sealed.inclusion, sealed.head.checkpoint.to_string())
                            }
                        };
                    Some(TlogProof { extra: None, index, hashes, checkpoint }.to_string())
                }
                Err(_) => None,
            });
        }
        Ok((results, proofs))
    })
    .await
}
