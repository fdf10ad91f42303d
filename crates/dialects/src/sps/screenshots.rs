//! Pictures of screens: drawn when they are asked for, kept for those who fetch them next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use service::recordings::{IndexState, Moment, SessionId, Summary};
use service::{AccountId, ErrorKind, Service};

use super::call::Call;
use super::error::{Failure, Wrong};
use super::message::{Meta, canonical, json_reply, list};
use super::sessions::find;

/// Most screens of one request.
const ASKED_MAX: usize = 100;
/// How long a request waits for its pictures; the rest are drawn behind its back.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pictures that are kept; one is some ten kilobytes.
const KEPT_MAX: usize = 2_000;

/// Pictures that were drawn, by whom they were drawn for (who may see a session may not for ever) and by the making of what
/// they were drawn from: what was erased since is in no picture that is given out.
#[derive(Default)]
pub struct Drawn {
    kept: Mutex<Kept>,
}

/// Account, session, number of the screen, and which making of its screens it was drawn from.
type Key = (AccountId, SessionId, u64, Made);

/// When a recording was indexed (microseconds since 1970), and of how many chunks.
type Made = (u64, u64);

fn made(summary: &Summary) -> Made {
    (summary.made_at_us, summary.chunks)
}

#[derive(Default)]
struct Kept {
    pictures: HashMap<Key, Arc<Vec<u8>>>,
    /// The order in which they came.
    order: VecDeque<Key>,
}

impl Drawn {
    fn find(&self, key: &Key) -> Option<Arc<Vec<u8>>> {
        self.kept.lock().pictures.get(key).cloned()
    }

    fn keep(&self, key: Key, picture: Vec<u8>) {
        let mut kept = self.kept.lock();
        if kept.pictures.insert(key, Arc::new(picture)).is_none() {
            kept.order.push_back(key);
        }
        while kept.order.len() > KEPT_MAX {
            let oldest = kept.order.pop_front();
            oldest.iter().for_each(|oldest| drop(kept.pictures.remove(oldest)));
        }
    }

    fn of(&self, account: AccountId, session: SessionId, made: Made) -> Vec<u64> {
        let kept = self.kept.lock();
        let mut numbers: Vec<u64> = kept
            .pictures
            .keys()
            .filter(|key| (key.0, key.1, key.3) == (account, session, made))
            .map(|key| key.2)
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

/// `POST .../_generate?record_ids=`.
pub async fn generate(service: &Service, call: &Call, drawn: &Arc<Drawn>) -> Result<Response, Failure> {
    let numbers = asked(call)?;
    let id = call.session_id()?;
    let summary = match service.session_summary(&call.who, call.org, id).await {
        Ok(summary) => summary,
        Err(error) if error.kind == ErrorKind::Conflict => {
            return Err(Failure::not_found("nothing is indexed of this session yet"));
        }
        Err(error) => return Err(call.refused(&error)),
    };
    let (screens, made) = (summary.screens, made(&summary));
    if let Some(beyond) = numbers.iter().find(|number| !(1..=screens).contains(*number)) {
        return Err(Failure::not_found(&format!("there is no record {beyond}; there are {screens}, from 1")));
    }
    let work = {
        let (service, call, drawn, numbers) = (service.clone(), call.clone(), Arc::clone(drawn), numbers.clone());
        tokio::spawn(async move {
            for number in numbers {
                let key = (call.who.account, id, number, made);
                if let Err(failure) = draw(&service, &call, &drawn, key).await {
                    // Whoever asked may not be waiting any more.
                    tracing::warn!(?failure, session = %id, number, "sps: a picture was not drawn");
                    return Err(failure);
                }
            }
            Ok(())
        })
    };
    let status = match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(done)) => {
            done?;
            StatusCode::OK
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "sps: pictures were not drawn");
            return Err(Failure::internal());
        }
        Err(_) => StatusCode::ACCEPTED,
    };
    let path = canonical(&call.path);
    let above = path.strip_suffix("/_generate").unwrap_or(&path).to_owned();
    let items: Vec<Value> = numbers
        .iter()
        .map(|number| item(&above, *number, drawn.find(&(call.who.account, id, *number, made)).is_some()))
        .collect();
    Ok(json_reply(status, &json!({"items": items, "meta": call.meta().into_value()})))
}

