//! `serve`: opens the data folder, mounts the dialects, answers until told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use dialects::native::server::Setting;
use serde_json::{Value, json};
use service::behaviour::Algorithm;
use service::{BlobStore, Config, DetectionOptions, Outbound, RecordingOptions, RiskOptions, Service, Witnessing};
use tlog::policy::Policy;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Settings;
use crate::console;
use crate::fonts;
use crate::outbound::Http;
use crate::server::{self, Listener};
use crate::telemetry::Metrics;
use crate::{output, tls};

/// `counterfoil serve`
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let service = Service::open(service_config(settings)?)?;
        let served = serve(settings, service.clone(), |_| Ok(())).await;
        // Also after a failed start: what is queued is written, the lock is released in order.
        service.shutdown().await;
        served
    })
}

/// `counterfoil config show`
pub fn show(settings: &Settings, as_json: bool) -> anyhow::Result<()> {
    let told = settings.document();
    if as_json {
        return output::json(&json!(told));
    }
    let row = |setting: &Setting| {
        let value = match (&setting.value, setting.is_secret) {
            (Value::Null, _) => "not set".to_owned(),
            (Value::String(text), true) => text.clone(),
            (value, _) => value.to_string(),
        };
        let origin = match &setting.origin.name {
            Some(name) => format!("{} {name}", setting.origin.kind),
            None => setting.origin.kind.to_owned(),
        };
        vec![setting.name.clone(), value, setting.unit.clone().unwrap_or_default(), origin, setting.about.clone()]
    };
    let rows: Vec<_> = told.settings.iter().map(row).collect();
    output::table(&["SETTING", "VALUE", "UNIT", "ORIGIN", "WHAT IT DOES"], &rows)
}

/// What the service is opened with under these settings.
///
/// # Errors
/// A policy or certificate file that does not read.
pub fn service_config(settings: &Settings) -> anyhow::Result<Config> {
    let mut config = Config::new(&settings.data.value);
    config.lockout.failures_max = settings.lockout_failures.value;
    config.lockout.window = minutes(settings.lockout_window_minutes.value);
    config.lockout.lock_for = minutes(settings.lockout_lock_minutes.value);
    config.log.block_cache_bytes = mebibytes(settings.block_cache_mib.value);
    config.index.writer_memory_bytes = mebibytes(settings.index_memory_mib.value);
    let hours = settings.verify_every_hours.value;
    config.verification.every = (hours > 0).then(|| Duration::from_secs(u64::from(hours) * 3_600));
    config.verification.bytes_per_second = mebibytes(settings.verify_mib_per_second.value) as u64;
    config.recordings = recordings(settings)?;
    config.risk = risk(settings)?;
    config.detection = detection(settings)?;
    config.witnessing = witnessing(settings)?;
    config.timestamp_url.clone_from(&settings.timestamps_url.value);
    config.outbound = Outbound(Some(Arc::new(Http::new(settings.witnesses_ca_cert.value.as_deref())?)));
    Ok(config)
}

fn recordings(settings: &Settings) -> anyhow::Result<RecordingOptions> {
    let hours = settings.recordings_sweep_hours.value;
    let store = match settings.recordings_store.value.as_deref() {
        None => BlobStore::InData,
        Some(url) if url.starts_with("s3://") => s3(url)?,
        Some(folder) => BlobStore::Folder(PathBuf::from(folder)),
    };
    let fonts = settings.recordings_fonts.value.as_deref().map(fonts::read).transpose()?;
    Ok(RecordingOptions {
        store,
        fonts: fonts.map(Arc::new),
        recording_bytes_max: settings.recordings_mib_max.value.saturating_mul(1 << 20),
        open_sessions_max: settings.recordings_open_max.value,
        idle_timeout: minutes(settings.recordings_idle_minutes.value),
        sweep_every: (hours > 0).then(|| Duration::from_secs(u64::from(hours) * 3_600)),
    })
}

fn detection(settings: &Settings) -> anyhow::Result<DetectionOptions> {
    let mut rules = Vec::new();
    if let Some(folder) = &settings.detection_rules.value {
        let list =
            std::fs::read_dir(folder).with_context(|| format!("reading detection.rules {}", folder.display()))?;
        let mut paths = list.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<PathBuf>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml"));
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            rules.push((name, text));
        }
    }
    let webhook_url = settings.detection_webhook.value.clone();
    Ok(DetectionOptions { enabled: settings.detection_enabled.value, rules, webhook_url })
}

