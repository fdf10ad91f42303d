//! The log's side of C2SP tlog-witness: witnesses are asked to cosign, and what they say of us is heeded.
//!
//! Every log whose organisation has a policy that asks for witnesses is taken to them when it has grown, at most once in
//! [`Witnessing::every`]. Whatever satisfies the policy is kept, durably, beside the log:
//!
//! ```text
//! DATA/witnessed/<log id>/checkpoint      the newest checkpoint that satisfies the policy, with its cosignatures
//! DATA/witnessed/<log id>/cosigned/<size> the last one of each past day
//! DATA/witnessed/<log id>/alarm           why the log is not trusted any more: remove it when a person has understood
//! ```
//!
//! **What is shown.** `/checkpoint` shows the cosigned checkpoint while it is younger than [`Witnessing::patience`], else the
//! newest signed one, and never a smaller size than it showed before: whoever remembers the larger one would take us for
//! rolled back. So while witnesses are being asked, what is shown stands still at the head that they are asked about.
//!
//! **What is heeded.** A witness that remembers more than we have (409, larger), another root at our size, or a history that
//! ours does not extend (422) has seen another log than this one. The log takes no more entries, the alarm is an event, a
//! counter and a file; reads go on.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use log::{Clock, Head, LogId, Logs, ReadOnlyReason};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tlog::extends::Extends;
use tlog::note::{SIGNATURES_MAX, VerifierKey};
use tlog::policy::{Policy, Witness};
use tlog::witness;
use tokio::sync::{Semaphore, watch};

use crate::outbound::{Outbound, Post};

/// Logs taken to their witnesses at once.
const ROUNDS_MAX: usize = 16;
/// Tries with one witness in one round: it may tell us a size once, and once more if somebody else asked meanwhile.
const TRIES_MAX: usize = 3;
/// A day in microseconds.
const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;

/// What every answer about verification says of a log that no witness has cosigned.
pub const NOBODY_OUTSIDE: &str = "nobody outside is known to remember this log: no witness has cosigned it; keep checkpoints yourself, or configure witnesses";

/// Who is to witness, and how often they are asked.
#[derive(Clone, Debug)]
pub struct Witnessing {
    /// For organisations that have none of their own.
    pub policy: Option<Policy>,
    /// By the organisation's slug.
    pub of_organisations: BTreeMap<String, Policy>,
    /// How old a cosigned checkpoint may be and still be shown instead of a newer one that is only signed.
    pub patience: Duration,
    /// At most one round for each log in this time.
    pub every: Duration,
}

impl Default for Witnessing {
    fn default() -> Witnessing {
        let (patience, every) = (Duration::from_secs(600), Duration::from_secs(60));
        Witnessing { policy: None, of_organisations: BTreeMap::new(), patience, every }
    }
}

impl Witnessing {
    /// The policy for an organisation, if one asks for witnesses.
    pub fn policy(&self, slug: &str) -> Option<&Policy> {
        let policy = self.of_organisations.get(slug).or(self.policy.as_ref());
        policy.filter(|policy| policy.asks_for_witnesses())
    }
}

/// A checkpoint that satisfies the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Entries it covers.
    pub size: u64,
    /// The note with all its cosignatures.
    pub note: Arc<str>,
    /// When the last cosignature came in, microseconds since 1970.
    pub at_us: u64,
}

impl Witnessed {
    /// When the last cosignature came in.
    pub fn at(&self) -> jiff::Timestamp {
        crate::model::time::from_micros(self.at_us)
    }
}

/// Why a log is not trusted: what a witness said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// `rolled_back` or `forked`.
    pub reason: String,
    /// The witness, by the name of its key.
    pub witness: String,
    /// What was asked and answered.
    pub detail: String,
    /// When, microseconds since 1970.
    pub at_us: u64,
}

/// What one log's witnesses know, for `/state`.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The newest checkpoint that satisfies the policy.
    pub witnessed: Option<Witnessed>,
    /// What a witness said against us.
    pub alarm: Option<Alarm>,
    /// Why a witness did not cosign when it was asked last, by the witness's name.
    pub troubles: BTreeMap<String, String>,
    /// What is shown must not be smaller.
    floor: u64,
    /// What the witnesses are being asked about at this moment.
    asking: Option<Head>,
    /// When the next round is due; none before the first is planned.
    due_us: Option<u64>,
    /// Size that each witness cosigned last, as far as we know, by its vkey.
    sizes: HashMap<String, u64>,
}

