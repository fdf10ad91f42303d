//! Documents that all have one score.

use std::sync::Arc;

use tantivy::DocId;

use super::super::set::DocumentSet;
use super::super::top::Top;
use super::{END, Fill, Scorer, WINDOW, Window};

/// No documents.
pub(super) struct Nothing;

impl Scorer for Nothing {
    fn document(&self) -> DocId {
        END
    }

    fn advance(&mut self) -> DocId {
        END
    }

    fn seek(&mut self, _target: DocId) -> DocId {
        END
    }

    fn score(&mut self) -> f64 {
        0.0
    }

    fn score_max(&self) -> f64 {
        0.0
    }
}

/// All documents.
pub(super) struct All {
    document: DocId,
    documents: DocId,
    score: f64,
}

impl All {
    pub(super) fn new(documents: DocId, score: f64) -> All {
        All { document: if documents == 0 { END } else { 0 }, documents, score }
    }
}

impl Scorer for All {
    fn document(&self) -> DocId {
        self.document
    }

    fn advance(&mut self) -> DocId {
        self.seek(self.document + 1)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.document = if target < self.documents { target } else { END };
        self.document
    }

    fn score(&mut self) -> f64 {
        self.score
    }

    fn score_max(&self) -> f64 {
        self.score
    }

    fn fill(&mut self, window: &mut Window, what: Fill) {
        let left = self.documents.saturating_sub(window.start) as usize;
        fill_words(window, what, self.score, |word| match left.saturating_sub(word * 64) {
            64.. => !0,
            some => (1 << some) - 1,
        });
        self.seek(window.end());
    }

    fn collect(&mut self, top: &mut Top) -> u64 {
        let total = u64::from(self.documents - self.document.min(self.documents));
        offer_equal(self, top);
        total
    }
}

/// A set of documents.
pub(super) struct Set {
    set: Arc<DocumentSet>,
    /// Where in a list of few.
    at: usize,
    document: DocId,
    score: f64,
}

impl Set {
    pub(super) fn new(set: Arc<DocumentSet>, score: f64) -> Set {
        let mut set = Set { set, at: 0, document: 0, score };
        set.seek(0);
        set
    }
}

impl Scorer for Set {
    fn document(&self) -> DocId {
        self.document
    }

    fn advance(&mut self) -> DocId {
        self.seek(self.document + 1)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.document = match &*self.set {
            DocumentSet::Few(documents) => {
                // Mostly the next one or one nearby.
                let near = documents[self.at..].iter().take(8).position(|&document| document >= target);
                self.at += near.unwrap_or_else(|| documents[self.at..].partition_point(|&document| document < target));
                documents.get(self.at).copied().unwrap_or(END)
            }
            DocumentSet::Many { bits, .. } => next_bit(bits, target),
        };
        self.document
    }

    fn score(&mut self) -> f64 {
        self.score
    }

    fn score_max(&self) -> f64 {
        self.score
    }

    fn fill(&mut self, window: &mut Window, what: Fill) {
        let DocumentSet::Many { bits, .. } = &*self.set else {
            while self.document < window.end() {
                let document = self.document;
                match what {
                    Fill::Candidates => window.add(document, self.score),
                    Fill::Counted if window.is_candidate(document) => window.add_score(document, self.score),
                    Fill::Counted | Fill::Unscored => {}
                }
                window.count(document);
                self.advance();
            }
            return;
        };
        let first = window.start as usize / 64;
        fill_words(window, what, self.score, |word| bits.get(first + word).copied().unwrap_or(0));
        self.seek(window.end());
    }

    fn collect(&mut self, top: &mut Top) -> u64 {
        let total = self.set.count();
        offer_equal(self, top);
        total
    }
}

/// Fills a window with documents of one score, given the bits of each of its words.
fn fill_words(window: &mut Window, what: Fill, score: f64, bits: impl Fn(usize) -> u64) {
    for word in 0..WINDOW / 64 {
        let bits = bits(word);
        window.matching[word] |= bits;
        let mut scored = match what {
            Fill::Candidates => bits,
            Fill::Counted => bits & window.candidates[word],
            Fill::Unscored => 0,
        };
        if what == Fill::Candidates {
            window.candidates[word] |= bits;
        }
        while scored != 0 {
            window.scores[word * 64 + scored.trailing_zeros() as usize] += score;
            scored &= scored - 1;
        }
    }
}

/// Offers documents of one score until no more of them matter.
fn offer_equal(scorer: &mut dyn Scorer, top: &mut Top) {
    let score = scorer.score() as f32;
    while scorer.document() != END && score > top.threshold() {
        top.offer(scorer.document(), score);
        scorer.advance();
    }
}

fn next_bit(bits: &[u64], from: DocId) -> DocId {
    let mut word = from as usize / 64;
    let Some(&first) = bits.get(word) else { return END };
    let mut rest = first & (!0 << (from % 64));
    while rest == 0 {
        word += 1;
        match bits.get(word) {
            Some(&bits) => rest = bits,
            None => return END,
        }
    }
    word as u32 * 64 + rest.trailing_zeros()
}
