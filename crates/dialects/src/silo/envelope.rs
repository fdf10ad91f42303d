//! The request: a JSON array of objects, each one command. Source: `specs/silo.md` §2 and §5.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Most commands of one request.
pub const COMMANDS_MAX: usize = 100;

/// Most bytes of one request.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of a request, the array itself counted. What is deeper could only be an argument that nobody reads.
const NESTING_MAX: usize = 64;

/// Why a request is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not JSON.
    NotJson,
    /// JSON, but not an array.
    NotAnArray,
    /// An element is not an object.
    NotAnObject,
    /// Over [`COMMANDS_MAX`].
    TooMany,
    /// Over `NESTING_MAX`.
    TooDeep,
}

/// One command: its members, borrowed from the request.
#[derive(Debug, Default)]
pub struct Command<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Command<'a> {
    /// The member of this name; of several the last, as most readers of JSON have it.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().rev().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// As [`Command::get`], where `null` is the same as absent.
    pub fn given(&self, name: &str) -> Option<&'a RawValue> {
        self.get(name).filter(|value| value.get() != "null")
    }
}

/// The commands of a request.
pub fn read(body: &[u8]) -> Result<Vec<Command<'_>>, Refused> {
    check_nesting(body)?;
    let body = std::str::from_utf8(body).map_err(|_| Refused::NotJson)?;
    let values: AtMost<'_> = match serde_json::from_str(body) {
        Ok(values) => values,
        // The reader stops at the first thing that is no array; what comes after it may be broken all the same.
        Err(_) if serde_json::from_str::<IgnoredAny>(body).is_ok() => return Err(Refused::NotAnArray),
        Err(_) => return Err(Refused::NotJson),
    };
    if values.0.len() > COMMANDS_MAX {
        return Err(Refused::TooMany);
    }
    values.0.into_iter().map(command).collect()
}

fn command(value: &RawValue) -> Result<Command<'_>, Refused> {
    if !value.get().starts_with('{') {
        return Err(Refused::NotAnObject);
    }
    // The text is JSON already; what can still fail is a name with half a character in it.
    let mut reader = serde_json::Deserializer::from_str(value.get());
    Members.deserialize(&mut reader).map_err(|_| Refused::NotJson)
}

/// Refuses before anything is built. Brackets inside strings do not count.
fn check_nesting(body: &[u8]) -> Result<(), Refused> {
    let mut depth = 0usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return Err(Refused::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(inside) = bytes.next() {
                    match inside {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The elements of an array, one more than [`COMMANDS_MAX`] at most; the others are read and forgotten.
struct AtMost<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for AtMost<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = AtMost<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an array of commands")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<AtMost<'de>, A::Error> {
                let mut kept = Vec::new();
                while kept.len() <= COMMANDS_MAX {
                    match elements.next_element()? {
                        Some(element) => kept.push(element),
                        None => return Ok(AtMost(kept)),
                    }
                }
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(AtMost(kept))
            }
        }

        from.deserialize_seq(Elements)
    }
}

/// Reads an object into a list, so that its order and its doubles stay.
struct Members;

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Command<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Command<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Command<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Command<'de>, A::Error> {
        /// A name without escapes is not copied.
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Command { members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(body: &str) -> Option<Refused> {
        read(body.as_bytes()).err()
    }

    #[test]
    fn commands_keep_their_members_and_of_doubles_the_last_counts() {
        let commands = read(br#" [ {"command":"a","command":"b","x":null}, {} ] "#).unwrap();
        assert_eq!(commands.len(), 2);
        assert_eq!(commands[0].get("command").unwrap().get(), "\"b\"");
        assert_eq!(commands[0].get("x").unwrap().get(), "null");
        assert!(commands[0].given("x").is_none());
        assert!(commands[1].get("command").is_none());
        assert!(read(b"[]").unwrap().is_empty());
    }

    #[test]
    fn a_request_that_is_no_array_of_objects_is_refused_as_a_whole() {
        for body in ["", "{", "[", "[{}", "[{}] x", "[{]", "nothing", "[{\"a\":01}]", "[{\"\\ud800\":1}]"] {
            assert_eq!(refused(body), Some(Refused::NotJson), "{body}");
        }
        for body in ["{}", "1", "null", "\"[]\"", "{\"command\":\"setauth\"}"] {
            assert_eq!(refused(body), Some(Refused::NotAnArray), "{body}");
        }
        for body in ["[1]", "[{},null]", "[[]]", "[\"{}\"]"] {
            assert_eq!(refused(body), Some(Refused::NotAnObject), "{body}");
        }
        assert_eq!(read(b"[{\"a\":\"\xff\"}]").err(), Some(Refused::NotJson));
    }

    #[test]
    fn many_commands_and_deep_ones_are_refused() {
        let many = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(refused(&many(100)), None);
        assert_eq!(refused(&many(101)), Some(Refused::TooMany));
        assert_eq!(refused(&many(100_000)), Some(Refused::TooMany));
        // Broken JSON is broken, however many commands come before.
        assert_eq!(refused(&format!("{}x", many(101))), Some(Refused::NotJson));

        let deep = |levels: usize| format!("[{{\"a\":{}{}}}]", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(refused(&deep(62)), None);
        assert_eq!(refused(&deep(63)), Some(Refused::TooDeep));
        assert_eq!(refused(&deep(400_000)), Some(Refused::TooDeep));
        assert_eq!(refused(&format!("[{{\"a\":\"{}\\\"\"}}]", "[".repeat(999))), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn anything_like_a_request_is_answered(text in "[\\[\\]{}\",:a1\\\\ ]{0,60}") {
            let expected = serde_json::from_str::<Vec<serde_json::Map<String, serde_json::Value>>>(&text).is_ok();
            prop_assert_eq!(read(text.as_bytes()).is_ok(), expected, "{}", text);
        }
    }
}
