//! Follows every row of the screen from where it is printed to where it goes, so that nothing need be compared that did not
//! change.
//!
//! A [`Row`] here stands for a row of the terminal and moves with it: a scroll moves rows about, it changes none of them. What
//! is printed makes a row *touched* (to be read again when the screen is numbered, see `settle.rs`) and *fresh* (its text may
//! be on no numbered screen yet). Before something destroys a fresh row its text is taken down: see [`Tracker::capture`] for
//! erasing and writing over, [`Tracker::leave`] for scrolling off.
//!
//! The margins and character sets are mirrored from avt, which does not tell them. A scroll moves rows only when avt reports just the rows that
//! the mirror expects; otherwise they are all read again, which costs time but no text.

use std::collections::VecDeque;
use std::ops::Range;

use avt::parser::{AnsiMode, DecMode, EdScope, ElScope, Function};
use avt::{Charset, Observation};
use unicode_width::UnicodeWidthChar;

use super::command::Commands;
use super::{Kind, Span};
use crate::screen::watch::{Looker, Watch};

/// A line that goes on beyond this many bytes is split into several spans, at the end of a row.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// A line is taken down before it is written over with at most about this many cells above and below the place.
pub const CAPTURE_CELLS_MAX: usize = 4096;
/// Texts taken down before they were written over or erased may be this many bytes more than four times the output: a
/// program that changes one letter of a long line again and again could otherwise make a text of each. Beyond it they are
/// not kept but counted, see [`crate::index::Summary::overwritten`].
pub const CAPTURE_CREDIT_BYTES: u64 = 1 << 20;
const CAPTURE_CREDIT_PER_BYTE: u64 = 4;
/// Between two numbered screens at most so many ended texts wait to be compared with what comes; then they are let go.
const WAITING_MAX: usize = 4096;
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Which of the open spans.
pub(super) type Key = usize;

/// A text that is on the terminal.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) span: Span,
    /// How many rows (and heads) are part of it.
    pub(super) rows: usize,
    /// Only while a screen is numbered: how many of them were found so far.
    pub(super) found: usize,
    /// Only while a screen is numbered: when it was lost, if it was and is not found again.
    pub(super) lost_us: Option<u64>,
}

/// The part of a line that has scrolled off while the rest is still there. Belongs to the first row of the rest.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) text: String,
    pub(super) fresh: bool,
    pub(super) fresh_us: u64,
    pub(super) span: Option<Key>,
    pub(super) passed: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Row {
    /// The span it was part of when the screen was last numbered.
    pub(super) span: Option<Key>,
    /// Changed since then; when first.
    pub(super) touched: bool,
    pub(super) touched_us: u64,
    /// Printed on since then, or since it was last taken down; when first; up to which column.
    pub(super) fresh: bool,
    pub(super) fresh_us: u64,
    extent: usize,
    pub(super) head: Option<Box<Head>>,
    /// The text last taken down from this row since then, see [`Tracker::passed_at`].
    pub(super) passed: Option<usize>,
}

impl Row {
    #[inline]
    fn freshen(&mut self, now_us: u64, end: usize) {
        if !std::mem::replace(&mut self.fresh, true) {
            self.fresh_us = now_us;
            self.extent = 0;
        }
        self.extent = self.extent.max(end);
    }
}

/// Whether something stands in the cell; also in the second cell of a wide character.
fn shows(cell: &avt::Cell) -> bool {
    cell.char() != ' ' || cell.width() == 0
}

/// A text taken down before it was lost.
#[derive(Debug)]
pub(super) struct Passed {
    /// It was erased or written over, perhaps to be written again. Otherwise it scrolled off.
    pub(super) captured: bool,
    pub(super) text: String,
    pub(super) row: u16,
    pub(super) appeared_us: u64,
    pub(super) disappeared_us: u64,
}

