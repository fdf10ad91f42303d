//! Batched hashing: many independent messages at once, by the fastest code this CPU has.
//!
//! One SHA-256 cannot be made parallel, many can: several messages go through the CPU side by side, as streams of the SHA
//! instructions or as lanes of vector registers. Worth it from about four messages, best from 64; batches are cut into
//! groups internally, nothing is allocated per message, and the `_into` forms allocate nothing at all.
//!
//! The backend is chosen once per process by CPU features and only after it agreed with [`plain`] on a
//! self-test; one that disagrees is never used, and the plain one takes its place. See [`backend`].

use std::sync::OnceLock;

use tape_sha256::Message;

use crate::Hash;
use crate::hash::{COMMITMENT_PREFIX, LEAF_PREFIX, NODE_PREFIX};
use crate::{hash, plain};

/// Messages of one length staged on the stack at a time: a multiple of every backend's lane count.
const EQUAL_GROUP: usize = 64;
/// Messages of any length staged at a time (about 30 KB): enough of them to find sets of equal length.
const MIXED_GROUP: usize = 256;

/// One way to hash a batch. Exposed so that tests and benchmarks can name each; everybody else calls the free functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Several messages side by side (crate `tape-sha256`: AVX-512, AVX2, SHA instructions of x86-64 and ARM).
    SideBySide,
    /// One message after the other in assembler (crate `ring`).
    Assembler,
    /// One message after the other by the second implementation (crate `sha2`).
    Plain,
}

impl Backend {
    /// All backends, whether fast here or not; each is correct on every machine it was self-tested on.
    pub const ALL: [Backend; 3] = [Backend::SideBySide, Backend::Assembler, Backend::Plain];

    /// The one the free functions use: the first, in order of expected speed, that passes its self-test.
    pub fn chosen() -> Backend {
        static CHOSEN: OnceLock<Backend> = OnceLock::new();
        *CHOSEN.get_or_init(|| choose(Backend::self_test))
    }

