//! Event tokens: unsigned JSON web tokens. Source: `specs/scim-event.md` §4.3, the checks of §5.
//!
//! ```text
//! base64url({"alg":"none"}) . base64url(claims) .        (the third part is empty)
//! ```
//!
//! A token is kept as what it decodes to, so that its claims can be found, together with whatever else it takes to write it
//! again character for character; the two are the same evidence, and the second is a quarter shorter.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use service::model::feed::Sent;
use service::model::strict;

use super::error::Fault;
use super::wire::{EVENT, holds};

/// The first part of our own tokens, and of everybody else's so far: `{"alg":"none"}`.
pub const HEADER: &str = "eyJhbGciOiJub25lIn0";

/// Characters of padding that a part may end in.
const PADDING_MAX: usize = 2;

/// A token that was found good.
#[derive(Debug)]
pub struct Token {
    kept: Kept,
}

/// What is kept of a token, in `origin.raw`; the member names are part of the stored form.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The first part as it was sent, where that is not [`HEADER`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// The claims, byte for byte.
    event: Box<RawValue>,
    /// White space before the claims.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    before: String,
    /// White space behind the claims.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    after: String,
    /// Padding of the second part.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    padding: String,
}

impl Token {
    /// Takes a token apart and checks it.
    ///
    /// # Errors
    /// `InvalidValue`, saying which rule is broken.
    pub fn read(text: &str) -> Result<Token, Fault> {
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid("the token does not have three parts"));
        };
        let header_json = decode(header, "first")?;
        let claims_json = decode(claims, "second")?;
        decode(signature, "third")?;
        let header_json: Value = std::str::from_utf8(&header_json)
            .ok()
            .filter(|text| strict::check(text).is_ok())
            .and_then(|text| serde_json::from_str(text).ok())
            .filter(Value::is_object)
            .ok_or_else(|| invalid("the header of the token is not a JSON object"))?;
        if header_json["alg"] != "none" {
            return Err(invalid("the token's alg is not none"));
        }
        if !signature.is_empty() {
            return Err(invalid("the third part of the token is not empty"));
        }
        let claims_json =
            String::from_utf8(claims_json).map_err(|_| invalid("the payload of the token is not UTF-8"))?;
        strict::check(&claims_json)
            .map_err(|e| invalid(format!("the payload of the token is not JSON as it should be: {e}")))?;
        let event = claims_json.trim_matches([' ', '\t', '\r', '\n']);
        if !event.starts_with('{') {
            return Err(invalid("the payload of the token is not a JSON object"));
        }
        check(&Sent::of_claims(event.as_bytes()))?;
        let (before, rest) =
            claims_json.split_at(claims_json.len() - claims_json.trim_start_matches([' ', '\t', '\r', '\n']).len());
        let kept = Kept {
            header: (header != HEADER).then(|| header.to_owned()),
            event: RawValue::from_string(event.to_owned()).expect("it was just checked to be JSON"),
            before: before.to_owned(),
            after: rest[event.len()..].to_owned(),
            padding: claims[claims.trim_end_matches('=').len()..].to_owned(),
        };
        Ok(Token { kept })
    }

    /// The claims.
    pub fn claims(&self) -> Sent<'_> {
        Sent::of_claims(self.kept.event.get().as_bytes())
    }

    /// What is kept of the token.
    pub fn raw(&self) -> Box<RawValue> {
        serde_json::value::to_raw_value(&self.kept).expect("strings serialize, and writing to memory cannot fail")
    }

    /// The token, character for character as it was sent.
    pub fn as_sent(&self) -> String {
        let Kept { header, event, before, after, padding } = &self.kept;
        let header = header.as_deref().unwrap_or(HEADER);
        let claims = URL_SAFE_NO_PAD.encode([before.as_bytes(), event.get().as_bytes(), after.as_bytes()].concat());
        format!("{header}.{claims}{padding}.")
    }

    /// What [`Token::raw`] gave; `None` when something else is kept there.
    pub fn of_raw(raw: &RawValue) -> Option<Token> {
        serde_json::from_str(raw.get()).ok().map(|kept| Token { kept })
    }
}