/// A scroll that is about to happen.
#[derive(Debug)]
struct Scroll {
    range: Range<usize>,
    count: usize,
    up: bool,
    /// Of the rows that leave at the top, in order: text and whether the line goes on.
    leaving: Vec<(String, bool)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// When whatever happens now happens.
    pub(crate) now_us: u64,
    /// When the screen first changed since it was last numbered.
    pub(crate) changed_us: Option<u64>,
    /// How many screens are numbered.
    pub(crate) screens: u64,
    /// Spans that ended.
    pub(crate) finished: Vec<Span>,
    /// Texts that were not taken down because there were too many, see [`CAPTURE_CREDIT_BYTES`].
    pub(crate) overwritten: u64,
    pub(crate) commands: Commands,
    pub(super) rows: VecDeque<Row>,
    columns: usize,
    top: usize,
    bottom: usize,
    inserting: bool,
    /// G0 and G1, and which of them is shifted in.
    charsets: [Charset; 2],
    shifted: usize,
    scroll: Option<Scroll>,
    pub(super) open: Vec<Option<Open>>,
    pub(super) free: Vec<Key>,
    /// Spans of which no row is left, and since when.
    pub(super) gone: Vec<(Key, u64)>,
    /// Spans that lost a part while other rows were left: what those show is to be read again.
    pub(super) torn: Vec<Key>,
    pub(super) passed: Vec<Passed>,
    pub(super) passed_bytes: usize,
    /// What the first of `passed` is called by rows.
    pub(super) passed_base: usize,
    credit: u64,
}

impl Tracker {
    pub(crate) fn new(columns: usize, rows: usize) -> Tracker {
        Tracker {
            now_us: 0,
            changed_us: None,
            screens: 0,
            finished: Vec::new(),
            overwritten: 0,
            commands: Commands::default(),
            rows: (0..rows).map(|_| Row::default()).collect(),
            columns,
            top: 0,
            bottom: rows - 1,
            inserting: false,
            charsets: [Charset::Ascii; 2],
            shifted: 0,
            scroll: None,
            open: Vec::new(),
            free: Vec::new(),
            gone: Vec::new(),
            torn: Vec::new(),
            passed: Vec::new(),
            passed_bytes: 0,
            passed_base: 0,
            credit: CAPTURE_CREDIT_BYTES,
        }
    }

    /// So many bytes of output come.
    pub(crate) fn expect(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_add(CAPTURE_CREDIT_PER_BYTE * bytes as u64);
    }

    /// What the active character set makes of a character; printing it over itself changes nothing.
    #[inline]
    fn shown(&self, character: char) -> char {
        self.charsets[self.shifted].translate(character)
    }

    fn reset_charsets(&mut self) {
        (self.charsets, self.shifted) = ([Charset::Ascii; 2], 0);
    }

    fn touch(&mut self, row: usize) {
        let now_us = self.now_us;
        if let Some(row) = self.rows.get_mut(row)
            && !row.touched
        {
            row.touched = true;
            row.touched_us = now_us;
        }
        self.changed_us.get_or_insert(now_us);
    }

    fn touch_all(&mut self) {
        for row in 0..self.rows.len() {
            self.touch(row);
        }
    }

    /// Takes down the line that this row is part of, if any of it is fresh, because it is about to be changed.
    fn capture(&mut self, look: Looker<'_>, row: usize) {
        if !self.rows[row].fresh {
            return;
        }
        let reach = CAPTURE_CELLS_MAX / self.columns;
        let mut first = row;
        while first > 0 && row - first < reach && look.is_wrapped(first - 1) {
            first -= 1;
        }
        let mut last = row;
        while last + 1 < self.rows.len() && last - row < reach && look.is_wrapped(last) {
            last += 1;
        }
        let mut text = String::new();
        let mut appeared_us = self.now_us;
        if let Some(head) = &mut self.rows[first].head {
            text.push_str(&head.text);
            if std::mem::take(&mut head.fresh) {
                appeared_us = appeared_us.min(head.fresh_us);
            }
        }
        for part in first..=last {
            look.push_row_of_line(part, &mut text);
            let row = &mut self.rows[part];
            row.extent = 0;
            if std::mem::take(&mut row.fresh) {
                appeared_us = appeared_us.min(row.fresh_us);
            }
        }
        let bytes = text.len() as u64;
        if bytes > self.credit {
            self.overwritten += 1;
            return;
        }
        self.credit -= bytes;
        let before = self.rows[first].passed;
        self.rows[first].passed = self.pass(text, first, appeared_us, before, true);
    }

    fn capture_all(&mut self, look: Looker<'_>, rows: Range<usize>) {
        for row in rows.start..rows.end.min(self.rows.len()) {
            self.capture(look, row);
        }
    }

