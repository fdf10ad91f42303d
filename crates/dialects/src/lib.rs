//! Wire formats over the service: one folder for each API, one table that lists them.
//!
//! **Promise.** [`router`] answers every request that belongs to a dialect, in that dialect's own shapes, errors
//! included; what belongs to none goes to [`Settings::elsewhere`]. Nothing here redirects, and no request, however made,
//! is answered with a status of 500 or above unless the service itself could not do its work.
//!
//! **Not here.** What an event means, who may do what, what is stored: that is `service`, the only crate below. Sockets,
//! TLS, configuration files, metrics' storage: that is the program.
//!
//! **Limits.** Bodies: [`http::body::EVENTS_BYTES_MAX`] for events, [`http::body::ADMINISTRATION_BYTES_MAX`] and
//! [`http::body::CREDENTIALS_BYTES_MAX`] for the rest, before and after unpacking. Times: [`Settings::body_patience`],
//! [`Settings::answer_patience`].
//!
//! **Adding a dialect.** A folder with `pub const DIALECT: Dialect` in its `mod.rs`, and one word in the table below.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::Method;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use service::{Caller, Event, OrgInfo, Service};
use tower::ServiceExt as _;

#[macro_use]
pub mod http;
pub mod lucene;

use http::address::{AddressBlock, caller_address};
use http::request_id::{self, RequestId, RequestIds};
use http::route::RouteSpec;

macro_rules! dialects {
    ($($name:ident),+ $(,)?) => {
        $(pub mod $name;)+

        /// Every dialect. The server, the goldens, the access tests, the metrics and the command line iterate over it.
        pub const DIALECTS: &[&Dialect] = &[$(&$name::DIALECT),+];
    };
}

// rustfmt does not follow modules declared by a macro: format files in these folders by name (`just fmt`).
dialects! { native, octopai, sps, silo, activid }

/// One API, as the frame sees it.
pub struct Dialect {
    /// Its name: the folder, the metrics' label, the `via` of what comes in through it.
    pub name: &'static str,
    /// Every route it answers.
    pub routes: &'static [RouteSpec],
    /// Whether a request is its own; then it also owns the 404 and the 405. The path has no repeated slashes.
    pub owns: fn(&Method, &str) -> bool,
    /// Builds its router, fallbacks included.
    pub mount: fn(Context) -> Router,
    /// Its way to say that an answer took longer than [`Settings::answer_patience`].
    pub too_late: fn(&RequestId) -> Response,
    /// Whether a request may take longer than [`Settings::answer_patience`], because it takes as long as its body comes.
    pub is_unhurried: fn(&Method, &str) -> bool,
    /// How it shows one event.
    pub view: fn(&Context, &OrgInfo, &Event) -> View,
}

/// How an API shows one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// As JSON: what a client of that API reads.
    Shown {
        /// The JSON text.
        json: String,
        /// What has to be said of it, if it does not stand in the replies in just this form.
        note: Option<&'static str>,
    },
    /// Not at all, and why.
    Hidden(&'static str),
}

/// What every handler gets.
#[derive(Clone)]
pub struct Context {
    /// The only door to the trail.
    pub service: Service,
    /// How this server was configured.
    pub settings: Arc<Settings>,
}

/// What the program decides about the surfaces.
pub struct Settings {
    /// Proxies whose `X-Forwarded-For` is believed. Default: none.
    pub trusted_proxies: Vec<AddressBlock>,
    /// Start of the request ids made here; should differ at each start of the program.
    pub request_id_prefix: String,
    /// How long a request body may take to arrive.
    pub body_patience: Duration,
    /// How long an answer may take to begin, body included; then it is *Unavailable* and may or may not have been done.
    pub answer_patience: Duration,
    /// Seconds between the comments that keep an idle stream of events open.
    pub heartbeat: Duration,
    /// Turns true when the server wants to stop: open streams then end, so that it can.
    pub closing: tokio::sync::watch::Receiver<bool>,
    /// Told of every answer, for metrics; called on the request's task, so it must be quick.
    pub watcher: Option<Watcher>,
    /// Answers what belongs to no dialect: health, metrics, console. Default: 404 with an empty body.
    pub elsewhere: Router,
    /// How the server is set, for administrators to see. Default: nothing is told.
    pub server: native::server::Settings,
    /// Settings of the Octopai dialect.
    pub octopai: octopai::Settings,
    /// Settings of the SPS dialect.
    pub sps: sps::Settings,
}

