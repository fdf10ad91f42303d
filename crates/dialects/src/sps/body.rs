//! A session as JSON, in the vendor's words. Members without a value are left out, except where the vendor shows null.

use serde_json::{Map, Value, json};
use service::Timestamp;
use service::recordings::{EndReason, Endpoint, Session};
use service::risk::SessionScore;

use super::message::time;

/// What of a session comes from elsewhere than its catalogue.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The state of its index, in the vendor's word.
    pub index_status: Option<&'static str>,
    /// Commands were found in it.
    pub has_commands: bool,
    /// Window titles were found in it.
    pub has_titles: bool,
    /// Commands among those that the vendor calls interesting.
    pub interesting: Vec<String>,
    /// How far it is from what is usual for its user.
    pub score: Option<SessionScore>,
}

/// The address of a session.
pub fn href(session: &Session) -> String {
    format!("/api/audit/sessions/{}", session.id)
}

/// The whole body.
pub fn body(session: &Session, known: &Known, node_id: &str, now: Timestamp) -> Value {
    let info = &session.info;
    let href = href(session);
    let link = |part: &str| json!({"href": format!("{href}/{part}")});
    let has_trail = session.bytes > 0;
    let verdict = info.verdict.clone().unwrap_or_else(|| "ACCEPT".to_owned());
    let id = session.id.to_string();
    let mut recording = json!({
        "archived": false,
        "audit_trail": has_trail.then(|| json!({"archive": null, "download": link("audit_trail")})),
        "auth_method": info.auth_method,
        "channel_policy": info.channel_policy,
        "connection_policy": info.connection_policy,
        "connection_policy_id": info.connection_policy_id,
        "command_extracted": known.has_commands,
        "window_title_extracted": known.has_titles,
        "has_accepted_channel": verdict == "ACCEPT",
        "content_reference_id": session.seq(),
        "deny_reason": info.deny_reason,
        "network_id": info.network_id,
        "index_status": known.index_status,
        "server_local": endpoint(&info.server_local),
        "target": endpoint(&info.target),
        "session_id": format!("svc/{}/{}:{}", id, info.connection_policy.as_deref().unwrap_or("recorder"), session.seq()),
        "verdict": verdict,
    });
    prune(&mut recording);
    let mut server = endpoint(&info.server);
    if let Some(address) = &info.server.address {
        server["address"] = json!(info.server.port.map_or(address.clone(), |port| format!("{address}:{port}")));
    }
    let domain = |value: &Option<String>| value.clone();
    let user = &info.user;
    let hour = session.started_at.to_zoned(jiff::tz::TimeZone::UTC).hour();
    let seconds = session.duration_us(now) / 1_000_000;
    let mut body = json!({
        "active": session.is_active(),
        "alerts": link("alerts"),
        "analytics": {
            "interesting_events": known.interesting,
            "score": known.score.as_ref().and_then(score),
            "scripted": known.score.as_ref().map(|score| score.said.scripted.scripted),
            "scripted_results": known.score.as_ref().map(|score| json!(score.said.scripted.results)),
            "tags": known.score.as_ref().filter(|score| score.said.scripted.scripted).map(|_| ["scripted"]),
            "bucketed_duration": bucket(seconds),
            "bucketed_starting_hour": format!("{:02}-{:02}", hour, (hour + 1) % 24),
        },
        "channels": link("channels"),
        "client": endpoint(&info.client),
        "creation_time": time(session.recorded_at),
        "duration": seconds,
        "events": link("events"),
        "hidden": false,
        "indexing": link("indexing"),
        "node_id": info.node_id.as_deref().unwrap_or(node_id),
        "origin": "RECORDING",
        "phantom": false,
        "protocol": info.protocol.as_deref().map(str::to_ascii_uppercase),
        "recording": recording,
        "server": server,
        "start_time": time(session.started_at),
        "user": {
            "id": info.user_name(),
            "name": info.user_name(),
            "name_domain": domain(&user.gateway_domain).or(domain(&user.domain)),
            "gateway_username": user.gateway_name,
            "gateway_username_domain": user.gateway_domain,
            "server_username": (!user.server_names.is_empty()).then(|| user.server_names.clone()),
            "server_username_domain": user.server_domain,
        },
        "vault": (!info.vault.is_empty()).then(|| Value::Object(info.vault.clone())),
        "verdict": if ended_early(session) { "TERMINATED".to_owned() } else { verdict.clone() },
    });
    prune(&mut body);
    // These two are null where there is nothing, and only these.
    body["end_time"] = session.ended.as_ref().map_or(Value::Null, |ended| time(ended.at).into());
    body["trail_download_link"] = if has_trail { json!(format!("{href}/audit_trail")) } else { Value::Null };
    body
}

/// The scores of a session; none without one.
fn score(score: &SessionScore) -> Option<Value> {
    let aggregated = score.said.aggregated?;
    let details: Map<String, Value> =
        score.said.scores.iter().map(|(name, score)| (name.to_string(), json!({"score": score}))).collect();
    Some(json!({"aggregated": aggregated, "details": details}))
}

/// Whether the recording stopped before the session did.
fn ended_early(session: &Session) -> bool {
    session.ended.as_ref().is_some_and(|ended| matches!(ended.reason, EndReason::Aborted | EndReason::Closed))
}

fn endpoint(endpoint: &Endpoint) -> Value {
    let mut value = json!({"ip": endpoint.address, "name": endpoint.name, "port": endpoint.port, "id": endpoint.id});
    prune(&mut value);
    value
}

/// Lengths of sessions, in the few steps that analytics tells apart.
fn bucket(seconds: u64) -> &'static str {
    match seconds {
        0..60 => "0-1m",
        60..600 => "1-10m",
        600..3_600 => "10-60m",
        3_600..28_800 => "1-8h",
        _ => "8h+",
    }
}

/// Leaves out what is null or empty, also inside; but not empty lists.
fn prune(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for member in members.values_mut() {
        prune(member);
    }
    members.retain(|name, member| match member {
        Value::Null => name == "archive",
        Value::Object(inner) => !inner.is_empty(),
        _ => true,
    });
}

/// The parts of a body that `fields` asked for, nested as they are. `*` asks for all.
pub fn project(body: &Value, fields: &[String]) -> Value {
    if fields.iter().any(|field| field == "*") {
        return body.clone();
    }
    let mut out = Value::Object(Map::new());
    for field in fields {
        let Some(found) = at(body, field) else { continue };
        let mut place = &mut out;
        for name in field.split('.') {
            let Value::Object(members) = place else { break };
            place = members.entry(name).or_insert_with(|| Value::Object(Map::new()));
        }
        *place = found.clone();
    }
    out
}

/// The member at a dotted name.
pub fn at<'a>(body: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(body, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_out_and_stay_nested() {
        let body = json!({"user": {"name": "bob", "id": "b"}, "client": {"ip": "::1"}, "active": true});
        let fields = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(project(&body, &fields(&["user.name", "active"])), json!({"user": {"name": "bob"}, "active": true}));
        assert_eq!(project(&body, &fields(&["*"])), body);
        assert_eq!(project(&body, &fields(&["no.such"])), json!({}));
        assert_eq!(project(&body, &fields(&["user", "user.name"])), json!({"user": {"name": "bob", "id": "b"}}));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut value = json!({"a": null, "b": {"c": null}, "archive": null, "d": [], "g": {}, "e": {"f": 1}});
        prune(&mut value);
        assert_eq!(value, json!({"archive": null, "d": [], "e": {"f": 1}}));
    }
}
