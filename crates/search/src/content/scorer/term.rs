//! The documents that have one token.

use tantivy::DocId;
use tantivy::postings::BlockSegmentPostings;

use super::super::bm25;
use super::super::plan::{Scale, TermPlan};
use super::super::top::Top;
use super::{END, Fill, Scorer, Window};

pub(super) struct Term<'a> {
    list: BlockSegmentPostings,
    /// Where in the list's block.
    at: usize,
    scale: Scale<'a>,
    /// The scores of documents that have the token once, which most do, by rounded length.
    once: Box<[f32; 256]>,
    score_max: f64,
}

impl<'a> Term<'a> {
    pub(super) fn new(plan: TermPlan<'a>) -> Term<'a> {
        let TermPlan { list, scale, .. } = plan;
        let once = Box::new(std::array::from_fn(|id| bm25::score(scale.weight, 1.0, scale.pulls[id]) as f32));
        let score_max = scale.weight;
        Term { list, at: 0, scale, once, score_max }
    }

    fn score_at(&self, at: usize) -> f64 {
        let document = self.list.doc(at);
        let id = self.scale.lengths.map_or(0, |lengths| usize::from(lengths.fieldnorm_id(document)));
        match self.list.freq(at) {
            1 => f64::from(self.once[id]),
            frequency => bm25::score(self.scale.weight, f64::from(frequency), self.scale.pulls[id]),
        }
    }

    /// Calls `with` for each document before `end`, with its place in the block.
    fn each_before(&mut self, end: DocId, mut with: impl FnMut(&Term<'_>, DocId, usize)) {
        loop {
            let length = self.list.block_len();
            while self.at < length {
                let document = self.list.doc(self.at);
                if document >= end {
                    return;
                }
                with(self, document, self.at);
                self.at += 1;
            }
            if length == 0 {
                return;
            }
            self.list.advance();
            self.at = 0;
        }
    }
}

impl Scorer for Term<'_> {
    fn document(&self) -> DocId {
        if self.at < self.list.block_len() { self.list.doc(self.at) } else { END }
    }

    fn advance(&mut self) -> DocId {
        self.at += 1;
        if self.at >= self.list.block_len() {
            self.list.advance();
            self.at = 0;
        }
        self.document()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        let here = self.document();
        if here >= target {
            return here;
        }
        self.at = self.list.seek(target);
        self.document()
    }

    fn score(&mut self) -> f64 {
        self.score_at(self.at)
    }

    fn score_max(&self) -> f64 {
        self.score_max
    }

    fn fill(&mut self, window: &mut Window, what: Fill) {
        let end = window.end();
        match what {
            Fill::Candidates => self.each_before(end, |term, document, at| window.add(document, term.score_at(at))),
            Fill::Counted => self.each_before(end, |term, document, at| {
                if window.is_candidate(document) {
                    window.add_score(document, term.score_at(at));
                }
                window.count(document);
            }),
            Fill::Unscored => self.each_before(end, |_, document, _| window.count(document)),
        }
    }

    fn collect(&mut self, top: &mut Top) -> u64 {
        let mut total = 0;
        let mut threshold = top.threshold();
        self.each_before(END, |term, document, at| {
            total += 1;
            let score = term.score_at(at) as f32;
            if score > threshold {
                top.offer(document, score);
                threshold = top.threshold();
            }
        });
        total
    }
}
