//! The sealed form of one commit file: two immutable files, `.bodies` and `.leaves`.
//!
//! The entries of a commit file are sorted by log and index, so that each log's entries stand together; an entry's place
//! in that order is its *ordinal*. A *run* is what a segment holds of one log: consecutive indexes, consecutive ordinals.
//!
//! ```text
//! .bodies   file header · blocks (frames) · directory: runs, then 16 bytes per block · footer
//! .leaves   file header · per run: leaf hashes, then tile roots of level 1, 2, … completed in it · per run: frontier after
//!           it · directory: the same runs, then 4 bytes per 64 KiB of what precedes the directory (CRC-32C) · footer
//!
//! block     frame; number = first ordinal, count = entries; payload = 4 raw length · count × 16 salts · zstd frame
//! raw       count × kind · count × state · LEB128 zigzag time differences · LEB128 body lengths · count × 16 ids · bodies
//!           state 1, erased: salt zeros, length as it was, in place of the body 32 commitment · 8 index of the erasure note
//! run       16 log id · 8 first index · 4 count · 4 first ordinal · 8 last time · 8 offset of leaves · 8 offset of frontier
//! footer    8 magic · 4 version · 8 number · 4 entries · 4 runs · 4 blocks or chunks · 8 offset and 8 length of the
//!           directory · 4 CRC-32C of it · 8 zero · 4 CRC-32C of the footer before
//! ```
//!
//! The leaf hashes are in a file of their own because they are evidence about the bodies (`specs/proofs.md` §3).

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use tlog::Hash;
use tlog::entry::Kind;

use crate::frame::{FORMAT_VERSION, FileHeader, FrameHeader, HEADER_BYTES, u32_at, u64_at};
use crate::group::Fields;
use crate::id::LogId;
use crate::model::BodyState;
use crate::store::File;

pub(crate) const BODIES_MAGIC: [u8; 8] = *b"cfbodies";
pub(crate) const LEAVES_MAGIC: [u8; 8] = *b"cfleaves";
pub(crate) const BLOCK_MAGIC: [u8; 4] = *b"cfBK";
const BODIES_FOOTER_MAGIC: [u8; 8] = *b"cfbodEnd";
const LEAVES_FOOTER_MAGIC: [u8; 8] = *b"cfleaEnd";

const FOOTER_BYTES: usize = 64;
const RUN_BYTES: usize = 56;
const BLOCK_ROW_BYTES: usize = 16;

/// Bytes of a `.leaves` file that share a check value.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

const STATE_PRESENT: u8 = 0;
/// The body is gone by order; in its place stand its commitment and the index of the erasure note.
const STATE_ERASED: u8 = 1;

/// What remains of an erased body for the leaf.
const COMMITMENT_BYTES: usize = 32;

/// What stands in the place of an erased body.
const ERASED_BYTES: usize = COMMITMENT_BYTES + 8;

/// No block decompresses to more than this; a larger claim is damage.
const RAW_BYTES_MAX: usize = 64 << 20;

/// Leaves of a tile, as a shift.
pub(crate) const TILE_BITS: u32 = 8;

/// One log's part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub log: LogId,
    pub first: u64,
    pub count: u32,
    pub ordinal: u32,
    pub last_us: u64,
    pub leaves_at: u64,
    pub frontier_at: u64,
}

impl Run {
    /// Size of the log after this run.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Offset of the stored hashes of a tile level, and the index of the first of them and the one past the last.
    /// Level 0 is the leaves.
    pub(crate) fn hashes_at(&self, tile_level: u32) -> (u64, u64, u64) {
        hashes_at(self.leaves_at, self.first, self.end(), tile_level)
    }
}

/// Where the hashes of a tile level lie, for leaves `first..end` whose hashes start at `leaves_at`.
pub(crate) fn hashes_at(leaves_at: u64, first: u64, end: u64, tile_level: u32) -> (u64, u64, u64) {
    let completed = |level: u32| (first >> (TILE_BITS * level), end >> (TILE_BITS * level));
    let below: u64 = (0..tile_level).map(|level| completed(level).1 - completed(level).0).sum();
    let (from, to) = completed(tile_level);
    (leaves_at + 32 * below, from, to)
}

/// What stands at the end of either file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    pub number: u64,
    pub entries: u32,
    pub runs: u32,
    /// Blocks, or chunks.
    pub parts: u32,
    pub directory_at: u64,
    pub directory_bytes: u64,
    pub directory_crc: u32,
}

