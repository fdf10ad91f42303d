//! How text becomes tokens, in documents and in queries alike: what Lucene's StandardAnalyzer without stop words does.
//!
//! Source: specs/lucene-query.md §1; the vectors beside it, and comparisons with the real one, hold it in place.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::characters::{counts, is_emoji, is_flag_letter, is_south_east_asian, joins};

/// A longer piece is cut; in UTF-16 units, which is how the oracle counts.
pub const TOKEN_UNITS_MAX: usize = 255;

/// How far the search for the end of a piece goes, in bytes: well past what a token can hold.
const WINDOW_BYTES: usize = 4 * (TOKEN_UNITS_MAX + 1);

/// One token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token in lower case: what is indexed and compared.
    pub term: String,
    /// Its place among the text's tokens, from 0, without gaps.
    pub position: u32,
    /// Where it stands in the text, in bytes.
    pub bytes: Range<usize>,
}

/// The tokens of a text, in order.
///
/// ```
/// let terms: Vec<String> = search::content::tokens("root@10.0.0.5: FAILED _ foo_bar").map(|token| token.term).collect();
/// assert_eq!(terms, ["root", "10.0.0.5", "failed", "foo_bar"]);
/// ```
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0, position: 0 }
}

/// `text` with each character in lower case by itself: no final sigma, `İ` becomes a plain `i`.
pub fn lower_case(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    push_lower_case(&mut lower, text);
    lower
}

fn push_lower_case(lower: &mut String, text: &str) {
    if text.is_ascii() {
        let start = lower.len();
        lower.push_str(text);
        lower[start..].make_ascii_lowercase();
    } else {
        // Only İ has more than one character in lower case: an i and a dot, which is left out.
        lower.extend(text.chars().filter_map(|c| c.to_lowercase().next()));
    }
}

/// The tokens of one text; see [`tokens`].
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
    position: u32,
}

impl Tokens<'_> {
    /// Replaces `term` by the next token's and returns where it stands; none after the last.
    pub fn next_into(&mut self, term: &mut String) -> Option<Range<usize>> {
        term.clear();
        let piece = self.next_piece()?;
        push_lower_case(term, &self.text[piece.clone()]);
        self.at = piece.end;
        self.position += 1;
        Some(piece)
    }

    fn next_piece(&self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        loop {
            let byte = *bytes.get(at)?;
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                match ascii_piece(&bytes[at..]) {
                    AsciiPiece::Word(length) => return Some(at..at + length),
                    AsciiPiece::Underscores(length) => at += length,
                    AsciiPiece::Unclear => match unicode_piece(&self.text[at..]) {
                        Piece::Word(length) => return Some(at..at + length),
                        Piece::Nothing(length) => at += length,
                    },
                }
            } else if byte.is_ascii() && !(is_keycap(byte) && bytes.get(at + 1).is_some_and(|next| !next.is_ascii())) {
                at += 1;
            } else {
                match unicode_piece(&self.text[at..]) {
                    Piece::Word(length) => return Some(at..at + length),
                    Piece::Nothing(length) => at += length,
                }
            }
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let mut term = String::new();
        let position = self.position;
        let bytes = self.next_into(&mut term)?;
        Some(Token { term, position, bytes })
    }
}

fn is_keycap(byte: u8) -> bool {
    byte == b'#' || byte == b'*'
}

enum AsciiPiece {
    Word(usize),
    Underscores(usize),
    /// Something that is not ASCII has a say, or it is too long: ask the general rules.
    Unclear,
}

/// The piece that `bytes`, which begin with a letter, digit or underscore, begin with. Gives what [`unicode_piece`] gives;
/// a test holds the two together.
fn ascii_piece(bytes: &[u8]) -> AsciiPiece {
    let mut counted = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_alphanumeric() {
            counted = true;
        } else if byte != b'_' {
            if !byte.is_ascii() {
                return AsciiPiece::Unclear;
            }
            // Nothing stands before the first byte, which is a letter, digit or underscore.
            let before = bytes[at - 1];
            let after = bytes.get(at + 1).copied().unwrap_or(b' ');
            if !after.is_ascii() && matches!(byte, b'.' | b'\'' | b':' | b',' | b';') {
                return AsciiPiece::Unclear;
            }
            let letters = before.is_ascii_alphabetic() && after.is_ascii_alphabetic();
            let digits = before.is_ascii_digit() && after.is_ascii_digit();
            let joined = match byte {
                b'.' | b'\'' => letters || digits,
                b':' => letters,
                b',' | b';' => digits,
                _ => false,
            };
            if !joined {
                break;
            }
        }
        at += 1;
        if at > TOKEN_UNITS_MAX {
            return AsciiPiece::Unclear;
        }
    }
    if counted { AsciiPiece::Word(at) } else { AsciiPiece::Underscores(at) }
}

/// A piece by its length in bytes.
enum Piece {
    Word(usize),
    Nothing(usize),
}

