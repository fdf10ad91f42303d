//! Probabilities, and the one scale on which they become scores.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Different values that a baseline keeps of one kind. Those seen least often are left out, and count as new.
pub const VALUES_MAX: usize = 1_000;

/// The probability from which on a score is 100.
const PROBABILITY_MIN: f64 = 0.001;

/// The score of something of which one would see the like, or something more unusual, with this probability:
/// `-100 log10(p) / 3`, rounded, within 0 to 100. So 1 gives 0, one in ten 33, one in a hundred 67, one in a thousand 100.
pub fn score_of(probability: f64) -> u8 {
    let probability = if probability.is_nan() { 1.0 } else { probability.clamp(PROBABILITY_MIN, 1.0) };
    // Within 0 to 100 by the clamp.
    (-100.0 * probability.log10() / 3.0).round().clamp(0.0, 100.0) as u8
}

/// How often each value of a kind occurred, with what is to be expected of values never seen (Good 1953).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequencies {
    counts: BTreeMap<String, u32>,
    total: u64,
    /// Values seen exactly once.
    singles: u64,
    /// Values that did not fit.
    left_out: u64,
    /// For each count that occurs: occurrences of all values with at most this count.
    up_to: BTreeMap<u32, u64>,
}

impl Frequencies {
    /// Counts values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Frequencies {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for value in values {
            let count = counts.entry(value).or_default();
            *count = count.saturating_add(1);
        }
        let mut up_to: BTreeMap<u32, u64> = BTreeMap::new();
        for count in counts.values() {
            *up_to.entry(*count).or_default() += u64::from(*count);
        }
        let mut total = 0;
        for sum in up_to.values_mut() {
            total += *sum;
            *sum = total;
        }
        let singles = counts.values().filter(|count| **count == 1).count() as u64;
        let left_out = counts.len().saturating_sub(VALUES_MAX) as u64;
        let mut kept: Vec<(&str, u32)> = counts.into_iter().collect();
        if left_out > 0 {
            kept.sort_by_key(|(value, count)| (Reverse(*count), *value));
            kept.truncate(VALUES_MAX);
        }
        let counts = kept.into_iter().map(|(value, count)| (value.to_owned(), count)).collect();
        Frequencies { counts, total, singles, left_out, up_to }
    }

    /// How often a value was seen; 0 for one that was not, or did not fit.
    pub fn count(&self, value: &str) -> u32 {
        self.counts.get(value).copied().unwrap_or(0)
    }

    /// All occurrences.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The probability that the next value is one never seen: `(seen once + 1/2) / (total + 1)`.
    pub fn unseen(&self) -> f64 {
        (self.singles as f64 + 0.5) / (self.total as f64 + 1.0)
    }

    /// The probability of a value that was seen no more often than this one. Never grows as the count falls.
    pub fn at_most_as_common(&self, value: &str) -> f64 {
        let unseen = self.unseen();
        match self.up_to.get(&self.count(value)) {
            // A count that occurs is the count of something, so the total is not 0.
            Some(sum) => unseen + (1.0 - unseen) * (*sum as f64 / self.total as f64),
            None => unseen,
        }
    }

    /// The values seen most often, with their counts; ties by name.
    pub fn most_common(&self, most: usize) -> Vec<(&str, u32)> {
        let mut all: Vec<(&str, u32)> = self.counts.iter().map(|(value, count)| (value.as_str(), *count)).collect();
        all.sort_by_key(|(value, count)| (Reverse(*count), *value));
        all.truncate(most);
        all
    }

    /// `db1 (41 of 60), db2 (12), … and 3 more`.
    pub fn describe(&self, most: usize) -> String {
        let mut parts: Vec<String> = Vec::new();
        for (at, (value, count)) in self.most_common(most).into_iter().enumerate() {
            parts.push(if at == 0 {
                format!("{value} ({count} of {})", self.total)
            } else {
                format!("{value} ({count})")
            });
        }
        let more = self.counts.len() as u64 + self.left_out - parts.len() as u64;
        let text = parts.join(", ");
        if more > 0 { format!("{text} and {more} more") } else { text }
    }
}

