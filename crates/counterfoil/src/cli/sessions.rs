//! The verbs of recorded sessions.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::Remote;

/// What is said of a session beside its bytes.
#[derive(Debug, Clone, Default, Args)]
pub struct About {
    /// Whose session it is.
    #[arg(long)]
    pub user: Option<String>,
    /// The user's name at the gateway.
    #[arg(long)]
    pub gateway_user: Option<String>,
    /// The name used on the server, as in `root`; several allowed.
    #[arg(long = "login")]
    pub logins: Vec<String>,
    /// Name of the server worked on.
    #[arg(long)]
    pub host: Option<String>,
    /// Its address.
    #[arg(long)]
    pub host_address: Option<String>,
    /// Name of the machine the user sat at.
    #[arg(long)]
    pub client: Option<String>,
    /// Its address.
    #[arg(long)]
    pub client_address: Option<String>,
    /// How the user came in, as in `ssh`.
    #[arg(long)]
    pub protocol: Option<String>,
    /// For people.
    #[arg(long)]
    pub title: Option<String>,
}

#[derive(Debug, Args)]
pub struct Upload {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    #[command(flatten)]
    pub about: About,
    /// Format of the recordings; default: found out by the server from their bytes.
    #[arg(long)]
    pub format: Option<String>,
    /// When the session started (RFC 3339); default: what the recording says.
    #[arg(long)]
    pub started_at: Option<String>,
    /// What was run; default: what the recording says.
    #[arg(long)]
    pub command: Option<String>,
    /// Your own id of the session; default: made from the bytes, so that a file is never taken twice.
    #[arg(long)]
    pub client_id: Option<String>,
    /// The files are parts of one recording (typescript and timing): send them as one tar.
    #[arg(long)]
    pub together: bool,
    /// Send what `counterfoil record` could not send, and remove it from here.
    #[arg(long, conflicts_with_all = ["files", "together", "client_id", "format", "started_at", "command"])]
    pub spooled: bool,
    /// Where recordings wait; default: counterfoil/spool in the user's state folder.
    #[arg(long, env = "COUNTERFOIL_SPOOL", value_hint = ValueHint::DirPath)]
    pub spool: Option<PathBuf>,
    /// Recordings: a file, or a folder with the parts of one (a sudo I/O log), which is sent as one tar.
    #[arg(required_unless_present = "spooled", value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Record {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    #[command(flatten)]
    pub about: About,
    /// Record what is typed as well, passwords included.
    #[arg(long)]
    pub input: bool,
    /// Keep the recording in this file as well (asciicast v3).
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub keep: Option<PathBuf>,
    /// Where recordings wait while the server is away; default: counterfoil/spool in the user's state folder.
    #[arg(long, env = "COUNTERFOIL_SPOOL", value_hint = ValueHint::DirPath)]
    pub spool: Option<PathBuf>,
    /// What to run, with its arguments; default: the login shell.
    #[arg(last = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Play {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// How many times faster.
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Cut pauses to this many seconds; default: what the recording asks for.
    #[arg(long)]
    pub idle_limit: Option<f64>,
    /// Begin at this many seconds.
    #[arg(long, default_value_t = 0.0)]
    pub from: f64,
    /// Format of the recording; default: found out from its bytes.
    #[arg(long)]
    pub format: Option<String>,
    /// A file (or a folder, or a tar with the parts of a recording), or the id of a session on the server.
    pub what: String,
}

#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// List sessions, the one that started last first.
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        which: WhichSessions,
    },
    /// Show one session.
    Show {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
        /// Its id.
        session: String,
    },
    /// Search what was on the screens: lines of text, commands (`command:`), window titles (`title:`).
    Search {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        search: SearchSessions,
    },
    /// Write the bytes of a recording to a file or standard output.
    Download {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
        /// Its id.
        session: String,
        /// Write to this file; default: standard output.
        #[arg(long, short = 'o', value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
}

/// What is looked for on the screens of which sessions.
#[derive(Debug, Clone, Args)]
pub struct SearchSessions {
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// In Lucene's syntax, as in `"permission denied" -root`, `err?r`, `nginx~1`, `command:sudo`.
    pub query: String,
    /// In this session only: all of its hits, the best first.
    #[arg(long, conflicts_with_all = ["sessions", "user", "client", "host", "protocol", "from", "to", "hits"])]
    pub session: Option<String>,
    /// In those sessions only that this query finds, as in `sessions list`.
    #[arg(long, value_name = "QUERY")]
    pub sessions: Option<String>,
    /// A name of the user.
    #[arg(long)]
    pub user: Option<String>,
    /// Address or name of the client.
    #[arg(long)]
    pub client: Option<String>,
    /// Address or name of the server worked on.
    #[arg(long)]
    pub host: Option<String>,
    /// As in `ssh`.
    #[arg(long)]
    pub protocol: Option<String>,
    /// Sessions started at this time (RFC 3339) or later.
    #[arg(long)]
    pub from: Option<String>,
    /// Sessions started before this time (RFC 3339).
    #[arg(long)]
    pub to: Option<String>,
    /// Most sessions with hits (at most 100); with --session most hits.
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub limit: u64,
    /// Most hits of each session.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub hits: u64,
    /// Go on where an earlier search ended.
    #[arg(long)]
    pub after: Option<String>,
    /// Write a picture (PNG) of the screen of the first hit to this file.
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub screenshot: Option<PathBuf>,
}

/// Which sessions.
#[derive(Debug, Clone, Args)]
pub struct WhichSessions {
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// Query over what is known of them, as in `actor:bob target:web* "systemctl"`; empty means all.
    #[arg(default_value = "")]
    pub query: String,
    /// A name of the user.
    #[arg(long)]
    pub user: Option<String>,
    /// Address or name of the client.
    #[arg(long)]
    pub client: Option<String>,
    /// Address or name of the server worked on.
    #[arg(long)]
    pub host: Option<String>,
    /// As in `ssh`.
    #[arg(long)]
    pub protocol: Option<String>,
    /// Those that are open only.
    #[arg(long)]
    pub active: bool,
    /// Started at this time (RFC 3339) or later.
    #[arg(long)]
    pub from: Option<String>,
    /// Started before this time (RFC 3339).
    #[arg(long)]
    pub to: Option<String>,
    /// Most sessions to print.
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub limit: u64,
    /// Go on where an earlier list ended.
    #[arg(long)]
    pub after: Option<String>,
}
