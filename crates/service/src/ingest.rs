//! Events in: validated, limited, deduplicated, appended; a receipt for each.

use std::sync::Arc;

use jiff::Timestamp;

use crate::access::{Principal, Verb};
use crate::error::{Error, Result};
use crate::model::{Invalid, NewEvent, OrgId, RecordedBy, time};
use crate::sealing::Handed;
use crate::service::Service;

/// Most events of one call.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// Most bytes of event JSON of one call. With what we add to each event the batch stays within one append of the log.
pub const BATCH_BYTES_MAX: usize = 30 << 20;

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
        items: Vec<std::result::Result<NewEvent, Invalid>>,
        options: IngestOptions,
    ) -> Result<Vec<ItemResult>> {
        self.allow(who, Verb::IngestEvents, org)?;
        if items.len() > BATCH_EVENTS_MAX {
            return Err(Error::too_large(format!(
                "the batch has more than {BATCH_EVENTS_MAX} events; send fewer at a time"
            )));
        }
        let bytes: usize = items.iter().flatten().map(|event| event.json().len()).sum();
        if bytes > BATCH_BYTES_MAX {
            return Err(Error::too_large(format!(
                "the batch is longer than {BATCH_BYTES_MAX} bytes; send less at a time"
            )));
        }
        let part = self.newest_part(org)?;
        let log = part.log;
        let entrance = self.sealer().enter(log).await?;
        let items: Vec<_> =
            items.into_iter().map(|item| item.and_then(|event| entrance.check(&event).map(|()| event))).collect();
        if options.atomic && items.iter().any(|item| item.is_err()) {
            let refused =
                items.into_iter().map(|item| Err(item.map_or_else(ItemError::Invalid, |_| ItemError::NotTaken)));
            return Ok(refused.collect());
        }
        let by = RecordedBy {
            account: Some(who.account),
            via: who.caller.dialect.to_owned(),
            from: who.caller.address.map(|address| address.to_string()),
        };
        let by = Arc::new(by);
        let mut events: Vec<Handed> = Vec::with_capacity(items.len());
        let kept: Vec<std::result::Result<Option<String>, Invalid>> = items
            .into_iter()
            .map(|item| {
                let event = item?;
                let id = event.id().map(str::to_owned);
                events.push((Arc::clone(&by), event));
                Ok(id)
            })
            .collect();
        let appended = match events.is_empty() {
            true => Vec::new(),
            false => self.sealer().append(entrance, events, None).await?,
        };
        let origin = self.logs().origin(&log);
        let mut appended = appended.into_iter();
        let receipts = kept.into_iter().map(|item| {
            let id = item.map_err(ItemError::Invalid)?;
            let place = appended.next().expect("the log answers with one place for each entry");
            Ok(Receipt {
                org,
                origin: origin.clone(),
                index: place.index,
                number: part.shown(place.number),
                leaf_hash: place.leaf,
                received_at: time::from_micros(place.received_at_us),
                id,
                duplicate: place.duplicate,
                tree_size: place.tree_size,
            })
        });
        Ok(receipts.collect())
    }
}
