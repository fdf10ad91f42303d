//! A log collector, written from `specs/silo.md` §8, against the program over TLS: restarts and kills on either side.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use common::{PASSWORD, Server, Trail, counterfoil, json, run_with, stdout_of};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// What a collector keeps between its runs: the highest number it saw, for one type.
#[derive(Clone, Debug, Default)]
struct Position {
    last_seen: u64,
}

/// A collector as the vendor's add-on is one: asks from the number after the last it saw, goes on at `next_seq` while there
/// is more, and believes nothing that does not move it on.
struct Collector {
    agent: Agent,
    token: String,
    log_type: &'static str,
    limit: u64,
}

/// A page as it came.
struct Page {
    records: Vec<Value>,
    next: u64,
    is_more: bool,
}

impl Collector {
    fn new(certificate: &[u8], token: &str, log_type: &'static str, limit: u64) -> Collector {
        Collector { agent: agent(certificate), token: token.to_owned(), log_type, limit }
    }

    /// One request. An error is a connection that could not be made or broke; anything the server says is looked at.
    fn page(&self, base: &str, start: u64) -> Result<Page, ureq::Error> {
        let request = json!([
            {"command": "setauth", "data": self.token},
            {"command": "extractlog", "org": "Acme", "type": self.log_type, "start_seq": start, "limit": self.limit},
        ]);
        // The base may end in a slash: one client glues the path to it.
        let mut response = self.agent.post(format!("{base}//api/")).send_json(&request)?;
        let reply: Value = response.body_mut().with_config().limit(64 << 20).read_json()?;
        let reply = reply.as_array().expect("an array").clone();
        assert_eq!(reply.len(), 2);
        assert_eq!(reply[0]["result"], "setting auth from data");
        let result = &reply[1]["result"];
        assert!(reply[1].get("error").is_none(), "{}", reply[1]);
        let page = Page {
            records: result["logs"].as_array().expect("records").clone(),
            next: result["next_seq"].as_u64().expect("a number"),
            is_more: result["is_more"].as_bool().expect("yes or no"),
        };
        assert!(page.records.len() as u64 <= self.limit);
        assert!(!page.is_more || page.next > start, "is_more with a next_seq that does not grow");
        Ok(page)
    }

    /// Everything there is at this moment, page after page. What came before an error is kept.
    fn collect(&self, base: &str, position: &mut Position, into: &mut Vec<Value>) -> Result<(), ureq::Error> {
        let mut start = position.last_seen + 1;
        loop {
            let page = self.page(base, start)?;
            for record in &page.records {
                let number = record["seq_id"].as_u64().expect("a number");
                assert!(number > position.last_seen, "{number} came after {}", position.last_seen);
                position.last_seen = number;
            }
            into.extend(page.records);
            if !page.is_more {
                return Ok(());
            }
            start = page.next;
        }
    }
}

fn agent(certificate: &[u8]) -> Agent {
    let certificate = Certificate::from_pem(certificate).expect("a certificate");
    Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[certificate])).build())
        .build()
        .new_agent()
}

fn certificate(trail: &Trail) -> Vec<u8> {
    std::fs::read(trail.data().join("tls/cert.pem")).expect("the server made a certificate")
}

/// A server with TLS, on the port of its life before where there was one.
fn serve(trail: &Trail, before: Option<&str>) -> Server {
    let address = before.map_or("127.0.0.1:0", |url| url.strip_prefix("https://").expect("a TLS address"));
    Server::start(&trail.data(), &["--tls-listen", address, "--tls-self-signed"])
}

fn token(trail: &Trail, server: &Server, arguments: &[&str]) -> String {
    let certificate = trail.data().join("tls/cert.pem");
    let mut login = counterfoil();
    login.args(["login", common::ADMIN, "--password-stdin", "--server", server.url(), "--ca-cert"]).arg(&certificate);
    let login = stdout_of(&run_with(login, PASSWORD)).trim().to_owned();
    let mut create = server.command(&login);
    create.env("COUNTERFOIL_CA_CERT", &certificate).args(["token", "create"]).args(arguments);
    stdout_of(&create.output().expect("it runs")).trim().to_owned()
}

