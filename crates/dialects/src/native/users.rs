//! Audited users, their scores, and the reasons for them.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use service::risk::{BaselineStanding, Explained, Recomputed, User, UserField, UserOrder};
use service::{Timestamp, Verb};
use utoipa::ToSchema;

use super::call::{InOrg, Segment, blocking, reply};
use super::parameters::{Known, Parameters};
use super::problem::{Document, Problem, Result, shown};
use super::sessions::InSession;
use super::wire::time;
use crate::Context;

const KNOWN: Known = Known { once: &["limit", "sort"], repeated: &[] };
const KNOWN_OF_ONE: Known = Known { once: &["as_of"], repeated: &[] };
/// Users of a list when nothing is said, and at most.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;
const FIELDS: [(&str, UserField); 4] = [
    ("last_seen", UserField::LastSeen),
    ("score", UserField::Score),
    ("scored_at", UserField::ScoredAt),
    ("user", UserField::Id),
];

/// A user: somebody who was seen in recorded sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditedUser)]
pub struct UserDocument {
    /// The user of the sessions, exact.
    pub user: String,
    /// The latest end of a session, or start of one that is open.
    pub last_seen: String,
    /// 0 to 100: the highest score of the sessions of the last 90 days; null without a score.
    pub score: Option<u8>,
    /// When that was last computed.
    pub scored_at: Option<String>,
}

impl From<&User> for UserDocument {
    fn from(user: &User) -> UserDocument {
        UserDocument {
            user: user.id.to_string(),
            last_seen: time(user.last_seen),
            score: user.score,
            scored_at: user.scored_at.map(time),
        }
    }
}

/// The first users in an order.
#[derive(Serialize, ToSchema)]
pub struct Users {
    /// Them.
    pub users: Vec<UserDocument>,
    /// How many there are in all.
    pub count: u64,
}

/// A user with the baselines.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditedUserDetail)]
pub struct UserDetailDocument {
    /// The user.
    #[serde(flatten)]
    pub user: UserDocument,
    /// By algorithm; those that were tried.
    pub baselines: BTreeMap<String, BaselineDocument>,
}

/// How a baseline stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Baseline)]
pub struct BaselineDocument {
    /// The last build that came about.
    pub last_success: Option<BaselineSuccess>,
    /// The last build that did not.
    pub last_failure: Option<BaselineFailure>,
}

/// A build that came about.
#[derive(Serialize, ToSchema)]
pub struct BaselineSuccess {
    /// The sessions recorded before this time were looked at.
    pub at: String,
    /// A hash over all that the baseline consists of.
    pub id: String,
}

/// A build that did not.
#[derive(Serialize, ToSchema)]
pub struct BaselineFailure {
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}

impl From<BaselineStanding> for BaselineDocument {
    fn from(standing: BaselineStanding) -> BaselineDocument {
        BaselineDocument {
            last_success: standing.last_success.map(|(at, id)| BaselineSuccess { at: time(at), id }),
            last_failure: standing.last_failure.map(|(at, reason)| BaselineFailure { at: time(at), reason }),
        }
    }
}

/// A user's score at a past time, computed again from the log.
#[derive(Serialize, ToSchema)]
#[schema(as = RecomputedScore)]
pub struct RecomputedDocument {
    /// The user.
    pub user: String,
    /// The time.
    pub as_of: String,
    /// What was served at that time.
    pub score: Option<u8>,
    /// The time of that score, as it was served.
    pub scored_at: Option<String>,
    /// Everything came out as the log says.
    pub is_same: bool,
    /// The sessions that counted, newest first.
    pub sessions: Vec<RecomputedSessionDocument>,
}

/// A session that was computed again.
#[derive(Serialize, ToSchema)]
#[schema(as = RecomputedSession)]
pub struct RecomputedSessionDocument {
    /// The session.
    pub session: String,
    /// The event of its score.
    pub seq: u64,
    /// What the event says.
    pub aggregated: Option<u8>,
    /// What came out now.
    pub recomputed: Option<u8>,
    /// Every score, reason and baseline is the same.
    pub is_same: bool,
}

