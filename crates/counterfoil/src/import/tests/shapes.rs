//! Single lines and records of every shape, with what must come out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::lines::LINE_BYTES_MAX;
use super::super::syslog::REPEATS_MAX;
use super::super::{Format, Options, detect};
use super::{event, imported, options};

/// `kind outcome action | actor | source address or host : port`.
fn gist(event: &Value) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let source =
        [text("/source/address"), text("/source/host")].into_iter().find(|text| text != "-").unwrap_or("-".to_owned());
    let port = event.pointer("/source/port").map_or(String::new(), |port| format!(":{port}"));
    format!("{} {} {} | {} | {source}{port}", text("/kind"), text("/outcome"), text("/action"), text("/actor/name"))
}

fn check(message: &str, expected: &str) {
    let line = format!("Dec 10 06:55:46 LabSZ sshd[24200]: {message}");
    assert_eq!(gist(&event(Format::Sshd, &line, &options())), expected, "{message}");
}

#[test]
fn every_message_of_sshd_has_its_kind_outcome_actor_and_source() {
    check(
        "Accepted password for fztu from 119.137.62.142 port 49116 ssh2",
        "authentication success ssh login | fztu | 119.137.62.142:49116",
    );
    check(
        "Accepted publickey for plaso from 2001:0db8:0a0b:12f0:0000:0000:0000:0001 port 5 ssh2: RSA SHA256:5xyQ+PG1Z3C",
        "authentication success ssh login | plaso | 2001:db8:a0b:12f0::1:5",
    );
    check(
        "Failed password for root from ::ffff:1.2.3.4 port 1 ssh2",
        "authentication failure ssh login | root | 1.2.3.4:1",
    );
    check(
        "Failed password for root from fe80::1%eth0 port 1 ssh2",
        "authentication failure ssh login | root | fe80::1:1",
    );
    check(
        "Failed password for root from host.example.com port 1 ssh2",
        "authentication failure ssh login | root | host.example.com:1",
    );
    check(
        "Failed password for invalid user  from 1.2.3.4 port 1 ssh2",
        "authentication failure ssh login | - | 1.2.3.4:1",
    );
    check(
        "Failed password for invalid user ROOT from aaaa:bbbb:cccc:1234::1:1",
        "authentication failure ssh login | ROOT | aaaa:bbbb:cccc:1234::1:1",
    );
    check(
        "Failed keyboard-interactive/pam for invalid user jamedds from 205.186.180.77 port 33723 ssh2",
        "authentication failure ssh login | jamedds | 205.186.180.77:33723",
    );
    check(
        "[ID 800047 auth.info] Failed keyboard-interactive for <invalid username> from 205.186.180.55 port 42742 ssh2",
        "authentication failure ssh login | - | 205.186.180.55:42742",
    );
    check(
        "error: PAM: authentication error for james from 205.186.180.101 via 192.168.1.201",
        "authentication failure ssh login | james | 205.186.180.101",
    );
    check(
        "error: PAM: User not known to the underlying authentication module for illegal user k from 10.215.4.227 ",
        "authentication failure ssh login | k | 10.215.4.227",
    );
    check(
        "Postponed publickey for git from 192.0.2.1 port 57904 ssh2 [preauth]",
        "system unknown ssh login step | git | 192.0.2.1:57904",
    );
    check("Invalid user webmaster from 173.234.31.186", "system failure ssh user refused | webmaster | 173.234.31.186");
    check("Invalid user  0 from 181.214.87.4 port 3", "system failure ssh user refused |  0 | 181.214.87.4:3");
    check("Invalid user  from 192.0.2.68 port 34916", "system failure ssh user refused | - | 192.0.2.68:34916");
    check(
        "User root from 46.45.128.3 not allowed because listed in DenyUsers",
        "system failure ssh user refused | root | 46.45.128.3",
    );
    check("User root not allowed because account is locked", "system failure ssh user refused | root | -");
    check(
        "ROOT LOGIN REFUSED FROM ::ffff:1.2.3.4 port 12345 [preauth]",
        "system failure ssh user refused | root | 1.2.3.4:12345",
    );
    check(
        "input_userauth_request: invalid user webmaster [preauth]",
        "system failure ssh user refused | webmaster | -",
    );
    check(
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=173.234.31.186  user=root",
        "system failure pam authentication | root | 173.234.31.186",
    );
    check("pam_unix(sshd:auth): check pass; user unknown", "system failure pam message | - | -");
    check(
        "PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=5.36.59.76  user=root",
        "system failure pam authentication | root | 5.36.59.76",
    );
    check("PAM service(sshd) ignoring max retries; 6 > 3", "system failure pam message | - | -");
    check("pam_unix(sshd:session): session opened for user fztu by (uid=0)", "session success session open | fztu | -");
    check(
        "pam_unix(sshd:session): session opened for user root(uid=0) by alice(uid=1000)",
        "session success session open | root | -",
    );
    check("pam_unix(sshd:session): session closed for user fztu", "session success session close | fztu | -");
    check(
        "Connection from 192.0.2.16 port 51280 on 192.0.2.16 port 22 rdomain \"\"",
        "session success ssh connect | - | 192.0.2.16:51280",
    );
    check("Connection closed by 212.47.254.145 [preauth]", "session unknown ssh disconnect | - | 212.47.254.145");
    check(
        "Connection closed by invalid user  192.0.2.68 port 34916 [preauth]",
        "session unknown ssh disconnect | - | 192.0.2.68:34916",
    );
    check(
        "Disconnected from authenticating user admin 192.0.2.6 port 33553 [preauth]",
        "session unknown ssh disconnect | admin | 192.0.2.6:33553",
    );
    check("Disconnected from user alice 2001:db8::1 port 3", "session unknown ssh disconnect | alice | 2001:db8::1:3");
    check(
        "Received disconnect from 1.2.3.4: 11: Normal Shutdown, Thank you for playing [preauth]",
        "session unknown ssh disconnect | - | 1.2.3.4",
    );
    check("Received disconnect from 2001:db8::1: 11: Bye", "session unknown ssh disconnect | - | 2001:db8::1");
    check(
        "error: Received disconnect from 192.168.2.92 port 1684:14: No supported methods [preauth]",
        "session unknown ssh disconnect | - | 192.168.2.92:1684",
    );
    check(
        "Disconnecting: Too many authentication failures for git [preauth]",
        "session failure ssh disconnect | git | -",
    );
    check(
        "Disconnecting invalid user admin 192.0.2.117 port 44004: Change of username or service not allowed: (a) -> (b) [preauth]",
        "session failure ssh disconnect | admin | 192.0.2.117:44004",
    );
    check(
        "error: maximum authentication attempts exceeded for invalid user xxx from 192.0.2.7 port 49941 ssh2 [preauth]",
        "session failure ssh disconnect | xxx | 192.0.2.7:49941",
    );
    check(
        "Did not receive identification string from 192.0.2.5 port 35836",
        "session failure ssh connect | - | 192.0.2.5:35836",
    );
    check(
        "Bad protocol version identification 'x' from 192.0.2.1' from 69.61.56.115 port 31778",
        "session failure ssh connect | - | 69.61.56.115:31778",
    );
    check(
        "fatal: Unable to negotiate with 192.0.2.2 port 55419: no matching key exchange method found. Their offer: x",
        "session failure ssh connect | - | 192.0.2.2:55419",
    );
    check(
        "ssh_dispatch_run_fatal: Connection from 192.0.2.13 port 52452: Connection corrupted [preauth]",
        "session failure ssh connect | - | 192.0.2.13:52452",
    );
    check(
        "fatal: Timeout before authentication for 192.0.2.14 port 55555",
        "session failure ssh connect | - | 192.0.2.14:55555",
    );
    check(
        "Timeout before authentication for connection from 192.0.2.17 to 127.0.0.1, pid = 29098",
        "session failure ssh connect | - | 192.0.2.17",
    );
    check(
        "refused connect from _U2F=_@::ffff:218.249.210.161 (::ffff:218.249.210.161)",
        "session failure ssh connect | - | 218.249.210.161",
    );
    check(
        "reverse mapping checking getaddrinfo for ns.x.com [173.234.31.186] failed - POSSIBLE BREAK-IN ATTEMPT!",
        "system failure ssh address check | - | 173.234.31.186",
    );
    check(
        "Address 1.2.3.4 maps to 1234.bbbbbb.com, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT",
        "system failure ssh address check | - | 1.2.3.4",
    );
    check("Server listening on 0.0.0.0 port 22.", "system unknown ssh server | - | -");
    check("subsystem request for sftp by user alice", "session success ssh subsystem | alice | -");
    check(
        "Starting session: shell on pts/0 for alice from 192.0.2.1 port 5 id 0",
        "session success ssh session | alice | 192.0.2.1:5",
    );
    check("a message nobody has seen before", "other unknown ssh message | - | -");
}

