//! Log extraction and encryption: pages against a canned reply, flatness, a rare type, ingest against the bare scheme.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use service::seal;

use super::{BATCH, BULK_CONNECTIONS, Bench, expect_accepted, progress, rate_text};
use crate::http;
use crate::load::{self, Measured, Peer as _};
use crate::random::Random;
use crate::report::{Report, Target, thousands};
use crate::server::{Installation, Session};

const PAGE: u64 = 1_000;
/// Share of the pages that counts as the first ones, and as the last ones.
const END_SHARE: u64 = 10;
const TYPES: [&str; 24] = [
    "A8SS",
    "ADMIN_AUDIT",
    "APP_LAUNCH",
    "BLOCKED URL",
    "CASE MANAGER",
    "CLIPBOARD",
    "COOKIES",
    "DOWNLOAD",
    "ENC",
    "EXPLOIT",
    "EXTENSION",
    "HARVEST",
    "ISOLATE_BYPASS",
    "LAUNCHER",
    "LOCATION CHANGE",
    "POST DATA",
    "SESSION",
    "SMS",
    "TRAFFICMAN",
    "TRANSLATION",
    "UPLOAD",
    "URL",
    "AUTH",
    "EVENT",
];

pub async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let Some(program) = &bench.program else { return Ok(()) };
    let records = *bench.plan.sizes.last().expect("a plan has sizes");
    report.section("Log extraction: pages of 1,000 `URL` records over one connection");
    let installation = Installation::init(program, &bench.work, "extraction")?;
    let server = installation.start()?;
    let session = server.login().await?;
    progress(format_args!("extraction: {} records, one of them of a rare type", thousands(records as f64)));
    let texts = records_of(bench.plan.seed, bench.plan.bulk_events.min(100_000));
    fill(&session, &texts, records).await?;
    server.quiet().await?;

    progress("extraction: pages");
    let page = page_at(&session, records / 2).await?;
    let canned = Canned::start(page.clone()).await?;
    let pages = records / PAGE - 1;
    let share = (pages / END_SHARE).max(1);
    let (all, first, last) = walk(&session, pages, share).await?;
    let reference = canned.drive(&request(&session, "URL", 1), pages).await?;
    report.row(
        "a whole walk, page after page",
        &rate_text(&all, 1, "pages/s"),
        &format!("canned body of {} bytes, {}", thousands(page.len() as f64), rate_text(&reference, 1, "pages/s")),
        Some(all.per_second(1) / reference.per_second(1)),
        Some(Target::AtLeast(0.6)),
    );
    let rate = |of: Duration| share as f64 / of.as_secs_f64();
    report.row(
        format!("last {share} pages"),
        &format!("{} pages/s", thousands(rate(last))),
        &format!("first {share}: {} pages/s", thousands(rate(first))),
        Some(rate(last) / rate(first)),
        Some(Target::Flat(0.2)),
    );

    progress("extraction: polls and a rare type");
    let end = records + 1_000;
    let one = poll(&session, &["URL"], end, 300).await?;
    let many = poll(&session, &TYPES, end, 300).await?;
    report.row(
        "a poll that finds nothing: 24 types in one request, for each",
        &format!("{:.3} ms", many / TYPES.len() as f64),
        &format!("one type in a request: {one:.3} ms"),
        Some(one / (many / TYPES.len() as f64)),
        Some(Target::AtLeast(0.8)),
    );
    let rare = poll(&session, &["PRINT"], 1, 300).await?;
    report.row(
        format!("the one `PRINT` among {}, from number 1", thousands(records as f64)),
        &format!("{rare:.3} ms"),
        &format!("finding nothing: {one:.3} ms"),
        None,
        Some(Target::AtMost { figure: rare, limit: 10.0 * one }),
    );
    report.note(
        "The canned body is given by an axum server with two threads in the load generator's process, to the same requests. \
         Every walk begins at number 1 and follows `next_seq`.",
    );
    server.stop()?;
    installation.remove()?;
    encryption(bench, report, &texts).await
}

