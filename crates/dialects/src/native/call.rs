//! What every handler starts with: who calls, about which organisation, with which body.

use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::{AuthenticateError, Caller, Error, ErrorKind, OrgId, Principal, Verb};

use super::problem::{Problem, Result, shown};
use crate::Context;
use crate::http::body;

/// A caller whose token holds.
pub struct Bearer(pub Principal);

impl FromRequestParts<Context> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Bearer> {
        let caller = parts.extensions.get::<Caller>().expect("the frame says for every request who is on the wire");
        let Some(token) = token(&parts.headers) else {
            context.service.record_refusal(None, caller, "no_credential");
            return Err(Problem::new(
                ErrorKind::Unauthenticated,
                "no token; send Authorization: Bearer with a token from POST /v1/login or from an administrator",
            ));
        };
        match context.service.authenticate(token, caller) {
            Ok(who) => Ok(Bearer(who)),
            Err(AuthenticateError::Failed(error)) => Err(error.into()),
            Err(
                why @ (AuthenticateError::Unknown | AuthenticateError::Expired { .. } | AuthenticateError::Revoked),
            ) => Err(Error::from(why).into()),
        }
    }
}

/// A caller whose token holds, and the organisation that the path names.
pub struct InOrg {
    /// The caller.
    pub who: Principal,
    /// The organisation: within the caller's reach.
    pub org: OrgId,
}

impl FromRequestParts<Context> for InOrg {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<InOrg> {
        let Bearer(who) = Bearer::from_request_parts(parts, context).await?;
        let text = path_parameter(parts, "org").await?;
        let org = context.service.resolve_org(&who, &text)?;
        Ok(InOrg { who, org })
    }
}

/// A part of the path that varies, decoded once, as text.
pub struct Segment(pub String);

impl FromRequestParts<Context> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Segment> {
        // Routes that use this have one part besides the organisation at most; it is the last one.
        let parameters = RawPathParams::from_request_parts(parts, &()).await.map_err(not_utf8)?;
        let last = parameters.iter().last().map(|(_, value)| value.to_owned());
        Ok(Segment(last.expect("the route has a part that varies, or it does not ask for one")))
    }
}

async fn path_parameter(parts: &mut Parts, name: &str) -> Result<String> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await.map_err(not_utf8)?;
    let found = parameters.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_owned());
    Ok(found.expect("the route has this part, or it does not ask for it"))
}

fn not_utf8(_: axum::extract::rejection::RawPathParamsRejection) -> Problem {
    Problem::invalid("the path is not UTF-8 after decoding its escapes")
}

impl InOrg {
    /// Refuses, and records it, before the body is read, when the caller may not do this here.
    pub fn must(&self, context: &Context, verb: Verb) -> Result<()> {
        Ok(context.service.check(&self.who, verb, self.org)?)
    }
}

impl Bearer {
    /// Refuses, and records it, before the body is read, when the caller may not do this anywhere.
    pub fn must(&self, context: &Context, verb: Verb) -> Result<()> {
        Ok(context.service.check(&self.0, verb, self.0.org)?)
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// The whole body, unpacked.
pub async fn bytes(context: &Context, request: Request, bytes_max: usize) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    Ok(body::read(&parts.headers, body, bytes_max, context.settings.body_patience).await?)
}

/// The whole body as JSON of a known shape; says where it does not fit.
pub async fn json<T: DeserializeOwned>(context: &Context, request: Request, bytes_max: usize) -> Result<T> {
    let body = bytes(context, request, bytes_max).await?;
    serde_json::from_slice(&body).map_err(|error| Problem::invalid(format!("the body does not read: {error}")))
}

/// An id in a path; one that is malformed is a thing that does not exist.
pub fn id<T: std::str::FromStr>(Segment(text): &Segment, what: &str) -> Result<T> {
    text.parse().map_err(|_| Problem::new(ErrorKind::NotFound, format!("no {what} {:?} within reach", shown(text))))
}

/// Runs what may read from disk where it may block.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> service::Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(panicked) => Err(Error::internal(panicked.to_string()).into()),
    }
}

/// A reply of JSON.
pub fn reply<T: Serialize>(status: StatusCode, document: &T) -> Response {
    reply_bytes(status, serde_json::to_vec(document).expect("documents have string keys, and memory does not fail"))
}

/// A reply of JSON that is already written.
pub fn reply_bytes(status: StatusCode, json: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}
