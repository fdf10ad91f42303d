//! What the matches of a query come to: over time, and by the values of fields.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use service::query::summary::{BUCKETS_MAX, Bucket, FieldSummary, SummaryQuery, VALUES_MAX};
use service::search::Field;
use service::{Timestamp, Verb};
use utoipa::ToSchema;

use super::super::call::{InOrg, blocking, reply};
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Problem, Result, shown};
use super::super::wire::{Head, time};
use super::filter;
use crate::Context;

/// The parameters of this route; `field` repeats besides the fields of the filter.
const ONCE: &[&str] = &["q", "from", "to", "buckets", "values"];
const REPEATED: &[&str] = &[
    "field",
    "kind",
    "action",
    "outcome",
    "actor",
    "indirect_actor",
    "source",
    "session",
    "correlation",
    "target",
    "id",
];

/// Stretches of time when nothing is said.
const BUCKETS_DEFAULT: u64 = 60;
/// Values of a field when nothing is said.
const VALUES_DEFAULT: u64 = 10;

/// What the matches of a query come to.
#[derive(Serialize, ToSchema)]
pub struct EventSummary {
    /// How many events match.
    pub total: u64,
    /// Length of a bucket in seconds.
    pub bucket_seconds: u64,
    /// Stretches of time in which something matches, in order; those in between are empty. An event lies where it occurred.
    pub buckets: Vec<TimeBucket>,
    /// The fields that were asked for.
    pub fields: Vec<FieldValues>,
    /// The head when it was counted: every event up to its size was looked at.
    pub head: Head,
}

/// A stretch of time.
#[derive(Serialize, ToSchema)]
pub struct TimeBucket {
    /// Where it begins; a multiple of its length since 1970.
    pub at: String,
    /// Matches in it.
    pub total: u64,
    /// The same by outcome.
    pub outcomes: BTreeMap<String, u64>,
}

/// The values of a field.
#[derive(Serialize, ToSchema)]
pub struct FieldValues {
    /// The field.
    pub field: &'static str,
    /// The commonest values, in lower case.
    pub values: Vec<ValueCount>,
    /// How many different values the matches have.
    pub distinct: u64,
    /// False: the field has so many values that not all were counted; there may be commoner ones.
    pub complete: bool,
}

/// One value.
#[derive(Serialize, ToSchema)]
pub struct ValueCount {
    /// The value.
    pub value: String,
    /// Matches that have it.
    pub count: u64,
}

/// Counts the events that a query finds: over time by outcome, and the commonest values of fields.
#[utoipa::path(get, path = "/v1/orgs/{org}/events/summary", tag = "events", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("q" = Option<String>, Query, description = "a query, as for a page; the field parameters work too"),
    ("from" = Option<String>, Query, description = "occurred at this time (RFC 3339) or later"),
    ("to" = Option<String>, Query, description = "occurred before this time (RFC 3339)"),
    ("buckets" = Option<u64>, Query, description = "most stretches of time, 1 to 400; default 60"),
    ("field" = Option<Vec<String>>, Query, description = "count the values of this field, such as `actor`; may repeat"),
    ("values" = Option<u64>, Query, description = "most values of each field, up to 100; default 10"),
), responses((status = 200, body = EventSummary), (status = 400, body = Document)))]
pub async fn summary(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ReadEvents)?;
    let parameters = Parameters::read(query.as_deref(), &Known { once: ONCE, repeated: REPEATED })?;
    let count = |name: &str, default: u64, max: usize| match parameters.number(name)?.unwrap_or(default) {
        given if (1..=max as u64).contains(&given) => Ok(given as usize),
        given => Err(Problem::invalid(format!("parameter {name} is {given}; it takes 1 to {max}"))),
    };
    let micros = |at: Timestamp| at.as_microsecond();
    let query = SummaryQuery {
        filter: filter::query(&parameters)?,
        from_us: parameters.time("from")?.map(micros),
        to_us: parameters.time("to")?.map(micros),
        buckets_max: count("buckets", BUCKETS_DEFAULT, BUCKETS_MAX)?,
        fields: parameters.all("field").map(field).collect::<Result<_>>()?,
        values_max: count("values", VALUES_DEFAULT, VALUES_MAX)?,
    };
    let (summary, head) = blocking(move || context.service.summary(&call.who, call.org, &query)).await?;
    let document = EventSummary {
        total: summary.total,
        bucket_seconds: u64::try_from(summary.width_us / 1_000_000).unwrap_or_default(),
        buckets: summary.buckets.into_iter().map(TimeBucket::from).collect(),
        fields: summary.fields.into_iter().map(FieldValues::from).collect(),
        head: Head::from(&head),
    };
    Ok(reply(StatusCode::OK, &document))
}

fn field(name: &str) -> Result<Field> {
    name.parse().map_err(|_| {
        let names: Vec<&str> = Field::ALL.into_iter().map(Field::name).collect();
        Problem::invalid(format!("parameter field is {:?}; it takes: {}", shown(name), names.join(", ")))
    })
}

impl From<Bucket> for TimeBucket {
    fn from(bucket: Bucket) -> TimeBucket {
        // A bucket begins at most one width before an event that occurred in a year that a timestamp holds.
        let at = Timestamp::from_microsecond(bucket.start_us).unwrap_or(Timestamp::MIN);
        TimeBucket { at: time(at), total: bucket.total, outcomes: bucket.outcomes }
    }
}

impl From<FieldSummary> for FieldValues {
    fn from(field: FieldSummary) -> FieldValues {
        let values = field.values.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
        FieldValues { field: field.field.name(), values, distinct: field.distinct, complete: field.complete }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::FIELDS;
    use super::*;

    #[test]
    fn the_filters_of_a_page_are_those_of_a_summary() {
        assert_eq!(&REPEATED[1..], FIELDS);
    }
}
