//! A tree behind its published tiles: nodes for proofs, and whole tiles that lead to a signed root.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use tlog::proof::{self, BuildError, NodeReader};
use tlog::tile::{self, BundleId, TileId, WIDTH};
use tlog::{Hash, batch};

use super::files::Files;

/// Why something could not be shown by tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A tile is not there or could not be read: nobody can say.
    Missing(String),
    /// A tile is not what the signed root commits to.
    Changed(String),
}

/// The tree of `size` leaves as it lies in tiles.
pub struct Tiles<'a> {
    files: &'a dyn Files,
    size: u64,
    read: RefCell<HashMap<(u8, u64), Vec<Hash>>>,
}

impl<'a> Tiles<'a> {
    /// Nothing is read yet.
    pub fn new(files: &'a dyn Files, size: u64) -> Tiles<'a> {
        Tiles { files, size, read: RefCell::default() }
    }

    /// The consistency proof between two sizes, both at most this tree's, built from tiles and not yet believed.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, Fault> {
        proof::consistency(self, old, new).map_err(built)
    }

    /// Accepts if all hashes of the tiles at the right edge make up `root`: the last tile of each level.
    pub fn check_edge(&self, root: &Hash) -> Result<(), Fault> {
        let found = proof::root(self, self.size).map_err(built)?;
        if found == *root { Ok(()) } else { Err(Fault::Changed(format!("the tiles make {found}, signed is {root}"))) }
    }

    /// Accepts if the tile's hashes are those that the tile above holds the root of. Tiles that are not full lie at the right
    /// edge and are checked by [`Tiles::check_edge`].
    pub fn check_against_parent(&self, level: u8, index: u64) -> Result<(), Fault> {
        let width = TileId::at_size(level, index, self.size).map_or(0, |tile| u64::from(tile.width));
        if width < WIDTH {
            return Ok(());
        }
        let root = batch::reduce(&self.tile(level, index)?);
        let above = self.tile(level + 1, index / WIDTH)?;
        match above.get((index % WIDTH) as usize) {
            Some(hash) if *hash == root => Ok(()),
            _ => Err(Fault::Changed(format!("tile {level}/{index} is not the one that the tile above it holds"))),
        }
    }

    /// The hashes of a tile, as many as the tree has there.
    pub fn tile(&self, level: u8, index: u64) -> Result<Vec<Hash>, Fault> {
        if let Some(hashes) = self.read.borrow().get(&(level, index)) {
            return Ok(hashes.clone());
        }
        let Some(id) = TileId::at_size(level, index, self.size) else {
            return Err(Fault::Missing(format!("the tree has no tile {level}/{index}")));
        };
        let bytes = self.files.need(&id.to_string()).map_err(Fault::Missing)?;
        let hashes = tile::decode_hashes(&bytes, id.width).map_err(|error| Fault::Changed(format!("{id}: {error}")))?;
        self.read.borrow_mut().insert((level, index), hashes.clone());
        Ok(hashes)
    }
}

impl NodeReader for Tiles<'_> {
    type Error = Fault;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Fault> {
        let location = tile::locate(level, index);
        let hashes = self.tile(location.tile_level, location.tile_index)?;
        tile::node(&hashes, &location).map_err(|error| Fault::Missing(error.to_string()))
    }
}

fn built(error: BuildError<Fault>) -> Fault {
    match error {
        BuildError::Read(fault) => fault,
        BuildError::OutOfRange(what) => Fault::Missing(what.to_owned()),
    }
}

/// The tiles that lead from these leaves to the root of `size`: theirs, those above, and the right edge.
pub fn needed(indexes: impl IntoIterator<Item = u64>, size: u64) -> (BTreeSet<TileId>, BTreeSet<BundleId>) {
    let (mut tiles, mut bundles) = (BTreeSet::new(), BTreeSet::new());
    let mut add = |level: u8, index: u64| tiles.extend(TileId::at_size(level, index, size));
    for level in 0..tile::LEVELS {
        // The last tile of a level is part of the edge if it is not full; a full one hangs below the level above.
        let hashes = size >> (tile::HEIGHT * level);
        if !hashes.is_multiple_of(WIDTH) {
            add(level, hashes / WIDTH);
        }
    }
    for index in indexes {
        bundles.extend(BundleId::at_size(index / WIDTH, size));
        let mut at = index;
        for level in 0..tile::LEVELS {
            at /= WIDTH;
            add(level, at);
        }
    }
    (tiles, bundles)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tlog::Frontier;

    use super::super::files::Held;
    use super::*;

    fn publish(size: u64) -> (Held, Hash) {
        let mut rows: Vec<Vec<Hash>> = vec![Vec::new(); 64];
        let mut frontier = Frontier::new();
        for index in 0..size {
            frontier.push_with(tlog::leaf_hash(&index.to_be_bytes()), &mut |level, _, hash| {
                rows[usize::from(level)].push(hash)
            });
        }
        let mut files = BTreeMap::new();
        for level in 0..3u8 {
            for (index, hashes) in rows[usize::from(8 * level)].chunks(256).enumerate() {
                let id = TileId { level, index: index as u64, width: hashes.len() as u16 };
                files.insert(id.to_string(), tile::encode_hashes(hashes));
            }
        }
        (Held(files), frontier.root())
    }

    #[test]
    fn the_needed_tiles_and_no_others_lead_to_the_root_and_every_bit_of_them_counts() {
        for size in [1, 5, 255, 256, 257, 600, 65_535, 65_536, 65_537, 66_000] {
            let (published, root) = publish(size);
            for index in [0, size / 2, size - 1] {
                let (tiles, bundles) = needed([index], size);
                assert_eq!(bundles.len(), 1);
                let few: BTreeMap<_, _> =
                    tiles.iter().map(|tile| (tile.to_string(), published.0[&tile.to_string()].clone())).collect();
                let check = |files: &Held| {
                    let tree = Tiles::new(files, size);
                    tree.check_edge(&root)?;
                    tiles.iter().try_for_each(|tile| tree.check_against_parent(tile.level, tile.index))
                };
                let held = Held(few);
                assert_eq!(check(&held), Ok(()), "leaf {index} of {size}");
                for (path, bytes) in &held.0 {
                    for at in (0..bytes.len()).step_by(bytes.len() / 7 + 1) {
                        let mut changed = Held(held.0.clone());
                        changed.0.get_mut(path).expect("it is there")[at] ^= 1;
                        assert!(
                            matches!(check(&changed), Err(Fault::Changed(_))),
                            "{path} at {at}, leaf {index} of {size}"
                        );
                    }
                    let mut without = Held(held.0.clone());
                    without.0.remove(path);
                    assert!(matches!(check(&without), Err(Fault::Missing(_))), "{path}, leaf {index} of {size}");
                }
            }
        }
    }
}
