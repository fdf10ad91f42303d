//! The bare loops we are compared with: the same work without a service around it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use service::NewEvent;

use crate::events::Sample;

/// Events per fdatasync of [`parse_append`]: what eight connections with 1,000 each have under way.
pub const SYNC_EVERY: usize = 8_000;

/// Parses each line of NDJSON with the parser of our ingest and appends its bytes to one file, fdatasync after every
/// [`SYNC_EVERY`] events; one thread, nothing hashed, numbered, signed or compressed. Returns events per second.
pub fn parse_append(work: &Path, samples: &[Sample]) -> Result<f64> {
    let path = work.join("bare-append");
    let mut file = File::create(&path)?;
    let mut text = Vec::new();
    for sample in samples {
        text.extend_from_slice(sample.json.as_bytes());
        text.push(b'\n');
    }
    let begin = Instant::now();
    let mut out = Vec::with_capacity(SYNC_EVERY * 600);
    let mut events = 0;
    let mut at = 0;
    for end in memchr::memchr_iter(b'\n', &text) {
        let line = &text[at..end];
        at = end + 1;
        if let Err(invalid) = NewEvent::from_json(line) {
            anyhow::bail!("the parser refuses a made event: {invalid:?}");
        }
        out.extend_from_slice(line);
        out.push(b'\n');
        events += 1;
        if events % SYNC_EVERY == 0 {
            file.write_all(&out)?;
            file.sync_data()?;
            out.clear();
        }
    }
    file.write_all(&out)?;
    file.sync_data()?;
    let elapsed = begin.elapsed();
    fs::remove_file(&path)?;
    Ok(events as f64 / elapsed.as_secs_f64())
}

/// Hashes, on all cores, what a verifier has to hash for `entries` entries: a commitment over a body of this length with
/// its salt, the 80-byte leaf, and one inner node. Returns entries per second.
pub fn hash_loop(entries: usize, body_bytes: usize) -> Result<f64> {
    const BATCH: usize = 1_024;
    let threads = std::thread::available_parallelism()?.get();
    let batches = entries.div_ceil(BATCH).div_ceil(threads);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                // 64 batches of different bytes: more than the caches hold, as a verifier reading blocks finds them.
                let bodies = vec![thread as u8; 64 * BATCH * body_bytes];
                let entries = vec![thread as u8; BATCH * 80];
                let salt = [7u8; 16];
                for batch in 0..batches {
                    let bodies = &bodies[batch % 64 * BATCH * body_bytes..][..BATCH * body_bytes];
                    let items: Vec<_> = bodies.chunks(body_bytes).map(|body| (&salt, body)).collect();
                    std::hint::black_box(tlog::batch::commitments(&items));
                    let leaves: Vec<_> = entries.chunks(80).collect();
                    let mut level = tlog::batch::leaf_hashes(&leaves);
                    while level.len() > 1 {
                        level = tlog::batch::node_hashes(&level);
                    }
                    std::hint::black_box(level);
                }
            });
        }
    });
    Ok((batches * threads * BATCH) as f64 / begin.elapsed().as_secs_f64())
}

/// Reads every file below a folder from begin to end, one after the other. Returns bytes and time.
pub fn read_all(path: &Path) -> Result<(u64, Duration)> {
    fn walk(path: &Path, buffer: &mut [u8]) -> Result<u64> {
        if path.is_dir() {
            let mut sum = 0;
            for entry in fs::read_dir(path)? {
                sum += walk(&entry?.path(), buffer)?;
            }
            return Ok(sum);
        }
        let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut sum = 0;
        loop {
            let read = file.read(buffer)?;
            if read == 0 {
                return Ok(sum);
            }
            sum += read as u64;
        }
    }
    let begin = Instant::now();
    let bytes = walk(path, &mut vec![0; 1024 * 1024])?;
    Ok((bytes, begin.elapsed()))
}
