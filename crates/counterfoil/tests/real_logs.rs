//! The main job on real input: logs that nobody here wrote, imported, read back through two APIs, verified.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::{ADMIN, PASSWORD, Trail, counterfoil, curl, json, shared_data, stdout_of};
use serde_json::{Value, json};

fn import(server: &common::Server, token: &str, arguments: &[&str], files: &[&Path]) -> Value {
    let mut command = server.command(token);
    command.args(["import", "--json"]).args(arguments).args(files);
    let output = command.output().expect("it runs");
    json(&String::from_utf8_lossy(&output.stdout))
}

fn query(server: &common::Server, token: &str, arguments: &[&str]) -> Vec<Value> {
    let mut command = server.command(token);
    command.args(["query", "--json", "-n", "10000"]).args(arguments);
    let mut page = json(&stdout_of(&command.output().expect("it runs")));
    match page["events"].take() {
        Value::Array(events) => events,
        other => panic!("no events but {other}"),
    }
}

fn octopai_login(url: &str, password: &str) -> Value {
    let body = json!({ "Username": ADMIN, "Password": password }).to_string();
    let address = format!("{url}/api/UserAccount/Login");
    let (status, reply) = curl(&[&address, "-H", "Content-Type: application/json", "-d", &body]);
    assert_eq!(status, 200, "{reply}");
    json(&reply)
}

fn octopai_page(url: &str, access: &str, body: &str) -> Vec<Value> {
    let address = format!("{url}/api/UserAccount/UserEvents");
    let bearer = format!("Authorization: Bearer {access}");
    let (status, reply) = curl(&[&address, "-H", &bearer, "-H", "Content-Type: application/json", "-d", body]);
    assert_eq!(status, 200, "{reply}");
    serde_json::from_str(&reply).expect("a bare array")
}

