//! Identifiers of organisations, accounts and tokens: 128 random bits with a prefix that says of what.

use std::fmt;
use std::str::FromStr;

/// Digits of RFC 4648 base32, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Characters that 128 bits take in base32 without padding.
const BASE32_LEN: usize = 26;

fn base32(bytes: &[u8; 16]) -> String {
    let value = u128::from_be_bytes(*bytes);
    // 26 digits hold 130 bits: the last digit holds the lowest three bits and two zero bits.
    (0..BASE32_LEN)
        .map(|at| {
            let shift = 123 - 5 * at as i32;
            let digit = if shift >= 0 { value >> shift } else { value << -shift };
            char::from(BASE32[(digit & 31) as usize])
        })
        .collect()
}

fn from_base32(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    if digits.len() != BASE32_LEN {
        return None;
    }
    let mut value: u128 = 0;
    for (at, digit) in digits.iter().enumerate() {
        let digit = BASE32.iter().position(|d| d == digit)? as u128;
        let shift = 123 - 5 * at as i32;
        if shift >= 0 {
            value |= digit << shift;
        } else {
            // The two bits past the end must be zero, or one id would have four spellings.
            if digit & 3 != 0 {
                return None;
            }
            value |= digit >> -shift;
        }
    }
    Some(value.to_be_bytes())
}

/// An identifier that does not read back: wrong prefix, length, digit or trailing bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}<26 base32 characters>")]
pub struct InvalidId {
    /// The prefix that was expected, such as `org_`.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What the text form starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The id with these 128 bits, which should be random.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 128 bits.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), base32(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    .and_then(from_base32)
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// An organisation. Text: `org_` and 26 lower-case base32 characters, exactly one spelling each.
    OrgId, "org_"
}
id! {
    /// An account. Text: `acc_` and 26 lower-case base32 characters, exactly one spelling each.
    AccountId, "acc_"
}
id! {
    /// A token (not its secret). Text: `tok_` and 26 lower-case base32 characters, exactly one spelling each.
    TokenId, "tok_"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_reads_back_from_its_text(bytes: [u8; 16]) {
            let id = OrgId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<OrgId>(), Ok(id));
        }
    }

    #[test]
    fn an_id_has_exactly_one_spelling() {
        let text = OrgId::from_bytes([0; 16]).to_string();
        assert_eq!(text, "org_aaaaaaaaaaaaaaaaaaaaaaaaaa");
        for wrong in [
            "org_aaaaaaaaaaaaaaaaaaaaaaaaab",
            "org_aaaaaaaaaaaaaaaaaaaaaaaaa",
            "org_Aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "acc_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "",
        ] {
            assert!(wrong.parse::<OrgId>().is_err(), "{wrong} must not be an organisation id");
        }
        let last = OrgId::from_bytes([0xff; 16]).to_string();
        assert_eq!(last, "org_77777777777777777777777774");
    }
}
