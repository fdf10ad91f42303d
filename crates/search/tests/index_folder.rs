//! What survives, what is refused, and what a reader sees while others write.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use search::parse::parse;
use search::{Document, Error, Field, Index, Options, Order, Query, Reader};

fn document(number: u64, word: &str) -> Document {
    Document {
        number,
        keywords: vec![(Field::Id, format!("id-{number}"))],
        text: vec![word.to_owned()],
        ..Document::default()
    }
}

fn open(folder: &Path) -> (Index, Option<Vec<u8>>) {
    Index::open(folder, Options { background: false, ..Options::default() }).expect("it opens")
}

fn all(reader: &Reader, log: u32) -> Vec<u64> {
    reader.search(log, &Query::All, Order::Ascending, None, None, usize::MAX).expect("it answers")
}

#[test]
fn what_was_not_committed_is_gone_after_reopening_and_the_payload_says_where_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, payload) = open(folder.path());
    assert_eq!(payload, None);
    assert_eq!(index.reader().payload(), None);
    for number in 1..=5 {
        index.add(1, &document(number, "one")).expect("it is taken");
    }
    index.commit(&[0, 255, 5]).expect("it commits");
    for number in 6..=9 {
        index.add(1, &document(number, "two")).expect("it is taken");
    }
    index.delete_document(1, 1).expect("it is deleted");
    drop(index);

    let (index, payload) = open(folder.path());
    assert_eq!(payload, Some(vec![0, 255, 5]));
    assert_eq!(all(&index.reader(), 1), [1, 2, 3, 4, 5]);
    let refused = index.add(1, &document(5, "again")).expect_err("it is there already");
    assert!(matches!(refused, Error::OutOfOrder { log: 1, number: 5, last: 5 }), "{refused}");
    for number in 6..=7 {
        index.add(1, &document(number, "three")).expect("it is taken");
    }
    let refused = index.add(1, &document(7, "again")).expect_err("it was added already");
    assert!(matches!(refused, Error::OutOfOrder { log: 1, number: 7, last: 7 }), "{refused}");
    index.add(2, &document(1, "another log has its own numbers")).expect("it is taken");
    index.commit(b"7").expect("it commits");
    assert_eq!(all(&index.reader(), 1), [1, 2, 3, 4, 5, 6, 7]);
    let two = parse("two").expect("it parses");
    assert_eq!(index.count(1, &two, 10).expect("it counts"), 0, "nothing is left of what was lost");
    assert!(index.reader().documents() == 8);
    index.close();
}

#[test]
fn a_pinned_reader_keeps_its_state_and_payload() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = open(folder.path());
    index.add(1, &document(1, "a")).expect("it is taken");
    index.commit(b"1").expect("it commits");
    let pinned = index.reader();
    for number in 2..=60 {
        index.add(1, &document(number, "a")).expect("it is taken");
        index.commit(number.to_string().as_bytes()).expect("it commits");
    }
    index.delete_document(1, 1).expect("it is deleted");
    index.commit(b"deleted").expect("it commits");
    index.settle();
    assert_eq!((all(&pinned, 1), pinned.payload()), (vec![1], Some(&b"1"[..])));
    let now = index.reader();
    assert_eq!((all(&now, 1), now.payload()), ((2..=60).collect(), Some(&b"deleted"[..])));
    assert!(now.segments() < 16, "{} segments after 60 commits", now.segments());
}

#[test]
fn readers_always_see_exactly_what_the_payload_says_while_others_add_commit_and_merge() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = open(folder.path());
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            loop {
                let last = done.load(Ordering::Acquire);
                let reader = index.reader();
                let watermark: u64 = reader.payload().map_or(0, |payload| {
                    std::str::from_utf8(payload).expect("we wrote text").parse().expect("we wrote a number")
                });
                assert_eq!(all(&reader, 1), (1..=watermark).collect::<Vec<_>>());
                if last {
                    return watermark;
                }
            }
        });
        for number in 1..=400 {
            index.add(1, &document(number, "a")).expect("it is taken");
            if number % 16 == 0 {
                index.commit(number.to_string().as_bytes()).expect("it commits");
            }
        }
        done.store(true, Ordering::Release);
        reading.join().expect("the reader saw nothing wrong")
    });
    assert_eq!(seen, 400);
}

