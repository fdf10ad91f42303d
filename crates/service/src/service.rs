//! The service itself: what it is made of, how it starts and stops.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use log::{Clock, Entropy, LogId, Logs};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::access::{Caller, Principal};
use crate::config::Config;
use crate::control::{Control, snapshot_path};
use crate::detection::Detection;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{Folder, Instance, apart, index_path};
use crate::lockout::Lockouts;
use crate::model::{AccountId, EventDraft, OrgId, TokenId, time};
use crate::organisations::no_org;
use crate::outbound::Outbound;
use crate::own_events::{self, OwnEvents};
use crate::passwords::Passwords;
use crate::projection::Projections;
use crate::recordings::{Recordings, catalogue, indexing};
use crate::risk::Risk;
use crate::sealing::Sealer;
use crate::secrets;
use crate::verification::{VerificationOptions, Verifications};
use crate::witnesses::{Alarm, Subject, Witnesses};

/// The only door to the trail. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    instance: Instance,
    data: PathBuf,
    seed: Zeroizing<[u8; 32]>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    logs: Logs,
    control: Arc<Control>,
    passwords: Arc<Passwords>,
    lockouts: Mutex<Lockouts>,
    sealer: Arc<Sealer>,
    own: Arc<OwnEvents>,
    /// Addresses from which each token was used since the start.
    addresses: Mutex<HashMap<TokenId, Vec<IpAddr>>>,
    projections: Projections,
    recordings: Recordings,
    risk: Arc<Risk>,
    /// Scores sessions.
    scorer: Mutex<Option<JoinHandle<()>>>,
    detection: Arc<Detection>,
    /// Looks at events.
    detector: Mutex<Option<JoinHandle<()>>>,
    verifications: Verifications,
    verification: VerificationOptions,
    /// Held while logs are verified as a whole.
    verification_turn: tokio::sync::Mutex<()>,
    /// Held while a seed is made and a key replaced.
    seed_files: Mutex<()>,
    witnesses: Arc<Witnesses>,
    outbound: Outbound,
    timestamp_url: Option<String>,
    stop: watch::Sender<bool>,
    own_writer: Mutex<Option<JoinHandle<()>>>,
    /// Looks after recordings.
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// The data folder is ours for as long as this lives; declared last, so that everything else is gone before it is
    /// released.
    _lock: fs::File,
}

/// What a rebuild did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Log entries read.
    pub entries: u64,
    /// Documents in the new index.
    pub documents: u64,
}

impl Service {
    /// Opens a data folder and holds it alone until `shutdown`. Blocks; must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `NotFound`: no data folder there. `Conflict`: another process holds it, or it is half made. `Invalid`: a format this
    /// program does not know. `Corrupt`: the control log does not read; single damaged logs do not stop the others.
    pub fn open(config: Config) -> Result<Service> {
        let folder = Folder::open(&config.data)?;
        let logs = folder.open_logs(&config)?;
        let control = Arc::new(Control::open(logs.clone(), folder.control_log, folder.snapshots(&config.data))?);
        if control.state().orgs().is_empty() {
            return Err(Error::corrupt("the control log cannot be trusted", "it has no organisation"));
        }
        create_missing_logs(&logs, &control)?;
        let sealer = Arc::new(Sealer::new(logs.clone(), Arc::clone(&control), Arc::clone(&config.entropy)));
        let own = Arc::new(OwnEvents::new(Arc::clone(&sealer), Arc::clone(&config.clock), folder.control_log));
        let projections =
            Projections::open(&index_path(&config.data), config.index, logs.clone(), Arc::clone(&control))?;
        let runtime =
            Handle::try_current().map_err(|e| Error::internal("opened outside of a runtime").with_source(e))?;
        projections.start(runtime)?;
        let detection = Arc::new(Detection::new(config.detection, &config.data));
        let risk = Arc::new(Risk::new(&config.risk));
        let recordings =
            Recordings::open(&config.data, config.recordings, logs.clone(), Arc::clone(&control), Arc::clone(&risk))?;
        let witnesses = Arc::new(Witnesses::open(
            &config.data,
            config.witnessing,
            config.outbound.clone(),
            logs.clone(),
            Arc::clone(&config.clock),
        ));
        let (stop, stopped) = watch::channel(false);
        let service = Service {
            inner: Arc::new(Inner {
                instance: folder.instance,
                verifications: Verifications::open(&config.data),
                data: config.data,
                verification: config.verification,
                verification_turn: tokio::sync::Mutex::default(),
                seed_files: Mutex::default(),
                seed: folder.seed,
                passwords: Arc::new(Passwords::new(config.passwords, Arc::clone(&config.entropy))?),
                lockouts: Mutex::new(Lockouts::new(config.lockout)),
                clock: config.clock,
                entropy: config.entropy,
                logs,
                control,
                sealer,
                own: Arc::clone(&own),
                addresses: Mutex::default(),
                projections,
                recordings,
                risk,
                scorer: Mutex::new(None),
                detection,
                detector: Mutex::new(None),
                witnesses: Arc::clone(&witnesses),
                outbound: config.outbound,
                timestamp_url: config.timestamp_url,
                stop,
                own_writer: Mutex::new(None),
                keeper: Mutex::new(None),
                _lock: folder.lock,
            }),
        };
        // The writer must not keep the service alive: it holds a weak handle, and ends with it.
        let weak = Arc::downgrade(&service.inner);
        let tick = {
            let weak = Weak::clone(&weak);
            move || {
                if let Some(inner) = weak.upgrade() {
                    Service { inner }.expire_locks();
                }
            }
        };
        if let Some(every) = service.inner.verification.every {
            tokio::spawn(Service::keep_verifying(weak, every));
        }
        let (control, told) = (Arc::clone(service.control()), Arc::clone(&own));
        let (settings, asking) = (Arc::clone(&witnesses), Arc::clone(&witnesses));
        let subjects = move || subjects(&control, &settings);
        let alarmed = move |log, alarm: &Alarm| told.soon(log, None, None, &own_events::witness_alarm(alarm));
        tokio::spawn(asking.run(stopped.clone(), subjects, alarmed));
        *service.inner.keeper.lock() = service.keep_recordings(stopped.clone())?;
        *service.inner.scorer.lock() = Some(service.keep_scoring(stopped.clone()));
        *service.inner.detector.lock() = service.keep_detecting(stopped.clone());
        *service.inner.own_writer.lock() = Some(tokio::spawn(own.run(stopped, tick)));
        Ok(service)
    }

