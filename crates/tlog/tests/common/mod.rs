//! What several test files share: a tree with all its nodes in memory, and repeatable randomness.
#![allow(dead_code, reason = "each test file uses its own part")]

use tlog::proof::NodeReader;
use tlog::tile::{self, TileId};
use tlog::{Frontier, Hash, leaf_hash};

/// A tree that keeps every perfect node, as reported by the frontier.
pub struct Tree {
    pub levels: Vec<Vec<Hash>>,
    /// Root at each size, from 0.
    pub roots: Vec<Hash>,
}

/// The bytes of entry `index`.
pub fn entry(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

impl Tree {
    pub fn new(size: u64) -> Tree {
        let mut levels: Vec<Vec<Hash>> = vec![Vec::new(); 64];
        let mut frontier = Frontier::new();
        let mut roots = vec![frontier.root()];
        for index in 0..size {
            frontier.push_with(leaf_hash(&entry(index)), &mut |level, index, hash| {
                let row = &mut levels[usize::from(level)];
                assert_eq!(row.len() as u64, index, "nodes are reported in order");
                row.push(hash);
            });
            roots.push(frontier.root());
        }
        Tree { levels, roots }
    }

    pub fn size(&self) -> u64 {
        self.levels[0].len() as u64
    }

    pub fn root(&self, size: u64) -> Hash {
        self.roots[size as usize]
    }

    pub fn leaf(&self, index: u64) -> Hash {
        self.levels[0][index as usize]
    }

    /// The bytes of a tile.
    pub fn tile(&self, id: TileId) -> Vec<u8> {
        let row = &self.levels[usize::from(id.level * tile::HEIGHT)];
        let first = (id.index * tile::WIDTH) as usize;
        tile::encode_hashes(&row[first..first + usize::from(id.width)])
    }
}

/// A node that no tree of this size should have been asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct NoSuchNode;

impl NodeReader for Tree {
    type Error = NoSuchNode;

    fn node(&self, level: u8, index: u64) -> Result<Hash, NoSuchNode> {
        self.levels.get(usize::from(level)).and_then(|row| row.get(index as usize)).copied().ok_or(NoSuchNode)
    }
}

/// SplitMix64: the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The hash with one of its 256 bits turned.
pub fn turn_bit(hash: &Hash, bit: u64) -> Hash {
    let mut bytes = hash.0;
    bytes[(bit / 8) as usize % 32] ^= 1 << (bit % 8);
    Hash(bytes)
}

/// Sizes at which tiles and levels begin: around every power of two up to 2^17 (and so of 256).
pub fn sizes_around_powers() -> Vec<u64> {
    let around = (9..=17u32).flat_map(|k| (1u64 << k) - 2..=(1 << k) + 2);
    around.filter(|size| *size > 600).collect()
}
