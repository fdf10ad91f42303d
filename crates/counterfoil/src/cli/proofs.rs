//! The verbs about proofs: `verify`, `prove`, `watch`, `witness`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use super::{Filter, Remote};

#[derive(Debug, Subcommand)]
#[command(
    after_help = "Exit status: 0 everything asked for was read and verified; 1 tainted or proof refused; 2 usage; 3 could not \
                        be decided (something missing, unreachable, unreadable)."
)]
pub enum Verify {
    /// Verify a whole log: a data folder, an exported tiles folder, or a log's address (`https://HOST/l/ID`).
    Log(VerifyLog),
    /// Verify one tlog-proof: that an entry or event is in a log.
    Proof(VerifyProof),
    /// Verify an evidence bundle, as a folder or a zip file.
    Bundle(VerifyBundle),
    /// Verify that a newer checkpoint extends an older one.
    Extends(VerifyExtends),
    /// Let a server verify the result of a search; with --complete also that nothing was left out.
    Search(VerifySearch),
}

/// Whom to believe.
#[derive(Debug, Clone, Args)]
pub struct Trust {
    /// Public key to trust (the `vkey` of `counterfoil org show`); several for several logs or epochs. Without it the source's
    /// own key is used, which proves consistency but not who signed; the output says so.
    #[arg(long = "vkey")]
    pub vkeys: Vec<String>,
    /// Trust policy (C2SP tlog-policy): which witnesses must have cosigned the checkpoint.
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub policy: Option<PathBuf>,
    /// Refuse a checkpoint that the policy's witnesses signed longer ago than this, such as 2h: an old one, though genuine, may
    /// be shown to hide what came later. A server's log grows at least once a day, by its own verification.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub cosigned_within: Option<Duration>,
}

