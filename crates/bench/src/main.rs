//! Measures Counterfoil beside PostgreSQL and beside bare loops, all in one run, and prints one table with ratios.
//!
//! Promise: the same events on both sides, over the same number of connections on the same disk, by equally light clients; any
//! request that is not answered as expected ends the run with an error. Nothing is judged by the clock: a missed target is
//! printed, it does not fail. `scripts/bench.sh` (`make bench`) starts a private PostgreSQL and calls this.

mod bare;
mod events;
mod http;
mod load;
mod machine;
mod plan;
mod postgres;
mod random;
mod report;
mod rows;
mod server;
mod table;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use plan::Plan;
use postgres::{Address, Connection};
use report::Report;
use rows::Bench;

#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/release/counterfoil")]
    counterfoil: PathBuf,
    /// Empty folder for our data, on the same disk as PostgreSQL's.
    #[arg(long)]
    work: PathBuf,
    /// Where PostgreSQL listens on 127.0.0.1.
    #[arg(long)]
    postgres_port: u16,
    #[arg(long, default_value = "bench")]
    postgres_user: String,
    /// Shell command that restarts PostgreSQL, for the rows read from a cold disk.
    #[arg(long)]
    postgres_restart: Option<String>,
    /// Small counts, about two minutes.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// On to ten million events, about half an hour.
    #[arg(long)]
    full: bool,
    /// Only these parts; several allowed.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Measure the other side alone, without a server of ours.
    #[arg(long)]
    postgres_only: bool,
    /// Seed of the events and of the positions read.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Revision of the source, to be named in the report.
    #[arg(long, default_value = "unknown")]
    revision: String,
    /// Day of the run, to be named in the report.
    #[arg(long, default_value = "unknown")]
    day: String,
    /// Write the report here (Markdown); without it, only print.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 1,000 events a request.
    Bulk,
    /// One event a request.
    Single,
    /// Pages, start-up, memory, disk, verification at growing sizes.
    Growth,
    /// Log extraction and encryption.
    Extraction,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // One thread: the measured program needs the processors more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let begin = Instant::now();
    let plan = match (arguments.quick, arguments.full) {
        (true, _) => Plan::quick(arguments.seed),
        (_, true) => Plan::full(arguments.seed),
        _ => Plan::usual(arguments.seed),
    };
    let mut machine = machine::describe(&arguments.work)?;
    let postgres = Address { port: arguments.postgres_port, user: arguments.postgres_user };
    machine.push(postgres_settings(&postgres).await?);
    let samples = events::make(plan.seed, plan.samples(), false);
    let bench = Bench {
        plan,
        program: (!arguments.postgres_only).then_some(arguments.counterfoil),
        work: arguments.work,
        postgres,
        postgres_restart: arguments.postgres_restart,
        samples,
    };

    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let mut report = Report::default();
    if wanted(Part::Bulk) {
        rows::bulk::run(&bench, &mut report).await.context("bulk ingest")?;
    }
    if wanted(Part::Single) {
        rows::single::run(&bench, &mut report).await.context("single events")?;
    }
    if wanted(Part::Growth) {
        rows::growth::run(&bench, &mut report).await.context("growth")?;
    }

    if wanted(Part::Extraction) {
        rows::extraction::run(&bench, &mut report).await.context("extraction")?;
    }

    let text = format!(
        "# Benchmarks\n\nThe last run of `make bench` ({} plan, seed {}, revision {}, {}); written by `crates/bench`, not by hand.\n\
         Every ratio is of two figures of the same run on the same machine. The load generator is one thread on the same processors; \
         it speaks HTTP and PostgreSQL's protocol with requests made beforehand. What is acknowledged is durable on both sides: \
         after fdatasync and signature with us, after the WAL is flushed with PostgreSQL.\n\n{}{}",
        bench.plan.name,
        bench.plan.seed,
        arguments.revision,
        arguments.day,
        machine.iter().map(|line| format!("- {line}\n")).collect::<String>(),
        report.markdown()
    );
    println!("\n{text}");
    if let Some(path) = arguments.out {
        fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
    }
    for missed in report.missed() {
        eprintln!("bench: target missed: {missed}");
    }
    eprintln!("bench: done after {:.0} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Version and the settings that decide about speed and durability, as the server itself states them.
async fn postgres_settings(address: &Address) -> Result<String> {
    let mut connection = Connection::open(address).await?;
    let mut parts = vec![format!("PostgreSQL {}", connection.run("SHOW server_version").await?)];
    for name in ["fsync", "synchronous_commit", "wal_sync_method", "full_page_writes", "shared_buffers", "max_wal_size"]
    {
        parts.push(format!("{name}={}", connection.run(&format!("SHOW {name}")).await?));
    }
    let locale = connection.run("SELECT datcollate FROM pg_database WHERE datname = current_database()").await?;
    parts.push(format!("collation {locale}, otherwise as installed"));
    Ok(parts.join(", "))
}
