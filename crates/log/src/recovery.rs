//! Opening: finishes or drops what a crash left, and compares what is stored with what was signed.
//!
//! The table is that of `specs/proofs.md` §5.2. Start-up reads the directories of segments, the commit files that were not
//! sealed (at most a few), and the small journals: its cost does not grow with the number of entries.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use tlog::checkpoint::SignedCheckpoint;
use tlog::entry::Kind;
use tlog::{Frontier, Hash};

use crate::checkpoints::{ARCHIVE_JOURNAL, Checkpoints, NEWEST_JOURNAL, NewCheckpoint, StoredKey};
use crate::clock::{Clock, Entropy};
use crate::commit::{ActiveFile, COMMIT_MAGIC};
use crate::error::{Error, Result};
use crate::frame::{self, FileHeader, Frame, HEADER_BYTES, Tail};
use crate::group::{self, Fields, GROUP_MAGIC, Plain, RunView};
use crate::growth::Growth;
use crate::id::LogId;
use crate::ids::Ids;
use crate::journal::{Journal, JournalKind};
use crate::keys::{Keys, LogKey, LogKeys};
use crate::model::{BodyState, Head, LogState, ReadOnlyReason};
use crate::notes::{FIRST_EPOCH, KeyNote, LogNote};
use crate::options::{InstanceSeed, Options};
use crate::read::commit_path;
use crate::segment::{self, Part, Run};
use crate::sequencer::WriterLog;
use crate::shared::Shared;
use crate::signer::{Refusal, Request, SIGNER_JOURNAL, Signer};
use crate::state::{CommitFile, LogSlot, Place, Reading, SealedRun, TailPart};
use crate::store::Store;
use crate::tiles::StoredTree;

/// Path of the file that says what the folder is.
pub(crate) const FORMAT_PATH: &str = "FORMAT";

/// First line of it.
const FORMAT_LINE: &str = "counterfoil log v1";

/// Folders of the log's store.
pub(crate) const DIRS: [&str; 4] = ["commit", "segment", "ids", "checkpoint"];

/// What opening hands to the threads.
pub(crate) struct Opened {
    pub shared: Arc<Shared>,
    pub ids: Arc<Ids>,
    pub keys: Arc<Keys>,
    pub signer: Signer,
    pub logs: HashMap<LogId, WriterLog>,
    pub active: ActiveFile,
    pub next_group: u64,
    /// Closed commit files, all published, to be sealed.
    pub to_seal: Vec<Arc<CommitFile>>,
}

/// Makes an empty data folder.
pub(crate) fn create_folder(store: &Arc<dyn Store>, signer_store: &Arc<dyn Store>, audit_host: &str) -> Result<()> {
    if !tlog::note::is_key_name(audit_host) || audit_host.contains('/') || audit_host.len() > 255 {
        return Err(Error::invalid(format!(
            "{audit_host:?} cannot be an audit host: no spaces, + or /, at most 255 bytes"
        )));
    }
    let attempt = |what: &'static str, path: &str| {
        let path = path.to_owned();
        move |err: io::Error| Error::io(what, &path, &err)
    };
    for (store, what) in [(store, "log"), (signer_store, "signer")] {
        store.create_dir("").map_err(attempt("create", what))?;
        if !store.list("").map_err(attempt("list", what))?.is_empty() {
            return Err(Error::conflict(format!("the {what} folder is not empty")));
        }
    }
    for dir in DIRS {
        store.create_dir(dir).map_err(attempt("create", dir))?;
    }
    Signer::create(signer_store)?;
    Checkpoints::create(store)?;
    // The format file comes last: a folder without it was never finished.
    let file = store.create(FORMAT_PATH).map_err(attempt("create", FORMAT_PATH))?;
    let text = format!("{FORMAT_LINE}\n{audit_host}\n");
    file.write_all_at(text.as_bytes(), 0).map_err(attempt("write", FORMAT_PATH))?;
    file.sync_data().map_err(attempt("sync", FORMAT_PATH))?;
    store.sync_dir("").map_err(attempt("sync", "the log folder"))
}

