//! One part of a recording as a buffered stream: lines, counted bytes, single bytes, each under a named limit.
//!
//! Unpacks gzip by content. Counts offsets in unpacked bytes. Memory is one buffer that grows no further than the limit asked for.

use std::io::{self, BufRead, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::damage::{Damage, Reason};

/// One file of a recording. Single-file formats have one part; `script` has its typescripts and its timing file; a sudo
/// I/O log has the files of its folder.
pub struct Part<'a> {
    /// The file's name; folders before it do not matter.
    pub name: String,
    /// Its bytes, as they are or packed with gzip. Read once, in order.
    pub bytes: Box<dyn Read + Send + 'a>,
}

impl<'a> Part<'a> {
    /// A part that reads from anything.
    pub fn new(name: impl Into<String>, bytes: impl Read + Send + 'a) -> Part<'a> {
        Part { name: name.into(), bytes: Box::new(bytes) }
    }
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How much is asked of the reader below at once.
const READ_BYTES: usize = 64 << 10;
/// How much is unpacked at once. What comes out of a piece that is found broken is lost with it, so pieces are small.
const PACKED_BYTES: usize = 512;

pub(super) struct Source<'a> {
    name: String,
    inner: Box<dyn Read + Send + 'a>,
    /// Unpacked bytes that were read and not yet taken: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `buffer[start]` in the unpacked part.
    offset: u64,
    /// Offset of the last line, or of the last bytes taken.
    taken_at: u64,
    packed: bool,
    ended: bool,
    /// Why nothing comes behind what is in `buffer`. It is told when that was taken.
    failure: Option<Damage>,
}

impl<'a> Source<'a> {
    pub(super) fn open(part: Part<'a>) -> Result<Source<'a>, Damage> {
        let mut source = Source {
            name: part.name,
            inner: part.bytes,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            taken_at: 0,
            packed: false,
            ended: false,
            failure: None,
        };
        if source.peek(2)?.starts_with(&GZIP_MAGIC) {
            let begun = source.buffer[..source.end].to_vec();
            source.end = 0;
            let packed = std::mem::replace(&mut source.inner, Box::new(io::empty()));
            source.inner = Box::new(MultiGzDecoder::new(Filled::new(Cursor::new(begun).chain(packed))));
            source.packed = true;
            source.ended = false;
        }
        Ok(source)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where the last line or the last bytes taken began.
    pub(super) fn taken_at(&self) -> u64 {
        self.taken_at
    }

    /// Damage of the record taken last. The time is filled in by [`super::Reader`].
    pub(super) fn damage(&self, reason: Reason, detail: impl Into<String>) -> Damage {
        Damage { part: self.name.clone(), offset: self.taken_at, at_us: 0, reason, detail: detail.into() }
    }

    /// What comes next, at least `wanted` bytes of it unless the part ends or cannot be read on before. Takes nothing.
    ///
    /// Fails only when nothing is left and the reader below had failed.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], Damage> {
        while self.end - self.start < wanted && !self.ended {
            self.read_more();
        }
        if self.start == self.end && wanted > 0 {
            self.readable()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// To be asked where less came than was wanted: whether it was the end, or the reader below failed.
    pub(super) fn readable(&self) -> Result<(), Damage> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&mut self) -> Result<bool, Damage> {
        Ok(self.peek(1)?.is_empty())
    }

    /// The next line without its newline; `None` at the end. A last line without newline is a line.
    pub(super) fn line(&mut self, bytes_max: usize) -> Result<Option<&[u8]>, Damage> {
        self.taken_at = self.offset;
        let mut searched = 0;
        let length = loop {
            let waiting = &self.buffer[self.start..self.end];
            if let Some(found) = memchr::memchr(b'\n', &waiting[searched..]) {
                break searched + found;
            }
            searched = waiting.len();
            if searched > bytes_max {
                return Err(self.damage(Reason::TooLarge, format!("a line is longer than {bytes_max} bytes")));
            }
            if self.ended {
                self.readable()?;
                if searched == 0 {
                    return Ok(None);
                }
                break searched;
            }
            self.read_more();
        };
        if length > bytes_max {
            return Err(self.damage(Reason::TooLarge, format!("a line is longer than {bytes_max} bytes")));
        }
        let begin = self.start;
        let with_newline = (length + 1).min(self.end - begin);
        self.consume(with_newline);
        Ok(Some(&self.buffer[begin..begin + length]))
    }

    /// Takes exactly `count` bytes, or what is left of them and the damage that says so.
    pub(super) fn take(&mut self, count: usize) -> Result<(Vec<u8>, Option<Damage>), Damage> {
        self.taken_at = self.offset;
        // Memory follows the bytes that are really there, not the count, which may lie.
        let left = self.peek(count)?.len();
        let bytes = self.buffer[self.start..self.start + left.min(count)].to_vec();
        self.consume(bytes.len());
        let cut = (left < count).then(|| {
            let cut = || self.damage(Reason::CutShort, format!("{count} bytes were announced, {left} are left"));
            self.failure.clone().unwrap_or_else(cut)
        });
        Ok((bytes, cut))
    }

    /// Takes `count` bytes, or what is left; empty at the end.
    pub(super) fn take_some(&mut self, count: usize) -> Result<Vec<u8>, Damage> {
        self.taken_at = self.offset;
        let available = self.peek(count)?.len().min(count);
        let bytes = self.buffer[self.start..self.start + available].to_vec();
        self.consume(available);
        Ok(bytes)
    }

    /// Takes the next byte and forgets it.
    pub(super) fn skip_byte(&mut self) {
        self.taken_at = self.offset;
        self.consume(1);
    }

    /// Passes over `count` bytes without keeping them.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Damage> {
        self.taken_at = self.offset;
        let mut left = count;
        while left > 0 {
            let available = self.peek(1)?.len();
            if available == 0 {
                return Err(self.damage(Reason::CutShort, format!("{count} bytes were announced, {left} are missing")));
            }
            let step = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.consume(step);
            left -= step as u64;
        }
        Ok(())
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    fn read_more(&mut self) {
        // Bytes are moved only when there is no room behind them, and room is never cleared twice, so that readers that give
        // a few bytes at a time cost no more for each byte.
        if self.buffer.len() - self.end < READ_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.buffer.resize(self.buffer.len().max(self.end + READ_BYTES), 0);
        }
        let outcome = read_on(&mut self.inner, &mut self.buffer[self.end..][..READ_BYTES]);
        let count = *outcome.as_ref().unwrap_or(&0);
        self.end += count;
        self.ended = count == 0;
        if let Err(error) = outcome {
            self.failure = Some(self.failed(&error));
        }
    }

    /// An error of the reader below, told apart: a broken gzip stream is the recording's fault, anything else is not.
    fn failed(&self, error: &io::Error) -> Damage {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let reason = match error.kind() {
            UnexpectedEof if self.packed => Reason::CutShort,
            InvalidData | InvalidInput if self.packed => Reason::BadPacking,
            _ => Reason::Unreadable,
        };
        let offset = self.offset + (self.end - self.start) as u64;
        Damage { part: self.name.clone(), offset, at_us: 0, reason, detail: error.to_string() }
    }
}

fn read_on(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Hands on full pieces, however the bytes arrive, so that a broken stream breaks at the same byte each time.
struct Filled<R> {
    inner: R,
    piece: [u8; PACKED_BYTES],
    start: usize,
    end: usize,
}

impl<R: Read> Filled<R> {
    fn new(inner: R) -> Filled<R> {
        Filled { inner, piece: [0; PACKED_BYTES], start: 0, end: 0 }
    }
}

impl<R: Read> BufRead for Filled<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            while self.end < PACKED_BYTES {
                match read_on(&mut self.inner, &mut self.piece[self.end..]) {
                    Ok(0) => break,
                    Ok(count) => self.end += count,
                    // Comes again with the next call, which has nothing before it.
                    Err(_) if self.end > 0 => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(&self.piece[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
