//! Reading the dictionary of a field: one token, or all that some rule matches.

use std::ops::Bound;

use tantivy::postings::{BlockSegmentPostings, TermInfo};
use tantivy::schema::IndexRecordOption;
use tantivy::termdict::TermStreamer;
use tantivy_fst::Automaton;

use super::Error;
use super::fuzzy::{Candidate, Candidates, Within, likeness};
use super::index::FieldIndex;
use super::pattern::Pattern;
use super::set::{DocumentSet, SetBuilder};

impl FieldIndex<'_> {
    /// Where the list of a token is.
    pub(super) fn token(&self, term: &str) -> Result<Option<TermInfo>, Error> {
        Ok(self.lists.terms().get(term)?)
    }

    pub(super) fn with_prefix(&self, prefix: &str, documents: u32) -> Result<DocumentSet, Error> {
        let mut streamer = self.lists.terms().range().ge(prefix);
        let mut end = prefix.as_bytes().to_vec();
        // No byte of UTF-8 is 255: raising the last one gives the next string that lacks the prefix.
        if let Some(last) = end.last_mut() {
            *last += 1;
            streamer = streamer.lt(end);
        }
        self.union(streamer.into_stream()?, documents)
    }

    pub(super) fn matching(&self, pattern: &Pattern, documents: u32) -> Result<DocumentSet, Error> {
        self.union(self.lists.terms().search(&**pattern.automaton()).into_stream()?, documents)
    }

    pub(super) fn between(
        &self,
        lower: &Bound<String>,
        upper: &Bound<String>,
        documents: u32,
    ) -> Result<DocumentSet, Error> {
        if let (Bound::Unbounded, Bound::Unbounded, Some(lengths)) = (lower, upper, self.lengths) {
            // Every document with a token, and it has one if its length is not 0: no need to read all lists.
            let mut set = SetBuilder::new(documents);
            let with: Vec<u32> = (0..documents).filter(|&document| lengths.fieldnorm_id(document) != 0).collect();
            set.extend(&with);
            return Ok(set.finish());
        }
        let streamer = self.lists.terms().range();
        let streamer = match lower {
            Bound::Included(lower) => streamer.ge(lower),
            Bound::Excluded(lower) => streamer.gt(lower),
            Bound::Unbounded => streamer,
        };
        let streamer = match upper {
            Bound::Included(upper) => streamer.le(upper),
            Bound::Excluded(upper) => streamer.lt(upper),
            Bound::Unbounded => streamer,
        };
        self.union(streamer.into_stream()?, documents)
    }

    /// The tokens that count for a fuzzy one, the most alike first.
    pub(super) fn alike(&self, term: &str, distance: u8) -> Result<Vec<Candidate<TermInfo>>, Error> {
        let Some(within) = Within::of(term, distance) else { return Ok(Vec::new()) };
        let length = term.chars().count();
        let mut candidates = Candidates::new();
        let mut streamer = self.lists.terms().search(&within).into_stream()?;
        while let Some((token, info)) = streamer.next() {
            let characters = token.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
            let Some(distance) = within.distance(token) else { continue };
            let likeness = likeness(distance, length, characters);
            candidates.offer(Candidate { likeness, token: token.to_vec(), of: info.clone() });
        }
        Ok(candidates.into_best())
    }

    /// The documents that have any of these tokens.
    fn union<A: Automaton>(&self, mut tokens: TermStreamer<'_, A>, documents: u32) -> Result<DocumentSet, Error>
    where
        A::State: Clone,
    {
        let mut set = SetBuilder::new(documents);
        let mut list: Option<BlockSegmentPostings> = None;
        while tokens.advance() {
            let info = tokens.value();
            let list = match &mut list {
                Some(list) => {
                    self.lists.reset_block_postings_from_terminfo(info, list)?;
                    list
                }
                None => list.insert(self.lists.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?),
            };
            while list.block_len() > 0 {
                set.extend(list.docs());
                list.advance();
            }
        }
        Ok(set.finish())
    }
}
