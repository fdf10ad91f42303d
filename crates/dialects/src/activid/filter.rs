//! The filter language: conditions joined by `and`, read into a tree of conditions. Source: `specs/scim-event.md` §6.3.
//!
//! ```text
//! filter     = condition *( "and" condition )
//! condition  = "(" filter ")" / attribute operator value
//! value      = JSON string / text up to the next blank or ")"
//! ```
//!
//! `and` is all there is, so groups change nothing: a filter is a flat list, and reading it needs no recursion.

use std::fmt;

use service::model::feed::Attribute;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::error::Fault;
use super::time::Moment;

/// Most conditions of one filter.
pub const CONDITIONS_MAX: usize = 50;

/// Longest piece of a filter that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// What is asked for: all of the conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In the order in which they were written.
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One of the event's types.
    Type(TypeTest),
    /// Received later than this.
    After(Moment),
    /// Received earlier than this.
    Before(Moment),
    /// One of the values of an attribute.
    Equals(Attribute, Pattern),
    /// Asks for verification, or says that none is wanted; no restriction.
    Verify(bool),
}

/// How a type is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeTest {
    /// `eq`.
    Equals(Pattern),
    /// `co`.
    Contains(String),
    /// `sw`.
    Begins(String),
    /// `ew`.
    Ends(String),
}

/// A text in which `*` may stand for any run of characters. Compared with regard to case, in Unicode NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the wildcards, in NFC; one piece: no wildcard.
    pieces: Vec<String>,
}

impl Filter {
    /// Reads a filter; blank text is no restriction.
    ///
    /// # Errors
    /// `InvalidFilter` naming the word that is wrong; `TooMany` over [`CONDITIONS_MAX`].
    pub fn read(text: &str) -> Result<Filter, Fault> {
        let mut words = Words { rest: text };
        let mut filter = Filter::default();
        let mut open = 0usize;
        if words.peek().is_none() {
            return Ok(filter);
        }
        loop {
            while words.skip('(') {
                open += 1;
            }
            if filter.conditions.len() == CONDITIONS_MAX {
                return Err(Fault::TooMany(format!("the filter has more than {CONDITIONS_MAX} conditions")));
            }
            filter.conditions.push(condition(&mut words)?);
            while words.peek() == Some(')') {
                if open == 0 {
                    return Err(invalid("a closing parenthesis has no opening one"));
                }
                words.skip(')');
                open -= 1;
            }
            match words.next() {
                None if open > 0 => return Err(invalid("a parenthesis is not closed")),
                None => return Ok(filter),
                Some(word) if word.eq_ignore_ascii_case("and") => {}
                Some(word) if word.eq_ignore_ascii_case("or") || word.eq_ignore_ascii_case("not") => {
                    return Err(invalid(format!("{} is not supported; conditions are joined by and", shown(word))));
                }
                Some(word) => {
                    return Err(invalid(format!("{} stands where and, or the end, is expected", shown(word))));
                }
            }
        }
    }

    /// Whether `verify eq true` is among the conditions.
    pub fn verify(&self) -> bool {
        self.conditions.contains(&Condition::Verify(true))
    }
}

