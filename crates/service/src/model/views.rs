//! One event, several views: the one table that says under which type text each surface shows it.
//!
//! A surface is an audit API that had its own list of types before us. An event that came in through a surface reads
//! back there under the type it came with; any other event gets the type of this table (DESIGN §3). The index keeps the
//! type texts as tags, so that a type held by one event in a million is found without reading the million.

use std::borrow::Cow;

use super::event::{Fields, Kind, Outcome};
use crate::extraction::types;

/// A surface with types of its own. Surfaces without (the native one) show kind, action and outcome as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// The paged list of what users did.
    UserEvents,
    /// Log extraction by type.
    Extraction,
    /// Event tokens; the type is the action.
    Feed,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Surface; 3] = [Surface::UserEvents, Surface::Extraction, Surface::Feed];

    /// The value of `origin.dialect` for what came in through this surface. These names are data that senders write
    /// into events, which is why they appear here, below the dialects.
    pub fn dialect(self) -> &'static str {
        match self {
            Surface::UserEvents => "octopai",
            Surface::Extraction => "silo",
            Surface::Feed => "activid",
        }
    }

    /// The type text of an event on this surface; `None` when the surface does not show it.
    pub fn type_of<'a>(self, fields: &'a Fields<'_>) -> Option<Cow<'a, str>> {
        if let Some(origin) = &fields.origin
            && origin.dialect.as_str() == self.dialect()
            && let Some(own) = &origin.kind
        {
            match self {
                // Extraction asks by type, so a type that cannot be asked for would hide its events.
                Surface::Extraction => {
                    if let Some(log_type) = types::find_any(own) {
                        return Some(Cow::Borrowed(log_type.name));
                    }
                }
                Surface::UserEvents | Surface::Feed => return Some(Cow::Borrowed(own.as_str())),
            }
        }
        match self {
            Surface::UserEvents => user_events(fields.kind, fields.outcome).map(Cow::Borrowed),
            Surface::Extraction => Some(Cow::Borrowed(extraction(fields.kind, fields.outcome, &fields.action))),
            Surface::Feed => Some(Cow::Borrowed(fields.action.as_str())),
        }
    }

    /// The type text of an encrypted event on this surface: it can be of any type, so every surface shows it, and says so.
    pub fn sealed_type(self) -> &'static str {
        match self {
            Surface::Extraction => types::ENC,
            Surface::UserEvents | Surface::Feed => "ENCRYPTED",
        }
    }

    /// The name of the event's type, if this surface lets it be kept only encrypted (DESIGN §4).
    pub fn only_sealed(self, fields: &Fields<'_>) -> Option<&'static str> {
        let origin = fields.origin.as_ref().filter(|origin| origin.dialect.as_str() == self.dialect())?;
        match self {
            Surface::Extraction => types::find(origin.kind.as_deref()?)
                .filter(|log_type| log_type.only_sealed)
                .map(|log_type| log_type.name),
            Surface::UserEvents | Surface::Feed => None,
        }
    }

    /// The tag under which the index keeps a type text of this surface. Keywords of the index do not tell upper from
    /// lower case; here `_` and blank count as the same character too (`specs/silo.md` §6.2).
    pub fn tag(self, type_text: &str) -> String {
        format!("{}:{}", self.tag_prefix(), type_text.replace('_', " "))
    }

    /// What every tag of this surface starts with, before the colon.
    pub fn tag_prefix(self) -> &'static str {
        match self {
            Surface::UserEvents => "user-event",
            Surface::Extraction => "extraction",
            Surface::Feed => "feed",
        }
    }

    /// The query for events that this surface shows under `type_text`.
    pub fn query(self, type_text: &str) -> search::Query {
        search::Query::Keyword { field: search::Field::Tag, value: self.tag(type_text) }
    }

    /// The query for every event that this surface shows.
    pub fn query_all(self) -> search::Query {
        search::Query::KeywordPrefix { field: search::Field::Tag, prefix: format!("{}:", self.tag_prefix()) }
    }
}

fn user_events(kind: Kind, outcome: Outcome) -> Option<&'static str> {
    match (kind, outcome) {
        (Kind::Authentication, Outcome::Failure) => Some("LOGIN FAIL"),
        // A sender that says nothing of the outcome of a login means one that happened.
        (Kind::Authentication, Outcome::Success | Outcome::Unknown) => Some("LOGIN SUCCESS"),
        (Kind::Page, _) => Some("PAGE LOAD"),
        (Kind::Web | Kind::File | Kind::Admin | Kind::Session | Kind::System | Kind::Other, _) => None,
    }
}

