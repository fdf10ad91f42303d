//! SECCURE ECIES on P-256 (specs/silo.md §7.1).
//!
//! ```text
//! 33 bytes                        n bytes                        10 bytes
//! ephemeral point, compressed  |  AES-256-CTR of the plaintext |  start of HMAC-SHA-256 of the middle
//! ```
//!
//! The compressed form is SECCURE's own, not SEC1: the integer x where y is even, x + p where y is odd.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use p256::NonZeroScalar;
use p256::elliptic_curve::bigint::{NonZero, U256};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::curve::{COORDINATE_BYTES, Coordinate, Point};
use crate::multiply::Ephemeral;
use crate::{KeyError, OpenError, Scheme, standard};

/// Bytes of a compressed point.
const POINT_BYTES: usize = COORDINATE_BYTES + 1;
/// Bytes of the tag.
const TAG_BYTES: usize = 10;
/// Bytes of a sealed empty record.
pub(crate) const OVERHEAD_BYTES: usize = POINT_BYTES + TAG_BYTES;

/// Characters of a public key for P-256.
const KEY_CHARACTERS: usize = 40;
/// Characters of a public key for the tool's default curve.
const KEY_CHARACTERS_DEFAULT_CURVE: usize = 25;
/// The digits 0 to 89: printable ASCII by code, without `"`, `'`, `\` and `` ` ``.
const KEY_DIGITS: &[u8; 90] =
    b"!#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~";

/// The field prime, big-endian.
const PRIME: Coordinate = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, //
    0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];

/// The group's order less one.
const ORDER_LESS_ONE: U256 = U256::from_be_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550");

/// Reads a public key as `seccure-key -c p256` prints it. White space around it is dropped.
pub(crate) fn parse_key(text: &str) -> Result<Point, KeyError> {
    let text = text.trim();
    let characters = text.chars().count();
    match characters {
        0 => return Err(KeyError::Empty),
        KEY_CHARACTERS => {}
        KEY_CHARACTERS_DEFAULT_CURVE => return Err(KeyError::DefaultCurve),
        _ => return Err(KeyError::Length { characters }),
    }
    let mut number = [0; POINT_BYTES];
    for (position, character) in (1..).zip(text.chars()) {
        let digit = KEY_DIGITS.iter().position(|digit| char::from(*digit) == character);
        let digit = digit.ok_or(KeyError::Character { character, position })?;
        // 90^40 is far above 2^264, so a mistyped first digit can run over the 33 bytes.
        if multiply_add(&mut number, 90, digit as u16) != 0 {
            return Err(KeyError::NotOnCurve);
        }
    }
    decompress(&number).ok_or(KeyError::NotOnCurve)
}

/// Writes a public key as `seccure-key -c p256` prints it.
pub(crate) fn format_key(point: &Point) -> String {
    let mut number = compress(point);
    let mut text = [0; KEY_CHARACTERS];
    for character in text.iter_mut().rev() {
        *character = KEY_DIGITS[usize::from(divide(&mut number, 90))];
    }
    text.iter().map(|character| char::from(*character)).collect()
}

/// `number = number · factor + summand`; returns what did not fit.
fn multiply_add(number: &mut [u8; POINT_BYTES], factor: u16, summand: u16) -> u16 {
    number.iter_mut().rev().fold(summand, |carry, byte| {
        let value = u16::from(*byte) * factor + carry;
        *byte = value as u8;
        value >> 8
    })
}

/// `number = number / divisor`; returns the remainder.
fn divide(number: &mut [u8; POINT_BYTES], divisor: u16) -> u16 {
    number.iter_mut().fold(0, |remainder, byte| {
        let value = remainder << 8 | u16::from(*byte);
        *byte = (value / divisor) as u8;
        value % divisor
    })
}

/// A point in SECCURE's 33 bytes.
fn compress(point: &Point) -> [u8; POINT_BYTES] {
    let mut number = [0; POINT_BYTES];
    number[1..].copy_from_slice(&point.x);
    if point.y_is_odd() {
        let mut carry = 0;
        for (byte, prime_byte) in number[1..].iter_mut().zip(PRIME).rev() {
            let sum = u16::from(*byte) + u16::from(prime_byte) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        number[0] = carry as u8;
    }
    number
}

/// The point of SECCURE's 33 bytes, or `None` for x = 0, x >= p or no such point.
fn decompress(number: &[u8; POINT_BYTES]) -> Option<Point> {
    let is_odd = number[0] != 0 || number[1..] >= PRIME[..];
    let mut number = *number;
    if is_odd {
        let mut borrow = 0;
        for (byte, prime_byte) in number[1..].iter_mut().zip(PRIME).rev() {
            let difference = i16::from(*byte) - i16::from(prime_byte) - borrow;
            *byte = difference as u8;
            borrow = i16::from(difference < 0);
        }
        number[0] = number[0].wrapping_sub(borrow as u8);
    }
    let x: Coordinate = number[1..].try_into().expect("32 of the 33 bytes");
    if number[0] != 0 || x == [0; COORDINATE_BYTES] {
        return None;
    }
    // Refuses x >= p as well.
    Point::decompress(&x, is_odd)
}

/// The private scalar that SECCURE derives from a passphrase.
pub(crate) fn scalar_from_passphrase(passphrase: &[u8]) -> NonZeroScalar {
    let mut hash = Sha256::digest(passphrase);
    let mut bytes = Zeroizing::new([0; COORDINATE_BYTES]);
    Ctr128BE::<Aes256>::new(&hash, &Default::default()).apply_keystream(&mut bytes[..]);
    hash.as_mut_slice().zeroize();
    let number = Zeroizing::new(U256::from_be_slice(&bytes[..]));
    let modulus = NonZero::new(ORDER_LESS_ONE).expect("the order is not one");
    let below = Zeroizing::new(number.rem(&modulus));
    let scalar = Zeroizing::new(below.wrapping_add(&U256::ONE));
    bytes.copy_from_slice(Zeroizing::new(scalar.to_be_bytes()).as_ref());
    NonZeroScalar::from_repr((*bytes).into()).expect("a number from 1 to n - 1")
}

/// Key of the cipher, then key of the tag.
struct Keys(Zeroizing<[u8; 64]>);

impl Keys {
    fn derive(ephemeral: &Point, shared_x: &Coordinate) -> Keys {
        let mut hash = Sha512::new_with_prefix(shared_x).chain_update(ephemeral.x).chain_update(ephemeral.y).finalize();
        let keys = Keys(Zeroizing::new(hash.into()));
        hash.as_mut_slice().zeroize();
        keys
    }

    /// Encrypts, or decrypts, in place. The key is used once, so the counter may start at zero.
    fn apply_cipher(&self, content: &mut [u8]) {
        let key: &[u8; 32] = self.0[..32].try_into().expect("half of 64 bytes");
        Ctr128BE::<Aes256>::new(key.into(), &Default::default()).apply_keystream(content);
    }

    fn tag(&self, ciphertext: &[u8]) -> [u8; TAG_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[32..]).expect("HMAC takes a key of any length");
        mac.update(ciphertext);
        mac.finalize().into_bytes()[..TAG_BYTES].try_into().expect("ten of 32 bytes")
    }
}

