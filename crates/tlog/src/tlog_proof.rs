//! A proof to keep: that one entry is in one log, in a text that stands alone (C2SP tlog-proof).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>            only if there is any; not covered by anything
//! index 1
//! <hash>                    inclusion proof, lowest first
//!
//! <checkpoint, with its signatures>
//! ```

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::SignedCheckpoint;
use crate::error::malformed;
use crate::note::VerifierKey;
use crate::{Error, Hash, proof, text};

/// Bytes of opaque extra data read at most.
pub const EXTRA_BYTES_MAX: usize = 64 * 1024;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A tlog-proof as it is written, before anybody is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Data of the application, not authenticated: never trust it.
    pub extra: Option<Vec<u8>>,
    /// Position of the entry, from 0.
    pub index: u64,
    /// Inclusion proof, lowest first.
    pub hashes: Vec<Hash>,
    /// The checkpoint note, verbatim.
    pub checkpoint: String,
}

impl TlogProof {
    /// Accepts if the entry with this leaf hash is at [`index`](TlogProof::index) in the log `origin`, under a checkpoint
    /// signed by a key of that log in `known`; returns that checkpoint with its cosignatures.
    ///
    /// Whoever expects a particular index compares it too: the proof only says that its own one is true.
    ///
    /// # Errors
    /// Those of [`SignedCheckpoint::open`] and [`proof::verify_inclusion`].
    pub fn verify(&self, leaf: &Hash, origin: &str, known: &[VerifierKey]) -> Result<SignedCheckpoint, Error> {
        let signed = SignedCheckpoint::open(&self.checkpoint, origin, known)?;
        let head = &signed.checkpoint;
        proof::verify_inclusion(leaf, self.index, head.size, &self.hashes, &head.root)?;
        Ok(signed)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", text::to_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Reads the form; says nothing about the truth, and does not look into the checkpoint.
///
/// Errors: `Malformed` for any other header, a non-canonical number or hash, too much extra data or too many hashes.
impl FromStr for TlogProof {
    type Err = Error;

    fn from_str(text: &str) -> Result<TlogProof, Error> {
        let Some((proof, checkpoint)) = text.split_once("\n\n") else {
            return malformed("tlog-proof", "no empty line before the checkpoint");
        };
        let mut lines = proof.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return malformed("tlog-proof", "unknown first line");
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            None => None,
            Some(line) => match text::from_base64(&line["extra ".len()..]) {
                Some(extra) if extra.len() <= EXTRA_BYTES_MAX => Some(extra),
                Some(_) => return malformed("tlog-proof", "too much extra data"),
                None => return malformed("tlog-proof", "extra data is not base64"),
            },
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(text::from_decimal);
        let Some(index) = index else {
            return malformed("tlog-proof", "no index, or not a canonical decimal");
        };
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == proof::HASHES_MAX {
                return malformed("tlog-proof", "too many hashes");
            }
            hashes.push(line.parse()?);
        }
        Ok(TlogProof { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }
}
