//! What holds of every history: scores within 0 to 100, no division by zero, no regard to order, and the directions that
//! `docs/risk/` promises.

use std::collections::BTreeMap;

use behaviour::rhythm::Rhythm;
use behaviour::{Algorithm, Baselines, LOOK_BACK_S, Measures, Observation, Parameters, Steps};
use proptest::prelude::*;

fn counts() -> impl Strategy<Value = BTreeMap<String, u32>> {
    prop::collection::btree_map("[a-f]{1,2}", 1_u32..5, 0..6)
}

fn rhythm() -> impl Strategy<Value = Rhythm> {
    (0_usize..400, 1_000_u64..3_000_000, any::<u8>()).prop_map(|(events, us, step)| {
        let mut rhythm = Rhythm::default();
        let kinds = ['l', 'r', 's'];
        for n in 0..events {
            rhythm.add(kinds[n % 3], kinds[(n + 1) % 3], us.wrapping_add(n as u64 * u64::from(step) * 1_000));
        }
        rhythm
    })
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-c]")
}

fn session() -> impl Strategy<Value = Observation> {
    let times = prop_oneof![-LOOK_BACK_S..LOOK_BACK_S, Just(i64::MIN / 4), Just(i64::MAX / 4)];
    (times, text(), text(), text(), (counts(), counts(), rhythm(), rhythm())).prop_map(
        |(started_s, client, server, login, (commands, titles, keys, pointer))| Observation {
            started_s,
            client,
            server,
            login,
            measures: Measures { commands, titles, keys, pointer, ..Measures::default() },
            ..Observation::default()
        },
    )
}

