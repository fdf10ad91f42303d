//! Start, append, finish; and what happens to a session that nobody finishes.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use log::{Appended, LogId};
use sha2::{Digest as _, Sha256};
use tlog::entry::Kind as EntryKind;

use super::blobs::hashed;
use super::catalogue::Turn;
use super::entry::{self, Chunk, Entry};
use super::info::{CLIENT_ID_BYTES_MAX, EndReason, Ended, Finish, NewSession, Session};
use super::{CHUNK_BYTES_MAX, Open, Progress, STARTS, SessionId, Shown, filter};
use crate::access::{Caller, Principal, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AccountId, EventDraft, NewEvent, OrgId, RecordedBy, time};
use crate::query::Order;
use crate::sealing::NotAppended;
use crate::service::Service;

/// Seconds to wait when too many sessions are open.
const RETRY_AFTER_S: u64 = 60;

/// Pause before another try to end a session whose log did not take its end.
const RETRY_US: u64 = 60_000_000;

/// What a recorder keeps of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkReceipt {
    /// Place among the chunks, from 0.
    pub sequence: u64,
    /// Place of its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The number of its log entry.
    pub number: u64,
    /// It was there already.
    pub duplicate: bool,
}

impl ChunkReceipt {
    fn new(chunk: &Chunk, duplicate: bool) -> ChunkReceipt {
        let Chunk { sequence, offset, length, sha256, number, .. } = *chunk;
        ChunkReceipt { sequence, offset, length, sha256, number, duplicate }
    }

    /// Where the next chunk begins.
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }
}

