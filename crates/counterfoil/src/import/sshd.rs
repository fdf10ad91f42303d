//! What OpenSSH's server says.
//!
//! | message | kind | outcome | action |
//! |---|---|---|---|
//! | `Accepted …`, `Failed … for`, `error: PAM: … for … from` | authentication | success, failure | `ssh login` |
//! | `Invalid user`, `User … not allowed`, `ROOT LOGIN REFUSED`, `input_userauth_request` | system | failure | `ssh user refused` |
//! | PAM's account of a login | system | see `pam.rs` | `pam authentication` |
//! | `Postponed`, `Partial` (a step of a login, not its end) | system | unknown | `ssh login step` |
//! | `Connection from`, `Starting session`, PAM's session | session | success | `ssh connect`, `ssh session`, `session open` |
//! | `Connection closed`, `Disconnected`, `Received disconnect` … | session | unknown | `ssh disconnect` |
//! | too many failures, no common algorithm, time-outs, bad protocol … | session | failure | `ssh disconnect`, `ssh connect` |
//! | listening, signals, address checks | system | unknown or failure | `ssh server`, `ssh address check` |
//! | anything else | other | unknown | `ssh message` |
//!
//! So one attempt is **one** authentication event: sshd's own verdict. What else it writes about the same attempt is kept,
//! under other kinds.
//!
//! **User names come from the attacker** and may contain ` from 6.6.6.6 port 1 ssh2`. sshd writes the true address after the
//! name, so the last place that reads as an address is taken. Where more than one does, the event says so
//! (`ambiguous_source`), because the text behind `ssh2:` can come from the client too.

use serde_json::json;

use super::draft::{Actor, Kind, Meaning, Outcome, Source, address};
use super::pam;

/// Whether these messages are those of OpenSSH's server; it has been split into several programs since 9.8.
pub(super) fn is_program(name: &str) -> bool {
    matches!(name, "sshd" | "sshd-session" | "sshd-auth")
}

/// Never fails: what is not in the table is `other` with its text.
pub(super) fn meaning(message: &str) -> Meaning {
    let (text, preauth) = match message.trim_end().strip_suffix("[preauth]") {
        Some(text) => (text.trim_end(), true),
        None => (message.trim_end(), false),
    };
    let level = ["error", "fatal", "warning", "debug1", "debug2", "debug3"]
        .into_iter()
        .find(|level| text.strip_prefix(level).is_some_and(|rest| rest.starts_with(": ")));
    let text = level.map_or(text, |level| &text[level.len() + 2..]);
    let mut meaning = of_text(text);
    if let Some(level) = level {
        meaning = meaning.attribute("level", level);
    }
    if preauth {
        meaning = meaning.attribute("preauth", true);
    }
    meaning
}

fn of_text(text: &str) -> Meaning {
    let tables = [login, refused_user, connection_end, connection_failure, connection, server];
    let found = tables.iter().find_map(|table| table(text));
    found.or_else(|| pam::meaning(text)).unwrap_or_else(|| Meaning::new(Kind::Other, "ssh message", Outcome::Unknown))
}

/// Verdicts and steps: `<word> <method> for [invalid user ]<user> from <address> port <port> ssh2[: <key>]`.
fn login(text: &str) -> Option<Meaning> {
    if let Some(rest) = text.strip_prefix("PAM: ") {
        let (reason, rest) = rest.split_once(" for ")?;
        let found = peer_after_from(rest)?;
        let (user, invalid) = user_name(found.before);
        let meaning = Meaning::new(Kind::Authentication, "ssh login", Outcome::Failure)
            .attribute("method", "pam")
            .attribute("reason", reason);
        return Some(with_user(with_peer(meaning, found), user, invalid));
    }
    let (verdict, rest) = text.split_once(' ')?;
    let (kind, action, outcome) = match verdict {
        "Accepted" => (Kind::Authentication, "ssh login", Outcome::Success),
        "Failed" => (Kind::Authentication, "ssh login", Outcome::Failure),
        "Postponed" | "Partial" => (Kind::System, "ssh login step", Outcome::Unknown),
        _ => return None,
    };
    let (method, rest) = rest.split_once(" for ").filter(|(method, _)| !method.contains(' '))?;
    let found = peer_after_from(rest)?;
    let (user, invalid) = user_name(found.before);
    let mut meaning = Meaning::new(kind, action, outcome).attribute("method", method);
    if kind == Kind::System {
        meaning = meaning.attribute("step", verdict);
    }
    if !found.after.is_empty() {
        meaning = with_key(meaning, found.after);
    }
    Some(with_user(with_peer(meaning, found), user, invalid))
}

