//! The filter of the session search: `field:value` over a session's members, joined as Lucene's classic parser joins clauses.
//!
//! ```text
//! protocol:SSH AND user.name:bob        client.name: 10.0.0.1 AND user.name:*        -verdict:ACCEPT "some words"
//! ```
//!
//! There is no precedence: each clause is required, optional or prohibited (`specs/lucene-query.md` §4). A value is the whole of a
//! member, without regard to case; it may hold `*` and `?`, stand in quotes, or be a range `[a TO b]` of numbers, times or text.
//! A bare word looks into every text of the session. `screen.content:` looks into what was on its screen.

use serde_json::Value;
use service::recordings::filter as catalogue;
use service::search::Query;

use super::body;
use super::error::Failure;

/// Brackets inside brackets.
const DEPTH_MAX: usize = 100;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every session.
    All,
    /// A member has a value like this.
    Member { field: String, value: Wanted },
    /// Some text of the session holds these words.
    Words(String),
    /// What was on the screen matches; the text is a query of its own.
    Content(String),
    /// Clauses in a row.
    Clauses(Vec<(Occurs, Filter)>),
}

/// Whether a clause must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurs {
    Required,
    Optional,
    Prohibited,
}

/// What a value must be like.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Any there is.
    Any,
    /// Exactly this, without regard to case.
    Exactly(String),
    /// Like this, with `*` and `?`.
    Like(String),
    /// Between these.
    Range { from: Option<String>, to: Option<String>, with_from: bool, with_to: bool },
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `InvalidQueryValue` with the place.
    pub fn read(text: &str) -> Result<Filter, Failure> {
        let mut reader = Reader { characters: text.chars().collect(), at: 0, depth: 0 };
        let filter = reader.clauses().and_then(|filter| match reader.at == reader.characters.len() {
            true => Ok(filter),
            false => Err("a closing bracket without an opening one".to_owned()),
        });
        filter.map_err(|why| Failure::unparsable("q", text, reader.at, why))
    }

    /// What the catalogue can decide of it: every session that matches, and perhaps others.
    pub fn narrowed(&self) -> Query {
        match self {
            Filter::Member { field, value: Wanted::Exactly(value) } => match path(field) {
                Some(path) if !value.is_empty() => catalogue::is(path, value),
                _ => Query::All,
            },
            Filter::Clauses(clauses) => {
                let required = clauses.iter().filter(|(occurs, _)| *occurs == Occurs::Required);
                let mut parts: Vec<Query> = required.map(|(_, filter)| filter.narrowed()).collect();
                parts.retain(|part| *part != Query::All);
                match parts.len() {
                    0 => Query::All,
                    1 => parts.remove(0),
                    _ => Query::And(parts),
                }
            }
            _ => Query::All,
        }
    }

    /// The queries over the screen in it.
    pub fn contents(&self) -> Vec<&str> {
        match self {
            Filter::Content(query) => vec![query],
            Filter::Clauses(clauses) => clauses.iter().flat_map(|(_, filter)| filter.contents()).collect(),
            Filter::All | Filter::Member { .. } | Filter::Words(_) => Vec::new(),
        }
    }

    /// Whether a session with this body matches; `content` answers for queries over its screen.
    pub fn matches(&self, session: &Value, content: &mut dyn FnMut(&str) -> bool) -> bool {
        match self {
            Filter::All => true,
            Filter::Member { field, value } => values(session, field).iter().any(|found| value.fits(found)),
            Filter::Words(words) => holds(session, &words.to_lowercase()),
            Filter::Content(query) => content(query),
            Filter::Clauses(clauses) => {
                let (mut required, mut optional, mut hit) = (false, false, false);
                for (occurs, filter) in clauses {
                    let matches = filter.matches(session, content);
                    match occurs {
                        Occurs::Required if !matches => return false,
                        Occurs::Prohibited if matches => return false,
                        Occurs::Required => required = true,
                        Occurs::Optional => (optional, hit) = (true, hit || matches),
                        Occurs::Prohibited => {}
                    }
                }
                // Prohibitions alone match nothing, as in Lucene.
                required || (optional && hit)
            }
        }
    }
}

/// The member of a session's description that a field of the vendor's is, where there is exactly one.
fn path(field: &str) -> Option<&'static str> {
    Some(match field {
        "user.id" | "user.name" => "user",
        "user.gateway_username" => "user.gateway_name",
        "user.server_username" => "user.server_names",
        "client.ip" => "client.address",
        "client.name" => "client.name",
        "server.ip" => "server.address",
        "server.name" => "server.name",
        "recording.target.ip" => "target.address",
        "recording.target.name" => "target.name",
        "recording.auth_method" => "auth_method",
        "recording.channel_policy" => "channel_policy",
        "recording.connection_policy" => "connection_policy",
        "recording.deny_reason" => "deny_reason",
        "active" => "active",
        _ => return None,
    })
}

