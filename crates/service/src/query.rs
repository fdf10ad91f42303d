//! Events out: pages by number, pages by time, single events.

pub mod complete;
pub mod summary;

use std::cell::OnceCell;

use log::{LogId, Record, RecordState};
use search::{Prepared, Query};

use crate::access::{Principal, Verb};
use crate::encoding;
use crate::error::{Error, Result};
use crate::model::{Event, EventState, OrgId, Verdict, event, time};
use crate::numbers::{self, Part};
use crate::projection::Indexed;
use crate::projection::document::document;
use crate::proofs::LogHead;
use crate::service::Service;
use crate::window::{self, Window};

/// Most bytes of stored events of one page; a page of very large events ends early, with `next` set.
pub const PAGE_BYTES_MAX: usize = 64 << 20;

/// Most entries beyond the index that one page looks at; it then ends early, with `next` set. More are only there while
/// the index is being made.
pub const SCAN_ENTRIES_MAX: u64 = 50_000;

/// Most entries beyond the index that an answer which must look at all of them looks at: about a second's work. During a
/// burst of appends the index falls behind by a hundred thousand entries a second.
pub const LAG_ENTRIES_MAX: u64 = 300_000;

/// Most events that may be skipped by [`Service::query_by_time`].
pub const OFFSET_MAX: u64 = 1_000_000;

/// Entries read at once when the log is read backwards or hits are fetched.
const CHUNK: u64 = 512;

/// Bytes read at once.
const READ_BYTES: usize = 4 << 20;

/// Seconds after which a query that waits for the index may be tried again.
const INDEX_RETRY_AFTER_S: u64 = 5;

/// Most events of one page.
pub const PAGE_EVENTS_MAX: usize = 10_000;

/// Events of one page when nothing is said.
pub const PAGE_EVENTS_DEFAULT: usize = 100;

/// Order by number.
pub use search::Order;

/// Under which rule of the access table events are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// `Verb::ReadEvents`.
    #[default]
    Read,
    /// `Verb::ExtractEvents`.
    Extract,
}

/// What to read.
#[derive(Clone, Debug)]
pub struct EventQuery {
    /// Which events; `Query::All` never touches the index.
    pub filter: Query,
    /// Order by number.
    pub order: Order,
    /// Begin after this number, in the chosen order (so below it when descending); `None`: at the end of the order.
    pub after: Option<u64>,
    /// Stop at this number, inclusive, in the chosen order.
    pub until: Option<u64>,
    /// Most events to return, 1 to [`PAGE_EVENTS_MAX`]; more is cut to that.
    pub limit: usize,
    /// Verify what is returned against the signed tree. What cannot be read is then part of the answer, as tainted
    /// (its time of receipt reads as 1970), instead of making the read fail.
    pub verify: bool,
    /// Which right is used.
    pub purpose: Purpose,
}

impl Default for EventQuery {
    fn default() -> EventQuery {
        EventQuery {
            filter: Query::All,
            order: Order::Ascending,
            after: None,
            until: None,
            limit: PAGE_EVENTS_DEFAULT,
            verify: false,
            purpose: Purpose::Read,
        }
    }
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events, in the order asked for.
    pub events: Vec<Event>,
    /// Not everything was looked at: pass this as `after` for the next page. `None`: no more matches at this moment.
    ///
    /// The number of the page's last event, or one beyond it up to which nothing more matches. A page that ends early (see [`PAGE_BYTES_MAX`],
    /// [`SCAN_ENTRIES_MAX`]) may be short, even empty, and still have a next one.
    pub next: Option<u64>,
    /// The head when the page was read; every event up to its size was looked at.
    pub head: LogHead,
    /// With `verify`: whether at least one event of the page is not what was committed, or something is wrong with the log
    /// as a whole that nobody acknowledged.
    pub tainted: Option<bool>,
    /// With `verify`: says, where it is so, that nobody outside is known to remember this log.
    pub outside: Option<&'static str>,
    /// The organisation has, or had, its events encrypted: what they say, no filter can see.
    pub sealed: bool,
}

