//! Real recorders in a real terminal: what they record goes in, is found through the SPS endpoint, and is drawn.
//!
//! Goal: a recording is read as its recorder writes it today, not as we think it does. Method: each recorder runs the same
//! small program in a pseudo-terminal of 80 by 24, in which a person answers a password prompt without echo and a question
//! with it; then the recording is uploaded, searched and looked at.
//!
//! Recorders that are not installed are skipped and said so on standard error; with `COUNTERFOIL_REQUIRE_TOOLS=1` that fails.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use common::{ADMIN, PASSWORD, Server, Trail, json, stdout_of};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;

/// What a person types when something is asked: without echo, with it.
const SECRET: &str = "tellnobody";
const ANSWER: &str = "fortytwo";

/// The program that is recorded; a word runs over the edge of the screen, another is gone when it ends.
const PROGRAM: &str = "\
stty -echo; printf 'Password: '; read -r secret; stty echo; printf '\\n'
printf 'Number? '; read -r number
printf 'the number is \\033[1;32m%s\\033[0m\\n' \"$number\"
printf '%76sboundary\\n' ''
sleep 0.2
printf '\\033[2J\\033[Hbefore the caf\\303\\251 closes\\n'
sleep 0.2
";

/// Longest time without a sign of life of a recorder; it only ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_asciinema_records_is_found_and_drawn() {
    let Some(asciinema) = tool("asciinema") else { return };
    check("asciicast-v2", |at, program| {
        let file = at.join("session.cast");
        let mut command = CommandBuilder::new(&asciinema);
        command.args(["rec", "-q", "-c", program]);
        command.arg(&file);
        command.env("ASCIINEMA_CONFIG_HOME", at);
        (command, vec![file])
    });
}

#[test]
fn what_script_records_is_found_and_drawn() {
    let Some(script) = tool("script") else { return };
    check("script", |at, program| {
        let (log, timing) = (at.join("typescript"), at.join("timing"));
        let mut command = CommandBuilder::new(&script);
        // Input is recorded as well: what is typed must not become what was shown.
        command.args(["-q", "-c", program, "--log-io"]);
        command.arg(&log);
        command.arg("--log-timing");
        command.arg(&timing);
        (command, vec![log, timing])
    });
}

#[test]
fn what_ttyrec_records_is_found_and_drawn() {
    let Some(ttyrec) = tool("ttyrec") else { return };
    check("ttyrec", |at, program| {
        let file = at.join("session.tty");
        let mut command = CommandBuilder::new(&ttyrec);
        command.args(["-e", program]);
        command.arg(&file);
        (command, vec![file])
    });
}

#[test]
fn what_tlog_records_is_found_and_drawn() {
    let Some(tlog) = tool("tlog-rec") else { return };
    if !Path::new("/run/utmp").exists() {
        // It notes in there who is logged in, and gives up where it cannot.
        return skip("tlog-rec needs /run/utmp, which is not there");
    }
    check("tlog", |at, program| {
        let file = at.join("session.log");
        let mut command = CommandBuilder::new(&tlog);
        command.arg("--writer=file");
        command.arg(format!("--file-path={}", file.display()));
        command.args(["--", "/bin/sh", "-c", program]);
        (command, vec![file])
    });
}

#[test]
fn what_sudo_records_is_found_and_drawn() {
    let (Some(sudo), Some(unshare)) = (tool("sudo"), tool("unshare")) else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("sudo with rules of our own needs root");
    }
    check("sudo-iolog", |at, program| {
        // Its rules are for this test only: they lie over those of the machine, for nobody but this one process.
        let rules = at.join("sudoers");
        let text = format!(
            "root ALL=(ALL:ALL) ALL\nDefaults log_output, log_input, iolog_dir={}, iolog_file=io\n",
            at.display()
        );
        fs::write(&rules, text).expect("a file");
        fs::set_permissions(&rules, std::os::unix::fs::PermissionsExt::from_mode(0o440)).expect("it is ours");
        let mut command = CommandBuilder::new(&unshare);
        command.args([
            "--mount",
            "/bin/sh",
            "-c",
            "mount --bind \"$1\" /etc/sudoers && exec \"$2\" /bin/sh -c \"$3\"",
            "sh",
        ]);
        command.arg(&rules);
        command.arg(&sudo);
        command.arg(program);
        (command, vec![at.join("io")])
    });
}

