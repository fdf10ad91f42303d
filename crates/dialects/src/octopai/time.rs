//! The time form: `2023-08-22T10:36:37.035615Z`. UTC, up to seven fraction digits, trailing zeroes dropped, and with
//! nothing left the dot goes too. SPEC.md §2, "Time form".

use jiff::Timestamp;
use jiff::tz::Offset;

/// `at` in that form. Finer digits than the seventh are dropped, never rounded up, so that order is kept.
pub fn text(at: Timestamp) -> String {
    let civil = Offset::UTC.to_datetime(at);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second()
    );
    let ticks = civil.subsec_nanosecond() / 100;
    if ticks > 0 {
        text.push_str(format!(".{ticks:07}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// `at` as the framework prints it in `error_description`: `06/06/2024 09:19:19`.
pub fn challenge_text(at: Timestamp) -> String {
    let civil = Offset::UTC.to_datetime(at);
    format!(
        "{:02}/{:02}/{:04} {:02}:{:02}:{:02}",
        civil.month(),
        civil.day(),
        civil.year(),
        civil.hour(),
        civil.minute(),
        civil.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(text(input.parse().unwrap()), expected);
    }

    #[test]
    fn trailing_zeroes_go_and_then_the_dot() {
        check("2024-06-06T09:19:19.9616294Z", "2024-06-06T09:19:19.9616294Z");
        check("2023-08-22T10:36:37.0356150Z", "2023-08-22T10:36:37.035615Z");
        check("2023-07-23T10:35:02.11Z", "2023-07-23T10:35:02.11Z");
        check("2024-06-06T09:19:19.000Z", "2024-06-06T09:19:19Z");
        check("2024-06-06T09:19:19.000000099Z", "2024-06-06T09:19:19Z");
        check("2024-06-06T09:19:19.999999999Z", "2024-06-06T09:19:19.9999999Z");
        check("2024-06-06T11:19:19.5+02:00", "2024-06-06T09:19:19.5Z");
        check("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z");
    }

    #[test]
    fn the_challenge_has_the_frameworks_order() {
        assert_eq!(challenge_text("2024-06-06T09:19:19.9Z".parse().unwrap()), "06/06/2024 09:19:19");
    }
}
