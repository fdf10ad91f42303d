//! Importers: bytes of real log files in, canonical events out.
//!
//! Promise: **every line is accounted for**. A line (or JSON record) becomes one or more events, or is reported as not
//! understood with its number and a reason, or is blank, or is a repeat of a record whose own id was seen already;
//! [`Summary`] adds up. Importing the same bytes twice gives the same event ids, so a server adds nothing the second time.
//!
//! Out of scope: opening files, sending events, asking the clock. Everything here is a function of the bytes and the
//! [`Options`].
//!
//! Limits: memory is bounded by one line (`lines::LINE_BYTES_MAX`) or one JSON record (`records::RECORD_BYTES_MAX`) plus the table of
//! ids seen (`ids::SEEN_MAX`), whatever the size of the file. Gzip files are recognised by their first two bytes.
//!
//! The files: `lines.rs` and `records.rs` cut the bytes, `clock.rs` reads times, `syslog.rs` reads what stands before a
//! message, `sshd.rs`, `pam.rs` and `programs.rs` give messages a meaning, `cloudtrail.rs`, `kubernetes.rs` and `silo.rs` do so
//! for JSON records, `json_lines.rs` passes our own events through, `draft.rs` writes the event.

mod clock;
mod cloudtrail;
mod draft;
mod ids;
mod json;
mod json_lines;
mod kubernetes;
mod lines;
mod pam;
mod programs;
pub(crate) mod records;
mod silo;
mod sshd;
mod syslog;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::BufRead;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How many bytes [`detect`] can make use of; give it as many as there are, up to this.
pub const DETECT_BYTES: usize = 8 * 1024;

/// The most of a line that is kept for showing it in [`Item::NotUnderstood`], in bytes.
pub const SHOWN_BYTES_MAX: usize = 200;

/// A kind of file that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenSSH server messages behind any syslog prefix. Lines of other programs are reported, not imported.
    Sshd,
    /// Any program's lines of a Linux `auth.log` or `secure`, those of sshd included.
    SyslogAuth,
    /// AWS CloudTrail: delivery files, JSON lines, `lookup-events` output, CloudWatch and EventBridge wrappers.
    CloudTrail,
    /// Kubernetes audit events: JSON lines, one per file, `EventList`, AKS and GKE wrappers.
    K8sAudit,
    /// Silo log records as `extractlog` hands them out: JSON lines, arrays, pages.
    SiloJson,
    /// Our own canonical events, one JSON object per line.
    JsonLines,
}

impl Format {
    /// Every format with its name on the command line and one line of help, in the order to show them.
    pub const ALL: [(Format, &'static str, &'static str); 6] = [
        (Format::Sshd, "sshd", "OpenSSH lines of auth.log, secure or a journal in syslog form"),
        (
            Format::SyslogAuth,
            "syslog-auth",
            "all lines of auth.log or secure: sshd, sudo, su, login, cron, PAM, accounts",
        ),
        (Format::CloudTrail, "cloudtrail", "AWS CloudTrail files ({\"Records\": [...]}) and JSON lines"),
        (Format::K8sAudit, "k8s-audit", "Kubernetes audit events: JSON lines, one per file, EventList"),
        (Format::SiloJson, "silo-json", "Silo log records as pulled with extractlog: JSON lines, arrays, pages"),
        (Format::JsonLines, "jsonl", "Counterfoil's own events, one JSON object per line"),
    ];

    /// The name on the command line, which [`FromStr`] reads back.
    pub fn name(self) -> &'static str {
        match self {
            Format::Sshd => "sshd",
            Format::SyslogAuth => "syslog-auth",
            Format::CloudTrail => "cloudtrail",
            Format::K8sAudit => "k8s-audit",
            Format::SiloJson => "silo-json",
            Format::JsonLines => "jsonl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        let found = Format::ALL.iter().find(|(_, name, _)| *name == text);
        found.map(|(format, _, _)| *format).ok_or_else(|| {
            let names: Vec<&str> = Format::ALL.iter().map(|(_, name, _)| *name).collect();
            format!("unknown format {text:?}; one of {}", names.join(", "))
        })
    }
}

/// What the file itself does not say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The year of the file's **first** line, for times without a year; from December to January it goes on to the next.
    /// Absent: each time gets the last year in which it is not later than `file_modified`.
    pub year: Option<i32>,
    /// The zone of times without one. Absent: UTC, which is said in a note and in the event.
    pub zone: Option<TimeZone>,
    /// When the file was last written; only used to infer years.
    pub file_modified: Option<Timestamp>,
    /// For messages only. It is no part of any event or id: a renamed file is the same file.
    pub file_name: String,
}

/// One thing the importer has to say, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An event.
    Event {
        /// The line (from 1) where it starts.
        line: u64,
        /// Canonical event JSON on one line, without a line feed, always with an `id`.
        json: Vec<u8>,
    },
    /// A line or record that is not in the trail because of this importer.
    NotUnderstood {
        /// The line (from 1) where it starts.
        line: u64,
        /// Why, and what to do where something can be done.
        reason: String,
        /// The beginning of it, printable; says so itself when it is cut.
        text: String,
    },
    /// Something the reader of the report should know about how lines were understood.
    Note {
        /// The first line (from 1) it is about.
        line: u64,
        /// A sentence without a full stop.
        text: String,
    },
}

