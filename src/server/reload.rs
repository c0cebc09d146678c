//! Applies changes of the configuration and the keys: builds a complete new state and swaps it in.
//! A faulty configuration changes nothing; it is logged and counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::task::JoinError;

use super::tls;
use crate::clock;
use crate::config::file::{self, Loaded, Overrides};
use crate::config::{Config, StoreConfig, StoreHome};
use crate::fault::Fault;
use crate::keys::KeyRing;
use crate::keys::bearer::Bearer;
use crate::keys::reload::Watch;
use crate::keys::signature::Signer;
use crate::keys::source::{self, KeySpec};
use crate::session::Holds;
use crate::state::{Shared, State};
use crate::store::server::{Secrets, ServerSpec};
use tokio_rustls::rustls::ServerConfig;

/// How often the files are checked.
const LOOK: Duration = Duration::from_millis(500);

/// How long files must be unchanged before they are read, because several are replaced one after
/// another.
const REST: Duration = Duration::from_millis(100);

/// The maximum number of such waits; after that, changing files are read too.
const MOST_RESTS: usize = 20;

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The configuration file.
    pub path: PathBuf,
    /// The overrides of the command line.
    pub overrides: Overrides,
}

impl Origin {
    /// Reads configuration and keys. The watch starts before reading, so that a change during the
    /// read is seen at the next check.
    ///
    /// # Errors
    /// Every fault found.
    pub fn load(&self) -> (Result<Ready, Vec<Fault>>, Watch) {
        let mut watch = Watch::new(vec![self.path.clone()]);
        let loaded = file::load(&self.path, &self.overrides).and_then(|mut loaded| {
            watch.add(loaded.config.keys.iter().flat_map(KeySpec::files).collect());
            watch.add(loaded.config.revoked_file.iter().cloned().collect());
            let signature = loaded.config.signature.as_ref();
            watch.add(signature.iter().map(|spec| spec.secret_file.clone()).collect());
            let token_file = loaded.config.admin_token.as_ref();
            watch.add(token_file.map(|token| token.path.clone()).into_iter().collect());
            let store = loaded.config.store.as_ref();
            watch.add(store.map(StoreConfig::files).unwrap_or_default());
            loaded.config.read_revoked()?;
            let tls_files = loaded.config.tls.as_ref().map(|tls| &tls.files);
            watch.add(tls_files.iter().flat_map(|f| [f.cert.clone(), f.key.clone()]).collect());
            let signer = loaded.config.signature.as_ref();
            let signer = signer.map(|spec| source::load_signer(spec, &self.path)).transpose();
            let keys = source::load(&loaded.config.keys, &self.path);
            let tls = tls_files.map(|files| tls::load(files, &self.path)).transpose();
            let authorities = tls::check_authorities(&loaded.config, &self.path);
            let token = loaded.config.read_admin_token(&self.path);
            let store = loaded.config.read_store_secrets(&self.path);
            match (keys, signer, tls, authorities, token, store) {
                (Ok(keys), Ok(signer), Ok(tls), Ok(()), Ok(admin_token), Ok(store_secrets)) => {
                    Ok(Ready { loaded, keys, signer, tls, admin_token, store_secrets })
                }
                (keys, signer, tls, authorities, token, store) => {
                    let faults = [
                        keys.err(),
                        signer.err(),
                        tls.err(),
                        authorities.err(),
                        token.err(),
                        store.err(),
                    ];
                    Err(faults.into_iter().flatten().flatten().collect())
                }
            }
        });
        (loaded, watch)
    }
}

/// Everything that is read from files.
#[derive(Debug)]
pub struct Ready {
    /// The configuration.
    pub loaded: Loaded,
    /// Its keys.
    pub keys: KeyRing,
    /// Signs requests to the app.
    pub signer: Option<Signer>,
    /// The server certificate, if there are TLS listeners.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// The secret required to view or end sessions on the admin listener.
    pub(super) admin_token: Option<Bearer>,
    /// Passwords and certificates for the servers of the store.
    pub(super) store_secrets: Option<Secrets>,
}

impl Ready {
    /// A configuration without certificates and other files.
    #[must_use]
    pub fn without_tls(loaded: Loaded, keys: KeyRing) -> Self {
        Self { loaded, keys, signer: None, tls: None, admin_token: None, store_secrets: None }
    }

    /// Warnings for the operator, one line each.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let Loaded { config, warnings, .. } = &self.loaded;
        let token = config.admin_token.as_ref();
        let token = token.and_then(|token| source::bearer_warning(&token.path));
        let signature = config.signature.as_ref();
        let signature = signature.map(|spec| source::signer_warnings(spec, &config.keys));
        let keys = source::warnings(&config.keys);
        warnings.iter().cloned().chain(keys).chain(token).chain(signature.into_iter().flatten())
    }
}

