//! Runs the health checks of `[health_check]` for each app; `/readyz` depends on the results.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::{Error, Result};
use pingora_http::RequestHeader;
use tokio::task::JoinHandle;

use crate::config::HealthCheck;
use crate::state::{App, Shared, State};

/// How soon after a reload new checks begin.
const LOOK: Duration = Duration::from_secs(1);

/// Runs forever.
pub(super) async fn watch(shared: Arc<Shared>, options: ConnectorOptions) {
    // Created when needed, because it reads certificates.
    let mut connector = None;
    // A task for each app, so that a slow one does not delay the others.
    let mut tasks: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        tasks.retain(|_, task| !task.is_finished());
        let state = shared.state.load_full();
        for app in state.apps.iter() {
            if state.config.health_check.is_none() {
                app.health.forget();
            } else if !tasks.contains_key(&app.name) {
                let connector = connector
                    .get_or_insert_with(|| Arc::new(Connector::new(Some(options.clone()))));
                let asks = ask_again(Arc::clone(&shared), app.name.clone(), Arc::clone(connector));
                tasks.insert(app.name.clone(), tokio::spawn(asks));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Runs until the configuration no longer has the app or health checks.
async fn ask_again(shared: Arc<Shared>, name: String, connector: Arc<Connector>) {
    let mut failures = 0;
    loop {
        let state = shared.state.load_full();
        let Some((app, check)) = to_ask(&state, &name) else { return };
        let answer = ask(&connector, app, check);
        let result = match tokio::time::timeout(check.timeout, answer).await {
            Ok(Ok(status)) if status < 400 => Ok(()),
            Ok(Ok(status)) => Err(format!("status {status}")),
            Ok(Err(error)) => Err(crate::proxy::cause(&error)),
            Err(_) => Err(format!("no answer within {:?}", check.timeout)),
        };
        match result {
            Ok(()) => {
                failures = 0;
                if app.health.note(true) {
                    log::info!(path = check.path.as_str(), backend = name.as_str(); "the backend is healthy");
                }
            }
            Err(cause) => {
                failures += 1;
                if (failures >= check.failures || !app.health.is_known()) && app.health.note(false)
                {
                    log::error!(
                        path = check.path.as_str(), backend = name.as_str(), cause = cause.as_str();
                        "the backend is not healthy"
                    );
                }
            }
        }
        let interval = check.interval;
        // Release the state before the sleep.
        drop(state);
        tokio::time::sleep(interval).await;
    }
}

fn to_ask<'a>(state: &'a State, name: &str) -> Option<(&'a App, &'a HealthCheck)> {
    let app = state.apps.iter().find(|app| app.name == name)?;
    Some((app, state.config.health_check.as_ref()?))
}

async fn ask(connector: &Connector, app: &App, check: &HealthCheck) -> Result<u16> {
    let peer = app.upstream.peer(0, false).await?;
    let (mut session, _) = connector.get_http_session(&*peer).await?;
    session.read_timeout = Some(check.timeout);
    let mut request = RequestHeader::build("GET", check.path.as_bytes(), Some(3))?;
    request.insert_header("Host", app.backend.authority())?;
    request.insert_header("User-Agent", "cloakroom-health-check")?;
    request.insert_header("Connection", "close")?;
    session.write_request_header(Box::new(request)).await?;
    session.read_response().await?;
    let status = session.get_status().map(|status| status.as_u16());
    session.shutdown().await;
    status.ok_or_else(|| Error::new(pingora_core::ErrorType::InvalidHTTPHeader))
}
