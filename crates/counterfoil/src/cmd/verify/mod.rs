//! `verify` and `fsck`: whole logs here, single files in `single`, searches in `search`.

pub mod search;
pub mod single;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use log::LogId;
use log::fsck::{self, KeySource, Request};
use log::store::Store;
use log::store::embedded::FolderStore;
use serde_json::{Value, json};
use tlog::checkpoint::Cosignature;
use tlog::note::VerifierKey;

use crate::cli;
use crate::client;
use crate::output;
use crate::verify::files::{Address, Files, Folder};
use crate::verify::memory::{Memory, head};
use crate::verify::trust::{NOBODY_OUTSIDE, Opened, Standing, Trust, Witnessed};
use crate::verify::{Verdict, whole};

/// `counterfoil verify log`
pub fn log(args: &cli::VerifyLog) -> anyhow::Result<ExitCode> {
    let trust = trust(&args.trust)?;
    let mut since = Vec::new();
    for path in &args.since {
        let text = read_text(path)?;
        head(&text).with_context(|| path.display().to_string())?;
        since.push(text);
    }
    if is_address(&args.source) {
        let agent = client::agent(args.reach.ca_cert.as_deref(), None)?;
        let source = Address::new(agent, &args.source, args.reach.token.clone());
        return published(args, &source, false, trust, since);
    }
    let path = Path::new(&args.source);
    if path.join("log").is_dir() {
        return in_folder(args, trust, since);
    }
    if !path.join("checkpoint").is_file() {
        bail!(
            "{} is neither a data folder (it holds no folder `log`) nor an exported log (no file `checkpoint`)",
            path.display()
        );
    }
    let with_bodies = path.join("bodies").is_dir() || path.join("disclosed").is_dir();
    published(args, &Folder(path.to_owned()), with_bodies, trust, since)
}

/// `counterfoil fsck`: every log and every file of a data folder, under the folder's own keys.
pub fn fsck(args: &cli::Fsck) -> anyhow::Result<ExitCode> {
    let report = verify_folder(&args.data, &Request::default())?;
    show_folder(&args.data, &report, args.json)
}

/// Reads the keys and the policy of the command line.
pub fn trust(args: &cli::Trust) -> anyhow::Result<Trust> {
    let read = |text: &String| text.parse().map_err(|error| output::usage(format!("--vkey {text:?}: {error}")));
    let keys = args.vkeys.iter().map(read).collect::<anyhow::Result<Vec<VerifierKey>>>()?;
    let policy = match &args.policy {
        None => None,
        Some(path) => {
            let policy = read_text(path)?.parse();
            Some(policy.map_err(|error| output::usage(format!("--policy {}: {error}", path.display())))?)
        }
    };
    if policy.is_none() && args.cosigned_within.is_some() {
        return Err(output::usage("--cosigned-within needs a --policy: without witnesses nobody outside says when"));
    }
    Ok(Trust { keys, policy, cosigned_within: args.cosigned_within, is_pinned: false })
}

/// The text of a file that the caller named.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Whether a source is to be reached over the network.
pub fn is_address(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// What an answer says about outsiders: nothing if witnesses were heard.
pub fn outside(opened: &Opened) -> Option<&'static str> {
    opened.signed.cosignatures.is_empty().then_some(NOBODY_OUTSIDE)
}

/// Names the witnesses, or says that there are none.
pub fn say_witnessed(witnesses: &[Witnessed]) {
    for witness in witnesses {
        let at = witness.at.as_deref().unwrap_or("an unknown time");
        println!("witness  {} had seen no other history at {at}", output::printable(&witness.witness));
    }
    if witnesses.is_empty() {
        println!("note     {NOBODY_OUTSIDE}");
    }
}

