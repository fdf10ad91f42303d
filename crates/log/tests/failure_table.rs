//! Every call to the stores fails in turn, in every way, under a scripted workload; then the folder is opened again.
//!
//! Goal: whatever was acknowledged is there, once, in order; no half batch; never two roots for one size; fsck agrees.
//! Method: the workload runs over stores in memory behind a plan that makes call number n go wrong. After it, the process
//! is gone (with a power cut, or without), and the real store is opened without faults.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{HOST, LOG, SEED, START_US, event};
use log::fsck::{self, Verdict};
use log::store::Store;
use log::store::faulty::{Fault, FaultyStore, Plan};
use log::store::memory::{MemoryStore, Survival};
use log::{Error, InstanceSeed, LogId, LogState, Logs, ManualClock, NewEntry, Options, RecordState, SeededEntropy};
use tlog::Hash;
use tlog::checkpoint::SignedCheckpoint;
use tlog::note::VerifierKey;

const OTHER: LogId = LogId([8; 16]);
const BATCHES: u64 = 10;

fn options() -> Options {
    Options { commit_file_bytes: 6_000, block_bytes: 1_000, ..Options::default() }
}

fn open(store: Arc<dyn Store>, signer: Arc<dyn Store>, seed: u64) -> log::Result<Logs> {
    let clock = Arc::new(ManualClock::new(START_US));
    Logs::open(store, signer, InstanceSeed::new(SEED), HOST, options(), clock, Arc::new(SeededEntropy::new(seed)))
}

/// What the workload was told.
#[derive(Default)]
struct Told {
    /// Event numbers acknowledged, with their indexes, per log.
    acknowledged: BTreeMap<LogId, Vec<(u64, u64)>>,
    /// Heads seen.
    heads: Vec<(LogId, u64, Hash)>,
}

/// Batches of three events to two logs, reading heads in between; reopens half-way. All the while somebody else polls the
/// checkpoints.
fn workload(store: &Arc<dyn Store>, signer: &Arc<dyn Store>, told: &mut Told) -> Result<(), Error> {
    for half in 0..2 {
        let logs = open(Arc::clone(store), Arc::clone(signer), half)?;
        let done = AtomicBool::new(false);
        let (result, polled) = std::thread::scope(|scope| {
            let poller = scope.spawn(|| poll(&logs, &done));
            let result = half_of_it(&logs, half, told);
            done.store(true, Ordering::SeqCst);
            (result, poller.join().unwrap())
        });
        told.heads.extend(polled);
        result?;
        logs.shutdown();
    }
    Ok(())
}

/// What a client sees that asks for the checkpoints again and again, until it is done.
fn poll(logs: &Logs, done: &AtomicBool) -> Vec<(LogId, u64, Hash)> {
    let mut seen = BTreeMap::new();
    loop {
        let last_look = done.load(Ordering::SeqCst);
        for id in [LOG, OTHER] {
            if let Ok(head) = logs.head(&id).map_err(drop)
                && seen.get(&(id, head.size)) != Some(&head.root)
            {
                let key: VerifierKey = logs.vkey(&id).unwrap().parse().unwrap();
                let signed = SignedCheckpoint::open(&head.checkpoint, &logs.origin(&id), &[key]).unwrap();
                let before = seen.insert((id, signed.checkpoint.size), signed.checkpoint.root);
                assert!(before.is_none_or(|root| root == signed.checkpoint.root), "two roots for one size");
            }
        }
        if last_look {
            return seen.into_iter().map(|((id, size), root)| (id, size, root)).collect();
        }
        std::thread::yield_now();
    }
}

fn half_of_it(logs: &Logs, half: u64, told: &mut Told) -> Result<(), Error> {
    for id in [LOG, OTHER] {
        if half == 0 {
            logs.create(id)?;
        }
    }
    for batch in 0..BATCHES {
        for id in [LOG, OTHER] {
            let first = (half * BATCHES + batch) * 3;
            let entries: Vec<NewEntry> = (first..first + 3).map(event).collect();
            let places = logs.append_blocking(id, entries)?;
            let numbers = (first..).zip(places.iter().map(|place| place.index));
            told.acknowledged.entry(id).or_default().extend(numbers);
            let head = logs.head(&id)?;
            told.heads.push((id, head.size, head.root));
        }
    }
    Ok(())
}

