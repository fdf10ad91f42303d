//! Pages, order, time, following; and the index against what it must mean, while writers run.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as RunnerConfig, TestRunner};
use service::search::{Field, NumberField, Query};
use service::{ErrorKind, Event, EventQuery, IngestOptions, ItemError, NewEvent, Order, Principal, Role};
use support::*;

const KINDS: [&str; 3] = ["authentication", "file", "web"];
const ACTORS: [&str; 4] = ["root", "Ann", "bob@example.com", "zoë"];
const WORDS: [&str; 5] = ["failed", "password", "for", "key", "accepted"];

/// What is known of an event apart from what the service says of it.
#[derive(Clone, Debug)]
struct Sent {
    kind: usize,
    actor: Option<usize>,
    words: Vec<usize>,
}

impl Sent {
    fn json(&self) -> String {
        let message: Vec<&str> = self.words.iter().map(|word| WORDS[*word]).collect();
        let mut event = serde_json::json!({"kind": KINDS[self.kind], "action": "sent", "message": message.join(" ")});
        if let Some(actor) = self.actor {
            event["actor"] = ACTORS[actor].into();
        }
        event.to_string()
    }

    fn read(event: &Event) -> Option<Sent> {
        let fields = event.fields().unwrap();
        (fields.action.as_str() == "sent").then(|| Sent {
            kind: KINDS.iter().position(|kind| *kind == fields.kind.as_str()).unwrap(),
            actor: fields.actor.as_ref().map(|actor| ACTORS.iter().position(|a| Some(*a) == actor.label()).unwrap()),
            words: fields
                .message
                .as_deref()
                .unwrap()
                .split(' ')
                .filter_map(|w| WORDS.iter().position(|x| *x == w))
                .collect(),
        })
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    (0..KINDS.len(), prop::option::of(0..ACTORS.len()), prop::collection::vec(0..WORDS.len(), 0..4))
        .prop_map(|(kind, actor, words)| Sent { kind, actor, words })
}

/// A question with a meaning of its own, to hold the service's answer against.
#[derive(Clone, Debug)]
enum Ask {
    Kind(usize),
    Actor(usize),
    HasActor,
    Word(usize),
    Pair(usize, usize),
    From(u64),
    And(Vec<Ask>),
    Or(Vec<Ask>),
    Not(Box<Ask>),
}

impl Ask {
    fn query(&self) -> Query {
        match self {
            Ask::Kind(kind) => Query::Keyword { field: Field::Kind, value: KINDS[*kind].to_uppercase() },
            Ask::Actor(actor) => Query::Keyword { field: Field::Actor, value: ACTORS[*actor].to_lowercase() },
            Ask::HasActor => Query::Exists { field: Field::Actor },
            Ask::Word(word) => Query::Word(WORDS[*word].to_owned()),
            Ask::Pair(a, b) => Query::Phrase(vec![WORDS[*a].to_owned(), WORDS[*b].to_owned()]),
            Ask::From(number) => Query::Range { field: NumberField::Number, min: Some(*number as i64), max: None },
            Ask::And(parts) => Query::And(parts.iter().map(Ask::query).collect()),
            Ask::Or(parts) => Query::Or(parts.iter().map(Ask::query).collect()),
            Ask::Not(inner) => Query::Not(Box::new(inner.query())),
        }
    }

    fn holds(&self, number: u64, sent: &Sent) -> bool {
        match self {
            Ask::Kind(kind) => sent.kind == *kind,
            Ask::Actor(actor) => sent.actor == Some(*actor),
            Ask::HasActor => sent.actor.is_some(),
            Ask::Word(word) => sent.words.contains(word),
            Ask::Pair(a, b) => sent.words.windows(2).any(|pair| pair == [*a, *b]),
            Ask::From(from) => number >= *from,
            Ask::And(parts) => parts.iter().all(|part| part.holds(number, sent)),
            Ask::Or(parts) => parts.iter().any(|part| part.holds(number, sent)),
            Ask::Not(inner) => !inner.holds(number, sent),
        }
    }
}

fn ask() -> impl Strategy<Value = Ask> {
    let leaf = prop_oneof![
        (0..KINDS.len()).prop_map(Ask::Kind),
        (0..ACTORS.len()).prop_map(Ask::Actor),
        Just(Ask::HasActor),
        (0..WORDS.len()).prop_map(Ask::Word),
        (0..WORDS.len(), 0..WORDS.len()).prop_map(|(a, b)| Ask::Pair(a, b)),
        (0u64..600).prop_map(Ask::From),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Ask::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Ask::Or),
            inner.prop_map(|ask| Ask::Not(Box::new(ask))),
        ]
    })
}

