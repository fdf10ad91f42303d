//! Which segments are merged: only neighbours, so that every segment keeps holding one unbroken stretch of the order in
//! which documents were added, and the stretches of different segments never overlap.
//!
//! Sizes grow by levels: [`FAN`] neighbours of one level become one of the next, up to the cap. A document is so rewritten
//! about log₈(cap / 1,000) times in its life. A segment past half the cap is finished: it is left alone unless documents
//! were deleted from it.

use std::ops::Range;

/// Neighbours of one level that make a merge worth its cost.
pub(super) const FAN: usize = 8;

/// Segments below this size are of the lowest level.
const LEVEL_0_DOCUMENTS: u64 = 1_000 * FAN as u64;

/// What the plan needs to know of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Documents that a merge would keep.
    pub(super) alive: u32,
    /// Documents deleted, whose words are still in the files.
    pub(super) deleted: u32,
}

/// The next merge due among segments in order: a run of neighbours, or a single segment that holds deleted documents and
/// is rewritten without them. The result of a merge has at most `documents_max` documents.
pub(super) fn next(pieces: &[Piece], documents_max: u32) -> Option<Range<usize>> {
    let cap = u64::from(documents_max);
    let mut below = LEVEL_0_DOCUMENTS;
    loop {
        let mut start = 0;
        while start < pieces.len() {
            let mergeable = |piece: &&Piece| u64::from(piece.alive) < below && u64::from(piece.alive) <= cap / 2;
            let run = pieces[start..].iter().take_while(mergeable).count();
            if run >= FAN {
                return Some(start..start + fitting(&pieces[start..start + run], cap));
            }
            start += run.max(1);
        }
        if below > cap {
            break;
        }
        below *= FAN as u64;
    }
    let rewrite = pieces.iter().position(|piece| piece.deleted > 0)?;
    Some(rewrite..rewrite + 1)
}

/// How many from the front fit into the cap. All are at most half of it, so at least two do, and if not all of them
/// do, the result is past half the cap: finished.
fn fitting(run: &[Piece], cap: u64) -> usize {
    let mut total = 0;
    run.iter()
        .take_while(|piece| {
            total += u64::from(piece.alive);
            total <= cap
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(sizes: &[u32]) -> Vec<Piece> {
        sizes.iter().map(|&alive| Piece { alive, deleted: 0 }).collect()
    }

    #[test]
    fn fewer_than_the_fan_are_left_alone() {
        assert_eq!(next(&pieces(&[10; FAN - 1]), 1_000_000), None);
        assert_eq!(next(&[], 1_000_000), None);
    }

    #[test]
    fn a_run_of_the_lowest_level_goes_first_and_larger_neighbours_stay_out() {
        let mut sizes = vec![500_000, 90_000, 90_000];
        sizes.extend([100; FAN]);
        assert_eq!(next(&pieces(&sizes), 2_000_000), Some(3..3 + FAN));
    }

    #[test]
    fn small_segments_between_larger_ones_join_the_run_of_their_level() {
        let sizes = [20_000, 100, 20_000, 20_000, 100, 20_000, 20_000, 20_000];
        assert_eq!(next(&pieces(&sizes), 2_000_000), Some(0..8));
    }

    #[test]
    fn a_deleted_document_makes_its_segment_be_rewritten_alone_after_all_merges() {
        let mut some = pieces(&[2_000_000, 5]);
        some[0].deleted = 1;
        assert_eq!(next(&some, 2_000_000), Some(0..1));
        some.extend(pieces(&[5; FAN]));
        assert_eq!(next(&some, 2_000_000), Some(1..FAN + 2));
    }

    #[test]
    fn merging_until_nothing_is_due_ends_with_few_segments_within_the_cap() {
        let cap = 100_000;
        let mut state: u64 = 7;
        let mut segments: Vec<Piece> = Vec::new();
        let mut rewritten = 0_u64;
        let mut added = 0_u64;
        for _ in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let alive = 1 + (state >> 40) as u32 % 3_000;
            added += u64::from(alive);
            segments.push(Piece { alive, deleted: 0 });
            while let Some(run) = next(&segments, cap) {
                assert!(run.len() >= 2, "{run:?}");
                let alive: u32 = segments[run.clone()].iter().map(|piece| piece.alive).sum();
                assert!(alive <= cap);
                rewritten += u64::from(alive);
                segments.splice(run, [Piece { alive, deleted: 0 }]);
            }
        }
        assert_eq!(segments.iter().map(|piece| u64::from(piece.alive)).sum::<u64>(), added);
        let full = added / u64::from(cap);
        assert!((segments.len() as u64) < 4 * full + 30, "{} segments for {full} times the cap", segments.len());
        assert!(rewritten < 5 * added, "each document was rewritten {} times", rewritten / added);
    }
}
