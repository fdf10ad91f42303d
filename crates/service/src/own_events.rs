//! What we do to the trail is in the trail: the events that the service itself records.
//!
//! | action | kind | when | written |
//! |---|---|---|---|
//! | `login` | authentication | each try with a password, right or wrong | before the answer |
//! | `login.locked`, `login.unlocked` | system | guessing was stopped; it may go on | soon |
//! | `access.refused` | system | no, wrong, expired or revoked credential; a verb that is not allowed | soon, coalesced |
//! | `token.used` | system | a token is used from an address that it was not used from before | soon |
//! | `token.issued`, `token.revoked` | admin | except the tokens that come with each login | before the answer |
//! | `organisation.created`, `organisation.renamed` | admin | with before and after | before the answer |
//! | `account.created`, `account.changed` | admin | with before and after; never a password | before the answer |
//! | `key.added`, `key.activated`, `key.retired` | admin | encryption keys of an organisation, by name | before the answer |
//! | `log.verified` | system | the verdict of a verification of the whole log | by itself |
//! | `log.hold_changed`, `log.adopted`, `log.taint_acknowledged` | admin | acts of an administrator on a log | before the answer |
//! | `disk.full` | system | the disk is full; written from the space kept for it, to the control log | at once |
//! | `witness.alarm` | system | a witness remembers another history of the log, which is read-only from then on | soon, in the control log |
//! | `session.started`, `session.chunk`, `session.finished` | session | a recording, see `recordings` | before the answer |
//! | `session.scored` | session | a recording that is over was scored, see `risk` | by itself, in the order in which sessions ended |
//! | `scoring.changed` | system | sessions are scored by another method or other parameters from now on, with before and after | before the first such score |
//! | `baselines.built` | admin | somebody ordered a build of the baselines | before the answer |
//! | `detection.finding` | system | a rule found something, see `detection` | by itself |
//! | `session.downloaded`, `session.viewed`, `session.screenshot` | session | somebody looked at a recording | before the answer; the rest of a minute coalesced |
//! | `events.extracted` | system | events were handed out: how many, and which numbers | soon, coalesced |
//!
//! Where an organisation has an active encryption key, its own events are encrypted like all others.
//!
//! They go to the log of the organisation concerned; where that takes no more entries because it is damaged, to the control
//! log, so that people can still log in to find out. *Soon*: queued, durable moments later, and at the latest by shutdown.
//! *Coalesced*: one event stands for many alike, with a count, so that neither garbage nor polling can flood a log:
//! refusals are written at once and then at most once a minute for each address and reason; extractions ten seconds after
//! the first and then at most once a minute for each account, address and surface.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use log::{Clock, LogId};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};

use crate::access::{Caller, Principal};
use crate::error::{Error, Result};
use crate::model::event::{PartyDraft, SourceDraft};
use crate::model::{AccountId, Event, EventDraft, Kind, NewEvent, Outcome, RecordedBy};
use crate::recordings::SessionId;
use crate::sealing::{Handed, NotAppended, Sealer};
use crate::witnesses::Alarm;

/// Action of a try to log in.
pub const LOGIN: &str = "login";
/// Action when guessing was stopped.
pub const LOGIN_LOCKED: &str = "login.locked";
/// Action when guessing may go on.
pub const LOGIN_UNLOCKED: &str = "login.unlocked";
/// Action of a refusal.
pub const ACCESS_REFUSED: &str = "access.refused";
/// Action of a token's first use from an address.
pub const TOKEN_USED: &str = "token.used";
/// Action when a token was issued.
pub const TOKEN_ISSUED: &str = "token.issued";
/// Action when a token was taken back.
pub const TOKEN_REVOKED: &str = "token.revoked";
/// Action when an organisation was made.
pub const ORGANISATION_CREATED: &str = "organisation.created";
/// Action when an organisation got another name.
pub const ORGANISATION_RENAMED: &str = "organisation.renamed";
/// Action when an account was made.
pub const ACCOUNT_CREATED: &str = "account.created";
/// Action when an account was changed.
pub const ACCOUNT_CHANGED: &str = "account.changed";
/// Action when an encryption key was added.
pub const KEY_ADDED: &str = "key.added";
/// Action when an encryption key was made the active one.
pub const KEY_ACTIVATED: &str = "key.activated";
/// Action when an encryption key was retired.
pub const KEY_RETIRED: &str = "key.retired";
/// Action when events were held, or a hold was lifted.
pub const LEGAL_HOLD: &str = "log.hold_changed";
/// Action when a person acknowledged what is wrong with a log as a whole.
pub const TAINT_ACKNOWLEDGED: &str = "log.taint_acknowledged";
/// Action when a log whose signer's record was lost was taken up again.
pub const LOG_ADOPTED: &str = "log.adopted";
/// Action of a verdict on a whole log.
pub const LOG_VERIFIED: &str = "log.verified";
/// Action when the disk is full.
pub const DISK_FULL: &str = "disk.full";
/// Action when events were handed out.
pub const EVENTS_EXTRACTED: &str = "events.extracted";
/// Action when the bytes of a recording were read.
pub const SESSION_DOWNLOADED: &str = "session.downloaded";
/// Action when the content of a recording was searched, or a screen shown as text.
pub const SESSION_VIEWED: &str = "session.viewed";
/// Action when a picture of a screen was made.
pub const SESSION_SCREENSHOT: &str = "session.screenshot";

