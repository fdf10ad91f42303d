//! What queries mean, by example: words, keywords, and the forms under which they are compared.

mod common;

use proptest::prelude::*;
use search::analysis::{KEYWORD_BYTES_MAX, WORD_BYTES_MAX, keyword, keyword_prefix, words};
use search::parse::parse;
use search::{Document, Field};

fn list(text: &str) -> Vec<String> {
    words(text).collect()
}

#[test]
fn text_is_cut_into_words() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        (" !? ", &[]),
        ("Failed password for root", &["failed", "password", "for", "root"]),
        ("CREATE_USER", &["create", "user"]),
        ("10.0.0.1:22", &["10", "0", "0", "1", "22"]),
        ("don't", &["don", "t"]),
        ("E\u{301}cole ÉCOLE", &["école", "école"]),
        ("q\u{303}uery", &["q\u{303}uery"]),
        ("\u{301} lone", &["lone"]),
        ("ΟΔΟΣ οδος", &["οδοσ", "οδοσ"]),
        ("J\u{30c}x", &["\u{1f0}x"]),
        ("東京Tower塔", &["東", "京", "tower", "塔"]),
        ("हिन्दी", &["हिन्दी"]),
    ];
    for (text, expected) in table {
        assert_eq!(list(text), *expected, "{text}");
    }
}

#[test]
fn long_words_and_keywords_are_told_apart_by_what_was_cut() {
    let long = |last: char| format!("{}{last}", "x".repeat(WORD_BYTES_MAX));
    assert_ne!(list(&long('a')), list(&long('b')));
    assert_eq!(list(&long('a')), list(&long('A')));
    assert_eq!(list(&"x".repeat(WORD_BYTES_MAX)), ["x".repeat(WORD_BYTES_MAX)]);
    assert!(list(&long('a'))[0].len() < WORD_BYTES_MAX + 20);

    let long = |last: char| format!("{}{last}", "é".repeat(KEYWORD_BYTES_MAX));
    assert_ne!(keyword(&long('a')), keyword(&long('b')));
    assert!(keyword(&long('a')).len() > KEYWORD_BYTES_MAX, "no value within the limit can be equal to a shortened one");
    for kept in [1, 500, 505, 600] {
        let prefix = keyword_prefix(&"é".repeat(kept));
        assert!(keyword(&long('a')).starts_with(&prefix), "{kept} characters are found");
    }
}

#[test]
fn queries_match_what_they_should() {
    let document = Document {
        number: 7,
        occurred_at_us: 1_000,
        recorded_at_us: 2_000,
        keywords: vec![
            (Field::Id, "4f9C-77".to_owned()),
            (Field::Kind, "authentication".to_owned()),
            (Field::Actor, "Root".to_owned()),
            (Field::Actor, "École Admin".to_owned()),
            (Field::Tag, String::new()),
        ],
        text: vec!["Failed password for root".to_owned(), "port 22".to_owned()],
    };
    let table = [
        ("*", true),
        ("kind:AUTHENTICATION", true),
        ("kind:auth", false),
        ("kind:auth*", true),
        ("actor:root actor:\"école admin\"", true),
        ("actor:école*", true),
        ("actor:admin", false),
        ("actor:*", true),
        ("target:*", false),
        ("tag:\"\"", true),
        ("tag:*", true),
        ("target:\"\"", false),
        ("failed", true),
        ("fail", false),
        ("\"password for\"", true),
        ("password-for", true),
        ("\"for password\"", false),
        ("\"root port\"", false),
        ("4f9c-77", true),
        ("4f9c", false),
        ("\"École admin\"", true),
        ("\"root\"", true),
        ("\"\"", true),
        ("!!!", false),
        ("number:7 occurred:1000us recorded:[1us TO 2000us]", true),
        ("number:<7", false),
        ("recorded:>2000us", false),
        ("-failed", false),
        ("-nothing failed", true),
        ("kind:web OR 22", true),
        ("NOT *", false),
    ];
    for (text, expected) in table {
        let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(query.matches(&document), expected, "{text}");
        assert_eq!(query.prepare().matches(&document), expected, "{text}");
    }
    let far = Document { number: u64::MAX, ..Document::default() };
    assert!(parse("number:>5").expect("it parses").matches(&far), "numbers beyond i64 are numbers, too");
    assert!(!parse("number:<5").expect("it parses").matches(&far));
}

proptest! {
    #[test]
    fn every_document_is_found_by_each_of_its_words_and_values(mut document in common::document()) {
        document.text.push("ẞ Straße İstanbul ǅ ﬁ Ⅷ".to_owned());
        for text in &document.text {
            prop_assert!(words(text).next().is_none() || search::Query::Word(text.clone()).matches(&document));
            // A word that was shortened is found by the whole of it, above.
            for word in words(text).filter(|word| word.len() <= WORD_BYTES_MAX) {
                prop_assert!(search::Query::Word(word.clone()).matches(&document), "{}", word);
            }
        }
        for (field, value) in &document.keywords {
            prop_assert!(search::Query::Word(value.clone()).matches(&document));
            let whole = search::Query::Keyword { field: *field, value: value.clone() };
            prop_assert!(whole.matches(&document));
            // Beginnings of composed characters are other characters: only plain ones can be cut anywhere.
            for at in (0..=value.len()).filter(|_| value.is_ascii()) {
                let beginning = search::Query::KeywordPrefix { field: *field, prefix: value[..at].to_uppercase() };
                prop_assert!(beginning.matches(&document), "{} of {}", at, value);
            }
        }
    }

    #[test]
    fn normal_form_is_final(text in ".{0,60}") {
        let once = keyword(&text);
        prop_assert_eq!(keyword(&once), once);
    }
}
