//! What goes into the index, and what comes out.

use super::Error;

/// Longest text, command or title of one document, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 20;
/// Longest id, in bytes.
pub const ID_BYTES_MAX: usize = 1024;

/// Where a document has tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContentField {
    /// What the screen showed; the field of a query that names none.
    Text,
    /// A command that was typed.
    Command,
    /// A window's title.
    Title,
    /// One token as it came, without a length: for what names a document.
    Id,
}

impl ContentField {
    /// All of them.
    pub const ALL: [ContentField; 4] =
        [ContentField::Text, ContentField::Command, ContentField::Title, ContentField::Id];

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            ContentField::Text => "text",
            ContentField::Command => "command",
            ContentField::Title => "title",
            ContentField::Id => "id",
        }
    }

    /// The field of this name; names are told apart by case.
    pub fn named(name: &str) -> Option<ContentField> {
        ContentField::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Whether scores depend on how many tokens a document has in it.
    pub(super) fn has_lengths(self) -> bool {
        self != ContentField::Id
    }
}

/// One document to be indexed. What is empty is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentDocument<'a> {
    /// For [`ContentField::Text`].
    pub text: &'a str,
    /// For [`ContentField::Command`].
    pub command: &'a str,
    /// For [`ContentField::Title`].
    pub title: &'a str,
    /// For [`ContentField::Id`].
    pub id: &'a str,
    /// Comes back with each hit.
    pub payload: u64,
}

impl<'a> ContentDocument<'a> {
    /// What it has in a field.
    pub fn value(&self, field: ContentField) -> &'a str {
        match field {
            ContentField::Text => self.text,
            ContentField::Command => self.command,
            ContentField::Title => self.title,
            ContentField::Id => self.id,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        for field in ContentField::ALL {
            let (what, max) = match field {
                ContentField::Id => ("id of a document, in bytes,", ID_BYTES_MAX),
                _ => ("text of a document, in bytes,", TEXT_BYTES_MAX),
            };
            if self.value(field).len() > max {
                return Err(Error::TooLarge { what, max: max as u64 });
            }
        }
        Ok(())
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// How many documents match; exact, whatever the limit was.
    pub total: u64,
    /// The best of them: by score, the highest first, then in the order in which they were added.
    pub hits: Vec<Hit>,
}

/// One document that matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its number: how many documents were added before it.
    pub document: u32,
    /// What the document came with.
    pub payload: u64,
    /// How well it matches; 0 and more, on no particular scale.
    pub score: f32,
}
