//! How the text index looks over the emulator's shoulder: before each function, at each row that changes, after each one.

use std::ops::Range;

use avt::parser::Function;
use avt::{Observation, Observer, Operation};

pub(crate) use super::cluster::Clusters;

/// Reads a terminal's active screen.
#[derive(Clone, Copy)]
pub(crate) struct Looker<'a> {
    pub(crate) terminal: &'a avt::Terminal,
    pub(crate) clusters: &'a Clusters,
}

impl<'a> Looker<'a> {
    pub(crate) fn size(self) -> (usize, usize) {
        self.terminal.size()
    }

    /// Column and row; the column is the number of columns while a wrap is pending.
    pub(crate) fn cursor(self) -> (usize, usize) {
        let cursor = self.terminal.cursor();
        (cursor.col, cursor.row)
    }

    pub(crate) fn cells(self, row: usize) -> &'a [avt::Cell] {
        self.terminal.screen().line(row).map_or(&[], |line| line.cells())
    }

    /// Whether the row goes on in the next one.
    pub(crate) fn is_wrapped(self, row: usize) -> bool {
        self.terminal.screen().line(row).is_some_and(|line| line.is_wrapped())
    }

    /// Whether anything but spaces stands in these columns, as far as they are.
    pub(crate) fn has_text(self, row: usize, columns: Range<usize>) -> bool {
        let cells = self.cells(row);
        let end = columns.end.min(cells.len());
        columns.start < end && cells[columns.start..end].iter().any(|cell| cell.char() != ' ')
    }

    /// Appends all of a row: with trailing blanks, which are needed where the row goes on.
    pub(crate) fn push_row(self, row: usize, text: &mut String) {
        self.push_cells(self.cells(row), text);
    }

    /// Appends a row; without trailing blanks if it is the end of a line.
    pub(crate) fn push_row_of_line(self, row: usize, text: &mut String) {
        let Some(line) = self.terminal.screen().line(row) else { return };
        let cells = line.cells();
        if line.is_wrapped() {
            return self.push_cells(cells, text);
        }
        let end = cells.iter().rposition(|cell| cell.char() != ' ' || cell.width() == 0).map_or(0, |last| last + 1);
        self.push_cells(&cells[..end], text);
    }

    pub(crate) fn push_cells(self, cells: &[avt::Cell], text: &mut String) {
        text.reserve(cells.len());
        for cell in cells {
            if cell.width() != 0 {
                self.clusters.push_to(cell.char(), text);
            }
        }
    }
}

/// What is told to whoever watches. `scrolled` and so on are not here: a watcher infers them from functions and dirty rows.
pub(crate) trait Watch {
    /// A function is about to be executed. `observation` shows the terminal, and can be used to set anchors.
    fn before(&mut self, observation: &mut Observation<'_>, clusters: &Clusters, function: &Function);
    /// Rows changed, while the function is executed.
    fn dirty(&mut self, rows: Range<usize>);
    /// The function was executed.
    fn after(&mut self, look: Looker<'_>, function: &Function);
    /// Printable ASCII is about to be written from this column and row on; all of it fits into the row.
    fn before_run(&mut self, look: Looker<'_>, at: (usize, usize), run: &[u8]);
    /// It was written into this row, up to before column `end`.
    fn after_run(&mut self, look: Looker<'_>, row: usize, end: usize);
    /// The terminal is about to get another size (or the same).
    fn before_resize(&mut self, look: Looker<'_>, columns: usize, rows: usize);
    /// The terminal got another size (or the same).
    fn after_resize(&mut self, look: Looker<'_>);
    /// A mark was added to a character of this row.
    fn amended(&mut self, look: Looker<'_>, row: usize);
}

/// Watches nothing, and costs nothing.
pub(crate) struct Nobody;

impl Watch for Nobody {
    #[inline(always)]
    fn before(&mut self, _: &mut Observation<'_>, _: &Clusters, _: &Function) {}
    #[inline(always)]
    fn dirty(&mut self, _: Range<usize>) {}
    #[inline(always)]
    fn after(&mut self, _: Looker<'_>, _: &Function) {}
    #[inline(always)]
    fn before_run(&mut self, _: Looker<'_>, _: (usize, usize), _: &[u8]) {}
    #[inline(always)]
    fn after_run(&mut self, _: Looker<'_>, _: usize, _: usize) {}
    fn before_resize(&mut self, _: Looker<'_>, _: usize, _: usize) {}
    fn after_resize(&mut self, _: Looker<'_>) {}
    fn amended(&mut self, _: Looker<'_>, _: usize) {}
}

pub(super) struct Adapter<'a, W> {
    pub(super) watch: &'a mut W,
    pub(super) clusters: &'a Clusters,
}

impl<W: Watch> Observer for Adapter<'_, W> {
    type Output = ();

    #[inline]
    fn before(&mut self, context: &mut Observation<'_>, operation: &Operation) {
        match operation {
            Operation::Function(function) => self.watch.before(context, self.clusters, function),
            Operation::Resize { cols, rows } => {
                let look = Looker { terminal: context.terminal(), clusters: self.clusters };
                self.watch.before_resize(look, *cols, *rows);
            }
        }
    }

    #[inline]
    fn dirty(&mut self, rows: Range<usize>) {
        self.watch.dirty(rows);
    }

    #[inline]
    fn after(&mut self, context: &mut Observation<'_>, operation: &Operation) {
        let look = Looker { terminal: context.terminal(), clusters: self.clusters };
        match operation {
            Operation::Function(function) => self.watch.after(look, function),
            Operation::Resize { .. } => self.watch.after_resize(look),
        }
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}
