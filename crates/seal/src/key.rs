//! Public keys, which seal; private keys, which open.

use std::fmt;
use std::sync::{Arc, OnceLock};

use p256::NonZeroScalar;
use zeroize::Zeroizing;

use crate::curve::{COORDINATE_BYTES, Coordinate, Point};
use crate::multiply::{self, Ephemeral, Table};
use crate::standard::NONCE_BYTES;
use crate::{KeyError, OpenError, PLAINTEXT_BYTES_MAX, Rng, Scheme, legacy, pem, standard};

/// Records whose multiplications are done together: enough that the shared inversions cost next to nothing each, few
/// enough that their points stay in the second-level cache.
const BATCH_RECORDS: usize = 32;

/// An organisation's public key. Cheap to clone; clones share what was precomputed.
///
/// Equal keys have the same scheme and the same point, however they were written.
#[derive(Clone)]
pub struct PublicKey(Arc<Shared>);

struct Shared {
    scheme: Scheme,
    point: Point,
    /// Made when the first record is sealed, so that a key that is only stored costs nothing.
    table: OnceLock<Table>,
}

impl PublicKey {
    /// Reads a public key and tells the scheme by its form.
    ///
    /// `text`: the 40 characters that `seccure-key -c p256` prints ([`Scheme::Legacy`]), or a PEM block `PUBLIC KEY` with
    /// a P-256 key, compressed or not ([`Scheme::Standard`]). White space around either is dropped; a PEM text may have
    /// other text before and after its one block.
    ///
    /// # Errors
    /// [`KeyError`] says what the text is instead, and how to get the right one.
    pub fn parse_text(text: &str) -> Result<PublicKey, KeyError> {
        match pem::is_pem(text) {
            true => Ok(PublicKey::new(Scheme::Standard, pem::parse_public(text)?)),
            false => Ok(PublicKey::new(Scheme::Legacy, legacy::parse_key(text)?)),
        }
    }

    pub(crate) fn new(scheme: Scheme, point: Point) -> PublicKey {
        PublicKey(Arc::new(Shared { scheme, point, table: OnceLock::new() }))
    }

    /// The scheme that records sealed with this key have.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The key in the one form we write it: 40 characters without a line end, or a PEM block as openssl writes it, with
    /// one. [`PublicKey::parse_text`] reads it back.
    pub fn to_text(&self) -> String {
        match self.0.scheme {
            Scheme::Legacy => legacy::format_key(&self.0.point),
            Scheme::Standard => pem::format_public(&self.0.point),
        }
    }

    /// Seals one record; the result is [`Scheme::overhead_bytes`] longer.
    ///
    /// Several records at once are cheaper: [`PublicKey::encrypt_many`]. The first record with a key takes some
    /// milliseconds more, for the tables.
    ///
    /// # Panics
    /// If the plaintext is longer than [`PLAINTEXT_BYTES_MAX`], or `rng` cannot deliver.
    pub fn encrypt(&self, plaintext: &[u8], rng: &mut (impl Rng + ?Sized)) -> Vec<u8> {
        let sealed = self.encrypt_many(&[plaintext], rng).pop();
        sealed.expect("one plaintext gives one sealed record")
    }

    /// Seals many records, each with an ephemeral key of its own; in order, on this thread.
    ///
    /// Takes from `rng` 32 bytes for each record, and 12 more for its nonce with [`Scheme::Standard`], records one after
    /// another; again 32 where the bytes are no scalar, which a fair source makes once in 2^32.
    /// Callers with cores to spare split `plaintexts` and call this from several threads.
    ///
    /// # Panics
    /// If a plaintext is longer than [`PLAINTEXT_BYTES_MAX`], or `rng` cannot deliver.
    pub fn encrypt_many<P: AsRef<[u8]>>(&self, plaintexts: &[P], rng: &mut (impl Rng + ?Sized)) -> Vec<Vec<u8>> {
        let mut sealed = Vec::with_capacity(plaintexts.len());
        for batch in plaintexts.chunks(BATCH_RECORDS) {
            let secrets = Secrets::draw(self.0.scheme, batch.len(), rng);
            let table = self.0.table.get_or_init(|| Table::new(&self.0.point));
            let ephemerals = multiply::ephemerals(table, &secrets.scalars);
            for ((plaintext, ephemeral), nonce) in batch.iter().zip(&ephemerals).zip(&secrets.nonces) {
                sealed.push(self.encrypt_with(plaintext.as_ref(), ephemeral, nonce));
            }
        }
        sealed
    }

