//! A small file of frames that only grows, rewritten now and then with what still counts.
//!
//! Used by the guarded signer and for checkpoints. An append is one frame, durable when [`Journal::append`] returns.
//! Rewriting makes a new file beside the old one, syncs it, renames it over the old one, and syncs the folder: a crash
//! leaves the one or the other.

use std::io;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frame::{self, FileHeader, Frame, FrameHeader, HEADER_BYTES, Scan, Tail};
use crate::store::{File, Store};

/// The file is not rewritten before it is this long.
const REWRITE_BYTES_MIN: u64 = 1 << 20;

/// The file is rewritten when it is this many times as long as after the last rewriting.
const REWRITE_FACTOR: u64 = 4;

/// What a journal is called and how its parts are marked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalKind {
    /// Folder within the store; `""` for its root.
    pub dir: &'static str,
    /// Path of the file.
    pub path: &'static str,
    /// Path of the file being written to replace it.
    pub tmp: &'static str,
    pub file_magic: [u8; 8],
    pub frame_magic: [u8; 4],
}

/// An open journal.
pub(crate) struct Journal {
    kind: JournalKind,
    store: Arc<dyn Store>,
    file: Arc<dyn File>,
    end: u64,
    next_number: u64,
    rewritten_bytes: u64,
}

/// Reads a journal without changing it and hands over each frame that checks, in order.
///
/// # Errors
/// `InvalidData` if the file header does not check.
pub(crate) fn read(kind: &JournalKind, file: &dyn File, mut found: impl FnMut(&Frame, Vec<u8>)) -> io::Result<Scan> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0).map_err(|err| match err.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::InvalidData, "the file has no header"),
        _ => err,
    })?;
    FileHeader::decode(&header, &kind.file_magic).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
    frame::scan(file, HEADER_BYTES as u64, kind.frame_magic, 1, |frame, payload| {
        if frame.checks {
            found(frame, payload);
        }
    })
}

impl Journal {
    /// Makes an empty journal that is durable when this returns, replacing one of the same name.
    pub(crate) fn create(store: &Arc<dyn Store>, kind: JournalKind) -> Result<Journal> {
        let (file, end) = write_new(&**store, &kind, &[])?;
        Ok(Journal { kind, store: Arc::clone(store), file, end, next_number: 1, rewritten_bytes: end })
    }

    /// Takes up a journal, handing over its frames in order and cutting off an append that a crash left half-written.
    ///
    /// # Errors
    /// `Corrupt` if it holds damage; the file is left as it is.
    pub(crate) fn open(
        store: &Arc<dyn Store>,
        kind: JournalKind,
        found: impl FnMut(&Frame, Vec<u8>),
    ) -> Result<Journal> {
        let attempt = |what: &'static str| move |err: io::Error| Error::io(what, kind.path, &err);
        let file = store.open(kind.path).map_err(attempt("open"))?;
        let scan = read(&kind, &*file, found).map_err(attempt("read"))?;
        if let Some(damage) = scan.damage.first() {
            return Err(Error::corrupt(format!("{} at byte {}: {}", kind.path, damage.offset, damage.what)));
        }
        if let Tail::Torn(at) = scan.tail {
            tracing::info!(file = kind.path, at, "dropping an append that was cut short");
            file.set_len(at).map_err(attempt("cut"))?;
            file.sync_data().map_err(attempt("sync"))?;
        }
        let journal = Journal {
            kind,
            store: Arc::clone(store),
            file,
            end: scan.end,
            next_number: scan.next_number,
            rewritten_bytes: 0,
        };
        Ok(journal)
    }

