//! Making an index, once.
//!
//! Documents are written out in segments as memory fills up, and merged into one at the end: a recording is searched far
//! more often than it is indexed, and one segment has one dictionary and one set of lists.

use std::fs;
use std::path::{Path, PathBuf};

use tantivy::indexer::{IndexWriter, IndexWriterOptions, NoMergePolicy};
use tantivy::store::Compressor;
use tantivy::{Index, IndexSettings, SegmentReader};

use super::Error;
use super::analysis::tokens;
use super::bm25::Statistics;
use super::document::{ContentDocument, ContentField};
use super::folder::{ContentTokenizer, Fields, Mark, ORDINAL, TOKENIZER, schema, unusable};

/// Most documents in one index: what tantivy can number, less its own marks.
pub const DOCUMENTS_MAX: u32 = i32::MAX as u32 - 1;
/// tantivy does not go below this, nor above the other.
const WRITER_MEMORY_BYTES_MIN: usize = 15 << 20;
const WRITER_MEMORY_BYTES_MAX: usize = 4_000_000_000;

/// What making an index may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for documents that are not yet written out, in bytes; at least 15 MB are used. The last merge uses some more.
    pub writer_memory_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { writer_memory_bytes: 64 << 20 }
    }
}

/// Makes an index. Until [`finish`](ContentWriter::finish) has returned there is none: what an interrupted one left in the
/// folder is refused by [`Content::open`](super::Content::open).
pub struct ContentWriter {
    folder: PathBuf,
    index: Index,
    fields: Fields,
    writer: IndexWriter,
    documents: u32,
    statistics: [Statistics; 4],
    scratch: String,
}

impl ContentWriter {
    /// Begins an index in a folder that is missing or empty.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::Io`].
    pub fn create(folder: &Path, options: Options) -> Result<ContentWriter, Error> {
        fs::create_dir_all(folder)?;
        if fs::read_dir(folder)?.next().is_some() {
            return Err(Error::NotEmpty);
        }
        let (schema, fields) = schema();
        // Nothing is stored, so there is nothing to compress.
        let settings = IndexSettings { docstore_compression: Compressor::None, ..IndexSettings::default() };
        let index = Index::builder().schema(schema).settings(settings).create_in_dir(folder)?;
        index.tokenizers().register(TOKENIZER, ContentTokenizer);
        let memory = options.writer_memory_bytes.clamp(WRITER_MEMORY_BYTES_MIN, WRITER_MEMORY_BYTES_MAX);
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(memory)
            .build();
        let writer = index.writer_with_options(options)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        let statistics = <[Statistics; 4]>::default();
        Ok(ContentWriter {
            folder: folder.to_owned(),
            index,
            fields,
            writer,
            documents: 0,
            statistics,
            scratch: String::new(),
        })
    }

    /// Adds a document; its number is how many came before it.
    ///
    /// # Errors
    /// [`Error::TooLarge`], and nothing of it is taken; whatever the disk says, then or later.
    pub fn add(&mut self, document: &ContentDocument<'_>) -> Result<(), Error> {
        document.check()?;
        if self.documents == DOCUMENTS_MAX {
            return Err(Error::TooLarge { what: "number of documents", max: u64::from(DOCUMENTS_MAX) });
        }
        self.writer.add_document(self.fields.tantivy_document(self.documents, document))?;
        self.documents += 1;
        for field in ContentField::ALL {
            let count = match field {
                ContentField::Id => u64::from(!document.id.is_empty()),
                _ => self.count(document.value(field)),
            };
            let statistics = &mut self.statistics[field as usize];
            statistics.documents += u64::from(count > 0);
            statistics.tokens += count;
        }
        Ok(())
    }

    fn count(&mut self, text: &str) -> u64 {
        let mut tokens = tokens(text);
        let mut count = 0;
        while tokens.next_into(&mut self.scratch).is_some() {
            count += 1;
        }
        count
    }

    /// Writes everything out as one segment and makes it durable.
    ///
    /// # Errors
    /// Whatever the disk says; the folder then holds no index.
    pub fn finish(mut self) -> Result<(), Error> {
        self.writer.commit()?;
        let mut segments = Vec::new();
        for segment in self.index.searchable_segments()? {
            let ordinals = SegmentReader::open(&segment)?.fast_fields().u64(ORDINAL)?;
            let first = ordinals.first(0).ok_or_else(|| unusable("a segment has no first document"))?;
            segments.push((first, segment.id()));
        }
        // A merge puts them one behind the other, in the order given.
        segments.sort_unstable();
        if segments.len() > 1 {
            let ids: Vec<_> = segments.into_iter().map(|(_, id)| id).collect();
            self.writer.merge(&ids).wait()?;
            self.writer.garbage_collect_files().wait()?;
        }
        self.writer.wait_merging_threads()?;
        Mark::new(self.documents, self.statistics).write(&self.folder)
    }
}
