//! The few rules shared by every text format here: canonical base64, canonical decimals, lines.

use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Standard base64 with padding (RFC 4648 §4).
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The only bytes that [`to_base64`] turns into `text`; none for other alphabets, missing padding or stray final bits.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// An ASCII decimal without sign, leading zeros or anything else; none above `u64::MAX`.
pub(crate) fn from_decimal(text: &str) -> Option<u64> {
    let canonical =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_decimal_is_read() {
        for (text, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("1 ", None),
            ("0x1", None),
            ("1_0", None),
            ("١", None),
        ] {
            assert_eq!(from_decimal(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_the_canonical_base64_is_read() {
        assert_eq!(from_base64("YQ=="), Some(b"a".to_vec()));
        for text in ["YQ", "YQ=", "YR==", "YQ===", "YQ==\n", " YQ==", "YWI", "YWJ=", "-_==", "Y Q==", "YQ==YQ=="] {
            assert_eq!(from_base64(text), None, "{text:?}");
        }
    }
}
