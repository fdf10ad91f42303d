//! Looking into recordings: what was on the screen, when, and a picture of it. Each look is an event of the trail first.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use replay::file::{Replay, Shown};
use replay::picture::{self, Fonts, Style};
use replay::ranged::{FileError, Ranged};
use replay::screen::Screen;
use replay::span::file::Spans;
use replay::span::{Kind, Span};
use search::content::{Content, ContentQuery};

use super::access::Access;
use super::indexing::{self, Summary};
use super::{Session, SessionId};
use crate::access::Principal;
use crate::error::{Error, Result};
use crate::model::{OrgId, time};
use crate::service::Service;

/// Recordings that are kept open, the ones looked at last. Each is a few files and their directories.
const OPEN_MAX: usize = 64;

/// Most hits of one search.
pub const HITS_MAX: usize = 10_000;

/// Whether the texts of a recording can be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It is not over yet.
    Recording,
    /// It is over, and its index will be there when somebody asks, or before.
    Pending,
    /// It is there.
    Indexed(Box<Summary>),
}

/// A text that matches, with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ContentHit {
    /// The text, its screens and times.
    pub span: Span,
    /// How well it matches.
    pub score: f32,
    /// When it came on the screen.
    pub appeared_at: Timestamp,
    /// When it was gone.
    pub disappeared_at: Timestamp,
}

/// What is looked for in a session.
#[derive(Clone, Debug)]
pub struct ContentSearch {
    /// What.
    pub query: ContentQuery,
    /// Which of the texts that match are given, the best being at 0; none beyond [`HITS_MAX`].
    pub places: Range<usize>,
    /// The query as the reader wrote it, for the trail.
    pub what: String,
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContentHits {
    /// How many texts match.
    pub total: u64,
    /// Those that were asked for, best first; ties among them in the order in which they came on the screen.
    pub hits: Vec<ContentHit>,
}

/// A moment of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When the screen of this number was there; they count from 1.
    Screen(u64),
    /// So many microseconds after the start; later than the end is the end.
    At(u64),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Screen(number) => write!(f, "screen {number}"),
            Moment::At(at_us) => write!(f, "screen at {at_us} us"),
        }
    }
}

/// A picture of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub png: Vec<u8>,
    /// The last screen that was numbered up to then; 0 before the first.
    pub screen: u64,
    /// When the last event up to then happened, in microseconds after the start.
    pub at_us: u64,
}

/// A recording from a moment on.
pub struct SessionReplay {
    /// Whose.
    pub session: Session,
    from_us: u64,
    until_us: Option<u64>,
    shown: Shown,
    opened: Arc<Opened>,
}

impl SessionReplay {
    /// The screen at the beginning.
    pub fn screen(&self) -> &Screen {
        &self.shown.screen
    }

    /// From when on, in microseconds after the start.
    pub fn from_us(&self) -> u64 {
        self.from_us
    }

    /// Gives every event after the beginning to `each`, in order, until that says no. Blocks; holds one block of the file.
    ///
    /// # Errors
    /// `Corrupt`: the projection does not read.
    pub fn each(&self, each: &mut dyn FnMut(&replay::format::Event) -> bool) -> Result<()> {
        let events = self.opened.replay.events(self.from_us.saturating_add(1)).map_err(|error| broken(&error))?;
        for event in events {
            let event = event.map_err(|error| broken(&error))?;
            if self.until_us.is_some_and(|until_us| event.at_us > until_us) || !each(&event) {
                break;
            }
        }
        Ok(())
    }
}

/// A recording that is open.
pub(crate) struct Opened {
    summary: Summary,
    content: Content,
    spans: Spans<Stored>,
    replay: Replay<Stored>,
}

impl Opened {
    /// The recording, any moment of which opens with one read.
    pub(super) fn replay(&self) -> &Replay<Stored> {
        &self.replay
    }
}

