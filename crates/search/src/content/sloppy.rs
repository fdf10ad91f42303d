//! How often a phrase stands in a document, when its tokens may stand apart (specs/lucene-query.md §6).
//!
//! One sweep from left to right; it does not look at every choice of places, and what it finds is what counts.

use std::collections::HashMap;
use std::hash::Hash;

/// One token of the phrase during the sweep.
struct Runner<'a> {
    /// Its positions in the document, in order.
    positions: &'a [u32],
    /// Which of them it is at.
    at: usize,
    /// Its place in the phrase.
    place: i64,
    /// Tokens of the phrase that are equal have the same group.
    group: usize,
}

impl Runner<'_> {
    /// Where the phrase would begin if this token stood where it should.
    fn start(&self) -> i64 {
        self.position() - self.place
    }

    fn position(&self) -> i64 {
        i64::from(self.positions[self.at])
    }
}

/// Which tokens of a phrase are equal.
pub(super) struct Shape {
    /// For each token: the place of the first one that is equal to it.
    groups: Vec<usize>,
    /// For each token: how many equal ones stand before it.
    copies: Vec<usize>,
    repeats: bool,
}

impl Shape {
    pub(super) fn of<T: Eq + Hash>(terms: &[T]) -> Shape {
        let mut seen: HashMap<&T, (usize, usize)> = HashMap::new();
        let mut shape = Shape { groups: Vec::new(), copies: Vec::new(), repeats: false };
        for (place, term) in terms.iter().enumerate() {
            let (group, copies) = seen.entry(term).or_insert((place, 0));
            shape.groups.push(*group);
            shape.copies.push(*copies);
            shape.repeats |= *copies > 0;
            *copies += 1;
        }
        shape
    }
}

/// The frequency of a phrase: each match counts 1 ⁄ (1 + its spread). 0: it does not match.
///
/// `positions`: for each token of the phrase, in its order, where it stands in the document, rising. `found` is told of each
/// match: about where its tokens stand.
pub(super) fn frequency(positions: &[&[u32]], shape: &Shape, slop: u32, mut found: impl FnMut(&[u32])) -> f64 {
    let Some(mut sweep) = Sweep::new(positions, shape) else { return 0.0 };
    let mut frequency = 0.0;
    while let Some(spread) = sweep.next_match(i64::from(slop)) {
        frequency += 1.0 / (1.0 + spread as f64);
        found(&sweep.best);
    }
    frequency
}

struct Sweep<'a> {
    runners: Vec<Runner<'a>>,
    /// The greatest start that any runner has had.
    end: i64,
    /// False once a runner has run out.
    running: bool,
    /// The positions of the smallest spread since the last match.
    best: Vec<u32>,
    repeats: bool,
}

impl<'a> Sweep<'a> {
    /// None if some token does not occur often enough for the phrase to match at all.
    fn new(positions: &[&'a [u32]], shape: &Shape) -> Option<Sweep<'a>> {
        let mut runners = Vec::with_capacity(positions.len());
        for (place, &positions) in positions.iter().enumerate() {
            // The second of two equal tokens begins at their second position.
            let at = shape.copies[place];
            if at >= positions.len() {
                return None;
            }
            runners.push(Runner { positions, at, place: place as i64, group: shape.groups[place] });
        }
        let end = runners.iter().map(Runner::start).max()?;
        let best = runners.iter().map(|runner| runner.positions[runner.at]).collect();
        Some(Sweep { runners, end, running: true, best, repeats: shape.repeats })
    }

    /// The runner whose start is smallest, then the one that is first in the phrase; of all but `without`.
    fn smallest(&self, without: Option<usize>) -> usize {
        let others = (0..self.runners.len()).filter(|&number| Some(number) != without);
        others.min_by_key(|&number| (self.runners[number].start(), number)).expect("a phrase has two tokens or more")
    }

    fn next_match(&mut self, slop: i64) -> Option<i64> {
        while self.running {
            let runner = self.smallest(None);
            let next_start = self.runners[self.smallest(Some(runner))].start();
            let mut spread = self.end - self.runners[runner].start();
            self.keep();
            loop {
                if !self.advance(runner) || !self.part_equals(runner) {
                    self.running = false;
                    return (spread <= slop).then_some(spread);
                }
                let start = self.runners[runner].start();
                if start > next_start {
                    break;
                }
                if self.end - start < spread {
                    spread = self.end - start;
                    self.keep();
                }
            }
            if spread <= slop {
                return Some(spread);
            }
        }
        None
    }

    /// Remembers where the runners are.
    fn keep(&mut self) {
        for (best, runner) in self.best.iter_mut().zip(&self.runners) {
            *best = runner.positions[runner.at];
        }
    }

    /// Moves a runner on; false if it has no position left.
    fn advance(&mut self, runner: usize) -> bool {
        let runner = &mut self.runners[runner];
        runner.at += 1;
        if runner.at == runner.positions.len() {
            return false;
        }
        self.end = self.end.max(runner.start());
        true
    }

    /// After a move: as long as two equal tokens share a position, the one with the smaller start moves on.
    fn part_equals(&mut self, moved: usize) -> bool {
        if !self.repeats {
            return true;
        }
        let mut moved = moved;
        while let Some(other) = self.sharing(moved) {
            moved =
                if (self.runners[other].start(), other) < (self.runners[moved].start(), moved) { other } else { moved };
            if !self.advance(moved) {
                return false;
            }
        }
        true
    }

    fn sharing(&self, runner: usize) -> Option<usize> {
        let this = &self.runners[runner];
        (0..self.runners.len()).find(|&other| {
            let that = &self.runners[other];
            other != runner && that.group == this.group && that.position() == this.position()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(phrase: &str, document: &str, slop: u32, expected: f64) {
        let terms: Vec<&str> = phrase.split(' ').collect();
        let stands = |term: &str| -> Vec<u32> {
            document.split(' ').enumerate().filter(|(_, token)| *token == term).map(|(at, _)| at as u32).collect()
        };
        let positions: Vec<Vec<u32>> = terms.iter().map(|term| stands(term)).collect();
        let positions: Vec<&[u32]> = positions.iter().map(Vec::as_slice).collect();
        let found = frequency(&positions, &Shape::of(&terms), slop, |_| ());
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn order_is_free_at_a_price() {
        check("b a", "a b", 2, 1.0 / 3.0);
        check("b a", "a b", 1, 0.0);
        check("a b", "a b", 5, 1.0);
    }

    #[test]
    fn two_equal_tokens_need_two_places() {
        check("a a", "x a x", 2, 0.0);
        check("a a", "a x a", 2, 0.5);
    }

    #[test]
    fn three_tokens_out_of_order_are_found_by_their_spread() {
        check("d a c", "a b c d", 4, 0.2);
        check("d a c", "a b c d", 3, 0.0);
    }
}
