//! Recorded sessions as people meet them: recorded in a terminal, uploaded from files, listed, downloaded; and a server that
//! is killed in the middle.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Server, Trail, json, shared_data, stdout_of};
use serde_json::Value;

fn run(server: &Server, token: &str, arguments: &[&str]) -> Output {
    server.command(token).args(arguments).output().expect("it runs")
}

fn reply(server: &Server, token: &str, arguments: &[&str]) -> Value {
    json(&stdout_of(&server.command(token).args(arguments).arg("--json").output().expect("it runs")))
}

/// The text of every event of an asciicast v3, by its code.
fn cast_text(bytes: &[u8], code: &str) -> String {
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let events = text.lines().skip(1).map(json).filter(|event| event[1] == code);
    events.map(|event| event[2].as_str().expect("text").to_owned()).collect()
}

fn download(server: &Server, token: &str, session: &str) -> Vec<u8> {
    let output = run(server, token, &["sessions", "download", session]);
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn every_real_recording_is_uploaded_once_and_comes_back_byte_for_byte() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let sessions = shared_data().join("sessions");
    let mut files = Vec::new();
    for folder in ["asciicast", "ttyrec", "tlog"] {
        walk(&sessions.join(folder), &mut files);
    }
    // The suite stays short: the largest of them are for the tests of the formats.
    files.retain(|file| fs::metadata(file).expect("readable").len() < 4 << 20);
    files.truncate(40);
    assert!(!files.is_empty());
    let names: Vec<&str> = files.iter().map(|file| file.to_str().expect("UTF-8")).collect();
    let arguments = [&["upload", "--user", "bob", "--host", "web1"][..], &names].concat();
    let sent = reply(&server, &token, &arguments);
    let again = reply(&server, &token, &arguments);
    for ((file, sent), again) in files.iter().zip(list(&sent)).zip(list(&again)) {
        let session = sent["session"].as_str().expect("an id");
        assert_eq!(again["session"], session, "{}", file.display());
        assert_eq!(again["already_there"], true, "{}", file.display());
        assert!(download(&server, &token, session) == fs::read(file).expect("readable"), "{}", file.display());
    }
    let listed = reply(&server, &token, &["sessions", "list", "--user", "bob", "-n", "1000"]);
    let mut expected: Vec<&str> = list(&sent).iter().map(|sent| sent["session"].as_str().expect("an id")).collect();
    let mut found: Vec<&str> = list(&listed).iter().map(|session| session["id"].as_str().expect("an id")).collect();
    // Files with the same bytes are one session.
    expected.sort_unstable();
    found.sort_unstable();
    expected.dedup();
    assert_eq!(found, expected);
    assert!(list(&reply(&server, &token, &["sessions", "list", "--user", "eve"])).is_empty());
}

fn list(document: &Value) -> &[Value] {
    document["sessions"].as_array().expect("sessions")
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_folder_is_one_recording() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let folder = trail.folder.path().join("00/00/01");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("log"), "1700000000:bob:root::/dev/pts/1\n/home\n/bin/sh\n").expect("a file");
    fs::write(folder.join("ttyout"), "hello\r\n").expect("a file");
    let sent = reply(&server, &token, &["upload", folder.to_str().expect("UTF-8"), "--format", "sudo-iolog"]);
    let tar = download(&server, &token, list(&sent)[0]["session"].as_str().expect("an id"));
    let file = trail.folder.path().join("back.tar");
    fs::write(&file, tar).expect("a file");
    let listed = Command::new("tar").arg("tf").arg(&file).output().expect("tar is there");
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "log\nttyout\n");
}

fn record(server: &Server, token: &str, spool: &Path, arguments: &[&str]) -> Output {
    let mut command = server.command(token);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm-256color").env("USER", "bob");
    command.arg("record").arg("--spool").arg(spool).args(arguments);
    common::run_with(command, "")
}

