//! A stretch of a recording as a player needs it: a terminal to begin with, and what happened from there on.

use replay::cell::Size;
use replay::file::Replay;
use replay::format::What;
use replay::ranged::Ranged;
use replay::screen::Screen;

use super::access::Access;
use super::looking::{blocking, broken};
use super::{Session, SessionId};
use crate::access::Principal;
use crate::error::Result;
use crate::model::OrgId;
use crate::service::Service;

/// A stretch of a recording. Times are microseconds since its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playback {
    /// When the stretch begins.
    pub start_us: u64,
    /// The terminal's size then.
    pub columns: u16,
    /// See `columns`.
    pub rows: u16,
    /// The window title then.
    pub title: Option<String>,
    /// Text and control sequences that bring a blank terminal of that size to where it was.
    pub terminal: String,
    /// The last numbered screen up to there; 0 before the first.
    pub screen: u64,
    /// What happened, in order.
    pub events: Vec<PlaybackEvent>,
    /// Where the next stretch begins; `None` at the end.
    pub next_us: Option<u64>,
    /// When the last event of the recording happened.
    pub duration_us: u64,
    /// Numbered screens of the recording.
    pub screens: u64,
    /// The session is still being recorded: what is told as its end is how far it came.
    pub is_active: bool,
    /// Bytes of the recording that this was made of. Fewer than there are: the rest comes when one asks again.
    pub bytes: u64,
}

impl Playback {
    /// Of a recording of which nothing was played yet.
    pub(super) fn empty(size: Size) -> Playback {
        let screen = Screen::new(size);
        Playback {
            start_us: 0,
            columns: size.columns(),
            rows: size.rows(),
            title: None,
            terminal: screen.dump(),
            screen: 0,
            events: Vec::new(),
            next_us: None,
            duration_us: 0,
            screens: 0,
            is_active: false,
            bytes: 0,
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybackEvent {
    /// When.
    pub at_us: u64,
    /// What. Bytes come as text: characters split between two events are joined in the later one, bytes that are no UTF-8 are
    /// U+FFFD.
    pub what: PlaybackWhat,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaybackWhat {
    /// The program wrote.
    Output(String),
    /// The user typed.
    Input(String),
    /// The terminal has another size.
    Resize(u16, u16),
    /// Somebody set a mark.
    Marker(String),
    /// The program ended with this status.
    Exit(i64),
}

impl Service {
    /// The stretch of a session's recording in which a time lies; a time past the end gives the last. One read, however long
    /// the recording is; of a session that is still being recorded, what came since it was asked for last is played first. That it
    /// was looked at is an event.
    ///
    /// # Errors
    /// `NotFound`: no such session. `Conflict`: it is still being recorded, in several files. `Overloaded`: too many running
    /// sessions are followed.
    pub async fn session_playback(&self, who: &Principal, org: OrgId, id: SessionId, at_us: u64) -> Result<Playback> {
        let (service, asking) = (self.clone(), who.clone());
        let session: Session = blocking(move || service.session(&asking, org, id)).await?;
        self.record_access(who, &session, Access::View { what: format!("playback at {at_us}") }).await?;
        if session.is_active() {
            return self.live_playback(&session, at_us).await;
        }
        let opened = self.opened(&session).await?;
        blocking(move || Ok(Playback { bytes: session.bytes, ..played(opened.replay(), at_us)? })).await
    }
}

/// The stretch of a replay file in which a time lies.
pub(super) fn played<R: Ranged>(replay: &Replay<R>, at_us: u64) -> Result<Playback> {
    let stretch = replay.stretch(at_us).map_err(|error| broken(&error))?;
    let screen = &stretch.screen;
    let mut output = screen.decoder();
    let mut input = replay::screen::Decoder::default();
    let text = |decoder: &mut replay::screen::Decoder, bytes: &[u8]| {
        let mut text = String::new();
        decoder.decode(bytes, &mut text);
        text
    };
    let mut events = Vec::with_capacity(stretch.events.len());
    for event in &stretch.events {
        let what = match &event.what {
            What::Output(bytes) => PlaybackWhat::Output(text(&mut output, bytes)),
            What::Input(bytes) => PlaybackWhat::Input(text(&mut input, bytes)),
            What::Resize(size) => PlaybackWhat::Resize(size.columns(), size.rows()),
            What::Marker(label) => PlaybackWhat::Marker(label.clone()),
            What::Exit(status) => PlaybackWhat::Exit(*status),
            // What a format has beyond that does nothing to a terminal.
            What::Other { .. } => continue,
        };
        events.push(PlaybackEvent { at_us: event.at_us, what });
    }
    let size = screen.size();
    Ok(Playback {
        start_us: stretch.start_us,
        columns: size.columns(),
        rows: size.rows(),
        title: screen.title().map(str::to_owned),
        terminal: screen.dump(),
        screen: stretch.number,
        events,
        next_us: stretch.next_us,
        duration_us: replay.duration_us(),
        screens: replay.screens(),
        is_active: false,
        bytes: 0,
    })
}
