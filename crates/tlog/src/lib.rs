//! The arithmetic of a tamper-evident log: hashes, trees, tiles, proofs, checkpoints and signed notes.
//!
//! **Promise.** Everything here is a pure function of its arguments. Whatever a parser accepts, its writer gives back
//! byte for byte; whatever a verifier accepts leads, by exact-length paths, to the root or key it was given by the caller
//! and never to one taken from the proof itself.
//!
//! **Out of scope.** No I/O, no clock, no randomness, no async, no logging. Storing, ordering, signing rules and
//! retention live in the crate `log`; what a body means lives in `service`.
//!
//! **Limits.** Trees up to [`TREE_SIZE_MAX`] leaves, proofs up to [`proof::HASHES_MAX`] hashes, notes up to
//! [`note::NOTE_BYTES_MAX`] bytes with [`note::SIGNATURES_MAX`] signature lines, entries up to
//! [`tile::BUNDLE_ENTRY_BYTES_MAX`] bytes.
//!
//! Formats: RFC 6962 §2.1; C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof, tlog-cosignature, tlog-witness, tlog-policy; the
//! entry of [`entry`] is our own (`specs/proofs.md` §2).
//!
//! ```
//! use tlog::{Frontier, proof};
//!
//! let leaves = [tlog::leaf_hash(b"first"), tlog::leaf_hash(b"second")];
//! let mut frontier = Frontier::new();
//! frontier.extend(&leaves);
//! // A path of one hash, the sibling, leads from either leaf to the root.
//! proof::verify_inclusion(&leaves[1], 1, 2, &[leaves[0]], &frontier.root())?;
//! # Ok::<(), tlog::Error>(())
//! ```

pub mod batch;
pub mod checkpoint;
pub mod entry;
mod error;
pub mod extends;
mod hash;
mod key;
pub mod note;
pub mod plain;
pub mod policy;
pub mod proof;
mod text;
pub mod tile;
pub mod tlog_proof;
mod tree;
pub mod witness;

pub use error::Error;
pub use hash::{Hash, commitment, empty_root, leaf_hash, node_hash};
pub use tree::{Frontier, TREE_SIZE_MAX};
