//! Sessions that are still being recorded, for players: each that somebody follows is read on as it grows.
//!
//! A thread plays the recording into a replay file that has no end yet; whoever asks gets the file as if it ended now. So a moment
//! costs what it costs of a recording that is over, and nothing is played twice. The file has no name and leaves with its thread:
//! when the session is over, when nobody asked for [`IDLE`], or when the service stops. What a running session holds is never
//! erased or pruned (`forget`), so nothing has to be forgotten here.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use replay::cell::Size;
use replay::file::{Replay, ReplayWriter};
use replay::format::{self, DETECT_BYTES, Format, Part, Reader};
use replay::index::{Indexer, Options};
use replay::ranged::Ranged;

use super::looking::{Stored, blocking, broken};
use super::playback::{Playback, played};
use super::{RecordingReader, Session, SessionId};
use crate::error::{Error, ErrorKind, Result};
use crate::service::Service;

/// Most running sessions that are followed at once; each is a thread, a file, and a screen in memory.
pub const LIVE_MAX: usize = 32;

/// How long a running session is read on although nobody asks for it.
const IDLE: Duration = Duration::from_secs(60);

/// How long an answer waits for what was recorded already to be played; then it tells how far it came.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a waiting thread looks whether the service stops.
const LOOK: Duration = Duration::from_millis(250);

/// Running sessions that are followed.
#[derive(Default)]
pub(crate) struct Lives(Mutex<HashMap<SessionId, Arc<Live>>>);

/// One of them.
pub(super) struct Live {
    state: Mutex<State>,
    /// Told of every change of `state`.
    changed: Condvar,
    /// `None` before the format and the header were read.
    indexer: Mutex<Option<Indexer<ReplayWriter<File>, ()>>>,
    /// What the indexer writes.
    file: File,
}

struct State {
    /// So many bytes of the recording may be read.
    known: u64,
    /// All that these first bytes tell was played.
    read: u64,
    /// Nobody wants it any more.
    is_left: bool,
    /// Why nothing is read any more: that is as far as the recording reads, or what it failed with.
    ended: Option<std::result::Result<(), (ErrorKind, String)>>,
}

impl Lives {
    /// The session is over: it is looked into otherwise from now on.
    pub fn forget(&self, session: SessionId) {
        if let Some(live) = self.0.lock().remove(&session) {
            live.leave();
        }
    }

    fn find_or_start(&self, service: &Service, session: &Session) -> Result<Arc<Live>> {
        let mut lives = self.0.lock();
        // What failed is tried again; what is about to end for want of askers begins anew.
        if let Some(live) = lives.get(&session.id).filter(|live| live.is_good()) {
            return Ok(Arc::clone(live));
        }
        lives.remove(&session.id);
        if lives.len() >= LIVE_MAX {
            lives.retain(|_, live| live.state.lock().ended.is_none());
        }
        if lives.len() >= LIVE_MAX {
            let message = format!("{LIVE_MAX} running sessions are being followed, and no more can be at once");
            return Err(Error::overloaded(message, IDLE.as_secs()));
        }
        let log = session.part.log;
        let folder = service.data().join("sessions").join(log.to_string());
        let live = Live::new(&folder, session.id)?;
        let (of, service) = ((session.clone(), Arc::clone(&live)), service.clone());
        let runtime = tokio::runtime::Handle::current();
        let name = format!("live {}", session.id);
        let work = move || {
            let (session, live) = of;
            let id = session.id;
            let ended = follow(&service, session, &live, runtime).map_err(|error| {
                tracing::warn!(?error, session = %id, "a running session is not followed further");
                (error.kind, error.message)
            });
            let mut state = live.state.lock();
            let gone = state.is_left;
            state.ended = Some(ended);
            drop(state);
            live.changed.notify_all();
            if gone {
                let mut lives = service.recordings().lives.0.lock();
                if lives.get(&id).is_some_and(|other| Arc::ptr_eq(other, &live)) {
                    lives.remove(&id);
                }
            }
        };
        std::thread::Builder::new().name(name).spawn(work).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the running session is not read").with_source(error)
        })?;
        lives.insert(session.id, Arc::clone(&live));
        Ok(live)
    }
}

