//! The best documents so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Keeps the best `limit` of what it is shown, by score, then by number. Documents are shown in order.
pub(super) struct Top {
    limit: usize,
    /// The worst on top.
    heap: BinaryHeap<Ranked>,
}

#[derive(PartialEq)]
struct Ranked {
    score: f32,
    document: u32,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    /// Greater is worse.
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.document.cmp(&other.document))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Top {
    pub(super) fn new(limit: usize) -> Top {
        Top { limit, heap: BinaryHeap::with_capacity(limit) }
    }

    /// A score has to be above this to matter: documents come in order, and the earlier wins a tie.
    pub(super) fn threshold(&self) -> f32 {
        match self.heap.peek() {
            _ if self.limit == 0 => f32::INFINITY,
            Some(worst) if self.heap.len() == self.limit => worst.score,
            _ => f32::NEG_INFINITY,
        }
    }

    pub(super) fn offer(&mut self, document: u32, score: f32) {
        if self.heap.len() < self.limit {
            self.heap.push(Ranked { score, document });
        } else if let Some(mut worst) = self.heap.peek_mut()
            && score > worst.score
        {
            *worst = Ranked { score, document };
        }
    }

    /// The best first.
    pub(super) fn into_sorted(self) -> Vec<(u32, f32)> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| (ranked.document, ranked.score)).collect()
    }
}
