//! The table of `specs/proofs.md` §5.2, row by row on real folders, and who else may open one.

mod common;

use std::sync::Arc;

use common::folder::copy_folder;
use common::{Fixture, HOST, LOG, SEED, event};
use log::fsck::{self, Verdict};
use log::store::Store;
use log::store::embedded::FolderStore;
use log::{Error, InstanceSeed, LogState, Logs, Options, ReadOnlyReason};

fn folder() -> Fixture {
    let fixture = Fixture::in_folder(Options { commit_file_bytes: 10_000, block_bytes: 1_000, ..Options::default() });
    fixture.logs().create(LOG).unwrap();
    for number in 0..20 {
        fixture.logs().append_blocking(LOG, (number * 5..number * 5 + 5).map(event).collect()).unwrap();
    }
    fixture
}

fn reason(fixture: &mut Fixture) -> Option<ReadOnlyReason> {
    fixture.reopen();
    let logs = fixture.logs();
    match logs.state(&LOG).unwrap() {
        LogState::Open => {
            logs.append_blocking(LOG, vec![event(90_000)]).unwrap();
            None
        }
        LogState::ReadOnly { reason, .. } => {
            assert!(matches!(logs.append_blocking(LOG, vec![event(90_000)]), Err(Error::ReadOnly { .. })));
            Some(reason)
        }
    }
}

#[test]
fn a_clean_end_goes_on() {
    let mut fixture = folder();
    assert_eq!(reason(&mut fixture), None);
}

/// Row 1, second half: the commit log runs on from the signer's record.
#[test]
fn entries_beyond_the_signers_record_are_signed_at_opening() {
    let mut fixture = folder();
    let copy = tempfile::tempdir().unwrap();
    fixture.close();
    copy_folder(fixture.folder(), copy.path());
    fixture.reopen();
    fixture.logs().append_blocking(LOG, vec![event(500)]).unwrap();
    let head = fixture.logs().head(&LOG).unwrap();
    fixture.close();
    // The crash came after the commit and before the signature: signer and checkpoints are as they were.
    copy_folder(&copy.path().join("signer"), &fixture.folder().join("signer"));
    copy_folder(&copy.path().join("log/checkpoint"), &fixture.folder().join("log/checkpoint"));
    fixture.reopen();
    assert_eq!(fixture.logs().head(&LOG).unwrap(), head, "the same head, and the same signature over it");
}

/// Row 2: the stored checkpoint is older than the signer's record.
#[test]
fn a_checkpoint_that_was_signed_and_not_stored_is_stored_at_opening() {
    let mut fixture = folder();
    let copy = tempfile::tempdir().unwrap();
    fixture.close();
    copy_folder(&fixture.folder().join("log/checkpoint"), copy.path());
    fixture.reopen();
    fixture.logs().append_blocking(LOG, vec![event(500)]).unwrap();
    let head = fixture.logs().head(&LOG).unwrap();
    fixture.close();
    copy_folder(copy.path(), &fixture.folder().join("log/checkpoint"));
    fixture.reopen();
    assert_eq!(fixture.logs().head(&LOG).unwrap(), head);
    assert_eq!(reason(&mut fixture), None);
}

/// Row 3: an old copy of the log comes back, the signer remembers more.
#[test]
fn an_old_copy_of_the_log_is_truncated_and_never_signed_below_the_record() {
    let mut fixture = folder();
    let copy = tempfile::tempdir().unwrap();
    fixture.close();
    copy_folder(&fixture.folder().join("log"), copy.path());
    fixture.reopen();
    fixture.logs().append_blocking(LOG, vec![event(500)]).unwrap();
    let signed = fixture.logs().head(&LOG).unwrap().size;
    fixture.close();
    copy_folder(copy.path(), &fixture.folder().join("log"));
    assert_eq!(reason(&mut fixture), Some(ReadOnlyReason::Truncated));
    assert_eq!(fixture.logs().signed_size(&LOG).unwrap(), signed);
    assert_eq!(fixture.logs().stored_size(&LOG).unwrap(), signed - 1);
}

/// Row 4, and row 11 of the attack table: history rewritten and signed again with the stolen key, in another folder; the
/// guarded signer remembers what it signed.
#[test]
fn a_rewritten_history_is_forked_for_the_signer_that_remembers() {
    let mut genuine = folder();
    genuine.close();
    let mut rewritten = Fixture::in_folder(genuine.options.clone());
    rewritten.logs().create(LOG).unwrap();
    for number in 0..20 {
        rewritten.logs().append_blocking(LOG, (number * 5 + 7..number * 5 + 12).map(event).collect()).unwrap();
    }
    rewritten.close();
    let (store, _) = rewritten.stores();
    let alone = fsck::verify_folder(&store, None, &fsck::Request::default(), &|_| ());
    assert_eq!(alone.verdict(), Verdict::Verified, "a fresh verifier without a memory accepts it");
    copy_folder(&rewritten.folder().join("log"), &genuine.folder().join("log"));
    let (store, signer) = genuine.stores();
    let beside_the_signer = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
    assert_eq!(beside_the_signer.verdict(), Verdict::Tainted);
    assert_eq!(reason(&mut genuine), Some(ReadOnlyReason::Forked));
}

/// Row 5: the signer's store is lost. That a person can take the log up again is in `attacks.rs`.
#[test]
fn a_log_whose_signer_forgot_it_takes_nothing() {
    let mut fixture = folder();
    fixture.close();
    copy_folder(tempfile::tempdir().unwrap().path(), &fixture.folder().join("signer"));
    assert_eq!(reason(&mut fixture), Some(ReadOnlyReason::SignerMissing));
}

/// The key was swapped for another one.
#[test]
fn a_swapped_seed_signs_nothing() {
    let mut fixture = folder();
    fixture.close();
    let (store, signer) = fixture.stores();
    let (clock, entropy) = (fixture.clock.clone(), fixture.entropy.clone());
    let seed = InstanceSeed::new([0x99; 32]);
    let logs = Logs::open(store, signer, seed, HOST, fixture.options.clone(), clock, entropy).unwrap();
    let state = logs.state(&LOG).unwrap();
    assert!(matches!(state, LogState::ReadOnly { reason: ReadOnlyReason::KeyMissing, .. }), "{state:?}");
    assert_eq!(logs.read(&LOG, 0..1_000, usize::MAX).unwrap().len(), 101, "reads go on");
    logs.shutdown();
    assert_eq!(reason(&mut fixture), None, "with its own seed all is well again");
}

#[test]
fn two_servers_on_one_folder_or_on_one_signer_are_refused() {
    let fixture = folder();
    let second = fixture.open_again();
    assert!(matches!(&second, Err(Error::Conflict(why)) if why.contains("in use")), "{:?}", second.err());
    // A copy of the log with the same signer's store is refused too: one of them would fork.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&fixture.folder().join("log"), copy.path());
    let store: Arc<dyn Store> = Arc::new(FolderStore::new(copy.path()));
    let (_, signer) = fixture.stores();
    let (clock, entropy) = (fixture.clock.clone(), fixture.entropy.clone());
    let options = fixture.options.clone();
    let second = Logs::open(store, signer, InstanceSeed::new(SEED), HOST, options, clock, entropy);
    assert!(matches!(&second, Err(Error::Conflict(why)) if why.contains("signer")), "{:?}", second.err());
    fixture.logs().append_blocking(LOG, vec![event(700)]).unwrap();
}
