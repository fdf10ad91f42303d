//! The documents that have a phrase.

use tantivy::DocId;
use tantivy::DocSet as _;
use tantivy::postings::{Postings as _, SegmentPostings};

use super::super::bm25;
use super::super::plan::{PhrasePlan, Scale};
use super::super::sloppy::{self, Shape};
use super::{END, Scorer};

pub(super) struct Phrase<'a> {
    /// Each different token once.
    lists: Vec<SegmentPostings>,
    /// The lists in order of length: the shortest leads.
    by_length: Vec<usize>,
    /// For each token of the phrase, which list is its.
    order: Vec<usize>,
    slop: u32,
    shape: Shape,
    scale: Scale<'a>,
    /// Of each list in the document.
    positions: Vec<Vec<u32>>,
    document: DocId,
    frequency: f64,
}

impl<'a> Phrase<'a> {
    pub(super) fn new(plan: PhrasePlan<'a>) -> Phrase<'a> {
        let mut by_length: Vec<usize> = (0..plan.lists.len()).collect();
        by_length.sort_by_key(|&number| plan.lists[number].doc_freq());
        let positions = vec![Vec::new(); plan.lists.len()];
        let PhrasePlan { lists, order, slop, shape, scale, .. } = plan;
        let mut phrase = Phrase { lists, by_length, order, slop, shape, scale, positions, document: 0, frequency: 0.0 };
        phrase.find();
        phrase
    }

    /// From where the shortest list stands to the first document that has the phrase.
    fn find(&mut self) -> DocId {
        let leading = self.by_length[0];
        let mut candidate = self.lists[leading].doc();
        'candidates: while candidate != END {
            for &number in &self.by_length[1..] {
                let found = at_or_after(&mut self.lists[number], candidate);
                if found != candidate {
                    candidate = at_or_after(&mut self.lists[leading], found);
                    continue 'candidates;
                }
            }
            self.frequency = self.frequency();
            if self.frequency > 0.0 {
                break;
            }
            candidate = self.lists[leading].advance();
        }
        self.document = candidate;
        candidate
    }

    /// How often the phrase stands in the document that all lists stand on.
    fn frequency(&mut self) -> f64 {
        for (list, positions) in self.lists.iter_mut().zip(&mut self.positions) {
            list.positions(positions);
        }
        if self.slop == 0 {
            return f64::from(exact_frequency(&self.order, &self.positions));
        }
        let positions: Vec<&[u32]> = self.order.iter().map(|&number| &self.positions[number][..]).collect();
        sloppy::frequency(&positions, &self.shape, self.slop, |_| ())
    }
}

fn at_or_after(list: &mut SegmentPostings, target: DocId) -> DocId {
    if list.doc() < target { list.seek(target) } else { list.doc() }
}

/// At how many places all tokens follow one another.
fn exact_frequency(order: &[usize], positions: &[Vec<u32>]) -> u32 {
    // Begin with the token that has the fewest places, and look for the others around each.
    let rarest = (0..order.len()).min_by_key(|&place| positions[order[place]].len()).expect("a phrase has tokens");
    let starts = positions[order[rarest]].iter().filter_map(|position| position.checked_sub(rarest as u32));
    let whole = |start: &u32| {
        let mut tokens = order.iter().enumerate();
        tokens.all(|(place, &list)| place == rarest || positions[list].binary_search(&(start + place as u32)).is_ok())
    };
    starts.filter(whole).count() as u32
}

impl Scorer for Phrase<'_> {
    fn document(&self) -> DocId {
        self.document
    }

    fn advance(&mut self) -> DocId {
        if self.document != END {
            self.lists[self.by_length[0]].advance();
            self.find();
        }
        self.document
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.document < target {
            at_or_after(&mut self.lists[self.by_length[0]], target);
            self.find();
        }
        self.document
    }

    fn score(&mut self) -> f64 {
        bm25::score(self.scale.weight, self.frequency, self.scale.pull(self.document))
    }

    fn score_max(&self) -> f64 {
        self.scale.weight
    }
}
