//! The native query language: text to [`Query`] and back.
//!
//! ```text
//! kind:authentication outcome:failure actor:root     all of them
//! source:10.0.0.*   target:*   id:"two words"*       beginning of a value; any value; quoted beginning
//! occurred:>=2026-01-01T00:00:00Z                    also > <= <
//! occurred:2026-01-01   number:[10 TO 20}            the whole day (UTC); inclusive and exclusive ends
//! kind:(file OR web)                                 several values of one field
//! "session closed" -(root OR admin) NOT cron         words side by side; exclusion
//! ```
//!
//! A blank or `AND` asks for both sides, `OR` for either and binds less; `NOT` and `-` exclude. A bare word is a word of
//! the text or the whole value of any keyword field. A backslash takes the next character as it is, as quotes do for
//! everything but quote and backslash. No text at all asks for everything, and so does `*`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::document::{Field, NumberField};
use crate::query::Query;

/// Longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of parentheses and exclusions.
pub const DEPTH_MAX: usize = 64;
/// Most words and field values in one query.
pub const TERMS_MAX: usize = 1_000;

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {at} of the query)")]
pub struct ParseError {
    /// Where, in bytes from the beginning of the text.
    pub at: usize,
    /// What is wrong and what to do, for whoever typed it.
    pub message: String,
}

/// Reads a query in the native language.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(error(TEXT_BYTES_MAX, format!("a query has at most {TEXT_BYTES_MAX} bytes")));
    }
    let mut parser = Parser { text, at: 0, depth: 0, terms: 0, scope: None };
    parser.skip_blanks();
    if parser.rest().is_empty() {
        return Ok(Query::All);
    }
    let query = parser.either()?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(error(parser.at, "this parenthesis closes nothing; to search for it, put it in quotes")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
    /// The field whose values stand in the parentheses being read.
    scope: Option<AnyField>,
}

#[derive(Clone, Copy)]
enum AnyField {
    Keyword(Field),
    Number(NumberField),
}

/// Characters up to a blank, parenthesis or quote, with escapes resolved.
#[derive(Default)]
struct Bare {
    text: String,
    /// Where in `text` the stars stand that were not escaped.
    stars: Vec<usize>,
}

/// What a number or time covers: one value, or a whole day.
#[derive(Clone, Copy)]
struct Extent {
    min: i64,
    max: i64,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// True if the next thing is this operator, standing alone.
    fn at_operator(&self, operator: &str) -> bool {
        self.rest().strip_prefix(operator).is_some_and(|after| after.chars().next().is_none_or(ends_bare))
    }

    fn eat_operator(&mut self, operator: &str) -> bool {
        let found = self.at_operator(operator);
        if found {
            self.at += operator.len();
            self.skip_blanks();
        }
        found
    }

    fn either(&mut self) -> Result<Query, ParseError> {
        let mut sides = vec![self.both()?];
        while self.eat_operator("OR") {
            sides.push(self.both()?);
        }
        Ok(one_or(sides, Query::Or))
    }

    fn both(&mut self) -> Result<Query, ParseError> {
        let mut parts = vec![self.single()?];
        loop {
            self.skip_blanks();
            if self.eat_operator("AND") {
                parts.push(self.single()?);
            } else if matches!(self.peek(), None | Some(')')) || self.at_operator("OR") {
                return Ok(one_or(parts, Query::And));
            } else {
                parts.push(self.single()?);
            }
        }
    }

    /// A term, a parenthesis, or the exclusion of one; blanks after it are consumed.
    fn single(&mut self) -> Result<Query, ParseError> {
        self.skip_blanks();
        let start = self.at;
        if self.at_operator("AND") || self.at_operator("OR") {
            return Err(error(
                start,
                "something is missing before this operator; to search for the word, put it in quotes",
            ));
        }
        let excluded = self.eat_operator("NOT") || self.eat("-");
        let query = if excluded {
            if self.peek().is_none_or(char::is_whitespace) {
                return Err(error(start, "nothing follows that could be excluded; to search for it, put it in quotes"));
            }
            let inner = self.nested(start, Self::single)?;
            Query::Not(Box::new(inner))
        } else if self.eat("(") {
            self.group(start)?
        } else {
            self.term()?
        };
        self.skip_blanks();
        Ok(query)
    }