/// How to reach a log's address.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// Token for a server's log address.
    #[arg(long, env = "COUNTERFOIL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Trust this certificate (PEM) instead of the public authorities.
    #[arg(long, env = "COUNTERFOIL_CA_CERT", value_hint = ValueHint::FilePath)]
    pub ca_cert: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct VerifyLog {
    /// A data folder, an exported tiles folder, or `http(s)://HOST/l/LOG-ID`.
    pub source: String,
    #[command(flatten)]
    pub trust: Trust,
    /// A checkpoint remembered earlier, which the log must extend; several allowed.
    #[arg(long = "since", value_hint = ValueHint::FilePath)]
    pub since: Vec<PathBuf>,
    /// File that keeps the newest verified checkpoint for next time, and is checked against now.
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub remember: Option<PathBuf>,
    /// Only this log of the data folder (log id).
    #[arg(long)]
    pub only: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyProof {
    /// The tlog-proof file, as written by `counterfoil prove event` or answered by `/l/ID/proof/INDEX`.
    #[arg(value_hint = ValueHint::FilePath)]
    pub proof: PathBuf,
    /// File with the bytes of the entry that is proven.
    #[arg(long, value_hint = ValueHint::FilePath, conflicts_with = "event", required_unless_present = "event")]
    pub entry: Option<PathBuf>,
    /// File with the event's body, byte for byte as it was stored.
    #[arg(long, value_hint = ValueHint::FilePath, requires = "salt")]
    pub event: Option<PathBuf>,
    /// The event's salt, 32 hexadecimal digits.
    #[arg(long, requires = "event")]
    pub salt: Option<String>,
    /// The log's public key; without it or a policy with a `log` line nothing can be verified.
    #[command(flatten)]
    pub trust: Trust,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyBundle {
    /// The bundle: a folder, or a zip file of one.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub trust: Trust,
    /// A checkpoint remembered earlier, of the very size of the bundle's.
    #[arg(long = "since", value_hint = ValueHint::FilePath)]
    pub since: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyExtends {
    /// The older checkpoint, as remembered.
    #[arg(value_hint = ValueHint::FilePath)]
    pub old: PathBuf,
    /// The newer checkpoint with its proof (`counterfoil prove extends`, `/l/ID/extends?from=SIZE`), or a checkpoint alone, which
    /// can only be decided if the sizes are the same.
    #[arg(value_hint = ValueHint::FilePath)]
    pub new: PathBuf,
    #[command(flatten)]
    pub trust: Trust,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifySearch {
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub filter: Filter,
    /// Also evaluate the query over every stored event of the range and compare with what the index finds: proves that nothing
    /// was left out. Reads everything.
    #[arg(long)]
    pub complete: bool,
}

#[derive(Debug, Subcommand)]
pub enum Prove {
    /// One event: entry, body, salt and a tlog-proof that stands alone.
    Event(ProveEvent),
    /// All events that match: an evidence bundle that any tlog-tiles client can check.
    Search(ProveSearch),
    /// That today's log extends a checkpoint remembered earlier.
    Extends(ProveExtends),
    /// The whole log as a folder of tiles, entries, bodies and salts that verifies without any server.
    Log(ProveLog),
    /// A time stamp (RFC 3161) over the newest checkpoint, by the authority that the server is configured with.
    Timestamp(ProveTimestamp),
}

#[derive(Debug, Args)]
pub struct ProveEvent {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// Number of the event.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub seq: u64,
    /// Folder to make.
    #[arg(long, short, value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// The log's public key; the proof is checked before it is written. Default: the server's word.
    #[arg(long)]
    pub vkey: Option<String>,
}

#[derive(Debug, Args)]
pub struct ProveSearch {
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub filter: Filter,
    /// Folder to make; a name that ends in .zip makes one file.
    #[arg(long, short, value_hint = ValueHint::AnyPath)]
    pub output: PathBuf,
    /// The log's public key; the bundle is checked before it is named. Default: the server's word.
    #[arg(long)]
    pub vkey: Option<String>,
    /// The log that holds the event of this number, which may be one that another took the place of.
    #[arg(long, value_name = "SEQ")]
    pub holding: Option<u64>,
    /// Refuse to make a bundle of more events than this.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub max: u64,
}

#[derive(Debug, Args)]
pub struct ProveExtends {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// The checkpoint remembered.
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub from: PathBuf,
    /// File to write; default: standard output.
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ProveLog {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// Folder to make.
    #[arg(long, short, value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// The log's public key; the export is checked before it is named. Default: the server's word.
    #[arg(long)]
    pub vkey: Option<String>,
    /// The log that holds the event of this number, which may be one that another took the place of.
    #[arg(long, value_name = "SEQ")]
    pub holding: Option<u64>,
    /// Leave out bodies and salts: proofs without contents.
    #[arg(long)]
    pub without_bodies: bool,
}

#[derive(Debug, Args)]
pub struct ProveTimestamp {
    #[command(flatten)]
    pub remote: Remote,
    /// Organisation, id or path; default: the caller's own.
    #[arg(long)]
    pub org: Option<String>,
    /// Folder for `checkpoint-SIZE` (what was stamped) and `checkpoint-SIZE.tsr` (the stamp).
    #[arg(long, short, value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}

/// Follow a log: each new checkpoint must extend the remembered one. Prints and exits 1 on the first that does not.
#[derive(Debug, Args)]
pub struct Watch {
    /// `http(s)://HOST/l/LOG-ID`, or an exported tiles folder that somebody keeps up to date.
    pub source: String,
    #[command(flatten)]
    pub trust: Trust,
    /// File that keeps the newest verified checkpoint; made at the first look.
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub remember: PathBuf,
    /// Time between two looks, as in `60s`, `5m`, `1h`.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub every: Duration,
    /// Stop after this many looks; default: never.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub looks: Option<u64>,
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON object for each look.
    #[arg(long)]
    pub json: bool,
}

/// Be a witness: remember the checkpoints of logs and cosign only what extends them (C2SP tlog-witness).
///
/// `--config FILE` (TOML) says who it is and whom it knows: `name`, `listen`, `key` and `state` (files; relative ones are beside
/// the settings), and for each log `[[log]]` with `vkey`.
#[derive(Debug, Args)]
pub struct Witness {
    /// Make the key and the empty state, print the public key, and stop. Refused where either exists.
    #[arg(long)]
    pub init: bool,
}

/// Seconds, minutes or hours: `60s`, `5m`, `1h`, or a plain number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds @ 1..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err("a time is a number with s, m or h, from 1s to a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        for (text, seconds) in [("60s", Some(60)), ("5m", Some(300)), ("2h", Some(7_200)), ("7", Some(7)), ("0s", None)]
        {
            assert_eq!(duration(text).ok().map(|time| time.as_secs()), seconds, "{text}");
        }
        assert!(
            ["", "s", "1d", "-1s", "1.5m", "99999999999999999999s", "ü"].iter().all(|text| duration(text).is_err())
        );
    }
}
