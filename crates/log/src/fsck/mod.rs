//! Verification of a whole data folder, from the stored bytes up (`specs/proofs.md` §9.2).
//!
//! Needs no secret, no server and no index: it reads bodies, recomputes commitments, leaves and trees, and compares them
//! with stored hashes and with every signed checkpoint on the way. It changes nothing, and may run beside a server that
//! writes: heads are read first, files after, so that whatever was signed when it began must be found. One damaged record
//! does not stop it. Memory is bounded by a few commit files; all cores are used.
//!
//! What no check can show is said in `specs/proofs.md` §13; in particular, keys read from the folder itself prove only that
//! the folder agrees with itself. Pin keys, and remember checkpoints, to know more.

mod files;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{bounded, unbounded};
use tlog::Hash;
use tlog::checkpoint::Checkpoint;
use tlog::note::{Note, VerifierKey};

use crate::checkpoints::{self, ARCHIVE_JOURNAL, NEWEST_JOURNAL, RecordKind, StoredKey, add_key};
use crate::error::{Error, Result};
use crate::frame::{Scan, Tail};
use crate::id::LogId;
use crate::journal::{self, JournalKind};
use crate::model::Reason;
use crate::recovery::{number_of, read_format};
use crate::retention::{self, RETENTION_JOURNAL};
use crate::signer::{self, SIGNER_JOURNAL};
use crate::store::Store;

use files::{FileFindings, Job};
use tree::LogTree;

/// Divergences listed in a report; further ones are counted.
pub const DIVERGENCES_MAX: usize = 1_000;

/// What is to be verified, and against what.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Keys that the caller trusts. A log whose origin has one is verified under it, and under the keys that the log's own
    /// key notes lead to from it; others under the folder's oldest key, likewise.
    pub vkeys: Vec<VerifierKey>,
    /// Signed checkpoints that the caller remembers; today's log must extend them.
    pub since: Vec<String>,
    /// Verify this log only. Damage to files that it shares with others is still reported.
    pub only: Option<LogId>,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entries read so far.
    pub entries_read: u64,
    /// Entries that the signed heads promise.
    pub entries_expected: u64,
    /// Bytes of files read so far.
    pub bytes_read: u64,
    /// Bytes of files there were at the start.
    pub bytes_expected: u64,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Report {
    /// One for each log, in order of ids.
    pub logs: Vec<LogReport>,
    /// Damage to bytes that belong to no single record: headers, directories, check values.
    pub files: Vec<FileDamage>,
    /// What stood in the way of a verdict: missing, unreadable or unnamed things.
    pub undecided: Vec<String>,
    /// What is worth saying and is no fault, such as a group that a crash cut short.
    pub notes: Vec<String>,
    /// Bytes of files read.
    pub bytes_read: u64,
    /// Bytes of files there were at the start.
    pub bytes_expected: u64,
}

/// What was found of one log.
#[derive(Debug, Clone)]
pub struct LogReport {
    /// The log.
    pub log: LogId,
    /// Its name in checkpoints.
    pub origin: String,
    /// Size and root of the newest signed checkpoint, if its signature holds.
    pub head: Option<(u64, Hash)>,
    /// That checkpoint as it is stored: what a caller may remember.
    pub checkpoint: Option<Arc<str>>,
    /// Whose key that was.
    pub key: KeySource,
    /// The keys under which heads were accepted: those begun with, and those that key notes lead to from there.
    pub vkeys: Vec<VerifierKey>,
    /// Records read.
    pub entries_read: u64,
    /// Records that the head promises, without those that were pruned.
    pub entries_expected: u64,
    /// Entries below this index were pruned; what is left of them, tile roots, was verified.
    pub minimum_index: u64,
    /// Records beyond the head: written, not yet signed.
    pub entries_unsealed: u64,
    /// Signed heads that the stored tree was compared with.
    pub heads_checked: u64,
    /// The first [`DIVERGENCES_MAX`], by number.
    pub divergences: Vec<Divergence>,
    /// All of them.
    pub divergence_count: u64,
}

/// Where the key of a log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// The caller named it.
    Pinned,
    /// The folder's own: proves that the folder agrees with itself.
    Folder,
    /// None is known.
    None,
}

/// One thing that is not as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The record's number; none if it concerns the log as a whole.
    pub number: Option<u64>,
    /// What is wrong.
    pub reason: Reason,
    /// More about it, for the operator.
    pub detail: String,
}

/// Damage to bytes that belong to no single record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDamage {
    /// The file.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// First number of the first log that the file holds records of, if that can still be told.
    pub first: Option<(LogId, u64)>,
}

