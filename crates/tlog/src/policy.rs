//! Trust policies: which logs, which witnesses, and how many of those must have cosigned (C2SP tlog-policy).
//!
//! ```text
//! log <vkey> [<url>]
//! witness X1 <vkey> [<url>]
//! witness X2 <vkey> [<url>]
//! group X any X1 X2             any, all, or how many
//! quorum X                      a witness, a group, or none
//! ```
//!
//! Whoever verifies offline and whoever asks witnesses read the same text. Names, addresses and comments are UTF-8 here; the
//! format would take any bytes.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use crate::checkpoint::{Cosignature, SignedCheckpoint};
use crate::error::malformed;
use crate::note::{Algorithm, VerifierKey};
use crate::{Error, text};

/// Bytes of a policy read at most.
pub const POLICY_BYTES_MAX: usize = 1 << 20;
/// Logs, witnesses and groups of a policy at most, each.
pub const DEFINITIONS_MAX: usize = 1_024;

/// The quorum's name for "no witness needed"; no witness and no group can be called so.
const NONE: &str = "none";

/// A trust policy, as written: order and names are kept, comments are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The logs accepted; empty if they are known from elsewhere.
    pub logs: Vec<Log>,
    /// The witnesses known.
    pub witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// None for `quorum none`.
    quorum: Option<String>,
}

/// A log of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its key; the key's name is the log's origin.
    pub key: VerifierKey,
    /// Where it is.
    pub url: Option<String>,
}

/// A witness of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What the policy calls it; means nothing outside of it.
    pub name: String,
    /// Its key, of type `04` or `06`.
    pub key: VerifierKey,
    /// The address before `/add-checkpoint`.
    pub url: Option<String>,
}

/// Members of which `threshold` must have cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    /// `any`, `all` or a number, as written.
    written: String,
    threshold: usize,
    members: Vec<String>,
}

