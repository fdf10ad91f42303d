//! JSON records in every layout, and what a CloudTrail or Kubernetes record becomes.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::super::records::{Piece, RECORD_BYTES_MAX, Records};
use super::super::{Format, SHOWN_BYTES_MAX};
use super::{event, imported, options};

/// `line:record` or `line!reason` of each piece.
fn pieces(text: &str) -> Vec<String> {
    let mut records = Records::new(Cursor::new(text), &["Records", "items"]);
    let mut found = Vec::new();
    while let Some(piece) = records.next().expect("reading from memory does not fail") {
        found.push(match piece {
            Piece::Record { line, bytes } => format!("{line}:{}", String::from_utf8(bytes).expect("the test's text")),
            Piece::Broken { line, reason, .. } => format!("{line}!{reason}"),
        });
    }
    found
}

#[test]
fn records_are_found_in_every_layout() {
    let check = |text: &str, expected: &[&str]| assert_eq!(pieces(text), expected, "{text}");
    check("", &[]);
    check("{\"a\":1}\n\n{\"b\":\"}\\\"{\"}", &["1:{\"a\":1}", "3:{\"b\":\"}\\\"{\"}"]);
    check("\u{feff}[{\"a\":[1]},\n{\"b\":2}]\n{}", &["1:{\"a\":[1]}", "2:{\"b\":2}", "3:{}"]);
    check("{\"Records\":[]}", &[]);
    check(
        "{\"kind\": {\"Records\": [3]}, \"Records\" : [{\"a\":1} , {\"Records\":[4]}], \"z\": {\"y\": [5]}}{\"b\":2}",
        &["1:{\"a\":1}", "1:{\"Records\":[4]}", "1:{\"b\":2}"],
    );
    check(
        "{\n  \"items\": [\n    {\n      \"a\": 1\n    }\n  ],\n  \"n\": 1,\n  \"Records\": [{\"b\": 2}]\n}\n",
        &["3:{\n      \"a\": 1\n    }", "8:{\"b\": 2}"],
    );
    check("{\"k\":\"items\",\"v\":[1]}", &["1:{\"k\":\"items\",\"v\":[1]}"]);
}

#[test]
fn damage_ends_where_the_next_record_begins() {
    let check = |text: &str, expected: &[&str]| assert_eq!(pieces(text), expected, "{text}");
    check("{\"a\":1\n{\"b\":2}", &["1!not closed before line 2", "2:{\"b\":2}"]);
    check("{\"a\":\"x\n{\"b\":2}", &["1!a string is not closed on its line", "2:{\"b\":2}"]);
    check("hello\n{\"b\":2} there\n", &["1!not a JSON object", "2:{\"b\":2}", "2!not a JSON object"]);
    check("{\"a\":{", &["1!the file ends inside a record"]);
    check("{\"Records\":[{\"a\":1},", &["1:{\"a\":1}", "1!the file ends inside an array"]);
    check("{\"Records\":[{\"a\":1}]", &["1:{\"a\":1}", "1!the file ends inside an object"]);
    check("[1,\n{\"a\":1}] x", &["1!not a JSON object", "2:{\"a\":1}", "2!not a JSON object"]);
    check("[1]\n{\"a\":1}", &["1!not a JSON object", "2:{\"a\":1}"]);
    let long = format!("{{\"a\":\"{}\"}}\n{{\"b\":2}}", "x".repeat(RECORD_BYTES_MAX));
    let found = pieces(&long);
    assert!(found[0].starts_with("1!the record has 1048584 bytes") && found[1] == "2:{\"b\":2}", "{found:?}");
}

#[test]
fn gzip_is_transparent_and_its_damage_an_error() {
    let text = "{\"action\":\"a\",\"id\":\"1\"}\n".repeat(100);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).expect("memory");
    let packed = packed.finish().expect("memory");
    assert_eq!(super::super::detect(&packed[..packed.len() - 4]), Some(Format::JsonLines));
    let twice = [packed.clone(), packed.clone()].concat();
    assert_eq!(imported(Format::JsonLines, &twice, &options()).summary.events, 200);
    let cut = &packed[..packed.len() - 9];
    let result = super::super::import(Format::JsonLines, Cursor::new(cut), &options(), &mut |_| Ok(()));
    assert!(result.is_err_and(|error| error.to_string().contains("reading line")));
}