#[test]
fn a_command_is_recorded_while_it_runs_and_exits_as_it_does() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let spool = trail.folder.path().join("spool");
    let script = "printf 'caf\\303\\251 %s\\n' \"$COUNTERFOIL_TOKEN-\"; test -t 1 && echo terminal; exit 7";
    let output =
        record(&server, &token, &spool, &["--title", "a test", "--host", "here", "--", "/bin/sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("café -\r\n"), "the token is not for what is recorded: {shown:?}");
    assert!(shown.contains("terminal"), "{shown:?}");
    assert_eq!(fs::read_dir(&spool).expect("readable").count(), 0, "nothing waits");

    let listed = reply(&server, &token, &["sessions", "list"]);
    let [session] = list(&listed) else { panic!("{listed}") };
    assert_eq!(session["ended"]["exit"], 7, "{session}");
    assert_eq!(session["recording"]["user"]["name"], "bob", "{session}");
    assert_eq!(session["recording"]["format"], "asciicast-v3", "{session}");
    let cast = download(&server, &token, session["id"].as_str().expect("an id"));
    let header: Value = json(String::from_utf8_lossy(&cast).lines().next().expect("a header"));
    assert_eq!((&header["version"], &header["title"]), (&3.into(), &"a test".into()), "{header}");
    assert_eq!(header["term"]["type"], "xterm-256color", "{header}");
    assert_eq!(cast_text(&cast, "o"), shown, "what was shown is what was recorded");
    assert_eq!(cast_text(&cast, "x"), "7");
}

#[test]
fn a_recording_waits_while_the_server_is_away() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let spool = trail.folder.path().join("spool");
    let gone = "http://127.0.0.1:9";
    let output = record(&server, &token, &spool, &["--server", gone, "--", "/bin/echo", "kept"]);
    assert_eq!(output.status.code(), Some(0), "the user's session does not suffer: {output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--spooled"), "{output:?}");
    let waiting = fs::read_dir(&spool).expect("readable").count();
    assert_eq!(waiting, 2, "the recording and its note");
    let upload = || {
        let mut command = server.command(&token);
        command.args(["upload", "--spooled", "--json"]).env("COUNTERFOIL_SPOOL", &spool);
        json(&stdout_of(&command.output().expect("it runs")))
    };
    let sent = upload();
    let session = list(&sent)[0]["session"].as_str().expect("an id");
    // A terminal without a keyboard may echo the end of its input, before or after.
    let shown = cast_text(&download(&server, &token, session), "o");
    assert_eq!(shown.trim(), "kept", "{shown:?}");
    assert_eq!(fs::read_dir(&spool).expect("readable").count(), 0);
    assert!(list(&upload()).is_empty());
}

/// A recording of a few lines; the second one of another user says something else.
fn casts(trail: &Trail) -> [PathBuf; 2] {
    let header = r#"{"version":2,"width":60,"height":6,"timestamp":1767323045}"#;
    let events = |word: &str| {
        format!(
            "{header}\n[0.5,\"o\",\"$ \"]\n[1.0,\"i\",\"backup\\r\"]\n[1.1,\"o\",\"backup\\r\\npermission {word}\\r\\n$ \"]\n\
             [2.5,\"o\",\"\\u001b[2J\\u001b[Hall is well\"]\n"
        )
    };
    ["denied", "granted"].map(|word| {
        let path = trail.folder.path().join(format!("{word}.cast"));
        fs::write(&path, events(word)).expect("a file");
        path
    })
}

