//! The event: what a sender hands in, what is kept, and what a reader gets.
//!
//! The canonical event is a JSON object, kept byte for byte as it was accepted. Its members:
//!
//! | member | type | meaning |
//! |---|---|---|
//! | `id` | string | the sender's own id; the same id again answers with the first receipt |
//! | `occurred_at` | RFC 3339 string | when it happened, says the sender; absent: when it was received |
//! | `kind` | one of [`Kind`] | absent: `other` |
//! | `action` | string, required | what was done, in the sender's words |
//! | `outcome` | one of [`Outcome`] | absent: `unknown` |
//! | `actor`, `indirect_actor` | string (the name) or `{id, name, type}` | who did it, and for whom or through whom |
//! | `source` | string (the address) or `{address, host, port, application}` | where it came from |
//! | `targets` | array of strings (names) or `{type, id, name}` | what it was done to |
//! | `session`, `correlation` | string | what it belongs to |
//! | `message` | string | for people |
//! | `attributes` | object | anything else |
//! | `origin` | `{dialect, type, raw}` | the API it came through and what was sent there, to be given back unchanged |
//!
//! `null` is the same as absent. Members that are not in the table are refused by name.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::id::AccountId;
use super::views::Surface;
use super::{diagnose, strict, time};

/// Longest event as JSON text, in bytes.
pub const EVENT_BYTES_MAX: usize = 1_000_000;
/// Longest `id`, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 200;
/// Longest `action`, in bytes of UTF-8.
pub const ACTION_BYTES_MAX: usize = 200;
/// Longest name, id, address, session and the like, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 2_000;
/// Longest `message`, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Most targets of one event.
pub const TARGETS_MAX: usize = 100;

/// What sort of event it is: few and closed, so that every surface can show every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody proved, or failed to prove, who they are.
    Authentication,
    /// A page of an application was opened.
    Page,
    /// Something was fetched from the web.
    Web,
    /// A file was read, written, sent or fetched.
    File,
    /// Something about the system or its users was changed by an administrator.
    Admin,
    /// A session began, ended or changed.
    Session,
    /// The system did something by itself.
    System,
    /// None of these.
    #[default]
    Other,
}

impl Kind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Kind; 8] = [
        Kind::Authentication,
        Kind::Page,
        Kind::Web,
        Kind::File,
        Kind::Admin,
        Kind::Session,
        Kind::System,
        Kind::Other,
    ];

    /// The word for it in JSON: lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Authentication => "authentication",
            Kind::Page => "page",
            Kind::Web => "web",
            Kind::File => "file",
            Kind::Admin => "admin",
            Kind::Session => "session",
            Kind::System => "system",
            Kind::Other => "other",
        }
    }

    /// The kind with this word, if there is one. Case counts.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not done.
    Failure,
    /// Nobody said.
    #[default]
    Unknown,
}

impl Outcome {
    /// Every outcome, in the order of their declaration.
    pub const ALL: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Unknown];

    /// The word for it in JSON: lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Unknown => "unknown",
        }
    }

    /// The outcome with this word, if there is one. Case counts.
    pub fn from_word(word: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|o| o.as_str() == word)
    }
}

/// A string of an event: borrowed from the event's text when it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AsText;

        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        from.deserialize_str(AsText)
    }
}

