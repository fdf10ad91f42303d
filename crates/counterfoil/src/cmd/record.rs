//! `record`: a command in a pseudo-terminal, recorded and sent while it runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use replay::format::asciicast::{Version, Writer};
use replay::format::{Event, Format, Header, Size, What};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli;
use crate::recorder::sender;
use crate::recorder::spool::{self, Note, Spooled};
use crate::recorder::terminal::{self, Raw};

/// Pieces of output that wait to be shown; then the command waits.
const WAITING: usize = 64;

/// Once the command is over, its output is over when nothing comes for this long: a process it left behind may keep the
/// terminal open for ever.
const QUIET: Duration = Duration::from_millis(150);

/// What happens while a command runs.
enum Happened {
    Output(Vec<u8>),
    Input(Vec<u8>),
    Resized((u16, u16)),
    /// Nothing more will come from the terminal.
    OutputEnded,
    Exited(i64),
}

/// `counterfoil record`: exits as the command did.
pub fn run(args: &cli::Record) -> anyhow::Result<ExitCode> {
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    let command = if args.command.is_empty() { vec![shell.clone()] } else { args.command.clone() };
    let started = Timestamp::now();
    let size = terminal::size();
    let mut recording = super::upload::described(&args.about);
    let line = command.join(" ");
    recording["format"] = json!("asciicast-v3");
    recording["started_at"] = json!(format!("{started:.6}"));
    recording["command"] = json!(line);
    recording["size"] = json!({ "columns": size.0, "rows": size.1 });
    if recording.pointer("/user/name").is_none()
        && let Ok(user) = std::env::var("USER")
        && !user.is_empty()
    {
        recording["user"]["name"] = json!(user);
    }
    let note = Note {
        server: args.remote.server.clone(),
        org: args.org.clone(),
        client_id: client_id(started)?,
        recording,
        exit: None,
    };
    let (mut spooled, file) = spool::begin(&spool::folder(args.spool.as_deref())?, note)?;
    let mut header = Header::new(Format::AsciicastV3);
    header.size = Size::new(size.0.into(), size.1.into());
    header.started_at_us = u64::try_from(started.as_microsecond()).ok();
    header.command = Some(line);
    header.title.clone_from(&args.about.title);
    header.terminal_type = std::env::var("TERM").ok();
    header.environment.insert("SHELL".to_owned(), shell);
    let writer = Writer::new(&file, Version::V3, &header).context("writing the recording")?;

    let (tell, over) = mpsc::channel();
    let sending = {
        let (remote, note, path) = (args.remote.clone(), spooled.note.clone(), spooled.path.clone());
        thread::spawn(move || sender::follow(&remote, &note, &path, &over))
    };
    let played = play(&command, args.input, Recording { writer: Some(writer), failed: None });
    let ended = match &played {
        Ok(ended) => ended.status,
        Err(_) => 1,
    };
    if let Err(error) = spooled.over(ended) {
        eprintln!("counterfoil: {error:#}");
    }
    if let Some(keep) = &args.keep {
        keep_copy(&spooled.path, keep)?;
    }
    // A sender that is gone already has said why; its thread tells below.
    let _ = tell.send(ended);
    let sent = sending.join().map_err(|_| anyhow!("the sender stopped badly"))?;
    drop(file);
    report(args, spooled, sent);
    let played = played?;
    if let Some(error) = played.failed {
        eprintln!("counterfoil: the recording is incomplete: {error}");
    }
    Ok(ExitCode::from(u8::try_from(played.status & 0xff).unwrap_or(1)))
}

fn report(args: &cli::Record, spooled: Spooled, sent: anyhow::Result<String>) {
    match sent {
        Ok(session) => {
            if args.remote.json {
                eprintln!("{}", json!({ "session": session }));
            } else {
                eprintln!("counterfoil: recorded as session {session}");
            }
            if let Err(error) = spooled.remove() {
                eprintln!("counterfoil: {error:#}");
            }
        }
        Err(error) => {
            eprintln!("counterfoil: the recording was not sent: {error:#}");
            eprintln!("counterfoil: it waits in {}; `counterfoil upload --spooled` sends it", spooled.path.display());
        }
    }
}

fn keep_copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::copy(from, to).with_context(|| format!("keeping the recording in {}", to.display()))?;
    Ok(())
}

fn client_id(started: Timestamp) -> anyhow::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| anyhow!("asking the system for randomness: {error}"))?;
    Ok(format!("record-{:013x}-{}", started.as_millisecond(), hex::encode(random)))
}

/// How a command ended.
struct Ended {
    status: i64,
    /// Why the recording lacks something.
    failed: Option<io::Error>,
}

/// The recording, until it cannot be written: the user's session goes on without it.
struct Recording<'a> {
    writer: Option<Writer<&'a File>>,
    failed: Option<io::Error>,
}

