//! The folder of an index: tantivy's files, and the mark that is written last.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tantivy::schema::{FAST, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::analysis::{Tokens, tokens};
use super::bm25::Statistics;
use super::document::ContentField;
use super::{ContentDocument, Error};

/// Name of the file without which the index is not finished.
const MARK: &str = "counterfoil-content";
/// Raised whenever fields, analysis or files change: older indexes are then made anew.
const VERSION: u32 = 1;
/// Name of [`tokens`] in the schema.
pub(super) const TOKENIZER: &str = "content-1";

/// What the mark says: what the files do not, or not at once.
#[derive(Serialize, Deserialize)]
pub(super) struct Mark {
    version: u32,
    pub(super) documents: u32,
    /// In the order of [`ContentField::ALL`].
    pub(super) statistics: [Statistics; 4],
}

impl Mark {
    pub(super) fn new(documents: u32, statistics: [Statistics; 4]) -> Mark {
        Mark { version: VERSION, documents, statistics }
    }

    /// Written under another name first: a mark is whole or not there.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec(self).expect("numbers can always be written as JSON");
        let temporary = folder.join(format!("{MARK}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(MARK))?;
        File::open(folder)?.sync_all()?;
        Ok(())
    }

    pub(super) fn read(folder: &Path) -> Result<Mark, Error> {
        let text = match fs::read(folder.join(MARK)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(unusable("it was never finished")),
            Err(error) => return Err(Error::Io(error)),
        };
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // The version first: the rest of another version's mark may look different.
        match serde_json::from_slice(&text) {
            Ok(Version { version: VERSION }) => {}
            Ok(Version { version }) => return Err(unusable(format!("made by version {version} of this program"))),
            Err(error) => return Err(unusable(format!("its mark cannot be read: {error}"))),
        }
        serde_json::from_slice(&text).map_err(|error| unusable(format!("its mark cannot be read: {error}")))
    }
}

pub(super) fn unusable(detail: impl Into<String>) -> Error {
    Error::Unusable { detail: detail.into() }
}

/// The columns, as tantivy numbers them.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    /// In the order of [`ContentField::ALL`].
    pub(super) content: [Field; 4],
    pub(super) payload: Field,
    /// How many documents came before: tells segments' order before they are merged.
    pub(super) ordinal: Field,
}

pub(super) const PAYLOAD: &str = "payload";
pub(super) const ORDINAL: &str = "ordinal";

pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let content = ContentField::ALL.map(|field| {
        let indexing = match field {
            ContentField::Id => TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::Basic),
            _ => TextFieldIndexing::default()
                .set_tokenizer(TOKENIZER)
                .set_fieldnorms(true)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions),
        };
        schema.add_text_field(field.name(), TextOptions::default().set_indexing_options(indexing))
    });
    let payload = schema.add_u64_field(PAYLOAD, NumericOptions::from(FAST));
    let ordinal = schema.add_u64_field(ORDINAL, NumericOptions::from(FAST));
    (schema.build(), Fields { content, payload, ordinal })
}

impl Fields {
    pub(super) fn of(&self, field: ContentField) -> Field {
        self.content[field as usize]
    }

    pub(super) fn tantivy_document(&self, ordinal: u32, document: &ContentDocument<'_>) -> tantivy::TantivyDocument {
        let mut out = tantivy::TantivyDocument::new();
        for field in ContentField::ALL {
            let value = document.value(field);
            if !value.is_empty() {
                out.add_text(self.of(field), value);
            }
        }
        out.add_u64(self.payload, document.payload);
        out.add_u64(self.ordinal, u64::from(ordinal));
        out
    }
}

/// [`tokens`] as tantivy wants it.
#[derive(Clone)]
pub(super) struct ContentTokenizer;

impl Tokenizer for ContentTokenizer {
    type TokenStream<'a> = ContentStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> ContentStream<'a> {
        ContentStream { tokens: tokens(text), token: Token::default() }
    }
}

pub(super) struct ContentStream<'a> {
    tokens: Tokens<'a>,
    token: Token,
}

impl TokenStream for ContentStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.position = self.token.position.wrapping_add(1);
        match self.tokens.next_into(&mut self.token.text) {
            Some(bytes) => {
                self.token.offset_from = bytes.start;
                self.token.offset_to = bytes.end;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
