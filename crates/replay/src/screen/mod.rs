//! The terminal: bytes in, a screen of cells out.
//!
//! [`Screen`] is ours; the emulation behind it is crate `avt`, none of whose types is seen outside this crate. Two things are
//! done here that avt does not do: marks are combined with the character before them (`cluster.rs`), and window titles are
//! kept (`sequence.rs`).
//!
//! Limits: sizes as [`Size`] says; [`SEQUENCE_CHARS_MAX`], [`COMMAND_BYTES_MAX`], [`MARK_BYTES_MAX`]. What a terminal does
//! that leaves no text (sixel pictures, mouse modes, sounds, links) is read over.

mod cluster;
mod decode;
mod frame;
mod sequence;
pub(crate) mod watch;

pub use cluster::MARK_BYTES_MAX;
pub use decode::Decoder;
pub use frame::FrameError;
pub use sequence::{COMMAND_BYTES_MAX, SEQUENCE_CHARS_MAX};

use avt::parser::{AnsiMode, AnsiModes, Function, State};

use crate::cell::{Attributes, Cell, Colour, Rgb, Size};
use crate::format::What;
use cluster::{Clusters, Special};
use sequence::{Heard, Sequence};
use watch::{Adapter, Watch};

/// A terminal's screen, and all that is needed to go on from here.
///
/// Rows and columns count from 0, from the top left. It keeps no scroll-back.
pub struct Screen {
    terminal: avt::Terminal,
    parser: avt::Parser,
    sequence: Sequence,
    decoder: Decoder,
    clusters: Clusters,
    /// Whether printing moves what stands to the right (IRM); avt does not tell.
    inserting: bool,
    title: Option<String>,
    /// Every title that was set, for whoever asked for them with [`Screen::keep_titles`] and takes them.
    titles: Option<Vec<String>>,
    /// Empty between calls; kept for its memory.
    text: String,
}

/// Where the next character goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// 0 to columns − 1; the last column also while a wrap is pending.
    pub column: u16,
    /// 0 to rows − 1.
    pub row: u16,
    /// Whether a terminal would draw it.
    pub visible: bool,
}

/// What a reader sees as one line: rows that a soft wrap joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The uppermost of its rows.
    pub row: u16,
    /// How many rows, at least 1.
    pub rows: u16,
    /// Without trailing blanks.
    pub text: String,
}

impl Screen {
    /// A blank screen.
    pub fn new(size: Size) -> Screen {
        let terminal = avt::Terminal::new(size.columns().into(), size.rows().into()).expect("a Size is positive");
        Screen {
            terminal,
            parser: avt::Parser::new(),
            sequence: Sequence::default(),
            decoder: Decoder::default(),
            clusters: Clusters::default(),
            inserting: false,
            title: None,
            titles: None,
            text: String::new(),
        }
    }

    /// Does what an event does to a terminal: output and resizes; anything else does nothing.
    pub fn play(&mut self, what: &What) {
        match what {
            What::Output(bytes) => self.output(bytes),
            What::Resize(size) => self.resize(*size),
            What::Input(_) | What::Marker(_) | What::Exit(_) | What::Other { .. } => {}
        }
    }

    /// The program wrote these bytes. They may begin and end inside a character or a control sequence.
    pub fn output(&mut self, bytes: &[u8]) {
        self.output_watched(bytes, &mut watch::Nobody);
    }

    /// The terminal has another size from now on: the primary screen wraps anew, the alternate one is cut or padded.
    pub fn resize(&mut self, size: Size) {
        self.resize_watched(size, &mut watch::Nobody);
    }

    pub(crate) fn output_watched(&mut self, bytes: &[u8], watch: &mut impl Watch) {
        let mut text = std::mem::take(&mut self.text);
        self.decoder.decode(bytes, &mut text);
        self.write(&text, watch);
        text.clear();
        self.text = text;
    }

    pub(crate) fn resize_watched(&mut self, size: Size, watch: &mut impl Watch) {
        let adapter = Adapter { watch, clusters: &self.clusters };
        self.terminal.resize_with(size.columns().into(), size.rows().into(), adapter);
    }

