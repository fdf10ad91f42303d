//! What PAM modules say, in any program's name: `pam_unix(sshd:auth): authentication failure; logname= uid=0 … user=root`.
//!
//! A program that tells itself how a login ended is the one to be believed, and counting PAM's account of it as well would
//! turn one attempt into two. So PAM's failures are `system` events for those programs ([`SPEAKS_ITSELF`]) and
//! `authentication` events for all others.

use super::draft::{Actor, Kind, Meaning, Outcome, Source};

/// Programs whose own messages are the login events.
const SPEAKS_ITSELF: [&str; 6] = ["sshd", "su", "su-l", "sudo", "login", "remote"];

/// The meaning of a PAM message; nothing when it is none.
pub(super) fn meaning(message: &str) -> Option<Meaning> {
    if let Some(rest) = message.strip_prefix("PAM ") {
        return summary(rest);
    }
    let (module, rest) = message.split_once('(')?;
    let is_module =
        module.starts_with("pam_") && module.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (inside, text) = rest.split_once("): ").filter(|_| is_module)?;
    let (service, stage) = inside.split_once(':').unwrap_or((inside, ""));
    let meaning = of_text(text, service).attribute("pam_module", module).attribute("pam_service", service);
    Some(if stage.is_empty() { meaning } else { meaning.attribute("pam_stage", stage) })
}

fn of_text(text: &str, service: &str) -> Meaning {
    if let Some(rest) = text.strip_prefix("session opened for user ") {
        let (user, by) = rest.split_once(" by ").unwrap_or((rest, ""));
        let mut meaning = Meaning::new(Kind::Session, "session open", Outcome::Success).actor(without_uid(user));
        if !without_uid(by).is_empty() && without_uid(by) != without_uid(user) {
            meaning.indirect_actor = Actor::named(without_uid(by));
        }
        return meaning;
    }
    if let Some(user) = text.strip_prefix("session closed for user ") {
        return Meaning::new(Kind::Session, "session close", Outcome::Success).actor(without_uid(user));
    }
    let kind = if SPEAKS_ITSELF.contains(&service) { Kind::System } else { Kind::Authentication };
    if text.starts_with("authentication failure") {
        return with_fields(Meaning::new(kind, "pam authentication", Outcome::Failure), text);
    }
    if text.starts_with("authentication success") {
        return with_fields(Meaning::new(kind, "pam authentication", Outcome::Success), text);
    }
    if text.starts_with("password changed for ") {
        return Meaning::new(Kind::Admin, "change password", Outcome::Success)
            .actor(text.trim_start_matches("password changed for "));
    }
    // "check pass; user unknown", "account root has expired", "received for user alice: 7 (Authentication failure)" …
    let failed =
        ["user unknown", "has expired", "ailure", "denied", "could not"].iter().any(|word| text.contains(word));
    let outcome = if failed { Outcome::Failure } else { Outcome::Unknown };
    let user =
        text.strip_prefix("received for user ").and_then(|rest| rest.split_once(": ")).map_or("", |(user, _)| user);
    Meaning::new(Kind::System, "pam message", outcome).actor(user)
}

/// `PAM 5 more authentication failures; logname= …`, `PAM service(sshd) ignoring max retries; 6 > 3`: sums of what was
/// said before, so never a login event.
fn summary(rest: &str) -> Option<Meaning> {
    if rest.starts_with("service(") {
        return Some(Meaning::new(Kind::System, "pam message", Outcome::Failure));
    }
    let (count, text) = rest.split_once(" more authentication failure")?;
    let count: u64 = count.parse().ok()?;
    let meaning = Meaning::new(Kind::System, "pam authentication", Outcome::Failure).attribute("more_failures", count);
    Some(with_fields(meaning, text))
}

/// `key=value` pairs; a value has no space in it.
fn with_fields(mut meaning: Meaning, text: &str) -> Meaning {
    let field = |name: &str| {
        let mut pairs = text.split_whitespace().filter_map(|token| token.split_once('='));
        pairs.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    };
    // `user` is whom it is about, `ruser` the name at the other end: better than none.
    let user = if field("user").is_empty() { field("ruser") } else { field("user") };
    meaning = meaning.actor(user).source(Source::from_text(field("rhost")));
    for name in ["tty", "ruser", "logname"] {
        if !field(name).is_empty() {
            meaning = meaning.attribute(name, field(name));
        }
    }
    meaning
}

/// `root(uid=0)` → `root`, `(uid=0)` → nothing.
fn without_uid(text: &str) -> &str {
    text.split_once("(uid=").map_or(text, |(name, _)| name).trim()
}
