//! `/metrics`, `/healthz`, `/readyz`: for Prometheus, Docker and Kubernetes, on a listener of
//! their own.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;

use crate::state::{App, Apps, Shared};

/// What the admin listener serves.
pub(crate) struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Keys are loaded wherever this runs: without them nothing starts.
    async fn ready(&self) -> (StatusCode, String) {
        if self.shared.drain.has_begun() {
            return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into());
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
}

fn names<'a>(apps: impl Iterator<Item = &'a App>) -> Vec<String> {
    apps.map(|app| app.name.clone()).collect()
}

/// Those that take no connections now; all are asked at once.
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
        const PLAIN: &str = "text/plain; charset=utf-8";
        let request = session.req_header();
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return answer(StatusCode::METHOD_NOT_ALLOWED, PLAIN, b"GET and HEAD only\n".to_vec());
        }
        match crate::routes::path_of(request.raw_path()) {
            b"/metrics" => {
                answer(StatusCode::OK, prometheus::TEXT_FORMAT, self.shared.render_metrics())
            }
            b"/healthz" => answer(StatusCode::OK, PLAIN, b"alive\n".to_vec()),
            b"/readyz" => {
                let (status, text) = self.ready().await;
                answer(status, PLAIN, text.as_bytes().to_vec())
            }
            _ => answer(StatusCode::NOT_FOUND, PLAIN, b"/metrics, /healthz or /readyz\n".to_vec()),
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
