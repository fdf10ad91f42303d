//! The events everybody is measured with: a realistic mix, about 430 bytes of JSON each, seeded.
//!
//! A quarter are logins, a third page loads, a third web requests with headers, the rest administrative changes. Users are
//! zipf-distributed over 2,000 accounts; each has a session at a time and a home address. Time moves on by some
//! milliseconds an event. Apart from user agents nothing repeats verbatim more often than in real trails.

use std::fmt::Write;

use crate::random::{Random, Zipf};

const USERS: usize = 2_000;
/// 2026-01-05T08:00:00Z, in microseconds since the Unix epoch.
const BEGIN_US: i64 = 1_767_600_000_000_000;

/// One event as both sides take it: the JSON for us, and for PostgreSQL the columns a sender would have at hand.
pub struct Sample {
    pub json: String,
    /// The sender's id; empty when events are made without.
    pub id: String,
    pub occurred_at_us: i64,
    pub kind: &'static str,
    pub action: &'static str,
    pub outcome: &'static str,
    pub actor: String,
    pub source: String,
    pub session: String,
}

/// Makes `count` events. `with_ids`: each has a unique id of its own (42 bytes more).
pub fn make(seed: u64, count: usize, with_ids: bool) -> Vec<Sample> {
    let mut generator = Generator { random: Random::new(seed), users: Zipf::new(USERS), now_us: BEGIN_US, with_ids };
    (0..count).map(|_| generator.event()).collect()
}

/// Mean length of the JSON, in bytes.
pub fn mean_bytes(samples: &[Sample]) -> f64 {
    samples.iter().map(|s| s.json.len()).sum::<usize>() as f64 / samples.len() as f64
}

struct Generator {
    random: Random,
    users: Zipf,
    now_us: i64,
    with_ids: bool,
}

impl Generator {
    fn event(&mut self) -> Sample {
        self.now_us += 200 + self.random.below(8_000) as i64;
        let user = self.users.draw(&mut self.random);
        let actor = format!("{}.{}{user}", FIRST[user % FIRST.len()], LAST[(user / 7) % LAST.len()]);
        let source = format!("10.{}.{}.{}", user % 200, (user / 200) % 250, 1 + self.random.below(3));
        // A session lasts about an hour of the trail's time.
        let session = format!("{:016x}", Random::new((user as u64) << 32 | (self.now_us as u64 >> 32)).next());
        let (kind, action, outcome, tail) = match self.random.below(100) {
            0..25 => self.login(),
            25..60 => self.page(),
            60..92 => self.web(),
            _ => self.admin(),
        };

        let mut json = String::with_capacity(600);
        json.push('{');
        let id = if self.with_ids {
            format!("{:016x}{:016x}", self.random.next(), self.random.next())
        } else {
            String::new()
        };
        if self.with_ids {
            write!(json, r#""id":"{id}","#).expect("a String takes everything");
        }
        write!(
            json,
            r#""occurred_at":"{}","kind":"{kind}","action":"{action}","outcome":"{outcome}","actor":{{"id":"u{user:05}","name":"{actor}"}},"source":{{"address":"{source}","port":{}}},"session":"{session}",{tail}}}"#,
            time_text(self.now_us),
            32_768 + self.random.below(28_000),
        )
        .expect("a String takes everything");
        Sample { json, id, occurred_at_us: self.now_us, kind, action, outcome, actor, source, session }
    }

    fn login(&mut self) -> (&'static str, &'static str, &'static str, String) {
        let failed = self.random.below(12) == 0;
        let outcome = if failed { "failure" } else { "success" };
        let tail = format!(
            r#""targets":[{{"type":"service","name":"{}"}}],"message":"{} for login from workstation WS-{:04}","attributes":{{"method":"{}","attempt":{},"mfa":{},"process":{}}}"#,
            self.random.pick(&["portal", "mail", "vpn", "wiki", "payroll", "crm"]),
            if failed { "Password not accepted" } else { "Accepted password" },
            self.random.below(3_000),
            self.random.pick(&["password", "kerberos", "publickey", "otp"]),
            1 + self.random.below(3),
            self.random.below(2) == 0,
            self.random.below(65_000),
        );
        ("authentication", "login", outcome, tail)
    }

    fn page(&mut self) -> (&'static str, &'static str, &'static str, String) {
        let area = self.random.pick(&["customers", "orders", "invoices", "reports", "tickets", "contracts"]);
        let number = self.random.below(900_000);
        let tail = format!(
            r#""targets":[{{"type":"page","id":"/{area}/{number}/{}","name":"{} {number}"}}],"attributes":{{"title":"{} no. {number} - Back office","referrer":"/{area}?page={}","ms":{}}}"#,
            self.random.pick(&["overview", "edit", "history", "documents"]),
            area,
            area,
            self.random.below(80),
            self.random.below(1_500),
        );
        ("page", "view", "success", tail)
    }

    fn web(&mut self) -> (&'static str, &'static str, &'static str, String) {
        let status = *self.random.pick(&[200, 200, 200, 200, 200, 204, 304, 302, 404, 403, 500]);
        let outcome = if status < 400 { "success" } else { "failure" };
        let action = *self.random.pick(&["GET", "GET", "GET", "POST", "PUT"]);
        let tail = format!(
            r#""correlation":"{:016x}","attributes":{{"url":"https://{}.corp.example/api/v2/{}/{}","status":{status},"bytes":{},"headers":{{"user-agent":"{}","accept":"{}","x-request-id":"{:012x}"}}}}"#,
            self.random.next(),
            self.random.pick(&["api", "files", "crm", "erp"]),
            self.random.pick(&["orders", "users", "documents", "search"]),
            self.random.below(1_000_000),
            self.random.below(200_000),
            self.random.pick(&AGENTS),
            self.random.pick(&["application/json", "text/html,*/*;q=0.8"]),
            self.random.next() >> 16,
        );
        ("web", action, outcome, tail)
    }

    fn admin(&mut self) -> (&'static str, &'static str, &'static str, String) {
        let tail = format!(
            r#""targets":[{{"type":"account","id":"u{:05}","name":"account {}"}}],"message":"Changed by request CHG-{:06}: \"{}\"","attributes":{{"member":"{}","old":"{:08x}","new":"{:08x}","approved_by":"u{:05}"}}"#,
            self.random.below(USERS as u64),
            self.random.below(USERS as u64),
            self.random.below(1_000_000),
            self.random.pick(&[
                "joined the finance team",
                "left the company",
                "needs access for the audit",
                "quarterly review"
            ]),
            self.random.pick(&["roles", "groups", "mail_quota", "expires_at"]),
            self.random.next() >> 32,
            self.random.next() >> 32,
            self.random.below(USERS as u64),
        );
        ("admin", "account.change", "success", tail)
    }
}

/// RFC 3339 in UTC with microseconds. Days to date after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub fn time_text(us: i64) -> String {
    let (days, us) = (us.div_euclid(86_400_000_000), us.rem_euclid(86_400_000_000));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let s = us / 1_000_000;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z", s / 3_600, s / 60 % 60, s % 60, us % 1_000_000)
}

