//! From tokens to the tree (specs/lucene-query.md §3 to §5).
//!
//! Where that page and real Lucene were found to differ, this follows real Lucene: words that stand side by side without an
//! operator are taken together, so the tokens of each (`foo-bar` has two) are clauses of the list they stand in.

use std::ops::Bound;

use service::search::content::{Clause, ContentQuery, DISTANCE_MAX, Occur, Pattern, PatternError, lower_case, tokens};

use super::escape::unescape;
use super::lexer::{Kind, Lexed, Token, lex};
use super::number::java_float;
use super::{CLAUSES_MAX, DEPTH_MAX, PATTERN_STEPS_MAX, QueryError, QueryErrorKind, error};

pub(super) fn parse(text: &str, default_field: &str) -> Result<ContentQuery, QueryError> {
    let mut parser = Parser { lexed: lex(text), at: 0, depth: 0, pattern_steps: 0 };
    let query = parser.query(default_field)?;
    match parser.peek() {
        Kind::End if parser.lexed.fault.is_none() => Ok(query.unwrap_or_else(ContentQuery::nothing)),
        Kind::Close => Err(parser.misplaced("this bracket closes nothing; a backslash before it makes it a character")),
        _ => Err(parser.misplaced("nothing like this can stand here")),
    }
}

struct Parser {
    lexed: Lexed,
    at: usize,
    depth: usize,
    pattern_steps: usize,
}

/// What the parts of a query are made into: none if nothing of the text is left after analysis.
type Made = Option<ContentQuery>;

impl Parser {
    fn token(&self) -> Token {
        self.lexed.tokens[self.at]
    }

    fn peek(&self) -> Kind {
        self.token().kind
    }

    /// The kind of the token so many further on.
    fn ahead(&self, count: usize) -> Kind {
        self.lexed.tokens.get(self.at + count).map_or(Kind::End, |token| token.kind)
    }

    fn take(&mut self, kind: Kind) -> Option<Token> {
        let token = self.token();
        (token.kind == kind).then(|| {
            self.at += 1;
            token
        })
    }

    fn text(&self, token: Token) -> &[char] {
        &self.lexed.text[token.start..token.end]
    }

    fn string(&self, token: Token) -> String {
        self.text(token).iter().collect()
    }

    fn unescaped(&self, token: Token) -> Result<String, QueryError> {
        unescape(self.text(token), token.start)
    }

    /// The fault of the text if that is what stands here, else that a token is in the wrong place.
    fn misplaced(&self, message: &str) -> QueryError {
        match (&self.lexed.fault, self.peek()) {
            (Some(fault), Kind::End) => fault.clone(),
            (None, Kind::End) => error(QueryErrorKind::Syntax, self.token().start, "something is missing at the end"),
            _ => error(QueryErrorKind::Syntax, self.token().start, message),
        }
    }

    /// A list of clauses.
    fn query(&mut self, field: &str) -> Result<Made, QueryError> {
        let start = self.token().start;
        let mut clauses: Vec<Clause> = Vec::new();
        loop {
            let first = clauses.is_empty() && self.token().start == start;
            let and = match self.peek() {
                Kind::End | Kind::Close if !first => break,
                Kind::And | Kind::Or if !first => {
                    let and = self.peek() == Kind::And;
                    self.at += 1;
                    and
                }
                Kind::Term if self.words_follow() => {
                    self.words(field, &mut clauses)?;
                    continue;
                }
                _ => false,
            };
            let modifier = self.peek();
            if matches!(modifier, Kind::Plus | Kind::Minus | Kind::Not) {
                self.at += 1;
            }
            let made = self.clause(field)?;
            if and
                && let Some(before) = clauses.last_mut()
                && before.occur == Occur::Optional
            {
                before.occur = Occur::Required;
            }
            let Some(query) = made else { continue };
            let occur = match modifier {
                Kind::Minus | Kind::Not => Occur::Prohibited,
                Kind::Plus => Occur::Required,
                _ if and => Occur::Required,
                _ => Occur::Optional,
            };
            clauses.push(Clause { occur, query });
        }
        let made = list(clauses, start)?;
        Ok(match made {
            ContentQuery::Clauses(clauses) if clauses.is_empty() => None,
            made => Some(made),
        })
    }