    /// Stops: what was acknowledged stays, own events that wait are appended, the index and the snapshot are written.
    /// Clones that are left answer `Unavailable`.
    pub async fn shutdown(self) {
        self.inner.stop.send_replace(true);
        let writer = self.inner.own_writer.lock().take();
        let keeper = self.inner.keeper.lock().take();
        let scorer = self.inner.scorer.lock().take();
        let detector = self.inner.detector.lock().take();
        let tasks = [
            (detector, "detection"),
            (scorer, "the scorer of sessions"),
            (writer, "the writer of own events"),
            (keeper, "the keeper of recordings"),
        ];
        for (task, what) in tasks {
            if let Some(task) = task
                && let Err(error) = task.await
            {
                tracing::error!(%error, "{what} stopped badly");
            }
        }
        let inner = Arc::clone(&self.inner);
        let stopped = tokio::task::spawn_blocking(move || {
            inner.projections.stop();
            if let Err(error) = inner.recordings.catalogue.commit() {
                tracing::error!(
                    ?error,
                    "the catalogue of sessions was not written; the log is read for it at the next start"
                );
            }
            inner.control.write_snapshot();
            inner.logs.clone().shutdown();
        });
        if let Err(error) = stopped.await {
            tracing::error!(%error, "the service stopped badly");
        }
    }

    /// Throws the index and the snapshot away and makes them again from the logs. Blocks, for minutes perhaps; calls
    /// `progress` with entries done and entries in all. Nobody else may hold the folder.
    pub fn rebuild(config: Config, progress: &mut dyn FnMut(u64, u64)) -> Result<Rebuilt> {
        let folder = Folder::open(&config.data)?;
        catalogue::remove(&config.data)?;
        indexing::remove_all(&config.data)?;
        let remembered = config.data.join("state").join("detection.json");
        for path in [index_path(&config.data), snapshot_path(&config.data), remembered] {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    let message = format!("cannot remove {}", path.display());
                    return Err(Error::new(ErrorKind::Unavailable, message).with_source(e));
                }
                _ => {}
            }
        }
        let logs = folder.open_logs(&config)?;
        let control = Arc::new(Control::open(logs.clone(), folder.control_log, folder.snapshots(&config.data))?);
        create_missing_logs(&logs, &control)?;
        let projections =
            Projections::open(&index_path(&config.data), config.index, logs.clone(), Arc::clone(&control))?;
        let rebuilt = projections.catch_up_blocking(progress);
        projections.stop();
        let risk = Arc::new(Risk::new(&config.risk));
        let sessions = catalogue::Catalogue::open(&config.data, logs.clone(), Arc::clone(&control), risk)?;
        sessions.catch_up(&|| false)?;
        drop(sessions);
        control.write_snapshot();
        logs.shutdown();
        rebuilt
    }

    /// Waits until what was recorded before the call is durable and indexed: own events too. For tools and tests; no read
    /// needs it.
    pub async fn settle(&self) {
        // What the clock has made due would otherwise be written with the next tick, whenever that is.
        self.expire_locks();
        self.end_idle_sessions().await;
        self.settle_scores().await;
        self.own().flush(false);
        self.inner.own.settle().await;
        self.settle_detection().await;
        self.inner.projections.settle().await;
    }

    /// What does not change about the data folder.
    pub fn instance(&self) -> &Instance {
        &self.inner.instance
    }

    /// A secret of this data folder for one purpose: the same label gives the same 32 bytes for life. For keys of dialects.
    pub fn derive_secret(&self, label: &str) -> [u8; 32] {
        secrets::derive(&self.inner.seed, &format!("dialect {label}"))
    }

    /// The time now, by the configured clock.
    pub fn now(&self) -> Timestamp {
        time::from_micros(self.now_us())
    }
}