    fn nested(
        &mut self,
        start: usize,
        read: impl FnOnce(&mut Self) -> Result<Query, ParseError>,
    ) -> Result<Query, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(start, format!("nested more than {DEPTH_MAX} deep")));
        }
        let query = read(self)?;
        self.depth -= 1;
        Ok(query)
    }

    /// What stands in parentheses, after the opening one.
    fn group(&mut self, start: usize) -> Result<Query, ParseError> {
        self.skip_blanks();
        if self.peek() == Some(')') {
            return Err(error(start, "nothing stands in these parentheses"));
        }
        let query = self.nested(start, Self::either)?;
        if !self.eat(")") {
            return Err(error(start, "this parenthesis is never closed; to search for it, put it in quotes"));
        }
        Ok(query)
    }

    fn term(&mut self) -> Result<Query, ParseError> {
        let start = self.at;
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(error(start, format!("more than {TERMS_MAX} terms; ask several smaller questions")));
        }
        match (self.peek(), self.scope) {
            (None, _) => Err(error(start, "the query ends where a term should stand")),
            (Some(')'), _) => {
                Err(error(start, "a term should stand before this parenthesis; to search for it, put it in quotes"))
            }
            (_, Some(field)) => self.value(field),
            (Some('"'), None) => Ok(text_query(self.quoted()?)),
            (Some(_), None) => {
                if let Some(name) = self.field_name() {
                    let field = known_field(name, start)?;
                    self.at += name.len() + 1;
                    return self.value(field);
                }
                let bare = self.bare()?;
                match bare.stars.as_slice() {
                    [] => Ok(Query::Word(bare.text)),
                    [0] if bare.text == "*" => Ok(Query::All),
                    _ => Err(error(
                        start,
                        "a word of the text is found whole; * works after the beginning of a field's value, as in source:10.0.*",
                    )),
                }
            }
        }
    }

    /// The name before a colon, if the next bare run has a colon in it.
    fn field_name(&self) -> Option<&'a str> {
        let run = self.rest();
        let end = run.find(|c| c == ':' || c == '\\' || ends_bare(c))?;
        run[end..].starts_with(':').then_some(&run[..end])
    }

    /// What follows the colon after a field's name, or stands in its parentheses.
    fn value(&mut self, field: AnyField) -> Result<Query, ParseError> {
        let start = self.at;
        if self.scope.is_none() && self.eat("(") {
            self.scope = Some(field);
            let group = self.group(start)?;
            self.scope = None;
            return Ok(group);
        }
        match field {
            AnyField::Keyword(field) => self.keyword_value(field),
            AnyField::Number(field) => self.number_value(field),
        }
    }

    fn keyword_value(&mut self, field: Field) -> Result<Query, ParseError> {
        let start = self.at;
        match self.peek() {
            Some('"') => {
                let value = self.quoted()?;
                return Ok(if self.eat("*") {
                    Query::KeywordPrefix { field, prefix: value }
                } else {
                    Query::Keyword { field, value }
                });
            }
            Some('[' | '{' | '<' | '>') => {
                let message = format!(
                    "{field} has no order; ranges work with number, occurred and recorded. To search for the value as it stands, put it in quotes"
                );
                return Err(error(start, message));
            }
            _ => {}
        }
        let mut bare = self.bare()?;
        let last = bare.text.len().saturating_sub(1);
        match bare.stars.as_slice() {
            [] if bare.text.is_empty() => Err(error(
                start,
                format!("{field} has no value here; {field}:* asks for any value, {field}:\"\" for an empty one"),
            )),
            [] => Ok(Query::Keyword { field, value: bare.text }),
            [0] if last == 0 => Ok(Query::Exists { field }),
            [star] if *star == last => {
                bare.text.pop();
                Ok(Query::KeywordPrefix { field, prefix: bare.text })
            }
            _ => Err(error(start, "* works only at the end of a value; write \\* for the character itself")),
        }
    }

    fn number_value(&mut self, field: NumberField) -> Result<Query, ParseError> {
        let start = self.at;
        if matches!(self.peek(), Some('[' | '{')) {
            return self.interval(field);
        }
        let comparison = [">=", "<=", ">", "<"].into_iter().find(|comparison| self.eat(comparison));
        let at = self.at;
        let text = if self.peek() == Some('"') { self.quoted()? } else { self.bare()?.text };
        if text.is_empty() {
            return Err(error(start, format!("{field} has no value here; {}", value_hint(field))));
        }
        if comparison.is_none() && text == "*" {
            return Ok(Query::Range { field, min: None, max: None });
        }
        let extent = extent(field, &text, at)?;
        Ok(match comparison {
            None => Query::Range { field, min: Some(extent.min), max: Some(extent.max) },
            Some(">=") => Query::Range { field, min: Some(extent.min), max: None },
            Some("<=") => Query::Range { field, min: None, max: Some(extent.max) },
            Some(">") => above(extent.max).map_or(Query::None, |min| Query::Range { field, min, max: None }),
            Some(_) => below(extent.min).map_or(Query::None, |max| Query::Range { field, min: None, max }),
        })
    }

    /// `[a TO b]`, a brace instead of a bracket leaving that end out, a star for an open end.
    fn interval(&mut self, field: NumberField) -> Result<Query, ParseError> {
        let start = self.at;
        let shape = || error(start, format!("a range looks like {field}:[{} TO *]", sample(field)));
        let Some(length) = self.rest().find([']', '}']) else { return Err(shape()) };
        let inside = &self.rest()[1..length];
        let (open, close) = (self.rest().starts_with('{'), self.rest()[length..].starts_with('}'));
        let (from, to) = inside.split_once(" TO ").ok_or_else(shape)?;
        let to_at = start + 1 + from.len() + " TO ".len();
        self.at += length + 1;
        if self.peek().is_some_and(|c| !ends_bare(c)) {
            return Err(error(self.at, "a blank should stand after a range"));
        }
        let end = |text: &str, at: usize| match text.trim() {
            "*" => Ok(None),
            "" => Err(shape()),
            trimmed => extent(field, trimmed, at + (text.len() - text.trim_start().len())).map(Some),
        };
        let min = match end(from, start + 1)? {
            None => Some(None),
            Some(extent) if open => above(extent.max),
            Some(extent) => Some(Some(extent.min)),
        };
        let max = match end(to, to_at)? {
            None => Some(None),
            Some(extent) if close => below(extent.min),
            Some(extent) => Some(Some(extent.max)),
        };
        Ok(match (min, max) {
            (Some(min), Some(max)) => Query::Range { field, min, max },
            _ => Query::None,
        })
    }

    fn bare(&mut self) -> Result<Bare, ParseError> {
        let mut bare = Bare::default();
        while let Some(c) = self.peek().filter(|&c| !ends_bare(c)) {
            let start = self.at;
            self.at += c.len_utf8();
            match c {
                '\\' => bare.text.push(self.escaped(start)?),
                '*' => {
                    bare.stars.push(bare.text.len());
                    bare.text.push('*');
                }
                other => bare.text.push(other),
            }
        }
        Ok(bare)
    }

    fn quoted(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let at = self.at;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped(at)?),
                other => text.push(other),
            }
        }
        Err(error(start, "this quote is never closed; write \\\" for the character itself"))
    }

    fn escaped(&mut self, backslash: usize) -> Result<char, ParseError> {
        let Some(c) = self.peek() else {
            return Err(error(backslash, "nothing follows this backslash; write \\\\ for the character itself"));
        };
        self.at += c.len_utf8();
        Ok(c)
    }
}

