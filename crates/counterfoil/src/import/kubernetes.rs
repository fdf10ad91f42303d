//! Kubernetes audit events (`audit.k8s.io/v1`, and `v1beta1` with its `timestamp`), also as AKS and GKE wrap or rewrite them.
//!
//! | what | kind |
//! |---|---|
//! | `tokenreviews`, `serviceaccounts/token`, certificate approval | authentication |
//! | `pods/exec`, `attach`, `portforward`, `proxy` | session |
//! | `create`, `update`, `patch`, `delete`, `deletecollection`, and verbs not known to read | admin |
//! | `get`, `list`, `watch`, access reviews, paths without a resource, no verb | other |
//!
//! Outcome: a status code below 400 is a success, any other a failure; without a code a `forbid` decision or the stage `Panic` is a
//! failure and the rest is unknown. `actor` is who authenticated; whom they impersonated is `indirect_actor`.

use serde_json::{Map, Value};

use super::draft::{Actor, Kind, Meaning, Outcome, Source, Target};
use super::json::{self, Inner, OwnId, Understand, Understood, member, object, text, time};

/// API servers cut a client's `Audit-ID` at this length.
const AUDIT_ID_BYTES_MAX: usize = 64;

pub(super) struct Reader;

impl Understand for Reader {
    const DIALECT: &'static str = "kubernetes";
    /// `EventList`; Azure's diagnostic export; CloudWatch Logs subscriptions (EKS).
    const WRAPPERS: &'static [&'static str] = &["items", "records", "logEvents", "events"];

    fn unwrap(&self, record: &Map<String, Value>) -> Result<Option<Inner>, String> {
        if is_audit_event(record) || object(record, "protoPayload").is_some() {
            return Ok(None);
        }
        // Azure: `properties.log`; container logs: `log`; CloudWatch: `message`.
        let properties = object(record, "properties");
        let inner = properties
            .and_then(|properties| member(properties, "log"))
            .or_else(|| ["log", "message", "@message"].iter().find_map(|name| member(record, name)));
        match inner {
            Some(Value::String(text)) if text.trim_start().starts_with('{') => Ok(Some(Inner::Text(text.clone()))),
            Some(Value::Object(object)) => Ok(Some(Inner::Object(object.clone()))),
            _ => Ok(None),
        }
    }

    fn read(&self, record: &Map<String, Value>) -> Result<Understood, String> {
        if let Some(payload) = object(record, "protoPayload") {
            return google(record, payload);
        }
        if is_audit_event(record) {
            return Ok(audit_event(record));
        }
        if text(record, "kind") == Some("Event") {
            return Err("an Event object of the cluster, not an audit event".to_owned());
        }
        if let Some(category) = text(record, "category") {
            return Err(format!("an Azure record of category {category} without an audit event in properties.log"));
        }
        Err("no audit event: no auditID or verb with an objectRef, user, path or source".to_owned())
    }
}

fn is_audit_event(record: &Map<String, Value>) -> bool {
    let of_audit_api = text(record, "apiVersion").is_some_and(|version| version.starts_with("audit.k8s.io/"));
    let by_members = ["verb", "auditID"].iter().any(|name| text(record, name).is_some())
        && ["objectRef", "user", "requestURI", "sourceIPs"].iter().any(|name| member(record, name).is_some());
    by_members || (of_audit_api && text(record, "kind") == Some("Event"))
}