/// Our own token around these claims (a JSON object).
pub fn encode(claims: &[u8]) -> String {
    let mut token = String::with_capacity(HEADER.len() + claims.len() / 3 * 4 + 8);
    token.push_str(HEADER);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    token.push('.');
    token
}

fn decode(part: &str, which: &str) -> Result<Vec<u8>, Fault> {
    let digits = part.trim_end_matches('=');
    let is_padded_well = part.len() - digits.len() <= PADDING_MAX;
    // Strict about the bits of the last character, or one object could have several tokens.
    let bytes = URL_SAFE_NO_PAD.decode(digits).ok().filter(|_| is_padded_well);
    bytes.ok_or_else(|| invalid(format!("the {which} part of the token is not base64url")))
}

fn check(sent: &Sent<'_>) -> Result<(), Fault> {
    let parsed = |name: &str| sent.claim(name).map(|text| serde_json::from_slice::<Value>(text).unwrap_or_default());
    if sent.types().is_empty() {
        return Err(invalid("the event has neither a type nor eventTypes"));
    }
    if parsed("schemas").is_some_and(|schemas| !holds(&schemas, EVENT)) {
        return Err(invalid(format!("the event's schemas do not hold {EVENT}")));
    }
    let is_strings = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    for name in ["resourceUris", "attributes"] {
        if parsed(name).is_some_and(|value| !is_strings(&value)) {
            return Err(invalid(format!("the event's {name} is not an array of strings")));
        }
    }
    if sent.claim("values").is_some_and(|values| !values.starts_with(b"{")) {
        return Err(invalid("the event's values is not an object"));
    }
    Ok(())
}

