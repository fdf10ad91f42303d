//! Lists of sessions, single ones, and numbers about them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use axum::response::{IntoResponse as _, Response};
use http::header;
use jiff::{ToSpan as _, Unit};
use serde_json::{Value, json};
use service::recordings::{SESSIONS_PAGE_MAX, Session, SessionCursor, SessionQuery, filter as catalogue};
use service::search::Query;
use service::{Service, Timestamp};

use super::body::{self, Known};
use super::call::Call;
use super::error::{Failure, Wrong};
use super::filter::Filter;
use super::message::{self, canonical, list};
use super::parameters::{Parameters, Sort};
use super::snapshots::Snapshots;

/// Most sessions of one page; more is cut to it, as the vendor says.
const LIMIT_MAX: u64 = 500;
/// Only so many matches can be paged, and are counted in a list.
const MATCHES_MAX: u64 = 10_000;
/// Sessions that are put into another order than by their start.
const SORTED_MAX: usize = 100_000;
/// Sessions that numbers are made of.
const COUNTED_MAX: usize = 1_000_000;
/// Bars of a histogram.
const BINS_MAX: usize = 10_000;
/// Names that an order knows besides every name of a body: all there are.
const SORTABLE: &[&str] = &[
    "start_time",
    "end_time",
    "creation_time",
    "duration",
    "protocol",
    "verdict",
    "active",
    "node_id",
    "user.id",
    "user.name",
    "user.gateway_username",
    "user.server_username",
    "client.ip",
    "client.name",
    "client.port",
    "server.ip",
    "server.name",
    "server.port",
    "server.id",
    "server.address",
    "recording.connection_policy",
    "recording.channel_policy",
    "recording.auth_method",
    "recording.target.ip",
    "recording.target.name",
    "recording.index_status",
    "analytics.score.aggregated",
];

/// What a list is asked for.
struct Asked {
    filter: Filter,
    /// What the catalogue decides of it.
    narrowed: Query,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    /// Of a snapshot: entries after it do not count.
    head: Option<u64>,
    now: Timestamp,
}

impl Asked {
    fn read(parameters: &Parameters, now: Timestamp) -> Result<Asked, Failure> {
        let mut filter = match parameters.filled("q") {
            Some(text) => Filter::read(text)?,
            None => Filter::All,
        };
        filter.contents().into_iter().try_for_each(|content| super::content::check(content, "q"))?;
        if let Some(content) = parameters.filled("content") {
            super::content::check(content, "content")?;
            let content = Filter::Content(format!("({content})"));
            use super::filter::Occurs::Required;
            filter = match filter {
                Filter::All => content,
                other => Filter::Clauses(vec![(Required, other), (Required, content)]),
            };
        }
        let (start, end) = (parameters.time("start")?, parameters.time("end")?);
        let mut parts = vec![filter.narrowed()];
        parts.extend(start.map(|at| catalogue::started_from(at.as_microsecond())));
        parts.extend(end.map(|at| catalogue::ended_until(at.as_microsecond())));
        parts.retain(|part| *part != Query::All);
        let narrowed = match parts.len() {
            0 => Query::All,
            1 => parts.remove(0),
            _ => Query::And(parts),
        };
        Ok(Asked { filter, narrowed, start, end, head: None, now })
    }

    /// The session as it was in the snapshot, and its body, if it is asked for.
    fn keeps(&self, service: &Service, call: &Call, mut session: Session) -> Result<Option<(Session, Value)>, Failure> {
        if let Some(head) = self.head {
            if session.seq() > head {
                return Ok(None);
            }
            if session.ended_seq().is_some_and(|ended| ended > head) {
                session.ended = None;
            }
        }
        if self.start.is_some_and(|start| session.started_at < start) {
            return Ok(None);
        }
        if self.end.is_some_and(|end| session.ended.as_ref().map_or(session.started_at, |ended| ended.at) > end) {
            return Ok(None);
        }
        let known = super::content::known(service, call, &session);
        let whole = body::body(&session, &known, &node_id(service), self.now);
        let mut failed = None;
        let mut content = |query: &str| {
            let has = super::content::has(service, call, &session, query);
            has.unwrap_or_else(|failure| {
                failed = Some(failure);
                false
            })
        };
        let matches = self.filter.matches(&whole, &mut content);
        match failed {
            Some(failure) => Err(failure),
            None => Ok(matches.then_some((session, whole))),
        }
    }

