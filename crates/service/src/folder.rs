//! The data folder: who made it, who holds it, and the secret it keeps.
//!
//! ```text
//! DATA/instance.toml           what never changes; written last by `init`
//! DATA/init.unfinished         there while `init` is at work
//! DATA/lock                    held while somebody has the folder open
//! DATA/keys/instance.seed      32 bytes in hex, mode 0600: back this up
//! DATA/log, DATA/signer        the logs and the guarded signer
//! DATA/index, DATA/state       projections: may be deleted
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::store::Store;
use log::store::embedded::FolderStore;
use log::{InstanceSeed, LogId, Logs};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::access::Role;
use crate::config::Config;
use crate::control::record::Record;
use crate::control::{Control, Snapshots, snapshot_path};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AccountId, OrgId};
use crate::passwords::Passwords;
use crate::service::Service;
use crate::{accounts, organisations, secrets};

/// Version of the folder's layout.
const FORMAT: u32 = 1;

/// The key epoch that a data folder begins with.
const FIRST_EPOCH: u32 = 1;

/// Longest audit host, in bytes: that of a host name.
const AUDIT_HOST_BYTES_MAX: usize = 253;

/// What a new data folder starts with.
#[derive(Clone, Debug)]
pub struct Init {
    /// Name of the first organisation.
    pub org: String,
    /// Login name of its administrator.
    pub admin: String,
    /// The administrator's password, 8 to 1,000 bytes.
    pub password: String,
    /// The host part of the logs' origins, fixed for life; such as `audit.example.com`.
    pub audit_host: String,
}

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The first organisation, which is the default one.
    pub org: OrgId,
    /// Its administrator.
    pub admin: AccountId,
    /// The origin of the organisation's log.
    pub origin: String,
    /// The verifier key of that log.
    pub vkey: String,
}

/// What does not change about a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// A random id of this data folder, 32 hex digits.
    pub id: String,
    /// The host part of the logs' origins.
    pub audit_host: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceFile {
    format: u32,
    id: String,
    audit_host: String,
    control_log: String,
}

/// A data folder that this process holds.
pub(crate) struct Folder {
    pub instance: Instance,
    pub control_log: LogId,
    pub seed: Zeroizing<[u8; 32]>,
    /// Seeds of later key epochs.
    pub later_seeds: Vec<(u32, Zeroizing<[u8; 32]>)>,
    /// Released when dropped.
    pub lock: File,
}

impl Service {
    /// Makes a data folder with one organisation and its administrator. Blocks.
    ///
    /// The folder may be missing or empty; anything else is refused (`Conflict`), a half-made one by name.
    pub fn init(config: &Config, init: Init) -> Result<Initialised> {
        apart(|| make(config, init))
    }
}

/// Runs work that waits for the log on a thread of its own: the log refuses to be waited for on a thread of a runtime,
/// and callers here may well be on one.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// See [`Service::init`].
fn make(config: &Config, init: Init) -> Result<Initialised> {
    let data = &config.data;
    // Everything that can be refused is refused before anything is written.
    let name = organisations::check_name(&init.org)?;
    let login = accounts::check_login(&init.admin)?;
    check_audit_host(&init.audit_host)?;
    let passwords = Passwords::new(config.passwords, Arc::clone(&config.entropy))?;
    let password = passwords.hash_blocking(&init.password)?;

    let unfinished = data.join("init.unfinished");
    check_empty(data)?;
    fs::create_dir_all(data).map_err(|e| io("make the data folder", data, e))?;
    let lock = take_lock(data)?;
    write_new(&unfinished, b"remove this folder if no `counterfoil init` is at work in it\n", 0o644)?;

    let mut seed = Zeroizing::new([0; 32]);
    config.entropy.fill(&mut *seed);
    write_seed(data, &seed)?;
    let (store, signer) = stores(data);
    Logs::create_folder(&store, &signer, &init.audit_host)?;
    let folder = Folder {
        instance: Instance { id: hex::encode(random(config)), audit_host: init.audit_host },
        control_log: LogId(random(config)),
        seed,
        later_seeds: Vec::new(),
        lock,
    };
    let logs = folder.open_logs(config)?;
    logs.create(folder.control_log)?;
    let control = Control::open(logs.clone(), folder.control_log, folder.snapshots(data))?;
    let (org, admin, log) =
        (OrgId::from_bytes(random(config)), AccountId::from_bytes(random(config)), LogId(random(config)));
    control.execute_blocking(vec![
        Record::OrganisationCreated {
            id: org,
            parent: None,
            slug: organisations::make_slug(&name, |_| false),
            name,
            log: log.to_string(),
        },
        Record::AccountCreated {
            id: admin,
            org,
            display_name: login.clone(),
            name: login,
            roles: vec![Role::Admin],
            password: Some(password),
        },
    ])?;
    logs.create(log)?;
    let made = Initialised { org, admin, origin: logs.origin(&log), vkey: logs.vkey(&log)? };
    drop(control);
    logs.shutdown();

    // From here on the folder is whole: the name `instance.toml` appears with its content or not at all.
    folder.write_instance(data)?;
    fs::remove_file(&unfinished).map_err(|e| io("remove", &unfinished, e))?;
    sync_folder(data)?;
    Ok(made)
}

