//! AWS CloudTrail records (record contents: AWS CloudTrail user guide, "CloudTrail record contents", version 1.x).
//!
//! | what | kind |
//! |---|---|
//! | `signin.amazonaws.com` and `sso`/`sso-oauth` sign-in, STS `AssumeRole*`, `GetSessionToken`, `GetFederationToken` | authentication |
//! | S3 object calls (`GetObject`, `PutObject`, …) | file |
//! | `AwsServiceEvent` | system |
//! | `readOnly: false`; without it, a name that does not begin like a reading one | admin |
//! | `readOnly: true`; without it, `Get…`, `List…`, `Describe…` and their like | other |
//!
//! Outcome: an `errorCode` or `errorMessage` is a failure; `responseElements` that say `Success` or `Failure` are believed; a
//! sign-in or service event that says neither is unknown; any other call without an error succeeded.

use serde_json::{Map, Value};

use super::draft::{Actor, Kind, Meaning, Outcome, Source, Target};
use super::json::{self, Inner, OwnId, Understand, Understood, member, object, text, time};

pub(super) struct Reader;

impl Understand for Reader {
    const DIALECT: &'static str = "cloudtrail";
    /// Delivery files; `aws cloudtrail lookup-events`; CloudWatch Logs subscriptions.
    const WRAPPERS: &'static [&'static str] = &["Records", "Events", "logEvents", "events"];

    fn unwrap(&self, record: &Map<String, Value>) -> Result<Option<Inner>, String> {
        if member(record, "eventName").is_some() && member(record, "CloudTrailEvent").is_none() {
            return Ok(None);
        }
        for name in ["CloudTrailEvent", "message", "Message", "_raw"] {
            if let Some(inner) = text(record, name).filter(|inner| inner.trim_start().starts_with('{')) {
                return Ok(Some(Inner::Text(inner.to_owned())));
            }
        }
        let inner = object(record, "detail").or_else(|| object(record, "message"));
        Ok(inner.filter(|inner| member(inner, "eventName").is_some()).map(|inner| Inner::Object(inner.clone())))
    }

    fn read(&self, record: &Map<String, Value>) -> Result<Understood, String> {
        let name = text(record, "eventName").ok_or("no eventName: not a CloudTrail record")?;
        let service = text(record, "eventSource").unwrap_or_default();
        let event_type = text(record, "eventType").unwrap_or_default();
        let kind = kind(record, service, name, event_type);
        let mut meaning = Meaning::new(kind, name, outcome(record, kind, name));
        if let Some(identity) = object(record, "userIdentity") {
            (meaning.actor, meaning.indirect_actor) = actors(identity);
            meaning.session = text(identity, "accessKeyId").map(str::to_owned);
            let session = object(identity, "sessionContext");
            if let Some(mfa) = session
                .and_then(|session| object(session, "attributes"))
                .and_then(|attributes| member(attributes, "mfaAuthenticated"))
            {
                meaning = meaning.attribute("mfa", mfa.clone());
            }
            if let Some(role) =
                session.and_then(|session| object(session, "sessionIssuer")).and_then(|issuer| text(issuer, "arn"))
            {
                meaning = meaning.attribute("role", role);
            }
            meaning = json::copy_attributes(meaning, identity, &[("accountId", "actor_account")]);
        }
        meaning.source = Source::from_text(text(record, "sourceIPAddress").unwrap_or_default());
        meaning.source.application = text(record, "userAgent").map(str::to_owned);
        meaning.targets = targets(record);
        meaning.correlation = text(record, "sharedEventID").or_else(|| text(record, "requestID")).map(str::to_owned);
        meaning.message = text(record, "errorMessage").map(str::to_owned);
        let names = [
            ("eventSource", "service"),
            ("awsRegion", "region"),
            ("recipientAccountId", "account"),
            ("eventType", "event_type"),
            ("eventCategory", "event_category"),
            ("readOnly", "read_only"),
            ("errorCode", "error_code"),
        ];
        meaning = json::copy_attributes(meaning, record, &names);
        let at = ["eventTime", "@timestamp", "p_event_time"].iter().find_map(|name| time(record, name));
        let own_id = text(record, "eventID").filter(|id| is_uuid(id));
        Ok(Understood {
            own_id: own_id.map_or(OwnId::None, |id| OwnId::Trusted(id.to_ascii_lowercase())),
            at,
            meaning,
            kind: text(record, "eventType").map(str::to_owned),
        })
    }
}

fn kind(record: &Map<String, Value>, service: &str, name: &str, event_type: &str) -> Kind {
    let service = service.split('.').next().unwrap_or(service);
    let signs_in = match service {
        "signin" | "sso-oauth" => true,
        "sso" => matches!(
            name,
            "Authenticate"
                | "Federate"
                | "Logout"
                | "UserAuthentication"
                | "CredentialChallenge"
                | "CredentialVerification"
        ),
        "sts" => {
            name.starts_with("AssumeRole") || matches!(name, "GetSessionToken" | "GetFederationToken" | "AssumeRoot")
        }
        _ => event_type == "AwsConsoleSignIn",
    };
    if signs_in {
        return Kind::Authentication;
    }
    if service == "s3" && is_object_call(name) {
        return Kind::File;
    }
    if event_type == "AwsServiceEvent" {
        return Kind::System;
    }
    let read_only = match member(record, "readOnly") {
        Some(Value::Bool(read_only)) => *read_only,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => reads_by_name(name),
    };
    if read_only { Kind::Other } else { Kind::Admin }
}