/// `URL` records as a browser gives them, about 1.3 KB each, in the form in which they are handed in.
fn records_of(seed: u64, count: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|n| {
            let mut json = String::with_capacity(1_600);
            let user = random.below(2_000);
            write!(
                json,
                concat!(
                    r#"{{"action":"GET","kind":"web","occurred_at":"2026-01-05T08:{:02}:{:02}.{:06}Z","#,
                    r#""origin":{{"dialect":"silo","type":"URL","raw":{{"user_id":"{:032x}","username":"user{}@example.org","#,
                    r#""session_id":"{:032x}","client_ip":"10.{}.{}.{}","scheme":"https","domain":"www{}.example.com","port":null,"#,
                    r#""path":"/articles/{:08x}/{:08x}.html","query":"p={:x}&s={:x}","method":"GET","#,
                    r#""headers":"Host: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nCookie: sid={:032x}","#,
                    r#""page_title":"Article {} of many","response_code":200,"#,
                    r#""response_headers":"Server: nginx\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: max-age=0, private\r\nETag: W/\"{:016x}\"\r\nStrict-Transport-Security: max-age=31536000","#,
                    r#""response_size":{},"micro_category":"news","macro_category":"information"}}}}}}"#
                ),
                n / 60 % 60, n % 60, random.below(1_000_000), random.next(), user, random.next(), user % 200, user % 250,
                1 + random.below(200), random.below(500), random.next() as u32, random.next() as u32, random.below(1_000),
                random.next(), random.next(), n, random.next(), 1_000 + random.below(100_000)
            )
            .expect("a String takes everything");
            json
        })
        .collect()
}

async fn fill(session: &Session, texts: &[String], records: u64) -> Result<()> {
    let target = format!("/v1/orgs/{}/events?receipts=summary", session.org);
    let body = |batch: &[String]| {
        http::request("POST", &target, Some(&session.token), Some("application/x-ndjson"), batch.join("\n").as_bytes())
    };
    let requests: Vec<Bytes> = texts.chunks_exact(BATCH).map(body).collect();
    let half = records / 2 / BATCH as u64;
    for part in [half, records / BATCH as u64 - half] {
        let peers = http::Connection::open_many(session.address, BULK_CONNECTIONS).await?;
        let requests = requests.clone();
        let request = move |n: u64| requests[n as usize % requests.len()].clone();
        load::drive(peers, part, request, |_, reply| expect_accepted(reply, BATCH)).await?;
        if part == half {
            let rare = r#"{"action":"print","origin":{"dialect":"silo","type":"PRINT","raw":{"url":"rare"}}}"#;
            let request =
                http::request("POST", &target, Some(&session.token), Some("application/json"), rare.as_bytes());
            http::Connection::open(session.address).await?.exchange(&request).await.context("hand in the rare one")?;
        }
    }
    Ok(())
}

fn request(session: &Session, log_type: &str, start: u64) -> Bytes {
    request_of(session, &[log_type], start)
}

fn request_of(session: &Session, log_types: &[&str], start: u64) -> Bytes {
    let mut body = format!(r#"[{{"command":"setauth","data":"{}"}}"#, session.token);
    for log_type in log_types {
        write!(
            body,
            r#",{{"command":"extractlog","org":"Bench","type":"{log_type}","start_seq":{start},"limit":{PAGE}}}"#
        )
        .expect("a String takes everything");
    }
    body.push(']');
    http::request("POST", "/api/", None, Some("application/json"), body.as_bytes())
}

async fn page_at(session: &Session, start: u64) -> Result<Bytes> {
    let mut connection = http::Connection::open(session.address).await?;
    Ok(Bytes::copy_from_slice(connection.exchange(&request(session, "URL", start)).await?))
}

/// Walks from the beginning; also says how long the first and the last `share` pages took.
async fn walk(session: &Session, pages: u64, share: u64) -> Result<(Measured, Duration, Duration)> {
    let peers = http::Connection::open_many(session.address, 1).await?;
    let next = Rc::new(Cell::new(0u64));
    let marks = Rc::new(RefCell::new(Vec::new()));
    let request = {
        let (next, session) = (Rc::clone(&next), session.clone());
        move |_| request(&session, "URL", next.get())
    };
    let begin = Instant::now();
    let check = {
        let marks = Rc::clone(&marks);
        move |n: u64, reply: &[u8]| {
            let after = next_seq(reply)?;
            ensure!(after >= next.get() + PAGE, "the number did not grow by a page: {after}");
            next.set(after);
            if [share, pages - share, pages].contains(&(n + 1)) {
                marks.borrow_mut().push(begin.elapsed());
            }
            Ok(())
        }
    };
    let all = load::drive(peers, pages, request, check).await?;
    let marks = marks.take();
    ensure!(marks.len() == 3, "too few pages to tell the first from the last");
    Ok((all, marks[0], marks[2] - marks[1]))
}

fn next_seq(reply: &[u8]) -> Result<u64> {
    const NAME: &[u8] = br#""next_seq":"#;
    let at = memchr::memmem::find(reply, NAME).context("a page without next_seq")? + NAME.len();
    let digits = reply[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    Ok(std::str::from_utf8(&reply[at..at + digits])?.parse()?)
}

/// Median time of one request for these types from `start`, in milliseconds.
async fn poll(session: &Session, log_types: &[&str], start: u64, times: u64) -> Result<f64> {
    let request = request_of(session, log_types, start);
    let peers = http::Connection::open_many(session.address, 1).await?;
    let check = |_, reply: &[u8]| {
        ensure!(memchr::memmem::find(reply, br#""error""#).is_none(), "{}", reply.escape_ascii());
        Ok(())
    };
    let measured = load::drive(peers, times, move |_| request.clone(), check).await?;
    Ok(measured.percentile_ms(0.5))
}

/// A server that gives one body to every request, on the stack that our server stands on.
struct Canned(SocketAddr);

impl Canned {
    async fn start(body: Bytes) -> Result<Canned> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        async fn reply(State(body): State<Bytes>, _request: Bytes) -> Bytes {
            body
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // The thread ends with the process: there is nothing in it to be lost.
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener that was just bound");
                let router = Router::new().route("/api/", post(reply)).with_state(body);
                axum::serve(listener, router).await
            })
        });
        Ok(Canned(address))
    }

    async fn drive(&self, request: &Bytes, times: u64) -> Result<Measured> {
        let peers = http::Connection::open_many(self.0, 1).await?;
        let request = request.clone();
        load::drive(peers, times, move |_| request.clone(), |_, _| Ok(())).await
    }
}

