//! The arguments of commands, as forgiving as clients need: integers as numbers, strings or whole floats; times in the
//! vendor's form or ISO's; `null` for absent. Source: `specs/silo.md` §3.2.

use serde_json::value::RawValue;
use service::Timestamp;
use service::extraction::scan;

/// The value cannot be read as what it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct BadValue;

/// A string; other values are none.
pub fn string(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// A whole number, at least 0; numbers too large to count to are [`u64::MAX`].
pub fn integer(value: Option<&RawValue>) -> Result<Option<u64>, BadValue> {
    let Some(value) = value.map(RawValue::get).filter(|value| *value != "null") else { return Ok(None) };
    match scan::string(value.as_bytes()) {
        Some(text) => digits(&text).map(Some).ok_or(BadValue),
        None => number(value).map(Some).ok_or(BadValue),
    }
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Digits only, so the one thing that can go wrong is that there are too many.
    Some(text.parse().unwrap_or(u64::MAX))
}

fn number(text: &str) -> Option<u64> {
    if let Some(whole) = digits(text) {
        return Some(whole);
    }
    let float: f64 = text.parse().ok()?;
    // `as` saturates; an exponent beyond what a double holds reads as infinity, which is not whole.
    (float >= 0.0 && (float.fract() == 0.0 || float.is_infinite())).then_some(float as u64)
}

/// A time of the vendor's form, in microseconds since 1970 UTC, and whether it names a day only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// The instant it names; for a day its midnight.
    pub us: i64,
    /// No time of day was given.
    pub is_day: bool,
}

impl Time {
    /// The last microsecond of the second, or of the day, that it names.
    pub fn last_us(self) -> i64 {
        const SECOND_US: i64 = 1_000_000;
        self.us + if self.is_day { 24 * 3600 * SECOND_US } else { SECOND_US } - 1
    }
}

/// `YYYY-MM-DD HH:MM:SS` in UTC; `T` for the blank, a fraction, `Z` or `+00:00` behind it, or no time of day at all.
pub fn time(value: Option<&RawValue>) -> Result<Option<Time>, BadValue> {
    let Some(value) = value.map(RawValue::get).filter(|value| *value != "null") else { return Ok(None) };
    let text = scan::string(value.as_bytes()).ok_or(BadValue)?;
    read_time(text.trim()).map(Some).ok_or(BadValue)
}

fn read_time(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let has_date = bytes.len() >= 10 && bytes[..10].is_ascii() && bytes[4] == b'-' && bytes[7] == b'-';
    if !has_date {
        return None;
    }
    if bytes.len() == 10 {
        let at: Timestamp = format!("{text}T00:00:00Z").parse().ok()?;
        return Some(Time { us: at.as_microsecond(), is_day: true });
    }
    let (date, rest) = text.split_at(10);
    let clock = rest.strip_prefix([' ', 'T', 't'])?;
    let clock = clock.strip_suffix(['Z', 'z']).or(clock.strip_suffix("+00:00")).unwrap_or(clock);
    let clock_bytes = clock.as_bytes();
    let is_clock = clock_bytes.len() >= 8
        && clock_bytes[2] == b':'
        && clock_bytes[5] == b':'
        // A minute has no second 60 here: the reader below would move it to the next minute.
        && clock_bytes[6..8] != *b"60"
        && clock_bytes.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => true,
            8 => *byte == b'.',
            _ => byte.is_ascii_digit(),
        })
        && clock_bytes.len() != 9;
    if !is_clock {
        return None;
    }
    let at: Timestamp = format!("{date}T{clock}Z").parse().ok()?;
    Some(Time { us: at.as_microsecond(), is_day: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn integers_come_as_numbers_strings_and_whole_floats() {
        let check = |json: &str, expected: Result<Option<u64>, BadValue>| {
            assert_eq!(integer(Some(&raw(json))), expected, "{json}");
        };
        check("null", Ok(None));
        check("0", Ok(Some(0)));
        check("-0", Ok(Some(0)));
        check("\"3204201\"", Ok(Some(3_204_201)));
        check("3.0", Ok(Some(3)));
        check("1e3", Ok(Some(1000)));
        check("18446744073709551615", Ok(Some(u64::MAX)));
        check("99999999999999999999999", Ok(Some(u64::MAX)));
        check("1e30", Ok(Some(u64::MAX)));
        check("1e999", Ok(Some(u64::MAX)));
        for json in ["-1", "1.5", "\"-1\"", "\"1.0\"", "\"\"", "\" 1\"", "\"x\"", "true", "[1]", "{}", "-1e999"] {
            check(json, Err(BadValue));
        }
        assert_eq!(integer(None), Ok(None));
    }

    #[test]
    fn times_are_utc_and_cover_the_whole_second_or_day_they_name() {
        let check = |text: &str, us: i64, last_us: i64| {
            let found = time(Some(&raw(&serde_json::to_string(text).unwrap()))).unwrap().unwrap();
            assert_eq!((found.us, found.last_us()), (us, last_us), "{text}");
        };
        let day = 1_390_262_400_000_000;
        check("2014-01-21 00:00:00", day, day + 999_999);
        check("2014-01-21T00:00:00", day, day + 999_999);
        check("2014-01-21T00:00:00Z", day, day + 999_999);
        check("2014-01-21 00:00:00+00:00", day, day + 999_999);
        check(" 2014-01-21 00:00:00 ", day, day + 999_999);
        check("2014-01-21", day, day + 86_399_999_999);
        check("2014-01-21 23:59:59", day + 86_399_000_000, day + 86_399_999_999);
        check("2014-01-21 00:00:00.25", day + 250_000, day + 1_249_999);
        check("1969-12-31 23:59:59", -1_000_000, -1);
    }

    #[test]
    fn other_times_are_bad_values() {
        for json in [
            "\"\"",
            "\"yesterday\"",
            "\"2014-01-21 00:00\"",
            "\"2014-1-21 00:00:00\"",
            "\"2014-02-30 00:00:00\"",
            "\"2014-01-21 24:00:00\"",
            "\"2014-01-21 23:59:60\"",
            "\"2014-01-21 00:00:00+02:00\"",
            "\"2014-01-21 00:00:00.\"",
            "\"2014-01-21x00:00:00\"",
            "\"21.01.2014 00:00:00\"",
            "\"\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\"",
            "\"2014-01-21 \u{e9}\u{e9}:00:00\"",
            "1390262400",
            "{}",
        ] {
            assert_eq!(time(Some(&raw(json))), Err(BadValue), "{json}");
        }
        assert_eq!(time(Some(&raw("null"))), Ok(None));
    }
}
