//! The importers against line shapes, against every real file of `../shared/data/auth`, and against garbage.

mod attacks;
mod garbage;
mod real_files;
mod records;
mod shapes;

use std::collections::HashSet;
use std::io::Cursor;

use serde_json::Value;

use super::{Format, Item, Options, Summary, import};

/// An import, taken apart.
pub(super) struct Imported {
    pub events: Vec<(u64, Value)>,
    pub not_understood: Vec<(u64, String, String)>,
    pub notes: Vec<String>,
    pub summary: Summary,
}

impl Imported {
    pub fn count(&self, pointer: &str, value: &str) -> usize {
        self.events.iter().filter(|(_, event)| event.pointer(pointer).and_then(Value::as_str) == Some(value)).count()
    }

    pub fn logins(&self, outcome: &str) -> usize {
        let is_login = |event: &Value| event["kind"] == "authentication" && event["outcome"] == outcome;
        self.events.iter().filter(|(_, event)| is_login(event)).count()
    }

    pub fn ids(&self) -> Vec<&str> {
        self.events.iter().map(|(_, event)| event["id"].as_str().expect("every event has an id")).collect()
    }
}

pub(super) fn options() -> Options {
    Options {
        file_modified: Some("2024-12-20T00:00:00Z".parse().expect("a time")),
        file_name: "test".to_owned(),
        ..Options::default()
    }
}

/// Imports and checks what must hold for every input: the sums, the order, the ids, and that the event model takes each event.
pub(super) fn imported(format: Format, bytes: &[u8], options: &Options) -> Imported {
    let mut found =
        Imported { events: Vec::new(), not_understood: Vec::new(), notes: Vec::new(), summary: Summary::default() };
    let mut raw = Vec::new();
    let summary = import(format, Cursor::new(bytes), options, &mut |item| {
        match item {
            Item::Event { line, json } => {
                found.events.push((line, serde_json::from_slice(&json)?));
                raw.push(json);
            }
            Item::NotUnderstood { line, reason, text } => found.not_understood.push((line, reason, text)),
            Item::Note { text, .. } => found.notes.push(text),
        }
        Ok(())
    });
    found.summary = summary.expect("reading from memory does not fail");
    let summary = found.summary;
    assert_eq!(summary.events as usize, found.events.len());
    assert_eq!(summary.not_understood as usize, found.not_understood.len());
    assert_eq!(summary.notes as usize, found.notes.len());
    assert_eq!(summary.records, summary.understood + summary.not_understood + summary.repeated);
    if matches!(format, Format::Sshd | Format::SyslogAuth) {
        assert_eq!(summary.lines, summary.records + summary.blank);
    }
    if format != Format::JsonLines {
        let different: HashSet<&str> = found.ids().into_iter().collect();
        assert_eq!(different.len(), found.events.len(), "two events of one file with one id");
        for (json, (line, _)) in raw.iter().zip(&found.events) {
            if let Err(invalid) = service::NewEvent::from_json(json) {
                panic!("line {line}: the event model refuses it: {invalid}: {}", String::from_utf8_lossy(json));
            }
        }
    }
    found
}

/// The only event of a line.
pub(super) fn event(format: Format, line: &str, options: &Options) -> Value {
    let found = imported(format, line.as_bytes(), options);
    assert_eq!(found.events.len(), 1, "{line:?}: {:?}", found.not_understood);
    found.events.into_iter().next().expect("there is one").1
}
