//! From the scores of a session to one, and from those of a user's sessions to the user's.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::METHOD_VERSION;
use crate::algorithm::Algorithm;

/// By which rules scores are made. Kept with every score, so that it can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// [`METHOD_VERSION`] of the program that made it.
    pub version: u32,
    /// Algorithms that are not used.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub disabled: BTreeSet<Algorithm>,
    /// Algorithms whose score is never dropped from the aggregate.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub trusted: BTreeSet<Algorithm>,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters { version: METHOD_VERSION, disabled: BTreeSet::new(), trusted: BTreeSet::new() }
    }
}

/// Several scores as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// 0 to 100.
    pub score: u8,
    /// The algorithms whose scores it is the mean of; the others were dropped.
    pub kept: BTreeSet<Algorithm>,
}

/// Joins the scores of a session: of three or more the lowest and the highest that are not trusted are dropped (of equal ones
/// the first by name), and the rest is averaged, halves rounded up. None without scores.
pub fn aggregate(scores: &BTreeMap<Algorithm, u8>, parameters: &Parameters) -> Option<Aggregate> {
    let mut kept: BTreeSet<Algorithm> = scores.keys().copied().collect();
    if scores.len() >= 3 {
        let droppable = || scores.iter().filter(|(algorithm, _)| !parameters.trusted.contains(algorithm));
        let lowest = droppable().min_by_key(|(algorithm, score)| (**score, **algorithm)).map(|(name, _)| *name);
        let highest = droppable()
            .filter(|(name, _)| Some(**name) != lowest)
            .max_by_key(|(algorithm, score)| (**score, std::cmp::Reverse(**algorithm)))
            .map(|(name, _)| *name);
        kept.retain(|name| Some(*name) != lowest && Some(*name) != highest);
    }
    let count = u32::try_from(kept.len()).ok().filter(|count| *count > 0)?;
    let sum: u32 = kept.iter().map(|name| u32::from(scores[name])).sum();
    let score = (2 * sum + count) / (2 * count);
    Some(Aggregate { score: u8::try_from(score).unwrap_or(100).min(100), kept })
}

/// The highest score of a user's sessions, for any end of the window: a session counts only as long as no later one scored as
/// high. So there are never more than 101 steps, in whichever order sessions arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Steps(Vec<(i64, u8)>);

impl Steps {
    /// Adds the score of a session that began at this second.
    pub fn add(&mut self, started_s: i64, score: u8) {
        if self.0.iter().any(|(start, other)| *start >= started_s && *other >= score) {
            return;
        }
        self.0.retain(|(start, other)| *start > started_s || *other > score);
        let at = self.0.partition_point(|(start, _)| *start < started_s);
        self.0.insert(at, (started_s, score));
    }

    /// The highest score among the sessions that began at this second or later.
    pub fn highest_since(&self, started_s: i64) -> Option<u8> {
        let at = self.0.partition_point(|(start, _)| *start < started_s);
        // Later ones are lower.
        self.0.get(at).map(|(_, score)| *score)
    }

    /// The steps in order of time, later ones lower.
    pub fn as_slice(&self) -> &[(i64, u8)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Algorithm::*;

    #[test]
    fn the_lowest_and_the_highest_are_dropped_unless_trusted() {
        let check = |scores: &[(Algorithm, u8)], trusted: &[Algorithm], expected: Option<u8>| {
            let parameters = Parameters { trusted: trusted.iter().copied().collect(), ..Parameters::default() };
            let found = aggregate(&scores.iter().copied().collect(), &parameters).map(|found| found.score);
            assert_eq!(found, expected, "{scores:?} {trusted:?}");
        };
        check(&[], &[], None);
        check(&[(Fis, 90)], &[], Some(90));
        check(&[(Fis, 90), (Command, 1)], &[], Some(46));
        check(&[(Fis, 90), (Command, 1), (LoginTime, 40)], &[], Some(40));
        check(&[(Fis, 90), (Command, 1), (LoginTime, 40)], &[Fis], Some(90));
        check(&[(Fis, 90), (Command, 1), (LoginTime, 40)], &[Fis, Command], Some(46));
        check(&[(Fis, 90), (Command, 1), (LoginTime, 40)], &[Fis, Command, LoginTime], Some(44));
        check(&[(Fis, 7), (Command, 7), (LoginTime, 7), (Mouse, 8)], &[], Some(7));
        check(&[(Fis, 100), (Command, 100), (LoginTime, 100)], &[], Some(100));
    }

    #[test]
    fn the_highest_since_any_time_is_known() {
        let sessions = [(10, 50), (20, 90), (30, 20), (30, 20), (40, 30), (5, 99), (25, 90)];
        let mut steps = Steps::default();
        sessions.iter().for_each(|(start, score)| steps.add(*start, *score));
        for since in 0..50 {
            let expected = sessions.iter().filter(|(start, _)| *start >= since).map(|(_, score)| *score).max();
            assert_eq!(steps.highest_since(since), expected, "{since}");
        }
        let mut backwards = Steps::default();
        sessions.iter().rev().for_each(|(start, score)| backwards.add(*start, *score));
        assert_eq!(steps, backwards);
    }
}
