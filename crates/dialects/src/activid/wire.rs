//! Request bodies, and the list that answers a search. Source: `specs/scim-event.md` §5, §6.1 and §6.2.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use service::model::strict;

use super::error::Fault;

/// Most bytes of one request.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Events returned when nothing is said.
pub const COUNT_DEFAULT: usize = 100;

/// Most events returned.
pub const COUNT_MAX: usize = 1_000;

/// The schema of a body that brings an event.
const FEED: &str = "urn:ietf:params:scim:schemas:notify:2.0:Feed";
/// The schema of a body that searches.
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The schema of the answer to a search.
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:EventList";
/// The schema of an event.
pub const EVENT: &str = "urn:ietf:params:scim:schemas:notify:2.0:Event";

/// The event token that a body brings.
pub fn event_token(body: &[u8]) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Feed<'a> {
        #[serde(borrow, rename = "eventToken", default)]
        event_token: Option<&'a RawValue>,
    }
    let text = object(body, FEED)?;
    let feed: Feed<'_> = serde_json::from_str(text).map_err(|e| Fault::InvalidSyntax(e.to_string()))?;
    let token = feed.event_token.and_then(|token| serde_json::from_str(token.get()).ok());
    token.ok_or_else(|| Fault::InvalidValue("eventToken is missing or not a string".to_owned()))
}

/// A search as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Search {
    /// Blank: no restriction.
    pub filter: String,
    /// Most events to return, 0 to [`COUNT_MAX`].
    pub count: usize,
}

impl Search {
    /// Reads a search; members that are not supported are passed over.
    pub fn read(body: &[u8]) -> Result<Search, Fault> {
        #[derive(Deserialize)]
        struct Request {
            #[serde(default)]
            filter: Value,
            #[serde(default)]
            count: Value,
            #[serde(rename = "startIndex", default)]
            start_index: Value,
        }
        let text = object(body, SEARCH)?;
        let request: Request = serde_json::from_str(text).map_err(|e| Fault::InvalidSyntax(e.to_string()))?;
        let filter = match request.filter {
            Value::Null => String::new(),
            Value::String(filter) => filter,
            _ => return Err(Fault::InvalidValue("filter is not a string".to_owned())),
        };
        let count = match request.count {
            Value::Null => COUNT_DEFAULT,
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(count), _) => usize::try_from(count).unwrap_or(COUNT_MAX).min(COUNT_MAX),
                (None, Some(_)) => 0,
                (None, None) => integer_beyond(&number.to_string()).ok_or_else(bad_count)?,
            },
            _ => return Err(bad_count()),
        };
        if request.start_index.as_i64().is_some_and(|start| start > 1)
            || request.start_index.as_u64().is_some_and(|start| start > 1)
        {
            return Err(Fault::InvalidValue(
                "startIndex is not supported; go on with meta.created gt the last time seen".to_owned(),
            ));
        }
        Ok(Search { filter, count })
    }
}

fn bad_count() -> Fault {
    Fault::InvalidValue("count is not an integer".to_owned())
}

/// The count that a number beyond every machine integer means. Such a number reads as a fraction, so its digits decide.
fn integer_beyond(number: &str) -> Option<usize> {
    let value: f64 = number.parse().ok()?;
    let is_beyond = value.abs() >= 9.0e18;
    is_beyond.then_some(if value > 0.0 { COUNT_MAX } else { 0 })
}

/// The text of a body that is an object of this schema.
fn object<'a>(body: &'a [u8], schema: &str) -> Result<&'a str, Fault> {
    #[derive(Deserialize)]
    struct Schemas {
        #[serde(default)]
        schemas: Value,
    }
    let syntax = |what: String| Fault::InvalidSyntax(what);
    let text = std::str::from_utf8(body).map_err(|_| syntax("the body is not UTF-8".to_owned()))?;
    strict::check(text).map_err(|e| syntax(format!("the body is not JSON as it should be: {e}")))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(syntax("the body is not a JSON object".to_owned()));
    }
    let schemas: Schemas = serde_json::from_str(text).map_err(|e| syntax(e.to_string()))?;
    if !holds(&schemas.schemas, schema) {
        return Err(syntax(format!("schemas is not an array that holds {schema}")));
    }
    Ok(text)
}

