//! A body taken apart into events: one object, an array, or one object a line.
//!
//! Nothing of an event is looked at here: each one's bytes go to the service as they came.

use serde_json::value::RawValue;
use service::{Invalid, NewEvent};

use super::super::problem::{Problem, Result};

/// How the events of a body were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object; the reply is one receipt.
    One,
    /// A JSON array.
    Array,
    /// One object a line (NDJSON); empty lines are skipped.
    Lines,
}

/// The events of one request, in order, good ones and bad ones.
pub struct Batch {
    /// How they were written.
    pub form: Form,
    /// Each event, or why it is none.
    pub items: Vec<Result<NewEvent, Invalid>>,
    /// For `Lines`: on which line of the body each item stands, from 1.
    lines: Vec<u32>,
}

impl Batch {
    /// Takes `body` apart. `lines`: the sender says that it is NDJSON; otherwise the first byte decides.
    ///
    /// # Errors
    /// `Invalid`: empty, an array that does not read, or neither an object nor an array. `TooLarge`: more than
    /// `items_max` events. A single bad event is an item, not an error.
    pub fn read(body: &[u8], lines: bool, items_max: usize) -> Result<Batch> {
        let body = body.trim_ascii();
        match body.first() {
            None => Err(Problem::invalid("the body is empty; send an event, an array of events, or one event a line")),
            Some(_) if lines => read_lines(body, items_max),
            Some(b'[') => read_array(body, items_max),
            Some(b'{') => Ok(Batch { form: Form::One, items: vec![one(body)], lines: Vec::new() }),
            Some(_) => Err(Problem::invalid(
                "the body is neither a JSON object nor an array; for one event a line send Content-Type: application/x-ndjson",
            )),
        }
    }

    /// Where in the body item `at` stands: `("line", 7)` or `("item", 6)`.
    pub fn place(&self, at: usize) -> (&'static str, u64) {
        match self.lines.get(at) {
            Some(line) => ("line", u64::from(*line)),
            None => ("item", at as u64),
        }
    }
}

// Several lines sent without saying so are the likeliest mistake with one object.
fn one(body: &[u8]) -> Result<NewEvent, Invalid> {
    NewEvent::from_json(body).map_err(|mut invalid| {
        let looks_like_lines = body.split(|b| *b == b'\n').filter(|line| line.starts_with(b"{")).count() > 1;
        if looks_like_lines && invalid.pointer.is_empty() {
            invalid.message.push_str("; for one event a line send Content-Type: application/x-ndjson");
        }
        invalid
    })
}

fn read_lines(body: &[u8], items_max: usize) -> Result<Batch> {
    let mut batch = Batch { form: Form::Lines, items: Vec::new(), lines: Vec::new() };
    for (line, number) in body.split(|b| *b == b'\n').zip(1..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if batch.items.len() == items_max {
            return Err(too_many(items_max));
        }
        batch.items.push(NewEvent::from_json(line));
        batch.lines.push(number);
    }
    Ok(batch)
}

fn read_array(body: &[u8], items_max: usize) -> Result<Batch> {
    let values: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| Problem::invalid(format!("the array does not read: {error}")))?;
    if values.len() > items_max {
        return Err(too_many(items_max));
    }
    let items = values.iter().map(|value| NewEvent::from_json(value.get().as_bytes())).collect();
    Ok(Batch { form: Form::Array, items, lines: Vec::new() })
}

fn too_many(items_max: usize) -> Problem {
    Problem::new(
        service::ErrorKind::TooLarge,
        format!("more than {items_max} events in one request; send fewer at a time"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, lines: bool, expected: &[bool]) -> Batch {
        let batch = Batch::read(body.as_bytes(), lines, 3).unwrap();
        assert_eq!(batch.items.iter().map(Result::is_ok).collect::<Vec<_>>(), expected, "{body}");
        batch
    }

    #[test]
    fn each_form_gives_its_events_in_order() {
        let batch = check(r#" {"action":"a"} "#, false, &[true]);
        assert_eq!(batch.form, Form::One);
        let batch = check(r#"[{"action":"a"}, 7, {"action":"b"}]"#, false, &[true, false, true]);
        assert_eq!((batch.form, batch.place(1)), (Form::Array, ("item", 1)));
        let batch = check("{\"action\":\"a\"}\r\n\n{\"acti\n{\"action\":\"b\"}\n", true, &[true, false, true]);
        assert_eq!((batch.form, batch.place(1)), (Form::Lines, ("line", 3)));
        check("[]", false, &[]);
        // Whoever says lines gets lines: an array is then one bad event.
        check(r#"[{"action":"a"}]"#, true, &[false]);
    }

    #[test]
    fn a_body_that_is_no_batch_is_refused() {
        for body in ["", " \n", "action=a", "[{]", "[{\"action\":\"a\"}", "\"a\""] {
            assert!(Batch::read(body.as_bytes(), false, 3).is_err(), "{body}");
        }
        assert!(Batch::read(b"{}\n{}\n{}\n{}", true, 3).is_err());
        assert!(Batch::read(b"[1,2,3,4]", false, 3).is_err());
    }

    #[test]
    fn lines_that_do_not_say_so_get_a_hint() {
        let batch = check("{\"action\":\"a\"}\n{\"action\":\"b\"}", false, &[false]);
        assert!(batch.items[0].as_ref().unwrap_err().message.contains("application/x-ndjson"));
    }
}
