//! Checkpoints: a tree head as signed text (C2SP tlog-checkpoint).
//!
//! ```text
//! audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa     origin
//! 3                                                  size
//! 6IHuDE1uter/E8sSIt58E9ifVZEVeSBw0vqV9qB79uQ=       root
//! ```

use std::fmt;
use std::str::FromStr;

use crate::error::malformed;
use crate::note::{self, Algorithm, SignerKey, Verified, VerifierKey};
use crate::{Error, Hash, TREE_SIZE_MAX, empty_root, text};

/// What a log says about itself: this many leaves, this root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// Name of the log; one line, not empty.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// The note text: three lines, each with its newline. We never write extension lines.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

/// Reads the note text, without signatures. Extension lines of other logs are passed over.
///
/// Errors: `Malformed` unless there are at least three lines, none empty, each ended by a newline; the size canonical and at
/// most [`TREE_SIZE_MAX`]; the root canonical base64 of 32 bytes, and the empty one if the size is 0.
impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Checkpoint, Error> {
        let Some(text) = text.strip_suffix('\n') else {
            return malformed("checkpoint", "last line does not end");
        };
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return malformed("checkpoint", "fewer than three lines");
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return malformed("checkpoint", "empty line");
        }
        if text.bytes().any(|b| b < b' ' && b != b'\n') {
            return malformed("checkpoint", "control character");
        }
        let size = match text::from_decimal(size) {
            Some(size) if size <= TREE_SIZE_MAX => size,
            Some(_) => return malformed("checkpoint", "size too large"),
            None => return malformed("checkpoint", "size is not a canonical decimal"),
        };
        let root: Hash = root.parse()?;
        if size == 0 && root != empty_root() {
            return malformed("checkpoint", "the root of no leaves is fixed");
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }
}

impl Checkpoint {
    /// Signs: the whole note, one line per key in order. The text is the same for the same checkpoint and keys.
    ///
    /// Nothing here remembers what was signed before; the guarded signer of `log` does.
    ///
    /// # Errors
    /// `Malformed` if the checkpoint would not be read back (an origin with a newline, a size too large), without keys, or
    /// with too many.
    pub fn sign(&self, keys: &[&SignerKey]) -> Result<SignedCheckpoint, Error> {
        let text = self.to_string();
        if text.parse::<Checkpoint>()? != *self {
            return malformed("checkpoint", "origin is not one line");
        }
        Ok(SignedCheckpoint { checkpoint: self.clone(), note: note::sign(&text, keys)?, cosignatures: Vec::new() })
    }
}

/// A checkpoint whose log signature holds, and the note it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// The head.
    pub checkpoint: Checkpoint,
    /// The note with all its signature lines, those of unknown keys too.
    pub note: String,
    /// Who else signed, of the keys given on opening; empty on one just signed.
    pub cosignatures: Vec<Cosignature>,
}

/// A signature that holds, by a key that is not the log's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The key that signed.
    pub key: VerifierKey,
    /// When it says it did, seconds since 1970; none for keys of type `01`.
    pub time_s: Option<u64>,
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint of the log `origin` and checks it against `known`: keys of the log (name equal to the
    /// origin, type `01`) and of witnesses (any other).
    ///
    /// # Errors
    /// `Malformed`; `SignatureInvalid` if the line of any known key does not verify; `Unverified` without a line of a known
    /// key of the log, whatever witnesses signed; `WrongOrigin` if it is another log's.
    pub fn open(note: &str, origin: &str, known: &[VerifierKey]) -> Result<SignedCheckpoint, Error> {
        let verified = note::open(note, known)?;
        let checkpoint: Checkpoint = verified.text.parse()?;
        if checkpoint.origin != origin {
            return Err(Error::WrongOrigin { expected: origin.to_owned(), found: checkpoint.origin });
        }
        let is_log = |signature: &&Verified<'_>| {
            signature.key.name() == origin && signature.key.algorithm() == Algorithm::Ed25519
        };
        if !verified.signatures.iter().any(|signature| is_log(&signature)) {
            return Err(Error::Unverified);
        }
        let others = verified.signatures.iter().filter(|signature| !is_log(signature));
        let cosignatures = others.map(|s| Cosignature { key: s.key.clone(), time_s: s.time_s }).collect();
        Ok(SignedCheckpoint { checkpoint, note: note.to_owned(), cosignatures })
    }
}
