//! What is known of a session: what its recorder says, and what became of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SessionId;
use crate::error::{Error, Result};
use crate::model::event::NAME_BYTES_MAX;
use crate::model::{AccountId, OrgId, time};
use crate::numbers::Part;

/// Longest description of a session as JSON, in bytes.
pub const INFO_BYTES_MAX: usize = 64 << 10;

/// Longest id that a recorder may give a session, in bytes.
pub const CLIENT_ID_BYTES_MAX: usize = 200;

/// What a recorder says of a session when it starts: claims, kept as they come. Every member may be absent.
///
/// The dotted path of each member (`user.name`, `server.port`, `vault.request.id`) is the name under which it is found,
/// see [`filter`](super::filter).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionInfo {
    /// Whose session it is.
    #[serde(skip_serializing_if = "is_default")]
    pub user: SessionUser,
    /// Where the user sat.
    #[serde(skip_serializing_if = "is_default")]
    pub client: Endpoint,
    /// What the user worked on.
    #[serde(skip_serializing_if = "is_default")]
    pub server: Endpoint,
    /// What the user asked for, where a gateway led elsewhere.
    #[serde(skip_serializing_if = "is_default")]
    pub target: Endpoint,
    /// The gateway's own end of its connection to the server.
    #[serde(skip_serializing_if = "is_default")]
    pub server_local: Endpoint,
    /// Such as `ssh` or `telnet`; shown in the case that each API has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// When it started, RFC 3339; absent: when we were told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// The recording's format, such as `asciicast-v2`; absent: found out from the bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The terminal's size at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<TerminalSize>,
    /// What was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The terminal device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// How the user proved who they are, such as `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<String>,
    /// What the gateway decided, such as `ACCEPT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Why it was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_reason: Option<String>,
    /// The gateway's rule for channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_policy: Option<String>,
    /// The gateway's rule for connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_policy: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_policy_id: Option<String>,
    /// The network that the connection belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
    /// The node that recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// What a password vault says of the request behind it; passed through.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub vault: Map<String, Value>,
    /// Anything else.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

/// Whose session it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionUser {
    /// The person's name, where the recorder knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The domain of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The name used at a gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_name: Option<String>,
    /// The domain of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_domain: Option<String>,
    /// The names used on the server, such as `root`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server_names: Vec<String>,
    /// The domain of those names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_domain: Option<String>,
}

/// One end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoint {
    /// Its address: an IP address, usually.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// An identifier that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalSize {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// A session to be started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewSession {
    /// The recorder's own id: starting the same id again answers with the session that it started first.
    pub client_id: Option<String>,
    /// What the recorder says of it.
    pub info: SessionInfo,
}

/// Why a recording is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its recorder said so.
    Finished,
    /// Its recorder gave up: there is less than there was to record.
    Aborted,
    /// Nothing came for too long.
    Timeout,
    /// The organisation's log was closed, or began to be encrypted.
    Closed,
}

impl EndReason {
    /// The word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Finished => "finished",
            EndReason::Aborted => "aborted",
            EndReason::Timeout => "timeout",
            EndReason::Closed => "closed",
        }
    }
}

/// How a recorder ends a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    /// It gave up: there is less than there was to record.
    pub aborted: bool,
    /// The exit status of what was run.
    pub exit: Option<i64>,
    /// When the session ended; absent: when we were told.
    pub ended_at: Option<Timestamp>,
    /// How many bytes the recorder believes to have sent; another number is refused.
    pub bytes: Option<u64>,
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When the session ended, says the recorder, else when we were told or stopped waiting.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
    /// The exit status of what was run.
    pub exit: Option<i64>,
    /// SHA-256 over the SHA-256 of each chunk, in their order.
    pub chunks_sha256: [u8; 32],
    /// The number of the entry that says so.
    pub number: u64,
}

/// A session, as a reader gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The organisation.
    pub org: OrgId,
    /// The recorder's own id.
    pub client_id: Option<String>,
    /// The account that started it.
    pub account: Option<AccountId>,
    /// What the recorder said of it.
    pub info: SessionInfo,
    /// When it started: what the recorder said, else when we were told.
    pub started_at: Timestamp,
    /// When we were told.
    pub recorded_at: Timestamp,
    /// The number of the entry that says that it started.
    pub number: u64,
    /// How it ended; `None`: it is still open.
    pub ended: Option<Ended>,
    /// Bytes of the recording so far.
    pub bytes: u64,
    /// Chunks of the recording so far.
    pub chunks: u64,
    /// The log that has its entries: `number` and that of its end count within it.
    pub(crate) part: Part,
}

