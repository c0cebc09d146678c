//! Experiments: the real binary under load while something goes wrong around it. Each file is one
//! of them, and each prints its figures.
//!
//! With `CLOAKROOM_FAULTS=full` they take minutes and reach the figures that the documentation
//! names: `tests/faults/run` does that. Otherwise they are short and run with all other tests;
//! what must hold holds in both forms.
//!
//! What an operator does: [`reload`] configuration and keys change; [`bad_config`] they are faulty;
//! [`shutdown`] the process is told to stop; [`upgrade`] another one takes its place.
//!
//! What users do: [`isolation`] no answer is another user's; [`soak`] for a long time; [`volume`]
//! in large bodies; [`open_streams`] that are open for hours.
//!
//! What others do: [`slow_loris`], [`large_heads`], [`h2_floods`] clients that attack;
//! [`descriptors`] more of them than descriptors; [`backend_kill`] a backend that dies;
//! [`backend_faults`] one that breaks every rule.
//!
//! With sessions in a file: [`store_kill`] the sidecar is killed; [`store_upgrade`] another one takes
//! its place; [`store_full`] the disk is full; [`many_sessions`] there are very many of them.
//!
//! With sessions in Redis: [`redis_kill`] it is killed; [`redis_silence`] it says nothing, or late;
//! [`redis_failover`], [`redis_cluster`] another server takes its place; [`redis_answers`] what it says
//! instead of an answer; [`redis_shared`] sidecars that share it; [`redis_many`] very many sessions.
//!
//! What they are made of: [`load`] a crowd of clients; [`users`] who they are, [`visitors`] those
//! with sessions in a store, [`patrons`] whose store goes away, [`stores`] what that is, [`others`] those who look on; [`backend`] an app that keeps up with
//! them, [`rough`] one made by hand; [`vitals`] what the sidecar takes for itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "tests may panic, and say something"
)]

#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "these tests need a part of it")]
mod support;

mod backend;
mod load;
mod others;
mod patrons;
mod rough;
mod stores;
mod users;
mod visitors;
mod vitals;

mod backend_faults;
mod backend_kill;
mod bad_config;
mod descriptors;
mod h2_floods;
mod isolation;
mod large_heads;
mod many_sessions;
mod open_streams;
mod redis_answers;
mod redis_cluster;
mod redis_failover;
mod redis_kill;
mod redis_many;
mod redis_shared;
mod redis_silence;
mod reload;
mod shutdown;
mod slow_loris;
mod soak;
mod store_full;
mod store_kill;
mod store_upgrade;
mod upgrade;
mod volume;

use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// The one or the other: for the form that runs with all tests, and for the full one.
fn pick<T>(short: T, full: T) -> T {
    let is_full = std::env::var_os("CLOAKROOM_FAULTS").is_some_and(|scale| scale == "full");
    if is_full { full } else { short }
}

/// Where clients and backends of all experiments run.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    })
}