    fn write(&mut self, text: &str, watch: &mut impl Watch) {
        let mut rest = text;
        while !rest.is_empty() {
            let plain = if self.parser.state == State::Ground { plain_prefix(rest) } else { 0 };
            let (run, after) = rest.split_at(plain);
            self.write_plain(run, watch);
            rest = self.write_any(after, watch);
        }
    }

    /// Writes printable ASCII, the parser being at rest: as much of a row at once as there is.
    fn write_plain(&mut self, mut run: &str, watch: &mut impl Watch) {
        let columns = self.terminal.size().0;
        while !run.is_empty() {
            let (column, row) = self.look().cursor();
            // What wraps may scroll, and what is inserted moves the rest: one at a time.
            let alone = column >= columns || self.inserting;
            let (piece, after) = run.split_at(if alone { 1 } else { run.len().min(columns - column) });
            run = after;
            let functions = piece.bytes().map(|byte| Function::Print(char::from(byte)));
            if alone {
                self.terminal.execute_with(functions, Adapter { watch, clusters: &self.clusters });
            } else {
                watch.before_run(self.look(), (column, row), piece.as_bytes());
                self.terminal.execute(functions);
                watch.after_run(self.look(), row, column + piece.len());
            }
        }
    }

    /// Writes anything, until printable ASCII comes and the parser is at rest. Returns what is left.
    fn write_any<'t>(&mut self, text: &'t str, watch: &mut impl Watch) -> &'t str {
        let mut characters = text.chars();
        // REP is executed one character at a time, so that no single step can scroll by more than a row.
        let mut repeats = 0;
        loop {
            let mut stopped = None;
            let Screen { terminal, parser, sequence, inserting, title, titles, clusters, .. } = self;
            let functions = std::iter::from_fn(|| {
                if repeats > 0 {
                    repeats -= 1;
                    return Some(Function::Rep(1));
                }
                loop {
                    if parser.state == State::Ground
                        && matches!(characters.as_str().as_bytes().first(), Some(b' '..=b'~'))
                    {
                        return None;
                    }
                    let character = characters.next()?;
                    let before = parser.state;
                    let function = parser.feed(character);
                    if before != State::Ground || parser.state != State::Ground {
                        match sequence.follow(character, before, parser.state) {
                            Heard::Nothing => {}
                            Heard::TooLong => {
                                parser.feed('\u{18}');
                                sequence.follow('\u{18}', before, parser.state);
                            }
                            Heard::Command(command) => {
                                if let Some(text) = sequence::title_of(&command) {
                                    *title = Some(text.to_owned());
                                    if let Some(titles) = titles {
                                        titles.push(text.to_owned());
                                    }
                                }
                            }
                        }
                    }
                    match function {
                        None => {}
                        Some(Function::Print(printed)) => match cluster::special(printed) {
                            None => return function,
                            Some(special) => {
                                stopped = Some((printed, special));
                                return None;
                            }
                        },
                        Some(Function::Rep(count)) => {
                            repeats = count.max(1) - 1;
                            return Some(Function::Rep(1));
                        }
                        Some(Function::Sm(modes)) => {
                            *inserting |= modes.as_slice().contains(&AnsiMode::Insert);
                            return Some(Function::Sm(modes));
                        }
                        Some(Function::Rm(modes)) => {
                            *inserting &= !modes.as_slice().contains(&AnsiMode::Insert);
                            return Some(Function::Rm(modes));
                        }
                        Some(Function::Ris | Function::Decstr) => {
                            *inserting = false;
                            return function;
                        }
                        Some(_) => return function,
                    }
                }
            });
            terminal.execute_with(functions, Adapter { watch, clusters });
            match stopped {
                Some((character, Special::Mark)) => self.write_mark(character, watch),
                Some((character, Special::Code)) => self.write_as_code(character, watch),
                None => return characters.as_str(),
            }
        }
    }

    /// Puts a mark into the cell before the cursor, as terminals do: the one that was printed last, usually.
    ///
    /// The cell takes the colours that are set now; nearly always they are those that it has.
    fn write_mark(&mut self, mark: char, watch: &mut impl Watch) {
        let cursor = self.terminal.cursor();
        let columns = self.terminal.size().0;
        let line = self.terminal.screen().line(cursor.row).expect("the cursor is on the screen");
        let mut column = if cursor.col >= columns { columns - 1 } else { cursor.col.saturating_sub(1) };
        if line.cells()[column].width() == 0 {
            column -= 1;
        }
        let cell = line.cells()[column];
        let mut text = String::new();
        self.clusters.push_to(cell.char(), &mut text);
        text.push(mark);
        let marks = text.len() - text.chars().next().map_or(0, char::len_utf8);
        let code = if marks <= MARK_BYTES_MAX { self.code(&text, cell.width()) } else { None };
        let Some(code) = code else {
            return self.print_plainly(mark, watch);
        };
        let insert = AnsiModes::from(vec![AnsiMode::Insert]);
        let mut functions = vec![Function::Cha(column as u16 + 1), Function::Print(code)];
        if cursor.col < columns {
            functions.push(Function::Cha(cursor.col as u16 + 1));
        }
        if self.inserting {
            functions.insert(0, Function::Rm(insert.clone()));
            functions.push(Function::Sm(insert));
        }
        self.terminal.execute(functions);
        let terminal = watch::Looker { terminal: &self.terminal, clusters: &self.clusters };
        watch.amended(terminal, cursor.row);
    }

    /// A character from the range of codes is itself written as a code.
    fn write_as_code(&mut self, character: char, watch: &mut impl Watch) {
        use unicode_width::UnicodeWidthChar;
        let columns = if character.width() == Some(2) { 2 } else { 1 };
        // Without a free code nothing may stand in its place that means something else.
        let code = self.code(character.encode_utf8(&mut [0; 4]), columns).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.print_plainly(code, watch);
    }

    fn print_plainly(&mut self, character: char, watch: &mut impl Watch) {
        let adapter = Adapter { watch, clusters: &self.clusters };
        self.terminal.execute_with(Function::Print(character), adapter);
    }

    fn code(&mut self, text: &str, columns: u8) -> Option<char> {
        if let Some(code) = self.clusters.code(text, columns) {
            return Some(code);
        }
        let mut used = std::collections::HashSet::new();
        self.each_code(|code| {
            used.insert(code);
        });
        self.clusters.keep(|code| used.contains(&code));
        self.clusters.code(text, columns)
    }

    /// Calls `found` with each code that stands in a cell of either screen.
    fn each_code(&self, mut found: impl FnMut(char)) {
        if self.clusters.is_empty() {
            return;
        }
        for screen in [self.terminal.screen(), self.terminal.primary_screen()] {
            for cell in screen.visible_lines().flat_map(|line| line.cells()) {
                if cluster::is_code(cell.char()) {
                    found(cell.char());
                }
            }
        }
    }

    /// Columns and rows now.
    pub fn size(&self) -> Size {
        let (columns, rows) = self.terminal.size();
        Size::new(columns as u64, rows as u64).expect("it was made from a Size")
    }

    /// Where the cursor is.
    pub fn cursor(&self) -> Cursor {
        let cursor = self.terminal.cursor();
        let column = cursor.col.min(self.terminal.size().0 - 1);
        Cursor { column: column as u16, row: cursor.row as u16, visible: cursor.visible }
    }

    /// Whether a full-screen program has taken the alternate screen.
    pub fn is_alternate(&self) -> bool {
        self.terminal.active_screen_kind() == avt::ScreenKind::Alternate
    }

    /// The window title that a program set last.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The cells of a row, as many as there are columns; none if there is no such row.
    pub fn row(&self, row: u16) -> Vec<Cell> {
        let line = self.terminal.screen().line(row.into());
        line.map_or_else(Vec::new, |line| line.cells().iter().map(|cell| self.cell(cell)).collect())
    }

    /// All rows of cells, from the top.
    pub fn rows(&self) -> Vec<Vec<Cell>> {
        let lines = self.terminal.screen().visible_lines();
        lines.map(|line| line.cells().iter().map(|cell| self.cell(cell)).collect()).collect()
    }

    /// The text of each row, without trailing blanks.
    pub fn rows_text(&self) -> Vec<String> {
        let look = self.look();
        (0..self.terminal.size().1)
            .map(|row| {
                let mut text = String::new();
                look.push_row(row, &mut text);
                text.truncate(text.trim_end_matches(' ').len());
                text
            })
            .collect()
    }

    /// The lines that a reader sees, blank ones too, from the top.
    pub fn lines(&self) -> Vec<Line> {
        let look = self.look();
        let rows = self.terminal.size().1;
        let mut lines = Vec::new();
        let mut row = 0;
        while row < rows {
            let first = row;
            let mut text = String::new();
            look.push_row(row, &mut text);
            while row + 1 < rows && look.is_wrapped(row) {
                row += 1;
                look.push_row(row, &mut text);
            }
            row += 1;
            text.truncate(text.trim_end_matches(' ').len());
            lines.push(Line { row: first as u16, rows: (row - first) as u16, text });
        }
        lines
    }

    /// The cursor's place, wherever it goes.
    pub(crate) fn anchor(&mut self) -> avt::Anchor {
        self.terminal.anchor_at_cursor()
    }

    /// Keeps every title from now on, also one that is replaced within the same output.
    pub(crate) fn keep_titles(&mut self) {
        self.titles = Some(Vec::new());
    }

    /// The titles since the last call.
    pub(crate) fn take_titles(&mut self) -> Vec<String> {
        self.titles.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn look(&self) -> watch::Looker<'_> {
        watch::Looker { terminal: &self.terminal, clusters: &self.clusters }
    }

    fn cell(&self, cell: &avt::Cell) -> Cell {
        let (character, marks) = match self.clusters.text(cell.char()) {
            None => (cell.char(), None),
            Some(text) => {
                let mut characters = text.chars();
                let first = characters.next().expect("a cluster is not empty");
                let marks = characters.as_str();
                (first, (!marks.is_empty()).then(|| marks.into()))
            }
        };
        let pen = cell.pen();
        let flags = [
            (pen.is_bold(), Attributes::BOLD),
            (pen.is_faint(), Attributes::FAINT),
            (pen.is_italic(), Attributes::ITALIC),
            (pen.is_underline(), Attributes::UNDERLINE),
            (pen.is_strikethrough(), Attributes::STRIKE),
            (pen.is_blink(), Attributes::BLINK),
            (pen.is_inverse(), Attributes::INVERSE),
        ];
        let set = flags.into_iter().filter(|(is_set, _)| *is_set);
        Cell {
            character,
            marks,
            width: cell.width(),
            foreground: colour(pen.foreground()),
            background: colour(pen.background()),
            attributes: set.fold(Attributes::NONE, |all, (_, flag)| all.with(flag)),
        }
    }

    /// The decoder as it stands: it may hold the beginning of a character that the next output ends.
    pub fn decoder(&self) -> Decoder {
        self.decoder.clone()
    }

    /// Text and control sequences that bring a blank terminal of the same size where this one is, so that a browser's
    /// terminal can go on from here. Leaves out the title.
    pub fn dump(&self) -> String {
        let raw = self.terminal.dump();
        let mut dump = String::with_capacity(raw.len());
        for character in raw.chars() {
            self.clusters.push_to(character, &mut dump);
        }
        dump.push_str(self.sequence.pending());
        dump
    }
}

