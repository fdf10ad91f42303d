//! Tokens and events: what a token becomes when it is kept, and how any event reads as a token.
//!
//! What came in as a token goes out with the sender's claims. Any other event goes out by the table of views (DESIGN §3): its
//! action as the type, its outcome as the status, and the members that have a counterpart among the vendor's sixteen.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use service::model::event::{NAME_BYTES_MAX, PartyDraft, SourceDraft, TARGETS_MAX, TEXT_BYTES_MAX, TargetDraft};
use service::model::feed::{self, Attribute, Sent};
use service::model::{OriginDraft, Party};
use service::{Event, EventDraft, EventState, Fields, Kind, Principal, Surface};

use super::token::{self, Token};
use super::wire::EVENT;

/// Longest action that an event may have, in bytes; of a longer type this much, the rest is in `origin`.
const ACTION_BYTES_MAX: usize = service::model::event::ACTION_BYTES_MAX;

/// Longest address of a resource that becomes a target, in bytes. With [`TARGETS_MAX`] of them an event made from the
/// longest token is still short enough to be kept; all of them are in `origin`.
const TARGET_BYTES_MAX: usize = 500;

const MEMORY: &str = "writing to memory cannot fail";

/// The event that keeps a token.
pub fn draft(token: &Token, who: &Principal) -> EventDraft {
    let sent = token.claims();
    let types = sent.types();
    let first = types.first().map_or("", |first| first.as_ref());
    let value = |name: &str| short(sent.value(name), NAME_BYTES_MAX);
    let resources = sent.resources();
    let users: Vec<&str> = resources.iter().filter_map(|uri| feed::user_of(uri)).collect();
    // An indirect call is made by one user about another, who then is the only user among the resources.
    let sole_user = match users.as_slice() {
        [user] if first.starts_with("indirect") => Some(decoded(user)),
        _ => None,
    };
    EventDraft {
        kind: kind(first, &sent),
        action: first[..first.floor_char_boundary(ACTION_BYTES_MAX)].to_owned(),
        outcome: feed::outcome_of(sent.value("status").as_deref()),
        actor: Some(match value("directUser") {
            Some(id) => PartyDraft { id: Some(id), name: None, kind: Some("user".to_owned()) },
            None => PartyDraft {
                id: Some(who.account.to_string()),
                name: Some(who.name.clone()),
                kind: Some("account".to_owned()),
            },
        }),
        indirect_actor: value("indirectUser").or_else(|| short(sole_user, NAME_BYTES_MAX)).map(|id| PartyDraft {
            id: Some(id),
            name: None,
            kind: Some("user".to_owned()),
        }),
        source: value("hostAddress").map(|address| match address.parse::<IpAddr>() {
            Ok(_) => SourceDraft { address: Some(address), ..SourceDraft::default() },
            Err(_) => SourceDraft { host: Some(address), ..SourceDraft::default() },
        }),
        targets: resources
            .iter()
            .filter(|uri| (1..=TARGET_BYTES_MAX).contains(&uri.len()))
            .take(TARGETS_MAX)
            .map(|uri| match feed::user_of(uri) {
                Some(user) => {
                    TargetDraft { kind: Some("user".to_owned()), id: Some(decoded(user).into_owned()), name: None }
                }
                None => TargetDraft { kind: None, id: Some(uri.clone().into_owned()), name: None },
            })
            .collect(),
        session: value("alsi"),
        correlation: value("correlationId"),
        message: short(sent.value("message"), TEXT_BYTES_MAX),
        origin: Some(OriginDraft {
            dialect: Surface::Feed.dialect().to_owned(),
            kind: short(types.first().cloned(), NAME_BYTES_MAX),
            raw: Some(token.raw()),
        }),
        ..EventDraft::default()
    }
}

fn kind(first: &str, sent: &Sent<'_>) -> Kind {
    match feed::kind_of(first) {
        Kind::Other => sent.value("eventId").map_or(Kind::Other, |function| feed::kind_of(&function)),
        kind => kind,
    }
}

/// A text that fits; one that does not is found in `origin` alone.
fn short(text: Option<Cow<'_, str>>, bytes_max: usize) -> Option<String> {
    text.filter(|text| (1..=bytes_max).contains(&text.len())).map(Cow::into_owned)
}

fn decoded(id: &str) -> Cow<'_, str> {
    percent_decode_str(id).decode_utf8().unwrap_or(Cow::Borrowed(id))
}

/// Where this server says that the events and users of one tenant are.
pub struct Place {
    publisher: String,
    resources: String,
}

impl Place {
    /// `host`: the host part of the logs' origins; `tenant`: the organisation's slug.
    pub fn new(host: &str, tenant: &str) -> Place {
        let publisher = format!("https://{host}");
        Place { resources: format!("{publisher}/scim/{tenant}/v2"), publisher }
    }

    fn user(&self, id: &str) -> String {
        format!("{}/Users/{}", self.resources, utf8_percent_encode(id, NOT_IN_A_SEGMENT))
    }

