//! The name of a log: 128 random bits, fixed for life.

use std::fmt;
use std::str::FromStr;

use crate::clock::Entropy;
use crate::error::Error;

/// Lower-case base32 of RFC 4648, without padding.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Characters of a log id as text: 128 bits, five a character, the last one holds three.
const TEXT_CHARS: usize = 26;

/// Names one log. Its text is 26 lower-case base32 characters (`specs/proofs.md` §4.1); never an organisation's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// Draws a new id.
    pub fn random(entropy: &dyn Entropy) -> LogId {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        LogId(bytes)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        for place in 0..TEXT_CHARS {
            // Two zero bits are added at the end: 26 × 5 = 130.
            let shift = 125_i32 - 5 * place as i32 - 2;
            let five = if shift >= 0 { bits >> shift } else { bits << -shift };
            write!(f, "{}", ALPHABET[(five & 31) as usize] as char)?;
        }
        Ok(())
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

impl FromStr for LogId {
    type Err = Error;

    /// Accepts only the one canonical text of an id: 26 lower-case characters, the two unused bits zero.
    fn from_str(text: &str) -> Result<LogId, Error> {
        let refused = || Error::invalid(format!("{text:?} is not a log id (26 characters of a-z and 2-7)"));
        if text.len() != TEXT_CHARS {
            return Err(refused());
        }
        let mut bits: u128 = 0;
        for (place, c) in text.bytes().enumerate() {
            let five = ALPHABET.iter().position(|&a| a == c).ok_or_else(refused)? as u128;
            if place + 1 < TEXT_CHARS {
                bits = (bits << 5) | five;
            } else if five & 0b11 != 0 {
                return Err(refused());
            } else {
                bits = (bits << 3) | (five >> 2);
            }
        }
        Ok(LogId(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    #[test]
    fn every_id_reads_back_from_its_text() {
        let entropy = SeededEntropy::new(3);
        for _ in 0..1000 {
            let id = LogId::random(&entropy);
            let text = id.to_string();
            assert_eq!(text.len(), TEXT_CHARS);
            assert_eq!(text.parse::<LogId>().unwrap(), id);
        }
        assert_eq!("aaaaaaaaaaaaaaaaaaaaaaaaaa".parse::<LogId>().unwrap(), LogId([0; 16]));
        assert_eq!(LogId([0xff; 16]).to_string(), "77777777777777777777777774");
    }

    #[test]
    fn a_text_that_is_not_canonical_is_refused() {
        for text in [
            "",
            "aaaaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaaaab",
            "Aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "1aaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(text.parse::<LogId>().is_err(), "{text}");
        }
    }
}
