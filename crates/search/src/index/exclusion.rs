//! Exclusion: documents wanted, without those unwanted.
//!
//! Ours instead of tantivy's, which asks a phrase that is to be excluded about documents before the one it stands at
//! (against the rules of its own `seek_danger`; a debug build panics), and which follows what is excluded from the
//! beginning of the segment even if only its end is of interest.

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED};

/// What must match, and what none of may.
#[derive(Debug)]
pub(super) struct Without {
    pub(super) wanted: Box<dyn Query>,
    pub(super) unwanted: Vec<Box<dyn Query>>,
}

impl Clone for Without {
    fn clone(&self) -> Self {
        let unwanted = self.unwanted.iter().map(|query| query.box_clone()).collect();
        Self { wanted: self.wanted.box_clone(), unwanted }
    }
}

impl Without {
    pub(super) fn matching(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Matching> {
        let unwanted = self.unwanted.iter().map(|query| query.weight(scoring)).collect::<Result<_, _>>()?;
        Ok(Matching { wanted: self.wanted.weight(scoring)?, unwanted })
    }
}

impl Query for Without {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.matching(scoring)?))
    }
}

/// [`Without`], ready for any segment.
pub(super) struct Matching {
    wanted: Box<dyn Weight>,
    unwanted: Vec<Box<dyn Weight>>,
}

impl Matching {
    /// A cursor at the first match at or after `start`.
    pub(super) fn from(&self, reader: &SegmentReader, start: DocId) -> tantivy::Result<Matches> {
        let wanted = self.wanted.scorer(reader, 1.0)?;
        let unwanted = self.unwanted.iter().map(|weight| weight.scorer(reader, 1.0)).collect::<Result<_, _>>()?;
        let mut matches = Matches { wanted, unwanted };
        seek(&mut *matches.wanted, start);
        matches.skip_unwanted();
        Ok(matches)
    }
}

impl Weight for Matching {
    fn scorer(&self, reader: &SegmentReader, _boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(self.from(reader, 0)?))
    }

    fn explain(&self, _reader: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("matches", 1.0))
    }
}

/// A cursor over matches.
pub(super) struct Matches {
    wanted: Box<dyn Scorer>,
    unwanted: Vec<Box<dyn Scorer>>,
}

impl Matches {
    fn skip_unwanted(&mut self) -> DocId {
        loop {
            let document = self.wanted.doc();
            if document == TERMINATED
                || !self.unwanted.iter_mut().any(|unwanted| seek(&mut **unwanted, document) == document)
            {
                return document;
            }
            self.wanted.advance();
        }
    }
}

impl DocSet for Matches {
    fn advance(&mut self) -> DocId {
        self.wanted.advance();
        self.skip_unwanted()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        seek(&mut *self.wanted, target);
        self.skip_unwanted()
    }

    fn doc(&self) -> DocId {
        self.wanted.doc()
    }

    fn size_hint(&self) -> u32 {
        self.wanted.size_hint()
    }
}

impl Scorer for Matches {
    fn score(&mut self) -> Score {
        1.0
    }
}

/// Goes to the first document at or after the target; tantivy's own must not be asked to go back.
pub(super) fn seek(documents: &mut (impl DocSet + ?Sized), target: DocId) -> DocId {
    let at = documents.doc();
    if at < target { documents.seek(target) } else { at }
}
