//! The bytes hashed into a leaf (`specs/proofs.md` §2); our own format, fixed for ever per version.
//!
//! ```text
//! offset  0        1     2     3  4            8      16      24              32        48
//!         version  kind  mode  0  body bytes   index  number  received at µs  event id  body, or its commitment
//!         01       1..5  0|1      u32          u64    u64     u64             16 bytes  n bytes, or 32 bytes
//! ```
//!
//! All integers big-endian. Mode 0 holds the body itself, so that outsiders can read it; mode 1 a salted commitment, so that
//! proofs can be public and bodies can be erased. Nothing here looks into a body.

use crate::error::malformed;
use crate::{Error, Hash, leaf_hash};

/// Longest body that an entry holds itself; a longer one is committed (tlog-tiles entries end at 65,535 bytes).
pub const INLINE_BODY_BYTES_MAX: usize = 60_000;

/// Length of every entry with a commitment.
pub const COMMITTED_ENTRY_BYTES: usize = HEADER_BYTES + 32;

/// Length of what comes before the body or the commitment.
pub const HEADER_BYTES: usize = 48;

const VERSION: u8 = 1;
const MODE_INLINE: u8 = 0;
const MODE_COMMITTED: u8 = 1;

/// What an entry is about, as far as a verifier must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An audit event; always committed.
    Event = 1,
    /// Says which bodies were erased, on whose order.
    ErasureNote = 2,
    /// Introduces, retires or denounces a key of the log.
    KeyNote = 3,
    /// Opened, closed, recovered, pruned.
    LogNote = 4,
    /// A piece of a session recording; always committed.
    RecordingChunk = 5,
}

impl Kind {
    /// The kind written as this byte; none for unassigned ones.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            1 => Some(Kind::Event),
            2 => Some(Kind::ErasureNote),
            3 => Some(Kind::KeyNote),
            4 => Some(Kind::LogNote),
            5 => Some(Kind::RecordingChunk),
            _ => None,
        }
    }

    /// The one form an entry of this kind may take for a body of `body_bytes`: committed, or inline.
    ///
    /// Events and chunks are always committed; notes are inline, unless too long to be.
    pub fn is_committed(self, body_bytes: usize) -> bool {
        match self {
            Kind::Event | Kind::RecordingChunk => true,
            Kind::ErasureNote | Kind::KeyNote | Kind::LogNote => body_bytes > INLINE_BODY_BYTES_MAX,
        }
    }
}

/// What an entry says about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The body itself, at most [`INLINE_BODY_BYTES_MAX`].
    Inline(&'a [u8]),
    /// [`commitment`](crate::commitment) of the body and its salt.
    Committed {
        /// SHA-256(`02` ‖ salt ‖ body).
        commitment: Hash,
    },
}

/// One entry, before encoding or after decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it is about.
    pub kind: Kind,
    /// Length of the body, whether held here or not.
    pub body_bytes: u32,
    /// Position in its log, from 0; must equal the position of its leaf, which only the holder of the tree can check.
    pub index: u64,
    /// Number shown to clients; rises with the index.
    pub number: u64,
    /// Time of receipt, microseconds since 1970-01-01 UTC; never less than that of the entry before.
    pub received_at_us: u64,
    /// The client's UUID, or the first 16 bytes of the SHA-256 of another idempotency key; zeros for none.
    pub id: [u8; 16],
    /// The body or its commitment.
    pub payload: Payload<'a>,
}

impl<'a> Entry<'a> {
    /// The bytes that are hashed.
    ///
    /// # Panics
    /// If [`check`](Entry::check) refuses the entry: writing what no reader accepts would spoil the log for ever.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        self.encode_into(&mut out);
        out
    }

    /// Appends the bytes that are hashed to `out`; allocates nothing if there is room.
    ///
    /// # Panics
    /// As [`encode`](Entry::encode).
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        if let Err(error) = self.check() {
            panic!("an entry that cannot be read back must not be written: {error}");
        }
        let (mode, payload) = match &self.payload {
            Payload::Inline(body) => (MODE_INLINE, *body),
            Payload::Committed { commitment } => (MODE_COMMITTED, &commitment.0[..]),
        };
        out.extend_from_slice(&[VERSION, self.kind as u8, mode, 0]);
        out.extend_from_slice(&self.body_bytes.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.received_at_us.to_be_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(payload);
    }

    /// Length of the encoding.
    pub fn encoded_bytes(&self) -> usize {
        match self.payload {
            Payload::Inline(body) => HEADER_BYTES + body.len(),
            Payload::Committed { .. } => COMMITTED_ENTRY_BYTES,
        }
    }

    /// Reads exactly what [`encode`](Entry::encode) writes, and nothing else.
    ///
    /// # Errors
    /// `Malformed` for an unknown version, kind or mode, a body length that does not fit, bytes missing or left over, or a
    /// form that the kind may not take.
    pub fn decode(bytes: &'a [u8]) -> Result<Entry<'a>, Error> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return malformed("entry", "shorter than its header");
        };
        if header[0] != VERSION {
            return malformed("entry", "unknown version");
        }
        let Some(kind) = Kind::from_byte(header[1]) else {
            return malformed("entry", "unknown kind");
        };
        if header[3] != 0 {
            return malformed("entry", "reserved byte is not zero");
        }
        let payload = match header[2] {
            MODE_INLINE => Payload::Inline(rest),
            MODE_COMMITTED => match rest.try_into() {
                Ok(commitment) => Payload::Committed { commitment: Hash(commitment) },
                Err(_) => return malformed("entry", "commitment is not 32 bytes"),
            },
            _ => return malformed("entry", "unknown body mode"),
        };
        let entry = Entry {
            kind,
            body_bytes: u32::from_be_bytes(field(header, 4)),
            index: u64::from_be_bytes(field(header, 8)),
            number: u64::from_be_bytes(field(header, 16)),
            received_at_us: u64::from_be_bytes(field(header, 24)),
            id: field(header, 32),
            payload,
        };
        entry.check()?;
        Ok(entry)
    }

    /// Whether the fields fit each other.
    ///
    /// # Errors
    /// `Malformed` if an inline body is too long or not of the stated length, or the kind may not take this form.
    pub fn check(&self) -> Result<(), Error> {
        let committed = match self.payload {
            Payload::Inline(body) if body.len() > INLINE_BODY_BYTES_MAX => {
                return malformed("entry", "inline body too long");
            }
            Payload::Inline(body) if body.len() != self.body_bytes as usize => {
                return malformed("entry", "body is not of the stated length");
            }
            Payload::Inline(_) => false,
            Payload::Committed { .. } => true,
        };
        if committed != self.kind.is_committed(self.body_bytes as usize) {
            return malformed("entry", "body mode not allowed for this kind and length");
        }
        Ok(())
    }

    /// Leaf hash of the encoding: SHA-256(`00` ‖ entry).
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.encode())
    }
}

/// `N` bytes of the header from `at` on.
fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("the fields lie inside the header")
}
