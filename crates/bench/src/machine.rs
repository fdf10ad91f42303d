//! Where it was measured: numbers without a machine mean nothing.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

/// The machine, one line each, as Markdown list items.
pub fn describe(work: &Path) -> Result<Vec<String>> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("unknown", |l| l.trim_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism()?;
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let memory_kib: u64 = meminfo
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:"))
        .and_then(|l| l.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(vec![
        format!(
            "{model}, {cores} cores, {:.0} GiB of memory, Linux {}",
            memory_kib as f64 / 1_048_576.0,
            kernel.trim()
        ),
        format!("load average when it began: {load}; above 0.5, something else was running and every rate is too low"),
        format!("hashing: {}", tlog::batch::backend()),
        format!(
            "write + fdatasync on the disk both sides use ({}), medians of 200: at the end of a file 4 KiB {:.2} ms, 1 MiB {:.2} ms; \
             over what is there 4 KiB {:.2} ms, 1 MiB {:.2} ms",
            file_system(work)?,
            sync_ms(work, 4 * 1024, Place::End)?,
            sync_ms(work, 1024 * 1024, Place::End)?,
            sync_ms(work, 4 * 1024, Place::Over)?,
            sync_ms(work, 1024 * 1024, Place::Over)?
        ),
    ])
}

/// Type of the file system that holds `path`: the longest mount point that is a prefix.
fn file_system(path: &Path) -> Result<String> {
    let path = path.canonicalize()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mount = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.len() > 2 && path.starts_with(fields[1]))
        .max_by_key(|fields| fields[1].len());
    Ok(mount.map_or("unknown", |fields| fields[2]).to_owned())
}

/// Where a probe writes: a file that grows costs a journal commit of the file system at every sync.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    End,
    Over,
}

fn sync_ms(work: &Path, bytes: usize, place: Place) -> Result<f64> {
    const TIMES: usize = 200;
    let path = work.join("sync-probe");
    let mut file = File::create(&path)?;
    let block = vec![0x5a; bytes];
    if place == Place::Over {
        for _ in 0..TIMES {
            file.write_all(&block)?;
        }
        file.sync_all()?;
        file.rewind()?;
    }
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begin = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[TIMES / 2].as_secs_f64() * 1_000.0)
}