fn error(at: usize, message: impl Into<String>) -> ParseError {
    ParseError { at, message: message.into() }
}

fn ends_bare(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

fn one_or(mut parts: Vec<Query>, many: fn(Vec<Query>) -> Query) -> Query {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

/// Quoted text: several words are a phrase.
fn text_query(text: String) -> Query {
    if text.contains(' ') { Query::Phrase(text.split(' ').map(str::to_owned).collect()) } else { Query::Word(text) }
}

fn known_field(name: &str, at: usize) -> Result<AnyField, ParseError> {
    let lower = name.to_ascii_lowercase();
    if let Ok(field) = Field::from_str(&lower) {
        return Ok(AnyField::Keyword(field));
    }
    if let Ok(field) = NumberField::from_str(&lower) {
        return Ok(AnyField::Number(field));
    }
    let known: Vec<&str> =
        Field::ALL.iter().map(|field| field.name()).chain(NumberField::ALL.iter().map(|field| field.name())).collect();
    let message = format!(
        "there is no field {name:?}; the fields are {}. To search for text with a colon in it, put it in quotes",
        known.join(", ")
    );
    Err(error(at, message))
}

fn extent(field: NumberField, text: &str, at: usize) -> Result<Extent, ParseError> {
    let found =
        if field.is_time() { time(text) } else { text.parse().ok().map(|value| Extent { min: value, max: value }) };
    found.ok_or_else(|| error(at, format!("{text:?} is not a value of {field}; {}", value_hint(field))))
}

/// A date, which is the whole day in UTC, an RFC 3339 time, or microseconds since 1970 as in `1500us`.
fn time(text: &str) -> Option<Extent> {
    if let Some(digits) = text.strip_suffix("us") {
        let value = digits.parse().ok()?;
        return Some(Extent { min: value, max: value });
    }
    if text.len() == "2026-01-01".len() {
        let day = Date::from_str(text).ok()?;
        let start = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond());
        let min = start(day)?;
        let max =
            day.checked_add(1.day()).ok().and_then(start).map_or(Timestamp::MAX.as_microsecond(), |next| next - 1);
        return Some(Extent { min, max });
    }
    let value = Timestamp::from_str(text).ok()?.as_microsecond();
    Some(Extent { min: value, max: value })
}

fn value_hint(field: NumberField) -> &'static str {
    if field.is_time() {
        "a time is a date such as 2026-01-31 or RFC 3339 with its offset such as 2026-01-31T08:00:00Z"
    } else {
        "it is a whole number"
    }
}

