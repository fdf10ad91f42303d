//! A process that appends is killed at random moments; whatever it was told is appended is there, once, in order.
//!
//! Thirty kills by default; `COUNTERFOIL_KILLS=200` for more. A kill is not a power cut (the kernel lives on): those are in
//! `failure_table.rs`, over a store that forgets what was not synced.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use log::fsck::{self, Verdict};
use log::store::Store;
use log::store::embedded::FolderStore;
use log::{InstanceSeed, LogId, LogState, Logs, Options, SeededEntropy, SystemClock, SystemEntropy};
use tlog::Hash;

fn stores(root: &Path) -> (Arc<dyn Store>, Arc<dyn Store>) {
    (Arc::new(FolderStore::new(root.join("log"))), Arc::new(FolderStore::new(root.join("signer"))))
}

fn open(root: &Path) -> Logs {
    let (store, signer) = stores(root);
    let options = Options { commit_file_bytes: 200_000, ..Options::default() };
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    Logs::open(store, signer, InstanceSeed::new([7; 32]), "audit.example.org", options, clock, entropy).unwrap()
}

/// Cargo builds examples with the tests, beside them, but does not say where.
fn writer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let writer = profile.join("examples/log_crash_writer");
    assert!(writer.exists(), "{} is built with the tests; run all targets", writer.display());
    writer
}

#[test]
fn every_acknowledged_event_survives_every_kill_once_and_in_order() {
    let kills: u64 = std::env::var("COUNTERFOIL_KILLS").map_or(30, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let (store, signer) = stores(root);
    Logs::create_folder(&store, &signer, "audit.example.org").unwrap();
    let logs = open(root);
    for log in 0..3 {
        logs.create(LogId([log; 16])).unwrap();
    }
    logs.shutdown();

    let moments = SeededEntropy::new(kills);
    let mut acknowledged: BTreeMap<(LogId, u64), u64> = BTreeMap::new();
    let mut heads: BTreeMap<(LogId, u64), Hash> = BTreeMap::new();
    for round in 1..=kills {
        let mut child = Command::new(writer()).arg(root).arg(round.to_string()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready", "round {round}");
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<String>>());
        // When the kill falls is up to the machine; the seed only spreads it.
        std::thread::sleep(Duration::from_micros(moments.below(40_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [log, number, index] = fields[..] else { continue };
            let (Ok(log), Ok(number), Ok(index)) = (log.parse(), number.parse(), index.parse()) else { continue };
            assert_eq!(acknowledged.insert((log, number), index), None, "round {round}: acknowledged twice");
        }
        check(root, &acknowledged, &mut heads, round);
    }
    assert!(acknowledged.len() as u64 > kills * 7, "{} events in {kills} rounds", acknowledged.len());
    let report = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
}

fn check(
    root: &Path,
    acknowledged: &BTreeMap<(LogId, u64), u64>,
    heads: &mut BTreeMap<(LogId, u64), Hash>,
    round: u64,
) {
    let logs = open(root);
    for log in 0..3 {
        let id = LogId([log; 16]);
        assert_eq!(logs.state(&id).unwrap(), LogState::Open, "round {round}");
        let head = logs.head(&id).unwrap();
        assert_eq!((head.size - 1) % 7, 0, "round {round}: a half batch");
        for ((of, number), index) in acknowledged.iter().filter(|((of, _), _)| *of == id) {
            let records = logs.read(of, *index..index + 1, 1).unwrap();
            let body = String::from_utf8(records[0].body.to_vec()).unwrap();
            assert!(body.starts_with(&format!("event {number} ")), "round {round}: number {number} at {index}");
        }
        heads.insert((id, head.size), head.root);
        for ((_, size), root) in heads.iter().filter(|((of, _), _)| *of == id) {
            assert_eq!(logs.root_at(&id, *size).unwrap(), *root, "round {round}: two roots for size {size}");
        }
    }
    logs.shutdown();
}
