//! Which properties of sessions come together: frequent item sets. `docs/risk/fis.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::observation::Observation;

/// Largest set.
const ITEMS_MAX: usize = 3;
/// A set is frequent if it occurs in one session of this many, and in at least [`SUPPORT_MIN`].
const ONE_IN: u32 = 5;
const SUPPORT_MIN: u32 = 3;
/// Steps between having no frequent set and having all of them.
const STEPS: usize = 100;

/// Sets of properties that at least a fifth of the sessions have, and how many of them each past session had.
///
/// A session has at most seven properties, so at most `5 * (7 + 21 + 35)` sets can be frequent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fis {
    /// Properties joined by ` + `, and in how many sessions they come together.
    sets: BTreeMap<String, u32>,
    /// How many past sessions reached each step, 0 to [`STEPS`].
    reached: Vec<u32>,
    sessions: u32,
}

impl Fis {
    /// Mines the sets level by level (Agrawal and Srikant 1994). None: there are none.
    pub fn build(history: &[&Observation]) -> Option<Fis> {
        let sessions: Vec<Vec<String>> = history.iter().map(|session| items(session)).collect();
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        let least = SUPPORT_MIN.max(count.div_ceil(ONE_IN));
        let mut sets: BTreeMap<String, u32> = BTreeMap::new();
        let mut frequent: BTreeSet<String> = BTreeSet::new();
        for size in 1..=ITEMS_MAX {
            let mut level: BTreeMap<String, u32> = BTreeMap::new();
            for items in &sessions {
                // Only what is frequent by itself can be part of something frequent.
                let items: Vec<&String> = items.iter().filter(|item| size == 1 || frequent.contains(*item)).collect();
                each_set(&items, size, &mut |set| *level.entry(set).or_default() += 1);
            }
            level.retain(|_, support| *support >= least);
            if size == 1 {
                frequent = level.keys().cloned().collect();
            }
            sets.append(&mut level);
        }
        if sets.is_empty() {
            return None;
        }
        let mut made = Fis { sets, reached: vec![0; STEPS + 1], sessions: count };
        for items in &sessions {
            let step = made.step(items);
            made.reached[step] += 1;
        }
        Some(made)
    }

    /// The probability of a session that has as few of the frequent sets.
    pub fn probability(&self, session: &Observation) -> f64 {
        let step = self.step(&items(session));
        let fewer: u64 = self.reached[..=step].iter().map(|count| u64::from(*count)).sum();
        ((fewer as f64 + 0.5) / (f64::from(self.sessions) + 1.0)).min(1.0)
    }

    /// The outlier factor of He, Xu and Deng (2005) as a share: support of the sets that the session has, of that of all.
    fn step(&self, items: &[String]) -> usize {
        let (mut has, mut all) = (0_u64, 0_u64);
        all += self.sets.values().map(|support| u64::from(*support)).sum::<u64>();
        let items: Vec<&String> = items.iter().collect();
        for size in 1..=ITEMS_MAX {
            each_set(&items, size, &mut |set| has += self.sets.get(&set).map_or(0, |support| u64::from(*support)));
        }
        // There is at least one set, and each has a support.
        (has * STEPS as u64 / all) as usize
    }

    /// The sets with the most support.
    pub fn expected(&self) -> String {
        let mut sets: Vec<(&String, u32)> = self.sets.iter().map(|(set, support)| (set, *support)).collect();
        // Larger sets say more.
        sets.sort_by_key(|(set, support)| (std::cmp::Reverse(set.matches(" + ").count()), std::cmp::Reverse(*support)));
        let shown: Vec<String> =
            sets.iter().take(3).map(|(set, support)| format!("{set} ({support} of {})", self.sessions)).collect();
        shown.join("; ")
    }

    pub fn observed(&self, session: &Observation) -> String {
        let items = items(session);
        let unusual: Vec<&str> =
            items.iter().filter(|item| !self.sets.contains_key(*item)).map(String::as_str).collect();
        let share = self.step(&items);
        match unusual.is_empty() {
            true => format!("{share} % of the frequent sets"),
            false => format!("{share} % of the frequent sets; not frequent: {}", unusual.join(", ")),
        }
    }

    /// Whether a past session reached no more than this one.
    pub fn is_like(&self, session: &Observation, past: &Observation) -> bool {
        self.step(&items(past)) <= self.step(&items(session))
    }
}

/// The properties of a session, sorted.
fn items(session: &Observation) -> Vec<String> {
    let hour = session.started_s.rem_euclid(86_400) / 3_600;
    let day = (session.started_s.div_euclid(86_400) + 3).rem_euclid(7);
    let from = hour / 4 * 4;
    let mut items =
        vec![format!("hour={from:02}-{:02}", from + 4), format!("day={}", if day < 5 { "workday" } else { "weekend" })];
    let given = [
        ("client", &session.client),
        ("server", &session.server),
        ("protocol", &session.protocol),
        ("login", &session.login),
    ];
    items.extend(given.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))));
    items.sort_unstable();
    items
}

/// Every set of this many of the items, which are sorted.
fn each_set(items: &[&String], size: usize, each: &mut dyn FnMut(String)) {
    for (at, first) in items.iter().enumerate() {
        if size == 1 {
            each((*first).clone());
            continue;
        }
        let rest = &items[at + 1..];
        for (at, second) in rest.iter().enumerate() {
            match size {
                2 => each(format!("{first} + {second}")),
                _ => rest[at + 1..].iter().for_each(|third| each(format!("{first} + {second} + {third}"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client: &str, server: &str, hour: i64) -> Observation {
        Observation {
            started_s: 1_767_571_200 + hour * 3_600,
            client: Some(client.into()),
            server: Some(server.into()),
            ..Observation::default()
        }
    }

    #[test]
    fn what_is_usual_by_itself_can_be_unusual_together() {
        // From the office to the database by day, from home to the mail server by night.
        let history: Vec<Observation> = (0..40)
            .map(|n| if n % 2 == 0 { session("office", "db", 9) } else { session("home", "mail", 21) })
            .collect();
        let fis = Fis::build(&history.iter().collect::<Vec<_>>()).unwrap();
        assert!(fis.probability(&session("office", "db", 9)) > 0.9);
        // Every property was seen in half of the sessions; never these together.
        assert!(fis.probability(&session("home", "db", 21)) < 0.02, "{}", fis.probability(&session("home", "db", 21)));
        assert!(fis.expected().contains("of 40"), "{}", fis.expected());
    }

    #[test]
    fn without_anything_frequent_there_is_no_baseline() {
        assert_eq!(Fis::build(&[]), None);
        let one = session("a", "b", 1);
        assert_eq!(Fis::build(&[&one, &one]), None);
    }
}
