//! Walks a JSON value without building it: bounded depth, no duplicate members.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of an event's own values. The text of an event nests one deeper than its attributes.
pub const DEPTH_MAX: usize = 64;

/// Up to here members of one object are compared pair by pair, which beats hashing for what real events look like.
const LINEAR_MEMBERS_MAX: usize = 16;

/// Checks that `json` is one value that nests at most [`DEPTH_MAX`] deep and has no object with the same member twice.
///
/// # Errors
/// What is wrong and where (line and column), in serde's words.
pub fn check(json: &str) -> Result<(), serde_json::Error> {
    let mut from = serde_json::Deserializer::from_str(json);
    Value { depth: 0 }.deserialize(&mut from)?;
    from.end()
}

struct Value {
    depth: usize,
}

impl Value {
    fn below<E: serde::de::Error>(&self) -> Result<Value, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("nested more than {DEPTH_MAX} deep")));
        }
        Ok(Value { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.below()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut few: Vec<Cow<'de, str>> = Vec::new();
        let mut many: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(name) = members.next_key_seed(Name)? {
            let fresh = if few.len() < LINEAR_MEMBERS_MAX {
                let fresh = !few.contains(&name);
                few.push(name.clone());
                fresh
            } else {
                !few.contains(&name) && many.insert(name.clone())
            };
            if !fresh {
                return Err(A::Error::custom(format_args!("duplicate member `{name}`")));
            }
            members.next_value_seed(self.below()?)?;
        }
        Ok(())
    }
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_found_at_any_depth_and_whatever_their_spelling() {
        assert!(check(r#"{"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]}"#).is_ok());
        assert!(check(r#"{"a":1,"a":1}"#).is_err());
        assert!(check(r#"[{"x":{"a":1,"\u0061":2}}]"#).is_err());
        let members = |last: &str| {
            let mut text: Vec<String> = (0..100).map(|n| format!("\"m{n}\":0")).collect();
            text.push(format!("\"{last}\":0"));
            format!("{{{}}}", text.join(","))
        };
        assert!(check(&members("fresh")).is_ok());
        assert!(check(&members("m3")).is_err());
        assert!(check(&members("m77")).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(DEPTH_MAX)).is_ok());
        assert!(check(&nested(DEPTH_MAX + 1)).is_err());
        assert!(check(&nested(100_000)).is_err());
    }
}
