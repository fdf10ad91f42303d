//! Organisations, accounts and tokens: entries of a log of their own, and the state they add up to.
//!
//! ```text
//! command ── decide on the state ──▶ append to the control log ──▶ read back what the log says ──▶ apply
//! ```
//!
//! Commands go one after another. The state is only ever what the log says: whether an append was answered, failed or was
//! abandoned, the next step is to read on from where the state stands. The log is like any other, hashed and signed, but
//! belongs to no organisation, so that no dialect can read it.

pub mod path;
pub mod record;
mod snapshot;
pub mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{LogId, Logs, NewEntry, RecordState};
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

use crate::error::{Error, Result};
use crate::model::AccountId;
use record::Record;
use state::State;

/// Bytes read at once while catching up.
const READ_BYTES: usize = 4 << 20;

/// Records after which a snapshot is written, so that a start reads at most about this many.
const SNAPSHOT_EVERY: u64 = 1_000;

/// Owner of the control state.
pub struct Control {
    logs: Logs,
    log: LogId,
    folded: RwLock<Folded>,
    /// Held from the decision of a command until its records are applied.
    commands: Arc<tokio::sync::Mutex<()>>,
    snapshots: Snapshots,
}

/// The state, and how much of the log is in it.
#[derive(Default)]
struct Folded {
    state: State,
    entries: u64,
}

/// Where snapshots are kept and what vouches for them.
pub struct Snapshots {
    /// The file.
    pub path: PathBuf,
    /// Authenticates the file: whoever can only write files must not be able to make accounts.
    pub key: [u8; 32],
}

impl Control {
    /// Reads the control log: from the snapshot on if there is a good one, else from the start.
    ///
    /// # Errors
    /// `Corrupt`: a record does not read, is not what was signed, or cannot follow what came before it.
    pub fn open(logs: Logs, log: LogId, snapshots: Snapshots) -> Result<Control> {
        let folded = match snapshot::read(&snapshots, &logs, log) {
            Ok(Some((state, entries))) => Folded { state, entries },
            Ok(None) => Folded::default(),
            Err(why) => {
                tracing::warn!(%why, "the control snapshot is not used; the control log is read from its start");
                Folded::default()
            }
        };
        let commands = Arc::new(tokio::sync::Mutex::new(()));
        let control = Control { logs, log, folded: RwLock::new(folded), commands, snapshots };
        control.catch_up()?;
        Ok(control)
    }

    /// The state now. Hold it briefly: commands wait for it.
    pub fn state(&self) -> MappedRwLockReadGuard<'_, State> {
        RwLockReadGuard::map(self.folded.read(), |folded| &folded.state)
    }

    /// The control log's id.
    pub fn log(&self) -> LogId {
        self.log
    }

    /// Decides on the state as it is, then makes the records durable and applies them, all or none.
    ///
    /// Goes on to the end when the future is dropped: the state never lags behind the log because a client went away.
    pub async fn execute<T, D>(self: &Arc<Self>, by: Option<AccountId>, decide: D) -> Result<T>
    where
        T: Send + 'static,
        D: FnOnce(&State) -> Result<(Vec<Record>, T)> + Send,
    {
        let turn = Arc::clone(&self.commands).lock_owned().await;
        let (records, answer) = decide(&self.state())?;
        if records.is_empty() {
            return Ok(answer);
        }
        let control = Arc::clone(self);
        let work = tokio::spawn(async move {
            let appended = control.logs.append(control.log, entries(by, records)).await;
            let caught_up = control.catch_up();
            drop(turn);
            appended?;
            caught_up
        });
        work.await.map_err(|e| Error::internal("a command stopped half-way").with_source(e))??;
        Ok(answer)
    }

    /// As [`Control::execute`], for `init`, where nobody else is there yet.
    pub fn execute_blocking(&self, records: Vec<Record>) -> Result<()> {
        self.logs.append_blocking(self.log, entries(None, records))?;
        self.catch_up()
    }

    /// Applies what the log has beyond the state.
    fn catch_up(&self) -> Result<()> {
        let size = self.logs.head(&self.log)?.size;
        let mut folded = self.folded.write();
        let before = folded.entries;
        while folded.entries < size {
            let records = self.logs.read(&self.log, folded.entries..size, READ_BYTES)?;
            if records.is_empty() {
                return Err(self.corrupt(folded.entries, "the record is missing"));
            }
            for (record, verdict) in records.iter().zip(self.logs.verify_records(&self.log, &records)) {
                if let RecordState::Tainted(reason) = verdict {
                    return Err(self.corrupt(record.index, reason.as_str()));
                }
                // Notes that the log writes about itself are no control records, nor are own events that had to go here
                // because the log they belong to is read-only; those begin with the version byte of an event's body.
                let is_control_record = record.kind == tlog::entry::Kind::Event && record.body.first() == Some(&b'{');
                if is_control_record {
                    let change = record::decode(&record.body).map_err(|why| self.corrupt(record.index, &why))?;
                    folded
                        .state
                        .apply(&change, record.received_at_us, record.number)
                        .map_err(|why| self.corrupt(record.index, &why.0))?;
                }
                folded.entries = record.index + 1;
            }
        }
        if before / SNAPSHOT_EVERY != folded.entries / SNAPSHOT_EVERY {
            drop(folded);
            self.write_snapshot();
        }
        Ok(())
    }

    fn corrupt(&self, index: u64, why: &str) -> Error {
        let detail = format!("entry {index} of control log {}: {why}; run `counterfoil fsck`", self.log);
        Error::corrupt("the control log cannot be trusted", detail)
    }

    /// Writes the snapshot. A failure only makes the next start slower, so it is logged and no more.
    pub fn write_snapshot(&self) {
        let folded = self.folded.read();
        let written = self
            .logs
            .root_at(&self.log, folded.entries)
            .map_err(|e| e.to_string())
            .and_then(|root| snapshot::write(&self.snapshots, self.log, folded.entries, root, &folded.state));
        if let Err(why) = written {
            tracing::warn!(%why, path = %self.snapshots.path.display(), "the control snapshot could not be written");
        }
    }
}

fn entries(by: Option<AccountId>, records: Vec<Record>) -> Vec<NewEntry> {
    records.into_iter().map(|record| NewEntry::event([0; 16], record::encode(by, record))).collect()
}

/// The snapshot's place in a data folder.
pub fn snapshot_path(data: &Path) -> PathBuf {
    data.join("state").join("control.snapshot")
}
