//! One message: its JSON, and what its `timing` makes of its texts.

use serde::Deserialize;
use serde_json::Value;

use crate::cell::Size;
use crate::format::damage::{Fault, Reason};
use crate::format::event::{Event, What};
use crate::format::seconds;

/// What is in the JSON, and where it came from. Fields that we do not know are left alone, as the format asks.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    ver: Value,
    pub(super) rec: String,
    pub(super) id: u64,
    /// Milliseconds from the start of the recording.
    pos: u64,
    timing: String,
    pub(super) host: Option<String>,
    pub(super) user: Option<String>,
    pub(super) term: Option<String>,
    /// Seconds since the epoch at `pos` (from 2.3 on).
    time: Option<f64>,
    #[serde(default)]
    in_txt: String,
    #[serde(default)]
    in_bin: Vec<u8>,
    #[serde(default)]
    out_txt: String,
    #[serde(default)]
    out_bin: Vec<u8>,
    /// Where the message stands in its part.
    #[serde(skip)]
    pub(super) offset: u64,
    /// When the journal took it, microseconds since the epoch.
    #[serde(skip)]
    pub(super) logged_at_us: Option<u64>,
}

impl Message {
    pub(super) fn parse(text: &str) -> Result<Message, Fault> {
        let message: Message = serde_json::from_str(text)
            .map_err(|error| (Reason::BadRecord, format!("not a message of tlog: {error}")))?;
        let major = match &message.ver {
            Value::String(text) => text.split('.').next().and_then(|major| major.parse().ok()),
            other => other.as_u64(),
        };
        match major {
            Some(1 | 2) => Ok(message),
            _ => Err((Reason::BadHeader, format!("version {} of the message format is not known", message.ver))),
        }
    }

    /// Roughly what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.timing, &self.in_txt, &self.out_txt].map(String::len);
        texts.iter().sum::<usize>() + self.in_bin.len() + self.out_bin.len() + size_of::<Message>()
    }

    /// The size at its begin, if it tells.
    pub(super) fn size(&self) -> Option<Size> {
        match Records::new(&self.timing).next()? {
            Ok(Record::Window(size)) => Some(size),
            _ => None,
        }
    }

    /// When the recording began. Without `time` the moment when the journal took the message is the best guess, late by up
    /// to tlog's latency (ten seconds unless configured otherwise).
    pub(super) fn started_at_us(&self) -> Option<u64> {
        let pos_us = self.pos.checked_mul(1000)?;
        let by_itself =
            self.time.filter(|time| *time >= 0.0).map(|time| ((time * 1000.0).round() as u64).saturating_mul(1000));
        if by_itself.is_some() {
            return by_itself?.checked_sub(pos_us);
        }
        let length_us = Records::new(&self.timing)
            .map_while(Result::ok)
            .map(|record| if let Record::Delay(pause_us) = record { pause_us } else { 0 })
            .try_fold(0, seconds::add)?;
        self.logged_at_us?.checked_sub(pos_us)?.checked_sub(length_us)
    }

    /// The events up to the first fault, and the fault. Neighbouring pieces of one stream at one moment (text, then bytes
    /// that are no text) are one event.
    pub(super) fn events(&self) -> (Vec<Event>, Option<Fault>) {
        let mut unfolding = Unfolding {
            at_us: 0,
            events: Vec::new(),
            input: Taking { text: &self.in_txt, bytes: &self.in_bin },
            output: Taking { text: &self.out_txt, bytes: &self.out_bin },
        };
        let fault = unfolding.run(self.pos, &self.timing).err();
        (unfolding.events, fault)
    }
}

/// What is left of the text and of the bytes of one direction.
struct Taking<'m> {
    text: &'m str,
    bytes: &'m [u8],
}

impl<'m> Taking<'m> {
    fn text(&mut self, characters: usize) -> Result<&'m [u8], Fault> {
        let mut ends = self.text.char_indices().map(|(at, _)| at).chain([self.text.len()]);
        let end = ends.nth(characters).ok_or_else(|| lacking(characters, "characters"))?;
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        Ok(taken.as_bytes())
    }

    fn bytes(&mut self, count: usize) -> Result<&'m [u8], Fault> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(|| lacking(count, "bytes"))?;
        self.bytes = rest;
        Ok(taken)
    }
}

fn lacking(count: usize, of: &str) -> Fault {
    (Reason::CutShort, format!("the timing speaks of {count} {of}, the message holds fewer"))
}

struct Unfolding<'m> {
    at_us: u64,
    events: Vec<Event>,
    input: Taking<'m>,
    output: Taking<'m>,
}

impl Unfolding<'_> {
    fn run(&mut self, pos: u64, timing: &str) -> Result<(), Fault> {
        let too_late = || (Reason::BadTime, "the message's time is beyond the limit".to_owned());
        let start_us = pos.checked_mul(1000).and_then(|pos_us| seconds::add(0, pos_us));
        self.at_us = start_us.ok_or_else(too_late)?;
        for record in Records::new(timing) {
            match record? {
                Record::Delay(pause_us) => self.at_us = seconds::add(self.at_us, pause_us).ok_or_else(too_late)?,
                Record::Window(size) => self.events.push(Event { at_us: self.at_us, what: What::Resize(size) }),
                Record::Text { input, characters } => {
                    let taken = if input { self.input.text(characters)? } else { self.output.text(characters)? };
                    self.give(input, taken);
                }
                Record::Binary { input, replaced, bytes } => {
                    let direction = if input { &mut self.input } else { &mut self.output };
                    direction.text(replaced)?;
                    let taken = direction.bytes(bytes)?;
                    self.give(input, taken);
                }
            }
        }
        let left = self.input.text.len() + self.input.bytes.len() + self.output.text.len() + self.output.bytes.len();
        if left > 0 {
            return Err((Reason::LeftOver, format!("the timing leaves {left} bytes of the message out")));
        }
        Ok(())
    }

    fn give(&mut self, input: bool, taken: &[u8]) {
        let last = self.events.last_mut().filter(|event| event.at_us == self.at_us).map(|event| &mut event.what);
        match (last, input) {
            (Some(What::Input(bytes)), true) | (Some(What::Output(bytes)), false) => bytes.extend_from_slice(taken),
            (_, true) => self.events.push(Event { at_us: self.at_us, what: What::Input(taken.to_vec()) }),
            (_, false) => self.events.push(Event { at_us: self.at_us, what: What::Output(taken.to_vec()) }),
        }
    }
}

