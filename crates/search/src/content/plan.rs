//! From a question to what has to be read for it: names resolved, tokens looked up, sets made, boosts pushed down.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::BlockSegmentPostings;
use tantivy::postings::{SegmentPostings, TermInfo};
use tantivy::schema::IndexRecordOption;

use super::Error;
use super::bm25::{PULL_WITHOUT_LENGTHS, Statistics};
use super::index::{Content, FieldIndex};
use super::query::{Clause, ContentQuery, Occur};
use super::set::DocumentSet;
use super::sloppy::Shape;

/// What to do for a question.
pub(super) enum Plan<'a> {
    /// Nothing matches.
    Nothing,
    /// All documents below this number match, with this score.
    All {
        documents: u32,
        score: f64,
    },
    /// These match, with this score.
    Set {
        set: Arc<DocumentSet>,
        score: f64,
    },
    Term(Box<TermPlan<'a>>),
    Phrase(Box<PhrasePlan<'a>>),
    /// All of `required` have to match, if there are any; else one of `optional`, of which there then is at least one.
    Lists {
        required: Vec<Plan<'a>>,
        optional: Vec<Plan<'a>>,
        prohibited: Vec<Plan<'a>>,
    },
}

pub(super) struct TermPlan<'a> {
    pub(super) documents: u64,
    pub(super) list: BlockSegmentPostings,
    pub(super) scale: Scale<'a>,
}

pub(super) struct PhrasePlan<'a> {
    /// Each different token once.
    pub(super) lists: Vec<SegmentPostings>,
    /// For each token of the phrase, which list is its.
    pub(super) order: Vec<usize>,
    /// The rarest one's documents.
    pub(super) documents: u64,
    pub(super) slop: u32,
    pub(super) shape: Shape,
    pub(super) scale: Scale<'a>,
}

/// How a frequency in a document becomes a score.
pub(super) struct Scale<'a> {
    /// Boost times idf: what the score grows to.
    pub(super) weight: f64,
    pub(super) pulls: Arc<Pulls>,
    /// None: every document is of one length.
    pub(super) lengths: Option<&'a FieldNormReader>,
}

/// For each of the 256 rounded lengths, see [`Statistics::pull`].
pub(super) type Pulls = [f64; 256];

impl Scale<'_> {
    pub(super) fn pull(&self, document: u32) -> f64 {
        self.pulls[self.lengths.map_or(0, |lengths| usize::from(lengths.fieldnorm_id(document)))]
    }
}

impl Plan<'_> {
    /// Documents that may have to be looked at.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Plan::Nothing => 0,
            Plan::All { documents, .. } => u64::from(*documents),
            Plan::Set { set, .. } => set.count(),
            Plan::Term(term) => term.documents,
            Plan::Phrase(phrase) => phrase.documents,
            Plan::Lists { required, optional, .. } => match required.iter().map(Plan::cost).min() {
                Some(cost) => cost,
                None => optional.iter().map(Plan::cost).sum(),
            },
        }
    }
}

/// Makes plans for one index.
pub(super) struct Planner<'a> {
    content: &'a Content,
    /// Of each field that has been asked for.
    pulls: [Option<Arc<Pulls>>; 4],
}

impl<'a> Planner<'a> {
    pub(super) fn new(content: &'a Content) -> Planner<'a> {
        Planner { content, pulls: Default::default() }
    }

    /// The plan for a question whose scores are multiplied by `boost`.
    pub(super) fn plan(&mut self, query: &ContentQuery, boost: f64) -> Result<Plan<'a>, Error> {
        let documents = self.content.documents();
        let constant = |set: DocumentSet| match set.count() {
            0 => Plan::Nothing,
            _ => Plan::Set { set: Arc::new(set), score: boost },
        };
        match query {
            ContentQuery::Clauses(clauses) => self.clauses(clauses, boost),
            ContentQuery::Boost(inner, more) => self.plan(inner, boost * f64::from(*more)),
            ContentQuery::All => Ok(Plan::All { documents, score: boost }),
            ContentQuery::Term { field, term } => {
                let Some(index) = self.content.field(field) else { return Ok(Plan::Nothing) };
                match index.token(term)? {
                    Some(info) => self.term(index, &info, boost * index.statistics.idf(u64::from(info.doc_freq))),
                    None => Ok(Plan::Nothing),
                }
            }
            ContentQuery::Phrase { field, terms, slop } => match self.content.field(field) {
                Some(index) => self.phrase(index, terms, *slop, boost),
                None => Ok(Plan::Nothing),
            },
            ContentQuery::Fuzzy { field, term, distance } => match self.content.field(field) {
                Some(index) => self.fuzzy(index, term, *distance, boost),
                None => Ok(Plan::Nothing),
            },
            ContentQuery::Prefix { field, prefix } => match self.content.field(field) {
                Some(index) => Ok(constant(index.with_prefix(prefix, documents)?)),
                None => Ok(Plan::Nothing),
            },
            ContentQuery::Wildcard { field, pattern } | ContentQuery::Regex { field, pattern } => {
                match self.content.field(field) {
                    Some(index) => Ok(constant(index.matching(pattern, documents)?)),
                    None => Ok(Plan::Nothing),
                }
            }
            ContentQuery::Range { field, lower, upper } => match self.content.field(field) {
                Some(index) => Ok(constant(index.between(lower, upper, documents)?)),
                None => Ok(Plan::Nothing),
            },
        }
    }