/// The audit host of a data folder.
pub(crate) fn read_format(store: &dyn Store) -> Result<String> {
    let attempt = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound => Error::not_found("there is no log folder (no file FORMAT)"),
        _ => Error::io("read", FORMAT_PATH, &err),
    };
    let file = store.open_read(FORMAT_PATH).map_err(attempt)?;
    let bytes = crate::store::read_whole(&*file, 1024).map_err(attempt)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::corrupt("FORMAT is no text"))?;
    let mut lines = text.split('\n');
    match (lines.next(), lines.next(), lines.next(), lines.next()) {
        (Some(FORMAT_LINE), Some(host), Some(""), None) if tlog::note::is_key_name(host) => Ok(host.to_owned()),
        (Some(FORMAT_LINE), ..) => Err(Error::corrupt("FORMAT does not name an audit host")),
        _ => Err(Error::not_found("the log folder is of an unknown format version")),
    }
}

/// What a folder is opened with.
pub(crate) struct Setup<'a> {
    pub store: Arc<dyn Store>,
    pub signer_store: Arc<dyn Store>,
    pub seed: InstanceSeed,
    pub audit_host: &'a str,
    pub options: Options,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// Opens a data folder.
pub(crate) fn open(setup: Setup<'_>) -> Result<Opened> {
    let Setup { store, signer_store, seed, audit_host, options, clock, entropy } = setup;
    let found_host = read_format(&*store)?;
    if found_host != audit_host {
        return Err(Error::conflict(format!("the folder belongs to audit host {found_host}, not {audit_host}")));
    }
    let keys = Arc::new(Keys::new(audit_host, seed));
    let signer = open_signer(&signer_store, Arc::clone(&keys))?;
    let checkpoints = open_checkpoints(&store)?;
    let ids = Arc::new(Ids::new(Arc::clone(&store), options.id_filter_bytes));
    let reading = Reading::new(Arc::clone(&store), options.block_cache_bytes);
    reading.retention.open()?;
    let shared = Arc::new(Shared::new(reading, audit_host, options, clock, entropy, checkpoints));
    let mut recovery = Recovery { shared, ids, keys, signer, logs: BTreeMap::new(), damage: Vec::new() };

    let (segments, commits) = recovery.finish_sealing(&*store)?;
    for number in &segments {
        recovery.take_segment(*number);
    }
    recovery.load_frontiers();
    let scanned = recovery.take_commit_files(&commits)?;
    recovery.judge();
    recovery.finish(&*store, &segments, scanned)
}

fn open_signer(store: &Arc<dyn Store>, keys: Arc<Keys>) -> Result<Signer> {
    match store.open_read(SIGNER_JOURNAL.path) {
        Ok(_) => {}
        // A lost signer's store is made anew; logs that were signed before are then read-only (§5.2, last row).
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            tracing::warn!("the signer's store is empty");
            store.create_dir("").map_err(|err| Error::io("create", "the signer's folder", &err))?;
            Signer::create(store)?;
        }
        Err(err) => return Err(Error::io("open", SIGNER_JOURNAL.path, &err)),
    }
    Signer::open(store, keys)
}

/// Opens the checkpoint files. A damaged one is put aside under another name, where fsck reports it; heads are signed again.
fn open_checkpoints(store: &Arc<dyn Store>) -> Result<Checkpoints> {
    for kind in [NEWEST_JOURNAL, ARCHIVE_JOURNAL] {
        match Journal::open(store, kind, |_, _| ()) {
            Ok(_) => {}
            Err(Error::Corrupt(what)) => put_aside(store, kind, &what)?,
            Err(Error::NotFound(_)) => {}
            Err(_) if store.open_read(kind.path).is_err_and(|err| err.kind() == io::ErrorKind::NotFound) => {
                tracing::warn!(path = kind.path, "the file of checkpoints is gone, heads are signed again");
                Journal::create(store, kind)?;
            }
            Err(err) => return Err(err),
        }
    }
    Checkpoints::open(store)
}

fn put_aside(store: &Arc<dyn Store>, kind: JournalKind, what: &str) -> Result<()> {
    let aside = (1..).map(|n| format!("{}.damaged-{n}", kind.path)).find(|path| store.open_read(path).is_err());
    let aside = aside.expect("some number is free");
    tracing::error!(path = kind.path, aside, what, "checkpoints are damaged: the file is put aside");
    store.rename(kind.path, &aside).map_err(|err| Error::io("rename", kind.path, &err))?;
    Journal::create(store, kind).map(drop)
}

/// A log while it is put together.
struct Builder {
    slot: Arc<LogSlot>,
    size: u64,
    last_us: u64,
    /// None where it cannot be known because something is missing.
    frontier: Option<Frontier>,
    /// The last sealed run, whose frontier is stored.
    last_run: Option<(u64, Run)>,
    /// Key notes in commit files: index, time of receipt, and what they say.
    key_notes: Vec<(u64, u64, KeyNote)>,
    /// Its last entry closes it, by order.
    closed: bool,
    /// None of our seeds gives a key of this log.
    key_missing: Option<String>,
    /// What of this log's bytes does not check.
    damage: Option<String>,
}

