//! Walks the members of JSON objects without building them.
//!
//! For texts that were checked when they came in: nothing here decides whether a text is good JSON. On a text that is not,
//! the walk ends early; it never panics and never runs past the end.

use std::borrow::Cow;

use memchr::memchr2;

/// The members of the object that `json` holds, in their order; `None` when it holds no object.
pub fn members(json: &[u8]) -> Option<Members<'_>> {
    let at = blanks(json, 0);
    (json.get(at) == Some(&b'{')).then_some(Members { json, at: at + 1, open: false })
}

/// See [`members`].
#[derive(Clone)]
pub struct Members<'a> {
    json: &'a [u8],
    at: usize,
    /// `at` is where a value begins that was not passed yet.
    open: bool,
}

/// The name of a member as it stands in the text, without its quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    text: &'a [u8],
    has_escapes: bool,
}

impl<'a> Name<'a> {
    /// The text between the quotes.
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// Says whether the name is `plain`, which needs no escapes.
    pub fn is(self, plain: &str) -> bool {
        self.text == plain.as_bytes() || (self.has_escapes && self.read() == plain)
    }

    /// The name with its escapes undone.
    pub fn read(self) -> Cow<'a, str> {
        unescaped(self.text)
    }
}

impl<'a> Members<'a> {
    /// The next member: its name, and the text from its value on, beyond the value's end too. The value is looked through
    /// only if another member is asked for.
    pub fn next_open(&mut self) -> Option<(Name<'a>, &'a [u8])> {
        if self.open {
            self.at = value_end(self.json, self.at)?;
            self.open = false;
        }
        let mut at = blanks(self.json, self.at);
        if self.json.get(at) == Some(&b',') {
            at = blanks(self.json, at + 1);
        }
        if self.json.get(at) != Some(&b'"') {
            return None;
        }
        let (end, has_escapes) = string_end(self.json, at)?;
        let name = Name { text: &self.json[at + 1..end - 1], has_escapes };
        let colon = blanks(self.json, end);
        if self.json.get(colon) != Some(&b':') {
            return None;
        }
        self.at = blanks(self.json, colon + 1);
        self.open = true;
        Some((name, self.json.get(self.at..)?))
    }
}

impl<'a> Iterator for Members<'a> {
    /// Name, and the value's text without blanks around it.
    type Item = (Name<'a>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, _) = self.next_open()?;
        let start = self.at;
        let end = value_end(self.json, start)?;
        self.at = end;
        self.open = false;
        Some((name, &self.json[start..end]))
    }
}

/// The value that `open` begins with, without what comes after it.
pub fn value(open: &[u8]) -> Option<&[u8]> {
    value_end(open, 0).map(|end| &open[..end])
}

/// The string that `value` holds; `None` when it holds something else.
pub fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    match value {
        [b'"', inner @ .., b'"'] => Some(unescaped(inner)),
        _ => None,
    }
}

fn unescaped(inner: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    let quoted = [b"\"", inner, b"\""].concat();
    // An escape of half a character has no text; it was refused when it came in.
    Cow::Owned(serde_json::from_slice(&quoted).unwrap_or_default())
}