/// One record of `timing`, or the delay before one.
enum Record {
    Delay(u64),
    Window(Size),
    Text {
        input: bool,
        characters: usize,
    },
    /// Bytes that are no text; `replaced` characters stand in the text in their place.
    Binary {
        input: bool,
        replaced: usize,
        bytes: usize,
    },
}

struct Records<'m> {
    rest: &'m str,
}

impl<'m> Records<'m> {
    fn new(timing: &'m str) -> Records<'m> {
        Records { rest: timing }
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }

    fn count(&mut self) -> Option<usize> {
        self.number().and_then(|number| usize::try_from(number).ok())
    }

    fn pair(&mut self, between: char) -> Option<(u64, u64)> {
        let first = self.number()?;
        self.rest = self.rest.strip_prefix(between)?;
        Some((first, self.number()?))
    }

    fn record(&mut self, kind: char) -> Option<Record> {
        Some(match kind {
            '+' => Record::Delay(self.number()?.checked_mul(1000)?),
            '<' | '>' => Record::Text { input: kind == '<', characters: self.count()? },
            '[' | ']' => {
                let (replaced, bytes) = self.pair('/')?;
                let (replaced, bytes) = (usize::try_from(replaced).ok()?, usize::try_from(bytes).ok()?);
                Record::Binary { input: kind == '[', replaced, bytes }
            }
            '=' => {
                let (columns, rows) = self.pair('x')?;
                Record::Window(Size::new(columns, rows)?)
            }
            _ => return None,
        })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = self.rest.chars().next()?;
        let shown: String = self.rest.chars().take(20).collect();
        self.rest = &self.rest[kind.len_utf8()..];
        let record = self.record(kind);
        if record.is_none() {
            self.rest = "";
        }
        let reason = if kind == '=' { Reason::BadSize } else { Reason::BadRecord };
        Some(record.ok_or_else(|| (reason, format!("{shown:?} is no timing"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(timing: &str, rest: &str) -> Message {
        let text = format!(r#"{{"ver":"2.3","rec":"r","id":1,"pos":1000,"timing":"{timing}"{rest}}}"#);
        Message::parse(&text).expect("the test's message is one")
    }

    fn show(message: &Message) -> (String, Option<Reason>) {
        let (events, fault) = message.events();
        let show = |event: &Event| match &event.what {
            What::Input(bytes) => format!("{}<{}", event.at_us / 1000, bytes.escape_ascii()),
            What::Output(bytes) => format!("{}>{}", event.at_us / 1000, bytes.escape_ascii()),
            What::Resize(size) => format!("{}={size}", event.at_us / 1000),
            other => panic!("tlog has no {other:?}"),
        };
        (events.iter().map(show).collect::<Vec<_>>().join(" "), fault.map(|(reason, _)| reason))
    }

    #[test]
    fn timing_deals_texts_and_bytes_out_over_time() {
        // The example of tlog's own documentation.
        let example = message(
            "=80x24<5+1>6+3>30+6>20",
            r#","in_txt":"date\r","out_txt":"date\r\nMon Nov 30 11:52:45 UTC 2015\r\n[johndoe@server ~]$ ""#,
        );
        let expected =
            r"1000=80x24 1000<date\r 1001>date\r\n 1004>Mon Nov 30 11:52:45 UTC 2015\r\n 1010>[johndoe@server ~]$ ";
        assert_eq!(show(&example), (expected.to_owned(), None));
    }

    #[test]
    fn characters_are_counted_not_bytes_and_scrubbed_bytes_come_back() {
        let mixed =
            message(">2]1/2>1+5[1/1", r#","out_txt":"żó\ufffd!","out_bin":[255,254],"in_txt":"\ufffd","in_bin":[3]"#);
        assert_eq!(show(&mixed), (r"1000>\xc5\xbc\xc3\xb3\xff\xfe! 1005<\x03".to_owned(), None));
    }

    #[test]
    fn a_timing_that_does_not_fit_the_texts_is_damage_behind_what_fits() {
        assert_eq!(show(&message(">1>5", r#","out_txt":"ab""#)), ("1000>a".to_owned(), Some(Reason::CutShort)));
        assert_eq!(show(&message(">1", r#","out_txt":"ab""#)), ("1000>a".to_owned(), Some(Reason::LeftOver)));
        assert_eq!(show(&message(">1?", r#","out_txt":"a""#)), ("1000>a".to_owned(), Some(Reason::BadRecord)));
        assert_eq!(show(&message("=0x4", "")), (String::new(), Some(Reason::BadSize)));
        assert_eq!(show(&message("+9999999999999999", "")), (String::new(), Some(Reason::BadTime)));
    }
}