fn item(session: &str, number: u64, ready: bool) -> Value {
    let href = format!("{session}/screenshots/{number}");
    json!({"record_id": number, "status": if ready { "ready" } else { "pending" }, "meta": {"href": href}})
}

async fn draw(service: &Service, call: &Call, drawn: &Drawn, key: Key) -> Result<(), Failure> {
    if drawn.find(&key).is_some() {
        return Ok(());
    }
    let picture = service.session_picture(&call.who, call.org, key.1, Moment::Screen(key.2)).await;
    picture.map_err(|error| call.refused(&error))?.into_iter().for_each(|picture| drawn.keep(key, picture.png));
    Ok(())
}

/// The numbers asked for, each once, in the order of asking.
fn asked(call: &Call) -> Result<Vec<u64>, Failure> {
    let parameters = call.parameters()?;
    let text = parameters.text("record_ids").unwrap_or_default();
    let bad = |kind, why: String| Failure::parameter(kind, "record_ids", text, why);
    if text.is_empty() {
        return Err(bad(
            Wrong::QueryValue,
            "record_ids is missing; name one record or several, such as 158,160".to_owned(),
        ));
    }
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let digits = part.strip_prefix('-').unwrap_or(part);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad(Wrong::NotANumber, format!("record_ids holds {part:?}, which is not a number")));
        }
        if part.starts_with('-') {
            return Err(bad(Wrong::Negative, "a record id is not negative".to_owned()));
        }
        let number = digits.parse().unwrap_or(u64::MAX);
        if !numbers.contains(&number) {
            numbers.push(number);
        }
        if numbers.len() > ASKED_MAX {
            return Err(bad(Wrong::QueryValue, format!("record_ids holds more than {ASKED_MAX} numbers")));
        }
    }
    Ok(numbers)
}

/// `GET .../screenshots`.
pub fn list_of(service: &Service, call: &Call, drawn: &Drawn) -> Result<Response, Failure> {
    call.parameters()?;
    let session = find(service, call)?;
    let path = canonical(&call.path);
    let above = path.strip_suffix("/screenshots").unwrap_or(&path).to_owned();
    let numbers = match service.session_index(&session).map_err(|error| call.refused(&error))? {
        IndexState::Indexed(summary) => drawn.of(call.who.account, session.id, made(&summary)),
        IndexState::Recording | IndexState::Pending => Vec::new(),
    };
    let meta: Meta = call.meta();
    Ok(list(numbers.into_iter().map(|number| item(&above, number, true)).collect(), meta))
}

/// `GET .../screenshots/<n>`: only what was drawn.
pub async fn one(service: &Service, call: &Call, drawn: &Drawn) -> Result<Response, Failure> {
    call.parameters()?;
    let id = call.session_id()?;
    let missing = || Failure::not_found("there is no such picture; draw it with _generate first");
    let number: u64 = call.segment(5)?.parse().map_err(|_| missing())?;
    let summary = match service.session_summary(&call.who, call.org, id).await {
        Err(error) if error.kind == ErrorKind::Conflict => return Err(missing()),
        other => other.map_err(|error| call.refused(&error))?,
    };
    let picture = drawn.find(&(call.who.account, id, number, made(&summary))).ok_or_else(missing)?;
    let shown = service.show_picture_again(&call.who, call.org, id, number).await;
    shown.map_err(|error| call.refused(&error))?;
    let headers = [(header::CONTENT_TYPE, "image/png".to_owned()), (header::CONTENT_LENGTH, picture.len().to_string())];
    Ok((headers, picture.to_vec()).into_response())
}
