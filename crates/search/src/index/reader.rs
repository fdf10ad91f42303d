//! One committed state of the index, and pages out of it.
//!
//! Segments hold disjoint stretches of the order of adding, and the numbers of one log rise in that order. So a page is
//! collected segment by segment in the order asked for and ends when it is full. Inside a segment the documents of the
//! log with numbers between the bounds are one stretch, found by bisection; forward it is read from its beginning, backward
//! in windows from its end, each wider than the one before.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use tantivy::columnar::Column;
use tantivy::postings::TermInfo;
use tantivy::query::EnableScoring;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, InvertedIndexReader, Searcher, SegmentReader, TERMINATED};

use super::exclusion::{Matching, seek};
use super::merge::Piece;
use super::schema::{Fields, NUMBER, OCCURRED, ORDER};
use super::{Error, Order, plan};
use crate::query::{Node, Query};

/// Documents in the windows of a backward read before the last one, which is all that is left. Three at most, because a
/// query without matches may have to look through what lies before a window, too.
const WINDOWS: [u32; 2] = [4_096, 65_536];

/// One committed state with the payload of its commit. Answers never change while it is held, whatever is added, merged
/// or deleted meanwhile; files it needs stay on disk. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    pub(super) state: Arc<State>,
}

pub(super) struct State {
    searcher: Searcher,
    pub(super) fields: Fields,
    /// Oldest first.
    pub(super) segments: Vec<Segment>,
    payload: Option<Vec<u8>>,
}

pub(super) struct Segment {
    /// The place in `searcher`.
    place: usize,
    numbers: Column<u64>,
    orders: Column<u64>,
    pub(super) occurred: Column<i64>,
    logs: Arc<InvertedIndexReader>,
}

/// Inclusive bounds of numbers.
pub(super) struct Bounds {
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Reader {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// What was given to the commit that made this state; none before the first commit.
    pub fn payload(&self) -> Option<&[u8]> {
        self.state.payload.as_deref()
    }

    /// Documents in this state, over all logs.
    pub fn documents(&self) -> u64 {
        self.state.searcher.num_docs()
    }

    /// Segments in this state; a page of one log may have to look into each.
    pub fn segments(&self) -> usize {
        self.state.segments.len()
    }

    /// One page: the numbers of the documents of the log that match, in the order asked for.
    ///
    /// `after` is the last number of the page before (exclusive), `until` the last number of interest (inclusive), both
    /// as seen in that order: descending pages go from just below `after` down to `until`. The page is shorter than
    /// `limit` only at the end. The cost grows with the page, and with what has to be looked through to fill it, but not
    /// with the number of matches outside it.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the files do not hold what they should.
    #[allow(clippy::too_many_arguments, reason = "which page, of what, is one question")]
    pub fn search(
        &self,
        log: u32,
        query: &Query,
        order: Order,
        after: Option<u64>,
        until: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        let Some(bounds) = Bounds::new(order, after, until) else { return Ok(Vec::new()) };
        let query = query.prepare();
        let mut weights = Weights::new(&self.state, log, &query.0);
        let mut page = Vec::new();
        match order {
            Order::Ascending => {
                for segment in &self.state.segments {
                    if page.len() >= limit {
                        break;
                    }
                    segment.forward(&self.state, &mut weights, &bounds, limit, &mut page)?;
                }
            }
            Order::Descending => {
                for segment in self.state.segments.iter().rev() {
                    if page.len() >= limit {
                        break;
                    }
                    segment.backward(&self.state, &mut weights, &bounds, limit, &mut page)?;
                }
            }
        }
        Ok(page)
    }

    /// The matches of the log that occurred last, as (microseconds, number) in no particular order: at most `most` of those
    /// with numbers in `numbers` (inclusive); of two at one time the one with the higher number is the later.
    ///
    /// Looks at the newest segments first and passes over those in which nothing occurred late enough, so that the usual case,
    /// times that rise about as numbers do, costs one segment. Memory: 16 bytes for each of `most`.
    ///
    /// # Errors
    /// As [`search`](Reader::search).
    pub fn newest(
        &self,
        log: u32,
        query: &Query,
        numbers: std::ops::RangeInclusive<u64>,
        most: usize,
    ) -> Result<Vec<(i64, u64)>, Error> {
        let query = query.prepare();
        let mut weights = Weights::new(&self.state, log, &query.0);
        let bounds = Bounds { min: *numbers.start(), max: *numbers.end() };
        // Its top is the earliest of the latest so far: the next to go.
        let mut latest: BinaryHeap<Reverse<(i64, u64)>> = BinaryHeap::new();
        if most == 0 || bounds.min > bounds.max {
            return Ok(Vec::new());
        }
        for segment in self.state.segments.iter().rev() {
            // Numbers in older segments are lower, so a tie in time is lost, too.
            let full = latest.len() == most;
            if full && latest.peek().is_some_and(|earliest| segment.occurred.max_value() <= earliest.0.0) {
                continue;
            }
            segment.each(&self.state, &mut weights, &bounds, |document| {
                if let (Some(at), Some(number)) = (segment.occurred.first(document), segment.numbers.first(document)) {
                    if latest.len() < most {
                        latest.push(Reverse((at, number)));
                    } else if let Some(mut earliest) = latest.peek_mut()
                        && (at, number) > earliest.0
                    {
                        *earliest = Reverse((at, number));
                    }
                }
                true
            })?;
        }
        Ok(latest.into_iter().map(|Reverse(found)| found).collect())
    }

    /// Counts the documents of the log that match, but no further than `cap`.
    ///
    /// # Errors
    /// As [`search`](Reader::search).
    pub fn count(&self, log: u32, query: &Query, cap: u64) -> Result<u64, Error> {
        let query = query.prepare();
        let mut weights = Weights::new(&self.state, log, &query.0);
        let mut count = 0;
        for segment in &self.state.segments {
            segment.each(&self.state, &mut weights, &Bounds { min: 0, max: u64::MAX }, |_| {
                count += 1;
                count < cap
            })?;
            if count >= cap {
                break;
            }
        }
        Ok(count.min(cap))
    }
}

impl State {
    /// Takes what the searcher has now. Fails if its segments do not follow one another.
    pub(super) fn new(searcher: Searcher, fields: Fields, payload: Option<Vec<u8>>) -> Result<Self, Error> {
        let mut segments = Vec::with_capacity(searcher.segment_readers().len());
        for (place, reader) in searcher.segment_readers().iter().enumerate() {
            let columns = reader.fast_fields();
            segments.push(Segment {
                place,
                numbers: columns.u64(NUMBER)?,
                orders: columns.u64(ORDER)?,
                occurred: columns.i64(OCCURRED)?,
                logs: reader.inverted_index(fields.log)?,
            });
        }
        segments.sort_by_key(|segment| segment.orders.min_value());
        if segments.windows(2).any(|pair| pair[0].orders.max_value() >= pair[1].orders.min_value()) {
            return Err(Error::Damaged { detail: "two segments overlap in the order of adding".to_owned() });
        }
        Ok(Self { searcher, fields, segments, payload })
    }

