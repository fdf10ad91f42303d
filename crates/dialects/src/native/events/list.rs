//! Events out: a page by filter and number, or one by its number.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use service::query::{Order, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX};
use service::{ErrorKind, EventQuery, Verb};

use super::super::call::{InOrg, Segment, blocking, reply_bytes};
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Problem, Result, shown};
use super::filter::{self, FIELDS};
use super::render::{self, EventPage, Recorded};
use crate::Context;

const KNOWN: Known = Known { once: &["q", "from", "to", "order", "after", "limit", "verify"], repeated: FIELDS };
const KNOWN_OF_ONE: Known = Known { once: &["verify"], repeated: &[] };

/// A page of events. Filters narrow each other; a repeated one means any of its values.
#[utoipa::path(get, path = "/v1/orgs/{org}/events", tag = "events", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("q" = Option<String>, Query, description = "a query, such as `kind:authentication outcome:failure source:10.0.0.* \"wrong password\"`"),
    ("kind" = Option<Vec<String>>, Query, description = "any of these kinds"),
    ("action" = Option<Vec<String>>, Query, description = "any of these actions, in any case"),
    ("outcome" = Option<Vec<String>>, Query, description = "any of these outcomes"),
    ("actor" = Option<Vec<String>>, Query, description = "any of these names or ids"),
    ("indirect_actor" = Option<Vec<String>>, Query, description = "any of these names or ids"),
    ("source" = Option<Vec<String>>, Query, description = "any of these addresses or hosts"),
    ("session" = Option<Vec<String>>, Query, description = "any of these sessions"),
    ("correlation" = Option<Vec<String>>, Query, description = "any of these correlations"),
    ("target" = Option<Vec<String>>, Query, description = "any of these names or ids"),
    ("id" = Option<Vec<String>>, Query, description = "any of these sender's ids"),
    ("from" = Option<String>, Query, description = "occurred at this time (RFC 3339) or later"),
    ("to" = Option<String>, Query, description = "occurred before this time (RFC 3339)"),
    ("order" = Option<String>, Query, description = "`newest` (default) or `oldest` first, by `seq`"),
    ("after" = Option<u64>, Query, description = "go on after this `seq`, in the order asked for"),
    ("limit" = Option<u64>, Query, description = "1 to 10,000; default 100"),
    ("verify" = Option<bool>, Query, description = "verify what is returned against the signed tree"),
), responses((status = 200, body = EventPage), (status = 400, body = Document)))]
pub async fn list(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ReadEvents)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN)?;
    let limit = match parameters.number("limit")? {
        None => PAGE_EVENTS_DEFAULT,
        Some(limit) if (1..=PAGE_EVENTS_MAX as u64).contains(&limit) => limit as usize,
        Some(limit) => {
            return Err(Problem::invalid(format!("parameter limit is {limit}; it takes 1 to {PAGE_EVENTS_MAX}")));
        }
    };
    let query = EventQuery {
        filter: filter::query(&parameters)?,
        order: parameters.choice("order", &[("newest", Order::Descending), ("oldest", Order::Ascending)])?,
        after: parameters.number("after")?,
        limit,
        verify: parameters.flag("verify")?,
        ..EventQuery::default()
    };
    let json = blocking(move || Ok(render::page(&context.service.query(&call.who, call.org, &query)?))).await?;
    Ok(reply_bytes(StatusCode::OK, json))
}

/// One event by its number.
#[utoipa::path(get, path = "/v1/orgs/{org}/events/{seq}", tag = "events", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("seq" = u64, Path, description = "the number, from 1"),
    ("verify" = Option<bool>, Query, description = "verify it against the signed tree"),
), responses((status = 200, body = Recorded), (status = 404, body = Document)))]
pub async fn show(
    State(context): State<Context>,
    call: InOrg,
    Segment(seq): Segment,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    call.must(&context, Verb::ReadEvents)?;
    let verify = Parameters::read(query.as_deref(), &KNOWN_OF_ONE)?.flag("verify")?;
    let digits_only = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = seq.parse().ok().filter(|_| digits_only) else {
        return Err(Problem::new(
            ErrorKind::NotFound,
            format!("no event {:?}; events have whole numbers", shown(&seq)),
        ));
    };
    let json = blocking(move || {
        let event = context.service.get(&call.who, call.org, number, verify)?;
        let mut json = Vec::new();
        render::recorded(&event, &mut json);
        Ok(json)
    });
    Ok(reply_bytes(StatusCode::OK, json.await?))
}
