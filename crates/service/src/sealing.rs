//! The last step before the log: what an organisation's active key says, in clear or encrypted.
//!
//! Everything that becomes an entry of an organisation's log passes here, events that are handed in and our own alike.
//! While a key is active, the clear text lives in memory only: what is queued, appended, indexed or named in an error is
//! the ciphertext or nothing. Private keys are never here, so nobody can read it back through this server.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;

use log::{Appended, Entropy, LogId, Logs, NewEntry};
use parking_lot::Mutex;
use seal::PublicKey;
use tlog::entry::Kind;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::control::Control;
use crate::encoding::{Prefix, SealedEnvelope};
use crate::error::{Error, Result};
use crate::extraction;
use crate::model::{Invalid, NewEvent, OrgId, RecordedBy};

/// Longest body of an entry that holds an encrypted event, in bytes: what the log takes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Most bytes that envelope, scheme and the names of members add to a record.
const OVERHEAD_BYTES_MAX: usize = 4 << 10;

/// Fewer records than this are encrypted by one thread: starting another costs more than it saves.
const RECORDS_PER_THREAD_MIN: usize = 32;

/// Parsed keys that are kept. A key's tables take milliseconds to make.
const KEYS_KEPT_MAX: usize = 1_000;

/// Turns events into entries.
pub struct Sealer {
    logs: Logs,
    control: Arc<Control>,
    entropy: Arc<dyn Entropy>,
    /// Read: somebody appends. Write: a key is switched. See `Service::activate_key`.
    gate: Arc<RwLock<()>>,
    parsed: Mutex<HashMap<(OrgId, String), PublicKey>>,
}

/// The key that events of an organisation are encrypted to.
#[derive(Clone)]
struct ActiveKey {
    org: OrgId,
    name: String,
    key: PublicKey,
}

/// An event on its way, with who handed it in.
pub type Handed = (Arc<RecordedBy>, NewEvent);

/// What [`Sealer::enter`] gives: the right to append to one log under the key that is active now.
pub struct Entrance {
    log: LogId,
    key: Option<ActiveKey>,
    _gate: OwnedRwLockReadGuard<()>,
}

impl Sealer {
    /// Nothing is encrypted before [`Sealer::enter`].
    pub fn new(logs: Logs, control: Arc<Control>, entropy: Arc<dyn Entropy>) -> Sealer {
        Sealer { logs, control, entropy, gate: Arc::default(), parsed: Mutex::default() }
    }

    /// Waits until nobody appends, and keeps everybody from it until the guard is dropped.
    pub async fn close(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.gate).write_owned().await
    }

    /// Looks up the active key of the organisation that owns `log`; it stays the active one while the entrance lives.
    ///
    /// # Errors
    /// `Corrupt`: the key in the control log cannot be used. Then nothing is appended, least of all in clear.
    pub async fn enter(&self, log: LogId) -> Result<Entrance> {
        let gate = Arc::clone(&self.gate).read_owned().await;
        let active = {
            let state = self.control.state();
            let org = state.org_by_log(log).map(|org| org.id);
            org.and_then(|org| Some((org, state.active_key(org)?.clone())))
        };
        let key = match active {
            None => None,
            Some((org, key)) => {
                Some(ActiveKey { org, key: self.parsed(org, &key.name, &key.public_key)?, name: key.name })
            }
        };
        Ok(Entrance { log, key, _gate: gate })
    }

    fn parsed(&self, org: OrgId, name: &str, text: &str) -> Result<PublicKey> {
        let place = (org, name.to_owned());
        if let Some(key) = self.parsed.lock().get(&place) {
            return Ok(key.clone());
        }
        let key = crate::keys::parse(text)
            .map_err(|why| Error::corrupt(format!("the key {name} cannot be used"), format!("{why:?}")))?;
        let mut parsed = self.parsed.lock();
        if parsed.len() >= KEYS_KEPT_MAX {
            parsed.clear();
        }
        // Somebody may have been faster; then all share that one's tables.
        Ok(parsed.entry(place).or_insert(key).clone())
    }

    /// Appends events in their order, and waits until they are durable and signed. Where the log takes no more entries,
    /// they go to `or_else`, if there is one. Goes on to the end when the future is dropped, still holding the entrance: a
    /// client that goes away must not leave clear text behind a switch.
    pub async fn append(
        &self,
        entrance: Entrance,
        events: Vec<Handed>,
        or_else: Option<LogId>,
    ) -> Result<Vec<Appended>, NotAppended> {
        let (logs, entropy) = (self.logs.clone(), Arc::clone(&self.entropy));
        let work = tokio::spawn(async move {
            let Entrance { log, key, _gate } = entrance;
            let entries = match key {
                None => clear(&events),
                Some(key) => {
                    let sealing = tokio::task::spawn_blocking(move || sealed(&key, &events, &*entropy));
                    sealing.await.map_err(|e| stopped("encryption", e))?
                }
            };
            let Some(other) = or_else.filter(|other| *other != log) else {
                return Ok(logs.append(log, entries).await?);
            };
            match logs.append(log, entries.clone()).await {
                Err(log::Error::ReadOnly { reason, .. }) => {
                    tracing::warn!(%log, %reason, "own events of a log that is read-only go to the control log");
                    Ok(logs.append(other, entries).await?)
                }
                appended => Ok(appended?),
            }
        });
        work.await.map_err(|e| stopped("an append", e))?
    }
}

