//! Times: `meta.created` as it is written, and the bounds that a filter sets on it. Source: `specs/scim-event.md` §6.3.
//!
//! An event's time of receipt is shown in milliseconds, and so compared. Several events may share a millisecond. Where a page
//! of oldest-first results ends between two of those, the ones on the page are shown with six digits more: their rank within
//! the millisecond, from 1. A collector that goes on with `meta.created gt` the last time it saw then loses nothing.

use std::fmt;

use jiff::civil::{DateTime, datetime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

/// A time as a filter writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Whole milliseconds since 1970, rounded down.
    ms: i64,
    /// Nanoseconds on top, below 1,000,000.
    ns: u32,
    /// Whether digits beyond the ninth say more.
    finer: bool,
}

impl Moment {
    /// `ns` below 1,000,000.
    pub fn new(ms: i64, ns: u32, finer: bool) -> Moment {
        Moment { ms, ns, finer }
    }

    /// Reads `YYYY-MM-DDThh:mm:ss`, a fraction of any length or none, and `Z`, `+hh:mm`, `+hhmm` or nothing, which is UTC.
    pub fn read(text: &str) -> Option<Moment> {
        let (date_time, rest) = text.split_at_checked(19)?;
        let bytes = date_time.as_bytes();
        let number = |range: std::ops::Range<usize>| {
            let digits = date_time.get(range)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i16>().ok()).flatten()
        };
        let has_marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].iter().all(|(at, mark)| bytes[*at] == *mark);
        if !has_marks || !matches!(bytes[10], b'T' | b't') {
            return None;
        }
        let small = |range| number(range).and_then(|number| i8::try_from(number).ok());
        let civil = DateTime::new(
            number(0..4)?,
            small(5..7)?,
            small(8..10)?,
            small(11..13)?,
            small(14..16)?,
            small(17..19)?,
            0,
        )
        .ok()?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                if end == 0 {
                    return None;
                }
                rest.split_at(end)
            }
            None => ("", rest),
        };
        // Not through `Timestamp`, which ends two days before the year 9999 does.
        let second = civil.duration_since(EPOCH).as_secs() - offset_s(zone)?;
        let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanoseconds = nanoseconds.fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        Some(Moment {
            ms: second * 1_000 + i64::from(nanoseconds / 1_000_000),
            ns: nanoseconds % 1_000_000,
            finer: fraction.bytes().skip(9).any(|digit| digit != b'0'),
        })
    }

    /// The latest time of receipt, in microseconds, that is strictly before this.
    pub fn last_us_before(self) -> i64 {
        let whole_ms_is_before = self.ns > 0 || self.finer;
        (self.ms + i64::from(whole_ms_is_before)) * 1_000 - 1
    }

    /// What lies strictly after this.
    pub fn after(self) -> After {
        match self.ns {
            0 => After::Time { from_us: (self.ms + 1) * 1_000 },
            rank => After::Rank { ms: self.ms, rank },
        }
    }
}

/// What a `gt` bound leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Everything received at this time, in microseconds, or later.
    Time {
        /// The bound, inclusive.
        from_us: i64,
    },
    /// Everything received in this millisecond or later, without the first `rank` events of it.
    Rank {
        /// Milliseconds since 1970.
        ms: i64,
        /// How many events of that millisecond are left out.
        rank: u32,
    },
}

/// Seconds that the end of a time says it lies east of UTC.
fn offset_s(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = match zone.as_bytes().get(1..)? {
        [a, b, b':', c, d] | [a, b, c, d] => [*a, *b, *c, *d],
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |tens: u8, ones: u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (hours, minutes) = (two(digits[0], digits[1]), two(digits[2], digits[3]));
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Writes the moment with nine digits, and a tenth where there was more; reads back to the same moment.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = EPOCH.saturating_add(SignedDuration::from_secs(self.ms.div_euclid(1_000)));
        let finer = if self.finer { "1" } else { "" };
        write!(f, "{}.{:03}{:06}{finer}Z", civil_text(second), self.ms.rem_euclid(1_000), self.ns)
    }
}

