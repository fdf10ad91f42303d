//! Errors of the native API: problem documents (RFC 9457).
//!
//! A handler returns a [`Problem`]; the document is written by [`rendered`], one layer further out, where the request's
//! id is known. So a refusal by a handler, by the router (404, 405) and by the clock all look the same.

use std::fmt::Write as _;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use service::{Error, ErrorKind, Invalid, Timestamp};
use utoipa::ToSchema;

use super::wire::time;
use crate::http::body;
use crate::http::request_id::RequestId;

/// A refusal on its way to the caller. Boxed, because every `Result` of this dialect carries the room for one.
#[derive(Clone, Debug)]
pub struct Problem(Box<Refusal>);

#[derive(Clone, Debug)]
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    pointer: Option<String>,
    errors: Vec<ItemProblem>,
    retry_after_s: Option<u64>,
    challenge: Option<&'static str>,
}

/// What is wrong with one event of a batch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ItemProblem {
    /// On which line of the body it stands, from 1 (one event a line).
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// Which item of the array it is, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<u64>,
    /// Which member of it is wrong (JSON pointer); absent: the event as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pointer: String,
    /// What is wrong and what would be right.
    detail: String,
}

impl ItemProblem {
    /// `place`: `("line", 7)` or `("item", 6)`.
    pub fn new((unit, position): (&str, u64), invalid: &Invalid) -> ItemProblem {
        ItemProblem {
            line: (unit == "line").then_some(position),
            item: (unit == "item").then_some(position),
            pointer: invalid.pointer.clone(),
            detail: invalid.message.clone(),
        }
    }
}

/// What a handler of this dialect returns.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// A refusal, as RFC 9457 has it. Members with no value are left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document<'a> {
    /// `urn:counterfoil:problem:` and the kind: unauthenticated, forbidden, not_found, invalid, conflict, too_large,
    /// overloaded, unavailable, corrupt, internal, method_not_allowed, unsupported_media_type,
    /// timeout, locked, range_not_satisfiable.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status again.
    #[schema(value_type = u16)]
    status: u16,
    /// What was wrong, where, and what to do.
    detail: &'a str,
    /// Which member of the body was wrong (JSON pointer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    /// What is wrong with which events of an atomic batch.
    #[serde(skip_serializing_if = "<[ItemProblem]>::is_empty")]
    errors: &'a [ItemProblem],
    /// The id of the request, also in `X-Request-Id`.
    request_id: &'a str,
}

impl Problem {
    /// A refusal of `kind` whose `detail` the caller reads.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Problem {
        let status = match kind {
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Overloaded | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut problem = Problem::outside_the_kinds(status, kind.as_str(), detail);
        problem.0.challenge = (kind == ErrorKind::Unauthenticated).then_some("Bearer");
        problem
    }