#[test]
fn a_user_name_that_looks_like_an_address_does_not_move_the_attack_elsewhere() {
    check(
        "Failed password for invalid user from 10.10.1.1 from 127.0.0.1 port 58946 ssh2",
        "authentication failure ssh login | from 10.10.1.1 | 127.0.0.1:58946",
    );
    check(
        "Failed password for invalid user test from 10.10.1.2 port 55555 ssh2 from 127.0.0.1 port 58946 ssh2",
        "authentication failure ssh login | test from 10.10.1.2 port 55555 ssh2 | 127.0.0.1:58946",
    );
    check(
        "Failed password for user from 127.0.0.1 port 20000 ssh1: ruser from 1.2.3.4",
        "authentication failure ssh login | user | 127.0.0.1:20000",
    );
    check(
        "Connection closed by authenticating user test 127.0.0.1 port 12345 192.0.2.11 port 46039 [preauth]",
        "session unknown ssh disconnect | test 127.0.0.1 port 12345 | 192.0.2.11:46039",
    );
    let line = "Dec 10 06:55:46 h sshd[1]: Failed password for invalid user a from 6.6.6.6 port 1 ssh2: b from 127.0.0.1 port 5 ssh2";
    let event = event(Format::Sshd, line, &options());
    assert_eq!(event["source"]["address"], "127.0.0.1");
    assert_eq!(event["attributes"]["ambiguous_source"], json!(["6.6.6.6"]), "both readings are kept");
}