/// Hands in records `range` of `log_type`, each with an id, so that sending them again adds nothing.
fn send(
    agent: &Agent,
    base: &str,
    token: &str,
    log_type: &str,
    range: std::ops::Range<u64>,
) -> Result<(), ureq::Error> {
    let events: Vec<Value> = range
        .map(|n| {
            json!({"id": format!("{log_type} {n}"), "action": "x",
                "origin": {"dialect": "silo", "type": log_type, "raw": {"url": n.to_string()}}})
        })
        .collect();
    let mut response = agent
        .post(format!("{base}/v1/orgs/Acme/events?receipts=summary"))
        .header("authorization", format!("Bearer {token}"))
        .send_json(&events)?;
    let reply: Value = response.body_mut().read_json()?;
    assert_eq!(reply["refused"], 0, "{reply}");
    Ok(())
}

fn urls(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["url"].as_str().expect("a text").parse().expect("a number")).collect()
}

#[test]
fn pages_of_a_thousand_go_on_after_restarts_of_either_side_while_records_arrive() {
    let trail = Trail::new();
    let server = serve(&trail, None);
    let base = server.url().to_owned();
    let certificate = certificate(&trail);
    let writer = agent(&certificate);
    let ingest = token(&trail, &server, &["--scope", "ingest"]);
    let extraction = token(&trail, &server, &["--scope", "extract", "--form", "extraction"]);
    assert_eq!(extraction.len(), 32, "the form that clients check");

    // Other types lie between, so that numbers have gaps.
    for n in 0..23 {
        send(&writer, &base, &ingest, "PRINT", n * 100..(n + 1) * 100).expect("it is taken");
        send(&writer, &base, &ingest, "URL", n * 7..(n + 1) * 7).expect("it is taken");
    }

    let mut all = Vec::new();
    let collector = Collector::new(&certificate, &extraction, "PRINT", 1_000);
    let first = collector.page(&base, 1).expect("a page");
    assert_eq!((first.records.len(), first.is_more), (1_000, true));
    all.extend(first.records);

    // The server restarts; the collector holds on to its number.
    assert!(server.stop());
    let server = serve(&trail, Some(&base));
    send(&writer, &base, &ingest, "PRINT", 2_300..2_350).expect("it is taken");
    let second = collector.page(&base, first.next).expect("a page");
    assert_eq!((second.records.len(), second.is_more), (1_000, true));
    all.extend(second.records);

    // The collector restarts with what it wrote down; more comes between its pages.
    drop(collector);
    send(&writer, &base, &ingest, "PRINT", 2_350..2_400).expect("it is taken");
    let collector = Collector::new(&certificate, &extraction, "PRINT", 1_000);
    let last = all.last().expect("records")["seq_id"].as_u64().expect("a number");
    let third = collector.page(&base, last + 1).expect("a page");
    assert_eq!((third.records.len(), third.is_more), (400, false));
    all.extend(third.records);

    // Nothing more at this moment: the start comes back.
    let next = all.last().expect("records")["seq_id"].as_u64().expect("a number") + 1;
    let empty = collector.page(&base, next).expect("a page");
    assert_eq!((empty.records.len(), empty.next, empty.is_more), (0, next, false));
    assert_eq!(urls(&all), (0..2_400).collect::<Vec<_>>(), "each once, in order");

    // The catch-up pass of the add-on: everything from 0 again, up to the last seen + 1.
    let request = json!([{"command": "setauth", "data": extraction},
        {"command": "extractlog", "org": "Acme", "type": "PRINT", "start_seq": 0, "end_seq": 0}]);
    let mut response = collector.agent.post(format!("{base}/api/")).send_json(&request).expect("a reply");
    let reply: Value = response.body_mut().read_json().expect("JSON");
    assert_eq!(reply[1]["result"], json!({"next_seq": 0, "logs": [], "is_more": false}));
    assert!(server.stop());
}

/// Whether the server is up, and how often it was started; those who lose their connection wait for the next start.
#[derive(Default)]
struct Starts {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Starts {
    fn now(&self) -> u64 {
        *self.count.lock().expect("nobody panics with it")
    }

    fn started(&self) {
        *self.count.lock().expect("nobody panics with it") += 1;
        self.changed.notify_all();
    }