/// The answer to "is everything as it was signed?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything asked for was read and verified.
    Verified,
    /// Something is not as it was signed.
    Tainted,
    /// Something could not be read, or nothing says what it should be.
    Undecided,
}

impl Report {
    /// The verdict over everything. Nothing unread is ever verified.
    pub fn verdict(&self) -> Verdict {
        if !self.files.is_empty() || self.logs.iter().any(|log| log.divergence_count > 0) {
            return Verdict::Tainted;
        }
        let unread = |log: &LogReport| log.head.is_none() || log.entries_read != log.entries_expected;
        if !self.undecided.is_empty() || self.logs.iter().any(unread) {
            return Verdict::Undecided;
        }
        Verdict::Verified
    }

    /// The first damaged record: of the first log in order that has one, the lowest number.
    pub fn first_damaged(&self) -> Option<(LogId, u64)> {
        let of_log = |log: &LogReport| {
            let numbers = log.divergences.iter().filter_map(|divergence| divergence.number);
            numbers.min().map(|number| (log.log, number))
        };
        self.logs.iter().find_map(of_log).or_else(|| self.files.iter().find_map(|file| file.first))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Verified => "verified",
            Verdict::Tainted => "tainted",
            Verdict::Undecided => "undecided",
        })
    }
}

/// Verifies a data folder. `signer`: the guarded signer's store, if it can be read; its records are compared too.
///
/// Never fails as a whole: what stood in the way is in [`Report::undecided`]. `progress` is called now and then.
pub fn verify_folder(
    store: &Arc<dyn Store>,
    signer: Option<&Arc<dyn Store>>,
    request: &Request,
    progress: &dyn Fn(Progress),
) -> Report {
    let go_on = |so_far| {
        progress(so_far);
        true
    };
    verify_folder_on(0, store, signer, request, &go_on)
}

/// As [`verify_folder`], on at most this many cores (0: all of them), beside something more urgent. While `go_on` takes its
/// time little is read; when it says no, the rest is not read, and the report, which says so, must not be believed.
pub fn verify_folder_on(
    cores_max: usize,
    store: &Arc<dyn Store>,
    signer: Option<&Arc<dyn Store>>,
    request: &Request,
    go_on: &dyn Fn(Progress) -> bool,
) -> Report {
    let mut verification = Verification::new(store, request);
    verification.cores_max = cores_max;
    match read_format(&**store) {
        Ok(host) => verification.audit_host = host,
        Err(Error::Corrupt(what)) => return verification.given_up_tainted("FORMAT", &what),
        Err(err) => return verification.given_up(err.to_string()),
    }
    // Heads first: whatever they promise is in the files by now.
    verification.read_heads(signer);
    let jobs = match verification.list_files() {
        Ok(jobs) => jobs,
        Err(err) => return verification.given_up(err.to_string()),
    };
    verification.read_files(jobs, go_on);
    verification.finish()
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The newest checkpoint stored.
    Newest,
    /// An archived checkpoint.
    Kept,
    /// An older checkpoint that is still in the file of the newest.
    Passed,
    /// The caller remembers it.
    Remembered,
    /// The guarded signer's record.
    Signer,
}

/// What a signed checkpoint claims, before anybody checked it.
fn unverified(text: &str) -> Option<Checkpoint> {
    Note::parse(text).ok()?.text.parse().ok()
}

/// The keys to begin with: the pinned ones of the log's name, or else the folder's oldest.
fn keys_of(request: &Request, origin: &str, folder_keys: Option<&Vec<StoredKey>>) -> (Vec<VerifierKey>, KeySource) {
    let pinned: Vec<VerifierKey> = request.vkeys.iter().filter(|key| key.name() == origin).cloned().collect();
    if !pinned.is_empty() {
        return (pinned, KeySource::Pinned);
    }
    match folder_keys.and_then(|keys| keys.first()).and_then(|key| key.vkey.parse::<VerifierKey>().ok()) {
        Some(key) => (vec![key], KeySource::Folder),
        None => (Vec::new(), KeySource::None),
    }
}

struct Verification<'a> {
    store: &'a Arc<dyn Store>,
    request: &'a Request,
    audit_host: String,
    logs: BTreeMap<LogId, LogTree>,
    report: Report,
    entries_expected: u64,
    /// What is below these indexes was pruned.
    minimums: HashMap<LogId, u64>,
    /// Cores to use at most; 0: all.
    cores_max: usize,
}

