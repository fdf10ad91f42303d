//! The numbers that readers see: one sequence over the logs that an organisation had, one after another
//! (`specs/proofs.md` §5.4).
//!
//! ```text
//! first log    1 ........ 900, 901 to 903 were lost
//! its successor                                904 905 ...      the entry at index i has the number 903 + i + 1
//! ```
//!
//! Below this module a number counts within its log (index + 1); what comes in from readers and goes out to them passes
//! here. An organisation whose log was never replaced has one part, and both are the same.

use log::LogId;
use search::{NumberField, Query};

use crate::error::{Error, Result};
use crate::model::OrgId;
use crate::service::Service;

/// One log's part of an organisation's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The log.
    pub log: LogId,
    /// Names it in the search index.
    pub ordinal: u32,
    /// Numbers up to this one belong to logs before it.
    pub before: u64,
    /// The last number of a log that was followed by another one.
    pub last: Option<u64>,
}

impl Part {
    /// A log by itself, for whoever counts within it.
    pub fn alone(log: LogId, ordinal: u32) -> Part {
        Part { log, ordinal, before: 0, last: None }
    }

    /// Whether another log took its place, so that nothing comes to it any more.
    pub fn is_former(&self) -> bool {
        self.last.is_some()
    }

    /// The number within the log, of one that readers see; none if it belongs to another log.
    pub fn local(&self, number: u64) -> Option<u64> {
        let is_within = number > self.before && self.last.is_none_or(|last| number <= last);
        is_within.then(|| number - self.before)
    }

    /// The number that readers see, of one within the log.
    pub fn shown(&self, local: u64) -> u64 {
        self.before.saturating_add(local)
    }
}

impl Service {
    /// The parts of an organisation's numbers, oldest first; at least one.
    pub(crate) fn parts(&self, org: OrgId) -> Result<Vec<Part>> {
        self.control().state().parts(org).ok_or_else(crate::organisations::no_org)
    }

    /// The part whose log takes entries, or would.
    pub(crate) fn newest_part(&self, org: OrgId) -> Result<Part> {
        Ok(self.parts(org)?.pop().expect("an organisation has a log"))
    }

    /// The log that holds a number, and the number within it. `NotFound` for 0; whether the log goes that far is not looked at.
    pub(crate) fn part_of(&self, org: OrgId, number: u64) -> Result<(Part, u64)> {
        let parts = self.parts(org)?;
        let found = parts.iter().find_map(|part| Some((*part, part.local(number)?)));
        found.ok_or_else(|| Error::not_found(format!("no event has the number {number}")))
    }
}

/// The query over the numbers that readers see, as one over those within the log of a part.
pub(crate) fn within(query: &Query, before: u64) -> Query {
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let shift = |bound: &Option<i64>| bound.map(|bound| bound.saturating_sub(before));
    replaced(query, &|leaf| match leaf {
        Query::Range { field: NumberField::Number, min, max } => {
            Some(Query::Range { field: NumberField::Number, min: shift(min), max: shift(max) })
        }
        _ => None,
    })
}

/// The query with what `by` has in place of conditions, wherever they are in it.
pub(crate) fn replaced(query: &Query, by: &dyn Fn(&Query) -> Option<Query>) -> Query {
    let all = |parts: &[Query]| parts.iter().map(|part| replaced(part, by)).collect();
    match query {
        Query::And(parts) => Query::And(all(parts)),
        Query::Or(parts) => Query::Or(all(parts)),
        Query::Not(inner) => Query::Not(Box::new(replaced(inner, by))),
        leaf => by(leaf).unwrap_or_else(|| leaf.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_belongs_to_one_log() {
        let part = |before, last| Part { log: LogId([1; 16]), ordinal: 0, before, last };
        let (old, new) = (part(0, Some(903)), part(903, None));
        for number in 1..2_000 {
            assert_eq!(old.local(number).is_some(), number <= 903, "{number}");
            assert_eq!(new.local(number).is_some(), number > 903, "{number}");
        }
        assert_eq!((new.local(904), new.shown(1)), (Some(1), 904));
        assert_eq!((old.local(0), new.local(0)), (None, None));
    }

    #[test]
    fn bounds_of_numbers_are_moved_wherever_they_are_in_a_query() {
        let range = |min, max| Query::Range { field: NumberField::Number, min, max };
        let query = Query::Or(vec![Query::Not(Box::new(range(Some(10), None))), range(None, Some(7)), Query::All]);
        let moved = Query::Or(vec![Query::Not(Box::new(range(Some(5), None))), range(None, Some(2)), Query::All]);
        assert_eq!(within(&query, 5), moved);
        assert_eq!(within(&query, 0), query);
    }
}