#[test]
fn what_was_on_the_screens_is_found_from_the_command_line_and_a_picture_of_it_written() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let files = casts(&trail);
    for (file, user) in files.iter().zip(["bob", "eve"]) {
        reply(&server, &token, &["upload", "--user", user, "--host", "web1", file.to_str().expect("UTF-8")]);
    }
    let search = |arguments: &[&str]| reply(&server, &token, &[&["sessions", "search"][..], arguments].concat());
    let found = search(&["\"permission denied\""]);
    let [one] = list(&found) else { panic!("{found}") };
    let session = one["session"]["id"].as_str().expect("an id");
    let hit = &one["hits"][0];
    assert_eq!((&one["total"], &hit["text"]), (&1.into(), &"permission denied".into()), "{found}");
    assert_eq!(hit["matches"], serde_json::json!([[0, 17]]), "{found}");
    assert_eq!((&hit["appeared_us"], &hit["disappeared_us"]), (&1_100_000.into(), &2_500_000.into()), "{found}");
    assert_eq!((&found["looked_into"], &found["next"]), (&2.into(), &Value::Null), "{found}");
    assert_eq!(list(&search(&["permission"])).len(), 2);
    assert_eq!(list(&search(&["permission", "--user", "eve"])).len(), 1);
    assert!(list(&search(&["permission", "--user", "nobody"])).is_empty());
    let first = search(&["permission", "-n", "1"]);
    let second = search(&["permission", "-n", "1", "--after", first["next"].as_str().expect("there is more")]);
    assert_ne!(list(&first)[0]["session"]["id"], list(&second)[0]["session"]["id"]);

    let picture = trail.folder.path().join("hit.png");
    let output = run(
        &server,
        &token,
        &[
            "sessions",
            "search",
            "command:backup",
            "--session",
            session,
            "--screenshot",
            picture.to_str().expect("UTF-8"),
        ],
    );
    let table = stdout_of(&output);
    assert!(table.starts_with("SCORE") && table.contains("command  backup"), "{table}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1 found") && said.contains(&format!("of session {session} in ")), "{said}");
    assert!(fs::read(&picture).expect("a picture").starts_with(b"\x89PNG\r\n\x1a\n"));

    let bad = run(&server, &token, &["sessions", "search", "(permission"]);
    assert!(!bad.status.success() && String::from_utf8_lossy(&bad.stderr).contains("at character 11"), "{bad:?}");
    let none = run(&server, &token, &["sessions", "search", "nosuchword", "--screenshot", "unwritten.png"]);
    assert!(!none.status.success() && String::from_utf8_lossy(&none.stderr).contains("nothing was found"), "{none:?}");
    let shown = stdout_of(&run(&server, &token, &["sessions", "show", session]));
    assert!(shown.contains("indexed"), "what is known of its content: {shown}");
}

#[test]
fn a_recording_is_played_from_a_file_a_folder_and_the_server() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let [file, _] = casts(&trail);
    let file = file.to_str().expect("UTF-8");
    // As fast as it goes; what is left on, such as a hidden cursor, is put back at the end.
    let expected = "$ backup\r\npermission denied\r\n$ \u{1b}[2J\u{1b}[Hall is well\u{1b}[0m\u{1b}[?25h\r\n";
    let play = |arguments: &[&str]| run(&server, &token, &[&["play", "--speed", "1000"][..], arguments].concat());
    assert_eq!(stdout_of(&play(&[file])), expected);
    assert_eq!(stdout_of(&play(&[file, "--from", "2", "--idle-limit", "0"])), expected);
    let sent = reply(&server, &token, &["upload", file]);
    let session = list(&sent)[0]["session"].as_str().expect("an id");
    assert_eq!(stdout_of(&play(&[session])), expected);

    let folder = trail.folder.path().join("00/00/01");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("log"), "1700000000:bob:root::/dev/pts/1\n/home\n/bin/sh\n").expect("a file");
    fs::write(folder.join("timing"), "4 0.1 7\n").expect("a file");
    fs::write(folder.join("ttyout"), "hello\r\n").expect("a file");
    assert!(stdout_of(&play(&[folder.to_str().expect("UTF-8")])).starts_with("hello\r\n"));

    let cut = trail.folder.path().join("cut.cast");
    fs::write(&cut, "{\"version\":2,\"width\":60,\"height\":6}\n[0.5,\"o\",\"before\"]\n[0.6,\"o\",\"aft")
        .expect("a file");
    let output = play(&[cut.to_str().expect("UTF-8")]);
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && shown.starts_with("before") && said.contains("damaged"), "{output:?}");
    for (arguments, says) in [
        (&["no-such-file"][..], "no file, and no id of a session"),
        (&[file, "--from=-1"], "--from"),
        (&[file, "--format", "vhs"], "vhs"),
        (&["0000000000000000000000"], "404"),
    ] {
        let output = play(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(says), "{arguments:?}: {output:?}");
    }
}

