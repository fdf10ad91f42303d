//! Erasing by order: the body is in no file any more, and every proof made before still verifies.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::folder::{contents, copy_folder, files, files_with, holds};
use common::{Fixture, HOST, LOG, SEED, START_US, event};
use log::fsck::{self, Verdict};
use log::store::Store;
use log::store::faulty::{Fault, FaultyStore, Plan};
use log::store::memory::{MemoryStore, Survival};
use log::{
    BodyState, Erasure, Error, InstanceSeed, LogState, Logs, ManualClock, NewEntry, Options, Reason, RecordState,
    SeededEntropy,
};
use tlog::Hash;
use tlog::proof::{verify_consistency, verify_inclusion};

const MARKER: &str = "MARKER-of-the-person-who-must-be-forgotten";

fn marked() -> NewEntry {
    NewEntry::event([0x77; 16], format!("{{\"name\":\"{MARKER}\"}}").into_bytes())
}

fn order(numbers: &[u64]) -> Erasure {
    Erasure {
        numbers: numbers.to_vec(),
        ground: "GDPR article 17".into(),
        ordered_by: "court of Bern".into(),
        carried_out_by: "ann@example.com".into(),
    }
}

/// One of 10,000, in sealed and in unsealed places, with every proof made before.
#[test]
fn one_of_ten_thousand_is_gone_from_every_file_and_every_earlier_proof_still_verifies() {
    let options = Options { commit_file_bytes: 400_000, block_bytes: 8_000, ..Options::default() };
    let mut fixture = Fixture::in_folder(options);
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    let mut heads: Vec<(u64, Hash)> = Vec::new();
    for thousand in 0..10_u64 {
        let mut entries: Vec<NewEntry> = (0..1_000).map(|n| event(thousand * 1_000 + n)).collect();
        if thousand == 4 {
            entries[321] = marked();
        }
        logs.append_blocking(LOG, entries).unwrap();
        let head = logs.head(&LOG).unwrap();
        heads.push((head.size, head.root));
        fixture.clock.advance(24 * 60 * 60 * 1_000_000);
    }
    let index = logs.find_id(&LOG, &[0x77; 16]).unwrap().unwrap();
    let (size, root) = *heads.last().unwrap();
    let proof = logs.prove_inclusion(&LOG, index, size).unwrap();
    let leaf = logs.leaf_hashes(&LOG, index..index + 1).unwrap()[0];
    let entry = logs.entries(&LOG, index..index + 1).unwrap();
    let before = logs.read(&LOG, index..index + 1, 1).unwrap().remove(0);
    let kept: Vec<_> = heads.iter().map(|(size, _)| logs.checkpoint_at(&LOG, *size).unwrap()).collect();
    assert!(kept.iter().filter(|kept| kept.is_some()).count() >= 9, "the last of each day is archived");
    assert!(!files_with(fixture.folder(), MARKER).is_empty(), "the test can find it");

    let erased = logs.erase(&LOG, &order(&[index + 1])).unwrap();
    assert_eq!(erased.numbers, [index + 1]);
    assert_eq!(files_with(fixture.folder(), MARKER), Vec::<PathBuf>::new());
    let with_salt = contents(fixture.folder()).into_iter().find(|(_, bytes)| holds(bytes, &before.salt));
    assert_eq!(with_salt.map(|(path, _)| path), None, "the salt is in a file");

    for round in 0..2 {
        let logs = fixture.logs();
        let record = logs.read(&LOG, index..index + 1, 1).unwrap().remove(0);
        let expected = BodyState::Erased { body_bytes: before.body.len() as u32, note_index: erased.note.index };
        assert_eq!((record.state, record.salt), (expected, [0; 16]), "round {round}");
        assert_eq!(*record.body, tlog::commitment(&before.salt, &before.body).0);
        assert_eq!((record.id, record.received_at_us), (before.id, before.received_at_us));
        assert_eq!(logs.verify_records(&LOG, std::slice::from_ref(&record)), [RecordState::Erased]);
        assert_eq!(logs.entries(&LOG, index..index + 1).unwrap(), entry, "the entry is as it was");
        assert_eq!(logs.find_id(&LOG, &[0x77; 16]).unwrap(), Some(index), "the id still keeps a retry out");
        verify_inclusion(&leaf, index, size, &proof, &root).unwrap();
        let now = logs.head(&LOG).unwrap();
        for ((size, root), kept) in heads.iter().zip(&kept) {
            let growth = logs.prove_consistency(&LOG, *size, now.size).unwrap();
            verify_consistency(*size, root, now.size, &now.root, &growth).unwrap();
            if let Some(kept) = kept.as_ref().filter(|_| *size != heads[9].0) {
                assert_eq!(logs.checkpoint_at(&LOG, *size).unwrap().as_ref(), Some(kept));
            }
        }
        let note = logs.read(&LOG, erased.note.index..now.size, 1).unwrap().remove(0);
        let note: serde_json::Value = serde_json::from_slice(&note.body).unwrap();
        assert_eq!(note["ordered_by"], "court of Bern");
        assert_eq!(note["ground"], "GDPR article 17");
        drop(logs);
        fixture.reopen();
    }
    assert!(matches!(fixture.logs().erase(&LOG, &order(&[index + 1])), Err(Error::Conflict(_))));
    assert!(matches!(fixture.logs().erase(&LOG, &order(&[1])), Err(Error::Invalid(_))), "a note stays");
    assert!(matches!(fixture.logs().erase(&LOG, &order(&[99_999])), Err(Error::NotFound(_))));
    fixture.close();
    let (store, signer) = fixture.stores();
    let report = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
    assert!(report.notes.is_empty(), "{:?}", report.notes);
}