impl Service {
    /// Starts a recording in `org` and waits until that is durable and signed. The same client's id again answers with the
    /// session that it started first, open or over, and says so.
    ///
    /// # Errors
    /// `Invalid`, `TooLarge`: the description. `Conflict`: the client's id started another session than this one; or the
    /// organisation has its events encrypted. `Overloaded`: too many sessions are open; or the catalogue is being made.
    pub async fn start_session(&self, who: &Principal, org: OrgId, new: NewSession) -> Result<(Session, bool)> {
        self.allow(who, Verb::RecordSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        new.info.check()?;
        if let Some(id) = &new.client_id
            && (id.is_empty() || id.len() > CLIENT_ID_BYTES_MAX)
        {
            return Err(Error::invalid(format!("the client's id is empty or longer than {CLIENT_ID_BYTES_MAX} bytes")));
        }
        let (service, who) = (self.clone(), who.clone());
        // Goes on to the end when the future is dropped: an entry in the log must come to be known.
        let work = tokio::spawn(async move { service.start(&who, org, new).await });
        work.await.map_err(|e| Error::internal("a start stopped half-way").with_source(e))?
    }

    async fn start(&self, who: &Principal, org: OrgId, new: NewSession) -> Result<(Session, bool)> {
        let recordings = self.recordings();
        let _one_at_a_time = match &new.client_id {
            None => None,
            Some(id) => {
                let mut hasher = DefaultHasher::new();
                (org, id).hash(&mut hasher);
                Some(recordings.starts[(hasher.finish() % STARTS) as usize].lock().await)
            }
        };
        if let Some(id) = &new.client_id
            && let Some(there) = self.find_session_by_client_id(org, id)?
        {
            if there.info != new.info {
                let message = format!("the id {id:?} started session {}, which is described otherwise", there.id);
                return Err(Error::conflict(message));
            }
            return Ok((there, true));
        }
        let _starting = recordings.starting.read().await;
        self.check_clear(org)?;
        if recordings.open_count() >= recordings.options.open_sessions_max as u64 {
            let message = format!("{} sessions are open; no more can be", recordings.options.open_sessions_max);
            return Err(Error::overloaded(message, RETRY_AFTER_S));
        }
        let part = self.newest_part(org)?;
        let (log, ordinal) = (part.log, part.ordinal);
        let now_us = self.now_us();
        let mut random = [0; 8];
        self.entropy().fill(&mut random);
        let now = time::from_micros(now_us);
        let mut session = Session {
            id: SessionId::new(now_us, random),
            org,
            client_id: new.client_id,
            account: Some(who.account),
            started_at: new.info.started_at_time().unwrap_or(now),
            info: new.info,
            recorded_at: now,
            number: 0,
            ended: None,
            bytes: 0,
            chunks: 0,
            part,
        };
        let (turn, place) = self
            .append_entry(log, EntryKind::Event, Some(who.account), &who.caller, &entry::started(&session, who))
            .await?;
        session.number = place.number;
        session.recorded_at = time::from_micros(place.received_at_us);
        let open = Arc::new(Open {
            session: session.clone(),
            log,
            ordinal,
            shown: parking_lot::Mutex::new(Shown { bytes: 0, chunks: 0, last_at_us: place.received_at_us }),
            turn: tokio::sync::Mutex::new(Progress { digest: Some(Sha256::new()), ..Progress::default() }),
        });
        recordings.open.lock().insert(session.id, open);
        recordings.catalogue.apply(ordinal, &Entry::Session(Box::new(session.clone())));
        drop(turn);
        Ok((session, false))
    }

    /// Appends one chunk at `offset`, which must be where the recording ends, and waits until it is durable, its hash in the
    /// log, and that signed. A chunk that is there answers with its receipt.
    ///
    /// Takes the account that started the session, or an administrator.
    ///
    /// # Errors
    /// `NotFound`: no such session in this organisation. `Invalid`: no bytes. `TooLarge`: more than [`CHUNK_BYTES_MAX`], or
    /// the recording would be longer than it may be. `Conflict`: other bytes are at this place, or the recording ends
    /// before it (the error says where), or it is over.
    pub async fn append_chunk(
        &self,
        who: &Principal,
        org: OrgId,
        session: SessionId,
        offset: u64,
        bytes: Bytes,
    ) -> Result<ChunkReceipt> {
        self.allow(who, Verb::RecordSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        if bytes.is_empty() {
            return Err(Error::invalid("the chunk is empty"));
        }
        if bytes.len() > CHUNK_BYTES_MAX {
            return Err(Error::too_large(format!(
                "the chunk is longer than {CHUNK_BYTES_MAX} bytes; send it in parts"
            )));
        }
        let Some(open) = self.recordings().find_open(org, session) else {
            let over = self.find_session(org, session)?;
            check_owner(who, &over)?;
            let (bytes, sha256) = hashed(bytes).await?;
            return self.repeated_chunk(&over, offset, bytes.len() as u64, &sha256).await;
        };
        check_owner(who, &open.session)?;
        let (bytes, sha256) = hashed(bytes).await?;
        let (service, who) = (self.clone(), who.clone());
        let work = tokio::spawn(async move { service.append_to(&who, &open, offset, bytes, sha256).await });
        work.await.map_err(|e| Error::internal("a chunk stopped half-way").with_source(e))?
    }

    async fn append_to(
        &self,
        who: &Principal,
        open: &Arc<Open>,
        offset: u64,
        bytes: Bytes,
        sha256: [u8; 32],
    ) -> Result<ChunkReceipt> {
        let mut progress = open.turn.lock().await;
        let length = bytes.len() as u64;
        let shown = *open.shown.lock();
        if progress.over.is_some() || offset < shown.bytes {
            let session = progress.over.clone().unwrap_or_else(|| open.now());
            drop(progress);
            return self.repeated_chunk(&session, offset, length, &sha256).await;
        }
        if offset > shown.bytes {
            return Err(Error::conflict(format!(
                "the recording ends at {}; a chunk at {offset} would leave a gap",
                shown.bytes
            )));
        }
        let recordings = self.recordings();
        let bytes_max = recordings.options.recording_bytes_max;
        if offset + length > bytes_max {
            return Err(Error::too_large(format!("the recording would be longer than {bytes_max} bytes")));
        }
        self.check_clear(open.session.org)?;
        let id = open.session.id;
        // The store first. If we die after it, or the log does not take the entry, what lies there is garbage; the other
        // way round the log would promise what is not there.
        recordings.blobs.put(open.log, id, &sha256, bytes).await?;
        let mut chunk = Chunk {
            session: id,
            sequence: shown.chunks,
            offset,
            length: u32::try_from(length).expect("a chunk's limit is far below 4 GiB"),
            sha256,
            number: 0,
            recorded_at: Timestamp::UNIX_EPOCH,
        };
        let draft = entry::chunk(&chunk);
        let (turn, place) =
            self.append_entry(open.log, EntryKind::RecordingChunk, Some(who.account), &who.caller, &draft).await?;
        chunk.number = place.number;
        chunk.recorded_at = time::from_micros(place.received_at_us);
        recordings.catalogue.apply(open.ordinal, &Entry::Chunk(chunk.clone()));
        drop(turn);
        *open.shown.lock() =
            Shown { bytes: offset + length, chunks: shown.chunks + 1, last_at_us: place.received_at_us };
        if let Some(digest) = &mut progress.digest {
            digest.update(sha256);
        }
        Ok(ChunkReceipt::new(&chunk, false))
    }

    /// The receipt of a chunk that is there, or why there can be none.
    async fn repeated_chunk(
        &self,
        session: &Session,
        offset: u64,
        length: u64,
        sha256: &[u8; 32],
    ) -> Result<ChunkReceipt> {
        let (service, of) = (self.clone(), session.clone());
        let there = crate::recordings::read::blocking(move || service.chunk_at(&of, offset)).await?;
        match there {
            Some(there) if there.offset == offset && u64::from(there.length) == length && there.sha256 == *sha256 => {
                Ok(ChunkReceipt::new(&there, true))
            }
            _ if offset < session.bytes => Err(Error::conflict(format!(
                "other bytes are at {offset} already; the recording goes on at {}",
                session.bytes
            ))),
            _ => Err(is_over(session)),
        }
    }

    /// Ends a recording and waits until that is durable and signed. What is over already answers with how it ended.
    ///
    /// # Errors
    /// `NotFound`: no such session in this organisation. `Conflict`: `bytes` is not what is there; or the recording was ended
    /// by us, as nothing came.
    pub async fn finish_session(
        &self,
        who: &Principal,
        org: OrgId,
        session: SessionId,
        finish: Finish,
    ) -> Result<Session> {
        self.allow(who, Verb::RecordSessions, org)?;
        self.recordings().catalogue.check_ready()?;
        let reason = if finish.aborted { EndReason::Aborted } else { EndReason::Finished };
        let Some(open) = self.recordings().find_open(org, session) else {
            let over = self.find_session(org, session)?;
            check_owner(who, &over)?;
            return ended_so(over, reason, &finish);
        };
        check_owner(who, &open.session)?;
        if let Some(bytes) = finish.bytes {
            let there = open.shown.lock().bytes;
            if bytes != there {
                return Err(Error::conflict(format!(
                    "the recording has {there} bytes, not {bytes}; send what is missing"
                )));
            }
        }
        let (service, who) = (self.clone(), who.clone());
        let work = tokio::spawn(async move {
            let ended =
                service.end(&open, reason, (finish.exit, finish.ended_at), Some(who.account), &who.caller).await?;
            ended_so(ended, reason, &finish)
        });
        work.await.map_err(|e| Error::internal("a finish stopped half-way").with_source(e))?
    }

    /// Ends a session, if it is not over: with the exit status and the time that its recorder told, if it did.
    async fn end(
        &self,
        open: &Arc<Open>,
        reason: EndReason,
        (exit, at): (Option<i64>, Option<Timestamp>),
        account: Option<AccountId>,
        caller: &Caller,
    ) -> Result<Session> {
        let mut progress = open.turn.lock().await;
        if let Some(over) = &progress.over {
            return Ok(over.clone());
        }
        let digest = match progress.digest.take() {
            Some(digest) => digest,
            None => self.digest_again(open).await?,
        };
        progress.digest = Some(digest.clone());
        let mut session = open.now();
        let mut ended = Ended {
            at: at.unwrap_or_else(|| time::from_micros(self.now_us())),
            reason,
            exit,
            chunks_sha256: digest.finalize().into(),
            number: 0,
        };
        let draft = entry::finished(&session, &ended, caller);
        let (turn, place) = self.append_entry(open.log, EntryKind::Event, account, caller, &draft).await?;
        ended.number = place.number;
        session.ended = Some(ended);
        self.recordings().catalogue.apply(open.ordinal, &Entry::Session(Box::new(session.clone())));
        progress.over = Some(session.clone());
        self.recordings().open.lock().remove(&session.id);
        self.recordings().lives.forget(session.id);
        drop(turn);
        self.index_soon(&session);
        Ok(session)
    }

    /// The digest over the chunks of a session that was open when the service started.
    async fn digest_again(&self, open: &Arc<Open>) -> Result<Sha256> {
        let (service, session) = (self.clone(), open.now());
        crate::recordings::read::blocking(move || {
            let mut digest = Sha256::new();
            service.each_chunk(&session, &mut |chunk| digest.update(chunk.sha256))?;
            Ok(digest)
        })
        .await
    }

    /// Ends the sessions to which nothing came for too long.
    pub(crate) async fn end_idle_sessions(&self) {
        let timeout_us = self.recordings().options.idle_timeout.as_micros() as u64;
        let now_us = self.now_us();
        let idle: Vec<Arc<Open>> = {
            let open = self.recordings().open.lock();
            open.values().filter(|open| open.shown.lock().last_at_us + timeout_us <= now_us).cloned().collect()
        };
        for open in idle {
            self.end_by_ourselves(&open, EndReason::Timeout).await;
        }
    }

    async fn end_by_ourselves(&self, open: &Arc<Open>, reason: EndReason) {
        let now_us = self.now_us();
        if open.turn.lock().await.retry_at_us > now_us {
            return;
        }
        let last_at = time::from_micros(open.shown.lock().last_at_us);
        if let Err(error) = self.end(open, reason, (None, Some(last_at)), None, &Caller::internal()).await {
            tracing::warn!(?error, session = %open.session.id, "a session could not be ended; it is tried again");
            open.turn.lock().await.retry_at_us = now_us + RETRY_US;
        }
    }

    /// Lets no session start in the organisation until the guard is dropped, and ends those that are open: its log is about
    /// to be closed, or to be encrypted.
    pub(crate) async fn hold_sessions(&self, org: OrgId) -> Held {
        *self.recordings().held.lock().entry(org).or_default() += 1;
        let held = Held { service: self.clone(), org };
        drop(self.recordings().starting.write().await);
        let open: Vec<Arc<Open>> =
            self.recordings().open.lock().values().filter(|open| open.session.org == org).cloned().collect();
        for open in open {
            self.end_by_ourselves(&open, EndReason::Closed).await;
        }
        held
    }

    /// Fills the table of open sessions from the catalogue. Blocks.
    pub(crate) fn take_up_sessions(&self) -> Result<()> {
        /// Sessions read at once.
        const PAGE: usize = 1_000;
        let orgs: Vec<OrgId> = self.control().state().orgs().iter().map(|org| org.id).collect();
        for org in orgs {
            let part = self.newest_part(org)?;
            let (log, ordinal) = (part.log, part.ordinal);
            let mut after = None;
            loop {
                let query = filter::sessions(&filter::active(true));
                let numbers = self.recordings().catalogue.search(ordinal, &query, Order::Ascending, after, PAGE)?;
                let Some(last) = numbers.last() else { break };
                after = Some(*last);
                for session in self.sessions_at(org, part, &numbers)? {
                    let last = self.last_chunk(&session)?;
                    let shown = match &last {
                        None => Shown { bytes: 0, chunks: 0, last_at_us: time::micros(session.recorded_at) as u64 },
                        Some(last) => Shown {
                            bytes: last.end(),
                            chunks: last.sequence + 1,
                            last_at_us: time::micros(last.recorded_at) as u64,
                        },
                    };
                    let shown = parking_lot::Mutex::new(shown);
                    let open = Open { log, ordinal, shown, turn: tokio::sync::Mutex::default(), session };
                    self.recordings().open.lock().entry(open.session.id).or_insert_with(|| Arc::new(open));
                }
            }
        }
        Ok(())
    }

    /// Refuses what an organisation with an active key must not keep, and what comes while its log is about to change.
    fn check_clear(&self, org: OrgId) -> Result<()> {
        if self.control().state().active_key(org).is_some() {
            return Err(sealed());
        }
        if self.recordings().held.lock().contains_key(&org) {
            return Err(Error::conflict("no recording can start or go on: the organisation's log is being changed"));
        }
        Ok(())
    }

    /// Appends one entry of a session. The turn must live until the catalogue was told.
    pub(crate) async fn append_entry(
        &self,
        log: LogId,
        kind: EntryKind,
        account: Option<AccountId>,
        caller: &Caller,
        draft: &EventDraft,
    ) -> Result<(Turn, Appended)> {
        let by = RecordedBy {
            account,
            via: Caller::INTERNAL.to_owned(),
            from: caller.address.map(|address| address.to_string()),
        };
        let event = NewEvent::build(draft).map_err(|invalid| Error::invalid(invalid.to_string()))?;
        let entrance = self.sealer().enter(log).await?;
        if entrance.is_sealed() {
            return Err(sealed());
        }
        let mut turn = self.recordings().catalogue.turn(log);
        match self.sealer().append_clear(entrance, kind, (Arc::new(by), event)).await {
            Ok(place) => Ok((turn, place)),
            Err(error) => {
                let error = match error {
                    NotAppended::Log(error) => {
                        // Whether it is in the log will be known when the log is read again, at the next start.
                        turn.abandoned = matches!(error, log::Error::Unavailable(_) | log::Error::Corrupt(_));
                        error.into()
                    }
                    NotAppended::Failed(error) => error,
                };
                Err(error)
            }
        }
    }
}

/// See [`Service::hold_sessions`].
pub struct Held {
    service: Service,
    org: OrgId,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.service.recordings().held.lock();
        let count = held.get_mut(&self.org).expect("it was counted when this was made");
        *count -= 1;
        if *count == 0 {
            held.remove(&self.org);
        }
    }
}

fn sealed() -> Error {
    Error::conflict(
        "this organisation has its events encrypted, and recordings are kept in clear; record into another organisation, \
         or retire its key",
    )
}

fn is_over(session: &Session) -> Error {
    let how = session.ended.as_ref().map_or("open", |ended| ended.reason.as_str());
    Error::conflict(format!("the recording is over ({how}) with {} bytes; start another one", session.bytes))
}

/// A session is its recorder's: nobody else adds to it or ends it, except an administrator.
fn check_owner(who: &Principal, session: &Session) -> Result<()> {
    if session.account == Some(who.account) || who.is_admin() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "not allowed to record into a session that another account started"))
}

/// Answers a finish with how the session ended, if that is what was meant.
fn ended_so(over: Session, reason: EndReason, finish: &Finish) -> Result<Session> {
    let ended = over.ended.as_ref().expect("only sessions that are over come here");
    let same = ended.reason == reason && finish.bytes.is_none_or(|bytes| bytes == over.bytes);
    if same { Ok(over) } else { Err(is_over(&over)) }
}
