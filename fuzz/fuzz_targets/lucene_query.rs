//! The query language of content: a text is refused at a place inside it, or prints to a query for the same tree, and the
//! index finds what the reference finds.
#![no_main]

use std::sync::LazyLock;

use dialects::lucene;
use libfuzzer_sys::fuzz_target;
use search::content::{Content, ContentDocument, ContentQuery, ContentWriter, Options, reference, tokens};

const TEXTS: [&str; 12] = [
    "",
    "a",
    "a b a b",
    "b a",
    "Permission denied (publickey).",
    "root@10.0.0.5's password: ",
    "/var/log/nginx/error.log",
    "foo bar foo baz foo",
    "接続が拒否 🎉",
    "text AND or 1 22 333",
    "ab abc abcd abd",
    "\u{e9}t\u{e9} ete",
];

static INDEX: LazyLock<Content> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the index").keep();
    let mut writer = ContentWriter::create(&folder, Options::default()).expect("an empty folder");
    documents().for_each(|document| writer.add(&document).expect("a small document"));
    writer.finish().expect("an index");
    Content::open(&folder).expect("the index")
});

fn documents() -> impl Iterator<Item = ContentDocument<'static>> {
    (0..).zip(TEXTS).map(|(payload, text)| ContentDocument { text, command: "a b", id: "x", payload, title: "" })
}

fn is_said_by_queries(query: &ContentQuery) -> bool {
    let same = |term: &String| tokens(term).map(|token| token.term).eq([term.clone()]);
    match query {
        ContentQuery::Clauses(clauses) => clauses.iter().all(|clause| is_said_by_queries(&clause.query)),
        ContentQuery::Boost(inner, _) => is_said_by_queries(inner),
        ContentQuery::Term { term, .. } => same(term),
        ContentQuery::Phrase { terms, .. } => terms.iter().all(same),
        _ => true,
    }
}

fuzz_target!(|text: &str| {
    let query = match lucene::parse(text, "text") {
        Ok(query) => query,
        Err(error) => return assert!(error.at <= text.chars().count()),
    };
    let printed = lucene::print(&query);
    match lucene::parse(&printed, "text") {
        Ok(again) => assert!(again == query || !is_said_by_queries(&query), "{printed}: {again:?}, not {query:?}"),
        // Printing writes brackets around every list, and names every field.
        Err(error) => assert!(
            matches!(error.kind, lucene::QueryErrorKind::TooDeep | lucene::QueryErrorKind::TooLong),
            "{printed}: {error}"
        ),
    }
    // The reference takes its time with large patterns and many clauses.
    if text.len() > 200 {
        return;
    }
    let found = INDEX.search(&query, TEXTS.len()).expect("the index can be read");
    let documents: Vec<_> = documents().collect();
    let mut expected = reference::search(&documents, &query, TEXTS.len());
    assert_eq!(found.total, expected.total, "{query:?}");
    let by_document = |hits: &mut Vec<search::content::Hit>| hits.sort_by_key(|hit| hit.document);
    let mut hits = found.hits.clone();
    by_document(&mut hits);
    by_document(&mut expected.hits);
    for (hit, expected) in hits.iter().zip(&expected.hits) {
        let close = (hit.score - expected.score).abs() <= 1e-4 * hit.score.abs().max(1.0);
        assert!(hit.document == expected.document && hit.payload == expected.payload, "{query:?}");
        assert!(close || hit.score == expected.score, "{query:?}: {hit:?}, not {expected:?}");
    }
});
