//! The later life of an organisation's log: closed, followed by another one, adopted, its taint acknowledged
//! (`specs/proofs.md` §5.2, §5.4, §10).

use std::collections::BTreeSet;

use log::{LogId, LogState, Predecessor, ReadOnlyReason};

use crate::access::{Principal, Verb};
use crate::control::record::Record;
use crate::error::{Error, Result};
use crate::log_keys::refused;
use crate::model::{Kind, OrgId, Outcome};
use crate::numbers::Part;
use crate::own_events;
use crate::service::Service;
use crate::verification::LastVerification;

/// Reasons that taint every answer of a log (`specs/proofs.md` §10). Others concern single records, or who may sign.
const TAINTS_ALL: [&str; 5] = ["truncated", "rolled_back", "forked", "root_mismatch", "signature_invalid"];

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 2_000;

/// How an organisation's log is.
#[derive(Clone, Debug)]
pub struct LogStanding {
    /// Whether it takes entries, and why not.
    pub state: LogState,
    /// What is wrong with it as a whole, such as `truncated` (`specs/proofs.md` §10); empty when all is well.
    pub reasons: Vec<String>,
    /// The reasons were acknowledged by a person: answers are not called tainted for them any more.
    pub acknowledged: bool,
    /// Entries below this index are pruned.
    pub minimum_index: u64,
    /// From which number on nothing may be pruned.
    pub legal_hold: Option<u64>,
    /// The last verification of the whole log.
    pub last_verification: Option<LastVerification>,
    /// Origins of the logs that it took the place of, oldest first.
    pub former: Vec<String>,
}

impl Service {
    /// How the organisation's log is. Takes `ReadProofs`.
    pub fn log_standing(&self, who: &Principal, org: OrgId) -> Result<LogStanding> {
        self.allow(who, Verb::ReadProofs, org)?;
        self.standing(org, self.log_of(org)?)
    }

    /// How one log is: an organisation's one, or one that it took the place of. Takes `ReadProofs`.
    pub fn standing_of_log(&self, who: &Principal, log: LogId) -> Result<LogStanding> {
        self.standing(self.owner(who, log)?, log)
    }

    fn standing(&self, org: OrgId, log: LogId) -> Result<LogStanding> {
        let state = self.logs().state(&log)?;
        let last_verification = self.verifications().last(log);
        let mut reasons = Vec::new();
        if let LogState::ReadOnly { reason, .. } = &state
            && *reason != ReadOnlyReason::Closed
        {
            reasons.push(reason.to_string());
        }
        let found = last_verification.iter().flat_map(|last| last.log_reasons.iter().cloned());
        reasons.extend(found);
        reasons.sort();
        reasons.dedup();
        let control = self.control().state();
        let older = control.former_logs(org).iter().take_while(|former| former.log != log);
        let former = older.map(|former| self.logs().origin(&former.log)).collect();
        Ok(LogStanding {
            acknowledged: !reasons.is_empty() && control.acknowledges(log, &reasons),
            legal_hold: control.legal_hold(org),
            minimum_index: self.logs().minimum_index(&log)?,
            state,
            reasons,
            last_verification,
            former,
        })
    }

    /// Whether every verified answer of the log must be called tainted: something is wrong with it as a whole, and nobody
    /// has acknowledged it.
    pub(crate) fn is_tainted_as_a_whole(&self, org: OrgId, log: LogId) -> bool {
        self.standing(org, log).is_ok_and(|standing| {
            standing.reasons.iter().any(|reason| TAINTS_ALL.contains(&reason.as_str())) && !standing.acknowledged
        })
    }