/// The texts of a member; a list has many.
fn values(session: &Value, field: &str) -> Vec<String> {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Null => {}
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(members) => members.values().for_each(|member| texts(member, found)),
            Value::Bool(_) | Value::Number(_) => found.push(value.to_string()),
        }
    }
    let mut found = Vec::new();
    if let Some(value) = body::at(session, field) {
        texts(value, &mut found);
    }
    found
}

fn holds(value: &Value, lower: &str) -> bool {
    match value {
        Value::String(text) => text.to_lowercase().contains(lower),
        Value::Array(items) => items.iter().any(|item| holds(item, lower)),
        Value::Object(members) => members.values().any(|member| holds(member, lower)),
        Value::Number(number) => number.to_string() == lower,
        Value::Null | Value::Bool(_) => false,
    }
}

impl Wanted {
    fn fits(&self, found: &str) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Exactly(value) => found.to_lowercase() == value.to_lowercase(),
            Wanted::Like(pattern) => like(
                &pattern.to_lowercase().chars().collect::<Vec<_>>(),
                &found.to_lowercase().chars().collect::<Vec<_>>(),
            ),
            Wanted::Range { from, to, with_from, with_to } => {
                use std::cmp::Ordering::{Equal, Greater, Less};
                let above = from.as_deref().is_none_or(|from| match compare(found, from) {
                    Greater => true,
                    Equal => *with_from,
                    Less => false,
                });
                above
                    && to.as_deref().is_none_or(|to| match compare(found, to) {
                        Less => true,
                        Equal => *with_to,
                        Greater => false,
                    })
            }
        }
    }
}

/// As numbers if both are, else as times if both are, else as text without regard to case.
fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    if let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) {
        return a.total_cmp(&b);
    }
    if let (Ok(a), Ok(b)) = (a.parse::<service::Timestamp>(), b.parse::<service::Timestamp>()) {
        return a.cmp(&b);
    }
    a.to_lowercase().cmp(&b.to_lowercase())
}

