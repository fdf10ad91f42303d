//! Rows of the attack table (`specs/proofs.md` §12), each carried out on a real folder by somebody who knows the format.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::folder::copy_folder;
use common::{Fixture, HOST, LOG, SEED, event};
use log::fsck::{self, Report, Verdict};
use log::store::Store;
use log::store::embedded::FolderStore;
use log::{LogId, LogState, Logs, NewEntry, Options, ReadOnlyReason, Reason, RecordState};

const OTHER: LogId = LogId([9; 16]);

fn folder(commit_file_bytes: u64) -> Fixture {
    let mut fixture = Fixture::in_folder(Options { commit_file_bytes, block_bytes: 2_000, ..Options::default() });
    fixture.logs().create(LOG).unwrap();
    append(&fixture, 0..300);
    fixture.close();
    fixture
}

fn append(fixture: &Fixture, events: std::ops::Range<u64>) {
    for number in events.step_by(10) {
        let entries: Vec<NewEntry> = (number..number + 10).map(event).collect();
        fixture.logs().append_blocking(LOG, entries).unwrap();
    }
}

fn stores(root: &Path) -> (Arc<dyn Store>, Arc<dyn Store>) {
    (Arc::new(FolderStore::new(root.join("log"))), Arc::new(FolderStore::new(root.join("signer"))))
}

fn verify(root: &Path) -> Report {
    verify_with(root, &fsck::Request::default())
}

fn verify_with(root: &Path, request: &fsck::Request) -> Report {
    let (store, signer) = stores(root);
    fsck::verify_folder(&store, Some(&signer), request, &|_| ())
}

fn reasons(report: &Report) -> Vec<(Option<u64>, Reason)> {
    report.logs.iter().flat_map(|log| &log.divergences).map(|found| (found.number, found.reason)).collect()
}

fn the_commit_file(root: &Path) -> PathBuf {
    let files: Vec<PathBuf> = std::fs::read_dir(root.join("log/commit")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

/// A group of a commit file, as this test reads it by `docs/format.md`: offset of its frame and its payload.
fn groups(bytes: &[u8]) -> Vec<(usize, std::ops::Range<usize>)> {
    let mut at = 32;
    let mut groups = Vec::new();
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at + 12..at + 16].try_into().unwrap()) as usize;
        groups.push((at, at + 32..at + 32 + length));
        at += 32 + length;
    }
    groups
}

/// Makes the check values of a group right again, as an attacker who knows the format does.
fn fix_checks(bytes: &mut [u8], frame: usize, payload: std::ops::Range<usize>) {
    let crc = crc32c::crc32c(&bytes[payload]);
    bytes[frame + 20..frame + 24].copy_from_slice(&crc.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[frame..frame + 28]);
    bytes[frame + 28..frame + 32].copy_from_slice(&crc.to_be_bytes());
}

fn group_of(bytes: &[u8], at: usize) -> (usize, std::ops::Range<usize>) {
    groups(bytes).into_iter().find(|(_, payload)| payload.contains(&at)).unwrap()
}

fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

/// Row 1: change a stored body, check values included.
#[test]
fn a_changed_body_is_found_on_read_and_on_a_whole_run() {
    let mut fixture = folder(1 << 20);
    let path = the_commit_file(fixture.folder());
    let mut bytes = std::fs::read(&path).unwrap();
    let at = find(&bytes, "{\"event\":137,");
    bytes[at + 9] = b'2';
    let (frame, payload) = group_of(&bytes, at);
    fix_checks(&mut bytes, frame, payload);
    std::fs::write(&path, bytes).unwrap();
    let report = verify(fixture.folder());
    assert_eq!(report.verdict(), Verdict::Tainted);
    assert_eq!(reasons(&report), [(Some(139), Reason::RecordChanged)]);
    assert_eq!(report.first_damaged(), Some((LOG, 139)));

    fixture.reopen();
    let logs = fixture.logs();
    let records = logs.read(&LOG, 130..150, usize::MAX).unwrap();
    for (record, state) in records.iter().zip(logs.verify_records(&LOG, &records)) {
        let expected =
            if record.number == 139 { RecordState::Tainted(Reason::RecordChanged) } else { RecordState::Verified };
        assert_eq!(state, expected, "number {}", record.number);
    }
}

