//! RFC 3161 time stamps over checkpoints, on request, from an authority that the operator chose.
//!
//! What is stamped is the SHA-256 of the checkpoint's text: the three lines before the signatures, so that further signatures change
//! nothing. A stamp proves that this head existed at that time; not that the log only grew. Kept beside the log:
//!
//! ```text
//! DATA/witnessed/<log id>/timestamps/<size>.tsr   the authority's reply, as `openssl ts -verify -in` reads it
//! DATA/witnessed/<log id>/timestamps/<size>.txt   the text that was stamped
//! ```
//!
//! The authority's signature is not checked here, because whom to trust about time is for the reader to decide; that the reply is
//! about our text and our nonce is.

mod der;

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use tlog::note::Note;

use crate::access::{Principal, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::model::OrgId;
use crate::service::Service;
use crate::witnesses;
use der::Reader;

/// Longest reply taken, in bytes: a token with a chain of certificates has a few thousand.
pub const REPLY_BYTES_MAX: usize = 256 * 1024;

const QUERY_MEDIA_TYPE: &str = "application/timestamp-query";
/// Media type of a reply.
pub const REPLY_MEDIA_TYPE: &str = "application/timestamp-reply";

// 2.16.840.1.101.3.4.2.1, 1.2.840.113549.1.7.2, 1.2.840.113549.1.9.16.1.4
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];

/// What was stamped, and when by the authority's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// Size of the head.
    pub size: u64,
    /// The text whose SHA-256 was stamped.
    pub text: String,
    /// The authority's time, RFC 3339, UTC.
    pub at: String,
}

impl Service {
    /// Has the newest signed checkpoint of an organisation's log stamped, and keeps the reply. Takes `ManageKeys`. Blocks.
    ///
    /// # Errors
    /// `Invalid` if no authority is configured; `Unavailable` if it does not answer, refuses, or answers about something else.
    pub fn timestamp(&self, who: &Principal, org: OrgId) -> Result<Stamped> {
        self.allow(who, Verb::ManageKeys, org)?;
        let log = self.log_of(org)?;
        let (Some(url), Some(post)) = (self.timestamp_url(), &self.outbound().0) else {
            return Err(Error::invalid("no time-stamp authority is configured; set timestamps.url"));
        };
        let head = self.logs().head(&log)?;
        let note = Note::parse(&head.checkpoint)
            .map_err(|e| Error::internal("our checkpoint does not read").with_source(e))?;
        let hash: [u8; 32] = Sha256::digest(note.text.as_bytes()).into();
        let mut nonce = [0; 8];
        self.entropy().fill(&mut nonce);
        // Positive and never 0, so that it is present in every encoding.
        let nonce = u64::from_be_bytes(nonce) >> 1 | 1;
        let unavailable = |why: String| {
            Error::new(ErrorKind::Unavailable, "the time-stamp authority gave no stamp")
                .with_detail(format!("{url}: {why}"))
        };
        let reply = post.post(url, QUERY_MEDIA_TYPE, &request(&hash, nonce)).map_err(unavailable)?;
        if reply.status != 200 || reply.body.len() > REPLY_BYTES_MAX {
            return Err(unavailable(format!("status {}, {} bytes", reply.status, reply.body.len())));
        }
        let at = read_reply(&reply.body, &hash, nonce).map_err(unavailable)?;
        let folder = self.timestamps(&log);
        let kept = witnesses::replace(&folder, &format!("{}.txt", head.size), note.text.as_bytes())
            .and_then(|()| witnesses::replace(&folder, &format!("{}.tsr", head.size), &reply.body));
        kept.map_err(|e| Error::new(ErrorKind::Unavailable, "the time stamp could not be kept").with_source(e))?;
        Ok(Stamped { size: head.size, text: note.text.to_owned(), at })
    }

    /// The authority's reply about the head of this size, if one was asked for.
    pub fn timestamp_at(&self, who: &Principal, log: log::LogId, size: u64) -> Result<Option<Vec<u8>>> {
        self.owner(who, log)?;
        let path = self.timestamps(&log).join(format!("{size}.tsr"));
        match std::fs::read(&path) {
            Ok(reply) => Ok(Some(reply)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new(ErrorKind::Unavailable, "the time stamp cannot be read").with_source(e)),
        }
    }

    fn timestamps(&self, log: &log::LogId) -> PathBuf {
        self.data().join("witnessed").join(log.to_string()).join("timestamps")
    }
}

/// `TimeStampReq` (RFC 3161 §2.4.1), asking for the authority's certificate too.
fn request(hash: &[u8; 32], nonce: u64) -> Vec<u8> {
    let algorithm = der::sequence(&[der::element(der::OBJECT_ID, SHA_256), der::element(der::NULL, &[])]);
    let imprint = der::sequence(&[algorithm, der::element(der::OCTET_STRING, hash)]);
    der::sequence(&[der::unsigned(1), imprint, der::unsigned(nonce), der::element(der::BOOLEAN, &[0xff])])
}

/// Reads a `TimeStampResp` (RFC 3161 §2.4.2): granted, about this hash and nonce. Returns its time as RFC 3339.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_reply(reply: &[u8], hash: &[u8; 32], nonce: u64) -> Result<String, String> {
    let mut outer = Reader::new(reply);
    let mut response = outer.expect(der::SEQUENCE).map(Reader::new).ok_or("not a reply in DER")?;
    if !outer.is_empty() {
        return Err("bytes after the reply".to_owned());
    }
    let status = response.expect(der::SEQUENCE).and_then(|info| Reader::new(info).expect(der::INTEGER));
    match status {
        // Granted, or granted with modifications.
        Some([0 | 1]) => {}
        Some(other) => return Err(format!("refused with status {other:?}")),
        None => return Err("no status in the reply".to_owned()),
    }
    let info = token_info(&mut response).ok_or("no time-stamp token in the reply")?;
    check_info(info, hash, nonce)
}

