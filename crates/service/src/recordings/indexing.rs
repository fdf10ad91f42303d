//! What was on the screen of a recording, made ready to be found and shown: a projection of its bytes.
//!
//! ```text
//! DATA/sessions/<log id>/<session>/
//!   summary.json   what there is to say of it; written last, so that a folder with it is whole
//!   replay         key frames and events: any moment opens with one read
//!   spans          each run of text with the screens and times between which it was visible
//!   content/       the index over those texts
//! ```
//!
//! A recording is indexed when it is over, in the background; whoever asks earlier waits for it. What is not there is made
//! when it is asked for: so nothing has to be remembered, and the folder can be deleted at any time. What was made of chunks
//! that were erased or pruned since is never read again (`Summary::chunks`), and leaves the disk with them. Chunks are verified
//! against the log as they are read; a chunk that is not what was signed ends the index there, and the summary says so.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use behaviour::{Measures, Meter};
use bytes::Bytes;
use log::LogId;
use parking_lot::Mutex;
use replay::file::ReplayWriter;
use replay::format::{self, Damage, Format, Part, Reader, What};
use replay::index::{Indexer, Options};
use replay::span::file::SpanWriter;
use replay::span::{Kind, Span, SpanSink};
use search::content::{ContentDocument, ContentWriter};
use serde::{Deserialize, Serialize};

use super::{RecordingReader, Session, SessionId, filter};
use crate::error::{Error, ErrorKind, Result};

use crate::numbers;
use crate::service::Service;

/// The form of the folder; another one is made anew.
const VERSION: u32 = 2;
/// Memory of the index while it is made.
const WRITER_BYTES: usize = 32 << 20;
/// Different commands that are listed as interesting.
const INTERESTING_MAX: usize = 100;
/// Programs whose use the vendor calls interesting (`specs/sps.md` §7.3).
const INTERESTING: [&str; 14] = [
    "adduser", "addgroup", "chmod", "chown", "groupadd", "halt", "mount", "passwd", "reboot", "shutdown", "ssh", "su",
    "sudo", "useradd",
];

/// What there is to say of an indexed recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    version: u32,
    /// The format it was read as.
    pub format: Option<String>,
    /// Numbered screens, from 1.
    pub screens: u64,
    /// Runs of text.
    pub spans: u64,
    /// From the first to the last event, in microseconds.
    pub duration_us: u64,
    /// Commands were found.
    pub has_commands: bool,
    /// Window titles were found.
    pub has_titles: bool,
    /// Commands of programs worth a look, in order of their first use.
    pub interesting: Vec<String>,
    /// The status with which the recorded command ended, if the recording tells.
    pub exit: Option<i64>,
    /// Where and why the recording could not be read to its end: `part: reason at byte N: detail`.
    pub damage: Option<String>,
    /// The kind of that damage, such as `cut_short`.
    pub damage_reason: Option<String>,
    /// What is missing although reading went on.
    pub notices: Vec<String>,
    /// When it was made, in microseconds since 1970, and how long that took.
    pub made_at_us: u64,
    /// See `made_at_us`.
    pub took_us: u64,
    /// Bytes of the recording that it is made of.
    pub bytes: u64,
    /// Chunks that the log told of when it was made. Of another number, because some were erased or pruned since, it is of
    /// no use any more: it may hold what they held.
    pub chunks: u64,
    /// What of it scores are made of.
    pub measures: Measures,
}

/// The folder of one session's projection.
pub fn folder(data: &Path, log: LogId, session: SessionId) -> PathBuf {
    data.join("sessions").join(log.to_string()).join(session.to_string())
}

/// Removes every projection of a data folder that no process holds. Blocks.
pub fn remove_all(data: &Path) -> Result<()> {
    remove(&data.join("sessions"))
}

/// The sessions of a log that have a projection, or had begun one.
pub fn sessions(data: &Path, log: LogId) -> Result<Vec<SessionId>> {
    let folder = data.join("sessions").join(log.to_string());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreachable_files)?,
    };
    let mut sessions = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreachable_files)?.file_name();
        sessions.extend(name.to_string_lossy().parse::<SessionId>());
    }
    Ok(sessions)
}

