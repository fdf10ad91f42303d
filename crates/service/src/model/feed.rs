//! Event tokens (the surface [`Surface::Feed`]): what of a token is read, under which tags the index keeps it, and which
//! words of the surface stand for our own.
//!
//! A token is kept in `origin.raw` as `{"event": {…its claims, byte for byte…}, …}`; the other members say how the token
//! was written, and are the dialect's business. Nothing here judges a token: `origin` is data that any sender may write, so
//! what does not read is simply not there.

use std::borrow::Cow;
use std::collections::HashSet;

use search::{Field, Query};

use super::event::{Fields, Kind, Outcome};
use super::views::Surface;
use crate::extraction::scan::{self, Name};

/// The member of `origin.raw` that holds the claims.
pub const CLAIMS: &str = "event";

/// The status of what was done.
pub const SUCCESS: &str = "RESPONSE_SUCCESS";
/// The status of what was not done.
pub const FAILURE: &str = "RESPONSE_FAILURE";

/// The claims of a token that came in through the surface.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    claims: &'a [u8],
}

impl<'a> Sent<'a> {
    /// The claims that an event came with, if it came as a token.
    pub fn of(fields: &Fields<'a>) -> Option<Sent<'a>> {
        let origin = fields.origin.as_ref().filter(|origin| origin.dialect.as_str() == Surface::Feed.dialect())?;
        let claims = member(origin.raw?.get().as_bytes(), CLAIMS)?;
        Some(Sent::of_claims(claims)).filter(|_| scan::members(claims).is_some())
    }

    /// The claims that this JSON text holds.
    pub fn of_claims(claims: &'a [u8]) -> Sent<'a> {
        Sent { claims }
    }

    /// The text of a claim.
    pub fn claim(&self, name: &str) -> Option<&'a [u8]> {
        member(self.claims, name)
    }

    /// The types: `type`, then what `eventTypes` holds besides; empty texts are none.
    pub fn types(&self) -> Vec<Cow<'a, str>> {
        let mut types: Vec<Cow<'a, str>> = self.claim("type").and_then(scan::string).into_iter().collect();
        types.extend(self.strings("eventTypes"));
        let mut seen = HashSet::new();
        types.retain(|of| !of.is_empty() && seen.insert(of.clone()));
        types
    }

    /// The members of `values`, in their order, with the text of each value.
    pub fn values(&self) -> impl Iterator<Item = (Cow<'a, str>, &'a [u8])> + use<'a> {
        let values = self.claim("values").and_then(scan::members);
        values.into_iter().flatten().map(|(name, value): (Name<'a>, &'a [u8])| (name.read(), value))
    }

    /// One of `values` as text: a string, or the text of a number or truth value. Empty is none.
    pub fn value(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = member(self.claim("values")?, name)?;
        text(value).filter(|text| !text.is_empty())
    }

    /// What the event is about.
    pub fn resources(&self) -> Vec<Cow<'a, str>> {
        self.strings("resourceUris")
    }

    /// The values that each attribute is compared with, apart from what the recorder of the event adds.
    pub fn compared(&self, attribute: Attribute) -> Vec<Cow<'a, str>> {
        match attribute {
            Attribute::DirectUser => self.value("directUser").into_iter().collect(),
            Attribute::IndirectUser => {
                let mut users: Vec<Cow<'a, str>> = Vec::new();
                for resource in self.resources() {
                    users.extend(user_of(&resource).into_iter().flat_map(spellings).map(Cow::Owned));
                }
                users.extend(self.value("indirectUser"));
                users
            }
            Attribute::AuthenticationType => self.value("authenticationType").into_iter().collect(),
            Attribute::EventId => self.value("eventId").into_iter().collect(),
            Attribute::CorrelationId => self.value("correlationId").into_iter().collect(),
            Attribute::Status => self.value("status").into_iter().collect(),
            Attribute::Resource => {
                self.resources().into_iter().filter(|resource| user_of(resource).is_some()).collect()
            }
        }
    }

    /// Every tag under which the index keeps the token.
    pub fn tags(&self) -> Vec<String> {
        let mut tags: Vec<String> = self.types().iter().map(|of| Surface::Feed.tag(of)).collect();
        for attribute in Attribute::ALL {
            tags.extend(self.compared(attribute).iter().map(|value| attribute.tag(value)));
        }
        tags
    }

    fn strings(&self, name: &str) -> Vec<Cow<'a, str>> {
        let items = self
            .claim(name)
            .and_then(|items| serde_json::from_slice::<Vec<&'a serde_json::value::RawValue>>(items).ok());
        items.into_iter().flatten().filter_map(|item| scan::string(item.get().as_bytes())).collect()
    }
}

fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    scan::members(object)?.find(|(other, _)| other.is(name)).map(|(_, value)| value)
}

fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    match value.first()? {
        b'"' => scan::string(value),
        b'{' | b'[' | b'n' => None,
        _ => std::str::from_utf8(value).ok().map(Cow::Borrowed),
    }
}

/// The id at the end of `…/Users/{id}`.
pub fn user_of(uri: &str) -> Option<&str> {
    let (before, id) = uri.rsplit_once('/')?;
    (before.ends_with("/Users") && !id.is_empty()).then_some(id)
}

/// The id as it stands in an address, and as it reads with its escapes undone.
fn spellings(id: &str) -> impl Iterator<Item = String> {
    let read = percent_encoding::percent_decode_str(id).decode_utf8().ok().filter(|read| read != id);
    std::iter::once(id.to_owned()).chain(read.map(Cow::into_owned))
}

/// What a search compares, besides type and time. `name` is the word in tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Who acted.
    DirectUser,
    /// Who was acted upon.
    IndirectUser,
    /// How somebody proved who they are.
    AuthenticationType,
    /// The function that was called.
    EventId,
    /// What ties it to events elsewhere.
    CorrelationId,
    /// How it ended.
    Status,
    /// The address of a user it is about.
    Resource,
}

impl Attribute {
    /// Every attribute.
    pub const ALL: [Attribute; 7] = [
        Attribute::DirectUser,
        Attribute::IndirectUser,
        Attribute::AuthenticationType,
        Attribute::EventId,
        Attribute::CorrelationId,
        Attribute::Status,
        Attribute::Resource,
    ];

    /// The tag under which the index keeps a token with this value.
    pub fn tag(self, value: &str) -> String {
        format!("{}:{value}", self.tag_prefix())
    }

    fn tag_prefix(self) -> &'static str {
        match self {
            Attribute::DirectUser => "feed.direct",
            Attribute::IndirectUser => "feed.indirect",
            Attribute::AuthenticationType => "feed.authentication",
            Attribute::EventId => "feed.event",
            Attribute::CorrelationId => "feed.correlation",
            Attribute::Status => "feed.status",
            Attribute::Resource => "feed.resource",
        }
    }

    /// A query that finds every event, token or not, that has this value; because of how the index writes keywords it may
    /// also find others, so whoever cares looks again.
    pub fn query(self, value: &str) -> Query {
        let mut ways = vec![Query::Keyword { field: Field::Tag, value: self.tag(value) }];
        match (self, value) {
            (Attribute::Status, SUCCESS) => ways.push(outcome(Outcome::Success)),
            (Attribute::Status, FAILURE) => ways.push(outcome(Outcome::Failure)),
            (Attribute::Resource, uri) => {
                for id in user_of(uri).into_iter().flat_map(spellings) {
                    ways.extend(Attribute::IndirectUser.fields().iter().map(|field| keyword(*field, &id)));
                }
            }
            _ => ways.extend(self.fields().iter().map(|field| keyword(*field, value))),
        }
        Query::Or(ways)
    }

    /// As [`Attribute::query`], for values that begin so. The beginning ends where a character ends: a mark that combines
    /// belongs to the letter before it.
    pub fn query_prefix(self, prefix: &str) -> Query {
        let of_token = Query::KeywordPrefix { field: Field::Tag, prefix: self.tag(prefix) };
        let of_others =
            self.fields().iter().map(|field| Query::KeywordPrefix { field: *field, prefix: prefix.to_owned() });
        Query::Or(std::iter::once(of_token).chain(of_others).collect())
    }

    /// The fields of events that did not come as tokens.
    fn fields(self) -> &'static [Field] {
        match self {
            Attribute::DirectUser => &[Field::Actor],
            Attribute::IndirectUser => &[Field::IndirectActor, Field::Target],
            Attribute::CorrelationId => &[Field::Correlation],
            Attribute::AuthenticationType | Attribute::EventId | Attribute::Status | Attribute::Resource => &[],
        }
    }
}

fn keyword(field: Field, value: &str) -> Query {
    Query::Keyword { field, value: value.to_owned() }
}

fn outcome(outcome: Outcome) -> Query {
    keyword(Field::Outcome, outcome.as_str())
}

/// A query for what the index knows only by not being readable.
pub fn unreadable() -> Query {
    Query::Or(vec![keyword(Field::Tag, "state:erased"), keyword(Field::Tag, "state:unreadable")])
}

/// The status that the surface shows for an outcome; `None`: nobody said how it ended.
pub fn status_of(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Success => Some(SUCCESS),
        Outcome::Failure => Some(FAILURE),
        Outcome::Unknown => None,
    }
}

