//! The table of routes: one list makes the router, the access tests, the metrics' labels and the listing of the
//! command line, so that none of them can know a route the others do not.

use axum::response::Response;
use service::Verb;

/// One route of a dialect.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// The method in upper case.
    pub method: &'static str,
    /// The path as its users know it, with `{name}` for the parts that vary.
    pub path: &'static str,
    /// What a caller must show.
    pub needs: Needs,
    /// What it does, one line.
    pub about: &'static str,
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the route hands out credentials or tells only what everybody may know.
    Nothing,
    /// Any credential that holds, whatever it may do.
    Credential,
    /// A credential that may do this (the service's access table says which roles and scopes do).
    Verb(Verb),
}

/// Notes on the answer which row of the table gave it; the frame reads it for the metrics.
pub async fn stamp(spec: &'static RouteSpec, mut response: Response) -> Response {
    response.extensions_mut().insert(spec);
    response
}

/// Writes a dialect's routes once: `METHOD "path" => handler, what it needs;` with the doc comment as its description.
/// Gives `ROUTES` and `mounted`, which adds them all to a router.
macro_rules! routes {
    ($($(#[doc = $about:literal])+ $method:ident $path:literal => $handler:expr, $needs:expr;)+) => {
        /// Every route of this dialect.
        pub const ROUTES: &[$crate::http::route::RouteSpec] = &[$($crate::http::route::RouteSpec {
            method: stringify!($method),
            path: $path,
            needs: $needs,
            about: concat!($($about),+).trim_ascii(),
        }),+];

        /// `router` with every route of `ROUTES`; `registered` turns a path of the table into the one to match.
        fn mounted(
            mut router: axum::Router<$crate::Context>,
            registered: fn(&str) -> String,
        ) -> axum::Router<$crate::Context> {
            let mut specs = ROUTES.iter();
            $({
                let spec = specs.next().expect("the table and this function have the same rows");
                let endpoint = axum::routing::on(axum::routing::MethodFilter::$method, $handler)
                    .route_layer(axum::middleware::map_response(move |response| $crate::http::route::stamp(spec, response)));
                router = router.route(&registered(spec.path), endpoint);
            })+
            router
        }
    };
}
