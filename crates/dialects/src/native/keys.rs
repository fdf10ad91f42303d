//! Encryption keys of an organisation: list, add, activate, retire. Public keys only.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service::{KeyInfo, Verb};
use utoipa::ToSchema;

use super::call::{InOrg, Segment, json, reply};
use super::problem::{Document, Result};
use super::wire::time;
use crate::Context;
use crate::http::body::ADMINISTRATION_BYTES_MAX;

/// A public key, and what it is used for.
#[derive(Serialize, ToSchema)]
#[schema(as = EncryptionKey)]
pub struct Key {
    /// The name that the organisation gave it; each record encrypted to it carries the name in clear.
    pub name: String,
    /// `legacy` (SECCURE) or `standard` (ECDH on P-256, AES-256-GCM).
    pub scheme: &'static str,
    /// `inactive`, `active` or `retired`. At most one key is active.
    pub state: &'static str,
    /// 40 characters of SECCURE public key, or PEM.
    pub public_key: String,
    /// When it was added.
    pub added_at: String,
    /// When it was last activated.
    pub activated_at: Option<String>,
    /// When it was retired.
    pub retired_at: Option<String>,
}

impl From<KeyInfo> for Key {
    fn from(key: KeyInfo) -> Key {
        Key {
            name: key.name,
            scheme: key.scheme.as_str(),
            state: key.state.as_str(),
            public_key: key.public_key,
            added_at: time(key.added_at),
            activated_at: key.activated_at.map(time),
            retired_at: key.retired_at.map(time),
        }
    }
}

/// The keys of an organisation, in the order in which they were added.
#[derive(Serialize, ToSchema)]
#[schema(as = EncryptionKeys)]
pub struct Keys {
    /// All of them: there are at most 1,000.
    pub keys: Vec<Key>,
}

/// A key to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// A name of your choice, given once and for ever.
    pub name: String,
    /// What `seccure-key -c p256` prints (40 characters), or a PEM public key on P-256. Never a private key.
    pub public_key: String,
}

/// How a key is retired.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// Needed for the active key: from then on events are kept in clear.
    #[serde(default)]
    pub then_clear: bool,
}

/// Nothing to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The encryption keys of an organisation.
#[utoipa::path(get, path = "/v1/orgs/{org}/keys", tag = "keys",
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Keys)))]
pub async fn list(State(context): State<Context>, call: InOrg) -> Result<Response> {
    call.must(&context, Verb::ManageKeys)?;
    let keys = context.service.list_keys(&call.who, call.org)?;
    Ok(reply(StatusCode::OK, &Keys { keys: keys.into_iter().map(Key::from).collect() }))
}

/// Adds a public key. It is not used before it is activated.
#[utoipa::path(post, path = "/v1/orgs/{org}/keys", tag = "keys", request_body = NewKey,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 201, body = Key), (status = 400, description = "the key cannot be used; says why", body = Document),
        (status = 409, description = "the name was given before", body = Document)))]
pub async fn add(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageKeys)?;
    let new: NewKey = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let key = context.service.add_key(&call.who, call.org, &new.name, &new.public_key).await?;
    Ok(reply(StatusCode::CREATED, &Key::from(key)))
}

/// Makes a key the active one. When this answers, nothing of the organisation is kept in clear any more.
#[utoipa::path(post, path = "/v1/orgs/{org}/keys/{name}/activate", tag = "keys", request_body = Nothing, params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("name" = String, Path, description = "the key"),
), responses((status = 200, body = Key), (status = 404, body = Document),
    (status = 409, description = "the key is retired", body = Document)))]
pub async fn activate(
    State(context): State<Context>,
    call: InOrg,
    Segment(name): Segment,
    request: Request,
) -> Result<Response> {
    call.must(&context, Verb::ManageKeys)?;
    let Nothing {} = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let key = context.service.activate_key(&call.who, call.org, &name).await?;
    Ok(reply(StatusCode::OK, &Key::from(key)))
}

/// Retires a key for ever. What was encrypted to it stays so.
#[utoipa::path(post, path = "/v1/orgs/{org}/keys/{name}/retire", tag = "keys", request_body = Retirement, params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("name" = String, Path, description = "the key"),
), responses((status = 200, body = Key), (status = 404, body = Document),
    (status = 409, description = "the key is active, and `then_clear` was not said", body = Document)))]
pub async fn retire(
    State(context): State<Context>,
    call: InOrg,
    Segment(name): Segment,
    request: Request,
) -> Result<Response> {
    call.must(&context, Verb::ManageKeys)?;
    let retirement: Retirement = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let key = context.service.retire_key(&call.who, call.org, &name, retirement.then_clear).await?;
    Ok(reply(StatusCode::OK, &Key::from(key)))
}
