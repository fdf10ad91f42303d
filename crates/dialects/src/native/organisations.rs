//! Organisations: list, make, look at, change. `{org}` in a path is an id or an escaped path (`Acme%2FEU`).

use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use http::StatusCode;
use service::{OrgChange, Verb};

use super::call::{Bearer, InOrg, json, reply};
use super::paging::{self, page};
use super::parameters::Parameters;
use super::problem::{Document, Problem, Result};
use super::wire::{NewOrganisation, Organisation, OrganisationChange, Organisations};
use crate::Context;
use crate::http::body::ADMINISTRATION_BYTES_MAX;

/// The organisations within reach, parents before children.
#[utoipa::path(get, path = "/v1/orgs", tag = "organisations", params(
    ("after" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u64>, Query, description = "1 to 1,000; default 200"),
), responses((status = 200, body = Organisations)))]
pub async fn list(State(context): State<Context>, Bearer(who): Bearer, RawQuery(query): RawQuery) -> Result<Response> {
    let parameters = Parameters::read(query.as_deref(), &paging::KNOWN)?;
    let (items, next) = page(context.service.list_orgs(&who)?, |org| org.id, &parameters)?;
    let organisations = items.into_iter().map(Organisation::from).collect();
    Ok(reply(StatusCode::OK, &Organisations { organisations, next }))
}

/// Makes an organisation; its log is open when this answers.
#[utoipa::path(post, path = "/v1/orgs", tag = "organisations", request_body = NewOrganisation, responses(
    (status = 201, body = Organisation),
    (status = 409, description = "a sibling has the name, or anybody the slug", body = Document),
))]
pub async fn create(State(context): State<Context>, bearer: Bearer, request: Request) -> Result<Response> {
    bearer.must(&context, Verb::ManageOrganisations)?;
    let who = bearer.0;
    let new: NewOrganisation = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    let parent = match &new.parent {
        Some(text) => context.service.resolve_org(&who, text)?,
        None => who.org,
    };
    let org = context.service.create_org_with_slug(&who, parent, &new.name, new.slug.as_deref()).await?;
    Ok(reply(StatusCode::CREATED, &Organisation::from(org)))
}

/// One organisation.
#[utoipa::path(get, path = "/v1/orgs/{org}", tag = "organisations",
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Organisation), (status = 404, body = Document)))]
pub async fn show(State(context): State<Context>, InOrg { who, org }: InOrg) -> Result<Response> {
    Ok(reply(StatusCode::OK, &Organisation::from(context.service.get_org(&who, org)?)))
}

/// Gives an organisation another name or slug; its id and log stay.
#[utoipa::path(patch, path = "/v1/orgs/{org}", tag = "organisations", request_body = OrganisationChange,
    params(("org" = String, Path, description = "id, name or escaped path")),
    responses((status = 200, body = Organisation), (status = 409, body = Document)))]
pub async fn rename(State(context): State<Context>, call: InOrg, request: Request) -> Result<Response> {
    call.must(&context, Verb::ManageOrganisations)?;
    let change: OrganisationChange = json(&context, request, ADMINISTRATION_BYTES_MAX).await?;
    if change.name.is_none() && change.slug.is_none() {
        return Err(Problem::invalid("nothing to change: give name, slug or both"));
    }
    let change = OrgChange { name: change.name, slug: change.slug };
    let org = context.service.update_org(&call.who, call.org, change).await?;
    Ok(reply(StatusCode::OK, &Organisation::from(org)))
}