#[test]
fn an_event_says_everything_its_line_says_in_a_stable_order() {
    let line = "Sep  6 09:57:21 bullseye sshd[581]: Accepted publickey for vagrant from 192.168.121.1 port 56296 ssh2: RSA SHA256:1M4RzhMyWuFS";
    let found = event(Format::Sshd, line, &options());
    let expected = json!({
        "id": found["id"],
        "occurred_at": "2024-09-06T09:57:21Z",
        "kind": "authentication",
        "action": "ssh login",
        "outcome": "success",
        "actor": {"name": "vagrant"},
        "source": {"address": "192.168.121.1", "port": 56296},
        "targets": [{"type": "host", "name": "bullseye"}],
        "session": "bullseye:581",
        "message": "Accepted publickey for vagrant from 192.168.121.1 port 56296 ssh2: RSA SHA256:1M4RzhMyWuFS",
        "attributes": {"method": "publickey", "key_type": "RSA", "key_fingerprint": "SHA256:1M4RzhMyWuFS", "assumed": ["year", "zone"]},
        "origin": {"dialect": "sshd", "type": "sshd", "raw": line},
    });
    assert_eq!(found.to_string(), expected.to_string());
}

#[test]
fn every_prefix_is_read() {
    let check = |line: &str, at: &str, host: &str, session: &str| {
        let found = event(Format::Sshd, line, &options());
        let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        assert_eq!(
            (text("/occurred_at"), text("/targets/0/name"), text("/session"), text("/actor/name")),
            (at.into(), host.into(), session.into(), "root".into()),
            "{line}"
        );
    };
    let login = "Failed password for root from 1.2.3.4 port 5 ssh2";
    check(&format!("Dec 10 06:55:46 LabSZ sshd[24200]: {login}"), "2024-12-10T06:55:46Z", "LabSZ", "LabSZ:24200");
    check(&format!("Jun 7 01:10:56 host sshd[5937]:  {login}\r"), "2024-06-07T01:10:56Z", "host", "host:5937");
    check(&format!("<38>Dec 31 23:59:59 host sshd-session[7]: {login}"), "2023-12-31T23:59:59Z", "host", "host:7");
    check(
        &format!("2015-04-16T18:02:50.321974+02:00 host sshd[2716]: {login}"),
        "2015-04-16T16:02:50.321974Z",
        "host",
        "host:2716",
    );
    check(&format!("2015-04-16 18:02:50 host sshd[2716]: {login}"), "2015-04-16T18:02:50Z", "host", "host:2716");
    check(
        &format!("<38>1 2019-07-08T17:40:16.954167-04:00 h.example.com sshd 57915 - - {login}"),
        "2019-07-08T21:40:16.954167Z",
        "h.example.com",
        "h.example.com:57915",
    );
    check(
        &format!("<38>1 2019-07-08T17:40:16Z h sshd - - [a b=\"1\"][x@1 y=\"[\\\"]\"] \u{feff}{login}"),
        "2019-07-08T17:40:16Z",
        "h",
        "-",
    );
    check(&format!("Nov 23 21:50:19 sshd[8148]: {login}"), "2024-11-23T21:50:19Z", "-", ":8148");
    check(&format!("Jun 25 23:53:34 [sshd] {login}"), "2024-06-25T23:53:34Z", "-", "-");
    check(&format!("\u{feff}Jun 25 23:53:34 h /usr/sbin/sshd[1]: {login}"), "2024-06-25T23:53:34Z", "h", "h:1");
}

