//! Heads, tiles and proofs of an organisation's log, behind the access table.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tlog::Hash;
use tlog::note::VerifierKey;
use tlog::policy::Policy;
use tlog::tile::{BundleId, TileId};

use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::{OrgId, time};
use crate::numbers::Part;
use crate::service::Service;
use crate::witnesses::{NOBODY_OUTSIDE, Standing};

/// The newest signed head of an organisation's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The log's origin.
    pub origin: String,
    /// Entries it covers.
    pub size: u64,
    /// Numbers of logs that this one took the place of; 0 for most. See [`LogHead::last_number`].
    pub before: u64,
    /// Root over them.
    pub root: Hash,
    /// When the last entry was received; `None` for an empty log.
    pub last_recorded_at: Option<Timestamp>,
    /// The signed checkpoint (C2SP tlog-checkpoint).
    pub checkpoint: Arc<str>,
}

impl LogHead {
    /// The greatest number that readers see.
    pub fn last_number(&self) -> u64 {
        self.before.saturating_add(self.size)
    }
}

/// The checkpoint that a log shows to whoever asks for the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Entries it covers.
    pub size: u64,
    /// The note: cosigned if there is a policy and it was met lately.
    pub checkpoint: Arc<str>,
}

/// Everything that shows one event to be in the log, for somebody who has the log's verifier key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedProof {
    /// Position of the leaf.
    pub index: u64,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// The bytes that the leaf hash is over.
    pub entry: Vec<u8>,
    /// Hashes from the leaf to the root at `head`.
    pub inclusion: Vec<Hash>,
    /// The head it leads to.
    pub head: LogHead,
}

/// How long, besides the interval between rounds, a call waits for witnesses.
pub const WITNESS_WAIT_SLACK: Duration = Duration::from_secs(30);

impl Service {
    /// The newest signed head. Takes `ReadProofs`, or `ReadEvents`.
    pub fn head(&self, who: &Principal, org: OrgId) -> Result<LogHead> {
        // Whoever may read the events may know how many there are.
        let verb = if who.may(Verb::ReadProofs) { Verb::ReadProofs } else { Verb::ReadEvents };
        self.allow(who, verb, org)?;
        let part = self.newest_part(org)?;
        Ok(self.to_head(&part, self.logs().head(&part.log)?))
    }

    /// The newest signed head of the log that holds a number: the organisation's one, or one that it took the place of.
    pub fn head_of_number(&self, who: &Principal, org: OrgId, number: u64) -> Result<(log::LogId, LogHead)> {
        self.allow(who, Verb::ReadProofs, org)?;
        let (part, _) = self.part_of(org, number)?;
        Ok((part.log, self.to_head(&part, self.logs().head(&part.log)?)))
    }

    /// The newest signed head of one log.
    pub fn head_of_log(&self, who: &Principal, log: log::LogId) -> Result<LogHead> {
        let org = self.owner(who, log)?;
        let part = self.parts(org)?.into_iter().find(|part| part.log == log).ok_or_else(no_log)?;
        Ok(self.to_head(&part, self.logs().head(&log)?))
    }

    /// The checkpoint to show: the newest that satisfies the policy while it is young enough, else the newest signed one. Its size
    /// never falls.
    pub fn shown(&self, who: &Principal, log: log::LogId) -> Result<Shown> {
        let org = self.owner(who, log)?;
        let newest = self.logs().head(&log)?;
        let (size, checkpoint) = self.witnesses().shown(&log, &newest, self.witness_policy(org).is_some());
        Ok(Shown { size, checkpoint })
    }

    /// The trust policy of an organisation's log, this log's key included: what an outsider verifies with.
    pub fn policy(&self, who: &Principal, log: log::LogId) -> Result<Policy> {
        let org = self.owner(who, log)?;
        let key = self.logs().vkey(&log)?.parse();
        let key: VerifierKey = key.map_err(|e| Error::internal("our own key does not read").with_source(e))?;
        Ok(match self.witness_policy(org) {
            Some(policy) => policy.for_logs(vec![tlog::policy::Log { key, url: None }]),
            None => Policy::unwitnessed(key),
        })
    }

