//! Accounts: people and services that may call.

use jiff::Timestamp;

use serde_json::json;

use crate::access::{Principal, Role, Verb};
use crate::control::record::Record;
use crate::control::state::{Account, State, normal_login, sorted};
use crate::error::{Error, Result};
use crate::login::LoginError;
use crate::model::event::TargetDraft;
use crate::model::{AccountId, Kind, OrgId, Outcome, TokenId, time};
use crate::own_events;
use crate::service::Service;

/// Longest login name, in bytes of UTF-8.
pub const LOGIN_BYTES_MAX: usize = 200;

/// Longest name for people, in bytes of UTF-8.
pub const DISPLAY_NAME_BYTES_MAX: usize = 200;

/// Tokens of one control record.
const REVOKED_AT_ONCE_MAX: usize = 10_000;

/// An account, as administrators and its owner see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// Its id.
    pub id: AccountId,
    /// The organisation it belongs to: the top of its reach.
    pub org: OrgId,
    /// Its login name: trimmed, lower case, unique per server.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// What it may do, ascending.
    pub roles: Vec<Role>,
    /// Whether it is switched off: neither passwords nor tokens work.
    pub disabled: bool,
    /// Whether it has a password; without one it can only use tokens.
    pub has_password: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account to be made.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Its login name, usually an e-mail address; trimmed and lower-cased.
    pub name: String,
    /// Its name for people; empty: the login name.
    pub display_name: String,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Its password, 8 to 1,000 bytes; `None`: tokens only.
    pub password: Option<String>,
}

/// What to change about an account; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Another name for people.
    pub display_name: Option<String>,
    /// Other roles; works at once, for tokens already issued too.
    pub roles: Option<Vec<Role>>,
    /// Switch it off or on. Switching off revokes its tokens.
    pub disabled: Option<bool>,
    /// Another password. Ends a lock and revokes tokens that came from logging in.
    pub password: Option<String>,
}