    fn thing(&self, kind: Option<&str>, id: &str) -> String {
        if id.contains("://") {
            return id.to_owned();
        }
        let escaped = |text| utf8_percent_encode(text, NOT_IN_A_SEGMENT);
        format!("{}/{}/{}", self.resources, escaped(kind.unwrap_or("Resources")), escaped(id))
    }
}

/// What a path segment may not hold as it is (RFC 3986 §3.3).
const NOT_IN_A_SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// An event as this surface reads it.
pub enum Reading<'a> {
    /// It came as a token.
    Sent {
        /// What was sent.
        sent: Sent<'a>,
        /// The recorder stands in for a direct user who is not named.
        actor: Option<Party<'a>>,
    },
    /// It came otherwise.
    View(Box<View<'a>>),
    /// Its content cannot be read.
    Closed {
        /// Stands for the type.
        type_text: &'static str,
        /// Why.
        message: String,
    },
}

/// An event that did not come as a token.
pub struct View<'a> {
    fields: Fields<'a>,
    type_text: String,
    channel: &'a str,
    /// Addresses of what it is about; users first.
    resources: Vec<String>,
}

impl<'a> Reading<'a> {
    /// Reads an event's content.
    pub fn of(event: &'a Event, place: &Place) -> Reading<'a> {
        let fields = match event.fields() {
            Ok(fields) => fields,
            Err(_) => return Reading::closed(event),
        };
        if let Some(sent) = Sent::of(&fields).filter(|sent| !sent.types().is_empty()) {
            let actor = fields.actor.filter(|_| sent.value("directUser").is_none());
            return Reading::Sent { sent, actor };
        }
        let type_text = Surface::Feed.type_of(&fields).map_or_else(String::new, Cow::into_owned);
        let mut resources: Vec<String> = Vec::new();
        let mut add = |uri: String| {
            if !resources.contains(&uri) {
                resources.push(uri);
            }
        };
        let users = fields.indirect_actor.as_ref().and_then(Party::label).into_iter();
        let label = |target: &service::model::Target<'a>| target.id.clone().or_else(|| target.name.clone());
        let (targeted, others): (Vec<_>, Vec<_>) =
            fields.targets.iter().partition(|target| is_user(target.kind.as_deref()));
        users.for_each(|user| add(place.user(user)));
        targeted.iter().filter_map(|target| label(target)).for_each(|id| add(place.user(&id)));
        for target in others {
            if let Some(id) = label(target) {
                add(place.thing(target.kind.as_deref(), &id));
            }
        }
        let channel = event.recorded_by().via.as_str();
        Reading::View(Box::new(View { type_text, channel, resources, fields }))
    }

    fn closed(event: &Event) -> Reading<'a> {
        let (type_text, message) = match event.state() {
            EventState::Sealed => {
                let key = event.sealed().map(|sealed| sealed.key_name.into_owned()).unwrap_or_default();
                (Surface::Feed.sealed_type(), format!("encrypted to the organisation's key {key}"))
            }
            EventState::Erased => (UNREADABLE, "erased".to_owned()),
            EventState::Present => (UNREADABLE, "the content does not read as an event".to_owned()),
            EventState::Unreadable(why) => (UNREADABLE, why.clone()),
        };
        Reading::Closed { type_text, message }
    }

    /// Says whether the content could be read.
    pub fn is_open(&self) -> bool {
        !matches!(self, Reading::Closed { .. })
    }

    /// The event's types; the first one is shown.
    pub fn types(&self) -> Vec<Cow<'_, str>> {
        match self {
            Reading::Sent { sent, .. } => sent.types(),
            Reading::View(view) => vec![Cow::Borrowed(&view.type_text)],
            Reading::Closed { type_text, .. } => vec![Cow::Borrowed(type_text)],
        }
    }

    /// The values that a search compares with `attribute`.
    pub fn compared(&self, attribute: Attribute) -> Vec<Cow<'_, str>> {
        match self {
            Reading::Sent { sent, actor } => {
                let mut values = sent.compared(attribute);
                if attribute == Attribute::DirectUser {
                    values.extend(actor.iter().flat_map(names));
                }
                values
            }
            Reading::View(view) => view.compared(attribute),
            Reading::Closed { .. } => Vec::new(),
        }
    }

    /// The event token; `created` as [`super::time::created`] writes it.
    pub fn token(&self, place: &Place, created: &str) -> String {
        token::encode(&self.claims(place, created))
    }

    /// What the token says: JSON text.
    pub fn claims(&self, place: &Place, created: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 10);
        match self {
            Reading::Sent { sent, .. } => write_sent(sent, created, &mut out),
            Reading::View(view) => {
                let values = view.values();
                write_own(place, &view.resources, &view.type_text, created, &values, &mut out);
            }
            Reading::Closed { type_text, message } => {
                let values = [("message", Cow::Borrowed(message.as_str()))];
                write_own(place, &[], type_text, created, &values, &mut out);
            }
        }
        out
    }
}

/// The type of what cannot be read for another reason than encryption.
pub const UNREADABLE: &str = "UNREADABLE";

fn is_user(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("user") || kind.eq_ignore_ascii_case("account"))
}

