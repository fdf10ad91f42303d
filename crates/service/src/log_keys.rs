//! Keys of logs: which sign, and replacing them (`specs/proofs.md` §4.2). Not to be confused with the encryption keys of
//! organisations (`keys.rs`).
//!
//! ```text
//! DATA/keys/instance.seed       key epoch 1
//! DATA/keys/instance.2.seed     key epoch 2, made when a key was first replaced; and so on
//! ```

use log::Rotation;

use crate::access::{Principal, Verb};
use crate::error::{Error, Result};
use crate::folder;
use crate::model::OrgId;
use crate::service::Service;

/// A key of an organisation's log, for whoever checks its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKeyInfo {
    /// The verifier key (C2SP signed-note text).
    pub vkey: String,
    /// Key epoch of the instance.
    pub epoch: u32,
    /// Size of the first head it may sign.
    pub first_size: u64,
    /// Size of the last head it signs; `None` while it still signs.
    pub last_size: Option<u64>,
    /// Size of the kept checkpoint that covers the key note by which it came, signed by the key before too; `None` for the
    /// first key.
    pub introduced_size: Option<u64>,
    /// Why it was replaced, if it was.
    pub reason: Option<String>,
    /// Of a compromised key: heads above this size are not to be believed under it.
    pub believed_size: Option<u64>,
}

/// A key that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotatedKey {
    /// Number of the key note.
    pub number: u64,
    /// Size of the head that covers it, signed by both keys and kept for ever.
    pub tree_size: u64,
    /// The key that signs from now on.
    pub vkey: String,
}

impl Service {
    /// The keys of a log, oldest first.
    pub fn log_keys(&self, who: &Principal, log: log::LogId) -> Result<Vec<LogKeyInfo>> {
        self.owner(who, log)?;
        let keys = self.logs().keys(&log)?;
        Ok(keys
            .into_iter()
            .map(|published| LogKeyInfo {
                vkey: published.key.vkey.to_string(),
                epoch: published.key.epoch,
                first_size: published.key.first_size,
                last_size: published.last_size,
                introduced_size: published.introduced_size,
                reason: published.key.replaced.as_ref().map(|replaced| replaced.reason.clone()),
                believed_size: published.key.replaced.as_ref().and_then(|replaced| replaced.believed_size),
            })
            .collect())
    }

    /// Replaces the key of the organisation's log: by that of the newest instance seed, or of a new one if it signs with the
    /// newest already. For 90 days both keys sign; with the reason `compromised` the old one ends at once, and heads above
    /// `believed_size` (default: the size now) are declared not to be believed under it. The control log follows to the
    /// same seed. A new seed is on disk before it is used: back it up.
    ///
    /// # Errors
    /// `Invalid`: no reason, or a believed size beyond the log. `Corrupt`: the log takes no more entries.
    pub async fn rotate_log_key(
        &self,
        who: &Principal,
        org: OrgId,
        reason: &str,
        believed_size: Option<u64>,
    ) -> Result<RotatedKey> {
        self.allow(who, Verb::ManageLogs, org)?;
        let log = self.log_of(org)?;
        let why = Rotation { reason: reason.to_owned(), by: who.name.clone(), believed_size };
        let service = self.clone();
        let rotated = tokio::task::spawn_blocking(move || service.rotate_blocking(log, &why));
        rotated.await.map_err(|e| Error::internal("a key was not replaced").with_source(e))?
    }

    fn rotate_blocking(&self, log: log::LogId, why: &Rotation) -> Result<RotatedKey> {
        let logs = self.logs();
        let _one_at_a_time = self.seed_files().lock();
        let epoch_of = |log| -> Result<u32> { Ok(logs.keys(log)?.last().map_or(0, |published| published.key.epoch)) };
        // What can be refused is refused before a seed is made.
        if why.reason.trim().is_empty() {
            return Err(Error::invalid("say why the key is replaced"));
        }
        if let log::LogState::ReadOnly { reason, detail } = logs.state(&log)? {
            return Err(log::Error::ReadOnly { reason, detail }.into());
        }
        if epoch_of(&log)? >= logs.newest_key_epoch() {
            let epoch = logs.newest_key_epoch() + 1;
            let seed = folder::new_seed(self.data(), epoch, self.entropy())?;
            logs.add_instance_seed(epoch, seed);
            tracing::warn!(epoch, "a new instance seed was made; back up the folder of keys");
        }
        let control = self.control().log();
        if control != log && epoch_of(&control)? < logs.newest_key_epoch() {
            logs.rotate_key(&control, &Rotation { believed_size: None, ..why.clone() }).map_err(refused)?;
        }
        let note = logs.rotate_key(&log, why).map_err(refused)?;
        Ok(RotatedKey { number: note.number, tree_size: note.tree_size, vkey: logs.vkey(&log)? })
    }
}

/// What the log refuses here is the caller's to change.
pub(crate) fn refused(error: log::Error) -> Error {
    match &error {
        log::Error::Invalid(what) => Error::invalid(what.to_string()).with_source(error),
        log::Error::Conflict(what) => Error::conflict(what.to_string()).with_source(error),
        log::Error::NotFound(what) => Error::not_found(what.to_string()).with_source(error),
        _ => error.into(),
    }
}
