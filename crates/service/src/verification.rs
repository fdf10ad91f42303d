//! Verification of all logs as a whole, from their stored bytes up, on a schedule and when asked for (`specs/proofs.md` §9.2).
//!
//! It reads the files like an outsider would, beside the running server, with the keys that this process derives, at a
//! bounded rate and on one core. Its verdict is an event of each organisation; a bad one also shows in the status. What was
//! found last is kept in `DATA/state/verification.json`, which may be deleted: then the next run is due at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use log::fsck::{self, LogReport, Report};
use log::store::Store;
use log::store::embedded::FolderStore;
use log::{LogId, Reason};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tlog::note::VerifierKey;

use crate::access::Caller;
use crate::error::{Error, Result};
use crate::model::{Kind, OrgId, Outcome, time};
use crate::own_events;
use crate::service::Service;

/// How long the server runs before the first verification that is due at its start.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// How often the schedule is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// When logs are verified as a whole, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationOptions {
    /// Time from one run to the next; `None`: only when asked for.
    pub every: Option<Duration>,
    /// Bytes of files read in a second, at most.
    pub bytes_per_second: u64,
}

impl Default for VerificationOptions {
    /// Never by itself; 64 MiB a second when asked for.
    fn default() -> VerificationOptions {
        VerificationOptions { every: None, bytes_per_second: 64 << 20 }
    }
}

/// What the last verification of a whole log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastVerification {
    /// When it ended, in microseconds since 1970.
    pub at_us: u64,
    /// `verified`, `tainted` or `undecided`.
    pub verdict: String,
    /// Size of the signed head it went up to.
    pub size: u64,
    /// Records read.
    pub entries_read: u64,
    /// Records that the head promises, without pruned ones.
    pub entries_expected: u64,
    /// Bytes of files read in the run, of all logs.
    pub bytes_read: u64,
    /// Bytes there were to read.
    pub bytes_expected: u64,
    /// The first damaged number, if there is one.
    pub first_damaged: Option<u64>,
    /// Everything that is wrong, by reason, each once.
    pub reasons: Vec<String>,
    /// Those of them that concern the log as a whole, and so every answer from it.
    pub log_reasons: Vec<String>,
}

impl LastVerification {
    /// When it ended.
    pub fn at(&self) -> Timestamp {
        time::from_micros(self.at_us)
    }

    /// Whether all was as it was signed.
    pub fn is_good(&self) -> bool {
        self.verdict == "verified"
    }
}

/// What is remembered of verifications.
pub(crate) struct Verifications {
    path: PathBuf,
    last: Mutex<HashMap<String, LastVerification>>,
}

impl Verifications {
    /// Reads what was found last; a file that does not read counts as none.
    pub fn open(data: &Path) -> Verifications {
        let path = data.join("state").join("verification.json");
        let last = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, path = %path.display(), "what was verified last does not read; it is verified again");
                HashMap::new()
            }),
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(%error, path = %path.display(), "what was verified last cannot be read");
                }
                HashMap::new()
            }
        };
        Verifications { path, last: Mutex::new(last) }
    }

    /// What was found of a log last.
    pub fn last(&self, log: LogId) -> Option<LastVerification> {
        self.last.lock().get(&log.to_string()).cloned()
    }

    /// When the last run ended: the oldest verdict there is.
    fn last_run_us(&self) -> Option<u64> {
        self.last.lock().values().map(|last| last.at_us).min()
    }

    fn set(&self, found: HashMap<String, LastVerification>) {
        let mut last = self.last.lock();
        *last = found;
        let write = || -> std::io::Result<()> {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let tmp = self.path.with_extension("tmp");
            std::fs::write(&tmp, serde_json::to_vec(&*last)?)?;
            std::fs::rename(&tmp, &self.path)
        };
        if let Err(error) = write() {
            tracing::warn!(%error, path = %self.path.display(), "what was verified cannot be kept for the next start");
        }
    }
}

impl Service {
    /// Verifies all logs as a whole, records the verdict on each as an event, and remembers it. Takes as long as reading
    /// everything takes at the configured rate.
    ///
    /// # Errors
    /// `Conflict`: a run is under way. What is wrong with the logs is no error, but the answer.
    pub async fn verify_all_logs(&self) -> Result<Vec<(LogId, LastVerification)>> {
        let Ok(_running) = self.verification_turn().try_lock() else {
            return Err(Error::conflict("a verification is under way"));
        };
        let service = self.clone();
        let stopped = self.stopped();
        let report = tokio::task::spawn_blocking(move || service.verify_files(&stopped)).await;
        let report = report.map_err(|e| Error::internal("a verification stopped half-way").with_source(e))?;
        if *self.stopped().borrow() {
            return Err(Error::new(crate::ErrorKind::Unavailable, "the service is stopping"));
        }
        let found: Vec<(LogId, LastVerification)> =
            report.logs.iter().map(|log| (log.log, self.judged(&report, log))).collect();
        self.verifications().set(found.iter().map(|(log, last)| (log.to_string(), last.clone())).collect());
        for (log, last) in &found {
            self.record_verdict(*log, last).await;
        }
        Ok(found)
    }

