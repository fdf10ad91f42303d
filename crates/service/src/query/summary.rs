//! What a query's matches come to, without the events: how many over time, by outcome, and the commonest values of fields.

use std::collections::{BTreeMap, HashMap};

use search::analysis;
use search::{Field, Query};

use super::Reading;
use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::OrgId;
use crate::projection::document::document;
use crate::proofs::LogHead;
use crate::service::Service;

/// Most stretches of time of one summary.
pub const BUCKETS_MAX: usize = 400;

/// Most values that are told of one field.
pub const VALUES_MAX: usize = 100;

/// Different values of one field that are counted in one segment of the index. A field with more is told as incomplete.
pub const TERMS_MAX: usize = 200_000;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Lengths of time that people count in, in microseconds.
const WIDTHS: [i64; 18] = [
    SECOND,
    5 * SECOND,
    15 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
    900 * SECOND,
    1_800 * SECOND,
    3_600 * SECOND,
    3 * 3_600 * SECOND,
    6 * 3_600 * SECOND,
    12 * 3_600 * SECOND,
    DAY,
    7 * DAY,
    28 * DAY,
    91 * DAY,
    364 * DAY,
    3_640 * DAY,
];

/// What is to be counted.
#[derive(Clone, Debug)]
pub struct SummaryQuery {
    /// Which events.
    pub filter: Query,
    /// Where the time that is looked at begins, in microseconds since 1970; `None`: at the first match.
    pub from_us: Option<i64>,
    /// Where it ends, exclusive; `None`: after the last match.
    pub to_us: Option<i64>,
    /// Most stretches of time, 1 to [`BUCKETS_MAX`].
    pub buckets_max: usize,
    /// The fields whose values are counted.
    pub fields: Vec<Field>,
    /// Most values of each, up to [`VALUES_MAX`].
    pub values_max: usize,
}

/// What the matches come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many there are.
    pub total: u64,
    /// Length of a stretch of time, in microseconds.
    pub width_us: i64,
    /// The stretches in which something matches, in order.
    pub buckets: Vec<Bucket>,
    /// The fields, in the order asked for.
    pub fields: Vec<FieldSummary>,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins, in microseconds since 1970; a multiple of the width.
    pub start_us: i64,
    /// Matches that occurred in it.
    pub total: u64,
    /// The same by outcome, in the order of names. Events without an outcome that can be read are in none.
    pub outcomes: BTreeMap<String, u64>,
}

/// The values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSummary {
    /// The field.
    pub field: Field,
    /// The commonest, in the form in which the index compares them (lower case), with their counts; ties in alphabetical order.
    pub values: Vec<(String, u64)>,
    /// How many different values there are.
    pub distinct: u64,
    /// False: more than [`TERMS_MAX`] values had to be looked at; there may be commoner ones.
    pub complete: bool,
}

