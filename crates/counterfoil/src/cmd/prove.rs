//! `prove`: what one hands to others. Everything is fetched through the server's API, checked, and only then named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tlog::entry::HEADER_BYTES;
use tlog::extends::Extends;
use tlog::tile::{self, BundleId, TileId, WIDTH};
use tlog::tlog_proof::TlogProof;

use super::events::{address, events};
use super::verify::single::{is_zip, show_bundle};
use crate::cli;
use crate::client::{self, Client};
use crate::output;
use crate::verify::disclosed::{self, Disclosed};
use crate::verify::files::{Address, Files, Folder, Held};
use crate::verify::memory::head;
use crate::verify::succession;
use crate::verify::tiles::{Tiles, needed};
use crate::verify::trust::{Opened, Trust};
use crate::verify::{Verdict, bundle, whole};

/// Events whose bodies are asked for at once.
const EVIDENCE_MAX: usize = 256;
/// Events asked for at once by a search.
const PAGE: u64 = 1_000;

/// A log within reach of the caller, and whom to believe about it.
struct Log {
    client: Client,
    org: String,
    files: Address,
    trust: Trust,
    /// Numbers of events in logs that this one took the place of.
    before: u64,
    /// Most entries that it may hold: more than it has now only if it takes events.
    size: u64,
}

impl Log {
    /// `holding`: the log that holds the event of this number, which may be an older one; else the one that takes events.
    fn find(remote: &cli::Remote, org: Option<&str>, vkey: Option<&str>, holding: Option<u64>) -> anyhow::Result<Log> {
        let keys = match vkey {
            None => Vec::new(),
            Some(text) => vec![text.parse().map_err(|error| output::usage(format!("--vkey {text:?}: {error}")))?],
        };
        let client = Client::new(remote)?;
        let org = client.org(org)?;
        let which = holding.map_or_else(String::new, |seq| format!("?seq={seq}"));
        let log = client.get(&format!("/v1/orgs/{org}/log{which}"))?;
        let number = |name: &str| {
            log.pointer(name).and_then(Value::as_u64).context("the server did not say how long its log is")
        };
        let before = number("/head/last_seq")?.saturating_sub(number("/head/size")?);
        let takes_events = log.get("state").and_then(Value::as_str) == Some("open");
        let size = if takes_events { u64::MAX } else { number("/head/size")? };
        let path = log.get("path").and_then(Value::as_str).context("the server did not say where its log is")?;
        let agent = client::agent(remote.ca_cert.as_deref(), None)?;
        let base = format!("{}{path}", remote.server.trim_end_matches('/'));
        let files = Address::new(agent, &base, remote.token.clone());
        let trust = Trust { keys, ..Trust::default() }.or_of_source(&files).map_err(anyhow::Error::msg)?;
        Ok(Log { client, org, files, trust, before, size })
    }

    fn need(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.files.need(path).map_err(anyhow::Error::msg)
    }

    fn text(&self, path: &str) -> anyhow::Result<String> {
        String::from_utf8(self.need(path)?).with_context(|| format!("{path} is not text"))
    }

    /// Where the proofs of the log's key notes are published.
    fn key_notes(&self, keys: &[u8]) -> anyhow::Result<Vec<String>> {
        let keys: Value = serde_json::from_slice(keys).context("the log's keys")?;
        let list = keys.get("keys").and_then(Value::as_array).context("the log's list of keys holds none")?;
        let first_sizes = list.iter().filter_map(|key| key.get("first_size").and_then(Value::as_u64));
        Ok(first_sizes.filter_map(|size| size.checked_sub(1)).map(succession::path).collect())
    }

    /// The shown checkpoint if it covers `size` entries, else the newest signed one.
    fn checkpoint(&self, size: u64) -> anyhow::Result<Opened> {
        let shown = self.opened(&self.text("checkpoint")?)?;
        if shown.signed.checkpoint.size >= size {
            return Ok(shown);
        }
        let log = self.client.get(&format!("/v1/orgs/{}/log", self.org))?;
        let newest = log.get("checkpoint").and_then(Value::as_str).context("the server showed no checkpoint")?;
        let newest = self.opened(newest)?;
        if newest.signed.checkpoint.size < size {
            bail!("the newest signed head covers {} entries, fewer than {size}", newest.signed.checkpoint.size);
        }
        Ok(newest)
    }

    /// The time stamp over the head of a size, if there is one.
    fn stamp(&self, size: u64) -> anyhow::Result<Option<Vec<u8>>> {
        let reply: Value =
            serde_json::from_str(&self.text(&format!("timestamps?size={size}"))?).context("the list of time stamps")?;
        let Some(stamp) = reply.pointer("/timestamps/0/reply").and_then(Value::as_str) else { return Ok(None) };
        Ok(Some(STANDARD.decode(stamp).context("a time stamp is not base64")?))
    }

