//! The later life of a log: pruned, closed, moved, followed by another one; old proofs and checkpoints hold.

mod common;

use std::sync::Arc;

use common::folder::copy_folder;
use common::{Fixture, HOST, LOG, SEED, START_US, event};
use log::fsck::{self, Report, Verdict};
use log::store::Store;
use log::store::faulty::{Fault, FaultyStore, Plan};
use log::store::memory::{MemoryStore, Survival};
use log::{
    Error, InstanceSeed, LogId, LogNote, LogState, Logs, ManualClock, NewEntry, Options, Predecessor, ReadOnlyReason,
    Reason, RecordState, SeededEntropy,
};
use tlog::Hash;
use tlog::checkpoint::SignedCheckpoint;
use tlog::proof::verify_consistency;

const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;
const OTHER: LogId = LogId([8; 16]);

fn options() -> Options {
    Options { commit_file_bytes: 30_000, block_bytes: 2_000, ..Options::default() }
}

/// Days of events in two logs, of odd sizes so that checkpoints lie within tiles. Answers with the heads of each day.
fn days(logs: &Logs, clock: &ManualClock, days: u64) -> Vec<(u64, Hash)> {
    let mut heads = Vec::new();
    for day in 0..days {
        for (log, count) in [(LOG, 137), (OTHER, 41)] {
            let first = day * 1_000;
            logs.append_blocking(log, (first..first + count).map(event).collect()).unwrap();
        }
        let head = logs.head(&LOG).unwrap();
        heads.push((head.size, head.root));
        clock.advance(DAY_US);
    }
    heads
}

fn verify(fixture: &Fixture) -> Report {
    let (store, signer) = fixture.stores();
    fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ())
}

fn kept_sizes(logs: &Logs, heads: &[(u64, Hash)]) -> usize {
    heads.iter().filter(|(size, _)| logs.checkpoint_at(&LOG, *size).unwrap().is_some()).count()
}

#[test]
fn what_is_pruned_is_gone_and_growth_from_every_archived_checkpoint_is_still_proven() {
    let mut fixture = Fixture::in_memory(options());
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    logs.create(OTHER).unwrap();
    let mut heads = days(&logs, &fixture.clock, 12);
    let others = logs.read(&OTHER, 0..u64::MAX, usize::MAX).unwrap();
    let note = logs.prune(&LOG, 1_100, "kept for a year", "ann@example.com").unwrap();
    assert_eq!(logs.minimum_index(&LOG).unwrap(), 1_024, "rounded down to whole tiles");
    for round in 0..3 {
        let logs = fixture.logs();
        assert_eq!(logs.minimum_index(&LOG).unwrap(), 1_024, "round {round}");
        assert!(matches!(logs.read_many(&LOG, &[1_023]), Err(Error::NotFound(_))));
        assert!(matches!(logs.tile(&LOG, 0, 3, 256), Err(Error::NotFound(_))));
        assert!(matches!(logs.entries(&LOG, 768..1_024), Err(Error::NotFound(_))));
        assert!(logs.tile(&LOG, 0, 4, 256).is_ok() && logs.tile(&LOG, 1, 0, 4).is_ok());
        let left = logs.read(&LOG, 0..u64::MAX, usize::MAX).unwrap();
        assert_eq!((left[0].index, left.len() as u64), (1_024, logs.head(&LOG).unwrap().size - 1_024));
        assert!(logs.verify_records(&LOG, &left).iter().all(|state| *state == RecordState::Verified));
        assert_eq!(logs.read(&OTHER, 0..others.len() as u64, usize::MAX).unwrap().len(), others.len());

        let now = logs.head(&LOG).unwrap();
        assert!(kept_sizes(&logs, &heads) >= 11, "the last of each day is archived");
        for (size, root) in &heads {
            let proof = logs.prove_consistency(&LOG, *size, now.size).unwrap();
            verify_consistency(*size, root, now.size, &now.root, &proof).unwrap();
            assert_eq!(logs.root_at(&LOG, *size).unwrap(), *root);
        }
        assert!(logs.prove_inclusion(&LOG, note.index, now.size).is_ok());
        heads.extend(days(&logs, &fixture.clock, 1));
        heads.dedup();
        drop(logs);
        let report = verify(&fixture);
        assert_eq!(report.verdict(), Verdict::Verified, "round {round}: {report:?}");
        assert_eq!(report.logs.iter().find(|log| log.log == LOG).unwrap().minimum_index, 1_024);
        assert!(report.notes.is_empty(), "{:?}", report.notes);
        match round {
            0 => fixture.reopen(),
            _ => fixture.crash(Survival::Nothing),
        }
        // Ids of the rounds are the same, so from here on days only repeat them.
    }
    let logs = fixture.logs();
    assert!(matches!(logs.prune(&LOG, 1_200, "again", "ann"), Err(Error::Conflict(_))));
    assert!(matches!(logs.prune(&LOG, 1 << 40, "again", "ann"), Err(Error::Invalid(_))));
    assert!(matches!(logs.prune(&LOG, 1_536, " ", "ann"), Err(Error::Invalid(_))));
    logs.prune(&LOG, 1_536, "again", "ann").unwrap();
    let now = logs.head(&LOG).unwrap();
    for (size, root) in &heads {
        let proof = logs.prove_consistency(&LOG, *size, now.size).unwrap();
        verify_consistency(*size, root, now.size, &now.root, &proof).unwrap();
    }
    assert_eq!(verify(&fixture).verdict(), Verdict::Verified);
}

