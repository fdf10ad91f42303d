//! Signed notes and their keys (C2SP signed-note), and the cosignatures of witnesses (C2SP tlog-cosignature).
//!
//! ```text
//! text, ending in a newline
//!                                            ← the last empty line of the note
//! — <key name> base64(key id ‖ signature)    ← one line per signature
//! ```
//!
//! Ed25519 of type `01` over the text is what logs write; `04`, a witness's Ed25519 over the text and a time, is read and
//! written; `06`, a witness's ML-DSA-44, is read. Lines of any other type belong to keys unknown here and are passed over, as
//! every line of an unknown key is. Keys are in the file `key.rs`.

use crate::error::malformed;
pub use crate::key::{Algorithm, SignerKey, VerifierKey, derive_log_seed, is_key_name};
use crate::{Error, text};

/// Signature lines read at most; a note with more is refused.
pub const SIGNATURES_MAX: usize = 16;
/// Bytes of a note read at most; room for 16 signatures of ML-DSA-87 and a long text.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;

pub(crate) const DASH: &str = "\u{2014} ";

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
            let mut named = known.iter().filter(|k| k.key_id() == line.key_id && k.name() == line.name).peekable();
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
