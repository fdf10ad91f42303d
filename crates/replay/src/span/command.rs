//! Which commands were entered: told by the shell's marks (OSC 133), or else by what was typed and echoed.
//!
//! Never guessed from the screen alone. Without marks a command is what stands on the cursor's line when the first new line
//! comes after Enter, and only if what was typed is there: a password typed without echo is not.

use std::collections::VecDeque;

use avt::parser::ShellIntegration;
use avt::{Anchor, Observation, ScreenKind};

use super::tracker::{LINE_BYTES_MAX, Tracker};
use super::{Kind, ScreenNumber, Span};
use crate::screen::Decoder;
use crate::screen::watch::{Clusters, Looker};

/// So many lines may be typed ahead of their echo; of more, the oldest are not told as commands.
const AHEAD_MAX: usize = 64;
/// So many commands may wait for the next numbered screen; of more, the oldest are told before it.
const WAITING_MAX: usize = 1024;

/// A line that is being typed.
#[derive(Debug, Default)]
struct Typed {
    /// What was typed, as far as only plain characters, erasing and killing were.
    text: String,
    /// Something was typed that changes the line in a way that only the shell knows (arrows, completion).
    edited: bool,
    /// Where the cursor was at the first key; none if that was before the line before it was echoed.
    start: Option<Anchor>,
    started: bool,
    entered_us: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Escape {
    #[default]
    No,
    Begun,
    /// `ESC [` and what follows, as a number as far as it is one.
    Control(u32),
    /// `ESC O`.
    Single,
}

#[derive(Debug)]
struct Entered {
    span: Span,
    /// The screen that shows it has not been numbered yet.
    unseen: bool,
    running: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    /// The shell marks its commands, so nothing else is asked.
    marked: bool,
    prompt_end: Option<Anchor>,
    decoder: Decoder,
    escape: Escape,
    typed: Typed,
    ahead: VecDeque<Typed>,
    entered: Vec<Entered>,
}

impl Commands {
    /// Whether no line waits for its echo.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Somebody typed. `anchor` gives the cursor's place. Returns whether Enter was among it.
    pub(crate) fn input(
        &mut self,
        bytes: &[u8],
        at_us: u64,
        is_alternate: bool,
        mut anchor: impl FnMut() -> Anchor,
    ) -> bool {
        let mut text = String::new();
        self.decoder.decode(bytes, &mut text);
        if self.marked || is_alternate {
            self.typed = Typed::default();
            self.ahead.clear();
            self.escape = Escape::No;
            return text.contains(['\r', '\n']);
        }
        let mut entered = false;
        for character in text.chars() {
            if !std::mem::replace(&mut self.typed.started, true) && self.ahead.is_empty() {
                self.typed.start = Some(anchor());
            }
            if self.escape(character) {
                continue;
            }
            let typed = &mut self.typed;
            match character {
                '\r' | '\n' => {
                    entered = true;
                    typed.entered_us = at_us;
                    if self.ahead.len() == AHEAD_MAX {
                        self.ahead.pop_front();
                    }
                    self.ahead.push_back(std::mem::take(typed));
                }
                '\u{3}' | '\u{4}' => *typed = Typed::default(),
                _ if typed.edited => {}
                '\u{7f}' | '\u{8}' => {
                    typed.text.pop();
                }
                '\u{15}' => typed.text.clear(),
                _ if character.is_control() || typed.text.len() >= LINE_BYTES_MAX => typed.edited = true,
                _ => typed.text.push(character),
            }
        }
        entered
    }

