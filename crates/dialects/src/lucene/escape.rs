//! Backslashes: taken out of what was written, and put into what is printed.

use super::lexer::is_plain;
use super::{QueryError, QueryErrorKind, error};

/// `text` with its escapes replaced by what they stand for. `at`: where it stands in the query, for errors.
///
/// `\uXXXX` is a unit of UTF-16; two that make a pair are one character, one alone is U+FFFD.
pub(super) fn unescape(text: &[char], at: usize) -> Result<String, QueryError> {
    if !text.contains(&'\\') {
        return Ok(text.iter().collect());
    }
    let mut units = Vec::with_capacity(text.len());
    let mut place = 0;
    while let Some(&c) = text.get(place) {
        place += 1;
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        let Some(&escaped) = text.get(place) else {
            return Err(error(QueryErrorKind::Syntax, at + place - 1, "nothing follows this backslash"));
        };
        place += 1;
        if escaped != 'u' {
            units.extend_from_slice(escaped.encode_utf16(&mut [0; 2]));
            continue;
        }
        let digits = text.get(place..place + 4).and_then(|digits| {
            digits.iter().try_fold(0, |unit: u16, digit| Some(unit << 4 | digit.to_digit(16)? as u16))
        });
        let Some(unit) = digits else {
            let message = "four hexadecimal digits are due after \\u";
            return Err(error(QueryErrorKind::BadUnicodeEscape, at + place - 2, message));
        };
        units.push(unit);
        place += 4;
    }
    Ok(String::from_utf16_lossy(&units))
}

/// `text` so that a word of the query stands for it.
pub(super) fn escape(text: &str) -> String {
    // Operators that look like words are told from words by a backslash anywhere in them.
    let operator = matches!(text, "AND" | "OR" | "NOT" | "&&" | "||");
    let mut escaped = String::with_capacity(text.len());
    for (place, c) in text.chars().enumerate() {
        if !is_plain(c) || place == 0 && operator {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// `text` so that it can stand between quotes.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