/// Reloads on SIGHUP and when a file changes, forever.
pub(super) async fn keep_up(
    shared: Arc<Shared>,
    origin: Origin,
    mut watch: Watch,
    mut hangup: Signal,
) {
    loop {
        let why = tokio::select! {
            _ = hangup.recv() => "SIGHUP",
            () = tokio::time::sleep(LOOK) => {
                let mut changed;
                (watch, changed) = look(watch).await;
                if !changed {
                    continue;
                }
                for _ in 0..MOST_RESTS {
                    tokio::time::sleep(REST).await;
                    (watch, changed) = look(watch).await;
                    if !changed {
                        break;
                    }
                }
                "a file changed"
            }
        };
        let read = {
            let (shared, origin) = (Arc::clone(&shared), origin.clone());
            aside(move || reload(&shared, &origin, why))
        };
        match read.await {
            Ok(next) => watch = next,
            // A parser panicked; the current state is unaffected.
            Err(_) => {
                log::error!(why; "reload failed: the previous configuration stays in force");
                shared.metrics.reloaded(false, clock::now());
            }
        }
    }
}

/// Checks whether a file has changed.
async fn look(mut watch: Watch) -> (Watch, bool) {
    let looked = aside(move || {
        let changed = watch.has_changed();
        (watch, changed)
    });
    match looked.await {
        Ok(looked) => looked,
        // The check does not panic, so the runtime is shutting down; this task will be stopped too.
        Err(_) => std::future::pending().await,
    }
}

/// How long reading files may take before a warning is logged.
const SLOW: Duration = Duration::from_secs(10);

/// Reads files on another thread, because this one handles signals and `/healthz`, and any access
/// to a hanging mount blocks. The caller waits for the result, so at most one thread hangs.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let mut task = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(SLOW, &mut task).await {
        Ok(done) => done,
        Err(_) => {
            log::warn!(
                "the configuration files cannot be read in time: look for a mount that hangs"
            );
            task.await
        }
    }
}

fn reload(shared: &Shared, origin: &Origin, why: &str) -> Watch {
    let (loaded, watch) = origin.load();
    match loaded {
        Ok(ready) => {
            swap(shared, ready, why);
            *shared.last_fault.lock() = None;
            shared.metrics.reloaded(true, clock::now());
        }
        Err(faults) => {
            for fault in &faults {
                log::error!("{fault}");
            }
            let faults = faults.iter().map(ToString::to_string).collect();
            *shared.last_fault.lock() = Some((clock::now(), faults));
            log::error!(why; "the configuration is faulty: the previous one stays in force");
            shared.metrics.reloaded(false, clock::now());
        }
    }
    watch
}

fn swap(shared: &Shared, ready: Ready, why: &str) {
    for warning in ready.warnings() {
        log::warn!("{warning}");
    }
    let Ready { loaded, keys, signer, mut tls, admin_token, store_secrets } = ready;
    let mut config = loaded.config;
    // Held until the end, so that other replacements happen before or after.
    let _replacing = shared.replacing.lock();
    let old = shared.state.load_full();
    let log = &old.config.session.revocations.log;
    config.session.revocations.log = Arc::clone(log);
    if old.config.tls.is_some() != config.tls.is_some() {
        tls.clone_from(&old.tls);
    }
    for key in put_back_fixed(&old.config, &mut config) {
        log::warn!(key; "restart required: this change takes effect at the next start");
    }
    if let (Some(store), Some(config)) = (&shared.store, &config.store) {
        store.set_timeout(config.timeout);
        if let (StoreHome::Server(spec), Some(secrets)) = (&config.home, store_secrets) {
            store.set_credentials(spec, secrets);
        }
    }
    let apps = old.apps.next(&old.config, &config, &shared.metrics);
    let key_uses = Arc::new(shared.metrics.key_uses(&keys));
    let signer = signer.map(Arc::new);
    let state = State { key_uses, signer, apps, tls, keys, config, admin_token };
    let state = Arc::new(state);
    shared.state.store(Arc::clone(&state));
    log::info!(
        why,
        signing_key = state.keys.label(crate::keys::KeyIndex(0)).as_str(),
        keys = state.keys.iter().count(),
        backend = state.apps.names().as_str();
        "reloaded"
    );
}

/// Restores settings that cannot change while running, and returns the keys that were changed.
fn put_back_fixed(old: &Config, new: &mut Config) -> Vec<&'static str> {
    let mut changed = Vec::new();
    if new.listen != old.listen {
        changed.push("listen");
        new.listen.clone_from(&old.listen);
    }
    let listen = |config: &Config| config.tls.as_ref().map(|tls| tls.listen.clone());
    let same_listeners = listen(old) == listen(new);
    match (&old.tls, &mut new.tls) {
        _ if same_listeners => {}
        (Some(old), Some(new)) => {
            changed.push("tls.listen");
            new.listen.clone_from(&old.listen);
        }
        _ => {
            changed.push("tls");
            new.tls.clone_from(&old.tls);
        }
    }
    if new.socket_mode != old.socket_mode {
        changed.push("socket_mode");
        new.socket_mode = old.socket_mode;
    }
    if new.upgrade_socket != old.upgrade_socket {
        changed.push("upgrade_socket");
        new.upgrade_socket.clone_from(&old.upgrade_socket);
    }
    if new.backend_tls.ca_file != old.backend_tls.ca_file {
        changed.push("backend_tls.ca_file");
        new.backend_tls.ca_file.clone_from(&old.backend_tls.ca_file);
    }
    if new.admin != old.admin {
        changed.push("admin.listen");
        new.admin.clone_from(&old.admin);
    }
    // Authorities are read only at the start, and only if there is an https backend.
    if new.has_tls_backend() && !old.has_tls_backend() {
        changed.push("backend, from http to https");
        new.backend.clone_from(&old.backend);
        // Routes refer to backends by index.
        if new.routes.name_backends() || old.routes.name_backends() {
            changed.push("routes, whose backends would change");
            new.routes.clone_from(&old.routes);
            new.route_backends.clone_from(&old.route_backends);
        }
    }
    if new.workers != old.workers {
        changed.push("workers");
        new.workers = old.workers;
    }
    if new.log != old.log {
        changed.push("log");
        new.log = old.log;
    }
    changed.extend(put_back_store(old, new));
    changed
}

