//! Stops guessing: failures slow the next try down, and then lock the name or the address for a while.
//!
//! Counted by login name, whether or not an account has it: otherwise the lock would tell which names exist. In memory:
//! a restart forgets, an attacker cannot restart us.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::Lockout;

/// Names and addresses that are watched at once; beyond, the ones whose last failure is oldest are forgotten.
const WATCHED_MAX: usize = 20_000;

/// Failures doubled at most this often, so that the delay stays below the lock.
const DOUBLINGS_MAX: u32 = 10;

/// Whom failures are counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A login name in normal form.
    Name(String),
    /// A source address.
    Address(IpAddr),
}

/// What changed, for the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The subject was locked.
    Locked { subject: Subject, until_us: u64, failures: u32 },
    /// The subject's lock is over.
    Unlocked { subject: Subject },
}

/// A try that is not allowed.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// When a try counts again.
    pub until_us: u64,
    /// A try during a delay counts as a failure, so it may lock.
    pub changes: Vec<Change>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Times of the failures within the window, and of tries whose end is not known yet. Ascending.
    failures: Vec<u64>,
    locked_until_us: Option<u64>,
    wait_until_us: u64,
}

/// The failures of all names and addresses.
pub struct Lockouts {
    limits: Lockout,
    watched: HashMap<Subject, Watched>,
}

impl Lockouts {
    /// Nothing is locked.
    pub fn new(limits: Lockout) -> Lockouts {
        Lockouts { limits, watched: HashMap::new() }
    }

    /// Begins a try. It counts as a failure until [`Lockouts::succeeded`] or [`Lockouts::abandoned`] says otherwise, so
    /// that a thousand tries at once are not better than one after another.
    ///
    /// Locks that are over must have been ended by [`Lockouts::expire`] before.
    ///
    /// # Errors
    /// The name or the address is locked, or has to wait.
    pub fn begin(&mut self, name: &str, address: Option<IpAddr>, now_us: u64) -> Result<(), Refused> {
        self.forget(now_us);
        let subjects = subjects(name, address);
        let mut changes = Vec::new();
        let mut until_us = 0;
        for subject in &subjects {
            let most = self.most(subject);
            let watched = self.watched.entry(subject.clone()).or_default();
            watched.trim(now_us, self.limits.window.as_micros() as u64);
            if let Some(until) = watched.locked_until_us {
                until_us = until_us.max(until);
            } else if now_us < watched.wait_until_us {
                // Trying before the delay is over is guessing by machine: it counts.
                watched.failures.push(now_us);
                until_us = until_us.max(watched.wait_until_us);
                changes.extend(watched.lock_if_over(subject, most, now_us, &self.limits));
                until_us = until_us.max(watched.locked_until_us.unwrap_or(0));
            } else if watched.failures.len() >= most as usize {
                // So many are being tried right now that one more could be one too many.
                until_us = until_us.max(now_us + self.limits.slow_down.as_micros() as u64);
            }
        }
        if until_us > 0 {
            return Err(Refused { until_us, changes });
        }
        for subject in subjects {
            self.watched.entry(subject).or_default().failures.push(now_us);
        }
        Ok(())
    }

    /// The try that began was a failure.
    pub fn failed(&mut self, name: &str, address: Option<IpAddr>, now_us: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for subject in subjects(name, address) {
            let most = self.most(&subject);
            let watched = self.watched.entry(subject.clone()).or_default();
            if let Subject::Name(_) = subject {
                // None after the first failure: people mistype once.
                let doublings = (watched.failures.len() as u32).saturating_sub(2).min(DOUBLINGS_MAX);
                if watched.failures.len() >= 2 {
                    watched.wait_until_us = now_us + ((self.limits.slow_down.as_micros() as u64) << doublings);
                }
            }
            changes.extend(watched.lock_if_over(&subject, most, now_us, &self.limits));
        }
        changes
    }

