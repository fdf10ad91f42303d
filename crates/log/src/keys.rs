//! The keys of logs: which sign now, which signed until when (`specs/proofs.md` §4.2).
//!
//! ```text
//! size    0 ............... n (key note at index n) ............................... m
//! old     signs             signs all heads whose last entry came within 90 days     retired
//! new     -                 signs from size n + 1 on                                 signs
//! ```
//!
//! Which keys sign a head follows from the log alone (its key notes, and the time of the head's last entry), so it is the
//! same after any crash.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tlog::note::{SignerKey, VerifierKey, derive_log_seed};
use zeroize::Zeroizing;

use crate::id::LogId;
use crate::notes::{COMPROMISED, KeyNote};
use crate::options::InstanceSeed;
use crate::signer::origin;

/// How long the old key signs beside the new one.
pub const KEY_OVERLAP_US: u64 = 90 * 24 * 60 * 60 * 1_000_000;

/// Why a log's key is replaced, and on whose order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Why; [`COMPROMISED`] ends the old key at once instead of after 90 days.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// With `compromised`: heads up to this size are still to be believed under the old key; default: the size now.
    pub believed_size: Option<u64>,
}

/// One key of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// Key epoch of the instance: which seed it is derived from.
    pub epoch: u32,
    /// The verifier key (signed-note text).
    pub vkey: Arc<str>,
    /// Size of the first head it may sign.
    pub first_size: u64,
    /// Set by the key note that replaces it.
    pub replaced: Option<Replaced>,
}

/// How a key comes to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Index of the key note.
    pub note_index: u64,
    /// Heads whose last entry was received at this time or later it does not sign any more.
    pub ends_at_us: u64,
    /// Why it was replaced.
    pub reason: String,
    /// Heads above this size are not to be believed under it; only of a compromised key.
    pub believed_size: Option<u64>,
}

/// The keys of one log, oldest first; the last one is in use, and there always is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogKeys(Vec<LogKey>);

impl LogKeys {
    /// A log that never had another key.
    pub(crate) fn first(epoch: u32, vkey: Arc<str>) -> LogKeys {
        LogKeys(vec![LogKey { epoch, vkey, first_size: 0, replaced: None }])
    }

    pub(crate) fn all(&self) -> &[LogKey] {
        &self.0
    }

    /// The key in use.
    pub(crate) fn current(&self) -> &LogKey {
        self.0.last().expect("a log always has a key")
    }

    /// Enters a key note that is in the log at this place. One that is entered already changes nothing.
    pub(crate) fn enter(&mut self, note: &KeyNote, index: u64, received_at_us: u64) {
        let current = self.0.last_mut().expect("a log always has a key");
        if current.first_size > index || *current.vkey == *note.new {
            return;
        }
        let overlap_us = if note.reason == COMPROMISED { 0 } else { KEY_OVERLAP_US };
        current.replaced = Some(Replaced {
            note_index: index,
            ends_at_us: received_at_us.saturating_add(overlap_us),
            reason: note.reason.clone(),
            believed_size: note.believed_size,
        });
        let (epoch, vkey) = (note.epoch, Arc::from(note.new.as_str()));
        self.0.push(LogKey { epoch, vkey, first_size: index + 1, replaced: None });
    }

    /// Epochs of the keys that sign a head whose last entry came at this time, the current one first. `signed_size`: size
    /// of the last head that was signed before it; a head that is the first to cover a key note is signed by the old key
    /// in any case, for who knows only that one must learn of the new one.
    pub(crate) fn signing(&self, last_us: u64, signed_size: u64) -> Vec<u32> {
        let signs = |key: &&LogKey| match &key.replaced {
            None => true,
            Some(replaced) => last_us < replaced.ends_at_us || signed_size <= replaced.note_index,
        };
        self.0.iter().rev().filter(signs).map(|key| key.epoch).collect()
    }

    /// Whether a head beyond `signed_size` is the first to cover a key note.
    pub(crate) fn introduces_after(&self, signed_size: u64) -> bool {
        self.0.len() > 1 && self.current().first_size > signed_size
    }

    /// Every key, to check signatures by.
    pub(crate) fn verifiers(&self) -> Vec<VerifierKey> {
        self.0.iter().map(|key| key.vkey.parse().expect("our own keys are well-formed")).collect()
    }
}