/// Row 2: change the body and its leaf hash.
#[test]
fn a_changed_body_with_its_leaf_hash_fails_its_root() {
    let mut fixture = folder(1 << 20);
    let path = the_commit_file(fixture.folder());
    let mut bytes = std::fs::read(&path).unwrap();
    forge_record(&mut bytes, 137);
    std::fs::write(&path, bytes).unwrap();
    let report = verify(fixture.folder());
    assert_eq!(report.verdict(), Verdict::Tainted);
    assert!(reasons(&report).iter().any(|(_, reason)| *reason == Reason::RootMismatch), "{report:?}");
    assert!(fixture_state(&mut fixture, ReadOnlyReason::Forked));
}

/// Changes event `number` and recomputes its leaf hash and all check values. Answers with its index.
fn forge_record(bytes: &mut [u8], number: u64) -> u64 {
    let at = find(bytes, &format!("{{\"event\":{number},"));
    bytes[at + 9] = b'2';
    let (frame, payload) = group_of(bytes, at);
    let first = u64::from_be_bytes(bytes[payload.start + 20..payload.start + 28].try_into().unwrap());
    let count = u32::from_be_bytes(bytes[payload.start + 28..payload.start + 32].try_into().unwrap()) as usize;
    let record = at - 48;
    let place = (number + 1 - first) as usize;
    let length = u32::from_be_bytes(bytes[record + 4..record + 8].try_into().unwrap());
    let salt: [u8; 16] = bytes[record + 32..record + 48].try_into().unwrap();
    let commitment = tlog::commitment(&salt, &bytes[at..at + length as usize]);
    let entry = tlog::entry::Entry {
        kind: tlog::entry::Kind::Event,
        body_bytes: length,
        index: number + 1,
        number: number + 2,
        received_at_us: u64::from_be_bytes(bytes[record + 8..record + 16].try_into().unwrap()),
        id: bytes[record + 16..record + 32].try_into().unwrap(),
        payload: tlog::entry::Payload::Committed { commitment },
    };
    let leaves = payload.end - 32 * count;
    bytes[leaves + 32 * place..leaves + 32 * place + 32].copy_from_slice(&entry.leaf_hash().0);
    fix_checks(bytes, frame, payload);
    number + 1
}

fn fixture_state(fixture: &mut Fixture, expected: ReadOnlyReason) -> bool {
    fixture.reopen();
    let logs = fixture.logs();
    assert!(logs.append_blocking(LOG, vec![event(9_999)]).is_err(), "a read-only log takes nothing");
    assert!(!logs.read(&LOG, 0..10, usize::MAX).unwrap().is_empty(), "and is still read");
    matches!(logs.state(&LOG).unwrap(), LogState::ReadOnly { reason, .. } if reason == expected)
}

/// Row 3: change body, leaf, and every tile above, in a sealed segment, without the key.
#[test]
fn a_forged_segment_with_consistent_tiles_has_another_root_than_the_checkpoint() {
    // The forger writes the same log again, with one event changed, under another key; then puts those files in place.
    let genuine = folder(20_000);
    let mut forged =
        Fixture::in_folder(Options { commit_file_bytes: 20_000, block_bytes: 2_000, ..Options::default() });
    forged.logs().create(LOG).unwrap();
    for number in (0..300_u64).step_by(10) {
        let mut entries: Vec<NewEntry> = (number..number + 10).map(event).collect();
        if number == 20 {
            entries[3].body[1] = b'E';
        }
        forged.logs().append_blocking(LOG, entries).unwrap();
    }
    forged.close();
    for dir in ["segment", "commit"] {
        for entry in std::fs::read_dir(genuine.folder().join("log").join(dir)).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for entry in std::fs::read_dir(forged.folder().join("log").join(dir)).unwrap() {
            let path = entry.unwrap().path();
            let to = genuine.folder().join("log").join(dir).join(path.file_name().unwrap());
            std::fs::copy(&path, to).unwrap();
        }
    }
    let report = verify(genuine.folder());
    assert_eq!(report.verdict(), Verdict::Tainted);
    assert!(reasons(&report).iter().any(|(_, reason)| *reason == Reason::RootMismatch), "{report:?}");
    let mut genuine = genuine;
    assert!(fixture_state(&mut genuine, ReadOnlyReason::Forked));
}

