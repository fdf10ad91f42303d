//! From the query tree in normal form to tantivy's queries. Scores play no part.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::schema::Fields;
use crate::document::{Field, NumberField};
use crate::query::Node;

type Clause = (Occur, Box<dyn Query>);

/// The query over all logs.
pub(super) fn plan(fields: &Fields, node: &Node) -> Box<dyn Query> {
    conjunction(fields, [node], None)
}

/// The query within one log.
pub(super) fn plan_in_log(fields: &Fields, log: u32, node: &Node) -> Box<dyn Query> {
    conjunction(fields, [node], Some(term(fields.log_term(log))))
}

/// The one document.
pub(super) fn plan_document(fields: &Fields, log: u32, number: u64) -> Box<dyn Query> {
    let number = Term::from_field_u64(fields.number, number);
    Box::new(BooleanQuery::new(vec![
        (Occur::Must, term(fields.log_term(log))),
        (Occur::Must, Box::new(RangeQuery::new(Bound::Included(number.clone()), Bound::Included(number)))),
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
        Node::And(parts) => conjunction(fields, parts, None),
        Node::Or(parts) if parts.is_empty() => Box::new(EmptyQuery),
        Node::Or(parts) => any(parts.iter().map(|part| translate(fields, part)).collect()),
        Node::Not(_) => conjunction(fields, [node], None),
    }
}

/// Everything in one flat list of clauses: what must hold and what must not.
fn conjunction<'a>(
    fields: &Fields,
    parts: impl IntoIterator<Item = &'a Node>,
    also: Option<Box<dyn Query>>,
) -> Box<dyn Query> {
    let mut clauses: Vec<Clause> = also.into_iter().map(|query| (Occur::Must, query)).collect();
    for part in parts {
        collect(fields, part, &mut clauses);
    }
    if !clauses.iter().any(|(occur, _)| *occur == Occur::Must) {
        // tantivy takes "nothing of this" alone for "nothing".
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    if clauses.len() == 1 {
        return clauses.pop().expect("there is one").1;
    }
    Box::new(BooleanQuery::new(clauses))
}

fn collect(fields: &Fields, node: &Node, clauses: &mut Vec<Clause>) {
    match node {
        Node::All => {}
        Node::And(parts) => parts.iter().for_each(|part| collect(fields, part, clauses)),
        Node::Not(inner) => clauses.push((Occur::MustNot, translate(fields, inner))),
        _ => clauses.push((Occur::Must, translate(fields, node))),
    }
}

fn phrase(fields: &Fields, words: &[String], key: &str) -> Box<dyn Query> {
    let mut ways: Vec<Box<dyn Query>> = Field::ALL.iter().map(|&field| term(fields.keyword_term(field, key))).collect();
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

fn any(ways: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(ways.into_iter().map(|way| (Occur::Should, way)).collect()))
}

fn term(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}
