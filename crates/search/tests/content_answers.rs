//! The index of content gives what the reference gives: the same documents, scores and order, for random documents and
//! random questions, in one piece and after merging many.

use std::ops::Bound;

use proptest::prelude::*;
use search::content::{
    Clause, Content, ContentDocument, ContentQuery, ContentWriter, Error, Found, Occur, Options, Pattern, reference,
};

/// Documents by their fields; few words, so that questions find something.
#[derive(Clone, Debug)]
struct Owned {
    text: String,
    command: String,
    id: String,
}

fn document() -> impl Strategy<Value = Owned> {
    let text = proptest::collection::vec("a|b|ab|abc|ba|c|10|é|A,", 0..9).prop_map(|words| words.join(" "));
    (text, "|a b|b", "|x|y").prop_map(|(text, command, id)| Owned { text, command, id })
}

fn query() -> impl Strategy<Value = ContentQuery> {
    let field = || {
        prop_oneof![6 => Just("text"), 1 => Just("command"), 1 => Just("id"), 1 => Just("other")]
            .prop_map(str::to_owned)
    };
    let word = || "a|b|ab|abc|ba|c|10|é|x|zz";
    let bound =
        || prop_oneof![word().prop_map(Bound::Included), word().prop_map(Bound::Excluded), Just(Bound::Unbounded)];
    let regex = "[ab]{1,2}|a\\.\\*|~\\(a\\.\\*\\)|<1-20>|@b@|a\\?b\\?c\\?";
    let leaf = prop_oneof![
        4 => (field(), word()).prop_map(|(field, term)| ContentQuery::Term { field, term }),
        2 => (field(), proptest::collection::vec(word(), 2..4), 0..6_u32)
            .prop_map(|(field, terms, slop)| ContentQuery::Phrase { field, terms, slop }),
        1 => (field(), "a|b|").prop_map(|(field, prefix)| ContentQuery::Prefix { field, prefix }),
        1 => (field(), "a\\*|a\\?|\\?b|a\\*c").prop_map(|(field, text)| {
            ContentQuery::Wildcard { field, pattern: Pattern::wildcard(&text).unwrap() }
        }),
        1 => (field(), regex).prop_map(|(field, text)| {
            ContentQuery::Regex { field, pattern: Pattern::regex(&text).unwrap() }
        }),
        1 => (field(), word(), 0..3_u8).prop_map(|(field, term, distance)| ContentQuery::Fuzzy { field, term, distance }),
        1 => (field(), bound(), bound()).prop_map(|(field, lower, upper)| ContentQuery::Range { field, lower, upper }),
        1 => Just(ContentQuery::All),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let occur = prop_oneof![Just(Occur::Required), Just(Occur::Optional), Just(Occur::Optional), Just(Occur::Prohibited)];
        let clause = (occur, inner.clone()).prop_map(|(occur, query)| Clause { occur, query });
        prop_oneof![
            4 => proptest::collection::vec(clause, 0..5).prop_map(ContentQuery::Clauses),
            1 => (inner, 0..8_u8).prop_map(|(inner, boost)| ContentQuery::Boost(Box::new(inner), f32::from(boost) / 4.0)),
        ]
    })
}

fn views(documents: &[Owned]) -> Vec<ContentDocument<'_>> {
    documents
        .iter()
        .enumerate()
        .map(|(number, document)| ContentDocument {
            text: &document.text,
            command: &document.command,
            id: &document.id,
            payload: number as u64 * 3,
            ..ContentDocument::default()
        })
        .collect()
}

