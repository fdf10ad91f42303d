//! The byte streams that a timing file cuts into events (`script`, sudo).

use super::damage::{Damage, Reason};
use super::reader::Notices;
use super::source::Source;

/// How much of what no timing accounts for is given as one event.
const PIECE_BYTES: usize = 64 << 10;

/// Streams by number. Several numbers may mean the same file (`script --log-io`).
pub(super) struct Streams<'a> {
    sources: Vec<Source<'a>>,
    cut: Option<Damage>,
    left_over: Option<Damage>,
}

impl<'a> Streams<'a> {
    pub(super) fn new(sources: Vec<Source<'a>>) -> Streams<'a> {
        Streams { sources, cut: None, left_over: None }
    }

    /// A stream that a timing file speaks of and that was not given: noted once under the name it should have.
    pub(super) fn missing(name: &str, notices: &mut Notices) {
        let detail = "the timing speaks of this part, it was not given; its events are left out".to_owned();
        notices.add(Damage { part: name.to_owned(), offset: 0, at_us: 0, reason: Reason::MissingPart, detail });
    }

    /// The next `count` bytes of a stream. If fewer are left these are given, and [`Streams::cut`] says so afterwards.
    pub(super) fn take(&mut self, stream: usize, count: usize) -> Result<Vec<u8>, Damage> {
        let (bytes, cut) = self.sources[stream].take(count)?;
        self.cut = cut;
        Ok(bytes)
    }

    /// To be asked before the next record: the damage found behind the last event.
    pub(super) fn cut(&mut self) -> Result<(), Damage> {
        self.cut.take().map_or(Ok(()), Err)
    }

    pub(super) fn source(&mut self, stream: usize) -> &mut Source<'a> {
        &mut self.sources[stream]
    }

    /// Bytes of a stream that no record of the timing speaks of, in pieces, although nobody knows when they came: the
    /// recorder was killed, or the timing file is cut. After the last piece follows the damage; `None` if there are none.
    pub(super) fn left_over(&mut self, stream: usize) -> Result<Option<Vec<u8>>, Damage> {
        let source = &mut self.sources[stream];
        let piece = source.take_some(PIECE_BYTES)?;
        if piece.is_empty() {
            return self.left_over.take().map_or(Ok(None), Err);
        }
        if self.left_over.is_none() {
            let detail = "the timing ends before this part does; the rest was given at the last known time";
            self.left_over = Some(source.damage(Reason::LeftOver, detail));
        }
        Ok(Some(piece))
    }

    pub(super) fn count(&self) -> usize {
        self.sources.len()
    }
}
