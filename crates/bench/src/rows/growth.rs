//! What must not change as the trail grows: pages, start-up, memory, disk, verification.

use std::cell::RefCell;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{ABSENT, BATCH, BULK_CONNECTIONS, Bench, expect_accepted, progress, rate_text};
use crate::bare;
use crate::events;
use crate::http;
use crate::load::{self, Measured};
use crate::postgres::{self, Connection};
use crate::random::Random;
use crate::report::{Report, Target, thousands};
use crate::server::{Installation, Memory, Server, Session, disk_bytes};
use crate::table::{self, Layout, PageShape};

const PAGE: u64 = 1_000;
const PAGE_CONNECTIONS: usize = 4;
/// Pages read from a cold disk: few enough that they hardly warm each other.
const COLD_PAGES: u64 = 100;
/// What our envelope (who recorded it, and over what) adds to the bytes of an event, about.
const ENVELOPE_BYTES: usize = 80;

/// What was measured at one size, of ours.
struct Ours {
    pages: Measured,
    verified_pages: Measured,
    loaded: Memory,
    started: Memory,
    ready_after: Duration,
    log_bytes: u64,
    index_bytes: u64,
    verify: Duration,
    verify_cold: Option<Duration>,
    read: (u64, Duration),
    read_cold: Option<(u64, Duration)>,
    cold_pages: Option<Measured>,
}

/// And of PostgreSQL.
struct Theirs {
    pages: Vec<(PageShape, Measured)>,
    whole_rows: Measured,
    cold_pages: Option<Measured>,
    table_bytes: u64,
}

pub async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let theirs = theirs(bench).await?;
    bench.settle_postgres().await?;
    let ours = match &bench.program {
        Some(program) => {
            let installation = Installation::init(program, &bench.work, "growth")?;
            let all = ours(bench, &installation).await?;
            installation.remove()?;
            all
        }
        None => Vec::new(),
    };
    pages(bench, report, &ours, &theirs);
    if !ours.is_empty() {
        start_and_memory(bench, report, &ours);
        disk(bench, report, &ours, &theirs);
        verify(bench, report, &ours)?;
    }
    Ok(())
}

async fn ours(bench: &Bench, installation: &Installation) -> Result<Vec<Ours>> {
    let mut all = Vec::new();
    let mut held = 0;
    for &size in &bench.plan.sizes {
        progress(format_args!("Counterfoil, {} events: fill", thousands(size as f64)));
        let server = installation.start()?;
        let session = server.login().await?;
        fill(bench, &session, size - held).await?;
        held = size;
        server.quiet().await?;
        let loaded = server.memory()?;

        progress(format_args!("Counterfoil, {} events: pages", thousands(size as f64)));
        read_pages(bench, &session, size, bench.plan.pages / 10, "").await?;
        let pages = read_pages(bench, &session, size, bench.plan.pages, "").await?;
        let verified_pages = read_pages(bench, &session, size, bench.plan.pages / 5, "&verify=true").await?;
        server.stop()?;

        progress(format_args!("Counterfoil, {} events: start, verify, cold", thousands(size as f64)));
        let (ready_after, started) = start(installation).await?;
        let log = installation.data.join("log");
        let read = bare::read_all(&log)?;
        let mut verifies = (0..bench.plan.runs).map(|_| installation.verify()).collect::<Result<Vec<_>>>()?;
        verifies.sort_unstable();
        let mut ours = Ours {
            pages,
            verified_pages,
            loaded,
            started,
            ready_after,
            log_bytes: disk_bytes(&log)?,
            index_bytes: disk_bytes(&installation.data)? - disk_bytes(&log)?,
            verify: verifies[verifies.len() / 2],
            verify_cold: None,
            read,
            read_cold: None,
            cold_pages: None,
        };
        if forget_cached_files() {
            ours.read_cold = Some(bare::read_all(&log)?);
            forget_cached_files();
            ours.verify_cold = Some(installation.verify()?);
            let server = installation.start()?;
            let session = server.login().await?;
            server.quiet().await?;
            forget_cached_files();
            ours.cold_pages = Some(read_pages(bench, &session, size, COLD_PAGES, "").await?);
            server.stop()?;
        }
        all.push(ours);
    }
    Ok(all)
}

