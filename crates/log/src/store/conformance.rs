//! What every store must do: one suite, run by each of them.

use std::io::ErrorKind;

use super::Store;

/// Checks the contract of [`Store`] and [`super::File`] on an empty store.
///
/// # Panics
/// If the store does not keep the contract.
pub fn check(store: &dyn Store) {
    folders(store);
    files(store);
    names(store);
    locks(store);
}

fn folders(store: &dyn Store) {
    store.create_dir("").expect("the root can be made");
    assert!(store.list("").expect("a new store lists").is_empty());
    store.create_dir("a/b").expect("folders are made with those above them");
    store.create_dir("a/b").expect("a folder may be made again");
    assert_eq!(store.list("").expect("lists"), ["a"]);
    assert_eq!(store.list("a").expect("lists"), ["b"]);
    assert!(store.list("nowhere").expect("a folder that is not there is empty").is_empty());
    assert_eq!(store.create("nowhere/file").err().map(|err| err.kind()), Some(ErrorKind::NotFound));
}

fn files(store: &dyn Store) {
    let file = store.create("a/file").expect("a file is made");
    assert_eq!(store.create("a/file").err().map(|err| err.kind()), Some(ErrorKind::AlreadyExists));
    assert!(file.is_empty().expect("a length"));
    file.write_all_at(b"hello", 0).expect("writes");
    file.write_all_at(b"world", 10).expect("writes beyond the end");
    let mut bytes = [1; 15];
    file.read_exact_at(&mut bytes, 0).expect("reads");
    assert_eq!(&bytes, b"hello\0\0\0\0\0world");
    assert_eq!(file.read_exact_at(&mut bytes, 1).err().map(|err| err.kind()), Some(ErrorKind::UnexpectedEof));
    file.write_all_at(b"HE", 0).expect("overwrites");
    file.set_len(4).expect("is cut");
    file.set_len(6).expect("is extended");
    let read = super::read_whole(&*store.open_read("a/file").expect("opens"), 6).expect("reads whole");
    assert_eq!(read, b"HEll\0\0");
    let long = super::read_whole(&*store.open("a/file").expect("opens"), 5);
    assert_eq!(long.err().map(|err| err.kind()), Some(ErrorKind::InvalidData));
    file.sync_data().expect("syncs");
    store.sync_dir("a").expect("syncs a folder");
    let reader = store.open_read("a/file").expect("opens");
    assert!(reader.write_all_at(b"x", 0).is_err(), "a file opened for reading is not written");
    assert_eq!(store.open("a/none").err().map(|err| err.kind()), Some(ErrorKind::NotFound));
    assert_eq!(store.open_read("a/none").err().map(|err| err.kind()), Some(ErrorKind::NotFound));
}

fn names(store: &dyn Store) {
    let old = store.create("a/old").expect("a file is made");
    old.write_all_at(b"old", 0).expect("writes");
    let new = store.create("a/new").expect("a file is made");
    new.write_all_at(b"new", 0).expect("writes");
    store.rename("a/new", "a/old").expect("a rename replaces");
    assert_eq!(store.list("a").expect("lists"), ["b", "file", "old"]);
    assert_eq!(super::read_whole(&*store.open("a/old").expect("opens"), 9).expect("reads"), b"new");
    let mut bytes = [0; 3];
    old.read_exact_at(&mut bytes, 0).expect("an open file stays readable when its name goes");
    assert_eq!(&bytes, b"old");
    store.remove("a/old").expect("removes");
    assert_eq!(store.remove("a/old").err().map(|err| err.kind()), Some(ErrorKind::NotFound));
    assert_eq!(store.rename("a/old", "a/x").err().map(|err| err.kind()), Some(ErrorKind::NotFound));
    new.read_exact_at(&mut bytes, 0).expect("an open file stays readable when it is removed");
}

fn locks(store: &dyn Store) {
    let held = store.lock().expect("the first takes it");
    assert_eq!(store.lock().err().map(|err| err.kind()), Some(ErrorKind::WouldBlock));
    drop(held);
    drop(store.lock().expect("the next takes it after the first"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::embedded::FolderStore;
    use crate::store::faulty::{Fault, FaultyStore, Plan};
    use crate::store::memory::MemoryStore;

    #[test]
    fn a_store_in_memory_keeps_the_contract() {
        check(&MemoryStore::new());
    }

    #[test]
    fn a_folder_keeps_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        check(&FolderStore::new(dir.path().join("new")));
    }

    #[test]
    fn a_faulty_store_without_a_fault_keeps_the_contract() {
        check(&FaultyStore::new(Arc::new(MemoryStore::new()), &Plan::new(0, Fault::Before)));
    }
}
