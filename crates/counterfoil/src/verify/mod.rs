//! Verifying without trusting the server: a whole log's published files ([`whole`]), evidence bundles ([`bundle`]), single proofs;
//! data folders are the business of `log::fsck`.

pub mod bundle;
pub mod disclosed;
pub mod files;
pub mod growth;
pub mod memory;
pub mod succession;
pub mod tiles;
pub mod trust;
pub mod whole;

use std::process::ExitCode;

use serde::Serialize;

/// What a verification came to, and the exit status for it (specs/proofs.md §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything asked for was read and verified.
    Verified,
    /// Something is not what was committed.
    Tainted,
    /// Something was missing, unreachable or unreadable, so that nobody can say.
    Undecided,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Verified => "verified",
            Verdict::Tainted => "tainted",
            Verdict::Undecided => "undecided",
        }
    }

    /// 0, 1 or 3.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Verdict::Verified => ExitCode::SUCCESS,
            Verdict::Tainted => ExitCode::from(1),
            Verdict::Undecided => ExitCode::from(3),
        }
    }
}

/// One thing that is not as committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// Number of the event (index + 1); none for the log as a whole.
    pub seq: Option<u64>,
    /// A reason of specs/proofs.md §10.
    pub reason: &'static str,
    /// What was found.
    pub detail: String,
}
