//! What the control log adds up to: a pure fold over its records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use log::LogId;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::record::Record;
use crate::access::{Role, Scope};
use crate::keys::KeyState;
use crate::model::{AccountId, OrgId, TokenId};
use crate::numbers::Part;
use crate::secrets::SecretHash;

/// How long an ended token stays known, so that its use is answered "expired" and not "unknown": a day.
pub const ENDED_TOKENS_KEPT_US: u64 = 24 * 3600 * 1_000_000;

/// An organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Org {
    pub id: OrgId,
    pub parent: Option<OrgId>,
    /// In Unicode NFC.
    pub name: String,
    pub slug: String,
    #[serde(with = "as_text")]
    pub log: LogId,
    pub created_at_us: u64,
    /// Names the log in the search index; `None`: the organisation's place in the order of creation, as it was before
    /// any log was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_ordinal: Option<u32>,
    /// Logs that it took the place of, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_logs: Vec<FormerLog>,
}

/// A log that another one took the place of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormerLog {
    #[serde(with = "as_text")]
    pub log: LogId,
    /// Names it in the search index.
    pub ordinal: u32,
    /// Its last number, as readers see it.
    #[serde(default)]
    pub last_number: u64,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub org: OrgId,
    /// Trimmed and lower-cased.
    pub name: String,
    pub display_name: String,
    /// Ascending, each once.
    pub roles: Vec<Role>,
    pub disabled: bool,
    pub password: Option<String>,
    pub created_at_us: u64,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    pub account: AccountId,
    pub org: Option<OrgId>,
    pub name: String,
    /// Ascending, each once.
    pub scopes: Vec<Scope>,
    #[serde(with = "hex::serde")]
    pub hash: SecretHash,
    /// Number of its record in the control log: the order of issue.
    pub number: u64,
    pub issued_at_us: u64,
    pub expires_at_us: Option<u64>,
    pub revoked_at_us: Option<u64>,
    pub from_login: bool,
}

/// An encryption key of an organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// In Unicode NFC; unique within the organisation, for ever.
    pub name: String,
    /// As `seal::PublicKey` writes it.
    pub public_key: String,
    pub added_at_us: u64,
    /// When it was last activated.
    pub activated_at_us: Option<u64>,
    pub retired_at_us: Option<u64>,
    pub active: bool,
}

impl Key {
    /// What it is used for now.
    pub fn state(&self) -> KeyState {
        match (self.retired_at_us, self.active) {
            (Some(_), _) => KeyState::Retired,
            (None, true) => KeyState::Active,
            (None, false) => KeyState::Inactive,
        }
    }
}

