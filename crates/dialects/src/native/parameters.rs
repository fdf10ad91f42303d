//! The query string of a request: only names that are known, each once unless it may repeat.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::problem::{Problem, Result, shown};

/// The parameters of one request.
pub struct Parameters {
    given: Vec<(String, String)>,
}

/// Which parameters a route takes.
pub struct Known {
    /// Those that may be given at most once.
    pub once: &'static [&'static str],
    /// Those that may be given again and again.
    pub repeated: &'static [&'static str],
}

impl Parameters {
    /// Reads `query`; refuses by name what is not in `known`, given twice, or not UTF-8.
    pub fn read(query: Option<&str>, known: &Known) -> Result<Parameters> {
        let mut given: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let repeatable = known.repeated.contains(&name.as_str());
            if !repeatable && !known.once.contains(&name.as_str()) {
                let names: Vec<&str> = known.once.iter().chain(known.repeated).copied().collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(Problem::invalid(format!(
                    "unknown parameter {:?}; this route takes: {names}",
                    shown(&name)
                )));
            }
            if !repeatable && given.iter().any(|(other, _)| *other == name) {
                return Err(Problem::invalid(format!("parameter {name} is given twice")));
            }
            given.push((name, value));
        }
        Ok(Parameters { given })
    }

    /// The value of a parameter that may be given once.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a parameter, in the order given.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        let read = |text: &str| {
            let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| digits_only).ok_or_else(|| {
                Problem::invalid(format!("parameter {name} is {:?}, which is not a whole number", shown(text)))
            })
        };
        self.text(name).map(read).transpose()
    }

    /// `true` or `false`; absent is false.
    pub fn flag(&self, name: &str) -> Result<bool> {
        self.choice(name, &[("false", false), ("true", true)])
    }

    /// One of a few words; absent is the first of them.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T> {
        let Some(text) = self.text(name) else { return Ok(choices[0].1) };
        choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            Problem::invalid(format!("parameter {name} is {:?}; it takes: {}", shown(text), words.join(", ")))
        })
    }

    /// An RFC 3339 time with its offset.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        let read = |text: &str| {
            text.parse::<Timestamp>().map_err(|_| {
                Problem::invalid(format!(
                    "parameter {name} is {:?}, which is not a time such as 2026-01-31T00:00:00Z",
                    shown(text)
                ))
            })
        };
        self.text(name).map(read).transpose()
    }
}

fn decoded(text: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Problem::invalid(format!("the query string holds {:?}, which is not UTF-8", shown(text)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { once: &["limit", "order"], repeated: &["kind"] };

    fn refused(query: &str) -> String {
        let read = Parameters::read(Some(query), &KNOWN).and_then(|p| p.number("limit").map(|_| ()));
        format!("{:?}", read.expect_err(query))
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert!(refused("limits=5").contains("this route takes: limit, order, kind"));
        assert!(refused("limit=5&limit=6").contains("limit is given twice"));
        assert!(refused("limit=+5").contains("not a whole number"));
        assert!(refused("limit=").contains("not a whole number"));
        assert!(refused("limit=99999999999999999999").contains("not a whole number"));
        assert!(refused("kind=%ff").contains("not UTF-8"));
    }

    #[test]
    fn values_are_decoded_and_may_repeat_where_that_is_said() {
        let p = Parameters::read(Some("kind=a%2Bb&kind=c+d&&limit=7"), &KNOWN).unwrap();
        assert_eq!(p.all("kind").collect::<Vec<_>>(), ["a+b", "c d"]);
        assert_eq!(p.number("limit").unwrap(), Some(7));
        assert_eq!(p.choice("order", &[("newest", 1), ("oldest", 2)]).unwrap(), 1);
    }
}