impl Service {
    /// Makes an account in `org`.
    ///
    /// # Errors
    /// `Conflict`: the login name is taken, anywhere on the server. `Invalid`: a bad name, password or empty roles.
    pub async fn create_account(&self, who: &Principal, org: OrgId, new: NewAccount) -> Result<AccountInfo> {
        self.allow(who, Verb::ManageAccounts, org)?;
        let name = check_login(&new.name)?;
        let display_name = check_display_name(&new.display_name, &name)?;
        let roles = check_roles(&new.roles)?;
        let password = match &new.password {
            Some(password) => Some(self.passwords().hash(password).await?),
            None => None,
        };
        let id = AccountId::from_bytes(self.random());
        self.control()
            .execute(Some(who.account), move |state| {
                if state.account_by_name(&name).is_some() {
                    return Err(Error::conflict(format!("the login name {name} is taken")));
                }
                Ok((vec![Record::AccountCreated { id, org, name, display_name, roles, password }], ()))
            })
            .await?;
        let info = self.get_account(who, id)?;
        let mut draft =
            own_events::draft(own_events::ACCOUNT_CREATED, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        draft.targets.push(target(&info));
        draft.attributes.extend(own_events::change(json!({}), shown(&info)));
        self.record_now(who, org, &draft).await;
        Ok(info)
    }

    /// Changes an account within reach. The last administrator at the top cannot be taken away (`Conflict`).
    pub async fn update_account(
        &self,
        who: &Principal,
        account: AccountId,
        change: AccountChange,
    ) -> Result<AccountInfo> {
        let before = self.account_within(who, Verb::ManageAccounts, account)?;
        self.change_account(who, before, change).await
    }

    /// One account within reach.
    pub fn get_account(&self, who: &Principal, account: AccountId) -> Result<AccountInfo> {
        self.account_within(who, Verb::ManageAccounts, account)
    }

    /// The account within reach with this login name.
    pub fn find_account(&self, who: &Principal, name: &str) -> Result<AccountInfo> {
        self.allow(who, Verb::ManageAccounts, who.org)?;
        let state = self.control().state();
        let account = state.account_by_name(name).filter(|account| state.is_within(account.org, who.org));
        account.map(info).ok_or_else(no_account)
    }

    /// Accounts of `org`, or with `None` of every organisation within reach, in the order of their creation.
    pub fn list_accounts(&self, who: &Principal, org: Option<OrgId>) -> Result<Vec<AccountInfo>> {
        let top = org.unwrap_or(who.org);
        self.allow(who, Verb::ManageAccounts, top)?;
        let state = self.control().state();
        let asked = |account: &&Account| match org {
            Some(org) => account.org == org,
            None => state.is_within(account.org, who.org),
        };
        Ok(state.accounts().iter().filter(asked).map(info).collect())
    }

    /// The caller's own account.
    pub fn profile(&self, who: &Principal) -> Result<AccountInfo> {
        self.allow(who, Verb::OwnProfile, who.org)?;
        self.control().state().account(who.account).map(info).ok_or_else(no_account)
    }

    /// Sets the caller's own password, given the one it has. A wrong one is a failed login and counts as such.
    pub async fn change_password(&self, who: &Principal, old: &str, new: &str) -> Result<()> {
        let before = self.profile(who)?;
        match self.login(None, &before.name, old, &who.caller).await {
            Ok(_) => {}
            Err(LoginError::Failed(error)) => return Err(error),
            Err(LoginError::Locked { until }) => {
                return Err(Error::forbidden(format!("too many wrong passwords; try again after {until}")));
            }
            Err(LoginError::UnknownUser | LoginError::WrongPassword | LoginError::Disabled) => {
                return Err(Error::forbidden("the old password is wrong"));
            }
        }
        let change = AccountChange { password: Some(new.to_owned()), ..AccountChange::default() };
        self.change_account(who, before, change).await?;
        Ok(())
    }

    /// An account within the caller's reach, for `verb`. Unknown and out of reach are the same.
    pub(crate) fn account_within(&self, who: &Principal, verb: Verb, account: AccountId) -> Result<AccountInfo> {
        self.allow(who, verb, who.org)?;
        let state = self.control().state();
        let found = state.account(account).filter(|account| state.is_within(account.org, who.org));
        found.map(info).ok_or_else(no_account)
    }

    /// Applies a change that was allowed already.
    async fn change_account(&self, who: &Principal, before: AccountInfo, change: AccountChange) -> Result<AccountInfo> {
        let id = before.id;
        let display_name = match &change.display_name {
            Some(name) => Some(check_display_name(name, &before.name)?),
            None => None,
        };
        let roles = change.roles.as_deref().map(check_roles).transpose()?;
        let password = match &change.password {
            Some(password) => Some(self.passwords().hash(password).await?),
            None => None,
        };
        let (disabled, sets_password) = (change.disabled, password.is_some());
        let after = self
            .control()
            .execute(Some(who.account), move |state| {
                let current = state.account(id).ok_or_else(no_account)?;
                let stays_admin = !disabled.unwrap_or(current.disabled)
                    && roles.as_ref().unwrap_or(&current.roles).contains(&Role::Admin);
                if is_last_admin(state, current) && !stays_admin {
                    return Err(Error::conflict("this is the last administrator of the first organisation"));
                }
                let revoked: Vec<TokenId> = state
                    .tokens()
                    .filter(|token| token.account == id && token.revoked_at_us.is_none())
                    .filter(|token| disabled == Some(true) || (sets_password && token.from_login))
                    .map(|token| token.id)
                    .collect();
                let mut after = info(current);
                if let Some(name) = &display_name {
                    after.display_name = name.clone();
                }
                if let Some(roles) = &roles {
                    after.roles = roles.clone();
                }
                after.disabled = disabled.unwrap_or(after.disabled);
                after.has_password |= sets_password;
                let mut records = vec![Record::AccountChanged { id, display_name, roles, disabled, password }];
                records
                    .extend(revoked.chunks(REVOKED_AT_ONCE_MAX).map(|ids| Record::TokensRevoked { ids: ids.to_vec() }));
                Ok((records, after))
            })
            .await?;
        if sets_password {
            self.end_lock(&after.name);
        }
        let mut draft =
            own_events::draft(own_events::ACCOUNT_CHANGED, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        draft.targets.push(target(&after));
        draft.attributes.extend(own_events::change(shown(&before), shown(&after)));
        if sets_password {
            draft.attributes.insert("password".into(), "set".into());
        }
        self.record_now(who, after.org, &draft).await;
        Ok(after)
    }
}

fn no_account() -> Error {
    Error::not_found("no such account")
}

fn is_last_admin(state: &State, account: &Account) -> bool {
    let top = state.orgs().first().map(|org| org.id);
    let is_top_admin = |a: &&Account| Some(a.org) == top && !a.disabled && a.roles.contains(&Role::Admin);
    is_top_admin(&account) && state.accounts().iter().filter(is_top_admin).count() == 1
}

pub(crate) fn info(account: &Account) -> AccountInfo {
    AccountInfo {
        id: account.id,
        org: account.org,
        name: account.name.clone(),
        display_name: account.display_name.clone(),
        roles: account.roles.clone(),
        disabled: account.disabled,
        has_password: account.password.is_some(),
        created_at: time::from_micros(account.created_at_us),
    }
}

/// What an own event says of an account.
fn shown(info: &AccountInfo) -> serde_json::Value {
    json!({
        "name": info.name,
        "display_name": info.display_name,
        "roles": info.roles,
        "disabled": info.disabled,
        "has_password": info.has_password,
    })
}

fn target(info: &AccountInfo) -> TargetDraft {
    TargetDraft { kind: Some("account".into()), id: Some(info.id.to_string()), name: Some(info.name.clone()) }
}

/// The login name as it is kept: trimmed, lower case.
pub(crate) fn check_login(name: &str) -> Result<String> {
    let name = normal_login(name);
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Error::invalid("the login name is empty or has blanks"));
    }
    if name.len() > LOGIN_BYTES_MAX {
        return Err(Error::invalid(format!("the login name is longer than {LOGIN_BYTES_MAX} bytes")));
    }
    Ok(name)
}

fn check_display_name(name: &str, otherwise: &str) -> Result<String> {
    let name = name.trim();
    if name.len() > DISPLAY_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let message =
            format!("the display name is longer than {DISPLAY_NAME_BYTES_MAX} bytes or has control characters");
        return Err(Error::invalid(message));
    }
    Ok(if name.is_empty() { otherwise.to_owned() } else { name.to_owned() })
}

fn check_roles(roles: &[Role]) -> Result<Vec<Role>> {
    if roles.is_empty() {
        return Err(Error::invalid("an account has at least one role: admin, auditor, sender, extractor"));
    }
    Ok(sorted(roles))
}
