//! What the other programs of an `auth.log` say: sudo, su, login, cron, systemd-logind, and those that change accounts.
//!
//! | program | message | kind | action |
//! |---|---|---|---|
//! | sudo | `alice : TTY=… ; PWD=… ; USER=root ; COMMAND=…` | admin | `sudo` |
//! | sudo | `… : 3 incorrect password attempts ; …`, `user NOT in sudoers` | authentication, failure | `sudo` |
//! | su | `(to root) alice on pts/0`, `Successful su for root by alice`, `FAILED SU (to root) alice on …` | authentication | `su` |
//! | login | `LOGIN ON tty1 BY alice`, `ROOT LOGIN ON tty1`, `FAILED LOGIN (1) on …` | authentication | `login` |
//! | cron | `(root) CMD (…)` | system | `cron command` |
//! | systemd-logind | `New session 3 of user alice.`, `Removed session 3.` | session | `session open`, `session close` |
//! | useradd, usermod, userdel, groupadd, …, passwd, chage | each of them | admin | the program's name |
//! | any | PAM messages | see `pam.rs` | |

use super::draft::{Actor, Kind, Meaning, Outcome, Source, Target};
use super::pam;

/// The meaning of a message; nothing when the program, or this message of it, is unknown.
pub(super) fn meaning(program: &str, message: &str) -> Option<Meaning> {
    if let Some(meaning) = pam::meaning(message) {
        return Some(meaning);
    }
    match program {
        "sudo" => sudo(message),
        "su" | "su-l" => su(message),
        "login" => login(message),
        "CRON" | "cron" | "crond" | "CROND" | "anacron" => cron(message),
        "systemd-logind" | "elogind-daemon" => logind(message),
        "useradd" | "usermod" | "userdel" | "groupadd" | "groupmod" | "groupdel" | "gpasswd" | "passwd"
        | "chpasswd" | "chage" | "chsh" | "chfn" | "adduser" => Some(account(program, message)),
        _ => None,
    }
}

/// `alice : [reason ;] TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/ls`; the command is the last and may hold anything.
fn sudo(message: &str) -> Option<Meaning> {
    let (user, rest) = message.split_once(" : ")?;
    let (fields, command) = match rest.split_once("COMMAND=") {
        Some((fields, command)) => (fields, Some(command)),
        None => (rest, None),
    };
    let mut reason = None;
    let mut pairs = Vec::new();
    for field in
        fields.split(" ; ").map(|field| field.trim().trim_end_matches(';').trim()).filter(|field| !field.is_empty())
    {
        match field.split_once('=') {
            Some((name, value)) => pairs.push((name.to_ascii_lowercase(), value)),
            None => reason = Some(field),
        }
    }
    // A reason in the first place is why it was refused: wrong passwords, not in the sudoers file, command not allowed.
    let mut meaning = match reason {
        Some(reason) if reason.contains("password attempt") => {
            Meaning::new(Kind::Authentication, "sudo", Outcome::Failure).attribute("reason", reason)
        }
        Some(reason) => Meaning::new(Kind::Admin, "sudo", Outcome::Failure).attribute("reason", reason),
        None => Meaning::new(Kind::Admin, "sudo", Outcome::Success),
    };
    meaning = meaning.actor(user.trim());
    for (name, value) in pairs {
        match name.as_str() {
            "user" => {
                meaning.targets.push(Target { kind: Some("user".to_owned()), name: Some(value.to_owned()), id: None })
            }
            "tty" | "pwd" | "group" | "env" | "tsid" => meaning = meaning.attribute(&name, value),
            _ => {}
        }
    }
    Some(match command {
        Some(command) => meaning.attribute("command", command),
        None => meaning,
    })
}

fn su(message: &str) -> Option<Meaning> {
    let verdict = |outcome, from: &str, to: &str| {
        let mut meaning = Meaning::new(Kind::Authentication, "su", outcome).actor(from);
        meaning.targets.push(Target { kind: Some("user".to_owned()), name: Some(to.to_owned()), id: None });
        Some(meaning)
    };
    for (start, outcome) in [("Successful su for ", Outcome::Success), ("FAILED su for ", Outcome::Failure)] {
        if let Some((to, from)) = message.strip_prefix(start).and_then(|rest| rest.split_once(" by ")) {
            return verdict(outcome, from, to);
        }
    }
    let (rest, outcome) = match message.strip_prefix("FAILED SU ") {
        Some(rest) => (rest, Outcome::Failure),
        None => (message, Outcome::Success),
    };
    if let Some((to, rest)) = rest.strip_prefix("(to ").and_then(|rest| rest.split_once(") ")) {
        let (from, terminal) = rest.split_once(" on ").unwrap_or((rest, ""));
        return verdict(outcome, from, to)
            .map(|meaning| if terminal.is_empty() { meaning } else { meaning.attribute("tty", terminal) });
    }
    // `+ pts/0 alice:root` (or `-` for a refusal), shadow's short form.
    let (sign, rest) = message.split_at_checked(2)?;
    let outcome = match sign {
        "+ " => Outcome::Success,
        "- " => Outcome::Failure,
        _ => return None,
    };
    let (terminal, users) = rest.split_once(' ')?;
    let (from, to) = users.split_once(':')?;
    verdict(outcome, from, to).map(|meaning| meaning.attribute("tty", terminal))
}

