//! `upload`: recordings from files to a server, each in one streaming request.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cli::{self, About};
use crate::client::Client;
use crate::output;
use crate::recorder::sender::Sending;
use crate::recorder::spool;

/// `counterfoil upload`
pub fn run(args: &cli::Upload) -> anyhow::Result<()> {
    if args.spooled {
        return spooled(args);
    }
    let sources = sources(args)?;
    if args.client_id.is_some() && sources.len() > 1 {
        return Err(output::usage("--client-id names one session; give one recording with it"));
    }
    let mut sent = Vec::new();
    for source in &sources {
        let done = one(args, source).with_context(|| source.name.clone())?;
        if !args.remote.json {
            let there = if done["already_there"] == json!(true) { "already there" } else { "sent" };
            println!(
                "{}: session {}, {} bytes, {there}",
                source.name,
                output::text_at(&done, "/session"),
                done["bytes"]
            );
        }
        sent.push(done);
    }
    if args.remote.json { output::json(&json!({ "sessions": sent })) } else { Ok(()) }
}

/// One recording: started (or taken up), sent from where the server has it, finished.
fn one(args: &cli::Upload, source: &Source) -> anyhow::Result<Value> {
    let client_id = match &args.client_id {
        Some(id) => id.clone(),
        None => source.content_id()?,
    };
    let mut recording = described(&args.about);
    let said = [("format", &args.format), ("started_at", &args.started_at), ("command", &args.command)];
    for (name, value) in said {
        if let Some(value) = value {
            recording[name] = json!(value);
        }
    }
    let client = Client::new(&args.remote)?;
    let sending = Sending::start(Client::new(&args.remote)?, args.org.as_deref(), &client_id, &recording)?;
    let reply = |bytes: u64, there: bool| {
        json!({ "file": source.name, "session": sending.session, "client_id": client_id, "bytes": bytes,
                "already_there": there })
    };
    if sending.over {
        return Ok(reply(sending.sent, true));
    }
    let mut reader = source.open()?;
    skip(&mut reader, sending.sent)?;
    let bar = output::progress(Some(source.bytes), "bytes", true);
    bar.set_position(sending.sent);
    let path = format!("{}/recording?offset={}&finish=true", sending.path, sending.sent);
    let done = client.put_reader(&path, &mut bar.wrap_read(reader));
    bar.finish_and_clear();
    let bytes = done?.get("bytes").and_then(Value::as_u64).context("the server did not say how much it took")?;
    if bytes != source.bytes {
        bail!("the server has {bytes} bytes of {}", source.bytes);
    }
    Ok(reply(bytes, false))
}

fn skip(reader: &mut impl Read, bytes: u64) -> anyhow::Result<()> {
    let skipped = io::copy(&mut reader.take(bytes), &mut io::sink()).context("reading the recording")?;
    if skipped < bytes {
        bail!("the server has {bytes} bytes of this recording, which is only {skipped} long");
    }
    Ok(())
}

/// What `counterfoil record` could not send.
fn spooled(args: &cli::Upload) -> anyhow::Result<()> {
    let folder = spool::folder(args.spool.as_deref())?;
    let mut sent = Vec::new();
    for spooled in spool::waiting(&folder)? {
        let note = &spooled.note;
        let mut file = File::open(&spooled.path).with_context(|| format!("opening {}", spooled.path.display()))?;
        let org = args.org.as_deref().or(note.org.as_deref());
        let mut sending = Sending::start(Client::new(&args.remote)?, org, &note.client_id, &note.recording)?;
        if sending.over && sending.sent < file.metadata().context("reading the recording")?.len() {
            // Waited for in vain: the server ended it. Nothing is removed that it does not have.
            eprintln!(
                "{}: session {} is over on the server with {} bytes; send the file by itself",
                spooled.path.display(),
                sending.session,
                sending.sent
            );
            continue;
        }
        if !sending.over {
            sending.send(&mut file)?;
            sending.finish(note.exit)?;
        }
        sent.push(json!({ "file": spooled.path, "session": sending.session, "bytes": sending.sent }));
        if !args.remote.json {
            println!("{}: session {}, {} bytes, sent", spooled.path.display(), sending.session, sending.sent);
        }
        spooled.remove()?;
    }
    if args.remote.json { output::json(&json!({ "sessions": sent })) } else { Ok(()) }
}

/// What the flags say of a session, as the server takes it.
pub fn described(about: &About) -> Value {
    let mut recording = json!({});
    let members = [
        ("user", "name", &about.user),
        ("user", "gateway_name", &about.gateway_user),
        ("server", "name", &about.host),
        ("server", "address", &about.host_address),
        ("client", "name", &about.client),
        ("client", "address", &about.client_address),
    ];
    for (object, member, value) in members {
        if let Some(value) = value {
            recording[object][member] = json!(value);
        }
    }
    if !about.logins.is_empty() {
        recording["user"]["server_names"] = json!(about.logins);
    }
    for (member, value) in [("protocol", &about.protocol), ("title", &about.title)] {
        if let Some(value) = value {
            recording[member] = json!(value);
        }
    }
    recording
}

/// One recording to be sent: a file as it is, or several as one tar.
struct Source {
    name: String,
    bytes: u64,
    parts: Vec<Part>,
}

/// Some bytes, then a file of which so many belong to it, then zeros.
struct Part {
    before: Vec<u8>,
    file: PathBuf,
    bytes: u64,
    zeros: usize,
}

