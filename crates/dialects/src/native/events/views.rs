//! One event, as each API that is spoken here shows it.

use axum::extract::{RawPathParams, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use service::{ErrorKind, Event, OrgInfo, Verb};
use utoipa::ToSchema;

use super::super::call::{InOrg, blocking, reply};
use super::super::problem::{Document, Problem, Result, shown};
use super::render;
use crate::{Context, DIALECTS, View};

/// One event, as each API shows it.
#[derive(Serialize, ToSchema)]
pub struct EventViews {
    /// One for each API, in the order of the server's table.
    pub views: Vec<EventView>,
}

/// One event, as one API shows it.
#[derive(Serialize, ToSchema)]
pub struct EventView {
    /// The API: `native`, `octopai`, `sps`, `silo`, `activid`.
    pub dialect: &'static str,
    /// What its clients read; null: it does not show this event.
    #[schema(value_type = Option<Object>)]
    pub value: Option<Box<RawValue>>,
    /// Why it does not show it, or what has to be said of the form.
    pub note: Option<&'static str>,
}

/// One event, as each API that is spoken here shows it.
#[utoipa::path(get, path = "/v1/orgs/{org}/events/{seq}/views", tag = "events", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("seq" = u64, Path, description = "the number, from 1"),
), responses((status = 200, body = EventViews), (status = 404, body = Document)))]
pub async fn views(State(context): State<Context>, call: InOrg, path: RawPathParams) -> Result<Response> {
    call.must(&context, Verb::ReadEvents)?;
    let seq = path.iter().find(|(name, _)| *name == "seq").map(|(_, value)| value).unwrap_or_default();
    let digits_only = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = seq.parse().ok().filter(|_| digits_only) else {
        return Err(Problem::new(ErrorKind::NotFound, format!("no event {:?}; events have whole numbers", shown(seq))));
    };
    let views = blocking(move || {
        let org = context.service.get_org(&call.who, call.org)?;
        let event = context.service.get(&call.who, call.org, number, false)?;
        let view = |dialect: &&crate::Dialect| match (dialect.view)(&context, &org, &event) {
            View::Shown { json, note } => match RawValue::from_string(json) {
                Ok(value) => EventView { dialect: dialect.name, value: Some(value), note },
                Err(_) => EventView { dialect: dialect.name, value: None, note: Some("what is kept is no JSON") },
            },
            View::Hidden(why) => EventView { dialect: dialect.name, value: None, note: Some(why) },
        };
        Ok(EventViews { views: DIALECTS.iter().map(view).collect() })
    });
    Ok(reply(StatusCode::OK, &views.await?))
}

/// One event as this API shows it.
pub fn own(_: &Context, _: &OrgInfo, event: &Event) -> View {
    let mut json = Vec::new();
    render::recorded(event, &mut json);
    View::Shown { json: String::from_utf8_lossy(&json).into_owned(), note: None }
}