    /// Whether two words or more stand here side by side, to be taken together.
    fn words_follow(&self) -> bool {
        self.ahead(1) == Kind::Term && self.ends_word(2)
    }

    /// Whether what is so many tokens further on leaves the word before it alone.
    fn ends_word(&self, count: usize) -> bool {
        !matches!(self.ahead(count), Kind::Colon | Kind::Star | Kind::Fuzzy | Kind::Caret | Kind::And | Kind::Or)
    }

    /// Words side by side: each token of each a clause of its own.
    fn words(&mut self, field: &str, clauses: &mut Vec<Clause>) -> Result<(), QueryError> {
        let start = self.token().start;
        let before = clauses.len();
        loop {
            let word = self.unescaped(self.token())?;
            self.at += 1;
            clauses.extend(tokens(&word).map(|token| optional(term(field, token.term))));
            if clauses.len() - before > CLAUSES_MAX {
                return Err(too_many_clauses(start));
            }
            if self.peek() != Kind::Term || !self.ends_word(1) {
                return Ok(());
            }
        }
    }

    /// A clause without its modifier.
    fn clause(&mut self, field: &str) -> Result<Made, QueryError> {
        let mut own_field = None;
        if matches!(self.peek(), Kind::Term | Kind::Star) && self.ahead(1) == Kind::Colon {
            own_field = Some(self.unescaped(self.token())?);
            self.at += 2;
        }
        let field = own_field.as_deref().unwrap_or(field);
        let Some(open) = self.take(Kind::Open) else { return self.term(field) };
        if self.depth == DEPTH_MAX {
            let message = format!("brackets are nested at most {DEPTH_MAX} deep");
            return Err(error(QueryErrorKind::TooDeep, open.start, message));
        }
        self.depth += 1;
        let inner = self.query(field)?;
        self.depth -= 1;
        if self.take(Kind::Close).is_none() {
            return Err(self.misplaced("this cannot stand inside brackets"));
        }
        let boost = self.boost()?;
        self.boosted(inner, boost)
    }

    /// A word, a quoted text or a range, with what follows it.
    fn term(&mut self, field: &str) -> Result<Made, QueryError> {
        let token = self.token();
        match token.kind {
            Kind::RangeOpen => {
                let range = self.range(field)?;
                let boost = self.boost()?;
                self.boosted(Some(range), boost)
            }
            Kind::Quoted | Kind::Term | Kind::Star | Kind::Prefix | Kind::Wild | Kind::Regex | Kind::Bare => {
                self.at += 1;
                let mut fuzzy = self.take(Kind::Fuzzy);
                let boost = self.boost()?;
                if fuzzy.is_none() && boost.is_some() {
                    fuzzy = self.take(Kind::Fuzzy);
                }
                let made = match token.kind {
                    Kind::Quoted => self.quoted(field, token, fuzzy)?,
                    _ => self.word(field, token, fuzzy)?,
                };
                self.boosted(made, boost)
            }
            _ => {
                Err(self
                    .misplaced("a word, a quoted text or a bracket is due here; a backslash makes this a character"))
            }
        }
    }

    fn boost(&mut self) -> Result<Option<Token>, QueryError> {
        if self.take(Kind::Caret).is_none() {
            return Ok(None);
        }
        match self.take(Kind::Number) {
            Some(number) => Ok(Some(number)),
            None => Err(self.misplaced("a number is due after ^")),
        }
    }

    fn boosted(&self, query: Made, boost: Option<Token>) -> Result<Made, QueryError> {
        let (Some(query), Some(boost)) = (&query, boost) else { return Ok(query) };
        let value: f32 = self.string(boost).parse().expect("digits with a point at most are a number");
        if !value.is_finite() {
            return Err(error(QueryErrorKind::IllegalArgument, boost.start, "this number is too large"));
        }
        Ok(Some(ContentQuery::Boost(Box::new(query.clone()), value)))
    }