/// The piece that `text` begins with, by the rules for any script. `text` begins at a boundary.
fn unicode_piece(text: &str) -> Piece {
    let window = &text[..text.floor_char_boundary(WINDOW_BYTES)];
    let length = within_units(window, segment(window));
    let segment = &window[..length];
    let first = segment.chars().next().expect("a segment has a character");

    if is_south_east_asian(first) {
        return Piece::Word(south_east_asian_run(window));
    }
    if first.is_ascii() && is_keycap(first as u8) {
        let rest = segment[1..].trim_start_matches('\u{fe0f}');
        return if rest.starts_with('\u{20e3}') { Piece::Word(length) } else { Piece::Nothing(1) };
    }
    if is_flag_letter(first) {
        let pair = segment.chars().filter(|&c| is_flag_letter(c)).count() == 2;
        return if pair { Piece::Word(length) } else { Piece::Nothing(first.len_utf8()) };
    }
    if counts(first) {
        // A joiner ties an emoji to what stands before it, but only emoji to emoji make one token.
        let emoji = segment.char_indices().skip(1).find(|&(_, c)| is_emoji(c));
        return match emoji {
            Some((at, _)) if !is_emoji(first) => Piece::Word(at),
            _ => Piece::Word(length),
        };
    }
    if joins(first) {
        return if segment.chars().any(counts) { Piece::Word(length) } else { Piece::Nothing(length) };
    }
    // Signs carry the marks after them along; a mark that counts by itself begins a piece.
    let next = segment.char_indices().skip(1).find(|&(_, c)| counts(c));
    Piece::Nothing(next.map_or(length, |(at, _)| at))
}

/// Bytes of the first segment between word boundaries.
fn segment(window: &str) -> usize {
    window.split_word_bounds().next().map_or(0, str::len)
}

/// `length`, or what is left of it when only the characters that fit into a token are looked at.
fn within_units(window: &str, length: usize) -> usize {
    match units_end(&window[..length]) {
        None => length,
        // The oracle does not see past the cut either: "a…a.b" ends before a full stop in the last place.
        Some(end) => segment(&window[..end]),
    }
}

/// Where a text that is longer than a token may be has to be cut at the latest.
fn units_end(text: &str) -> Option<usize> {
    let mut units = 0;
    text.char_indices().find_map(|(at, c)| {
        units += c.len_utf16();
        (units > TOKEN_UNITS_MAX).then_some(at)
    })
}

/// Bytes of the run of segments that begin with a South-East Asian character.
fn south_east_asian_run(window: &str) -> usize {
    let mut end = 0;
    while window[end..].starts_with(is_south_east_asian) {
        end += segment(&window[end..]);
        if let Some(cut) = units_end(&window[..end]) {
            return cut;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<String> {
        tokens(text).map(|token| token.term).collect()
    }

    /// The tokens of a text by the rules for any script alone.
    fn by_general_rules(text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        let mut at = 0;
        while at < text.len() {
            match unicode_piece(&text[at..]) {
                Piece::Word(length) => {
                    terms.push(lower_case(&text[at..at + length]));
                    at += length;
                }
                Piece::Nothing(length) => at += length,
            }
        }
        terms
    }

    #[test]
    fn a_long_piece_is_cut_and_what_follows_the_cut_is_looked_at_anew() {
        let long = "a".repeat(254);
        assert_eq!(terms(&format!("{long}.b")), [long.as_str(), "b"]);
        assert_eq!(terms(&"x".repeat(600)).iter().map(String::len).collect::<Vec<_>>(), [255, 255, 90]);
    }

    #[test]
    fn what_is_tied_by_joiners_and_marks_is_what_the_oracle_says() {
        assert_eq!(terms("a\u{200d}\u{1f600}"), ["a\u{200d}", "\u{1f600}"]);
        assert_eq!(terms("-\u{e34}\u{e01} \"\u{e34}"), ["\u{e34}\u{e01}", "\u{e34}"]);
        assert_eq!(terms("1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} #"), ["1\u{fe0f}\u{20e3}", "#\u{fe0f}\u{20e3}"]);
        assert_eq!(terms("\u{1f1e9}\u{1f1ea}\u{1f1eb}"), ["\u{1f1e9}\u{1f1ea}"]);
    }

    proptest! {
        #[test]
        fn the_short_way_for_ascii_gives_what_the_general_rules_give(text in "[ab0_.:,;'\" \u{e9}\u{301}#-]{0,24}|[a.]{250,520}") {
            prop_assert_eq!(terms(&text), by_general_rules(&text));
        }

        #[test]
        fn tokens_stand_in_order_inside_the_text(text in "\\PC{0,40}|[a\u{1f600}\u{200d}\u{e01}\u{e34}\u{1f1e9}\u{fe0f}\u{20e3}#_-]{0,20}") {
            let mut end = 0;
            for (place, token) in tokens(&text).enumerate() {
                prop_assert_eq!(token.position as usize, place);
                prop_assert!(end <= token.bytes.start && token.bytes.start < token.bytes.end);
                prop_assert_eq!(&token.term, &lower_case(&text[token.bytes.clone()]));
                end = token.bytes.end;
            }
        }
    }
}
