//! Log lines on standard error and Prometheus metrics on `/metrics`. No global state besides the log subscriber.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context as _;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

/// Starts writing log lines to standard error, filtered by `directives` (`info`, `counterfoil=debug,log=info`, …).
///
/// # Errors
/// Directives that can't be read.
pub fn start(directives: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(directives).with_context(|| format!("reading --log {directives:?}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().init()
    } else {
        builder.init()
    }
    Ok(())
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    dialect: String,
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    dialect: String,
    route: String,
}

/// Everything `/metrics` shows.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    gauges: Vec<(&'static str, Gauge<f64, AtomicU64>)>,
}

/// Gauges copied from the service at each scrape: name, help.
const GAUGES: &[(&str, &str)] = &[
    ("logs", "Logs: one for each organisation, and the control log"),
    ("logs_read_only", "Logs that are read-only because something is wrong with them; above 0 needs a person"),
    ("entries_appended", "Entries appended and acknowledged since the start"),
    ("groups", "Group commits since the start"),
    ("signatures", "Checkpoints signed since the start"),
    ("check_mismatches", "Groups dropped because the check before signing failed; above 0 means bad memory or disk"),
    ("duplicates", "Entries not appended again because their id was there already"),
    ("clock_steps_back", "Times the clock stood before the last entry's time"),
    ("refused_full", "Appends refused because too much was waiting"),
    ("pool_bytes", "Bytes waiting to be written"),
    ("commit_files", "Commit files not yet sealed into segments"),
    ("segments", "Sealed segments"),
    ("store_stopped", "1 when the store has stopped taking writes"),
    ("disk_full", "1 when the last write found the disk full"),
    ("logs_unverified", "Logs whose last whole verification was not good; above 0 needs a person"),
    ("organisations", "Organisations"),
    ("accounts", "Accounts"),
    ("index_documents", "Documents in the search index"),
    ("index_lag_entries", "Entries not yet in the search index; they are found by scanning"),
    ("sessions_open", "Recorded sessions that are open"),
    ("own_events_waiting", "Events of the server itself that are not yet written"),
    ("cosignatures", "Cosignatures by witnesses since the start"),
    ("witness_failures", "Calls to witnesses that brought no cosignature since the start"),
    ("witness_alarms", "Logs of which a witness remembers another history; above 0 needs a person"),
    ("own_events_lost", "Events of the server itself that could not be written; above 0 needs a person"),
];

impl Metrics {
    /// An empty registry with all names in place.
    pub fn new() -> Arc<Metrics> {
        let mut registry = Registry::with_prefix("counterfoil");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let seconds = Family::<RouteLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
        });
        registry.register_with_unit("http_request_duration", "Time to answer", Unit::Seconds, seconds.clone());
        let mut gauges = Vec::new();
        for (name, help) in GAUGES {
            let gauge = Gauge::<f64, AtomicU64>::default();
            registry.register(*name, *help, gauge.clone());
            gauges.push((*name, gauge));
        }
        Arc::new(Metrics { registry, requests, seconds, gauges })
    }

    /// Counts one answered request.
    pub fn answered(&self, dialect: &str, method: &str, route: &str, status: u16, seconds: f64) {
        let labels = RequestLabels { dialect: dialect.into(), method: method.into(), route: route.into(), status };
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&RouteLabels { dialect: dialect.into(), route: route.into() }).observe(seconds);
    }

    /// The OpenMetrics text, after setting each gauge that `value` knows.
    pub fn render(&self, value: impl Fn(&str) -> Option<f64>) -> String {
        for (name, gauge) in &self.gauges {
            if let Some(value) = value(name) {
                gauge.set(value);
            }
        }
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_name_each_route_and_end_properly() {
        let metrics = Metrics::new();
        metrics.answered("native", "GET", "/v1/me", 200, 0.001);
        let text = metrics.render(|name| (name == "logs").then_some(3.0));
        assert!(
            text.contains(
                r#"counterfoil_http_requests_total{dialect="native",method="GET",route="/v1/me",status="200"} 1"#
            ),
            "{text}"
        );
        assert!(text.contains("counterfoil_logs 3.0"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
