//! Signing in and out, and the cookie in the place of a token.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dialects::http::OverTls;
use service::{Caller, ErrorKind, LoginError, NewToken, Service, TokenForm};
use sha2::{Digest as _, Sha256};

use super::form::{self, Form};
use super::page::{self, SignIn};
use super::{CSRF_COOKIE, CSRF_HEADER};

/// The cookie with the session's secret. Scripts cannot read it.
const COOKIE: &str = "counterfoil_session";
/// How long a session works.
const TTL: Duration = Duration::from_secs(12 * 3600);
/// What its token is called in lists.
const TOKEN_NAME: &str = "console";
/// Names of tokens that logging in makes, here and by the native API.
const LOGIN_NAMES: [&str; 2] = [TOKEN_NAME, "login"];
/// What the API is called in events.
const VIA: &str = "console";

/// `GET /sign-in`
pub async fn sign_in_page(RawQuery(query): RawQuery) -> Response {
    let form = Form::read(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let notice = match form.get("signed-out") {
        Some("everywhere") => Some("You are signed out everywhere."),
        Some(_) => Some("You are signed out."),
        None => None,
    };
    shown(StatusCode::OK, &SignIn { to: form::target(form.get("to")), notice, ..SignIn::default() })
}

/// `POST /sign-in`
pub async fn sign_in(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    over_tls: Option<Extension<OverTls>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let caller = Caller { dialect: VIA, ..caller };
    if !form::is_own(&headers) {
        return foreign();
    }
    let read = to_bytes(body, form::BYTES_MAX).await.ok().and_then(|body| Form::read(&body));
    let form = read.filter(|form| form.get("login").is_some() && form.get("password").is_some());
    let Some(form) = form else {
        if let Err(error) = service.login_unread(None, &caller).await {
            tracing::error!(?error, "a try to sign in could not be recorded");
        }
        let error = Some("The form did not arrive whole. Fill it in again.");
        return shown(StatusCode::BAD_REQUEST, &SignIn { to: "/", error, ..SignIn::default() });
    };
    let login = form.get("login").unwrap_or_default();
    let to = form::target(form.get("to"));
    let again = |status, error: &str| shown(status, &SignIn { to, login, error: Some(error), notice: None });
    let who = match service.login(None, login, form.get("password").unwrap_or_default(), &caller).await {
        Ok(who) => who,
        Err(LoginError::UnknownUser | LoginError::WrongPassword) => {
            return again(StatusCode::UNAUTHORIZED, "Unknown login name or wrong password.");
        }
        Err(LoginError::Locked { until }) => {
            let wait = until.duration_since(service.now()).as_secs().max(1);
            let minutes = (wait + 59) / 60;
            let plural = if minutes == 1 { "" } else { "s" };
            let text = format!(
                "Too many failed tries: locked. This one was not looked at; the next will be in {minutes} minute{plural}, \
                 after {until:.0} (UTC)."
            );
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, &text);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            return response;
        }
        Err(LoginError::Disabled) => return again(StatusCode::FORBIDDEN, "This account is switched off."),
        Err(LoginError::Failed(error)) => return failed(&error, &again),
    };
    let new = NewToken {
        account: who.account,
        scopes: dialects::native::usable_scopes(&who.roles),
        org: None,
        name: TOKEN_NAME.to_owned(),
        ttl: Some(TTL),
        form: TokenForm::Native,
    };
    let secret = match service.issue_token(&who, new).await {
        Ok((_, secret)) => secret,
        Err(error) => return failed(&error, &again),
    };
    let secure = if over_tls.is_some() { "; Secure" } else { "" };
    let age = TTL.as_secs();
    let csrf = csrf(&secret);
    see_other(
        to,
        [
            format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}"),
            format!("{CSRF_COOKIE}={csrf}; Path=/; SameSite=Strict; Max-Age={age}{secure}"),
        ],
    )
}

/// `POST /sign-out`
pub async fn sign_out(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    if !form::is_own(&headers) {
        return foreign();
    }
    if let Some(who) = cookie(&headers, COOKIE).and_then(|secret| service.authenticate(secret, &caller).ok())
        && let Some(token) = who.token
        && let Err(error) = service.revoke_token(&who, token).await
    {
        return not_done(&error);
    }
    see_other("/sign-in?signed-out=here", gone())
}

