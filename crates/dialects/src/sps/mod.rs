//! One Identity SPS session audit: sessions, what was on their screens, pictures of them. The wire is SPEC.md's.

mod body;
mod call;
mod content;
mod error;
mod filter;
mod idle;
mod info;
mod login;
mod message;
mod parameters;
mod parts;
mod screenshots;
mod sessions;
mod snapshots;
mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::{HeaderValue, Method, header};
use service::{Caller, Verb};

use crate::http::path::{self, is_under};
use crate::http::route::Needs;
use crate::{Context, Dialect, View};
use call::Call;
use error::Failure;
use idle::Idle;
use snapshots::Snapshots;

/// The dialect, for the table.
pub const DIALECT: Dialect = Dialect {
    name: NAME,
    routes: ROUTES,
    owns,
    mount,
    too_late: |_| Failure::too_late().reply("/api", None),
    is_unhurried: |_, _| false,
    view: |_, _, _| View::Hidden("this API shows sessions and users, not single events"),
};

const NAME: &str = "sps";

/// What an operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a session of a client may be idle.
    pub idle_timeout: Duration,
    /// What this node is in a cluster.
    pub role: SearchRole,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { idle_timeout: Duration::from_secs(1_200), role: SearchRole::Local }
    }
}

/// Which node of a cluster answers which questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchRole {
    /// Keeps and searches its own.
    #[default]
    Local,
    /// Sends its own to the master, and lists none.
    Minion,
    /// Searches those of all minions.
    Master,
}

impl SearchRole {
    /// The vendor's word.
    pub fn as_str(self) -> &'static str {
        match self {
            SearchRole::Local => "search-local",
            SearchRole::Minion => "search-minion",
            SearchRole::Master => "search-master",
        }
    }
}

impl std::str::FromStr for SearchRole {
    type Err = String;

    fn from_str(text: &str) -> Result<SearchRole, String> {
        let roles = [SearchRole::Local, SearchRole::Minion, SearchRole::Master];
        let known = roles.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is none of search-local, search-minion, search-master"))
    }
}

routes! {
    /// Where one can go from here.
    GET "/api" => entries, Needs::Verb(Verb::ViewSessions);
    /// The same, below audit.
    GET "/api/audit" => entries, Needs::Verb(Verb::ViewSessions);
    /// What this node is; more of it to somebody who is logged in.
    GET "/api/info" => about, Needs::Nothing;
    /// Log in with a name and a password, for a cookie.
    GET "/api/authentication" => login::log_in, Needs::Nothing;
    /// Log out.
    DELETE "/api/authentication" => login::log_out, Needs::Verb(Verb::ViewSessions);
    /// How one can log in.
    GET "/api/authentication/login_methods" => login::login_methods, Needs::Nothing;
    /// The same, for older clients.
    GET "/api/authentication/types" => login::types, Needs::Nothing;
    /// Search sessions by their properties, and by what was on their screens.
    GET "/api/audit/sessions" => all, Needs::Verb(Verb::ViewSessions);
    /// Open a snapshot of the list of sessions.
    GET "/api/audit/sessions/_snapshot" => snapshot, Needs::Verb(Verb::ViewSessions);
    /// How many sessions match.
    GET "/api/audit/sessions/_count" => count, Needs::Verb(Verb::ViewSessions);
    /// How often each value of a field occurs.
    GET "/api/audit/sessions/stats" => stats, Needs::Verb(Verb::ViewSessions);
    /// Sessions for each unit of time.
    GET "/api/audit/sessions/histogram" => histogram, Needs::Verb(Verb::ViewSessions);
    /// One session.
    GET "/api/audit/sessions/{id}" => one, Needs::Verb(Verb::ViewSessions);
    /// Its channels.
    GET "/api/audit/sessions/{id}/channels" => channels, Needs::Verb(Verb::ViewSessions);
    /// The commands that were run in it.
    GET "/api/audit/sessions/{id}/events" => events, Needs::Verb(Verb::ViewSessions);
    /// Its alerts.
    GET "/api/audit/sessions/{id}/alerts" => alerts, Needs::Verb(Verb::ViewSessions);
    /// The state of its index.
    GET "/api/audit/sessions/{id}/indexing" => indexing, Needs::Verb(Verb::ViewSessions);
    /// Who fetched the recording, and from where.
    GET "/api/audit/sessions/{id}/trail_downloads" => trail_downloads, Needs::Verb(Verb::ViewSessions);
    /// The recording.
    GET "/api/audit/sessions/{id}/audit_trail" => audit_trail, Needs::Verb(Verb::ViewSessions);
    /// Search what was on its screen, in Lucene syntax.
    GET "/api/audit/sessions/{id}/content" => search_content, Needs::Verb(Verb::ViewSessions);
    /// Draw screens.
    POST "/api/audit/sessions/{id}/_generate" => generate, Needs::Verb(Verb::ViewSessions);
    /// Which screens are drawn.
    GET "/api/audit/sessions/{id}/screenshots" => screenshots, Needs::Verb(Verb::ViewSessions);
    /// The picture of a screen.
    GET "/api/audit/sessions/{id}/screenshots/{record}" => screenshot, Needs::Verb(Verb::ViewSessions);
    /// Audited users.
    GET "/api/audit/users" => list_users, Needs::Verb(Verb::ViewSessions);
    /// How many there are.
    GET "/api/audit/users/_count" => count_users, Needs::Verb(Verb::ViewSessions);
    /// One of them, with the baselines.
    GET "/api/audit/users/{user}" => one_user, Needs::Verb(Verb::ViewSessions);
    /// A fixed answer that the vendor's own test suites ask for.
    GET "/api/firmware/slots" => firmware_slots, Needs::Verb(Verb::ViewSessions);
    /// The same.
    GET "/api/configuration/management/email" => email, Needs::Verb(Verb::ViewSessions);
}