fn in_folder(args: &cli::VerifyLog, trust: Trust, mut since: Vec<String>) -> anyhow::Result<ExitCode> {
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
    let logs = trust.policy.iter().flat_map(|policy| &policy.logs).map(|log| &log.key);
    let vkeys: Vec<VerifierKey> =
        trust.keys.iter().chain(logs).filter(|key| !key.algorithm().is_cosignature()).cloned().collect();
    let mut report = verify_folder(data, &Request { vkeys: vkeys.clone(), since, only })?;
    let policy_unmet = witnessed_in_folder(data, &trust, &mut report);
    for key in &vkeys {
        // Presenting another log's data in place of the one whose key was given must not pass.
        if !report.logs.iter().any(|log| log.origin == key.name()) {
            report.undecided.push(format!("no log checked here is {}, whose key was given", key.name()));
        }
    }
    let code = show_folder(data, &report, args.json)?;
    for why in &policy_unmet {
        eprintln!("TAINTED  {}", output::printable(why));
    }
    if !policy_unmet.is_empty() {
        return Ok(Verdict::Tainted.exit_code());
    }
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
    // What witnesses cosigned is held against the log like any remembered checkpoint.
    let mut request = request.clone();
    request.since.extend(cosigned(data));
    let report = fsck::verify_folder(&store, signer.as_ref(), &request, &|progress| {
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

/// A log in published files: over HTTP, or as exported.
fn published(
    args: &cli::VerifyLog,
    source: &dyn Files,
    with_bodies: bool,
    trust: Trust,
    since: Vec<String>,
) -> anyhow::Result<ExitCode> {
    if args.only.is_some() {
        return Err(output::usage("--only is for data folders: this source is one log already"));
    }
    let trust = trust.or_of_source(source).map_err(anyhow::Error::msg)?;
    let mut memory = match &args.remember {
        Some(path) => Memory::read(path)?,
        None => Memory::default(),
    };
    let since = since.iter().map(String::as_str).chain(memory.notes());
    let since = since.map(head).collect::<anyhow::Result<Vec<_>>>()?;

    let bar = output::progress(Some(0), "entries", false);
    let report = whole::verify(source, &trust, &since, with_bodies, &mut |done, total| {
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
        reply["key_pinned"] = json!(trust.is_pinned);
        reply["outside"] = json!(report.witnesses.is_empty().then_some(NOBODY_OUTSIDE));
        output::json(&reply)?;
        return Ok(verdict.exit_code());
    }
    println!("log      {}", output::printable(&report.origin));
    println!("entries  {} read of {} ({} bytes)", report.entries_read, report.entries_expected, report.bytes_read);
    if report.entries_pruned > 0 {
        println!(
            "pruned   the first {}, by a note of the log; their hashes are part of the root",
            report.entries_pruned
        );
    }
    if with_bodies {
        println!(
            "bodies   {} read and held to their commitments, {} erased",
            report.bodies_checked, report.bodies_erased
        );
    }
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
    say_witnessed(&report.witnesses);
    if let Some(learnt) = &report.learnt {
        println!("note     {learnt}");
    }
    if !trust.is_pinned {
        println!("note     the key was taken from the source itself; pin it with --vkey to know who signed");
    }
    if !since.iter().any(|known| known.origin == report.origin) {
        println!(
            "note     no remembered checkpoint was given; keep this one with --remember FILE and check against it next time"
        );
    }
    println!("{}", verdict.as_str());
    Ok(verdict.exit_code())
}

/// The cosigned checkpoints that the server keeps in `DATA/witnessed`; what does not read is no evidence and is left out.
fn cosigned(data: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(data.join("witnessed")).into_iter().flatten().flatten();
    let notes = folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("checkpoint")).ok());
    notes.filter(|note| head(note).is_ok()).collect()
}

/// Says what witnesses say of a folder's logs, and returns where the policy is not met.
fn witnessed_in_folder(data: &Path, trust: &Trust, report: &mut fsck::Report) -> Vec<String> {
    let Some(policy) = &trust.policy else {
        report.notes.push(NOBODY_OUTSIDE.to_owned());
        return Vec::new();
    };
    let witnesses: Vec<VerifierKey> = policy.witnesses.iter().map(|witness| witness.key.clone()).collect();
    let kept = cosigned(data);
    let (mut unmet, mut met) = (Vec::new(), Vec::new());
    for log in &report.logs {
        let of_log = |note: &&str| head(note).is_ok_and(|head| head.origin == log.origin);
        let notes = kept.iter().map(String::as_str).chain(log.checkpoint.as_deref());
        // That the log signed it is fsck's to say; here only who else did counts.
        let heard = |note: &&str| {
            let signatures = tlog::note::open(note, &witnesses).map(|note| note.signatures).unwrap_or_default();
            let cosignature = |s: &tlog::note::Verified<'_>| Cosignature { key: s.key.clone(), time_s: s.time_s };
            trust.standing(&signatures.iter().map(cosignature).collect::<Vec<_>>())
        };
        let mut why = tlog::Error::PolicyUnmet.to_string();
        let found = notes.filter(of_log).find(|note| match heard(note) {
            Standing::Met => true,
            Standing::Unmet(said) => {
                why = said;
                false
            }
            Standing::NotAsked => false,
        });
        match found.map(head) {
            Some(Ok(head)) => met.push(format!("{}: cosigned at size {} as the policy asks", log.origin, head.size)),
            _ => unmet.push(format!("{}: policy_unmet: {why}", log.origin)),
        }
    }
    report.notes.extend(met);
    unmet
}
