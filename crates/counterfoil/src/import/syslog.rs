//! Lines of system logs: what stands before the message, messages that stand for several, and the loop over a file.
//!
//! ```text
//! <38>1 2019-07-08T17:40:16.95-04:00 host sshd 57915 - [sd a="b"] message      RFC 5424
//! <38>Dec 10 06:55:46 host sshd[24200]: message                                RFC 3164, PRI usually gone in files
//! 2015-04-16T18:02:50.32+00:00 host sshd-session[2716]: message                rsyslog's file format since Debian 12
//! ```
//!
//! Old files also have lines without a host, with the program in brackets, with a PAM module behind the program
//! (`sshd(pam_unix)[3]:`) and with Solaris' `[ID 800047 auth.info]` before the message.

use std::io::BufRead;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::clock::{self, Clock, Resolved, Stamp, word};
use super::draft::{Draft, Kind, Meaning, Origin, Outcome, Raw, Target};
use super::ids::Ids;
use super::lines::{LINE_BYTES_MAX, Lines};
use super::{Options, Output, pam, programs, sshd};

/// A message that says it was repeated becomes that many events, each with its own id, up to this many; beyond, it stays one
/// event that states the count. Anybody who can write to a syslog socket can write a large number there.
pub(super) const REPEATS_MAX: u64 = 1_000;

/// Events of sshd and of other programs share ids, so that one file imported in both formats adds nothing.
const ID_PREFIX: &str = "syslog";

/// Which programs' lines become events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Programs {
    SshdOnly,
    All,
}

/// A line taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    pub stamp: Stamp,
    pub host: Option<String>,
    pub program: String,
    /// `pam_unix` in `sshd(pam_unix)[3]:`.
    pub module: Option<String>,
    pub pid: Option<String>,
    pub message: String,
}

/// How often a message stands for itself, and what it is.
struct Repeats {
    message: String,
    times: u64,
}

pub(super) fn import(
    reader: impl BufRead,
    options: &Options,
    programs: Programs,
    output: &mut Output<'_>,
) -> anyhow::Result<()> {
    let mut importer =
        Importer { programs, clock: Clock::new(options), ids: Ids::new(), noted: Noted::default(), previous: None };
    let mut lines = Lines::new(reader);
    loop {
        let number = lines.number() + 1;
        let line = lines.next().map_err(|error| {
            anyhow::Error::new(error).context(format!("reading line {number} of {}", options.file_name))
        })?;
        let Some(line) = line else { break };
        output.summary.lines += 1;
        if line.bytes.trim_ascii().is_empty() {
            output.summary.blank += 1;
            continue;
        }
        output.summary.records += 1;
        if let Some(length) = line.too_long {
            output.not_understood(
                number,
                format!("the line has {length} bytes, the most is {LINE_BYTES_MAX}"),
                line.bytes,
            )?;
            continue;
        }
        match importer.read(line.bytes) {
            Ok(understood) => importer.write(number, line.bytes, understood, output)?,
            Err(reason) => output.not_understood(number, reason, line.bytes)?,
        }
    }
    Ok(())
}

struct Importer {
    programs: Programs,
    clock: Clock,
    ids: Ids,
    noted: Noted,
    /// The line before this one, for "last message repeated 3 times".
    previous: Option<Parsed>,
}

/// Each assumption is noted once, an inferred year once per year.
#[derive(Default)]
struct Noted {
    years: Vec<i16>,
    zone: bool,
    clock_change: bool,
    encoding: bool,
}

struct Understood {
    parsed: Parsed,
    resolved: Resolved,
    meaning: Meaning,
    times: u64,
}

impl Importer {
    fn read(&mut self, raw: &[u8]) -> Result<Understood, String> {
        let line = String::from_utf8_lossy(raw);
        if line.starts_with('#') {
            return Err("a comment, not a log line".to_owned());
        }
        let (mut parsed, repeats) = self.parse(&line)?;
        parsed.message = repeats.message;
        if self.programs == Programs::SshdOnly && !sshd::is_program(&parsed.program) {
            return Err(format!(
                "a line of {}, not of sshd; import with the format syslog-auth to keep it",
                parsed.program
            ));
        }
        let resolved = self.clock.resolve(parsed.stamp)?;
        let meaning = meaning(&parsed);
        self.previous = Some(parsed.clone());
        Ok(Understood { parsed, resolved, meaning, times: repeats.times })
    }

    /// The line, or the earlier line it repeats.
    fn parse(&self, line: &str) -> Result<(Parsed, Repeats), String> {
        if let Some(parsed) = parse(line) {
            let repeats = repeated(&parsed.message).unwrap_or(Repeats { message: parsed.message.clone(), times: 1 });
            return Ok((parsed, repeats));
        }
        let (stamp, host, times) =
            last_repeated(line).ok_or("no time, host and program at the start of the line: not a syslog line")?;
        let previous = self.previous.as_ref().filter(|previous| previous.host.as_deref() == Some(host));
        let previous = previous.ok_or("it repeats a message that does not stand before it in this file")?;
        let parsed = Parsed { stamp, ..previous.clone() };
        Ok((parsed, Repeats { message: previous.message.clone(), times }))
    }

