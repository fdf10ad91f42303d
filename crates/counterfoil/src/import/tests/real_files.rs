//! Files that nobody here wrote. The expected numbers are counted from the raw text, or from the notes fail2ban's authors put
//! beside each line, not from what the importer said.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::{Format, detect};
use super::{Imported, imported, options};

/// Missing data is a failure, never a skipped test.
fn data(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/auth");
    let folder = std::env::var_os("COUNTERFOIL_TEST_DATA").map_or(folder, PathBuf::from);
    folder.join(path)
}

fn read(path: &str) -> Vec<u8> {
    fs::read(data(path)).unwrap_or_else(|error| panic!("{}: {error}", data(path).display()))
}

fn import_file(format: Format, path: &str) -> Imported {
    let bytes = read(path);
    assert_eq!(detect(&bytes[..bytes.len().min(8192)]), Some(format), "{path}");
    let found = imported(format, &bytes, &options());
    let again = imported(format, &bytes, &options());
    assert_eq!(found.ids(), again.ids(), "{path}: another id the second time");
    found
}

fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(data(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> = entries
        .map(|entry| format!("{folder}/{}", entry.expect("a readable folder").file_name().to_string_lossy()))
        .collect();
    names.sort();
    names
}

#[test]
fn each_line_and_each_login_of_the_real_openssh_log_is_there() {
    let path = "loghub/OpenSSH_2k.log";
    let text = String::from_utf8(read(path)).expect("UTF-8");
    let found = import_file(Format::Sshd, path);
    let count = |words: &str| text.lines().filter(|line| line.contains(words)).count();
    // The two repeated messages stand for five failures each.
    assert_eq!(count("message repeated 5 times: [ Failed"), 2);
    assert_eq!(found.logins("failure"), count("]: Failed ") + 2 * 5);
    assert_eq!((found.logins("failure"), found.logins("success")), (532, 1));
    assert_eq!(found.logins("success"), count("]: Accepted "));
    assert_eq!((found.summary.lines, found.summary.understood, found.summary.not_understood), (2000, 2000, 0));
    assert_eq!(found.summary.events, 2000 + 2 * 4);
    assert_eq!(found.count("/action", "ssh message"), 0, "no message of this file is unknown");
    // Every failure has the address and port of its line.
    for (line, event) in found.events.iter().filter(|(_, event)| event["kind"] == "authentication") {
        let raw = text.lines().nth(*line as usize - 1).expect("the line");
        let source = format!(
            "from {} port {} ssh2",
            event["source"]["address"].as_str().expect("an address"),
            event["source"]["port"]
        );
        assert!(raw.contains(&source), "{raw}");
        assert!(event["occurred_at"].as_str().is_some_and(|at| at.starts_with("2024-12-10T")));
    }
    assert_eq!(found.events[5].1["occurred_at"], "2024-12-10T06:55:48Z");
}

/// fail2ban's authors wrote beside each line which host and time it must yield.
#[test]
fn hosts_and_times_of_fail2bans_lines_are_those_their_authors_noted() {
    let path = "fail2ban/sshd.log";
    let text = String::from_utf8(read(path)).expect("UTF-8");
    let found = import_file(Format::Sshd, path);
    let lines: Vec<&str> = text.lines().collect();
    let comments = lines.iter().filter(|line| line.starts_with('#')).count() as u64;
    let blank = lines.iter().filter(|line| line.trim().is_empty()).count() as u64;
    assert_eq!((found.summary.lines, found.summary.blank), (417, blank));
    assert_eq!(
        found.summary.not_understood,
        comments,
        "{:?}",
        found.not_understood.iter().find(|(_, reason, _)| !reason.contains("comment"))
    );
    assert_eq!(found.summary.events, 417 - blank - comments);

    let mut compared = 0;
    for (line, event) in &found.events {
        let Some(note) = lines[*line as usize - 2].strip_prefix("# failJSON: ") else { continue };
        let note: Value = serde_json::from_str(note).expect("a note is JSON");
        let raw = lines[*line as usize - 1];
        let (Some(host), Some(time)) = (note["host"].as_str(), note["time"].as_str()) else { continue };
        if raw.starts_with(|first: char| first.is_ascii_uppercase()) {
            let at = event["occurred_at"].as_str().expect("a time");
            assert_eq!(at[5..19], time[5..19], "{raw}");
        }
        // Their hosts can come from an earlier line of the same connection; ours from the line itself.
        if !raw.contains(host) {
            continue;
        }
        // The one line where we differ: text that fail2ban takes for the end of the message we take for the user's name, because
        // no OpenSSH writes anything after a password attempt. Both addresses are in the event.
        let ours = if raw.ends_with("ssh2: from 10.10.1.2 port 55555 ssh2") { "10.10.1.2" } else { host };
        let source = &event["source"];
        assert!(source["address"] == ours || source["host"] == ours, "{raw}: {source}");
        compared += 1;
    }
    assert!(compared > 80, "only {compared} lines were compared");
}

#[test]
fn the_other_sshd_files_are_understood_line_by_line() {
    let check = |path: &str, successes: &str, failures: &str| {
        let text = String::from_utf8(read(path)).expect("UTF-8");
        let found = import_file(Format::Sshd, path);
        let count = |words: &str| text.lines().filter(|line| line.contains(words)).count();
        assert_eq!(
            (found.summary.not_understood, found.summary.events),
            (0, found.summary.lines - found.summary.blank),
            "{path}"
        );
        assert_eq!((found.logins("success"), found.logins("failure")), (count(successes), count(failures)), "{path}");
        assert_eq!(found.count("/action", "ssh message"), 0, "{path}: an unknown message");
    };
    for path in [
        "plaso/syslog_ssh.log",
        "products/sshd-logs.log",
        "products/sshd-success-logs.log",
        "products/sshd-bad-keyexchange-bf.log",
    ] {
        check(path, " Accepted ", " Failed ");
    }
}

#[test]
fn each_record_of_the_cloudtrail_delivery_files_is_one_event() {
    let mut events = 0;
    let mut failures = 0;
    for path in files("aws-cloudtrail") {
        let whole: Value = serde_json::from_slice(&read(&path)).expect("JSON");
        let records = whole["Records"].as_array().expect("an array");
        let found = import_file(Format::CloudTrail, &path);
        assert_eq!(found.events.len(), records.len(), "{path}");
        for ((_, event), record) in found.events.iter().zip(records) {
            assert_eq!(event["action"], record["eventName"]);
            assert_eq!(event["occurred_at"], record["eventTime"]);
            assert_eq!(
                event["outcome"] == "failure",
                record.get("errorCode").is_some() || record.get("errorMessage").is_some()
            );
            assert_eq!(&event["origin"]["raw"], record, "the raw record is the record");
            let source = record["sourceIPAddress"].as_str().expect("a source");
            assert!(event["source"]["address"] == source || event["source"]["host"] == source);
            let user = &record["userIdentity"]["userName"];
            assert!(user.is_null() || &event["actor"]["name"] == user);
            assert_eq!(event["id"], format!("cloudtrail:{}", record["eventID"].as_str().expect("an id")));
            failures += usize::from(event["outcome"] == "failure");
        }
        events += found.events.len();
    }
    assert_eq!((events, failures), (1871, 1871 - 1660));
}

#[test]
fn cloudtrail_lines_of_other_tools_are_understood() {
    let check = |path: &str, lines: usize| {
        let found = import_file(Format::CloudTrail, path);
        let summary = found.summary;
        assert_eq!(
            (summary.not_understood, summary.understood + summary.repeated),
            (0, lines as u64),
            "{path}: {:?}",
            found.not_understood
        );
        found
    };
    let brute_force = check("products/aws-bf.log", 6);
    assert_eq!(brute_force.logins("failure"), 6);
    check("products/aws-cloudtrail-postexploit.log", 4);
    check("otrf/ec2_proxy_s3_exfiltration_2020-09-14011940.json", 103);
    let looked_up = check("plaso/aws_cloudtrail.jsonl", 6);
    assert_eq!(looked_up.events[0].1["occurred_at"], "2022-02-07T22:23:37Z");
    assert_eq!(looked_up.events[0].1["actor"]["name"], "fakeusername");
    let panther = check("panther/aws_cloudtrail.jsonl", 461);
    let console = String::from_utf8(read("panther/aws_cloudtrail.jsonl")).expect("UTF-8");
    let console = console.lines().filter(|line| line.contains("\"eventName\": \"ConsoleLogin\"")).count();
    assert_eq!(
        panther.count("/action", "ConsoleLogin") + panther.summary.repeated as usize,
        console + panther.summary.repeated as usize
    );
}

#[test]
fn each_kubernetes_audit_event_is_understood() {
    let paths = files("k8s-audit");
    assert_eq!(paths.len(), 23);
    for path in paths.iter().map(String::as_str).chain(["products/k8s-audit-priv-pod-file.log"]) {
        let record: Value = serde_json::from_slice(&read(path)).expect("JSON");
        let found = import_file(Format::K8sAudit, path);
        assert_eq!(found.events.len(), 1, "{path}");
        let event = &found.events[0].1;
        assert_eq!(event["actor"]["name"], record["user"]["username"]);
        assert_eq!(event["source"]["address"], record["sourceIPs"][0]);
        let action = event["action"].as_str().expect("an action");
        let verb = record["verb"].as_str().expect("a verb");
        let resource = record["objectRef"]["resource"].as_str().expect("a resource");
        assert!(action.starts_with(&format!("{verb} {resource}")), "{action}");
        let code = record["responseStatus"]["code"].as_u64().expect("a code");
        assert_eq!(event["outcome"], if code < 400 { "success" } else { "failure" });
        assert!(event["occurred_at"].is_string());
    }
    let found = import_file(Format::K8sAudit, "panther/kubernetes.jsonl");
    // What is left are records of other services that the rules' authors put beside the audit events.
    for (line, reason, _) in &found.not_understood {
        assert!(
            reason.contains("Google Cloud audit record of")
                || reason.contains("Azure record of category Administrative"),
            "{line}: {reason}"
        );
    }
    let summary = found.summary;
    assert_eq!((summary.records, summary.understood + summary.repeated + summary.not_understood), (237, 237));
    assert!(summary.not_understood <= 5, "{:?}", found.not_understood);
}
