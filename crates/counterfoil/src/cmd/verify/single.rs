//! `verify proof`, `verify bundle`, `verify extends`: files only, no server, no account.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;
use tlog::checkpoint::Checkpoint;
use tlog::entry::{Entry, HEADER_BYTES, Kind};
use tlog::extends::Extends;
use tlog::tlog_proof::TlogProof;

use super::{outside, read_text, trust};
use crate::cli;
use crate::output;
use crate::verify::files::{Files, Folder, Held};
use crate::verify::memory::head;
use crate::verify::trust::{Opened, Trust};
use crate::verify::{Verdict, bundle, disclosed};

/// `counterfoil verify proof`
pub fn proof(args: &cli::VerifyProof) -> anyhow::Result<ExitCode> {
    let trust = pinned(trust(&args.trust)?)?;
    let proof: TlogProof = match read_text(&args.proof)?.parse() {
        Ok(proof) => proof,
        Err(error) => return refused(args.json, &format!("{}: {error}", args.proof.display())),
    };
    let entry = match (&args.entry, &args.event) {
        (Some(path), _) => fs::read(path).with_context(|| format!("reading {}", path.display()))?,
        (None, Some(path)) => {
            let body = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let salt = args.salt.as_deref().and_then(disclosed::parse_salt);
            let salt = salt.ok_or_else(|| output::usage("--salt takes 32 hexadecimal digits"))?;
            match entry_of(&proof, &salt, &body)? {
                Some(entry) => entry,
                None => return refused(args.json, "the proof is about an entry with a body of another length"),
            }
        }
        (None, None) => unreachable!("the command line asks for one of the two"),
    };
    let opened = match trust.open(&proof.checkpoint) {
        Ok(opened) => opened,
        Err(error) => return refused(args.json, &error.to_string()),
    };
    let head = &opened.signed.checkpoint;
    let leaf = tlog::leaf_hash(&entry);
    if let Err(error) = tlog::proof::verify_inclusion(&leaf, proof.index, head.size, &proof.hashes, &head.root) {
        return refused(args.json, &error.to_string());
    }
    // A log of ours says in each entry where it is; one of another make may hold entries of any kind.
    let decoded = Entry::decode(&entry).ok();
    if let Some(entry) = &decoded
        && entry.index != proof.index
    {
        return refused(args.json, &format!("the entry says index {}, the proof {}", entry.index, proof.index));
    }
    if let Some(why) = opened.policy.unmet() {
        return refused(args.json, why);
    }
    if args.json {
        output::json(&json!({
            "verdict": "verified", "origin": head.origin, "size": head.size, "root": head.root.to_string(), "index": proof.index,
            "seq": decoded.as_ref().map(|entry| entry.number), "leaf_hash": leaf.to_hex(),
            "witnesses": opened.witnessed(), "outside": outside(&opened),
        }))?;
    } else {
        println!("log      {}", output::printable(&head.origin));
        println!("head     size {}, root {}", head.size, head.root);
        println!("entry    index {}, leaf hash {}", proof.index, leaf.to_hex());
        say_witnesses(&opened);
        println!("verified");
    }
    Ok(ExitCode::SUCCESS)
}

/// The entry that a body and its salt make, with the header that the proof carries besides. Nothing in that header is
/// believed: a wrong one makes another leaf hash.
fn entry_of(proof: &TlogProof, salt: &[u8; 16], body: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(header) = &proof.extra else {
        bail!("the proof does not carry the entry's header, so that the body alone is not enough; give --entry");
    };
    if header.len() != HEADER_BYTES {
        bail!("the proof's extra data is no entry header; give --entry");
    }
    let entry = [&header[..], &tlog::commitment(salt, body).0].concat();
    let decoded = Entry::decode(&entry).context("the proof's extra data is no entry header; give --entry")?;
    let fits = decoded.body_bytes as usize == body.len() && matches!(decoded.kind, Kind::Event | Kind::RecordingChunk);
    Ok(fits.then_some(entry))
}

/// `counterfoil verify bundle`
pub fn bundle(args: &cli::VerifyBundle) -> anyhow::Result<ExitCode> {
    let (files, paths): (Box<dyn Files>, Vec<String>) = if args.bundle.is_dir() {
        let folder = Folder(args.bundle.clone());
        let paths = folder.list()?;
        (Box::new(folder), paths)
    } else {
        let held = Held::unzip(&args.bundle)?;
        let paths = held.0.keys().cloned().collect();
        (Box::new(held), paths)
    };
    let remembered = args.since.iter().map(|path| head(&read_text(path)?)).collect::<anyhow::Result<Vec<_>>>()?;
    let trust = trust(&args.trust)?.or_of_source(&*files).map_err(anyhow::Error::msg)?;
    let report = bundle::verify(&*files, &paths, &trust, &remembered);
    show_bundle(&report, trust.is_pinned, args.json)
}

