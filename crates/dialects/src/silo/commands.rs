//! The commands, one after another, and the reply as it is written. Source: `specs/silo.md` §2 to §4.

use serde_json::value::RawValue;
use service::extraction::Writer;
use service::extraction::types::{self, Wanted};
use service::search::{NumberField, Query};
use service::{Caller, Event, EventQuery, Order, OrgId, OrgInfo, Principal, Purpose, Service, Surface, Verb};

use super::argument::{self, BadValue};
use super::envelope::Command;
use super::error::Failure;
use crate::{Context, View};

/// Most records of one page, and how many come when nothing is said.
const PAGE_RECORDS_MAX: u64 = 1_000;

/// A page ends at the first record that makes it longer than this; the next one begins there.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// Pages of one request; beyond, a command fails and is to be sent by itself.
const REPLY_BYTES_MAX: usize = 64 << 20;

const MEMORY: &str = "writing to memory cannot fail";

/// Runs the commands of a request and writes its reply. Blocks.
pub fn run(context: &Context, caller: &Caller, commands: &[Command<'_>]) -> Vec<u8> {
    let mut run = Run { context, caller, token: Token::None, out: Vec::with_capacity(4 << 10) };
    run.out.push(b'[');
    for (at, command) in commands.iter().enumerate() {
        if at > 0 {
            run.out.push(b',');
        }
        run.answer(command);
    }
    run.out.push(b']');
    run.out
}

struct Run<'a> {
    context: &'a Context,
    caller: &'a Caller,
    token: Token,
    out: Vec<u8>,
}

/// What the commands so far said about who calls.
enum Token {
    None,
    /// Not tried yet: `setauth` answers the same for every token.
    Given(String),
    Tried(Result<Principal, Failure>),
}

impl Run<'_> {
    /// Writes one element of the reply: `command_id` if there was one, and `result` or `error`.
    fn answer(&mut self, command: &Command<'_>) {
        self.out.push(b'{');
        if let Some(id) = command.get("command_id") {
            self.out.extend_from_slice(b"\"command_id\":");
            self.out.extend_from_slice(id.get().as_bytes());
            self.out.push(b',');
        }
        let start = self.out.len();
        self.out.extend_from_slice(b"\"result\":");
        if let Err(failure) = self.result(command) {
            self.out.truncate(start);
            self.out.extend_from_slice(b"\"error\":");
            serde_json::to_writer(&mut self.out, &failure.to_string()).expect(MEMORY);
        }
        self.out.push(b'}');
    }

    /// Writes the result; what it wrote before it failed is taken back by the caller.
    fn result(&mut self, command: &Command<'_>) -> Result<(), Failure> {
        let name = command.given("command");
        match argument::string(name).as_deref() {
            Some("setauth") => self.set_token(command),
            Some("extractlog") => self.extract(command),
            Some("get_log_types") => self.log_types(),
            Some(name) => Err(Failure::UnknownCommand(name.to_owned())),
            None => Err(Failure::UnknownCommand(name.map_or("", RawValue::get).to_owned())),
        }
    }

    fn set_token(&mut self, command: &Command<'_>) -> Result<(), Failure> {
        let Some(token) = argument::string(command.get("data")) else {
            // Whatever follows was not meant for the token before.
            self.token = Token::None;
            return Err(Failure::NeedsData);
        };
        self.token = Token::Given(token);
        self.out.extend_from_slice(b"\"setting auth from data\"");
        Ok(())
    }

    /// Who calls, if that is somebody who may extract.
    fn principal(&mut self) -> Result<Principal, Failure> {
        let service = &self.context.service;
        let tried = match &self.token {
            Token::Tried(tried) => return tried.clone(),
            Token::None => {
                service.record_refusal(None, self.caller, "no_credential");
                return Err(Failure::NoToken);
            }
            Token::Given(token) => match service.authenticate(token, self.caller) {
                Ok(who) => match service.check(&who, Verb::ExtractEvents, who.org) {
                    Ok(()) => Ok(who),
                    Err(error) => Err(Failure::from(&error)),
                },
                Err(error) => Err(Failure::from(&error)),
            },
        };
        self.token = Token::Tried(tried.clone());
        tried
    }

    fn log_types(&mut self) -> Result<(), Failure> {
        self.principal()?;
        let reply = serde_json::json!({ "log_types": types::names(), "version": types::VERSION });
        serde_json::to_writer(&mut self.out, &reply).expect(MEMORY);
        Ok(())
    }

    fn extract(&mut self, command: &Command<'_>) -> Result<(), Failure> {
        let who = self.principal()?;
        let asked = Extract::read(command)?;
        let service = &self.context.service;
        let org = service.resolve_org(&who, &asked.org).map_err(|error| Failure::resolving(&error, &asked.org))?;
        if self.out.len() > REPLY_BYTES_MAX {
            return Err(Failure::Internal("the reply is full, send this command by itself".to_owned()));
        }
        let Some(query) = asked.query() else {
            return self.page(asked.start, |_| (asked.start, false));
        };
        let (events, more) = read(service, &who, org, query).map_err(|error| Failure::resolving(&error, &asked.org))?;
        let writer = Writer::new(asked.wanted, org);
        let bytes: usize = events.iter().map(|event| 256 + event.json().map_or(0, <[u8]>::len)).sum();
        self.out.reserve(bytes.min(2 * PAGE_BYTES_MAX));
        let last = events.last().map_or(asked.start, |event| event.number() + 1);
        self.page(last, |out| {
            let start = out.len();
            let mut next = asked.start;
            for (at, event) in events.iter().enumerate() {
                if at > 0 {
                    if out.len() - start > PAGE_BYTES_MAX {
                        return (next, true);
                    }
                    out.push(b',');
                }
                writer.write(event, out);
                next = event.number() + 1;
            }
            (next, more)
        })
    }

    /// Writes a result around the records that `records` writes, which gives `next_seq` and `is_more`.
    fn page(&mut self, expected_next: u64, records: impl FnOnce(&mut Vec<u8>) -> (u64, bool)) -> Result<(), Failure> {
        let out = &mut self.out;
        out.extend_from_slice(b"{\"next_seq\":");
        let at = out.len();
        out.extend_from_slice(expected_next.to_string().as_bytes());
        let digits = at..out.len();
        out.extend_from_slice(b",\"logs\":[");
        let (next, is_more) = records(out);
        if next != expected_next {
            // A page that was cut at its most bytes: rare, so the records may move.
            drop(out.splice(digits, next.to_string().into_bytes()));
        }
        out.extend_from_slice(b"],\"is_more\":");
        out.extend_from_slice(if is_more { b"true}" } else { b"false}" });
        Ok(())
    }
}

