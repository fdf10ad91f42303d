//! A flipped byte anywhere in a folder is reported, by verification, with the first damaged number; opening never panics.

mod common;

use std::sync::Arc;

use common::{Fixture, LOG, event};
use log::fsck::{self, Verdict};
use log::store::Store;
use log::store::memory::{MemoryStore, Survival};
use log::{LogId, Options};

const OTHER: LogId = LogId([9; 16]);

/// A folder with several segments, an unsealed commit file, two logs and archived checkpoints.
fn folder() -> Fixture {
    let mut fixture =
        Fixture::in_memory(Options { commit_file_bytes: 60_000, block_bytes: 8_000, ..Options::default() });
    fixture.logs().create(LOG).unwrap();
    fixture.logs().create(OTHER).unwrap();
    for batch in 0..20_u64 {
        fixture.logs().append_blocking(LOG, (0..30).map(|i| event(batch * 30 + i)).collect()).unwrap();
        fixture.logs().append_blocking(OTHER, vec![event(batch)]).unwrap();
        fixture.clock.advance(5 * 3_600 * 1_000_000);
    }
    fixture.close();
    fixture.reopen();
    fixture.close();
    fixture
}

fn verdict(store: &MemoryStore, signer: &MemoryStore) -> fsck::Report {
    let (store, signer): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(store.clone()), Arc::new(signer.clone()));
    fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ())
}

/// Positions worth flipping: all near the ends, where headers and footers are, and a spread of others.
fn positions(len: usize) -> Vec<usize> {
    let near_ends = (0..len.min(100)).chain(len.saturating_sub(140)..len);
    let spread = (0..len).step_by((len / 90).max(1));
    let mut positions: Vec<usize> = near_ends.chain(spread).collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

#[test]
fn a_flipped_byte_in_any_file_is_reported_and_named() {
    let fixture = folder();
    let (store, signer) = fixture.memory();
    let clean = verdict(store, signer);
    assert_eq!(clean.verdict(), Verdict::Verified, "{clean:?}");
    assert_eq!(clean.bytes_read, clean.bytes_expected);
    let contents = store.contents();
    let kinds: Vec<&str> = contents.keys().filter_map(|path| path.split('/').next()).collect();
    assert!(["commit", "segment", "checkpoint"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let mut flipped = 0;
    for (path, bytes) in &contents {
        if path.starts_with("ids/") || path == "reserve" {
            continue;
        }
        let file = store.open(path).unwrap();
        for at in positions(bytes.len()) {
            file.write_all_at(&[bytes[at] ^ 1 << (at % 8)], at as u64).unwrap();
            let report = verdict(store, signer);
            assert_ne!(report.verdict(), Verdict::Verified, "{path} byte {at}");
            let holds_records = path.starts_with("commit/") || path.starts_with("segment/");
            assert!(!holds_records || report.first_damaged().is_some(), "{path} byte {at}: {report:?}");
            file.write_all_at(&[bytes[at]], at as u64).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 1_500, "{flipped}");
    assert_eq!(verdict(store, signer).verdict(), Verdict::Verified, "every flip was taken back");
}

#[test]
fn a_flipped_byte_of_a_body_names_exactly_its_record() {
    let fixture = folder();
    let (store, signer) = fixture.memory();
    let contents = store.contents();
    let (path, bytes) = contents.iter().rfind(|(path, _)| path.starts_with("commit/")).unwrap();
    let text = b"{\"event\":590,";
    let at = bytes.windows(text.len()).position(|window| window == text).expect("the last batch is not sealed");
    let file = store.open(path).unwrap();
    file.write_all_at(b"[", at as u64).unwrap();
    let report = verdict(store, signer);
    let log = report.logs.iter().find(|log| log.log == LOG).unwrap();
    let of_record: Vec<_> = log.divergences.iter().filter(|found| found.reason == log::Reason::RecordChanged).collect();
    assert_eq!(of_record.len(), 1, "{report:?}");
    assert_eq!(of_record[0].number, Some(592), "event 590 is at index 591");
    assert_eq!(report.first_damaged(), Some((LOG, 592)));
}

#[test]
fn a_damaged_folder_opens_without_a_panic_and_good_logs_go_on() {
    let fixture = folder();
    let (store, signer) = fixture.memory();
    let contents = store.contents();
    let mut still_open = 0;
    for (path, bytes) in &contents {
        for at in positions(bytes.len()).into_iter().step_by(9) {
            let (store, signer) = (store.crashed(Survival::Everything), signer.crashed(Survival::Everything));
            store.open(path).unwrap().write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
            let (store, signer): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(store), Arc::new(signer));
            let Ok(logs) = open(&fixture, store, signer) else { continue };
            for id in logs.ids() {
                if logs.state(&id).unwrap() == log::LogState::Open {
                    logs.append_blocking(id, vec![event(10_000)]).map(|_| still_open += 1).unwrap_or_default();
                }
                let records = logs.read(&id, 0..u64::MAX, usize::MAX).unwrap_or_default();
                assert_eq!(logs.verify_records(&id, &records).len(), records.len());
            }
            logs.shutdown();
        }
    }
    assert!(still_open > 50, "{still_open}");
}

fn open(fixture: &Fixture, store: Arc<dyn Store>, signer: Arc<dyn Store>) -> log::Result<log::Logs> {
    let seed = log::InstanceSeed::new(common::SEED);
    let (clock, entropy) = (fixture.clock.clone(), fixture.entropy.clone());
    log::Logs::open(store, signer, seed, common::HOST, fixture.options.clone(), clock, entropy)
}
