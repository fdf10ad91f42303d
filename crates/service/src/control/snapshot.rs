//! The control state in a file, so that a start does not read the whole control log. May be deleted at any time.
//!
//! ```text
//! counterfoil control snapshot v1\n
//! HMAC-SHA-256 of the rest, in hex\n
//! {"log":"…","entries":7,"root":"base64","state":{…}}
//! ```
//!
//! The root binds the snapshot to the log it was made from: another log, or another history, does not use it.

use std::fs;
use std::io::Write;

use hmac::{Hmac, KeyInit, Mac};
use log::{LogId, Logs};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tlog::Hash;

use super::Snapshots;
use super::state::{Parts, State};

const MAGIC: &str = "counterfoil control snapshot v1\n";

/// Hex digits of an HMAC-SHA-256.
const MAC_CHARS: usize = 64;

#[derive(Serialize, Deserialize)]
struct Snapshot {
    log: String,
    entries: u64,
    root: String,
    state: Parts,
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac
}

/// Reads the snapshot: the state and the entries it was made from. `None` if there is none.
pub(super) fn read(at: &Snapshots, logs: &Logs, log: LogId) -> Result<Option<(State, u64)>, String> {
    let bytes = match fs::read(&at.path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or("it is of another version")?;
    if rest.len() <= MAC_CHARS || rest[MAC_CHARS] != b'\n' {
        return Err("it is cut short".into());
    }
    let (claimed, json) = (&rest[..MAC_CHARS], &rest[MAC_CHARS + 1..]);
    let claimed = hex::decode(claimed).map_err(|e| e.to_string())?;
    mac(&at.key, json).verify_slice(&claimed).map_err(|_| "its check value is wrong")?;
    let snapshot: Snapshot = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    if snapshot.log != log.to_string() {
        return Err("it belongs to another control log".into());
    }
    let size = logs.head(&log).map_err(|e| e.to_string())?.size;
    if snapshot.entries > size {
        return Err(format!("it holds {} entries and the log {size}", snapshot.entries));
    }
    let root: Hash = snapshot.root.parse().map_err(|_| "its root does not read")?;
    if logs.root_at(&log, snapshot.entries).map_err(|e| e.to_string())? != root {
        return Err("it was made from another history of the log".into());
    }
    Ok(Some((State::from_parts(snapshot.state), snapshot.entries)))
}

/// Writes the snapshot beside the old one and swaps them, so that a crash leaves one of the two.
pub(super) fn write(at: &Snapshots, log: LogId, entries: u64, root: Hash, state: &State) -> Result<(), String> {
    let snapshot = Snapshot { log: log.to_string(), entries, root: root.to_string(), state: state.to_parts() };
    let json = serde_json::to_vec(&snapshot).map_err(|e| e.to_string())?;
    let mac = hex::encode(mac(&at.key, &json).finalize().into_bytes());
    let tmp = at.path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        if let Some(folder) = at.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::File::create(&tmp)?;
        file.write_all(MAGIC.as_bytes())?;
        file.write_all(mac.as_bytes())?;
        file.write_all(b"\n")?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&tmp, &at.path)
    };
    write().map_err(|e| e.to_string())
}