const FIRST: [&str; 12] =
    ["anna", "boris", "carla", "deniz", "emil", "fatma", "georg", "hanna", "igor", "julia", "karim", "lena"];
const LAST: [&str; 10] =
    ["meier", "okafor", "schmidt", "novak", "rossi", "tanaka", "weber", "yilmaz", "garcia", "dubois"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/139.0.0.0 Safari/537.36",
    "curl/8.14.1",
    "corp-sync/4.2 (linux; amd64)",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_json_of_about_430_bytes_with_the_columns_they_claim() {
        let samples = make(7, 20_000, false);
        let mean = mean_bytes(&samples);
        assert!((415.0..445.0).contains(&mean), "mean is {mean}");
        for sample in &samples {
            let value: serde_json::Value = serde_json::from_str(&sample.json).expect("valid JSON");
            assert_eq!(value["kind"], sample.kind);
            assert_eq!(value["action"], sample.action);
            assert_eq!(value["outcome"], sample.outcome);
            assert_eq!(value["actor"]["name"], sample.actor);
            assert_eq!(value["source"]["address"], sample.source);
            assert_eq!(value["session"], sample.session);
        }
    }

    #[test]
    fn the_service_takes_every_event() {
        for with_ids in [false, true] {
            for sample in make(8, 2_000, with_ids) {
                if let Err(invalid) = service::NewEvent::from_json(sample.json.as_bytes()) {
                    panic!("{invalid:?}: {}", sample.json);
                }
            }
        }
    }

    #[test]
    fn times_are_written_as_dates() {
        let check = |us, expected| assert_eq!(time_text(us), expected);
        check(0, "1970-01-01T00:00:00.000000Z");
        check(BEGIN_US, "2026-01-05T08:00:00.000000Z");
        check(951_782_400_000_001, "2000-02-29T00:00:00.000001Z");
    }
}
