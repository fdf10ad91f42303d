//! The task that reads the logs on, asks the rules, and records what they find.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use log::LogId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tlog::entry::Kind as EntryKind;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fact::Fact;
use super::needed::Needed;
use super::rule::{Rules, Seen};
use super::webhook::Waiting;
use super::{FINDING, Finding, OfOrg};
use crate::access::Caller;
use crate::encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::model::event::SourceDraft;
use crate::model::{Event, EventDraft, Kind, Outcome, PartyDraft, time};
use crate::own_events;
use crate::projection::Watermarks;
use crate::recordings::read::blocking;
use crate::service::{Inner, Service};

/// The logs are looked at this often at most: what came meanwhile is read at once.
const PASS_EVERY: Duration = Duration::from_millis(200);
/// And this often at least, for what did not happen.
const TICK: Duration = Duration::from_secs(60);
/// What is remembered is written this often, if it changed.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Findings that are recorded together.
const TOLD_AT_ONCE: usize = 256;
/// Bytes of records read at once.
const READ_BYTES: usize = 1 << 20;

/// What is written.
#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    /// How far each log was read; hex of the payload of [`Watermarks`].
    marks: String,
    orgs: std::collections::BTreeMap<u32, OfOrg>,
    rules: Vec<Value>,
    waiting: Vec<Waiting>,
}

const VERSION: u32 = 1;

/// A finding on its way into the log.
struct Found {
    ordinal: u32,
    log: LogId,
    finding: Finding,
}

impl Service {
    /// Starts the runner, if there is anything to detect.
    pub(crate) fn keep_detecting(&self, mut stopped: watch::Receiver<bool>) -> Option<JoinHandle<()>> {
        let detection = Arc::clone(self.detection());
        if !detection.options.enabled {
            return None;
        }
        if let Err(why) = self.restore_detection() {
            tracing::warn!(%why, "what detection remembered does not read; the logs are read again");
        }
        let weak = self.downgrade();
        let mut published = self.logs().subscribe();
        Some(tokio::spawn(async move {
            let mut saved = Instant::now();
            while pass(&weak, &stopped).await {
                detection.passes.send_modify(|passes| *passes += 1);
                if saved.elapsed() >= SAVE_EVERY {
                    saved = Instant::now();
                    save(&weak).await;
                }
                tokio::select! {
                    biased;
                    _ = stopped.changed() => break,
                    _ = detection.work.notified() => {}
                    _ = async { tokio::time::sleep(PASS_EVERY).await; published.changed().await } => {}
                    _ = tokio::time::sleep(TICK) => {}
                }
                published.mark_unchanged();
            }
            detection.stopped.store(true, Ordering::SeqCst);
            detection.passes.send_modify(|passes| *passes += 1);
            save(&weak).await;
        }))
    }

