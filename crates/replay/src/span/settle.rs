//! Numbers a screen: compares the lines that changed with those that were there, and decides which spans go on, which end
//! and which begin.

use std::collections::{HashMap, HashSet};

use super::tracker::{Key, LINE_BYTES_MAX, Open, Tracker};
use super::{Kind, ScreenNumber, Span};
use crate::screen::watch::Looker;

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

/// A span that was there, or had just gone.
struct Was {
    key: Key,
    lost_us: u64,
}

impl Tracker {
    /// Numbers the screen as it is now; returns its number.
    ///
    /// Costs what changed, and a glance at each row.
    pub(crate) fn settle(&mut self, look: Looker<'_>) -> ScreenNumber {
        let number = self.screens + 1;
        self.drop_blank_remains(look);
        self.gather_rows(look);
        let lines = self.read_lines(look);
        let mut were = self.take_spans();
        let known: HashSet<String> = if self.passed.is_empty() {
            HashSet::new()
        } else {
            let old = were.iter().map(|was| self.span(was.key).text.clone());
            old.chain(lines.iter().map(|line| line.text.clone())).collect()
        };

        let keys = self.match_lines(&lines, &mut were, number);
        for was in were {
            self.finish(was.key, was.lost_us);
        }
        self.settle_passed(&lines, &known);
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

    /// Marks as touched all rows whose line or whose span has a row that is.
    fn gather_rows(&mut self, look: Looker<'_>) {
        let rows = self.rows.len();
        let mut work: Vec<usize> = (0..rows).filter(|&row| self.rows[row].touched).collect();
        let mut seen: HashMap<Key, usize> = HashMap::new();
        loop {
            while let Some(row) = work.pop() {
                for key in self.keys_of(row).into_iter().flatten() {
                    *seen.entry(key).or_default() += 1;
                }
                let span = self.rows[row].span;
                let same = |other: usize| span.is_some() && self.rows[other].span == span;
                let above = row > 0 && (look.is_wrapped(row - 1) || same(row - 1));
                let below = row + 1 < rows && (look.is_wrapped(row) || same(row + 1));
                for (joined, other) in [(above, row.wrapping_sub(1)), (below, row + 1)] {
                    if joined && !self.rows[other].touched {
                        self.rows[other].touched = true;
                        self.rows[other].touched_us = self.rows[row].touched_us;
                        work.push(other);
                    }
                }
            }
            // A scroll inside margins may have torn a line apart. Rare, so it may cost a look at all rows.
            let torn = |key: &Key, count: &usize| self.open[*key].as_ref().is_some_and(|open| open.rows != *count);
            if !seen.iter().any(|(key, count)| torn(key, count)) {
                return;
            }
            for row in 0..rows {
                let keys = self.keys_of(row);
                if !self.rows[row].touched && keys.iter().flatten().any(|key| seen.contains_key(key)) {
                    self.rows[row].touched = true;
                    self.rows[row].touched_us = self.now_us;
                    work.push(row);
                }
            }
            if work.is_empty() {
                return;
            }
        }
    }

    fn keys_of(&self, row: usize) -> [Option<Key>; 2] {
        let row = &self.rows[row];
        [row.span, row.head.as_ref().and_then(|head| head.span)]
    }

    fn read_lines(&self, look: Looker<'_>) -> Vec<Now> {
        let rows = self.rows.len();
        let mut lines = Vec::new();
        let mut row = 0;
        while row < rows {
            let first = row;
            row += 1;
            let state = &self.rows[first];
            if !state.touched {
                continue;
            }
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
    fn take_spans(&mut self) -> Vec<Was> {
        let mut were = Vec::new();
        for row in 0..self.rows.len() {
            if !self.rows[row].touched {
                continue;
            }
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
                    were.push(Was { key, lost_us });
                }
            }
        }
        were.extend(std::mem::take(&mut self.gone).into_iter().map(|(key, lost_us)| Was { key, lost_us }));
        were
    }

    /// Says for each line which span it is from now on (none for blank ones). Those that remain in `were` have ended.
    fn match_lines(&mut self, lines: &[Now], were: &mut Vec<Was>, number: ScreenNumber) -> Vec<Option<Key>> {
        let mut keys: Vec<Option<Key>> = vec![None; lines.len()];
        let mut free: HashMap<Key, u64> = were.drain(..).map(|was| (was.key, was.lost_us)).collect();
        // Most lines are what they were.
        for (line, key) in lines.iter().zip(&mut keys) {
            if let Some(was) = line.was
                && free.contains_key(&was)
                && self.span(was).text == line.text
            {
                free.remove(&was);
                *key = Some(was);
            }
        }
        self.match_moved(lines, &mut keys, &mut free);
        for (line, key) in lines.iter().zip(&mut keys) {
            if key.is_some() || line.text.trim().is_empty() {
                continue;
            }
            let grown = line.was.filter(|was| free.contains_key(was) && line.text.starts_with(&self.span(*was).text));
            *key = Some(match grown {
                Some(was) => {
                    free.remove(&was);
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
        let mut ended: Vec<Was> = free.into_iter().map(|(key, lost_us)| Was { key, lost_us }).collect();
        ended.sort_unstable_by_key(|was| (was.lost_us, self.span(was.key).first, self.span(was.key).row, was.key));
        *were = ended;
        keys
    }

    /// Finds lines that are elsewhere now. A text that is there several times is matched from the top.
    fn match_moved(&self, lines: &[Now], keys: &mut [Option<Key>], free: &mut HashMap<Key, u64>) {
        let moved = |key: &Option<Key>, line: &Now| key.is_none() && !line.text.trim().is_empty();
        if free.is_empty() || !lines.iter().zip(&*keys).any(|(line, key)| moved(key, line)) {
            return;
        }
        let mut by_text: HashMap<&str, Vec<Key>> = HashMap::new();
        for &key in free.keys() {
            by_text.entry(&self.span(key).text).or_default().push(key);
        }
        for same in by_text.values_mut() {
            // Taken from the end: the one that began first, then the upper one.
            same.sort_unstable_by_key(|&key| std::cmp::Reverse((self.span(key).first, self.span(key).row, key)));
        }
        for (line, key) in lines.iter().zip(keys) {
            if moved(key, line)
                && let Some(found) = by_text.get_mut(line.text.as_str()).and_then(Vec::pop)
            {
                free.remove(&found);
                *key = Some(found);
            }
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
        let open = Some(Open { span, rows: 0 });
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

    /// What passed by since the last screen and is on neither it nor this one becomes a span.
    fn settle_passed(&mut self, lines: &[Now], known: &HashSet<String>) {
        if self.passed.is_empty() {
            return;
        }
        let base = self.passed_base;
        let grew_into_a_line: HashSet<usize> = lines
            .iter()
            .filter_map(|line| {
                let index = line.passed?.checked_sub(base)?;
                line.text.starts_with(&self.passed.get(index)?.text).then_some(index)
            })
            .collect();
        let all = std::mem::take(&mut self.passed);
        self.passed_base += all.len();
        self.passed_bytes = 0;
        let mut told: HashSet<String> = HashSet::new();
        for (index, passed) in all.into_iter().enumerate() {
            let known = grew_into_a_line.contains(&index) || known.contains(&passed.text);
            if !known && told.insert(passed.text.clone()) {
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
        open.sort_unstable_by_key(|&key| (self.span(key).first, self.span(key).row, key));
        for key in open {
            self.finish(key, self.now_us);
        }
    }

    fn span(&self, key: Key) -> &Span {
        &self.open[key].as_ref().expect("keys name open spans").span
    }
}
