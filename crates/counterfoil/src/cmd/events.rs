//! `query`, `tail`, `export`: reading events through the native API.

use std::fs;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::cli::{self, ExportFormat};
use crate::client::{Client, escaped};
use crate::output::{self, text_at};

/// Events asked for at once by `export`.
const EXPORT_PAGE: u64 = 5_000;

/// The path of the events that a filter asks for, after the parameters `more`.
pub fn address(client: &Client, filter: &cli::Filter, more: &str) -> anyhow::Result<String> {
    let org = client.org(filter.org.as_deref())?;
    let mut path = format!("/v1/orgs/{org}/events?{more}");
    if !filter.query.trim().is_empty() {
        path += &format!("&q={}", escaped(&filter.query));
    }
    if let Some(from) = &filter.from {
        path += &format!("&from={}", escaped(from));
    }
    if let Some(to) = &filter.to {
        path += &format!("&to={}", escaped(to));
    }
    Ok(path)
}

/// The events of a page.
pub fn events(page: &Value) -> anyhow::Result<&[Value]> {
    page.get("events").and_then(Value::as_array).map(Vec::as_slice).context("the server's reply holds no events")
}

/// One line for people: number, time, kind, action, outcome, actor, source, message.
fn line(event: &Value) -> String {
    let time = match text_at(event, "/event/occurred_at") {
        time if time.is_empty() => text_at(event, "/recorded_at"),
        time => time,
    };
    let either = |object: &str, member: &str| match event.pointer(object) {
        Some(Value::String(text)) => output::printable(text),
        _ => text_at(event, &format!("{object}/{member}")),
    };
    let actor = match either("/event/actor", "name") {
        name if name.is_empty() => text_at(event, "/event/actor/id"),
        name => name,
    };
    let source = match either("/event/source", "address") {
        address if address.is_empty() => text_at(event, "/event/source/host"),
        address => address,
    };
    let mut line = text_at(event, "/seq");
    let kind = text_at(event, "/event/kind");
    let cells = [
        time,
        if kind.is_empty() { "other".to_owned() } else { kind },
        text_at(event, "/event/action"),
        text_at(event, "/event/outcome"),
        actor,
        source,
        text_at(event, "/event/message"),
    ];
    for cell in cells {
        line.push_str("  ");
        line.push_str(if cell.is_empty() { "-" } else { &cell });
    }
    if let Some(state) = event.get("state").and_then(Value::as_str) {
        line += &format!("  [{state}");
        if let Some(reason) = event.get("reason").and_then(Value::as_str) {
            line += &format!(": {reason}");
        }
        line.push(']');
    }
    line
}

