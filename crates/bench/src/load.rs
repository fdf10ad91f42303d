//! The load generator: N connections, each sending its next request when the last one is answered.
//!
//! It shares two cores with what it measures, so it is as light as it can be and equally light on both sides: requests are
//! bytes made beforehand, replies are only framed and checked, one thread polls all connections. HTTP and PostgreSQL's
//! protocol are spoken by hand (`http.rs`, `postgres.rs`) for the same reason.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::task::{JoinSet, LocalSet};

/// One end of a connection that answers one request at a time.
pub trait Peer {
    /// Sends one request and returns its reply: the body of a 2xx (HTTP), all messages (PostgreSQL).
    ///
    /// # Errors
    /// The connection broke, or the reply says the request failed.
    async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]>;
}

/// What one run measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub requests: u64,
    pub elapsed: Duration,
    /// Time of each request, sorted.
    latencies_us: Vec<u32>,
}

impl Measured {
    pub fn per_second(&self, items_per_request: u64) -> f64 {
        (self.requests * items_per_request) as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency, in milliseconds, that this share (0..1) of the requests did not exceed.
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let at = ((self.latencies_us.len() - 1) as f64 * share).round() as usize;
        f64::from(self.latencies_us[at]) / 1_000.0
    }
}

/// Sends `requests` requests over all `peers`; `request` makes the n-th, `check` looks at its reply.
///
/// # Errors
/// The first failed exchange or check; the measurement is then worth nothing.
pub async fn drive<P: Peer + 'static>(
    peers: Vec<P>,
    requests: u64,
    request: impl Fn(u64) -> Bytes + 'static,
    check: impl Fn(u64, &[u8]) -> Result<()> + 'static,
) -> Result<Measured> {
    let next = Rc::new(Cell::new(0u64));
    let latencies = Rc::new(RefCell::new(Vec::with_capacity(requests as usize)));
    let (request, check) = (Rc::new(request), Rc::new(check));
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for mut peer in peers {
        let (next, latencies) = (next.clone(), latencies.clone());
        let (request, check) = (request.clone(), check.clone());
        let task = async move {
            loop {
                let n = next.get();
                if n >= requests {
                    return anyhow::Ok(());
                }
                next.set(n + 1);
                let bytes = request(n);
                let sent_at = Instant::now();
                let reply = peer.exchange(&bytes).await.with_context(|| format!("request {n}"))?;
                latencies.borrow_mut().push(u32::try_from(sent_at.elapsed().as_micros()).unwrap_or(u32::MAX));
                check(n, reply).with_context(|| format!("reply to request {n}"))?;
            }
        };
        tasks.spawn_local_on(task, &local);
    }
    let all = async {
        while let Some(done) = tasks.join_next().await {
            done.context("a connection's task ended badly")??;
        }
        anyhow::Ok(())
    };
    local.run_until(all).await?;
    let elapsed = begin.elapsed();
    let mut latencies_us = latencies.take();
    latencies_us.sort_unstable();
    ensure!(latencies_us.len() as u64 == requests, "{} of {requests} requests answered", latencies_us.len());
    Ok(Measured { requests, elapsed, latencies_us })
}

/// The median run by elapsed time.
pub fn median(mut runs: Vec<Measured>) -> Measured {
    runs.sort_by_key(|run| run.elapsed);
    runs.swap_remove(runs.len() / 2)
}
