//! The id of a session.

use std::fmt;
use std::str::FromStr;

/// Digits of the text form, ascending, so that texts sort as the bytes do.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Length of the text form: 22 digits of base 36 hold 113 bits.
const TEXT_LEN: usize = 22;

/// A recorded session: 48 bits of time in milliseconds, 64 random bits. Text: 22 digits and lower-case letters, one
/// spelling each, which the APIs of others take for an id as well; younger ids sort after older ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 14]);

impl SessionId {
    /// The id of a session that starts at this time.
    pub fn new(at_us: u64, random: [u8; 8]) -> SessionId {
        let mut bytes = [0; 14];
        bytes[..6].copy_from_slice(&(at_us / 1_000).to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        SessionId(bytes)
    }

    /// The 112 bits.
    pub fn as_bytes(&self) -> &[u8; 14] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0.iter().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
        let mut text = [0; TEXT_LEN];
        for digit in text.iter_mut().rev() {
            *digit = DIGITS[(value % 36) as usize];
            value /= 36;
        }
        f.write_str(str::from_utf8(&text).expect("the digits are ASCII"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not the text of a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session id: 22 digits and lower-case letters")]
pub struct InvalidSessionId;

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<SessionId, InvalidSessionId> {
        if text.len() != TEXT_LEN {
            return Err(InvalidSessionId);
        }
        let mut value = 0u128;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|d| *d == byte).ok_or(InvalidSessionId)?;
            value = value * 36 + digit as u128;
        }
        // 22 digits reach a little past 112 bits.
        if value >> 112 != 0 {
            return Err(InvalidSessionId);
        }
        let bytes = value.to_be_bytes();
        Ok(SessionId(bytes[2..].try_into().expect("16 bytes less two are 14")))
    }
}

impl serde::Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_reads_back_and_sorts_as_its_text(a in 0u64..1 << 52, b in 0u64..1 << 52, random: [u8; 8]) {
            let (a, b) = (SessionId::new(a, random), SessionId::new(b, random));
            prop_assert_eq!(a.to_string().parse::<SessionId>(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        let last = SessionId([0xff; 14]).to_string();
        assert_eq!(last.parse(), Ok(SessionId([0xff; 14])));
        for wrong in
            ["", "zzzzzzzzzzzzzzzzzzzzzz", "00000000000000000000A0", "000000000000000000000", "0000000000000000000 00"]
        {
            assert!(wrong.parse::<SessionId>().is_err(), "{wrong}");
        }
    }
}
