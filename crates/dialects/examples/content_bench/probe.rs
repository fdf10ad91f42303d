//! Asks our index what `crates/bench/lucene/LuceneOracle.java` asks real Lucene, in the same files and forms:
//!
//! ```text
//! tokens  TEXTS                 per text: a line of TERM:START:END (byte offsets), blanks between
//! search  DOCS QUERIES          per query: "error KIND" or "TOTAL DOC:SCORE …", the best 100
//! bench   DOCS QUERIES INDEX    builds an index in the folder INDEX, warms, measures
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use service::search::content::{Content, ContentDocument, ContentQuery, ContentWriter, Options, tokens};

const LIMIT: usize = 100;

/// Runs what the command line asks for, with a parser of queries.
pub fn main<E: std::fmt::Display>(parse: fn(&str, &str) -> Result<ContentQuery, E>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["tokens", texts] => print_tokens(&read(texts)),
        ["search", documents, queries] => {
            let folder = std::env::temp_dir().join(format!("content-probe-{}", std::process::id()));
            let content = index(&read(documents), &folder);
            print_answers(&content, &read(queries), parse);
            std::fs::remove_dir_all(&folder).expect("the index can be removed");
        }
        ["bench", documents, queries, folder] => {
            let documents = read(documents);
            let started = Instant::now();
            let content = index(&documents, Path::new(folder));
            println!("# ours built {} documents in {:.1} s", documents.len(), started.elapsed().as_secs_f64());
            measure(&content, &read(queries), parse);
        }
        _ => panic!("usage: content_bench tokens TEXTS | search DOCS QUERIES | bench DOCS QUERIES INDEX"),
    }
}

fn read(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let line = |line| String::from_utf8(STANDARD.decode(line).expect("lines are base64")).expect("of UTF-8");
    text.lines().map(line).collect()
}

fn index(texts: &[String], folder: &Path) -> Content {
    let mut writer = ContentWriter::create(folder, Options::default()).expect("the folder is empty");
    for (number, text) in texts.iter().enumerate() {
        let id = format!("d{}", number + 1);
        let document = ContentDocument { text, id: &id, payload: number as u64, ..ContentDocument::default() };
        writer.add(&document).expect("the document is within the limits");
    }
    writer.finish().expect("the index can be written");
    Content::open(folder).expect("it was just written")
}

fn print_tokens(texts: &[String]) {
    for text in texts {
        let mut line = String::new();
        for token in tokens(text) {
            let term = STANDARD.encode(&token.term);
            write!(line, "{term}:{}:{} ", token.bytes.start, token.bytes.end).expect("a string takes it");
        }
        println!("{}", line.trim_end());
    }
}

fn print_answers<E: std::fmt::Display>(
    content: &Content,
    queries: &[String],
    parse: fn(&str, &str) -> Result<ContentQuery, E>,
) {
    for query in queries {
        match parse(query, "text") {
            Err(error) => println!("error {}", error.to_string().replace('\n', " ")),
            Ok(query) => {
                let found = content.search(&query, LIMIT).expect("the index can be read");
                let mut line = found.total.to_string();
                for hit in &found.hits {
                    write!(line, " {}:{}", hit.document, hit.score).expect("a string takes it");
                }
                println!("{line}");
            }
        }
    }
}

/// Parses and searches each query, 15 rounds to warm and 15 to measure, as the other side does.
fn measure<E: std::fmt::Display>(
    content: &Content,
    queries: &[String],
    parse: fn(&str, &str) -> Result<ContentQuery, E>,
) {
    const WARM: usize = 15;
    const ROUNDS: usize = 15;
    let mut best = vec![f64::INFINITY; queries.len()];
    let mut all = Vec::new();
    let mut totals = vec![0; queries.len()];
    for round in 0..WARM + ROUNDS {
        for (number, query) in queries.iter().enumerate() {
            let started = Instant::now();
            let query = parse(query, "text").unwrap_or_else(|error| panic!("{query}: {error}"));
            totals[number] = content.search(&query, LIMIT).expect("the index can be read").total;
            let taken = started.elapsed().as_secs_f64() * 1e6;
            if round >= WARM {
                best[number] = best[number].min(taken);
                all.push(taken);
            }
        }
    }
    let at = |times: &mut Vec<f64>, percent: usize| {
        times.sort_by(f64::total_cmp);
        times[(times.len() * percent / 100).min(times.len() - 1)]
    };
    let mut sorted = best.clone();
    println!(
        "ours exact count\tbest p50 {:.1} p99 {:.1} us\tall p50 {:.1} p99 {:.1} us",
        at(&mut sorted, 50),
        at(&mut sorted, 99),
        at(&mut all, 50),
        at(&mut all, 99)
    );
    if let Ok(file) = std::env::var("EACH") {
        let line = |(best, total): (&f64, &u64)| format!("{best:.1}\t{total}\n");
        std::fs::write(&file, best.iter().zip(&totals).map(line).collect::<String>()).expect("the file can be written");
    }
}
