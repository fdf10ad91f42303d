//! Numbers a screen: compares the lines that changed with those that were there, and decides which spans go on, which end
//! and which begin.

use std::collections::{HashMap, HashSet};

use super::tracker::{Key, LINE_BYTES_MAX, Open, Tracker};
use super::{Kind, ScreenNumber, Span};
use crate::screen::watch::Looker;

/// Up to so many texts are compared one by one.
const FEW: usize = 8;

/// A line as it is now.
struct Now {
    first: usize,
    count: usize,
    text: String,
    /// Its beginning has scrolled off.
    beheaded: bool,
    /// What its first row was part of.
    was: Option<Key>,
    passed: Option<usize>,
    appeared_us: u64,
}

impl Now {
    fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }
}

impl Tracker {
    /// Numbers the screen as it is now; returns its number.
    ///
    /// Costs what changed, and a glance at each row.
    pub(crate) fn settle(&mut self, look: Looker<'_>) -> ScreenNumber {
        let number = self.screens + 1;
        self.drop_blank_remains(look);
        let touched = self.gather_rows(look);
        let lines = self.read_lines(look, &touched);
        let were = self.take_spans(&touched);
        let told = self.passed_to_tell(&lines, &were);

        let keys = self.match_lines(&lines, &were, number);
        for key in self.ended(were) {
            let lost_us = self.open(key).lost_us.unwrap_or(self.now_us);
            self.finish(key, lost_us);
        }
        self.settle_passed(&told);
        self.bind(&lines, keys);

        self.screens = number;
        self.changed_us = None;
        self.settle_commands(number);
        number
    }

    /// A line of which only blanks are left has gone.
    fn drop_blank_remains(&mut self, look: Looker<'_>) {
        for first in 0..self.rows.len() {
            if self.rows[first].head.is_none() {
                continue;
            }
            let mut row = first;
            let columns = 0..look.size().0;
            while !look.has_text(row, columns.clone()) && look.is_wrapped(row) && row + 1 < self.rows.len() {
                row += 1;
            }
            if !look.has_text(row, columns) {
                self.behead(first);
            }
        }
    }

    /// Marks as touched all rows whose line or whose span has a row that is; returns all of these, from the top.
    fn gather_rows(&mut self, look: Looker<'_>) -> Vec<usize> {
        let rows = self.rows.len();
        let torn = std::mem::take(&mut self.torn);
        if !torn.is_empty() {
            for row in 0..rows {
                if !self.rows[row].touched && self.keys_of(row).iter().flatten().any(|key| torn.contains(key)) {
                    self.touch_again(row, self.now_us);
                }
            }
        }
        let mut touched: Vec<usize> = (0..rows).filter(|&row| self.rows[row].touched).collect();
        let mut work = touched.clone();
        let mut spans: Vec<Key> = Vec::new();
        loop {
            while let Some(row) = work.pop() {
                for key in self.keys_of(row).into_iter().flatten() {
                    let open = self.open[key].as_mut().expect("rows name open spans only");
                    if open.found == 0 {
                        spans.push(key);
                    }
                    open.found += 1;
                }
                let span = self.rows[row].span;
                let same = |other: usize| span.is_some() && self.rows[other].span == span;
                let above = row > 0 && (look.is_wrapped(row - 1) || same(row - 1));
                let below = row + 1 < rows && (look.is_wrapped(row) || same(row + 1));
                for (joined, other) in [(above, row.wrapping_sub(1)), (below, row + 1)] {
                    if joined && !self.rows[other].touched {
                        self.touch_again(other, self.rows[row].touched_us);
                        touched.push(other);
                        work.push(other);
                    }
                }
            }
            // A scroll inside margins may have torn a line apart. Rare, so it may cost a look at all rows.
            if spans.iter().any(|&key| self.open(key).rows != self.open(key).found) {
                for row in 0..rows {
                    let part = self.keys_of(row).iter().flatten().any(|&key| self.open(key).found > 0);
                    if part && !self.rows[row].touched {
                        self.touch_again(row, self.now_us);
                        touched.push(row);
                        work.push(row);
                    }
                }
            }
            if work.is_empty() {
                break;
            }
        }
        for key in spans {
            self.open[key].as_mut().expect("rows name open spans only").found = 0;
        }
        touched.sort_unstable();
        touched
    }

    fn touch_again(&mut self, row: usize, at_us: u64) {
        self.rows[row].touched = true;
        self.rows[row].touched_us = at_us;
    }

