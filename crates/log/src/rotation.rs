//! Replacing a log's key (`specs/proofs.md` §4.2), and telling which keys it had.

use tlog::entry::Kind;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::id::LogId;
use crate::keys::{LogKey, Rotation};
use crate::logs::Logs;
use crate::model::{Appended, NewEntry};
use crate::notes::{KeyNote, TEXT_BYTES_MAX};

/// One key of a log, for whoever checks its heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// The key and what is noted about it.
    pub key: LogKey,
    /// Size of the last head that it signs, or may have signed; none while it still signs.
    pub last_size: Option<u64>,
    /// Size of the kept checkpoint that covers the key note by which it came, and that the key before signed too; none for the
    /// first key.
    pub introduced_size: Option<u64>,
}

impl Logs {
    /// The newest key epoch there is an instance seed of.
    pub fn newest_key_epoch(&self) -> u32 {
        self.keys.newest_epoch()
    }

    /// Adds the instance seed of a key epoch, for logs that are rotated or opened from now on. It must be durable already:
    /// without it nothing can be signed that follows. An epoch that is known keeps its seed.
    pub fn add_instance_seed(&self, epoch: u32, seed: Zeroizing<[u8; 32]>) {
        self.keys.add_seed(epoch, seed);
    }

    /// Replaces the log's key by that of the newest epoch: appends a key note, and signs its head, and those of the next 90
    /// days, with both keys. Waits. The head that covers the note is kept for ever under its size.
    ///
    /// # Errors
    /// - `Conflict`: the log signs with the newest epoch already; add a seed first.
    /// - `Invalid`: the reason or the person is empty or too long, or the believed size is beyond the log.
    /// - As [`Logs::append`]; after `Unavailable` the note may be in, and calling again does no harm.
    pub fn rotate_key(&self, id: &LogId, why: &Rotation) -> Result<Appended> {
        for (name, text) in [("reason", &why.reason), ("person", &why.by)] {
            if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
                return Err(Error::invalid(format!("the {name} is empty or longer than {TEXT_BYTES_MAX} bytes")));
            }
        }
        let _noting = self.threads.noting.lock();
        let slot = self.shared.slot(id)?;
        slot.check_open()?;
        let size = slot.head()?.size;
        if why.believed_size.is_some_and(|believed| believed > size) {
            return Err(Error::invalid(format!("the log has {size} entries; none beyond can be believed")));
        }
        let (keys, epoch) = (slot.keys(), self.keys.newest_epoch());
        let current = keys.current();
        if current.epoch >= epoch {
            return Err(Error::conflict(format!("log {id} signs with the newest key epoch, {epoch}, already")));
        }
        let new = self.keys.vkey(id, epoch).expect("the newest epoch has a seed");
        let note = KeyNote::rotated(epoch, &current.vkey, &new, why, size);
        self.append_note(id, NewEntry { kind: Kind::KeyNote, id: [0; 16], body: note.encode() })
    }

    /// The keys of a log, oldest first. A key that signs no more has its last size, found by the times of receipt: costs a
    /// few reads for each.
    pub fn keys(&self, id: &LogId) -> Result<Vec<PublishedKey>> {
        let slot = self.shared.slot(id)?;
        let head = slot.head()?;
        let mut published = Vec::new();
        let mut introduced_size = None;
        for key in slot.keys().all() {
            let introducing = key.replaced.as_ref().and_then(|replaced| {
                let checkpoints = self.shared.checkpoints.lock();
                checkpoints.first_beyond(id, replaced.note_index)
            });
            let last_size = match &key.replaced {
                Some(replaced) if head.last_received_at_us >= replaced.ends_at_us => {
                    let by_time = self.entries_received_before(id, replaced.ends_at_us, head.size)?;
                    Some(by_time.max(introducing.unwrap_or(replaced.note_index + 1)))
                }
                _ => None,
            };
            published.push(PublishedKey { key: key.clone(), last_size, introduced_size });
            introduced_size = introducing;
        }
        Ok(published)
    }

    /// How many of the first `size` entries were received before this time, those that are pruned among them. Times never
    /// fall, so a few reads find out.
    pub fn entries_received_before(&self, id: &LogId, time_us: u64, size: u64) -> Result<u64> {
        let (mut low, mut high) = (self.minimum_index(id)?.min(size), size);
        while low < high {
            let middle = low + (high - low) / 2;
            let records = self.read(id, middle..middle + 1, 1)?;
            let record = records.first().ok_or_else(|| Error::corrupt(format!("log {id} has no index {middle}")))?;
            if record.received_at_us < time_us {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
