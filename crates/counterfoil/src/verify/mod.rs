//! Verifying without trusting the server: over its published files ([`remote`]) or in a data folder ([`crate::cmd::verify`]).

pub mod memory;
pub mod remote;

use std::process::ExitCode;

/// What a verification came to, and the exit status for it (specs/proofs.md §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
