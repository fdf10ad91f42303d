//! Encryption keys of organisations: public keys only, by name. The private ones never come near this server.
//!
//! ```text
//! add ──▶ inactive ⇄ active (one at a time) ──▶ retired, for ever
//! ```
//!
//! While a key is active, everything of the organisation is encrypted to it before it is appended (see `sealing.rs`).
//! A name is given once: records carry the name of their key, and it must go on meaning the same key.

use jiff::Timestamp;
use seal::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::{Principal, Verb};
use crate::control::record::Record;
use crate::control::state::{Key, State};
use crate::error::{Error, Result};
use crate::model::event::TargetDraft;
use crate::model::{Kind, OrgId, Outcome, time};
use crate::organisations::no_org;
use crate::own_events;
use crate::service::Service;

/// Longest name of a key, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 200;

/// Most keys of one organisation, retired ones included.
pub const KEYS_MAX: usize = 1_000;

/// Longest text of a public key, in bytes.
pub const KEY_TEXT_BYTES_MAX: usize = 10_000;

/// What a key is used for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Nothing: it may be activated.
    Inactive,
    /// Everything that comes in is encrypted to it.
    Active,
    /// Nothing, ever again. What was encrypted to it stays so.
    Retired,
}

impl KeyState {
    /// The word for it: lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyState::Inactive => "inactive",
            KeyState::Active => "active",
            KeyState::Retired => "retired",
        }
    }
}

/// A key, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name, given by the organisation; each record encrypted to it carries the name in clear.
    pub name: String,
    /// How records are encrypted to it.
    pub scheme: seal::Scheme,
    /// The public key: 40 characters for the legacy scheme, PEM for the standard one.
    pub public_key: String,
    /// What it is used for.
    pub state: KeyState,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was last activated.
    pub activated_at: Option<Timestamp>,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
}

impl Service {
    /// Adds a public key under a name of the organisation's choice. It is not used before it is activated.
    ///
    /// `public_key`: 40 characters as `seccure-key -c p256` prints them (legacy scheme), or a PEM public key on P-256
    /// (standard scheme).
    ///
    /// # Errors
    /// `Invalid`: the name or the key cannot be used, saying why. `Conflict`: the name was given before. `TooLarge`: the
    /// organisation has [`KEYS_MAX`] keys.
    pub async fn add_key(&self, who: &Principal, org: OrgId, name: &str, public_key: &str) -> Result<KeyInfo> {
        self.allow(who, Verb::ManageKeys, org)?;
        let name = check_name(name)?;
        let key = parse(public_key)?;
        let (text, scheme) = (key.to_text(), key.scheme());
        self.control()
            .execute(Some(who.account), {
                let (name, text) = (name.clone(), text.clone());
                move |state| {
                    if state.keys(org).iter().any(|key| key.name == name) {
                        return Err(Error::conflict(format!(
                            "there is a key called {name} already; names are given once"
                        )));
                    }
                    if state.keys(org).len() >= KEYS_MAX {
                        return Err(Error::too_large(format!("an organisation has at most {KEYS_MAX} keys")));
                    }
                    Ok((vec![Record::KeyAdded { org, name, public_key: text }], ()))
                }
            })
            .await?;
        let change = own_events::change(json!({}), json!({"scheme": scheme.as_str(), "public_key": text}));
        self.record_key_change(who, org, own_events::KEY_ADDED, &name, change).await;
        self.get_key(org, &name)
    }

    /// Makes a key the active one: when this returns, nothing of the organisation is appended in clear any more.
    /// Another key that was active becomes inactive. Activating the active key changes nothing.
    ///
    /// # Errors
    /// `NotFound`: no such key. `Conflict`: it is retired.
    pub async fn activate_key(&self, who: &Principal, org: OrgId, name: &str) -> Result<KeyInfo> {
        self.allow(who, Verb::ManageKeys, org)?;
        let name = check_name(name)?;
        find(&self.control().state(), org, &name)?;
        // The end of a recording is kept in clear, so it comes before the switch.
        let _no_recordings = self.hold_sessions(org).await;
        // Whoever appends holds this gate from the moment it looks for the active key until its entries are in the log:
        // so nothing that was meant to stay in clear comes after the switch.
        let switch = self.sealer().close().await;
        let wanted = name.clone();
        let before = self
            .control()
            .execute(Some(who.account), move |state| {
                let key = find(state, org, &wanted)?;
                let before = state.active_key(org).map(|key| key.name.clone());
                match key.state() {
                    KeyState::Retired => Err(Error::conflict(format!("the key {wanted} is retired; add a new one"))),
                    KeyState::Active => Ok((vec![], before)),
                    KeyState::Inactive => Ok((vec![Record::KeyActivated { org, name: wanted }], before)),
                }
            })
            .await?;
        drop(switch);
        if before.as_ref() != Some(&name) {
            let change = own_events::change(json!({"active": before}), json!({"active": name}));
            self.record_key_change(who, org, own_events::KEY_ACTIVATED, &name, change).await;
        }
        self.get_key(org, &name)
    }