    /// What witnesses know of an organisation's log; none if no policy asks for any.
    pub fn witness_standing(&self, who: &Principal, log: log::LogId) -> Result<Option<Standing>> {
        let org = self.find_org_by_log(log).ok_or_else(no_log)?;
        let verb = if who.may(Verb::ReadProofs) { Verb::ReadProofs } else { Verb::ReadEvents };
        self.allow(who, verb, org)?;
        Ok(self.witness_policy(org).map(|_| self.witnesses().standing(&log)))
    }

    /// Waits until the organisation's policy is satisfied by a checkpoint of at least this `size`, at most twice the interval between
    /// two rounds of its witnesses and half a minute, or until the service stops; gives what its witnesses know then.
    ///
    /// # Errors
    /// `Invalid`: no policy asks for witnesses of this log.
    pub async fn wait_witnessed(&self, who: &Principal, org: OrgId, size: u64) -> Result<Standing> {
        let log = self.expects_witnesses(who, org)?;
        let patience = self.witnesses().settings.every * 2 + WITNESS_WAIT_SLACK;
        let mut stopped = self.stopped();
        tokio::select! {
            standing = self.witnesses().wait(&log, size, patience) => Ok(standing),
            _ = stopped.wait_for(|stopped| *stopped) => Ok(self.witnesses().standing(&log)),
        }
    }

    /// The log of `org`, if a policy asks for witnesses of it; to be asked before anything is appended that is to be waited for.
    ///
    /// # Errors
    /// `Invalid`: none does.
    pub fn expects_witnesses(&self, who: &Principal, org: OrgId) -> Result<log::LogId> {
        self.allow(who, Verb::IngestEvents, org)?;
        match self.witness_policy(org) {
            Some(_) => self.log_of(org),
            None => Err(Error::invalid(
                "nobody witnesses this log, so nothing can wait for it; see [witnesses] in the configuration",
            )),
        }
    }