    /// Waits until what is in the logs now was looked at, and what was found is recorded.
    pub(crate) async fn settle_detection(&self) {
        let detection = self.detection();
        if !detection.options.enabled {
            return;
        }
        let mut passes = detection.passes.subscribe();
        let goal = *passes.borrow_and_update() + 2;
        while *passes.borrow_and_update() < goal && !detection.stopped.load(Ordering::SeqCst) {
            detection.work.notify_one();
            if passes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Reads and evaluates the next piece of every log. Blocks. True: there is more.
    fn look_on(&self) -> Result<(Vec<Found>, bool)> {
        let logs: Vec<(u32, LogId)> = self.control().state().indexed_logs().into_iter().collect();
        let (mut found, mut is_more) = (Vec::new(), false);
        for (ordinal, log) in logs {
            let Ok(head) = self.logs().head(&log) else { continue };
            let next = self.detection().state.lock().marks.get(ordinal);
            if next >= head.size {
                continue;
            }
            let records = match self.logs().read(&log, next..head.size, READ_BYTES) {
                Ok(records) if !records.is_empty() => records,
                // Damage in one log must not hold up the others; verification says so loudly.
                problem => {
                    tracing::warn!(?problem, %log, entry = next, "a log cannot be read for detection");
                    continue;
                }
            };
            let mut decoder = encoding::Decoder::default();
            let before = self.control().state().numbers_before(log);
            let mut state = self.detection().state.lock();
            let state = &mut *state;
            let of = state.orgs.entry(ordinal).or_default();
            for record in records {
                let number = record.index + 1;
                if record.kind == EntryKind::Event && !record.state.is_erased() {
                    let mut event = decoder.event(record);
                    event.before = before;
                    let hits = look_at(&mut state.rules, &state.needed, of, ordinal, &event);
                    found.extend(hits.into_iter().map(|finding| Found { ordinal, log, finding }));
                }
                state.marks.set(ordinal, number);
            }
            state.is_changed = true;
            is_more |= state.marks.get(ordinal) < head.size;
        }
        if !is_more {
            let now_s = i64::try_from(self.now_us() / 1_000_000).unwrap_or(i64::MAX);
            let logs: std::collections::BTreeMap<u32, LogId> =
                self.control().state().indexed_logs().into_iter().collect();
            for rules in &mut self.detection().state.lock().rules {
                let told = rules.tick(now_s).into_iter();
                found.extend(
                    told.filter_map(|(ordinal, finding)| Some(Found { ordinal, log: *logs.get(&ordinal)?, finding })),
                );
            }
        }
        Ok((found, is_more))
    }

    /// Records what was found.
    async fn tell(&self, found: Vec<Found>) {
        let together = found.chunk_by(|one, next| one.log == next.log).flat_map(|of_log| of_log.chunks(TOLD_AT_ONCE));
        for found in together {
            let drafts: Vec<EventDraft> = found.iter().map(|found| draft(&found.finding)).collect();
            // One that was told before is in the log: it has the same id.
            if self.own().all_now(found[0].log, &drafts).await.is_err() {
                // One that is refused must not keep the others out.
                for (Found { log, finding, .. }, draft) in found.iter().zip(&drafts) {
                    if let Err(error) = self.own().now(*log, None, None, draft).await {
                        tracing::error!(?error, rule = finding.rule, events = ?finding.events, "a finding could not be recorded");
                    }
                }
            }
            let mut state = self.detection().state.lock();
            for (Found { ordinal, finding, .. }, draft) in found.iter().zip(&drafts) {
                let last = finding.events.last().copied().unwrap_or(0);
                let hits = state.orgs.entry(*ordinal).or_default().hits.entry(finding.rule.clone()).or_default();
                *hits = (hits.0 + 1, last, finding.last_s);
                if self.detection().options.webhook_url.is_some() {
                    super::webhook::queue(&mut state.waiting, Waiting::new(*ordinal, draft, self.now_us()));
                }
            }
        }
    }

    fn restore_detection(&self) -> Result<(), String> {
        let detection = self.detection();
        let text = match fs::read(&detection.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let saved: Saved = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if saved.version != VERSION {
            return Err(format!("it is of version {}", saved.version));
        }
        let marks = hex::decode(&saved.marks).map_err(|error| error.to_string())?;
        let marks = Watermarks::read(Some(&marks), self.control().log())?;
        for (ordinal, log) in self.control().state().indexed_logs() {
            let size = self.logs().head(&log).map_or(0, |head| head.size);
            if marks.get(ordinal) > size {
                return Err(format!("it knows {} entries of log {log} which has {size}", marks.get(ordinal)));
            }
        }
        let mut state = detection.state.lock();
        if saved.rules.len() != state.rules.len() {
            return Err("it is of other rules".to_owned());
        }
        for (rules, remembered) in state.rules.iter_mut().zip(saved.rules) {
            rules.restore(remembered)?;
        }
        (state.marks, state.orgs, state.waiting) = (marks, saved.orgs, saved.waiting);
        Ok(())
    }

    /// Writes what is remembered, if it changed. Blocks.
    fn save_detection(&self) -> Result<()> {
        let detection = self.detection();
        let saved = {
            let mut state = detection.state.lock();
            if !std::mem::take(&mut state.is_changed) {
                return Ok(());
            }
            Saved {
                version: VERSION,
                marks: hex::encode(state.marks.write(self.control().log())),
                orgs: state.orgs.clone(),
                rules: state.rules.iter().map(|rules| rules.save()).collect(),
                waiting: state.waiting.clone(),
            }
        };
        let text =
            serde_json::to_vec(&saved).map_err(|e| Error::internal("texts and numbers are JSON").with_source(e))?;
        let unwritten = |e: std::io::Error| {
            Error::new(ErrorKind::Unavailable, "cannot write what detection remembers").with_source(e)
        };
        let part = detection.file.with_extension("part");
        if let Some(folder) = detection.file.parent() {
            fs::create_dir_all(folder).map_err(unwritten)?;
        }
        // Under its own name the file is always whole.
        let mut file = fs::File::create(&part).map_err(unwritten)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(unwritten)?;
        fs::rename(&part, &detection.file).map_err(unwritten)
    }
}

/// Reads on until everything was looked at. False: the service is gone, or stops.
async fn pass(weak: &Weak<Inner>, stopped: &watch::Receiver<bool>) -> bool {
    loop {
        let Some(service) = Service::upgrade(weak) else { return false };
        if *stopped.borrow() {
            return false;
        }
        let looking = service.clone();
        match blocking(move || looking.look_on()).await {
            Ok((found, is_more)) => {
                service.tell(found).await;
                service.deliver().await;
                if !is_more {
                    return true;
                }
            }
            Err(error) => {
                tracing::error!(?error, "detection could not go on; it is tried again");
                return true;
            }
        }
    }
}

async fn save(weak: &Weak<Inner>) {
    let Some(service) = Service::upgrade(weak) else { return };
    if let Err(error) = blocking(move || service.save_detection()).await {
        tracing::warn!(?error, "what detection remembers was not written; the log is read for it at the next start");
    }
}

/// Asks the rules about one event: all but our own findings, which would find themselves.
fn look_at(rules: &mut [Box<dyn Rules>], needed: &Needed, of: &mut OfOrg, ordinal: u32, event: &Event) -> Vec<Finding> {
    let Some(json) = event.json() else { return Vec::new() };
    let by = event.recorded_by();
    let is_ours = by.via == Caller::INTERNAL;
    let seen = Seen {
        number: event.number(),
        recorded_s: event.recorded_at().as_second(),
        sender: by.account.filter(|_| !is_ours),
        json,
    };
    let wanting: Vec<bool> = rules.iter_mut().map(|rules| rules.glance(ordinal, &seen)).collect();
    of.evaluated_us = Some(time::micros(event.recorded_at()));
    let may_be_new = needed.may_be_new(of, &seen);
    if !may_be_new && !wanting.contains(&true) {
        return Vec::new();
    }
    let Some(fact) = Fact::of(ordinal, event) else { return Vec::new() };
    if is_ours && fact.value.get("action").and_then(Value::as_str) == Some(FINDING) {
        return Vec::new();
    }
    needed.note(of, &fact);
    let asked = rules.iter_mut().zip(wanting).filter(|(_, wants)| *wants);
    asked.flat_map(|(rules, _)| rules.evaluate(ordinal, &fact)).collect()
}

/// The event of a finding.
fn draft(finding: &Finding) -> EventDraft {
    let mut draft = own_events::draft(FINDING, Kind::System, Outcome::Success, None, &Caller::internal());
    let (first, last) = (finding.events.first().unwrap_or(&0), finding.events.last().unwrap_or(&0));
    draft.id = Some(format!("finding:{}:{first}:{last}", own_events::cut(&finding.rule, 100)));
    draft.message = Some(finding.title.clone());
    let at = |s: i64| jiff::Timestamp::from_second(s).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
    draft.occurred_at = Some(at(finding.last_s));
    draft.actor = finding.group.get("actor").map(PartyDraft::named);
    draft.source = finding
        .group
        .get("source")
        .map(|address| SourceDraft { address: Some(address.clone()), ..SourceDraft::default() });
    let mut attributes = json!({
        "rule": finding.rule,
        "level": finding.level,
        "tags": finding.tags,
        "group": finding.group,
        "count": finding.count,
        "first_at": at(finding.first_s),
        "last_at": at(finding.last_s),
        "events": finding.events,
    });
    if let Some(seconds) = finding.window_s {
        attributes["window_seconds"] = seconds.into();
    }
    if !finding.why.is_empty() {
        attributes["why"] = finding.why.as_str().into();
    }
    if let Value::Object(members) = attributes {
        draft.attributes.extend(members);
    }
    draft
}