#[test]
fn a_body_that_is_not_what_was_committed_is_not_erased() {
    let mut fixture = Fixture::in_folder(Options { block_bytes: 1_000, ..Options::default() });
    fixture.logs().create(LOG).unwrap();
    fixture.logs().append_blocking(LOG, vec![marked(), event(1)]).unwrap();
    fixture.close();
    let path = fixture.folder().join("log/commit/0000000001.commit");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(MARKER.len()).position(|window| window == MARKER.as_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    fixture.reopen();
    let refused = fixture.logs().erase(&LOG, &order(&[2]));
    assert!(refused.is_err(), "{refused:?}");
}

/// Row 5 of the attack table, the other way round: a body taken out without a note.
#[test]
fn an_erasure_that_no_note_orders_is_named() {
    let options = || Options { commit_file_bytes: 3_000, block_bytes: 1_000, ..Options::default() };
    let mut genuine = Fixture::in_folder(options());
    genuine.logs().create(LOG).unwrap();
    genuine.logs().append_blocking(LOG, (0..40).map(event).collect()).unwrap();
    genuine.logs().append_blocking(LOG, (40..80).map(event).collect()).unwrap();
    genuine.reopen();
    genuine.logs().append_blocking(LOG, (80..120).map(event).collect()).unwrap();
    genuine.close();
    // The forger erases in a copy, and brings back only the segment, not the note.
    let mut copy = Fixture::in_folder(options());
    copy.close();
    copy_folder(genuine.folder(), copy.folder());
    copy.reopen();
    copy.logs().erase(&LOG, &order(&[10])).unwrap();
    copy.close();
    let mut segments = files(&copy.folder().join("log/segment"));
    let target = |path: &PathBuf| genuine.folder().join("log/segment").join(path.file_name().unwrap());
    segments.retain(|path| std::fs::read(path).ok() != std::fs::read(target(path)).ok() && target(path).exists());
    assert_eq!(segments.len(), 1, "one segment was written anew");
    std::fs::copy(&segments[0], target(&segments[0])).unwrap();
    let (store, signer) = genuine.stores();
    let report = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Tainted);
    let found: Vec<_> = report.logs[0].divergences.iter().map(|found| (found.number, found.reason)).collect();
    assert_eq!(found, [(Some(10), Reason::ErasureUnexplained)]);
    genuine.reopen();
    let logs = genuine.logs();
    let records = logs.read(&LOG, 9..10, 1).unwrap();
    assert_eq!(logs.verify_records(&LOG, &records), [RecordState::Tainted(Reason::ErasureUnexplained)]);
}

