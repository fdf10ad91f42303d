//! What the control log holds: one change of organisations, accounts, tokens or keys per entry.
//!
//! The body is `{"v":1,"by":"acc_…","record":"…",…}`. `by` is absent for what `init` did. A version once written stays
//! readable; a record that an older program does not know stops it from opening, because guessing rights is worse.

use serde::{Deserialize, Serialize};

use crate::access::{Role, Scope};
use crate::model::{AccountId, OrgId, TokenId};

/// The version written.
const VERSION: u32 = 1;

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// An organisation was made. Its log is opened after this record is durable; opening the service makes up for it.
    OrganisationCreated { id: OrgId, parent: Option<OrgId>, name: String, slug: String, log: String },
    /// An organisation got another name.
    OrganisationRenamed { id: OrgId, name: String },
    /// An organisation got another name for addresses; the old one is free again.
    OrganisationSlugSet { id: OrgId, slug: String },
    /// An account was made.
    AccountCreated {
        id: AccountId,
        org: OrgId,
        name: String,
        display_name: String,
        roles: Vec<Role>,
        /// PHC text (Argon2id).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
    },
    /// Members of an account were set; absent ones stay.
    AccountChanged {
        id: AccountId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        roles: Option<Vec<Role>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disabled: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
    },
    /// A token was issued.
    TokenIssued {
        id: TokenId,
        account: AccountId,
        /// What its reach is narrowed to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        org: Option<OrgId>,
        name: String,
        scopes: Vec<Scope>,
        /// SHA-256 of the secret, in hex.
        hash: String,
        /// Microseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at_us: Option<u64>,
        /// Whether it came from logging in, and so ends when the password is changed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_login: bool,
    },
    /// Tokens were taken back.
    TokensRevoked { ids: Vec<TokenId> },
    /// A public key of an organisation was added.
    KeyAdded { org: OrgId, name: String, public_key: String },
    /// From here on everything of the organisation is encrypted to this key; another one that was active is no more.
    KeyActivated { org: OrgId, name: String },
    /// Nothing of the organisation's log is pruned from this number on; `None` lifts the hold.
    LegalHold {
        org: OrgId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u64>,
        reason: String,
    },
    /// Another log takes the place of the organisation's one, which takes no entries any more.
    LogReplaced {
        org: OrgId,
        log: String,
        cause: String,
        /// The last number of the log replaced, as readers see it: those of the new one come after it.
        #[serde(default)]
        last_number: u64,
    },
    /// A person knows what is wrong with a log as a whole, and takes its answers record by record again.
    TaintAcknowledged { log: String, reasons: Vec<String>, reason: String },
    /// The key is used no more; if it was active, events are kept in clear from here on.
    KeyRetired { org: OrgId, name: String },
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<AccountId>,
    #[serde(flatten)]
    record: Record,
}

/// The body of the entry for `record`.
pub fn encode(by: Option<AccountId>, record: Record) -> Vec<u8> {
    serde_json::to_vec(&Stored { v: VERSION, by, record })
        .expect("ids and strings serialize, and writing to memory cannot fail")
}

/// The record that a body holds.
///
/// # Errors
/// Why it does not read, for the operator.
pub fn decode(body: &[u8]) -> Result<Record, String> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let version: Version = serde_json::from_slice(body).map_err(|e| format!("not a control record: {e}"))?;
    if version.v != VERSION {
        return Err(format!("control record version {} is not known to this program", version.v));
    }
    let stored: Stored = serde_json::from_slice(body).map_err(|e| format!("a control record does not read: {e}"))?;
    Ok(stored.record)
}