/// Ingest while a key is active, against the bare scheme on all cores over the same bytes.
async fn encryption(bench: &Bench, report: &mut Report, texts: &[String]) -> Result<()> {
    report.section(&format!("Ingest with encryption: 1,000 events a request, {BULK_CONNECTIONS} connections"));
    let keys = [("legacy", seal::PrivateKey::from_passphrase(b"bench")), ("standard", standard_key())];
    for (scheme, key) in keys {
        progress(format_args!("encryption at ingest, {scheme}"));
        let public = key.public_key();
        let bare = bare_rate(&public, texts);
        let program = bench.program.as_ref().expect("asked for by the caller");
        let installation = Installation::init(program, &bench.work, scheme)?;
        let server = installation.start()?;
        let session = server.login().await?;
        activate(&session, &public.to_text()).await?;
        let target = format!("/v1/orgs/{}/events?receipts=summary", session.org);
        let requests: Vec<Bytes> = texts
            .chunks_exact(BATCH)
            .map(|batch| {
                let body = batch.join("\n");
                http::request("POST", &target, Some(&session.token), Some("application/x-ndjson"), body.as_bytes())
            })
            .collect();
        let peers = http::Connection::open_many(session.address, BULK_CONNECTIONS).await?;
        let count = requests.len() as u64;
        let measured =
            load::drive(peers, count, move |n| requests[n as usize].clone(), |_, reply| expect_accepted(reply, BATCH))
                .await?;
        report.row(
            format!("{scheme} scheme"),
            &rate_text(&measured, BATCH as u64, "ev/s"),
            &format!("bare scheme on both cores {} ev/s", thousands(bare)),
            Some(measured.per_second(BATCH as u64) / bare),
            Some(Target::AtLeast(0.8)),
        );
        server.stop()?;
        installation.remove()?;
    }
    report.note(
        "The bare scheme encrypts, on all cores and with nothing else to do, texts as long as what is encrypted at ingest: the \
         record and the event.",
    );
    Ok(())
}

fn standard_key() -> seal::PrivateKey {
    seal::PrivateKey::from_scalar(seal::Scheme::Standard, &[7; 32]).expect("the number is a scalar of P-256")
}

/// Records a second of `encrypt_many` on all cores.
fn bare_rate(key: &seal::PublicKey, texts: &[String]) -> f64 {
    let org = service::OrgId::from_bytes([0; 16]);
    let texts: Vec<Vec<u8>> = texts.iter().map(|text| service::extraction::sealed_form(org, text.as_bytes())).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for part in texts.chunks(texts.len().div_ceil(threads)) {
            scope.spawn(move || {
                for batch in part.chunks(BATCH) {
                    std::hint::black_box(key.encrypt_many(batch, &mut seal::SystemRng));
                }
            });
        }
    });
    texts.len() as f64 / begin.elapsed().as_secs_f64()
}

async fn activate(session: &Session, public_key: &str) -> Result<()> {
    let mut connection = http::Connection::open(session.address).await?;
    let keys = format!("/v1/orgs/{}/keys", session.org);
    let body = serde_json::json!({ "name": "bench", "public_key": public_key }).to_string();
    for (target, body) in [(keys.clone(), body.as_str()), (format!("{keys}/bench/activate"), "{}")] {
        let request = http::request("POST", &target, Some(&session.token), Some("application/json"), body.as_bytes());
        connection.exchange(&request).await.context("make a key the active one")?;
    }
    Ok(())
}