/// What is needed to look into recordings.
pub(crate) struct Looking {
    open: Mutex<VecDeque<(SessionId, Arc<Opened>)>>,
    /// Recordings that are being indexed: whoever comes second waits for the first.
    turns: Vec<tokio::sync::Mutex<()>>,
    fonts: Arc<Fonts>,
}

/// Recordings that can be indexed at once; each takes one core and some memory.
const TURNS: usize = 2;

impl Looking {
    /// `fonts`: what pictures are drawn with, if not with the built-in ones.
    pub fn new(fonts: Option<Arc<Fonts>>) -> Looking {
        Looking {
            open: Mutex::default(),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect(),
            fonts: fonts.unwrap_or_else(|| Arc::new(Fonts::built_in())),
        }
    }

    /// Waits until nobody makes or removes the projection of this session, and keeps others from it.
    pub async fn turn(&self, session: SessionId) -> tokio::sync::MutexGuard<'_, ()> {
        let bytes = session.as_bytes();
        self.turns[usize::from(bytes[bytes.len() - 1]) % TURNS].lock().await
    }

    /// Forgets a recording, because its files are going to be others.
    pub fn forget(&self, session: SessionId) {
        self.open.lock().retain(|(id, _)| *id != session);
    }
}

impl Service {
    /// Whether a session's texts can be searched. Looks at one small file. Blocks.
    pub fn session_index(&self, session: &Session) -> Result<IndexState> {
        if session.is_active() {
            return Ok(IndexState::Recording);
        }
        let found = self.current_summary(session.part, session.id)?;
        Ok(found.map_or(IndexState::Pending, |summary| IndexState::Indexed(Box::new(summary))))
    }

    /// Indexes a recording that is over, if that was not done.
    pub async fn ensure_indexed(&self, session: &Session) -> Result<Summary> {
        Ok(self.opened(session).await?.summary.clone())
    }

    /// Searches what was on the screen of a session. What matches equally well keeps its place from one call to the next.
    ///
    /// # Errors
    /// `NotFound`: no such session. `Conflict`: it is still being recorded.
    pub async fn search_content(
        &self,
        who: &Principal,
        org: OrgId,
        id: SessionId,
        search: ContentSearch,
    ) -> Result<ContentHits> {
        let session = self.look(who, org, id, Access::View { what: search.what }).await?;
        self.find_content(&session, search.query, search.places).await
    }

    /// As [`Service::search_content`], for whoever is allowed already and has recorded it.
    pub(super) async fn find_content(
        &self,
        session: &Session,
        query: ContentQuery,
        places: Range<usize>,
    ) -> Result<ContentHits> {
        let (opened, session) = (self.opened(session).await?, session.clone());
        blocking(move || find(&opened, &session, &query, places)).await
    }

    /// Whether anything on the screen of a session matches: for lists of sessions, so it is no look at the recording. Blocks.
    pub fn content_matches(&self, session: &Session, query: &ContentQuery) -> Result<bool> {
        if session.is_active() {
            return Ok(false);
        }
        let runtime = tokio::runtime::Handle::current();
        let opened = runtime.block_on(self.opened(session))?;
        let found = opened.content.search(query, 1).map_err(|error| damaged(&error.to_string()))?;
        Ok(found.total > 0)
    }

    /// The commands and titles of a session, in the order in which they came.
    pub async fn session_commands(&self, who: &Principal, org: OrgId, id: SessionId) -> Result<Vec<ContentHit>> {
        let session = self.look(who, org, id, Access::View { what: "commands".to_owned() }).await?;
        let opened = self.opened(&session).await?;
        blocking(move || {
            let mut found = Vec::new();
            for span in opened.spans.iter() {
                let (_, span) = span.map_err(|error| broken(&error))?;
                if span.kind != Kind::Text {
                    found.push(hit(&session, span, 0.0));
                }
            }
            found.sort_by_key(|hit| (hit.span.appeared_us, hit.span.first));
            Ok(found)
        })
        .await
    }

    /// What there is to say of a session's recording; its screens have the numbers from 1 on.
    pub async fn session_summary(&self, who: &Principal, org: OrgId, id: SessionId) -> Result<Summary> {
        let session = self.find_for(who, org, id).await?;
        Ok(self.opened(&session).await?.summary.clone())
    }

