//! The proxy and the other services of pingora, on sockets that are already bound.

use std::sync::Arc;

use parking_lot::Mutex;
use pingora_core::apps::HttpServerOptions;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::listening::Service;
use pingora_proxy::HttpProxy;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cannot_start::CannotStart;
use super::connection::Connections;
use super::listener::Bound;
use crate::exchange::Exchange;
use crate::proxy::Proxy;
use crate::session::cookie::Transport;
use crate::state::Shared;

/// Which carrier handles HTTP/1.1 requests, set by the environment so that both can be tested.
/// pingora carries what the exchange does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Pingora,
    Exchange,
}

impl Carrier {
    const VARIABLE: &str = "CLOAKROOM_CARRIER";

    /// # Errors
    /// The variable has another value.
    pub(super) fn chosen() -> Result<Self, CannotStart> {
        let variable = Self::VARIABLE;
        match std::env::var_os(variable) {
            None => Ok(Self::Exchange),
            Some(value) if value == "pingora" => Ok(Self::Pingora),
            Some(value) if value == "exchange" => Ok(Self::Exchange),
            Some(value) => {
                let value = value.to_string_lossy().into_owned();
                Err(CannotStart::Carrier { variable, value })
            }
        }
    }
}

/// The proxy as two pingora services, one for plain listeners and one for TLS.
pub(super) fn start_proxies(
    shared: &Arc<Shared>,
    (conf, carrier): (&Arc<ServerConf>, Carrier),
    listeners: &[(Bound, Transport)],
    stops: &watch::Receiver<bool>,
    workers: &Handle,
) -> Vec<JoinHandle<()>> {
    let proxy = Arc::new(proxy(shared, conf));
    let exchange = (carrier == Carrier::Exchange).then(|| {
        let options = ConnectorOptions::from_server_conf(conf);
        Arc::new(Exchange::new(shared, options))
    });
    let serve = |transport| {
        let bound: Vec<&Bound> =
            listeners.iter().filter(|(_, its)| *its == transport).map(|(bound, _)| bound).collect();
        (!bound.is_empty()).then(|| {
            let app = Connections::new(
                (Arc::clone(&proxy), exchange.clone()),
                Arc::clone(shared),
                transport,
            );
            let mut service = Service::new("proxy".into(), app);
            for bound in &bound {
                bound.add_to(&mut service);
            }
            start(Box::new(service), &bound, stops, workers)
        })
    };
    [Transport::Clear, Transport::Tls].into_iter().filter_map(serve).collect()
}

fn proxy(shared: &Arc<Shared>, conf: &Arc<ServerConf>) -> HttpProxy<Proxy> {
    let mut proxy = pingora_proxy::http_proxy(conf, Proxy(Arc::clone(shared)));
    let mut options = HttpServerOptions::default();
    // Still refused, but by the sidecar, so that it is stripped, counted and logged like others.
    options.allow_connect_method_proxying = true;
    proxy.server_options = Some(options);
    proxy
}

/// Runs a service and its tasks on a runtime until `stops` is set.
pub(super) fn start(
    mut service: Box<dyn pingora_core::services::Service + Send>,
    listeners: &[&Bound],
    stops: &watch::Receiver<bool>,
    runtime: &Handle,
) -> JoinHandle<()> {
    let mut fds = Fds::new();
    for bound in listeners {
        fds.add(bound.key.clone(), bound.fd);
    }
    let fds: ListenFds = Arc::new(Mutex::new(fds));
    let stops = stops.clone();
    runtime.spawn(async move { service.start_service(Some(fds), stops, 1).await })
}
