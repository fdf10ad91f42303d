//! Erasure and pruning reach recordings too: what the log forgets by order leaves catalogue and store as well.

use std::collections::BTreeSet;

use log::LogId;

use super::SessionId;
use super::entry::Entry;
use crate::encoding::Decoder;
use crate::error::{Error, Result};
use crate::model::OrgId;
use crate::service::Service;

impl Service {
    /// The sessions to which entries of these numbers belong. Blocks. To be asked before they are erased.
    ///
    /// # Errors
    /// `Conflict`: one of them is open; its end would say again what was erased.
    pub(crate) fn sessions_to_forget(&self, org: OrgId, log: LogId, numbers: &[u64]) -> Result<BTreeSet<SessionId>> {
        let mut sessions = BTreeSet::new();
        let mut decoder = Decoder::default();
        let part = self.newest_part(org)?;
        for number in numbers.iter().filter(|number| **number > 0) {
            // A number that is not there is for the log to refuse.
            let records = self.logs().read_many(&log, &[number - 1]).unwrap_or_default();
            for record in records {
                let session = match Entry::read(org, part, &decoder.event(record)) {
                    Some(Entry::Session(session)) => session.id,
                    Some(Entry::Chunk(chunk)) => chunk.session,
                    // A score is no part of the recording; of what is erased with it nothing lies elsewhere.
                    Some(Entry::Scored(_) | Entry::Built { .. }) | None => continue,
                };
                if self.recordings().find_open(org, session).is_some() {
                    let message =
                        format!("event {number} belongs to session {session}, which is open; finish it first");
                    return Err(Error::conflict(message));
                }
                sessions.insert(session);
            }
        }
        Ok(sessions)
    }

    /// The lowest number that an open session of the organisation needs.
    pub(crate) fn oldest_open_session(&self, org: OrgId) -> Option<u64> {
        let open = self.recordings().open.lock();
        open.values().filter(|open| open.session.org == org).map(|open| open.session.number).min()
    }

    /// Tells the catalogue of a note by which the log forgot something. Blocks until it has left the disk.
    pub(crate) fn forget_in_catalogue(&self, org: OrgId, log: LogId, note: u64) -> Result<()> {
        let (_, ordinal) = self.log_and_ordinal(org)?;
        let catalogue = &self.recordings().catalogue;
        for record in self.logs().read_many(&log, &[note - 1])? {
            catalogue.apply_record(ordinal, log, record, &mut Decoder::default());
        }
        catalogue.commit()?;
        catalogue.settle();
        Ok(())
    }
}
