//! Bulk: 1,000 events a request over eight connections, durable when acknowledged.

use anyhow::Result;

use super::{ABSENT, BATCH, BULK_CONNECTIONS, Bench, expect_accepted, progress, rate_text};
use crate::bare;
use crate::events::{self, Sample};
use crate::http;
use crate::load::{self, Measured};
use crate::postgres::{self, Connection};
use crate::report::{Report, Target, thousands};
use crate::server::{Installation, processor_text};
use crate::table::{self, Layout, Shape};

/// What one of our runs gave.
struct Ours {
    measured: Measured,
    /// Events per second until the index had caught up and the server was idle again.
    searchable_per_second: f64,
    /// Processor time of the last run by thread, until the last acknowledgement and until idle.
    acknowledged_processor: String,
    idle_processor: String,
}

pub async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let samples = &bench.samples[..bench.plan.bulk_events];
    report.section(&format!("Bulk ingest: {BATCH} events a request, {BULK_CONNECTIONS} connections"));

    let mut inserts = Vec::new();
    for shape in [Shape::Values, Shape::Arrays] {
        progress(format_args!("PostgreSQL, {} events a statement, {shape:?}", BATCH));
        inserts.push((shape, insert(bench, samples, shape, Layout::default(), bench.plan.runs).await?));
    }
    let best = inserts.iter().max_by(|(_, a), (_, b)| a.per_second(1).total_cmp(&b.per_second(1))).expect("two shapes");
    progress("PostgreSQL, jsonb");
    let jsonb = insert(bench, samples, Shape::Values, Layout { jsonb: true, ..Layout::default() }, 1).await?;
    progress("PostgreSQL, COPY");
    let copied = copy(bench, samples).await?;
    bench.settle_postgres().await?;

    progress("bare parse + append");
    let bare = median((0..bench.plan.runs).map(|_| bare::parse_append(&bench.work, samples)).collect::<Result<_>>()?);

    let ours = match bench.program {
        Some(_) => Some(ingest(bench, samples, bench.plan.runs).await?),
        None => None,
    };
    let rate = ours.as_ref().map(|o| o.measured.per_second(BATCH as u64));
    let cell = ours.as_ref().map_or(ABSENT.to_owned(), |o| rate_text(&o.measured, BATCH as u64, "ev/s"));
    for (shape, measured) in &inserts {
        let what = match shape {
            Shape::Values => "multi-row `INSERT … VALUES`",
            Shape::Arrays => "multi-row `INSERT … SELECT FROM unnest(arrays)`",
        };
        let target = (*shape == best.0).then_some(Target::AtLeast(5.0));
        let reference = format!("PostgreSQL {}", rate_text(measured, BATCH as u64, "rows/s"));
        report.row(what, &cell, &reference, rate.map(|r| r / measured.per_second(BATCH as u64)), target);
    }
    let reference = format!("PostgreSQL {}", rate_text(&jsonb, BATCH as u64, "rows/s"));
    let ratio = rate.map(|r| r / jsonb.per_second(BATCH as u64));
    report.row("multi-row `INSERT … VALUES`, the event as `jsonb`", &cell, &reference, ratio, None);
    let reference = format!("PostgreSQL {}", rate_text(&copied, BATCH as u64, "rows/s"));
    report.row("`COPY`", &cell, &reference, rate.map(|r| r / copied.per_second(BATCH as u64)), None);
    let reference = format!("bare loop {} ev/s", thousands(bare));
    report.row(
        "parse + append + fdatasync, one thread",
        &cell,
        &reference,
        rate.map(|r| r / bare),
        Some(Target::AtLeast(0.4)),
    );
    if let Some(ours) = &ours {
        let rate = ours.searchable_per_second;
        let reference = best.1.per_second(BATCH as u64);
        report.row(
            "until all of it is in the search index too and the server is idle",
            &format!("{} ev/s", thousands(rate)),
            &format!("PostgreSQL {} rows/s", thousands(reference)),
            Some(rate / reference),
            None,
        );
    }
    with_ids(bench, report).await?;
    if let Some(ours) = &ours {
        report.note(format!(
            "Processor time of the server for each event, by thread, in µs: {} when the last was acknowledged; {} when the server was idle.",
            ours.acknowledged_processor, ours.idle_processor
        ));
    }
    report.note(format!(
        "{} events of {:.0} B on average, medians of {}; each run begins with an empty data folder or table. The target counts \
         against the faster of the two `INSERT` shapes. PostgreSQL's table: primary key (org, seq), indexes on time and actor, \
         9 columns with the event as `json`; parameters are prepared beforehand in binary form. The bare loop reads NDJSON from memory, \
         parses and validates each line with the parser of our ingest, and appends its bytes to one file, fdatasync every {} events; \
         nothing is hashed, numbered, signed or compressed.",
        thousands(samples.len() as f64),
        events::mean_bytes(samples),
        bench.plan.runs,
        thousands(bare::SYNC_EVERY as f64),
    ));
    Ok(())
}