/// Action when a witness remembers another history.
pub const WITNESS_ALARM: &str = "witness.alarm";

/// Own events that may wait to be written; beyond, they are counted as lost and said so in the operator's log.
const WAITING_MAX: usize = 100_000;

/// Own events of one append.
const APPEND_EVENTS_MAX: usize = 1_000;

/// Alike things that are counted at once; beyond, they are counted under one key without an address.
const TALLIES_MAX: usize = 10_000;

/// At most one event for things alike in this time.
const TALLY_EVERY_US: u64 = 60_000_000;

/// How long extractions are counted before the first event.
const EXTRACTION_FIRST_US: u64 = 10_000_000;

/// How often counts are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Pause before an append is tried again that was refused for lack of room.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// Longest client name that is kept, in bytes.
const USER_AGENT_BYTES_MAX: usize = 200;

/// Starts an own event: who did it and from where.
pub fn draft(action: &str, kind: Kind, outcome: Outcome, who: Option<&Principal>, caller: &Caller) -> EventDraft {
    let mut attributes = Map::new();
    if caller.dialect != Caller::INTERNAL {
        attributes.insert("dialect".into(), caller.dialect.into());
    }
    if let Some(agent) = &caller.user_agent {
        attributes.insert("user_agent".into(), cut(agent, USER_AGENT_BYTES_MAX).into());
    }
    EventDraft {
        kind,
        action: action.to_owned(),
        outcome,
        actor: who.map(|who| actor(who.account, &who.name)),
        source: caller
            .address
            .map(|address| SourceDraft { address: Some(address.to_string()), ..SourceDraft::default() }),
        attributes,
        ..EventDraft::default()
    }
}

/// What a witness said against a log.
pub fn witness_alarm(alarm: &Alarm) -> EventDraft {
    let mut draft = draft(WITNESS_ALARM, Kind::System, Outcome::Failure, None, &Caller::internal());
    draft.attributes.insert("reason".into(), alarm.reason.as_str().into());
    draft.attributes.insert("witness".into(), cut(&alarm.witness, USER_AGENT_BYTES_MAX).into());
    draft.attributes.insert("detail".into(), alarm.detail.as_str().into());
    draft
}

/// An account as the actor of an event.
pub fn actor(account: AccountId, name: &str) -> PartyDraft {
    PartyDraft { id: Some(account.to_string()), name: Some(name.to_owned()), kind: Some("account".into()) }
}

/// The beginning of a text, at most this many bytes of it.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// An own event on its way to the log.
fn handed(account: Option<AccountId>, from: Option<IpAddr>, draft: &EventDraft) -> Handed {
    let by = RecordedBy { account, via: Caller::INTERNAL.to_owned(), from: from.map(|a| a.to_string()) };
    let event = NewEvent::build(draft).expect("own events keep the limits: names were checked when they came in");
    (Arc::new(by), event)
}