/// Row 4: delete a record in the middle: a whole group is cut out, numbers of groups made to follow.
#[test]
fn a_record_cut_out_of_the_middle_is_missing() {
    let mut fixture = folder(1 << 20);
    let path = the_commit_file(fixture.folder());
    let mut bytes = std::fs::read(&path).unwrap();
    let (start, payload) = groups(&bytes)[10].clone();
    bytes.drain(start..payload.end);
    for (position, (frame, payload)) in groups(&bytes).into_iter().enumerate() {
        bytes[frame + 4..frame + 12].copy_from_slice(&(position as u64 + 1).to_be_bytes());
        fix_checks(&mut bytes, frame, payload);
    }
    std::fs::write(&path, bytes).unwrap();
    let report = verify(fixture.folder());
    assert_eq!(report.verdict(), Verdict::Tainted);
    let missing: Vec<u64> =
        reasons(&report).iter().filter(|(_, why)| *why == Reason::RecordMissing).filter_map(|(n, _)| *n).collect();
    assert_eq!(missing, (92..102).collect::<Vec<u64>>());
    assert_eq!(report.first_damaged(), Some((LOG, 92)));
    assert!(fixture_state(&mut fixture, ReadOnlyReason::Damaged));
}

/// Row 6: cut the sealed tail.
#[test]
fn a_cut_tail_is_shorter_than_the_signers_record() {
    let mut fixture = folder(1 << 20);
    let path = the_commit_file(fixture.folder());
    let mut bytes = std::fs::read(&path).unwrap();
    let cut_at = groups(&bytes)[25].0;
    bytes.truncate(cut_at);
    std::fs::write(&path, bytes).unwrap();
    let report = verify(fixture.folder());
    assert_eq!(report.verdict(), Verdict::Tainted);
    assert!(reasons(&report).contains(&(Some(242), Reason::Truncated)), "{report:?}");
    assert!(fixture_state(&mut fixture, ReadOnlyReason::Truncated));
}

/// Row 6 again: the checkpoint is cut back too, but not the signer's record.
#[test]
fn a_tail_cut_with_its_checkpoint_is_shorter_than_the_signers_record() {
    let mut fixture = folder(1 << 20);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(fixture.folder(), copy.path());
    fixture.reopen();
    append(&fixture, 300..400);
    fixture.close();
    std::fs::remove_dir_all(fixture.folder().join("log")).unwrap();
    copy_folder(&copy.path().join("log"), &fixture.folder().join("log"));
    let report = verify(fixture.folder());
    assert_eq!(report.verdict(), Verdict::Tainted, "the signer remembers size 401");
    assert!(fixture_state(&mut fixture, ReadOnlyReason::Truncated));
}

/// Row 7: cut the unsealed tail. Nothing is acknowledged before it is sealed, so there is none to cut: whatever a receipt
/// was given for is covered by the signer's record.
#[test]
fn every_acknowledged_entry_is_covered_by_a_signed_head() {
    let mut fixture = folder(1 << 20);
    fixture.reopen();
    let places = fixture.logs().append_blocking(LOG, vec![event(500)]).unwrap();
    let head = fixture.logs().head(&LOG).unwrap();
    assert!(head.size > places[0].index && places[0].tree_size == head.size);
    let path = the_commit_file(fixture.folder());
    fixture.close();
    let bytes = std::fs::read(&path).unwrap();
    let last = groups(&bytes).last().unwrap().0;
    std::fs::write(&path, &bytes[..last]).unwrap();
    assert!(fixture_state(&mut fixture, ReadOnlyReason::Truncated));
    // The writer's receipt says so too, without the signer.
    let older = fixture.logs().root_at(&LOG, head.size);
    assert!(older.is_err(), "the head of the receipt cannot be shown any more");
}

