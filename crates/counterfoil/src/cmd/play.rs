//! `play`: a recording on this terminal.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use replay::format::{DETECT_BYTES, Format, Part, Reader, What, detect_in, tar};

use crate::cli;
use crate::client::{Client, escaped};
use crate::output;

/// `counterfoil play`
pub fn run(args: &cli::Play) -> anyhow::Result<()> {
    let is_time = |seconds: f64| seconds.is_finite() && (0.0..=1e9).contains(&seconds);
    if !(args.speed > 0.0 && is_time(args.speed) && is_time(args.from) && args.idle_limit.is_none_or(is_time)) {
        return Err(output::usage("--speed, --from and --idle-limit are numbers of 0 and more, the speed above 0"));
    }
    let format = args.format.as_deref().map(|name| name.parse::<Format>().map_err(|e| output::usage(e.to_string())));
    let format = format.transpose()?;
    let path = Path::new(&args.what);
    let mut parts = if path.is_dir() {
        folder(path)?
    } else if path.exists() {
        parts(File::open(path).with_context(|| format!("opening {}", path.display()))?, &args.what)?
    } else {
        fetched(args)?
    };
    let found = detect_in(&mut parts).context("reading the recording")?;
    let Some(format) = format.or(found) else {
        bail!("{} is no recording that is known here; --format says which", args.what)
    };
    let mut reader = Reader::open(format, parts)?;
    let idle_us = match args.idle_limit {
        Some(seconds) => Some((seconds * 1e6) as u64),
        None => reader.header().idle_limit_us,
    };
    let mut clock =
        Clock { from_us: (args.from * 1e6) as u64, idle_us, speed: args.speed, last_us: 0, due: Instant::now() };
    let mut screen = io::stdout().lock();
    let played = loop {
        match reader.next() {
            Ok(Some(event)) => {
                clock.wait_for(event.at_us);
                if let What::Output(bytes) = &event.what {
                    screen.write_all(bytes)?;
                    screen.flush()?;
                }
            }
            Ok(None) => break Ok(()),
            Err(damage) => break Err(damage),
        }
    };
    // Colours and modes that the recording left on end with it.
    screen.write_all(b"\x1b[0m\x1b[?25h\r\n")?;
    for notice in reader.notices() {
        eprintln!("counterfoil: {notice}");
    }
    played.context("the recording is damaged; all before it was played")
}

/// The recording's time against ours.
struct Clock {
    from_us: u64,
    idle_us: Option<u64>,
    speed: f64,
    last_us: u64,
    due: Instant,
}

impl Clock {
    fn wait_for(&mut self, at_us: u64) {
        let pause = self.pause_us(at_us);
        self.last_us = at_us;
        // From due time to due time: what writing took does not add up.
        self.due += Duration::from_secs_f64(pause as f64 / 1e6 / self.speed);
        thread::sleep(self.due.saturating_duration_since(Instant::now()));
    }

    /// What before `from` happened is played at once.
    fn pause_us(&self, at_us: u64) -> u64 {
        let pause = at_us.saturating_sub(self.last_us.max(self.from_us));
        self.idle_us.map_or(pause, |most| pause.min(most))
    }
}

/// The parts of one file: itself, or what is in it if it is a tar.
fn parts(mut file: File, name: &str) -> anyhow::Result<Vec<Part<'static>>> {
    let mut begin = Vec::new();
    Read::by_ref(&mut file).take(DETECT_BYTES as u64).read_to_end(&mut begin).context("reading the recording")?;
    file.seek(SeekFrom::Start(0)).context("reading the recording")?;
    if tar::is_tar(&begin) {
        return Ok(tar::parts_of_tar(file)?);
    }
    Ok(vec![Part::new(name, io::BufReader::new(file))])
}

fn folder(path: &Path) -> anyhow::Result<Vec<Part<'static>>> {
    let context = || format!("reading {}", path.display());
    let mut parts = Vec::new();
    for entry in fs::read_dir(path).with_context(context)? {
        let entry = entry.with_context(context)?;
        if entry.file_type().with_context(context)?.is_file() {
            let file = File::open(entry.path()).with_context(context)?;
            parts.push(Part::new(entry.file_name().to_string_lossy(), io::BufReader::new(file)));
        }
    }
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(parts)
}

/// The recording of a session, through a file that nobody else sees.
fn fetched(args: &cli::Play) -> anyhow::Result<Vec<Part<'static>>> {
    let is_id = args.what.len() == 22 && args.what.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !is_id {
        bail!("{} is no file, and no id of a session", args.what);
    }
    let client = Client::new(&args.remote)?;
    let path = format!("/v1/orgs/{}/sessions/{}/recording", client.org(args.org.as_deref())?, escaped(&args.what));
    let mut file = nameless()?;
    io::copy(&mut client.open(&path)?.into_reader(), &mut file).context("fetching the recording")?;
    file.seek(SeekFrom::Start(0)).context("reading the recording")?;
    parts(file, &args.what)
}

/// A file without a name: it is gone when this program is.
fn nameless() -> anyhow::Result<File> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("asking the system for randomness: {error}"))?;
    let path = std::env::temp_dir().join(format!("counterfoil-play-{}", hex::encode(random)));
    let mut options = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.with_context(|| format!("making {}", path.display()))?;
    fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_cut_and_what_came_before_the_beginning_is_played_at_once() {
        let mut clock = Clock { from_us: 1_000, idle_us: Some(500), speed: 1.0, last_us: 0, due: Instant::now() };
        let mut pauses = Vec::new();
        for at_us in [10, 900, 1_200, 1_300, 9_000] {
            pauses.push(clock.pause_us(at_us));
            clock.last_us = at_us;
        }
        assert_eq!(pauses, [0, 0, 200, 100, 500]);
    }
}
