//! One group: what is ordered, written and synced together, over all logs.
//!
//! This is the seam where a replicated log would stand (DESIGN §9): requests are *submitted*; the sequencer gives each its
//! place in one order and chooses times and salts, which makes a [`Group`]; *applying* a group is a pure function of it and
//! of what came before. The bytes of a group in a commit file are its encoded form and hold every choice.
//!
//! ```text
//! payload   4 number of runs, then per run:
//! run       16 log id · 8 first index · 4 count · 4 bytes of the records · records · count × 32 leaf hashes
//! record    1 kind · 1 state, 0 · 2 zero · 4 length of body · 8 time of receipt · 16 id · 16 salt · body
//! ```

use tlog::Hash;
use tlog::entry::{Entry, Kind, Payload};

use crate::frame::{u32_at, u64_at};
use crate::id::LogId;
use crate::model::BodyState;

/// Marks a group in a commit file.
pub(crate) const GROUP_MAGIC: [u8; 4] = *b"cfGR";

/// What stands before the runs.
pub(crate) const RUN_COUNT_BYTES: usize = 4;

/// What stands before a run's records.
pub(crate) const RUN_HEADER_BYTES: usize = 32;

/// What stands before a record's body.
pub(crate) const RECORD_HEADER_BYTES: usize = 48;

/// One batch of the one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Place in the order; rises by 1.
    pub number: u64,
    /// What goes into each log touched; a log is there once.
    pub runs: Vec<Run>,
}

/// Consecutive entries of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The log.
    pub log: LogId,
    /// Index of the first entry.
    pub first: u64,
    /// The entries, in order; at least one.
    pub records: Vec<NewRecord>,
}

/// An entry with everything chosen that the client did not bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// What it is.
    pub kind: Kind,
    /// The client's id, or zeros.
    pub id: [u8; 16],
    /// Microseconds since 1970, not less than the entry before.
    pub received_at_us: u64,
    /// Salt of the commitment; zeros for inline entries.
    pub salt: [u8; 16],
    /// The body.
    pub body: Vec<u8>,
}

impl Group {
    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.runs.iter().map(|run| run.records.len()).sum()
    }

    /// Writes the payload after what is in `out`, leaf hashes left zero for [`fill_leaves`].
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.runs.len() as u32).to_be_bytes());
        for run in &self.runs {
            out.extend(run.log.0);
            out.extend(run.first.to_be_bytes());
            out.extend((run.records.len() as u32).to_be_bytes());
            let length_at = out.len();
            out.extend([0; 4]);
            for record in &run.records {
                out.extend([record.kind as u8, 0, 0, 0]);
                out.extend((record.body.len() as u32).to_be_bytes());
                out.extend(record.received_at_us.to_be_bytes());
                out.extend(record.id);
                out.extend(record.salt);
                out.extend_from_slice(&record.body);
            }
            let records_bytes = (out.len() - length_at - 4) as u32;
            out[length_at..length_at + 4].copy_from_slice(&records_bytes.to_be_bytes());
            out.resize(out.len() + 32 * run.records.len(), 0);
        }
    }
}

/// Writes the leaf hashes of a run into an encoded payload, at the offset its [`RunView`] tells.
pub(crate) fn fill_leaves(payload: &mut [u8], leaves_at: usize, leaves: &[Hash]) {
    for (place, leaf) in payload[leaves_at..leaves_at + 32 * leaves.len()].chunks_exact_mut(32).zip(leaves) {
        place.copy_from_slice(&leaf.0);
    }
}

/// A run as it stands in a payload.
#[derive(Debug, Clone)]
pub(crate) struct RunView {
    pub log: LogId,
    pub first: u64,
    /// One per record, in order.
    pub records: Vec<RecordView>,
    /// Offset of the leaf hashes within the payload.
    pub leaves_at: usize,
}

/// A record as it stands in a payload or in a commit file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordView {
    /// Offset of the record within the bytes that were parsed.
    pub at: usize,
    pub kind: Kind,
    pub received_at_us: u64,
    pub id: [u8; 16],
    pub salt: [u8; 16],
    pub body_bytes: usize,
}

impl RecordView {
    /// Reads the header of the record at `at`; none if it is none.
    pub(crate) fn decode(bytes: &[u8], at: usize) -> Option<RecordView> {
        let header = bytes.get(at..at.checked_add(RECORD_HEADER_BYTES)?)?;
        if header[1..4] != [0, 0, 0] {
            return None;
        }
        let view = RecordView {
            at,
            kind: Kind::from_byte(header[0])?,
            received_at_us: u64_at(header, 8),
            id: header[16..32].try_into().expect("sixteen bytes"),
            salt: header[32..48].try_into().expect("sixteen bytes"),
            body_bytes: u32_at(header, 4) as usize,
        };
        (view.end() <= bytes.len()).then_some(view)
    }

    /// Where the body starts.
    pub(crate) fn body_at(&self) -> usize {
        self.at + RECORD_HEADER_BYTES
    }