fn indexed(folder: &std::path::Path, documents: &[ContentDocument<'_>]) -> Content {
    let mut writer = ContentWriter::create(folder, Options::default()).unwrap();
    for document in documents {
        writer.add(document).unwrap();
    }
    writer.finish().unwrap();
    Content::open(folder).unwrap()
}

/// The same totals, and the same hits but for the order of scores that differ by rounding only.
#[track_caller]
fn assert_same(found: &Found, expected: &Found, all: &Found, query: &ContentQuery) {
    assert_eq!(found.total, expected.total, "{query:?}");
    assert_eq!(found.hits.len(), expected.hits.len(), "{query:?}");
    let close = |one: f32, other: f32| (one - other).abs() <= 1e-5 * one.abs().max(other.abs()).max(1.0);
    for (hit, expected) in found.hits.iter().zip(&expected.hits) {
        assert!(close(hit.score, expected.score), "{query:?}: {hit:?}, not {expected:?}");
        let same = all.hits.iter().find(|other| other.document == hit.document).expect("it matches");
        assert!(close(hit.score, same.score) && hit.payload == same.payload, "{query:?}: {hit:?}, not {same:?}");
    }
    for pair in found.hits.windows(2) {
        let ordered =
            pair[0].score > pair[1].score || pair[0].score == pair[1].score && pair[0].document < pair[1].document;
        assert!(ordered, "{query:?}: {pair:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_index_gives_what_the_reference_gives(
        documents in proptest::collection::vec(document(), 0..40),
        queries in proptest::collection::vec((query(), 0..60_usize), 60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let documents = views(&documents);
        let content = indexed(folder.path(), &documents);
        for (query, limit) in &queries {
            let found = content.search(query, *limit).unwrap();
            let all = reference::search(&documents, query, usize::MAX);
            assert_same(&found, &reference::search(&documents, query, *limit), &all, query);
        }
    }
}

/// Many windows, lists of many blocks, several segments before the merge, and hits far apart.
#[test]
fn a_large_index_gives_what_the_reference_gives() {
    let mut state = 11_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let documents: Vec<Owned> = (0..20_000)
        .map(|number| {
            let words = (0..random(9)).map(|_| {
                // Word n is about twice as rare as word n - 1.
                let word = (0..12).find(|_| random(2) == 0).unwrap_or(12);
                format!("w{word}")
            });
            let mut text = words.collect::<Vec<_>>().join(" ");
            if number % 9_973 == 5 {
                text.push_str(" needle");
            }
            Owned { text, command: String::new(), id: format!("d{number}") }
        })
        .collect();
    let documents = views(&documents);
    let folder = tempfile::tempdir().unwrap();
    let content = indexed(folder.path(), &documents);

    let term = |term: &str| ContentQuery::Term { field: "text".to_owned(), term: term.to_owned() };
    let clauses = |clauses: &[(Occur, &str)]| {
        let clause = |(occur, word): &(Occur, &str)| Clause { occur: *occur, query: term(word) };
        ContentQuery::Clauses(clauses.iter().map(clause).collect())
    };
    let phrase = |terms: &[&str], slop| ContentQuery::Phrase {
        field: "text".to_owned(),
        terms: terms.iter().map(|&term| term.to_owned()).collect(),
        slop,
    };
    let prefix = |prefix: &str| ContentQuery::Prefix { field: "text".to_owned(), prefix: prefix.to_owned() };
    use Occur::{Optional, Prohibited, Required};
    let mixed = ContentQuery::Clauses(vec![
        Clause { occur: Required, query: clauses(&[(Optional, "w0"), (Optional, "w3"), (Optional, "w9")]) },
        Clause { occur: Required, query: clauses(&[(Optional, "needle"), (Optional, "w11")]) },
        Clause { occur: Optional, query: prefix("w1") },
        Clause { occur: Prohibited, query: clauses(&[(Optional, "w2"), (Optional, "w7")]) },
    ]);
    let queries = [
        term("w0"),
        term("needle"),
        ContentQuery::All,
        prefix("w"),
        prefix("needle"),
        clauses(&[(Optional, "w0"), (Optional, "w1"), (Optional, "w5"), (Optional, "w10"), (Optional, "needle")]),
        clauses(&[(Optional, "w4"), (Optional, "w6"), (Prohibited, "w0")]),
        clauses(&[(Required, "w0"), (Required, "w1"), (Optional, "w8"), (Prohibited, "w3")]),
        clauses(&[(Required, "needle"), (Required, "w0"), (Optional, "w1")]),
        phrase(&["w0", "w1"], 0),
        phrase(&["w1", "w0", "w2"], 4),
        phrase(&["w0", "w0"], 3),
        ContentQuery::Clauses(vec![
            Clause { occur: Optional, query: ContentQuery::All },
            Clause { occur: Optional, query: term("w6") },
            Clause { occur: Prohibited, query: phrase(&["w0", "w0"], 0) },
        ]),
        mixed,
    ];
    for query in &queries {
        let all = reference::search(&documents, query, usize::MAX);
        for limit in [0, 1, 10, 100, 40_000] {
            let expected = Found { total: all.total, hits: all.hits[..limit.min(all.hits.len())].to_vec() };
            assert_same(&content.search(query, limit).unwrap(), &expected, &all, query);
        }
    }
}

#[test]
fn what_is_not_a_finished_index_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Content::open(folder.path()), Err(Error::Unusable { .. })));
    let writer = ContentWriter::create(folder.path(), Options::default()).unwrap();
    drop(writer);
    assert!(matches!(Content::open(folder.path()), Err(Error::Unusable { .. })));
    assert!(matches!(ContentWriter::create(folder.path(), Options::default()), Err(Error::NotEmpty)));
}

#[test]
fn an_id_past_its_limit_is_refused_and_nothing_of_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ContentWriter::create(folder.path(), Options::default()).unwrap();
    let id = "x".repeat(search::content::ID_BYTES_MAX + 1);
    let refused = writer.add(&ContentDocument { id: &id, ..ContentDocument::default() });
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    writer.finish().unwrap();
    assert_eq!(Content::open(folder.path()).unwrap().documents(), 0);
}
