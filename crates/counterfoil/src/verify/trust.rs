//! Whom a verification believes: keys and a policy, from the caller, or from the source itself where nothing better is given.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tlog::Error;
use tlog::checkpoint::{Cosignature, SignedCheckpoint};
use tlog::note::{Algorithm, VerifierKey};
use tlog::policy::Policy;

use super::files::Files;
use super::succession::{self, Learnt};

/// What every answer about a log says when no witness vouches for it.
pub const NOBODY_OUTSIDE: &str = "nobody outside is known to remember this log: no witness's cosignature was checked (give --policy, or run a witness)";

/// Keys and policy.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Keys of logs, and of witnesses, trusted.
    pub keys: Vec<VerifierKey>,
    /// What a checkpoint must fulfil besides.
    pub policy: Option<Policy>,
    /// How long ago the policy's witnesses may have signed: who shows an old checkpoint that is genuine is found out by its age
    /// alone. Counts only with a policy.
    pub cosigned_within: Option<Duration>,
    /// The keys are the caller's, not the source's own word.
    pub is_pinned: bool,
}

/// A checkpoint whose log is known, and what witnesses say of it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The head with its note.
    pub signed: SignedCheckpoint,
    /// How it stands with the policy.
    pub policy: Standing,
    /// Keys of the log that were learnt from its key notes, because none that is trusted signs any more.
    pub learnt: Vec<Learnt>,
}

/// How a checkpoint stands with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is no policy.
    NotAsked,
    /// It is met.
    Met,
    /// It is not, and why.
    Unmet(String),
}

/// A source has no checkpoint to go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopened {
    /// It could not be read.
    Missing(String),
    /// Nobody trusted signed it, or it is none.
    Refused(String),
}

/// A cosignature that holds, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// Name of the witness's key.
    pub witness: String,
    /// When it says it signed, RFC 3339.
    pub at: Option<String>,
}

