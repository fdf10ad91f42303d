//! Reads what recorders write as one stream of timed events.

mod damage;
mod event;

pub use damage::{Damage, Reason};
pub use event::{Event, Format, Header, Theme, UnknownFormat, What};

pub use crate::cell::Size;

/// Longest recording that times may claim: about 31 years. Beyond it a time is damage, not patience.
pub const TIME_US_MAX: u64 = 1_000_000_000_000_000;