impl Token {
    /// When it stopped or will stop working.
    fn ends_at_us(&self) -> Option<u64> {
        match (self.expires_at_us, self.revoked_at_us) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(id: &log::LogId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<log::LogId, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Everything the control log says. Small: it is kept in memory whole.
///
/// Two states made from the same records are equal, however they were made; a test says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// By ordinal: the order of creation. An organisation's place here names it in the search index.
    orgs: Vec<Org>,
    /// In the order of creation.
    accounts: Vec<Account>,
    tokens: HashMap<SecretHash, Token>,
    orgs_by_id: HashMap<OrgId, usize>,
    orgs_by_slug: HashMap<String, usize>,
    orgs_by_log: HashMap<LogId, usize>,
    accounts_by_id: HashMap<AccountId, usize>,
    accounts_by_name: HashMap<String, usize>,
    tokens_by_id: HashMap<TokenId, SecretHash>,
    /// Tokens from logging in, by account, in the order of issue.
    login_tokens: HashMap<AccountId, BTreeSet<(u64, SecretHash)>>,
    /// Tokens with an end, by that end: the queue of what to forget.
    ends: BTreeSet<(u64, SecretHash)>,
    /// Keys of each organisation that has any, in the order in which they were added; at most one of each is active.
    keys: BTreeMap<OrgId, Vec<Key>>,
    /// From which number on nothing is pruned.
    holds: BTreeMap<OrgId, u64>,
    /// What is known and accepted to be wrong with logs as a whole.
    acknowledged: BTreeMap<LogId, BTreeSet<String>>,
}

/// A record that cannot follow what came before it; says which rule it breaks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inconsistent(pub String);

/// A name as it is kept and compared: Unicode NFC.
pub fn normal_name(name: &str) -> String {
    name.trim().nfc().collect()
}

/// A login name as it is kept and compared: trimmed, NFC, lower case.
pub fn normal_login(name: &str) -> String {
    normal_name(name).to_lowercase()
}

fn broken(rule: impl Into<String>) -> Inconsistent {
    Inconsistent(rule.into())
}

impl State {
    /// Adds one record, which was received at `at_us` under `number`. On an error nothing has changed.
    pub fn apply(&mut self, record: &Record, at_us: u64, number: u64) -> Result<(), Inconsistent> {
        match record {
            Record::OrganisationCreated { id, parent, name, slug, log } => {
                let log: LogId = log.parse().map_err(|_| broken(format!("{log} is not a log id")))?;
                self.check_new_org(*id, *parent, name, slug, log)?;
                let (id, parent, created_at_us) = (*id, *parent, at_us);
                let log_ordinal = self.next_log_ordinal();
                let log_ordinal = Some(log_ordinal).filter(|ordinal| *ordinal as usize != self.orgs.len());
                let (name, slug, former_logs) = (name.clone(), slug.clone(), Vec::new());
                self.insert_org(Org { id, parent, name, slug, log, created_at_us, log_ordinal, former_logs });
            }
            Record::OrganisationRenamed { id, name } => {
                let at = *self.orgs_by_id.get(id).ok_or_else(|| broken(format!("{id} does not exist")))?;
                if self.sibling(self.orgs[at].parent, name).is_some_and(|other| other.id != *id) {
                    return Err(broken(format!("a sibling is called {name}")));
                }
                self.orgs[at].name = name.clone();
            }
            Record::OrganisationSlugSet { id, slug } => {
                let at = *self.orgs_by_id.get(id).ok_or_else(|| broken(format!("{id} does not exist")))?;
                if self.orgs_by_slug.get(slug).is_some_and(|other| *other != at) {
                    return Err(broken(format!("the slug {slug} is taken")));
                }
                let old = std::mem::replace(&mut self.orgs[at].slug, slug.clone());
                self.orgs_by_slug.remove(&old);
                self.orgs_by_slug.insert(slug.clone(), at);
            }
            Record::AccountCreated { id, org, name, display_name, roles, password } => {
                if self.accounts_by_id.contains_key(id) || self.accounts_by_name.contains_key(name) {
                    return Err(broken(format!("account {id} or its name exists")));
                }
                if !self.orgs_by_id.contains_key(org) {
                    return Err(broken(format!("{org} does not exist")));
                }
                self.insert_account(Account {
                    id: *id,
                    org: *org,
                    name: name.clone(),
                    display_name: display_name.clone(),
                    roles: sorted(roles),
                    disabled: false,
                    password: password.clone(),
                    created_at_us: at_us,
                });
            }
            Record::AccountChanged { id, display_name, roles, disabled, password } => {
                let at = *self.accounts_by_id.get(id).ok_or_else(|| broken(format!("{id} does not exist")))?;
                let account = &mut self.accounts[at];
                if let Some(name) = display_name {
                    account.display_name = name.clone();
                }
                if let Some(roles) = roles {
                    account.roles = sorted(roles);
                }
                if let Some(disabled) = disabled {
                    account.disabled = *disabled;
                }
                if let Some(password) = password {
                    account.password = Some(password.clone());
                }
            }
            Record::TokenIssued { id, account, org, name, scopes, hash, expires_at_us, from_login } => {
                let hash: SecretHash = hex::decode(hash)
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or_else(|| broken("a token hash is not 32 bytes of hex"))?;
                if self.tokens.contains_key(&hash) || self.tokens_by_id.contains_key(id) {
                    return Err(broken(format!("token {id} or its secret exists")));
                }
                if !self.accounts_by_id.contains_key(account) {
                    return Err(broken(format!("{account} does not exist")));
                }
                if org.is_some_and(|org| !self.orgs_by_id.contains_key(&org)) {
                    return Err(broken("the organisation of a token does not exist"));
                }
                self.insert_token(Token {
                    id: *id,
                    account: *account,
                    org: *org,
                    name: name.clone(),
                    scopes: sorted(scopes),
                    hash,
                    number,
                    issued_at_us: at_us,
                    expires_at_us: *expires_at_us,
                    revoked_at_us: None,
                    from_login: *from_login,
                });
            }
            Record::KeyAdded { org, name, public_key } => {
                if !self.orgs_by_id.contains_key(org) {
                    return Err(broken(format!("{org} does not exist")));
                }
                if self.keys(*org).iter().any(|key| key.name == *name) {
                    return Err(broken(format!("{org} has a key called {name}")));
                }
                self.keys.entry(*org).or_default().push(Key {
                    name: name.clone(),
                    public_key: public_key.clone(),
                    added_at_us: at_us,
                    activated_at_us: None,
                    retired_at_us: None,
                    active: false,
                });
            }
            Record::KeyActivated { org, name } => {
                let at = self.usable_key(*org, name)?;
                for (n, key) in self.keys.get_mut(org).into_iter().flatten().enumerate() {
                    key.active = n == at;
                    if key.active {
                        key.activated_at_us = Some(at_us);
                    }
                }
            }
            Record::KeyRetired { org, name } => {
                let at = self.usable_key(*org, name)?;
                for key in self.keys.get_mut(org).into_iter().flatten().skip(at).take(1) {
                    key.active = false;
                    key.retired_at_us = Some(at_us);
                }
            }
            Record::LegalHold { org, from, .. } => {
                if !self.orgs_by_id.contains_key(org) {
                    return Err(broken(format!("{org} does not exist")));
                }
                match from {
                    Some(from) => drop(self.holds.insert(*org, *from)),
                    None => drop(self.holds.remove(org)),
                }
            }
            Record::LogReplaced { org, log, last_number, .. } => {
                let log: LogId = log.parse().map_err(|_| broken(format!("{log} is not a log id")))?;
                let at = *self.orgs_by_id.get(org).ok_or_else(|| broken(format!("{org} does not exist")))?;
                if self.orgs_by_log.contains_key(&log) {
                    return Err(broken(format!("log {log} exists")));
                }
                let (ordinal, next) = (self.ordinal_at(at), self.next_log_ordinal());
                let replaced = &mut self.orgs[at];
                if replaced.former_logs.last().is_some_and(|before| before.last_number > *last_number) {
                    return Err(broken(format!("the numbers of {org} would fall to {last_number}")));
                }
                let old = std::mem::replace(&mut replaced.log, log);
                replaced.former_logs.push(FormerLog { log: old, ordinal, last_number: *last_number });
                replaced.log_ordinal = Some(next);
                self.orgs_by_log.insert(log, at);
            }
            Record::TaintAcknowledged { log, reasons, .. } => {
                let log: LogId = log.parse().map_err(|_| broken(format!("{log} is not a log id")))?;
                self.acknowledged.entry(log).or_default().extend(reasons.iter().cloned());
            }
            Record::TokensRevoked { ids } => {
                // A token that is forgotten already cannot be revoked any more; that is no inconsistency.
                for id in ids {
                    self.revoke(id, at_us);
                }
            }
        }
        // By the time of the record, not by the clock: the fold must not depend on when it is made.
        self.forget_ended(at_us.saturating_sub(ENDED_TOKENS_KEPT_US));
        Ok(())
    }

    /// Where the key of this name stands, if it may still be used.
    fn usable_key(&self, org: OrgId, name: &str) -> Result<usize, Inconsistent> {
        let at = self.keys(org).iter().position(|key| key.name == name && key.retired_at_us.is_none());
        at.ok_or_else(|| broken(format!("{org} has no key called {name} that may be used")))
    }

    fn check_new_org(
        &self,
        id: OrgId,
        parent: Option<OrgId>,
        name: &str,
        slug: &str,
        log: LogId,
    ) -> Result<(), Inconsistent> {
        if self.orgs_by_id.contains_key(&id) || self.orgs_by_log.contains_key(&log) {
            return Err(broken(format!("organisation {id} or its log exists")));
        }
        if self.orgs_by_slug.contains_key(slug) {
            return Err(broken(format!("the slug {slug} is taken")));
        }
        // A parent exists before its children and never changes, so the tree has no cycles.
        if parent.is_some_and(|parent| !self.orgs_by_id.contains_key(&parent)) {
            return Err(broken("the parent does not exist"));
        }
        if self.sibling(parent, name).is_some() {
            return Err(broken(format!("a sibling is called {name}")));
        }
        Ok(())
    }

    fn insert_org(&mut self, org: Org) {
        let at = self.orgs.len();
        self.orgs_by_id.insert(org.id, at);
        self.orgs_by_slug.insert(org.slug.clone(), at);
        self.orgs_by_log.insert(org.log, at);
        self.orgs_by_log.extend(org.former_logs.iter().map(|former| (former.log, at)));
        self.orgs.push(org);
    }

    fn insert_account(&mut self, account: Account) {
        let at = self.accounts.len();
        self.accounts_by_id.insert(account.id, at);
        self.accounts_by_name.insert(account.name.clone(), at);
        self.accounts.push(account);
    }

    fn insert_token(&mut self, token: Token) {
        if let Some(end) = token.ends_at_us() {
            self.ends.insert((end, token.hash));
        }
        if token.from_login {
            self.login_tokens.entry(token.account).or_default().insert((token.number, token.hash));
        }
        self.tokens_by_id.insert(token.id, token.hash);
        self.tokens.insert(token.hash, token);
    }

    fn revoke(&mut self, id: &TokenId, at_us: u64) {
        let Some(token) = self.tokens_by_id.get(id).and_then(|hash| self.tokens.get_mut(hash)) else { return };
        if token.revoked_at_us.is_some() {
            return;
        }
        if let Some(end) = token.ends_at_us() {
            self.ends.remove(&(end, token.hash));
        }
        token.revoked_at_us = Some(at_us);
        let end = token.ends_at_us().expect("it was just revoked");
        self.ends.insert((end, token.hash));
    }

    fn forget_ended(&mut self, before_us: u64) {
        while let Some((end, hash)) = self.ends.first().copied() {
            if end >= before_us {
                break;
            }
            self.ends.pop_first();
            let Some(token) = self.tokens.remove(&hash) else { continue };
            self.tokens_by_id.remove(&token.id);
            if let Some(of_account) = self.login_tokens.get_mut(&token.account) {
                of_account.remove(&(token.number, hash));
                if of_account.is_empty() {
                    self.login_tokens.remove(&token.account);
                }
            }
        }
    }

    /// The keys of an organisation, in the order in which they were added.
    pub fn keys(&self, org: OrgId) -> &[Key] {
        self.keys.get(&org).map_or(&[], Vec::as_slice)
    }

    /// The key that everything of the organisation is encrypted to, if there is one.
    pub fn active_key(&self, org: OrgId) -> Option<&Key> {
        self.keys(org).iter().find(|key| key.active)
    }

    /// Organisations in the order of their creation.
    pub fn orgs(&self) -> &[Org] {
        &self.orgs
    }

    /// Accounts in the order of their creation.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Tokens in no order.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    pub fn org(&self, id: OrgId) -> Option<&Org> {
        self.orgs_by_id.get(&id).map(|at| &self.orgs[*at])
    }

    /// What names the organisation's log in the search index.
    pub fn ordinal(&self, id: OrgId) -> Option<u32> {
        self.orgs_by_id.get(&id).map(|at| self.ordinal_at(*at))
    }

    fn ordinal_at(&self, at: usize) -> u32 {
        self.orgs[at].log_ordinal.unwrap_or(at as u32)
    }

    /// Each log has one, in the order in which they came.
    fn next_log_ordinal(&self) -> u32 {
        let former: usize = self.orgs.iter().map(|org| org.former_logs.len()).sum();
        (self.orgs.len() + former) as u32
    }

    /// Every log of every organisation, former ones too, with what names it in the search index.
    pub fn indexed_logs(&self) -> Vec<(u32, LogId)> {
        let mut logs = Vec::with_capacity(self.orgs.len());
        for (at, org) in self.orgs.iter().enumerate() {
            logs.extend(org.former_logs.iter().map(|former| (former.ordinal, former.log)));
            logs.push((self.ordinal_at(at), org.log));
        }
        logs
    }

    /// Logs that the organisation's one took the place of, oldest first.
    pub fn former_logs(&self, id: OrgId) -> &[FormerLog] {
        self.org(id).map_or(&[], |org| &org.former_logs)
    }

    /// The parts of the organisation's numbers, oldest first.
    pub(crate) fn parts(&self, id: OrgId) -> Option<Vec<Part>> {
        let (org, ordinal) = self.org(id).zip(self.ordinal(id))?;
        let mut before = 0;
        let mut parts: Vec<Part> = Vec::with_capacity(org.former_logs.len() + 1);
        for former in &org.former_logs {
            let last = Some(former.last_number);
            parts.push(Part { log: former.log, ordinal: former.ordinal, before, last });
            before = former.last_number;
        }
        parts.push(Part { log: org.log, ordinal, before, last: None });
        Some(parts)
    }

    /// The numbers of the organisation that belong to logs before this one.
    pub(crate) fn numbers_before(&self, log: LogId) -> u64 {
        let parts = self.org_by_log(log).and_then(|org| self.parts(org.id)).unwrap_or_default();
        parts.iter().find(|part| part.log == log).map_or(0, |part| part.before)
    }

    /// From which number on nothing of the organisation is pruned, if it is held.
    pub fn legal_hold(&self, id: OrgId) -> Option<u64> {
        self.holds.get(&id).copied()
    }

    /// Whether all of these reasons were acknowledged for the log.
    pub fn acknowledges(&self, log: LogId, reasons: &[String]) -> bool {
        let known = self.acknowledged.get(&log);
        reasons.iter().all(|reason| known.is_some_and(|known| known.contains(reason)))
    }

    pub fn org_by_slug(&self, slug: &str) -> Option<&Org> {
        self.orgs_by_slug.get(slug).map(|at| &self.orgs[*at])
    }

    pub fn org_by_log(&self, log: LogId) -> Option<&Org> {
        self.orgs_by_log.get(&log).map(|at| &self.orgs[*at])
    }

    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts_by_id.get(&id).map(|at| &self.accounts[*at])
    }

