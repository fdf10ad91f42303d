//! Garbage: objects that no entry of the log names, because a crash or a refusal came between the two, or because the
//! entry was erased or pruned.
//!
//! Nothing is removed unless the log is what was signed, the catalogue knows all of it, and the session is not open. Logs
//! that another one took the place of are left alone.

use std::collections::{BTreeSet, HashSet};

use super::{SessionId, filter, indexing};
use crate::error::Result;
use crate::model::OrgId;
use crate::numbers::Part;
use crate::query::Order;
use crate::service::Service;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions whose objects were looked at.
    pub sessions: u64,
    /// Objects removed.
    pub removed: u64,
}

impl Service {
    /// Removes what no entry names, of all organisations. Looks at every object; meant for the background.
    pub async fn sweep_recordings(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        let orgs: Vec<OrgId> = self.control().state().orgs().iter().map(|org| org.id).collect();
        for org in orgs {
            let of_org = self.sweep_recordings_of(org).await?;
            swept.sessions += of_org.sessions;
            swept.removed += of_org.removed;
        }
        Ok(swept)
    }

    /// As [`Service::sweep_recordings`], of one organisation.
    pub(crate) async fn sweep_recordings_of(&self, org: OrgId) -> Result<Swept> {
        let log = self.log_of(org)?;
        let mut sessions: BTreeSet<SessionId> = self.recordings().blobs.sessions(log).await?.into_iter().collect();
        let data = self.data().to_owned();
        sessions.extend(super::read::blocking(move || indexing::sessions(&data, log)).await?);
        self.sweep_sessions(org, sessions).await
    }

    /// As [`Service::sweep_recordings`], of these sessions.
    pub(crate) async fn sweep_sessions(
        &self,
        org: OrgId,
        sessions: impl IntoIterator<Item = SessionId>,
    ) -> Result<Swept> {
        let mut swept = Swept::default();
        let part = self.newest_part(org)?;
        let log = part.log;
        // What cannot be read, or was rolled back, may be what an object belongs to.
        let catalogue = &self.recordings().catalogue;
        if !self.logs().state(&log)?.is_sound() || catalogue.check_ready().is_err() || catalogue.trouble().is_some() {
            return Ok(swept);
        }
        for session in sessions {
            swept.sessions += 1;
            swept.removed += self.sweep_session(org, part, session).await?;
        }
        Ok(swept)
    }

    async fn sweep_session(&self, org: OrgId, part: Part, session: SessionId) -> Result<u64> {
        let log = part.log;
        // A session starts before its first object is written, so one that is not open now gets no more of them.
        if self.recordings().find_open(org, session).is_some() {
            return Ok(0);
        }
        // Whoever makes its projection now is waited for: that one may have read what is gone.
        let _turn = self.recordings().looking.turn(session).await;
        let service = self.clone();
        let keep = super::read::blocking(move || {
            // What was on its screens is made again of what is left, when somebody asks. First, because a crash after the
            // chunks would leave nothing that says so.
            let folder = indexing::folder(service.data(), log, session);
            if folder.exists() && service.current_summary(part, session)?.is_none() {
                service.drop_projection(log, session)?;
            }
            service.hashes(org, part, session)
        });
        self.recordings().blobs.sweep(log, session, &keep.await?).await
    }

    /// The hashes that entries name as chunks of a session.
    fn hashes(&self, org: OrgId, part: Part, session: SessionId) -> Result<HashSet<[u8; 32]>> {
        const PAGE: usize = 1_000;
        let query = filter::chunks(session, None);
        let (mut hashes, mut after) = (HashSet::new(), None);
        loop {
            let numbers = self.recordings().catalogue.search(part.ordinal, &query, Order::Ascending, after, PAGE)?;
            let Some(last) = numbers.last() else { return Ok(hashes) };
            after = Some(*last);
            let indexes: Vec<u64> = numbers.iter().map(|number| number - 1).collect();
            let mut decoder = crate::encoding::Decoder::default();
            for record in self.logs().read_many(&part.log, &indexes)? {
                if let Some(super::entry::Entry::Chunk(chunk)) =
                    super::entry::Entry::read(org, part, &decoder.event(record))
                {
                    hashes.insert(chunk.sha256);
                }
            }
        }
    }
}
