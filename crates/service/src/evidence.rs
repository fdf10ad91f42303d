//! What is handed out so that others can check an event without us: its body as stored, and the salt of its commitment.

use log::{Body, BodyState};
use tlog::entry::Kind;

use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::OrgId;
use crate::service::Service;

/// Most events of one call.
pub const EVIDENCE_EVENTS_MAX: usize = 256;

/// What can be shown of one event besides its entry.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Position of the leaf.
    pub index: u64,
    /// Index + 1.
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
        let log = self.log_of(org)?;
        let size = self.logs().head(&log)?.size;
        if let Some(number) = numbers.iter().find(|number| !(1..=size).contains(*number)) {
            return Err(Error::not_found(format!("no event has the number {number}")));
        }
        let indexes: Vec<u64> = numbers.iter().map(|number| number - 1).collect();
        let records = self.logs().read_many(&log, &indexes)?;
        let events: Vec<_> = records.iter().cloned().map(encoding::event).collect();
        self.own().extracted(log, who, &events);
        let evidence = records.into_iter().map(|record| {
            let erased = record.state != BodyState::Present;
            let committed = record.kind.is_committed(record.body.len());
            let disclosed = (committed && !erased).then(|| (record.body.clone(), record.salt));
            Evidence { index: record.index, number: record.number, kind: record.kind, disclosed, erased }
        });
        Ok(evidence.collect())
    }
}
