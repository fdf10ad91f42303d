//! Who behaved unlike themselves: histories of sessions in; baselines, scores and the reasons for them out.
//!
//! **Promise.** Every function here is pure: the same history gives the same baseline, the same baseline and session the
//! same score, bit for bit, whatever the order in which the history is handed over. A score is a whole number from 0 (as
//! always) to 100 (never like this). Nothing divides by zero, whatever the history; what cannot be said is a reason in
//! words, never a made-up number.
//!
//! **Out of scope.** I/O, clocks, users, logs: where sessions come from and where scores go is the caller's.
//!
//! **Limits.** A baseline is bounded, so that scoring a session costs the same for a user of five sessions and of a hundred
//! thousand: [`VALUES_MAX`] values of a kind, [`rhythm::BUCKETS`] counters for each pair of keys. A session is measured into at
//! most [`MEASURED_MAX`] commands and titles.
//!
//! ```
//! use behaviour::{Algorithm, Baselines, Observation, Parameters};
//!
//! let at = |day: i64, hour: i64| Observation {
//!     started_s: 1_767_571_200 + day * 86_400 + hour * 3_600, // 2026-01-05, a Monday, 00:00 UTC
//!     server: Some("db1".into()),
//!     ..Observation::default()
//! };
//! let history: Vec<Observation> = (0..30).map(|day| at(day, 9)).collect();
//! let baselines = Baselines::build(&history, &Parameters::default());
//! let score = |session: &Observation| baselines.score(session).scores[&Algorithm::LoginTime].score;
//! assert!(score(&at(31, 9)) < 20 && score(&at(31, 22)) > 40);
//! ```
//!
//! What each algorithm looks at, and where it comes from, is one page each in `docs/risk/`.

pub mod aggregate;
mod algorithm;
mod baseline;
mod command;
mod fis;
mod hostlogin;
mod logintime;
mod measure;
mod observation;
mod probability;
pub mod rhythm;
pub mod script;
mod windowtitle;

pub use aggregate::{Aggregate, Parameters, Steps, aggregate};
pub use algorithm::{Algorithm, Failure};
pub use baseline::{Assessment, Baselines, Model, Scored, is_usable};
pub use measure::{MEASURED_MAX, Meter};
pub use observation::{Measures, Observation};
pub use probability::{VALUES_MAX, score_of};
pub use script::{ScriptTest, Scripted};

/// Sessions that an algorithm must be able to learn from before it scores a user.
pub const SESSIONS_MIN: u32 = 5;

/// How far back a baseline looks, in seconds: 90 days.
pub const LOOK_BACK_S: i64 = 90 * 86_400;

/// The version of the methods of this crate. Raised with any change that can change a score.
pub const METHOD_VERSION: u32 = 1;
