//! From the query tree in normal form to tantivy's queries. Scores play no part.

use std::ops::{Bound, RangeInclusive};

use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::exclusion::Without;
use super::schema::Fields;
use crate::document::{Field, NumberField};
use crate::query::Node;

type Queries = Vec<Box<dyn Query>>;

/// The query over all logs, or within one.
pub(super) fn plan(fields: &Fields, log: Option<u32>, node: &Node) -> Without {
    let (mut wanted, unwanted) = clauses(fields, [node]);
    wanted.extend(log.map(|log| term(fields.log_term(log))));
    Without { wanted: all(wanted), unwanted }
}

/// The documents of these numbers, both ends included.
pub(super) fn plan_documents(fields: &Fields, log: u32, numbers: RangeInclusive<u64>) -> Box<dyn Query> {
    let bound = |number: &u64| Bound::Included(Term::from_field_u64(fields.number, *number));
    Box::new(BooleanQuery::new(vec![
        (Occur::Must, term(fields.log_term(log))),
        (Occur::Must, Box::new(RangeQuery::new(bound(numbers.start()), bound(numbers.end())))),
    ]))
}

fn translate(fields: &Fields, node: &Node) -> Box<dyn Query> {
    match node {
        Node::All => Box::new(AllQuery),
        Node::None => Box::new(EmptyQuery),
        Node::Keyword { field, key } => term(fields.keyword_term(*field, key)),
        Node::KeywordPrefix { field, prefix } if prefix.is_empty() => term(fields.presence_term(*field)),
        Node::KeywordPrefix { field, prefix } => {
            let (from, to) = fields.prefix_terms(*field, prefix);
            Box::new(RangeQuery::new(Bound::Included(from), Bound::Excluded(to)))
        }
        Node::Range { field, min, max } => range(fields, *field, *min, *max),
        Node::Exists { field } => term(fields.presence_term(*field)),
        Node::Phrase { words, key } => phrase(fields, words, key),
        Node::And(parts) => conjunction(fields, parts),
        Node::Or(parts) if parts.is_empty() => Box::new(EmptyQuery),
        Node::Or(parts) => any(parts.iter().map(|part| translate(fields, part)).collect()),
        Node::Not(_) => conjunction(fields, [node]),
    }
}

fn conjunction<'a>(fields: &Fields, parts: impl IntoIterator<Item = &'a Node>) -> Box<dyn Query> {
    let (wanted, unwanted) = clauses(fields, parts);
    let wanted = all(wanted);
    if unwanted.is_empty() { wanted } else { Box::new(Without { wanted, unwanted }) }
}

/// Everything in two flat lists: what must hold and what must not.
fn clauses<'a>(fields: &Fields, parts: impl IntoIterator<Item = &'a Node>) -> (Queries, Queries) {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for part in parts {
        collect(fields, part, &mut wanted, &mut unwanted);
    }
    (wanted, unwanted)
}

fn collect(fields: &Fields, node: &Node, wanted: &mut Queries, unwanted: &mut Queries) {
    match node {
        Node::All => {}
        Node::And(parts) => parts.iter().for_each(|part| collect(fields, part, wanted, unwanted)),
        Node::Not(inner) => unwanted.push(translate(fields, inner)),
        _ => wanted.push(translate(fields, node)),
    }
}

fn all(mut wanted: Queries) -> Box<dyn Query> {
    match wanted.len() {
        0 => Box::new(AllQuery),
        1 => wanted.remove(0),
        _ => Box::new(BooleanQuery::new(wanted.into_iter().map(|query| (Occur::Must, query)).collect())),
    }
}

fn phrase(fields: &Fields, words: &[String], key: &str) -> Box<dyn Query> {
    let mut ways: Queries = Field::ALL.iter().map(|&field| term(fields.keyword_term(field, key))).collect();
    match words {
        [] => {}
        [word] => ways.push(term(fields.word_term(word))),
        _ => ways.push(Box::new(PhraseQuery::new(words.iter().map(|word| fields.word_term(word)).collect()))),
    }
    any(ways)
}

fn range(fields: &Fields, field: NumberField, min: Option<i64>, max: Option<i64>) -> Box<dyn Query> {
    if min.zip(max).is_some_and(|(min, max)| min > max)
        || (field == NumberField::Number && max.is_some_and(|max| max < 0))
    {
        return Box::new(EmptyQuery);
    }
    let bound =
        |value: Option<i64>| value.map_or(Bound::Unbounded, |value| Bound::Included(fields.number_term(field, value)));
    match (bound(min), bound(max)) {
        (Bound::Unbounded, Bound::Unbounded) => Box::new(AllQuery),
        (min, max) => Box::new(RangeQuery::new(min, max)),
    }
}

fn any(ways: Queries) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(ways.into_iter().map(|way| (Occur::Should, way)).collect()))
}

fn term(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}
