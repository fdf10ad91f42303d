//! `verify log` and `fsck`: a whole log checked from its files or over the network.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use log::LogId;
use log::fsck::{self, KeySource, Request};
use log::store::Store;
use log::store::embedded::FolderStore;
use serde_json::{Value, json};
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
        head(&text).with_context(|| path.display().to_string())?;
        since.push(text);
    }
    if args.source.starts_with("http://") || args.source.starts_with("https://") {
        return over_network(args, keys, since);
    }
    in_folder(args, keys, since)
}

/// `counterfoil fsck`: every log and every file of a data folder, under the folder's own keys.
pub fn fsck(args: &cli::Fsck) -> anyhow::Result<ExitCode> {
    let report = verify_folder(&args.data, &Request::default())?;
    show_folder(&args.data, &report, args.json)
}

fn in_folder(args: &cli::VerifyLog, vkeys: Vec<VerifierKey>, mut since: Vec<String>) -> anyhow::Result<ExitCode> {
    let only = args
        .only
        .as_deref()
        .map(str::parse::<LogId>)
        .transpose()
        .map_err(|error| anyhow::anyhow!("--only: {error}"))?;
    let mut memory = match &args.remember {
        Some(path) => Memory::read(path)?,
        None => Memory::default(),
    };
    since.extend(memory.notes().filter(|note| only.is_none_or(|log| is_of(note, log))).map(ToOwned::to_owned));
    let data = Path::new(&args.source);
    let mut report = verify_folder(data, &Request { vkeys: vkeys.clone(), since, only })?;
    for key in &vkeys {
        // Presenting another log's data in place of the one whose key was given must not pass.
        if !report.logs.iter().any(|log| log.origin == key.name()) {
            report.undecided.push(format!("no log checked here is {}, whose key was given", key.name()));
        }
    }
    let code = show_folder(data, &report, args.json)?;
    if let (fsck::Verdict::Verified, Some(path)) = (report.verdict(), &args.remember) {
        for log in &report.logs {
            if let Some(note) = &log.checkpoint {
                memory.remember(&log.origin, note);
            }
        }
        memory.write(path)?;
    }
    Ok(code)
}

fn is_of(note: &str, log: LogId) -> bool {
    head(note).is_ok_and(|head| head.origin.ends_with(&format!("/l/{log}")))
}

/// Reads everything in `data`; a server may be running on it.
fn verify_folder(data: &Path, request: &Request) -> anyhow::Result<fsck::Report> {
    let folder = data.join("log");
    if !folder.is_dir() {
        bail!("{} is not a data folder: it holds no folder `log`", data.display());
    }
    let store: Arc<dyn Store> = Arc::new(FolderStore::new(folder));
    let signer = data.join("signer");
    let signer: Option<Arc<dyn Store>> = signer.is_dir().then(|| Arc::new(FolderStore::new(signer)) as Arc<dyn Store>);
    let bar = output::progress(Some(0), "", true);
    let report = fsck::verify_folder(&store, signer.as_ref(), request, &|progress| {
        bar.set_length(progress.bytes_expected);
        bar.set_position(progress.bytes_read);
    });
    bar.finish_and_clear();
    Ok(report)
}

fn show_folder(data: &Path, report: &fsck::Report, as_json: bool) -> anyhow::Result<ExitCode> {
    let verdict = match report.verdict() {
        fsck::Verdict::Verified => Verdict::Verified,
        fsck::Verdict::Tainted => Verdict::Tainted,
        fsck::Verdict::Undecided => Verdict::Undecided,
    };
    if as_json {
        output::json(&folder_json(data, report, verdict))?;
        return Ok(verdict.exit_code());
    }
    println!("folder   {} ({} of {} bytes read)", data.display(), report.bytes_read, report.bytes_expected);
    for log in &report.logs {
        println!("log      {}", log.origin);
        let key = match log.key {
            KeySource::Pinned => "the key you gave",
            KeySource::Folder => "the folder's own key",
            KeySource::None => "no key",
        };
        match &log.head {
            Some((size, root)) => println!("  head     size {size}, root {root}, signed by {key}"),
            None => println!("  head     none that can be verified"),
        }
        let unsealed = match log.entries_unsealed {
            0 => String::new(),
            n => format!(", {n} written but not yet signed"),
        };
        println!(
            "  entries  {} read of {}{unsealed}; {} signed heads on the way",
            log.entries_read, log.entries_expected, log.heads_checked
        );
        for divergence in &log.divergences {
            let place = divergence.number.map_or("log".to_owned(), |number| format!("seq {number}"));
            println!("  TAINTED  {place}: {}: {}", divergence.reason.as_str(), output::printable(&divergence.detail));
        }
        if log.divergence_count > log.divergences.len() as u64 {
            println!("  TAINTED  {} in all; the first {} are listed", log.divergence_count, log.divergences.len());
        }
    }
    for file in &report.files {
        let first =
            file.first.map_or(String::new(), |(log, number)| format!(" (first entry it holds: seq {number} of {log})"));
        println!("TAINTED  {}: {}{first}", file.path, output::printable(&file.what));
    }
    for what in &report.undecided {
        println!("undecided: {}", output::printable(what));
    }
    for note in &report.notes {
        println!("note     {}", output::printable(note));
    }
    if let Some((log, number)) = report.first_damaged() {
        println!("first damaged: seq {number} of log {log}");
    }
    if report.logs.iter().any(|log| log.key == KeySource::Folder) {
        println!("note     the folder's own keys were used for some logs; pin them with --vkey to know who signed");
    }
    println!("{}", verdict.as_str());
    Ok(verdict.exit_code())
}

fn folder_json(data: &Path, report: &fsck::Report, verdict: Verdict) -> Value {
    let logs: Vec<Value> = report
        .logs
        .iter()
        .map(|log| {
            let divergences: Vec<Value> = log
                .divergences
                .iter()
                .map(|d| json!({ "seq": d.number, "reason": d.reason.as_str(), "detail": d.detail }))
                .collect();
            json!({
                "log": log.log.to_string(), "origin": log.origin,
                "head": log.head.as_ref().map(|(size, root)| json!({ "size": size, "root": root.to_string() })),
                "key_pinned": log.key == KeySource::Pinned, "entries_read": log.entries_read,
                "entries_expected": log.entries_expected, "entries_unsealed": log.entries_unsealed,
                "heads_checked": log.heads_checked, "divergences": divergences, "divergence_count": log.divergence_count,
            })
        })
        .collect();
    let files: Vec<Value> = report
        .files
        .iter()
        .map(|file| {
            let first = file.first.map(|(log, number)| json!({ "log": log.to_string(), "seq": number }));
            json!({ "path": file.path, "what": file.what, "first": first })
        })
        .collect();
    let first = report.first_damaged().map(|(log, number)| json!({ "log": log.to_string(), "seq": number }));
    json!({
        "folder": data, "verdict": verdict.as_str(), "bytes_read": report.bytes_read, "bytes_expected": report.bytes_expected,
        "logs": logs, "files": files, "undecided": report.undecided, "notes": report.notes, "first_damaged": first,
    })
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

fn over_network(args: &cli::VerifyLog, mut keys: Vec<VerifierKey>, since: Vec<String>) -> anyhow::Result<ExitCode> {
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
    let mut since = since.iter().map(|note| head(note)).collect::<anyhow::Result<Vec<_>>>()?;
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
