//! The spool: recordings that are on their way, each a file with a note beside it that says what it is.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a recording in the spool is, and where it is to go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// The server it was made for.
    pub server: String,
    /// The organisation, as it was named; absent: the token's own.
    pub org: Option<String>,
    /// Our id of the session.
    pub client_id: String,
    /// What is said of it.
    pub recording: Value,
    /// The exit status, once the command is over.
    pub exit: Option<i64>,
}

/// A recording in the spool. The file is locked while it is written.
pub struct Spooled {
    pub note: Note,
    pub path: PathBuf,
}

/// The folder: the one given, or the one in the user's state folder. Readable for nobody else.
pub fn folder(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => {
            let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
            let Some(state) = state.or(home) else {
                bail!("no place for recordings that wait: give --spool DIR, or set HOME");
            };
            state.join("counterfoil/spool")
        }
    };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("making the spool {}", folder.display()))?;
    Ok(folder)
}

/// Begins a recording: the note first, then its file, which is locked for as long as it is open.
pub fn begin(folder: &Path, note: Note) -> anyhow::Result<(Spooled, File)> {
    let path = folder.join(format!("{}.cast", note.client_id));
    let spooled = Spooled { note, path };
    spooled.write_note()?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&spooled.path);
    let file = made.with_context(|| format!("creating {}", spooled.path.display()))?;
    file.try_lock().with_context(|| format!("locking {}", spooled.path.display()))?;
    Ok((spooled, file))
}

/// Recordings that nobody writes any more, oldest first.
pub fn waiting(folder: &Path) -> anyhow::Result<Vec<Spooled>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "cast") {
            continue;
        }
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        if file.try_lock().is_err() {
            continue;
        }
        let note = path.with_extension("json");
        let text = fs::read(&note).with_context(|| format!("reading {}", note.display()))?;
        let note = serde_json::from_slice(&text).with_context(|| format!("in {}", note.display()))?;
        found.push(Spooled { note, path });
    }
    found.sort_by(|a, b| a.note.client_id.cmp(&b.note.client_id));
    Ok(found)
}

impl Spooled {
    /// Notes how the command ended.
    pub fn over(&mut self, exit: i64) -> anyhow::Result<()> {
        self.note.exit = Some(exit);
        self.write_note()
    }

    fn write_note(&self) -> anyhow::Result<()> {
        let path = self.path.with_extension("json");
        let (tmp, context) = (self.path.with_extension("json.tmp"), || format!("writing {}", path.display()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&tmp).with_context(context)?;
        serde_json::to_writer(&mut file, &self.note).with_context(context)?;
        file.flush().and_then(|()| file.sync_all()).with_context(context)?;
        fs::rename(&tmp, &path).with_context(context)
    }

    /// Removes it: the server has it.
    pub fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| format!("removing {}", self.path.display()))?;
        let note = self.path.with_extension("json");
        fs::remove_file(&note).with_context(|| format!("removing {}", note.display()))
    }
}
