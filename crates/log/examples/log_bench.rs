//! What the log costs, next to what the same bytes cost without it, in one run on one machine.
//!
//! `cargo run --release -p counterfoil-log --example log_bench [EVENTS [FOLDER]]`
//!
//! Measures: durable appends in batches of 1,000 events of about 430 bytes, against the same bytes appended to a plain
//! file with an fdatasync per batch; pages of 1,000; verification against the bare batched hash loop; bytes on disk.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::store::Store;
use log::store::embedded::FolderStore;
use log::{Entropy, InstanceSeed, LogId, Logs, NewEntry, Options, SeededEntropy, SystemClock, SystemEntropy, fsck};

const BATCH: usize = 1_000;
const LOG: LogId = LogId([1; 16]);

/// An event such as a web gateway or an identity server sends: 430 bytes, few users often, many seldom.
fn body(draw: &SeededEntropy, number: u64) -> Vec<u8> {
    const ACTIONS: [(&str, &str); 8] = [
        ("authentication", "LOGIN"),
        ("authentication", "LOGOUT"),
        ("page", "PAGE LOAD"),
        ("page", "PAGE LOAD"),
        ("web", "GET"),
        ("web", "GET"),
        ("web", "POST"),
        ("admin", "UPDATE_USER"),
    ];
    const AGENTS: [&str; 4] = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "curl/8.5.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    ];
    // A crude power law: the smaller of several draws.
    let user = draw.below(5_000).min(draw.below(5_000)).min(draw.below(5_000));
    let (kind, action) = ACTIONS[draw.below(8) as usize];
    let second = number / 50;
    format!(
        concat!(
            "{{\"occurred_at\":\"2026-11-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"kind\":\"{}\",\"action\":\"{}\",\"outcome\":\"{}\",",
            "\"actor\":{{\"id\":\"u-{:05}\",\"name\":\"user{}@example.org\",\"type\":\"person\"}},\"source\":{{\"address\":\"10.{}.{}.{}\",\"port\":{}}},",
            "\"session\":\"{:016x}\",\"targets\":[{{\"type\":\"page\",\"id\":\"/app/{}/view/{}\"}}],\"attributes\":{{\"agent\":\"{}\",\"bytes\":{}}}}}"
        ),
        1 + second / 86_400 % 28,
        second / 3_600 % 24,
        second / 60 % 60,
        second % 60,
        draw.below(1_000),
        kind,
        action,
        if draw.below(12) == 0 { "failure" } else { "success" },
        user,
        user,
        user / 256 % 256,
        user % 256,
        draw.below(4),
        1_024 + draw.below(60_000),
        (user + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        draw.below(40),
        draw.below(100_000),
        AGENTS[(user % 4) as usize],
        draw.below(90_000),
    )
    .into_bytes()
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn folder_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Processor time used so far by all threads: what other processes do to the clock does not change it.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn open(root: &Path) -> log::Result<Logs> {
    let (store, signer) = stores(root);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    Logs::open(store, signer, InstanceSeed::new([9; 32]), "audit.example.org", Options::default(), clock, entropy)
}

fn stores(root: &Path) -> (Arc<dyn Store>, Arc<dyn Store>) {
    (Arc::new(FolderStore::new(root.join("log"))), Arc::new(FolderStore::new(root.join("signer"))))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let with_ids = std::env::var_os("BENCH_IDS").is_some();
    let dir = tempfile::tempdir_in(arguments.next().unwrap_or_else(|| ".".into()))?;
    let draw = SeededEntropy::new(1);
    let batches = events.div_ceil(BATCH as u64);
    let sample: Vec<Vec<u8>> = (0..20 * BATCH as u64).map(|number| body(&draw, number)).collect();
    let bytes_each = sample.iter().map(Vec::len).sum::<usize>() as f64 / sample.len() as f64;
    println!("{events} events of {bytes_each:.0} bytes on average; hashing by {}", tlog::batch::backend());

    // The limit: a plain file.
    let raw_batches = batches.min(300);
    let mut raw = std::fs::File::create(dir.path().join("raw"))?;
    let started = Instant::now();
    for batch in 0..raw_batches {
        let from = (batch as usize * BATCH) % sample.len();
        let bytes: Vec<u8> = sample[from..from + BATCH].concat();
        raw.write_all(&bytes)?;
        raw.sync_data()?;
    }
    let raw_rate = per_second(raw_batches * BATCH as u64, started.elapsed());
    println!("raw append + fdatasync   {raw_rate:>12.0} events/s");
    std::fs::remove_file(dir.path().join("raw"))?;

    let (store, signer) = stores(dir.path());
    Logs::create_folder(&store, &signer, "audit.example.org")?;
    let logs = open(dir.path())?;
    logs.create(LOG)?;
    let cpu_before = cpu_s();
    let mut times = Vec::new();
    let mut making = 0.0;
    let mut appending = Duration::ZERO;
    for batch in 0..batches {
        let made = Instant::now();
        let entries: Vec<NewEntry> = (0..BATCH as u64)
            .map(|i| {
                let mut id = [0; 16];
                if with_ids {
                    draw.fill(&mut id);
                }
                NewEntry::event(id, body(&draw, batch * BATCH as u64 + i))
            })
            .collect();
        making += made.elapsed().as_secs_f64();
        let started = Instant::now();
        logs.append_blocking(LOG, entries)?;
        let took = started.elapsed();
        appending += took;
        times.push(took);
    }
    times.sort_unstable();
    let rate = per_second(batches * BATCH as u64, appending);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "log append, signed       {rate:>12.0} events/s = {:.0} % of raw; batch p50 {:.2} ms, p99 {:.2} ms; {} MiB resident",
        100.0 * rate / raw_rate,
        at(0.5),
        at(0.99),
        resident_mib()
    );
    println!(
        "processor time           {:>12.2} us an event, sealing included ({:.2} more to make it)",
        (cpu_s() - cpu_before - making) * 1e6 / (batches * BATCH as u64) as f64,
        making * 1e6 / (batches * BATCH as u64) as f64
    );
    let (writers, each) = (8, batches.min(200) / 2);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (logs, sample) = (&logs, &sample);
            scope.spawn(move || {
                for batch in 0..each {
                    let from = ((writer + batch) as usize * BATCH) % sample.len();
                    let entries =
                        sample[from..from + BATCH].iter().map(|body| NewEntry::event([0; 16], body.clone())).collect();
                    logs.append_blocking(LOG, entries).expect("the bench's disk works");
                }
            });
        }
    });
    let together = per_second(writers * each * BATCH as u64, started.elapsed());
    println!("same, {writers} writers at once  {together:>12.0} events/s");
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            let (logs, sample) = (&logs, &sample);
            scope.spawn(move || {
                for body in &sample[..100] {
                    let entry = NewEntry::event([0; 16], body.clone());
                    logs.append_blocking(LOG, vec![entry]).expect("the bench's disk works");
                }
            });
        }
    });
    println!("single events, 64 at once{:>12.0} events/s", per_second(6_400, started.elapsed()));
    logs.shutdown();

    let started = Instant::now();
    let logs = open(dir.path())?;
    println!("open                     {:>12.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let size = logs.head(&LOG)?.size;
    while logs.stats().commit_files > 1 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let disk = folder_bytes(&dir.path().join("log"));
    let unsealed = folder_bytes(&dir.path().join("log/commit"));
    let ids = folder_bytes(&dir.path().join("log/ids"));
    let sealed_entries = size as f64 - unsealed as f64 / (bytes_each + 80.0);
    println!(
        "on disk                  {:>12.1} bytes an event when sealed, id index apart ({:.1}); {} segments, {:.1} MiB unsealed",
        (disk - unsealed - ids) as f64 / sealed_entries,
        ids as f64 / sealed_entries,
        logs.stats().segments,
        unsealed as f64 / 1_048_576.0
    );

    for (what, pages, span) in
        [("pages of 1,000, anywhere", 500, size - 1_000), ("pages of 1,000, cached  ", 2_000, 100_000)]
    {
        let started = Instant::now();
        let mut bytes = 0;
        for _ in 0..pages {
            let from = draw.below(span.min(size - 1_000));
            let records = logs.read(&LOG, from..from + 1_000, usize::MAX)?;
            bytes += records.iter().map(|record| record.body.len()).sum::<usize>();
        }
        let time = started.elapsed();
        println!("{what} {:>12.0} pages/s ({:.0} MB/s)", per_second(pages, time), per_second(bytes as u64, time) / 1e6);
    }
    let records = logs.read(&LOG, 5_000..6_000, usize::MAX)?;
    let started = Instant::now();
    assert!(logs.verify_records(&LOG, &records).iter().all(|state| *state == log::RecordState::Verified));
    let first = started.elapsed();
    let started = Instant::now();
    assert!(logs.verify_records(&LOG, &records).iter().all(|state| *state == log::RecordState::Verified));
    println!(
        "verify 1,000 records     {:>12.2} ms, then {:.2} ms",
        first.as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64() * 1e3
    );
    let started = Instant::now();
    for _ in 0..500 {
        logs.prove_inclusion(&LOG, draw.below(size), size)?;
    }
    println!("inclusion proof, checked {:>12.3} ms", started.elapsed().as_secs_f64() * 1e3 / 500.0);
    logs.shutdown();

    // The bare loop: commitment, leaf and node of each event, from memory, on all cores.
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                for _ in 0..10 {
                    let items: Vec<(&[u8; 16], &[u8])> = sample.iter().map(|body| (&[1; 16], &body[..])).collect();
                    let commitments = tlog::batch::commitments(&items);
                    let mut entries = Vec::with_capacity(80 * sample.len());
                    for commitment in &commitments {
                        entries.extend([0; 48]);
                        entries.extend(commitment.0);
                    }
                    let mut leaves = vec![tlog::Hash::default(); sample.len()];
                    tlog::batch::fixed_leaf_hashes_into(&entries, 80, &mut leaves);
                    tlog::Frontier::new().extend(&leaves);
                }
            });
        }
    });
    let bare = per_second(10 * workers as u64 * sample.len() as u64, started.elapsed());
    let (store, signer) = stores(dir.path());
    let started = Instant::now();
    let report = fsck::verify_folder(&store, Some(&signer), &fsck::Request::default(), &|_| ());
    let took = started.elapsed();
    assert_eq!(report.verdict(), fsck::Verdict::Verified, "{report:?}");
    let verified = per_second(report.logs[0].entries_read, took);
    println!("bare hash loop           {bare:>12.0} events/s on {workers} cores");
    println!(
        "verify the folder        {verified:>12.0} events/s = {:.0} % of bare; {:.0} MB/s of files",
        100.0 * verified / bare,
        report.bytes_read as f64 / 1e6 / took.as_secs_f64()
    );
    Ok(())
}
