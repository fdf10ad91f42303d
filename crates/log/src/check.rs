//! The second opinion before signing (`specs/proofs.md` §5.1 step 3).
//!
//! Recomputes, from the very bytes that were handed to the disk and with another SHA-256 implementation, every leaf hash of
//! a group and every root it leads to. It runs on a thread of its own while the disk syncs.

use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use tlog::{Frontier, Hash};

use crate::frame::HEADER_BYTES;
use crate::group::{self, Fields, Plain};
use crate::model::BodyState;

/// Smaller groups are checked faster than another thread is woken.
const OWN_THREAD_BYTES_MIN: usize = 16 << 10;

/// A group as it was handed to the disk, and what is claimed of it.
pub(crate) struct CheckJob {
    /// Frame header and payload.
    pub frame: Vec<u8>,
    /// How many entries the payload holds.
    pub entries: u32,
    /// For each run, in order: the log's tree before it, and the root after it.
    pub trees: Vec<(Frontier, Hash)>,
}

/// A check under way.
pub(crate) enum Check {
    Here(CheckJob),
    There(Receiver<(Vec<u8>, bool)>),
}

impl Check {
    /// Gives the bytes back, and whether everything agrees.
    pub(crate) fn wait(self) -> (Vec<u8>, bool) {
        match self {
            Check::Here(job) => {
                let agreed = agrees(&job);
                (job.frame, agreed)
            }
            // A checker that panicked has not agreed.
            Check::There(answer) => answer.recv().unwrap_or((Vec::new(), false)),
        }
    }
}

/// A job, and where its answer goes.
type Asked = (CheckJob, Sender<(Vec<u8>, bool)>);

/// The checking thread.
pub(crate) struct Checker {
    jobs: Option<Sender<Asked>>,
}

impl Checker {
    pub(crate) fn new() -> Checker {
        let (jobs, taken) = unbounded::<Asked>();
        let started = thread::Builder::new().name("log-check".into()).spawn(move || {
            for (job, answer) in taken {
                let agreed = agrees(&job);
                let _ = answer.send((job.frame, agreed));
            }
        });
        Checker { jobs: started.ok().map(|_| jobs) }
    }

    /// Starts a check; without a thread it is done when waited for.
    pub(crate) fn start(&self, job: CheckJob) -> Check {
        let Some(jobs) = self.jobs.as_ref().filter(|_| job.frame.len() >= OWN_THREAD_BYTES_MIN) else {
            return Check::Here(job);
        };
        let (answer, result) = bounded(1);
        match jobs.send((job, answer)) {
            Ok(()) => Check::There(result),
            Err(returned) => Check::Here(returned.0.0),
        }
    }
}

/// Whether the stored leaf hashes and the roots are those of the records.
pub(crate) fn agrees(job: &CheckJob) -> bool {
    let payload = &job.frame[HEADER_BYTES..];
    let Ok(runs) = group::parse(payload, job.entries) else { return false };
    if runs.len() != job.trees.len() {
        return false;
    }
    runs.iter().zip(&job.trees).all(|(run, (before, root))| {
        let fields: Vec<Fields<'_>> = (run.first..)
            .zip(&run.records)
            .map(|(index, record)| Fields {
                kind: record.kind,
                index,
                received_at_us: record.received_at_us,
                id: record.id,
                salt: &record.salt,
                body: record.body(payload),
                state: BodyState::Present,
            })
            .collect();
        let leaves = group::leaves_of(&fields, &Plain);
        let mut frontier = before.clone();
        frontier.extend_plain(&leaves);
        before.size() == run.first && leaves == run.leaves(payload) && frontier.root_plain() == *root
    })
}
