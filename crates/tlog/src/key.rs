//! Keys of signed notes: who signs, by which algorithm, and the texts they are published in (C2SP signed-note, tlog-cosignature).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use ml_dsa::MlDsa44;
use sha2::Sha256;

use crate::checkpoint::Checkpoint;
use crate::error::malformed;
use crate::note::DASH;
use crate::{Error, hash, text};

const TYPE_ED25519: u8 = 0x01;
const TYPE_COSIGNATURE: u8 = 0x04;
const TYPE_ML_DSA_44: u8 = 0x06;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Type `01`: Ed25519 over the text.
    Ed25519,
    /// Type `04`: Ed25519 over `cosignature/v1`, a time and the text (C2SP tlog-cosignature).
    CosignatureV1,
    /// Type `06`: ML-DSA-44 over `subtree/v1`, its own name, a time and the head (C2SP tlog-cosignature). Read, never written.
    MlDsa44,
}

impl Algorithm {
    fn type_byte(self) -> u8 {
        match self {
            Algorithm::Ed25519 => TYPE_ED25519,
            Algorithm::CosignatureV1 => TYPE_COSIGNATURE,
            Algorithm::MlDsa44 => TYPE_ML_DSA_44,
        }
    }

    /// Whether signatures carry a time: those of witnesses do.
    pub fn is_cosignature(self) -> bool {
        self != Algorithm::Ed25519
    }
}

/// A private key and the name it signs under. Wiped from memory when dropped; never shown by `Debug`.
#[derive(Clone)]
pub struct SignerKey {
    signing: SigningKey,
    verifier: VerifierKey,
}

impl SignerKey {
    /// The key of type `01` made of a 32-byte Ed25519 seed (RFC 8032).
    ///
    /// # Errors
    /// `Malformed` for an empty name or one with a Unicode space or a plus.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<SignerKey, Error> {
        SignerKey::new(name, Algorithm::Ed25519, seed)
    }

    /// The witness key of type `04` made of a 32-byte Ed25519 seed. Must be a seed of its own: a log key signs other texts.
    ///
    /// # Errors
    /// As [`from_seed`](SignerKey::from_seed).
    pub fn cosigner_from_seed(name: &str, seed: &[u8; 32]) -> Result<SignerKey, Error> {
        SignerKey::new(name, Algorithm::CosignatureV1, seed)
    }

    fn new(name: &str, algorithm: Algorithm, seed: &[u8; 32]) -> Result<SignerKey, Error> {
        let signing = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, algorithm, PublicKey::Ed25519(signing.verifying_key()))?;
        Ok(SignerKey { signing, verifier })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signature line for `text`, with its newline. A key of type `04` signs the time 0; see [`cosign`](Self::cosign).
    pub fn sign(&self, text: &str) -> String {
        self.cosign(text, 0)
    }

    /// The signature line for `text`, with its newline; `time_s` (seconds since 1970) goes into cosignatures only.
    pub fn cosign(&self, text: &str, time_s: u64) -> String {
        let mut bytes = self.verifier.key_id.to_be_bytes().to_vec();
        let signature = match self.verifier.algorithm {
            Algorithm::Ed25519 => self.signing.sign(text.as_bytes()),
            Algorithm::CosignatureV1 => {
                bytes.extend_from_slice(&time_s.to_be_bytes());
                self.signing.sign(cosigned_message(text, time_s).as_bytes())
            }
            Algorithm::MlDsa44 => unreachable!("no constructor makes a private key of this kind"),
        };
        bytes.extend_from_slice(&signature.to_bytes());
        format!("{DASH}{} {}\n", self.verifier.name, text::to_base64(&bytes))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// A public key and the name it signs under; as text, a vkey: `<name>+<key id, 8 hex digits>+<base64(type ‖ key)>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key_id: u32,
    algorithm: Algorithm,
    key: PublicKey,
}

#[derive(Clone, PartialEq, Eq)]
enum PublicKey {
    Ed25519(VerifyingKey),
    /// The encoded key: any bytes of this length are one.
    MlDsa44(Box<ml_dsa::EncodedVerifyingKey<MlDsa44>>),
}

impl PublicKey {
    fn bytes(&self) -> &[u8] {
        match self {
            PublicKey::Ed25519(key) => key.as_bytes(),
            PublicKey::MlDsa44(key) => key.as_slice(),
        }
    }
}

impl VerifierKey {
    fn new(name: &str, algorithm: Algorithm, key: PublicKey) -> Result<VerifierKey, Error> {
        if !is_key_name(name) {
            return malformed("key name", "empty, or holds a space, a plus or a control character");
        }
        let key_id = key_id(name, algorithm.type_byte(), key.bytes());
        Ok(VerifierKey { name: name.to_owned(), key_id, algorithm, key })
    }

    /// Name of the key; of a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First four bytes of SHA-256(name ‖ LF ‖ type ‖ key). Tells keys apart; proves nothing.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// How the key signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key itself: 32 bytes of Ed25519, 1,312 of ML-DSA-44. Two names may share one.
    pub fn public_bytes(&self) -> &[u8] {
        self.key.bytes()
    }

