//! Times as logs write them, and what has to be assumed to make them instants.
//!
//! `Dec 10 06:55:46` says neither year nor zone. The zone is the one given, or UTC. The year is counted on from the one given
//! for the first line, or else is the last year in which the time is not later than the file's modification. The second rule
//! needs no memory, so lines out of order do not matter, but a file that spans more than a year needs the first.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Options;

/// A log may be newer than its file says: written by another machine, or modified a moment before the last line.
const MODIFIED_SLACK: SignedDuration = SignedDuration::from_hours(24);

/// A step back by more than this many days is a new year; by less, it is lines out of order.
const NEW_YEAR_DAYS: i32 = 180;

/// Leap days are at most this far apart.
const LEAP_YEARS_APART_MAX: i16 = 8;

/// A time within a year, as RFC 3164 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WithoutYear {
    pub month: i8,
    pub day: i8,
    pub hour: i8,
    pub minute: i8,
    /// 60 in a leap second, which is taken as 59.
    pub second: i8,
    pub nanosecond: i32,
}

/// A time as read, before anything is assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    Instant(Timestamp),
    /// Date and time without an offset.
    Local(DateTime),
    WithoutYear(WithoutYear),
}

/// An instant and what had to be assumed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    pub at: Timestamp,
    /// The year, when it was inferred from the file's modification time.
    pub year_inferred: Option<i16>,
    pub zone_assumed: bool,
    /// The time stands twice or not at all in this zone (clocks were changed); the earlier, or the later, was taken.
    pub clock_change: bool,
}

/// Turns stamps of one file, in its order, into instants.
pub(super) struct Clock {
    year: Year,
    zone: TimeZone,
    zone_given: bool,
}

enum Year {
    Counted { year: i16, last: Option<WithoutYear> },
    Before(Timestamp),
    Unknown,
}

impl Clock {
    pub fn new(options: &Options) -> Clock {
        let year = match (options.year, options.file_modified) {
            (Some(year), _) => Year::Counted { year: i16::try_from(year).unwrap_or(i16::MAX), last: None },
            (None, Some(modified)) => Year::Before(modified),
            (None, None) => Year::Unknown,
        };
        let zone = options.zone.clone().unwrap_or(TimeZone::UTC);
        Clock { year, zone, zone_given: options.zone.is_some() }
    }

    /// # Errors
    /// A sentence for the user: the date does not exist, or there is nothing to infer the year from.
    pub fn resolve(&mut self, stamp: Stamp) -> Result<Resolved, String> {
        match stamp {
            Stamp::Instant(at) => {
                in_range(Resolved { at, year_inferred: None, zone_assumed: false, clock_change: false })
            }
            Stamp::Local(local) => self.in_zone(local, None),
            Stamp::WithoutYear(time) => {
                let (local, year_inferred) = self.with_year(time)?;
                self.in_zone(local, year_inferred)
            }
        }
    }

    fn with_year(&mut self, time: WithoutYear) -> Result<(DateTime, Option<i16>), String> {
        match &mut self.year {
            Year::Unknown => Err("the time has no year and nothing says which; pass --year".to_owned()),
            Year::Counted { year, last } => {
                let step = last.map_or(0, |last| day_of_year(time) - day_of_year(last));
                let belongs_to = if step < -NEW_YEAR_DAYS {
                    *year = year.saturating_add(1);
                    *year
                } else if step > 365 - 7 {
                    // A late line of the old year among the first ones of the new year.
                    return Ok((at_year(time, year.saturating_sub(1))?, None));
                } else {
                    *year
                };
                *last = Some(time);
                Ok((at_year(time, belongs_to)?, None))
            }
            Year::Before(modified) => {
                let latest = modified.saturating_add(MODIFIED_SLACK).expect("a day is no calendar unit");
                let latest = self.zone.to_datetime(latest);
                for back in 0..=LEAP_YEARS_APART_MAX {
                    let year = latest.year() - back;
                    match at_year(time, year) {
                        Ok(local) if local <= latest => return Ok((local, Some(year))),
                        _ => {}
                    }
                }
                Err(format!("there is no {} of month {} in any recent year", time.day, time.month))
            }
        }
    }

    fn in_zone(&self, local: DateTime, year_inferred: Option<i16>) -> Result<Resolved, String> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let clock_change = ambiguous.is_ambiguous();
        let at = ambiguous.compatible().map_err(|_| out_of_range())?;
        in_range(Resolved { at, year_inferred, zone_assumed: !self.zone_given, clock_change })
    }
}

fn in_range(resolved: Resolved) -> Result<Resolved, String> {
    if is_in_range(resolved.at) { Ok(resolved) } else { Err(out_of_range()) }
}

/// Whether the event model takes it: years 1900 to 2199.
pub(super) fn is_in_range(at: Timestamp) -> bool {
    (1900..=2199).contains(&TimeZone::UTC.to_datetime(at).year())
}

fn out_of_range() -> String {
    "the time is outside the years 1900 to 2199".to_owned()
}

fn at_year(time: WithoutYear, year: i16) -> Result<DateTime, String> {
    DateTime::new(year, time.month, time.day, time.hour, time.minute, time.second.min(59), time.nanosecond)
        .map_err(|_| format!("{year}-{:02}-{:02} does not exist; is --year right?", time.month, time.day))
}

/// Day of a leap year, near enough to compare two of them.
fn day_of_year(time: WithoutYear) -> i32 {
    i32::from(time.month - 1) * 31 + i32::from(time.day)
}

