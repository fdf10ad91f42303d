//! Their JSON: what comes in, read leniently; what goes out, member by member in their order.

use serde::Serialize;
use serde_json::value::RawValue;

/// Rows of a page when none are asked for. SPEC.md §4.
const ROWS_DEFAULT: u64 = 50;
/// Most rows of a page; more are cut to this in silence. By analogy with the vendor's assets endpoint, SPEC.md §4.
pub const ROWS_MAX: u64 = 10_000;

/// The members of a request that did not read, each with what is wrong: the `errors` of the framework's stock reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrong(pub Vec<(&'static str, String)>);

/// A login as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Login {
    /// The login name, trimmed.
    pub user_name: String,
    /// The password, exact.
    pub password: String,
}

impl Login {
    /// Reads `{"Username","Password"}`, names in any case.
    pub fn read(body: &[u8]) -> Result<Login, Wrong> {
        let members = Members::read(body)?;
        let user_name = members.string("Username").map(|name| name.trim().to_owned());
        let password = members.string("Password");
        match (user_name, password) {
            (Some(user_name), Some(password)) if !user_name.is_empty() && !password.is_empty() => {
                Ok(Login { user_name, password })
            }
            (user_name, password) => {
                let mut wrong = Wrong::default();
                if user_name.is_none_or(|name| name.is_empty()) {
                    wrong.0.push(("Username", "The Username field is required.".to_owned()));
                }
                if password.is_none_or(|password| password.is_empty()) {
                    wrong.0.push(("Password", "The Password field is required.".to_owned()));
                }
                Err(wrong)
            }
        }
    }
}

/// The refresh token of `{"accessToken"?, "refreshToken"}`; what the access token says is of no consequence.
pub fn refresh_token(body: &[u8]) -> Result<String, Wrong> {
    let token = Members::read(body)?.string("refreshToken").filter(|token| !token.is_empty());
    token.ok_or_else(|| Wrong(vec![("refreshToken", "The refreshToken field is required.".to_owned())]))
}

/// Which rows of the trail are wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows to skip, from the newest.
    pub offset: u64,
    /// Rows to return, 1..=`ROWS_MAX`.
    pub rows: u64,
}

impl PageRequest {
    /// Reads `{"PageNumber"?, "RowsInPage"?}`, strings of digits or numbers; an empty body means the defaults.
    pub fn read(body: &[u8]) -> Result<PageRequest, Wrong> {
        let members = if body.trim_ascii().is_empty() { Members(Vec::new()) } else { Members::read(body)? };
        let mut wrong = Wrong::default();
        let page = members.count("PageNumber", 1, &mut wrong);
        let rows = members.count("RowsInPage", ROWS_DEFAULT, &mut wrong).min(ROWS_MAX);
        if !wrong.0.is_empty() {
            return Err(wrong);
        }
        Ok(PageRequest { offset: (page - 1).saturating_mul(rows), rows })
    }
}

/// The members of an object, names as sent. Compared without case; of two that then are the same the last counts, as in
/// the framework.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn read(body: &[u8]) -> Result<Members, Wrong> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        let refuse = |_| Wrong(vec![("$", "The request body is not a JSON object.".to_owned())]);
        let mut input = serde_json::Deserializer::from_slice(body);
        let members = serde::Deserializer::deserialize_map(&mut input, Visitor).map_err(refuse)?;
        input.end().map_err(refuse)?;
        Ok(members)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.get()).filter(|text| *text != "null")
    }

    fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    // A count of 1 or more. Digits that no machine integer holds are past every end, not unreadable.
    fn count(&self, name: &'static str, default: u64, wrong: &mut Wrong) -> u64 {
        let Some(json) = self.get(name) else { return default };
        let text = self.string(name).unwrap_or_else(|| json.to_owned());
        let text = text.trim();
        let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let count = if digits_only { text.parse().unwrap_or(u64::MAX) } else { 0 };
        if count == 0 {
            wrong.0.push((name, format!("The {name} field must be a whole number of at least 1.")));
        }
        count
    }
}