    /// Where the record ends.
    pub(crate) fn end(&self) -> usize {
        self.body_at() + self.body_bytes
    }

    /// The body within the bytes that were parsed.
    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.body_at()..self.end()]
    }
}

impl RunView {
    /// The stored leaf hashes.
    pub(crate) fn leaves(&self, payload: &[u8]) -> Vec<Hash> {
        let bytes = &payload[self.leaves_at..self.leaves_at + 32 * self.records.len()];
        bytes.chunks_exact(32).map(|hash| Hash(hash.try_into().expect("thirty-two bytes"))).collect()
    }
}

/// Reads a payload; the error says what is wrong. Every byte of it has a place.
pub(crate) fn parse(payload: &[u8], entries: u32) -> Result<Vec<RunView>, &'static str> {
    if payload.len() < RUN_COUNT_BYTES {
        return Err("a group ends before its number of runs");
    }
    let run_count = u32_at(payload, 0);
    let mut at = RUN_COUNT_BYTES;
    let mut runs = Vec::new();
    let mut total: u64 = 0;
    for _ in 0..run_count {
        let header = payload.get(at..at + RUN_HEADER_BYTES).ok_or("a group ends within a run's header")?;
        let log = LogId(header[0..16].try_into().expect("sixteen bytes"));
        let first = u64_at(header, 16);
        let count = u32_at(header, 24) as usize;
        let records_end = at + RUN_HEADER_BYTES + u32_at(header, 28) as usize;
        let run_end = records_end + 32 * count;
        if run_end > payload.len() || count == 0 {
            return Err("a run does not fit its group");
        }
        at += RUN_HEADER_BYTES;
        let mut records = Vec::with_capacity(count);
        for _ in 0..count {
            let record = RecordView::decode(&payload[..records_end], at).ok_or("a record does not fit its run")?;
            at = record.end();
            records.push(record);
        }
        if at != records_end {
            return Err("a run has bytes after its records");
        }
        if first.checked_add(count as u64).is_none_or(|size| size > tlog::TREE_SIZE_MAX) {
            return Err("a run's indexes are too large");
        }
        runs.push(RunView { log, first, records, leaves_at: records_end });
        at = run_end;
        total += count as u64;
    }
    if at != payload.len() || total != u64::from(entries) {
        return Err("a group's counts do not add up");
    }
    Ok(runs)
}

/// What becomes of a record: its fields, without where they are stored.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub kind: Kind,
    pub index: u64,
    pub received_at_us: u64,
    pub id: [u8; 16],
    pub salt: &'a [u8; 16],
    /// The body, or the commitment of an erased one.
    pub body: &'a [u8],
    pub state: BodyState,
}

impl<'a> Fields<'a> {
    /// Length of the body, there or erased.
    pub(crate) fn body_bytes(&self) -> usize {
        match self.state {
            BodyState::Present => self.body.len(),
            BodyState::Erased { body_bytes, .. } => body_bytes as usize,
        }
    }

    /// Whether the commitment must be computed from salt and body.
    fn is_to_commit(&self) -> bool {
        self.state == BodyState::Present && self.kind.is_committed(self.body.len())
    }

    /// What stands in the entry of a record whose body is inline or erased.
    fn payload(&self) -> Payload<'a> {
        match self.state {
            BodyState::Present => Payload::Inline(self.body),
            // A commitment of another length is none; zeros are none that any body has.
            BodyState::Erased { .. } => {
                Payload::Committed { commitment: Hash(self.body.try_into().unwrap_or([0; 32])) }
            }
        }
    }
}

/// A SHA-256 implementation behind the three hashes of `specs/proofs.md` §2.
pub(crate) trait Hashing {
    /// Commitments of (salt, body) pairs.
    fn commitments(&self, items: &[(&[u8; 16], &[u8])]) -> Vec<Hash>;
    /// Leaf hashes of entries.
    fn leaf_hashes(&self, entries: &[&[u8]]) -> Vec<Hash>;
}

/// The fastest one, for staging and for reading.
pub(crate) struct Batch;

impl Hashing for Batch {
    fn commitments(&self, items: &[(&[u8; 16], &[u8])]) -> Vec<Hash> {
        tlog::batch::commitments(items)
    }

    fn leaf_hashes(&self, entries: &[&[u8]]) -> Vec<Hash> {
        tlog::batch::leaf_hashes(entries)
    }
}

/// The second opinion, for the check before signing.
pub(crate) struct Plain;

impl Hashing for Plain {
    fn commitments(&self, items: &[(&[u8; 16], &[u8])]) -> Vec<Hash> {
        tlog::plain::commitments(items)
    }

    fn leaf_hashes(&self, entries: &[&[u8]]) -> Vec<Hash> {
        tlog::plain::leaf_hashes(entries)
    }
}

