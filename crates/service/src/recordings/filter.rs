//! What sessions are found by: the document of a session, and the queries over it.
//!
//! Each member of [`SessionInfo`](super::SessionInfo) that has a value is a tag `path:value`, where the path is its dotted
//! one: [`is`]`("user.name", "bob")`. Beside them there are `id`, `client_id`, `user` (see
//! [`SessionInfo::user_name`](super::SessionInfo::user_name)), `active` (`true` or `false`) and `reason` (how it ended).
//! Upper and lower case do not count. In the native query language (`search::parse`) `actor:` finds users, `source:`
//! clients, `target:` servers, and bare words look into names, command and title.

use search::{Document, Field, NumberField, Query};

use super::SessionId;
use super::entry::Chunk;
use super::info::Session;
use crate::model::time;
use crate::numbers::replaced;
use crate::risk::SessionScore;

/// The document kind of a session.
const SESSION: &str = "session";
/// The document kind of a score.
const SCORE: &str = "score";
/// The document kind of a build of baselines.
const BUILD: &str = "build";
/// The document kind of a chunk.
const CHUNK: &str = "chunk";

/// Sessions with this value at a path.
pub fn is(path: &str, value: &str) -> Query {
    Query::Keyword { field: Field::Tag, value: format!("{path}:{value}") }
}

/// Sessions with a value at a path that begins so; an empty beginning asks for any value.
pub fn begins(path: &str, prefix: &str) -> Query {
    Query::KeywordPrefix { field: Field::Tag, prefix: format!("{path}:{prefix}") }
}

/// Sessions that are open, or that are over.
pub fn active(active: bool) -> Query {
    is("active", if active { "true" } else { "false" })
}

/// Sessions that started at this time or later, in microseconds since 1970.
pub fn started_from(us: i64) -> Query {
    Query::Range { field: NumberField::OccurredAt, min: Some(us), max: None }
}

/// Sessions that started at this time or before.
pub fn started_until(us: i64) -> Query {
    Query::Range { field: NumberField::OccurredAt, min: None, max: Some(us) }
}

/// Sessions that ended at this time or before; of those that are open, the ones that started by then.
pub fn ended_until(us: i64) -> Query {
    Query::Range { field: NumberField::RecordedAt, min: None, max: Some(us) }
}

/// Sessions, and among them those that `filter` asks for.
pub(crate) fn sessions(filter: &Query) -> Query {
    let kind = Query::Keyword { field: Field::Kind, value: SESSION.into() };
    match filter {
        Query::All => kind,
        filter => Query::And(vec![kind, filter.clone()]),
    }
}

/// The query for a log that was replaced: none of its sessions is active, also those that its entries tell no end of.
pub(crate) fn in_former_log(query: &Query) -> Query {
    replaced(query, &|leaf| match leaf {
        leaf if *leaf == active(true) => Some(Query::Not(Box::new(Query::All))),
        leaf if *leaf == active(false) => Some(Query::All),
        _ => None,
    })
}

/// The document of one session.
pub(crate) fn session(id: SessionId) -> Query {
    sessions(&is("id", &id.to_string()))
}

/// The chunks of a session whose first byte lies at most at `offset_max`.
pub(crate) fn chunks(id: SessionId, offset_max: Option<u64>) -> Query {
    let kind = Query::Keyword { field: Field::Kind, value: CHUNK.into() };
    let of = Query::Keyword { field: Field::Session, value: id.to_string() };
    match offset_max {
        None => Query::And(vec![of, kind]),
        Some(max) => {
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            Query::And(vec![of, kind, Query::Range { field: NumberField::OccurredAt, min: None, max: Some(max) }])
        }
    }
}

/// Scores: of this user, of sessions that began at `since_us` or later and were recorded until `until_us`.
pub(crate) fn scores(user: Option<&str>, since_us: Option<i64>, until_us: Option<i64>) -> Query {
    let mut parts = vec![Query::Keyword { field: Field::Kind, value: SCORE.into() }];
    parts.extend(user.map(|user| is("user", user)));
    parts.extend(since_us.map(started_from));
    parts.extend(until_us.map(ended_until));
    Query::And(parts)
}

