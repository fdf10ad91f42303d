//! How the service is: for readiness, metrics and operators.

use crate::model::OrgId;
use crate::service::Service;
use crate::verification::LastVerification;
use crate::witnesses::WitnessStats;

/// What an operator wants to know. Cheap to make.
#[derive(Clone, Debug)]
pub struct Status {
    /// The log's counters.
    pub log: log::Stats,
    /// Logs that take no entries although nobody closed them, with the reason; empty when all is well.
    pub read_only: Vec<LogStatus>,
    /// Why the store takes no entries at all any more, if so.
    pub stopped: Option<String>,
    /// Entries that are in the logs but not yet in a committed index.
    pub index_lag: u64,
    /// Documents in the committed index.
    pub index_documents: u64,
    /// Why the index could not go on, if so; queries that need it are refused meanwhile.
    pub index_error: Option<String>,
    /// Recorded sessions that are open.
    pub sessions_open: u64,
    /// Why the catalogue of sessions could not go on, if so.
    pub sessions_error: Option<String>,
    /// Organisations.
    pub organisations: u64,
    /// Accounts.
    pub accounts: u64,
    /// Own events that wait to be appended.
    pub own_events_waiting: u64,
    /// Own events that could not be appended since the start.
    pub own_events_lost: u64,
    /// Logs whose last verification as a whole was not good and that nobody acknowledged.
    pub unverified: Vec<(Option<OrgId>, log::LogId, LastVerification)>,
    /// What witnesses did and said.
    pub witnesses: WitnessStats,
}

/// One log that takes no entries.
#[derive(Clone, Debug)]
pub struct LogStatus {
    /// The organisation; `None` for the control log.
    pub org: Option<OrgId>,
    /// The log.
    pub log: log::LogId,
    /// Its state.
    pub state: log::LogState,
}

impl Status {
    /// Says whether requests can be served as promised: the store takes entries, no log is read-only that nobody closed, and
    /// none failed its last verification.
    pub fn is_ready(&self) -> bool {
        self.stopped.is_none()
            && self.read_only.is_empty()
            && self.index_error.is_none()
            && self.sessions_error.is_none()
            && self.unverified.is_empty()
    }
}

impl Service {
    /// How the service is now.
    pub fn status(&self) -> Status {
        let log = self.logs().stats();
        let (organisations, accounts, orgs) = {
            let state = self.control().state();
            let mut orgs: Vec<_> = state.orgs().iter().map(|org| (Some(org.id), org.log)).collect();
            orgs.push((None, self.control().log()));
            (state.orgs().len() as u64, state.accounts().len() as u64, orgs)
        };
        let read_only = orgs.into_iter().filter_map(|(org, log)| match self.logs().state(&log) {
            Ok(state) if state.is_sound() => None,
            Ok(state) => Some(LogStatus { org, log, state }),
            // Its record is durable and the log is being opened this very moment.
            Err(_) => None,
        });
        Status {
            read_only: read_only.collect(),
            stopped: log.stopped.as_deref().map(str::to_owned),
            log,
            index_lag: self.projections().lag(),
            index_documents: self.projections().documents(),
            index_error: self.projections().trouble(),
            sessions_open: self.recordings().open_count(),
            sessions_error: self.recordings().catalogue.trouble(),
            organisations,
            accounts,
            own_events_waiting: self.own().waiting(),
            own_events_lost: self.own().lost(),
            unverified: self.failed_verifications(),
            witnesses: self.witnesses().stats(),
        }
    }
}
