//! The query tree, its reference meaning, and the index that answers it faster.
//!
//! [`Query::matches`] says what a query means; [`Index`] gives the same answer without looking at every document. The
//! caller combines them: the index up to the watermark in [`Reader::payload`], `matches` for the few documents after it.
//!
//! ```text
//! text ──parse──▶ Query ──┬─ matches(Document)        the meaning, one document at a time
//!                         └─ Reader::search           the same answer, a page at a time
//!                 analysis: one set of rules for words and keywords, used by both
//! ```
//!
//! Beside that, [`content`]: what recordings show, with a tree, an index and scores of its own.
//!
//! This crate knows documents, never events: what goes into which field is the caller's business.

pub mod analysis;
pub mod content;
mod document;
mod index;
pub mod parse;
mod query;

pub use document::{Document, Field, NumberField, UnknownField};
pub use index::{Error, Index, Matched, Options, Order, Reader, lower_priority};
pub use query::{Prepared, Query};