/// Reads a page to its end: as many events as asked for, and whether there are more. The service may end a page early;
/// what it says then is only where to go on.
/// One event as a record.
pub fn view(org: &OrgInfo, event: &Event) -> View {
    let mut out = Vec::new();
    Writer::new(Wanted::AllClear, org.id).write(event, &mut out);
    // Kept text goes in as it was sent, which was checked to be UTF-8 then.
    View::Shown { json: String::from_utf8_lossy(&out).into_owned(), note: None }
}

fn read(
    service: &Service,
    who: &Principal,
    org: OrgId,
    mut query: EventQuery,
) -> Result<(Vec<Event>, bool), service::Error> {
    let limit = query.limit;
    let mut events = Vec::new();
    let mut bytes = 0;
    loop {
        let page = service.query(who, org, &query)?;
        bytes += page.events.iter().map(|event| event.json().map_or(0, <[u8]>::len)).sum::<usize>();
        events.extend(page.events);
        let Some(next) = page.next else { return Ok((events, false)) };
        // A page with records and more behind them: the next number grows, so a client may be told to go on.
        if events.len() >= limit || bytes > PAGE_BYTES_MAX {
            return Ok((events, true));
        }
        query.after = Some(next);
        query.limit = limit - events.len();
    }
}

/// What `extractlog` was asked for.
struct Extract {
    org: String,
    wanted: Wanted,
    start: u64,
    end: Option<u64>,
    from_us: Option<i64>,
    /// Inclusive.
    to_us: Option<i64>,
    limit: u64,
}

impl Extract {
    fn read(command: &Command<'_>) -> Result<Extract, Failure> {
        let text = |name: &'static str| match command.given(name) {
            Some(value) => argument::string(Some(value)).ok_or(Failure::Bad(name)),
            None => Err(Failure::Missing(name)),
        };
        let integer = |name: &'static str| argument::integer(command.get(name)).map_err(|BadValue| Failure::Bad(name));
        let time = |name: &'static str| argument::time(command.get(name)).map_err(|BadValue| Failure::Bad(name));

        let org = text("org")?;
        let type_name = text("type")?;
        let wanted = types::wanted(&type_name).ok_or(Failure::UnknownType(type_name))?;
        let start = integer("start_seq")?.unwrap_or(0);
        if start == u64::MAX {
            // It is also `next_seq` of the empty page, and must come back as it was sent.
            return Err(Failure::Bad("start_seq"));
        }
        let end = integer("end_seq")?;
        let from = time("start_time")?;
        let to = time("end_time")?;
        let limit = match integer("limit")? {
            Some(0) => return Err(Failure::Bad("limit")),
            given => given.unwrap_or(PAGE_RECORDS_MAX).min(PAGE_RECORDS_MAX),
        };
        let (from_us, to_us) = (from.map(|from| from.us), to.map(|to| to.last_us()));
        Ok(Extract { org, wanted, start, end, from_us, to_us, limit })
    }

    /// The page in the service's words; `None` when its bounds leave room for no record.
    fn query(&self) -> Option<EventQuery> {
        let is_empty = self.end.is_some_and(|end| end < self.start.max(1))
            || self.from_us.zip(self.to_us).is_some_and(|(from, to)| from > to);
        if is_empty {
            return None;
        }
        let sealed = || Surface::Extraction.query(types::ENC);
        let of_type = match self.wanted {
            Wanted::One(log_type) => Surface::Extraction.query(log_type.name),
            Wanted::Sealed => sealed(),
            Wanted::AllClear => Query::And(vec![Surface::Extraction.query_all(), Query::Not(Box::new(sealed()))]),
        };
        let filter = match (self.from_us, self.to_us) {
            (None, None) => of_type,
            (min, max) => Query::And(vec![of_type, Query::Range { field: NumberField::OccurredAt, min, max }]),
        };
        Some(EventQuery {
            filter,
            order: Order::Ascending,
            after: self.start.checked_sub(1).filter(|after| *after > 0),
            until: self.end,
            limit: self.limit as usize,
            verify: false,
            purpose: Purpose::Extract,
        })
    }
}