/// `counterfoil query`
pub fn query(args: &cli::Query) -> anyhow::Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let order = if args.oldest { "oldest" } else { "newest" };
    let mut more = format!("order={order}&limit={}", args.limit);
    if let Some(after) = args.after {
        more += &format!("&after={after}");
    }
    if args.verify {
        more += "&verify=true";
    }
    let page = client.get(&address(&client, &args.filter, &more)?)?;
    let tainted = page.get("tainted").and_then(Value::as_bool);
    if args.remote.json {
        output::json(&page)?;
    } else {
        let mut out = BufWriter::new(io::stdout().lock());
        for event in events(&page)? {
            writeln!(out, "{}", line(event))?;
        }
        out.flush()?;
        match page.get("next") {
            None | Some(Value::Null) => {}
            Some(next) => eprintln!("more: --after {next}"),
        }
        match tainted {
            Some(true) => eprintln!("TAINTED: stored bytes are not what was committed; see the states above"),
            Some(false) => {
                eprintln!("verified: every event above was recomputed from its stored bytes up to the signed head")
            }
            None => {}
        }
    }
    if args.verify && tainted.is_none() {
        bail!("the server did not say whether the result is tainted");
    }
    Ok(if tainted == Some(true) { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// `counterfoil tail`: server-sent events until interrupted, the limit, or the server's end.
pub fn tail(args: &cli::Tail) -> anyhow::Result<()> {
    let client = Client::new(&args.remote)?;
    let org = client.org(args.org.as_deref())?;
    let after = match args.after {
        Some(after) => after,
        None => {
            let log = client.get(&format!("/v1/orgs/{org}/log"))?;
            log.pointer("/head/last_seq")
                .and_then(Value::as_u64)
                .context("the server did not say how long its log is")?
        }
    };
    let mut left = args.limit;
    if left == Some(0) {
        return Ok(());
    }
    let body = client.open(&format!("/v1/orgs/{org}/events/follow?after={after}"))?;
    for text in BufReader::new(body.into_reader()).lines() {
        let text = text.context("the server ended the stream")?;
        let Some(data) = text.strip_prefix("data:") else { continue };
        let event: Value = serde_json::from_str(data.trim_start()).context("an event of the stream is not JSON")?;
        let mut out = io::stdout().lock();
        if args.remote.json {
            writeln!(out, "{event}")?;
        } else {
            writeln!(out, "{}", line(&event))?;
        }
        out.flush()?;
        if let Some(left) = &mut left {
            *left -= 1;
            if *left == 0 {
                return Ok(());
            }
        }
    }
    bail!("the server ended the stream")
}

/// `counterfoil export`: all matching events, oldest first, complete up to the head at the start.
pub fn export(args: &cli::Export) -> anyhow::Result<()> {
    let client = Client::new(&args.remote)?;
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = export_to(&client, args, &mut out)?;
        out.flush()?;
        eprintln!("{written} events");
        return Ok(());
    };
    // Written beside its name and renamed when complete: a file under its own name is never half an export.
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let file = fs::File::create(&part).with_context(|| format!("creating {}", part.display()))?;
    let mut out = BufWriter::new(file);
    let written = export_to(&client, args, &mut out)?;
    out.into_inner().context("writing the export")?.sync_all().context("writing the export")?;
    fs::rename(&part, path).with_context(|| format!("naming the finished export {}", path.display()))?;
    if args.remote.json {
        output::json(&serde_json::json!({ "events": written, "file": path }))?;
    } else {
        eprintln!("{written} events in {}", path.display());
    }
    Ok(())
}

fn export_to(client: &Client, args: &cli::Export, out: &mut dyn Write) -> anyhow::Result<u64> {
    if matches!(args.format, ExportFormat::Csv) {
        write!(
            out,
            "seq,recorded_at,occurred_at,kind,action,outcome,actor,source,session,correlation,message,event\r\n"
        )?;
    }
    let bar = output::progress(None, "events", false);
    let mut after: Option<u64> = None;
    let mut written = 0;
    // Events recorded after the export began are not part of it: it ends at the head of its first page.
    let mut end: Option<u64> = None;
    loop {
        let mut more = format!("order=oldest&limit={EXPORT_PAGE}");
        if let Some(after) = after {
            more += &format!("&after={after}");
        }
        let page = client.get(&address(client, &args.filter, &more)?)?;
        let end = *end.get_or_insert(page.pointer("/head/last_seq").and_then(Value::as_u64).unwrap_or(u64::MAX));
        for event in events(&page)? {
            if event.get("seq").and_then(Value::as_u64).is_some_and(|seq| seq > end) {
                bar.finish_and_clear();
                return Ok(written);
            }
            match args.format {
                ExportFormat::Jsonl => writeln!(out, "{event}")?,
                ExportFormat::Csv => csv_row(event, out)?,
            }
            written += 1;
        }
        bar.set_position(written);
        match page.get("next").and_then(Value::as_u64) {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    bar.finish_and_clear();
    Ok(written)
}

fn csv_row(event: &Value, out: &mut dyn Write) -> io::Result<()> {
    let pick = |pointers: &[&str]| {
        pointers
            .iter()
            .find_map(|p| match event.pointer(p) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            })
            .unwrap_or_default()
    };
    let cells = [
        pick(&["/seq"]),
        pick(&["/recorded_at"]),
        pick(&["/event/occurred_at"]),
        pick(&["/event/kind"]),
        pick(&["/event/action"]),
        pick(&["/event/outcome"]),
        pick(&["/event/actor", "/event/actor/name", "/event/actor/id"]),
        pick(&["/event/source", "/event/source/address", "/event/source/host"]),
        pick(&["/event/session"]),
        pick(&["/event/correlation"]),
        pick(&["/event/message"]),
        event.get("event").map(ToString::to_string).unwrap_or_default(),
    ];
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            out.write_all(b",")?;
        }
        out.write_all(csv_cell(cell).as_bytes())?;
    }
    out.write_all(b"\r\n")
}

/// RFC 4180 quoting; a cell that a spreadsheet would run as a formula gets a leading apostrophe.
fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_when_it_must_be_and_never_a_formula() {
        for (text, cell) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("-5", "-5"),
            ("-x", "'-x"),
        ] {
            assert_eq!(csv_cell(text), cell);
        }
    }

    #[test]
    fn a_line_shows_an_actor_given_either_way() {
        for actor in [r#""ann""#, r#"{"name":"ann"}"#, r#"{"id":"ann"}"#] {
            let event = format!(
                r#"{{"seq":3,"recorded_at":"2026-01-01T00:00:00Z","event":{{"action":"go","actor":{actor}}}}}"#
            );
            let event = serde_json::from_str(&event).expect("JSON");
            assert_eq!(line(&event), "3  2026-01-01T00:00:00Z  other  go  -  ann  -  -");
        }
    }
}
