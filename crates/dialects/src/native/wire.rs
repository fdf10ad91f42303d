//! The documents of the native API that are plain JSON objects. Events and their pages are in `events`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::{AccountId, AccountInfo, LogHead, OrgId, OrgInfo, Role, Scope, Timestamp, TokenForm, TokenId, TokenInfo};
use utoipa::ToSchema;

/// A time as this API writes it: RFC 3339, UTC, six fraction digits always.
pub fn time(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// A login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The login name, usually an e-mail address; case does not count.
    pub login: String,
    /// The password.
    #[schema(format = Password)]
    pub password: String,
}

/// The answer to a login.
#[derive(Serialize, ToSchema)]
pub struct LoggedIn {
    /// The token, to be sent as `Authorization: Bearer …`. Shown only now.
    pub token: String,
    /// When it stops working.
    pub expires_at: Option<String>,
    /// Whose it is.
    pub account: Account,
}

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password until now.
    #[schema(format = Password)]
    pub old: String,
    /// The new one, 8 to 1,000 bytes.
    #[schema(format = Password)]
    pub new: String,
}

/// Who calls, and what that credential may do.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// The account.
    pub account: Account,
    /// The top of this credential's reach.
    pub organisation: Organisation,
    /// What the credential may be used for.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// The token used.
    #[schema(value_type = Option<String>)]
    pub token: Option<TokenId>,
}

/// An organisation.
#[derive(Serialize, ToSchema)]
pub struct Organisation {
    /// `org_…`
    #[schema(value_type = String)]
    pub id: OrgId,
    /// Unique among its siblings.
    pub name: String,
    /// The names from the top down, joined by `/`; a slash in a name is written `\/`.
    pub path: String,
    /// A name for addresses (host names, tenants), unique per server; made from the name unless one was chosen.
    pub slug: String,
    /// The organisation it lies under.
    #[schema(value_type = Option<String>)]
    pub parent: Option<OrgId>,
    /// Where its log is served from: `/l/…`.
    pub log: String,
    /// The origin of its log, as checkpoints print it.
    pub origin: String,
    /// When it was made.
    pub created_at: String,
}

impl From<OrgInfo> for Organisation {
    fn from(org: OrgInfo) -> Organisation {
        Organisation {
            id: org.id,
            name: org.name,
            path: org.path,
            slug: org.slug,
            parent: org.parent,
            log: format!("/l/{}", org.log),
            origin: org.origin,
            created_at: time(org.created_at),
        }
    }
}

/// One page of the organisations within reach, parents before children.
#[derive(Serialize, ToSchema)]
pub struct Organisations {
    /// The page.
    pub organisations: Vec<Organisation>,
    /// Pass it as `after` for the next page; null at the end.
    #[schema(value_type = Option<String>)]
    pub next: Option<OrgId>,
}

/// An organisation to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganisation {
    /// Its name.
    pub name: String,
    /// The organisation to put it under, by id or path. Absent: the top of the caller's reach.
    pub parent: Option<String>,
    /// Its name for addresses: 1 to 63 lower-case letters, digits and inner hyphens. Absent: made from the name.
    pub slug: Option<String>,
}

/// What to change about an organisation; at least one member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationChange {
    /// Another name.
    pub name: Option<String>,
    /// Another name for addresses; the old one stops working at once.
    pub slug: Option<String>,
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct Account {
    /// `acc_…`
    #[schema(value_type = String)]
    pub id: AccountId,
    /// The organisation it belongs to: the top of its reach.
    #[schema(value_type = String)]
    pub organisation: OrgId,
    /// Its login name, unique per server.
    pub login: String,
    /// Its name for people.
    pub display_name: String,
    /// What it may do: `admin`, `auditor`, `sender`, `extractor`.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it can log in with a password.
    pub has_password: bool,
    /// When it was made.
    pub created_at: String,
}

impl From<AccountInfo> for Account {
    fn from(account: AccountInfo) -> Account {
        Account {
            id: account.id,
            organisation: account.org,
            login: account.name,
            display_name: account.display_name,
            roles: account.roles,
            disabled: account.disabled,
            has_password: account.has_password,
            created_at: time(account.created_at),
        }
    }
}

