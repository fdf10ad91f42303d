//! Octopai user events: log in, then read the paged list of what users did. The wire is SPEC.md's, fact by fact.

mod error;
mod jwt;
mod time;
mod translate;
mod wire;

use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Router, body::Bytes};
use http::{HeaderMap, Method, StatusCode, header};
use service::query::OFFSET_MAX;
use service::{
    AuthenticateError, Caller, ErrorKind, LoginError, NewToken, OrgId, Principal, Scope, Surface, Timestamp, TokenForm,
    Verb,
};

use crate::http::body::{self, CREDENTIALS_BYTES_MAX};
use crate::http::path;
use crate::http::route::Needs;
use crate::{Context, Dialect};
use error::Challenge;
use wire::{Login, LoginReply, PageRequest, RefreshToken};

/// The dialect, for the table.
pub const DIALECT: Dialect = Dialect {
    name: NAME,
    routes: ROUTES,
    owns,
    mount,
    too_late: |_| error::too_late(),
    is_unhurried: |_, _| false,
    view: |_, _, event| translate::view(event),
};

const NAME: &str = "octopai";
const ACCESS_TTL: Duration = Duration::from_secs(jwt::LIFETIME_S as u64);
/// Source: the vendor's page on authentication.
const REFRESH_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Source: the vendor's page on authentication, the only value shown.
const MODULES: &str = "lineage;e2e;discovery;compare;adc;adc dashboard;livelineage";
/// Wrong password and unknown user read the same.
const WRONG_LOGIN: &str = "Invalid user name or password";
const LOCKED: &str = "User is locked";
const WRONG_REFRESH: &str = "Invalid refresh token";

/// What an operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `iss` of the access tokens.
    pub issuer: String,
    /// `aud` of the access tokens.
    pub audience: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { issuer: "counterfoil".to_owned(), audience: "counterfoil".to_owned() }
    }
}

routes! {
    /// Log in with name and password.
    POST "/api/UserAccount/Login" => login, Needs::Nothing;
    /// Exchange a refresh token for fresh tokens; the credential is in the body.
    POST "/api/UserAccount/RefreshToken" => refresh, Needs::Nothing;
    /// A page of what users did, newest first; administrators only.
    POST "/api/UserAccount/UserEvents" => user_events, Needs::Verb(Verb::ReadEvents);
}

fn owns(_: &Method, path: &str) -> bool {
    path::is_under(&path::folded(path), "/api/useraccount")
}

fn mount(context: Context) -> Router {
    let inner = mounted(Router::new(), path::folded).fallback(async || StatusCode::NOT_FOUND).with_state(context);
    path::folding_case(inner)
}

async fn login(State(context): State<Context>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let customer = customer(&context, &request);
    let login = match read(&context, request).await {
        Ok(body) => Login::read(&body).map_err(error::validation),
        Err(error) => Err(error::unreadable(error)),
    };
    let login = match login {
        Ok(login) => login,
        Err(refusal) => {
            // A try of which no name and password could be read is still one, and in the trail before the reply.
            return match context.service.login_unread(customer, &caller).await {
                Ok(()) => refusal,
                Err(error) => error::refused(&error),
            };
        }
    };
    let who = match context.service.login(customer, &login.user_name, &login.password, &caller).await {
        Ok(who) => who,
        // That the account is switched off is nobody's business here; the vendor has no word for it.
        Err(LoginError::UnknownUser | LoginError::WrongPassword | LoginError::Disabled) => {
            return failed(WRONG_LOGIN);
        }
        Err(LoginError::Locked { .. }) => return failed(LOCKED),
        Err(LoginError::Failed(error)) => return error::refused(&error),
    };
    // An account of one customer does not log in at another one's host name.
    if let Some(customer) = customer
        && context.service.get_org(&who, customer).is_err()
    {
        context.service.record_refusal(Some(customer), &caller, "account_of_another_customer");
        return failed(WRONG_LOGIN);
    }
    welcome(&context, &who).await
}