/// `POST /sign-out-everywhere`: ends every token of the account that came from logging in.
pub async fn sign_out_everywhere(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    if !form::is_own(&headers) {
        return foreign();
    }
    let who = cookie(&headers, COOKIE).and_then(|secret| service.authenticate(secret, &caller).ok());
    let Some(who) = who else { return see_other("/sign-in", gone()) };
    let tokens = match service.list_tokens(&who, Some(who.account)) {
        Ok(tokens) => tokens,
        Err(error) => return not_done(&error),
    };
    // The one in use goes last: until then the others can still be ended by it.
    let mut ended: Vec<_> = tokens
        .into_iter()
        .filter(|token| token.revoked_at.is_none() && LOGIN_NAMES.contains(&token.name.as_str()))
        .collect();
    ended.sort_by_key(|token| Some(token.id) == who.token);
    for token in ended {
        if let Err(error) = service.revoke_token(&who, token.id).await {
            return not_done(&error);
        }
    }
    see_other("/sign-in?signed-out=everywhere", gone())
}

/// Lets the console's script use the native API: a request without a token of its own gets the one of the cookie.
///
/// One that changes something and does not repeat [`CSRF_COOKIE`] in [`CSRF_HEADER`] is refused.
pub async fn with_cookie(mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_native = ["/v1/", "/l/"].iter().any(|start| path.starts_with(start));
    if !is_native || request.headers().contains_key(header::AUTHORIZATION) {
        return next.run(request).await;
    }
    let Some(secret) = cookie(request.headers(), COOKIE).map(str::to_owned) else { return next.run(request).await };
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if !is_safe {
        let given = request.headers().get(CSRF_HEADER).map(HeaderValue::as_bytes);
        // Both are hashes of a secret: a comparison that ends early tells nothing of it.
        if given != Some(csrf(&secret).as_bytes()) {
            let detail = format!(
                "a request that changes something and comes with the console's cookie must repeat the cookie {CSRF_COOKIE} in the \
                 header {CSRF_HEADER}; programs send Authorization: Bearer instead"
            );
            let document = serde_json::json!({
                "type": "urn:counterfoil:problem:forbidden", "title": "not allowed", "status": 403, "detail": detail,
            });
            let headers = [(header::CONTENT_TYPE, "application/problem+json")];
            return (StatusCode::FORBIDDEN, headers, document.to_string()).into_response();
        }
    }
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer {secret}")) {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    next.run(request).await
}

/// What a page of this origin can show and no other can know.
fn csrf(secret: &str) -> String {
    hex::encode(Sha256::new().chain_update(b"counterfoil console csrf 1\n").chain_update(secret.as_bytes()).finalize())
}

/// The first cookie of this name.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(other, value)| *other == name && !value.is_empty()).map(|(_, value)| value)
}

fn gone() -> [String; 2] {
    [
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"),
        format!("{CSRF_COOKIE}=; Path=/; SameSite=Strict; Max-Age=0"),
    ]
}

fn see_other(to: &str, cookies: [String; 2]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    for cookie in cookies {
        let value = HeaderValue::from_str(&cookie).expect("secrets and hashes are printable ASCII");
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

fn shown(status: StatusCode, what: &SignIn<'_>) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], page::sign_in(what)).into_response()
}

fn foreign() -> Response {
    let error = Some("This form was sent by a page of another site and was not looked at. Sign in here.");
    shown(StatusCode::FORBIDDEN, &SignIn { to: "/", error, ..SignIn::default() })
}

fn failed(error: &service::Error, again: &dyn Fn(StatusCode, &str) -> Response) -> Response {
    match error.kind {
        ErrorKind::Overloaded => again(StatusCode::SERVICE_UNAVAILABLE, "Too many people sign in at once. Try again."),
        _ => {
            tracing::error!(?error, "signing in");
            again(
                StatusCode::SERVICE_UNAVAILABLE,
                "The trail takes no entries now, so nobody can sign in. Try again later.",
            )
        }
    }
}

fn not_done(error: &service::Error) -> Response {
    tracing::error!(?error, "signing out");
    let error = Some("Signing out could not be recorded, so the session is still open. Try again.");
    shown(StatusCode::SERVICE_UNAVAILABLE, &SignIn { to: "/", error, ..SignIn::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_a_name_counts_and_an_empty_one_is_none() {
        let check = |text: &'static str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_static(text));
            assert_eq!(cookie(&headers, COOKIE), expected, "{text}");
        };
        check("a=b; counterfoil_session=cf_1; counterfoil_session=cf_2", Some("cf_1"));
        check("counterfoil_session=", None);
        check("xcounterfoil_session=1", None);
    }
}
