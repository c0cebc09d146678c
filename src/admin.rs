//! The admin listener: `/metrics`, `/healthz` and `/readyz` for Prometheus, Docker and Kubernetes;
//! with the token, also the sessions in the store and an explanation of cookies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Method, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;

use crate::state::{App, Apps, Shared};

mod answer;
mod inspector;
mod listening;
mod page;
mod query;
mod rebinding;
mod sessions;

use answer::{PLAIN, answer, refusal, unauthorized};
pub(crate) use listening::Listening;

/// The handler of the admin listener.
pub(crate) struct Admin {
    shared: Arc<Shared>,
    listening: Listening,
}

/// Requests that need the token.
enum Guarded {
    /// The path after `/sessions`.
    Sessions(String),
    Inspector,
    /// An unknown path. Without the token it is not distinguishable from others.
    Nothing,
}

impl Guarded {
    fn of(path: &str) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/sessions")
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return Some(Self::Sessions(rest.to_owned()));
        }
        match path {
            "/tokens/explain" => Some(Self::Inspector),
            _ if path.starts_with("/tokens/") => Some(Self::Nothing),
            _ => None,
        }
    }

    const fn most_body_bytes(&self) -> usize {
        match self {
            Self::Sessions(_) => sessions::MOST_BODY_BYTES,
            Self::Inspector => inspector::MOST_BODY_BYTES,
            Self::Nothing => 0,
        }
    }
}

impl Admin {
    pub(crate) fn new(shared: Arc<Shared>, listening: Listening) -> Self {
        Self { shared, listening }
    }

    /// Keys are always loaded here; without them the process does not start.
    async fn ready(&self) -> (StatusCode, String) {
        if self.shared.drain.has_begun() {
            return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into());
        }
        if self.shared.store.as_ref().is_some_and(|store| !store.has_been_reached()) {
            let text = "the session store has not been reached\n";
            return (StatusCode::SERVICE_UNAVAILABLE, text.into());
        }
        if !self.shared.log_is_read.load(Ordering::Acquire) {
            let text = "the revocations have not been read\n";
            return (StatusCode::SERVICE_UNAVAILABLE, text.into());
        }
        let state = self.shared.state.load_full();
        let (away, what) = match &state.config.health_check {
            Some(_) => {
                let ill = state.apps.iter().filter(|app| !app.health.is_good());
                (names(ill), "is not healthy")
            }
            None => (unreachable(&state.apps).await, "cannot be reached"),
        };
        match &away[..] {
            [] => (StatusCode::OK, "ready\n".into()),
            away => {
                let away = away.join(", ");
                (StatusCode::SERVICE_UNAVAILABLE, format!("the backend {what}: {away}\n"))
            }
        }
    }

    async fn open(&self, method: &Method, path: &str) -> Response<Vec<u8>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return answer(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET and HEAD only\n");
        }
        match path {
            "/metrics" => {
                answer(StatusCode::OK, prometheus::TEXT_FORMAT, self.shared.render_metrics())
            }
            "/" => {
                let (status, text) = self.ready().await;
                page::page(&self.shared, &self.listening, status == StatusCode::OK, &text)
            }
            "/healthz" => answer(StatusCode::OK, PLAIN, "alive\n"),
            "/readyz" => {
                let (status, text) = self.ready().await;
                answer(status, PLAIN, text)
            }
            _ => page::file(path).unwrap_or_else(nowhere),
        }
    }

    async fn guarded(
        &self,
        guarded: Guarded,
        method: &Method,
        query: Option<&str>,
        session: &mut ServerSession,
    ) -> Response<Vec<u8>> {
        let Some(token) = self.shared.state.load().admin_token else { return nowhere() };
        if !shown(session.req_header()).is_some_and(|shown| token.is(shown)) {
            return unauthorized();
        }
        let body = match read_body(session, guarded.most_body_bytes()).await {
            Ok(body) => body,
            Err(refused) => {
                session.set_keepalive(None);
                return refused;
            }
        };
        match guarded {
            Guarded::Sessions(rest) => {
                sessions::answer(&self.shared, method, &rest, query, &body).await
            }
            Guarded::Inspector => inspector::answer(&self.shared, method, &body).await,
            Guarded::Nothing => refusal(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }
}

fn names<'a>(apps: impl Iterator<Item = &'a App>) -> Vec<String> {
    apps.map(|app| app.name.clone()).collect()
}

/// The apps that accept no connections now; all are tried at the same time.
async fn unreachable(apps: &Apps) -> Vec<String> {
    let asked: Vec<_> = apps
        .iter()
        .map(|app| {
            let upstream = Arc::clone(&app.upstream);
            (app, tokio::spawn(async move { upstream.is_reachable().await }))
        })
        .collect();
    let mut away = Vec::new();
    for (app, is_reachable) in asked {
        if !is_reachable.await.unwrap_or(false) {
            away.push(app.name.clone());
        }
    }
    away
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        if rebinding::is_suspected(request) {
            return answer(StatusCode::MISDIRECTED_REQUEST, PLAIN, rebinding::REFUSAL);
        }
        let method = request.method.clone();
        // No known path contains invalid UTF-8.
        let Ok(target) = String::from_utf8(request.raw_path().to_vec()) else { return nowhere() };
        let path = crate::routes::path_of(target.as_bytes());
        let path = std::str::from_utf8(path).unwrap_or_default();
        match Guarded::of(path) {
            Some(guarded) => {
                let query = target.split_once('?').map(|(_, query)| query);
                self.guarded(guarded, &method, query, session).await
            }
            None => self.open(&method, path).await,
        }
    }
}

fn nowhere() -> Response<Vec<u8>> {
    answer(StatusCode::NOT_FOUND, PLAIN, "/, /metrics, /healthz or /readyz\n")
}

/// The token of a request, which must be sent exactly once.
fn shown(request: &RequestHeader) -> Option<&[u8]> {
    let mut fields = request.headers.get_all(AUTHORIZATION).iter();
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let (scheme, token) = field.as_bytes().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
}

const BEARER: &[u8] = b"Bearer ";

/// The time limit for a body; they are small.
const PATIENCE: Duration = Duration::from_secs(10);

async fn read_body(session: &mut ServerSession, most: usize) -> Result<Vec<u8>, Response<Vec<u8>>> {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = session.read_request_body().await {
            if piece.len() > most - body.len() {
                return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(read) => read.map(|()| body),
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}
