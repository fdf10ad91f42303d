//! Replacing the key of a log: who knows the old key only is led to the new one, whatever crashes.

mod common;

use std::sync::Arc;

use common::{Fixture, LOG, SEED, event};
use log::fsck::{self, Report, Verdict};
use log::store::Store;
use log::store::memory::Survival;
use log::{
    COMPROMISED, Error, InstanceSeed, KEY_OVERLAP_US, LogId, LogState, Logs, NewEntry, Options, ReadOnlyReason,
    Rotation,
};
use tlog::checkpoint::SignedCheckpoint;
use tlog::note::VerifierKey;

const SECOND: [u8; 32] = [0x22; 32];

fn why(reason: &str) -> Rotation {
    Rotation { reason: reason.into(), by: "ann@example.com".into(), believed_size: None }
}

fn fixture() -> Fixture {
    let options = Options { commit_file_bytes: 6_000, block_bytes: 1_000, ..Options::default() };
    let fixture = Fixture::in_memory(options);
    fixture.logs().create(LOG).unwrap();
    fixture.logs().append_blocking(LOG, (0..5).map(event).collect()).unwrap();
    fixture
}

fn open(fixture: &Fixture, seed: InstanceSeed) -> log::Result<Logs> {
    let (store, signer) = fixture.stores();
    let (clock, entropy) = (Arc::clone(&fixture.clock), Arc::clone(&fixture.entropy));
    Logs::open(store, signer, seed, common::HOST, fixture.options.clone(), clock, entropy)
}

fn both_seeds() -> InstanceSeed {
    InstanceSeed::new(SEED).with_epoch(2, SECOND)
}

fn rotate(logs: &Logs, reason: &str) -> log::Appended {
    logs.add_instance_seed(2, SECOND.into());
    logs.rotate_key(&LOG, &why(reason)).unwrap()
}

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

fn opens(logs: &Logs, checkpoint: &str, vkey: &str) -> bool {
    SignedCheckpoint::open(checkpoint, &logs.origin(&LOG), &[key(vkey)]).is_ok()
}

fn verify(store: &Arc<dyn Store>, vkey: &str) -> Report {
    let request = fsck::Request { vkeys: vec![key(vkey)], ..fsck::Request::default() };
    fsck::verify_folder(store, None, &request, &|_| ())
}

#[test]
fn the_old_key_signs_beside_the_new_one_for_ninety_days_and_then_no_more() {
    let fixture = fixture();
    let logs = fixture.logs();
    let old = logs.vkey(&LOG).unwrap();
    let note = rotate(&logs, "yearly");
    let new = logs.vkey(&LOG).unwrap();
    assert_ne!(old, new);
    let introducing = logs.checkpoint_at(&LOG, note.tree_size).unwrap().unwrap();
    assert!(opens(&logs, &introducing, &old) && opens(&logs, &introducing, &new));

    fixture.clock.advance(KEY_OVERLAP_US - 1);
    logs.append_blocking(LOG, vec![event(100)]).unwrap();
    let during = logs.head(&LOG).unwrap();
    assert!(opens(&logs, &during.checkpoint, &old) && opens(&logs, &during.checkpoint, &new));

    fixture.clock.advance(1);
    logs.append_blocking(LOG, vec![event(101)]).unwrap();
    let after = logs.head(&LOG).unwrap();
    assert!(!opens(&logs, &after.checkpoint, &old) && opens(&logs, &after.checkpoint, &new));

    let keys = logs.keys(&LOG).unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!((&*keys[0].key.vkey, keys[0].key.first_size, keys[0].last_size), (&*old, 0, Some(during.size)));
    assert_eq!((&*keys[1].key.vkey, keys[1].key.first_size, keys[1].last_size), (&*new, note.index + 1, None));
    assert!(
        logs.checkpoint_at(&LOG, note.tree_size).unwrap().is_some(),
        "the introducing head stays for whoever comes late"
    );
    assert!(matches!(logs.rotate_key(&LOG, &why("again")), Err(Error::Conflict(_))), "there is no third seed");
}

#[test]
fn a_verifier_with_either_key_is_led_to_the_other_and_a_strangers_key_is_not() {
    let mut fixture = fixture();
    let logs = fixture.logs();
    let old = logs.vkey(&LOG).unwrap();
    rotate(&logs, "yearly");
    fixture.clock.advance(KEY_OVERLAP_US);
    logs.append_blocking(LOG, (10..20).map(event).collect()).unwrap();
    let new = logs.vkey(&LOG).unwrap();
    drop(logs);
    fixture.close();
    let (store, _) = fixture.stores();
    for pinned in [&old, &new] {
        let report = verify(&store, pinned);
        assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
        assert_eq!(report.logs[0].vkeys.len(), 2);
    }
    assert_eq!(fsck::verify_folder(&store, None, &fsck::Request::default(), &|_| ()).verdict(), Verdict::Verified);
    let origin = key(&old).name().to_owned();
    let stranger = tlog::note::SignerKey::from_seed(&origin, &[9; 32]).unwrap().verifier().to_string();
    assert_eq!(verify(&store, &stranger).verdict(), Verdict::Tainted);
}