    /// Retires a key for ever. The active one only with `then_clear`: from then on events are kept in clear.
    ///
    /// # Errors
    /// `NotFound`: no such key. `Conflict`: it is active, and `then_clear` was not said.
    pub async fn retire_key(&self, who: &Principal, org: OrgId, name: &str, then_clear: bool) -> Result<KeyInfo> {
        self.allow(who, Verb::ManageKeys, org)?;
        let name = check_name(name)?;
        let wanted = name.clone();
        let switch = self.sealer().close().await;
        let changed = self
            .control()
            .execute(Some(who.account), move |state| match find(state, org, &wanted)?.state() {
                KeyState::Retired => Ok((vec![], false)),
                KeyState::Active if !then_clear => Err(Error::conflict(format!(
                    "the key {wanted} is active; activate another one first, or say that events are to be kept in clear from now on"
                ))),
                KeyState::Active | KeyState::Inactive => {
                    Ok((vec![Record::KeyRetired { org, name: wanted }], true))
                }
            })
            .await?;
        drop(switch);
        if changed {
            let change = own_events::change(json!({"retired": false}), json!({"retired": true}));
            self.record_key_change(who, org, own_events::KEY_RETIRED, &name, change).await;
        }
        self.get_key(org, &name)
    }

    /// The keys of an organisation, in the order in which they were added.
    pub fn list_keys(&self, who: &Principal, org: OrgId) -> Result<Vec<KeyInfo>> {
        self.allow(who, Verb::ManageKeys, org)?;
        let state = self.control().state();
        state.org(org).ok_or_else(no_org)?;
        state.keys(org).iter().map(info).collect()
    }

    /// Says whether events of `org` are encrypted before they are kept, now or at some time before: then there may be
    /// some whose content no search can see.
    pub(crate) fn has_sealed(&self, org: OrgId) -> bool {
        self.control().state().keys(org).iter().any(|key| key.activated_at_us.is_some())
    }

    fn get_key(&self, org: OrgId, name: &str) -> Result<KeyInfo> {
        info(find(&self.control().state(), org, name)?)
    }

    async fn record_key_change(
        &self,
        who: &Principal,
        org: OrgId,
        action: &str,
        name: &str,
        change: serde_json::Map<String, serde_json::Value>,
    ) {
        let mut draft = own_events::draft(action, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        draft.targets.push(TargetDraft { kind: Some("key".into()), id: None, name: Some(name.to_owned()) });
        draft.attributes.extend(change);
        self.record_now(who, org, &draft).await;
    }
}

/// The public key that a text holds.
pub(crate) fn parse(text: &str) -> Result<PublicKey> {
    if text.len() > KEY_TEXT_BYTES_MAX {
        return Err(Error::too_large(format!("the key is longer than {KEY_TEXT_BYTES_MAX} bytes")));
    }
    PublicKey::parse_text(text).map_err(|why| Error::invalid(why.to_string()))
}

fn find<'a>(state: &'a State, org: OrgId, name: &str) -> Result<&'a Key> {
    let found = state.keys(org).iter().find(|key| key.name == name);
    found.ok_or_else(|| Error::not_found(format!("no key called {name}")))
}

fn info(key: &Key) -> Result<KeyInfo> {
    let parsed = parse(&key.public_key)
        .map_err(|why| Error::corrupt(format!("the key {} cannot be used", key.name), format!("{why:?}")))?;
    Ok(KeyInfo {
        name: key.name.clone(),
        scheme: parsed.scheme(),
        public_key: key.public_key.clone(),
        state: key.state(),
        added_at: time::from_micros(key.added_at_us),
        activated_at: key.activated_at_us.map(time::from_micros),
        retired_at: key.retired_at_us.map(time::from_micros),
    })
}

fn check_name(name: &str) -> Result<String> {
    let name = crate::control::state::normal_name(name);
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::invalid("the name of the key is empty or has control characters"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!("the name of the key is longer than {NAME_BYTES_MAX} bytes")));
    }
    Ok(name)
}