    /// Reads escape sequences of keys; returns whether the character was part of one.
    fn escape(&mut self, character: char) -> bool {
        let (next, edits) = match (self.escape, character) {
            (Escape::No, '\u{1b}') => (Escape::Begun, false),
            (Escape::No, _) => return false,
            (_, '\u{1b}') => (Escape::Begun, true),
            (Escape::Begun, '[') => (Escape::Control(0), false),
            (Escape::Begun, 'O') => (Escape::Single, false),
            (Escape::Control(number), '0'..='9') => {
                let digit = character as u32 - '0' as u32;
                (Escape::Control(number.saturating_mul(10).saturating_add(digit)), false)
            }
            // Around what is pasted; itself it changes nothing.
            (Escape::Control(200 | 201), '~') => (Escape::No, false),
            (Escape::Control(_), '@'..='~') | (Escape::Begun | Escape::Single, _) => (Escape::No, true),
            (Escape::Control(_), _) => (Escape::Control(u32::MAX), false),
        };
        self.escape = next;
        self.typed.edited |= edits;
        true
    }
}

impl Tracker {
    /// A new line comes: if lines were typed, the first of them is on the cursor's line now, or was not echoed.
    pub(super) fn line_entered(&mut self, look: Looker<'_>) {
        let Some(typed) = self.commands.ahead.pop_front() else { return };
        if look.terminal.active_screen_kind() == ScreenKind::Alternate {
            return;
        }
        let cursor_row = look.cursor().1;
        let mut first = cursor_row;
        while first > 0 && look.is_wrapped(first - 1) {
            first -= 1;
        }
        let mut line = String::new();
        let mut echoed = None;
        let start = typed.start.as_ref().and_then(|start| look.terminal.resolve(start));
        let start = start.filter(|start| start.screen == ScreenKind::Primary);
        let mut row = first;
        loop {
            if let Some(start) = start
                && start.row == row as isize
            {
                let cells = look.cells(row);
                let mut before = String::new();
                look.push_cells(&cells[..start.col.min(cells.len())], &mut before);
                echoed = Some(line.len() + before.len());
            }
            look.push_row(row, &mut line);
            if !look.is_wrapped(row) || row + 1 >= self.rows.len() || line.len() > LINE_BYTES_MAX {
                break;
            }
            row += 1;
        }
        let echoed = echoed.map(|at| line[at..].trim());
        let plain = typed.text.trim();
        let command = match echoed {
            // Nothing was echoed.
            Some("") => None,
            Some(echoed) if typed.edited => echoed.starts_with(plain).then_some(echoed),
            _ if typed.edited || plain.is_empty() => None,
            Some(echoed) if echoed == plain => Some(plain),
            // The prompt was drawn again after the first key: the line must end with what was typed, as a word of its own.
            _ => {
                let before = line.trim_end().strip_suffix(plain);
                before.is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace)).then_some(plain)
            }
        };
        if let Some(command) = command {
            self.enter(command.to_owned(), first, typed.entered_us, false);
        }
    }

    pub(super) fn shell_mark(
        &mut self,
        observation: &mut Observation<'_>,
        clusters: &Clusters,
        mark: ShellIntegration,
    ) {
        self.commands.marked = true;
        self.commands.ahead.clear();
        match mark {
            ShellIntegration::PromptStart => {
                self.commands.prompt_end = None;
                self.stop_running(None);
            }
            ShellIntegration::CommandStart => self.commands.prompt_end = Some(observation.anchor_at_cursor()),
            ShellIntegration::CommandExecuted => {
                self.stop_running(None);
                let look = Looker { terminal: observation.terminal(), clusters };
                let start = self.commands.prompt_end.take().and_then(|anchor| look.terminal.resolve(&anchor));
                if let Some(start) = start
                    && start.screen == look.terminal.active_screen_kind()
                    && let Ok(row) = usize::try_from(start.row)
                    && let Some(text) = marked_text(look, (start.col, row))
                {
                    self.enter(text, row, self.now_us, true);
                }
            }
            ShellIntegration::CommandFinished { exit_status } => self.stop_running(exit_status),
        }
    }

    fn stop_running(&mut self, exit: Option<u8>) {
        let now_us = self.now_us;
        if let Some(entered) = self.commands.entered.iter_mut().find(|entered| entered.running) {
            entered.running = false;
            entered.span.disappeared_us = now_us;
            entered.span.exit = exit;
        }
    }

    fn enter(&mut self, text: String, row: usize, at_us: u64, running: bool) {
        // Is it, as it stands there, already on a numbered screen?
        let state = &self.rows[row];
        let shown = state.span.filter(|_| !state.touched).and_then(|key| self.open[key].as_ref());
        let shown = shown.filter(|open| !open.span.passed_by && open.span.text.contains(first_line(&text)));
        let shown = shown.filter(|_| self.screens > 0);
        let number = if shown.is_some() { self.screens } else { self.screens + 1 };
        let unseen = shown.is_none();
        if self.commands.entered.len() >= WAITING_MAX {
            let oldest = self.commands.entered.remove(0);
            self.finished.push(oldest.span);
        }
        self.commands.entered.push(Entered {
            span: Span {
                kind: Kind::Command,
                text,
                first: number,
                last: number,
                clearest: number,
                row: row as u16,
                appeared_us: at_us,
                disappeared_us: at_us,
                passed_by: unseen,
                exit: None,
            },
            unseen,
            running,
        });
    }

    pub(super) fn settle_commands(&mut self, number: ScreenNumber) {
        if self.commands.entered.is_empty() {
            return;
        }
        for entered in &mut self.commands.entered {
            entered.span.last = number;
            if std::mem::take(&mut entered.unseen) {
                let line = first_line(&entered.span.text);
                let shown =
                    self.open.iter().flatten().find(|open| !open.span.passed_by && open.span.text.contains(line));
                entered.span.clearest = number;
                entered.span.passed_by = shown.is_none();
                entered.span.row = shown.map_or(entered.span.row, |open| open.span.row);
            }
        }
        for entered in self.commands.entered.extract_if(.., |entered| !entered.running) {
            self.finished.push(entered.span);
        }
    }

    /// The recording has ended: so has what was running.
    pub(crate) fn end_commands(&mut self) {
        self.stop_running(None);
        self.settle_commands(self.screens);
    }
}

/// From the end of the prompt to the cursor's line, whose new line may have come already.
fn marked_text(look: Looker<'_>, (column, row): (usize, usize)) -> Option<String> {
    let (cursor_column, cursor_row) = look.cursor();
    if (cursor_row, cursor_column) < (row, column) {
        return None;
    }
    let last = if cursor_column == 0 && cursor_row > row { cursor_row - 1 } else { cursor_row };
    let mut text = String::new();
    for part in row..=last {
        let cells = look.cells(part);
        let from = if part == row { column.min(cells.len()) } else { 0 };
        look.push_cells(&cells[from..], &mut text);
        if part < last && !look.is_wrapped(part) {
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
    }
    let text = text.trim();
    (!text.is_empty() && text.len() <= LINE_BYTES_MAX).then(|| text.to_owned())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}