    fn quoted(&self, field: &str, token: Token, fuzzy: Option<Token>) -> Result<Made, QueryError> {
        let text = unescape(&self.lexed.text[token.start + 1..token.end - 1], token.start + 1)?;
        let mut terms: Vec<String> = tokens(&text).map(|token| token.term).collect();
        if terms.len() < 2 {
            return Ok(terms.pop().map(|only| term(field, only)));
        }
        // Cut to a whole number; what cannot be read is 0.
        let slop = fuzzy.and_then(|fuzzy| java_float(&self.string(fuzzy)[1..])).unwrap_or(0.0) as i32;
        let Ok(slop) = u32::try_from(slop) else {
            let at = fuzzy.map_or(token.start, |fuzzy| fuzzy.start);
            return Err(error(QueryErrorKind::IllegalArgument, at, "words cannot stand fewer than 0 places apart"));
        };
        Ok(Some(ContentQuery::Phrase { field: field.to_owned(), terms, slop }))
    }

    fn word(&mut self, field: &str, token: Token, fuzzy: Option<Token>) -> Result<Made, QueryError> {
        // Also of patterns, which it does not go on with: a broken escape is refused there too.
        let plain = self.unescaped(token)?;
        let field = field.to_owned();
        match token.kind {
            Kind::Star if field == "*" => Ok(Some(ContentQuery::All)),
            Kind::Star => Err(leading_wildcard(token)),
            Kind::Wild => {
                let text = lower_case(&self.string(token));
                if text.starts_with(['*', '?']) {
                    return Err(leading_wildcard(token));
                }
                let pattern = self.pattern(Pattern::wildcard(&text), token.start)?;
                Ok(Some(ContentQuery::Wildcard { field, pattern }))
            }
            Kind::Prefix => {
                let prefix = plain.strip_suffix('*').expect("a prefix ends with a star that nothing escapes");
                if prefix.starts_with('*') {
                    return Err(leading_wildcard(token));
                }
                Ok(Some(ContentQuery::Prefix { field, prefix: lower_case(prefix) }))
            }
            Kind::Regex => {
                let text: String = self.lexed.text[token.start + 1..token.end - 1].iter().collect();
                let pattern = self.pattern(Pattern::regex(&lower_case(&text)), token.start + 1)?;
                Ok(Some(ContentQuery::Regex { field, pattern }))
            }
            _ => match fuzzy {
                Some(fuzzy) => {
                    // An operator stands for itself, without the white space that made it a word.
                    let word = if token.kind == Kind::Bare { &plain[..1] } else { &plain[..] };
                    let term = lower_case(word);
                    let distance = self.distance(fuzzy, &term)?;
                    Ok(Some(ContentQuery::Fuzzy { field, term, distance }))
                }
                None => analysed(&field, &plain, token.start),
            },
        }
    }

    fn distance(&self, fuzzy: Token, word: &str) -> Result<u8, QueryError> {
        let value = java_float(&self.string(fuzzy)[1..]).unwrap_or(f32::from(DISTANCE_MAX));
        if value < 0.0 {
            return Err(error(QueryErrorKind::NegativeFuzziness, fuzzy.start, "a distance cannot be below 0"));
        }
        if value >= 1.0 {
            // As Java compares with what is left after a cut to 32 bits.
            if value != value as i32 as f32 {
                let message = "a distance has to be a whole number";
                return Err(error(QueryErrorKind::FractionalEditDistance, fuzzy.start, message));
            }
            return Ok(value.min(f32::from(DISTANCE_MAX)) as u8);
        }
        if value == 0.0 {
            return Ok(0);
        }
        // A similarity, as it was before there were distances; no number at all comes out as 0.
        let allowed = (1.0 - f64::from(value)) * word.chars().count() as f64;
        Ok(allowed.min(f64::from(DISTANCE_MAX)) as u8 * u8::from(!value.is_nan()))
    }