#[test]
fn bodies_and_leaf_hashes_of_pruned_entries_are_in_no_file() {
    let fixture = Fixture::in_memory(options());
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    logs.create(OTHER).unwrap();
    days(&logs, &fixture.clock, 6);
    let gone = logs.read(&LOG, 0..512, usize::MAX).unwrap();
    let leaves = logs.leaf_hashes(&LOG, 0..512).unwrap();
    logs.prune(&LOG, 512, "kept for a year", "ann").unwrap();
    let contents = fixture.memory_contents();
    // A checkpoint's edge may end in a single leaf; those hashes are kept on purpose, in the journal of retention.
    let found = |needle: &[u8]| {
        let mut files = contents.iter().filter(|(path, _)| !path.starts_with("retention/"));
        files.any(|(_, bytes)| bytes.windows(needle.len()).any(|window| window == needle))
    };
    for record in gone.iter().filter(|record| record.salt != [0; 16]).step_by(37) {
        assert!(!found(&record.salt), "the salt of number {}", record.number);
    }
    // The edge of the tree after each segment stays too; it ends in a leaf only where the size is odd.
    for leaf in leaves.iter().skip(1).step_by(34) {
        assert!(!found(&leaf.0));
    }
    let kept = logs.read(&LOG, 512..513, 1).unwrap();
    assert!(found(&kept[0].salt), "the test can find salts");
}

/// Tiles that were zeroed without a pruning on record are damage, and so is a pruning that no note orders.
#[test]
fn a_pruning_that_no_note_orders_is_named() {
    let mut fixture = Fixture::in_folder(options());
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    logs.create(OTHER).unwrap();
    days(&logs, &fixture.clock, 6);
    drop(logs);
    fixture.close();
    let before = tempfile::tempdir().unwrap();
    copy_folder(fixture.folder(), before.path());
    fixture.reopen();
    fixture.logs().prune(&LOG, 512, "kept for a year", "ann").unwrap();
    fixture.close();
    // The forger brings the pruned segments and the journal, and leaves the note out.
    for dir in ["segment", "retention"] {
        let target = before.path().join("log").join(dir);
        std::fs::create_dir_all(&target).unwrap();
        for entry in std::fs::read_dir(fixture.folder().join("log").join(dir)).unwrap() {
            let path = entry.unwrap().path();
            let to = target.join(path.file_name().unwrap());
            if dir == "retention" || to.exists() {
                std::fs::copy(&path, to).unwrap();
            }
        }
    }
    let store: Arc<dyn Store> = Arc::new(log::store::embedded::FolderStore::new(before.path().join("log")));
    let report = fsck::verify_folder(&store, None, &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Tainted);
    let of_log = report.logs.iter().find(|log| log.log == LOG).unwrap();
    assert_eq!(of_log.divergences.len(), 1, "{report:?}");
    assert_eq!((of_log.divergences[0].number, of_log.divergences[0].reason), (Some(1), Reason::RecordMissing));
    // And without the journal the holes are what they are.
    std::fs::remove_dir_all(before.path().join("log/retention")).unwrap();
    let report = fsck::verify_folder(&store, None, &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Tainted);
}

