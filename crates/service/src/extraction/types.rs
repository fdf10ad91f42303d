//! The types of log records: their names, and for each the members of a record in the order in which they always come.
//!
//! One client writes CSV with the first record's members as its header, so every record of a type has the same members,
//! `null` where there is nothing. Source: `specs/silo.md` §6.2; members marked "ours" there are ours here.

/// A member's name, with what is written before its value.
pub struct Member {
    /// The name.
    pub name: &'static str,
    /// `,"name":`.
    pub lead: &'static str,
}

/// One type.
pub struct LogType {
    /// Its name as it goes over the wire.
    pub name: &'static str,
    /// Kept only encrypted: refused for an organisation without an active key. Source: `specs/silo.md` §6.2, "enc only".
    pub only_sealed: bool,
    /// Members after `type`, `seq_id`, `create_ts` and `org_id`, in order.
    pub members: &'static [Member],
}

/// Most members that a type has; a test says so.
pub const MEMBERS_MAX: usize = 24;

/// The type of an encrypted record.
pub const ENC: &str = "ENC";

/// What a client sends for every clear-text type together.
pub const ALL_CLEAR: &str = "LOG";

/// What `get_log_types` calls this list. Clients read their list again when it changes: so must it, with the list.
pub const VERSION: &str = "2026-11-21";

macro_rules! members {
    ($($name:literal)*) => { &[$(Member { name: $name, lead: concat!(",\"", $name, "\":") }),*] };
}

/// Types whose records begin with who and where: `user_id`, `username`, `session_id`, `client_ip`.
macro_rules! log_types {
    (@ only_sealed) => { true };
    ($($name:literal $(($only_sealed:ident))?: $($member:literal)*;)+) => {
        &[
            $(LogType {
                name: $name,
                only_sealed: false $(|| log_types!(@ $only_sealed))?,
                members: members!("user_id" "username" "session_id" "client_ip" $($member)*),
            },)+
        ]
    };
}

/// The 25 types but `ENC`, in the order of their names.
#[rustfmt::skip]
pub const CLEAR: &[LogType] = log_types! {
    "A8SS": "action" "path";
    "ADMIN_AUDIT": "audit_type" "target" "old_value" "new_value";
    "APP_LAUNCH": "url" "action";
    "AUTH": "action" "result" "auth_method";
    "BLOCKED URL": "url" "micro_category" "macro_category" "action";
    "CASE MANAGER": "action";
    "CLIPBOARD" (only_sealed): "action" "data";
    "COOKIES" (only_sealed): "domain" "data";
    "DOWNLOAD": "url" "bytes" "destination_path" "file_name";
    "EVENT": "action";
    "EXPLOIT": "exploit_name" "url" "action";
    "EXTENSION": "action";
    "HARVEST": "action" "task_id";
    "ISOLATE_BYPASS": "url";
    "LAUNCHER": "action";
    "LOCATION CHANGE": "old_value" "new_value";
    "POST DATA" (only_sealed): "url" "data";
    "PRINT": "url";
    "SESSION": "action";
    "SMS" (only_sealed): "data";
    "TRAFFICMAN": "action";
    "TRANSLATION": "url";
    "UPLOAD": "url" "bytes" "file_name";
    "URL": "scheme" "domain" "port" "path" "query" "method" "headers" "page_title" "response_code" "response_headers"
           "response_size" "micro_category" "macro_category";
};

/// The record of an encrypted event, after `type`, `seq_id` and `create_ts`. Its `org_id` is not part of it: the vendor's
/// samples have none, and whose it is the caller has just said.
pub static SEALED: LogType =
    LogType { name: ENC, only_sealed: false, members: members!("key_name" "enc" "encryption_type") };

/// Names that clients use for a type of another name. Source: `specs/silo.md` §6.2.
const ALIASES: &[(&str, &str)] = &[("ISOLATION BYPASS", "ISOLATE_BYPASS")];

/// What a client asks for.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// One type in clear.
    One(&'static LogType),
    /// Encrypted records.
    Sealed,
    /// Every clear type.
    AllClear,
}

/// What a client means by `text`: case does not count, `_` and blank are one character.
pub fn wanted(text: &str) -> Option<Wanted> {
    if is_name(text, ENC) {
        return Some(Wanted::Sealed);
    }
    if is_name(text, ALL_CLEAR) {
        return Some(Wanted::AllClear);
    }
    find(text).map(Wanted::One)
}

/// The clear type of this name.
pub fn find(text: &str) -> Option<&'static LogType> {
    let name = ALIASES.iter().find(|(alias, _)| is_name(text, alias)).map_or(text, |(_, name)| name);
    CLEAR.iter().find(|log_type| is_name(name, log_type.name))
}

/// The names of all types, as `get_log_types` lists them: in their order.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = CLEAR.iter().map(|log_type| log_type.name).chain([ENC]).collect();
    names.sort_unstable();
    names
}

/// The type of this name, `ENC` included.
pub fn find_any(text: &str) -> Option<&'static LogType> {
    if is_name(text, ENC) { Some(&SEALED) } else { find(text) }
}

/// Says whether `text` is a way to write the type name `name`.
pub fn is_name(text: &str, name: &str) -> bool {
    let folded = |byte: u8| if byte == b'_' { b' ' } else { byte.to_ascii_uppercase() };
    text.len() == name.len() && text.bytes().map(folded).eq(name.bytes().map(folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_one_of_the_specification() {
        let expected = "A8SS,ADMIN_AUDIT,APP_LAUNCH,AUTH,BLOCKED URL,CASE MANAGER,CLIPBOARD,COOKIES,DOWNLOAD,ENC,EVENT,\
                        EXPLOIT,EXTENSION,HARVEST,ISOLATE_BYPASS,LAUNCHER,LOCATION CHANGE,POST DATA,PRINT,SESSION,SMS,\
                        TRAFFICMAN,TRANSLATION,UPLOAD,URL";
        assert_eq!(names().join(","), expected);
        assert_eq!(names().len(), 25);
    }

    #[test]
    fn every_name_is_found_however_it_is_written() {
        for log_type in CLEAR {
            for text in [
                log_type.name.to_owned(),
                log_type.name.to_lowercase(),
                log_type.name.replace('_', " "),
                log_type.name.replace(' ', "_"),
            ] {
                assert_eq!(find(&text).map(|found| found.name), Some(log_type.name), "{text}");
            }
        }
        assert_eq!(find("isolation_bypass").map(|found| found.name), Some("ISOLATE_BYPASS"));
        assert!(matches!(wanted("enc"), Some(Wanted::Sealed)));
        assert!(matches!(wanted("Log"), Some(Wanted::AllClear)));
        for text in ["", "URLS", "BLOCKEDURL", " URL", "BLOCKED  URL"] {
            assert!(wanted(text).is_none(), "{text}");
        }
    }

    #[test]
    fn four_types_are_kept_only_encrypted() {
        let names: Vec<_> =
            CLEAR.iter().filter(|log_type| log_type.only_sealed).map(|log_type| log_type.name).collect();
        assert_eq!(names, ["CLIPBOARD", "COOKIES", "POST DATA", "SMS"]);
    }

    #[test]
    fn no_type_has_a_member_twice_or_too_many() {
        for log_type in CLEAR.iter().chain([&SEALED]) {
            assert!(log_type.members.len() <= MEMBERS_MAX, "{}", log_type.name);
            for (at, member) in log_type.members.iter().enumerate() {
                assert_eq!(member.lead, format!(",\"{}\":", member.name));
                assert!(!log_type.members[..at].iter().any(|earlier| earlier.name == member.name), "{}", member.name);
            }
        }
    }
}
