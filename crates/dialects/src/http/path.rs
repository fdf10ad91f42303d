//! Paths as clients really send them.
//!
//! One public client glues `/api/` to a base that ends in a slash and so posts to `//api/`; no client follows a redirect
//! of a POST. So repeated slashes are collapsed before anything looks at a path, and nothing here ever redirects.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::uri::{PathAndQuery, Uri};
use tower::Service;

/// `path` with each run of slashes made one; `None` when it already is so. Escaped slashes (`%2F`) are not slashes here.
pub fn collapsed(path: &str) -> Option<String> {
    if !path.contains("//") {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    for character in path.chars() {
        if character == '/' && out.ends_with('/') {
            continue;
        }
        out.push(character);
    }
    Some(out)
}

/// `path` in lower case and without a trailing slash: how a dialect that matches without regard to case compares.
pub fn folded(path: &str) -> String {
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    if path.is_empty() { "/".to_owned() } else { path }
}

/// Whether `path` is `root` or lies under it, by whole segments.
pub fn is_under(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Gives the request another path and leaves its query alone.
pub fn set_path(request: &mut Request, path: &str) {
    let text = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    // The new path is made of bytes of the old one, so this cannot fail; if it did, the old path would be routed.
    if let Ok(path_and_query) = text.parse::<PathAndQuery>() {
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// `inner`, whose routes are registered in lower case and without a trailing slash, for clients that write paths in any
/// case and with one.
pub fn folding_case(inner: Router) -> Router {
    Router::new().fallback_service(Folding { inner, fold: folded })
}

/// `inner`, whose routes are registered without a trailing slash, for clients that write paths with one.
pub fn without_trailing_slash(inner: Router) -> Router {
    Router::new().fallback_service(Folding { inner, fold: trimmed })
}

/// `path` without a trailing slash.
fn trimmed(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}

#[derive(Clone)]
struct Folding {
    inner: Router,
    fold: fn(&str) -> String,
}

impl Service<Request> for Folding {
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as Service<Request>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let path = (self.fold)(request.uri().path());
        set_path(&mut request, &path);
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_slashes_become_one_and_escaped_ones_stay() {
        assert_eq!(collapsed("/api/"), None);
        assert_eq!(collapsed("//api//x/").as_deref(), Some("/api/x/"));
        assert_eq!(collapsed("////").as_deref(), Some("/"));
        assert_eq!(collapsed("/v1/orgs/A%2F%2FB//events").as_deref(), Some("/v1/orgs/A%2F%2FB/events"));
    }

    #[test]
    fn folding_keeps_the_root_and_drops_trailing_slashes() {
        assert_eq!(folded("/API/UserAccount/LOGIN/"), "/api/useraccount/login");
        assert_eq!(folded("/"), "/");
    }

    #[test]
    fn a_place_is_whole_segments() {
        assert!(is_under("/v1", "/v1") && is_under("/v1/x", "/v1"));
        assert!(!is_under("/v10", "/v1") && !is_under("/", "/v1"));
    }

    #[test]
    fn a_new_path_keeps_the_query() {
        let mut request = Request::builder().uri("http://h//a?b=//c").body(axum::body::Body::empty()).unwrap();
        set_path(&mut request, "/a");
        assert_eq!(request.uri(), "http://h/a?b=//c");
    }
}