/// The leaf hashes of these records, all hashed in two batches.
pub(crate) fn leaves_of(records: &[Fields<'_>], hashing: &dyn Hashing) -> Vec<Hash> {
    let to_commit: Vec<(&[u8; 16], &[u8])> =
        records.iter().filter(|record| record.is_to_commit()).map(|r| (r.salt, r.body)).collect();
    let mut commitments = hashing.commitments(&to_commit).into_iter();
    let mut bytes = Vec::with_capacity(records.len() * tlog::entry::COMMITTED_ENTRY_BYTES);
    let mut ends = Vec::with_capacity(records.len());
    for record in records {
        let payload = if record.is_to_commit() {
            Payload::Committed { commitment: commitments.next().expect("one for each committed record") }
        } else {
            record.payload()
        };
        entry_of(record, payload).encode_into(&mut bytes);
        ends.push(bytes.len());
    }
    let mut start = 0;
    let entries: Vec<&[u8]> = ends.iter().map(|&end| &bytes[std::mem::replace(&mut start, end)..end]).collect();
    hashing.leaf_hashes(&entries)
}

/// The encoded entry of a record.
pub(crate) fn encode_entry(record: &Fields<'_>) -> Vec<u8> {
    let payload = if record.is_to_commit() {
        Payload::Committed { commitment: tlog::commitment(record.salt, record.body) }
    } else {
        record.payload()
    };
    entry_of(record, payload).encode()
}

/// The entry of a record with this payload.
fn entry_of<'a>(record: &Fields<'_>, payload: Payload<'a>) -> Entry<'a> {
    Entry {
        kind: record.kind,
        body_bytes: record.body_bytes() as u32,
        index: record.index,
        number: record.index + 1,
        received_at_us: record.received_at_us,
        id: record.id,
        payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        let record = |kind, id: u8, body: &[u8]| NewRecord {
            kind,
            id: [id; 16],
            received_at_us: 1_790_000_000_000_000 + u64::from(id),
            salt: [id ^ 0x5a; 16],
            body: body.to_vec(),
        };
        Group {
            number: 5,
            runs: vec![
                Run {
                    log: LogId([1; 16]),
                    first: 0,
                    records: vec![record(Kind::LogNote, 0, b"{\"log\":\"opened\"}"), record(Kind::Event, 1, b"")],
                },
                Run { log: LogId([2; 16]), first: 77, records: vec![record(Kind::Event, 2, &[7; 300])] },
            ],
        }
    }

    #[test]
    fn a_group_reads_back_as_it_was_ordered() {
        let group = group();
        let mut payload = Vec::new();
        group.encode(&mut payload);
        let runs = parse(&payload, 3).unwrap();
        for (view, run) in runs.iter().zip(&group.runs) {
            assert_eq!((view.log, view.first), (run.log, run.first));
            for (record, new) in view.records.iter().zip(&run.records) {
                assert_eq!(record.body(&payload), new.body);
                let fields = (record.kind, record.id, record.salt, record.received_at_us);
                assert_eq!(fields, (new.kind, new.id, new.salt, new.received_at_us));
            }
        }
    }

    #[test]
    fn a_payload_cut_or_counted_differently_is_refused() {
        let mut payload = Vec::new();
        group().encode(&mut payload);
        for len in 0..payload.len() {
            assert!(parse(&payload[..len], 3).is_err(), "cut at {len}");
        }
        assert!(parse(&payload, 2).is_err());
        payload.push(0);
        assert!(parse(&payload, 3).is_err());
    }

    #[test]
    fn both_hash_implementations_agree_with_the_entry_of_the_specification() {
        // The log of specs/proofs.md §17.
        let ids: [[u8; 16]; 3] = [[0; 16], std::array::from_fn(|i| i as u8), std::array::from_fn(|i| 16 + i as u8)];
        let records = [
            (Kind::LogNote, &[0; 16], &b"{\"log\":\"opened\"}"[..]),
            (Kind::Event, &[0xa5; 16], b"{\"actor\":\"alice\",\"action\":\"doc.read\"}"),
            (Kind::Event, &[0x5a; 16], b""),
        ];
        let expected = [
            "6e54254299090a09b95a311b929381e8d7994d75bfe5dabb481bf0472cc96d4a",
            "7a6bf8476861e9b8ebdd7e9a4819aa49b70d93445aa9036938cb7daf61872724",
            "5c094e99f66ec678a605e621b8dcfa48732fd8bc6ecd4673f53f15c258ad98e4",
        ];
        let fields: Vec<Fields<'_>> = (0..3)
            .map(|i| Fields {
                kind: records[i].0,
                index: i as u64,
                received_at_us: 1_790_000_000_000_000 + 500_000 * i as u64,
                id: ids[i],
                salt: records[i].1,
                body: records[i].2,
                state: BodyState::Present,
            })
            .collect();
        for hashing in [&Batch as &dyn Hashing, &Plain] {
            let leaves: Vec<String> = leaves_of(&fields, hashing).iter().map(Hash::to_hex).collect();
            assert_eq!(leaves, expected);
        }
    }
}
