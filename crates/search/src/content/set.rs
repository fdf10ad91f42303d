//! Sets of documents.

/// Documents below a number that is known when it is made.
pub(super) enum DocumentSet {
    /// In order.
    Few(Vec<u32>),
    /// A bit for each document there is.
    Many { bits: Vec<u64>, count: u64 },
}

/// Takes documents in any order, also twice.
pub(super) struct SetBuilder {
    documents: u32,
    few: Vec<u32>,
    /// Empty as long as there are few.
    bits: Vec<u64>,
}

impl SetBuilder {
    /// For documents below `documents`.
    pub(super) fn new(documents: u32) -> SetBuilder {
        SetBuilder { documents, few: Vec::new(), bits: Vec::new() }
    }

    pub(super) fn extend(&mut self, documents: &[u32]) {
        if self.bits.is_empty() {
            self.few.extend_from_slice(documents);
            // A list of 32 bits a document is then as large as a bit for each document.
            if self.few.len() > 64 + self.documents as usize / 32 {
                self.bits = vec![0; (self.documents as usize).div_ceil(64)];
                let few = std::mem::take(&mut self.few);
                self.extend(&few);
            }
        } else {
            for &document in documents {
                self.bits[document as usize / 64] |= 1 << (document % 64);
            }
        }
    }

    pub(super) fn finish(mut self) -> DocumentSet {
        if self.bits.is_empty() {
            self.few.sort_unstable();
            self.few.dedup();
            DocumentSet::Few(self.few)
        } else {
            let count = self.bits.iter().map(|word| u64::from(word.count_ones())).sum();
            DocumentSet::Many { bits: self.bits, count }
        }
    }
}

impl DocumentSet {
    pub(super) fn count(&self) -> u64 {
        match self {
            DocumentSet::Few(documents) => documents.len() as u64,
            DocumentSet::Many { count, .. } => *count,
        }
    }
}