fn extraction(kind: Kind, outcome: Outcome, action: &str) -> &'static str {
    match (kind, outcome) {
        (Kind::Authentication, _) => "AUTH",
        (Kind::Web, Outcome::Failure) => "BLOCKED URL",
        (Kind::Page | Kind::Web, _) => "URL",
        (Kind::File, _) if is_upload(action) => "UPLOAD",
        (Kind::File, _) => "DOWNLOAD",
        (Kind::Admin, _) => "ADMIN_AUDIT",
        (Kind::Session, _) => "SESSION",
        (Kind::System | Kind::Other, _) => "EVENT",
    }
}

/// Says whether the words of a file action tell that something was handed to the far side.
fn is_upload(action: &str) -> bool {
    action.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        ["upload", "uploaded", "put", "putobject", "write", "create", "send"]
            .iter()
            .any(|w| word.eq_ignore_ascii_case(w))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, user_events: Option<&str>, extraction: &str, feed: &str) {
        let fields = Fields::parse(json.as_bytes()).unwrap();
        assert_eq!(Surface::UserEvents.type_of(&fields).as_deref(), user_events, "{json}");
        assert_eq!(Surface::Extraction.type_of(&fields).as_deref(), Some(extraction), "{json}");
        assert_eq!(Surface::Feed.type_of(&fields).as_deref(), Some(feed), "{json}");
    }

    #[test]
    fn every_kind_has_the_views_of_the_design() {
        check(r#"{"action":"a","kind":"authentication","outcome":"success"}"#, Some("LOGIN SUCCESS"), "AUTH", "a");
        check(r#"{"action":"a","kind":"authentication","outcome":"failure"}"#, Some("LOGIN FAIL"), "AUTH", "a");
        check(r#"{"action":"a","kind":"page"}"#, Some("PAGE LOAD"), "URL", "a");
        check(r#"{"action":"a","kind":"web"}"#, None, "URL", "a");
        check(r#"{"action":"a","kind":"web","outcome":"failure"}"#, None, "BLOCKED URL", "a");
        check(r#"{"action":"file.read","kind":"file"}"#, None, "DOWNLOAD", "file.read");
        check(r#"{"action":"File Upload","kind":"file"}"#, None, "UPLOAD", "File Upload");
        check(r#"{"action":"a","kind":"admin"}"#, None, "ADMIN_AUDIT", "a");
        check(r#"{"action":"a","kind":"session"}"#, None, "SESSION", "a");
        check(r#"{"action":"a","kind":"system"}"#, None, "EVENT", "a");
        check(r#"{"action":"a"}"#, None, "EVENT", "a");
    }

    #[test]
    fn what_came_in_through_a_surface_keeps_its_type_there_and_only_there() {
        let json = r#"{"action":"a","kind":"other","origin":{"dialect":"silo","type":"PRINT"}}"#;
        check(json, None, "PRINT", "a");
        // A type that nobody can ask for is shown as the kind says; case and spelling are those of the list.
        let json = r#"{"action":"a","kind":"file","origin":{"dialect":"silo","type":"HOLOGRAM"}}"#;
        check(json, None, "DOWNLOAD", "a");
        let json = r#"{"action":"a","origin":{"dialect":"silo","type":"blocked_url"}}"#;
        check(json, None, "BLOCKED URL", "a");
        let json = r#"{"action":"a","kind":"page","origin":{"dialect":"octopai","type":"PAGE VIEW"}}"#;
        check(json, Some("PAGE VIEW"), "URL", "a");
    }

    #[test]
    fn what_may_be_kept_only_encrypted_is_known_by_its_type() {
        let only_sealed = |dialect: &str, of: &str| {
            let json = format!(r#"{{"action":"a","origin":{{"dialect":"{dialect}","type":"{of}"}}}}"#);
            Surface::Extraction.only_sealed(&Fields::parse(json.as_bytes()).unwrap())
        };
        assert_eq!(only_sealed("silo", "post_data"), Some("POST DATA"));
        assert_eq!(only_sealed("silo", "URL"), None);
        assert_eq!(only_sealed("native", "SMS"), None);
    }

    #[test]
    fn underscore_and_blank_are_the_same_in_a_tag() {
        assert_eq!(Surface::Extraction.tag("BLOCKED_URL"), Surface::Extraction.tag("BLOCKED URL"));
    }
}
