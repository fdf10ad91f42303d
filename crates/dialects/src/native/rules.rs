//! Detection rules: which there are, and how they stand.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use service::Verb;
use service::detection::RuleStatus;
use utoipa::ToSchema;

use super::call::{InOrg, blocking, reply};
use super::problem::{Document, Result};
use super::wire::time;
use crate::Context;

/// Every rule. None while detection is off.
#[derive(Serialize, ToSchema)]
#[schema(as = DetectionRules)]
pub struct RulesDocument {
    /// Them, in the order of their files.
    pub rules: Vec<RuleDocument>,
}

/// How one rule stands.
#[derive(Serialize, ToSchema)]
#[schema(as = DetectionRule)]
pub struct RuleDocument {
    /// Its id; of a file that was refused, the file's name.
    pub id: String,
    /// For people.
    pub title: String,
    /// `informational` (only used by other rules), `low`, `medium`, `high`, `critical`; `-` of a file that was refused.
    pub level: String,
    /// Where it stands.
    pub file: String,
    /// It was read without an error.
    pub loaded: bool,
    /// It looks at every event.
    pub runnable: bool,
    /// Why it was refused.
    pub problem: Option<String>,
    /// The fields that it looks at.
    pub fields: Vec<String>,
    /// Those of them that no event of the organisation had so far: as long as there are some, it may never find anything.
    pub never_seen: Vec<String>,
    /// When the last event came that it looked at.
    pub last_evaluated: Option<String>,
    /// Findings so far.
    pub hits: u64,
    /// When the last event of the last finding happened, and its number.
    pub last_hit: Option<RuleHit>,
}

/// The last finding of a rule.
#[derive(Serialize, ToSchema)]
pub struct RuleHit {
    /// When its last event happened.
    pub at: String,
    /// The number of that event.
    pub seq: u64,
}

impl From<RuleStatus> for RuleDocument {
    fn from(status: RuleStatus) -> RuleDocument {
        let runs = status.rule.problem.is_none();
        RuleDocument {
            id: status.rule.id,
            title: status.rule.title,
            level: status.rule.level,
            file: status.rule.file,
            loaded: runs,
            runnable: runs,
            problem: status.rule.problem,
            fields: status.rule.fields.into_iter().collect(),
            never_seen: status.never_seen.into_iter().collect(),
            last_evaluated: status.last_evaluated.map(time),
            hits: status.hits,
            last_hit: status.last_hit.map(|(seq, at)| RuleHit { at: time(at), seq }),
        }
    }
}

/// Every detection rule and how it stands here. What they found are events of action `detection.finding`.
#[utoipa::path(get, path = "/v1/orgs/{org}/rules", tag = "detection", params(
    ("org" = String, Path, description = "id, name or escaped path"),
), responses((status = 200, body = RulesDocument), (status = 403, body = Document)))]
pub async fn list(State(context): State<Context>, call: InOrg) -> Result<Response> {
    call.must(&context, Verb::ReadEvents)?;
    let rules = blocking(move || context.service.rules(&call.who, call.org)).await?;
    Ok(reply(StatusCode::OK, &RulesDocument { rules: rules.into_iter().map(RuleDocument::from).collect() }))
}
