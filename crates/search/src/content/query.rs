//! What is asked of the content of a recording.

use std::ops::Bound;

use super::pattern::Pattern;

/// A question about documents: which match, and how well. The tree that a query in Lucene's language stands for; fields are
/// by name, and a name that no document has matches nothing.
///
/// Its meaning is [`reference::search`](super::reference::search); terms and texts are in lower case, as tokens are.
#[derive(Clone, Debug, PartialEq)]
pub enum ContentQuery {
    /// All required and no prohibited clause, and if none is required at least one optional one. Scores are added up.
    Clauses(Vec<Clause>),
    /// Documents with this token. Scored by frequency, rarity and length (BM25).
    Term {
        /// Where to look.
        field: String,
        /// One token.
        term: String,
    },
    /// Documents with these tokens, two or more, near each other; scored as one token that occurs as often as they do.
    Phrase {
        /// Where to look.
        field: String,
        /// The tokens in order.
        terms: Vec<String>,
        /// By how many places they may stand apart from that order in all; 0: exactly so.
        slop: u32,
    },
    /// Documents with a token that begins so; each scores 1.
    Prefix {
        /// Where to look.
        field: String,
        /// The beginning.
        prefix: String,
    },
    /// Documents with a token that a wildcard pattern matches; each scores 1.
    Wildcard {
        /// Where to look.
        field: String,
        /// Made by [`Pattern::wildcard`].
        pattern: Pattern,
    },
    /// Documents with a token that a regular expression matches; each scores 1.
    Regex {
        /// Where to look.
        field: String,
        /// Made by [`Pattern::regex`].
        pattern: Pattern,
    },
    /// Documents with one of the [`FUZZY_TERMS_MAX`](super::FUZZY_TERMS_MAX) tokens of the index that are most like this one,
    /// within a distance; scored as a token, scaled by the likeness.
    Fuzzy {
        /// Where to look.
        field: String,
        /// The token looked for.
        term: String,
        /// Insertions, deletions, substitutions and swaps of neighbours: 0, 1 or 2. More counts as 2.
        distance: u8,
    },
    /// Documents with a token between two, by the order of their bytes; each scores 1.
    Range {
        /// Where to look.
        field: String,
        /// From here.
        lower: Bound<String>,
        /// To here.
        upper: Bound<String>,
    },
    /// Every document, also those without tokens; each scores 1.
    All,
    /// The same documents with their scores multiplied; not below 0, and finite.
    Boost(Box<ContentQuery>, f32),
}

/// A part of [`ContentQuery::Clauses`].
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// What the part has to do with the whole.
    pub occur: Occur,
    /// The part.
    pub query: ContentQuery,
}

/// What a clause has to do with the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occur {
    /// It has to match (`+`).
    Required,
    /// It may match, and adds to the score.
    Optional,
    /// It must not match (`-`).
    Prohibited,
}

impl ContentQuery {
    /// What matches nothing.
    pub fn nothing() -> ContentQuery {
        ContentQuery::Clauses(Vec::new())
    }
}
