//! Was anything left out? The query is evaluated over the stored bodies of a range, each verified against the signed tree, and
//! the outcome compared with what the index answers (`specs/proofs.md` §9.3).

use std::collections::BTreeSet;

use search::Query;

use super::{Order, verdict};
use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::Result;
use crate::model::{OrgId, Verdict};
use crate::service::Service;

/// Entries evaluated by one call.
pub const RANGE_ENTRIES_MAX: u64 = 20_000;

/// What one range came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// First number covered; the one after `after`.
    pub from: u64,
    /// Last number covered. The next range starts after it. A range ends with a log that was followed by another one.
    pub to: u64,
    /// The head: ranges go on until `to` reaches it.
    pub size: u64,
    /// Entries whose bodies were read, verified and evaluated. Fewer than covered where the query itself rules numbers or times out.
    pub evaluated: u64,
    /// How many of them match.
    pub matching: u64,
    /// Numbers that match and that the index does not find.
    pub left_out: Vec<u64>,
    /// Numbers that the index finds and that do not match.
    pub surplus: Vec<u64>,
    /// Numbers whose records are not what was committed, with the reason: of these nobody can say whether they match.
    pub tainted: Vec<(u64, String)>,
}

impl Service {
    /// Evaluates the range after number `after`, at most [`RANGE_ENTRIES_MAX`] entries of it.
    ///
    /// Entries that are not in the index yet are found by scanning them, by this call as by any query: for those the two answers
    /// are one.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` as everywhere; `Unavailable` when the index cannot be read.
    pub fn completeness(&self, who: &Principal, org: OrgId, filter: &Query, after: u64) -> Result<Completeness> {
        self.allow(who, Verb::ReadEvents, org)?;
        self.allow(who, Verb::ReadProofs, org)?;
        let newest = self.newest_part(org)?;
        let size = newest.shown(self.logs().head(&newest.log)?.size);
        let from = after.saturating_add(1);
        // One log at a time; past the end the newest one.
        let part = self.part_of(org, from).map_or(newest, |(part, _)| part);
        let mut reading = self.reading(part, filter, true)?;
        let end = part.last.unwrap_or(size);
        let to = end.min(after.saturating_add(RANGE_ENTRIES_MAX)).max(after.min(end));
        reading.cut(Order::Ascending, Some(after), Some(to));
        let mut found = Completeness {
            from,
            to,
            size,
            evaluated: 0,
            matching: 0,
            left_out: vec![],
            surplus: vec![],
            tainted: vec![],
        };
        let mut by_index: BTreeSet<u64> = BTreeSet::new();
        let indexed_to = reading.indexed_to();
        if reading.lowest <= indexed_to {
            let limit = (indexed_to - reading.lowest + 2) as usize;
            by_index.extend(reading.search(Order::Ascending, Some(reading.lowest - 1), Some(indexed_to), limit)?);
        }
        let mut number = reading.lowest;
        while number <= reading.highest {
            let records = reading.read(number, reading.highest)?;
            number = records.last().ok_or_else(|| reading.missing(number))?.number + 1;
            let states = self.logs().verify_records(&reading.log, &records);
            for (record, state) in records.into_iter().zip(states) {
                found.evaluated += 1;
                if let Verdict::Tainted(why) = verdict(state) {
                    by_index.remove(&record.number);
                    found.tainted.push((part.shown(record.number), why));
                    continue;
                }
                let matches = reading.filter == Query::All
                    || reading.prepared.matches(&super::document(&encoding::event(record.clone())));
                found.matching += u64::from(matches);
                let indexed = record.number <= indexed_to;
                match (matches, by_index.remove(&record.number)) {
                    (true, false) if indexed => found.left_out.push(part.shown(record.number)),
                    (false, true) => found.surplus.push(part.shown(record.number)),
                    _ => {}
                }
            }
        }
        // What the index finds where the log has nothing.
        found.surplus.extend(by_index.into_iter().map(|number| part.shown(number)));
        Ok(found)
    }
}