/// The members of one event, borrowed from its text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields<'a> {
    /// The sender's own id.
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    /// RFC 3339 text as sent; [`Event::occurred_at`] has it as an instant.
    #[serde(borrow, default)]
    pub occurred_at: Option<Text<'a>>,
    /// Absent reads as `Other`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub kind: Kind,
    /// What was done, in the sender's words; never empty.
    #[serde(borrow)]
    pub action: Text<'a>,
    /// Absent reads as `Unknown`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub outcome: Outcome,
    /// Who did it.
    #[serde(borrow, default)]
    pub actor: Option<Party<'a>>,
    /// For whom, or through whom.
    #[serde(borrow, default)]
    pub indirect_actor: Option<Party<'a>>,
    /// Where it came from.
    #[serde(borrow, default)]
    pub source: Option<Source<'a>>,
    /// What it was done to.
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    pub targets: Vec<Target<'a>>,
    /// The session it belongs to.
    #[serde(borrow, default)]
    pub session: Option<Text<'a>>,
    /// What ties it to events elsewhere.
    #[serde(borrow, default)]
    pub correlation: Option<Text<'a>>,
    /// For people.
    #[serde(borrow, default)]
    pub message: Option<Text<'a>>,
    /// Anything else: always a JSON object, as sent.
    #[serde(borrow, default)]
    pub attributes: Option<&'a RawValue>,
    /// The API it came through.
    #[serde(borrow, default)]
    pub origin: Option<Origin<'a>>,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Who: a person, a program, a device. At least one member is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party<'a> {
    /// An identifier that does not change.
    pub id: Option<Text<'a>>,
    /// A name; a bare string in place of the object is this.
    pub name: Option<Text<'a>>,
    /// What sort of party, such as `user` or `service`.
    pub kind: Option<Text<'a>>,
}

impl Party<'_> {
    /// The name, else the id.
    pub fn label(&self) -> Option<&str> {
        self.name.as_deref().or(self.id.as_deref())
    }
}

/// Where from. At least one member is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source<'a> {
    /// An IP address, usually; any text will do. A bare string in place of the object is this.
    pub address: Option<Text<'a>>,
    /// The name of the host.
    pub host: Option<Text<'a>>,
    /// The port on it.
    pub port: Option<u16>,
    /// The program there.
    pub application: Option<Text<'a>>,
}

impl Source<'_> {
    /// The address, else the host.
    pub fn label(&self) -> Option<&str> {
        self.address.as_deref().or(self.host.as_deref())
    }
}

/// What something was done to. At least one member is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// What sort of thing.
    pub kind: Option<Text<'a>>,
    /// An identifier that does not change.
    pub id: Option<Text<'a>>,
    /// A name; a bare string in place of the object is this.
    pub name: Option<Text<'a>>,
}

/// Through which API it came, and what was sent there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin<'a> {
    /// The name of the API.
    #[serde(borrow)]
    pub dialect: Text<'a>,
    /// The type text it had there; shown again through that API instead of the one from the table of views.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    /// What was sent there, any JSON value.
    #[serde(borrow, default)]
    pub raw: Option<&'a RawValue>,
}

/// Reads `string | object`: the string goes to one member, the object to all of them.
macro_rules! string_or_object {
    ($name:ident, $object:ident, $expecting:literal, string is $bare:ident, { $($member:ident: $type:ty $(= $json:literal)?),+ }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $object<'a> {
            $(#[serde(borrow, default $(, rename = $json)?)] $member: $type,)+
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Either;

                impl<'de> Visitor<'de> for Either {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<$name<'de>, E> {
                        Ok($name { $bare: Some(Text(Cow::Borrowed(text))), ..$name::default() })
                    }

                    fn visit_str<E>(self, text: &str) -> Result<$name<'de>, E> {
                        Ok($name { $bare: Some(Text(Cow::Owned(text.to_owned()))), ..$name::default() })
                    }

                    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<$name<'de>, A::Error> {
                        let object = $object::deserialize(MapAccessDeserializer::new(members))?;
                        Ok($name { $($member: object.$member),+ })
                    }
                }

                from.deserialize_any(Either)
            }
        }
    };
}

