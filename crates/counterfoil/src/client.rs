//! The native API as the command line uses it: one agent, one token, errors that say what the server said.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::cli::Remote;

/// Most bytes of one reply read into memory.
const REPLY_BYTES_MAX: u64 = 512 << 20;

/// What must be escaped inside one path segment or query value (RFC 3986 §3.3, §3.4; conservative).
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Escapes `text` for one path segment or one query value.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// An HTTP agent that trusts the public authorities, or only `ca_cert` where one is given.
pub fn agent(ca_cert: Option<&std::path::Path>, timeout: Option<Duration>) -> anyhow::Result<Agent> {
    let mut builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_global(timeout)
        .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_cert {
        let pem = std::fs::read(path).with_context(|| format!("reading the certificate {}", path.display()))?;
        let mut certificates: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item.with_context(|| format!("in {}", path.display()))? {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            bail!("no certificate in {}", path.display());
        }
        builder = builder.tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build());
    }
    Ok(builder.build().new_agent())
}

/// A server and the caller's token.
pub struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client for `remote`; nothing is sent yet.
    pub fn new(remote: &Remote) -> anyhow::Result<Client> {
        Ok(Client {
            agent: agent(remote.ca_cert.as_deref(), None)?,
            base: remote.server.trim_end_matches('/').to_owned(),
            token: remote.token.clone(),
        })
    }

    fn authorization(&self) -> anyhow::Result<String> {
        match &self.token {
            Some(token) => Ok(format!("Bearer {token}")),
            None => bail!(
                "no token: give --token, or set COUNTERFOIL_TOKEN=$(counterfoil login NAME --server {})",
                self.base
            ),
        }
    }

    /// GET `path` (with its query) and read JSON.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.read_json(self.open(path)?)
    }

    /// GET `path` and leave the body to the caller; anything but a 2xx is an error with the server's words.
    pub fn open(&self, path: &str) -> anyhow::Result<Body> {
        let url = format!("{}{path}", self.base);
        let response = self.agent.get(&url).header("authorization", self.authorization()?).call();
        self.accept(&url, response)
    }

    /// POST JSON and read JSON (null for an empty reply).
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let response = self.agent.post(&url).header("authorization", self.authorization()?).send_json(body);
        self.read_json(self.accept(&url, response)?)
    }

    /// POST without credentials: the log-in itself.
    pub fn post_open(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let response = self.agent.post(&url).send_json(body);
        self.read_json(self.accept(&url, response)?)
    }

    /// POST bytes of a media type, read JSON.
    pub fn post_bytes(&self, path: &str, media_type: &str, body: &[u8]) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let response = self
            .agent
            .post(&url)
            .header("authorization", self.authorization()?)
            .header("content-type", media_type)
            .send(body);
        self.read_json(self.accept(&url, response)?)
    }

    /// PUT bytes as they are read, without holding them, and read JSON.
    pub fn put_reader(&self, path: &str, reader: &mut dyn std::io::Read) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let response = self
            .agent
            .put(&url)
            .header("authorization", self.authorization()?)
            .header("content-type", "application/octet-stream")
            .send(ureq::SendBody::from_reader(reader));
        self.read_json(self.accept(&url, response)?)
    }

    /// PATCH JSON and read JSON.
    pub fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let response = self.agent.patch(&url).header("authorization", self.authorization()?).send_json(body);
        self.read_json(self.accept(&url, response)?)
    }

    /// DELETE; the reply's body is ignored.
    pub fn delete(&self, path: &str) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.base);
        let response = self.agent.delete(&url).header("authorization", self.authorization()?).call();
        self.accept(&url, response).map(|_| ())
    }

    /// The organisation to act on: the one given, else the caller's own. Escaped for a path segment.
    pub fn org(&self, given: Option<&str>) -> anyhow::Result<String> {
        if let Some(org) = given {
            return Ok(escaped(org));
        }
        let me = self.get("/v1/me").context("asking which organisation the token belongs to")?;
        let id = me.pointer("/organisation/id").or_else(|| me.pointer("/org/id")).and_then(Value::as_str);
        id.map(escaped).ok_or_else(|| anyhow!("the server did not say which organisation the token belongs to"))
    }

    fn accept(&self, url: &str, response: Result<ureq::http::Response<Body>, ureq::Error>) -> anyhow::Result<Body> {
        let response = response.map_err(|error| anyhow!("calling {url}: {error}"))?;
        let status = response.status();
        let mut body = response.into_body();
        if status.is_success() {
            return Ok(body);
        }
        let text = body.with_config().limit(64 << 10).lossy_utf8(true).read_to_string().unwrap_or_default();
        let said = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|problem| {
                let title = problem.get("title").and_then(Value::as_str)?.to_owned();
                let detail =
                    problem.get("detail").and_then(Value::as_str).map(|d| format!(": {d}")).unwrap_or_default();
                Some(title + &detail)
            })
            .unwrap_or(text);
        bail!("{url} answered {status}: {}", said.trim())
    }

    fn read_json(&self, mut body: Body) -> anyhow::Result<Value> {
        let bytes = body.with_config().limit(REPLY_BYTES_MAX).read_to_vec().context("reading the server's reply")?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).context("the server's reply is not JSON; is this a Counterfoil server?")
    }
}