    fn pattern(&mut self, made: Result<Pattern, PatternError>, at: usize) -> Result<Pattern, QueryError> {
        let pattern = made.map_err(|fault| match fault {
            PatternError::Syntax { at: inside, message } => {
                error(QueryErrorKind::IllegalArgument, (at + inside).min(self.lexed.text.len()), message)
            }
            PatternError::TooComplex => error(QueryErrorKind::RegexTooComplex, at, fault.to_string()),
        })?;
        self.pattern_steps += pattern.steps();
        if self.pattern_steps > PATTERN_STEPS_MAX {
            let message = "the patterns up to here are too much work together";
            return Err(error(QueryErrorKind::RegexTooComplex, at, message));
        }
        Ok(pattern)
    }

    fn range(&mut self, field: &str) -> Result<ContentQuery, QueryError> {
        let open = self.token();
        self.at += 1;
        let lower = self.bound()?;
        if self.take(Kind::RangeTo).is_none() {
            return Err(
                self.misplaced("TO is due here: a range is [from TO to]; a backslash before [ makes it a character")
            );
        }
        let upper = self.bound()?;
        let Some(close) = self.take(Kind::RangeClose) else {
            return Err(self.misplaced("a closing bracket is due here"));
        };
        let side = |bound: Option<String>, bracket: char| match bound {
            None => Bound::Unbounded,
            Some(text) if matches!(bracket, '[' | ']') => Bound::Included(lower_case(&text)),
            Some(text) => Bound::Excluded(lower_case(&text)),
        };
        let lower = side(lower, self.lexed.text[open.start]);
        let upper = side(upper, self.lexed.text[close.start]);
        Ok(ContentQuery::Range { field: field.to_owned(), lower, upper })
    }

    /// None stands for no bound.
    fn bound(&mut self) -> Result<Option<String>, QueryError> {
        let token = self.token();
        let text = match token.kind {
            Kind::RangeQuoted => unescape(&self.lexed.text[token.start + 1..token.end - 1], token.start + 1)?,
            Kind::RangeRun | Kind::RangeTo => self.unescaped(token)?,
            _ => return Err(self.misplaced("a word is due here: a range is [from TO to]")),
        };
        self.at += 1;
        let open = token.kind == Kind::RangeRun && self.text(token) == ['*'];
        Ok((!open).then_some(text))
    }
}

fn leading_wildcard(token: Token) -> QueryError {
    let message = "a word cannot begin with * or ?; a backslash before it makes it a character";
    error(QueryErrorKind::LeadingWildcard, token.start, message)
}

fn too_many_clauses(at: usize) -> QueryError {
    error(QueryErrorKind::TooManyClauses, at, format!("a list has at most {CLAUSES_MAX} clauses"))
}

fn term(field: &str, term: String) -> ContentQuery {
    ContentQuery::Term { field: field.to_owned(), term }
}

fn optional(query: ContentQuery) -> Clause {
    Clause { occur: Occur::Optional, query }
}

/// The tokens of a word, any of which is enough.
fn analysed(field: &str, text: &str, at: usize) -> Result<Made, QueryError> {
    let clauses = tokens(text).map(|token| optional(term(field, token.term))).collect();
    Ok(match list(clauses, at)? {
        ContentQuery::Clauses(clauses) if clauses.is_empty() => None,
        made => Some(made),
    })
}

/// A list of clauses; a single optional one is itself.
fn list(mut clauses: Vec<Clause>, at: usize) -> Result<ContentQuery, QueryError> {
    if clauses.len() > CLAUSES_MAX {
        return Err(too_many_clauses(at));
    }
    match &clauses[..] {
        [only] if only.occur == Occur::Optional => Ok(clauses.swap_remove(0).query),
        _ => Ok(ContentQuery::Clauses(clauses)),
    }
}