impl Service {
    /// Counts the matches of a query; sees every event acknowledged before the call.
    ///
    /// # Errors
    /// As for [`Service::count`]; `Invalid` for a number out of bounds or a time that ends before it begins.
    pub fn summary(&self, who: &Principal, org: OrgId, query: &SummaryQuery) -> Result<(Summary, LogHead)> {
        self.allow(who, Verb::ReadEvents, org)?;
        if !(1..=BUCKETS_MAX).contains(&query.buckets_max) {
            return Err(Error::invalid(format!("a summary has 1 to {BUCKETS_MAX} buckets")));
        }
        if query.values_max > VALUES_MAX {
            return Err(Error::invalid(format!("a summary tells at most {VALUES_MAX} values of a field")));
        }
        if query.from_us.zip(query.to_us).is_some_and(|(from, to)| to <= from) {
            return Err(Error::invalid("the time to be counted over ends before it begins"));
        }
        let parts = self.parts(org)?;
        let newest = *parts.last().expect("an organisation has a log");
        // Taken first, so that everything acknowledged before is seen.
        let head = self.to_head(&newest, self.logs().head(&newest.log)?);
        let readings: Vec<Reading<'_>> =
            parts.into_iter().map(|part| self.reading(part, &query.filter, false)).collect::<Result<_>>()?;
        let (mut matched, mut newer) = (Vec::new(), Vec::new());
        for reading in &readings {
            reading.check_lag()?;
            let indexed_to = reading.indexed().entries(reading.ordinal).min(reading.highest);
            if reading.lowest <= indexed_to {
                let numbers = reading.lowest..=indexed_to;
                matched.push(reading.indexed().reader.matched(reading.ordinal, &reading.filter, numbers)?);
            }
            reading.scan(reading.lowest.max(indexed_to + 1), |record| {
                newer.push(document(&encoding::event(record)));
                true
            })?;
        }

        let (mut first, mut last) = (i64::MAX, i64::MIN);
        let mut see = |at_us: i64| {
            first = first.min(at_us);
            last = last.max(at_us);
        };
        let mut total = newer.len() as u64;
        newer.iter().for_each(|document| see(document.occurred_at_us));
        for matched in &matched {
            total += matched.total();
            matched.times(&mut see);
        }
        let from = query.from_us.unwrap_or(first);
        let to = query.to_us.unwrap_or(last.saturating_add(1));
        let width_us = width(from, to, query.buckets_max);

        let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
        let mut bucket = |at_us: i64, outcome: Option<&str>| {
            let start_us = at_us.div_euclid(width_us).saturating_mul(width_us);
            let bucket = buckets.entry(start_us).or_insert(Bucket { start_us, total: 0, outcomes: BTreeMap::new() });
            match outcome {
                None => bucket.total += 1,
                Some(outcome) => match bucket.outcomes.get_mut(outcome) {
                    Some(count) => *count += 1,
                    None => {
                        bucket.outcomes.insert(outcome.to_owned(), 1);
                    }
                },
            }
        };
        for matched in &matched {
            matched.times(|at_us| bucket(at_us, None));
            matched.values_and_times(Field::Outcome, TERMS_MAX, |value, at_us| bucket(at_us, Some(value)))?;
        }
        for document in &newer {
            bucket(document.occurred_at_us, None);
            for (field, value) in &document.keywords {
                if *field == Field::Outcome {
                    bucket(document.occurred_at_us, Some(&analysis::keyword(value)));
                }
            }
        }

        let mut fields = Vec::with_capacity(query.fields.len());
        for &field in &query.fields {
            let mut counts: HashMap<String, u64> = HashMap::new();
            let mut complete = true;
            let mut add = |value: &str, count: u64| match counts.get_mut(value) {
                Some(known) => *known += count,
                None => {
                    counts.insert(value.to_owned(), count);
                }
            };
            for matched in &matched {
                complete &= matched.values(field, TERMS_MAX, &mut add)?;
            }
            for document in &newer {
                let values = document.keywords.iter().filter(|(of, _)| *of == field);
                let mut values: Vec<String> = values.map(|(_, value)| analysis::keyword(value)).collect();
                // The index knows of each value once, too, however often an event repeats it.
                values.sort_unstable();
                values.dedup();
                values.iter().for_each(|value| add(value, 1));
            }
            let distinct = counts.len() as u64;
            let mut values: Vec<(String, u64)> = counts.into_iter().collect();
            values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            values.truncate(query.values_max);
            fields.push(FieldSummary { field, values, distinct, complete });
        }
        Ok((Summary { total, width_us, buckets: buckets.into_values().collect(), fields }, head))
    }
}

/// The shortest length of time people count in, of which `most` cover what lies between.
fn width(from: i64, to: i64, most: usize) -> i64 {
    let span = i128::from(to) - i128::from(from);
    let covers = |width: &&i64| {
        // One more than the quotient: the first and the last one may be cut.
        span / i128::from(**width) < most as i128
    };
    let longest = WIDTHS[WIDTHS.len() - 1];
    match WIDTHS.iter().find(covers) {
        Some(width) => *width,
        // Only the ends of time are so far apart; times fit 64 bits, so this does, too.
        None => {
            let times = span / (i128::from(longest) * most as i128) + 1;
            i64::try_from(i128::from(longest) * times).unwrap_or(i64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_one_that_people_count_in_and_covers_all() {
        let check = |span_s: i64, most: usize, expected_s: i64| {
            assert_eq!(width(0, span_s * SECOND, most) / SECOND, expected_s, "{span_s} s in {most}");
        };
        check(0, 10, 1);
        check(9, 10, 1);
        check(10, 10, 5);
        check(3_600, 60, 300);
        check(86_400 * 30, 60, 12 * 3_600 * 2);
        check(86_400 * 30, 61, 12 * 3_600);
        check(86_400 * 30, 1, 91 * 86_400);
        assert!(width(i64::MIN, i64::MAX, 1) > 0);
        assert!(width(i64::MAX, i64::MIN, 10) > 0, "nothing matched");
    }
}