fn invalid(what: impl Into<String>) -> Fault {
    Fault::InvalidValue(what.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pair of §4.3.
    const CLAIMS: &str = r#"{"schemas":["urn:ietf:params:scim:schemas:notify:2.0:Event"],"publisherUri":"https://idp.test","resourceUris":["https://idp.test/scim/acme/v2/Users/42"],"type":"primaryAuthenticateDevice","attributes":["eventType","status"],"values":{"eventType":"4TRESS","status":"RESPONSE_SUCCESS"}}"#;
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzY2hlbWFzIjpbInVybjppZXRmOnBhcmFtczpzY2ltOnNjaGVtYXM6bm90aWZ5OjIuMDpFdmVudCJdLCJwdWJsaXNoZXJVcmkiOiJodHRwczovL2lkcC50ZXN0IiwicmVzb3VyY2VVcmlzIjpbImh0dHBzOi8vaWRwLnRlc3Qvc2NpbS9hY21lL3YyL1VzZXJzLzQyIl0sInR5cGUiOiJwcmltYXJ5QXV0aGVudGljYXRlRGV2aWNlIiwiYXR0cmlidXRlcyI6WyJldmVudFR5cGUiLCJzdGF0dXMiXSwidmFsdWVzIjp7ImV2ZW50VHlwZSI6IjRUUkVTUyIsInN0YXR1cyI6IlJFU1BPTlNFX1NVQ0NFU1MifX0.";

    fn part(json: &str) -> String {
        URL_SAFE_NO_PAD.encode(json)
    }

    #[test]
    fn the_pair_of_the_specification_holds() {
        assert_eq!(encode(CLAIMS.as_bytes()), TOKEN);
        let token = Token::read(TOKEN).unwrap();
        assert_eq!(token.raw().get(), format!(r#"{{"event":{CLAIMS}}}"#));
        assert_eq!(token.as_sent(), TOKEN);
        assert_eq!(token.claims().types(), ["primaryAuthenticateDevice"]);
    }

    #[test]
    fn each_rule_that_is_broken_is_named() {
        let check = |token: String, words: &str| match Token::read(&token) {
            Err(Fault::InvalidValue(detail)) => assert!(detail.contains(words), "{token}: {detail}"),
            other => panic!("{token}: {other:?}"),
        };
        let of = |claims: &str| format!("{HEADER}.{}.", part(claims));
        for token in ["", "a", "a.b", "a.b.c.d", "..."] {
            check(token.to_owned(), "three parts");
        }
        check(format!("{HEADER}.a+b/.."), "three parts");
        check(format!("{HEADER}.a+b/."), "second part");
        check(format!("{HEADER}.{}===.", part("{}")), "second part");
        check(format!("{HEADER}.e3.",), "second part");
        check(format!("{HEADER} .{}.", part("{}")), "first part");
        check(format!("{HEADER}.{}.!", part("{}")), "third part of the token is not base64url");
        check(format!(".{}.", part("{}")), "header");
        check(format!("{}.{}.", part("[]"), part("{}")), "header");
        check(format!("{}.{}.", part("{}"), part("{}")), "alg");
        check(format!("{}.{}.", part(r#"{"alg":"None"}"#), part("{}")), "alg");
        check(format!("{}.{}.", part(r#"{"alg":"HS256","alg":"none"}"#), part("{}")), "header");
        check(format!("{}.{}.c2ln", part(r#"{"alg":"HS256"}"#), part("{}")), "alg");
        check(format!("{HEADER}.{}.c2ln", part("{}")), "third part of the token is not empty");
        check(format!("{HEADER}.{}.=", part("{}")), "third part of the token is not empty");
        check(of("[]"), "object");
        check(of("{"), "JSON");
        check(of(""), "JSON");
        check(of(r#"{"type":"a","type":"b"}"#), "duplicate");
        check(of("{}"), "neither");
        check(of(r#"{"type":"","eventTypes":[]}"#), "neither");
        check(of(r#"{"type":7,"eventTypes":[""]}"#), "neither");
        check(of(r#"{"type":"a","schemas":["x"]}"#), "schemas");
        check(of(r#"{"type":"a","schemas":null}"#), "schemas");
        check(of(r#"{"type":"a","resourceUris":"x"}"#), "resourceUris");
        check(of(r#"{"type":"a","resourceUris":["x",1]}"#), "resourceUris");
        check(of(r#"{"type":"a","attributes":{}}"#), "attributes");
        check(of(r#"{"type":"a","values":[]}"#), "values");
        check(of(r#"{"type":"a","values":null}"#), "values");
    }

    #[test]
    fn what_need_not_be_there_is_not_asked_for() {
        let check = |claims: &str, types: &[&str]| {
            let token = Token::read(&format!("{HEADER}.{}.", part(claims)))
                .unwrap_or_else(|fault| panic!("{claims}: {fault:?}"));
            assert_eq!(token.claims().types(), types, "{claims}");
        };
        check(r#"{"type":"a"}"#, &["a"]);
        check(r#"{"eventTypes":["CREATE","",1,"ADD","CREATE"]}"#, &["CREATE", "ADD"]);
        check(r#"{"type":"a","eventTypes":["b","a"],"values":{"deep":[{"any":1.50}]}}"#, &["a", "b"]);
        check(r#"{"ty\u0070e":"a","publisherUri":7}"#, &["a"]);
    }

    proptest! {
        #[test]
        fn a_token_is_kept_character_for_character(
            before in "[ \n]{0,3}", after in "[ \t]{0,3}", kind in "[a-z\u{e9}\"]{1,9}", number in -1e30f32..1e30, padded in any::<bool>(), header in prop::sample::select(vec![r#"{"alg":"none"}"#, r#"{"typ":"JWT","alg":"none"}"#, r#" {"alg" : "none"} "#]),
        ) {
            let of = serde_json::Value::from(kind);
            let claims = format!("{before}{{ \"type\":{of}, \"values\" : {{\"n\":{number:e} }}}}{after}");
            let engine = if padded { base64::engine::general_purpose::URL_SAFE } else { URL_SAFE_NO_PAD };
            let text = format!("{}.{}.", engine.encode(header), engine.encode(&claims));
            let token = Token::read(&text).unwrap();
            prop_assert_eq!(token.as_sent(), text.as_str());
            prop_assert_eq!(Token::of_raw(&token.raw()).unwrap().as_sent(), text.as_str());
            prop_assert!(token.raw().get().len() <= text.len() + 100);
        }

        #[test]
        fn any_text_is_answered(text in "[a-zA-Z0-9_.=-]{0,80}") {
            let _ = Token::read(&text);
        }
    }
}
