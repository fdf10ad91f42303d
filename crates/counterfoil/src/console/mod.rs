//! The console: its files, signing in and out, and the cookie by which its script uses the native API.
//!
//! ```text
//! GET  /  /events  /sessions/…      the page; what it shows, its script asks of /v1 and /l
//! GET  /assets/…                    script and style, named by their content
//! GET  /viewer.html                 the offline viewer, to be kept
//! GET  /sign-in                     plain HTML, works without script
//! POST /sign-in  /sign-out  /sign-out-everywhere
//! ```
//!
//! A session is a token of the native API in a cookie that scripts cannot read. [`with_cookie`] makes of it what a program
//! sends, `Authorization: Bearer`, before the request reaches a dialect; so the console can do what the API can, no more.
//!
//! **Forged requests.** The cookie is `SameSite=Strict`. A request that changes something must also repeat, in the header
//! [`CSRF_HEADER`], what only a page of this origin can read: the cookie [`CSRF_COOKIE`], a hash of the session's secret.
//! Forms are taken only from this origin.

mod assets;
mod form;
mod page;
mod session;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use service::Service;
use tower_http::compression::CompressionLayer;

pub use session::with_cookie;

/// What the page may load: files of this origin, nothing inline, from nowhere else.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Everything that belongs to no dialect but to the console.
pub fn router(service: Service) -> Router {
    Router::new()
        .route("/sign-in", routing::get(session::sign_in_page).post(session::sign_in))
        .route("/sign-in.css", routing::get(page::style))
        .route("/sign-out", routing::post(session::sign_out))
        .route("/sign-out-everywhere", routing::post(session::sign_out_everywhere))
        .fallback(file)
        .with_state(service)
        .layer(CompressionLayer::new())
        .layer(map_response(guarded))
}

/// The layer around everything: see [`with_cookie`].
pub fn layered(router: Router) -> Router {
    router.layer(from_fn(with_cookie))
}

async fn file(State(_): State<Service>, request: Request) -> Response {
    if request.method() != axum::http::Method::GET && request.method() != axum::http::Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "this address is only read\n")
            .into_response();
    }
    let path = request.uri().path();
    match assets::find(path, request.headers()) {
        Some(found) => found,
        None if assets::is_view(path) => match assets::index() {
            Some(index) => index,
            None => page::not_built().into_response(),
        },
        None => page::not_found(path).into_response(),
    }
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let set = |headers: &mut HeaderMap, name: &'static str, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(headers, "content-security-policy", POLICY);
    set(headers, "x-content-type-options", "nosniff");
    set(headers, "referrer-policy", "same-origin");
    set(headers, "cross-origin-opener-policy", "same-origin");
    response
}

/// The header that repeats [`CSRF_COOKIE`].
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The cookie that scripts of this origin read.
pub const CSRF_COOKIE: &str = "counterfoil_csrf";