/// Records, uploads, finds, looks. `recorder` is given a folder of its own and the program as one line for a shell; it gives
/// the command, and the files that are one recording.
fn check(format: &str, recorder: impl FnOnce(&Path, &str) -> (CommandBuilder, Vec<PathBuf>)) {
    let trail = Trail::new();
    let at = trail.folder.path().join("recorded");
    fs::create_dir(&at).expect("a folder");
    let program = at.join("program.sh");
    fs::write(&program, PROGRAM).expect("a file");
    let (command, files) = recorder(&at, &format!("/bin/sh {}", program.display()));
    let shown = in_terminal(command, &[("Password: ", SECRET), ("Number? ", ANSWER)]);
    assert!(shown.contains(ANSWER) && !shown.contains(SECRET), "the program itself: {shown:?}");

    let server = trail.serve();
    let token = server.token();
    let mut upload = server.command(&token);
    upload.args(["upload", "--json", "--user", "bob"]).args((files.len() > 1).then_some("--together")).args(&files);
    let sent = json(&stdout_of(&upload.output().expect("it runs")));
    let session = sent["sessions"][0]["session"].as_str().expect("an id").to_owned();

    let look = Look { trail: &trail, server: &server, token: &token, session: &session };
    for (word, cells) in [(ANSWER, "number is fortytwo"), ("boundary", "boun"), ("caf%C3%A9", "before the café closes")]
    {
        let hit = look.found(word).unwrap_or_else(|| panic!("{format}: {word} is not found"));
        let record = hit["record_id"]["for_screenshot"].as_u64().expect("a number");
        let screen = look.native(&format!("screen?number={record}"));
        let (rows, size) = (screen["text"].to_string(), (&screen["columns"], &screen["rows"]));
        assert!(rows.contains(cells), "{format}: the screen of {word} shows {rows}");
        assert_eq!(size, (&80.into(), &24.into()), "{format}");
        let picture = look.picture(record);
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{format}");
        // Nine by eighteen pixels for each cell.
        assert_eq!((&picture[16..20], &picture[20..24]), (&[0, 0, 2, 208][..], &[0, 0, 1, 176][..]), "{format}");
        assert!(picture.len() <= 40_000, "{format}: {} bytes", picture.len());
    }
    assert!(look.found(SECRET).is_none(), "{format}: what was not echoed is found");
    let known = look.native("");
    let content = &known["content"];
    assert_eq!((&content["state"], &content["format"]), (&"indexed".into(), &format.into()), "{known}");
    assert_eq!((&content["damage"], &content["notices"]), (&Value::Null, &Value::Array(Vec::new())), "{known}");
}

/// Runs a command in a pseudo-terminal and types an answer when it asks. Gives all that was shown.
fn in_terminal(mut command: CommandBuilder, answers: &[(&str, &str)]) -> String {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    command.env("TERM", "xterm-256color");
    command.env("SHELL", "/bin/sh");
    // Recorders insist on a locale that can say what they record.
    command.env("LANG", "C.UTF-8");
    command.env("LC_ALL", "C.UTF-8");
    let mut child = pair.slave.spawn_command(command).expect("it starts");
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().expect("its output");
    let mut keyboard = pair.master.take_writer().expect("its input");
    let (tell, shown) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // A terminal whose programs are gone ends in an error on Linux.
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            if tell.send(buffer[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    let (mut all, mut answered, mut asked_up_to) = (Vec::new(), 0, 0);
    loop {
        match shown.recv_timeout(PATIENCE) {
            Ok(bytes) => all.extend(bytes),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("nothing happened for {PATIENCE:?} after {:?}", String::from_utf8_lossy(&all));
            }
        }
        if let Some((question, answer)) = answers.get(answered)
            && let Some(place) = find(&all[asked_up_to..], question.as_bytes())
        {
            keyboard.write_all(format!("{answer}\r").as_bytes()).expect("it reads");
            (answered, asked_up_to) = (answered + 1, asked_up_to + place + question.len());
        }
    }
    let status = child.wait().expect("it ends");
    let all = String::from_utf8_lossy(&all).into_owned();
    assert!(status.success() && answered == answers.len(), "{status:?}: {all}");
    all
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

/// A session on a server, looked at as a client of the vendor's API and of our own would.
struct Look<'a> {
    trail: &'a Trail,
    server: &'a Server,
    token: &'a str,
    session: &'a str,
}

impl Look<'_> {
    /// The best hit of a query through the SPS endpoint.
    fn found(&self, query: &str) -> Option<Value> {
        let (status, reply) = self.sps(&[], &format!("content/?q={query}"));
        assert_eq!(status, 200, "{reply}");
        json(&reply)["items"].get(0).cloned()
    }

    /// The picture of a screen, drawn and fetched as the vendor's clients do.
    fn picture(&self, record: u64) -> Vec<u8> {
        let (status, reply) = self.sps(&["-X", "POST"], &format!("_generate?record_ids={record}"));
        assert_eq!(status, 200, "{reply}");
        let file = self.trail.folder.path().join("screen.png");
        let (status, _) = self.sps(&["-o", file.to_str().expect("UTF-8")], &format!("screenshots/{record}"));
        assert_eq!(status, 200);
        fs::read(file).expect("a picture")
    }

    fn sps(&self, arguments: &[&str], path: &str) -> (u16, String) {
        let jar = self.trail.folder.path().join("cookies");
        let jar = jar.to_str().expect("UTF-8");
        if !Path::new(jar).exists() {
            let user = format!("{ADMIN}:{PASSWORD}");
            let address = format!("{}/api/authentication", self.server.url());
            let (status, reply) = common::curl(&["-u", &user, "-c", jar, &address]);
            assert_eq!(status, 200, "{reply}");
        }
        let address = format!("{}/api/audit/sessions/{}/{path}", self.server.url(), self.session);
        common::curl(&[&["-b", jar][..], arguments, &[&address]].concat())
    }

    fn native(&self, path: &str) -> Value {
        let address = format!("{}/v1/orgs/{}/sessions/{}", self.server.url(), self.trail.org(), self.session);
        let address = if path.is_empty() { address } else { format!("{address}/{path}") };
        let (status, reply) = common::curl(&["-H", &format!("Authorization: Bearer {}", self.token), &address]);
        assert_eq!(status, 200, "{reply}");
        json(&reply)
    }
}

/// Where a program is; says so and gives nothing if it is not installed.
fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

fn skip(what: &str) {
    assert!(
        std::env::var_os("COUNTERFOIL_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "{what}, and COUNTERFOIL_REQUIRE_TOOLS=1 forbids to skip; run scripts/install-test-tools.sh"
    );
    eprintln!("skipped: {what}");
}
