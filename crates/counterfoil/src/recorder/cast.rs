//! Writing asciicast v3: a header line, then one line for each event with the time since the one before it.
//!
//! Source: the format's public description, docs.asciinema.org/manual/asciicast/v3.

use std::time::Duration;

use serde_json::{Value, json};

/// What a recording says of itself.
pub struct Header<'a> {
    /// Characters in a row, and rows.
    pub size: (u16, u16),
    /// Seconds since 1970.
    pub started_at_s: i64,
    /// What is run.
    pub command: &'a str,
    /// For people.
    pub title: Option<&'a str>,
    /// The kind of terminal, as in `xterm-256color`.
    pub terminal: Option<&'a str>,
    /// The user's shell.
    pub shell: Option<&'a str>,
}

/// Turns what happens into lines.
#[derive(Default)]
pub struct Writer {
    last: Duration,
    /// Bytes of a character that was cut in two, by stream: output, input.
    rest: [Vec<u8>; 2],
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// To the screen.
    Output,
    /// From the keyboard.
    Input,
}

impl Header<'_> {
    /// The first line.
    pub fn line(&self) -> String {
        let mut term = json!({ "cols": self.size.0, "rows": self.size.1 });
        if let Some(terminal) = self.terminal {
            term["type"] = terminal.into();
        }
        let mut header = json!({ "version": 3, "term": term, "timestamp": self.started_at_s, "command": self.command });
        if let Some(title) = self.title {
            header["title"] = title.into();
        }
        if let Some(shell) = self.shell {
            header["env"] = json!({ "SHELL": shell });
        }
        format!("{header}\n")
    }
}

impl Writer {
    /// The line for bytes that came `at` after the start; none while they are only part of a character. What is not
    /// UTF-8 becomes U+FFFD, as the format holds text only.
    pub fn bytes(&mut self, at: Duration, stream: Stream, bytes: &[u8]) -> Option<String> {
        let (rest, code) = match stream {
            Stream::Output => (&mut self.rest[0], "o"),
            Stream::Input => (&mut self.rest[1], "i"),
        };
        rest.extend_from_slice(bytes);
        let whole = whole_characters(rest);
        if whole == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&rest[..whole]).into_owned();
        rest.drain(..whole);
        Some(self.line(at, code, text.into()))
    }

    /// The line for another size of the terminal.
    pub fn resize(&mut self, at: Duration, (columns, rows): (u16, u16)) -> String {
        self.line(at, "r", format!("{columns}x{rows}").into())
    }

    /// The last lines: halves of characters that are left, and the exit status.
    pub fn exit(&mut self, at: Duration, status: i64) -> String {
        let mut lines = String::new();
        for (stream, code) in ["o", "i"].into_iter().enumerate() {
            let rest = std::mem::take(&mut self.rest[stream]);
            if !rest.is_empty() {
                let text = String::from_utf8_lossy(&rest).into_owned();
                lines += &self.line(at, code, text.into());
            }
        }
        lines + &self.line(at, "x", status.to_string().into())
    }

    fn line(&mut self, at: Duration, code: &str, data: Value) -> String {
        // Intervals are rounded where they end, so that rounding never adds up.
        let at = Duration::from_micros(at.as_micros() as u64);
        let interval = at.saturating_sub(self.last);
        self.last = self.last.max(at);
        format!("[{}.{:06}, \"{code}\", {data}]\n", interval.as_secs(), interval.subsec_micros())
    }
}

/// How many bytes are whole characters, or can never become one.
fn whole_characters(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match str::from_utf8(&bytes[at..]) {
            Ok(_) => return bytes.len(),
            Err(error) => match error.error_len() {
                Some(wrong) => at += error.valid_up_to() + wrong,
                None => return at + error.valid_up_to(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn data(lines: &str) -> String {
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.map(|line| line[2].as_str().expect("text").to_owned()).collect()
    }

    proptest! {
        #[test]
        fn text_cut_anywhere_reads_back(text in "\\PC{0,40}", cuts in prop::collection::vec(0usize..200, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut writer = Writer::default();
            let mut lines = String::new();
            for pair in cuts.windows(2) {
                let bytes = &text.as_bytes()[pair[0]..pair[1]];
                lines += &writer.bytes(Duration::ZERO, Stream::Output, bytes).unwrap_or_default();
            }
            prop_assert_eq!(data(&lines), text);
        }
    }

    #[test]
    fn intervals_add_up_to_the_time_of_each_event() {
        let mut writer = Writer::default();
        let mut at_us = 0;
        for us in [3u64, 1_000_001, 1_000_001, 61_500_000] {
            let line = writer.bytes(Duration::from_nanos(us * 1_000 + 999), Stream::Output, b"x").expect("a line");
            let line: Value = serde_json::from_str(&line).expect("JSON");
            at_us += (line[0].as_f64().expect("a number") * 1e6).round() as u64;
            assert_eq!(at_us, us);
        }
    }

    #[test]
    fn half_a_character_at_the_end_is_not_lost_without_a_word() {
        let mut writer = Writer::default();
        assert_eq!(writer.bytes(Duration::ZERO, Stream::Output, b"\xe2\x82"), None);
        assert_eq!(writer.exit(Duration::ZERO, 3), "[0.000000, \"o\", \"\u{fffd}\"]\n[0.000000, \"x\", \"3\"]\n");
        let line = writer.bytes(Duration::ZERO, Stream::Input, b"a\xffb").expect("a line");
        assert_eq!(line, "[0.000000, \"i\", \"a\u{fffd}b\"]\n");
    }
}