/// Reads the summary of a folder that is whole and of this version.
pub fn summary(folder: &Path) -> Option<Summary> {
    let text = fs::read(folder.join("summary.json")).ok()?;
    serde_json::from_slice(&text).ok().filter(|summary: &Summary| summary.version == VERSION)
}

impl Service {
    /// Indexes a recording in the background; what does not come about is made when somebody asks.
    pub(crate) fn index_soon(&self, session: &Session) {
        if session.bytes == 0 {
            return;
        }
        let (service, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            if let Err(error) = service.ensure_indexed(&session).await {
                tracing::warn!(?error, session = %session.id, "a recording was not indexed; it is when it is asked for");
            }
        });
    }

    /// The summary of a session's projection, if there is one that is of all that the log still tells of it. Blocks.
    pub(crate) fn current_summary(&self, part: numbers::Part, session: SessionId) -> Result<Option<Summary>> {
        let Some(summary) = summary(&folder(self.data(), part.log, session)) else { return Ok(None) };
        Ok((summary.chunks == self.chunks_known(part, session)?).then_some(summary))
    }

    /// How many chunks of a session the log tells of. Blocks.
    pub(crate) fn chunks_known(&self, part: numbers::Part, session: SessionId) -> Result<u64> {
        self.recordings().catalogue.count(part.ordinal, &filter::chunks(session, None), u64::MAX)
    }

    /// Removes the projection of a session. Blocks.
    pub(crate) fn drop_projection(&self, log: LogId, session: SessionId) -> Result<()> {
        self.recordings().looking.forget(session);
        remove(&folder(self.data(), log, session))
    }

    /// Makes the projection of a session's recording, in place of one that is there. Blocks, for as long as the recording
    /// takes; memory does not grow with it.
    ///
    /// # Errors
    /// `Unavailable`: chunks or files could not be reached. That the recording is damaged is no error but part of the summary.
    pub(crate) fn index_session(&self, session: &Session, runtime: &tokio::runtime::Handle) -> Result<Summary> {
        let target = folder(self.data(), session.part.log, session.id);
        let part = target.with_extension("part");
        let started_us = self.now_us();
        let made = self.index_into(session, &part, runtime).and_then(|mut summary| {
            (summary.made_at_us, summary.took_us) = (started_us, self.now_us().saturating_sub(started_us));
            let text = serde_json::to_vec_pretty(&summary).expect("texts and numbers are JSON");
            fs::write(part.join("summary.json"), text).map_err(unreachable_files)?;
            remove(&target)?;
            fs::rename(&part, &target).map_err(unreachable_files)?;
            Ok(summary)
        });
        if made.is_err() {
            // What is half made helps nobody; that it cannot be removed either is in the error already.
            let _ = remove(&part);
        }
        made
    }

    fn index_into(&self, session: &Session, part: &Path, runtime: &tokio::runtime::Handle) -> Result<Summary> {
        remove(part)?;
        fs::create_dir_all(part).map_err(unreachable_files)?;
        let create = |name: &str| File::create(part.join(name)).map(BufWriter::new).map_err(unreachable_files);
        let sink = Sink {
            spans: SpanWriter::new(create("spans")?).map_err(unreachable_files)?,
            content: ContentWriter::create(
                &part.join("content"),
                search::content::Options { writer_memory_bytes: WRITER_BYTES },
            )
            .map_err(|error| unreachable_index(&error))?,
            has_commands: false,
            has_titles: false,
            interesting: Vec::new(),
            meter: Meter::default(),
        };
        let mut typed = Meter::default();
        let replay = ReplayWriter::new(create("replay")?).map_err(unreachable_files)?;
        // Before the first of them is read: what is erased while we read makes this out of date.
        let chunks = self.chunks_known(session.part, session.id)?;
        let failed = Arc::new(Mutex::new(None));
        let (reader, format, damage) = open(self, session, runtime, &failed);
        let mut notices = Vec::new();
        let header = match &reader {
            Some(reader) => reader.header().clone(),
            None => format::Header::new(format.unwrap_or(Format::AsciicastV2)),
        };
        let mut options = Options::default();
        if let Some(size) = session.info.size
            && let Some(size) = replay::cell::Size::new(size.columns.into(), size.rows.into())
        {
            options.size = size;
        }
        let mut indexer = Indexer::new(&header, options, replay, sink);
        let mut damage = damage;
        let stopped = self.stopped();
        if let Some(mut reader) = reader {
            damage = loop {
                match reader.next() {
                    Ok(Some(event)) => {
                        if *stopped.borrow() {
                            return Err(Error::new(ErrorKind::Unavailable, "the service is stopping"));
                        }
                        if let What::Input(bytes) = &event.what {
                            typed.input(event.at_us, bytes);
                        }
                        indexer.event(&event).map_err(unreachable_files)?;
                    }
                    Ok(None) => break None,
                    Err(damage) => break Some(damage),
                }
            };
            notices = reader.notices().iter().map(ToString::to_string).collect();
        }
        // The store did not answer, or a chunk is gone or not what was signed: the first is tried again, the second is told.
        if let Some((offset, error)) = failed.lock().take() {
            if !is_gone(&error) {
                return Err(error);
            }
            // What the reader of the format says of an end that came too early follows from it.
            let part = "recording".to_owned();
            let (reason, detail) = (format::Reason::Unreadable, error.to_string());
            let at_us = damage.as_ref().map_or(0, |damage| damage.at_us);
            let seen = damage.replace(Damage { part, offset, at_us, reason, detail });
            notices.extend(seen.map(|seen| seen.to_string()));
        }
        let (made, replay, sink) = indexer.finish(damage).map_err(unreachable_files)?;
        let (mut file, _) = replay.finish().map_err(unreachable_files)?;
        file.flush().map_err(unreachable_files)?;
        let (mut file, _) = sink.spans.finish().map_err(unreachable_files)?;
        file.flush().map_err(unreachable_files)?;
        let (typed, mut measures) = (typed.finish(), sink.meter.finish());
        (measures.keys, measures.pointer) = (typed.keys, typed.pointer);
        if typed.pace.keys > 0 {
            measures.pace = typed.pace;
        }
        sink.content.finish().map_err(|error| unreachable_index(&error))?;
        Ok(Summary {
            version: VERSION,
            format: format.map(|format| format.to_string()),
            screens: made.screens,
            spans: made.spans,
            duration_us: made.duration_us,
            has_commands: sink.has_commands,
            has_titles: sink.has_titles,
            interesting: sink.interesting,
            exit: made.exit,
            damage_reason: made.damage.as_ref().map(|damage| damage.reason.name().to_owned()),
            damage: made.damage.map(|damage| damage.to_string()),
            notices,
            made_at_us: 0,
            took_us: 0,
            bytes: session.bytes,
            chunks,
            measures,
        })
    }
}

