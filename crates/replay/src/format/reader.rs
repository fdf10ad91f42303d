//! The one reader behind which all formats stand; what must hold for each of them is made to hold here.

use super::damage::{Damage, Reason};
use super::event::{Event, Format, Header};
use super::source::{Part, Source};
use super::{asciicast, script, sudo, tlog, ttyrec};

/// Most parts that one recording may have.
pub const PARTS_MAX: usize = 64;

/// Reads the events of one recording, in order, with bounded memory.
///
/// Times never fall: where a recorder's clock went back, its events are held at the time reached and a notice says so.
pub struct Reader<'a> {
    header: Header,
    events: Box<dyn Events + Send + 'a>,
    at_us: u64,
    notices: Notices,
    ended: Option<Option<Damage>>,
}

/// What each format does: give the next event, with its time as the format tells it.
pub(super) trait Events {
    /// `None` at the end. Not called again after the end or damage.
    fn next(&mut self, notices: &mut Notices) -> Result<Option<Event>, Damage>;
}

/// What a format makes of its parts: the header, and what gives the events.
pub(super) type Opened<'a> = (Header, Box<dyn Events + Send + 'a>);

/// Things that are missing although reading goes on. Each kind is kept once for each part, so there are few.
#[derive(Default)]
pub(super) struct Notices {
    list: Vec<Damage>,
    at_us: u64,
}

impl Notices {
    pub(super) fn add(&mut self, damage: Damage) {
        if !self.list.iter().any(|known| known.part == damage.part && known.reason == damage.reason) {
            self.list.push(Damage { at_us: self.at_us, ..damage });
        }
    }
}

impl<'a> Reader<'a> {
    /// Reads the header. Parts that are packed with gzip are unpacked; names matter for `script` and sudo only, and only
    /// where the content does not tell which part is which.
    ///
    /// # Errors
    /// The recording is damaged before its first event.
    pub fn open(format: Format, parts: Vec<Part<'a>>) -> Result<Reader<'a>, Damage> {
        Reader::open_with(parts, |parts, notices| match format {
            Format::AsciicastV1 | Format::AsciicastV2 | Format::AsciicastV3 => {
                asciicast::open(format, only(parts)?, notices)
            }
            Format::Ttyrec => ttyrec::open(only(parts)?),
            Format::Script => script::open(parts, notices),
            Format::SudoIolog => sudo::open(parts, notices),
            Format::Tlog => tlog::open(only(parts)?, &tlog::Choice::default(), notices),
        })
    }

    /// Reads one recording of a part that may hold several, see [`tlog::recordings`].
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_tlog(part: Part<'a>, choice: &tlog::Choice) -> Result<Reader<'a>, Damage> {
        Reader::open_with(vec![part], |parts, notices| tlog::open(only(parts)?, choice, notices))
    }

    fn open_with(
        parts: Vec<Part<'a>>,
        open: impl FnOnce(Vec<Source<'a>>, &mut Notices) -> Result<Opened<'a>, Damage>,
    ) -> Result<Reader<'a>, Damage> {
        if parts.len() > PARTS_MAX {
            let detail = format!("{} parts were given, {PARTS_MAX} is the most", parts.len());
            return Err(Damage { part: String::new(), offset: 0, at_us: 0, reason: Reason::TooLarge, detail });
        }
        let sources = parts.into_iter().map(Source::open).collect::<Result<Vec<_>, _>>()?;
        let mut notices = Notices::default();
        let (header, events) = open(sources, &mut notices)?;
        Ok(Reader { header, events, at_us: 0, notices, ended: None })
    }

    /// What the recording says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was found missing so far although reading goes on: each kind once for each part, in the order found.
    pub fn notices(&self) -> &[Damage] {
        &self.notices.list
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The recording is damaged here; everything before was given. The same damage is returned ever after.
    #[expect(clippy::should_implement_trait, reason = "an iterator ends after an error; this keeps giving it")]
    pub fn next(&mut self) -> Result<Option<Event>, Damage> {
        if let Some(ended) = &self.ended {
            return ended.clone().map_or(Ok(None), Err);
        }
        self.notices.at_us = self.at_us;
        match self.events.next(&mut self.notices) {
            Ok(Some(mut event)) => {
                if event.at_us < self.at_us {
                    let detail = format!("{} µs after {} µs; held there", event.at_us, self.at_us);
                    let part = String::new();
                    self.notices.add(Damage { part, offset: 0, at_us: 0, reason: Reason::TimeFell, detail });
                    event.at_us = self.at_us;
                }
                self.at_us = event.at_us;
                Ok(Some(event))
            }
            Ok(None) => {
                self.ended = Some(None);
                Ok(None)
            }
            Err(damage) => {
                let damage = Damage { at_us: self.at_us, ..damage };
                self.ended = Some(Some(damage.clone()));
                Err(damage)
            }
        }
    }
}

fn only(mut parts: Vec<Source<'_>>) -> Result<Source<'_>, Damage> {
    if let [_] = parts.as_slice() {
        return Ok(parts.remove(0));
    }
    let (part, reason) = match parts.get(1) {
        Some(second) => (second.name().to_owned(), Reason::LeftOver),
        None => (String::new(), Reason::MissingPart),
    };
    let detail = format!("this format has one part, {} were given", parts.len());
    Err(Damage { part, offset: 0, at_us: 0, reason, detail })
}
