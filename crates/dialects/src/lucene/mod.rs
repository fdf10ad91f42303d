//! Lucene's classic query syntax, as content search takes it: text to [`ContentQuery`], and back.
//!
//! ```text
//! "permission denied" -root        a phrase, and a word that must not be there
//! err?r  conn*  /fail(ed)?/        wildcards and expressions over whole words
//! nginx~1  "quick dog"~10  a^3     likeness, nearness, weight
//! command:(sudo AND su)            another field
//! ```
//!
//! It follows Lucene 8.8 to the letter, oddities included (specs/lucene-query.md, with vectors): there is no precedence, a
//! slash begins an expression, a colon makes a field. Two of its own lists of clauses differ from what that page says, and the
//! real one was asked: see `parser`.
//!
//! **Limits.** [`QUERY_BYTES_MAX`], [`DEPTH_MAX`], [`CLAUSES_MAX`], [`PATTERN_STEPS_MAX`]; of patterns, those of
//! `search::content::pattern`.

mod escape;
mod lexer;
mod number;
mod parser;
mod print;

use std::fmt;

use service::search::content::ContentQuery;

pub use print::print;

/// Longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of brackets.
pub const DEPTH_MAX: usize = 200;
/// Most clauses in one list.
pub const CLAUSES_MAX: usize = 1024;
/// Work of making the automata of all patterns of a query, in steps.
pub const PATTERN_STEPS_MAX: usize = 2_000_000;

/// Why a text is not a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {at} of the query)")]
pub struct QueryError {
    /// What kind of fault it is.
    pub kind: QueryErrorKind,
    /// Where, in characters from the beginning of the text, 0-based; the length of the text if something is missing there.
    pub at: usize,
    /// What is wrong, for whoever typed it.
    pub message: String,
}

/// Kinds of faults in a query: those of the oracle, and two limits of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryErrorKind {
    /// A token in the wrong place, or the end too early.
    Syntax,
    /// No token fits.
    Lexical,
    /// `*` or `?` at the beginning of a word.
    LeadingWildcard,
    /// `\u` without four hexadecimal digits.
    BadUnicodeEscape,
    /// A distance between whole numbers.
    FractionalEditDistance,
    /// A distance below 0.
    NegativeFuzziness,
    /// Over [`CLAUSES_MAX`] in one list.
    TooManyClauses,
    /// An expression that is none, or a nearness below 0.
    IllegalArgument,
    /// A pattern with too many states, or all patterns together over [`PATTERN_STEPS_MAX`].
    RegexTooComplex,
    /// Brackets nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// More than [`QUERY_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for QueryErrorKind {
    /// In the words of the vectors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QueryErrorKind::Syntax => "syntax",
            QueryErrorKind::Lexical => "lexical",
            QueryErrorKind::LeadingWildcard => "leading_wildcard",
            QueryErrorKind::BadUnicodeEscape => "bad_unicode_escape",
            QueryErrorKind::FractionalEditDistance => "fractional_edit_distance",
            QueryErrorKind::NegativeFuzziness => "negative_fuzziness",
            QueryErrorKind::TooManyClauses => "too_many_clauses",
            QueryErrorKind::IllegalArgument => "illegal_argument",
            QueryErrorKind::RegexTooComplex => "regex_too_complex",
            QueryErrorKind::TooDeep => "too_deep",
            QueryErrorKind::TooLong => "too_long",
        })
    }
}

/// Reads a query; a word without a field is looked for in `default_field`.
///
/// A text of nothing but white space is refused as Lucene does; what an empty query means is the caller's business.
///
/// # Errors
/// The first fault, with its place.
pub fn parse(text: &str, default_field: &str) -> Result<ContentQuery, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        let at = text[..text.floor_char_boundary(QUERY_BYTES_MAX)].chars().count();
        return Err(error(QueryErrorKind::TooLong, at, format!("a query has at most {QUERY_BYTES_MAX} bytes")));
    }
    parser::parse(text, default_field)
}

fn error(kind: QueryErrorKind, at: usize, message: impl Into<String>) -> QueryError {
    QueryError { kind, at, message: message.into() }
}