fn sample(field: NumberField) -> &'static str {
    if field.is_time() { "2026-01-31" } else { "1" }
}

/// The least bound above the value; none if there is no such value.
fn above(value: i64) -> Option<Option<i64>> {
    value.checked_add(1).map(Some)
}

fn below(value: i64) -> Option<Option<i64>> {
    value.checked_sub(1).map(Some)
}

pub(crate) fn write_query(query: &Query, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match query {
        Query::All => f.write_str("*"),
        Query::None => f.write_str("NOT *"),
        Query::Keyword { field, value } => {
            write!(f, "{field}:")?;
            write_text(value, f)
        }
        Query::KeywordPrefix { field, prefix } => {
            write!(f, "{field}:")?;
            write_text(prefix, f)?;
            f.write_str("*")
        }
        Query::Range { field, min, max } => write_range(*field, *min, *max, f),
        Query::Exists { field } => write!(f, "{field}:*"),
        Query::Word(word) => write_text(word, f),
        Query::Phrase(strings) => write_quoted(&strings.join(" "), f),
        Query::And(parts) => write_list(parts, " ", "*", f),
        Query::Or(parts) => write_list(parts, " OR ", "NOT *", f),
        Query::Not(inner) => {
            f.write_str("NOT ")?;
            write_part(inner, f)
        }
    }
}

fn write_list(parts: &[Query], between: &str, empty: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match parts {
        [] => f.write_str(empty),
        [one] => write_query(one, f),
        [first, rest @ ..] => {
            write_part(first, f)?;
            for part in rest {
                f.write_str(between)?;
                write_part(part, f)?;
            }
            Ok(())
        }
    }
}

fn write_part(query: &Query, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match query {
        Query::And(parts) | Query::Or(parts) if parts.len() > 1 => {
            f.write_str("(")?;
            write_query(query, f)?;
            f.write_str(")")
        }
        Query::And(parts) | Query::Or(parts) if parts.len() == 1 => write_part(&parts[0], f),
        _ => write_query(query, f),
    }
}

fn write_range(field: NumberField, min: Option<i64>, max: Option<i64>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{field}:")?;
    match (min, max) {
        (None, None) => f.write_str("*"),
        (Some(min), None) => write!(f, ">={}", Shown(field, min)),
        (None, Some(max)) => write!(f, "<={}", Shown(field, max)),
        (Some(min), Some(max)) if min == max => write!(f, "{}", Shown(field, min)),
        (Some(min), Some(max)) => write!(f, "[{} TO {}]", Shown(field, min), Shown(field, max)),
    }
}

/// A value of a number field as query text.
struct Shown(NumberField, i64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(field, value) = *self;
        match Timestamp::from_microsecond(value) {
            // Years before 0 have six digits and a sign, which RFC 3339 does not know.
            Ok(time) if field.is_time() && time.as_second() > -62_135_596_800 => write!(f, "{time}"),
            _ if field.is_time() => write!(f, "{value}us"),
            _ => write!(f, "{value}"),
        }
    }
}

fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let special = |c: char| ends_bare(c) || c.is_control() || matches!(c, ':' | '\\' | '*');
    let first = text.chars().next();
    if first.is_none_or(|c| matches!(c, '-' | '[' | '{' | '<' | '>'))
        || text.contains(special)
        || matches!(text, "AND" | "OR" | "NOT")
    {
        write_quoted(text, f)
    } else {
        f.write_str(text)
    }
}

fn write_quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}