async fn refresh(State(context): State<Context>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let body = match read(&context, request).await {
        Ok(body) => body,
        Err(error) => return error::unreadable(error),
    };
    let token = match wire::refresh_token(&body) {
        Ok(token) => token,
        Err(wrong) => return error::validation(wrong),
    };
    match context.service.redeem_refresh(&token, &caller).await {
        Ok(who) => welcome(&context, &who).await,
        Err(AuthenticateError::Unknown | AuthenticateError::Expired { .. } | AuthenticateError::Revoked) => {
            failed(WRONG_REFRESH)
        }
        // It holds, but not for this: an access token, say.
        Err(AuthenticateError::Failed(error)) if error.kind == ErrorKind::Forbidden => failed(WRONG_REFRESH),
        Err(AuthenticateError::Failed(error)) => error::refused(&error),
    }
}

async fn user_events(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let customer = customer(&context, &request);
    let who = match recognised(&context, request.headers(), customer, &caller) {
        Ok(who) => who,
        Err(response) => return response,
    };
    let org = customer.unwrap_or(who.org);
    if !who.is_admin() {
        context.service.record_refusal(Some(who.org), &caller, "not_an_administrator");
        return StatusCode::FORBIDDEN.into_response();
    }
    let body = match read(&context, request).await {
        Ok(body) => body,
        Err(error) => return error::unreadable(error),
    };
    let page = match PageRequest::read(&body) {
        Ok(page) => page,
        Err(wrong) => return error::validation(wrong),
    };
    let rows = page.rows as usize;
    let read = tokio::task::spawn_blocking(move || {
        let filter = Surface::UserEvents.query_all();
        // The service skips only so many rows. Past that, a page past the end is still `[]`, and only one that would
        // have rows is refused.
        let cap = page.offset.saturating_add(1);
        if page.offset > OFFSET_MAX && context.service.count(&who, org, &filter, cap)? <= page.offset {
            return Ok(translate::rows(&[]));
        }
        let events = context.service.query_by_time(&who, org, &filter, page.offset, rows)?;
        Ok(translate::rows(&events))
    });
    match read.await.unwrap_or_else(|error| Err(service::Error::internal(error.to_string()))) {
        Ok(rows) => json(rows),
        // A token of one customer at another one's host name is no token there.
        Err(error) if error.kind == ErrorKind::NotFound => error::unauthenticated(Challenge::Invalid),
        Err(error) => error::refused(&error),
    }
}

