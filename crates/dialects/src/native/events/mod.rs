//! Events: in (batches, receipts), out (pages, one, a stream).

mod batch;
pub mod filter;
pub mod follow;
pub mod ingest;
pub mod list;
pub mod render;
pub mod schema;
pub mod summary;
pub mod views;
