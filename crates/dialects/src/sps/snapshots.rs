//! Snapshots: the list of sessions as it was at one moment, for those who read more of it than fits a page.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use service::{AccountId, Caller, OrgId, Principal, Timestamp};
use sha2::{Digest as _, Sha256};

use super::error::Failure;

/// How long a snapshot lives, and how much longer after each query in it.
const LIFE_S: i64 = 300;

/// Snapshots open at once, of all owners. Each is a few hundred bytes.
const OPEN_MAX: usize = 10_000;

/// Whose snapshot it is: asking again from the same three gives the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owner {
    account: AccountId,
    org: OrgId,
    address: Option<IpAddr>,
    user_agent: Option<String>,
}

impl Owner {
    fn of(who: &Principal) -> Owner {
        let Caller { address, user_agent, .. } = &who.caller;
        Owner { account: who.account, org: who.org, address: *address, user_agent: user_agent.clone() }
    }
}

struct Snapshot {
    id: String,
    /// Entries of the log that count; what came later is not in it.
    head: u64,
    /// When it was taken: how long open sessions had lasted.
    taken: Timestamp,
    end_s: i64,
}

/// Every open snapshot.
#[derive(Default)]
pub struct Snapshots {
    open: Mutex<HashMap<Owner, Snapshot>>,
}

impl Snapshots {
    /// The id of the caller's snapshot: the one that is open, else a new one of the log as it is now.
    ///
    /// # Errors
    /// `SnapshotQuotaExceeded`.
    pub fn take(&self, who: &Principal, head: u64, now: Timestamp) -> Result<String, Failure> {
        let owner = Owner::of(who);
        let now_s = now.as_second();
        let mut open = self.open.lock();
        if let Some(snapshot) = open.get(&owner).filter(|snapshot| snapshot.end_s > now_s) {
            return Ok(snapshot.id.clone());
        }
        open.retain(|_, snapshot| snapshot.end_s > now_s);
        if open.len() >= OPEN_MAX {
            return Err(Failure::snapshot_quota());
        }
        // Not a secret: it is of use only to its owner, who is asked for each time.
        let seed = format!("{owner:?} {head} {}", now.as_microsecond());
        let id = hex::encode(&Sha256::digest(seed.as_bytes())[..16]);
        open.insert(owner, Snapshot { id: id.clone(), head, taken: now, end_s: now_s + LIFE_S });
        Ok(id)
    }

    /// The size of the log in a snapshot, and when it was taken. It lives on for a while.
    ///
    /// # Errors
    /// `NotFound`: unknown, over, or somebody else's.
    pub fn use_one(&self, who: &Principal, id: &str, now: Timestamp) -> Result<(u64, Timestamp), Failure> {
        let mut open = self.open.lock();
        let found = open.get_mut(&Owner::of(who)).filter(|found| found.id == id && found.end_s > now.as_second());
        let snapshot = found.ok_or_else(|| Failure::not_found("no such snapshot, or it is over; open a new one"))?;
        snapshot.end_s = now.as_second() + LIFE_S;
        Ok((snapshot.head, snapshot.taken))
    }
}