#[test]
fn the_other_programs_of_an_auth_log_are_read() {
    let check = |rest: &str, expected: &str| {
        let found = event(Format::SyslogAuth, &format!("Dec 10 06:55:46 h {rest}"), &options());
        assert_eq!(gist(&found), expected, "{rest}");
    };
    check(
        "sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/sh -c a ; b",
        "admin success sudo | alice | -",
    );
    check(
        "sudo:    alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
        "authentication failure sudo | alice | -",
    );
    check(
        "sudo:    bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
        "admin failure sudo | bob | -",
    );
    check(
        "sudo: pam_unix(sudo:session): session opened for user root by alice(uid=0)",
        "session success session open | root | -",
    );
    check("su[12]: (to root) alice on pts/0", "authentication success su | alice | -");
    check("su[12]: FAILED SU (to root) alice on pts/0", "authentication failure su | alice | -");
    check("su[12]: Successful su for root by alice", "authentication success su | alice | -");
    check("su[12]: - pts/0 alice:root", "authentication failure su | alice | -");
    check("su(pam_unix)[21416]: session opened for user cyrus by (uid=0)", "session success session open | cyrus | -");
    check("login[3]: LOGIN ON tty1 BY alice", "authentication success login | alice | -");
    check(
        "login[3]: FAILED LOGIN (1) on '/dev/tty1' FOR 'alice', Authentication failure",
        "authentication failure login | alice | -",
    );
    check("login[3]: ROOT LOGIN  on '/dev/tty1'", "authentication success login | root | -");
    check("CRON[3]: pam_unix(cron:session): session closed for user root", "session success session close | root | -");
    check("CRON[3]: (root) CMD (   cd / && run-parts /etc/cron.hourly)", "system unknown cron command | root | -");
    check("systemd-logind[3]: New session 4 of user alice.", "session success session open | alice | -");
    check("systemd-logind[3]: Removed session 4.", "session success session close | - | -");
    check(
        "useradd[3]: new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash",
        "admin success useradd | - | -",
    );
    check("usermod[3]: add 'bob' to group 'sudo'", "admin success usermod | - | -");
    check("passwd[3]: pam_unix(passwd:chauthtok): password changed for bob", "admin success change password | bob | -");
    check(
        "gdm-password]: pam_unix(gdm-password:auth): authentication failure; logname= uid=0 euid=0 tty=:0 ruser= rhost=  user=al",
        "authentication failure pam authentication | al | -",
    );
    check("kernel: something", "other unknown kernel message | - | -");
    check(
        "sshd[1]: Failed password for root from 1.2.3.4 port 5 ssh2",
        "authentication failure ssh login | root | 1.2.3.4:5",
    );
    let group = event(Format::SyslogAuth, "Dec 10 06:55:46 h usermod[3]: add 'bob' to group 'sudo'", &options());
    assert_eq!(
        group["targets"],
        json!([{"type": "user", "name": "bob"}, {"type": "group", "name": "sudo"}, {"type": "host", "name": "h"}])
    );
}

