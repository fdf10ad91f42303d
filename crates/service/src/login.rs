//! Logging in with a password, and what stops those who guess.

use jiff::Timestamp;

use crate::access::{Caller, Principal, Verb};
use crate::error::{Error, Result};
use crate::model::OrgId;
use crate::service::Service;

/// Why a login failed.
#[derive(Debug)]
pub enum LoginError {
    /// No account has this name. Takes as long as a wrong password.
    UnknownUser,
    /// The account has another password, or none.
    WrongPassword,
    /// Too many failures, of the account or from the address; the right password is refused too.
    Locked {
        /// When a try counts again.
        until: Timestamp,
    },
    /// The account is switched off (said only after the right password).
    Disabled,
    /// The password could not be tried: `Overloaded`, `Unavailable`, `Internal`.
    Failed(Error),
}

impl Service {
    /// Logs in with a password. Success or failure is in the trail, durable, before this returns.
    ///
    /// `org_hint`: where the failure of an unknown user is recorded; `None`: the default organisation. The name is compared
    /// trimmed and lower-cased. The principal has every scope.
    pub async fn login(
        &self,
        org_hint: Option<OrgId>,
        name: &str,
        password: &str,
        caller: &Caller,
    ) -> Result<Principal, LoginError> {
        let _ = (org_hint, name, password, caller);
        todo!()
    }

    /// Records a try to log in of which not even the name could be read.
    pub async fn login_unread(&self, org_hint: Option<OrgId>, caller: &Caller) -> Result<()> {
        let _ = (org_hint, caller);
        todo!()
    }

    /// Records that a request was refused before it reached a verb, such as one without a credential. Coalesced: the first
    /// of an address and reason at once, then at most one a minute with a count. Returns at once.
    ///
    /// `reason`: lower-case words joined by `_`, such as `no_credential`.
    pub fn record_refusal(&self, org_hint: Option<OrgId>, caller: &Caller, reason: &str) {
        let _ = (org_hint, caller, reason);
        todo!()
    }

    /// Says whether `who` may ask for `verb` on `org`, as every verb does before anything else; a refusal is recorded.
    ///
    /// # Errors
    /// `Forbidden`: roles or scopes do not allow it. `NotFound`: no such organisation within reach.
    pub fn check(&self, who: &Principal, verb: Verb, org: OrgId) -> Result<()> {
        let _ = (who, verb, org);
        todo!()
    }
}