impl Builder {
    fn damaged(&mut self, what: impl Into<String>) {
        self.damage.get_or_insert_with(|| what.into());
    }
}

struct Recovery {
    shared: Arc<Shared>,
    ids: Arc<Ids>,
    keys: Arc<Keys>,
    signer: Signer,
    logs: BTreeMap<LogId, Builder>,
    /// Damage found in files, whichever logs it concerns.
    damage: Vec<String>,
}

/// A commit file that was read.
struct Scanned {
    file: Arc<CommitFile>,
    /// Where its last good group ends.
    end: u64,
    next_group: u64,
    /// Groups may be appended, after cutting at `end`.
    appendable: bool,
    /// Logs in it.
    logs: BTreeSet<LogId>,
}

impl Recovery {
    /// The builder of a log, new or known.
    fn log(&mut self, id: LogId) -> &mut Builder {
        let (shared, keys) = (&self.shared, &self.keys);
        self.logs.entry(id).or_insert_with(|| Builder {
            slot: shared.new_slot(id, keys.log_keys(&id, FIRST_EPOCH).expect("epoch 1 has a seed")),
            size: 0,
            key_notes: Vec::new(),
            closed: false,
            key_missing: None,
            last_us: 0,
            frontier: Some(Frontier::new()),
            last_run: None,
            damage: None,
        })
    }