    /// `Invalid`: the request breaks a rule; `detail` says which and what would do.
    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(ErrorKind::Invalid, detail)
    }

    /// Names the member of the body that was wrong, as a JSON pointer.
    pub fn at(mut self, pointer: &str) -> Problem {
        self.0.pointer = (!pointer.is_empty()).then(|| pointer.to_owned());
        self
    }

    /// Names the events of a batch that were wrong.
    pub fn with_errors(mut self, errors: Vec<ItemProblem>) -> Problem {
        self.0.errors = errors;
        self
    }

    /// 429: too many failed logins.
    pub fn locked(until: Timestamp, now: Timestamp) -> Problem {
        let detail =
            format!("too many failed logins; this one was not tried, the next one will be after {}", time(until));
        let mut problem = Problem::outside_the_kinds(StatusCode::TOO_MANY_REQUESTS, "locked", detail);
        let wait = until.duration_since(now).as_secs_f64().ceil().max(1.0);
        problem.0.retry_after_s = Some(wait as u64);
        problem
    }

    /// 416: the range of a recording begins after its end.
    pub fn range_not_satisfiable(bytes: u64) -> Problem {
        let detail = format!("the recording has {bytes} bytes");
        Problem::outside_the_kinds(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail)
    }

    fn outside_the_kinds(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Refusal {
            status,
            kind,
            detail: detail.into(),
            pointer: None,
            errors: Vec::new(),
            retry_after_s: None,
            challenge: None,
        }))
    }

    fn title(&self) -> &'static str {
        match self.0.kind {
            "unauthenticated" => "no valid credential",
            "forbidden" => "not allowed",
            "not_found" => "no such thing within reach",
            "invalid" => "the request breaks a rule",
            "conflict" => "the request collides with what is there",
            "too_large" => "over a limit",
            "overloaded" => "too much at once",
            "unavailable" => "not available",
            "corrupt" => "stored data is not what was committed",
            "method_not_allowed" => "another method is needed",
            "locked" => "locked for a while",
            "range_not_satisfiable" => "the range lies beyond the end",
            "unsupported_media_type" => "the body comes in a form that is not read here",
            "timeout" => "the request did not arrive in time",
            _ => "internal error",
        }
    }

    /// The document itself, for the request with this id.
    pub fn write(&self, request_id: &RequestId) -> Response {
        let refusal = &*self.0;
        let document = Document {
            kind: format!("urn:counterfoil:problem:{}", refusal.kind),
            title: self.title(),
            status: refusal.status.as_u16(),
            detail: &refusal.detail,
            pointer: refusal.pointer.as_deref(),
            errors: &refusal.errors,
            request_id: request_id.as_str(),
        };
        let body = serde_json::to_vec(&document).expect("strings and integers always serialise");
        let mut response = (refusal.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = refusal.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = refusal.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        // The operator's half is logged here, once; the caller gets only the caller's half.
        match error.kind {
            ErrorKind::Corrupt | ErrorKind::Internal | ErrorKind::Unavailable => tracing::error!(?error, "native"),
            ErrorKind::Unauthenticated
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Overloaded => tracing::debug!(?error, "native"),
        }
        let mut problem = Problem::new(error.kind, error.message);
        problem.0.retry_after_s = error.retry_after_s;
        if error.kind == ErrorKind::Unauthenticated {
            problem.0.challenge = Some(r#"Bearer error="invalid_token""#);
        }
        problem
    }
}

impl From<body::Error> for Problem {
    fn from(error: body::Error) -> Problem {
        let detail = error.to_string();
        match error {
            body::Error::TooLarge { .. } => Problem::new(ErrorKind::TooLarge, detail),
            body::Error::UnknownEncoding(_) => {
                Problem::outside_the_kinds(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
            }
            body::Error::Packed(..) | body::Error::Broken(_) => Problem::invalid(detail),
            body::Error::TooSlow(_) => Problem::outside_the_kinds(StatusCode::REQUEST_TIMEOUT, "timeout", detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer that writes the documents.
pub async fn rendered(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned().expect("the frame gives every request an id");
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut written = problem.write(&id);
    // The router's own additions (`Allow`, the stamp of the route) stay.
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH {
            written.headers_mut().insert(name, value.clone());
        }
    }
    *written.extensions_mut() = std::mem::take(response.extensions_mut());
    written
}

/// 404 for a path that is in no row of the table.
pub async fn unknown_path(request: Request) -> Problem {
    Problem::new(ErrorKind::NotFound, format!("no route {}; see /v1/openapi.json", shown(request.uri().path())))
}

/// 405; the router adds `Allow`.
pub async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} does not take {}", shown(request.uri().path()), request.method());
    Problem::outside_the_kinds(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// The reply when the whole took too long.
pub fn too_late(request_id: &RequestId) -> Response {
    let mut problem = Problem::new(
        ErrorKind::Unavailable,
        "the answer took too long; what was asked may or may not have been done: look before asking again",
    );
    problem.0.retry_after_s = Some(1);
    problem.write(request_id)
}

/// Text of the caller's, cut to a length that fits a reply and said so.
pub fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    let mut out: String = text.chars().take(CHARACTERS_MAX).collect();
    if out.len() < text.len() {
        write!(out, "… ({} bytes)", text.len()).expect("writing into a String cannot fail");
    }
    out
}