/// Says whether `schemas` is an array that holds `schema`.
pub fn holds(schemas: &Value, schema: &str) -> bool {
    schemas.as_array().is_some_and(|schemas| schemas.iter().any(|held| held == schema))
}

/// The answer to a search. `tainted`: only where verification was asked for.
pub fn event_list(tokens: &[String], tainted: Option<bool>) -> Vec<u8> {
    let mut list = json!({"schemas": [LIST], "eventTokens": tokens});
    if let Some(tainted) = tainted {
        list["tainted"] = tainted.into();
    }
    list.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(members: &str) -> Result<Search, Fault> {
        Search::read(format!(r#"{{"schemas":["{SEARCH}"]{members}}}"#).as_bytes())
    }

    #[test]
    fn a_count_is_bounded_and_a_whole_number() {
        let check = |count: &str, expected: usize| {
            assert_eq!(search(&format!(r#","count":{count}"#)).map(|search| search.count), Ok(expected), "{count}");
        };
        check("5", 5);
        check("0", 0);
        check("-1", 0);
        check("null", COUNT_DEFAULT);
        check("1001", COUNT_MAX);
        check("18446744073709551615", COUNT_MAX);
        check("99999999999999999999999", COUNT_MAX);
        check("-99999999999999999999999", 0);
        for count in ["1.5", "\"5\"", "true", "[]", "{}"] {
            let refused = search(&format!(r#","count":{count}"#));
            assert!(matches!(refused, Err(Fault::InvalidValue(_))), "{count}: {refused:?}");
        }
        assert_eq!(search("").map(|search| search.count), Ok(COUNT_DEFAULT));
    }

    #[test]
    fn only_an_index_beyond_the_first_is_refused() {
        for ignored in ["1", "0", "-4", "\"7\"", "null", "2.5"] {
            assert!(
                search(&format!(r#","startIndex":{ignored},"sortBy":1,"attributes":{{}},"other":[]"#)).is_ok(),
                "{ignored}"
            );
        }
        for refused in ["2", "18446744073709551615"] {
            assert!(matches!(search(&format!(r#","startIndex":{refused}"#)), Err(Fault::InvalidValue(_))), "{refused}");
        }
    }

    #[test]
    fn a_body_is_strict_json_of_its_schema() {
        let check = |body: &str| {
            let refused = event_token(body.as_bytes());
            assert!(matches!(refused, Err(Fault::InvalidSyntax(_))), "{body}: {refused:?}");
        };
        check("");
        check("{");
        check("[]");
        check("null");
        check("{}");
        check(r#"{"schemas":"urn:ietf:params:scim:schemas:notify:2.0:Feed","eventToken":"x"}"#);
        check(r#"{"schemas":[],"eventToken":"x"}"#);
        check(r#"{"schemas":["urn:ietf:params:scim:schemas:notify:2.0:Feed"],"eventToken":"x","eventToken":"x"}"#);
        check(r#"{"schemas":["urn:ietf:params:scim:schemas:notify:2.0:Feed"],"eventToken":"x",}"#);
        check(r#"{"schemas":["urn:ietf:params:scim:schemas:notify:2.0:Feed"],"a":{"b":1,"b":2}}"#);
        assert!(matches!(event_token(b"{\"a\":\"\xff\"}"), Err(Fault::InvalidSyntax(_))));
        for token in ["", r#","eventToken":7"#, r#","eventToken":null"#] {
            let body = format!(r#"{{"schemas":["{FEED}","x",1]{token}}}"#);
            assert!(matches!(event_token(body.as_bytes()), Err(Fault::InvalidValue(_))), "{body}");
        }
        assert_eq!(
            event_token(format!(r#" {{"eventToken":"a.b.","schemas":["{FEED}"]}} "#).as_bytes()).unwrap(),
            "a.b."
        );
    }
}
