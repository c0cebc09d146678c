//! The composition root: configuration and keys in, listeners out. The only one who knows
//! everybody.
//!
//! pingora's services run on a runtime of our own and not in its `Server`, whose shutdown sleeps
//! for a fixed time: here the process ends when the last connection does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora_core::apps::HttpServerOptions;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::v2::server::default_h2_options;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::listening::Service;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::clock;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::keys::reload::Watch;
use crate::metrics::Metrics;
use crate::proxy::upstream::Upstream;
use crate::proxy::{MAX_ATTEMPTS, Proxy, Shared, State};
use crate::session::recent::RecentWrites;

mod connection;
mod head;
mod listener;
mod reload;

use connection::Connections;
use listener::Bound;
pub use reload::Origin;

/// How often a drain looks whether the last connection has ended.
const DRAIN_STEP: Duration = Duration::from_millis(5);

/// Listeners that are bound, and all that is needed to serve them.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<Bound>,
    admin: Option<Bound>,
    apps: Vec<(Bound, AppService)>,
    origin: Option<(Origin, Watch)>,
}

/// Makes the service of an app of our own, once there is a runtime.
type AppService = Box<dyn FnOnce(&Bound) -> Box<dyn pingora_core::services::Service + Send> + Send>;

impl Server {
    /// Binds every listener.
    ///
    /// # Errors
    /// Which address could not be bound, and why.
    pub fn bind(config: Config, keys: KeyRing) -> Result<Self, String> {
        if config.backend.is_tls() {
            check_certificates()?;
        }
        let listeners = config.listen.iter().map(Bound::bind).collect::<Result<Vec<_>, _>>()?;
        let admin = config.admin.as_ref().map(Bound::bind).transpose()?;
        let metrics = Metrics::new().map_err(|error| format!("cannot set up metrics: {error}"))?;
        metrics.loaded(clock::now());
        let state = State {
            key_uses: metrics.key_uses(&keys),
            upstream: Arc::new(Upstream::new(config.backend.clone(), &config.timeouts)),
            keys,
            config,
        };
        let shared = Arc::new(Shared {
            state: ArcSwap::from_pointee(state),
            metrics,
            recent: Mutex::new(RecentWrites::default()),
        });
        Ok(Self { shared, listeners, admin, apps: Vec::new(), origin: None })
    }

