//! Terminal recordings in; screens, text and pixels out. Pure: bytes and values, no files, no clock, no network.
//!
//! - [`mod@format`] reads what recorders write (asciicast, ttyrec, script, sudo, tlog) as one stream of timed events.
//! - [`screen`] is the terminal: bytes in, a screen of cells out; key frames.
//! - [`index`] plays a recording once and makes of it numbered screens, spans of text ([`span`]) and a replay file ([`mod@file`]) of
//!   which any moment opens with one read.
//! - [`picture`] draws a screen's cells as an indexed PNG, the same bytes everywhere.
//! - [`cell`] holds the words they share: sizes, colours, cells. [`ranged`] is how files are read, wherever they are kept.
//!
//! ```
//! use replay::file::{Replay, ReplayWriter};
//! use replay::format::{Format, Part, Reader};
//! use replay::index::{Indexer, Options};
//!
//! let cast = "{\"version\": 2, \"width\": 40, \"height\": 4}\n[0.5, \"o\", \"$ \"]\n[1.5, \"o\", \"echo hi\\r\\nhi\\r\\n$ \"]\n";
//! let mut reader = Reader::open(Format::AsciicastV2, vec![Part::new("a.cast", cast.as_bytes())])?;
//! let file = ReplayWriter::new(Vec::new())?;
//! let mut indexer = Indexer::new(reader.header(), Options::default(), file, Vec::new());
//! let damage = loop {
//!     match reader.next() {
//!         Ok(Some(event)) => indexer.event(&event)?,
//!         Ok(None) => break None,
//!         Err(damage) => break Some(damage),
//!     }
//! };
//! let (summary, file, spans) = indexer.finish(damage)?;
//! let hi = spans.iter().find(|span| span.text == "hi").expect("it was on the screen");
//! assert_eq!((summary.screens, hi.first, hi.clearest), (2, 2, 2));
//! let (file, _) = file.finish()?;
//! let shown = Replay::open(&file)?.at_screen(2)?.expect("there are two");
//! assert_eq!(shown.screen.rows_text(), ["$ echo hi", "hi", "$", ""]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cell;
pub mod file;
pub mod format;
pub mod index;
mod pack;
pub mod picture;
pub mod ranged;
pub mod screen;
pub mod span;
