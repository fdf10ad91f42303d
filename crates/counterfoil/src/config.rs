//! Settings of `serve`: file, environment and flags, in rising order of strength, each with its origin.
//!
//! The file is TOML; a key it does not know is an error that names the key, the line and the known keys, so that a
//! misspelt limit never quietly stays at its default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::parser::ValueSource;
use dialects::native::server;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli;

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(&'static str),
    /// The command line.
    Flag(String),
}

impl Origin {
    /// For the API.
    fn document(&self) -> server::Origin {
        let (kind, name) = match self {
            Origin::Default => ("default", None),
            Origin::File(path) => ("file", Some(path.display().to_string())),
            Origin::Environment(name) => ("environment", Some((*name).to_owned())),
            Origin::Flag(flag) => ("flag", Some(flag.clone())),
        };
        server::Origin { kind, name }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

/// What the file may hold. Every key is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
    tls_listen: Option<SocketAddr>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_self_signed: Option<bool>,
    tls_names: Option<Vec<String>>,
    trusted_proxies: Option<Vec<String>>,
    connections_max: Option<usize>,
    shutdown_grace_seconds: Option<u64>,
    block_cache_mib: Option<u64>,
    index_memory_mib: Option<u64>,
    lockout: Option<LockoutFile>,
    verification: Option<VerificationFile>,
    octopai: Option<OctopaiFile>,
    witnesses: Option<WitnessesFile>,
    timestamps: Option<TimestampsFile>,
    recordings: Option<RecordingsFile>,
    sps: Option<SpsFile>,
    risk: Option<RiskFile>,
    detection: Option<DetectionFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectionFile {
    enabled: Option<bool>,
    rules: Option<PathBuf>,
    webhook: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RiskFile {
    disabled: Option<Vec<String>>,
    trusted: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessesFile {
    policy: Option<PathBuf>,
    organisations: Option<BTreeMap<String, PathBuf>>,
    patience_seconds: Option<u64>,
    every_seconds: Option<u64>,
    ca_cert: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingsFile {
    store: Option<String>,
    fonts: Option<PathBuf>,
    mib_max: Option<u64>,
    open_max: Option<usize>,
    idle_minutes: Option<u32>,
    sweep_hours: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimestampsFile {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockoutFile {
    failures: Option<u32>,
    window_minutes: Option<u32>,
    lock_minutes: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct VerificationFile {
    every_hours: Option<u32>,
    mib_per_second: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpsFile {
    idle_seconds: Option<u64>,
    search_role: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OctopaiFile {
    issuer: Option<String>,
    audience: Option<String>,
}

/// Everything `serve` needs, resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file itself.
    pub config: Setting<Option<PathBuf>>,
    /// What is logged, as `tracing_subscriber` reads it.
    pub log: Setting<String>,
    /// Log lines are JSON.
    pub log_json: Setting<bool>,
    pub data: Setting<PathBuf>,
    pub listen: Setting<Option<SocketAddr>>,
    pub tls_listen: Setting<Option<SocketAddr>>,
    pub tls_cert: Setting<Option<PathBuf>>,
    pub tls_key: Setting<Option<PathBuf>>,
    pub tls_self_signed: Setting<bool>,
    pub tls_names: Setting<Vec<String>>,
    /// Addresses or blocks (`10.0.0.0/8`) whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Setting<Vec<String>>,
    /// Connections served at once; more wait to be accepted.
    pub connections_max: Setting<usize>,
    /// How long running requests may take after SIGTERM.
    pub shutdown_grace_seconds: Setting<u64>,
    pub block_cache_mib: Setting<u64>,
    pub index_memory_mib: Setting<u64>,
    pub lockout_failures: Setting<u32>,
    pub lockout_window_minutes: Setting<u32>,
    pub lockout_lock_minutes: Setting<u32>,
    /// Hours from one verification of all logs as a whole to the next; 0: never.
    pub verify_every_hours: Setting<u32>,
    /// How much of the disk's speed it may take.
    pub verify_mib_per_second: Setting<u64>,
    pub octopai_issuer: Setting<String>,
    pub octopai_audience: Setting<String>,
    pub sps_idle_seconds: Setting<u64>,
    pub sps_search_role: Setting<String>,
    /// Algorithms that sessions are not scored by.
    pub risk_disabled: Setting<Vec<String>>,
    /// Algorithms whose score is never dropped from the aggregate.
    pub risk_trusted: Setting<Vec<String>>,
    pub detection_enabled: Setting<bool>,
    /// A folder of Sigma files beside our own rules.
    pub detection_rules: Setting<Option<PathBuf>>,
    /// Where findings are sent to.
    pub detection_webhook: Setting<Option<String>>,
    /// Trust policy (C2SP tlog-policy) whose witnesses are asked to cosign every log.
    pub witnesses_policy: Setting<Option<PathBuf>>,
    /// Policies of single organisations, by slug.
    pub witnesses_organisations: Setting<BTreeMap<String, PathBuf>>,
    /// How old a cosigned checkpoint may be and still be shown.
    pub witnesses_patience_seconds: Setting<u64>,
    /// Time between two rounds of one log.
    pub witnesses_every_seconds: Setting<u64>,
    /// Certificate trusted for calls to witnesses and the time-stamp authority, instead of the public authorities.
    pub witnesses_ca_cert: Setting<Option<PathBuf>>,
    /// Where the bytes of recordings lie: a folder, or `s3://bucket/prefix`; none: `blobs` in the data folder.
    pub recordings_store: Setting<Option<String>>,
    /// Folder with further fonts (ttf, otf, ttc) for pictures of screens; none: those that are built in.
    pub recordings_fonts: Setting<Option<PathBuf>>,
    /// Most bytes of one recording, in MiB.
    pub recordings_mib_max: Setting<u64>,
    /// Sessions that may be open at once.
    pub recordings_open_max: Setting<usize>,
    /// A session to which nothing came for so long is over.
    pub recordings_idle_minutes: Setting<u32>,
    /// Hours from one look for chunks that no entry names to the next; 0: never.
    pub recordings_sweep_hours: Setting<u32>,
    /// Address of the time-stamp authority (RFC 3161).
    pub timestamps_url: Setting<Option<String>>,
}

/// What stands on the command line before or after any verb.
#[derive(Debug, Clone, Copy)]
pub struct Anywhere<'a> {
    /// The configuration file, if one was named.
    pub config: Option<&'a Path>,
    /// What is logged.
    pub log: &'a str,
    /// Log lines are JSON.
    pub log_json: bool,
}

impl<'a> Anywhere<'a> {
    /// Of a whole command line.
    pub fn of(cli: &'a cli::Cli) -> Anywhere<'a> {
        Anywhere { config: cli.config.as_deref(), log: &cli.log, log_json: cli.log_json }
    }
}

/// Tells whether a clap argument came from a flag, the environment or neither.
pub type Sources<'a> = &'a dyn Fn(&str) -> Option<ValueSource>;

impl Settings {
    /// Resolves the settings of `serve`.
    ///
    /// `sources`: where each clap argument (by its id, as in `tls_listen`) came from.
    ///
    /// # Errors
    /// An unreadable file, an unknown key, no data folder, or TLS settings that do not fit together.
    pub fn resolve(serve: &cli::Serve, anywhere: Anywhere<'_>, sources: Sources<'_>) -> anyhow::Result<Settings> {
        let file = anywhere.config;
        let from_file = match file {
            None => File::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("reading the configuration file {}", path.display()))?;
                parse(&text).with_context(|| format!("in the configuration file {}", path.display()))?
            }
        };
        let layers = Layers { file, sources };
        let lockout = from_file.lockout.unwrap_or_default();
        let octopai = from_file.octopai.unwrap_or_default();
        let sps = from_file.sps.unwrap_or_default();
        let risk = from_file.risk.unwrap_or_default();
        let detection = from_file.detection.unwrap_or_default();
        let verification = from_file.verification.unwrap_or_default();
        let witnesses = from_file.witnesses.unwrap_or_default();
        let timestamps = from_file.timestamps.unwrap_or_default();
        let recordings = from_file.recordings.unwrap_or_default();

        let data = layers.pick("data", Some("COUNTERFOIL_DATA"), serve.data.clone(), from_file.data);
        let Some(data) = data else {
            bail!(
                "no data folder: give --data DIR, set COUNTERFOIL_DATA, or put `data = \"…\"` in the configuration file"
            );
        };
        let settings = Settings {
            config: layers.optional("config", "COUNTERFOIL_CONFIG", file.map(Path::to_owned), None),
            log: layers.given("log", Some("COUNTERFOIL_LOG"), anywhere.log.to_owned()),
            log_json: layers.given("log_json", None, anywhere.log_json),
            data,
            listen: layers.optional("listen", "COUNTERFOIL_LISTEN", serve.listen, from_file.listen),
            tls_listen: layers.optional("tls_listen", "COUNTERFOIL_TLS_LISTEN", serve.tls_listen, from_file.tls_listen),
            tls_cert: layers.optional("tls_cert", "COUNTERFOIL_TLS_CERT", serve.tls_cert.clone(), from_file.tls_cert),
            tls_key: layers.optional("tls_key", "COUNTERFOIL_TLS_KEY", serve.tls_key.clone(), from_file.tls_key),
            tls_self_signed: layers.or_default(
                "tls_self_signed",
                serve.tls_self_signed.then_some(true),
                from_file.tls_self_signed,
                false,
            ),
            tls_names: layers.or_default(
                "tls_name",
                (!serve.tls_name.is_empty()).then(|| serve.tls_name.clone()),
                from_file.tls_names,
                Vec::new(),
            ),
            trusted_proxies: layers.or_default("", None, from_file.trusted_proxies, Vec::new()),
            connections_max: layers.or_default("", None, from_file.connections_max, 4_096),
            shutdown_grace_seconds: layers.or_default("", None, from_file.shutdown_grace_seconds, 10),
            block_cache_mib: layers.or_default("", None, from_file.block_cache_mib, 64),
            index_memory_mib: layers.or_default("", None, from_file.index_memory_mib, 64),
            lockout_failures: layers.or_default("", None, lockout.failures, 5),
            lockout_window_minutes: layers.or_default("", None, lockout.window_minutes, 15),
            lockout_lock_minutes: layers.or_default("", None, lockout.lock_minutes, 15),
            verify_every_hours: layers.or_default("", None, verification.every_hours, 24),
            verify_mib_per_second: layers.or_default("", None, verification.mib_per_second, 64),
            octopai_issuer: layers.or_default("", None, octopai.issuer, "Counterfoil".to_owned()),
            octopai_audience: layers.or_default("", None, octopai.audience, "Counterfoil".to_owned()),
            sps_idle_seconds: layers.or_default("", None, sps.idle_seconds, 1_200),
            sps_search_role: layers.or_default("", None, sps.search_role, "search-local".to_owned()),
            risk_disabled: layers.or_default("", None, risk.disabled, Vec::new()),
            risk_trusted: layers.or_default("", None, risk.trusted, Vec::new()),
            detection_enabled: layers.or_default("", None, detection.enabled, true),
            detection_rules: layers.only_filed(detection.rules),
            detection_webhook: layers.only_filed(detection.webhook),
            witnesses_policy: layers.only_filed(witnesses.policy),
            witnesses_organisations: layers.or_default("", None, witnesses.organisations, BTreeMap::new()),
            witnesses_patience_seconds: layers.or_default("", None, witnesses.patience_seconds, 600),
            witnesses_every_seconds: layers.or_default("", None, witnesses.every_seconds, 60),
            witnesses_ca_cert: layers.only_filed(witnesses.ca_cert),
            recordings_store: layers.only_filed(recordings.store),
            recordings_fonts: layers.only_filed(recordings.fonts),
            recordings_mib_max: layers.or_default("", None, recordings.mib_max, 64 << 10),
            recordings_open_max: layers.or_default("", None, recordings.open_max, 100_000),
            recordings_idle_minutes: layers.or_default("", None, recordings.idle_minutes, 24 * 60),
            recordings_sweep_hours: layers.or_default("", None, recordings.sweep_hours, 24),
            timestamps_url: layers.only_filed(timestamps.url),
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.listen.value.is_none() && self.tls_listen.value.is_none() {
            bail!("nothing to listen on: give --listen ADDR (plain HTTP), --tls-listen ADDR, or both");
        }
        if self.tls_listen.value.is_some() && !self.tls_self_signed.value && self.tls_cert.value.is_none() {
            bail!("--tls-listen needs --tls-cert and --tls-key, or --tls-self-signed");
        }
        if self.tls_cert.value.is_some() != self.tls_key.value.is_some() {
            bail!("a certificate and its key go together: give both --tls-cert and --tls-key");
        }
        if self.recordings_idle_minutes.value == 0 || self.recordings_mib_max.value == 0 {
            bail!("recordings.idle_minutes and recordings.mib_max are at least 1");
        }
        if self.witnesses_every_seconds.value == 0 {
            bail!("witnesses.every_seconds is 0; witnesses are asked once a second at most");
        }
        Ok(())
    }

    /// Every setting as the API and `config show` tell it, in the order of the documentation.
    pub fn document(&self) -> server::Settings {
        /// One setting whose value anybody may see. `unit` is empty for what counts nothing.
        fn shown<T>(
            name: &str,
            setting: &Setting<T>,
            unit: &str,
            value: impl FnOnce(&T) -> Value,
            about: &str,
        ) -> server::Setting {
            server::Setting {
                name: name.to_owned(),
                value: value(&setting.value),
                is_secret: false,
                unit: (!unit.is_empty()).then(|| unit.to_owned()),
                origin: setting.origin.document(),
                about: about.to_owned(),
            }
        }
        let path = |path: &Option<PathBuf>| path.as_ref().map_or(Value::Null, |path| json!(path.display().to_string()));
        let address = |address: &Option<SocketAddr>| address.map_or(Value::Null, |address| json!(address.to_string()));
        let names = |names: &Vec<String>| json!(names);
        let policies = |of: &BTreeMap<String, PathBuf>| {
            json!(of.iter().map(|(slug, path)| (slug, path.display().to_string())).collect::<BTreeMap<_, _>>())
        };
        #[rustfmt::skip]
        let mut settings = vec![
            shown("config", &self.config, "", path, "The configuration file itself (flag or variable only)."),
            shown("log", &self.log, "", |v| json!(v), "What is logged on standard error, by part of the program (flag or variable only)."),
            shown("log_json", &self.log_json, "", |v| json!(v), "Log lines are JSON (flag only)."),
            shown("data", &self.data, "", |v| json!(v.display().to_string()), "The data folder: log, keys, projections, recordings."),
            shown("listen", &self.listen, "", address, "Address for plain HTTP."),
            shown("tls_listen", &self.tls_listen, "", address, "Address for HTTPS."),
            shown("tls_cert", &self.tls_cert, "", path, "Certificate chain for HTTPS, PEM; read again at SIGHUP."),
            shown("tls_key", &self.tls_key, "", path, "File with the certificate's private key, PEM."),
            shown("tls_self_signed", &self.tls_self_signed, "", |v| json!(v), "A certificate is made here and kept in DATA/tls."),
            shown("tls_names", &self.tls_names, "", names, "Further names in the self-signed certificate, beside localhost."),
            shown("trusted_proxies", &self.trusted_proxies, "", names, "Proxies whose X-Forwarded-For is believed."),
            shown("connections_max", &self.connections_max, "connections", |v| json!(v), "Connections that are served at once; more wait."),
            shown("shutdown_grace_seconds", &self.shutdown_grace_seconds, "seconds", |v| json!(v), "How long running requests may take after SIGTERM."),
            shown("block_cache_mib", &self.block_cache_mib, "MiB", |v| json!(v), "Memory for unpacked blocks of the log."),
            shown("index_memory_mib", &self.index_memory_mib, "MiB", |v| json!(v), "Memory of the search index while it takes in events."),
            shown("lockout.failures", &self.lockout_failures, "failures", |v| json!(v), "Failed logins, of one name or from one address, that lock."),
            shown("lockout.window_minutes", &self.lockout_window_minutes, "minutes", |v| json!(v), "Within how long those failures count."),
            shown("lockout.lock_minutes", &self.lockout_lock_minutes, "minutes", |v| json!(v), "How long a lock lasts."),
            shown("verification.every_hours", &self.verify_every_hours, "hours", |v| json!(v), "From one verification of all logs as a whole to the next; 0: never."),
            shown("verification.mib_per_second", &self.verify_mib_per_second, "MiB a second", |v| json!(v), "How much of the disk's speed that may take."),
            shown("octopai.issuer", &self.octopai_issuer, "", |v| json!(v), "Issuer in tokens of the Octopai API."),
            shown("octopai.audience", &self.octopai_audience, "", |v| json!(v), "Audience in tokens of the Octopai API."),
            shown("sps.idle_seconds", &self.sps_idle_seconds, "seconds", |v| json!(v), "After how long without a request a session of the SPS API ends."),
            shown("sps.search_role", &self.sps_search_role, "", |v| json!(v), "The search role that this node claims in the SPS API."),
            shown("risk.disabled", &self.risk_disabled, "", names, "Algorithms that sessions are not scored by."),
            shown("risk.trusted", &self.risk_trusted, "", names, "Algorithms whose score is never dropped from the aggregate."),
            shown("detection.enabled", &self.detection_enabled, "", |v| json!(v), "Rules look at every event."),
            shown("detection.rules", &self.detection_rules, "", path, "Folder of Sigma files beside the built-in rules."),
            // Receivers of webhooks tell senders by the address, so all of it is a secret.
            server::Setting { is_secret: true, ..shown("detection.webhook", &self.detection_webhook, "", |v| v.as_ref().map_or(Value::Null, |_| json!("set")), "Address that findings are posted to.") },
            shown("witnesses.policy", &self.witnesses_policy, "", path, "Trust policy whose witnesses are asked to cosign every log."),
            shown("witnesses.organisations", &self.witnesses_organisations, "", policies, "Trust policies of single organisations, by slug."),
            shown("witnesses.patience_seconds", &self.witnesses_patience_seconds, "seconds", |v| json!(v), "How old a cosigned checkpoint may be and still be shown."),
            shown("witnesses.every_seconds", &self.witnesses_every_seconds, "seconds", |v| json!(v), "From one round of asking the witnesses of a log to the next."),
            shown("witnesses.ca_cert", &self.witnesses_ca_cert, "", path, "Certificate trusted for calls to witnesses and the time-stamp authority."),
            shown("recordings.store", &self.recordings_store, "", |v| json!(v), "Where the bytes of recordings lie: a folder or s3://bucket/prefix; unset: DATA/blobs."),
            shown("recordings.fonts", &self.recordings_fonts, "", path, "Folder with further fonts for pictures of screens."),
            shown("recordings.mib_max", &self.recordings_mib_max, "MiB", |v| json!(v), "Most bytes of one recording."),
            shown("recordings.open_max", &self.recordings_open_max, "sessions", |v| json!(v), "Sessions that may be recorded at once."),
            shown("recordings.idle_minutes", &self.recordings_idle_minutes, "minutes", |v| json!(v), "After how long without anything a session is over."),
            shown("recordings.sweep_hours", &self.recordings_sweep_hours, "hours", |v| json!(v), "From one look for chunks that no entry names to the next; 0: never."),
            shown("timestamps.url", &self.timestamps_url, "", |v| v.as_deref().map_or(Value::Null, |url| json!(without_secrets(url))), "Address of the time-stamp authority (RFC 3161)."),
        ];
        if self.recordings_store.value.as_deref().is_some_and(|store| store.starts_with("s3://")) {
            settings.extend(STORE_VARIABLES.map(|(name, is_secret, about)| {
                let value = std::env::var(name).ok();
                let origin = if value.is_some() { Origin::Environment(name) } else { Origin::Default };
                let value = value.map(|value| if is_secret { "set".to_owned() } else { without_secrets(&value) });
                let value = Setting { value, origin };
                server::Setting { is_secret, ..shown(name, &value, "", |v| json!(v), about) }
            }));
        }
        server::Settings { settings }
    }
}

/// What a store of recordings at `s3://…` is reached with: variable, whether it is a secret, what it is.
const STORE_VARIABLES: [(&str, bool, &str); 5] = [
    ("AWS_REGION", false, "Region of the store of recordings (variable only)."),
    ("AWS_ENDPOINT", false, "Address of the store of recordings, if it is not Amazon's (variable only)."),
    ("AWS_ACCESS_KEY_ID", true, "Name of the key to the store of recordings (variable only)."),
    ("AWS_SECRET_ACCESS_KEY", true, "Key to the store of recordings (variable only)."),
    ("AWS_SESSION_TOKEN", true, "Passing credential for the store of recordings (variable only)."),
];

/// A URL without what may be secret in it: user and password, and what stands behind a question mark.
fn without_secrets(url: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, ""), |(before, _)| (before, "?…"));
    let hidden = before.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://…@{host}{path}"))
    });
    hidden.unwrap_or_else(|| before.to_owned()) + query
}

fn parse(text: &str) -> anyhow::Result<File> {
    toml::from_str(text).map_err(|e| anyhow::anyhow!("{e}"))
}

struct Layers<'a> {
    file: Option<&'a Path>,
    sources: Sources<'a>,
}

impl Layers<'_> {
    fn pick<T>(
        &self,
        id: &str,
        variable: Option<&'static str>,
        given: Option<T>,
        filed: Option<T>,
    ) -> Option<Setting<T>> {
        if let Some(value) = given {
            return Some(self.given(id, variable, value));
        }
        let path = self.file?;
        filed.map(|value| Setting { value, origin: Origin::File(path.to_owned()) })
    }

    /// A value from the command line's parser, which knows environment and defaults too.
    fn given<T>(&self, id: &str, variable: Option<&'static str>, value: T) -> Setting<T> {
        let origin = match ((self.sources)(id), variable) {
            (Some(ValueSource::EnvVariable), Some(name)) => Origin::Environment(name),
            (Some(ValueSource::CommandLine), _) => Origin::Flag(format!("--{}", id.replace('_', "-"))),
            _ => Origin::Default,
        };
        Setting { value, origin }
    }

    fn optional<T>(&self, id: &str, variable: &'static str, given: Option<T>, filed: Option<T>) -> Setting<Option<T>> {
        match self.pick(id, Some(variable), given, filed) {
            Some(Setting { value, origin }) => Setting { value: Some(value), origin },
            None => Setting { value: None, origin: Origin::Default },
        }
    }

    fn only_filed<T>(&self, filed: Option<T>) -> Setting<Option<T>> {
        self.or_default("", None, filed.map(Some), None)
    }

    fn or_default<T>(&self, id: &str, given: Option<T>, filed: Option<T>, default: T) -> Setting<T> {
        self.pick(id, None, given, filed).unwrap_or(Setting { value: default, origin: Origin::Default })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve() -> cli::Serve {
        cli::Serve {
            data: None,
            listen: None,
            tls_listen: None,
            tls_cert: None,
            tls_key: None,
            tls_self_signed: false,
            tls_name: Vec::new(),
        }
    }

    fn resolve(serve: &cli::Serve, text: &str) -> anyhow::Result<Settings> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("counterfoil.toml");
        std::fs::write(&path, text).expect("a file in it");
        let anywhere = Anywhere { config: Some(&path), log: "info", log_json: false };
        let sources = |id: &str| (id != "log" && id != "log_json").then_some(ValueSource::CommandLine);
        Settings::resolve(serve, anywhere, &sources)
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        for text in ["data = \"/d\"\nlisten = \"127.0.0.1:0\"\nconections_max = 3\n", "[lockout]\nfailure = 1\n"] {
            let error = format!("{:#}", resolve(&serve(), text).expect_err("refused"));
            assert!(error.contains("conections_max") || error.contains("failure"), "{error}");
            assert!(error.contains("expected one of"), "the known keys are listed: {error}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_both_say_so() {
        let mut flags = serve();
        flags.listen = Some("127.0.0.1:1".parse().expect("an address"));
        let settings = resolve(&flags, "data = \"/d\"\nlisten = \"127.0.0.1:2\"\n").expect("resolved");
        assert_eq!(settings.listen.value, flags.listen);
        assert_eq!(settings.listen.origin, Origin::Flag("--listen".to_owned()));
        assert_eq!(settings.log.origin, Origin::Default);
        assert!(matches!(settings.data.origin, Origin::File(_)));
        assert_eq!(settings.connections_max.origin, Origin::Default);
    }

    #[test]
    fn every_key_of_the_file_is_told_with_its_origin_and_no_secret_is() {
        let secrets = ["hush-hush", "let-me-in", "in-the-query"];
        let text = "data = \"/d\"\nlisten = \"127.0.0.1:0\"\n[detection]\nwebhook = \"https://chat.example/hush-hush\"\n\
                    [timestamps]\nurl = \"https://ann:let-me-in@tsa.example:8443/tsr?key=in-the-query\"\n";
        let told = resolve(&serve(), text).expect("resolved").document();
        let json = serde_json::to_string(&told).expect("JSON");
        assert!(secrets.iter().all(|secret| !json.contains(secret)), "{json}");
        let find = |name: &str| told.settings.iter().find(|setting| setting.name == name).expect("it is told");
        let webhook = find("detection.webhook");
        assert!(webhook.is_secret && webhook.value == "set" && webhook.origin.kind == "file");
        assert_eq!(find("timestamps.url").value, "https://…@tsa.example:8443/tsr?…");
        assert_eq!(find("connections_max").unit.as_deref(), Some("connections"));
        assert_eq!((find("log").origin.kind, find("witnesses.policy").value.is_null()), ("default", true));
        assert!(told.settings.iter().all(|setting| setting.about.ends_with('.') && setting.about.len() < 110));
        // What a misspelt key is told it could be, all that the file may hold, is there.
        let known = |text: &str| {
            let error = format!("{:#}", parse(text).expect_err("an unknown key"));
            let (_, list) = error.split_once("expected one of ").expect("the known keys");
            let names: Vec<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            names
        };
        let tables = known("x = 1");
        let mut keys = 0;
        for name in &tables {
            // A table tells what it holds, anything else that it is no table.
            let error =
                format!("{:#}", parse(&format!("[{name}]\nx-x = 1")).expect_err("no key of the file is called so"));
            let names = match error.contains("unknown field") {
                true if error.contains("expected one of") => known(&format!("[{name}]\nx-x = 1")),
                true => error.split('`').skip(3).step_by(2).map(str::to_owned).collect(),
                false => vec![String::new()],
            };
            for inner in names {
                let full = if inner.is_empty() { name.clone() } else { format!("{name}.{inner}") };
                assert!(told.settings.iter().any(|setting| setting.name == full), "{full} is not told");
                keys += 1;
            }
        }
        assert_eq!(keys + 3, told.settings.len(), "and nothing else but the three that no file holds");
    }

    #[test]
    fn settings_that_do_not_fit_together_are_refused() {
        for (text, says) in [
            ("listen = \"127.0.0.1:0\"", "no data folder"),
            ("data = \"/d\"", "nothing to listen on"),
            ("data = \"/d\"\ntls_listen = \"127.0.0.1:0\"", "--tls-self-signed"),
            ("data = \"/d\"\nlisten = \"127.0.0.1:0\"\ntls_cert = \"c\"", "go together"),
        ] {
            let error = format!("{:#}", resolve(&serve(), text).expect_err("refused"));
            assert!(error.contains(says), "{error}");
        }
    }
}