    /// Appends one frame and syncs it. Answers with the offset of its payload.
    ///
    /// # Errors
    /// A [`Failure`] that tells whether the journal may be used again.
    pub(crate) fn append(&mut self, count: u32, payload: &[u8]) -> Result<u64, Failure> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend(FrameHeader::of(self.kind.frame_magic, self.next_number, count, payload).encode());
        bytes.extend_from_slice(payload);
        if let Err(err) = self.file.write_all_at(&bytes, self.end) {
            // Nothing was promised yet: what was written in part is cut off again, and overwritten by the next append.
            let cut = self.file.set_len(self.end);
            let error = Error::io("write", self.kind.path, &err);
            return Err(Failure { error, final_: cut.is_err() || err.kind() != io::ErrorKind::StorageFull });
        }
        // After a failed sync nobody knows what is on disk; it must not be tried again (DESIGN §8).
        self.file
            .sync_data()
            .map_err(|err| Failure { error: Error::io("sync", self.kind.path, &err), final_: true })?;
        let payload_at = self.end + HEADER_BYTES as u64;
        self.end += bytes.len() as u64;
        self.next_number += 1;
        Ok(payload_at)
    }

    /// The open file, for reading frames again.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Whether it is time for [`Journal::rewrite`].
    pub(crate) fn is_long(&self) -> bool {
        self.end > REWRITE_BYTES_MIN.max(REWRITE_FACTOR * self.rewritten_bytes)
    }

    /// Replaces all frames by these.
    pub(crate) fn rewrite(&mut self, frames: &[(u32, Vec<u8>)]) -> Result<()> {
        let (file, end) = write_new(&*self.store, &self.kind, frames)?;
        self.file = file;
        self.end = end;
        self.next_number = frames.len() as u64 + 1;
        self.rewritten_bytes = end;
        Ok(())
    }
}

/// A failed append.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: Error,
    /// The journal must not be written again before it was reopened.
    pub final_: bool,
}

fn write_new(store: &dyn Store, kind: &JournalKind, frames: &[(u32, Vec<u8>)]) -> Result<(Arc<dyn File>, u64)> {
    let attempt = |what: &'static str| move |err: io::Error| Error::io(what, kind.tmp, &err);
    match store.remove(kind.tmp) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(attempt("remove")(err)),
        _ => {}
    }
    let file = store.create(kind.tmp).map_err(attempt("create"))?;
    let mut bytes = FileHeader { magic: kind.file_magic, number: 1, extra: 0 }.encode().to_vec();
    for (place, (count, payload)) in frames.iter().enumerate() {
        bytes.extend(FrameHeader::of(kind.frame_magic, place as u64 + 1, *count, payload).encode());
        bytes.extend_from_slice(payload);
    }
    file.write_all_at(&bytes, 0).map_err(attempt("write"))?;
    file.sync_data().map_err(attempt("sync"))?;
    store.rename(kind.tmp, kind.path).map_err(attempt("rename"))?;
    store.sync_dir(kind.dir).map_err(attempt("sync the folder of"))?;
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::{MemoryStore, Survival};

    const KIND: JournalKind =
        JournalKind { dir: "", path: "j", tmp: "j.tmp", file_magic: *b"testjrnl", frame_magic: *b"tEST" };

    fn reopen(memory: &MemoryStore) -> (Journal, Vec<Vec<u8>>) {
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        let mut found = Vec::new();
        let journal = Journal::open(&store, KIND, |_, payload| found.push(payload)).unwrap();
        (journal, found)
    }

    #[test]
    fn what_was_appended_survives_a_power_cut_and_a_rewriting() {
        let memory = MemoryStore::new();
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        let mut journal = Journal::create(&store, KIND).unwrap();
        journal.append(1, b"first").unwrap();
        journal.append(1, b"second").unwrap();
        let memory = memory.crashed(Survival::Nothing);
        let (mut journal, found) = reopen(&memory);
        assert_eq!(found, [b"first".to_vec(), b"second".to_vec()]);
        journal.rewrite(&[(1, b"second".to_vec())]).unwrap();
        journal.append(1, b"third").unwrap();
        let (_, found) = reopen(&memory.crashed(Survival::Nothing));
        assert_eq!(found, [b"second".to_vec(), b"third".to_vec()]);
    }

    #[test]
    fn a_torn_append_is_cut_off_and_a_changed_one_is_refused() {
        let memory = MemoryStore::new();
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        let mut journal = Journal::create(&store, KIND).unwrap();
        journal.append(1, b"first").unwrap();
        let whole = memory.contents()["j"].len() as u64;
        journal.append(1, b"second").unwrap();
        let file = memory.open("j").unwrap();
        let len = file.len().unwrap();
        file.set_len(len - 1).unwrap();
        let (_, found) = reopen(&memory);
        assert_eq!(found, [b"first".to_vec()]);
        assert_eq!(file.len().unwrap(), whole);
        file.write_all_at(b"F", whole - 5).unwrap();
        assert!(matches!(Journal::open(&store, KIND, |_, _| ()), Err(Error::Corrupt(_))));
    }
}
