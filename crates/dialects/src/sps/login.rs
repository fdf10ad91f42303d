//! Logging in and out: Basic credentials for a cookie, and the challenge without which the vendor's libraries cannot.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use service::{Caller, LoginError, NewToken, Scope, Timestamp, TokenForm, Verb};

use super::call::Call;
use super::error::Failure;
use super::idle::{Idle, LIFE};
use super::message::{Meta, json_reply};
use super::parameters::Parameters;
use crate::Context;
use crate::http::OverTls;

const PATH: &str = "/api/authentication";
/// Wrong name and wrong password read the same.
const WRONG: &str = "wrong user name or password";

/// `GET /api/authentication`.
pub async fn log_in(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Extension(idle): Extension<Arc<Idle>>,
    request: Request,
) -> Response {
    let headers = request.headers();
    if !headers.contains_key(header::AUTHORIZATION)
        && let Ok(call) = Call::admit(&context, &idle, &caller, &request, None)
    {
        return welcome(call.remaining_s, None);
    }
    let over_tls = request.extensions().get::<OverTls>().is_some();
    match admitted(&context, &idle, &caller, headers, request.uri().query(), over_tls).await {
        Ok((remaining_s, cookie)) => welcome(remaining_s, Some(cookie)),
        Err(failure) => failure.reply(PATH, None),
    }
}

/// `DELETE /api/authentication`.
pub async fn log_out(State(context): State<Context>, Extension(idle): Extension<Arc<Idle>>, call: Call) -> Response {
    if let Some(token) = call.who.token {
        if let Err(error) = context.service.revoke_token(&call.who, token).await {
            return call.answer(Err(Failure::of(&error, PATH)));
        }
        idle.end(token);
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    let gone = "session_id=; expires=Thu, 1 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/";
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_static(gone));
    response
}

/// `GET /api/authentication/login_methods`: before anybody is logged in.
pub async fn login_methods() -> Response {
    let meta = Meta::of("/api/authentication/login_methods").into_value();
    let methods = json!([{"name": "local", "type": "password"}]);
    json_reply(StatusCode::OK, &json!({"login_methods": methods, "meta": meta}))
}

/// `GET /api/authentication/types`: what older clients ask.
pub async fn types() -> Response {
    let meta = Meta::of("/api/authentication/types").into_value();
    json_reply(StatusCode::OK, &json!({"types": {"basic": {}}, "meta": meta}))
}

fn welcome(remaining_s: u64, cookie: Option<HeaderValue>) -> Response {
    let meta = Meta::of(PATH).remaining(Some(remaining_s)).into_value();
    let mut response = json_reply(StatusCode::OK, &json!({"meta": meta}));
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

async fn admitted(
    context: &Context,
    idle: &Idle,
    caller: &Caller,
    headers: &HeaderMap,
    query: Option<&str>,
    over_tls: bool,
) -> Result<(u64, HeaderValue), Failure> {
    let service = &context.service;
    let Some(credentials) = headers.get(header::AUTHORIZATION) else {
        // The vendor's libraries begin without credentials; only the challenge makes them send some.
        service.record_refusal(None, caller, "no_credential");
        return Err(Failure::unauthenticated(PATH).challenging());
    };
    let refused = |why: &str| Failure::authentication(PATH, why).challenging();
    let Some((name, password)) = basic(credentials) else {
        let unread = service.login_unread(None, caller).await;
        return Err(unread.map_or_else(|e| Failure::of(&e, PATH), |()| refused("the credentials do not read")));
    };
    let parameters = Parameters::read(query)?;
    for (parameter, only) in [("login_method", "local"), ("type", "password")] {
        if parameters.text(parameter).is_some_and(|asked| asked != only) {
            let unread = service.login_unread(None, caller).await;
            let why = format!("{parameter} is not available here; there is {only}");
            return Err(unread.map_or_else(|e| Failure::of(&e, PATH), |()| refused(&why)));
        }
    }
    let who = match service.login(None, &name, &password, caller).await {
        Ok(who) => who,
        Err(LoginError::UnknownUser | LoginError::WrongPassword | LoginError::Disabled) => return Err(refused(WRONG)),
        Err(LoginError::Locked { .. }) => {
            return Err(refused("too many failed logins; the account is locked for a while"));
        }
        Err(LoginError::Failed(error)) => return Err(Failure::of(&error, PATH)),
    };
    if !who.may(Verb::ViewSessions) {
        service.record_refusal_of(&who, "may_not_view_sessions");
        return Err(Failure::unauthorized(PATH));
    }
    let new = NewToken {
        account: who.account,
        scopes: vec![Scope::Read],
        org: None,
        name: "sps session".to_owned(),
        ttl: Some(LIFE),
        form: TokenForm::Session,
    };
    let (token, secret) = service.issue_token(&who, new).await.map_err(|error| Failure::of(&error, PATH))?;
    let now = service.now();
    let remaining_s = idle.begin(token.id, now);
    Ok((remaining_s, cookie(&secret, token.expires_at.unwrap_or(now), over_tls)))
}

/// The cookie as a real appliance sends it; some libraries take it apart by hand, so the order and the case count.
fn cookie(secret: &str, expires: Timestamp, secure: bool) -> HeaderValue {
    let expires = jiff::fmt::strtime::format("%a, %-d %b %Y %H:%M:%S GMT", expires).expect("a time of day has a text");
    let secure = if secure { "; Secure" } else { "" };
    let age = LIFE.as_secs();
    let text = format!("session_id={secret}; expires={expires}; HttpOnly; Max-Age={age}; Path=/{secure}");
    HeaderValue::try_from(text).expect("hexadecimal digits and a date make a header")
}

/// Name and password of a Basic header.
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.trim().split_once(' ')?;
    let bytes = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("Basic"))?;
    let (name, password) = String::from_utf8(bytes).ok()?.split_once(':').map(|(n, p)| (n.to_owned(), p.to_owned()))?;
    Some((name, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_as_clients_take_it_apart() {
        let at = Timestamp::from_second(1_709_647_651).unwrap();
        let check = |secure, expected: &str| assert_eq!(cookie("ab", at, secure).to_str().unwrap(), expected);
        check(true, "session_id=ab; expires=Tue, 5 Mar 2024 14:07:31 GMT; HttpOnly; Max-Age=43200; Path=/; Secure");
        check(false, "session_id=ab; expires=Tue, 5 Mar 2024 14:07:31 GMT; HttpOnly; Max-Age=43200; Path=/");
    }

    #[test]
    fn basic_credentials_are_utf_8_and_the_first_colon_parts_them() {
        let check = |header: &str, expected: Option<(&str, &str)>| {
            let found = basic(&HeaderValue::try_from(header).unwrap());
            assert_eq!(found.as_ref().map(|(name, password)| (name.as_str(), password.as_str())), expected, "{header}");
        };
        check("Basic YW5uOnNlOmNyZXQ=", Some(("ann", "se:cret")));
        check("basic  w6Q6w7Y=", Some(("ä", "ö")));
        check("Basic YW5u", None);
        check("Basic !!!", None);
        check("Bearer YW5uOnNlOmNyZXQ=", None);
        check("Basic", None);
    }
}
