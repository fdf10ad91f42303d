//! What a witness remembers, and the one step of deciding, remembering and cosigning.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};
use log::{Clock, Entropy};
use tlog::note::{SignerKey, VerifierKey};
use tlog::witness::{Known, Refusal, judge};

use super::settings::Settings;
use crate::verify::memory::Memory;

/// First line of the memory: an emptied file is a lost one, not an empty one.
const MARK: &str = "counterfoil witness memory v1\n";

/// Bytes of evidence kept at most; a log that shows two histories a thousand times is shown guilty by the first.
const EVIDENCE_BYTES_MAX: u64 = 16 << 20;

/// A witness at work.
pub struct Witness {
    key: SignerKey,
    logs: BTreeMap<String, Vec<VerifierKey>>,
    path: PathBuf,
    memory: Mutex<Memory>,
    clock: Arc<dyn Clock>,
    /// Keeps a second process from the same memory.
    _lock: fs::File,
}

/// Why nothing was cosigned.
#[derive(Debug)]
pub enum Failure {
    /// The request is not to be cosigned.
    Refused(Refusal),
    /// It could not be remembered; nothing was cosigned.
    NotRemembered(anyhow::Error),
}

/// Makes the key and the empty memory; returns the public key.
///
/// # Errors
/// `AlreadyExists` among others: a witness that loses its memory must not start again under the same key.
pub fn init(settings: &Settings, entropy: &dyn Entropy) -> anyhow::Result<String> {
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    let key = SignerKey::cosigner_from_seed(&settings.name, &seed).context("the witness's name")?;
    if settings.state.exists() {
        bail!("{} exists already", settings.state.display());
    }
    let said = || format!("making {}", settings.key.display());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&settings.key).with_context(said)?;
    file.write_all(format!("{}\n", hex::encode(seed)).as_bytes()).and_then(|()| file.sync_all()).with_context(said)?;
    Memory::default().write_marked(&settings.state, MARK)?;
    Ok(key.verifier().to_string())
}

impl Witness {
    /// Takes up a witness's key and memory, and holds them alone.
    ///
    /// # Errors
    /// A key or memory that is missing or does not read; another process that holds them.
    pub fn open(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Witness> {
        let said = || format!("reading the key {}; make one with --init", settings.key.display());
        let text = fs::read_to_string(&settings.key).with_context(said)?;
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim_end(), &mut seed)
            .with_context(|| format!("{} is not 32 bytes in hex", settings.key.display()))?;
        let key = SignerKey::cosigner_from_seed(&settings.name, &seed).context("the witness's name")?;
        if !settings.state.is_file() {
            bail!(
                "{} is gone: a witness without its memory could cosign a second history. Restore it, or make a new witness with a \
                 new key and retire this one",
                settings.state.display()
            );
        }
        let mut lock = settings.state.clone().into_os_string();
        lock.push(".lock");
        let lock =
            OpenOptions::new().create(true).write(true).truncate(false).open(&lock).context("making the lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => bail!("another process holds {}", settings.state.display()),
            Err(fs::TryLockError::Error(error)) => return Err(error).context("locking"),
        }
        let memory = Mutex::new(Memory::read_marked(&settings.state, MARK)?);
        Ok(Witness { key, logs: settings.logs.clone(), path: settings.state.clone(), memory, clock, _lock: lock })
    }

    /// Decides about one add-checkpoint body. On success the checkpoint is remembered durably, and the cosignature line returned.
    pub fn add(&self, body: &str) -> Result<String, Failure> {
        let mut memory = self.lock();
        let known = |origin: &str| {
            let keys = self.logs.get(origin)?;
            Some(Known { keys, last: memory.get(origin) })
        };
        let signed = match judge(body, known) {
            Ok(signed) => signed,
            Err(refusal) => {
                if refusal.is_evidence() {
                    tracing::error!(%refusal, "a log showed a history that does not extend the one remembered");
                    self.keep_evidence(&memory, body);
                }
                return Err(Failure::Refused(refusal));
            }
        };
        let head = &signed.checkpoint;
        // The text as it came, extension lines included: that is what a cosignature is over.
        let text = tlog::note::Note::parse(&signed.note).expect("it was parsed to be judged").text;
        let line = self.key.cosign(text, self.clock.now_us() / 1_000_000);
        // Remembered first: a cosignature that is out must never be forgotten.
        let mut next = memory.clone();
        next.remember(&head.origin, &format!("{}{line}", signed.note));
        next.write_marked(&self.path, MARK).map_err(Failure::NotRemembered)?;
        *memory = next;
        tracing::info!(origin = head.origin, size = head.size, "cosigned");
        Ok(line)
    }

    /// The note remembered of a log.
    pub fn remembered(&self, origin: &str) -> Option<String> {
        self.lock().note(origin).map(str::to_owned)
    }

    /// Origin and size of each log remembered.
    pub fn sizes(&self) -> Vec<(String, u64)> {
        let memory = self.lock();
        self.logs.keys().filter_map(|origin| Some((origin.clone(), memory.get(origin)?.size))).collect()
    }

    /// Name of the key.
    pub fn name(&self) -> &str {
        self.key.verifier().name()
    }

