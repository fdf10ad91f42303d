//! One error for the whole crate; its kinds are the things a caller does differently.

/// Why something was refused.
///
/// Nothing here depends on the machine or the moment: the same arguments are refused for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes or text not in the format named by `what`. The sender is broken or lying; do not repair, do not retry.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// The format, such as "checkpoint".
        what: &'static str,
        /// The rule that was broken.
        why: &'static str,
    },
    /// An index, size or width outside what it is asked of; a mistake of the caller, or a request to answer with 404.
    #[error("out of range: {0}")]
    OutOfRange(&'static str),
    /// Well formed, but it does not prove what it should: evidence of tampering, or of the wrong leaf, size or root.
    #[error("proof refused: {0}")]
    ProofRefused(&'static str),
    /// A signature line names a known key (name and key id) and does not verify; the whole note is to be distrusted.
    #[error("invalid signature by {name} ({key_id:08x})")]
    SignatureInvalid {
        /// Key name as in the line.
        name: String,
        /// Key id as in the line.
        key_id: u32,
    },
    /// No line by any known key: says nothing about the text, which must not be used.
    #[error("no signature by a known key")]
    Unverified,
    /// The log signed, but not enough witnesses that the policy asks for did: nobody outside vouches for this head.
    #[error("not cosigned as the policy asks")]
    PolicyUnmet,
    /// A checkpoint of another log than the one asked for.
    #[error("origin is {found:?}, expected {expected:?}")]
    WrongOrigin {
        /// What the caller asked for.
        expected: String,
        /// What the note says.
        found: String,
    },
}

/// Shorthand of the parsers.
pub(crate) fn malformed<T>(what: &'static str, why: &'static str) -> Result<T, Error> {
    Err(Error::Malformed { what, why })
}
