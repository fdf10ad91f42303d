//! Opens any moment of a replay file.

use super::event::{Item, take_item};
use super::{BLOCK_MAGIC, ENTRY_BYTES, FOOT_BYTES, FOOT_MAGIC, HEAD_BYTES, HEAD_MAGIC, VERSION};
use crate::format::Event;
use crate::pack::{BLOCK_HEAD_BYTES, BlockHead, Parts, u32_at, u64_at};
use crate::ranged::{FileError, Ranged, read};
use crate::screen::Screen;
use crate::span::ScreenNumber;

/// A directory of up to so many blocks (2 MiB; a recording of some 16 GB) is kept in memory; a longer one is searched where it is.
const CACHED_ENTRIES_MAX: u64 = 1 << 16;

/// A replay file that is open. Reading it needs no more than a shared reference.
///
/// Opening reads head, foot and directory (one read each). After that a moment costs one read, of its block, and the playing
/// of at most one block, however long the recording is.
pub struct Replay<R> {
    ranged: R,
    directory_offset: u64,
    blocks: u64,
    screens: u64,
    duration_us: u64,
    cached: Option<Vec<Entry>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    first_us: u64,
    screens_before: u64,
    offset: u64,
    length: usize,
}

/// A moment of a recording.
#[derive(Debug)]
pub struct Shown {
    /// How the terminal was.
    pub screen: Screen,
    /// The last screen that was numbered up to then; 0 before the first.
    pub number: ScreenNumber,
    /// When the last event up to then happened.
    pub at_us: u64,
}

/// A stretch of a recording: how the terminal was at its beginning, and all that happened until it ends.
#[derive(Debug)]
pub struct Stretch {
    /// The terminal before the first of the events.
    pub screen: Screen,
    /// The last screen that was numbered up to there; 0 before the first.
    pub number: ScreenNumber,
    /// When the stretch begins.
    pub start_us: u64,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Where the next stretch begins; `None` at the end of the recording.
    pub next_us: Option<u64>,
}

/// A block that was read.
struct Block {
    bytes: Vec<u8>,
    offset: u64,
    frame: std::ops::Range<usize>,
    frame_us: u64,
    screens_before: u64,
}

impl<R: Ranged> Replay<R> {
    /// Reads what is needed to find blocks.
    ///
    /// # Errors
    /// [`FileError`]; arbitrary bytes are [`FileError::Damaged`].
    pub fn open(ranged: R) -> Result<Replay<R>, FileError> {
        let length = ranged.length()?;
        let head = read(&ranged, 0, HEAD_BYTES)?;
        if head[..8] != HEAD_MAGIC {
            return Err(FileError::damaged(0, "no replay file"));
        }
        if u32_at(&head, 8) != VERSION {
            return Err(FileError::Version(u32_at(&head, 8)));
        }
        if u32_at(&head, HEAD_BYTES - 4) != crc32c::crc32c(&head[..HEAD_BYTES - 4]) {
            return Err(FileError::damaged(0, "the head does not match its checksum"));
        }
        let foot_offset = length.saturating_sub(FOOT_BYTES as u64);
        let foot = read(&ranged, foot_offset, FOOT_BYTES)?;
        if foot[..8] != FOOT_MAGIC || u32_at(&foot, FOOT_BYTES - 4) != crc32c::crc32c(&foot[..FOOT_BYTES - 4]) {
            return Err(FileError::damaged(foot_offset, "the foot is not there, or does not match its checksum"));
        }
        let (directory_offset, blocks) = (u64_at(&foot, 8), u64_at(&foot, 16));
        let directory_end =
            blocks.checked_mul(ENTRY_BYTES as u64).and_then(|bytes| bytes.checked_add(directory_offset));
        if directory_end != Some(foot_offset) || blocks == 0 {
            return Err(FileError::damaged(foot_offset, "the directory is not where the foot says"));
        }
        let (screens, duration_us) = (u64_at(&foot, 24), u64_at(&foot, 32));
        let mut replay = Replay { ranged, directory_offset, blocks, screens, duration_us, cached: None };
        if blocks <= CACHED_ENTRIES_MAX {
            replay.cached = Some(replay.read_entries(0, blocks as usize)?);
        }
        Ok(replay)
    }