/// Row 8: swap two records of one group, with their leaf hashes and check values.
#[test]
fn swapped_records_are_not_what_was_signed() {
    let fixture = folder(1 << 20);
    let path = the_commit_file(fixture.folder());
    let mut bytes = std::fs::read(&path).unwrap();
    // Two events of equal length change places.
    let (a, b) = (find(&bytes, "{\"event\":120,"), find(&bytes, "{\"event\":137,"));
    let length = |at: usize| u32::from_be_bytes(bytes[at - 44..at - 40].try_into().unwrap()) as usize;
    assert_eq!(length(a), length(b));
    let record = |at: usize| at - 48..at + length(at);
    let (first, second) = (bytes[record(a)].to_vec(), bytes[record(b)].to_vec());
    let (at_a, at_b) = (record(a), record(b));
    bytes[at_a].copy_from_slice(&second);
    bytes[at_b].copy_from_slice(&first);
    for (frame, payload) in groups(&bytes) {
        fix_checks(&mut bytes, frame, payload);
    }
    std::fs::write(&path, bytes).unwrap();
    let report = verify(fixture.folder());
    let changed = [(Some(122), Reason::RecordChanged), (Some(139), Reason::RecordChanged)];
    assert_eq!(reasons(&report), changed, "{report:?}");
}

/// Row 8 again: back-date a record.
#[test]
fn a_back_dated_record_is_found() {
    let fixture = folder(1 << 20);
    let path = the_commit_file(fixture.folder());
    let mut bytes = std::fs::read(&path).unwrap();
    let at = find(&bytes, "{\"event\":137,");
    let time = u64::from_be_bytes(bytes[at - 40..at - 32].try_into().unwrap()) - 1_000_000;
    bytes[at - 40..at - 32].copy_from_slice(&time.to_be_bytes());
    let (frame, payload) = group_of(&bytes, at);
    fix_checks(&mut bytes, frame, payload);
    std::fs::write(&path, bytes).unwrap();
    let report = verify(fixture.folder());
    assert!(reasons(&report).contains(&(Some(139), Reason::RecordChanged)));
    assert!(reasons(&report).contains(&(Some(139), Reason::TimeBackwards)));
}

/// Row 9: restore yesterday's data folder, the signer's store kept.
#[test]
fn an_older_copy_of_the_folder_is_noticed_at_opening_and_by_whoever_remembers() {
    let mut fixture = folder(20_000);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&fixture.folder().join("log"), copy.path());
    fixture.reopen();
    append(&fixture, 300..600);
    let remembered = fixture.logs().head(&LOG).unwrap().checkpoint.to_string();
    let vkey = fixture.logs().vkey(&LOG).unwrap();
    fixture.close();
    std::fs::remove_dir_all(fixture.folder().join("log")).unwrap();
    copy_folder(copy.path(), &fixture.folder().join("log"));
    let (store, _) = stores(fixture.folder());
    let request =
        fsck::Request { vkeys: vec![vkey.parse().unwrap()], since: vec![remembered], ..fsck::Request::default() };
    let report = fsck::verify_folder(&store, None, &request, &|_| ());
    assert!(reasons(&report).iter().any(|(_, reason)| *reason == Reason::RolledBack), "{report:?}");
    assert!(fixture_state(&mut fixture, ReadOnlyReason::Truncated));
}

/// Row 11, seen by an outsider with memory: history rewritten and signed again with the stolen key.
#[test]
fn a_rewritten_and_signed_history_does_not_extend_a_remembered_checkpoint() {
    let genuine = folder(20_000);
    let mut rewritten = Fixture::in_folder(Options { commit_file_bytes: 20_000, ..Options::default() });
    rewritten.logs().create(LOG).unwrap();
    append(&rewritten, 10..410);
    rewritten.close();
    let mut genuine = genuine;
    genuine.reopen();
    let remembered = genuine.logs().head(&LOG).unwrap().checkpoint.to_string();
    let vkey = genuine.logs().vkey(&LOG).unwrap();
    let request =
        fsck::Request { vkeys: vec![vkey.parse().unwrap()], since: vec![remembered], ..fsck::Request::default() };
    assert_eq!(
        verify(rewritten.folder()).verdict(),
        Verdict::Verified,
        "by itself it looks right: the key is the log's"
    );
    let report = verify_with(rewritten.folder(), &request);
    assert!(reasons(&report).iter().any(|(_, reason)| *reason == Reason::Forked), "{report:?}");
}

