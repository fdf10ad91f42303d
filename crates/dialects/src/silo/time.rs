//! `create_ts`: Unix seconds as the shortest decimal that reads back to the same double, `.0` kept.

use std::io::Write as _;

/// Writes microseconds since 1970 as seconds.
///
/// Doubles of this size lie closer together than microseconds do, so the shortest decimal that means one of them is the
/// number of microseconds without the zeros at its end; a test says so. Source: `specs/silo.md` §6.1.
pub fn write(us: i64, out: &mut Vec<u8>) {
    const MEMORY: &str = "writing to memory cannot fail";
    let sign = if us < 0 { "-" } else { "" };
    let us = us.unsigned_abs();
    let (seconds, mut fraction, mut digits) = (us / 1_000_000, us % 1_000_000, 6);
    while digits > 1 && fraction % 10 == 0 {
        fraction /= 10;
        digits -= 1;
    }
    write!(out, "{sign}{seconds}.{fraction:0digits$}").expect(MEMORY);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(us: i64) -> String {
        let mut out = Vec::new();
        write(us, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_samples_of_the_vendor_come_out_as_they_are() {
        let check = |us: i64, expected: &str| assert_eq!(text(us), expected);
        check(1_404_245_973_396_193, "1404245973.396193");
        check(1_407_538_630_061_080, "1407538630.06108");
        check(1_407_538_630_000_000, "1407538630.0");
        check(1_407_538_630_000_001, "1407538630.000001");
        check(1_407_538_630_500_000, "1407538630.5");
        check(0, "0.0");
        check(-500_000, "-0.5");
        check(-2_208_988_800_000_000, "-2208988800.0");
    }

    proptest! {
        // From 1900 to 2199, the instants that an event may claim.
        #[test]
        fn it_is_the_shortest_decimal_of_the_double(us in -2_208_988_800_000_000i64..=7_258_118_399_999_999) {
            let double = us as f64 / 1e6;
            prop_assert_eq!(text(us), format!("{double:?}"));
        }
    }
}
