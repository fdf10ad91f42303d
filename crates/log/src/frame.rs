//! The two shapes every file here is made of: a file header, and frames after it.
//!
//! ```text
//! file header, 32 bytes                        frame header, 32 bytes
//!  0  8  magic, says what the file is           0  4  magic, says what the frame is
//!  8  4  format version, 1                      4  8  number, rises by 1 from frame to frame
//! 12  8  number of the file                    12  4  length of the payload
//! 20  8  extra, meaning depends on the file    20  4  CRC-32C of the payload          16  4  count
//! 28  4  CRC-32C of bytes 0..28                24  4  zero                            28  4  CRC-32C of bytes 0..28
//! ```
//!
//! All integers are big-endian. Two check values tell an append that a crash cut short ([`Tail::Torn`]) from bytes that
//! changed later ([`Damage`]): a torn append lacks bytes at its end, or has sectors that were never written.

use std::io;

use crate::store::File;

/// Length of a file header, and of a frame header.
pub(crate) const HEADER_BYTES: usize = 32;

/// The version of every file written by this crate.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// The first 32 bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub magic: [u8; 8],
    pub number: u64,
    pub extra: u64,
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&self.magic);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.extra.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Checks everything but the number; the error says what is wrong.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], magic: &[u8; 8]) -> Result<FileHeader, &'static str> {
        if u32_at(bytes, 28) != crc32c::crc32c(&bytes[..28]) {
            return Err("the file header does not check");
        }
        if &bytes[0..8] != magic {
            return Err("the file is of another kind");
        }
        if u32_at(bytes, 8) != FORMAT_VERSION {
            return Err("the file is of an unknown format version");
        }
        Ok(FileHeader { magic: *magic, number: u64_at(bytes, 12), extra: u64_at(bytes, 20) })
    }
}

/// The first 32 bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub magic: [u8; 4],
    pub number: u64,
    pub payload_bytes: u32,
    pub count: u32,
    pub payload_crc: u32,
}

impl FrameHeader {
    /// The header for this payload.
    pub(crate) fn of(magic: [u8; 4], number: u64, count: u32, payload: &[u8]) -> FrameHeader {
        let payload_bytes = u32::try_from(payload.len()).expect("payloads are limited far below 4 GiB");
        FrameHeader { magic, number, payload_bytes, count, payload_crc: crc32c::crc32c(payload) }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.magic);
        bytes[4..12].copy_from_slice(&self.number.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.payload_bytes.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.count.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.payload_crc.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// None if the bytes are no frame header of this kind.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], magic: [u8; 4]) -> Option<FrameHeader> {
        let checks =
            bytes[0..4] == magic && u32_at(bytes, 28) == crc32c::crc32c(&bytes[..28]) && u32_at(bytes, 24) == 0;
        checks.then(|| FrameHeader {
            magic,
            number: u64_at(bytes, 4),
            payload_bytes: u32_at(bytes, 12),
            count: u32_at(bytes, 16),
            payload_crc: u32_at(bytes, 20),
        })
    }
}

/// A frame found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub header: FrameHeader,
    /// Where the frame header is.
    pub offset: u64,
    /// The payload is what the header says it is.
    pub checks: bool,
}

impl Frame {
    /// Where the payload is.
    pub(crate) fn payload_offset(&self) -> u64 {
        self.offset + HEADER_BYTES as u64
    }

    /// Where the next frame is.
    pub(crate) fn end(&self) -> u64 {
        self.payload_offset() + u64::from(self.header.payload_bytes)
    }
}

/// Bytes that are neither a frame nor a torn append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where it starts.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
}

/// How a file of frames ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With the last frame.
    Clean,
    /// With an append that was cut short; it starts here. Nothing after it may be trusted.
    Torn(u64),
    /// With a frame that does not check, or bytes that are no frame, from here; nothing readable follows.
    Damaged(u64),
}