    /// The try that began was right: the name starts afresh. The address does not, or one known password would buy any
    /// number of guesses.
    pub fn succeeded(&mut self, name: &str, address: Option<IpAddr>) {
        self.watched.remove(&Subject::Name(name.to_owned()));
        if let Some(address) = address {
            self.take_back(&Subject::Address(address));
        }
    }

    /// The try that began came to no end of its own; it does not count.
    pub fn abandoned(&mut self, name: &str, address: Option<IpAddr>) {
        for subject in subjects(name, address) {
            self.take_back(&subject);
        }
    }

    /// Ends the lock of a name, because its password was set anew.
    pub fn clear(&mut self, name: &str) -> Option<Change> {
        let subject = Subject::Name(name.to_owned());
        let watched = self.watched.remove(&subject)?;
        watched.locked_until_us.map(|_| Change::Unlocked { subject })
    }

    /// Ends the locks that are over.
    pub fn expire(&mut self, now_us: u64) -> Vec<Change> {
        let over: Vec<Subject> = self
            .watched
            .iter()
            .filter(|(_, watched)| watched.locked_until_us.is_some_and(|until| until <= now_us))
            .map(|(subject, _)| subject.clone())
            .collect();
        over.into_iter()
            .map(|subject| {
                self.watched.remove(&subject);
                Change::Unlocked { subject }
            })
            .collect()
    }

    fn take_back(&mut self, subject: &Subject) {
        if let Some(watched) = self.watched.get_mut(subject) {
            watched.failures.pop();
            if watched.failures.is_empty() && watched.locked_until_us.is_none() {
                self.watched.remove(subject);
            }
        }
    }

    fn most(&self, subject: &Subject) -> u32 {
        match subject {
            Subject::Name(_) => self.limits.failures_max,
            Subject::Address(_) => self.limits.address_failures_max,
        }
    }

    /// Keeps memory bounded: first what counts no more, then the oldest that is not locked.
    fn forget(&mut self, now_us: u64) {
        if self.watched.len() < WATCHED_MAX {
            return;
        }
        let window_us = self.limits.window.as_micros() as u64;
        self.watched.retain(|_, watched| {
            watched.trim(now_us, window_us);
            watched.locked_until_us.is_some() || !watched.failures.is_empty()
        });
        if self.watched.len() < WATCHED_MAX {
            return;
        }
        let mut last: Vec<u64> = self.watched.values().filter_map(|watched| watched.failures.last().copied()).collect();
        last.sort_unstable();
        let cut = last.get(last.len() / 4).copied().unwrap_or(now_us);
        self.watched.retain(|_, watched| {
            watched.locked_until_us.is_some() || watched.failures.last().is_some_and(|last| *last > cut)
        });
    }
}

impl Watched {
    fn trim(&mut self, now_us: u64, window_us: u64) {
        self.failures.retain(|at| at.saturating_add(window_us) > now_us);
    }

    fn lock_if_over(&mut self, subject: &Subject, most: u32, now_us: u64, limits: &Lockout) -> Option<Change> {
        let failures = self.failures.len() as u32;
        if failures < most || self.locked_until_us.is_some() {
            return None;
        }
        let until_us = now_us + limits.lock_for.as_micros() as u64;
        self.locked_until_us = Some(until_us);
        Some(Change::Locked { subject: subject.clone(), until_us, failures })
    }
}

