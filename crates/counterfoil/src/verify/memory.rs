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
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<String, String>);

impl Memory {
    /// Reads a file of remembered checkpoints; one that does not exist remembers nothing.
    ///
    /// # Errors
    /// A file that can't be read, or that holds something else: it is never overwritten then.
    pub fn read(path: &Path) -> anyhow::Result<Memory> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Memory::default()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let mut memory = Memory::default();
        for note in text.split(SEPARATOR) {
            let head =
                head(note).with_context(|| format!("{} is not a file of remembered checkpoints", path.display()))?;
            memory.0.insert(head.origin, note.to_owned());
        }
        Ok(memory)
    }

    /// The remembered checkpoint of a log, unsigned part.
    pub fn get(&self, origin: &str) -> Option<Checkpoint> {
        self.0.get(origin).and_then(|note| head(note).ok())
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
        let text = self.0.values().cloned().collect::<Vec<_>>().join(SEPARATOR);
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let said = || format!("writing {}", path.display());
        let mut file = fs::File::create(&part).with_context(said)?;
        io::Write::write_all(&mut file, text.as_bytes()).with_context(said)?;
        file.sync_all().with_context(said)?;
        fs::rename(&part, path).with_context(said)
    }
}

/// The head in a note, signatures not looked at: for checkpoints that the caller keeps and so believes.
pub fn head(note: &str) -> anyhow::Result<Checkpoint> {
    match Note::parse(note) {
        Ok(parsed) => parsed.text.parse().context("not a checkpoint"),
        Err(error) => bail!("not a signed checkpoint: {error}"),
    }
}
