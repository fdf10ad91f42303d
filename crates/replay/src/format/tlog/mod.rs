//! tlog: JSON messages, each with some milliseconds of a recording.
//!
//! Messages stand one on a line, or in the `MESSAGE` field of a journal export, or as text behind the prefix of a syslog
//! line; others stand between them. Several recordings may be interleaved in one part; each is known by its `rec`. Messages
//! of one recording are put in order by `id`, within a window of [`WINDOW_MESSAGES_MAX`] and [`WINDOW_BYTES_MAX`].
//!
//! Source: tlog's `doc/log_format.md` (2.1 to 2.3) and its sample journals.

mod carrier;
mod message;

use std::collections::{BTreeMap, VecDeque};

use super::damage::{Damage, Reason};
use super::event::{Event, Format, Header, What};
use super::reader::{Events, Notices, Opened};
use super::source::{Part, Source};
use crate::cell::Size;
use carrier::Carrier;
use message::Message;

/// Most messages that are held while an earlier one is missing.
pub const WINDOW_MESSAGES_MAX: usize = 1024;
/// Most bytes of them.
pub const WINDOW_BYTES_MAX: usize = 32 << 20;
/// Most recordings that [`recordings`] tells apart in one part.
pub const RECORDINGS_MAX: usize = 10_000;

/// What to read of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The recording's `rec`; without it the one whose message comes first.
    pub recording: Option<String>,
    /// Goes on behind a missing message, with a notice, instead of ending there.
    pub over_gaps: bool,
}

/// One of the recordings in a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Its name, for [`Choice::recording`].
    pub recording: String,
    /// Who was recorded.
    pub user: Option<String>,
    /// Where.
    pub host: Option<String>,
    /// How many of its messages the part holds.
    pub messages: u64,
}

/// Lists the recordings of a part, in the order of their first messages, reading all of it.
///
/// # Errors
/// The part cannot be read to its end, or holds more than [`RECORDINGS_MAX`]. What was found before is given as well.
pub fn recordings(part: Part<'_>) -> (Vec<Recording>, Result<(), Damage>) {
    let mut found: Vec<Recording> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let outcome = Source::open(part).and_then(Carrier::open).and_then(|mut carrier| {
        while let Some(message) = carrier.next()? {
            if let Some(place) = places.get(&message.rec) {
                found[*place].messages += 1;
                continue;
            }
            if found.len() == RECORDINGS_MAX {
                return Err(carrier.damage(Reason::TooLarge, format!("more than {RECORDINGS_MAX} recordings")));
            }
            places.insert(message.rec.clone(), found.len());
            found.push(Recording { recording: message.rec, user: message.user, host: message.host, messages: 1 });
        }
        Ok(())
    });
    (found, outcome)
}

struct Ordered<'a> {
    carrier: Carrier<'a>,
    recording: String,
    over_gaps: bool,
    next_id: u64,
    /// Messages that came before their turn, by id.
    window: BTreeMap<u64, Message>,
    window_bytes: usize,
    /// Events of the message whose turn it is.
    events: VecDeque<Event>,
    /// What is wrong with that message behind these events.
    fault: Option<Damage>,
    size: Option<Size>,
}

pub(super) fn open<'a>(source: Source<'a>, choice: &Choice, notices: &mut Notices) -> Result<Opened<'a>, Damage> {
    let mut carrier = Carrier::open(source)?;
    let first = loop {
        match carrier.next()? {
            Some(message) if choice.recording.as_ref().is_none_or(|wanted| *wanted == message.rec) => break message,
            Some(_) => {
                notices.add(carrier.damage(Reason::OtherRecordings, "messages of other recordings stand between"))
            }
            None => {
                return Err(carrier.damage(Reason::BadHeader, "the part holds no message of tlog that was asked for"));
            }
        }
    };
    let mut ordered = Ordered {
        carrier,
        recording: first.rec.clone(),
        over_gaps: choice.over_gaps,
        next_id: 1,
        window: BTreeMap::new(),
        window_bytes: 0,
        events: VecDeque::new(),
        fault: None,
        size: None,
    };
    ordered.keep(first, notices);
    // The header is that of the first message in order, which may not be the first in the part.
    let fault = ordered.advance(notices).err();
    let header = ordered.header();
    ordered.fault = ordered.fault.or(fault);
    Ok((header, Box::new(ordered)))
}

impl Events for Ordered<'_> {
    fn next(&mut self, notices: &mut Notices) -> Result<Option<Event>, Damage> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            match self.window.remove(&self.next_id) {
                Some(message) => self.unfold(message),
                None if !self.advance(notices)? => return Ok(None),
                None => {}
            }
        }
    }
}

impl Ordered<'_> {
    /// Reads on until the next message in order is in the window. `false`: there is none, the recording is at its end.
    fn advance(&mut self, notices: &mut Notices) -> Result<bool, Damage> {
        while !self.window.contains_key(&self.next_id) {
            let full = self.window.len() >= WINDOW_MESSAGES_MAX || self.window_bytes >= WINDOW_BYTES_MAX;
            let message = if full { None } else { self.carrier.next()? };
            match message {
                Some(message) if message.rec == self.recording => self.keep(message, notices),
                Some(_) => {
                    notices.add(
                        self.carrier.damage(Reason::OtherRecordings, "messages of other recordings stand between"),
                    );
                }
                None => {
                    let Some((&id, waiting)) = self.window.first_key_value() else {
                        return Ok(false);
                    };
                    let missing = if id == self.next_id + 1 {
                        format!("message {} is missing", self.next_id)
                    } else {
                        format!("messages {} to {} are missing", self.next_id, id - 1)
                    };
                    let damage =
                        Damage { offset: waiting.offset, ..self.carrier.damage(Reason::MissingMessage, missing) };
                    if !self.over_gaps {
                        return Err(damage);
                    }
                    notices.add(damage);
                    self.next_id = id;
                }
            }
        }
        Ok(true)
    }

    fn keep(&mut self, message: Message, notices: &mut Notices) {
        if message.id < self.next_id || self.window.contains_key(&message.id) {
            let detail = format!("message {} came again", message.id);
            notices.add(self.carrier.damage(Reason::LeftOver, detail));
            return;
        }
        self.window_bytes += message.bytes();
        self.window.insert(message.id, message);
    }

    fn unfold(&mut self, message: Message) {
        self.window_bytes -= message.bytes();
        self.next_id = message.id + 1;
        let (events, fault) = message.events();
        // Every message repeats the size; only a change is an event.
        for event in events {
            if let What::Resize(size) = event.what
                && self.size.replace(size) == Some(size)
            {
                continue;
            }
            self.events.push_back(event);
        }
        self.fault =
            fault.map(|(reason, detail)| Damage { offset: message.offset, ..self.carrier.damage(reason, detail) });
    }

    /// Of the earliest message at hand.
    fn header(&mut self) -> Header {
        let mut header = Header { recording: Some(self.recording.clone()), ..Header::new(Format::Tlog) };
        if let Some((_, first)) = self.window.first_key_value() {
            header.size = first.size();
            header.started_at_us = first.started_at_us();
            header.user = first.user.clone();
            header.host = first.host.clone();
            header.terminal_type = first.term.clone();
        }
        self.size = header.size;
        header
    }
}

/// Whether a file begins like something that carries messages of tlog.
pub(super) fn looks_like(begin: &[u8]) -> bool {
    carrier::looks_like_journal(begin) || carrier::looks_like_messages(begin)
}