impl Footer {
    fn encode(&self, magic: [u8; 8]) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[0..8].copy_from_slice(&magic);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.entries.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.runs.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.parts.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.directory_at.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.directory_bytes.to_be_bytes());
        bytes[48..52].copy_from_slice(&self.directory_crc.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; FOOTER_BYTES], magic: [u8; 8]) -> Option<Footer> {
        let checks = u32_at(bytes, 60) == crc32c::crc32c(&bytes[..60])
            && bytes[0..8] == magic
            && u32_at(bytes, 8) == FORMAT_VERSION
            && bytes[52..60] == [0; 8];
        checks.then(|| Footer {
            number: u64_at(bytes, 12),
            entries: u32_at(bytes, 20),
            runs: u32_at(bytes, 24),
            parts: u32_at(bytes, 28),
            directory_at: u64_at(bytes, 32),
            directory_bytes: u64_at(bytes, 40),
            directory_crc: u32_at(bytes, 48),
        })
    }
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    Bodies,
    Leaves,
}

impl Part {
    fn magics(self) -> ([u8; 8], [u8; 8]) {
        match self {
            Part::Bodies => (BODIES_MAGIC, BODIES_FOOTER_MAGIC),
            Part::Leaves => (LEAVES_MAGIC, LEAVES_FOOTER_MAGIC),
        }
    }

    fn part_row_bytes(self) -> u64 {
        match self {
            Part::Bodies => BLOCK_ROW_BYTES as u64,
            Part::Leaves => 4,
        }
    }

    /// Path of a segment's file.
    pub(crate) fn path(self, number: u64) -> String {
        match self {
            Part::Bodies => format!("segment/{number:010}.bodies"),
            Part::Leaves => format!("segment/{number:010}.leaves"),
        }
    }
}

/// What either file says of itself, all of it checked.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    pub footer: Footer,
    pub runs: Vec<Run>,
    /// The rows after the runs.
    pub parts: Vec<u8>,
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads header, footer and directory.
///
/// # Errors
/// `InvalidData` says what does not check.
pub(crate) fn read_directory(file: &dyn File, part: Part, number: u64) -> io::Result<Directory> {
    let (magic, footer_magic) = part.magics();
    let len = file.len()?;
    if len < (HEADER_BYTES + FOOTER_BYTES) as u64 {
        return Err(damaged("the file is too short"));
    }
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0)?;
    let header = FileHeader::decode(&header, &magic).map_err(damaged)?;
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact_at(&mut footer, len - FOOTER_BYTES as u64)?;
    let footer = Footer::decode(&footer, footer_magic).ok_or_else(|| damaged("the footer does not check"))?;
    if header.number != number || footer.number != number || header.extra != u64::from(footer.entries) {
        return Err(damaged("the file belongs elsewhere"));
    }
    let rows_bytes = u64::from(footer.runs) * RUN_BYTES as u64 + u64::from(footer.parts) * part.part_row_bytes();
    let directory_end = footer.directory_at.checked_add(footer.directory_bytes);
    if footer.directory_bytes != rows_bytes || directory_end != Some(len - FOOTER_BYTES as u64) {
        return Err(damaged("the directory does not fit the file"));
    }
    let mut bytes = vec![0; rows_bytes as usize];
    file.read_exact_at(&mut bytes, footer.directory_at)?;
    if crc32c::crc32c(&bytes) != footer.directory_crc {
        return Err(damaged("the directory does not check"));
    }
    let parts = bytes.split_off(footer.runs as usize * RUN_BYTES);
    let runs: Vec<Run> = bytes.chunks_exact(RUN_BYTES).map(decode_run).collect();
    check_runs(&runs, footer.entries)?;
    Ok(Directory { footer, runs, parts })
}

fn check_runs(runs: &[Run], entries: u32) -> io::Result<()> {
    let mut ordinal: u64 = 0;
    for run in runs {
        let fits = run.first.checked_add(u64::from(run.count)).is_some_and(|end| end <= tlog::TREE_SIZE_MAX);
        if u64::from(run.ordinal) != ordinal || run.count == 0 || !fits {
            return Err(damaged("the runs do not add up"));
        }
        ordinal += u64::from(run.count);
    }
    if ordinal != u64::from(entries) || !runs.windows(2).all(|pair| pair[0].log < pair[1].log) {
        return Err(damaged("the runs do not add up"));
    }
    Ok(())
}

