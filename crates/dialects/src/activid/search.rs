//! Searching: a filter becomes a query that the index answers, and a second look at each event that the query finds.
//!
//! The index tells neither upper from lower case nor the inside of a text, so its answer holds more than was asked for; the
//! second look is at the stored bytes, and decides. Source: `specs/scim-event.md` §6.2 to §6.4.

use service::model::feed::{self, Attribute};
use service::query::Order;
use service::refine::LOOKED_AT_MAX;
use service::search::{NumberField, Query};
use service::{Event, EventQuery, OrgId, Principal, Service, Surface, Timestamp, Verdict};

use super::error::{Failure, Fault};
use super::filter::{Condition, Filter, Pattern, TypeTest, normal};
use super::time::{self, After};
use super::translate::{Place, Reading, UNREADABLE};

/// The answer to a search.
pub struct Answer {
    /// Event tokens, in order.
    pub tokens: Vec<String>,
    /// Whether one of them is not what was committed; only where verification was asked for.
    pub tainted: Option<bool>,
}

/// Runs a search. Blocks.
///
/// Oldest first where the filter says from when on, else newest first.
///
/// # Errors
/// `TooMany` when so many events would have to be looked at that the answer could be missing some; and what the service says.
pub fn run(
    service: &Service,
    who: &Principal,
    org: OrgId,
    place: &Place,
    filter: &Filter,
    count: usize,
) -> Result<Answer, Failure> {
    let verify = filter.verify();
    if count == 0 {
        return Ok(Answer { tokens: Vec::new(), tainted: verify.then_some(false) });
    }
    let oldest_first = filter.conditions.iter().any(|condition| matches!(condition, Condition::After(_)));
    let query = EventQuery {
        filter: query(service, who, org, filter)?,
        order: if oldest_first { Order::Ascending } else { Order::Descending },
        limit: count,
        verify,
        ..EventQuery::default()
    };
    let keep = |event: &Event| keeps(filter, &Reading::of(event, place), event.verdict.as_ref());
    let page = service.query_refined(who, org, &query, &keep)?;
    let events = page.events;
    // Whoever repeats a search with the last time seen gets the rest; nobody else would know that there is one.
    let goes_on = oldest_first && !events.is_empty();
    if page.next.is_some() && events.len() < count && !goes_on && !is_full(&events) {
        let detail = format!(
            "more than {LOOKED_AT_MAX} events would have to be looked at; narrow the filter, by meta.created for example"
        );
        return Err(Fault::TooMany(detail).into());
    }
    let times = times(&events, oldest_first, floor(filter));
    let first_ranked = match (page.next, events.last(), times.last()) {
        (Some(_), Some(last), Some(at)) if oldest_first => first_ranked(service, who, org, last.number(), *at)?,
        _ => None,
    };
    let tokens = events.iter().zip(&times).map(|(event, at)| {
        let rank = first_ranked.and_then(|first| event.number().checked_sub(first)).map(|before| before + 1);
        Reading::of(event, place).token(place, &time::created(*at, rank))
    });
    let tokens = tokens.collect();
    let is_tainted = |event: &Event| matches!(event.verdict, Some(Verdict::Tainted(_)));
    Ok(Answer { tokens, tainted: verify.then(|| events.iter().any(is_tainted)) })
}

/// Says whether a page ended because of its size.
fn is_full(events: &[Event]) -> bool {
    let bytes: usize = events.iter().map(|event| event.json().map_or(0, <[u8]>::len)).sum();
    bytes > service::refine::REFINED_BYTES_MAX
}

/// The times at which events were received. One that is damaged so badly that its time cannot be read has that of the event
/// before it, or the first one asked for, so that a collector never goes on from 1970.
fn times(events: &[Event], oldest_first: bool, floor: Timestamp) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = events.iter().map(Event::recorded_at).collect();
    let mut latest = floor;
    let rise = |at: &mut Timestamp| {
        latest = latest.max(*at);
        *at = latest;
    };
    // Times of receipt never fall, so this leaves what can be read as it is.
    if oldest_first {
        times.iter_mut().for_each(rise)
    } else {
        times.iter_mut().rev().for_each(rise)
    }
    times
}

/// The earliest time that a filter leaves.
fn floor(filter: &Filter) -> Timestamp {
    let bounds = filter.conditions.iter().filter_map(|condition| match condition {
        Condition::After(moment) => match moment.after() {
            After::Time { from_us } => Timestamp::from_microsecond(from_us).ok(),
            After::Rank { ms, .. } => Timestamp::from_millisecond(ms).ok(),
        },
        _ => None,
    });
    bounds.max().unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH)
}