fn owns(method: &Method, path: &str) -> bool {
    let roots = ["/api/authentication", "/api/audit", "/api/info", "/api/firmware", "/api/configuration"];
    let entry = ["/api", "/api/"].contains(&path) && [Method::GET, Method::HEAD].contains(method);
    entry || roots.iter().any(|root| is_under(path, root))
}

fn mount(context: Context) -> Router {
    let idle = Arc::new(Idle::new(context.settings.sps.idle_timeout));
    let inner = mounted(Router::new(), str::to_owned)
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(idle))
        .layer(Extension(Arc::new(Snapshots::default())))
        .layer(Extension(Arc::new(screenshots::Drawn::default())))
        .layer(from_fn(dressed))
        .with_state(context);
    path::without_trailing_slash(inner)
}

/// The headers that every reply has.
async fn dressed(request: Request, next: Next) -> Response {
    let allow = allowed(request.uri().path());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    if let Some(allow) = allow {
        headers.insert(header::ALLOW, allow);
    }
    response
}

/// The methods that the resource at a path takes.
fn allowed(path: &str) -> Option<HeaderValue> {
    let fits = |pattern: &str| {
        let (mut parts, mut wanted) = (path.split('/'), pattern.split('/'));
        let is_same =
            parts.by_ref().zip(wanted.by_ref()).all(|(part, wanted)| wanted.starts_with('{') || part == wanted);
        is_same && path.split('/').count() == pattern.split('/').count()
    };
    // A fixed name wins over a name that varies, as it does when the path is matched.
    let rows = || ROUTES.iter().filter(|row| fits(row.path));
    let fixed = rows().map(|row| row.path).min_by_key(|path| path.matches('{').count())?;
    let mut methods: Vec<&str> = Vec::new();
    for row in rows().filter(|row| row.path == fixed) {
        methods.push(row.method);
        if row.method == "GET" {
            methods.push("HEAD");
        }
    }
    HeaderValue::try_from(methods.join(", ")).ok()
}

async fn unknown_path(request: Request) -> Response {
    Failure::not_found("there is no such resource").reply(request.uri().path(), None)
}

async fn wrong_method(request: Request) -> Response {
    Failure::wrong_method(request.method().as_str()).reply(request.uri().path(), None)
}

/// Work that reads from disk, where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "sps: an answer was not made");
        Err(Failure::internal())
    })
}

async fn about(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Extension(idle): Extension<Arc<Idle>>,
    request: Request,
) -> Response {
    // Whoever shows a session that does not hold is told as little as whoever shows none.
    let call = match call::shows_session(request.headers()) {
        true => Call::admit(&context, &idle, &caller, &request, None).ok(),
        false => None,
    };
    info::info(&context.service, &context.settings.sps, call.as_ref())
}

