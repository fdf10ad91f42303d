//! Numbers after `~`, as Java reads them.

/// The number a text is for `Float.parseFloat`, none if it is none. Java's hexadecimal floating point is not taken.
pub(super) fn java_float(text: &str) -> Option<f32> {
    let text = text.trim_matches(|c| c <= ' ');
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match digits {
        "NaN" => f32::NAN,
        "Infinity" => f32::INFINITY,
        _ => {
            let digits = digits.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(digits);
            // Rust takes the same decimals, but also names for what is no number, in any case.
            let decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            decimal.then(|| digits.parse().ok()).flatten()?
        }
    };
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::java_float;

    #[test]
    fn numbers_are_what_java_takes_for_numbers() {
        for (text, value) in
            [("2", 2.0), (".5", 0.5), ("5.", 5.0), ("-1e3", -1000.0), ("0.8f", 0.8), ("1d", 1.0), ("+2", 2.0)]
        {
            assert_eq!(java_float(text), Some(value), "{text}");
        }
        assert_eq!(java_float("-Infinity"), Some(f32::NEG_INFINITY));
        assert!(java_float("NaN").is_some_and(f32::is_nan));
        for text in ["", "abc", "inf", "nan", "1e", ".", "1ff", "--1", "f", "infinity"] {
            assert_eq!(java_float(text), None, "{text}");
        }
    }
}