fn condition(words: &mut Words<'_>) -> Result<Condition, Fault> {
    let Some(attribute) = words.next() else { return Err(invalid("the filter ends where a condition is expected")) };
    if attribute.is_empty() {
        return Err(invalid("a parenthesis closes where a condition is expected"));
    }
    if attribute.eq_ignore_ascii_case("not") || attribute.eq_ignore_ascii_case("or") {
        return Err(invalid(format!("{} is not supported; conditions are joined by and", shown(attribute))));
    }
    if attribute.contains(['[', ']']) {
        return Err(invalid(format!("{}: brackets are not supported", shown(attribute))));
    }
    let subject = Subject::find(attribute)?;
    let operator = words.next().filter(|word| !word.is_empty());
    let Some(operator) = operator else { return Err(invalid(format!("{attribute} has no operator"))) };
    let lower = operator.to_ascii_lowercase();
    if !subject.operators().contains(&lower.as_str()) {
        let known = subject.operators().join(", ");
        return Err(invalid(format!("{attribute} has no operator {}; it takes {known}", shown(operator))));
    }
    let value = words.value()?.ok_or_else(|| invalid(format!("{attribute} {operator} has no value")))?;
    let wildcards = match subject {
        Subject::Type => true,
        Subject::Attribute(attribute) => !matches!(attribute, Attribute::Status | Attribute::Resource),
        Subject::Created | Subject::Verify => false,
    };
    let moment = |value: &str| {
        Moment::read(value)
            .ok_or_else(|| invalid(format!("{} is not a time such as 2018-05-21T12:00:00Z", shown(value))))
    };
    Ok(match (subject, lower.as_str()) {
        (Subject::Type, "co") => Condition::Type(TypeTest::Contains(normal(&value))),
        (Subject::Type, "sw") => Condition::Type(TypeTest::Begins(normal(&value))),
        (Subject::Type, "ew") => Condition::Type(TypeTest::Ends(normal(&value))),
        (Subject::Type, _) => Condition::Type(TypeTest::Equals(Pattern::new(&value, wildcards))),
        (Subject::Created, "lt") => Condition::Before(moment(&value)?),
        (Subject::Created, _) => Condition::After(moment(&value)?),
        (Subject::Verify, _) => match value.as_str() {
            "true" => Condition::Verify(true),
            "false" => Condition::Verify(false),
            other => return Err(invalid(format!("verify eq {}: it takes true or false", shown(other)))),
        },
        (Subject::Attribute(attribute), _) => Condition::Equals(attribute, Pattern::new(&value, wildcards)),
    })
}

/// What a condition is about: a row of the table of §6.3.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Type,
    Created,
    Attribute(Attribute),
    Verify,
}

/// The names as the table writes them; case does not count.
const SUBJECTS: [(&str, Subject); 10] = [
    ("type", Subject::Type),
    ("meta.created", Subject::Created),
    ("directUserExtId", Subject::Attribute(Attribute::DirectUser)),
    ("indirectUserExtId", Subject::Attribute(Attribute::IndirectUser)),
    ("authenticationType", Subject::Attribute(Attribute::AuthenticationType)),
    ("resourceUris", Subject::Attribute(Attribute::Resource)),
    ("eventId", Subject::Attribute(Attribute::EventId)),
    ("correlationId", Subject::Attribute(Attribute::CorrelationId)),
    ("status", Subject::Attribute(Attribute::Status)),
    ("verify", Subject::Verify),
];

impl Subject {
    fn find(name: &str) -> Result<Subject, Fault> {
        let found = SUBJECTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, subject)| *subject).ok_or_else(|| invalid(format!("no attribute is called {}", shown(name))))
    }

    fn operators(self) -> &'static [&'static str] {
        match self {
            Subject::Type => &["eq", "co", "sw", "ew"],
            Subject::Created => &["lt", "gt"],
            Subject::Attribute(_) | Subject::Verify => &["eq"],
        }
    }
}

/// Cuts a filter into words, as each place in it asks.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.chars().next()
    }

    fn skip(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest = &self.rest[wanted.len_utf8()..];
        }
        found
    }

    /// The text up to the next blank or parenthesis: empty at a parenthesis, `None` at the end.
    fn next(&mut self) -> Option<&'a str> {
        self.peek()?;
        let end = self.rest.find(|c: char| c.is_ascii_whitespace() || c == '(' || c == ')').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        // What stands where `and` should, and is only a parenthesis, is still something to name.
        if word.is_empty() && rest.starts_with('(') {
            self.rest = &rest[1..];
            return Some(&rest[..1]);
        }
        self.rest = rest;
        Some(word)
    }

    /// A value; `None` where there is none.
    fn value(&mut self) -> Result<Option<String>, Fault> {
        match self.peek() {
            None | Some(')') => Ok(None),
            Some('"') => self.quoted().map(Some),
            Some(_) => {
                let end = self.rest.find(|c: char| c.is_ascii_whitespace() || c == ')').unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                Ok(Some(word.to_owned()))
            }
        }
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let Some((end, _)) = end else { return Err(invalid(format!("{} has no closing quote", shown(self.rest)))) };
        let (text, rest) = self.rest.split_at(end + 1);
        let value = serde_json::from_str(text).map_err(|_| invalid(format!("{} is not a JSON string", shown(text))))?;
        if rest.starts_with(|c: char| !c.is_ascii_whitespace() && c != ')') {
            return Err(invalid(format!("{} is followed by text without a blank between", shown(text))));
        }
        self.rest = rest;
        Ok(value)
    }
}

