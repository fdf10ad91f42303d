//! Silo log extraction: arrays of commands to one address, records by type and number. The wire is SPEC.md's.

mod argument;
mod commands;
pub mod envelope;
mod error;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{Method, header};
use service::Caller;

use crate::http::body;
use crate::http::route::Needs;
use crate::{Context, Dialect};
use envelope::BODY_BYTES_MAX;

/// The dialect, for the table.
pub const DIALECT: Dialect = Dialect {
    name: NAME,
    routes: ROUTES,
    owns,
    mount,
    too_late: |_| error::too_late(),
    is_unhurried: |_, _| false,
    view: |_, org, event| commands::view(org, event),
};

const NAME: &str = "silo";

routes! {
    /// Run an array of commands; the credential is the command setauth.
    POST "/" => run, Needs::Nothing;
    /// The same.
    POST "/api" => run, Needs::Nothing;
    /// The same; the address that the vendor documents.
    POST "/api/" => run, Needs::Nothing;
}

/// `/` is shared: whoever looks at it with a browser wants the console.
fn owns(method: &Method, path: &str) -> bool {
    match path {
        "/api" | "/api/" => true,
        "/" => ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method),
        _ => false,
    }
}

fn mount(context: Context) -> Router {
    mounted(Router::new(), str::to_owned)
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::wrong_method)
        .with_state(context)
}

async fn run(State(context): State<Context>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match body::read(&parts.headers, body, BODY_BYTES_MAX, context.settings.body_patience).await {
        Ok(body) => body,
        Err(error) => return error::unreadable(&error),
    };
    // Records are read from disk, and commands follow one another: the whole array is one piece of blocking work.
    let work = tokio::task::spawn_blocking(move || {
        let commands = envelope::read(&body)?;
        Ok(commands::run(&context, &caller, &commands))
    });
    match work.await {
        Ok(Ok(reply)) => ([(header::CONTENT_TYPE, "application/json")], reply).into_response(),
        Ok(Err(refused)) => error::refused(refused),
        Err(error) => error::broken(&error),
    }
}
