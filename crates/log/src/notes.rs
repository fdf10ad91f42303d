//! Notes: the few entries that a log writes about itself, as JSON that outsiders can read. What they say is acted on here,
//! and nowhere else in this crate is a body parsed.
//!
//! ```text
//! kind 4  {"log":"opened"}                              entry 0; of a log that begins under a later key epoch: + "key_epoch":2
//!                                                       of one that follows another: + "after":{"origin":…,"checkpoint":…,…}
//! kind 4  {"log":"pruned","minimum_index":1024,"reason":"…","by":"…"}
//! kind 4  {"log":"closed","reason":"…","by":"…"}        the last entry of a log
//! kind 2  {"erasure":"erased","numbers":[4,9],"ground":"…","ordered_by":"…","carried_out_by":"…"}
//! kind 3  {"key":"rotated","epoch":2,"old":"<vkey>","new":"<vkey>","reason":"…","by":"…","believed_size":17}
//! ```
//!
//! Members that are absent do not apply. A reader takes members it does not know for additions.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The reason of a key note that says the old key may be in other hands.
pub const COMPROMISED: &str = "compromised";

/// Longest reason or name of a person in a note, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 2_000;

/// The key epoch of a log whose first entry says nothing of it.
pub(crate) const FIRST_EPOCH: u32 = 1;

/// A note of a log about its own life: opened, pruned, closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogNote {
    /// What happened: `opened`, `pruned` or `closed`.
    pub log: String,
    /// Of entry 0: the key epoch the log begins under, if it is not 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_epoch: Option<u32>,
    /// Of entry 0 of a log that takes the place of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Predecessor>,
    /// With `pruned`: what is below this index is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_index: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// On whose order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The log that came before, as the first entry of its successor tells it (`specs/proofs.md` §5.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// Its origin.
    pub origin: String,
    /// Its last signed checkpoint (signed note), if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Numbers that are signed and lost: ranges, first and last inclusive, as clients saw them.
    pub missing: Vec<[u64; 2]>,
    /// The last number that clients saw of it, or of a log before it. They see the entry at index i of this log as number
    /// `last_number` + i + 1; the number that the entry itself holds counts within its log.
    #[serde(default)]
    pub last_number: u64,
    /// Why it is not continued.
    pub cause: String,
    /// Who decided so.
    pub by: String,
}

impl LogNote {
    /// The first entry of a log that signs with the keys of this epoch.
    pub(crate) fn opened(epoch: u32, after: Option<Predecessor>) -> LogNote {
        let key_epoch = Some(epoch).filter(|epoch| *epoch != FIRST_EPOCH);
        LogNote { log: "opened".into(), key_epoch, after, ..LogNote::default() }
    }

    pub(crate) fn pruned(minimum_index: u64, reason: &str, by: &str) -> Result<LogNote> {
        let minimum_index = Some(minimum_index);
        Ok(LogNote { log: "pruned".into(), minimum_index, ..LogNote::because(reason, by)? })
    }

    pub(crate) fn closed(reason: &str, by: &str) -> Result<LogNote> {
        Ok(LogNote { log: "closed".into(), ..LogNote::because(reason, by)? })
    }

