//! Silo log records as `extractlog` hands them out: one per line, arrays of them, whole pages and whole replies.
//!
//! Every member is kept as it is in `origin.raw`, from where the same extraction API gives it back. `seq_id` and `create_ts`
//! of the other server become part of the id and the time of the event; here the record gets a number of its own.
//!
//! | type | kind |
//! |---|---|
//! | `AUTH` | authentication |
//! | `URL`, `BLOCKED URL`, `ISOLATE_BYPASS`, `APP_LAUNCH`, `TRANSLATION` | web |
//! | `DOWNLOAD`, `UPLOAD`, `A8SS`, `PRINT` | file |
//! | `ADMIN_AUDIT` | admin |
//! | `SESSION` | session |
//! | all others, `ENC` | other |

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::draft::{Actor, Kind, Meaning, Outcome, Source, Target};
use super::json::{Inner, OwnId, Understand, Understood, object, text};

pub(super) struct Reader;

impl Understand for Reader {
    /// The name of the extraction API: what is sent under it reads back there unchanged.
    const DIALECT: &'static str = "silo";
    const WRAPPERS: &'static [&'static str] = &["logs"];

    fn unwrap(&self, record: &Map<String, Value>) -> Result<Option<Inner>, String> {
        if let Some(Value::String(error)) = record.get("error") {
            return Err(format!("the reply of a failed command: {error}"));
        }
        if record.get("result").is_some_and(Value::is_string) {
            return Err("the reply to setauth, not a record".to_owned());
        }
        Ok(None)
    }

    fn read(&self, record: &Map<String, Value>) -> Result<Understood, String> {
        let Some(log_type) = text(record, "type") else {
            return Err(match object(record, "result") {
                Some(_) => "a reply whose records stand inside `result`; give the array `logs` of it".to_owned(),
                None => "no log record: no member `type`".to_owned(),
            });
        };
        let folded = log_type.to_ascii_uppercase().replace('_', " ");
        let kind = match folded.as_str() {
            "AUTH" => Kind::Authentication,
            "URL" | "BLOCKED URL" | "ISOLATE BYPASS" | "ISOLATION BYPASS" | "APP LAUNCH" | "TRANSLATION" => Kind::Web,
            "DOWNLOAD" | "UPLOAD" | "A8SS" | "PRINT" => Kind::File,
            "ADMIN AUDIT" => Kind::Admin,
            "SESSION" => Kind::Session,
            _ => Kind::Other,
        };
        let action = text(record, "action").or_else(|| text(record, "audit_type")).or_else(|| text(record, "method"));
        let mut meaning = Meaning::new(kind, action.unwrap_or(log_type), outcome(&folded, record));
        meaning.actor = Actor {
            id: text(record, "user_id").map(str::to_owned),
            name: text(record, "username").map(str::to_owned),
            kind: None,
        };
        if let Some(address) = text(record, "client_ip") {
            meaning.source = Source::from_text(address);
        }
        meaning.session = text(record, "session_id").map(str::to_owned);
        if let Some(url) = url(record) {
            meaning.targets.push(Target { kind: Some("url".to_owned()), id: None, name: Some(url) });
        }
        let own_id = match record.get("seq_id") {
            // Numbers are the other server's, perhaps of several organisations: they tell records apart only together with
            // what is in them.
            Some(Value::Number(number)) => OwnId::Claimed(number.to_string()),
            _ => OwnId::None,
        };
        Ok(Understood { own_id, at: created_at(record), meaning, kind: Some(log_type.to_owned()) })
    }
}

fn outcome(folded_type: &str, record: &Map<String, Value>) -> Outcome {
    if folded_type == "BLOCKED URL" {
        return Outcome::Failure;
    }
    match text(record, "result").map(str::to_ascii_lowercase).as_deref() {
        Some("success" | "ok" | "succeeded") => Outcome::Success,
        Some("failure" | "fail" | "failed" | "denied" | "error") => Outcome::Failure,
        _ => Outcome::Unknown,
    }
}