/// Goal: what was acknowledged survives SIGKILL. Method: chunks are sent one by one; after each of a few kills everything
/// that was answered is read back, and the session goes on.
#[test]
fn every_acknowledged_chunk_survives_a_killed_server() {
    let trail = Trail::new();
    let mut server = trail.serve();
    let token = server.token();
    let url = |server: &Server, rest: &str| format!("{}/v1/orgs/{}/sessions{rest}", server.url(), trail.org());
    let bearer = format!("Authorization: Bearer {token}");
    let (status, started) = common::curl(&["-H", &bearer, "-d", r#"{"client_id":"killed"}"#, &url(&server, "")]);
    assert_eq!(status, 201, "{started}");
    let id = json(&started)["id"].as_str().expect("an id").to_owned();
    let mut sent = Vec::new();
    for round in 0..4u8 {
        for n in 0..5u8 {
            let chunk = vec![round * 16 + n; 1_000 + usize::from(n)];
            let file = trail.folder.path().join("chunk");
            fs::File::create(&file).and_then(|mut file| file.write_all(&chunk)).expect("a file");
            let data = format!("@{}", file.display());
            let address = url(&server, &format!("/{id}/chunks?offset={}", sent.len()));
            let (status, reply) = common::curl(&["-H", &bearer, "--data-binary", &data, &address]);
            assert_eq!(status, 201, "{reply}");
            sent.extend(chunk);
        }
        server.kill();
        server = trail.serve();
        assert!(download(&server, &token, &id) == sent, "round {round}");
    }
    let (status, ended) = common::curl(&["-H", &bearer, "-d", "{}", &url(&server, &format!("/{id}/finish"))]);
    assert_eq!((status, &json(&ended)["chunks"]), (200, &20.into()), "{ended}");
    let log = format!("{}/l/{}", server.url(), trail.log_id());
    let verified =
        server.command(&token).args(["verify", "log", &log, "--vkey", trail.vkey()]).output().expect("it runs");
    assert!(verified.status.success(), "{verified:?}");
}

/// Goal: an upload and a download of 2 GB cost the server no memory to speak of. Method: the kernel's high-water mark of
/// its memory, before and after. Run with `--run-ignored all`; it writes 4 GB.
#[test]
#[ignore = "writes 4 GB; `cargo nextest run -p counterfoil --run-ignored all -E 'test(two_gigabytes)'`"]
fn two_gigabytes_are_uploaded_and_read_in_flat_memory() {
    upload_in_flat_memory(2 << 30, 200 << 20);
}

#[test]
fn two_hundred_megabytes_are_uploaded_and_read_in_flat_memory() {
    upload_in_flat_memory(200 << 20, 120 << 20);
}

fn upload_in_flat_memory(bytes: u64, more_max: u64) {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let path = trail.folder.path().join("long.ttyrec");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).expect("a file"));
    let mut word = 88_172_645_463_325_252_u64;
    for _ in 0..bytes / 8 {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        file.write_all(&word.to_le_bytes()).expect("room on the disk");
    }
    file.into_inner().expect("room on the disk");
    let before = high_water(&server);
    let sent = reply(&server, &token, &["upload", path.to_str().expect("UTF-8")]);
    let session = list(&sent)[0]["session"].as_str().expect("an id").to_owned();
    let back = trail.folder.path().join("back");
    let output = run(&server, &token, &["sessions", "download", &session, "-o", back.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{output:?}");
    let after = high_water(&server);
    assert!(Command::new("cmp").arg(&path).arg(&back).status().expect("cmp is there").success());
    assert!(after - before < more_max, "{} MiB more than before", (after - before) >> 20);
}

/// Goal: a recording of 2 GB goes in, is searched and opened at any moment, and the server never holds it. Method: more than a day
/// of a full-screen program that repaints itself ten times a second, with a word somewhere in the middle; the kernel's
/// high-water mark of the server's memory. It prints what it took. Run with `--run-ignored all`; it needs 5 GB of disk.
#[test]
#[ignore = "takes minutes and 5 GB; `cargo nextest run --workspace --run-ignored all -E 'test(two_gigabytes)'`"]
fn two_gigabytes_are_searched_and_opened_at_any_moment_in_flat_memory() {
    look_into_in_flat_memory(2 << 30, 400 << 20);
}

#[test]
fn sixteen_megabytes_are_searched_and_opened_at_any_moment_in_flat_memory() {
    look_into_in_flat_memory(16 << 20, 300 << 20);
}

/// Between two frames of the recording below, in microseconds.
const FRAME_US: u64 = 100_000;

fn look_into_in_flat_memory(bytes: u64, more_max: u64) {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let path = trail.folder.path().join("monitor.ttyrec");
    let (frames, needle) = monitor(&path, bytes);
    let before = high_water(&server);
    let sent_at = std::time::Instant::now();
    let sent = reply(&server, &token, &["upload", path.to_str().expect("UTF-8")]);
    let session = list(&sent)[0]["session"].as_str().expect("an id").to_owned();
    eprintln!("{} MiB, {frames} frames: sent in {:.1?}", bytes >> 20, sent_at.elapsed());
    fs::remove_file(&path).expect("it is ours");

    // Whoever asks first waits for the index; the patience of an answer may end before, the indexing does not.
    let asked_at = std::time::Instant::now();
    let bearer = format!("Authorization: Bearer {token}");
    let base = format!("{}/v1/orgs/{}/sessions/{session}", server.url(), trail.org());
    let get = |path: &str| common::curl(&["-H", &bearer, &format!("{base}{path}")]);
    let content = loop {
        let content = json(&get("").1)["content"].clone();
        if content["state"] == "indexed" {
            break content;
        }
        assert!(asked_at.elapsed().as_secs() < 3_600, "not indexed within an hour");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    eprintln!("indexed {:.1?} later: {content}", asked_at.elapsed());
    assert_eq!((&content["damage"], &content["duration_us"]), (&Value::Null, &((frames - 1) * FRAME_US).into()));

    let asked_at = std::time::Instant::now();
    let found = json(&get("/content?q=haystack%20AND%20needle").1);
    eprintln!("searched in {:.1?}, the index being opened", asked_at.elapsed());
    let [hit] = found["hits"].as_array().expect("hits").as_slice() else { panic!("{found}") };
    assert_eq!(hit["appeared_us"], needle * FRAME_US, "{hit}");
    // Moments all over the recording, in an order that no reader ahead would guess.
    let asked_at = std::time::Instant::now();
    for step in 1..=50 {
        let frame = frames * (step * 37 % 51) / 51;
        let screen = json(&get(&format!("/screen?at_us={}", frame * FRAME_US)).1);
        assert_eq!(screen["text"][0], clock(frame), "{screen}");
    }
    eprintln!("a moment is opened in {:.1?}, by a curl of its own", asked_at.elapsed() / 50);
    let more = high_water(&server) - before;
    eprintln!("{} MiB of memory more than before", more >> 20);
    assert!(more < more_max, "{} MiB more than before", more >> 20);
}

/// A ttyrec of at least so many bytes: a full-screen program of 24 rows that repaints itself. Gives the number of its frames,
/// and the one that shows the needle.
fn monitor(path: &Path, bytes: u64) -> (u64, u64) {
    let mut file = std::io::BufWriter::new(fs::File::create(path).expect("a file"));
    let (mut written, mut frame) = (0, 0);
    // The first frame is as long as any other.
    let frames = bytes.div_ceil(12 + painted(0, 0).len() as u64);
    let needle = frames * 618 / 1000;
    while frame < frames {
        let painted = painted(frame, needle);
        let at_us = frame * FRAME_US;
        let head = [at_us / 1_000_000, at_us % 1_000_000, painted.len() as u64];
        for number in head {
            file.write_all(&u32::try_from(number).expect("it fits").to_le_bytes()).expect("room on the disk");
        }
        file.write_all(painted.as_bytes()).expect("room on the disk");
        (written, frame) = (written + 12 + painted.len() as u64, frame + 1);
    }
    assert!(written >= bytes - bytes / 50, "{written} bytes in {frames} frames");
    file.into_inner().expect("room on the disk");
    (frames, needle)
}

fn clock(frame: u64) -> String {
    format!("up {:02}:{:02}:{:02}.{}", frame / 36_000, frame / 600 % 60, frame / 10 % 60, frame % 10)
}

/// Every cell of a frame; a row changes now and then, each at its own pace.
fn painted(frame: u64, needle: u64) -> String {
    let mut text = format!("\x1b[?25l\x1b[H{}\x1b[K\r\n", clock(frame));
    for row in 1..24 {
        let load = (frame / (row * 40)).wrapping_mul(2_654_435_761 + row) % 1_000;
        let name = ["postgres", "nginx", "sshd", "cron", "java", "haystack"][(row % 6) as usize];
        let seen = if frame == needle && row == 5 { "needle" } else { "ordinary" };
        text += &format!(
            "\x1b[{}m{:>7} \x1b[0m{name:<12}\x1b[1m{load:>5}\x1b[0m {seen:<8} \x1b[44m{}\x1b[0m\x1b[K",
            31 + row % 7,
            4_000 + row,
            "|".repeat((load / 25) as usize)
        );
        text += if row < 23 { "\r\n" } else { "" };
    }
    text
}

/// The most memory that a server ever had, in bytes.
fn high_water(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") << 10
}
