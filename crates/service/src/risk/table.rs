//! The users of one organisation, in memory: a projection of the entries of their sessions.
//!
//! What is kept of a user is the largest of something, so an entry may come twice and in any order. A user takes about 150
//! bytes; more than [`USERS_MAX`] of one organisation are not kept, and the list says so instead of leaving one out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use behaviour::{LOOK_BACK_S, Steps};
use jiff::Timestamp;

use crate::model::time;
use crate::recordings::{Session, SessionId};
use crate::risk::entry::SessionScore;

/// Most users of one organisation.
pub const USERS_MAX: usize = 5_000_000;

/// An audited user: somebody who was seen in recorded sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who: the `user` of sessions, exact.
    pub id: Arc<str>,
    /// The latest end of a session, or start of one that is open.
    pub last_seen: Timestamp,
    /// The highest score among the sessions of the last 90 days before the last build; none without a score.
    pub score: Option<u8>,
    /// When that score was last computed.
    pub scored_at: Option<Timestamp>,
}

/// By what users can be sorted. A missing value comes last in both directions; equal ones are sorted by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserField {
    /// `last_seen`.
    LastSeen,
    /// `score`.
    Score,
    /// `scored_at`.
    ScoredAt,
    /// `id`, by code point.
    Id,
}

/// One field of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserOrder {
    /// The field.
    pub field: UserField,
    /// Largest first.
    pub descending: bool,
}

#[derive(Clone, Debug)]
struct Row {
    id: Arc<str>,
    last_seen_us: i64,
    /// When a session of this user was scored last; `i64::MIN`: never.
    scored_us: i64,
    steps: Steps,
}

/// What a row shows at one time.
#[derive(Clone, Copy)]
struct Shown {
    last_seen_us: i64,
    score: Option<u8>,
    scored_us: Option<i64>,
}

/// The users of one organisation.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    places: HashMap<Arc<str>, u32>,
    /// Sessions that are over and have no score yet, by the number of the entry that ended them.
    unscored: BTreeMap<u64, SessionId>,
    /// Sessions up to the one that this entry ended have their scores, or never get one.
    scored_up_to: u64,
    /// Users that did not fit.
    overflown: bool,
    /// The highest entry number whose score was taken in, and its method.
    last_method: Option<(u64, behaviour::Parameters)>,
    /// The last build on demand: number of its entry, and time.
    pub built: Option<(u64, i64)>,
}

impl Table {
    pub fn session(&mut self, session: &Session) {
        if let Some(id) = session.info.user_name()
            && let Some(row) = self.row(id)
        {
            let ended = session.ended.as_ref().map(|ended| ended.at);
            let seen = time::micros(session.started_at).max(ended.map_or(i64::MIN, time::micros));
            row.last_seen_us = row.last_seen_us.max(seen);
        }
    }

    /// Notes that a session is over, and waits for its score. One that ended before another that has its score never gets
    /// one: histories must not change behind the scores that were made of them.
    pub fn waits(&mut self, number: u64, session: SessionId) {
        if number > self.scored_up_to {
            self.unscored.insert(number, session);
        }
    }

    pub fn score(&mut self, score: &SessionScore) {
        self.scored_up_to = self.scored_up_to.max(score.said.ended.number);
        self.unscored = self.unscored.split_off(&(self.scored_up_to + 1));
        if self.last_method.as_ref().is_none_or(|(number, _)| *number < score.number) {
            self.last_method = Some((score.number, score.said.method.clone()));
        }
        let Some(aggregated) = score.said.aggregated else { return };
        if let Some(row) = score.said.user.as_deref().and_then(|id| self.row(id)) {
            row.steps.add(score.said.observation.started_s, aggregated);
            row.scored_us = row.scored_us.max(time::micros(score.scored_at));
        }
    }

    fn row(&mut self, id: &str) -> Option<&mut Row> {
        let place = match self.places.get(id) {
            Some(place) => *place,
            None if self.rows.len() >= USERS_MAX => {
                self.overflown = true;
                return None;
            }
            None => {
                let place = u32::try_from(self.rows.len()).expect("there are fewer than USERS_MAX");
                let id: Arc<str> = id.into();
                self.places.insert(Arc::clone(&id), place);
                self.rows.push(Row { id, last_seen_us: i64::MIN, scored_us: i64::MIN, steps: Steps::default() });
                place
            }
        };
        self.rows.get_mut(place as usize)
    }

    /// The sessions that wait for a score, in the order in which they ended.
    pub fn unscored(&self) -> &BTreeMap<u64, SessionId> {
        &self.unscored
    }

    /// Forgets that a session waits: it cannot be scored.
    pub fn give_up(&mut self, number: u64) {
        self.unscored.remove(&number);
    }

    /// By which method the last session was scored.
    pub fn last_method(&self) -> Option<&behaviour::Parameters> {
        self.last_method.as_ref().map(|(_, method)| method)
    }

    /// More users were seen than are kept.
    pub fn is_overflown(&self) -> bool {
        self.overflown
    }

    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// One user, as the last build before `now` has it.
    pub fn find(&self, id: &str, built_us: i64) -> Option<User> {
        let row = self.places.get(id).and_then(|place| self.rows.get(*place as usize))?;
        Some(user(row, built_us))
    }

    /// The first users in this order.
    pub fn list(&self, order: &[UserOrder], limit: usize, built_us: i64) -> Vec<User> {
        let mut keys: Vec<(Shown, u32)> =
            self.rows.iter().enumerate().map(|(place, row)| (shown(row, built_us), place as u32)).collect();
        let id = |place: u32| &self.rows[place as usize].id;
        let compare = |a: &(Shown, u32), b: &(Shown, u32)| -> Ordering {
            let by_field = |order: &UserOrder| {
                let ordering = match order.field {
                    UserField::LastSeen => a.0.last_seen_us.cmp(&b.0.last_seen_us),
                    UserField::Id => id(a.1).cmp(id(b.1)),
                    UserField::Score => return missing_last(a.0.score, b.0.score, order.descending),
                    UserField::ScoredAt => return missing_last(a.0.scored_us, b.0.scored_us, order.descending),
                };
                if order.descending { ordering.reverse() } else { ordering }
            };
            let found = order.iter().map(by_field).find(|ordering| *ordering != Ordering::Equal);
            found.unwrap_or_else(|| id(a.1).cmp(id(b.1)))
        };
        // Only what is shown has to be put in order; the order is total, so the selection is the same each time.
        if limit < keys.len() {
            keys.select_nth_unstable_by(limit, compare);
            keys.truncate(limit);
        }
        keys.sort_unstable_by(compare);
        keys.into_iter().filter_map(|(_, place)| Some(user(self.rows.get(place as usize)?, built_us))).collect()
    }
}

fn missing_last<T: Ord>(a: Option<T>, b: Option<T>, descending: bool) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) if descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
    }
}

fn shown(row: &Row, built_us: i64) -> Shown {
    let since_s = built_us.div_euclid(1_000_000) - LOOK_BACK_S;
    let score = row.steps.highest_since(since_s);
    Shown { last_seen_us: row.last_seen_us, score, scored_us: score.map(|_| row.scored_us.max(built_us)) }
}

fn user(row: &Row, built_us: i64) -> User {
    let shown = shown(row, built_us);
    User {
        id: Arc::clone(&row.id),
        last_seen: timestamp(shown.last_seen_us),
        score: shown.score,
        scored_at: shown.scored_us.map(timestamp),
    }
}

/// The instant of a number of microseconds.
pub fn timestamp(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(if us < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
