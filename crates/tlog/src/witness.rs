//! What a witness does with a checkpoint handed to it, and what a log does with the answer (C2SP tlog-witness).
//!
//! Pure: [`judge`] decides, its caller remembers. Deciding and remembering must be one step for one log, or two requests at
//! once could roll it back.

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::error::malformed;
use crate::extends::Extends;
use crate::note::{Note, VerifierKey};
use crate::{Error, text};

/// Media type of the body that tells a size.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// Bytes of an add-checkpoint body read at most: the proof, and a note with all signatures it may have.
pub const BODY_BYTES_MAX: usize = crate::note::NOTE_BYTES_MAX + 4 * 1024;

/// What a witness knows of one log.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The log's keys, of which one must have signed.
    pub keys: &'a [VerifierKey],
    /// The last checkpoint cosigned.
    pub last: Option<Checkpoint>,
}

/// Why a witness does not cosign. Each is one HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: not an add-checkpoint body, or one that starts beyond its own checkpoint.
    #[error("not an add-checkpoint body: {0}")]
    Malformed(Error),
    /// 404: no such log here.
    #[error("no log of this origin is witnessed here")]
    UnknownOrigin,
    /// 403: no signature by the log, or a false one.
    #[error("not signed by the log: {0}")]
    Unsigned(Error),
    /// 409: the proof starts elsewhere than at the size cosigned last, which is told.
    #[error("the last checkpoint cosigned has size {size}")]
    OtherSize {
        /// Size cosigned last; 0 if there is none.
        size: u64,
    },
    /// 409: the size cosigned last, under another root: the log shows two histories. Both notes are proof of it.
    #[error("size {size} was cosigned under another root")]
    TwoRoots {
        /// That size.
        size: u64,
    },
    /// 422: the checkpoint does not extend the one cosigned last, as far as the proof shows.
    #[error("the checkpoint does not extend the one of size {size}: {why}")]
    NotExtending {
        /// Size cosigned last.
        size: u64,
        /// What is wrong with the proof.
        why: Error,
    },
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Malformed(_) => 400,
            Refusal::Unsigned(_) => 403,
            Refusal::UnknownOrigin => 404,
            Refusal::OtherSize { .. } | Refusal::TwoRoots { .. } => 409,
            Refusal::NotExtending { .. } => 422,
        }
    }

    /// The size to be told as body of media type [`SIZE_MEDIA_TYPE`]; none if the body is free.
    pub fn size(&self) -> Option<u64> {
        match self {
            Refusal::OtherSize { size } | Refusal::TwoRoots { size } => Some(*size),
            Refusal::Malformed(_) | Refusal::Unsigned(_) | Refusal::UnknownOrigin | Refusal::NotExtending { .. } => {
                None
            }
        }
    }

    /// Whether the log's own signature is under a history that is not the one known here: evidence worth keeping.
    pub fn is_evidence(&self) -> bool {
        matches!(self, Refusal::TwoRoots { .. } | Refusal::NotExtending { .. })
    }
}

/// Decides about the body of one add-checkpoint request. `known` is asked once, for the origin that the body names.
///
/// Returns the checkpoint to remember durably and then to cosign. The checks and their order are those of the specification.
///
/// # Errors
/// The refusal to answer with; nothing is to be remembered.
pub fn judge<'k>(body: &str, known: impl FnOnce(&str) -> Option<Known<'k>>) -> Result<SignedCheckpoint, Refusal> {
    let request: Extends = body.parse().map_err(Refusal::Malformed)?;
    let note = Note::parse(&request.checkpoint).map_err(Refusal::Malformed)?;
    let named: Checkpoint = note.text.parse().map_err(Refusal::Malformed)?;
    let Known { keys, last } = known(&named.origin).ok_or(Refusal::UnknownOrigin)?;
    let signed = SignedCheckpoint::open(&request.checkpoint, &named.origin, keys).map_err(Refusal::Unsigned)?;
    let head = &signed.checkpoint;
    if request.old_size > head.size {
        let why = Error::Malformed { what: "add-checkpoint body", why: "old size above the checkpoint's" };
        return Err(Refusal::Malformed(why));
    }
    let size = last.as_ref().map_or(0, |last| last.size);
    if request.old_size != size {
        return Err(Refusal::OtherSize { size });
    }
    if let Some(last) = &last
        && last.size == head.size
        && last.root != head.root
    {
        return Err(Refusal::TwoRoots { size });
    }
    request.verify(last.as_ref(), &named.origin, keys).map_err(|why| Refusal::NotExtending { size, why })?;
    Ok(signed)
}

/// The cosignature lines in a witness's answer that hold for this checkpoint, each with its newline, and the latest time they
/// name (seconds since 1970). Lines by other keys than `witness` are ignored.
///
/// # Errors
/// `Malformed` if the answer is no list of signature lines; `SignatureInvalid` or `Unverified` as for any note.
pub fn cosignatures(note: &str, answer: &str, witness: &VerifierKey) -> Result<(String, u64), Error> {
    let Some((text, _)) = note.rsplit_once("\n\n") else {
        return malformed("note", "no empty line before the signatures");
    };
    // Only the answer's own lines are looked at: what the log put into its note already proves nothing new.
    let answered = format!("{text}\n\n{answer}");
    let parsed = Note::parse(&answered)?;
    let verified = parsed.verify(std::slice::from_ref(witness))?;
    let is_theirs =
        |line: &&crate::note::SignatureLine<'_>| line.name == witness.name() && line.key_id == witness.key_id();
    let lines = parsed.signatures.iter().filter(is_theirs).map(|line| format!("{}\n", line.line)).collect();
    Ok((lines, verified.iter().filter_map(|signature| signature.time_s).max().unwrap_or(0)))
}

/// The size in the body of a 409.
///
/// # Errors
/// `Malformed` for anything but a canonical decimal and a newline.
pub fn parse_size(body: &str) -> Result<u64, Error> {
    match body.strip_suffix('\n').and_then(text::from_decimal) {
        Some(size) => Ok(size),
        None => malformed("size", "not a canonical decimal and a newline"),
    }
}
