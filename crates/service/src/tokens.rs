//! Tokens: opaque secrets, kept as hashes, that stand for an account.

use std::time::Duration;

use jiff::Timestamp;

use serde_json::json;
use zeroize::Zeroizing;

use crate::access::{Caller, Principal, Scope, Verb};
use crate::control::record::Record;
use crate::control::state::{Account, State, Token, sorted};
use crate::error::{Error, ErrorKind, Result};
use crate::model::event::TargetDraft;
use crate::model::{AccountId, Kind, OrgId, Outcome, TokenId, time};
use crate::organisations::no_org;
use crate::service::Service;
use crate::{own_events, secrets};

/// Longest name of a token, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 200;

/// Longest time a token with an end may live.
pub const TTL_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Shortest secret that a dialect may supply, in bytes.
pub const SUPPLIED_BYTES_MIN: usize = 32;

/// Tokens of one list.
pub const LIST_MAX: usize = 10_000;

/// Tokens from logging in that one account may have at a time; with one more the oldest is revoked.
pub const LOGIN_TOKENS_MAX: usize = 200;

/// Addresses remembered for one token; with one more all are forgotten.
const ADDRESSES_MAX: usize = 64;

/// Tokens whose addresses are remembered; with one more all are forgotten.
const ADDRESSED_TOKENS_MAX: usize = 100_000;

/// What the secret of a token looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// `cf_` and 43 characters of base64url: 32 random bytes.
    Native,
    /// 32 characters of canonical base64: 24 random bytes. Extraction clients check this form.
    Extraction,
    /// 88 characters of base64: 64 random bytes.
    Refresh,
    /// 40 lower-case hexadecimal digits: 20 random bytes, as cookies of sessions have.
    Session,
    /// Made by a dialect (a signed token, say); we keep its hash only. At most 8 KiB.
    Supplied(String),
}

/// A token to be issued.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whom it stands for.
    pub account: AccountId,
    /// What it may be used for; not empty.
    pub scopes: Vec<Scope>,
    /// Narrows its reach to this organisation and below; `None`: the account's own reach.
    pub org: Option<OrgId>,
    /// For people; may be empty.
    pub name: String,
    /// How long it works; `None`: until revoked.
    pub ttl: Option<Duration>,
    /// What its secret looks like.
    pub form: TokenForm,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: TokenId,
    /// Whom it stands for.
    pub account: AccountId,
    /// The top of its reach.
    pub org: OrgId,
    /// For people.
    pub name: String,
    /// What it may be used for, ascending.
    pub scopes: Vec<Scope>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Why a token was not accepted.
#[derive(Debug)]
pub enum AuthenticateError {
    /// No such token, or its account is gone.
    Unknown,
    /// It was good until then.
    Expired {
        /// When it stopped working.
        at: Timestamp,
    },
    /// It was taken back, or its account is switched off.
    Revoked,
    /// It could not be tried.
    Failed(Error),
}

impl From<AuthenticateError> for Error {
    fn from(why: AuthenticateError) -> Error {
        let text = match why {
            AuthenticateError::Unknown => "unknown token".to_owned(),
            AuthenticateError::Expired { at } => format!("the token expired at {at}"),
            AuthenticateError::Revoked => "the token was revoked".to_owned(),
            AuthenticateError::Failed(error) => return error,
        };
        Error::new(ErrorKind::Unauthenticated, text)
    }
}

impl Service {
    /// Recognises a token. In memory, a microsecond. A refusal, and the first use from a new address, is recorded.
    pub fn authenticate(&self, secret: &str, caller: &Caller) -> Result<Principal, AuthenticateError> {
        let (org, why) = match self.recognise(secret, caller) {
            Ok(principal) => {
                self.note_address(&principal);
                return Ok(principal);
            }
            Err(refused) => refused,
        };
        let reason = match &why {
            AuthenticateError::Unknown => "token_unknown",
            AuthenticateError::Expired { .. } => "token_expired",
            AuthenticateError::Revoked => "token_revoked",
            AuthenticateError::Failed(_) => return Err(why),
        };
        self.note_refusal(org.unwrap_or_else(|| self.default_org()), None, caller, reason);
        Err(why)
    }

