//! Query parameters: each at most once, numbers and orders in the grammar of the vendor.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::error::{Failure, Wrong};

/// Longest query string that is taken apart, in bytes.
const QUERY_BYTES_MAX: usize = 256 << 10;

/// The query parameters of a request, by name.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    values: BTreeMap<String, String>,
}

impl Parameters {
    /// Takes a query string apart: `+` is a blank, `%` escapes bytes of UTF-8.
    ///
    /// # Errors
    /// `BadRequest` for bytes that are no UTF-8; `DuplicatedParameterError` for a name that occurs twice, known or not.
    pub fn read(query: Option<&str>) -> Result<Parameters, Failure> {
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MAX {
            return Err(Failure::bad_request("the query string is longer than 256 KiB"));
        }
        let mut values = BTreeMap::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if values.contains_key(&name) {
                let message = format!("the parameter {name} is given more than once; give it once");
                return Err(Failure::parameter(Wrong::Duplicated, &name, &value, message));
            }
            values.insert(name, value);
        }
        Ok(Parameters { values })
    }

    /// The text of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The text of a parameter that holds something besides white space.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.trim().is_empty())
    }

    /// A whole number; `Err` says which rule it breaks. One beyond any integer counts as the largest.
    ///
    /// # Errors
    /// `NotANumber`: not an optional minus sign and digits. `NegativeValue`: below `least`.
    pub fn number(&self, name: &str, least: u64) -> Result<Option<u64>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Failure::parameter(Wrong::NotANumber, name, text, format!("{name} is not a number")));
        }
        let number = digits.parse().unwrap_or(u64::MAX);
        if (text.starts_with('-') && number > 0) || number < least {
            let message = match least {
                0 => format!("{name} must not be negative"),
                least => format!("{name} must be greater than {}", least - 1),
            };
            return Err(Failure::parameter(Wrong::Negative, name, text, message));
        }
        Ok(Some(number))
    }

    /// A time: ISO 8601, also without seconds or without a time of day, with up to nine digits of a second, with an offset
    /// or none, which means UTC.
    ///
    /// # Errors
    /// `InvalidQueryValue`.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match time(text) {
            Some(at) => Ok(Some(at)),
            None => Err(Failure::parameter(
                Wrong::QueryValue,
                name,
                text,
                format!("{name} is not a time such as 2024-01-31T10:00:00Z"),
            )),
        }
    }

    /// An order: `field(,field)*`, each with an optional `-` for descending. None if it is not given.
    ///
    /// # Errors
    /// `InvalidSort`: an empty element, one that `known` does not know, one given twice whatever its sign.
    pub fn sort(&self, known: impl Fn(&str) -> bool) -> Result<Option<Vec<Sort>>, Failure> {
        let Some(text) = self.text("sort") else { return Ok(None) };
        let mut order: Vec<Sort> = Vec::new();
        for element in text.split(',') {
            let (field, descending) = match element.strip_prefix('-') {
                Some(field) => (field, true),
                None => (element, false),
            };
            if !known(field) {
                let message = format!("invalid field in sort: {element:?}");
                return Err(Failure::parameter(Wrong::Sort, "sort", text, message));
            }
            if order.iter().any(|sort| sort.field == field) {
                let message = format!("sort names a field twice: {text}");
                return Err(Failure::parameter(Wrong::Sort, "sort", text, message));
            }
            order.push(Sort { field: field.to_owned(), descending });
        }
        Ok(Some(order))
    }

    /// The same parameters with another offset, as a link has them; in the order of their names.
    pub fn link(&self, path: &str, limit: u64, offset: u64) -> String {
        let mut values = self.values.clone();
        values.insert("limit".to_owned(), limit.to_string());
        values.insert("offset".to_owned(), offset.to_string());
        format!("{path}?{}", encoded(&values))
    }

    /// The same parameters with one replaced, as a link has them.
    pub fn link_with(&self, path: &str, name: &str, value: &str) -> String {
        let mut values = self.values.clone();
        values.insert(name.to_owned(), value.to_owned());
        format!("{path}?{}", encoded(&values))
    }
}

