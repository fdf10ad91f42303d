//! Makes of a recording's events what searches and players need: numbered screens, spans of text, a replay file.

use std::io;

use crate::cell::Size;
use crate::file::ReplaySink;
use crate::format::{Damage, Event, Header, What};
use crate::screen::Screen;
use crate::span::{Kind, Span, SpanSink, Tracker};

/// How long a change may go without a number, see [`Indexer`].
pub const QUIET_US: u64 = 40_000;
/// Longer output is played in pieces of this many bytes, all at the same time, so that blocks of a replay file stay small.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// What an indexer may be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The size of the terminal until the recording tells it.
    pub size: Size,
}

impl Default for Options {
    fn default() -> Options {
        Options { size: Size::USUAL }
    }
}

/// What there is to say about a recording when it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Screens that are numbered, from 1; there is always one.
    pub screens: u64,
    /// Spans that were given to the sink.
    pub spans: u64,
    /// Events that were played.
    pub events: u64,
    /// Bytes of output among them.
    pub output_bytes: u64,
    /// Time of the last event.
    pub duration_us: u64,
    /// The status with which the recorded command ended, if told.
    pub exit: Option<i64>,
    /// Texts that were written over or erased before any screen showed them, and are not kept because there were too many:
    /// see [`crate::span::CAPTURE_CREDIT_BYTES`]. Almost always 0.
    pub overwritten: u64,
    /// Where and why the recording could not be read to its end.
    pub damage: Option<Damage>,
}

/// Plays events on a terminal and tells what was to be seen.
///
/// # Which screens are numbered
/// The screen after an event, if it changed and if it stayed or kept changing for [`QUIET_US`] since its last number, until
/// the next event; also when Enter is typed, so that what was entered is on a screen; and the last one. In other words: when
/// an event comes and the first change that has no number yet is 40 ms old or older, the screen before that event gets a
/// number. So
/// - whatever was on the screen for 40 ms is on a numbered screen;
/// - there are no more screens than events, and but for Enter at most 25 in a second;
/// - between two numbers lies at least one change. A cursor that only moves is no change.
///
/// Memory: the screen, its spans, and what waits between two screens (bounded); nothing grows with the recording.
pub struct Indexer<R, S> {
    screen: Screen,
    tracker: Tracker,
    replay: R,
    spans: S,
    title: Option<Span>,
    summary: Summary,
}

impl<R: ReplaySink, S: SpanSink> Indexer<R, S> {
    /// Begins with a blank screen of the size that the header tells.
    pub fn new(header: &Header, options: Options, replay: R, spans: S) -> Indexer<R, S> {
        let size = header.size.unwrap_or(options.size);
        let mut screen = Screen::new(size);
        screen.keep_titles();
        Indexer {
            screen,
            tracker: Tracker::new(size.columns().into(), size.rows().into()),
            replay,
            spans,
            title: None,
            summary: Summary {
                screens: 0,
                spans: 0,
                events: 0,
                output_bytes: 0,
                duration_us: 0,
                exit: None,
                overwritten: 0,
                damage: None,
            },
        }
    }

    /// What was given to the replay so far.
    pub fn replay(&self) -> &R {
        &self.replay
    }

    /// The terminal as it is now.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Plays one event. Times must not fall; one that does counts as the time before it.
    ///
    /// # Errors
    /// Those of the sinks; the indexer is then of no further use.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::Output(bytes) if bytes.len() > PIECE_BYTES_MAX => {
                for piece in bytes.chunks(PIECE_BYTES_MAX) {
                    self.play(&Event { at_us: event.at_us, what: What::Output(piece.to_vec()) })?;
                }
                self.summary.events += 1;
                Ok(())
            }
            _ => {
                self.summary.events += 1;
                self.play(event)
            }
        }
    }

    fn play(&mut self, event: &Event) -> io::Result<()> {
        let at_us = event.at_us.max(self.summary.duration_us);
        if let Some(changed_us) = self.tracker.changed_us
            && at_us - changed_us >= QUIET_US
        {
            self.settle()?;
        }
        self.summary.duration_us = at_us;
        self.tracker.now_us = at_us;
        match &event.what {
            What::Output(bytes) => {
                self.replay.event(&self.screen, event)?;
                self.summary.output_bytes += bytes.len() as u64;
                self.tracker.expect(bytes.len());
                self.screen.output_watched(bytes, &mut self.tracker);
                self.titles(at_us)?;
            }
            What::Resize(size) => {
                self.replay.event(&self.screen, event)?;
                self.screen.resize_watched(*size, &mut self.tracker);
            }
            What::Input(bytes) => {
                let screen = &mut self.screen;
                let is_alternate = screen.is_alternate();
                let entered = self.tracker.commands.input(bytes, at_us, is_alternate, || screen.anchor());
                if entered && self.tracker.changed_us.is_some() {
                    self.settle()?;
                }
                self.replay.event(&self.screen, event)?;
            }
            What::Exit(status) => {
                self.summary.exit = Some(*status);
                self.replay.event(&self.screen, event)?;
            }
            What::Marker(_) | What::Other { .. } => self.replay.event(&self.screen, event)?,
        }
        self.give()
    }

    /// Numbers the screen as it is.
    fn settle(&mut self) -> io::Result<()> {
        let number = self.tracker.settle(self.screen.look());
        self.replay.screen(&self.screen, number)?;
        self.give()
    }

    fn titles(&mut self, at_us: u64) -> io::Result<()> {
        for text in self.screen.take_titles() {
            let text = text.trim().to_owned();
            if self.title.as_ref().is_some_and(|title| title.text == text) {
                continue;
            }
            self.end_title(at_us)?;
            // The screen as it is has the next number, unless it has one already.
            let next = if self.tracker.changed_us.is_some() { 1 } else { 0 };
            let number = (self.tracker.screens + next).max(1);
            self.title = (!text.is_empty()).then_some(Span {
                kind: Kind::Title,
                text,
                first: number,
                last: number,
                clearest: number,
                row: 0,
                appeared_us: at_us,
                disappeared_us: at_us,
                passed_by: false,
                exit: None,
            });
        }
        Ok(())
    }

    fn end_title(&mut self, at_us: u64) -> io::Result<()> {
        if let Some(mut title) = self.title.take() {
            title.last = self.tracker.screens.max(title.first);
            title.disappeared_us = at_us;
            self.summary.spans += 1;
            self.spans.span(title)?;
        }
        Ok(())
    }

    fn give(&mut self) -> io::Result<()> {
        for span in self.tracker.finished.drain(..) {
            self.summary.spans += 1;
            self.spans.span(span)?;
        }
        Ok(())
    }

    /// The recording has ended, or could not be read further. Gives the sinks back.
    ///
    /// # Errors
    /// Those of the sinks.
    pub fn finish(mut self, damage: Option<Damage>) -> io::Result<(Summary, R, S)> {
        if self.tracker.changed_us.is_some() || self.tracker.screens == 0 {
            self.settle()?;
        }
        self.tracker.end_commands();
        self.tracker.end();
        self.give()?;
        self.end_title(self.summary.duration_us)?;
        self.summary.screens = self.tracker.screens;
        self.summary.overwritten = self.tracker.overwritten;
        self.summary.damage = damage;
        Ok((self.summary, self.replay, self.spans))
    }
}