    /// Keeps a text that is about to be lost. `before`: what was taken down from the same line before; if that is how this
    /// one began, this one takes its place. Returns its name.
    fn pass(
        &mut self,
        mut text: String,
        row: usize,
        appeared_us: u64,
        before: Option<usize>,
        captured: bool,
    ) -> Option<usize> {
        text.truncate(text.trim_end_matches(' ').len());
        if text.trim().is_empty() {
            return before;
        }
        let disappeared_us = self.now_us;
        let mut passed = Passed { captured, text, row: row as u16, appeared_us, disappeared_us };
        if let Some(old) = before.and_then(|name| self.passed_at(name))
            && passed.text.starts_with(old.text.as_str())
        {
            passed.appeared_us = old.appeared_us;
            let grown = passed.text.len() - old.text.len();
            *old = passed;
            self.passed_bytes += grown;
            return before;
        }
        if self.passed.len() >= WAITING_MAX || self.passed_bytes >= WAITING_BYTES_MAX || self.gone.len() >= WAITING_MAX
        {
            self.let_go();
        }
        self.passed_bytes += passed.text.len();
        self.passed.push(passed);
        Some(self.passed_base + self.passed.len() - 1)
    }

    pub(super) fn passed_at(&mut self, name: usize) -> Option<&mut Passed> {
        self.passed.get_mut(name.checked_sub(self.passed_base)?)
    }

    /// A row leaves at the top. Its line may go on in the next row, to which the text then belongs as head.
    fn leave(&mut self, mut row: Row, text: String, goes_on_in: Option<usize>, place: usize) {
        let mut head = row.head.take().unwrap_or_default();
        if row.fresh && !std::mem::replace(&mut head.fresh, true) {
            head.fresh_us = row.fresh_us;
        }
        head.text.push_str(&text);
        head.passed = head.passed.or(row.passed);
        if let Some(span) = row.span
            && let Some(old) = head.span.replace(span)
        {
            self.release(old);
        }
        match goes_on_in {
            Some(next) if head.text.len() <= LINE_BYTES_MAX => {
                // What was changed in it is to be read where its line is now.
                let rest = &mut self.rows[next];
                if row.touched && !std::mem::replace(&mut rest.touched, true) {
                    rest.touched_us = row.touched_us;
                }
                if let Some(old) = self.rows[next].head.replace(head).and_then(|old| old.span) {
                    self.release(old);
                }
            }
            _ => {
                if head.fresh {
                    self.pass(head.text, place, head.fresh_us, head.passed, false);
                }
                if let Some(span) = head.span {
                    self.tear(span);
                }
            }
        }
    }

    /// A row or head is no longer part of this span.
    fn release(&mut self, key: Key) {
        let open = self.open[key].as_mut().expect("rows name open spans only");
        open.rows -= 1;
        if open.rows == 0 {
            self.gone.push((key, self.now_us));
        }
    }

    /// As [`Tracker::release`], where the rest of the line does not go on without this part.
    fn tear(&mut self, key: Key) {
        self.release(key);
        if self.open[key].as_ref().is_some_and(|open| open.rows > 0) {
            self.torn.push(key);
        }
    }

    /// A row is no more: not by leaving at the top.
    fn drop_row(&mut self, row: Row) {
        for key in row.span.into_iter().chain(row.head.and_then(|head| head.span)) {
            self.tear(key);
        }
    }

    fn expect_up(&mut self, look: Looker<'_>, range: Range<usize>, count: usize) {
        let count = count.clamp(1, range.len());
        self.before_cut(look, &range);
        let leaving = (range.start..range.start + count).map(|row| {
            let wrapped = look.is_wrapped(row);
            let mut text = String::new();
            if wrapped || self.rows[row].fresh || self.rows[row].head.is_some() {
                look.push_row_of_line(row, &mut text);
            }
            (text, wrapped)
        });
        let leaving = leaving.collect();
        self.scroll = Some(Scroll { range, count, up: true, leaving });
    }

    /// Rows are about to move past those beside them: lines that go across are torn.
    fn before_cut(&mut self, look: Looker<'_>, range: &Range<usize>) {
        if range.start > 0 && look.is_wrapped(range.start - 1) {
            self.capture(look, range.start - 1);
        }
        if range.end < self.rows.len() && look.is_wrapped(range.end - 1) {
            self.capture(look, range.end - 1);
        }
    }

    fn expect_down(&mut self, look: Looker<'_>, range: Range<usize>, count: usize) {
        let count = count.clamp(1, range.len());
        self.before_cut(look, &range);
        self.capture_all(look, range.end - count..range.end);
        self.scroll = Some(Scroll { range, count, up: false, leaving: Vec::new() });
    }

