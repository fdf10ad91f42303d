//! Events in: validated, limited, deduplicated, appended; a receipt for each.

use jiff::Timestamp;

use crate::access::Principal;
use crate::error::{Error, Result};
use crate::model::{Invalid, NewEvent, OrgId};
use crate::service::Service;

/// Most events of one call.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// Most bytes of event JSON of one call.
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// How a batch is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct IngestOptions {
    /// Refuse all when one is refused. Otherwise the good ones are taken.
    pub atomic: bool,
}

/// What a sender keeps: where its event is, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The organisation.
    pub org: OrgId,
    /// The origin of its log, as checkpoints print it.
    pub origin: String,
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Index + 1: the number in every API.
    pub number: u64,
    /// SHA-256 over `0x00 || entry`.
    pub leaf_hash: tlog::Hash,
    /// When it was received.
    pub received_at: Timestamp,
    /// The sender's id, if it gave one.
    pub id: Option<String>,
    /// The id was there already: this is the receipt of the first one.
    pub duplicate: bool,
    /// Size of a signed head that covers it.
    pub tree_size: u64,
}

/// Why one event of a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemError {
    /// It breaks a rule.
    Invalid(Invalid),
    /// It is good, but another one of an atomic batch is not.
    NotTaken,
}

/// What became of one event of a batch.
pub type ItemResult = std::result::Result<Receipt, ItemError>;

impl Service {
    /// Takes events into the log of `org` and waits until those taken are durable and signed.
    ///
    /// One result for each item, in the order of the items; an item that is refused already passes through as its error.
    /// An event whose id is in the organisation already (or earlier in the batch) is not taken again and answers with the
    /// first one's receipt. Events of one call get rising numbers in their order, not necessarily adjacent ones.
    /// If the future is dropped the events may still be taken: retry with the same ids.
    ///
    /// # Errors
    /// For the batch as a whole: `TooLarge` over [`BATCH_EVENTS_MAX`] or [`BATCH_BYTES_MAX`]; `Overloaded`, nothing was
    /// taken; `Unavailable`, some may have been taken; `Forbidden`, `NotFound` as everywhere.
    pub async fn ingest(
        &self,
        who: &Principal,
        org: OrgId,
        items: Vec<Result<NewEvent, Invalid>>,
        options: IngestOptions,
    ) -> Result<Vec<ItemResult>> {
        let _ = (who, org, items, options, None::<Error>);
        todo!()
    }
}
