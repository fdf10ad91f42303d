//! A recording of several files as one POSIX tar: its parts, each read at its own place, without copies.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use super::damage::{Damage, Reason};
use super::reader::PARTS_MAX;
use super::source::Part;

const BLOCK: usize = 512;
/// Longest name, long names of GNU and pax included.
pub const NAME_BYTES_MAX: usize = 4096;

/// Whether a file begins like a tar. Needs the first 512 bytes.
pub fn is_tar(begin: &[u8]) -> bool {
    begin.first_chunk().is_some_and(|block: &[u8; BLOCK]| &block[257..262] == b"ustar" && checksum_holds(block))
}

/// The files of an uncompressed tar, in its order. Folders are passed over.
///
/// The parts share `tar` and seek in it; they may be read one after another or in turns.
///
/// # Errors
/// `bad_record` for what is no tar, or holds links or devices; `cut_short` if it ends early; `too_large` beyond
/// [`PARTS_MAX`] files or [`NAME_BYTES_MAX`].
pub fn parts_of_tar<'a, R: Read + Seek + Send + 'a>(mut tar: R) -> Result<Vec<Part<'a>>, Damage> {
    let entries = entries(&mut tar)?;
    let shared = Arc::new(Mutex::new(tar));
    let part = |entry: Entry| {
        let slice = Slice { tar: Arc::clone(&shared), at: entry.begin, end: entry.begin + entry.length };
        Part { name: entry.name, bytes: Box::new(slice) }
    };
    Ok(entries.into_iter().map(part).collect())
}

/// The header block of a file, to be followed by its bytes and by zeros up to a multiple of 512. The tar ends with two
/// blocks of zeros. `None` if the name is longer than 100 bytes or the file larger than 8 GiB, which need other headers.
pub fn header(name: &str, length: u64) -> Option<[u8; BLOCK]> {
    if name.is_empty() || name.len() > 100 || length >= 1 << 33 {
        return None;
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{length:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

struct Entry {
    name: String,
    begin: u64,
    length: u64,
}

fn entries(tar: &mut (impl Read + Seek)) -> Result<Vec<Entry>, Damage> {
    let mut entries: Vec<Entry> = Vec::new();
    // Set by the headers that GNU tar and pax put before a file whose name or length does not fit.
    let (mut long_name, mut long_length) = (None, None);
    let mut at = 0;
    let end = tar.seek(SeekFrom::End(0)).map_err(|error| unreadable(0, &error))?;
    while at < end {
        let damage =
            |reason, detail: &str| Damage { part: "tar".into(), offset: at, at_us: 0, reason, detail: detail.into() };
        let block: [u8; BLOCK] = read_at(tar, at, BLOCK)?.try_into().expect("a whole block was read");
        if block.iter().all(|byte| *byte == 0) {
            break;
        }
        if !checksum_holds(&block) {
            return Err(damage(Reason::BadRecord, "the block is no header of a tar"));
        }
        let length = long_length.take().or_else(|| number(&block[124..136]));
        let length = length.ok_or_else(|| damage(Reason::BadRecord, "a file's length is no number"))?;
        let begin = at + BLOCK as u64;
        let padded = length.checked_next_multiple_of(BLOCK as u64).and_then(|padded| begin.checked_add(padded));
        // The padding behind the last file may be missing.
        let after = padded
            .filter(|_| length <= end - begin)
            .ok_or_else(|| damage(Reason::CutShort, "the tar ends inside a file"))?;
        let small = || {
            let length = usize::try_from(length).ok().filter(|length| *length <= NAME_BYTES_MAX);
            length.ok_or_else(|| damage(Reason::TooLarge, "a name or extended header is too long"))
        };
        match block[156] {
            b'L' => long_name = Some(text(&read_at(tar, begin, small()?)?)),
            b'x' => {
                let records = read_at(tar, begin, small()?)?;
                long_name = pax(&records, "path").or(long_name);
                long_length = pax(&records, "size").and_then(|size| size.parse().ok());
            }
            b'g' | b'5' => long_name = None,
            b'0' | 0 | b'7' => {
                if entries.len() == PARTS_MAX {
                    return Err(damage(Reason::TooLarge, "the tar holds too many files"));
                }
                let name = long_name.take().unwrap_or_else(|| match text(&block[345..500]) {
                    prefix if prefix.is_empty() || &block[257..263] != b"ustar\0" => text(&block[..100]),
                    prefix => format!("{prefix}/{}", text(&block[..100])),
                });
                entries.push(Entry { name, begin, length });
            }
            _ => return Err(damage(Reason::BadRecord, "the tar holds a link or a device, not a file")),
        }
        at = after;
    }
    Ok(entries)
}

fn read_at(tar: &mut (impl Read + Seek), at: u64, length: usize) -> Result<Vec<u8>, Damage> {
    let mut bytes = vec![0; length];
    let read = tar.seek(SeekFrom::Start(at)).and_then(|_| tar.read_exact(&mut bytes));
    read.map_err(|error| unreadable(at, &error))?;
    Ok(bytes)
}

fn unreadable(offset: u64, error: &io::Error) -> Damage {
    let reason = if error.kind() == io::ErrorKind::UnexpectedEof { Reason::CutShort } else { Reason::Unreadable };
    Damage { part: "tar".into(), offset, at_us: 0, reason, detail: error.to_string() }
}

/// Up to the first zero.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Octal digits among spaces and zeros, or base 256 with the highest bit set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (head, tail) = field.split_at(field.len() - 8);
        let fits = head.iter().enumerate().all(|(at, byte)| *byte == if at == 0 { 0x80 } else { 0 });
        return fits.then(|| u64::from_be_bytes(tail.try_into().expect("eight bytes were split off")));
    }
    let text = text(field);
    u64::from_str_radix(text.trim_matches(' '), 8).ok()
}

fn checksum_holds(block: &[u8; BLOCK]) -> bool {
    let sum = |block: &[u8]| block.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    number(&block[148..156]) == Some(sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..]))
}

/// A value of pax records, `LENGTH NAME=VALUE\n` each.
fn pax(mut records: &[u8], wanted: &str) -> Option<String> {
    let mut found = None;
    while let Some(space) = records.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let record = records.get(space + 1..length)?;
        let record = record.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        if &record[..equals] == wanted.as_bytes() {
            found = Some(String::from_utf8_lossy(&record[equals + 1..]).into_owned());
        }
        records = &records[length..];
    }
    found
}

/// A part: a window of the tar with a place of its own.
struct Slice<R> {
    tar: Arc<Mutex<R>>,
    at: u64,
    end: u64,
}

impl<R: Read + Seek> Read for Slice<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        // A reader that panicked leaves nothing half done that the seek does not put right.
        let mut tar = self.tar.lock().unwrap_or_else(PoisonError::into_inner);
        tar.seek(SeekFrom::Start(self.at))?;
        let count = tar.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}
