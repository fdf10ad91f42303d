//! Says which member of a refused event is wrong. Slow and thorough: runs only for events that are refused anyway.

use serde_json::Value;

use super::event::{Invalid, Kind, Outcome};

/// serde's message without its "at line 1 column 2", lower-cased at the start.
pub(super) fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text.to_owned(),
    }
}

/// What is wrong with an event that did not parse: the first offending member, else serde's own words with the column.
pub(super) fn parse_error(json: &[u8], error: &serde_json::Error) -> Invalid {
    if error.is_syntax() || error.is_eof() {
        let message = format!("not JSON: {} at line {} column {}", words(error), error.line(), error.column());
        return Invalid::new("", message);
    }
    // The tree keeps the last of two members with one name, so duplicates are left to serde's message.
    match serde_json::from_slice::<Value>(json) {
        Ok(Value::Object(members)) => members
            .iter()
            .find_map(|(name, value)| member(name, value))
            .or_else(|| (!members.contains_key("action")).then(|| Invalid::new("/action", "required")))
            .unwrap_or_else(|| Invalid::new("", words(error))),
        Ok(_) => Invalid::new("", "not a JSON object"),
        Err(_) => Invalid::new("", words(error)),
    }
}

/// Members of the event, for the message about unknown ones.
const MEMBERS: [&str; 14] = [
    "id",
    "occurred_at",
    "kind",
    "action",
    "outcome",
    "actor",
    "indirect_actor",
    "source",
    "targets",
    "session",
    "correlation",
    "message",
    "attributes",
    "origin",
];

fn member(name: &str, value: &Value) -> Option<Invalid> {
    let at = |message: String| Some(Invalid::new(pointer(&[name]), message));
    match name {
        "action" if value.is_null() => at("required".into()),
        "id" | "occurred_at" | "action" | "session" | "correlation" | "message" => match value {
            Value::String(_) | Value::Null => None,
            _ => at("not a string".into()),
        },
        "kind" => word(name, value, &Kind::ALL.map(Kind::as_str)),
        "outcome" => word(name, value, &Outcome::ALL.map(Outcome::as_str)),
        "actor" | "indirect_actor" => string_or_object(&[name], value, &["id", "name", "type"]),
        "source" => string_or_object(&[name], value, &["address", "host", "port", "application"]),
        "targets" => match value {
            Value::Array(targets) => targets.iter().enumerate().find_map(|(n, target)| match target {
                Value::Null => Some(Invalid::new(format!("/targets/{n}"), "neither a string nor an object")),
                _ => string_or_object(&[name, &n.to_string()], target, &["type", "id", "name"]),
            }),
            Value::Null => None,
            _ => at("not an array".into()),
        },
        "attributes" => match value {
            Value::Object(_) | Value::Null => None,
            _ => at("not an object".into()),
        },
        "origin" => match value {
            Value::Null => None,
            Value::Object(members) if !members.contains_key("dialect") => {
                Some(Invalid::new("/origin/dialect", "required"))
            }
            Value::Object(members) => members.iter().find_map(|(inner, value)| match (inner.as_str(), value) {
                ("raw", _) | ("type", Value::Null) | ("dialect" | "type", Value::String(_)) => None,
                ("dialect" | "type", _) => Some(Invalid::new(pointer(&[name, inner]), "not a string")),
                _ => Some(unknown(&[name, inner], &["dialect", "type", "raw"])),
            }),
            _ => at("not an object".into()),
        },
        _ => Some(unknown(&[name], &MEMBERS)),
    }
}

fn word(name: &str, value: &Value, words: &[&str]) -> Option<Invalid> {
    match value {
        Value::Null => None,
        Value::String(text) if words.contains(&text.as_str()) => None,
        _ => Some(Invalid::new(pointer(&[name]), format!("not one of {}", words.join(", ")))),
    }
}

fn string_or_object(path: &[&str], value: &Value, known: &[&str]) -> Option<Invalid> {
    let members = match value {
        Value::String(_) | Value::Null => return None,
        Value::Object(members) => members,
        _ => return Some(Invalid::new(pointer(path), "neither a string nor an object")),
    };
    members.iter().find_map(|(name, value)| {
        let inner = [path, &[name.as_str()]].concat();
        if !known.contains(&name.as_str()) {
            return Some(unknown(&inner, known));
        }
        match (name.as_str(), value) {
            (_, Value::Null) => None,
            ("port", Value::Number(n)) if n.as_u64().is_some_and(|n| n <= u64::from(u16::MAX)) => None,
            ("port", _) => Some(Invalid::new(pointer(&inner), "not an integer from 0 to 65535")),
            (_, Value::String(_)) => None,
            _ => Some(Invalid::new(pointer(&inner), "not a string")),
        }
    })
}

fn unknown(path: &[&str], known: &[&str]) -> Invalid {
    let mut message = format!("unknown member; known are {}", known.join(", "));
    if path.len() == 1 {
        message.push_str("; anything else goes into attributes");
    }
    Invalid::new(pointer(path), message)
}

/// RFC 6901: `~` and `/` inside a name are escaped. Names from outside are cut so that an error stays readable.
fn pointer(path: &[&str]) -> String {
    path.iter()
        .map(|name| {
            let short: String = name.chars().take(100).collect();
            format!("/{}", short.replace('~', "~0").replace('/', "~1"))
        })
        .collect()
}
