//! Append-only, signed logs of opaque bodies: one writer, group commit over all organisations.
