//! The shapes of replies: what every one of them carries, and the forms of times.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What is in `meta` of a reply. Members that a reply does not have are absent.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    members: Map<String, Value>,
}

impl Meta {
    /// Of the resource at this path. A path has no query string and no trailing slash, whatever the request had.
    pub fn of(path: &str) -> Meta {
        let path = canonical(path);
        let mut members = Map::new();
        members.insert("parent".to_owned(), parent(&path).map_or(Value::Null, Value::String));
        members.insert("href".to_owned(), Value::String(path));
        Meta { members }
    }

    /// With the time that the caller's session still has.
    pub fn remaining(self, seconds: Option<u64>) -> Meta {
        match seconds {
            Some(seconds) => self.with("remaining_seconds", seconds),
            None => self,
        }
    }

    /// With one member more.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Meta {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The path.
    pub fn href(&self) -> &str {
        self.members.get("href").and_then(Value::as_str).unwrap_or_default()
    }

    /// As JSON.
    pub fn into_value(self) -> Value {
        Value::Object(self.members)
    }
}

/// A path as links have it: without a trailing slash.
pub fn canonical(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

/// One level up; none above the entry point.
fn parent(path: &str) -> Option<String> {
    let (above, _) = path.rsplit_once('/')?;
    (!above.is_empty()).then(|| above.to_owned())
}

/// A list.
pub fn list(items: Vec<Value>, meta: Meta) -> Response {
    json_reply(StatusCode::OK, &json!({"items": items, "meta": meta.into_value()}))
}

/// One object.
pub fn object(key: &str, body: Value, meta: Meta) -> Response {
    json_reply(StatusCode::OK, &json!({"body": body, "key": key, "meta": meta.into_value()}))
}

/// A count.
pub fn count(count: u64, meta: Meta) -> Response {
    json_reply(StatusCode::OK, &json!({"count": count, "meta": meta.into_value()}))
}

/// Any other body that has its `meta` in it.
pub fn json_reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.to_string()).into_response()
}

/// Milliseconds and `Z`: `2019-11-25T23:59:28.000Z`.
pub fn time(at: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%3fZ", at).expect("a time of day has a text")
}

/// Six digits and no zone, which means UTC: `2017-08-14T10:35:43.957000`.
pub fn time_of_hit(at: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%6f", at).expect("a time of day has a text")
}

/// Three digits and no zone: `2017-04-11T09:21:10.832`.
pub fn time_of_event(at: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%3f", at).expect("a time of day has a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_query_and_slash_and_with_what_is_above_it() {
        let meta = Meta::of("/api/audit/sessions/abc/content/").remaining(Some(1_200)).into_value();
        assert_eq!(
            meta,
            json!({"href": "/api/audit/sessions/abc/content", "parent": "/api/audit/sessions/abc", "remaining_seconds": 1200})
        );
        assert_eq!(Meta::of("/api").into_value(), json!({"href": "/api", "parent": null}));
        assert_eq!(Meta::of("/api/authentication").into_value()["parent"], "/api");
    }

    #[test]
    fn times_have_the_forms_of_their_places() {
        let at = Timestamp::from_microsecond(1_502_706_943_957_123).unwrap();
        assert_eq!(time(at), "2017-08-14T10:35:43.957Z");
        assert_eq!(time_of_hit(at), "2017-08-14T10:35:43.957123");
        assert_eq!(time_of_event(at), "2017-08-14T10:35:43.957");
        assert_eq!(time_of_hit(Timestamp::from_second(0).unwrap()), "1970-01-01T00:00:00.000000");
    }
}
