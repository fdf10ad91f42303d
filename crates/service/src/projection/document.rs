//! What of an event can be found, and how: the one function behind the index and the scan.

use search::{Document, Field};
use serde_json::Value;

use crate::model::event::{Fields, Party};
use crate::model::feed::Sent;
use crate::model::{Event, EventState, Surface, time};

/// Deepest nesting of attributes whose texts are indexed.
const DEPTH_MAX: usize = 8;

/// Most texts taken out of one event's attributes and raw origin; what comes after them cannot be found by its words.
const TEXTS_MAX: usize = 500;

/// The document of an event. A pure function of the stored record, so that an index built anew gives the same answers.
///
/// Ids, addresses and times are keywords only; names, actions and messages are also words.
pub fn document(event: &Event) -> Document {
    let recorded_at_us = time::micros(event.recorded_at());
    let mut to = Collector { keywords: Vec::new(), text: Vec::new() };
    let mut occurred_at_us = recorded_at_us;
    to.tag("via", &event.recorded_by().via);
    if let Some(account) = event.recorded_by().account {
        to.tag("by", &account.to_string());
    }
    match event.fields() {
        Ok(fields) => {
            if let Some(at) = fields.occurred_at_time() {
                occurred_at_us = time::micros(at);
            }
            to.fields(&fields);
        }
        Err(_) => match event.state() {
            EventState::Erased => to.tag("state", "erased"),
            EventState::Sealed => {
                // Its time is in clear; its kind, and whatever else it says, is not.
                occurred_at_us = time::micros(event.occurred_at());
                to.tag("state", "sealed");
                for surface in Surface::ALL {
                    to.keyword(Field::Tag, &surface.tag(surface.sealed_type()));
                }
            }
            EventState::Present | EventState::Unreadable(_) => to.tag("state", "unreadable"),
        },
    }
    Document { number: event.number(), occurred_at_us, recorded_at_us, keywords: to.keywords, text: to.text }
}

struct Collector {
    keywords: Vec<(Field, String)>,
    text: Vec<String>,
}

impl Collector {
    fn keyword(&mut self, field: Field, value: &str) {
        self.keywords.push((field, value.to_owned()));
    }

    fn tag(&mut self, name: &str, value: &str) {
        self.keywords.push((Field::Tag, format!("{name}:{value}")));
    }

    /// A name: found whole, and by its words.
    fn name(&mut self, field: Field, name: &str) {
        self.keyword(field, name);
        self.text.push(name.to_owned());
    }

    fn fields(&mut self, fields: &Fields<'_>) {
        if let Some(id) = &fields.id {
            self.keyword(Field::Id, id);
        }
        self.keyword(Field::Kind, fields.kind.as_str());
        self.keyword(Field::Outcome, fields.outcome.as_str());
        self.name(Field::Action, &fields.action);
        self.party(Field::Actor, fields.actor.as_ref());
        self.party(Field::IndirectActor, fields.indirect_actor.as_ref());
        if let Some(source) = &fields.source {
            if let Some(address) = &source.address {
                self.keyword(Field::Source, address);
            }
            for name in [&source.host, &source.application].into_iter().flatten() {
                self.name(Field::Source, name);
            }
        }
        for target in &fields.targets {
            if let Some(id) = &target.id {
                self.keyword(Field::Target, id);
            }
            if let Some(name) = &target.name {
                self.name(Field::Target, name);
            }
            // `user/42`: a thing of a sort, where ids alone are not unique.
            if let (Some(kind), Some(of)) = (&target.kind, target.id.as_ref().or(target.name.as_ref())) {
                self.keyword(Field::Target, &format!("{kind}/{of}"));
            }
        }
        if let Some(session) = &fields.session {
            self.keyword(Field::Session, session);
        }
        if let Some(correlation) = &fields.correlation {
            self.keyword(Field::Correlation, correlation);
        }
        if let Some(message) = &fields.message {
            self.text.push(message.to_string());
        }
        for surface in Surface::ALL {
            if let Some(type_text) = surface.type_of(fields) {
                self.keyword(Field::Tag, &surface.tag(&type_text));
            }
        }
        for tag in Sent::of(fields).iter().flat_map(Sent::tags) {
            self.keyword(Field::Tag, &tag);
        }
        let mut left = TEXTS_MAX;
        if let Some(attributes) = fields.attributes {
            self.texts(attributes.get(), &mut left);
        }
        if let Some(origin) = &fields.origin {
            self.tag("origin", &origin.dialect);
            if let Some(raw) = origin.raw {
                self.texts(raw.get(), &mut left);
            }
        }
    }