/// The signing keys of all logs of one instance, derived when first used.
pub(crate) struct Keys {
    audit_host: String,
    seeds: RwLock<BTreeMap<u32, Zeroizing<[u8; 32]>>>,
    derived: Mutex<HashMap<(LogId, u32), Arc<SignerKey>>>,
}

impl Keys {
    pub(crate) fn new(audit_host: &str, seed: InstanceSeed) -> Keys {
        Keys { audit_host: audit_host.to_owned(), seeds: RwLock::new(seed.into_epochs()), derived: Mutex::default() }
    }

    /// The name that the log's keys have.
    pub(crate) fn origin(&self, log: &LogId) -> String {
        origin(&self.audit_host, log)
    }

    /// The newest epoch there is a seed of.
    pub(crate) fn newest_epoch(&self) -> u32 {
        *self.seeds.read().last_key_value().expect("there is a seed from the start").0
    }

    /// Adds the seed of an epoch; one that is known is left as it is.
    pub(crate) fn add_seed(&self, epoch: u32, seed: Zeroizing<[u8; 32]>) {
        self.seeds.write().entry(epoch).or_insert(seed);
    }

    /// The log's verifier key of an epoch as text; none without a seed of that epoch.
    pub(crate) fn vkey(&self, log: &LogId, epoch: u32) -> Option<Arc<str>> {
        self.key(log, epoch).map(|key| key.verifier().to_string().into())
    }

    /// The keys of a log that begins under this epoch.
    pub(crate) fn log_keys(&self, log: &LogId, epoch: u32) -> Option<LogKeys> {
        self.vkey(log, epoch).map(|vkey| LogKeys::first(epoch, vkey))
    }

    /// The epoch under which the log has this verifier key.
    pub(crate) fn epoch_of(&self, log: &LogId, vkey: &str) -> Option<u32> {
        let epochs: Vec<u32> = self.seeds.read().keys().copied().collect();
        epochs.into_iter().find(|epoch| self.vkey(log, *epoch).is_some_and(|known| *known == *vkey))
    }

    pub(crate) fn key(&self, log: &LogId, epoch: u32) -> Option<Arc<SignerKey>> {
        if let Some(key) = self.derived.lock().get(&(*log, epoch)) {
            return Some(Arc::clone(key));
        }
        let origin = self.origin(log);
        let log_seed = Zeroizing::new(derive_log_seed(self.seeds.read().get(&epoch)?, &origin, epoch));
        let key = SignerKey::from_seed(&origin, &log_seed);
        let key = Arc::new(key.expect("the audit host was checked to be fit for a key name"));
        self.derived.lock().insert((*log, epoch), Arc::clone(&key));
        Some(key)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE_US: u64 = 1_790_000_000_000_000;

    fn rotated(reason: &str) -> LogKeys {
        let mut keys = LogKeys::first(1, "old".into());
        let why = Rotation { reason: reason.into(), by: "ann".into(), believed_size: None };
        let note = KeyNote::rotated(2, "old", "new", &why, 9);
        keys.enter(&note, 9, NOTE_US);
        keys.enter(&note, 9, NOTE_US);
        assert_eq!(keys.all().len(), 2, "a note counts once");
        keys
    }

    #[test]
    fn both_keys_sign_for_ninety_days_and_then_the_new_one_alone() {
        let keys = rotated("yearly");
        assert_eq!(keys.current().first_size, 10);
        assert_eq!(keys.signing(NOTE_US, 9), [2, 1]);
        assert_eq!(keys.signing(NOTE_US + KEY_OVERLAP_US - 1, 50), [2, 1]);
        assert_eq!(keys.signing(NOTE_US + KEY_OVERLAP_US, 50), [2]);
        assert_eq!(
            keys.signing(NOTE_US + KEY_OVERLAP_US, 9),
            [2, 1],
            "the note itself is signed by both, however late"
        );
        assert!(keys.introduces_after(9) && !keys.introduces_after(10));
    }

    #[test]
    fn a_compromised_key_signs_its_own_end_and_nothing_after() {
        let keys = rotated(COMPROMISED);
        assert_eq!(keys.signing(NOTE_US, 9), [2, 1]);
        assert_eq!(keys.signing(NOTE_US, 10), [2]);
        let replaced = keys.all()[0].replaced.clone().unwrap();
        assert_eq!((replaced.believed_size, replaced.ends_at_us), (Some(9), NOTE_US));
    }
}
