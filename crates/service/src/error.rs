//! Errors: ten kinds, and each tells the caller what to do next.

use std::fmt;

/// What a caller can do about an error. A new kind needs a caller who would act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nobody we know, or not any more: get a new credential.
    Unauthenticated,
    /// Known, but not allowed to do this: ask an administrator.
    Forbidden,
    /// No such thing, or none within the caller's reach: check the name.
    NotFound,
    /// The request cannot be understood or breaks a rule: change it.
    Invalid,
    /// The request is well formed but collides with what is already there: look, then decide.
    Conflict,
    /// Over a named limit: send less at a time.
    TooLarge,
    /// Too much at once, nothing was done: wait `retry_after_s`, then retry.
    Overloaded,
    /// The store did not answer, the work may or may not be done: look, then retry.
    Unavailable,
    /// Stored data is not what was committed: stop, and run `counterfoil fsck`.
    Corrupt,
    /// Our fault: report it.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [ErrorKind; 10] = [
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::NotFound,
        ErrorKind::Invalid,
        ErrorKind::Conflict,
        ErrorKind::TooLarge,
        ErrorKind::Overloaded,
        ErrorKind::Unavailable,
        ErrorKind::Corrupt,
        ErrorKind::Internal,
    ];

    /// The kind in lower-case snake form, as metrics and problem documents name it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Invalid => "invalid",
            ErrorKind::Conflict => "conflict",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Overloaded => "overloaded",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Internal => "internal",
        }
    }
}

/// What went wrong, for the caller and, apart from it, for the operator.
///
/// `Display` prints the caller's text only; the operator's text is in [`Error::detail`] and the sources.
pub struct Error {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// For the caller: lower case, no full stop, safe to send over the wire.
    pub message: String,
    /// For the operator: never sent over the wire.
    pub detail: Option<String>,
    /// Seconds after which a retry makes sense; only with `Overloaded` and `Unavailable`.
    pub retry_after_s: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with the caller's `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), detail: None, retry_after_s: None, source: None }
    }

    /// `Forbidden`, saying what was attempted.
    pub fn forbidden(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Forbidden, message)
    }

    /// `NotFound`, saying what was looked for.
    pub fn not_found(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::NotFound, message)
    }

    /// `Invalid`, saying which rule was broken.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    /// `Conflict`, saying with what.
    pub fn conflict(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Conflict, message)
    }

    /// `TooLarge`, naming the limit.
    pub fn too_large(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::TooLarge, message)
    }

    /// `Overloaded`, with the seconds to wait.
    pub fn overloaded(message: impl Into<String>, retry_after_s: u64) -> Error {
        let mut error = Error::new(ErrorKind::Overloaded, message);
        error.retry_after_s = Some(retry_after_s);
        error
    }

    /// `Internal`: the caller learns only that it is our fault, the operator reads `detail`.
    pub fn internal(detail: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, "internal error").with_detail(detail)
    }

    /// `Corrupt`: the caller learns what cannot be trusted, the operator reads `detail`.
    pub fn corrupt(message: impl Into<String>, detail: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt, message).with_detail(detail)
    }

    /// Adds the operator's text.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the error underneath.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }
}

impl From<log::Error> for Error {
    fn from(error: log::Error) -> Error {
        /// After this long a full pool or a stuck store may be worth another try.
        const RETRY_AFTER_S: u64 = 1;
        match &error {
            log::Error::NotFound(_) => Error::new(ErrorKind::NotFound, "no such entry"),
            log::Error::Conflict(_) => Error::new(ErrorKind::Conflict, "the log exists already"),
            log::Error::Invalid(what) => Error::internal(what.to_string()),
            log::Error::TooLarge { .. } => Error::new(ErrorKind::TooLarge, error.to_string()),
            log::Error::Full(_) => Error::overloaded("too much waits to be written", RETRY_AFTER_S),
            log::Error::Unavailable(what) => {
                Error::new(ErrorKind::Unavailable, "the log could not be written or read").with_detail(what.to_string())
            }
            log::Error::ReadOnly { reason: log::ReadOnlyReason::Closed, .. } => {
                Error::new(ErrorKind::Conflict, "the log was closed and takes no more entries; its last one says why")
            }
            log::Error::ReadOnly { reason, detail } => {
                let message = format!("this log takes no more entries ({reason})");
                Error::new(ErrorKind::Corrupt, message).with_detail(detail.to_string())
            }
            log::Error::Corrupt(what) => Error::corrupt("stored data is not what was written", what.to_string()),
        }
        .with_source(error)
    }
}

impl From<search::Error> for Error {
    fn from(error: search::Error) -> Error {
        Error::new(ErrorKind::Unavailable, "the search index cannot be read; ask for it to be rebuilt")
            .with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}
