//! The measured server: made, started, logged in to, watched and stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http::{self, Connection};
use crate::load::Peer;

const LOGIN: &str = "bench@example.org";
const PASSWORD: &str = "correct horse battery staple bench";
/// A server that is busy with itself for longer than this is not going to be quiet.
const QUIET_WITHIN: Duration = Duration::from_secs(30 * 60);

/// A data folder and the program that serves it.
pub struct Installation {
    program: PathBuf,
    pub data: PathBuf,
    work: PathBuf,
}

impl Installation {
    /// Makes a data folder `name` below `work` with one organisation and one administrator.
    pub fn init(program: &Path, work: &Path, name: &str) -> Result<Installation> {
        let data = work.join(name);
        let mut child = Command::new(program)
            .args(["init", "--password-stdin", "--json", "--org", "Bench", "--admin", LOGIN, "--data"])
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("run {}", program.display()))?;
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(format!("{PASSWORD}\n").as_bytes()).context("give init its password")?;
        drop(stdin);
        let status = child.wait()?;
        ensure!(status.success(), "counterfoil init: {status}");
        Ok(Installation { program: program.to_owned(), data, work: work.to_owned() })
    }

    /// Starts the server and waits for its `ready` line.
    pub fn start(&self) -> Result<Server> {
        let errors = self.work.join("server.stderr");
        let begin = Instant::now();
        let mut child = Command::new(&self.program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().append(true).create(true).open(&errors)?)
            .spawn()
            .with_context(|| format!("run {}", self.program.display()))?;
        // The script stops whatever this file names if we cannot.
        fs::write(self.work.join("server.pid"), child.id().to_string())?;
        let mut lines = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut server =
            Server { child, address: ([127, 0, 0, 1], 0).into(), ready_after: Duration::ZERO, stopped: false };
        let mut line = String::new();
        loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                let said = fs::read_to_string(&errors).unwrap_or_default();
                bail!("the server stopped before it was ready: {}", said.lines().last().unwrap_or("it said nothing"));
            }
            if let Some(address) = line.trim().strip_prefix("ready http://") {
                server.ready_after = begin.elapsed();
                server.address = address.parse().with_context(|| format!("not an address: {address}"))?;
                break;
            }
        }
        // Nobody must block the server by not reading what it prints.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(server)
    }

    /// Runs `counterfoil verify log` on the folder, which must not be served, and says how long it took.
    pub fn verify(&self) -> Result<Duration> {
        let begin = Instant::now();
        let output = Command::new(&self.program).args(["verify", "log"]).arg(&self.data).output()?;
        let elapsed = begin.elapsed();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "verify log: {}: {said}", output.status);
        Ok(elapsed)
    }

    pub fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.data).with_context(|| format!("remove {}", self.data.display()))
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From starting the process to its `ready` line.
    pub ready_after: Duration,
    stopped: bool,
}

/// Memory of the server's process, in KiB; source: proc(5), `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub resident: u64,
    /// The part that is not pages of files.
    pub anonymous: u64,
}

impl Server {
    pub async fn login(&self) -> Result<Session> {
        let mut connection = Connection::open(self.address).await?;
        let body = format!(r#"{{"login":"{LOGIN}","password":"{PASSWORD}"}}"#);
        let request = http::request("POST", "/v1/login", None, Some("application/json"), body.as_bytes());
        let reply: Value = serde_json::from_slice(connection.exchange(&request).await.context("log in")?)?;
        let token = reply["token"].as_str().context("the login reply has no token")?.to_owned();
        let request = http::request("GET", "/v1/me", Some(&token), None, b"");
        let me: Value = serde_json::from_slice(connection.exchange(&request).await.context("get /v1/me")?)?;
        let org = me["organisation"]["id"].as_str().with_context(|| format!("no organisation.id in {me}"))?;
        Ok(Session { address: self.address, token, org: org.to_owned() })
    }

    pub fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<u64> {
            let line =
                status.lines().find_map(|l| l.strip_prefix(name)).with_context(|| format!("no {name} in status"))?;
            Ok(line.trim_matches([':', ' ', '\t', 'k', 'B']).parse()?)
        };
        Ok(Memory { resident: field("VmRSS")?, anonymous: field("RssAnon")? })
    }