fn check_after(store: &MemoryStore, signer: &MemoryStore, told: &Told, context: &str) {
    let (store, signer): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(store.clone()), Arc::new(signer.clone()));
    let before = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
    assert_ne!(before.verdict(), Verdict::Tainted, "{context}: before opening: {before:?}");
    let logs = match open(Arc::clone(&store), Arc::clone(&signer), 99) {
        Ok(logs) => logs,
        Err(err) => panic!("{context}: does not open: {err}"),
    };
    for id in [LOG, OTHER] {
        let acknowledged = told.acknowledged.get(&id).map_or(&[][..], |list| list);
        if acknowledged.is_empty() && !logs.ids().contains(&id) {
            continue;
        }
        assert_eq!(logs.state(&id).unwrap(), LogState::Open, "{context}");
        let records = logs.read(&id, 0..u64::MAX, usize::MAX).unwrap();
        assert!(logs.verify_records(&id, &records).iter().all(|state| *state == RecordState::Verified), "{context}");
        for (number, index) in acknowledged {
            assert_eq!(records[*index as usize].body.as_ref(), event(*number).body, "{context}: number {number}");
        }
        // Whole batches only, each event once.
        assert_eq!(records.len() % 3, 1, "{context}: a half batch");
        let mut ids: Vec<[u8; 16]> = records[1..].iter().map(|record| record.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), records.len() - 1, "{context}: an event is there twice");
        for (_, size, root) in told.heads.iter().filter(|(of, ..)| *of == id) {
            assert_eq!(logs.root_at(&id, *size).unwrap(), *root, "{context}: two roots for size {size}");
        }
        // The log goes on, and sending again adds nothing that is there.
        let again = logs.append_blocking(id, (0..3).map(event).collect()).unwrap();
        assert!(again.iter().all(|place| place.duplicate) == (records.len() > 1), "{context}");
    }
    logs.shutdown();
    let after = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
    let expected = if after.logs.is_empty() { after.verdict() } else { Verdict::Verified };
    assert_eq!(after.verdict(), expected, "{context}: after: {after:?}");
}

fn run_with(fail_at: u64, fault: Fault) -> (MemoryStore, MemoryStore, Told, Arc<Plan>) {
    let (memory, signer_memory) = (MemoryStore::new(), MemoryStore::new());
    let inner: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(memory.clone()), Arc::new(signer_memory.clone()));
    Logs::create_folder(&inner.0, &inner.1, HOST).unwrap();
    let plan = Plan::new(fail_at, fault);
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(inner.0, &plan));
    let signer: Arc<dyn Store> = Arc::new(FaultyStore::new(inner.1, &plan));
    let mut told = Told::default();
    let result = workload(&store, &signer, &mut told);
    assert!(fail_at != 0 || result.is_ok(), "without a fault: {result:?}");
    (memory, signer_memory, told, plan)
}

fn every_call_fails(fault: Fault) {
    let (_, _, told, plan) = run_with(0, fault);
    assert_eq!(told.acknowledged[&LOG].len() as u64, 2 * BATCHES * 3);
    let calls = plan.calls();
    assert!(calls > 100, "{calls} calls");
    // Sealing runs beside the writer, so a call's number is not quite the same from run to run: all are met anyway.
    for fail_at in 1..=calls {
        let (store, signer, told, plan) = run_with(fail_at, fault);
        let call = plan.log().get(fail_at as usize - 1).cloned().unwrap_or_default();
        for survival in
            [Survival::Nothing, Survival::Everything, Survival::Some(fail_at), Survival::Some(fail_at + 7777)]
        {
            let context = format!("{fault:?} at call {fail_at} ({call}), {survival:?}");
            check_after(&store.crashed(survival), &signer.crashed(survival), &told, &context);
        }
    }
}

#[test]
fn every_call_fails_before_it_is_done() {
    every_call_fails(Fault::Before);
}

#[test]
fn every_call_fails_after_it_is_done() {
    every_call_fails(Fault::After);
}

#[test]
fn every_write_is_cut_short() {
    every_call_fails(Fault::Half);
}

#[test]
fn the_process_dies_at_every_call() {
    every_call_fails(Fault::Death);
}

#[test]
fn the_process_dies_in_the_middle_of_every_write() {
    every_call_fails(Fault::DeathHalf);
}

#[test]
fn the_disk_is_full_from_every_call_on() {
    every_call_fails(Fault::DiskFull);
}

