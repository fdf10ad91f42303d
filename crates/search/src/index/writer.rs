//! Adding, committing, merging.
//!
//! One lock guards tantivy's writer and, with it, the pair of files on disk and state shown to readers: a state is made
//! only under the lock, so it always carries the payload of the commit it shows.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use tantivy::indexer::{IndexWriter, IndexWriterOptions, NoMergePolicy};
use tantivy::schema::document::Document as TantivyDocumentTrait;
use tantivy::{IndexReader, ReloadPolicy, TantivyDocument, TantivyError};

use super::reader::{Reader, State};
use super::schema::Fields;
use super::{Error, Options, Order, folder, merge, plan, priority};
use crate::document::Document;
use crate::query::Query;

/// tantivy does not go below this.
const WRITER_MEMORY_BYTES_MIN: usize = 15 << 20;
/// Nor above this.
const WRITER_MEMORY_BYTES_MAX: usize = 4_000_000_000;
/// Bytes of documents that may wait in front of the indexing thread.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// How long to wait for room before trying anyway: tantivy's own queue then blocks, or says that the writer is dead.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// What the handle and the merging thread share.
pub(super) struct Shared {
    index: tantivy::Index,
    fields: Fields,
    writer: Mutex<Writer>,
    /// Reloaded only under `writer`.
    files: IndexReader,
    state: RwLock<Arc<State>>,
    waiting: Arc<Waiting>,
    merging: Mutex<Merging>,
    merging_changed: Condvar,
    segment_documents_max: u32,
    background: bool,
}

struct Writer {
    tantivy: IndexWriter<Counted>,
    next_order: u64,
    /// The highest number of each log added to since opening, committed or not.
    last_numbers: HashMap<u32, u64>,
    /// The first failure; nothing is taken after it.
    failure: Option<String>,
}

#[derive(Default)]
struct Merging {
    /// There may be a merge due.
    due: bool,
    /// The thread looks for merges, or waits for one.
    at_work: bool,
    stop: bool,
    /// The thread has ended.
    ended: bool,
}

impl Shared {
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let (index, fields) = folder::open(path)?;
        let memory = options.writer_memory_bytes.clamp(WRITER_MEMORY_BYTES_MIN, WRITER_MEMORY_BYTES_MAX);
        let writer_options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(memory)
            .build();
        let tantivy =
            priority::run(options.background, || index.writer_with_options(writer_options)).map_err(folder::opening)?;
        tantivy.set_merge_policy(Box::new(NoMergePolicy));
        let files = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(folder::opening)?;
        let payload = index.load_metas().map_err(folder::opening)?.payload;
        let payload = payload.map(hex::decode).transpose();
        let payload = payload.map_err(|_| folder::unusable("the payload of its last commit is not ours"))?;
        let state = State::new(files.searcher(), fields, payload).map_err(|error| match error {
            Error::Damaged { detail } => Error::Unusable { detail },
            other => other,
        })?;
        let writer = Writer { tantivy, next_order: state.next_order(), last_numbers: HashMap::new(), failure: None };
        Ok(Self {
            index,
            fields,
            writer: Mutex::new(writer),
            files,
            state: RwLock::new(Arc::new(state)),
            waiting: Arc::default(),
            merging: Mutex::default(),
            merging_changed: Condvar::new(),
            segment_documents_max: options.segment_documents_max,
            background: options.background,
        })
    }

    pub(super) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.state.read()))
    }

    pub(super) fn add(&self, log: u32, document: &Document) -> Result<(), Error> {
        self.waiting.wait_for_room();
        let mut writer = self.writer.lock();
        writer.check()?;
        let last = match writer.last_numbers.get(&log) {
            Some(&last) => Some(last),
            None => self.reader().search(log, &Query::All, Order::Descending, None, None, 1)?.first().copied(),
        };
        if let Some(last) = last.filter(|&last| document.number <= last) {
            return Err(Error::OutOfOrder { log, number: document.number, last });
        }
        let counted =
            Counted::new(self.fields.tantivy_document(log, writer.next_order, document), document, &self.waiting);
        let added = writer.tantivy.add_document(counted);
        writer.noting_failure(added)?;
        writer.next_order += 1;
        writer.last_numbers.insert(log, document.number);
        Ok(())
    }

    pub(super) fn delete_documents(&self, log: u32, numbers: RangeInclusive<u64>) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        writer.check()?;
        let deleted = writer.tantivy.delete_query(plan::plan_documents(&self.fields, log, numbers));
        writer.noting_failure(deleted)?;
        Ok(())
    }

    pub(super) fn commit(&self, payload: &[u8]) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        writer.check()?;
        let tantivy = &mut writer.tantivy;
        let committed = priority::run(self.background, || {
            let mut prepared = tantivy.prepare_commit()?;
            prepared.set_payload(&hex::encode(payload));
            prepared.commit()
        });
        writer.noting_failure(committed)?;
        let shown = self.show(&writer, Some(payload.to_vec()));
        if let Err(error) = &shown {
            writer.failure = Some(error.to_string());
        }
        shown?;
        drop(writer);
        self.merging.lock().due = true;
        self.merging_changed.notify_all();
        Ok(())
    }

    pub(super) fn damaged_files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut damaged: Vec<PathBuf> = self.index.validate_checksum()?.into_iter().collect();
        damaged.sort();
        Ok(damaged)
    }

    /// Makes the files, as they are now, the state that readers see. The writer's lock is held: no commit comes between
    /// the files and the payload.
    fn show(&self, _held: &Writer, payload: Option<Vec<u8>>) -> Result<(), Error> {
        self.files.reload()?;
        let state = State::new(self.files.searcher(), self.fields, payload)?;
        *self.state.write() = Arc::new(state);
        Ok(())
    }
}

