//! The canonical event, written with its members in one fixed order.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The closed list of kinds of the event model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Authentication,
    Web,
    File,
    Admin,
    Session,
    System,
    Other,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Success,
    Failure,
    Unknown,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Actor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl Actor {
    pub fn named(name: &str) -> Actor {
        Actor { name: Some(name.to_owned()), ..Actor::default() }
    }

    fn is_empty(&self) -> bool {
        *self == Actor::default()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Source {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

impl Source {
    /// An address when it is one (in its shortest form; IPv4 inside IPv6 as IPv4; without a zone), a host name otherwise.
    /// The log's own spelling is in the event's raw text.
    pub fn from_text(text: &str) -> Source {
        match address(text) {
            Some(address) => Source { address: Some(address.to_string()), ..Source::default() },
            None if text.is_empty() => Source::default(),
            None => Source { host: Some(text.to_owned()), ..Source::default() },
        }
    }

    fn is_empty(&self) -> bool {
        *self == Source::default()
    }
}

/// Reads an address as logs write it: `1.2.3.4`, `[::1]`, `fe80::1%eth0`, `::ffff:1.2.3.4`.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let without_zone = text.split_once('%').map_or(text, |(address, _)| address);
    without_zone.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Target {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Where an event came from, with what was there.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Origin {
    pub dialect: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub raw: Raw,
}

/// What was in the file, so that nothing depends on our reading of it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Raw {
    Text(String),
    /// A line that is not UTF-8, byte for byte.
    Base64 {
        base64: String,
    },
    /// A JSON record with its members, numbers and order as they were; only white space between tokens is gone.
    Json(Box<RawValue>),
}

/// An event about to be written.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Draft {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// RFC 3339, UTC.
    pub occurred_at: Option<String>,
    #[serde(flatten)]
    pub meaning: Meaning,
    pub origin: Origin,
}

/// What a line or record says; everything but when, from where in which file, and under which id.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Meaning {
    pub kind: Kind,
    pub action: String,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Actor::is_empty")]
    pub actor: Actor,
    #[serde(skip_serializing_if = "Actor::is_empty")]
    pub indirect_actor: Actor,
    #[serde(skip_serializing_if = "Source::is_empty")]
    pub source: Source,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

impl Meaning {
    pub fn new(kind: Kind, action: impl Into<String>, outcome: Outcome) -> Meaning {
        Meaning {
            kind,
            action: action.into(),
            outcome,
            actor: Actor::default(),
            indirect_actor: Actor::default(),
            source: Source::default(),
            targets: Vec::new(),
            session: None,
            correlation: None,
            message: None,
            attributes: Map::new(),
        }
    }

    /// Sets the actor's name, unless it is empty (logs show empty names of real attempts).
    pub fn actor(mut self, name: &str) -> Meaning {
        if !name.is_empty() {
            self.actor = Actor::named(name);
        }
        self
    }

    pub fn source(mut self, source: Source) -> Meaning {
        self.source = source;
        self
    }

    pub fn attribute(mut self, name: &str, value: impl Into<Value>) -> Meaning {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }
}

/// What the event model allows (`service::model`); whatever is longer is cut here, said in the attribute `cut`, and whole in
/// `origin.raw`.
const ACTION_BYTES_MAX: usize = 200;
const NAME_BYTES_MAX: usize = 2_000;
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
const TARGETS_MAX: usize = 100;

impl Meaning {
    fn fit(&mut self) {
        let mut cut = Vec::new();
        let names = [
            ("actor", &mut self.actor.id),
            ("actor", &mut self.actor.name),
            ("actor", &mut self.actor.kind),
            ("indirect_actor", &mut self.indirect_actor.id),
            ("indirect_actor", &mut self.indirect_actor.name),
            ("source", &mut self.source.host),
            ("source", &mut self.source.application),
            ("session", &mut self.session),
            ("correlation", &mut self.correlation),
        ];
        for (member, name) in names {
            fit(name, NAME_BYTES_MAX, member, &mut cut);
        }
        for target in &mut self.targets {
            for name in [&mut target.kind, &mut target.id, &mut target.name] {
                fit(name, NAME_BYTES_MAX, "targets", &mut cut);
            }
        }
        self.targets.retain(|target| *target != Target::default());
        if self.targets.len() > TARGETS_MAX {
            self.targets.truncate(TARGETS_MAX);
            cut.push("targets");
        }
        fit(&mut self.message, MESSAGE_BYTES_MAX, "message", &mut cut);
        let mut action = Some(std::mem::take(&mut self.action));
        fit(&mut action, ACTION_BYTES_MAX, "action", &mut cut);
        self.action = action.unwrap_or_else(|| "unnamed".to_owned());
        cut.dedup();
        if !cut.is_empty() {
            self.attributes.insert("cut".to_owned(), cut.into());
        }
    }
}

/// Cuts at a character; an empty text is no text.
fn fit(text: &mut Option<String>, bytes_max: usize, member: &'static str, cut: &mut Vec<&'static str>) {
    let Some(long) = text else { return };
    if long.len() > bytes_max {
        long.truncate(long.floor_char_boundary(bytes_max));
        cut.push(member);
    }
    if long.is_empty() {
        *text = None;
    }
}

impl Draft {
    /// One line of JSON, within the limits of the event model except for the length as a whole.
    pub fn into_json(mut self) -> Vec<u8> {
        self.meaning.fit();
        serde_json::to_vec(&self).expect("maps with text keys and finite numbers are always JSON")
    }
}