impl<'a> Verification<'a> {
    fn new(store: &'a Arc<dyn Store>, request: &'a Request) -> Verification<'a> {
        let report = Report {
            logs: Vec::new(),
            files: Vec::new(),
            undecided: Vec::new(),
            notes: Vec::new(),
            bytes_read: 0,
            bytes_expected: 0,
        };
        let (logs, minimums) = (BTreeMap::new(), HashMap::new());
        let audit_host = String::new();
        Verification { store, request, audit_host, logs, report, entries_expected: 0, minimums, cores_max: 0 }
    }

    fn given_up(mut self, what: String) -> Report {
        self.report.undecided.push(what);
        self.report
    }

    fn given_up_tainted(mut self, path: &str, what: &str) -> Report {
        self.damaged(path, what, None);
        self.report
    }

    fn damaged(&mut self, path: &str, what: impl Into<String>, first: Option<(LogId, u64)>) {
        self.report.files.push(FileDamage { path: path.to_owned(), what: what.into(), first });
    }

    fn wanted(&self, log: &LogId) -> bool {
        self.request.only.is_none_or(|only| only == *log)
    }

    fn log(&mut self, id: LogId) -> &mut LogTree {
        self.logs.entry(id).or_insert_with(|| LogTree::new(id))
    }

    fn read_heads(&mut self, signer: Option<&Arc<dyn Store>>) {
        let mut texts: BTreeMap<LogId, Vec<(u64, Arc<str>, Source)>> = BTreeMap::new();
        let mut folder_keys: BTreeMap<LogId, Vec<StoredKey>> = BTreeMap::new();
        let mut newest: BTreeMap<LogId, u64> = BTreeMap::new();
        for (kind, source) in [(ARCHIVE_JOURNAL, Source::Kept), (NEWEST_JOURNAL, Source::Passed)] {
            self.read_journal(&self.store.clone(), &kind, &mut |count, payload| {
                let Some(records) = checkpoints::decode_records(count, payload) else { return false };
                for (_, record) in records {
                    match record.kind {
                        RecordKind::Key => {
                            add_key(folder_keys.entry(record.log).or_default(), record.size, record.text);
                        }
                        // The log's own last entry says it too.
                        RecordKind::Closed => {}
                        RecordKind::Checkpoint => {
                            newest.insert(record.log, record.size);
                            texts.entry(record.log).or_default().push((record.size, record.text, source));
                        }
                    }
                }
                true
            });
        }
        for (log, kept) in texts {
            if self.wanted(&log) {
                self.take_checkpoints(log, kept, newest[&log]);
            }
        }
        self.take_remembered();
        self.read_retention();
        for (id, log) in &mut self.logs {
            let origin = signer::origin(&self.audit_host, id);
            (log.keys, log.key) = keys_of(self.request, &origin, folder_keys.get(id));
            log.origin = origin;
        }
        if let Some(signer) = signer {
            let mut records = BTreeMap::new();
            self.read_journal(signer, &SIGNER_JOURNAL, &mut |count, payload| {
                let decoded = signer::decode_records(count, payload);
                decoded.map(|decoded| records.extend(decoded)).is_some()
            });
            for (log, signed) in records {
                if self.wanted(&log) {
                    self.log(log).expect_signed(signed.size, signed.root);
                }
            }
        }
        // Damage to a record of a checkpoint is damage to something of its log, but which one cannot be told from it.
        self.entries_expected = newest.iter().filter(|(log, _)| self.wanted(log)).map(|(_, size)| *size).sum();
    }

    /// How far logs were pruned, and what is kept of their old checkpoints.
    fn read_retention(&mut self) {
        let file = match self.store.open_read(RETENTION_JOURNAL.path) {
            Ok(file) => file,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return,
            Err(err) => return self.report.undecided.push(format!("open {}: {err}", RETENTION_JOURNAL.path)),
        };
        let mut damage = Vec::new();
        match retention::read(&*file, &mut |what| damage.push(what)) {
            Ok(found) => {
                for (log, (minimum, nodes)) in found {
                    if self.wanted(&log) {
                        self.log(log).prune_to(minimum, nodes);
                    }
                    self.minimums.insert(log, minimum);
                }
            }
            Err(err) if err.kind() == std::io::ErrorKind::InvalidData => damage.push(err.to_string()),
            Err(err) => self.report.undecided.push(format!("read {}: {err}", RETENTION_JOURNAL.path)),
        }
        for what in damage {
            self.damaged(RETENTION_JOURNAL.path, what, None);
        }
    }

    fn read_journal(&mut self, store: &Arc<dyn Store>, kind: &JournalKind, take: &mut dyn FnMut(u32, &[u8]) -> bool) {
        let file = match store.open_read(kind.path) {
            Ok(file) => file,
            Err(err) => return self.report.undecided.push(format!("open {}: {err}", kind.path)),
        };
        let mut malformed = false;
        let scanned = journal::read(kind, &*file, |frame, payload| malformed |= !take(frame.header.count, &payload));
        self.report.bytes_expected += file.len().unwrap_or(0);
        self.report.bytes_read += file.len().unwrap_or(0);
        if malformed {
            self.damaged(kind.path, "a record is of another shape", None);
        }
        match scanned {
            Ok(Scan { damage, tail, .. }) => {
                for damage in damage {
                    self.damaged(kind.path, format!("at byte {}: {}", damage.offset, damage.what), None);
                }
                if let Tail::Torn(at) = tail {
                    self.report.notes.push(format!("{} at byte {at}: an append that was cut short", kind.path));
                }
            }
            Err(err) if err.kind() == std::io::ErrorKind::InvalidData => self.damaged(kind.path, err.to_string(), None),
            Err(err) => self.report.undecided.push(format!("read {}: {err}", kind.path)),
        }
    }

    /// Enters the checkpoints of a log. Whether their signatures hold is decided at the end, when the log's own key notes
    /// have been read.
    fn take_checkpoints(&mut self, id: LogId, kept: Vec<(u64, Arc<str>, Source)>, newest_size: u64) {
        let origin = signer::origin(&self.audit_host, &id);
        let log = self.log(id);
        for (size, text, source) in kept {
            let source = if size == newest_size { Source::Newest } else { source };
            match unverified(&text) {
                Some(claimed) if claimed.size == size && claimed.origin == origin => {
                    log.expect_checkpoint(claimed.size, claimed.root, source, text);
                }
                Some(_) => log.diverge(
                    None,
                    Reason::SignatureInvalid,
                    format!("a checkpoint is filed under this log and size {size}, and is of another"),
                ),
                None => {
                    let detail = format!("the stored checkpoint of size {size} is no checkpoint");
                    log.diverge(None, Reason::SignatureInvalid, detail);
                }
            }
        }
    }

    fn take_remembered(&mut self) {
        for text in &self.request.since {
            let Some(Checkpoint { origin, size, root }) = unverified(text) else {
                self.report.undecided.push("a remembered checkpoint is no checkpoint".into());
                continue;
            };
            let prefix = format!("{}/l/", self.audit_host);
            let Some(id) = origin.strip_prefix(&prefix).and_then(|id| id.parse::<LogId>().ok()) else {
                self.report
                    .undecided
                    .push(format!("the remembered checkpoint of {origin} is of no log of this folder"));
                continue;
            };
            if self.wanted(&id) {
                self.log(id).expect_checkpoint(size, root, Source::Remembered, text.as_str().into());
            }
        }
    }

    fn list_files(&mut self) -> Result<Vec<Job>> {
        let list = |dir: &str| self.store.list(dir).map_err(|err| Error::io("list", dir, &err));
        // Commit files first: one that is sealed meanwhile is then found as a segment.
        let commits: BTreeSet<u64> = list("commit")?.iter().filter_map(|name| number_of(name, "commit")).collect();
        let mut segments = BTreeSet::new();
        let mut notes = Vec::new();
        for name in list("segment")? {
            match number_of(&name, "bodies").or_else(|| number_of(&name, "leaves")) {
                Some(number) => drop(segments.insert(number)),
                None => notes.push(format!("segment/{name} is left over")),
            }
        }
        for name in list("checkpoint")? {
            if name.contains(".damaged-") {
                let what = "checkpoints were found damaged and put aside when the folder was opened";
                self.report.files.push(FileDamage {
                    path: format!("checkpoint/{name}"),
                    what: what.into(),
                    first: None,
                });
            }
        }
        self.report.notes.extend(notes);
        let last_commit = commits.last().copied();
        let numbers: BTreeSet<u64> = commits.union(&segments).copied().collect();
        let jobs = numbers.into_iter().map(|number| {
            // Where both are there, sealing was interrupted: the commit file is the older truth.
            if commits.contains(&number) {
                Job::Commit { number, is_last: Some(number) == last_commit }
            } else {
                Job::Segment { number }
            }
        });
        Ok(jobs.collect())
    }

    /// Reads files on all cores, and takes what they hold in order.
    fn read_files(&mut self, jobs: Vec<Job>, go_on: &dyn Fn(Progress) -> bool) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = if self.cores_max == 0 { cores } else { self.cores_max.min(cores) };
        // Without a pool of its own a worker uses that of the process, which has a thread for each core.
        let pool =
            (workers < cores).then(|| rayon::ThreadPoolBuilder::new().num_threads(workers).build().ok()).flatten();
        let pool = pool.as_ref();
        let (store, minimums) = (self.store, self.minimums.clone());
        let bytes_read = AtomicU64::new(self.report.bytes_read);
        let expected: u64 = jobs.iter().map(|job| files::file_bytes(&**store, job)).sum();
        self.report.bytes_expected += expected;
        std::thread::scope(|scope| {
            let (job_in, job_out) = unbounded::<(usize, Job)>();
            // At most so many results wait: each holds the hashes of a whole file.
            let (tokens_in, tokens_out) = bounded::<()>(workers * 2);
            let (found_in, found_out) = unbounded::<(usize, FileFindings)>();
            for _ in 0..workers {
                let (job_out, found_in) = (job_out.clone(), found_in.clone());
                let (bytes_read, minimums) = (&bytes_read, &minimums);
                scope.spawn(move || {
                    for (position, job) in job_out {
                        let read = || files::read_file(&**store, &job, minimums, bytes_read);
                        let findings = pool.map_or_else(read, |pool| pool.install(read));
                        if found_in.send((position, findings)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(found_in);
            let mut waiting: BTreeMap<usize, FileFindings> = BTreeMap::new();
            let mut next_out = 0;
            let mut jobs_left = jobs.into_iter().enumerate();
            let mut open_jobs = Some(job_in);
            loop {
                while tokens_in.try_send(()).is_ok() {
                    match (jobs_left.next(), &open_jobs) {
                        (Some(job), Some(job_in)) => job_in.send(job).expect("workers run until the jobs end"),
                        _ => {
                            open_jobs = None;
                            break;
                        }
                    }
                }
                let Ok((position, findings)) = found_out.recv() else { break };
                waiting.insert(position, findings);
                while let Some(findings) = waiting.remove(&next_out) {
                    self.take_findings(findings);
                    next_out += 1;
                    let _ = tokens_out.try_recv();
                }
                let goes_on = go_on(Progress {
                    entries_read: self.logs.values().map(|log| log.entries_read).sum(),
                    entries_expected: self.entries_expected,
                    bytes_read: bytes_read.load(Ordering::Relaxed),
                    bytes_expected: self.report.bytes_expected,
                });
                if !goes_on && open_jobs.take().is_some() {
                    self.report.undecided.push("the verification was stopped before its end".into());
                }
            }
        });
        self.report.bytes_read = bytes_read.into_inner();
    }

    fn take_findings(&mut self, findings: FileFindings) {
        // Damage between records is named by what the file holds first of a log, or by what should come next.
        let held = findings.runs.first().map(|run| (run.log, run.first + 1));
        let missing = || self.logs.values().find(|log| log.is_short()).map(|log| (log.id, log.next_number()));
        let first = held.or_else(missing);
        for damage in findings.damage {
            self.damaged(&findings.path, damage, first);
        }
        self.report.undecided.extend(findings.undecided);
        self.report.notes.extend(findings.notes);
        for run in findings.runs {
            if self.wanted(&run.log) {
                self.log(run.log).take_run(run);
            }
        }
        // A last group that does not check is what a crash may leave, as long as no head needs it.
        let Some(bad_tail) = findings.bad_tail else { return };
        let needed = self.logs.values().find(|log| log.is_short()).map(|log| (log.id, log.next_number()));
        if needed.is_none() {
            return self.report.notes.push(format!("{} {bad_tail}: nothing signed is in it", findings.path));
        }
        self.damaged(&findings.path, bad_tail, needed);
        for run in findings.unchecked {
            if self.wanted(&run.log) {
                self.log(run.log).take_run(run);
            }
        }
    }

    fn finish(mut self) -> Report {
        for (id, mut tree) in std::mem::take(&mut self.logs) {
            if tree.origin.is_empty() {
                // A log that only files know of.
                tree.origin = signer::origin(&self.audit_host, &id);
            }
            let log = tree.finish(&mut self.report.undecided, &mut self.report.notes);
            if log.head.is_none() && log.divergence_count == 0 {
                self.report.undecided.push(format!("log {id} has no signed head"));
            }
            self.report.logs.push(log);
        }
        if let Some(only) = self.request.only.filter(|only| !self.report.logs.iter().any(|log| log.log == *only)) {
            self.report.undecided.push(format!("there is no log {only}"));
        }
        for key in &self.request.vkeys {
            if !self.report.logs.iter().any(|log| log.origin == key.name()) {
                self.report.undecided.push(format!("there is no log {}", key.name()));
            }
        }
        self.report
    }
}
