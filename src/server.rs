//! Starts everything: binds the listeners for a configuration and its keys. Only this module uses
//! all the others.
//!
//! pingora's services run on our own runtimes and not in pingora's `Server`, whose shutdown sleeps
//! for a fixed time. Here the process ends with its last connection.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::server::configuration::ServerConf;
use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::admin::{Admin, Listening};
use crate::clock;
use crate::config::Config;
use crate::fault::Fault;
use crate::keys::reload::Watch;
use crate::metrics::Metrics;
use crate::proxy::MAX_ATTEMPTS;
use crate::session::Holds;
use crate::session::cookie::Transport;
use crate::session::recent::RecentWrites;
use crate::state::{Apps, Drain, Shared, State};
use crate::visit::rechecking;

mod cannot_start;
mod connection;
mod descriptors;
mod follow;
mod handover;
mod head;
mod http2;
mod inherited;
mod listener;
mod probe;
mod reload;
mod services;
mod signals;
mod silence;
pub(crate) mod store;
mod tls;

pub use cannot_start::CannotStart;
use descriptors::Room;
use handover::Handover;
pub use inherited::Inherited;
use listener::Bound;
pub use reload::{Origin, Ready};
use services::{Carrier, start, start_proxies};
pub use signals::Process;
use signals::Signals;

/// Bound listeners, with everything needed to serve them.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<(Bound, Transport)>,
    admin: Option<Bound>,
    apps: Vec<(Bound, AppService)>,
    origin: Option<(Origin, Watch)>,
    inherited: Inherited,
    room: Room,
    carrier: Carrier,
}

/// Makes the service of an additional app, when there is a runtime.
type AppService = Box<dyn FnOnce(&Bound) -> Box<dyn pingora_core::services::Service + Send> + Send>;

impl Server {
    /// Binds every listener that is not inherited. Signals are already handled then, because
    /// somebody who can connect may also send signals.
    ///
    /// # Errors
    /// Why the session file cannot be used, or which address could not be bound.
    pub fn bind(ready: Ready, mut inherited: Inherited, _: &Process) -> Result<Self, CannotStart> {
        let Ready { loaded, keys, signer, tls, admin_token, store_secrets } = ready;
        let config = loaded.config;
        let store = config.store.as_ref();
        let store = store.map(|store| store::open(store, store_secrets, store.timeout)).transpose();
        let store = store.map_err(CannotStart::Store)?;
        let carrier = Carrier::chosen()?;
        let holds = config.session.store;
        let mut bind = |role, listen| Bound::bind(role, listen, config.socket_mode, &mut inherited);
        let listeners = config
            .listeners()
            .map(|(listen, transport)| Ok((bind("listen", listen)?, transport)))
            .collect::<Result<Vec<_>, CannotStart>>()?;
        let admin = config.admin.as_ref().map(|listen| bind("admin", listen)).transpose()?;
        let metrics = Metrics::new().map_err(CannotStart::Metrics)?;
        metrics.loaded(clock::now());
        let room = descriptors::make_room(config.limits.connections);
        let workers = config.workers;
        let state = State {
            key_uses: Arc::new(metrics.key_uses(&keys)),
            signer: signer.map(Arc::new),
            apps: Apps::new(&config, &metrics),
            tls,
            keys,
            config,
            admin_token,
        };
        let shared = Arc::new(Shared {
            state: ArcSwap::from_pointee(state),
            replacing: Mutex::default(),
            started: Instant::now(),
            metrics,
            recent: Mutex::new(RecentWrites::default()),
            store: store.map(Arc::new),
            log_is_read: AtomicBool::new(holds != Some(Holds::Revocations)),
            log_written: Notify::new(),
            log_applied: Notify::new(),
            open_answers: Arc::default(),
            refresh_left: Notify::new(),
            connections: TaskTracker::new(),
            drain: Drain::default(),
            signing: Semaphore::new(workers),
            last_fault: Mutex::default(),
            room: room.connections,
        });
        let (apps, origin) = (Vec::new(), None);
        Ok(Self { shared, listeners, admin, apps, origin, inherited, room, carrier })
    }

