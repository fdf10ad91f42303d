//! Settings of `serve`: file, environment and flags, in rising order of strength, each with its origin.
//!
//! The file is TOML; a key it does not know is an error that names the key, the line and the known keys, so that a
//! misspelt limit never quietly stays at its default.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::parser::ValueSource;
use serde::Deserialize;

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
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag => f.write_str("flag"),
        }
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

/// Tells whether a clap argument came from a flag, the environment or neither.
pub type Sources<'a> = &'a dyn Fn(&str) -> Option<ValueSource>;

impl Settings {
    /// Resolves the settings of `serve`.
    ///
    /// `file`: the configuration file, if one was named. `sources`: where each clap argument (by its id, as in
    /// `tls_listen`) came from.
    ///
    /// # Errors
    /// An unreadable file, an unknown key, no data folder, or TLS settings that do not fit together.
    pub fn resolve(serve: &cli::Serve, file: Option<&Path>, sources: Sources<'_>) -> anyhow::Result<Settings> {
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

    /// Every setting as (name, value, origin), in the order of the documentation.
    pub fn rows(&self) -> Vec<(&'static str, String, String)> {
        fn text<T: fmt::Debug>(value: &Option<T>) -> String {
            value.as_ref().map_or_else(|| "none".to_owned(), |v| format!("{v:?}"))
        }
        fn row<T>(name: &'static str, s: &Setting<T>, show: impl Fn(&T) -> String) -> (&'static str, String, String) {
            (name, show(&s.value), s.origin.to_string())
        }
        vec![
            row("data", &self.data, |v| format!("{v:?}")),
            row("listen", &self.listen, text),
            row("tls_listen", &self.tls_listen, text),
            row("tls_cert", &self.tls_cert, text),
            row("tls_key", &self.tls_key, text),
            row("tls_self_signed", &self.tls_self_signed, ToString::to_string),
            row("tls_names", &self.tls_names, |v| format!("{v:?}")),
            row("trusted_proxies", &self.trusted_proxies, |v| format!("{v:?}")),
            row("connections_max", &self.connections_max, ToString::to_string),
            row("shutdown_grace_seconds", &self.shutdown_grace_seconds, ToString::to_string),
            row("block_cache_mib", &self.block_cache_mib, ToString::to_string),
            row("index_memory_mib", &self.index_memory_mib, ToString::to_string),
            row("lockout.failures", &self.lockout_failures, ToString::to_string),
            row("lockout.window_minutes", &self.lockout_window_minutes, ToString::to_string),
            row("lockout.lock_minutes", &self.lockout_lock_minutes, ToString::to_string),
            row("verification.every_hours", &self.verify_every_hours, ToString::to_string),
            row("verification.mib_per_second", &self.verify_mib_per_second, ToString::to_string),
            row("octopai.issuer", &self.octopai_issuer, |v| format!("{v:?}")),
            row("octopai.audience", &self.octopai_audience, |v| format!("{v:?}")),
            row("sps.idle_seconds", &self.sps_idle_seconds, |v| v.to_string()),
            row("sps.search_role", &self.sps_search_role, |v| format!("{v:?}")),
            row("risk.disabled", &self.risk_disabled, |v| format!("{v:?}")),
            row("risk.trusted", &self.risk_trusted, |v| format!("{v:?}")),
            row("detection.enabled", &self.detection_enabled, ToString::to_string),
            row("detection.rules", &self.detection_rules, text),
            row("detection.webhook", &self.detection_webhook, text),
            row("witnesses.policy", &self.witnesses_policy, text),
            row("witnesses.organisations", &self.witnesses_organisations, |v| format!("{v:?}")),
            row("witnesses.patience_seconds", &self.witnesses_patience_seconds, ToString::to_string),
            row("witnesses.every_seconds", &self.witnesses_every_seconds, ToString::to_string),
            row("witnesses.ca_cert", &self.witnesses_ca_cert, text),
            row("recordings.store", &self.recordings_store, text),
            row("recordings.fonts", &self.recordings_fonts, text),
            row("recordings.mib_max", &self.recordings_mib_max, ToString::to_string),
            row("recordings.open_max", &self.recordings_open_max, ToString::to_string),
            row("recordings.idle_minutes", &self.recordings_idle_minutes, ToString::to_string),
            row("recordings.sweep_hours", &self.recordings_sweep_hours, ToString::to_string),
            row("timestamps.url", &self.timestamps_url, text),
        ]
    }
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
            let origin = match ((self.sources)(id), variable) {
                (Some(ValueSource::EnvVariable), Some(name)) => Origin::Environment(name),
                _ => Origin::Flag,
            };
            return Some(Setting { value, origin });
        }
        let path = self.file?;
        filed.map(|value| Setting { value, origin: Origin::File(path.to_owned()) })
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
        Settings::resolve(serve, Some(&path), &|_| Some(ValueSource::CommandLine))
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
        assert_eq!(settings.listen.origin, Origin::Flag);
        assert!(matches!(settings.data.origin, Origin::File(_)));
        assert_eq!(settings.connections_max.origin, Origin::Default);
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
