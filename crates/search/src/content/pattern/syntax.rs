//! What was written, as a tree.

use super::{DEPTH_MAX, PatternError};

/// Repetitions of one operand (`a+?*` has three): each is a level of the tree, within each group.
const REPEATS_MAX: usize = 8;
/// Digits of the bounds of an interval; more than a token can hold.
const INTERVAL_DIGITS_MAX: usize = 300;

/// A regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// One character out of these ranges; none at all if there are none.
    Set(Vec<(char, char)>),
    /// One after the other; the empty text if there are none.
    Sequence(Vec<Node>),
    /// Any of these.
    Either(Vec<Node>),
    /// All of these at once.
    Both(Vec<Node>),
    /// Every text that the inner one does not match.
    Not(Box<Node>),
    /// So many times, without end if there is no maximum.
    Repeat { inner: Box<Node>, min: u32, max: Option<u32> },
    /// A whole number, both ends included, of exactly so many digits, or of any number of them with leading zeros.
    Interval { min: u32, max: u32, digits: Option<usize> },
}

pub(super) const ANY: (char, char) = ('\0', char::MAX);

impl Node {
    fn any_text() -> Node {
        Node::Repeat { inner: Box::new(Node::Set(vec![ANY])), min: 0, max: None }
    }

    fn character(c: char) -> Node {
        Node::Set(vec![(c, c)])
    }
}

/// Reads a wildcard pattern.
pub(super) fn wildcard(text: &str) -> Result<Node, PatternError> {
    let mut nodes = Vec::new();
    let mut characters = text.chars().enumerate();
    while let Some((at, c)) = characters.next() {
        nodes.push(match c {
            '*' => Node::any_text(),
            '?' => Node::Set(vec![ANY]),
            '\\' => match characters.next() {
                Some((_, escaped)) => Node::character(escaped),
                None => return Err(error(at, "nothing follows the backslash")),
            },
            c => Node::character(c),
        });
    }
    Ok(Node::Sequence(nodes))
}

/// Reads a regular expression.
pub(super) fn regex(text: &str) -> Result<Node, PatternError> {
    let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0 };
    if parser.text.is_empty() {
        return Ok(Node::Sequence(Vec::new()));
    }
    let node = parser.either()?;
    if parser.at < parser.text.len() {
        return Err(error(parser.at, "this parenthesis closes nothing"));
    }
    Ok(node)
}