/// One page of an organisation's accounts, in the order of their creation.
#[derive(Serialize, ToSchema)]
pub struct Accounts {
    /// The page.
    pub accounts: Vec<Account>,
    /// Pass it as `after` for the next page; null at the end.
    #[schema(value_type = Option<String>)]
    pub next: Option<AccountId>,
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its login name, usually an e-mail address.
    pub login: String,
    /// Its name for people. Absent: the login name.
    #[serde(default)]
    pub display_name: String,
    /// What it may do: `admin`, `auditor`, `sender`, `extractor`; at least one.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
    /// Its password, 8 to 1,000 bytes. Absent: it can only use tokens.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// What to change about an account; absent members stay as they are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Another name for people.
    pub display_name: Option<String>,
    /// Other roles; they work at once, for tokens already issued too.
    #[schema(value_type = Option<Vec<String>>)]
    pub roles: Option<Vec<Role>>,
    /// Switch it off (its tokens die) or on.
    pub disabled: Option<bool>,
    /// Another password; ends a lock.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
pub struct Token {
    /// `tok_…`
    #[schema(value_type = String)]
    pub id: TokenId,
    /// Whom it stands for.
    #[schema(value_type = String)]
    pub account: AccountId,
    /// The top of its reach.
    #[schema(value_type = String)]
    pub organisation: OrgId,
    /// For people.
    pub name: String,
    /// What it may be used for: `ingest`, `read`, `extract`, `proofs`, `admin`, `refresh`.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// When it was issued.
    pub issued_at: String,
    /// When it stops working by itself.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// The secret; only in the answer that issues it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl From<TokenInfo> for Token {
    fn from(token: TokenInfo) -> Token {
        Token {
            id: token.id,
            account: token.account,
            organisation: token.org,
            name: token.name,
            scopes: token.scopes,
            issued_at: time(token.issued_at),
            expires_at: token.expires_at.map(time),
            revoked_at: token.revoked_at.map(time),
            secret: None,
        }
    }
}

/// One page of the tokens of an organisation's accounts, in the order of issue.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// The page.
    pub tokens: Vec<Token>,
    /// Pass it as `after` for the next page; null at the end.
    #[schema(value_type = Option<String>)]
    pub next: Option<TokenId>,
}

/// A token to be issued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whom it stands for. Absent: the caller.
    #[schema(value_type = Option<String>)]
    pub account: Option<AccountId>,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// What it may be used for. Absent: everything that the account's roles can make use of, except `admin`.
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Scope>>,
    /// How long it works, in seconds. Absent: until revoked.
    pub ttl_seconds: Option<u64>,
    /// What its secret looks like.
    #[serde(default)]
    pub form: Form,
}

impl NewToken {
    /// How long it works.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl_seconds.map(Duration::from_secs)
    }
}

/// What the secret of a token looks like.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `cf_` and 43 characters.
    #[default]
    Native,
    /// 32 characters of base64, as log collectors check it.
    Extraction,
}

impl From<Form> for TokenForm {
    fn from(form: Form) -> TokenForm {
        match form {
            Form::Native => TokenForm::Native,
            Form::Extraction => TokenForm::Extraction,
        }
    }
}

/// The newest signed head of a log.
#[derive(Serialize, ToSchema)]
pub struct Head {
    /// The log's origin.
    pub origin: String,
    /// Entries it covers.
    pub size: u64,
    /// The greatest `seq`: the size, and more by what older logs hold if this one took the place of another.
    pub last_seq: u64,
    /// Root over them, hexadecimal.
    pub root: String,
    /// When the last entry was received.
    pub last_recorded_at: Option<String>,
}

impl From<&LogHead> for Head {
    fn from(head: &LogHead) -> Head {
        Head {
            origin: head.origin.clone(),
            size: head.size,
            last_seq: head.last_number(),
            root: head.root.to_hex(),
            last_recorded_at: head.last_recorded_at.map(time),
        }
    }
}

