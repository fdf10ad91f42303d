//! Character classes as the oracle's analyser has them (Lucene 8.8.1 on OpenJDK 17).
//!
//! Measured, not copied: every character was given to it alone, doubled, and between letters. What it takes for an emoji is
//! Unicode's Extended_Pictographic of that time, which still held many unassigned places, so later emoji are in it. Letters of
//! scripts that Unicode added since are taken here although it drops them.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// True for a character that makes the piece it stands in a token.
pub(super) fn counts(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    is_letter_or_digit(c) || is_emoji(c) || is_south_east_asian(c)
}

/// True for a character that joins what stands around it: the underscore and its relatives.
pub(super) fn joins(c: char) -> bool {
    c == '_' || c == '\u{202f}' || !c.is_ascii() && c.general_category() == GeneralCategory::ConnectorPunctuation
}

fn is_letter_or_digit(c: char) -> bool {
    if ALSO_LETTERS.iter().any(|&(first, last)| (first..=last).contains(&c)) {
        return true;
    }
    match c.general_category() {
        GeneralCategory::DecimalNumber => true,
        // Vowel signs are alphabetic too, but belong to the letter before them.
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark | GeneralCategory::EnclosingMark => false,
        _ => c.is_alphabetic(),
    }
}

/// True for a character that makes an emoji token by itself; the two letters of a flag only do together.
pub(super) fn is_emoji(c: char) -> bool {
    within(EMOJI, c)
}

