//! The algorithms by name, and why one has no baseline.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a session is compared by. The names are those of the field (`docs/risk/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Which programs were run.
    Command,
    /// Which properties come together: frequent item sets.
    Fis,
    /// Which server was worked on.
    HostLogin,
    /// How the keys were typed.
    Keystroke,
    /// At which hour of which day it began.
    LoginTime,
    /// How the pointer was moved.
    Mouse,
    /// Which titles the windows had.
    WindowTitle,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Algorithm; 7] = [
        Algorithm::Command,
        Algorithm::Fis,
        Algorithm::HostLogin,
        Algorithm::Keystroke,
        Algorithm::LoginTime,
        Algorithm::Mouse,
        Algorithm::WindowTitle,
    ];

    /// The name: lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Command => "command",
            Algorithm::Fis => "fis",
            Algorithm::HostLogin => "hostlogin",
            Algorithm::Keystroke => "keystroke",
            Algorithm::LoginTime => "logintime",
            Algorithm::Mouse => "mouse",
            Algorithm::WindowTitle => "windowtitle",
        }
    }

    /// The algorithm of this name, if there is one. Case counts.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// What a session must have for this algorithm, to be read after "sessions".
    pub(crate) fn needs(self) -> &'static str {
        match self {
            Algorithm::Command => " with commands",
            Algorithm::HostLogin => " with a server",
            Algorithm::Keystroke => " with 200 keystrokes",
            Algorithm::Mouse => " with 200 pointer events",
            Algorithm::WindowTitle => " with window titles",
            Algorithm::Fis | Algorithm::LoginTime => "",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is no baseline, or no score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Too few sessions that the algorithm can learn from.
    NotEnough {
        /// Of this algorithm.
        algorithm: Algorithm,
        /// So many there are.
        sessions: u32,
        /// So many it takes.
        needed: u32,
    },
    /// No properties come together often enough.
    NoPattern,
    /// The session does not have what the algorithm looks at.
    NotThere(Algorithm),
    /// What the session has cannot be compared with what the baseline has.
    NothingInCommon,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotEnough { algorithm, sessions, needed } => {
                write!(f, "not enough sessions: {sessions} of {needed}{}", algorithm.needs())
            }
            Failure::NoPattern => f.write_str("no properties come together in a fifth of the sessions"),
            Failure::NotThere(algorithm) => write!(f, "the session is not one{}", algorithm.needs()),
            Failure::NothingInCommon => f.write_str("too few pairs of the same kind in the session and in the history"),
        }
    }
}