    fn keys_of(&self, row: usize) -> [Option<Key>; 2] {
        let row = &self.rows[row];
        [row.span, row.head.as_ref().and_then(|head| head.span)]
    }

    fn read_lines(&self, look: Looker<'_>, touched: &[usize]) -> Vec<Now> {
        let rows = self.rows.len();
        let mut lines = Vec::new();
        let mut row = 0;
        for &first in touched {
            if first < row {
                continue;
            }
            row = first + 1;
            let state = &self.rows[first];
            let mut text = String::new();
            let mut appeared_us = if state.fresh { state.fresh_us } else { state.touched_us };
            let head = state.head.as_deref();
            if let Some(head) = head {
                text.push_str(&head.text);
                if head.fresh {
                    appeared_us = appeared_us.min(head.fresh_us);
                }
            }
            look.push_row_of_line(first, &mut text);
            while row < rows && look.is_wrapped(row - 1) && text.len() <= LINE_BYTES_MAX {
                look.push_row_of_line(row, &mut text);
                if self.rows[row].fresh {
                    appeared_us = appeared_us.min(self.rows[row].fresh_us);
                }
                row += 1;
            }
            text.truncate(text.trim_end_matches(' ').len());
            let beheaded = head.is_some_and(|head| !head.text.is_empty());
            let was = state.span.or(head.and_then(|head| head.span));
            let passed = state.passed.or(head.and_then(|head| head.passed));
            lines.push(Now { first, count: row - first, text, beheaded, was, passed, appeared_us });
        }
        lines
    }

    /// Takes the spans from all touched rows, and those that were gone.
    fn take_spans(&mut self, touched: &[usize]) -> Vec<Key> {
        let mut were = Vec::new();
        for &row in touched {
            let lost_us = self.rows[row].touched_us;
            let keys = self.keys_of(row);
            self.rows[row].span = None;
            if let Some(head) = &mut self.rows[row].head {
                head.span = None;
            }
            for key in keys.into_iter().flatten() {
                let open = self.open[key].as_mut().expect("rows name open spans only");
                open.rows -= 1;
                if open.rows == 0 {
                    open.lost_us = Some(lost_us);
                    were.push(key);
                }
            }
        }
        for (key, lost_us) in std::mem::take(&mut self.gone) {
            self.open[key].as_mut().expect("what is gone has not been finished").lost_us = Some(lost_us);
            were.push(key);
        }
        were
    }

    /// Says for each line which span it is from now on (none for blank ones). Of `were`, those that remain lost have ended.
    fn match_lines(&mut self, lines: &[Now], were: &[Key], number: ScreenNumber) -> Vec<Option<Key>> {
        let mut keys: Vec<Option<Key>> = vec![None; lines.len()];
        // Most lines are what they were.
        for (line, key) in lines.iter().zip(&mut keys) {
            *key = line.was.filter(|&was| self.is_lost(was) && self.open(was).span.text == line.text);
            self.find(*key);
        }
        self.match_moved(lines, were, &mut keys);
        for (line, key) in lines.iter().zip(&mut keys) {
            if key.is_some() || line.is_blank() {
                continue;
            }
            let grown = line.was.filter(|&was| self.is_lost(was) && line.text.starts_with(&self.open(was).span.text));
            self.find(grown);
            *key = Some(match grown {
                Some(was) => {
                    let span = &mut self.open[was].as_mut().expect("it was taken from a row").span;
                    span.text.clone_from(&line.text);
                    span.clearest = number;
                    span.row = line.first as u16;
                    span.passed_by = line.beheaded;
                    was
                }
                None => self.begin(line, number),
            });
        }
        keys
    }

    fn is_lost(&self, key: Key) -> bool {
        // The span that a row named may have ended, and another may have its key.
        self.open[key].as_ref().is_some_and(|open| open.lost_us.is_some())
    }

    fn find(&mut self, key: Option<Key>) {
        if let Some(open) = key.and_then(|key| self.open[key].as_mut()) {
            open.lost_us = None;
        }
    }

    /// Those that remain lost, in the order in which they were.
    fn ended(&self, mut were: Vec<Key>) -> Vec<Key> {
        were.retain(|&key| self.is_lost(key));
        were.sort_unstable_by_key(|&key| {
            let open = self.open(key);
            (open.lost_us, open.span.first, open.span.row, key)
        });
        were
    }

