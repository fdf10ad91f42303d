//! Encryption of events to an organisation's public keys.
//!
//! **Promise.** Bytes sealed here open with the tools an organisation already has, and only with its private key:
//! [`Scheme::Legacy`] with `seccure-decrypt` and the Python package `seccure`, [`Scheme::Standard`] with anything that
//! does ECDH, HKDF and AES-GCM. What those tools seal opens here. Each record has its own ephemeral key, drawn for it
//! alone; what many records share is only tables of public points and the cost of one field inversion
//! ([`PublicKey::encrypt_many`]). Any change of a sealed byte, a tag too short, a point off the curve: refused.
//!
//! **Out of scope.** Files, key names, JSON, base64 of the sealed bytes, threads (the caller splits work over cores).
//! Who sealed a record is not proven by the seal: anybody with the public key can make one.
//!
//! **Limits.** One curve, NIST P-256. A record is sealed and opened in memory, at most [`PLAINTEXT_BYTES_MAX`] bytes.
//! Sealing and deriving keys take the same time whatever the secrets are, as far as the crates below promise it; the
//! tag of the legacy scheme has ten bytes, which is what its format has.
//!
//! Formats: specs/silo.md §7.
//!
//! ```
//! use seal::{PrivateKey, PublicKey, Scheme, SystemRng};
//!
//! let private = PrivateKey::from_passphrase(b"0123456789");
//! let public = PublicKey::parse_text("$T%TftpgGhhN&h*1&@>=uf(l:!Avj>k{o<?k9dT8")?;
//! assert_eq!(public.scheme(), Scheme::Legacy);
//! assert_eq!(public, private.public_key());
//!
//! let sealed = public.encrypt_many(&["first", "second"], &mut SystemRng);
//! assert_eq!(private.decrypt(&sealed[1])?, b"second");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod curve;
mod error;
mod key;
mod legacy;
mod multiply;
mod pem;
mod random;
mod standard;

pub use error::{KeyError, OpenError};
pub use key::{PrivateKey, PublicKey};
pub use random::{Rng, SystemRng};

/// Longest plaintext that may be sealed, in bytes: 1 GiB, far below where the counters of either scheme would repeat.
pub const PLAINTEXT_BYTES_MAX: usize = 1 << 30;

/// How a record is sealed. A key belongs to exactly one scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// SECCURE ECIES on P-256: AES-256-CTR and ten bytes of HMAC-SHA-256 (specs/silo.md §7.1).
    Legacy,
    /// ECIS-P256-AES256GCM-SHA384:96 (specs/silo.md §7.2).
    Standard,
}

impl Scheme {
    /// The scheme's name in our own files and messages: `legacy` or `standard`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Legacy => "legacy",
            Scheme::Standard => "standard",
        }
    }

    /// The scheme with exactly this name (see [`Scheme::as_str`]), or `None`.
    pub fn from_name(name: &str) -> Option<Scheme> {
        match name {
            "legacy" => Some(Scheme::Legacy),
            "standard" => Some(Scheme::Standard),
            _ => None,
        }
    }

    /// How many bytes longer than its plaintext a sealed record is, whatever the plaintext: 43 or 119.
    pub const fn overhead_bytes(self) -> usize {
        match self {
            Scheme::Legacy => legacy::OVERHEAD_BYTES,
            Scheme::Standard => standard::OVERHEAD_BYTES,
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
