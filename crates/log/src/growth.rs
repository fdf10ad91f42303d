//! What was added to a tree since a head: enough to prove that a later head extends it, without reading anything.

use tlog::proof::{self, BuildError, NodeReader};
use tlog::{Frontier, Hash};

use crate::error::{Error, Result};
use crate::segment::TILE_BITS;

/// The perfect nodes completed since the tree had the size of `from`.
#[derive(Debug, Clone)]
pub(crate) struct Growth {
    from: Frontier,
    /// By level; what was completed at a level has consecutive indexes.
    levels: Vec<Level>,
}

#[derive(Debug, Clone, Default)]
struct Level {
    first: u64,
    nodes: Vec<Hash>,
}

impl Growth {
    /// Nothing added yet.
    pub(crate) fn at(frontier: &Frontier) -> Growth {
        Growth { from: frontier.clone(), levels: Vec::new() }
    }

    /// Adds leaves to a tree.
    pub(crate) fn of(frontier: &mut Frontier, leaves: &[Hash]) -> Growth {
        let mut growth = Growth::at(frontier);
        frontier.extend_with(leaves, &mut |level, index, node| {
            let level = usize::from(level);
            if growth.levels.len() <= level {
                growth.levels.push(Level { first: index, nodes: Vec::new() });
            }
            growth.levels[level].nodes.push(node);
        });
        growth
    }

    /// Adds what was added next.
    pub(crate) fn extend(&mut self, more: Growth) {
        for (level, theirs) in more.levels.into_iter().enumerate() {
            match self.levels.get_mut(level) {
                Some(mine) => mine.nodes.extend(theirs.nodes),
                None => self.levels.push(theirs),
            }
        }
    }

    /// The tile roots completed, from tile level 1 up.
    pub(crate) fn tiles(&self) -> Vec<Vec<Hash>> {
        let tile_levels = self.levels.iter().skip(TILE_BITS as usize).step_by(TILE_BITS as usize);
        tile_levels.map(|level| level.nodes.clone()).collect()
    }

    /// The proof that the tree as it is `now` extends the one this grew from.
    pub(crate) fn consistency(&self, now: &Frontier) -> Result<Vec<Hash>> {
        proof::consistency(self, self.from.size(), now.size()).map_err(|err| match err {
            BuildError::Read(what) => Error::corrupt(what),
            BuildError::OutOfRange(what) => Error::corrupt(what),
        })
    }
}

impl NodeReader for Growth {
    type Error = &'static str;

    fn node(&self, level: u8, index: u64) -> Result<Hash, &'static str> {
        if let Some(added) = self.levels.get(usize::from(level))
            && let Some(node) = index.checked_sub(added.first).and_then(|place| added.nodes.get(place as usize))
        {
            return Ok(*node);
        }
        // A proof takes from the old tree only its peaks.
        let size = self.from.size();
        let is_peak = level < 63 && size >> level & 1 == 1 && index == (size >> (level + 1)) << 1;
        if !is_peak {
            return Err("a proof asked for a node that is neither new nor a peak of the old tree");
        }
        let larger = (size >> (level + 1)).count_ones() as usize;
        Ok(self.from.hashes()[larger])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::proof::verify_consistency;

    #[test]
    fn every_growth_proves_itself() {
        let leaves: Vec<Hash> = (0..600_u32).map(|i| tlog::leaf_hash(&i.to_be_bytes())).collect();
        for old in (0..300).chain([511, 512, 513]) {
            let mut frontier = Frontier::new();
            frontier.extend(&leaves[..old]);
            let old_root = frontier.root();
            let mut growth = Growth::at(&frontier);
            let mut size = old;
            for step in [1, 3, 0, 200] {
                let end = (size + step).min(600);
                growth.extend(Growth::of(&mut frontier, &leaves[size..end]));
                size = end;
                let proof = growth.consistency(&frontier).unwrap();
                verify_consistency(old as u64, &old_root, size as u64, &frontier.root(), &proof).unwrap();
            }
        }
    }

    #[test]
    fn tile_roots_are_those_of_whole_tiles() {
        let leaves: Vec<Hash> = (0..700_u32).map(|i| tlog::leaf_hash(&i.to_be_bytes())).collect();
        let mut frontier = Frontier::new();
        frontier.extend(&leaves[..100]);
        let growth = Growth::of(&mut frontier, &leaves[100..]);
        let tiles = growth.tiles();
        assert_eq!(tiles, [vec![tlog::batch::reduce(&leaves[..256]), tlog::batch::reduce(&leaves[256..512])]]);
    }
}