impl Service {
    /// One page of events by number.
    ///
    /// A page sees every event acknowledged before the call. Events below `after` never change between pages.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Invalid` for a limit of 0; `Corrupt` when stored records cannot be read; `Unavailable`
    /// when the index cannot be read.
    pub fn query(&self, who: &Principal, org: OrgId, query: &EventQuery) -> Result<Page> {
        let verb = match query.purpose {
            Purpose::Read => Verb::ReadEvents,
            Purpose::Extract => Verb::ExtractEvents,
        };
        self.allow(who, verb, org)?;
        let page = self.page(org, query)?;
        self.own().extracted(self.log_of(org)?, who, &page.events);
        Ok(page)
    }

    /// Events newest first by `occurred_at`, ties by number, newest first: `limit` of them after skipping `offset`.
    ///
    /// For surfaces that page by page number; the deeper the page, the dearer. `limit` is cut to [`PAGE_EVENTS_MAX`].
    ///
    /// # Errors
    /// As for `query`; `TooLarge` past [`OFFSET_MAX`]; `Overloaded` while the index is being made.
    pub fn query_by_time(
        &self,
        who: &Principal,
        org: OrgId,
        filter: &Query,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        self.allow(who, Verb::ReadEvents, org)?;
        if limit == 0 {
            return Err(Error::invalid("the limit is 0; ask for at least one event"));
        }
        if offset > OFFSET_MAX {
            return Err(Error::too_large(format!(
                "no more than {OFFSET_MAX} events can be skipped; narrow the filter"
            )));
        }
        let limit = limit.min(PAGE_EVENTS_MAX);
        let parts = self.parts(org)?;
        let most = offset as usize + limit;
        let readings: Vec<Reading<'_>> =
            parts.into_iter().map(|part| self.reading(part, filter, false)).collect::<Result<_>>()?;
        let mut newest: Vec<(i64, u64, usize)> = Vec::new();
        for (at, reading) in readings.iter().enumerate() {
            newest.extend(reading.newest(most)?.into_iter().map(|(us, number)| (us, reading.part.shown(number), at)));
        }
        newest.sort_unstable_by(|a, b| b.cmp(a));
        newest.truncate(most);
        let mut events = Vec::with_capacity(limit);
        // Neighbours of one log are fetched at once.
        for alike in newest.get(offset as usize..).unwrap_or_default().chunk_by(|a, b| a.2 == b.2) {
            let reading = &readings[alike[0].2];
            let numbers: Vec<u64> = alike.iter().map(|(_, number, _)| number - reading.part.before).collect();
            events.extend(self.to_events(&reading.part, reading.fetch(&numbers)?.0, false));
        }
        self.own().extracted(self.log_of(org)?, who, &events);
        Ok(events)
    }

    /// How many events match; stops counting at `cap`. `Overloaded` while the index is being made.
    pub fn count(&self, who: &Principal, org: OrgId, filter: &Query, cap: u64) -> Result<u64> {
        self.allow(who, Verb::ReadEvents, org)?;
        let mut count = 0;
        for part in self.parts(org)? {
            count += self.reading(part, filter, false)?.count(cap - count)?;
        }
        Ok(count)
    }

    /// One event by number. `NotFound` past the head.
    pub fn get(&self, who: &Principal, org: OrgId, number: u64, verify: bool) -> Result<Event> {
        self.allow(who, Verb::ReadEvents, org)?;
        let (part, local) = self.part_of(org, number)?;
        let reading = self.reading(part, &Query::All, verify)?;
        if local < reading.lowest {
            return Err(Error::not_found(format!(
                "the event of number {number} was pruned; the first one kept has number {}",
                part.shown(reading.lowest)
            )));
        }
        let event = match local <= reading.highest {
            true => self.to_events(&part, reading.read(local, local)?, verify).pop(),
            false => None,
        };
        let event = event.ok_or_else(|| match part.last {
            Some(last) => Error::not_found(format!(
                "the event of number {number} was lost before event {} began another log; that one says why",
                last + 1
            )),
            None => Error::not_found(format!("no event has the number {number}")),
        })?;
        self.own().extracted(self.log_of(org)?, who, std::slice::from_ref(&event));
        Ok(event)
    }