    /// Checks one signature, given as the bytes after the key id; the time of a cosignature if it holds.
    pub(crate) fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match (self.algorithm, &self.key) {
            (Algorithm::Ed25519, PublicKey::Ed25519(key)) => holds(key, text.as_bytes(), signature).then_some(None),
            (Algorithm::CosignatureV1, PublicKey::Ed25519(key)) => {
                let (time_s, signature) = split_time(signature)?;
                holds(key, cosigned_message(text, time_s).as_bytes(), signature).then_some(Some(time_s))
            }
            (Algorithm::MlDsa44, PublicKey::MlDsa44(key)) => {
                let (time_s, signature) = split_time(signature)?;
                let message = subtree_message(&self.name, time_s, &text.parse().ok()?)?;
                let signature = ml_dsa::Signature::<MlDsa44>::try_from(signature).ok()?;
                let key = ml_dsa::VerifyingKey::<MlDsa44>::decode(key);
                key.verify_with_context(&message, &[], &signature).then_some(Some(time_s))
            }
            (Algorithm::Ed25519 | Algorithm::CosignatureV1 | Algorithm::MlDsa44, _) => None,
        }
    }
}

/// Strict: neither the key nor R of small order, S below the group order, so that one signature has one writing.
fn holds(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

/// The time before a cosignature, which must fit a signed number, and the signature.
fn split_time(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (time_s, signature) = signature.split_first_chunk::<8>()?;
    let time_s = u64::from_be_bytes(*time_s);
    (time_s <= i64::MAX as u64).then_some((time_s, signature))
}

/// What a cosignature of type `06` is over: the whole tree of a checkpoint; extension lines are not in it.
///
/// ```text
/// "subtree/v1\n\0" · cosigner name after its length in a byte · u64 time · origin after its length in a byte ·
/// u64 start, 0 · u64 end, the size · 32 bytes of root
/// ```
fn subtree_message(cosigner: &str, time_s: u64, checkpoint: &Checkpoint) -> Option<Vec<u8>> {
    let mut message = b"subtree/v1\n\0".to_vec();
    let put_name = |name: &str, message: &mut Vec<u8>| {
        message.push(u8::try_from(name.len()).ok()?);
        message.extend_from_slice(name.as_bytes());
        Some(())
    };
    put_name(cosigner, &mut message)?;
    message.extend_from_slice(&time_s.to_be_bytes());
    put_name(&checkpoint.origin, &mut message)?;
    message.extend_from_slice(&0u64.to_be_bytes());
    message.extend_from_slice(&checkpoint.size.to_be_bytes());
    message.extend_from_slice(checkpoint.root.as_bytes());
    Some(message)
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm.type_byte()];
        key.extend_from_slice(self.key.bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.key_id, text::to_base64(&key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// Reads a vkey.
///
/// Errors: `Malformed` for a bad name, an id that is not the one of this name and key, a type other than `01`, `04` and `06`,
/// or an Ed25519 key that is no canonical point or one of small order (such a key would accept signatures nobody made).
impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(vkey: &str) -> Result<VerifierKey, Error> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return malformed("vkey", "not name+id+key");
        };
        let Some(key) = text::from_base64(key) else {
            return malformed("vkey", "key is not base64");
        };
        let Some((type_byte, key)) = key.split_first() else {
            return malformed("vkey", "key is empty");
        };
        let algorithm = match *type_byte {
            TYPE_ED25519 => Algorithm::Ed25519,
            TYPE_COSIGNATURE => Algorithm::CosignatureV1,
            TYPE_ML_DSA_44 => Algorithm::MlDsa44,
            _ => return malformed("vkey", "signature type is neither 01 nor 04 nor 06"),
        };
        let key = match algorithm {
            Algorithm::Ed25519 | Algorithm::CosignatureV1 => PublicKey::Ed25519(point(key)?),
            Algorithm::MlDsa44 => match ml_dsa::EncodedVerifyingKey::<MlDsa44>::try_from(key) {
                Ok(key) => PublicKey::MlDsa44(Box::new(key)),
                Err(_) => return malformed("vkey", "ML-DSA-44 keys have 1,312 bytes"),
            },
        };
        let verifier = VerifierKey::new(name, algorithm, key)?;
        if id != format!("{:08x}", verifier.key_id) {
            return malformed("vkey", "key id does not belong to this name and key");
        }
        Ok(verifier)
    }
}

fn point(key: &[u8]) -> Result<VerifyingKey, Error> {
    let Ok(bytes) = <&[u8; 32]>::try_from(key) else {
        return malformed("vkey", "Ed25519 keys have 32 bytes");
    };
    let Ok(key) = VerifyingKey::from_bytes(bytes) else {
        return malformed("vkey", "no point of the curve");
    };
    if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
        return malformed("vkey", "a weak or non-canonical point");
    }
    Ok(key)
}

/// Ed25519 seed of one log in one key epoch (`specs/proofs.md` §4.2):
/// HKDF-SHA-256(ikm = instance seed, salt empty, info = `counterfoil log key v1` ‖ LF ‖ origin ‖ LF ‖ epoch in decimal).
pub fn derive_log_seed(instance_seed: &[u8; 32], origin: &str, epoch: u32) -> [u8; 32] {
    let info = format!("counterfoil log key v1\n{origin}\n{epoch}");
    let mut seed = [0; 32];
    Hkdf::<Sha256>::new(None, instance_seed)
        .expand(info.as_bytes(), &mut seed)
        .expect("32 bytes are fewer than HKDF can give");
    seed
}

/// Whether this may be the name of a key: not empty, no Unicode space, no plus, no control character.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+' || c < ' ')
}

fn key_id(name: &str, type_byte: u8, key: &[u8]) -> u32 {
    let hash = hash::sha256(&[name.as_bytes(), b"\n", &[type_byte], key]);
    let (id, _) = hash.0.split_first_chunk().expect("32 bytes");
    u32::from_be_bytes(*id)
}

fn cosigned_message(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}
