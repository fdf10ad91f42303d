//! The log as its users see it: the same checks over a store in memory and over a folder.

mod common;

use common::{Fixture, LOG, event};
use log::store::memory::Survival;
use log::{Error, LogId, LogState, NewEntry, Options, RecordState};
use tlog::proof::{verify_consistency, verify_inclusion};

/// Small enough that a few hundred events make several commit files, segments, blocks and tiles.
fn small() -> Options {
    Options { commit_file_bytes: 40_000, block_bytes: 4_000, ..Options::default() }
}

fn over_both_stores(check: impl Fn(Fixture)) {
    check(Fixture::in_memory(small()));
    check(Fixture::in_folder(small()));
}

#[test]
fn what_is_appended_reads_back_in_order_before_and_after_reopening() {
    over_both_stores(|mut fixture| {
        let logs = fixture.logs();
        logs.create(LOG).unwrap();
        for batch in 0..40_u64 {
            let entries: Vec<NewEntry> = (0..25).map(|i| event(batch * 25 + i)).collect();
            let appended = logs.append_blocking(LOG, entries).unwrap();
            for (i, place) in appended.iter().enumerate() {
                assert_eq!(place.index, 1 + batch * 25 + i as u64);
                assert_eq!(place.number, place.index + 1);
                assert!(place.tree_size > place.index && !place.duplicate);
            }
        }
        for reopened in [false, true] {
            if reopened {
                fixture.reopen();
            }
            let logs = fixture.logs();
            let head = logs.head(&LOG).unwrap();
            assert_eq!(head.size, 1001);
            let mut records = Vec::new();
            while records.len() < 1001 {
                let more = logs.read(&LOG, records.len() as u64..u64::MAX, 10_000).unwrap();
                assert!(!more.is_empty());
                records.extend(more);
            }
            for (index, record) in records.iter().enumerate() {
                assert_eq!(record.index, index as u64);
                if index > 0 {
                    assert_eq!(record.body.as_ref(), event(index as u64 - 1).body);
                    assert_eq!(record.id, event(index as u64 - 1).id);
                }
            }
            assert!(logs.verify_records(&LOG, &records).iter().all(|state| *state == RecordState::Verified));
            let picked = logs.read_many(&LOG, &[900, 3, 1000, 3, 500]).unwrap();
            assert_eq!(picked.iter().map(|record| record.index).collect::<Vec<_>>(), [900, 3, 1000, 3, 500]);
            assert!(matches!(logs.read_many(&LOG, &[1001]), Err(Error::NotFound(_))));
            assert_eq!(logs.state(&LOG).unwrap(), LogState::Open);
        }
        assert!(fixture.logs().stats().segments > 3, "{:?}", fixture.logs().stats());
    });
}

#[test]
fn proofs_join_every_entry_and_every_older_head_to_the_newest() {
    over_both_stores(|mut fixture| {
        let logs = fixture.logs();
        logs.create(LOG).unwrap();
        let mut heads = vec![logs.head(&LOG).unwrap()];
        for batch in 0..12_u64 {
            let entries: Vec<NewEntry> = (0..60).map(|i| event(batch * 60 + i)).collect();
            logs.append_blocking(LOG, entries).unwrap();
            heads.push(logs.head(&LOG).unwrap());
        }
        fixture.reopen();
        let logs = fixture.logs();
        let head = logs.head(&LOG).unwrap();
        let leaves = logs.leaf_hashes(&LOG, 0..head.size).unwrap();
        for index in (0..head.size).step_by(7) {
            for size in [head.size, index + 1, (index + 1 + head.size) / 2] {
                let proof = logs.prove_inclusion(&LOG, index, size).unwrap();
                let root = logs.root_at(&LOG, size).unwrap();
                verify_inclusion(&leaves[index as usize], index, size, &proof, &root).unwrap();
            }
        }
        for older in &heads {
            let proof = logs.prove_consistency(&LOG, older.size, head.size).unwrap();
            verify_consistency(older.size, &older.root, head.size, &head.root, &proof).unwrap();
            assert_eq!(logs.root_at(&LOG, older.size).unwrap(), older.root);
        }
        let entries = logs.entries(&LOG, 0..head.size).unwrap();
        assert_eq!(tlog::batch::leaf_hashes(&entries.iter().map(|entry| &entry[..]).collect::<Vec<_>>()), leaves);
        let tile = logs.tile(&LOG, 1, 0, 2).unwrap();
        assert_eq!(tile[..32], tlog::batch::reduce(&leaves[..256]).0);
        assert!(matches!(logs.tile(&LOG, 1, 0, 3), Err(Error::NotFound(_))));
        assert!(matches!(logs.prove_inclusion(&LOG, head.size, head.size + 1), Err(Error::NotFound(_))));
    });
}