impl From<Recomputed> for RecomputedDocument {
    fn from(found: Recomputed) -> RecomputedDocument {
        let session = |session: service::risk::RecomputedSession| RecomputedSessionDocument {
            session: session.session.to_string(),
            seq: session.number,
            aggregated: session.aggregated,
            recomputed: session.recomputed,
            is_same: session.is_same,
        };
        RecomputedDocument {
            user: found.user,
            as_of: time(found.as_of),
            score: found.score,
            scored_at: found.scored_at.map(time),
            is_same: found.is_same,
            sessions: found.sessions.into_iter().map(session).collect(),
        }
    }
}

/// Why a session has its score.
#[derive(Serialize, ToSchema)]
#[schema(as = ExplainedScore)]
pub struct ExplainedDocument {
    /// The session.
    pub session: String,
    /// Whose it is.
    pub user: Option<String>,
    /// The event of the score.
    pub seq: u64,
    /// When it was computed.
    pub scored_at: String,
    /// 0 to 100: all scores as one; null without a score.
    pub aggregated: Option<u8>,
    /// The baselines are those of the sessions recorded before this time.
    pub as_of: String,
    /// Version and parameters of the algorithms.
    #[schema(value_type = Object)]
    pub method: service::behaviour::Parameters,
    /// `indexed`, `none`, or why the recording could not be looked into.
    pub content: String,
    /// By algorithm.
    pub scores: BTreeMap<String, ExplainedAlgorithm>,
    /// Why an algorithm has no score.
    pub failures: BTreeMap<String, String>,
    /// Whether a machine sat there, and what the tests came to.
    #[schema(value_type = Object)]
    pub scripted: service::behaviour::Scripted,
    /// `seq` of the events that the baselines were built from, newest first.
    pub history: Vec<u64>,
    /// There were more sessions than a baseline takes.
    pub history_is_cut: bool,
    /// Computed again from the log it is the same, bit for bit.
    pub is_same: bool,
}

/// Why an algorithm gave its score.
#[derive(Serialize, ToSchema)]
pub struct ExplainedAlgorithm {
    /// 0 to 100.
    pub score: u8,
    /// The probability it comes from: `score = -100 log10(probability) / 3`.
    pub probability: f64,
    /// Its part of the aggregate, 0 to 1; 0 for one that was dropped.
    pub weight: f64,
    /// What is usual.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// How many past sessions were like this one.
    pub like_count: u64,
    /// `seq` of the events of the newest of them.
    pub like: Vec<u64>,
}

impl From<Explained> for ExplainedDocument {
    fn from(found: Explained) -> ExplainedDocument {
        let said = found.score.said;
        let scores = found.algorithms.into_iter().map(|one| {
            let explained = ExplainedAlgorithm {
                score: one.score,
                probability: one.probability,
                weight: one.weight,
                expected: one.expected,
                observed: one.observed,
                like_count: one.like_count,
                like: one.like,
            };
            (one.algorithm.to_string(), explained)
        });
        ExplainedDocument {
            session: found.score.session.to_string(),
            user: said.user,
            seq: found.score.number,
            scored_at: time(found.score.scored_at),
            aggregated: said.aggregated,
            as_of: time(said.as_of),
            method: said.method,
            content: said.content,
            scores: scores.collect(),
            failures: said.failures.into_iter().map(|(name, why)| (name.to_string(), why)).collect(),
            scripted: said.scripted,
            history: found.history,
            history_is_cut: found.is_cut,
            is_same: found.is_same,
        }
    }
}

/// A build of the baselines.
#[derive(Serialize, ToSchema)]
pub struct BaselineBuild {
    /// Sessions that end from now on are compared with those recorded before this time.
    pub as_of: String,
}

/// The first users in an order. A user without the value comes last in both directions; equal ones by name.
#[utoipa::path(get, path = "/v1/orgs/{org}/users", tag = "users", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("sort" = Option<String>, Query, description = "`last_seen`, `score`, `scored_at`, `user`, joined by commas, each with an optional `-` for descending; default `-last_seen,-score`"),
    ("limit" = Option<u64>, Query, description = "1 to 10,000; default 100"),
), responses((status = 200, body = Users), (status = 400, body = Document)))]
pub async fn list(State(context): State<Context>, call: InOrg, RawQuery(query): RawQuery) -> Result<Response> {
    call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN)?;
    let limit = match parameters.number("limit")?.unwrap_or(LIMIT_DEFAULT) {
        limit if (1..=LIMIT_MAX).contains(&limit) => limit as usize,
        limit => return Err(Problem::invalid(format!("parameter limit is {limit}; it takes 1 to {LIMIT_MAX}"))),
    };
    let order = parameters.text("sort").map(order).transpose()?.unwrap_or_default();
    let work = move || {
        let users = context.service.users(&call.who, call.org, &order, limit)?;
        Ok((users, context.service.count_users(&call.who, call.org)?))
    };
    let (users, count) = blocking(work).await?;
    Ok(reply(StatusCode::OK, &Users { users: users.iter().map(UserDocument::from).collect(), count }))
}