    fn write(&mut self, line: u64, raw: &[u8], understood: Understood, output: &mut Output<'_>) -> anyhow::Result<()> {
        let Understood { parsed, resolved, mut meaning, times } = understood;
        self.note(line, &resolved, std::str::from_utf8(raw).is_err(), output)?;
        output.summary.understood += 1;

        if let Some(host) = &parsed.host {
            meaning.targets.push(Target { kind: Some("host".to_owned()), name: Some(host.clone()), id: None });
        }
        if let Some(pid) = &parsed.pid {
            // One sshd process serves one connection; with the host it is what ties the lines of a login together.
            meaning.session = Some(format!("{}:{pid}", parsed.host.as_deref().unwrap_or_default()));
        }
        meaning.message = Some(parsed.message.clone());
        let mut assumed = Vec::new();
        assumed.extend(resolved.year_inferred.map(|_| "year"));
        assumed.extend(resolved.zone_assumed.then_some("zone"));
        if !assumed.is_empty() {
            meaning = meaning.attribute("assumed", assumed);
        }

        let raw_value = match std::str::from_utf8(raw) {
            Ok(text) => Raw::Text(text.to_owned()),
            Err(_) => Raw::Base64 { base64: STANDARD.encode(raw) },
        };
        let dialect = if sshd::is_program(&parsed.program) { "sshd" } else { "syslog" };
        let origin = Origin { dialect, kind: Some(parsed.program), raw: raw_value };
        let id = self.ids.of_content(ID_PREFIX, raw);
        let draft = Draft { id, occurred_at: Some(resolved.at.to_string()), meaning, origin };
        if times == 1 {
            return output.event(line, draft.into_json());
        }
        if times > REPEATS_MAX {
            output.note(line, format!("a message repeated {times} times is one event that says so; more than {REPEATS_MAX} are not written out"))?;
            let meaning = draft.meaning.clone().attribute("repeated", times);
            return output.event(line, Draft { meaning, ..draft }.into_json());
        }
        for n in 1..=times {
            let repetition = serde_json::json!({ "number": n, "of": times });
            let meaning = draft.meaning.clone().attribute("repetition", repetition);
            let id = format!("{}:r{n}", draft.id);
            let origin = draft.origin.clone();
            output.event(line, Draft { id, meaning, origin, occurred_at: draft.occurred_at.clone() }.into_json())?;
        }
        Ok(())
    }

    fn note(&mut self, line: u64, resolved: &Resolved, not_utf8: bool, output: &mut Output<'_>) -> anyhow::Result<()> {
        if let Some(year) = resolved.year_inferred.filter(|year| !self.noted.years.contains(year)) {
            self.noted.years.push(year);
            output.note(
                line,
                format!("year {year} inferred from the file's modification time; pass --year if it is wrong"),
            )?;
        }
        if resolved.zone_assumed && !self.noted.zone {
            self.noted.zone = true;
            output.note(line, "zone assumed to be UTC; pass --zone if it is wrong")?;
        }
        if resolved.clock_change && !self.noted.clock_change {
            self.noted.clock_change = true;
            output.note(
                line,
                "a time stands twice, or not at all, because clocks were changed; the first possible instant is taken",
            )?;
        }
        if not_utf8 && !self.noted.encoding {
            self.noted.encoding = true;
            output
                .note(line, "not UTF-8: shown with replacement characters, kept byte for byte as origin.raw.base64")?;
        }
        Ok(())
    }
}

fn meaning(parsed: &Parsed) -> Meaning {
    if let Some(module) = &parsed.module {
        let message = format!("{module}({}:): {}", parsed.program, parsed.message);
        if let Some(meaning) = pam::meaning(&message) {
            return meaning;
        }
    }
    if sshd::is_program(&parsed.program) {
        return sshd::meaning(&parsed.message);
    }
    if let Some(meaning) = programs::meaning(&parsed.program, &parsed.message) {
        return meaning;
    }
    // A well-formed line of a program we know nothing about: kept, findable by its words and its program.
    Meaning::new(Kind::Other, format!("{} message", parsed.program), Outcome::Unknown)
}

/// The program a line is of, if it is a syslog line.
pub(super) fn program(line: &str) -> Option<&str> {
    let (_, rest) = parse_time(line)?;
    let (_, tag) = host_and_tag(rest.text, rest.is_5424)?;
    Some(tag.program)
}

/// Takes a line apart; nothing when it does not begin as a syslog line does.
pub(super) fn parse(line: &str) -> Option<Parsed> {
    let (stamp, rest) = parse_time(line)?;
    let (host, tag) = host_and_tag(rest.text, rest.is_5424)?;
    let message = solaris_id(tag.message.trim());
    Some(Parsed {
        stamp,
        host: host.map(str::to_owned),
        program: tag.program.to_owned(),
        module: tag.module.map(str::to_owned),
        pid: tag.pid.map(str::to_owned),
        message: message.to_owned(),
    })
}

struct AfterTime<'a> {
    text: &'a str,
    is_5424: bool,
}

