//! Bytes that are read a piece at a time, wherever they are kept.

use std::io;

/// A file, an object in a store, a slice: something of known length of which pieces can be read.
pub trait Ranged {
    /// How many bytes there are.
    ///
    /// # Errors
    /// Whatever keeps the bytes does not answer.
    fn length(&self) -> io::Result<u64>;

    /// Exactly `length` bytes from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are not so many; otherwise whatever keeps the bytes does not answer.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>>;
}

impl Ranged for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let piece = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)?.get(..length));
        piece.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Ranged for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        self.as_slice().length()
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.as_slice().read_at(offset, length)
    }
}

impl<R: Ranged + ?Sized> Ranged for &R {
    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        (**self).read_at(offset, length)
    }
}

impl<R: Ranged + ?Sized> Ranged for std::sync::Arc<R> {
    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        (**self).read_at(offset, length)
    }
}

/// Why a replay file or span file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The bytes could not be had.
    #[error("the file could not be read")]
    Io(#[from] io::Error),
    /// The bytes are not what was written: the file is not one of ours, is cut short, or was changed. It is a projection:
    /// make it again.
    #[error("damage at byte {offset}: {what}")]
    Damaged {
        /// Where in the file what was read begins.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Written by another version of this program: make it again.
    #[error("version {0} of the file is not known")]
    Version(u32),
}

impl FileError {
    pub(crate) fn damaged(offset: u64, what: &'static str) -> FileError {
        FileError::Damaged { offset, what }
    }
}

/// A read beyond the end is damage: the file said that something is there.
pub(crate) fn read(ranged: &impl Ranged, offset: u64, length: usize) -> Result<Vec<u8>, FileError> {
    match ranged.read_at(offset, length) {
        Ok(bytes) if bytes.len() == length => Ok(bytes),
        Ok(_) => Err(FileError::damaged(offset, "fewer bytes than asked for")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(FileError::damaged(offset, "cut short")),
        Err(error) => Err(FileError::Io(error)),
    }
}