fn encode_run(run: &Run, out: &mut Vec<u8>) {
    out.extend(run.log.0);
    out.extend(run.first.to_be_bytes());
    out.extend(run.count.to_be_bytes());
    out.extend(run.ordinal.to_be_bytes());
    out.extend(run.last_us.to_be_bytes());
    out.extend(run.leaves_at.to_be_bytes());
    out.extend(run.frontier_at.to_be_bytes());
}

fn decode_run(bytes: &[u8]) -> Run {
    Run {
        log: LogId(bytes[0..16].try_into().expect("sixteen bytes")),
        first: u64_at(bytes, 16),
        count: u32_at(bytes, 24),
        ordinal: u32_at(bytes, 28),
        last_us: u64_at(bytes, 32),
        leaves_at: u64_at(bytes, 40),
        frontier_at: u64_at(bytes, 48),
    }
}

/// Where the blocks of a `.bodies` file are.
#[derive(Debug)]
pub(crate) struct BlockIndex {
    rows: Vec<BlockRow>,
}

/// Where one block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockRow {
    pub offset: u64,
    pub first_ordinal: u32,
    /// Of the whole frame.
    pub bytes: u32,
}

impl BlockIndex {
    pub(crate) fn decode(parts: &[u8]) -> BlockIndex {
        let row = |bytes: &[u8]| BlockRow {
            offset: u64_at(bytes, 0),
            first_ordinal: u32_at(bytes, 8),
            bytes: u32_at(bytes, 12),
        };
        BlockIndex { rows: parts.chunks_exact(BLOCK_ROW_BYTES).map(row).collect() }
    }

    /// Position of the block that holds this ordinal.
    pub(crate) fn find(&self, ordinal: u32) -> Option<usize> {
        self.rows.partition_point(|row| row.first_ordinal <= ordinal).checked_sub(1)
    }

    pub(crate) fn rows(&self) -> &[BlockRow] {
        &self.rows
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.rows.len() * size_of::<BlockRow>()
    }
}

/// A decompressed block.
#[derive(Debug)]
pub(crate) struct Block {
    pub first_ordinal: u32,
    pub raw: Arc<Vec<u8>>,
    pub rows: Vec<Row>,
}

/// One record of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub kind: Kind,
    pub received_at_us: u64,
    pub id: [u8; 16],
    pub salt: [u8; 16],
    pub body_at: u32,
    /// Of the body, or of the commitment that remains of an erased one.
    pub body_bytes: u32,
    pub state: BodyState,
}

/// A record to be put into a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRow<'a> {
    pub kind: Kind,
    pub received_at_us: u64,
    pub id: &'a [u8; 16],
    pub salt: &'a [u8; 16],
    /// The body, or the commitment of an erased one.
    pub body: &'a [u8],
    pub state: BodyState,
}

impl Block {
    pub(crate) fn body(&self, row: &Row) -> &[u8] {
        &self.raw[row.body_at as usize..(row.body_at + row.body_bytes) as usize]
    }

    /// The record of a row as it goes into another block.
    pub(crate) fn record<'a>(&'a self, row: &'a Row) -> NewRow<'a> {
        NewRow {
            kind: row.kind,
            received_at_us: row.received_at_us,
            id: &row.id,
            salt: &row.salt,
            body: self.body(row),
            state: row.state,
        }
    }