#[test]
fn a_real_sshd_log_is_read_back_through_octopai_after_the_callers_own_logins() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let file = shared_data().join("auth/loghub/OpenSSH_2k.log");
    let text = std::fs::read_to_string(&file).expect("the log");

    let report = import(&server, &token, &["--format", "sshd", "--year", "2023"], &[&file]);
    let counts = &report["files"][0];
    let number = |name: &str| counts[name].as_u64().unwrap_or_else(|| panic!("{name} in {counts}"));
    assert_eq!(number("lines"), text.lines().count() as u64);
    assert_eq!(number("records"), number("understood") + number("not_understood") + number("repeated"));
    assert_eq!(number("lines"), number("records") + number("blank"));
    assert_eq!(number("not_understood"), 0, "{counts}");
    assert_eq!(number("new"), number("events"));

    let again = import(&server, &token, &["--format", "sshd", "--year", "2023"], &[&file]);
    assert_eq!(again["files"][0]["new"], 0, "importing the same file twice adds nothing");
    assert_eq!(again["files"][0]["already_there"], counts["events"]);

    // As in the vendor's page: wrong password, then right, then pages.
    let refused = octopai_login(server.url(), "wrong");
    assert_eq!(refused["error"], "Invalid user name or password");
    let login = octopai_login(server.url(), PASSWORD);
    let access = login["accessToken"].as_str().expect("a token");
    let first = octopai_page(server.url(), access, r#"{"PageNumber":"1","RowsInPage":"50"}"#);
    assert_eq!(first.len(), 50);
    assert_eq!((&first[0]["type"], &first[0]["userName"]), (&json!("LOGIN SUCCESS"), &json!(ADMIN)));
    assert_eq!((&first[1]["type"], &first[1]["userName"]), (&json!("LOGIN FAIL"), &json!(ADMIN)));
    assert_eq!(first[0]["source"], "127.0.0.1");
    assert_eq!(
        first,
        octopai_page(server.url(), access, r#"{"pagenumber":1,"rowsinpage":50}"#),
        "numbers work as strings do"
    );

    let mut rows = Vec::new();
    for page in 1..200 {
        let body = format!(r#"{{"PageNumber":"{page}","RowsInPage":"100"}}"#);
        let more = octopai_page(server.url(), access, &body);
        let short = more.len() < 100;
        rows.extend(more);
        if short {
            break;
        }
    }
    // Failures and successes of the raw text, counted without our parser.
    let failed: Vec<&str> = text.lines().filter(|l| l.contains("]: Failed ")).collect();
    let accepted = text.lines().filter(|l| l.contains("]: Accepted ")).count();
    assert!(failed.len() > 300 && accepted > 0, "the file is what it was");
    let of = |kind: &str| rows.iter().filter(|r| r["type"] == kind && r["source"] != "127.0.0.1").collect::<Vec<_>>();
    assert_eq!(of("LOGIN SUCCESS").len(), accepted);
    let failures = of("LOGIN FAIL");
    assert!(failures.len() >= failed.len(), "{} of {}", failures.len(), failed.len());
    for line in &failed {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (who, rest) =
            line.split_once(" for ").and_then(|(_, r)| r.split_once(" from ")).expect("a user and an address");
        let user = who.strip_prefix("invalid user ").unwrap_or(who);
        let address = rest.split(' ').next().expect("an address");
        let time = format!("2023-{}-{:0>2}T{}Z", month(words[0]), words[1], words[2]);
        let found =
            failures.iter().any(|r| r["userName"] == user && r["source"] == address && r["time"] == json!(time));
        assert!(found, "{line}: no row {user} {address} {time}");
    }
    let times: Vec<&str> = rows.iter().map(|r| r["time"].as_str().expect("a time")).collect();
    let sorted = times.windows(2).all(|pair| pair[0].trim_end_matches('Z') >= pair[1].trim_end_matches('Z'));
    assert!(sorted, "newest first");
    for row in &rows {
        let members: Vec<&String> = row.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["type", "userName", "source", "time"]);
    }
    let firsts: BTreeSet<String> = octopai_page(server.url(), access, r#"{"PageNumber":"1","RowsInPage":"2"}"#)
        .iter()
        .chain(&octopai_page(server.url(), access, r#"{"PageNumber":"2","RowsInPage":"2"}"#))
        .map(ToString::to_string)
        .collect();
    assert_eq!(firsts.len(), 4, "pages do not overlap");
}

fn month(name: &str) -> &'static str {
    match name {
        "Jan" => "01",
        "Dec" => "12",
        other => panic!("no {other} in this log"),
    }
}

#[test]
fn cloudtrail_and_kubernetes_events_are_found_by_actor_action_outcome_and_time() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let auth = shared_data().join("auth");
    let mut files: Vec<_> = ["aws-cloudtrail", "k8s-audit"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(auth.join(folder)).expect("the folder"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let paths: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
    let report = import(&server, &token, &[], &paths);
    let mut records = 0;
    for file in report["files"].as_array().expect("a report for each file") {
        assert_eq!(file["not_understood"], 0, "{file}");
        assert_eq!(file["refused"], 0, "{file}");
        records += file["records"].as_u64().expect("a count");
    }

    // An independent reading of the CloudTrail files with a JSON library.
    let mut denied = BTreeSet::new();
    let mut all = BTreeSet::new();
    for path in paths.iter().filter(|p| p.to_string_lossy().contains("CloudTrail")) {
        let text = std::fs::read_to_string(path).expect("the file");
        for record in json(&text)["Records"].as_array().expect("records") {
            let id = record["eventID"].as_str().expect("an id").to_owned();
            if record.get("errorCode").is_some() {
                denied.insert(id.clone());
            }
            all.insert(id);
        }
    }
    assert!(records >= all.len() as u64 && !denied.is_empty());
    let refused = query(&server, &token, &["outcome:failure"]);
    let found: BTreeSet<String> =
        refused.iter().filter_map(|e| e["event"]["origin"]["raw"]["eventID"].as_str()).map(ToOwned::to_owned).collect();
    assert_eq!(found, denied, "outcome:failure is exactly the records with an errorCode");

    let anonymous = query(&server, &token, &["actor:system\\:anonymous"]);
    assert!(
        anonymous.iter().any(|e| e["event"]["action"].as_str().is_some_and(|a| a.contains("create"))),
        "{anonymous:?}"
    );
    let window = ["--from", "2023-07-10T12:00:00Z", "--to", "2023-07-10T12:10:00Z"];
    let within = query(&server, &token, &window);
    assert!(!within.is_empty());
    for event in within {
        let time = event["event"]["occurred_at"].as_str().expect("a time");
        assert!(("2023-07-10T12:00:00".."2023-07-10T12:10:00").contains(&&time[..19]), "{time}");
    }
    let by_action = query(&server, &token, &["action:GetCallerIdentity"]);
    assert!(!by_action.is_empty() && by_action.iter().all(|e| e["event"]["action"] == "GetCallerIdentity"));
}

#[test]
fn what_was_imported_is_verified_from_the_folder_and_over_the_network() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    import(&server, &token, &["--year", "2023"], &[&shared_data().join("auth/loghub/OpenSSH_2k.log")]);
    let address = format!("{}/l/{}", server.url(), trail.log_id());
    let seen = trail.folder.path().join("seen");

    let verify = |source: &str, more: &[&str]| -> (i32, Value) {
        let mut command: Command = counterfoil();
        command.args(["verify", "log", source, "--json", "--token", &token]).args(more);
        let output = command.output().expect("it runs");
        (output.status.code().expect("an exit status"), json(&String::from_utf8_lossy(&output.stdout)))
    };
    let remember = ["--vkey", trail.vkey(), "--remember", seen.to_str().expect("UTF-8")];
    let (code, report) = verify(&address, &remember);
    assert_eq!((code, &report["verdict"]), (0, &json!("verified")), "{report}");
    assert!(report["entries_read"].as_u64().is_some_and(|n| n > 2_000));
    assert_eq!(report["entries_read"], report["entries_expected"]);
    // It must extend what was remembered, now and later.
    assert_eq!(verify(&address, &remember).0, 0);
    import(&server, &token, &[], &[&shared_data().join("auth/plaso/aws_cloudtrail.jsonl")]);
    assert_eq!(verify(&address, &remember).0, 0);

    // While the server runs, and after.
    let data = trail.data().display().to_string();
    let (code, report) = verify(&data, &["--vkey", trail.vkey(), "--only", trail.log_id()]);
    assert_eq!((code, &report["verdict"]), (0, &json!("verified")), "{report}");
    assert!(server.stop(), "SIGTERM ends it well");
    let (code, report) = verify(&data, &[]);
    assert_eq!((code, &report["verdict"]), (0, &json!("verified")), "{report}");
    // Somebody else's key verifies nothing.
    let other = Trail::new();
    assert_eq!(verify(&data, &["--vkey", other.vkey(), "--only", trail.log_id()]).0, 3);
}
