//! Documents and queries to try: small vocabularies, so that queries meet documents, with every awkward string we know.

#![allow(dead_code, reason = "each test binary uses its part")]

use proptest::prelude::*;
use search::{Document, Field, NumberField, Query};

/// Strings that are equal, nearly equal, or hard to cut into words.
pub fn vocabulary() -> Vec<String> {
    let mut words: Vec<String> = [
        "",
        "login",
        "Login",
        "failed",
        "root",
        "user",
        "create_user",
        "10.0.0.1",
        "10.0.0.12",
        "fe80::1",
        "école",
        "ÉCOLE",
        "e\u{301}cole",
        "ecole",
        "ΟΔΟΣ",
        "οδος",
        "J\u{30c}",
        "\u{1f0}",
        "İ",
        "東京",
        "東京都",
        "京都",
        "ไทย",
        "สวัสดีไทย",
        "हिन्दी",
        "\u{301}",
        "!!!",
        "-",
        "AND",
        "not",
        "*",
        "a b",
        " a  b ",
        "quote\"d",
        "back\\slash",
        "[1 TO 2]",
        "tab\tbed",
        "(",
        "🦀",
    ]
    .map(str::to_owned)
    .to_vec();
    let long = "x".repeat(200);
    words.push(format!("{long}1"));
    words.push(format!("{long}2"));
    words.push("ж".repeat(100));
    let longer = "k".repeat(1_020);
    words.push(longer.clone());
    words.push(format!("{longer}éééé"));
    words.push(format!("{longer}éééè"));
    words
}

pub fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vocabulary())
}

pub fn text() -> impl Strategy<Value = String> {
    let separator = prop::sample::select(vec![" ", ", ", "-", "_", "", "\n"]);
    prop::collection::vec((word(), separator), 0..6)
        .prop_map(|parts| parts.iter().map(|(word, separator)| format!("{word}{separator}")).collect())
}

pub fn field() -> impl Strategy<Value = Field> {
    prop::sample::select(vec![Field::Id, Field::Kind, Field::Actor, Field::Target, Field::Tag])
}

/// A document without a number.
pub fn document() -> impl Strategy<Value = Document> {
    let keywords = prop::collection::vec((field(), word()), 0..5);
    (keywords, prop::collection::vec(text(), 0..3), -3_i64..12, -3_i64..12).prop_map(
        |(keywords, text, occurred_at_us, recorded_at_us)| Document {
            number: 0,
            occurred_at_us,
            recorded_at_us,
            keywords,
            text,
        },
    )
}

pub fn query() -> impl Strategy<Value = Query> {
    let bound = || prop::option::of(prop_oneof![8 => -5_i64..40, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]);
    let cut = (word(), any::<prop::sample::Index>()).prop_map(|(word, at)| {
        let characters: Vec<char> = word.chars().collect();
        characters[..at.index(characters.len() + 1)].iter().collect::<String>()
    });
    let leaf = prop_oneof![
        1 => Just(Query::All),
        1 => Just(Query::None),
        5 => (field(), word()).prop_map(|(field, value)| Query::Keyword { field, value }),
        4 => (field(), cut).prop_map(|(field, prefix)| Query::KeywordPrefix { field, prefix }),
        3 => (prop::sample::select(NumberField::ALL.to_vec()), bound(), bound())
            .prop_map(|(field, min, max)| Query::Range { field, min, max }),
        2 => field().prop_map(|field| Query::Exists { field }),
        6 => word().prop_map(Query::Word),
        4 => prop::collection::vec(word(), 0..4).prop_map(Query::Phrase),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Query::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Query::Or),
            inner.prop_map(|query| Query::Not(Box::new(query))),
        ]
    })
}
