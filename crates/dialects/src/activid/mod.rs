//! SCIM audit events: tokens in, searches out, verification on request. The wire is SPEC.md's.

pub mod error;
pub mod filter;
mod oauth;
mod search;
pub mod time;
pub mod token;
mod translate;
pub mod wire;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Router, body::Bytes};
use http::{HeaderMap, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use service::{Caller, Event, IngestOptions, ItemError, NewEvent, OrgId, OrgInfo, Principal, Verb};

use crate::http::body;
use crate::http::path::is_under;
use crate::http::route::Needs;
use crate::{Context, Dialect, View};
use error::{Failure, Media};
use filter::Filter;
use token::Token;
use translate::{Place, Reading};
use wire::{BODY_BYTES_MAX, Search};

/// The dialect, for the table.
pub const DIALECT: Dialect = Dialect {
    name: NAME,
    routes: ROUTES,
    owns,
    mount,
    too_late: |_| Failure::too_late().reply(Media::default()),
    is_unhurried: |_, _| false,
    view,
};

/// One event as the claims of its token.
fn view(context: &Context, org: &OrgInfo, event: &Event) -> View {
    let place = Place::new(&context.service.instance().audit_host, &org.slug);
    let claims = Reading::of(event, &place).claims(&place, &time::created(event.recorded_at(), None));
    View::Shown {
        json: String::from_utf8_lossy(&claims).into_owned(),
        note: Some("the claims; on the wire they are the middle part of an unsigned event token"),
    }
}

const NAME: &str = "activid";

routes! {
    /// Get an access token for an account's name and secret.
    POST "/idp/{tenant}/authn/token" => oauth::token, Needs::Nothing;
    /// The same; the address that the vendor documents.
    POST "/{tenant}/authn/token" => oauth::token, Needs::Nothing;
    /// Take in one event token.
    POST "/scim/{tenant}/v2/Event" => create, Needs::Verb(Verb::IngestEvents);
    /// The same.
    POST "/scim/{tenant}/v2/Event/" => create, Needs::Verb(Verb::IngestEvents);
    /// Find events, and verify what is found.
    POST "/scim/{tenant}/v2/Event/.search" => find, Needs::Verb(Verb::ReadEvents);
    /// The same.
    POST "/scim/{tenant}/v2/Event/.search/" => find, Needs::Verb(Verb::ReadEvents);
}

fn owns(_: &Method, path: &str) -> bool {
    is_under(path, "/scim") || is_under(path, "/idp") || tenant_part(path).is_some()
}

fn mount(context: Context) -> Router {
    mounted(Router::new(), str::to_owned)
        // There is no reading of one event, so there is nothing else to be done at its address either.
        .route("/scim/{tenant}/v2/Event/{id}", axum::routing::any(one_event))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(context)
}

async fn one_event(method: Method, headers: HeaderMap) -> Response {
    let failure = if method == Method::POST { Failure::unknown_path() } else { Failure::wrong_method() };
    failure.reply(Media::accepted(&headers))
}

async fn unknown_path(headers: HeaderMap) -> Response {
    Failure::unknown_path().reply(Media::accepted(&headers))
}

async fn wrong_method(request: Request) -> Response {
    match is_under(request.uri().path(), "/scim") {
        true => Failure::wrong_method().reply(Media::accepted(request.headers())),
        false => oauth::wrong_method(),
    }
}

/// The part of a path that names a tenant, as it stands there.
fn tenant_part(path: &str) -> Option<&str> {
    let mut parts = path.strip_prefix('/')?.splitn(4, '/');
    match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        (tenant, "authn", Some("token"), None) if !tenant.is_empty() => Some(tenant),
        ("scim" | "idp", tenant, _, _) => Some(tenant),
        _ => None,
    }
}

/// The tenant that a path names, in lower case; `None` when it is not UTF-8.
fn tenant(path: &str) -> Option<String> {
    let name = percent_decode_str(tenant_part(path)?).decode_utf8().ok()?;
    Some(name.to_lowercase())
}

async fn create(State(context): State<Context>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let media = Media::accepted(request.headers());
    let call = match Call::admit(&context, &caller, request.uri().path(), request.headers(), Verb::IngestEvents) {
        Ok(call) => call,
        Err(failure) => return failure.reply(media),
    };
    match call.created(&context, request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => call.refused(&context, failure).reply(media),
    }
}

async fn find(State(context): State<Context>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let media = Media::accepted(request.headers());
    let call = match Call::admit(&context, &caller, request.uri().path(), request.headers(), Verb::ReadEvents) {
        Ok(call) => call,
        Err(failure) => return failure.reply(media),
    };
    match call.found(&context, request).await {
        Ok(list) => media.reply(StatusCode::OK, list),
        Err(failure) => call.refused(&context, failure).reply(media),
    }
}

