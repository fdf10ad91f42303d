//! Audited users: their list, their number, and one of them with the baselines.

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use service::risk::{BaselineStanding, User, UserField, UserOrder};
use service::{Service, Timestamp};

use super::SearchRole;
use super::call::Call;
use super::error::{Failure, Wrong};
use super::message::{Meta, count as counted, json_reply, time};

/// Users of a list when nothing is said.
const LIMIT_DEFAULT: u64 = 100;
/// Most users of a list; there is no paging, so these are all one can get.
const LIMIT_MAX: u64 = 10_000;
/// What a user id is written with in a path: everything but what is never escaped (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// By what can be sorted.
const FIELDS: [(&str, UserField); 4] = [
    ("last_seen", UserField::LastSeen),
    ("score", UserField::Score),
    ("score_timestamp", UserField::ScoredAt),
    ("user_id", UserField::Id),
];

/// A user of a list. The score is text, as the vendor's table says.
#[derive(Serialize)]
struct Item<'a> {
    user_id: &'a str,
    last_seen: String,
    score: Option<String>,
    score_timestamp: Option<String>,
}

#[derive(Serialize)]
struct List<'a> {
    items: Vec<Item<'a>>,
    meta: Value,
}

impl<'a> Item<'a> {
    fn of(user: &'a User) -> Item<'a> {
        Item {
            user_id: &user.id,
            last_seen: time(user.last_seen),
            score: user.score.map(|score| score.to_string()),
            score_timestamp: user.scored_at.map(time),
        }
    }
}

/// Refuses on a node that keeps no list of users.
fn check_role(role: SearchRole) -> Result<(), Failure> {
    match role {
        SearchRole::Minion => Err(Failure::users_not_available()),
        SearchRole::Local | SearchRole::Master => Ok(()),
    }
}

/// `GET /api/audit/users`.
pub fn list(service: &Service, call: &Call, role: SearchRole) -> Result<Response, Failure> {
    check_role(role)?;
    let parameters = call.parameters()?;
    let limit = parameters.number("limit", 1)?.unwrap_or(LIMIT_DEFAULT);
    if limit > LIMIT_MAX {
        let text = parameters.text("limit").unwrap_or_default();
        return Err(Failure::parameter(Wrong::QueryValue, "limit", text, "limit must be less than 10,001"));
    }
    let field = |name: &str| FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
    let order = parameters.sort(|name| field(name).is_some())?.unwrap_or_default();
    let order: Vec<UserOrder> = order
        .iter()
        .filter_map(|sort| Some(UserOrder { field: field(&sort.field)?, descending: sort.descending }))
        .collect();
    let users = service.users(&call.who, call.org, &order, limit as usize).map_err(|error| call.refused(&error))?;
    let meta = call.meta().with("limit", limit).into_value();
    let list = List { items: users.iter().map(Item::of).collect(), meta };
    let text = serde_json::to_string(&list).map_err(|error| {
        tracing::error!(%error, "sps: a list of users was not written");
        Failure::internal()
    })?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// `GET /api/audit/users/_count`.
pub fn count(service: &Service, call: &Call, role: SearchRole) -> Result<Response, Failure> {
    check_role(role)?;
    call.parameters()?;
    let number = service.count_users(&call.who, call.org).map_err(|error| call.refused(&error))?;
    Ok(counted(number, call.meta()))
}

/// `GET /api/audit/users/<user-id>`.
pub fn one(service: &Service, call: &Call, role: SearchRole) -> Result<Response, Failure> {
    check_role(role)?;
    let id = call.segment(3)?;
    call.parameters()?;
    let detail = service.user(&call.who, call.org, &id).map_err(|error| call.refused(&error))?;
    let item = Item::of(&detail.user);
    let baselines: Map<String, Value> =
        detail.baselines.iter().map(|(name, standing)| (name.to_string(), baseline(standing))).collect();
    let body = json!({
        "user_id": item.user_id,
        "last_seen": item.last_seen,
        "score": item.score,
        "score_timestamp": item.score_timestamp,
        "baselines": baselines,
    });
    let href = format!("/api/audit/users/{}", utf8_percent_encode(&id, ESCAPED));
    let meta = Meta::of(&href).remaining(Some(call.remaining_s)).into_value();
    // The members again at the top, for clients that were written from the table of the guide, which lost the level.
    let mut whole = Map::new();
    if let Value::Object(members) = &body {
        whole.extend(members.clone());
    }
    whole.insert("body".to_owned(), body);
    whole.insert("key".to_owned(), id.into());
    whole.insert("meta".to_owned(), meta);
    Ok(json_reply(StatusCode::OK, &Value::Object(whole)))
}

fn baseline(standing: &BaselineStanding) -> Value {
    let mut members = Map::new();
    let at = |at: &Timestamp| time(*at);
    if let Some((built_at, id)) = &standing.last_success {
        members.insert("last_success".to_owned(), json!({"timestamp": at(built_at), "baseline_id": id}));
    }
    if let Some((failed_at, reason)) = &standing.last_failure {
        members.insert("last_failure".to_owned(), json!({"timestamp": at(failed_at), "reason": reason}));
    }
    Value::Object(members)
}