/// Pages up to a number that is already there, in one order.
fn answer(world: &World, who: &Principal, ask: &Ask, order: Order, limit: usize, last: u64) -> Vec<u64> {
    // Our own events are in the same log and are no business of this test.
    let sent = Query::Keyword { field: Field::Action, value: "sent".into() };
    let (after, until) = match order {
        Order::Ascending => (None, Some(last)),
        Order::Descending => (Some(last + 1), None),
    };
    let filter = Query::And(vec![sent, ask.query()]);
    let mut query = EventQuery { filter, order, after, until, limit, ..EventQuery::default() };
    let mut numbers = Vec::new();
    for _ in 0..10_000 {
        let page = world.service.query(who, world.org(), &query).unwrap();
        numbers.extend(page.events.iter().map(Event::number));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return numbers,
        }
    }
    panic!("the pages do not end");
}

// Goal: whatever is asked, in whatever order and page size, while events are being added and the index commits now and
// then, the answer is the one that a plain look at each event gives.
#[tokio::test(flavor = "multi_thread")]
async fn the_index_answers_as_a_scan_does_while_writers_run() {
    let world = World::new();
    let (_, _, who) = world.account(world.org(), "who@example.com", &[Role::Admin]).await;
    let running = AtomicBool::new(true);
    let mut runner = TestRunner::new(RunnerConfig::default());
    let mut draw =
        |count| -> Vec<Sent> { prop::collection::vec(sent(), count).new_tree(&mut runner).unwrap().current() };
    let batches: Vec<Vec<Sent>> = (0..60).map(|n| draw(1 + n % 20)).collect();

    let write = async {
        for batch in &batches {
            let json: Vec<String> = batch.iter().map(Sent::json).collect();
            let json: Vec<&str> = json.iter().map(String::as_str).collect();
            world.send(&who, world.org(), &json).await;
            tokio::task::yield_now().await;
        }
        running.store(false, Ordering::SeqCst);
    };
    let read = async {
        let mut runner = TestRunner::new(RunnerConfig::default());
        let mut last_round = false;
        let mut rounds = 0;
        while !last_round {
            last_round = !running.load(Ordering::SeqCst) && rounds >= 40;
            rounds += 1;
            let ask = ask().new_tree(&mut runner).unwrap().current();
            let limit = [1, 7, 1_000][rounds % 3];
            tokio::task::block_in_place(|| {
                let everything = world.all(&who, world.org(), "");
                let last = everything.last().unwrap().number();
                let mut expected: Vec<u64> = everything
                    .iter()
                    .filter_map(|event| Some((event.number(), Sent::read(event)?)))
                    .filter(|(number, sent)| ask.holds(*number, sent))
                    .map(|(number, _)| number)
                    .collect();
                assert_eq!(answer(&world, &who, &ask, Order::Ascending, limit, last), expected, "{ask:?} {limit}");
                expected.reverse();
                assert_eq!(answer(&world, &who, &ask, Order::Descending, limit, last), expected, "{ask:?} {limit}");
            });
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write, read);

    // The same once everything is in the index: counts too.
    world.service.settle().await;
    assert!(world.service.status().index_documents > 0);
    let mut runner = TestRunner::new(RunnerConfig::default());
    let everything = world.all(&who, world.org(), "");
    for _ in 0..50 {
        let ask = ask().new_tree(&mut runner).unwrap().current();
        let filter = Query::And(vec![Query::Keyword { field: Field::Action, value: "sent".into() }, ask.query()]);
        let expected =
            everything.iter().filter(|e| Sent::read(e).is_some_and(|sent| ask.holds(e.number(), &sent))).count() as u64;
        assert_eq!(world.service.count(&who, world.org(), &filter, u64::MAX).unwrap(), expected, "{ask:?}");
        assert_eq!(world.service.count(&who, world.org(), &filter, 3).unwrap(), expected.min(3), "{ask:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_pages_are_dense_and_do_not_overlap() {
    let world = World::new();
    let admin = world.admin().await;
    let batch = vec![r#"{"action":"x"}"#; 700];
    world.send(&admin, world.org(), &batch).await;
    for (order, limit) in
        [(Order::Ascending, 64), (Order::Descending, 64), (Order::Ascending, 10_000), (Order::Descending, 1)]
    {
        let head = world.service.head(&admin, world.org()).unwrap().size;
        let read = numbers(&pages(&world.service, &admin, world.org(), "", order, limit));
        let dense: Vec<u64> = match order {
            Order::Ascending => (1..=head).collect(),
            Order::Descending => (1..=head).rev().collect(),
        };
        assert_eq!(read, dense);
    }
    let page = |after, until, order| {
        let query = EventQuery { after, until, order, ..EventQuery::default() };
        let page = world.service.query(&admin, world.org(), &query).unwrap();
        (numbers(&page.events), page.next)
    };
    assert_eq!(page(Some(5), Some(8), Order::Ascending), (vec![6, 7, 8], None));
    assert_eq!(page(Some(8), Some(5), Order::Descending), (vec![7, 6, 5], None));
    assert_eq!(page(Some(8), Some(5), Order::Ascending), (vec![], None));
    assert_eq!(page(Some(u64::MAX), None, Order::Ascending), (vec![], None));
    assert_eq!(page(Some(0), None, Order::Descending), (vec![], None));
    assert_eq!(page(None, Some(0), Order::Ascending), (vec![], None));
    let none = world.service.query(&admin, world.org(), &EventQuery { limit: 0, ..EventQuery::default() });
    assert_eq!(none.unwrap_err().kind, ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_receipt_bound_a_read_without_the_index() {
    let world = World::new();
    let admin = world.admin().await;
    let mut sent = Vec::new();
    for _ in 0..20 {
        world.clock.advance(1_000_000);
        sent.push(world.send(&admin, world.org(), &[r#"{"action":"x"}"#]).await.remove(0));
    }
    let between = |from: usize, to: usize| {
        let at = |n: usize| sent[n].received_at.as_microsecond();
        let filter = Query::Range { field: NumberField::RecordedAt, min: Some(at(from)), max: Some(at(to)) };
        let query = EventQuery { filter, ..EventQuery::default() };
        numbers(&world.service.query(&admin, world.org(), &query).unwrap().events)
    };
    let expected = |from: usize, to: usize| sent[from..=to].iter().map(|receipt| receipt.number).collect::<Vec<_>>();
    assert_eq!(between(3, 7), expected(3, 7));
    assert_eq!(between(0, 19), expected(0, 19));
    assert_eq!(between(19, 19), expected(19, 19));
    assert_eq!(between(7, 3), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn by_time_newest_first_ties_by_number() {
    let world = World::new();
    let admin = world.admin().await;
    let at = |s: u32| format!(r#"{{"action":"x","kind":"page","occurred_at":"2026-01-01T00:00:{s:02}.1234567Z"}}"#);
    let order = [5, 3, 9, 3, 7, 3, 1, 9];
    let json: Vec<String> = order.iter().map(|s| at(*s)).collect();
    let receipts = world.send(&admin, world.org(), &json.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut expected: Vec<(u32, u64)> = order.iter().copied().zip(receipts.iter().map(|r| r.number)).collect();
    expected.sort_by(|a, b| b.cmp(a));
    let expected: Vec<u64> = expected.into_iter().map(|(_, number)| number).collect();
    let filter = service::search::parse::parse("kind:page").unwrap();
    let read =
        |offset, limit| numbers(&world.service.query_by_time(&admin, world.org(), &filter, offset, limit).unwrap());
    for settled in [false, true] {
        if settled {
            world.service.settle().await;
        }
        assert_eq!(read(0, 100), expected);
        assert_eq!([read(0, 3), read(3, 3), read(6, 3), read(9, 3)].concat(), expected);
        assert_eq!(read(8, 1), Vec::<u64>::new());
    }
    let newest = world.service.query_by_time(&admin, world.org(), &filter, 0, 1).unwrap();
    assert_eq!(newest[0].occurred_at().to_string(), "2026-01-01T00:00:09.1234567Z");
    let far = world.service.query_by_time(&admin, world.org(), &filter, u64::MAX, 1);
    assert_eq!(far.unwrap_err().kind, ErrorKind::TooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_answers_for_each_event_and_takes_an_id_once() {
    let world = World::new();
    let admin = world.admin().await;
    let items = |json: &[&str]| json.iter().map(|json| NewEvent::from_json(json.as_bytes())).collect::<Vec<_>>();
    let mixed = [r#"{"action":"a","id":"one"}"#, r#"{"act":"b"}"#, r#"{"action":"c","id":"one"}"#, r#"{"action":"d"}"#];

    let refused =
        world.service.ingest(&admin, world.org(), items(&mixed), IngestOptions { atomic: true }).await.unwrap();
    assert!(matches!(&refused[1], Err(ItemError::Invalid(invalid)) if invalid.pointer == "/act"), "{refused:?}");
    assert_eq!(refused[0], Err(ItemError::NotTaken));
    assert_eq!(world.all(&admin, world.org(), "action:a").len(), 0);

    let taken = world.service.ingest(&admin, world.org(), items(&mixed), IngestOptions::default()).await.unwrap();
    let receipt = |n: usize| taken[n].as_ref().unwrap();
    assert!(matches!(taken[1], Err(ItemError::Invalid(_))));
    assert_eq!((receipt(0).duplicate, receipt(2).duplicate, receipt(3).duplicate), (false, true, false));
    assert_eq!((receipt(2).number, receipt(2).leaf_hash), (receipt(0).number, receipt(0).leaf_hash));
    assert_eq!((receipt(0).number, receipt(3).number), (receipt(0).index + 1, receipt(0).number + 1));
    assert!(receipt(3).tree_size >= receipt(3).number);

    let again = world.send(&admin, world.org(), &[r#"{"id":"one","action":"other"}"#]).await;
    assert_eq!((again[0].number, again[0].duplicate), (receipt(0).number, true));
    let found = world.service.find(&admin, world.org(), "one").unwrap().unwrap();
    assert_eq!(found.json().unwrap(), mixed[0].as_bytes(), "the first one is kept, byte for byte");
    assert_eq!(found.leaf_hash().unwrap(), receipt(0).leaf_hash);
    assert!(world.service.find(&admin, world.org(), "two").unwrap().is_none());
    let got = world.service.get(&admin, world.org(), receipt(3).number, true).unwrap();
    assert_eq!(got.verdict, Some(service::Verdict::Sound));
    assert_eq!((got.recorded_by().via.as_str(), got.recorded_by().account), ("native", Some(admin.account)));
    for number in [0, 1_000_000, u64::MAX] {
        assert_eq!(world.service.get(&admin, world.org(), number, false).unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_a_limit_is_refused_as_a_whole() {
    let world = World::new();
    let admin = world.admin().await;
    let one = NewEvent::from_json(br#"{"action":"a"}"#).unwrap();
    let many = vec![Ok(one); service::ingest::BATCH_EVENTS_MAX + 1];
    let error = world.service.ingest(&admin, world.org(), many, IngestOptions::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    let long = format!(r#"{{"action":"a","attributes":{{"x":"{}"}}}}"#, "y".repeat(900_000));
    let long = NewEvent::from_json(long.as_bytes()).unwrap();
    let error = world
        .service
        .ingest(&admin, world.org(), vec![Ok(long.clone()); 40], IngestOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    // The largest batch that is within the limits fits into one append.
    let within = service::ingest::BATCH_BYTES_MAX / long.json().len();
    let taken =
        world.service.ingest(&admin, world.org(), vec![Ok(long); within], IngestOptions::default()).await.unwrap();
    assert_eq!(taken.len(), within);
    // Pages of such events end early and go on.
    let events = world.all(&admin, world.org(), "action:a");
    assert_eq!(events.len(), within);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_misses_nothing_and_sees_nothing_twice() {
    let world = World::new();
    let admin = world.admin().await;
    world.send(&admin, world.org(), &[r#"{"action":"x"}"#; 30]).await;
    let filter = service::search::parse::parse("action:x").unwrap();
    let mut follow = world.service.follow(&admin, world.org(), filter, 0).unwrap();
    let write = async {
        for n in 0..50 {
            world.send(&admin, world.org(), &vec![r#"{"action":"x"}"#; 1 + n % 3]).await;
            world.send(&admin, world.org(), &[r#"{"action":"y"}"#]).await;
        }
    };
    let total = 30 + (0..50).map(|n| 1 + n % 3).sum::<usize>();
    let read = async {
        let mut seen = Vec::new();
        while seen.len() < total {
            // A follower that stops waiting half-way and comes back has lost nothing.
            tokio::select! {
                biased;
                events = follow.next() => seen.extend(numbers(&events.unwrap())),
                () = tokio::task::yield_now() => {}
            }
        }
        seen
    };
    let ((), seen) = tokio::join!(write, read);
    assert_eq!(seen, numbers(&world.all(&admin, world.org(), "action:x")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_ends_with_its_token_and_with_the_service() {
    let world = World::new();
    let (_, _, who) = world.account(world.org(), "who@example.com", &[Role::Auditor]).await;
    let head = world.service.head(&who, world.org()).unwrap().size;
    let mut follow = world.service.follow(&who, world.org(), Query::All, head).unwrap();
    let mut other = world.service.follow(&world.admin().await, world.org(), Query::None, 0).unwrap();
    world.service.revoke_token(&who, who.token.unwrap()).await.unwrap();
    assert_eq!(follow.next().await.unwrap_err().kind, ErrorKind::Unauthenticated);
    let waiting = tokio::spawn(async move { other.next().await.unwrap_err().kind });
    tokio::task::yield_now().await;
    world.service.shutdown().await;
    assert_eq!(waiting.await.unwrap(), ErrorKind::Unavailable);
}
