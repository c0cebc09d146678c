//! The apps behind the sidecar. Each has its own addresses, connections and health, so that a
//! failing app does not affect the others.

use std::sync::Arc;

use super::BackendHealth;
use crate::config::{Backend, Config};
use crate::metrics::Metrics;
use crate::upstream::Upstream;

/// One app.
#[derive(Clone)]
pub(crate) struct App {
    /// Its backend as configured, for logs and metrics.
    pub(crate) name: String,
    pub(crate) backend: Backend,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) health: Arc<BackendHealth>,
}

/// All apps of a configuration.
#[derive(Clone)]
pub(crate) struct Apps {
    /// The app of the top-level `backend`.
    pub(crate) first: App,
    /// The apps of routes.
    others: Vec<App>,
}

impl Apps {
    /// The apps at the start, with unknown health.
    pub(crate) fn new(config: &Config, metrics: &Metrics) -> Self {
        Self::of(config, |backend| {
            let name = backend.to_string();
            App {
                upstream: Arc::new(Upstream::new(backend, config)),
                health: Arc::new(BackendHealth::unknown(metrics.backend_healthy(&name))),
                backend: backend.clone(),
                name,
            }
        })
    }

    /// The apps after a reload. Existing ones keep their health. New ones count as healthy until
    /// their first check; otherwise each reload would make the sidecar unready for a moment.
    pub(crate) fn next(&self, old: &Config, new: &Config, metrics: &Metrics) -> Self {
        let same_way = old.timeouts == new.timeouts && old.backend_tls == new.backend_tls;
        let next = Self::of(new, |backend| {
            let known = self.iter().find(|app| app.backend == *backend);
            let name = backend.to_string();
            let upstream = match known {
                Some(app) if same_way => Arc::clone(&app.upstream),
                _ => Arc::new(Upstream::new(backend, new)),
            };
            let health = match known {
                Some(app) => Arc::clone(&app.health),
                None => Arc::new(BackendHealth::assumed(metrics.backend_healthy(&name))),
            };
            App { name, backend: backend.clone(), upstream, health }
        });
        for gone in self.iter().filter(|app| next.iter().all(|known| known.name != app.name)) {
            metrics.backend_gone(&gone.name);
        }
        next
    }

    fn of(config: &Config, app: impl Fn(&Backend) -> App) -> Self {
        let others = config.route_backends.iter().map(&app).collect();
        Self { first: app(&config.backend), others }
    }

    /// The app with this index in [`Config::backends`].
    pub(crate) fn get(&self, number: usize) -> &App {
        let other = number.checked_sub(1).and_then(|index| self.others.get(index));
        other.unwrap_or(&self.first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &App> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether there is more than one, so that logs must name the app.
    pub(crate) fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// All names, for a log line.
    pub(crate) fn names(&self) -> String {
        self.iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}
