//! The folder an index lives in: its version mark, and telling the unusable from the unreachable.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use tantivy::directory::MmapDirectory;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError};
use tantivy::{Index, TantivyError};

use super::Error;
use super::schema::{self, Fields, TOKENIZER, VERSION, WordTokenizer};

/// Name of the file that says what the folder holds.
const MARK: &str = "counterfoil-search";

fn mark() -> String {
    format!("counterfoil search index, schema {VERSION}\n")
}

/// Opens or creates the index in the folder.
pub(super) fn open(folder: &Path) -> Result<(Index, Fields), Error> {
    fs::create_dir_all(folder)?;
    match fs::read_to_string(folder.join(MARK)) {
        Ok(found) if found == mark() => {}
        Ok(found) => return Err(unusable(format!("made by another version: {:?}", first_line(&found)))),
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(unusable("its mark is not text")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if fs::read_dir(folder)?.next().is_some() {
                return Err(unusable(format!("the folder is not empty and has no file {MARK}")));
            }
            write_mark(folder)?;
        }
        Err(error) => return Err(Error::Io(error)),
    }
    let (schema, fields) = schema::schema();
    let directory = MmapDirectory::open(folder).map_err(|error| opening(error.into()))?;
    let exists = Index::exists(&directory).map_err(|error| opening(error.into()))?;
    let index = if exists {
        let index = Index::open(directory).map_err(opening)?;
        if index.schema() != schema {
            return Err(unusable("its fields are not those of this version"));
        }
        index
    } else {
        // Newly marked, or killed between the mark and the first write: nothing was ever committed here.
        Index::builder().schema(schema).open_or_create(directory).map_err(opening)?
    };
    index.tokenizers().register(TOKENIZER, WordTokenizer);
    Ok((index, fields))
}

/// What an error met while opening means: everything but the file system refusing makes the folder unusable.
pub(super) fn opening(error: TantivyError) -> Error {
    let io = match &error {
        TantivyError::LockFailure(LockError::LockBusy, _) => return Error::Locked,
        TantivyError::IoError(io)
        | TantivyError::LockFailure(LockError::IoError(io), _)
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error: io, .. })
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: io, .. }) => Some(io),
        _ => None,
    };
    match io {
        Some(io) if !matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::NotFound) => {
            Error::Io(std::io::Error::new(io.kind(), error))
        }
        _ => unusable(error.to_string()),
    }
}

pub(super) fn unusable(detail: impl Into<String>) -> Error {
    Error::Unusable { detail: detail.into() }
}

fn write_mark(folder: &Path) -> Result<(), Error> {
    let mut file = fs::File::create(folder.join(MARK))?;
    file.write_all(mark().as_bytes())?;
    file.sync_all()?;
    Ok(())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(80).collect()
}