/// Starts and stops the server three times: median time to ready, and memory once it has nothing more to do.
async fn start(installation: &Installation) -> Result<(Duration, Memory)> {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let server: Server = installation.start()?;
        times.push(server.ready_after);
        server.quiet().await?;
        memory.push(server.memory()?);
        server.stop()?;
    }
    times.sort_unstable();
    memory.sort_by_key(|m| m.resident);
    Ok((times[1], memory[1]))
}

/// Sends `events` more events, going round through the samples.
async fn fill(bench: &Bench, session: &Session, events: u64) -> Result<()> {
    let count = bench.samples.len() / BATCH * BATCH;
    let requests = bench.bulk_requests(session, &bench.samples[..count]);
    ensure!(events.is_multiple_of(BATCH as u64), "sizes are multiples of {BATCH}");
    let peers = http::Connection::open_many(session.address, BULK_CONNECTIONS).await?;
    let request = move |n: u64| requests[n as usize % requests.len()].clone();
    load::drive(peers, events / BATCH as u64, request, |_, reply| expect_accepted(reply, BATCH)).await?;
    Ok(())
}

async fn read_pages(bench: &Bench, session: &Session, size: u64, count: u64, more: &str) -> Result<Measured> {
    let peers = http::Connection::open_many(session.address, PAGE_CONNECTIONS).await?;
    let random = RefCell::new(Random::new(bench.plan.seed ^ size));
    let (session, more) = (session.clone(), more.to_owned());
    let request = move |_| {
        let after = random.borrow_mut().below(size - PAGE + 1);
        let target = format!("/v1/orgs/{}/events?order=oldest&after={after}&limit={PAGE}{more}", session.org);
        http::request("GET", &target, Some(&session.token), None, b"")
    };
    load::drive(peers, count.max(PAGE_CONNECTIONS as u64), request, expect_page).await
}