    /// What every answer about verification says where no witness has cosigned.
    pub(crate) fn outside(&self, log: &log::LogId) -> Option<&'static str> {
        self.witnesses().standing(log).witnessed.is_none().then_some(NOBODY_OUTSIDE)
    }

    /// The bytes of one entry: position, number, time, and a commitment to the content.
    pub fn entry(&self, who: &Principal, log: log::LogId, index: u64) -> Result<Vec<u8>> {
        self.owner(who, log)?;
        let end = index.checked_add(1).ok_or_else(|| Error::not_found("no such entry"))?;
        self.check_sizes(&log, index, end)?;
        let entry = self.logs().entries(&log, index..end)?.pop();
        entry.ok_or_else(|| Error::not_found("no such entry"))
    }

    /// The policy that asks for witnesses of this organisation's log.
    fn witness_policy(&self, org: OrgId) -> Option<Policy> {
        let slug = self.control().state().org(org).map(|org| org.slug.clone())?;
        self.witnesses().settings.policy(&slug).cloned()
    }

    /// The checkpoint kept for exactly this size, if one was; with cosignatures where those were kept.
    pub fn checkpoint_at(&self, who: &Principal, log: log::LogId, size: u64) -> Result<Option<Arc<str>>> {
        self.owner(who, log)?;
        if let Some(cosigned) = self.witnesses().cosigned_at(&log, size) {
            return Ok(Some(cosigned));
        }
        Ok(self.logs().checkpoint_at(&log, size)?)
    }

    /// The verifier key that signs the log's checkpoints now (C2SP signed-note text); all of them are in `log_keys`.
    pub fn vkey(&self, who: &Principal, log: log::LogId) -> Result<String> {
        self.owner(who, log)?;
        Ok(self.logs().vkey(&log)?)
    }

    /// The bytes of one tile (C2SP tlog-tiles). `NotFound` past the head.
    pub fn tile(&self, who: &Principal, log: log::LogId, tile: TileId) -> Result<Vec<u8>> {
        self.owner(who, log)?;
        if !tile.is_within(self.logs().head(&log)?.size) {
            return Err(Error::not_found("the tile is past the head"));
        }
        Ok(self.logs().tile(&log, tile.level, tile.index, tile.width)?)
    }

    /// The bytes of one entry bundle (C2SP tlog-tiles): entries hold commitments, not contents. `NotFound` past the head.
    pub fn bundle(&self, who: &Principal, log: log::LogId, bundle: BundleId) -> Result<Vec<u8>> {
        self.owner(who, log)?;
        let range = bundle.entries();
        if range.end > self.logs().head(&log)?.size {
            return Err(Error::not_found("the bundle is past the head"));
        }
        let entries = self.logs().entries(&log, range)?;
        tlog::tile::encode_bundle(entries.iter().map(Vec::as_slice))
            .map_err(|e| Error::internal("a stored entry is longer than a bundle can hold").with_source(e))
    }

    /// Inclusion proof (RFC 6962 section 2.1.1) of the leaf at `index` in the tree of `size`.
    pub fn prove_inclusion(&self, who: &Principal, log: log::LogId, index: u64, size: u64) -> Result<Vec<Hash>> {
        self.owner(who, log)?;
        self.check_sizes(&log, index.saturating_add(1), size)?;
        Ok(self.logs().prove_inclusion(&log, index, size)?)
    }

    /// Consistency proof (RFC 6962 section 2.1.2) between two sizes.
    pub fn prove_consistency(&self, who: &Principal, log: log::LogId, old: u64, new: u64) -> Result<Vec<Hash>> {
        self.owner(who, log)?;
        self.check_sizes(&log, old, new)?;
        Ok(self.logs().prove_consistency(&log, old, new)?)
    }

    /// The proof for one event, made from its stored bytes, against the newest head.
    pub fn prove_event(&self, who: &Principal, org: OrgId, number: u64) -> Result<SealedProof> {
        self.allow(who, Verb::ReadProofs, org)?;
        let (part, local) = self.part_of(org, number)?;
        let log = part.log;
        let head = self.logs().head(&log)?;
        let missing = || Error::not_found(format!("no event has the number {number}"));
        let index = local.checked_sub(1).filter(|index| *index < head.size).ok_or_else(missing)?;
        let record = self.logs().read(&log, index..index + 1, usize::MAX)?.pop().ok_or_else(missing)?;
        let entry = encoding::entry_bytes(&record)
            .ok_or_else(|| Error::corrupt("the event cannot be proven", "its stored bytes make no entry"))?;
        Ok(SealedProof {
            index,
            leaf_hash: tlog::leaf_hash(&entry),
            entry,
            inclusion: self.logs().prove_inclusion(&log, index, head.size)?,
            head: self.to_head(&part, head),
        })
    }

    /// The organisation that owns a log, or owned it before another one took its place; for whoever may read its proofs.
    pub(crate) fn owner(&self, who: &Principal, log: log::LogId) -> Result<OrgId> {
        let org = self.find_org_by_log(log).ok_or_else(no_log)?;
        self.allow(who, Verb::ReadProofs, org)?;
        Ok(org)
    }

    /// Sizes come from outside: they must rise and not pass the head.
    fn check_sizes(&self, log: &log::LogId, lower: u64, higher: u64) -> Result<()> {
        let size = self.logs().head(log)?.size;
        if higher > size {
            return Err(Error::not_found(format!("the log has {size} entries, not {higher}")));
        }
        if lower > higher {
            return Err(Error::invalid(format!("{lower} entries are not within {higher}")));
        }
        Ok(())
    }

    pub(crate) fn to_head(&self, part: &Part, head: log::Head) -> LogHead {
        LogHead {
            origin: self.logs().origin(&part.log),
            size: head.size,
            before: part.before,
            root: head.root,
            last_recorded_at: (head.size > 0).then(|| time::from_micros(head.last_received_at_us)),
            checkpoint: head.checkpoint,
        }
    }
}

fn no_log() -> Error {
    Error::not_found("no such log within reach")
}