fn risk(settings: &Settings) -> anyhow::Result<RiskOptions> {
    let named = |setting: &str, names: &[String]| {
        let read = |name: &String| {
            Algorithm::from_name(name).ok_or_else(|| {
                let known = Algorithm::ALL.map(Algorithm::as_str).join(", ");
                output::usage(format!("{setting}: {name:?} is no algorithm; there are: {known}"))
            })
        };
        names.iter().map(read).collect::<anyhow::Result<_>>()
    };
    Ok(RiskOptions {
        disabled: named("risk.disabled", &settings.risk_disabled.value)?,
        trusted: named("risk.trusted", &settings.risk_trusted.value)?,
    })
}

/// A store at `s3://bucket/prefix`; credentials, region and endpoint come from the environment (`AWS_…`).
#[cfg(feature = "s3")]
fn s3(url: &str) -> anyhow::Result<BlobStore> {
    use service::object_store::{aws::AmazonS3Builder, prefix::PrefixStore};
    let store = AmazonS3Builder::from_env().with_url(url).build().with_context(|| format!("opening {url}"))?;
    let prefix = url.trim_start_matches("s3://").split_once('/').map_or("", |(_, prefix)| prefix);
    Ok(BlobStore::Objects(match prefix {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    }))
}

#[cfg(not(feature = "s3"))]
fn s3(url: &str) -> anyhow::Result<BlobStore> {
    anyhow::bail!("recordings.store is {url}, and this program was built without S3; build it with --features s3")
}

fn witnessing(settings: &Settings) -> anyhow::Result<Witnessing> {
    let read = |path: &PathBuf| -> anyhow::Result<Policy> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading the policy {}", path.display()))?;
        let policy: Policy = text.parse().with_context(|| format!("in the policy {}", path.display()))?;
        for witness in policy.witnesses.iter().filter(|witness| witness.url.is_none()) {
            tracing::warn!(witness = witness.name, policy = %path.display(), "the policy does not say where this witness is; it is not asked");
        }
        Ok(policy)
    };
    let organisations = settings.witnesses_organisations.value.iter();
    Ok(Witnessing {
        policy: settings.witnesses_policy.value.as_ref().map(read).transpose()?,
        of_organisations: organisations
            .map(|(slug, path)| Ok((slug.clone(), read(path)?)))
            .collect::<anyhow::Result<_>>()?,
        patience: Duration::from_secs(settings.witnesses_patience_seconds.value),
        every: Duration::from_secs(settings.witnesses_every_seconds.value),
    })
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

fn mebibytes(mib: u64) -> usize {
    usize::try_from(mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX)
}

/// Serves until SIGTERM or SIGINT. `ready` is called with the bound addresses after the `ready …` lines were printed.
pub async fn serve(
    settings: &Settings,
    service: Service,
    ready: impl FnOnce(&[String]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let metrics = Metrics::new();
    let router = router(settings, service.clone(), &metrics, stopped.clone())?;

    let mut listeners = Vec::new();
    if let Some(address) = settings.listen.value {
        listeners.push(Listener::bind(address, None).await?);
    }
    let mut reload = None;
    if let Some(address) = settings.tls_listen.value {
        let (config, fingerprint) = load_tls(settings)?;
        if let Some(fingerprint) = fingerprint {
            tracing::info!(%fingerprint, cert = %settings.data.value.join("tls/cert.pem").display(), "self-signed certificate");
        }
        let (sender, receiver) = watch::channel(config);
        listeners.push(Listener::bind(address, Some(receiver)).await?);
        reload = Some(sender);
    }
    let urls = listeners.iter().map(Listener::url).collect::<anyhow::Result<Vec<_>>>()?;

    let signals = tokio::spawn(until_told(stop, reload, settings.clone()));
    let grace = Duration::from_secs(settings.shutdown_grace_seconds.value);
    let serving = tokio::spawn(server::run(listeners, router, settings.connections_max.value, stopped, grace));
    for url in &urls {
        println!("ready {url}");
    }
    ready(&urls)?;
    serving.await.context("the listeners stopped unexpectedly")?;
    signals.abort();
    tracing::info!("stopped");
    Ok(())
}

fn load_tls(settings: &Settings) -> anyhow::Result<(Arc<rustls::ServerConfig>, Option<String>)> {
    if let (Some(cert), Some(key)) = (&settings.tls_cert.value, &settings.tls_key.value) {
        return Ok((tls::from_files(cert, key)?, None));
    }
    let (config, fingerprint) = tls::self_signed(&settings.data.value.join("tls"), &settings.tls_names.value)?;
    Ok((config, Some(fingerprint)))
}

/// Turns `stop` true at SIGTERM or SIGINT; reads the certificate again at SIGHUP, keeping the old one if the new is bad.
async fn until_told(
    stop: watch::Sender<bool>,
    reload: Option<watch::Sender<Arc<rustls::ServerConfig>>>,
    settings: Settings,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => match (&reload, load_tls(&settings)) {
                (Some(sender), Ok((config, _))) => {
                    sender.send_replace(config);
                    tracing::info!("certificate read again");
                }
                (Some(_), Err(error)) => tracing::error!("the new certificate is not used: {error:#}"),
                (None, _) => {}
            },
        }
    }
    stop.send_replace(true);
    Ok(())
}