/// `meta.created` of an event received at `at`: milliseconds, UTC; with `rank`, its rank within the millisecond behind them.
pub fn created(at: Timestamp, rank: Option<u64>) -> String {
    let (seconds, ms) = (civil_text(Offset::UTC.to_datetime(at)), at.as_millisecond().rem_euclid(1_000));
    match rank {
        Some(rank) => format!("{seconds}.{ms:03}{:06}Z", rank.min(999_999)),
        None => format!("{seconds}.{ms:03}Z"),
    }
}

fn civil_text(civil: DateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 1_526_904_000_000;

    #[test]
    fn a_time_has_any_fraction_and_any_zone_or_none() {
        let check = |text: &str, ms: i64, ns: u32, finer: bool| {
            assert_eq!(Moment::read(text), Some(Moment { ms, ns, finer }), "{text}");
        };
        check("2018-05-21T12:00:00Z", NOON_MS, 0, false);
        check("2018-05-21T12:00:00", NOON_MS, 0, false);
        check("2018-05-21t14:00:00+0200", NOON_MS, 0, false);
        check("2018-05-21T14:00:00+02:00", NOON_MS, 0, false);
        check("2018-05-21T10:30:00-01:30", NOON_MS, 0, false);
        check("2018-05-21T12:00:00.7z", NOON_MS + 700, 0, false);
        check("2018-05-21T12:00:00.123Z", NOON_MS + 123, 0, false);
        check("2018-05-21T12:00:00.123000007", NOON_MS + 123, 7, false);
        check("2018-05-21T12:00:00.12300000000000000001Z", NOON_MS + 123, 0, true);
        check("2018-05-21T12:00:00.12300000000Z", NOON_MS + 123, 0, false);
        check("1969-12-31T23:59:59.999Z", -1, 0, false);
        check("9999-12-31T23:59:59Z", 253_402_300_799_000, 0, false);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2018-05-21",
            "2018-05-21T12:00Z",
            "2018-05-21 12:00:00Z",
            "2018-05-21T12:00:60Z",
            "2018-05-21T24:00:00Z",
            "2018-02-30T12:00:00Z",
            "2018-05-21T12:00:00.Z",
            "2018-05-21T12:00:00+2",
            "2018-05-21T12:00:00+24:00",
            "2018-05-21T12:00:00 Z",
            "2018-05-21T12:00:00ZZ",
            "+2018-05-21T12:00:0",
            "2018-05-21T12:00:0\u{e9}",
            "20180521T120000Z",
        ] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_strict_to_the_millisecond() {
        let moment = |text: &str| Moment::read(text).unwrap();
        let noon_us = NOON_MS * 1_000;
        assert_eq!(moment("2018-05-21T12:00:00Z").after(), After::Time { from_us: noon_us + 1_000 });
        assert_eq!(moment("2018-05-21T12:00:00Z").last_us_before(), noon_us - 1);
        // An event of noon is shown as noon, and noon is before what comes a nanosecond after it.
        assert_eq!(moment("2018-05-21T12:00:00.000000001Z").last_us_before(), noon_us + 999);
        assert_eq!(moment("2018-05-21T12:00:00.0000000001Z").last_us_before(), noon_us + 999);
        assert_eq!(moment("2018-05-21T12:00:00.000000004Z").after(), After::Rank { ms: NOON_MS, rank: 4 });
    }

    #[test]
    fn what_is_shown_reads_back() {
        let at = Timestamp::from_microsecond(NOON_MS * 1_000 + 7_891).unwrap();
        assert_eq!(created(at, None), "2018-05-21T12:00:00.007Z");
        assert_eq!(created(at, Some(12)), "2018-05-21T12:00:00.007000012Z");
        assert_eq!(Moment::read(&created(at, Some(12))).unwrap().after(), After::Rank { ms: NOON_MS + 7, rank: 12 });
    }
}