fn audit_event(record: &Map<String, Value>) -> Understood {
    let empty = Map::new();
    let reference = object(record, "objectRef").unwrap_or(&empty);
    let verb = text(record, "verb").unwrap_or_default();
    let resource = text(reference, "resource").unwrap_or_default();
    let subresource = text(reference, "subresource").unwrap_or_default();
    let full_resource = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let path = text(record, "requestURI").map(|uri| uri.split('?').next().unwrap_or(uri));

    let what = if full_resource.is_empty() { path.unwrap_or_default() } else { &full_resource };
    let action = format!("{} {what}", if verb.is_empty() { "request" } else { verb });
    let status = object(record, "responseStatus").unwrap_or(&empty);
    let annotations = object(record, "annotations").unwrap_or(&empty);
    let decision = text(annotations, "authorization.k8s.io/decision");
    let code = member(status, "code").and_then(Value::as_u64);
    let outcome = match code {
        Some(0) | None if decision == Some("forbid") || text(record, "stage") == Some("Panic") => Outcome::Failure,
        Some(0) | None => Outcome::Unknown,
        Some(code) if code < 400 => Outcome::Success,
        Some(_) => Outcome::Failure,
    };
    let mut meaning = Meaning::new(kind(verb, resource, subresource), action.trim_end(), outcome);
    meaning.actor = object(record, "user").map(user).unwrap_or_default();
    meaning.indirect_actor = object(record, "impersonatedUser").map(user).unwrap_or_default();
    let addresses = member(record, "sourceIPs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    meaning.source = Source::from_text(addresses.first().and_then(Value::as_str).unwrap_or_default());
    meaning.source.application = text(record, "userAgent").map(str::to_owned);
    meaning.targets = target(record, reference).into_iter().collect();
    meaning.correlation = text(record, "auditID").map(str::to_owned);
    meaning.message = text(status, "message").or_else(|| text(status, "reason")).map(str::to_owned);
    if addresses.len() > 1 {
        meaning = meaning.attribute("source_addresses", addresses.to_vec());
    }
    meaning = json::copy_attributes(meaning, reference, &[("namespace", "namespace"), ("apiGroup", "api_group")]);
    meaning = json::copy_attributes(
        meaning,
        record,
        &[("requestURI", "request_uri"), ("stage", "stage"), ("level", "level")],
    );
    if let Some(groups) = object(record, "user").and_then(|user| member(user, "groups")) {
        meaning = meaning.attribute("groups", groups.clone());
    }
    if let Some(code) = code {
        meaning = meaning.attribute("status_code", code);
    }
    meaning = json::copy_attributes(
        meaning,
        annotations,
        &[("authorization.k8s.io/decision", "decision"), ("authorization.k8s.io/reason", "decision_reason")],
    );

    let times = ["requestReceivedTimestamp", "stageTimestamp", "timestamp", "p_event_time"];
    let created = || object(record, "metadata").and_then(|metadata| time(metadata, "creationTimestamp"));
    let audit_id = text(record, "auditID")
        .filter(|id| id.len() <= AUDIT_ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic()));
    let stage = text(record, "stage").filter(|stage| stage.len() <= 32).unwrap_or("-");
    Understood {
        own_id: audit_id.map_or(OwnId::None, |id| OwnId::Claimed(format!("{id}:{stage}"))),
        at: times.iter().find_map(|name| time(record, name)).or_else(created),
        meaning,
        kind: text(record, "stage").map(str::to_owned),
    }
}

fn kind(verb: &str, resource: &str, subresource: &str) -> Kind {
    match (resource, subresource) {
        ("tokenreviews", _) | ("serviceaccounts", "token") | ("certificatesigningrequests", "approval") => {
            return Kind::Authentication;
        }
        ("pods" | "services" | "nodes", "exec" | "attach" | "portforward" | "proxy") => return Kind::Session,
        (resource, _) if resource.ends_with("accessreviews") || resource.ends_with("rulesreviews") => {
            return Kind::Other;
        }
        _ => {}
    }
    match verb {
        "get" | "list" | "watch" | "head" | "options" | "" => Kind::Other,
        _ if resource.is_empty() => Kind::Other,
        _ => Kind::Admin,
    }
}

fn user(user: &Map<String, Value>) -> Actor {
    let name = text(user, "username");
    let kind = name.map(|name| match name {
        _ if name.starts_with("system:serviceaccount:") => "serviceaccount",
        _ if name.starts_with("system:node:") => "node",
        "system:anonymous" => "anonymous",
        _ if name.starts_with("system:") => "system",
        _ => "user",
    });
    Actor { id: text(user, "uid").map(str::to_owned), name: name.map(str::to_owned), kind: kind.map(str::to_owned) }
}