    fn opened(&self, note: &str) -> anyhow::Result<Opened> {
        self.trust.open(note).context("the server's checkpoint")
    }

    /// Bodies and salts by index; those that the server does not hold any more, or that are in their entries, are not among them.
    fn bodies(&self, indexes: &[u64]) -> anyhow::Result<BTreeMap<u64, Disclosed>> {
        let mut found = BTreeMap::new();
        for chunk in indexes.chunks(EVIDENCE_MAX) {
            let seqs: Vec<String> = chunk.iter().map(|index| format!("seq={}", self.before + index + 1)).collect();
            let reply = self.client.get(&format!("/v1/orgs/{}/evidence?{}", self.org, seqs.join("&")))?;
            for event in
                reply.get("evidence").and_then(Value::as_array).context("the server's reply holds no evidence")?
            {
                let text = |name: &str| event.get(name).and_then(Value::as_str);
                let (Some(body), Some(salt)) = (text("body"), text("salt")) else { continue };
                let index = event.get("index").and_then(Value::as_u64).context("evidence without an index")?;
                let body = STANDARD.decode(body).context("a body is not base64")?;
                let salt = disclosed::parse_salt(salt).context("a salt is not 32 hexadecimal digits")?;
                found.insert(index, Disclosed { salt, body });
            }
        }
        Ok(found)
    }
}