/// Prints what came of a bundle.
pub fn show_bundle(report: &bundle::Report, is_pinned: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let verdict = report.verdict();
    if as_json {
        let mut reply = serde_json::to_value(report)?;
        reply["verdict"] = json!(verdict.as_str());
        reply["key_pinned"] = json!(is_pinned);
        output::json(&reply)?;
        return Ok(verdict.exit_code());
    }
    println!("log      {}", output::printable(&report.origin));
    println!("head     size {}, root {}", report.size, report.root);
    println!("read     {} tiles, {} entries", report.tiles_verified, report.entries_verified);
    for event in &report.events {
        let at = event.recorded_at.as_deref().unwrap_or("an unknown time");
        println!("event    seq {}, recorded {at}: {}", event.seq, if event.verified { "verified" } else { "TAINTED" });
    }
    for divergence in &report.divergences {
        let place = divergence.seq.map_or("log".to_owned(), |seq| format!("seq {seq}"));
        println!("TAINTED  {place}: {}: {}", divergence.reason, output::printable(&divergence.detail));
    }
    for what in &report.undecided {
        println!("undecided: {}", output::printable(what));
    }
    super::say_witnessed(&report.witnesses);
    if !is_pinned {
        println!("note     the key was taken from the bundle itself; pin it with --vkey to know who signed");
    }
    println!("{}", verdict.as_str());
    Ok(verdict.exit_code())
}

/// `counterfoil verify extends`
pub fn extends(args: &cli::VerifyExtends) -> anyhow::Result<ExitCode> {
    let trust = pinned(trust(&args.trust)?)?;
    let old = match trust.open(&read_text(&args.old)?) {
        Ok(opened) => opened.signed.checkpoint,
        Err(error) => return refused(args.json, &format!("{}: {error}", args.old.display())),
    };
    let text = read_text(&args.new)?;
    let body = match text.starts_with("old ") {
        true => match text.parse::<Extends>() {
            Ok(body) => Some(body),
            Err(error) => return refused(args.json, &format!("{}: {error}", args.new.display())),
        },
        false => None,
    };
    let note = body.as_ref().map_or(&text, |body| &body.checkpoint);
    let opened = match trust.open(note) {
        Ok(opened) => opened,
        Err(error) => return refused(args.json, &format!("{}: {error}", args.new.display())),
    };
    let new = &opened.signed.checkpoint;
    match judge(&old, new, body.as_ref()) {
        Extension::Proven => {}
        Extension::Refused(why) => return refused(args.json, &why),
        Extension::Unknown(why) => bail!("{why}"),
    }
    if let Some(why) = opened.policy.unmet() {
        return refused(args.json, why);
    }
    if args.json {
        output::json(&json!({
            "verdict": "verified", "origin": new.origin, "old_size": old.size, "size": new.size, "root": new.root.to_string(),
            "witnesses": opened.witnessed(), "outside": outside(&opened),
        }))?;
    } else {
        println!("log      {}", output::printable(&new.origin));
        println!("from     size {}, root {}", old.size, old.root);
        println!("to       size {}, root {}", new.size, new.root);
        say_witnesses(&opened);
        println!("verified");
    }
    Ok(ExitCode::SUCCESS)
}

enum Extension {
    Proven,
    Refused(String),
    Unknown(String),
}

fn judge(old: &Checkpoint, new: &Checkpoint, body: Option<&Extends>) -> Extension {
    if old.origin != new.origin {
        return Extension::Refused(format!("{} is another log than {}", new.origin, old.origin));
    }
    if new.size < old.size {
        return Extension::Refused(format!("rolled_back: size {} after size {}", new.size, old.size));
    }
    if new.size == old.size {
        return match new.root == old.root {
            true => Extension::Proven,
            false => Extension::Refused(format!("forked: two roots for size {}", new.size)),
        };
    }
    let Some(body) = body else {
        return Extension::Unknown(format!(
            "two checkpoints of sizes {} and {} say nothing about each other without a proof; get one with `counterfoil prove extends`",
            old.size, new.size
        ));
    };
    if body.old_size != old.size {
        return Extension::Unknown(format!("the proof starts from size {}, not from {}", body.old_size, old.size));
    }
    match tlog::proof::verify_consistency(old.size, &old.root, new.size, &new.root, &body.hashes) {
        Ok(()) => Extension::Proven,
        Err(error) => Extension::Refused(format!("forked: {error}")),
    }
}

fn pinned(mut trust: Trust) -> anyhow::Result<Trust> {
    if !trust.knows_a_log() {
        return Err(output::usage("give the log's public key with --vkey, or a --policy with a log line"));
    }
    trust.is_pinned = true;
    Ok(trust)
}

fn say_witnesses(opened: &Opened) {
    super::say_witnessed(&opened.witnessed());
}

fn refused(as_json: bool, why: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        output::json(&json!({ "verdict": Verdict::Tainted.as_str(), "reason": why }))?;
    } else {
        println!("TAINTED  {}", output::printable(why));
        println!("{}", Verdict::Tainted.as_str());
    }
    Ok(Verdict::Tainted.exit_code())
}

/// Whether a path names a zip file that is to be made.
pub fn is_zip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}
