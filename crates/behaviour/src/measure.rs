//! From what happened in a recording to what is counted of it. Nothing of what was typed is kept: only kinds of keys and times.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::observation::Measures;
use crate::script::MACHINE_US;
use crate::windowtitle::normalised;

/// Different commands, and different titles, that are kept of one session: the most frequent ones.
pub const MEASURED_MAX: usize = 200;
/// Different ones that are counted while it is measured.
const COUNTED_MAX: usize = 10_000;
/// Longest name of a program, in characters.
const PROGRAM_CHARACTERS_MAX: usize = 64;
/// Longest escape sequence that is looked at for a pointer.
const SEQUENCE_BYTES_MAX: usize = 32;
/// Programs that run another one: the two together are what was run.
const RUNNERS: [&str; 6] = ["doas", "env", "nohup", "sudo", "time", "xargs"];

/// Takes in a recording, event by event.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    measures: Measures,
    /// The kind of the last key, and when it came.
    last_key: Option<(char, u64)>,
    last_pointer: Option<(char, u64, (u32, u32))>,
    last_line_us: Option<u64>,
    last_command_us: Option<u64>,
    command_pace: crate::script::Pace,
    /// An escape sequence that has not ended.
    sequence: Vec<u8>,
}

impl Meter {
    /// Takes what was typed at a time, in microseconds since the start. Times never fall.
    pub fn input(&mut self, at_us: u64, bytes: &[u8]) {
        for byte in bytes {
            if !self.sequence.is_empty() {
                self.sequence.push(*byte);
                self.end_sequence(at_us);
            } else if *byte == 0x1b {
                self.sequence.push(*byte);
            } else if *byte & 0xc0 != 0x80 {
                // The first byte of a character stands for all of it.
                self.key(at_us, kind(*byte));
            }
        }
    }

    /// Ends an escape sequence if this was its last byte: a movement of the pointer, or a key.
    fn end_sequence(&mut self, at_us: u64) {
        let sequence = &self.sequence;
        let is_over = match sequence.get(1) {
            Some(b'[') if sequence.get(2) == Some(&b'M') => sequence.len() == 6,
            Some(b'[') => sequence.len() > 2 && (0x40..=0x7e).contains(&sequence[sequence.len() - 1]),
            Some(b'O') => sequence.len() == 3,
            _ => true,
        };
        if !is_over && sequence.len() < SEQUENCE_BYTES_MAX {
            return;
        }
        let pointer = place(sequence);
        self.sequence.clear();
        match pointer {
            Some(place) => self.pointer(at_us, place),
            None => self.key(at_us, 'e'),
        }
    }

    fn key(&mut self, at_us: u64, kind: char) {
        let pace = &mut self.measures.pace;
        pace.keys += 1;
        if let Some((before, when)) = self.last_key.replace((kind, at_us)) {
            let us = at_us.saturating_sub(when);
            pace.at_machine_speed += u64::from(us < MACHINE_US);
            self.measures.keys.add(before, kind, us);
        }
        if kind == 'n'
            && let Some(when) = self.last_line_us.replace(at_us)
        {
            pace.line(at_us.saturating_sub(when));
        }
    }

    fn pointer(&mut self, at_us: u64, place: (u32, u32)) {
        let direction = match self.last_pointer {
            None => 's',
            Some((_, _, last)) => {
                match (i64::from(place.0) - i64::from(last.0), i64::from(place.1) - i64::from(last.1)) {
                    (0, 0) => 's',
                    (x, y) if x.abs() >= 2 * y.abs() => {
                        if x > 0 {
                            'e'
                        } else {
                            'w'
                        }
                    }
                    (x, y) if y.abs() >= 2 * x.abs() => {
                        if y > 0 {
                            'd'
                        } else {
                            'u'
                        }
                    }
                    (x, _) => {
                        if x > 0 {
                            'f'
                        } else {
                            'b'
                        }
                    }
                }
            }
        };
        if let Some((before, when, _)) = self.last_pointer.replace((direction, at_us, place)) {
            self.measures.pointer.add(before, direction, at_us.saturating_sub(when));
        }
    }

    /// Takes a command that was run.
    pub fn command(&mut self, at_us: u64, line: &str) {
        if let Some(program) = program(line) {
            count(&mut self.measures.commands, &mut self.measures.left_out, program);
        }
        if let Some(when) = self.last_command_us.replace(at_us) {
            self.command_pace.line(at_us.saturating_sub(when));
        }
    }

    /// Takes the title that a window got.
    pub fn title(&mut self, title: &str) {
        if let Some(title) = normalised(title) {
            count(&mut self.measures.titles, &mut self.measures.left_out, title);
        }
    }

    /// What was counted.
    pub fn finish(mut self) -> Measures {
        for counts in [&mut self.measures.commands, &mut self.measures.titles] {
            if counts.len() > MEASURED_MAX {
                let mut all: Vec<(String, u32)> = std::mem::take(counts).into_iter().collect();
                all.sort_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
                self.measures.left_out += (all.len() - MEASURED_MAX) as u64;
                counts.extend(all.into_iter().take(MEASURED_MAX));
            }
        }
        // Where no input was recorded, the commands tell how even the lines were.
        if self.measures.pace.keys == 0 {
            self.measures.pace = self.command_pace;
        }
        self.measures
    }
}

