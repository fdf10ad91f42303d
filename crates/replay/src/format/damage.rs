//! How a reader says that it could not go on, and where.

use std::fmt;

/// Where and why reading ended before the recording did, or (as a notice) what is missing although reading went on.
///
/// Everything before it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {reason} at byte {offset}: {detail}")]
pub struct Damage {
    /// Name of the part as the caller gave it.
    pub part: String,
    /// Bytes of that part, unpacked if it was packed, before the record that is damaged.
    pub offset: u64,
    /// Microseconds since the start of the recording: the time of the last event before it.
    pub at_us: u64,
    /// What kind of damage.
    pub reason: Reason,
    /// For people: what was found, what was expected. Quotes at most a few bytes of the recording.
    pub detail: String,
}

/// Kinds of damage. Displays as the name in snake case, which is also what APIs show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The header is missing, is not what the format says, or lacks what the format demands.
    BadHeader,
    /// A record has not the shape that the format says.
    BadRecord,
    /// A record's time is no time: negative, not a number, beyond [`super::TIME_US_MAX`].
    BadTime,
    /// A record's code or stream is not of the right type.
    BadCode,
    /// A record's data is not of the right type.
    BadData,
    /// A terminal size is no size, or outside the limits of [`crate::cell::Size`].
    BadSize,
    /// A part ends inside a record, or before the bytes that another part promises.
    CutShort,
    /// Bytes are left that no record accounts for.
    LeftOver,
    /// A line, record, name or window is over its named limit.
    TooLarge,
    /// The recording needs a part that was not given.
    MissingPart,
    /// A message of the recording is not there although later ones are (tlog).
    MissingMessage,
    /// The packed bytes of a part cannot be unpacked.
    BadPacking,
    /// The clock of the recorder went back; times are held until it has caught up.
    TimeFell,
    /// The part holds other recordings as well, which were not read.
    OtherRecordings,
    /// The bytes could not be read from where they are kept.
    Unreadable,
}

impl Reason {
    /// The name in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Reason::BadHeader => "bad_header",
            Reason::BadRecord => "bad_record",
            Reason::BadTime => "bad_time",
            Reason::BadCode => "bad_code",
            Reason::BadData => "bad_data",
            Reason::BadSize => "bad_size",
            Reason::CutShort => "cut_short",
            Reason::LeftOver => "left_over",
            Reason::TooLarge => "too_large",
            Reason::MissingPart => "missing_part",
            Reason::MissingMessage => "missing_message",
            Reason::BadPacking => "bad_packing",
            Reason::TimeFell => "time_fell",
            Reason::OtherRecordings => "other_recordings",
            Reason::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Damage whose place the caller knows: what kind, and the detail.
pub(in crate::format) type Fault = (Reason, String);