    fn because(reason: &str, by: &str) -> Result<LogNote> {
        for (name, text) in [("reason", reason), ("person", by)] {
            if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
                return Err(Error::invalid(format!("the {name} is empty or longer than {TEXT_BYTES_MAX} bytes")));
            }
        }
        Ok(LogNote { reason: Some(reason.to_owned()), by: Some(by.to_owned()), ..LogNote::default() })
    }

    /// The log note that a body holds; none if it is none.
    pub fn decode(body: &[u8]) -> Option<LogNote> {
        serde_json::from_slice(body).ok()
    }

    /// Whether nothing may follow it.
    pub fn closes(&self) -> bool {
        self.log == "closed"
    }

    /// The epoch that a first entry names.
    pub(crate) fn epoch(body: &[u8]) -> u32 {
        LogNote::decode(body).and_then(|note| note.key_epoch).unwrap_or(FIRST_EPOCH)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

/// A key note: from the next size on the log signs with `new`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyNote {
    /// What happened: `rotated`.
    key: String,
    /// Key epoch of `new`.
    pub epoch: u32,
    /// The verifier key that signed until now (signed-note text).
    pub old: String,
    /// The verifier key that signs from now on.
    pub new: String,
    /// Why; [`COMPROMISED`] if the old key may be in other hands.
    pub reason: String,
    /// Who ordered it, as the caller named them.
    pub by: String,
    /// With [`COMPROMISED`]: heads of this size and below are to be believed under the old key, larger ones not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed_size: Option<u64>,
}

impl KeyNote {
    pub(crate) fn rotated(epoch: u32, old: &str, new: &str, why: &crate::Rotation, size: u64) -> KeyNote {
        let believed_size = (why.reason == COMPROMISED).then(|| why.believed_size.unwrap_or(size));
        let (old, new) = (old.to_owned(), new.to_owned());
        KeyNote {
            key: "rotated".into(),
            epoch,
            old,
            new,
            reason: why.reason.clone(),
            by: why.by.clone(),
            believed_size,
        }
    }

    /// The key note that a body holds; none if it is none that this program knows.
    pub fn decode(body: &[u8]) -> Option<KeyNote> {
        let note: KeyNote = serde_json::from_slice(body).ok()?;
        (note.key == "rotated").then_some(note)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

/// An erasure note: the bodies of these numbers are gone, on whose order. When it was ordered is the note's own time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureNote {
    /// What happened: `erased`.
    erasure: String,
    /// Numbers of the records, ascending.
    pub numbers: Vec<u64>,
    /// On what legal ground.
    pub ground: String,
    /// Who ordered it.
    pub ordered_by: String,
    /// Who carried it out.
    pub carried_out_by: String,
}

impl ErasureNote {
    pub(crate) fn new(numbers: Vec<u64>, order: &crate::Erasure) -> ErasureNote {
        ErasureNote {
            erasure: "erased".into(),
            numbers,
            ground: order.ground.clone(),
            ordered_by: order.ordered_by.clone(),
            carried_out_by: order.carried_out_by.clone(),
        }
    }

    /// The erasure note that a body holds; none if it is none that this program knows.
    pub fn decode(body: &[u8]) -> Option<ErasureNote> {
        let note: ErasureNote = serde_json::from_slice(body).ok()?;
        (note.erasure == "erased" && note.numbers.is_sorted()).then_some(note)
    }

    /// Whether it orders the erasure of this number.
    pub fn names(&self, number: u64) -> bool {
        self.numbers.binary_search(&number).is_ok()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

fn encode(note: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(note).expect("strings and numbers serialize, and writing to memory cannot fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_the_specification_is_that_of_the_first_epoch() {
        assert_eq!(LogNote::opened(FIRST_EPOCH, None).encode(), b"{\"log\":\"opened\"}");
        assert_eq!(LogNote::epoch(b"{\"log\":\"opened\"}"), 1);
        assert_eq!(LogNote::epoch(&LogNote::opened(3, None).encode()), 3);
    }

    #[test]
    fn a_key_note_reads_back_and_other_bodies_are_none() {
        let why = crate::Rotation { reason: COMPROMISED.into(), by: "ann".into(), believed_size: None };
        let note = KeyNote::rotated(2, "a+1", "b+2", &why, 17);
        assert_eq!(KeyNote::decode(&note.encode()), Some(note.clone()));
        assert_eq!(note.believed_size, Some(17));
        assert_eq!(KeyNote::decode(b"{\"key\":\"sold\"}"), None);
        assert_eq!(KeyNote::decode(b"\xff"), None);
    }
}
