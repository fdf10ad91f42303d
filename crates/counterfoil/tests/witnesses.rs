//! Witnesses, and what a thief of the key can do: real servers, a real witness, nothing else.
//!
//! A log rewritten and signed again with the stolen key (issue 4, Must show 4) is accepted by whoever looks for the first time, and
//! refused by anyone with a remembered checkpoint, by the guarded signer, and by a witness. The thief here holds a copy of the data
//! folder, key included, from before the events that are to disappear; it writes other ones instead.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{ADMIN, PASSWORD, Server, Trail, counterfoil, curl, json, run_with, stdout_of};
use serde_json::Value;
use tlog::note::VerifierKey;

/// Looks at most this often for something that a server does by itself; each look is a request.
const LOOKS_MAX: usize = 3_000;

/// A running `counterfoil witness`; killed when dropped.
struct Witness {
    child: Child,
    url: String,
    vkey: String,
    settings: PathBuf,
}

impl Witness {
    fn make(folder: &Path, vkeys: &[&str]) -> Witness {
        let settings = folder.join("witness.toml");
        let logs: String = vkeys.iter().map(|vkey| format!("[[log]]\nvkey = \"{vkey}\"\n")).collect();
        let text = format!(
            "name = \"witness.example/w1\"\nlisten = \"127.0.0.1:0\"\nkey = \"w.key\"\nstate = \"w.state\"\n{logs}"
        );
        fs::write(&settings, text).expect("written");
        let mut init = counterfoil();
        init.arg("--config").arg(&settings).args(["witness", "--init"]);
        let vkey = stdout_of(&init.output().expect("it runs")).trim().to_owned();
        Witness::start(&settings, &vkey)
    }

    fn start(settings: &Path, vkey: &str) -> Witness {
        let mut command = counterfoil();
        command.arg("--config").arg(settings).arg("witness").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the witness starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        let url = line.trim().strip_prefix("ready ").expect("ready").to_owned();
        Witness { child, url, vkey: vkey.to_owned(), settings: settings.to_owned() }
    }

    fn again(mut self) -> Witness {
        self.child.kill().expect("killed");
        self.child.wait().expect("it ends");
        Witness::start(&self.settings, &self.vkey)
    }