/// `{type: pods, id: default/nginx, name: nginx}`. Objects with a generated name have it only in the response.
fn target(record: &Map<String, Value>, reference: &Map<String, Value>) -> Option<Target> {
    let kind = text(reference, "resource")?;
    let generated = || {
        object(record, "responseObject")
            .and_then(|object_| object(object_, "metadata"))
            .and_then(|metadata| text(metadata, "name"))
    };
    let name = text(reference, "name").or_else(generated);
    let id = match (text(reference, "namespace"), name) {
        (Some(namespace), Some(name)) if kind != "namespaces" => Some(format!("{namespace}/{name}")),
        (Some(namespace), None) => Some(namespace.to_owned()),
        (_, name) => name.map(str::to_owned),
    };
    Some(Target { kind: Some(kind.to_owned()), id, name: name.map(str::to_owned) })
}

/// GKE writes the API server's audit events in Google Cloud's own form: `io.k8s.core.v1.pods.exec.create`.
fn google(record: &Map<String, Value>, payload: &Map<String, Value>) -> Result<Understood, String> {
    let service = text(payload, "serviceName").unwrap_or("another service");
    let method = text(payload, "methodName").unwrap_or_default();
    let Some(path) = method.strip_prefix("io.k8s.") else {
        return Err(format!("a Google Cloud audit record of {service}, not of Kubernetes"));
    };
    let parts: Vec<&str> = path.split('.').collect();
    // `<group>.<version>.<resource>[.<subresource>].<verb>`; groups have dots, versions look like `v1beta1`.
    let version = parts
        .iter()
        .position(|part| part.starts_with('v') && part[1..].starts_with(|first: char| first.is_ascii_digit()));
    let after_version = version.map_or(&[][..], |at| &parts[at + 1..]);
    let (resource, subresource, verb) = match after_version {
        [resource, verb] => (*resource, "", *verb),
        [resource, subresource, verb] => (*resource, *subresource, *verb),
        _ => ("", "", ""),
    };
    let full_resource = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let action = if verb.is_empty() { format!("request {path}") } else { format!("{verb} {full_resource}") };

    let empty = Map::new();
    let status = object(payload, "status").unwrap_or(&empty);
    let code = member(status, "code").and_then(Value::as_i64).unwrap_or(0);
    let decisions =
        member(payload, "authorizationInfo").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let refused = decisions.iter().any(|decision| decision.get("granted") == Some(&Value::Bool(false)));
    let outcome = if code != 0 || refused { Outcome::Failure } else { Outcome::Success };

    let mut meaning = Meaning::new(kind(verb, resource, subresource), action, outcome);
    let identity = object(payload, "authenticationInfo").unwrap_or(&empty);
    let request = object(payload, "requestMetadata").unwrap_or(&empty);
    meaning = meaning
        .actor(text(identity, "principalEmail").or_else(|| text(identity, "authoritySelector")).unwrap_or_default());
    meaning.source = Source::from_text(text(request, "callerIp").unwrap_or_default());
    meaning.source.application = text(request, "callerSuppliedUserAgent").map(str::to_owned);
    if let Some(name) = text(payload, "resourceName") {
        let kind = (!resource.is_empty()).then(|| resource.to_owned());
        let last = name.rsplit('/').next().map(str::to_owned);
        meaning.targets.push(Target { kind, id: Some(name.to_owned()), name: last });
    }
    meaning.message = text(status, "message").map(str::to_owned);
    meaning.correlation = object(record, "operation").and_then(|operation| text(operation, "id")).map(str::to_owned);
    meaning = json::copy_attributes(meaning, payload, &[("methodName", "method")]);
    let own_id = text(record, "insertId")
        .filter(|id| id.len() <= AUDIT_ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic()));
    Ok(Understood {
        own_id: own_id.map_or(OwnId::None, |id| OwnId::Claimed(id.to_owned())),
        at: ["timestamp", "receiveTimestamp", "p_event_time"].iter().find_map(|name| time(record, name)),
        meaning,
        kind: Some("gke".to_owned()),
    })
}