/// Restores the settings of the open store.
fn put_back_store(old: &Config, new: &mut Config) -> Vec<&'static str> {
    let mut changed = Vec::new();
    match (&old.store, &mut new.store) {
        (Some(old), Some(new)) => {
            put_back_home(&old.home, &mut new.home, &mut changed);
            if new.holds != old.holds {
                changed.push("store.holds");
                new.holds = old.holds;
            }
            if new.prefix != old.prefix {
                changed.push("store.prefix");
                new.prefix.clone_from(&old.prefix);
            }
        }
        (None, None) => {}
        _ => {
            changed.push("store");
            new.store.clone_from(&old.store);
        }
    }
    new.session.store = old.session.store;
    if new.session.store == Some(Holds::Sessions) && new.session.ttl.is_none() {
        changed.push("session.ttl, which the store needs");
        new.session.ttl = old.session.ttl;
    }
    changed
}

/// For servers, users, passwords and certificates can change.
fn put_back_home(old: &StoreHome, new: &mut StoreHome, changed: &mut Vec<&'static str>) {
    let (old, next) = match (old, &mut *new) {
        (StoreHome::Server(old), StoreHome::Server(next)) => (old, next),
        (old, _) => {
            if old != new {
                changed.push("store.url");
                new.clone_from(old);
            }
            return;
        }
    };
    if next.topology != old.topology {
        changed.push("store.topology");
        next.topology.clone_from(&old.topology);
        next.nodes.clone_from(&old.nodes);
    }
    let parts = |spec: &ServerSpec| (spec.nodes.clone(), spec.tls, spec.database);
    if parts(next) != parts(old) {
        changed.push("store.url");
        (next.nodes, next.tls, next.database) = parts(old);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// On one thread, like the sidecar; a channel replaces the hanging mount.
    #[test]
    fn files_that_hang_hold_nothing_else_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (answer, hung) = mpsc::channel();
            let read = tokio::spawn(aside(move || hung.recv().unwrap()));
            // Other tasks run, which would be impossible if this thread were blocked.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(!read.is_finished());
            answer.send(7).unwrap();
            assert_eq!(read.await.unwrap().unwrap(), 7);
        });
    }

    #[test]
    fn the_first_backend_of_https_and_whoever_is_sent_to_it_wait_for_the_next_start() {
        let config = |backend: &str, route: &str| {
            let text = format!(
                "listen = '127.0.0.1:0'\nbackend = '{backend}'\nkeys = [{{ secret_env = 'K' }}]\n\
                 [[routes]]\npath = '/a'\n{route}"
            );
            let path = std::path::Path::new("c.toml");
            file::parse(&text, path, &Overrides::default()).unwrap().config
        };
        let backends = |old: &Config, new: &Config| {
            let mut new = new.clone();
            let changed = put_back_fixed(old, &mut new);
            let names: Vec<String> = new.backends().map(ToString::to_string).collect();
            (changed.len(), names.join(" "), new.routes.find("GET", b"/a").is_required())
        };
        let old = config("http://one", "backend = 'http://two'");
        let free = config("http://one", "require = true");
        let cases = [
            (&old, "http://three", "require = true", 0, "http://three:80", true),
            (&free, "https://three", "", 1, "http://one:80", false),
            (&old, "https://three", "require = true", 2, "http://one:80 http://two:80", false),
            (&free, "http://three", "backend = 'https://two'", 2, "http://one:80", true),
        ];
        for (old, backend, route, changes, names, required) in cases {
            let found = backends(old, &config(backend, route));
            assert_eq!(found, (changes, names.to_owned(), required), "{backend} {route}");
        }
        // The certificates have already been read.
        let old = config("http://one", "backend = 'https://two'");
        let found = backends(&old, &config("https://three", "backend = 'https://four'"));
        assert_eq!(found, (0, "https://three:443 https://four:443".to_owned(), false));
    }

    #[test]
    fn a_look_comes_back_with_what_it_saw() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (watch, changed) = look(Watch::new(vec![file.path().to_owned()])).await;
            assert!(!changed);
            std::fs::write(file.path(), "new").unwrap();
            let (watch, changed) = look(watch).await;
            assert!(changed);
            assert!(!look(watch).await.1);
        });
    }
}