/// The count of everything that was read. `records == understood + not_understood + repeated` always, and for the two
/// line formats `lines == records + blank`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines in the file, after decompression; the last one counts without its line feed.
    pub lines: u64,
    /// Lines with nothing but white space.
    pub blank: u64,
    /// Lines, or JSON records, that were looked at.
    pub records: u64,
    /// Of them, those that gave at least one event.
    pub understood: u64,
    /// Of them, those reported as [`Item::NotUnderstood`].
    pub not_understood: u64,
    /// Of them, those that have the same own id and the same content as an earlier one of this file. Nothing is sent for
    /// them; a note says the line.
    pub repeated: u64,
    /// Events given out: more than `understood` when a line stands for several ("message repeated 5 times").
    pub events: u64,
    /// Notes given out.
    pub notes: u64,
}

/// Guesses the format from the beginning of a file; gzip is looked into.
///
/// `first`: the first bytes, at best [`DETECT_BYTES`] of them. Returns nothing rather than a wrong guess.
pub fn detect(first: &[u8]) -> Option<Format> {
    let plain = lines::decompress_start(first, DETECT_BYTES);
    let plain = plain.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&plain);
    let text = String::from_utf8_lossy(plain);
    let text = text.trim_start();
    if text.starts_with(['{', '[']) {
        return detect_json(text);
    }
    let mut prefixed = 0;
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).take(50).collect();
    for line in &lines {
        match syslog::program(line) {
            Some(program) if sshd::is_program(program) => prefixed += 1,
            Some(_) => return Some(Format::SyslogAuth),
            None => {}
        }
    }
    (prefixed > 0 && prefixed * 2 >= lines.len()).then_some(Format::Sshd)
}

fn detect_json(text: &str) -> Option<Format> {
    // Only member names that no other of these formats has.
    let has = |names: &[&str]| names.iter().any(|name| text.contains(&format!("\"{name}\"")));
    if has(&["auditID", "objectRef", "requestReceivedTimestamp", "audit.k8s.io/v1", "kube-audit"])
        || text.contains("audit.k8s.io")
    {
        return Some(Format::K8sAudit);
    }
    if has(&["userIdentity", "eventSource", "CloudTrailEvent", "eventsource", "awsRegion"]) {
        return Some(Format::CloudTrail);
    }
    if text.contains("\"seq_id\"") && text.contains("\"create_ts\"") {
        return Some(Format::SiloJson);
    }
    has(&["action"]).then_some(Format::JsonLines)
}

/// Reads a whole file and gives each event, line not understood and note to `sink`, in the order of the file.
///
/// Event ids are made of the content and, for equal lines, a counter; never of the file's name or the time of import.
/// Stops at the first error of `sink`, which is returned as it is.
///
/// # Errors
/// Reading fails (also: damaged gzip data). What was given out before stays valid; the message names the line.
pub fn import(
    format: Format,
    reader: impl BufRead,
    options: &Options,
    sink: &mut dyn FnMut(Item) -> anyhow::Result<()>,
) -> anyhow::Result<Summary> {
    let reader = lines::decompress(reader)?;
    let mut output = Output { sink, summary: Summary::default() };
    match format {
        Format::Sshd => syslog::import(reader, options, syslog::Programs::SshdOnly, &mut output)?,
        Format::SyslogAuth => syslog::import(reader, options, syslog::Programs::All, &mut output)?,
        Format::CloudTrail => json::import(reader, options, &mut cloudtrail::Reader, &mut output)?,
        Format::K8sAudit => json::import(reader, options, &mut kubernetes::Reader, &mut output)?,
        Format::SiloJson => json::import(reader, options, &mut silo::Reader, &mut output)?,
        Format::JsonLines => json_lines::import(reader, options, &mut output)?,
    }
    let summary = output.summary;
    assert_eq!(
        summary.records,
        summary.understood + summary.not_understood + summary.repeated,
        "a record was lost on the way"
    );
    Ok(summary)
}

/// Counts what goes to the sink, so that no importer can give out something uncounted.
struct Output<'a> {
    sink: &'a mut dyn FnMut(Item) -> anyhow::Result<()>,
    summary: Summary,
}

impl Output<'_> {
    fn event(&mut self, line: u64, json: Vec<u8>) -> anyhow::Result<()> {
        debug_assert!(!json.contains(&b'\n'), "an event must fit a line of NDJSON");
        self.summary.events += 1;
        (self.sink)(Item::Event { line, json })
    }

    fn not_understood(&mut self, line: u64, reason: impl Into<String>, raw: &[u8]) -> anyhow::Result<()> {
        self.summary.not_understood += 1;
        (self.sink)(Item::NotUnderstood { line, reason: reason.into(), text: shown(raw) })
    }

    fn note(&mut self, line: u64, text: impl Into<String>) -> anyhow::Result<()> {
        self.summary.notes += 1;
        (self.sink)(Item::Note { line, text: text.into() })
    }
}

/// The beginning of foreign bytes, safe for a terminal: control characters are escaped, cutting is said.
fn shown(raw: &[u8]) -> String {
    let kept = &raw[..raw.len().min(SHOWN_BYTES_MAX)];
    let mut text = String::new();
    for character in String::from_utf8_lossy(kept).chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    if kept.len() < raw.len() {
        text.push_str(&format!(" … (cut, {} bytes in all)", raw.len()));
    }
    text
}
