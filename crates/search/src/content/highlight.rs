//! Which parts of a text a question is about: for showing why it was found.

use std::ops::{Range, RangeBounds};

use super::analysis::{Token, tokens};
use super::document::ContentField;
use super::fuzzy::Within;
use super::query::{ContentQuery, Occur};
use super::sloppy::{self, Shape};

/// The bytes of `text`, the value of `field` in some document, that make `query` find it: in order, without overlaps.
///
/// Tokens that a part of the question matches, and phrases from their first to their last byte; a phrase whose tokens stand
/// apart gives each token. Parts that are prohibited give nothing, and neither does what matches without looking at tokens.
/// It looks at this text alone: it does not ask whether the document matches as a whole, and a fuzzy token gives whatever is
/// within its distance.
pub fn matched(text: &str, field: ContentField, query: &ContentQuery) -> Vec<Range<usize>> {
    let tokens: Vec<Token> = match field {
        ContentField::Id if text.is_empty() => Vec::new(),
        ContentField::Id => vec![Token { term: text.to_owned(), position: 0, bytes: 0..text.len() }],
        _ => tokens(text).collect(),
    };
    let mut marks = Marks { tokens: &tokens, field: field.name(), ranges: Vec::new() };
    marks.mark(query);
    joined(marks.ranges)
}

struct Marks<'a> {
    tokens: &'a [Token],
    field: &'a str,
    ranges: Vec<Range<usize>>,
}

impl Marks<'_> {
    fn mark(&mut self, query: &ContentQuery) {
        match query {
            ContentQuery::Clauses(clauses) => {
                clauses.iter().filter(|clause| clause.occur != Occur::Prohibited).for_each(|c| self.mark(&c.query));
            }
            ContentQuery::Boost(inner, _) => self.mark(inner),
            ContentQuery::All => {}
            ContentQuery::Term { field, term } => self.each(field, |token| token == term),
            ContentQuery::Phrase { field, terms, slop } => self.phrase(field, terms, *slop),
            ContentQuery::Prefix { field, prefix } => self.each(field, |token| token.starts_with(prefix)),
            ContentQuery::Wildcard { field, pattern } | ContentQuery::Regex { field, pattern } => {
                self.each(field, |token| pattern.matches(token));
            }
            ContentQuery::Fuzzy { field, term, distance } => {
                if let Some(within) = Within::of(term, *distance) {
                    self.each(field, |token| within.distance(token.as_bytes()).is_some());
                }
            }
            ContentQuery::Range { field, lower, upper } => {
                self.each(field, |token| (lower.as_ref(), upper.as_ref()).contains(token));
            }
        }
    }

    fn each(&mut self, field: &str, is_one: impl Fn(&String) -> bool) {
        if field == self.field {
            self.ranges.extend(self.tokens.iter().filter(|token| is_one(&token.term)).map(|token| token.bytes.clone()));
        }
    }

    fn phrase(&mut self, field: &str, terms: &[String], slop: u32) {
        if field != self.field || terms.is_empty() {
            return;
        }
        if slop == 0 {
            let equal = |window: &&[Token]| window.iter().zip(terms).all(|(token, term)| token.term == *term);
            let found = self.tokens.windows(terms.len()).filter(equal);
            self.ranges.extend(found.map(|window| window[0].bytes.start..window[window.len() - 1].bytes.end));
            return;
        }
        let places = |term: &String| -> Vec<u32> {
            self.tokens.iter().filter(|token| token.term == *term).map(|token| token.position).collect()
        };
        let places: Vec<Vec<u32>> = terms.iter().map(places).collect();
        if places.iter().any(Vec::is_empty) {
            return;
        }
        let places: Vec<&[u32]> = places.iter().map(Vec::as_slice).collect();
        let (tokens, ranges) = (self.tokens, &mut self.ranges);
        sloppy::frequency(&places, &Shape::of(terms), slop, |found| {
            ranges.extend(found.iter().map(|&place| tokens[place as usize].bytes.clone()));
        });
    }
}

/// In order, and what overlaps as one.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::query::Clause;
    use super::super::{Pattern, reference};
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "error: Permission denied, permission\u{a0}granted";

    fn term(term: &str) -> ContentQuery {
        ContentQuery::Term { field: "text".to_owned(), term: term.to_owned() }
    }

    #[track_caller]
    fn check(query: &ContentQuery, expected: &[&str]) {
        let found = matched(TEXT, ContentField::Text, query);
        assert_eq!(found.iter().map(|range| &TEXT[range.clone()]).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn tokens_and_phrases_are_marked_and_prohibited_ones_are_not() {
        check(&term("permission"), &["Permission", "permission"]);
        let phrase = |slop, terms: [&str; 2]| ContentQuery::Phrase {
            field: "text".to_owned(),
            terms: terms.map(str::to_owned).to_vec(),
            slop,
        };
        check(&phrase(0, ["permission", "denied"]), &["Permission denied"]);
        check(&phrase(2, ["denied", "permission"]), &["denied", "permission"]);
        let clauses = [(Occur::Required, "error"), (Occur::Prohibited, "denied"), (Occur::Optional, "granted")];
        let clauses = clauses.map(|(occur, word)| Clause { occur, query: term(word) });
        check(&ContentQuery::Clauses(clauses.to_vec()), &["error", "granted"]);
        let pattern = Pattern::regex(".*n.*e.*").unwrap();
        check(&ContentQuery::Regex { field: "text".to_owned(), pattern }, &["denied", "granted"]);
        check(&ContentQuery::Prefix { field: "title".to_owned(), prefix: "e".to_owned() }, &[]);
    }

    proptest! {
        #[test]
        fn the_automaton_of_fuzzy_tokens_knows_the_distance(one in "[abé]{1,6}", other in "[abé]{1,6}", most in 0..3_u8) {
            let found = Within::of(&one, most).unwrap().distance(other.as_bytes());
            let distance = reference::swaps_distance(&one, &other);
            prop_assert_eq!(found.map(usize::from), (distance <= usize::from(most)).then_some(distance));
        }
    }
}