    /// Every match, newest start first, until `each` says that it has enough.
    fn each(
        &self,
        service: &Service,
        call: &Call,
        after: Option<SessionCursor>,
        mut each: impl FnMut(Session, Value) -> bool,
    ) -> Result<(), Failure> {
        let mut after = after;
        loop {
            let query = SessionQuery { filter: self.narrowed.clone(), after, limit: SESSIONS_PAGE_MAX };
            let page = service.sessions(&call.who, call.org, &query, &|_| true).map_err(|e| call.refused(&e))?;
            for session in page.sessions {
                if let Some((session, whole)) = self.keeps(service, call, session)?
                    && !each(session, whole)
                {
                    return Ok(());
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Every match, to make numbers of; refused rather than cut when there are too many.
    fn count(&self, service: &Service, call: &Call, mut each: impl FnMut(&Value)) -> Result<(), Failure> {
        let mut looked_at = 0;
        self.each(service, call, None, |_, whole| {
            looked_at += 1;
            each(&whole);
            looked_at <= COUNTED_MAX
        })?;
        if looked_at > COUNTED_MAX {
            let message = format!("more than {COUNTED_MAX} sessions match; narrow the search with q, start or end");
            return Err(Failure::parameter(Wrong::QueryValue, "q", "", message));
        }
        Ok(())
    }

    /// At most `max` matches in this order.
    fn sorted(
        &self,
        service: &Service,
        call: &Call,
        order: &[Sort],
        max: usize,
    ) -> Result<Vec<(Session, Value)>, Failure> {
        let mut found = Vec::new();
        let by_start = order.len() == 1 && order[0].field == "start_time" && order[0].descending;
        let most = if by_start { max } else { SORTED_MAX + 1 };
        self.each(service, call, None, |session, whole| {
            found.push((session, whole));
            found.len() < most
        })?;
        if !by_start {
            if found.len() > SORTED_MAX {
                let text: Vec<String> = order.iter().map(|sort| sort.field.clone()).collect();
                let message =
                    format!("more than {SORTED_MAX} sessions match; narrow the search, or sort by -start_time");
                return Err(Failure::parameter(Wrong::QueryValue, "sort", &text.join(","), message));
            }
            found.sort_by(|(_, a), (_, b)| compare(order, a, b));
        }
        Ok(found)
    }
}

/// The id of this node, as every session of it says.
pub fn node_id(service: &Service) -> String {
    service.instance().id.to_string()
}

/// A missing value comes last in both directions; numbers as numbers, all else as text (times have one form).
fn compare(order: &[Sort], a: &Value, b: &Value) -> Ordering {
    let of = |sort: &Sort| {
        let (a, b) = (body::at(a, &sort.field), body::at(b, &sort.field));
        let is_there = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
        match (is_there(a), is_there(b)) {
            (false, false) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (true, true) => {
                let (a, b) = (a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null));
                let plain = match (a.as_f64(), b.as_f64()) {
                    (Some(a), Some(b)) => a.total_cmp(&b),
                    _ => text(a).cmp(&text(b)),
                };
                if sort.descending { plain.reverse() } else { plain }
            }
        }
    };
    order.iter().map(of).find(|ordering| *ordering != Ordering::Equal).unwrap_or(Ordering::Equal)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// `GET /api/audit/sessions`.
pub fn all(service: &Service, call: &Call, snapshots: &Snapshots) -> Result<Response, Failure> {
    let parameters = call.parameters()?;
    let limit = parameters.number("limit", 1)?.unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
    let order = parameters.sort(|field| SORTABLE.contains(&field))?;
    let order = order.unwrap_or_else(|| vec![Sort { field: "start_time".to_owned(), descending: true }]);
    // Above what can be paged it is ignored, says the vendor.
    let offset = parameters.number("offset", 0)?.filter(|offset| *offset <= MATCHES_MAX).unwrap_or(0);
    let mut asked = Asked::read(&parameters, service.now())?;
    let fields: Vec<String> = parameters
        .filled("fields")
        .map_or_else(Vec::new, |text| text.split(',').map(|f| f.trim().to_owned()).collect());
    let is_csv = match parameters.text("format").unwrap_or("json") {
        "json" => false,
        "csv" => true,
        other => return Err(Failure::parameter(Wrong::QueryValue, "format", other, "format is json or csv")),
    };
    if let Some(id) = parameters.filled("snapshot") {
        let (head, taken) = snapshots.use_one(&call.who, id, service.now())?;
        (asked.head, asked.now) = (Some(head), taken);
        return in_snapshot(service, call, &parameters, &asked, &order, (&fields, limit as usize));
    }
    let found = asked.sorted(service, call, &order, MATCHES_MAX as usize)?;
    let count = (found.len() as u64).min(MATCHES_MAX);
    let page: Vec<&(Session, Value)> =
        found.iter().take(MATCHES_MAX as usize).skip(offset as usize).take(limit as usize).collect();
    if is_csv {
        return Ok(csv(&page, &fields));
    }
    let items = page.iter().map(|(session, whole)| item(session, whole, &fields)).collect();
    let path = canonical(&call.path);
    let link = |offset: u64| parameters.link(&path, limit, offset);
    let last = count.saturating_sub(1) / limit * limit;
    let meta =
        call.meta().with("fields", fields).with("limit", limit).with("offset", offset).with("match_count", count);
    let meta = meta.with("first", (count > 0).then(|| link(0))).with("last", (count > 0).then(|| link(last)));
    let meta = meta.with("next", (offset + limit < count).then(|| link(offset + limit)));
    Ok(list(items, meta.with("previous", (offset > 0 && count > 0).then(|| link(offset.saturating_sub(limit))))))
}

/// What a node answers that lists nothing.
pub fn none(call: &Call) -> Result<Response, Failure> {
    call.parameters()?;
    let meta = call
        .meta()
        .with("fields", Vec::<String>::new())
        .with("limit", LIMIT_MAX)
        .with("offset", 0)
        .with("match_count", 0);
    let meta = meta.with("first", Value::Null).with("last", Value::Null).with("next", Value::Null);
    Ok(list(Vec::new(), meta.with("previous", Value::Null)))
}

/// A page of a snapshot; the next one begins after a place that the link names.
fn in_snapshot(
    service: &Service,
    call: &Call,
    parameters: &Parameters,
    asked: &Asked,
    order: &[Sort],
    (fields, limit): (&[String], usize),
) -> Result<Response, Failure> {
    let after = parameters.filled("search_after");
    let bad =
        |text: &str| Failure::parameter(Wrong::QueryValue, "search_after", text, "not the `next` of an earlier page");
    let by_start = order.len() == 1 && order[0].field == "start_time" && order[0].descending;
    let mut items = Vec::new();
    let mut next = None;
    if by_start {
        let after: Option<SessionCursor> = after.map(|text| text.parse().map_err(|_| bad(text))).transpose()?;
        let mut last = None;
        asked.each(service, call, after, |session, whole| {
            if items.len() == limit {
                next = last;
                return false;
            }
            items.push(item(&session, &whole, fields));
            last = Some(session.cursor());
            true
        })?;
    } else {
        let from: usize = after.map_or(Ok(0), |text| text.parse().map_err(|_| bad(text)))?;
        let found = asked.sorted(service, call, order, SORTED_MAX)?;
        items.extend(found.iter().skip(from).take(limit).map(|(session, whole)| item(session, whole, fields)));
        let to = from.saturating_add(limit);
        if to < found.len() {
            let next = parameters.link_with(&canonical(&call.path), "search_after", &to.to_string());
            return Ok(snapshot_list(call, items, fields, limit, Some(next)));
        }
    }
    let path = canonical(&call.path);
    let next = next.map(|cursor: SessionCursor| parameters.link_with(&path, "search_after", &cursor.to_string()));
    Ok(snapshot_list(call, items, fields, limit, next))
}

fn snapshot_list(call: &Call, items: Vec<Value>, fields: &[String], limit: usize, next: Option<String>) -> Response {
    let meta = call.meta().with("fields", fields.to_vec()).with("first", Value::Null).with("last", Value::Null);
    let meta = meta.with("limit", limit as u64).with("next", next).with("previous", Value::Null);
    list(items, meta.with("search_after", Value::Null))
}

fn item(session: &Session, whole: &Value, fields: &[String]) -> Value {
    let mut item = json!({"key": session.id.to_string(), "meta": {"href": body::href(session)}});
    if !fields.is_empty() {
        item["body"] = body::project(whole, fields);
    }
    item
}

/// RFC 4180, the asked fields in a first line; all fields that some session has where `*` was asked for.
fn csv(page: &[&(Session, Value)], fields: &[String]) -> Response {
    let columns: Vec<String> = match fields {
        [] => vec!["key".to_owned()],
        fields if fields.iter().any(|field| field == "*") => {
            let mut names = BTreeSet::new();
            page.iter().for_each(|(_, whole)| {
                leaves("", whole, &mut |name| {
                    names.insert(name);
                })
            });
            names.into_iter().collect()
        }
        fields => fields.to_vec(),
    };
    let mut out = line(columns.iter().map(String::as_str));
    for (session, whole) in page {
        let cell = |column: &String| match (column.as_str(), body::at(whole, column)) {
            ("key", None) => session.id.to_string(),
            (_, None | Some(Value::Null)) => String::new(),
            (_, Some(value)) => text(value),
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        out.push_str(&line(cells.iter().map(String::as_str)));
    }
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], out).into_response()
}

fn leaves(path: &str, value: &Value, each: &mut dyn FnMut(String)) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            leaves(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, member, each);
        }),
        _ => each(path.to_owned()),
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let quoted = |cell: &str| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

/// `GET /api/audit/sessions/_snapshot`.
pub fn snapshot(service: &Service, call: &Call, snapshots: &Snapshots) -> Result<Response, Failure> {
    call.parameters()?;
    let head = service.head(&call.who, call.org).map_err(|error| call.refused(&error))?.size;
    let id = snapshots.take(&call.who, head, service.now())?;
    Ok(message::object(&id, json!({"snapshot": id}), call.meta()))
}

/// `GET /api/audit/sessions/_count`.
pub fn count(service: &Service, call: &Call) -> Result<Response, Failure> {
    let parameters = call.parameters()?;
    let asked = Asked::read(&parameters, service.now())?;
    // The catalogue counts by itself what it can decide by itself.
    let count = match asked.filter == Filter::All && asked.start.is_none() && asked.end.is_none() {
        true => service.count_sessions(&call.who, call.org, &Query::All, u64::MAX).map_err(|e| call.refused(&e))?,
        false => {
            let mut count = 0;
            asked.count(service, call, |_| count += 1)?;
            count
        }
    };
    Ok(message::count(count, call.meta()))
}

/// `GET /api/audit/sessions/stats`: how often each value of a field occurs.
pub fn stats(service: &Service, call: &Call) -> Result<Response, Failure> {
    let parameters = call.parameters()?;
    let field = needed(&parameters)?;
    let sub =
        parameters.filled("sub_fields").and_then(|names| names.split(',').next()).map(|name| name.trim().to_owned());
    let size = parameters.number("size", 1)?.unwrap_or(u64::MAX);
    let asked = Asked::read(&parameters, service.now())?;
    let mut counts: BTreeMap<String, (u64, BTreeMap<String, u64>)> = BTreeMap::new();
    asked.count(service, call, |whole| {
        for value in texts(whole, field) {
            let (count, below) = counts.entry(value).or_default();
            *count += 1;
            for value in sub.iter().flat_map(|sub| texts(whole, sub)) {
                *below.entry(value).or_default() += 1;
            }
        }
    })?;
    let items = ranked(counts.iter().map(|(value, (count, _))| (value, *count)), size);
    let items = items.into_iter().map(|(value, count)| {
        let mut item = json!({"value": value, "count": count});
        if sub.is_some() {
            let below = ranked(counts[value].1.iter().map(|(value, count)| (value, *count)), size);
            item["items"] = below.into_iter().map(|(value, count)| json!({"value": value, "count": count})).collect();
        }
        item
    });
    Ok(list(items.collect(), call.meta()))
}

fn ranked<'a>(counts: impl Iterator<Item = (&'a String, u64)>, size: u64) -> Vec<(&'a String, u64)> {
    let mut ranked: Vec<_> = counts.collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    ranked.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    ranked
}