    fn scrolled(&mut self, scroll: Scroll) {
        let Scroll { range, count, up, leaving } = scroll;
        self.changed_us.get_or_insert(self.now_us);
        if up {
            for (index, (text, wrapped)) in leaving.into_iter().enumerate() {
                let row = std::mem::take(&mut self.rows[range.start + index]);
                let next = range.start + index + 1;
                self.leave(row, text, (wrapped && next < range.end).then_some(next), range.start);
            }
            self.rotate(&range, |rows| rows.rotate_left(count), |rows| rows.rotate_left(count));
            // avt cuts the wrap of the last row that moved if the rows below the margin stay.
            if range.end < self.rows.len() && count < range.len() {
                self.touch(range.end - 1 - count);
            }
        } else {
            for row in range.end - count..range.end {
                let row = std::mem::take(&mut self.rows[row]);
                self.drop_row(row);
            }
            self.rotate(&range, |rows| rows.rotate_right(count), |rows| rows.rotate_right(count));
            self.touch(range.end - 1);
        }
        if range.start > 0 {
            self.touch(range.start - 1);
        }
        if self.rows.len() == 1 {
            self.touch(0);
        }
    }

    fn rotate(&mut self, range: &Range<usize>, all: impl Fn(&mut VecDeque<Row>), part: impl Fn(&mut [Row])) {
        if range.len() == self.rows.len() {
            all(&mut self.rows);
        } else {
            part(&mut self.rows.make_contiguous()[range.clone()]);
        }
    }

    fn margins(&self) -> Range<usize> {
        self.top..self.bottom + 1
    }

    /// Where lines are inserted and deleted.
    fn below_cursor(&self, row: usize) -> Range<usize> {
        row..if row <= self.bottom { self.bottom + 1 } else { self.rows.len() }
    }

    fn before_print(&mut self, look: Looker<'_>, printed: Option<char>) {
        let (column, row) = look.cursor();
        let width = match printed {
            Some(character) if character < '\u{1100}' => 1,
            Some(character) => character.width().unwrap_or(1),
            None => 2,
        };
        self.before_write(look, row, column, printed);
        if column + width > self.columns {
            // It goes to the next row, or, without wrapping, into the last column.
            self.before_write(look, row, self.columns - 1, printed);
            if row == self.bottom {
                self.expect_up(look, self.margins(), 1);
            } else {
                // Below the margins, the last row is written over from its beginning.
                self.before_write(look, (row + 1).min(self.rows.len() - 1), 0, printed);
            }
        }
    }

    /// A character may be about to be written here.
    #[inline]
    fn before_write(&mut self, look: Looker<'_>, row: usize, column: usize, printed: Option<char>) {
        let state = &self.rows[row];
        if state.fresh && column < state.extent {
            let cell = look.cells(row).get(column);
            let shown = printed.map(|character| self.shown(character));
            if cell.is_some_and(|cell| shows(cell) && Some(cell.char()) != shown) {
                self.capture(look, row);
            }
        }
        if self.inserting && self.rows[row].fresh && look.has_text(row, column..self.columns) {
            self.capture(look, row);
        }
        if column == 0 {
            self.behead(row);
        }
    }

    fn after_print(&mut self, look: Looker<'_>) {
        let (column, row) = look.cursor();
        let end = if column + 1 >= self.columns { self.columns } else { column };
        // In the first columns it may have come by wrapping, which joins this row to the one above.
        self.mark_fresh(look, row, end, column <= 2);
    }

    /// Something new stands in this row, up to before column `end`. So its line is fresh, all of it.
    #[inline]
    fn mark_fresh(&mut self, look: Looker<'_>, row: usize, end: usize, joined: bool) {
        let now_us = self.now_us;
        let state = &mut self.rows[row];
        if state.fresh && !joined {
            state.extent = state.extent.max(end);
            return;
        }
        state.freshen(now_us, end);
        let reach = CAPTURE_CELLS_MAX / self.columns;
        let mut above = row;
        while above > 0 && row - above < reach && look.is_wrapped(above - 1) {
            above -= 1;
            self.rows[above].freshen(now_us, self.columns);
        }
        let mut below = row;
        while below + 1 < self.rows.len() && below - row < reach && look.is_wrapped(below) {
            below += 1;
            self.rows[below].freshen(now_us, self.columns);
        }
    }