/// Counters for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WitnessStats {
    /// Cosignatures taken since the start.
    pub cosignatures: u64,
    /// Calls to witnesses that brought none.
    pub failures: u64,
    /// Logs that a witness has spoken against; above 0 needs a person.
    pub alarms: u64,
}

/// Asks, keeps and shows.
pub(crate) struct Witnesses {
    pub settings: Witnessing,
    post: Outbound,
    folder: PathBuf,
    logs: Logs,
    clock: Arc<dyn Clock>,
    standing: Mutex<HashMap<LogId, Standing>>,
    cosignatures: AtomicU64,
    failures: AtomicU64,
    /// Counts the rounds that are over, for those who wait for one.
    rounds: watch::Sender<u64>,
}

/// A log that may be taken to its witnesses.
#[derive(Clone)]
pub(crate) struct Subject {
    pub log: LogId,
    pub policy: Arc<Policy>,
}

/// What came of asking one witness.
enum Asked {
    Cosigned(String),
    /// Not this time, and why.
    Trouble(String),
    /// It remembers another history.
    Against(Alarm),
}

impl Witnesses {
    /// Reads what was kept. A kept checkpoint that does not read is as good as none: witnesses give it again.
    pub fn open(data: &Path, settings: Witnessing, post: Outbound, logs: Logs, clock: Arc<dyn Clock>) -> Witnesses {
        let folder = data.join("witnessed");
        let mut standing = HashMap::new();
        for log in logs.ids() {
            let at = folder.join(log.to_string());
            let mut known = Standing::default();
            if let Ok(text) = fs::read_to_string(at.join("alarm")) {
                let alarm: Alarm = serde_json::from_str(&text).unwrap_or_else(|error| Alarm {
                    reason: "forked".to_owned(),
                    witness: String::new(),
                    detail: format!("the alarm file does not read: {error}"),
                    at_us: 0,
                });
                heed(&logs, &log, &alarm);
                known.alarm = Some(alarm);
            }
            known.witnessed = fs::read_to_string(at.join("checkpoint")).ok().and_then(|note| kept(&settings, &note));
            if known.witnessed.is_some() || known.alarm.is_some() {
                standing.insert(log, known);
            }
        }
        let standing = Mutex::new(standing);
        let (cosignatures, failures) = (AtomicU64::new(0), AtomicU64::new(0));
        let rounds = watch::Sender::new(0);
        Witnesses { settings, post, folder, logs, clock, standing, cosignatures, failures, rounds }
    }

    /// What is known of a log.
    pub fn standing(&self, log: &LogId) -> Standing {
        self.standing.lock().get(log).cloned().unwrap_or_default()
    }

    /// Counters.
    pub fn stats(&self) -> WitnessStats {
        let alarms = self.standing.lock().values().filter(|standing| standing.alarm.is_some()).count() as u64;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WitnessStats { cosignatures: get(&self.cosignatures), failures: get(&self.failures), alarms }
    }

    /// Size and note of the checkpoint to show while `newest` is the newest signed head; `witnessed`: the log has a policy.
    pub fn shown(&self, log: &LogId, newest: &Head, witnessed: bool) -> (u64, Arc<str>) {
        let signed = |head: &Head| (head.size, Arc::clone(&head.checkpoint));
        if !witnessed {
            return signed(newest);
        }
        let now_us = self.clock.now_us();
        let mut standings = self.standing.lock();
        let standing = standings.entry(*log).or_default();
        let patience_us = self.settings.patience.as_micros() as u64;
        let fresh = |w: &&Witnessed| w.size >= standing.floor && now_us < w.at_us.saturating_add(patience_us);
        let shown = match (standing.witnessed.as_ref().filter(fresh), &standing.asking) {
            (Some(witnessed), _) => (witnessed.size, Arc::clone(&witnessed.note)),
            (None, Some(asking)) => signed(asking),
            (None, None) => signed(newest),
        };
        standing.floor = standing.floor.max(shown.0);
        shown
    }

