//! Encryption of events to an organisation's public keys; pure functions only.
