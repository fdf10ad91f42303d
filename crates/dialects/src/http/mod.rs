//! What every dialect needs of HTTP and none should write twice: bodies with limits, request ids, the caller's
//! address, paths as clients really send them, and the table of routes.

pub mod address;
pub mod body;
pub mod path;
pub mod request_id;
#[macro_use]
pub mod route;