#[test]
fn appends_resume_when_a_full_disk_has_room_again() {
    let (memory, signer_memory) = (MemoryStore::new(), MemoryStore::new());
    let inner: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(memory.clone()), Arc::new(signer_memory.clone()));
    Logs::create_folder(&inner.0, &inner.1, HOST).unwrap();
    let logs = open(Arc::clone(&inner.0), Arc::clone(&inner.1), 1).unwrap();
    logs.create(LOG).unwrap();
    logs.shutdown();
    // Only the log's own store is full; the first write after opening meets it.
    let plan = Plan::new(1, Fault::Before);
    let counting: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&inner.0), &Plan::new(0, Fault::Before)));
    drop(counting);
    drop(plan);
    let calls_to_open = {
        let plan = Plan::new(0, Fault::Before);
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&inner.0), &plan));
        open(store, Arc::clone(&inner.1), 2).unwrap().shutdown();
        plan.calls()
    };
    let plan = Plan::new(calls_to_open + 1, Fault::DiskFull);
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&inner.0), &plan));
    let logs = open(store, Arc::clone(&inner.1), 3).unwrap();
    for number in 0..5 {
        let refused = logs.append_blocking(LOG, vec![event(number)]);
        assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("disk is full")), "{refused:?}");
        assert_eq!(logs.read(&LOG, 0..9, 1000).unwrap().len(), 1, "reads go on");
    }
    plan.heal();
    let place = logs.append_blocking(LOG, vec![event(0)]).unwrap()[0];
    assert_eq!((place.index, place.duplicate), (1, false));
    logs.shutdown();
    let report = fsck::verify_folder(&inner.0, Some(&inner.1), &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
}

#[test]
fn after_a_failed_sync_nothing_is_appended_any_more_and_reads_go_on() {
    let (_, _, _, plan) = run_with(0, Fault::Before);
    let is_sync = |call: &String| call.starts_with("sync ");
    let in_batches = plan.log().iter().enumerate().filter(|(_, call)| is_sync(call)).map(|(n, _)| n as u64 + 1).nth(9);
    let fail_at = in_batches.unwrap();
    let (memory, signer_memory) = (MemoryStore::new(), MemoryStore::new());
    let inner: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(memory), Arc::new(signer_memory));
    Logs::create_folder(&inner.0, &inner.1, HOST).unwrap();
    let plan = Plan::new(fail_at, Fault::Before);
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(inner.0, &plan));
    let signer: Arc<dyn Store> = Arc::new(FaultyStore::new(inner.1, &plan));
    let logs = open(store, signer, 0).unwrap();
    logs.create(LOG).unwrap();
    let mut number = 0;
    let stopped = loop {
        match logs.append_blocking(LOG, vec![event(number)]) {
            Ok(_) => number += 1,
            Err(err) => break err,
        }
        assert!(number < 1000, "the fault was never met");
    };
    assert!(matches!(&stopped, Error::Unavailable(why) if why.contains("restart")), "{stopped:?}");
    assert!(matches!(logs.append_blocking(LOG, vec![event(5000)]), Err(Error::Unavailable(_))));
    assert_eq!(logs.read(&LOG, 0..u64::MAX, usize::MAX).unwrap().len() as u64, number + 1);
    assert!(logs.stats().stopped.is_some());
}

#[test]
fn reads_go_on_while_the_disk_hangs() {
    let (memory, signer_memory) = (MemoryStore::new(), MemoryStore::new());
    let inner: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(memory), Arc::new(signer_memory));
    Logs::create_folder(&inner.0, &inner.1, HOST).unwrap();
    let logs = open(Arc::clone(&inner.0), Arc::clone(&inner.1), 0).unwrap();
    logs.create(LOG).unwrap();
    logs.append_blocking(LOG, vec![event(0)]).unwrap();
    logs.shutdown();
    let plan = Plan::new(0, Fault::Hang);
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&inner.0), &plan));
    open(store, Arc::clone(&inner.1), 0).unwrap().shutdown();
    let plan = Plan::new(plan.calls() + 2, Fault::Hang);
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&inner.0), &plan));
    let logs = open(store, Arc::clone(&inner.1), 0).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| logs.append_blocking(LOG, vec![event(1)]));
        while plan.log().last().is_none_or(|call| !call.starts_with("sync ")) {
            std::thread::yield_now();
        }
        assert_eq!(logs.read(&LOG, 0..u64::MAX, usize::MAX).unwrap().len(), 2);
        assert_eq!(logs.head(&LOG).unwrap().size, 2);
        assert!(!writer.is_finished(), "nothing is acknowledged before it is on disk");
        plan.heal();
        assert_eq!(writer.join().unwrap().unwrap()[0].index, 2);
    });
}