/// The reply to a login and to a refresh, whether it worked or not. SPEC.md §2.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginReply {
    /// The JWT.
    pub access_token: Option<String>,
    /// When it ends.
    pub expiration: Option<String>,
    /// An object on success: a client reads its members without looking.
    pub refresh_token: Option<RefreshToken>,
    /// The login name.
    pub user_name: Option<String>,
    /// The name for people.
    pub display_name: Option<String>,
    /// Null in every sample.
    pub user_email: Option<String>,
    /// Whether the account may read the trail.
    pub is_admin: bool,
    /// Null on success; else what the client shows.
    pub error: Option<&'static str>,
    /// Empty in every sample.
    pub group_member: [(); 0],
    /// `ADMIN` or `USER`.
    pub auth_level: Option<&'static str>,
    /// The vendor's list of modules.
    pub display_modules: Option<&'static str>,
}

/// Part of [`LoginReply`].
#[derive(Debug, Serialize)]
pub struct RefreshToken {
    /// Base64 of 64 random bytes.
    pub token: String,
    /// When it ends.
    pub expiration: String,
}

/// One row of the trail: exactly these members, in this order. SPEC.md §4.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row<'a> {
    /// `LOGIN SUCCESS`, `LOGIN FAIL`, `PAGE LOAD`, or what the event came with.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The login name; `UNKNOWN USER` or null when there is none.
    pub user_name: Option<&'a str>,
    /// The address; empty when the event has none, because the vendor's table says string.
    pub source: &'a str,
    /// When, in the form of [`super::time::text`].
    pub time: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str, expected: Option<(u64, u64)>) {
        let read = PageRequest::read(body.as_bytes()).ok().map(|page| (page.offset, page.rows));
        assert_eq!(read, expected, "{body}");
    }

    #[test]
    fn pages_are_asked_for_in_strings_and_numbers_and_not_at_all() {
        page(r#"{"PageNumber":"1","RowsInPage":"50"}"#, Some((0, 50)));
        page(r#"{"PageNumber":3,"RowsInPage":20}"#, Some((40, 20)));
        page(r#"{"pagenumber":" 2 ","ROWSINPAGE":"7"}"#, Some((7, 7)));
        page("", Some((0, 50)));
        page(" \n", Some((0, 50)));
        page("{}", Some((0, 50)));
        page(r#"{"PageNumber":null,"RowsInPage":null,"Other":[1]}"#, Some((0, 50)));
        page(r#"{"RowsInPage":10001}"#, Some((0, 10_000)));
        page(r#"{"PageNumber":2,"RowsInPage":"99999999999999999999999"}"#, Some((10_000, 10_000)));
        page(r#"{"PageNumber":"99999999999999999999999"}"#, Some((u64::MAX, 50)));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for value in ["0", "-1", "\"0\"", "\"-1\"", "\"\"", "\"x\"", "1.5", "1e3", "true", "[1]", "\"+1\"", "{}"] {
            page(&format!(r#"{{"PageNumber":{value}}}"#), None);
            page(&format!(r#"{{"RowsInPage":{value}}}"#), None);
        }
        for body in ["null", "[]", "1", "{", "{}{}", "{\"PageNumber\":1", "\u{feff}{}"] {
            page(body, None);
        }
    }

    #[test]
    fn a_login_names_what_it_lacks() {
        let check = |body: &str, names: &[&str]| {
            let wrong = Login::read(body.as_bytes()).expect_err(body);
            assert_eq!(wrong.0.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names, "{body}");
        };
        check(r#"{"Username":"ann"}"#, &["Password"]);
        check(r#"{"password":"x","Username":"  "}"#, &["Username"]);
        check(r#"{"password":"","userName":7}"#, &["Username", "Password"]);
        check("[]", &["$"]);
        check("Username=ann&Password=x", &["$"]);
        let login = Login::read(br#"{"USERNAME":" Ann@Example.com ","password":" x "}"#).unwrap();
        assert_eq!(login, Login { user_name: "Ann@Example.com".to_owned(), password: " x ".to_owned() });
    }

    #[test]
    fn a_failed_reply_has_every_member_in_order() {
        let reply = LoginReply { error: Some("no"), ..LoginReply::default() };
        assert_eq!(
            serde_json::to_string(&reply).unwrap(),
            r#"{"accessToken":null,"expiration":null,"refreshToken":null,"userName":null,"displayName":null,"userEmail":null,"isAdmin":false,"error":"no","groupMember":[],"authLevel":null,"displayModules":null}"#
        );
    }
}
