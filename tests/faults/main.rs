//! Experiments: the real binary under load while something goes wrong. Each file is one experiment,
//! and each prints its figures.
//!
//! With `CLOAKROOM_FAULTS=full` they take minutes and reach the figures in the documentation;
//! `tests/faults/run` does this. Otherwise they are short and run with all other tests. The
//! guarantees are checked in both forms.
//!
//! - By the operator: [`reload`] of configuration and keys, [`bad_config`] faulty ones,
//!   [`shutdown`], [`upgrade`] to a new process.
//! - By users: [`isolation`] of their answers, [`soak`] for a long time, [`volume`] of large
//!   bodies, [`open_streams`] for hours.
//! - By attackers and failures: [`slow_loris`], [`large_heads`], [`h2_floods`], [`descriptors`] run
//!   out, [`backend_kill`], [`backend_faults`] a backend that breaks every rule of HTTP.
//! - With sessions in a file: [`store_kill`], [`store_upgrade`], [`store_full`] disks,
//!   [`many_sessions`].
//! - With sessions in Redis: [`redis_kill`], [`redis_silence`], [`redis_failover`],
//!   [`redis_cluster`], [`redis_answers`] error answers, [`redis_shared`] by several sidecars,
//!   [`redis_many`] sessions.
//! - Tools: [`load`] many clients; [`users`], [`visitors`] with sessions in a store, [`patrons`]
//!   whose store fails, [`stores`], [`others`] unaffected clients; [`backend`] and [`rough`], two
//!   apps; [`vitals`] of the process.

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

/// Selects a value for the short form, which runs with all tests, or for the full form.
fn pick<T>(short: T, full: T) -> T {
    let is_full = std::env::var_os("CLOAKROOM_FAULTS").is_some_and(|scale| scale == "full");
    if is_full { full } else { short }
}

/// Runs the clients and backends of all experiments.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    })
}