/// `RSA SHA256:…`, `ECDSA 0e:ff:…`, `ED25519-CERT SHA256:… ID alice (serial 7) CA …`, `ruser …`.
fn with_key(meaning: Meaning, info: &str) -> Meaning {
    let mut words = info.split([' ', ',']);
    let algorithm = words.next().unwrap_or_default();
    let fingerprint = words.next().unwrap_or_default();
    let is_fingerprint =
        fingerprint.starts_with("SHA256:") || fingerprint.starts_with("MD5:") || fingerprint.split(':').count() == 16;
    if !is_fingerprint || algorithm.is_empty() {
        return meaning.attribute("login_info", info);
    }
    let meaning = meaning.attribute("key_type", algorithm).attribute("key_fingerprint", fingerprint);
    if words.next().is_some() { meaning.attribute("login_info", info) } else { meaning }
}

/// Users that sshd will not let in, whatever they prove. Each try of theirs is a `Failed … for invalid user` as well.
fn refused_user(text: &str) -> Option<Meaning> {
    let refused = || Meaning::new(Kind::System, "ssh user refused", Outcome::Failure);
    for start in ["Invalid user ", "Illegal user "] {
        if let Some(rest) = text.strip_prefix(start) {
            let found = peer_after_from(rest)?;
            let user = found.before;
            return Some(with_user(with_peer(refused(), found), user, true));
        }
    }
    if let Some(user) = text.strip_prefix("input_userauth_request: invalid user ") {
        return Some(with_user(refused(), user, true));
    }
    if let Some(rest) = text.strip_prefix("ROOT LOGIN REFUSED FROM ") {
        let (source, _) = peer(rest)?;
        return Some(refused().actor("root").source(source));
    }
    let rest = text.strip_prefix("User ")?;
    let (who, reason) = rest.rsplit_once(" not allowed because ")?;
    let meaning = refused().attribute("reason", reason);
    Some(match peer_after_from(who) {
        Some(found) => {
            let user = found.before;
            with_user(with_peer(meaning, found), user, false)
        }
        None => with_user(meaning, who, false),
    })
}

/// `Connection closed by [invalid user |authenticating user ]alice 1.2.3.4 port 5` and its relatives.
fn connection_end(text: &str) -> Option<Meaning> {
    let end = |outcome| Meaning::new(Kind::Session, "ssh disconnect", outcome);
    if let Some(rest) = text.strip_prefix("Received disconnect from ") {
        // `1.2.3.4: 11: Bye` in old versions, `1.2.3.4 port 5:11: Bye` in new ones; the reason is the client's text.
        let (source, rest) = peer(rest)?;
        let reason = rest.trim_start_matches([':', ' ']);
        return Some(end(Outcome::Unknown).source(source).attribute("reason", reason));
    }
    let closings = ["Connection closed by ", "Connection reset by ", "Disconnected from ", "Closing connection to "];
    for start in closings {
        if let Some(rest) = text.strip_prefix(start) {
            return Some(with_last_peer(end(Outcome::Unknown), rest));
        }
    }
    if let Some(reason) = text.strip_prefix("Disconnecting: ") {
        let user = reason.strip_prefix("Too many authentication failures for ").unwrap_or_default();
        let user = user.split_once(" from ").map_or(user, |(user, _)| user);
        return Some(end(Outcome::Failure).actor(user).attribute("reason", reason));
    }
    if let Some(rest) = text.strip_prefix("Disconnecting ") {
        // Both sides of the colon can be the client's; the address stands before the first one that follows a port.
        let cut = rest
            .match_indices(": ")
            .map(|(at, _)| at)
            .find(|at| last_peer(&rest[..*at]).is_some_and(|(_, source)| source.port.is_some()))?;
        return Some(with_last_peer(end(Outcome::Failure), &rest[..cut]).attribute("reason", &rest[cut + 2..]));
    }
    None
}

