//! Index answer = `Query::matches` over all documents, whatever is added, committed, merged, deleted and reopened.

mod common;

use std::collections::BTreeMap;

use proptest::prelude::*;
use search::{Document, Index, Options, Order, Query};

const LOGS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Add { log: u32, gap: u64, document: Document },
    Commit,
    Settle,
    Reopen,
    Delete { log: u32, pick: prop::sample::Index },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..LOGS, 1_u64..4, common::document()).prop_map(|(log, gap, document)| Step::Add { log, gap, document }),
        4 => Just(Step::Commit),
        1 => Just(Step::Settle),
        1 => Just(Step::Reopen),
        1 => (0..LOGS, any::<prop::sample::Index>()).prop_map(|(log, pick)| Step::Delete { log, pick }),
    ];
    prop::collection::vec(step, 1..90)
}

#[derive(Clone, Debug)]
struct Question {
    log: u32,
    query: Query,
    limit: usize,
    until: Option<u64>,
}

fn question() -> impl Strategy<Value = Question> {
    (0..=LOGS, common::query(), 1_usize..6, prop::option::of(0_u64..60))
        .prop_map(|(log, query, limit, until)| Question { log, query, limit, until })
}

/// What the index should hold: by log, by number.
type Model = BTreeMap<(u32, u64), Document>;

fn options() -> Options {
    Options { segment_documents_max: 24, writer_memory_bytes: 0, background: false }
}

fn expected(model: &Model, question: &Question, order: Order) -> Vec<u64> {
    let matching = model.iter().filter(|((log, _), document)| *log == question.log && question.query.matches(document));
    let numbers = matching.map(|((_, number), _)| *number);
    match order {
        Order::Ascending => numbers.filter(|number| question.until.is_none_or(|until| *number <= until)).collect(),
        Order::Descending => {
            let mut numbers: Vec<u64> =
                numbers.filter(|number| question.until.is_none_or(|until| *number >= until)).collect();
            numbers.reverse();
            numbers
        }
    }
}

/// All pages, one after the other.
fn paged(index: &Index, question: &Question, order: Order) -> Vec<u64> {
    let reader = index.reader();
    let mut all = Vec::new();
    loop {
        let after = all.last().copied();
        let page = reader
            .search(question.log, &question.query, order, after, question.until, question.limit)
            .expect("a sound index answers");
        assert!(page.len() <= question.limit);
        let last = page.len() < question.limit;
        all.extend(page);
        if last {
            return all;
        }
    }
}

