//! The span file: all spans of a recording, each to be had by its position.
//!
//! ```text
//! head    16 bytes   magic "CFSPANS\0" · version u32 · CRC-32C of all before it
//! blocks             each packed: spans, one after another (see `put_span`)
//! foot    32 bytes   magic "CFSPNEND" · offset of the foot u64 · spans u64 · version u32 · CRC-32C of all before it
//! ```
//!
//! Little-endian. A *position* is the offset of a block, 16 bits to the left, and the place of the span in it. Positions grow
//! from span to span, and stay what they are for the life of the file; a content index keeps them.

use std::io::{self, Write};

use super::{Kind, Span, SpanSink};
use crate::pack::{BLOCK_HEAD_BYTES, BlockHead, Parts, pack, put_bytes, put_number, u32_at, u64_at};
use crate::ranged::{FileError, Ranged, read};

const HEAD_BYTES: usize = 16;
const FOOT_BYTES: usize = 32;
const VERSION: u32 = 1;
const HEAD_MAGIC: [u8; 8] = *b"CFSPANS\0";
const FOOT_MAGIC: [u8; 8] = *b"CFSPNEND";
const BLOCK_MAGIC: [u8; 4] = *b"CFSB";
/// Bytes of spans after which a block is closed: small, since one span costs the reading of its block.
const BLOCK_BYTES: usize = 32 << 10;
const BLOCK_SPANS_MAX: u64 = 1 << 16;

/// Writes a span file from front to back.
pub struct SpanWriter<W> {
    writer: W,
    written: u64,
    spans: u64,
    block: Vec<u8>,
    in_block: u64,
}

impl<W: Write> SpanWriter<W> {
    /// Writes the head.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(mut writer: W) -> io::Result<SpanWriter<W>> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend(HEAD_MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend(crc32c::crc32c(&head).to_le_bytes());
        writer.write_all(&head)?;
        Ok(SpanWriter { writer, written: HEAD_BYTES as u64, spans: 0, block: Vec::new(), in_block: 0 })
    }

    /// Appends a span; returns its position.
    ///
    /// # Errors
    /// The writer's.
    pub fn append(&mut self, span: &Span) -> io::Result<u64> {
        if self.block.len() >= BLOCK_BYTES || self.in_block == BLOCK_SPANS_MAX {
            self.close_block()?;
        }
        let position = self.written << 16 | self.in_block;
        put_span(&mut self.block, span);
        self.in_block += 1;
        self.spans += 1;
        Ok(position)
    }

    fn close_block(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            let block = pack(BLOCK_MAGIC, &self.block)?;
            self.writer.write_all(&block)?;
            self.written += block.len() as u64;
            self.block.clear();
            self.in_block = 0;
        }
        Ok(())
    }

    /// Writes what is left and the foot. Gives the writer back, not flushed, and how long the file is.
    ///
    /// # Errors
    /// The writer's; the file is then of no use.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.close_block()?;
        let mut foot = Vec::with_capacity(FOOT_BYTES);
        foot.extend(FOOT_MAGIC);
        foot.extend(self.written.to_le_bytes());
        foot.extend(self.spans.to_le_bytes());
        foot.extend(VERSION.to_le_bytes());
        foot.extend(crc32c::crc32c(&foot).to_le_bytes());
        self.writer.write_all(&foot)?;
        Ok((self.writer, self.written + FOOT_BYTES as u64))
    }
}

impl<W: Write> SpanSink for SpanWriter<W> {
    fn span(&mut self, span: Span) -> io::Result<()> {
        self.append(&span).map(|_| ())
    }
}

/// A span file that is open.
pub struct Spans<R> {
    ranged: R,
    end: u64,
    count: u64,
}

impl<R: Ranged> Spans<R> {
    /// Reads head and foot.
    ///
    /// # Errors
    /// [`FileError`]; arbitrary bytes are [`FileError::Damaged`].
    pub fn open(ranged: R) -> Result<Spans<R>, FileError> {
        let length = ranged.length()?;
        let head = read(&ranged, 0, HEAD_BYTES)?;
        if head[..8] != HEAD_MAGIC {
            return Err(FileError::damaged(0, "no span file"));
        }
        if u32_at(&head, 8) != VERSION {
            return Err(FileError::Version(u32_at(&head, 8)));
        }
        if u32_at(&head, 12) != crc32c::crc32c(&head[..12]) {
            return Err(FileError::damaged(0, "the head does not match its checksum"));
        }
        let end = length.saturating_sub(FOOT_BYTES as u64);
        let foot = read(&ranged, end, FOOT_BYTES)?;
        let crc = crc32c::crc32c(&foot[..FOOT_BYTES - 4]);
        if foot[..8] != FOOT_MAGIC || u32_at(&foot, FOOT_BYTES - 4) != crc || u64_at(&foot, 8) != end {
            return Err(FileError::damaged(end, "the foot is not there, or does not match its checksum"));
        }
        Ok(Spans { ranged, end, count: u64_at(&foot, 16) })
    }

