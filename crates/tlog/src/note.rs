//! Signed notes and their keys (C2SP signed-note), and the cosignatures of witnesses (C2SP tlog-cosignature).
//!
//! ```text
//! text, ending in a newline
//!                                            ← the last empty line of the note
//! — <key name> base64(key id ‖ signature)    ← one line per signature
//! ```
//!
//! Ed25519 of type `01` over the text is what logs write; `04`, a witness's Ed25519 over the text and a time, is understood
//! on reading and writing. Lines of any other type (such as `06`, ML-DSA-44) belong to keys unknown here and are passed over,
//! as every line of an unknown key is.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::error::malformed;
use crate::{Error, hash, text};

/// Signature lines read at most; a note with more is refused.
pub const SIGNATURES_MAX: usize = 16;
/// Bytes of a note read at most; room for 16 signatures of ML-DSA-87 and a long text.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;

const TYPE_ED25519: u8 = 0x01;
const TYPE_COSIGNATURE: u8 = 0x04;
const DASH: &str = "\u{2014} ";

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Type `01`: Ed25519 over the text.
    Ed25519,
    /// Type `04`: Ed25519 over `cosignature/v1`, a time and the text (C2SP tlog-cosignature).
    CosignatureV1,
}

impl Algorithm {
    fn type_byte(self) -> u8 {
        match self {
            Algorithm::Ed25519 => TYPE_ED25519,
            Algorithm::CosignatureV1 => TYPE_COSIGNATURE,
        }
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
        let verifier = VerifierKey::new(name, algorithm, signing.verifying_key())?;
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
    key: VerifyingKey,
}

impl VerifierKey {
    fn new(name: &str, algorithm: Algorithm, key: VerifyingKey) -> Result<VerifierKey, Error> {
        if !is_key_name(name) {
            return malformed("key name", "empty, or holds a space, a plus or a control character");
        }
        let key_id = key_id(name, algorithm.type_byte(), key.as_bytes());
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

    /// The 32 bytes of the Ed25519 public key.
    pub fn public_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Checks one signature, given as the bytes after the key id; the time of a cosignature if it holds.
    fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match self.algorithm {
            Algorithm::Ed25519 => self.verify_bytes(text, signature).then_some(None),
            Algorithm::CosignatureV1 => {
                let (time_s, signature) = signature.split_first_chunk::<8>()?;
                let time_s = u64::from_be_bytes(*time_s);
                let in_range = time_s <= i64::MAX as u64;
                let message = cosigned_message(text, time_s);
                (in_range && self.verify_bytes(&message, signature)).then_some(Some(time_s))
            }
        }
    }

    fn verify_bytes(&self, message: &str, signature: &[u8]) -> bool {
        // Strict: neither the key nor R of small order, S below the group order, so that one signature has one writing.
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm.type_byte()];
        key.extend_from_slice(self.key.as_bytes());
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
/// Errors: `Malformed` for a bad name, an id that is not the one of this name and key, a type other than `01` and `04`, or
/// a key that is no canonical point or one of small order (such a key would accept signatures nobody made).
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
            _ => return malformed("vkey", "signature type is neither 01 nor 04"),
        };
        let Ok(bytes) = <&[u8; 32]>::try_from(key) else {
            return malformed("vkey", "Ed25519 keys have 32 bytes");
        };
        let Ok(key) = VerifyingKey::from_bytes(bytes) else {
            return malformed("vkey", "no point of the curve");
        };
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return malformed("vkey", "a weak or non-canonical point");
        }
        let verifier = VerifierKey::new(name, algorithm, key)?;
        if id != format!("{:08x}", verifier.key_id) {
            return malformed("vkey", "key id does not belong to this name and key");
        }
        Ok(verifier)
    }
}

/// A note as it is written, before anybody is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The signed text, with its final newline.
    pub text: &'a str,
    /// The signature lines in order, 1..=[`SIGNATURES_MAX`].
    pub signatures: Vec<SignatureLine<'a>>,
}

/// One signature line, unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    /// Name of the key that is said to have signed.
    pub name: &'a str,
    /// Id of that key.
    pub key_id: u32,
    /// What follows the id: at least one byte, its form depends on the key's algorithm.
    pub signature: Vec<u8>,
    /// The line itself, without its newline.
    pub line: &'a str,
}

