//! Times as recorders write them, in microseconds.

use super::TIME_US_MAX;

/// `1.234567891` → 1_234_568 (rounded). Digits, optionally a point (or the comma of some locales) and digits; `None`
/// for anything else and beyond [`TIME_US_MAX`].
pub(super) fn from_text(text: &[u8]) -> Option<u64> {
    let point = text.iter().position(|&byte| byte == b'.' || byte == b',').unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or_default());
    if whole.is_empty() || whole.len() > 12 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |byte: &u8| u64::from(byte - b'0');
    let mut micros = whole.iter().fold(0, |sum, byte| sum * 10 + digit(byte));
    for place in 0..6 {
        micros = micros * 10 + fraction.get(place).map_or(0, digit);
    }
    micros += u64::from(fraction.get(6).is_some_and(|byte| *byte >= b'5'));
    (micros <= TIME_US_MAX).then_some(micros)
}

/// Seconds as JSON carries them. `None` if negative, not finite, or beyond [`TIME_US_MAX`].
pub(super) fn from_f64(seconds: f64) -> Option<u64> {
    let micros = (seconds * 1e6).round();
    // Both comparisons are false for NaN. The cast is exact: the limit is far below 2^53.
    (micros >= 0.0 && micros <= TIME_US_MAX as f64).then_some(micros as u64)
}

/// Adds, and refuses to pass [`TIME_US_MAX`].
pub(super) fn add(at_us: u64, pause_us: u64) -> Option<u64> {
    at_us.checked_add(pause_us).filter(|sum| *sum <= TIME_US_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_in_text_are_read_to_the_microsecond() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(from_text(text.as_bytes()), expected, "{text:?}");
        check("0", Some(0));
        check("1.5", Some(1_500_000));
        check("0,25", Some(250_000));
        check("0.000461816", Some(462));
        check("12.", Some(12_000_000));
        check("1000000000", Some(TIME_US_MAX));
        check("1000000001", None);
        check("9999999999999", None);
        check("", None);
        check(".5", None);
        check("-1", None);
        check("1e3", None);
        check("1.2.3", None);
    }

    #[test]
    fn numbers_that_are_no_times_are_refused() {
        for number in [-0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(from_f64(number), None, "{number}");
        }
        assert_eq!(from_f64(1.234567), Some(1_234_567));
        assert_eq!(from_f64(-0.0), Some(0));
    }
}
