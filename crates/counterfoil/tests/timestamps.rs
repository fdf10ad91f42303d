//! RFC 3161 time stamps over checkpoints, from a real authority made with the openssl command and verified with it.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Server, Trail, stdout_of};

/// Whether openssl is there; if not, says so, or fails where tools are required.
fn has_openssl() -> bool {
    if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        std::env::var_os("COUNTERFOIL_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "openssl is not installed, and COUNTERFOIL_REQUIRE_TOOLS=1 forbids to skip"
    );
    eprintln!("SKIPPED: openssl is not installed");
    false
}

fn openssl(folder: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl runs")
}

/// Makes a root and an authority below it.
fn authority(folder: &Path) {
    let config = "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\ncrypto_device = builtin\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n\
                  certs = ca.pem\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\naccuracy = secs:1\n\
                  ess_cert_id_alg = sha256\n";
    fs::write(folder.join("tsa.cnf"), config).expect("written");
    fs::write(
        folder.join("ext.cnf"),
        "extendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\n",
    )
    .expect("written");
    fs::write(folder.join("serial"), "01\n").expect("written");
    let run = |arguments: &str| {
        let output = openssl(folder, &arguments.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=Test-Root");
    run("req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=Test-TSA");
    run("x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext.cnf -out tsa.pem");
}

/// Answers `count` requests over HTTP, each with `openssl ts -reply`.
fn serve(folder: PathBuf, count: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for connection in listener.incoming().take(count) {
            let mut connection = connection.expect("a connection");
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            let body = loop {
                let read = connection.read(&mut buffer).expect("readable");
                assert!(read > 0, "the request is cut off");
                request.extend_from_slice(&buffer[..read]);
                let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
                let length: usize = length.trim().parse().expect("a number");
                if request.len() >= head + 4 + length {
                    assert!(text.contains("content-type: application/timestamp-query"), "{text}");
                    break request[head + 4..].to_vec();
                }
            };
            fs::write(folder.join("query.tsq"), body).expect("written");
            let output = openssl(
                &folder,
                &["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr"],
            );
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let reply = fs::read(folder.join("reply.tsr")).expect("made");
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                reply.len()
            );
            connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&reply)).expect("written");
        }
    });
    url
}

#[test]
fn a_checkpoint_is_stamped_on_request_and_openssl_verifies_the_stamp() {
    if !has_openssl() {
        return;
    }
    let trail = Trail::new();
    let folder = trail.folder.path().join("tsa");
    fs::create_dir(&folder).expect("made");
    authority(&folder);
    let config = folder.join("serve.toml");
    fs::write(&config, format!("[timestamps]\nurl = \"{}\"\n", serve(folder.clone(), 1))).expect("written");
    let server =
        Server::start(&trail.data(), &["--listen", "127.0.0.1:0", "--config", config.to_str().expect("UTF-8")]);
    let token = server.token();
    let out = folder.join("out");
    let mut command = server.command(&token);
    command.args(["prove", "timestamp", "--json", "-o"]).arg(&out);
    let made = common::json(&stdout_of(&command.output().expect("it runs")));
    let size = made["size"].as_u64().expect("a size");
    let text = made["stamped"].as_str().expect("a text");
    assert!(text.starts_with(trail.made["origin"].as_str().expect("an origin")), "{text}");

    let (data, stamp) = (out.join(format!("checkpoint-{size}")), out.join(format!("checkpoint-{size}.tsr")));
    let verify = |data: &Path| {
        let (data, stamp) = (data.to_str().expect("UTF-8"), stamp.to_str().expect("UTF-8"));
        openssl(&folder, &["ts", "-verify", "-data", data, "-in", stamp, "-CAfile", "ca.pem", "-untrusted", "tsa.pem"])
    };
    let verified = verify(&data);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let other = folder.join("other");
    fs::write(&other, text.replace(&format!("\n{size}\n"), &format!("\n{}\n", size + 1))).expect("written");
    assert!(!verify(&other).status.success(), "another head was not stamped");
}

#[test]
fn without_an_authority_the_request_says_what_is_missing() {
    let trail = Trail::new();
    let server = trail.serve();
    let mut command = server.command(&server.token());
    let output = command.args(["prove", "timestamp"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("timestamps.url"), "{output:?}");
}