fn names<'a>(party: &'a Party<'_>) -> impl Iterator<Item = Cow<'a, str>> {
    [&party.name, &party.id].into_iter().flatten().map(|text| Cow::Borrowed(text.as_str()))
}

impl View<'_> {
    fn compared(&self, attribute: Attribute) -> Vec<Cow<'_, str>> {
        let fields = &self.fields;
        match attribute {
            Attribute::DirectUser => fields.actor.iter().flat_map(names).collect(),
            Attribute::IndirectUser => {
                let mut users: Vec<Cow<'_, str>> = fields.indirect_actor.iter().flat_map(names).collect();
                for target in fields.targets.iter().filter(|target| is_user(target.kind.as_deref())) {
                    users.extend(
                        [&target.id, &target.name].into_iter().flatten().map(|text| Cow::Borrowed(text.as_str())),
                    );
                }
                users
            }
            Attribute::CorrelationId => fields.correlation.iter().map(|text| Cow::Borrowed(text.as_str())).collect(),
            Attribute::Status => feed::status_of(fields.outcome).into_iter().map(Cow::Borrowed).collect(),
            Attribute::Resource => {
                let users = self.resources.iter().filter(|uri| feed::user_of(uri).is_some());
                users.map(|uri| Cow::Borrowed(uri.as_str())).collect()
            }
            Attribute::AuthenticationType | Attribute::EventId => Vec::new(),
        }
    }

    /// Members of `values` in alphabetical order, without empty ones.
    fn values(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let fields = &self.fields;
        let kept = |text: Option<&service::model::Text<'_>>| text.map(|text| text.as_str().to_owned());
        let values: [(&'static str, Option<String>); 10] = [
            ("alsi", kept(fields.session.as_ref())),
            ("channel", Some(self.channel.to_owned())),
            ("correlationId", kept(fields.correlation.as_ref())),
            ("directUser", fields.actor.as_ref().and_then(Party::label).map(str::to_owned)),
            ("eventType", Some(fields.kind.as_str().to_owned())),
            ("hostAddress", fields.source.as_ref().and_then(|source| source.label()).map(str::to_owned)),
            ("indirectUser", fields.indirect_actor.as_ref().and_then(Party::label).map(str::to_owned)),
            ("message", kept(fields.message.as_ref())),
            ("status", feed::status_of(fields.outcome).map(str::to_owned)),
            ("texts", fields.attributes.map(|attributes| attributes.get().to_owned())),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name, Cow::Owned(value?)))).collect()
    }
}

/// The claims of a token as it was sent, in the order of §6.2, with our own `meta`.
fn write_sent(sent: &Sent<'_>, created: &str, out: &mut Vec<u8>) {
    let claim = |name: &str| sent.claim(name);
    out.extend_from_slice(b"{\"schemas\":");
    match claim("schemas") {
        Some(schemas) => out.extend_from_slice(schemas),
        None => member(out, &[EVENT]),
    }
    if let Some(publisher) = claim("publisherUri") {
        out.extend_from_slice(b",\"publisherUri\":");
        out.extend_from_slice(publisher);
    }
    let is_empty = |text: &[u8]| text == b"null" || serde_json::from_slice::<[(); 0]>(text).is_ok();
    if let Some(feeds) = claim("feedUris").filter(|feeds| !is_empty(feeds)) {
        out.extend_from_slice(b",\"feedUris\":");
        out.extend_from_slice(feeds);
    }
    out.extend_from_slice(b",\"resourceUris\":");
    out.extend_from_slice(claim("resourceUris").unwrap_or(b"[]"));
    out.extend_from_slice(b",\"type\":");
    member(out, &sent.types().first());
    let values: Vec<(Cow<'_, str>, &[u8])> = sent.values().filter(|(_, value)| *value != b"\"\"").collect();
    out.extend_from_slice(b",\"attributes\":");
    member(out, &values.iter().map(|(name, _)| name).collect::<Vec<_>>());
    write!(out, ",\"meta\":{{\"created\":\"{created}\"}},\"values\":{{").expect(MEMORY);
    for (at, (name, value)) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        member(out, name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b"}}");
}

/// The claims of an event that this server tells of.
fn write_own(
    place: &Place,
    resources: &[String],
    type_text: &str,
    created: &str,
    values: &[(&'static str, Cow<'_, str>)],
    out: &mut Vec<u8>,
) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Claims<'a> {
        schemas: [&'a str; 1],
        publisher_uri: &'a str,
        resource_uris: &'a [String],
        r#type: &'a str,
        attributes: Vec<&'a str>,
        meta: Meta<'a>,
        values: serde_json::Map<String, serde_json::Value>,
    }
    #[derive(Serialize)]
    struct Meta<'a> {
        created: &'a str,
    }
    let claims = Claims {
        schemas: [EVENT],
        publisher_uri: &place.publisher,
        resource_uris: resources,
        r#type: type_text,
        attributes: values.iter().map(|(name, _)| *name).collect(),
        meta: Meta { created },
        values: values.iter().map(|(name, value)| ((*name).to_owned(), value.as_ref().into())).collect(),
    };
    member(out, &claims);
}

fn member<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect(MEMORY);
}