/// What the modules of this crate share.
impl Service {
    pub(crate) fn now_us(&self) -> u64 {
        self.inner.clock.now_us()
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.inner.entropy
    }

    /// The 128 bits of a new id.
    pub(crate) fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.inner.entropy.fill(&mut bytes);
        bytes
    }

    pub(crate) fn logs(&self) -> &Logs {
        &self.inner.logs
    }

    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.inner.control
    }

    pub(crate) fn passwords(&self) -> &Arc<Passwords> {
        &self.inner.passwords
    }

    pub(crate) fn lockouts(&self) -> &Mutex<Lockouts> {
        &self.inner.lockouts
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    pub(crate) fn own(&self) -> &OwnEvents {
        &self.inner.own
    }

    pub(crate) fn addresses(&self) -> &Mutex<HashMap<TokenId, Vec<IpAddr>>> {
        &self.inner.addresses
    }

    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    pub(crate) fn upgrade(weak: &Weak<Inner>) -> Option<Service> {
        weak.upgrade().map(|inner| Service { inner })
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.inner.data
    }

    pub(crate) fn verifications(&self) -> &Verifications {
        &self.inner.verifications
    }

    pub(crate) fn verification_options(&self) -> VerificationOptions {
        self.inner.verification
    }

    pub(crate) fn verification_turn(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.verification_turn
    }

    pub(crate) fn seed_files(&self) -> &Mutex<()> {
        &self.inner.seed_files
    }

    pub(crate) fn recordings(&self) -> &Recordings {
        &self.inner.recordings
    }

    pub(crate) fn detection(&self) -> &Arc<Detection> {
        &self.inner.detection
    }

    pub(crate) fn risk(&self) -> &Arc<Risk> {
        &self.inner.risk
    }

    pub(crate) fn projections(&self) -> &Projections {
        &self.inner.projections
    }

    pub(crate) fn witnesses(&self) -> &Witnesses {
        &self.inner.witnesses
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.inner.outbound
    }

    pub(crate) fn timestamp_url(&self) -> Option<&str> {
        self.inner.timestamp_url.as_deref()
    }

    /// Turns true when the service shuts down.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.inner.stop.subscribe()
    }

    /// The log of an organisation.
    pub(crate) fn log_of(&self, org: OrgId) -> Result<LogId> {
        self.control().state().org(org).map(|org| org.log).ok_or_else(no_org)
    }

    /// Opens a new log, on a thread that may block.
    pub(crate) async fn create_log(&self, log: LogId) -> Result<()> {
        let logs = self.logs().clone();
        let created = tokio::task::spawn_blocking(move || logs.create(log)).await;
        created.map_err(|e| Error::internal("a log was not opened").with_source(e))??;
        Ok(())
    }

    /// Records an administrative change that is durable already.
    pub(crate) async fn record_now(&self, who: &Principal, org: OrgId, draft: &EventDraft) {
        match self.log_of(org) {
            Ok(log) => self.own().now_or_count(log, Some(who.account), who.caller.address, draft).await,
            Err(error) => tracing::error!(%error, %org, "an own event has no log"),
        }
    }

    /// Queues an own event.
    pub(crate) fn record_soon(&self, org: OrgId, account: Option<AccountId>, caller: &Caller, draft: &EventDraft) {
        match self.log_of(org) {
            Ok(log) => self.own().soon(log, account, caller.address, draft),
            Err(error) => tracing::error!(%error, %org, "an own event has no log"),
        }
    }

    /// Counts a refusal.
    pub(crate) fn note_refusal(&self, org: OrgId, account: Option<AccountId>, caller: &Caller, reason: &str) {
        match self.log_of(org) {
            Ok(log) => self.own().refused(log, account, caller, reason),
            Err(error) => tracing::error!(%error, %org, "a refusal has no log"),
        }
    }

    /// Ends the locks that are over.
    pub(crate) fn expire_locks(&self) {
        let changes = self.lockouts().lock().expire(self.now_us());
        if !changes.is_empty() {
            self.record_lock_changes(self.default_org(), changes);
        }
    }
}

/// The logs of organisations whose policy asks for witnesses.
fn subjects(control: &Control, witnesses: &Witnesses) -> Vec<Subject> {
    let state = control.state();
    let orgs = state.orgs().iter();
    orgs.filter_map(|org| {
        let policy = witnesses.settings.policy(&org.slug)?;
        Some(Subject { log: org.log, policy: Arc::new(policy.clone()) })
    })
    .collect()
}

/// An organisation's record is durable before its log is opened; a crash between the two is made up for here.
fn create_missing_logs(logs: &Logs, control: &Control) -> Result<()> {
    let known = logs.ids();
    for org in control.state().orgs() {
        // `ids` is in order.
        if known.binary_search(&org.log).is_err() {
            tracing::info!(org = %org.id, log = %org.log, "opening the log of an organisation whose making was interrupted");
            apart(|| logs.create(org.log))?;
        }
    }
    Ok(())
}
