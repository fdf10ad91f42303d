//! The canonical event as the OpenAPI document shows it. The rules themselves are the service's (`NewEvent::from_json`);
//! these types only describe them.

use utoipa::ToSchema;

/// An event to be handed in. Only `action` is required; unknown members are refused by name; at most 1,000,000 bytes.
#[derive(ToSchema)]
pub struct NewEvent {
    /// The sender's own id, at most 200 bytes: the same id again is not taken again and answers with the first receipt.
    pub id: Option<String>,
    /// When it happened: RFC 3339 with offset. Absent: when it is received.
    pub occurred_at: Option<String>,
    /// `authentication`, `page`, `web`, `file`, `admin`, `session`, `system` or `other` (default).
    pub kind: Option<String>,
    /// What was done, at most 200 bytes.
    pub action: String,
    /// `success`, `failure` or `unknown` (default).
    pub outcome: Option<String>,
    /// Who did it; a bare string is the name.
    pub actor: Option<Party>,
    /// For whom, or through whom; a bare string is the name.
    pub indirect_actor: Option<Party>,
    /// Where it came from; a bare string is the address.
    pub source: Option<Source>,
    /// What it was done to, at most 100; a bare string is the name.
    pub targets: Option<Vec<Party>>,
    /// The session it belongs to.
    pub session: Option<String>,
    /// What ties it to events elsewhere.
    pub correlation: Option<String>,
    /// For people, at most 16 KiB.
    pub message: Option<String>,
    /// Anything else.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<serde_json::Value>,
    /// The API it came through and what was sent there.
    pub origin: Option<Origin>,
}

/// Somebody or something; at least one member.
#[derive(ToSchema)]
pub struct Party {
    /// An identifier that does not change.
    pub id: Option<String>,
    /// A name.
    pub name: Option<String>,
    /// What sort of party.
    #[schema(rename = "type")]
    pub kind: Option<String>,
}

/// Where something came from; at least one member.
#[derive(ToSchema)]
pub struct Source {
    /// An IP address, usually.
    pub address: Option<String>,
    /// The name of the host.
    pub host: Option<String>,
    /// The port on it.
    pub port: Option<u16>,
    /// The program there.
    pub application: Option<String>,
}

/// Through which API an event came.
#[derive(ToSchema)]
pub struct Origin {
    /// The name of the API.
    pub dialect: String,
    /// The type text it had there.
    #[schema(rename = "type")]
    pub kind: Option<String>,
    /// What was sent there, any JSON.
    #[schema(value_type = Option<Object>)]
    pub raw: Option<serde_json::Value>,
}
