//! Accounts: people and services that may call.

use jiff::Timestamp;

use crate::access::{Principal, Role};
use crate::error::Result;
use crate::model::{AccountId, OrgId};
use crate::service::Service;

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
        let _ = (who, org, new);
        todo!()
    }

    /// Changes an account within reach. The last administrator at the top cannot be taken away (`Conflict`).
    pub async fn update_account(
        &self,
        who: &Principal,
        account: AccountId,
        change: AccountChange,
    ) -> Result<AccountInfo> {
        let _ = (who, account, change);
        todo!()
    }

    /// One account within reach.
    pub fn get_account(&self, who: &Principal, account: AccountId) -> Result<AccountInfo> {
        let _ = (who, account);
        todo!()
    }

    /// The account within reach with this login name.
    pub fn find_account(&self, who: &Principal, name: &str) -> Result<AccountInfo> {
        let _ = (who, name);
        todo!()
    }

    /// Accounts of `org`, or with `None` of every organisation within reach, in the order of their creation.
    pub fn list_accounts(&self, who: &Principal, org: Option<OrgId>) -> Result<Vec<AccountInfo>> {
        let _ = (who, org);
        todo!()
    }

    /// The caller's own account.
    pub fn profile(&self, who: &Principal) -> Result<AccountInfo> {
        let _ = who;
        todo!()
    }

    /// Sets the caller's own password, given the one it has. A wrong one is a failed login and counts as such.
    pub async fn change_password(&self, who: &Principal, old: &str, new: &str) -> Result<()> {
        let _ = (who, old, new);
        todo!()
    }
}