    /// The public key.
    pub fn vkey(&self) -> String {
        self.key.verifier().to_string()
    }

    /// What was remembered is whole whenever the lock is free: it is replaced in one assignment.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was sent beside what was remembered: both are signed by the log, and together they prove that it forked.
    fn keep_evidence(&self, memory: &Memory, body: &str) {
        let mut path = self.path.clone().into_os_string();
        path.push(".evidence");
        let written = append_evidence(Path::new(&path), memory, body);
        if let Err(error) = written {
            tracing::error!(%error, "evidence of a fork could not be kept");
        }
    }
}

fn append_evidence(path: &Path, memory: &Memory, body: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    if file.metadata()?.len() > EVIDENCE_BYTES_MAX {
        return Ok(());
    }
    let sent = tlog::note::Note::parse(body.split_once("\n\n").map_or(body, |(_, note)| note));
    let origin = sent.ok().and_then(|note| note.text.lines().next().map(str::to_owned)).unwrap_or_default();
    let remembered = memory.note(&origin).unwrap_or_default();
    file.write_all(format!("=== remembered\n{remembered}=== sent\n{body}").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use log::{ManualClock, SeededEntropy};
    use tlog::checkpoint::Checkpoint;
    use tlog::extends::Extends;
    use tlog::{Frontier, Hash};

    use super::*;

    const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn settings(folder: &Path) -> Settings {
        let log = SignerKey::from_seed(ORIGIN, &[7; 32]).expect("a key");
        Settings {
            name: "witness.example/w".to_owned(),
            listen: "127.0.0.1:0".parse().expect("an address"),
            key: folder.join("key"),
            state: folder.join("state"),
            logs: BTreeMap::from([(ORIGIN.to_owned(), vec![log.verifier().clone()])]),
        }
    }

    fn open(settings: &Settings) -> anyhow::Result<Witness> {
        Witness::open(settings, Arc::new(ManualClock::new(1_700_000_000_000_000)))
    }

    fn first(size: u64, root: Hash) -> String {
        let log = SignerKey::from_seed(ORIGIN, &[7; 32]).expect("a key");
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&[&log]).expect("signed").note;
        Extends { old_size: 0, hashes: Vec::new(), checkpoint }.to_string()
    }

    fn leaf() -> Hash {
        let mut frontier = Frontier::new();
        frontier.push(tlog::leaf_hash(b"a"));
        frontier.root()
    }

    #[test]
    fn what_was_cosigned_is_remembered_by_the_next_process_and_a_second_one_is_kept_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = settings(folder.path());
        let vkey = init(&settings, &SeededEntropy::new(1)).expect("made");
        let witness = open(&settings).expect("opened");
        assert_eq!(witness.vkey(), vkey);
        assert!(open(&settings).is_err(), "it is held");
        let line = witness.add(&first(1, leaf())).expect("cosigned");
        assert!(line.starts_with("\u{2014} witness.example/w "));
        drop(witness);

        let witness = open(&settings).expect("opened again");
        assert!(witness.remembered(ORIGIN).is_some_and(|note| note.ends_with(&line)));
        let refused = witness.add(&first(1, leaf()));
        assert!(matches!(refused, Err(Failure::Refused(Refusal::OtherSize { size: 1 }))), "{refused:?}");
    }

    #[test]
    fn a_witness_without_its_memory_does_not_start_and_none_is_made_twice() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = settings(folder.path());
        assert!(open(&settings).is_err());
        init(&settings, &SeededEntropy::new(1)).expect("made");
        assert!(init(&settings, &SeededEntropy::new(2)).is_err());
        fs::write(&settings.state, "").expect("emptied");
        assert!(open(&settings).is_err());
        fs::remove_file(&settings.state).expect("it was there");
        assert!(open(&settings).is_err());
        assert!(init(&settings, &SeededEntropy::new(2)).is_err(), "the key is still there");
    }

    #[test]
    fn nothing_is_cosigned_that_could_not_be_remembered() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = settings(folder.path());
        init(&settings, &SeededEntropy::new(1)).expect("made");
        let witness = open(&settings).expect("opened");
        // A folder in the way of the new file: the write fails whoever runs the test.
        fs::create_dir(folder.path().join("state.part")).expect("made");
        assert!(matches!(witness.add(&first(1, leaf())), Err(Failure::NotRemembered(_))));
        assert_eq!(witness.remembered(ORIGIN), None);
        fs::remove_dir(folder.path().join("state.part")).expect("removed");
        witness.add(&first(1, leaf())).expect("cosigned now");
    }

    #[test]
    fn two_histories_are_kept_as_evidence() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = settings(folder.path());
        init(&settings, &SeededEntropy::new(1)).expect("made");
        let witness = open(&settings).expect("opened");
        witness.add(&first(1, leaf())).expect("cosigned");
        let forked = first(1, Hash([3; 32])).replacen("old 0", "old 1", 1);
        assert!(matches!(witness.add(&forked), Err(Failure::Refused(Refusal::TwoRoots { size: 1 }))));
        let kept = fs::read_to_string(folder.path().join("state.evidence")).expect("evidence");
        assert!(kept.contains(&leaf().to_string()) && kept.contains(&Hash([3; 32]).to_string()), "{kept}");
    }
}