/// Seals one record with an ephemeral key that no other record has.
pub(crate) fn seal(plaintext: &[u8], ephemeral: &Ephemeral) -> Vec<u8> {
    let keys = Keys::derive(&ephemeral.public, &ephemeral.shared_x);
    let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
    sealed.extend_from_slice(&compress(&ephemeral.public));
    sealed.extend_from_slice(plaintext);
    keys.apply_cipher(&mut sealed[POINT_BYTES..]);
    let tag = keys.tag(&sealed[POINT_BYTES..]);
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens one record.
pub(crate) fn open(sealed: &[u8], scalar: &NonZeroScalar) -> Result<Vec<u8>, OpenError> {
    let scheme = Scheme::Legacy;
    let (Some((point, rest)), true) = (sealed.split_first_chunk(), sealed.len() >= OVERHEAD_BYTES) else {
        return Err(OpenError::TooShort { scheme, bytes: sealed.len(), bytes_min: OVERHEAD_BYTES });
    };
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().expect("at least as long as a sealed empty record");
    let Some(ephemeral) = decompress(point) else {
        let hint = if standard::looks_like(sealed) {
            "; it looks like the standard scheme, which takes a PEM key"
        } else {
            ""
        };
        return Err(OpenError::Malformed { scheme, what: "it does not start with a point of P-256", hint });
    };
    let keys = Keys::derive(&ephemeral, &ephemeral.shared_x(scalar));
    if !bool::from(keys.tag(ciphertext).ct_eq(tag)) {
        return Err(OpenError::WrongKeyOrAltered);
    }
    let mut plaintext = ciphertext.to_vec();
    keys.apply_cipher(&mut plaintext);
    Ok(plaintext)
}

/// Whether these bytes may be a record of this scheme: long enough, and a point in front. For hints only.
pub(crate) fn looks_like(sealed: &[u8]) -> bool {
    sealed.len() >= OVERHEAD_BYTES && sealed.first_chunk().is_some_and(|point| decompress(point).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(x: &Coordinate, add_prime: bool) -> [u8; POINT_BYTES] {
        let mut number = [0; POINT_BYTES];
        number[1..].copy_from_slice(x);
        if add_prime {
            let wide = |bytes: &[u8]| bytes.iter().rev().map(|byte| u16::from(*byte)).collect::<Vec<_>>();
            let mut carry = 0;
            for (index, (left, right)) in wide(x).into_iter().zip(wide(&PRIME)).enumerate() {
                let sum = left + right + carry;
                number[POINT_BYTES - 1 - index] = sum as u8;
                carry = sum >> 8;
            }
            number[0] = carry as u8;
        }
        number
    }

    /// The smallest x that has a point, so that x + p stays under 2^256.
    fn small_x() -> Coordinate {
        (1..=255_u8)
            .map(|last| std::array::from_fn(|index| if index == 31 { last } else { 0 }))
            .find(|x| Point::decompress(x, true).is_some())
            .expect("about half of all x have a point")
    }

    #[test]
    fn a_tiny_x_with_odd_y_keeps_a_zero_in_front_and_reads_back() {
        let x = small_x();
        let point = Point::decompress(&x, true).expect("just found");
        let bytes = compress(&point);
        assert_eq!(bytes, number(&x, true));
        assert_eq!(bytes[0], 0);
        assert_eq!(decompress(&bytes), Some(point));
        assert_eq!(parse_key(&format_key(&point)), Ok(point));
    }

    #[test]
    fn numbers_that_are_no_point_are_refused() {
        let zero = [0; COORDINATE_BYTES];
        assert_eq!(decompress(&number(&zero, false)), None, "x = 0");
        assert_eq!(decompress(&number(&zero, true)), None, "x = 0, odd");
        assert_eq!(decompress(&number(&PRIME, true)), None, "x = p");
        assert_eq!(decompress(&[0xff; POINT_BYTES]), None, "far above 2p");
        let off_curve = (1..=255_u8)
            .map(|last| std::array::from_fn(|index| if index == 31 { last } else { 0 }))
            .find(|x| Point::decompress(x, true).is_none())
            .expect("about half of all x have none");
        assert_eq!(decompress(&number(&off_curve, false)), None);
        assert_eq!(decompress(&number(&off_curve, true)), None);
    }
}
