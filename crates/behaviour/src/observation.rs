//! One session as the algorithms see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rhythm::Rhythm;
use crate::script::Pace;

/// What is known of one session. Members that nobody knows are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Observation {
    /// The number of the log entry that holds this; for explanations only.
    #[serde(skip)]
    pub entry: u64,
    /// When the session began, in seconds since 1970, UTC.
    pub started_s: i64,
    /// Where the user sat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What the user worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Such as `ssh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The name used on the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// What was found in the recording.
    #[serde(skip_serializing_if = "is_default")]
    pub measures: Measures,
}

/// What a recording holds, counted; see [`Meter`](crate::Meter).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Measures {
    /// Programs that were run, and how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: BTreeMap<String, u32>,
    /// Titles of windows, digits as `#`, and how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub titles: BTreeMap<String, u32>,
    /// Different commands and titles that did not fit.
    #[serde(skip_serializing_if = "is_default")]
    pub left_out: u64,
    /// Times between keys.
    #[serde(skip_serializing_if = "is_default")]
    pub keys: Rhythm,
    /// Times between movements of the pointer.
    #[serde(skip_serializing_if = "is_default")]
    pub pointer: Rhythm,
    /// How evenly keys and commands came.
    #[serde(skip_serializing_if = "is_default")]
    pub pace: Pace,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