/// An organisation's log.
#[derive(Serialize, ToSchema)]
pub struct Log {
    /// Its origin, as checkpoints print it.
    pub origin: String,
    /// Where it is served from: `/l/…`.
    pub path: String,
    /// The key that checks its checkpoints (C2SP signed-note).
    pub vkey: String,
    /// Whether it takes entries: `open`, `closed` or `read_only`.
    pub state: &'static str,
    /// Its newest signed head.
    pub head: Head,
    /// The signed checkpoint of that head.
    pub checkpoint: String,
}

/// The keys of a log.
#[derive(Serialize, ToSchema)]
pub struct Keys {
    /// Verifier keys, the newest last.
    pub keys: Vec<Key>,
    /// Verifier keys of the witnesses that the log's policy names.
    pub witnesses: Vec<String>,
}

/// One key of a log.
#[derive(Serialize, ToSchema)]
pub struct Key {
    /// The key (C2SP signed-note).
    pub vkey: String,
    /// Size of the first head that it may sign.
    pub first_size: u64,
    /// Size of the last head that it signed, once retired.
    pub last_size: Option<u64>,
    /// Why it was replaced, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Heads above this size are not to be believed under it: it was compromised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub believed_size: Option<u64>,
}

/// How a log is.
#[derive(Serialize, ToSchema)]
pub struct State {
    /// `open`, `closed` by order, or `read_only` because something is wrong with it.
    pub state: &'static str,
    /// Log-level reasons not to believe it, such as `truncated` or `forked`; empty when all is well.
    pub reasons: Vec<String>,
    /// A person acknowledged the reasons.
    pub acknowledged: bool,
    /// Size of the newest signed head.
    pub signed_size: u64,
    /// Root of it, hexadecimal.
    pub root: String,
    /// When the last entry was received.
    pub last_recorded_at: Option<String>,
    /// Entries below this index are pruned.
    pub minimum_index: u64,
    /// From which `seq` on nothing may be pruned.
    pub legal_hold: Option<u64>,
    /// The last verification of the whole log, from its stored bytes up.
    pub last_verification: Option<Verification>,
    /// Origins of the logs that this one took the place of.
    pub former: Vec<String>,
    /// Size of the newest head that witnesses cosigned as the policy asks.
    pub witnessed_size: Option<u64>,
    /// When they had done so.
    pub witnessed_at: Option<String>,
    /// Witnesses that did not cosign when they were asked last, by name, and why.
    pub witness_troubles: BTreeMap<String, String>,
    /// A witness remembers another history of this log.
    pub alarm: Option<WitnessAlarm>,
    /// Says, where it is so, that nobody outside is known to remember this log.
    pub outside: Option<&'static str>,
}

/// What a verification of a whole log found.
#[derive(Serialize, ToSchema)]
pub struct Verification {
    /// When it ended.
    pub at: String,
    /// `verified`, `tainted` or `undecided`.
    pub verdict: String,
    /// Size of the head it went up to.
    pub size: u64,
    /// Records read.
    pub entries_read: u64,
    /// Records that the head promises.
    pub entries_expected: u64,
    /// Bytes read, of all logs.
    pub bytes_read: u64,
    /// Bytes there were.
    pub bytes_expected: u64,
    /// The first damaged `seq`.
    pub first_damaged: Option<u64>,
    /// What is wrong.
    pub reasons: Vec<String>,
}

impl From<service::LastVerification> for Verification {
    fn from(last: service::LastVerification) -> Verification {
        Verification {
            at: time(last.at()),
            verdict: last.verdict,
            size: last.size,
            entries_read: last.entries_read,
            entries_expected: last.entries_expected,
            bytes_read: last.bytes_read,
            bytes_expected: last.bytes_expected,
            first_damaged: last.first_damaged,
            reasons: last.reasons,
        }
    }
}

/// What a witness said against a log.
#[derive(Serialize, ToSchema)]
pub struct WitnessAlarm {
    /// `rolled_back` or `forked`.
    pub reason: String,
    /// The witness.
    pub witness: String,
    /// What it was asked and what it answered.
    pub detail: String,
}