    pub(super) fn payload(&self) -> Option<&Vec<u8>> {
        self.payload.as_ref()
    }

    /// The first place in the order of adding that is not taken.
    pub(super) fn next_order(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.orders.max_value() + 1)
    }

    pub(super) fn pieces(&self) -> Vec<Piece> {
        let piece = |segment: &Segment| {
            let reader = self.reader(segment);
            Piece { alive: reader.num_docs(), deleted: reader.num_deleted_docs() }
        };
        self.segments.iter().map(piece).collect()
    }

    pub(super) fn segment_ids(&self, run: Range<usize>) -> Vec<tantivy::index::SegmentId> {
        self.segments[run].iter().map(|segment| self.reader(segment).segment_id()).collect()
    }

    pub(super) fn reader(&self, segment: &Segment) -> &SegmentReader {
        &self.searcher.segment_readers()[segment.place]
    }
}

impl Segment {
    fn forward(
        &self,
        state: &State,
        weights: &mut Weights<'_>,
        bounds: &Bounds,
        limit: usize,
        page: &mut Vec<u64>,
    ) -> Result<(), Error> {
        self.each(state, weights, bounds, |document| {
            page.extend(self.numbers.first(document));
            page.len() < limit
        })
    }

    /// Calls `take` with each match between the bounds, in rising order, until it answers false.
    pub(super) fn each(
        &self,
        state: &State,
        weights: &mut Weights<'_>,
        bounds: &Bounds,
        mut take: impl FnMut(DocId) -> bool,
    ) -> Result<(), Error> {
        let reader = state.reader(self);
        let Some(stretch) = self.stretch(reader, &weights.log_term(), bounds)? else { return Ok(()) };
        let matching = weights.get(stretch.sole)?;
        for_each_match(matching, reader, stretch.documents, &mut take)
    }