string_or_object!(Party, PartyObject, "a name or an object", string is name,
    { id: Option<Text<'a>>, name: Option<Text<'a>>, kind: Option<Text<'a>> = "type" });
string_or_object!(Target, TargetObject, "a name or an object", string is name,
    { kind: Option<Text<'a>> = "type", id: Option<Text<'a>>, name: Option<Text<'a>> });

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceObject<'a> {
    #[serde(borrow, default)]
    address: Option<Text<'a>>,
    #[serde(borrow, default)]
    host: Option<Text<'a>>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(borrow, default)]
    application: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Source<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Source<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an address or an object")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Source<'de>, E> {
                Ok(Source { address: Some(Text(Cow::Borrowed(text))), ..Source::default() })
            }

            fn visit_str<E>(self, text: &str) -> Result<Source<'de>, E> {
                Ok(Source { address: Some(Text(Cow::Owned(text.to_owned()))), ..Source::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Source<'de>, A::Error> {
                let object = SourceObject::deserialize(MapAccessDeserializer::new(members))?;
                Ok(Source {
                    address: object.address,
                    host: object.host,
                    port: object.port,
                    application: object.application,
                })
            }
        }

        from.deserialize_any(Either)
    }
}

/// An event that cannot be accepted: which member, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if pointer.is_empty() { String::new() } else { format!("{pointer}: ") })]
pub struct Invalid {
    /// JSON pointer (RFC 6901) to the member; empty for the event as a whole.
    pub pointer: String,
    /// What is wrong and what would be right; lower case, no full stop.
    pub message: String,
    /// Whether a named length limit is what was broken.
    pub too_large: bool,
}

impl Invalid {
    /// A rule broken at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Invalid {
        Invalid { pointer: pointer.into(), message: message.into(), too_large: false }
    }

    /// A named length limit broken at `pointer`.
    pub fn too_large(pointer: impl Into<String>, message: impl Into<String>) -> Invalid {
        Invalid { pointer: pointer.into(), message: message.into(), too_large: true }
    }
}