#[test]
fn a_repeated_message_is_as_many_events_up_to_a_limit() {
    let line = "Dec 10 07:13:56 LabSZ sshd[24227]: message repeated 5 times: [ Failed password for root from 5.36.59.76 port 42393 ssh2]";
    let found = imported(Format::Sshd, line.as_bytes(), &options());
    assert_eq!((found.summary.lines, found.summary.understood, found.logins("failure")), (1, 1, 5));
    assert_eq!(found.events[4].1["attributes"]["repetition"], json!({"number": 5, "of": 5}));
    assert_eq!(found.events[4].1["actor"]["name"], "root");

    let old = "Dec 10 07:13:56 h sshd[1]: Failed password for root from 5.36.59.76 port 4 ssh2\nDec 10 07:13:59 h last message repeated 2 times\n";
    assert_eq!(imported(Format::Sshd, old.as_bytes(), &options()).logins("failure"), 3);
    let other_host = old.replace("59 h last", "59 g last");
    let found = imported(Format::Sshd, other_host.as_bytes(), &options());
    assert_eq!((found.logins("failure"), found.not_understood[0].0), (1, 2), "what was repeated is not known");

    let many = line.replace("5 times", &format!("{} times", REPEATS_MAX + 1));
    let found = imported(Format::Sshd, many.as_bytes(), &options());
    assert_eq!((found.events.len(), &found.events[0].1["attributes"]["repeated"]), (1, &json!(REPEATS_MAX + 1)));
    assert!(found.notes.iter().any(|note| note.contains("one event")));
}

#[test]
fn equal_lines_get_different_ids_and_both_line_formats_the_same_ones() {
    let file = "Dec 10 07:13:56 h sshd[1]: Invalid user a from 1.2.3.4\n".repeat(3) + "Dec 10 07:13:56 h cron[1]: x\n";
    let first = imported(Format::Sshd, file.as_bytes(), &options());
    let longer =
        imported(Format::SyslogAuth, (file.clone() + &file).as_bytes(), &Options { year: Some(1999), ..options() });
    assert_eq!(first.events.len(), 3);
    assert_eq!(first.ids(), longer.ids()[..3]);
    assert!(first.not_understood[0].1.contains("syslog-auth"), "another program's line is reported, with what to do");
}

