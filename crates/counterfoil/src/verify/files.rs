//! Where published files are read from: an address, a folder, a zip file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ureq::Agent;

/// Most bytes of one published file: a bundle of 256 entries of 64 KiB, or of 256 bodies of 1 MiB.
pub const FILE_BYTES_MAX: u64 = 256 * ((1 << 20) + 32);
/// Most files of a bundle.
const FILES_MAX: usize = 5_000_000;
/// Most bytes of an unpacked zip file: all of it is held in memory.
const ZIP_BYTES_MAX: u64 = 1 << 30;

/// The files of one log, by their paths below it.
pub trait Files {
    /// The bytes at `path`; none if there is no such file.
    ///
    /// # Errors
    /// Why nobody can say, in words.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String>;

    /// The bytes at `path`, which must be there.
    fn need(&self, path: &str) -> Result<Vec<u8>, String> {
        self.read(path)?.ok_or_else(|| format!("{path} is not there"))
    }
}

/// A log's published files over HTTP.
pub struct Address {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Address {
    /// `base`: `http(s)://HOST/l/LOG-ID`.
    pub fn new(agent: Agent, base: &str, token: Option<String>) -> Address {
        Address { agent, base: base.trim_end_matches('/').to_owned(), token }
    }
}

impl Files for Address {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let url = format!("{}/{path}", self.base);
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| format!("{url}: {error}"))?;
        match response.status().as_u16() {
            200 => {}
            404 | 410 => return Ok(None),
            _ => return Err(format!("{url} answered {}", response.status())),
        }
        let body = response.body_mut().with_config().limit(FILE_BYTES_MAX).read_to_vec();
        body.map(Some).map_err(|error| format!("{url}: {error}"))
    }
}

/// Files below a folder.
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let full = self.0.join(path);
        let file = match fs::File::open(&full) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(format!("{}: {error}", full.display())),
        };
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("{}: {error}", full.display()))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("{} is longer than any published file", full.display()));
        }
        Ok(Some(bytes))
    }
}

impl Folder {
    /// The paths of all files, in order. Links are not followed.
    pub fn list(&self) -> anyhow::Result<Vec<String>> {
        let mut paths = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let at = self.0.join(&folder);
            for entry in fs::read_dir(&at).with_context(|| format!("reading {}", at.display()))? {
                let entry = entry.with_context(|| format!("reading {}", at.display()))?;
                let Ok(name) = entry.file_name().into_string() else {
                    bail!("{} holds a name that is not UTF-8", at.display())
                };
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if entry.file_type().with_context(|| path.clone())?.is_dir() {
                    folders.push(path);
                } else {
                    paths.push(path);
                }
                if paths.len() > FILES_MAX {
                    bail!("{} holds more than {FILES_MAX} files", self.0.display());
                }
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// Files held in memory, such as those of a zip file.
#[derive(Debug, Default)]
pub struct Held(pub BTreeMap<String, Vec<u8>>);

impl Files for Held {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(path).cloned())
    }
}

impl Held {
    /// Unpacks a zip file. A single folder around everything is left out of the paths.
    ///
    /// # Errors
    /// What cannot be read, is too much, or has a name that leads out of the archive.
    pub fn unzip(path: &Path) -> anyhow::Result<Held> {
        let said = || format!("reading {}", path.display());
        let mut archive =
            zip::ZipArchive::new(io::BufReader::new(fs::File::open(path).with_context(said)?)).with_context(said)?;
        if archive.len() > FILES_MAX {
            bail!("{} holds more than {FILES_MAX} files", path.display());
        }
        let (mut files, mut left) = (BTreeMap::new(), ZIP_BYTES_MAX);
        for at in 0..archive.len() {
            let mut file = archive.by_index(at).with_context(said)?;
            if file.is_dir() {
                continue;
            }
            let name = file.name().with_context(said)?.into_owned();
            if name.starts_with('/') || name.split(['/', '\\']).any(|part| part == "..") {
                bail!("{} holds a file called {name:?}", path.display());
            }
            let mut bytes = Vec::new();
            // One byte more than there is room for shows that there is too much, whatever the header says.
            let read = (&mut file).take(left + 1).read_to_end(&mut bytes).with_context(said)? as u64;
            left = left.checked_sub(read).with_context(|| format!("{} unpacks to too much", path.display()))?;
            if files.insert(name.clone(), bytes).is_some() {
                bail!("{} holds {name:?} twice", path.display());
            }
        }
        Ok(Held(without_common_folder(files)))
    }
}

fn without_common_folder(files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let first = files.keys().next().and_then(|path| path.split_once('/')).map(|(first, _)| format!("{first}/"));
    match first {
        Some(first) if files.keys().all(|path| path.starts_with(&first)) => {
            files.into_iter().map(|(path, bytes)| (path[first.len()..].to_owned(), bytes)).collect()
        }
        _ => files,
    }
}