    fn backward(
        &self,
        state: &State,
        weights: &mut Weights<'_>,
        bounds: &Bounds,
        limit: usize,
        page: &mut Vec<u64>,
    ) -> Result<(), Error> {
        let reader = state.reader(self);
        let Some(stretch) = self.stretch(reader, &weights.log_term(), bounds)? else { return Ok(()) };
        let matching = weights.get(stretch.sole)?;
        let Range { start, mut end } = stretch.documents;
        let mut widths = WINDOWS.into_iter();
        while start < end && page.len() < limit {
            let width = widths.next().unwrap_or(u32::MAX);
            let window = end.saturating_sub(width).max(start)..end;
            let wanted = limit - page.len();
            let mut last = VecDeque::new();
            end = window.start;
            for_each_match(matching, reader, window, &mut |document| {
                if last.len() == wanted {
                    last.pop_front();
                }
                last.push_back(document);
                true
            })?;
            page.extend(last.iter().rev().filter_map(|&document| self.numbers.first(document)));
        }
        Ok(())
    }

    /// The documents among which those of the log with numbers between the bounds lie, without any of the log's others.
    fn stretch(&self, reader: &SegmentReader, log: &tantivy::Term, bounds: &Bounds) -> Result<Option<Stretch>, Error> {
        let Some(info) = self.logs.get_term_info(log)? else { return Ok(None) };
        let sole = info.doc_freq == reader.max_doc();
        let start = self.first_with(reader, &info, sole, bounds.min)?;
        let end = match bounds.max.checked_add(1) {
            Some(beyond) => self.first_with(reader, &info, sole, beyond)?,
            None => reader.max_doc(),
        };
        Ok((start < end).then_some(Stretch { documents: start..end, sole }))
    }

    /// The first place from which on all documents of the log have numbers of at least `number`.
    fn first_with(&self, reader: &SegmentReader, info: &TermInfo, sole: bool, number: u64) -> Result<DocId, Error> {
        // Most segments lie wholly on one side, which is cheap to see; a step of the bisection costs some microseconds.
        if self.numbers.max_value() < number {
            return Ok(reader.max_doc());
        }
        if number <= self.numbers.min_value() || !self.below(self.log_document(info, sole, 0)?, number) {
            return Ok(0);
        }
        let Range { mut start, mut end } = 0..reader.max_doc();
        while start < end {
            let middle = start + (end - start) / 2;
            let document = self.log_document(info, sole, middle)?;
            if self.below(document, number) {
                start = document + 1;
            } else {
                end = middle;
            }
        }
        Ok(start)
    }

    /// The log's first document at or after the place.
    fn log_document(&self, info: &TermInfo, sole: bool, place: DocId) -> Result<DocId, Error> {
        if sole {
            return Ok(place);
        }
        let mut documents = self.logs.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        Ok(seek(&mut documents, place))
    }

    fn below(&self, document: DocId, number: u64) -> bool {
        document != TERMINATED && self.numbers.first(document).is_some_and(|found| found < number)
    }
}

struct Stretch {
    documents: Range<DocId>,
    /// True if every document of the segment is the log's, so that nothing has to ask for the log.
    sole: bool,
}

/// Calls `take` with each living match in the window, in rising order, until it answers false.
fn for_each_match(
    matching: &Matching,
    reader: &SegmentReader,
    window: Range<DocId>,
    take: &mut dyn FnMut(DocId) -> bool,
) -> Result<(), Error> {
    let alive = reader.alive_bitset();
    let mut matches = matching.from(reader, window.start)?;
    let mut document = matches.doc();
    while document < window.end {
        if alive.is_none_or(|alive| alive.is_alive(document)) && !take(document) {
            break;
        }
        document = matches.advance();
    }
    Ok(())
}

/// The query as tantivy runs it, with and without asking for the log; each made when first needed.
pub(super) struct Weights<'a> {
    state: &'a State,
    log: u32,
    node: &'a Node,
    plain: Option<Matching>,
    in_log: Option<Matching>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(state: &'a State, log: u32, node: &'a Node) -> Self {
        Self { state, log, node, plain: None, in_log: None }
    }

    fn log_term(&self) -> tantivy::Term {
        self.state.fields.log_term(self.log)
    }

    fn get(&mut self, sole: bool) -> Result<&Matching, Error> {
        let slot = if sole { &mut self.plain } else { &mut self.in_log };
        match slot {
            Some(matching) => Ok(matching),
            None => {
                let plan = plan::plan(&self.state.fields, (!sole).then_some(self.log), self.node);
                Ok(slot.insert(plan.matching(EnableScoring::disabled_from_searcher(&self.state.searcher))?))
            }
        }
    }
}

impl Bounds {
    fn new(order: Order, after: Option<u64>, until: Option<u64>) -> Option<Self> {
        let bounds = match order {
            Order::Ascending => {
                Self { min: after.map_or(Some(0), |after| after.checked_add(1))?, max: until.unwrap_or(u64::MAX) }
            }
            Order::Descending => {
                Self { min: until.unwrap_or(0), max: after.map_or(Some(u64::MAX), |after| after.checked_sub(1))? }
            }
        };
        (bounds.min <= bounds.max).then_some(bounds)
    }
}