/// True for the letters that make flags, two by two.
pub(super) fn is_flag_letter(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

/// True for characters of Thai, Lao, Khmer, Burmese and their relatives.
pub(super) fn is_south_east_asian(c: char) -> bool {
    within(SOUTH_EAST_ASIAN, c)
}

fn within(table: &[(char, char)], c: char) -> bool {
    let after = table.partition_point(|&(first, _)| first <= c);
    after > 0 && c <= table[after - 1].1
}

/// Signs that the analyser treats as letters, though Unicode calls them punctuation or symbols: Hebrew geresh, Arabic decimal
/// separator, parts of Han characters, marks and squares of Katakana.
const ALSO_LETTERS: &[(char, char)] = &[
    ('\u{5f3}', '\u{5f3}'),
    ('\u{66b}', '\u{66b}'),
    ('\u{2e80}', '\u{2e99}'),
    ('\u{2e9b}', '\u{2ef3}'),
    ('\u{2f00}', '\u{2fd5}'),
    ('\u{309b}', '\u{309c}'),
    ('\u{30a0}', '\u{30a0}'),
    ('\u{32d0}', '\u{32fe}'),
    ('\u{3300}', '\u{3357}'),
];

/// Characters that make an emoji token by themselves.
const EMOJI: &[(char, char)] = &[
    ('\u{a9}', '\u{a9}'),
    ('\u{ae}', '\u{ae}'),
    ('\u{203c}', '\u{203c}'),
    ('\u{2049}', '\u{2049}'),
    ('\u{2122}', '\u{2122}'),
    ('\u{2194}', '\u{2199}'),
    ('\u{21a9}', '\u{21aa}'),
    ('\u{231a}', '\u{231b}'),
    ('\u{2328}', '\u{2328}'),
    ('\u{2388}', '\u{2388}'),
    ('\u{23cf}', '\u{23cf}'),
    ('\u{23e9}', '\u{23f3}'),
    ('\u{23f8}', '\u{23fa}'),
    ('\u{25aa}', '\u{25ab}'),
    ('\u{25b6}', '\u{25b6}'),
    ('\u{25c0}', '\u{25c0}'),
    ('\u{25fb}', '\u{25fe}'),
    ('\u{2600}', '\u{2605}'),
    ('\u{2607}', '\u{2612}'),
    ('\u{2614}', '\u{2685}'),
    ('\u{2690}', '\u{2705}'),
    ('\u{2708}', '\u{2712}'),
    ('\u{2714}', '\u{2714}'),
    ('\u{2716}', '\u{2716}'),
    ('\u{271d}', '\u{271d}'),
    ('\u{2721}', '\u{2721}'),
    ('\u{2728}', '\u{2728}'),
    ('\u{2733}', '\u{2734}'),
    ('\u{2744}', '\u{2744}'),
    ('\u{2747}', '\u{2747}'),
    ('\u{274c}', '\u{274c}'),
    ('\u{274e}', '\u{274e}'),
    ('\u{2753}', '\u{2755}'),
    ('\u{2757}', '\u{2757}'),
    ('\u{2763}', '\u{2767}'),
    ('\u{2795}', '\u{2797}'),
    ('\u{27a1}', '\u{27a1}'),
    ('\u{27b0}', '\u{27b0}'),
    ('\u{27bf}', '\u{27bf}'),
    ('\u{2934}', '\u{2935}'),
    ('\u{2b05}', '\u{2b07}'),
    ('\u{2b1b}', '\u{2b1c}'),
    ('\u{2b50}', '\u{2b50}'),
    ('\u{2b55}', '\u{2b55}'),
    ('\u{3030}', '\u{3030}'),
    ('\u{303d}', '\u{303d}'),
    ('\u{3297}', '\u{3297}'),
    ('\u{3299}', '\u{3299}'),
    ('\u{1f000}', '\u{1f0ff}'),
    ('\u{1f10d}', '\u{1f10f}'),
    ('\u{1f12f}', '\u{1f149}'),
    ('\u{1f150}', '\u{1f169}'),
    ('\u{1f16c}', '\u{1f189}'),
    ('\u{1f18e}', '\u{1f18e}'),
    ('\u{1f191}', '\u{1f19a}'),
    ('\u{1f1ad}', '\u{1f1e5}'),
    ('\u{1f200}', '\u{1f20f}'),
    ('\u{1f21a}', '\u{1f21a}'),
    ('\u{1f22f}', '\u{1f22f}'),
    ('\u{1f232}', '\u{1f23a}'),
    ('\u{1f23c}', '\u{1f23f}'),
    ('\u{1f249}', '\u{1f53d}'),
    ('\u{1f546}', '\u{1f64f}'),
    ('\u{1f680}', '\u{1f6ff}'),
    ('\u{1f774}', '\u{1f77f}'),
    ('\u{1f7d5}', '\u{1f7ff}'),
    ('\u{1f80c}', '\u{1f80f}'),
    ('\u{1f848}', '\u{1f84f}'),
    ('\u{1f85a}', '\u{1f85f}'),
    ('\u{1f888}', '\u{1f88f}'),
    ('\u{1f8ae}', '\u{1f8ff}'),
    ('\u{1f90c}', '\u{1f93a}'),
    ('\u{1f93c}', '\u{1f945}'),
    ('\u{1f947}', '\u{1fbef}'),
    ('\u{1fbfa}', '\u{1fffd}'),
];

/// Letters, marks and signs of scripts whose words are not parted by spaces: a run of them is one token.
const SOUTH_EAST_ASIAN: &[(char, char)] = &[
    ('\u{e01}', '\u{e3a}'),
    ('\u{e40}', '\u{e4e}'),
    ('\u{e81}', '\u{e82}'),
    ('\u{e84}', '\u{e84}'),
    ('\u{e87}', '\u{e88}'),
    ('\u{e8a}', '\u{e8a}'),
    ('\u{e8d}', '\u{e8d}'),
    ('\u{e94}', '\u{e97}'),
    ('\u{e99}', '\u{e9f}'),
    ('\u{ea1}', '\u{ea3}'),
    ('\u{ea5}', '\u{ea5}'),
    ('\u{ea7}', '\u{ea7}'),
    ('\u{eaa}', '\u{eab}'),
    ('\u{ead}', '\u{eb9}'),
    ('\u{ebb}', '\u{ebd}'),
    ('\u{ec0}', '\u{ec4}'),
    ('\u{ec6}', '\u{ec6}'),
    ('\u{ec8}', '\u{ecd}'),
    ('\u{edc}', '\u{edf}'),
    ('\u{1000}', '\u{103f}'),
    ('\u{1050}', '\u{108f}'),
    ('\u{109a}', '\u{109f}'),
    ('\u{1780}', '\u{17d3}'),
    ('\u{17d7}', '\u{17d7}'),
    ('\u{17dc}', '\u{17dd}'),
    ('\u{1950}', '\u{196d}'),
    ('\u{1970}', '\u{1974}'),
    ('\u{1980}', '\u{19ab}'),
    ('\u{19b0}', '\u{19c9}'),
    ('\u{19da}', '\u{19da}'),
    ('\u{19de}', '\u{19df}'),
    ('\u{1a20}', '\u{1a5e}'),
    ('\u{1a60}', '\u{1a7c}'),
    ('\u{1aa0}', '\u{1aad}'),
    ('\u{a9e0}', '\u{a9ef}'),
    ('\u{a9fa}', '\u{a9fe}'),
    ('\u{aa60}', '\u{aac2}'),
    ('\u{aadb}', '\u{aadf}'),
    ('\u{11700}', '\u{11719}'),
    ('\u{1171d}', '\u{1172b}'),
    ('\u{1173a}', '\u{1173b}'),
    ('\u{1173f}', '\u{1173f}'),
];
