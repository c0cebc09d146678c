//! Takes a changed configuration or key into use: a complete new state is built and swapped in at
//! once. A faulty one changes nothing, is logged and counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::task::JoinError;

use super::tls;
use crate::clock;
use crate::config::Config;
use crate::config::file::{self, Loaded, Overrides};
use crate::fault::Fault;
use crate::keys::KeyRing;
use crate::keys::reload::Watch;
use crate::keys::source::{self, KeySpec};
use crate::state::{Shared, State};
use tokio_rustls::rustls::ServerConfig;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long files have to rest before they are read: several are seldom replaced at one moment.
const REST: Duration = Duration::from_millis(100);

/// How often they are waited for: one that never rests is read all the same.
const MOST_RESTS: usize = 20;

/// Where the configuration came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The configuration file.
    pub path: PathBuf,
    /// What the command line said instead.
    pub overrides: Overrides,
}

impl Origin {
    /// Reads configuration and keys. Each file is looked at before it is read, so that a change
    /// while it is read is seen at the next look.
    ///
    /// # Errors
    /// Every fault found.
    pub fn load(&self) -> (Result<Ready, Vec<Fault>>, Watch) {
        let mut watch = Watch::new(vec![self.path.clone()]);
        let loaded = file::load(&self.path, &self.overrides).and_then(|mut loaded| {
            watch.add(loaded.config.keys.iter().flat_map(KeySpec::files).collect());
            watch.add(loaded.config.revoked_file.iter().cloned().collect());
            loaded.config.read_revoked()?;
            let tls_files = loaded.config.tls.as_ref().map(|tls| &tls.files);
            watch.add(tls_files.iter().flat_map(|f| [f.cert.clone(), f.key.clone()]).collect());
            let keys = source::load(&loaded.config.keys, &self.path);
            let tls = tls_files.map(|files| tls::load(files, &self.path)).transpose();
            let authorities = tls::check_authorities(&loaded.config, &self.path);
            match (keys, tls, authorities) {
                (Ok(keys), Ok(tls), Ok(())) => Ok(Ready { loaded, keys, tls }),
                (keys, tls, authorities) => {
                    let faults = [keys.err(), tls.err(), authorities.err()];
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
    /// What clients are shown, where there are listeners of TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Ready {
    /// What can be said without files.
    #[must_use]
    pub fn without_tls(loaded: Loaded, keys: KeyRing) -> Self {
        Self { loaded, keys, tls: None }
    }

    /// What an operator should know, one line each.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.loaded.warnings.iter().cloned().chain(source::warnings(&self.loaded.config.keys))
    }
}

/// Reloads on SIGHUP and whenever a file changes, for ever.
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
            // A panic of a parser's: what is in force has not been touched.
            Err(_) => {
                log::error!(why; "reloading has failed: the configuration before stays in force");
                shared.metrics.reloaded(false, clock::now());
            }
        }
    }
}

/// Whether a file has changed.
async fn look(mut watch: Watch) -> (Watch, bool) {
    let looked = aside(move || {
        let changed = watch.has_changed();
        (watch, changed)
    });
    match looked.await {
        Ok(looked) => looked,
        // Looking does not panic: only the end of the runtime stops it, and us with it.
        Err(_) => std::future::pending().await,
    }
}

/// How long files may take before it is said.
const SLOW: Duration = Duration::from_secs(10);

/// Does something with files away from this thread, on which signals and `/healthz` are: a mount
/// that hangs holds up whoever asks for its files, even for their times. Whoever calls this waits,
/// so that no more than one thread hangs.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let mut task = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(SLOW, &mut task).await {
        Ok(done) => done,
        Err(_) => {
            log::warn!("the files of the configuration do not answer: look for a mount that hangs");
            task.await
        }
    }
}

fn reload(shared: &Shared, origin: &Origin, why: &str) -> Watch {
    let (loaded, watch) = origin.load();
    match loaded {
        Ok(ready) => {
            swap(shared, ready, why);
            shared.metrics.reloaded(true, clock::now());
        }
        Err(faults) => {
            for fault in faults {
                log::error!("{fault}");
            }
            log::error!(why; "the configuration is faulty: the one before stays in force");
            shared.metrics.reloaded(false, clock::now());
        }
    }
    watch
}

fn swap(shared: &Shared, ready: Ready, why: &str) {
    for warning in ready.warnings() {
        log::warn!("{warning}");
    }
    let old = shared.state.load_full();
    let Ready { loaded, keys, mut tls } = ready;
    let mut config = loaded.config;
    if old.config.tls.is_some() != config.tls.is_some() {
        tls.clone_from(&old.tls);
    }
    for key in put_back_fixed(&old.config, &mut config) {
        log::warn!(key; "this changes with the next start only");
    }
    let apps = old.apps.next(&old.config, &config, &shared.metrics);
    let state = State { key_uses: shared.metrics.key_uses(&keys), apps, tls, keys, config };
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

/// The keys that were changed and cannot be in place; what they say is put back.
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
    // Whom to trust is read at the start, and only where there is somebody to verify.
    if new.has_tls_backend() && !old.has_tls_backend() {
        changed.push("backend, from http to https");
        new.backend.clone_from(&old.backend);
        // They know backends by their numbers.
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
    changed
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// On one thread, as the sidecar does it; a channel stands for the mount that hangs.
    #[test]
    fn files_that_hang_hold_nothing_else_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (answer, hung) = mpsc::channel();
            let read = tokio::spawn(aside(move || hung.recv().unwrap()));
            // Others have their turn, which would never come if this thread hung.
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
        // Certificates are read already.
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
