//! How long sessions of clients may still be idle: kept in memory, forgotten at a restart, which counts as a use.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use service::{Timestamp, TokenId};

/// Sessions of which the last use is remembered; beyond that the idle ones are forgotten first.
const SESSIONS_MAX: usize = 100_000;

/// The longest life of a session, however busy (seen on a real appliance).
pub const LIFE: Duration = Duration::from_secs(43_200);

/// When each session was used last.
pub struct Idle {
    timeout_s: i64,
    uses: Mutex<HashMap<TokenId, Use>>,
}

#[derive(Clone, Copy)]
struct Use {
    last_s: i64,
    /// When the session ends in any case.
    end_s: i64,
}

impl Idle {
    /// Sessions end after this long without a use.
    pub fn new(timeout: Duration) -> Idle {
        Idle { timeout_s: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX), uses: Mutex::default() }
    }

    /// A session begins; gives the seconds that it has.
    pub fn begin(&self, token: TokenId, now: Timestamp) -> u64 {
        let end_s = now.as_second() + i64::try_from(LIFE.as_secs()).expect("half a day in seconds");
        let mut uses = self.uses.lock();
        if uses.len() >= SESSIONS_MAX {
            let oldest = now.as_second() - self.timeout_s;
            uses.retain(|_, used| used.last_s > oldest);
            // All of them at work: forgetting is no harm but that one more idle time is granted.
            if uses.len() >= SESSIONS_MAX {
                uses.clear();
            }
        }
        uses.insert(token, Use { last_s: now.as_second(), end_s });
        self.left(Use { last_s: now.as_second(), end_s }, now)
    }

    /// A session is used; gives the seconds that it has from now on, or none if it was idle for too long.
    pub fn touch(&self, token: TokenId, now: Timestamp) -> Option<u64> {
        let mut uses = self.uses.lock();
        let end_s = now.as_second() + i64::try_from(LIFE.as_secs()).expect("half a day in seconds");
        let used = uses.entry(token).or_insert(Use { last_s: now.as_second(), end_s });
        if now.as_second() - used.last_s >= self.timeout_s {
            uses.remove(&token);
            return None;
        }
        used.last_s = now.as_second();
        let used = *used;
        Some(self.left(used, now))
    }

    /// A session is over.
    pub fn end(&self, token: TokenId) {
        self.uses.lock().remove(&token);
    }

    fn left(&self, used: Use, now: Timestamp) -> u64 {
        u64::try_from(self.timeout_s.min(used.end_s - now.as_second())).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lives_as_long_as_it_is_used_and_no_longer_than_half_a_day() {
        let idle = Idle::new(Duration::from_secs(1_200));
        let token = TokenId::from_bytes([1; 16]);
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        assert_eq!(idle.begin(token, at(0)), 1_200);
        for n in 1..=37 {
            assert_eq!(idle.touch(token, at(n * 1_150)), Some(1_200.min(43_200 - n as u64 * 1_150)), "{n}");
        }
        assert_eq!(idle.touch(token, at(37 * 1_150 + 1_200)), None);
        // Forgotten, as after a restart: that it ends after half a day in any case is the token's own business.
        assert_eq!(idle.touch(token, at(50_000)), Some(1_200));
    }
}