    /// Waits until there was a start after the one of `before`.
    fn wait(&self, before: u64) {
        let count = self.count.lock().expect("nobody panics with it");
        let (_count, timed_out) = self
            .changed
            .wait_timeout_while(count, Duration::from_secs(60), |count| *count <= before)
            .expect("nobody panics with it");
        assert!(!timed_out.timed_out(), "the server did not come back");
    }
}

#[test]
fn a_killed_server_loses_nothing_and_repeats_nothing() {
    const RECORDS: u64 = 3_000;
    const KILLS: u64 = 4;
    let trail = Trail::new();
    let server = serve(&trail, None);
    let base = server.url().to_owned();
    let certificate = certificate(&trail);
    let ingest = token(&trail, &server, &["--scope", "ingest"]);
    let extraction = token(&trail, &server, &["--scope", "extract", "--form", "extraction"]);
    let mut server = Some(server);
    let starts = Starts::default();
    let (sent, collected, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));

    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            let agent = agent(&certificate);
            let mut next = 0;
            while next < RECORDS {
                let before = starts.now();
                match send(&agent, &base, &ingest, "PRINT", next..next + 25) {
                    Ok(()) => next += 25,
                    // Not acknowledged: it may be in or not. Sent again with the same ids it is in once.
                    Err(_) => starts.wait(before),
                }
                sent.store(next, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
        let collector = scope.spawn(|| {
            let collector = Collector::new(&certificate, &extraction, "PRINT", 40);
            let (mut position, mut all) = (Position::default(), Vec::new());
            loop {
                let finished = done.load(Ordering::SeqCst);
                let before = starts.now();
                match collector.collect(&base, &mut position, &mut all) {
                    Ok(()) if finished => return all,
                    Ok(()) => {}
                    Err(_) => starts.wait(before),
                }
                collected.store(all.len() as u64, Ordering::SeqCst);
            }
        });
        // Kill it while records come in and go out, at points that depend on how far both are.
        for kill in 1..=KILLS {
            let far = kill * RECORDS / (KILLS + 1);
            while sent.load(Ordering::SeqCst) < far || collected.load(Ordering::SeqCst) < far / 2 {
                std::thread::yield_now();
            }
            // The port and the folder are free once the old one is gone.
            server.take().expect("it was started").kill();
            server = Some(serve(&trail, Some(&base)));
            starts.started();
        }
        collector.join().expect("the collector ends")
    });
    let got = urls(&got);
    assert_eq!(got.iter().collect::<BTreeSet<_>>().len(), got.len(), "none twice");
    assert_eq!(got.iter().copied().collect::<BTreeSet<_>>(), (0..RECORDS).collect(), "all of them");
}