impl Live {
    fn new(folder: &Path, session: SessionId) -> Result<Arc<Live>> {
        let file = unnamed(folder, session).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the replay of the running session cannot be written").with_source(error)
        })?;
        let state = State { known: 0, read: 0, is_left: false, ended: None };
        Ok(Arc::new(Live { state: Mutex::new(state), changed: Condvar::new(), indexer: Mutex::new(None), file }))
    }

    fn is_good(&self) -> bool {
        let state = self.state.lock();
        !state.is_left && !matches!(state.ended, Some(Err(_)))
    }

    fn leave(&self) {
        self.state.lock().is_left = true;
        self.changed.notify_all();
    }

    /// Lets the recording be read up to `bytes` and waits for that, but not for ever. Gives how far it came.
    fn ask(&self, bytes: u64) -> Result<u64> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        state.known = state.known.max(bytes);
        self.changed.notify_all();
        while state.read < bytes && state.ended.is_none() {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        match &state.ended {
            Some(Err((kind, message))) => Err(Error::new(*kind, message.clone())),
            // There is nothing behind it that reads: that is all of it.
            Some(Ok(())) => Ok(bytes),
            None => Ok(state.read),
        }
    }

    /// The stretch in which a time lies, of all that was played so far.
    fn playback(&self, session: &Session, at_us: u64) -> Result<Playback> {
        let taken = match &*self.indexer.lock() {
            None => None,
            Some(indexer) => {
                let size = indexer.screen().size();
                let so_far = indexer.replay().so_far().map_err(|error| broken(&error.into()))?;
                Some((size, so_far))
            }
        };
        let (size, so_far) = taken.unwrap_or_else(|| (said_size(session), None));
        let Some((written, end)) = so_far else { return Ok(Playback::empty(size)) };
        let file = self.file.try_clone().map_err(|error| broken(&error.into()))?;
        let replay = Replay::open(SoFar { file: Stored(file), written, end }).map_err(|error| broken(&error))?;
        played(&replay, at_us)
    }
}

impl Service {
    /// A stretch of a session that is still being recorded.
    pub(super) async fn live_playback(&self, session: &Session, at_us: u64) -> Result<Playback> {
        let (service, session) = (self.clone(), session.clone());
        blocking(move || {
            if session.bytes == 0 {
                return Ok(Playback { is_active: true, ..Playback::empty(said_size(&session)) });
            }
            let live = service.recordings().lives.find_or_start(&service, &session)?;
            let bytes = live.ask(session.bytes)?;
            Ok(Playback { is_active: true, bytes, ..live.playback(&session, at_us)? })
        })
        .await
    }
}

/// The size of the terminal, as far as its recorder told it.
fn said_size(session: &Session) -> Size {
    let said = session.info.size.and_then(|size| Size::new(size.columns.into(), size.rows.into()));
    said.unwrap_or(Size::USUAL)
}

/// A file of ours alone: its name is gone before anything is written, so that no crash leaves it behind.
fn unnamed(folder: &Path, session: SessionId) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{session}.live"));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Plays the recording as it grows, until it is over or nobody wants it.
fn follow(service: &Service, session: Session, live: &Arc<Live>, runtime: tokio::runtime::Handle) -> Result<()> {
    let size = said_size(&session);
    let said = session.info.format.as_deref().and_then(|name| name.parse::<Format>().ok());
    let failed = Arc::new(Mutex::new(None));
    let tail = Tail {
        service: service.clone(),
        session,
        live: Arc::clone(live),
        runtime,
        at: 0,
        reader: None,
        waiting: Bytes::new(),
        failed: Arc::clone(&failed),
    };
    let done = play(live, tail, said, size);
    match failed.lock().take() {
        Some(error) => Err(error),
        None => done,
    }
}

