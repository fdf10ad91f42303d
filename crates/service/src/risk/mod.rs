//! Audited users, and who of them behaved unlike themselves.
//!
//! **Promise.** Every session that is over gets one score entry in the log (`entry.rs`): what was seen, by which method, against
//! which baselines, and what came of it. Scores are computed in the order in which sessions ended, so the history behind a
//! score is a fixed part of the log: computed again from it, on any later day, the numbers are the same, bit for bit
//! ([`recompute_user`](crate::Service::recompute_user)). The list of users is a projection of these entries.
//!
//! ```text
//! session.finished ──▶ waits ──▶ indexed ──▶ observation ──▶ baselines as of the last build ──▶ session.scored ──▶ users
//! ```
//!
//! **Builds.** Baselines look back 90 days from the last build: midnight UTC, or later the same day by order
//! ([`build_baselines`](crate::Service::build_baselines)). A baseline is a function of the log and of that time, so nothing has to run at midnight: it
//! is built when it is first needed (`docs/decisions/0018-a-score-is-an-entry.md`).
//!
//! **Limits.** [`HISTORY_MAX`] sessions of one baseline, [`USERS_MAX`] users of an organisation,
//! [`CACHED_MAX`] users whose baselines are kept ready.

mod baselines;
pub(crate) mod entry;
mod explain;
mod scoring;
pub(crate) mod table;
mod users;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use behaviour::{Algorithm, Parameters};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

pub use baselines::{BaselineStanding, HISTORY_MAX};
pub use entry::{Said, SessionScore};
pub use explain::{Explained, ExplainedScore, Recomputed, RecomputedSession};
pub use table::{USERS_MAX, User, UserField, UserOrder};
pub use users::UserDetail;

use baselines::Built;
use table::Table;

/// Users whose baselines are kept ready. Each takes up to a few hundred kilobytes, most a few.
pub const CACHED_MAX: usize = 1_000;

/// Which algorithms are used, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RiskOptions {
    /// Not used.
    pub disabled: BTreeSet<Algorithm>,
    /// Never dropped from the aggregate.
    pub trusted: BTreeSet<Algorithm>,
}

impl RiskOptions {
    /// What is kept with each score.
    pub fn parameters(&self) -> Parameters {
        Parameters { disabled: self.disabled.clone(), trusted: self.trusted.clone(), ..Parameters::default() }
    }
}

/// Baselines at hand, by the ordinal of the organisation's log and the user.
type Cache = HashMap<(u32, Arc<str>), Arc<Built>>;

/// Users and their scores, of all organisations.
pub struct Risk {
    pub(crate) parameters: Parameters,
    /// By the ordinal of the organisation's log.
    tables: Mutex<HashMap<u32, Slot>>,
    cache: Mutex<Cache>,
    /// Somebody has something for the scorer to do.
    work: Notify,
    /// Complete passes of the scorer.
    passes: watch::Sender<u64>,
    /// The scorer runs.
    is_running: AtomicBool,
}

/// The table of one organisation.
#[derive(Default)]
struct Slot {
    /// What is shown; `None` until it was read for the first time.
    table: Option<Table>,
    /// What is being read, in place of a table that is not good any more.
    reading: Option<Table>,
}

impl Risk {
    /// Knows nobody yet.
    pub fn new(options: &RiskOptions) -> Risk {
        Risk {
            parameters: options.parameters(),
            tables: Mutex::default(),
            cache: Mutex::default(),
            work: Notify::new(),
            passes: watch::channel(0).0,
            is_running: AtomicBool::new(false),
        }
    }

    /// Changes every table of an organisation that there is.
    fn change(&self, ordinal: u32, change: impl Fn(&mut Table)) {
        let mut tables = self.tables.lock();
        let slot = tables.entry(ordinal).or_default();
        slot.table.iter_mut().chain(&mut slot.reading).for_each(change);
    }

    /// Takes in an entry of a session that was appended.
    pub(crate) fn apply(&self, ordinal: u32, entry: &crate::recordings::Entry) {
        use crate::recordings::Entry;
        match entry {
            Entry::Chunk(_) => {}
            Entry::Session(session) => self.change(ordinal, |table| {
                table.session(session);
                if let Some(ended) = &session.ended {
                    table.waits(ended.number, session.id);
                }
            }),
            Entry::Scored(score) => self.change(ordinal, |table| table.score(score)),
            Entry::Built { number, at_us } => self.change(ordinal, |table| {
                table.built = table.built.max(Some((*number, *at_us)));
            }),
        }
        if matches!(entry, Entry::Session(session) if !session.is_active()) {
            self.work.notify_one();
        }
    }
}
