//! Rules that Sigma has no words for, because they remember for months: addresses never seen, accounts that return, senders that
//! fall silent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::fact::Fact;
use super::rule::{Finding, RuleInfo, Rules, Seen};
use crate::model::{AccountId, Kind, Outcome};

/// Accounts and senders that are remembered, of all organisations. Of more, those not seen longest are forgotten: they then have to
/// be learnt again, which costs findings and makes none.
const REMEMBERED_MAX: usize = 200_000;
/// Addresses of an account that are remembered; the oldest is forgotten beyond.
const ADDRESSES_MAX: usize = 32;
/// Successes of an account before a new address is worth telling.
const SUCCESSES_MIN: u32 = 5;
/// An account of which nothing was seen for this long is dormant.
const DORMANT_S: i64 = 60 * 86_400;
/// Events of a sender, and days on which it sent, before its silence is worth telling.
const SENT_MIN: u64 = 100;
const SENT_DAYS_MIN: u32 = 3;
/// A sender is silent after this time, or three times its longest pause so far if that is more.
const SILENT_S: i64 = 86_400;
const PAUSES: i64 = 3;

const NEVER_SEEN: &str = "counterfoil:never-seen-address";
const DORMANT: &str = "counterfoil:dormant-account";
const SILENT: &str = "counterfoil:silent-source";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Account {
    addresses: Vec<String>,
    successes: u32,
    last_s: i64,
    last_number: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sender {
    events: u64,
    days: u32,
    longest_pause_s: i64,
    last_s: i64,
    last_number: u64,
    /// Its silence was told.
    told: bool,
}

/// See the module page.
pub struct Memory {
    rules: Vec<RuleInfo>,
    /// Organisation and name, joined by a line feed, which no name holds.
    accounts: HashMap<String, Account>,
    senders: HashMap<String, Sender>,
    /// Who sent the event before, and its name in `senders`.
    sending: Option<(u32, AccountId, String)>,
    /// What stands in every login.
    login: [memchr::memmem::Finder<'static>; 2],
}

#[derive(Serialize, Deserialize)]
struct Saved {
    accounts: HashMap<String, Account>,
    senders: HashMap<String, Sender>,
}

impl Memory {
    /// Remembers nothing yet.
    pub fn new() -> Memory {
        let info = |id: &str, title: &str, level: &str, fields: &[&str]| RuleInfo {
            id: id.to_owned(),
            title: title.to_owned(),
            level: level.to_owned(),
            file: "built in".to_owned(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect::<BTreeSet<String>>(),
            problem: None,
        };
        Memory {
            rules: vec![
                info(NEVER_SEEN, "Login from a never-seen address", "medium", &["kind", "outcome", "actor", "source"]),
                info(DORMANT, "A dormant account returns", "medium", &["kind", "outcome", "actor"]),
                info(SILENT, "A source fell silent", "high", &[]),
            ],
            accounts: HashMap::new(),
            senders: HashMap::new(),
            sending: None,
            login: [Kind::Authentication.as_str(), Outcome::Success.as_str()].map(memchr::memmem::Finder::new),
        }
    }

    fn account(&mut self, org: u32, fact: &Fact) -> Vec<Finding> {
        let Some(actor) = fact.actor.as_ref().filter(|_| fact.kind == Kind::Authentication) else { return Vec::new() };
        if fact.outcome != Outcome::Success {
            return Vec::new();
        }
        shrink(&mut self.accounts, |account| account.last_s);
        let account = self.accounts.entry(format!("{org}\n{actor}")).or_default();
        let group = |source: bool| {
            let mut group = BTreeMap::from([("actor".to_owned(), actor.clone())]);
            if source {
                group.extend(fact.source.clone().map(|address| ("source".to_owned(), address)));
            }
            group
        };
        let mut found = Vec::new();
        let pause_s = fact.at_s.saturating_sub(account.last_s);
        if account.successes > 0 && pause_s >= DORMANT_S {
            let why = format!("nothing was seen of it for {} days", pause_s / 86_400);
            let events = vec![account.last_number, fact.number];
            found.push(self.rules[1].finding(group(true), events, account.last_s, fact.at_s, why));
        }
        if let Some(source) = &fact.source
            && !account.addresses.contains(source)
        {
            if account.successes >= SUCCESSES_MIN {
                let known = account.addresses.len();
                let why = format!("{} successes before came from {known} other addresses", account.successes);
                found.push(self.rules[0].finding(group(true), vec![fact.number], fact.at_s, fact.at_s, why));
            }
            if account.addresses.len() == ADDRESSES_MAX {
                account.addresses.remove(0);
            }
            account.addresses.push(source.clone());
        }
        account.successes = account.successes.saturating_add(1);
        if fact.at_s >= account.last_s {
            (account.last_s, account.last_number) = (fact.at_s, fact.number);
        }
        found
    }

    fn sender(&mut self, org: u32, seen: &Seen<'_>) {
        let Some(account) = seen.sender else { return };
        // Most events come from the sender of the one before.
        if self.sending.as_ref().is_none_or(|(of, sender, _)| (*of, *sender) != (org, account)) {
            shrink(&mut self.senders, |sender| sender.last_s);
            self.sending = Some((org, account, format!("{org}\n{account}")));
        }
        let key = self.sending.as_ref().map_or("", |(_, _, key)| key.as_str());
        if !self.senders.contains_key(key) {
            self.senders.insert(key.to_owned(), Sender::default());
        }
        let Some(sender) = self.senders.get_mut(key) else { return };
        if sender.events > 0 {
            sender.longest_pause_s = sender.longest_pause_s.max(seen.recorded_s.saturating_sub(sender.last_s));
        }
        if sender.events == 0 || seen.recorded_s.div_euclid(86_400) != sender.last_s.div_euclid(86_400) {
            sender.days = sender.days.saturating_add(1);
        }
        sender.events += 1;
        (sender.last_s, sender.last_number, sender.told) = (seen.recorded_s, seen.number, false);
    }
}

impl RuleInfo {
    fn finding(
        &self,
        group: BTreeMap<String, String>,
        events: Vec<u64>,
        first_s: i64,
        last_s: i64,
        why: String,
    ) -> Finding {
        Finding {
            rule: self.id.clone(),
            title: self.title.clone(),
            level: self.level.clone(),
            tags: Vec::new(),
            group,
            count: events.len() as u64,
            window_s: None,
            first_s,
            last_s,
            events,
            why,
        }
    }
}

/// Forgets a tenth when too many are remembered: those seen longest ago.
fn shrink<T>(remembered: &mut HashMap<String, T>, last_s: impl Fn(&T) -> i64) {
    if remembered.len() < REMEMBERED_MAX {
        return;
    }
    let mut times: Vec<(i64, &String)> = remembered.iter().map(|(name, one)| (last_s(one), name)).collect();
    let (_, (at, name), _) = times.select_nth_unstable(REMEMBERED_MAX / 10);
    let (at, name) = (*at, name.clone());
    remembered.retain(|other, one| (last_s(one), other) > (at, &name));
}

impl Rules for Memory {
    fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }

    fn glance(&mut self, org: u32, seen: &Seen<'_>) -> bool {
        self.sender(org, seen);
        // An escape may be a letter of either word.
        self.login.iter().all(|word| word.find(seen.json).is_some()) || memchr::memchr(b'\\', seen.json).is_some()
    }

    fn evaluate(&mut self, org: u32, fact: &Fact) -> Vec<Finding> {
        self.account(org, fact)
    }

    fn tick(&mut self, now_s: i64) -> Vec<(u32, Finding)> {
        let mut found = Vec::new();
        let rule = self.rules[2].clone();
        for (key, sender) in &mut self.senders {
            let patience_s = SILENT_S.max(PAUSES.saturating_mul(sender.longest_pause_s));
            let pause_s = now_s.saturating_sub(sender.last_s);
            if sender.told || sender.events < SENT_MIN || sender.days < SENT_DAYS_MIN || pause_s < patience_s {
                continue;
            }
            sender.told = true;
            let Some((org, name)) = key.split_once('\n').and_then(|(org, name)| Some((org.parse().ok()?, name))) else {
                continue;
            };
            let why = format!(
                "nothing came for {} hours; its longest pause was {} hours",
                pause_s / 3_600,
                sender.longest_pause_s / 3_600
            );
            let group = BTreeMap::from([("sender".to_owned(), name.to_owned())]);
            found.push((org, rule.finding(group, vec![sender.last_number], sender.last_s, now_s, why)));
        }
        // The same findings in the same order, whatever the order in memory is.
        found.sort_by(|a, b| (a.0, &a.1.group).cmp(&(b.0, &b.1.group)));
        found
    }

    fn save(&self) -> serde_json::Value {
        let saved = Saved { accounts: self.accounts.clone(), senders: self.senders.clone() };
        serde_json::to_value(saved).unwrap_or_else(|error| {
            tracing::error!(%error, "what the rules remember cannot be kept; after a restart they begin anew");
            serde_json::Value::Null
        })
    }

    fn restore(&mut self, state: serde_json::Value) -> Result<(), String> {
        let saved: Saved = serde_json::from_value(state).map_err(|error| error.to_string())?;
        (self.accounts, self.senders, self.sending) = (saved.accounts, saved.senders, None);
        Ok(())
    }
}