impl Policy {
    /// The policy of a log whose key is known and that nobody witnesses: `quorum none`.
    pub fn unwitnessed(log: VerifierKey) -> Policy {
        let logs = vec![Log { key: log, url: None }];
        Policy { logs, witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }

    /// The same witnesses, groups and quorum for these logs.
    #[must_use]
    pub fn for_logs(&self, logs: Vec<Log>) -> Policy {
        Policy { logs, ..self.clone() }
    }

    /// Whether any cosignature is asked for. If not, nobody outside the log is heard.
    pub fn asks_for_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// The witness that this key belongs to.
    pub fn witness(&self, key: &VerifierKey) -> Option<&Witness> {
        self.witnesses.iter().find(|witness| witness.key == *key)
    }

    /// Whether these cosignatures, each verified, make up the quorum.
    pub fn is_met(&self, cosignatures: &[Cosignature]) -> bool {
        let Some(quorum) = &self.quorum else { return true };
        let signed = cosignatures.iter().filter_map(|cosignature| self.witness(&cosignature.key));
        let mut witnessing: HashSet<&str> = signed.map(|witness| witness.name.as_str()).collect();
        // Groups name only what is defined before them, so one walk settles them all.
        for group in &self.groups {
            let heard = group.members.iter().filter(|member| witnessing.contains(member.as_str())).count();
            if heard >= group.threshold {
                witnessing.insert(&group.name);
            }
        }
        witnessing.contains(quorum.as_str())
    }

    /// Reads a signed checkpoint of the log `origin` and holds it to this policy. The log's keys are those that the policy
    /// lists for this origin, and `log_keys`, which the caller trusts besides.
    ///
    /// # Errors
    /// Those of [`SignedCheckpoint::open`]; `PolicyUnmet` if the log signed, but not enough witnesses did.
    pub fn open(&self, note: &str, origin: &str, log_keys: &[VerifierKey]) -> Result<SignedCheckpoint, Error> {
        let listed = self.logs.iter().map(|log| &log.key).filter(|key| key.name() == origin);
        let witnesses = self.witnesses.iter().map(|witness| &witness.key);
        let known: Vec<VerifierKey> = listed.chain(log_keys).chain(witnesses).cloned().collect();
        let signed = SignedCheckpoint::open(note, origin, &known)?;
        if self.is_met(&signed.cosignatures) { Ok(signed) } else { Err(Error::PolicyUnmet) }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<String>| url.as_ref().map_or(String::new(), |url| format!(" {url}"));
        for log in &self.logs {
            writeln!(f, "log {}{}", log.key, url(&log.url))?;
        }
        for witness in &self.witnesses {
            writeln!(f, "witness {} {}{}", witness.name, witness.key, url(&witness.url))?;
        }
        for group in &self.groups {
            writeln!(f, "group {} {} {}", group.name, group.written, group.members.join(" "))?;
        }
        writeln!(f, "quorum {}", self.quorum.as_deref().unwrap_or(NONE))
    }
}

/// Reads a policy.
///
/// Errors: `Malformed` for control characters other than tab and newline, an unknown or incomplete line, a key of the wrong
/// kind or given twice, a name used twice, a member or quorum not defined before, a threshold that can't be met, no quorum
/// line or two, or too much of anything.
impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Policy, Error> {
        if text.len() > POLICY_BYTES_MAX {
            return refused("too long");
        }
        if text.bytes().any(|b| (b < b' ' && b != b'\n' && b != b'\t') || b == 0x7f) {
            return refused("control character");
        }
        let mut reader = Reader::default();
        for line in text.split('\n') {
            let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let words: Vec<&str> = words.collect();
            match first {
                "log" => reader.log(&words)?,
                "witness" => reader.witness(&words)?,
                "group" => reader.group(&words)?,
                "quorum" => reader.quorum(&words)?,
                _ => return refused("a line that is neither log, witness, group nor quorum"),
            }
        }
        match reader.quorum {
            Some(quorum) => {
                Ok(Policy { logs: reader.logs, witnesses: reader.witnesses, groups: reader.groups, quorum })
            }
            None => refused("no quorum line"),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Option<String>>,
    /// Each name defined, and whether it is a member of a group already.
    names: HashMap<String, bool>,
}

impl Reader {
    fn log(&mut self, words: &[&str]) -> Result<(), Error> {
        let (vkey, url) = match words {
            [vkey] => (vkey, None),
            [vkey, url] => (vkey, Some((*url).to_owned())),
            _ => return refused("a log line is: log, vkey, perhaps an address"),
        };
        let key: VerifierKey = vkey.parse()?;
        if key.algorithm() == Algorithm::CosignatureV1 {
            return refused("a witness's key in a log line");
        }
        if self.logs.iter().any(|log| log.key.public_bytes() == key.public_bytes()) {
            return refused("the same log key twice");
        }
        if self.logs.len() == DEFINITIONS_MAX {
            return refused("too many logs");
        }
        self.logs.push(Log { key, url });
        Ok(())
    }

    fn witness(&mut self, words: &[&str]) -> Result<(), Error> {
        let (name, vkey, url) = match words {
            [name, vkey] => (name, vkey, None),
            [name, vkey, url] => (name, vkey, Some((*url).to_owned())),
            _ => return refused("a witness line is: witness, name, vkey, perhaps an address"),
        };
        let key: VerifierKey = vkey.parse()?;
        if !key.algorithm().is_cosignature() {
            return refused("a log's key in a witness line");
        }
        if self.witnesses.iter().any(|witness| witness.key.public_bytes() == key.public_bytes()) {
            return refused("the same witness key twice");
        }
        if self.witnesses.len() == DEFINITIONS_MAX {
            return refused("too many witnesses");
        }
        self.define(name)?;
        self.witnesses.push(Witness { name: (*name).to_owned(), key, url });
        Ok(())
    }

    fn group(&mut self, words: &[&str]) -> Result<(), Error> {
        let [name, written, members @ ..] = words else {
            return refused("a group line is: group, name, threshold, members");
        };
        let threshold = match *written {
            "any" => 1,
            "all" => members.len(),
            number => match text::from_decimal(number).and_then(|number| usize::try_from(number).ok()) {
                Some(number) => number,
                None => return refused("a threshold is any, all or a number"),
            },
        };
        if members.is_empty() || threshold == 0 || threshold > members.len() {
            return refused("a group's threshold lies between 1 and its members");
        }
        if self.groups.len() == DEFINITIONS_MAX {
            return refused("too many groups");
        }
        for member in members {
            match self.names.get_mut(*member) {
                // Once only, so that each witness counts in one way.
                Some(is_member) if !*is_member => *is_member = true,
                Some(_) => return refused("a name is a member twice"),
                None => return refused("a member that is not defined before"),
            }
        }
        self.define(name)?;
        self.groups.push(Group {
            name: (*name).to_owned(),
            written: (*written).to_owned(),
            threshold,
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        });
        Ok(())
    }

    fn quorum(&mut self, words: &[&str]) -> Result<(), Error> {
        let [name] = words else {
            return refused("a quorum line is: quorum, name");
        };
        if self.quorum.is_some() {
            return refused("two quorum lines");
        }
        if *name != NONE && !self.names.contains_key(*name) {
            return refused("the quorum is not defined before");
        }
        self.quorum = Some((*name != NONE).then(|| (*name).to_owned()));
        Ok(())
    }

    fn define(&mut self, name: &str) -> Result<(), Error> {
        if name == NONE || self.names.insert(name.to_owned(), false).is_some() {
            return refused("a name that is taken");
        }
        Ok(())
    }
}

fn refused<T>(why: &'static str) -> Result<T, Error> {
    malformed("policy", why)
}
