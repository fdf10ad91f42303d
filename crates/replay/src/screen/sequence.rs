//! Remembers the control sequence that has begun but not ended, so that a key frame can stand inside one, and hears titles.
//!
//! avt's parser can be asked for its state but not for what it holds. So what would bring a new parser into the same state
//! is kept here beside it: a few characters, bounded whatever comes.

use avt::parser::State;

/// Longest escape or control sequence. One that goes on is cancelled, as CAN (0x18) would; the next characters are text.
pub const SEQUENCE_CHARS_MAX: usize = 4096;
/// Longest operating system command (window title and so on) that is kept, in bytes; what goes beyond is not.
pub const COMMAND_BYTES_MAX: usize = 4096;

const COMMAND_START: char = '\u{9d}';

/// What a parser was fed since it last was at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    pending: String,
}

/// What the characters meant for this module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    /// The sequence is over [`SEQUENCE_CHARS_MAX`]: cancel it.
    TooLong,
    /// An operating system command ended; its text.
    Command(String),
}

impl Sequence {
    /// To be called after the parser was fed `character` and came from state `before` into state `now`.
    /// Not needed where both are the ground state.
    #[inline]
    pub(crate) fn follow(&mut self, character: char, before: State, now: State) -> Heard {
        // Nearly all that comes here: a short control sequence that begins, goes on, ends.
        if before != State::OscString {
            match now {
                State::Ground => {
                    self.pending.clear();
                    return Heard::Nothing;
                }
                State::CsiEntry | State::CsiParam
                    if (' '..='~').contains(&character) && self.pending.len() < SEQUENCE_CHARS_MAX =>
                {
                    self.pending.push(character);
                    return Heard::Nothing;
                }
                _ => {}
            }
        }
        self.follow_any(character, before, now)
    }

    fn follow_any(&mut self, character: char, before: State, now: State) -> Heard {
        let heard = match before {
            State::OscString if now != State::OscString => self.command(character),
            _ => Heard::Nothing,
        };
        match now {
            State::Ground => self.pending.clear(),
            State::OscString if before == State::OscString && character != COMMAND_START => {
                // The first character of `pending` says that this is a command.
                let kept = self.pending.len() - COMMAND_START.len_utf8();
                if character >= ' ' && kept + character.len_utf8() <= COMMAND_BYTES_MAX {
                    self.pending.push(character);
                }
            }
            State::OscString => self.restart(COMMAND_START),
            State::DcsPassthrough | State::DcsIgnore | State::SosPmApcString if now == before => {}
            _ if character == '\u{1b}' || ('\u{80}'..='\u{9f}').contains(&character) => self.restart(character),
            // Controls inside a sequence are executed at once and change nothing of it.
            _ if character < ' ' => {}
            _ if self.pending.len() >= SEQUENCE_CHARS_MAX => return Heard::TooLong,
            _ => self.pending.push(character),
        }
        heard
    }

    fn restart(&mut self, character: char) {
        self.pending.clear();
        self.pending.push(character);
    }

    fn command(&self, end: char) -> Heard {
        match end {
            '\u{07}' | '\u{1b}' | '\u{9c}' => Heard::Command(self.pending[COMMAND_START.len_utf8()..].to_owned()),
            _ => Heard::Nothing,
        }
    }

    /// Fed to a parser at rest, this brings it where this one is.
    pub(crate) fn pending(&self) -> &str {
        &self.pending
    }
}

/// The window title that an operating system command sets, if it is one that does.
pub(crate) fn title_of(command: &str) -> Option<&str> {
    let (number, text) = command.split_once(';')?;
    matches!(number, "0" | "2").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(text: &str) -> (avt::Parser, Sequence, Vec<String>) {
        let mut parser = avt::Parser::new();
        let mut sequence = Sequence::default();
        let mut commands = Vec::new();
        for character in text.chars() {
            let before = parser.state;
            parser.feed(character);
            if let Heard::Command(command) = sequence.follow(character, before, parser.state) {
                commands.push(command);
            }
        }
        (parser, sequence, commands)
    }

    #[test]
    fn what_is_pending_brings_a_new_parser_to_the_same_place() {
        let cases = [
            ("\u{1b}", "[31mx"),
            ("\u{1b}(", "0x"),
            ("\u{1b}[", "2J"),
            ("\u{1b}[1;3\n", "1mx"),
            ("\u{1b}[?10", "49h"),
            ("\u{9b}3", "1mx"),
            ("\u{1b}[1 ", "q"),
            ("\u{1b}]0;ti", "tle\u{7}x"),
            ("\u{1b}]133;", "C\u{1b}\\x"),
            ("\u{1b}]0;old\u{1b}", "[31mx"),
            ("\u{1b}Pq####", "x\u{1b}\\y"),
            ("\u{1b}_apc", "x\u{1b}\\y"),
            ("\u{1b}[:1", "mx"),
            ("\u{1b}Pabc\u{9d}2;a", "b\u{9c}x"),
        ];
        for (first, rest) in cases {
            let (mut parser, sequence, _) = feed(first);
            let (mut again, ..) = feed(sequence.pending());
            assert_eq!(parser.state, again.state, "{first:?}");
            for character in rest.chars() {
                assert_eq!(parser.feed(character), again.feed(character), "{first:?} {rest:?}");
            }
        }
    }

    #[test]
    fn titles_are_heard_however_they_end() {
        for end in ["\u{7}", "\u{1b}\\", "\u{9c}"] {
            let (_, sequence, commands) = feed(&format!("a\u{1b}]2;made ünder vim{end}"));
            assert_eq!(commands, ["2;made ünder vim"]);
            assert_eq!(sequence.pending(), "");
        }
        assert_eq!(title_of("2;a;b"), Some("a;b"));
        assert_eq!(title_of("1;icon"), None);
        // Cancelled in the middle: nobody's title.
        assert!(feed("\u{1b}]2;half\u{18}").2.is_empty());
    }

    #[test]
    fn nothing_grows_without_end() {
        let long = "9".repeat(1 << 20);
        for start in ["\u{1b}]0;", "\u{1b}P", "\u{1b}^"] {
            let (_, sequence, _) = feed(&format!("{start}q{long}"));
            assert!(sequence.pending().len() <= COMMAND_BYTES_MAX + 2);
        }
        let mut parser = avt::Parser::new();
        let mut sequence = Sequence::default();
        let too_long = format!("\u{1b}[{long}").chars().position(|character| {
            let before = parser.state;
            parser.feed(character);
            sequence.follow(character, before, parser.state) == Heard::TooLong
        });
        assert_eq!(too_long, Some(SEQUENCE_CHARS_MAX));
    }
}
