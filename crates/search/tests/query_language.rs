//! The native query language: what parses to what, what is refused and where, and the way back to text.

mod common;

use proptest::prelude::*;
use search::parse::{DEPTH_MAX, TERMS_MAX, parse};
use search::{Field, NumberField, Query};

fn keyword(field: Field, value: &str) -> Query {
    Query::Keyword { field, value: value.to_owned() }
}

fn prefix(field: Field, prefix: &str) -> Query {
    Query::KeywordPrefix { field, prefix: prefix.to_owned() }
}

fn word(word: &str) -> Query {
    Query::Word(word.to_owned())
}

fn phrase(words: &[&str]) -> Query {
    Query::Phrase(words.iter().map(|&word| word.to_owned()).collect())
}

fn not(query: Query) -> Query {
    Query::Not(Box::new(query))
}

fn range(field: NumberField, min: Option<i64>, max: Option<i64>) -> Query {
    Query::Range { field, min, max }
}

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000_000;
const DAY: i64 = 86_400_000_000;

#[test]
fn good_queries_mean_what_the_manual_says() {
    use Field::{Actor, Id, Kind, Source, Target};
    use NumberField::{Number, OccurredAt, RecordedAt};
    let table: Vec<(&str, Query)> = vec![
        ("", Query::All),
        ("  ", Query::All),
        ("*", Query::All),
        ("login", word("login")),
        ("login failed", Query::And(vec![word("login"), word("failed")])),
        ("login AND failed", Query::And(vec![word("login"), word("failed")])),
        ("and or not", Query::And(vec![word("and"), word("or"), word("not")])),
        ("ANDROID", word("ANDROID")),
        (
            "a b OR c AND d",
            Query::Or(vec![Query::And(vec![word("a"), word("b")]), Query::And(vec![word("c"), word("d")])]),
        ),
        ("a (b OR c)", Query::And(vec![word("a"), Query::Or(vec![word("b"), word("c")])])),
        ("(a)(b)", Query::And(vec![word("a"), word("b")])),
        ("NOT a", not(word("a"))),
        ("NOT(a b)", not(Query::And(vec![word("a"), word("b")]))),
        ("-a b", Query::And(vec![not(word("a")), word("b")])),
        ("-kind:web", not(keyword(Kind, "web"))),
        ("--a", not(not(word("a")))),
        ("a-b", word("a-b")),
        ("\\-a", word("-a")),
        ("\"two words\"", phrase(&["two", "words"])),
        ("\"one\"", word("one")),
        ("\"\"", word("")),
        ("\"say \\\"hi\\\"\"", phrase(&["say", "\"hi\""])),
        ("\"a:b\"", word("a:b")),
        ("a\\:b", word("a:b")),
        ("kind:authentication", keyword(Kind, "authentication")),
        ("Kind:Web", keyword(Kind, "Web")),
        ("source:10.0.0.*", prefix(Source, "10.0.0.")),
        ("source:fe80::1", keyword(Source, "fe80::1")),
        ("source:\"10.0.0.*\"", keyword(Source, "10.0.0.*")),
        ("source:10\\*", keyword(Source, "10*")),
        ("target:\"two words\"*", prefix(Target, "two words")),
        ("target:*", Query::Exists { field: Target }),
        ("target:\"\"", keyword(Target, "")),
        ("id:a-b_c/d@e", keyword(Id, "a-b_c/d@e")),
        ("kind:(web OR file)", Query::Or(vec![keyword(Kind, "web"), keyword(Kind, "file")])),
        ("kind:(-web) x", Query::And(vec![not(keyword(Kind, "web")), word("x")])),
        ("actor:(\"a b\" c*)", Query::And(vec![keyword(Actor, "a b"), prefix(Actor, "c")])),
        ("number:7", range(Number, Some(7), Some(7))),
        ("number:>7", range(Number, Some(8), None)),
        ("number:>=7", range(Number, Some(7), None)),
        ("number:<7", range(Number, None, Some(6))),
        ("number:<=-7", range(Number, None, Some(-7))),
        ("number:[10 TO 20]", range(Number, Some(10), Some(20))),
        ("number:{10 TO 20}", range(Number, Some(11), Some(19))),
        ("number:[* TO 20}", range(Number, None, Some(19))),
        ("number:[10 TO *] x", Query::And(vec![range(Number, Some(10), None), word("x")])),
        ("number:*", range(Number, None, None)),
        ("number:(1 OR >5)", Query::Or(vec![range(Number, Some(1), Some(1)), range(Number, Some(6), None)])),
        ("number:>9223372036854775807", Query::None),
        ("occurred:>=2026-01-01T00:00:00Z", range(OccurredAt, Some(NEW_YEAR), None)),
        ("occurred:>=2026-01-01T01:30:00+01:30", range(OccurredAt, Some(NEW_YEAR), None)),
        ("occurred_at:2026-01-01T00:00:00.000001Z", range(OccurredAt, Some(NEW_YEAR + 1), Some(NEW_YEAR + 1))),
        ("occurred:2026-01-01", range(OccurredAt, Some(NEW_YEAR), Some(NEW_YEAR + DAY - 1))),
        ("occurred:>2026-01-01", range(OccurredAt, Some(NEW_YEAR + DAY), None)),
        ("occurred:<=2026-01-01", range(OccurredAt, None, Some(NEW_YEAR + DAY - 1))),
        ("recorded:<2026-01-01", range(RecordedAt, None, Some(NEW_YEAR - 1))),
        ("recorded:[2026-01-01 TO 2026-01-02]", range(RecordedAt, Some(NEW_YEAR), Some(NEW_YEAR + 2 * DAY - 1))),
        ("recorded:\"2026-01-01\"", range(RecordedAt, Some(NEW_YEAR), Some(NEW_YEAR + DAY - 1))),
        ("recorded:-15us", range(RecordedAt, Some(-15), Some(-15))),
    ];
    for (text, query) in table {
        assert_eq!(parse(text), Ok(query), "{text}");
    }
}

