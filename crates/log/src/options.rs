//! Named limits and the instance seeds.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::notes::FIRST_EPOCH;

/// Limits and sizes. The defaults suit a server of 2 cores and 4 GiB.
#[derive(Debug, Clone)]
pub struct Options {
    /// A commit file is closed and handed to sealing when it is this long.
    pub commit_file_bytes: u64,
    /// Raw bytes of records that are compressed together in a segment.
    pub block_bytes: usize,
    /// zstd level of segment blocks.
    pub zstd_level: i32,
    /// The writer stops collecting requests for one group here (one request alone may be larger).
    pub group_bytes_max: usize,
    /// Most bytes that may wait for the writer; beyond, appends are refused with `Full`.
    pub pool_bytes_max: usize,
    /// Most bytes of one batch given to `append`.
    pub batch_bytes_max: usize,
    /// Most bytes of one body.
    pub body_bytes_max: usize,
    /// Memory for decompressed blocks.
    pub block_cache_bytes: usize,
    /// Memory for leaf hashes that were hashed up to a signed root.
    pub tile_cache_bytes: usize,
    /// Memory for the filters of the id index; filters beyond are read from disk.
    pub id_filter_bytes: usize,
    /// Closed commit files that may wait for sealing; beyond, appends are refused with `Full` until sealing caught up.
    pub unsealed_files_max: usize,
    /// Signatures a second up to which every group is sealed at once; beyond, logs are sealed once a second.
    pub signatures_per_second_max: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            commit_file_bytes: 64 << 20,
            block_bytes: 64 << 10,
            zstd_level: 1,
            group_bytes_max: 8 << 20,
            pool_bytes_max: 64 << 20,
            batch_bytes_max: 32 << 20,
            body_bytes_max: 1 << 20,
            block_cache_bytes: 64 << 20,
            tile_cache_bytes: 64 << 20,
            id_filter_bytes: 64 << 20,
            unsealed_files_max: 4,
            signatures_per_second_max: 2_000,
        }
    }
}

/// The secrets from which each log's keys are derived, one per key epoch (`specs/proofs.md` §4.2). Wiped when dropped; never
/// printed.
pub struct InstanceSeed(BTreeMap<u32, Zeroizing<[u8; 32]>>);

impl InstanceSeed {
    /// Takes the 32 secret bytes of epoch 1.
    pub fn new(seed: [u8; 32]) -> InstanceSeed {
        InstanceSeed(BTreeMap::from([(FIRST_EPOCH, Zeroizing::new(seed))]))
    }

    /// Adds the 32 secret bytes of a later epoch.
    pub fn with_epoch(mut self, epoch: u32, seed: [u8; 32]) -> InstanceSeed {
        self.0.insert(epoch, Zeroizing::new(seed));
        self
    }

    pub(crate) fn into_epochs(self) -> BTreeMap<u32, Zeroizing<[u8; 32]>> {
        self.0
    }
}

impl fmt::Debug for InstanceSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceSeed(secret)")
    }
}