fn open(store: &Arc<dyn Store>, signer: &Arc<dyn Store>, seed: u64) -> log::Result<Logs> {
    let options = Options { commit_file_bytes: 3_000, block_bytes: 1_000, ..Options::default() };
    let clock = Arc::new(ManualClock::new(START_US));
    let entropy = Arc::new(SeededEntropy::new(seed));
    Logs::open(Arc::clone(store), Arc::clone(signer), InstanceSeed::new(SEED), HOST, options, clock, entropy)
}

/// The process dies at every call of an erasure: after the next opening either nothing was ordered and the body is there, or
/// it is gone; the log verifies, and an order that was answered was carried out.
#[test]
fn an_erasure_that_dies_at_any_call_is_finished_by_the_next_opening_or_never_ordered() {
    let (memory, signer_memory) = (MemoryStore::new(), MemoryStore::new());
    let inner: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(memory.clone()), Arc::new(signer_memory.clone()));
    Logs::create_folder(&inner.0, &inner.1, HOST).unwrap();
    let logs = open(&inner.0, &inner.1, 1).unwrap();
    logs.create(LOG).unwrap();
    let mut entries: Vec<NewEntry> = (0..20).map(event).collect();
    entries[7] = marked();
    logs.append_blocking(LOG, entries).unwrap();
    logs.append_blocking(LOG, (20..40).map(event).collect()).unwrap();
    logs.shutdown();
    let run = |fail_at: u64, fault: Fault| {
        let (memory, signer) = (memory.crashed(Survival::Everything), signer_memory.crashed(Survival::Everything));
        let plan = Plan::new(fail_at, fault);
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::new(memory.clone()), &plan));
        let guarded: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::new(signer.clone()), &plan));
        let result = open(&store, &guarded, 2).and_then(|logs| {
            let erased = logs.erase(&LOG, &order(&[9]));
            logs.shutdown();
            erased
        });
        (memory, signer, result, plan.calls())
    };
    let (.., result, calls) = run(0, Fault::Death);
    result.unwrap();
    for fault in [Fault::Death, Fault::DeathHalf] {
        for fail_at in 1..=calls {
            let (memory, signer, result, _) = run(fail_at, fault);
            for survival in [Survival::Nothing, Survival::Everything, Survival::Some(fail_at)] {
                let context = format!("{fault:?} at call {fail_at}, {survival:?}");
                let (store, signer): (Arc<dyn Store>, Arc<dyn Store>) =
                    (Arc::new(memory.crashed(survival)), Arc::new(signer.crashed(survival)));
                let logs = open(&store, &signer, 3).unwrap_or_else(|err| panic!("{context}: {err}"));
                assert_eq!(logs.state(&LOG).unwrap(), LogState::Open, "{context}");
                let noted = logs.head(&LOG).unwrap().size > 41;
                // What was interrupted goes on in the background; the reading thread waits for it by asking.
                let mut record = logs.read(&LOG, 8..9, 1).unwrap().remove(0);
                for _ in 0..100_000 {
                    if record.state.is_erased() == noted {
                        break;
                    }
                    std::thread::yield_now();
                    record = logs.read(&LOG, 8..9, 1).unwrap().remove(0);
                }
                assert_eq!(record.state.is_erased(), noted, "{context}");
                assert!(noted || result.is_err(), "{context}: answered and not done");
                logs.shutdown();
                let report = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
                assert_eq!(report.verdict(), Verdict::Verified, "{context}: {report:?}");
                assert_eq!(store.list("erasure").unwrap(), Vec::<String>::new(), "{context}");
            }
        }
    }
}