    /// The checkpoint of exactly this size with cosignatures, if one is kept.
    pub fn cosigned_at(&self, log: &LogId, size: u64) -> Option<Arc<str>> {
        let newest = self.standing.lock().get(log).and_then(|standing| standing.witnessed.clone());
        if let Some(newest) = newest.filter(|newest| newest.size == size) {
            return Some(newest.note);
        }
        let path = self.folder.join(log.to_string()).join("cosigned").join(size.to_string());
        fs::read_to_string(path).ok().map(Into::into)
    }

    /// Waits until a checkpoint over at least `size` entries satisfies the policy, a witness has spoken against the log, or
    /// `patience` is over, and gives what is known then. Rounds are not hurried: witnesses are asked as often as configured.
    pub async fn wait(&self, log: &LogId, size: u64, patience: Duration) -> Standing {
        let mut rounds = self.rounds.subscribe();
        let decided = async {
            loop {
                let standing = self.standing(log);
                let covered = standing.witnessed.as_ref().is_some_and(|witnessed| witnessed.size >= size);
                if covered || standing.alarm.is_some() || rounds.changed().await.is_err() {
                    return;
                }
            }
        };
        // Out of patience or not, what is known is the answer.
        let _ = tokio::time::timeout(patience, decided).await;
        self.standing(log)
    }

    /// Asks whoever is due, until `stop` turns true. `subjects` tells whom there is; `alarmed` is called once for each alarm.
    pub async fn run(
        self: Arc<Self>,
        mut stop: watch::Receiver<bool>,
        subjects: impl Fn() -> Vec<Subject> + Send,
        alarmed: impl Fn(LogId, &Alarm) + Send + Sync + 'static,
    ) {
        if self.post.0.is_none() {
            return;
        }
        let alarmed = Arc::new(alarmed);
        let places = Arc::new(Semaphore::new(ROUNDS_MAX));
        let tick = (self.settings.every / 10).clamp(Duration::from_millis(20), Duration::from_secs(1));
        let mut ticks = tokio::time::interval(tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
            for subject in self.due(&subjects()) {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let (witnesses, alarmed) = (Arc::clone(&self), Arc::clone(&alarmed));
                tokio::task::spawn_blocking(move || {
                    let _place = place;
                    if let Some(alarm) = witnesses.round(&subject) {
                        alarmed(subject.log, &alarm);
                    }
                    witnesses.rounds.send_modify(|rounds| *rounds += 1);
                });
            }
        }
    }

    /// The logs that have grown and whose time has come. Their rounds count as begun.
    fn due(&self, subjects: &[Subject]) -> Vec<Subject> {
        let now_us = self.clock.now_us();
        let every_us = self.settings.every.as_micros() as u64;
        let mut due = Vec::new();
        let mut standings = self.standing.lock();
        for (rank, subject) in subjects.iter().enumerate() {
            let standing = standings.entry(subject.log).or_default();
            // First rounds are spread over the interval, and so are all that follow.
            let first = now_us + every_us / subjects.len() as u64 * rank as u64;
            let due_us = *standing.due_us.get_or_insert(first);
            if now_us < due_us || standing.asking.is_some() || standing.alarm.is_some() {
                continue;
            }
            let Ok(head) = self.logs.head(&subject.log) else { continue };
            if standing.witnessed.as_ref().is_none_or(|witnessed| witnessed.size < head.size) {
                // Nothing larger is shown until the round is over, so that what comes of it can be.
                standing.asking = Some(head);
                standing.due_us = Some(now_us + every_us);
                due.push(subject.clone());
            }
        }
        due
    }