#[test]
fn a_compromised_key_signs_the_note_of_its_end_and_nothing_after() {
    let fixture = fixture();
    let logs = fixture.logs();
    let old = logs.vkey(&LOG).unwrap();
    let note = rotate(&logs, COMPROMISED);
    let introducing = logs.head(&LOG).unwrap();
    assert!(opens(&logs, &introducing.checkpoint, &old));
    logs.append_blocking(LOG, vec![event(100)]).unwrap();
    assert!(!opens(&logs, &logs.head(&LOG).unwrap().checkpoint, &old));
    let keys = logs.keys(&LOG).unwrap();
    let replaced = keys[0].key.replaced.clone().unwrap();
    assert_eq!((replaced.believed_size, keys[0].last_size), (Some(note.index), Some(introducing.size)));
}

#[test]
fn keys_survive_a_reopening_the_loss_of_the_checkpoints_and_a_power_cut() {
    let mut fixture = fixture();
    rotate(&fixture.logs(), "yearly");
    let logs = fixture.logs();
    logs.append_blocking(LOG, (10..60).map(event).collect()).unwrap();
    let expected = logs.keys(&LOG).unwrap();
    drop(logs);
    fixture.close();
    let reopened = open(&fixture, both_seeds()).unwrap();
    assert_eq!(reopened.keys(&LOG).unwrap(), expected);
    reopened.shutdown();
    let (store, _) = fixture.stores();
    store.remove("checkpoint/newest").unwrap();
    let reopened = open(&fixture, both_seeds()).unwrap();
    assert_eq!(reopened.state(&LOG).unwrap(), LogState::Open);
    assert_eq!(reopened.keys(&LOG).unwrap(), expected);
    // A log that is made now begins under the new seed, and says so in its first entry.
    let other = LogId([9; 16]);
    reopened.create(other).unwrap();
    assert_eq!(&*reopened.read(&other, 0..1, 100).unwrap()[0].body, b"{\"log\":\"opened\",\"key_epoch\":2}");
    reopened.shutdown();
    store.remove("checkpoint/newest").unwrap();
    let reopened = open(&fixture, both_seeds()).unwrap();
    assert_eq!(reopened.keys(&other).unwrap()[0].key.epoch, 2);
    reopened.shutdown();
    let report = fsck::verify_folder(&store, None, &fsck::Request::default(), &|_| ());
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
}

#[test]
fn without_the_seed_of_its_key_a_log_is_read_only_and_never_signed_by_another() {
    let mut fixture = fixture();
    rotate(&fixture.logs(), "yearly");
    fixture.close();
    for seed in [InstanceSeed::new(SEED), InstanceSeed::new([3; 32]).with_epoch(2, [4; 32])] {
        let logs = open(&fixture, seed).unwrap();
        let state = logs.state(&LOG).unwrap();
        assert!(matches!(state, LogState::ReadOnly { reason: ReadOnlyReason::KeyMissing, .. }), "{state:?}");
        assert!(matches!(logs.append_blocking(LOG, vec![event(500)]), Err(Error::ReadOnly { .. })));
        logs.shutdown();
    }
    let logs = open(&fixture, both_seeds()).unwrap();
    logs.append_blocking(LOG, vec![event(500)]).unwrap();
    logs.shutdown();
}

/// The note is durable, its head is not signed: opening signs it with both keys and keeps it.
#[test]
fn a_note_that_a_power_cut_left_unsigned_is_signed_by_both_keys_at_opening() {
    let fixture = fixture();
    let logs = fixture.logs();
    let old = logs.vkey(&LOG).unwrap();
    rotate(&logs, COMPROMISED);
    let size = logs.head(&LOG).unwrap().size;
    let (store, signer) = fixture.memory();
    let (store, signer) = (store.crashed(Survival::Everything), signer.crashed(Survival::Everything));
    // The checkpoints of before the rotation, as if their last append had never happened.
    let newest = store.open("checkpoint/newest").unwrap();
    let bytes = log::store::read_whole(&*newest, 1 << 20).unwrap();
    let text = format!("\n{size}\n");
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    let frame = (0..at).rev().find(|at| bytes[*at..].starts_with(b"cfCK")).unwrap();
    newest.set_len(frame as u64).unwrap();
    store.remove("checkpoint/archive").unwrap();
    let stores: (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(store), Arc::new(signer));
    let (clock, entropy) = (Arc::clone(&fixture.clock), Arc::clone(&fixture.entropy));
    let logs = Logs::open(stores.0, stores.1, both_seeds(), common::HOST, Options::default(), clock, entropy).unwrap();
    let introducing = logs.checkpoint_at(&LOG, size).unwrap().unwrap();
    assert!(opens(&logs, &introducing, &old));
    logs.append_blocking(LOG, vec![event(100)]).unwrap();
    assert!(logs.checkpoint_at(&LOG, size).unwrap().is_some(), "it is kept");
    assert!(!opens(&logs, &logs.head(&LOG).unwrap().checkpoint, &old));
    logs.shutdown();
}

#[test]
fn notes_that_are_acted_on_cannot_be_appended_by_hand() {
    let fixture = fixture();
    for kind in [tlog::entry::Kind::KeyNote, tlog::entry::Kind::ErasureNote] {
        let forged = NewEntry { kind, id: [0; 16], body: b"{}".to_vec() };
        assert!(matches!(fixture.logs().append_blocking(LOG, vec![forged]), Err(Error::Invalid(_))));
    }
}
