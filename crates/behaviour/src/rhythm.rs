//! How keys are typed and pointers moved: times between two events, by the pair of their kinds. `docs/risk/keystroke.md`,
//! `docs/risk/mouse.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Upper ends of the buckets of times, in milliseconds. A longer time is a pause, and counts for nothing.
const ENDS_MS: [u64; BUCKETS] = [25, 50, 75, 100, 130, 170, 220, 300, 400, 600, 1_000, 2_000];
/// Buckets of times.
pub const BUCKETS: usize = 12;
/// Times that a session must have.
pub const EVENTS_MIN: u64 = 200;
/// Times of one pair that make it comparable: in the session, and in the history.
const PAIR_MIN: u64 = 5;
const PAIR_HISTORY_MIN: u64 = 20;
/// Two sessions of one person never differ by less.
const SPREAD_MIN: f64 = 0.02;
/// Distances are added up as whole numbers of this part, so that their order cannot matter.
const PARTS: f64 = 1e9;

/// Counts of times by pair and bucket. The name of a pair is two letters of kinds, never what was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rhythm(BTreeMap<String, [u32; BUCKETS]>);

impl Rhythm {
    /// Counts the time between two events.
    pub fn add(&mut self, first: char, second: char, us: u64) {
        let Some(bucket) = ENDS_MS.iter().position(|end| us < end * 1_000) else { return };
        let buckets = self.0.entry(String::from_iter([first, second])).or_default();
        buckets[bucket] = buckets[bucket].saturating_add(1);
    }

    /// How many times were counted.
    pub fn events(&self) -> u64 {
        self.0.values().flatten().map(|count| u64::from(*count)).sum()
    }

    /// Whether there is enough of it to be compared.
    pub fn is_enough(&self) -> bool {
        self.events() >= EVENTS_MIN
    }
}

/// What is usual: all times of all sessions, and how much the sessions differ from each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Habit {
    all: BTreeMap<String, [u64; BUCKETS]>,
    sessions: u32,
    /// Sum of the distances of each session from all others, and of their squares, in billionths.
    distances: u128,
    squares: u128,
    compared: u32,
}

impl Habit {
    /// Learns from the sessions that have enough.
    pub fn build<'a>(sessions: impl IntoIterator<Item = &'a Rhythm>) -> Habit {
        let sessions: Vec<&Rhythm> = sessions.into_iter().filter(|session| session.is_enough()).collect();
        let mut all: BTreeMap<String, [u64; BUCKETS]> = BTreeMap::new();
        for session in &sessions {
            for (pair, counts) in &session.0 {
                let sums = all.entry(pair.clone()).or_default();
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u64::from(*count));
            }
        }
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        let mut made = Habit { all, sessions: count, distances: 0, squares: 0, compared: 0 };
        for session in &sessions {
            if let Some(distance) = made.distance(session, true) {
                let parts = (distance * PARTS).round() as u128;
                made.distances += parts;
                made.squares += parts * parts;
                made.compared += 1;
            }
        }
        made
    }

    /// Sessions with enough events.
    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// The distance of a session from all others, 0 to 1: half the sum of the differences between the shares of the buckets,
    /// for each pair, weighed by how often the pair occurs in the session. `own`: the session is among those learnt from, and
    /// must not be compared with itself. None: no pair is there often enough in both.
    fn distance(&self, session: &Rhythm, own: bool) -> Option<f64> {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (pair, counts) in &session.0 {
            let Some(all) = self.all.get(pair) else { continue };
            let mine: u64 = counts.iter().map(|count| u64::from(*count)).sum();
            let theirs: Vec<u64> =
                all.iter().zip(counts).map(|(all, count)| all - if own { u64::from(*count) } else { 0 }).collect();
            let total: u64 = theirs.iter().sum();
            if mine < PAIR_MIN || total < PAIR_HISTORY_MIN {
                continue;
            }
            let shares = counts.iter().zip(&theirs);
            let apart: f64 = shares.map(|(a, b)| (f64::from(*a) / mine as f64 - *b as f64 / total as f64).abs()).sum();
            sum += apart / 2.0 * mine as f64;
            weight += mine as f64;
        }
        (weight > 0.0).then(|| sum / weight)
    }

    /// Mean and spread of the distances between the user's own sessions.
    fn usual(&self) -> (f64, f64) {
        let count = f64::from(self.compared.max(1));
        let mean = self.distances as f64 / PARTS / count;
        let variance = (self.squares as f64 / (PARTS * PARTS) / count - mean * mean).max(0.0);
        // Of few sessions the spread is not well known.
        (mean, variance.sqrt().max(SPREAD_MIN) * (1.0 + 2.0 / count))
    }

    /// An upper bound of the probability of a session that is so far from all others (Cantelli's inequality), and the
    /// distance. None: nothing in common.
    pub fn probability(&self, session: &Rhythm) -> Option<f64> {
        let distance = self.distance(session, false)?;
        let (mean, spread) = self.usual();
        let deviation = ((distance - mean) / spread).max(0.0);
        Some(1.0 / (1.0 + deviation * deviation))
    }

    /// What is usual, in words.
    pub fn expected(&self) -> String {
        let (mean, spread) = self.usual();
        format!("a distance of {mean:.3} ± {spread:.3} from the other sessions, as its own {} have", self.compared)
    }

    /// What a session has, in words.
    pub fn observed(&self, session: &Rhythm) -> String {
        let distance = self.distance(session, false).unwrap_or(0.0);
        format!("a distance of {distance:.3}, of {} timed events", session.events())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A typist with a speed of their own; `seed` varies a session.
    fn typed(speed_ms: u64, seed: u64) -> Rhythm {
        let mut rhythm = Rhythm::default();
        let mut state = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for n in 0..400_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let jitter = (state >> 33) % 80;
            rhythm.add(['l', 'r'][(n % 2) as usize], 'l', (speed_ms + jitter) * 1_000);
        }
        rhythm
    }

    #[test]
    fn a_foreign_typist_is_far_from_the_user() {
        let own: Vec<Rhythm> = (0..10).map(|seed| typed(90, seed)).collect();
        let habit = Habit::build(&own);
        let (mine, foreign) = (habit.probability(&typed(90, 77)).unwrap(), habit.probability(&typed(200, 78)).unwrap());
        assert!(mine > 0.1 && foreign < 0.01, "{mine} {foreign}");
    }

    #[test]
    fn pauses_and_pairs_that_hardly_occur_say_nothing() {
        let mut rhythm = Rhythm::default();
        rhythm.add('l', 'r', 2_000_000);
        assert_eq!(rhythm, Rhythm::default());
        let habit = Habit::build(&[typed(90, 1), typed(90, 2)]);
        rhythm.add('x', 'y', 1_000);
        assert_eq!(habit.probability(&rhythm), None);
        assert_eq!(Habit::build(&[]).probability(&typed(90, 1)), None);
    }
}
