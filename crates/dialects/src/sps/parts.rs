//! The parts of a session: channels, commands, alerts, the state of its index, who fetched the recording, the recording.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde_json::{Value, json};
use service::recordings::Session;
use service::{Service, Verb};

use super::call::Call;
use super::error::Failure;
use super::message::{self, canonical, list};
use super::sessions::find;

/// Items of one page of a part, and the most.
const LIMIT: u64 = 500;

/// A list of flat objects with its links.
pub fn page(call: &Call, items: Vec<Value>) -> Result<Response, Failure> {
    let parameters = call.parameters()?;
    let limit = parameters.number("limit", 1)?.unwrap_or(LIMIT).min(LIMIT);
    let offset = parameters.number("offset", 0)?.unwrap_or(0);
    let count = items.len() as u64;
    let path = canonical(&call.path);
    let link = |offset: u64| parameters.link(&path, limit, offset);
    let last = count.saturating_sub(1) / limit * limit;
    let meta = call.meta().with("limit", limit).with("offset", offset).with("match_count", count);
    let meta = meta.with("first", (count > 0).then(|| link(0))).with("last", (count > 0).then(|| link(last)));
    let meta = meta.with("next", (offset.saturating_add(limit) < count).then(|| link(offset + limit)));
    let meta = meta.with("previous", (offset > 0 && count > 0).then(|| link(offset.saturating_sub(limit))));
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    Ok(list(items.into_iter().skip(skip).take(limit as usize).collect(), meta))
}

/// `GET .../channels`: a recording of ours is one channel.
pub fn channels(service: &Service, call: &Call) -> Result<Response, Failure> {
    let session = find(service, call)?;
    page(call, vec![channel(&session, service)])
}

fn channel(session: &Session, service: &Service) -> Value {
    let is_exec = session.info.command.is_some();
    let mut channel = json!({
        "id": "0",
        "type": if is_exec { "session exec" } else { "session shell" },
        "verdict": session.info.verdict.as_deref().unwrap_or("ACCEPT"),
        "start_time": message::time(session.started_at),
        "end_time": session.ended.as_ref().map(|ended| message::time(ended.at)),
        "duration": session.duration_us(service.now()) / 1_000_000,
        "four_eyes_authorizer": null,
        "four_eyes_description": null,
    });
    if let Some(command) = &session.info.command {
        channel["command"] = json!(command);
    }
    channel
}

/// `GET .../alerts`: rules that act on content while it is recorded are not ours; so there are none.
pub fn alerts(service: &Service, call: &Call) -> Result<Response, Failure> {
    find(service, call)?;
    page(call, Vec::new())
}

/// `GET .../trail_downloads`: who fetched the recording, and from where.
pub fn trail_downloads(service: &Service, call: &Call) -> Result<Response, Failure> {
    let session = find(service, call)?;
    service.check(&call.who, Verb::ReadEvents, call.org).map_err(|error| call.refused(&error))?;
    let action = "session.downloaded";
    let accesses = service.session_accesses(&call.who, call.org, session.id, action, 10_000);
    let item = |access: &service::recordings::AccessInfo| {
        json!({
            "from_api": true,
            "ip_address": access.address,
            "time": message::time(access.at),
            "username": access.name,
        })
    };
    page(call, accesses.map_err(|error| call.refused(&error))?.iter().map(item).collect())
}

/// `GET .../audit_trail`: the recording as it came in.
pub async fn audit_trail(service: &Service, call: &Call) -> Result<Response, Failure> {
    call.parameters()?;
    let id = call.session_id()?;
    let session = {
        let (service, call) = (service.clone(), call.clone());
        super::blocking(move || find(&service, &call)).await?
    };
    if session.bytes == 0 {
        return Err(Failure::not_found("nothing was recorded of this session"));
    }
    let reader = service.read_recording(&call.who, call.org, id, None).await.map_err(|error| call.refused(&error))?;
    let stream = futures::stream::try_unfold(reader, |mut reader| async move {
        match reader.next().await {
            Ok(Some(bytes)) => Ok(Some((bytes, reader))),
            Ok(None) => Ok(None),
            // The reply has begun; cutting it off is all that can be said, and the length tells it.
            Err(error) => {
                tracing::error!(?error, "sps: a recording ends before its length");
                Err(std::io::Error::other(error.to_string()))
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, session.bytes.to_string()),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
