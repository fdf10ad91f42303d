//! What is measured, a file for each part of the table.

pub mod bulk;
pub mod extraction;
pub mod growth;
pub mod single;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use bytes::Bytes;

use crate::events::Sample;
use crate::http;
use crate::load::Measured;
use crate::plan::Plan;
use crate::postgres::{Address, Connection};
use crate::report::thousands;
use crate::server::Session;

/// Everything a row needs to know.
pub struct Bench {
    pub plan: Plan,
    /// The `counterfoil` program; absent: only the other side is measured.
    pub program: Option<PathBuf>,
    pub work: PathBuf,
    pub postgres: Address,
    /// Shell command that restarts PostgreSQL, for reads that must not be cached.
    pub postgres_restart: Option<String>,
    pub samples: Vec<Sample>,
}

/// Events in one bulk request.
const BATCH: usize = 1_000;
const BULK_CONNECTIONS: usize = 8;

impl Bench {
    /// The first `events` of the samples in requests of [`BATCH`].
    fn bulk_requests(&self, session: &Session, samples: &[Sample]) -> Vec<Bytes> {
        samples.chunks(BATCH).map(|batch| ndjson_request(session, batch)).collect()
    }

    /// Lets PostgreSQL finish what it does in the background, so that it does not disturb the next measurement.
    async fn settle_postgres(&self) -> Result<()> {
        Connection::open(&self.postgres).await?.run("CHECKPOINT").await?;
        Ok(())
    }
}

fn ndjson_request(session: &Session, batch: &[Sample]) -> Bytes {
    let mut body = Vec::new();
    for sample in batch {
        body.extend_from_slice(sample.json.as_bytes());
        body.push(b'\n');
    }
    let target = format!("/v1/orgs/{}/events?receipts=summary", session.org);
    http::request("POST", &target, Some(&session.token), Some("application/x-ndjson"), &body)
}

/// Fails unless the reply to a bulk request acknowledges each of its events.
fn expect_accepted(reply: &[u8], events: usize) -> Result<()> {
    let reply: serde_json::Value = serde_json::from_slice(reply)?;
    ensure!(reply["accepted"] == events, "not all of {events} were accepted: {reply}");
    Ok(())
}

/// `412,345 ev/s (p50 1.2 ms, p99 3.4 ms)`.
fn rate_text(measured: &Measured, items: u64, unit: &str) -> String {
    format!(
        "{} {unit} (p50 {:.1} ms, p99 {:.1} ms)",
        thousands(measured.per_second(items)),
        measured.percentile_ms(0.5),
        measured.percentile_ms(0.99)
    )
}

/// Prints what is being done, on standard error.
fn progress(text: impl std::fmt::Display) {
    eprintln!("bench: {text}");
}

/// Cell of a figure that was not measured.
const ABSENT: &str = "–";
