//! Instants: RFC 3339 text in, `jiff::Timestamp` inside, microseconds in the log and the index.

use jiff::Timestamp;

/// First instant an event may claim: 1900-01-01T00:00:00Z, in seconds. Earlier ones are parsing accidents, not events.
pub const OCCURRED_AT_S_MIN: i64 = -2_208_988_800;

/// Last instant an event may claim: 2199-12-31T23:59:59Z, in seconds.
pub const OCCURRED_AT_S_MAX: i64 = 7_258_118_399;

/// Longest text of an instant, in bytes: date, time, nine fraction digits, numeric offset with seconds.
const TEXT_BYTES_MAX: usize = 40;

/// Reads an instant in RFC 3339 form: any offset, up to nine fraction digits (finer ones are refused, not cut).
///
/// `None` when the text is anything else, leap second 60 included, or the instant lies outside
/// [`OCCURRED_AT_S_MIN`]..=[`OCCURRED_AT_S_MAX`].
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    // jiff reads more forms than RFC 3339 has (basic dates, zone annotations); the shape is checked first.
    let shaped = bytes.len() >= 20
        && bytes.len() <= TEXT_BYTES_MAX
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
        && bytes[13] == b':'
        && bytes[16] == b':'
        && bytes[17..19] != *b"60"
        && bytes.iter().all(|b| b.is_ascii_digit() || b"-+:.Tt Zz".contains(b));
    if !shaped {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    (OCCURRED_AT_S_MIN..=OCCURRED_AT_S_MAX).contains(&at.as_second()).then_some(at)
}

/// Microseconds since 1970-01-01 UTC, rounded down.
pub fn micros(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000) as i64
}

/// The instant this many microseconds after 1970-01-01 UTC; past the year 9999 it is the last instant of that year.
pub fn from_micros(us: u64) -> Timestamp {
    i64::try_from(us).ok().and_then(|us| Timestamp::from_microsecond(us).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_reads_with_any_offset_and_keeps_seven_digits() {
        let check = |text: &str, ns: i128| assert_eq!(parse(text).map(|t| t.as_nanosecond()), Some(ns), "{text}");
        check("2023-07-23T10:36:37.0355877Z", 1_690_108_597_035_587_700);
        check("2023-07-23T12:36:37.0355877+02:00", 1_690_108_597_035_587_700);
        check("1970-01-01T00:00:00Z", 0);
        check("1970-01-01t00:00:00.000000001z", 1);
        check("1900-01-01T00:00:00Z", OCCURRED_AT_S_MIN as i128 * 1_000_000_000);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2023-07-23",
            "2023-07-23T10:36:37",
            "20230723T103637Z",
            "2023-07-23T10:36Z",
            "2023-07-23T10:36:37.Z",
            "2023-07-23T10:36:37.1234567891Z",
            "2023-07-23T10:36:60Z",
            "2023-02-30T10:36:37Z",
            "2023-07-23T10:36:37Z[Europe/Zurich]",
            "1899-12-31T23:59:59Z",
            "2200-01-01T00:00:00Z",
            "+002023-07-23T10:36:37Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn microseconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(micros(parse("1969-12-31T23:59:59.9999999Z").unwrap()), -1);
        assert_eq!(micros(parse("1970-01-01T00:00:00.0000019Z").unwrap()), 1);
        assert_eq!(micros(from_micros(1_690_108_597_035_587)), 1_690_108_597_035_587);
        assert_eq!(from_micros(u64::MAX), Timestamp::MAX);
    }
}
