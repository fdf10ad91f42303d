//! The tree as stored: nodes, roots and proofs from leaf hashes and tile roots.

use std::cell::RefCell;
use std::collections::HashMap;

use tlog::proof::{self, BuildError, NodeReader};
use tlog::tile::{self, WIDTH};
use tlog::{Frontier, Hash};

use crate::error::{Error, Result};
use crate::state::{LogSlot, Reading};

/// Reads the nodes of one log at the end of which `leaves` are stored. Remembers the tiles it read, so it is for one
/// question, not for keeps.
pub(crate) struct StoredTree<'a> {
    reading: &'a Reading,
    slot: &'a LogSlot,
    leaves: u64,
    tiles: RefCell<HashMap<(u8, u64), Vec<Hash>>>,
}

impl<'a> StoredTree<'a> {
    /// `leaves`: how many leaves may be asked for.
    pub(crate) fn new(reading: &'a Reading, slot: &'a LogSlot, leaves: u64) -> StoredTree<'a> {
        StoredTree { reading, slot, leaves, tiles: RefCell::default() }
    }

    /// Uses these leaf hashes instead of the stored ones of the tile that they make up.
    pub(crate) fn with_leaf_tile(self, index: u64, leaves: Vec<Hash>) -> StoredTree<'a> {
        self.tiles.borrow_mut().insert((0, index), leaves);
        self
    }

    pub(crate) fn root(&self, size: u64) -> Result<Hash> {
        proof::root(self, size).map_err(refused)
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>> {
        proof::inclusion(self, index, size).map_err(refused)
    }

    pub(crate) fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        proof::consistency(self, old, new).map_err(refused)
    }

    /// The growing edge at a size.
    pub(crate) fn frontier(&self, size: u64) -> Result<Frontier> {
        let mut hashes = Vec::new();
        let mut start = 0;
        for level in (0..63_u8).rev().filter(|level| size >> level & 1 == 1) {
            hashes.push(self.node(level, start >> level)?);
            start += 1 << level;
        }
        Frontier::from_parts(size, &hashes).map_err(|err| Error::corrupt(err.to_string()))
    }

    /// The hashes of a tile, as many as there are.
    fn with_tile<T>(&self, level: u8, index: u64, use_: impl FnOnce(&[Hash]) -> Result<T>) -> Result<T> {
        if let Some(hashes) = self.tiles.borrow().get(&(level, index)) {
            return use_(hashes);
        }
        let stored = self.leaves >> (u32::from(tile::HEIGHT) * u32::from(level));
        let from = index * WIDTH;
        let hashes = self.reading.hashes(self.slot, u32::from(level), from, (from + WIDTH).min(stored).max(from))?;
        let answer = use_(&hashes);
        self.tiles.borrow_mut().insert((level, index), hashes);
        answer
    }
}

impl NodeReader for StoredTree<'_> {
    type Error = Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash> {
        let location = tile::locate(level, index);
        if location.tile_level == 0 && location.tile_index * WIDTH < self.reading.retention.minimum(&self.slot.id) {
            return self.reading.retention.node(&self.slot.id, level, index);
        }
        self.with_tile(location.tile_level, location.tile_index, |hashes| {
            tile::node(hashes, &location).map_err(|_| {
                Error::corrupt(format!("log {}: the node of level {level} at {index} is not stored", self.slot.id))
            })
        })
    }
}

fn refused(err: BuildError<Error>) -> Error {
    match err {
        BuildError::Read(err) => err,
        BuildError::OutOfRange(what) => Error::not_found(what),
    }
}
