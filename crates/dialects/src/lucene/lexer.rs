//! The tokens of the query language (specs/lucene-query.md §2): the longest match wins, then the first in the list there.

use super::{QueryError, QueryErrorKind, error};

/// A token, and where it stands, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    And,
    Or,
    Not,
    Plus,
    Minus,
    /// An operator that white space follows: a word of one character.
    Bare,
    Open,
    Close,
    Colon,
    Star,
    Caret,
    Quoted,
    Term,
    Fuzzy,
    Prefix,
    Wild,
    Regex,
    Number,
    RangeOpen,
    RangeTo,
    RangeQuoted,
    RangeRun,
    RangeClose,
    /// The end, or where no token fits; see [`Lexed::fault`].
    End,
}

/// A text in tokens, the last of which is the end.
pub(super) struct Lexed {
    pub(super) text: Vec<char>,
    pub(super) tokens: Vec<Token>,
    /// Why the end is not that of the text.
    pub(super) fault: Option<QueryError>,
}

pub(super) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer { text: text.chars().collect(), at: 0 };
    let mut tokens = Vec::new();
    let mut fault = None;
    loop {
        let next = match tokens.last().map(|token: &Token| token.kind) {
            Some(Kind::Caret) => lexer.number(),
            Some(Kind::RangeOpen | Kind::RangeTo | Kind::RangeQuoted | Kind::RangeRun) => lexer.in_range(),
            _ => lexer.outside(),
        };
        match next {
            Ok(Some(token)) => {
                lexer.at = token.end;
                tokens.push(token);
            }
            Ok(None) => break,
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    let end = fault.as_ref().map_or(lexer.text.len(), |fault| fault.at);
    tokens.push(Token { kind: Kind::End, start: end, end });
    Lexed { text: lexer.text, tokens, fault }
}

struct Lexer {
    text: Vec<char>,
    at: usize,
}

type Next = Result<Option<Token>, QueryError>;

fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{3000}')
}

/// Also the characters that only printing has to know: what a word can hold without a backslash.
pub(super) fn is_plain(c: char) -> bool {
    !is_white(c) && !r#"+-!():^[]"{}~*?\/"#.contains(c)
}

impl Lexer {
    fn token(&self, kind: Kind, end: usize) -> Next {
        Ok(Some(Token { kind, start: self.at, end }))
    }

    fn unfit(&self, message: &str) -> Next {
        Err(error(QueryErrorKind::Lexical, self.at, message))
    }

    fn outside(&mut self) -> Next {
        while self.text.get(self.at).copied().is_some_and(is_white) {
            self.at += 1;
        }
        let Some(&c) = self.text.get(self.at) else { return Ok(None) };
        let next = self.text.get(self.at + 1).copied();
        match c {
            '+' | '-' | '!' if next.is_some_and(is_white) => self.token(Kind::Bare, self.at + 2),
            '+' => self.token(Kind::Plus, self.at + 1),
            '-' => self.token(Kind::Minus, self.at + 1),
            '!' => self.token(Kind::Not, self.at + 1),
            '(' => self.token(Kind::Open, self.at + 1),
            ')' => self.token(Kind::Close, self.at + 1),
            ':' => self.token(Kind::Colon, self.at + 1),
            '^' => self.token(Kind::Caret, self.at + 1),
            '[' | '{' => self.token(Kind::RangeOpen, self.at + 1),
            '~' => self.token(Kind::Fuzzy, self.term_characters(self.at + 1)),
            '"' => match self.quoted() {
                Some(end) => self.token(Kind::Quoted, end),
                None => self.unfit("this quote is not closed"),
            },
            '/' => match self.until('/', 0) {
                Some(end) => self.token(Kind::Regex, end),
                None => self.unfit("this slash begins an expression that no other slash ends; a backslash before it makes it a character"),
            },
            ']' | '}' => self.unfit("this bracket closes nothing; a backslash before it makes it a character"),
            '\\' if next.is_none() => self.unfit("nothing follows this backslash"),
            _ => self.word(),
        }
    }

    /// A word, with or without wildcards, or an operator that looks like one.
    fn word(&self) -> Next {
        let plain = self.term_characters(self.at);
        let end = self.wild_characters(plain);
        let kind = match &self.text[self.at..end] {
            ['*'] => Kind::Star,
            ['A', 'N', 'D'] | ['&', '&'] => Kind::And,
            ['O', 'R'] | ['|', '|'] => Kind::Or,
            ['N', 'O', 'T'] => Kind::Not,
            _ if end == plain => Kind::Term,
            _ if plain > self.at && self.text[plain..end] == ['*'] => Kind::Prefix,
            _ => Kind::Wild,
        };
        self.token(kind, end)
    }

    /// Where the characters of a word end that begin at `at`.
    fn term_characters(&self, at: usize) -> usize {
        let mut at = at;
        while let Some(&c) = self.text.get(at) {
            at += match c {
                '\\' if at + 1 < self.text.len() => 2,
                '+' | '-' => 1,
                c if is_plain(c) => 1,
                _ => break,
            };
        }
        at
    }

    fn wild_characters(&self, at: usize) -> usize {
        let mut at = self.term_characters(at);
        while matches!(self.text.get(at), Some('*' | '?')) {
            at = self.term_characters(at + 1);
        }
        at
    }

    fn quoted(&self) -> Option<usize> {
        let mut at = self.at + 1;
        loop {
            match self.text.get(at)? {
                '"' => return Some(at + 1),
                '\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    /// Where a text ends that `end` closes, and that holds at least so many characters: the first `end` that no backslash
    /// stands before, or else the last of the others.
    fn until(&self, end: char, at_least: usize) -> Option<usize> {
        let first = self.at + 1;
        let mut escaped = None;
        for at in first..self.text.len() {
            if self.text[at] != end {
                continue;
            }
            if at < first + at_least {
                return None;
            }
            if at == first || self.text[at - 1] != '\\' {
                return Some(at + 1);
            }
            escaped = Some(at + 1);
        }
        escaped
    }

    fn number(&self) -> Next {
        let digits = |from: usize| from + self.text[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        let whole = digits(self.at);
        if self.at == self.text.len() {
            // Nothing is no token that does not fit: the query just ends too early.
            return Ok(None);
        }
        if whole == self.at {
            return self.unfit("a number is due after ^");
        }
        if self.text.get(whole) == Some(&'.') && digits(whole + 1) > whole + 1 {
            return self.token(Kind::Number, digits(whole + 1));
        }
        self.token(Kind::Number, whole)
    }

    fn in_range(&mut self) -> Next {
        while self.text.get(self.at) == Some(&' ') {
            self.at += 1;
        }
        let Some(&c) = self.text.get(self.at) else { return Ok(None) };
        if matches!(c, ']' | '}') {
            return self.token(Kind::RangeClose, self.at + 1);
        }
        let run = self.text[self.at..].iter().take_while(|c| !matches!(c, ' ' | ']' | '}')).count();
        let quoted = (c == '"').then(|| self.until('"', 1)).flatten();
        match quoted {
            Some(end) if end >= self.at + run => self.token(Kind::RangeQuoted, end),
            _ if self.text[self.at..self.at + run] == ['T', 'O'] => self.token(Kind::RangeTo, self.at + run),
            _ => self.token(Kind::RangeRun, self.at + run),
        }
    }
}