impl<'a> Fields<'a> {
    /// Reads the canonical event JSON; says nothing about lengths, see [`Fields::check`].
    pub(crate) fn parse(json: &'a [u8]) -> Result<Fields<'a>, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// `occurred_at` as an instant, if it was given.
    pub fn occurred_at_time(&self) -> Option<Timestamp> {
        self.occurred_at.as_deref().and_then(time::parse)
    }

    /// Every rule that types cannot say. Cheap: no allocation unless it fails.
    fn check(&self) -> Result<(), Invalid> {
        text("/id", self.id.as_ref(), ID_BYTES_MAX)?;
        text("/action", Some(&self.action), ACTION_BYTES_MAX)?;
        text("/session", self.session.as_ref(), NAME_BYTES_MAX)?;
        text("/correlation", self.correlation.as_ref(), NAME_BYTES_MAX)?;
        if let Some(message) = &self.message
            && message.len() > TEXT_BYTES_MAX
        {
            return Err(Invalid::too_large("/message", format!("longer than {TEXT_BYTES_MAX} bytes")));
        }
        if let Some(at) = &self.occurred_at
            && time::parse(at).is_none()
        {
            let message = "not an RFC 3339 time with offset, such as 2026-01-31T23:59:59.123Z, between 1900 and 2199";
            return Err(Invalid::new("/occurred_at", message));
        }
        party("/actor", self.actor.as_ref())?;
        party("/indirect_actor", self.indirect_actor.as_ref())?;
        if let Some(source) = &self.source {
            if source.label().is_none() && source.port.is_none() && source.application.is_none() {
                return Err(Invalid::new("/source", "empty; leave it out or say something"));
            }
            text("/source/address", source.address.as_ref(), NAME_BYTES_MAX)?;
            text("/source/host", source.host.as_ref(), NAME_BYTES_MAX)?;
            text("/source/application", source.application.as_ref(), NAME_BYTES_MAX)?;
        }
        if self.targets.len() > TARGETS_MAX {
            return Err(Invalid::too_large("/targets", format!("more than {TARGETS_MAX} targets")));
        }
        for (at, target) in self.targets.iter().enumerate() {
            let members = [("type", &target.kind), ("id", &target.id), ("name", &target.name)];
            if members.iter().all(|(_, member)| member.is_none()) {
                return Err(Invalid::new(format!("/targets/{at}"), "empty; leave it out or say something"));
            }
            for (name, member) in members {
                length(member.as_ref(), NAME_BYTES_MAX).map_err(|e| e.at(|| format!("/targets/{at}/{name}")))?;
            }
        }
        if let Some(attributes) = self.attributes {
            if !attributes.get().starts_with('{') {
                return Err(Invalid::new("/attributes", "not an object"));
            }
            strict::check(attributes.get()).map_err(|e| Invalid::new("/attributes", diagnose::words(&e)))?;
        }
        if let Some(origin) = &self.origin {
            text("/origin/dialect", Some(&origin.dialect), NAME_BYTES_MAX)?;
            text("/origin/type", origin.kind.as_ref(), NAME_BYTES_MAX)?;
            if let Some(raw) = origin.raw {
                strict::check(raw.get()).map_err(|e| Invalid::new("/origin/raw", diagnose::words(&e)))?;
            }
        }
        Ok(())
    }
}

/// What is wrong with the length of a text; gets its place only when it is needed.
enum Length {
    Empty,
    Over(usize),
}

impl Length {
    fn at(self, pointer: impl FnOnce() -> String) -> Invalid {
        match self {
            Length::Empty => Invalid::new(pointer(), "empty; leave it out or say something"),
            Length::Over(max) => Invalid::too_large(pointer(), format!("longer than {max} bytes")),
        }
    }
}

fn length(text: Option<&Text<'_>>, max: usize) -> Result<(), Length> {
    match text {
        Some(text) if text.is_empty() => Err(Length::Empty),
        Some(text) if text.len() > max => Err(Length::Over(max)),
        _ => Ok(()),
    }
}

fn text(pointer: &str, text: Option<&Text<'_>>, max: usize) -> Result<(), Invalid> {
    length(text, max).map_err(|e| e.at(|| pointer.to_owned()))
}

fn party(pointer: &str, party: Option<&Party<'_>>) -> Result<(), Invalid> {
    let Some(party) = party else { return Ok(()) };
    if party.id.is_none() && party.name.is_none() && party.kind.is_none() {
        return Err(Invalid::new(pointer, "empty; leave it out or say something"));
    }
    for (name, member) in [("id", &party.id), ("name", &party.name), ("type", &party.kind)] {
        length(member.as_ref(), NAME_BYTES_MAX).map_err(|e| e.at(|| format!("{pointer}/{name}")))?;
    }
    Ok(())
}

/// An event that was checked and can be handed in.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEvent {
    json: Vec<u8>,
    id: [u8; 16],
    /// Where `id` lies is not kept; the text is, for the receipt.
    id_text: Option<String>,
    occurred_at_us: Option<i64>,
    only_sealed: Option<&'static str>,
}

impl NewEvent {
    /// Checks one event in canonical JSON (see the module page) and keeps its bytes as they are, outer white space apart.
    ///
    /// # Errors
    /// Names the first member that breaks a rule. Duplicate and unknown members are refused at every level that has rules.
    pub fn from_json(json: &[u8]) -> Result<NewEvent, Invalid> {
        let json = json.trim_ascii();
        if json.len() > EVENT_BYTES_MAX {
            return Err(Invalid::too_large("", format!("longer than {EVENT_BYTES_MAX} bytes")));
        }
        let fields = Fields::parse(json).map_err(|e| diagnose::parse_error(json, &e))?;
        fields.check()?;
        Ok(NewEvent {
            id: fields.id.as_deref().map(id_bytes).unwrap_or_default(),
            id_text: fields.id.as_deref().map(str::to_owned),
            occurred_at_us: fields.occurred_at_time().map(time::micros),
            only_sealed: Surface::Extraction.only_sealed(&fields),
            json: json.to_vec(),
        })
    }

    /// Makes the canonical JSON from a draft and checks it as [`NewEvent::from_json`] does.
    pub fn build(draft: &EventDraft) -> Result<NewEvent, Invalid> {
        let json = serde_json::to_vec(draft).expect("a draft has string keys only, and writing to memory cannot fail");
        NewEvent::from_json(&json)
    }

