//! What a question means, in plain code: every document is looked at, every score worked out from the formulas.
//!
//! Slow, and as simple as it can be: [`Content`](super::Content) is tested against it. What the two share is the analysis, the
//! sweep of sloppy phrases and the formulas of `bm25`; the vectors of the oracle hold those in place.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeBounds;

use super::analysis::tokens;
use super::bm25::{self, PULL_WITHOUT_LENGTHS, Statistics, rounded_length};
use super::document::{ContentDocument, ContentField, Found, Hit};
use super::fuzzy::{DISTANCE_MAX, FUZZY_TERMS_MAX, likeness};
use super::query::{ContentQuery, Occur};
use super::sloppy::{self, Shape};

/// [`Content::search`](super::Content::search) over documents that are at hand. Scores are worked out in double precision
/// and rounded at the end.
pub fn search(documents: &[ContentDocument<'_>], query: &ContentQuery, limit: usize) -> Found {
    let collection = Collection::of(documents);
    let mut hits: Vec<Hit> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        if let Some(score) = collection.score(query, number) {
            hits.push(Hit { document: number as u32, payload: document.payload, score: score as f32 });
        }
    }
    let total = hits.len() as u64;
    hits.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.document.cmp(&other.document)));
    hits.truncate(limit);
    Found { total, hits }
}

struct Collection(HashMap<ContentField, FieldTokens>);

impl Collection {
    fn of(documents: &[ContentDocument<'_>]) -> Collection {
        let analysed = |field: ContentField, document: &ContentDocument<'_>| match field {
            ContentField::Id => Some(document.id.to_owned()).into_iter().filter(|id| !id.is_empty()).collect(),
            _ => tokens(document.value(field)).map(|token| token.term).collect(),
        };
        let of = |field| {
            let documents: Vec<Vec<String>> = documents.iter().map(|document| analysed(field, document)).collect();
            let mut with: BTreeMap<String, u64> = BTreeMap::new();
            for tokens in &documents {
                tokens
                    .iter()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .for_each(|t| *with.entry(t.clone()).or_default() += 1);
            }
            let statistics = Statistics {
                documents: documents.iter().filter(|tokens| !tokens.is_empty()).count() as u64,
                tokens: documents.iter().map(|tokens| tokens.len() as u64).sum(),
            };
            (field, FieldTokens { field, documents, statistics, with })
        };
        Collection(ContentField::ALL.into_iter().map(of).collect())
    }

    /// The score of a document, none if it does not match.
    fn score(&self, query: &ContentQuery, number: usize) -> Option<f64> {
        match query {
            ContentQuery::All => Some(1.0),
            ContentQuery::Boost(inner, boost) => self.score(inner, number).map(|score| score * f64::from(*boost)),
            ContentQuery::Clauses(clauses) => {
                let of = |occur| clauses.iter().filter(move |clause| clause.occur == occur);
                let mut sum = 0.0;
                for clause in of(Occur::Required) {
                    sum += self.score(&clause.query, number)?;
                }
                if of(Occur::Prohibited).any(|clause| self.score(&clause.query, number).is_some()) {
                    return None;
                }
                let optional: Vec<f64> = of(Occur::Optional).filter_map(|c| self.score(&c.query, number)).collect();
                let enough = of(Occur::Required).next().is_some() || !optional.is_empty();
                enough.then(|| sum + optional.iter().sum::<f64>())
            }
            ContentQuery::Term { field, term } => {
                let field = self.field(field)?;
                field.score(field.idf(&[term]), field.occurrences(term, number), number)
            }
            ContentQuery::Phrase { field, terms, slop } => {
                let field = self.field(field)?;
                let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
                field.score(field.idf(&terms), field.phrase(&terms, *slop, number), number)
            }
            ContentQuery::Fuzzy { field, term, distance } => {
                let field = self.field(field)?;
                field.fuzzy(term, (*distance).min(DISTANCE_MAX), number)
            }
            ContentQuery::Prefix { field, prefix } => self.any(field, number, |token| token.starts_with(prefix)),
            ContentQuery::Wildcard { field, pattern } | ContentQuery::Regex { field, pattern } => {
                self.any(field, number, |token| pattern.matches_plainly(token))
            }
            ContentQuery::Range { field, lower, upper } => {
                self.any(field, number, |token| (lower.as_ref(), upper.as_ref()).contains(token))
            }
        }
    }

    /// 1 if any token is one of those.
    fn any(&self, field: &str, number: usize, is_one: impl Fn(&String) -> bool) -> Option<f64> {
        self.field(field)?.documents[number].iter().any(is_one).then_some(1.0)
    }

    fn field(&self, name: &str) -> Option<&FieldTokens> {
        self.0.get(&ContentField::named(name)?)
    }
}

struct FieldTokens {
    field: ContentField,
    /// The tokens of each document, in order.
    documents: Vec<Vec<String>>,
    statistics: Statistics,
    /// How many documents have each token.
    with: BTreeMap<String, u64>,
}

impl FieldTokens {
    fn documents_with(&self, term: &str) -> u64 {
        self.with.get(term).copied().unwrap_or(0)
    }

    /// Of several tokens: their sum.
    fn idf(&self, terms: &[&str]) -> f64 {
        terms.iter().map(|term| self.statistics.idf(self.documents_with(term))).sum()
    }

    fn occurrences(&self, term: &str, number: usize) -> f64 {
        self.documents[number].iter().filter(|token| *token == term).count() as f64
    }

    fn phrase(&self, terms: &[&str], slop: u32, number: usize) -> f64 {
        let tokens = &self.documents[number];
        if slop == 0 {
            return tokens.windows(terms.len()).filter(|window| window == &terms).count() as f64;
        }
        let places = |term: &&str| -> Vec<u32> {
            (0..tokens.len() as u32).filter(|&place| tokens[place as usize] == **term).collect()
        };
        let places: Vec<Vec<u32>> = terms.iter().map(places).collect();
        let places: Vec<&[u32]> = places.iter().map(Vec::as_slice).collect();
        sloppy::frequency(&places, &Shape::of(terms), slop, |_| ())
    }

    fn score(&self, weight: f64, frequency: f64, number: usize) -> Option<f64> {
        let length = rounded_length(self.documents[number].len() as u32);
        let pull = if self.field.has_lengths() { self.statistics.pull(length) } else { PULL_WITHOUT_LENGTHS };
        (frequency > 0.0).then(|| bm25::score(weight, frequency, pull))
    }

    fn fuzzy(&self, term: &str, distance: u8, number: usize) -> Option<f64> {
        let length = |text: &str| text.chars().count();
        let mut alike: Vec<(&String, f32)> = self
            .with
            .keys()
            .filter_map(|token| {
                let distance = Some(swaps_distance(term, token)).filter(|found| *found <= usize::from(distance))?;
                Some((token, likeness(distance as u8, length(term), length(token))))
            })
            .collect();
        // In order of bytes already, and the sort keeps that among equals.
        alike.sort_by(|one, other| other.1.total_cmp(&one.1));
        alike.truncate(FUZZY_TERMS_MAX);
        let alike: BTreeMap<&String, f32> = alike.into_iter().collect();
        let most = alike.keys().map(|token| self.documents_with(token)).max()?;
        let idf = self.statistics.idf(most);
        let scores = alike.iter().filter_map(|(token, likeness)| {
            self.score(idf * f64::from(likeness.max(0.0)), self.occurrences(token, number), number)
        });
        scores.reduce(|sum, score| sum + score)
    }
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from one text to the other, in characters; no
/// part of a text is changed twice.
pub(super) fn swaps_distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = substituted.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
