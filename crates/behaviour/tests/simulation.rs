//! Two hundred people over a hundred and twenty days, some of whom do what they never did: what is found, and by whom.
//!
//! Goal: numbers that a reader can doubt. Method: everything is drawn from one seed. Each person has hours, servers, programs and
//! a way of typing of their own, with the noise that people have: late evenings, holidays, a new server now and then. In the last
//! thirty days anomalies of four kinds are planted. Every session of those days is scored against the ninety days before it, and
//! the same sessions are judged by two simple rivals. The table in `docs/risk/simulation.md` is what came out; `BLESS=1` writes it
//! anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use behaviour::{Algorithm, Baselines, LOOK_BACK_S, Meter, Observation, Parameters, script};

const USERS: usize = 200;
const DAYS: i64 = 120;
const JUDGED_FROM: i64 = 90;
/// A score from which on somebody is told.
const TOLD_FROM: u8 = 50;
/// 2026-01-05, a Monday.
const START_S: i64 = 1_767_571_200;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// About normal: the sum of twelve uniform ones.
    fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.below(1 << 30) as f64 / (1_u64 << 30) as f64).sum();
        mean + (sum - 6.0) * deviation
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Planted {
    NewHostAtNight,
    Scripted,
    ForeignTypist,
    UnusualCommands,
}

const PLANTED: [Planted; 4] =
    [Planted::NewHostAtNight, Planted::Scripted, Planted::ForeignTypist, Planted::UnusualCommands];

struct Person {
    name: String,
    hour: f64,
    spread: f64,
    weekends: u64,
    servers: Vec<String>,
    programs: Vec<String>,
    client: String,
    key_ms: f64,
    key_spread: f64,
}

const PROGRAMS: [&str; 24] = [
    "ls",
    "cd",
    "git",
    "vim",
    "make",
    "grep",
    "tail",
    "less",
    "ssh",
    "kubectl",
    "psql",
    "systemctl",
    "journalctl",
    "docker",
    "python3",
    "cargo",
    "npm",
    "curl",
    "top",
    "df",
    "find",
    "awk",
    "scp",
    "man",
];
const TOOLS: [&str; 8] = ["nmap", "tcpdump", "nc", "mimipenguin", "john", "hydra", "socat", "chisel"];

fn person(number: usize, random: &mut Random) -> Person {
    let servers = (0..1 + random.below(5)).map(|_| format!("srv{}", random.below(60))).collect();
    let mut programs: Vec<String> = PROGRAMS.iter().map(|name| (*name).to_owned()).collect();
    for at in 0..programs.len() {
        let other = random.below(programs.len() as u64) as usize;
        programs.swap(at, other);
    }
    programs.truncate(8 + random.below(8) as usize);
    Person {
        name: format!("user{number:03}"),
        hour: random.normal(9.5, 1.5),
        spread: 0.4 + random.below(20) as f64 / 10.0,
        weekends: if random.chance(20) { 30 } else { 1 },
        servers,
        programs,
        client: format!("10.0.{}.{}", number / 250, number % 250),
        key_ms: random.normal(170.0, 35.0).max(70.0),
        key_spread: 30.0 + random.below(40) as f64,
    }
}