    /// Removes what interrupted sealing left. Answers with the numbers of segments and of commit files.
    fn finish_sealing(&mut self, store: &dyn Store) -> Result<(Vec<u64>, Vec<u64>)> {
        let attempt = |what: &'static str, path: &str| {
            let path = path.to_owned();
            move |err: io::Error| Error::io(what, &path, &err)
        };
        let mut segments = BTreeSet::new();
        for name in store.list("segment").map_err(attempt("list", "segment"))? {
            let path = format!("segment/{name}");
            if name.ends_with(".tmp") {
                store.remove(&path).map_err(attempt("remove", &path))?;
            } else if let Some(number) = number_of(&name, "bodies").or_else(|| number_of(&name, "leaves")) {
                segments.insert(number);
            }
        }
        let mut commits = BTreeSet::new();
        for name in store.list("commit").map_err(attempt("list", "commit"))? {
            commits.extend(number_of(&name, "commit"));
        }
        for number in segments.intersection(&commits).copied().collect::<Vec<u64>>() {
            let whole = [Part::Bodies, Part::Leaves].into_iter().all(|part| {
                let file = store.open_read(&part.path(number));
                file.and_then(|file| segment::read_directory(&*file, part, number)).is_ok()
            });
            if whole {
                let path = commit_path(number);
                store.remove(&path).map_err(attempt("remove", &path))?;
                commits.remove(&number);
            } else {
                for path in [Part::Bodies, Part::Leaves].map(|part| part.path(number)) {
                    match store.remove(&path) {
                        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(attempt("remove", &path)(err)),
                        _ => {}
                    }
                }
                segments.remove(&number);
            }
        }
        Ok((segments.into_iter().collect(), commits.into_iter().collect()))
    }

    /// Enters the runs of a segment.
    fn take_segment(&mut self, number: u64) {
        let store = Arc::clone(&self.shared.reading.store);
        let directory = |part: Part| {
            let file = store.open_read(&part.path(number));
            file.and_then(|file| segment::read_directory(&*file, part, number))
        };
        let (runs, damage) = match (directory(Part::Leaves), directory(Part::Bodies)) {
            (Ok(leaves), Ok(bodies)) if leaves.runs == bodies.runs => (leaves.runs, None),
            (Ok(leaves), Ok(_)) => (leaves.runs, Some(format!("the two files of segment {number} disagree"))),
            (Ok(leaves), Err(err)) => (leaves.runs, Some(format!("{}: {err}", Part::Bodies.path(number)))),
            (Err(err), Ok(bodies)) => (bodies.runs, Some(format!("{}: {err}", Part::Leaves.path(number)))),
            (Err(err), Err(_)) => (Vec::new(), Some(format!("both files of segment {number}: {err}"))),
        };
        if let Some(damage) = &damage {
            tracing::error!(damage, "a segment is damaged");
            self.damage.push(damage.clone());
        }
        for run in runs {
            let log = self.log(run.log);
            if let Some(damage) = &damage {
                log.damaged(damage.clone());
            }
            if run.first != log.size {
                log.damaged(format!("numbers {} to {} are missing", log.size + 1, run.first));
            }
            if run.first < log.size {
                continue;
            }
            log.slot.pieces.write().sealed.push(SealedRun {
                segment: number,
                first: run.first,
                count: run.count,
                ordinal: run.ordinal,
                leaves_at: run.leaves_at,
            });
            log.size = run.end();
            log.last_us = run.last_us;
            log.last_run = Some((number, run));
        }
    }

    /// Takes up each log's tree after its last sealed run.
    fn load_frontiers(&mut self) {
        let reading = &self.shared.reading;
        for log in self.logs.values_mut() {
            let Some((segment, run)) = log.last_run else { continue };
            let stored = reading.segment_file(segment, Part::Leaves).and_then(|file| {
                let count = run.end().count_ones() as usize;
                segment::read_hashes(&*file, run.frontier_at, count)
                    .map_err(|err| Error::io("read", &Part::Leaves.path(segment), &err))
            });
            let frontier = stored.and_then(|hashes| {
                Frontier::from_parts(run.end(), &hashes).map_err(|err| Error::corrupt(err.to_string()))
            });
            match frontier {
                Ok(frontier) => log.frontier = Some(frontier),
                Err(err) => {
                    log.frontier = None;
                    log.damaged(err.to_string());
                }
            }
        }
    }

    /// Enters what commit files hold, in order.
    fn take_commit_files(&mut self, numbers: &[u64]) -> Result<Vec<Scanned>> {
        let mut scanned: Vec<Scanned> = Vec::new();
        for (position, number) in numbers.iter().enumerate() {
            let is_last = position + 1 == numbers.len();
            let path = commit_path(*number);
            let file = self.shared.reading.store.open(&path).map_err(|err| Error::io("open", &path, &err))?;
            let file = Arc::new(CommitFile { number: *number, file });
            let next_group = scanned.last().map_or(1, |before| before.next_group);
            scanned
                .push(self.take_commit_file(file, next_group, is_last).map_err(|err| Error::io("read", &path, &err))?);
            if !is_last {
                self.ids.close_file(*number);
            }
        }
        Ok(scanned)
    }

    fn take_commit_file(&mut self, file: Arc<CommitFile>, next_group: u64, is_last: bool) -> io::Result<Scanned> {
        let path = commit_path(file.number);
        let mut header = [0; HEADER_BYTES];
        let read = file.file.read_exact_at(&mut header, 0);
        let header = match read {
            Ok(()) => FileHeader::decode(&header, &COMMIT_MAGIC).ok().filter(|header| header.number == file.number),
            Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(err) => return Err(err),
        };
        let mut scanned = Scanned {
            file: Arc::clone(&file),
            end: HEADER_BYTES as u64,
            next_group: header.map_or(next_group, |header| header.extra),
            appendable: is_last && header.is_some(),
            logs: BTreeSet::new(),
        };
        if header.is_none() && file.file.len()? <= HEADER_BYTES as u64 && is_last {
            // Its creation was cut short: it never held anything.
            return Ok(scanned);
        }
        if header.is_none() {
            self.damage.push(format!("{path}: the file header does not check"));
        }
        // The last frame may be dropped if it does not check; those before may not.
        let mut unchecked: Option<(Frame, Vec<u8>)> = None;
        let scan = frame::scan(&*file.file, HEADER_BYTES as u64, GROUP_MAGIC, scanned.next_group, |frame, payload| {
            if let Some((frame, payload)) = unchecked.take() {
                self.take_group(&file, &frame, &payload, &mut scanned.logs);
            }
            if frame.checks {
                self.take_group(&file, frame, &payload, &mut scanned.logs);
            } else {
                unchecked = Some((*frame, payload));
            }
        })?;
        scanned.end = scan.end;
        scanned.next_group = scan.next_number;
        let bad_tail = match scan.tail {
            Tail::Clean => None,
            Tail::Torn(at) | Tail::Damaged(at) => Some(at),
        };
        let before_tail = scan.damage.iter().filter(|damage| bad_tail.is_none_or(|at| damage.offset < at));
        let before_tail: Vec<String> =
            before_tail.map(|damage| format!("{path} at byte {}: {}", damage.offset, damage.what)).collect();
        if let Some(at) = bad_tail {
            let covered = unchecked.as_ref().is_some_and(|(frame, payload)| self.is_covered(frame, payload));
            if !is_last || covered || !before_tail.is_empty() || self.ends_before_signed(&scanned.logs) {
                self.damage.push(format!("{path} at byte {at}: the last group does not check"));
                scanned.appendable = false;
                if let Some((frame, payload)) = unchecked {
                    scanned.next_group = frame.header.number + 1;
                    self.take_group(&file, &frame, &payload, &mut scanned.logs);
                }
            } else {
                tracing::info!(path, at, "the last group was cut short by a crash and is dropped");
            }
        }
        if !before_tail.is_empty() {
            scanned.appendable = false;
            self.damage.extend(before_tail);
        }
        Ok(scanned)
    }

    /// Whether some log was signed at a size that only a lost group of this file can have given it.
    fn ends_before_signed(&self, logs: &BTreeSet<LogId>) -> bool {
        let before = |id: &LogId| self.signer.record(id).is_some_and(|signed| signed.size > self.logs[id].size);
        logs.iter().any(before)
    }

    /// Whether something of a group was signed.
    fn is_covered(&self, frame: &Frame, payload: &[u8]) -> bool {
        let runs = group::parse(payload, frame.header.count).unwrap_or_default();
        runs.iter().any(|run| self.signer.record(&run.log).is_some_and(|signed| signed.size > run.first))
    }

    /// Enters the runs of a group.
    fn take_group(&mut self, file: &Arc<CommitFile>, frame: &Frame, payload: &[u8], logs: &mut BTreeSet<LogId>) {
        let place = format!("{} at byte {}", commit_path(file.number), frame.offset);
        let runs = match group::parse(payload, frame.header.count) {
            Ok(runs) => runs,
            Err(what) => return self.damage.push(format!("{place}: {what}")),
        };
        for run in &runs {
            logs.insert(run.log);
            let signed = self.signer.record(&run.log);
            let log = self.log(run.log);
            if !frame.checks {
                log.damaged(format!("{place}: a group does not check"));
            }
            if run.first != log.size {
                log.damaged(format!("{place}: number {} where {} is expected", run.first + 1, log.size + 1));
                continue;
            }
            let leaves = run.leaves(payload);
            let unsigned = signed.is_none_or(|signed| run.first + leaves.len() as u64 > signed.size);
            if unsigned && leaves != plain_leaves(run, payload) {
                // Nobody checked these yet, and they are about to be signed.
                log.damaged(format!("{place}: leaf hashes are not those of the records"));
            }
            let mut frontier = match &log.frontier {
                Some(frontier) => frontier.clone(),
                None => continue,
            };
            let growth = Growth::of(&mut frontier, &leaves);
            let at = |record: &group::RecordView| Place {
                at: (frame.payload_offset() + record.at as u64) as u32,
                body_bytes: record.body_bytes as u32,
            };
            let part = TailPart {
                file: Arc::clone(file),
                first: run.first,
                places: run.records.iter().map(at).collect(),
                tiles: growth.tiles(),
                leaves,
                last_us: run.records.last().map_or(log.last_us, |record| record.received_at_us),
            };
            log.size = part.end();
            log.last_us = part.last_us;
            log.frontier = Some(frontier);
            log.slot.pieces.write().push(part);
            let slot = Arc::clone(&log.slot);
            let mut log_notes = run.records.iter().filter(|record| record.kind == Kind::LogNote);
            log.closed |= log_notes.any(|note| LogNote::decode(note.body(payload)).is_some_and(|note| note.closes()));
            let notes = (run.first..).zip(&run.records).filter(|(_, record)| record.kind == Kind::KeyNote);
            log.key_notes.extend(notes.filter_map(|(index, record)| {
                Some((index, record.received_at_us, KeyNote::decode(record.body(payload))?))
            }));
            for (index, record) in (run.first..).zip(&run.records) {
                self.ids.enter(&slot, record.id, index);
            }
        }
    }

    /// Finds out which keys the log has: from what is stored with its checkpoints, and from its own notes.
    fn find_keys(&mut self, id: &LogId) {
        let stored = self.shared.checkpoints.lock().keys(id).to_vec();
        let log = self.logs.get_mut(id).expect("the log is among those that are opened");
        log.closed |= self.shared.checkpoints.lock().is_closed(id);
        let found = match stored.split_first() {
            Some((first, later)) => stored_keys(&self.shared, &self.keys, &log.slot, first, later),
            // The stored keys are lost, or nothing of the log was ever published.
            None => keys_from_notes(&self.shared, &self.keys, log),
        };
        match found {
            Ok(mut keys) => {
                for (index, received_at_us, note) in &log.key_notes {
                    keys.enter(note, *index, *received_at_us);
                }
                let unknown = |key: &&LogKey| self.keys.vkey(id, key.epoch).is_none_or(|vkey| vkey != key.vkey);
                if let Some(key) = keys.all().iter().find(|key| key.replaced.is_none() && unknown(key)) {
                    log.key_missing = Some(no_seed(&key.vkey));
                }
                log.slot.set_keys(Arc::new(keys));
            }
            Err(KeysNotFound::NoSeed(vkey)) => log.key_missing = Some(no_seed(&vkey)),
            Err(KeysNotFound::Unreadable(err)) => log.damaged(err.to_string()),
        }
    }

    /// Compares each log with what was signed; those that differ become read-only.
    fn judge(&mut self) {
        let known: Vec<LogId> = self.signer.logs().copied().collect();
        let kept: Vec<LogId> = self.shared.checkpoints.lock().logs().copied().collect();
        for id in known.into_iter().chain(kept) {
            self.log(id);
        }
        let ids: Vec<LogId> = self.logs.keys().copied().collect();
        for id in ids {
            self.find_keys(&id);
            let signed_size = self.signer.record(&id).map_or(0, |signed| signed.size);
            self.logs[&id].slot.signed_at_opening.store(signed_size, std::sync::atomic::Ordering::Relaxed);
            if let Err((reason, detail)) = self.judge_log(&id) {
                self.logs[&id].slot.close(reason, detail);
            }
        }
    }

    fn judge_log(&self, id: &LogId) -> Result<(), (ReadOnlyReason, String)> {
        use ReadOnlyReason::{Damaged, Forked, KeyMissing, SignerMissing, Truncated};
        let log = &self.logs[id];
        let size = log.size;
        let checkpoint = self.stored_checkpoint(log);
        let signed = self.signer.record(id);
        let short = |what: &str, of: u64| {
            let detail = format!("the log ends at size {size}, {what} is of size {of}");
            match self.damage.first() {
                // What is missing may be what is damaged.
                Some(damage) => (Damaged, format!("{detail}; {damage}")),
                None => (Truncated, detail),
            }
        };
        if let Some(damage) = &log.damage {
            return Err((Damaged, damage.clone()));
        }
        if let Some(missing) = &log.key_missing {
            return Err((KeyMissing, missing.clone()));
        }
        let tree = StoredTree::new(&self.shared.reading, &log.slot, size);
        let compare = |what: &str, of: u64, root: Hash| {
            if of > size {
                return Err(short(what, of));
            }
            let stored = match (&log.frontier, of == size) {
                (Some(frontier), true) => Ok(frontier.root()),
                _ => tree.root(of),
            };
            match stored {
                Ok(stored) if stored == root => Ok(()),
                Ok(_) => Err((Forked, format!("the log has another root than {what} at size {of}"))),
                Err(err) => Err((Damaged, err.to_string())),
            }
        };
        match signed {
            Some(signed) => compare("the signer's record", signed.size, signed.root)?,
            None if checkpoint.is_some() || log.last_run.is_some() => {
                return Err((SignerMissing, "the signer has no record of this log".into()));
            }
            None => {}
        }
        if let Some(checkpoint) = checkpoint {
            compare("the stored checkpoint", checkpoint.checkpoint.size, checkpoint.checkpoint.root)?;
        }
        Ok(())
    }

    /// The newest stored checkpoint whose signature holds.
    fn stored_checkpoint(&self, log: &Builder) -> Option<SignedCheckpoint> {
        let (_, text) = self.shared.checkpoints.lock().newest(&log.slot.id)?;
        match SignedCheckpoint::open(&text, &log.slot.origin, &log.slot.keys().verifiers()) {
            Ok(checkpoint) => Some(checkpoint),
            Err(err) => {
                tracing::error!(log = %log.slot.id, %err, "the stored checkpoint does not verify");
                None
            }
        }
    }

    /// Signs what is durable but unsigned, publishes all heads, and readies the commit file to go on with.
    fn finish(mut self, store: &dyn Store, segments: &[u64], mut scanned: Vec<Scanned>) -> Result<Opened> {
        self.sign()?;
        let last = scanned.last();
        let next_group = last.map_or(1, |last| last.next_group);
        let number = last.map_or(segments.last().map_or(1, |n| n + 1), |last| last.file.number + 1);
        let active = match scanned.pop() {
            Some(last) if last.appendable => {
                let file = &last.file.file;
                let attempt = |err: io::Error| Error::io("cut", &commit_path(last.file.number), &err);
                if file.len().map_err(attempt)? > last.end {
                    file.set_len(last.end).map_err(attempt)?;
                    file.sync_data().map_err(attempt)?;
                }
                ActiveFile { file: last.file, end: last.end }
            }
            Some(last)
                if last.logs.is_empty()
                    && last.end == HEADER_BYTES as u64
                    && last.file.file.len().is_ok_and(|len| len <= last.end) =>
            {
                // A file that never had a header.
                let path = commit_path(last.file.number);
                store.remove(&path).map_err(|err| Error::io("remove", &path, &err))?;
                ActiveFile::create(store, last.file.number, next_group)?
            }
            Some(last) => {
                self.ids.close_file(last.file.number);
                ActiveFile::create(store, number, next_group)?
            }
            None => ActiveFile::create(store, number, next_group)?,
        };
        let sound = |id: &LogId| self.logs[id].slot.pieces.read().state.is_sound();
        let to_seal: Vec<Arc<CommitFile>> = scanned
            .iter()
            .filter(|closed| !closed.logs.is_empty() && closed.logs.iter().all(sound))
            .map(|closed| Arc::clone(&closed.file))
            .collect();
        self.shared.sealing.lock().files = to_seal.len();
        self.shared.counters.segments.store(segments.len() as u64, std::sync::atomic::Ordering::Relaxed);

        let mut logs = HashMap::new();
        for (id, log) in self.logs {
            self.shared.slots.write().insert(id, Arc::clone(&log.slot));
            let is_open = log.slot.pieces.read().state == LogState::Open;
            if let (true, Some(frontier)) = (is_open, log.frontier) {
                logs.insert(id, WriterLog { slot: log.slot, frontier, last_us: log.last_us, closed: false });
            }
        }
        self.shared.refill_reserve();
        self.ids.open_runs(&self.shared, segments)?;
        Ok(Opened {
            shared: self.shared,
            ids: self.ids,
            keys: self.keys,
            signer: self.signer,
            logs,
            active,
            next_group,
            to_seal,
        })
    }

    fn sign(&mut self) -> Result<()> {
        let mut requests = Vec::new();
        let mut introducing = Vec::new();
        let mut heads: Vec<(LogId, Head)> = Vec::new();
        for (id, log) in &self.logs {
            let checkpoint = self.stored_checkpoint(log);
            let is_open = log.slot.pieces.read().state == LogState::Open;
            let signed = self.signer.record(id);
            if let Some(checkpoint) = &checkpoint {
                self.shared.checkpoints.lock().set_day(id, log.last_us);
                let current =
                    signed.is_some_and(|signed| signed.size == log.size) && checkpoint.checkpoint.size == log.size;
                if current || !is_open {
                    let head = Head {
                        size: checkpoint.checkpoint.size,
                        root: checkpoint.checkpoint.root,
                        last_received_at_us: log.last_us,
                        checkpoint: checkpoint.note.as_str().into(),
                    };
                    heads.push((*id, head));
                }
                if current {
                    continue;
                }
            }
            let (true, Some(frontier)) = (is_open, &log.frontier) else { continue };
            let tree = StoredTree::new(&self.shared.reading, &log.slot, log.size);
            let proof = match signed {
                Some(signed) => tree.consistency(signed.size, log.size)?,
                None => Vec::new(),
            };
            let first = signed.is_none();
            let stored_size = checkpoint.as_ref().map_or(0, |stored| stored.checkpoint.size);
            let keys = log.slot.keys();
            let epochs = keys.signing(log.last_us, stored_size);
            introducing.push(keys.introduces_after(stored_size));
            requests.push(Request { log: *id, size: log.size, root: frontier.root(), proof, first, epochs });
        }
        if !requests.is_empty() {
            let notes = self.signer.sign(&requests).map_err(|refusal| match refusal {
                Refusal::NotExtending { log, detail } => Error::corrupt(format!("log {log}: {detail}")),
                Refusal::Store(failure) => failure.error,
            })?;
            let checkpoints: Vec<NewCheckpoint> = requests
                .iter()
                .zip(&notes)
                .zip(introducing)
                .map(|((request, note), kept)| NewCheckpoint {
                    log: request.log,
                    size: request.size,
                    text: Arc::clone(note),
                    last_us: self.logs[&request.log].last_us,
                    keys: self.logs[&request.log].slot.keys(),
                    kept: kept || self.logs[&request.log].closed,
                    closes: self.logs[&request.log].closed,
                })
                .collect();
            self.shared.checkpoints.lock().store(&checkpoints).map_err(|failure| failure.error)?;
            for (request, checkpoint) in requests.into_iter().zip(notes) {
                let last_received_at_us = self.logs[&request.log].last_us;
                let head = Head { size: request.size, root: request.root, last_received_at_us, checkpoint };
                heads.push((request.log, head));
            }
        }
        for (id, head) in heads {
            self.logs[&id].slot.pieces.write().head = Some(head);
        }
        for log in self.logs.values().filter(|log| log.closed) {
            if log.slot.check_open().is_ok() {
                log.slot.close_by_order();
            }
        }
        Ok(())
    }
}

