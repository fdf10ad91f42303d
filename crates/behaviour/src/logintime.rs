//! At which hour of which weekday a session begins. `docs/risk/logintime.md`.

use serde::{Deserialize, Serialize};

/// Quarters of an hour of a day.
const QUARTERS: usize = 96;
/// Quarters on either side that a session counts for: two hours.
const REACH: i64 = 8;
/// What one session adds in all: the sum of `REACH² - d²` over `|d| < REACH`.
const WEIGHT: u64 = 680;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Share of the mass that is called usual.
const USUAL_PERCENT: u64 = 90;

/// The density of starts over the circle of a day, and over the days of the week. All in whole numbers, so that the order
/// of sessions cannot matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginTime {
    quarters: Vec<u32>,
    days: [u32; 7],
}

impl LoginTime {
    pub fn build(starts_s: impl IntoIterator<Item = i64>) -> LoginTime {
        let mut made = LoginTime { quarters: vec![0; QUARTERS], days: [0; 7] };
        for start in starts_s {
            let (quarter, day) = place(start);
            made.quarters[quarter] += 1;
            made.days[day] += 1;
        }
        made
    }

    /// The probability of a start at an hour and day at most as dense as this one's.
    pub fn probability(&self, start_s: i64) -> f64 {
        let (quarter, day) = place(start_s);
        let (hours, days) = (self.hours(), self.week());
        let observed = hours[quarter] * days[day];
        let (mut all, mut sparse) = (0_u64, 0_u64);
        for hour in &hours {
            for day in &days {
                let mass = hour * day;
                all += mass;
                sparse += if mass <= observed { mass } else { 0 };
            }
        }
        // Of few sessions nothing is known so well that it could be less probable than one not seen among them.
        let sessions: u64 = self.days.iter().map(|count| u64::from(*count)).sum();
        (sparse as f64 / all as f64 + 0.5 / (sessions as f64 + 1.0)).min(1.0)
    }

    /// Mass of each quarter of an hour: an Epanechnikov kernel of two hours over the circle, and one session's worth spread
    /// evenly, so that no hour is impossible.
    fn hours(&self) -> Vec<u64> {
        let of = |quarter: usize| {
            let near = (1 - REACH..REACH).map(|distance| {
                let other = (quarter as i64 + distance).rem_euclid(QUARTERS as i64) as usize;
                u64::from(self.quarters[other]) * (REACH * REACH - distance * distance) as u64
            });
            QUARTERS as u64 * near.sum::<u64>() + WEIGHT
        };
        (0..QUARTERS).map(of).collect()
    }

    /// Mass of each weekday, with half a session's worth spread evenly.
    fn week(&self) -> [u64; 7] {
        self.days.map(|count| 14 * u64::from(count) + 1)
    }

    /// The hours and days that hold nine tenths of the starts: `07:30-17:45 UTC, Mon Tue Wed Thu Fri`.
    pub fn expected(&self) -> String {
        let hours = usual(&self.hours());
        // Turned so that a stretch over midnight is one stretch.
        let first = (0..QUARTERS).find(|q| hours[*q] && !hours[(q + QUARTERS - 1) % QUARTERS]);
        let mut stretches = Vec::new();
        if let Some(first) = first {
            let mut began = None;
            for step in 0..=QUARTERS {
                let quarter = (first + step) % QUARTERS;
                let is_in = step < QUARTERS && hours[quarter];
                match (is_in, began) {
                    (true, None) => began = Some(quarter),
                    (false, Some(from)) => {
                        stretches.push(format!("{}-{}", clock(from), clock(quarter)));
                        began = None;
                    }
                    _ => {}
                }
            }
        } else {
            stretches.push("any hour".to_owned());
        }
        let days = usual(&self.week());
        let days: Vec<&str> = DAYS.into_iter().zip(days).filter(|(_, is_in)| *is_in).map(|(day, _)| day).collect();
        format!("{} UTC, {}", stretches.join(" "), days.join(" "))
    }

    /// `Sat 03:12 UTC`.
    pub fn observed(start_s: i64) -> String {
        let (_, day) = place(start_s);
        let minute = start_s.rem_euclid(86_400) / 60;
        format!("{} {:02}:{:02} UTC", DAYS[day], minute / 60, minute % 60)
    }

    /// Whether two starts are at about the same hour: less than two hours apart on the clock.
    pub fn is_near(a_s: i64, b_s: i64) -> bool {
        let apart = (a_s - b_s).rem_euclid(86_400);
        apart.min(86_400 - apart) < REACH * 900
    }
}

/// Quarter of the day, and day of the week from Monday. 1970-01-01 was a Thursday.
fn place(start_s: i64) -> (usize, usize) {
    let (day, second) = (start_s.div_euclid(86_400), start_s.rem_euclid(86_400));
    ((second / 900) as usize, (day + 3).rem_euclid(7) as usize)
}

/// The densest places that together hold [`USUAL_PERCENT`] of the mass; equally dense ones together.
fn usual(mass: &[u64]) -> Vec<bool> {
    let all: u64 = mass.iter().sum();
    let mut order: Vec<u64> = mass.to_vec();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let mut held = 0;
    let least = order.into_iter().find(|m| {
        held += m;
        held * 100 >= all * USUAL_PERCENT
    });
    mass.iter().map(|m| Some(*m) >= least).collect()
}

fn clock(quarter: usize) -> String {
    format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05, a Monday.
    const MONDAY: i64 = 1_767_571_200;

    #[test]
    fn office_hours_are_learnt_and_a_night_on_sunday_is_not_among_them() {
        let starts: Vec<i64> = (0..60).filter(|d| d % 7 < 5).map(|d| MONDAY + d * 86_400 + 9 * 3_600).collect();
        let learnt = LoginTime::build(starts);
        assert_eq!(learnt.expected(), "07:30-10:45 UTC, Mon Tue Wed Thu Fri");
        let at = |day: i64, hour: i64| learnt.probability(MONDAY + 70 * 86_400 + day * 86_400 + hour * 3_600);
        assert!(at(0, 9) > 0.9, "{}", at(0, 9));
        assert!(at(0, 3) < 0.06 && at(6, 3) < at(0, 3) && at(6, 3) < 0.02, "{} {}", at(0, 3), at(6, 3));
        assert_eq!(LoginTime::observed(MONDAY + 6 * 86_400 + 3 * 3_600 + 725), "Sun 03:12 UTC");
    }

    #[test]
    fn midnight_is_no_border() {
        let learnt = LoginTime::build((0..30).map(|d| MONDAY + d * 86_400 + 23 * 3_600 + 3_000));
        assert!(learnt.probability(MONDAY + 40 * 86_400 + 600) > 0.5);
        assert!(learnt.expected().starts_with("22:15-01:30 UTC"), "{}", learnt.expected());
        assert!(LoginTime::is_near(MONDAY - 60, MONDAY + 60) && !LoginTime::is_near(MONDAY, MONDAY + 7_200));
    }

    #[test]
    fn before_1970_there_were_weekdays_as_well() {
        assert_eq!(LoginTime::observed(-1), "Wed 23:59 UTC");
        assert!(LoginTime::build([-1, i64::MIN / 2]).probability(0) <= 1.0);
    }
}
