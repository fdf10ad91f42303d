//! The native API: `/v1` for people's programs, `/l` for the files of transparency logs. See `/v1/openapi.json`.

mod accounts;
mod call;
pub mod events;
pub mod keys;
mod log_files;
pub mod logs;
pub mod openapi;
mod organisations;
mod outsiders;
mod paging;
mod parameters;
pub mod problem;
pub mod rules;
pub mod server;
mod session;
pub mod sessions;
mod tokens;
pub mod users;
pub mod wire;

pub use session::usable_scopes;

use axum::Router;
use axum::middleware::from_fn;
use http::Method;
use service::Verb;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};

use crate::http::path::is_under;
use crate::http::route::Needs;
use crate::{Context, Dialect};

/// The dialect, for the table.
pub const DIALECT: Dialect = Dialect {
    name: "native",
    routes: ROUTES,
    owns,
    mount,
    too_late: problem::too_late,
    is_unhurried: sessions::upload::is_unhurried,
    view: events::views::own,
};

routes! {
    /// Log in with name and password.
    POST "/v1/login" => session::login, Needs::Nothing;
    /// End the token in use.
    POST "/v1/logout" => session::logout, Needs::Credential;
    /// Who calls, and what the token may do.
    GET "/v1/me" => session::me, Needs::Verb(Verb::OwnProfile);
    /// Change one's own password.
    POST "/v1/me/password" => session::change_password, Needs::Verb(Verb::OwnProfile);
    /// List the organisations within reach.
    GET "/v1/orgs" => organisations::list, Needs::Verb(Verb::ReadOrganisations);
    /// Make an organisation.
    POST "/v1/orgs" => organisations::create, Needs::Verb(Verb::ManageOrganisations);
    /// Look at an organisation.
    GET "/v1/orgs/{org}" => organisations::show, Needs::Verb(Verb::ReadOrganisations);
    /// Change name or slug of an organisation.
    PATCH "/v1/orgs/{org}" => organisations::rename, Needs::Verb(Verb::ManageOrganisations);
    /// List accounts.
    GET "/v1/orgs/{org}/accounts" => accounts::list, Needs::Verb(Verb::ManageAccounts);
    /// Make an account.
    POST "/v1/orgs/{org}/accounts" => accounts::create, Needs::Verb(Verb::ManageAccounts);
    /// Look at an account.
    GET "/v1/accounts/{id}" => accounts::show, Needs::Verb(Verb::ManageAccounts);
    /// Change an account.
    PATCH "/v1/accounts/{id}" => accounts::change, Needs::Verb(Verb::ManageAccounts);
    /// List tokens.
    GET "/v1/orgs/{org}/tokens" => tokens::list, Needs::Verb(Verb::ManageTokens);
    /// Issue a token.
    POST "/v1/orgs/{org}/tokens" => tokens::issue, Needs::Verb(Verb::ManageTokens);
    /// Revoke a token.
    DELETE "/v1/tokens/{id}" => tokens::revoke, Needs::Verb(Verb::OwnProfile);
    /// List encryption keys.
    GET "/v1/orgs/{org}/keys" => keys::list, Needs::Verb(Verb::ManageKeys);
    /// Add an encryption key.
    POST "/v1/orgs/{org}/keys" => keys::add, Needs::Verb(Verb::ManageKeys);
    /// Encrypt everything to this key from now on.
    POST "/v1/orgs/{org}/keys/{name}/activate" => keys::activate, Needs::Verb(Verb::ManageKeys);
    /// Retire an encryption key.
    POST "/v1/orgs/{org}/keys/{name}/retire" => keys::retire, Needs::Verb(Verb::ManageKeys);
    /// Hand events in.
    POST "/v1/orgs/{org}/events" => events::ingest::ingest, Needs::Verb(Verb::IngestEvents);
    /// Read a page of events.
    GET "/v1/orgs/{org}/events" => events::list::list, Needs::Verb(Verb::ReadEvents);
    /// Follow events as they come.
    GET "/v1/orgs/{org}/events/follow" => events::follow::follow, Needs::Verb(Verb::ReadEvents);
    /// Count the events that a query finds.
    GET "/v1/orgs/{org}/events/summary" => events::summary::summary, Needs::Verb(Verb::ReadEvents);
    /// Read one event.
    GET "/v1/orgs/{org}/events/{seq}" => events::list::show, Needs::Verb(Verb::ReadEvents);
    /// See one event as each API shows it.
    GET "/v1/orgs/{org}/events/{seq}/views" => events::views::views, Needs::Verb(Verb::ReadEvents);
    /// Start recording a session.
    POST "/v1/orgs/{org}/sessions" => sessions::life::start, Needs::Verb(Verb::RecordSessions);
    /// List recorded sessions.
    GET "/v1/orgs/{org}/sessions" => sessions::read::list, Needs::Verb(Verb::ViewSessions);
    /// Look at a recorded session.
    GET "/v1/orgs/{org}/sessions/{session}" => sessions::read::show, Needs::Verb(Verb::ViewSessions);
    /// List the chunks of a recording.
    GET "/v1/orgs/{org}/sessions/{session}/chunks" => sessions::read::chunks, Needs::Verb(Verb::ViewSessions);
    /// Append one chunk to a recording.
    POST "/v1/orgs/{org}/sessions/{session}/chunks" => sessions::upload::chunk, Needs::Verb(Verb::RecordSessions);
    /// Append as many bytes as come.
    PUT "/v1/orgs/{org}/sessions/{session}/recording" => sessions::upload::recording, Needs::Verb(Verb::RecordSessions);
    /// Read a recording, or a range of it.
    GET "/v1/orgs/{org}/sessions/{session}/recording" => sessions::read::recording, Needs::Verb(Verb::ViewSessions);
    /// Search what was on the screen of a session.
    GET "/v1/orgs/{org}/sessions/{session}/content" => sessions::content::search, Needs::Verb(Verb::ViewSessions);
    /// List the commands of a session.
    GET "/v1/orgs/{org}/sessions/{session}/commands" => sessions::content::commands, Needs::Verb(Verb::ViewSessions);
    /// Read a screen of a session.
    GET "/v1/orgs/{org}/sessions/{session}/screen" => sessions::screens::screen, Needs::Verb(Verb::ViewSessions);
    /// Draw a screen of a session.
    GET "/v1/orgs/{org}/sessions/{session}/picture" => sessions::screens::picture, Needs::Verb(Verb::ViewSessions);
    /// Read a session from a moment on.
    GET "/v1/orgs/{org}/sessions/{session}/replay" => sessions::screens::replay, Needs::Verb(Verb::ViewSessions);
    /// Search what was on the screens of sessions.
    GET "/v1/orgs/{org}/content" => sessions::content::search_all, Needs::Verb(Verb::ViewSessions);
    /// Play a stretch of a recording.
    GET "/v1/orgs/{org}/sessions/{session}/playback" => sessions::playback::playback, Needs::Verb(Verb::ViewSessions);
    /// Finish recording a session.
    POST "/v1/orgs/{org}/sessions/{session}/finish" => sessions::life::finish, Needs::Verb(Verb::RecordSessions);
    /// Why a session has its score.
    GET "/v1/orgs/{org}/sessions/{session}/score" => users::explain, Needs::Verb(Verb::ViewSessions);
    /// List audited users.
    GET "/v1/orgs/{org}/users" => users::list, Needs::Verb(Verb::ViewSessions);
    /// Look at an audited user.
    GET "/v1/orgs/{org}/users/{user}" => users::show, Needs::Verb(Verb::ViewSessions);
    /// Compute a user's score again, as of a past time.
    GET "/v1/orgs/{org}/users/{user}/recomputed" => users::recomputed, Needs::Verb(Verb::ViewSessions);
    /// List detection rules.
    GET "/v1/orgs/{org}/rules" => rules::list, Needs::Verb(Verb::ReadEvents);
    /// How the server itself is set.
    GET "/v1/server/settings" => server::settings, Needs::Verb(Verb::ReadServerSettings);
    /// Build the baselines now.
    POST "/v1/orgs/{org}/baselines" => users::build, Needs::Verb(Verb::BuildBaselines);
    /// Look at an organisation's log.
    GET "/v1/orgs/{org}/log" => log_files::log, Needs::Verb(Verb::ReadProofs);
    /// Replace the key that signs the log.
    POST "/v1/orgs/{org}/log/rotate-key" => logs::rotate_key, Needs::Verb(Verb::ManageLogs);
    /// Forget the oldest events.
    POST "/v1/orgs/{org}/log/prune" => logs::prune, Needs::Verb(Verb::ManageLogs);
    /// Hold events.
    POST "/v1/orgs/{org}/log/hold" => logs::hold, Needs::Verb(Verb::ManageLogs);
    /// Close the log.
    POST "/v1/orgs/{org}/log/close" => logs::close, Needs::Verb(Verb::ManageLogs);
    /// Open a log in the place of one that takes no entries.
    POST "/v1/orgs/{org}/log/open" => logs::open, Needs::Verb(Verb::ManageLogs);
    /// Take a log up again.
    POST "/v1/orgs/{org}/log/adopt" => logs::adopt, Needs::Verb(Verb::ManageLogs);
    /// Acknowledge what is wrong with the log.
    POST "/v1/orgs/{org}/log/acknowledge" => logs::acknowledge, Needs::Verb(Verb::ManageLogs);
    /// Erase events.
    POST "/v1/orgs/{org}/erasures" => logs::erase, Needs::Verb(Verb::ManageLogs);
    /// Have the newest checkpoint stamped.
    POST "/v1/orgs/{org}/log/timestamps" => outsiders::stamp, Needs::Verb(Verb::ManageKeys);
    /// Bodies and salts, for others to check.
    GET "/v1/orgs/{org}/evidence" => outsiders::evidence, Needs::Verb(Verb::ReadProofs);
    /// Whether a query finds everything.
    GET "/v1/orgs/{org}/completeness" => outsiders::completeness, Needs::Verb(Verb::ReadProofs);
    /// The newest checkpoint of a log.
    GET "/l/{log}/checkpoint" => log_files::checkpoint, Needs::Verb(Verb::ReadProofs);
    /// A kept checkpoint of a log.
    GET "/l/{log}/checkpoint/{rest}" => log_files::checkpoint_at, Needs::Verb(Verb::ReadProofs);
    /// A tile or entry bundle of a log.
    GET "/l/{log}/tile/{*rest}" => log_files::tile, Needs::Verb(Verb::ReadProofs);
    /// An inclusion proof.
    GET "/l/{log}/proof/{rest}" => log_files::proof, Needs::Verb(Verb::ReadProofs);
    /// A consistency proof.
    GET "/l/{log}/extends" => log_files::extends, Needs::Verb(Verb::ReadProofs);
    /// The keys of a log.
    GET "/l/{log}/keys" => log_files::keys, Needs::Verb(Verb::ReadProofs);
    /// A key note of a log, proven.
    GET "/l/{log}/key-notes/{rest}" => log_files::key_note, Needs::Verb(Verb::ReadProofs);
    /// The trust policy of a log.
    GET "/l/{log}/policy" => outsiders::policy, Needs::Verb(Verb::ReadProofs);
    /// Time stamps of a log.
    GET "/l/{log}/timestamps" => outsiders::timestamps, Needs::Verb(Verb::ReadProofs);
    /// The state of a log.
    GET "/l/{log}/state" => log_files::state, Needs::Verb(Verb::ReadProofs);
    /// This API, described.
    GET "/v1/openapi.json" => openapi::document, Needs::Nothing;
}

fn owns(_: &Method, path: &str) -> bool {
    is_under(path, "/v1") || is_under(path, "/l")
}

fn mount(context: Context) -> Router {
    // Recordings go as they are: their length is promised, and parts of them are asked for by range.
    let compressible = DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    mounted(Router::new(), str::to_owned)
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(from_fn(problem::rendered))
        .layer(CompressionLayer::new().compress_when(compressible))
        .with_state(context)
}
