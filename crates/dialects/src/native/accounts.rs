//! Accounts: list and make them in an organisation, look at and change one by its id.

use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use http::StatusCode;
use service::Verb;

use super::call::{Bearer, InOrg, Segment, id, json, reply};
use super::paging::{self, page};
use super::parameters::Parameters;
use super::problem::{Document, Result};
use super::wire::{self, Account, AccountChange, Accounts};
use crate::Context;
use crate::http::body::ADMINISTRATION_BYTES_MAX;

/// The accounts of an organisation, in the order of their creation.
#[utoipa::path(get, path = "/v1/orgs/{org}/accounts", tag = "accounts", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("after" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u64>, Query, description = "1 to 1,000; default 200"),
), responses((status = 200, body = Accounts)))]
pub async fn list(
    State(context): State<Context>,
    InOrg { who, org }: InOrg,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let parameters = Parameters::read(query.as_deref(), &paging::KNOWN)?;
    let all = context.service.list_accounts(&who, Some(org))?;
    let (items, next) = page(all, |account| account.id, &parameters)?;
    Ok(reply(StatusCode::OK, &Accounts { accounts: items.into_iter().map(Account::from).collect(), next }))
}

/// Makes an account in an organisation.
#[utoipa::path(post, path = "/v1/orgs/{org}/accounts", tag = "accounts", request_body = wire::NewAccount,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 201, body = Account), (status = 409, description = "the login name is taken", body = Document)))]
pub async fn create(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageAccounts)?;
    let new: wire::NewAccount = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let new = service::NewAccount {
        name: new.login,
        display_name: new.display_name,
        roles: new.roles,
        password: new.password,
    };
    let account = context.service.create_account(&call.who, call.org, new).await?;
    Ok(reply(StatusCode::CREATED, &Account::from(account)))
}

/// One account.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "accounts",
    params(("id" = String, Path, description = "`acc_…`")),
    responses((status = 200, body = Account), (status = 404, body = Document)))]
pub async fn show(State(context): State<Context>, Bearer(who): Bearer, segment: Segment) -> Result<Response> {
    let account = context.service.get_account(&who, id(&segment, "account")?)?;
    Ok(reply(StatusCode::OK, &Account::from(account)))
}

/// Changes an account: name for people, roles, password, on or off.
#[utoipa::path(patch, path = "/v1/accounts/{id}", tag = "accounts", request_body = AccountChange,
    params(("id" = String, Path, description = "`acc_…`")),
    responses((status = 200, body = Account), (status = 404, body = Document)))]
pub async fn change(
    State(context): State<Context>,
    bearer: Bearer,
    segment: Segment,
    request: Request,
) -> Result<Response> {
    bearer.must(&context, Verb::ManageAccounts)?;
    let account = id(&segment, "account")?;
    let change: AccountChange = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let change = service::AccountChange {
        display_name: change.display_name,
        roles: change.roles,
        disabled: change.disabled,
        password: change.password,
    };
    let account = context.service.update_account(&bearer.0, account, change).await?;
    Ok(reply(StatusCode::OK, &Account::from(account)))
}