/// All that a scan found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Damage found, in order of offsets.
    pub damage: Vec<Damage>,
    /// Where the last frame that checks ends: the place to append at if the tail may be dropped.
    pub end: u64,
    /// Number of the next frame after the last one that checks.
    pub next_number: u64,
    /// How the file ends.
    pub tail: Tail,
}

/// Reads the frames of a file from `start` on and hands each to `found` with its payload, also those that do not check.
///
/// Memory is that of the largest frame. `first_number` is the expected number of the first frame.
pub(crate) fn scan(
    file: &dyn File,
    start: u64,
    magic: [u8; 4],
    first_number: u64,
    mut found: impl FnMut(&Frame, Vec<u8>),
) -> io::Result<Scan> {
    let len = file.len()?;
    let mut scan = Scan { damage: Vec::new(), end: start, next_number: first_number, tail: Tail::Clean };
    let mut at = start;
    let mut expected = first_number;
    while at < len {
        if len - at < HEADER_BYTES as u64 {
            scan.tail = Tail::Torn(at);
            return Ok(scan);
        }
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, at)?;
        let Some(header) = FrameHeader::decode(&bytes, magic) else {
            match next_frame(file, at + 1, len, magic, expected)? {
                Some(next) => {
                    scan.damage.push(Damage { offset: at, what: "a frame header does not check" });
                    at = next;
                    continue;
                }
                None if is_torn(file, at, len)? => scan.tail = Tail::Torn(at),
                None => {
                    scan.damage.push(Damage { offset: at, what: "a frame header does not check" });
                    scan.tail = Tail::Damaged(at);
                }
            }
            return Ok(scan);
        };
        let mut frame = Frame { header, offset: at, checks: false };
        if frame.end() > len {
            scan.tail = Tail::Torn(at);
            return Ok(scan);
        }
        let mut payload = vec![0; header.payload_bytes as usize];
        file.read_exact_at(&mut payload, frame.payload_offset())?;
        frame.checks = crc32c::crc32c(&payload) == header.payload_crc;
        if !frame.checks {
            // The payload begins in the sector where its header ends, which was written.
            let to_boundary = SECTOR_BYTES - frame.payload_offset() as usize % SECTOR_BYTES;
            let later = to_boundary % SECTOR_BYTES;
            let rest = payload.get(later..).unwrap_or_default();
            if frame.end() == len && has_unwritten_sector(frame.payload_offset() + later as u64, rest) {
                scan.tail = Tail::Torn(at);
                return Ok(scan);
            }
            scan.damage.push(Damage { offset: at, what: "a frame's payload does not check" });
        } else if header.number != expected {
            scan.damage.push(Damage { offset: at, what: "a frame's number does not follow the one before" });
        }
        found(&frame, payload);
        at = frame.end();
        expected = header.number + 1;
        if frame.checks {
            scan.end = at;
            scan.next_number = expected;
            scan.tail = Tail::Clean;
        } else {
            scan.tail = Tail::Damaged(frame.offset);
        }
    }
    Ok(scan)
}

/// The next place where a frame header checks whose number is at least `number_min`.
fn next_frame(file: &dyn File, from: u64, len: u64, magic: [u8; 4], number_min: u64) -> io::Result<Option<u64>> {
    const WINDOW_BYTES: usize = 1 << 16;
    let mut start = from;
    while start + HEADER_BYTES as u64 <= len {
        let window = WINDOW_BYTES.min((len - start) as usize);
        let mut bytes = vec![0; window];
        file.read_exact_at(&mut bytes, start)?;
        for (place, header) in bytes.windows(HEADER_BYTES).enumerate() {
            if header[0..4] != magic {
                continue;
            }
            let header: &[u8; HEADER_BYTES] = header.try_into().expect("a window has this length");
            if FrameHeader::decode(header, magic).is_some_and(|found| found.number >= number_min) {
                return Ok(Some(start + place as u64));
            }
        }
        start += (window - HEADER_BYTES + 1) as u64;
    }
    Ok(None)
}