/// Why a log's keys are not known.
enum KeysNotFound {
    /// This key is from no seed of ours.
    NoSeed(Arc<str>),
    Unreadable(Error),
}

fn no_seed(vkey: &str) -> String {
    format!("no instance seed gives the log's key {vkey}")
}

/// The keys as they are stored. Each but the first begins after its key note, which says the rest.
fn stored_keys(
    shared: &Shared,
    keys: &Keys,
    slot: &LogSlot,
    first: &StoredKey,
    later: &[StoredKey],
) -> Result<LogKeys, KeysNotFound> {
    let epoch = keys.epoch_of(&slot.id, &first.vkey).ok_or_else(|| KeysNotFound::NoSeed(Arc::clone(&first.vkey)))?;
    let mut found = LogKeys::first(epoch, Arc::clone(&first.vkey));
    for key in later {
        let index = key.first_size - 1;
        let records = shared.reading.records(slot, std::iter::once(index), 1).map_err(KeysNotFound::Unreadable)?;
        if let Some(note) = records.first().and_then(|record| KeyNote::decode(&record.body)) {
            found.enter(&note, index, records[0].received_at_us);
        }
    }
    Ok(found)
}

/// The keys as the log's own entries tell them: reads all that is sealed, which takes as long as it takes.
fn keys_from_notes(shared: &Shared, keys: &Keys, log: &mut Builder) -> Result<LogKeys, KeysNotFound> {
    const READ_BYTES: usize = 4 << 20;
    let mut found = None;
    let mut next = shared.reading.retention.minimum(&log.slot.id);
    while next < log.size && log.damage.is_none() {
        let records =
            shared.reading.records(&log.slot, next..log.size, READ_BYTES).map_err(KeysNotFound::Unreadable)?;
        for record in &records {
            let epoch = if record.index == 0 { LogNote::epoch(&record.body) } else { FIRST_EPOCH };
            log.closed |= record.kind == Kind::LogNote && LogNote::decode(&record.body).is_some_and(|it| it.closes());
            let known = found.get_or_insert_with(|| keys.log_keys(&log.slot.id, epoch));
            if record.kind == Kind::KeyNote
                && let (Some(known), Some(note)) = (known, KeyNote::decode(&record.body))
            {
                known.enter(&note, record.index, record.received_at_us);
            }
        }
        next += records.len() as u64;
        if log.last_run.is_none_or(|(_, run)| next >= run.end()) {
            // What follows is in commit files, whose notes were read.
            break;
        }
    }
    if shared.reading.retention.minimum(&log.slot.id) > 0 {
        // The entries that would tell are pruned, and guessing could sign with a key that nobody was told of.
        return Err(KeysNotFound::NoSeed("that it began with, which is pruned".into()));
    }
    let found = found.unwrap_or_else(|| keys.log_keys(&log.slot.id, FIRST_EPOCH));
    found.ok_or_else(|| KeysNotFound::NoSeed("of its first entry's epoch".into()))
}

fn plain_leaves(run: &RunView, payload: &[u8]) -> Vec<Hash> {
    let fields: Vec<Fields<'_>> = (run.first..)
        .zip(&run.records)
        .map(|(index, record)| Fields {
            kind: record.kind,
            index,
            received_at_us: record.received_at_us,
            id: record.id,
            salt: &record.salt,
            body: record.body(payload),
            state: BodyState::Present,
        })
        .collect();
    group::leaves_of(&fields, &Plain)
}

/// The number in a file's name.
pub(crate) fn number_of(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    (digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}
