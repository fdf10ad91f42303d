//! What of a query the log itself can answer: bounds of numbers and of times of receipt, which both rise with the index.
//!
//! A query that is nothing but such bounds never touches the index; any other one looks only within them.

use search::{NumberField, Query};

/// Inclusive bounds of numbers and of times of receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Lowest number.
    pub lowest: u64,
    /// Highest number.
    pub highest: u64,
    /// Earliest time of receipt, in microseconds.
    pub from_us: Option<i64>,
    /// Latest time of receipt, in microseconds.
    pub to_us: Option<i64>,
}

impl Window {
    /// No bounds at all.
    pub const ALL: Window = Window { lowest: 1, highest: u64::MAX, from_us: None, to_us: None };

    /// Says whether nothing can lie within.
    pub fn is_empty(&self) -> bool {
        self.lowest > self.highest || matches!((self.from_us, self.to_us), (Some(from), Some(to)) if from > to)
    }
}

/// Takes the bounds out of a query: an event matches the query exactly if it lies within the window and matches the rest.
pub fn split(query: &Query) -> (Window, Query) {
    let mut window = Window::ALL;
    let rest = narrow(&mut window, query);
    (window, rest)
}

fn narrow(window: &mut Window, query: &Query) -> Query {
    match query {
        Query::Range { field: NumberField::Number, min, max } => {
            // Numbers start at 1, so a negative bound is no bound, or one that nothing passes.
            window.lowest = window.lowest.max(min.map_or(0, |min| u64::try_from(min).unwrap_or(0)));
            match max.map(u64::try_from) {
                Some(Ok(max)) => window.highest = window.highest.min(max),
                Some(Err(_)) => window.highest = 0,
                None => {}
            }
            Query::All
        }
        Query::Range { field: NumberField::RecordedAt, min, max } => {
            window.from_us = window.from_us.max(*min);
            window.to_us = [window.to_us, *max].into_iter().flatten().min();
            Query::All
        }
        Query::And(parts) => {
            let mut rest: Vec<Query> =
                parts.iter().map(|part| narrow(window, part)).filter(|part| *part != Query::All).collect();
            match rest.len() {
                0 => Query::All,
                1 => rest.remove(0),
                _ => Query::And(rest),
            }
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use search::{Document, Field};

    fn query() -> impl Strategy<Value = Query> {
        let bound = || prop::option::of(-2i64..12);
        let leaf = prop_oneof![
            Just(Query::All),
            Just(Query::None),
            (bound(), bound()).prop_map(|(min, max)| Query::Range { field: NumberField::Number, min, max }),
            (bound(), bound()).prop_map(|(min, max)| Query::Range { field: NumberField::RecordedAt, min, max }),
            "[ab]".prop_map(|value| Query::Keyword { field: Field::Kind, value }),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Query::And),
                prop::collection::vec(inner.clone(), 0..3).prop_map(Query::Or),
                inner.prop_map(|query| Query::Not(Box::new(query))),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_window_and_the_rest_mean_what_the_query_meant(query in query(), number in 1u64..12, recorded_at_us in -2i64..12, kind in "[ab]") {
            let document = Document { number, recorded_at_us, occurred_at_us: 0, keywords: vec![(Field::Kind, kind)], text: vec![] };
            let (window, rest) = split(&query);
            let within = (window.lowest..=window.highest).contains(&number)
                && window.from_us.is_none_or(|from| from <= recorded_at_us)
                && window.to_us.is_none_or(|to| recorded_at_us <= to);
            prop_assert_eq!(within && rest.matches(&document), query.matches(&document));
            prop_assert!(!(window.is_empty() && within));
        }
    }

    #[test]
    fn bounds_alone_leave_nothing_for_the_index() {
        let range = |field, min, max| Query::Range { field, min, max };
        let query = Query::And(vec![
            range(NumberField::Number, Some(5), None),
            Query::And(vec![range(NumberField::RecordedAt, None, Some(9)), Query::All]),
        ]);
        let expected = Window { lowest: 5, to_us: Some(9), ..Window::ALL };
        assert_eq!(split(&query), (expected, Query::All));
    }
}
