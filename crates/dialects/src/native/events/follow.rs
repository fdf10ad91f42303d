//! Events as they come, as server-sent events: `id` is the number, `data` the event as a page shows it, on one line.

use std::convert::Infallible;
use std::io::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use http::header;
use service::{Follow, Verb};
use tokio::sync::watch;

use super::super::call::InOrg;
use super::super::parameters::{Known, Parameters};
use super::super::problem::{Document, Problem, Result};
use super::filter::{self, FIELDS};
use super::render;
use crate::Context;

const KNOWN: Known = Known { once: &["q", "from", "to", "after"], repeated: FIELDS };

/// Follows the events of an organisation, beginning after a number, without gaps. Filters as for a page.
///
/// `Last-Event-ID` counts for more than `after`, so that a client that reconnects goes on where it was.
#[utoipa::path(get, path = "/v1/orgs/{org}/events/follow", tag = "events", params(
    ("org" = String, Path, description = "id, name or escaped path"),
    ("after" = Option<u64>, Query, description = "begin after this `seq`; default 0, the beginning"),
    ("q" = Option<String>, Query, description = "a query, as for a page; the field parameters work too"),
    ("Last-Event-ID" = Option<u64>, Header, description = "go on after this `seq`"),
), responses(
    (status = 200, description = "server-sent events; each `data` is one event", content_type = "text/event-stream", body = render::Recorded),
    (status = 400, body = Document),
))]
pub async fn follow(
    State(context): State<Context>,
    call: InOrg,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response> {
    call.must(&context, Verb::ReadEvents)?;
    let parameters = Parameters::read(query.as_deref(), &KNOWN)?;
    let after = match request.headers().get("last-event-id") {
        Some(value) => {
            let number = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
            number.ok_or_else(|| Problem::invalid("the header Last-Event-ID is not the `id` of an event"))?
        }
        None => parameters.number("after")?.unwrap_or(0),
    };
    let follow = context.service.follow(&call.who, call.org, filter::query(&parameters)?, after)?;
    let stream = stream(follow, context.settings.heartbeat, context.settings.closing.clone());
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies that collect answers before they pass them on would make a live stream a dead one.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

// Ends when the server closes, and after an error, which it tells first: the client reconnects and goes on from its
// last id. `Follow::next` may be dropped while it waits, so neither the heartbeat nor the end loses an event.
fn stream(
    follow: Follow,
    heartbeat: Duration,
    closing: watch::Receiver<bool>,
) -> impl Stream<Item = std::result::Result<Bytes, Infallible>> {
    futures::stream::unfold(Some((follow, closing)), move |state| async move {
        let (mut follow, mut closing) = state?;
        let next = tokio::select! {
            biased;
            () = closed(&mut closing) => return None,
            next = tokio::time::timeout(heartbeat, follow.next()) => next,
        };
        match next {
            Err(_) => Some((Ok(Bytes::from_static(b": still here\n\n")), Some((follow, closing)))),
            Ok(Ok(events)) => {
                let mut out = Vec::new();
                for event in &events {
                    write!(out, "id: {}\ndata: ", event.number()).expect("writing to memory cannot fail");
                    let from = out.len();
                    render::recorded(event, &mut out);
                    on_one_line(&mut out[from..]);
                    out.extend_from_slice(b"\n\n");
                }
                Some((Ok(out.into()), Some((follow, closing))))
            }
            Ok(Err(error)) => {
                tracing::debug!(?error, "a follower ends");
                let text = serde_json::json!({ "kind": error.kind.as_str(), "detail": error.message });
                Some((Ok(format!("event: error\ndata: {text}\n\n").into()), None))
            }
        }
    })
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        // Whoever could say so is gone and never will.
        std::future::pending::<()>().await;
    }
}

// A line end would end the field. JSON has them between its tokens only, where a blank means the same.
fn on_one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
