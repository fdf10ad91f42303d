//! The token endpoint: an account's name and secret for an access token. Source: `specs/scim-event.md` §2, RFC 6749.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::json;
use service::{Caller, Error, ErrorKind, LoginError, NewToken, OrgId, Principal, Scope, Timestamp, TokenForm};

use super::tenant;
use crate::Context;
use crate::http::body::{self, CREDENTIALS_BYTES_MAX};

/// How long a token works.
const TTL: Duration = Duration::from_secs(3_600);

/// What a token may be used for: creating external audit, and reading the audit log with its users.
const SCOPES: [Scope; 2] = [Scope::Ingest, Scope::Read];

/// The only grant there is.
const GRANT: &str = "client_credentials";

/// Hands out a token.
pub async fn token(State(context): State<Context>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let name = tenant(request.uri().path());
    let Some(tenant) = name.as_deref().and_then(|name| context.service.find_org_by_slug(name)) else {
        context.service.record_refusal(None, &caller, "unknown_tenant");
        return refusal(StatusCode::NOT_FOUND, Code::InvalidRequest, "no such tenant");
    };
    match issued(&context, tenant, &caller, request).await {
        Ok(reply) => uncached((StatusCode::OK, json_type(), reply).into_response()),
        Err(response) => response,
    }
}

/// The reply when something else than POST is sent.
pub fn wrong_method() -> Response {
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, Code::InvalidRequest, "tokens are asked for with POST");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn issued(context: &Context, tenant: OrgId, caller: &Caller, request: Request) -> Result<String, Response> {
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, CREDENTIALS_BYTES_MAX, context.settings.body_patience).await;
    let asked = body.map_err(|error| unreadable(&error)).and_then(|body| Asked::read(&parts.headers, &body));
    let asked = match asked {
        Ok(asked) => asked,
        Err(refused) => {
            // A try of which no name and secret could be read is still one, and in the trail before the reply.
            return Err(match context.service.login_unread(Some(tenant), caller).await {
                Ok(()) => refused,
                Err(error) => failed(&error),
            });
        }
    };
    let client = log_in(context, tenant, &asked, caller).await?;
    let scopes: Vec<Scope> = SCOPES.into_iter().filter(|scope| client.who.scopes.contains(scope)).collect();
    if scopes.is_empty() {
        context.service.record_refusal_of(&client.who, "secret_without_scope");
        return Err(invalid_client("the secret is a token that may neither ingest nor read"));
    }
    let ttl = client.ttl.min(TTL);
    let new = NewToken {
        account: client.who.account,
        scopes,
        // A token of a tenant is good for that one, and what lies below it, whatever the account could reach.
        org: Some(tenant),
        name: "access token".to_owned(),
        ttl: Some(ttl),
        form: TokenForm::Native,
    };
    let (_, secret) = context.service.issue_token(&client.who, new).await.map_err(|error| failed(&error))?;
    Ok(json!({"access_token": secret, "token_type": "Bearer", "expires_in": ttl.as_secs()}).to_string())
}

/// A client that was let in.
struct Client {
    who: Principal,
    /// How long its secret still works, at least a second.
    ttl: Duration,
}

/// The secret is a token that was issued to the account, else its password.
async fn log_in(context: &Context, tenant: OrgId, asked: &Asked, caller: &Caller) -> Result<Client, Response> {
    let service = &context.service;
    let by_token = service.login_with_token(&asked.client, &asked.secret, caller).await;
    let client = match by_token.map_err(|error| failed(&error))? {
        Some((who, end)) => Client { who, ttl: end.map_or(TTL, |end| left(end, service.now())) },
        None => match service.login(Some(tenant), &asked.client, &asked.secret, caller).await {
            Ok(who) => Client { who, ttl: TTL },
            Err(LoginError::UnknownUser | LoginError::WrongPassword | LoginError::Disabled) => {
                return Err(invalid_client("unknown client or wrong secret"));
            }
            Err(LoginError::Locked { until }) => return Err(locked(until)),
            Err(LoginError::Failed(error)) => return Err(failed(&error)),
        },
    };
    if service.get_org(&client.who, tenant).is_err() {
        // The service has recorded that the tenant is out of reach.
        return Err(invalid_client("unknown client or wrong secret"));
    }
    Ok(client)
}

