//! Tokens: list, issue, revoke. A secret is shown once, in the answer that issues it.

use std::collections::HashSet;

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use service::{Scope, Verb};

use super::call::{Bearer, InOrg, Segment, id, json, reply};
use super::paging::{self, page};
use super::parameters::Parameters;
use super::problem::{Document, Result};
use super::session::usable_scopes;
use super::wire::{self, Token, Tokens};
use crate::Context;
use crate::http::body::ADMINISTRATION_BYTES_MAX;

/// The tokens of an organisation's accounts, in the order of issue; revoked and expired ones too.
#[utoipa::path(get, path = "/v1/orgs/{org}/tokens", tag = "tokens", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("after" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u64>, Query, description = "1 to 1,000; default 200"),
), responses((status = 200, body = Tokens)))]
pub async fn list(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ManageTokens)?;
    let parameters = Parameters::read(query.as_deref(), &paging::KNOWN)?;
    let accounts = context.service.list_accounts(&call.who, Some(call.org))?;
    let accounts: HashSet<_> = accounts.into_iter().map(|account| account.id).collect();
    let mut all = context.service.list_tokens(&call.who, None)?;
    all.retain(|token| accounts.contains(&token.account));
    let (items, next) = page(all, |token| token.id, &parameters)?;
    Ok(reply(StatusCode::OK, &Tokens { tokens: items.into_iter().map(Token::from).collect(), next }))
}

/// Issues a token whose reach is this organisation and what lies below it.
#[utoipa::path(post, path = "/v1/orgs/{org}/tokens", tag = "tokens", request_body = wire::NewToken,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 201, description = "the only answer that holds the secret", body = Token), (status = 400, body = Document)))]
pub async fn issue(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageTokens)?;
    let new: wire::NewToken = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let account = context.service.get_account(&call.who, new.account.unwrap_or(call.who.account))?;
    let ttl = new.ttl();
    let scopes = match new.scopes {
        Some(scopes) => scopes,
        None => usable_scopes(&account.roles).into_iter().filter(|scope| *scope != Scope::Admin).collect(),
    };
    let new = service::NewToken {
        account: account.id,
        scopes,
        org: (call.org != account.org).then_some(call.org),
        name: new.name,
        ttl,
        form: new.form.into(),
    };
    let (token, secret) = context.service.issue_token(&call.who, new).await?;
    Ok(reply(StatusCode::CREATED, &Token { secret: Some(secret), ..Token::from(token) }))
}

/// Revokes a token at once: one's own, or as an administrator any within reach.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "`tok_…`")),
    responses((status = 204, description = "the token is dead"), (status = 404, body = Document)))]
pub async fn revoke(State(context): State<Context>, Bearer(who): Bearer, segment: Segment) -> Result<Response> {
    context.service.revoke_token(&who, id(&segment, "token")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
