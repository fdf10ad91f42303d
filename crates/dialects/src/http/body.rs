//! Request bodies: read whole, under a limit, in time, unpacked.
//!
//! The limit holds for the bytes on the wire and again for the bytes they unpack to, so a small body that unpacks to a
//! large one is refused while it unpacks. Encodings: none, `gzip`, `zstd`, one at a time.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// A login, a refresh, a small command.
pub const CREDENTIALS_BYTES_MAX: usize = 64 << 10;
/// An account, a token, an organisation.
pub const ADMINISTRATION_BYTES_MAX: usize = 256 << 10;
/// A batch of events.
pub const EVENTS_BYTES_MAX: usize = 32 << 20;

/// Bodies that unpack to more than this do so on a blocking thread.
const UNPACK_INLINE_BYTES_MAX: usize = 64 << 10;

/// Why a body could not be had. Each dialect turns it into its own reply.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// More bytes than the route takes, packed or unpacked.
    #[error("the body is larger than {bytes_max} bytes; send it in smaller parts")]
    TooLarge {
        /// The limit that was passed.
        bytes_max: usize,
    },
    /// A `Content-Encoding` that is not known here.
    #[error("content encoding {0:?} is not supported; send gzip, zstd or none")]
    UnknownEncoding(String),
    /// The packed bytes are not what their encoding says.
    #[error("the body is not valid {0}: {1}")]
    Packed(&'static str, String),
    /// The bytes did not arrive in time.
    #[error("the body did not arrive within {0} seconds")]
    TooSlow(u64),
    /// The connection broke.
    #[error("the body could not be read: {0}")]
    Broken(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Reads the whole body, at most `bytes_max` bytes before and after unpacking, within `patience`.
pub async fn read(headers: &HeaderMap, body: Body, bytes_max: usize, patience: Duration) -> Result<Bytes, Error> {
    let encoding = encoding(headers)?;
    let collected = tokio::time::timeout(patience, Limited::new(body, bytes_max).collect());
    let packed = match collected.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            return Err(Error::TooLarge { bytes_max });
        }
        Ok(Err(error)) => return Err(Error::Broken(error.to_string())),
        Err(_) => return Err(Error::TooSlow(patience.as_secs())),
    };
    if encoding == Encoding::Identity {
        return Ok(packed);
    }
    if packed.len() <= UNPACK_INLINE_BYTES_MAX / 8 {
        return unpack(encoding, &packed, bytes_max);
    }
    tokio::task::spawn_blocking(move || unpack(encoding, &packed, bytes_max))
        .await
        .unwrap_or_else(|error| Err(Error::Broken(error.to_string())))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Error> {
    let mut found = Encoding::Identity;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
        let next = match text.as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => Encoding::Gzip,
            "zstd" => Encoding::Zstd,
            _ => return Err(Error::UnknownEncoding(text)),
        };
        if found != Encoding::Identity {
            return Err(Error::UnknownEncoding(format!("one over another, {text} last")));
        }
        found = next;
    }
    Ok(found)
}

fn unpack(encoding: Encoding, packed: &[u8], bytes_max: usize) -> Result<Bytes, Error> {
    match encoding {
        Encoding::Identity => Ok(Bytes::copy_from_slice(packed)),
        Encoding::Gzip => read_bounded("gzip", flate2::read::MultiGzDecoder::new(packed), bytes_max),
        Encoding::Zstd => {
            let mut decoder =
                zstd::Decoder::with_buffer(packed).map_err(|error| Error::Packed("zstd", error.to_string()))?;
            // A frame may ask for a window of gigabytes; 8 MiB is what RFC 8878 tells every decoder to support.
            decoder.window_log_max(23).map_err(|error| Error::Packed("zstd", error.to_string()))?;
            read_bounded("zstd", decoder, bytes_max)
        }
    }
}

fn read_bounded(name: &'static str, unpacked: impl Read, bytes_max: usize) -> Result<Bytes, Error> {
    let mut out = Vec::new();
    let one_too_many = bytes_max as u64 + 1;
    unpacked.take(one_too_many).read_to_end(&mut out).map_err(|error| Error::Packed(name, error.to_string()))?;
    if out.len() > bytes_max {
        return Err(Error::TooLarge { bytes_max });
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn check(encodings: &[&str], body: Vec<u8>, bytes_max: usize) -> Result<Bytes, Error> {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(header::CONTENT_ENCODING, encoding.parse().unwrap());
        }
        read(&headers, Body::from(body), bytes_max, Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn each_encoding_gives_the_bytes_that_were_packed() {
        let text = b"one line\n".repeat(20_000);
        assert_eq!(check(&[], text.clone(), 1 << 20).await.unwrap(), text);
        assert_eq!(check(&["gzip"], gzip(&text), 1 << 20).await.unwrap(), text);
        assert_eq!(check(&["ZSTD"], zstd::encode_all(&text[..], 1).unwrap(), 1 << 20).await.unwrap(), text);
    }

    #[tokio::test]
    async fn a_body_is_measured_packed_and_unpacked() {
        let zeros = vec![0; 1001];
        assert_eq!(check(&[], zeros.clone(), 1000).await, Err(Error::TooLarge { bytes_max: 1000 }));
        assert_eq!(check(&["gzip"], gzip(&zeros), 1000).await, Err(Error::TooLarge { bytes_max: 1000 }));
        let packed = zstd::encode_all(&zeros[..], 1).unwrap();
        assert_eq!(check(&["zstd"], packed, 1000).await, Err(Error::TooLarge { bytes_max: 1000 }));
        assert_eq!(check(&["gzip"], gzip(&zeros), 1001).await.unwrap().len(), 1001);
    }

    #[tokio::test]
    async fn what_is_not_what_it_says_is_refused_by_name() {
        assert!(matches!(check(&["br"], vec![], 9).await, Err(Error::UnknownEncoding(name)) if name == "br"));
        assert!(matches!(check(&["gzip", "zstd"], vec![], 9).await, Err(Error::UnknownEncoding(_))));
        assert!(matches!(check(&["gzip"], b"plain".to_vec(), 9).await, Err(Error::Packed("gzip", _))));
        assert!(matches!(check(&["zstd"], b"plain".to_vec(), 9).await, Err(Error::Packed("zstd", _))));
        // Cut in the middle: an error, not half a batch.
        let whole = gzip(&b"line\n".repeat(99));
        assert!(matches!(
            check(&["gzip"], whole[..whole.len() - 9].to_vec(), 999).await,
            Err(Error::Packed("gzip", _))
        ));
    }
}