    /// Acknowledges what is wrong with the log as a whole: from now on verified answers are judged record by record again,
    /// until another reason comes up. An event says who did so and why.
    ///
    /// # Errors
    /// `Conflict`: nothing is wrong with it. `Invalid`: no reason given.
    pub async fn acknowledge_taint(&self, who: &Principal, org: OrgId, reason: &str) -> Result<()> {
        self.allow(who, Verb::ManageLogs, org)?;
        check_reason(reason)?;
        let mut records = Vec::new();
        let mut named: BTreeSet<String> = BTreeSet::new();
        for part in self.parts(org)? {
            let reasons = self.standing(org, part.log)?.reasons;
            if !reasons.is_empty() {
                named.extend(reasons.iter().cloned());
                records.push(Record::TaintAcknowledged {
                    log: part.log.to_string(),
                    reasons,
                    reason: reason.to_owned(),
                });
            }
        }
        if records.is_empty() {
            return Err(Error::conflict("nothing is known to be wrong with this log"));
        }
        self.control().execute(Some(who.account), move |_| Ok((records, ()))).await?;
        let action = own_events::TAINT_ACKNOWLEDGED;
        let mut draft = own_events::draft(action, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        draft.attributes.insert("reasons".into(), named.into_iter().collect::<Vec<_>>().into());
        draft.attributes.insert("reason".into(), reason.into());
        self.record_now(who, org, &draft).await;
        Ok(())
    }

    /// Closes the organisation's log for ever: a last note, a last checkpoint. Reads and proofs go on; what is handed in is
    /// refused until [`Service::open_successor`].
    ///
    /// # Errors
    /// `Invalid`: no reason. `Corrupt`: the log takes no entries as it is.
    pub async fn close_log(&self, who: &Principal, org: OrgId, reason: &str) -> Result<crate::LogHead> {
        self.allow(who, Verb::ManageLogs, org)?;
        check_reason(reason)?;
        // Nothing could end a recording later.
        let _no_recordings = self.hold_sessions(org).await;
        // Own events that wait belong before the end.
        self.own().flush(true);
        self.own().settle().await;
        let (logs, log) = (self.logs().clone(), self.log_of(org)?);
        let (reason, by) = (reason.to_owned(), who.name.clone());
        let closed = tokio::task::spawn_blocking(move || logs.close(&log, &reason, &by)).await;
        closed.map_err(|e| Error::internal("a log was not closed").with_source(e))?.map_err(refused)?;
        Ok(self.to_head(&self.newest_part(org)?, self.logs().head(&log)?))
    }

    /// Opens a new log for an organisation whose log was closed, or takes no entries any more because it is not what was
    /// signed. Its first entry names the old log, its last checkpoint, what of it is missing, the cause and the person.
    /// Readers see both as one sequence: numbers go on where the old log's end, those lost included; the old log's files, proofs
    /// and checkpoints stay where they are.
    ///
    /// # Errors
    /// `Conflict`: the log takes entries; close it first. `Invalid`: no cause.
    pub async fn open_successor(&self, who: &Principal, org: OrgId, cause: &str) -> Result<crate::LogHead> {
        self.allow(who, Verb::ManageLogs, org)?;
        check_reason(cause)?;
        let part = self.newest_part(org)?;
        let old = part.log;
        if self.logs().state(&old)? == LogState::Open {
            return Err(Error::conflict("the organisation's log takes entries; close it first"));
        }
        let after = self.predecessor(&part, cause, &who.name);
        let last_number = after.last_number;
        // Whoever opens another log for it knows what is wrong with it: the first entry says so.
        let known = self.standing(org, old)?.reasons;
        let new = LogId(self.random());
        let logs = self.logs().clone();
        // The log first: an organisation is never without one. A log that is nobody's harms nobody.
        let opened = tokio::task::spawn_blocking(move || logs.create_after(new, after)).await;
        opened.map_err(|e| Error::internal("a log was not opened").with_source(e))?.map_err(refused)?;
        self.control()
            .execute(Some(who.account), {
                let cause = cause.to_owned();
                move |state| match state.org(org) {
                    Some(found) if found.log == old => {
                        let log = old.to_string();
                        let mut records = Vec::new();
                        if !known.is_empty() {
                            records.push(Record::TaintAcknowledged { log, reasons: known, reason: cause.clone() });
                        }
                        records.push(Record::LogReplaced { org, log: new.to_string(), cause, last_number });
                        Ok((records, ()))
                    }
                    _ => Err(Error::conflict("another log was opened meanwhile")),
                }
            })
            .await?;
        Ok(self.to_head(&self.newest_part(org)?, self.logs().head(&new)?))
    }

    fn predecessor(&self, part: &Part, cause: &str, by: &str) -> Predecessor {
        let old = part.log;
        let head = self.logs().head(&old).ok();
        // What is stored ends here; what was signed beyond it is gone.
        let stored = self.logs().stored_size(&old).unwrap_or(0);
        let signed = self.logs().signed_size(&old).unwrap_or(0).max(head.as_ref().map_or(0, |head| head.size));
        Predecessor {
            origin: self.logs().origin(&old),
            checkpoint: head.map(|head| head.checkpoint.to_string()),
            missing: if signed > stored { vec![[part.shown(stored + 1), part.shown(signed)]] } else { Vec::new() },
            last_number: part.shown(signed.max(stored)),
            cause: cause.to_owned(),
            by: by.to_owned(),
        }
    }

    /// Takes up the organisation's log again whose signer's record is lost: a person names a signed checkpoint that somebody
    /// outside remembers, and the stored log must extend it. An event says so.
    ///
    /// # Errors
    /// `Conflict`: the log is not in that state. `Invalid`: the checkpoint is not one of this log. `Corrupt`: the log does
    /// not extend it.
    pub async fn adopt_log(&self, who: &Principal, org: OrgId, checkpoint: &str) -> Result<crate::LogHead> {
        self.allow(who, Verb::ManageLogs, org)?;
        let (logs, log, text) = (self.logs().clone(), self.log_of(org)?, checkpoint.to_owned());
        let adopted = tokio::task::spawn_blocking(move || logs.adopt(&log, &text)).await;
        adopted.map_err(|e| Error::internal("a log was not adopted").with_source(e))?.map_err(refused)?;
        let head = self.to_head(&self.newest_part(org)?, self.logs().head(&log)?);
        let action = own_events::LOG_ADOPTED;
        let mut draft = own_events::draft(action, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        draft.attributes.insert("size".into(), head.size.into());
        draft.attributes.insert("checkpoint".into(), checkpoint.into());
        self.record_now(who, org, &draft).await;
        Ok(head)
    }
}

fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(Error::invalid(format!("the reason is missing or longer than {REASON_BYTES_MAX} bytes")));
    }
    Ok(())
}
