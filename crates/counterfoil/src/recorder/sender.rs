//! Sending a recording: what is in a file from where the server says that it ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use super::spool::Note;
use crate::client::Client;

/// Most bytes of one chunk: the server takes up to 8 MiB.
const CHUNK_BYTES: u64 = 4 << 20;

/// How long what was written may wait before it is sent.
const SEND_EVERY: Duration = Duration::from_secs(1);

/// Pauses between tries while the server is away: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// A session on the server that a file is sent to.
pub struct Sending {
    client: Client,
    /// `/v1/orgs/{org}/sessions/{session}`
    pub path: String,
    /// The session's id.
    pub session: String,
    /// Bytes that the server has.
    pub sent: u64,
    /// It was over already.
    pub over: bool,
}

impl Sending {
    /// Starts the session, or takes it up again.
    pub fn start(client: Client, org: Option<&str>, client_id: &str, recording: &Value) -> anyhow::Result<Sending> {
        let org = client.org(org)?;
        let new = json!({ "client_id": client_id, "recording": recording });
        let started = client.post(&format!("/v1/orgs/{org}/sessions"), &new)?;
        let text = |name: &str| started.get(name).and_then(Value::as_str);
        let session = text("id").context("the server did not say which session it started")?.to_owned();
        let sent = started.get("bytes").and_then(Value::as_u64).context("the server did not say what it has")?;
        let over = started.get("active") == Some(&Value::Bool(false));
        Ok(Sending { path: format!("/v1/orgs/{org}/sessions/{session}"), client, session, sent, over })
    }

    /// Sends what the file has beyond what the server has. Each chunk is durable there before the next is read.
    pub fn send(&mut self, file: &mut File) -> anyhow::Result<()> {
        loop {
            file.seek(SeekFrom::Start(self.sent)).context("reading the recording")?;
            let mut bytes = Vec::new();
            file.take(CHUNK_BYTES).read_to_end(&mut bytes).context("reading the recording")?;
            if bytes.is_empty() {
                return Ok(());
            }
            let path = format!("{}/chunks?offset={}", self.path, self.sent);
            self.client.post_bytes(&path, "application/octet-stream", &bytes)?;
            self.sent += bytes.len() as u64;
        }
    }

    /// Says that this was all of it.
    pub fn finish(&self, exit: Option<i64>) -> anyhow::Result<Value> {
        let finish = json!({ "exit": exit, "bytes": self.sent });
        self.client.post(&format!("{}/finish", self.path), &finish)
    }
}

/// Sends a file while it is written, until `over` says how it ended (or its other end is gone). An error says why the
/// server does not have all of it; the file then stays where it is.
pub fn follow(remote: &crate::cli::Remote, note: &Note, path: &Path, over: &Receiver<i64>) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut sending = None;
    let (mut pause, mut exit) = (SEND_EVERY, None);
    loop {
        let tried = attempt(remote, note, &mut sending, &mut file, exit);
        match tried {
            Ok(Some(session)) => return Ok(session),
            Ok(None) => pause = SEND_EVERY,
            // The command is over: nobody should wait for a server that is away.
            Err(error) if exit.is_some() => return Err(error),
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "the recording could not be sent on; it is tried again");
                // Whatever the server has of it, it says when the session is taken up again.
                sending = None;
                pause = (pause * 2).clamp(RETRY_FIRST, RETRY_LONGEST);
            }
        }
        match over.recv_timeout(pause) {
            Ok(status) => exit = Some(Some(status)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => exit = Some(None),
        }
    }
}

/// Sends what there is; with `exit` finishes the session and gives its id.
fn attempt(
    remote: &crate::cli::Remote,
    note: &Note,
    sending: &mut Option<Sending>,
    file: &mut File,
    exit: Option<Option<i64>>,
) -> anyhow::Result<Option<String>> {
    let sending = match sending {
        Some(sending) => sending,
        None => {
            let client = Client::new(remote)?;
            sending.insert(Sending::start(client, note.org.as_deref(), &note.client_id, &note.recording)?)
        }
    };
    if sending.over {
        return Err(anyhow!("session {} is over on the server; the rest of it was not sent", sending.session));
    }
    sending.send(file)?;
    let Some(exit) = exit else { return Ok(None) };
    sending.finish(exit)?;
    Ok(Some(sending.session.clone()))
}
