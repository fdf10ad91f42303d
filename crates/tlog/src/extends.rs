//! A consistency proof to hand over: the body of add-checkpoint (C2SP tlog-witness), which is also what `/extends` answers.
//!
//! ```text
//! old 2
//! <hash>                    consistency proof from size 2
//!
//! <checkpoint, with its signatures>
//! ```

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::error::malformed;
use crate::note::VerifierKey;
use crate::{Error, Hash, empty_root, proof, text};

/// Hashes in a body read at most (C2SP tlog-witness).
pub const HASHES_MAX: usize = 63;

/// The body as it is written, before anybody is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extends {
    /// Size that the proof starts from.
    pub old_size: u64,
    /// Consistency proof from there to the checkpoint.
    pub hashes: Vec<Hash>,
    /// The checkpoint note, verbatim.
    pub checkpoint: String,
}

impl Extends {
    /// Accepts if the checkpoint is signed by a key of the log in `known` and extends `old`, which the caller remembers;
    /// without one (`None`), every tree extends the empty one. Returns the new checkpoint.
    ///
    /// # Errors
    /// Those of [`SignedCheckpoint::open`] and [`proof::verify_consistency`]; `ProofRefused` if the body starts from another
    /// size than `old`.
    pub fn verify(
        &self,
        old: Option<&Checkpoint>,
        origin: &str,
        known: &[VerifierKey],
    ) -> Result<SignedCheckpoint, Error> {
        let signed = SignedCheckpoint::open(&self.checkpoint, origin, known)?;
        if let Some(old) = old
            && old.origin != origin
        {
            return Err(Error::WrongOrigin { expected: origin.to_owned(), found: old.origin.clone() });
        }
        let (old_size, old_root) = old.map_or((0, empty_root()), |old| (old.size, old.root));
        if self.old_size != old_size {
            return Err(Error::ProofRefused("starts from another size than the remembered one"));
        }
        let head = &signed.checkpoint;
        proof::verify_consistency(old_size, &old_root, head.size, &head.root, &self.hashes)?;
        Ok(signed)
    }
}

impl fmt::Display for Extends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.hashes {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Reads the form; says nothing about the truth, and does not look into the checkpoint.
///
/// Errors: `Malformed` for a first line other than `old` and a canonical decimal, a non-canonical hash, or too many.
impl FromStr for Extends {
    type Err = Error;

    fn from_str(text: &str) -> Result<Extends, Error> {
        let Some((head, checkpoint)) = text.split_once("\n\n") else {
            return malformed("add-checkpoint body", "no empty line before the checkpoint");
        };
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(text::from_decimal);
        let Some(old_size) = old_size else {
            return malformed("add-checkpoint body", "no old size, or not a canonical decimal");
        };
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == HASHES_MAX {
                return malformed("add-checkpoint body", "too many hashes");
            }
            hashes.push(line.parse()?);
        }
        Ok(Extends { old_size, hashes, checkpoint: checkpoint.to_owned() })
    }
}
