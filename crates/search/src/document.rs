//! What can be found: a document and its fields.

use std::fmt;
use std::str::FromStr;

/// A keyword field: holds any number of values, each found whole or by prefix, after [`crate::analysis::keyword`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Identifiers the sender gave, and any other unique token (hashes, request numbers).
    Id,
    /// The closed set of kinds.
    Kind,
    /// What was done.
    Action,
    /// How it ended.
    Outcome,
    /// Who did it: every name and id of the actor.
    Actor,
    /// On whose behalf or through whom.
    IndirectActor,
    /// Where it came from: address, host, application.
    Source,
    /// The session it belongs to.
    Session,
    /// What ties it to others.
    Correlation,
    /// What it was done to: every name and id of every target.
    Target,
    /// Anything else worth an exact match.
    Tag,
}

impl Field {
    /// Every field, in the order in which errors list them.
    pub const ALL: [Field; 11] = [
        Field::Id,
        Field::Kind,
        Field::Action,
        Field::Outcome,
        Field::Actor,
        Field::IndirectActor,
        Field::Source,
        Field::Session,
        Field::Correlation,
        Field::Target,
        Field::Tag,
    ];

    /// The name used in query text.
    pub fn name(self) -> &'static str {
        match self {
            Field::Id => "id",
            Field::Kind => "kind",
            Field::Action => "action",
            Field::Outcome => "outcome",
            Field::Actor => "actor",
            Field::IndirectActor => "indirect_actor",
            Field::Source => "source",
            Field::Session => "session",
            Field::Correlation => "correlation",
            Field::Target => "target",
            Field::Tag => "tag",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(name: &str) -> Result<Self, UnknownField> {
        Self::ALL.into_iter().find(|field| field.name() == name).ok_or(UnknownField)
    }
}

/// A field of one number per document, found by range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NumberField {
    /// The document's number in its log.
    Number,
    /// When it happened, in microseconds since 1970 (UTC).
    OccurredAt,
    /// When it was recorded, in microseconds since 1970 (UTC).
    RecordedAt,
}

impl NumberField {
    /// Every field, in the order in which errors list them.
    pub const ALL: [NumberField; 3] = [NumberField::Number, NumberField::OccurredAt, NumberField::RecordedAt];

    /// The name used in query text.
    pub fn name(self) -> &'static str {
        match self {
            NumberField::Number => "number",
            NumberField::OccurredAt => "occurred",
            NumberField::RecordedAt => "recorded",
        }
    }

    /// True if the values are times in microseconds.
    pub fn is_time(self) -> bool {
        self != NumberField::Number
    }
}

impl fmt::Display for NumberField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NumberField {
    type Err = UnknownField;

    fn from_str(name: &str) -> Result<Self, UnknownField> {
        match name {
            "number" => Ok(NumberField::Number),
            "occurred" | "occurred_at" => Ok(NumberField::OccurredAt),
            "recorded" | "recorded_at" => Ok(NumberField::RecordedAt),
            _ => Err(UnknownField),
        }
    }
}

/// No field has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no field has that name")]
pub struct UnknownField;

/// One thing that can be found, by what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The number in its log; within one log, documents are added in rising order of it.
    pub number: u64,
    /// When it happened, in microseconds since 1970 (UTC).
    pub occurred_at_us: i64,
    /// When it was recorded, in microseconds since 1970 (UTC).
    pub recorded_at_us: i64,
    /// Values found whole or by prefix; a field may occur any number of times. Unique tokens (ids, hashes, long
    /// numbers) belong here and not in `text`: a bare word finds them here too, at a third of the cost.
    pub keywords: Vec<(Field, String)>,
    /// Texts found by their words; a phrase never reaches from one text into the next.
    pub text: Vec<String>,
}

impl Document {
    pub(crate) fn number_in(&self, field: NumberField) -> i128 {
        match field {
            NumberField::Number => i128::from(self.number),
            NumberField::OccurredAt => i128::from(self.occurred_at_us),
            NumberField::RecordedAt => i128::from(self.recorded_at_us),
        }
    }
}