    /// The fields of a row's record, which is at this index of its log.
    pub(crate) fn fields<'a>(&'a self, row: &'a Row, index: u64) -> Fields<'a> {
        Fields {
            kind: row.kind,
            index,
            received_at_us: row.received_at_us,
            id: row.id,
            salt: &row.salt,
            body: self.body(row),
            state: row.state,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.raw.len() + self.rows.len() * size_of::<Row>() + 64
    }
}

/// Reads a block.
///
/// # Errors
/// `InvalidData` says what does not check.
pub(crate) fn read_block(file: &dyn File, row: &BlockRow) -> io::Result<Block> {
    let len = file.len()?;
    if row.offset.checked_add(u64::from(row.bytes)).is_none_or(|end| end > len) || (row.bytes as usize) < HEADER_BYTES {
        return Err(damaged("a block does not fit the file"));
    }
    let mut bytes = vec![0; row.bytes as usize];
    file.read_exact_at(&mut bytes, row.offset)?;
    let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>().expect("the length was checked");
    let header = FrameHeader::decode(header, BLOCK_MAGIC).ok_or_else(|| damaged("a block's header does not check"))?;
    if header.payload_bytes as usize != payload.len() || header.number != u64::from(row.first_ordinal) {
        return Err(damaged("a block is not where the directory says"));
    }
    if crc32c::crc32c(payload) != header.payload_crc {
        return Err(damaged("a block's payload does not check"));
    }
    decode_block(payload, header.count, row.first_ordinal).map_err(damaged)
}

/// Decodes a block's payload, whether it was checked or not: never panics.
pub(crate) fn decode_block(payload: &[u8], count: u32, first_ordinal: u32) -> Result<Block, &'static str> {
    let count = count as usize;
    if payload.len() < 4 + 16 * count {
        return Err("a block is too short for its salts");
    }
    let raw_bytes = u32_at(payload, 0) as usize;
    if raw_bytes > RAW_BYTES_MAX {
        return Err("a block claims too many bytes");
    }
    let (salts, compressed) = payload[4..].split_at(16 * count);
    let raw = decompress(compressed, raw_bytes).map_err(|_| "a block does not decompress")?;
    if raw.len() != raw_bytes {
        return Err("a block decompresses to another length");
    }
    let mut at = 2 * count;
    if raw.len() < at || raw[count..at].iter().any(|&state| state > STATE_ERASED) {
        return Err("a block's columns do not fit");
    }
    let mut times = Vec::with_capacity(count);
    let mut time: u64 = 0;
    for _ in 0..count {
        let difference = read_varint(&raw, &mut at).ok_or("a block's times do not fit")?;
        time = time.wrapping_add(((difference >> 1) ^ (difference & 1).wrapping_neg()) as i64 as u64);
        times.push(time);
    }
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        let length = read_varint(&raw, &mut at).ok_or("a block's lengths do not fit")?;
        lengths.push(u32::try_from(length).map_err(|_| "a body is too long")?);
    }
    let ids_at = at;
    let mut body_at = ids_at + 16 * count;
    let mut rows = Vec::with_capacity(count);
    for i in 0..count {
        let id_at = ids_at + 16 * i;
        let erased = raw[count + i] == STATE_ERASED;
        let body_end = body_at + if erased { ERASED_BYTES } else { lengths[i] as usize };
        if body_end > raw.len() {
            return Err("a body does not fit its block");
        }
        let kind = Kind::from_byte(raw[i]).ok_or("a record is of an unknown kind")?;
        let (body_bytes, state) = if erased {
            if !kind.is_committed(lengths[i] as usize) {
                return Err("a record that cannot be erased is marked as erased");
            }
            let note_index = u64_at(&raw, body_at + COMMITMENT_BYTES);
            (COMMITMENT_BYTES as u32, BodyState::Erased { body_bytes: lengths[i], note_index })
        } else {
            (lengths[i], BodyState::Present)
        };
        rows.push(Row {
            kind,
            received_at_us: times[i],
            id: raw[id_at..id_at + 16].try_into().expect("sixteen bytes"),
            salt: salts[16 * i..16 * i + 16].try_into().expect("sixteen bytes"),
            body_at: body_at as u32,
            body_bytes,
            state,
        });
        body_at = body_end;
    }
    if body_at != raw.len() {
        return Err("a block has bytes after its last body");
    }
    Ok(Block { first_ordinal, raw: Arc::new(raw), rows })
}

fn decompress(compressed: &[u8], raw_bytes: usize) -> io::Result<Vec<u8>> {
    thread_local! {
        // A decompression context is large; each thread makes one.
        static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(zstd::bulk::Decompressor::new()?),
        };
        context.decompress(compressed, raw_bytes)
    })
}

/// Collects records into blocks.
pub(crate) struct BlockBuilder {
    compressor: zstd::bulk::Compressor<'static>,
    block_bytes: usize,
    first_ordinal: u32,
    rows: Vec<(Kind, u64, [u8; 16])>,
    states: Vec<u8>,
    salts: Vec<u8>,
    lengths: Vec<u32>,
    bodies: Vec<u8>,
}

impl BlockBuilder {
    pub(crate) fn new(block_bytes: usize, zstd_level: i32) -> io::Result<BlockBuilder> {
        Ok(BlockBuilder {
            compressor: zstd::bulk::Compressor::new(zstd_level)?,
            block_bytes,
            first_ordinal: 0,
            rows: Vec::new(),
            states: Vec::new(),
            salts: Vec::new(),
            lengths: Vec::new(),
            bodies: Vec::new(),
        })
    }

