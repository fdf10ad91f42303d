//! A generated history: people at work over thirty days, with a password attack in the middle. Pure and seeded: the same
//! seed and start give the same events, so that demos and benchmarks can be repeated and checked.

pub mod terminal;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// SplitMix64: small, seeded, good enough for making up a history; not for secrets.
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for one seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in 0..n; `n` must not be 0.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        // The index is below the length, which fits usize.
        &items[self.below(items.len() as u64) as usize]
    }

    /// Small numbers far more often than large ones (an approximate zipf law over 0..n).
    fn skewed(&mut self, n: u64) -> u64 {
        let top = self.below(n) + 1;
        self.below(top)
    }
}

const GIVEN: &[&str] =
    &["ann", "ben", "chloe", "dmitri", "elif", "farid", "grace", "hugo", "ines", "jun", "kofi", "lena"];
const FAMILY: &[&str] = &["abel", "berg", "costa", "dahl", "eze", "fujita", "garcia", "haas", "iqbal", "jansen"];
const PAGES: &[&str] =
    &["/dashboard", "/reports/quarter", "/customers", "/customers/4711", "/settings", "/invoices/open"];
const SITES: &[(&str, &str)] = &[
    ("docs.example.com", "/guide/start"),
    ("mail.example.net", "/inbox"),
    ("news.example.org", "/today"),
    ("git.example.com", "/team/app/merge/81"),
    ("ads.example.biz", "/click"),
];
const FILES: &[&str] = &["forecast.xlsx", "contract-2291.pdf", "customers.csv", "backup.tar.zst", "photo.heic"];
const CHANGES: &[(&str, &str)] = &[
    ("user.created", "account"),
    ("role.granted", "account"),
    ("policy.changed", "policy"),
    ("key.rotated", "key"),
    ("user.disabled", "account"),
];

/// An endless history, oldest first. `id` members are unique, so sending it twice adds nothing.
pub struct History {
    dice: Dice,
    seed: u64,
    at: Timestamp,
    step: SignedDuration,
    made: u64,
    attack: std::ops::Range<u64>,
}

impl History {
    /// `count` events spread over the thirty days before `until`.
    pub fn new(seed: u64, count: u64, until: Timestamp) -> History {
        let span = SignedDuration::from_hours(30 * 24);
        let step =
            SignedDuration::from_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX) / count.max(1) as i64);
        let attack_at = count * 6 / 10;
        History {
            dice: Dice::new(seed),
            seed,
            at: until.checked_sub(span).unwrap_or(until),
            step,
            made: 0,
            attack: attack_at..attack_at + (count / 100).clamp(5, 400),
        }
    }

    fn person(&mut self) -> (String, String) {
        let n = self.dice.skewed((GIVEN.len() * FAMILY.len()) as u64) as usize;
        let name = format!("{}.{}@northwind.example", GIVEN[n % GIVEN.len()], FAMILY[n / GIVEN.len()]);
        let address = format!("10.{}.{}.{}", 20 + n % 3, n % 200, 10 + self.dice.skewed(4));
        (name, address)
    }

    fn event(&mut self) -> Value {
        if self.attack.contains(&self.made) {
            let (victim, _) = self.person();
            let last = self.made + 1 == self.attack.end;
            return json!({
                "kind": "authentication", "action": "login", "outcome": if last { "success" } else { "failure" },
                "actor": { "name": victim }, "source": { "address": "198.51.100.23" },
                "message": if last { "password accepted" } else { "wrong password" },
                "attributes": { "method": "password", "client": "python-requests/2.31" }
            });
        }
        let (name, address) = self.person();
        let session = format!("s-{:08x}", self.dice.below(1 << 32));
        match self.dice.below(100) {
            0..12 => {
                let failed = self.dice.below(100) < 6;
                json!({
                    "kind": "authentication", "action": "login", "outcome": if failed { "failure" } else { "success" },
                    "actor": { "name": name }, "source": { "address": address }, "session": session,
                    "attributes": { "method": *self.dice.pick(&["password", "sso", "passkey"]) }
                })
            }
            12..52 => {
                let page = *self.dice.pick(PAGES);
                json!({
                    "kind": "page", "action": "page.load", "outcome": "success", "actor": { "name": name },
                    "source": { "address": address }, "session": session, "targets": [{ "type": "page", "id": page }],
                    "attributes": { "milliseconds": 20 + self.dice.skewed(900) }
                })
            }
            52..82 => {
                let (domain, path) = *self.dice.pick(SITES);
                let blocked = domain.starts_with("ads.");
                json!({
                    "kind": "web", "action": if blocked { "request.blocked" } else { "request" },
                    "outcome": if blocked { "failure" } else { "success" },
                    "actor": { "name": name }, "source": { "address": address }, "session": session,
                    "targets": [{ "type": "url", "id": format!("https://{domain}{path}") }],
                    "attributes": {
                        "method": *self.dice.pick(&["GET", "GET", "GET", "POST"]), "domain": domain, "path": path,
                        "response_code": if blocked { 403 } else { 200 }, "response_size": 200 + self.dice.skewed(60_000),
                        "headers": format!("Host: {domain}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*")
                    }
                })
            }
            82..94 => {
                let up = self.dice.below(3) == 0;
                let file = *self.dice.pick(FILES);
                json!({
                    "kind": "file", "action": if up { "upload" } else { "download" }, "outcome": "success",
                    "actor": { "name": name }, "source": { "address": address }, "session": session,
                    "targets": [{ "type": "file", "name": file }], "attributes": { "bytes": 1_000 + self.dice.below(9_000_000) }
                })
            }
            _ => {
                let (action, target) = *self.dice.pick(CHANGES);
                let (whom, _) = self.person();
                json!({
                    "kind": "admin", "action": action, "outcome": "success", "actor": { "name": "it.admin@northwind.example" },
                    "source": { "address": "10.20.0.5" }, "targets": [{ "type": target, "name": whom }],
                    "message": "changed in the console"
                })
            }
        }
    }
}

impl Iterator for History {
    type Item = String;

    /// The next event as canonical JSON text.
    fn next(&mut self) -> Option<String> {
        let mut event = self.event();
        let jitter = self.dice.below(u64::try_from(self.step.as_micros()).unwrap_or(0).max(1));
        let at = self.at.checked_add(SignedDuration::from_micros(i64::try_from(jitter).unwrap_or(0))).ok()?;
        event["occurred_at"] = Value::String(at.to_string());
        event["id"] = Value::String(format!("demo-{:x}-{}", self.seed, self.made));
        self.at = self.at.checked_add(self.step).ok()?;
        self.made += 1;
        Some(event.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_history_and_another_seed_another() {
        let until: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
        let make = |seed| History::new(seed, 500, until).take(500).collect::<Vec<_>>();
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }

    #[test]
    fn the_history_is_thirty_days_long_and_holds_the_attack() {
        let until: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
        let events: Vec<Value> =
            History::new(7, 1_000, until).take(1_000).map(|e| serde_json::from_str(&e).expect("JSON")).collect();
        let failures = events.iter().filter(|e| e["source"]["address"] == "198.51.100.23" && e["outcome"] == "failure");
        assert_eq!(failures.count(), 9);
        let first: Timestamp = events[0]["occurred_at"].as_str().expect("text").parse().expect("a time");
        let days = until.duration_since(first).as_hours() / 24;
        assert!((29..=30).contains(&days), "{days}");
    }
}