    /// The event with this sender's id, if it is there.
    pub fn find(&self, who: &Principal, org: OrgId, id: &str) -> Result<Option<Event>> {
        self.allow(who, Verb::ReadEvents, org)?;
        for part in self.parts(org)?.into_iter().rev() {
            let Some(index) = self.logs().find_id(&part.log, &event::id_bytes(id))? else { continue };
            let found = self.to_events(&part, self.logs().read(&part.log, index..index + 1, READ_BYTES)?, false).pop();
            if let Some(found) = &found {
                self.own().extracted(self.log_of(org)?, who, std::slice::from_ref(found));
            }
            return Ok(found);
        }
        Ok(None)
    }

    /// One page, for whoever is allowed already.
    pub(crate) fn page(&self, org: OrgId, query: &EventQuery) -> Result<Page> {
        if query.limit == 0 {
            return Err(Error::invalid("the limit is 0; ask for at least one event"));
        }
        let limit = query.limit.min(PAGE_EVENTS_MAX);
        let mut parts = self.parts(org)?;
        let newest = *parts.last().expect("an organisation has a log");
        // Taken first, so that everything acknowledged before is seen.
        let head = self.to_head(&newest, self.logs().head(&newest.log)?);
        if query.order == Order::Descending {
            parts.reverse();
        }
        let (mut events, mut next, mut looked_at) = (Vec::new(), None, Vec::new());
        let mut parts = parts.into_iter().peekable();
        while let Some(part) = parts.next() {
            let mut reading = self.reading(part, &query.filter, query.verify)?;
            reading.cut(query.order, query.after, query.until);
            if part.last.is_none() {
                reading.highest = reading.highest.min(head.size);
            }
            let wanted = limit - events.len();
            let (records, more) = match query.order {
                Order::Ascending => reading.ascending(wanted)?,
                Order::Descending => reading.descending(wanted)?,
            };
            let bytes: usize = records.iter().map(|record| record.body.len()).sum();
            if !records.is_empty() || part.last.is_none() {
                looked_at.push(part.log);
            }
            events.extend(self.to_events(&part, records, query.verify));
            next = more.map(|local| part.shown(local));
            if next.is_some() {
                break;
            }
            // The page ends with a log: the next one begins with the one beside it.
            if parts.peek().is_some() && (events.len() == limit || bytes > PAGE_BYTES_MAX) {
                next = match query.order {
                    Order::Ascending => part.last,
                    Order::Descending => Some(part.before + 1),
                };
                break;
            }
        }
        let tainted = events.iter().any(|event| matches!(event.verdict, Some(Verdict::Tainted(_))))
            || (query.verify && looked_at.iter().any(|log| self.is_tainted_as_a_whole(org, *log)));
        Ok(Page {
            events,
            next,
            head,
            tainted: query.verify.then_some(tainted),
            outside: self.outside(&newest.log).filter(|_| query.verify),
            sealed: self.has_sealed(org),
        })
    }

    /// Begins a read of one log: takes the head first, so that everything acknowledged before is seen.
    fn reading(&self, part: Part, filter: &Query, verify: bool) -> Result<Reading<'_>> {
        let Part { log, ordinal, before, last } = part;
        // What is pruned is not there to be read; whoever asks for one of them by number is told so.
        let minimum = self.logs().minimum_index(&log)?;
        let size = match (self.logs().head(&log), last) {
            (Ok(head), None) => head.size,
            // What was signed and is lost cannot be read; the log that took its place says so.
            (Ok(head), Some(last)) => head.size.min(self.logs().stored_size(&log)?).min(last - before),
            // Nothing of it was ever signed.
            (Err(log::Error::NotFound(_)), Some(_)) => 0,
            (Err(error), _) => return Err(error.into()),
        };
        let (mut window, filter) = match before {
            0 => window::split(filter),
            before => window::split(&numbers::within(filter, before)),
        };
        window.highest = window.highest.min(size);
        let mut reading = Reading {
            service: self,
            part,
            log,
            ordinal,
            indexed: OnceCell::new(),
            prepared: filter.prepare(),
            filter,
            lowest: window.lowest.max(minimum + 1),
            highest: window.highest,
            verify,
        };
        reading.cut_by_time(&window)?;
        Ok(reading)
    }

    fn to_events(&self, part: &Part, records: Vec<Record>, verify: bool) -> Vec<Event> {
        let verdicts: Vec<Option<Verdict>> = match verify {
            true => {
                let states = self.logs().verify_records(&part.log, &records).into_iter();
                states.map(|state| Some(verdict(state))).collect()
            }
            false => vec![None; records.len()],
        };
        let events = records.into_iter().zip(verdicts);
        let mut decoder = encoding::Decoder::default();
        events.map(|(record, verdict)| Event { verdict, before: part.before, ..decoder.event(record) }).collect()
    }
}

