//! Terminal recordings in; screens, text and pixels out. Pure: bytes and values, no files, no clock, no network.
//!
//! - [`mod@format`] reads what recorders write (asciicast, ttyrec, script, sudo, tlog) as one stream of timed events.
//! - [`picture`] draws a screen's cells as an indexed PNG, the same bytes everywhere.
//! - [`cell`] holds the words they share: sizes, colours, cells.

pub mod cell;
pub mod file;
pub mod format;
pub mod index;
mod pack;
pub mod picture;
pub mod ranged;
pub mod screen;
pub mod span;