    /// Exchanges a refresh token: it stops working, and the principal returned may issue fresh ones as after `login`.
    pub async fn redeem_refresh(&self, secret: &str, caller: &Caller) -> Result<Principal, AuthenticateError> {
        let who = self.authenticate(secret, caller)?;
        if let Err(error) = self.allow(&who, Verb::RefreshTokens, who.org) {
            return Err(AuthenticateError::Failed(error));
        }
        let id = who.token.expect("authenticate names the token");
        let revoked = self
            .control()
            .execute(Some(who.account), move |state| {
                // Two may redeem it at once; the second must find it gone.
                let live = state.token_by_id(id).is_some_and(|token| token.revoked_at_us.is_none());
                Ok(if live { (vec![Record::TokensRevoked { ids: vec![id] }], true) } else { (vec![], false) })
            })
            .await
            .map_err(AuthenticateError::Failed)?;
        if !revoked {
            self.note_refusal(who.org, Some(who.account), caller, "token_revoked");
            return Err(AuthenticateError::Revoked);
        }
        Ok(Principal { token: None, scopes: Scope::ALL.to_vec(), ..who })
    }

    /// Issues a token and returns its secret, which nobody can read again.
    ///
    /// An account issues tokens for itself right after logging in (`who.token` is `None`); for others within reach, and with
    /// a token in hand, it takes `ManageTokens`.
    pub async fn issue_token(&self, who: &Principal, new: NewToken) -> Result<(TokenInfo, String)> {
        // Right after logging in, an account needs no further right to get a token for itself.
        let from_login = who.token.is_none() && who.account == new.account;
        let account = match from_login {
            true => self.profile(who)?,
            false => self.account_within(who, Verb::ManageTokens, new.account)?,
        };
        if new.scopes.is_empty() {
            return Err(Error::invalid(
                "a token has at least one scope: ingest, read, extract, proofs, admin, refresh",
            ));
        }
        let scopes = sorted(&new.scopes);
        let name = new.name.trim().to_owned();
        if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let message = format!("the name is longer than {NAME_BYTES_MAX} bytes or has control characters");
            return Err(Error::invalid(message));
        }
        if new.ttl.is_some_and(|ttl| ttl.is_zero() || ttl > TTL_MAX) {
            return Err(Error::invalid("a token lives longer than nothing and at most 100 years"));
        }
        if let TokenForm::Supplied(secret) = &new.form
            && !(SUPPLIED_BYTES_MIN..=secrets::SECRET_BYTES_MAX).contains(&secret.len())
        {
            let max = secrets::SECRET_BYTES_MAX;
            return Err(Error::invalid(format!("a supplied secret has {SUPPLIED_BYTES_MIN} to {max} bytes")));
        }
        let secret: Zeroizing<String> = secrets::draw(&new.form, self.entropy());
        let hash = secrets::hash(&secret);
        let id = TokenId::from_bytes(self.random());
        let expires_at_us = new.ttl.map(|ttl| self.now_us().saturating_add(ttl.as_micros() as u64));
        let (who_org, org) = (who.org, new.org);
        self.control()
            .execute(Some(who.account), move |state| {
                if org.is_some_and(|org| !state.is_within(org, account.org) || !state.is_within(org, who_org)) {
                    return Err(no_org());
                }
                if state.token(&hash).is_some() {
                    return Err(Error::conflict("there is a token with this secret already"));
                }
                let mut records = Vec::new();
                if from_login {
                    let surplus = surplus_login_tokens(state, account.id);
                    if !surplus.is_empty() {
                        records.push(Record::TokensRevoked { ids: surplus });
                    }
                }
                let (account, hash) = (account.id, hex::encode(hash));
                records.push(Record::TokenIssued { id, account, org, name, scopes, hash, expires_at_us, from_login });
                Ok((records, ()))
            })
            .await?;
        let info = {
            let state = self.control().state();
            let token =
                state.token(&hash).ok_or_else(|| Error::internal("a token is gone right after it was issued"))?;
            token_info(&state, token)
        };
        self.remember_address(info.id, who);
        // The login that a token came from is an event already.
        if !from_login {
            self.record_token(who, own_events::TOKEN_ISSUED, &info).await;
        }
        Ok((info, secret.to_string()))
    }

    /// Revokes a token: the caller's own, or with `ManageTokens` any within reach. Twice is the same as once.
    pub async fn revoke_token(&self, who: &Principal, token: TokenId) -> Result<TokenInfo> {
        let found = self.control().state().token_by_id(token).cloned();
        let own = found.as_ref().is_some_and(|token| token.account == who.account);
        let verb = if own { Verb::OwnProfile } else { Verb::ManageTokens };
        self.allow(who, verb, who.org)?;
        let org = found.and_then(|token| {
            let state = self.control().state();
            let org = state.account(token.account)?.org;
            (own || state.is_within(org, who.org)).then_some(org)
        });
        org.ok_or_else(no_token)?;
        let changed = self
            .control()
            .execute(Some(who.account), move |state| {
                let live = state.token_by_id(token).ok_or_else(no_token)?.revoked_at_us.is_none();
                Ok(if live { (vec![Record::TokensRevoked { ids: vec![token] }], true) } else { (vec![], false) })
            })
            .await?;
        let info = {
            let state = self.control().state();
            state.token_by_id(token).map(|token| token_info(&state, token)).ok_or_else(no_token)?
        };
        if changed {
            self.record_token(who, own_events::TOKEN_REVOKED, &info).await;
        }
        Ok(info)
    }

    /// Tokens of `account`, or with `None` of every account within reach, in the order of issue; at most 10,000, the newest.
    pub fn list_tokens(&self, who: &Principal, account: Option<AccountId>) -> Result<Vec<TokenInfo>> {
        let own = account == Some(who.account);
        match account {
            _ if own => self.allow(who, Verb::OwnProfile, who.org)?,
            Some(account) => drop(self.account_within(who, Verb::ManageTokens, account)?),
            None => self.allow(who, Verb::ManageTokens, who.org)?,
        }
        let state = self.control().state();
        let asked = |token: &&Token| match account {
            Some(account) => token.account == account,
            None => state.account(token.account).is_some_and(|account| state.is_within(account.org, who.org)),
        };
        let mut tokens: Vec<&Token> = state.tokens().filter(asked).collect();
        tokens.sort_by_key(|token| token.number);
        let newest = &tokens[tokens.len().saturating_sub(LIST_MAX)..];
        Ok(newest.iter().map(|token| token_info(&state, token)).collect())
    }

    /// Who a secret stands for; else why not, and where that is to be recorded.
    pub(crate) fn recognise(
        &self,
        secret: &str,
        caller: &Caller,
    ) -> Result<Principal, (Option<OrgId>, AuthenticateError)> {
        if secret.is_empty() || secret.len() > secrets::SECRET_BYTES_MAX {
            return Err((None, AuthenticateError::Unknown));
        }
        let state = self.control().state();
        let Some(token) = state.token(&secrets::hash(secret)) else { return Err((None, AuthenticateError::Unknown)) };
        let Some(account) = state.account(token.account) else { return Err((None, AuthenticateError::Unknown)) };
        let refused = |why| Err((Some(account.org), why));
        if token.revoked_at_us.is_some() || account.disabled {
            return refused(AuthenticateError::Revoked);
        }
        if let Some(at) = token.expires_at_us.filter(|at| *at <= self.now_us()) {
            return refused(AuthenticateError::Expired { at: time::from_micros(at) });
        }
        let mut principal = principal(account, caller);
        principal.org = token.org.unwrap_or(account.org);
        principal.scopes = token.scopes.clone();
        principal.token = Some(token.id);
        Ok(principal)
    }

    /// Says whether the token of `who` would be accepted again now; for what goes on after the request began.
    pub(crate) fn still_valid(&self, who: &Principal) -> Result<()> {
        let state = self.control().state();
        let account = state.account(who.account).filter(|account| !account.disabled);
        let account = account.ok_or_else(|| Error::from(AuthenticateError::Revoked))?;
        if let Some(id) = who.token {
            let token = state.token_by_id(id).filter(|token| token.revoked_at_us.is_none());
            let token = token.ok_or_else(|| Error::from(AuthenticateError::Revoked))?;
            if let Some(at) = token.expires_at_us.filter(|at| *at <= self.now_us()) {
                return Err(AuthenticateError::Expired { at: time::from_micros(at) }.into());
            }
        }
        match account.roles == who.roles {
            true => Ok(()),
            false => Err(Error::forbidden("the roles of the account have changed")),
        }
    }

    /// Records the first use of a token from an address.
    fn note_address(&self, who: &Principal) {
        if !self.remember_address(who.token.expect("recognised by a token"), who) {
            return;
        }
        let mut draft =
            own_events::draft(own_events::TOKEN_USED, Kind::System, Outcome::Success, Some(who), &who.caller);
        draft.attributes.insert("token".into(), json!(who.token));
        self.record_soon(who.org, Some(who.account), &who.caller, &draft);
    }

    /// Says whether the address was new for the token.
    fn remember_address(&self, token: TokenId, who: &Principal) -> bool {
        let Some(address) = who.caller.address else { return false };
        let mut seen = self.addresses().lock();
        if seen.len() >= ADDRESSED_TOKENS_MAX && !seen.contains_key(&token) {
            seen.clear();
        }
        let addresses = seen.entry(token).or_default();
        if addresses.contains(&address) {
            return false;
        }
        if addresses.len() >= ADDRESSES_MAX {
            addresses.clear();
        }
        addresses.push(address);
        true
    }

    async fn record_token(&self, who: &Principal, action: &str, info: &TokenInfo) {
        let mut draft = own_events::draft(action, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        let name = (!info.name.is_empty()).then(|| info.name.clone());
        draft.targets.push(TargetDraft { kind: Some("token".into()), id: Some(info.id.to_string()), name });
        draft.targets.push(TargetDraft {
            kind: Some("account".into()),
            id: Some(info.account.to_string()),
            name: None,
        });
        draft.attributes.insert("scopes".into(), json!(info.scopes));
        if let Some(at) = info.expires_at {
            draft.attributes.insert("expires_at".into(), at.to_string().into());
        }
        let org = self.control().state().account(info.account).map_or(who.org, |account| account.org);
        self.record_now(who, org, &draft).await;
    }
}