fn verdict(state: RecordState) -> Verdict {
    match state {
        // What was erased by order leaves its commitment, which still checks.
        RecordState::Verified | RecordState::Erased => Verdict::Sound,
        RecordState::Tainted(reason) => Verdict::Tainted(reason.as_str().to_owned()),
        RecordState::Unsealed => Verdict::Tainted("unsealed".to_owned()),
        RecordState::Unchecked(why) => Verdict::Tainted(format!("unchecked: {why}")),
    }
}

/// One read of one log: from `lowest` to `highest`, both inclusive, as far as `filter` matches. Numbers count within the log.
///
/// ```text
/// 1 ........ lowest ......... watermark ......... highest ......... head
///            |-- index answers --|-- scan answers --|
/// ```
struct Reading<'a> {
    service: &'a Service,
    part: Part,
    log: LogId,
    ordinal: u32,
    /// Taken when first asked for, so never before the head: what it knows beyond the head is left out by `highest`.
    indexed: OnceCell<Indexed>,
    filter: Query,
    prepared: Prepared,
    lowest: u64,
    highest: u64,
    /// Records that cannot be read are shown as tainted instead of failing the read.
    verify: bool,
}

/// Records in the order asked for, and where to go on if not everything was looked at.
type Found = (Vec<Record>, Option<u64>);