    /// `name` in any case, trimmed or not.
    pub fn account_by_name(&self, name: &str) -> Option<&Account> {
        self.accounts_by_name.get(&normal_login(name)).map(|at| &self.accounts[*at])
    }

    pub fn token(&self, hash: &SecretHash) -> Option<&Token> {
        self.tokens.get(hash)
    }

    pub fn token_by_id(&self, id: TokenId) -> Option<&Token> {
        self.tokens_by_id.get(&id).and_then(|hash| self.tokens.get(hash))
    }

    /// The account's tokens from logging in, in the order of issue.
    pub fn login_tokens(&self, account: AccountId) -> impl Iterator<Item = &Token> {
        let hashes = self.login_tokens.get(&account).into_iter().flatten();
        hashes.filter_map(|(_, hash)| self.tokens.get(hash))
    }

    /// The child of `parent` with this (normal) name.
    pub fn sibling(&self, parent: Option<OrgId>, name: &str) -> Option<&Org> {
        self.orgs.iter().find(|org| org.parent == parent && org.name == name)
    }

    /// Says whether `org` is `top` or lies below it.
    pub fn is_within(&self, org: OrgId, top: OrgId) -> bool {
        self.chain(org).any(|ancestor| ancestor.id == top)
    }

    /// The organisation itself, its parent, and so on up to the top; empty when there is no such organisation.
    pub fn chain(&self, org: OrgId) -> impl Iterator<Item = &Org> {
        std::iter::successors(self.org(org), |org| org.parent.and_then(|parent| self.org(parent)))
    }