/// How many bytes of printable ASCII the text begins with.
#[inline]
fn plain_prefix(text: &str) -> usize {
    text.bytes().position(|byte| !(b' '..=b'~').contains(&byte)).unwrap_or(text.len())
}

fn colour(colour: Option<avt::Color>) -> Colour {
    match colour {
        None => Colour::Default,
        Some(avt::Color::Indexed(index)) => Colour::Indexed(index),
        Some(avt::Color::RGB(rgb)) => Colour::Rgb(Rgb(rgb.r, rgb.g, rgb.b)),
    }
}

/// Shows size, cursor and text; for failing tests.
impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen")
            .field("size", &self.size())
            .field("cursor", &self.cursor())
            .field("alternate", &self.is_alternate())
            .field("rows", &self.rows_text())
            .finish_non_exhaustive()
    }
}

/// Whether both look the same: size, cells, cursor, which screen, title. What comes after may still differ (tab stops,
/// modes); [`Screen::frame`] has all of it.
impl PartialEq for Screen {
    fn eq(&self, other: &Screen) -> bool {
        self.size() == other.size()
            && self.cursor() == other.cursor()
            && self.is_alternate() == other.is_alternate()
            && self.title == other.title
            && self.rows() == other.rows()
    }
}

#[cfg(test)]
mod tests;
