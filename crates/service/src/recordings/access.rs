//! Every view, download and screenshot of a recording is an event with who and from where.

use std::ops::Range;

use jiff::Timestamp;
use search::{Field, Query};
use serde_json::Value;

use super::SessionId;
use super::info::Session;
use crate::access::{Principal, Verb};
use crate::error::Result;
use crate::model::{AccountId, OrgId, Outcome};
use crate::own_events::{self, Seen};
use crate::query::{EventQuery, Order};
use crate::service::Service;

/// How a recording was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its bytes were read: all of them, or a range.
    Download {
        /// Which; `None`: all.
        range: Option<Range<u64>>,
    },
    /// What was on its screen was searched or shown as text.
    View {
        /// What was asked for, as the reader wrote it.
        what: String,
    },
    /// A picture of a screen was made.
    Screenshot {
        /// Its number.
        screen: u64,
    },
}

/// An access that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessInfo {
    /// The number of its event.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The action, such as `session.downloaded`.
    pub action: String,
    /// Who, by id and by name.
    pub account: Option<AccountId>,
    /// See `account`.
    pub name: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// For how many accesses alike the event stands.
    pub count: u64,
}

impl Service {
    /// Records an access before it happens.
    ///
    /// A download of the whole is an event each time. Ranges, views and screenshots come in dozens when a person plays a
    /// recording: the first of an account, address and session is an event at once, those in the minute after it are counted
    /// in one more.
    ///
    /// # Errors
    /// The event could not be recorded; then nothing may be shown.
    pub(crate) async fn record_access(&self, who: &Principal, session: &Session, access: Access) -> Result<()> {
        let log = self.log_of(session.org)?;
        let (action, is_counted) = match &access {
            Access::Download { range } => (own_events::SESSION_DOWNLOADED, range.is_some()),
            Access::View { .. } => (own_events::SESSION_VIEWED, true),
            Access::Screenshot { .. } => (own_events::SESSION_SCREENSHOT, true),
        };
        let seen = Seen { log, session: session.id, action };
        if is_counted && !self.own().seen(&seen, who) {
            return Ok(());
        }
        let mut draft = own_events::seen_draft(&seen, Some(who), &who.caller);
        draft.outcome = Outcome::Success;
        match access {
            Access::Download { range: None } => {
                draft.attributes.insert("bytes".into(), session.bytes.into());
            }
            Access::Download { range: Some(range) } => {
                draft.attributes.insert("from".into(), range.start.into());
                draft.attributes.insert("to".into(), range.end.into());
            }
            Access::View { what } => {
                draft.attributes.insert("what".into(), own_events::cut(&what, WHAT_BYTES_MAX).into());
            }
            Access::Screenshot { screen } => {
                draft.attributes.insert("screen".into(), screen.into());
            }
        }
        self.own().now(log, Some(who.account), who.caller.address, &draft).await
    }

    /// The accesses of one action to a session, newest first; at most `limit`.
    ///
    /// # Errors
    /// As for `query`. It takes the rights to read events and to view sessions.
    pub fn session_accesses(
        &self,
        who: &Principal,
        org: OrgId,
        session: SessionId,
        action: &str,
        limit: usize,
    ) -> Result<Vec<AccessInfo>> {
        self.session(who, org, session)?;
        self.allow(who, Verb::ReadEvents, org)?;
        let query = EventQuery {
            filter: Query::And(vec![
                Query::Keyword { field: Field::Session, value: session.to_string() },
                Query::Keyword { field: Field::Action, value: action.to_owned() },
            ]),
            order: Order::Descending,
            limit,
            ..EventQuery::default()
        };
        let page = self.page(org, &query)?;
        let accesses = page.events.iter().filter_map(|event| {
            if event.recorded_by().via != crate::access::Caller::INTERNAL {
                return None;
            }
            let fields = event.fields().ok()?;
            let attributes: Option<Value> = fields.attributes.and_then(|text| serde_json::from_str(text.get()).ok());
            let count = attributes.as_ref().and_then(|attributes| attributes.get("count")).and_then(Value::as_u64);
            Some(AccessInfo {
                number: event.number(),
                at: event.recorded_at(),
                action: fields.action.to_string(),
                account: event.recorded_by().account,
                name: fields.actor.as_ref().and_then(|actor| actor.name.as_deref()).map(str::to_owned),
                address: event.recorded_by().from.clone(),
                count: count.unwrap_or(1),
            })
        });
        Ok(accesses.collect())
    }
}

/// Longest text of what was asked for that is kept, in bytes.
const WHAT_BYTES_MAX: usize = 500;