#[test]
fn a_closed_log_takes_nothing_more_and_is_read_and_proven_for_ever() {
    let mut fixture = Fixture::in_memory(options());
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    logs.create(OTHER).unwrap();
    let heads = days(&logs, &fixture.clock, 3);
    let note = logs.close(&LOG, "the tenant leaves", "ann@example.com").unwrap();
    let head = logs.head(&LOG).unwrap();
    assert_eq!(head.size, note.index + 1, "the note is the last entry");
    for round in 0..3 {
        let logs = fixture.logs();
        let closed = LogState::ReadOnly {
            reason: ReadOnlyReason::Closed,
            detail: "the log was closed; its last entry says why and by whom".into(),
        };
        assert_eq!(logs.state(&LOG).unwrap(), closed, "round {round}");
        let refused = logs.append_blocking(LOG, vec![event(9_999)]);
        assert!(matches!(&refused, Err(Error::ReadOnly { reason: ReadOnlyReason::Closed, .. })), "{refused:?}");
        assert!(matches!(logs.close(&LOG, "again", "ann"), Err(Error::ReadOnly { .. })));
        assert_eq!(logs.head(&LOG).unwrap(), head);
        assert_eq!(logs.stats().logs_read_only, 0, "nothing is wrong with it");
        for (size, root) in &heads {
            let proof = logs.prove_consistency(&LOG, *size, head.size).unwrap();
            verify_consistency(*size, root, head.size, &head.root, &proof).unwrap();
        }
        logs.append_blocking(OTHER, vec![event(9_000 + round)]).unwrap();
        drop(logs);
        match round {
            0 => {
                fixture.close();
                // The mark is lost with the checkpoints; the last entry still says it.
                fixture.stores().0.remove("checkpoint/newest").unwrap();
                fixture.reopen();
            }
            _ => fixture.crash(Survival::Nothing),
        }
    }
    let note: LogNote = LogNote::decode(&fixture.logs().read(&LOG, note.index..head.size, 1).unwrap()[0].body).unwrap();
    assert_eq!((note.closes(), note.by.as_deref()), (true, Some("ann@example.com")));
    assert_eq!(verify(&fixture).verdict(), Verdict::Verified);
}

#[test]
fn nothing_gets_in_behind_the_note_that_closes_a_log() {
    let fixture = Fixture::in_memory(options());
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let logs = &logs;
            scope.spawn(move || {
                for number in 0..200 {
                    if logs.append_blocking(LOG, vec![event(writer * 1_000 + number)]).is_err() {
                        return;
                    }
                }
            });
        }
        scope.spawn(|| logs.close(&LOG, "the tenant leaves", "ann").unwrap());
    });
    let size = logs.head(&LOG).unwrap().size;
    let last = logs.read(&LOG, size - 1..size, 1).unwrap().remove(0);
    assert!(LogNote::decode(&last.body).is_some_and(|note| note.closes()));
}

#[test]
fn a_successor_names_what_came_before_it_and_what_is_missing() {
    let fixture = Fixture::in_memory(options());
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    let checkpoint = logs.head(&LOG).unwrap().checkpoint.to_string();
    let after = Predecessor {
        origin: logs.origin(&LOG),
        checkpoint: Some(checkpoint.clone()),
        missing: vec![[7, 9]],
        last_number: 9,
        cause: "a disk was lost".into(),
        by: "ann".into(),
    };
    logs.create_after(OTHER, after.clone()).unwrap();
    let first = logs.read(&OTHER, 0..1, 1).unwrap().remove(0);
    let note = LogNote::decode(&first.body).unwrap();
    assert_eq!(note.after, Some(after));
    let vkey = logs.vkey(&LOG).unwrap().parse().unwrap();
    assert!(SignedCheckpoint::open(&note.after.unwrap().checkpoint.unwrap(), &logs.origin(&LOG), &[vkey]).is_ok());
}