fn sorted(mut found: Vec<(i64, u64)>) -> Vec<(i64, u64)> {
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

fn newest(model: &Model, question: &Question, highest: u64, most: usize) -> Vec<(i64, u64)> {
    let matching = model.iter().filter(|((log, number), document)| {
        *log == question.log && (2..=highest).contains(number) && question.query.matches(document)
    });
    let mut found = sorted(matching.map(|((_, number), document)| (document.occurred_at_us, *number)).collect());
    found.truncate(most);
    found
}

fn check(index: &Index, model: &Model, questions: &[Question]) {
    assert_eq!(index.reader().documents(), model.len() as u64);
    for question in questions {
        for order in [Order::Ascending, Order::Descending] {
            assert_eq!(paged(index, question, order), expected(model, question, order), "{order:?} {question:?}");
        }
        let all = expected(model, &Question { until: None, ..question.clone() }, Order::Ascending).len() as u64;
        for most in [0, 1, question.limit, 1_000] {
            let highest = question.until.unwrap_or(u64::MAX);
            let found = index.reader().newest(question.log, &question.query, 2..=highest, most).expect("it answers");
            assert_eq!(sorted(found), newest(model, question, highest, most), "{question:?} {most}");
        }
        for cap in [0, 1, 3, u64::MAX] {
            assert_eq!(
                index.count(question.log, &question.query, cap).expect("it counts"),
                all.min(cap),
                "{question:?}"
            );
        }
    }
}

fn run(steps: Vec<Step>, questions: &[Question]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut index, payload) = Index::open(folder.path(), options()).expect("a new index opens");
    assert_eq!(payload, None);
    let (mut committed, mut model) = (Model::new(), Model::new());
    let mut last = [0_u64; LOGS as usize];
    let mut committed_last = last;
    let mut commits = 0_u32;
    for step in steps {
        match step {
            Step::Add { log, gap, mut document } => {
                last[log as usize] += gap;
                document.number = last[log as usize];
                index.add(log, &document).expect("it is taken");
                model.insert((log, document.number), document);
            }
            Step::Delete { log, pick } => {
                let numbers: Vec<u64> = model.keys().filter(|key| key.0 == log).map(|key| key.1).collect();
                if !numbers.is_empty() {
                    let number = *pick.get(&numbers);
                    index.delete_document(log, number).expect("it is deleted");
                    model.remove(&(log, number));
                }
            }
            Step::Commit => {
                commits += 1;
                index.commit(&commits.to_be_bytes()).expect("it commits");
                (committed, committed_last) = (model.clone(), last);
            }
            Step::Settle => {
                index.settle();
                check(&index, &committed, &questions[..1]);
            }
            Step::Reopen => {
                drop(index);
                let (opened, payload) = Index::open(folder.path(), options()).expect("it opens again");
                assert_eq!(payload, (commits > 0).then(|| commits.to_be_bytes().to_vec()));
                index = opened;
                (model, last) = (committed.clone(), committed_last);
                check(&index, &committed, &questions[..1]);
            }
        }
    }
    index.commit(b"end").expect("it commits");
    check(&index, &model, questions);
    index.settle();
    check(&index, &model, questions);
    assert_eq!(index.damaged_files().expect("files are there"), Vec::<std::path::PathBuf>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_a_scan_does(steps in steps(), questions in prop::collection::vec(question(), 30)) {
        run(steps, &questions);
    }
}

#[test]
fn pages_backward_through_large_segments_are_those_of_a_scan() {
    const DOCUMENTS: u64 = 180_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = Index::open(folder.path(), Options::default()).expect("a new index opens");
    let numbers_of = |log: u32| (1..=DOCUMENTS).filter(move |n| (n % 5 == 0) == (log == 1));
    for number in 1..=DOCUMENTS {
        let mut keywords = vec![(search::Field::Kind, if number % 3 == 0 { "file" } else { "web" }.to_owned())];
        if number % 30_011 == 0 {
            keywords.push((search::Field::Tag, "rare".to_owned()));
        }
        let document = Document { number, keywords, text: vec!["word".to_owned()], ..Document::default() };
        index.add(u32::from(number % 5 == 0), &document).expect("it is taken");
    }
    index.commit(b"").expect("it commits");
    for (text, matching) in [
        ("*", (|_| true) as fn(u64) -> bool),
        ("kind:file", |n| n % 3 == 0),
        ("-kind:web", |n| n % 3 == 0),
        ("tag:rare", |n| n % 30_011 == 0),
        ("word -tag:rare", |n| n % 30_011 != 0),
        ("tag:r* OR number:<=3", |n| n % 30_011 == 0 || n <= 3),
        ("kind:nothing", |_| false),
    ] {
        let query = search::parse::parse(text).expect("it parses");
        for log in [0, 1] {
            let all: Vec<u64> = numbers_of(log).filter(|&n| matching(n)).collect();
            for after in [None, Some(DOCUMENTS / 2), Some(70_000), Some(5), Some(1)] {
                let page = index.search(log, &query, Order::Descending, after, None, 1_000).expect("it answers");
                let below = all.iter().rev().copied().filter(|&n| after.is_none_or(|after| n < after));
                assert_eq!(page, below.take(1_000).collect::<Vec<_>>(), "{text} after {after:?} in {log}");
                let page = index.search(log, &query, Order::Ascending, after, None, 1_000).expect("it answers");
                let above = all.iter().copied().filter(|&n| after.is_none_or(|after| n > after));
                assert_eq!(page, above.take(1_000).collect::<Vec<_>>(), "{text} after {after:?} in {log}");
            }
        }
    }
}
