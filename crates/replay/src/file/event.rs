//! What stands in a block.
//!
//! ```text
//! time of the key frame (number) · its length (number) · the key frame
//! then, until the end: code u8 · microseconds since the one before (number) · what follows by code
//!   1 output   length, bytes        4 marker  length, text
//!   2 input    length, bytes        5 exit    status, zig-zag
//!   3 resize   columns, rows        6 other   length, code · length, data
//!   7 screen   its number: this is how the screen looked after all before it
//! ```
//!
//! Numbers are LEB128.

use crate::cell::Size;
use crate::format::{Event, What};
use crate::pack::{Parts, put_bytes, put_number};
use crate::span::ScreenNumber;

/// One thing in a block.
pub(super) enum Item {
    Event(Event),
    Screen(ScreenNumber),
}

pub(super) fn put_event(bytes: &mut Vec<u8>, before_us: u64, event: &Event) {
    let mut code = |code: u8| {
        bytes.push(code);
        put_number(bytes, event.at_us.saturating_sub(before_us));
    };
    match &event.what {
        What::Output(output) => {
            code(1);
            put_bytes(bytes, output);
        }
        What::Input(input) => {
            code(2);
            put_bytes(bytes, input);
        }
        What::Resize(size) => {
            code(3);
            put_number(bytes, size.columns().into());
            put_number(bytes, size.rows().into());
        }
        What::Marker(text) => {
            code(4);
            put_bytes(bytes, text.as_bytes());
        }
        What::Exit(status) => {
            code(5);
            put_number(bytes, ((status << 1) ^ (status >> 63)) as u64);
        }
        What::Other { code: name, data } => {
            code(6);
            put_bytes(bytes, name.as_bytes());
            put_bytes(bytes, data.as_bytes());
        }
    }
}

pub(super) fn put_screen(bytes: &mut Vec<u8>, number: ScreenNumber) {
    bytes.extend([7, 0]);
    put_number(bytes, number);
}

/// Reads the next item; `None` inside if the bytes are none.
pub(super) fn take_item(parts: &mut Parts<'_>, now_us: &mut u64) -> Option<Item> {
    let code = parts.byte()?;
    *now_us = now_us.checked_add(parts.number()?)?;
    let what = match code {
        1 => What::Output(parts.bytes()?.to_vec()),
        2 => What::Input(parts.bytes()?.to_vec()),
        3 => What::Resize(Size::new(parts.number()?, parts.number()?)?),
        4 => What::Marker(parts.text()?.to_owned()),
        5 => {
            let status = parts.number()?;
            What::Exit((status >> 1) as i64 ^ -((status & 1) as i64))
        }
        6 => What::Other { code: parts.text()?.to_owned(), data: parts.text()?.to_owned() },
        7 => return Some(Item::Screen(parts.number()?)),
        _ => return None,
    };
    Some(Item::Event(Event { at_us: *now_us, what }))
}