impl Reading<'_> {
    /// Narrows to what lies after `after` and up to `until`, as seen in the order; both as readers see them.
    fn cut(&mut self, order: Order, after: Option<u64>, until: Option<u64>) {
        let before = self.part.before;
        // Whoever reads backwards from a number in an older log wants nothing of this one.
        if order == Order::Descending && after.is_some_and(|after| after <= before) {
            self.highest = 0;
        }
        if order == Order::Ascending && until.is_some_and(|until| until <= before) {
            self.highest = 0;
        }
        let (after, until) =
            (after.map(|after| after.saturating_sub(before)), until.map(|until| until.saturating_sub(before)));
        match order {
            Order::Ascending => {
                self.lowest = self.lowest.max(after.map_or(1, |after| after.saturating_add(1)));
                self.highest = self.highest.min(until.unwrap_or(u64::MAX));
            }
            Order::Descending => {
                self.highest = self.highest.min(after.map_or(u64::MAX, |after| after.saturating_sub(1)));
                self.lowest = self.lowest.max(until.unwrap_or(1));
            }
        }
    }

    /// Narrows by time of receipt. Times never fall, so each bound is found by halving.
    fn cut_by_time(&mut self, window: &Window) -> Result<()> {
        if window.is_empty() {
            self.highest = 0;
        }
        if let Some(from_us) = window.from_us {
            self.lowest = self.first_number(|at_us| at_us >= from_us)?;
        }
        if let Some(to_us) = window.to_us {
            self.highest = self.first_number(|at_us| at_us > to_us)? - 1;
        }
        Ok(())
    }

    /// The first number in `lowest..=highest` whose time of receipt is far enough; `highest` + 1 if none is.
    fn first_number(&self, is_far_enough: impl Fn(i64) -> bool) -> Result<u64> {
        let (mut low, mut high) = (self.lowest, self.highest.saturating_add(1).max(self.lowest));
        while low < high {
            let middle = low + (high - low) / 2;
            let record = self.read(middle, middle)?.pop().ok_or_else(|| self.missing(middle))?;
            match is_far_enough(record.received_at_us as i64) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        Ok(low)
    }

    /// Reads numbers `from..=to`, as many as [`READ_BYTES`] hold.
    fn read(&self, from: u64, to: u64) -> Result<Vec<Record>> {
        match self.service.logs().read(&self.log, from - 1..to, READ_BYTES) {
            Err(log::Error::Corrupt(_)) if self.verify => Ok(self.read_one_by_one(from..=to)),
            records => Ok(records?),
        }
    }

    /// Reads what can be read; a record that cannot is stood in for by one without a body, which will not verify.
    fn read_one_by_one(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<Record> {
        let stand_in = |index| Record {
            index,
            number: index + 1,
            received_at_us: 0,
            kind: tlog::entry::Kind::Event,
            id: [0; 16],
            salt: [0; 16],
            body: Vec::new().into(),
            state: log::BodyState::Present,
        };
        let read = |index| self.service.logs().read(&self.log, index..index + 1, READ_BYTES).ok()?.pop();
        numbers.into_iter().map(|number| read(number - 1).unwrap_or_else(|| stand_in(number - 1))).collect()
    }

    fn missing(&self, number: u64) -> Error {
        Error::corrupt(
            "a stored event is missing",
            format!("number {number} of log {} is below the head and not there", self.log),
        )
    }

    /// The committed index, one state of it for the whole read. The log's own order needs none.
    fn indexed(&self) -> &Indexed {
        self.indexed.get_or_init(|| self.service.projections().indexed())
    }

    /// Highest number that the index answers for, within this read.
    fn indexed_to(&self) -> u64 {
        match self.filter {
            // The log answers by itself.
            Query::All => 0,
            _ => self.indexed().entries(self.ordinal).min(self.highest),
        }
    }

    fn matches(&self, record: &Record) -> bool {
        if self.filter == Query::All {
            return true;
        }
        if record.state.is_erased() {
            // It is in no index either.
            return false;
        }
        let event = encoding::event(record.clone());
        // Whoever asks for verification has to see what cannot be read: it may have been what was asked for.
        (self.verify && matches!(event.state(), EventState::Unreadable(_))) || self.prepared.matches(&document(&event))
    }

    fn ascending(&self, limit: usize) -> Result<Found> {
        let indexed_to = self.indexed_to();
        let mut found = Vec::new();
        let mut bytes = 0;
        if self.lowest <= indexed_to {
            let (after, until) = (Some(self.lowest - 1), Some(indexed_to));
            let numbers = self.search(Order::Ascending, after, until, limit + 1)?;
            let (records, all) = self.fetch(&numbers[..numbers.len().min(limit)])?;
            if !all || numbers.len() > limit {
                let next = records.last().map(|record| record.number);
                return Ok((records, next));
            }
            bytes = records.iter().map(|record| record.body.len()).sum();
            found = records;
        }
        let first = self.lowest.max(indexed_to + 1);
        let mut number = first;
        while number <= self.highest {
            let records = self.read(number, self.highest.min(number + CHUNK - 1))?;
            if records.is_empty() {
                return Err(self.missing(number));
            }
            for record in records {
                let over = found.len() == limit || bytes > PAGE_BYTES_MAX;
                if self.matches(&record) {
                    if over {
                        // One more is known to match, so the page before it is not the last.
                        return Ok((found, Some(record.number - 1)));
                    }
                    bytes += record.body.len();
                    number = record.number + 1;
                    found.push(record);
                } else {
                    number = record.number + 1;
                }
            }
            if number - first > SCAN_ENTRIES_MAX && number <= self.highest {
                return Ok((found, Some(number - 1)));
            }
        }
        Ok((found, None))
    }

    fn descending(&self, limit: usize) -> Result<Found> {
        let indexed_to = self.indexed_to();
        let last_scanned = self.lowest.max(indexed_to + 1);
        let mut found: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let mut end = self.highest;
        while end >= last_scanned {
            let start = last_scanned.max(end.saturating_sub(CHUNK - 1));
            for record in self.read_all(start, end)?.into_iter().rev() {
                if !self.matches(&record) {
                    continue;
                }
                if found.len() == limit || bytes > PAGE_BYTES_MAX {
                    return Ok((found, Some(record.number + 1)));
                }
                bytes += record.body.len();
                found.push(record);
            }
            end = start - 1;
            if self.highest - end > SCAN_ENTRIES_MAX && end >= self.lowest {
                return Ok((found, Some(start)));
            }
        }
        if self.lowest <= indexed_to {
            let wanted = limit - found.len();
            let (after, until) = (Some(indexed_to + 1), Some(self.lowest));
            let numbers = self.search(Order::Descending, after, until, wanted + 1)?;
            let (records, all) = self.fetch(&numbers[..numbers.len().min(wanted)])?;
            let more = !all || numbers.len() > wanted;
            found.extend(records);
            // With nothing on the page yet there is room for at least one record, so it has a last one.
            let next = found.last().map(|record| record.number).filter(|_| more);
            return Ok((found, next));
        }
        Ok((found, None))
    }

    /// Every record of numbers `from..=to`, however many reads that takes.
    fn read_all(&self, from: u64, to: u64) -> Result<Vec<Record>> {
        let mut records = self.read(from, to)?;
        while let Some(last) = records.last().map(|record| record.number)
            && last < to
        {
            records.extend(self.read(last + 1, to)?);
        }
        match records.len() as u64 == to + 1 - from {
            true => Ok(records),
            false => Err(self.missing(from)),
        }
    }

    /// Numbers from the index alone.
    fn search(&self, order: Order, after: Option<u64>, until: Option<u64>, limit: usize) -> Result<Vec<u64>> {
        Ok(self.indexed().reader.search(self.ordinal, &self.filter, order, after, until, limit)?)
    }

    /// The records of these numbers, as many of them as [`PAGE_BYTES_MAX`] hold, and whether that is all.
    fn fetch(&self, numbers: &[u64]) -> Result<(Vec<Record>, bool)> {
        let mut records = Vec::with_capacity(numbers.len());
        let mut bytes = 0;
        for chunk in numbers.chunks(CHUNK as usize) {
            if bytes > PAGE_BYTES_MAX {
                return Ok((records, false));
            }
            let indexes: Vec<u64> = chunk.iter().map(|number| number - 1).collect();
            let read = match self.service.logs().read_many(&self.log, &indexes) {
                Err(log::Error::Corrupt(_)) if self.verify => self.read_one_by_one(chunk.iter().copied()),
                read => read?,
            };
            for record in read {
                bytes += record.body.len();
                records.push(record);
            }
        }
        Ok((records, true))
    }

    /// Refuses what has to look at everything while too much is not in the index yet.
    fn check_lag(&self) -> Result<()> {
        if self.highest.saturating_sub(self.indexed().entries(self.ordinal)) > LAG_ENTRIES_MAX {
            return Err(Error::overloaded("the search index is being made", INDEX_RETRY_AFTER_S));
        }
        Ok(())
    }

    /// Calls `each` with every matching record of numbers `from..=highest`, ascending, until it says false.
    fn scan(&self, from: u64, mut each: impl FnMut(Record) -> bool) -> Result<()> {
        let mut number = from;
        while number <= self.highest {
            let records = self.read(number, self.highest.min(number + CHUNK - 1))?;
            number = records.last().ok_or_else(|| self.missing(number))?.number + 1;
            for record in records {
                if self.matches(&record) && !each(record) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn count(&self, cap: u64) -> Result<u64> {
        if self.filter == Query::All {
            return Ok((self.highest + 1).saturating_sub(self.lowest).min(cap));
        }
        self.check_lag()?;
        let indexed_to = self.indexed_to();
        let mut count = 0;
        if self.lowest <= indexed_to {
            let bounds = Query::Range {
                field: search::NumberField::Number,
                min: Some(self.lowest as i64),
                max: Some(indexed_to as i64),
            };
            count = self.indexed().reader.count(self.ordinal, &Query::And(vec![self.filter.clone(), bounds]), cap)?;
        }
        self.scan(self.lowest.max(indexed_to + 1), |_| {
            count += 1;
            count < cap
        })?;
        Ok(count.min(cap))
    }

    /// The newest matches by time of occurrence, ties by number, newest first, at most `most`: microseconds and numbers.
    fn newest(&self, most: usize) -> Result<Vec<(i64, u64)>> {
        self.check_lag()?;
        let indexed_to = self.indexed().entries(self.ordinal).min(self.highest);
        let mut newest = match self.lowest <= indexed_to {
            true => self.indexed().reader.newest(self.ordinal, &self.filter, self.lowest..=indexed_to, most)?,
            false => Vec::new(),
        };
        self.scan(self.lowest.max(indexed_to + 1), |record| {
            let number = record.number;
            newest.push((time::micros(encoding::event(record).occurred_at()), number));
            true
        })?;
        newest.sort_unstable_by(|a, b| b.cmp(a));
        newest.truncate(most);
        Ok(newest)
    }
}
