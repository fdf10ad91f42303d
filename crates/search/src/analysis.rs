//! How text becomes words and values become keywords: the one set of rules that matching and indexing share.
//!
//! *Normal form*: Unicode NFC, every character in lower case (final sigma as plain sigma), NFC again.
//!
//! *Words* are runs of letters and digits with the marks that combine with them; everything else, underscore included,
//! separates. In scripts written without spaces each character is a word, so that a phrase finds any part of a sentence.
//!
//! Nothing is ever too long to be found: a word or keyword beyond its limit is replaced by its beginning and a hash of the
//! whole, on both sides alike.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A word of more bytes than this is replaced by its beginning and a hash.
pub const WORD_BYTES_MAX: usize = 128;
/// A keyword of more bytes than this is replaced by its beginning and a hash.
pub const KEYWORD_BYTES_MAX: usize = 1024;

/// Bytes kept of a long word, and of a long keyword. With separator and hash the result is always longer than the limit,
/// so that no value within the limit can be equal to it.
const WORD_BYTES_KEPT: usize = 112;
const KEYWORD_BYTES_KEPT: usize = 1008;

/// The words of a text, in order, in normal form.
///
/// ```
/// let words: Vec<String> = search::analysis::words("Login FAILED for admin@Example.org").collect();
/// assert_eq!(words, ["login", "failed", "for", "admin", "example", "org"]);
/// ```
pub fn words(text: &str) -> Words<'_> {
    Words { text: normal_unless_ascii(text), at: 0 }
}

/// The form in which a keyword is compared and indexed: the normal form of the whole value, shortened as described above.
pub fn keyword(value: &str) -> String {
    shorten(normal(value).into_owned(), KEYWORD_BYTES_MAX, KEYWORD_BYTES_KEPT)
}

/// The form in which the beginning of a keyword is compared: its normal form, of which only as many bytes count as a long
/// keyword keeps (so a prefix beyond 1,008 bytes finds every value that shares those).
pub fn keyword_prefix(prefix: &str) -> String {
    let mut normal = normal(prefix).into_owned();
    if normal.len() > KEYWORD_BYTES_KEPT {
        normal.truncate(normal.floor_char_boundary(KEYWORD_BYTES_KEPT));
    }
    normal
}

/// The words of one text; see [`words`].
#[derive(Clone, Debug)]
pub struct Words<'a> {
    /// ASCII as it came (its case is changed word by word), anything else in normal form.
    text: Cow<'a, str>,
    at: usize,
}

impl Words<'_> {
    /// Replaces `word` by the next word; false, with `word` empty, after the last.
    pub fn next_into(&mut self, word: &mut String) -> bool {
        word.clear();
        let rest = &self.text[self.at..];
        let Some((start, length)) = next_word(rest) else {
            self.at = self.text.len();
            return false;
        };
        word.push_str(&rest[start..start + length]);
        word.make_ascii_lowercase();
        if length > WORD_BYTES_MAX {
            *word = shorten(std::mem::take(word), WORD_BYTES_MAX, WORD_BYTES_KEPT);
        }
        self.at += start + length;
        true
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut word = String::new();
        self.next_into(&mut word).then_some(word)
    }
}

/// Where the first word of `text` begins, and its bytes.
fn next_word(text: &str) -> Option<(usize, usize)> {
    // Most texts are ASCII: as long as only that is met, bytes are enough.
    let bytes = text.as_bytes();
    let start = bytes.iter().position(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())?;
    if bytes[start].is_ascii() {
        let rest = &bytes[start..];
        let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if rest.get(end).is_none_or(u8::is_ascii) {
            return Some((start, end));
        }
        return Some((start, word_length(&text[start..])));
    }
    let start = start + text[start..].find(char::is_alphanumeric)?;
    Some((start, word_length(&text[start..])))
}

/// Bytes of the word that `text` begins with.
fn word_length(text: &str) -> usize {
    let mut characters = text.char_indices();
    let (_, first) = characters.next().expect("a word begins with a letter or digit");
    let alone = stands_alone(first);
    characters
        .find(|&(_, c)| !is_combining_mark(c) && (alone || stands_alone(c) || !c.is_alphanumeric()))
        .map_or(text.len(), |(at, _)| at)
}

/// True for characters of scripts that are written without spaces between words.
fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'       // Thai, Lao
        | '\u{1000}'..='\u{109f}'     // Myanmar
        | '\u{1780}'..='\u{17ff}'     // Khmer
        | '\u{3040}'..='\u{30ff}'     // Hiragana, Katakana
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'     // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn normal(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        }
    } else {
        normal_unless_ascii(text)
    }
}

fn normal_unless_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    // Lower case can compose anew (J with caron has no capital of its own), hence NFC on both sides of it.
    let lower: String = text.nfc().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect();
    Cow::Owned(if is_nfc(&lower) { lower } else { lower.nfc().collect() })
}

fn shorten(value: String, bytes_max: usize, bytes_kept: usize) -> String {
    if value.len() <= bytes_max {
        return value;
    }
    let hash = Sha256::digest(value.as_bytes());
    let mut short = value;
    short.truncate(short.floor_char_boundary(bytes_kept));
    short.push('#');
    short.push_str(&hex::encode(&hash[..16]));
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words found character by character, as the rules say it.
    fn words_by_characters(text: &str) -> Vec<String> {
        let text = normal_unless_ascii(text);
        let mut rest = &text[..];
        let mut words = Vec::new();
        while let Some(start) = rest.find(char::is_alphanumeric) {
            let length = word_length(&rest[start..]);
            words.push(rest[start..start + length].to_ascii_lowercase());
            rest = &rest[start + length..];
        }
        words
    }

    proptest! {
        #[test]
        fn bytes_and_characters_give_the_same_words(text in "[ab9_. \u{301}\u{e9}\u{4e00}\u{e01}\u{130}-]{0,24}") {
            prop_assert_eq!(words(&text).collect::<Vec<_>>(), words_by_characters(&text));
        }
    }
}