impl Pattern {
    /// `wildcards`: whether `*` stands for any run of characters; else it is a character as any other.
    pub fn new(text: &str, wildcards: bool) -> Pattern {
        let text = normal(text);
        let pieces = if wildcards { text.split('*').map(str::to_owned).collect() } else { vec![text] };
        Pattern { pieces }
    }

    /// The whole text, if there is no wildcard in it.
    pub fn whole(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [whole] => Some(whole),
            _ => None,
        }
    }

    /// What every match begins with.
    pub fn prefix(&self) -> &str {
        &self.pieces[0]
    }

    /// Says whether `value` (in NFC) matches.
    pub fn matches(&self, value: &str) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else { return self.whole() == Some(value) };
        if !begins(value, first) {
            return false;
        }
        let mut rest = &value[first.len()..];
        for piece in middle {
            // The leftmost place is the best: it leaves the most for what follows.
            let Some(at) = rest.find(piece.as_str()) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

/// Says whether `value` begins with `prefix`, both in NFC. A mark that combines belongs to the letter before it, so a
/// prefix never ends between the two; the index, which writes both as one character, sees it the same way.
pub fn begins(value: &str, prefix: &str) -> bool {
    value.strip_prefix(prefix).is_some_and(|rest| prefix.is_empty() || !rest.starts_with(is_combining_mark))
}

/// The form in which texts are compared.
pub fn normal(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfc().collect() }
}

impl TypeTest {
    /// Says whether a type (in NFC) passes.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            TypeTest::Equals(pattern) => pattern.matches(value),
            TypeTest::Contains(part) => value.contains(part.as_str()),
            TypeTest::Begins(prefix) => begins(value, prefix),
            TypeTest::Ends(suffix) => value.ends_with(suffix.as_str()),
        }
    }
}

fn invalid(what: impl Into<String>) -> Fault {
    Fault::InvalidFilter(what.into())
}

