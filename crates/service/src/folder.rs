//! The data folder: who made it, who holds it, and the secret it keeps.

use std::path::Path;

use crate::config::Config;
use crate::error::Result;
use crate::model::{AccountId, OrgId};
use crate::service::Service;

/// What a new data folder starts with.
#[derive(Clone, Debug)]
pub struct Init {
    /// Name of the first organisation.
    pub org: String,
    /// Login name of its administrator.
    pub admin: String,
    /// The administrator's password, 8 to 1,000 bytes.
    pub password: String,
    /// The host part of the logs' origins, fixed for life; such as `audit.example.com`.
    pub audit_host: String,
}

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The first organisation, which is the default one.
    pub org: OrgId,
    /// Its administrator.
    pub admin: AccountId,
    /// The origin of the organisation's log.
    pub origin: String,
    /// The verifier key of that log.
    pub vkey: String,
}

/// What does not change about a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// A random id of this data folder, 32 hex digits.
    pub id: String,
    /// The host part of the logs' origins.
    pub audit_host: String,
}

impl Service {
    /// Makes a data folder with one organisation and its administrator. Blocks.
    ///
    /// The folder may be missing or empty; anything else is refused, a half-made one by name.
    pub fn init(config: &Config, init: Init) -> Result<Initialised> {
        let _ = (config, init, None::<&Path>);
        todo!()
    }
}
