//! Reading: lists, single sessions, chunks, bytes.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use log::{LogId, Record, RecordState};
use search::Query;
use tlog::entry::Kind as EntryKind;

use super::access::Access;
use super::entry::{Chunk, Entry};
use super::info::Session;
use super::{CHUNK_BYTES_MAX, SessionId, filter};
use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::{OrgId, time};
use crate::numbers::Part;
use crate::query::Order;
use crate::service::Service;

/// Most sessions of one page.
pub const SESSIONS_PAGE_MAX: usize = 1_000;

/// Most sessions that one page with a second look goes through.
const LOOKED_AT_MAX: usize = 50_000;

/// Chunks whose entries are read at once.
const CHUNKS_AT_ONCE: usize = 256;

/// Bytes of records read at once.
const READ_BYTES: usize = 4 << 20;

/// Sessions that may have one client's id but for case, and are looked through for the one that has it.
const CANDIDATES: usize = 100;

/// Which sessions, newest start first.
#[derive(Clone, Debug)]
pub struct SessionQuery {
    /// Which ones; see [`filter`].
    pub filter: Query,
    /// Begin after this place; `None`: with the session that started last.
    pub after: Option<SessionCursor>,
    /// Most sessions to return, 1 to [`SESSIONS_PAGE_MAX`]; more is cut to that.
    pub limit: usize,
}

/// A place in a list of sessions. Text: `<start in microseconds since 1970>.<number>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionCursor {
    /// When the session started, in microseconds since 1970.
    pub started_us: i64,
    /// The number of the entry that tells of it.
    pub number: u64,
}

impl std::fmt::Display for SessionCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.started_us, self.number)
    }
}

impl std::str::FromStr for SessionCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<SessionCursor> {
        let parts = text.split_once('.').and_then(|(us, number)| Some((us.parse().ok()?, number.parse().ok()?)));
        let (started_us, number) = parts.ok_or_else(|| Error::invalid("not the `next` of an earlier page"))?;
        Ok(SessionCursor { started_us, number })
    }
}

/// One page of sessions.
#[derive(Clone, Debug)]
pub struct SessionPage {
    /// The sessions, newest start first.
    pub sessions: Vec<Session>,
    /// Not everything was looked at: pass this as `after` for the next page.
    pub next: Option<SessionCursor>,
}

/// Runs what may read from disk where it may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal("a read stopped half-way").with_source(e))?
}

fn no_session() -> Error {
    Error::not_found("no such session within reach")
}

