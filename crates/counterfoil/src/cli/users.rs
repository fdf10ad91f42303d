//! The verbs of audited users, and of detection rules.

use clap::Subcommand;

use super::OfLog;

#[derive(Debug, Subcommand)]
pub enum Users {
    /// List users of recorded sessions, the one seen last first.
    List {
        #[command(flatten)]
        of: OfLog,
        /// last_seen, score, scored_at, user, joined by commas; a `-` before one means largest first.
        #[arg(long, default_value = "-last_seen,-score", allow_hyphen_values = true)]
        sort: String,
        /// Most users to print.
        #[arg(long, short = 'n', default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        limit: u64,
    },
    /// Show one user with the baselines.
    Show {
        #[command(flatten)]
        of: OfLog,
        /// The user, exact.
        user: String,
    },
    /// Explain the score of a session: what was expected, what was seen, how much it weighs, which events are behind it.
    Explain {
        #[command(flatten)]
        of: OfLog,
        /// The session's id.
        session: String,
    },
    /// Compute a user's score again from the log, and compare it with what was served. Exit status 1: it is not the same.
    Recompute {
        #[command(flatten)]
        of: OfLog,
        /// The user, exact.
        user: String,
        /// The score as it was at this time (RFC 3339), or at the end of this day (as in 2026-01-31, UTC); default: now.
        #[arg(long)]
        as_of: Option<String>,
    },
    /// Build the baselines now instead of at midnight UTC.
    Build {
        #[command(flatten)]
        of: OfLog,
    },
}

#[derive(Debug, Subcommand)]
pub enum Rules {
    /// List every rule: whether it runs and why not, what it found, which of its fields were never seen.
    List {
        #[command(flatten)]
        of: OfLog,
    },
}
