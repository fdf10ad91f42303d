//! Key frames: a screen as bytes, from which a screen is made that goes on as the first one would.
//!
//! ```text
//! columns u16 · rows u16 · flags u8 (1 inserting, 2 has a title)
//! then each with its length (u32) before it:
//!   bytes of an unfinished character · unfinished control sequence · title · avt's dump
//! number of clusters u32, then for each: code u32 · its text with its length (u32)
//! ```
//!
//! Little-endian. The frame has no checksum: the block around it has one.

use super::{Decoder, Screen, cluster};
use crate::cell::Size;

const INSERTING: u8 = 1;
const TITLED: u8 = 2;

/// The bytes are no key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key frame: {0}")]
pub struct FrameError(&'static str);

impl Screen {
    /// The key frame of this moment.
    ///
    /// [`Screen::from_frame`] makes a screen of it that shows the same and does the same with whatever comes. Some 5 bytes
    /// for each cell that is not blank; more with many colours.
    pub fn frame(&self) -> Vec<u8> {
        let mut codes = Vec::new();
        self.each_code(|code| codes.push(code));
        // A forged frame may show codes that it does not explain.
        codes.retain(|&code| self.clusters.text(code).is_some());
        codes.sort_unstable();
        codes.dedup();

        let mut frame = Vec::new();
        frame.extend(self.size().columns().to_le_bytes());
        frame.extend(self.size().rows().to_le_bytes());
        let inserting = if self.inserting { INSERTING } else { 0 };
        frame.push(inserting | if self.title.is_some() { TITLED } else { 0 });
        put(&mut frame, self.decoder.pending());
        put(&mut frame, self.sequence.pending().as_bytes());
        put(&mut frame, self.title.as_deref().unwrap_or("").as_bytes());
        put(&mut frame, self.terminal.dump().as_bytes());
        frame.extend((codes.len() as u32).to_le_bytes());
        for code in codes {
            frame.extend((code as u32).to_le_bytes());
            put(&mut frame, self.clusters.text(code).expect("only known codes were kept").as_bytes());
        }
        frame
    }

    /// The screen that [`Screen::frame`] was called on.
    ///
    /// # Errors
    /// The bytes were not made by `frame`. Not every such bytes are found out; none makes it panic.
    pub fn from_frame(frame: &[u8]) -> Result<Screen, FrameError> {
        let mut rest = frame;
        let columns = u16::from_le_bytes(take(&mut rest)?);
        let rows = u16::from_le_bytes(take(&mut rest)?);
        let [flags] = take(&mut rest)?;
        let size = Size::new(columns.into(), rows.into()).ok_or(FrameError("a size out of bounds"))?;
        let mut screen = Screen::new(size);
        screen.decoder = Decoder::holding(get(&mut rest)?).ok_or(FrameError("an unfinished character that is none"))?;
        let sequence = get_text(&mut rest)?;
        let title = get_text(&mut rest)?;
        let dump = get_text(&mut rest)?;
        let clusters = u32::from_le_bytes(take(&mut rest)?);
        for _ in 0..clusters {
            let code = char::from_u32(u32::from_le_bytes(take(&mut rest)?)).filter(|&code| cluster::is_code(code));
            let text = get_text(&mut rest)?;
            let code = code.filter(|_| !text.is_empty()).ok_or(FrameError("a cluster that is none"))?;
            if !screen.clusters.insert(code, text) {
                return Err(FrameError("a cluster twice"));
            }
        }
        if !rest.is_empty() {
            return Err(FrameError("bytes after its end"));
        }
        // Codes stand in the dump as they are, so it must not come through our own writing of marks.
        screen.terminal.feed(dump);
        if screen.terminal.size() != (columns.into(), rows.into()) {
            return Err(FrameError("a dump that resizes"));
        }
        screen.write(sequence, &mut super::watch::Nobody);
        screen.inserting = flags & INSERTING != 0;
        screen.title = (flags & TITLED != 0).then(|| title.to_owned());
        Ok(screen)
    }
}

fn put(frame: &mut Vec<u8>, bytes: &[u8]) {
    frame.extend((bytes.len() as u32).to_le_bytes());
    frame.extend_from_slice(bytes);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], FrameError> {
    let (first, after) = rest.split_first_chunk().ok_or(FrameError("cut short"))?;
    *rest = after;
    Ok(*first)
}

fn get<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], FrameError> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (bytes, after) = rest.split_at_checked(length).ok_or(FrameError("cut short"))?;
    *rest = after;
    Ok(bytes)
}

fn get_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, FrameError> {
    std::str::from_utf8(get(rest)?).map_err(|_| FrameError("text that is no UTF-8"))
}
