//! The form of a golden file, and nothing of what it means.
//!
//! Sections begin with a line `### Word rest`; what stands before the first is a comment. `### Request` holds a request
//! as on the wire (no `HTTP/1.1` needed), `### Reply` what must come back, byte for byte; every other word is a step with
//! one line of arguments. `{{name}}` inside a request is replaced by what a step put there.

use std::fmt::Write as _;

/// One section of a golden file.
pub struct Section {
    /// The word after `###`.
    pub word: String,
    /// The rest of that line.
    pub rest: String,
    /// The lines below it, without the line feed before the next section.
    pub text: String,
}

/// A golden file taken apart; written again it is the same text.
pub struct Script {
    /// What stands before the first section.
    pub preface: String,
    /// The sections in order.
    pub sections: Vec<Section>,
}

impl Script {
    pub fn read(text: &str) -> Script {
        let mut script = Script { preface: String::new(), sections: Vec::new() };
        for line in text.split_inclusive('\n') {
            if let Some(head) = line.strip_prefix("### ") {
                let (word, rest) = head.trim_end().split_once(' ').unwrap_or((head.trim_end(), ""));
                script.sections.push(Section { word: word.to_owned(), rest: rest.to_owned(), text: String::new() });
            } else {
                match script.sections.last_mut() {
                    Some(section) => section.text.push_str(line),
                    None => script.preface.push_str(line),
                }
            }
        }
        // Each section ends with an empty line for the eye; it is not part of it.
        for section in &mut script.sections {
            let text = section.text.strip_suffix("\n\n").or(section.text.strip_suffix('\n')).unwrap_or(&section.text);
            section.text = text.to_owned();
        }
        script
    }

    pub fn write(&self) -> String {
        let mut out = self.preface.clone();
        for (at, section) in self.sections.iter().enumerate() {
            let head = format!("### {} {}", section.word, section.rest);
            writeln!(out, "{}", head.trim_end()).unwrap();
            if !section.text.is_empty() {
                writeln!(out, "{}", section.text).unwrap();
            }
            if at + 1 < self.sections.len() {
                out.push('\n');
            }
        }
        out
    }
}

/// A request as it stands in the file.
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn read(text: &str) -> Request {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first = lines.next().expect("a request has a first line");
        let mut words = first.split(' ');
        let method = words.next().expect("split gives at least one piece").to_owned();
        let target = words.next().unwrap_or_else(|| panic!("no target in {first:?}")).to_owned();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Request { method, target, headers, body: body.to_owned() }
    }
}

#[test]
fn a_golden_file_reads_and_writes_the_same() {
    let text = "# Goal.\n\n### Clock +5s\n\n### Request first\nPOST /a\nX: y\n\n{\"a\":\n\n1}\n\n### Reply\n204\n";
    let script = Script::read(text);
    assert_eq!(script.write(), text);
    assert_eq!(script.sections.len(), 3);
    let request = Request::read(&script.sections[1].text);
    assert_eq!(request.body, "{\"a\":\n\n1}");
}