    /// Takes the next record; answers with a whole block (frame header and payload) when one is full.
    pub(crate) fn push(&mut self, record: NewRow<'_>) -> io::Result<Option<(BlockRow, Vec<u8>)>> {
        let full = if !self.rows.is_empty() && self.bodies.len() + record.body.len() > self.block_bytes {
            self.finish()?
        } else {
            None
        };
        self.rows.push((record.kind, record.received_at_us, *record.id));
        self.salts.extend(record.salt);
        self.bodies.extend_from_slice(record.body);
        match record.state {
            BodyState::Present => {
                self.states.push(STATE_PRESENT);
                self.lengths.push(record.body.len() as u32);
            }
            BodyState::Erased { body_bytes, note_index } => {
                assert_eq!(record.body.len(), COMMITMENT_BYTES, "of an erased body its commitment remains");
                self.states.push(STATE_ERASED);
                self.lengths.push(body_bytes);
                self.bodies.extend(note_index.to_be_bytes());
            }
        }
        Ok(full)
    }

    /// Gives out what was collected, if anything. The row's offset is left 0.
    pub(crate) fn finish(&mut self) -> io::Result<Option<(BlockRow, Vec<u8>)>> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let count = self.rows.len();
        let mut raw = Vec::with_capacity(self.bodies.len() + 32 * count);
        raw.extend(self.rows.iter().map(|(kind, _, _)| *kind as u8));
        raw.extend_from_slice(&self.states);
        let mut before: u64 = 0;
        for (_, time, _) in &self.rows {
            let difference = time.wrapping_sub(before) as i64;
            write_varint(((difference << 1) ^ (difference >> 63)) as u64, &mut raw);
            before = *time;
        }
        self.lengths.iter().for_each(|length| write_varint(u64::from(*length), &mut raw));
        self.rows.iter().for_each(|(_, _, id)| raw.extend(id));
        raw.extend_from_slice(&self.bodies);

        let mut payload = (raw.len() as u32).to_be_bytes().to_vec();
        payload.extend_from_slice(&self.salts);
        payload.extend(self.compressor.compress(&raw)?);
        let header = FrameHeader::of(BLOCK_MAGIC, u64::from(self.first_ordinal), count as u32, &payload);
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(&payload);

        let row = BlockRow { offset: 0, first_ordinal: self.first_ordinal, bytes: bytes.len() as u32 };
        self.first_ordinal += count as u32;
        self.rows.clear();
        self.states.clear();
        self.salts.clear();
        self.lengths.clear();
        self.bodies.clear();
        Ok(Some((row, bytes)))
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value: u64 = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends to a file in large writes.
pub(crate) struct FileWriter {
    file: Arc<dyn File>,
    written: u64,
    buffer: Vec<u8>,
}

impl FileWriter {
    const BUFFER_BYTES: usize = 1 << 20;

    pub(crate) fn new(file: Arc<dyn File>) -> FileWriter {
        FileWriter { file, written: 0, buffer: Vec::new() }
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FileWriter::BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left and syncs.
    pub(crate) fn finish(mut self) -> io::Result<Arc<dyn File>> {
        self.flush()?;
        self.file.sync_data()?;
        Ok(self.file)
    }
}

/// Writes a `.bodies` file from its header on.
pub(crate) struct BodiesWriter {
    out: FileWriter,
    number: u64,
    blocks: BlockBuilder,
    rows: Vec<BlockRow>,
}

impl BodiesWriter {
    pub(crate) fn new(
        file: Arc<dyn File>,
        number: u64,
        entries: u32,
        block_bytes: usize,
        zstd_level: i32,
    ) -> io::Result<BodiesWriter> {
        let mut out = FileWriter::new(file);
        out.write(&FileHeader { magic: BODIES_MAGIC, number, extra: u64::from(entries) }.encode())?;
        Ok(BodiesWriter { out, number, blocks: BlockBuilder::new(block_bytes, zstd_level)?, rows: Vec::new() })
    }

    pub(crate) fn push(&mut self, record: NewRow<'_>) -> io::Result<()> {
        let full = self.blocks.push(record)?;
        self.write_block(full)
    }

    fn write_block(&mut self, block: Option<(BlockRow, Vec<u8>)>) -> io::Result<()> {
        if let Some((row, bytes)) = block {
            self.rows.push(BlockRow { offset: self.out.position(), ..row });
            self.out.write(&bytes)?;
        }
        Ok(())
    }