/// Connections that came to nothing.
fn connection_failure(text: &str) -> Option<Meaning> {
    let failed = || Meaning::new(Kind::Session, "ssh connect", Outcome::Failure);
    if let Some(rest) = text.strip_prefix("maximum authentication attempts exceeded for ") {
        let found = peer_after_from(rest)?;
        let (user, invalid) = user_name(found.before);
        return Some(with_user(
            with_peer(Meaning::new(Kind::Session, "ssh disconnect", Outcome::Failure), found),
            user,
            invalid,
        ));
    }
    for start in [
        "Did not receive identification string from ",
        "Unable to negotiate with ",
        "Timeout before authentication for connection from ",
        "Timeout before authentication for ",
        "banner exchange: Connection from ",
        "Protocol major versions differ for ",
    ] {
        if let Some(rest) = text.strip_prefix(start) {
            let (source, after) = peer(rest)?;
            let reason = after.trim_start_matches([':', ' ']);
            let meaning = failed().source(source);
            return Some(if reason.is_empty() { meaning } else { meaning.attribute("reason", reason) });
        }
    }
    if let Some(rest) = text.strip_prefix("ssh_dispatch_run_fatal: Connection from ") {
        let (who, reason) =
            rest.split_once(": ").filter(|(who, _)| last_peer(who).is_some()).or_else(|| rest.rsplit_once(": "))?;
        return Some(with_last_peer(failed(), who).attribute("reason", reason));
    }
    if let Some(rest) = text.strip_prefix("refused connect from ") {
        let inside = rest.rsplit_once('(').and_then(|(_, inside)| inside.strip_suffix(')'));
        return Some(failed().source(Source::from_text(inside.unwrap_or(rest))));
    }
    for start in ["Bad protocol version identification ", "Magic value check failed "] {
        if let Some(rest) = text.strip_prefix(start) {
            let found = peer_after_from(rest)?;
            return Some(with_peer(failed(), found));
        }
    }
    let without_peer = [
        "kex_exchange_identification: ",
        "Read from socket failed",
        "Write failed",
        "no matching ",
        "Unable to negotiate a ",
        "ssh_dispatch_run_fatal: ",
        "Corrupted MAC",
        "Bad packet length",
        "padding error",
        "buffer_get_",
    ];
    without_peer.iter().any(|start| text.starts_with(start)).then(failed)
}

fn connection(text: &str) -> Option<Meaning> {
    if let Some(rest) = text.strip_prefix("Connection from ") {
        let (source, after) = peer(rest)?;
        let meaning = Meaning::new(Kind::Session, "ssh connect", Outcome::Success).source(source);
        return Some(match after.trim().strip_prefix("on ") {
            Some(on) => meaning.attribute("listener", on),
            None => meaning,
        });
    }
    for (start, action) in [("Starting session: ", "ssh session"), ("Close session: ", "ssh session end")] {
        if let Some(rest) = text.strip_prefix(start) {
            let found = peer_after_from(rest)?;
            let user = found.before.rsplit_once("for ").map_or(found.before, |(_, user)| user);
            let user = user.strip_prefix("user ").unwrap_or(user).to_owned();
            return Some(with_peer(Meaning::new(Kind::Session, action, Outcome::Success), found).actor(&user));
        }
    }
    if let Some(rest) = text.strip_prefix("User child is on pid ") {
        return Some(Meaning::new(Kind::Session, "ssh session", Outcome::Success).attribute("child_pid", rest));
    }
    let rest = text.strip_prefix("subsystem request for ")?;
    let (subsystem, user) = rest.split_once(" by user ").unwrap_or((rest, ""));
    Some(Meaning::new(Kind::Session, "ssh subsystem", Outcome::Success).actor(user).attribute("subsystem", subsystem))
}

fn server(text: &str) -> Option<Meaning> {
    let check = || Meaning::new(Kind::System, "ssh address check", Outcome::Failure);
    if let Some(rest) = text.strip_prefix("reverse mapping checking getaddrinfo for ") {
        let (host, rest) = rest.split_once(" [")?;
        let (address, _) = rest.split_once(']')?;
        return Some(check().source(Source { host: Some(host.to_owned()), ..Source::from_text(address) }));
    }
    if let Some(rest) = text.strip_prefix("Address ") {
        let (address, rest) = rest.split_once(" maps to ")?;
        let (host, _) = rest.split_once(',')?;
        return Some(check().source(Source { host: Some(host.to_owned()), ..Source::from_text(address) }));
    }
    let starts = [
        "Server listening on ",
        "Received signal ",
        "Received SIGHUP",
        "Exiting on signal",
        "Generating ",
        "RESTART",
        "Could not load host key",
        "Deprecated option",
        "rexec line",
    ];
    starts
        .iter()
        .any(|start| text.starts_with(start))
        .then(|| Meaning::new(Kind::System, "ssh server", Outcome::Unknown))
}

/// Somebody at the other end, with the text before ` from ` and behind the port.
struct Peer<'a> {
    before: &'a str,
    source: Source,
    after: &'a str,
    /// Other places of the text that could be the address.
    others: Vec<String>,
}

