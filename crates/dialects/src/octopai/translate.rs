//! Our events in their rows.

use service::{Event, EventState, Surface};

use super::time;
use super::wire::Row;
use crate::View;

/// A bare JSON array of rows, in the order of `events`.
///
/// Every event handed in is one that this surface shows. One whose content cannot be read any more (erased, or damaged
/// since it was indexed) keeps its row, with the time it was received; an encrypted one is a row that says so: a page must not get shorter in silence.
pub fn rows(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + events.len() * 128);
    out.push(b'[');
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        row(event, &mut out);
    }
    out.push(b']');
    out
}

/// One event as a row, if this surface shows it.
pub fn view(event: &Event) -> View {
    let is_shown = event.fields().map_or(true, |fields| Surface::UserEvents.type_of(&fields).is_some());
    if !is_shown {
        return View::Hidden("the list of user events holds logins and pages only");
    }
    let mut out = Vec::new();
    row(event, &mut out);
    View::Shown { json: String::from_utf8(out).expect("serde_json writes UTF-8"), note: None }
}

fn row(event: &Event, out: &mut Vec<u8>) {
    let fields = event.fields().ok();
    let kind = fields.as_ref().and_then(|fields| Surface::UserEvents.type_of(fields));
    let unread = match event.state() {
        EventState::Sealed => Surface::UserEvents.sealed_type(),
        EventState::Present | EventState::Erased | EventState::Unreadable(_) => "UNREADABLE",
    };
    let actor = fields.as_ref().and_then(|fields| fields.actor.as_ref()?.label());
    let source = fields.as_ref().and_then(|fields| fields.source.as_ref()?.label());
    let row = Row {
        kind: kind.as_deref().unwrap_or(unread),
        user_name: actor,
        source: source.unwrap_or_default(),
        time: &time::text(event.occurred_at()),
    };
    serde_json::to_writer(out, &row).expect("writing strings to memory cannot fail");
}
