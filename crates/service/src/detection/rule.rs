//! What rules are to the rest: something that looks at one event after the other and says what it found.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::Fact;
use crate::model::AccountId;

/// A set of rules of one kind, with what they remember. Two kinds there are: Sigma files, and those that Sigma has no words for.
pub trait Rules: Send {
    /// Every rule, also those that were refused.
    fn rules(&self) -> &[RuleInfo];
    /// Sees every event of an organisation first, in the order of the log, before it is parsed. False: no rule can have anything
    /// to say of it.
    fn glance(&mut self, org: u32, seen: &Seen<'_>) -> bool;
    /// Looks at the event it saw last and did not pass over.
    fn evaluate(&mut self, org: u32, fact: &Fact) -> Vec<Finding>;
    /// Looks at what did not happen, at a time in seconds.
    fn tick(&mut self, _now_s: i64) -> Vec<(u32, Finding)> {
        Vec::new()
    }
    /// What is remembered.
    fn save(&self) -> serde_json::Value;
    /// Takes up what was remembered.
    ///
    /// # Errors
    /// Why it does not read; nothing is remembered then, and the log is read again from its beginning.
    fn restore(&mut self, state: serde_json::Value) -> Result<(), String>;
}

/// An event, before it is parsed.
pub struct Seen<'a> {
    /// Its number.
    pub number: u64,
    /// When it came; in seconds.
    pub recorded_s: i64,
    /// The account that handed it in; of what we record ourselves none.
    pub sender: Option<AccountId>,
    /// Its JSON, as it was accepted.
    pub json: &'a [u8],
}

/// What there is to say of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its id; of a file that was refused, the file.
    pub id: String,
    /// For people.
    pub title: String,
    /// `informational`, `low`, `medium`, `high`, `critical`.
    pub level: String,
    /// Where it stands.
    pub file: String,
    /// The fields it looks at.
    pub fields: BTreeSet<String>,
    /// Why it was refused; none: it runs.
    pub problem: Option<String>,
}

impl RuleInfo {
    /// A file that was refused.
    pub fn refused(file: &str, problem: &str) -> RuleInfo {
        RuleInfo {
            id: file.to_owned(),
            title: file.to_owned(),
            level: "-".to_owned(),
            file: file.to_owned(),
            fields: BTreeSet::new(),
            problem: Some(problem.to_owned()),
        }
    }
}

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: String,
    /// Its tags, such as `attack.t1110`.
    pub tags: Vec<String>,
    /// By what it counted: account, source.
    pub group: BTreeMap<String, String>,
    /// How many it counted.
    pub count: u64,
    /// Within which time, in seconds.
    pub window_s: Option<u64>,
    /// When the first and the last event of it happened.
    pub first_s: i64,
    /// See `first_s`.
    pub last_s: i64,
    /// The numbers of the events, ascending; the last ones of many.
    pub events: Vec<u64>,
    /// More, in words; may be empty.
    pub why: String,
}
