//! What the command line prints: JSON on request, aligned columns otherwise; progress only on a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// A mistake of the caller's on the command line; exit status 2.
#[derive(Debug)]
pub struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A mistake of the caller's, in words that say what would do.
pub fn usage(what: impl Into<String>) -> anyhow::Error {
    Usage(what.into()).into()
}

/// Prints one JSON value on one line.
pub fn json(value: &Value) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Prints rows under a header, columns aligned, the last one free.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = io::stdout().lock();
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if i + 1 < row.len() {
                let pad = widths[i] - cell.chars().count() + 2;
                line.extend(std::iter::repeat_n(' ', pad));
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Text made safe for a terminal: control characters are shown as escapes, so that logged text can't steer the terminal.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The text of a JSON member by pointer; empty when absent.
pub fn text_at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => printable(text),
        Some(other) => printable(&other.to_string()),
    }
}

/// A progress bar over `total` units on standard error; invisible unless that is a terminal.
pub fn progress(total: Option<u64>, unit: &str, bytes: bool) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match (total.is_some(), bytes) {
        (true, true) => "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left".to_owned(),
        (true, false) => format!("{{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{per_sec}} {{eta}} left"),
        (false, true) => "{spinner} {bytes} {bytes_per_sec}".to_owned(),
        (false, false) => format!("{{spinner}} {{human_pos}} {unit} {{per_sec}}"),
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total.unwrap_or(0)).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_logged_text_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{7}\n\u{9b}"), "a\\u{1b}[2Jb\\u{7}\\n\\u{9b}");
    }
}