impl Folder {
    /// Takes the folder for this process and reads what never changes.
    pub fn open(data: &Path) -> Result<Folder> {
        let path = data.join("instance.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(no_instance(data)),
            Err(e) => return Err(io("read", &path, e)),
        };
        let file: InstanceFile = toml::from_str(&text)
            .map_err(|e| Error::invalid(format!("{} does not read: {}", path.display(), e.message())))?;
        if file.format != FORMAT {
            let message = format!("the data folder has format {}, this program knows {FORMAT}", file.format);
            return Err(Error::invalid(message));
        }
        let control_log = file
            .control_log
            .parse()
            .map_err(|_| Error::invalid(format!("{}: control_log is not a log id", path.display())))?;
        let lock = take_lock(data)?;
        // A crash between the two last steps of `init` leaves this behind; the folder is whole.
        let unfinished = data.join("init.unfinished");
        if unfinished.exists() {
            fs::remove_file(&unfinished).map_err(|e| io("remove", &unfinished, e))?;
        }
        let instance = Instance { id: file.id, audit_host: file.audit_host };
        let (seed, later_seeds) = (read_seed(data, FIRST_EPOCH)?, read_later_seeds(data)?);
        Ok(Folder { instance, control_log, seed, later_seeds, lock })
    }

    /// Opens the logs in the folder.
    pub fn open_logs(&self, config: &Config) -> Result<Logs> {
        let (store, signer) = stores(&config.data);
        let (clock, entropy) = (Arc::clone(&config.clock), Arc::clone(&config.entropy));
        let first = InstanceSeed::new(*self.seed);
        let seed = self.later_seeds.iter().fold(first, |seeds, (epoch, seed)| seeds.with_epoch(*epoch, **seed));
        let host = &self.instance.audit_host;
        Ok(Logs::open(store, signer, seed, host, config.log.clone(), clock, entropy)?)
    }

    /// Where this folder's control snapshots are and what vouches for them.
    pub fn snapshots(&self, data: &Path) -> Snapshots {
        Snapshots { path: snapshot_path(data), key: secrets::derive(&self.seed, "control snapshot") }
    }

    fn write_instance(&self, data: &Path) -> Result<()> {
        let file = InstanceFile {
            format: FORMAT,
            id: self.instance.id.clone(),
            audit_host: self.instance.audit_host.clone(),
            control_log: self.control_log.to_string(),
        };
        let text = toml::to_string(&file).map_err(|e| Error::internal(format!("instance.toml: {e}")))?;
        let (tmp, path) = (data.join("instance.toml.tmp"), data.join("instance.toml"));
        write_new(&tmp, text.as_bytes(), 0o644)?;
        fs::rename(&tmp, &path).map_err(|e| io("rename", &tmp, e))?;
        sync_folder(data)
    }
}

/// The folder of the search index.
pub(crate) fn index_path(data: &Path) -> PathBuf {
    data.join("index")
}

/// Where the logs are, and where the guarded signer is.
fn stores(data: &Path) -> (Arc<dyn Store>, Arc<dyn Store>) {
    (Arc::new(FolderStore::new(data.join("log"))), Arc::new(FolderStore::new(data.join("signer"))))
}

