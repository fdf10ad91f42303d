//! Refusals: of one command, a text inside the reply; of a whole request, a status. Source: `specs/silo.md` §5.
//!
//! The word `KeyError` stands in one text only: a client that sees it tells its user to check the token.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use service::{AuthenticateError, Error, ErrorKind};

use super::envelope::{BODY_BYTES_MAX, COMMANDS_MAX, Refused};
use crate::http::body;

/// Why a command failed. `Display` is the text that goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No token was given before it.
    NoToken,
    /// The token is unknown, has ended, or may not extract logs.
    BadToken,
    /// `setauth` without a string.
    NeedsData,
    /// No command of this name.
    UnknownCommand(String),
    /// A required argument is not there.
    Missing(&'static str),
    /// No log type of this name.
    UnknownType(String),
    /// An argument does not read.
    Bad(&'static str),
    /// No organisation within reach is meant by this.
    NoOrg(String),
    /// More than one is.
    SeveralOrgs(String),
    /// Our side failed; a short text that says what to do.
    Internal(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoToken => f.write_str("AuthError: setauth must be the first command"),
            Failure::BadToken => f.write_str("KeyError: Did not find any matching records"),
            Failure::NeedsData => f.write_str("ValueError: setauth needs data"),
            Failure::UnknownCommand(name) => write!(f, "ValueError: Unknown command {name}"),
            Failure::Missing(argument) => write!(f, "ValueError: Missing argument {argument}"),
            Failure::UnknownType(name) => write!(f, "ValueError: Unknown log type {name}"),
            Failure::Bad(argument) => write!(f, "ValueError: Bad value for {argument}"),
            Failure::NoOrg(org) => write!(f, "No org matching {org}"),
            Failure::SeveralOrgs(org) => write!(f, "Multiple orgs matching {org}, use an org path"),
            Failure::Internal(what) => write!(f, "InternalError: {what}"),
        }
    }
}

impl Failure {
    /// A refusal of the service while it looked for the organisation `org`.
    pub fn resolving(error: &Error, org: &str) -> Failure {
        match error.kind {
            ErrorKind::NotFound => Failure::NoOrg(org.to_owned()),
            ErrorKind::Conflict => Failure::SeveralOrgs(org.to_owned()),
            _ => Failure::from(error),
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        match error.kind {
            // A token that may not extract is, to a client that can do nothing else, no token.
            ErrorKind::Unauthenticated | ErrorKind::Forbidden => return Failure::BadToken,
            ErrorKind::NotFound
            | ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Overloaded => {}
            ErrorKind::Unavailable => tracing::warn!(?error, "silo"),
            ErrorKind::Corrupt | ErrorKind::Internal => tracing::error!(?error, "silo"),
        }
        Failure::Internal(error.message.clone())
    }
}

impl From<&AuthenticateError> for Failure {
    fn from(error: &AuthenticateError) -> Failure {
        match error {
            AuthenticateError::Unknown | AuthenticateError::Expired { .. } | AuthenticateError::Revoked => {
                Failure::BadToken
            }
            AuthenticateError::Failed(error) => Failure::from(error),
        }
    }
}

/// The reply to a request that is refused as a whole.
pub fn refused(why: Refused) -> Response {
    let text = match why {
        Refused::NotJson => "ValueError: The body is not JSON".to_owned(),
        Refused::NotAnArray => "ValueError: The body is not an array of commands".to_owned(),
        Refused::NotAnObject => "ValueError: A command is not an object".to_owned(),
        Refused::TooMany => format!("ValueError: More than {COMMANDS_MAX} commands"),
        Refused::TooDeep => "ValueError: The body nests too deep".to_owned(),
    };
    whole(StatusCode::BAD_REQUEST, &text)
}

/// The reply when the body could not be had.
pub fn unreadable(error: &body::Error) -> Response {
    match error {
        body::Error::TooLarge { .. } => {
            whole(StatusCode::PAYLOAD_TOO_LARGE, &format!("ValueError: The body is over {BODY_BYTES_MAX} bytes"))
        }
        body::Error::UnknownEncoding(_) => whole(StatusCode::UNSUPPORTED_MEDIA_TYPE, &format!("ValueError: {error}")),
        body::Error::Packed(..) | body::Error::Broken(_) => {
            whole(StatusCode::BAD_REQUEST, &format!("ValueError: {error}"))
        }
        body::Error::TooSlow(_) => whole(StatusCode::REQUEST_TIMEOUT, &format!("ValueError: {error}")),
    }
}

/// 405: commands are posted.
pub async fn wrong_method() -> Response {
    let mut response = whole(StatusCode::METHOD_NOT_ALLOWED, "ValueError: Commands are sent with POST");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// 404, for a path that the table does not have.
pub async fn unknown_path() -> Response {
    whole(StatusCode::NOT_FOUND, "ValueError: Commands are sent to /api/")
}

/// 503: no answer in time.
pub fn too_late() -> Response {
    whole(StatusCode::SERVICE_UNAVAILABLE, "InternalError: No answer in time, try again")
}

/// 500: the work stopped badly. What it was stands in the operator's log.
pub fn broken(error: &tokio::task::JoinError) -> Response {
    tracing::error!(%error, "silo");
    whole(StatusCode::INTERNAL_SERVER_ERROR, "InternalError: internal error")
}

fn whole(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "error": text }).to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bad_token_is_called_a_key_error() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "message");
            let of_token = matches!(kind, ErrorKind::Unauthenticated | ErrorKind::Forbidden);
            assert_eq!(Failure::from(&error).to_string().contains("KeyError"), of_token, "{kind:?}");
        }
    }
}