fn needed(parameters: &Parameters) -> Result<&str, Failure> {
    let missing = || Failure::parameter(Wrong::QueryValue, "field", "", "field is missing; name one, such as protocol");
    parameters.filled("field").ok_or_else(missing)
}

fn texts(whole: &Value, field: &str) -> Vec<String> {
    match body::at(whole, field) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(value) => vec![text(value)],
    }
}

/// `GET /api/audit/sessions/histogram`: sessions for each unit of time.
pub fn histogram(service: &Service, call: &Call) -> Result<Response, Failure> {
    let parameters = call.parameters()?;
    let field = needed(&parameters)?;
    if !["start_time", "end_time", "creation_time"].contains(&field) {
        let message = "a histogram is made of start_time, end_time or creation_time";
        return Err(Failure::parameter(Wrong::QueryValue, "field", field, message));
    }
    let unit = match parameters.filled("bin-size").unwrap_or("hour") {
        "minute" => Unit::Minute,
        "hour" => Unit::Hour,
        "day" => Unit::Day,
        "week" => Unit::Week,
        "month" => Unit::Month,
        "year" => Unit::Year,
        other => {
            let message = "bin-size is minute, hour, day, week, month or year";
            return Err(Failure::parameter(Wrong::QueryValue, "bin-size", other, message));
        }
    };
    let asked = Asked::read(&parameters, service.now())?;
    let mut counts: BTreeMap<Timestamp, u64> = BTreeMap::new();
    asked.count(service, call, |whole| {
        let at = body::at(whole, field).and_then(Value::as_str).and_then(|text| text.parse().ok());
        if let Some(bin) = at.and_then(|at| begin(at, unit)) {
            *counts.entry(bin).or_default() += 1;
        }
    })?;
    let from = asked.start.and_then(|at| begin(at, unit)).or_else(|| counts.keys().next().copied());
    let to = asked.end.or_else(|| counts.keys().next_back().copied());
    let mut items = Vec::new();
    let mut bin = from;
    while let (Some(start), Some(to)) = (bin, to) {
        if start > to {
            break;
        }
        if items.len() == BINS_MAX {
            let message = format!("more than {BINS_MAX} bins; ask for a larger bin-size or a shorter time");
            let size = parameters.filled("bin-size").unwrap_or("hour");
            return Err(Failure::parameter(Wrong::QueryValue, "bin-size", size, message));
        }
        items.push(json!({"start": message::time(start), "count": counts.get(&start).copied().unwrap_or(0)}));
        bin = after(start, unit);
    }
    Ok(list(items, call.meta()))
}

