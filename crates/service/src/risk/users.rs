//! The list of users: read from the log once, kept from then on, and asked.

use std::collections::BTreeMap;

use behaviour::Algorithm;
use jiff::Timestamp;

use super::baselines::BaselineStanding;
use super::table::{Table, USERS_MAX, User, UserField, UserOrder, timestamp};
use super::{Risk, Slot};
use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::{Kind, OrgId, Outcome};
use crate::own_events;
use crate::query::Order;
use crate::recordings::{BASELINES_BUILT, Entry, filter};
use crate::service::Service;

/// Most users of one list.
pub const USERS_PAGE_MAX: usize = 10_000;

/// Entries read at once.
const PAGE: usize = 1_000;

/// A user with the baselines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDetail {
    /// The user, as in the list.
    pub user: User,
    /// By algorithm; those that were tried.
    pub baselines: BTreeMap<Algorithm, BaselineStanding>,
}

impl Service {
    /// The first users in this order, at most `USERS_PAGE_MAX`. Users are those of recorded sessions; every session that
    /// was acknowledged before the call counts. Blocks.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Overloaded` while the sessions are being read; `TooLarge`: more users than are kept.
    pub fn users(&self, who: &Principal, org: OrgId, order: &[UserOrder], limit: usize) -> Result<Vec<User>> {
        let order = match order {
            [] => &[
                UserOrder { field: UserField::LastSeen, descending: true },
                UserOrder { field: UserField::Score, descending: true },
            ],
            order => order,
        };
        self.look_at_users(who, org, |table, built_us| table.list(order, limit.min(USERS_PAGE_MAX), built_us))
    }

    /// How many users there are. Blocks. Errors as for [`Service::users`].
    pub fn count_users(&self, who: &Principal, org: OrgId) -> Result<u64> {
        self.look_at_users(who, org, |table, _| table.len())
    }

    /// One user; the id is exact. Blocks. Errors as for [`Service::users`]; `NotFound`: no such user.
    pub fn user(&self, who: &Principal, org: OrgId, id: &str) -> Result<UserDetail> {
        let user = self.look_at_users(who, org, |table, built_us| table.find(id, built_us))?;
        let user = user.ok_or_else(|| no_user(id))?;
        let now_us = i64::try_from(self.now_us()).unwrap_or(i64::MAX);
        Ok(UserDetail { user, baselines: self.standings(org, id, now_us)? })
    }

    /// Orders a build of all baselines: the sessions that end from now on are compared with those before. Waits until that is
    /// durable; gives the time of the build.
    pub async fn build_baselines(&self, who: &Principal, org: OrgId) -> Result<Timestamp> {
        self.allow(who, Verb::BuildBaselines, org)?;
        self.recordings().catalogue.check_ready()?;
        // What is over already is scored by the builds before this one.
        self.settle_scores().await;
        let (log, ordinal) = self.log_and_ordinal(org)?;
        let draft = own_events::draft(BASELINES_BUILT, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        let (turn, place) =
            self.append_entry(log, tlog::entry::Kind::Event, Some(who.account), &who.caller, &draft).await?;
        let at_us = i64::try_from(place.received_at_us).unwrap_or(i64::MAX);
        self.recordings().catalogue.apply(ordinal, &Entry::Built { number: place.number, at_us });
        drop(turn);
        Ok(timestamp(at_us))
    }

    fn look_at_users<T>(&self, who: &Principal, org: OrgId, look: impl FnOnce(&Table, i64) -> T) -> Result<T> {
        self.allow(who, Verb::ViewSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        let (_, ordinal) = self.log_and_ordinal(org)?;
        self.read_users(ordinal, org)?;
        let now_us = i64::try_from(self.now_us()).unwrap_or(i64::MAX);
        let built_us = self.risk().built_us(ordinal, now_us, None);
        let tables = self.risk().tables.lock();
        match tables.get(&ordinal).and_then(|slot| slot.table.as_ref()) {
            Some(table) if table.is_overflown() => {
                Err(Error::too_large(format!("the organisation has more than {USERS_MAX} users")))
            }
            Some(table) => Ok(look(table, built_us)),
            // Somebody else reads them, or what was read is not good any more since a moment ago.
            None => Err(Error::overloaded("the users are being read from the log", 1)),
        }
    }

    /// Reads the users of an organisation from the catalogue and the log, if that was not done. Blocks.
    pub(super) fn read_users(&self, ordinal: u32, org: OrgId) -> Result<()> {
        {
            let mut tables = self.risk().tables.lock();
            let slot = tables.entry(ordinal).or_default();
            if slot.table.is_some() || slot.reading.is_some() {
                return Ok(());
            }
            // From here on whoever appends tells this one.
            slot.reading = Some(Table::default());
        }
        let read = self.read_all_users(ordinal, org);
        let mut tables = self.risk().tables.lock();
        let slot = tables.entry(ordinal).or_default();
        let reading = slot.reading.take();
        read?;
        slot.table = reading;
        Ok(())
    }

    fn read_all_users(&self, ordinal: u32, org: OrgId) -> Result<()> {
        let part = self.newest_part(org)?;
        let log = part.log;
        let query = filter::of_users();
        let mut after = None;
        loop {
            let numbers = self.recordings().catalogue.search(ordinal, &query, Order::Ascending, after, PAGE)?;
            let Some(last) = numbers.last() else { return Ok(()) };
            after = Some(*last);
            let indexes: Vec<u64> = numbers.iter().map(|number| number - 1).collect();
            let mut decoder = encoding::Decoder::default();
            let records = self.logs().read_many(&log, &indexes)?;
            let entries: Vec<Entry> =
                records.into_iter().filter_map(|record| Entry::read(org, part, &decoder.event(record))).collect();
            for entry in &entries {
                self.risk().apply(ordinal, entry);
            }
        }
    }
}

impl Risk {
    /// Forgets what was read of an organisation: entries behind it are gone by order.
    pub(crate) fn forget(&self, ordinal: u32) {
        self.tables.lock().insert(ordinal, Slot::default());
        self.forget_built(ordinal);
    }
}

pub(super) fn no_user(id: &str) -> Error {
    Error::not_found(format!("no user {:?} was seen in recorded sessions", own_events::cut(id, 200)))
}
