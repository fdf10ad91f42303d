//! The fields that rules need, and which of them no event of an organisation had so far: what a rule cannot see.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use serde_json::Value;

use super::OfOrg;
use super::fact::Fact;
use super::rule::Seen;

/// Every event has these, said or not.
const ALWAYS: [&str; 4] = ["action", "kind", "outcome", "via"];
/// An event is parsed to look for a field if the field's last name stands in it. After so many times in vain, only every so
/// manieth event is.
const IN_VAIN_MAX: u32 = 256;
const IN_VAIN_EVERY: u64 = 16;

/// See the module.
pub struct Needed {
    names: Vec<String>,
    /// The last part of each name, as it stands in JSON. None: they are too many; then now and then an event is parsed.
    keys: Option<AhoCorasick>,
}

impl Needed {
    /// The fields of all rules.
    pub fn new(names: BTreeSet<String>) -> Needed {
        let names: Vec<String> = names.into_iter().filter(|name| !ALWAYS.contains(&name.as_str())).collect();
        let keys = names.iter().map(|name| match name.as_str() {
            "actor_id" => "\"id\"".to_owned(),
            "target" => "\"targets\"".to_owned(),
            name => format!("\"{}\"", name.rsplit('.').next().unwrap_or(name)),
        });
        Needed { keys: AhoCorasick::new(keys).ok(), names }
    }

    /// Whether the event may have a field that none had before.
    pub fn may_be_new(&self, of: &mut OfOrg, seen: &Seen<'_>) -> bool {
        let missing = of.missing.get_or_insert_with(|| {
            let missing = self.names.iter().enumerate().filter(|(_, name)| !of.seen.contains(*name));
            missing.map(|(place, _)| place).collect()
        });
        if missing.is_empty() || (of.in_vain > IN_VAIN_MAX && !seen.number.is_multiple_of(IN_VAIN_EVERY)) {
            return false;
        }
        self.keys.as_ref().is_none_or(|keys| {
            keys.find_overlapping_iter(seen.json).any(|key| missing.contains(&key.pattern().as_usize()))
        })
    }

    /// Remembers the fields of an event.
    pub fn note(&self, of: &mut OfOrg, fact: &Fact) {
        for name in ALWAYS {
            if !of.seen.contains(name) {
                of.seen.insert(name.to_owned());
            }
        }
        let Some(missing) = of.missing.as_mut().filter(|missing| !missing.is_empty()) else { return };
        let before = missing.len();
        missing.retain(|&place| {
            let name = &self.names[place];
            let is_there = has(&fact.value, name);
            if is_there {
                of.seen.insert(name.clone());
            }
            !is_there
        });
        of.in_vain = if missing.len() < before { 0 } else { of.in_vain.saturating_add(1) };
    }
}

/// Whether a value has a member, or a path of members joined by dots.
fn has(value: &Value, name: &str) -> bool {
    if value.get(name).is_some() {
        return true;
    }
    let mut dots = name.match_indices('.');
    dots.any(|(at, _)| value.get(&name[..at]).is_some_and(|inner| has(inner, &name[at + 1..])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_found_below_others_and_under_names_with_dots() {
        let value = json!({"a": {"b": {"c": 1}, "d.e": {"f": 2}}});
        for name in ["a", "a.b", "a.b.c", "a.d.e", "a.d.e.f"] {
            assert!(has(&value, name), "{name}");
        }
        for name in ["b", "a.c", "a.b.c.d", "a.d", "a.d.e.g"] {
            assert!(!has(&value, name), "{name}");
        }
    }
}
