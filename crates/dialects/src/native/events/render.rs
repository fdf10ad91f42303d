//! An event as JSON, written straight into bytes: the kept text goes in as it is, nothing is parsed to be shown.

use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;
use service::{Event, EventState, Page, Verdict};
use utoipa::ToSchema;

use super::super::wire::{Head, time};

/// One event of the trail.
#[derive(Serialize, ToSchema)]
pub struct Recorded {
    /// The number: dense per organisation, from 1.
    pub seq: u64,
    /// When it was received.
    pub recorded_at: String,
    /// Who handed it in.
    pub recorded_by: RecordedBy,
    /// The event exactly as it was accepted; null when it cannot be read, `state` says why.
    #[schema(value_type = Object)]
    pub event: Option<serde_json::Value>,
    /// Absent when all is well and nobody asked. With `verify=true`: `verified` or `tainted`. Else `erased`, `sealed`
    /// (encrypted to a key of the organisation) or `unreadable`.
    pub state: Option<String>,
    /// Why it is tainted or unreadable.
    pub reason: Option<String>,
}

/// Who handed an event in.
#[derive(Serialize, ToSchema)]
pub struct RecordedBy {
    /// The account; absent for what nobody was logged in for.
    pub account: Option<String>,
    /// The API it came through; `counterfoil` for our own events.
    pub via: String,
    /// The address it came from.
    pub from: Option<String>,
}

/// One page of events.
#[derive(Serialize, ToSchema)]
pub struct EventPage {
    /// The events, in the order asked for.
    pub events: Vec<Recorded>,
    /// Pass it as `after` for the next page; null: no more at this moment.
    pub next: Option<u64>,
    /// The head when the page was read: every event up to its size was looked at.
    pub head: Head,
    /// With `verify=true`: whether at least one event of the page is not what was committed.
    pub tainted: Option<bool>,
    /// With `verify=true`: says, where it is so, that nobody outside is known to remember this log.
    pub outside: Option<&'static str>,
    /// Says, where it is so, that content of this organisation is encrypted and no filter on content could see it.
    pub notice: Option<&'static str>,
}

/// What a search over encrypted events says of itself.
const SEALED: &str =
    "events of this organisation are encrypted to its key; a filter on their content finds none of them";

/// The page as an [`EventPage`].
pub fn page(page: &Page) -> Vec<u8> {
    let events_bytes: usize = page.events.iter().map(|event| 200 + event.json().map_or(0, <[u8]>::len)).sum();
    let mut out = Vec::with_capacity(events_bytes + 400);
    out.extend_from_slice(b"{\"events\":[");
    let mut renderer = Renderer::default();
    for (at, event) in page.events.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        renderer.recorded(event, &mut out);
    }
    out.extend_from_slice(b"],\"next\":");
    member(&mut out, &page.next);
    out.extend_from_slice(b",\"head\":");
    member(&mut out, &Head::from(&page.head));
    if let Some(tainted) = page.tainted {
        out.extend_from_slice(b",\"tainted\":");
        member(&mut out, &tainted);
    }
    if let Some(outside) = page.outside {
        out.extend_from_slice(b",\"outside\":");
        member(&mut out, &outside);
    }
    if page.sealed {
        out.extend_from_slice(b",\"notice\":");
        member(&mut out, &SEALED);
    }
    out.push(b'}');
    out
}

/// One event as a [`Recorded`], members in its order.
pub fn recorded(event: &Event, out: &mut Vec<u8>) {
    Renderer::default().recorded(event, out);
}

/// Writes many events: what neighbours share, who handed them in and when they were received, is rendered once for all of
/// them.
#[derive(Default)]
struct Renderer {
    /// The last time of receipt and its text.
    at: Option<(i64, String)>,
    /// Who handed in the last event, and the members of that object.
    by: Option<(Arc<service::RecordedBy>, Vec<u8>)>,
}

impl Renderer {
    fn recorded(&mut self, event: &Event, out: &mut Vec<u8>) {
        write!(out, "{{\"seq\":{},\"recorded_at\":\"", event.number()).expect(MEMORY);
        let recorded_at = event.recorded_at();
        let at_us = recorded_at.as_microsecond();
        let at = match self.at.take() {
            Some(last) if last.0 == at_us => self.at.insert(last),
            _ => self.at.insert((at_us, time(recorded_at))),
        };
        out.extend_from_slice(at.1.as_bytes());
        out.extend_from_slice(b"\",\"recorded_by\":{");
        let by = match self.by.take() {
            Some(last) if Arc::ptr_eq(&last.0, event.recorded_by()) => self.by.insert(last),
            _ => self.by.insert((Arc::clone(event.recorded_by()), members_of(event.recorded_by()))),
        };
        out.extend_from_slice(&by.1);
        out.extend_from_slice(b"},\"event\":");
        out.extend_from_slice(event.json().unwrap_or(b"null"));
        let (state, reason) = standing(event);
        if let Some(state) = state {
            write!(out, ",\"state\":\"{state}\"").expect(MEMORY);
        }
        if let Some(reason) = reason {
            out.extend_from_slice(b",\"reason\":");
            member(out, reason);
        }
        out.push(b'}');
    }
}

fn members_of(by: &service::RecordedBy) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(account) = by.account {
        write!(out, "\"account\":\"{account}\",").expect(MEMORY);
    }
    out.extend_from_slice(b"\"via\":");
    member(&mut out, &by.via);
    if let Some(from) = &by.from {
        out.extend_from_slice(b",\"from\":");
        member(&mut out, from);
    }
    out
}

// Damage comes before everything: an event that is both erased and not what was committed is tainted.
fn standing(event: &Event) -> (Option<&'static str>, Option<&String>) {
    match (&event.verdict, event.state()) {
        (Some(Verdict::Tainted(why)), _) => (Some("tainted"), Some(why)),
        (_, EventState::Erased) => (Some("erased"), None),
        (_, EventState::Sealed) => (Some("sealed"), None),
        (_, EventState::Unreadable(why)) => (Some("unreadable"), Some(why)),
        (Some(Verdict::Sound), EventState::Present) => (Some("verified"), None),
        (None, EventState::Present) => (None, None),
    }
}

const MEMORY: &str = "writing to memory cannot fail";

fn member<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect(MEMORY);
}
