//! `cloakroom check --connect`: describes the session store, and warns of settings that lose
//! sessions.

use std::path::Path;

use crate::cli::{Failure, print};
use crate::config::{Config, StoreConfig, StoreHome};

/// Prints the results before the configuration, as comments.
pub(super) fn connect(config: &Config, path: &Path) -> Result<(), Failure> {
    match &config.store {
        None => print("# store: none, sessions are in cookies\n"),
        Some(StoreConfig { home: StoreHome::File(path), .. }) => {
            print(&format!("# store: the file {}\n", path.display()))
        }
        Some(store) => server(config, store, path),
    }
}

#[cfg(feature = "redis")]
fn server(config: &Config, store: &StoreConfig, path: &Path) -> Result<(), Failure> {
    use crate::store::redis::inspect::inspect;
    let StoreHome::Server(spec) = &store.home else { return Ok(()) };
    let secrets = config.read_store_secrets(path).map_err(Failure::Configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Runtime(format!("cannot start: {error}")))?;
    let patience = (4 * store.timeout).max(std::time::Duration::from_secs(2));
    let inspected =
        inspect(spec.as_ref().clone(), secrets.unwrap_or_default(), store.prefix.clone(), patience);
    let report = runtime.block_on(inspected).map_err(|error| {
        Failure::Runtime(format!("the session store {} cannot be reached: {error}", store.home))
    })?;
    for warning in &report.warnings {
        eprintln!("cloakroom: {warning}");
    }
    let lines: Vec<String> = report.facts.iter().map(|fact| format!("# store {fact}\n")).collect();
    print(&lines.concat())
}

#[cfg(not(feature = "redis"))]
fn server(_: &Config, _: &StoreConfig, _: &Path) -> Result<(), Failure> {
    Ok(())
}