/// Finds `<before> from <address>[ port <n>[ ssh2]][: <after>]`, taking the best reading: first those with port and protocol that
/// end the text or stand before a colon, then those with a port, then any; and of equals the last.
fn peer_after_from(text: &str) -> Option<Peer<'_>> {
    let mut best: Option<(u8, Peer<'_>)> = None;
    let mut complete = Vec::new();
    // `from` may also open the text: the user name of an attempt can be empty.
    let starts = text.match_indices("from ").map(|(at, _)| at).filter(|at| *at == 0 || text[..*at].ends_with(' '));
    for at in starts {
        let Some((source, after)) = peer(&text[at + "from ".len()..]) else { continue };
        let (after, protocol) = match after.strip_prefix(" ssh2").or_else(|| after.strip_prefix(" ssh1")) {
            Some(after) => (after, true),
            None => (after, false),
        };
        let ends_here = after.is_empty() || after.starts_with(": ");
        let grade = match (ends_here, source.port.is_some(), protocol) {
            (true, true, true) => 4,
            (true, true, false) => 3,
            (true, false, _) => 2,
            (false, true, _) => 1,
            (false, false, _) => 0,
        };
        if grade == 4 {
            complete.push(source.clone());
        }
        let before = text[..at].strip_suffix(' ').unwrap_or(&text[..at]);
        let found = Peer { before, source, after: after.strip_prefix(": ").unwrap_or(after), others: Vec::new() };
        if best.as_ref().is_none_or(|(best_grade, _)| grade >= *best_grade) {
            best = Some((grade, found));
        }
    }
    let (_, mut found) = best?;
    let others = complete.into_iter().filter(|source| *source != found.source);
    found.others = others.filter_map(|source| source.address.or(source.host)).collect();
    Some(found)
}

/// Reads `<address or host>[ port <n>]` at the start; gives what comes behind.
fn peer(text: &str) -> Option<(Source, &str)> {
    let end = text.find(' ').unwrap_or(text.len());
    let mut name = &text[..end];
    if address(name).is_none() {
        // `1.2.3.4:` and `host,` carry the punctuation of the sentence.
        name = name.trim_end_matches([':', ',', '.']);
    }
    if name.is_empty() {
        return None;
    }
    let mut source = Source::from_text(name);
    let rest = &text[name.len()..];
    let Some(port) = rest.strip_prefix(" port ") else { return Some((source, rest)) };
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    match port[..digits].parse() {
        Ok(number) => {
            source.port = Some(number);
            Some((source, &port[digits..]))
        }
        Err(_) => Some((source, rest)),
    }
}

/// Reads `[<words> user <name> ]<address>[ port <n>]` from its end, because the name may contain anything.
fn last_peer(text: &str) -> Option<(&str, Source)> {
    let (without_port, port) = match text.rsplit_once(" port ") {
        Some((before, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (before, port.parse().ok())
        }
        _ => (text, None),
    };
    let (before, name) = without_port.rsplit_once(' ').unwrap_or(("", without_port));
    address(name)?;
    Some((before, Source { port, ..Source::from_text(name) }))
}

fn with_last_peer(meaning: Meaning, text: &str) -> Meaning {
    let Some((who, source)) = last_peer(text) else { return meaning };
    let meaning = meaning.source(source);
    let Some((words, user)) = who.split_once("user ").or_else(|| who.strip_suffix("user").map(|words| (words, "")))
    else {
        return meaning;
    };
    with_user(meaning, user, words.trim() == "invalid")
}

fn with_peer(mut meaning: Meaning, found: Peer<'_>) -> Meaning {
    meaning = meaning.source(found.source);
    if found.others.is_empty() { meaning } else { meaning.attribute("ambiguous_source", json!(found.others)) }
}

fn with_user(mut meaning: Meaning, user: &str, invalid: bool) -> Meaning {
    if !user.is_empty() {
        meaning.actor = Actor::named(user);
    }
    if invalid { meaning.attribute("invalid_user", true) } else { meaning }
}

/// Strips what sshd puts before the name of a user it does not know. Solaris hides the name.
fn user_name(text: &str) -> (&str, bool) {
    if text == "<invalid username>" {
        return ("", true);
    }
    for start in ["invalid user", "illegal user"] {
        if let Some(rest) = text.strip_prefix(start) {
            return (rest.strip_prefix(' ').unwrap_or(rest), true);
        }
    }
    (text, false)
}
