//! Prints how fast the index takes documents and answers pages, at 10^5 and 10^6 documents (or as many as the first
//! argument says).
//!
//! `cargo run --release -p counterfoil-search --example index_bench`

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use search::parse::parse;
use search::{Document, Field, Index, Options, Order};

const PAGE: usize = 100;
const LOGS: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let sizes = match std::env::args().nth(1) {
        Some(size) => vec![size.parse()?],
        None => vec![100_000, 1_000_000],
    };
    for size in sizes {
        run(size)?;
    }
    Ok(())
}

fn run(size: u64) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (index, _) = Index::open(folder.path(), Options { background: false, ..Options::default() })?;
    let mut random = Random(42);
    let started = Instant::now();
    let mut numbers = [0_u64; LOGS as usize];
    let mut commits = Vec::new();
    for i in 0..size {
        // Half of everything is in log 0.
        let log = random.below(LOGS * 2).saturating_sub(LOGS) as usize;
        numbers[log] += 1;
        index.add(log as u32, &document(numbers[log], i, &mut random))?;
        if i % 100_000 == 99_999 {
            let started = Instant::now();
            index.commit(b"bench")?;
            commits.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    index.commit(b"bench")?;
    let added = started.elapsed().as_secs_f64();
    index.settle();
    let settled = started.elapsed().as_secs_f64();
    println!(
        "{size} documents: {:.0}/s until committed, {:.0}/s until merged; {} segments, {:.0} B a document; slowest of {} commits {:.0} ms",
        size as f64 / added,
        size as f64 / settled,
        index.reader().segments(),
        folder_bytes(folder.path())? as f64 / size as f64,
        commits.len(),
        commits.iter().copied().fold(0.0, f64::max),
    );
    println!("| query | order | matches in log 0 | first page of {PAGE}, us | a page in the middle, us |");
    println!("|---|---|---|---|---|");
    let middle = numbers[0] / 2;
    for text in [
        "*",
        "id:id-77777",
        "id-77777",
        "actor:user-1",
        "kind:web",
        "-kind:web",
        "password",
        "\"password for\"",
        "source:10.0.1*",
        "kind:web actor:user-2",
        "occurred:>=1970-01-01T00:00:10Z kind:file",
    ] {
        let query = parse(text)?;
        let matches = index.count(0, &query, u64::MAX)?;
        for order in [Order::Descending, Order::Ascending] {
            let time = |after: Option<u64>| -> Result<f64, search::Error> {
                let mut best = f64::MAX;
                for _ in 0..5 {
                    let started = Instant::now();
                    index.search(0, &query, order, after, None, PAGE)?;
                    best = best.min(started.elapsed().as_secs_f64() * 1e6);
                }
                Ok(best)
            };
            println!("| `{text}` | {order:?} | {matches} | {:.0} | {:.0} |", time(None)?, time(Some(middle))?);
        }
    }
    Ok(())
}

fn document(number: u64, i: u64, random: &mut Random) -> Document {
    let kind = ["web", "web", "web", "web", "page", "authentication", "file", "admin"][random.below(8) as usize];
    let user = (random.below(100) * random.below(100)) / 20;
    let mut text = format!("Accepted password for user {user} from port");
    for _ in 0..12 {
        text.push_str(&format!(" w{}", random.below(60) * random.below(60)));
    }
    Document {
        number,
        occurred_at_us: i as i64 * 1_000,
        recorded_at_us: i as i64 * 1_000 + 5,
        keywords: vec![
            (Field::Id, format!("id-{i}")),
            (Field::Kind, kind.to_owned()),
            (Field::Action, format!("{kind} action {}", random.below(12))),
            (Field::Outcome, if random.below(20) == 0 { "failure" } else { "success" }.to_owned()),
            (Field::Actor, format!("user-{user}")),
            (Field::Source, format!("10.0.{}.{}", random.below(4), random.below(250))),
            (Field::Session, format!("session-{}", i / 50)),
        ],
        text: vec![text],
    }
}

fn folder_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// A small generator: the same documents in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
