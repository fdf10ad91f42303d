//! The command line: every verb, flag and help text. Parsing only; `cmd/` does the work.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

mod proofs;
mod sessions;
mod users;

pub use proofs::*;
pub use sessions::*;
pub use users::*;

/// One tamper-evident audit trail behind the audit APIs people already use.
#[derive(Debug, Parser)]
#[command(name = "counterfoil", version, about, max_term_width = 110, subcommand_required = true)]
#[command(
    after_help = "Exit status: 0 done (and, for verifying verbs, everything was read and verified); 1 failed, tainted or \
                        refused; 2 usage; 3 could not be decided.\nStart with `counterfoil demo`."
)]
pub struct Cli {
    /// Configuration file (TOML). Flags win over the environment, the environment over the file.
    #[arg(long, global = true, env = "COUNTERFOIL_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// What to log on standard error, as in `info` or `counterfoil=debug,log=info`.
    #[arg(
        long,
        global = true,
        env = "COUNTERFOIL_LOG",
        default_value = "warn,counterfoil=info,service=info,log=info,dialects=info"
    )]
    pub log: String,
    /// Write log lines as JSON.
    #[arg(long, global = true)]
    pub log_json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data folder: keys, the first organisation and its administrator.
    Init(Init),
    /// Serve a data folder until SIGTERM or Ctrl-C.
    Serve(Serve),
    /// A throw-away trail with a generated history, served, with commands to try.
    Demo(Demo),
    /// Log in to a server and print a token for COUNTERFOIL_TOKEN.
    Login(Login),
    /// Organisations: list, create, show, rename.
    #[command(subcommand)]
    Org(Org),
    /// Accounts: list, add, change.
    #[command(subcommand)]
    User(User),
    /// Tokens: list, create, revoke.
    #[command(subcommand)]
    Token(Token),
    /// Keys: encryption keys of an organisation (list, add, activate, retire), and the key that signs its log (show, rotate).
    #[command(subcommand)]
    Key(Key),
    /// An organisation's log: status, prune, hold, close, open a new one, adopt, acknowledge.
    #[command(subcommand)]
    Log(Log),
    /// Single events: erase them by legal order.
    #[command(subcommand)]
    Event(Event),
    /// Turn extracted ENC records into clear ones, with a private key or passphrase file. Needs no server.
    Decrypt(Decrypt),
    /// Send log files: sshd, syslog-auth, cloudtrail, k8s-audit, silo-json or our own JSON lines.
    Import(Import),
    /// Find events.
    Query(Query),
    /// Follow new events as they are recorded.
    Tail(Tail),
    /// Write all matching events to a file or standard output, as JSON lines or CSV.
    Export(Export),
    /// Send recordings of terminal sessions.
    Upload(Upload),
    /// Run a command in a terminal that is recorded and sent while it runs.
    Record(Record),
    /// Play a recording on this terminal, from a file or from the server.
    Play(Play),
    /// Recorded sessions: list, show, download.
    #[command(subcommand)]
    Sessions(Sessions),
    /// Audited users: list, show, explain and recompute their scores, build baselines.
    #[command(subcommand)]
    Users(Users),
    /// Detection rules: list them with how they stand. What they found: `query action:detection.finding`.
    #[command(subcommand)]
    Rules(Rules),
    /// Check what was promised, without trusting the server.
    #[command(subcommand)]
    Verify(Verify),
    /// Get something to show to others: proofs, evidence bundles, whole logs that verify without this server.
    #[command(subcommand)]
    Prove(Prove),
    /// Follow a log and cry out when it does not extend what was seen before.
    Watch(Watch),
    /// Be a witness for logs: remember their checkpoints, cosign only what extends them.
    Witness(Witness),
    /// Check a whole data folder and say what is damaged, file by file.
    Fsck(Fsck),
    /// Drop every projection (search index, snapshots) of a stopped server's data folder and make them again from the log.
    Rebuild(Rebuild),
    /// Show the settings in force and where each came from.
    #[command(subcommand)]
    Config(Config),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct Init {
    /// The folder to make; must not exist or be empty.
    #[arg(long, env = "COUNTERFOIL_DATA", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// Name of the first organisation.
    #[arg(long, default_value = "Main")]
    pub org: String,
    /// E-mail address of its administrator, the login name.
    #[arg(long, default_value = "admin@localhost")]
    pub admin: String,
    /// Read the administrator's password from standard input (first line). Otherwise it is asked for on a terminal, or
    /// generated and printed once.
    #[arg(long)]
    pub password_stdin: bool,
    /// Host name in the origins of logs; appears in every checkpoint and can't be changed later.
    #[arg(long, default_value = "counterfoil.invalid")]
    pub audit_host: String,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The data folder.
    #[arg(long, env = "COUNTERFOIL_DATA", value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
    /// Address for plain HTTP, as in 127.0.0.1:8080 (port 0 takes a free one).
    #[arg(long, env = "COUNTERFOIL_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Address for HTTPS.
    #[arg(long, env = "COUNTERFOIL_TLS_LISTEN")]
    pub tls_listen: Option<SocketAddr>,
    /// Certificate chain, PEM.
    #[arg(long, env = "COUNTERFOIL_TLS_CERT", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, env = "COUNTERFOIL_TLS_KEY", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,
    /// Make a certificate for localhost (and --tls-name), kept in DATA/tls.
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls_self_signed: bool,
    /// Further host names or addresses for the self-signed certificate.
    #[arg(long, requires = "tls_self_signed")]
    pub tls_name: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the trail here instead of in a temporary folder; must not exist or be empty.
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
    /// Address to serve on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// How many events to generate.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    pub events: u64,
    /// Seed of the generated history: the same seed gives the same history.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Make the trail, print the commands, and stop instead of serving.
    #[arg(long)]
    pub once: bool,
}

