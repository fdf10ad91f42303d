//! Organisations: a tree, each node with a log of its own.

use jiff::Timestamp;
use log::LogId;

use crate::access::Principal;
use crate::error::Result;
use crate::model::OrgId;
use crate::service::Service;

/// An organisation, as callers within reach see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgInfo {
    /// Its id.
    pub id: OrgId,
    /// The organisation it lies under; `None` for one at the top.
    pub parent: Option<OrgId>,
    /// Its name: unique among its siblings, compared after Unicode NFC, case counts.
    pub name: String,
    /// A name for addresses: lower-case letters, digits and hyphens, unique per server, fixed for life.
    pub slug: String,
    /// The names from the top down to this one, joined by `/`, with `/` in a name written `\\/` and `\\` written `\\\\`.
    pub path: String,
    /// The log that holds its events.
    pub log: LogId,
    /// The log's origin, as checkpoints print it.
    pub origin: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Service {
    /// Makes an organisation under `parent`, with a log of its own that is open when this returns.
    ///
    /// # Errors
    /// `Invalid`: the name is empty, longer than 200 bytes or has control characters. `Conflict`: a sibling has the name.
    /// `NotFound`: no such parent within reach. `Forbidden`: not an administrator.
    pub async fn create_org(&self, who: &Principal, parent: OrgId, name: &str) -> Result<OrgInfo> {
        let _ = (who, parent, name);
        todo!()
    }

    /// Gives an organisation another name. Its id, slug and log stay. Errors as for `create_org`.
    pub async fn rename_org(&self, who: &Principal, org: OrgId, name: &str) -> Result<OrgInfo> {
        let _ = (who, org, name);
        todo!()
    }

    /// One organisation within reach.
    pub fn get_org(&self, who: &Principal, org: OrgId) -> Result<OrgInfo> {
        let _ = (who, org);
        todo!()
    }

    /// Every organisation within reach, in the order of their creation (so parents come before children).
    pub fn list_orgs(&self, who: &Principal) -> Result<Vec<OrgInfo>> {
        let _ = who;
        todo!()
    }

    /// Finds the organisation that `text` means: an id, or a name or path by the rule of `specs/silo.md` section 4.
    ///
    /// # Errors
    /// `NotFound`: none within reach (existing elsewhere makes no difference). `Conflict`: more than one.
    pub fn resolve_org(&self, who: &Principal, text: &str) -> Result<OrgId> {
        let _ = (who, text);
        todo!()
    }

    /// The organisation with this slug, whoever asks: for host names and tenants, before anybody is logged in.
    pub fn find_org_by_slug(&self, slug: &str) -> Option<OrgId> {
        let _ = slug;
        todo!()
    }

    /// The organisation that owns this log, whoever asks.
    pub fn find_org_by_log(&self, log: LogId) -> Option<OrgId> {
        let _ = log;
        todo!()
    }

    /// The organisation made by `init`: where events go that concern no other one.
    pub fn default_org(&self) -> OrgId {
        todo!()
    }
}
