//! Commit files: groups appended and synced, one file at a time.

use std::io;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frame::{FileHeader, HEADER_BYTES};
use crate::read::commit_path;
use crate::state::CommitFile;
use crate::store::Store;

pub(crate) const COMMIT_MAGIC: [u8; 8] = *b"cfcommit";

/// No commit file is longer: offsets in it are kept in 32 bits.
pub(crate) const COMMIT_FILE_BYTES_MAX: u64 = u32::MAX as u64;

/// The commit file that groups are appended to.
pub(crate) struct ActiveFile {
    pub file: Arc<CommitFile>,
    /// Where the next group goes.
    pub end: u64,
}

/// What became of a write.
#[derive(Debug)]
pub(crate) struct WriteError {
    pub error: Error,
    /// Nothing of the write remains and the file may be written again.
    pub undone: bool,
}

impl ActiveFile {
    /// Makes commit file `number`, whose first group will be `first_group`; it is durable when this returns.
    pub(crate) fn create(store: &dyn Store, number: u64, first_group: u64) -> Result<ActiveFile> {
        let path = commit_path(number);
        let attempt = |what: &'static str| {
            let path = path.clone();
            move |err: io::Error| Error::io(what, &path, &err)
        };
        let file = store.create(&path).map_err(attempt("create"))?;
        let header = FileHeader { magic: COMMIT_MAGIC, number, extra: first_group }.encode();
        file.write_all_at(&header, 0).map_err(attempt("write"))?;
        file.sync_data().map_err(attempt("sync"))?;
        store.sync_dir("commit").map_err(attempt("sync the folder of"))?;
        Ok(ActiveFile { file: Arc::new(CommitFile { number, file }), end: HEADER_BYTES as u64 })
    }

    /// Whether nothing was appended yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.end == HEADER_BYTES as u64
    }

    /// Writes a whole frame at the end, not yet durable. The end is moved by [`ActiveFile::accept`].
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let Err(err) = self.file.file.write_all_at(bytes, self.end) else {
            return Ok(());
        };
        let error = Error::io("write", &commit_path(self.file.number), &err);
        // A full disk may take part of a write. What it took is cut off, and checks as no group should that fail later.
        let undone = err.kind() == io::ErrorKind::StorageFull && self.file.file.set_len(self.end).is_ok();
        Err(WriteError { error, undone })
    }

    /// Makes what was written durable. After an error nothing may be written here any more.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.file.sync_data().map_err(|err| Error::io("sync", &commit_path(self.file.number), &err))
    }

    /// Counts what was written and synced as part of the file.
    pub(crate) fn accept(&mut self, bytes: u64) {
        self.end += bytes;
    }

    /// Takes back what was written since the last [`ActiveFile::accept`].
    pub(crate) fn undo(&self) -> Result<()> {
        let path = commit_path(self.file.number);
        self.file.file.set_len(self.end).map_err(|err| Error::io("cut", &path, &err))?;
        self.sync()
    }
}
