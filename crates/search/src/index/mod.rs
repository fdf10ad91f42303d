//! The index: one for all logs, in a folder of its own, rebuildable at any time from what it was made from.
//!
//! One thread indexes, so documents keep the order in which they were added; merges keep it too (see `merge`). What was
//! added becomes visible, all at once and together with a payload, by [`Index::commit`]; what was not committed is gone
//! after the next open. A caller that keeps its watermark in the payload therefore resumes exactly where the index
//! stands, and no document is ever in it twice.

mod exclusion;
mod folder;
mod matched;
mod merge;
mod plan;
mod priority;
mod reader;
mod schema;
mod writer;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tantivy::TantivyError;

pub use matched::Matched;
pub use priority::lower as lower_priority;
pub use reader::Reader;
use writer::Shared;

use crate::document::Document;
use crate::query::Query;

/// What an index may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for documents that are indexed but not yet written out, in bytes; at least 15 MB are used. Up to 16 MB
    /// more may wait in front of the indexing thread. Merges use some more for their duration.
    pub writer_memory_bytes: usize,
    /// No merge makes a segment of more documents than this.
    pub segment_documents_max: u32,
    /// Runs indexing and merging at low processor priority, where that can be had per thread (Linux).
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { writer_memory_bytes: 64 << 20, segment_documents_max: 2_000_000, background: true }
    }
}

/// The order of an answer, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Lowest number, which is the oldest, first.
    Ascending,
    /// Highest number, which is the newest, first.
    Descending,
}

/// Why the index does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder does not hold an index that this program can use: foreign, of another schema, or not readable as an
    /// index. Remove the folder and build the index anew.
    #[error("the search index cannot be used and has to be built anew: {detail}")]
    Unusable {
        /// What is wrong with it.
        detail: String,
    },
    /// Another process, or another handle of this one, has the index open.
    #[error("the search index is open elsewhere")]
    Locked,
    /// The files of an index that was usable when it was opened do not hold what they should. Build it anew.
    #[error("the search index is damaged: {detail}")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// Writing failed earlier, or now; nothing more is taken until the index is opened again. Reading goes on with the
    /// last commit.
    #[error("the search index stopped taking documents: {detail}")]
    Stopped {
        /// The first failure.
        detail: String,
    },
    /// The document's number is not above those its log already has in the index.
    #[error("document {number} of log {log} came after document {last}; numbers have to rise")]
    OutOfOrder {
        /// The log.
        log: u32,
        /// The number that was refused.
        number: u64,
        /// The highest number the index has of that log.
        last: u64,
    },
    /// The file system refused.
    #[error("the search index could not reach its files")]
    Io(#[from] std::io::Error),
}

impl From<TantivyError> for Error {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::IoError(error) => Error::Io(std::io::Error::new(error.kind(), error)),
            other => Error::Damaged { detail: other.to_string() },
        }
    }
}

/// An open index. All methods may be called from any thread; adding is meant to be done by one.
///
/// Dropping it waits for the merge at work, and loses what was not committed.
pub struct Index {
    shared: Arc<Shared>,
    merger: Option<JoinHandle<()>>,
}

impl Index {
    /// Opens the index in `folder`, or creates it where the folder is missing or empty. Also gives the payload of the
    /// last commit, none if there never was one. Does not read the index through: the cost does not grow with it.
    ///
    /// # Errors
    /// [`Error::Unusable`] if something is there that is not an index of this version, [`Error::Locked`] if it is open
    /// elsewhere.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Option<Vec<u8>>), Error> {
        let shared = Arc::new(Shared::open(folder, &options)?);
        let payload = shared.reader().payload().map(<[u8]>::to_vec);
        let merger = Some(writer::spawn_merger(&shared, options.background)?);
        Ok((Self { shared, merger }, payload))
    }

    /// Takes a document; it is found after the next [`commit`](Index::commit). Waits while more than 16 MB of documents
    /// are in front of the indexing thread.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if the number does not rise within its log (nothing is taken; a document added twice is
    /// refused by this too), [`Error::Stopped`] if writing failed.
    pub fn add(&self, log: u32, document: &Document) -> Result<(), Error> {
        self.shared.add(log, document)
    }

    /// Deletes one document, which no answer holds after the next [`commit`](Index::commit); a number that is not there
    /// is no error. After that commit the segments concerned are rewritten without it, so that its words leave the disk
    /// as well: when [`settle`](Index::settle) returns, unless a [`Reader`] of an earlier state is still held.
    ///
    /// # Errors
    /// [`Error::Stopped`] if writing failed.
    pub fn delete_document(&self, log: u32, number: u64) -> Result<(), Error> {
        self.delete_documents(log, number..=number)
    }

    /// Deletes all documents of these numbers, both ends included; as [`delete_document`](Index::delete_document).
    ///
    /// # Errors
    /// [`Error::Stopped`] if writing failed.
    pub fn delete_documents(&self, log: u32, numbers: RangeInclusive<u64>) -> Result<(), Error> {
        self.shared.delete_documents(log, numbers)
    }

    /// Makes everything added and deleted so far visible and durable, together with the payload, or nothing of it. Waits
    /// for the disk; adding waits meanwhile.
    ///
    /// # Errors
    /// [`Error::Stopped`] if writing failed; opening the index again shows the last commit that was completed, which
    /// may or may not be this one, with its payload.
    pub fn commit(&self, payload: &[u8]) -> Result<(), Error> {
        self.shared.commit(payload)
    }

    /// Pins the last committed state.
    pub fn reader(&self) -> Reader {
        self.shared.reader()
    }

    /// [`Reader::search`] on the last committed state.
    ///
    /// # Errors
    /// As there.
    #[allow(clippy::too_many_arguments, reason = "which page, of what, is one question")]
    pub fn search(
        &self,
        log: u32,
        query: &Query,
        order: Order,
        after: Option<u64>,
        until: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        self.reader().search(log, query, order, after, until, limit)
    }

    /// [`Reader::count`] on the last committed state.
    ///
    /// # Errors
    /// As there.
    pub fn count(&self, log: u32, query: &Query, cap: u64) -> Result<u64, Error> {
        self.reader().count(log, query, cap)
    }

    /// Waits until no merge is due or at work: what was deleted has left the disk. Merges otherwise happen by themselves
    /// after commits.
    pub fn settle(&self) {
        self.shared.settle();
    }

    /// Reads every file through and names those whose checksum is wrong. Takes as long as reading the index does.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`] if the files cannot be read at all.
    pub fn damaged_files(&self) -> Result<Vec<std::path::PathBuf>, Error> {
        self.shared.damaged_files()
    }

    /// Waits for the merge at work and closes the index. What was not committed is lost.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.stop_merger();
        if let Some(merger) = self.merger.take()
            && merger.join().is_err()
        {
            tracing::error!("the thread that merges index segments panicked");
        }
    }
}
