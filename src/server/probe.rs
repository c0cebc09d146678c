//! Asks the backend how it is, again and again, where `[health_check]` says so; `/readyz` answers
//! accordingly.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::{Error, Result};
use pingora_http::RequestHeader;

use crate::config::{Config, HealthCheck};
use crate::state::Shared;

/// How long after a reload it is noticed that there is something to ask.
const LOOK: Duration = Duration::from_secs(1);

/// For ever.
pub(super) async fn watch(shared: Arc<Shared>, options: ConnectorOptions) {
    // Certificates are read when there is somebody to verify.
    let mut connector = None;
    let mut failures = 0;
    loop {
        let state = shared.state.load_full();
        let Some(check) = &state.config.health_check else {
            shared.health.forget();
            shared.metrics.backend_healthy.set(1);
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let connector = connector.get_or_insert_with(|| Connector::new(Some(options.clone())));
        let answer = ask(connector, &shared, &state.config, check);
        let result = match tokio::time::timeout(check.timeout, answer).await {
            Ok(Ok(status)) if status < 400 => Ok(()),
            Ok(Ok(status)) => Err(format!("status {status}")),
            Ok(Err(error)) => Err(crate::proxy::cause(&error)),
            Err(_) => Err(format!("no answer within {:?}", check.timeout)),
        };
        match result {
            Ok(()) => {
                failures = 0;
                if shared.health.note(true) {
                    log::info!(path = check.path.as_str(); "the backend is healthy");
                }
                shared.metrics.backend_healthy.set(1);
            }
            Err(cause) => {
                failures += 1;
                if failures >= check.failures || !shared.health.is_known() {
                    if shared.health.note(false) {
                        log::error!(path = check.path.as_str(), cause = cause.as_str(); "the backend is not healthy");
                    }
                    shared.metrics.backend_healthy.set(0);
                }
            }
        }
        tokio::time::sleep(check.interval).await;
    }
}

async fn ask(
    connector: &Connector,
    shared: &Shared,
    config: &Config,
    check: &HealthCheck,
) -> Result<u16> {
    let upstream = Arc::clone(&shared.state.load().upstream);
    let peer = upstream.peer(0, false).await?;
    let (mut session, _) = connector.get_http_session(&*peer).await?;
    session.read_timeout = Some(check.timeout);
    let mut request = RequestHeader::build("GET", check.path.as_bytes(), Some(3))?;
    request.insert_header("Host", config.backend.authority())?;
    request.insert_header("User-Agent", "cloakroom-health-check")?;
    request.insert_header("Connection", "close")?;
    session.write_request_header(Box::new(request)).await?;
    session.read_response().await?;
    let status = session.get_status().map(|status| status.as_u16());
    session.shutdown().await;
    status.ok_or_else(|| Error::new(pingora_core::ErrorType::InvalidHTTPHeader))
}
