//! The query language by its properties: whatever is typed is a query or is refused at a place inside it, and what a tree
//! prints is a query for the same tree.

use dialects::lucene::{self, QueryErrorKind};
use proptest::prelude::*;
use service::search::content::{ContentQuery, tokens};

/// Whether every token of the tree is what analysis makes of it. One cut out of a very long word may not be.
fn is_said_by_queries(query: &ContentQuery) -> bool {
    let same = |term: &String| tokens(term).map(|token| token.term).eq([term.clone()]);
    match query {
        ContentQuery::Clauses(clauses) => clauses.iter().all(|clause| is_said_by_queries(&clause.query)),
        ContentQuery::Boost(inner, _) => is_said_by_queries(inner),
        ContentQuery::Term { term, .. } => same(term),
        ContentQuery::Phrase { terms, .. } => terms.iter().all(same),
        _ => true,
    }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    match lucene::parse(text, "text") {
        Err(error) => prop_assert!(error.at <= text.chars().count(), "{text:?}: {error}"),
        Ok(query) if is_said_by_queries(&query) => {
            let printed = lucene::print(&query);
            // Printing writes brackets around every list, so nesting may come out deeper than it went in.
            match lucene::parse(&printed, "another") {
                Ok(again) => prop_assert_eq!(&again, &query, "{:?} printed as {:?}", text, printed),
                Err(error) if error.kind == QueryErrorKind::TooDeep => {}
                Err(error) => prop_assert!(false, "{text:?} printed as {printed:?}: {error}"),
            }
        }
        Ok(_) => {}
    }
    Ok(())
}

const PIECES: &str = r#"(a|b|foo|É|接続|x-y|AND|OR|NOT| TO |text|\*|[0-9]|\.| | |  |\t|[-+!():^{}~?&|/@,"'\[\]\\]|\\u0041|\\u|\\\\|\*:\*|"a b"|~2|\^2|<1-9>)"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_text_is_a_query_that_prints_to_itself_or_is_refused_inside_itself(text in proptest::string::string_regex(&format!("{PIECES}{{0,14}}")).unwrap()) {
        check(&text)?;
    }

    #[test]
    fn so_is_any_text_at_all(text in "\\PC{0,30}") {
        check(&text)?;
    }
}

#[track_caller]
fn refused(text: &str, kind: QueryErrorKind, at: usize) {
    let error = lucene::parse(text, "text").unwrap_err();
    assert_eq!((error.kind, error.at), (kind, at), "{text}: {error}");
}

#[test]
fn faults_are_named_as_the_oracle_names_them_and_placed_by_character() {
    refused("", QueryErrorKind::Syntax, 0);
    refused("é (a", QueryErrorKind::Syntax, 4);
    refused("é a)", QueryErrorKind::Syntax, 3);
    refused("a \"b", QueryErrorKind::Lexical, 2);
    refused("a ]", QueryErrorKind::Lexical, 2);
    refused("a^", QueryErrorKind::Syntax, 2);
    refused("a^b", QueryErrorKind::Lexical, 2);
    refused("é *a", QueryErrorKind::LeadingWildcard, 2);
    refused("a \\u12", QueryErrorKind::BadUnicodeEscape, 2);
    refused("a~1.5", QueryErrorKind::FractionalEditDistance, 1);
    refused("a~-1", QueryErrorKind::NegativeFuzziness, 1);
    refused("\"a b\"~-1", QueryErrorKind::IllegalArgument, 5);
    refused("é /a(b/", QueryErrorKind::IllegalArgument, 6);
    refused("/.*a.{20}/", QueryErrorKind::RegexTooComplex, 1);
}

#[test]
fn limits_are_kept_to_the_last() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(lucene::parse(&nested(lucene::DEPTH_MAX), "text").is_ok());
    refused(&nested(lucene::DEPTH_MAX + 1), QueryErrorKind::TooDeep, lucene::DEPTH_MAX);
    let many = |count: usize| vec!["a"; count].join(" ");
    assert!(lucene::parse(&many(lucene::CLAUSES_MAX), "text").is_ok());
    refused(&many(lucene::CLAUSES_MAX + 1), QueryErrorKind::TooManyClauses, 0);
    let long = "é".repeat(lucene::QUERY_BYTES_MAX / 2);
    assert!(lucene::parse(&long, "text").is_ok());
    refused(&format!("{long}é"), QueryErrorKind::TooLong, lucene::QUERY_BYTES_MAX / 2);
}
