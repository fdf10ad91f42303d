//! Refusals in SCIM's form, and the media type they and all other replies have. Source: `specs/scim-event.md` §3, §5 to §7.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use service::{AuthenticateError, Error, ErrorKind, Invalid};

use super::wire::BODY_BYTES_MAX;
use crate::http::body;

/// What is wrong with what was asked for: status 400, and the `scimType` that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The body is not what its schema says.
    InvalidSyntax(String),
    /// A member, or the token, cannot be taken.
    InvalidValue(String),
    /// The filter breaks its grammar, or an attribute and an operator do not go together.
    InvalidFilter(String),
    /// More than the server is willing to look at.
    TooMany(String),
}

impl Fault {
    fn scim_type(&self) -> &'static str {
        match self {
            Fault::InvalidSyntax(_) => "invalidSyntax",
            Fault::InvalidValue(_) => "invalidValue",
            Fault::InvalidFilter(_) => "invalidFilter",
            Fault::TooMany(_) => "tooMany",
        }
    }

    /// The word for it in the trail.
    fn reason(&self) -> &'static str {
        match self {
            Fault::InvalidSyntax(_) => "invalid_syntax",
            Fault::InvalidValue(_) => "invalid_value",
            Fault::InvalidFilter(_) => "invalid_filter",
            Fault::TooMany(_) => "too_many",
        }
    }

    fn detail(self) -> String {
        match self {
            Fault::InvalidSyntax(detail)
            | Fault::InvalidValue(detail)
            | Fault::InvalidFilter(detail)
            | Fault::TooMany(detail) => detail,
        }
    }
}

/// A request that gets no answer but an error.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    scim_type: Option<&'static str>,
    detail: String,
    retry_after_s: Option<u64>,
    /// The word for the trail; `None`: the service recorded it, or it is no refusal.
    pub reason: Option<&'static str>,
}

impl Failure {
    fn new(status: StatusCode, detail: impl Into<String>, reason: Option<&'static str>) -> Failure {
        Failure { status, scim_type: None, detail: detail.into(), retry_after_s: None, reason }
    }

    /// 401: no bearer token.
    pub fn no_credential() -> Failure {
        Failure::new(StatusCode::UNAUTHORIZED, "send a bearer token", Some("no_credential"))
    }