/// The outcome that a status stands for.
pub fn outcome_of(status: Option<&str>) -> Outcome {
    match status {
        Some(SUCCESS) => Outcome::Success,
        Some(FAILURE) => Outcome::Failure,
        _ => Outcome::Unknown,
    }
}

/// The kind of an event by the words of its type, so that the other surfaces show it sensibly: `primaryAuthenticateDevice`
/// is an authentication, `4TRESS.CREATE_USER` a change by an administrator.
pub fn kind_of(type_text: &str) -> Kind {
    const AUTHENTICATION: [&str; 7] =
        ["authenticate", "authenticates", "authenticated", "login", "logon", "signin", "authentication"];
    const SESSION: [&str; 6] = ["logout", "logoff", "signout", "session", "sessions", "alsi"];
    const ADMIN: [&str; 28] = [
        "add",
        "create",
        "activate",
        "modify",
        "deactivate",
        "delete",
        "remove",
        "password",
        "confirmation",
        "update",
        "assign",
        "unassign",
        "enable",
        "disable",
        "suspend",
        "resume",
        "lock",
        "unlock",
        "reset",
        "change",
        "set",
        "import",
        "issue",
        "revoke",
        "register",
        "grant",
        "insert",
        "bind",
    ];
    let words = words(type_text);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    // `createAuthenticationPolicy` changes something; nobody is authenticated by it.
    let only_about = has(&ADMIN) && !has(&AUTHENTICATION[..AUTHENTICATION.len() - 1]);
    match () {
        () if has(&AUTHENTICATION) && !only_about => Kind::Authentication,
        () if has(&SESSION) => Kind::Session,
        () if has(&ADMIN) => Kind::Admin,
        () => Kind::Other,
    }
}

/// The words of a name in camel case, with underscores, dots or blanks; lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && !before.is_uppercase());
        if begins {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is always a word").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_the_words_of_the_type() {
        let check = |of: &str, expected: Kind| assert_eq!(kind_of(of), expected, "{of}");
        check("primaryAuthenticateDevice", Kind::Authentication);
        check("indirectPrimaryAuthenticateUP", Kind::Authentication);
        check("user login", Kind::Authentication);
        check("AUTHENTICATION", Kind::Authentication);
        check("createAuthenticationPolicy", Kind::Admin);
        check("4TRESS.CREATE_USER", Kind::Admin);
        check("PASSWORD", Kind::Admin);
        check("indirectLogout", Kind::Session);
        check("createUser", Kind::Admin);
        check("readDevice", Kind::Other);
        check("", Kind::Other);
    }

    #[test]
    fn a_token_is_tagged_with_all_that_a_search_compares() {
        let json = r#"{"action":"a","origin":{"dialect":"activid","raw":{"event":{"type":"A_B","eventTypes":["A_B","C",""],
            "resourceUris":["https://x/Users/a%40b","https://x/Groups/g"],
            "values":{"directUser":"u","eventId":"f","status":"S","correlationId":7,"authenticationType":"","texts":[1]}}}}}"#;
        let fields = Fields::parse(json.as_bytes()).unwrap();
        let mut tags = Sent::of(&fields).unwrap().tags();
        tags.sort();
        assert_eq!(
            tags,
            [
                "feed.correlation:7",
                "feed.direct:u",
                "feed.event:f",
                "feed.indirect:a%40b",
                "feed.indirect:a@b",
                "feed.resource:https://x/Users/a%40b",
                "feed.status:S",
                "feed:A B",
                "feed:C",
            ]
        );
    }

    #[test]
    fn what_no_token_would_hold_is_passed_over() {
        let sent = |raw: &str| {
            let json = format!(r#"{{"action":"a","origin":{{"dialect":"activid","raw":{raw}}}}}"#);
            let fields = Fields::parse(json.as_bytes()).unwrap();
            Sent::of(&fields).map(|sent| sent.tags())
        };
        assert_eq!(sent("7"), None);
        assert_eq!(sent("{\"event\":[]}"), None);
        assert_eq!(sent(r#"{"event":{"type":5,"eventTypes":{},"resourceUris":"x","values":[]}}"#), Some(vec![]));
        let fields = Fields::parse(br#"{"action":"a","origin":{"dialect":"silo","raw":{"event":{}}}}"#).unwrap();
        assert!(Sent::of(&fields).is_none());
    }

    #[test]
    fn a_user_is_the_last_part_after_users() {
        let check = |uri: &str, expected: Option<&str>| assert_eq!(user_of(uri), expected, "{uri}");
        check("https://x/scim/acme/v2/Users/42", Some("42"));
        check("/Users/42", Some("42"));
        check("Users/42", None);
        check("https://x/Users/42/", None);
        check("https://x/Users/", None);
        check("https://x/Groups/42", None);
    }
}
