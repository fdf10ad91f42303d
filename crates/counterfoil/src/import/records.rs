//! Cuts a stream of JSON into records without holding more than one of them.
//!
//! Records are objects: one per line, one after another however they are laid out, elements of one array, or elements of an
//! array member of a wrapper object (`{"Records": [ … ]}`), whatever stands before and behind that member.
//!
//! This is no JSON parser. It follows strings and brackets, just enough to find where a record ends; the parser comes after.
//! When the brackets of a record do not close, the damage ends where the next record seems to begin: after a line feed inside a
//! string (JSON has none), or at a `{` in the first column that cannot continue what came before it.

use std::io::{self, Read};

/// The longest record that is read, in bytes. A body in the log has at most 1 MiB (DESIGN §3), so a longer one could not be
/// kept; it is skipped without being held and reported.
pub(crate) const RECORD_BYTES_MAX: usize = 1024 * 1024;

const CHUNK_BYTES: usize = 64 * 1024;

/// What was found next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A whole object, from `{` to `}`, not yet parsed.
    Record { line: u64, bytes: Vec<u8> },
    /// Something that is no record, with a reason; `bytes` is at most the beginning of it.
    Broken { line: u64, reason: String, bytes: Vec<u8> },
}

/// Where the next record is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// In an array; `in_wrapper` says whether an object goes on after it.
    Array {
        in_wrapper: bool,
    },
    /// In a wrapper object, behind its array.
    AfterArray,
}

pub(crate) struct Records<R> {
    reader: R,
    record_bytes_max: usize,
    /// Members whose array value holds records.
    wrappers: &'static [&'static str],
    place: Place,
    line: u64,
    at_line_start: bool,
    line_has_bytes: bool,
    line_has_text: bool,
    lines: u64,
    blank: u64,
    chunk: Vec<u8>,
    chunk_bytes: usize,
    at: usize,
}