/// Size of the blocks of a tar.
const BLOCK: usize = 512;

fn sources(args: &cli::Upload) -> anyhow::Result<Vec<Source>> {
    if args.together {
        let files = args.files.iter().map(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            (name.unwrap_or_default(), path.clone())
        });
        let name = args.files.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Ok(vec![Source::tar(name, files.collect())?]);
    }
    let source = |path: &PathBuf| -> anyhow::Result<Source> {
        let found = fs::metadata(path).with_context(|| path.display().to_string())?;
        let name = path.display().to_string();
        if found.is_dir() {
            let mut files = Vec::new();
            collect(path, "", &mut files)?;
            return Source::tar(name, files);
        }
        let part = Part { before: Vec::new(), file: path.clone(), bytes: found.len(), zeros: 0 };
        Ok(Source { name, bytes: found.len(), parts: vec![part] })
    };
    args.files.iter().map(source).collect()
}

/// The files below a folder, in the order of their names, with their names from there.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> anyhow::Result<()> {
    let context = || format!("reading {}", folder.display());
    let entries: Result<Vec<_>, _> = fs::read_dir(folder).with_context(context)?.collect();
    let mut entries = entries.with_context(context)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else if kind.is_file() {
            files.push((name, entry.path()));
        } else {
            bail!("{} is neither a file nor a folder", entry.path().display());
        }
    }
    Ok(())
}

impl Source {
    /// The files as one uncompressed tar (POSIX.1-1988 ustar), as it would be on disk.
    fn tar(name: String, files: Vec<(String, PathBuf)>) -> anyhow::Result<Source> {
        if files.is_empty() {
            bail!("{name} holds no files");
        }
        let mut parts = Vec::new();
        for (name, file) in files {
            let bytes = fs::metadata(&file).with_context(|| file.display().to_string())?.len();
            let zeros = (BLOCK - (bytes % BLOCK as u64) as usize) % BLOCK;
            parts.push(Part { before: tar_header(&name, bytes)?, file, bytes, zeros });
        }
        // Two blocks of zeros end it.
        parts.last_mut().expect("there is at least one file").zeros += 2 * BLOCK;
        let bytes = parts.iter().map(|part| part.before.len() as u64 + part.bytes + part.zeros as u64).sum();
        Ok(Source { name, bytes, parts })
    }

    fn open(&self) -> anyhow::Result<Box<dyn Read + '_>> {
        let mut all: Box<dyn Read + '_> = Box::new(io::empty());
        for part in &self.parts {
            let file = File::open(&part.file).with_context(|| format!("opening {}", part.file.display()))?;
            let zeros = io::repeat(0).take(part.zeros as u64);
            all = Box::new(all.chain(&part.before[..]).chain(Exactly { file, left: part.bytes }).chain(zeros));
        }
        Ok(all)
    }

    /// An id that follows from the bytes.
    fn content_id(&self) -> anyhow::Result<String> {
        let mut hasher = Sha256::new();
        let mut reader = self.open()?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match reader.read(&mut buffer).context("reading the recording")? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        Ok(format!("sha256-{}", hex::encode(hasher.finalize())))
    }
}

/// So many bytes of a file, and an error if it has become shorter.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        match self.file.read(&mut buffer[..most])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

/// The header of one file. Times and owners are left out: the same parts are the same bytes.
fn tar_header(name: &str, bytes: u64) -> anyhow::Result<Vec<u8>> {
    let header = replay::format::tar::header(name, bytes);
    let header = header.with_context(|| format!("{name} is too long for a tar, or its name is (100 bytes, 8 GiB)"))?;
    Ok(header.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_becomes_a_tar_that_tar_reads() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let deep = "d".repeat(90);
        fs::create_dir_all(folder.path().join(&deep)).expect("a folder in it");
        let files = [
            ("log".to_owned(), b"one\n".to_vec()),
            ("ttyout".to_owned(), vec![7; 1024]),
            (format!("{deep}/timing"), vec![]),
        ];
        for (name, bytes) in &files {
            fs::write(folder.path().join(name), bytes).expect("a file in it");
        }
        let mut found = Vec::new();
        collect(folder.path(), "", &mut found).expect("readable");
        let source = Source::tar("x".into(), found).expect("a tar");
        let mut bytes = Vec::new();
        source.open().expect("open").read_to_end(&mut bytes).expect("readable");
        assert_eq!(bytes.len() as u64, source.bytes);
        assert_eq!(source.content_id().expect("an id"), source.content_id().expect("an id"));
        let (tar, out) = (folder.path().join("all.tar"), tempfile::tempdir().expect("a temporary folder"));
        fs::write(&tar, &bytes).expect("a file");
        let listed = std::process::Command::new("tar").arg("xf").arg(&tar).arg("-C").arg(out.path()).status();
        assert!(listed.expect("tar is there").success());
        for (name, bytes) in &files {
            assert_eq!(&fs::read(out.path().join(name)).expect("it was unpacked"), bytes, "{name}");
        }
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error_and_not_a_short_recording() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.cast");
        fs::write(&path, b"0123456789").expect("a file");
        let mut reader = Exactly { file: File::open(&path).expect("open"), left: 11 };
        assert_eq!(reader.read_to_end(&mut Vec::new()).expect_err("too short").kind(), io::ErrorKind::UnexpectedEof);
    }
}