/// The begin of the unit that holds a time, in UTC; weeks begin on Monday.
fn begin(at: Timestamp, unit: Unit) -> Option<Timestamp> {
    let zoned = at.to_zoned(jiff::tz::TimeZone::UTC);
    let day = zoned.start_of_day().ok()?;
    let begin = match unit {
        Unit::Minute => zoned.with().second(0).subsec_nanosecond(0).build().ok()?,
        Unit::Hour => zoned.with().minute(0).second(0).subsec_nanosecond(0).build().ok()?,
        Unit::Day => day,
        Unit::Week => day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok()?,
        Unit::Month => day.with().day(1).build().ok()?,
        _ => day.with().day(1).month(1).build().ok()?,
    };
    Some(begin.timestamp())
}

fn after(start: Timestamp, unit: Unit) -> Option<Timestamp> {
    let span = match unit {
        Unit::Minute => 1.minute(),
        Unit::Hour => 1.hour(),
        Unit::Day => 1.day(),
        Unit::Week => 1.week(),
        Unit::Month => 1.month(),
        _ => 1.year(),
    };
    start.to_zoned(jiff::tz::TimeZone::UTC).checked_add(span).ok().map(|zoned| zoned.timestamp())
}

/// `GET /api/audit/sessions/<id>`.
pub fn one(service: &Service, call: &Call) -> Result<Response, Failure> {
    call.parameters()?;
    let session = find(service, call)?;
    let known: Known = super::content::known(service, call, &session);
    let whole = body::body(&session, &known, &node_id(service), service.now());
    Ok(message::object(&session.id.to_string(), whole, call.meta()))
}

/// The session that the path names.
pub fn find(service: &Service, call: &Call) -> Result<Session, Failure> {
    service.session(&call.who, call.org, call.session_id()?).map_err(|error| call.refused(&error))
}