    /// Takes one log to all its witnesses. Returns what one of them said against it. Blocks.
    fn round(&self, subject: &Subject) -> Option<Alarm> {
        let Subject { log, policy } = subject;
        let asking = self.standing.lock().get(log).and_then(|standing| standing.asking.clone());
        let (Some(head), Some(post)) = (asking, &self.post.0) else { return None };
        let answers: Vec<(&Witness, Asked)> = std::thread::scope(|scope| {
            let (post, head) = (&**post, &head);
            let ask = |witness| (witness, scope.spawn(move || self.ask(post, log, head, witness)));
            let asked: Vec<_> = policy.witnesses.iter().map(ask).collect();
            let join = |(witness, thread): (_, std::thread::ScopedJoinHandle<'_, Asked>)| {
                (witness, thread.join().unwrap_or_else(|_| Asked::Trouble("asking failed".to_owned())))
            };
            asked.into_iter().map(join).collect()
        });
        let mut note = head.checkpoint.to_string();
        let mut room = SIGNATURES_MAX.saturating_sub(note.matches("\n\u{2014} ").count());
        let (mut troubles, mut alarm) = (BTreeMap::new(), None);
        for (witness, asked) in answers {
            match asked {
                Asked::Cosigned(lines) if lines.lines().count() <= room => {
                    room -= lines.lines().count();
                    note.push_str(&lines);
                    self.cosignatures.fetch_add(1, Ordering::Relaxed);
                }
                Asked::Cosigned(_) => {
                    drop(troubles.insert(witness.name.clone(), "no room for its signature".to_owned()))
                }
                Asked::Trouble(why) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%log, witness = witness.name, why, "a witness did not cosign");
                    troubles.insert(witness.name.clone(), why);
                }
                Asked::Against(against) => alarm = Some(against),
            }
        }
        let witnessed = self.satisfied(log, policy, &note, head.size);
        if let Some(witnessed) = &witnessed {
            // Not kept is not lost: it is shown, and witnesses give it again after a restart.
            if let Err(error) = self.keep(log, witnessed) {
                tracing::error!(%log, %error, "a cosigned checkpoint could not be kept");
            }
        }
        if let Some(alarm) = &alarm {
            heed(&self.logs, log, alarm);
            let text = serde_json::to_vec(alarm).expect("strings and numbers serialise");
            if let Err(error) = replace(&self.folder.join(log.to_string()), "alarm", &text) {
                tracing::error!(%log, %error, "an alarm could not be kept; it comes back with the next call to the witness");
            }
        }
        let mut standings = self.standing.lock();
        let standing = standings.entry(*log).or_default();
        standing.asking = None;
        standing.troubles = troubles;
        if witnessed.is_some() {
            standing.witnessed = witnessed;
        }
        if alarm.is_some() {
            standing.alarm.clone_from(&alarm);
        }
        alarm
    }

    /// The note, if the policy is content with it.
    fn satisfied(&self, log: &LogId, policy: &Policy, note: &str, size: u64) -> Option<Witnessed> {
        let key: VerifierKey = self.logs.vkey(log).ok()?.parse().ok()?;
        match policy.open(note, &self.logs.origin(log), &[key]) {
            Ok(_) => Some(Witnessed { size, note: note.into(), at_us: self.clock.now_us() }),
            Err(tlog::Error::PolicyUnmet) => None,
            Err(error) => {
                tracing::error!(%log, %error, "cosignatures do not fit our own checkpoint");
                None
            }
        }
    }

    /// Asks one witness to cosign a head.
    fn ask(&self, post: &dyn Post, log: &LogId, head: &Head, witness: &Witness) -> Asked {
        let Some(url) = &witness.url else { return Asked::Trouble("the policy does not say where it is".to_owned()) };
        let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let vkey = witness.key.to_string();
        let mut old_size = self.standing.lock().get(log).and_then(|s| s.sizes.get(&vkey).copied()).unwrap_or(0);
        for _ in 0..TRIES_MAX {
            let hashes = match self.logs.prove_consistency(log, old_size, head.size) {
                Ok(hashes) => hashes,
                Err(error) => return Asked::Trouble(format!("no proof from size {old_size}: {error}")),
            };
            let body = Extends { old_size, hashes, checkpoint: head.checkpoint.to_string() }.to_string();
            let answer = match post.post(&url, "text/plain; charset=utf-8", body.as_bytes()) {
                Ok(answer) => answer,
                Err(why) => return Asked::Trouble(why),
            };
            let text = String::from_utf8_lossy(&answer.body);
            let against = |reason: &str, detail: String| {
                let (reason, at_us) = (reason.to_owned(), self.clock.now_us());
                Asked::Against(Alarm { reason, witness: witness.key.name().to_owned(), detail, at_us })
            };
            match answer.status {
                200 => match witness::cosignatures(&head.checkpoint, &text, &witness.key) {
                    Ok((lines, _)) => {
                        let mut standings = self.standing.lock();
                        standings.entry(*log).or_default().sizes.insert(vkey, head.size);
                        return Asked::Cosigned(lines);
                    }
                    Err(error) => return Asked::Trouble(format!("its answer: {error}")),
                },
                409 => match witness::parse_size(&text) {
                    Ok(size) if size == old_size => {
                        return against("forked", format!("it cosigned another root at size {size}"));
                    }
                    Ok(size) if size <= head.size => old_size = size,
                    // Somebody else may have shown it a newer head of ours than the one in hand.
                    Ok(size) if self.logs.head(log).is_ok_and(|newest| size <= newest.size) => {
                        return Asked::Trouble(format!(
                            "it has seen size {size} already; the next round brings a newer head"
                        ));
                    }
                    Ok(size) => {
                        let detail = format!("it cosigned size {size}, and the log has {} entries", head.size);
                        return against("rolled_back", detail);
                    }
                    Err(error) => return Asked::Trouble(format!("its answer: {error}")),
                },
                422 => {
                    let detail = format!(
                        "the head of size {} does not extend the one it cosigned at size {old_size}",
                        head.size
                    );
                    return against("forked", detail);
                }
                404 => {
                    return Asked::Trouble(
                        "it does not know this log; give its keeper the log's public key".to_owned(),
                    );
                }
                403 => return Asked::Trouble("it knows this log under another key".to_owned()),
                status => return Asked::Trouble(format!("it answered {status}")),
            }
        }
        Asked::Trouble("its size kept changing".to_owned())
    }

    /// Keeps a cosigned checkpoint; the one before is kept too if it was the last of its day.
    fn keep(&self, log: &LogId, new: &Witnessed) -> io::Result<()> {
        let folder = self.folder.join(log.to_string());
        let before = self.standing.lock().get(log).and_then(|standing| standing.witnessed.clone());
        if let Some(before) = before.filter(|before| before.at_us / DAY_US < new.at_us / DAY_US) {
            replace(&folder.join("cosigned"), &before.size.to_string(), before.note.as_bytes())?;
        }
        replace(&folder, "checkpoint", new.note.as_bytes())
    }
}