/// Row 14: present another tenant's data as this one's.
#[test]
fn another_logs_records_do_not_pass_as_this_ones() {
    let mut fixture = folder(1 << 20);
    fixture.reopen();
    fixture.logs().create(OTHER).unwrap();
    let entries: Vec<NewEntry> = (1_000..1_300).map(event).collect();
    fixture.logs().append_blocking(OTHER, entries).unwrap();
    let checkpoint = fixture.logs().head(&OTHER).unwrap().checkpoint;
    let (mine, theirs) = (fixture.logs().vkey(&LOG).unwrap(), fixture.logs().vkey(&OTHER).unwrap());
    let keys: Vec<tlog::note::VerifierKey> = vec![mine.parse().unwrap(), theirs.parse().unwrap()];
    let origin = fixture.logs().origin(&LOG);
    assert!(tlog::checkpoint::SignedCheckpoint::open(&checkpoint, &origin, &keys).is_err(), "the origin is compared");
    fixture.close();
    // On disk: each run is given to the other log.
    let path = the_commit_file(fixture.folder());
    let mut bytes = std::fs::read(&path).unwrap();
    for (frame, payload) in groups(&bytes) {
        let log = payload.start + 4..payload.start + 20;
        let swapped = if bytes[log.clone()] == LOG.0 { OTHER.0 } else { LOG.0 };
        bytes[log].copy_from_slice(&swapped);
        fix_checks(&mut bytes, frame, payload);
    }
    std::fs::write(&path, bytes).unwrap();
    let report = verify(fixture.folder());
    assert_eq!(report.verdict(), Verdict::Tainted);
    assert!(report.logs.iter().all(|log| log.divergence_count > 0), "{report:?}");
}

/// Row 15: swap the key that the folder publishes.
#[test]
fn a_log_signed_with_another_key_fails_under_the_pinned_one() {
    let genuine = folder(1 << 20);
    let mut with_seed = Fixture::in_folder(Options::default());
    with_seed.close();
    let (store, signer) = stores(with_seed.folder());
    let (clock, entropy) = (with_seed.clock.clone(), with_seed.entropy.clone());
    let seed = log::InstanceSeed::new([0x66; 32]);
    let logs = Logs::open(store, signer, seed, HOST, Options::default(), clock, entropy).unwrap();
    logs.create(LOG).unwrap();
    logs.shutdown();
    let mut genuine = genuine;
    genuine.reopen();
    let vkey = genuine.logs().vkey(&LOG).unwrap();
    let request = fsck::Request { vkeys: vec![vkey.parse().unwrap()], ..fsck::Request::default() };
    let report = verify_with(with_seed.folder(), &request);
    assert!(reasons(&report).iter().any(|(_, reason)| *reason == Reason::SignatureInvalid), "{report:?}");
    assert_ne!(SEED, [0x66; 32]);
}

#[test]
fn a_lost_signers_store_stops_writing_until_a_person_adopts_the_log() {
    let mut fixture = folder(20_000);
    std::fs::remove_dir_all(fixture.folder().join("signer")).unwrap();
    std::fs::create_dir(fixture.folder().join("signer")).unwrap();
    assert!(fixture_state(&mut fixture, ReadOnlyReason::SignerMissing));
    let logs = fixture.logs();
    let head = logs.head(&LOG).unwrap();
    assert!(logs.adopt(&LOG, "no checkpoint").is_err());
    logs.adopt(&LOG, &head.checkpoint).unwrap();
    assert_eq!(logs.state(&LOG).unwrap(), LogState::Open);
    let place = logs.append_blocking(LOG, vec![event(9_000)]).unwrap()[0];
    assert_eq!(place.index, head.size);
    assert!(matches!(logs.adopt(&LOG, &head.checkpoint), Err(log::Error::Conflict(_))), "once");
    fixture.reopen();
    assert_eq!(fixture.logs().state(&LOG).unwrap(), LogState::Open);
    fixture.close();
    assert_eq!(verify(fixture.folder()).verdict(), Verdict::Verified);
}