#[test]
fn a_moved_folder_is_the_same_log() {
    let mut fixture = Fixture::in_folder(options());
    let logs = fixture.logs();
    logs.create(LOG).unwrap();
    logs.create(OTHER).unwrap();
    let heads = days(&logs, &fixture.clock, 3);
    logs.prune(&LOG, 256, "space", "ann").unwrap();
    drop(logs);
    fixture.close();
    let elsewhere = tempfile::tempdir().unwrap();
    copy_folder(fixture.folder(), elsewhere.path());
    std::fs::remove_dir_all(fixture.folder()).unwrap();
    let below = |name: &str| -> Arc<dyn Store> {
        Arc::new(log::store::embedded::FolderStore::new(elsewhere.path().join(name)))
    };
    let (clock, entropy) = (fixture.clock.clone(), fixture.entropy.clone());
    let seed = InstanceSeed::new(SEED);
    let logs = Logs::open(below("log"), below("signer"), seed, HOST, options(), clock, entropy).unwrap();
    assert_eq!(logs.state(&LOG).unwrap(), LogState::Open);
    let now = logs.head(&LOG).unwrap();
    for (size, root) in &heads {
        let proof = logs.prove_consistency(&LOG, *size, now.size).unwrap();
        verify_consistency(*size, root, now.size, &now.root, &proof).unwrap();
    }
    logs.append_blocking(LOG, vec![event(77_777)]).unwrap();
    logs.shutdown();
    let report = fsck::verify_folder(&below("log"), Some(&below("signer")), &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
}

fn open(store: &Arc<dyn Store>, signer: &Arc<dyn Store>, seed: u64) -> log::Result<Logs> {
    let clock = Arc::new(ManualClock::new(START_US));
    let entropy = Arc::new(SeededEntropy::new(seed));
    let options = Options { commit_file_bytes: 12_000, block_bytes: 1_000, ..Options::default() };
    Logs::open(Arc::clone(store), Arc::clone(signer), InstanceSeed::new(SEED), HOST, options, clock, entropy)
}

/// The process dies at every call of a pruning and a closing: the log verifies before and after the next opening, and what
/// was answered was done.
#[test]
fn a_pruning_or_closing_that_dies_at_any_call_leaves_a_log_that_verifies() {
    let (memory, signer_memory) = (MemoryStore::new(), MemoryStore::new());
    let inner: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(memory.clone()), Arc::new(signer_memory.clone()));
    Logs::create_folder(&inner.0, &inner.1, HOST).unwrap();
    let logs = open(&inner.0, &inner.1, 1).unwrap();
    logs.create(LOG).unwrap();
    logs.create(OTHER).unwrap();
    for batch in 0..4_u64 {
        let entries: Vec<NewEntry> = (batch * 80..batch * 80 + 80).map(event).collect();
        logs.append_blocking(LOG, entries).unwrap();
        logs.append_blocking(OTHER, (batch * 9..batch * 9 + 9).map(event).collect()).unwrap();
    }
    logs.shutdown();
    let run = |fail_at: u64| {
        let (memory, signer) = (memory.crashed(Survival::Everything), signer_memory.crashed(Survival::Everything));
        let plan = Plan::new(fail_at, Fault::Death);
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::new(memory.clone()), &plan));
        let guarded: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::new(signer.clone()), &plan));
        let mut done = (false, false);
        if let Ok(logs) = open(&store, &guarded, 2) {
            done.0 = logs.prune(&LOG, 256, "space", "ann").is_ok();
            done.1 = logs.close(&LOG, "over", "ann").is_ok();
            logs.shutdown();
        }
        (memory, signer, done, plan.calls())
    };
    let (.., done, calls) = run(0);
    assert_eq!(done, (true, true));
    for fail_at in 1..=calls {
        let (memory, signer, done, _) = run(fail_at);
        for survival in [Survival::Nothing, Survival::Everything, Survival::Some(fail_at)] {
            let context = format!("call {fail_at}, {survival:?}");
            let (store, signer): (Arc<dyn Store>, Arc<dyn Store>) =
                (Arc::new(memory.crashed(survival)), Arc::new(signer.crashed(survival)));
            let before = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
            assert_ne!(before.verdict(), Verdict::Tainted, "{context}: before opening: {before:?}");
            let logs = open(&store, &signer, 3).unwrap_or_else(|err| panic!("{context}: {err}"));
            let state = logs.state(&LOG).unwrap();
            assert!(state.is_sound(), "{context}: {state:?}");
            assert!(!done.0 || logs.minimum_index(&LOG).unwrap() == 256, "{context}");
            assert!(!done.1 || state != LogState::Open, "{context}");
            assert_eq!(logs.read(&OTHER, 0..u64::MAX, usize::MAX).unwrap().len(), 37, "{context}");
            logs.shutdown();
            let after = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
            assert_eq!(after.verdict(), Verdict::Verified, "{context}: {after:?}");
        }
    }
}

/// Erasing in a segment that was pruned keeps every other entry in its place.
#[test]
fn what_is_left_of_a_pruned_segment_is_erased_like_anything_else() {
    let fixture = Fixture::in_memory(Options { commit_file_bytes: 200_000, block_bytes: 2_000, ..Options::default() });
    let logs = fixture.logs();
    logs.create(OTHER).unwrap();
    logs.create(LOG).unwrap();
    days(&logs, &fixture.clock, 5);
    logs.prune(&LOG, 512, "space", "ann").unwrap();
    let before = logs.read(&LOG, 512..u64::MAX, usize::MAX).unwrap();
    let others = logs.read(&OTHER, 0..u64::MAX, usize::MAX).unwrap();
    let order = log::Erasure {
        numbers: vec![520, 600],
        ground: "GDPR article 17".into(),
        ordered_by: "the person concerned".into(),
        carried_out_by: "ann".into(),
    };
    logs.erase(&LOG, &order).unwrap();
    let after = logs.read(&LOG, 512..u64::MAX, usize::MAX).unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.index, before.id), (after.index, after.id));
        assert_eq!(after.state.is_erased(), [520, 600].contains(&after.number));
        assert!(after.state.is_erased() || before.body == after.body);
    }
    let again = logs.read(&OTHER, 0..u64::MAX, usize::MAX).unwrap();
    assert!(others.iter().zip(&again).all(|(before, after)| before.body == after.body && before.salt == after.salt));
    let report = verify(&fixture);
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
}