/// `counterfoil prove event`
pub fn event(args: &cli::ProveEvent) -> anyhow::Result<ExitCode> {
    let log = Log::find(&args.remote, args.org.as_deref(), args.vkey.as_deref(), Some(args.seq))?;
    let index = args.seq.checked_sub(log.before + 1).context("the server named a log that begins after the event")?;
    let opened = log.checkpoint(index + 1)?;
    let head = &opened.signed.checkpoint;
    let tree = Tiles::new(&log.files, head.size);
    let bundle = BundleId::at_size(index / WIDTH, head.size).context("the head covers the event")?;
    let bytes = log.need(&bundle.to_string())?;
    let entries = tile::decode_bundle(&bytes, bundle.width).with_context(|| bundle.to_string())?;
    let entry = entries[(index % WIDTH) as usize];
    let hashes = tlog::proof::inclusion(&tree, index, head.size).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
    let extra = entry.get(..HEADER_BYTES).map(<[u8]>::to_vec);
    let proof = TlogProof { extra, index, hashes, checkpoint: opened.signed.note.clone() };
    proof
        .verify(&tlog::leaf_hash(entry), &head.origin, &log.trust.keys)
        .context("what the server answered does not prove it")?;
    let mut files = BTreeMap::from([
        ("entry".to_owned(), entry.to_vec()),
        ("proof".to_owned(), proof.to_string().into_bytes()),
        ("keys".to_owned(), log.need("keys")?),
    ]);
    let mut disclosed = "no";
    if let Some(Disclosed { salt, body }) = log.bodies(&[index])?.remove(&index) {
        let entry = tlog::entry::Entry::decode(entry).context("the entry does not read")?;
        let commitment = tlog::entry::Payload::Committed { commitment: tlog::commitment(&salt, &body) };
        if entry.payload != commitment {
            return tainted(
                args.remote.json,
                args.seq,
                "record_changed: the body is not the one that the entry commits to",
            );
        }
        files.insert("salt".to_owned(), disclosed::salt_text(&salt).into_bytes());
        files.insert("body".to_owned(), body);
        disclosed = "yes";
    }
    files.insert("README".to_owned(), README_EVENT.as_bytes().to_vec());
    write_folder(&args.output, &files)?;
    if args.remote.json {
        let (origin, size) = (&head.origin, head.size);
        output::json(&json!({
            "folder": args.output, "origin": origin, "index": index, "seq": args.seq, "size": size, "body": disclosed == "yes",
        }))?;
    } else {
        println!("event {} of {} at index {index} under a head of size {}", args.seq, head.origin, head.size);
        println!(
            "in {}: entry, proof, keys{}",
            args.output.display(),
            if disclosed == "yes" { ", body, salt" } else { "" }
        );
        println!("check: counterfoil verify proof {0}/proof --entry {0}/entry --vkey KEY", args.output.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// `counterfoil prove search`
pub fn search(args: &cli::ProveSearch) -> anyhow::Result<ExitCode> {
    let log = Log::find(&args.remote, args.filter.org.as_deref(), args.vkey.as_deref(), args.holding)?;
    let indexes = hits(&log, &args.filter, args.max)?;
    let Some(last) = indexes.last() else {
        bail!("nothing matches; a bundle needs at least one event");
    };
    let opened = log.checkpoint(last + 1)?;
    let (note, size) = (&opened.signed.note, opened.signed.checkpoint.size);
    let mut files = Held::default();
    files.0.insert("checkpoint".to_owned(), note.clone().into_bytes());
    let (tiles, bundles) = needed(indexes.iter().copied(), size);
    let paths = tiles.iter().map(ToString::to_string).chain(bundles.iter().map(ToString::to_string));
    for path in paths.chain(["keys".to_owned(), "policy".to_owned()]) {
        let bytes = log.need(&path)?;
        files.0.insert(path, bytes);
    }
    for (index, Disclosed { salt, body }) in log.bodies(&indexes)? {
        files.0.insert(format!("bodies/{index}"), body);
        files.0.insert(format!("salts/{index}"), disclosed::salt_text(&salt).into_bytes());
    }
    if let Some(stamp) = log.stamp(size)? {
        files.0.insert(format!("timestamps/{size}.tsr"), stamp);
    }
    files.0.insert("README".to_owned(), README_BUNDLE.as_bytes().to_vec());
    let paths: Vec<String> = files.0.keys().cloned().collect();
    let report = bundle::verify(&files, &paths, &log.trust, &[]);
    if report.verdict() == Verdict::Verified {
        match is_zip(&args.output) {
            true => write_zip(&args.output, &files.0)?,
            false => write_folder(&args.output, &files.0)?,
        }
    } else {
        eprintln!("nothing was written: the server's files do not verify");
    }
    show_bundle(&report, log.trust.is_pinned, args.remote.json)
}

/// Indexes of the events that match, ascending, as of the head of the first page; never our own notes about others' reading.
fn hits(log: &Log, filter: &cli::Filter, max: u64) -> anyhow::Result<Vec<u64>> {
    let (mut indexes, mut after, mut end) = (Vec::new(), 0, None);
    let size = log.size;
    loop {
        let page =
            log.client.get(&address(&log.client, filter, &format!("order=oldest&limit={PAGE}&after={after}"))?)?;
        let end = *end
            .get_or_insert(page.pointer("/head/last_seq").and_then(Value::as_u64).context("the page names no head")?);
        for event in events(&page)? {
            let seq = event
                .get("seq")
                .and_then(Value::as_u64)
                .filter(|seq| *seq > 0)
                .context("an event without its number")?;
            if seq > end {
                return Ok(indexes);
            }
            if indexes.len() as u64 == max {
                bail!(
                    "more than {max} events match; narrow the query, raise --max, or take the whole log with `prove log`"
                );
            }
            let index = seq.checked_sub(log.before + 1).filter(|index| *index < size);
            indexes.push(index.ok_or_else(|| {
                output::usage(format!(
                    "event {seq} is in another log than the one that is to be proven, and a bundle holds events of one: narrow \
                     the query by time, and name the log with --holding {seq}"
                ))
            })?);
        }
        match page.get("next").and_then(Value::as_u64) {
            Some(next) if next > after => after = next,
            Some(_) => bail!("the server's pages do not go on"),
            None => return Ok(indexes),
        }
    }
}

/// `counterfoil prove extends`
pub fn extends(args: &cli::ProveExtends) -> anyhow::Result<ExitCode> {
    let log = Log::find(&args.remote, args.org.as_deref(), None, None)?;
    let old = head(&super::verify::read_text(&args.from)?).with_context(|| args.from.display().to_string())?;
    let text = log.text(&format!("extends?from={}", old.size))?;
    let body: Extends = text.parse().context("the server's proof does not read")?;
    let new = log.opened(&body.checkpoint)?.signed.checkpoint;
    if let Err(error) = body.verify(Some(&old), &new.origin, &log.trust.keys) {
        return tainted(args.remote.json, new.size, &format!("forked: {error}"));
    }
    match &args.output {
        Some(path) => write_file(path, text.as_bytes())?,
        None => io::stdout().lock().write_all(text.as_bytes())?,
    }
    if args.output.is_some() && args.remote.json {
        output::json(&json!({ "origin": new.origin, "old_size": old.size, "size": new.size, "file": args.output }))?;
    } else {
        eprintln!("{} grew from {} to {} entries without changing what was there", new.origin, old.size, new.size);
    }
    Ok(ExitCode::SUCCESS)
}

/// `counterfoil prove log`
pub fn log(args: &cli::ProveLog) -> anyhow::Result<ExitCode> {
    let log = Log::find(&args.remote, args.org.as_deref(), args.vkey.as_deref(), args.holding)?;
    let opened = log.checkpoint(0)?;
    let size = opened.signed.checkpoint.size;
    let part = begin_folder(&args.output)?;
    write_below(&part, "checkpoint", opened.signed.note.as_bytes())?;
    // What is pruned meanwhile is missing from the export, which then does not verify and is not named.
    for path in ["keys", "policy", "state"] {
        write_below(&part, path, &log.need(path)?)?;
    }
    for path in log.key_notes(&log.need("keys")?)? {
        // One that is pruned proves nothing any more.
        if let Some(proof) = log.files.read(&path).map_err(anyhow::Error::msg)? {
            write_below(&part, &path, &proof)?;
        }
    }
    let state: Value = serde_json::from_slice(&log.need("state")?).context("the log's state")?;
    let pruned =
        state.get("minimum_index").and_then(Value::as_u64).context("the log's state names no minimum_index")?;
    write_below(&part, "README", README_LOG.as_bytes())?;
    for level in 0..tile::LEVELS {
        let mut index = if level == 0 { pruned / WIDTH } else { 0 };
        while let Some(tile) = TileId::at_size(level, index, size) {
            write_below(&part, &tile.to_string(), &log.need(&tile.to_string())?)?;
            index += 1;
        }
    }
    let bar = output::progress(Some(size), "entries", false);
    let mut index = pruned / WIDTH;
    while let Some(bundle) = BundleId::at_size(index, size) {
        write_below(&part, &bundle.to_string(), &log.need(&bundle.to_string())?)?;
        if !args.without_bodies {
            let indexes: Vec<u64> = bundle.entries().collect();
            let mut bodies = log.bodies(&indexes)?;
            let events: Vec<Option<Disclosed>> = indexes.iter().map(|index| bodies.remove(index)).collect();
            write_below(&part, &disclosed::pack_path(bundle), &disclosed::pack(&events))?;
        }
        index += 1;
        bar.set_position(index * WIDTH);
    }
    bar.finish_and_clear();
    let report = whole::verify(&Folder(part.clone()), &log.trust, &[], !args.without_bodies, &mut |_, _| {});
    let verdict = report.verdict();
    match verdict {
        Verdict::Verified => finish_folder(&part, &args.output)?,
        Verdict::Tainted | Verdict::Undecided => {
            eprintln!("what was fetched does not verify; it is left in {}", part.display());
        }
    }
    if args.remote.json {
        let mut reply = serde_json::to_value(&report)?;
        reply["verdict"] = json!(verdict.as_str());
        reply["folder"] = json!(args.output);
        output::json(&reply)?;
        return Ok(verdict.exit_code());
    }
    println!("log      {}", report.origin);
    println!(
        "entries  {} of {} with {} bodies, in {}",
        report.entries_read,
        report.entries_expected,
        report.bodies_checked,
        args.output.display()
    );
    for divergence in &report.divergences {
        let place = divergence.seq.map_or("log".to_owned(), |seq| format!("seq {seq}"));
        println!("TAINTED  {place}: {}: {}", divergence.reason, output::printable(&divergence.detail));
    }
    if let Some(why) = &report.undecided {
        println!("undecided: {}", output::printable(why));
    }
    super::verify::say_witnessed(&report.witnesses);
    println!("{}", verdict.as_str());
    Ok(verdict.exit_code())
}

/// `counterfoil prove timestamp`
pub fn timestamp(args: &cli::ProveTimestamp) -> anyhow::Result<()> {
    let log = Log::find(&args.remote, args.org.as_deref(), None, None)?;
    let made = log.client.post(&format!("/v1/orgs/{}/log/timestamps", log.org), &json!({}))?;
    let size = made.get("size").and_then(Value::as_u64).context("the server did not say what it had stamped")?;
    let text = made.get("stamped").and_then(Value::as_str).context("the server did not say what it had stamped")?;
    if let Some(folder) = &args.output {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        write_file(&folder.join(format!("checkpoint-{size}")), text.as_bytes())?;
        let stamp = log.stamp(size)?.context("the server lost the stamp that it just got")?;
        write_file(&folder.join(format!("checkpoint-{size}.tsr")), &stamp)?;
    }
    if args.remote.json {
        return output::json(&made);
    }
    println!("the head of size {size} was stamped at {}", output::text_at(&made, "/at"));
    if let Some(folder) = &args.output {
        let data = folder.join(format!("checkpoint-{size}")).display().to_string();
        println!("check: openssl ts -verify -data {data} -in {data}.tsr -CAfile YOUR-AUTHORITY.pem");
    }
    Ok(())
}

fn tainted(as_json: bool, seq: u64, why: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        output::json(&json!({ "verdict": Verdict::Tainted.as_str(), "seq": seq, "reason": why }))?;
    } else {
        println!("TAINTED  seq {seq}: {}", output::printable(why));
    }
    Ok(Verdict::Tainted.exit_code())
}

/// A folder under its name is always whole: it is made beside it and renamed.
fn write_folder(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let part = begin_folder(folder)?;
    for (path, bytes) in files {
        write_below(&part, path, bytes)?;
    }
    finish_folder(&part, folder)
}

fn begin_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        return Err(output::usage(format!("{} exists already", folder.display())));
    }
    let mut part = folder.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    fs::create_dir_all(folder.parent().unwrap_or(Path::new(""))).context("making the folder above")?;
    fs::create_dir(&part).with_context(|| format!("making {}; is another export at work?", part.display()))?;
    Ok(part)
}

