//! Reads what recorders write as one stream of timed events.
//!
//! A recording is one or more *parts* (files). [`detect()`] says which [`Format`] they are, [`Reader::open`] gives the
//! [`Header`], then [`Reader::next`] gives one [`Event`] after another. Nothing is held in memory but one record, whatever
//! the size of the recording. Where a recording is damaged, everything before is given and [`Damage`] says where and why.
//!
//! Out of scope: bz2 and other packings than gzip, guessing a terminal's size, characters that are split between events
//! (an event carries bytes).
//!
//! Limits: [`RECORD_BYTES_MAX`], [`TIME_US_MAX`], [`PARTS_MAX`], the sizes of [`Size`], [`tlog::WINDOW_BYTES_MAX`].
//!
//! ```
//! use replay::format::{Format, Part, Reader, What};
//!
//! let cast = "{\"version\": 3, \"term\": {\"cols\": 80, \"rows\": 24}}\n[0.5, \"o\", \"hello\"]\nlol\n";
//! let mut reader = Reader::open(Format::AsciicastV3, vec![Part::new("a.cast", cast.as_bytes())])?;
//! assert_eq!(reader.header().size.map(|size| size.columns()), Some(80));
//! let event = reader.next()?.expect("there is one event");
//! assert_eq!((event.at_us, event.what), (500_000, What::Output(b"hello".to_vec())));
//! let damage = reader.next().expect_err("the next line is no event");
//! assert_eq!((damage.reason.name(), damage.offset, damage.at_us), ("bad_record", 69, 500_000));
//! # Ok::<(), replay::format::Damage>(())
//! ```

pub mod asciicast;
mod damage;
mod detect;
mod event;
mod reader;
mod script;
mod seconds;
mod source;
mod streams;
mod sudo;
pub mod tar;
pub mod tlog;
mod ttyrec;

pub use damage::{Damage, Reason};
pub use detect::{DETECT_BYTES, detect, detect_in};
pub use event::{Event, Format, Header, Theme, UnknownFormat, What};
pub use reader::{PARTS_MAX, Reader};
pub use source::Part;

pub use crate::cell::Size;

/// Longest recording that times may claim: about 31 years. Beyond it a time is damage, not patience.
pub const TIME_US_MAX: u64 = 1_000_000_000_000_000;

/// Largest record: a line of an asciicast, a frame of a ttyrec, what one line of a timing file announces, a message of tlog.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
