//! Arbitrary output, split anywhere, with resizes and keys: nothing panics, and all that must hold of screens, spans and the
//! replay file holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use replay::format::{Event, Size, What};

#[path = "../../crates/replay/tests/common/checked.rs"]
mod checked;

/// Two bytes of size; then pieces: what they are and how long (one byte each), the pause before them, their bytes.
fn recording(bytes: &[u8]) -> Option<(replay::format::Header, Vec<Event>)> {
    let (&[columns, rows], mut rest) = bytes.split_first_chunk()?;
    let mut events = Vec::new();
    let mut at_us = 0;
    while let Some((&[what, length, pause], after)) = rest.split_first_chunk() {
        let (piece, after) = after.split_at(after.len().min(length.into()));
        rest = after;
        at_us += u64::from(pause) * 1000;
        let what = match what % 16 {
            0 => What::Input(piece.to_vec()),
            1 => match (piece, Size::new(u64::from(length % 40), u64::from(pause % 20))) {
                (_, Some(size)) => What::Resize(size),
                _ => What::Output(piece.to_vec()),
            },
            _ => What::Output(piece.to_vec()),
        };
        events.push(Event { at_us, what });
    }
    Some((checked::header(1 + u16::from(columns % 60), 1 + u16::from(rows % 20)), events))
}

fuzz_target!(|bytes: &[u8]| {
    if let Some((header, events)) = recording(bytes) {
        checked::checked(&header, &events);
    }
});