/// Where the server is and who calls.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Base address of the server.
    #[arg(long, env = "COUNTERFOIL_SERVER", default_value = "http://127.0.0.1:8080", value_hint = ValueHint::Url)]
    pub server: String,
    /// Token, as printed by `counterfoil login` or `counterfoil token create`.
    #[arg(long, env = "COUNTERFOIL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Trust this certificate (PEM) instead of the public authorities.
    #[arg(long, env = "COUNTERFOIL_CA_CERT", value_hint = ValueHint::FilePath)]
    pub ca_cert: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Login {
    #[command(flatten)]
    pub remote: Remote,
    /// Login name (e-mail).
    pub name: String,
    /// Read the password from standard input instead of asking on the terminal.
    #[arg(long)]
    pub password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub enum Org {
    /// List the organisations within reach.
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Create an organisation below another one.
    Create {
        #[command(flatten)]
        remote: Remote,
        /// Its name, unique among its siblings; a slash in it needs no escaping here.
        name: String,
        /// Id or path of the parent; default: the caller's own organisation.
        #[arg(long)]
        parent: Option<String>,
        /// Its name in addresses (host names, SCIM tenants); default: made from the name.
        #[arg(long)]
        slug: Option<String>,
    },
    /// Show one organisation with its log.
    Show {
        #[command(flatten)]
        remote: Remote,
        /// Id or path, as in `Acme/EU/Sales` (`\/` for a literal slash).
        org: String,
    },
    /// Give an organisation another name or slug; its log, origin and numbers stay.
    Rename {
        #[command(flatten)]
        remote: Remote,
        /// Id or path.
        org: String,
        /// The new name; may be left out with --slug.
        #[arg(required_unless_present = "slug")]
        name: Option<String>,
        /// The new name in addresses (host names, SCIM tenants); the old one stops working at once.
        #[arg(long)]
        slug: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleName {
    Admin,
    Auditor,
    Sender,
    Extractor,
}

#[derive(Debug, Subcommand)]
pub enum User {
    /// List the accounts of an organisation.
    List {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
    },
    /// Add an account. Without --password-stdin it gets no password and can act by tokens only.
    Add {
        #[command(flatten)]
        remote: Remote,
        /// Login name (e-mail), unique on the server.
        login: String,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
        /// Name to show.
        #[arg(long)]
        display_name: Option<String>,
        /// What the account may do; give several times for several roles.
        #[arg(long = "role", value_enum, required = true)]
        roles: Vec<RoleName>,
        /// Read the password from standard input (first line).
        #[arg(long)]
        password_stdin: bool,
    },
    /// Change an account: roles, name, password, disabled or not.
    Set {
        #[command(flatten)]
        remote: Remote,
        /// Account id, or login name with --org.
        account: String,
        /// Organisation the account is in, when it is named by its login.
        #[arg(long)]
        org: Option<String>,
        /// New name to show.
        #[arg(long)]
        display_name: Option<String>,
        /// New roles, replacing the old ones.
        #[arg(long = "role", value_enum)]
        roles: Vec<RoleName>,
        /// Disable the account and its tokens.
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Enable the account again.
        #[arg(long)]
        enable: bool,
        /// Read a new password from standard input (first line).
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScopeName {
    Ingest,
    Read,
    Extract,
    Proofs,
    Admin,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TokenFormName {
    /// `cf_…`, for our own API and command line.
    Native,
    /// 32 characters of base64, the form Silo collectors check.
    Extraction,
}

#[derive(Debug, Subcommand)]
pub enum Token {
    /// List tokens (never their secrets).
    List {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
    },
    /// Make a token; the secret is shown once.
    Create {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
        /// Account the token acts for: login name or id; default: the caller.
        #[arg(long)]
        account: Option<String>,
        /// What the token is for, shown in lists.
        #[arg(long)]
        name: Option<String>,
        /// What it may do (at most what its account may); several allowed; default: everything the account may.
        #[arg(long = "scope", value_enum)]
        scopes: Vec<ScopeName>,
        /// Days until it expires; default: never.
        #[arg(long)]
        days: Option<u32>,
        /// Form of the secret.
        #[arg(long, value_enum, default_value_t = TokenFormName::Native)]
        form: TokenFormName,
    },
    /// Revoke a token at once.
    Revoke {
        #[command(flatten)]
        remote: Remote,
        /// Token id (`tok_…`).
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// List the keys, with what each is used for.
    List {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
    },
    /// Add a public key. It is used once it is activated.
    Add {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
        /// A name of your choice, given once; each record encrypted to the key carries it.
        name: String,
        /// File with the public key: what `seccure-key -c p256` prints (40 characters), or PEM on P-256; `-` is standard
        /// input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Activate it at once.
        #[arg(long)]
        activate: bool,
    },
    /// Show the keys that sign the organisation's log, with the sizes they sign.
    Show {
        #[command(flatten)]
        of: OfLog,
    },
    /// Replace the key that signs the organisation's log. Both sign for 90 days; with the reason `compromised` the old one
    /// ends at once.
    Rotate {
        #[command(flatten)]
        of: OfLog,
        /// Why; stays in the log.
        #[arg(long)]
        reason: String,
        /// With `compromised`: checkpoints up to this size are still to be believed under the old key; default: the size now.
        #[arg(long)]
        believed_size: Option<u64>,
    },
    /// Encrypt everything of the organisation to this key from now on.
    Activate {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
        /// The key.
        name: String,
    },
    /// Retire a key for ever; what was encrypted to it stays so.
    Retire {
        #[command(flatten)]
        remote: Remote,
        /// Organisation, id or path; default: the caller's own.
        #[arg(long)]
        org: Option<String>,
        /// The key.
        name: String,
        /// Needed for the active key: from then on events are kept in clear.
        #[arg(long)]
        then_clear: bool,
    },
}

/// Which organisation's log, on which server.
#[derive(Debug, Clone, Args)]
pub struct OfLog {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Log {
    /// Show how the log is: takes entries or not and why, size, minimum, last whole verification.
    Status {
        #[command(flatten)]
        of: OfLog,
    },
    /// Forget the oldest events for good (in steps of 256). Archived checkpoints stay provable.
    Prune {
        #[command(flatten)]
        of: OfLog,
        /// Forget events below this number.
        #[arg(long, required_unless_present = "before", conflicts_with = "before")]
        below: Option<u64>,
        /// Forget events received before this time (RFC 3339).
        #[arg(long)]
        before: Option<String>,
        /// Why; stays in the log.
        #[arg(long)]
        reason: String,
    },
    /// Hold events: from a number on nothing is pruned. Without --from the hold is lifted.
    Hold {
        #[command(flatten)]
        of: OfLog,
        /// The first number that is held.
        #[arg(long)]
        from: Option<u64>,
        /// Why; stays in the log.
        #[arg(long)]
        reason: String,
    },
    /// Close the log for ever and print its last checkpoint. What is handed in afterwards is refused.
    Close {
        #[command(flatten)]
        of: OfLog,
        /// Why; stays in the log.
        #[arg(long)]
        reason: String,
    },
    /// Open a new log in the place of one that was closed or lost records. Its first entry names the old one.
    Open {
        #[command(flatten)]
        of: OfLog,
        /// Why the old log is not continued; stays in the new one.
        #[arg(long)]
        reason: String,
    },
    /// Take a log up again whose signer's store was lost, by a checkpoint that somebody outside remembers.
    Adopt {
        #[command(flatten)]
        of: OfLog,
        /// File with the remembered checkpoint, as `verify log --remember` keeps it; `-` is standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        checkpoint: PathBuf,
    },
    /// Acknowledge what is wrong with the log as a whole (see `log status`), so that answers are judged record by record.
    Acknowledge {
        #[command(flatten)]
        of: OfLog,
        /// What you know and why you go on; stays in the log.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Event {
    /// Erase the content of events for good. Number, time, id and length stay, and every earlier proof holds.
    Erase {
        #[command(flatten)]
        of: OfLog,
        /// Numbers of the events; ranges as in 17-23.
        #[arg(required = true)]
        numbers: Vec<String>,
        /// The legal ground; stays in the log.
        #[arg(long)]
        ground: String,
        /// Who ordered it: an authority, or the person concerned; stays in the log.
        #[arg(long)]
        ordered_by: String,
    },
}

#[derive(Debug, Args)]
pub struct Decrypt {
    /// A private key: a PEM file, or a file whose first line is a SECCURE passphrase. `NAME=FILE` is for records of that
    /// key name only, `FILE` for all. Give it several times for several keys.
    #[arg(long = "key", value_name = "[NAME=]FILE", required = true)]
    pub keys: Vec<String>,
    /// Keep the member `counterfoil`, which holds the whole event as it was handed in.
    #[arg(long)]
    pub with_event: bool,
    /// Files of records: one per line, arrays, pages; default: standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// Format of the files; default: recognised from the first bytes of each.
    #[arg(long)]
    pub format: Option<String>,
    /// Year of log lines that carry none; default: inferred from the file, and said.
    #[arg(long)]
    pub year: Option<i32>,
    /// Time zone of log lines that carry none, as in `Europe/Berlin` or `+02:00`; default: UTC, and said.
    #[arg(long)]
    pub zone: Option<String>,
    /// Parse and report only; send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How many lines that were not understood to print in full (all are counted, and all are in --report).
    #[arg(long, default_value_t = 20)]
    pub show: usize,
    /// Write every line that was not understood, with line number and reason, to this file (JSON lines).
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Files to read (gzip is recognised); `-` is standard input.
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// Which events.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// Query, as in `outcome:failure source:203.0.113.* "sudo"`; empty means everything.
    #[arg(default_value = "")]
    pub query: String,
    /// Earliest time the event happened (RFC 3339 or YYYY-MM-DD), inclusive.
    #[arg(long)]
    pub from: Option<String>,
    /// Events that happened before this time only (RFC 3339 or YYYY-MM-DD), exclusive.
    #[arg(long)]
    pub to: Option<String>,
}

#[derive(Debug, Args)]
pub struct Query {
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub filter: Filter,
    /// Oldest first instead of newest first.
    #[arg(long)]
    pub oldest: bool,
    /// Most events to print.
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub limit: u64,
    /// Continue after this event number, in the chosen order.
    #[arg(long)]
    pub after: Option<u64>,
    /// Recompute every event's proof from the stored bytes and say if any is tainted (then exit status 1).
    #[arg(long)]
    pub verify: bool,
}

#[derive(Debug, Args)]
pub struct Tail {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// Start after this event number; default: only new ones.
    #[arg(long)]
    pub after: Option<u64>,
    /// Stop after this many events.
    #[arg(long, short = 'n')]
    pub limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line, as the API gives it.
    Jsonl,
    /// Comma-separated values, RFC 4180, with a header.
    Csv,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub filter: Filter,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub format: ExportFormat,
    /// File to write; default: standard output. A file appears under its name only when it is complete.
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Fsck {
    /// The data folder; a server may be running on it.
    #[arg(long, env = "COUNTERFOIL_DATA", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Rebuild {
    /// The data folder; no server may be running on it.
    #[arg(long, env = "COUNTERFOIL_DATA", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print every setting of `serve`, its value and its origin.
    Show {
        #[command(flatten)]
        serve: Serve,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