fn router(
    settings: &Settings,
    service: Service,
    metrics: &Arc<Metrics>,
    closing: watch::Receiver<bool>,
) -> anyhow::Result<Router> {
    let mut prefix = [0u8; 4];
    getrandom::fill(&mut prefix).map_err(|error| anyhow::anyhow!("asking the system for randomness: {error}"))?;
    let trusted_proxies = settings
        .trusted_proxies
        .value
        .iter()
        .map(|text| text.parse().map_err(|error| anyhow::anyhow!("trusted_proxies: {text:?}: {error}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let counted = metrics.clone();
    let operations = Router::new()
        .route("/healthz", routing::get(|| async { "ok\n" }))
        .route("/readyz", routing::get(readyz))
        .route("/metrics", routing::get(show_metrics))
        .with_state((service.clone(), metrics.clone()))
        .merge(console::router(service.clone()));
    let dialect_settings = dialects::Settings {
        trusted_proxies,
        request_id_prefix: format!("{}-", hex::encode(prefix)),
        closing,
        watcher: Some(Arc::new(move |answered: &dialects::Answered<'_>| {
            counted.answered(answered.dialect, answered.method, answered.route, answered.status, answered.seconds);
        })),
        elsewhere: operations,
        server: settings.document(),
        octopai: dialects::octopai::Settings {
            issuer: settings.octopai_issuer.value.clone(),
            audience: settings.octopai_audience.value.clone(),
        },
        sps: dialects::sps::Settings {
            idle_timeout: Duration::from_secs(settings.sps_idle_seconds.value.max(1)),
            role: settings
                .sps_search_role
                .value
                .parse()
                .map_err(|why| output::usage(format!("sps.search_role: {why}")))?,
        },
        ..dialects::Settings::default()
    };
    Ok(console::layered(dialects::router(service, dialect_settings)))
}

/// 200 while everything can be read and written; else 503 with what is wrong, one reason a line.
async fn readyz(State((service, _)): State<(Service, Arc<Metrics>)>) -> Response {
    let status = service.status();
    if status.is_ready() {
        return "ready\n".into_response();
    }
    let mut reasons = Vec::new();
    if let Some(why) = &status.stopped {
        reasons.push(format!("the store takes no writes: {why}"));
    }
    if let Some(why) = &status.index_error {
        reasons.push(format!("the search index: {why}"));
    }
    if let Some(why) = &status.sessions_error {
        reasons.push(format!("the catalogue of sessions: {why}"));
    }
    for log in &status.read_only {
        reasons.push(format!("log {} is read-only: {:?}", log.log, log.state));
    }
    for (_, log, last) in &status.unverified {
        let (verdict, at, reasons_found) = (&last.verdict, last.at(), last.reasons.join(", "));
        reasons.push(format!("log {log} was {verdict} when it was verified as a whole at {at}: {reasons_found}"));
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
}

async fn show_metrics(State((service, metrics)): State<(Service, Arc<Metrics>)>) -> Response {
    let status = service.status();
    let stats = &status.log;
    let text = metrics.render(|name| {
        // Counts far below 2^52 are exact as floating point.
        let count = |n: u64| Some(n as f64);
        match name {
            "logs" => count(stats.logs),
            "logs_read_only" => count(stats.logs_read_only),
            "entries_appended" => count(stats.entries_appended),
            "groups" => count(stats.groups),
            "signatures" => count(stats.signatures),
            "check_mismatches" => count(stats.check_mismatches),
            "duplicates" => count(stats.duplicates),
            "clock_steps_back" => count(stats.clock_steps_back),
            "refused_full" => count(stats.refused_full),
            "pool_bytes" => count(stats.pool_bytes),
            "commit_files" => count(stats.commit_files),
            "segments" => count(stats.segments),
            "store_stopped" => count(u64::from(stats.stopped.is_some())),
            "disk_full" => count(u64::from(stats.disk_full)),
            "logs_unverified" => count(status.unverified.len() as u64),
            "organisations" => count(status.organisations),
            "accounts" => count(status.accounts),
            "index_documents" => count(status.index_documents),
            "index_lag_entries" => count(status.index_lag),
            "sessions_open" => count(status.sessions_open),
            "own_events_waiting" => count(status.own_events_waiting),
            "own_events_lost" => count(status.own_events_lost),
            "cosignatures" => count(status.witnesses.cosignatures),
            "witness_failures" => count(status.witnesses.failures),
            "witness_alarms" => count(status.witnesses.alarms),
            _ => None,
        }
    });
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