/// A request whose caller was let in.
struct Call {
    who: Principal,
    org: OrgId,
    tenant: String,
}

impl Call {
    /// Recognises the caller and finds the tenant. What is refused is recorded.
    fn admit(context: &Context, caller: &Caller, path: &str, headers: &HeaderMap, verb: Verb) -> Result<Call, Failure> {
        let service = &context.service;
        let tenant = tenant(path);
        let org = tenant.as_deref().and_then(|tenant| service.find_org_by_slug(tenant));
        let Some(token) = bearer(headers) else {
            service.record_refusal(org, caller, "no_credential");
            return Err(Failure::no_credential());
        };
        let who = service.authenticate(token, caller)?;
        let (Some(org), Some(tenant)) = (org, tenant) else {
            let failure = Failure::unknown_tenant();
            failure.reason.iter().for_each(|reason| service.record_refusal_of(&who, reason));
            return Err(failure);
        };
        service.check(&who, verb, org)?;
        Ok(Call { who, org, tenant })
    }

    /// Records a refusal, unless the service did already.
    fn refused(&self, context: &Context, failure: Failure) -> Failure {
        failure.reason.iter().for_each(|reason| context.service.record_refusal_of(&self.who, reason));
        failure
    }

    async fn created(&self, context: &Context, request: Request) -> Result<(), Failure> {
        let body = read(context, request).await?;
        let text = wire::event_token(&body)?;
        let token = Token::read(&text)?;
        // What is kept is what was sent, or nothing is: the evidence is made once.
        if token.as_sent() != text {
            return Err(Failure::internal("a token cannot be written again as it was sent"));
        }
        let event = NewEvent::build(&translate::draft(&token, &self.who))?;
        let results = context.service.ingest(&self.who, self.org, vec![Ok(event)], IngestOptions::default()).await?;
        match results.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(ItemError::Invalid(invalid))) => Err(invalid.into()),
            Some(Err(ItemError::NotTaken)) | None => Err(Failure::internal("an event was neither taken nor refused")),
        }
    }

    async fn found(&self, context: &Context, request: Request) -> Result<Vec<u8>, Failure> {
        let body = read(context, request).await?;
        let asked = Search::read(&body)?;
        let filter = Filter::read(&asked.filter)?;
        let (service, who, org) = (context.service.clone(), self.who.clone(), self.org);
        let place = Place::new(&service.instance().audit_host, &self.tenant);
        let work = tokio::task::spawn_blocking(move || {
            let answer = search::run(&service, &who, org, &place, &filter, asked.count)?;
            Ok(wire::event_list(&answer.tokens, answer.tainted))
        });
        work.await.unwrap_or_else(|stopped| Err(Failure::internal(&stopped.to_string())))
    }
}

/// The whole body, if it is of a type that is taken.
async fn read(context: &Context, request: Request) -> Result<Bytes, Failure> {
    let (parts, body) = request.into_parts();
    if let Some(value) = parts.headers.get(header::CONTENT_TYPE) {
        let name = String::from_utf8_lossy(value.as_bytes());
        let name = name.split(';').next().unwrap_or_default().trim();
        if Media::named(name).is_none() {
            return Err(Failure::media_type(name));
        }
    }
    Ok(body::read(&parts.headers, body, BODY_BYTES_MAX, context.settings.body_patience).await?)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_paths_are_its_own_and_no_others() {
        for path in ["/scim", "/scim/x", "/scim/acme/v2/Event", "/idp/acme/authn/token", "/idp/x", "/acme/authn/token"]
        {
            assert!(owns(&Method::POST, path), "{path}");
        }
        for path in ["/", "/authn/token", "//authn/token", "/a/b/authn/token", "/scimitar", "/acme/authn/tokens", "/x"]
        {
            assert!(!owns(&Method::POST, path), "{path}");
        }
    }

    #[test]
    fn the_tenant_is_a_part_of_the_path() {
        let check = |path: &str, expected: Option<&str>| assert_eq!(tenant(path).as_deref(), expected, "{path}");
        check("/scim/acme/v2/Event/", Some("acme"));
        check("/idp/ACME/authn/token", Some("acme"));
        check("/acme/authn/token", Some("acme"));
        check("/idp/authn/token", Some("idp"));
        check("/scim/%61cme/v2/Event", Some("acme"));
        check("/scim/%ff/v2/Event", None);
    }
}