/// Opens a recording of whatever format; if that cannot be done, says why.
fn open(
    service: &Service,
    session: &Session,
    runtime: &tokio::runtime::Handle,
    failed: &Failed,
) -> (Option<Reader<'static>>, Option<Format>, Option<Damage>) {
    let said = session.info.format.as_deref().and_then(|name| name.parse::<Format>().ok());
    let stream = Stream {
        service: service.clone(),
        session: session.clone(),
        runtime: runtime.clone(),
        at: 0,
        reader: None,
        waiting: Bytes::new(),
        failed: Arc::clone(failed),
    };
    match parts(stream).and_then(|mut parts| {
        let format = match said {
            Some(format) => Some(format),
            None => format::detect_in(&mut parts).map_err(unreadable)?,
        };
        let Some(format) = format else { return Ok((None, None)) };
        Reader::open(format, parts).map(|reader| (Some(reader), Some(format)))
    }) {
        Ok((Some(reader), format)) => (Some(reader), format, None),
        Ok((None, _)) => (None, None, Some(unknown())),
        Err(damage) => (None, said, Some(damage)),
    }
}

/// The files of a recording: those of a tar, else the one that it is.
fn parts(mut stream: Stream) -> std::result::Result<Vec<Part<'static>>, Damage> {
    let mut begin = [0; 512];
    let mut length = 0;
    while length < begin.len() {
        match stream.read(&mut begin[length..]).map_err(unreadable)? {
            0 => break,
            read => length += read,
        }
    }
    stream.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    match format::tar::is_tar(&begin[..length]) {
        true => format::tar::parts_of_tar(stream),
        false => Ok(vec![Part::new("recording", stream)]),
    }
}

