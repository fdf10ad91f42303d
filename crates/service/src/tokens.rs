//! Tokens: opaque secrets, kept as hashes, that stand for an account.

use std::time::Duration;

use jiff::Timestamp;

use crate::access::{Caller, Principal, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AccountId, OrgId, TokenId};
use crate::service::Service;

/// What the secret of a token looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// `cf_` and 43 characters of base64url: 32 random bytes.
    Native,
    /// 32 characters of canonical base64: 24 random bytes. Extraction clients check this form.
    Extraction,
    /// 88 characters of base64: 64 random bytes.
    Refresh,
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
        let _ = (secret, caller);
        todo!()
    }

    /// Exchanges a refresh token: it stops working, and the principal returned may issue fresh ones as after `login`.
    pub async fn redeem_refresh(&self, secret: &str, caller: &Caller) -> Result<Principal, AuthenticateError> {
        let _ = (secret, caller);
        todo!()
    }

    /// Issues a token and returns its secret, which nobody can read again.
    ///
    /// An account issues tokens for itself right after logging in (`who.token` is `None`); for others within reach, and with
    /// a token in hand, it takes `ManageTokens`.
    pub async fn issue_token(&self, who: &Principal, new: NewToken) -> Result<(TokenInfo, String)> {
        let _ = (who, new);
        todo!()
    }

    /// Revokes a token: the caller's own, or with `ManageTokens` any within reach. Twice is the same as once.
    pub async fn revoke_token(&self, who: &Principal, token: TokenId) -> Result<TokenInfo> {
        let _ = (who, token);
        todo!()
    }

    /// Tokens of `account`, or with `None` of every account within reach, in the order of issue; at most 10,000, the newest.
    pub fn list_tokens(&self, who: &Principal, account: Option<AccountId>) -> Result<Vec<TokenInfo>> {
        let _ = (who, account);
        todo!()
    }
}