    /// Records that a picture of a screen, drawn before, is shown again; to be called before it is.
    pub async fn show_picture_again(&self, who: &Principal, org: OrgId, id: SessionId, number: u64) -> Result<()> {
        self.look(who, org, id, Access::Screenshot { screen: number }).await.map(drop)
    }

    /// The picture of a moment, a PNG; the same bytes each time. `None`: there is no screen of that number.
    ///
    /// # Errors
    /// `NotFound`: no such session. `Conflict`: it is still being recorded. `TooLarge`: a screen of that size is not drawn.
    pub async fn session_picture(
        &self,
        who: &Principal,
        org: OrgId,
        id: SessionId,
        moment: Moment,
    ) -> Result<Option<Picture>> {
        let session = self.find_for(who, org, id).await?;
        let opened = self.opened(&session).await?;
        let Some(shown) = blocking(move || show(&opened, moment)).await? else { return Ok(None) };
        self.record_access(who, &session, Access::Screenshot { screen: shown.number }).await?;
        let service = self.clone();
        blocking(move || {
            let fonts = &service.recordings().looking.fonts;
            let png = picture::draw_screen(&shown.screen, fonts, &Style::default());
            let png = png.map_err(|error| Error::too_large(error.to_string()))?;
            Ok(Some(Picture { png, screen: shown.number, at_us: shown.at_us }))
        })
        .await
    }

    /// The screen of a moment. `None`: there is no screen of that number.
    ///
    /// # Errors
    /// `NotFound`: no such session. `Conflict`: it is still being recorded.
    pub async fn session_screen(
        &self,
        who: &Principal,
        org: OrgId,
        id: SessionId,
        moment: Moment,
    ) -> Result<Option<Shown>> {
        let session = self.look(who, org, id, Access::View { what: moment.to_string() }).await?;
        let opened = self.opened(&session).await?;
        blocking(move || show(&opened, moment)).await
    }

    /// A recording from a moment on: how the screen was then, and what came after it, up to `until_us` if that is given.
    ///
    /// # Errors
    /// `NotFound`: no such session. `Conflict`: it is still being recorded.
    pub async fn session_replay(
        &self,
        who: &Principal,
        org: OrgId,
        id: SessionId,
        from_us: u64,
        until_us: Option<u64>,
    ) -> Result<SessionReplay> {
        let what = match until_us {
            None => format!("replay from {from_us} us"),
            Some(until_us) => format!("replay from {from_us} to {until_us} us"),
        };
        let session = self.look(who, org, id, Access::View { what }).await?;
        let opened = self.opened(&session).await?;
        blocking(move || {
            let shown = opened.replay.at_time(from_us).map_err(|error| broken(&error))?;
            Ok(SessionReplay { session, from_us, until_us, shown, opened })
        })
        .await
    }

    async fn find_for(&self, who: &Principal, org: OrgId, id: SessionId) -> Result<Session> {
        let (service, asking) = (self.clone(), who.clone());
        let session = blocking(move || service.session(&asking, org, id)).await?;
        match session.is_active() {
            true => Err(Error::conflict("the session is still being recorded; it can be searched when it is over")),
            false => Ok(session),
        }
    }

    /// Finds a session and records that it is looked at.
    pub(super) async fn look(&self, who: &Principal, org: OrgId, id: SessionId, access: Access) -> Result<Session> {
        let session = self.find_for(who, org, id).await?;
        self.record_access(who, &session, access).await?;
        Ok(session)
    }

