//! What a service is opened with. Everything that a test must be able to choose is here; nobody asks the system.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::{Clock, Entropy, SystemClock, SystemEntropy};

use crate::detection::DetectionOptions;
use crate::outbound::Outbound;
use crate::recordings::RecordingOptions;
use crate::risk::RiskOptions;
pub use crate::verification::VerificationOptions;
use crate::witnesses::Witnessing;

/// Settings of one service.
#[derive(Clone)]
pub struct Config {
    /// The data folder; made by `Service::init`.
    pub data: PathBuf,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws salts, ids and secrets.
    pub entropy: Arc<dyn Entropy>,
    /// What a password hash costs; hashes made at another cost stay valid.
    pub passwords: PasswordCost,
    /// When guessing passwords is stopped.
    pub lockout: Lockout,
    /// The log's own limits.
    pub log: log::Options,
    /// The index's own limits.
    pub index: IndexOptions,
    /// When logs are verified as a whole.
    pub verification: VerificationOptions,
    /// How recorded sessions are kept.
    pub recordings: RecordingOptions,
    /// How sessions are scored.
    pub risk: RiskOptions,
    /// What is detected. Off by itself.
    pub detection: DetectionOptions,
    /// Who is to witness the logs.
    pub witnessing: Witnessing,
    /// The time-stamp authority (RFC 3161) that is asked on request; its address.
    pub timestamp_url: Option<String>,
    /// Makes the calls to witnesses and authorities. Without it none are made.
    pub outbound: Outbound,
}

impl Config {
    /// The defaults for production over this data folder.
    pub fn new(data: impl Into<PathBuf>) -> Config {
        Config {
            data: data.into(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            passwords: PasswordCost::default(),
            lockout: Lockout::default(),
            log: log::Options::default(),
            index: IndexOptions::default(),
            verification: VerificationOptions::default(),
            recordings: RecordingOptions::default(),
            risk: RiskOptions::default(),
            detection: DetectionOptions::default(),
            witnessing: Witnessing::default(),
            timestamp_url: None,
            outbound: Outbound::default(),
        }
    }
}

/// Parameters of Argon2id (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PasswordCost {
    /// 19 MiB, two passes, one lane: OWASP's first recommendation for Argon2id.
    fn default() -> PasswordCost {
        PasswordCost { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

impl PasswordCost {
    /// The least that Argon2 allows; for tests only.
    pub fn weakest() -> PasswordCost {
        PasswordCost { memory_kib: 8, passes: 1, lanes: 1 }
    }
}

/// When repeated failures to log in slow down and then lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Failures of one account within `window` that lock it.
    pub failures_max: u32,
    /// Failures of one source address within `window` that lock that address.
    pub address_failures_max: u32,
    /// How far back failures count.
    pub window: Duration,
    /// How long a lock lasts.
    pub lock_for: Duration,
    /// After the second failure in a row the next try is refused for this long, after the third for twice as long, and so on.
    pub slow_down: Duration,
}

impl Default for Lockout {
    fn default() -> Lockout {
        Lockout {
            failures_max: 5,
            address_failures_max: 50,
            window: Duration::from_secs(15 * 60),
            lock_for: Duration::from_secs(15 * 60),
            slow_down: Duration::from_millis(250),
        }
    }
}

/// How the search index is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// Memory of the index writer, in bytes.
    pub writer_memory_bytes: usize,
    /// A commit is made after this many documents,
    pub commit_docs: usize,
    /// or this long after the first one that is not committed.
    pub commit_after: Duration,
}

impl Default for IndexOptions {
    fn default() -> IndexOptions {
        IndexOptions { writer_memory_bytes: 64 << 20, commit_docs: 50_000, commit_after: Duration::from_secs(1) }
    }
}
