//! All queries of specs/vectors/lucene give what real Lucene gives: errors, totals, hits, order and scores. Judged twice: by
//! the vectors' own `compare.py`, where there is a Python, and by the same rules here.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dialects::lucene;
use serde_json::{Value, json};
use service::search::content::{Content, ContentDocument, ContentWriter, Options, reference};

const LIMIT: usize = 100;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/vectors/lucene")
}

/// A run without vectors must not look like a run that passed.
fn lines(name: &str) -> Vec<Value> {
    let path = vectors().join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("the vectors at {} are needed for this test: {error}", path.display()));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("vectors are JSON")).collect();
    assert!(lines.len() > 200, "{name} is cut short");
    lines
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{value} has no text {member:?}"))
}

/// What we make of all queries, as `compare.py` reads it. `search` gives total and hits: position and score.
fn results(mut search: impl FnMut(&service::search::content::ContentQuery) -> (u64, Vec<(u32, f32)>)) -> Vec<Value> {
    let documents = lines("docs.jsonl");
    let result = |query: &Value| match lucene::parse(text(query, "query"), "text") {
        Err(error) => json!({ "id": query["id"], "error": error.kind.to_string() }),
        Ok(tree) => {
            let (total, hits) = search(&tree);
            let hit = |(at, score): (u32, f32)| json!({ "id": documents[at as usize]["id"], "score": score });
            json!({ "id": query["id"], "total": total, "hits": hits.into_iter().map(hit).collect::<Vec<_>>() })
        }
    };
    lines("queries.jsonl").iter().map(result).collect()
}

/// Differences to the oracle, by the rules of the vectors' README, scores included.
fn judge(results: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let expected = lines("expected.jsonl");
    assert_eq!(expected.len(), results.len());
    for (want, got) in expected.iter().zip(results) {
        assert_eq!(want["id"], got["id"]);
        if let Some(fault) = difference(want, got) {
            faults.push(format!("{} {}: {fault}", text(want, "id"), want["query"]));
        }
    }
    faults
}

fn difference(want: &Value, got: &Value) -> Option<String> {
    match (want.get("error"), got.get("error")) {
        (Some(want), Some(got)) => return (want != got).then(|| format!("refused as {got}, not {want}")),
        (Some(want), None) => return Some(format!("not refused as {want}")),
        (None, Some(got)) => return Some(format!("refused as {got}")),
        (None, None) => {}
    }
    if want["total"] != got["total"] {
        return Some(format!("total {}, not {}", got["total"], want["total"]));
    }
    let close = |one: f64, other: f64| (one - other).abs() <= 1e-3 * one.abs().max(other.abs()).max(1.0);
    let hits = |value: &Value| -> Vec<(String, f64)> {
        let hits = value["hits"].as_array().expect("hits are a list");
        hits.iter().map(|hit| (text(hit, "id").to_owned(), hit["score"].as_f64().expect("a score"))).collect()
    };
    let (want_hits, got_hits) = (hits(want), hits(got));
    if want_hits.len() != got_hits.len() {
        return Some(format!("{} hits, not {}", got_hits.len(), want_hits.len()));
    }
    let scores: HashMap<&str, f64> = want_hits.iter().map(|(id, score)| (id.as_str(), *score)).collect();
    let have: HashSet<&str> = got_hits.iter().map(|(id, _)| id.as_str()).collect();
    let lowest = want_hits.last().map_or(0.0, |(_, score)| *score);
    let all = want["total"].as_u64() == Some(want_hits.len() as u64);
    if have.len() != got_hits.len() {
        return Some("a document twice".to_owned());
    }
    if let Some((id, _)) =
        want_hits.iter().find(|(id, score)| !have.contains(id.as_str()) && (all || !close(*score, lowest)))
    {
        return Some(format!("{id} is missing"));
    }
    for (id, score) in &got_hits {
        match scores.get(id.as_str()) {
            None if all || !close(*score, lowest) => return Some(format!("{id} should not match")),
            known => {
                let expected = known.copied().unwrap_or(lowest);
                if !close(*score, expected) {
                    return Some(format!("{id} scores {score}, not {expected}"));
                }
            }
        }
    }
    got_hits.windows(2).find_map(|pair| {
        let score = |(id, _): &(String, f64)| scores.get(id.as_str()).copied().unwrap_or(lowest);
        let (first, second) = (score(&pair[0]), score(&pair[1]));
        (first < second && !close(first, second)).then(|| format!("{} stands before {}", pair[0].0, pair[1].0))
    })
}

#[test]
fn the_index_answers_every_query_as_real_lucene_does() {
    let documents = lines("docs.jsonl");
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ContentWriter::create(&folder.path().join("index"), Options::default()).unwrap();
    for (number, document) in documents.iter().enumerate() {
        let (text, id) = (text(document, "text"), text(document, "id"));
        writer.add(&ContentDocument { text, id, payload: number as u64, ..ContentDocument::default() }).unwrap();
    }
    writer.finish().unwrap();
    let content = Content::open(&folder.path().join("index")).unwrap();
    let results = results(|query| {
        let found = content.search(query, LIMIT).unwrap();
        (found.total, found.hits.iter().map(|hit| (hit.document, hit.score)).collect())
    });
    assert_eq!(judge(&results), Vec::<String>::new());

    // And in the judge's own words, if it can be asked.
    let file = folder.path().join("results.jsonl");
    let text = results.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
        text
    });
    std::fs::write(&file, text).unwrap();
    match Command::new("python3").arg(vectors().join("compare.py")).arg(&file).args(["--scores", "-v"]).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("258 of 258"), "{said}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("no python3 here: judged natively only")
        }
        Err(error) => panic!("python3 cannot be started: {error}"),
    }
}

#[test]
fn the_reference_answers_every_query_as_real_lucene_does() {
    let lines = lines("docs.jsonl");
    let document = |line: &'static Value| ContentDocument {
        text: text(line, "text"),
        id: text(line, "id"),
        ..ContentDocument::default()
    };
    // For the rest of the test process: documents borrow their texts.
    let lines: &'static [Value] = Vec::leak(lines);
    let documents: Vec<ContentDocument<'static>> = lines.iter().map(document).collect();
    let results = results(|query| {
        let found = reference::search(&documents, query, LIMIT);
        (found.total, found.hits.iter().map(|hit| (hit.document, hit.score)).collect())
    });
    assert_eq!(judge(&results), Vec::<String>::new());
}