#[test]
fn our_own_events_pass_as_they_are() {
    let found = imported(Format::JsonLines, b"{\"id\":\"x\", \"action\":\"a\", \"n\":1.50}\n[1]\n{\"action\":\n\"b\"}\n{\"action\":\"b\"}\n{}\n{\"a\":tru}\n", &options());
    let texts: Vec<String> = found.events.iter().map(|(_, event)| event.to_string()).collect();
    assert_eq!(texts[0], "{\"id\":\"x\",\"action\":\"a\",\"n\":1.50}".replace("1.50", "1.5"));
    assert_eq!(found.events[1].1["action"], "b");
    let ids = found.ids();
    assert_eq!(ids[2], format!("{}:2", ids[1]), "equal events are two events");
    assert_eq!(found.summary.not_understood, 2, "{:?}", found.not_understood);
    assert!(found.not_understood[1].1.contains("expected"), "{:?}", found.not_understood);
}

#[test]
fn cloudtrail_records_have_their_kind_outcome_and_actor() {
    let check = |record: &str, expected: &str| {
        let found = event(Format::CloudTrail, record, &options());
        let text = |pointer: &str| found.pointer(pointer).and_then(|value| value.as_str()).unwrap_or("-").to_owned();
        let source = [text("/source/address"), text("/source/host")]
            .into_iter()
            .find(|text| text != "-")
            .unwrap_or("-".to_owned());
        let gist =
            format!("{} {} {} | {} | {source}", text("/kind"), text("/outcome"), text("/action"), text("/actor/name"));
        assert_eq!(gist, expected, "{record}");
    };
    let console = |result: &str| {
        format!(
            r#"{{"eventName":"ConsoleLogin","eventSource":"signin.amazonaws.com","eventType":"AwsConsoleSignIn","userIdentity":{{"type":"IAMUser","userName":"alice"}},"sourceIPAddress":"1.2.3.4","responseElements":{result}}}"#
        )
    };
    check(&console(r#"{"ConsoleLogin":"Failure"}"#), "authentication failure ConsoleLogin | alice | 1.2.3.4");
    check(&console(r#"{"ConsoleLogin":"Success"}"#), "authentication success ConsoleLogin | alice | 1.2.3.4");
    check(&console("null"), "authentication unknown ConsoleLogin | alice | 1.2.3.4");
    check(
        r#"{"eventName":"AssumeRole","eventSource":"sts.amazonaws.com","userIdentity":{"type":"AWSService","invokedBy":"ec2.amazonaws.com"},"sourceIPAddress":"ec2.amazonaws.com"}"#,
        "authentication success AssumeRole | ec2.amazonaws.com | ec2.amazonaws.com",
    );
    check(
        r#"{"eventName":"RunInstances","eventSource":"ec2.amazonaws.com","readOnly":false,"errorCode":"Client.UnauthorizedOperation","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/Admin/bob@x.com"},"sourceIPAddress":"AWS Internal"}"#,
        "admin failure RunInstances | bob@x.com | AWS Internal",
    );
    check(
        r#"{"eventName":"DescribeInstances","eventSource":"ec2.amazonaws.com"}"#,
        "other success DescribeInstances | - | -",
    );
    check(
        r#"{"eventName":"DeleteVpc","eventSource":"ec2.amazonaws.com","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"}}"#,
        "admin success DeleteVpc | root | -",
    );
    check(
        r#"{"eventName":"GetObject","eventSource":"s3.amazonaws.com","readOnly":true}"#,
        "file success GetObject | - | -",
    );
    check(
        r#"{"eventname":"RotateKey","eventsource":"kms.amazonaws.com","eventType":"AwsServiceEvent"}"#,
        "system unknown RotateKey | - | -",
    );
    check(
        r#"{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{"eventName":"StopLogging","eventSource":"cloudtrail.amazonaws.com"}}"#,
        "admin success StopLogging | - | -",
    );
    check(
        r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"3","message":"{\"eventName\":\"StopLogging\",\"eventSource\":\"cloudtrail.amazonaws.com\"}"}]}"#,
        "admin success StopLogging | - | -",
    );
}

#[test]
fn a_record_delivered_twice_is_one_event_and_other_content_another() {
    let record = |name: &str| {
        format!(
            r#"{{"eventID":"0828C0D2-3589-4390-b954-c78b4a7df44b", "eventName":"{name}","eventTime":"2022-02-08 09:23:37"}}"#
        )
    };
    let file = [record("A"), record("A").replace(", ", ","), record("B"), record("B")].join("\n");
    let found = imported(Format::CloudTrail, file.as_bytes(), &options());
    assert_eq!((found.summary.events, found.summary.repeated), (2, 2));
    assert_eq!(found.ids()[0], "cloudtrail:0828c0d2-3589-4390-b954-c78b4a7df44b");
    assert!(found.ids()[1].starts_with("cloudtrail:0828c0d2-3589-4390-b954-c78b4a7df44b:"));
    assert_eq!(found.events[0].1["occurred_at"], "2022-02-08T09:23:37Z");
    assert_eq!(found.events[0].1["origin"]["raw"]["eventName"], "A");
}

#[test]
fn kubernetes_events_have_their_kind_outcome_and_actor_and_a_client_cannot_choose_their_id() {
    let record = |more: &str| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x","stage":"ResponseComplete","user":{{"username":"bob"}},"sourceIPs":["10.0.0.1","10.0.0.2"]{more}}}"#
        )
    };
    let check = |more: &str, expected: &str| {
        let found = event(Format::K8sAudit, &record(more), &options());
        assert_eq!(format!("{} {} {}", found["kind"], found["outcome"], found["action"]).replace('"', ""), expected);
        assert_eq!((&found["actor"]["name"], &found["source"]["address"]), (&json!("bob"), &json!("10.0.0.1")));
    };
    check(
        r#","verb":"create","objectRef":{"resource":"pods","name":"a","namespace":"b"},"responseStatus":{"code":201}"#,
        "admin success create pods",
    );
    check(
        r#","verb":"create","objectRef":{"resource":"pods","subresource":"exec"},"responseStatus":{"code":101}"#,
        "session success create pods/exec",
    );
    check(
        r#","verb":"list","objectRef":{"resource":"secrets"},"responseStatus":{"code":403}"#,
        "other failure list secrets",
    );
    check(r#","verb":"get","requestURI":"/healthz?x=1""#, "other unknown get /healthz");
    check(
        r#","verb":"create","objectRef":{"resource":"tokenreviews"},"annotations":{"authorization.k8s.io/decision":"forbid"}"#,
        "authentication failure create tokenreviews",
    );
    check("", "other unknown request");
    let forged = [record(r#","verb":"get""#), record(r#","verb":"delete""#)].join("\n");
    let found = imported(Format::K8sAudit, forged.as_bytes(), &options());
    assert_eq!(found.summary.events, 2, "an Audit-ID is the client's to choose");
    let impersonated =
        event(Format::K8sAudit, &record(r#","verb":"get","impersonatedUser":{"username":"root"}"#), &options());
    assert_eq!(impersonated["indirect_actor"]["name"], "root");
    let listed = imported(
        Format::K8sAudit,
        format!(r#"{{"kind":"EventList","items":[{},{}]}}"#, record(r#","verb":"get""#), record("")).as_bytes(),
        &options(),
    );
    assert_eq!(listed.summary.events, 2);
    let core = imported(Format::K8sAudit, br#"{"kind":"Event","apiVersion":"v1","involvedObject":{}}"#, &options());
    assert!(core.not_understood[0].1.contains("not an audit event"));
}

#[test]
fn what_is_too_long_for_an_event_is_cut_and_said() {
    let name = "x".repeat(5_000);
    let found = event(
        Format::CloudTrail,
        &format!(r#"{{"eventName":"{name}","userIdentity":{{"userName":"{name}"}}}}"#),
        &options(),
    );
    assert_eq!(found["attributes"]["cut"], json!(["actor", "action"]));
    assert_eq!(found["action"].as_str().map(str::len), Some(200));
    let shown = imported(Format::CloudTrail, format!("{{\"a\": \"\u{1b}[2J{name}\"}}").as_bytes(), &options());
    let text = &shown.not_understood[0].2;
    assert!(
        text.contains("\\u{1b}[2J") && text.ends_with("(cut, 5013 bytes in all)") && text.len() < SHOWN_BYTES_MAX + 50,
        "{text}"
    );
}