    fn clauses(&mut self, clauses: &[Clause], boost: f64) -> Result<Plan<'a>, Error> {
        let (mut required, mut optional, mut prohibited) = (Vec::new(), Vec::new(), Vec::new());
        for clause in clauses {
            let plan = self.plan(&clause.query, boost)?;
            match (clause.occur, plan) {
                (Occur::Required, Plan::Nothing) => return Ok(Plan::Nothing),
                (_, Plan::Nothing) => {}
                (Occur::Required, plan) => required.push(plan),
                (Occur::Optional, plan) => optional.push(plan),
                (Occur::Prohibited, plan) => prohibited.push(plan),
            }
        }
        if required.is_empty() && optional.is_empty() {
            return Ok(Plan::Nothing);
        }
        if prohibited.is_empty() && required.len() + optional.len() == 1 {
            return Ok(required.pop().or(optional.pop()).expect("there is one"));
        }
        Ok(Plan::Lists { required, optional, prohibited })
    }

    fn term(&mut self, index: FieldIndex<'a>, info: &TermInfo, weight: f64) -> Result<Plan<'a>, Error> {
        let list = index.lists.read_block_postings_from_terminfo(info, IndexRecordOption::WithFreqs)?;
        let scale = self.scale(index, weight);
        Ok(Plan::Term(Box::new(TermPlan { documents: u64::from(info.doc_freq), list, scale })))
    }

    fn fuzzy(&mut self, index: FieldIndex<'a>, term: &str, distance: u8, boost: f64) -> Result<Plan<'a>, Error> {
        let tokens = index.alike(term, distance)?;
        // All of them are taken to be as frequent as the most frequent one: rare misspellings must not win.
        let Some(documents) = tokens.iter().map(|token| token.of.doc_freq).max() else { return Ok(Plan::Nothing) };
        let idf = index.statistics.idf(u64::from(documents));
        let mut optional = Vec::with_capacity(tokens.len());
        for token in &tokens {
            optional.push(self.term(index, &token.of, boost * idf * f64::from(token.likeness.max(0.0)))?);
        }
        if optional.len() == 1 {
            return Ok(optional.remove(0));
        }
        Ok(Plan::Lists { required: Vec::new(), optional, prohibited: Vec::new() })
    }

    fn phrase(&mut self, index: FieldIndex<'a>, terms: &[String], slop: u32, boost: f64) -> Result<Plan<'a>, Error> {
        let mut different: Vec<(&String, TermInfo)> = Vec::new();
        let mut order = Vec::with_capacity(terms.len());
        let mut known = std::collections::HashMap::new();
        let mut idf = 0.0;
        for term in terms {
            let number = match known.get(term) {
                Some(&number) => number,
                None => {
                    let Some(info) = index.token(term)? else { return Ok(Plan::Nothing) };
                    different.push((term, info));
                    known.insert(term, different.len() - 1);
                    different.len() - 1
                }
            };
            idf += index.statistics.idf(u64::from(different[number].1.doc_freq));
            order.push(number);
        }
        let Some(documents) = different.iter().map(|(_, info)| u64::from(info.doc_freq)).min() else {
            return Ok(Plan::Nothing);
        };
        let mut lists = Vec::with_capacity(different.len());
        for (_, info) in &different {
            lists.push(index.lists.read_postings_from_terminfo(info, IndexRecordOption::WithFreqsAndPositions)?);
        }
        let shape = Shape::of(&order);
        let scale = self.scale(index, boost * idf);
        Ok(Plan::Phrase(Box::new(PhrasePlan { lists, order, documents, slop, shape, scale })))
    }

    fn scale(&mut self, index: FieldIndex<'a>, weight: f64) -> Scale<'a> {
        let pulls =
            self.pulls[index.field as usize].get_or_insert_with(|| Arc::new(pulls(&index.statistics, index.lengths)));
        Scale { weight, pulls: Arc::clone(pulls), lengths: index.lengths }
    }
}

fn pulls(statistics: &Statistics, lengths: Option<&FieldNormReader>) -> Pulls {
    match lengths {
        Some(_) => std::array::from_fn(|id| statistics.pull(FieldNormReader::id_to_fieldnorm(id as u8))),
        None => [PULL_WITHOUT_LENGTHS; 256],
    }
}
