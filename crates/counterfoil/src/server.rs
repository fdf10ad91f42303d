//! Listeners: one router behind plain and TLS sockets, bounded connections, clean shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// How long a client may take over its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take over the header of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// What may change while a listener runs.
pub type TlsConfig = watch::Receiver<Arc<ServerConfig>>;

/// A bound socket and how to speak on it.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsConfig>,
}

impl Listener {
    /// Binds `address`; with `tls`, connections are TLS.
    pub async fn bind(address: SocketAddr, tls: Option<TlsConfig>) -> anyhow::Result<Listener> {
        let socket = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        Ok(Listener { socket, tls })
    }

    /// `http://ADDR` or `https://ADDR`, with the port really bound.
    pub fn url(&self) -> anyhow::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.socket.local_addr().context("asking for the bound address")?))
    }
}

/// Serves `router` on every listener until `stop` turns true, then lets running requests finish for `grace`.
///
/// At most `connections_max` connections are served at once over all listeners; further ones wait in the kernel's queue.
pub async fn run(
    listeners: Vec<Listener>,
    router: Router,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let graceful = Arc::new(GracefulShutdown::new());
    let mut accepting = Vec::new();
    for listener in listeners {
        accepting.push(tokio::spawn(accept(listener, router.clone(), places.clone(), graceful.clone(), stop.clone())));
    }
    stopped(&mut stop).await;
    for task in accepting {
        let _ = task.await;
    }
    let Ok(graceful) = Arc::try_unwrap(graceful) else {
        tracing::warn!("a listener did not give up its connections; not waiting for them");
        return;
    };
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(grace_s = grace.as_secs(), "requests still running after the grace period were cut off");
    }
}

async fn accept(
    listener: Listener,
    router: Router,
    places: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                // Out of file descriptors, or a connection that died in the queue: wait a little, keep listening.
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let tls = listener.tls.as_ref().map(|config| config.borrow().clone());
        let router = router.clone();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            match tls {
                None => serve(stream, peer, false, router, watcher).await,
                Some(config) => handshake(stream, peer, config, router, watcher).await,
            }
        });
    }
}

/// Ends when `stop` turns true or its sender is gone; both mean stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

async fn handshake(
    stream: TcpStream,
    peer: SocketAddr,
    config: Arc<ServerConfig>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, peer, true, router, watcher).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    over_tls: bool,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        if over_tls {
            request.extensions_mut().insert(dialects::http::OverTls);
        }
        router.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEADER_TIMEOUT));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "connection ended early");
    }
}