    fn party(&mut self, field: Field, party: Option<&Party<'_>>) {
        let Some(party) = party else { return };
        if let Some(id) = &party.id {
            self.keyword(field, id);
        }
        if let Some(name) = &party.name {
            self.name(field, name);
        }
    }

    fn texts(&mut self, json: &str, left: &mut usize) {
        // It was checked when it came in; if it does not read now, it holds no words.
        if let Ok(value) = serde_json::from_str(json) {
            self.strings(value, DEPTH_MAX, left);
        }
    }

    fn strings(&mut self, value: Value, depth: usize, left: &mut usize) {
        if *left == 0 {
            return;
        }
        match value {
            Value::String(text) if !text.is_empty() => {
                *left -= 1;
                self.text.push(text);
            }
            Value::Array(items) if depth > 0 => items.into_iter().for_each(|item| self.strings(item, depth - 1, left)),
            Value::Object(members) if depth > 0 => {
                members.into_iter().for_each(|(_, member)| self.strings(member, depth - 1, left));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use search::Query;

    fn event(json: &str) -> Event {
        let mut body =
            crate::encoding::Prefix::new(&crate::model::RecordedBy { account: None, via: "native".into(), from: None })
                .body(json.as_bytes());
        body.shrink_to_fit();
        crate::encoding::event(log::Record {
            index: 4,
            number: 5,
            received_at_us: 1_700_000_000_000_000,
            kind: tlog::entry::Kind::Event,
            id: [0; 16],
            salt: [0; 16],
            body: body.into(),
            state: log::BodyState::Present,
        })
    }

    fn finds(event: &Event, query: &str) -> bool {
        search::parse::parse(query).unwrap().matches(&document(event))
    }

    #[test]
    fn every_member_is_found_where_it_belongs() {
        let event = event(
            r#"{"id":"E-1","occurred_at":"2023-01-01T00:00:00Z","kind":"authentication","action":"ssh login","outcome":"failure",
            "actor":{"id":"u1","name":"Root User"},"indirect_actor":"cron","source":{"address":"10.0.0.7","host":"web1"},
            "targets":[{"type":"host","id":"h-9","name":"db one"}],"session":"s1","correlation":"c1",
            "message":"Failed password","attributes":{"method":"password","deep":[{"why":"no such key"}]},
            "origin":{"dialect":"silo","type":"AUTH","raw":{"x":"raw words"}}}"#,
        );
        for query in [
            "id:e-1",
            "kind:authentication",
            "action:\"ssh login\"",
            "outcome:failure",
            "actor:u1",
            "actor:\"root user\"",
            "indirect_actor:cron",
            "source:10.0.0.7",
            "source:web1",
            "target:h-9",
            "target:\"db one\"",
            "target:host/h-9",
            "session:s1",
            "correlation:c1",
            "\"failed password\"",
            "\"no such key\"",
            "\"raw words\"",
            "root",
            "ssh",
            "tag:\"extraction:auth\"",
            "tag:\"user-event:login fail\"",
            "tag:\"via:native\"",
            "tag:\"origin:silo\"",
        ] {
            assert!(finds(&event, query), "{query}");
        }
        for query in ["actor:web1", "kind:page", "why", "tag:\"extraction:url\""] {
            assert!(!finds(&event, query), "{query}");
        }
        assert_eq!(document(&event).occurred_at_us, 1_672_531_200_000_000);
        assert!(Surface::Extraction.query("auth").matches(&document(&event)));
        assert!(Surface::UserEvents.query_all().matches(&document(&event)));
    }

    #[test]
    fn what_does_not_read_is_found_by_its_state_only() {
        let mut event = event("{}");
        event.state = EventState::Erased;
        assert!(finds(&event, "tag:\"state:erased\""));
        assert!(Query::All.matches(&document(&event)));
        assert!(!finds(&event, "kind:other"));
    }
}
