//! What was to be read on the screens, and when: each run of text is one [`Span`].

mod command;
pub mod file;
mod settle;
mod tracker;

pub(crate) use tracker::Tracker;
pub use tracker::{CAPTURE_CELLS_MAX, CAPTURE_CREDIT_BYTES, LINE_BYTES_MAX};

/// Number of a screen, from 1. SPS calls it record id.
pub type ScreenNumber = u64;

/// A text that was on the terminal for some time.
///
/// # Which texts
/// A [`Kind::Text`] is a line as a reader sees it: rows joined by soft wraps, trailing blanks gone, never empty. While a line
/// only grows (what stood there is the beginning of what stands there now) it stays one span, with the longest text. While
/// the same text moves about, it stays one span. Anything else that takes its place is another span.
///
/// # Which screens
/// The text was on the terminal from screen `first` to screen `last`, and all of it on `clearest`. A line that grew shows
/// only its beginning on the screens before `clearest`; a long line that was scrolling away may show only its end on those
/// after it. `passed_by` says that all of it was on no numbered screen, because it came and went between two of them (then
/// all three numbers are that of the screen at or right after it) or because it is longer than the screen (then they are
/// where parts of it were seen).
///
/// # Which times
/// From the event that began it to the event that ended it; where several events lie between two numbered screens, the
/// first of them that touched its row. So a time is off by less than [`crate::index::QUIET_US`], if at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What kind of text.
    pub kind: Kind,
    /// The text, at most [`LINE_BYTES_MAX`] and a screen's worth of bytes. A longer line is several spans.
    pub text: String,
    /// First screen that shows it.
    pub first: ScreenNumber,
    /// Last screen that shows it.
    pub last: ScreenNumber,
    /// The screen to show to somebody who looks for the text.
    pub clearest: ScreenNumber,
    /// Row of that screen on which it begins; 0 for a title.
    pub row: u16,
    /// When it appeared: microseconds since the start of the recording.
    pub appeared_us: u64,
    /// When it was gone, or when the recording ended.
    pub disappeared_us: u64,
    /// All of it is on no numbered screen, see above.
    pub passed_by: bool,
    /// Exit status of a command, if the shell told it (OSC 133;D).
    pub exit: Option<u8>,
}

/// Kinds of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A line on the screen.
    Text,
    /// A command that was entered: what the shell marked as such (OSC 133), or else a line that was typed, and echoed, up to
    /// Enter. Its times are those of its run if the shell marked its end, otherwise that of Enter twice.
    Command,
    /// A window title.
    Title,
}

/// Takes finished spans: a span file, an index.
///
/// They come in the order in which they end; those that end together in the order of their rows.
pub trait SpanSink {
    /// Takes one. An error stops the indexing and is given to its caller.
    fn span(&mut self, span: Span) -> std::io::Result<()>;
}

/// Keeps them.
impl SpanSink for Vec<Span> {
    fn span(&mut self, span: Span) -> std::io::Result<()> {
        self.push(span);
        Ok(())
    }
}

/// Keeps nothing.
impl SpanSink for () {
    fn span(&mut self, _: Span) -> std::io::Result<()> {
        Ok(())
    }
}

impl<S: SpanSink + ?Sized> SpanSink for &mut S {
    fn span(&mut self, span: Span) -> std::io::Result<()> {
        (**self).span(span)
    }
}
