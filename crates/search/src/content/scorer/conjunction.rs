//! Documents that match several things at once, or none of some, or one of some when asked document by document.

use tantivy::DocId;

use super::{END, Scorer};

type Part<'a> = Box<dyn Scorer + 'a>;

/// Documents that match all parts; the first of them leads. With one part: that part.
pub(super) fn all_of<'a>(mut parts: Vec<Part<'a>>) -> Part<'a> {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let mut all = All { parts, document: 0 };
    all.find(0);
    Box::new(all)
}

struct All<'a> {
    parts: Vec<Part<'a>>,
    document: DocId,
}

impl All<'_> {
    /// From `candidate`, where the first part stands or before, to the first document that all match.
    fn find(&mut self, candidate: DocId) -> DocId {
        let (leading, others) = self.parts.split_first_mut().expect("there are parts");
        let mut candidate = at_or_after(leading, candidate);
        'candidates: while candidate != END {
            for part in &mut *others {
                let found = at_or_after(part, candidate);
                if found != candidate {
                    candidate = at_or_after(leading, found);
                    continue 'candidates;
                }
            }
            break;
        }
        self.document = candidate;
        candidate
    }
}

fn at_or_after(part: &mut Part<'_>, target: DocId) -> DocId {
    let document = part.document();
    if document < target { part.seek(target) } else { document }
}

impl Scorer for All<'_> {
    fn document(&self) -> DocId {
        self.document
    }

    fn advance(&mut self) -> DocId {
        if self.document != END {
            let next = self.parts[0].advance();
            self.find(next);
        }
        self.document
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.document < target {
            self.find(target);
        }
        self.document
    }

    fn score(&mut self) -> f64 {
        self.parts.iter_mut().map(|part| part.score()).sum()
    }

    fn score_max(&self) -> f64 {
        self.parts.iter().map(|part| part.score_max()).sum()
    }
}

/// Documents of `inner` that match none of `prohibited`.
pub(super) fn without<'a>(inner: Part<'a>, prohibited: Vec<Part<'a>>) -> Part<'a> {
    if prohibited.is_empty() {
        return inner;
    }
    let mut without = Without { inner, prohibited };
    without.pass();
    Box::new(without)
}

struct Without<'a> {
    inner: Part<'a>,
    prohibited: Vec<Part<'a>>,
}

impl Without<'_> {
    /// From where `inner` stands to the first that is not prohibited.
    fn pass(&mut self) -> DocId {
        let mut document = self.inner.document();
        while document != END && self.prohibited.iter_mut().any(|part| at_or_after(part, document) == document) {
            document = self.inner.advance();
        }
        document
    }
}

impl Scorer for Without<'_> {
    fn document(&self) -> DocId {
        self.inner.document()
    }

    fn advance(&mut self) -> DocId {
        self.inner.advance();
        self.pass()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        at_or_after(&mut self.inner, target);
        self.pass()
    }

    fn score(&mut self) -> f64 {
        self.inner.score()
    }

    fn score_max(&self) -> f64 {
        self.inner.score_max()
    }
}

/// Documents of `required`, with the scores of those of `optional` that match them too.
pub(super) struct WithOptional<'a> {
    required: Part<'a>,
    optional: Vec<Part<'a>>,
}

impl<'a> WithOptional<'a> {
    pub(super) fn new(required: Part<'a>, optional: Vec<Part<'a>>) -> WithOptional<'a> {
        WithOptional { required, optional }
    }
}

impl Scorer for WithOptional<'_> {
    fn document(&self) -> DocId {
        self.required.document()
    }

    fn advance(&mut self) -> DocId {
        self.required.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.required.seek(target)
    }

    fn score(&mut self) -> f64 {
        let document = self.required.document();
        let mut score = self.required.score();
        for part in &mut self.optional {
            if at_or_after(part, document) == document {
                score += part.score();
            }
        }
        score
    }

    fn score_max(&self) -> f64 {
        self.required.score_max() + self.optional.iter().map(|part| part.score_max()).sum::<f64>()
    }
}

/// Documents that match any part, by asking each: for when few documents are asked for.
pub(super) struct Either<'a> {
    parts: Vec<Part<'a>>,
    document: DocId,
}

impl<'a> Either<'a> {
    pub(super) fn new(parts: Vec<Part<'a>>) -> Either<'a> {
        let document = parts.iter().map(|part| part.document()).min().unwrap_or(END);
        Either { parts, document }
    }
}

impl Scorer for Either<'_> {
    fn document(&self) -> DocId {
        self.document
    }

    fn advance(&mut self) -> DocId {
        if self.document == END { END } else { self.seek(self.document + 1) }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.document = self.parts.iter_mut().map(|part| at_or_after(part, target)).min().unwrap_or(END);
        self.document
    }

    fn score(&mut self) -> f64 {
        let here = self.parts.iter_mut().filter(|part| part.document() == self.document);
        here.map(|part| part.score()).sum()
    }

    fn score_max(&self) -> f64 {
        self.parts.iter().map(|part| part.score_max()).sum()
    }
}
