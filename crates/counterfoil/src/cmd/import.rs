//! `import`: log files through an importer to a server, with a report that accounts for every line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli;
use crate::client::Client;
use crate::import::{self, DETECT_BYTES, Format, Item, Options, Summary};
use crate::output;

/// A request goes out when it holds this many events,
const BATCH_EVENTS: usize = 2_000;
/// or this many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// `counterfoil import`: exit status 0 when every line was understood and taken, 1 when some were not (they are reported).
pub fn run(args: &cli::Import) -> anyhow::Result<ExitCode> {
    let format = args.format.as_deref().map(|name| name.parse::<Format>().map_err(anyhow::Error::msg)).transpose()?;
    let zone = args.zone.as_deref().map(zone).transpose()?;
    let report = match &args.report {
        None => None,
        Some(path) => Some(BufWriter::new(File::create(path).with_context(|| format!("creating {}", path.display()))?)),
    };
    let target = if args.dry_run {
        None
    } else {
        let client = Client::new(&args.remote)?;
        let org = client.org(args.org.as_deref())?;
        Some((client, org))
    };
    let mut sender = Sender { target, batch: Batch::default(), counts: Counts::default(), refusals: Vec::new() };
    let mut printer = Printer { show: args.show, shown: 0, json: args.remote.json, report };
    let mut files = Vec::new();
    let mut complete = true;
    for path in &args.files {
        let before = sender.counts;
        let (used, summary) = one(path, format, zone.clone(), args, &mut sender, &mut printer)
            .with_context(|| path.display().to_string())?;
        let counts = sender.counts.since(before);
        complete &= summary.not_understood == 0 && counts.refused == 0;
        if !args.remote.json {
            print_summary(path, used, &summary, &counts, args.dry_run);
        }
        files.push(json!({
            "file": path, "format": used.name(), "lines": summary.lines, "blank": summary.blank, "records": summary.records,
            "understood": summary.understood, "not_understood": summary.not_understood, "repeated": summary.repeated,
            "events": summary.events, "sent": counts.sent, "new": counts.new, "already_there": counts.duplicates,
            "refused": counts.refused,
        }));
    }
    if let Some(mut report) = printer.report {
        report.flush().context("writing the report")?;
    }
    if args.remote.json {
        output::json(&json!({ "files": files, "dry_run": args.dry_run }))?;
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print_summary(path: &Path, format: Format, summary: &Summary, counts: &Counts, dry_run: bool) {
    println!(
        "{} ({format}): {} lines read, {} blank, {} records: {} understood, {} not understood, {} repeated; {} events",
        path.display(),
        summary.lines,
        summary.blank,
        summary.records,
        summary.understood,
        summary.not_understood,
        summary.repeated,
        summary.events,
    );
    if dry_run {
        println!("  nothing was sent (--dry-run)");
    } else {
        println!("  {} new, {} already there, {} refused", counts.new, counts.duplicates, counts.refused);
    }
}

fn zone(text: &str) -> anyhow::Result<TimeZone> {
    if let Ok(zone) = TimeZone::get(text) {
        return Ok(zone);
    }
    // `+02:00` is read as the offset of a time that carries it.
    match format!("2000-01-01T00:00:00{text}[{text}]").parse::<jiff::Zoned>() {
        Ok(time) => Ok(time.time_zone().clone()),
        Err(_) => bail!("unknown time zone {text:?}: give a name such as Europe/Berlin, or an offset such as +02:00"),
    }
}

/// Imports one file; its events are all sent when this returns.
fn one(
    path: &Path,
    format: Option<Format>,
    zone: Option<TimeZone>,
    args: &cli::Import,
    sender: &mut Sender,
    printer: &mut Printer,
) -> anyhow::Result<(Format, Summary)> {
    let stdin = path == Path::new("-");
    let (input, modified, bytes): (Box<dyn Read>, _, _) = if stdin {
        (Box::new(io::stdin()), None, None)
    } else {
        let file = File::open(path).context("opening it")?;
        let metadata = fs::metadata(path).context("looking at it")?;
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        (Box::new(file), modified, Some(metadata.len()))
    };
    let bar = output::progress(bytes, "", true);
    let mut reader = BufReader::with_capacity(256 << 10, Counted { input, bar: bar.clone() });
    let format = match format {
        Some(format) => format,
        None => {
            let mut first = reader.fill_buf().context("reading it")?;
            first = &first[..first.len().min(DETECT_BYTES)];
            match import::detect(first) {
                Some(format) => format,
                None => bail!(
                    "its format is not recognised: give --format, one of {}",
                    Format::ALL.map(|(_, name, _)| name).join(", ")
                ),
            }
        }
    };
    let options = Options { year: args.year, zone, file_modified: modified, file_name: path.display().to_string() };
    let name = path.display().to_string();
    let summary = import::import(format, &mut reader, &options, &mut |item| {
        match item {
            Item::Event { line, json } => sender.add(line, json, &name, printer)?,
            Item::NotUnderstood { line, reason, text } => {
                bar.suspend(|| printer.not_understood(&name, line, &reason, &text))?
            }
            Item::Note { line, text } => bar.suspend(|| printer.note(&name, line, &text))?,
        }
        Ok(())
    })?;
    sender.send(&name, printer)?;
    bar.finish_and_clear();
    Ok((format, summary))
}

/// Moves the progress bar as bytes are read.
struct Counted {
    input: Box<dyn Read>,
    bar: ProgressBar,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    sent: u64,
    new: u64,
    duplicates: u64,
    refused: u64,
}

impl Counts {
    fn since(self, before: Counts) -> Counts {
        Counts {
            sent: self.sent - before.sent,
            new: self.new - before.new,
            duplicates: self.duplicates - before.duplicates,
            refused: self.refused - before.refused,
        }
    }
}

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: Vec<u64>,
}

/// Collects events and sends them, whole requests at a time.
struct Sender {
    target: Option<(Client, String)>,
    batch: Batch,
    counts: Counts,
    refusals: Vec<(u64, String)>,
}

impl Sender {
    fn add(&mut self, line: u64, json: Vec<u8>, file: &str, printer: &mut Printer) -> anyhow::Result<()> {
        if self.target.is_none() {
            return Ok(());
        }
        if self.batch.lines.len() >= BATCH_EVENTS || self.batch.bytes.len() + json.len() > BATCH_BYTES {
            self.send(file, printer)?;
        }
        self.batch.bytes.extend_from_slice(&json);
        self.batch.bytes.push(b'\n');
        self.batch.lines.push(line);
        Ok(())
    }

    fn send(&mut self, file: &str, printer: &mut Printer) -> anyhow::Result<()> {
        let Some((client, org)) = &self.target else { return Ok(()) };
        let batch = std::mem::take(&mut self.batch);
        if batch.lines.is_empty() {
            return Ok(());
        }
        let reply = client
            .post_bytes(&format!("/v1/orgs/{org}/events"), "application/x-ndjson", &batch.bytes)
            .with_context(|| {
                format!(
                    "sending {} events; what was sent before is in, run the same command again to go on",
                    batch.lines.len()
                )
            })?;
        let receipts =
            reply.get("receipts").and_then(Value::as_array).context("the server's reply holds no receipts")?;
        if receipts.len() != batch.lines.len() {
            bail!("the server answered {} of {} events", receipts.len(), batch.lines.len());
        }
        for (receipt, line) in receipts.iter().zip(&batch.lines) {
            self.counts.sent += 1;
            if let Some(error) = receipt.get("error") {
                self.counts.refused += 1;
                let said =
                    ["/detail", "/message", "/title"].iter().find_map(|p| error.pointer(p).and_then(Value::as_str));
                self.refusals.push((*line, said.map_or_else(|| error.to_string(), ToOwned::to_owned)));
            } else if receipt.get("duplicate").and_then(Value::as_bool) == Some(true) {
                self.counts.duplicates += 1;
            } else {
                self.counts.new += 1;
            }
        }
        for (line, why) in self.refusals.drain(..) {
            printer.not_understood(file, line, &format!("refused by the server: {why}"), "")?;
        }
        Ok(())
    }
}

/// Says what was not understood: the first ones in full on standard error, all of them in the report.
struct Printer {
    show: usize,
    shown: usize,
    json: bool,
    report: Option<BufWriter<File>>,
}

impl Printer {
    fn not_understood(&mut self, file: &str, line: u64, reason: &str, text: &str) -> anyhow::Result<()> {
        if let Some(report) = &mut self.report {
            let row = json!({ "file": file, "line": line, "reason": reason, "text": text });
            writeln!(report, "{row}").context("writing the report")?;
        }
        self.shown += 1;
        if self.shown <= self.show {
            let text = output::printable(text);
            eprintln!("{file}:{line}: not understood: {reason}{}{text}", if text.is_empty() { "" } else { ": " });
        } else if self.shown == self.show + 1 {
            eprintln!("more lines were not understood; --report FILE lists them all, --show N shows more here");
        }
        Ok(())
    }

    fn note(&mut self, file: &str, line: u64, text: &str) -> anyhow::Result<()> {
        if let Some(report) = &mut self.report {
            writeln!(report, "{}", json!({ "file": file, "line": line, "note": text }))
                .context("writing the report")?;
        }
        if !self.json {
            eprintln!("{file}:{line}: note: {}", output::printable(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_name_or_an_offset() {
        for text in ["UTC", "Europe/Berlin", "+02:00", "-05:30"] {
            assert!(zone(text).is_ok(), "{text}");
        }
        assert!(zone("Atlantis/Sunken").is_err());
    }
}
