//! `verify log` and `fsck`: a whole log checked from its files or over the network.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tlog::checkpoint::Checkpoint;
use tlog::note::VerifierKey;
use ureq::Agent;

use crate::cli;
use crate::client;
use crate::output;
use crate::verify::Verdict;
use crate::verify::memory::{Memory, head};
use crate::verify::remote::{self, Fetch};

/// Most bytes of one published file: a bundle of 256 entries of 64 KiB.
const FILE_BYTES_MAX: u64 = 256 * (2 + 65_535);

/// `counterfoil verify log`
pub fn log(args: &cli::VerifyLog) -> anyhow::Result<ExitCode> {
    let keys = args
        .vkeys
        .iter()
        .map(|text| text.parse().map_err(|error| anyhow::anyhow!("--vkey {text:?}: {error}")))
        .collect::<anyhow::Result<Vec<VerifierKey>>>()?;
    let mut since = Vec::new();
    for path in &args.since {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        since.push(head(&text).with_context(|| path.display().to_string())?);
    }
    if args.source.starts_with("http://") || args.source.starts_with("https://") {
        return over_network(args, keys, since);
    }
    bail!("folders: in progress")
}

/// `counterfoil fsck`
pub fn fsck(_args: &cli::Fsck) -> anyhow::Result<ExitCode> {
    bail!("in progress")
}

/// The log's published files over HTTP.
struct Published {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Fetch for Published {
    fn fetch(&self, path: &str) -> Result<Vec<u8>, String> {
        let url = format!("{}/{path}", self.base);
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| format!("{url}: {error}"))?;
        if response.status().as_u16() != 200 {
            return Err(format!("{url} answered {}", response.status()));
        }
        let body = response.body_mut().with_config().limit(FILE_BYTES_MAX).read_to_vec();
        body.map_err(|error| format!("{url}: {error}"))
    }
}

fn over_network(
    args: &cli::VerifyLog,
    mut keys: Vec<VerifierKey>,
    mut since: Vec<Checkpoint>,
) -> anyhow::Result<ExitCode> {
    if args.only.is_some() {
        bail!("--only is for folders: an address names one log already");
    }
    let source = Published {
        agent: client::agent(args.ca_cert.as_deref(), None)?,
        base: args.source.trim_end_matches('/').to_owned(),
        token: args.token.clone(),
    };
    let pinned = !keys.is_empty();
    if !pinned {
        keys = published_keys(&source)?;
    }
    let mut memory = match &args.remember {
        Some(path) => Memory::read(path)?,
        None => Memory::default(),
    };
    since.extend(keys.iter().filter_map(|key| memory.get(key.name())));

    let bar = output::progress(Some(0), "entries", false);
    let report = remote::verify(&source, &keys, &since, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let verdict = report.verdict();
    if let (Verdict::Verified, Some(path)) = (verdict, &args.remember) {
        memory.remember(&report.origin, &report.note);
        memory.write(path)?;
    }
    if args.json {
        let mut reply = serde_json::to_value(&report)?;
        reply["verdict"] = json!(verdict.as_str());
        reply["key_pinned"] = json!(pinned);
        output::json(&reply)?;
        return Ok(verdict.exit_code());
    }
    println!("log      {}", report.origin);
    println!("entries  {} read of {} ({} bytes)", report.entries_read, report.entries_expected, report.bytes_read);
    println!("root     {}", report.root);
    for divergence in &report.divergences {
        let place = divergence.seq.map_or("log".to_owned(), |seq| format!("seq {seq}"));
        println!("TAINTED  {place}: {}: {}", divergence.reason, output::printable(&divergence.detail));
    }
    if report.divergence_count > report.divergences.len() as u64 {
        println!(
            "TAINTED  {} divergences in all; the first {} are listed",
            report.divergence_count,
            report.divergences.len()
        );
    }
    if let Some(why) = &report.undecided {
        println!("undecided: {}", output::printable(why));
    }
    if !pinned {
        println!("note     the key was taken from the server itself; pin it with --vkey to know who signed");
    }
    if since.is_empty() {
        println!(
            "note     no remembered checkpoint was given; keep this one with --remember FILE and check against it next time"
        );
    }
    println!("{}", verdict.as_str());
    Ok(verdict.exit_code())
}

/// The keys the server says are the log's; believed only because nothing better was given.
fn published_keys(source: &Published) -> anyhow::Result<Vec<VerifierKey>> {
    let text = source.fetch("keys").map_err(|why| anyhow::anyhow!("asking for the log's keys: {why}"))?;
    let value: Value = serde_json::from_slice(&text).context("the log's keys are not JSON")?;
    let list = value.get("keys").and_then(Value::as_array).context("the server's reply holds no keys")?;
    let texts = list.iter().filter_map(|key| key.get("vkey").and_then(Value::as_str));
    texts.map(|text| text.parse().map_err(|error| anyhow::anyhow!("the server's key {text:?}: {error}"))).collect()
}
