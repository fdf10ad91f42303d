//! Our kinds of error in their replies: the framework's stock shapes, byte for byte. SPEC.md §2 and §4.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use service::{Error, ErrorKind};

use super::time;
use super::wire::Wrong;
use crate::http::body;

/// 400 with the members that did not read.
pub fn validation(wrong: Wrong) -> Response {
    let errors: Map<String, Value> = wrong.0.into_iter().map(|(name, what)| (name.to_owned(), json!([what]))).collect();
    let document = json!({
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": errors,
    });
    problem(StatusCode::BAD_REQUEST, &document)
}

/// 401, and why: the three challenges of SPEC.md §4.
pub fn unauthenticated(challenge: Challenge) -> Response {
    let text = match challenge {
        Challenge::Missing => "Bearer".to_owned(),
        Challenge::Invalid => r#"Bearer error="invalid_token""#.to_owned(),
        Challenge::Expired(at) => format!(
            r#"Bearer error="invalid_token", error_description="The token expired at '{}'""#,
            time::challenge_text(at)
        ),
    };
    let challenge = HeaderValue::try_from(text).expect("digits, letters and punctuation of ASCII make a header");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// It shows no bearer token.
    Missing,
    /// It shows one that is none of ours, was altered, or was revoked.
    Invalid,
    /// Its token ended.
    Expired(Timestamp),
}

/// Any other refusal of the service.
pub fn refused(error: &Error) -> Response {
    let (status, section, title) = match error.kind {
        ErrorKind::Unauthenticated => return unauthenticated(Challenge::Invalid),
        ErrorKind::Forbidden => return StatusCode::FORBIDDEN.into_response(),
        // The organisation is the caller's own, so this is our data being gone, not the caller's mistake.
        ErrorKind::NotFound => return StatusCode::NOT_FOUND.into_response(),
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "6.5.1", "Bad Request"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "6.5.8", "Conflict"),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "6.5.11", "Payload Too Large"),
        ErrorKind::Overloaded | ErrorKind::Unavailable => {
            tracing::warn!(?error, "octopai");
            (StatusCode::SERVICE_UNAVAILABLE, "6.6.4", "Service Unavailable")
        }
        ErrorKind::Corrupt | ErrorKind::Internal => {
            tracing::error!(?error, "octopai");
            (StatusCode::INTERNAL_SERVER_ERROR, "6.6.1", "An error occurred while processing your request.")
        }
    };
    let mut response = stock(status, section, title);
    if let Some(seconds) = error.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A body that could not be had.
pub fn unreadable(error: body::Error) -> Response {
    match error {
        body::Error::TooLarge { .. } => stock(StatusCode::PAYLOAD_TOO_LARGE, "6.5.11", "Payload Too Large"),
        body::Error::UnknownEncoding(_) => {
            stock(StatusCode::UNSUPPORTED_MEDIA_TYPE, "6.5.13", "Unsupported Media Type")
        }
        body::Error::TooSlow(_) => stock(StatusCode::REQUEST_TIMEOUT, "6.5.7", "Request Timeout"),
        body::Error::Packed(..) | body::Error::Broken(_) => {
            validation(Wrong(vec![("$", "The request body could not be read.".to_owned())]))
        }
    }
}

/// The reply when the whole took too long.
pub fn too_late() -> Response {
    stock(StatusCode::SERVICE_UNAVAILABLE, "6.6.4", "Service Unavailable")
}

fn stock(status: StatusCode, section: &str, title: &str) -> Response {
    let document = json!({
        "type": format!("https://tools.ietf.org/html/rfc7231#section-{section}"),
        "title": title,
        "status": status.as_u16(),
    });
    problem(status, &document)
}

fn problem(status: StatusCode, document: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/problem+json")], document.to_string()).into_response()
}