fn no_token() -> Error {
    Error::not_found("no such token")
}

/// An account as a principal with every scope, as after logging in.
pub(crate) fn principal(account: &Account, caller: &Caller) -> Principal {
    Principal {
        account: account.id,
        name: account.name.clone(),
        display_name: account.display_name.clone(),
        org: account.org,
        roles: account.roles.clone(),
        scopes: Scope::ALL.to_vec(),
        token: None,
        caller: caller.clone(),
    }
}

/// The oldest login tokens of the account that have to go so that one more is not too many.
fn surplus_login_tokens(state: &State, account: AccountId) -> Vec<TokenId> {
    let live: Vec<&Token> = state.login_tokens(account).filter(|token| token.revoked_at_us.is_none()).collect();
    let surplus = (live.len() + 1).saturating_sub(LOGIN_TOKENS_MAX);
    live[..surplus].iter().map(|token| token.id).collect()
}

fn token_info(state: &State, token: &Token) -> TokenInfo {
    let account_org = state.account(token.account).map(|account| account.org);
    TokenInfo {
        id: token.id,
        account: token.account,
        org: token.org.or(account_org).expect("a token has an account, the fold says so"),
        name: token.name.clone(),
        scopes: token.scopes.clone(),
        issued_at: time::from_micros(token.issued_at_us),
        expires_at: token.expires_at_us.map(time::from_micros),
        revoked_at: token.revoked_at_us.map(time::from_micros),
    }
}
