//! ttyrec: frames, each with seconds, microseconds and length as 32-bit little-endian numbers before its bytes.
//!
//! The file has no header and tells no size of the terminal.

use super::RECORD_BYTES_MAX;
use super::damage::{Damage, Fault, Reason};
use super::event::{Event, Format, Header, What};
use super::reader::{Events, Notices, Opened};
use super::source::Source;

const HEADER_BYTES: usize = 12;

struct Frame {
    at_us: u64,
    length: usize,
}

impl Frame {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Frame, Fault> {
        let field = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (seconds, micros, length) = (field(0), field(4), field(8) as usize);
        if micros >= 1_000_000 {
            return Err((Reason::BadTime, format!("{micros} microseconds are more than a second")));
        }
        if length > RECORD_BYTES_MAX {
            return Err((
                Reason::TooLarge,
                format!("a frame announces {length} bytes, {RECORD_BYTES_MAX} is the most"),
            ));
        }
        Ok(Frame { at_us: u64::from(seconds) * 1_000_000 + u64::from(micros), length })
    }
}

struct Frames<'a> {
    source: Source<'a>,
    started_at_us: u64,
    /// Found behind the event that was given last.
    cut: Option<Damage>,
}

pub(super) fn open<'a>(mut source: Source<'a>) -> Result<Opened<'a>, Damage> {
    let mut header = Header::new(Format::Ttyrec);
    let begin = source.peek(HEADER_BYTES)?;
    if begin.is_empty() {
        return Err(source.damage(Reason::BadHeader, "the part is empty"));
    }
    // A first frame that is damaged is reported when it is asked for.
    let first = begin.first_chunk().and_then(|bytes| Frame::parse(bytes).ok());
    header.started_at_us = first.map(|frame| frame.at_us);
    let started_at_us = header.started_at_us.unwrap_or_default();
    Ok((header, Box::new(Frames { source, started_at_us, cut: None })))
}

impl Events for Frames<'_> {
    fn next(&mut self, notices: &mut Notices) -> Result<Option<Event>, Damage> {
        if let Some(cut) = self.cut.take() {
            return Err(cut);
        }
        if self.source.at_end()? {
            return Ok(None);
        }
        let (header, cut) = self.source.take(HEADER_BYTES)?;
        let frame = match (header.first_chunk(), cut) {
            (Some(header), None) => {
                Frame::parse(header).map_err(|(reason, detail)| self.source.damage(reason, detail))?
            }
            (_, cut) => return Err(cut.unwrap_or_else(|| self.source.damage(Reason::CutShort, "half a frame header"))),
        };
        let at_us = frame.at_us.checked_sub(self.started_at_us).unwrap_or_else(|| {
            notices.add(self.source.damage(Reason::TimeFell, "a frame is older than the first one"));
            0
        });
        let (bytes, cut) = self.source.take(frame.length)?;
        self.cut = cut;
        Ok(Some(Event { at_us, what: What::Output(bytes) }))
    }
}

/// Whether these first bytes of a file are frames, as far as they go.
pub(super) fn looks_like(mut begin: &[u8]) -> bool {
    let mut frames = 0;
    while let Some((header, rest)) = begin.split_first_chunk::<HEADER_BYTES>() {
        match Frame::parse(header) {
            Ok(frame) if frame.length > 0 || frames > 0 => begin = rest.get(frame.length..).unwrap_or_default(),
            _ => return false,
        }
        frames += 1;
    }
    frames > 0
}
