//! Who may do what: one table, read by every verb.
//!
//! An account has roles and a reach: its organisation and what lies below. A token has scopes, which can only take away:
//! a verb is allowed when one of the account's roles allows it *and* the token has the scope it needs. Roles are looked up
//! when a token is used, so that taking a role away works at once.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, OrgId, TokenId};

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything within reach.
    Admin,
    /// Reads, exports and verifies; changes nothing.
    Auditor,
    /// Hands events in; reads none.
    Sender,
    /// Reads through log extraction only.
    Extractor,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Admin, Role::Auditor, Role::Sender, Role::Extractor];

    /// The role's name: lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Auditor => "auditor",
            Role::Sender => "sender",
            Role::Extractor => "extractor",
        }
    }

    /// The role with this name, if there is one. Case counts.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a token may be used for. A scope never adds to what the account's roles allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Handing events in.
    Ingest,
    /// Reading events.
    Read,
    /// Log extraction.
    Extract,
    /// Checkpoints, tiles and proofs.
    Proofs,
    /// Organisations, accounts, tokens and keys.
    Admin,
    /// Being exchanged for fresh tokens; nothing else.
    Refresh,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 6] =
        [Scope::Ingest, Scope::Read, Scope::Extract, Scope::Proofs, Scope::Admin, Scope::Refresh];

    /// The scope's name: lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Extract => "extract",
            Scope::Proofs => "proofs",
            Scope::Admin => "admin",
            Scope::Refresh => "refresh",
        }
    }

    /// The scope with this name, if there is one. Case counts.
    pub fn from_name(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something a caller can ask for. Each public verb of the service that takes a `Principal` asks for exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Hand events in.
    IngestEvents,
    /// Start, continue and finish recordings of sessions.
    RecordSessions,
    /// List recorded sessions, read, search and look at them.
    ViewSessions,
    /// Order a build of the baselines of users.
    BuildBaselines,
    /// Read, search, follow and export events.
    ReadEvents,
    /// Read events through log extraction.
    ExtractEvents,
    /// Read checkpoints, tiles and proofs.
    ReadProofs,
    /// Name and list the organisations within reach.
    ReadOrganisations,
    /// Create and rename organisations.
    ManageOrganisations,
    /// Create, list and change accounts.
    ManageAccounts,
    /// Issue, list and revoke tokens of any account within reach.
    ManageTokens,
    /// Add, activate and retire encryption keys.
    ManageKeys,
    /// Replace a log's key, erase and prune events, close, open and adopt logs.
    ManageLogs,
    /// See how the server itself is set; only from the organisation above all others, see `Service::check_server`.
    ReadServerSettings,
    /// Read one's own account and tokens, revoke one's own tokens, change one's own password.
    OwnProfile,
    /// Exchange a refresh token for fresh ones.
    RefreshTokens,
}

/// One row of the access table.
pub struct Rule {
    /// What is asked for.
    pub verb: Verb,
    /// The roles that allow it; any one of them will do.
    pub roles: &'static [Role],
    /// The token scope it needs; `None`: any token will do.
    pub scope: Option<Scope>,
    /// What a refusal calls it, to be read after "not allowed to".
    pub attempt: &'static str,
}

const ADMIN: &[Role] = &[Role::Admin];
const ANY: &[Role] = &Role::ALL;

/// The one table of who may do what. A verb that is not here cannot be asked for: [`Verb::rule`] is total, a test says so.
#[rustfmt::skip]
pub const TABLE: &[Rule] = &[
    Rule { verb: Verb::IngestEvents,        roles: &[Role::Admin, Role::Sender],                   scope: Some(Scope::Ingest),  attempt: "hand in events" },
    Rule { verb: Verb::RecordSessions,      roles: &[Role::Admin, Role::Sender],                   scope: Some(Scope::Ingest),  attempt: "record sessions" },
    Rule { verb: Verb::ViewSessions,        roles: &[Role::Admin, Role::Auditor],                  scope: Some(Scope::Read),    attempt: "view recorded sessions" },
    Rule { verb: Verb::BuildBaselines,      roles: ADMIN,                                          scope: Some(Scope::Admin),   attempt: "build baselines" },
    Rule { verb: Verb::ReadEvents,          roles: &[Role::Admin, Role::Auditor],                  scope: Some(Scope::Read),    attempt: "read events" },
    Rule { verb: Verb::ExtractEvents,       roles: &[Role::Admin, Role::Auditor, Role::Extractor], scope: Some(Scope::Extract), attempt: "extract events" },
    Rule { verb: Verb::ReadProofs,          roles: &[Role::Admin, Role::Auditor],                  scope: Some(Scope::Proofs),  attempt: "read proofs" },
    Rule { verb: Verb::ReadOrganisations,   roles: ANY,                                            scope: None,                 attempt: "list organisations" },
    Rule { verb: Verb::ManageOrganisations, roles: ADMIN,                                          scope: Some(Scope::Admin),   attempt: "manage organisations" },
    Rule { verb: Verb::ManageAccounts,      roles: ADMIN,                                          scope: Some(Scope::Admin),   attempt: "manage accounts" },
    Rule { verb: Verb::ManageTokens,        roles: ADMIN,                                          scope: Some(Scope::Admin),   attempt: "manage tokens" },
    Rule { verb: Verb::ManageKeys,          roles: ADMIN,                                          scope: Some(Scope::Admin),   attempt: "manage keys" },
    Rule { verb: Verb::ManageLogs,          roles: ADMIN,                                          scope: Some(Scope::Admin),   attempt: "manage logs" },
    Rule { verb: Verb::ReadServerSettings,  roles: ADMIN,                                          scope: Some(Scope::Admin),   attempt: "read the settings of the server" },
    Rule { verb: Verb::OwnProfile,          roles: ANY,                                            scope: None,                 attempt: "read the own profile" },
    Rule { verb: Verb::RefreshTokens,       roles: ANY,                                            scope: Some(Scope::Refresh), attempt: "refresh tokens" },
];