fn unreadable(error: io::Error) -> Damage {
    Damage {
        part: "recording".to_owned(),
        offset: 0,
        at_us: 0,
        reason: format::Reason::Unreadable,
        detail: error.to_string(),
    }
}

fn unknown() -> Damage {
    Damage {
        part: "recording".to_owned(),
        offset: 0,
        at_us: 0,
        reason: format::Reason::BadHeader,
        detail: "this is no recording of a known format; say which it is when the session is started".to_owned(),
    }
}

/// Where spans go: to their file and into the index.
struct Sink {
    spans: SpanWriter<BufWriter<File>>,
    content: ContentWriter,
    has_commands: bool,
    has_titles: bool,
    interesting: Vec<String>,
    meter: Meter,
}

impl SpanSink for Sink {
    fn span(&mut self, span: Span) -> io::Result<()> {
        let payload = self.spans.append(&span)?;
        let mut document = ContentDocument { payload, ..ContentDocument::default() };
        match span.kind {
            Kind::Text => document.text = &span.text,
            Kind::Title => {
                self.has_titles = true;
                self.meter.title(&span.text);
                document.title = &span.text;
            }
            Kind::Command => {
                self.has_commands = true;
                self.meter.command(span.appeared_us, &span.text);
                document.command = &span.text;
                let program = span.text.split_whitespace().next().unwrap_or_default();
                let program = program.rsplit('/').next().unwrap_or_default();
                if INTERESTING.contains(&program)
                    && self.interesting.len() < INTERESTING_MAX
                    && !self.interesting.iter().any(|known| known == program)
                {
                    self.interesting.push(program.to_owned());
                }
            }
        }
        self.content.add(&document).map_err(io::Error::other)
    }
}

/// A recording as something to read and to seek in, over the verified chunks.
struct Stream {
    service: Service,
    session: Session,
    runtime: tokio::runtime::Handle,
    at: u64,
    reader: Option<RecordingReader>,
    waiting: Bytes,
    failed: Failed,
}

/// Where and why chunks could not be had, if that was so: readers of formats only know that bytes are missing.
type Failed = Arc<Mutex<Option<(u64, Error)>>>;

/// Whether it will not come back: erased, pruned, or not what was signed.
fn is_gone(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Corrupt | ErrorKind::NotFound)
}

impl Stream {
    /// What is gone is the end of what can be read, so that all before it is; anything else is an error.
    fn failed(&self, error: Error) -> io::Result<usize> {
        let told = if is_gone(&error) { Ok(0) } else { Err(io::Error::other(error.to_string())) };
        let mut failed = self.failed.lock();
        // The first one says what happened.
        if failed.as_ref().is_none_or(|(_, before)| is_gone(before) && !is_gone(&error)) {
            *failed = Some((self.at, error));
        }
        told
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.waiting.is_empty() {
            if self.reader.is_none() {
                let range = self.at..self.session.bytes;
                match self.service.open_recording(self.session.clone(), range) {
                    Ok(reader) => self.reader = Some(reader),
                    Err(error) => return self.failed(error),
                }
            }
            let Some(reader) = &mut self.reader else { return Ok(0) };
            match self.runtime.block_on(reader.next()) {
                Ok(Some(bytes)) => self.waiting = bytes,
                Ok(None) => return Ok(0),
                Err(error) => return self.failed(error),
            }
        }
        let length = buffer.len().min(self.waiting.len());
        buffer[..length].copy_from_slice(&self.waiting.split_to(length));
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.session.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        let ahead = target.checked_sub(self.at).filter(|ahead| *ahead <= self.waiting.len() as u64);
        match ahead {
            // Within what was read already, as tars do from file to file.
            Some(ahead) => drop(self.waiting.split_to(ahead as usize)),
            None => (self.reader, self.waiting) = (None, Bytes::new()),
        }
        self.at = target;
        Ok(target)
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unreachable_files(error)),
        _ => Ok(()),
    }
}

fn unreachable_files(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the projection of a recording could not be written").with_source(error)
}

fn unreachable_index(error: &search::content::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the content of a recording could not be indexed: {error}"))
}
