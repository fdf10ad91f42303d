//! Reading records: from decompressed blocks of segments, and from commit files.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::group::{RECORD_HEADER_BYTES, RecordView};
use crate::model::{Body, BodyState, Record};
use crate::segment::Block;
use crate::state::{CommitFile, Location, LogSlot, Place, Reading};

/// Indexes looked up under one lock.
const LOOKUP_BATCH: usize = 1024;

/// Records of a commit file are read together if no more than this lies between them …
const GAP_BYTES_MAX: u64 = 16 << 10;

/// … and up to this much at once, unless one record is larger.
const SPAN_BYTES_MAX: u64 = 1 << 20;

impl Reading {
    /// Reads the records of these indexes, which must rise, until `bytes_max` bytes of bodies are read; at least one.
    ///
    /// # Errors
    /// `Corrupt` names the first one that cannot be read.
    pub(crate) fn records(
        &self,
        slot: &LogSlot,
        indexes: impl Iterator<Item = u64>,
        bytes_max: usize,
    ) -> Result<Vec<Record>> {
        let mut indexes = indexes.peekable();
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let mut block: Option<(u64, Arc<Block>)> = None;
        let minimum = self.retention.minimum(&slot.id);
        if let Some(pruned) = indexes.peek().filter(|index| **index < minimum) {
            return Err(Error::not_found(format!("log {}: number {} is pruned", slot.id, pruned + 1)));
        }
        while indexes.peek().is_some() {
            let located = locate(slot, indexes.by_ref().take(LOOKUP_BATCH))?;
            let mut at = 0;
            while at < located.len() {
                if bytes >= bytes_max && !records.is_empty() {
                    return Ok(records);
                }
                match &located[at] {
                    (index, Location::Sealed { segment, ordinal }) => {
                        let held = block.take().filter(|(of, held)| of == segment && holds(held, *ordinal));
                        let (_, held) = match held {
                            Some(held) => block.insert(held),
                            None => {
                                block.insert((*segment, self.block(*segment, *ordinal).map_err(named(slot, *index))?))
                            }
                        };
                        let record = from_block(held, *ordinal, *index).ok_or_else(|| {
                            named(slot, *index)(Error::corrupt(format!("segment {segment} has no entry {ordinal}")))
                        })?;
                        bytes += record.body.len();
                        records.push(record);
                        at += 1;
                    }
                    (index, Location::Tail { file, .. }) => {
                        let places = span(&located[at..], file, bytes_max.saturating_sub(bytes));
                        for record in from_commit_file(file, *index, &places).map_err(named(slot, *index))? {
                            bytes += record.body.len();
                            records.push(record);
                            at += 1;
                        }
                    }
                }
            }
        }
        Ok(records)
    }
}

fn locate(slot: &LogSlot, indexes: impl Iterator<Item = u64>) -> Result<Vec<(u64, Location)>> {
    let pieces = slot.pieces.read();
    indexes
        .map(|index| match pieces.locate(index) {
            Some(location) => Ok((index, location)),
            None if index < pieces.end() => Err(named(slot, index)(Error::corrupt("the record is missing"))),
            None => Err(Error::not_found(format!("log {} has no number {}", slot.id, index + 1))),
        })
        .collect()
}

/// Says in an error which record could not be read.
fn named(slot: &LogSlot, index: u64) -> impl Fn(Error) -> Error + '_ {
    move |err| match err {
        Error::Corrupt(what) => Error::corrupt(format!("log {} number {}: {what}", slot.id, index + 1)),
        other => other,
    }
}

fn holds(block: &Block, ordinal: u32) -> bool {
    (block.first_ordinal..block.first_ordinal + block.rows.len() as u32).contains(&ordinal)
}

fn from_block(block: &Block, ordinal: u32, index: u64) -> Option<Record> {
    let row = block.rows.get(ordinal.checked_sub(block.first_ordinal)? as usize)?;
    Some(Record {
        index,
        number: index + 1,
        received_at_us: row.received_at_us,
        kind: row.kind,
        id: row.id,
        salt: row.salt,
        body: Body::new(Arc::clone(&block.raw), row.body_at as usize, (row.body_at + row.body_bytes) as usize),
        state: row.state,
    })
}

/// The places at the start of `located` that are worth reading at once: consecutive indexes, close together in one file.
fn span(located: &[(u64, Location)], file: &Arc<CommitFile>, bytes_max: usize) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut bytes = 0;
    for (position, (index, location)) in located.iter().enumerate() {
        let Location::Tail { file: its_file, place } = location else { break };
        if !Arc::ptr_eq(its_file, file) || *index != located[0].0 + position as u64 {
            break;
        }
        if let (Some(first), Some(last)) = (places.first(), places.last()) {
            let far = u64::from(place.at) > end_of(last) + GAP_BYTES_MAX;
            if far || end_of(place) - u64::from(first.at) > SPAN_BYTES_MAX || bytes >= bytes_max {
                break;
            }
        }
        bytes += place.body_bytes as usize;
        places.push(*place);
    }
    places
}

fn end_of(place: &Place) -> u64 {
    u64::from(place.at) + RECORD_HEADER_BYTES as u64 + u64::from(place.body_bytes)
}

fn from_commit_file(file: &CommitFile, first_index: u64, places: &[Place]) -> Result<Vec<Record>> {
    let (start, end) = match (places.first(), places.last()) {
        (Some(first), Some(last)) => (u64::from(first.at), end_of(last)),
        _ => return Ok(Vec::new()),
    };
    let path = || commit_path(file.number);
    let mut bytes = vec![0; (end - start) as usize];
    file.file.read_exact_at(&mut bytes, start).map_err(|err| Error::io("read", &path(), &err))?;
    let bytes = Arc::new(bytes);
    let mut records = Vec::with_capacity(places.len());
    for (index, place) in (first_index..).zip(places) {
        let at = (u64::from(place.at) - start) as usize;
        let view = RecordView::decode(&bytes, at).filter(|view| view.body_bytes == place.body_bytes as usize);
        let view = view.ok_or_else(|| Error::corrupt(format!("no record in {} at byte {}", path(), place.at)))?;
        records.push(Record {
            index,
            number: index + 1,
            received_at_us: view.received_at_us,
            kind: view.kind,
            id: view.id,
            salt: view.salt,
            body: Body::new(Arc::clone(&bytes), view.body_at(), view.end()),
            state: BodyState::Present,
        });
    }
    Ok(records)
}

/// Path of a commit file.
pub(crate) fn commit_path(number: u64) -> String {
    format!("commit/{number:010}.commit")
}