impl Default for Settings {
    fn default() -> Settings {
        // A receiver whose sender is gone keeps its last value: false, never closing.
        let (_, closing) = tokio::sync::watch::channel(false);
        Settings {
            trusted_proxies: Vec::new(),
            request_id_prefix: "r-".to_owned(),
            body_patience: Duration::from_secs(60),
            answer_patience: Duration::from_secs(120),
            heartbeat: Duration::from_secs(15),
            closing,
            watcher: None,
            elsewhere: Router::new(),
            server: native::server::Settings::default(),
            octopai: octopai::Settings::default(),
            sps: sps::Settings::default(),
        }
    }
}

/// A function that is told of every answer.
pub type Watcher = Arc<dyn Fn(&Answered<'_>) + Send + Sync>;

/// One answered request, in words that are few enough for metrics' labels.
#[derive(Debug)]
pub struct Answered<'a> {
    /// The dialect, or `elsewhere`.
    pub dialect: &'static str,
    /// The method, or `other` for one that is in no table.
    pub method: &'static str,
    /// The path of the table's row, or `unmatched`; never what the caller wrote.
    pub route: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// From the request's head to the answer's head.
    pub seconds: f64,
    /// The request's id, for logs; not for labels.
    pub request_id: &'a str,
}

/// All dialects over `service`, as one router without state.
///
/// The caller's address is read from the request extension `axum::extract::ConnectInfo<SocketAddr>`; whoever accepts the
/// connection must put it there (`into_make_service_with_connect_info` does), or the address is unknown.
pub fn router(service: Service, settings: Settings) -> Router {
    let ids = RequestIds::new(&settings.request_id_prefix);
    let context = Context { service, settings: Arc::new(settings) };
    let mounted = DIALECTS.iter().map(|dialect| (*dialect, (dialect.mount)(context.clone()))).collect();
    Router::new().fallback(answer).with_state(Arc::new(Front { context, ids, mounted }))
}

struct Front {
    context: Context,
    ids: RequestIds,
    mounted: Vec<(&'static Dialect, Router)>,
}

async fn answer(State(front): State<Arc<Front>>, request: Request) -> Response {
    let started = Instant::now();
    let settings = &front.context.settings;
    let (mut parts, body) = request.into_parts();
    let id = front.ids.take(&parts.headers);
    let address = caller_address(&parts, &settings.trusted_proxies);
    let user_agent = parts.headers.get(::http::header::USER_AGENT);
    let user_agent = user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    parts.extensions.insert(id.clone());
    let mut request = Request::from_parts(parts, body);
    if let Some(path) = http::path::collapsed(request.uri().path()) {
        http::path::set_path(&mut request, &path);
    }

    let owner = front.mounted.iter().find(|(dialect, _)| (dialect.owns)(request.method(), request.uri().path()));
    let dialect = owner.map_or(ELSEWHERE, |(dialect, _)| dialect.name);
    let method = known_method(request.method());
    request.extensions_mut().insert(Caller { address, dialect, user_agent });
    let mut response = match owner {
        Some((dialect, router)) => {
            let is_unhurried = (dialect.is_unhurried)(request.method(), request.uri().path());
            let answer = router.clone().oneshot(request);
            if is_unhurried {
                infallible(answer.await)
            } else {
                match tokio::time::timeout(settings.answer_patience, answer).await {
                    Ok(answered) => infallible(answered),
                    Err(_) => (dialect.too_late)(&id),
                }
            }
        }
        // No deadline: what the program serves itself knows its own.
        None => infallible(settings.elsewhere.clone().oneshot(request).await),
    };

    response.headers_mut().insert(request_id::HEADER, id.header());
    let route = response.extensions().get::<&'static RouteSpec>().map_or("unmatched", |spec| spec.path);
    let answered = Answered {
        dialect,
        method,
        route,
        status: response.status().as_u16(),
        seconds: started.elapsed().as_secs_f64(),
        request_id: id.as_str(),
    };
    tracing::debug!(?answered, "answered");
    if let Some(watcher) = &settings.watcher {
        watcher(&answered);
    }
    response
}

/// The name under which requests are counted that belong to no dialect.
pub const ELSEWHERE: &str = "elsewhere";

fn infallible(answered: Result<Response, Infallible>) -> Response {
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or("other")
}