    /// What it is, for logs and benchmarks, such as `side-by-side (shani4)`.
    pub fn name(self) -> &'static str {
        static SIDE_BY_SIDE: OnceLock<String> = OnceLock::new();
        match self {
            Backend::SideBySide => SIDE_BY_SIDE.get_or_init(|| format!("side-by-side ({})", tape_sha256::backend())),
            Backend::Assembler => "assembler (ring)",
            Backend::Plain => "plain (sha2)",
        }
    }

    /// Hashes messages of assorted lengths and compares with [`plain`]; takes about a millisecond.
    pub fn self_test(self) -> bool {
        let bytes: Vec<u8> = (0..700u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        // Lengths 0, 4, 9… 466 in one batch, then many of one length: lanes that end apart and lanes that end together.
        let mixed: Vec<&[u8]> = (0..bytes.len()).step_by(7).map(|end| &bytes[end / 3..end]).collect();
        let equal: Vec<&[u8]> = bytes.windows(80).step_by(5).collect();
        [mixed, equal].iter().all(|messages| self.agrees_on(messages))
    }

    fn agrees_on(self, messages: &[&[u8]]) -> bool {
        let salts: Vec<[u8; 16]> = (0..messages.len()).map(|i| [i as u8; 16]).collect();
        let items: Vec<(&[u8; 16], &[u8])> = salts.iter().zip(messages.iter().copied()).collect();
        let leaves = plain::leaf_hashes(messages);
        let children = [leaves.as_slice(), leaves.as_slice()].concat();

        let mut out = vec![Hash::default(); messages.len()];
        self.leaf_hashes_into(messages, &mut out);
        let leaves_agree = out == leaves;
        self.commitments_into(&items, &mut out);
        let commitments_agree = out == plain::commitments(&items);
        self.node_hashes_into(&children, &mut out);
        let nodes_agree = out == plain::node_hashes(&children);
        leaves_agree && commitments_agree && nodes_agree
    }

    /// As [`commitments_into`], by this backend.
    pub fn commitments_into(self, items: &[(&[u8; 16], &[u8])], out: &mut [Hash]) {
        assert_eq!(items.len(), out.len(), "one hash per item");
        // Prefix and salt are staged together, so that the body can be read where it lies.
        let mut heads = [[0u8; 17]; MIXED_GROUP];
        for (items, out) in items.chunks(MIXED_GROUP).zip(out.chunks_mut(MIXED_GROUP)) {
            for ((salt, _), head) in items.iter().zip(&mut heads) {
                head[0] = COMMITMENT_PREFIX;
                head[1..].copy_from_slice(*salt);
            }
            let mut messages = [Message::new(&[]); MIXED_GROUP];
            for (((_, body), head), message) in items.iter().zip(&heads).zip(&mut messages) {
                *message = Message::prefixed(head, body);
            }
            self.hash_group::<MIXED_GROUP>(&messages[..items.len()], out);
        }
    }

    /// As [`leaf_hashes_into`], by this backend.
    pub fn leaf_hashes_into(self, entries: &[&[u8]], out: &mut [Hash]) {
        assert_eq!(entries.len(), out.len(), "one hash per entry");
        for (entries, out) in entries.chunks(MIXED_GROUP).zip(out.chunks_mut(MIXED_GROUP)) {
            let mut messages = [Message::new(&[]); MIXED_GROUP];
            for (entry, message) in entries.iter().zip(&mut messages) {
                *message = Message::prefixed(&[LEAF_PREFIX], entry);
            }
            self.hash_group::<MIXED_GROUP>(&messages[..entries.len()], out);
        }
    }

    /// As [`fixed_leaf_hashes_into`], by this backend.
    pub fn fixed_leaf_hashes_into(self, entries: &[u8], entry_bytes: usize, out: &mut [Hash]) {
        assert_eq!(entries.len(), entry_bytes * out.len(), "one hash per entry");
        for (entries, out) in entries.chunks(EQUAL_GROUP * entry_bytes).zip(out.chunks_mut(EQUAL_GROUP)) {
            let mut messages = [Message::new(&[]); EQUAL_GROUP];
            for (entry, message) in entries.chunks_exact(entry_bytes).zip(&mut messages) {
                *message = Message::prefixed(&[LEAF_PREFIX], entry);
            }
            self.hash_group::<EQUAL_GROUP>(&messages[..out.len()], out);
        }
    }

    /// As [`node_hashes_into`], by this backend.
    pub fn node_hashes_into(self, children: &[Hash], out: &mut [Hash]) {
        let (pairs, rest) = children.as_chunks::<2>();
        assert!(rest.is_empty(), "nodes have two children");
        assert_eq!(pairs.len(), out.len(), "one hash per pair");
        for (pairs, out) in pairs.chunks(EQUAL_GROUP).zip(out.chunks_mut(EQUAL_GROUP)) {
            let mut messages = [Message::new(&[]); EQUAL_GROUP];
            for ([left, right], message) in pairs.iter().zip(&mut messages) {
                *message = Message::pair(&[NODE_PREFIX], &left.0, &right.0);
            }
            self.hash_group::<EQUAL_GROUP>(&messages[..pairs.len()], out);
        }
    }

    /// Hashes one group of at most `GROUP` messages.
    fn hash_group<const GROUP: usize>(self, messages: &[Message<'_>], out: &mut [Hash]) {
        match self {
            Backend::SideBySide => side_by_side::<GROUP>(messages, out),
            Backend::Assembler => {
                for (message, out) in messages.iter().zip(out) {
                    *out = hash::sha256(&[message.prefix, message.body, message.tail]);
                }
            }
            Backend::Plain => {
                for (message, out) in messages.iter().zip(out) {
                    *out = plain::sha256(&[message.prefix, message.body, message.tail]);
                }
            }
        }
    }
}

/// Hashes a group in sets of as many messages as the CPU takes side by side.
///
/// A set is fast only if all of it ends together: lanes idle until the longest message is done, and the SHA instructions
/// take unequal messages one by one. So messages of different lengths are sorted into sets of equal ones, with what does not
/// fill a set at the end, and the hashes are put back where they belong.
fn side_by_side<const GROUP: usize>(messages: &[Message<'_>], out: &mut [Hash]) {
    let mut digests = [[0u8; 32]; GROUP];
    let digests = &mut digests[..messages.len()];
    if messages.windows(2).all(|pair| blocks(&pair[0]) == blocks(&pair[1])) {
        tape_sha256::hash_messages(messages, digests);
        for (digest, out) in digests.iter().zip(out) {
            *out = Hash(*digest);
        }
        return;
    }

    let mut by_length: [usize; GROUP] = std::array::from_fn(|i| i);
    let by_length = &mut by_length[..messages.len()];
    by_length.sort_unstable_by_key(|i| blocks(&messages[*i]));
    let mut order = [0; GROUP];
    let (mut full, mut rest) = (0, messages.len());
    let width = tape_sha256::lane_width();
    for equal in by_length.chunk_by(|a, b| blocks(&messages[*a]) == blocks(&messages[*b])) {
        let (sets, left_over) = equal.split_at(equal.len() / width * width);
        order[full..full + sets.len()].copy_from_slice(sets);
        full += sets.len();
        rest -= left_over.len();
        order[rest..rest + left_over.len()].copy_from_slice(left_over);
    }
    let order = &order[..messages.len()];

    let mut sorted = [Message::new(&[]); GROUP];
    for (i, message) in order.iter().zip(&mut sorted) {
        *message = messages[*i];
    }
    tape_sha256::hash_messages(&sorted[..messages.len()], digests);
    for (i, digest) in order.iter().zip(digests) {
        out[*i] = Hash(*digest);
    }
}

/// Blocks of 64 bytes that SHA-256 works through, with its nine bytes of padding at least.
fn blocks(message: &Message<'_>) -> usize {
    (message.prefix.len() + message.body.len() + message.tail.len() + 9).div_ceil(64)
}

/// The first candidate for which `passes` holds; the plain one needs no test, it is what the others are tested against.
fn choose(passes: impl Fn(Backend) -> bool) -> Backend {
    // Without any instructions for it, side by side is slower than assembler.
    let portable = tape_sha256::lane_width() == 1 || tape_sha256::backend().contains("portable");
    let candidates =
        if portable { [Backend::Assembler, Backend::SideBySide] } else { [Backend::SideBySide, Backend::Assembler] };
    candidates.into_iter().find(|backend| passes(*backend)).unwrap_or(Backend::Plain)
}

/// Name of the backend in use, such as `side-by-side (shani4)`; for a log line at start.
pub fn backend() -> &'static str {
    Backend::chosen().name()
}

/// SHA-256(`02` ‖ salt ‖ body) of each pair, in order.
pub fn commitments(items: &[(&[u8; 16], &[u8])]) -> Vec<Hash> {
    let mut out = vec![Hash::default(); items.len()];
    commitments_into(items, &mut out);
    out
}

/// As [`commitments`], into the caller's buffer.
///
/// # Panics
/// If `out` is not as long as `items`.
pub fn commitments_into(items: &[(&[u8; 16], &[u8])], out: &mut [Hash]) {
    Backend::chosen().commitments_into(items, out);
}

/// SHA-256(`00` ‖ entry) of each entry, in order.
pub fn leaf_hashes(entries: &[&[u8]]) -> Vec<Hash> {
    let mut out = vec![Hash::default(); entries.len()];
    leaf_hashes_into(entries, &mut out);
    out
}

/// As [`leaf_hashes`], into the caller's buffer.
///
/// # Panics
/// If `out` is not as long as `entries`.
pub fn leaf_hashes_into(entries: &[&[u8]], out: &mut [Hash]) {
    Backend::chosen().leaf_hashes_into(entries, out);
}

/// Leaf hashes of entries of one length lying end to end, such as the 80-byte ones with a commitment.
///
/// # Panics
/// If `entries` is not exactly `entry_bytes` (at least 1) times as long as `out`.
pub fn fixed_leaf_hashes_into(entries: &[u8], entry_bytes: usize, out: &mut [Hash]) {
    Backend::chosen().fixed_leaf_hashes_into(entries, entry_bytes, out);
}

/// Parents of `children` taken two by two: half as many, in order.
///
/// # Panics
/// If the number of children is odd.
pub fn node_hashes(children: &[Hash]) -> Vec<Hash> {
    let mut out = vec![Hash::default(); children.len() / 2];
    node_hashes_into(children, &mut out);
    out
}

/// As [`node_hashes`], into the caller's buffer.
///
/// # Panics
/// If `children` is not exactly twice as long as `out`.
pub fn node_hashes_into(children: &[Hash], out: &mut [Hash]) {
    Backend::chosen().node_hashes_into(children, out);
}

/// Roots of perfect subtrees lying side by side: each `width` hashes of `hashes` become one.
///
/// `width` is a power of two; 256 turns full tiles into their roots. All subtrees rise together, level by level, so that
/// the last levels of one fill lanes with those of the others: pass 8 tiles or more where there are as many.
/// `hashes` is used as working space and holds nothing of use afterwards.
///
/// # Panics
/// If `width` is not a power of two or `hashes` is not exactly `width` times as long as `roots`.
pub fn reduce_into(hashes: &mut [Hash], width: usize, roots: &mut [Hash]) {
    assert!(width.is_power_of_two(), "subtrees are perfect");
    assert_eq!(hashes.len(), width * roots.len(), "one root per subtree");
    let backend = Backend::chosen();
    let mut length = hashes.len();
    while length > roots.len() {
        // Parents are written over their own children: a group is read whole before it is written, and it is written
        // at half its place, never past it.
        backend.halve_in_place(&mut hashes[..length]);
        length /= 2;
    }
    roots.copy_from_slice(&hashes[..length]);
}

/// Root of one perfect subtree given by its hashes (a power of two of them, at least 1), such as a full tile.
///
/// # Panics
/// If the number of hashes is not a power of two.
pub fn reduce(hashes: &[Hash]) -> Hash {
    let mut root = [Hash::default()];
    let mut stack = [Hash::default(); 256];
    if let Some(space) = stack.get_mut(..hashes.len()) {
        space.copy_from_slice(hashes);
        reduce_into(space, hashes.len(), &mut root);
    } else {
        reduce_into(&mut hashes.to_vec(), hashes.len(), &mut root);
    }
    root[0]
}

impl Backend {
    /// Replaces the first half of `hashes` by the parents of all of them; the second half is left as garbage.
    fn halve_in_place(self, hashes: &mut [Hash]) {
        let mut parents = [Hash::default(); EQUAL_GROUP];
        let mut done = 0;
        while done < hashes.len() {
            let children = (hashes.len() - done).min(2 * EQUAL_GROUP);
            let parents = &mut parents[..children / 2];
            self.node_hashes_into(&hashes[done..done + children], parents);
            hashes[done / 2..done / 2 + parents.len()].copy_from_slice(parents);
            done += children;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_passes_its_self_test_here() {
        for backend in Backend::ALL {
            assert!(backend.self_test(), "{}", backend.name());
        }
    }

    #[test]
    fn a_backend_that_fails_its_self_test_is_not_chosen() {
        assert_eq!(choose(|_| false), Backend::Plain);
        assert_eq!(choose(|b| b == Backend::Assembler), Backend::Assembler);
        assert_eq!(choose(|b| b == Backend::SideBySide), Backend::SideBySide);
    }

    #[test]
    fn reducing_many_subtrees_is_reducing_each() {
        let leaves: Vec<Hash> = (0..1024u32).map(|i| crate::leaf_hash(&i.to_be_bytes())).collect();
        for width in [1, 2, 4, 64, 128, 256, 512, 1024] {
            let mut space = leaves.clone();
            let mut roots = vec![Hash::default(); leaves.len() / width];
            reduce_into(&mut space, width, &mut roots);
            for (subtree, root) in leaves.chunks(width).zip(&roots) {
                let mut level = subtree.to_vec();
                while level.len() > 1 {
                    level = plain::node_hashes(&level);
                }
                assert_eq!(level[0], *root);
                assert_eq!(reduce(subtree), *root);
            }
        }
    }
}