/// The smallest probabilities of several that are looked at together.
const JOINED_MAX: usize = 5;

/// Several probabilities as one: how improbable it is that, of `m` independent ones, so many are so small. For each `k` up to
/// five that is the upper tail of the binomial distribution of `m` and the `k`-th smallest, from `k` on (Berk and Jones 1979);
/// the least of them counts, times how many there were. 1 for none.
pub fn joined(mut probabilities: Vec<f64>) -> f64 {
    let all = probabilities.len();
    if all == 0 {
        return 1.0;
    }
    probabilities.sort_by(f64::total_cmp);
    let looked_at = all.min(JOINED_MAX);
    let tails = (1..=looked_at).map(|k| binomial_tail(all, k, probabilities[k - 1].clamp(0.0, 1.0)));
    (looked_at as f64 * tails.fold(1.0, f64::min)).min(1.0)
}

/// The probability of at least `k` of `m` when each has probability `p`.
fn binomial_tail(m: usize, k: usize, p: f64) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for i in 0..=m {
        if i >= k {
            // There are at most as many as a session has commands: a few hundred.
            sum += ways * p.powi(i as i32) * (1.0 - p).powi((m - i) as i32);
        }
        ways = ways * (m - i) as f64 / (i + 1) as f64;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousandth_is_the_end_of_the_scale() {
        let check = |probability: f64, expected: u8| assert_eq!(score_of(probability), expected, "{probability}");
        check(1.0, 0);
        check(2.0, 0);
        check(0.1, 33);
        check(0.01, 67);
        check(0.001, 100);
        check(0.0, 100);
        check(-1.0, 100);
        check(f64::NAN, 0);
    }

    #[test]
    fn what_was_never_seen_is_as_likely_as_what_was_seen_once() {
        let frequencies = Frequencies::of(["a"; 58].into_iter().chain(["b", "c"]));
        assert_eq!((frequencies.total(), frequencies.count("a"), frequencies.count("x")), (60, 58, 0));
        assert!((frequencies.unseen() - 2.5 / 61.0).abs() < 1e-12);
        assert_eq!(frequencies.at_most_as_common("x").to_bits(), frequencies.unseen().to_bits());
        assert!(frequencies.at_most_as_common("b") > frequencies.unseen());
        assert!((frequencies.at_most_as_common("a") - 1.0).abs() < 1e-12);
        assert_eq!(frequencies.describe(2), "a (58 of 60), b (1) and 1 more");
        assert_eq!(Frequencies::of([]).at_most_as_common("x"), 0.5);
    }

    #[test]
    fn values_that_do_not_fit_count_as_new_and_are_told() {
        let names: Vec<String> = (0..VALUES_MAX + 10).map(|n| format!("{n:05}")).collect();
        let frequencies = Frequencies::of(names.iter().map(String::as_str).chain(["00001"]));
        assert_eq!((frequencies.count("00001"), frequencies.count("01009")), (2, 0));
        assert!(frequencies.describe(1).ends_with("and 1009 more"), "{}", frequencies.describe(1));
    }

    #[test]
    fn many_unusual_things_weigh_more_than_one_of_many() {
        let of = |unusual: usize, usual: usize| joined([vec![0.01; unusual], vec![0.9; usual]].concat());
        assert!((of(1, 0) - 0.01).abs() < 1e-12 && joined(Vec::new()) == 1.0);
        // Only the five smallest are looked at, so more of the same change nothing.
        assert!(of(1, 7) > of(5, 3) && of(5, 3) >= of(8, 0) && of(8, 0) > 0.0);
        assert!((joined(vec![0.5; 200]) - 1.0).abs() < 1e-9 && joined(vec![0.0; 200]) < 1e-9);
        assert!((binomial_tail(3, 2, 0.5) - 0.5).abs() < 1e-12);
    }
}
