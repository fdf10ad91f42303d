//! The OpenAPI 3.1 document, made from the handlers' own annotations.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    accounts, events, keys, log_files, logs, organisations, outsiders, rules, server, session, sessions, tokens, users,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Counterfoil",
        description = "One tamper-evident audit trail. Errors are problem documents (RFC 9457); every answer carries X-Request-Id.",
    ),
    paths(
        session::login, session::logout, session::me, session::change_password,
        organisations::list, organisations::create, organisations::show, organisations::rename,
        accounts::list, accounts::create, accounts::show, accounts::change,
        tokens::list, tokens::issue, tokens::revoke,
        keys::list, keys::add, keys::activate, keys::retire,
        events::ingest::ingest, events::list::list, events::list::show, events::follow::follow,
        events::summary::summary, events::views::views,
        sessions::life::start, sessions::life::finish, sessions::upload::chunk, sessions::upload::recording,
        sessions::read::list, sessions::read::show, sessions::read::chunks, sessions::read::recording,
        sessions::content::search, sessions::content::search_all, sessions::content::commands,
        sessions::screens::screen, sessions::screens::picture, sessions::screens::replay,
        sessions::playback::playback,
        users::list, users::show, users::recomputed, users::explain, users::build,
        rules::list,
        server::settings,
        log_files::log, log_files::checkpoint, log_files::checkpoint_at, log_files::tile, log_files::proof,
        log_files::extends, log_files::keys, log_files::key_note, log_files::state,
        logs::rotate_key, logs::erase, logs::prune, logs::hold, logs::close, logs::open, logs::adopt, logs::acknowledge,
        outsiders::policy, outsiders::timestamps, outsiders::stamp, outsiders::evidence, outsiders::completeness,
        document,
    ),
    components(schemas(super::problem::Document, sessions::schema::Recording)),
    modifiers(&Bearer),
    security(("bearer" = [])),
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        api.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document as pretty JSON with a line feed at its end, the same at every call.
pub fn text() -> String {
    let mut text = Api::openapi().to_pretty_json().expect("the document has string keys only");
    text.push('\n');
    text
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "session", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)))]
pub async fn document() -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text()).into_response()
}