    /// How many spans there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The span at a position that [`SpanWriter::append`] gave. Two reads.
    ///
    /// # Errors
    /// [`FileError`]; a position at which there is no span is [`FileError::Damaged`].
    pub fn get(&self, position: u64) -> Result<Span, FileError> {
        let (offset, place) = (position >> 16, position & 0xffff);
        let (bytes, _) = self.read_block(offset)?;
        let mut parts = Parts(&bytes);
        for _ in 0..place {
            take_span(&mut parts).ok_or(FileError::damaged(offset, "a block has no span at this place"))?;
        }
        take_span(&mut parts).ok_or(FileError::damaged(offset, "a block has no span at this place"))
    }

    /// All spans with their positions, in the order in which they ended.
    ///
    /// After an error there are no more.
    pub fn iter(&self) -> impl Iterator<Item = Result<(u64, Span), FileError>> + '_ {
        let mut offset = HEAD_BYTES as u64;
        let mut waiting: std::vec::IntoIter<(u64, Span)> = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if let Some(next) = waiting.next() {
                return Some(Ok(next));
            }
            if offset >= self.end {
                return None;
            }
            let read = self.read_block(offset).and_then(|(bytes, next)| {
                let mut parts = Parts(&bytes);
                let mut spans = Vec::new();
                while !parts.0.is_empty() {
                    let span =
                        take_span(&mut parts).ok_or(FileError::damaged(offset, "what a block holds is no span"))?;
                    spans.push((offset << 16 | spans.len() as u64, span));
                }
                Ok((spans, next))
            });
            match read {
                Ok((spans, next)) => {
                    offset = next;
                    waiting = spans.into_iter();
                    // Blocks are never empty unless forged; then the next call goes on.
                    waiting.next().map(Ok)
                }
                Err(error) => {
                    offset = self.end;
                    Some(Err(error))
                }
            }
        })
    }

    /// A block's spans and where the next block begins.
    fn read_block(&self, offset: u64) -> Result<(Vec<u8>, u64), FileError> {
        let body = offset + BLOCK_HEAD_BYTES as u64;
        if offset < HEAD_BYTES as u64 || body > self.end {
            return Err(FileError::damaged(offset, "no block begins here"));
        }
        let head = BlockHead::read(BLOCK_MAGIC, &read(&self.ranged, offset, BLOCK_HEAD_BYTES)?, offset)?;
        let next = body + head.packed as u64;
        if next > self.end {
            return Err(FileError::damaged(offset, "a block goes beyond the end"));
        }
        let bytes = head.unpack(&read(&self.ranged, body, head.packed)?, offset)?;
        Ok((bytes, next))
    }
}

const PASSED_BY: u8 = 1 << 2;
const EXIT: u8 = 1 << 3;

/// Flags (kind, passed by, has an exit status) u8 · then numbers: first screen, from it to the last, from it to the clearest,
/// row, appeared, how long · exit status u8 if it has one · length and text.
fn put_span(bytes: &mut Vec<u8>, span: &Span) {
    let kind = match span.kind {
        Kind::Text => 0,
        Kind::Command => 1,
        Kind::Title => 2,
    };
    let passed_by = if span.passed_by { PASSED_BY } else { 0 };
    bytes.push(kind | passed_by | if span.exit.is_some() { EXIT } else { 0 });
    put_number(bytes, span.first);
    put_number(bytes, span.last - span.first);
    put_number(bytes, span.clearest - span.first);
    put_number(bytes, span.row.into());
    put_number(bytes, span.appeared_us);
    put_number(bytes, span.disappeared_us - span.appeared_us);
    bytes.extend(span.exit);
    put_bytes(bytes, span.text.as_bytes());
}

fn take_span(parts: &mut Parts<'_>) -> Option<Span> {
    let flags = parts.byte()?;
    let kind = match flags & !(PASSED_BY | EXIT) {
        0 => Kind::Text,
        1 => Kind::Command,
        2 => Kind::Title,
        _ => return None,
    };
    let first = parts.number()?;
    let last = first.checked_add(parts.number()?)?;
    let clearest = first.checked_add(parts.number()?)?;
    let row = parts.number()?.try_into().ok()?;
    let appeared_us = parts.number()?;
    let disappeared_us = appeared_us.checked_add(parts.number()?)?;
    let exit = if flags & EXIT != 0 { Some(parts.byte()?) } else { None };
    let text = parts.text()?.to_owned();
    let passed_by = flags & PASSED_BY != 0;
    Some(Span { kind, text, first, last, clearest, row, appeared_us, disappeared_us, passed_by, exit })
}
