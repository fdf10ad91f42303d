//! Where the bytes of recordings lie: one object for each chunk, named by its session and the SHA-256 of its bytes.
//!
//! ```text
//! <log id>/<session id>/<sha-256, hexadecimal>
//! ```
//!
//! Below the log and the session, so that what belongs to a session that is gone is found without looking at any other,
//! and so that no organisation can learn from a name what another one has. A chunk is durable before its hash is appended
//! to the log; an object whose hash is in no entry is garbage (`sweep.rs`).

use std::collections::HashSet;
use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use log::LogId;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::SessionId;
use crate::error::{Error, ErrorKind, Result};

/// Seconds after which a store that did not answer may be tried again.
const RETRY_AFTER_S: u64 = 5;

/// Where chunks are kept.
#[derive(Clone, Debug, Default)]
pub enum BlobStore {
    /// In `DATA/blobs`.
    #[default]
    InData,
    /// In this folder, which is made if need be.
    Folder(PathBuf),
    /// In a store whose writes are durable when they are answered, such as S3.
    Objects(Arc<dyn ObjectStore>),
}

/// The chunks of all recordings.
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// The folder, if it is one of ours, with the logs whose folder is known to be on the disk.
    folder: Option<(PathBuf, Mutex<HashSet<LogId>>)>,
}

impl Blobs {
    /// Opens the store. Blocks.
    pub fn open(data: &FilePath, store: &BlobStore) -> Result<Blobs> {
        let folder = match store {
            BlobStore::Objects(store) => return Ok(Blobs { store: Arc::clone(store), folder: None }),
            BlobStore::InData => data.join("blobs"),
            BlobStore::Folder(folder) => folder.clone(),
        };
        let failed = |e: std::io::Error| {
            let message = format!("cannot make the folder of recordings {}", folder.display());
            Error::new(ErrorKind::Unavailable, message).with_source(e)
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        sync(&folder).map_err(failed)?;
        if let Some(parent) = folder.parent() {
            sync(parent).map_err(failed)?;
        }
        // Without `with_fsync` it renames what may not be on the disk yet.
        let local = LocalFileSystem::new_with_prefix(&folder).map_err(unavailable)?.with_fsync(true);
        Ok(Blobs { store: Arc::new(local), folder: Some((folder, Mutex::default())) })
    }

    /// Stores a chunk. When this returns it is on the disk, its name and the folders above it included. The same chunk
    /// again is written again: what lies there may be what a crash left of it.
    ///
    /// # Errors
    /// `Unavailable`: it may or may not be there; without an entry of the log it is garbage either way.
    pub async fn put(&self, log: LogId, session: SessionId, sha256: &[u8; 32], bytes: Bytes) -> Result<()> {
        self.make_folder(log).await?;
        let put = self.store.put(&path(log, session, sha256), PutPayload::from_bytes(bytes)).await;
        put.map(drop).map_err(unavailable)
    }

    /// Makes the folder of a log and sees that its name is on the disk. The store does so for folders it makes itself, but
    /// of two who come at once the one who finds the folder there may be answered before the one who made it has synced it.
    async fn make_folder(&self, log: LogId) -> Result<()> {
        let Some((folder, known)) = &self.folder else { return Ok(()) };
        if known.lock().contains(&log) {
            return Ok(());
        }
        let (folder, of_log) = (folder.clone(), folder.join(log.to_string()));
        let made = tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&of_log)?;
            sync(&of_log)?;
            sync(&folder)
        });
        let made = made.await.map_err(|e| Error::internal("a folder was not made").with_source(e))?;
        made.map_err(|e| store_error("cannot make a folder for recordings").with_source(e))?;
        known.lock().insert(log);
        Ok(())
    }

    /// Reads a whole chunk and checks it.
    ///
    /// # Errors
    /// `Corrupt`: it is not there, or not what its hash says. `Unavailable`: the store did not answer.
    pub async fn get(&self, log: LogId, session: SessionId, sha256: &[u8; 32], length: u32) -> Result<Bytes> {
        let path = path(log, session, sha256);
        let got = match self.store.get(&path).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Err(tainted("chunk_missing", &path)),
            Err(error) => return Err(unavailable(error)),
        };
        // Before it is read into memory: a changed one may be of any length.
        if got.meta.size != u64::from(length) {
            return Err(tainted("chunk_changed", &path));
        }
        let bytes = got.bytes().await.map_err(unavailable)?;
        let (bytes, found) = hashed(bytes).await?;
        if found != *sha256 {
            return Err(tainted("chunk_changed", &path));
        }
        Ok(bytes)
    }

    /// The sessions of a log that have objects.
    pub async fn sessions(&self, log: LogId) -> Result<Vec<SessionId>> {
        let listed = self.store.list_with_delimiter(Some(&Path::from(log.to_string()))).await.map_err(unavailable)?;
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename()?.parse().ok());
        Ok(names.collect())
    }

    /// Removes the objects of a session whose hashes `keep` does not name, and what a crash left of unfinished ones. Gives
    /// how many.
    pub async fn sweep(&self, log: LogId, session: SessionId, keep: &HashSet<[u8; 32]>) -> Result<u64> {
        let of_session = Path::from_iter([log.to_string(), session.to_string()]);
        let mut objects = self.store.list(Some(&of_session));
        let mut removed = 0;
        while let Some(object) = objects.try_next().await.map_err(unavailable)? {
            let mut hash = [0; 32];
            let named = object.location.filename().is_some_and(|name| hex::decode_to_slice(name, &mut hash).is_ok());
            if named && keep.contains(&hash) {
                continue;
            }
            tracing::info!(object = %object.location, "removing a chunk that no entry of the log names");
            self.store.delete(&object.location).await.map_err(unavailable)?;
            removed += 1;
        }
        drop(objects);
        self.remove_staged(log, session).await?;
        Ok(removed)
    }

    /// The local store writes to `name#1` first and hides such names from lists; a crash leaves them behind.
    async fn remove_staged(&self, log: LogId, session: SessionId) -> Result<()> {
        let Some((folder, _)) = &self.folder else { return Ok(()) };
        let folder = folder.join(log.to_string()).join(session.to_string());
        let work = tokio::task::spawn_blocking(move || {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(e),
            };
            for entry in entries {
                let entry = entry?;
                if entry.file_name().to_string_lossy().contains('#') {
                    fs::remove_file(entry.path())?;
                }
            }
            match fs::remove_dir(&folder) {
                Err(e) if e.kind() != std::io::ErrorKind::DirectoryNotEmpty => Err(e),
                _ => Ok(()),
            }
        });
        let done = work.await.map_err(|e| Error::internal("a sweep stopped").with_source(e))?;
        done.map_err(|e| store_error("cannot sweep a folder of recordings").with_source(e))
    }
}

