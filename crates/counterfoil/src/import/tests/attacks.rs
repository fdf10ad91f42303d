//! What the detection rules find in the real logs of `../shared/data/auth`.
//!
//! Goal: the attacks in the OpenSSH log are found, all of them and nothing else; and what is said of the other files is written
//! down, one by one, in `docs/risk/detection.md`. Method: each file is imported into an organisation of its own of a service that
//! detects, and its findings are listed. For the OpenSSH log what must be found is counted from the raw lines, without our
//! parser. `BLESS=1` writes the table of the page anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use service::search::Query;
use service::{
    Caller, Config, DetectionOptions, EventQuery, IngestOptions, Init, NewEvent, OrgId, PasswordCost, Principal,
    Service,
};

use super::super::{DETECT_BYTES, Format, detect};
use super::{imported, options};

const BRUTE_ACCOUNT: &str = "Brute force against one account";
const BRUTE_SOURCE: &str = "Brute force from one source";

/// Every file below the folder, by its path within it.
fn files() -> (PathBuf, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/auth");
    let folder = std::env::var_os("COUNTERFOIL_TEST_DATA").map_or(folder, PathBuf::from);
    let mut found = Vec::new();
    for kind in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let kind = kind.unwrap();
        for file in fs::read_dir(kind.path()).unwrap() {
            let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
            found.push(format!("{}/{}", name(&kind), name(&file.unwrap())));
        }
    }
    found.sort();
    (folder, found)
}

/// One finding, as the page shows it.
#[derive(Clone, Debug)]
struct Row {
    title: String,
    group: BTreeMap<String, String>,
    count: u64,
    first_at: String,
    last_at: String,
    events: usize,
}

fn findings(service: &Service, who: &Principal, org: OrgId) -> Vec<Row> {
    let filter = service::search::parse::parse("action:detection.finding").unwrap();
    let query = EventQuery { filter, limit: 10_000, ..EventQuery::default() };
    let page = service.query(who, org, &query).unwrap();
    assert_eq!(page.next, None);
    let row = |event: &service::Event| {
        let fields = event.fields().unwrap();
        let said: Value = serde_json::from_str(fields.attributes.unwrap().get()).unwrap();
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        let group = said["group"].as_object().unwrap();
        Row {
            title: fields.message.unwrap().to_string(),
            group: group.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
            count: said["count"].as_u64().unwrap(),
            first_at: text("first_at"),
            last_at: text("last_at"),
            events: said["events"].as_array().unwrap().len(),
        }
    };
    page.events.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attacks_in_the_real_logs_are_found_and_the_false_alarms_are_documented() {
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::new(data.path().join("data"));
    config.passwords = PasswordCost::weakest();
    config.detection = DetectionOptions { enabled: true, ..DetectionOptions::default() };
    let init = Init {
        org: "Acme".into(),
        admin: "ann@example.com".into(),
        password: "correct horse".into(),
        audit_host: "audit.example.com".into(),
    };
    let top = Service::init(&config, init).unwrap().org;
    let service = Service::open(config).unwrap();
    let who = service.login(None, "ann@example.com", "correct horse", &Caller::internal()).await.unwrap();

    let (folder, names) = files();
    let mut table = String::from(
        "| file | events | finding | of | count | from | to | events named |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut quiet: Vec<String> = Vec::new();
    let mut not_imported = 0;
    let mut of_openssh = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let bytes = fs::read(folder.join(name)).unwrap();
        // JSON lines of others look like our own, and are none.
        let format = detect(&bytes[..bytes.len().min(DETECT_BYTES)]).filter(|format| *format != Format::JsonLines);
        let Some(format) = format else {
            not_imported += 1;
            continue;
        };
        let found = imported(format, &bytes, &options());
        let org = service.create_org(&who, top, &format!("file {number}")).await.unwrap().id;
        for batch in found.events.chunks(500) {
            let items = batch.iter().map(|(_, event)| NewEvent::from_json(event.to_string().as_bytes())).collect();
            for result in service.ingest(&who, org, items, IngestOptions::default()).await.unwrap() {
                result.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            }
        }
        service.settle().await;
        let rows = findings(&service, &who, org);
        let kept = service.count(&who, org, &Query::All, u64::MAX).unwrap();
        if rows.is_empty() {
            quiet.push(name.clone());
        }
        for row in &rows {
            let group: Vec<String> = row.group.iter().map(|(name, value)| format!("{name} {value}")).collect();
            let group = group.join(", ").replace('|', "\\|");
            writeln!(
                table,
                "| {name} | {} | {} | {group} | {} | {} | {} | {} |",
                found.events.len(),
                row.title,
                row.count,
                row.first_at,
                row.last_at,
                row.events
            )
            .unwrap();
        }
        assert!(kept >= found.ids().iter().collect::<BTreeSet<_>>().len() as u64, "{name}");
        if name == "loghub/OpenSSH_2k.log" {
            of_openssh = rows;
        }
    }
    writeln!(
        table,
        "\nNothing is found in the other {} files that can be imported:\n{}.",
        quiet.len(),
        quiet.join(", ")
    )
    .unwrap();
    writeln!(table, "\n{not_imported} files of the folder are of formats that are not imported.").unwrap();
    service.shutdown().await;

    // The oracle: the raw lines.
    let text = fs::read_to_string(folder.join("loghub/OpenSSH_2k.log")).unwrap();
    let (accounts, sources) = attacked(&text);
    let named = |title: &str, key: &str| -> BTreeSet<String> {
        of_openssh.iter().filter(|row| row.title == title).map(|row| row.group[key].clone()).collect()
    };
    assert_eq!(named(BRUTE_ACCOUNT, "actor"), accounts);
    assert_eq!(named(BRUTE_SOURCE, "source"), sources);
    assert!(accounts.contains("root") && sources.contains("183.62.140.253"), "{accounts:?} {sources:?}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/risk/detection.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- table -->\n", "<!-- end of table -->");
    let (before, rest) = page.split_once(begin).expect("the page has a table");
    let (documented, after) = rest.split_once(end).expect("the table ends");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(documented, table, "BLESS=1 writes docs/risk/detection.md anew");
    }
}

/// Accounts and addresses with ten failures within ten minutes, by what stands in the lines.
fn attacked(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut accounts, mut sources): (BTreeMap<String, Vec<u64>>, BTreeMap<String, Vec<u64>>) = Default::default();
    for line in text.lines() {
        let Some((head, rest)) = line.split_once("Failed ") else { continue };
        let times = match head.split_once("message repeated ") {
            Some((_, count)) => count.split(' ').next().unwrap().parse().unwrap(),
            None => 1,
        };
        let clock = line.split_whitespace().nth(2).unwrap();
        let second = clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u64>().unwrap());
        let (_, rest) = rest.split_once(" for ").unwrap();
        let (user, rest) = rest.split_once(" from ").unwrap();
        let user = user.strip_prefix("invalid user ").unwrap_or(user);
        let address = rest.split(' ').next().unwrap();
        for _ in 0..times {
            accounts.entry(user.to_owned()).or_default().push(second);
            sources.entry(address.to_owned()).or_default().push(second);
        }
    }
    let attacked = |all: BTreeMap<String, Vec<u64>>| -> BTreeSet<String> {
        let is_attacked = |times: &Vec<u64>| times.windows(10).any(|ten| ten[9] - ten[0] <= 600);
        all.into_iter().filter(|(_, times)| is_attacked(times)).map(|(name, _)| name).collect()
    };
    (attacked(accounts), attacked(sources))
}