    /// Leaves out the ordinals up to this one.
    pub(crate) fn skip_to(&mut self, ordinal: u32) -> io::Result<()> {
        let block = self.blocks.finish()?;
        self.write_block(block)?;
        self.blocks.first_ordinal = ordinal;
        Ok(())
    }

    /// Writes directory and footer, and syncs.
    pub(crate) fn finish(mut self, runs: &[Run]) -> io::Result<()> {
        let last = self.blocks.finish()?;
        self.write_block(last)?;
        let mut parts = Vec::with_capacity(self.rows.len() * BLOCK_ROW_BYTES);
        for row in &self.rows {
            parts.extend(row.offset.to_be_bytes());
            parts.extend(row.first_ordinal.to_be_bytes());
            parts.extend(row.bytes.to_be_bytes());
        }
        write_directory(self.out, Part::Bodies, self.number, runs, self.rows.len() as u32, &parts)
    }
}

/// One run for a `.leaves` file.
pub(crate) struct LeavesOfRun {
    pub log: LogId,
    pub first: u64,
    pub last_us: u64,
    pub leaves: Vec<Hash>,
    /// Tile roots completed by these leaves, from tile level 1 up.
    pub tiles: Vec<Vec<Hash>>,
    /// Peaks of the tree after the run, largest subtree first.
    pub frontier: Vec<Hash>,
}

/// Writes a `.leaves` file and syncs it; answers with the directory's runs. The runs come in order of log ids.
pub(crate) fn write_leaves(file: Arc<dyn File>, number: u64, runs: &[LeavesOfRun]) -> io::Result<Vec<Run>> {
    let entries: usize = runs.iter().map(|run| run.leaves.len()).sum();
    let mut data = FileHeader { magic: LEAVES_MAGIC, number, extra: entries as u64 }.encode().to_vec();
    let mut directory = Vec::with_capacity(runs.len());
    let mut ordinal = 0;
    for run in runs {
        directory.push(Run {
            log: run.log,
            first: run.first,
            count: run.leaves.len() as u32,
            ordinal,
            last_us: run.last_us,
            leaves_at: data.len() as u64,
            frontier_at: 0,
        });
        ordinal += run.leaves.len() as u32;
        for hash in run.leaves.iter().chain(run.tiles.iter().flatten()) {
            data.extend(hash.0);
        }
    }
    for (row, run) in directory.iter_mut().zip(runs) {
        row.frontier_at = data.len() as u64;
        run.frontier.iter().for_each(|hash| data.extend(hash.0));
    }
    let parts: Vec<u8> = data.chunks(CHUNK_BYTES).flat_map(|chunk| crc32c::crc32c(chunk).to_be_bytes()).collect();
    let mut out = FileWriter::new(file);
    out.write(&data)?;
    write_directory(out, Part::Leaves, number, &directory, (parts.len() / 4) as u32, &parts)?;
    Ok(directory)
}

fn write_directory(
    mut out: FileWriter,
    part: Part,
    number: u64,
    runs: &[Run],
    part_count: u32,
    parts: &[u8],
) -> io::Result<()> {
    let mut directory = Vec::with_capacity(runs.len() * RUN_BYTES + parts.len());
    runs.iter().for_each(|run| encode_run(run, &mut directory));
    directory.extend_from_slice(parts);
    let footer = Footer {
        number,
        entries: runs.iter().map(|run| run.count).sum(),
        runs: runs.len() as u32,
        parts: part_count,
        directory_at: out.position(),
        directory_bytes: directory.len() as u64,
        directory_crc: crc32c::crc32c(&directory),
    };
    out.write(&directory)?;
    out.write(&footer.encode(part.magics().1))?;
    out.finish().map(drop)
}

/// What follows the hashes of a `.leaves` file: its directory and footer, for these bytes before it.
pub(crate) fn leaves_tail(data: &[u8], directory: &Directory) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(directory.footer.directory_bytes as usize + FOOTER_BYTES);
    directory.runs.iter().for_each(|run| encode_run(run, &mut bytes));
    data.chunks(CHUNK_BYTES).for_each(|chunk| bytes.extend(crc32c::crc32c(chunk).to_be_bytes()));
    let footer = Footer { directory_crc: crc32c::crc32c(&bytes), ..directory.footer };
    bytes.extend(footer.encode(LEAVES_FOOTER_MAGIC));
    bytes
}

/// How many entries a block holds, by its header.
pub(crate) fn block_entries(file: &dyn File, row: &BlockRow) -> io::Result<u32> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, row.offset)?;
    let header = FrameHeader::decode(&header, BLOCK_MAGIC);
    header.map(|header| header.count).ok_or_else(|| damaged("a block's header does not check"))
}

