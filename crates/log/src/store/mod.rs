//! Where files live: the contract, and its implementations.
//!
//! Paths are relative, with `/` between names; a folder is made with [`Store::create_dir`]. What survives a power cut:
//! a file's bytes after its `sync_data`, a name after the `sync_dir` of its folder. Everything else may be there, may
//! be gone, or may be there in part.

use std::io;
use std::sync::Arc;

pub mod conformance;
pub mod embedded;
pub mod faulty;
pub mod memory;

/// A folder of files.
pub trait Store: Send + Sync {
    /// Makes a new, empty file for reading and writing; `AlreadyExists` if the name is taken.
    fn create(&self, path: &str) -> io::Result<Arc<dyn File>>;
    /// Opens a file for reading and writing; `NotFound` if there is none.
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>>;
    /// Opens a file for reading only.
    fn open_read(&self, path: &str) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name, replacing what had it, in one step. Open files stay open.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name. Open files stay readable.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Names in a folder (`""` is the root), sorted; files and folders alike. A folder that is not there is empty.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Makes a folder and those above it; nothing happens if it is there.
    fn create_dir(&self, dir: &str) -> io::Result<()>;
    /// Makes creations, renames and removals of names in this folder durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Takes the folder for one process until the guard is dropped; `WouldBlock` if another holds it.
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file.
pub trait File: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer from `offset`; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all bytes at `offset`; a gap before it reads as zeros. After an error any part may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes bytes and length durable. After an error nothing written since the last success may be trusted.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros) to this length.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Reads a whole file of at most `bytes_max` bytes; `InvalidData` if it is longer.
pub fn read_whole(file: &dyn File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    if len > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{len} bytes where at most {bytes_max} are expected"),
        ));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