fn login(message: &str) -> Option<Meaning> {
    let verdict = |outcome| Meaning::new(Kind::Authentication, "login", outcome);
    if let Some(rest) = message.strip_prefix("LOGIN ON ") {
        let (terminal, user) = rest.split_once(" BY ")?;
        let (user, from) = user.split_once(" FROM ").unwrap_or((user, ""));
        return Some(verdict(Outcome::Success).actor(user).source(Source::from_text(from)).attribute("tty", terminal));
    }
    if let Some(rest) = message.strip_prefix("ROOT LOGIN") {
        let terminal =
            rest.rsplit_once("ON ").or_else(|| rest.rsplit_once("on ")).map_or("", |(_, tty)| tty).trim_matches('\'');
        return Some(verdict(Outcome::Success).actor("root").attribute("tty", terminal));
    }
    let rest = message.strip_prefix("FAILED LOGIN ")?;
    // `(1) on '/dev/tty1' FOR 'alice', Authentication failure` and `SESSION FROM (null) FOR alice, …`
    let (before, after) = rest.split_once(" FOR ")?;
    let (user, reason) = after.rsplit_once(", ").unwrap_or((after, ""));
    let user = user.trim_matches(['\'', '`']);
    let terminal = before.split_once(" on ").map_or("", |(_, tty)| tty).trim_matches(['\'', '`']);
    let mut meaning = verdict(Outcome::Failure).actor(if user == "UNKNOWN" { "" } else { user });
    for (name, value) in [("tty", terminal), ("reason", reason)] {
        if !value.is_empty() {
            meaning = meaning.attribute(name, value);
        }
    }
    Some(meaning)
}

fn cron(message: &str) -> Option<Meaning> {
    let (user, rest) = message.strip_prefix('(')?.split_once(") ")?;
    let command = rest.strip_prefix("CMD (")?;
    let command = command.strip_suffix(')').unwrap_or(command);
    Some(Meaning::new(Kind::System, "cron command", Outcome::Unknown).actor(user).attribute("command", command))
}

fn logind(message: &str) -> Option<Meaning> {
    let text = message.trim_end_matches('.');
    if let Some(rest) = text.strip_prefix("New session ") {
        let (session, user) = rest.split_once(" of user ")?;
        // Newer versions add ` with class 'user' and type 'tty'`.
        let user = user.split_once(" with ").map_or(user, |(user, _)| user);
        return Some(
            Meaning::new(Kind::Session, "session open", Outcome::Success)
                .actor(user)
                .attribute("login_session", session),
        );
    }
    for (start, end) in [("Removed session ", ""), ("Session ", " logged out")] {
        if let Some(rest) = text.strip_prefix(start).filter(|rest| end.is_empty() || rest.contains(end)) {
            let session = rest.split(' ').next().unwrap_or(rest);
            return Some(
                Meaning::new(Kind::Session, "session close", Outcome::Success).attribute("login_session", session),
            );
        }
    }
    Some(Meaning::new(Kind::System, "logind message", Outcome::Unknown))
}

/// `new user: name=bob, UID=1001, …`, `delete user 'bob'`, `add 'bob' to group 'sudo'`, `change user 'bob' password`,
/// `user bob added by root to group sudo`, `failed adding user 'bob', …`.
fn account(program: &str, message: &str) -> Meaning {
    let failed = message.starts_with("failed ") || message.contains("cannot ") || message.contains("error");
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let mut meaning = Meaning::new(Kind::Admin, program, outcome);
    if let Some(by) = message.split_once(" by ").map(|(_, rest)| rest.split([' ', ',']).next().unwrap_or(rest)) {
        meaning.actor = Actor::named(by);
    }
    for (kind, name) in quoted_names(message) {
        meaning.targets.push(Target { kind: Some(kind.to_owned()), name: Some(name.to_owned()), id: None });
    }
    meaning
}

/// The users and groups a message names: `name=bob`, `user 'bob'`, `add 'bob' to group 'sudo'`.
fn quoted_names(message: &str) -> Vec<(&'static str, &str)> {
    let is_group = message.starts_with("new group") || message.starts_with("group ");
    if let Some((_, rest)) = message.split_once("name=") {
        let name = rest.split([',', ' ']).next().unwrap_or(rest);
        return vec![(if is_group { "group" } else { "user" }, name)];
    }
    let mut names = Vec::new();
    let mut parts = message.split('\'');
    while let (Some(before), Some(name)) = (parts.next(), parts.next()) {
        let kind = if before.trim_end().ends_with("group") { "group" } else { "user" };
        names.push((kind, name));
    }
    names
}