async fn entries(call: Call) -> Response {
    call.answer(info::entries(&call))
}

async fn firmware_slots(call: Call) -> Response {
    call.answer(info::firmware_slots(&call))
}

async fn email(call: Call) -> Response {
    call.answer(info::email(&call))
}

async fn all(State(context): State<Context>, Extension(snapshots): Extension<Arc<Snapshots>>, call: Call) -> Response {
    if context.settings.sps.role == SearchRole::Minion {
        return call.answer(sessions::none(&call));
    }
    let (service, asking) = (context.service.clone(), call.clone());
    call.answer(blocking(move || sessions::all(&service, &asking, &snapshots)).await)
}

async fn snapshot(
    State(context): State<Context>,
    Extension(snapshots): Extension<Arc<Snapshots>>,
    call: Call,
) -> Response {
    call.answer(sessions::snapshot(&context.service, &call, &snapshots))
}

/// A handler for a part of a session that reads from disk.
macro_rules! reads {
    ($($name:ident => $work:path),+ $(,)?) => {
        $(async fn $name(State(context): State<Context>, call: Call) -> Response {
            let (service, asking) = (context.service.clone(), call.clone());
            call.answer(blocking(move || $work(&service, &asking)).await)
        })+
    };
}

reads! {
    count => sessions::count,
    stats => sessions::stats,
    histogram => sessions::histogram,
    one => sessions::one,
    channels => parts::channels,
    alerts => parts::alerts,
    trail_downloads => parts::trail_downloads,
    events => content::events,
    indexing => content::indexing,
}

/// A handler about users, which a node of the wrong role refuses.
macro_rules! of_users {
    ($($name:ident => $work:path),+ $(,)?) => {
        $(async fn $name(State(context): State<Context>, call: Call) -> Response {
            let (service, asking, role) = (context.service.clone(), call.clone(), context.settings.sps.role);
            call.answer(blocking(move || $work(&service, &asking, role)).await)
        })+
    };
}

of_users! {
    list_users => users::list,
    count_users => users::count,
    one_user => users::one,
}

async fn audit_trail(State(context): State<Context>, call: Call) -> Response {
    call.answer(parts::audit_trail(&context.service, &call).await)
}

async fn search_content(State(context): State<Context>, call: Call) -> Response {
    call.answer(content::search(&context.service, &call).await)
}

async fn generate(
    State(context): State<Context>,
    Extension(drawn): Extension<Arc<screenshots::Drawn>>,
    call: Call,
) -> Response {
    call.answer(screenshots::generate(&context.service, &call, &drawn).await)
}

async fn screenshots(
    State(context): State<Context>,
    Extension(drawn): Extension<Arc<screenshots::Drawn>>,
    call: Call,
) -> Response {
    let (service, asking) = (context.service.clone(), call.clone());
    call.answer(blocking(move || screenshots::list_of(&service, &asking, &drawn)).await)
}

async fn screenshot(
    State(context): State<Context>,
    Extension(drawn): Extension<Arc<screenshots::Drawn>>,
    call: Call,
) -> Response {
    call.answer(screenshots::one(&context.service, &call, &drawn).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_paths_are_its_own_and_the_other_dialects_keep_theirs() {
        for path in ["/api/authentication", "/api/audit/sessions/x/content/", "/api/info", "/api", "/api/"] {
            assert!(owns(&Method::GET, path), "{path}");
        }
        for (method, path) in [(Method::POST, "/api"), (Method::POST, "/api/"), (Method::GET, "/api/UserAccount/Login")]
        {
            assert!(!owns(&method, path), "{path}");
        }
    }

    #[test]
    fn what_a_resource_takes_is_said_of_the_one_that_answers() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(allowed(path).as_ref().and_then(|value| value.to_str().ok()), expected, "{path}");
        };
        check("/api/authentication", Some("GET, HEAD, DELETE"));
        check("/api/audit/sessions/_count", Some("GET, HEAD"));
        check("/api/audit/sessions/abc", Some("GET, HEAD"));
        check("/api/audit/sessions/abc/_generate", Some("POST"));
        check("/api/audit/nothing", None);
    }
}