/// Goal: with encryption on, a marker comes out only for the holder of the key. Method: the program with all its log lines,
/// metrics and replies written down, both kinds of key through the command line, `decrypt` at the end.
#[test]
fn encrypted_records_come_out_for_the_holder_of_the_key_alone() {
    const MARKER: &str = "secretmarkervjk";
    let trail = Trail::new();
    let log_lines = trail.folder.path().join("log lines");
    let mut command = counterfoil();
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "trace", "--data"]).arg(trail.data());
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::fs::File::create(&log_lines).expect("a file"))
        .spawn()
        .expect("the server starts");
    let mut first = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().expect("it was piped"));
    std::io::BufRead::read_line(&mut output, &mut first).expect("it says when it is ready");
    let url = first.trim().strip_prefix("ready ").expect("it says when it is ready").to_owned();
    let server = Server { child, urls: vec![url] };
    let token = server.token();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = trail.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let run = |arguments: &[&str], input: &str| {
        let mut command = server.command(&token);
        command.args(arguments);
        run_with(command, input)
    };
    let curl = |path: &str, body: &str| {
        let bearer = format!("authorization: Bearer {token}");
        common::curl(&[&format!("{}{path}", server.url()), "-H", &bearer, "-d", body])
    };
    let sms = json!({"action": "x", "origin": {"dialect": "silo", "type": "SMS", "raw": {"data": MARKER}}}).to_string();
    let (status, said) = curl("/v1/orgs/Acme/events", &sms);
    assert!(status == 400 && said.contains("only encrypted"), "{said}");

    // The legacy scheme: a passphrase and the public key that belongs to it.
    let passphrase = file("passphrase", "0123456789\n");
    let public = r#"$T%TftpgGhhN&h*1&@>=uf(l:!Avj>k{o<?k9dT8"#;
    let public = file("public", &format!("{public}\n"));
    let said = stdout_of(&run(&["key", "add", "old", public.to_str().expect("UTF-8"), "--activate"], ""));
    assert_eq!(said, "key old (legacy) is active\n");
    assert_eq!(curl("/v1/orgs/Acme/events", &sms).0, 201);

    // Records that were pulled elsewhere, kept here, encrypted again.
    let pulled = json!({"type": "URL", "seq_id": 77, "create_ts": 1404245973.396193, "org_id": "x", "domain": MARKER,
        "method": "GET", "extra": [1.5]});
    let pulled = file("pulled.json", &json!({"next_seq": 78, "logs": [pulled], "is_more": false}).to_string());
    let imported = stdout_of(&run(&["import", "--format", "silo-json", pulled.to_str().expect("UTF-8")], ""));
    assert!(imported.contains("1 new, 0 already there, 0 refused"), "{imported}");
    let imported = stdout_of(&run(&["import", pulled.to_str().expect("UTF-8")], ""));
    assert!(imported.contains("0 new, 1 already there, 0 refused"), "{imported}");

    // The standard scheme.
    let keys = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../seal/tests/keys");
    let pem = keys.join("p256_public.pem");
    assert!(run(&["key", "add", "new key", pem.to_str().expect("UTF-8")], "").status.success());
    assert!(run(&["key", "activate", "new key"], "").status.success());
    let refused = run(&["key", "retire", "new key"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is active"), "{refused:?}");
    assert!(run(&["key", "retire", "old"], "").status.success());
    let listed = json(&stdout_of(&run(&["key", "list", "--json"], "")));
    let states: Vec<_> = listed.as_array().expect("a list").iter().map(|key| key["state"].as_str()).collect();
    assert_eq!(states, [Some("retired"), Some("active")]);
    let login = json!({"action": "ssh login", "kind": "authentication", "actor": MARKER}).to_string();
    assert_eq!(curl("/v1/orgs/Acme/events", &login).0, 201);

    let extract = |log_type: &str| {
        let request = json!([{"command": "setauth", "data": token},
            {"command": "extractlog", "org": "Acme", "type": log_type}]);
        curl("/api/", &request.to_string()).1
    };
    let mut said = Vec::new();
    for clear in ["SMS", "URL", "LOG"] {
        said.push(extract(clear));
    }
    let sealed = extract("ENC");
    for path in [format!("/v1/orgs/Acme/events?q={MARKER}x"), "/v1/orgs/Acme/events?limit=1000".to_owned()] {
        let bearer = format!("authorization: Bearer {token}");
        said.push(common::curl(&[&format!("{}{path}", server.url()), "-H", &bearer]).1);
    }
    said.push(common::curl(&[&format!("{}/metrics", server.url())]).1);
    said.push(sealed.clone());
    for text in &said {
        assert!(!text.replace(&format!("{MARKER}x"), "").contains(MARKER), "{text}");
    }
    let (_, refused) = curl("/v1/orgs/Acme/events", &format!("{{\"action\":\"x\",\"kind\":\"{MARKER}\"}}"));
    assert!(!refused.contains(MARKER), "{refused}");

    let logs = json(&sealed)[1]["result"]["logs"].to_string();
    let decrypt = |keys: &[String]| {
        let mut command = counterfoil();
        command.arg("decrypt");
        for key in keys {
            command.args(["--key", key]);
        }
        run_with(command, &logs)
    };
    let private = keys.join("p256_pkcs8.pem").display().to_string();
    let both = decrypt(&[format!("old={}", passphrase.display()), private.clone()]);
    let records: Vec<Value> = stdout_of(&both).lines().map(json).collect();
    assert_eq!(records.len(), json(&logs).as_array().expect("records").len());
    let by_type = |wanted: &str| records.iter().find(|record| record["type"] == wanted).expect("a record of the type");
    assert_eq!(by_type("SMS")["data"], MARKER);
    let url = by_type("URL");
    assert_eq!(
        (&url["domain"], &url["extra"], &url["create_ts"]),
        (&json!(MARKER), &json!([1.5]), &json!(1404245973.396193))
    );
    let members: Vec<_> = url.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members[..4], ["type", "seq_id", "create_ts", "org_id"]);
    assert!(!members.contains(&"counterfoil") && members.last() == Some(&"extra"));
    assert_eq!(by_type("AUTH")["username"], MARKER);
    let one = decrypt(&[private]);
    assert_eq!(one.status.code(), Some(1), "what does not open is said");
    assert!(String::from_utf8_lossy(&one.stderr).contains("no legacy key for key name \"old\""), "{one:?}");

    assert!(server.stop());
    let said = std::fs::read_to_string(&log_lines).expect("log lines");
    assert!(said.len() > 1_000 && !said.contains(MARKER), "a log line holds the marker");
}
