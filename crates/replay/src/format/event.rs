//! What every format is read into: a header, then timed events.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::cell::{Rgb, Size};

/// The recorders' formats that can be read. Displays and parses as `asciicast-v2`, `ttyrec`, `sudo-iolog` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// One JSON object with all frames; times are pauses.
    AsciicastV1,
    /// JSON lines; times since the start.
    AsciicastV2,
    /// JSON lines with `#` comments; times are pauses.
    AsciicastV3,
    /// Frames with a twelve-byte header.
    Ttyrec,
    /// util-linux `script`: a typescript and, beside it, a timing file (classic or multi-stream).
    Script,
    /// sudo's I/O log: a folder with `log` or `log.json`, `timing` and one file for each stream.
    SudoIolog,
    /// tlog's JSON messages, plain or inside a journal export.
    Tlog,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 7] = [
        Format::AsciicastV1,
        Format::AsciicastV2,
        Format::AsciicastV3,
        Format::Ttyrec,
        Format::Script,
        Format::SudoIolog,
        Format::Tlog,
    ];

    /// The name that [`fmt::Display`] writes and [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Format::AsciicastV1 => "asciicast-v1",
            Format::AsciicastV2 => "asciicast-v2",
            Format::AsciicastV3 => "asciicast-v3",
            Format::Ttyrec => "ttyrec",
            Format::Script => "script",
            Format::SudoIolog => "sudo-iolog",
            Format::Tlog => "tlog",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No format has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no recording format is called {0:?}")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// What a recording says about itself before its first event. Absent means that the format or this file does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Where the rest comes from.
    pub format: Format,
    /// Size of the terminal at the start.
    pub size: Option<Size>,
    /// Microseconds since the Unix epoch at time 0 of the events.
    pub started_at_us: Option<u64>,
    /// How long the recording claims to be (asciicast v1 and some v2); nothing checks it.
    pub claimed_duration_us: Option<u64>,
    /// Pauses longer than this are not meant to be played (asciicast).
    pub idle_limit_us: Option<u64>,
    /// The command line that was recorded.
    pub command: Option<String>,
    /// A title that somebody gave.
    pub title: Option<String>,
    /// Who was recorded.
    pub user: Option<String>,
    /// As whom the command ran (sudo).
    pub run_as: Option<String>,
    /// The host it ran on.
    pub host: Option<String>,
    /// The terminal device.
    pub tty: Option<String>,
    /// Where it was started.
    pub working_directory: Option<String>,
    /// `TERM`.
    pub terminal_type: Option<String>,
    /// The recorder's own name for this recording (tlog's `rec`).
    pub recording: Option<String>,
    /// Environment variables that were recorded.
    pub environment: BTreeMap<String, String>,
    /// Colours of the terminal.
    pub theme: Option<Theme>,
}

impl Header {
    /// Knows nothing but its format.
    pub fn new(format: Format) -> Header {
        Header {
            format,
            size: None,
            started_at_us: None,
            claimed_duration_us: None,
            idle_limit_us: None,
            command: None,
            title: None,
            user: None,
            run_as: None,
            host: None,
            tty: None,
            working_directory: None,
            terminal_type: None,
            recording: None,
            environment: BTreeMap::new(),
            theme: None,
        }
    }
}

/// A terminal's colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// Text.
    pub foreground: Rgb,
    /// Behind it.
    pub background: Rgb,
    /// The first 8 or all 16 of the indexed colours.
    pub palette: Vec<Rgb>,
}

/// Something that happened at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Microseconds since the start of the recording; never falls from one event to the next.
    pub at_us: u64,
    /// What happened.
    pub what: What,
}

/// What can happen in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bytes written to the terminal. A character may be split between two events.
    Output(Vec<u8>),
    /// Bytes typed. A character may be split between two events.
    Input(Vec<u8>),
    /// The terminal has another size from now on.
    Resize(Size),
    /// Somebody marked this moment; the text may be empty.
    Marker(String),
    /// The recorded command ended with this status.
    Exit(i64),
    /// Anything else that the recorder wrote, under the recorder's name for it.
    Other {
        /// For example `rlib` (asciicast, as in the file), `suspend` (sudo), `signal` (script).
        code: String,
        /// As text, or as JSON where it was not text.
        data: String,
    },
}