fn error(at: usize, message: &'static str) -> PatternError {
    PatternError::Syntax { at, message }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, c: char) -> bool {
        let taken = self.peek() == Some(c);
        self.at += usize::from(taken);
        taken
    }

    fn next(&mut self) -> Result<char, PatternError> {
        let c = self.peek().ok_or(error(self.at, "something is missing at the end"))?;
        self.at += 1;
        Ok(c)
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Parser) -> Result<T, PatternError>) -> Result<T, PatternError> {
        if self.depth == DEPTH_MAX {
            return Err(PatternError::TooComplex);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn either(&mut self) -> Result<Node, PatternError> {
        let mut nodes = vec![self.both()?];
        while self.take('|') {
            nodes.push(self.both()?);
        }
        Ok(one_or(nodes, Node::Either))
    }

    fn both(&mut self) -> Result<Node, PatternError> {
        let mut nodes = vec![self.sequence()?];
        while self.take('&') {
            nodes.push(self.sequence()?);
        }
        Ok(one_or(nodes, Node::Both))
    }

    /// At least one operand, whatever it is: an operator in its place is read as a character.
    fn sequence(&mut self) -> Result<Node, PatternError> {
        let mut nodes = vec![self.repeated()?];
        while self.peek().is_some_and(|c| !matches!(c, ')' | '|' | '&')) {
            nodes.push(self.repeated()?);
        }
        Ok(one_or(nodes, Node::Sequence))
    }

    fn repeated(&mut self) -> Result<Node, PatternError> {
        let mut node = self.complement()?;
        let mut layers = 0;
        loop {
            let (min, max) = match self.peek() {
                Some('?') => (0, Some(1)),
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('{') => self.braces()?,
                _ => return Ok(node),
            };
            self.at += 1;
            layers += 1;
            if layers > REPEATS_MAX {
                return Err(PatternError::TooComplex);
            }
            node = Node::Repeat { inner: Box::new(node), min, max };
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`; stops in front of the closing brace.
    fn braces(&mut self) -> Result<(u32, Option<u32>), PatternError> {
        self.at += 1;
        let min = self.number()?;
        let max = match self.take(',') {
            true if self.peek().is_some_and(|c| c.is_ascii_digit()) => Some(self.number()?),
            true => None,
            false => Some(min),
        };
        match self.peek() {
            Some('}') => Ok((min, max)),
            _ => Err(error(self.at, "a closing brace is missing")),
        }
    }

    fn number(&mut self) -> Result<u32, PatternError> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        number(&self.text[start..self.at]).ok_or(error(start, "a whole number is due here"))
    }

    fn complement(&mut self) -> Result<Node, PatternError> {
        if self.take('~') {
            return Ok(Node::Not(Box::new(self.nested(Parser::complement)?)));
        }
        if self.take('[') { self.class() } else { self.simple() }
    }

    fn class(&mut self) -> Result<Node, PatternError> {
        let negated = self.take('^');
        let mut ranges = vec![self.range()?];
        while self.peek().is_some_and(|c| c != ']') {
            ranges.push(self.range()?);
        }
        if !self.take(']') {
            return Err(error(self.at, "a closing bracket is missing"));
        }
        let ranges = normal(ranges);
        Ok(Node::Set(if negated { others(&ranges) } else { ranges }))
    }

    fn range(&mut self) -> Result<(char, char), PatternError> {
        let first = self.character()?;
        if !self.take('-') {
            return Ok((first, first));
        }
        let at = self.at;
        let last = self.character()?;
        if first > last { Err(error(at, "this range runs backwards")) } else { Ok((first, last)) }
    }

    fn character(&mut self) -> Result<char, PatternError> {
        self.take('\\');
        self.next()
    }

    fn simple(&mut self) -> Result<Node, PatternError> {
        if self.take('.') {
            return Ok(Node::Set(vec![ANY]));
        }
        if self.take('#') {
            return Ok(Node::Set(Vec::new()));
        }
        if self.take('@') {
            return Ok(Node::any_text());
        }
        if self.take('"') {
            let text = self.until('"', "a closing quote is missing")?;
            return Ok(Node::Sequence(text.into_iter().map(Node::character).collect()));
        }
        if self.take('(') {
            if self.take(')') {
                return Ok(Node::Sequence(Vec::new()));
            }
            let node = self.nested(Parser::either)?;
            return if self.take(')') { Ok(node) } else { Err(error(self.at, "a closing parenthesis is missing")) };
        }
        if self.take('<') {
            let at = self.at;
            let text = self.until('>', "a closing > is missing")?;
            if text.len() > 2 * INTERVAL_DIGITS_MAX {
                return Err(PatternError::TooComplex);
            }
            return interval(&text).ok_or(error(at, "two whole numbers with one - between are due here"));
        }
        Ok(Node::character(self.character()?))
    }

    fn until(&mut self, end: char, missing: &'static str) -> Result<Vec<char>, PatternError> {
        let length = self.text[self.at..].iter().position(|&c| c == end);
        let length = length.ok_or(error(self.text.len(), missing))?;
        let text = self.text[self.at..self.at + length].to_vec();
        self.at += length + 1;
        Ok(text)
    }
}

fn one_or(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    if nodes.len() == 1 { nodes.swap_remove(0) } else { many(nodes) }
}

/// The oracle counts in signed 32 bits.
fn number(digits: &[char]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(char::is_ascii_digit) {
        return None;
    }
    digits.iter().collect::<String>().parse().ok().filter(|&number: &u32| number <= i32::MAX as u32)
}

fn interval(text: &[char]) -> Option<Node> {
    let dash = text.iter().position(|&c| c == '-')?;
    let (first, last) = (&text[..dash], &text[dash + 1..]);
    let digits = (first.len() == last.len()).then_some(first.len());
    let (first, last) = (number(first)?, number(last)?);
    Some(Node::Interval { min: first.min(last), max: first.max(last), digits })
}

/// In order, without overlaps or neighbours.
fn normal(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut normal: Vec<(char, char)> = Vec::new();
    for (first, last) in ranges {
        match normal.last_mut() {
            Some(before) if first as u32 <= before.1 as u32 + 1 => before.1 = before.1.max(last),
            _ => normal.push((first, last)),
        }
    }
    normal
}

/// Every character that is in none of these ranges, which are in order.
fn others(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut others = Vec::new();
    let mut next = Some('\0');
    for &(first, last) in ranges {
        let start = next.expect("ranges before the last end before the last character");
        if start < first {
            others.push((start, before(first)));
        }
        next = (last < char::MAX).then(|| after(last));
    }
    others.extend(next.map(|start| (start, char::MAX)));
    others
}

/// The character before one that is not the first; surrogates are no characters.
fn before(c: char) -> char {
    char::from_u32(c as u32 - 1).unwrap_or('\u{d7ff}')
}

fn after(c: char) -> char {
    char::from_u32(c as u32 + 1).unwrap_or('\u{e000}')
}