/// Fails unless the page is full. Counting costs time on the processors of whom we measure, so every 16th page is counted.
fn expect_page(n: u64, reply: &[u8]) -> Result<()> {
    if n.is_multiple_of(16) {
        let events = memchr::memmem::find_iter(reply, br#""seq":"#).count() as u64;
        ensure!(events == PAGE, "a page of {events} instead of {PAGE} events");
    }
    Ok(())
}

async fn theirs(bench: &Bench) -> Result<Vec<Theirs>> {
    table::create(&bench.postgres, Layout::default()).await?;
    let mut all = Vec::new();
    let mut held = 0;
    for &size in &bench.plan.sizes {
        progress(format_args!("PostgreSQL, {} events: fill, pages", thousands(size as f64)));
        let requests: Vec<_> = bench.samples.chunks_exact(BATCH).map(table::copy_request).collect();
        let mut peers = Vec::new();
        for _ in 0..BULK_CONNECTIONS {
            peers.push(Connection::open(&bench.postgres).await?);
        }
        let request = move |n: u64| requests[n as usize % requests.len()].clone();
        let check = |_, reply: &[u8]| postgres::expect_tag(reply, &format!("COPY {BATCH}"));
        load::drive(peers, (size - held) / BATCH as u64, request, check).await?;
        held = size;
        let mut connection = Connection::open(&bench.postgres).await?;
        connection.run("VACUUM ANALYZE event").await?;
        connection.run("CHECKPOINT").await?;
        let table_bytes = connection.run("SELECT pg_total_relation_size('event')").await?.parse()?;

        let mut pages = Vec::new();
        for shape in [PageShape::Aggregate, PageShape::Rows] {
            read_table(bench, shape, size, bench.plan.pages_rows / 10).await?;
            pages.push((shape, read_table(bench, shape, size, bench.plan.pages_rows).await?));
        }
        let whole_rows = read_table(bench, PageShape::WholeRows, size, bench.plan.pages_rows).await?;
        let mut cold_pages = None;
        if let Some(restart) = &bench.postgres_restart {
            let status = Command::new("sh").args(["-c", restart]).status()?;
            ensure!(status.success(), "{restart}: {status}");
            // Connected and prepared before the files are forgotten, as our server is started before.
            if forget_cached_files() {
                cold_pages = Some(read_table(bench, faster(&pages).0, size, COLD_PAGES).await?);
            }
        }
        all.push(Theirs { pages, whole_rows, cold_pages, table_bytes });
    }
    table::create(&bench.postgres, Layout::default()).await?;
    Ok(all)
}

async fn read_table(bench: &Bench, shape: PageShape, size: u64, count: u64) -> Result<Measured> {
    let (sql, types) = table::page_statement(shape);
    let peers = Connection::open_prepared(&bench.postgres, PAGE_CONNECTIONS, "page", &sql, &types).await?;
    let random = RefCell::new(Random::new(bench.plan.seed ^ size));
    let request = move |_| table::page_request(random.borrow_mut().below(size - PAGE + 1), PAGE);
    load::drive(peers, count.max(PAGE_CONNECTIONS as u64), request, expect_page).await
}

fn faster(pages: &[(PageShape, Measured)]) -> &(PageShape, Measured) {
    pages.iter().max_by(|(_, a), (_, b)| a.per_second(1).total_cmp(&b.per_second(1))).expect("two shapes")
}

/// Drops the kernel's cache of files; false where that is not allowed (it needs root).
fn forget_cached_files() -> bool {
    let synced = Command::new("sync").status().is_ok_and(|status| status.success());
    synced && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

fn pages(bench: &Bench, report: &mut Report, ours: &[Ours], theirs: &[Theirs]) {
    report.section(&format!("Pages of {PAGE} by sequence, at random places, {PAGE_CONNECTIONS} connections"));
    let text = |measured: &Measured| rate_text(measured, 1, "pages/s");
    for (at, &size) in bench.plan.sizes.iter().enumerate() {
        let (ours, theirs) = (ours.get(at), &theirs[at]);
        let (shape, best) = faster(&theirs.pages);
        let row = |report: &mut Report, what: &str, ours: Option<&Measured>, reference: &Measured, target| {
            report.row(
                format!("{} events, {what}", thousands(size as f64)),
                &ours.map_or(ABSENT.to_owned(), text),
                &format!("PostgreSQL {}", text(reference)),
                ours.map(|o| o.per_second(1) / reference.per_second(1)),
                target,
            );
        };
        let what = match shape {
            PageShape::Aggregate => "cached; `json_agg(row_to_json)`",
            PageShape::Rows | PageShape::WholeRows => "cached; `row_to_json` a row",
        };
        row(report, what, ours.map(|o| &o.pages), best, Some(Target::AtLeast(10.0)));
        row(report, "cached; `row_to_json` of all columns", ours.map(|o| &o.pages), &theirs.whole_rows, None);
        row(report, "cached; ours with `verify=true`", ours.map(|o| &o.verified_pages), best, None);
        if let Some(cold) = &theirs.cold_pages {
            row(report, "not cached", ours.and_then(|o| o.cold_pages.as_ref()), cold, None);
        }
    }
    if let [first, .., last] = ours {
        let (least, most) = (bench.plan.sizes[0], bench.plan.sizes[bench.plan.sizes.len() - 1]);
        report.row(
            format!("{} against {} events, cached", thousands(most as f64), thousands(least as f64)),
            &text(&last.pages),
            &text(&first.pages),
            Some(last.pages.per_second(1) / first.pages.per_second(1)),
            Some(Target::Flat(0.2)),
        );
    }
    report.note(format!(
        "{} pages of ours and {} of PostgreSQL at each size; cached means: everything fits the kernel's cache of files and a tenth as many \
         pages were read before. Not cached: the server was restarted and the kernel's cache dropped, then {COLD_PAGES} pages were read. Ours \
         hold seq, recorded_at, id, recorded_by and the event verbatim; PostgreSQL's seq, recorded_at and event; the faster of one \
         `json_agg` and of a row for each event is shown.",
        thousands(bench.plan.pages as f64),
        thousands(bench.plan.pages_rows as f64),
    ));
}

fn start_and_memory(bench: &Bench, report: &mut Report, ours: &[Ours]) {
    report.section("Start-up and memory");
    // Flatness is asked for from 100,000 events on.
    let base_at = bench.plan.sizes.iter().position(|&size| size >= 100_000).unwrap_or(0);
    let (base, base_size) = (&ours[base_at], thousands(bench.plan.sizes[base_at] as f64));
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1_000.0);
    let mib =
        |m: Memory| format!("{:.0} MiB ({:.0} anonymous)", m.resident as f64 / 1_024.0, m.anonymous as f64 / 1_024.0);
    for (at, ours) in ours.iter().enumerate() {
        let size = thousands(bench.plan.sizes[at] as f64);
        let target = (at > base_at).then_some(Target::Flat(0.2));
        let mut row = |what: &str, here: String, there: String, ratio: f64| {
            let reference = if target.is_some() { format!("at {base_size}: {there}") } else { String::new() };
            report.row(format!("{size} events, {what}"), &here, &reference, target.map(|_| ratio), target);
        };
        let ratio = ours.ready_after.as_secs_f64() / base.ready_after.as_secs_f64();
        row("process start to `ready`", ms(ours.ready_after), ms(base.ready_after), ratio);
        let ratio = ours.started.resident as f64 / base.started.resident as f64;
        row("resident after start", mib(ours.started), mib(base.started), ratio);
        let ratio = ours.loaded.resident as f64 / base.loaded.resident as f64;
        row("resident after filling and indexing", mib(ours.loaded), mib(base.loaded), ratio);
    }
    report.note(
        "Start: median of three on cached files after a clean stop; the search index is on disk, nothing is rebuilt.",
    );
}

fn disk(bench: &Bench, report: &mut Report, ours: &[Ours], theirs: &[Theirs]) {
    report.section("Disk, bytes an event");
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let size = bench.plan.sizes[at];
        let per_event = |bytes: u64| bytes as f64 / size as f64;
        let log = per_event(ours.log_bytes);
        // The target is about a trail of some size: small ones are mostly one half-filled file.
        let target = (size >= 1_000_000).then_some(Target::AtMost { figure: log, limit: 160.0 });
        report.row(
            format!("{} events", thousands(size as f64)),
            &format!("{log:.0} B log, {:.0} B index and the rest", per_event(ours.index_bytes)),
            &format!("PostgreSQL {:.0} B with its three indexes", per_event(theirs.table_bytes)),
            Some(per_event(ours.log_bytes + ours.index_bytes) / per_event(theirs.table_bytes)),
            target,
        );
    }
    report.note("Blocks allocated on disk (`du`) after a clean stop. The ratio is of everything of ours to everything of theirs.");
}