impl Sealer {
    /// Appends one entry in clear and waits until it is durable and signed; of any kind that is committed.
    ///
    /// # Errors
    /// `Failed`: a key is active; see [`Entrance::is_sealed`].
    pub async fn append_clear(&self, entrance: Entrance, kind: Kind, event: Handed) -> Result<Appended, NotAppended> {
        let Entrance { log, key, _gate } = entrance;
        if key.is_some() {
            return Err(NotAppended::Failed(Error::internal("an entry in clear for a log that is encrypted")));
        }
        let entries = clear(&[event]).into_iter().map(|entry| NewEntry { kind, ..entry }).collect();
        let places = self.logs.append(log, entries).await?;
        Ok(*places.first().expect("the log answers with one place for each entry"))
    }

    /// Whether the last write found the disk full.
    pub fn disk_is_full(&self) -> bool {
        self.logs.stats().disk_full
    }

    /// Appends own events that say that something is wrong, from the space that is kept for them on a full disk.
    pub async fn alarm(&self, log: LogId, events: Vec<Handed>) -> Result<Vec<Appended>, NotAppended> {
        let Entrance { key, _gate, .. } = self.enter(log).await.map_err(NotAppended::Failed)?;
        let entries = match key {
            None => clear(&events),
            Some(key) => sealed(&key, &events, &*self.entropy),
        };
        Ok(self.logs.append_alarm(log, entries).await?)
    }
}

/// Why events were not appended.
#[derive(Debug)]
pub enum NotAppended {
    /// The log refused them.
    Log(log::Error),
    /// They did not come as far as the log.
    Failed(Error),
}

impl From<log::Error> for NotAppended {
    fn from(error: log::Error) -> NotAppended {
        NotAppended::Log(error)
    }
}

impl From<NotAppended> for Error {
    fn from(error: NotAppended) -> Error {
        match error {
            NotAppended::Log(error) => error.into(),
            NotAppended::Failed(error) => error,
        }
    }
}

fn stopped(what: &str, why: tokio::task::JoinError) -> NotAppended {
    NotAppended::Failed(Error::internal(format!("{what} stopped half-way")).with_source(why))
}

impl Entrance {
    /// Whether everything is encrypted that is appended through it.
    pub fn is_sealed(&self) -> bool {
        self.key.is_some()
    }

    /// Refuses what this organisation cannot keep: types that are kept only encrypted while it has no key, and events
    /// that are too long for an entry once they are encrypted.
    pub fn check(&self, event: &NewEvent) -> std::result::Result<(), Invalid> {
        match &self.key {
            None => match event.only_sealed() {
                Some(log_type) => Err(Invalid::new(
                    "/origin/type",
                    format!(
                        "{log_type} is kept only encrypted, and this organisation has no active key; add one and activate it"
                    ),
                )),
                None => Ok(()),
            },
            // The record repeats at most what the event says, and the event itself is in it.
            Some(_) if 3 * event.json().len() + OVERHEAD_BYTES_MAX <= BODY_BYTES_MAX => Ok(()),
            Some(key) => {
                let bytes = extraction::sealed_form(key.org, event.json()).len() + OVERHEAD_BYTES_MAX;
                if bytes <= BODY_BYTES_MAX {
                    return Ok(());
                }
                Err(Invalid::too_large(
                    "",
                    format!("longer than {BODY_BYTES_MAX} bytes once it is prepared for encryption"),
                ))
            }
        }
    }
}

fn clear(events: &[Handed]) -> Vec<NewEntry> {
    let mut prefix: Option<(&Arc<RecordedBy>, Prefix)> = None;
    events
        .iter()
        .map(|(by, event)| {
            // Events of one request share who handed them in, and so the bytes that say it.
            if !prefix.as_ref().is_some_and(|(of, _)| Arc::ptr_eq(of, by)) {
                prefix = Some((by, Prefix::new(by)));
            }
            let (_, prefix) = prefix.as_ref().expect("it was just made");
            NewEntry::event(event.id_bytes(), prefix.body(event.json()))
        })
        .collect()
}

/// Encrypts on as many cores as there is work for.
fn sealed(key: &ActiveKey, events: &[Handed], entropy: &dyn Entropy) -> Vec<NewEntry> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let per_thread = events.len().div_ceil(cores).max(RECORDS_PER_THREAD_MIN);
    if events.len() <= per_thread {
        return sealed_here(key, events, entropy);
    }
    let mut entries = Vec::with_capacity(events.len());
    std::thread::scope(|scope| {
        let mut parts = events.chunks(per_thread);
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|part| scope.spawn(move || sealed_here(key, part, entropy))).collect();
        entries.extend(sealed_here(key, first, entropy));
        for other in others {
            entries.extend(other.join().expect("encryption does not panic: it was tried on every key and length"));
        }
    });
    entries
}

fn sealed_here(key: &ActiveKey, events: &[Handed], entropy: &dyn Entropy) -> Vec<NewEntry> {
    let texts: Vec<Vec<u8>> = events.iter().map(|(_, event)| extraction::sealed_form(key.org, event.json())).collect();
    let ciphertexts = key.key.encrypt_many(&texts, &mut Draw(entropy));
    let entries = events.iter().zip(ciphertexts).map(|((by, event), ciphertext)| {
        let envelope = SealedEnvelope::new(by, event.occurred_at_us(), &key.name, key.key.scheme());
        NewEntry::event(event.id_bytes(), envelope.body(&ciphertext))
    });
    entries.collect()
}

/// The configured source of randomness, as the encryption wants it.
struct Draw<'a>(&'a dyn Entropy);

impl seal::Rng for Draw<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }
}
