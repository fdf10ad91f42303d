//! Refusals: one error, never a list, in the shape that clients take apart.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use service::{Error, ErrorKind};

use super::message::{Meta, canonical, json_reply};

/// Raw text is shown in errors up to this many characters.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
    details: Value,
    /// The login resource asks for a name and a password in a way that libraries understand.
    challenge: bool,
    retry_after_s: Option<u64>,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>, details: Value) -> Failure {
        Failure { status, kind, message: message.into(), details, challenge: false, retry_after_s: None }
    }

    /// A query parameter that does not do.
    pub fn parameter(kind: Wrong, parameter: &str, value: &str, message: impl Into<String>) -> Failure {
        let details = json!({"parameter": parameter, "value": shown(value)});
        Failure::new(StatusCode::BAD_REQUEST, kind.as_str(), message, details)
    }

    /// A query whose text does not parse, with the place where.
    pub fn unparsable(parameter: &str, value: &str, position: usize, message: impl Into<String>) -> Failure {
        let details = json!({"parameter": parameter, "value": shown(value), "position": position});
        Failure::new(StatusCode::BAD_REQUEST, Wrong::QueryValue.as_str(), message, details)
    }

    /// Bytes that are no text.
    pub fn bad_request(message: &str) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "BadRequest", message, json!({}))
    }

    /// Nobody is logged in.
    pub fn unauthenticated(path: &str) -> Failure {
        let message = "no session; log in at /api/authentication first";
        Failure::new(StatusCode::UNAUTHORIZED, "Unauthenticated", message, json!({"resource": canonical(path)}))
    }

    /// Somebody tried to log in, and may not.
    pub fn authentication(path: &str, message: &str) -> Failure {
        Failure::new(StatusCode::UNAUTHORIZED, "AuthenticationFailure", message, json!({"resource": canonical(path)}))
    }

    /// With the challenge that makes libraries send a name and a password.
    pub fn challenging(self) -> Failure {
        Failure { challenge: true, ..self }
    }

    /// Logged in, and not allowed.
    pub fn unauthorized(path: &str) -> Failure {
        let message = "the account is not allowed to use this resource";
        Failure::new(StatusCode::FORBIDDEN, "Unauthorized", message, json!({"resource": canonical(path)}))
    }

    /// There is no such thing.
    pub fn not_found(what: &str) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "NotFound", what, json!({}))
    }

    /// Another method is what this resource takes; the `Allow` header says which.
    pub fn wrong_method(method: &str) -> Failure {
        let message = format!("this resource does not take {method}");
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message, json!({}))
    }

    /// This node keeps no list of users.
    pub fn users_not_available() -> Failure {
        let message =
            "this node is a search-minion and keeps no list of users; ask the search-master or a search-local node";
        Failure::new(StatusCode::BAD_REQUEST, "UsersRestNotAvailable", message, json!({}))
    }

    /// Too many snapshots are open.
    pub fn snapshot_quota() -> Failure {
        let message = "too many snapshots are open; wait five minutes";
        Failure::new(StatusCode::TOO_MANY_REQUESTS, "SnapshotQuotaExceeded", message, json!({}))
    }

    /// Our fault.
    pub fn internal() -> Failure {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "the server failed; its log says why",
            json!({}),
        )
    }

    /// The reply when the whole took too long.
    pub fn too_late() -> Failure {
        Failure::unavailable("the answer took too long; ask again, or for less")
    }

    fn unavailable(message: &str) -> Failure {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message, json!({}))
    }

    /// What the service refused, at this path.
    pub fn of(error: &Error, path: &str) -> Failure {
        match error.kind {
            ErrorKind::Unauthenticated => Failure::unauthenticated(path),
            ErrorKind::Forbidden => Failure::unauthorized(path),
            ErrorKind::NotFound => Failure::not_found(&error.to_string()),
            ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::TooLarge => {
                Failure::new(StatusCode::BAD_REQUEST, Wrong::QueryValue.as_str(), error.to_string(), json!({}))
            }
            ErrorKind::Overloaded | ErrorKind::Unavailable => {
                tracing::warn!(?error, "sps");
                Failure { retry_after_s: error.retry_after_s, ..Failure::unavailable("the server is busy; ask again") }
            }
            ErrorKind::Corrupt | ErrorKind::Internal => {
                tracing::error!(?error, "sps");
                Failure::internal()
            }
        }
    }

    /// The reply.
    pub fn reply(self, path: &str, remaining_s: Option<u64>) -> Response {
        let meta = Meta::of(path).remaining(remaining_s).into_value();
        let error = json!({"type": self.kind, "message": self.message, "details": self.details});
        let mut response = json_reply(self.status, &json!({"error": error, "meta": meta}));
        let headers = response.headers_mut();
        if self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"SPS\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// What is wrong with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is given twice.
    Duplicated,
    /// `sort` names what cannot be sorted by, or twice.
    Sort,
    /// Anything else about its value.
    QueryValue,
    /// It is no number.
    NotANumber,
    /// It is a number below what makes sense.
    Negative,
}

impl Wrong {
    fn as_str(self) -> &'static str {
        match self {
            Wrong::Duplicated => "DuplicatedParameterError",
            Wrong::Sort => "InvalidSort",
            Wrong::QueryValue => "InvalidQueryValue",
            Wrong::NotANumber => "NotANumber",
            Wrong::Negative => "NegativeValue",
        }
    }
}

fn shown(value: &str) -> String {
    value.chars().take(SHOWN_CHARACTERS_MAX).collect()
}