    /// How many screens are numbered: 1 to this.
    pub fn screens(&self) -> u64 {
        self.screens
    }

    /// When the last event happened.
    pub fn duration_us(&self) -> u64 {
        self.duration_us
    }

    /// The terminal at this time: after all events up to it. Later than the end is the end.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn at_time(&self, at_us: u64) -> Result<Shown, FileError> {
        let block = self.block_of(|entry| entry.first_us <= at_us)?;
        self.play(&block, |now_us, _| now_us > at_us)
    }

    /// A numbered screen; `None` if there is none of that number.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn at_screen(&self, number: ScreenNumber) -> Result<Option<Shown>, FileError> {
        if number == 0 || number > self.screens {
            return Ok(None);
        }
        let block = self.block_of(|entry| entry.screens_before < number)?;
        let shown = self.play(&block, |_, seen| seen == number)?;
        if shown.number != number {
            return Err(FileError::damaged(block.offset, "a screen is not in the block where it belongs"));
        }
        Ok(Some(shown))
    }

    /// The stretch in which this time lies: one block, so it costs one read. Later than the end is the last one.
    ///
    /// Whoever plays on asks for `next_us` of the one before. Where several blocks begin at that very time, the stretch holds
    /// all of them, so that none is passed over.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn stretch(&self, at_us: u64) -> Result<Stretch, FileError> {
        let last = self.index_of(|entry| entry.first_us <= at_us)?;
        let last_us = self.entry(last)?.first_us;
        // The first of those that begin when it does.
        let first = match self.index_of(|entry| entry.first_us < last_us)? {
            before if self.entry(before)?.first_us < last_us => before + 1,
            first => first,
        };
        let block = self.read_block(first)?;
        let frame = &block.bytes[block.frame.clone()];
        let screen = Screen::from_frame(frame).map_err(|_| FileError::damaged(block.offset, "a key frame is none"))?;
        let mut stretch = Stretch {
            screen,
            number: block.screens_before,
            start_us: block.frame_us,
            events: Vec::new(),
            next_us: if last + 1 < self.blocks { Some(self.entry(last + 1)?.first_us) } else { None },
        };
        let mut block = Some(block);
        for index in first..=last {
            let block = match block.take() {
                Some(first) => first,
                None => self.read_block(index)?,
            };
            let mut parts = Parts(&block.bytes[block.frame.end..]);
            let mut now_us = block.frame_us;
            while !parts.0.is_empty() {
                let item = take_item(&mut parts, &mut now_us);
                match item.ok_or_else(|| FileError::damaged(block.offset, "what a block holds is no event"))? {
                    Item::Event(event) => stretch.events.push(event),
                    Item::Screen(_) => {}
                }
            }
        }
        Ok(stretch)
    }

    /// The events from this time on, in order.
    ///
    /// # Errors
    /// [`FileError`], here and with each event; after one there are no more.
    pub fn events(&self, from_us: u64) -> Result<Events<'_, R>, FileError> {
        // Events of this very time may stand in several blocks: begin with the last block that begins before it.
        let index = self.index_of(|entry| entry.first_us < from_us)?;
        Ok(Events { replay: self, next_block: index, block: None, position: 0, now_us: 0, from_us })
    }

    /// Plays a block until `stop` is true of the time of the next event and the last screen's number.
    fn play(&self, block: &Block, stop: impl Fn(u64, ScreenNumber) -> bool) -> Result<Shown, FileError> {
        let wrong = || FileError::damaged(block.offset, "what a block holds is no event");
        let frame = &block.bytes[block.frame.clone()];
        let screen = Screen::from_frame(frame).map_err(|_| FileError::damaged(block.offset, "a key frame is none"))?;
        let mut shown = Shown { screen, number: block.screens_before, at_us: block.frame_us };
        let mut parts = Parts(&block.bytes[block.frame.end..]);
        let mut now_us = block.frame_us;
        while !parts.0.is_empty() {
            match take_item(&mut parts, &mut now_us).ok_or_else(wrong)? {
                Item::Event(event) => {
                    if stop(now_us, shown.number) {
                        break;
                    }
                    shown.screen.play(&event.what);
                    shown.at_us = now_us;
                }
                Item::Screen(number) => {
                    shown.number = number;
                    if stop(now_us, number) {
                        break;
                    }
                }
            }
        }
        Ok(shown)
    }

    /// The last block of which `begun` is true; the first, if it is of none.
    fn block_of(&self, begun: impl Fn(&Entry) -> bool) -> Result<Block, FileError> {
        self.read_block(self.index_of(begun)?)
    }

    fn index_of(&self, begun: impl Fn(&Entry) -> bool) -> Result<u64, FileError> {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            if begun(&self.entry(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    fn entry(&self, index: u64) -> Result<Entry, FileError> {
        match &self.cached {
            Some(entries) => Ok(entries[index as usize]),
            None => Ok(self.read_entries(index, 1)?[0]),
        }
    }

    fn read_entries(&self, first: u64, count: usize) -> Result<Vec<Entry>, FileError> {
        let offset = self.directory_offset + first * ENTRY_BYTES as u64;
        let bytes = read(&self.ranged, offset, count * ENTRY_BYTES)?;
        let entries = bytes.chunks_exact(ENTRY_BYTES).zip(0..).map(|(entry, index)| {
            let at = offset + index * ENTRY_BYTES as u64;
            if u32_at(entry, ENTRY_BYTES - 4) != crc32c::crc32c(&entry[..ENTRY_BYTES - 4]) {
                return Err(FileError::damaged(at, "an entry of the directory does not match its checksum"));
            }
            let length = u32_at(entry, 24) as usize;
            let (offset, end) = (u64_at(entry, 16), u64_at(entry, 16).checked_add(length as u64));
            if length < BLOCK_HEAD_BYTES || end.is_none_or(|end| end > self.directory_offset) {
                return Err(FileError::damaged(at, "an entry of the directory points outside the blocks"));
            }
            Ok(Entry { first_us: u64_at(entry, 0), screens_before: u64_at(entry, 8), offset, length })
        });
        entries.collect()
    }

    fn read_block(&self, index: u64) -> Result<Block, FileError> {
        let entry = self.entry(index)?;
        let offset = entry.offset;
        let bytes = read(&self.ranged, offset, entry.length)?;
        let bytes = BlockHead::read(BLOCK_MAGIC, &bytes, offset)?.unpack(&bytes[BLOCK_HEAD_BYTES..], offset)?;
        let wrong = || FileError::damaged(offset, "a block without a key frame");
        let mut parts = Parts(&bytes);
        let frame_us = parts.number().ok_or_else(wrong)?;
        let frame_length = parts.bytes().ok_or_else(wrong)?.len();
        let end = bytes.len() - parts.0.len();
        let frame = end - frame_length..end;
        Ok(Block { bytes, offset, frame, frame_us, screens_before: entry.screens_before })
    }
}

/// See [`Replay::events`].
pub struct Events<'a, R> {
    replay: &'a Replay<R>,
    next_block: u64,
    block: Option<Block>,
    position: usize,
    now_us: u64,
    from_us: u64,
}

impl<R: Ranged> Events<'_, R> {
    fn step(&mut self) -> Result<Option<Event>, FileError> {
        loop {
            if let Some(block) = &self.block
                && self.position < block.bytes.len()
            {
                let mut parts = Parts(&block.bytes[self.position..]);
                let item = take_item(&mut parts, &mut self.now_us);
                let item = item.ok_or_else(|| FileError::damaged(block.offset, "what a block holds is no event"))?;
                self.position = block.bytes.len() - parts.0.len();
                match item {
                    Item::Event(event) if event.at_us >= self.from_us => return Ok(Some(event)),
                    _ => continue,
                }
            }
            if self.next_block >= self.replay.blocks {
                return Ok(None);
            }
            let block = self.replay.read_block(self.next_block)?;
            self.next_block += 1;
            self.position = block.frame.end;
            self.now_us = block.frame_us;
            self.block = Some(block);
        }
    }
}

impl<R: Ranged> Iterator for Events<'_, R> {
    type Item = Result<Event, FileError>;

    fn next(&mut self) -> Option<Result<Event, FileError>> {
        let step = self.step();
        if step.is_err() {
            self.next_block = u64::MAX;
            self.block = None;
        }
        step.transpose()
    }
}
