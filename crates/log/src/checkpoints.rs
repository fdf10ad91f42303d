//! Signed checkpoints on disk: the newest of each log, the last of each past day, and each log's verifier key.
//!
//! ```text
//! record    1 kind: 1 checkpoint, 2 verifier key, 3 the log is closed · 16 log id · 8 size · 2 length of the text · text
//! ```
//!
//! A checkpoint's text is the signed note; a key's is the vkey, its size that from which on it signs. The file `newest`
//! is rewritten when it grows, with what is newest; the file `archive` only grows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frame::u64_at;
use crate::id::LogId;
use crate::journal::{Failure, Journal, JournalKind};
use crate::keys::LogKeys;
use crate::store::Store;

/// Newest checkpoints and keys.
pub(crate) const NEWEST_JOURNAL: JournalKind = JournalKind {
    dir: "checkpoint",
    path: "checkpoint/newest",
    tmp: "checkpoint/newest.tmp",
    file_magic: *b"cfcheckp",
    frame_magic: *b"cfCK",
};

/// The last checkpoint of each past day.
pub(crate) const ARCHIVE_JOURNAL: JournalKind = JournalKind {
    dir: "checkpoint",
    path: "checkpoint/archive",
    tmp: "checkpoint/archive.tmp",
    file_magic: *b"cfarchiv",
    frame_magic: *b"cfCK",
};

const KIND_CHECKPOINT: u8 = 1;
const KIND_KEY: u8 = 2;
const KIND_CLOSED: u8 = 3;
const RECORD_HEADER_BYTES: usize = 1 + 16 + 8 + 2;

const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;

/// What a record of a checkpoint file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A signed checkpoint of this size.
    Checkpoint,
    /// A verifier key that signs from this size on.
    Key,
    /// The log was closed by order at this size.
    Closed,
}

/// One record of a checkpoint file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub log: LogId,
    pub size: u64,
    pub text: Arc<str>,
    pub kind: RecordKind,
}

/// Reads the records of a payload with the offset of each text; none if it is malformed.
pub(crate) fn decode_records(count: u32, payload: &[u8]) -> Option<Vec<(usize, Stored)>> {
    let mut at = 0;
    let mut records = Vec::new();
    for _ in 0..count {
        let header = payload.get(at..at + RECORD_HEADER_BYTES)?;
        let text_at = at + RECORD_HEADER_BYTES;
        let end = text_at + usize::from(u16::from_be_bytes([header[25], header[26]]));
        let text = std::str::from_utf8(payload.get(text_at..end)?).ok()?;
        let kind = match header[0] {
            KIND_CHECKPOINT => RecordKind::Checkpoint,
            KIND_KEY => RecordKind::Key,
            KIND_CLOSED => RecordKind::Closed,
            _ => return None,
        };
        let log = LogId(header[1..17].try_into().expect("sixteen bytes"));
        records.push((text_at, Stored { log, size: u64_at(header, 17), text: text.into(), kind }));
        at = end;
    }
    (at == payload.len()).then_some(records)
}

fn encode_records<'a>(records: impl IntoIterator<Item = &'a Stored>) -> (u32, Vec<u8>) {
    let mut payload = Vec::new();
    let mut count = 0;
    for record in records {
        payload.push(match record.kind {
            RecordKind::Checkpoint => KIND_CHECKPOINT,
            RecordKind::Key => KIND_KEY,
            RecordKind::Closed => KIND_CLOSED,
        });
        payload.extend(record.log.0);
        payload.extend(record.size.to_be_bytes());
        let length = u16::try_from(record.text.len()).expect("notes of a few signatures and vkeys are short");
        payload.extend(length.to_be_bytes());
        payload.extend(record.text.as_bytes());
        count += 1;
    }
    (count, payload)
}

/// The checkpoints of all logs.
pub(crate) struct Checkpoints {
    newest_journal: Journal,
    archive_journal: Journal,
    newest: HashMap<LogId, Newest>,
    /// Verifier keys with the size from which on each signs, oldest first.
    keys: HashMap<LogId, Vec<StoredKey>>,
    /// Logs that were closed by order, and their last size.
    closed: HashMap<LogId, u64>,
    /// Where in the archive the text of a log's checkpoint of a size is, and how long it is.
    archived: BTreeMap<(LogId, u64), (u64, u16)>,
}

