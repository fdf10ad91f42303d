//! The pieces of JSON that all versions share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::Value;

use crate::format::seconds;

/// The bytes of a JSON string. Unlike a Rust string it takes what recorders really write: half a surrogate pair as an
/// escape, or bytes that are not UTF-8.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Taker;
        impl Visitor<'_> for Taker {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Taker)
    }
}

/// A JSON text of foreign making, read although not all of it may be UTF-8.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The JSON type, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A string that is not empty.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Seconds as microseconds; `None` if it is no time.
pub(super) fn micros(value: Option<&Value>) -> Option<u64> {
    value.and_then(Value::as_f64).and_then(seconds::from_f64)
}

/// The recorded variables. Null (the variable was not set) is left out; what is no string is kept as JSON.
pub(super) fn environment(value: Option<&Value>) -> BTreeMap<String, String> {
    let set = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name.clone(), text.clone())),
        other => Some((name.clone(), other.to_string())),
    };
    value.and_then(Value::as_object).into_iter().flatten().filter_map(set).collect()
}
