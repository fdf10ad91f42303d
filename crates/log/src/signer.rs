//! The guarded signer (`specs/proofs.md` §4.3): signs a head only after it has written down, durably and in a store of
//! its own, that it does, and only if the head extends the last one it signed for that log.

use std::collections::HashMap;
use std::sync::Arc;

use tlog::Hash;
use tlog::checkpoint::Checkpoint;
use tlog::note::SignerKey;
use tlog::proof::verify_consistency;

use crate::error::{Error, Result};
use crate::frame::u64_at;
use crate::id::LogId;
use crate::journal::{Failure, Journal, JournalKind};
use crate::keys::Keys;
use crate::store::Store;

/// The signer's only file.
pub(crate) const SIGNER_JOURNAL: JournalKind =
    JournalKind { dir: "", path: "journal", tmp: "journal.tmp", file_magic: *b"cfsigner", frame_magic: *b"cfSG" };

/// Log id, size, root.
const RECORD_BYTES: usize = 16 + 8 + 32;

/// What the signer remembers of a log: the last head it may have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signed {
    pub size: u64,
    pub root: Hash,
}

/// A head to be signed.
pub(crate) struct Request {
    pub log: LogId,
    pub size: u64,
    pub root: Hash,
    /// From the last head signed to this one; empty for a log's first head.
    pub proof: Vec<Hash>,
    /// The log is being opened: there is no record yet, and there may be none.
    pub first: bool,
    /// Key epochs to sign under, one signature line each, in this order.
    pub epochs: Vec<u32>,
}

/// The signer of all logs of one instance.
pub(crate) struct Signer {
    keys: Arc<Keys>,
    journal: Journal,
    records: HashMap<LogId, Signed>,
}

/// Why nothing was signed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A head does not extend what was signed before. The records are unchanged.
    NotExtending { log: LogId, detail: String },
    /// The record could not be made durable.
    Store(Failure),
}

/// The origin of a log: its name in checkpoints and the name of its key.
pub(crate) fn origin(audit_host: &str, log: &LogId) -> String {
    format!("{audit_host}/l/{log}")
}

/// Reads the records of a payload; none if it is malformed.
pub(crate) fn decode_records(count: u32, payload: &[u8]) -> Option<Vec<(LogId, Signed)>> {
    if payload.len() != RECORD_BYTES * count as usize {
        return None;
    }
    let record = |bytes: &[u8]| {
        let root = Hash(bytes[24..].try_into().expect("the length is fixed"));
        (LogId(bytes[..16].try_into().expect("the length is fixed")), Signed { size: u64_at(bytes, 16), root })
    };
    Some(payload.chunks_exact(RECORD_BYTES).map(record).collect())
}

fn encode_records(records: impl Iterator<Item = (LogId, Signed)>) -> Vec<u8> {
    let mut payload = Vec::new();
    for (log, signed) in records {
        payload.extend(log.0);
        payload.extend(signed.size.to_be_bytes());
        payload.extend(signed.root.0);
    }
    payload
}

impl Signer {
    /// Makes the signer's store; it remembers nothing.
    pub(crate) fn create(store: &Arc<dyn Store>) -> Result<()> {
        Journal::create(store, SIGNER_JOURNAL).map(drop)
    }

    /// Reads what was signed.
    pub(crate) fn open(store: &Arc<dyn Store>, keys: Arc<Keys>) -> Result<Signer> {
        let mut records = HashMap::new();
        let mut malformed = false;
        let journal = Journal::open(store, SIGNER_JOURNAL, |frame, payload| {
            match decode_records(frame.header.count, &payload) {
                Some(decoded) => records.extend(decoded),
                None => malformed = true,
            }
        })?;
        if malformed {
            return Err(Error::corrupt("the signer's journal holds a record of another shape"));
        }
        Ok(Signer { keys, journal, records })
    }

    /// The last head signed of this log, or about to be when the process died.
    pub(crate) fn record(&self, log: &LogId) -> Option<Signed> {
        self.records.get(log).copied()
    }