    /// The parts that a snapshot holds; the rest follows from them.
    pub fn to_parts(&self) -> Parts {
        let mut tokens: Vec<Token> = self.tokens.values().cloned().collect();
        tokens.sort_by_key(|token| token.number);
        Parts {
            orgs: self.orgs.clone(),
            accounts: self.accounts.clone(),
            tokens,
            keys: self.keys.clone().into_iter().collect(),
            holds: self.holds.clone().into_iter().collect(),
            acknowledged: self.acknowledged.iter().map(|(log, reasons)| (log.to_string(), reasons.clone())).collect(),
        }
    }

    /// The state with these parts.
    pub fn from_parts(parts: Parts) -> State {
        let mut state = State::default();
        parts.orgs.into_iter().for_each(|org| state.insert_org(org));
        parts.accounts.into_iter().for_each(|account| state.insert_account(account));
        parts.tokens.into_iter().for_each(|token| state.insert_token(token));
        state.keys = parts.keys.into_iter().collect();
        state.holds = parts.holds.into_iter().collect();
        let acknowledged = parts.acknowledged.into_iter();
        state.acknowledged = acknowledged.filter_map(|(log, reasons)| Some((log.parse().ok()?, reasons))).collect();
        state
    }
}

/// What a snapshot of the state holds.
#[derive(Serialize, Deserialize)]
pub struct Parts {
    orgs: Vec<Org>,
    accounts: Vec<Account>,
    tokens: Vec<Token>,
    #[serde(default)]
    keys: Vec<(OrgId, Vec<Key>)>,
    #[serde(default)]
    holds: Vec<(OrgId, u64)>,
    /// Log ids as text.
    #[serde(default)]
    acknowledged: Vec<(String, BTreeSet<String>)>,
}

