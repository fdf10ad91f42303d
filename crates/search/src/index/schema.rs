//! How documents lie in tantivy.
//!
//! | field | kind | holds |
//! |---|---|---|
//! | `log` | term | the log's number |
//! | `number`, `occurred`, `recorded` | column | the numbers of the document |
//! | `order` | column | the place in the order of adding, over all logs; contiguous, so it costs nearly nothing |
//! | `keyword` | term | per value: one byte naming the field, then the value in normal form; per field present: that byte with the high bit set |
//! | `text` | terms with positions | the words of the texts; a gap between texts |
//!
//! Nothing is stored: whoever has the number has the document. Raise [`VERSION`] with any change here or in
//! [`crate::analysis`]; the caller then builds the index anew.

use tantivy::TantivyDocument;
use tantivy::Term;
use tantivy::schema::{
    FAST, Field as TantivyField, INDEXED, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::analysis::{self, Words};
use crate::document::{Document, Field, NumberField};

/// Version of the schema and the analysis, written into the folder.
pub(super) const VERSION: u32 = 1;

/// Name under which [`WordTokenizer`] is registered.
pub(super) const TOKENIZER: &str = "counterfoil-words-1";

pub(super) const NUMBER: &str = "number";
pub(super) const ORDER: &str = "order";
pub(super) const OCCURRED: &str = "occurred";

/// Marks the terms of the keyword field that say "this field is present".
const PRESENT: u8 = 0x80;

/// The fields, by handle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) log: TantivyField,
    pub(super) number: TantivyField,
    occurred: TantivyField,
    recorded: TantivyField,
    order: TantivyField,
    pub(super) keyword: TantivyField,
    pub(super) text: TantivyField,
}

/// The schema with its fields. Always the same.
pub(super) fn schema() -> (Schema, Fields) {
    let column = NumericOptions::default() | FAST;
    let mut schema = Schema::builder();
    let fields = Fields {
        log: schema.add_u64_field("log", INDEXED),
        number: schema.add_u64_field(NUMBER, column.clone()),
        occurred: schema.add_i64_field(OCCURRED, column.clone()),
        recorded: schema.add_i64_field("recorded", column.clone()),
        order: schema.add_u64_field(ORDER, column),
        keyword: schema.add_bytes_field("keyword", INDEXED),
        text: schema.add_text_field(
            "text",
            TextOptions::default().set_indexing_options(
                TextFieldIndexing::default()
                    .set_tokenizer(TOKENIZER)
                    .set_fieldnorms(false)
                    .set_index_option(IndexRecordOption::WithFreqsAndPositions),
            ),
        ),
    };
    (schema.build(), fields)
}

impl Fields {
    /// The document as tantivy takes it.
    pub(super) fn tantivy_document(&self, log: u32, order: u64, document: &Document) -> TantivyDocument {
        let mut out = TantivyDocument::new();
        out.add_u64(self.log, u64::from(log));
        out.add_u64(self.number, document.number);
        out.add_i64(self.occurred, document.occurred_at_us);
        out.add_i64(self.recorded, document.recorded_at_us);
        out.add_u64(self.order, order);
        let mut present = 0_u16;
        for (field, value) in &document.keywords {
            present |= 1 << code(*field);
            out.add_bytes(self.keyword, &keyword_bytes(*field, &analysis::keyword(value)));
        }
        for field in Field::ALL {
            if present & (1 << code(field)) != 0 {
                out.add_bytes(self.keyword, &[code(field) | PRESENT]);
            }
        }
        for text in &document.text {
            out.add_text(self.text, text);
        }
        out
    }

    pub(super) fn log_term(&self, log: u32) -> Term {
        Term::from_field_u64(self.log, u64::from(log))
    }

    pub(super) fn keyword_term(&self, field: Field, key: &str) -> Term {
        Term::from_field_bytes(self.keyword, &keyword_bytes(field, key))
    }

    pub(super) fn presence_term(&self, field: Field) -> Term {
        Term::from_field_bytes(self.keyword, &[code(field) | PRESENT])
    }

    /// The first term with the prefix, and the first term after all that have it.
    pub(super) fn prefix_terms(&self, field: Field, prefix: &str) -> (Term, Term) {
        let from = keyword_bytes(field, prefix);
        let mut to = from.clone();
        // No byte of UTF-8, and no code, is 255: raising the last one gives the next string that lacks the prefix.
        *to.last_mut().expect("it begins with the code of the field") += 1;
        (Term::from_field_bytes(self.keyword, &from), Term::from_field_bytes(self.keyword, &to))
    }

    pub(super) fn word_term(&self, word: &str) -> Term {
        Term::from_field_text(self.text, word)
    }

    /// The term of a value of a number column; values below zero do not exist in unsigned columns.
    pub(super) fn number_term(&self, field: NumberField, value: i64) -> Term {
        match field {
            NumberField::Number => Term::from_field_u64(self.number, u64::try_from(value).unwrap_or(0)),
            NumberField::OccurredAt => Term::from_field_i64(self.occurred, value),
            NumberField::RecordedAt => Term::from_field_i64(self.recorded, value),
        }
    }
}

/// The byte that names a field in the keyword terms. On disk: a field keeps its code for ever.
fn code(field: Field) -> u8 {
    match field {
        Field::Id => 1,
        Field::Kind => 2,
        Field::Action => 3,
        Field::Outcome => 4,
        Field::Actor => 5,
        Field::IndirectActor => 6,
        Field::Source => 7,
        Field::Session => 8,
        Field::Correlation => 9,
        Field::Target => 10,
        Field::Tag => 11,
    }
}

fn keyword_bytes(field: Field, key: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(code(field));
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

/// [`analysis::words`] as tantivy wants it.
#[derive(Clone)]
pub(super) struct WordTokenizer;

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { words: analysis::words(text), token: Token::default() }
    }
}

pub(super) struct WordStream<'a> {
    words: Words<'a>,
    token: Token,
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.position = self.token.position.wrapping_add(1);
        self.words.next_into(&mut self.token.text)
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