    /// The event's text, as it will be kept.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The sender's id, if it gave one.
    pub fn id(&self) -> Option<&str> {
        self.id_text.as_deref()
    }

    /// The sixteen bytes that stand for the id in the log entry; zeros for none. See [`id_bytes`].
    pub fn id_bytes(&self) -> [u8; 16] {
        self.id
    }

    /// When it happened, in microseconds, if its sender said so.
    pub fn occurred_at_us(&self) -> Option<i64> {
        self.occurred_at_us
    }

    /// The name of its type, if that may be kept only encrypted.
    pub fn only_sealed(&self) -> Option<&'static str> {
        self.only_sealed
    }
}

impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewEvent({})", String::from_utf8_lossy(&self.json))
    }
}

/// The sixteen bytes that stand for an event id in a log entry: a UUID's own bytes (hyphenated text, any case), else the
/// first sixteen of SHA-256 over the text (`specs/proofs.md` §2). The nil UUID is hashed too, because zeros mean "none".
pub fn id_bytes(id: &str) -> [u8; 16] {
    if id.len() == 36
        && let Ok(uuid) = uuid::Uuid::try_parse(id)
        && !uuid.is_nil()
    {
        return uuid.into_bytes();
    }
    let hash = Sha256::digest(id.as_bytes());
    hash[..16].try_into().expect("SHA-256 has 32 bytes")
}

/// An event being put together by a dialect or by the service itself. Absent members are left out of the JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventDraft {
    /// The sender's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// RFC 3339 text, kept as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    /// What sort of event.
    pub kind: Kind,
    /// What was done.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<PartyDraft>,
    /// For whom, or through whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indirect_actor: Option<PartyDraft>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceDraft>,
    /// What it was done to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetDraft>,
    /// The session it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What ties it to events elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// The API it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginDraft>,
}

/// See [`Party`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct PartyDraft {
    /// An identifier that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What sort of party.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl PartyDraft {
    /// A party of which only the name is known.
    pub fn named(name: impl Into<String>) -> PartyDraft {
        PartyDraft { name: Some(name.into()), ..PartyDraft::default() }
    }
}

/// See [`Source`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceDraft {
    /// An IP address, usually.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The name of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The program there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

/// See [`Target`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct TargetDraft {
    /// What sort of thing.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// An identifier that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// See [`Origin`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct OriginDraft {
    /// The name of the API.
    pub dialect: String,
    /// The type text it had there.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What was sent there, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Box<RawValue>>,
}

/// Who handed an event in: written by us, beside the event and under the same hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedBy {
    /// The account; `None` for what nobody was logged in for.
    pub account: Option<AccountId>,
    /// The API it came through; `counterfoil` for our own events.
    pub via: String,
    /// The address it came from.
    pub from: Option<String>,
}

/// Whether an event's content can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventState {
    /// It can.
    Present,
    /// Its body was erased on purpose; place, time and hash remain.
    Erased,
    /// It is encrypted to a key of the organisation.
    Sealed,
    /// The stored body does not read as an event; says why.
    Unreadable(String),
}

/// An encrypted event, as it is kept. Only the holder of the private key can tell what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedContent<'a> {
    /// The name the organisation gave the key.
    pub key_name: Cow<'a, str>,
    /// How it is encrypted.
    pub scheme: seal::Scheme,
    /// The encrypted record, in the layout of the scheme.
    pub ciphertext: &'a [u8],
}

/// Whether the stored bytes of one event are what was committed, when the reader asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are.
    Sound,
    /// They are not, or it cannot be shown that they are; says why.
    Tainted(String),
}

/// The content of an event cannot be read; the event's [`EventState`] says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content of this event cannot be read: {0}")]
pub struct Unreadable(pub String);