    /// Some columns of a row are about to be erased.
    fn before_erase(&mut self, look: Looker<'_>, row: usize, columns: Range<usize>) {
        // To erase up to the end of a row also cuts it from the next one.
        let cuts = columns.end >= self.columns && look.is_wrapped(row);
        if self.rows[row].fresh && (cuts || look.has_text(row, columns.clone())) {
            self.capture(look, row);
        }
        if columns.start == 0 {
            self.behead(row);
        }
    }

    fn before_erase_rows(&mut self, look: Looker<'_>, rows: Range<usize>) {
        for row in rows {
            self.capture(look, row);
            self.behead(row);
        }
    }

    /// What stands at the beginning of a row no longer continues what has scrolled off.
    #[inline]
    pub(super) fn behead(&mut self, row: usize) {
        if self.rows[row].head.is_some() {
            self.lose_head(row);
        }
    }

    fn lose_head(&mut self, row: usize) {
        let Some(head) = self.rows[row].head.take() else { return };
        if head.fresh {
            self.pass(head.text, row, head.fresh_us, head.passed, true);
        }
        if let Some(key) = head.span {
            self.tear(key);
        }
        self.touch(row);
    }
}

impl Watch for Tracker {
    #[inline]
    fn before(
        &mut self,
        observation: &mut Observation<'_>,
        clusters: &crate::screen::watch::Clusters,
        function: &Function,
    ) {
        if let Function::Print(character) = function {
            let look = Looker { terminal: observation.terminal(), clusters };
            return self.before_print(look, Some(*character));
        }
        self.before_other(observation, clusters, function);
    }

    #[inline]
    fn dirty(&mut self, rows: Range<usize>) {
        if let Some(scroll) = self.scroll.take_if(|scroll| scroll.range == rows) {
            return self.scrolled(scroll);
        }
        for row in rows {
            self.touch(row);
        }
    }

    #[inline]
    fn after(&mut self, look: Looker<'_>, function: &Function) {
        match function {
            Function::Print(_) | Function::Rep(_) => self.after_print(look),
            Function::Decaln => {
                for row in &mut self.rows {
                    *row = Row { fresh: true, fresh_us: self.now_us, extent: self.columns, ..std::mem::take(row) };
                }
            }
            _ => {}
        }
        self.scroll = None;
    }

    fn before_resize(&mut self, look: Looker<'_>, columns: usize, rows: usize) {
        if (columns, rows) != look.size() {
            self.capture_all(look, 0..self.rows.len());
        }
    }

    fn after_resize(&mut self, look: Looker<'_>) {
        let (columns, rows) = look.size();
        if (columns, rows) == (self.columns, self.rows.len()) {
            return;
        }
        if rows != self.rows.len() {
            (self.top, self.bottom) = (0, rows - 1);
        }
        self.columns = columns;
        for row in std::mem::take(&mut self.rows) {
            self.drop_row(row);
        }
        self.rows = (0..rows).map(|_| Row::default()).collect();
        self.touch_all();
    }

    fn before_run(&mut self, look: Looker<'_>, (column, row): (usize, usize), run: &[u8]) {
        let state = &self.rows[row];
        if state.fresh && column < state.extent {
            let mut over = look.cells(row)[column..].iter().zip(run);
            if over.any(|(cell, &byte)| shows(cell) && cell.char() != self.shown(char::from(byte))) {
                self.capture(look, row);
            }
        }
        if column == 0 {
            self.behead(row);
        }
        self.touch(row);
    }

    fn after_run(&mut self, look: Looker<'_>, row: usize, end: usize) {
        self.mark_fresh(look, row, end, false);
    }

    fn amended(&mut self, look: Looker<'_>, row: usize) {
        self.touch(row);
        self.mark_fresh(look, row, look.cursor().0.max(1), false);
    }
}