/// The SHA-256 of bytes; many are hashed where it holds up nobody.
pub async fn hashed(bytes: Bytes) -> Result<(Bytes, [u8; 32])> {
    const INLINE_BYTES_MAX: usize = 64 << 10;
    if bytes.len() <= INLINE_BYTES_MAX {
        let hash = Sha256::digest(&bytes).into();
        return Ok((bytes, hash));
    }
    let work = tokio::task::spawn_blocking(move || {
        let hash = Sha256::digest(&bytes).into();
        (bytes, hash)
    });
    work.await.map_err(|e| Error::internal("a chunk was not hashed").with_source(e))
}

fn path(log: LogId, session: SessionId, sha256: &[u8; 32]) -> Path {
    Path::from_iter([log.to_string(), session.to_string(), hex::encode(sha256)])
}

fn sync(folder: &FilePath) -> std::io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn tainted(reason: &str, path: &Path) -> Error {
    let message = format!("a chunk of this recording is not what was committed ({reason})");
    Error::corrupt(message, format!("{path}"))
}

fn store_error(message: &str) -> Error {
    let mut error = Error::new(ErrorKind::Unavailable, message);
    error.retry_after_s = Some(RETRY_AFTER_S);
    error
}

fn unavailable(error: object_store::Error) -> Error {
    store_error("the store of recordings did not do its work").with_source(error)
}
