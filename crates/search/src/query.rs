//! The query tree and what it means.

use std::cell::OnceCell;
use std::fmt;

use crate::analysis;
use crate::document::{Document, Field, NumberField};
use crate::parse;

/// What is asked for. Filter languages of every kind end here.
///
/// [`Query::matches`] is the reference meaning; an index answer that differs from it is a bug of the index. The text
/// form (`Display`) is the native query language and parses back to a query of the same meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Every document.
    All,
    /// No document.
    None,
    /// One of the field's values equals the value, both as [`analysis::keyword`].
    Keyword {
        /// The field.
        field: Field,
        /// The whole value, in any case.
        value: String,
    },
    /// One of the field's values begins with the prefix, as [`analysis::keyword_prefix`].
    KeywordPrefix {
        /// The field.
        field: Field,
        /// The beginning; empty asks for any value.
        prefix: String,
    },
    /// The number lies between the bounds, both inclusive; a missing bound is open.
    Range {
        /// The field; times are in microseconds since 1970.
        field: NumberField,
        /// The least value that matches.
        min: Option<i64>,
        /// The greatest value that matches.
        max: Option<i64>,
    },
    /// The field has a value, be it an empty one.
    Exists {
        /// The field.
        field: Field,
    },
    /// The same as a [`Query::Phrase`] of this one string: its words stand side by side in one text, or the whole
    /// string is the value of any keyword field (so that ids kept out of the text are found by typing them).
    Word(String),
    /// The words of all strings stand side by side, in this order, in one text; or the strings, joined by single
    /// spaces, are the whole value of any keyword field.
    Phrase(Vec<String>),
    /// Every one of them; an empty list matches everything.
    And(Vec<Query>),
    /// At least one of them; an empty list matches nothing.
    Or(Vec<Query>),
    /// The document does not match the query inside.
    Not(Box<Query>),
}

impl Query {
    /// Says whether the document is asked for. To look at many documents, [`prepare`](Query::prepare) once.
    pub fn matches(&self, document: &Document) -> bool {
        self.prepare().matches(document)
    }

    /// The query with its words and keywords in normal form, ready to look at many documents.
    pub fn prepare(&self) -> Prepared {
        Prepared(Node::from_query(self))
    }
}

/// Writes the query in the native query language.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        parse::write_query(self, f)
    }
}

/// A query that was analysed once; see [`Query::prepare`].
#[derive(Clone, Debug)]
pub struct Prepared(pub(crate) Node);

impl Prepared {
    /// The same answer as [`Query::matches`] of the query this was prepared from.
    pub fn matches(&self, document: &Document) -> bool {
        self.0.matches(&Analysed::new(document))
    }
}

/// The query tree in normal form: what both the matcher and the index planner work from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    All,
    None,
    Keyword {
        field: Field,
        key: String,
    },
    KeywordPrefix {
        field: Field,
        prefix: String,
    },
    Range {
        field: NumberField,
        min: Option<i64>,
        max: Option<i64>,
    },
    Exists {
        field: Field,
    },
    /// The words side by side in one text (never, if there are none), or the key in any keyword field.
    Phrase {
        words: Vec<String>,
        key: String,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

impl Node {
    fn from_query(query: &Query) -> Node {
        match query {
            Query::All => Node::All,
            Query::None => Node::None,
            Query::Keyword { field, value } => Node::Keyword { field: *field, key: analysis::keyword(value) },
            Query::KeywordPrefix { field, prefix } => {
                Node::KeywordPrefix { field: *field, prefix: analysis::keyword_prefix(prefix) }
            }
            Query::Range { field, min, max } => Node::Range { field: *field, min: *min, max: *max },
            Query::Exists { field } => Node::Exists { field: *field },
            Query::Word(word) => Node::Phrase { words: analysis::words(word).collect(), key: analysis::keyword(word) },
            Query::Phrase(strings) => Node::Phrase {
                words: strings.iter().flat_map(|string| analysis::words(string)).collect(),
                key: analysis::keyword(&strings.join(" ")),
            },
            Query::And(parts) => Node::And(parts.iter().map(Node::from_query).collect()),
            Query::Or(parts) => Node::Or(parts.iter().map(Node::from_query).collect()),
            Query::Not(inner) => Node::Not(Box::new(Node::from_query(inner))),
        }
    }

    fn matches(&self, document: &Analysed<'_>) -> bool {
        match self {
            Node::All => true,
            Node::None => false,
            Node::Keyword { field, key } => document.values(*field).any(|value| value == key),
            Node::KeywordPrefix { field, prefix } => document.values(*field).any(|value| value.starts_with(prefix)),
            Node::Range { field, min, max } => {
                let number = document.document.number_in(*field);
                min.is_none_or(|min| i128::from(min) <= number) && max.is_none_or(|max| number <= i128::from(max))
            }
            Node::Exists { field } => document.values(*field).next().is_some(),
            Node::Phrase { words, key } => {
                document.keywords().iter().any(|(_, value)| value == key)
                    || (!words.is_empty()
                        && document.texts().iter().any(|text| text.windows(words.len()).any(|run| run == words)))
            }
            Node::And(parts) => parts.iter().all(|part| part.matches(document)),
            Node::Or(parts) => parts.iter().any(|part| part.matches(document)),
            Node::Not(inner) => !inner.matches(document),
        }
    }
}

/// A document with its analysis done at most once, and only where a query asks.
struct Analysed<'a> {
    document: &'a Document,
    keywords: OnceCell<Vec<(Field, String)>>,
    texts: OnceCell<Vec<Vec<String>>>,
}

impl<'a> Analysed<'a> {
    fn new(document: &'a Document) -> Self {
        Self { document, keywords: OnceCell::new(), texts: OnceCell::new() }
    }

    fn keywords(&self) -> &[(Field, String)] {
        self.keywords.get_or_init(|| {
            let keywords = self.document.keywords.iter();
            keywords.map(|(field, value)| (*field, analysis::keyword(value))).collect()
        })
    }

    fn values(&self, field: Field) -> impl Iterator<Item = &String> {
        self.keywords().iter().filter(move |(of, _)| *of == field).map(|(_, value)| value)
    }

    fn texts(&self) -> &[Vec<String>] {
        self.texts.get_or_init(|| self.document.text.iter().map(|text| analysis::words(text).collect()).collect())
    }
}