#[test]
fn lines_that_are_no_log_lines_are_reported_with_a_reason() {
    let long = "x".repeat(LINE_BYTES_MAX + 1);
    let file = format!(
        "# failJSON: {{}}\n\n   \nnonsense\n{long}\nFeb 30 00:00:00 h sshd[1]: x\nDec 10 07:13:56 h sshd[1]: caf\u{e9}\r\n"
    );
    let mut bytes = file.into_bytes();
    let at = bytes.len() - 4; // Behind it: the second byte of the é, and `\r\n`.
    assert_eq!(&bytes[at..at + 2], "\u{e9}".as_bytes());
    bytes.remove(at);
    let found = imported(Format::Sshd, &bytes, &options());
    let reasons: Vec<(u64, &str)> =
        found.not_understood.iter().map(|(line, reason, _)| (*line, reason.as_str())).collect();
    assert_eq!(reasons.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 4, 5, 6]);
    for ((_, reason), words) in reasons.iter().zip(["a comment", "not a syslog line", "65537 bytes", "month 2"]) {
        assert!(reason.contains(words), "{reason}");
    }
    assert!(found.not_understood[2].2.ends_with("(cut, 65536 bytes in all)"), "{}", found.not_understood[2].2);
    assert_eq!((found.summary.lines, found.summary.blank, found.summary.events), (7, 2, 1));
    // Not UTF-8: readable as a message, exact as raw.
    let event = &found.events[0].1;
    assert_eq!(event["message"], "caf\u{fffd}");
    let raw = STANDARD.decode(event["origin"]["raw"]["base64"].as_str().expect("a text")).expect("base64");
    assert_eq!(raw, b"Dec 10 07:13:56 h sshd[1]: caf\xA9");
}

#[test]
fn what_was_assumed_is_said_once_in_a_note_and_in_every_event() {
    let file = "Dec 10 07:13:56 h sshd[1]: a\nDec 31 07:13:56 h sshd[1]: b\nDec 11 07:13:56 h sshd[1]: c\n";
    let found = imported(Format::Sshd, file.as_bytes(), &options());
    assert_eq!(found.notes.len(), 3, "{:?}", found.notes);
    assert!(
        found.notes[0].starts_with("year 2024 inferred")
            && found.notes[1].starts_with("zone assumed to be UTC")
            && found.notes[2].starts_with("year 2023")
    );
    let given =
        Options { year: Some(2020), zone: Some(jiff::tz::TimeZone::get("Asia/Tokyo").expect("a zone")), ..options() };
    let found = imported(Format::Sshd, file.as_bytes(), &given);
    assert!(found.notes.is_empty());
    assert_eq!(found.events[0].1["occurred_at"], "2020-12-09T22:13:56Z");
    assert!(found.events[0].1.get("attributes").is_none());
    let nothing = Options { file_modified: None, ..options() };
    assert!(
        imported(Format::Sshd, file.as_bytes(), &nothing)
            .not_understood
            .iter()
            .all(|(_, reason, _)| reason.contains("--year"))
    );
}

#[test]
fn formats_are_recognised_by_their_beginning() {
    let check = |text: &str, expected: Option<Format>| assert_eq!(detect(text.as_bytes()), expected, "{text}");
    check("Dec 10 06:55:46 LabSZ sshd[24200]: x\n", Some(Format::Sshd));
    check("Dec 10 06:55:46 LabSZ sshd[24200]: x\nDec 10 06:55:46 LabSZ CRON[1]: x", Some(Format::SyslogAuth));
    check(" {\"Records\":[{\"eventVersion\":\"1\",\"userIdentity\":{", Some(Format::CloudTrail));
    check("{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\"", Some(Format::K8sAudit));
    check("{\"action\":\"login\"}", Some(Format::JsonLines));
    for text in
        ["", "hello", "{}", "\u{1f}\u{8b}", "127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 1"]
    {
        check(text, None);
    }
    for (format, name, _) in Format::ALL {
        assert_eq!((name.parse(), format.to_string().as_str()), (Ok(format), name));
    }
    assert!("sysl".parse::<Format>().is_err_and(|error| error.contains("sshd, syslog-auth")));
}