/// One field of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Its name.
    pub field: String,
    /// Largest first.
    pub descending: bool,
}

fn decoded(text: &str) -> Result<String, Failure> {
    let blanks = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&blanks).decode_utf8();
    decoded.map(Into::into).map_err(|_| Failure::bad_request("the query string is not UTF-8"))
}

fn encoded(values: &BTreeMap<String, String>) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let parts: Vec<String> = values.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    parts.join("&")
}

/// See [`Parameters::time`].
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let civil = text.parse::<DateTime>().ok().or_else(|| text.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0)))?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Parameters {
        Parameters::read(Some(query)).unwrap()
    }

    fn kind<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        format!("{:?}", result.unwrap_err())
    }

    #[test]
    fn a_name_stands_once_and_is_decoded() {
        let p = read("q=man%20iptables&x=a+b&empty=&flag&%C3%A4=1");
        assert_eq!((p.text("q"), p.text("x"), p.text("flag")), (Some("man iptables"), Some("a b"), Some("")));
        assert_eq!((p.filled("empty"), p.text("ä")), (None, Some("1")));
        assert!(kind(Parameters::read(Some("a=1&a=1"))).contains("DuplicatedParameterError"));
        assert!(kind(Parameters::read(Some("q=%ff"))).contains("BadRequest"));
    }

    #[test]
    fn numbers_are_digits_and_what_breaks_the_rule_is_named() {
        assert_eq!(read("limit=7").number("limit", 1).unwrap(), Some(7));
        assert_eq!(read("").number("limit", 1).unwrap(), None);
        assert_eq!(read("limit=99999999999999999999").number("limit", 1).unwrap(), Some(u64::MAX));
        for text in ["abc", "1.5", "1e3", "", "%2B1", "-", "0x1"] {
            assert!(kind(read(&format!("limit={text}")).number("limit", 1)).contains("NotANumber"), "{text}");
        }
        for text in ["0", "-0", "-1", "-99999999999999999999"] {
            assert!(kind(read(&format!("limit={text}")).number("limit", 1)).contains("NegativeValue"), "{text}");
        }
        assert_eq!(read("offset=0").number("offset", 0).unwrap(), Some(0));
        assert!(kind(read("offset=-1").number("offset", 0)).contains("NegativeValue"));
    }

    #[test]
    fn an_order_names_each_field_once() {
        let known = |field: &str| ["a", "b"].contains(&field);
        let sort = read("sort=-a,b").sort(known).unwrap().unwrap();
        let field = |field: &str, descending| Sort { field: field.to_owned(), descending };
        assert_eq!(sort, [field("a", true), field("b", false)]);
        for text in ["", "a,", "--a", "c", "a,-a", "a, b", "-"] {
            assert!(kind(read(&format!("sort={text}")).sort(known)).contains("InvalidSort"), "{text}");
        }
    }

    #[test]
    fn times_come_in_many_lengths() {
        let at = |text: &str| read(&format!("start={text}")).time("start").unwrap().map(|at| at.to_string());
        assert_eq!(at("2017-01-25T10:00").as_deref(), Some("2017-01-25T10:00:00Z"));
        assert_eq!(at("2024-01-31").as_deref(), Some("2024-01-31T00:00:00Z"));
        assert_eq!(at("2022-12-12T00:00:00.0000000%2B01:00").as_deref(), Some("2022-12-11T23:00:00Z"));
        assert_eq!(at("2022-12-12T01:02:03.5Z").as_deref(), Some("2022-12-12T01:02:03.5Z"));
        assert!(kind(read("start=yesterday").time("start")).contains("InvalidQueryValue"));
        assert!(kind(read("start=").time("start")).contains("InvalidQueryValue"));
    }

    #[test]
    fn a_link_keeps_everything_else() {
        assert_eq!(
            read("q=a%20b&fields=&limit=3").link("/api/audit/sessions", 3, 6),
            "/api/audit/sessions?fields=&limit=3&offset=6&q=a%20b"
        );
    }
}
