//! What a witness is told: who it is, where it keeps things, whom it knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tlog::note::{Algorithm, VerifierKey};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    listen: SocketAddr,
    key: PathBuf,
    state: PathBuf,
    #[serde(default, rename = "log")]
    logs: Vec<LogLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLine {
    vkey: String,
}

/// Settings of one witness, resolved.
#[derive(Debug)]
pub struct Settings {
    /// Name of its key.
    pub name: String,
    /// Where it listens, plain HTTP; put TLS before it.
    pub listen: SocketAddr,
    /// File with the seed of its key: 64 hexadecimal digits, for the owner's eyes only.
    pub key: PathBuf,
    /// File with the remembered checkpoints. Key and file are one object: back them up and restore them together, or not at all.
    pub state: PathBuf,
    /// Keys of each log witnessed, by origin.
    pub logs: BTreeMap<String, Vec<VerifierKey>>,
}

impl Settings {
    /// Reads the settings; relative paths are beside the file.
    ///
    /// # Errors
    /// An unreadable file, an unknown member, a key that is none or not a log's.
    pub fn read(path: &Path) -> anyhow::Result<Settings> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let file: File = toml::from_str(&text).map_err(|error| anyhow::anyhow!("in {}: {error}", path.display()))?;
        let beside = path.parent().unwrap_or(Path::new(""));
        let mut logs: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for line in file.logs {
            let key: VerifierKey =
                line.vkey.parse().with_context(|| format!("in {}: log {:?}", path.display(), line.vkey))?;
            if key.algorithm() != Algorithm::Ed25519 {
                bail!("in {}: {:?} is the key of a witness, not of a log", path.display(), line.vkey);
            }
            logs.entry(key.name().to_owned()).or_default().push(key);
        }
        let (key, state) = (beside.join(file.key), beside.join(file.state));
        Ok(Settings { name: file.name, listen: file.listen, key, state, logs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_and_a_foreign_key_are_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("witness.toml");
        let good = "name = \"w\"\nlisten = \"127.0.0.1:0\"\nkey = \"k\"\nstate = \"s\"\n";
        let witness = tlog::note::SignerKey::cosigner_from_seed("w", &[1; 32]).expect("a key");
        for (text, says) in [
            (format!("{good}lisen = 1\n"), "lisen"),
            (format!("{good}[[log]]\nvkey = \"nonsense\"\n"), "nonsense"),
            (format!("{good}[[log]]\nvkey = \"{}\"\n", witness.verifier()), "not of a log"),
        ] {
            std::fs::write(&path, text).expect("a file");
            let error = format!("{:#}", Settings::read(&path).expect_err("refused"));
            assert!(error.contains(says), "{error}");
        }
        std::fs::write(&path, good).expect("a file");
        assert_eq!(Settings::read(&path).expect("settings").state, folder.path().join("s"));
    }
}
