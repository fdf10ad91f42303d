//! Summaries: what is counted from the index and the entries after it is what a plain look at each event counts.

mod support;

use std::collections::BTreeMap;

use service::query::summary::{BUCKETS_MAX, SummaryQuery, VALUES_MAX};
use service::search::{Field, Query, parse};
use service::{ErrorKind, Event, Role};
use support::World;

const FIELDS: [Field; 4] = [Field::Outcome, Field::Action, Field::Actor, Field::Source];

fn asked(filter: &str, buckets_max: usize) -> SummaryQuery {
    SummaryQuery {
        filter: parse::parse(filter).unwrap(),
        from_us: None,
        to_us: None,
        buckets_max,
        fields: FIELDS.to_vec(),
        values_max: VALUES_MAX,
    }
}

/// How many, by name.
type Counts = BTreeMap<String, u64>;

/// Counts by looking at each event: times by outcome, and values of the fields, in lower case.
fn counted(events: &[Event], width_us: i64) -> (BTreeMap<i64, Counts>, Vec<Counts>) {
    let mut times: BTreeMap<i64, Counts> = BTreeMap::new();
    let mut values = vec![BTreeMap::new(); FIELDS.len()];
    for event in events {
        let fields = event.fields().unwrap();
        let at = event.occurred_at().as_microsecond().div_euclid(width_us) * width_us;
        *times.entry(at).or_default().entry(fields.outcome.as_str().to_owned()).or_default() += 1;
        let actor = fields.actor.iter().flat_map(|party| [&party.id, &party.name]).flatten().map(|text| text.as_str());
        let source = fields.source.iter().flat_map(|source| [&source.address, &source.host, &source.application]);
        let of_each: [Vec<&str>; 4] = [
            vec![fields.outcome.as_str()],
            vec![&*fields.action],
            actor.collect(),
            source.flatten().map(|text| text.as_str()).collect(),
        ];
        for (values, of_event) in values.iter_mut().zip(of_each) {
            let mut of_event: Vec<String> = of_event.into_iter().map(str::to_lowercase).collect();
            of_event.sort();
            of_event.dedup();
            of_event.into_iter().for_each(|value| *values.entry(value).or_default() += 1);
        }
    }
    (times, values)
}

// Goal: nothing is estimated and nothing forgotten. Method: the same questions before the index commits, between two of its
// commits, and after the last; each answer is compared with a count over the events themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_summary_counts_what_a_look_at_each_event_counts() {
    let world = World::new();
    let (_, _, who) = world.account(world.org(), "who@example.com", &[Role::Admin]).await;
    let mut sent = 0_u32;
    for round in 0..4 {
        let events: Vec<String> = (0..40)
            .map(|_| {
                sent += 1;
                let n = sent.wrapping_mul(2_654_435_761) >> 8;
                let outcome = ["success", "failure", "unknown"][(n % 3) as usize];
                let at = jiff::Timestamp::from_second(1_700_000_000 + i64::from(n % 400_000)).unwrap();
                serde_json::json!({
                    "action": format!("Act {}", n % 5), "kind": "file", "outcome": outcome, "occurred_at": at.to_string(),
                    "actor": { "id": format!("u{}", n % 7), "name": format!("User {}", n % 7) },
                    "source": { "address": format!("10.0.0.{}", n % 11) },
                })
                .to_string()
            })
            .collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        world.send(&who, world.org(), &events).await;
        if round == 1 || round == 3 {
            world.service.settle().await;
        }
        for filter in ["kind:file", "kind:file outcome:failure", "actor:u3", "kind:file -source:10.0.0.4", "kind:page"]
        {
            for buckets in [1, 7, BUCKETS_MAX] {
                tokio::task::block_in_place(|| {
                    let (found, _) = world.service.summary(&who, world.org(), &asked(filter, buckets)).unwrap();
                    let events = world.all(&who, world.org(), filter);
                    let (times, values) = counted(&events, found.width_us);
                    let named = format!("{filter}, {buckets} buckets, round {round}");
                    assert_eq!(found.total, events.len() as u64, "{named}");
                    // As many lengths of time as were asked for cover all, whatever lies between.
                    let span = found
                        .buckets
                        .first()
                        .zip(found.buckets.last())
                        .map_or(0, |(first, last)| (last.start_us - first.start_us) / found.width_us + 1);
                    assert!(span <= buckets as i64 + 1, "{named}: {span}");
                    let told: BTreeMap<i64, Counts> =
                        found.buckets.iter().map(|bucket| (bucket.start_us, bucket.outcomes.clone())).collect();
                    assert_eq!(told, times, "{named}");
                    assert!(found.buckets.iter().all(|one| one.total == one.outcomes.values().sum::<u64>()), "{named}");
                    for (field, values) in found.fields.iter().zip(values) {
                        let told: Counts = field.values.iter().cloned().collect();
                        assert_eq!(told, values, "{named}: {}", field.field);
                        assert!(field.complete && field.distinct == field.values.len() as u64, "{named}");
                        assert!(field.values.is_sorted_by(|a, b| a.1 >= b.1), "{named}: {:?}", field.values);
                    }
                });
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_cannot_be_is_refused_and_one_of_others_is_not_given() {
    let world = World::new();
    let (_, _, who) = world.account(world.org(), "who@example.com", &[Role::Admin]).await;
    let refused = |query: &SummaryQuery| world.service.summary(&who, world.org(), query).unwrap_err().kind;
    assert_eq!(refused(&asked("", 0)), ErrorKind::Invalid);
    assert_eq!(refused(&asked("", BUCKETS_MAX + 1)), ErrorKind::Invalid);
    assert_eq!(refused(&SummaryQuery { values_max: VALUES_MAX + 1, ..asked("", 1) }), ErrorKind::Invalid);
    assert_eq!(refused(&SummaryQuery { from_us: Some(5), to_us: Some(5), ..asked("", 1) }), ErrorKind::Invalid);
    let (_, _, sender) = world.account(world.org(), "sender@example.com", &[Role::Sender]).await;
    let query = SummaryQuery { filter: Query::All, ..asked("", 1) };
    assert_eq!(world.service.summary(&sender, world.org(), &query).unwrap_err().kind, ErrorKind::Forbidden);
}