impl<R: Read> Records<R> {
    pub fn new(reader: R, wrappers: &'static [&'static str]) -> Records<R> {
        Records::with_bytes_max(reader, wrappers, RECORD_BYTES_MAX)
    }

    /// As [`Records::new`] for records of up to `record_bytes_max` bytes.
    pub fn with_bytes_max(reader: R, wrappers: &'static [&'static str], record_bytes_max: usize) -> Records<R> {
        Records {
            record_bytes_max,
            reader,
            wrappers,
            place: Place::Top,
            line: 1,
            at_line_start: true,
            line_has_bytes: false,
            line_has_text: false,
            lines: 0,
            blank: 0,
            chunk: vec![0; CHUNK_BYTES],
            chunk_bytes: 0,
            at: 0,
        }
    }

    /// The line being read, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Lines read so far, and how many of them were blank.
    pub fn counted(&self) -> (u64, u64) {
        (self.lines, self.blank)
    }

    /// The next record or damage; nothing at the end.
    pub fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if self.place == Place::AfterArray {
                if let Some(piece) = self.object()? {
                    return Ok(Some(piece));
                }
                continue;
            }
            let Some(byte) = self.peek()? else {
                self.finish_file();
                let Place::Array { .. } = self.place else { return Ok(None) };
                self.place = Place::Top;
                return Ok(Some(self.broken(self.line, "the file ends inside an array", Vec::new())));
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                    self.bump();
                }
                // A byte order mark.
                0xEF | 0xBB | 0xBF if self.line == 1 && !self.line_has_bytes => self.at += 1,
                b'{' => {
                    if let Some(piece) = self.object()? {
                        return Ok(Some(piece));
                    }
                }
                b'[' if self.place == Place::Top => {
                    self.bump();
                    self.place = Place::Array { in_wrapper: false };
                }
                b']' if self.place != Place::Top => {
                    self.bump();
                    self.place =
                        if self.place == (Place::Array { in_wrapper: true }) { Place::AfterArray } else { Place::Top };
                }
                _ => return Ok(Some(self.something_else()?)),
            }
        }
    }

    /// Reads an object from its `{`, or the rest of a wrapper object. Nothing: it was, or turned out to be, a wrapper.
    fn object(&mut self) -> io::Result<Option<Piece>> {
        let rest_of_wrapper = self.place == Place::AfterArray;
        let may_be_wrapper = rest_of_wrapper || self.place == Place::Top;
        let bytes_max = self.record_bytes_max;
        let mut scan = Scan::new(self.line, rest_of_wrapper, bytes_max);
        loop {
            let column_one = self.at_line_start;
            let Some(byte) = self.peek()? else {
                self.finish_file();
                self.place = Place::Top;
                let reason =
                    if rest_of_wrapper { "the file ends inside an object" } else { "the file ends inside a record" };
                return Ok(Some(self.broken(scan.line, reason, scan.bytes)));
            };
            if byte == b'{' && column_one && scan.cannot_go_on_with_object() {
                if self.place == Place::AfterArray {
                    self.place = Place::Top;
                }
                let reason = format!("not closed before line {}", self.line);
                return Ok(Some(self.broken(scan.line, &reason, scan.bytes)));
            }
            if byte == b'['
                && may_be_wrapper
                && scan.key().is_some_and(|key| self.wrappers.iter().any(|name| name.as_bytes() == key))
            {
                self.bump();
                self.place = Place::Array { in_wrapper: true };
                return Ok(None);
            }
            self.bump();
            match scan.push(byte) {
                Step::Inside => {}
                Step::LineFeedInString => {
                    if self.place == Place::AfterArray {
                        self.place = Place::Top;
                    }
                    return Ok(Some(self.broken(scan.line, "a string is not closed on its line", scan.bytes)));
                }
                Step::Closed if rest_of_wrapper => {
                    self.place = Place::Top;
                    return Ok(None);
                }
                Step::Closed if scan.length > bytes_max as u64 => {
                    let reason = format!("the record has {} bytes, the most is {bytes_max}", scan.length);
                    return Ok(Some(self.broken(scan.line, &reason, scan.bytes)));
                }
                Step::Closed => return Ok(Some(Piece::Record { line: scan.line, bytes: scan.bytes })),
            }
        }
    }

    /// Takes what is no object: the rest of the line, or of the element of an array. At least one byte.
    fn something_else(&mut self) -> io::Result<Piece> {
        let line = self.line;
        let in_array = matches!(self.place, Place::Array { .. });
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek()? {
            if byte == b'\n' || (in_array && matches!(byte, b',' | b']')) {
                break;
            }
            self.bump();
            if bytes.len() <= super::SHOWN_BYTES_MAX {
                bytes.push(byte);
            }
        }
        Ok(self.broken(line, "not a JSON object", bytes))
    }

    fn broken(&self, line: u64, reason: &str, mut bytes: Vec<u8>) -> Piece {
        bytes.truncate(super::SHOWN_BYTES_MAX + 1);
        Piece::Broken { line, reason: reason.to_owned(), bytes }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.at == self.chunk_bytes {
            match self.reader.read(&mut self.chunk) {
                Ok(0) => return Ok(None),
                Ok(read) => (self.at, self.chunk_bytes) = (0, read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(self.chunk[self.at]))
    }

    /// Takes the byte that was peeked, and counts lines.
    fn bump(&mut self) {
        let byte = self.chunk[self.at];
        self.at += 1;
        if byte == b'\n' {
            self.finish_line();
            self.line += 1;
            self.at_line_start = true;
        } else {
            self.at_line_start = false;
            self.line_has_bytes = true;
            self.line_has_text |= !byte.is_ascii_whitespace();
        }
    }

    fn finish_line(&mut self) {
        self.lines += 1;
        self.blank += u64::from(!self.line_has_text);
        self.line_has_text = false;
        self.line_has_bytes = false;
    }

    /// Counts a last line that has no line feed. Nothing is read after it.
    fn finish_file(&mut self) {
        if self.line_has_bytes {
            self.finish_line();
        }
    }
}

enum Step {
    Inside,
    /// The last bracket was closed.
    Closed,
    LineFeedInString,
}

/// Follows strings and brackets of one object.
struct Scan {
    line: u64,
    /// Most bytes that are held.
    bytes_max: usize,
    bytes: Vec<u8>,
    length: u64,
    /// `bytes` is not all of it.
    overflowed: bool,
    /// Members are forgotten one by one.
    forgetful: bool,
    depth: u64,
    in_string: bool,
    escaped: bool,
    last_significant: u8,
    string_start: usize,
    /// The last string and the last key of the object itself, as positions in `bytes`.
    last_string: Option<(usize, usize)>,
    last_key: Option<(usize, usize)>,
}

impl Scan {
    fn new(line: u64, rest_of_wrapper: bool, bytes_max: usize) -> Scan {
        Scan {
            line,
            bytes_max,
            bytes: Vec::new(),
            length: 0,
            overflowed: false,
            forgetful: rest_of_wrapper,
            depth: u64::from(rest_of_wrapper),
            in_string: false,
            escaped: false,
            last_significant: b']',
            string_start: 0,
            last_string: None,
            last_key: None,
        }
    }

    /// The name of the member whose value comes next.
    fn key(&self) -> Option<&[u8]> {
        let awaits_value = self.depth == 1 && !self.in_string && self.last_significant == b':' && !self.overflowed;
        let (start, end) = self.last_key.filter(|_| awaits_value)?;
        Some(&self.bytes[start..end])
    }

    fn cannot_go_on_with_object(&self) -> bool {
        self.depth > 0 && !self.in_string && !matches!(self.last_significant, b':' | b'[' | b',')
    }

    fn push(&mut self, byte: u8) -> Step {
        self.length += 1;
        if self.bytes.len() < self.bytes_max {
            self.bytes.push(byte);
        } else {
            self.overflowed = true;
        }
        if self.in_string {
            return self.push_in_string(byte);
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return Step::Inside,
            b'"' => {
                self.in_string = true;
                self.string_start = self.bytes.len();
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            b':' if self.depth == 1 => self.last_key = self.last_string.take(),
            b',' if self.depth == 1 && self.forgetful => {
                self.bytes.clear();
                self.overflowed = false;
                (self.last_string, self.last_key) = (None, None);
            }
            _ => {}
        }
        self.last_significant = byte;
        if self.depth == 0 { Step::Closed } else { Step::Inside }
    }

    fn push_in_string(&mut self, byte: u8) -> Step {
        if self.escaped {
            self.escaped = false;
            return if byte == b'\n' { Step::LineFeedInString } else { Step::Inside };
        }
        match byte {
            b'\\' => self.escaped = true,
            b'\n' => return Step::LineFeedInString,
            b'"' => {
                self.in_string = false;
                self.last_significant = byte;
                if self.depth == 1 {
                    self.last_string =
                        Some((self.string_start, self.bytes.len().saturating_sub(1).max(self.string_start)));
                }
            }
            _ => {}
        }
        Step::Inside
    }
}