#[test]
fn an_id_enters_a_log_once_however_often_and_however_late_it_is_sent() {
    over_both_stores(|mut fixture| {
        let logs = fixture.logs();
        logs.create(LOG).unwrap();
        let other = LogId([9; 16]);
        logs.create(other).unwrap();
        let first = logs.append_blocking(LOG, (0..600).map(event).collect()).unwrap();
        let twice = logs.append_blocking(LOG, vec![event(600), event(600), event(3)]).unwrap();
        assert_eq!(twice.iter().map(|place| place.index).collect::<Vec<_>>(), [601, 601, 4]);
        assert_eq!(twice.iter().map(|place| place.duplicate).collect::<Vec<_>>(), [false, true, true]);
        for reopened in [false, true] {
            if reopened {
                fixture.reopen();
            }
            let logs = fixture.logs();
            let again = logs.append_blocking(LOG, (0..600).map(event).collect()).unwrap();
            for (again, first) in again.iter().zip(&first) {
                assert!(again.duplicate);
                assert_eq!(
                    (again.index, again.leaf, again.received_at_us),
                    (first.index, first.leaf, first.received_at_us)
                );
            }
            assert_eq!(logs.find_id(&LOG, &event(5).id).unwrap(), Some(6));
            assert_eq!(logs.find_id(&LOG, &event(5000).id).unwrap(), None);
            assert_eq!(logs.find_id(&other, &event(5).id).unwrap(), None);
        }
        let elsewhere = fixture.logs().append_blocking(other, vec![event(5)]).unwrap();
        assert!(!elsewhere[0].duplicate, "another log is another matter");
        let without = NewEntry::event([0; 16], b"x".to_vec());
        let both = fixture.logs().append_blocking(LOG, vec![without.clone(), without]).unwrap();
        assert_eq!(both[1].index, both[0].index + 1);
    });
}

#[test]
fn many_logs_share_commit_files_and_segments() {
    over_both_stores(|mut fixture| {
        let logs = fixture.logs();
        let ids: Vec<LogId> = (0..50).map(|i| LogId([i; 16])).collect();
        for id in &ids {
            logs.create(*id).unwrap();
        }
        std::thread::scope(|scope| {
            for chunk in ids.chunks(13) {
                let logs = logs.clone();
                scope.spawn(move || {
                    for round in 0..20_u64 {
                        for id in chunk {
                            let entries = (0..1 + round % 3).map(|i| event(round * 10 + i)).collect();
                            logs.append_blocking(*id, entries).unwrap();
                        }
                    }
                });
            }
        });
        fixture.reopen();
        let logs = fixture.logs();
        assert_eq!(logs.ids(), ids);
        let files = logs.stats().segments + logs.stats().commit_files;
        assert!(files < 30, "{files} files for {} logs", ids.len());
        for id in &ids {
            let records = logs.read(id, 0..u64::MAX, usize::MAX).unwrap();
            assert_eq!(records.len(), 1 + (0..20).map(|round| 1 + round % 3).sum::<usize>());
            assert!(logs.verify_records(id, &records).iter().all(|state| *state == RecordState::Verified));
        }
    });
}

