//! The files of the built console, carried by the program if they were there when it was built.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rust_embed::RustEmbed;

/// In a debug build the files are read from the folder at each request.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Built;

/// Addresses that the page's own script understands; it shows what they name.
const VIEWS: [&str; 6] = ["events", "sessions", "users", "evidence", "administration", "overview"];

/// Files under this folder are named by their content, so they never change.
const HASHED: &str = "assets/";

/// Whether the page is what is asked for.
pub fn is_view(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    first.is_empty() || VIEWS.contains(&first)
}

/// The page. `None`: the console was not built.
pub fn index() -> Option<Response> {
    let file = Built::get("index.html")?;
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    Some((headers, Body::from(file.data.into_owned())).into_response())
}

/// A file of the console. `None`: there is none of that name.
pub fn find(path: &str, headers: &HeaderMap) -> Option<Response> {
    let name = path.strip_prefix('/')?;
    if name.is_empty() || name == "index.html" {
        return None;
    }
    let file = Built::get(name)?;
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let cache = match name.starts_with(HASHED) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal is ASCII");
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|given| *given == tag);
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(file.data.into_owned()).into_response(),
    };
    let out = response.headers_mut();
    out.insert(header::ETAG, tag);
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    if name == "viewer.html" {
        // It carries its script inside, for people who open it from their disk; here it would not be allowed to run.
        let attached = HeaderValue::from_static("attachment; filename=\"counterfoil-viewer.html\"");
        out.insert(header::CONTENT_DISPOSITION, attached);
    }
    Some(response)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_views_are_answered_with_the_page() {
        for path in ["/", "/events", "/events/12", "/sessions/abc", "/administration/tokens"] {
            assert!(is_view(path), "{path}");
        }
        for path in ["/eventsx", "/favicon.ico", "/assets/gone.js", "/.env", "/v2/orgs"] {
            assert!(!is_view(path), "{path}");
        }
    }
}
