//! `witness`: makes one, or is one until told to stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use log::{SystemClock, SystemEntropy};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli;
use crate::output;
use crate::server::{self, Listener};
use crate::witness::settings::Settings;
use crate::witness::{router, state};

/// Connections served at once.
const CONNECTIONS_MAX: usize = 256;
/// How long running requests may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// `counterfoil witness`
pub fn run(args: &cli::Witness, settings: Option<&Path>) -> anyhow::Result<()> {
    let Some(settings) = settings else {
        return Err(output::usage("a witness needs its settings: --config FILE"));
    };
    let settings = Settings::read(settings)?;
    if args.init {
        println!("{}", state::init(&settings, &SystemEntropy)?);
        return Ok(());
    }
    let witness = state::Witness::open(&settings, Arc::new(SystemClock))?;
    let vkey = witness.vkey();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let signals = tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.send_replace(true);
        });
        let listener = Listener::bind(settings.listen, None).await?;
        println!("ready {}", listener.url()?);
        tracing::info!(vkey, "witnessing");
        server::run(vec![listener], router(witness), CONNECTIONS_MAX, stopped, GRACE).await;
        signals.abort();
        Ok(())
    })
}
