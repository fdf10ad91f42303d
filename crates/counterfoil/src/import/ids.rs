//! Event ids that depend on the content alone.
//!
//! A syslog line has no id of its own and may stand in a file twice, word for word, meaning two attempts. So its id is the
//! hash of the line, and a counter from the second equal line on: the same file gives the same ids, and so does the same
//! file with lines added at its end.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// How many different lines or records are remembered to tell a second one from the first. At this many the table (about
/// 36 MB) starts anew and ids carry the number of the table, so that they stay unique within the file.
pub(super) const SEEN_MAX: usize = 1_800_000;

/// Makes ids unique within one file.
pub(super) struct Ids {
    /// First 8 bytes of a hash → how often it was seen. Two different lines with one key only cost a needless counter.
    seen: HashMap<u64, u32>,
    seen_max: usize,
    table: u32,
}

/// The id of a record that has one of its own.
pub(super) enum RecordId {
    New(String),
    /// Same own id, same content: it is the same event, delivered twice.
    Repeated,
}

impl Ids {
    pub fn new() -> Ids {
        Ids::with_capacity_max(SEEN_MAX)
    }

    pub fn with_capacity_max(seen_max: usize) -> Ids {
        Ids { seen: HashMap::new(), seen_max, table: 0 }
    }

    /// `<prefix>:<32 hex digits>`, with `:<n>` from the second equal content on.
    pub fn of_content(&mut self, prefix: &str, content: &[u8]) -> String {
        let hash = Sha256::digest(content);
        let base = format!("{prefix}:{}", hex::encode(&hash[..16]));
        let times = self.times(&base);
        let table = self.table;
        match (table, times) {
            (0, 1) => base,
            (0, n) => format!("{base}:{n}"),
            (table, n) => format!("{base}:t{table}:{n}"),
        }
    }

    /// `<prefix>:<own id>`. The same own id with other content is another event (it happens: hand-made data, and Kubernetes
    /// takes audit ids from clients) and gets the hash of its content behind it.
    pub fn of_record(&mut self, prefix: &str, own_id: &str, content: &[u8]) -> RecordId {
        let base = format!("{prefix}:{own_id}");
        let with_hash = format!("{base}:{}", hex::encode(&Sha256::digest(content)[..8]));
        let first_of_id = self.times(&base) == 1;
        if self.times(&with_hash) > 1 {
            return RecordId::Repeated;
        }
        RecordId::New(if first_of_id { base } else { with_hash })
    }

    /// `<prefix>:<own id>:<16 hex digits>`, for own ids that prove nothing without the content.
    pub fn of_record_and_content(&mut self, prefix: &str, own_id: &str, content: &[u8]) -> RecordId {
        let id = format!("{prefix}:{own_id}:{}", hex::encode(&Sha256::digest(content)[..8]));
        if self.times(&id) == 1 { RecordId::New(id) } else { RecordId::Repeated }
    }

    /// How often this text was asked for, this time included.
    fn times(&mut self, text: &str) -> u32 {
        let hash = Sha256::digest(text.as_bytes());
        let key = u64::from_be_bytes(hash[..8].try_into().expect("a SHA-256 hash has more than 8 bytes"));
        if self.seen.len() >= self.seen_max && !self.seen.contains_key(&key) {
            self.seen.clear();
            self.table += 1;
        }
        let times = self.seen.entry(key).or_insert(0);
        *times = times.saturating_add(1);
        *times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_unique_and_reproducible_when_the_table_starts_anew() {
        let all = || -> Vec<String> {
            let mut ids = Ids::with_capacity_max(3);
            ["a", "b", "a", "c", "d", "a", "e", "a", "b", "c"]
                .iter()
                .map(|line| ids.of_content("x", line.as_bytes()))
                .collect()
        };
        let different: std::collections::HashSet<String> = all().into_iter().collect();
        assert_eq!((different.len(), all()), (10, all()));
    }
}
