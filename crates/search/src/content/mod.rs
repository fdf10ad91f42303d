//! What a recording shows and what was typed into it, word by word: one immutable index for each recording.
//!
//! **Promise.** [`Content::search`] gives the documents, scores and order that real Lucene 8 gives for the same tree over the
//! same texts (specs/lucene-query.md); [`reference::search`] is the same meaning in plain code, and tests hold the two
//! together. The total is exact, however few hits are asked for.
//!
//! **Not here.** The query language: `dialects::lucene` makes [`ContentQuery`] out of text. What a document is (a span
//! of a recording, as a rule) and where its payload leads: that is the caller's.
//!
//! **Known differences** to the oracle, found by comparing 18,000 random queries and 30,000 random texts: where a fuzzy token and
//! a term of one list are the same token, it counts that token twice instead of adding the two scores; it takes a repetition of
//! an expression that matches nothing (`(#)*`) to match nothing, here it matches the empty text; emoji modifiers and joiners in
//! places where they modify or join nothing are cut differently.
//!
//! **Limits.** [`TEXT_BYTES_MAX`] and [`ID_BYTES_MAX`] for a document, [`DOCUMENTS_MAX`] documents, [`FUZZY_TERMS_MAX`] tokens
//! for a fuzzy one, [`pattern::STATES_MAX`] states of a pattern, [`Options`] for memory.
//!
//! ```
//! use search::content::{Content, ContentDocument, ContentQuery, ContentWriter, Options};
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("content");
//! let mut writer = ContentWriter::create(&folder, Options::default())?;
//! writer.add(&ContentDocument { text: "Permission denied (publickey).", payload: 7, ..ContentDocument::default() })?;
//! writer.finish()?;
//!
//! let content = Content::open(&folder)?;
//! let query = ContentQuery::Term { field: "text".to_owned(), term: "denied".to_owned() };
//! let found = content.search(&query, 100)?;
//! assert_eq!((found.total, found.hits[0].payload), (1, 7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod analysis;
mod bm25;
mod characters;
mod dictionary;
mod document;
mod folder;
mod fuzzy;
mod highlight;
mod index;
pub mod pattern;
mod plan;
mod query;
pub mod reference;
mod scorer;
mod set;
mod sloppy;
mod top;
mod writer;

pub use analysis::{TOKEN_UNITS_MAX, Token, Tokens, lower_case, tokens};
pub use document::{ContentDocument, ContentField, Found, Hit, ID_BYTES_MAX, TEXT_BYTES_MAX};
pub use fuzzy::{DISTANCE_MAX, FUZZY_TERMS_MAX};
pub use highlight::matched;
pub use index::Content;
pub use pattern::{Pattern, PatternError};
pub use query::{Clause, ContentQuery, Occur};
pub use writer::{ContentWriter, DOCUMENTS_MAX, Options};

use tantivy::TantivyError;

/// Why an index of content is not made or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder does not hold a finished index of this version. Remove it and make the index anew.
    #[error("the content index cannot be used and has to be made anew: {detail}")]
    Unusable {
        /// What is wrong with it.
        detail: String,
    },
    /// There is something in the folder already.
    #[error("the folder for the content index is not empty")]
    NotEmpty,
    /// A document, or the number of them, is past a limit. Nothing of it was taken.
    #[error("the {what} of a content index is at most {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// The files do not hold what they should. Make the index anew.
    #[error("the content index is damaged: {detail}")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// The file system refused.
    #[error("the content index could not reach its files")]
    Io(#[from] std::io::Error),
}

impl From<TantivyError> for Error {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::IoError(error) => Error::Io(std::io::Error::new(error.kind(), error)),
            other => Error::Damaged { detail: other.to_string() },
        }
    }
}
