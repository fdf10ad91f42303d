//! One event a request over 64 connections: what group commit is for.

use anyhow::{Result, ensure};

use super::{ABSENT, Bench, progress, rate_text};
use crate::http;
use crate::load::{self, Measured};
use crate::postgres::{self, Connection};
use crate::report::{Report, Target, thousands};
use crate::server::{Installation, processor_text};
use crate::table::{self, Layout, Shape};

const CONNECTIONS: usize = 64;

pub async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    report.section(&format!("Single events: one a request, {CONNECTIONS} connections"));
    progress("PostgreSQL, single rows");
    let theirs = insert(bench).await?;
    bench.settle_postgres().await?;
    let ours = match bench.program {
        Some(_) => Some(ingest(bench).await?),
        None => None,
    };
    report.row(
        "single-row `INSERT`",
        &ours.as_ref().map_or(ABSENT.to_owned(), |(o, _)| rate_text(o, 1, "ev/s")),
        &format!("PostgreSQL {}", rate_text(&theirs, 1, "rows/s")),
        ours.as_ref().map(|(o, _)| o.per_second(1) / theirs.per_second(1)),
        Some(Target::AtLeast(3.0)),
    );
    report.note(format!(
        "{} events for us and {} rows for PostgreSQL (prepared statement, autocommit), medians of {}. Our requests are HTTP with a bearer \
         token and get a receipt each; PostgreSQL's are Bind + Execute + Sync and get a row count.",
        thousands(bench.plan.single_events as f64),
        thousands(bench.plan.single_rows as f64),
        bench.plan.runs
    ));
    if let Some((_, processor)) = &ours {
        report.note(format!("Processor time of the server for each event, by thread, in µs: {processor}."));
    }
    Ok(())
}

async fn insert(bench: &Bench) -> Result<Measured> {
    let (sql, types) = table::insert_statement(Shape::Values, 1, Layout::default());
    let samples = bench.samples[..bench.plan.single_rows].chunks(1);
    let requests: Vec<_> = samples.map(|one| table::insert_request(Shape::Values, one, Layout::default())).collect();
    let mut measured = Vec::new();
    for _ in 0..bench.plan.runs {
        table::create(&bench.postgres, Layout::default()).await?;
        let peers = Connection::open_prepared(&bench.postgres, CONNECTIONS, "insert", &sql, &types).await?;
        let requests = requests.clone();
        let count = requests.len() as u64;
        let check = |_, reply: &[u8]| postgres::expect_tag(reply, "INSERT 0 1");
        measured.push(load::drive(peers, count, move |n| requests[n as usize].clone(), check).await?);
    }
    Ok(load::median(measured))
}

async fn ingest(bench: &Bench) -> Result<(Measured, String)> {
    let program = bench.program.as_ref().expect("asked for by the caller");
    let mut measured = Vec::new();
    let mut processor = String::new();
    for run in 1..=bench.plan.runs {
        progress(format_args!("Counterfoil, single events, run {run} of {}", bench.plan.runs));
        let installation = Installation::init(program, &bench.work, "single")?;
        let server = installation.start()?;
        let session = server.login().await?;
        let target = format!("/v1/orgs/{}/events", session.org);
        let request = |json: &str| {
            http::request("POST", &target, Some(&session.token), Some("application/json"), json.as_bytes())
        };
        let requests: Vec<_> = bench.samples[..bench.plan.single_events].iter().map(|s| request(&s.json)).collect();
        server.quiet().await?;
        let peers = http::Connection::open_many(session.address, CONNECTIONS).await?;
        let count = requests.len() as u64;
        let check = |_, reply: &[u8]| {
            ensure!(
                memchr::memmem::find(reply, br#""seq":"#).is_some(),
                "a receipt without a number: {}",
                reply.escape_ascii()
            );
            Ok(())
        };
        let before = server.processor_us()?;
        measured.push(load::drive(peers, count, move |n| requests[n as usize].clone(), check).await?);
        processor = processor_text(&before, &server.processor_us()?, count as usize);
        server.stop()?;
        installation.remove()?;
    }
    Ok((load::median(measured), processor))
}