fn parse_time(line: &str) -> Option<(Stamp, AfterTime<'_>)> {
    let (text, has_pri) = without_pri(line.trim_start());
    if let Some(rest) = text.strip_prefix("1 ").filter(|_| has_pri) {
        let (time, rest) = word(rest)?;
        return Some((clock::parse_iso(time)?, AfterTime { text: rest, is_5424: true }));
    }
    if let Some((stamp, rest)) = clock::parse_rfc3164(text) {
        return Some((stamp, AfterTime { text: rest, is_5424: false }));
    }
    let (date, rest) = word(text)?;
    if let Some(stamp) = clock::parse_iso(date) {
        return Some((stamp, AfterTime { text: rest, is_5424: false }));
    }
    let (time, rest) = word(rest)?;
    let stamp = clock::parse_iso(&format!("{date} {time}"))?;
    Some((stamp, AfterTime { text: rest, is_5424: false }))
}

fn without_pri(text: &str) -> (&str, bool) {
    let after = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match after {
        Some((number, rest)) if (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            (rest, true)
        }
        _ => (text, false),
    }
}

#[derive(Debug)]
struct Tag<'a> {
    program: &'a str,
    module: Option<&'a str>,
    pid: Option<&'a str>,
    message: &'a str,
}

fn host_and_tag(text: &str, is_5424: bool) -> Option<(Option<&str>, Tag<'_>)> {
    let (first, rest) = word(text)?;
    if is_5424 {
        let (program, rest) = word(rest)?;
        let (pid, rest) = word(rest)?;
        let (_message_id, rest) = word(rest)?;
        let message = after_structured_data(rest)?;
        let message = message.strip_prefix('\u{feff}').unwrap_or(message);
        let tag = Tag { program, module: None, pid: (pid != "-").then_some(pid), message };
        return Some(((first != "-").then_some(first), tag));
    }
    let is_tag = first.ends_with(':') || (first.starts_with('[') && first.ends_with(']'));
    if is_tag {
        return Some((None, tag(text)?));
    }
    Some((Some(first), tag(rest)?))
}

/// Skips `-` or `[id name="value"]…`, in which `\"` and `\]` are escaped (RFC 5424 §6.3.3).
fn after_structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest.trim_start());
    }
    let mut rest = text;
    while rest.starts_with('[') {
        let mut quoted = false;
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            let closes = byte == b']' && !quoted;
            quoted ^= byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped && quoted;
            closes
        })?;
        rest = &rest[end + 1..];
    }
    (rest.len() < text.len()).then(|| rest.trim_start())
}

/// `sshd[24200]: message`, `sshd(pam_unix)[3]: message`, `su: message`, `[sshd] message`, `[sshd]: message`.
fn tag(text: &str) -> Option<Tag<'_>> {
    if let Some(rest) = text.strip_prefix('[') {
        let (program, rest) = rest.split_once(']')?;
        let message = rest.strip_prefix(':').unwrap_or(rest);
        return is_program(program).then_some(Tag { program, module: None, pid: None, message });
    }
    let end = text.find([':', '[', '(', ' '])?;
    let (program, mut rest) = text.split_at(end);
    let mut module = None;
    let mut pid = None;
    if let Some(inside) = rest.strip_prefix('(') {
        let (name, after) = inside.split_once(')')?;
        (module, rest) = (Some(name), after);
    }
    if let Some(inside) = rest.strip_prefix('[') {
        let (name, after) = inside.split_once(']')?;
        (pid, rest) = (Some(name), after);
    }
    let message = rest.strip_prefix(':')?;
    let program = program.rsplit('/').next().unwrap_or(program);
    is_program(program).then_some(Tag { program, module, pid, message })
}

fn is_program(name: &str) -> bool {
    !name.is_empty() && name.len() <= 48 && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn solaris_id(message: &str) -> &str {
    let rest = message.strip_prefix("[ID ").and_then(|rest| rest.split_once("] "));
    rest.map_or(message, |(_, message)| message)
}

/// `message repeated 5 times: [ Failed password for root … ssh2]`, as rsyslog writes it.
fn repeated(message: &str) -> Option<Repeats> {
    let rest = message.strip_prefix("message repeated ")?;
    let (times, rest) = rest.split_once(" times: [")?;
    let inner = rest.strip_suffix(']')?.trim_start();
    let times = times.parse().ok().filter(|times| *times >= 1)?;
    Some(Repeats { message: inner.to_owned(), times })
}

/// `Dec 10 06:55:46 host last message repeated 3 times`, as syslogd and macOS write it.
fn last_repeated(line: &str) -> Option<(Stamp, &str, u64)> {
    let (stamp, rest) = parse_time(line)?;
    let (host, rest) = word(rest.text)?;
    let rest = rest.trim().trim_matches('-').trim();
    let rest = rest.strip_prefix("last message repeated ")?;
    let (times, unit) = rest.split_once(' ')?;
    let times = times.parse().ok().filter(|times| *times >= 1)?;
    matches!(unit, "time" | "times").then_some((stamp, host, times))
}
