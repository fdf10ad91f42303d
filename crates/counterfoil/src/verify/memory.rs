//! Remembered checkpoints: what makes a rewritten log show, even one signed with the right key.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use tlog::checkpoint::Checkpoint;
use tlog::note::Note;

/// Separates the checkpoints of several logs in one file.
const SEPARATOR: &str = "\n---\n";

/// The newest verified checkpoint of each origin, as notes.
#[derive(Debug, Clone, Default)]
pub struct Memory(BTreeMap<String, String>);

impl Memory {
    /// Reads a file of remembered checkpoints; one that does not exist remembers nothing.
    ///
    /// # Errors
    /// A file that can't be read, or that holds something else: it is never overwritten then.
    pub fn read(path: &Path) -> anyhow::Result<Memory> {
        match fs::read_to_string(path) {
            Ok(text) => Memory::parse(&text).with_context(|| not_one(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Memory::default()),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Reads a file that starts with the line `mark`, and that must be there: an empty one is a lost one.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub fn read_marked(path: &Path, mark: &str) -> anyhow::Result<Memory> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        match text.strip_prefix(mark) {
            Some("") => Ok(Memory::default()),
            Some(notes) => Memory::parse(notes).with_context(|| not_one(path)),
            None => bail!("{} does not start with the line {:?}", path.display(), mark.trim_end()),
        }
    }

    fn parse(text: &str) -> anyhow::Result<Memory> {
        let mut memory = Memory::default();
        for note in text.split(SEPARATOR) {
            memory.0.insert(head(note)?.origin, note.to_owned());
        }
        Ok(memory)
    }

    /// The remembered checkpoint of a log, unsigned part.
    pub fn get(&self, origin: &str) -> Option<Checkpoint> {
        self.0.get(origin).and_then(|note| head(note).ok())
    }

    /// The remembered note of a log, as it was signed.
    pub fn note(&self, origin: &str) -> Option<&str> {
        self.0.get(origin).map(String::as_str)
    }

    /// Every remembered note.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// Remembers a verified checkpoint in place of an older one.
    pub fn remember(&mut self, origin: &str, note: &str) {
        self.0.insert(origin.to_owned(), note.to_owned());
    }

    /// Writes the file anew: beside its name, synced, then renamed.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        self.write_marked(path, "")
    }

    /// As [`Memory::write`], with the line `mark` (its newline included) before everything.
    pub fn write_marked(&self, path: &Path, mark: &str) -> anyhow::Result<()> {
        let text = mark.to_owned() + &self.0.values().cloned().collect::<Vec<_>>().join(SEPARATOR);
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let said = || format!("writing {}", path.display());
        let mut file = fs::File::create(&part).with_context(said)?;
        io::Write::write_all(&mut file, text.as_bytes()).with_context(said)?;
        file.sync_all().with_context(said)?;
        fs::rename(&part, path).with_context(said)?;
        // The new name is durable only with its folder.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(said)
    }
}

fn not_one(path: &Path) -> String {
    format!("{} is not a file of remembered checkpoints", path.display())
}

/// The head in a note, signatures not looked at: for checkpoints that the caller keeps and so believes.
pub fn head(note: &str) -> anyhow::Result<Checkpoint> {
    match Note::parse(note) {
        Ok(parsed) => parsed.text.parse().context("not a checkpoint"),
        Err(error) => bail!("not a signed checkpoint: {error}"),
    }
}
