//! ECIS-P256-AES256GCM-SHA384:96 (specs/silo.md §7.2).
//!
//! ```text
//! 12 bytes  |  91 bytes                                     |  16 bytes  |  n bytes
//! nonce     |  ephemeral public key, SubjectPublicKeyInfo   |  GCM tag   |  AES-256-GCM of the plaintext
//! ```
//!
//! The AES key hangs on the shared x alone, so a record whose ephemeral point is replaced by its negative opens too, to
//! the same plaintext. That is the format's; nothing of the content can be changed so.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use p256::NonZeroScalar;
use sha2::Sha384;
use zeroize::Zeroizing;

use crate::curve::{COORDINATE_BYTES, Coordinate, Point};
use crate::multiply::Ephemeral;
use crate::{OpenError, Scheme, legacy};

/// Bytes of the nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes of the tag.
const TAG_BYTES: usize = 16;
/// What stands before the coordinates in the DER of a P-256 public key: the two algorithm identifiers, the bit string's
/// header, and 4 for an uncompressed point. DER leaves no choice, so equal bytes are all there is to check.
const SPKI_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, //
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// Bytes of a public key in DER.
pub(crate) const SPKI_BYTES: usize = SPKI_PREFIX.len() + 2 * COORDINATE_BYTES;
/// Bytes of a sealed empty record.
pub(crate) const OVERHEAD_BYTES: usize = NONCE_BYTES + SPKI_BYTES + TAG_BYTES;

/// A point as SubjectPublicKeyInfo in DER.
pub(crate) fn spki(point: &Point) -> [u8; SPKI_BYTES] {
    let mut der = [0; SPKI_BYTES];
    der[..27].copy_from_slice(&SPKI_PREFIX);
    der[27..59].copy_from_slice(&point.x);
    der[59..].copy_from_slice(&point.y);
    der
}

/// The cipher for one record: HKDF-SHA-384 over the shared x, no salt, empty info.
fn cipher(shared_x: &Coordinate) -> Aes256Gcm {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha384>::new(None, shared_x).expand(&[], &mut key[..]).expect("32 bytes are less than HKDF can give");
    Aes256Gcm::new((&*key).into())
}

/// Seals one record with an ephemeral key that no other record has.
pub(crate) fn seal(plaintext: &[u8], ephemeral: &Ephemeral, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(&spki(&ephemeral.public));
    sealed.extend_from_slice(&[0; TAG_BYTES]);
    sealed.extend_from_slice(plaintext);
    let (head, content) = sealed.split_at_mut(OVERHEAD_BYTES);
    let tag = cipher(&ephemeral.shared_x).encrypt_inout_detached(nonce.into(), &[], content.into());
    let tag = tag.expect("the plaintext is at most PLAINTEXT_BYTES_MAX, less than GCM can take");
    head[OVERHEAD_BYTES - TAG_BYTES..].copy_from_slice(&tag);
    sealed
}

/// Opens one record.
pub(crate) fn open(sealed: &[u8], scalar: &NonZeroScalar) -> Result<Vec<u8>, OpenError> {
    let scheme = Scheme::Standard;
    let malformed = |what| {
        let hint = match legacy::looks_like(sealed) {
            true => "; it looks like the legacy scheme, which takes a passphrase",
            false => "",
        };
        OpenError::Malformed { scheme, what, hint }
    };
    let Some(Record { nonce, header, x, y, tag, ciphertext }) = split(sealed) else {
        if legacy::looks_like(sealed) {
            return Err(malformed("it is too short"));
        }
        return Err(OpenError::TooShort { scheme, bytes: sealed.len(), bytes_min: OVERHEAD_BYTES });
    };
    if *header != SPKI_PREFIX {
        return Err(malformed("no P-256 public key stands after the nonce"));
    }
    let ephemeral = Point::from_coordinates(x, y).ok_or_else(|| malformed("its ephemeral key is not on the curve"))?;
    let mut plaintext = ciphertext.to_vec();
    let opened = cipher(&ephemeral.shared_x(scalar)).decrypt_inout_detached(
        nonce.into(),
        &[],
        plaintext.as_mut_slice().into(),
        tag.into(),
    );
    opened.map_err(|_| OpenError::WrongKeyOrAltered)?;
    Ok(plaintext)
}

/// Whether these bytes have the header of this scheme. For hints only.
pub(crate) fn looks_like(sealed: &[u8]) -> bool {
    split(sealed).is_some_and(|record| *record.header == SPKI_PREFIX)
}

struct Record<'a> {
    nonce: &'a [u8; NONCE_BYTES],
    header: &'a [u8; SPKI_PREFIX.len()],
    x: &'a Coordinate,
    y: &'a Coordinate,
    tag: &'a [u8; TAG_BYTES],
    ciphertext: &'a [u8],
}

fn split(sealed: &[u8]) -> Option<Record<'_>> {
    let (nonce, rest) = sealed.split_first_chunk()?;
    let (header, rest) = rest.split_first_chunk()?;
    let (x, rest) = rest.split_first_chunk()?;
    let (y, rest) = rest.split_first_chunk()?;
    let (tag, ciphertext) = rest.split_first_chunk()?;
    Some(Record { nonce, header, x, y, tag, ciphertext })
}