/// If a page ends with the event `last`, received `at`, in the middle of a millisecond: the number of the first event of that
/// millisecond, from which on the page's times have to tell one event from the next.
fn first_ranked(
    service: &Service,
    who: &Principal,
    org: OrgId,
    last: u64,
    at: Timestamp,
) -> Result<Option<u64>, Failure> {
    let ms = at.as_millisecond();
    let is_whole = first_number(service, who, org, ms + 1)? == last + 1;
    if is_whole { Ok(None) } else { first_number(service, who, org, ms).map(Some) }
}

/// The number of the first event received in this millisecond or later. Times of receipt never fall, so it is one more
/// than the count of those before.
fn first_number(service: &Service, who: &Principal, org: OrgId, ms: i64) -> Result<u64, Failure> {
    let earlier = range(NumberField::RecordedAt, None, Some(ms.saturating_mul(1_000) - 1));
    Ok(service.count(who, org, &earlier, u64::MAX)? + 1)
}

/// A query that finds at least what the filter asks for.
fn query(service: &Service, who: &Principal, org: OrgId, filter: &Filter) -> Result<Query, Failure> {
    let mut parts = Vec::new();
    for condition in &filter.conditions {
        match condition {
            Condition::After(moment) => match moment.after() {
                After::Time { from_us } => parts.push(range(NumberField::RecordedAt, Some(from_us), None)),
                After::Rank { ms, rank } => {
                    let first = first_number(service, who, org, ms)?;
                    let number = i64::try_from(first + u64::from(rank)).unwrap_or(i64::MAX);
                    // An event of a later millisecond has a number at least as high as the first one of this.
                    let of_later = range(NumberField::RecordedAt, Some((ms + 1) * 1_000), None);
                    let first_later = i64::try_from(first_number(service, who, org, ms + 1)?).unwrap_or(i64::MAX);
                    parts.push(match number >= first_later {
                        true => of_later,
                        false => range(NumberField::Number, Some(number), None),
                    });
                }
            },
            Condition::Before(moment) => {
                parts.push(range(NumberField::RecordedAt, None, Some(moment.last_us_before())));
            }
            Condition::Type(test) => parts.extend(type_query(test)),
            Condition::Equals(attribute, pattern) => parts.push(match pattern.whole() {
                Some(value) if *attribute == Attribute::Resource => {
                    match feed::user_of(value) {
                        Some(_) => attribute.query(value),
                        // Users are all that is indexed.
                        None => Query::None,
                    }
                }
                Some(value) => attribute.query(value),
                None if pattern.prefix().is_empty() => continue,
                None => attribute.query_prefix(pattern.prefix()),
            }),
            Condition::Verify(_) => {}
        }
    }
    Ok(Query::And(parts))
}

/// What the index can say about a test of types; `None`: nothing.
fn type_query(test: &TypeTest) -> Option<Query> {
    let prefix = |prefix: &str| {
        (!prefix.is_empty())
            .then(|| Query::KeywordPrefix { field: service::search::Field::Tag, prefix: Surface::Feed.tag(prefix) })
    };
    let found = match test {
        TypeTest::Equals(pattern) => match pattern.whole() {
            Some(whole) => Some(Surface::Feed.query(whole)),
            None => prefix(pattern.prefix()),
        },
        TypeTest::Begins(text) => prefix(text),
        TypeTest::Contains(_) | TypeTest::Ends(_) => None,
    };
    // What does not read has no type in the index; here it has one.
    found.map(|found| if test.matches(UNREADABLE) { Query::Or(vec![found, feed::unreadable()]) } else { found })
}

fn range(field: NumberField, min: Option<i64>, max: Option<i64>) -> Query {
    Query::Range { field, min, max }
}

/// The second look. Times were compared exactly by the query already.
///
/// With verification, an event that is not what was committed is shown when the index, which saw it whole, found it: its
/// stored bytes may not say any more what was asked for. What the index could not tell must still hold; and bytes that do
/// not read at all are always shown.
fn keeps(filter: &Filter, reading: &Reading<'_>, verdict: Option<&Verdict>) -> bool {
    let is_tainted = matches!(verdict, Some(Verdict::Tainted(_)));
    if is_tainted && !reading.is_open() {
        return true;
    }
    filter.conditions.iter().all(|condition| match condition {
        Condition::Type(test) => {
            let index_said = is_tainted && type_query(test).is_some();
            index_said || reading.types().iter().any(|of| test.matches(&normal(of)))
        }
        Condition::Equals(attribute, pattern) => {
            let index_said = is_tainted && !(pattern.whole().is_none() && pattern.prefix().is_empty());
            index_said || reading.compared(*attribute).iter().any(|value| matches(pattern, value))
        }
        Condition::After(_) | Condition::Before(_) | Condition::Verify(_) => true,
    })
}

fn matches(pattern: &Pattern, value: &str) -> bool {
    pattern.matches(&normal(value))
}