/// Reads `2022-07-17T04:50:23.5+02:00`, `2022-07-17 04:50:23`, and what lies between. Never a bare date.
pub(super) fn parse_iso(text: &str) -> Option<Stamp> {
    let bytes = text.as_bytes();
    let has_time = bytes.len() >= 19
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
        && bytes[13] == b':';
    if !has_time || bytes.len() > 64 || bytes.contains(&b'[') {
        return None;
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(Stamp::Instant(instant));
    }
    text.parse::<DateTime>().ok().map(Stamp::Local)
}

/// Reads `Dec 10 06:55:46` (day with one digit, two, or padded; a fraction of a second allowed) at the start of a text;
/// gives it and what comes behind it.
pub(super) fn parse_rfc3164(text: &str) -> Option<(Stamp, &str)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (name, rest) = word(text)?;
    let month = MONTHS.iter().position(|month| *month == name)? as i8 + 1;
    let (day, rest) = word(rest)?;
    let (clock, rest) = word(rest)?;
    let day = number(day, 1, 31)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let hour = two_digits(parts.next()?, 23)?;
    let minute = two_digits(parts.next()?, 59)?;
    let second = two_digits(parts.next()?, 60)?;
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanosecond = format!("{fraction:0<9}").parse().ok()?;
    Some((Stamp::WithoutYear(WithoutYear { month, day, hour, minute, second, nanosecond }), rest))
}

/// The text up to the next space, and the text after that and further spaces.
pub(super) fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(' ').unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].trim_start_matches(' ')))
}

fn two_digits(text: &str, max: i8) -> Option<i8> {
    if text.len() == 2 { number(text, 0, max) } else { None }
}

fn number(text: &str, min: i8, max: i8) -> Option<i8> {
    let digits_only = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = if digits_only { text.parse().ok()? } else { return None };
    (min..=max).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, clock: &mut Clock) -> Result<String, String> {
        let stamp = parse_iso(text).or_else(|| parse_rfc3164(text).map(|(stamp, _)| stamp)).ok_or("unreadable")?;
        clock.resolve(stamp).map(|resolved| resolved.at.to_string())
    }

    fn options(year: Option<i32>, zone: Option<&str>, modified: Option<&str>) -> Options {
        Options {
            year,
            zone: zone.map(|zone| TimeZone::get(zone).expect("a zone of the test")),
            file_modified: modified.map(|text| text.parse().expect("a time of the test")),
            file_name: String::new(),
        }
    }

    #[test]
    fn a_given_year_goes_on_over_new_year_and_a_late_line_stays_in_the_old_one() {
        let clock = &mut Clock::new(&options(Some(2023), None, Some("2026-01-01T00:00:00Z")));
        let times = [
            "Dec 30 23:00:00",
            "Dec 31 23:59:59",
            "Jan  1 00:00:01",
            "Dec 31 23:59:58",
            "Jan  1 00:00:02",
            "Nov  2 00:00:00",
            "Jan 1 0:00:00",
        ];
        let read: Vec<_> = times.iter().map(|time| at(time, clock)).collect();
        let expected = [
            Ok("2023-12-30T23:00:00Z"),
            Ok("2023-12-31T23:59:59Z"),
            Ok("2024-01-01T00:00:01Z"),
            Ok("2023-12-31T23:59:58Z"),
            Ok("2024-01-01T00:00:02Z"),
            Ok("2024-11-02T00:00:00Z"),
            Err("unreadable"),
        ];
        assert_eq!(read, expected.map(|one| one.map(str::to_owned).map_err(str::to_owned)));
    }

    #[test]
    fn an_inferred_year_is_the_last_one_not_after_the_file() {
        let clock = &mut Clock::new(&options(None, None, Some("2024-01-03T12:00:00Z")));
        assert_eq!(at("Dec 31 10:00:00", clock).as_deref(), Ok("2023-12-31T10:00:00Z"));
        assert_eq!(at("Jan  3 11:00:00", clock).as_deref(), Ok("2024-01-03T11:00:00Z"));
        assert_eq!(at("Jan  4 11:00:00", clock).as_deref(), Ok("2024-01-04T11:00:00Z"), "a day of slack");
        assert_eq!(at("Jan  5 11:00:00", clock).as_deref(), Ok("2023-01-05T11:00:00Z"));
        assert_eq!(at("Feb 29 11:00:00", clock).as_deref(), Ok("2020-02-29T11:00:00Z"), "only a leap year has it");
        assert!(at("Feb 30 11:00:00", clock).is_err());
        assert!(
            at("Dec 31 10:00:00", &mut Clock::new(&Options::default())).is_err_and(|error| error.contains("--year"))
        );
    }

    #[test]
    fn zones_are_applied_to_local_times_only() {
        let clock = &mut Clock::new(&options(Some(2024), Some("Europe/Berlin"), None));
        assert_eq!(at("Jul 10 06:55:46", clock).as_deref(), Ok("2024-07-10T04:55:46Z"));
        assert_eq!(at("2024-01-10 06:55:46.5", clock).as_deref(), Ok("2024-01-10T05:55:46.5Z"));
        assert_eq!(at("2024-01-10T06:55:46-04:00", clock).as_deref(), Ok("2024-01-10T10:55:46Z"));
        assert_eq!(at("2022-02-08 09:23:37+11:00", clock).as_deref(), Ok("2022-02-07T22:23:37Z"));
        let (twice, _) = parse_rfc3164("Oct 27 02:30:00").expect("a time");
        assert!(clock.resolve(twice).expect("a time").clock_change);
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "Dec",
            "Dec 10",
            "Dec 32 00:00:00",
            "Foo 10 00:00:00",
            "Dec 10 24:00:00",
            "Dec 10 00:00",
            "2024-01-01",
            "2024-13-01T00:00:00Z",
            "é-Dec 10",
        ] {
            assert!(parse_iso(text).is_none() && parse_rfc3164(text).is_none(), "{text:?}");
        }
    }
}