fn subjects(name: &str, address: Option<IpAddr>) -> Vec<Subject> {
    let mut subjects = vec![Subject::Name(name.to_owned())];
    subjects.extend(address.map(Subject::Address));
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    fn lockouts() -> Lockouts {
        Lockouts::new(Lockout { address_failures_max: 8, ..Lockout::default() })
    }

    fn address() -> Option<IpAddr> {
        Some([203, 0, 113, 7].into())
    }

    /// One wrong password; `None` when the try was refused.
    fn fail(lockouts: &mut Lockouts, name: &str, now_us: u64) -> Option<Vec<Change>> {
        lockouts.begin(name, address(), now_us).ok()?;
        Some(lockouts.failed(name, address(), now_us))
    }

    #[test]
    fn five_failures_lock_a_name_for_a_while() {
        let mut lockouts = lockouts();
        for at in 0..4 {
            assert_eq!(fail(&mut lockouts, "ann", at * 10 * S), Some(vec![]), "failure {at}");
        }
        let changes = fail(&mut lockouts, "ann", 40 * S).unwrap();
        let until_us = 940 * S;
        assert_eq!(changes, [Change::Locked { subject: Subject::Name("ann".into()), until_us, failures: 5 }]);
        assert_eq!(lockouts.begin("ann", None, 41 * S).unwrap_err().until_us, until_us);
        assert!(lockouts.begin("bob", None, 41 * S).is_ok(), "another name is not locked");
        assert_eq!(lockouts.expire(until_us - 1), []);
        assert_eq!(lockouts.expire(until_us), [Change::Unlocked { subject: Subject::Name("ann".into()) }]);
        assert!(lockouts.begin("ann", None, until_us).is_ok());
    }

    #[test]
    fn the_second_failure_and_each_after_it_slows_down_twice_as_long() {
        let mut lockouts = lockouts();
        assert!(fail(&mut lockouts, "ann", 0).is_some());
        assert!(fail(&mut lockouts, "ann", 0).is_some(), "one failure slows nobody down");
        assert_eq!(lockouts.begin("ann", None, 1).unwrap_err().until_us, 250_000);
        assert!(fail(&mut lockouts, "ann", S).is_some());
        // That was the fourth failure: the refused try counts.
        assert_eq!(lockouts.begin("ann", None, S + 1).unwrap_err().until_us, 2 * S - S + 15 * 60 * S + 1);
    }

    #[test]
    fn tries_at_once_are_no_better_than_one_after_another() {
        let mut lockouts = lockouts();
        let begun = (0..100).filter(|_| lockouts.begin("ann", None, 0).is_ok()).count();
        assert_eq!(begun, 5);
    }

    #[test]
    fn the_right_password_frees_the_name_but_not_the_address() {
        let mut lockouts = lockouts();
        for n in 0..7 {
            assert!(fail(&mut lockouts, &format!("name{n}"), 0).is_some());
        }
        lockouts.begin("ann", address(), 0).unwrap();
        lockouts.succeeded("ann", address());
        let changes = fail(&mut lockouts, "name8", 0).unwrap();
        assert!(
            matches!(&changes[..], [Change::Locked { subject: Subject::Address(_), failures: 8, .. }]),
            "{changes:?}"
        );
        assert!(lockouts.begin("ann", address(), 0).is_err());
        assert!(lockouts.begin("ann", None, 0).is_ok());
    }

    #[test]
    fn failures_before_the_window_do_not_count() {
        let mut lockouts = lockouts();
        for n in 0..20 {
            let now_us = n * 6 * 60 * S;
            assert_eq!(fail(&mut lockouts, "ann", now_us), Some(vec![]), "try {n}");
        }
    }

    #[test]
    fn memory_is_bounded_and_locks_are_kept() {
        let mut lockouts = lockouts();
        for at in 0..5 {
            fail(&mut lockouts, "ann", at * 10 * S);
        }
        for n in 0..3 * WATCHED_MAX as u64 {
            lockouts.begin(&format!("name{n}"), None, 50 * S + n).unwrap();
        }
        assert!(lockouts.watched.len() <= WATCHED_MAX, "{}", lockouts.watched.len());
        assert!(lockouts.begin("ann", None, 60 * S).is_err(), "the lock was not forgotten");
    }

    #[test]
    fn a_try_that_came_to_nothing_does_not_count() {
        let mut lockouts = lockouts();
        for _ in 0..100 {
            lockouts.begin("ann", address(), 0).unwrap();
            lockouts.abandoned("ann", address());
        }
        assert!(lockouts.watched.is_empty());
    }
}