/// The `TSTInfo` inside of the signed token.
fn token_info<'a>(response: &mut Reader<'a>) -> Option<&'a [u8]> {
    let mut content = Reader::new(response.expect(der::SEQUENCE)?);
    if content.expect(der::OBJECT_ID)? != SIGNED_DATA {
        return None;
    }
    let mut signed = Reader::new(Reader::new(content.expect(der::EXPLICIT_0)?).expect(der::SEQUENCE)?);
    signed.expect(der::INTEGER)?;
    signed.expect(der::SET)?;
    let mut inner = Reader::new(signed.expect(der::SEQUENCE)?);
    if inner.expect(der::OBJECT_ID)? != TST_INFO {
        return None;
    }
    Reader::new(Reader::new(inner.expect(der::EXPLICIT_0)?).expect(der::OCTET_STRING)?).expect(der::SEQUENCE)
}

fn check_info(info: &[u8], hash: &[u8; 32], nonce: u64) -> Result<String, String> {
    let mut info = Reader::new(info);
    let fixed = (|| {
        info.expect(der::INTEGER)?;
        info.expect(der::OBJECT_ID)?;
        let mut imprint = Reader::new(info.expect(der::SEQUENCE)?);
        let algorithm = Reader::new(imprint.expect(der::SEQUENCE)?).expect(der::OBJECT_ID)?;
        let stamped = imprint.expect(der::OCTET_STRING)?;
        info.expect(der::INTEGER)?;
        let time = info.expect(der::GENERALIZED_TIME)?;
        Some((algorithm, stamped, time))
    })();
    let (algorithm, stamped, time) = fixed.ok_or("the token says nothing that can be read")?;
    if algorithm != SHA_256 || stamped != hash {
        return Err("the token is about something else".to_owned());
    }
    // Accuracy and ordering may come before it.
    let expected = der::unsigned(nonce);
    let mut rest = std::iter::from_fn(|| info.next());
    if !rest.any(|(tag, content)| der::element(tag, content) == expected) {
        return Err("the token answers another request".to_owned());
    }
    rfc3339(time).ok_or_else(|| "the token's time does not read".to_owned())
}

/// `20261121120000Z` or `20261121120000.123Z` as RFC 3339.
fn rfc3339(time: &[u8]) -> Option<String> {
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = time.split_once('.').map_or((time, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || fraction.is_some_and(|fraction| !digits(fraction)) {
        return None;
    }
    let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    let part = |from: usize, to: usize| &whole[from..to];
    Some(format!(
        "{}-{}-{}T{}:{}:{}{fraction}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply as an authority would make it, unsigned: what is read here is all there is.
    fn reply(status: u64, hash: &[u8; 32], nonce: u64, time: &str) -> Vec<u8> {
        let algorithm = der::sequence(&[der::element(der::OBJECT_ID, SHA_256), der::element(der::NULL, &[])]);
        let imprint = der::sequence(&[algorithm, der::element(der::OCTET_STRING, hash)]);
        let info = der::sequence(&[
            der::unsigned(1),
            der::element(der::OBJECT_ID, &[0x2a, 0x03]),
            imprint,
            der::unsigned(77),
            der::element(der::GENERALIZED_TIME, time.as_bytes()),
            der::sequence(&[der::unsigned(1)]),
            der::unsigned(nonce),
        ]);
        let inner = der::sequence(&[
            der::element(der::OBJECT_ID, TST_INFO),
            der::element(der::EXPLICIT_0, &der::element(der::OCTET_STRING, &info)),
        ]);
        let signed = der::sequence(&[der::unsigned(3), der::element(der::SET, &[]), inner]);
        let token = der::sequence(&[der::element(der::OBJECT_ID, SIGNED_DATA), der::element(der::EXPLICIT_0, &signed)]);
        der::sequence(&[der::sequence(&[der::unsigned(status)]), token])
    }

    #[test]
    fn a_reply_is_held_to_its_request() {
        let hash = [9; 32];
        let good = reply(0, &hash, 5, "20261121120000.5Z");
        assert_eq!(read_reply(&good, &hash, 5).as_deref(), Ok("2026-11-21T12:00:00.5Z"));
        assert!(read_reply(&good, &hash, 6).is_err());
        assert!(read_reply(&good, &[8; 32], 5).is_err());
        assert!(read_reply(&reply(2, &hash, 5, "20261121120000Z"), &hash, 5).is_err());
        assert!(read_reply(&reply(0, &hash, 5, "2026112112Z"), &hash, 5).is_err());
        assert!(read_reply(&[&good[..], &[0]].concat(), &hash, 5).is_err());
        for end in 0..good.len() {
            assert!(read_reply(&good[..end], &hash, 5).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_request_is_these_bytes() {
        let bytes = hex::encode(request(&[0xaa; 32], 5));
        let hash = "aa".repeat(32);
        assert_eq!(
            bytes,
            format!("303c0201013031300d0609608648016503040201050004 20{hash}0201050101ff").replace(' ', "")
        );
    }
}
