//! Writes a replay file from front to back, never seeking.

use std::io::{self, Write};

use super::event::{put_event, put_screen};
use super::{
    BLOCK_EVENT_BYTES, BLOCK_EVENTS_MAX, BLOCK_MAGIC, ENTRY_BYTES, FOOT_BYTES, FOOT_MAGIC, HEAD_BYTES, HEAD_MAGIC,
    ReplaySink, VERSION,
};
use crate::format::Event;
use crate::pack::{pack, put_bytes, put_number};
use crate::screen::Screen;
use crate::span::ScreenNumber;

/// Where a block is and what is in it.
#[derive(Clone)]
struct Entry {
    first_us: u64,
    screens_before: u64,
    offset: u64,
    length: u32,
}

/// Takes what happens and writes it down; [`ReplayWriter::finish`] makes it a file that can be opened.
pub struct ReplayWriter<W> {
    writer: W,
    written: u64,
    entries: Vec<Entry>,
    /// The block that is being filled; empty if there is none.
    block: Vec<u8>,
    block_events: usize,
    block_bytes_max: usize,
    block_event_bytes: usize,
    first_us: u64,
    screens_before: u64,
    screens: u64,
    now_us: u64,
}

impl<W: Write> ReplayWriter<W> {
    /// Writes the head. Small writes are few; still give it something buffered if each costs much.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(mut writer: W) -> io::Result<ReplayWriter<W>> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend(HEAD_MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend([0; 16]);
        head.extend(crc32c::crc32c(&head).to_le_bytes());
        writer.write_all(&head)?;
        Ok(ReplayWriter {
            writer,
            written: HEAD_BYTES as u64,
            entries: Vec::new(),
            block: Vec::new(),
            block_events: 0,
            block_bytes_max: 0,
            block_event_bytes: BLOCK_EVENT_BYTES,
            first_us: 0,
            screens_before: 0,
            screens: 0,
            now_us: 0,
        })
    }

    /// Closes blocks after so many bytes of events instead of [`BLOCK_EVENT_BYTES`]; still not before four times the key frame.
    #[must_use]
    pub fn with_block_event_bytes(mut self, bytes: usize) -> ReplayWriter<W> {
        self.block_event_bytes = bytes;
        self
    }

    fn open_block(&mut self, screen: &Screen, first_us: u64) -> io::Result<()> {
        if !self.block.is_empty() && self.block.len() < self.block_bytes_max && self.block_events < BLOCK_EVENTS_MAX {
            return Ok(());
        }
        self.close_block()?;
        let frame = screen.frame();
        put_number(&mut self.block, self.now_us);
        put_bytes(&mut self.block, &frame);
        self.block_bytes_max = self.block.len() + self.block_event_bytes.max(4 * frame.len());
        self.block_events = 0;
        // The first block has the moments before the first event too.
        self.first_us = if self.entries.is_empty() { 0 } else { first_us };
        self.screens_before = self.screens;
        Ok(())
    }

    fn close_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = pack(BLOCK_MAGIC, &self.block)?;
        self.block.clear();
        self.writer.write_all(&block)?;
        self.entries.push(self.entry(block.len()));
        self.written += block.len() as u64;
        Ok(())
    }

    /// Writes what is left, the directory and the foot. Gives the writer back, not flushed, and how long the file is.
    ///
    /// # Errors
    /// The writer's; the file is then of no use.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.close_block()?;
        let end = self.end(&self.entries, self.written);
        self.writer.write_all(&end)?;
        let length = self.written + end.len() as u64;
        Ok((self.writer, length))
    }

    /// How many bytes were given to the writer so far, and the bytes that would follow if the recording ended now: both together
    /// are a file that can be opened, of all that was taken. `None`: nothing was taken yet.
    ///
    /// Costs the packing of one block at most, and 32 bytes for each that was written.
    ///
    /// # Errors
    /// The open block cannot be packed.
    pub fn so_far(&self) -> io::Result<Option<(u64, Vec<u8>)>> {
        if self.block.is_empty() {
            let end = self.end(&self.entries, self.written);
            return Ok((!self.entries.is_empty()).then_some((self.written, end)));
        }
        let mut bytes = pack(BLOCK_MAGIC, &self.block)?;
        let mut entries = self.entries.clone();
        entries.push(self.entry(bytes.len()));
        bytes.extend(self.end(&entries, self.written + bytes.len() as u64));
        Ok(Some((self.written, bytes)))
    }

    /// The entry of the block that is being filled, packed to so many bytes.
    fn entry(&self, length: usize) -> Entry {
        Entry {
            first_us: self.first_us,
            screens_before: self.screens_before,
            offset: self.written,
            length: length as u32,
        }
    }

    /// Directory and foot of a file whose blocks end at `directory`.
    fn end(&self, entries: &[Entry], directory: u64) -> Vec<u8> {
        let mut end = Vec::with_capacity(entries.len() * ENTRY_BYTES + FOOT_BYTES);
        for entry in entries {
            let begin = end.len();
            end.extend(entry.first_us.to_le_bytes());
            end.extend(entry.screens_before.to_le_bytes());
            end.extend(entry.offset.to_le_bytes());
            end.extend(entry.length.to_le_bytes());
            end.extend(crc32c::crc32c(&end[begin..]).to_le_bytes());
        }
        let begin = end.len();
        end.extend(FOOT_MAGIC);
        end.extend(directory.to_le_bytes());
        end.extend((entries.len() as u64).to_le_bytes());
        end.extend(self.screens.to_le_bytes());
        end.extend(self.now_us.to_le_bytes());
        end.extend(VERSION.to_le_bytes());
        end.extend(crc32c::crc32c(&end[begin..]).to_le_bytes());
        end
    }
}

impl<W: Write> ReplaySink for ReplayWriter<W> {
    fn event(&mut self, screen: &Screen, event: &Event) -> io::Result<()> {
        self.open_block(screen, event.at_us)?;
        put_event(&mut self.block, self.now_us, event);
        self.now_us = self.now_us.max(event.at_us);
        self.block_events += 1;
        Ok(())
    }

    fn screen(&mut self, screen: &Screen, number: ScreenNumber) -> io::Result<()> {
        // A number stays in the block of the event that made it; only a recording without events has it alone.
        if self.block.is_empty() {
            self.open_block(screen, 0)?;
        }
        put_screen(&mut self.block, number);
        self.screens = number;
        Ok(())
    }
}
