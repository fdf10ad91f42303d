//! `prove` and `verify`: what one person takes out of a server, another checks with files alone; and every damage shows in the exit
//! status: 1 tainted, 2 usage, 3 could not be decided. Nothing unread ever yields 0.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Server, Trail, counterfoil, curl, json};
use serde_json::Value;

/// Runs the program to its end: exit status, and the JSON it printed.
fn run(mut command: std::process::Command) -> (i32, Value) {
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = serde_json::from_str(text.trim()).unwrap_or(Value::Null);
    if value.is_null() {
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    (output.status.code().expect("not killed"), value)
}

fn verify(arguments: &[&str]) -> (i32, Value) {
    let mut command = counterfoil();
    command.arg("verify").args(arguments).arg("--json");
    run(command)
}

/// A server with a few events in it.
struct World {
    trail: Trail,
    server: Server,
    token: String,
}

impl World {
    fn new() -> World {
        let trail = Trail::new();
        let server = trail.serve();
        let token = server.token();
        let world = World { trail, server, token };
        for n in 0..6 {
            world.send(&format!(r#"{{"action":"doc.read","actor":"ben","correlation":"c{n}"}}"#));
        }
        world
    }

    fn send(&self, event: &str) -> u64 {
        let bearer = format!("Authorization: Bearer {}", self.token);
        let (status, reply) =
            curl(&[&format!("{}/v1/orgs/Acme/events", self.server.url()), "-H", &bearer, "-d", event]);
        assert_eq!(status, 201, "{reply}");
        json(&reply)["seq"].as_u64().expect("a number")
    }

    fn prove(&self, arguments: &[&str], to: &Path) -> (i32, Value) {
        let mut command = self.server.command(&self.token);
        command.arg("prove").args(arguments).arg("--json").arg("-o").arg(to);
        run(command)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.trail.folder.path().join(name)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Row 22 of the attack table: every way to write the same proof otherwise, or to put more or less into it.
#[test]
fn a_malformed_proof_is_refused_whatever_is_wrong_with_it() {
    let world = World::new();
    let seq = world.send(r#"{"action":"doc.sign"}"#);
    let folder = world.path("one");
    assert_eq!(world.prove(&["event", "--seq", &seq.to_string()], &folder).0, 0);
    let (proof, entry) = (folder.join("proof"), folder.join("entry"));
    let check = ["proof", text(&proof), "--entry", text(&entry), "--vkey", world.trail.vkey()];
    let genuine = fs::read_to_string(&proof).expect("made");
    let lines: Vec<&str> = genuine.split('\n').collect();
    let index = seq - 1;
    let at = lines.iter().position(|line| *line == format!("index {index}")).expect("the index has a line");
    let first = lines[at + 1];
    assert_eq!(first.len(), 44, "{genuine}");
    let (before, checkpoint) = genuine.split_once("\n\n").expect("a proof and a checkpoint");
    assert_eq!(verify(&check).0, 0);
    // The last letter before the padding of 32 bytes carries two bits that are nobody's.
    let slack = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".as_bytes();
    let last = slack.iter().position(|letter| *letter == first.as_bytes()[42]).expect("base64");
    let unclean = format!("{}{}=", &first[..42], char::from(slack[last ^ 1]));
    for (what, changed) in [
        ("a hash too many", genuine.replacen(first, &format!("{first}\n{first}"), 1)),
        ("a hash too few", genuine.replacen(&format!("{first}\n"), "", 1)),
        ("no hashes", format!("{}\n\n{checkpoint}", lines[..=at].join("\n"))),
        ("base64 with slack bits", genuine.replacen(first, &unclean, 1)),
        ("base64 without padding", genuine.replacen(first, first.trim_end_matches('='), 1)),
        ("an index with a zero in front", genuine.replacen(&format!("index {index}"), &format!("index 0{index}"), 1)),
        ("an index with a sign", genuine.replacen(&format!("index {index}"), &format!("index +{index}"), 1)),
        ("an index beyond the tree", genuine.replacen(&format!("index {index}"), "index 99999", 1)),
        ("an index beyond all numbers", genuine.replacen(&format!("index {index}"), "index 99999999999999999999", 1)),
        ("other ends of lines", genuine.replace('\n', "\r\n")),
        ("another header", genuine.replacen("@v1", "@v2", 1)),
        ("no checkpoint", before.to_owned()),
        ("a checkpoint that nobody signed", genuine.split_once("\n\u{2014}").expect("a signature").0.to_owned()),
        ("nothing", String::new()),
    ] {
        assert_ne!(changed, genuine, "{what}");
        fs::write(&proof, &changed).expect("written");
        let (code, said) = verify(&check);
        assert_eq!(code, 1, "{what}: {said}");
    }
}

/// Changes one byte of a file, checks, and puts it back.
fn damaged(path: &Path, at: usize, check: impl FnOnce()) {
    let bytes = fs::read(path).expect("read");
    let mut changed = bytes.clone();
    changed[at] ^= 1;
    fs::write(path, changed).expect("written");
    check();
    fs::write(path, bytes).expect("written");
}

#[test]
fn one_event_is_proven_by_its_entry_or_by_its_body_and_salt() {
    let world = World::new();
    let seq = world.send(r#"{"action":"doc.sign","actor":"eve"}"#);
    let folder = world.path("one");
    let (code, made) = world.prove(&["event", "--seq", &seq.to_string()], &folder);
    assert_eq!((code, &made["body"]), (0, &Value::Bool(true)), "{made}");
    let file = |name: &str| folder.join(name);
    assert!(String::from_utf8(fs::read(file("body")).unwrap()).unwrap().contains("doc.sign"));
    let salt = fs::read_to_string(file("salt")).unwrap();
    let vkey = world.trail.vkey();
    let (proof, entry, body) = (file("proof"), file("entry"), file("body"));
    let by_entry = ["proof", text(&proof), "--entry", text(&entry), "--vkey", vkey];
    let by_body = ["proof", text(&proof), "--event", text(&body), "--salt", salt.trim(), "--vkey", vkey];
    for arguments in [&by_entry[..], &by_body[..]] {
        let (code, said) = verify(arguments);
        assert_eq!((code, &said["verdict"], &said["seq"]), (0, &"verified".into(), &seq.into()), "{said}");
        assert!(said["outside"].as_str().is_some_and(|note| note.contains("nobody outside")), "{said}");
    }
    damaged(&entry, 60, || assert_eq!(verify(&by_entry).0, 1));
    damaged(&body, 40, || assert_eq!(verify(&by_body).0, 1));
    damaged(&proof, fs::read(&proof).unwrap().len() - 30, || assert_eq!(verify(&by_entry).0, 1));
    let other = "0".repeat(32);
    assert_eq!(verify(&["proof", text(&proof), "--event", text(&body), "--salt", &other, "--vkey", vkey]).0, 1);
    let stranger = tlog::note::SignerKey::from_seed(vkey.split('+').next().unwrap(), &[1; 32]).unwrap();
    assert_eq!(
        verify(&["proof", text(&proof), "--entry", text(&entry), "--vkey", &stranger.verifier().to_string()]).0,
        1
    );
    // Usage is 2, a file that is not there leaves it undecided.
    assert_eq!(verify(&["proof", text(&proof), "--entry", text(&entry)]).0, 2);
    assert_eq!(verify(&["proof", text(&proof), "--entry", text(&entry), "--vkey", "nonsense"]).0, 2);
    assert_eq!(verify(&["proof", text(&proof), "--entry", "/nowhere", "--vkey", vkey]).0, 3);
    // The proof that the server answers with carries as much.
    let bearer = format!("Authorization: Bearer {}", world.token);
    let url = format!("{}/l/{}/proof/{}", world.server.url(), world.trail.log_id(), seq - 1);
    fs::write(&proof, curl(&[&url, "-H", &bearer]).1).unwrap();
    assert_eq!(verify(&by_body).0, 0);
}

#[test]
fn a_search_becomes_a_bundle_that_stands_alone_as_a_folder_and_as_a_zip_file() {
    let world = World::new();
    let vkey = world.trail.vkey();
    let (folder, zip) = (world.path("evidence"), world.path("evidence.zip"));
    for path in [&folder, &zip] {
        let (code, made) = world.prove(&["search", "action:doc.read", "--vkey", vkey], path);
        assert_eq!((code, made["events"].as_array().map(Vec::len)), (0, Some(6)), "{made}");
        let (code, said) = verify(&["bundle", text(path), "--vkey", vkey]);
        assert_eq!((code, &said["verdict"]), (0, &"verified".into()), "{said}");
        assert_eq!(said["events"].as_array().map(Vec::len), Some(6));
    }
    let bundle = ["bundle", text(&folder), "--vkey", vkey];
    let body = fs::read_dir(folder.join("bodies")).unwrap().next().unwrap().unwrap().path();
    damaged(&body, 30, || {
        let (code, said) = verify(&bundle);
        assert_eq!((code, &said["divergences"][0]["reason"]), (1, &"record_changed".into()), "{said}");
    });
    damaged(&folder.join("checkpoint"), 70, || assert_eq!(verify(&bundle).0, 1));
    // Without the entries nobody can say.
    let (entries, aside) = (folder.join("tile/entries"), world.path("aside"));
    fs::rename(&entries, &aside).unwrap();
    assert_eq!(verify(&bundle).0, 3);
    fs::rename(&aside, &entries).unwrap();
    assert_eq!(verify(&bundle).0, 0);
    // A search that finds nothing proves nothing.
    let (code, _) = world.prove(&["search", "action:never"], &world.path("none"));
    assert_eq!(code, 3);
    assert!(!world.path("none").exists());
}

#[test]
fn a_whole_log_is_taken_out_with_its_bodies_and_verifies_without_the_server() {
    let world = World::new();
    let (vkey, folder) = (world.trail.vkey(), world.path("export"));
    let (code, made) = world.prove(&["log", "--vkey", vkey], &folder);
    assert_eq!((code, &made["verdict"]), (0, &"verified".into()), "{made}");
    drop(world.server);
    let log = ["log", text(&folder), "--vkey", vkey];
    let (code, said) = verify(&log);
    assert_eq!(
        (code, &said["verdict"], &said["entries_read"]),
        (0, &"verified".into(), &made["entries_expected"]),
        "{said}"
    );
    assert!(said["bodies_checked"].as_u64().is_some_and(|count| count >= 6), "{said}");
    let pack = fs::read_dir(folder.join("disclosed/000.p")).unwrap().next().unwrap().unwrap().path();
    let length = fs::read(&pack).unwrap().len();
    damaged(&pack, length - 3, || {
        let (code, said) = verify(&log);
        assert_eq!((code, &said["divergences"][0]["reason"]), (1, &"record_changed".into()), "{said}");
    });
    fs::remove_file(&pack).unwrap();
    assert_eq!(verify(&log).0, 3, "bodies that are not there are not verified");
    fs::remove_dir_all(folder.join("disclosed")).unwrap();
    assert_eq!(verify(&log).0, 0, "an export without bodies promises none");
    assert_eq!(
        verify(&["log", text(world.trail.folder.path()), "--vkey", vkey]).0,
        3,
        "neither a data folder nor an export"
    );
}

#[test]
fn growth_is_proven_from_a_remembered_checkpoint_and_watched() {
    let world = World::new();
    let vkey = world.trail.vkey();
    let address = format!("{}/l/{}", world.server.url(), world.trail.log_id());
    let bearer = format!("Authorization: Bearer {}", world.token);
    let old = world.path("old");
    fs::write(&old, curl(&[&format!("{address}/checkpoint"), "-H", &bearer]).1).unwrap();
    let watch = || {
        let mut command = world.server.command(&world.token);
        command
            .args(["watch", &address, "--vkey", vkey, "--looks", "1", "--json", "--remember"])
            .arg(world.path("seen"));
        run(command)
    };
    assert_eq!(watch().0, 0);
    for _ in 0..5 {
        world.send(r#"{"action":"doc.read"}"#);
    }
    let (code, said) = watch();
    assert_eq!((code, &said["verdict"]), (0, &"verified".into()), "{said}");

    let body = world.path("body");
    let (code, _) = world.prove(&["extends", "--from", text(&old)], &body);
    assert_eq!(code, 0);
    let extends = ["extends", text(&old), text(&body), "--vkey", vkey];
    let (code, said) = verify(&extends);
    assert_eq!((code, &said["verdict"]), (0, &"verified".into()), "{said}");
    damaged(&body, 10, || assert_ne!(verify(&extends).0, 0));
    // A newer checkpoint alone says nothing about an older one; the same one does.
    let new = world.path("new");
    fs::write(&new, fs::read_to_string(&body).unwrap().split_once("\n\n").unwrap().1).unwrap();
    assert_eq!(verify(&["extends", text(&old), text(&new), "--vkey", vkey]).0, 3);
    assert_eq!(verify(&["extends", text(&new), text(&new), "--vkey", vkey]).0, 0);
    assert_eq!(verify(&["extends", text(&new), text(&old), "--vkey", vkey]).0, 1, "rolled back");
}

#[test]
fn a_search_is_verified_and_shown_to_be_complete() {
    let world = World::new();
    for (arguments, evaluated) in
        [(&["search", "action:doc.read"][..], false), (&["search", "action:doc.read", "--complete"], true)]
    {
        let mut command = world.server.command(&world.token);
        command.arg("verify").args(arguments).arg("--json");
        let (code, said) = run(command);
        assert_eq!((code, &said["verdict"], &said["hits"]), (0, &"verified".into(), &6.into()), "{said}");
        assert_eq!(said["evaluated"].as_u64().is_some_and(|count| count >= 6), evaluated, "{said}");
        assert!(said["outside"].as_str().is_some(), "{said}");
    }
}

impl World {
    fn operate(&self, arguments: &[&str]) -> Value {
        let mut command = self.server.command(&self.token);
        command.args(arguments).arg("--json");
        let (code, said) = run(command);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said
    }

    /// Sends this many events at once.
    fn fill(&self, count: usize) {
        let events = vec![r#"{"action":"doc.read"}"#; count].join(",");
        let bearer = format!("Authorization: Bearer {}", self.token);
        let url = format!("{}/v1/orgs/Acme/events", self.server.url());
        let file = self.path("batch");
        fs::write(&file, format!("[{events}]")).unwrap();
        let (status, reply) = curl(&[&url, "-H", &bearer, "-d", &format!("@{}", text(&file))]);
        assert_eq!(status, 200, "{reply}");
    }
}

#[test]
fn a_pruned_log_is_verified_watched_and_taken_out_and_nobody_else_may_leave_entries_out() {
    let world = World::new();
    let vkey = world.trail.vkey();
    let address = format!("{}/l/{}", world.server.url(), world.trail.log_id());
    let bearer = format!("Authorization: Bearer {}", world.token);
    world.fill(100);
    // The head that covers a key note is kept for ever, so growth from it is provable for ever.
    world.operate(&["key", "rotate", "--reason", "yearly"]);
    let watch = |memory: &str| {
        let mut command = world.server.command(&world.token);
        command
            .args(["watch", &address, "--vkey", vkey, "--looks", "1", "--json", "--remember"])
            .arg(world.path(memory));
        run(command)
    };
    let keys = json(&curl(&[&format!("{address}/keys"), "-H", &bearer]).1);
    let first_size = keys["keys"][1]["first_size"].as_u64().expect("a second key");
    let note = curl(&[&format!("{address}/key-notes/{}", first_size - 1), "-H", &bearer]);
    assert!(note.0 == 200 && note.1.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{note:?}");
    let kept = note.1.rsplit_once("\n\n").unwrap().0.rsplit_once("\n\n").unwrap().1;
    let size: u64 = kept.lines().nth(1).unwrap().parse().unwrap();
    let kept = curl(&[&format!("{address}/checkpoint/{size}"), "-H", &bearer]).1;
    fs::write(world.path("kept"), &kept).unwrap();
    fs::write(world.path("kept-too"), &kept).unwrap();
    world.fill(700);
    world.operate(&["log", "prune", "--below", "600", "--reason", "kept for a year"]);

    let check = |source: &str, more: &[&str]| {
        let mut command = world.server.command(&world.token);
        command.args(["verify", "log", source, "--vkey", vkey, "--json"]).args(more);
        run(command)
    };
    let (code, said) = check(&address, &[]);
    assert_eq!((code, &said["entries_pruned"]), (0, &512.into()), "{said}");
    assert_eq!(said["entries_read"], said["entries_expected"], "{said}");
    let (code, said) = check(&address, &["--since", text(&world.path("kept"))]);
    assert_eq!((code, &said["verdict"]), (0, &"verified".into()), "growth from what was archived: {said}");
    let (code, said) = watch("kept-too");
    assert_eq!((code, &said["verdict"]), (0, &"verified".into()), "{said}");
    // Another root at that size is another history.
    let mut lines: Vec<&str> = kept.lines().collect();
    lines[2] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fs::write(world.path("forged"), lines.join("\n") + "\n").unwrap();
    let (code, said) = check(&address, &["--since", text(&world.path("forged"))]);
    assert_eq!((code, &said["divergences"][0]["reason"]), (1, &"forked".into()), "{said}");
    assert_eq!(watch("forged").0, 1);

    let folder = world.path("export");
    let (code, made) = world.prove(&["log", "--vkey", vkey], &folder);
    assert_eq!((code, &made["entries_pruned"]), (0, &512.into()), "{made}");
    let of_export = || verify(&["log", text(&folder), "--vkey", vkey]);
    assert_eq!(of_export().0, 0);
    // Whoever hides more than the log's own note says is found out.
    let state = fs::read_to_string(folder.join("state")).unwrap();
    fs::write(folder.join("state"), state.replace("\"minimum_index\":512", "\"minimum_index\":768")).unwrap();
    let (code, said) = of_export();
    assert_eq!((code, &said["divergences"][0]["reason"]), (1, &"record_missing".into()), "{said}");
    fs::write(folder.join("state"), state).unwrap();
    damaged(&folder.join("tile/1/000.p/3"), 5, || assert_eq!(of_export().0, 1, "a hash of what is pruned"));
}

#[test]
fn a_log_that_took_the_place_of_another_goes_on_with_its_numbers_and_both_are_proven() {
    let world = World::new();
    let (old_key, old_log) = (world.trail.vkey(), world.trail.log_id().to_owned());
    let first = world.send(r#"{"action":"old.one"}"#);
    world.operate(&["log", "close", "--reason", "moving"]);
    world.operate(&["log", "open", "--reason", "moving"]);
    let second = world.send(r#"{"action":"new.one"}"#);
    assert!(second > first, "{second} after {first}");

    let found = world.operate(&["query"]);
    let events = found["events"].as_array().expect("events");
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.contains(&first) && seqs.contains(&second), "{seqs:?}");

    let address = format!("{}/l/{old_log}", world.server.url());
    let mut command = world.server.command(&world.token);
    command.args(["verify", "log", &address, "--vkey", old_key, "--json"]);
    let (code, said) = run(command);
    assert_eq!(code, 0, "the older log is where it was: {said}");

    let (code, made) = world.prove(&["event", "--seq", &first.to_string(), "--vkey", old_key], &world.path("event"));
    assert_eq!(code, 0, "{made}");
    let folder = world.path("event");
    let (proof, entry) = (folder.join("proof"), folder.join("entry"));
    assert_eq!(verify(&["proof", text(&proof), "--entry", text(&entry), "--vkey", old_key]).0, 0);
    let seq = second.to_string();
    let (code, made) = world.prove(&["event", "--seq", &seq], &world.path("newer"));
    assert_eq!(code, 0, "{made}");
    assert_ne!(made["origin"].as_str().unwrap_or_default().rsplit('/').next(), Some(&*old_log), "{made}");

    let (code, made) = world.prove(&["log", "--vkey", old_key, "--holding", &first.to_string()], &world.path("export"));
    assert_eq!((code, &made["verdict"]), (0, &"verified".into()), "{made}");
    let mut command = world.server.command(&world.token);
    command.args(["prove", "search", "action:old.one OR action:new.one", "--json", "-o"]).arg(world.path("both"));
    assert_eq!(run(command).0, 2, "a bundle holds events of one log");
    let (code, made) = world.prove(
        &["search", "action:old.one", "--holding", &first.to_string(), "--vkey", old_key],
        &world.path("bundle"),
    );
    assert_eq!(code, 0, "{made}");
    assert_eq!(verify(&["bundle", text(&world.path("bundle")), "--vkey", old_key]).0, 0);
}
