//! Merkle arithmetic, tiles, proofs, checkpoints and signed notes; pure functions only.
