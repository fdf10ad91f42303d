//! Pages of short lists: organisations, accounts, tokens.

use super::parameters::{Known, Parameters};
use super::problem::{Problem, Result};

/// The parameters of a list that takes no others.
pub const KNOWN: Known = Known { once: &["after", "limit"], repeated: &[] };

/// Items of a page when nothing is said.
const LIMIT_DEFAULT: u64 = 200;
/// Most items of a page; more are cut to this, `next` says where to go on.
const LIMIT_MAX: u64 = 1_000;

/// The page of `all` that the parameters ask for, and the cursor of the next one. A cursor is the id of the last item
/// of the page before; an item never moves in its list, so no page repeats or leaves out one that was there.
pub fn page<T, I: PartialEq + std::str::FromStr>(
    all: Vec<T>,
    id: impl Fn(&T) -> I,
    parameters: &Parameters,
) -> Result<(Vec<T>, Option<I>)> {
    let limit = parameters.number("limit")?.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize;
    if limit == 0 {
        return Err(Problem::invalid("parameter limit is 0; a page has at least one item"));
    }
    let start = match parameters.text("after") {
        None => 0,
        Some(text) => {
            let after = text.parse::<I>().ok();
            let position = after.and_then(|after| all.iter().position(|item| id(item) == after));
            let unknown = || Problem::invalid("parameter after is not the `next` of an earlier page of this list");
            position.ok_or_else(unknown)? + 1
        }
    };
    let more = all.len() > start + limit;
    let items: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let next = items.last().filter(|_| more).map(id);
    Ok((items, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &[u32], next: Option<u32>) {
        let parameters = Parameters::read(Some(query), &KNOWN).unwrap();
        let found = page(vec![10, 20, 30], |item| *item, &parameters).unwrap();
        assert_eq!(found, (expected.to_vec(), next), "{query}");
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        check("", &[10, 20, 30], None);
        check("limit=2", &[10, 20], Some(20));
        check("limit=2&after=20", &[30], None);
        check("limit=3", &[10, 20, 30], None);
        check("limit=2&after=30", &[], None);
    }

    #[test]
    fn a_cursor_that_nobody_gave_is_refused() {
        for query in ["after=15", "after=", "after=x", "limit=0"] {
            let parameters = Parameters::read(Some(query), &KNOWN).unwrap();
            assert!(page(vec![10, 20, 30], |item| *item, &parameters).is_err(), "{query}");
        }
    }
}
