//! Search in the contents of many sessions: the one that started last first, page by page.

use std::time::Duration;

use jiff::Timestamp;
use search::content::ContentQuery;
use tokio::time::Instant;

use super::access::Access;
use super::looking::ContentHits;
use super::read::{SessionCursor, SessionQuery, blocking};
use super::{Session, SessionId};
use crate::access::{Principal, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::model::OrgId;
use crate::service::Service;

/// Most sessions with hits on one page.
pub const FOUND_SESSIONS_MAX: usize = 100;

/// Most hits that are given of one session; of more there is the number.
pub const HITS_OF_SESSION_MAX: usize = 100;

/// Sessions that one page looks into, at most.
const LOOKED_INTO_MAX: u64 = 1_000;

/// Sessions whose descriptions are read at once.
const AT_ONCE: usize = 100;

/// How long a page looks on; then it gives what it has and says where to go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is looked for, and where.
#[derive(Clone, Debug)]
pub struct ContentsQuery {
    /// In which sessions. `limit`: most sessions with hits, at most [`FOUND_SESSIONS_MAX`].
    pub sessions: SessionQuery,
    /// What.
    pub content: ContentQuery,
    /// The same as the reader wrote it, for the trail.
    pub what: String,
    /// Most hits of one session, at most [`HITS_OF_SESSION_MAX`].
    pub hits_each: usize,
}

/// A session in which something was found.
#[derive(Clone, Debug)]
pub struct FoundSession {
    /// The session.
    pub session: Session,
    /// The best of what matches.
    pub hits: ContentHits,
}

/// A session that could not be looked into.
#[derive(Clone, Debug)]
pub struct Unsearched {
    /// Which.
    pub session: SessionId,
    /// When it started.
    pub started_at: Timestamp,
    /// Why.
    pub why: Why,
}

/// Why a session could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not over yet.
    Recording,
    /// It is still being indexed; ask again.
    Pending,
    /// What is kept of it does not read; why.
    Unreadable(String),
}

/// One page of sessions in which something was found.
#[derive(Clone, Debug, Default)]
pub struct ContentsPage {
    /// Those with hits, newest start first.
    pub found: Vec<FoundSession>,
    /// Those that might have some, but could not be looked into.
    pub unsearched: Vec<Unsearched>,
    /// Sessions that this page went through.
    pub looked_into: u64,
    /// Not every session was looked into: pass it as `sessions.after` for the next page.
    pub next: Option<SessionCursor>,
}

impl Service {
    /// Searches what was on the screens of sessions. A page ends when it is full, when it has looked into 1,000 sessions, or
    /// after 10 seconds; it may be short, even empty, and still have a next one. That texts of a session were shown is an
    /// event of the trail, durable before this returns; that nothing was found in one is not.
    ///
    /// A recording whose end is damaged is searched up to the damage, as everywhere.
    ///
    /// # Errors
    /// `Invalid` for a limit of 0; `Overloaded` while the catalogue is being made; `Unavailable`.
    pub async fn search_contents(&self, who: &Principal, org: OrgId, asked: ContentsQuery) -> Result<ContentsPage> {
        self.allow(who, Verb::ViewSessions, org)?;
        if asked.sessions.limit == 0 || asked.hits_each == 0 {
            return Err(Error::invalid("the limit is 0; ask for at least one session and one hit of each"));
        }
        let limit = asked.sessions.limit.min(FOUND_SESSIONS_MAX);
        let until = Instant::now() + PATIENCE;
        let mut page = ContentsPage::default();
        let mut after = asked.sessions.after;
        loop {
            let query = SessionQuery { filter: asked.sessions.filter.clone(), after, limit: AT_ONCE };
            let (service, asking) = (self.clone(), who.clone());
            let batch = blocking(move || service.sessions(&asking, org, &query, &|_| true)).await?;
            for session in batch.sessions {
                after = Some(session.cursor());
                page.looked_into += 1;
                match self.search_one(&session, &asked, until).await? {
                    Looked::Nothing => {}
                    Looked::Not(why) => {
                        page.unsearched.push(Unsearched { session: session.id, started_at: session.started_at, why });
                    }
                    Looked::Found(hits) => {
                        self.record_access(who, &session, Access::View { what: asked.what.clone() }).await?;
                        page.found.push(FoundSession { session, hits });
                    }
                }
                if page.found.len() == limit || page.looked_into == LOOKED_INTO_MAX || Instant::now() >= until {
                    page.next = after;
                    return Ok(page);
                }
            }
            match batch.next {
                Some(next) => after = Some(next),
                None => return Ok(page),
            }
        }
    }

    async fn search_one(&self, session: &Session, asked: &ContentsQuery, until: Instant) -> Result<Looked> {
        if session.is_active() {
            return Ok(Looked::Not(Why::Recording));
        }
        // On a task of its own: who comes too late for this page does not stop the indexing that the next one needs.
        let (service, session, query) = (self.clone(), session.clone(), asked.content.clone());
        let most = asked.hits_each.min(HITS_OF_SESSION_MAX);
        let work = tokio::spawn(async move { service.find_content(&session, query, 0..most).await });
        let found = match tokio::time::timeout_at(until, work).await {
            Err(_) => return Ok(Looked::Not(Why::Pending)),
            Ok(done) => done.map_err(|e| Error::internal("a search stopped half-way").with_source(e))?,
        };
        match found {
            Ok(hits) if hits.total == 0 => Ok(Looked::Nothing),
            Ok(hits) => Ok(Looked::Found(hits)),
            // One recording that does not read must not hide all others.
            Err(error) if error.kind == ErrorKind::Corrupt => Ok(Looked::Not(Why::Unreadable(error.to_string()))),
            Err(error) => Err(error),
        }
    }
}

enum Looked {
    Nothing,
    Found(ContentHits),
    Not(Why),
}
