//! Erasing events by legal order (`specs/proofs.md` §11).
//!
//! The log erases the body from its files; here it leaves the search indexes too, and of a chunk of a recording the chunk
//! leaves the store; whoever asks is answered when all are done. The index follows the erasure note, an entry like any other, so that a crash in between is made up for.

use log::Erasure;

use crate::access::{Principal, Verb};
use crate::error::{Error, Result};
use crate::log_keys::refused;
use crate::model::OrgId;
use crate::service::Service;

/// Most events of one order.
pub const EVENTS_MAX: usize = log::ERASURE_NUMBERS_MAX;

/// Longest text of an order, in bytes.
const TEXT_BYTES_MAX: usize = 2_000;

/// An order to erase events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasureOrder {
    /// Numbers of the events, at most [`EVENTS_MAX`].
    pub numbers: Vec<u64>,
    /// On what legal ground.
    pub ground: String,
    /// Who ordered it: an authority, or the person concerned. It stays in the log for ever.
    pub ordered_by: String,
}

/// An order that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureDone {
    /// Number of the erasure note.
    pub note: u64,
    /// Numbers of the events whose content is gone by it, ascending: those named that were not erased before.
    pub numbers: Vec<u64>,
}

impl Service {
    /// Erases the content of events: from the log's files, from the search index, and from what is kept in memory. What
    /// remains is that there was an event: its number, time, sender's id and length, and a commitment that nobody can guess
    /// from. Proofs and checkpoints made before stay valid. The note in the log names ground, persons and numbers. Takes
    /// seconds; goes on to the end when the future is dropped.
    ///
    /// # Errors
    /// `Invalid`: a text is missing, or a number is a note of the log. `NotFound`: a number is not in the log.
    /// `Conflict`: all are erased already, or one is in a log that was followed by another one. `Unavailable`: see [`log::Logs::erase`]; it is tried again by itself.
    pub async fn erase_events(&self, who: &Principal, org: OrgId, order: ErasureOrder) -> Result<ErasureDone> {
        self.allow(who, Verb::ManageLogs, org)?;
        for (name, text) in [("ground", &order.ground), ("person or authority that ordered it", &order.ordered_by)] {
            if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
                return Err(Error::invalid(format!("the {name} is missing or longer than {TEXT_BYTES_MAX} bytes")));
            }
        }
        let part = self.newest_part(org)?;
        let log = part.log;
        let ErasureOrder { numbers, ground, ordered_by } = order;
        let numbers = numbers.into_iter().map(|number| {
            part.local(number).ok_or_else(|| match number {
                0 => Error::invalid("numbers of events begin at 1"),
                _ => Error::conflict(format!(
                    "event {number} is in a log that was closed for ever; nothing can be erased there, because no note could say so"
                )),
            })
        });
        let numbers = numbers.collect::<Result<Vec<u64>>>()?;
        let order = Erasure { numbers, ground, ordered_by, carried_out_by: who.name.clone() };
        let service = self.clone();
        let work = tokio::spawn(async move {
            let erasing = service.clone();
            let erased = tokio::task::spawn_blocking(move || {
                let sessions = erasing.sessions_to_forget(org, log, &order.numbers)?;
                let _turn = erasing.recordings().catalogue.turn(log);
                let erased = erasing.logs().erase(&log, &order).map_err(refused)?;
                erasing.forget_in_catalogue(org, log, erased.note.number)?;
                Ok::<_, Error>((erased, sessions))
            });
            let erased = erased.await.map_err(|e| Error::internal("an erasure stopped half-way").with_source(e))?;
            let (erased, sessions) = erased?;
            service.projections().settle_on_disk().await?;
            service.sweep_sessions(org, sessions).await?;
            let numbers = erased.numbers.into_iter().map(|number| part.shown(number)).collect();
            Ok(ErasureDone { note: part.shown(erased.note.number), numbers })
        });
        work.await.map_err(|e| Error::internal("an erasure stopped half-way").with_source(e))?
    }
}
