//! The server itself: how it is set, and why so.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use service::Verb;
use utoipa::ToSchema;

use super::call::{Bearer, reply};
use super::problem::{Document, Result};
use crate::Context;

/// How the server is set.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = ServerSettings)]
pub struct Settings {
    /// Every setting, in the order of the documentation.
    pub settings: Vec<Setting>,
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ServerSetting)]
pub struct Setting {
    /// Its name, as the configuration file has it; of what no file can hold, the name of the flag or variable.
    pub name: String,
    /// What it is set to; null: to nothing. Of a secret: `set`, and nothing else.
    #[schema(value_type = Object)]
    pub value: Value,
    /// The value is a secret, or may hold one, and is never shown.
    pub is_secret: bool,
    /// What a number counts.
    pub unit: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
    /// What it does, in one line.
    pub about: String,
}

/// Where a setting's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ServerSettingOrigin)]
pub struct Origin {
    /// `default` (built in), `file`, `environment` or `flag`, in rising order of strength.
    pub kind: &'static str,
    /// The path of the file, the name of the variable, or the flag; null: it is built in.
    pub name: Option<String>,
}

/// Every setting of the server: what is in force, and which of file, environment and command line it came from. For
/// administrators of the organisation above all others. A secret is never shown, only that it is set.
#[utoipa::path(get, path = "/v1/server/settings", tag = "server",
    responses((status = 200, body = Settings), (status = 403, body = Document)))]
pub async fn settings(State(context): State<Context>, bearer: Bearer) -> Result<Response> {
    context.service.check_server(&bearer.0, Verb::ReadServerSettings)?;
    Ok(reply(StatusCode::OK, &context.settings.server))
}
