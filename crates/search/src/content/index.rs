//! A finished index, open for questions.

use std::path::Path;
use std::sync::Arc;

use tantivy::columnar::Column;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::{Index, InvertedIndexReader, SegmentReader};

use super::bm25::Statistics;
use super::document::{ContentField, Found, Hit};
use super::folder::{Mark, PAYLOAD, schema, unusable};
use super::plan;
use super::query::ContentQuery;
use super::top::Top;
use super::{Error, scorer};

/// An open index. It never changes; all methods may be called from any thread at once.
pub struct Content {
    documents: u32,
    /// None if there are no documents.
    segment: Option<Segment>,
    statistics: [Statistics; 4],
}

struct Segment {
    /// In the order of [`ContentField::ALL`], as everything by field.
    lists: Vec<Arc<InvertedIndexReader>>,
    /// None where scores do not ask for lengths.
    lengths: Vec<Option<FieldNormReader>>,
    payloads: Column<u64>,
}

/// One field of the index.
#[derive(Clone, Copy)]
pub(super) struct FieldIndex<'a> {
    pub(super) field: ContentField,
    pub(super) lists: &'a InvertedIndexReader,
    pub(super) lengths: Option<&'a FieldNormReader>,
    pub(super) statistics: Statistics,
}

impl Content {
    /// Opens the index in `folder`. Does not read it through: the cost does not grow with it.
    ///
    /// # Errors
    /// [`Error::Unusable`] if there is no finished index of this version, [`Error::Io`].
    pub fn open(folder: &Path) -> Result<Content, Error> {
        let mark = Mark::read(folder)?;
        let index = Index::open_in_dir(folder).map_err(|error| unusable(error.to_string()))?;
        let (schema, fields) = schema();
        if index.schema() != schema {
            return Err(unusable("its fields are not those of this version"));
        }
        let segments = index.searchable_segments()?;
        let segment = match &segments[..] {
            [] => None,
            [segment] => {
                let reader = SegmentReader::open(segment)?;
                let mut lists = Vec::with_capacity(ContentField::ALL.len());
                let mut lengths = Vec::with_capacity(ContentField::ALL.len());
                for field in ContentField::ALL {
                    lists.push(reader.inverted_index(fields.of(field))?);
                    let lengths_of = || reader.get_fieldnorms_reader(fields.of(field));
                    lengths.push(field.has_lengths().then(lengths_of).transpose()?);
                }
                let payloads = reader.fast_fields().u64(PAYLOAD)?;
                Some(Segment { lists, lengths, payloads })
            }
            _ => return Err(unusable("it was never merged")),
        };
        let documents = segments.iter().map(|segment| segment.meta().max_doc()).sum();
        if documents != mark.documents {
            return Err(unusable(format!("it has {documents} documents, and its mark says {}", mark.documents)));
        }
        Ok(Content { documents, segment, statistics: mark.statistics })
    }

    /// How many documents there are.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// How many documents match, and the best `limit` of them.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`] if the files cannot be read.
    pub fn search(&self, query: &ContentQuery, limit: usize) -> Result<Found, Error> {
        let Some(segment) = &self.segment else { return Ok(Found::default()) };
        let plan = plan::Planner::new(self).plan(query, 1.0)?;
        let mut top = Top::new(limit.min(self.documents as usize));
        let total = scorer::collect(plan, &mut top)?;
        let hits = top.into_sorted().into_iter().map(|(document, score)| {
            let payload = segment
                .payloads
                .first(document)
                .ok_or_else(|| Error::Damaged { detail: format!("document {document} has no payload") })?;
            Ok(Hit { document, payload, score })
        });
        Ok(Found { total, hits: hits.collect::<Result<_, Error>>()? })
    }

    /// The field of this name, unless it is unknown or there are no documents.
    pub(super) fn field(&self, name: &str) -> Option<FieldIndex<'_>> {
        let field = ContentField::named(name)?;
        let segment = self.segment.as_ref()?;
        Some(FieldIndex {
            field,
            lists: &segment.lists[field as usize],
            lengths: segment.lengths[field as usize].as_ref(),
            statistics: self.statistics[field as usize],
        })
    }
}