fn blanks(json: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = json.get(at) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends.
fn value_end(json: &[u8], at: usize) -> Option<usize> {
    match *json.get(at)? {
        b'"' => string_end(json, at).map(|(end, _)| end),
        b'{' | b'[' => nested_end(json, at),
        _ => {
            let is_over = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            let length = json[at..].iter().position(is_over).unwrap_or(json.len() - at);
            (length > 0).then_some(at + length)
        }
    }
}

/// Behind the quote that ends the string whose first quote is at `at`, and whether there are escapes before it.
fn string_end(json: &[u8], at: usize) -> Option<(usize, bool)> {
    /// Most names and values are shorter, and done before a wide search has begun.
    const SHORT: usize = 20;

    let mut from = at + 1;
    let short = json.get(from..)?;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
    match short[..short.len().min(SHORT)].iter().position(ends) {
        Some(length) if short[length] == b'"' => return Some((from + length + 1, false)),
        Some(length) => from += length,
        None => from += short.len().min(SHORT),
    }
    let mut has_escapes = false;
    loop {
        let found = from + memchr2(b'"', b'\\', json.get(from..)?)?;
        if json[found] == b'"' {
            return Some((found + 1, has_escapes));
        }
        has_escapes = true;
        from = found + 2;
    }
}

/// Behind the bracket that closes the one at `at`. Brackets of both sorts count alike: the text was checked.
fn nested_end(json: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match *json.get(at)? {
            b'"' => {
                at = string_end(json, at)?.0;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(json: &str) -> Option<Vec<(String, String)>> {
        let own =
            |(name, value): (Name<'_>, &[u8])| (name.read().into_owned(), String::from_utf8_lossy(value).into_owned());
        Some(members(json.as_bytes())?.map(own).collect())
    }

    #[test]
    fn members_come_in_their_order_with_their_text_untouched() {
        let check = |json: &str, expected: &[(&str, &str)]| {
            let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(read(json), Some(expected), "{json}");
        };
        check("{}", &[]);
        check(
            r#" { "a" : 1 , "b":"x\"}," ,"c":[{"d":"]"}, 2],"e":null}"#,
            &[("a", "1"), ("b", r#""x\"},""#), ("c", r#"[{"d":"]"}, 2]"#), ("e", "null")],
        );
        check(r#"{"a\u0062":-1.50e3,"":true}"#, &[("ab", "-1.50e3"), ("", "true")]);
        check(r#"{"a":"\\","b":"\\\""}"#, &[("a", r#""\\""#), ("b", r#""\\\"""#)]);
    }

    #[test]
    fn what_is_no_object_has_no_members_and_what_is_cut_ends_early() {
        for json in ["", "[]", "1", "\"{}\"", "null"] {
            assert_eq!(read(json), None, "{json}");
        }
        for json in ["{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":[", "{\"a\":\"\\", "{]"] {
            assert_eq!(read(json), Some(vec![]), "{json}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\{}\\[\\],: \n\u{e9}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a\"\\\\{}:,]{0,4}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn an_open_value_can_be_entered_or_left() {
        let json = br#"{"a":{"b":[1],"c":"x"},"d":2}, "e": 3"#;
        let mut top = members(json).unwrap();
        let (name, rest) = top.next_open().unwrap();
        assert!(name.is("a"));
        let inner: Vec<_> = members(rest).unwrap().map(|(name, value)| (name.read(), value)).collect();
        assert_eq!(inner, [("b".into(), &b"[1]"[..]), ("c".into(), &b"\"x\""[..])]);
        assert_eq!(value(rest), Some(&br#"{"b":[1],"c":"x"}"#[..]));
        let (name, rest) = top.next_open().unwrap();
        assert!(name.is("d") && value(rest) == Some(b"2"));
        assert!(top.next().is_none() && top.next().is_none(), "what comes after the object is not its");
    }

    #[test]
    fn names_are_the_same_with_and_without_escapes() {
        let is = |name: &str, plain: &str| {
            members(format!("{{\"{name}\":1}}").as_bytes()).unwrap().next().unwrap().0.is(plain)
        };
        assert!(is("type", "type") && is(r"t\u0079pe", "type"));
        assert!(!is("typ", "type") && !is("types", "type") && !is(r"\u0079", "type"));
    }

    proptest! {
        #[test]
        fn the_walk_finds_what_a_parser_finds(value in any_value(), pretty in any::<bool>()) {
            let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let expected = value.as_object().map(|members| {
                members.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
            });
            let found = members(json.as_bytes()).map(|members| {
                members.map(|(name, value)| {
                    (name.read().into_owned(), serde_json::from_slice::<Value>(value).unwrap())
                }).collect::<Vec<_>>()
            });
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut json = b"{\"".to_vec();
            json.extend(bytes);
            prop_assert!(members(&json).unwrap().take(100).count() < 100);
        }
    }
}
