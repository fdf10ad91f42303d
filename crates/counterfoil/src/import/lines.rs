//! Lines of bounded length, and gzip made transparent.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// The longest line that is read as a line, in bytes without its end. rsyslog cuts at 8 KiB by default and journald at 48 KiB,
/// so a longer one is no log line; it is reported and its rest is skipped without being kept.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The same bytes, unpacked when they are gzip (several members one after another included).
pub(super) fn decompress<'a>(mut reader: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    // Not `fill_buf`: a pipe may give a single byte first.
    let mut first = Vec::with_capacity(GZIP_MAGIC.len());
    reader.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first == GZIP_MAGIC;
    let whole = Cursor::new(first).chain(reader);
    if is_gzip {
        return Ok(Box::new(BufReader::with_capacity(64 * 1024, MultiGzDecoder::new(whole))));
    }
    Ok(Box::new(whole))
}

/// As much of the beginning, up to `bytes_max`, as can be unpacked from a cut-off start of a file.
pub(super) fn decompress_start(first: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    if first.starts_with(&GZIP_MAGIC) {
        // The cut ends in an error by nature; what came before it is what we want.
        let _cut = MultiGzDecoder::new(first).take(bytes_max as u64).read_to_end(&mut plain);
    } else {
        plain.extend_from_slice(&first[..first.len().min(bytes_max)]);
    }
    plain
}

/// One line, without `\n` or `\r\n`.
pub(super) struct Line<'a> {
    /// At most [`LINE_BYTES_MAX`] bytes.
    pub bytes: &'a [u8],
    /// The whole length when `bytes` is only the beginning.
    pub too_long: Option<u64>,
}

/// Cuts a reader into lines, reusing one buffer.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Lines<R> {
        Lines { reader, number: 0, buffer: Vec::new() }
    }

    /// How many lines were given out.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line, or nothing at the end.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let mut length = 0_u64;
        let mut ended = false;
        while !ended {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            // One byte more than the limit, so that a `\r` at the very end is not what makes a line too long.
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&part[..part.len().min(room)]);
            length += part.len() as u64;
            ended = end.is_some();
            let used = part.len() + usize::from(ended);
            self.reader.consume(used);
        }
        if length == 0 && !ended {
            return Ok(None);
        }
        self.number += 1;
        if length as usize == self.buffer.len() && self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
            length -= 1;
        }
        if self.number == 1 && self.buffer.starts_with(b"\xEF\xBB\xBF") {
            self.buffer.drain(..3);
            length -= 3;
        }
        let too_long = (length > LINE_BYTES_MAX as u64).then_some(length);
        let kept = self.buffer.len().min(LINE_BYTES_MAX);
        Ok(Some(Line { bytes: &self.buffer[..kept], too_long }))
    }
}