/// The account behind the bearer token, or the reply that refuses it.
fn recognised(
    context: &Context,
    headers: &HeaderMap,
    customer: Option<OrgId>,
    caller: &Caller,
) -> Result<Principal, Response> {
    let Some(token) = bearer(headers) else {
        context.service.record_refusal(customer, caller, "no_credential");
        return Err(error::unauthenticated(Challenge::Missing));
    };
    let Some(claims) = signer(context).open(token) else {
        context.service.record_refusal(customer, caller, "altered_token");
        return Err(error::unauthenticated(Challenge::Invalid));
    };
    let refused = match context.service.authenticate(token, caller) {
        Ok(who) => return Ok(who),
        Err(refused) => refused,
    };
    let end = Timestamp::from_second(claims.exp).ok();
    Err(match refused {
        AuthenticateError::Failed(error) => error::refused(&error),
        AuthenticateError::Revoked => error::unauthenticated(Challenge::Invalid),
        AuthenticateError::Expired { at } => error::unauthenticated(Challenge::Expired(at)),
        // We signed it, so the service knew it once: it may have forgotten a token that ended long ago.
        AuthenticateError::Unknown => error::unauthenticated(match end {
            Some(end) if end <= context.service.now() => Challenge::Expired(end),
            _ => Challenge::Invalid,
        }),
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// The customer that the request names: by the first label of its host, else of `X-Octopai-Host`. SPEC.md §1.
fn customer(context: &Context, request: &Request) -> Option<OrgId> {
    let host = request.uri().host().or_else(|| request.headers().get(header::HOST)?.to_str().ok());
    let second = request.headers().get("x-octopai-host").and_then(|value| value.to_str().ok());
    [host, second].into_iter().flatten().find_map(|host| context.service.find_org_by_slug(&first_label(host)?))
}

fn first_label(host: &str) -> Option<String> {
    let name = host.trim().rsplit_once(':').map_or(host.trim(), |(name, _)| name);
    let is_address = name.parse::<std::net::IpAddr>().is_ok() || name.starts_with('[');
    let label = name.split('.').next().filter(|label| !label.is_empty() && !is_address)?;
    Some(label.to_ascii_lowercase())
}

/// The reply to whoever is let in: fresh tokens.
async fn welcome(context: &Context, who: &Principal) -> Response {
    match issued(context, who).await {
        Ok(reply) => json(serde_json::to_vec(&reply).expect("strings and booleans always serialise")),
        Err(error) => error::refused(&error),
    }
}

async fn issued(context: &Context, who: &Principal) -> service::Result<LoginReply> {
    let new = |scope, ttl, name: &str, form| NewToken {
        account: who.account,
        scopes: vec![scope],
        org: None,
        name: name.to_owned(),
        ttl: Some(ttl),
        form,
    };
    let (refresh, refresh_secret) = context
        .service
        .issue_token(who, new(Scope::Refresh, REFRESH_TTL, "octopai refresh token", TokenForm::Refresh))
        .await?;
    // The refresh token's id is random and of this login alone, so it makes the access token unlike any other.
    let nonce = *refresh.id.as_bytes();
    let now_s = context.service.now().as_second();
    let claims =
        jwt::Claims::new(&who.name, &who.display_name, who.is_admin(), now_s, &context.settings.octopai, nonce);
    let token = signer(context).sign(&claims);
    let (access, token) = context
        .service
        .issue_token(who, new(Scope::Read, ACCESS_TTL, "octopai access token", TokenForm::Supplied(token)))
        .await?;
    Ok(LoginReply {
        access_token: Some(token),
        expiration: access.expires_at.map(time::text),
        refresh_token: Some(RefreshToken {
            token: refresh_secret,
            expiration: refresh.expires_at.map(time::text).unwrap_or_default(),
        }),
        user_name: Some(who.name.clone()),
        display_name: Some(who.display_name.clone()),
        is_admin: who.is_admin(),
        auth_level: Some(if who.is_admin() { "ADMIN" } else { "USER" }),
        display_modules: Some(MODULES),
        ..LoginReply::default()
    })
}

fn signer(context: &Context) -> jwt::Signer {
    jwt::Signer::new(context.service.derive_secret("octopai access tokens"))
}

/// A failed login is the reply of a good one with `error` filled; its status is 200. SPEC.md §2.
fn failed(error: &'static str) -> Response {
    let reply = LoginReply { error: Some(error), ..LoginReply::default() };
    json(serde_json::to_vec(&reply).expect("strings and booleans always serialise"))
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

async fn read(context: &Context, request: Request) -> Result<Bytes, body::Error> {
    let (parts, body) = request.into_parts();
    body::read(&parts.headers, body, CREDENTIALS_BYTES_MAX, context.settings.body_patience).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_customer_is_the_first_label_of_a_name_and_never_of_an_address() {
        let check = |host: &str, expected: Option<&str>| assert_eq!(first_label(host).as_deref(), expected, "{host}");
        check("Acme.octopai.com", Some("acme"));
        check("acme.octopai.com:8443", Some("acme"));
        check("localhost:8080", Some("localhost"));
        check("127.0.0.1", None);
        check("127.0.0.1:8080", None);
        check("[::1]:8080", None);
        check("[::1]", None);
        check("", None);
        check(".x", None);
    }
}