impl Session {
    /// Whether more may come. A session whose log was replaced before it ended goes on no more.
    pub fn is_active(&self) -> bool {
        self.ended.is_none() && !self.part.is_former()
    }

    /// The number that readers see of the entry that says that it started.
    pub fn seq(&self) -> u64 {
        self.part.shown(self.number)
    }

    /// The number that readers see of the entry that says that it ended.
    pub fn ended_seq(&self) -> Option<u64> {
        self.ended.as_ref().map(|ended| self.part.shown(ended.number))
    }

    /// Where its document stands in lists: the entry that tells most of it.
    pub(crate) fn last_number(&self) -> u64 {
        self.ended.as_ref().map_or(self.number, |ended| ended.number)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl SessionInfo {
    /// The user of the session: the name used at the gateway, else the person's, else the one used on the server
    /// (`specs/sps.md` §6).
    pub fn user_name(&self) -> Option<&str> {
        let user = &self.user;
        user.gateway_name.as_deref().or(user.name.as_deref()).or(user.server_names.first().map(String::as_str))
    }

    /// When it started, if the recorder said so.
    pub fn started_at_time(&self) -> Option<Timestamp> {
        self.started_at.as_deref().and_then(time::parse)
    }

    /// Each member that has a value, by its dotted path. Lists give one for each of their elements.
    pub fn members(&self) -> Vec<(String, String)> {
        let value = serde_json::to_value(self).expect("texts and numbers under text keys are JSON");
        let mut found = Vec::new();
        walk("", &value, &mut found);
        found
    }

    /// Every rule that types cannot say.
    pub(crate) fn check(&self) -> Result<()> {
        let json = serde_json::to_vec(self).expect("texts and numbers under text keys are JSON");
        if json.len() > INFO_BYTES_MAX {
            return Err(Error::too_large(format!(
                "the description of the session is longer than {INFO_BYTES_MAX} bytes"
            )));
        }
        if let Some(at) = &self.started_at
            && time::parse(at).is_none()
        {
            return Err(Error::invalid("started_at is not an RFC 3339 time with offset, such as 2026-01-31T23:59:59Z"));
        }
        for (name, text) in self.members() {
            if text.is_empty() {
                return Err(Error::invalid(format!("{name} is empty; leave it out or say something")));
            }
            if text.len() > NAME_BYTES_MAX && !name.starts_with("vault.") && !name.starts_with("attributes.") {
                return Err(Error::too_large(format!("{name} is longer than {NAME_BYTES_MAX} bytes")));
            }
        }
        if self.size.is_some_and(|size| size.columns == 0 || size.rows == 0) {
            return Err(Error::invalid("a terminal has at least one column and one row"));
        }
        Ok(())
    }
}

fn walk(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => found.push((path.to_owned(), value.to_string())),
        Value::Array(items) => items.iter().for_each(|item| walk(path, item, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            walk(&path, value, found);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_by_their_dotted_path() {
        let info: SessionInfo = serde_json::from_str(
            r#"{"user":{"name":"bob","server_names":["root","oracle"]},"server":{"port":22},"vault":{"request":{"id":7}}}"#,
        )
        .unwrap();
        let members: Vec<String> = info.members().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            members,
            [
                "user.name=bob",
                "user.server_names=root",
                "user.server_names=oracle",
                "server.port=22",
                "vault.request.id=7"
            ]
        );
        assert_eq!(info.user_name(), Some("bob"));
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let check = |json: &str| serde_json::from_str::<SessionInfo>(json).unwrap().check().unwrap_err().to_string();
        assert!(check(r#"{"protocol":""}"#).starts_with("protocol is empty"));
        assert!(check(r#"{"started_at":"yesterday"}"#).starts_with("started_at is not"));
        assert!(check(r#"{"size":{"columns":0,"rows":24}}"#).contains("at least one column"));
        assert!(check(&format!(r#"{{"command":"{}"}}"#, "x".repeat(2_001))).starts_with("command is longer"));
        assert!(check(&format!(r#"{{"vault":{{"x":"{}"}}}}"#, "x".repeat(70_000))).contains("longer than 65536"));
        assert!(serde_json::from_str::<SessionInfo>(r#"{"users":{}}"#).is_err());
    }
}
