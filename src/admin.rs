//! `/metrics`, `/healthz`, `/readyz`: for Prometheus, Docker and Kubernetes, on a listener of
//! their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;

use crate::state::Shared;

/// What the admin listener serves.
pub(crate) struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Keys are loaded wherever this runs: without them nothing starts.
    async fn ready(&self) -> (StatusCode, &'static str) {
        if self.shared.drain.has_begun() {
            return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        if !self.shared.log_is_read.load(Ordering::Acquire) {
            return (StatusCode::SERVICE_UNAVAILABLE, "the revocations have not been read\n");
        }
        let (upstream, is_checked) = {
            let state = self.shared.state.load();
            (Arc::clone(&state.upstream), state.config.health_check.is_some())
        };
        if is_checked {
            return match self.shared.health.is_good() {
                true => (StatusCode::OK, "ready\n"),
                false => (StatusCode::SERVICE_UNAVAILABLE, "the backend is not healthy\n"),
            };
        }
        if upstream.is_reachable().await {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the backend cannot be reached\n")
        }
    }
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
