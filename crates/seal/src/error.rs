//! Why a key was not accepted, why a sealed record did not open. No message repeats secret text.

use crate::Scheme;

/// A key text that cannot be used. Each message says what was found and what to do about it.
///
/// Exhaustive on purpose: a caller may want to answer each case in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing but white space.
    #[error("the key is empty; give 40 characters of SECCURE public key, or a PEM public key")]
    Empty,
    /// 25 characters, the length of a key for SECCURE's default curve.
    #[error(
        "this is a key of 25 characters, made for the default 160-bit curve of seccure-key; \
         make one for P-256: seccure-key -c p256"
    )]
    DefaultCurve,
    /// Neither PEM nor as long as a SECCURE key for P-256.
    #[error(
        "a SECCURE public key for P-256 has 40 characters, this has {characters}{}; \
         copy the whole key as printed by seccure-key -c p256, or give a PEM public key", seccure_curve_hint(*.characters)
    )]
    Length {
        /// Characters found, after white space around the key was dropped.
        characters: usize,
    },
    /// A character that is not a digit of SECCURE's base 90.
    #[error(
        "character {character:?} at position {position} does not belong in a SECCURE public key; \
         copy it again, without quotes or escapes"
    )]
    Character {
        /// The first such character.
        character: char,
        /// Where it is, from 1.
        position: usize,
    },
    /// The right form, but no point of P-256 lies there.
    #[error("the key is well formed but is no point on P-256; a character is probably mistyped, copy the key again")]
    NotOnCurve,
    /// A private key where a public one belongs.
    #[error(
        "this is a private key; keep it, and give its public key: openssl pkey -in private.pem -pubout \
         (since it was shown here, consider making a new pair)"
    )]
    PrivateGiven,
    /// A public key where a private one belongs.
    #[error("this is a public key; opening records takes the private key that belongs to it")]
    PublicGiven,
    /// A private key under a passphrase of its own.
    #[error("the private key is encrypted; decrypt it first: openssl pkey -in private.pem -out plain.pem")]
    Encrypted,
    /// A PEM block that holds no bare key.
    #[error("a PEM block {label:?} holds no key of the kind wanted here; {hint}")]
    Label {
        /// The label between `BEGIN` and the dashes.
        label: String,
        /// What to do.
        hint: &'static str,
    },
    /// No complete PEM block, or its inside is not base64.
    #[error("the PEM text cannot be read ({what}); give the whole file, with its BEGIN and END lines")]
    Pem {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The DER inside the PEM block is malformed.
    #[error("the inside of the PEM block is not a key ({what}); make the file again with openssl")]
    Der {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A key for something else than elliptic curves.
    #[error(
        "this is a key for {algorithm}, a P-256 key is needed: \
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
    )]
    Algorithm {
        /// Name of the algorithm, or its object identifier.
        algorithm: String,
    },
    /// A key on another curve.
    #[error(
        "this key is on the curve {curve}, a P-256 (prime256v1) key is needed: \
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
    )]
    Curve {
        /// Name of the curve, or its object identifier.
        curve: String,
    },
}

/// Names the other curves of SECCURE by the length of their keys (from the tool's `curves.c` parameters).
fn seccure_curve_hint(characters: usize) -> &'static str {
    match characters {
        18 => " (as keys for its 112-bit curve have)",
        20 => " (as keys for its 128-bit curve have)",
        30 => " (as keys for its 192-bit curve have)",
        35 => " (as keys for its 224-bit curve have)",
        60 => " (as keys for its 384-bit curve have)",
        81 => " (as keys for its 521-bit curve have)",
        _ => "",
    }
}

/// A sealed record that did not open. Nothing of its content is ever returned with the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than a sealed empty record.
    #[error("a record of the {scheme} scheme has at least {bytes_min} bytes, this has {bytes}; it is cut short")]
    TooShort {
        /// The scheme of the private key.
        scheme: Scheme,
        /// Bytes given.
        bytes: usize,
        /// Bytes of a sealed empty record.
        bytes_min: usize,
    },
    /// The fixed bytes are not there, or the ephemeral point is none of the curve.
    #[error("this is no record of the {scheme} scheme, or it was altered: {what}{hint}")]
    Malformed {
        /// The scheme of the private key.
        scheme: Scheme,
        /// What is wrong.
        what: &'static str,
        /// What it looks like instead; empty when nothing is recognised.
        hint: &'static str,
    },
    /// The tag does not fit: sealed to another key, or altered. The two cannot be told apart.
    #[error("the record was sealed to another key, or it was altered")]
    WrongKeyOrAltered,
}
