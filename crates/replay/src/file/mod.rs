//! The replay file: a recording in a form of which any moment opens with one read.
//!
//! ```text
//! head       32 bytes   magic "CFREPLAY" · version u32 · 16 × 0 · CRC-32C of all before it
//! blocks                each packed: a key frame, then what happened until the next block (see `event.rs`)
//! directory  32 bytes for each block: time of its first event u64 · screens numbered before it u64 · offset u64 ·
//!            length u32 · CRC-32C of all before it in the entry
//! foot       48 bytes   magic "CFREPEND" · offset of the directory u64 · blocks u64 · screens u64 · duration u64 ·
//!                       version u32 · CRC-32C of all before it
//! ```
//!
//! Little-endian; times in microseconds since the start of the recording. The file is a projection: it can be made again from
//! the recording, so another version is not converted but made anew.
//!
//! A block is closed when it holds [`BLOCK_EVENT_BYTES`] of events, or four times its key frame if that is more (so key frames
//! cost at most a quarter), or [`BLOCK_EVENTS_MAX`] events. Opening a moment unpacks one block and plays at most that much.
//! The writer keeps 32 bytes for each block: 128 KB for a recording of 1 GB, nothing for an hour in which nothing happens.

mod event;
mod reader;
mod writer;

pub use reader::{Events, Replay, Shown, Stretch};
pub use writer::ReplayWriter;

use std::io;

use crate::format::Event;
use crate::screen::Screen;
use crate::span::ScreenNumber;

/// Events' bytes after which a block is closed.
pub const BLOCK_EVENT_BYTES: usize = 256 << 10;
/// Events after which a block is closed.
pub const BLOCK_EVENTS_MAX: usize = 50_000;

const HEAD_BYTES: usize = 32;
const ENTRY_BYTES: usize = 32;
const FOOT_BYTES: usize = 48;
const VERSION: u32 = 1;
const HEAD_MAGIC: [u8; 8] = *b"CFREPLAY";
const FOOT_MAGIC: [u8; 8] = *b"CFREPEND";
const BLOCK_MAGIC: [u8; 4] = *b"CFRB";

/// Takes what happens, in order: a replay file, or nobody.
pub trait ReplaySink {
    /// An event is about to be played on `screen`, which shows what all before it did.
    ///
    /// # Errors
    /// What keeps the bytes does not take them.
    fn event(&mut self, screen: &Screen, event: &Event) -> io::Result<()>;

    /// The screen as it is now, after the last event, has this number.
    ///
    /// # Errors
    /// What keeps the bytes does not take them.
    fn screen(&mut self, screen: &Screen, number: ScreenNumber) -> io::Result<()>;
}

/// Keeps nothing.
impl ReplaySink for () {
    fn event(&mut self, _: &Screen, _: &Event) -> io::Result<()> {
        Ok(())
    }

    fn screen(&mut self, _: &Screen, _: ScreenNumber) -> io::Result<()> {
        Ok(())
    }
}