/// The score of one session.
pub(crate) fn score(id: SessionId) -> Query {
    let kind = Query::Keyword { field: Field::Kind, value: SCORE.into() };
    Query::And(vec![Query::Keyword { field: Field::Session, value: id.to_string() }, kind])
}

/// Everything that the list of users is made of.
pub(crate) fn of_users() -> Query {
    let kinds = [SESSION, SCORE, BUILD];
    Query::Or(kinds.map(|kind| Query::Keyword { field: Field::Kind, value: kind.into() }).to_vec())
}

/// Builds of baselines between these times.
pub(crate) fn builds(from_us: i64, until_us: i64) -> Query {
    let kind = Query::Keyword { field: Field::Kind, value: BUILD.into() };
    Query::And(vec![kind, started_from(from_us), started_until(until_us)])
}

/// What of a score can be found. Its time of occurrence is the session's start, its time of recording when the session's
/// end was recorded: so the history behind a score is one search.
pub(crate) fn score_document(score: &SessionScore) -> Document {
    let mut keywords = vec![(Field::Kind, SCORE.into()), (Field::Session, score.session.to_string())];
    keywords.extend(score.said.user.as_ref().map(|user| (Field::Tag, format!("user:{user}"))));
    Document {
        number: score.number,
        occurred_at_us: score.started_us(),
        recorded_at_us: score.ended_us(),
        keywords,
        text: Vec::new(),
    }
}

/// What of a build can be found.
pub(crate) fn build_document(number: u64, at_us: i64) -> Document {
    Document {
        number,
        occurred_at_us: at_us,
        recorded_at_us: at_us,
        keywords: vec![(Field::Kind, BUILD.into())],
        text: Vec::new(),
    }
}

/// What of a session can be found. Its time of occurrence is its start, its time of recording its end; an open one ends
/// where it starts, so that only a later start keeps it from [`ended_until`].
pub(crate) fn document(session: &Session) -> Document {
    let started_us = time::micros(session.started_at);
    let info = &session.info;
    let mut keywords = vec![(Field::Kind, SESSION.to_owned())];
    let mut tag = |path: &str, value: &str| keywords.push((Field::Tag, format!("{path}:{value}")));
    tag("id", &session.id.to_string());
    tag("active", if session.is_active() { "true" } else { "false" });
    if let Some(id) = &session.client_id {
        tag("client_id", id);
    }
    if let Some(user) = info.user_name() {
        tag("user", user);
    }
    if let Some(ended) = &session.ended {
        tag("reason", ended.reason.as_str());
    }
    info.members().iter().for_each(|(path, value)| tag(path, value));

    let user = &info.user;
    let users = [&user.name, &user.gateway_name].into_iter().flatten().chain(&user.server_names);
    let mut text: Vec<String> = users.clone().cloned().collect();
    keywords.extend(users.map(|name| (Field::Actor, name.clone())));
    for (field, endpoint) in
        [(Field::Source, &info.client), (Field::Target, &info.server), (Field::Target, &info.target)]
    {
        let names = [&endpoint.address, &endpoint.name, &endpoint.id].into_iter().flatten();
        keywords.extend(names.map(|name| (field, name.clone())));
        text.extend(endpoint.name.clone());
    }
    text.extend([&info.command, &info.title].into_iter().flatten().cloned());
    Document {
        number: session.last_number(),
        occurred_at_us: started_us,
        recorded_at_us: session.ended.as_ref().map_or(started_us, |ended| time::micros(ended.at)),
        keywords,
        text,
    }
}

/// What of a chunk can be found. Its time of occurrence is its offset: so the chunk that holds a byte is one search.
pub(crate) fn chunk_document(chunk: &Chunk) -> Document {
    Document {
        number: chunk.number,
        occurred_at_us: i64::try_from(chunk.offset).unwrap_or(i64::MAX),
        recorded_at_us: time::micros(chunk.recorded_at),
        keywords: vec![(Field::Kind, CHUNK.into()), (Field::Session, chunk.session.to_string())],
        text: Vec::new(),
    }
}
