//! The hash of everything: SHA-256 under three prefixes that keep leaves, nodes and commitments apart.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256};

use crate::Error;
use crate::error::malformed;
use crate::text;

/// First byte hashed into a leaf (RFC 6962 §2.1).
pub(crate) const LEAF_PREFIX: u8 = 0x00;
/// First byte hashed into an inner node (RFC 6962 §2.1).
pub(crate) const NODE_PREFIX: u8 = 0x01;
/// First byte hashed into a commitment (`specs/proofs.md` §2), so that none can pass for a leaf or a node.
pub(crate) const COMMITMENT_PREFIX: u8 = 0x02;

/// A SHA-256 value: a leaf hash, a node, a root or a commitment, by context.
///
/// As text: standard base64 of 44 characters, read back strictly (one text per value). Ordered as bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// `Malformed` for another length, upper case or any other character.
    pub fn from_hex(text: &str) -> Result<Hash, Error> {
        let mut bytes = [0; 32];
        if hex::decode_to_slice(text, &mut bytes).is_err() {
            return malformed("hash", "not 64 hexadecimal digits");
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return malformed("hash", "upper-case hexadecimal");
        }
        Ok(Hash(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::to_base64(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Hash, Error> {
        match text::from_base64(text).map(<[u8; 32]>::try_from) {
            Some(Ok(bytes)) => Ok(Hash(bytes)),
            _ => malformed("hash", "not the base64 of 32 bytes"),
        }
    }
}

/// Root of the tree without leaves: SHA-256 of nothing (RFC 6962 §2.1).
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// SHA-256(`00` ‖ entry), RFC 6962 §2.1. For thousands at a time see [`batch`](crate::batch).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[LEAF_PREFIX], entry])
}

/// SHA-256(`01` ‖ left ‖ right), RFC 6962 §2.1.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[NODE_PREFIX], &left.0, &right.0])
}

/// SHA-256(`02` ‖ salt ‖ body), `specs/proofs.md` §2.
///
/// The salt is what keeps a short or guessable body secret: it must be random, of this body alone, and kept.
pub fn commitment(salt: &[u8; 16], body: &[u8]) -> Hash {
    sha256(&[&[COMMITMENT_PREFIX], salt, body])
}

/// SHA-256 of the parts one after the other, by `ring`.
pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_the_published_one() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty_root().to_hex(), expected);
    }

    #[test]
    fn a_hash_has_one_text_in_each_writing() {
        let hash = leaf_hash(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(Hash::from_hex(&hash.to_hex()), Ok(hash));
        let base64 = hash.to_string();
        // The last character before the padding carries two bits that must be zero.
        let stray = format!("{}{}=", &base64[..42], next_letter(base64.as_bytes()[42]));
        for bad in ["", "AAAA", &base64[..43], &format!("{base64}\n"), &stray] {
            assert!(bad.parse::<Hash>().is_err(), "{bad:?}");
        }
        for bad in ["", "00", &hash.to_hex().to_uppercase(), &hash.to_hex()[..63]] {
            assert!(Hash::from_hex(bad).is_err(), "{bad:?}");
        }
    }

    fn next_letter(letter: u8) -> char {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let at = ALPHABET.iter().position(|l| *l == letter).expect("a base64 letter");
        char::from(ALPHABET[at ^ 1])
    }
}