#[test]
fn what_cannot_be_taken_is_refused_with_nothing_appended() {
    let fixture = Fixture::in_memory(Options { body_bytes_max: 100, batch_bytes_max: 1_000, ..small() });
    let logs = fixture.logs();
    assert!(matches!(logs.append_blocking(LOG, vec![event(1)]), Err(Error::NotFound(_))));
    logs.create(LOG).unwrap();
    assert!(matches!(logs.create(LOG), Err(Error::Conflict(_))));
    assert!(matches!(logs.append_blocking(LOG, vec![]), Err(Error::Invalid(_))));
    let long = NewEntry::event([0; 16], vec![0; 101]);
    assert!(matches!(logs.append_blocking(LOG, vec![long]), Err(Error::TooLarge { what: "body", .. })));
    let many = (0..9).map(|_| NewEntry::event([0; 16], vec![0; 100])).collect();
    assert!(matches!(logs.append_blocking(LOG, many), Err(Error::TooLarge { what: "batch", .. })));
    let note = NewEntry { kind: tlog::entry::Kind::LogNote, id: [0; 16], body: vec![0; 60_001] };
    assert!(matches!(logs.append_blocking(LOG, vec![note]), Err(Error::TooLarge { what: "inline body", .. })));
    assert_eq!(logs.head(&LOG).unwrap().size, 1);
    assert_eq!(logs.stats().pool_bytes, 0);
}

#[test]
fn time_never_falls_even_if_the_clock_does() {
    let mut fixture = Fixture::in_memory(small());
    fixture.logs().create(LOG).unwrap();
    fixture.clock.set(common::START_US + 1_000);
    fixture.logs().append_blocking(LOG, vec![event(1)]).unwrap();
    fixture.clock.set(common::START_US - 1_000);
    let place = fixture.logs().append_blocking(LOG, vec![event(2)]).unwrap()[0];
    assert_eq!(place.received_at_us, common::START_US + 1_000);
    assert_eq!(fixture.logs().stats().clock_steps_back, 1);
    fixture.reopen();
    let place = fixture.logs().append_blocking(LOG, vec![event(3)]).unwrap()[0];
    assert_eq!(place.received_at_us, common::START_US + 1_000);
}

#[test]
fn a_power_cut_at_rest_loses_nothing_that_was_acknowledged() {
    let mut fixture = Fixture::in_memory(small());
    fixture.logs().create(LOG).unwrap();
    for batch in 0..30_u64 {
        fixture.logs().append_blocking(LOG, (0..20).map(|i| event(batch * 20 + i)).collect()).unwrap();
    }
    let head = fixture.logs().head(&LOG).unwrap();
    fixture.crash(Survival::Nothing);
    let logs = fixture.logs();
    assert_eq!(logs.state(&LOG).unwrap(), LogState::Open);
    assert_eq!(logs.head(&LOG).unwrap(), head);
    assert_eq!(logs.read(&LOG, 0..u64::MAX, usize::MAX).unwrap().len(), 601);
}

#[test]
fn one_folder_is_open_once() {
    over_both_stores(|fixture| {
        assert!(matches!(fixture.open_again(), Err(Error::Conflict(_))));
    });
}

#[test]
fn the_same_seeds_write_the_same_bytes() {
    let contents = || {
        let mut fixture = Fixture::in_memory(small());
        fixture.logs().create(LOG).unwrap();
        for batch in 0..30_u64 {
            fixture.clock.advance(batch * 77);
            fixture.logs().append_blocking(LOG, (0..20).map(|i| event(batch * 20 + i)).collect()).unwrap();
        }
        fixture.close();
        fixture.reopen();
        fixture.close();
        fixture.memory_contents()
    };
    let (first, second) = (contents(), contents());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (path, bytes) in &first {
        assert!(second[path] == *bytes, "{path} differs");
    }
}