fn verify(bench: &Bench, report: &mut Report, ours: &[Ours]) -> Result<()> {
    report.section("`counterfoil verify log`: the whole process, offline, all cores");
    let body_bytes = events::mean_bytes(&bench.samples) as usize + ENVELOPE_BYTES;
    for (at, ours) in ours.iter().enumerate() {
        let size = bench.plan.sizes[at];
        let rate = |time: Duration| size as f64 / time.as_secs_f64();
        let loop_rate = bare::hash_loop((size as usize).clamp(500_000, 4_000_000), body_bytes)?;
        let size_text = thousands(size as f64);
        let megabytes = |(bytes, time): (u64, Duration)| bytes as f64 / 1e6 / time.as_secs_f64();
        let text = |rate: f64| format!("{} entries/s", thousands(rate));
        let read_text =
            |read: (u64, Duration)| format!("reading the files {} ({:.0} MB/s)", text(rate(read.1)), megabytes(read));

        // "At least half of the hash loop, or of the disk's speed if that is less."
        let cached = rate(ours.verify);
        let least = loop_rate.min(rate(ours.read.1));
        let reference = format!("hash loop {}, {}", text(loop_rate), read_text(ours.read));
        let target = (size >= 1_000_000).then_some(Target::AtLeast(0.5));
        report.row(format!("{size_text} entries, cached"), &text(cached), &reference, Some(cached / least), target);
        if let (Some(verify), Some(read)) = (ours.verify_cold, ours.read_cold) {
            let (cold, least) = (rate(verify), loop_rate.min(rate(read.1)));
            let reference = format!("hash loop {}, {}", text(loop_rate), read_text(read));
            report.row(format!("{size_text} entries, not cached"), &text(cold), &reference, Some(cold / least), target);
        }
    }
    report.note(format!(
        "The hash loop is `tlog::batch` on all cores over memory: for each entry a commitment over {body_bytes} bytes, a leaf of 80 bytes and a \
         node. Reading the files is one thread with 1 MiB buffers over everything in the log folder. The ratio is to the slower of the two."
    ));
    Ok(())
}