impl Recording<'_> {
    fn event(&mut self, at: Duration, what: What) {
        let event = Event { at_us: u64::try_from(at.as_micros()).unwrap_or(u64::MAX), what };
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.event(&event)
        {
            // Half a line in the middle would make the rest unreadable.
            (self.writer, self.failed) = (None, Some(error));
        }
    }

    fn finish(mut self) -> Option<io::Error> {
        let finished = self.writer.take().map(Writer::finish);
        self.failed.or_else(|| finished?.err())
    }
}

/// Runs the command in a terminal of its own; what it writes goes to ours and into the recording.
fn play(command: &[String], with_input: bool, recording: Recording<'_>) -> anyhow::Result<Ended> {
    let size = terminal::size();
    let pair = native_pty_system().openpty(pty_size(size)).map_err(|e| anyhow!("opening a terminal: {e}"))?;
    let mut builder = CommandBuilder::new(&command[0]);
    builder.args(&command[1..]);
    builder.cwd(std::env::current_dir().context("the working folder")?);
    // What is recorded must not be able to read what it is recorded with.
    builder.env_remove("COUNTERFOIL_TOKEN");
    let started = Instant::now();
    let mut child = pair.slave.spawn_command(builder).map_err(|e| anyhow!("running {}: {e}", command[0]))?;
    // Its end of the terminal is its own: ours would keep it open.
    drop(pair.slave);
    let reader = pair.master.try_clone_reader().map_err(|e| anyhow!("reading the terminal: {e}"))?;
    let writer = pair.master.take_writer().map_err(|e| anyhow!("writing to the terminal: {e}"))?;

    let raw = Raw::enter().context("preparing the terminal")?;
    let (tell, happened) = mpsc::sync_channel(WAITING);
    let ((to_screen, to_keyboard), (to_size, to_exit)) = ((tell.clone(), tell.clone()), (tell.clone(), tell));
    thread::spawn(move || read_output(reader, &to_screen));
    thread::spawn(move || pass_input(writer, with_input, &to_keyboard));
    thread::spawn(move || watch_size(&to_size));
    thread::spawn(move || {
        let status = child.wait().map_or(1, |status| i64::from(status.exit_code()));
        // Whoever listened is gone: so is this program.
        drop(to_exit.send(Happened::Exited(status)));
    });
    let ended = record(&happened, started, &*pair.master, recording);
    drop(raw);
    Ok(ended)
}

/// The one loop in which things happen in one order: on the screen, then in the recording.
fn record(
    happened: &Receiver<Happened>,
    started: Instant,
    master: &dyn MasterPty,
    mut recording: Recording<'_>,
) -> Ended {
    let mut status = 1;
    let (mut exited, mut output_ended) = (false, false);
    while !(exited && output_ended) {
        let next = match exited {
            false => happened.recv().map_err(|_| RecvTimeoutError::Disconnected),
            true => happened.recv_timeout(QUIET),
        };
        let at = started.elapsed();
        match next {
            Err(_) => break,
            Ok(Happened::Output(bytes)) => {
                let mut screen = io::stdout().lock();
                // A screen that is gone must not end the command; it will see so itself.
                let _ = screen.write_all(&bytes).and_then(|()| screen.flush());
                recording.event(at, What::Output(bytes));
            }
            Ok(Happened::Input(bytes)) => recording.event(at, What::Input(bytes)),
            Ok(Happened::Resized((columns, rows))) => {
                if let Err(error) = master.resize(pty_size((columns, rows))) {
                    tracing::debug!(%error, "the terminal could not be resized");
                }
                if let Some(size) = Size::new(columns.into(), rows.into()) {
                    recording.event(at, What::Resize(size));
                }
            }
            Ok(Happened::OutputEnded) => output_ended = true,
            Ok(Happened::Exited(with)) => (status, exited) = (with, true),
        }
    }
    recording.event(started.elapsed(), What::Exit(status));
    Ended { status, failed: recording.finish() }
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn read_output(mut reader: Box<dyn Read + Send>, tell: &SyncSender<Happened>) {
    let mut buffer = vec![0; 64 << 10];
    // On Linux the end is an error (EIO): every process has closed its side.
    while let Ok(read) = reader.read(&mut buffer)
        && read > 0
    {
        if tell.send(Happened::Output(buffer[..read].to_vec())).is_err() {
            return;
        }
    }
    drop(tell.send(Happened::OutputEnded));
}

fn pass_input(mut writer: Box<dyn Write + Send>, is_recorded: bool, tell: &SyncSender<Happened>) {
    let mut buffer = vec![0; 4 << 10];
    let mut input = io::stdin().lock();
    while let Ok(read) = input.read(&mut buffer)
        && read > 0
    {
        if is_recorded && tell.send(Happened::Input(buffer[..read].to_vec())).is_err() {
            return;
        }
        if writer.write_all(&buffer[..read]).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
    // Dropping the writer tells the command that nothing more comes (end of file, where standard input is no terminal).
}

fn watch_size(tell: &SyncSender<Happened>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
        while changes.recv().await.is_some() {
            if tell.send(Happened::Resized(terminal::size())).is_err() {
                return;
            }
        }
    });
}