fn play(live: &Live, mut tail: Tail, said: Option<Format>, size: Size) -> Result<()> {
    let Some((format, begin)) = detect(&mut tail, said)? else { return Ok(()) };
    let part = Part::new("recording", io::Cursor::new(begin).chain(tail));
    // That the recording is damaged is told when it is over; until then there is what was played before.
    let Ok(mut reader) = Reader::open(format, vec![part]) else { return Ok(()) };
    let unwritten =
        |error: io::Error| Error::new(ErrorKind::Unavailable, "the replay could not be written").with_source(error);
    let writer = ReplayWriter::new(live.file.try_clone().map_err(unwritten)?).map_err(unwritten)?;
    *live.indexer.lock() = Some(Indexer::new(reader.header(), Options { size }, writer, ()));
    while let Ok(Some(event)) = reader.next() {
        let mut indexer = live.indexer.lock();
        let indexer = indexer.as_mut().expect("it was put there above and is never taken away");
        indexer.event(&event).map_err(unwritten)?;
    }
    Ok(())
}

/// Which format it is, with the bytes that told it. `None`: it ended, or tells nothing.
///
/// # Errors
/// `Conflict`: it has several files, of which the last may tell how the first is read.
fn detect(tail: &mut Tail, said: Option<Format>) -> Result<Option<(Format, Vec<u8>)>> {
    let mut begin = Vec::new();
    let mut piece = vec![0; DETECT_BYTES];
    loop {
        let Ok(read @ 1..) = tail.read(&mut piece) else { return Ok(None) };
        begin.extend_from_slice(&piece[..read]);
        if format::tar::is_tar(&begin) {
            return Err(Error::conflict("a recording of several files can be played when it is over"));
        }
        if let Some(format) = said.or_else(|| format::detect(&[("recording", &begin)])) {
            return Ok(Some((format, begin)));
        }
        if begin.len() >= DETECT_BYTES {
            return Ok(None);
        }
    }
}

/// A recording as something to read that waits at its end for more to come.
struct Tail {
    service: Service,
    session: Session,
    live: Arc<Live>,
    runtime: tokio::runtime::Handle,
    at: u64,
    reader: Option<RecordingReader>,
    waiting: Bytes,
    failed: Arc<Mutex<Option<Error>>>,
}

impl Tail {
    /// Waits until there is more than was read; `None`: there will not be.
    fn known(&self) -> Option<u64> {
        let stopped = self.service.stopped();
        let mut state = self.live.state.lock();
        if state.read < self.at {
            state.read = self.at;
            self.live.changed.notify_all();
        }
        let since = Instant::now();
        while state.known <= self.at {
            if state.is_left || *stopped.borrow() || since.elapsed() >= IDLE {
                state.is_left = true;
                return None;
            }
            self.live.changed.wait_for(&mut state, LOOK);
        }
        Some(state.known).filter(|_| !state.is_left)
    }

    fn more(&mut self) -> Result<Bytes> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(known) = self.known() else { return Ok(Bytes::new()) };
                let session = Session { bytes: known, ..self.session.clone() };
                self.reader = Some(self.service.open_recording(session, self.at..known)?);
                continue;
            };
            match self.runtime.block_on(reader.next())? {
                Some(bytes) => return Ok(bytes),
                None => self.reader = None,
            }
        }
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.waiting.is_empty() {
            match self.more() {
                Ok(bytes) => self.waiting = bytes,
                Err(error) => {
                    let told = io::Error::other(error.to_string());
                    *self.failed.lock() = Some(error);
                    return Err(told);
                }
            }
        }
        let length = buffer.len().min(self.waiting.len());
        buffer[..length].copy_from_slice(&self.waiting.split_to(length));
        self.at += length as u64;
        Ok(length)
    }
}

/// A replay file as if it ended now.
struct SoFar {
    file: Stored,
    written: u64,
    end: Vec<u8>,
}

impl Ranged for SoFar {
    fn length(&self) -> io::Result<u64> {
        Ok(self.written + self.end.len() as u64)
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let from_file = usize::try_from(self.written.saturating_sub(offset)).unwrap_or(usize::MAX).min(length);
        let mut bytes = if from_file > 0 { self.file.read_at(offset, from_file)? } else { Vec::new() };
        if bytes.len() < length {
            let begin = (offset + bytes.len() as u64).saturating_sub(self.written);
            bytes.extend(self.end.read_at(begin, length - bytes.len())?);
        }
        Ok(bytes)
    }
}