fn random(config: &Config) -> [u8; 16] {
    let mut bytes = [0; 16];
    config.entropy.fill(&mut bytes);
    bytes
}

fn io(attempted: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot {attempted} {}", path.display())).with_source(error)
}

fn check_audit_host(host: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:".contains(c);
    if host.is_empty() || host.len() > AUDIT_HOST_BYTES_MAX || !host.chars().all(allowed) {
        let message = "the audit host is a host name in lower case, perhaps with a port, such as audit.example.com";
        return Err(Error::invalid(message));
    }
    Ok(())
}

fn check_empty(data: &Path) -> Result<()> {
    let mut entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io("read", data, e)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    if data.join("instance.toml").exists() {
        return Err(Error::conflict(format!("{} is a data folder already", data.display())));
    }
    if data.join("init.unfinished").exists() {
        return Err(half_made(data));
    }
    Err(Error::conflict(format!("{} is not empty", data.display())))
}

fn half_made(data: &Path) -> Error {
    Error::conflict(format!("{} is half made: an init was interrupted; remove it and init again", data.display()))
}

fn no_instance(data: &Path) -> Error {
    if data.join("init.unfinished").exists() {
        half_made(data)
    } else {
        Error::not_found(format!("{} is not a data folder; make one with `counterfoil init`", data.display()))
    }
}

fn take_lock(data: &Path) -> Result<File> {
    let path = data.join("lock");
    let file =
        OpenOptions::new().create(true).write(true).truncate(false).open(&path).map_err(|e| io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(format!("another process holds {}", data.display()))),
        Err(TryLockError::Error(e)) => Err(io("lock", &path, e)),
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| io("write", path, e))
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| io("sync", path, e))
}

fn write_seed(data: &Path, seed: &[u8; 32]) -> Result<()> {
    let keys = data.join("keys");
    fs::DirBuilder::new().mode(0o700).create(&keys).map_err(|e| io("make", &keys, e))?;
    write_seed_of(data, FIRST_EPOCH, seed)
}

fn write_seed_of(data: &Path, epoch: u32, seed: &[u8; 32]) -> Result<()> {
    let path = seed_path(data, epoch);
    let text = Zeroizing::new(format!("{}\n", hex::encode(seed)));
    // Under another name first: a file of that name is whole.
    let tmp = path.with_extension("seed.tmp");
    match fs::remove_file(&tmp) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("remove", &tmp, e)),
        _ => {}
    }
    write_new(&tmp, text.as_bytes(), 0o600)?;
    fs::rename(&tmp, &path).map_err(|e| io("rename", &tmp, e))?;
    sync_folder(&data.join("keys"))
}

/// Makes the seed of the next key epoch; it is durable when this returns.
pub(crate) fn new_seed(data: &Path, epoch: u32, entropy: &dyn log::Entropy) -> Result<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(&mut *seed);
    write_seed_of(data, epoch, &seed)?;
    Ok(seed)
}

fn seed_path(data: &Path, epoch: u32) -> PathBuf {
    let name = if epoch == FIRST_EPOCH { "instance.seed".to_owned() } else { format!("instance.{epoch}.seed") };
    data.join("keys").join(name)
}

/// Seeds of epochs after the first, which follow each other without a gap.
fn read_later_seeds(data: &Path) -> Result<Vec<(u32, Zeroizing<[u8; 32]>)>> {
    let mut seeds = Vec::new();
    for epoch in FIRST_EPOCH + 1.. {
        if !seed_path(data, epoch).exists() {
            break;
        }
        seeds.push((epoch, read_seed(data, epoch)?));
    }
    Ok(seeds)
}

fn read_seed(data: &Path, epoch: u32) -> Result<Zeroizing<[u8; 32]>> {
    let path = seed_path(data, epoch);
    let text = Zeroizing::new(fs::read_to_string(&path).map_err(|e| io("read", &path, e))?);
    let others = fs::metadata(&path).map_err(|e| io("read", &path, e))?.permissions().mode() & 0o077;
    if others != 0 {
        tracing::warn!(path = %path.display(), "others than the owner may read the instance seed; chmod 600 it");
    }
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_end(), &mut *seed)
        .map_err(|_| Error::invalid(format!("{} is not 32 bytes in hex", path.display())))?;
    Ok(seed)
}