    /// A policy that asks for this witness, in a file.
    fn policy(&self, folder: &Path) -> PathBuf {
        let path = folder.join("policy");
        fs::write(&path, format!("witness w1 {} {}\nquorum w1\n", self.vkey, self.url)).expect("written");
        path
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of a server whose logs this policy's witnesses are asked to cosign.
fn configured(folder: &Path, policy: &Path) -> String {
    let path = folder.join("serve.toml");
    fs::write(&path, format!("[witnesses]\npolicy = {policy:?}\nevery_seconds = 1\npatience_seconds = 3600\n"))
        .expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

fn send(server: &Server, token: &str, action: &str) -> u16 {
    let bearer = format!("Authorization: Bearer {token}");
    let event = format!(r#"{{"action":"{action}","actor":"ben"}}"#);
    curl(&[&format!("{}/v1/orgs/Acme/events", server.url()), "-H", &bearer, "-d", &event]).0
}

fn get(server: &Server, token: &str, path: &str) -> String {
    let bearer = format!("Authorization: Bearer {token}");
    curl(&[&format!("{}{path}", server.url()), "-H", &bearer]).1
}

fn state(server: &Server, trail: &Trail, token: &str) -> Value {
    json(&get(server, token, &format!("/l/{}/state", trail.log_id())))
}

/// Waits, by looking, until the log's state is as wanted.
fn until(server: &Server, trail: &Trail, token: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..LOOKS_MAX {
        let state = state(server, trail, token);
        if wanted(&state) {
            return state;
        }
        std::thread::yield_now();
    }
    panic!("not in {LOOKS_MAX} looks: {}", state(server, trail, token));
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().expect("cp runs").success());
}

/// `counterfoil verify log` over the network: exit status and what was said.
fn verify(server: &Server, trail: &Trail, token: &str, more: &[&str]) -> (i32, Value) {
    let mut command = server.command(token);
    let address = format!("{}/l/{}", server.url(), trail.log_id());
    command.args(["verify", "log", &address, "--vkey", trail.vkey(), "--json"]).args(more);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("not killed"), serde_json::from_str(&said).unwrap_or(Value::Null))
}

#[test]
fn a_witness_cosigns_what_grows_and_verifiers_can_insist_on_it() {
    let trail = Trail::new();
    let folder = trail.folder.path();
    let witness = Witness::make(folder, &[trail.vkey()]);
    let policy = witness.policy(folder);
    let server = Server::start(&trail.data(), &["--listen", "127.0.0.1:0", "--config", &configured(folder, &policy)]);
    let token = server.token();
    assert_eq!(send(&server, &token, "doc.read"), 201);
    let signed = state(&server, &trail, &token)["signed_size"].as_u64().expect("a size");
    let seen =
        until(&server, &trail, &token, |state| state["witnessed_size"].as_u64().is_some_and(|size| size >= signed));
    assert_eq!(seen["outside"], Value::Null, "{seen}");

    // What is shown is cosigned, says so to verifiers, and its size never falls while the log goes on growing.
    let policy = policy.to_str().expect("UTF-8");
    let (code, said) = verify(&server, &trail, &token, &["--policy", policy]);
    assert_eq!((code, &said["witnesses"][0]["witness"]), (0, &"witness.example/w1".into()), "{said}");
    let mut last = 0;
    for n in 0..120 {
        assert_eq!(send(&server, &token, "doc.read"), 201);
        let note = get(&server, &token, &format!("/l/{}/checkpoint", trail.log_id()));
        let size: u64 = note.lines().nth(1).expect("a size").parse().expect("a number");
        assert!(size >= last, "look {n} shows {size} after {last}");
        last = size;
    }
    let served = get(&server, &token, &format!("/l/{}/policy", trail.log_id()));
    assert!(served.starts_with(&format!("log {}\nwitness w1 {}", trail.vkey(), witness.vkey)), "{served}");
    let page = json(&get(&server, &token, "/v1/orgs/Acme/events?verify=true&limit=1"));
    assert_eq!(page.get("outside"), None, "{page}");

    // A sender may wait for the witnesses, and then keeps a proof that they have cosigned.
    let bearer = format!("Authorization: Bearer {token}");
    let url = format!("{}/v1/orgs/Acme/events?wait=witnessed&receipt=sealed", server.url());
    let (code, receipt) = curl(&[&url, "-H", &bearer, "-d", r#"{"action":"doc.sign"}"#]);
    let receipt = json(&receipt);
    assert_eq!((code, &receipt["witnessed"]["covered"]), (201, &Value::Bool(true)), "{receipt}");
    assert!(receipt["witnessed"]["size"].as_u64() >= receipt["seq"].as_u64(), "{receipt}");
    let proof: tlog::tlog_proof::TlogProof = receipt["proof"].as_str().expect("a proof").parse().expect("reads");
    let known: Vec<VerifierKey> =
        [trail.vkey(), &witness.vkey].into_iter().map(|key| key.parse().expect("a key")).collect();
    let leaf = receipt["leaf_hash"].as_str().expect("a hash");
    let leaf = tlog::Hash::from_hex(leaf).expect("hexadecimal");
    let origin = receipt["origin"].as_str().expect("an origin");
    let signed = proof.verify(&leaf, origin, &known).expect("it holds");
    assert_eq!(signed.cosignatures.len(), 1, "by the witness");

    // It was cosigned just now; without a policy nobody says when.
    let (code, said) = verify(&server, &trail, &token, &["--policy", policy, "--cosigned-within", "1h"]);
    assert_eq!((code, &said["verdict"]), (0, &"verified".into()), "{said}");
    assert_eq!(verify(&server, &trail, &token, &["--cosigned-within", "1h"]).0, 2);

    // A policy that asks for somebody else as well is not met, and that is no small matter.
    let stranger = tlog::note::SignerKey::cosigner_from_seed("stranger.example/w", &[3; 32]).expect("a key");
    let strict = folder.join("strict");
    let text = format!("witness a {}\nwitness b {}\ngroup g all a b\nquorum g\n", witness.vkey, stranger.verifier());
    fs::write(&strict, text).expect("written");
    let (code, said) = verify(&server, &trail, &token, &["--policy", strict.to_str().expect("UTF-8")]);
    assert_eq!((code, &said["divergences"][0]["reason"]), (1, &"policy_unmet".into()), "{said}");

    // After a restart of both, the cosigned checkpoint is still there, and the witness goes on where it was.
    let before = state(&server, &trail, &token)["witnessed_size"].as_u64().expect("a size");
    assert!(server.stop());
    let witness = witness.again();
    let policy = witness.policy(folder);
    let server = Server::start(&trail.data(), &["--listen", "127.0.0.1:0", "--config", &configured(folder, &policy)]);
    assert_eq!(send(&server, &token, "doc.read"), 201);
    let signed = state(&server, &trail, &token)["signed_size"].as_u64().expect("a size");
    assert!(signed > before);
    until(&server, &trail, &token, |state| state["witnessed_size"].as_u64().is_some_and(|size| size >= signed));
    assert!(server.stop());
    // The data folder alone still knows it, and holds the log to it.
    let mut offline = counterfoil();
    offline.args(["verify", "log"]).arg(trail.data()).args(["--vkey", trail.vkey(), "--only", trail.log_id()]);
    offline.arg("--policy").arg(&policy);
    let said = stdout_of(&offline.output().expect("it runs"));
    assert!(said.contains("cosigned at size"), "{said}");
}

#[test]
fn a_witness_refuses_strangers_and_stays_put() {
    let trail = Trail::new();
    let witness = Witness::make(trail.folder.path(), &[trail.vkey()]);
    let url = format!("{}/add-checkpoint", witness.url);
    let post = |body: &str| curl(&[&url, "--data-binary", body]);
    assert_eq!(post("nonsense").0, 400);
    let elsewhere = tlog::note::SignerKey::from_seed("elsewhere.example", &[1; 32]).expect("a key");
    let root = tlog::leaf_hash(b"x");
    let sign = |origin: &str, key: &tlog::note::SignerKey| {
        let checkpoint = tlog::checkpoint::Checkpoint { origin: origin.to_owned(), size: 1, root };
        format!("old 0\n\n{}", checkpoint.sign(&[key]).expect("signed").note)
    };
    assert_eq!(post(&sign("elsewhere.example", &elsewhere)).0, 404);
    let origin = trail.vkey().split('+').next().expect("a name");
    let forged = tlog::note::SignerKey::from_seed(origin, &[1; 32]).expect("a key");
    assert_eq!(post(&sign(origin, &forged)).0, 403);
    let about = json(&curl(&[&witness.url]).1);
    assert_eq!(about["vkey"], witness.vkey.as_str());
    assert_eq!(about["logs"], serde_json::json!([]), "nothing was remembered");
}

#[test]
fn a_log_rewritten_with_the_stolen_key_is_refused_by_everybody_who_remembers() {
    let trail = Trail::new();
    let folder = trail.folder.path();
    let witness = Witness::make(folder, &[trail.vkey()]);
    let policy = witness.policy(folder);
    let config = configured(folder, &policy);
    // The thief's copy, key and signer's record included, and one that stays as it is.
    let (stolen, old) = (folder.join("stolen"), folder.join("old"));
    copy(&trail.data(), &stolen);
    copy(&trail.data(), &old);

    // What really happened, remembered by an auditor and by the witness.
    let memory = folder.join("seen");
    let memory = memory.to_str().expect("UTF-8");
    let (vkey, listen) = (trail.vkey(), ["--listen", "127.0.0.1:0"]);
    let server = Server::start(&trail.data(), &[&listen[..], &["--config", &config]].concat());
    let token = server.token();
    for _ in 0..5 {
        assert_eq!(send(&server, &token, "embarrassing"), 201);
    }
    let signed = state(&server, &trail, &token)["signed_size"].as_u64().expect("a size");
    until(&server, &trail, &token, |state| state["witnessed_size"].as_u64().is_some_and(|size| size >= signed));
    assert_eq!(verify(&server, &trail, &token, &["--remember", memory]).0, 0);
    assert!(server.stop());

    // What the thief writes instead, longer than the truth, signed with the true key.
    let server = Server::start(&stolen, &listen);
    let token = server.token();
    for _ in 0..40 {
        assert_eq!(send(&server, &token, "harmless"), 201);
    }
    let (code, said) = verify(&server, &trail, &token, &[]);
    assert_eq!(
        (code, &said["verdict"]),
        (0, &"verified".into()),
        "whoever looks for the first time is taken in: {said}"
    );
    assert!(said["outside"].as_str().is_some(), "and is told what that is worth: {said}");
    let (code, said) = verify(&server, &trail, &token, &["--remember", memory]);
    assert_eq!((code, &said["divergences"][0]["reason"]), (1, &"forked".into()), "{said}");
    let address = format!("{}/l/{}", server.url(), trail.log_id());
    let mut watch = server.command(&token);
    watch.args(["watch", &address, "--vkey", vkey, "--looks", "1", "--remember", memory]);
    let watched = watch.output().expect("it runs");
    assert_eq!(watched.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&watched.stdout).contains("forked"), "{watched:?}");
    assert!(server.stop());

    // Put in place of the true log, the guarded signer knows better.
    let guarded = folder.join("guarded");
    copy(&stolen, &guarded);
    fs::remove_dir_all(guarded.join("signer")).expect("removed");
    copy(&trail.data().join("signer"), &guarded.join("signer"));
    let server = Server::start(&guarded, &listen);
    let (status, why) = curl(&[&format!("{}/readyz", server.url())]);
    assert_eq!((status, why.contains("Forked")), (503, true), "{why}");
    // The thief's own token is good there: it is in the thief's control log.
    assert_ne!(send(&server, &token, "harmless"), 201);
    assert!(server.stop());

    // And so does the witness: the log is closed, loudly.
    let server = Server::start(&stolen, &[&listen[..], &["--config", &config]].concat());
    let token = server.token();
    let alarmed = until(&server, &trail, &token, |state| state["alarm"]["reason"] == "forked");
    assert_eq!(alarmed["alarm"]["witness"], "witness.example/w1", "{alarmed}");
    assert_ne!(send(&server, &token, "harmless"), 201);
    assert_eq!(curl(&[&format!("{}/readyz", server.url())]).0, 503);
    let metrics = curl(&[&format!("{}/metrics", server.url())]).1;
    assert!(metrics.contains("counterfoil_witness_alarms 1"), "{metrics}");
    assert!(server.stop());
    let evidence = fs::read_to_string(folder.join("w.state.evidence")).expect("the witness kept what it was shown");
    assert!(evidence.contains("=== remembered") && evidence.matches(trail.log_id()).count() >= 2, "{evidence}");

    // An old copy of the whole host, signer and all, knows less than the witness does.
    let server = Server::start(&old, &[&listen[..], &["--config", &config]].concat());
    let token = login(&server);
    until(&server, &trail, &token, |state| state["alarm"]["reason"] == "rolled_back");
    assert!(server.stop());
    // The alarm outlives a restart, until a person takes it away.
    let server = Server::start(&old, &listen);
    assert_eq!(curl(&[&format!("{}/readyz", server.url())]).0, 503);
}

/// A token, also where the log takes no entries any more.
fn login(server: &Server) -> String {
    let mut command = counterfoil();
    command.args(["login", ADMIN, "--password-stdin", "--server", server.url()]);
    stdout_of(&run_with(command, PASSWORD)).trim().to_owned()
}
