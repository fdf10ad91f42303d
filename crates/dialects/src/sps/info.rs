//! What the node tells of itself, the entry points, and the two resources that only the vendor's own test suites read.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use service::Service;

use super::Settings;
use super::call::Call;
use super::error::Failure;
use super::message::{Meta, json_reply, list, object};

/// What clients go by that were written for one line of versions; they go on with 7.3 to 7.5 and 8.0 to 8.2.
const FIRMWARE: &str = "8.0.0";

/// `GET /api/info`: little to whoever asks, more to somebody who is logged in.
pub fn info(service: &Service, settings: &Settings, call: Option<&Call>) -> Response {
    let host = &service.instance().audit_host;
    let (name, domain) = host.split_once('.').unwrap_or((host, ""));
    let mut body = json!({
        "domainname": domain,
        "hostname": name,
        "nickname": null,
        "plugin_sdk_version": {"feature": null, "full": null},
        "support_link": null,
    });
    if call.is_some() {
        // No build date and no hash of a configuration: there is nothing true to say.
        body["analytics_enabled"] = json!(false);
        body["firmware_version"] = json!(FIRMWARE);
        body["roles"] = json!([settings.role.as_str()]);
        body["version"] = json!(FIRMWARE);
    }
    object("about_info", body, Meta::of("/api/info").remaining(call.map(|call| call.remaining_s)))
}

/// `GET /api` and `GET /api/audit`: where one can go from here.
pub fn entries(call: &Call) -> Result<Response, Failure> {
    let path = call.meta().href().to_owned();
    let keys: &[&str] = match path.as_str() {
        "/api" => &["audit", "authentication", "info"],
        _ => &["sessions", "users"],
    };
    let item = |key: &&str| json!({"key": key, "meta": {"href": format!("{path}/{key}")}});
    Ok(list(keys.iter().map(item).collect(), call.meta()))
}

/// `GET /api/firmware/slots`.
pub fn firmware_slots(call: &Call) -> Result<Response, Failure> {
    let slot = json!({"current": true, "firmware": FIRMWARE, "boot": true});
    let items: Vec<Value> = vec![json!({"key": "1", "body": slot, "meta": {"href": "/api/firmware/slots/1"}})];
    Ok(list(items, call.meta()))
}

/// `GET /api/configuration/management/email`.
pub fn email(call: &Call) -> Result<Response, Failure> {
    let body = json!({"admin_address": null, "alert_address": null, "smtp_server": null});
    Ok(json_reply(StatusCode::OK, &json!({"body": body, "key": "email", "meta": call.meta().into_value()})))
}