/// `*` any run, `?` exactly one character; the whole text. An escaped one is itself. Linear in pattern times text at worst.
fn like(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        let fits = match pattern.get(p) {
            Some('*') => {
                back = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('\\') if p + 1 < pattern.len() => (pattern[p + 1] == text[t]).then_some(2),
            Some(character) => (*character == text[t]).then_some(1),
            None => None,
        };
        match (fits, back) {
            (Some(width), _) => (p, t) = (p + width, t + 1),
            (None, Some((after, from))) => {
                back = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|character| *character == '*')
}

struct Reader {
    characters: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Clauses up to the end or a closing bracket.
    fn clauses(&mut self) -> Result<Filter, String> {
        let mut clauses: Vec<(Occurs, Filter)> = Vec::new();
        loop {
            self.blanks();
            if self.peek().is_none_or(|character| character == ')') {
                break;
            }
            let and = self.word("AND") || self.word("&&");
            let or = !and && (self.word("OR") || self.word("||"));
            if (and || or) && clauses.is_empty() {
                return Err("the filter begins with a conjunction".to_owned());
            }
            self.blanks();
            let occurs = if self.word("NOT") || self.sign('-') || self.sign('!') {
                Occurs::Prohibited
            } else if self.sign('+') || and {
                Occurs::Required
            } else {
                Occurs::Optional
            };
            self.blanks();
            if and
                && let Some((before, _)) = clauses.last_mut()
                && *before == Occurs::Optional
            {
                *before = Occurs::Required;
            }
            let clause = self.clause()?;
            clauses.push((occurs, clause));
        }
        Ok(match clauses.len() {
            0 if self.depth == 0 => Filter::All,
            0 => return Err("there is nothing between the brackets".to_owned()),
            1 if clauses[0].0 == Occurs::Optional => clauses.remove(0).1,
            _ => Filter::Clauses(clauses),
        })
    }

    /// Takes a word that stands alone.
    fn word(&mut self, word: &str) -> bool {
        let end = self.at + word.chars().count();
        let is_it = self.characters.get(self.at..end).is_some_and(|found| found.iter().copied().eq(word.chars()));
        let ends = self.characters.get(end).is_none_or(|next| next.is_whitespace() || *next == '(');
        if is_it && ends {
            self.at = end;
        }
        is_it && ends
    }

    fn sign(&mut self, sign: char) -> bool {
        let is_it = self.peek() == Some(sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn clause(&mut self) -> Result<Filter, String> {
        match self.peek() {
            None => Err("a clause is missing at the end".to_owned()),
            Some('(') => {
                if self.depth == DEPTH_MAX {
                    return Err(format!("brackets stand more than {DEPTH_MAX} deep"));
                }
                self.at += 1;
                self.depth += 1;
                let inner = self.clauses()?;
                self.depth -= 1;
                match self.sign(')') {
                    true => Ok(inner),
                    false => Err("a bracket is not closed".to_owned()),
                }
            }
            Some('"') => Ok(Filter::Words(self.quoted()?)),
            Some(')') => Err("a clause is missing before the bracket".to_owned()),
            Some(_) => {
                let begin = self.at;
                let name = self.bare(true);
                let separator = self.peek().filter(|character| [':', '='].contains(character));
                match separator {
                    Some(_) if name.is_empty() => Err("a field is missing before the colon".to_owned()),
                    Some(_) => {
                        self.at += 1;
                        self.value(name)
                    }
                    None if name.is_empty() => Err("this character has no meaning here".to_owned()),
                    None if name == "*" => Ok(Filter::All),
                    None => {
                        debug_assert!(self.at > begin);
                        Ok(Filter::Words(unescaped(&name)))
                    }
                }
            }
        }
    }

    fn value(&mut self, field: String) -> Result<Filter, String> {
        // A blank after the colon occurs in the vendor's own examples.
        self.blanks();
        if field == "screen.content" {
            return self.content();
        }
        let value = match self.peek() {
            Some('"') => Wanted::Exactly(self.quoted()?),
            Some('[' | '{') => self.range()?,
            Some('(') => {
                // `field:(a OR b)`: the field holds for all inside.
                self.at += 1;
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(format!("brackets stand more than {DEPTH_MAX} deep"));
                }
                let inner = self.clauses()?;
                self.depth -= 1;
                if !self.sign(')') {
                    return Err("a bracket is not closed".to_owned());
                }
                return Ok(of_field(&field, inner));
            }
            _ => {
                let text = self.bare(false);
                match text.as_str() {
                    "" => return Err(format!("a value is missing after {field}:")),
                    "*" if field == "*" => return Ok(Filter::All),
                    "*" => Wanted::Any,
                    text if has_wildcard(text) => Wanted::Like(text.to_owned()),
                    text => Wanted::Exactly(unescaped(text)),
                }
            }
        };
        Ok(Filter::Member { field, value })
    }

    /// The query after `screen.content:`: a quoted text, a bracket or a word, as the content search takes it.
    fn content(&mut self) -> Result<Filter, String> {
        let begin = self.at;
        match self.peek() {
            Some('"') => drop(self.quoted()?),
            Some('(') => {
                let mut open = 0;
                while let Some(character) = self.peek() {
                    match character {
                        '\\' => self.at += 1,
                        '"' => {
                            self.quoted()?;
                            continue;
                        }
                        '(' => open += 1,
                        ')' => open -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if open == 0 {
                        break;
                    }
                }
                if open != 0 {
                    return Err("a bracket is not closed".to_owned());
                }
            }
            _ if self.bare(false).is_empty() => return Err("a query is missing after screen.content:".to_owned()),
            _ => {}
        }
        Ok(Filter::Content(self.characters[begin..self.at.min(self.characters.len())].iter().collect()))
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            self.at += 1;
            match character {
                '"' => return Ok(text),
                '\\' => {
                    let Some(next) = self.peek() else { break };
                    self.at += 1;
                    text.push(next);
                }
                other => text.push(other),
            }
        }
        Err("a quotation is not closed".to_owned())
    }

    /// A run without white space, its escapes kept. A field's name ends at `:` or `=`; addresses and times as values hold colons.
    fn bare(&mut self, is_name: bool) -> String {
        let mut text = String::new();
        while let Some(character) = self.peek() {
            if character.is_whitespace()
                || ['(', ')', '"'].contains(&character)
                || (is_name && [':', '='].contains(&character))
            {
                break;
            }
            text.push(character);
            self.at += 1;
            if character == '\\'
                && let Some(next) = self.peek()
            {
                text.push(next);
                self.at += 1;
            }
        }
        text
    }

    fn range(&mut self) -> Result<Wanted, String> {
        let with_from = self.peek() == Some('[');
        self.at += 1;
        let from = self.bound()?;
        self.blanks();
        if !self.word("TO") {
            return Err("a range is written [a TO b]".to_owned());
        }
        let to = self.bound()?;
        self.blanks();
        let with_to = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err("a range is not closed".to_owned()),
        };
        self.at += 1;
        Ok(Wanted::Range { from, to, with_from, with_to })
    }

    fn bound(&mut self) -> Result<Option<String>, String> {
        self.blanks();
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let mut text = String::new();
        while let Some(character) = self.peek() {
            if character.is_whitespace() || [']', '}'].contains(&character) {
                break;
            }
            text.push(character);
            self.at += 1;
        }
        match text.as_str() {
            "" => Err("a bound of the range is missing".to_owned()),
            "*" => Ok(None),
            _ => Ok(Some(text)),
        }
    }
}

/// The same filter with bare words taken as values of a field.
fn of_field(field: &str, filter: Filter) -> Filter {
    match filter {
        Filter::Words(text) if has_wildcard(&text) => {
            Filter::Member { field: field.to_owned(), value: Wanted::Like(text) }
        }
        Filter::Words(text) => Filter::Member { field: field.to_owned(), value: Wanted::Exactly(text) },
        Filter::All => Filter::Member { field: field.to_owned(), value: Wanted::Any },
        Filter::Clauses(clauses) => {
            Filter::Clauses(clauses.into_iter().map(|(occurs, inner)| (occurs, of_field(field, inner))).collect())
        }
        other => other,
    }
}

fn has_wildcard(text: &str) -> bool {
    let mut escaped = false;
    text.chars().any(|character| {
        let found = !escaped && ['*', '?'].contains(&character);
        escaped = !escaped && character == '\\';
        found
    })
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(query: &str) -> bool {
        let session = json!({
            "protocol": "SSH", "active": false, "duration": 90, "start_time": "2024-03-05T14:07:31.000Z",
            "user": {"name": "bob", "server_username": ["root", "oracle"]},
            "client": {"ip": "10.0.0.1", "name": "desk:1"}, "server": {"name": "db-1.example.org"},
        });
        Filter::read(query).unwrap().matches(&session, &mut |query| query == "\"rm -rf\"" || query == "(a AND (b))")
    }

    #[test]
    fn fields_are_joined_as_lucene_joins_clauses() {
        for query in [
            "",
            "*",
            "*:*",
            "protocol:SSH",
            "protocol:ssh AND user.name:bob",
            "client.ip: 10.0.0.1 AND user.name:*",
            "user.name:b*",
            "user.name:?ob",
            "user.name:alice OR protocol:SSH",
            "user.name:alice protocol:SSH",
            "+protocol:SSH -user.name:alice",
            "protocol:SSH NOT user.name:alice",
            "user.server_username:oracle",
            "duration:[60 TO 120]",
            "duration:[90 TO *]",
            "start_time:[2024-03-05T14:00:00Z TO 2024-03-05T15:00:00Z]",
            "bob",
            "\"db-1\"",
            "(user.name:alice OR user.name:bob) AND active:false",
            "user.name:(alice OR bob)",
            "client.name:desk\\:1",
            "client.name:desk:1",
            "user.name=bob",
            "screen.content:\"rm -rf\"",
            "screen.content=\"rm -rf\" AND protocol:SSH",
            "screen.content:(a AND (b))",
        ] {
            assert!(matches(query), "{query}");
        }
        for query in [
            "protocol:RDP",
            "protocol:SSH AND user.name:alice",
            "user.name:bo",
            "NOT protocol:RDP",
            "-user.name:alice",
            "duration:{90 TO 120]",
            "user.nobody:*",
            "alice",
            "screen.content:other",
            "user.name:b",
        ] {
            assert!(!matches(query), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for query in [
            "(a",
            "a)",
            "AND a",
            "a AND",
            "user.name:",
            "\"a",
            ":a",
            "duration:[1 TO",
            "duration:[1 2]",
            "()",
            "duration:[ TO 2]",
        ] {
            let refused = Filter::read(query);
            assert!(format!("{refused:?}").contains("position"), "{query}: {refused:?}");
        }
        assert!(Filter::read(&"(".repeat(5_000)).is_err());
    }

    #[test]
    fn what_must_hold_is_asked_of_the_catalogue() {
        assert_eq!(Filter::read("user.name:bob AND duration:9").unwrap().narrowed(), catalogue::is("user", "bob"));
        assert_eq!(Filter::read("user.name:bob OR duration:9").unwrap().narrowed(), Query::All);
        assert_eq!(Filter::read("user.name:b*").unwrap().narrowed(), Query::All);
    }

    #[test]
    fn any_text_is_read_or_refused() {
        let pieces =
            ["a", ":", "(", ")", "\"", "AND ", "NOT ", "-", "[", " TO ", "]", "\\", "*", "screen.content:", " "];
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..seed % 9 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Ok(filter) = Filter::read(&text) {
                filter.matches(&json!({"a": "a"}), &mut |_| true);
            }
        }
    }
}
