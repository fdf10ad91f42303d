//! What a form sends (`application/x-www-form-urlencoded`), and where it may come from.

use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

/// Longest form, in bytes.
pub const BYTES_MAX: usize = 16 << 10;

/// The fields of a form.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form. `None`: it is not UTF-8 after decoding.
    pub fn read(body: &[u8]) -> Option<Form> {
        let text = std::str::from_utf8(body).ok()?;
        let decoded = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
        };
        let mut fields = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decoded(name)?, decoded(value)?));
        }
        Some(Form(fields))
    }

    /// The first field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Whether a form was sent by a page of this origin. Browsers say so in one of two headers; a request with neither is not
/// from a page that a browser shows.
pub fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match (text("origin"), headers.get(header::HOST).and_then(|value| value.to_str().ok())) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

/// The address on this server that a page asks to be led to; the overview where it is none.
pub fn target(asked: Option<&str>) -> &str {
    let is_here = |text: &&str| {
        let mut characters = text.chars();
        // Browsers read `//host` and `/\host` as another server, and drop tabs and line ends first.
        characters.next() == Some('/')
            && !matches!(characters.next(), Some('/' | '\\'))
            && !text.chars().any(char::is_control)
            && text.is_ascii()
    };
    asked.filter(is_here).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn a_form_is_decoded() {
        let form = Form::read(b"login=ann%40example.com&password=a+b%2B%26&to=%2Fevents&&x").unwrap();
        assert_eq!(form.get("login"), Some("ann@example.com"));
        assert_eq!(form.get("password"), Some("a b+&"));
        assert_eq!(form.get("to"), Some("/events"));
        assert_eq!(form.get("x"), Some(""));
        assert_eq!(form.get("y"), None);
        assert_eq!(Form::read(b"a=%ff"), None);
    }

    #[test]
    fn nobody_is_led_to_another_server() {
        for (asked, expected) in [
            ("/events?q=a", "/events?q=a"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("events", "/"),
            ("", "/"),
        ] {
            assert_eq!(target(Some(asked)), expected, "{asked}");
        }
        assert_eq!(target(None), "/");
    }

    #[test]
    fn a_form_of_another_origin_is_not_ours() {
        let check = |pairs: &[(&'static str, &'static str)], expected: bool| {
            let headers =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            assert_eq!(is_own(&headers.collect()), expected, "{pairs:?}");
        };
        check(&[("host", "a:1")], true);
        check(&[("host", "a:1"), ("origin", "http://a:1")], true);
        check(&[("host", "a:1"), ("origin", "http://b:1")], false);
        check(&[("host", "a:1"), ("origin", "null")], false);
        check(&[("host", "a:1"), ("sec-fetch-site", "cross-site")], false);
        check(&[("host", "a:1"), ("sec-fetch-site", "same-site")], false);
        check(&[("host", "a:1"), ("sec-fetch-site", "same-origin"), ("origin", "http://a:1")], true);
    }
}
