//! What replay files and span files have in common: packed blocks with checksums, and small numbers.
//!
//! ```text
//! block: magic 4 · unpacked length u32 · packed length u32 · CRC-32C of the packed bytes u32 · CRC-32C of these 16 bytes u32
//!        then the packed bytes (zstd)
//! ```
//!
//! Little-endian.

use crate::ranged::FileError;

/// Bytes before a block's packed bytes.
pub(crate) const BLOCK_HEAD_BYTES: usize = 20;
/// No block unpacks to more: a key frame of the largest screen in the most colours stays well below.
pub(crate) const BLOCK_BYTES_MAX: usize = 256 << 20;
const LEVEL: i32 = 1;

pub(crate) fn pack(magic: [u8; 4], bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    if bytes.len() > BLOCK_BYTES_MAX {
        return Err(std::io::Error::other("a block is over its limit"));
    }
    let packed = zstd::bulk::compress(bytes, LEVEL)?;
    let mut block = Vec::with_capacity(BLOCK_HEAD_BYTES + packed.len());
    block.extend(magic);
    block.extend((bytes.len() as u32).to_le_bytes());
    block.extend((packed.len() as u32).to_le_bytes());
    block.extend(crc32c::crc32c(&packed).to_le_bytes());
    block.extend(crc32c::crc32c(&block).to_le_bytes());
    block.extend(packed);
    Ok(block)
}

pub(crate) struct BlockHead {
    pub(crate) unpacked: usize,
    pub(crate) packed: usize,
    crc: u32,
}

impl BlockHead {
    /// `offset` is where it was read, for the error.
    pub(crate) fn read(magic: [u8; 4], head: &[u8], offset: u64) -> Result<BlockHead, FileError> {
        let head: &[u8; BLOCK_HEAD_BYTES] =
            head.first_chunk().ok_or(FileError::damaged(offset, "a block that is cut short"))?;
        let number = |at: usize| u32_at(head, at);
        if head[..4] != magic {
            return Err(FileError::damaged(offset, "no block begins here"));
        }
        if number(16) != crc32c::crc32c(&head[..16]) {
            return Err(FileError::damaged(offset, "a block's head does not match its checksum"));
        }
        let (unpacked, packed) = (number(4) as usize, number(8) as usize);
        if unpacked > BLOCK_BYTES_MAX || packed > BLOCK_BYTES_MAX {
            return Err(FileError::damaged(offset, "a block is over its limit"));
        }
        Ok(BlockHead { unpacked, packed, crc: number(12) })
    }

    pub(crate) fn unpack(&self, packed: &[u8], offset: u64) -> Result<Vec<u8>, FileError> {
        if packed.len() != self.packed {
            return Err(FileError::damaged(offset, "a block has not the length that it says"));
        }
        if crc32c::crc32c(packed) != self.crc {
            return Err(FileError::damaged(offset, "a block does not match its checksum"));
        }
        let wrong = |_| FileError::damaged(offset, "a block cannot be unpacked");
        // The length is not trusted with memory: zstd grows the buffer as bytes come, up to it.
        let mut bytes = Vec::new();
        let reader = zstd::stream::read::Decoder::with_buffer(packed).map_err(wrong)?;
        let mut limited = std::io::Read::take(reader, self.unpacked as u64 + 1);
        std::io::Read::read_to_end(&mut limited, &mut bytes).map_err(wrong)?;
        if bytes.len() != self.unpacked {
            return Err(FileError::damaged(offset, "a block unpacks to another length than it says"));
        }
        Ok(bytes)
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// LEB128.
pub(crate) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(crate) fn put_bytes(bytes: &mut Vec<u8>, piece: &[u8]) {
    put_number(bytes, piece.len() as u64);
    bytes.extend_from_slice(piece);
}

/// Reads what the `put` functions wrote; `None` where it is not that.
pub(crate) struct Parts<'a>(pub(crate) &'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (piece, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(piece)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}