    fn verify_files(&self, stopped: &tokio::sync::watch::Receiver<bool>) -> Report {
        let below = |name: &str| -> Arc<dyn Store> { Arc::new(FolderStore::new(self.data().join(name))) };
        let logs = self.logs();
        let keys = logs.ids().into_iter().filter_map(|log| logs.keys(&log).ok()?.into_iter().next());
        let vkeys: Vec<VerifierKey> = keys.filter_map(|published| published.key.vkey.parse().ok()).collect();
        let request = fsck::Request { vkeys, ..fsck::Request::default() };
        let (started, per_second) = (Instant::now(), self.verification_options().bytes_per_second.max(1));
        fsck::verify_folder_on(1, &below("log"), Some(&below("signer")), &request, &|progress| {
            let due = Duration::from_secs_f64(progress.bytes_read as f64 / per_second as f64);
            while started.elapsed() < due && !*stopped.borrow() {
                std::thread::sleep((due - started.elapsed().min(due)).min(Duration::from_millis(200)));
            }
            !*stopped.borrow()
        })
    }

    /// The verdict on one log. Damage to files that it shares with others counts for each of them.
    fn judged(&self, report: &Report, log: &LogReport) -> LastVerification {
        let mut reasons: Vec<String> = log.divergences.iter().map(|found| found.reason.to_string()).collect();
        let mut log_reasons: Vec<String> = log
            .divergences
            .iter()
            .filter(|found| concerns_all(found.reason))
            .map(|found| found.reason.to_string())
            .collect();
        if report.files.iter().any(|file| file.first.is_none_or(|(of, _)| of == log.log)) {
            reasons.push(Reason::FileDamaged.to_string());
        }
        for list in [&mut reasons, &mut log_reasons] {
            list.sort();
            list.dedup();
        }
        let unread = log.head.is_none() || log.entries_read != log.entries_expected;
        let verdict = match (reasons.is_empty(), unread || !report.undecided.is_empty()) {
            (false, _) => "tainted",
            (true, true) => "undecided",
            (true, false) => "verified",
        };
        LastVerification {
            at_us: self.now_us(),
            verdict: verdict.to_owned(),
            size: log.head.map_or(0, |(size, _)| size),
            entries_read: log.entries_read,
            entries_expected: log.entries_expected,
            bytes_read: report.bytes_read,
            bytes_expected: report.bytes_expected,
            first_damaged: log.divergences.iter().filter_map(|found| found.number).min(),
            reasons,
            log_reasons,
        }
    }

    async fn record_verdict(&self, log: LogId, last: &LastVerification) {
        let outcome = if last.is_good() { Outcome::Success } else { Outcome::Failure };
        let caller = Caller::internal();
        let mut draft = own_events::draft(own_events::LOG_VERIFIED, Kind::System, outcome, None, &caller);
        let found = json!({
            "log": log.to_string(),
            "verdict": last.verdict,
            "size": last.size,
            "entries_read": last.entries_read,
            "entries_expected": last.entries_expected,
            "bytes_read": last.bytes_read,
            "bytes_expected": last.bytes_expected,
            "first_damaged": last.first_damaged,
            "reasons": last.reasons,
        });
        if let serde_json::Value::Object(found) = found {
            draft.attributes.extend(found);
        }
        if !last.is_good() {
            tracing::error!(%log, verdict = last.verdict, reasons = ?last.reasons, "a log did not verify");
        }
        // A former log takes no entries: its verdict stands in the log that took its place.
        let to = self.control().state().org_by_log(log).map_or(self.control().log(), |org| org.log);
        self.own().now_or_count(to, None, None, &draft).await;
    }

    /// Verifies when it is due, until the service stops.
    pub(crate) async fn keep_verifying(weak: std::sync::Weak<crate::service::Inner>, every: Duration) {
        let started = Instant::now();
        loop {
            tokio::time::sleep(LOOK_EVERY.min(FIRST_AFTER).min(every)).await;
            let Some(service) = Service::upgrade(&weak) else { return };
            if *service.stopped().borrow() {
                return;
            }
            let last_us = service.verifications().last_run_us();
            let due = last_us.is_none_or(|last| u128::from(service.now_us().saturating_sub(last)) >= every.as_micros());
            if due
                && started.elapsed() >= FIRST_AFTER.min(every)
                && let Err(error) = service.verify_all_logs().await
            {
                tracing::warn!(?error, "the scheduled verification did not come to an end");
            }
        }
    }

    /// Logs whose last verification was not good and that nobody acknowledged, with the organisation.
    pub(crate) fn failed_verifications(&self) -> Vec<(Option<OrgId>, LogId, LastVerification)> {
        let state = self.control().state();
        let failed = self.logs().ids().into_iter().filter_map(|log| {
            let last = self.verifications().last(log).filter(|last| !last.is_good())?;
            let acknowledged = !last.reasons.is_empty() && state.acknowledges(log, &last.reasons);
            (!acknowledged).then(|| (state.org_by_log(log).map(|org| org.id), log, last))
        });
        failed.collect()
    }
}

/// Whether a reason taints every answer of a log (`specs/proofs.md` §10).
fn concerns_all(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Truncated | Reason::RolledBack | Reason::Forked | Reason::RootMismatch | Reason::SignatureInvalid
    )
}