    /// The files of a session's projection; made if they are not there.
    pub(super) async fn opened(&self, session: &Session) -> Result<Arc<Opened>> {
        let looking = &self.recordings().looking;
        let (service, of) = (self.clone(), session.clone());
        let chunks = blocking(move || service.chunks_known(of.part, of.id)).await?;
        if let Some(opened) = looking.find(session.id, chunks) {
            return Ok(opened);
        }
        let _turn = looking.turn(session.id).await;
        if let Some(opened) = looking.find(session.id, chunks) {
            return Ok(opened);
        }
        let (service, session) = (self.clone(), session.clone());
        let runtime = tokio::runtime::Handle::current();
        blocking(move || {
            let folder = indexing::folder(service.data(), session.part.log, session.id);
            if service.current_summary(session.part, session.id)?.is_none() {
                service.index_session(&session, &runtime)?;
            }
            let opened = match open(&folder) {
                Ok(opened) => opened,
                Err(error) => {
                    // A projection that does not read is made again; if that one does not either, it is no accident.
                    tracing::warn!(session = %session.id, %error, "the projection of a recording is made again");
                    service.index_session(&session, &runtime)?;
                    open(&folder)?
                }
            };
            let opened = Arc::new(opened);
            service.recordings().looking.keep(session.id, Arc::clone(&opened));
            Ok(opened)
        })
        .await
    }
}

impl Looking {
    /// One that was made of so many chunks; of fewer or more it is out of date.
    fn find(&self, session: SessionId, chunks: u64) -> Option<Arc<Opened>> {
        let mut open = self.open.lock();
        let at = open.iter().position(|(id, opened)| *id == session && opened.summary.chunks == chunks)?;
        let found = open.remove(at)?;
        let opened = Arc::clone(&found.1);
        open.push_back(found);
        Some(opened)
    }

    fn keep(&self, session: SessionId, opened: Arc<Opened>) {
        let mut open = self.open.lock();
        open.retain(|(id, _)| *id != session);
        if open.len() == OPEN_MAX {
            open.pop_front();
        }
        open.push_back((session, opened));
    }
}

fn open(folder: &std::path::Path) -> Result<Opened> {
    let summary = indexing::summary(folder).ok_or_else(|| damaged("the summary of a recording is gone"))?;
    let stored = |name: &str| File::open(folder.join(name)).map(Stored).map_err(|error| broken(&error.into()));
    Ok(Opened {
        summary,
        content: Content::open(&folder.join("content")).map_err(|error| damaged(&error.to_string()))?,
        spans: Spans::open(stored("spans")?).map_err(|error| broken(&error))?,
        replay: Replay::open(stored("replay")?).map_err(|error| broken(&error))?,
    })
}

fn show(opened: &Opened, moment: Moment) -> Result<Option<Shown>> {
    match moment {
        Moment::Screen(number) => opened.replay.at_screen(number).map_err(|error| broken(&error)),
        Moment::At(at_us) => opened.replay.at_time(at_us).map(Some).map_err(|error| broken(&error)),
    }
}

fn find(opened: &Opened, session: &Session, query: &ContentQuery, places: Range<usize>) -> Result<ContentHits> {
    let limit = places.end.min(HITS_MAX);
    let found = opened.content.search(query, limit).map_err(|error| damaged(&error.to_string()))?;
    let mut hits = Vec::new();
    for one in found.hits.into_iter().skip(places.start) {
        let span = opened.spans.get(one.payload).map_err(|error| broken(&error))?;
        hits.push(hit(session, span, one.score));
    }
    // Best first; what matches equally well in the order in which it came.
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.span.first.cmp(&b.span.first)));
    Ok(ContentHits { total: found.total, hits })
}

fn hit(session: &Session, span: Span, score: f32) -> ContentHit {
    let start_us = u64::try_from(time::micros(session.started_at)).unwrap_or(0);
    let at = |since_us: u64| time::from_micros(start_us.saturating_add(since_us));
    ContentHit { appeared_at: at(span.appeared_us), disappeared_at: at(span.disappeared_us), score, span }
}

fn damaged(what: &str) -> Error {
    Error::corrupt("the projection of this recording does not read; ask for it to be rebuilt", what.to_owned())
}

pub(super) fn broken(error: &FileError) -> Error {
    damaged(&error.to_string())
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    super::read::blocking(work).await
}

/// A file of the projection.
pub(crate) struct Stored(pub(super) File);

impl Ranged for Stored {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}
