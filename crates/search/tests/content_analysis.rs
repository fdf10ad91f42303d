//! Tokens are those of real Lucene, with positions and offsets: specs/vectors/lucene.

use std::path::{Path, PathBuf};

use search::content::{Token, lower_case, tokens};
use serde_json::Value;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/vectors/lucene")
}

/// `stale_max`: lines whose offsets do not fit their own text, so that only tokens and positions can be compared.
fn check(file: &str, stale_max: usize) {
    let path = vectors().join(file);
    // A run without vectors must not look like a run that passed.
    let lines = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("the vectors at {} are needed for this test: {error}", path.display()));
    let (mut checked, mut stale) = (0, 0);
    for line in lines.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let text = vector["text"].as_str().unwrap();
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let expected = vector["tokens"].as_array().unwrap().iter().map(|token| Token {
            term: token["term"].as_str().unwrap().to_owned(),
            position: number(&token["pos"]) as u32,
            bytes: number(&token["start"])..number(&token["end"]),
        });
        let (expected, found): (Vec<Token>, Vec<Token>) = (expected.collect(), tokens(text).collect());
        let own = |token: &Token| text.get(token.bytes.clone()).is_some_and(|own| lower_case(own) == token.term);
        checked += 1;
        if expected.iter().all(own) {
            assert_eq!(found, expected, "{text:?}");
        } else {
            stale += 1;
            let terms =
                |tokens: &[Token]| tokens.iter().map(|token| (token.term.clone(), token.position)).collect::<Vec<_>>();
            assert_eq!(terms(&found), terms(&expected), "{text:?}");
        }
    }
    assert!(checked > 20, "{file} has only {checked} lines");
    assert!(stale <= stale_max, "the offsets of {stale} lines are not those of their own texts");
}

#[test]
fn every_document_has_the_tokens_of_the_oracle() {
    // In one text this project's name was changed after its offsets were taken.
    check("tokens.jsonl", 1);
}

#[test]
fn every_awkward_text_has_the_tokens_of_the_oracle() {
    check("analysis.jsonl", 0);
}
