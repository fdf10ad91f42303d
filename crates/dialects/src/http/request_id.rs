//! A name for each request, so that a reply, a log line and a report by mail can be put together.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id accepted from a caller, in bytes; a longer one is replaced, never cut.
pub const BYTES_MAX: usize = 128;

/// The id of the request at hand; found in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text: 1..=`BYTES_MAX` characters of `A-Z a-z 0-9 . _ : / + = -`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("only characters that a header may hold pass `well_formed`")
    }
}

/// Makes request ids: a prefix for this run of the program, then a count.
#[derive(Debug)]
pub struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    /// `prefix`: different for each start of the program (the program draws it), so that ids do not repeat.
    pub fn new(prefix: &str) -> RequestIds {
        RequestIds { prefix: prefix.to_owned(), next: AtomicU64::new(1) }
    }

    /// The caller's id when there is exactly one and it is well formed; else a fresh one.
    pub fn take(&self, headers: &HeaderMap) -> RequestId {
        let mut given = headers.get_all(HEADER).iter();
        if let (Some(value), None) = (given.next(), given.next())
            && let Ok(text) = value.to_str()
            && well_formed(text)
        {
            return RequestId(text.into());
        }
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = self.prefix.clone();
        write!(text, "{count:06x}").expect("writing into a String cannot fail");
        RequestId(text.into())
    }
}

fn well_formed(text: &str) -> bool {
    (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/+=-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[&str], expected: &str) {
        let ids = RequestIds::new("run-");
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(ids.take(&headers).as_str(), expected);
    }

    #[test]
    fn a_well_formed_id_is_kept_and_anything_else_is_replaced() {
        check(&["abc-1"], "abc-1");
        check(&[], "run-000001");
        check(&[""], "run-000001");
        check(&["a b"], "run-000001");
        check(&["ü"], "run-000001");
        check(&["a", "b"], "run-000001");
        check(&[&"a".repeat(BYTES_MAX + 1)], "run-000001");
    }
}
