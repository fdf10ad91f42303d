//! Tokens that are like another one: distance, likeness, and which of them count (specs/lucene-query.md §5).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::OnceLock;

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};

use super::analysis::TOKEN_UNITS_MAX;

/// Of all tokens within the distance, so many of the most alike count.
pub const FUZZY_TERMS_MAX: usize = 50;
/// The greatest distance; more is taken as this.
pub const DISTANCE_MAX: u8 = 2;

/// Decides on the bytes of tokens.
pub(super) struct Within(DFA);

impl Within {
    /// Tokens within `distance` of `term`. None if there can be none: it is too long for any token to be near.
    pub(super) fn of(term: &str, distance: u8) -> Option<Within> {
        static BUILDERS: [OnceLock<LevenshteinAutomatonBuilder>; 3] = [const { OnceLock::new() }; 3];
        let distance = distance.min(DISTANCE_MAX);
        if term.chars().count() > TOKEN_UNITS_MAX + usize::from(distance) {
            return None;
        }
        let builder = BUILDERS[usize::from(distance)].get_or_init(|| LevenshteinAutomatonBuilder::new(distance, true));
        Some(Within(builder.build_dfa(term)))
    }

    /// The distance of a token that was found by this automaton.
    pub(super) fn distance(&self, token: &[u8]) -> Option<u8> {
        match self.0.eval(token) {
            Distance::Exact(distance) => Some(distance),
            Distance::AtLeast(_) => None,
        }
    }
}

impl tantivy_fst::Automaton for Within {
    type State = u32;

    fn start(&self) -> u32 {
        self.0.initial_state()
    }

    fn is_match(&self, state: &u32) -> bool {
        matches!(self.0.distance(*state), Distance::Exact(_))
    }

    fn can_match(&self, state: &u32) -> bool {
        *state != SINK_STATE
    }

    fn accept(&self, state: &u32, byte: u8) -> u32 {
        self.0.transition(*state, byte)
    }
}

/// How like two tokens of these lengths, in characters, are; 1 is equal, and it may be below 0.
pub(super) fn likeness(distance: u8, one: usize, other: usize) -> f32 {
    1.0 - f32::from(distance) / one.min(other) as f32
}

/// A token within the distance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate<T> {
    pub(super) likeness: f32,
    pub(super) token: Vec<u8>,
    pub(super) of: T,
}

/// Keeps the candidates that count: the most alike, then the first by bytes.
pub(super) struct Candidates<T>(BinaryHeap<Worst<T>>);

struct Worst<T>(Candidate<T>);

impl<T> Candidates<T> {
    pub(super) fn new() -> Candidates<T> {
        Candidates(BinaryHeap::new())
    }

    pub(super) fn offer(&mut self, candidate: Candidate<T>) {
        self.0.push(Worst(candidate));
        if self.0.len() > FUZZY_TERMS_MAX {
            self.0.pop();
        }
    }

    /// The best first.
    pub(super) fn into_best(self) -> Vec<Candidate<T>> {
        self.0.into_sorted_vec().into_iter().map(|worst| worst.0).collect()
    }
}

impl<T> Ord for Worst<T> {
    /// Greater is worse.
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.likeness.total_cmp(&self.0.likeness).then_with(|| self.0.token.cmp(&other.0.token))
    }
}

impl<T> PartialOrd for Worst<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Worst<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Worst<T> {}