fn scores(baselines: &Baselines, session: &Observation) -> BTreeMap<Algorithm, (u8, u64)> {
    let scored = baselines.score(session);
    scored.scores.iter().map(|(name, found)| (*name, (found.score, found.probability.to_bits()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_score_is_within_bounds_and_every_gap_has_a_reason(
        history in prop::collection::vec(session(), 0..40), session in session(),
    ) {
        let baselines = Baselines::build(&history, &Parameters::default());
        let scored = baselines.score(&session);
        for (name, found) in &scored.scores {
            prop_assert!(found.score <= 100, "{name}");
            prop_assert!((0.0..=1.0).contains(&found.probability), "{name} {}", found.probability);
            prop_assert!(baselines.expected(*name).is_some() && baselines.observed(*name, &session).is_some());
        }
        for name in baselines.models.keys() {
            prop_assert!(scored.scores.contains_key(name) != scored.failures.contains_key(name), "{name}");
        }
        prop_assert_eq!(scored.aggregate.is_some(), !scored.scores.is_empty());
        behaviour::script::detect(&session, &history);
    }

    #[test]
    fn the_order_of_sessions_does_not_matter(
        (history, shuffled) in prop::collection::vec(session(), 0..30)
            .prop_flat_map(|history| (Just(history.clone()), Just(history).prop_shuffle())),
        session in session(),
    ) {
        let (a, b) = (
            Baselines::build(&history, &Parameters::default()), Baselines::build(&shuffled, &Parameters::default()),
        );
        prop_assert_eq!(scores(&a, &session), scores(&b, &session));
        let (mut forwards, mut backwards) = (Steps::default(), Steps::default());
        let scored = |session: &Observation| a.score(session).aggregate.map(|found| found.score);
        for (history, steps) in [(&history, &mut forwards), (&shuffled, &mut backwards)] {
            for session in history {
                if let Some(score) = scored(session) {
                    steps.add(session.started_s, score);
                }
            }
        }
        prop_assert_eq!(forwards, backwards);
    }

    /// `hostlogin`: within one baseline a server that was seen less often never scores lower, and a new one never lower than
    /// any.
    #[test]
    fn a_rarer_server_never_scores_lower(seen in prop::collection::vec("[a-e]", 5..60)) {
        let at = |server: &str| Observation { server: Some(server.to_owned()), ..Observation::default() };
        let history: Vec<Observation> = seen.iter().map(|server| at(server)).collect();
        let baselines = Baselines::build(&history, &Parameters::default());
        let score = |server: &str| baselines.score(&at(server)).scores[&Algorithm::HostLogin].score;
        let count = |server: &str| seen.iter().filter(|other| *other == server).count();
        for a in ["a", "b", "c", "d", "e", "new"] {
            for b in ["a", "b", "c", "d", "e", "new"] {
                prop_assert!(count(a) > count(b) || score(a) >= score(b), "{a} {b}");
            }
        }
    }

    /// `command`: a command more that was never used never lowers the score of a session that has none but common ones.
    #[test]
    fn one_more_unknown_command_of_the_same_number_never_scores_lower(
        history in prop::collection::vec(prop::collection::btree_map("[a-e]", 1_u32..3, 1..4), 5..40), new in 0_usize..5,
    ) {
        let at = |commands: BTreeMap<String, u32>| Observation {
            measures: Measures { commands, ..Measures::default() }, ..Observation::default()
        };
        let baselines =
            Baselines::build(&history.iter().cloned().map(at).collect::<Vec<_>>(), &Parameters::default());
        let names = ["a", "b", "c", "d", "e"];
        let with = |new: usize| {
            let named = names.iter().enumerate().map(|(n, name)| if n < new { format!("new{n}") } else { (*name).into() });
            baselines.score(&at(named.map(|name| (name, 1)).collect())).scores[&Algorithm::Command].score
        };
        prop_assert!(with(new + 1) >= with(new));
    }

    /// `logintime`: more sessions elsewhere on the clock never make an hour that nobody uses look more usual.
    #[test]
    fn an_hour_never_used_does_not_become_usual(days in 5_i64..80) {
        let at = |day: i64, hour: i64| Observation { started_s: day * 86_400 + hour * 3_600, ..Observation::default() };
        let score = |days: i64| {
            let history: Vec<Observation> = (0..days * 7).map(|day| at(day, 10)).collect();
            Baselines::build(&history, &Parameters::default()).score(&at(1_000, 22)).scores[&Algorithm::LoginTime].score
        };
        prop_assert!(score(days + 1) >= score(days));
    }
}

#[test]
fn one_session_is_too_few_and_says_so() {
    let history = [Observation::default()];
    let baselines = Baselines::build(&history, &Parameters::default());
    let scored = baselines.score(&history[0]);
    assert!(scored.scores.is_empty() && scored.aggregate.is_none());
    let reasons: Vec<String> = scored.failures.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert_eq!(
        reasons,
        [
            "command: not enough sessions: 0 of 5 with commands",
            "fis: not enough sessions: 1 of 5",
            "hostlogin: not enough sessions: 0 of 5 with a server",
            "logintime: not enough sessions: 1 of 5",
        ]
    );
}

#[test]
fn the_baseline_of_a_hundred_thousand_sessions_is_no_larger_than_that_of_two_thousand() {
    let at = |n: u32| Observation {
        started_s: i64::from(n) * 77,
        server: Some(format!("server{n}")),
        client: Some(format!("client{}", n % 7)),
        measures: Measures {
            commands: BTreeMap::from([(format!("c{}", n % 5_000), 1), ("ls".to_owned(), 3)]),
            ..Measures::default()
        },
        ..Observation::default()
    };
    let size = |sessions: u32| {
        let history: Vec<Observation> = (0..sessions).map(at).collect();
        let baselines = Baselines::build(&history, &Parameters::default());
        assert!(baselines.score(&at(1)).aggregate.is_some());
        let models: Vec<_> = baselines.models.values().map(|model| model.as_ref().unwrap()).collect();
        serde_json::to_vec(&models).unwrap().len()
    };
    let (few, many) = (size(2_000), size(100_000));
    assert!(many < few + few / 5, "{few} {many}");
}