/// Ascending, each once.
pub fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    BTreeSet::from_iter(items.iter().cloned()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_US: u64 = 24 * 3600 * 1_000_000;

    fn org(n: u8) -> OrgId {
        OrgId::from_bytes([n; 16])
    }

    fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    fn token(n: u8) -> TokenId {
        TokenId::from_bytes([n; 16])
    }

    /// Records out of a small world, most of which cannot follow each other.
    fn record() -> impl Strategy<Value = Record> {
        let n = || 0u8..4;
        let roles = || prop::collection::vec(prop::sample::select(&Role::ALL[..]), 1..3);
        prop_oneof![
            (n(), prop::option::of(n()), n(), n(), n()).prop_map(|(id, parent, name, slug, log)| {
                Record::OrganisationCreated {
                    id: org(id),
                    parent: parent.map(org),
                    name: format!("name {name}"),
                    slug: format!("slug-{slug}"),
                    log: LogId([log; 16]).to_string(),
                }
            }),
            (n(), n()).prop_map(|(id, name)| Record::OrganisationRenamed { id: org(id), name: format!("name {name}") }),
            (n(), n()).prop_map(|(id, slug)| Record::OrganisationSlugSet { id: org(id), slug: format!("slug-{slug}") }),
            (n(), n(), n(), roles()).prop_map(|(id, of, name, roles)| Record::AccountCreated {
                id: account(id),
                org: org(of),
                name: format!("login{name}"),
                display_name: String::new(),
                roles,
                password: None,
            }),
            (n(), prop::option::of(roles()), any::<Option<bool>>()).prop_map(|(id, roles, disabled)| {
                Record::AccountChanged {
                    id: account(id),
                    display_name: None,
                    roles,
                    disabled,
                    password: disabled.map(|_| "$argon2id$".to_owned()),
                }
            }),
            (n(), n(), prop::option::of(n()), n(), prop::option::of(0..5 * DAY_US), any::<bool>()).prop_map(
                |(id, of, narrowed, hash, expires_at_us, from_login)| Record::TokenIssued {
                    id: token(id),
                    account: account(of),
                    org: narrowed.map(org),
                    name: String::new(),
                    scopes: vec![Scope::Read, Scope::Read],
                    hash: hex::encode([hash; 32]),
                    expires_at_us,
                    from_login,
                }
            ),
            (n(), n()).prop_map(|(of, name)| Record::KeyAdded {
                org: org(of),
                name: format!("key {name}"),
                public_key: String::new(),
            }),
            (n(), n()).prop_map(|(of, name)| Record::KeyActivated { org: org(of), name: format!("key {name}") }),
            (n(), n()).prop_map(|(of, name)| Record::KeyRetired { org: org(of), name: format!("key {name}") }),
            (n(), prop::option::of(1u64..9)).prop_map(|(of, from)| Record::LegalHold {
                org: org(of),
                from,
                reason: "r".into(),
            }),
            (n(), 4u8..9).prop_map(|(of, log)| Record::LogReplaced {
                org: org(of),
                log: LogId([log; 16]).to_string(),
                cause: "c".into(),
                last_number: u64::from(log),
            }),
            n().prop_map(|log| Record::TaintAcknowledged {
                log: LogId([log; 16]).to_string(),
                reasons: vec!["forked".into()],
                reason: "r".into(),
            }),
            prop::collection::vec(n(), 0..3)
                .prop_map(|ids| Record::TokensRevoked { ids: ids.into_iter().map(token).collect() }),
        ]
    }

    proptest! {
        // Goal: whatever is tried, the state keeps its promises, and does not depend on how it was made.
        #[test]
        fn any_history_leaves_a_sound_state(steps in prop::collection::vec((record(), 0..DAY_US / 2), 0..60)) {
            let mut state = State::default();
            let mut history = Vec::new();
            let mut at_us = 0;
            for (number, (record, later_us)) in steps.into_iter().enumerate() {
                at_us += later_us;
                let before = state.clone();
                match state.apply(&record, at_us, number as u64) {
                    Ok(()) => history.push((record, at_us, number as u64)),
                    Err(_) => prop_assert_eq!(&state, &before, "a refused record changes nothing"),
                }
            }
            let mut again = State::default();
            for (n, (record, at_us, number)) in history.iter().enumerate() {
                // Through a snapshot half-way, and through the bytes of the log.
                if n == history.len() / 2 {
                    let json = serde_json::to_vec(&again.to_parts()).unwrap();
                    again = State::from_parts(serde_json::from_slice(&json).unwrap());
                }
                let stored = super::super::record::encode(None, record.clone());
                prop_assert_eq!(&super::super::record::decode(&stored).unwrap(), record);
                again.apply(record, *at_us, *number).unwrap();
            }
            prop_assert_eq!(&again, &state);

            for org in state.orgs() {
                prop_assert!(state.chain(org.id).count() <= state.orgs().len(), "no cycle");
                let alike = state.orgs().iter().filter(|o| o.parent == org.parent && o.name == org.name).count();
                prop_assert_eq!(alike, 1, "names are unique among siblings");
                prop_assert_eq!(state.org_by_slug(&org.slug), Some(org));
                prop_assert_eq!(state.org_by_log(org.log), Some(org));
                let keys = state.keys(org.id);
                prop_assert!(keys.iter().filter(|key| key.active).count() <= 1, "one key is active at most");
                prop_assert!(keys.iter().all(|key| !(key.active && key.retired_at_us.is_some())));
                prop_assert_eq!(state.active_key(org.id), keys.iter().find(|key| key.state() == KeyState::Active));
            }
            let mut ordinals: Vec<u32> = state.indexed_logs().iter().map(|(ordinal, _)| *ordinal).collect();
            ordinals.sort_unstable();
            prop_assert_eq!(ordinals, (0..state.indexed_logs().len() as u32).collect::<Vec<_>>(), "one for each log, dense");
            for account in state.accounts() {
                prop_assert_eq!(state.account_by_name(&account.name.to_uppercase()), Some(account));
                prop_assert!(account.roles.is_sorted() && state.org(account.org).is_some());
            }
            for token in state.tokens() {
                prop_assert_eq!(state.token_by_id(token.id), Some(token));
                prop_assert_eq!(state.token(&token.hash), Some(token));
                prop_assert_eq!(&token.scopes, &vec![Scope::Read]);
                // The time of the last record that was taken is what forgetting goes by.
                let last_us = history.last().map_or(0, |(_, at_us, _)| *at_us);
                prop_assert!(token.ends_at_us().is_none_or(|end| end + ENDED_TOKENS_KEPT_US >= last_us));
                let among_logins = state.login_tokens(token.account).any(|t| t.id == token.id);
                prop_assert_eq!(among_logins, token.from_login);
            }
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_not_guessed_at() {
        let later = br#"{"v":2,"record":"organisation_renamed","id":"org_aaaaaaaaaaaaaaaaaaaaaaaaaa","name":"x"}"#;
        assert!(super::super::record::decode(later).unwrap_err().contains("version 2"));
        let unknown = br#"{"v":1,"record":"organisation_sold","id":"org_aaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;
        assert!(super::super::record::decode(unknown).is_err());
        let stored = br#"{"v":1,"by":"acc_aaaaaaaaaaaaaaaaaaaaaaaaaa","record":"tokens_revoked","ids":["tok_aaaaaaaaaaaaaaaaaaaaaaaaaa"]}"#;
        let expected = Record::TokensRevoked { ids: vec![token(0)] };
        assert_eq!(super::super::record::decode(stored), Ok(expected.clone()));
        assert_eq!(super::super::record::encode(Some(account(0)), expected), stored, "as it was written by version 1");
    }
}