impl Tracker {
    fn before_other(
        &mut self,
        observation: &mut Observation<'_>,
        clusters: &crate::screen::watch::Clusters,
        function: &Function,
    ) {
        use Function::{
            Dch, Decaln, Decrst, Decset, Decstbm, Decstr, Dl, Ech, Ed, El, G1d4, Gzd4, Ich, Il, Lf, Nel, Osc,
        };
        use Function::{Rep, Ri, Ris, Rm, Sd, Si, Sm, So, Su};
        if let Osc(avt::parser::Osc::ShellIntegration(mark)) = function {
            return self.shell_mark(observation, clusters, *mark);
        }
        let look = Looker { terminal: observation.terminal(), clusters };
        let (column, row) = look.cursor();
        let count = |n: u16| usize::from(n.max(1));
        match *function {
            Lf | Nel => {
                if !self.commands.is_quiet() {
                    self.line_entered(look);
                }
                if row == self.bottom {
                    self.expect_up(look, self.margins(), 1);
                }
            }
            Rep(_) => self.before_print(look, None),
            Su(n) => self.expect_up(look, self.margins(), count(n)),
            Dl(n) => self.expect_up(look, self.below_cursor(row), count(n)),
            Sd(n) => self.expect_down(look, self.margins(), count(n)),
            Il(n) => self.expect_down(look, self.below_cursor(row), count(n)),
            Ri if row == self.top => self.expect_down(look, self.margins(), 1),
            El(ElScope::ToRight) => self.before_erase(look, row, column..self.columns),
            El(ElScope::ToLeft) => self.before_erase(look, row, 0..column + 1),
            El(ElScope::All) => self.before_erase(look, row, 0..self.columns),
            Ech(n) => self.before_erase(look, row, column..column + count(n)),
            Dch(_) => {
                let column = column.min(self.columns - 1);
                self.before_erase(look, row, column..self.columns);
            }
            // What stands behind the cursor is torn from what stands before it.
            Ich(_) => self.before_erase(look, row, column.min(self.columns - 1)..self.columns),
            Ed(EdScope::Below) => {
                self.before_erase(look, row, column..self.columns);
                self.before_erase_rows(look, row + 1..self.rows.len());
            }
            Ed(EdScope::Above) => {
                self.before_erase_rows(look, 0..row);
                self.before_erase(look, row, 0..column + 1);
            }
            Ed(EdScope::All) | Decaln => self.before_erase_rows(look, 0..self.rows.len()),
            Ris => {
                self.before_erase_rows(look, 0..self.rows.len());
                (self.top, self.bottom) = (0, self.rows.len() - 1);
                self.inserting = false;
                self.reset_charsets();
            }
            Decstr => {
                (self.top, self.bottom) = (0, self.rows.len() - 1);
                self.inserting = false;
                self.reset_charsets();
            }
            Gzd4(charset) => self.charsets[0] = charset,
            G1d4(charset) => self.charsets[1] = charset,
            So => self.shifted = 1,
            Si => self.shifted = 0,
            Decstbm(top, bottom) => {
                let top = count(top) - 1;
                let bottom = if bottom == 0 { self.rows.len() } else { bottom.into() } - 1;
                if top < bottom && bottom < self.rows.len() {
                    (self.top, self.bottom) = (top, bottom);
                }
            }
            Sm(ref modes) => self.inserting |= modes.as_slice().contains(&AnsiMode::Insert),
            Rm(ref modes) => self.inserting &= !modes.as_slice().contains(&AnsiMode::Insert),
            Decset(ref modes) | Decrst(ref modes) => {
                let switches = |mode| matches!(mode, &DecMode::AltScreenBuffer | &DecMode::SaveCursorAltScreenBuffer);
                if modes.as_slice().iter().any(switches) {
                    self.switch(look);
                }
            }
            _ => {}
        }
    }

    /// The other screen may be shown from now on.
    fn switch(&mut self, look: Looker<'_>) {
        // If avt does switch, it reports all rows.
        self.before_erase_rows(look, 0..self.rows.len());
        for row in &mut self.rows {
            row.passed = None;
        }
    }

    /// Ends what waits for comparison: there is too much of it.
    fn let_go(&mut self) {
        for (key, at_us) in std::mem::take(&mut self.gone) {
            self.finish(key, at_us);
        }
        self.passed_base += self.passed.len();
        self.passed_bytes = 0;
        for passed in std::mem::take(&mut self.passed) {
            self.finish_passed(passed);
        }
    }

    /// A span ended; it was last seen on the last screen that is numbered.
    pub(super) fn finish(&mut self, key: Key, at_us: u64) {
        let mut span = self.open[key].take().expect("it was open").span;
        self.free.push(key);
        span.last = self.screens;
        span.disappeared_us = at_us.max(span.appeared_us);
        self.finished.push(span);
    }

    pub(super) fn finish_passed(&mut self, passed: Passed) {
        let number = self.screens + 1;
        self.finished.push(Span {
            kind: Kind::Text,
            text: passed.text,
            first: number,
            last: number,
            clearest: number,
            row: passed.row,
            appeared_us: passed.appeared_us,
            disappeared_us: passed.disappeared_us.max(passed.appeared_us),
            passed_by: true,
            exit: None,
        });
    }
}