fn left(end: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(end.duration_since(now).as_secs()).unwrap_or(0).max(1))
}

/// A request for a token.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    client: String,
    secret: String,
}

impl Asked {
    /// Reads the form, and the client's id and secret out of the header or the form, whichever has them.
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Asked, Response> {
        let bad = |what: &str| refusal(StatusCode::BAD_REQUEST, Code::InvalidRequest, what);
        let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(bad("send application/x-www-form-urlencoded"));
        }
        let form = Form::read(body).ok_or_else(|| bad("the body is not a form, or has a parameter twice"))?;
        match form.get("grant_type") {
            None => return Err(bad("grant_type is missing")),
            Some(GRANT) => {}
            Some(_) => {
                let what = format!("grant_type must be {GRANT}");
                return Err(refusal(StatusCode::BAD_REQUEST, Code::UnsupportedGrantType, &what));
            }
        }
        let asked = match basic(headers) {
            Basic::Given(asked) => {
                let same_client = form.get("client_id").is_none_or(|client| client == asked.client);
                if form.get("client_secret").is_some() || !same_client {
                    return Err(bad("the client is named twice; use the Authorization header or the body"));
                }
                asked
            }
            Basic::Broken => return Err(invalid_client("the Authorization header is not HTTP Basic")),
            Basic::None => {
                let part = |name| form.get(name).map(str::to_owned);
                match (part("client_id"), part("client_secret")) {
                    (Some(client), Some(secret)) => Asked { client, secret },
                    _ => return Err(invalid_client("client id and secret are missing")),
                }
            }
        };
        if asked.client.is_empty() || asked.secret.is_empty() {
            return Err(invalid_client("client id or secret is empty"));
        }
        Ok(asked)
    }
}

enum Basic {
    None,
    Broken,
    Given(Asked),
}

/// Id and secret of an `Authorization: Basic` header.
///
/// RFC 6749 §2.3.1 wants both escaped as in a form, and many clients do not do it. So escapes are undone where every `%`
/// begins one; `+` stays, because an unescaped one is far more common than a blank in a secret.
fn basic(headers: &HeaderMap) -> Basic {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Basic::None };
    let read = || {
        let (scheme, digits) = value.to_str().ok()?.trim().split_once(' ')?;
        let bytes = scheme.eq_ignore_ascii_case("Basic").then(|| STANDARD.decode(digits.trim()).ok())??;
        let text = String::from_utf8(bytes).ok()?;
        let (client, secret) = text.split_once(':')?;
        Some(Asked { client: unescaped(client).into_owned(), secret: unescaped(secret).into_owned() })
    };
    read().map_or(Basic::Broken, Basic::Given)
}

fn unescaped(text: &str) -> Cow<'_, str> {
    let is_escaped = text
        .split('%')
        .skip(1)
        .all(|after| after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    match percent_decode_str(text).decode_utf8() {
        Ok(read) if is_escaped => read,
        _ => Cow::Borrowed(text),
    }
}

/// The parameters of a form, each once.
struct Form(Vec<(String, String)>);

