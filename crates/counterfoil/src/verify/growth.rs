//! Whether one checkpoint of a log extends another: by the log's tiles, so that any tlog-tiles log will do, and where those are
//! pruned by the log's own proof (`extends?from=<size>`), which it keeps for every checkpoint that it archived.

use tlog::checkpoint::Checkpoint;
use tlog::extends::Extends;
use tlog::note::VerifierKey;
use tlog::proof::verify_consistency;

use super::files::Files;
use super::tiles::{Fault, Tiles};

/// Accepts if `new`, which is signed, extends `old`, which is remembered. `known`: the keys of the log.
///
/// # Errors
/// `Missing` if nobody can say; `Changed` with a reason of `specs/proofs.md` §10 and the sizes.
pub fn extends(files: &dyn Files, known: &[VerifierKey], old: &Checkpoint, new: &Checkpoint) -> Result<(), Fault> {
    if new.size < old.size {
        return Err(Fault::Changed(format!("rolled_back: size {} after size {} was remembered", new.size, old.size)));
    }
    match by_tiles(files, old, new) {
        Err(Fault::Missing(why)) => by_proof(files, known, old, new).map_err(|fault| match fault {
            Fault::Missing(also) => Fault::Missing(format!("{why}; {also}")),
            changed @ Fault::Changed(_) => changed,
        }),
        decided => decided,
    }
}

fn by_tiles(files: &dyn Files, old: &Checkpoint, new: &Checkpoint) -> Result<(), Fault> {
    let tiles = Tiles::new(files, new.size);
    let proof = tiles.consistency(old.size, new.size)?;
    let Err(error) = verify_consistency(old.size, &old.root, new.size, &new.root, &proof) else { return Ok(()) };
    // Tiles that do not even lead to the new root say nothing about the old one; ones that do show a second history.
    tiles.check_edge(&new.root)?;
    Err(Fault::Changed(format!("forked: size {} does not extend the remembered size {}: {error}", new.size, old.size)))
}

fn by_proof(files: &dyn Files, known: &[VerifierKey], old: &Checkpoint, new: &Checkpoint) -> Result<(), Fault> {
    let path = format!("extends?from={}", old.size);
    let bytes = files.need(&path).map_err(Fault::Missing)?;
    let body = String::from_utf8(bytes).ok().and_then(|text| text.parse::<Extends>().ok());
    let body = body.ok_or_else(|| Fault::Missing(format!("{path} is no proof")))?;
    let newest = body.verify(Some(old), &new.origin, known).map_err(|error| {
        Fault::Changed(format!("forked: the log does not extend the remembered size {}: {error}", old.size))
    })?;
    // The proof leads to the checkpoint that the log shows now; the one asked about must be on the way, or beyond.
    let newest = &newest.checkpoint;
    match newest.size <= new.size {
        true => by_tiles(files, newest, new),
        false => by_tiles(files, new, newest),
    }
}