fn session(person: &Person, other: &Person, day: i64, planted: Option<Planted>, random: &mut Random) -> Observation {
    let is_night = planted == Some(Planted::NewHostAtNight);
    let hour = match (is_night, random.chance(4)) {
        (true, _) => random.normal(3.0, 0.7),
        // An evening now and then.
        (false, true) => random.normal(20.5, 1.0),
        (false, false) => random.normal(person.hour, person.spread),
    };
    let server = match planted {
        Some(Planted::NewHostAtNight) => format!("vault{}", random.below(3)),
        // A server that is new to this person, for a good reason.
        _ if random.chance(2) => format!("srv{}", random.below(60)),
        _ => {
            let mostly = random.below(person.servers.len() as u64).min(random.below(person.servers.len() as u64));
            person.servers[mostly as usize].clone()
        }
    };
    let mut meter = Meter::default();
    let typist = if planted == Some(Planted::ForeignTypist) { other } else { person };
    let mut at_us = 1_000_000;
    for number in 0..8 + random.below(8) {
        let program = match planted {
            Some(Planted::UnusualCommands) if number % 2 == 0 => TOOLS[random.below(8) as usize].to_owned(),
            // Something from the manual, now and then.
            _ if random.chance(3) => format!("tool{}", random.below(400)),
            _ => person.programs[random.below(person.programs.len() as u64) as usize].clone(),
        };
        let line = format!("{program} -x some/argument{}", random.below(100));
        for key in line.bytes() {
            let ms = match planted {
                Some(Planted::Scripted) => 1.0,
                _ => random.normal(typist.key_ms, typist.key_spread).max(12.0),
            };
            at_us += (ms * 1_000.0) as u64;
            meter.input(at_us, &[key]);
        }
        at_us += match planted {
            Some(Planted::Scripted) => 500_000,
            _ => random.normal(300_000.0, 50_000.0).max(50_000.0) as u64,
        };
        meter.input(at_us, b"\r");
        meter.command(at_us, &line);
        at_us += match planted {
            Some(Planted::Scripted) => 0,
            _ => 500_000 + random.below(20_000_000),
        };
    }
    Observation {
        entry: 0,
        started_s: START_S + day * 86_400 + (hour.clamp(0.0, 23.99) * 3_600.0) as i64,
        client: Some(person.client.clone()),
        server: Some(server),
        protocol: Some("ssh".into()),
        login: None,
        measures: meter.finish(),
    }
}

/// Alarms and hits of one judge.
#[derive(Clone, Debug, Default)]
struct Tally {
    alarms: u32,
    planted: u32,
    by_kind: BTreeMap<Planted, u32>,
}

impl Tally {
    fn take(&mut self, told: bool, planted: Option<Planted>) {
        if told {
            self.alarms += 1;
            if let Some(kind) = planted {
                self.planted += 1;
                *self.by_kind.entry(kind).or_default() += 1;
            }
        }
    }
}

