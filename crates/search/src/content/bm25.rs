//! Scores as Lucene 8 gives them: BM25 without the factor k1 + 1 (specs/lucene-query.md §6).

use tantivy::fieldnorm::FieldNormReader;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// What scores need to know of one field of one index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Statistics {
    /// Documents with at least one token in the field.
    pub(super) documents: u64,
    /// Tokens in the field, over all documents.
    pub(super) tokens: u64,
}

impl Statistics {
    /// How rare a token is that so many documents have.
    pub(super) fn idf(&self, documents: u64) -> f64 {
        let (all, with) = (self.documents as f64, documents as f64);
        ((all - with + 0.5) / (with + 0.5)).ln_1p()
    }

    /// What is added to the frequency in the denominator, for a document of so many tokens (rounded, see [`rounded_length`]).
    pub(super) fn pull(&self, length: u32) -> f64 {
        let average = self.tokens as f64 / self.documents.max(1) as f64;
        K1 * (1.0 - B + B * f64::from(length) / average)
    }
}

/// What is added to the frequency in a field without lengths.
pub(super) const PULL_WITHOUT_LENGTHS: f64 = K1;

/// `weight` is boost times idf; grows from 0 to it with the frequency.
pub(super) fn score(weight: f64, frequency: f64, pull: f64) -> f64 {
    weight * frequency / (frequency + pull)
}

/// The length of a document as scores know it: rounded down to one of 256 values.
pub(super) fn rounded_length(tokens: u32) -> u32 {
    FieldNormReader::id_to_fieldnorm(FieldNormReader::fieldnorm_to_id(tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is tantivy's, which is also the oracle's.
    #[test]
    fn lengths_are_rounded_down_in_eight_steps_of_each_size() {
        for exact in 0..=40 {
            assert_eq!(rounded_length(exact), exact);
        }
        let some = [41, 42, 56, 59, 60, 87, 88, 95, 96, 152];
        assert_eq!(some.map(rounded_length), [40, 42, 56, 56, 60, 84, 88, 88, 96, 152]);
    }
}
