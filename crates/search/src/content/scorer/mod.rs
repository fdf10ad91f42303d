//! Going through the documents that match, in order, with their scores.
//!
//! Everything is counted, but not everything is scored: see [`union`] for how documents are passed over that cannot be
//! among the best.

mod conjunction;
mod leaf;
mod phrase;
mod term;
mod union;

use tantivy::DocId;

use super::Error;
use super::plan::Plan;
use super::top::Top;

/// After the last document.
const END: DocId = tantivy::TERMINATED;

/// Documents that match something, in order. It stands on the first as soon as it is made.
trait Scorer {
    /// The document it stands on, or [`END`].
    fn document(&self) -> DocId;

    /// Goes to the next.
    fn advance(&mut self) -> DocId;

    /// Goes to the first that is `target` or behind it; `target` is not before where it stands.
    fn seek(&mut self, target: DocId) -> DocId;

    /// The score of the document it stands on. May be asked for once, or not at all.
    fn score(&mut self) -> f64;

    /// No score is above this.
    fn score_max(&self) -> f64;

    /// Goes through the documents before `window`'s end and marks them there, and adds their scores to those it asks for.
    fn fill(&mut self, window: &mut Window, what: Fill) {
        let end = window.end();
        while self.document() < end {
            let document = self.document();
            match what {
                Fill::Candidates => {
                    let score = self.score();
                    window.add(document, score);
                }
                Fill::Counted => {
                    if window.is_candidate(document) {
                        let score = self.score();
                        window.add_score(document, score);
                    }
                    window.count(document);
                }
                Fill::Unscored => window.count(document),
            }
            self.advance();
        }
    }

    /// Goes through all that are left: offers those that may be among the best, and returns how many there were.
    fn collect(&mut self, top: &mut Top) -> u64 {
        let mut total = 0;
        while self.document() != END {
            total += 1;
            let score = self.score() as f32;
            if score > top.threshold() {
                top.offer(self.document(), score);
            }
            self.advance();
        }
        total
    }
}

/// What becomes of the documents of a clause in a window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// They match and may be among the best: their scores are wanted.
    Candidates,
    /// They match, but this clause alone brings none of them among the best: scores are wanted of candidates only.
    Counted,
    /// They are marked, no scores are wanted.
    Unscored,
}

/// Documents of one stretch of numbers.
struct Window {
    start: DocId,
    matching: [u64; WINDOW / 64],
    candidates: [u64; WINDOW / 64],
    /// Of candidates; all others are 0.
    scores: Box<[f64; WINDOW]>,
}

/// Documents in a window; a multiple of 64.
const WINDOW: usize = 4096;

impl Window {
    fn new() -> Window {
        Window { start: 0, matching: [0; WINDOW / 64], candidates: [0; WINDOW / 64], scores: Box::new([0.0; WINDOW]) }
    }

    /// Begins anew at the stretch that `document` is in.
    fn move_to(&mut self, document: DocId) {
        for (word, bits) in self.candidates.iter_mut().enumerate() {
            while *bits != 0 {
                self.scores[word * 64 + bits.trailing_zeros() as usize] = 0.0;
                *bits &= *bits - 1;
            }
        }
        self.matching = [0; WINDOW / 64];
        self.start = document - document % WINDOW as u32;
    }

    fn end(&self) -> DocId {
        self.start + WINDOW as u32
    }

    fn place(&self, document: DocId) -> usize {
        (document - self.start) as usize % WINDOW
    }

    fn add(&mut self, document: DocId, score: f64) {
        let place = self.place(document);
        self.candidates[place / 64] |= 1 << (place % 64);
        self.scores[place] += score;
    }

    fn add_score(&mut self, document: DocId, score: f64) {
        let place = self.place(document);
        self.scores[place] += score;
    }

    fn count(&mut self, document: DocId) {
        let place = self.place(document);
        self.matching[place / 64] |= 1 << (place % 64);
    }

    fn is_candidate(&self, document: DocId) -> bool {
        let place = self.place(document);
        self.candidates[place / 64] & 1 << (place % 64) != 0
    }
}

/// Goes through everything a plan finds; returns how many documents there were.
pub(super) fn collect(plan: Plan<'_>, top: &mut Top) -> Result<u64, Error> {
    Ok(scorer(plan, Access::All).collect(top))
}

/// How a scorer is going to be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Mostly from one document to the next.
    All,
    /// Mostly by `seek`, over more documents than are looked at.
    Sparse,
}

/// The scorer of a plan.
fn scorer<'a>(plan: Plan<'a>, access: Access) -> Box<dyn Scorer + 'a> {
    match plan {
        Plan::Nothing => Box::new(leaf::Nothing),
        Plan::All { documents, score } => Box::new(leaf::All::new(documents, score)),
        Plan::Set { set, score } => Box::new(leaf::Set::new(set, score)),
        Plan::Term(term) => Box::new(term::Term::new(*term)),
        Plan::Phrase(phrase) => Box::new(phrase::Phrase::new(*phrase)),
        Plan::Lists { required, optional, prohibited } if required.is_empty() => {
            let optional = optional.into_iter().map(|plan| scorer(plan, access)).collect();
            let prohibited = prohibited.into_iter().map(|plan| scorer(plan, access)).collect();
            match access {
                Access::All => Box::new(union::Union::new(optional, prohibited)),
                Access::Sparse => {
                    let union = Box::new(conjunction::Either::new(optional));
                    conjunction::without(union, prohibited)
                }
            }
        }
        Plan::Lists { mut required, optional, prohibited } => {
            required.sort_by_key(Plan::cost);
            let leading = required[0].cost();
            // One that has many more documents than are looked at is better asked for each than gone through.
            let part = |plan: Plan<'a>| {
                let sparse = access == Access::Sparse || plan.cost() / 16 > leading;
                scorer(plan, if sparse { Access::Sparse } else { Access::All })
            };
            let required: Vec<_> = required.into_iter().map(part).collect();
            let optional: Vec<_> = optional.into_iter().map(part).collect();
            let prohibited: Vec<_> = prohibited.into_iter().map(part).collect();
            let all = conjunction::without(conjunction::all_of(required), prohibited);
            if optional.is_empty() { all } else { Box::new(conjunction::WithOptional::new(all, optional)) }
        }
    }
}