    /// The addresses of the listeners, port 0 resolved: `127.0.0.1:8080`,
    /// `unix:/run/cloakroom.sock`.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.listeners.iter().map(|(bound, _)| bound.name.clone()).collect()
    }

    /// Applies changes of the configuration and the keys while it serves.
    #[must_use]
    pub fn with_reload(mut self, origin: Origin, watch: Watch) -> Self {
        self.origin = Some((origin, watch));
        self
    }

    /// Serves an additional app until the end.
    ///
    /// # Errors
    /// Why the listener cannot be used.
    pub fn with_app(
        mut self,
        listener: std::net::TcpListener,
        app: impl ServeHttp + Send + Sync + 'static,
    ) -> Result<Self, CannotStart> {
        let bound = Bound::of_tcp(listener, "app".into()).map_err(CannotStart::ListenForApp)?;
        self.apps.push((bound, Box::new(|bound| Box::new(bound.service("app", app)))));
        Ok(self)
    }

    /// Serves until SIGTERM, SIGINT or a takeover by a new process, then drains.
    ///
    /// # Errors
    /// Why the server could not start.
    pub fn run(self, process: Process) -> Result<(), CannotStart> {
        let workers = self.shared.state.load().config.workers;
        let requests = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("cloakroom")
            .enable_all()
            .build()
            .map_err(|error| CannotStart::Workers { count: workers, error })?;
        let Process { rest, signals } = process;
        let result = rest.block_on(self.serve(requests.handle(), signals));
        // Aborts what is still running.
        rest.shutdown_background();
        requests.shutdown_background();
        result
    }

    async fn serve(mut self, workers: &Handle, mut signals: Signals) -> Result<(), CannotStart> {
        let handover = self.handover()?;
        if let Some((origin, watch)) = self.origin.take()
            && let Some(hangup) = signals.hangup.take()
        {
            tokio::spawn(reload::keep_up(Arc::clone(&self.shared), origin, watch, hangup));
        }
        let conf = Arc::new(self.pingora_conf());
        let options = ConnectorOptions::from_server_conf(&conf);
        tokio::spawn(rechecking::keep_looking(Arc::clone(&self.shared)));
        tokio::spawn(probe::watch(Arc::clone(&self.shared), options));
        if let Some(store) = &self.shared.store {
            // On the runtime that also makes the calls.
            store.start(workers);
        }
        if let Some(store) = follow::of_revocations(&self.shared) {
            // Read the revocations before the first request.
            let mut follower = follow::Follower::default();
            follower.look(&self.shared, &store).await;
            tokio::spawn(follow::follow(Arc::clone(&self.shared), follower));
        }
        let (stop_proxy, proxy_stops) = watch::channel(false);
        // Metrics and health stay available until the end.
        let (stop_rest, rest_stops) = watch::channel(false);

        self.announce();
        for (bound, service) in self.apps {
            let service = service(&bound);
            start(service, &[&bound], &rest_stops, &Handle::current());
        }
        if let Some(bound) = &self.admin {
            let clients = self.listeners.iter().map(|(bound, how)| (bound.name.clone(), *how));
            let listening = Listening { clients: clients.collect(), admin: bound.name.clone() };
            let admin = Admin::new(Arc::clone(&self.shared), listening);
            let service = Box::new(bound.service("admin", admin));
            start(service, &[bound], &rest_stops, &Handle::current());
        }
        let proxies = start_proxies(
            &self.shared,
            (&conf, self.carrier),
            &self.listeners,
            &proxy_stops,
            workers,
        );
        self.inherited.take_over();
        tell_systemd(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);

        let end = tokio::select! {
            name = signals.next() => End::Signal(name),
            () = handed_over(handover.as_ref()) => End::HandedOver,
        };
        let limit = self.shared.state.load().config.shutdown_timeout;
        let begun = Instant::now();
        let why = match end {
            End::Signal(name) => name,
            End::HandedOver => "a new process has taken over",
        };
        self.shared.drain.begin(limit);
        log::info!(why, connections = self.shared.metrics.open_connections(); "shutting down");
        if matches!(end, End::Signal(_)) {
            tell_systemd(&[NotifyState::Stopping]);
        }
        stop_proxy.send_replace(true);
        drop(handover);
        if matches!(end, End::HandedOver) {
            // Let the new process serve the metrics.
            stop_rest.send_replace(true);
        }
        let drained = async {
            // The services end when their listeners are closed, connections when they are finished.
            for proxy in proxies {
                let _ = proxy.await;
            }
            self.shared.connections.close();
            self.shared.connections.wait().await;
        };
        tokio::select! {
            () = drained => log::info!(took_ms = begun.elapsed().as_millis() as u64; "stopped"),
            () = tokio::time::sleep(limit) => log::warn!(
                connections = self.shared.metrics.open_connections();
                "shutdown_timeout exceeded: closing the remaining connections"
            ),
            name = signals.next() => log::warn!(signal = name; "stopped at once: a second signal arrived"),
        }
        stop_rest.send_replace(true);
        if matches!(end, End::Signal(_)) {
            let all = self.listeners.iter().map(|(bound, _)| bound).chain(&self.admin);
            for (path, _) in all.filter_map(|bound| bound.socket.as_ref()) {
                // Otherwise the next start would remove it.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// Listens for a process that takes over, if `upgrade_socket` is configured.
    fn handover(&self) -> Result<Option<Handover>, CannotStart> {
        let state = self.shared.state.load();
        let listeners: Vec<&Bound> =
            self.listeners.iter().map(|(bound, _)| bound).chain(&self.admin).collect();
        let path = state.config.upgrade_socket.as_ref();
        path.map(|path| Handover::bind(path, &listeners)).transpose()
    }

    /// pingora's configuration, where it differs from the default.
    fn pingora_conf(&self) -> ServerConf {
        let state = self.shared.state.load();
        let own = state.config.backend_tls.ca_file.as_ref();
        let ca_file = match own {
            Some(path) => Some(path.to_string_lossy().into_owned()),
            // Without an https backend the system's certificates are not needed; pingora would read
            // them at every start.
            None => (!state.config.has_tls_backend()).then(|| "/dev/null".to_owned()),
        };
        // Both carriers have a pool: share the file descriptors between them.
        let pool = match self.carrier {
            Carrier::Pingora => self.room.pool,
            Carrier::Exchange => (self.room.pool / 2).max(1),
        };
        ServerConf {
            max_retries: MAX_ATTEMPTS,
            upstream_keepalive_pool_size: pool,
            ca_file,
            ..ServerConf::default()
        }
    }

    /// Logs the listeners, the backends and the signing key.
    fn announce(&self) {
        let state = self.shared.state.load();
        for (bound, transport) in &self.listeners {
            let tls = *transport == Transport::Tls;
            log::info!(address = bound.name.as_str(), tls; "listening");
        }
        if let Some(bound) = &self.admin {
            log::info!(address = bound.name.as_str(); "admin listening");
        }
        let backend = state.apps.names();
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

/// Why the process ends.
enum End {
    Signal(&'static str),
    HandedOver,
}

async fn handed_over(handover: Option<&Handover>) {
    match handover {
        Some(handover) => handover.done().await,
        None => std::future::pending().await,
    }
}

/// sd_notify(3), if `NOTIFY_SOCKET` is set.
fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!(error:% = error; "systemd cannot be notified");
    }
}

/// Checks the files of `[tls]` and the authorities for the backend.
///
/// # Errors
/// What is wrong with the files.
pub(crate) fn check_tls(config: &Config, path: &Path) -> Result<(), Vec<Fault>> {
    let shown = config.tls.as_ref().map(|tls| tls::load(&tls.files, path)).transpose();
    let authorities = tls::check_authorities(config, path);
    let faults: Vec<Fault> = shown.err().into_iter().chain(authorities.err()).flatten().collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
