//! Bodies and salts handed out beside a log's tiles.
//!
//! ```text
//! bodies/<index>           the body, byte for byte          } for single events: evidence bundles
//! salts/<index>            32 hexadecimal digits, newline   }
//! disclosed/<N>[.p/<W>]    the same for a whole entry bundle tile/entries/<N>: exports of whole logs
//!                          per entry: 00, or 01 · 16 bytes of salt · 4 bytes of length, big-endian · the body
//! ```
//!
//! `00` stands for entries that hold their body themselves, and for bodies that are not handed out.

use std::collections::BTreeMap;

use tlog::tile::BundleId;

use super::files::Files;

/// A body and its salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    /// Salt of the commitment.
    pub salt: [u8; 16],
    /// The body as it was stored.
    pub body: Vec<u8>,
}

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// Path of the pack that goes with an entry bundle.
pub fn pack_path(bundle: BundleId) -> String {
    let path = bundle.to_string();
    path.replacen("tile/entries/", "disclosed/", 1)
}

/// A pack of what is disclosed of each entry, in order.
pub fn pack(events: &[Option<Disclosed>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        match event {
            None => bytes.push(ABSENT),
            Some(Disclosed { salt, body }) => {
                let length = u32::try_from(body.len()).expect("a body is at most a mebibyte");
                bytes.push(PRESENT);
                bytes.extend_from_slice(salt);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(body);
            }
        }
    }
    bytes
}

/// Reads a pack of exactly `width` entries; none if it is not one.
pub fn unpack(mut bytes: &[u8], width: u16) -> Option<Vec<Option<Disclosed>>> {
    let mut events = Vec::new();
    for _ in 0..width {
        let (state, rest) = bytes.split_first()?;
        bytes = rest;
        match *state {
            ABSENT => events.push(None),
            PRESENT => {
                let (salt, rest) = bytes.split_first_chunk::<16>()?;
                let (length, rest) = rest.split_first_chunk::<4>()?;
                let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
                events.push(Some(Disclosed { salt: *salt, body: body.to_vec() }));
                bytes = rest;
            }
            _ => return None,
        }
    }
    bytes.is_empty().then_some(events)
}

/// The text of a salt file.
pub fn salt_text(salt: &[u8; 16]) -> String {
    format!("{}\n", hex::encode(salt))
}

/// Reads a salt: 32 hexadecimal digits, perhaps with a newline.
pub fn parse_salt(text: &str) -> Option<[u8; 16]> {
    let mut salt = [0; 16];
    hex::decode_to_slice(text.trim_end_matches('\n'), &mut salt).ok()?;
    Some(salt)
}

/// What is disclosed of one entry.
///
/// # Errors
/// What cannot be read, or is there by half.
pub fn of_entry(files: &dyn Files, index: u64) -> Result<Option<Disclosed>, String> {
    let (body, salt) = (files.read(&format!("bodies/{index}"))?, files.read(&format!("salts/{index}"))?);
    match (body, salt) {
        (None, None) => Ok(None),
        (Some(body), Some(salt)) => {
            let salt = std::str::from_utf8(&salt).ok().and_then(parse_salt);
            let salt = salt.ok_or_else(|| format!("salts/{index} is not 32 hexadecimal digits"))?;
            Ok(Some(Disclosed { salt, body }))
        }
        (Some(_), None) => Err(format!("bodies/{index} is there without its salt")),
        (None, Some(_)) => Err(format!("salts/{index} is there without its body")),
    }
}

/// What is disclosed of the entries of a bundle, by index, and the bytes read for it.
///
/// # Errors
/// As for [`of_entry`], and a pack that is none.
pub fn of_bundle(files: &dyn Files, bundle: BundleId) -> Result<(u64, BTreeMap<u64, Disclosed>), String> {
    let path = pack_path(bundle);
    if let Some(bytes) = files.read(&path)? {
        let events = unpack(&bytes, bundle.width).ok_or_else(|| format!("{path} is not a pack of bodies"))?;
        let events = bundle.entries().zip(events).filter_map(|(index, event)| Some((index, event?)));
        return Ok((bytes.len() as u64, events.collect()));
    }
    let mut found = BTreeMap::new();
    for index in bundle.entries() {
        found.extend(of_entry(files, index)?.map(|event| (index, event)));
    }
    let bytes = found.values().map(|event| event.body.len() as u64 + 16).sum();
    Ok((bytes, found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packs_read_back_and_no_others_do(
            events in prop::collection::vec(prop::option::of((any::<[u8; 16]>(), prop::collection::vec(any::<u8>(), 0..40))), 1..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let events: Vec<_> = events.into_iter().map(|e| e.map(|(salt, body)| Disclosed { salt, body })).collect();
            let (bytes, width) = (pack(&events), events.len() as u16);
            prop_assert_eq!(unpack(&bytes, width), Some(events));
            prop_assert_eq!(unpack(&bytes[..cut.index(bytes.len())], width), None);
            prop_assert_eq!(unpack(&[&bytes[..], &[0]].concat(), width), None);
        }
    }
}