/// A kept checkpoint that some policy of ours is still content with. The log's own signature was checked before it was kept and is
/// again by everybody who gets it; here only the witnesses' lines can be.
fn kept(settings: &Witnessing, note: &str) -> Option<Witnessed> {
    let head: tlog::checkpoint::Checkpoint = tlog::note::Note::parse(note).ok()?.text.parse().ok()?;
    let policies = settings.of_organisations.values().chain(&settings.policy);
    let at_s = policies.filter_map(|policy| {
        let witnesses: Vec<VerifierKey> = policy.witnesses.iter().map(|witness| witness.key.clone()).collect();
        let verified = tlog::note::open(note, &witnesses).ok()?.signatures;
        let cosignatures: Vec<_> = verified
            .iter()
            .map(|signature| tlog::checkpoint::Cosignature { key: signature.key.clone(), time_s: signature.time_s })
            .collect();
        policy.is_met(&cosignatures).then(|| cosignatures.iter().filter_map(|c| c.time_s).max())?
    });
    let at_us = at_s.max()?.saturating_mul(1_000_000);
    Some(Witnessed { size: head.size, note: note.into(), at_us })
}

/// A log that a witness speaks against takes no more entries.
fn heed(logs: &Logs, log: &LogId, alarm: &Alarm) {
    let reason = match alarm.reason.as_str() {
        "rolled_back" => ReadOnlyReason::RolledBack,
        _ => ReadOnlyReason::Forked,
    };
    if let Err(error) = logs.distrust(log, reason, format!("witness {}: {}", alarm.witness, alarm.detail)) {
        tracing::error!(%log, %error, "a log that a witness speaks against could not be closed");
    }
}

/// Writes a file in one step: beside its name, synced, renamed, the folder synced.
pub(crate) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let (part, path) = (folder.join(format!("{name}.part")), folder.join(name));
    let mut file = File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, &path)?;
    File::open(folder)?.sync_all()?;
    // The folder's own name, where it is new.
    folder.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())
}