/// Things that are alike are counted under one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Alike {
    Refused { log: LogId, account: Option<AccountId>, address: Option<IpAddr>, dialect: &'static str, reason: String },
    Extracted { log: LogId, account: AccountId, name: String, address: Option<IpAddr>, dialect: &'static str },
    Seen { seen: Seen, account: AccountId, name: String, address: Option<IpAddr>, dialect: &'static str },
}

/// A recording was looked at in one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The log of the session's organisation.
    pub log: LogId,
    /// The session.
    pub session: SessionId,
    /// The action of the event.
    pub action: &'static str,
}

/// The event of a look at a recording.
pub fn seen_draft(seen: &Seen, who: Option<&Principal>, caller: &Caller) -> EventDraft {
    let mut draft = draft(seen.action, Kind::Session, Outcome::Success, who, caller);
    draft.session = Some(seen.session.to_string());
    draft
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    count: u64,
    /// Extractions: events handed out, and the range of their numbers.
    events: u64,
    lowest: u64,
    highest: u64,
    /// When the count is due to be written, if there is any.
    due_us: u64,
}

/// The writer of own events.
pub struct OwnEvents {
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    /// Takes the events of logs that are read-only.
    control_log: LogId,
    queue: Mutex<VecDeque<(LogId, Handed)>>,
    queued: Notify,
    /// Number of own events that were ever queued, and that were ever written or lost: settled when equal.
    accepted: AtomicU64,
    done: watch::Sender<u64>,
    lost: AtomicU64,
    /// That the disk is full was said.
    alarmed: AtomicBool,
    tallies: Mutex<HashMap<Alike, Tally>>,
}

impl OwnEvents {
    /// Nothing is written before [`OwnEvents::run`] is.
    pub fn new(sealer: Arc<Sealer>, clock: Arc<dyn Clock>, control_log: LogId) -> OwnEvents {
        OwnEvents {
            sealer,
            clock,
            control_log,
            queue: Mutex::default(),
            queued: Notify::new(),
            accepted: AtomicU64::new(0),
            done: watch::channel(0).0,
            lost: AtomicU64::new(0),
            alarmed: AtomicBool::new(false),
            tallies: Mutex::default(),
        }
    }

    /// Appends one own event and waits until it is durable.
    pub async fn now(
        &self,
        log: LogId,
        account: Option<AccountId>,
        from: Option<IpAddr>,
        draft: &EventDraft,
    ) -> Result<()> {
        Ok(self.put(log, vec![handed(account, from, draft)]).await?)
    }

    /// As [`OwnEvents::now`], of several at once and in their order: durable together.
    pub async fn all_now(&self, log: LogId, drafts: &[EventDraft]) -> Result<()> {
        Ok(self.put(log, drafts.iter().map(|draft| handed(None, None, draft)).collect()).await?)
    }

    /// Appends to `log`, or to the control log where that takes nothing any more.
    async fn put(&self, log: LogId, events: Vec<Handed>) -> Result<(), NotAppended> {
        let entrance = self.sealer.enter(log).await.map_err(NotAppended::Failed)?;
        self.sealer.append(entrance, events, Some(self.control_log)).await.map(drop)
    }

    /// As [`OwnEvents::now`] for what cannot be undone any more: a failure is counted and logged, not returned.
    pub async fn now_or_count(&self, log: LogId, account: Option<AccountId>, from: Option<IpAddr>, draft: &EventDraft) {
        if let Err(error) = self.now(log, account, from, draft).await {
            self.lose(1, &format!("{error:?}"));
        }
    }

    /// Queues one own event. Returns at once.
    pub fn soon(&self, log: LogId, account: Option<AccountId>, from: Option<IpAddr>, draft: &EventDraft) {
        let mut queue = self.queue.lock();
        if queue.len() >= WAITING_MAX {
            drop(queue);
            return self.lose(1, "too many wait");
        }
        queue.push_back((log, handed(account, from, draft)));
        self.accepted.fetch_add(1, Ordering::SeqCst);
        drop(queue);
        self.queued.notify_one();
    }

    /// Counts a refusal; the first of its kind is queued at once.
    pub fn refused(&self, log: LogId, account: Option<AccountId>, caller: &Caller, reason: &str) {
        let (address, dialect, reason) = (caller.address, caller.dialect, reason.to_owned());
        let mut tallies = self.tallies.lock();
        let mut alike = Alike::Refused { log, account, address, dialect, reason: reason.clone() };
        if tallies.len() >= TALLIES_MAX && !tallies.contains_key(&alike) {
            alike = Alike::Refused { log, account: None, address: None, dialect, reason };
        }
        let tally = tallies.entry(alike.clone()).or_default();
        tally.count += 1;
        if tally.due_us == 0 {
            tally.due_us = self.clock.now_us() + TALLY_EVERY_US;
            let first = std::mem::take(&mut tally.count);
            drop(tallies);
            self.write(&alike, Tally { count: first, ..Tally::default() });
        }
    }

    /// Counts events handed out. Our own notes of extractions do not count: whoever polls would otherwise read, with each
    /// poll, the note about the poll before it.
    pub fn extracted(&self, log: LogId, who: &Principal, events: &[Event]) {
        let own_note = |event: &&Event| {
            event.recorded_by().via == Caller::INTERNAL
                && event.fields().is_ok_and(|f| f.action.as_str() == EVENTS_EXTRACTED)
        };
        let mut numbers = events.iter().filter(|event| !own_note(event)).map(Event::number);
        let Some(first) = numbers.next() else { return };
        let (count, lowest, highest) =
            numbers.fold((1, first, first), |(n, low, high), number| (n + 1, low.min(number), high.max(number)));

        let mut tallies = self.tallies.lock();
        let (account, name, dialect) = (who.account, who.name.clone(), who.caller.dialect);
        let mut alike = Alike::Extracted { log, account, name: name.clone(), address: who.caller.address, dialect };
        if tallies.len() >= TALLIES_MAX && !tallies.contains_key(&alike) {
            alike = Alike::Extracted { log, account, name, address: None, dialect };
        }
        let tally = tallies.entry(alike).or_default();
        if tally.due_us == 0 {
            tally.due_us = self.clock.now_us() + EXTRACTION_FIRST_US;
        }
        tally.lowest = if tally.count == 0 { lowest } else { tally.lowest.min(lowest) };
        tally.highest = tally.highest.max(highest);
        tally.count += 1;
        tally.events += count;
    }

    /// Counts a look at a recording. True: it is the first in a while, and the caller writes the event, before anything is
    /// shown; otherwise it is counted in an event that comes by itself.
    pub fn seen(&self, seen: &Seen, who: &Principal) -> bool {
        let alike = Alike::Seen {
            seen: seen.clone(),
            account: who.account,
            name: who.name.clone(),
            address: who.caller.address,
            dialect: who.caller.dialect,
        };
        let mut tallies = self.tallies.lock();
        // Where too many are counted already each look is an event of its own: nothing is left out.
        if tallies.len() >= TALLIES_MAX && !tallies.contains_key(&alike) {
            return true;
        }
        let tally = tallies.entry(alike).or_default();
        if tally.due_us == 0 {
            tally.due_us = self.clock.now_us() + TALLY_EVERY_US;
            return true;
        }
        tally.count += 1;
        false
    }

    /// Queues what was counted and is due, or with `all` whatever was counted.
    pub fn flush(&self, all: bool) {
        let now_us = self.clock.now_us();
        let mut due = Vec::new();
        self.tallies.lock().retain(|alike, tally| {
            if !all && now_us < tally.due_us {
                return true;
            }
            if tally.count == 0 {
                return false;
            }
            due.push((alike.clone(), std::mem::take(tally)));
            tally.due_us = now_us + TALLY_EVERY_US;
            !all
        });
        due.iter().for_each(|(alike, tally)| self.write(alike, *tally));
    }

    fn write(&self, alike: &Alike, tally: Tally) {
        match alike {
            Alike::Refused { log, account, address, dialect, reason } => {
                let caller = Caller { address: *address, dialect, user_agent: None };
                let mut draft = draft(ACCESS_REFUSED, Kind::System, Outcome::Failure, None, &caller);
                draft.actor =
                    account.map(|account| PartyDraft { id: Some(account.to_string()), ..PartyDraft::default() });
                draft.attributes.insert("reason".into(), reason.as_str().into());
                draft.attributes.insert("count".into(), tally.count.into());
                self.soon(*log, *account, *address, &draft);
            }
            Alike::Extracted { log, account, name, address, dialect } => {
                let caller = Caller { address: *address, dialect, user_agent: None };
                let mut draft = draft(EVENTS_EXTRACTED, Kind::System, Outcome::Success, None, &caller);
                draft.actor = Some(actor(*account, name));
                let counts = [
                    ("requests", tally.count),
                    ("events", tally.events),
                    ("lowest", tally.lowest),
                    ("highest", tally.highest),
                ];
                draft.attributes.extend(counts.map(|(name, count)| (name.to_owned(), json!(count))));
                self.soon(*log, Some(*account), *address, &draft);
            }
            Alike::Seen { seen, account, name, address, dialect } => {
                let caller = Caller { address: *address, dialect, user_agent: None };
                let mut draft = seen_draft(seen, None, &caller);
                draft.actor = Some(actor(*account, name));
                draft.attributes.insert("count".into(), tally.count.into());
                self.soon(seen.log, Some(*account), *address, &draft);
            }
        }
    }

    /// Writes what is queued, and looks at the counts every second, until `stop` changes; then writes the rest.
    /// `tick` is called with each look.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>, tick: impl Fn() + Send) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.queued.notified() => {}
                _ = ticks.tick() => {
                    tick();
                    self.note_full_disk().await;
                    self.flush(false);
                }
                _ = stop.changed() => break,
            }
            self.drain().await;
        }
        self.flush(true);
        self.drain().await;
    }

    /// Says in the control log that the disk is full, once each time it becomes so. Uses the space kept for that.
    async fn note_full_disk(&self) {
        let full = self.sealer.disk_is_full();
        if !full || self.alarmed.swap(full, Ordering::SeqCst) {
            self.alarmed.store(full, Ordering::SeqCst);
            return;
        }
        let draft = draft(DISK_FULL, Kind::System, Outcome::Failure, None, &Caller::internal());
        if let Err(error) = self.sealer.alarm(self.control_log, vec![handed(None, None, &draft)]).await {
            self.lose(1, &format!("{:?}", Error::from(error)));
        }
    }

    async fn drain(&self) {
        loop {
            let batch: Vec<_> = {
                let mut queue = self.queue.lock();
                let end = queue.len().min(APPEND_EVENTS_MAX);
                queue.drain(..end).collect()
            };
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            let mut by_log: Vec<(LogId, Vec<Handed>)> = Vec::new();
            for (log, entry) in batch {
                match by_log.iter_mut().find(|(of, _)| *of == log) {
                    Some((_, entries)) => entries.push(entry),
                    None => by_log.push((log, vec![entry])),
                }
            }
            for (log, entries) in by_log {
                self.append(log, entries).await;
            }
            self.done.send_modify(|done| *done += count);
        }
    }

    async fn append(&self, log: LogId, events: Vec<Handed>) {
        loop {
            match self.put(log, events.clone()).await {
                Ok(()) => return,
                // Nothing was appended; there will be room.
                Err(NotAppended::Log(log::Error::Full(_))) => tokio::time::sleep(FULL_PAUSE).await,
                Err(error) => return self.lose(events.len() as u64, &format!("{:?}", Error::from(error))),
            }
        }
    }

    /// Waits until everything queued before the call is durable, or lost.
    pub async fn settle(&self) {
        let accepted = self.accepted.load(Ordering::SeqCst);
        // The sender lives as long as `self`, so waiting ends only by the count.
        let _ = self.done.subscribe().wait_for(|done| *done >= accepted).await;
    }

    fn lose(&self, count: u64, why: &str) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        tracing::error!(count, why, "own events could not be recorded");
    }

    /// Own events that wait.
    pub fn waiting(&self) -> u64 {
        self.queue.lock().len() as u64
    }

    /// Own events that could not be written since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Members that differ, as `{"before": {…}, "after": {…}}`; members alike are left out.
pub fn change(before: Value, after: Value) -> Map<String, Value> {
    let (Value::Object(mut before), Value::Object(mut after)) = (before, after) else {
        unreachable!("both are written as objects in this crate")
    };
    after.retain(|name, value| {
        let same = before.get(name) == Some(value);
        if same {
            before.remove(name);
        }
        !same
    });
    Map::from_iter([("before".to_owned(), before.into()), ("after".to_owned(), after.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_holds_only_what_differs() {
        let change = change(json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}));
        assert_eq!(Value::Object(change), json!({"before": {"b": 2}, "after": {"b": 3}}));
    }

    #[test]
    fn a_long_client_name_is_cut_at_a_character() {
        assert_eq!(cut("aü", 2), "a");
        assert_eq!(cut("aü", 3), "aü");
    }
}