#[derive(Debug, Clone)]
struct Newest {
    size: u64,
    text: Arc<str>,
    /// Day of the last entry covered, in days since 1970; none until the log was read.
    day: Option<u64>,
}

/// A checkpoint to be stored.
pub(crate) struct NewCheckpoint {
    pub log: LogId,
    pub size: u64,
    pub text: Arc<str>,
    /// Time of receipt of the last entry covered.
    pub last_us: u64,
    /// The log's keys; those that are not stored yet are stored with it.
    pub keys: Arc<LogKeys>,
    /// It introduces a key, and is kept for whoever knows only the key before; or it is the last of its log.
    pub kept: bool,
    /// The log was closed by its last entry.
    pub closes: bool,
}

/// A verifier key, and the size from which on it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredKey {
    pub first_size: u64,
    pub vkey: Arc<str>,
}

/// Adds a key that was read, unless it is known.
pub(crate) fn add_key(keys: &mut Vec<StoredKey>, first_size: u64, vkey: Arc<str>) {
    if keys.iter().all(|known| known.vkey != vkey) {
        keys.push(StoredKey { first_size, vkey });
        keys.sort_by_key(|key| key.first_size);
    }
}

impl Checkpoints {
    /// Makes the empty files.
    pub(crate) fn create(store: &Arc<dyn Store>) -> Result<()> {
        Journal::create(store, ARCHIVE_JOURNAL)?;
        Journal::create(store, NEWEST_JOURNAL).map(drop)
    }

    /// Reads both files.
    pub(crate) fn open(store: &Arc<dyn Store>) -> Result<Checkpoints> {
        let mut newest: HashMap<LogId, Newest> = HashMap::new();
        let mut keys: HashMap<LogId, Vec<StoredKey>> = HashMap::new();
        let mut closed = HashMap::new();
        let mut malformed = None;
        let newest_journal = Journal::open(store, NEWEST_JOURNAL, |frame, payload| {
            match decode_records(frame.header.count, &payload) {
                Some(records) => {
                    for (_, record) in records {
                        match record.kind {
                            RecordKind::Key => {
                                add_key(keys.entry(record.log).or_default(), record.size, record.text);
                            }
                            RecordKind::Closed => drop(closed.insert(record.log, record.size)),
                            RecordKind::Checkpoint => {
                                newest.insert(record.log, Newest { size: record.size, text: record.text, day: None });
                            }
                        }
                    }
                }
                None => malformed = Some(NEWEST_JOURNAL.path),
            }
        })?;
        let mut archived = BTreeMap::new();
        let archive_journal = Journal::open(store, ARCHIVE_JOURNAL, |frame, payload| {
            match decode_records(frame.header.count, &payload) {
                Some(records) => archived.extend(records.into_iter().map(|(text_at, record)| {
                    let place = (frame.payload_offset() + text_at as u64, record.text.len() as u16);
                    ((record.log, record.size), place)
                })),
                None => malformed = Some(ARCHIVE_JOURNAL.path),
            }
        })?;
        if let Some(path) = malformed {
            return Err(Error::corrupt(format!("{path} holds a record of another shape")));
        }
        Ok(Checkpoints { newest_journal, archive_journal, newest, keys, closed, archived })
    }