    /// 404: the path names no organisation; the same for one out of the caller's reach.
    pub fn unknown_tenant() -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "no such tenant", Some("unknown_tenant"))
    }

    /// 404: no such resource.
    pub fn unknown_path() -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "no such resource", None)
    }

    /// 405: events are posted.
    pub fn wrong_method() -> Failure {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "only POST is supported", None)
    }

    /// 415.
    pub fn media_type(given: &str) -> Failure {
        let given: String = given.chars().take(100).collect();
        let detail = format!("content type {given:?} is not supported; send application/scim+json");
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, Some("unsupported_media_type"))
    }

    /// 503: no answer in time.
    pub fn too_late() -> Failure {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "no answer in time; it may or may not have been done", None)
    }

    /// 500; what it was stands in the operator's log.
    pub fn internal(why: &str) -> Failure {
        tracing::error!(why, "activid");
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error", None)
    }

    /// The reply.
    pub fn reply(self, media: Media) -> Response {
        // The order of the members is the specification's.
        let mut document = json!({"schemas": [ERROR], "status": self.status.as_u16().to_string()});
        if let Some(scim_type) = self.scim_type {
            document["scimType"] = scim_type.into();
        }
        document["detail"] = self.detail.into();
        let mut response = media.reply(self.status, document.to_string().into_bytes());
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        let (scim_type, reason) = (fault.scim_type(), fault.reason());
        Failure { scim_type: Some(scim_type), ..Failure::new(StatusCode::BAD_REQUEST, fault.detail(), Some(reason)) }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Failure {
        match invalid.too_large {
            true => Failure::new(StatusCode::PAYLOAD_TOO_LARGE, invalid.to_string(), Some("body_too_large")),
            false => Fault::InvalidValue(invalid.to_string()).into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match error.kind {
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            // Recorded where reach was checked; said in the words for a tenant that does not exist.
            ErrorKind::NotFound => return Failure { reason: None, ..Failure::unknown_tenant() },
            ErrorKind::Invalid => return Fault::InvalidValue(error.message).into(),
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Overloaded | ErrorKind::Unavailable => {
                tracing::warn!(?error, "activid");
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::Corrupt | ErrorKind::Internal => {
                tracing::error!(?error, "activid");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let retry_after_s = error.retry_after_s;
        Failure { retry_after_s, ..Failure::new(status, error.message, None) }
    }
}

impl From<AuthenticateError> for Failure {
    fn from(error: AuthenticateError) -> Failure {
        match error {
            AuthenticateError::Failed(error) => error.into(),
            // Which of the three it was is the trail's business, where the service has put it.
            AuthenticateError::Unknown | AuthenticateError::Expired { .. } | AuthenticateError::Revoked => {
                Failure::new(StatusCode::UNAUTHORIZED, "the token is unknown, expired or revoked", None)
            }
        }
    }
}

impl From<body::Error> for Failure {
    fn from(error: body::Error) -> Failure {
        match &error {
            body::Error::TooLarge { .. } => {
                let detail = format!("the body is over {BODY_BYTES_MAX} bytes");
                Failure::new(StatusCode::PAYLOAD_TOO_LARGE, detail, Some("body_too_large"))
            }
            body::Error::UnknownEncoding(_) => Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                error.to_string(),
                Some("unsupported_content_encoding"),
            ),
            body::Error::TooSlow(_) => Failure::new(StatusCode::REQUEST_TIMEOUT, error.to_string(), None),
            body::Error::Packed(..) => Fault::InvalidSyntax(error.to_string()).into(),
            body::Error::Broken(_) => Failure::new(StatusCode::BAD_REQUEST, error.to_string(), None),
        }
    }
}

/// The media type of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// `application/scim+json; charset=utf-8`.
    #[default]
    Scim,
    /// `application/json+scim`: the odd one of the vendor's samples.
    JsonScim,
    /// `application/json`.
    Json,
}

impl Media {
    /// What `Accept` asks for; the registered name wins, of the other two the one named first. Never a refusal.
    pub fn accepted(headers: &HeaderMap) -> Media {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let named = lines.flat_map(|line| line.split(',')).filter_map(Media::named);
        let mut first = None;
        for media in named {
            if media == Media::Scim {
                return Media::Scim;
            }
            first = first.or(Some(media));
        }
        first.unwrap_or_default()
    }

    /// The media type that a header's item names, whatever its parameters; one with weight zero is not wanted.
    pub fn named(item: &str) -> Option<Media> {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let unwanted = parts.any(|parameter| {
            let weight = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
            weight.is_some_and(|(_, weight)| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        });
        let known = [
            ("application/scim+json", Media::Scim),
            ("application/json+scim", Media::JsonScim),
            ("application/json", Media::Json),
        ];
        known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name) && !unwanted).map(|(_, media)| media)
    }

    /// A reply of this type.
    pub fn reply(self, status: StatusCode, json: Vec<u8>) -> Response {
        let name = match self {
            Media::Scim => "application/scim+json; charset=utf-8",
            Media::JsonScim => "application/json+scim",
            Media::Json => "application/json",
        };
        (status, [(header::CONTENT_TYPE, name)], json).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_has_the_type_that_was_asked_for() {
        let check = |accept: &[&str], expected: Media| {
            let mut headers = HeaderMap::new();
            for line in accept {
                headers.append(header::ACCEPT, line.parse().unwrap());
            }
            assert_eq!(Media::accepted(&headers), expected, "{accept:?}");
        };
        check(&[], Media::Scim);
        check(&["*/*"], Media::Scim);
        check(&["text/html"], Media::Scim);
        check(&["application/json"], Media::Json);
        check(&["Application/JSON; charset=UTF-8, text/plain"], Media::Json);
        check(&["application/json+scim"], Media::JsonScim);
        check(&["application/json+scim, application/json"], Media::JsonScim);
        check(&["application/json", "application/scim+json"], Media::Scim);
        check(&["application/scim+json;q=0, application/json"], Media::Json);
        check(&["application/scim+json;q=0.1, application/json"], Media::Scim);
    }

    #[test]
    fn only_a_bad_request_has_a_scim_type() {
        for kind in ErrorKind::ALL {
            let failure = Failure::from(Error::new(kind, "message"));
            assert_eq!(failure.scim_type.is_some(), failure.status == StatusCode::BAD_REQUEST, "{kind:?}");
        }
    }
}