fn is_object_call(name: &str) -> bool {
    let exact = [
        "GetObject",
        "PutObject",
        "HeadObject",
        "CopyObject",
        "DeleteObject",
        "DeleteObjects",
        "RestoreObject",
        "SelectObjectContent",
        "UploadPart",
        "UploadPartCopy",
        "CreateMultipartUpload",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
        "PostObject",
    ];
    exact.contains(&name)
}

/// Older records, and records cut down by other tools, lack `readOnly`; the verbs AWS names its calls with tell it.
fn reads_by_name(name: &str) -> bool {
    let verbs = [
        "Get", "List", "Describe", "Head", "Lookup", "Search", "Select", "Query", "Scan", "BatchGet", "Check", "View",
        "Validate", "Test", "Estimate", "Preview", "Simulate", "Detect", "Decrypt", "Download", "Discover", "Filter",
        "Resolve",
    ];
    verbs.iter().any(|verb| name.starts_with(verb))
}

fn outcome(record: &Map<String, Value>, kind: Kind, name: &str) -> Outcome {
    if text(record, "errorCode").is_some() || text(record, "errorMessage").is_some() {
        return Outcome::Failure;
    }
    let said = object(record, "responseElements").and_then(|elements| text(elements, name));
    match said {
        Some("Success") => Outcome::Success,
        Some("Failure" | "Failed") => Outcome::Failure,
        _ if kind == Kind::System
            || text(record, "eventType") == Some("AwsConsoleSignIn")
            || name == "ConsoleLogin" =>
        {
            Outcome::Unknown
        }
        _ => Outcome::Success,
    }
}

/// Who did it, and the AWS service that asked on their behalf.
fn actors(identity: &Map<String, Value>) -> (Actor, Actor) {
    let kind = text(identity, "type").map(str::to_owned);
    let arn = text(identity, "arn");
    let invoked_by = text(identity, "invokedBy");
    // `arn:aws:sts::1:assumed-role/Role/session` and `arn:aws:iam::1:user/path/alice`: the last part is whom people know.
    let from_arn = || arn.and_then(|arn| arn.rsplit(['/', ':']).next()).filter(|name| !name.is_empty());
    let is_role_session = matches!(kind.as_deref(), Some("AssumedRole" | "FederatedUser"));
    let name = if is_role_session {
        from_arn().or_else(|| text(identity, "userName"))
    } else {
        text(identity, "userName").or_else(from_arn)
    };
    let name =
        name.or_else(|| text(identity, "principalId").and_then(|id| id.split_once(':')).map(|(_, session)| session));
    let mut actor = Actor {
        id: arn.or_else(|| text(identity, "principalId")).or_else(|| text(identity, "accountId")).map(str::to_owned),
        name: name.map(str::to_owned),
        kind,
    };
    let mut indirect_actor = Actor::default();
    match invoked_by {
        Some(service) if actor.id.is_none() && actor.name.is_none() => actor.name = Some(service.to_owned()),
        Some(service) => {
            indirect_actor = Actor { name: Some(service.to_owned()), kind: Some("AWSService".to_owned()), id: None }
        }
        None if actor.kind.as_deref() == Some("Root") => {
            actor.name = Some(actor.name.unwrap_or_else(|| "root".to_owned()))
        }
        None => {}
    }
    (actor, indirect_actor)
}

/// The resources the record names, or else what the request's parameters name.
fn targets(record: &Map<String, Value>) -> Vec<Target> {
    let resources = member(record, "resources").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = resources.iter().filter_map(Value::as_object).filter_map(|resource| {
        let id = ["ARN", "resourceName", "ARNPrefix"].iter().find_map(|name| text(resource, name))?;
        let kind = text(resource, "type").or_else(|| text(resource, "resourceType"));
        Some(Target { kind: kind.map(str::to_owned), id: Some(id.to_owned()), name: None })
    });
    let named: Vec<Target> = named.collect();
    let Some(parameters) = object(record, "requestParameters").filter(|_| named.is_empty()) else { return named };
    const NAMES: [(&str, &str); 22] = [
        ("bucketName", "bucket"),
        ("key", "object"),
        ("roleArn", "role"),
        ("roleName", "role"),
        ("userName", "user"),
        ("groupName", "group"),
        ("groupId", "security group"),
        ("policyArn", "policy"),
        ("policyName", "policy"),
        ("accessKeyId", "access key"),
        ("instanceId", "instance"),
        ("instanceProfileName", "instance profile"),
        ("functionName", "function"),
        ("secretId", "secret"),
        ("keyId", "key"),
        ("trailName", "trail"),
        ("snapshotId", "snapshot"),
        ("volumeId", "volume"),
        ("vpcId", "vpc"),
        ("subnetId", "subnet"),
        ("dBInstanceIdentifier", "database"),
        ("name", "name"),
    ];
    let found = NAMES.iter().filter_map(|(name, kind)| {
        let value = text(parameters, name)?;
        Some(Target { kind: Some((*kind).to_owned()), id: Some(value.to_owned()), name: None })
    });
    found.collect()
}

/// CloudTrail's own ids are UUIDs; anything else was put there by somebody else and may not be unique.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}