impl Form {
    /// `None` when an escape is not UTF-8, or a parameter comes twice (RFC 6749 §3.2).
    fn read(body: &[u8]) -> Option<Form> {
        let text = std::str::from_utf8(body).ok()?;
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in text.trim().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let read = |text: &str| {
                let blanks = text.replace('+', " ");
                percent_decode_str(&blanks).decode_utf8().ok().map(Cow::into_owned)
            };
            let (name, value) = (read(name)?, read(value)?);
            if parameters.iter().any(|(other, _)| *other == name) {
                return None;
            }
            parameters.push((name, value));
        }
        Some(Form(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The `error` of RFC 6749 §5.2.
#[derive(Clone, Copy)]
enum Code {
    InvalidRequest,
    InvalidClient,
    UnsupportedGrantType,
    /// Of §4.1.2.1, for want of a better one.
    TemporarilyUnavailable,
    ServerError,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Code::InvalidRequest => "invalid_request",
            Code::InvalidClient => "invalid_client",
            Code::UnsupportedGrantType => "unsupported_grant_type",
            Code::TemporarilyUnavailable => "temporarily_unavailable",
            Code::ServerError => "server_error",
        }
    }
}

fn refusal(status: StatusCode, code: Code, description: &str) -> Response {
    let document = json!({"error": code.as_str(), "error_description": description}).to_string();
    uncached((status, json_type(), document).into_response())
}

fn invalid_client(description: &str) -> Response {
    let mut response = refusal(StatusCode::UNAUTHORIZED, Code::InvalidClient, description);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    response
}

fn locked(until: Timestamp) -> Response {
    invalid_client(&format!("too many failures; try again after {until:.0}"))
}

fn unreadable(error: &body::Error) -> Response {
    let status = match error {
        body::Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        body::Error::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        body::Error::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        body::Error::Packed(..) | body::Error::Broken(_) => StatusCode::BAD_REQUEST,
    };
    refusal(status, Code::InvalidRequest, &error.to_string())
}

/// What kept the service from trying.
fn failed(error: &Error) -> Response {
    let (status, code) = match error.kind {
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::NotFound => {
            return invalid_client(&error.message);
        }
        ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::TooLarge => {
            (StatusCode::BAD_REQUEST, Code::InvalidRequest)
        }
        ErrorKind::Overloaded | ErrorKind::Unavailable => {
            tracing::warn!(?error, "activid");
            (StatusCode::SERVICE_UNAVAILABLE, Code::TemporarilyUnavailable)
        }
        ErrorKind::Corrupt | ErrorKind::Internal => {
            tracing::error!(?error, "activid");
            (StatusCode::INTERNAL_SERVER_ERROR, Code::ServerError)
        }
    };
    let mut response = refusal(status, code, &error.message);
    if let Some(seconds) = error.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn json_type() -> [(header::HeaderName, &'static str); 1] {
    [(header::CONTENT_TYPE, "application/json;charset=UTF-8")]
}

/// No answer of this endpoint may be kept on the way (RFC 6749 §5.1).
fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(authorization: Option<&str>, body: &str) -> Result<(String, String), u16> {
        let mut headers = HeaderMap::new();
        headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8"));
        if let Some(pair) = authorization {
            let value = format!("Basic {}", STANDARD.encode(pair));
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        let asked = Asked::read(&headers, body.as_bytes());
        asked.map(|asked| (asked.client, asked.secret)).map_err(|refused| refused.status().as_u16())
    }

    #[test]
    fn the_client_is_named_in_the_header_or_in_the_body() {
        let check = |authorization: Option<&str>, body: &str, client: &str, secret: &str| {
            assert_eq!(
                asked(authorization, body),
                Ok((client.to_owned(), secret.to_owned())),
                "{authorization:?} {body}"
            );
        };
        check(Some("ann:x"), "grant_type=client_credentials", "ann", "x");
        check(
            Some("ann@example.com:a:b+c d"),
            "grant_type=client_credentials&scope=openid",
            "ann@example.com",
            "a:b+c d",
        );
        check(Some("ann%40example.com:100%25"), "grant_type=client_credentials", "ann@example.com", "100%");
        check(Some("ann:100% sure"), "grant_type=client_credentials", "ann", "100% sure");
        check(Some("ann:x"), "grant_type=client_credentials&client_id=ann", "ann", "x");
        check(None, "grant_type=client_credentials&client_id=ann%40b&client_secret=a+b%2B", "ann@b", "a b+");
    }

    #[test]
    fn what_lacks_something_is_refused() {
        let check = |authorization: Option<&str>, body: &str, status: u16| {
            assert_eq!(asked(authorization, body), Err(status), "{authorization:?} {body}");
        };
        check(Some("ann:x"), "", 400);
        check(Some("ann:x"), "grant_type=password", 400);
        check(Some("ann:x"), "grant_type=client_credentials&grant_type=client_credentials", 400);
        check(Some("ann:x"), "grant_type=client_credentials&client_secret=x", 400);
        check(Some("ann:x"), "grant_type=client_credentials&client_id=ben", 400);
        check(Some("ann:x"), "grant_type=client_credentials&x=%ff", 400);
        check(Some("ann"), "grant_type=client_credentials", 401);
        check(Some(":x"), "grant_type=client_credentials", 401);
        check(Some("ann:"), "grant_type=client_credentials", 401);
        check(None, "grant_type=client_credentials", 401);
        check(None, "grant_type=client_credentials&client_id=ann", 401);
    }
}