    fn encrypt_with(&self, plaintext: &[u8], ephemeral: &Ephemeral, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
        assert!(plaintext.len() <= PLAINTEXT_BYTES_MAX, "a plaintext to seal is at most PLAINTEXT_BYTES_MAX long");
        match self.0.scheme {
            Scheme::Legacy => legacy::seal(plaintext, ephemeral),
            Scheme::Standard => standard::seal(plaintext, ephemeral, nonce),
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        self.0.scheme == other.0.scheme && self.0.point == other.0.point
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.0.scheme, legacy::format_key(&self.0.point))
    }
}

/// What is drawn for a batch: an ephemeral scalar and a nonce for each record. Wiped on drop.
struct Secrets {
    scalars: Zeroizing<Vec<NonZeroScalar>>,
    nonces: Vec<[u8; NONCE_BYTES]>,
}

impl Secrets {
    fn draw(scheme: Scheme, records: usize, rng: &mut (impl Rng + ?Sized)) -> Secrets {
        let nonce_bytes = match scheme {
            Scheme::Legacy => 0,
            Scheme::Standard => NONCE_BYTES,
        };
        // One call for the batch, as a call may be a system call.
        let mut drawn = Zeroizing::new(vec![0; records * (COORDINATE_BYTES + nonce_bytes)]);
        rng.fill(&mut drawn);
        let mut scalars = Zeroizing::new(Vec::with_capacity(records));
        let mut nonces = Vec::with_capacity(records);
        for record in drawn.chunks_exact_mut(COORDINATE_BYTES + nonce_bytes) {
            let (scalar, drawn_nonce) = record.split_at_mut(COORDINATE_BYTES);
            let mut nonce = [0; NONCE_BYTES];
            nonce[..nonce_bytes].copy_from_slice(drawn_nonce);
            nonces.push(nonce);
            scalars.push(scalar_from(scalar.try_into().expect("split at 32 bytes"), rng));
        }
        Secrets { scalars, nonces }
    }
}

/// The scalar of these 32 bytes, drawn anew while they are zero or not below n, so that each scalar is as likely.
fn scalar_from(drawn: &mut Coordinate, rng: &mut (impl Rng + ?Sized)) -> NonZeroScalar {
    // A fair source fails once in 2^32. One that fails this often returns constants, and must not be used.
    const DRAWS_MAX: usize = 16;
    for _ in 0..DRAWS_MAX {
        if let Some(scalar) = NonZeroScalar::from_repr((*drawn).into()).into_option() {
            return scalar;
        }
        rng.fill(drawn);
    }
    panic!("the random source returned {DRAWS_MAX} numbers in a row that are no scalar; it is broken");
}

/// A private key; opens what was sealed with its public key. Wiped from memory on drop.
pub struct PrivateKey {
    scheme: Scheme,
    scalar: Zeroizing<NonZeroScalar>,
}

impl PrivateKey {
    /// The legacy key that `seccure-key -c p256` makes of a passphrase. Every passphrase makes one, the empty one too.
    ///
    /// `passphrase`: exactly the bytes typed; a line end read from a file belongs to it unless the caller drops it.
    pub fn from_passphrase(passphrase: &[u8]) -> PrivateKey {
        PrivateKey { scheme: Scheme::Legacy, scalar: Zeroizing::new(legacy::scalar_from_passphrase(passphrase)) }
    }

    /// Reads a private P-256 key of the standard scheme.
    ///
    /// `text`: PEM, a block `PRIVATE KEY` (PKCS#8) or `EC PRIVATE KEY` (SEC1), not encrypted. Blocks `EC PARAMETERS` and
    /// `PUBLIC KEY` beside it, and other text, are skipped.
    ///
    /// # Errors
    /// [`KeyError`] says what the text is instead, and how to get the right one.
    pub fn from_pem(text: &str) -> Result<PrivateKey, KeyError> {
        Ok(PrivateKey { scheme: Scheme::Standard, scalar: Zeroizing::new(pem::parse_private(text)?) })
    }

    /// The key whose secret number is given, or `None` if that is zero or not below the order of P-256.
    ///
    /// `scalar`: big-endian. This is how test vectors and other programs' key stores hold keys.
    pub fn from_scalar(scheme: Scheme, scalar: &[u8; 32]) -> Option<PrivateKey> {
        let scalar = NonZeroScalar::from_repr((*scalar).into()).into_option()?;
        Some(PrivateKey { scheme, scalar: Zeroizing::new(scalar) })
    }

    /// The scheme of the records that this key opens.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The public key to seal with.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::new(self.scheme, Point::of_scalar(&self.scalar))
    }

    /// Opens one sealed record. Returns the plaintext, which may be empty.
    ///
    /// # Errors
    /// [`OpenError`], whenever a byte is not as it was sealed, or the key is another.
    pub fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        match self.scheme {
            Scheme::Legacy => legacy::open(sealed, &self.scalar),
            Scheme::Standard => standard::open(sealed, &self.scalar),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, hidden)", self.scheme)
    }
}