fn order(text: &str) -> Result<Vec<UserOrder>> {
    let mut order: Vec<UserOrder> = Vec::new();
    for part in text.split(',') {
        let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
        let field = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
        let field = field.ok_or_else(|| {
            let names = FIELDS.map(|(name, _)| name).join(", ");
            Problem::invalid(format!("parameter sort names {:?}; it takes: {names}", shown(part)))
        })?;
        if order.iter().any(|other| other.field == field) {
            return Err(Problem::invalid(format!("parameter sort names {name} twice")));
        }
        order.push(UserOrder { field, descending });
    }
    Ok(order)
}

/// A user with the baselines.
#[utoipa::path(get, path = "/v1/orgs/{org}/users/{user}", tag = "users", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("user" = String, Path, description = "the user, escaped; exact"),
), responses((status = 200, body = UserDetailDocument), (status = 404, body = Document)))]
pub async fn show(State(context): State<Context>, call: InOrg, Segment(user): Segment) -> Result<Response> {
    call.must(&context, Verb::ViewSessions)?;
    let detail = blocking(move || context.service.user(&call.who, call.org, &user)).await?;
    let baselines = detail.baselines.into_iter().map(|(name, standing)| (name.to_string(), standing.into()));
    let document = UserDetailDocument { user: UserDocument::from(&detail.user), baselines: baselines.collect() };
    Ok(reply(StatusCode::OK, &document))
}

/// A user's score at a past time, computed again from what the log held then, and compared with what was served.
#[utoipa::path(get, path = "/v1/orgs/{org}/users/{user}/recomputed", tag = "users", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("user" = String, Path, description = "the user, escaped; exact"),
    ("as_of" = Option<String>, Query, description = "the time (RFC 3339); default: now"),
), responses((status = 200, body = RecomputedDocument), (status = 400, body = Document), (status = 404, body = Document)))]
pub async fn recomputed(
    State(context): State<Context>,
    call: InOrg,
    Segment(user): Segment,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    call.must(&context, Verb::ViewSessions)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN_OF_ONE)?;
    let as_of: Option<Timestamp> = parameters.time("as_of")?;
    let as_of = as_of.unwrap_or_else(|| context.service.now());
    let found = blocking(move || context.service.recompute_user(&call.who, call.org, &user, as_of)).await?;
    Ok(reply(StatusCode::OK, &RecomputedDocument::from(found)))
}

/// Why a session has its score: what was expected, what was seen, how much it weighs, and which events are behind it.
#[utoipa::path(get, path = "/v1/orgs/{org}/sessions/{session}/score", tag = "users", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("session" = String, Path, description = "its id"),
), responses((status = 200, body = ExplainedDocument), (status = 404, body = Document)))]
pub async fn explain(State(context): State<Context>, at: InSession) -> Result<Response> {
    at.call.must(&context, Verb::ViewSessions)?;
    let work = move || context.service.explain_session(&at.call.who, at.call.org, at.session);
    Ok(reply(StatusCode::OK, &ExplainedDocument::from(blocking(work).await?)))
}

/// Build the baselines now instead of at midnight UTC.
#[utoipa::path(post, path = "/v1/orgs/{org}/baselines", tag = "users", params(
    ("org" = String, Path, description = "id, name or escaped path"),
), responses((status = 200, body = BaselineBuild), (status = 403, body = Document)))]
pub async fn build(State(context): State<Context>, call: InOrg) -> Result<Response> {
    call.must(&context, Verb::BuildBaselines)?;
    let as_of = context.service.build_baselines(&call.who, call.org).await?;
    Ok(reply(StatusCode::OK, &BaselineBuild { as_of: time(as_of) }))
}
