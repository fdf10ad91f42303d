//! What is handed out so that others can check an event without us: its body as stored, and the salt of its commitment.

use log::{Body, BodyState};
use tlog::entry::Kind;

use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::{Event, OrgId};
use crate::service::Service;

/// Most events of one call.
pub const EVIDENCE_EVENTS_MAX: usize = 256;

/// What can be shown of one event besides its entry.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Origin of the log that holds it.
    pub origin: String,
    /// Position of the leaf in that log.
    pub index: u64,
    /// The number that readers see.
    pub number: u64,
    /// What the entry is.
    pub kind: Kind,
    /// Body and salt; none where the entry holds its body itself, and where the body was erased.
    pub disclosed: Option<(Body, [u8; 16])>,
    /// The body was erased by order.
    pub erased: bool,
}

impl Service {
    /// Bodies and salts of these numbers, in their order. Takes `ReadEvents` and `ReadProofs`: whoever gets these can show the
    /// contents to anybody. That they were handed out is recorded.
    ///
    /// # Errors
    /// `TooLarge` over [`EVIDENCE_EVENTS_MAX`]; `NotFound` past the head; `Corrupt` if one cannot be read.
    pub fn evidence(&self, who: &Principal, org: OrgId, numbers: &[u64]) -> Result<Vec<Evidence>> {
        self.allow(who, Verb::ReadEvents, org)?;
        self.allow(who, Verb::ReadProofs, org)?;
        if numbers.len() > EVIDENCE_EVENTS_MAX {
            return Err(Error::too_large(format!("at most {EVIDENCE_EVENTS_MAX} events at a time")));
        }
        let mut places = Vec::with_capacity(numbers.len());
        for number in numbers {
            let (part, local) = self.part_of(org, *number)?;
            if local > self.logs().head(&part.log)?.size {
                return Err(Error::not_found(format!("no event has the number {number}")));
            }
            places.push((part, local - 1));
        }
        let (mut events, mut evidence) = (Vec::new(), Vec::new());
        // Neighbours in one log are read at once.
        for alike in places.chunk_by(|a, b| a.0 == b.0) {
            let part = alike[0].0;
            let indexes: Vec<u64> = alike.iter().map(|(_, index)| *index).collect();
            let origin = self.logs().origin(&part.log);
            for record in self.logs().read_many(&part.log, &indexes)? {
                let erased = record.state != BodyState::Present;
                let committed = record.kind.is_committed(record.body.len());
                let disclosed = (committed && !erased).then(|| (record.body.clone(), record.salt));
                let (index, number, kind) = (record.index, part.shown(record.number), record.kind);
                events.push(Event { before: part.before, ..encoding::event(record) });
                evidence.push(Evidence { origin: origin.clone(), index, number, kind, disclosed, erased });
            }
        }
        self.own().extracted(self.log_of(org)?, who, &events);
        Ok(evidence)
    }
}