#[test]
fn the_table_in_the_documentation_is_what_comes_out() {
    let mut random = Random(20_261_121);
    let people: Vec<Person> = (0..USERS).map(|number| person(number, &mut random)).collect();
    let mut judges: BTreeMap<String, Tally> = BTreeMap::new();
    let mut totals: BTreeMap<Planted, u32> = BTreeMap::new();
    let (mut judged, mut sessions_in_all) = (0_u32, 0_u32);
    let parameters = Parameters::default();
    for (number, person) in people.iter().enumerate() {
        let other = &people[(number + 77) % USERS];
        let mut history: Vec<Observation> = Vec::new();
        // One in two people has one anomaly of a kind.
        let plan = (number % 2 == 0).then(|| (PLANTED[number / 2 % 4], JUDGED_FROM + random.below(28) as i64));
        let mut is_planted = false;
        for day in 0..DAYS {
            let is_weekend = day % 7 >= 5;
            let works = if is_weekend { random.chance(person.weekends) } else { random.chance(85) };
            let due = plan.filter(|(_, from)| day >= *from && !is_planted).map(|(kind, _)| kind);
            let mut of_day: Vec<(Observation, Option<Planted>)> = Vec::new();
            if works {
                for _ in 0..1 + random.below(2) {
                    of_day.push((session(person, other, day, None, &mut random), None));
                }
            }
            if let Some(kind) = due {
                of_day.push((session(person, other, day, Some(kind), &mut random), Some(kind)));
                is_planted = true;
            }
            sessions_in_all += of_day.len() as u32;
            if day >= JUDGED_FROM && !of_day.is_empty() {
                let since = START_S + day * 86_400 - LOOK_BACK_S;
                history.retain(|past| past.started_s >= since);
                let baselines = Baselines::build(&history, &parameters);
                let hours: Vec<f64> = history.iter().map(hour).collect();
                let mean = hours.iter().sum::<f64>() / hours.len() as f64;
                let deviation =
                    (hours.iter().map(|h| (h - mean).powi(2)).sum::<f64>() / hours.len() as f64).sqrt().max(0.01);
                let servers: BTreeSet<&String> = history.iter().filter_map(|past| past.server.as_ref()).collect();
                let programs: BTreeSet<&String> =
                    history.iter().flat_map(|past| past.measures.commands.keys()).collect();
                for (session, planted) in &of_day {
                    judged += 1;
                    if let Some(kind) = planted {
                        *totals.entry(*kind).or_default() += 1;
                    }
                    let scored = baselines.score(session);
                    for name in Algorithm::ALL {
                        if let Some(found) = scored.scores.get(&name) {
                            let judge = judges.entry(format!("{name} ≥ {TOLD_FROM}")).or_default();
                            judge.take(found.score >= TOLD_FROM, *planted);
                        }
                    }
                    let aggregated = scored.aggregate.map_or(0, |found| found.score);
                    judges.entry("aggregate ≥ 40".into()).or_default().take(aggregated >= 40, *planted);
                    let scripted = script::detect(session, &history).scripted;
                    judges.entry("script detection".into()).or_default().take(scripted, *planted);
                    let z = ((hour(session) - mean) / deviation).abs();
                    judges.entry("rival: z-score on hour > 3".into()).or_default().take(z > 3.0, *planted);
                    let new_server = session.server.as_ref().is_some_and(|server| !servers.contains(server));
                    judges.entry("rival: server never seen".into()).or_default().take(new_server, *planted);
                    let new_program = session.measures.commands.keys().any(|program| !programs.contains(program));
                    judges.entry("rival: command never seen".into()).or_default().take(new_program, *planted);
                }
            }
            history.extend(of_day.into_iter().map(|(session, _)| session));
        }
        assert!(!person.name.is_empty());
    }

    let mut table = String::new();
    let share = |part: u32, whole: u32| match whole {
        0 => "–".to_owned(),
        whole => format!("{:.2}", f64::from(part) / f64::from(whole)),
    };
    writeln!(table, "{sessions_in_all} sessions, {judged} of them judged, {} planted.\n", totals.values().sum::<u32>())
        .unwrap();
    writeln!(table, "| judge | alarms | of them planted | precision | recall: new host at night | scripted | foreign typist | unusual commands |").unwrap();
    writeln!(table, "|---|---|---|---|---|---|---|---|").unwrap();
    for (name, tally) in &judges {
        let recall: Vec<String> = PLANTED
            .iter()
            .map(|kind| share(tally.by_kind.get(kind).copied().unwrap_or(0), totals.get(kind).copied().unwrap_or(0)))
            .collect();
        let precision = share(tally.planted, tally.alarms);
        writeln!(table, "| {name} | {} | {} | {precision} | {} |", tally.alarms, tally.planted, recall.join(" | "))
            .unwrap();
    }

    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/risk/simulation.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- table -->\n", "<!-- end of table -->");
    let (before, rest) = text.split_once(begin).expect("the page has a table");
    let (documented, after) = rest.split_once(end).expect("the table ends");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(documented, table, "BLESS=1 writes docs/risk/simulation.md anew");
    }
    let recall = |judge: &str, kind: Planted| {
        f64::from(judges[judge].by_kind.get(&kind).copied().unwrap_or(0)) / f64::from(totals[&kind])
    };
    assert!(recall("hostlogin ≥ 50", Planted::NewHostAtNight) > 0.5);
    assert!(recall("script detection", Planted::Scripted) > 0.9);
    assert!(recall("command ≥ 50", Planted::UnusualCommands) > 0.5);
}

fn hour(session: &Observation) -> f64 {
    session.started_s.rem_euclid(86_400) as f64 / 3_600.0
}
