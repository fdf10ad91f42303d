//! Events out: pages by number, pages by time, single events.

use search::Query;

use crate::access::Principal;
use crate::error::Result;
use crate::model::{Event, OrgId};
use crate::proofs::LogHead;
use crate::service::Service;

/// Most events of one page.
pub const PAGE_EVENTS_MAX: usize = 10_000;

/// Events of one page when nothing is said.
pub const PAGE_EVENTS_DEFAULT: usize = 100;

/// Order by number.
pub use search::Order;

/// Under which rule of the access table events are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// `Verb::ReadEvents`.
    #[default]
    Read,
    /// `Verb::ExtractEvents`.
    Extract,
}

/// What to read.
#[derive(Clone, Debug)]
pub struct EventQuery {
    /// Which events; `Query::All` never touches the index.
    pub filter: Query,
    /// Order by number.
    pub order: Order,
    /// Begin after this number, in the chosen order (so below it when descending); `None`: at the end of the order.
    pub after: Option<u64>,
    /// Stop at this number, inclusive, in the chosen order.
    pub until: Option<u64>,
    /// Most events to return, 1 to [`PAGE_EVENTS_MAX`]; more is cut to that.
    pub limit: usize,
    /// Verify what is returned against the signed tree.
    pub verify: bool,
    /// Which right is used.
    pub purpose: Purpose,
}

impl Default for EventQuery {
    fn default() -> EventQuery {
        EventQuery {
            filter: Query::All,
            order: Order::Ascending,
            after: None,
            until: None,
            limit: PAGE_EVENTS_DEFAULT,
            verify: false,
            purpose: Purpose::Read,
        }
    }
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events, in the order asked for.
    pub events: Vec<Event>,
    /// More events match: pass this as `after` for the next page. `None`: no more at this moment.
    pub next: Option<u64>,
    /// The head when the page was read; every event up to its size was looked at.
    pub head: LogHead,
    /// With `verify`: whether at least one event of the page is not what was committed.
    pub tainted: Option<bool>,
}

impl Service {
    /// One page of events by number.
    ///
    /// A page sees every event acknowledged before the call. Events below `after` never change between pages.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Corrupt` when stored records cannot be read; `Overloaded` when the index is being made.
    pub fn query(&self, who: &Principal, org: OrgId, query: &EventQuery) -> Result<Page> {
        let _ = (who, org, query);
        todo!()
    }

    /// Events newest first by `occurred_at`, ties by number, newest first: `limit` of them after skipping `offset`.
    ///
    /// For surfaces that page by page number; the deeper the page, the dearer. `limit` at most [`PAGE_EVENTS_MAX`].
    pub fn query_by_time(
        &self,
        who: &Principal,
        org: OrgId,
        filter: &Query,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        let _ = (who, org, filter, offset, limit);
        todo!()
    }

    /// How many events match; stops counting at `cap`.
    pub fn count(&self, who: &Principal, org: OrgId, filter: &Query, cap: u64) -> Result<u64> {
        let _ = (who, org, filter, cap);
        todo!()
    }

    /// One event by number. `NotFound` past the head.
    pub fn get(&self, who: &Principal, org: OrgId, number: u64, verify: bool) -> Result<Event> {
        let _ = (who, org, number, verify);
        todo!()
    }

    /// The event with this sender's id, if it is there.
    pub fn find(&self, who: &Principal, org: OrgId, id: &str) -> Result<Option<Event>> {
        let _ = (who, org, id);
        todo!()
    }
}
