//! A request whose caller was let in: by the cookie of a login, before anything else is looked at.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use service::recordings::SessionId;
use service::{AuthenticateError, Caller, OrgId, Principal, TokenId, Verb};

use super::error::Failure;
use super::idle::Idle;
use super::message::Meta;
use super::parameters::Parameters;
use crate::Context;

/// A caller that may view sessions, with what was asked.
#[derive(Clone)]
pub struct Call {
    /// Who.
    pub who: Principal,
    /// The organisation whose sessions these are: the top of the caller's reach.
    pub org: OrgId,
    /// The path asked for, as it came.
    pub path: String,
    /// The query string, as it came.
    query: Option<String>,
    /// Seconds until the session would end.
    pub remaining_s: u64,
}

impl Call {
    /// Recognises the cookie, and that the caller may do this.
    ///
    /// # Errors
    /// `Unauthenticated`, `Unauthorized`.
    pub fn admit(
        context: &Context,
        idle: &Idle,
        caller: &Caller,
        request: &Request,
        verb: Option<Verb>,
    ) -> Result<Call, Failure> {
        Call::recognise(context, idle, caller, request.headers(), request.uri(), verb)
    }

    fn recognise(
        context: &Context,
        idle: &Idle,
        caller: &Caller,
        headers: &HeaderMap,
        uri: &http::Uri,
        verb: Option<Verb>,
    ) -> Result<Call, Failure> {
        let (service, path) = (&context.service, uri.path());
        let Some(secret) = session_id(headers) else {
            service.record_refusal(None, caller, "no_credential");
            return Err(Failure::unauthenticated(path));
        };
        let who = match service.authenticate(&secret, caller) {
            Ok(who) => who,
            Err(AuthenticateError::Failed(error)) => return Err(Failure::of(&error, path)),
            Err(_) => return Err(Failure::unauthenticated(path)),
        };
        let token: TokenId = who.token.expect("authenticate names the token");
        let Some(remaining_s) = idle.touch(token, service.now()) else {
            service.record_refusal_of(&who, "session_idle");
            return Err(Failure::unauthenticated(path));
        };
        let org = who.org;
        if let Some(verb) = verb {
            service.check(&who, verb, org).map_err(|error| Failure::of(&error, path))?;
        }
        Ok(Call { who, org, path: path.to_owned(), query: uri.query().map(ToOwned::to_owned), remaining_s })
    }

    /// The query parameters.
    ///
    /// # Errors
    /// See [`Parameters::read`].
    pub fn parameters(&self) -> Result<Parameters, Failure> {
        Parameters::read(self.query.as_deref())
    }

    /// `meta` of a reply to this request.
    pub fn meta(&self) -> Meta {
        Meta::of(&self.path).remaining(Some(self.remaining_s))
    }

    /// The reply, or the refusal in its shape.
    pub fn answer(&self, result: Result<Response, Failure>) -> Response {
        result.unwrap_or_else(|failure| failure.reply(&self.path, Some(self.remaining_s)))
    }

    /// A refusal of the service.
    pub fn refused(&self, error: &service::Error) -> Failure {
        Failure::of(error, &self.path)
    }

    /// The part of the path with this number, from 0, its escapes undone.
    ///
    /// # Errors
    /// `BadRequest`: it is not UTF-8.
    pub fn segment(&self, number: usize) -> Result<String, Failure> {
        let part = self.path.split('/').filter(|part| !part.is_empty()).nth(number).unwrap_or_default();
        let decoded = percent_decode_str(part).decode_utf8();
        decoded.map(Into::into).map_err(|_| Failure::bad_request("the path is not UTF-8"))
    }

    /// The session that the path names.
    ///
    /// # Errors
    /// `NotFound`: what stands there is not even an id.
    pub fn session_id(&self) -> Result<SessionId, Failure> {
        let text = self.segment(3)?;
        text.parse().map_err(|_| Failure::not_found("no such session"))
    }
}

impl FromRequestParts<Context> for Call {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Call, Response> {
        let (Some(idle), Some(caller)) = (parts.extensions.get::<Arc<Idle>>(), parts.extensions.get::<Caller>()) else {
            tracing::error!("a route of sps is mounted without its layers");
            return Err(Failure::internal().reply(parts.uri.path(), None));
        };
        let admitted = Call::recognise(context, idle, caller, &parts.headers, &parts.uri, Some(Verb::ViewSessions));
        admitted.map_err(|failure| failure.reply(parts.uri.path(), None))
    }
}

/// Whether a session is shown at all.
pub fn shows_session(headers: &HeaderMap) -> bool {
    session_id(headers).is_some()
}

/// The session's secret: of the cookie, else of a header of that name, as some vendor pages have it.
fn session_id(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let of_cookie = pairs.find(|(name, _)| *name == "session_id").map(|(_, value)| value.trim().to_owned());
    let of_header = || headers.get("session_id")?.to_str().ok().map(|value| value.trim().to_owned());
    of_cookie.or_else(of_header).filter(|secret| !secret.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_comes_before_the_header() {
        let check = |headers: &[(&'static str, &'static str)], expected: Option<&str>| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
                .collect();
            assert_eq!(session_id(&headers).as_deref(), expected);
        };
        check(&[("cookie", "a=b; session_id=12; x=y"), ("session_id", "34")], Some("12"));
        check(&[("cookie", "a=b"), ("session_id", "34")], Some("34"));
        check(&[("cookie", "session_id=")], None);
        check(&[], None);
    }
}
