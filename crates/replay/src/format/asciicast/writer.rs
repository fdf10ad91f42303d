//! Writes asciicast: what `counterfoil record` keeps and what an export gives.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::theme;
use crate::cell::Size;
use crate::format::event::{Event, Header, What};

/// Which version is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Times since the start; read by every player.
    V2,
    /// Pauses; read by asciinema 3 and its players.
    V3,
}

/// Writes a header, then events, each as one line with one call of [`Write::write_all`].
///
/// The format carries text: a character split between events is written with the event that completes it, and bytes that
/// are no UTF-8 become U+FFFD. It has no place for the user, host, tty and folder of a [`Header`], and starts on a whole second.
pub struct Writer<W: Write> {
    out: W,
    version: Version,
    at_us: u64,
    output: Joiner,
    input: Joiner,
}

impl<W: Write> Writer<W> {
    /// Writes the header line. Without a size in `header` it says [`Size::USUAL`].
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, version: Version, header: &Header) -> io::Result<Writer<W>> {
        let mut line = serde_json::to_vec(&header_line(version, header))?;
        line.push(b'\n');
        out.write_all(&line)?;
        Ok(Writer { out, version, at_us: 0, output: Joiner::default(), input: Joiner::default() })
    }

    /// Writes one event. A time before that of the last event is taken as the same moment.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::Output(bytes) => {
                let text = self.output.push(bytes);
                self.text(event.at_us, "o", text)
            }
            What::Input(bytes) => {
                let text = self.input.push(bytes);
                self.text(event.at_us, "i", text)
            }
            What::Resize(size) => self.line(event.at_us, "r", &size.to_string()),
            What::Marker(label) => self.line(event.at_us, "m", label),
            What::Exit(status) => self.line(event.at_us, "x", &status.to_string()),
            What::Other { code, data } => self.line(event.at_us, code, data),
        }
    }

    /// Writes what is left of split characters, flushes and gives `out` back.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        let (output, input) = (self.output.rest(), self.input.rest());
        self.text(self.at_us, "o", output)?;
        self.text(self.at_us, "i", input)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn text(&mut self, at_us: u64, code: &str, text: Option<String>) -> io::Result<()> {
        text.map_or(Ok(()), |text| self.line(at_us, code, &text))
    }

    fn line(&mut self, at_us: u64, code: &str, data: &str) -> io::Result<()> {
        let at_us = at_us.max(self.at_us);
        let time_us = match self.version {
            Version::V2 => at_us,
            Version::V3 => at_us - self.at_us,
        };
        let mut line = format!("[{}.{:06}, ", time_us / 1_000_000, time_us % 1_000_000).into_bytes();
        serde_json::to_writer(&mut line, code)?;
        line.extend_from_slice(b", ");
        serde_json::to_writer(&mut line, data)?;
        line.extend_from_slice(b"]\n");
        self.at_us = at_us;
        self.out.write_all(&line)
    }
}

fn header_line(version: Version, header: &Header) -> Value {
    let size = header.size.unwrap_or(Size::USUAL);
    let theme = header.theme.as_ref().map(theme::write);
    let mut line = Map::new();
    match version {
        Version::V2 => {
            line.insert("version".into(), json!(2));
            line.insert("width".into(), json!(size.columns()));
            line.insert("height".into(), json!(size.rows()));
        }
        Version::V3 => {
            let mut term = Map::new();
            term.insert("cols".into(), json!(size.columns()));
            term.insert("rows".into(), json!(size.rows()));
            term.extend(header.terminal_type.as_ref().map(|name| ("type".into(), json!(name))));
            term.extend(theme.clone().map(|theme| ("theme".into(), theme)));
            line.insert("version".into(), json!(3));
            line.insert("term".into(), Value::Object(term));
        }
    }
    line.extend(header.started_at_us.map(|at_us| ("timestamp".into(), json!(at_us / 1_000_000))));
    line.extend(header.idle_limit_us.map(|limit_us| ("idle_time_limit".into(), json!(limit_us as f64 / 1e6))));
    line.extend(header.command.as_ref().map(|command| ("command".into(), json!(command))));
    line.extend(header.title.as_ref().map(|title| ("title".into(), json!(title))));
    let mut environment = header.environment.clone();
    if let (Version::V2, Some(name)) = (version, &header.terminal_type) {
        environment.entry("TERM".into()).or_insert_with(|| name.clone());
    }
    if !environment.is_empty() {
        line.insert("env".into(), json!(environment));
    }
    if let (Version::V2, Some(theme)) = (version, theme) {
        line.insert("theme".into(), theme);
    }
    Value::Object(line)
}

/// Makes text of bytes that come in pieces. Holds at most the first three bytes of a character.
#[derive(Default)]
struct Joiner {
    begun: Vec<u8>,
}

impl Joiner {
    /// `None` if there is no whole character yet; `Some("")` for an event without bytes, which stays an event.
    fn push(&mut self, bytes: &[u8]) -> Option<String> {
        self.begun.extend_from_slice(bytes);
        let whole = self.begun.len() - unfinished(&self.begun);
        let text = String::from_utf8_lossy(&self.begun[..whole]).into_owned();
        self.begun.drain(..whole);
        (!text.is_empty() || bytes.is_empty()).then_some(text)
    }

    fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.begun);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

/// How many bytes at the end are the beginning of a character that could still be completed.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    for begin in 0..tail.len() {
        if let Err(error) = std::str::from_utf8(&tail[begin..])
            && error.valid_up_to() == 0
            && error.error_len().is_none()
        {
            return tail.len() - begin;
        }
    }
    0
}
