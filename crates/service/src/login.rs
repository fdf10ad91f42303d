//! Logging in with a password, and what stops those who guess.

use jiff::Timestamp;

use crate::access::{Caller, Principal, Scope, Verb};
use crate::control::state::{Account, normal_login};
use crate::error::{Error, Result};
use crate::lockout::{Change, Subject};
use crate::model::event::{PartyDraft, TargetDraft};
use crate::model::{EventDraft, Kind, OrgId, Outcome, time};
use crate::organisations::no_org;
use crate::own_events;
use crate::service::Service;
use crate::tokens::principal;

/// Longest login name that is tried, in bytes; longer ones are nobody's.
const NAME_BYTES_MAX: usize = 1_000;

/// The actor's name in the event of a try for a name that no account has.
pub const UNKNOWN_USER: &str = "UNKNOWN USER";

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
        let name = normal_login(name);
        let now_us = self.now_us();
        let account = self.control().state().account_by_name(&name).cloned();
        let tried =
            Try { org: self.login_org(account.as_ref(), org_hint), account: account.as_ref(), name: &name, caller };
        let watched = if name.len() > NAME_BYTES_MAX { UNKNOWN_USER } else { &name };

        self.expire_locks();
        let begun = self.lockouts().lock().begin(watched, caller.address, now_us);
        if let Err(refused) = begun {
            self.record_lock_changes(tried.org, refused.changes);
            self.record_try(&tried, Err("locked")).await.map_err(LoginError::Failed)?;
            return Err(LoginError::Locked { until: time::from_micros(refused.until_us) });
        }
        // From here on the try counts as a failure until it is taken back, also when this future is dropped.
        let kept = account.as_ref().and_then(|account| account.password.as_deref());
        let right = match self.passwords().verify(password, kept).await {
            Ok(right) => right,
            Err(error) => {
                self.lockouts().lock().abandoned(watched, caller.address);
                return Err(LoginError::Failed(error));
            }
        };
        match &account {
            Some(account) if right && !account.disabled => {
                self.lockouts().lock().succeeded(watched, caller.address);
                self.record_try(&tried, Ok(())).await.map_err(LoginError::Failed)?;
                Ok(principal(account, caller))
            }
            Some(_) if right => {
                self.lockouts().lock().abandoned(watched, caller.address);
                self.record_try(&tried, Err("disabled")).await.map_err(LoginError::Failed)?;
                Err(LoginError::Disabled)
            }
            _ => {
                let changes = self.lockouts().lock().failed(watched, caller.address, self.now_us());
                self.record_lock_changes(tried.org, changes);
                let (reason, error) = match account {
                    Some(_) => ("wrong_password", LoginError::WrongPassword),
                    None => ("unknown_user", LoginError::UnknownUser),
                };
                self.record_try(&tried, Err(reason)).await.map_err(LoginError::Failed)?;
                Err(error)
            }
        }
    }

    /// Logs in a client whose secret is a token that was issued to its account: for programs that are given an id and a
    /// secret once, and exchange them for short-lived tokens. The principal has the scopes and the reach of the token; with
    /// it comes when the token ends. Success is in the trail, durable, before this returns.
    ///
    /// `None`: this is no live token of that account, or one that itself came from logging in (which could so be
    /// prolonged for ever). Nothing was recorded then, because it may still be a password: ask [`Service::login`]. Guessing
    /// is not counted; a token has 192 random bits at least.
    ///
    /// # Errors
    /// As for recording any own event.
    pub async fn login_with_token(
        &self,
        name: &str,
        secret: &str,
        caller: &Caller,
    ) -> Result<Option<(Principal, Option<Timestamp>)>> {
        let Ok(who) = self.recognise(secret, caller) else { return Ok(None) };
        let found = {
            let state = self.control().state();
            let token = who.token.and_then(|token| state.token_by_id(token)).filter(|token| !token.from_login);
            token.and_then(|token| Some((state.account(who.account)?.clone(), token.expires_at_us)))
        };
        let is_fit = who.name == normal_login(name) && who.scopes != [Scope::Refresh];
        let Some((account, expires_at_us)) = found.filter(|_| is_fit) else { return Ok(None) };
        self.record_try(&Try { org: account.org, account: Some(&account), name: &account.name, caller }, Ok(()))
            .await?;
        Ok(Some((Principal { token: None, ..who }, expires_at_us.map(time::from_micros))))
    }

    /// Records a try to log in of which not even the name could be read.
    pub async fn login_unread(&self, org_hint: Option<OrgId>, caller: &Caller) -> Result<()> {
        let org = self.login_org(None, org_hint);
        let mut draft = own_events::draft(own_events::LOGIN, Kind::Authentication, Outcome::Failure, None, caller);
        draft.attributes.insert("reason".into(), "unread".into());
        self.own().now(self.log_of(org)?, None, caller.address, &draft).await
    }

    /// Records that a request was refused before it reached a verb, such as one without a credential. Coalesced: the first
    /// of an address and reason at once, then at most one a minute with a count. Returns at once.
    ///
    /// `reason`: lower-case words joined by `_`, such as `no_credential`.
    pub fn record_refusal(&self, org_hint: Option<OrgId>, caller: &Caller, reason: &str) {
        let org = org_hint.filter(|org| self.control().state().org(*org).is_some());
        self.note_refusal(org.unwrap_or_else(|| self.default_org()), None, caller, reason);
    }

    /// As [`Service::record_refusal`], of a request whose caller is known: one that was let in, but asked for something bad.
    pub fn record_refusal_of(&self, who: &Principal, reason: &str) {
        self.note_refusal(who.org, Some(who.account), &who.caller, reason);
    }

    /// Says whether `who` may ask for `verb` on `org`, as every verb does before anything else; a refusal is recorded.
    ///
    /// # Errors
    /// `Forbidden`: roles or scopes do not allow it. `NotFound`: no such organisation within reach.
    pub fn check(&self, who: &Principal, verb: Verb, org: OrgId) -> Result<()> {
        self.allow(who, verb, org)
    }

    /// Says whether `who` may ask for `verb` on the server as a whole, which has one organisation above all others; a refusal
    /// is recorded.
    ///
    /// # Errors
    /// `Forbidden`: roles, scopes or reach do not allow it.
    pub fn check_server(&self, who: &Principal, verb: Verb) -> Result<()> {
        self.allow(who, verb, who.org)?;
        if self.control().state().org(who.org).is_some_and(|org| org.parent.is_none()) {
            return Ok(());
        }
        self.note_refusal(who.org, Some(who.account), &who.caller, "out_of_reach");
        let attempt = verb.rule().attempt;
        Err(Error::forbidden(format!("not allowed to {attempt} from an organisation below the server's first one")))
    }

    /// The one gate: roles and scopes first, then reach. What it refuses is recorded.
    pub(crate) fn allow(&self, who: &Principal, verb: Verb, org: OrgId) -> Result<()> {
        if !who.may(verb) {
            self.note_refusal(
                who.org,
                Some(who.account),
                &who.caller,
                &format!("may_not_{}", verb.rule().attempt.replace(' ', "_")),
            );
            return Err(Error::forbidden(format!("not allowed to {}", verb.rule().attempt)));
        }
        if !self.control().state().is_within(org, who.org) {
            self.note_refusal(who.org, Some(who.account), &who.caller, "out_of_reach");
            return Err(no_org());
        }
        Ok(())
    }

    /// Queues what changed about locks. The event of a name goes to its account's organisation, else to `org`.
    pub(crate) fn record_lock_changes(&self, org: OrgId, changes: Vec<Change>) {
        for change in changes {
            let (subject, mut draft) = match change {
                Change::Locked { subject, until_us, failures } => {
                    let mut draft = own_draft(own_events::LOGIN_LOCKED, Outcome::Success);
                    draft.attributes.insert("until".into(), time::from_micros(until_us).to_string().into());
                    draft.attributes.insert("failures".into(), failures.into());
                    (subject, draft)
                }
                Change::Unlocked { subject } => (subject, own_draft(own_events::LOGIN_UNLOCKED, Outcome::Success)),
            };
            let mut org = org;
            draft.targets.push(match subject {
                Subject::Address(address) => {
                    TargetDraft { kind: Some("address".into()), id: None, name: Some(address.to_string()) }
                }
                Subject::Name(name) => match self.control().state().account_by_name(&name) {
                    Some(account) => {
                        org = account.org;
                        TargetDraft { kind: Some("account".into()), id: Some(account.id.to_string()), name: Some(name) }
                    }
                    None => TargetDraft { kind: Some("account".into()), id: None, name: Some(UNKNOWN_USER.into()) },
                },
            });
            self.record_soon(org, None, &Caller::internal(), &draft);
        }
    }

    /// Ends the lock of a login name, because its password was set anew.
    pub(crate) fn end_lock(&self, name: &str) {
        let change = self.lockouts().lock().clear(name);
        self.record_lock_changes(self.default_org(), change.into_iter().collect());
    }

    /// Where a try to log in is recorded.
    fn login_org(&self, account: Option<&Account>, hint: Option<OrgId>) -> OrgId {
        let state = self.control().state();
        let hint = hint.filter(|org| state.org(*org).is_some());
        drop(state);
        account.map(|account| account.org).or(hint).unwrap_or_else(|| self.default_org())
    }

    /// Records a try to log in and waits until it is durable.
    async fn record_try(&self, tried: &Try<'_>, outcome: Result<(), &str>) -> Result<()> {
        let success = if outcome.is_ok() { Outcome::Success } else { Outcome::Failure };
        let mut draft = own_events::draft(own_events::LOGIN, Kind::Authentication, success, None, tried.caller);
        if let Err(reason) = outcome {
            draft.attributes.insert("reason".into(), reason.into());
        }
        draft.actor = Some(match tried.account {
            Some(account) => own_events::actor(account.id, &account.name),
            None => PartyDraft::named(UNKNOWN_USER),
        });
        // A name that nobody has may be a password typed into the wrong field; an address of mail hardly is.
        if tried.account.is_none() && tried.name.contains('@') && tried.name.len() <= NAME_BYTES_MAX {
            draft.attributes.insert("tried".into(), tried.name.into());
        }
        let account = tried.account.map(|account| account.id).filter(|_| outcome.is_ok());
        self.own().now(self.log_of(tried.org)?, account, tried.caller.address, &draft).await
    }
}

/// A try to log in, for the trail.
struct Try<'a> {
    org: OrgId,
    account: Option<&'a Account>,
    name: &'a str,
    caller: &'a Caller,
}

fn own_draft(action: &str, outcome: Outcome) -> EventDraft {
    own_events::draft(action, Kind::System, outcome, None, &Caller::internal())
}
