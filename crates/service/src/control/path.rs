//! Organisation names and paths (`specs/silo.md` section 4): how a path is split, and which organisation it means.

use unicode_normalization::UnicodeNormalization;

use super::state::{Org, State};
use crate::model::OrgId;

/// What a name or path means to somebody.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Exactly one organisation.
    One(OrgId),
    /// No organisation within reach.
    None,
    /// More than one.
    Several,
}

/// Splits a path at `/`. `\/` is a slash, `\\` a backslash, any other backslash stands for itself; empty parts are dropped.
pub fn split(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = c == '\\' && matches!(chars.peek(), Some('/' | '\\'));
        if escaped {
            let last = parts.last_mut().expect("there is always a part");
            last.extend(chars.next());
        } else if c == '/' {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("there is always a part").push(c);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Writes a path so that [`split`] gives the names back.
pub fn join<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<String> = names.into_iter().map(|n| n.replace('\\', "\\\\").replace('/', "\\/")).collect();
    parts.join("/")
}

/// Finds the organisation that `path` means from where an organisation `top` reaches.
///
/// Its name is the last part; the parts before it are found, in this order, among its ancestors up to `top`, gaps allowed.
/// Where several fit, one whose full path from `top` is exactly the parts wins: otherwise an organisation right under
/// the top could never be told from a namesake deeper down.
pub fn resolve(state: &State, top: OrgId, path: &str) -> Resolved {
    // Names are kept in Unicode NFC; apart from that they compare exactly, blanks included.
    let parts: Vec<String> = split(path).iter().map(|part| part.nfc().collect()).collect();
    let Some((last, before)) = parts.split_last() else { return Resolved::None };
    let fits: Vec<&Org> = state
        .orgs()
        .iter()
        .filter(|org| org.name == *last)
        .filter(|org| chain_within(state, org.id, top).is_some_and(|chain| holds_in_order(&chain[1..], before)))
        .collect();
    match fits.as_slice() {
        [] => Resolved::None,
        [one] => Resolved::One(one.id),
        several if parts.len() >= 2 => {
            let exact: Vec<&&Org> = several.iter().filter(|org| is_full_path(state, org.id, top, &parts)).collect();
            match exact.as_slice() {
                [one] => Resolved::One(one.id),
                _ => Resolved::Several,
            }
        }
        _ => Resolved::Several,
    }
}

/// From `org` up to `top`, both included; `None` when `org` does not lie within `top`.
fn chain_within(state: &State, org: OrgId, top: OrgId) -> Option<Vec<&Org>> {
    let mut chain = Vec::new();
    for ancestor in state.chain(org) {
        chain.push(ancestor);
        if ancestor.id == top {
            return Some(chain);
        }
    }
    None
}

/// `ancestors` go up, `names` go down.
fn holds_in_order(ancestors: &[&Org], names: &[String]) -> bool {
    let mut wanted = names.iter().rev().peekable();
    for ancestor in ancestors {
        wanted.next_if(|name| **name == ancestor.name);
    }
    wanted.peek().is_none()
}

fn is_full_path(state: &State, org: OrgId, top: OrgId, parts: &[String]) -> bool {
    chain_within(state, org, top).is_some_and(|chain| chain.iter().rev().map(|org| &org.name).eq(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::record::Record;
    use crate::control::state::normal_name;
    use log::LogId;
    use proptest::prelude::*;

    fn id(n: u8) -> OrgId {
        OrgId::from_bytes([n; 16])
    }

    /// The tree of `specs/silo.md` section 4, with a stranger beside it.
    fn state() -> State {
        let mut state = State::default();
        let tree: [(u8, Option<u8>, &str); 9] = [
            (1, None, "Acme"),
            (2, Some(1), "Sales"),
            (3, Some(1), "EU"),
            (4, Some(3), "Sales"),
            (5, Some(1), "US"),
            (6, Some(5), "Sales"),
            (7, Some(5), "Ops"),
            (8, Some(1), "A/B"),
            (9, None, "Globex"),
        ];
        for (n, parent, name) in tree {
            let record = Record::OrganisationCreated {
                id: id(n),
                parent: parent.map(id),
                name: name.into(),
                slug: format!("org-{n}"),
                log: LogId([n; 16]).to_string(),
            };
            state.apply(&record, 0, n.into()).unwrap();
        }
        state
    }

    #[test]
    fn the_table_of_the_specification_holds() {
        let state = state();
        let check = |path: &str, expected: Resolved| assert_eq!(resolve(&state, id(1), path), expected, "{path}");
        check("Ops", Resolved::One(id(7)));
        check("Sales", Resolved::Several);
        check("EU/Sales", Resolved::One(id(4)));
        check("Acme/EU/Sales", Resolved::One(id(4)));
        check("Acme/Sales", Resolved::One(id(2)));
        check("Acme/Ops", Resolved::One(id(7)));
        check("A\\/B", Resolved::One(id(8)));
        check("A/B", Resolved::None);
        check("ops", Resolved::None);
        check("Globex", Resolved::None);
        check("", Resolved::None);
        check("//", Resolved::None);
        check("/Acme//Ops/", Resolved::One(id(7)));
        check("Ops/Acme", Resolved::None);
        check(" Ops", Resolved::None);
        check("Acme", Resolved::One(id(1)));
        check("Acme/Acme", Resolved::None);
    }

    #[test]
    fn reach_is_where_one_stands() {
        let state = state();
        assert_eq!(resolve(&state, id(5), "Sales"), Resolved::One(id(6)));
        assert_eq!(resolve(&state, id(5), "Acme/US/Sales"), Resolved::None, "Acme is above the reach");
        assert_eq!(resolve(&state, id(5), "EU"), Resolved::None);
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same_name() {
        let mut state = state();
        let name = normal_name("Zu\u{308}rich");
        let record = Record::OrganisationCreated {
            id: id(10),
            parent: Some(id(1)),
            name,
            slug: "z".into(),
            log: LogId([10; 16]).to_string(),
        };
        state.apply(&record, 0, 10).unwrap();
        assert_eq!(resolve(&state, id(1), "Z\u{fc}rich"), Resolved::One(id(10)));
        assert_eq!(resolve(&state, id(1), "Zu\u{308}rich"), Resolved::One(id(10)));
    }

    proptest! {
        #[test]
        fn names_read_back_from_a_path(names in prop::collection::vec("[a/\\\\ü ]{1,6}", 1..5)) {
            let path = join(names.iter().map(String::as_str));
            prop_assert_eq!(split(&path), names);
        }
    }
}
