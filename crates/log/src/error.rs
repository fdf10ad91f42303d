//! Errors: few kinds, each tells the caller what to do next.

use std::sync::Arc;

use crate::model::ReadOnlyReason;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call was not carried out. Cheap to clone: one failed group answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No such log, or no such index in it. Do not retry.
    #[error("not found: {0}")]
    NotFound(Arc<str>),
    /// Something exists already that must not: a log of that id, a data folder. Do not retry.
    #[error("conflict: {0}")]
    Conflict(Arc<str>),
    /// The caller's request cannot be right (empty batch, unknown kind for the call). Do not retry.
    #[error("invalid: {0}")]
    Invalid(Arc<str>),
    /// A body or batch is larger than its named limit. Nothing was appended; send less.
    #[error("too large: {what} has {bytes} bytes, at most {bytes_max} are taken")]
    TooLarge {
        /// What was too large: `body`, `inline body` or `batch`.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit it passed.
        bytes_max: u64,
    },
    /// Too much waits to be written. Nothing was appended; wait a moment and retry.
    #[error("full: {0}")]
    Full(Arc<str>),
    /// The store failed. The entries may or may not be in: retry with the same ids, or look before retrying without.
    /// After a failed fsync every later append gets this answer until the process is restarted.
    #[error("unavailable: {0}")]
    Unavailable(Arc<str>),
    /// The log takes no more entries; reads go on. A person has to act (see the reason).
    #[error("read-only ({reason}): {detail}")]
    ReadOnly {
        /// Why.
        reason: ReadOnlyReason,
        /// What was found, for the operator.
        detail: Arc<str>,
    },
    /// Stored bytes are not what was written. Do not retry; run `counterfoil fsck`.
    #[error("corrupt: {0}")]
    Corrupt(Arc<str>),
}

impl Error {
    pub(crate) fn not_found(what: impl Into<String>) -> Error {
        Error::NotFound(what.into().into())
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Error {
        Error::Conflict(what.into().into())
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Error {
        Error::Invalid(what.into().into())
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Error {
        Error::Unavailable(what.into().into())
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Error {
        Error::Corrupt(what.into().into())
    }

    /// Names what was attempted on which file; an error of kind `InvalidData` or `UnexpectedEof` is damage.
    pub(crate) fn io(attempted: &str, path: &str, err: &std::io::Error) -> Error {
        let text = format!("{attempted} {path}: {err}");
        match err.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => Error::corrupt(text),
            _ => Error::unavailable(text),
        }
    }
}
