//! Which programs a user runs. `docs/risk/command.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::probability::{Frequencies, joined};

/// In how many sessions each value occurred; for programs here, for titles in `windowtitle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix(Frequencies);

impl Mix {
    pub fn build<'a>(sessions: impl IntoIterator<Item = &'a BTreeMap<String, u32>>) -> Mix {
        let values = sessions.into_iter().flat_map(|session| session.keys().map(String::as_str));
        Mix(Frequencies::of(values))
    }

    /// The probability of a session with values as rare as these. How often a value occurs within one session does not
    /// count: a loop is no habit.
    pub fn probability(&self, session: &BTreeMap<String, u32>) -> f64 {
        joined(session.keys().map(|value| self.0.at_most_as_common(value)).collect())
    }

    pub fn expected(&self) -> String {
        format!("{}; one never used with probability {:.4}", self.0.describe(8), self.0.unseen())
    }

    /// The rarest values of the session.
    pub fn observed(&self, session: &BTreeMap<String, u32>) -> String {
        const SHOWN: usize = 5;
        let mut rarest: Vec<(u32, &str)> = session.keys().map(|value| (self.0.count(value), value.as_str())).collect();
        rarest.sort_unstable();
        let never = rarest.iter().filter(|(count, _)| *count == 0).count();
        let shown: Vec<String> = rarest.iter().take(SHOWN).map(|(count, value)| format!("{value} ({count})")).collect();
        format!("{} of {} never seen; rarest: {}", never, session.len(), shown.join(", "))
    }

    /// Whether a session shares one of the three rarest values of another.
    pub fn is_like(&self, session: &BTreeMap<String, u32>, past: &BTreeMap<String, u32>) -> bool {
        let mut rarest: Vec<(u32, &String)> = session.keys().map(|value| (self.0.count(value), value)).collect();
        rarest.sort_unstable();
        rarest.iter().take(3).any(|(_, value)| past.contains_key(*value))
    }
}
