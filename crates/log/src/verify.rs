//! Judging records that were read (`specs/proofs.md` §9.1).
//!
//! Leaves are recomputed from the very bytes the caller holds, and compared with leaf hashes that hash up to the signed
//! head. A tile of 256 leaf hashes is hashed up once; then it is remembered, up to a limit of memory.

use std::collections::HashMap;
use std::sync::Arc;

use tlog::Hash;
use tlog::entry::Kind;
use tlog::proof::verify_inclusion;
use tlog::tile::WIDTH;

use crate::error::{Error, Result};
use crate::group::{self, Batch, Fields};
use crate::model::{BodyState, Head, Reason, Record, RecordState};
use crate::notes::ErasureNote;
use crate::shared::Shared;
use crate::state::LogSlot;
use crate::tiles::StoredTree;

impl Shared {
    /// One state per record, in order.
    pub(crate) fn verify_records(&self, slot: &LogSlot, records: &[Record]) -> Vec<RecordState> {
        let head = match slot.head() {
            Ok(head) => head,
            Err(err) => return records.iter().map(|_| RecordState::Unchecked(err.to_string().into())).collect(),
        };
        let fields: Vec<Fields<'_>> = records.iter().map(fields).collect();
        let leaves = group::leaves_of(&fields, &Batch);
        let mut tiles: HashMap<u64, Result<Arc<Vec<Hash>>>> = HashMap::new();
        let mut states = Vec::with_capacity(records.len());
        for (record, leaf) in records.iter().zip(leaves) {
            states.push(self.state_of(slot, &head, record, &leaf, &mut tiles));
        }
        states
    }

    fn state_of(
        &self,
        slot: &LogSlot,
        head: &Head,
        record: &Record,
        leaf: &Hash,
        tiles: &mut HashMap<u64, Result<Arc<Vec<Hash>>>>,
    ) -> RecordState {
        if record.index >= head.size {
            return RecordState::Unsealed;
        }
        if record.number != record.index + 1 {
            return RecordState::Tainted(Reason::IndexMismatch);
        }
        let tile = tiles
            .entry(record.index / WIDTH)
            .or_insert_with(|| self.authenticated_tile(slot, head, record.index / WIDTH));
        match tile {
            Ok(leaves) if leaves[(record.index % WIDTH) as usize] == *leaf => match record.state {
                BodyState::Present => RecordState::Verified,
                BodyState::Erased { note_index, .. } => {
                    self.state_of_erased(slot, head, record.number, note_index, tiles)
                }
            },
            Ok(_) => RecordState::Tainted(Reason::RecordChanged),
            Err(Error::Corrupt(_)) => RecordState::Tainted(Reason::TileChanged),
            Err(err) => RecordState::Unchecked(err.to_string().into()),
        }
    }

    /// What is erased must be so by a note that is itself in the log.
    fn state_of_erased(
        &self,
        slot: &LogSlot,
        head: &Head,
        number: u64,
        note_index: u64,
        tiles: &mut HashMap<u64, Result<Arc<Vec<Hash>>>>,
    ) -> RecordState {
        let unexplained = RecordState::Tainted(Reason::ErasureUnexplained);
        if note_index >= head.size {
            return unexplained;
        }
        let read = self.reading.records(slot, std::iter::once(note_index), 1);
        let note = match &read {
            Ok(records) => &records[0],
            Err(Error::Corrupt(_)) => return unexplained,
            Err(err) => return RecordState::Unchecked(err.to_string().into()),
        };
        let named =
            note.kind == Kind::ErasureNote && ErasureNote::decode(&note.body).is_some_and(|it| it.names(number));
        if !named {
            return unexplained;
        }
        let leaf = group::leaves_of(&[fields(note)], &Batch)[0];
        match self.state_of(slot, head, note, &leaf, tiles) {
            RecordState::Verified => RecordState::Erased,
            RecordState::Unchecked(why) => RecordState::Unchecked(why),
            _ => unexplained,
        }
    }

    /// The leaf hashes of a tile, hashed up to the head's root.
    ///
    /// # Errors
    /// `Corrupt` if they do not hash up to it, or are not there.
    pub(crate) fn authenticated_tile(&self, slot: &LogSlot, head: &Head, tile: u64) -> Result<Arc<Vec<Hash>>> {
        let first = tile * WIDTH;
        let width = WIDTH.min(head.size - first);
        let known = self.authenticated.get(&(slot.ordinal, tile));
        if let Some(known) = known.filter(|leaves| leaves.len() as u64 >= width) {
            return Ok(known);
        }
        let leaves = self.reading.hashes(slot, 0, first, first + width)?;
        // The inclusion path of the tile's first leaf, with every sibling inside the tile computed from these very leaf
        // hashes: if it ends at the signed root, then all of them are what was signed.
        let tree = StoredTree::new(&self.reading, slot, head.size).with_leaf_tile(tile, leaves.clone());
        let path = tree.inclusion(first, head.size)?;
        verify_inclusion(&leaves[0], first, head.size, &path, &head.root).map_err(|err| {
            Error::corrupt(format!(
                "log {}: stored hashes from number {} on do not hash up to the head: {err}",
                slot.id,
                first + 1
            ))
        })?;
        let leaves = Arc::new(leaves);
        self.authenticated.put((slot.ordinal, tile), Arc::clone(&leaves), 32 * leaves.len() + 64);
        Ok(leaves)
    }
}

fn fields(record: &Record) -> Fields<'_> {
    Fields {
        kind: record.kind,
        index: record.index,
        received_at_us: record.received_at_us,
        id: record.id,
        salt: &record.salt,
        body: &record.body,
        state: record.state,
    }
}