impl<'a> Note<'a> {
    /// Reads the form of a note; says nothing about its truth.
    ///
    /// # Errors
    /// `Malformed` if it is too long, has control characters, no empty line, no or too many signature lines, or a line that
    /// is none.
    pub fn parse(note: &'a str) -> Result<Note<'a>, Error> {
        if note.len() > NOTE_BYTES_MAX {
            return malformed("note", "too long");
        }
        check_characters(note)?;
        let Some((text, lines)) = note.rsplit_once("\n\n") else {
            return malformed("note", "no empty line before the signatures");
        };
        // The text keeps the first of the two newlines.
        let text = &note[..text.len() + 1];
        let Some(lines) = lines.strip_suffix('\n') else {
            return malformed("note", "last line does not end");
        };
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return malformed("note", "too many signatures");
            }
            signatures.push(parse_signature(line)?);
        }
        Ok(Note { text, signatures })
    }

    /// Checks every line of a key in `known`; lines of other keys are passed over.
    ///
    /// Two keys of the same name and id are one or the other: a line must verify under one of them.
    ///
    /// # Errors
    /// `SignatureInvalid` if the line of a known key does not verify, whatever the other lines say; `Unverified` if no line
    /// is of a known key.
    pub fn verify<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<Verified<'k>>, Error> {
        let mut verified: Vec<Verified<'k>> = Vec::new();
        for line in &self.signatures {
            let mut named = known.iter().filter(|k| k.key_id == line.key_id && k.name == line.name).peekable();
            if named.peek().is_none() {
                continue;
            }
            let found = named.find_map(|key| {
                let time_s = key.verify(self.text, &line.signature)?;
                Some(Verified { key, time_s })
            });
            match found {
                Some(found) => verified.push(found),
                None => {
                    return Err(Error::SignatureInvalid { name: line.name.to_owned(), key_id: line.key_id });
                }
            }
        }
        if verified.is_empty() { Err(Error::Unverified) } else { Ok(verified) }
    }
}

/// A signature that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'k> {
    /// The key, out of the caller's list.
    pub key: &'k VerifierKey,
    /// When a witness says it signed, seconds since 1970; none for keys of type `01`.
    pub time_s: Option<u64>,
}

/// A note whose signatures by known keys all hold, of which there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNote<'a, 'k> {
    /// The signed text, with its final newline.
    pub text: &'a str,
    /// The signatures that hold, in the order of their lines.
    pub signatures: Vec<Verified<'k>>,
}

/// Reads a note and checks it against the keys the caller trusts.
///
/// # Errors
/// Those of [`Note::parse`] and [`Note::verify`].
pub fn open<'a, 'k>(note: &'a str, known: &'k [VerifierKey]) -> Result<VerifiedNote<'a, 'k>, Error> {
    let note = Note::parse(note)?;
    let signatures = note.verify(known)?;
    Ok(VerifiedNote { text: note.text, signatures })
}

/// Writes the note of `text` with one line per key, in order.
///
/// # Errors
/// `Malformed` if `text` does not end in a newline or holds control characters, or without keys or with too many.
pub fn sign(text: &str, keys: &[&SignerKey]) -> Result<String, Error> {
    check_characters(text)?;
    if !text.ends_with('\n') {
        return malformed("note", "text does not end in a newline");
    }
    if keys.is_empty() || keys.len() > SIGNATURES_MAX {
        return malformed("note", "no signature, or too many");
    }
    let mut note = format!("{text}\n");
    for key in keys {
        note.push_str(&key.sign(text));
    }
    if note.len() > NOTE_BYTES_MAX { malformed("note", "too long") } else { Ok(note) }
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

fn check_characters(text: &str) -> Result<(), Error> {
    if text.bytes().any(|b| b < b' ' && b != b'\n') {
        return malformed("note", "control character");
    }
    Ok(())
}

fn parse_signature(line: &str) -> Result<SignatureLine<'_>, Error> {
    let Some((name, encoded)) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')) else {
        return malformed("note", "signature line is not dash, name, signature");
    };
    if !is_key_name(name) {
        return malformed("note", "bad key name in a signature line");
    }
    let Some(bytes) = text::from_base64(encoded) else {
        return malformed("note", "signature is not base64");
    };
    match bytes.split_first_chunk::<4>() {
        Some((key_id, signature)) if !signature.is_empty() => {
            Ok(SignatureLine { name, key_id: u32::from_be_bytes(*key_id), signature: signature.to_vec(), line })
        }
        _ => malformed("note", "signature is too short"),
    }
}
