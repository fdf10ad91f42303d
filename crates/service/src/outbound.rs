//! Calls that the service makes: to witnesses and time-stamp authorities. What makes them is handed in; nothing here speaks HTTP.

use std::fmt;
use std::sync::Arc;

/// Makes one HTTP POST and waits for the answer. Blocks; has a deadline of its own.
pub trait Post: Send + Sync {
    /// Sends `body` to `url`; redirects are not followed.
    ///
    /// # Errors
    /// Why there is no answer at all, in words. A status of any kind is an answer.
    fn post(&self, url: &str, media_type: &str, body: &[u8]) -> Result<Posted, String>;
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// HTTP status.
    pub status: u16,
    /// Media type, without parameters; empty if none was said.
    pub media_type: String,
    /// The body, cut off by nobody: an answer that is too long is none.
    pub body: Vec<u8>,
}

/// What makes the calls of a service, if it may make any.
#[derive(Clone, Default)]
pub struct Outbound(pub Option<Arc<dyn Post>>);

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Outbound(allowed)" } else { "Outbound(none)" })
    }
}
