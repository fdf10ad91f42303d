//! All matches of a query at once, to be counted: by time, and by the values of a field.
//!
//! Matches are kept as one bit for each document of a segment: 125 KB for a million. Values are counted by walking the terms
//! of the field and asking, for each document of a term, whether its bit is set; so counting a field costs what the field's
//! postings cost, however few match.

use std::ops::RangeInclusive;

use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED};

use super::Error;
use super::reader::{Bounds, Reader, Segment, Weights};
use crate::document::Field;
use crate::query::Query;

/// Every match of a query in one log, as the index has it.
pub struct Matched<'a> {
    reader: &'a Reader,
    segments: Vec<(&'a Segment, Bits)>,
}

impl Reader {
    /// All matches of the log with numbers in `numbers`.
    ///
    /// # Errors
    /// As [`search`](Reader::search).
    pub fn matched(&self, log: u32, query: &Query, numbers: RangeInclusive<u64>) -> Result<Matched<'_>, Error> {
        let query = query.prepare();
        let mut weights = Weights::new(&self.state, log, &query.0);
        let bounds = Bounds { min: *numbers.start(), max: *numbers.end() };
        let mut segments = Vec::new();
        if bounds.min <= bounds.max {
            for segment in &self.state.segments {
                let mut bits = Bits::new(self.state.reader(segment).max_doc());
                segment.each(&self.state, &mut weights, &bounds, |document| {
                    bits.set(document);
                    true
                })?;
                if bits.count > 0 {
                    segments.push((segment, bits));
                }
            }
        }
        Ok(Matched { reader: self, segments })
    }
}

impl Matched<'_> {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.segments.iter().map(|(_, bits)| bits.count).sum()
    }

    /// When each of them occurred, in microseconds, in no particular order.
    pub fn times(&self, mut each: impl FnMut(i64)) {
        for (segment, bits) in &self.segments {
            bits.each(|document| each(segment.occurred.first(document).unwrap_or_default()));
        }
    }

    /// The values of a field among the matches, in normal form, each with how many matches of one segment have it; a value
    /// comes once for each segment. Looks at `terms_max` values of a segment, whether they match or not.
    ///
    /// Returns whether those were all.
    ///
    /// # Errors
    /// As [`Reader::search`].
    pub fn values(&self, field: Field, terms_max: usize, mut each: impl FnMut(&str, u64)) -> Result<bool, Error> {
        self.terms(field, terms_max, |segment, reader, value, bits, documents| {
            // A term that all documents of the segment have needs no look at them.
            let count = match bits.count == u64::from(reader.max_doc()) && reader.alive_bitset().is_none() {
                true => u64::from(documents.size_hint()),
                false => {
                    let mut count = 0;
                    bits.common(documents, |_| count += 1);
                    count
                }
            };
            let _ = segment;
            if count > 0 {
                each(value, count);
            }
        })
    }

    /// As [`values`](Matched::values), with the time of each match instead of their count.
    ///
    /// # Errors
    /// As [`Reader::search`].
    pub fn values_and_times(
        &self,
        field: Field,
        terms_max: usize,
        mut each: impl FnMut(&str, i64),
    ) -> Result<bool, Error> {
        self.terms(field, terms_max, |segment, _, value, bits, documents| {
            bits.common(documents, |document| each(value, segment.occurred.first(document).unwrap_or_default()));
        })
    }

    fn terms(
        &self,
        field: Field,
        terms_max: usize,
        mut each: impl FnMut(&Segment, &SegmentReader, &str, &Bits, &mut tantivy::postings::SegmentPostings),
    ) -> Result<bool, Error> {
        let fields = &self.reader.state.fields;
        let (from, to) = fields.prefix_terms(field, "");
        let mut all = true;
        for (segment, bits) in &self.segments {
            let reader = self.reader.state.reader(segment);
            let inverted = reader.inverted_index(fields.keyword)?;
            let range = inverted.terms().range().ge(from.serialized_value_bytes()).lt(to.serialized_value_bytes());
            let mut stream = range.into_stream().map_err(tantivy::TantivyError::from)?;
            let mut looked_at = 0;
            while stream.advance() {
                looked_at += 1;
                if looked_at > terms_max {
                    all = false;
                    break;
                }
                // The first byte names the field.
                let Ok(value) = std::str::from_utf8(&stream.key()[1..]) else {
                    return Err(Error::Damaged { detail: "a keyword of the index is no text".to_owned() });
                };
                let info = stream.value();
                let mut documents = inverted
                    .read_postings_from_terminfo(info, IndexRecordOption::Basic)
                    .map_err(tantivy::TantivyError::from)?;
                each(segment, reader, value, bits, &mut documents);
            }
        }
        Ok(all)
    }
}

/// A set of documents of one segment.
struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    fn new(documents: u32) -> Bits {
        Bits { words: vec![0; documents.div_ceil(64) as usize], count: 0 }
    }

    /// `document` was not in it.
    fn set(&mut self, document: DocId) {
        self.words[document as usize / 64] |= 1 << (document % 64);
        self.count += 1;
    }

    fn has(&self, document: DocId) -> bool {
        self.words[document as usize / 64] & (1 << (document % 64)) != 0
    }

    fn each(&self, mut take: impl FnMut(DocId)) {
        for (word, first) in self.words.iter().zip((0..).step_by(64)) {
            let mut left = *word;
            while left != 0 {
                take(first + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }

    fn common(&self, documents: &mut impl DocSet, mut take: impl FnMut(DocId)) {
        let mut document = documents.doc();
        while document != TERMINATED {
            if self.has(document) {
                take(document);
            }
            document = documents.advance();
        }
    }
}