    /// Finds lines that are elsewhere now. A text that is there several times is matched from the top.
    fn match_moved(&mut self, lines: &[Now], were: &[Key], keys: &mut [Option<Key>]) {
        let moved = |key: &Option<Key>, line: &Now| key.is_none() && !line.is_blank();
        if !lines.iter().zip(&*keys).any(|(line, key)| moved(key, line)) {
            return;
        }
        let mut lost: Vec<Key> = were.iter().copied().filter(|&key| self.is_lost(key)).collect();
        // Taken from the end: the one that began first, then the upper one.
        lost.sort_unstable_by_key(|&key| std::cmp::Reverse((self.open(key).span.first, self.open(key).span.row, key)));
        let mut by_text: HashMap<&str, Vec<Key>> = HashMap::new();
        if lost.len() > FEW {
            for &key in &lost {
                by_text.entry(&self.open(key).span.text).or_default().push(key);
            }
        }
        for (line, key) in lines.iter().zip(&mut *keys).filter(|(line, key)| moved(key, line)) {
            *key = if by_text.is_empty() {
                let place = lost.iter().rposition(|&key| self.open(key).span.text == line.text);
                place.map(|place| lost.remove(place))
            } else {
                by_text.get_mut(line.text.as_str()).and_then(Vec::pop)
            };
        }
        for key in keys {
            self.find(*key);
        }
    }

    fn begin(&mut self, line: &Now, number: ScreenNumber) -> Key {
        let earlier = line.passed.and_then(|name| self.passed_at(name));
        let earlier_us = earlier.filter(|passed| line.text.starts_with(&passed.text)).map(|passed| passed.appeared_us);
        let span = Span {
            kind: Kind::Text,
            text: line.text.clone(),
            first: number,
            last: number,
            clearest: number,
            row: line.first as u16,
            appeared_us: earlier_us.map_or(line.appeared_us, |earlier_us| earlier_us.min(line.appeared_us)),
            disappeared_us: 0,
            passed_by: line.beheaded,
            exit: None,
        };
        let open = Some(Open { span, rows: 0, found: 0, lost_us: None });
        match self.free.pop() {
            Some(key) => {
                self.open[key] = open;
                key
            }
            None => {
                self.open.push(open);
                self.open.len() - 1
            }
        }
    }

    /// Which of the texts that passed by are to be told: not those that grew into a line that is here; nor, of those that were
    /// erased or written over, any that were on the last screen or are on this one, nor any twice.
    fn passed_to_tell(&self, lines: &[Now], were: &[Key]) -> Vec<bool> {
        let mut told = vec![true; self.passed.len()];
        if told.is_empty() {
            return told;
        }
        for line in lines {
            if let Some(index) = line.passed.and_then(|name| name.checked_sub(self.passed_base))
                && self.passed.get(index).is_some_and(|passed| line.text.starts_with(&passed.text))
            {
                told[index] = false;
            }
        }
        if self.passed.iter().any(|passed| passed.captured) {
            let old = were.iter().map(|&key| self.open(key).span.text.as_str());
            let mut known: HashSet<&str> = old.chain(lines.iter().map(|line| line.text.as_str())).collect();
            for (passed, told) in self.passed.iter().zip(&mut told) {
                *told &= !passed.captured || known.insert(&passed.text);
            }
        }
        told
    }

    fn settle_passed(&mut self, told: &[bool]) {
        let all = std::mem::take(&mut self.passed);
        self.passed_base += all.len();
        self.passed_bytes = 0;
        for (passed, told) in all.into_iter().zip(told) {
            if *told {
                self.finish_passed(passed);
            }
        }
    }

    fn bind(&mut self, lines: &[Now], keys: Vec<Option<Key>>) {
        for (line, key) in lines.iter().zip(keys) {
            let mut bound = 0;
            for row in line.first..line.first + line.count {
                let row = &mut self.rows[row];
                row.span = key;
                row.touched = false;
                row.fresh = false;
                row.passed = None;
                bound += 1;
                if let Some(head) = &mut row.head {
                    head.span = key;
                    head.fresh = false;
                    head.passed = None;
                    bound += 1;
                }
            }
            if let Some(key) = key {
                self.open[key].as_mut().expect("it was matched or has begun").rows += bound;
            }
        }
    }

    /// The recording has ended: so have all spans.
    pub(crate) fn end(&mut self) {
        let mut open: Vec<Key> = (0..self.open.len()).filter(|&key| self.open[key].is_some()).collect();
        open.sort_unstable_by_key(|&key| (self.open(key).span.first, self.open(key).span.row, key));
        for key in open {
            self.finish(key, self.now_us);
        }
    }

    fn open(&self, key: Key) -> &Open {
        self.open[key].as_ref().expect("keys name open spans")
    }
}
