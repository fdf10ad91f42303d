//! Events as they come.

use search::Query;

use crate::access::Principal;
use crate::error::Result;
use crate::model::{Event, OrgId};
use crate::service::Service;

/// Most events of one [`Follow::next`].
pub const FOLLOW_EVENTS_MAX: usize = 1_000;

/// Follows one organisation's events from a number on, without gaps. Made by [`Service::follow`].
pub struct Follow {
    _service: Service,
}

impl Follow {
    /// Waits for events that match and returns them, at least one and at most [`FOLLOW_EVENTS_MAX`], by number.
    ///
    /// Safe to drop while it waits (in a `select!`): nothing is lost. After an error, call again or give up.
    ///
    /// # Errors
    /// `Unauthenticated` once the token is revoked or expired, `Forbidden` once the roles are gone; `Unavailable` when the
    /// service shuts down; `Corrupt` when stored records cannot be read.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        todo!()
    }

    /// The number up to which everything was looked at: resume after it.
    pub fn position(&self) -> u64 {
        todo!()
    }
}

impl Service {
    /// Follows the events of `org` that match, beginning after the number `after`.
    pub fn follow(&self, who: &Principal, org: OrgId, filter: Query, after: u64) -> Result<Follow> {
        let _ = (who, org, filter, after);
        todo!()
    }
}
