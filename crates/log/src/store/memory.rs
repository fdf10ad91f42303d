//! A store in memory that knows what a power cut would leave.
//!
//! It keeps, for each file, the writes since the last `sync_data`, and for each folder the names as of the last
//! `sync_dir`. [`MemoryStore::crashed`] gives the store as it would be found after a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{File, Store};
use crate::clock::SeededEntropy;

/// What of the unsynced writes is found after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing that was not synced.
    Nothing,
    /// Everything: a killed process on a living kernel.
    Everything,
    /// Of each file some of the 512-byte sectors written since its sync, and some of the unsynced names, drawn from
    /// this seed. Sectors that did not survive read as they did before, or as zeros beyond the old end.
    Some(u64),
}

/// The bytes of 512 that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A folder of files in memory. Clones are the same folder.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tree: Mutex<Tree>,
    locked: Arc<AtomicBool>,
}

#[derive(Default, Clone)]
struct Tree {
    live: BTreeMap<String, Arc<Inode>>,
    synced: BTreeMap<String, Arc<Inode>>,
    dirs: BTreeSet<String>,
}

#[derive(Default)]
struct Inode {
    data: Mutex<Data>,
}

#[derive(Default, Clone)]
struct Data {
    live: Vec<u8>,
    /// What undoes each change since the last sync, oldest first.
    undo: Vec<Undo>,
}

#[derive(Clone)]
struct Undo {
    len_before: usize,
    offset: usize,
    bytes_before: Vec<u8>,
}

impl MemoryStore {
    /// An empty folder.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// A copy of this folder as it would be found after a power cut now. Open files of this store do not reach it.
    pub fn crashed(&self, survival: Survival) -> MemoryStore {
        let tree = self.shared.tree.lock();
        let seed = if let Survival::Some(seed) = survival { seed } else { 0 };
        let draw = SeededEntropy::new(seed);
        let mut names = match survival {
            Survival::Nothing => tree.synced.clone(),
            Survival::Everything => tree.live.clone(),
            Survival::Some(_) => surviving_names(&tree, &draw),
        };
        // Two names of one inode stay two names of one inode.
        let mut copies: Vec<(Arc<Inode>, Arc<Inode>)> = Vec::new();
        for inode in names.values_mut() {
            let copy = match copies.iter().find(|(from, _)| Arc::ptr_eq(from, inode)) {
                Some((_, copy)) => Arc::clone(copy),
                None => {
                    let data = inode.data.lock();
                    let live = match survival {
                        Survival::Nothing => data.synced(),
                        Survival::Everything => data.live.clone(),
                        Survival::Some(_) => data.partly_synced(&draw),
                    };
                    let copy = Arc::new(Inode { data: Mutex::new(Data { live, undo: Vec::new() }) });
                    copies.push((Arc::clone(inode), Arc::clone(&copy)));
                    copy
                }
            };
            *inode = copy;
        }
        let copied = Tree { live: names.clone(), synced: names, dirs: tree.dirs.clone() };
        MemoryStore { shared: Arc::new(Shared { tree: Mutex::new(copied), locked: Arc::default() }) }
    }

    /// Every file's path and bytes as a reader sees them now, in order of paths: for comparing two stores.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let tree = self.shared.tree.lock();
        tree.live.iter().map(|(path, inode)| (path.clone(), inode.data.lock().live.clone())).collect()
    }
}

/// Each name that was made or removed since its folder was synced survives or not, one by one.
fn surviving_names(tree: &Tree, draw: &SeededEntropy) -> BTreeMap<String, Arc<Inode>> {
    let mut names = tree.synced.clone();
    let all: BTreeSet<&String> = tree.live.keys().chain(tree.synced.keys()).collect();
    for path in all {
        if draw.below(2) == 0 {
            continue;
        }
        match tree.live.get(path) {
            Some(inode) => names.insert(path.clone(), Arc::clone(inode)),
            None => names.remove(path),
        };
    }
    names
}

impl Data {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        let len_before = self.live.len();
        let bytes_before = self.live[offset.min(len_before)..end.min(len_before)].to_vec();
        self.undo.push(Undo { len_before, offset: offset.min(len_before), bytes_before });
        if end > len_before {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
    }

    fn set_len(&mut self, len: usize) {
        let len_before = self.live.len();
        let bytes_before = self.live[len.min(len_before)..].to_vec();
        self.undo.push(Undo { len_before, offset: len.min(len_before), bytes_before });
        self.live.resize(len, 0);
    }

    fn synced(&self) -> Vec<u8> {
        let mut bytes = self.live.clone();
        for undo in self.undo.iter().rev() {
            bytes.resize(undo.len_before, 0);
            bytes[undo.offset..undo.offset + undo.bytes_before.len()].copy_from_slice(&undo.bytes_before);
        }
        bytes
    }

    fn partly_synced(&self, draw: &SeededEntropy) -> Vec<u8> {
        let before = self.synced();
        if before == self.live {
            return before;
        }
        // The length is one that the file had, or would have had; within it each sector is the old or the new one.
        let (short, long) = (before.len().min(self.live.len()), before.len().max(self.live.len()));
        let len = short + draw.below((long - short) as u64 + 1) as usize;
        let mut bytes = vec![0; len];
        for start in (0..len).step_by(SECTOR_BYTES) {
            let source = if draw.below(2) == 0 { &before } else { &self.live };
            let end = (start + SECTOR_BYTES).min(len).min(source.len());
            if start < end {
                bytes[start..end].copy_from_slice(&source[start..end]);
            }
        }
        bytes
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn not_found(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {path}"))
}

struct MemoryFile {
    inode: Arc<Inode>,
    writable: bool,
}

impl MemoryFile {
    fn writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "opened for reading only"))
        }
    }
}

