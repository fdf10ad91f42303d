//! Whether a machine sat at the keyboard. No baseline, no score: a yes or no, with the numbers it comes from.
//! `docs/risk/script.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::observation::Observation;

/// A key this soon after the one before was not typed by a finger; pasting looks the same.
pub(crate) const MACHINE_US: u64 = 5_000;
/// Keys that it takes to say so, and the share of them in percent.
const KEYS_MIN: u64 = 100;
const MACHINE_PERCENT: u64 = 90;
/// Times between lines that it takes to call them even.
const LINES_MIN: u64 = 8;
/// Standard deviation over mean below which times are even; people's is above a half.
const EVEN_BELOW: f64 = 0.1;
/// Past sessions that began at the same second of the hour, and how far off one may be.
const SAME_SECOND_MIN: u32 = 5;
const SAME_SECOND_WITHIN_S: i64 = 2;
/// One in this many of the past sessions must have begun so.
const SAME_SECOND_ONE_IN: u32 = 4;

/// How evenly keys and lines came, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Keys that came as input, pointer events not counted.
    pub keys: u64,
    /// Those of them that came within 5 ms of the one before.
    pub at_machine_speed: u64,
    /// Times between the ends of lines, or between commands where no input was recorded.
    pub lines: u64,
    /// Their sum, in milliseconds.
    pub lines_ms: u64,
    /// The sum of their squares.
    pub lines_ms_squared: u64,
}

impl Pace {
    /// Counts the time between two lines.
    pub(crate) fn line(&mut self, us: u64) {
        // A day is longer than any pause that says something; so the squares cannot run over.
        let ms = (us / 1_000).min(86_400_000);
        if self.lines < 2_000_000 {
            self.lines += 1;
            self.lines_ms += ms;
            self.lines_ms_squared = self.lines_ms_squared.saturating_add(ms * ms);
        }
    }

    /// Standard deviation over mean of the times between lines.
    fn unevenness(&self) -> Option<f64> {
        if self.lines < LINES_MIN || self.lines_ms == 0 {
            return None;
        }
        let count = self.lines as f64;
        let mean = self.lines_ms as f64 / count;
        let variance = (self.lines_ms_squared as f64 / count - mean * mean).max(0.0);
        Some(variance.sqrt() / mean)
    }
}

/// What one test came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScriptTest {
    /// It looks like a machine.
    pub scripted: bool,
    /// The numbers, in words.
    pub detail: String,
}

/// What all tests that could be made came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scripted {
    /// One of them says so.
    pub scripted: bool,
    /// `keys`, `lines`, `logins`; those that there was enough for.
    pub results: BTreeMap<String, ScriptTest>,
}

/// Looks at one session, and at when the sessions before it began.
pub fn detect(session: &Observation, history: &[Observation]) -> Scripted {
    let pace = &session.measures.pace;
    let mut results = BTreeMap::new();
    if pace.keys >= KEYS_MIN {
        let percent = pace.at_machine_speed.saturating_mul(100) / pace.keys;
        let detail = format!("{percent} % of {} keys within {} ms of the one before", pace.keys, MACHINE_US / 1_000);
        results.insert("keys".to_owned(), ScriptTest { scripted: percent >= MACHINE_PERCENT, detail });
    }
    if let Some(unevenness) = pace.unevenness() {
        let detail = format!("standard deviation / mean of {} times between lines is {unevenness:.3}", pace.lines);
        results.insert("lines".to_owned(), ScriptTest { scripted: unevenness < EVEN_BELOW, detail });
    }
    if history.len() >= SAME_SECOND_MIN as usize {
        let apart = |past: &&Observation| {
            let apart = (past.started_s - session.started_s).rem_euclid(3_600);
            apart.min(3_600 - apart) <= SAME_SECOND_WITHIN_S
        };
        let same = u32::try_from(history.iter().filter(apart).count()).unwrap_or(u32::MAX);
        let is_many = same.saturating_mul(SAME_SECOND_ONE_IN) as usize >= history.len();
        let detail = format!("{same} of {} sessions began at this second of the hour", history.len());
        results.insert("logins".to_owned(), ScriptTest { scripted: same >= SAME_SECOND_MIN && is_many, detail });
    }
    Scripted { scripted: results.values().any(|test| test.scripted), results }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(times_ms: impl IntoIterator<Item = u64>) -> Observation {
        let mut session = Observation::default();
        times_ms.into_iter().for_each(|ms| session.measures.pace.line(ms * 1_000));
        session
    }

    #[test]
    fn even_lines_are_a_machine_and_uneven_ones_are_not() {
        assert!(detect(&paced([1_000; 10]), &[]).scripted);
        assert!(!detect(&paced([300, 4_000, 900, 12_000, 700, 2_500, 1_100, 30_000]), &[]).scripted);
        assert!(detect(&paced([1_000; 3]), &[]).results.is_empty(), "too few to say");
        assert!(detect(&paced([0; 20]), &[]).results.is_empty(), "no time passed: nothing to divide by");
        assert!(detect(&paced([u64::MAX / 2_000; 20]), &[]).scripted);
    }

    #[test]
    fn a_job_that_runs_every_day_is_a_machine() {
        let at = |started_s: i64| Observation { started_s, ..Observation::default() };
        let history: Vec<Observation> = (0..30).map(|day| at(day * 86_400 + 7_201)).collect();
        assert!(detect(&at(40 * 86_400 + 7_200), &history).scripted);
        assert!(!detect(&at(40 * 86_400 + 7_215), &history).scripted);
    }
}
