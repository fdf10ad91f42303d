//! The ten scores that `docs/risk/by-hand.md` works out with pencil and paper.

use std::collections::BTreeMap;

use behaviour::rhythm::Rhythm;
use behaviour::{Algorithm, Baselines, Measures, Observation, Parameters, aggregate};

/// 2026-01-05, a Monday, 00:00 UTC.
const MONDAY: i64 = 1_767_571_200;

fn check(history: &[Observation], session: &Observation, algorithm: Algorithm, probability: f64, score: u8) {
    let found = Baselines::build(history, &Parameters::default()).score(session).scores[&algorithm];
    assert!((found.probability - probability).abs() < 1e-6, "{algorithm}: {} {probability}", found.probability);
    assert_eq!(found.score, score, "{algorithm}");
}

fn on(server: &str) -> Observation {
    Observation { server: Some(server.into()), ..Observation::default() }
}

fn with(programs: &[&str]) -> Observation {
    let commands = programs.iter().map(|name| ((*name).to_owned(), 1)).collect();
    Observation { measures: Measures { commands, ..Measures::default() }, ..Observation::default() }
}

#[test]
fn servers() {
    let always = vec![on("db1"); 60];
    check(&always, &on("vault"), Algorithm::HostLogin, 0.008_196_7, 70);
    let mostly: Vec<Observation> = [vec![on("db1"); 58], vec![on("a"), on("b")]].concat();
    check(&mostly, &on("a"), Algorithm::HostLogin, 0.072_951, 38);
    check(&mostly, &on("db1"), Algorithm::HostLogin, 1.0, 0);
}

#[test]
fn hours() {
    let at =
        |day: i64, hour: i64| Observation { started_s: MONDAY + day * 86_400 + hour * 3_600, ..Observation::default() };
    let mornings: Vec<Observation> = (0..30).map(|day| at(day, 9)).collect();
    check(&mornings, &at(37, 22), Algorithm::LoginTime, 0.034_295, 49);
    check(&mornings, &at(35, 9), Algorithm::LoginTime, 1.0, 0);
}

#[test]
fn commands() {
    let usual = vec![with(&["ls", "git", "make"]); 10];
    check(&usual, &with(&["ls", "nmap"]), Algorithm::Command, 0.063_996, 40);
    check(&usual, &with(&["nmap", "nc", "hydra"]), Algorithm::Command, 0.000_012_6, 100);
}

#[test]
fn properties_that_come_together() {
    let session = |client: &str, server: &str, hour: i64| Observation {
        started_s: MONDAY + hour * 3_600,
        client: Some(client.into()),
        server: Some(server.into()),
        ..Observation::default()
    };
    let history: Vec<Observation> =
        [vec![session("office", "db", 9); 20], vec![session("home", "mail", 21); 20]].concat();
    check(&history, &session("home", "db", 21), Algorithm::Fis, 0.012_195, 64);
}

#[test]
fn keys() {
    let typed = |slow: usize| {
        let mut keys = Rhythm::default();
        for n in 0..200 {
            keys.add('l', 'r', if n < slow { 500_000 } else { 90_000 });
        }
        Observation { measures: Measures { keys, ..Measures::default() }, ..Observation::default() }
    };
    let alike: Vec<Observation> = (0..10).map(|_| typed(0)).collect();
    check(&alike, &typed(50), Algorithm::Keystroke, 0.009_132, 68);
}

#[test]
fn all_as_one() {
    let scores = BTreeMap::from([
        (Algorithm::HostLogin, 70),
        (Algorithm::LoginTime, 49),
        (Algorithm::Command, 40),
        (Algorithm::Fis, 64),
    ]);
    assert_eq!(aggregate(&scores, &Parameters::default()).map(|found| found.score), Some(57));
}