fn finish_folder(part: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::rename(part, folder).with_context(|| format!("naming the finished folder {}", folder.display()))
}

fn write_below(folder: &Path, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(path);
    let above = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(above).with_context(|| format!("making {}", above.display()))?;
    fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
}

fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs::write(&part, bytes).with_context(|| format!("writing {}", path.display()))?;
    fs::rename(&part, path).with_context(|| format!("naming {}", path.display()))
}

fn write_zip(path: &Path, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let said = || format!("writing {}", path.display());
    if path.exists() {
        return Err(output::usage(format!("{} exists already", path.display())));
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut archive = zip::ZipWriter::new(io::BufWriter::new(fs::File::create(&part).with_context(said)?));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let folders: BTreeSet<&str> =
        files.keys().filter_map(|path| path.rsplit_once('/')).map(|(folder, _)| folder).collect();
    debug_assert!(folders.iter().all(|folder| !folder.starts_with('/')), "paths of published files are relative");
    for (name, bytes) in files {
        archive.start_file(name.as_str(), options).with_context(said)?;
        archive.write_all(bytes).with_context(said)?;
    }
    archive.finish().with_context(said)?.into_inner().context("writing the archive")?.sync_all().with_context(said)?;
    fs::rename(&part, path).with_context(said)
}

const README_EVENT: &str = "\
Proof that one event is in a transparency log.

proof   c2sp.org/tlog-proof: index, inclusion proof, signed checkpoint. Its extra line is the entry's header.
entry   the bytes whose leaf hash is proven: SHA-256(00 || entry).
body    the event exactly as it was stored. The last 32 bytes of the entry are SHA-256(02 || salt || body).
salt    32 hexadecimal digits.
keys    the log's public keys, by its own word. Trust one that you have from somewhere else.

counterfoil verify proof proof --entry entry --vkey KEY
counterfoil verify proof proof --event body --salt $(cat salt) --vkey KEY
";

const README_BUNDLE: &str = "\
Evidence that some events are in a transparency log: a sparse c2sp.org/tlog-tiles log with their bodies.

checkpoint                the signed head (c2sp.org/tlog-checkpoint)
tile/                     the tiles that lead from the events to its root, and the entry bundles that hold them
bodies/INDEX              each event exactly as it was stored
salts/INDEX               its salt, 32 hexadecimal digits. The entry ends in SHA-256(02 || salt || body).
keys, policy              the log's public keys and witnesses, by its own word. Trust those you have from somewhere else.
timestamps/               RFC 3161 time stamps over the checkpoint's first three lines, if there are any

counterfoil verify bundle FOLDER-OR-ZIP --vkey KEY
Without Counterfoil: any tlog-tiles client checks checkpoint, tiles and entries; sha256sum does the rest.
";

const README_LOG: &str = "\
A whole transparency log with its contents (c2sp.org/tlog-tiles).

checkpoint                the signed head (c2sp.org/tlog-checkpoint)
tile/L/N                  hash tiles; tile/entries/N entry bundles
disclosed/N               bodies and salts of the entries in tile/entries/N, in order. Per entry: 00 if there is nothing to
                          disclose, or 01, 16 bytes of salt, 4 bytes of length (big-endian), the body.
                          The entry ends in SHA-256(02 || salt || body).
keys, policy              the log's public keys and witnesses, by its own word. Trust those you have from somewhere else.
key-notes/INDEX           of each key that followed another: the proof that the log says so (c2sp.org/tlog-proof)
state                     how the log was; its minimum_index says from which entry on there are any

counterfoil verify log FOLDER --vkey KEY
Without Counterfoil: any tlog-tiles client checks checkpoint, tiles and entries.
";