/// One entry of the trail, as a reader gets it. Cheap to clone: the content is a slice of a block shared by many.
///
/// Nothing of the content is parsed until [`Event::fields`] is called. Notes that the log wrote about itself read as
/// events of kind `system` with actions such as `log.opened`.
#[derive(Clone, Debug)]
pub struct Event {
    /// The stored record.
    pub(crate) record: log::Record,
    /// Numbers of logs before this one.
    pub(crate) before: u64,
    /// Shared by the events that one sender handed in.
    pub(crate) by: Arc<RecordedBy>,
    /// What holds the event's JSON, or what is encrypted, from `json_at` to its end.
    pub(crate) content: log::Body,
    pub(crate) json_at: usize,
    pub(crate) state: EventState,
    /// What verification found; `None` when nobody asked for it.
    pub verdict: Option<Verdict>,
}

impl Event {
    /// The number clients see: dense per organisation over all kinds of entries; index + 1, and in a log that took the place of
    /// another one more by the numbers before it.
    pub fn number(&self) -> u64 {
        self.before.saturating_add(self.record.number)
    }

    /// Position of the leaf in its log, from 0.
    pub fn index(&self) -> u64 {
        self.record.index
    }

    /// When it was received, to the microsecond; never falls from one number to the next.
    pub fn recorded_at(&self) -> Timestamp {
        time::from_micros(self.record.received_at_us)
    }

    /// Who handed it in. Neighbours that one sender handed in share it, so the same address means the same content.
    pub fn recorded_by(&self) -> &Arc<RecordedBy> {
        &self.by
    }

    /// What the log entry is; anything but `Event` was written by the log itself.
    pub fn entry_kind(&self) -> tlog::entry::Kind {
        self.record.kind
    }

    /// Whether the content can be read.
    pub fn state(&self) -> &EventState {
        &self.state
    }

    /// The event's canonical JSON exactly as it was accepted; `None` unless the state is `Present`.
    pub fn json(&self) -> Option<&[u8]> {
        (self.state == EventState::Present).then(|| &self.content[self.json_at..])
    }

    /// Parses the content. Costs about as much as accepting it did.
    ///
    /// # Errors
    /// `Unreadable` when the state is not `Present`.
    pub fn fields(&self) -> Result<Fields<'_>, Unreadable> {
        let json = match &self.state {
            EventState::Present => &self.content[self.json_at..],
            EventState::Erased => return Err(Unreadable("it was erased".into())),
            EventState::Sealed => return Err(Unreadable("it is encrypted".into())),
            EventState::Unreadable(why) => return Err(Unreadable(why.clone())),
        };
        Fields::parse(json).map_err(|e| Unreadable(e.to_string()))
    }

    /// What is encrypted, when the state is `Sealed`.
    pub fn sealed(&self) -> Option<SealedContent<'_>> {
        if self.state != EventState::Sealed {
            return None;
        }
        let envelope = crate::encoding::SealedEnvelope::read(&self.content).ok()?;
        let (key_name, scheme) = (envelope.key_name, envelope.scheme);
        Some(SealedContent { key_name, scheme, ciphertext: &self.content[self.json_at..] })
    }

    /// When it happened: what the sender said, else when it was received. Parses the content. Of an encrypted event the
    /// time is kept in clear, to the microsecond.
    pub fn occurred_at(&self) -> Timestamp {
        if self.state == EventState::Sealed {
            let envelope = crate::encoding::SealedEnvelope::read(&self.content).ok();
            let at = envelope.and_then(|envelope| Timestamp::from_microsecond(envelope.occurred_at_us?).ok());
            return at.unwrap_or_else(|| self.recorded_at());
        }
        self.fields().ok().and_then(|fields| fields.occurred_at_time()).unwrap_or_else(|| self.recorded_at())
    }

    /// The leaf hash, computed from the stored bytes (not read from the tree: compare it with what you remember).
    /// `None` when the body is gone.
    pub fn leaf_hash(&self) -> Option<tlog::Hash> {
        crate::encoding::leaf_hash(&self.record)
    }
}