/// Whether what stands from `at` to the end can be an append of which some sectors were never written.
fn is_torn(file: &dyn File, at: u64, len: u64) -> io::Result<bool> {
    const WINDOW_BYTES: u64 = 1 << 16;
    let mut start = at;
    while start < len {
        // Windows end where sectors do, so that only the last one ends within a sector.
        let end = ((start + WINDOW_BYTES) / SECTOR_BYTES as u64 * SECTOR_BYTES as u64).min(len);
        let mut bytes = vec![0; (end - start) as usize];
        file.read_exact_at(&mut bytes, start)?;
        if has_unwritten_sector(start, &bytes) {
            return Ok(true);
        }
        start = end;
    }
    Ok(false)
}

/// Whether a sector of the file, as far as it lies within these bytes, is all zeros.
///
/// Even one byte counts at either end: a frame starts with its magic, and ends with a hash or a text, not with zeros.
fn has_unwritten_sector(offset: u64, bytes: &[u8]) -> bool {
    let to_boundary = (SECTOR_BYTES - (offset as usize % SECTOR_BYTES)) % SECTOR_BYTES;
    let (head, rest) = bytes.split_at(to_boundary.min(bytes.len()));
    let unwritten = |part: &[u8]| !part.is_empty() && part.iter().all(|&b| b == 0);
    unwritten(head) || rest.chunks(SECTOR_BYTES).any(unwritten)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::memory::MemoryStore;

    const MAGIC: [u8; 4] = *b"test";

    fn file_of(payloads: &[&[u8]]) -> (MemoryStore, Vec<u8>) {
        let mut bytes = Vec::new();
        for (number, payload) in payloads.iter().enumerate() {
            bytes.extend(FrameHeader::of(MAGIC, number as u64, 7, payload).encode());
            bytes.extend_from_slice(payload);
        }
        (MemoryStore::new(), bytes)
    }

    fn scan_of(store: &MemoryStore, bytes: &[u8]) -> (Scan, Vec<(u64, bool)>) {
        let _ = store.remove("f");
        let file = store.create("f").unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let mut found = Vec::new();
        let scan = scan(&*file, 0, MAGIC, 0, |frame, _| found.push((frame.header.number, frame.checks))).unwrap();
        (scan, found)
    }

    #[test]
    fn whole_frames_are_found_in_order() {
        let (store, bytes) = file_of(&[b"one", b"", b"three"]);
        let (scan, found) = scan_of(&store, &bytes);
        assert_eq!(found, [(0, true), (1, true), (2, true)]);
        assert_eq!((scan.tail, scan.end, scan.next_number), (Tail::Clean, bytes.len() as u64, 3));
        assert!(scan.damage.is_empty());
    }

    #[test]
    fn a_cut_at_any_byte_of_the_last_frame_is_torn_and_never_damage() {
        let (store, bytes) = file_of(&[b"one", &[9; 700]]);
        let start = 32 + 3;
        for len in start + 1..bytes.len() {
            let (scan, found) = scan_of(&store, &bytes[..len]);
            assert_eq!((scan.tail, found.len()), (Tail::Torn(start as u64), 1), "cut at {len}");
            assert!(scan.damage.is_empty());
        }
    }

    #[test]
    fn a_last_frame_with_an_unwritten_sector_is_torn() {
        let (store, bytes) = file_of(&[b"one", &[9; 2000]]);
        for sector in 0..4 {
            let mut bytes = bytes.clone();
            let (from, to) = ((sector * 512).max(35), (sector + 1) * 512);
            let to = to.min(bytes.len());
            bytes[from..to].fill(0);
            let (scan, _) = scan_of(&store, &bytes);
            assert_eq!(scan.tail, Tail::Torn(35), "sector {sector}");
        }
    }

    #[test]
    fn every_flipped_bit_is_damage_and_later_frames_are_still_found() {
        let (store, bytes) = file_of(&[b"one", b"two", b"three"]);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let (scan, found) = scan_of(&store, &bytes);
                assert!(!scan.damage.is_empty(), "byte {at} bit {bit}");
                if at < 35 {
                    assert_eq!(found.last(), Some(&(2, true)), "byte {at} bit {bit}");
                }
            }
        }
    }
}
