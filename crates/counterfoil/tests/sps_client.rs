//! The log-in of the vendor's own SDKs, over TLS 1.2, by a stock client: no credentials at first, the challenge, then again
//! with them; doubled slashes, a trailing one, a POST without a length; the cookie from then on.

mod common;

use std::path::Path;
use std::process::Command;

use common::{ADMIN, PASSWORD, Server, Trail, json, shared_data, stdout_of};

/// One request with the vendor's habits: TLS 1.2 and nothing else. Gives the status and the whole answer, head included.
fn curl(certificate: &Path, jar: &Path, arguments: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command
        .args(["-s", "-i", "--http1.1", "--tls-max", "1.2", "--tlsv1.2", "--max-time", "60", "--cacert"])
        .arg(certificate);
    command.arg("-b").arg(jar).arg("-c").arg(jar).args(arguments);
    let said = stdout_of(&command.output().expect("curl runs"));
    // With a challenge there are two heads; the last one counts.
    let status = said.lines().rfind(|line| line.starts_with("HTTP/1.1 ")).and_then(|line| line.split(' ').nth(1));
    (status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status in {said}")), said)
}

#[test]
fn a_client_that_waits_for_the_challenge_logs_in_searches_and_draws() {
    let trail = Trail::new();
    let server = Server::start(&trail.data(), &["--tls-listen", "127.0.0.1:0", "--tls-self-signed"]);
    let certificate = trail.data().join("tls/cert.pem");
    let jar = trail.folder.path().join("cookies");
    let ask = |arguments: &[&str]| curl(&certificate, &jar, arguments);
    let url = |path: &str| format!("{}{path}", server.url());

    let (status, said) = ask(&[&url("/api/authentication")]);
    assert_eq!(status, 401);
    assert!(said.to_lowercase().contains("www-authenticate: basic realm=\"sps\""), "{said}");
    let user = format!("{ADMIN}:{PASSWORD}");
    let (status, said) = ask(&["--anyauth", "-u", &user, &url("/api//authentication/")]);
    assert_eq!(status, 200, "{said}");
    let cookie = said.lines().find(|line| line.to_lowercase().starts_with("set-cookie:")).expect("a cookie");
    assert!(
        cookie.contains("session_id=") && cookie.trim_end().ends_with("HttpOnly; Max-Age=43200; Path=/; Secure"),
        "{cookie}"
    );

    let token = {
        let mut login = common::counterfoil();
        login.args(["login", ADMIN, "--password-stdin", "--server", server.url(), "--ca-cert"]).arg(&certificate);
        stdout_of(&common::run_with(login, PASSWORD)).trim().to_owned()
    };
    let file = shared_data().join("sessions/asciicast/welcome.cast");
    let mut upload = server.command(&token);
    upload.env("COUNTERFOIL_CA_CERT", &certificate).args(["upload", "--user", "bob", "--json"]).arg(file);
    let sent = json(&stdout_of(&upload.output().expect("it runs")));
    let session = sent["sessions"][0]["session"].as_str().unwrap_or_else(|| panic!("no session in {sent}")).to_owned();

    let body = |said: &str| json(said.rsplit("\r\n\r\n").next().expect("a body"));
    let (status, said) = ask(&[&url(&format!("/api//audit/sessions/{session}/content/?q=asciinema"))]);
    assert_eq!(status, 200, "{said}");
    let found = body(&said);
    let record =
        found["items"][0]["record_id"]["for_screenshot"].as_u64().unwrap_or_else(|| panic!("no hit in {found}"));
    let generate = url(&format!("/api/audit/sessions/{session}/_generate?record_ids={record}"));
    let (status, said) = ask(&["-X", "POST", "-H", "Content-Length:", &generate]);
    assert_eq!(status, 200, "{said}");
    let picture = trail.folder.path().join("screen.png");
    let address = url(&format!("/api/audit/sessions/{session}/screenshots/{record}"));
    let mut fetch = Command::new("curl");
    fetch.args(["-s", "--tls-max", "1.2", "--cacert"]).arg(&certificate).arg("-b").arg(&jar);
    fetch.args(["-H", "Accept: application/octet-stream", "-o"]).arg(&picture).arg(&address);
    assert!(fetch.status().expect("curl runs").success());
    assert!(std::fs::read(&picture).expect("a picture").starts_with(b"\x89PNG\r\n\x1a\n"));

    assert_eq!(ask(&["-X", "DELETE", &url("/api/authentication")]).0, 204);
    assert_eq!(ask(&[&url("/api/audit/sessions")]).0, 401);
}