#[test]
fn bad_queries_are_refused_at_the_place_and_with_the_way_out() {
    let table = [
        ("colour:red", 0, "there is no field \"colour\"; the fields are id, kind, action"),
        ("a https://x", 2, "put it in quotes"),
        (":x", 0, "there is no field \"\""),
        ("kind:", 5, "kind:* asks for any value"),
        ("kind: web", 5, "kind has no value here"),
        ("number:", 7, "it is a whole number"),
        ("number:>=", 7, "number has no value here"),
        ("number:ten", 7, "\"ten\" is not a value of number"),
        ("number:>=1.5", 9, "it is a whole number"),
        ("number:99999999999999999999", 7, "is not a value"),
        ("occurred:yesterday", 9, "a time is a date"),
        ("occurred:>=2026-01-01T00:00:00", 11, "with its offset"),
        ("occurred:2026-02-30", 9, "is not a value of occurred"),
        ("occurred:2026", 9, "is not a value of occurred"),
        ("number:[1 2]", 7, "a range looks like number:[1 TO *]"),
        ("occurred:[1 TO", 9, "a range looks like occurred:[2026-01-31 TO *]"),
        ("number:[1 TO x]", 13, "\"x\" is not a value"),
        ("number:[  y TO 2]", 10, "\"y\" is not a value"),
        ("number:[1 TO 2]x", 15, "a blank should stand after a range"),
        ("kind:[a TO b]", 5, "kind has no order"),
        ("kind:>a", 5, "kind has no order"),
        ("source:10.*.1", 7, "* works only at the end"),
        ("fail*", 0, "* works after the beginning of a field's value"),
        ("(a", 0, "never closed"),
        ("x (a (b)", 2, "never closed"),
        ("a)", 1, "closes nothing"),
        (")", 0, "a term should stand before"),
        ("()", 0, "nothing stands in these parentheses"),
        ("kind:()", 5, "nothing stands in these parentheses"),
        ("a \"b", 2, "this quote is never closed"),
        ("a\\", 1, "nothing follows this backslash"),
        ("a AND", 5, "the query ends"),
        ("a OR", 4, "the query ends"),
        ("AND a", 0, "before this operator"),
        ("a OR OR b", 5, "before this operator"),
        ("a NOT", 2, "nothing follows that could be excluded"),
        ("a - b", 2, "nothing follows that could be excluded"),
        ("(a OR )", 6, "a term should stand before"),
        ("é colour:x", 3, "there is no field"),
    ];
    for (text, at, part) in table {
        let error = parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn size_depth_and_number_of_terms_are_limited() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(parse(&nested(DEPTH_MAX)), Ok(word("a")));
    assert!(parse(&nested(DEPTH_MAX + 1)).expect_err("too deep").message.contains("deep"));
    assert!(parse(&"-".repeat(60_000)).expect_err("too deep").message.contains("deep"));
    assert!(parse(&"NOT ".repeat(100)).expect_err("too deep").message.contains("deep"));
    assert!(parse(&"a ".repeat(TERMS_MAX)).is_ok());
    assert!(parse(&"a ".repeat(TERMS_MAX + 1)).expect_err("too many").message.contains("terms"));
    assert!(parse(&" ".repeat(70_000)).expect_err("too long").message.contains("bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_or_refused_inside_it(text in "[a-z:()\"\\\\*\\[\\]{}<>=\\- éTO.0-9]{0,40}|.{0,40}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at));
        }
    }

    #[test]
    fn the_text_of_a_query_parses_back_to_the_same_meaning(
        query in common::query(),
        documents in prop::collection::vec(common::document(), 12),
    ) {
        let text = query.to_string();
        let back = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        for (number, mut document) in documents.into_iter().enumerate() {
            document.number = number as u64;
            prop_assert_eq!(query.matches(&document), back.matches(&document), "{} on {:?}", text, document);
        }
        // Once it came from text, nothing changes any more.
        prop_assert_eq!(parse(&back.to_string()), Ok(back));
    }
}
