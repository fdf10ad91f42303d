//! What the writer, sealing and the handles share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};
use tlog::Hash;
use tokio::sync::oneshot;

use crate::cache::Cache;
use crate::checkpoints::Checkpoints;
use crate::clock::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::id::LogId;
use crate::keys::LogKeys;
use crate::options::Options;
use crate::sequencer::Answer;
use crate::signer::origin;
use crate::state::{LogSlot, Reading, Slots};

/// Space kept for recording that the disk is full.
const RESERVE_BYTES: usize = 1 << 20;

/// Path of the file that holds the space.
pub(crate) const RESERVE_PATH: &str = "reserve";

/// Shared by all threads of one opened folder.
pub(crate) struct Shared {
    pub options: Options,
    pub audit_host: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub slots: Slots,
    pub reading: Reading,
    pub checkpoints: Mutex<Checkpoints>,
    pub counters: Counters,
    /// Counts published groups.
    pub published: tokio::sync::watch::Sender<u64>,
    /// Leaf hashes of tiles that were hashed up to a signed root, by log ordinal and tile index.
    pub authenticated: Cache<(u32, u64), Vec<Hash>>,
    /// Why the writer stopped for good.
    pub stopped: RwLock<Option<Arc<str>>>,
    /// How sealing is doing; signalled when it gets on.
    pub sealing: Mutex<Sealing>,
    pub sealed: Condvar,
    /// The last write found the disk full.
    pub disk_full: AtomicBool,
    /// The reserve was used, or could not be made.
    reserve_missing: AtomicBool,
    next_ordinal: AtomicU32,
}

/// How sealing is doing.
#[derive(Debug, Default)]
pub(crate) struct Sealing {
    /// Closed commit files that are not sealed yet.
    pub files: usize,
    /// Why the last try failed.
    pub failed: Option<Arc<str>>,
    /// Why heads cannot be signed at present, so that closed files wait too.
    pub signing_failed: Option<Arc<str>>,
}

/// Counters behind [`crate::Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub entries_appended: AtomicU64,
    pub duplicates: AtomicU64,
    pub groups: AtomicU64,
    pub commit_bytes: AtomicU64,
    pub signatures: AtomicU64,
    pub check_mismatches: AtomicU64,
    pub clock_steps_back: AtomicU64,
    pub refused_full: AtomicU64,
    pub segments: AtomicU64,
    pub pool_bytes: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(
        reading: Reading,
        audit_host: &str,
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        checkpoints: Checkpoints,
    ) -> Shared {
        Shared {
            authenticated: Cache::new(options.tile_cache_bytes),
            options,
            audit_host: audit_host.to_owned(),
            clock,
            entropy,
            slots: RwLock::new(HashMap::new()),
            reading,
            checkpoints: Mutex::new(checkpoints),
            counters: Counters::default(),
            published: tokio::sync::watch::Sender::new(0),
            stopped: RwLock::new(None),
            sealing: Mutex::default(),
            sealed: Condvar::new(),
            disk_full: AtomicBool::new(false),
            reserve_missing: AtomicBool::new(true),
            next_ordinal: AtomicU32::new(0),
        }
    }

    /// The log of this id.
    pub(crate) fn slot(&self, id: &LogId) -> Result<Arc<LogSlot>> {
        self.slots.read().get(id).cloned().ok_or_else(|| Error::not_found(format!("no log {id}")))
    }

    /// A slot that is not yet among the known ones.
    pub(crate) fn new_slot(&self, id: LogId, keys: LogKeys) -> Arc<LogSlot> {
        let ordinal = self.next_ordinal.fetch_add(1, Ordering::Relaxed);
        Arc::new(LogSlot::new(id, ordinal, origin(&self.audit_host, &id), keys))
    }

    /// Stops writing for good: after a failed fsync nobody knows what is on disk. Answers with what to tell the caller.
    pub(crate) fn stop(&self, err: &Error) -> Error {
        let text: Arc<str> = format!("writing has stopped ({err}); restart, and run `counterfoil fsck`").into();
        tracing::error!("{text}");
        Error::Unavailable(Arc::clone(self.stopped.write().get_or_insert(text)))
    }

    /// The error that everything gets after writing has stopped.
    pub(crate) fn check_running(&self) -> Result<()> {
        match &*self.stopped.read() {
            None => Ok(()),
            Some(stopped) => Err(Error::Unavailable(Arc::clone(stopped))),
        }
    }

    /// Answers a submission, and takes it off the pool.
    pub(crate) fn answer(&self, bytes: usize, answer: oneshot::Sender<Result<Answer>>, result: Result<Answer>) {
        self.counters.pool_bytes.fetch_sub(bytes, Ordering::SeqCst);
        // Whoever asked may have gone; what was appended stays.
        let _ = answer.send(result);
    }

    /// Gives the reserved space back to the disk; false if it was given already.
    pub(crate) fn release_reserve(&self) -> bool {
        let released = self.reading.store.remove(RESERVE_PATH).is_ok();
        self.reserve_missing.store(true, Ordering::Relaxed);
        if released {
            tracing::error!("the disk is full: the reserve is used now");
        }
        released
    }

    /// Reserves the space again, if it was used and the disk has it.
    pub(crate) fn refill_reserve(&self) {
        if !self.reserve_missing.load(Ordering::Relaxed) {
            return;
        }
        let store = &self.reading.store;
        let filled = match store.create(RESERVE_PATH) {
            // Not zeros: a file system may store those without taking space.
            Ok(file) => file.write_all_at(&vec![0xa5; RESERVE_BYTES], 0).and_then(|()| file.sync_data()),
            Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(err) => Err(err),
        };
        match filled {
            Ok(()) => self.reserve_missing.store(false, Ordering::Relaxed),
            // What was taken in part is given back; the next group tries again.
            Err(_) => drop(store.remove(RESERVE_PATH)),
        }
    }
}