impl Service {
    /// One page of sessions, newest start first. Sees every session and end that was acknowledged before the call.
    ///
    /// A session that ends while pages are turned may be seen twice, never not at all. `keep` has a second look at each
    /// session found, for filters that say more than the catalogue can; with it a page may be short, even empty, and still
    /// have a next one.
    ///
    /// # Errors
    /// `Invalid` for a limit of 0; `Overloaded` while the catalogue is being made; `Corrupt` when entries cannot be read.
    pub fn sessions(
        &self,
        who: &Principal,
        org: OrgId,
        query: &SessionQuery,
        keep: &dyn Fn(&Session) -> bool,
    ) -> Result<SessionPage> {
        self.allow(who, Verb::ViewSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        if query.limit == 0 {
            return Err(Error::invalid("the limit is 0; ask for at least one session"));
        }
        let limit = query.limit.min(SESSIONS_PAGE_MAX);
        let parts = self.parts(org)?;
        let filter = filter::sessions(&query.filter);
        let mut after = query.after.map(|cursor| (cursor.started_us, cursor.number));
        let (mut kept, mut looked_at) = (Vec::new(), 0);
        loop {
            // One more than fits tells whether there is a next page.
            let asked = limit + 1;
            let found = self.newest_of(&parts, &filter, after, asked)?;
            let complete = found.len() < asked;
            looked_at += found.len();
            let mut by_number: std::collections::HashMap<u64, Session> = std::collections::HashMap::new();
            for part in &parts {
                let numbers: Vec<u64> = found.iter().filter_map(|(_, number)| part.local(*number)).collect();
                let sessions = self.sessions_at(org, *part, &numbers)?;
                by_number.extend(sessions.into_iter().map(|session| (session.cursor().number, session)));
            }
            for place in found {
                let Some(session) = by_number.remove(&place.1) else { continue };
                if kept.len() == limit {
                    return Ok(SessionPage { sessions: kept, next: after.map(cursor) });
                }
                after = Some(place);
                if keep(&session) {
                    kept.push(session);
                }
            }
            if complete {
                return Ok(SessionPage { sessions: kept, next: None });
            }
            if kept.len() == limit || looked_at >= LOOKED_AT_MAX {
                return Ok(SessionPage { sessions: kept, next: after.map(cursor) });
            }
        }
    }

    /// How many sessions match; stops counting at `cap`.
    pub fn count_sessions(&self, who: &Principal, org: OrgId, filter: &Query, cap: u64) -> Result<u64> {
        self.allow(who, Verb::ViewSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        let (filter, mut count) = (filter::sessions(filter), 0);
        for part in self.parts(org)? {
            let filter = in_part(&filter, &part);
            count += self.recordings().catalogue.count(part.ordinal, &filter, cap.saturating_sub(count))?;
        }
        Ok(count)
    }

    /// As the catalogue's own, over every log that the organisation had, with the numbers that readers see.
    fn newest_of(
        &self,
        parts: &[Part],
        filter: &Query,
        after: Option<(i64, u64)>,
        limit: usize,
    ) -> Result<Vec<(i64, u64)>> {
        let mut found = Vec::new();
        for part in parts {
            // Where the place is in another log, all numbers of this one are below it, or all are above.
            let local = after.map(|(at_us, number)| (at_us, number.saturating_sub(part.before)));
            let of_part = self.recordings().catalogue.newest(part.ordinal, &in_part(filter, part), local, limit)?;
            found.extend(of_part.into_iter().map(|(at_us, number)| (at_us, part.shown(number))));
        }
        if parts.len() > 1 {
            found.sort_unstable_by(|a, b| b.cmp(a));
            found.truncate(limit);
        }
        Ok(found)
    }

    /// One session. `NotFound` where there is none in this organisation.
    pub fn session(&self, who: &Principal, org: OrgId, id: SessionId) -> Result<Session> {
        self.allow(who, Verb::ViewSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        self.find_session(org, id)
    }

    /// A page of the chunks of a recording by their place, beginning after the entry of number `after`; at most `limit`.
    pub fn session_chunks(
        &self,
        who: &Principal,
        org: OrgId,
        id: SessionId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Chunk>> {
        let session = self.session(who, org, id)?;
        let query = filter::chunks(id, None);
        let limit = limit.clamp(1, SESSIONS_PAGE_MAX);
        let catalogue = &self.recordings().catalogue;
        let numbers = catalogue.search(session.part.ordinal, &query, Order::Ascending, after, limit)?;
        self.chunks_at(&session, &numbers)
    }

    /// Opens a recording to be read: all of it, or the bytes of a range, which is cut to what is there. That it was read is
    /// an event of the trail, and durable before this returns.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`: the range begins after the end.
    pub async fn read_recording(
        &self,
        who: &Principal,
        org: OrgId,
        id: SessionId,
        range: Option<Range<u64>>,
    ) -> Result<RecordingReader> {
        let (service, asking) = (self.clone(), who.clone());
        let session = blocking(move || service.session(&asking, org, id)).await?;
        let whole = 0..session.bytes;
        let asked = range.clone().unwrap_or(whole.clone());
        if asked.start > whole.end || (asked.start == whole.end && range.is_some() && whole.end > 0) {
            return Err(Error::invalid(format!("the recording has {} bytes", session.bytes)));
        }
        let asked = asked.start..asked.end.min(whole.end);
        self.record_access(who, &session, Access::Download { range: range.map(|_| asked.clone()) }).await?;
        self.open_recording(session, asked)
    }

    /// Opens a recording for ourselves.
    pub(crate) fn open_recording(&self, session: Session, range: Range<u64>) -> Result<RecordingReader> {
        Ok(RecordingReader {
            service: self.clone(),
            session: Arc::new(session),
            next: range.start,
            end: range.end.max(range.start),
            after: None,
            waiting: VecDeque::new(),
        })
    }

    /// The organisation's log, and what names it in indexes.
    pub(crate) fn log_and_ordinal(&self, org: OrgId) -> Result<(LogId, u32)> {
        let state = self.control().state();
        let (ordinal, found) = state.ordinal(org).zip(state.org(org)).ok_or_else(crate::organisations::no_org)?;
        Ok((found.log, ordinal))
    }

    /// One session, for whoever is allowed already.
    pub(crate) fn find_session(&self, org: OrgId, id: SessionId) -> Result<Session> {
        if let Some(open) = self.recordings().find_open(org, id) {
            return Ok(open.now());
        }
        let catalogue = &self.recordings().catalogue;
        for part in self.parts(org)?.into_iter().rev() {
            let numbers = catalogue.search(part.ordinal, &filter::session(id), Order::Descending, None, 2)?;
            // The newest entry first: an end says all that the start said.
            let found = self.sessions_at(org, part, &numbers)?.into_iter().find(|session| session.id == id);
            if let Some(session) = found {
                return Ok(session);
            }
        }
        Err(no_session())
    }

    /// The session that a client's id started.
    pub(crate) fn find_session_by_client_id(&self, org: OrgId, client_id: &str) -> Result<Option<Session>> {
        let query = filter::sessions(&filter::is("client_id", client_id));
        let catalogue = &self.recordings().catalogue;
        for part in self.parts(org)?.into_iter().rev() {
            let numbers = catalogue.search(part.ordinal, &query, Order::Ascending, None, CANDIDATES)?;
            let mut found = self.sessions_at(org, part, &numbers)?.into_iter();
            let found = found.find(|session| session.client_id.as_deref() == Some(client_id));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The sessions that the entries of these numbers tell of, in their order; of one that is open, as it is now.
    pub(crate) fn sessions_at(&self, org: OrgId, part: Part, numbers: &[u64]) -> Result<Vec<Session>> {
        let indexes: Vec<u64> = numbers.iter().map(|number| number - 1).collect();
        let records = self.logs().read_many(&part.log, &indexes)?;
        let mut decoder = encoding::Decoder::default();
        let found = records.into_iter().filter_map(|record| match Entry::read(org, part, &decoder.event(record))? {
            Entry::Session(session) => Some(match self.recordings().find_open(org, session.id) {
                Some(open) if session.is_active() => open.now(),
                _ => *session,
            }),
            Entry::Chunk(_) | Entry::Scored(_) | Entry::Built { .. } => None,
        });
        let mut sessions: Vec<Session> = found.collect();
        // Nothing says how much there is of one whose log was replaced before it ended.
        for session in sessions.iter_mut().filter(|session| part.is_former() && session.ended.is_none()) {
            if let Some(last) = self.last_chunk(session)? {
                (session.bytes, session.chunks) = (last.end(), last.sequence + 1);
            }
        }
        Ok(sessions)
    }

    /// The chunk of a session that holds the byte at `offset`, or the last one before it.
    pub(super) fn chunk_at(&self, session: &Session, offset: u64) -> Result<Option<Chunk>> {
        let query = filter::chunks(session.id, Some(offset));
        let catalogue = &self.recordings().catalogue;
        let numbers = catalogue.search(session.part.ordinal, &query, Order::Descending, None, 1)?;
        Ok(self.chunks_at(session, &numbers)?.pop())
    }

    pub(super) fn last_chunk(&self, session: &Session) -> Result<Option<Chunk>> {
        self.chunk_at(session, u64::MAX)
    }

    /// Every chunk of a session, in order.
    pub(super) fn each_chunk(&self, session: &Session, each: &mut dyn FnMut(&Chunk)) -> Result<()> {
        let query = filter::chunks(session.id, None);
        let mut after = None;
        loop {
            let catalogue = &self.recordings().catalogue;
            let numbers = catalogue.search(session.part.ordinal, &query, Order::Ascending, after, CHUNKS_AT_ONCE)?;
            let Some(last) = numbers.last() else { return Ok(()) };
            after = Some(*last);
            self.chunks_at(session, &numbers)?.iter().for_each(&mut *each);
        }
    }

    /// Whether the log forgot a chunk by order between the entries of two chunks, and how.
    fn forgotten(&self, session: &Session, after: Option<u64>, upto: Option<u64>) -> Result<Option<&'static str>> {
        /// Entries looked at; a gap is an exception, and most are next to its edges.
        const ENTRIES_MAX: u64 = 200_000;
        let log = session.part.log;
        let minimum = self.logs().minimum_index(&log)?;
        if after.unwrap_or(session.number) <= minimum {
            return Ok(Some("pruned"));
        }
        let mut next = after.unwrap_or(session.number);
        let head = self.logs().head(&log)?.size;
        let end = upto.unwrap_or(session.ended.as_ref().map_or(head, |ended| ended.number)).min(next + ENTRIES_MAX);
        while next < end {
            let records = self.logs().read(&log, next..end, READ_BYTES)?;
            let Some(last) = records.last() else { break };
            next = last.index + 1;
            let is_erased = |record: &Record| record.kind == EntryKind::RecordingChunk && record.state.is_erased();
            if records.iter().any(is_erased) {
                return Ok(Some("erased"));
            }
        }
        Ok(None)
    }

    /// The chunks that the entries of these numbers tell of, read from the log and verified against the signed tree.
    fn chunks_at(&self, session: &Session, numbers: &[u64]) -> Result<Vec<Chunk>> {
        let log = session.part.log;
        let indexes: Vec<u64> = numbers.iter().map(|number| number - 1).collect();
        let records = self.logs().read_many(&log, &indexes)?;
        let states = self.logs().verify_records(&log, &records);
        let mut decoder = encoding::Decoder::default();
        let chunks = records.into_iter().zip(states).map(|(record, state)| {
            let number = record.number;
            check_record(&record, state)?;
            match Entry::read(session.org, session.part, &decoder.event(record)) {
                Some(Entry::Chunk(chunk)) if chunk.session == session.id => Ok(chunk),
                _ => Err(Error::corrupt(
                    "the catalogue of sessions does not agree with the log; ask for it to be rebuilt",
                    format!("entry {number} of log {log} is no chunk of session {}", session.id),
                )),
            }
        });
        chunks.collect()
    }
}

/// What a query asks of one of an organisation's logs.
fn in_part<'a>(filter: &'a Query, part: &Part) -> Cow<'a, Query> {
    if part.is_former() { Cow::Owned(filter::in_former_log(filter)) } else { Cow::Borrowed(filter) }
}

fn cursor((started_us, number): (i64, u64)) -> SessionCursor {
    SessionCursor { started_us, number }
}

/// Refuses an entry that is not what was signed.
fn check_record(record: &Record, state: RecordState) -> Result<()> {
    let reason = match state {
        RecordState::Verified => return Ok(()),
        RecordState::Erased => return Err(Error::not_found("this part of the recording was erased")),
        RecordState::Tainted(reason) => reason.as_str().to_owned(),
        RecordState::Unsealed => "unsealed".to_owned(),
        RecordState::Unchecked(why) => format!("unchecked: {why}"),
    };
    let message = format!("a chunk of this recording is not what was committed ({reason})");
    Err(Error::corrupt(message, format!("entry {}", record.number)))
}

/// The bytes of a recording, or of a range of it, chunk by chunk: at most one chunk is in memory.
pub struct RecordingReader {
    service: Service,
    session: Arc<Session>,
    /// Place of the next byte to give.
    next: u64,
    end: u64,
    /// The number of the last chunk's entry that was read.
    after: Option<u64>,
    waiting: VecDeque<Chunk>,
}

impl RecordingReader {
    /// The session that is read.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The bytes that are still to come.
    pub fn range(&self) -> Range<u64> {
        self.next..self.end
    }

    /// The next bytes; `None` at the end. Each piece is checked against the hash in the log, and that entry against the
    /// signed tree, before it is given. Only the chunks that the range touches are read.
    ///
    /// # Errors
    /// `Corrupt`: stored bytes are not what was committed, or not there. `NotFound`: they were erased. `Unavailable`: the
    /// store did not answer; calling again goes on where it stood.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.next >= self.end {
            return Ok(None);
        }
        if self.waiting.is_empty() {
            self.waiting = self.chunks().await?.into();
        }
        let Some(chunk) = self.waiting.front() else { return Err(self.gap().await) };
        if chunk.offset > self.next || chunk.end() <= self.next {
            return Err(self.gap().await);
        }
        let (blobs, log) = (&self.service.recordings().blobs, self.session.part.log);
        let bytes = blobs.get(log, chunk.session, &chunk.sha256, chunk.length).await?;
        let from = (self.next - chunk.offset) as usize;
        let to = (self.end.min(chunk.end()) - chunk.offset) as usize;
        self.next = self.end.min(chunk.end());
        self.after = Some(chunk.number);
        self.waiting.pop_front();
        Ok(Some(bytes.slice(from..to)))
    }

    /// The chunks that come next.
    async fn chunks(&self) -> Result<Vec<Chunk>> {
        let (service, session) = (self.service.clone(), Arc::clone(&self.session));
        let (after, next, end) = (self.after, self.next, self.end);
        blocking(move || {
            let after = match after {
                Some(after) => after,
                None => match service.chunk_at(&session, next)? {
                    Some(first) => first.number - 1,
                    None => return Ok(Vec::new()),
                },
            };
            let query = filter::chunks(session.id, Some(end - 1));
            // A range of a few bytes should not read the entries of chunks that it does not touch.
            let most = CHUNKS_AT_ONCE.min(usize::try_from(end - next).unwrap_or(usize::MAX));
            let catalogue = &service.recordings().catalogue;
            let numbers = catalogue.search(session.part.ordinal, &query, Order::Ascending, Some(after), most)?;
            service.chunks_at(&session, &numbers)
        })
        .await
    }

    /// Why no chunk holds the next byte.
    async fn gap(&self) -> Error {
        let (service, session, after) = (self.service.clone(), Arc::clone(&self.session), self.after);
        let upto = self.waiting.front().map(|chunk| chunk.number);
        let why = blocking(move || service.forgotten(&session, after, upto)).await;
        match why {
            Err(error) => error,
            Ok(Some(how)) => Error::not_found(format!("this part of the recording was {how}")),
            Ok(None) => Error::corrupt(
                "a chunk of this recording is not there (chunk_missing)",
                format!("session {}: no chunk holds byte {}", self.session.id, self.next),
            ),
        }
    }

    /// Most bytes of one piece.
    pub const PIECE_BYTES_MAX: usize = CHUNK_BYTES_MAX;
}

impl Session {
    /// Its place in a list of sessions.
    pub fn cursor(&self) -> SessionCursor {
        SessionCursor { started_us: time::micros(self.started_at), number: self.part.shown(self.last_number()) }
    }

    /// When something was heard of it last: its end, else now; of one that was cut off, its start.
    pub fn last_seen(&self, now: Timestamp) -> Timestamp {
        let open = if self.part.is_former() { self.started_at } else { now };
        self.ended.as_ref().map_or(open, |ended| ended.at)
    }

    /// How long it took, in microseconds; of an open one, so far.
    pub fn duration_us(&self, now: Timestamp) -> u64 {
        u64::try_from(time::micros(self.last_seen(now)) - time::micros(self.started_at)).unwrap_or(0)
    }
}