/// Merging.
impl Shared {
    pub(super) fn stop_merger(&self) {
        self.merging.lock().stop = true;
        self.merging_changed.notify_all();
    }

    pub(super) fn settle(&self) {
        let mut merging = self.merging.lock();
        while (merging.due || merging.at_work) && !merging.ended {
            self.merging_changed.wait(&mut merging);
        }
    }

    fn run_merger(&self) {
        let mut merging = self.merging.lock();
        loop {
            while !merging.due && !merging.stop {
                self.merging_changed.wait(&mut merging);
            }
            if merging.stop {
                merging.ended = true;
                self.merging_changed.notify_all();
                return;
            }
            merging.due = false;
            merging.at_work = true;
            drop(merging);
            self.merge_all_due();
            merging = self.merging.lock();
            merging.at_work = false;
            self.merging_changed.notify_all();
        }
    }

    fn merge_all_due(&self) {
        let mut merged = false;
        while !self.merging.lock().stop {
            match self.merge_one() {
                Ok(true) => merged = true,
                Ok(false) => break,
                Err(error) => {
                    // Nothing is lost: the segments stay as they were, and the next commit tries again.
                    tracing::warn!(%error, "a merge of index segments failed");
                    break;
                }
            }
        }
        if merged && let Err(error) = self.remove_old_files() {
            tracing::warn!(%error, "files of merged index segments could not be removed");
        }
    }

    /// Does the next merge due; false if there is none. The writer's lock is held only to start it and to show its result.
    fn merge_one(&self) -> Result<bool, Error> {
        let state = Arc::clone(&self.state.read());
        let Some(run) = merge::next(&state.pieces(), self.segment_documents_max) else { return Ok(false) };
        let ids = state.segment_ids(run);
        drop(state);
        let merge = self.writer.lock().tantivy.merge(&ids);
        merge.wait()?;
        let writer = self.writer.lock();
        let payload = self.state.read().payload().cloned();
        self.show(&writer, payload)?;
        Ok(true)
    }

    fn remove_old_files(&self) -> Result<(), Error> {
        let removal = self.writer.lock().tantivy.garbage_collect_files();
        removal.wait()?;
        Ok(())
    }
}

/// Starts the thread that merges after commits, until [`Shared::stop_merger`].
pub(super) fn spawn_merger(shared: &Arc<Shared>, background: bool) -> Result<JoinHandle<()>, Error> {
    let shared = Arc::clone(shared);
    // What an earlier run left undone is done first.
    shared.merging.lock().due = true;
    let merger = std::thread::Builder::new().name("search-merger".to_owned()).spawn(move || {
        if background {
            priority::lower();
        }
        shared.run_merger();
    })?;
    Ok(merger)
}

impl Writer {
    fn check(&self) -> Result<(), Error> {
        match &self.failure {
            Some(detail) => Err(Error::Stopped { detail: detail.clone() }),
            None => Ok(()),
        }
    }

    fn noting_failure<T>(&mut self, result: Result<T, TantivyError>) -> Result<T, Error> {
        result.map_err(|error| {
            let detail = error.to_string();
            self.failure = Some(detail.clone());
            Error::Stopped { detail }
        })
    }
}

/// Bytes of documents in front of the indexing thread.
#[derive(Default)]
struct Waiting {
    bytes: Mutex<usize>,
    fewer: Condvar,
}

impl Waiting {
    fn wait_for_room(&self) {
        let mut bytes = self.bytes.lock();
        while *bytes > WAITING_BYTES_MAX {
            if self.fewer.wait_for(&mut bytes, ROOM_WAIT).timed_out() {
                return;
            }
        }
    }
}

/// A document on its way to the indexing thread, counted until it is dropped there.
struct Counted {
    document: TantivyDocument,
    bytes: usize,
    waiting: Arc<Waiting>,
}

impl Counted {
    fn new(document: TantivyDocument, source: &Document, waiting: &Arc<Waiting>) -> Self {
        let strings = source.keywords.iter().map(|(_, value)| value).chain(&source.text);
        let bytes = 200 + strings.map(|string| string.len() + 16).sum::<usize>();
        *waiting.bytes.lock() += bytes;
        Self { document, bytes, waiting: Arc::clone(waiting) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.waiting.bytes.lock() -= self.bytes;
        self.waiting.fewer.notify_one();
    }
}

impl TantivyDocumentTrait for Counted {
    type Value<'a> = <TantivyDocument as TantivyDocumentTrait>::Value<'a>;
    type FieldsValuesIter<'a> = <TantivyDocument as TantivyDocumentTrait>::FieldsValuesIter<'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        self.document.iter_fields_and_values()
    }

    fn into_tantivy_document(mut self) -> TantivyDocument {
        std::mem::take(&mut self.document)
    }
}
