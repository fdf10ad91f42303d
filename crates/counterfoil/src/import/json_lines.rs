//! Our own events: one JSON object per line (or several in any layout), passed on as they are.
//!
//! Only what NDJSON needs is done to them: an event laid out over several lines is put on one, and an event without an `id`
//! gets one made of its content, so that importing it twice adds nothing. Whether it is a good event is for the server to say.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::ids::Ids;
use super::json::{compact, not_json};
use super::records::{Piece, Records};
use super::{Options, Output};

pub(super) fn import(reader: impl BufRead, options: &Options, output: &mut Output<'_>) -> anyhow::Result<()> {
    let mut records = Records::new(reader, &[]);
    let mut ids = Ids::new();
    loop {
        let at_line = records.line();
        let next = records.next().map_err(|error| {
            anyhow::Error::new(error).context(format!("reading line {at_line} of {}", options.file_name))
        })?;
        (output.summary.lines, output.summary.blank) = records.counted();
        let Some(piece) = next else { return Ok(()) };
        output.summary.records += 1;
        let (line, bytes) = match piece {
            Piece::Broken { line, reason, bytes } => {
                output.not_understood(line, reason, &bytes)?;
                continue;
            }
            Piece::Record { line, bytes } => (line, bytes),
        };
        match event(bytes, &mut ids) {
            Ok(json) => {
                output.summary.understood += 1;
                output.event(line, json)?;
            }
            Err((reason, bytes)) => output.not_understood(line, reason, &bytes)?,
        }
    }
}

fn event(bytes: Vec<u8>, ids: &mut Ids) -> Result<Vec<u8>, (String, Vec<u8>)> {
    let event: Map<String, Value> = match serde_json::from_slice(&bytes) {
        Ok(event) => event,
        Err(error) => return Err((not_json(&error), bytes)),
    };
    let one_line = if bytes.contains(&b'\n') { compact(&bytes) } else { bytes };
    if event.contains_key("id") {
        return Ok(one_line);
    }
    let id = ids.of_content("jsonl", &compact(&one_line));
    let rest = &one_line[1..];
    let comma = if event.is_empty() { "" } else { "," };
    let mut json = format!("{{\"id\":\"{id}\"{comma}").into_bytes();
    json.extend_from_slice(rest);
    Ok(json)
}