#[test]
fn deleted_documents_leave_the_disk_once_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = open(folder.path());
    for number in 1..=20 {
        index.add(1, &document(number, if number == 9 { "secret" } else { "plain" })).expect("it is taken");
    }
    index.commit(b"20").expect("it commits");
    index.settle();
    let before = segment_files(folder.path());
    assert!(!before.is_empty());
    index.delete_document(1, 777).expect("nothing to delete is no error");
    index.delete_document(2, 8).expect("another log's number is not ours");
    index.commit(b"20").expect("it commits");
    index.settle();
    assert_eq!(segment_files(folder.path()), before);

    index.delete_document(1, 9).expect("it is deleted");
    let secret = parse("secret").expect("it parses");
    assert_eq!(index.count(1, &secret, 9).expect("it counts"), 1, "not committed yet");
    index.commit(b"20").expect("it commits");
    assert_eq!(index.count(1, &secret, 9).expect("it counts"), 0);
    index.settle();
    assert_eq!((index.reader().documents(), index.reader().segments()), (19, 1));
    let after = segment_files(folder.path());
    assert!(after.iter().all(|path| !before.contains(path)), "{after:?}");
    assert!(after.iter().all(|path| path.extension().is_some_and(|kind| kind != "del")), "{after:?}");
    assert!(index.add(1, &document(9, "back")).is_err(), "its number is not taken again");
}

fn segment_files(folder: &Path) -> Vec<std::path::PathBuf> {
    // The name of a segment is 32 hexadecimal digits.
    let is_segments = |path: &std::path::PathBuf| path.file_stem().is_some_and(|stem| stem.len() >= 32);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(is_segments);
    files.sort();
    files
}

#[test]
fn a_second_opener_is_told_that_it_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = open(folder.path());
    assert!(matches!(Index::open(folder.path(), Options::default()), Err(Error::Locked)));
    drop(index);
    open(folder.path());
}

#[test]
fn foreign_old_and_damaged_folders_are_unusable_and_usable_again_once_emptied() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("foreign", |folder| fs::remove_file(folder.join("counterfoil-search")).expect("it is there")),
        ("another version", |folder| {
            fs::write(folder.join("counterfoil-search"), "counterfoil search index, schema 0\n").expect("written");
        }),
        ("a binary mark", |folder| fs::write(folder.join("counterfoil-search"), [0xff, 0xfe]).expect("written")),
        ("half a list of segments", |folder| {
            let list = fs::read(folder.join("meta.json")).expect("it is there");
            fs::write(folder.join("meta.json"), &list[..list.len() / 2]).expect("written");
        }),
        ("a payload that is not ours", |folder| {
            let list = fs::read_to_string(folder.join("meta.json")).expect("it is there");
            fs::write(folder.join("meta.json"), list.replace("6d61726b", "MARK")).expect("written");
        }),
        ("a missing segment file", |folder| fs::remove_file(segment_file(folder, "idx")).expect("it is there")),
        ("an empty segment file", |folder| fs::write(segment_file(folder, "fast"), b"").expect("written")),
    ];
    for (name, damage) in damages {
        let folder = tempfile::tempdir().expect("a folder");
        let (index, _) = open(folder.path());
        index.add(1, &document(1, "a")).expect("it is taken");
        index.commit(b"mark").expect("it commits");
        index.close();
        damage(folder.path());
        let result = Index::open(folder.path(), Options::default());
        assert!(matches!(result, Err(Error::Unusable { .. })), "{name}: {:?}", result.err());
        fs::remove_dir_all(folder.path()).expect("it is removed");
        let (index, payload) = open(folder.path());
        assert_eq!((payload, index.reader().documents()), (None, 0), "{name}");
    }
}

#[test]
fn a_changed_byte_is_named_by_the_check_of_all_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = open(folder.path());
    index.add(1, &document(1, "a")).expect("it is taken");
    index.commit(b"").expect("it commits");
    assert_eq!(index.damaged_files().expect("it reads"), Vec::<std::path::PathBuf>::new());
    index.close();
    let path = segment_file(folder.path(), "term");
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[3] ^= 1;
    fs::write(&path, bytes).expect("written");
    if let Ok((index, _)) = Index::open(folder.path(), Options::default()) {
        let damaged = index.damaged_files().expect("it reads");
        assert_eq!(damaged, [Path::new(path.file_name().expect("it has a name"))]);
    }
}

fn segment_file(folder: &Path, extension: &str) -> std::path::PathBuf {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files.into_iter().find(|path| path.extension().is_some_and(|found| found == extension)).expect("it is there")
}