/// A piece of the caller's text as an error shows it.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Writes the filter with quoted values; reads back to the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.conditions.iter().enumerate() {
            if at > 0 {
                f.write_str(" and ")?;
            }
            match condition {
                Condition::Type(TypeTest::Equals(pattern)) => write!(f, "type eq {pattern}")?,
                Condition::Type(TypeTest::Contains(part)) => write!(f, "type co {}", quoted(part))?,
                Condition::Type(TypeTest::Begins(part)) => write!(f, "type sw {}", quoted(part))?,
                Condition::Type(TypeTest::Ends(part)) => write!(f, "type ew {}", quoted(part))?,
                Condition::After(moment) => write!(f, "meta.created gt {moment}")?,
                Condition::Before(moment) => write!(f, "meta.created lt {moment}")?,
                Condition::Verify(asked) => write!(f, "verify eq {asked}")?,
                Condition::Equals(attribute, pattern) => {
                    let name = SUBJECTS.iter().find(|(_, subject)| *subject == Subject::Attribute(*attribute));
                    write!(f, "{} eq {pattern}", name.map_or("", |(name, _)| name))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.pieces.join("*")))
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Filter {
        Filter::read(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn values_mean_the_same_with_and_without_quotes() {
        let check = |bare: &str, quoted: &str| assert_eq!(read(bare), read(quoted), "{bare}");
        check("type eq indirectP*", r#"type eq "indirectP*""#);
        check("meta.created gt 2018-05-21T12:00:00Z", r#"META.Created GT "2018-05-21T12:00:00Z""#);
        check("verify eq true", r#"verify eq "true""#);
        check("resourceUris eq https://x/Users/1", r#"resourceuris EQ "https:\/\/x/Users/1""#);
        check("type sw a\"b", r#"type sw "a\"b""#);
        check("type eq f(x", r#"type eq "f(x""#);
        check("  (type eq a) AND ( (status eq b)and(eventId eq c))  ", "type eq a and status eq b and eventId eq c");
        check("", " \t ");
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_and_named() {
        let check = |text: &str, word: &str| match Filter::read(text) {
            Err(Fault::InvalidFilter(detail)) => assert!(detail.contains(word), "{text}: {detail}"),
            other => panic!("{text}: {other:?}"),
        };
        check("type eq a or type eq b", "or");
        check("not (type eq a)", "not");
        check("type pr", "pr");
        check("type ne a", "ne");
        check("meta.created ge 2018-05-21T12:00:00Z", "ge");
        check("meta.created le 2018-05-21T12:00:00Z", "le");
        check("meta.created eq 2018-05-21T12:00:00Z", "eq");
        check("status co RESPONSE", "co");
        check("userName eq a", "userName");
        check("emails[type eq a]", "emails[type");
        check("type", "no operator");
        check("type eq", "no value");
        check("type eq )", "no value");
        check("(type eq )", "no value");
        check("type eq \"a", "closing quote");
        check("type eq \"\\x\"", "JSON string");
        check("type eq \"a\"b", "blank");
        check("type eq a b", "\"b\"");
        check("type eq a and", "ends");
        check("and type eq a", "and");
        check("type eq a type eq b", "\"type\"");
        check("(type eq a", "not closed");
        check("type eq a)", "no opening");
        check("()", "closes");
        check("type eq a (status eq b)", "\"(\"");
        check("verify eq maybe", "maybe");
        check("verify eq TRUE", "TRUE");
        check("meta.created gt yesterday", "yesterday");
        check("meta.created gt 2018-13-21T12:00:00Z", "2018-13");
    }

    #[test]
    fn fifty_conditions_are_enough() {
        let many = |count: usize| vec!["type eq a"; count].join(" and ");
        assert_eq!(read(&many(CONDITIONS_MAX)).conditions.len(), CONDITIONS_MAX);
        assert!(matches!(Filter::read(&many(CONDITIONS_MAX + 1)), Err(Fault::TooMany(_))));
        assert!(Filter::read(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn a_wildcard_stands_for_any_run_of_characters_and_case_counts() {
        let check = |pattern: &str, value: &str, expected: bool| {
            assert_eq!(Pattern::new(pattern, true).matches(value), expected, "{pattern} {value}");
        };
        check("indirectP*", "indirectPrimary", true);
        check("indirectP*", "indirectP", true);
        check("indirectP*", "indirectp", false);
        check("*", "", true);
        check("a*b*c", "abc", true);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "ab", false);
        check("ab*bc", "abc", false);
        check("**", "x", true);
        check("a", "ab", false);
        assert!(Pattern::new("a*", false).matches("a*") && !Pattern::new("a*", false).matches("ab"));
        // One letter in two spellings is one letter.
        check("Z\u{fc}rich*", &normal("Zu\u{308}rich HB"), true);
        check("e*", "e\u{331}x", false);
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let text = || "[ -~\u{e9}\u{308}*\\\\\"()]{0,8}".prop_map(|text| normal(&text));
        let moment = || {
            (any::<i32>(), 0u32..1_000_000, any::<bool>())
                .prop_map(|(ms, ns, finer)| Moment::new(i64::from(ms) * 37, ns, finer))
        };
        prop_oneof![
            text().prop_map(|text| Condition::Type(TypeTest::Equals(Pattern::new(&text, true)))),
            text().prop_map(|text| Condition::Type(TypeTest::Contains(text))),
            text().prop_map(|text| Condition::Type(TypeTest::Begins(text))),
            text().prop_map(|text| Condition::Type(TypeTest::Ends(text))),
            moment().prop_map(Condition::After),
            moment().prop_map(Condition::Before),
            any::<bool>().prop_map(Condition::Verify),
            (prop::sample::select(&Attribute::ALL[..]), text()).prop_map(|(attribute, text)| {
                let wildcards = !matches!(attribute, Attribute::Status | Attribute::Resource);
                Condition::Equals(attribute, Pattern::new(&text, wildcards))
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(conditions in prop::collection::vec(condition(), 0..6)) {
            let filter = Filter { conditions };
            prop_assert_eq!(Filter::read(&filter.to_string()).unwrap(), filter);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            let _ = Filter::read(&text);
        }

        #[test]
        fn anything_like_a_filter_is_answered_and_reads_back(text in "(type|status|meta.created|verify|and|or|eq|gt|co|\\(|\\)|\"a b\"|\"|x\\*|true|2018-05-21T12:00:00Z| ){0,16}") {
            if let Ok(filter) = Filter::read(&text) {
                prop_assert_eq!(Filter::read(&filter.to_string()).unwrap(), filter);
            }
        }

        #[test]
        fn a_wildcard_matches_whatever_stands_in_its_place(pieces in prop::collection::vec("[a-c]{0,3}", 2..4), between in "[a-d]{0,3}") {
            let pattern = Pattern::new(&pieces.join("*"), true);
            prop_assert!(pattern.matches(&pieces.join(&between)));
        }
    }
}
