//! Heads, tiles and proofs of an organisation's log, behind the access table.

use std::sync::Arc;

use jiff::Timestamp;
use tlog::Hash;
use tlog::tile::{BundleId, TileId};

use crate::access::Principal;
use crate::error::Result;
use crate::model::OrgId;
use crate::service::Service;

/// The newest signed head of an organisation's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The log's origin.
    pub origin: String,
    /// Entries it covers, which is also the greatest number.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// When the last entry was received; `None` for an empty log.
    pub last_recorded_at: Option<Timestamp>,
    /// The signed checkpoint (C2SP tlog-checkpoint).
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

impl Service {
    /// The newest signed head. Takes `ReadProofs`, or `ReadEvents`.
    pub fn head(&self, who: &Principal, org: OrgId) -> Result<LogHead> {
        let _ = (who, org);
        todo!()
    }

    /// The signed checkpoint kept for exactly this size, if one was.
    pub fn checkpoint_at(&self, who: &Principal, org: OrgId, size: u64) -> Result<Option<Arc<str>>> {
        let _ = (who, org, size);
        todo!()
    }

    /// The verifier key that checks the log's checkpoints (C2SP signed-note text).
    pub fn vkey(&self, who: &Principal, org: OrgId) -> Result<String> {
        let _ = (who, org);
        todo!()
    }

    /// The bytes of one tile (C2SP tlog-tiles). `NotFound` past the head.
    pub fn tile(&self, who: &Principal, org: OrgId, tile: TileId) -> Result<Vec<u8>> {
        let _ = (who, org, tile);
        todo!()
    }

    /// The bytes of one entry bundle (C2SP tlog-tiles): entries hold commitments, not contents. `NotFound` past the head.
    pub fn bundle(&self, who: &Principal, org: OrgId, bundle: BundleId) -> Result<Vec<u8>> {
        let _ = (who, org, bundle);
        todo!()
    }

    /// Inclusion proof (RFC 6962 section 2.1.1) of the leaf at `index` in the tree of `size`.
    pub fn prove_inclusion(&self, who: &Principal, org: OrgId, index: u64, size: u64) -> Result<Vec<Hash>> {
        let _ = (who, org, index, size);
        todo!()
    }

    /// Consistency proof (RFC 6962 section 2.1.2) between two sizes.
    pub fn prove_consistency(&self, who: &Principal, org: OrgId, old: u64, new: u64) -> Result<Vec<Hash>> {
        let _ = (who, org, old, new);
        todo!()
    }

    /// The proof for one event, made from its stored bytes, against the newest head.
    pub fn prove_event(&self, who: &Principal, org: OrgId, number: u64) -> Result<SealedProof> {
        let _ = (who, org, number);
        todo!()
    }
}