impl Trust {
    /// Reads a checkpoint of any log that is trusted. The origin is the trusted key's name, never the source's word:
    /// presenting another log's data fails here.
    ///
    /// # Errors
    /// The most telling of those of [`SignedCheckpoint::open`].
    pub fn open(&self, note: &str) -> Result<Opened, Error> {
        let listed = self.policy.iter().flat_map(|policy| &policy.logs).map(|log| &log.key);
        let witnesses = self.policy.iter().flat_map(|policy| &policy.witnesses).map(|witness| &witness.key);
        let known: Vec<VerifierKey> = self.keys.iter().chain(listed).chain(witnesses).cloned().collect();
        let mut refused = Error::Unverified;
        for origin in known.iter().filter(|key| key.algorithm() == Algorithm::Ed25519).map(VerifierKey::name) {
            match SignedCheckpoint::open(note, origin, &known) {
                Ok(signed) => {
                    let policy = self.standing(&signed.cosignatures);
                    return Ok(Opened { signed, policy, learnt: Vec::new() });
                }
                Err(Error::Unverified) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Reads the checkpoint of a source: its text, and what it says. Where no trusted key signs any more, the log's key notes are
    /// followed from one that is trusted to the newest.
    ///
    /// # Errors
    /// As its name says.
    pub fn open_checkpoint(&self, files: &dyn Files) -> Result<(String, Opened), Unopened> {
        let bytes = files.need("checkpoint").map_err(Unopened::Missing)?;
        let text =
            String::from_utf8(bytes).map_err(|_| Unopened::Refused("the checkpoint is not UTF-8 text".to_owned()))?;
        let opened = match self.open(&text) {
            Err(Error::Unverified) => self.open_by_newer_key(files, &text).map_err(Unopened::Refused)?,
            other => other.map_err(|error| Unopened::Refused(error.to_string()))?,
        };
        Ok((text, opened))
    }

    fn open_by_newer_key(&self, files: &dyn Files, text: &str) -> Result<Opened, String> {
        let listed = self.policy.iter().flat_map(|policy| &policy.logs).map(|log| &log.key);
        let known: Vec<VerifierKey> = self.keys.iter().chain(listed).cloned().collect();
        let learnt = succession::follow(files, &known).map_err(|why| format!("{}; {why}", Error::Unverified))?;
        let mut wider = self.clone();
        wider.keys.extend(learnt.iter().map(|learnt| learnt.key.clone()));
        let opened = wider.open(text).map_err(|error| error.to_string())?;
        Ok(Opened { learnt, ..opened })
    }

    /// How cosignatures, each verified, stand with the policy.
    pub fn standing(&self, cosignatures: &[Cosignature]) -> Standing {
        let Some(policy) = &self.policy else { return Standing::NotAsked };
        if !policy.is_met(cosignatures) {
            return Standing::Unmet(Error::PolicyUnmet.to_string());
        }
        let Some(within) = self.cosigned_within else { return Standing::Met };
        let earliest = jiff::Timestamp::now().as_second().saturating_sub_unsigned(within.as_secs());
        let is_fresh = |time_s: u64| i64::try_from(time_s).is_ok_and(|time_s| time_s >= earliest);
        let fresh: Vec<Cosignature> =
            cosignatures.iter().filter(|one| one.time_s.is_some_and(is_fresh)).cloned().collect();
        if policy.is_met(&fresh) {
            return Standing::Met;
        }
        let newest = cosignatures.iter().filter_map(|one| one.time_s).max().and_then(time);
        let newest =
            newest.map_or_else(|| "at a time that they do not say".to_owned(), |at| format!("at {at} at the latest"));
        Standing::Unmet(format!(
            "frozen? its witnesses signed {newest}, longer ago than is allowed; somebody may be showing an old checkpoint"
        ))
    }

    /// The keys that a checkpoint of this log may be signed by: those trusted, and those learnt when it was opened.
    pub fn known(&self, opened: &Opened) -> Vec<VerifierKey> {
        let listed = self.policy.iter().flat_map(|policy| &policy.logs).map(|log| &log.key);
        let learnt = opened.learnt.iter().map(|learnt| &learnt.key);
        self.keys.iter().chain(listed).chain(learnt).cloned().collect()
    }

    /// Whether there is any log key to believe.
    pub fn knows_a_log(&self) -> bool {
        let listed = self.policy.iter().flat_map(|policy| &policy.logs).map(|log| &log.key);
        self.keys.iter().chain(listed).any(|key| key.algorithm() == Algorithm::Ed25519)
    }

    /// Takes the keys that the source says are the log's, if the caller trusts none.
    ///
    /// # Errors
    /// Why there are none.
    pub fn or_of_source(mut self, files: &dyn Files) -> Result<Trust, String> {
        if self.knows_a_log() {
            self.is_pinned = true;
            return Ok(self);
        }
        let text = files.need("keys").map_err(|why| format!("no key was given, and the source tells none: {why}"))?;
        self.keys.extend(keys_of(&text)?);
        Ok(self)
    }
}

impl Standing {
    /// Whether the policy is met; none without one.
    pub fn is_met(&self) -> Option<bool> {
        match self {
            Standing::NotAsked => None,
            Standing::Met => Some(true),
            Standing::Unmet(_) => Some(false),
        }
    }

    /// Why it is not met.
    pub fn unmet(&self) -> Option<&str> {
        match self {
            Standing::Unmet(why) => Some(why),
            Standing::NotAsked | Standing::Met => None,
        }
    }
}

impl Opened {
    /// What to say of keys that were learnt; none if there are none.
    pub fn learnt(&self) -> Option<String> {
        let newest = self.learnt.last()?;
        Some(format!(
            "the key you gave signs no more; the note at index {} of the log, proven under it, names the one that does: {}",
            newest.note_index, newest.key
        ))
    }

    /// The cosignatures that hold.
    pub fn witnessed(&self) -> Vec<Witnessed> {
        let cosignatures = self.signed.cosignatures.iter();
        cosignatures.map(|c| Witnessed { witness: c.key.name().to_owned(), at: c.time_s.and_then(time) }).collect()
    }
}

fn time(seconds: u64) -> Option<String> {
    let at = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(at.to_string())
}

/// The keys in the JSON of `/keys`.
pub fn keys_of(text: &[u8]) -> Result<Vec<VerifierKey>, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("the log's keys are not JSON: {error}"))?;
    let list = value.get("keys").and_then(Value::as_array).ok_or("the source's list of keys holds none")?;
    let texts = list.iter().filter_map(|key| key.get("vkey").and_then(Value::as_str));
    texts.map(|text| text.parse().map_err(|error| format!("the source's key {text:?}: {error}"))).collect()
}
