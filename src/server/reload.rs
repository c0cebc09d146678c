//! Takes a changed configuration or key into use: a complete new state is built and swapped in at
//! once. A faulty one changes nothing, is logged and counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;

use crate::clock;
use crate::config::Config;
use crate::config::error::Fault;
use crate::config::file::{self, Loaded, Overrides};
use crate::keys::KeyRing;
use crate::keys::reload::Watch;
use crate::keys::source::{self, KeySpec};
use crate::proxy::upstream::Upstream;
use crate::proxy::{Shared, State};

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
    pub fn load(&self) -> (Result<(Loaded, KeyRing), Vec<Fault>>, Watch) {
        let mut watch = Watch::new(vec![self.path.clone()]);
        let loaded = file::load(&self.path, &self.overrides).and_then(|mut loaded| {
            watch.add(loaded.config.keys.iter().flat_map(KeySpec::files).collect());
            watch.add(loaded.config.revoked_file.iter().cloned().collect());
            loaded.config.read_revoked()?;
            let keys = source::load(&loaded.config.keys, &self.path)?;
            Ok((loaded, keys))
        });
        (loaded, watch)
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
                if !watch.has_changed() {
                    continue;
                }
                for _ in 0..MOST_RESTS {
                    tokio::time::sleep(REST).await;
                    if !watch.has_changed() {
                        break;
                    }
                }
                "a file changed"
            }
        };
        let (shared, origin) = (Arc::clone(&shared), origin.clone());
        if let Ok(next) = tokio::task::spawn_blocking(move || reload(&shared, &origin, why)).await {
            watch = next;
        }
    }
}

fn reload(shared: &Shared, origin: &Origin, why: &str) -> Watch {
    let (loaded, watch) = origin.load();
    match loaded {
        Ok((loaded, keys)) => {
            swap(shared, loaded, keys, why);
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

fn swap(shared: &Shared, loaded: Loaded, keys: KeyRing, why: &str) {
    let old = shared.state.load_full();
    let mut config = loaded.config;
    for key in put_back_fixed(&old.config, &mut config) {
        log::warn!(key; "this changes with the next start only");
    }
    for warning in loaded.warnings.into_iter().chain(source::warnings(&config.keys)) {
        log::warn!("{warning}");
    }
    // An unchanged backend keeps what is known of its addresses.
    let same_backend =
        old.config.backend == config.backend && old.config.timeouts == config.timeouts;
    let upstream = if same_backend {
        Arc::clone(&old.upstream)
    } else {
        Arc::new(Upstream::new(config.backend.clone(), &config.timeouts))
    };
    let state = State { key_uses: shared.metrics.key_uses(&keys), upstream, keys, config };
    let state = Arc::new(state);
    shared.state.store(Arc::clone(&state));
    log::info!(
        why,
        signing_key = state.keys.label(crate::keys::KeyIndex(0)).as_str(),
        keys = state.keys.iter().count(),
        backend = state.config.backend.to_string().as_str();
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
    if new.admin != old.admin {
        changed.push("admin.listen");
        new.admin.clone_from(&old.admin);
    }
    if new.backend.is_tls() && !old.backend.is_tls() {
        changed.push("backend, from http to https");
        new.backend.clone_from(&old.backend);
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