impl Verb {
    /// Every verb.
    pub const ALL: [Verb; 16] = [
        Verb::IngestEvents,
        Verb::RecordSessions,
        Verb::ViewSessions,
        Verb::BuildBaselines,
        Verb::ReadEvents,
        Verb::ExtractEvents,
        Verb::ReadProofs,
        Verb::ReadOrganisations,
        Verb::ManageOrganisations,
        Verb::ManageAccounts,
        Verb::ManageTokens,
        Verb::ManageKeys,
        Verb::ManageLogs,
        Verb::ReadServerSettings,
        Verb::OwnProfile,
        Verb::RefreshTokens,
    ];

    /// The row of the table for this verb.
    pub fn rule(self) -> &'static Rule {
        TABLE
            .iter()
            .find(|rule| rule.verb == self)
            .expect("the table has a row for each verb, see `the_table_has_one_row_for_each_verb`")
    }
}

/// Who is on the wire: known before, and apart from, who they say they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The address the request came from; `None` for work inside the process.
    pub address: Option<IpAddr>,
    /// The API that is spoken, such as `native`; kept with each event as `via`.
    pub dialect: &'static str,
    /// What the client calls itself. Cut to 200 bytes where it is kept.
    pub user_agent: Option<String>,
}

impl Caller {
    /// The dialect name of what we do ourselves; no dialect on the wire may use it.
    pub const INTERNAL: &'static str = "counterfoil";

    /// A caller inside the process: the program's own commands and chores.
    pub fn internal() -> Caller {
        Caller { address: None, dialect: Caller::INTERNAL, user_agent: None }
    }
}

/// Who calls: an account with what it may do now, and the caller it was recognised on.
///
/// Made by `Service::login` and `Service::authenticate`, good for one request. Its roles were looked up when it was made.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// Its login name.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// The top of its reach: the account's organisation, or the one below it that the token is narrowed to.
    pub org: OrgId,
    /// What the account may do, ascending.
    pub roles: Vec<Role>,
    /// What the credential may be used for, ascending; all of them after a login with a password.
    pub scopes: Vec<Scope>,
    /// The token used; `None` after a login with a password.
    pub token: Option<TokenId>,
    /// The wire it came over.
    pub caller: Caller,
}

impl Principal {
    /// Says whether roles and scopes allow `verb`; reach is another question.
    pub fn may(&self, verb: Verb) -> bool {
        let rule = verb.rule();
        let role = rule.roles.iter().any(|role| self.roles.contains(role));
        let scope = rule.scope.is_none_or(|scope| self.scopes.contains(&scope));
        // A refresh token is worth a month: it must not even be able to name the account it belongs to.
        let refresh_only = self.scopes == [Scope::Refresh] && verb != Verb::RefreshTokens;
        role && scope && !refresh_only
    }

    /// Says whether the account is an administrator.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(roles: &[Role], scopes: &[Scope]) -> Principal {
        Principal {
            account: AccountId::from_bytes([1; 16]),
            name: "ann@example.com".into(),
            display_name: "Ann".into(),
            org: OrgId::from_bytes([2; 16]),
            roles: roles.to_vec(),
            scopes: scopes.to_vec(),
            token: None,
            caller: Caller::internal(),
        }
    }

    #[test]
    fn the_table_has_one_row_for_each_verb() {
        for verb in Verb::ALL {
            assert_eq!(TABLE.iter().filter(|r| r.verb == verb).count(), 1, "{verb:?}");
        }
        assert_eq!(TABLE.len(), Verb::ALL.len());
    }

    #[test]
    fn each_role_may_do_exactly_what_is_written_here() {
        // Written out a second time on purpose: a change of the table has to be made twice.
        use Verb::*;
        let own = [ReadOrganisations, OwnProfile, RefreshTokens];
        let expected: [(Role, &[Verb]); 4] = [
            (Role::Admin, &Verb::ALL),
            (Role::Auditor, &[ViewSessions, ReadEvents, ExtractEvents, ReadProofs]),
            (Role::Sender, &[IngestEvents, RecordSessions]),
            (Role::Extractor, &[ExtractEvents]),
        ];
        for (role, allowed) in expected {
            let who = principal(&[role], &Scope::ALL);
            for verb in Verb::ALL {
                let expected = allowed.contains(&verb) || own.contains(&verb);
                assert_eq!(who.may(verb), expected, "{role} {verb:?}");
            }
        }
    }

    #[test]
    fn a_scope_takes_away_and_never_adds() {
        let sender = principal(&[Role::Sender], &Scope::ALL);
        assert!(!sender.may(Verb::ReadEvents));
        let narrowed = principal(&[Role::Admin], &[Scope::Extract]);
        assert!(narrowed.may(Verb::ExtractEvents));
        for verb in [Verb::IngestEvents, Verb::ReadEvents, Verb::ReadProofs, Verb::ManageAccounts] {
            assert!(!narrowed.may(verb), "{verb:?}");
        }
    }

    #[test]
    fn a_refresh_token_is_good_for_nothing_but_refreshing() {
        let refresh = principal(&[Role::Admin], &[Scope::Refresh]);
        for verb in Verb::ALL {
            assert_eq!(refresh.may(verb), verb == Verb::RefreshTokens, "{verb:?}");
        }
    }

    #[test]
    fn nobody_without_a_role_may_do_anything() {
        let nobody = principal(&[], &Scope::ALL);
        assert!(Verb::ALL.iter().all(|verb| !nobody.may(*verb)));
    }
}