    /// Processor time used so far, in clock ticks (10 ms); source: proc(5), `/proc/PID/stat`, fields 14 and 15.
    pub fn ticks(&self) -> Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').context("stat has no name")?.1;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        Ok(fields.get(11).context("stat is short")?.parse::<u64>()?
            + fields.get(12).context("stat is short")?.parse::<u64>()?)
    }

    /// Processor time used so far in microseconds: by the living threads of each name, and by all there ever were (`total`).
    pub fn processor_us(&self) -> Result<BTreeMap<String, u64>> {
        let mut by_name = BTreeMap::from([("total".to_owned(), self.ticks()? * 10_000)]);
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let task = task?.path();
            // A thread may end between the listing and the reading.
            let (Ok(name), Ok(times)) =
                (fs::read_to_string(task.join("comm")), fs::read_to_string(task.join("schedstat")))
            else {
                continue;
            };
            // Source: sched-stats.rst of the kernel: nanoseconds on a processor come first.
            let on_cpu_ns: u64 = times.split(' ').next().unwrap_or_default().parse().context("schedstat")?;
            let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            *by_name.entry(name).or_default() += on_cpu_ns / 1_000;
        }
        Ok(by_name)
    }

    /// Waits until the server has nothing more to do (indexing, sealing), and says after how long that was.
    ///
    /// "Nothing" is below 4 % of one processor for two seconds; those two seconds are not counted.
    pub async fn quiet(&self) -> Result<Duration> {
        const WINDOW: Duration = Duration::from_millis(250);
        let begin = Instant::now();
        let (mut quiet_windows, mut quiet_since, mut before) = (0, Duration::ZERO, self.ticks()?);
        while quiet_windows < 8 {
            ensure!(begin.elapsed() < QUIET_WITHIN, "the server is still busy after {QUIET_WITHIN:?}");
            tokio::time::sleep(WINDOW).await;
            let now = self.ticks()?;
            if now - before > 1 {
                quiet_windows = 0;
                quiet_since = begin.elapsed();
            } else {
                quiet_windows += 1;
            }
            before = now;
        }
        Ok(quiet_since)
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let status = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(status.success(), "kill: {status}");
        let status = self.child.wait()?;
        self.stopped = true;
        ensure!(status.success(), "the server did not stop cleanly: {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stopped {
            // Already on the way out with an error: nothing better can be done if these fail.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What was used between two readings of [`Server::processor_us`], for each of `events`: `total 12.3, log-writer 4.5 …`, in µs.
pub fn processor_text(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, events: usize) -> String {
    let used = |name: &String, us: &u64| {
        us.saturating_sub(before.get(name).copied().unwrap_or_default()) as f64 / events as f64
    };
    let mut parts: Vec<(f64, &String)> = after.iter().map(|(name, us)| (used(name, us), name)).collect();
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let texts = parts.iter().filter(|(us, _)| *us >= 0.05).map(|(us, name)| format!("{name} {us:.1}"));
    texts.collect::<Vec<_>>().join(", ")
}

/// Somebody who may send to and read from the organisation.
#[derive(Clone, Debug)]
pub struct Session {
    pub address: SocketAddr,
    pub token: String,
    pub org: String,
}

/// Disk blocks taken by everything below a folder, in bytes, as `du` counts.
pub fn disk_bytes(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(path).with_context(|| format!("look at {}", path.display()))?;
    let mut sum = meta.blocks() * 512;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            sum += disk_bytes(&entry?.path())?;
        }
    }
    Ok(sum)
}