    /// Every log that has a checkpoint.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &LogId> {
        self.newest.keys()
    }

    /// Whether the log was closed by order.
    pub(crate) fn is_closed(&self, log: &LogId) -> bool {
        self.closed.contains_key(log)
    }

    /// The log's keys as they are stored, oldest first.
    pub(crate) fn keys(&self, log: &LogId) -> &[StoredKey] {
        self.keys.get(log).map_or(&[], Vec::as_slice)
    }

    /// Sizes of all kept checkpoints of a log, ascending.
    pub(crate) fn sizes(&self, log: &LogId) -> Vec<u64> {
        let archived = self.archived.range((*log, 0)..=(*log, u64::MAX)).map(|((_, size), _)| *size);
        let mut sizes: Vec<u64> = archived.chain(self.newest.get(log).map(|newest| newest.size)).collect();
        sizes.dedup();
        sizes
    }

    /// Size of the first kept checkpoint that is larger than this.
    pub(crate) fn first_beyond(&self, log: &LogId, size: u64) -> Option<u64> {
        let archived = self.archived.range((*log, size + 1)..=(*log, u64::MAX)).next().map(|((_, size), _)| *size);
        archived.or_else(|| self.newest.get(log).map(|newest| newest.size).filter(|newest| *newest > size))
    }

    /// Size and text of the newest checkpoint.
    pub(crate) fn newest(&self, log: &LogId) -> Option<(u64, Arc<str>)> {
        self.newest.get(log).map(|newest| (newest.size, Arc::clone(&newest.text)))
    }

    /// The kept checkpoint of exactly this size.
    pub(crate) fn at_size(&self, log: &LogId, size: u64) -> Result<Option<Arc<str>>> {
        if let Some((_, text)) = self.newest(log).filter(|(newest, _)| *newest == size) {
            return Ok(Some(text));
        }
        let Some((at, length)) = self.archived.get(&(*log, size)) else {
            return Ok(None);
        };
        let mut bytes = vec![0; usize::from(*length)];
        let file = self.archive_journal.file();
        file.read_exact_at(&mut bytes, *at).map_err(|err| Error::io("read", ARCHIVE_JOURNAL.path, &err))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.into())),
            Err(_) => Err(Error::corrupt(format!("{} at byte {at} is no text", ARCHIVE_JOURNAL.path))),
        }
    }

    /// Stores checkpoints durably. A log's checkpoint of an earlier day is archived before it is replaced.
    pub(crate) fn store(&mut self, checkpoints: &[NewCheckpoint]) -> Result<(), Failure> {
        self.archive(checkpoints)?;
        let mut records = Vec::with_capacity(checkpoints.len());
        for new in checkpoints {
            let known = self.keys.get(&new.log).map_or(0, Vec::len);
            // Keys only ever come after those there are. The first one counts from the first head on.
            records.extend(new.keys.all().iter().skip(known).map(|key| Stored {
                log: new.log,
                size: key.first_size.max(1),
                text: Arc::clone(&key.vkey),
                kind: RecordKind::Key,
            }));
            records.push(Stored {
                log: new.log,
                size: new.size,
                text: Arc::clone(&new.text),
                kind: RecordKind::Checkpoint,
            });
            if new.closes {
                records.push(Stored { log: new.log, size: new.size, text: "".into(), kind: RecordKind::Closed });
            }
        }
        let (count, payload) = encode_records(&records);
        self.newest_journal.append(count, &payload)?;
        for record in records {
            match record.kind {
                RecordKind::Key => add_key(self.keys.entry(record.log).or_default(), record.size, record.text),
                RecordKind::Closed => drop(self.closed.insert(record.log, record.size)),
                RecordKind::Checkpoint => {}
            }
        }
        for new in checkpoints {
            let newest = Newest { size: new.size, text: Arc::clone(&new.text), day: Some(new.last_us / DAY_US) };
            self.newest.insert(new.log, newest);
        }
        if self.newest_journal.is_long() {
            self.rewrite().map_err(|error| Failure { error, final_: true })?;
        }
        Ok(())
    }

    /// Tells of which day a log's newest checkpoint is, once the log was read.
    pub(crate) fn set_day(&mut self, log: &LogId, last_us: u64) {
        if let Some(newest) = self.newest.get_mut(log) {
            newest.day = Some(last_us / DAY_US);
        }
    }

    fn archive(&mut self, checkpoints: &[NewCheckpoint]) -> Result<(), Failure> {
        let mut ended = Vec::new();
        for new in checkpoints {
            if new.kept && !self.archived.contains_key(&(new.log, new.size)) {
                ended.push(Stored {
                    log: new.log,
                    size: new.size,
                    text: Arc::clone(&new.text),
                    kind: RecordKind::Checkpoint,
                });
            }
            if let Some(old) = self.newest.get(&new.log) {
                let day_ended = old.day.is_some_and(|day| day < new.last_us / DAY_US) && old.size < new.size;
                if day_ended && !self.archived.contains_key(&(new.log, old.size)) {
                    ended.push(Stored {
                        log: new.log,
                        size: old.size,
                        text: Arc::clone(&old.text),
                        kind: RecordKind::Checkpoint,
                    });
                }
            }
        }
        if ended.is_empty() {
            return Ok(());
        }
        let (count, payload) = encode_records(&ended);
        let payload_at = self.archive_journal.append(count, &payload)?;
        let records = decode_records(count, &payload).expect("it was just encoded");
        for (text_at, record) in records {
            let place = (payload_at + text_at as u64, record.text.len() as u16);
            self.archived.insert((record.log, record.size), place);
        }
        Ok(())
    }

    fn rewrite(&mut self) -> Result<()> {
        let mut logs: Vec<(&LogId, &Newest)> = self.newest.iter().collect();
        logs.sort_by_key(|(log, _)| **log);
        let mut records = Vec::new();
        for (log, newest) in logs {
            records.extend(self.keys.get(log).into_iter().flatten().map(|key| Stored {
                log: *log,
                size: key.first_size,
                text: Arc::clone(&key.vkey),
                kind: RecordKind::Key,
            }));
            records.push(Stored {
                log: *log,
                size: newest.size,
                text: Arc::clone(&newest.text),
                kind: RecordKind::Checkpoint,
            });
            records.extend(self.closed.get(log).map(|size| Stored {
                log: *log,
                size: *size,
                text: "".into(),
                kind: RecordKind::Closed,
            }));
        }
        let (count, payload) = encode_records(&records);
        self.newest_journal.rewrite(&[(count, payload)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::{MemoryStore, Survival};

    const LOG: LogId = LogId([3; 16]);

    fn open(memory: &MemoryStore) -> Checkpoints {
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        Checkpoints::open(&store).unwrap()
    }

    fn new_checkpoint(size: u64, day: u64) -> NewCheckpoint {
        let text = format!("checkpoint of size {size}").into();
        let keys = Arc::new(LogKeys::first(1, "the+key".into()));
        NewCheckpoint { log: LOG, size, text, last_us: day * DAY_US + 5, keys, kept: false, closes: false }
    }

    #[test]
    fn the_newest_and_the_last_of_each_day_are_kept() {
        let memory = MemoryStore::new();
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        memory.create_dir("checkpoint").unwrap();
        Checkpoints::create(&store).unwrap();
        let mut checkpoints = open(&memory);
        for (size, day) in [(1, 10), (2, 10), (3, 11), (4, 12)] {
            checkpoints.store(&[new_checkpoint(size, day)]).unwrap();
        }
        for checkpoints in [checkpoints, open(&memory.crashed(Survival::Nothing))] {
            let kept = |size| checkpoints.at_size(&LOG, size).unwrap().map(|text| text.to_string());
            assert_eq!(kept(1), None);
            assert_eq!(kept(2).as_deref(), Some("checkpoint of size 2"));
            assert_eq!(kept(3).as_deref(), Some("checkpoint of size 3"));
            assert_eq!(kept(4).as_deref(), Some("checkpoint of size 4"));
            assert_eq!(checkpoints.keys(&LOG), [StoredKey { first_size: 1, vkey: "the+key".into() }]);
        }
    }

    #[test]
    fn rewriting_keeps_the_newest_and_the_keys() {
        let memory = MemoryStore::new();
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        memory.create_dir("checkpoint").unwrap();
        Checkpoints::create(&store).unwrap();
        let mut checkpoints = open(&memory);
        checkpoints
            .store(&[new_checkpoint(1, 1), NewCheckpoint { log: LogId([9; 16]), ..new_checkpoint(7, 1) }])
            .unwrap();
        checkpoints.rewrite().unwrap();
        let checkpoints = open(&memory);
        assert_eq!(checkpoints.newest(&LOG).unwrap().0, 1);
        assert_eq!(checkpoints.newest(&LogId([9; 16])).unwrap().0, 7);
        assert_eq!(checkpoints.keys.len(), 2);
    }
}
