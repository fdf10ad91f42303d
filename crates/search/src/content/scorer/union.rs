//! Documents that match any of several things, window by window.
//!
//! When the best so far are good enough that some parts together cannot lift a document above them, documents that match
//! only those parts are still counted, but neither scored nor looked at one by one (the parts are *not essential*; Turtle
//! and Flood 1995 call it MaxScore).

use tantivy::DocId;

use super::super::top::Top;
use super::{END, Fill, Scorer, WINDOW, Window};

type Part<'a> = Box<dyn Scorer + 'a>;

pub(super) struct Union<'a> {
    /// By the highest score each can give, the lowest first.
    parts: Vec<Part<'a>>,
    prohibited: Vec<Part<'a>>,
    window: Window,
    /// The highest score that the parts up to each can give together, and a little more for rounding.
    sums: Vec<f64>,
    document: DocId,
}

impl<'a> Union<'a> {
    pub(super) fn new(mut parts: Vec<Part<'a>>, prohibited: Vec<Part<'a>>) -> Union<'a> {
        parts.sort_by(|one, other| one.score_max().total_cmp(&other.score_max()));
        let mut sum = 0.0;
        let sums = parts.iter().map(|part| {
            sum += part.score_max();
            sum * 1.000_001
        });
        let sums = sums.collect();
        let mut union = Union { parts, prohibited, window: Window::new(), sums, document: 0 };
        union.next_window(0);
        union.document = union.within_or_next(0);
        union
    }

    /// Goes to the next window that has documents, all of them candidates; false after the last.
    fn next_window(&mut self, essential: usize) -> bool {
        let Some(next) = self.parts.iter().map(|part| part.document()).min().filter(|&next| next != END) else {
            self.window.move_to(0);
            return false;
        };
        let window = &mut self.window;
        window.move_to(next);
        for part in &mut self.parts[essential..] {
            part.fill(window, Fill::Candidates);
        }
        for (matching, candidates) in window.matching.iter_mut().zip(&window.candidates) {
            *matching |= candidates;
        }
        for part in &mut self.parts[..essential] {
            part.fill(window, Fill::Counted);
        }
        if !self.prohibited.is_empty() {
            let matching = std::mem::replace(&mut window.matching, [0; WINDOW / 64]);
            for part in &mut self.prohibited {
                if part.document() < window.start {
                    part.seek(window.start);
                }
                part.fill(window, Fill::Unscored);
            }
            window.prohibit(&matching);
        }
        true
    }

    /// The first document of the window that is `target` or behind it, or else of a later window.
    fn within_or_next(&mut self, target: DocId) -> DocId {
        let mut target = target;
        loop {
            if let Some(document) = self.window.first_from(target) {
                return document;
            }
            if !self.next_window(0) {
                return END;
            }
            target = self.window.start;
        }
    }
}

impl Window {
    /// `matching` without what is marked now.
    fn prohibit(&mut self, matching: &[u64; WINDOW / 64]) {
        for (word, matching) in matching.iter().enumerate() {
            let prohibited = self.matching[word];
            self.matching[word] = matching & !prohibited;
            let mut dropped = self.candidates[word] & prohibited;
            self.candidates[word] &= !prohibited;
            while dropped != 0 {
                self.scores[word * 64 + dropped.trailing_zeros() as usize] = 0.0;
                dropped &= dropped - 1;
            }
        }
    }

    fn first_from(&self, target: DocId) -> Option<DocId> {
        if target >= self.end() {
            return None;
        }
        let place = self.place(target.max(self.start));
        let mut word = place / 64;
        let mut rest = self.candidates[word] & (!0 << (place % 64));
        while rest == 0 {
            word += 1;
            rest = *self.candidates.get(word)?;
        }
        Some(self.start + word as u32 * 64 + rest.trailing_zeros())
    }
}

impl Scorer for Union<'_> {
    fn document(&self) -> DocId {
        self.document
    }

    fn advance(&mut self) -> DocId {
        if self.document != END {
            self.document = self.within_or_next(self.document + 1);
        }
        self.document
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.document >= target {
            return self.document;
        }
        if target >= self.window.end() {
            for part in &mut self.parts {
                if part.document() < target {
                    part.seek(target);
                }
            }
            // What is left of the old window lies before the target.
            if !self.next_window(0) {
                self.document = END;
                return END;
            }
        }
        self.document = self.within_or_next(target);
        self.document
    }

    fn score(&mut self) -> f64 {
        self.window.scores[self.window.place(self.document)]
    }

    fn score_max(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }

    fn collect(&mut self, top: &mut Top) -> u64 {
        let mut total = 0;
        if self.document == END {
            return 0;
        }
        // The first window is filled already.
        loop {
            let window = &self.window;
            for (word, (&candidates, &matching)) in window.candidates.iter().zip(&window.matching).enumerate() {
                total += u64::from(matching.count_ones());
                let mut rest = candidates;
                while rest != 0 {
                    let place = word * 64 + rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    let score = window.scores[place] as f32;
                    if score > top.threshold() {
                        top.offer(window.start + place as u32, score);
                    }
                }
            }
            let threshold = f64::from(top.threshold());
            let essential = self.sums.partition_point(|&sum| sum <= threshold);
            if !self.next_window(essential) {
                self.document = END;
                return total;
            }
        }
    }
}
