//! What every dialect needs of HTTP and none should write twice: bodies with limits, request ids, the caller's
//! address, paths as clients really send them, and the table of routes.

pub mod address;
pub mod body;
pub mod path;
pub mod request_id;
#[macro_use]
pub mod route;

/// A request's extension: it came over TLS. Whoever accepts the connection puts it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTls;