    /// Where clients connect, port 0 resolved: `127.0.0.1:8080`, `unix:/run/cloakroom.sock`.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.listeners.iter().map(|bound| bound.name.clone()).collect()
    }

    /// Takes changes of the configuration and the keys into use while it serves.
    #[must_use]
    pub fn with_reload(mut self, origin: Origin, watch: Watch) -> Self {
        self.origin = Some((origin, watch));
        self
    }

    /// Serves an app of our own beside the proxy, until the end.
    #[must_use]
    pub fn with_app(
        mut self,
        listener: std::net::TcpListener,
        app: impl ServeHttp + Send + Sync + 'static,
    ) -> Self {
        if let Ok(bound) = Bound::of_tcp(listener) {
            self.apps.push((bound, Box::new(|bound| Box::new(bound.service("app", app)))));
        }
        self
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    ///
    /// # Errors
    /// Why the server could not start.
    pub fn run(self) -> Result<(), String> {
        let workers = self.shared.state.load().config.workers;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("cloakroom")
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start {workers} workers: {error}"))?;
        let result = runtime.block_on(self.serve());
        // What has not ended by now is cut.
        runtime.shutdown_background();
        result
    }

    async fn serve(mut self) -> Result<(), String> {
        let mut signals =
            Signals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let sockets: Vec<PathBuf> = self
            .listeners
            .iter()
            .chain(&self.admin)
            .filter_map(|bound| bound.socket.clone())
            .collect();
        // Before anybody is told that there is somebody to send signals to.
        if let Some((origin, watch)) = self.origin.take() {
            let hangup = signal(SignalKind::hangup())
                .map_err(|error| format!("cannot wait for signals: {error}"))?;
            tokio::spawn(reload::keep_up(Arc::clone(&self.shared), origin, watch, hangup));
        }
        let draining = Arc::new(AtomicBool::new(false));
        let (stop_proxy, proxy_stops) = watch::channel(false);
        // Metrics and health can be asked for until the very end.
        let (stop_rest, rest_stops) = watch::channel(false);

        self.announce();
        for (bound, service) in self.apps {
            let service = service(&bound);
            start(service, &[bound], &rest_stops);
        }
        if let Some(bound) = self.admin {
            let admin = Admin::new(Arc::clone(&self.shared), Arc::clone(&draining));
            start(Box::new(bound.service("admin", admin)), &[bound], &rest_stops);
        }
        let proxy = start(
            Box::new(proxy_service(&self.shared, &self.listeners)),
            &self.listeners,
            &proxy_stops,
        );

        let name = signals.next().await;
        let limit = self.shared.state.load().config.shutdown_timeout;
        let begun = Instant::now();
        log::info!(signal = name, connections = self.shared.metrics.open_connections(); "shutting down");
        draining.store(true, Ordering::Release);
        stop_proxy.send_replace(true);
        let drained = async {
            // The service ends when its listeners are closed, connections end when they are done.
            let _ = proxy.await;
            while self.shared.metrics.open_connections() > 0 {
                tokio::time::sleep(DRAIN_STEP).await;
            }
        };
        tokio::select! {
            () = drained => log::info!(took_ms = begun.elapsed().as_millis() as u64; "stopped"),
            () = tokio::time::sleep(limit) => log::warn!(
                connections = self.shared.metrics.open_connections();
                "shutdown_timeout is over: connections are cut"
            ),
            name = signals.next() => log::warn!(signal = name; "stopped without waiting any longer"),
        }
        stop_rest.send_replace(true);
        for socket in sockets {
            // The next start would remove it as well.
            let _ = std::fs::remove_file(socket);
        }
        Ok(())
    }

    /// Says where the sidecar listens, what it fronts and which key signs.
    fn announce(&self) {
        let state = self.shared.state.load();
        for bound in &self.listeners {
            log::info!(address = bound.name.as_str(); "listening");
        }
        if let Some(bound) = &self.admin {
            log::info!(address = bound.name.as_str(); "admin listening");
        }
        let backend = state.config.backend.to_string();
        let signing = state.keys.signing();
        log::info!(
            version = env!("CARGO_PKG_VERSION"),
            backend = backend.as_str(),
            signing_key = state.keys.label(crate::keys::KeyIndex(0)).as_str(),
            algorithm = signing.algorithm().name(),
            keys = state.keys.iter().count(),
            workers = state.config.workers;
            "cloakroom is up"
        );
    }
}

/// The proxy as a service of pingora's.
fn proxy_service(shared: &Arc<Shared>, listeners: &[Bound]) -> Service<Connections<Proxy>> {
    // Without TLS to the backend nobody needs the system's certificates, which pingora otherwise
    // reads at every start.
    let is_tls = shared.state.load().config.backend.is_tls();
    let ca_file = (!is_tls).then(|| "/dev/null".to_owned());
    let conf = ServerConf { max_retries: MAX_ATTEMPTS, ca_file, ..ServerConf::default() };
    let mut proxy = pingora_proxy::http_proxy(&Arc::new(conf), Proxy(Arc::clone(shared)));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    // Refused all the same, but by us, so that it is stripped, counted and logged like the rest.
    options.allow_connect_method_proxying = true;
    let (limits, timeouts) = {
        let state = shared.state.load();
        (state.config.limits, state.config.timeouts)
    };
    options.h2_idle_timeout = Some(timeouts.keep_alive);
    proxy.server_options = Some(options);
    let mut http2 = default_h2_options();
    http2.max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX));
    proxy.h2_options = Some(http2);
    let mut service = Service::new("proxy".into(), Connections::new(proxy, Arc::clone(shared)));
    for bound in listeners {
        bound.add_to(&mut service);
    }
    service
}

/// Whether there is anything to verify a backend's certificate with. pingora panics where the
/// system's certificates cannot be read.
fn check_certificates() -> Result<(), String> {
    const HELP: &str = "install ca-certificates, or set SSL_CERT_FILE";
    match pingora_core::tls::load_native_certs() {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("no certificates to verify an https backend with: {HELP}"))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            Err(format!("cannot read the certificates for an https backend: {error}: {HELP}"))
        }
    }
}

/// Runs a service until `stops` says so.
fn start(
    mut service: Box<dyn pingora_core::services::Service + Send>,
    listeners: &[Bound],
    stops: &watch::Receiver<bool>,
) -> JoinHandle<()> {
    let mut fds = Fds::new();
    for bound in listeners {
        fds.add(bound.key.clone(), bound.fd);
    }
    let fds: ListenFds = Arc::new(Mutex::new(fds));
    let stops = stops.clone();
    tokio::spawn(async move { service.start_service(Some(fds), stops, 1).await })
}

/// The signals that end the process.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
