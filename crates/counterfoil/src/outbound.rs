//! The calls that a server makes: to witnesses and to a time-stamp authority.

use std::path::Path;
use std::time::Duration;

use service::outbound::{Post, Posted};
use ureq::Agent;

use crate::client;

/// How long one call may take, answer included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 512 * 1024;

/// Calls over HTTP and HTTPS.
pub struct Http(Agent);

impl Http {
    /// Trusts the public authorities, or only `ca_cert` where one is given.
    pub fn new(ca_cert: Option<&Path>) -> anyhow::Result<Http> {
        Ok(Http(client::agent(ca_cert, Some(PATIENCE))?))
    }
}

impl Post for Http {
    fn post(&self, url: &str, media_type: &str, body: &[u8]) -> Result<Posted, String> {
        let sent = self.0.post(url).header("content-type", media_type).send(body);
        let mut response = sent.map_err(|error| format!("{url}: {error}"))?;
        let status = response.status().as_u16();
        let media_type =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok(Posted { status, media_type, body: body.map_err(|error| format!("{url}: {error}"))? })
    }
}
