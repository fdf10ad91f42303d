//! Pictures of screens: drawn when they are asked for, kept for those who fetch them next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use service::recordings::{IndexState, Moment, SessionId};
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

/// Pictures that were drawn, by whom they were drawn for: who may see a session may not for ever; and by the making of what
/// they were drawn from: of a recording of which a part was erased they are gone.
#[derive(Default)]
pub struct Drawn {
    kept: Mutex<Kept>,
}

type Key = (Drawer, u64);

/// For whom, of which session, and of which making of its screens.
type Drawer = (AccountId, SessionId, Made);

/// When the screens of a session were made ready, in microseconds, and of how many chunks.
type Made = (u64, u64);

/// The making that is looked at now; nothing was drawn of a session that is not indexed.
fn made(service: &Service, call: &Call) -> Result<Option<(SessionId, Made)>, Failure> {
    let session = find(service, call)?;
    let state = service.session_index(&session).map_err(|error| call.refused(&error))?;
    Ok(match state {
        IndexState::Indexed(summary) => Some((session.id, (summary.made_at_us, summary.chunks))),
        IndexState::Recording | IndexState::Pending => None,
    })
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

    fn of(&self, drawer: &Drawer) -> Vec<u64> {
        let kept = self.kept.lock();
        let mut numbers: Vec<u64> = kept.pictures.keys().filter(|key| key.0 == *drawer).map(|key| key.1).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// `POST .../_generate?record_ids=`.
pub async fn generate(service: &Service, call: &Call, drawn: &Arc<Drawn>) -> Result<Response, Failure> {
    let numbers = asked(call)?;
    let id = call.session_id()?;
    let screens = match service.session_screens(&call.who, call.org, id).await {
        Ok(screens) => screens,
        Err(error) if error.kind == ErrorKind::Conflict => {
            return Err(Failure::not_found("nothing is indexed of this session yet"));
        }
        Err(error) => return Err(call.refused(&error)),
    };
    if let Some(beyond) = numbers.iter().find(|number| !(1..=screens).contains(*number)) {
        return Err(Failure::not_found(&format!("there is no record {beyond}; there are {screens}, from 1")));
    }
    let drawer = {
        let (service, asking) = (service.clone(), call.clone());
        let made = super::blocking(move || made(&service, &asking)).await?;
        let (_, made) = made.ok_or_else(|| Failure::not_found("nothing is indexed of this session yet"))?;
        (call.who.account, id, made)
    };
    let work = {
        let (service, call, drawn, numbers) = (service.clone(), call.clone(), Arc::clone(drawn), numbers.clone());
        tokio::spawn(async move {
            for number in numbers {
                draw(&service, &call, &drawn, (drawer, number)).await?;
            }
            Ok::<(), Failure>(())
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
    let items: Vec<Value> =
        numbers.iter().map(|number| item(&above, *number, drawn.find(&(drawer, *number)).is_some())).collect();
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
    let ((_, id, _), number) = key;
    let picture = service.session_picture(&call.who, call.org, id, Moment::Screen(number)).await;
    if let Some(picture) = picture.map_err(|error| call.refused(&error))? {
        drawn.keep(key, picture.png);
    }
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
    let made = made(service, call)?;
    let path = canonical(&call.path);
    let above = path.strip_suffix("/screenshots").unwrap_or(&path).to_owned();
    let numbers = made.map_or_else(Vec::new, |(id, made)| drawn.of(&(call.who.account, id, made)));
    let meta: Meta = call.meta();
    Ok(list(numbers.into_iter().map(|number| item(&above, number, true)).collect(), meta))
}

/// `GET .../screenshots/<n>`: only what was drawn.
pub async fn one(service: &Service, call: &Call, drawn: &Drawn) -> Result<Response, Failure> {
    call.parameters()?;
    let made = {
        let (service, asking) = (service.clone(), call.clone());
        super::blocking(move || made(&service, &asking)).await?
    };
    let missing = || Failure::not_found("there is no such picture; draw it with _generate first");
    let number: u64 = call.segment(5)?.parse().map_err(|_| missing())?;
    let (id, made) = made.ok_or_else(missing)?;
    let picture = drawn.find(&((call.who.account, id, made), number)).ok_or_else(missing)?;
    let headers = [(header::CONTENT_TYPE, "image/png".to_owned()), (header::CONTENT_LENGTH, picture.len().to_string())];
    Ok((headers, picture.to_vec()).into_response())
}
