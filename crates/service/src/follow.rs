//! Events as they come.

use search::Query;
use tokio::sync::watch;

use crate::access::{Principal, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Event, OrgId};
use crate::query::{EventQuery, Order};
use crate::service::Service;

/// Most events of one [`Follow::next`].
pub const FOLLOW_EVENTS_MAX: usize = 1_000;

/// Follows one organisation's events from a number on, without gaps. Made by [`Service::follow`].
pub struct Follow {
    service: Service,
    who: Principal,
    org: OrgId,
    filter: Query,
    /// Everything up to this number was looked at.
    position: u64,
    published: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
}

impl Follow {
    /// Waits for events that match and returns them, at least one and at most [`FOLLOW_EVENTS_MAX`], by number.
    ///
    /// Safe to drop while it waits (in a `select!`): nothing is lost. After an error, call again or give up.
    ///
    /// # Errors
    /// `Unauthenticated` once the token is revoked or expired, `Forbidden` once the roles are not what they were;
    /// `Unavailable` when the service shuts down; `Corrupt` when stored records cannot be read.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        loop {
            // Marked before the read: what is published during it wakes us again.
            self.published.mark_unchanged();
            self.service.still_valid(&self.who)?;
            let query = EventQuery {
                filter: self.filter.clone(),
                order: Order::Ascending,
                after: Some(self.position),
                limit: FOLLOW_EVENTS_MAX,
                ..EventQuery::default()
            };
            let (service, org) = (self.service.clone(), self.org);
            let page = tokio::task::spawn_blocking(move || service.page(org, &query)).await;
            let page = page.map_err(|e| Error::internal("a read stopped half-way").with_source(e))??;
            // Only now: if we were dropped before, the next call reads the same page again.
            self.position = page.next.unwrap_or_else(|| page.head.last_number().max(self.position));
            if !page.events.is_empty() {
                self.service.own().extracted(self.service.log_of(self.org)?, &self.who, &page.events);
                return Ok(page.events);
            }
            if page.next.is_some() {
                continue;
            }
            if *self.stopped.borrow() {
                return Err(Error::new(ErrorKind::Unavailable, "the service is shutting down"));
            }
            tokio::select! {
                changed = self.published.changed() => {
                    changed.map_err(|_| Error::new(ErrorKind::Unavailable, "the service has stopped"))?;
                }
                _ = self.stopped.changed() => {}
            }
        }
    }

    /// The number up to which everything was looked at: resume after it.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl Service {
    /// Follows the events of `org` that match, beginning after the number `after`; 0 is from the start.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` as for `query`.
    pub fn follow(&self, who: &Principal, org: OrgId, filter: Query, after: u64) -> Result<Follow> {
        self.allow(who, Verb::ReadEvents, org)?;
        Ok(Follow {
            service: self.clone(),
            who: who.clone(),
            org,
            filter,
            position: after,
            published: self.logs().subscribe(),
            stopped: self.stopped(),
        })
    }
}
