//! The service itself: what it is made of, how it starts and stops.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::folder::Instance;

/// The only door to the trail. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {}

/// What a rebuild did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Log entries read.
    pub entries: u64,
    /// Documents in the new index.
    pub documents: u64,
}

impl Service {
    /// Opens a data folder and holds it alone until `shutdown`. Blocks; must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `NotFound`: no data folder there. `Conflict`: another process holds it, or it is half made. `Invalid`: a format this
    /// program does not know. `Corrupt`: the control log does not read; single damaged logs do not stop the others.
    pub fn open(config: Config) -> Result<Service> {
        let _ = config;
        todo!()
    }

    /// Stops: what was acknowledged stays, own events that wait are appended, the index and the snapshot are written.
    pub async fn shutdown(self) {
        todo!()
    }

    /// Throws the index and the snapshot away and makes them again from the logs. Blocks, for minutes perhaps; calls
    /// `progress` with entries done and entries in all. Nobody else may hold the folder.
    pub fn rebuild(config: Config, progress: &mut dyn FnMut(u64, u64)) -> Result<Rebuilt> {
        let _ = (config, progress);
        todo!()
    }

    /// What does not change about the data folder.
    pub fn instance(&self) -> &Instance {
        todo!()
    }

    /// A secret of this data folder for one purpose: the same label gives the same 32 bytes for life. For keys of dialects.
    pub fn derive_secret(&self, label: &str) -> [u8; 32] {
        let _ = (label, &self.inner);
        todo!()
    }

    /// The time now, by the configured clock.
    pub fn now(&self) -> jiff::Timestamp {
        todo!()
    }
}