    /// Every log the signer knows.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &LogId> {
        self.records.keys()
    }

    /// Signs all heads or none. On return each is in the signer's store, whatever becomes of the notes.
    ///
    /// Answers with the signed notes in the order of the requests.
    pub(crate) fn sign(&mut self, requests: &[Request]) -> Result<Vec<Arc<str>>, Refusal> {
        for request in requests {
            self.check(request).map_err(|detail| Refusal::NotExtending { log: request.log, detail })?;
        }
        let changed: Vec<(LogId, Signed)> = requests
            .iter()
            .map(|request| (request.log, Signed { size: request.size, root: request.root }))
            .filter(|(log, signed)| self.records.get(log) != Some(signed))
            .collect();
        if !changed.is_empty() {
            let payload = encode_records(changed.iter().copied());
            self.journal.append(changed.len() as u32, &payload).map_err(Refusal::Store)?;
            self.records.extend(changed);
            if self.journal.is_long() {
                self.rewrite().map_err(|error| Refusal::Store(Failure { error, final_: true }))?;
            }
        }
        Ok(requests.iter().map(|request| self.note(request)).collect())
    }

    /// Takes a head of a log it does not know as signed: a person vouches for it.
    pub(crate) fn adopt(&mut self, log: LogId, signed: Signed) -> Result<(), Failure> {
        self.journal.append(1, &encode_records([(log, signed)].into_iter()))?;
        self.records.insert(log, signed);
        Ok(())
    }

    fn check(&self, request: &Request) -> Result<(), String> {
        let Some(signed) = self.records.get(&request.log) else {
            return if request.first { Ok(()) } else { Err("the signer has no record of this log".into()) };
        };
        if request.first {
            return Err(format!("the signer knows this log already, at size {}", signed.size));
        }
        verify_consistency(signed.size, &signed.root, request.size, &request.root, &request.proof).map_err(|err| {
            format!("the head of size {} does not extend the signed one of size {}: {err}", request.size, signed.size)
        })
    }

    fn note(&self, request: &Request) -> Arc<str> {
        let origin = self.keys.origin(&request.log);
        let checkpoint = Checkpoint { origin, size: request.size, root: request.root };
        let keys: Vec<Arc<SignerKey>> =
            request.epochs.iter().filter_map(|epoch| self.keys.key(&request.log, *epoch)).collect();
        let keys: Vec<&SignerKey> = keys.iter().map(|key| &**key).collect();
        let signed =
            checkpoint.sign(&keys).expect("origins and sizes are well-formed, and keys were found for the log");
        signed.note.into()
    }

    fn rewrite(&mut self) -> Result<()> {
        let mut records: Vec<(LogId, Signed)> = self.records.iter().map(|(log, signed)| (*log, *signed)).collect();
        records.sort_by_key(|(log, _)| *log);
        let payload = encode_records(records.iter().copied());
        self.journal.rewrite(&[(records.len() as u32, payload)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::InstanceSeed;
    use crate::store::memory::{MemoryStore, Survival};
    use tlog::Frontier;

    const HOST: &str = "audit.example.org";
    const LOG: LogId = LogId([0; 16]);

    fn open(memory: &MemoryStore) -> Signer {
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        Signer::open(&store, Arc::new(Keys::new(HOST, InstanceSeed::new([7; 32])))).unwrap()
    }

    fn new_signer() -> (MemoryStore, Signer) {
        let memory = MemoryStore::new();
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        Signer::create(&store).unwrap();
        let signer = open(&memory);
        (memory, signer)
    }

    fn request(size: u64, root: Hash, proof: Vec<Hash>, first: bool) -> Request {
        Request { log: LOG, size, root, proof, first, epochs: vec![1] }
    }

    /// Roots of sizes 0..=2 over two leaves, and the proof from 1 to 2.
    fn tree() -> ([Hash; 3], Vec<Hash>) {
        let leaves = [tlog::leaf_hash(b"a"), tlog::leaf_hash(b"b")];
        let mut frontier = Frontier::new();
        let mut roots = [frontier.root(); 3];
        for (i, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf);
            roots[i + 1] = frontier.root();
        }
        (roots, vec![leaves[1]])
    }

    #[test]
    fn a_head_is_signed_only_if_it_extends_the_last_one() {
        let (roots, proof) = tree();
        let (_, mut signer) = new_signer();
        assert!(signer.sign(&[request(1, roots[1], vec![], false)]).is_err(), "an unknown log is refused");
        signer.sign(&[request(1, roots[1], vec![], true)]).unwrap();
        assert!(signer.sign(&[request(1, roots[1], vec![], true)]).is_err(), "a log is opened once");
        assert!(signer.sign(&[request(2, roots[2], vec![], false)]).is_err(), "no proof, no signature");
        assert!(signer.sign(&[request(1, roots[2], vec![], false)]).is_err(), "same size, other root");
        signer.sign(&[request(2, roots[2], proof, false)]).unwrap();
        assert!(signer.sign(&[request(1, roots[1], vec![], false)]).is_err(), "smaller");
        let again = signer.sign(&[request(2, roots[2], vec![], false)]).unwrap();
        assert!(again[0].starts_with("audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa\n2\n"));
    }

    #[test]
    fn what_was_signed_is_remembered_after_a_power_cut() {
        let (roots, _) = tree();
        let (memory, mut signer) = new_signer();
        signer.sign(&[request(1, roots[1], vec![], true)]).unwrap();
        let signer = open(&memory.crashed(Survival::Nothing));
        assert_eq!(signer.record(&LOG), Some(Signed { size: 1, root: roots[1] }));
    }

    #[test]
    fn one_refused_head_of_many_leaves_all_unsigned_and_unrecorded() {
        let (roots, _) = tree();
        let (_, mut signer) = new_signer();
        let other = Request { log: LogId([1; 16]), ..request(1, roots[1], vec![], false) };
        assert!(signer.sign(&[request(1, roots[1], vec![], true), other]).is_err());
        assert_eq!(signer.record(&LOG), None);
    }
}