fn url(record: &Map<String, Value>) -> Option<String> {
    if let Some(url) = text(record, "url") {
        return Some(url.to_owned());
    }
    let (scheme, domain) = (text(record, "scheme")?, text(record, "domain")?);
    let port = record.get("port").and_then(Value::as_u64).map(|port| format!(":{port}")).unwrap_or_default();
    let query = text(record, "query").map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{domain}{port}{}{query}", text(record, "path").unwrap_or("/")))
}

/// `create_ts`: Unix seconds with a fraction, to the microsecond.
fn created_at(record: &Map<String, Value>) -> Option<Timestamp> {
    let seconds = match record.get("create_ts")? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let micros = (seconds * 1e6).round();
    // From 1970 to 2199: what an event may claim, and where a double still tells microseconds apart.
    (0.0..7.258_118_4e15).contains(&micros).then(|| Timestamp::from_microsecond(micros as i64).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Item, Options, Summary, detect, import};
    use serde_json::{Value, json};

    fn read(file: &str) -> (Vec<Value>, Summary) {
        let mut events = Vec::new();
        let summary = import(Format::SiloJson, file.as_bytes(), &Options::default(), &mut |item| {
            if let Item::Event { json, .. } = item {
                events.push(serde_json::from_slice(&json).unwrap());
            }
            Ok(())
        })
        .unwrap();
        (events, summary)
    }

    const URL: &str = r#"{"type":"URL","seq_id":3204201,"create_ts":1404245973.396193,"org_id":"0a","user_id":"u","username":"ann","session_id":"s","client_ip":"50.247.80.185","scheme":"http","domain":"www.java.com","port":81,"path":"/en","query":"p=v","method":"GET","response_code":200,"extra":[1.50]}"#;

    #[test]
    fn a_record_keeps_its_members_and_says_when_who_and_where() {
        let (events, summary) = read(URL);
        assert_eq!((summary.records, summary.understood), (1, 1));
        let event = &events[0];
        assert_eq!(event["occurred_at"], "2014-07-01T20:19:33.396193Z");
        assert_eq!(event["kind"], "web");
        assert_eq!(event["action"], "GET");
        assert_eq!(event["actor"], json!({"id": "u", "name": "ann"}));
        assert_eq!(event["source"]["address"], "50.247.80.185");
        assert_eq!(event["session"], "s");
        assert_eq!(event["targets"][0]["name"], "http://www.java.com:81/en?p=v");
        assert_eq!(event["origin"]["dialect"], "silo");
        assert_eq!(event["origin"]["type"], "URL");
        assert_eq!(event["origin"]["raw"], serde_json::from_str::<Value>(URL).unwrap());
        assert!(event["id"].as_str().unwrap().starts_with("silo:3204201:"));
    }

    #[test]
    fn lines_arrays_and_pages_give_the_same_events_with_the_same_ids() {
        let sealed = r#"{"type":"ENC","seq_id":5,"create_ts":1.5,"key_name":"k","enc":"AAAA"}"#;
        let (lines, _) = read(&format!("{URL}\n{sealed}\n"));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["origin"]["type"], "ENC");
        for file in
            [format!("[{URL},{sealed}]"), format!("{{\"next_seq\":6,\"logs\":[{URL},{sealed}],\"is_more\":false}}")]
        {
            assert_eq!(read(&file).0, lines, "{file}");
        }
    }

    #[test]
    fn the_same_number_of_another_organisation_is_another_event() {
        let other = URL.replace("www.java.com", "example.org");
        let (events, _) = read(&format!("{URL}\n{other}\n{URL}\n"));
        assert_eq!(events.len(), 2, "the third is the first once more");
        assert_ne!(events[0]["id"], events[1]["id"]);
    }

    #[test]
    fn what_is_no_record_is_said_to_be_none() {
        let (events, summary) =
            read("{\"error\":\"KeyError: x\"}\n{\"seq_id\":1}\n{\"result\":\"setting auth from data\"}\n");
        assert_eq!((events.len(), summary.not_understood), (0, 3));
    }

    #[test]
    fn the_format_is_recognised() {
        assert_eq!(detect(URL.as_bytes()), Some(Format::SiloJson));
    }
}
