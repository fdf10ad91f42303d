//! What happens to recordings by itself: the catalogue catches up and is committed, sessions to which nothing comes any
//! more are ended, garbage is swept.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::catalogue::{Catalogue, WAITING_DOCUMENTS, WATERMARK_ENTRIES};
use crate::error::Result;
use crate::service::Service;

/// How often it is looked whether something is to be done.
const TICK: Duration = Duration::from_secs(1);

/// What was told to the catalogue is committed after this time. Reads do not wait for it; a start after a crash reads what
/// was not.
const COMMIT_AFTER: Duration = Duration::from_secs(5);

/// A start reads up to this many entries for the catalogue before it returns; of more it says that they are being read.
const CATCH_UP_ENTRIES: u64 = 2 * WATERMARK_ENTRIES;

/// How long after a start the first sweep comes.
const FIRST_SWEEP_AFTER: Duration = Duration::from_secs(600);

impl Service {
    /// Brings the catalogue up to date, takes up the sessions that are open, and starts the task that looks after them.
    pub(crate) fn keep_recordings(&self, stopped: watch::Receiver<bool>) -> Result<Option<JoinHandle<()>>> {
        let is_short = self.recordings().catalogue.behind() <= CATCH_UP_ENTRIES;
        if is_short {
            self.recordings().catalogue.catch_up(&|| false)?;
            self.take_up_sessions()?;
        }
        // The task must not keep the service alive: a service that is dropped without a shutdown ends it.
        let weak = self.downgrade();
        Ok(Some(tokio::spawn(async move {
            if !is_short && !catch_up(&weak, &stopped).await {
                return;
            }
            keep(weak, stopped).await;
        })))
    }
}

/// Reads what a new catalogue has to read. True: it is there.
async fn catch_up(weak: &Weak<crate::service::Inner>, stopped: &watch::Receiver<bool>) -> bool {
    let Some(service) = Service::upgrade(weak) else { return false };
    let stopped = stopped.clone();
    let work = tokio::task::spawn_blocking(move || {
        let done = service.recordings().catalogue.catch_up(&|| *stopped.borrow());
        done.and_then(|()| service.take_up_sessions())
    });
    match work.await {
        Ok(Ok(())) => true,
        problem => {
            tracing::error!(?problem, "the catalogue of sessions could not be made; sessions cannot be asked for");
            false
        }
    }
}

async fn keep(weak: Weak<crate::service::Inner>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut committed = Instant::now();
    let mut next_sweep = Instant::now() + FIRST_SWEEP_AFTER;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let Some(service) = Service::upgrade(&weak) else { return };
        service.end_idle_sessions().await;
        let catalogue = Arc::clone(&service.recordings().catalogue);
        if is_due(&catalogue, committed) {
            committed = Instant::now();
            let done = tokio::task::spawn_blocking(move || catalogue.commit()).await;
            if !matches!(done, Ok(Ok(()))) {
                tracing::error!(?done, "the catalogue of sessions could not be committed");
            }
        }
        let every = service.recordings().options.sweep_every;
        if let Some(every) = every
            && Instant::now() >= next_sweep
        {
            next_sweep = Instant::now() + every;
            match service.sweep_recordings().await {
                Ok(swept) => tracing::debug!(?swept, "recordings were swept"),
                Err(error) => tracing::warn!(?error, "recordings could not be swept; it is tried again"),
            }
        }
    }
}

fn is_due(catalogue: &Catalogue, committed: Instant) -> bool {
    let waiting = catalogue.waiting();
    waiting >= WAITING_DOCUMENTS
        || (waiting > 0 && committed.elapsed() >= COMMIT_AFTER)
        || (committed.elapsed() >= COMMIT_AFTER && catalogue.behind() >= WATERMARK_ENTRIES)
}
