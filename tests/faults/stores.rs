//! Sidecars whose sessions are in Redis or Valkey.

use crate::backend::Echo;
use crate::pick;
use crate::support::engine::sentinels::MASTER;
use crate::support::engine::{self, Sentinels};
use crate::support::{Builder, Sidecar};

/// The keys of `[store]` for one server.
pub fn single(url: &str) -> String {
    format!("url = {url:?}\n")
}

pub fn cluster(urls: &[String]) -> String {
    format!("url = {urls:?}\ntopology = \"cluster\"\n")
}

pub fn sentinel(sentinels: &Sentinels) -> String {
    let urls = sentinels.urls();
    format!("url = {urls:?}\ntopology = \"sentinel\"\nmaster = {MASTER:?}\n")
}

/// With these keys in `[store]`. The time-out is long, because a busy machine must not cause an
/// outage.
pub fn builder(backend: &Echo, store: &str) -> Builder {
    within(pick("5s", "250ms"), backend, store)
}

/// With these keys in `[store]` and this `store.timeout`.
pub fn within(timeout: &str, backend: &Echo, store: &str) -> Builder {
    Builder::new(&backend.url()).forget_access().with(&format!(
        "[store]\n{store}timeout = {timeout:?}\n[session]\nttl = \"1h\"\nsubject = \"user\"\n"
    ))
}

/// Starts it, and waits until it has connected.
pub fn start(builder: Builder) -> Sidecar {
    let sidecar = builder.start();
    engine::until("a sidecar that is ready", || sidecar.admin("/readyz").status() == 200);
    sidecar
}

/// The value of `cloakroom_session_checks_total`.
pub fn checks(sidecar: &Sidecar, outcome: &str) -> u64 {
    sidecar.count(&format!("cloakroom_session_checks_total{{outcome=\"{outcome}\"}}")) as u64
}

/// The value of `cloakroom_store_errors_total`.
pub fn errors(sidecar: &Sidecar, kind: &str) -> u64 {
    sidecar.count(&format!("cloakroom_store_errors_total{{kind=\"{kind}\"}}")) as u64
}

/// Checks that only requests for ended sessions got the outcome "gone".
pub fn assert_no_session_was_gone(sidecar: &Sidecar, ended: u64) {
    assert_eq!(checks(sidecar, "gone"), ended);
}