fn count(counts: &mut BTreeMap<String, u32>, left_out: &mut u64, value: String) {
    if let Some(count) = counts.get_mut(&value) {
        *count = count.saturating_add(1);
    } else if counts.len() < COUNTED_MAX {
        counts.insert(value, 1);
    } else {
        *left_out += 1;
    }
}

/// The program that a command line runs, without its folder; with the one that runs it, as in `sudo systemctl`. Arguments are
/// left out: they hold what nobody should keep.
fn program(line: &str) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        // Assignments before a command, and options of what runs it.
        if word.starts_with('-') || (word.contains('=') && !word.starts_with('=')) {
            continue;
        }
        let name = word.rsplit('/').next().unwrap_or(word);
        let is_name = |c: char| c.is_alphanumeric() || "._+-".contains(c);
        let name: String = name.chars().take_while(|c| is_name(*c)).take(PROGRAM_CHARACTERS_MAX).collect();
        if name.is_empty() {
            return (!found.is_empty()).then(|| found.join(" "));
        }
        let runs_another = RUNNERS.contains(&name.as_str());
        found.push(name);
        if !runs_another || found.len() == 2 {
            break;
        }
    }
    (!found.is_empty()).then(|| found.join(" "))
}

/// The kind of a key, so that a pair of them tells of hands and not of words.
fn kind(byte: u8) -> char {
    match byte {
        b'\r' | b'\n' => 'n',
        0x08 | 0x7f => 'x',
        b' ' => 's',
        b'0'..=b'9' => 'd',
        0..=0x1f => 'c',
        _ => match byte.to_ascii_lowercase() {
            b'q' | b'w' | b'e' | b'r' | b't' | b'a' | b's' | b'd' | b'f' | b'g' | b'z' | b'x' | b'c' | b'v' | b'b' => {
                'l'
            }
            b'a'..=b'z' => 'r',
            _ => 'p',
        },
    }
}

/// The cell at which a pointer event happened: `ESC [ < b ; x ; y M` or `ESC [ M b x y`. None: it is no pointer event.
fn place(sequence: &[u8]) -> Option<(u32, u32)> {
    if let [0x1b, b'[', b'M', _, x, y] = sequence {
        return Some((u32::from(*x), u32::from(*y)));
    }
    let inner = sequence.strip_prefix(b"\x1b[<")?;
    let inner = inner.strip_suffix(b"M").or_else(|| inner.strip_suffix(b"m"))?;
    let mut numbers = std::str::from_utf8(inner).ok()?.split(';');
    let (_, x, y) = (numbers.next()?, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some((x, y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_its_program_without_what_it_was_told() {
        let check = |line: &str, expected: Option<&str>| assert_eq!(program(line).as_deref(), expected, "{line}");
        check("ls -la /etc", Some("ls"));
        check("/usr/bin/vim secret.txt", Some("vim"));
        check("PGPASSWORD=hunter2 psql -h db", Some("psql"));
        check("sudo -n systemctl restart nginx", Some("sudo systemctl"));
        check("sudo", Some("sudo"));
        check("mysql -phunter2", Some("mysql"));
        check("curl|sh", Some("curl"));
        check("   ", None);
        check("(cd /)", None);
    }

    #[test]
    fn keys_are_counted_by_kind_and_time_and_nothing_of_them_is_kept() {
        let mut meter = Meter::default();
        for (at, byte) in b"hunter2\r".iter().enumerate() {
            meter.input(at as u64 * 100_000, &[*byte]);
        }
        meter.input(900_000, "ä".as_bytes());
        meter.input(1_000_000, b"\x1b[A");
        let measures = meter.finish();
        assert_eq!((measures.pace.keys, measures.keys.events()), (10, 9));
        assert!(!format!("{measures:?}").contains("hunter"));
    }

    #[test]
    fn a_paste_is_at_machine_speed_and_pointer_events_are_no_keys() {
        let mut meter = Meter::default();
        meter.input(0, &[b'x'; 200]);
        for n in 0..50_u32 {
            meter.input(1_000_000 + u64::from(n) * 20_000, format!("\x1b[<35;{};{}M", n + 1, 5).as_bytes());
        }
        let measures = meter.finish();
        assert_eq!((measures.pace.keys, measures.pace.at_machine_speed), (200, 199));
        assert_eq!(measures.pointer.events(), 49);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut meter = Meter::default();
        for n in 0..MEASURED_MAX + 5 {
            meter.command(n as u64, &format!("p{n}"));
        }
        meter.command(1_000, "p3 again");
        let measures = meter.finish();
        assert_eq!((measures.commands.len(), measures.left_out, measures.commands["p3"]), (MEASURED_MAX, 5, 2));
    }
}
