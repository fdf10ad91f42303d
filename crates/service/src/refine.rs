//! Reads with a second look: a filter finds candidates, a predicate on the event itself decides.
//!
//! For filter languages that say more than the index can: upper and lower case, the inside of a text. What is handed out,
//! counted in the trail and verified is what the predicate let pass.

use crate::access::{Principal, Verb};
use crate::error::{Error, Result};
use crate::model::{Event, OrgId, Verdict};
use crate::query::{EventQuery, PAGE_EVENTS_MAX, Page};
use crate::service::Service;

/// Most candidates that one read looks at.
pub const LOOKED_AT_MAX: usize = 200_000;

/// Most bytes of stored events that one read hands out; the event that passes it is the last one.
pub const REFINED_BYTES_MAX: usize = 16 << 20;

/// Most pages that one read takes from the filter; only a search index that is being made needs so many.
const PAGES_MAX: usize = 64;

impl Service {
    /// One page of events that the query's filter finds and `keep` lets pass, in the query's order, `query.limit` at most.
    ///
    /// `Page::next` is `None` only if everything was looked at; otherwise the read ended at its limit, at
    /// [`REFINED_BYTES_MAX`] or at [`LOOKED_AT_MAX`], and the page may be short, even empty. `Page::tainted` is about the
    /// events returned. With `query.verify`, `keep` is asked with the verdict at hand.
    ///
    /// # Errors
    /// As for [`Service::query`].
    pub fn query_refined(
        &self,
        who: &Principal,
        org: OrgId,
        query: &EventQuery,
        keep: &dyn Fn(&Event) -> bool,
    ) -> Result<Page> {
        self.allow(who, Verb::ReadEvents, org)?;
        if query.limit == 0 {
            return Err(Error::invalid("the limit is 0; ask for at least one event"));
        }
        let mut asked = query.clone();
        let (mut kept, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
        let mut pages = 0;
        let page = loop {
            let mut page = self.page(org, &asked)?;
            pages += 1;
            looked_at += page.events.len();
            let mut events = std::mem::take(&mut page.events).into_iter();
            let mut is_full = false;
            while !is_full && let Some(event) = events.next() {
                if !keep(&event) {
                    continue;
                }
                bytes += event.json().map_or(0, <[u8]>::len);
                is_full = kept.len() + 1 == query.limit || bytes > REFINED_BYTES_MAX;
                if is_full && events.len() > 0 {
                    page.next = Some(event.number());
                }
                kept.push(event);
            }
            let is_over = is_full || looked_at >= LOOKED_AT_MAX || pages == PAGES_MAX;
            let Some(next) = page.next.filter(|_| !is_over) else { break page };
            asked.after = Some(next);
            // The better a filter is, the sooner a page of it is enough; a bad one is read in long strides.
            asked.limit = (asked.limit * 4).clamp(256, PAGE_EVENTS_MAX);
        };
        let tainted = kept.iter().any(|event| matches!(event.verdict, Some(Verdict::Tainted(_))));
        self.own().extracted(self.log_of(org)?, who, &kept);
        Ok(Page { events: kept, tainted: query.verify.then_some(tainted), ..page })
    }
}