/// The same with the sender's ids, which both sides then keep unique.
async fn with_ids(bench: &Bench, report: &mut Report) -> Result<()> {
    let samples = events::make(bench.plan.seed + 1, bench.plan.bulk_events / 3 / BATCH * BATCH, true);
    progress("PostgreSQL, with ids");
    let theirs = insert(bench, &samples, Shape::Arrays, Layout { with_ids: true, ..Layout::default() }, 1).await?;
    bench.settle_postgres().await?;
    let ours = match bench.program {
        Some(_) => Some(ingest(bench, &samples, 1).await?.measured),
        None => None,
    };
    report.row(
        "with the sender's ids, unique on both sides (`ON CONFLICT DO NOTHING`, arrays)",
        &ours.as_ref().map_or(ABSENT.to_owned(), |o| rate_text(o, BATCH as u64, "ev/s")),
        &format!("PostgreSQL {}", rate_text(&theirs, BATCH as u64, "rows/s")),
        ours.as_ref().map(|o| o.per_second(1) / theirs.per_second(1)),
        None,
    );
    Ok(())
}

async fn insert(bench: &Bench, samples: &[Sample], shape: Shape, layout: Layout, runs: usize) -> Result<Measured> {
    let (sql, types) = table::insert_statement(shape, BATCH, layout);
    let requests: Vec<_> = samples.chunks(BATCH).map(|batch| table::insert_request(shape, batch, layout)).collect();
    let mut measured = Vec::new();
    for _ in 0..runs {
        table::create(&bench.postgres, layout).await?;
        let peers = Connection::open_prepared(&bench.postgres, BULK_CONNECTIONS, "insert", &sql, &types).await?;
        let requests = requests.clone();
        let count = requests.len() as u64;
        let tag = format!("INSERT 0 {BATCH}");
        let check = move |_, reply: &[u8]| postgres::expect_tag(reply, &tag);
        measured.push(load::drive(peers, count, move |n| requests[n as usize].clone(), check).await?);
    }
    Ok(load::median(measured))
}

async fn copy(bench: &Bench, samples: &[Sample]) -> Result<Measured> {
    let requests: Vec<_> = samples.chunks(BATCH).map(table::copy_request).collect();
    table::create(&bench.postgres, Layout::default()).await?;
    let mut peers = Vec::new();
    for _ in 0..BULK_CONNECTIONS {
        peers.push(Connection::open(&bench.postgres).await?);
    }
    let count = requests.len() as u64;
    let check = |_, reply: &[u8]| postgres::expect_tag(reply, &format!("COPY {BATCH}"));
    load::drive(peers, count, move |n| requests[n as usize].clone(), check).await
}

async fn ingest(bench: &Bench, samples: &[Sample], runs: usize) -> Result<Ours> {
    let program = bench.program.as_ref().expect("asked for by the caller");
    let (mut measured, mut searchable) = (Vec::new(), Vec::new());
    let (mut acknowledged_processor, mut idle_processor) = (String::new(), String::new());
    for run in 1..=runs {
        progress(format_args!("Counterfoil, {BATCH} events a request, run {run} of {runs}"));
        let installation = Installation::init(program, &bench.work, "bulk")?;
        let server = installation.start()?;
        let session = server.login().await?;
        let requests = bench.bulk_requests(&session, samples);
        server.quiet().await?;
        let peers = http::Connection::open_many(session.address, BULK_CONNECTIONS).await?;
        let count = requests.len() as u64;
        let check = |_, reply: &[u8]| expect_accepted(reply, BATCH);
        let before = server.processor_us()?;
        let run = load::drive(peers, count, move |n| requests[n as usize].clone(), check).await?;
        acknowledged_processor = processor_text(&before, &server.processor_us()?, samples.len());
        let until_idle = run.elapsed + server.quiet().await?;
        idle_processor = processor_text(&before, &server.processor_us()?, samples.len());
        searchable.push(samples.len() as f64 / until_idle.as_secs_f64());
        measured.push(run);
        server.stop()?;
        installation.remove()?;
    }
    Ok(Ours {
        measured: load::median(measured),
        searchable_per_second: median(searchable),
        acknowledged_processor,
        idle_processor,
    })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
