//! The filter parameters of a query string as one `Query`.

use service::Timestamp;
use service::search::{self, Field, NumberField, Query};

use super::super::parameters::Parameters;
use super::super::problem::{Problem, Result};

/// Parameters that name a field and may repeat: any of the values of one field, all of the fields.
pub const FIELDS: &[&str] =
    &["kind", "action", "outcome", "actor", "indirect_actor", "source", "session", "correlation", "target", "id"];

/// The query of `q`, the field parameters, and `from` and `to` (`occurred_at`, from inclusive, to exclusive).
pub fn query(parameters: &Parameters) -> Result<Query> {
    let mut parts = Vec::new();
    if let Some(text) = parameters.text("q") {
        match search::parse::parse(text) {
            Ok(Query::All) => {}
            Ok(query) => parts.push(query),
            Err(error) => return Err(Problem::invalid(format!("parameter q: {error}"))),
        }
    }
    for name in FIELDS {
        let field: Field = name.parse().expect("`the_field_parameters_are_fields` says so");
        let values = parameters.all(name).map(|value| Query::Keyword { field, value: value.to_owned() });
        let mut values: Vec<Query> = values.collect();
        match values.len() {
            0 => {}
            1 => parts.append(&mut values),
            _ => parts.push(Query::Or(values)),
        }
    }
    let min = parameters.time("from")?.map(micros_up);
    let max = parameters.time("to")?.map(|to| micros_up(to).saturating_sub(1));
    if min.is_some() || max.is_some() {
        parts.push(Query::Range { field: NumberField::OccurredAt, min, max });
    }
    Ok(match parts.len() {
        0 => Query::All,
        1 => parts.swap_remove(0),
        _ => Query::And(parts),
    })
}

// Events are indexed by the microsecond they fall into. A bound between two microseconds belongs to the later one.
fn micros_up(at: Timestamp) -> i64 {
    let micros = at.as_nanosecond().div_euclid(1_000) + i128::from(at.as_nanosecond().rem_euclid(1_000) > 0);
    i64::try_from(micros).expect("the years that a timestamp holds fit 64 bits of microseconds")
}

#[cfg(test)]
mod tests {
    use super::super::super::parameters::Known;
    use super::*;

    fn check(text: &str, expected: Query) {
        let known = Known { once: &["q", "from", "to"], repeated: FIELDS };
        assert_eq!(query(&Parameters::read(Some(text), &known).unwrap()).unwrap(), expected, "{text}");
    }

    #[test]
    fn the_field_parameters_are_fields() {
        for name in FIELDS {
            assert!(name.parse::<Field>().is_ok(), "{name}");
        }
    }

    #[test]
    fn several_fields_are_all_asked_for_and_several_values_are_any() {
        let keyword = |field, value: &str| Query::Keyword { field, value: value.to_owned() };
        check("", Query::All);
        check("q=", Query::All);
        check("actor=root", keyword(Field::Actor, "root"));
        check(
            "actor=root&kind=page&actor=ann",
            Query::And(vec![
                keyword(Field::Kind, "page"),
                Query::Or(vec![keyword(Field::Actor, "root"), keyword(Field::Actor, "ann")]),
            ]),
        );
    }

    #[test]
    fn from_is_inside_and_to_is_outside() {
        let range = |min, max| Query::Range { field: NumberField::OccurredAt, min, max };
        check("from=1970-01-01T00:00:01Z&to=1970-01-01T00:00:02Z", range(Some(1_000_000), Some(1_999_999)));
        check("to=1970-01-01T00:00:00.0000001Z", range(None, Some(0)));
        check("from=1969-12-31T23:59:59.9999999Z", range(Some(0), None));
    }
}
