//! Retention: forgetting the oldest events for good, unless they are held (`specs/proofs.md` §11).

use jiff::Timestamp;
use serde_json::json;

use crate::access::{Principal, Verb};
use crate::control::record::Record;
use crate::error::{Error, Result};
use crate::log_keys::refused;
use crate::model::{Kind, OrgId, Outcome, time};
use crate::own_events;
use crate::service::Service;

/// Up to where events are to be pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneTo {
    /// Events below this number; only those of the log that takes entries.
    Number(u64),
    /// Events received before this time.
    Time(Timestamp),
}

/// What was pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneDone {
    /// Number of the note that says so.
    pub note: u64,
    /// Events below this index (from 0) are gone; a multiple of 256.
    pub minimum_index: u64,
}

impl Service {
    /// Forgets the oldest events of an organisation for good: contents, fields and leaf hashes. Rounded down to a multiple
    /// of 256. Every archived checkpoint stays provable. A note in the log says up to where, why and by whom.
    ///
    /// # Errors
    /// `Conflict`: a legal hold stands in the way, or nothing is left to prune. `Invalid`: beyond the log, or no reason.
    pub async fn prune_events(&self, who: &Principal, org: OrgId, to: PruneTo, reason: &str) -> Result<PruneDone> {
        self.allow(who, Verb::ManageLogs, org)?;
        let (part, hold) = (self.newest_part(org)?, self.control().state().legal_hold(org));
        let log = part.log;
        let (logs, reason, by) = (self.logs().clone(), reason.to_owned(), who.name.clone());
        let (service, pruning) = (self.clone(), self.clone());
        let pruned = tokio::task::spawn_blocking(move || {
            let size = logs.head(&log)?.size;
            let minimum = match to {
                PruneTo::Number(number) => number.saturating_sub(1).saturating_sub(part.before),
                PruneTo::Time(at) => {
                    let at_us = u64::try_from(time::micros(at)).unwrap_or(0);
                    logs.entries_received_before(&log, at_us, size)?
                }
            };
            // What is held stays, and with it everything of its tile and after.
            if let Some(held) = hold.filter(|held| part.shown(minimum / 256 * 256) >= *held) {
                return Err(Error::conflict(format!("events from number {held} on are held; lift the hold first")));
            }
            if let Some(open) = pruning.oldest_open_session(org).filter(|open| minimum / 256 * 256 >= *open) {
                let open = part.shown(open);
                return Err(Error::conflict(format!("a recorded session that began with event {open} is still open")));
            }
            let _turn = pruning.recordings().catalogue.turn(log);
            let note = logs.prune(&log, minimum, &reason, &by).map_err(refused)?;
            pruning.forget_in_catalogue(org, log, note.number)?;
            Ok(PruneDone { note: part.shown(note.number), minimum_index: logs.minimum_index(&log)? })
        });
        let pruned = pruned.await.map_err(|e| Error::internal("a pruning stopped half-way").with_source(e))??;
        service.projections().settle_on_disk().await?;
        service.sweep_recordings_of(org).await?;
        Ok(pruned)
    }

    /// Holds events: from this number on nothing is pruned until the hold is lifted with `None`. An event says so.
    ///
    /// # Errors
    /// `Invalid`: no reason, or the number 0.
    pub async fn set_legal_hold(&self, who: &Principal, org: OrgId, from: Option<u64>, reason: &str) -> Result<()> {
        self.allow(who, Verb::ManageLogs, org)?;
        if reason.trim().is_empty() || from == Some(0) {
            return Err(Error::invalid("give a reason, and a number from 1 up"));
        }
        let before = self
            .control()
            .execute(Some(who.account), {
                let reason = reason.to_owned();
                move |state| Ok((vec![Record::LegalHold { org, from, reason }], state.legal_hold(org)))
            })
            .await?;
        let mut draft =
            own_events::draft(own_events::LEGAL_HOLD, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        draft.attributes.extend(own_events::change(json!({"held_from": before}), json!({"held_from": from})));
        draft.attributes.insert("reason".into(), reason.into());
        self.record_now(who, org, &draft).await;
        Ok(())
    }

    /// From which number on events are held, if they are.
    pub fn legal_hold(&self, who: &Principal, org: OrgId) -> Result<Option<u64>> {
        self.allow(who, Verb::ReadProofs, org)?;
        Ok(self.control().state().legal_hold(org))
    }
}