/// Reads `count` hashes at `offset`.
pub(crate) fn read_hashes(file: &dyn File, offset: u64, count: usize) -> io::Result<Vec<Hash>> {
    let mut bytes = vec![0; 32 * count];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.chunks_exact(32).map(|hash| Hash(hash.try_into().expect("thirty-two bytes"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::memory::MemoryStore;

    #[test]
    fn a_block_gives_back_every_field() {
        let store = MemoryStore::new();
        let file = store.create("f").unwrap();
        let mut writer = BodiesWriter::new(file.clone(), 3, 500, 4096, 1).unwrap();
        let body = |i: u64| format!("{{\"event\":{i},\"pad\":\"{}\"}}", "x".repeat(i as usize % 90)).into_bytes();
        let time = |i: u64| 1_790_000_000_000_000 + i * i % 977;
        for i in 0..500_u64 {
            let kind = if i % 7 == 0 { Kind::LogNote } else { Kind::Event };
            let (id, salt, body) = ([i as u8; 16], [(i + 1) as u8; 16], body(i));
            let state = BodyState::Present;
            let row = NewRow { kind, received_at_us: time(i), id: &id, salt: &salt, body: &body, state };
            writer.push(row).unwrap();
        }
        let run =
            Run { log: LogId([0; 16]), first: 0, count: 500, ordinal: 0, last_us: 1, leaves_at: 32, frontier_at: 32 };
        writer.finish(&[run]).unwrap();
        let directory = read_directory(&*file, Part::Bodies, 3).unwrap();
        assert_eq!(directory.runs, [run]);
        let index = BlockIndex::decode(&directory.parts);
        assert!(index.rows().len() > 5);
        for i in 0..500_u64 {
            let row = index.rows()[index.find(i as u32).unwrap()];
            let block = read_block(&*file, &row).unwrap();
            let record = block.rows[(i as u32 - row.first_ordinal) as usize];
            assert_eq!(block.body(&record), body(i));
            assert_eq!((record.received_at_us, record.id, record.salt[0]), (time(i), [i as u8; 16], (i + 1) as u8));
        }
    }

    #[test]
    fn a_body_of_any_length_has_a_block() {
        let mut builder = BlockBuilder::new(100, 1).unwrap();
        let mut blocks = Vec::new();
        for bytes in [0, 1, 1000, 0, 99, 2] {
            let (body, state) = (vec![7; bytes], BodyState::Present);
            let row = NewRow { kind: Kind::Event, received_at_us: 5, id: &[0; 16], salt: &[1; 16], body: &body, state };
            blocks.extend(builder.push(row).unwrap());
        }
        blocks.extend(builder.finish().unwrap());
        let counts: Vec<u32> = blocks.iter().map(|(_, bytes)| u32_at(bytes, 16)).collect();
        assert_eq!(counts.iter().sum::<u32>(), 6);
    }

    #[test]
    fn hashes_of_each_tile_level_follow_each_other() {
        // 100 leaves before, 700 in the run: tiles 0, 1 and 2 complete in it.
        assert_eq!(hashes_at(32, 100, 800, 0), (32, 100, 800));
        assert_eq!(hashes_at(32, 100, 800, 1), (32 + 32 * 700, 0, 3));
        assert_eq!(hashes_at(32, 100, 800, 2), (32 + 32 * 703, 0, 0));
        assert_eq!(hashes_at(0, 256, 512, 1), (32 * 256, 1, 2));
    }

    #[test]
    fn garbage_is_refused_and_never_panics() {
        let entropy = crate::clock::SeededEntropy::new(9);
        for _ in 0..2000 {
            let mut bytes = vec![0; entropy.below(400) as usize];
            crate::clock::Entropy::fill(&entropy, &mut bytes);
            if bytes.len() > 4 {
                bytes[0..4].copy_from_slice(&(entropy.below(1000) as u32).to_be_bytes());
            }
            assert!(decode_block(&bytes, entropy.below(20) as u32 + 1, 0).is_err());
        }
    }
}
