//! Detection: rules that look at every event, and say so in the trail when they find something.
//!
//! **Promise.** Every event that was acknowledged is looked at by every rule that was loaded, in the order of its log, also
//! after a crash; whatever a rule finds is an event of the trail, `detection.finding`, with the numbers of the events that
//! caused it, once. A rule that cannot run is refused when it is loaded, and shown with the reason ([`Service::rules`]).
//!
//! ```text
//! log ──▶ fact ──▶ Sigma rules, counting by organisation ──┬──▶ detection.finding ──▶ webhook, with retry
//!             └──▶ rules that remember for months ─────────┘
//! ```
//!
//! **Time** is when an event happened, as its sender says: an import of last year's log finds last year's attacks. Whether a
//! sender fell silent is judged by when events came.
//!
//! **State** is a file, `DATA/state/detection.json`, with how far each log was read. Without it the logs are read again from
//! their beginning; what was found then is found again and, having the same id, not recorded twice.
//!
//! **Limits.** In `sigma.rs` and `memory.rs`; [`WEBHOOK_WAITING_MAX`]. Encrypted events cannot be looked at.

mod fact;
mod glance;
mod memory;
mod needed;
mod rule;
mod runner;
mod sigma;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

pub use rule::RuleInfo;
pub use webhook::WEBHOOK_WAITING_MAX;

use crate::access::{Principal, Verb};
use crate::error::Result;
use crate::model::OrgId;
use crate::projection::Watermarks;
use crate::service::Service;
use memory::Memory;
use needed::Needed;
use rule::{Finding, Rules};
use sigma::Sigma;
use webhook::Waiting;

/// Action of a finding.
pub const FINDING: &str = "detection.finding";

/// The rules that come with the program.
const OURS: [(&str, &str); 2] = [
    ("authentication.yml", include_str!("../../rules/authentication.yml")),
    ("logging.yml", include_str!("../../rules/logging.yml")),
];

/// What is to be detected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectionOptions {
    /// Events are looked at.
    pub enabled: bool,
    /// Sigma files beside our own: name and text.
    pub rules: Vec<(String, String)>,
    /// Where findings are sent to.
    pub webhook_url: Option<String>,
}

/// How one rule stands in one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleStatus {
    /// The rule. It is loaded and runs if it has no problem.
    pub rule: RuleInfo,
    /// Fields that it needs, and that no event of the organisation had so far.
    pub never_seen: BTreeSet<String>,
    /// When the last event that it looked at came.
    pub last_evaluated: Option<Timestamp>,
    /// The last finding: the number of its last event, and when that happened.
    pub last_hit: Option<(u64, Timestamp)>,
    /// Findings so far.
    pub hits: u64,
}

/// Rules and what they remember.
pub(crate) struct Detection {
    options: DetectionOptions,
    /// `DATA/state/detection.json`.
    file: PathBuf,
    state: Mutex<State>,
    /// Somebody waits for a pass.
    work: Notify,
    /// Complete passes.
    passes: watch::Sender<u64>,
    /// A pass goes on until this is true.
    stopped: std::sync::atomic::AtomicBool,
}

struct State {
    rules: Vec<Box<dyn Rules>>,
    needed: Needed,
    /// Entries of each log that were looked at.
    marks: Watermarks,
    /// By the ordinal of the log.
    orgs: BTreeMap<u32, OfOrg>,
    waiting: Vec<Waiting>,
    /// Something happened since it was saved.
    is_changed: bool,
}

/// What is known of the rules in one organisation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct OfOrg {
    /// Fields that some rule needs, and that some event had.
    seen: BTreeSet<String>,
    /// Of what rules need, what is not among them; none: not found out since the start.
    #[serde(skip)]
    missing: Option<Vec<usize>>,
    /// Events that were looked through for them in vain, one after the other.
    #[serde(skip)]
    in_vain: u32,
    evaluated_us: Option<i64>,
    /// By the id of the rule: findings, number and time of the last one.
    hits: BTreeMap<String, (u64, u64, i64)>,
}

impl Detection {
    /// Loads the rules; nothing is looked at before the runner starts.
    pub fn new(options: DetectionOptions, data: &std::path::Path) -> Detection {
        let ours = OURS.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let files: Vec<(String, String)> = ours.chain(options.rules.iter().cloned()).collect();
        let rules: Vec<Box<dyn Rules>> = vec![Box::new(Sigma::load(&files)), Box::new(Memory::new())];
        for rule in rules.iter().flat_map(|rules| rules.rules()) {
            if let Some(problem) = &rule.problem {
                tracing::error!(rule = rule.id, file = rule.file, problem, "a detection rule is not loaded");
            }
        }
        let needed =
            rules.iter().flat_map(|rules| rules.rules()).flat_map(|rule| rule.fields.iter().cloned()).collect();
        let state = State {
            rules,
            needed: Needed::new(needed),
            marks: Watermarks::default(),
            orgs: BTreeMap::new(),
            waiting: Vec::new(),
            is_changed: false,
        };
        Detection {
            options,
            file: data.join("state").join("detection.json"),
            state: Mutex::new(state),
            work: Notify::new(),
            passes: watch::channel(0).0,
            stopped: false.into(),
        }
    }
}

impl Service {
    /// How every rule stands in an organisation: whether it runs, why not, which of its fields were never seen, when it looked
    /// and hit last. Empty while detection is off.
    pub fn rules(&self, who: &Principal, org: OrgId) -> Result<Vec<RuleStatus>> {
        self.allow(who, Verb::ReadEvents, org)?;
        let (_, ordinal) = self.log_and_ordinal(org)?;
        let detection = self.detection();
        if !detection.options.enabled {
            return Ok(Vec::new());
        }
        let state = detection.state.lock();
        let of = state.orgs.get(&ordinal).cloned().unwrap_or_default();
        let at = |us: i64| Timestamp::from_microsecond(us).ok();
        let status = |rule: &RuleInfo| {
            let hit = of.hits.get(&rule.id);
            RuleStatus {
                never_seen: rule.fields.difference(&of.seen).cloned().collect(),
                last_evaluated: of.evaluated_us.filter(|_| rule.problem.is_none()).and_then(at),
                last_hit: hit.and_then(|(_, number, s)| Some((*number, at(s.saturating_mul(1_000_000))?))),
                hits: hit.map_or(0, |(count, _, _)| *count),
                rule: rule.clone(),
            }
        };
        Ok(state.rules.iter().flat_map(|rules| rules.rules()).map(status).collect())
    }
}
