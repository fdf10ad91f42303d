//! Which servers a user works on. `docs/risk/hostlogin.md`.

use serde::{Deserialize, Serialize};

use crate::probability::Frequencies;

/// How often each server was worked on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLogin(Frequencies);

impl HostLogin {
    pub fn build<'a>(servers: impl IntoIterator<Item = &'a str>) -> HostLogin {
        HostLogin(Frequencies::of(servers))
    }

    /// The probability of a server that is at most as common as this one.
    pub fn probability(&self, server: &str) -> f64 {
        self.0.at_most_as_common(server)
    }

    pub fn expected(&self) -> String {
        format!("{}; a new one with probability {:.4}", self.0.describe(5), self.0.unseen())
    }

    pub fn observed(&self, server: &str) -> String {
        match self.0.count(server) {
            0 => format!("{server}, never seen in {} sessions", self.0.total()),
            count => format!("{server}, {count} of {} sessions", self.0.total()),
        }
    }
}
