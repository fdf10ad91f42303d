//! The table: printed at the end and written to `docs/benchmarks.md`.

use std::fmt::Write;

/// One line: our figure, what it is compared with, the ratio of the two and what the ratio should be.
#[derive(Debug)]
pub struct Row {
    pub what: String,
    pub ours: String,
    pub reference: String,
    /// Ours ÷ reference; absent where there is nothing to divide.
    pub ratio: Option<f64>,
    pub target: Option<Target>,
}

/// What a ratio (or, without one, a figure) should be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    AtLeast(f64),
    /// Within this share of 1, as in "flat ±20 %".
    Flat(f64),
    /// A figure that is not a ratio: at most this much; carries the figure.
    AtMost {
        figure: f64,
        limit: f64,
    },
}

impl Target {
    fn text(self) -> String {
        match self {
            Target::AtLeast(least) => format!("≥ {least}"),
            Target::Flat(share) => format!("1 ± {share}"),
            Target::AtMost { limit, .. } => format!("≤ {limit}"),
        }
    }

    fn is_met(self, ratio: Option<f64>) -> Option<bool> {
        match (self, ratio) {
            (Target::AtLeast(least), Some(ratio)) => Some(ratio >= least),
            (Target::Flat(share), Some(ratio)) => Some((ratio - 1.0).abs() <= share),
            (Target::AtMost { figure, limit }, _) => Some(figure <= limit),
            (_, None) => None,
        }
    }
}

#[derive(Debug, Default)]
pub struct Report {
    sections: Vec<(String, Vec<Row>, Vec<String>)>,
}

impl Report {
    pub fn section(&mut self, title: &str) {
        self.sections.push((title.to_owned(), Vec::new(), Vec::new()));
    }

    /// Adds a row to the section begun last, and prints it at once.
    pub fn row(
        &mut self,
        what: impl Into<String>,
        ours: &str,
        reference: &str,
        ratio: Option<f64>,
        target: Option<Target>,
    ) {
        let row = Row { what: what.into(), ours: ours.to_owned(), reference: reference.to_owned(), ratio, target };
        println!("{}", line(&row));
        let (_, rows, _) = self.sections.last_mut().expect("a section was begun");
        rows.push(row);
    }

    /// Adds a paragraph below the table of the section begun last: how it was measured.
    pub fn note(&mut self, text: impl Into<String>) {
        let (_, _, notes) = self.sections.last_mut().expect("a section was begun");
        notes.push(text.into());
    }

    /// Every target that is missed, as "what: ratio, target".
    pub fn missed(&self) -> Vec<String> {
        let rows = self.sections.iter().flat_map(|(_, rows, _)| rows);
        let missed = rows.filter(|row| row.target.and_then(|t| t.is_met(row.ratio)) == Some(false));
        missed.map(|row| format!("{}: {}", row.what, verdict(row))).collect()
    }

    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for (title, rows, notes) in &self.sections {
            writeln!(out, "\n## {title}\n\n| | Counterfoil | compared with | ratio | target |\n|---|---|---|---|---|")
                .expect("a String takes everything");
            for row in rows {
                writeln!(out, "{}", line(row)).expect("a String takes everything");
            }
            for note in notes {
                writeln!(out, "\n{note}").expect("a String takes everything");
            }
        }
        out
    }
}

fn line(row: &Row) -> String {
    let ratio = row.ratio.map(|r| format!("{r:.2}")).unwrap_or_default();
    format!("| {} | {} | {} | {ratio} | {} |", row.what, row.ours, row.reference, verdict(row))
}

fn verdict(row: &Row) -> String {
    let Some(target) = row.target else { return String::new() };
    match target.is_met(row.ratio) {
        Some(true) => format!("{}: met", target.text()),
        Some(false) => format!("{}: **missed**", target.text()),
        None => format!("{}: not measured", target.text()),
    }
}

/// A number with thousands separated, as in `1,234,567`.
pub fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.round());
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let check = |number, expected: &str| assert_eq!(thousands(number), expected);
        check(0.4, "0");
        check(999.0, "999");
        check(1_000.0, "1,000");
        check(12_345_678.9, "12,345,679");
    }

    #[test]
    fn a_missed_target_is_said_and_an_unmeasured_one_is_not_met() {
        let mut report = Report::default();
        report.section("Speed");
        report.row("fast", "1", "2", Some(4.9), Some(Target::AtLeast(5.0)));
        report.row("flat", "1", "2", Some(0.85), Some(Target::Flat(0.2)));
        report.row("unknown", "–", "2", None, Some(Target::AtLeast(5.0)));
        assert_eq!(report.missed(), ["fast: ≥ 5: **missed**"]);
        assert!(report.markdown().contains("| unknown | – | 2 |  | ≥ 5: not measured |"));
    }
}
