//! Findings sent to where somebody looks at them: one POST of JSON each, tried again until it is taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::EventDraft;
use crate::recordings::read::blocking;
use crate::service::Service;

/// Findings that may wait to be sent; of more the oldest are left, which the operator's log says. They stay in the trail.
pub const WEBHOOK_WAITING_MAX: usize = 10_000;
/// Pause after the first try that failed, and the longest one; each is twice the one before.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// A finding that nobody took for this long is left.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);
/// Findings sent in a row, before the rules go on.
const IN_A_ROW: usize = 20;

/// A finding that waits to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waiting {
    ordinal: u32,
    id: String,
    body: Value,
    since_us: u64,
    next_us: u64,
    tries: u32,
}

impl Waiting {
    /// The event of a finding, since now.
    pub fn new(ordinal: u32, draft: &EventDraft, now_us: u64) -> Waiting {
        let body = json!({
            "id": draft.id,
            "action": draft.action,
            "message": draft.message,
            "occurred_at": draft.occurred_at,
            "finding": draft.attributes,
        });
        Waiting { ordinal, id: draft.id.clone().unwrap_or_default(), body, since_us: now_us, next_us: now_us, tries: 0 }
    }
}

/// Puts a finding into the queue, once.
pub fn queue(waiting: &mut Vec<Waiting>, one: Waiting) {
    if waiting.iter().any(|other| other.ordinal == one.ordinal && other.id == one.id) {
        return;
    }
    if waiting.len() >= WEBHOOK_WAITING_MAX {
        let left = waiting.remove(0);
        tracing::error!(finding = left.id, "too many findings wait for the webhook; the oldest is not sent");
    }
    waiting.push(one);
}

impl Service {
    /// Sends what is due.
    pub(super) async fn deliver(&self) {
        let detection = self.detection();
        let (Some(url), Some(post)) = (detection.options.webhook_url.clone(), self.outbound().0.clone()) else {
            return;
        };
        for _ in 0..IN_A_ROW {
            let now_us = self.now_us();
            let due = detection.state.lock().waiting.iter().find(|one| one.next_us <= now_us).cloned();
            let Some(mut one) = due else { return };
            let org = self
                .control()
                .state()
                .orgs()
                .iter()
                .find(|org| self.ordinal_of(org.id) == Some(one.ordinal))
                .map(|org| org.id);
            one.body["organisation"] = org.map_or(Value::Null, |org| org.to_string().into());
            let (url, body, post) = (url.clone(), one.body.to_string(), post.clone());
            let sent = blocking(move || Ok(post.post(&url, "application/json", body.as_bytes()))).await;
            let why = match sent {
                Ok(Ok(answer)) if (200..300).contains(&answer.status) => None,
                Ok(Ok(answer)) => Some(format!("it answered with status {}", answer.status)),
                Ok(Err(why)) => Some(why),
                Err(error) => Some(error.to_string()),
            };
            let mut state = detection.state.lock();
            state.is_changed = true;
            let Some(at) = state.waiting.iter().position(|other| other.ordinal == one.ordinal && other.id == one.id)
            else {
                continue;
            };
            match why {
                None => {
                    state.waiting.remove(at);
                }
                Some(why) if now_us.saturating_sub(one.since_us) >= PATIENCE.as_micros() as u64 => {
                    tracing::error!(
                        finding = one.id,
                        tries = one.tries,
                        why,
                        "a finding was not taken by the webhook and is left"
                    );
                    state.waiting.remove(at);
                }
                Some(why) => {
                    let waiting = &mut state.waiting[at];
                    waiting.tries += 1;
                    let pause = PAUSE_FIRST.saturating_mul(1 << waiting.tries.min(20)).min(PAUSE_MAX);
                    waiting.next_us = now_us + pause.as_micros() as u64;
                    tracing::warn!(
                        finding = waiting.id,
                        tries = waiting.tries,
                        why,
                        "the webhook did not take a finding; it is tried again"
                    );
                    // Whoever does not answer one does not answer the next.
                    return;
                }
            }
        }
    }

    fn ordinal_of(&self, org: crate::model::OrgId) -> Option<u32> {
        self.log_and_ordinal(org).ok().map(|(_, ordinal)| ordinal)
    }
}