impl Store for MemoryStore {
    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let mut tree = self.shared.tree.lock();
        let dir = folder(path);
        if !dir.is_empty() && !tree.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        if tree.live.contains_key(path) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{path} exists")));
        }
        let inode = Arc::new(Inode::default());
        tree.live.insert(path.to_owned(), Arc::clone(&inode));
        Ok(Arc::new(MemoryFile { inode, writable: true }))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let tree = self.shared.tree.lock();
        let inode = tree.live.get(path).ok_or_else(|| not_found(path))?;
        Ok(Arc::new(MemoryFile { inode: Arc::clone(inode), writable: true }))
    }

    fn open_read(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let tree = self.shared.tree.lock();
        let inode = tree.live.get(path).ok_or_else(|| not_found(path))?;
        Ok(Arc::new(MemoryFile { inode: Arc::clone(inode), writable: false }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut tree = self.shared.tree.lock();
        let inode = tree.live.remove(from).ok_or_else(|| not_found(from))?;
        tree.live.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.shared.tree.lock().live.remove(path).map(drop).ok_or_else(|| not_found(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let tree = self.shared.tree.lock();
        let mut names = BTreeSet::new();
        for path in tree.live.keys().chain(tree.dirs.iter()) {
            let below = if dir.is_empty() {
                Some(path.as_str())
            } else {
                path.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/'))
            };
            if let Some(name) = below.and_then(|rest| rest.split('/').next()).filter(|name| !name.is_empty()) {
                names.insert(name.to_owned());
            }
        }
        Ok(names.into_iter().collect())
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut tree = self.shared.tree.lock();
        let mut whole = String::new();
        for name in dir.split('/') {
            if !whole.is_empty() {
                whole.push('/');
            }
            whole.push_str(name);
            tree.dirs.insert(whole.clone());
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut tree = self.shared.tree.lock();
        let mut synced = std::mem::take(&mut tree.synced);
        synced.retain(|path, _| folder(path) != dir);
        synced
            .extend(tree.live.iter().filter(|(path, _)| folder(path) == dir).map(|(p, i)| (p.clone(), Arc::clone(i))));
        tree.synced = synced;
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        if self.shared.locked.swap(true, Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the store is in use"));
        }
        Ok(Box::new(Locked(Arc::clone(&self.shared.locked))))
    }
}

struct Locked(Arc<AtomicBool>);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inode.data.lock().live.len() as u64)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let data = self.inode.data.lock();
        let start = offset as usize;
        match start.checked_add(bytes.len()).and_then(|end| data.live.get(start..end)) {
            Some(found) => {
                bytes.copy_from_slice(found);
                Ok(())
            }
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before")),
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.writable()?;
        self.inode.data.lock().write(bytes, offset as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inode.data.lock().undo.clear();
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        self.inode.data.lock().set_len(len as usize);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(store: &MemoryStore, path: &str) -> Option<Vec<u8>> {
        store.contents().get(path).cloned()
    }

    #[test]
    fn a_crash_undoes_what_was_not_synced() {
        let store = MemoryStore::new();
        let file = store.create("a").unwrap();
        file.write_all_at(b"first", 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(read(&store.crashed(Survival::Nothing), "a"), None, "the name was not synced");
        store.sync_dir("").unwrap();
        file.write_all_at(b"SECOND", 3).unwrap();
        file.set_len(4).unwrap();
        file.write_all_at(b"x", 8).unwrap();
        assert_eq!(read(&store, "a").unwrap(), b"firS\0\0\0\0x");
        assert_eq!(read(&store.crashed(Survival::Nothing), "a").unwrap(), b"first");
        assert_eq!(read(&store.crashed(Survival::Everything), "a").unwrap(), b"firS\0\0\0\0x");
    }

    #[test]
    fn a_rename_that_was_not_synced_is_undone() {
        let store = MemoryStore::new();
        store.create("old").unwrap();
        store.sync_dir("").unwrap();
        store.rename("old", "new").unwrap();
        assert_eq!(store.crashed(Survival::Nothing).contents().keys().collect::<Vec<_>>(), ["old"]);
        assert_eq!(store.crashed(Survival::Everything).contents().keys().collect::<Vec<_>>(), ["new"]);
    }

    #[test]
    fn some_sectors_survive_in_every_mixture() {
        let store = MemoryStore::new();
        let file = store.create("a").unwrap();
        store.sync_dir("").unwrap();
        file.write_all_at(&[1; 1024], 0).unwrap();
        let found: BTreeSet<(bool, bool)> = (0..200)
            .map(|seed| {
                let bytes = read(&store.crashed(Survival::Some(seed)), "a").unwrap();
                (bytes.first() == Some(&1), bytes.len() > 512 && bytes[512] == 1)
            })
            .collect();
        assert_eq!(found.len(), 4);
    }
}
