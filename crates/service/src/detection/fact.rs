//! An event as rules see it: a small JSON object whose members have fixed names.

use serde_json::{Map, Value, json};

use crate::model::{Event, Kind, Outcome};

/// The names that every rule may use, besides `attributes.` and the name of an attribute.
pub const FIELDS: [&str; 13] = [
    "action",
    "actor",
    "actor_id",
    "correlation",
    "host",
    "kind",
    "message",
    "outcome",
    "session",
    "source",
    "target",
    "targets",
    "via",
];

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its number.
    pub number: u64,
    /// When it happened, says the sender; in seconds.
    pub at_s: i64,
    /// What sort of event.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Option<String>,
    /// From where.
    pub source: Option<String>,
    /// All of it, as rules ask for it.
    pub value: Value,
}

impl Fact {
    /// What an event says; `None`: it cannot be read (it is encrypted, erased or damaged). `org` keeps organisations apart
    /// where rules count.
    pub fn of(org: u32, event: &Event) -> Option<Fact> {
        let fields = event.fields().ok()?;
        let label = |party: Option<&str>| party.map(ToOwned::to_owned);
        let actor = label(fields.actor.as_ref().and_then(|actor| actor.label()));
        let source = label(fields.source.as_ref().and_then(|source| source.label()));
        let mut value = Map::new();
        let mut put = |name: &str, text: Option<&str>| {
            if let Some(text) = text {
                value.insert(name.to_owned(), text.into());
            }
        };
        put("action", Some(&fields.action));
        put("kind", Some(fields.kind.as_str()));
        put("outcome", Some(fields.outcome.as_str()));
        put("actor", actor.as_deref());
        put("actor_id", fields.actor.as_ref().and_then(|actor| actor.id.as_deref()));
        put("source", source.as_deref());
        put("host", fields.source.as_ref().and_then(|source| source.host.as_deref()));
        put("session", fields.session.as_deref());
        put("correlation", fields.correlation.as_deref());
        put("message", fields.message.as_deref());
        put("via", Some(&event.recorded_by().via));
        let targets: Vec<&str> =
            fields.targets.iter().filter_map(|target| target.name.as_deref().or(target.id.as_deref())).collect();
        put("target", targets.first().copied());
        if !targets.is_empty() {
            value.insert("targets".to_owned(), json!(targets));
        }
        if let Some(attributes) = fields.attributes
            && let Ok(attributes) = serde_json::from_str::<Value>(attributes.get())
        {
            value.insert("attributes".to_owned(), attributes);
        }
        // What the engine names events by, and what it keeps organisations apart by.
        value.insert("id".to_owned(), event.number().to_string().into());
        value.insert(ORG.to_owned(), org.to_string().into());
        Some(Fact {
            number: event.number(),
            at_s: fields.occurred_at_time().unwrap_or_else(|| event.recorded_at()).as_second(),
            kind: fields.kind,
            outcome: fields.outcome,
            actor,
            source,
            value: Value::Object(value),
        })
    }
}

/// The member that says whose event it is. No rule may name it; every correlation is grouped by it.
pub const ORG: &str = "_org";

/// Whether a rule may use a field.
pub fn is_known(field: &str) -> bool {
    FIELDS.contains(&field) || field.strip_prefix("attributes.").is_some_and(|name| !name.is_empty())
}
