//! Events that came in elsewhere, in the members that clients of this API read. Source: DESIGN §3, `specs/silo.md` §6.
//!
//! A member takes its value from the event's own members where they mean the same, else from the attribute of the same
//! name, else from an attribute that other sources use for it, else it is `null`.

use std::io::Write as _;

use crate::model::{Fields, Surface};

use super::scan::{self, Name};
use super::types::LogType;

/// An event and what was found in it.
pub struct Foreign<'a> {
    fields: &'a Fields<'a>,
    attributes: Vec<(Name<'a>, &'a [u8])>,
    url: Option<Url<'a>>,
}

impl<'a> Foreign<'a> {
    /// Looks through `fields` once.
    pub fn new(fields: &'a Fields<'a>) -> Foreign<'a> {
        let attributes = fields.attributes.and_then(|raw| scan::members(raw.get().as_bytes()));
        // What was sent as a record of a type that is not known keeps what its members have in common with others.
        let raw = fields.origin.as_ref().filter(|origin| *origin.dialect == *Surface::Extraction.dialect());
        let raw = raw.and_then(|origin| scan::members(origin.raw?.get().as_bytes()));
        let found = attributes.into_iter().flatten().chain(raw.into_iter().flatten());
        let attributes: Vec<_> = found.filter(|(_, value)| *value != b"null").collect();
        let mut foreign = Foreign { fields, attributes, url: None };
        foreign.url = foreign.find_url();
        foreign
    }

    /// Writes the value of `member` of a record of `log_type`.
    pub fn write(&self, log_type: &LogType, member: &str, out: &mut Vec<u8>) {
        let fields = self.fields;
        let actor = fields.actor.as_ref();
        let id = actor.and_then(|actor| actor.id.as_deref());
        let name = actor.and_then(|actor| actor.name.as_deref());
        match member {
            "user_id" => return text(out, id.or(name)),
            "username" => return text(out, name.or(id)),
            "session_id" => return text(out, fields.session.as_deref()),
            "client_ip" => return text(out, fields.source.as_ref().and_then(|source| source.address.as_deref())),
            "action" | "audit_type" => return text(out, Some(&fields.action)),
            "result" => return text(out, Some(fields.outcome.as_str())),
            _ => {}
        }
        if let Some(value) = self.attribute(&[member]) {
            return out.extend_from_slice(value);
        }
        let others: &[&str] = match member {
            "old_value" => &["before", "old"],
            "new_value" => &["after", "new"],
            "auth_method" => &["method", "mechanism"],
            "method" => &["http_method", "verb"],
            "page_title" => &["title"],
            "response_code" => &["status", "status_code", "http_status"],
            "response_size" | "bytes" => &["size", "bytes", "length"],
            "file_name" => &["file", "filename"],
            "destination_path" => &["destination"],
            "exploit_name" => &["malware", "threat"],
            "data" => &["content"],
            _ => &[],
        };
        if let Some(value) = self.attribute(others) {
            return out.extend_from_slice(value);
        }
        match (member, &self.url) {
            ("url", Some(url)) => text(out, Some(url.whole)),
            ("scheme", Some(url)) => text(out, Some(url.scheme)),
            ("domain", Some(url)) => text(out, Some(url.host)),
            ("path", Some(url)) if log_type.name == "URL" => text(out, Some(url.path)),
            ("query", Some(url)) => text(out, url.query),
            ("port", Some(url)) => match url.shown_port() {
                Some(port) => write!(out, "{port}").expect("writing to memory cannot fail"),
                None => text(out, None),
            },
            // A page of an application is named, and has no address that we know.
            ("page_title" | "target" | "file_name", _) => text(out, self.target()),
            ("path", _) if log_type.name != "URL" => text(out, self.target()),
            ("data", _) => text(out, fields.message.as_deref()),
            _ => text(out, None),
        }
    }

    /// The name of the first target, unless that is the address already shown.
    fn target(&self) -> Option<&str> {
        let target = self.fields.targets.first()?;
        let label = target.name.as_deref().or(target.id.as_deref())?;
        self.url.as_ref().is_none_or(|url| url.whole != label).then_some(label)
    }

    fn attribute(&self, names: &[&str]) -> Option<&'a [u8]> {
        names.iter().find_map(|name| self.attributes.iter().find(|(other, _)| other.is(name)).map(|(_, value)| *value))
    }

    fn find_url(&self) -> Option<Url<'a>> {
        // An address with escapes in its JSON is not taken apart; it is still shown as the member it is.
        let attribute = self.attribute(&["url"]).and_then(|value| match scan::string(value)? {
            std::borrow::Cow::Borrowed(text) => Some(text),
            std::borrow::Cow::Owned(_) => None,
        });
        let targets = self.fields.targets.iter().flat_map(|target| [target.name.as_deref(), target.id.as_deref()]);
        attribute.into_iter().chain(targets.flatten()).find_map(Url::split)
    }
}

fn text(out: &mut Vec<u8>, value: Option<&str>) {
    serde_json::to_writer(out, &value).expect("writing strings to memory cannot fail");
}

/// An address taken apart as far as the members of a `URL` record need.
#[derive(Debug, PartialEq, Eq)]
struct Url<'a> {
    whole: &'a str,
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Url<'a> {
    /// `scheme://[user@]host[:port][/path][?query][#fragment]`; anything else is no address.
    fn split(whole: &'a str) -> Option<Url<'a>> {
        let (scheme, rest) = whole.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let (before_query, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match before_query.find('/') {
            Some(at) => before_query.split_at(at),
            None => (before_query, "/"),
        };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
            _ => (authority, None),
        };
        (!host.is_empty()).then_some(Url { whole, scheme, host, port, path, query })
    }

    /// The port, unless it is one that a browser leaves out. Source: `specs/silo.md` §6.2.
    fn shown_port(&self) -> Option<u16> {
        self.port.filter(|port| ![80, 443].contains(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        type Parts<'a> = (&'a str, &'a str, Option<u16>, &'a str, Option<&'a str>);
        let check = |whole: &str, expected: Option<Parts<'_>>| {
            let found = Url::split(whole);
            let found = found.as_ref().map(|url| (url.scheme, url.host, url.shown_port(), url.path, url.query));
            assert_eq!(found, expected, "{whole}");
        };
        check("http://www.java.com/en/x.jsp?p=v#f", Some(("http", "www.java.com", None, "/en/x.jsp", Some("p=v"))));
        check("https://h:443", Some(("https", "h", None, "/", None)));
        check("https://u:p@h:8443/a:1", Some(("https", "h", Some(8443), "/a:1", None)));
        check("http://[::1]:81/?", Some(("http", "[::1]", Some(81), "/", Some(""))));
        check("http://[::1]/", Some(("http", "[::1]", None, "/", None)));
        check("http://h:99999/", Some(("http", "h", None, "/", None)));
        for text in ["", "h/p", "://h", "1a://h", "http:///p", "a b://c"] {
            check(text, None);
        }
    }
}
